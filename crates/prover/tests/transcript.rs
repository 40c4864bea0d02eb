//! The transcript: what it absorbs, and that nothing which only the transcript binds can be changed.

mod common;

use cairn_prover::bus::{EF, F};
use cairn_prover::chips::Chip;
use cairn_prover::config::{Challenger, FriPcs, PARAMS, Params, pcs};
use cairn_prover::counts::{AND_ROWS, RANGE_ROWS};
use cairn_prover::memory::{Digest, permutation};
use cairn_prover::shard::{ShardProof, lookups, transcript_seed};
use cairn_prover::verify::{decode, encode};
use common::*;
use p3_air::BaseAir;
use p3_batch_stark::common::{GlobalPreprocessed, PreprocessedInstanceMeta};
use p3_batch_stark::{BatchProof, CommonData, verify_batch};
use p3_challenger::{CanObserve, CanSample, CanSampleBits, FieldChallenger, GrindingChallenger};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use p3_symmetric::MerkleCap;
use p3_uni_stark::StarkConfig;
use std::sync::{Arc, Mutex};

/// What went through a transcript.
#[derive(Clone, Debug, Default)]
struct Tape {
    observed: Vec<F>,
    samples: Vec<F>,
    bits: Vec<usize>,
    /// Samples to give instead of the transcript's own.
    replay: Option<(Vec<F>, Vec<usize>)>,
}

/// A transcript that records, and in replay gives the challenges of an earlier run.
#[derive(Clone)]
struct Recorder {
    inner: Challenger,
    tape: Arc<Mutex<Tape>>,
}

impl CanObserve<F> for Recorder {
    fn observe(&mut self, value: F) {
        self.tape.lock().unwrap().observed.push(value);
        self.inner.observe(value);
    }
}

impl CanObserve<MerkleCap<F, Digest>> for Recorder {
    fn observe(&mut self, cap: MerkleCap<F, Digest>) {
        cap.roots().iter().flatten().for_each(|&x| self.observe(x));
    }
}

impl<A: BasedVectorSpace<F>> CanSample<A> for Recorder {
    fn sample(&mut self) -> A {
        A::from_basis_coefficients_fn(|_| {
            let own: F = self.inner.sample();
            let mut tape = self.tape.lock().unwrap();
            let at = tape.samples.len();
            tape.samples.push(own);
            tape.replay.as_ref().and_then(|(samples, _)| samples.get(at).copied()).unwrap_or(own)
        })
    }
}

impl CanSampleBits<usize> for Recorder {
    fn sample_bits(&mut self, bits: usize) -> usize {
        let own = self.inner.sample_bits(bits);
        let mut tape = self.tape.lock().unwrap();
        let at = tape.bits.len();
        tape.bits.push(own);
        tape.replay.as_ref().and_then(|(_, bits)| bits.get(at).copied()).unwrap_or(own)
    }
}

impl FieldChallenger<F> for Recorder {}

impl GrindingChallenger for Recorder {
    type Witness = F;
    fn grind(&mut self, _: usize) -> F {
        unreachable!("the verifier does not grind")
    }
}

type Config = StarkConfig<FriPcs, EF, Recorder>;

const GRINDING: Params =
    Params { lookup_pow: 3, ood_pow: 2, batch_pow: 2, commit_pow: 2, query_pow: 4, ..FAST };

/// The verifier over the recording transcript, with the key's digest, the chip set in the seed and the public values given by the caller.
fn verify(
    shard: &ShardProof,
    tables: Digest,
    log_program: usize,
    seed: &[F],
    public: Vec<F>,
    replay: Option<Tape>,
) -> (bool, Tape) {
    let chips: Vec<Chip> = (0..)
        .zip(Chip::all(None))
        .filter(|(i, _)| shard.chips >> i & 1 == 1)
        .map(|(_, c)| c)
        .collect();
    let mut matrix_to_instance = Vec::new();
    let instances = chips
        .iter()
        .enumerate()
        .map(|(i, chip)| {
            let degree_bits = match chip {
                Chip::Public(_) => 4,
                Chip::Program(_) => log_program,
                Chip::Range(_) => RANGE_ROWS.ilog2() as usize,
                Chip::And(_) => AND_ROWS.ilog2() as usize,
                _ => return None,
            };
            matrix_to_instance.push(i);
            Some(PreprocessedInstanceMeta {
                matrix_index: matrix_to_instance.len() - 1,
                width: chip.preprocessed_width(),
                degree_bits,
            })
        })
        .collect();
    let commitment = MerkleCap::new(vec![tables]);
    let common: CommonData<Config> = CommonData::new(
        Some(GlobalPreprocessed { commitment, instances, matrix_to_instance }),
        chips.iter().map(lookups).collect(),
    );
    let tape = Arc::new(Mutex::new(Tape {
        replay: replay.map(|t| (t.samples, t.bits)),
        ..Default::default()
    }));
    let mut challenger =
        Recorder { inner: Challenger::new(permutation().clone()), tape: tape.clone() };
    challenger.observe_slice(seed);
    let config = Config::new(pcs(&GRINDING), challenger)
        .with_lookup_proof_of_work_bits(GRINDING.lookup_pow)
        .with_ood_proof_of_work_bits(GRINDING.ood_pow);
    let public = chips
        .iter()
        .map(|c| if c.num_public_values() > 0 { public.clone() } else { vec![] })
        .collect::<Vec<_>>();
    let proof: BatchProof<Config> = decode(&encode(&shard.proof).unwrap(), 1 << 30).unwrap();
    let ok = verify_batch(&config, &chips, &proof, &public, &common).is_ok();
    let tape = tape.lock().unwrap().clone();
    (ok, tape)
}

