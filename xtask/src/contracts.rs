//! `cargo xtask contracts build|check|test|snapshot`: the Solidity side.
//!
//! The compiled artifacts are committed, so only someone who changes `contracts/src` needs Node. `build` writes them, `check` fails when they are not
//! what the sources compile to, `test` runs the Foundry tests and compares the gas that they measure with what is committed. Further arguments of `test` go to
//! `forge test`. `snapshot` runs them and commits to what they measure.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{setup, snapshots};

const USAGE: &str =
    "usage: cargo xtask contracts build | check | test [forge test arguments] | snapshot";

/// Runs one of the commands above.
///
/// # Errors
/// A message that says which tool is missing or failed.
pub fn run<S: AsRef<str>>(args: &[S]) -> Result<(), Box<dyn Error>> {
    let dir = contracts_dir();
    match args.first().map(AsRef::as_ref) {
        Some("build") => {
            install()?;
            call(Command::new("node").arg("build.mjs").current_dir(&dir))
        }
        Some("check") => {
            install()?;
            call(Command::new("node").args(["build.mjs", "--check"]).current_dir(&dir))?;
            call(
                Command::new("node")
                    .args(["test/vectors/generate.mjs", "--check"])
                    .current_dir(&dir),
            )
        }
        Some("test") => {
            install()?;
            forge_test(&dir, &args[1..])?;
            snapshots::compare(&dir, args.len() == 1)
        }
        Some("snapshot") => {
            install()?;
            forge_test(&dir, &[] as &[&str])?;
            snapshots::renew(&dir)
        }
        _ => Err(USAGE.into()),
    }
}

fn contracts_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts")
}

/// Installs the npm packages of the contracts: compiler, libraries, Foundry.
fn install() -> Result<(), Box<dyn Error>> {
    setup::npm_packages(&contracts_dir())
}

fn forge_test<S: AsRef<str>>(dir: &Path, args: &[S]) -> Result<(), Box<dyn Error>> {
    let compiler = dir.join("forge-solc.cjs");
    snapshots::clear(dir)?;
    call(
        Command::new(setup::foundry(dir, "forge")?)
            .args(["test", "--offline", "--use"])
            .arg(compiler)
            .args(args.iter().map(AsRef::as_ref))
            .current_dir(dir),
    )
}

fn call(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{name}` failed: {status}").into()),
        Err(e) => {
            Err(format!("cannot start `{name}`: {e}. Install Node.js 20 or newer with npm.").into())
        }
    }
}
