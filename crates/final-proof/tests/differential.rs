//! The native verifier and the contract accept the same proofs.

#[path = "common/cheat.rs"]
mod cheat;
mod common;

use alloy_primitives::{B256, U256, keccak256};
use cairn_final_proof::codec::Layout;
use cairn_final_proof::statement::{NUM_PUBLIC_VALUES, StatementError, public_values};
use cairn_final_proof::{F, Params, prove_final, verify_final};
use common::evm::{Contract, Verdict, calldata};
use common::{CHEAP, SMALL, Sample, sample};
use p3_field::PrimeCharacteristicRing;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::OnceLock;

const MODULUS: u32 = 0x7f00_0001;

struct Setup {
    sample: Sample,
    contract: Contract,
    inputs: Vec<B256>,
    proof: Vec<u8>,
}

/// Numbers below the modulus, as every program id has.
fn id(of: &str) -> B256 {
    let mut id = keccak256(of);
    (0..32).step_by(4).for_each(|i| id[i] &= 0x3f);
    id
}

fn program_id() -> B256 {
    id("program")
}

fn make(heights: [usize; 5], params: Params) -> Setup {
    let inputs = vec![B256::repeat_byte(7), keccak256("second")];
    let sample = sample(heights, params, &public_values(&program_id(), &inputs).unwrap());
    let proof = prove_final(&sample.key, &sample.traces, &sample.publics).unwrap();
    let contract = Contract::deploy(&sample.key, program_id());
    Setup { sample, contract, inputs, proof }
}

fn small() -> &'static Setup {
    static SMALL_SETUP: OnceLock<Setup> = OnceLock::new();
    SMALL_SETUP.get_or_init(|| make(SMALL, CHEAP))
}

impl Setup {
    fn native(&self, proof: &[u8]) -> bool {
        let publics = public_values(&program_id(), &self.inputs).unwrap();
        verify_final(&self.sample.key, &publics, proof).is_ok()
    }

    /// The native verifier's reason to refuse.
    fn reason(&self, proof: &[u8]) -> String {
        let publics = public_values(&program_id(), &self.inputs).unwrap();
        verify_final(&self.sample.key, &publics, proof).unwrap_err().to_string()
    }

    /// Both refuse, the contract by this check (`CHECK_` in `Field5.sol`).
    fn refused_by(&self, check: u64, proof: &[u8], what: &str) {
        assert!(!self.native(proof), "the native verifier accepts: {what}");
        let verdict = self.contract.verify(&self.inputs, proof);
        assert_eq!(verdict, Verdict::Refused(Some(check)), "{what}");
    }

    /// Both refuse.
    fn refused(&self, proof: &[u8], what: &str) {
        assert!(!self.native(proof), "the native verifier accepts: {what}");
        let verdict = self.contract.verify(&self.inputs, proof);
        assert!(matches!(verdict, Verdict::Refused(_)), "the contract accepts: {what}");
    }
}

#[test]
fn honest_proofs_are_accepted_by_both() {
    let s = small();
    assert!(s.native(&s.proof));
    let verdict = s.contract.verify(&s.inputs, &s.proof);
    eprintln!("{verdict:?}, {} bytes", s.proof.len());
    assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");
}

/// Every element of the proof (of a whole query, and some of the others), changed in each of several ways.
#[test]
fn every_field_is_bound() {
    let s = small();
    let rng = &mut StdRng::seed_from_u64(1);
    let layout = Layout::new(s.sample.key.shape());
    let second = layout.queries + s.sample.key.shape().query_bytes();
    for at in (0..s.proof.len()).step_by(4).filter(|at| *at + 4 <= s.proof.len()) {
        // Of the second and later queries and of the digests, which are all alike, some.
        if at >= second && rng.random_range(0..8) > 0 {
            continue;
        }
        let mut bad = s.proof.clone();
        let old = u32::from_le_bytes(bad[at..at + 4].try_into().unwrap());
        let digest = at < 32
            || (layout.lookup..layout.lookup + 32).contains(&at)
            || (layout.quotient..layout.opened).contains(&at)
            || (layout.fold_roots..layout.final_poly).contains(&at)
            || at >= layout.counts;
        let new = match rng.random_range(0..4) {
            _ if digest => old ^ (1 << rng.random_range(0..32)),
            0 => (old + 1) % MODULUS,
            1 => (old + MODULUS - 1) % MODULUS,
            2 => old ^ (1 << rng.random_range(0..32)),
            _ => old.wrapping_add(MODULUS),
        };
        if new == old {
            continue;
        }
        bad[at..at + 4].copy_from_slice(&new.to_le_bytes());
        s.refused(&bad, &format!("element at {at}: {old} -> {new}"));
    }
}

