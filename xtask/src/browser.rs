//! The explorer and the portal in a real headless browser, against the real binary.

use std::{error::Error, fs, process::Command};

use crate::{
    clients::Network,
    root, run as run_command,
    setup::{self, npm_packages},
};

/// Browsers that the test can drive, the first that is there.
const BROWSERS: [&str; 4] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/opt/google/chrome/chrome",
];

/// Runs the tests: `--built` takes the binary that the last build left beside this one, `--shots DIR` keeps screenshots, `--only TEXT` runs the steps
/// whose name has that text (`proving` is the one that waits for a validity proof).
pub fn run(args: &[&str]) -> Result<(), Box<dyn Error>> {
    let here = root().join("tests/browser");
    npm_packages(&here)?;
    let browser = browser()?;
    if !args.contains(&"--built") {
        run_command(Command::new(env!("CARGO")).args(["build", "--locked", "--package", "cairn"]))?;
    }
    let value = |name: &str| {
        let at = args.iter().position(|a| *a == name);
        at.and_then(|at| args.get(at + 1)).copied()
    };
    let only = value("--only");
    let shots = value("--shots").map(std::path::absolute).transpose()?;
    let script = |name: &str, network: &Network| {
        let mut command = Command::new("node");
        command.arg(here.join(name));
        command.env("CAIRN_NETWORK", &network.description).env("CAIRN_CHROMIUM", browser);
        if let Some(dir) = &shots {
            command.env("CAIRN_SHOTS", dir);
        }
        command
    };
    if only != Some("proving") {
        let network = Network::start()?;
        let token = fs::read_to_string(root().join("contracts/artifacts/TestERC20.json"))?;
        let mut command = script("explorer.mjs", &network);
        command.env("CAIRN_TOKEN", token);
        if let Some(only) = only {
            command.env("CAIRN_ONLY", only);
        }
        run_command(&mut command)?;
    }
    if only.is_none_or(|only| only == "proving") {
        run_command(&mut script("proving.mjs", &Network::start_with("proof")?))?;
    }
    Ok(())
}

/// A browser of the Chromium family; a Debian machine gets it with apt-get when run as root.
fn browser() -> Result<&'static str, Box<dyn Error>> {
    let found = || BROWSERS.into_iter().find(|path| fs::exists(path).unwrap_or(false));
    if let Some(path) = found() {
        return Ok(path);
    }
    let _ = setup::quietly(Command::new("apt-get").args(["update", "-q"]));
    let install = ["install", "-y", "-q", "--no-install-recommends", "chromium"];
    let _ = setup::quietly(Command::new("apt-get").args(install));
    found().ok_or_else(|| "please install Chromium".into())
}
