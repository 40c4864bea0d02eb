//! The committed guest programs in the interpreter.

use cairn_vm::{CycleMeter, Input, Machine, NoTrace, ProgramImage, Stop, execute};

#[path = "../../../guest/programs/accel-test/src/digest.rs"]
mod digest;

fn program(name: &str) -> ProgramImage {
    let path = format!("{}/../../guest/elf/{name}.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
    ProgramImage::from_elf(&elf).unwrap()
}

/// Every accelerator gives the same bytes inside the VM as natively, edge cases and aliased operands included.
#[test]
fn accelerators_agree_with_their_native_twins() {
    let program = program("accel-test");
    let rounds = 40u32;
    let input = Input::from_bytes(&[rounds.to_le_bytes(), 4u32.to_le_bytes()].concat()).unwrap();
    let run = execute(&program, &input, &mut CycleMeter::new(1 << 16), 1 << 24).unwrap();
    assert_eq!(run.exit_code, 0);
    assert_eq!(run.public_input(), Some(digest::digest(rounds, 4)));
}

/// Shards retraced on their own end where the run says.
#[test]
fn shards_chain() {
    let program = program("fib");
    let input = Input::from_bytes(&3u32.to_le_bytes()).unwrap();
    let run = execute(&program, &input, &mut CycleMeter::new(5000), 1 << 24).unwrap();
    assert!(run.shards.len() > 3);
    let mut machine = Machine::new(&program, input.clone());
    assert_eq!(machine.run(&mut NoTrace, u64::MAX).unwrap(), Stop::Halted(0));
    assert_eq!(machine.cycle(), run.cycles);
    assert_eq!(machine.committed(), run.committed);
    for (shard, next) in run.shards.iter().zip(run.shards.iter().skip(1)).rev() {
        let mut again = Machine::resume(&program, input.clone(), &shard.start);
        assert_eq!(
            again.run(&mut NoTrace, shard.start.cycle + shard.cycles).unwrap(),
            Stop::Paused
        );
        assert_eq!(again.snapshot(), next.start);
        assert_eq!(shard.end, next.start);
    }
    assert!(run.shards.last().unwrap().is_last);
}
