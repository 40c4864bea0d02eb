//! What a dishonest prover might do: corrupt cells, forge rows, lie in statements, tamper with proofs.

mod common;

use cairn_prover::bus::F;
use cairn_prover::check::{check, search_forgeries};
use cairn_prover::chips::Chip;
use cairn_prover::program::HALT_PC;
use cairn_prover::shape::ShapeError;
use cairn_prover::shard::{ShardError, ShardStatement, traces, verify_shard_with};
use cairn_prover::verify::{
    DecodeError, ExecutionProof, MAX_PROOF_BYTES, VerifyError, decode, encode, public_input_bytes,
    verify_with,
};
use common::*;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::Matrix;

fn input_of(proof: &ExecutionProof) -> [u8; 32] {
    public_input_bytes(&proof.shards.iter().find_map(|s| s.statement.committed).unwrap())
}

fn verdict(proof: &ExecutionProof, input: &[u8; 32]) -> Result<(), VerifyError> {
    verify_with(&proof.vk.program_id(), input, proof, &FAST)
}

fn copy(proof: &ExecutionProof) -> ExecutionProof {
    decode(&encode(proof).unwrap(), MAX_PROOF_BYTES).unwrap()
}

#[test]
fn every_column_of_every_chip_is_bound() {
    let coverage = cairn_prover::selftest::coverage().unwrap();
    eprintln!(
        "{} of {} columns, {} cells corrupted",
        coverage.covered, coverage.total, coverage.tried
    );
    assert!(coverage.missed.is_empty(), "not noticed: {:?}", coverage.missed);
    assert_eq!(coverage.covered, coverage.total);
}

#[test]
fn the_coverage_is_of_every_chip() {
    use p3_air::BaseAir;
    let run = run(all_program(), &[], 1 << 20);
    let instances = all_traces(&run).remove(0);
    let names: Vec<&str> = instances.iter().map(|i| i.chip.name()).collect();
    let all: Vec<&str> = Chip::all(None).iter().map(Chip::name).collect();
    assert_eq!(names, all);
    let columns: usize = Chip::all(None).iter().map(BaseAir::<F>::width).sum();
    assert_eq!(columns, instances.iter().map(|i| i.trace.width()).sum::<usize>());
}

#[test]
fn random_changes_of_several_cells_forge_nothing() {
    let run = run(all_program(), &[], 1 << 20);
    let instances: Vec<_> = all_traces(&run)
        .remove(0)
        .into_iter()
        .filter(|i| !matches!(i.chip, Chip::Accel(_)))
        .collect();
    let found = search_forgeries(&instances, 4000, 4, 0x9e37_79b9);
    assert!(found.is_empty(), "{:?}", &found[..found.len().min(5)]);
}

#[test]
fn an_execution_in_several_shards_verifies_and_nothing_else_does() {
    let (body, data) = everything();
    let run = run(program(&body, &data), &[], 300);
    assert!(run.shards() >= 3);
    let honest = prove(&run);
    let input = input_of(&honest);
    verdict(&honest, &input).unwrap();
    assert_eq!(run.execution.public_input(), Some(input));

    // Another program, another public input.
    let id = honest.vk.program_id();
    let mut other = id;
    other[31] ^= 1;
    assert_eq!(verify_with(&other, &input, &honest, &FAST), Err(VerifyError::Program));
    let mut other = input;
    other[0] ^= 1;
    assert_eq!(verdict(&honest, &other), Err(VerifyError::PublicInput));

    // Partial executions.
    let last = honest.shards.len() - 1;
    let mut partial = copy(&honest);
    partial.shards.pop();
    assert!(matches!(verdict(&partial, &input), Err(VerifyError::Halt(_))));
    let mut partial = copy(&honest);
    partial.shards.remove(0);
    assert_eq!(verdict(&partial, &input), Err(VerifyError::Chain(0)));
    let mut partial = copy(&honest);
    partial.shards.remove(1);
    assert_eq!(verdict(&partial, &input), Err(VerifyError::Chain(1)));
    let mut none = copy(&honest);
    none.shards.clear();
    assert_eq!(verdict(&none, &input), Err(VerifyError::ShardCount(0)));

    // Reordered and repeated shards.
    let mut swapped = copy(&honest);
    swapped.shards.swap(0, 1);
    assert_eq!(verdict(&swapped, &input), Err(VerifyError::Chain(0)));
    let mut repeated = copy(&honest);
    repeated.shards.insert(1, copy(&honest).shards.remove(0));
    assert_eq!(verdict(&repeated, &input), Err(VerifyError::Chain(1)));
    let mut doubled = copy(&honest);
    doubled.shards.push(copy(&honest).shards.remove(last));
    assert!(verdict(&doubled, &input).is_err());

    // Statements that lie.
    let lies: [fn(&mut ShardStatement); 6] = [
        |s| s.pc[0] += 4,
        |s| s.pc[1] = HALT_PC,
        |s| s.root[0][3] += F::ONE,
        |s| s.root[1][7] += F::ONE,
        |s| s.committed = Some([7; 8]),
        |s| s.pc[1] = u32::MAX,
    ];
    for lie in lies {
        let mut shard = copy(&honest).shards.remove(0);
        lie(&mut shard.statement);
        assert!(verify_shard_with(&honest.vk, &shard, &FAST).is_err());
    }
    let mut silent = copy(&honest).shards.remove(last);
    silent.statement.committed = None;
    assert!(verify_shard_with(&honest.vk, &silent, &FAST).is_err());

    // Another program's key, another chip set.
    let mut vk = honest.vk.clone();
    vk.tables[0] += F::ONE;
    assert!(verify_shard_with(&vk, &honest.shards[0], &FAST).is_err());
    let mut vk = honest.vk.clone();
    vk.entry += 4;
    assert!(verify_shard_with(&vk, &honest.shards[0], &FAST).is_err());
    // The same field element, so the same program id.
    let mut vk = honest.vk.clone();
    vk.entry += F::ORDER_U32;
    assert_eq!(vk.program_id(), honest.vk.program_id());
    let refused = verify_shard_with(&vk, &honest.shards[0], &FAST);
    assert!(matches!(refused, Err(ShardError::Statement(_))), "{refused:?}");
    for bit in 0..64 {
        let mut shard = copy(&honest).shards.remove(0);
        shard.chips ^= 1 << bit;
        assert!(verify_shard_with(&honest.vk, &shard, &FAST).is_err(), "chip {bit}");
    }
    let mut shard = copy(&honest).shards.remove(0);
    shard.chips &= !1;
    assert_eq!(
        verify_shard_with(&honest.vk, &shard, &FAST),
        Err(ShardError::Shape(ShapeError::ChipSet(shard.chips)))
    );
}