fn contains(observed: &[F], part: &[F]) -> bool {
    !part.is_empty() && observed.windows(part.len()).any(|w| w == part)
}

fn flat(x: &[EF]) -> Vec<F> {
    x.iter().flat_map(|e| e.as_basis_coefficients_slice().to_vec()).collect()
}

#[test]
fn the_transcript_absorbs_everything_and_frozen_challenges_show_it() {
    let run = run(program(&[], &[]), &[], 1 << 20);
    let key = cairn_prover::shard::ProvingKey::with_params(run.program.clone(), GRINDING).unwrap();
    let shard = shards(&run).remove(0);
    let instances =
        cairn_prover::shard::traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
    let proof = key.prove(shard.statement, instances).unwrap();
    let vk = &key.vk;
    let log_program = usize::from(vk.log_program);
    let seed = transcript_seed(&vk.digest(), proof.chips);
    let public = proof.statement.public_values();
    let (ok, honest) = verify(&proof, vk.tables, log_program, &seed, public.clone(), None);
    assert!(ok);

    // The inventory: every part of statement, key and proof goes in.
    let inner = &proof.proof;
    assert_eq!(honest.observed[..seed.len()], seed[..]);
    let mut inventory: Vec<(&str, Vec<F>)> = vec![
        ("public values", public.clone()),
        ("main commitment", inner.commitments.main.roots().concat()),
        ("tables", vk.tables.to_vec()),
        ("lookup grinding", vec![inner.lookup_pow_witness.unwrap()]),
        (
            "permutation commitment",
            inner.commitments.permutation.as_ref().unwrap().roots().concat(),
        ),
        ("quotient commitment", inner.commitments.quotient_chunks.roots().concat()),
        ("out-of-domain grinding", vec![inner.ood_pow_witness]),
    ];
    inventory
        .extend(inner.lookup_terminals.iter().flatten().map(|t| ("lookup terminal", flat(&[t.0]))));
    for opened in &inner.opened_values.instances {
        inventory.push(("opened trace", flat(&opened.base_opened_values.trace_local)));
        inventory.extend(
            opened.base_opened_values.quotient_chunks.iter().map(|c| ("opened quotient", flat(c))),
        );
        inventory.extend(
            opened.base_opened_values.preprocessed.iter().map(|p| ("opened table", flat(&p.local))),
        );
        inventory.push(("opened permutation", flat(&opened.permutation_local)));
        inventory.push(("opened permutation, next row", flat(&opened.permutation_next)));
    }
    let fri = &inner.opening_proof;
    inventory
        .extend(fri.commit_phase_commits.iter().map(|c| ("FRI commitment", c.roots().concat())));
    inventory.push(("final polynomial", flat(&fri.final_poly)));
    inventory.extend(fri.commit_pow_witnesses.iter().map(|w| ("FRI commit grinding", vec![*w])));
    inventory.push(("FRI query grinding", vec![fri.query_pow_witness]));
    for (name, part) in &inventory {
        assert!(contains(&honest.observed, part), "{name} is not absorbed");
    }
    for &bits in &inner.degree_bits {
        assert!(honest.observed.contains(&F::from_usize(bits)));
    }

    // What only the transcript binds: with the honest run's challenges a change passes, with its own it does not.
    let mut entry = vk.clone();
    entry.entry += 4;
    let mut initial = vk.clone();
    initial.initial_root[0] += F::ONE;
    let changes = [
        ("entry", transcript_seed(&entry.digest(), proof.chips)),
        ("initial memory", transcript_seed(&initial.digest(), proof.chips)),
        ("chip set", transcript_seed(&vk.digest(), proof.chips ^ 1 << 40)),
    ];
    for (name, seed) in changes {
        let (frozen, _) =
            verify(&proof, vk.tables, log_program, &seed, public.clone(), Some(honest.clone()));
        assert!(frozen, "{name}: with frozen challenges nothing else should notice");
        let (real, tape) = verify(&proof, vk.tables, log_program, &seed, public.clone(), None);
        assert!(!real, "{name} is not bound");
        assert_ne!(tape.samples.first(), honest.samples.first());
    }
    // What the proof itself binds too: fails even with frozen challenges.
    for k in 0..public.len() {
        let mut other = public.clone();
        other[k] += F::ONE;
        let (frozen, _) =
            verify(&proof, vk.tables, log_program, &seed, other.clone(), Some(honest.clone()));
        let (real, _) = verify(&proof, vk.tables, log_program, &seed, other, None);
        assert!(!real, "public value {k}");
        // The committed words are gated by the flag, which is set here; all values matter.
        assert!(!frozen, "public value {k}");
    }
    let (frozen, _) = verify(&proof, [F::ONE; 8], log_program, &seed, public, Some(honest));
    assert!(!frozen, "the tables' commitment is checked by openings");
}

#[test]
fn the_parameters_are_part_of_the_program_id() {
    let elements = cairn_prover::shard::VerifyingKey {
        log_program: 5,
        tables: [F::ZERO; 8],
        initial_root: [F::ZERO; 8],
        entry: 0,
    }
    .elements();
    assert!(contains(&elements, &PARAMS.elements()));
    for chip in Chip::all(None) {
        let name: Vec<F> = chip.name().bytes().map(F::from_u8).collect();
        assert!(contains(&elements, &name));
    }
}
