//! Environment calls that must trap, and the bound on cycles.

use cairn_accel::ids;
use cairn_vm::{
    AccelCall, CycleMeter, Input, Machine, NoTrace, Op, ProgramImage, Snapshot, Step, Stop, Tracer,
    Trap, TrapKind, decode, execute,
};

const ECALL: u32 = 0x73;
const LOOP: u32 = 0x6f; // jal x0, 0

fn program(code: &[u32]) -> ProgramImage {
    ProgramImage {
        base: 0x1000,
        entry: 0x1000,
        instrs: code.iter().map(|&w| decode(w)).collect(),
        data: vec![],
        symbols: vec![],
    }
}

fn call(id: u32, args: [u32; 4]) -> Result<Stop, TrapKind> {
    let program = program(&[ECALL, LOOP]);
    let mut regs = [0; 32];
    regs[17] = id;
    regs[10..14].copy_from_slice(&args);
    let start = Snapshot {
        cycle: 0,
        pc: 0x1000,
        regs,
        pages: Default::default(),
        input_chunk: 0,
        committed: None,
    };
    Machine::resume(&program, Input::from_bytes(&[1, 2, 3]).unwrap(), &start)
        .run(&mut NoTrace, 1)
        .map_err(|t: Trap| t.kind)
}

/// For each operand of each call: unaligned, and one word beyond the end of memory.
#[test]
fn every_pointer_is_checked() {
    for id in ids::ALL {
        let good = [0x4000, 0x5000, 0x6000, 0x7000];
        for operand in ids::operands(id).unwrap() {
            let (arg, end) = (usize::from(operand.arg), (1 << 29) - 4 * u32::from(operand.words));
            for offset in 1..4 {
                let mut args = good;
                args[arg] += offset;
                assert_eq!(
                    call(id, args),
                    Err(TrapKind::Unaligned(args[arg])),
                    "{}",
                    ids::name(id)
                );
            }
            for bad in [end + 4, 1 << 29, 0xffff_fffc] {
                let mut args = good;
                args[arg] = bad;
                assert_eq!(call(id, args), Err(TrapKind::OutOfRange(bad)), "{}", ids::name(id));
            }
            for bad in [0, 4, 252] {
                let mut args = good;
                args[arg] = bad;
                assert_eq!(call(id, args), Err(TrapKind::Reserved(bad)), "{}", ids::name(id));
            }
            let mut args = good;
            args[arg] = 256;
            assert!(!matches!(call(id, args), Err(TrapKind::Reserved(_))), "{}", ids::name(id));
            let mut args = good;
            args[arg] = end;
            let at_end = call(id, args);
            let in_domain = !matches!(id, ids::SECP256K1_ADD | ids::SECP256K1_DOUBLE);
            assert_eq!(at_end.is_ok(), in_domain, "{} {at_end:?}", ids::name(id));
        }
    }
}

/// Loads and stores of every width below the reserved bound, and the first address above it.
#[test]
fn reserved_addresses_trap() {
    let at = |instr: u32, x5: u32| {
        let program = program(&[instr, LOOP]);
        let mut machine = Machine::new(&program, Input::from_bytes(&[]).unwrap()).snapshot();
        machine.regs[5] = x5;
        Machine::resume(&program, Input::from_bytes(&[]).unwrap(), &machine)
            .run(&mut NoTrace, 1)
            .map_err(|t| t.kind)
    };
    for (funct3, size) in [(0, 1), (1, 2), (2, 4), (4, 1), (5, 2)] {
        let (load, store) = (0x03 | funct3 << 12 | 5 << 15, 0x23 | (funct3 & 3) << 12 | 5 << 15);
        for instr in [load, store] {
            assert_eq!(at(instr, 256 - size), Err(TrapKind::Reserved(256 - size)));
            assert_eq!(at(instr, 0), Err(TrapKind::Reserved(0)));
            assert_eq!(at(instr, 256), Ok(Stop::Paused));
        }
    }
}