/// Random bits anywhere, and bytes set to values of each class.
#[test]
fn random_bytes_are_bound() {
    let s = small();
    let rng = &mut StdRng::seed_from_u64(2);
    for _ in 0..400 {
        let mut bad = s.proof.clone();
        let at = rng.random_range(0..bad.len());
        let new = match rng.random_range(0..5) {
            0 => bad[at] ^ 1 << rng.random_range(0..8),
            1 => 0,
            2 => 0xff,
            3 => 0x80,
            _ => rng.random(),
        };
        if std::mem::replace(&mut bad[at], new) != new {
            s.refused(&bad, &format!("byte {at} = {new}"));
        }
    }
}

const CHECK_LENGTH: u64 = 1;
const CHECK_CANONICAL: u64 = 2;
const CHECK_GRINDING: u64 = 3;
const CHECK_CONSTRAINTS: u64 = 4;
const CHECK_MERKLE: u64 = 6;
const CHECK_FOLDING: u64 = 7;

/// Proofs that only one check can refuse, or that reach it first: none of the checks is left out because another one usually speaks first.
#[test]
fn each_check_refuses_by_itself() {
    let s = small();
    let (shape, layout) = (s.sample.key.shape(), Layout::new(s.sample.key.shape()));
    let changed = |at: usize| {
        let mut bad = s.proof.clone();
        bad[at] ^= 1;
        bad
    };
    s.refused_by(CHECK_LENGTH, &[&s.proof[..], &[0; 32]].concat(), "a digest too many");
    let mut unreduced = s.proof.clone();
    unreduced[layout.opened..layout.opened + 4].copy_from_slice(&MODULUS.to_le_bytes());
    s.refused_by(CHECK_CANONICAL, &unreduced, "the modulus itself");
    s.refused_by(CHECK_CONSTRAINTS, &changed(layout.opened), "an opened value");
    // The last query's: the folding comes out elsewhere than the final polynomial, before any path is looked at.
    let last = layout.queries + (shape.params.num_queries - 1) * shape.query_bytes();
    s.refused_by(CHECK_FOLDING, &changed(last), "a row");
    s.refused_by(CHECK_FOLDING, &changed(layout.digests - 20), "a sibling of the last folding");
    for at in [layout.digests, s.proof.len() - 32] {
        s.refused_by(CHECK_MERKLE, &changed(at), "a sibling");
        assert!(s.reason(&changed(at)).contains("CapMismatch"), "{}", s.reason(&changed(at)));
    }
}

/// Too little work, before each of the challenges: a witness that does not do is refused as such, whatever follows it.
#[test]
fn low_grinding_is_refused() {
    let s = small();
    let layout = Layout::new(s.sample.key.shape());
    for at in (layout.witnesses..layout.counts).step_by(4) {
        let mut lazy = 0;
        for witness in 1..=12u32 {
            let mut bad = s.proof.clone();
            bad[at..at + 4].copy_from_slice(&witness.to_le_bytes());
            if bad == s.proof {
                continue;
            }
            s.refused(&bad, "another witness");
            let by = s.contract.verify(&s.inputs, &bad);
            // A witness may do by chance; then the challenges are others.
            if by == Verdict::Refused(Some(CHECK_GRINDING)) {
                let reason = s.reason(&bad).to_lowercase();
                assert!(reason.contains("pow") || reason.contains("proof-of-work"), "{reason}");
                lazy += 1;
            }
        }
        assert!(lazy > 0, "the witness at {at} is not checked");
    }
}

/// Fewer queries than the key asks for, one query for two, a longer final polynomial, and a shorter one.
#[test]
fn other_numbers_of_queries_and_coefficients_are_refused() {
    let s = small();
    let (shape, layout) = (s.sample.key.shape(), Layout::new(s.sample.key.shape()));
    let size = shape.query_bytes();
    let with =
        |at: usize, out: usize, new: &[u8]| [&s.proof[..at], new, &s.proof[at + out..]].concat();
    for query in 0..shape.params.num_queries {
        let at = layout.queries + query * size;
        s.refused_by(CHECK_LENGTH, &with(at, size, &[]), "a query less");
        let next = layout.queries + (query + 1) % shape.params.num_queries * size;
        let other = s.proof[next..next + size].to_vec();
        if other != s.proof[at..at + size] {
            s.refused(&with(at, size, &other), "its neighbour in a query's place");
        }
        s.refused(&with(at, size, &vec![0; size]), "an empty query");
    }
    s.refused_by(CHECK_LENGTH, &with(layout.witnesses, 0, &[0; 20]), "a coefficient more");
    s.refused_by(CHECK_LENGTH, &with(layout.witnesses - 20, 20, &[]), "a coefficient less");
    // The bytes of a root more or less: the length is that of a proof with another number of siblings.
    s.refused(&with(layout.fold_roots, 32, &[]), "a folding less");
    s.refused(&with(layout.fold_roots, 0, &[0; 32]), "a folding more");
}

