//! riscv-tests' rv32ui and rv32um, prebuilt in a crate of the registry. They pass with an `ecall` at `pass` (t0 = a0 = 0) and fail with an illegal instruction.
//!
//! The crate is fetched with `cargo info`, which downloads just that one. Without network set `CAIRN_OFFLINE=1`: the test then says that it did not run.

use cairn_vm::{Input, Machine, NoTrace, Op, ProgramImage, TrapKind};
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATE: &str = "risc0-circuit-rv32im";
const VERSION: &str = "5.0.0-rc.1";
/// A test runs a few thousand instructions.
const LIMIT: u64 = 100_000;

/// The RV32I and RV32M programs that must be there.
const EXPECTED: &str = "add addi and andi auipc beq bge bgeu blt bltu bne fence jal jalr lb lbu lh lhu lui lw or ori sb sh sll slli slt slti sltiu sltu sra srai srl srli \
     sub sw xor xori mul mulh mulhsu mulhu div divu rem remu simple";

fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME")
        .map_or_else(|| std::env::home_dir().unwrap().join(".cargo"), PathBuf::from)
}

fn archive() -> Option<PathBuf> {
    let sources = std::fs::read_dir(cargo_home().join("registry/src")).ok()?;
    let name = format!("{CRATE}-{VERSION}/src/testdata/riscv-tests.tgz");
    sources.filter_map(Result::ok).map(|e| e.path().join(&name)).find(|p| p.exists())
}

fn unpack(archive: &Path) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("riscv-tests-{VERSION}"));
    std::fs::create_dir_all(&folder).unwrap();
    let status =
        Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(&folder).status().unwrap();
    assert!(status.success());
    folder.join("riscv-tests")
}

fn run(path: &Path) -> Result<(), String> {
    let program =
        ProgramImage::from_elf(&std::fs::read(path).unwrap()).map_err(|e| e.to_string())?;
    let mut machine = Machine::new(&program, Input::from_bytes(&[]).unwrap());
    // The final ecall is not one of ours: a7 is whatever the test left there.
    let trap = machine.run(&mut NoTrace, LIMIT).err().ok_or("did not end")?;
    let last = program.instrs[program.index_of(trap.pc).ok_or("left the program")? as usize];
    let at_ecall =
        last.op == Op::Ecall && matches!(trap.kind, TrapKind::NoCommit | TrapKind::UnknownEcall(_));
    if at_ecall && machine.regs()[5] == 0 && machine.regs()[10] == 0 {
        return Ok(());
    }
    Err(format!("{trap}, in test case {}", machine.regs()[31]))
}

#[test]
fn rv32ui_and_rv32um() {
    if archive().is_none() {
        if std::env::var_os("CAIRN_OFFLINE").is_some() {
            eprintln!(
                "NOT RUN: {CRATE} {VERSION} is not in the registry cache and CAIRN_OFFLINE is set"
            );
            return;
        }
        let status = Command::new("cargo")
            .args(["info", &format!("{CRATE}@{VERSION}")])
            .current_dir("/")
            .status()
            .unwrap();
        assert!(status.success(), "could not fetch {CRATE} (CAIRN_OFFLINE=1 skips this test)");
    }
    let folder = unpack(&archive().expect("fetched"));
    let failures: Vec<String> = EXPECTED
        .split_whitespace()
        .filter_map(|name| run(&folder.join(name)).err().map(|e| format!("{name}: {e}")))
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}
