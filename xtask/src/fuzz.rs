//! `cargo xtask fuzz [seconds]`: every fuzz target for a short while, with libFuzzer's coverage on the stable toolchain.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{root, run as run_command, setup};

/// The binaries of `fuzz/src/bin`; the last needs the prover.
const TARGETS: [&str; 6] = ["transaction", "witness", "pubdata", "l1_log", "elf", PROOF];
const PROOF: &str = "proof";
/// Seconds that CI gives a target.
const BRIEF: u32 = 10;
/// What cargo-fuzz passes, less the sanitizer (which would need a nightly compiler).
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";

/// Runs each target for so many seconds (10 without a number).
pub fn run(args: &[&str]) -> Result<(), Box<dyn Error>> {
    let seconds: u32 = args.first().map_or(Ok(10), |s| s.parse())?;
    fuzz(&TARGETS, seconds)
}

/// What CI runs: every decoder for a moment. The target over proofs is left out: what it needs takes as long to build as
/// all the rest.
pub fn brief() -> Result<(), Box<dyn Error>> {
    let targets: Vec<&str> = TARGETS.into_iter().filter(|t| *t != PROOF).collect();
    fuzz(&targets, BRIEF)?;
    // The instrumented build is of no use to anything after it, and large.
    Ok(fs::remove_dir_all(root().join("target/fuzz"))?)
}

fn fuzz(targets: &[&str], seconds: u32) -> Result<(), Box<dyn Error>> {
    setup::cxx()?;
    let dir = root().join("fuzz");
    // A target triple keeps the instrumentation out of build scripts and macros.
    let host = host()?;
    run_command(
        Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--target", &host, "--manifest-path"])
            .arg(dir.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(root().join("target/fuzz"))
            .args(targets.contains(&PROOF).then_some(["--features", PROOF]).into_iter().flatten())
            .env("RUSTFLAGS", FLAGS),
    )?;
    for target in targets {
        let target = *target;
        let corpus = root().join("target/fuzz/corpus").join(target);
        fs::create_dir_all(&corpus)?;
        plant(target, &corpus)?;
        let binary = root().join("target/fuzz").join(&host).join("release").join(target);
        run_command(
            Command::new(binary)
                .arg(format!("-max_total_time={seconds}"))
                .args([
                    "-max_len=65536",
                    "-timeout=10",
                    "-rss_limit_mb=2048",
                    "-print_final_stats=1",
                ])
                .arg(format!("-artifact_prefix={}/", corpus.display()))
                .arg(&corpus),
        )?;
    }
    println!("{} passed, 0 failed", targets.len());
    Ok(())
}

/// Gives a target something real to begin with, where the repository has it.
fn plant(target: &str, corpus: &Path) -> Result<(), Box<dyn Error>> {
    let seeds = dir_of_seeds(target);
    for seed in fs::read_dir(&seeds).into_iter().flatten() {
        let seed = seed?;
        fs::write(corpus.join(seed.file_name()), from_hex(&fs::read_to_string(seed.path())?)?)?;
    }
    if target == "elf" {
        let program = fs::read(root().join("guest/elf/fib.elf.zst"))?;
        fs::write(corpus.join("fib"), zstd::decode_all(&program[..])?)?;
    }
    Ok(())
}

fn dir_of_seeds(target: &str) -> PathBuf {
    root().join("fuzz/seeds").join(target)
}

fn from_hex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits: Vec<u8> = text.trim().bytes().collect();
    let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    digits.chunks(2).map(byte).collect()
}

fn host() -> Result<String, Box<dyn Error>> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find_map(|l| l.strip_prefix("host: "));
    Ok(line.ok_or("rustc names no host")?.to_owned())
}