/// The cheat that only the low-degree test can find: committed columns that are no polynomials of their degree. All else of the proof is honest, so the one thing
/// that is wrong is the final polynomial.
#[test]
fn columns_that_are_no_polynomials_are_refused() {
    let s = make(SMALL, Params { num_queries: 20, ..CHEAP });
    let shape = s.sample.key.shape();
    let tables: Vec<usize> = (0..shape.airs.len())
        .filter(|&at| shape.airs[at].log_chunks < shape.params.log_blowup)
        .collect();
    assert!(tables.len() >= 3, "{tables:?}");
    for at in tables {
        let proof = cheat::noisy_proof(&s.sample, at);
        s.refused_by(CHECK_FOLDING, &proof, &format!("noise in table {at}"));
        assert!(s.reason(&proof).contains("FinalPolyMismatch"), "{}", s.reason(&proof));
    }
}

/// A prover that proves a table which its constraints do not allow, and one that claims other public values than its tables have.
#[test]
fn executions_that_break_a_constraint_are_refused() {
    let s = small();
    for at in 0..s.sample.traces.len() {
        let mut traces = s.sample.traces.clone();
        traces[at].values[0] += F::ONE;
        let Ok(proof) = prove_final(&s.sample.key, &traces, &s.sample.publics) else { continue };
        s.refused_by(CHECK_CONSTRAINTS, &proof, &format!("a cell of table {at}"));
    }
    let mut publics = s.sample.publics.clone();
    publics[13] += F::ONE;
    if let Ok(proof) = prove_final(&s.sample.key, &s.sample.traces, &publics) {
        assert!(verify_final(&s.sample.key, &publics, &proof).is_err());
        s.refused(&proof, "for another statement");
    }
}

#[test]
fn other_lengths_are_refused() {
    let s = small();
    let n = s.proof.len();
    for cut in [0, 1, 4, 31, 32, n / 4, n / 2, n - 64, n - 33, n - 32, n - 4, n - 1] {
        s.refused(&s.proof[..cut], &format!("the first {cut} bytes"));
    }
    for more in [1, 4, 32, 64, 4096] {
        s.refused(&[&s.proof[..], &vec![0; more]].concat(), &format!("{more} bytes more"));
        s.refused(&[&s.proof[..], &s.proof[..more.min(n)]].concat(), "its own bytes again");
    }
}

/// The numbers of siblings: moved from one tree to another, and as large as they go.
#[test]
fn other_sibling_counts_are_refused() {
    let s = small();
    let layout = Layout::new(s.sample.key.shape());
    let trees = s.sample.key.shape().num_trees();
    for from in 0..trees {
        for to in (0..trees).filter(|&t| t != from) {
            let mut bad = s.proof.clone();
            bad[layout.counts + 2 * from + 1] -= 1;
            bad[layout.counts + 2 * to + 1] += 1;
            s.refused(&bad, &format!("a sibling of tree {from} given to {to}"));
        }
        let mut bad = s.proof.clone();
        bad[layout.counts + 2 * from..][..2].copy_from_slice(&[0xff, 0xff]);
        s.refused(&bad, "65,535 siblings");
        let mut bad = s.proof.clone();
        bad[layout.counts + 2 * from + 1] += 1;
        bad.extend([0; 32]);
        s.refused(&bad, "one sibling more, and its bytes");
    }
}

/// Elements from the modulus on, in every part, even where the residue is the honest one.
#[test]
fn unreduced_elements_are_refused() {
    let s = small();
    let layout = Layout::new(s.sample.key.shape());
    let parts =
        [layout.lookup + 32, layout.opened, layout.final_poly, layout.witnesses, layout.queries];
    for part in parts {
        for at in (part..part + 60).step_by(4) {
            let old = u32::from_le_bytes(s.proof[at..at + 4].try_into().unwrap());
            let mut bad = s.proof.clone();
            bad[at..at + 4].copy_from_slice(&(old + MODULUS).to_le_bytes());
            s.refused(&bad, &format!("unreduced at {at}"));
        }
    }
}

