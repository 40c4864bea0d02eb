//! `cargo xtask statetests [cases [seed]]`: random worlds and transactions on both chains, against Ethereum's executable specification.

use std::{error::Error, process::Command};

use crate::{clients, root, run as run_command, setup};

/// The specification as it is on PyPI: the forks that Cairn's chains run are in it.
const SPECIFICATION: &str = "ethereum-execution==2.20.0";

/// Runs so many cases (100 without a number); `--built` takes the binary as the last build left it.
pub fn run(args: &[&str]) -> Result<(), Box<dyn Error>> {
    let python =
        setup::python_packages(&root().join("target/statetests-python"), &[SPECIFICATION])?;
    if !args.contains(&"--built") {
        run_command(Command::new(env!("CARGO")).args(["build", "--locked", "--package", "cairn"]))?;
    }
    let network = clients::Network::start()?;
    let numbers = args.iter().filter(|a| !a.starts_with("--"));
    let cases = numbers.clone().next().unwrap_or(&"100");
    let mut command = Command::new(python);
    command.arg(root().join("tests/statetests/run.py")).arg(cases).args(numbers.skip(1));
    run_command(command.env("CAIRN_NETWORK", &network.description))
}
