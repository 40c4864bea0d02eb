//! The transcript: numbers that the contract's test reaches, too, and an inventory of what a verifier absorbs, by a third implementation.

mod common;

use alloy_primitives::{B256, keccak256};
use cairn_final_proof::codec::{Layout, element_bytes};
use cairn_final_proof::config::Challenger;
use cairn_final_proof::key::transcript_seeds;
use cairn_final_proof::statement::public_values;
use cairn_final_proof::{EF, F, prove_final, verify_final};
use common::{CHEAP, SMALL, Sample, sample};
use p3_challenger::{CanObserve, CanSample, CanSampleBits};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
use p3_keccak::Keccak256Hash;
use std::ops::Range;

const MODULUS: u32 = 0x7f00_0001;

/// The same numbers are in `contracts/test/Transcript.t.sol`.
#[test]
fn challenges_are_the_contracts() {
    let mut transcript =
        Challenger::from_hasher(keccak256("cairn transcript").to_vec(), Keccak256Hash);
    let draw = |transcript: &mut Challenger| {
        let x: EF = transcript.sample();
        let coordinates: &[F] = x.as_basis_coefficients_slice();
        coordinates.iter().map(|c| c.as_canonical_u32()).collect::<Vec<_>>()
    };
    (1..=25u32).for_each(|i| transcript.observe(F::from_u32(i)));
    let first = [959_302_525, 884_241_120, 162_579_848, 1_999_329_976, 1_492_080_390];
    assert_eq!(draw(&mut transcript), first);
    let second = [196_918_939, 1_576_994_267, 120_490_575, 1_477_853_492, 969_812_281];
    assert_eq!(draw(&mut transcript), second);
    transcript.observe(p3_symmetric::Hash::<F, u8, 32>::from([0xff; 32]));
    let third = [1_193_258_189, 385_304_977, 1_093_390_526, 82_627_235, 711_793_942];
    assert_eq!(draw(&mut transcript), third);
    let bits: Vec<usize> = (0..3).map(|_| transcript.sample_bits(20)).collect();
    assert_eq!(bits, [791_726, 444_513, 310_038]);
}

/// A hash chain over bytes.
struct Chain {
    bytes: Vec<u8>,
    left: Vec<u8>,
}

impl Chain {
    fn absorb(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.left.clear();
    }
    fn squeeze(&mut self) {
        if self.left.is_empty() {
            self.left = keccak256(&self.bytes).to_vec();
            self.bytes.clone_from(&self.left);
        }
    }
    fn draw(&mut self) -> u32 {
        self.squeeze();
        let at = self.left.len() - 4;
        let word = self.left.split_off(at);
        u32::from_be_bytes([word[0], word[1], word[2], word[3]])
    }
    fn element(&mut self) -> Vec<u32> {
        let mut coordinates = vec![];
        while coordinates.len() < 5 {
            let x = self.draw() & 0x7fff_ffff;
            coordinates.extend((x < MODULUS).then_some(x));
        }
        coordinates
    }
}

/// What a walk over a proof hears.
struct Walk {
    /// Every challenge.
    drawn: Vec<u32>,
    /// The bytes of the proof that were absorbed, with the number of challenges drawn before.
    absorbed: Vec<(Range<usize>, usize)>,
    /// Whether each proof of work holds.
    work: bool,
}

struct Walker<'a> {
    chain: Chain,
    proof: &'a [u8],
    walk: Walk,
    witness: usize,
}

impl Walker<'_> {
    fn absorb(&mut self, range: Range<usize>) {
        self.chain.absorb(&self.proof[range.clone()]);
        self.walk.absorbed.push((range, self.walk.drawn.len()));
    }
    fn element(&mut self) {
        let drawn = self.chain.element();
        self.walk.drawn.extend(drawn);
    }
    fn grind(&mut self, bits: usize) {
        if bits > 0 {
            self.chain.squeeze();
            self.absorb(self.witness..self.witness + 4);
            self.witness += 4;
            self.walk.work &= self.chain.draw() & ((1 << bits) - 1) == 0;
        }
    }
}

