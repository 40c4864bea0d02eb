//! Faults that other zkVMs shipped, each as a test here.

mod common;

use cairn_accel::ids;
use cairn_prover::bus::F;
use cairn_prover::check::{Instance, check};
use cairn_prover::chips::div::DivCols;
use cairn_prover::chips::memory::WordCols;
use cairn_prover::chips::{Chip, MANDATORY};
use cairn_prover::columns::Columns;
use cairn_prover::run::RunError;
use cairn_prover::shard::lookups;
use cairn_prover::verify::{public_input_bytes, verify_with};
use cairn_vm::Op;
use common::*;
use p3_field::PrimeCharacteristicRing;
use p3_lookup::Kind;
use p3_matrix::Matrix;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn find<'a>(instances: &'a mut [Instance], name: &str) -> &'a mut Instance {
    instances.iter_mut().find(|i| i.chip.name() == name).unwrap()
}

fn cells(instance: &mut Instance, row: usize) -> &mut [F] {
    let width = instance.trace.width();
    &mut instance.trace.values[row * width..(row + 1) * width]
}

/// Applies a lie to one row of a chip and requires that the traces no longer check.
fn refused(instances: &[Instance], chip: &str, row: usize, lie: impl FnOnce(&mut [F])) {
    let mut instances = instances.to_vec();
    lie(cells(find(&mut instances, chip), row));
    assert!(check(&instances).is_err(), "{chip} row {row}");
}

#[test]
fn every_instruction_checks() {
    let (body, data) = everything();
    check_body(&body, &data).unwrap();
}

#[test]
fn both_sources_and_the_destination_may_be_one_register() {
    let mut body = li(5, 0x1234_5678).to_vec();
    for op in [Op::Add, Op::Sub, Op::Xor, Op::Sltu, Op::Sll, Op::Mul, Op::Divu] {
        body.extend([r(op, 5, 5, 5), r(op, 6, 5, 5), r(op, 5, 6, 5)]);
    }
    body.push(s(Op::Beq, 5, 5, 4));
    check_body(&body, &[]).unwrap();
}

#[test]
fn x0_stays_zero_whatever_is_written_to_it() {
    // x5 would be 7 + 7 if the write to x0 counted; the branch then skips the whole body's end.
    let mut body =
        vec![i(Op::Addi, 0, 0, 7), r(Op::Add, 5, 0, 0), s(Op::Beq, 5, 0, 8), i(Op::Addi, 6, 6, 1)];
    body.extend(li(2, DATA));
    body.extend([
        i(Op::Lw, 0, 2, 0),
        i(Op::Lbu, 0, 2, 1),
        i(Op::Jal, 0, 0, 4),
        r(Op::Mul, 0, 2, 2),
        r(Op::Add, 6, 0, 0),
    ]);
    let instances = check_body(&body, &[9]).unwrap();
    // Writing to x0's own word instead of the sink is refused: the program says where results go.
    refused(&instances, "add", 0, |row| row[2] = F::ZERO);
}

#[test]
fn division_has_one_result() {
    let mut body = Vec::new();
    let cases = [
        (7, 0),
        (0, 0),
        (0x8000_0000, 0),
        (0x8000_0000, 0xffff_ffff),
        (7, 0xffff_fffe),
        (0xffff_fff9, 2),
        (0xffff_ffff, 0xffff_ffff),
        (5, 9),
    ];
    for (a, b) in cases {
        body.extend(li(5, a));
        body.extend(li(6, b));
        body.extend([
            r(Op::Div, 7, 5, 6),
            r(Op::Rem, 8, 5, 6),
            r(Op::Divu, 7, 5, 6),
            r(Op::Remu, 8, 5, 6),
        ]);
    }
    let instances = check_body(&body, &[]).unwrap();
    let one = F::ONE;
    for row in 0..4 * cases.len() {
        // Other quotients and remainders with the identity kept: q + 1 and r - b, q - 1 and r + b, and the result column with them.
        for sign in [one, -one] {
            refused(&instances, "div", row, |cells| {
                let c: &mut DivCols<F> = Columns::of_mut(cells);
                let b = c.b[0];
                c.q[0] += sign;
                c.r[0] -= sign * b;
                c.c[0] = c.q[0] + c.q[1] * F::from_u32(256);
            });
        }
        // Division by zero claimed or denied.
        refused(&instances, "div", row, |cells| {
            let c: &mut DivCols<F> = Columns::of_mut(cells);
            c.by_zero = one - c.by_zero;
        });
        // Each sign flipped, alone and with the remainder's.
        for k in 0..4 {
            refused(&instances, "div", row, |cells| {
                let c: &mut DivCols<F> = Columns::of_mut(cells);
                let sign = [&mut c.a_sign, &mut c.b_sign, &mut c.q_sign, &mut c.r_sign];
                let sign = sign.into_iter().nth(k).unwrap();
                *sign = one - *sign;
            });
        }
    }
}