#[test]
fn swapped_parts_are_refused() {
    let s = small();
    let shape = s.sample.key.shape();
    let layout = Layout::new(shape);
    let swap = |a: usize, b: usize, n: usize, what: &str| {
        let mut bad = s.proof.clone();
        let (x, y) = (bad[a..a + n].to_vec(), bad[b..b + n].to_vec());
        if x != y {
            bad[a..a + n].copy_from_slice(&y);
            bad[b..b + n].copy_from_slice(&x);
            s.refused(&bad, what);
        }
    };
    let query = shape.query_bytes();
    swap(layout.queries, layout.queries + query, query, "two queries");
    swap(layout.digests, layout.digests + 32, 32, "two siblings");
    swap(0, layout.quotient, 32, "two roots");
    swap(layout.fold_roots, layout.fold_roots + 32, 32, "two folding roots");
    swap(layout.opened, layout.opened + 20, 20, "two openings");
    swap(layout.final_poly, layout.final_poly + 20, 20, "two coefficients");
    let rows: usize = shape.batches.iter().map(|b| 4 * b.row_elements()).sum();
    swap(layout.queries + rows, layout.queries + rows + 20, 20, "two siblings of a folding");
    swap(layout.lookup + 32, layout.lookup + 52, 20, "two terminals");
}

/// Other batches, another order or number of them, another program: the public values are others.
#[test]
fn other_statements_are_refused() {
    let s = small();
    let key = &s.sample.key;
    let (a, b) = (s.inputs[0], s.inputs[1]);
    let mut turned = a;
    turned.0[..2].reverse();
    let zero = B256::ZERO;
    for other in [
        vec![a],
        vec![b, a],
        vec![a, b, b],
        vec![a, b, zero],
        vec![a, b, zero, zero],
        vec![a, keccak256(b)],
        vec![b, b],
    ] {
        let publics = public_values(&program_id(), &other).unwrap();
        assert!(verify_final(key, &publics, &s.proof).is_err());
        assert!(matches!(s.contract.verify(&other, &s.proof), Verdict::Refused(_)), "{other:?}");
    }
    for n in [0, 5, 6] {
        let other = vec![a; n];
        assert_eq!(public_values(&program_id(), &other), Err(StatementError::Batches(n)));
        assert!(matches!(s.contract.verify(&other, &s.proof), Verdict::Refused(_)), "{n}");
    }
    let other = id("another program");
    assert!(verify_final(key, &public_values(&other, &s.inputs).unwrap(), &s.proof).is_err());
    let contract = Contract::deploy(key, other);
    assert!(matches!(contract.verify(&s.inputs, &s.proof), Verdict::Refused(_)));
    // Fewer or more public values than the key has.
    for n in [0, NUM_PUBLIC_VALUES - 1, NUM_PUBLIC_VALUES + 1] {
        let publics = vec![F::default(); n];
        assert!(verify_final(key, &publics, &s.proof).is_err());
    }
}

/// Every byte of the statement is bound: of the program's id and of each public input.
#[test]
fn every_byte_of_the_statement_is_bound() {
    let s = small();
    let code = cairn_final_proof::solidity::parts(&s.sample.key).unwrap();
    for at in 0..32 {
        let mut other = program_id();
        other.0[at] ^= 1;
        let publics = public_values(&other, &s.inputs).unwrap();
        assert!(verify_final(&s.sample.key, &publics, &s.proof).is_err());
        let contract = Contract::deploy_with(&code, s.sample.key.digest(), other).unwrap();
        assert!(matches!(contract.verify(&s.inputs, &s.proof), Verdict::Refused(_)), "{at}");
        for batch in 0..s.inputs.len() {
            let mut other = s.inputs.clone();
            other[batch].0[at] ^= 1;
            let publics = public_values(&program_id(), &other).unwrap();
            assert!(verify_final(&s.sample.key, &publics, &s.proof).is_err());
            assert!(matches!(s.contract.verify(&other, &s.proof), Verdict::Refused(_)), "{at}");
        }
    }
}

/// An id that is no digest would be a second name of a program.
#[test]
fn program_ids_are_canonical() {
    let s = small();
    let code = cairn_final_proof::solidity::parts(&s.sample.key).unwrap();
    for at in (0..32).step_by(4) {
        let mut other = program_id();
        let old = u32::from_be_bytes(other[at..at + 4].try_into().unwrap());
        other.0[at..at + 4].copy_from_slice(&(old + MODULUS).to_be_bytes());
        assert_eq!(public_values(&other, &s.inputs), Err(StatementError::ProgramId));
        assert!(Contract::deploy_with(&code, s.sample.key.digest(), other).is_none());
    }
}