#[test]
fn unknown_ids_and_domains_trap() {
    assert_eq!(call(4, [0; 4]), Err(TrapKind::UnknownEcall(4)));
    assert_eq!(call(u32::MAX, [0; 4]), Err(TrapKind::UnknownEcall(u32::MAX)));
    assert_eq!(
        call(ids::SECP256K1_DOUBLE, [0x4000, 0, 0, 0]),
        Err(TrapKind::Domain(ids::SECP256K1_DOUBLE))
    );
    assert_eq!(
        call(ids::SECP256K1_ADD, [0x4000, 0x5000, 0, 0]),
        Err(TrapKind::Domain(ids::SECP256K1_ADD))
    );
    assert_eq!(call(ids::HALT, [0; 4]), Err(TrapKind::NoCommit));
    assert_eq!(call(ids::HALT, [7, 0, 0, 0]), Ok(Stop::Halted(7)));
}

#[test]
fn commit_and_input_have_their_limits() {
    // lui a0, 1; addi a7, x0, id; ecall, twice each
    let set = |id: u32| 0x0000_0893 | id << 20;
    let twice = |id: u32| program(&[0x1537, set(id), ECALL, ECALL, LOOP]);
    let run = |p: &ProgramImage| {
        Machine::new(p, Input::from_bytes(&[9; 20]).unwrap()).run(&mut NoTrace, 10).unwrap_err()
    };
    assert_eq!(run(&twice(ids::COMMIT)).kind, TrapKind::DoubleCommit);
    assert_eq!(run(&twice(ids::HINT)).kind, TrapKind::InputExhausted);
    assert_eq!(run(&twice(ids::HINT)).pc, 0x100c);
}

#[test]
fn endless_guests_meet_the_bound() {
    let program = program(&[LOOP]);
    let trap =
        execute(&program, &Input::from_bytes(&[]).unwrap(), &mut CycleMeter::new(1000), 5000)
            .unwrap_err();
    assert_eq!(trap, Trap { pc: 0x1000, cycle: 5000, kind: TrapKind::CycleLimit(5000) });
}

/// What an ecall reports: operands in order, old and new words.
#[test]
fn events_list_every_word() {
    #[derive(Default)]
    struct Seen(Vec<(u32, usize, usize)>);
    impl Tracer for Seen {
        fn step(&mut self, _: &Step) {}
        fn ecall(&mut self, step: &Step, call: &AccelCall<'_>) {
            assert_eq!((step.instr.op, step.next_pc), (Op::Ecall, step.pc + 4));
            self.0.push((call.id, call.reads.len(), call.writes.len()));
            let expected = ids::operands(call.id).unwrap();
            let mut addresses = expected.iter().flat_map(|o| {
                (0..u32::from(o.words)).map(|i| call.args[usize::from(o.arg)] + 4 * i)
            });
            let reported =
                call.reads.iter().map(|r| r.addr).chain(call.writes.iter().map(|w| w.addr));
            assert!(reported.eq(addresses.by_ref()));
        }
    }
    for id in ids::ALL
        .into_iter()
        .filter(|id| !matches!(*id, ids::HALT | ids::SECP256K1_ADD | ids::SECP256K1_DOUBLE))
    {
        let program = program(&[ECALL]);
        let mut regs = [0; 32];
        regs[17] = id;
        regs[10..14].copy_from_slice(&[0x4000; 4]); // all operands alias
        let start = Snapshot {
            cycle: 0,
            pc: 0x1000,
            regs,
            pages: Default::default(),
            input_chunk: 0,
            committed: None,
        };
        let mut seen = Seen::default();
        Machine::resume(&program, Input::from_bytes(&[]).unwrap(), &start)
            .run(&mut seen, 1)
            .unwrap();
        assert_eq!(seen.0.len(), 1);
    }
}