#[test]
fn every_limb_of_every_immediate_counts() {
    let body = vec![
        i(Op::Auipc, 5, 0, 0xffff_f000u32 as i32),
        i(Op::Auipc, 6, 0, 0x7fff_f000),
        i(Op::Lui, 7, 0, 0x8000_0000u32 as i32),
        i(Op::Addi, 8, 0, -1),
        i(Op::Addi, 9, 8, -2048),
    ];
    let instances = check_body(&body, &[]).unwrap();
    for row in 0..5 {
        for column in [4, 5] {
            // The immediate and the operand it feeds, together.
            for delta in [F::ONE, -F::ONE, F::from_u32(1 << 16)] {
                refused(&instances, "add", row, |cells| {
                    cells[column] += delta;
                    cells[column + 5] += delta;
                });
            }
        }
    }
}

#[test]
fn limbs_have_one_representation() {
    let mut body = li(5, 0xffff_fff0).to_vec();
    body.extend([i(Op::Addi, 6, 5, 100), r(Op::Sub, 7, 6, 5)]);
    let instances = check_body(&body, &[]).unwrap();
    let c = std::mem::offset_of!(cairn_prover::chips::add::AddCols<u8>, c);
    for row in 0..2 {
        refused(&instances, "add", row, |cells| {
            cells[c] += F::from_u32(1 << 16);
            cells[c + 1] -= F::ONE;
        });
        refused(&instances, "add", row, |cells| cells[c + 1] += F::from_u32(1 << 16));
    }
}

#[test]
fn unaligned_and_foreign_addresses_have_no_witness() {
    let mut body = li(2, DATA + 4).to_vec();
    body.extend([i(Op::Lw, 5, 2, 0), s(Op::Sw, 2, 5, 4)]);
    let instances = check_body(&body, &[1, 2, 3, 4]).unwrap();
    let chip = instances.iter().find(|i| i.chip.name() == "word").unwrap();
    // Base registers that make the address unaligned, below the reserved area, or above 2^29: whatever pieces the prover gives, the row does not hold.
    let bases = [DATA + 5, DATA + 6, DATA + 7, 0, 4, 0xfc, 0xffff_fffc, 0x2000_0100, 0x8000_0000];
    for base in bases {
        let mut row = chip.row(0).to_vec();
        {
            let c: &mut WordCols<F> = Columns::of_mut(&mut row);
            c.a = cairn_prover::bus::limbs(base);
        }
        let holds = (0..1u32 << 14).any(|low| {
            [0, 1, base >> 16, (base >> 16).wrapping_sub(1) & 0xffff, 0x1fff]
                .into_iter()
                .filter(|&h| h < 1 << 13)
                .any(|high| {
                    let c: &mut WordCols<F> = Columns::of_mut(&mut row);
                    (c.low, c.high) = (F::from_u32(low), F::from_u32(high));
                    c.src = F::from_u32(low + (high << 14) + 64);
                    chip.eval_cells(0, &row, &row).failed.is_empty()
                })
        });
        assert!(!holds, "base {base:#x}");
    }
}

#[test]
fn the_reserved_area_cannot_be_reached() {
    for body in [
        vec![i(Op::Lw, 5, 0, 4)],
        vec![s(Op::Sw, 0, 5, 128)],
        ecall(cairn_accel::ids::COPY, &[8, DATA]),
    ] {
        let trap = match try_run(program(&body, &[]), &[], 1 << 20) {
            Err(RunError::Trap(trap)) => trap.kind,
            _ => panic!("no trap"),
        };
        assert!(matches!(trap, cairn_vm::TrapKind::Reserved(_)), "{trap}");
    }
    let mut image = image(&[], &[]);
    image.data = vec![cairn_vm::DataSegment { addr: 4, words: vec![1] }];
    assert!(cairn_prover::program::Program::new(image).is_err());
}