/// A proof of another key, and a contract that is given another key's data.
#[test]
fn other_keys_are_refused() {
    let s = small();
    let mut params = CHEAP;
    params.query_pow += 1;
    let other = make(SMALL, params);
    assert_ne!(other.sample.key.digest(), s.sample.key.digest());
    s.refused(&other.proof, "a proof of another key");
    other.refused(&s.proof, "a proof of another key");
    let code = cairn_final_proof::solidity::parts(&other.sample.key).unwrap();
    assert!(Contract::deploy_with(&code, s.sample.key.digest(), program_id()).is_none());
    let mut code = cairn_final_proof::solidity::parts(&s.sample.key).unwrap();
    *code[0].last_mut().unwrap() ^= 1;
    assert!(Contract::deploy_with(&code, s.sample.key.digest(), program_id()).is_none());
}

/// Data that cannot be a key's makes no verifier: another format, an account without code.
#[test]
fn only_keys_are_deployed() {
    let s = small();
    let code = cairn_final_proof::solidity::parts(&s.sample.key).unwrap();
    let mut other = code.clone();
    other[0][1] ^= 1;
    let digest = keccak256(other.iter().flat_map(|part| &part[1..]).copied().collect::<Vec<_>>());
    assert!(Contract::deploy_with(&other, digest, program_id()).is_none(), "another format");
    assert_eq!(code.len(), 2);
    let empty = vec![code[0].clone(), Vec::new()];
    let digest = keccak256(&code[0][1..]);
    assert!(Contract::deploy_with(&empty, digest, program_id()).is_none(), "no code");
    // Its proofs prove next to nothing.
    assert!(matches!(
        cairn_final_proof::solidity::data_code(&s.sample.key),
        Err(cairn_final_proof::solidity::Unfit::Insecure(_))
    ));
}

/// Lengths and offsets of the call itself: none of them leads outside of the proof.
#[test]
fn hostile_calldata_is_refused() {
    let s = small();
    let honest = calldata(&s.inputs, &s.proof);
    assert!(matches!(s.contract.call(honest.clone()), Verdict::Accepted { .. }));
    for word in [0, 1, 2, 5] {
        for value in [[0; 32], [0xff; 32], [0x7f; 32]] {
            let mut bad = honest.clone();
            bad[4 + 32 * word..][..32].copy_from_slice(&value);
            assert!(matches!(s.contract.call(bad), Verdict::Refused(_)), "word {word}");
        }
    }
    // Arrays that overlap, begin in the middle of a word or of each other, or are an element shorter or longer.
    let word = |n: u32| U256::from(n).to_be_bytes::<32>();
    let proof_at = 64 + 32 + 32 * s.inputs.len() as u32;
    let n = s.proof.len() as u32;
    let near = |x: u32| [x - 32, x - 31, x - 1, x + 1, x + 31, x + 32, x + 64];
    let offsets = (0..proof_at).step_by(8).chain(near(proof_at)).chain(near(64));
    let changes = [(0, 64), (1, proof_at)].into_iter();
    let changes = changes.flat_map(|(at, old)| offsets.clone().map(move |new| (at, old, new)));
    let lengths = [1, 3, 4].map(|new| (2, s.inputs.len() as u32, new));
    let lengths = lengths.into_iter().chain(near(n).map(|new| (5, n, new)));
    for (at, old, new) in changes.chain(lengths).filter(|(_, old, new)| old != new) {
        let mut bad = honest.clone();
        bad[4 + 32 * at..][..32].copy_from_slice(&word(new));
        let verdict = s.contract.call(bad);
        assert!(matches!(verdict, Verdict::Refused(_)), "word {at}: {new} for {old}: {verdict:?}");
    }
    for cut in [0, 3, 4, 36, 68, 100, 1000, honest.len() - 64] {
        assert!(matches!(s.contract.call(honest[..cut].to_vec()), Verdict::Refused(_)), "{cut}");
    }
    // What comes after the arguments is no part of them.
    let longer = [&honest[..], &[0xff; 64]].concat();
    assert!(matches!(s.contract.call(longer), Verdict::Accepted { .. }));
}

/// Random bytes of the right length, and of any length.
#[test]
fn noise_is_refused() {
    let s = small();
    let rng = &mut StdRng::seed_from_u64(3);
    for i in 0..20 {
        let n = if i % 2 == 0 { s.proof.len() } else { rng.random_range(0..2 * s.proof.len()) };
        let noise: Vec<u8> = (0..n).map(|_| rng.random()).collect();
        s.refused(&noise, "noise");
    }
    s.refused(&vec![0; s.proof.len()], "zeros");
}
