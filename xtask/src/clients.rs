//! The client matrix: unmodified client packages against the real binary, each flow one JSON line.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{root, run as run_command};

type Outcome = Result<(), Box<dyn Error>>;

/// Node.js scripts of the matrix, in order.
const SCRIPTS: [&str; 4] = ["ethers.mjs", "viem.mjs", "foundry.mjs", "zksync-ethers.mjs"];
/// The Python client's package.
const WEB3: &str = "web3==8.0.0";

/// Runs the matrix: `--json` prints only the cells, `--built` takes the binary as the last build left it. Fails when a cell does.
pub fn run(args: &[&str]) -> Outcome {
    let quiet = args.contains(&"--json");
    let here = root().join("tests/clients");
    run_command(
        Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).arg("--prefix").arg(&here),
    )?;
    let python = python(&here)?;
    if !args.contains(&"--built") {
        run_command(Command::new(env!("CARGO")).args(["build", "--locked", "--package", "cairn"]))?;
    }
    let network = Network::start()?;
    let mut failed = Vec::new();
    for script in SCRIPTS {
        let mut command = Command::new("node");
        command.arg(here.join(script));
        cells(command, &network.description, quiet, &mut failed)?;
    }
    let mut command = Command::new(python);
    command.arg(here.join("web3_client.py"));
    cells(command, &network.description, quiet, &mut failed)?;
    drop(network);
    demo_on_anvil(&here, &mut failed)?;
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("{} cells failed:\n{}", failed.len(), failed.join("\n")).into())
    }
}

/// The whole demo with Foundry's anvil as L1.
fn demo_on_anvil(here: &Path, failed: &mut Vec<String>) -> Outcome {
    const PORT: &str = "18545";
    let mut anvil = Command::new(here.join("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"))
        .args(["--port", PORT, "--block-time", "1", "--mixed-mining"])
        .args(["--slots-in-an-epoch", "1", "--silent"])
        .spawn()?;
    // The demo itself tries again while the port is not open yet.
    let url = format!("http://127.0.0.1:{PORT}");
    let output = Command::new(root().join("target/debug/cairn"))
        .args(["demo", "--json", "--l1", &url])
        .output();
    anvil.kill()?;
    anvil.wait()?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout);
    let ok =
        output.status.success() && text.lines().last().is_some_and(|l| l.contains("\"ok\":true"));
    let cell = format!(
        "{{\"client\":\"anvil\",\"version\":\"1.7.1\",\"flow\":\"the demo with anvil as its L1\",\"ok\":{ok}}}"
    );
    println!("{cell}");
    if !ok {
        failed.push(format!("{cell}\n{text}{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(())
}

/// A virtual environment with web3.py, made once.
fn python(here: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let venv = here.join("node_modules/.python");
    let python = venv.join("bin/python");
    if !venv.join("ready").exists() {
        run_command(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        run_command(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            WEB3,
        ]))?;
        fs::write(venv.join("ready"), WEB3)?;
    }
    Ok(python)
}

/// Runs one client and passes its cells on.
fn cells(mut command: Command, network: &str, quiet: bool, failed: &mut Vec<String>) -> Outcome {
    let mut child = command.env("CAIRN_NETWORK", network).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    let mut any = false;
    for line in BufReader::new(out).lines() {
        let line = line?;
        let is_cell = line.starts_with("{\"client\"") || line.starts_with("{\"client\":");
        any |= is_cell;
        if is_cell && !line.contains("\"ok\":true") && !line.contains("\"ok\": true") {
            failed.push(line.clone());
        }
        if is_cell || !quiet {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    if !any || (!status.success() && failed.is_empty()) {
        failed.push(format!("{command:?} ended with {status}"));
    }
    Ok(())
}

/// A network of the binary's own, in a folder that goes with it.
struct Network {
    process: Child,
    description: String,
    dir: PathBuf,
}

impl Network {
    fn start() -> Result<Self, Box<dyn Error>> {
        let dir = std::env::temp_dir().join(format!("cairn-clients-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let mut process = Command::new(root().join("target/debug/cairn"))
            .args(["up", "--json", "--port", "0", "--l1-port", "0", "--data-dir"])
            .arg(&dir)
            .stdout(Stdio::piped())
            .spawn()?;
        let out = process.stdout.take().ok_or("no output")?;
        let mut description = String::new();
        BufReader::new(out).read_line(&mut description)?;
        let network = Self { process, description, dir };
        if network.description.contains("\"ready\"") {
            Ok(network)
        } else {
            Err("`cairn up` did not start".into())
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