/// Two megabytes copied again and again, each pass longer than the reach of a timestamp check: every access needs a version brought forward, sixteen to four cycles.
#[test]
fn versions_brought_forward_are_limited_by_cutting() {
    use cairn_prover::trace::ShardLimits;
    let [src, dst, blocks] = [0x10_0000u32, 0x40_0000, 3000];
    let mut body = li(20, 4).to_vec();
    body.extend(li(17, cairn_accel::ids::COPY));
    let pass = body.len() as i32;
    body.extend(li(10, src).into_iter().chain(li(11, dst)).chain(li(21, blocks)));
    body.extend([
        r(Op::Ecall, 0, 0, 0),
        i(Op::Addi, 10, 10, 32),
        i(Op::Addi, 11, 11, 32),
        i(Op::Addi, 21, 21, -1),
        s(Op::Bne, 21, 0, -16),
        i(Op::Addi, 20, 20, -1),
    ]);
    let back = 4 * (pass - body.len() as i32);
    body.push(s(Op::Bne, 20, 0, back));
    let limits = ShardLimits { gaps: 10_000, ..Default::default() };
    let run = cairn_prover::run::Run::new(
        program(&body, &[]),
        cairn_vm::Input::from_bytes(&[]).unwrap(),
        limits,
        1 << 30,
    )
    .unwrap();
    let gaps: Vec<usize> = shards(&run).iter().map(|s| s.record.gaps.len()).collect();
    assert!(gaps.iter().sum::<usize>() > 15_000, "{gaps:?}");
    assert!(gaps.iter().all(|&n| n <= limits.gaps + 16), "{gaps:?}");
}

#[test]
fn a_failing_guest_has_no_proof() {
    let mut body = ecall(cairn_accel::ids::COMMIT, &[DATA]);
    body.extend(ecall(cairn_accel::ids::HALT, &[3]));
    assert!(matches!(try_run(program(&body, &[]), &[], 1 << 20), Err(RunError::ExitCode(3))));
    // Without the executor's consent either: HALT reads a0 as zero.
    let instances = check_body(&[], &[]).unwrap();
    let ecalls = instances.iter().find(|i| i.chip.name() == "ecall").unwrap();
    let height = ecalls.trace.height();
    let halt = (0..height).rev().find(|&row| ecalls.row(row)[24] == F::ONE).unwrap();
    // HALT reads a7 and a0 only: the times of a1..a3 are unused (columns 21 to 23).
    for column in (0..ecalls.trace.width()).filter(|c| !(21..24).contains(c)) {
        let name = format!("column {column}");
        let mut lied = instances.clone();
        cells(find(&mut lied, "ecall"), halt)[column] += F::ONE;
        assert!(check(&lied).is_err(), "{name}");
    }
}

#[test]
fn aliasing_pointers_read_before_they_write() {
    let mut body = Vec::new();
    for (from, to) in [(0, 0), (0, 4), (4, 0), (0, 28), (0, 32)] {
        body.extend(ecall(cairn_accel::ids::COPY, &[DATA + from, DATA + to]));
    }
    check_body(&body, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).unwrap();
}

#[test]
fn padding_rows_stay_silent() {
    let (body, data) = everything();
    let instances = check_body(&body, &data).unwrap();
    for instance in &instances {
        if instance.preprocessed.is_some() || matches!(instance.chip, Chip::Poseidon2(_)) {
            continue;
        }
        let last = instance.trace.height() - 1;
        let padding = instance.row(last).to_vec();
        if padding.iter().any(|&x| x != F::ZERO) {
            continue;
        }
        let silent = |cells: &[F]| {
            let builder = instance.eval_cells(last, cells, cells);
            builder.failed.is_empty() && !builder.messages.is_empty()
        };
        // No flag but `real` (and then with everything that an instruction needs) can wake a padding row.
        let real = instance.chip.columns().iter().find(|g| g.name == "real").map(|g| g.start);
        for column in (0..padding.len()).filter(|&c| Some(c) != real) {
            let mut cells = padding.clone();
            cells[column] = F::ONE;
            let wakes = silent(&cells);
            let is_call = instance.chip.name() == "block";
            assert!(!wakes || is_call, "{} column {column}", instance.chip.name());
        }
    }
}

#[test]
fn the_chip_set_is_what_proofs_bind() {
    let all = Chip::all(None);
    let names: Vec<&str> = all.iter().map(Chip::name).collect();
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    assert!(all.len() <= 64);
    assert_eq!(
        names[..MANDATORY],
        ["public", "program", "range", "and", "poseidon2", "boundary", "merkle"]
    );
    for chip in &all {
        use p3_air::BaseAir;
        let columns: usize = chip.columns().iter().map(|g| g.len).sum();
        assert_eq!(columns, BaseAir::<F>::width(chip), "{}", chip.name());
    }
}

/// Plonky3 checks message widths within one AIR only; a shorter message on a bus would alias a longer one.
#[test]
fn every_bus_has_one_width() {
    let mut widths: BTreeMap<String, usize> = BTreeMap::new();
    for chip in Chip::all(None) {
        for lookup in lookups(&chip).iter() {
            let Kind::Global(bus) = &lookup.kind else { continue };
            for tuple in &lookup.elements {
                let width = *widths.entry(bus.clone()).or_insert(tuple.len());
                assert_eq!(width, tuple.len(), "bus {bus}, chip {}", chip.name());
            }
        }
    }
    assert_eq!((widths["mem"], widths["exec"], widths["lookup"], widths["accel"]), (4, 2, 6, 6));
}