fn walk(s: &Sample, proof: &[u8]) -> Walk {
    let (shape, layout) = (s.key.shape(), Layout::new(s.key.shape()));
    let seeds = transcript_seeds(shape);
    let p = &shape.params;
    let chain = Chain { bytes: s.key.digest().to_vec(), left: vec![] };
    let walk = Walk { drawn: vec![], absorbed: vec![], work: true };
    let mut w = Walker { chain, proof, walk, witness: layout.witnesses };
    w.chain.absorb(&seeds[0]);
    w.absorb(0..32);
    s.publics.iter().for_each(|&x| w.chain.absorb(&element_bytes(x)));
    w.chain.absorb(&s.key.root());
    w.grind(p.lookup_pow);
    w.element();
    w.element();
    w.absorb(layout.lookup..layout.quotient);
    w.element();
    w.absorb(layout.quotient..layout.opened);
    w.grind(p.ood_pow);
    w.element();
    w.chain.absorb(&seeds[1]);
    w.absorb(layout.opened..layout.fold_roots);
    w.grind(p.batch_pow);
    w.element();
    w.chain.absorb(&seeds[2]);
    for round in 0..shape.log_arities.len() {
        let at = layout.fold_roots + 32 * round;
        w.absorb(at..at + 32);
        w.grind(p.commit_pow);
        w.element();
    }
    w.absorb(layout.final_poly..layout.witnesses);
    w.grind(p.query_pow);
    for _ in 0..p.num_queries {
        let index = w.chain.draw();
        w.walk.drawn.push(index & ((1 << shape.log_max_height()) - 1));
    }
    w.walk
}

fn setup() -> (Sample, Vec<u8>) {
    let inputs = [B256::repeat_byte(5)];
    let publics = public_values(&B256::repeat_byte(1), &inputs).unwrap();
    let s = sample(SMALL, CHEAP, &publics);
    let proof = prove_final(&s.key, &s.traces, &s.publics).unwrap();
    verify_final(&s.key, &s.publics, &proof).unwrap();
    (s, proof)
}

/// The third implementation hears the proofs of work that the prover did, so it draws what prover and verifier draw; and it absorbs every byte that is fixed before the queries, once.
#[test]
fn everything_before_the_queries_is_absorbed() {
    let (s, proof) = setup();
    let walk = walk(&s, &proof);
    assert!(walk.work);
    let layout = Layout::new(s.key.shape());
    let mut ranges: Vec<Range<usize>> = walk.absorbed.into_iter().map(|(range, _)| range).collect();
    ranges.sort_by_key(|range| range.start);
    let mut end = 0;
    for range in ranges {
        assert_eq!(range.start, end, "a gap, or bytes absorbed twice");
        end = range.end;
    }
    assert_eq!(end, layout.counts);
}

/// A frozen-challenge test: whoever changes what was absorbed meets other challenges from there on, so that no change can be made to fit challenges known before.
#[test]
fn a_change_changes_every_later_challenge() {
    let (s, proof) = setup();
    let honest = walk(&s, &proof);
    for (range, before) in &honest.absorbed {
        for at in [range.start, range.end - 1] {
            let mut bad = proof.clone();
            bad[at] ^= 1;
            let other = walk(&s, &bad);
            assert_eq!(other.drawn[..*before], honest.drawn[..*before]);
            let fresh = other.drawn[*before..].iter().zip(&honest.drawn[*before..]);
            let same = fresh.clone().filter(|(a, b)| a == b).count();
            // Indices are short: a few may agree by chance.
            assert!(same * 4 < fresh.len() + 3, "byte {at}: {same} of {} as before", fresh.len());
            assert!(verify_final(&s.key, &s.publics, &bad).is_err());
        }
    }
    // The statement is absorbed before the first challenge.
    let mut publics = s.publics.clone();
    publics[20] += F::ONE;
    let other = walk(&Sample { publics, ..setup().0 }, &proof);
    assert!(other.drawn.iter().zip(&honest.drawn).filter(|(a, b)| a == b).count() < 4);
}