#[test]
fn heights_beyond_the_bound_are_refused_before_the_verifier_runs() {
    let run = run(program(&[], &[]), &[], 1 << 20);
    let honest = prove(&run);
    for bits in [22, 30, 63, 64, usize::MAX] {
        let mut proof = copy(&honest).shards.remove(0);
        *proof.proof.degree_bits.last_mut().unwrap() = bits;
        assert!(matches!(verify_shard_with(&honest.vk, &proof, &FAST), Err(ShardError::Shape(_))));
    }
    let mut proof = copy(&honest).shards.remove(0);
    proof.proof.degree_bits.pop();
    assert!(matches!(verify_shard_with(&honest.vk, &proof, &FAST), Err(ShardError::Shape(_))));
}

#[test]
fn corrupted_traces_give_no_acceptable_proof() {
    let (body, data) = everything();
    let run = run(program(&body, &data), &[], 1 << 20);
    let shard = shards(&run).remove(0);
    let key = cairn_prover::shard::ProvingKey::with_params(run.program.clone(), FAST).unwrap();
    let honest = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
    // The result of an instruction, a multiplicity, a digest, a flag.
    for (name, column) in [("add", 16), ("range", 0), ("boundary", 50), ("mul", 30), ("merkle", 0)]
    {
        let mut instances = honest.clone();
        let instance = instances.iter_mut().find(|i| i.chip.name() == name).unwrap();
        let width = instance.trace.width();
        instance.trace.values[3 * width + column] += F::ONE;
        assert!(check(&instances).is_err());
        if let Ok(proof) = key.prove(shard.statement.clone(), instances) {
            assert!(verify_shard_with(&key.vk, &proof, &FAST).is_err(), "{name} {column}");
        }
    }
}

#[test]
fn the_decoder_takes_exactly_the_encodings() {
    let run = run(program(&[], &[]), &[], 1 << 20);
    let honest = prove(&run);
    let bytes = encode(&honest).unwrap();
    let read = |bytes: &[u8]| decode::<ExecutionProof>(bytes, MAX_PROOF_BYTES);
    assert!(read(&bytes).is_ok());
    assert!(matches!(decode::<ExecutionProof>(&bytes, 100), Err(DecodeError::TooLarge(_))));
    assert!(read(&[&bytes[..], &[0]].concat()).is_err());
    // A longer spelling of the same value, the first program counter.
    let mut pc = bytes.len() - encode(&honest.shards).unwrap().len() + 1;
    assert_eq!(bytes[pc - 1], 1, "one shard, then its first program counter");
    while bytes[pc] & 0x80 != 0 {
        pc += 1;
    }
    let longer = [&bytes[..pc], &[bytes[pc] | 0x80, 0], &bytes[pc + 1..]].concat();
    assert!(read(&longer).is_err());
    for end in [0, 1, 10, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(read(&bytes[..end]).is_err());
    }
}

#[test]
fn any_flipped_bit_of_a_proof_is_refused() {
    let run = run(program(&[], &[]), &[], 1 << 20);
    let honest = prove(&run);
    let input = input_of(&honest);
    let id = honest.vk.program_id();
    let bytes = encode(&honest).unwrap();
    // A sample of positions, dense at the start where the structure is.
    let positions = (0..400).step_by(7).chain((400..bytes.len()).step_by(bytes.len() / 60));
    for (k, position) in positions.enumerate() {
        let mut bytes = bytes.clone();
        bytes[position] ^= 1 << (k % 8);
        if let Ok(proof) = decode::<ExecutionProof>(&bytes, MAX_PROOF_BYTES) {
            assert!(verify_with(&id, &input, &proof, &FAST).is_err(), "byte {position}");
        }
    }
}
