//! The project's own tasks: `cargo xtask <task>`.

mod anvil;
mod browser;
mod clients;
mod contracts;
mod fuzz;
mod guest;
mod setup;
mod snapshots;
mod statetests;

use std::{
    error::Error,
    path::PathBuf,
    process::{Command, ExitCode},
};

type Outcome = Result<(), Box<dyn Error>>;

const HELP: &str = "cargo xtask <task>

  test               every test: sets up what it needs (Rust, Foundry, clients)
  ci                 test, formatting, clippy, artifacts up to date
  clients [--json] [--built] [--only NAME] [--readme]   the client matrix: stock clients against the real binary
  anvil              the demo with anvil as its L1, batches final by proofs (the binary must be built)
  browser [--built] [--shots DIR]   the explorer and portal in a headless browser against the real binary
  fuzz [seconds]     every fuzz target for a short while (CI: all but the one over proofs, 10 seconds each)
  statetests [cases [seed]]    random state tests on both chains against Ethereum's executable specification
  contracts build|check|test   Solidity: artifacts from sources, compare with what is committed, Foundry tests and their gas
  contracts snapshot           write the gas that the Foundry tests measure to contracts/snapshots
  guest build|check  the guest programs: build reproducibly, compare with what is committed
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test", rest @ ..] => test(rest),
        ["ci"] => ci(),
        ["anvil"] => anvil::run(),
        ["guest", rest @ ..] => guest::run(rest),
        ["contracts", rest @ ..] => contracts::run(rest),
        ["clients", rest @ ..] => clients::run(rest),
        ["browser", rest @ ..] => browser::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["statetests", rest @ ..] => statetests::run(rest),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn test(rest: &[&str]) -> Outcome {
    // One failure does not hide the next.
    cargo(&[&["test", "--workspace", "--locked", "--no-fail-fast"], rest].concat())?;
    if !rest.is_empty() {
        return Ok(());
    }
    contracts::run(&["test"])?;
    // The tests have just built the binary that the clients meet.
    clients::run(&["--json", "--built"])
}

fn ci() -> Outcome {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    contracts::run(&["check"])?;
    guest::run(&["check"])?;
    test(&[])?;
    // The key as Solidity is that of the shipped circuits, which a test compares with the code; the tests have built the binary.
    // (`cargo run` would build everything again: of one package alone, with other features.)
    run(Command::new(clients::binary()?).args(["verifier", "generate", "--check", "--shipped"]))?;
    anvil::run()?;
    statetests::run(&["25", "1", "--built"])?;
    fuzz::brief()
}

fn cargo(args: &[&str]) -> Outcome {
    run(Command::new(env!("CARGO")).args(args))
}

/// Runs a command in the workspace's root and fails when it does.
pub fn run(command: &mut Command) -> Outcome {
    eprintln!("+ {command:?}");
    let status = command.current_dir(root()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}