/// A random instruction on registers 5..16 (register 2 holds the data's address).
fn instruction() -> impl Strategy<Value = Vec<cairn_vm::Instr>> {
    let reg = 5u8..16;
    let arithmetic = prop::sample::select(vec![
        Op::Add,
        Op::Sub,
        Op::Sll,
        Op::Slt,
        Op::Sltu,
        Op::Xor,
        Op::Srl,
        Op::Sra,
        Op::Or,
        Op::And,
        Op::Mul,
        Op::Mulh,
        Op::Mulhsu,
        Op::Mulhu,
        Op::Div,
        Op::Divu,
        Op::Rem,
        Op::Remu,
    ]);
    let immediate =
        prop::sample::select(vec![Op::Addi, Op::Slti, Op::Sltiu, Op::Xori, Op::Ori, Op::Andi]);
    let shift = prop::sample::select(vec![Op::Slli, Op::Srli, Op::Srai]);
    let branch = prop::sample::select(vec![Op::Beq, Op::Bne, Op::Blt, Op::Bge, Op::Bltu, Op::Bgeu]);
    prop_oneof![
        (arithmetic, reg.clone(), reg.clone(), reg.clone())
            .prop_map(|(op, d, a, b)| vec![r(op, d, a, b)]),
        (immediate, reg.clone(), reg.clone(), -2048..2048)
            .prop_map(|(op, d, a, imm)| vec![i(op, d, a, imm)]),
        (shift, reg.clone(), reg.clone(), 0..32).prop_map(|(op, d, a, imm)| vec![i(op, d, a, imm)]),
        (reg.clone(), any::<u32>()).prop_map(|(d, x)| li(d, x).to_vec()),
        (branch, reg.clone(), reg.clone())
            .prop_map(|(op, a, b)| vec![s(op, a, b, 8), i(Op::Addi, 5, 5, 1)]),
        (reg.clone(), 0..64)
            .prop_map(|(d, k)| vec![i(Op::Lw, d, 2, 4 * k), s(Op::Sw, 2, d, 4 * (63 - k))]),
        (reg.clone(), 0..128, any::<bool>()).prop_map(|(d, k, u)| vec![
            i(if u { Op::Lhu } else { Op::Lh }, d, 2, 2 * k),
            s(Op::Sh, 2, d, 2 * k)
        ]),
        (reg.clone(), 0..256, any::<bool>()).prop_map(|(d, k, u)| vec![
            i(if u { Op::Lbu } else { Op::Lb }, d, 2, k),
            s(Op::Sb, 2, d, 255 - k)
        ]),
        (reg, -0x80000i32..0x80000)
            .prop_map(|(d, x)| vec![i(Op::Auipc, d, 0, x << 12), i(Op::Lui, d, 0, x << 12)]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Random programs: the traces of every shard check.
    #[test]
    fn random_programs_check(code in prop::collection::vec(instruction(), 1..120), data in prop::collection::vec(any::<u32>(), 64), cycles in 20u32..400) {
        let mut body = li(2, DATA).to_vec();
        body.extend(code.concat());
        let run = run(program(&body, &data), &[], cycles);
        for instances in all_traces(&run) {
            prop_assert_eq!(check(&instances), Ok(()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    /// A sample of random programs with random accelerator operands: proven, and accepted by the verifier for the words they commit and no others.
    #[test]
    fn random_programs_are_proven(code in prop::collection::vec(instruction(), 1..80), data in prop::collection::vec(any::<u32>(), 128), call in 0usize..64) {
        let mut body = li(2, DATA).to_vec();
        body.extend(code.concat());
        let calls: Vec<u32> = ids::ALL.into_iter().filter(|&id| id >= ids::KECCAK_F).collect();
        body.extend(ecall(calls[call % calls.len()], &[DATA + 64, DATA + 128, DATA + 192, DATA + 256]));
        let run = run(program(&body, &data), &[], 200);
        let proof = prove(&run);
        let words = proof.shards.iter().find_map(|s| s.statement.committed).unwrap();
        let id = proof.vk.program_id();
        let said = public_input_bytes(&words);
        prop_assert!(verify_with(&id, &said, &proof, &FAST).is_ok());
        let mut other = said;
        other[usize::from(said[3]) % 32] ^= 1;
        prop_assert!(verify_with(&id, &other, &proof, &FAST).is_err());
    }
}
