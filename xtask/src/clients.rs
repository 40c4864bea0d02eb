//! The client matrix: unmodified client packages against the real binary, each flow one JSON line.

mod l1;
mod readme;

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use self::l1::{L1, On};
use crate::{root, run as run_command, setup};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Folders with npm packages of their own: Hardhat 2 and 3 cannot share one.
const FOLDERS: [&str; 3] = [".", "hardhat2", "hardhat3"];
/// The Python packages.
const PYTHON: [&str; 2] = ["web3==8.0.0", "vyper==0.4.3"];
/// The suites of the matrix and what each meets, those that take longest first. A suite that meets several chains runs the same flows on each.
const SUITES: [(&str, On); 25] = [
    ("zksync-ethers.mjs", On::Rollup),
    ("demo_on_anvil", On::Rollup),
    ("openzeppelin.mjs", On::Rollup),
    ("foundry.mjs", On::Rollup),
    ("foundry.mjs", On::Embedded),
    ("foundry.mjs", On::Anvil),
    ("hardhat2.mjs", On::Rollup),
    ("hardhat3.mjs", On::Rollup),
    ("viem-zksync.mjs", On::Rollup),
    ("vyper_contracts.py", On::Rollup),
    ("aa-zksync-ethers.mjs", On::Rollup),
    ("aa-viem.mjs", On::Rollup),
    ("uniswap.mjs", On::Rollup),
    ("web3py.py", On::Rollup),
    ("web3py.py", On::Embedded),
    ("web3py.py", On::Anvil),
    ("viem.mjs", On::Rollup),
    ("viem.mjs", On::Embedded),
    ("viem.mjs", On::Anvil),
    ("ethers.mjs", On::Rollup),
    ("ethers.mjs", On::Embedded),
    ("ethers.mjs", On::Anvil),
    ("viem-dev.mjs", On::Embedded),
    ("viem-dev.mjs", On::Anvil),
    ("explorers.mjs", On::Rollup),
];
/// Suites that run at a time. They mostly wait for blocks and batches.
const LANES: usize = 3;

/// Runs the matrix: `--json` prints only the cells, `--built` takes the binary that the last build left beside this one, `--only NAME` runs the
/// suites so called, `--readme` writes the matrix into the README. Fails when a cell does.
pub fn run(args: &[&str]) -> Outcome {
    let here = root().join("tests/clients");
    let python = install(&here)?;
    if !args.contains(&"--built") {
        run_command(Command::new(env!("CARGO")).args(["build", "--locked", "--package", "cairn"]))?;
    }
    let only = args.iter().position(|a| *a == "--only").and_then(|at| args.get(at + 1));
    let network = Network::start()?;
    let matrix = Matrix {
        here,
        python,
        network: network.description.clone(),
        quiet: args.contains(&"--json"),
        cells: Mutex::default(),
        failed: Mutex::default(),
    };
    let suites: Vec<(&str, On)> =
        SUITES.into_iter().filter(|(s, _)| only.is_none_or(|name| s.starts_with(name))).collect();
    matrix.run(&suites);
    drop(network);
    let (cells, failed) = (take(&matrix.cells), take(&matrix.failed));
    if args.contains(&"--readme") && only.is_none() {
        readme::write(&cells)?;
    }
    if !failed.is_empty() {
        return Err(format!("{} cells failed:\n{}", failed.len(), failed.join("\n")).into());
    }
    if !matrix.quiet {
        println!("{} passed, 0 failed", cells.len());
    }
    Ok(())
}

/// Installs every package that the matrix needs; gives the Python interpreter.
fn install(here: &Path) -> Outcome<PathBuf> {
    for folder in FOLDERS {
        setup::npm_packages(&here.join(folder))?;
    }
    setup::python_packages(&here.join("node_modules/.python"), &PYTHON)
}

fn take<T: Default>(from: &Mutex<T>) -> T {
    std::mem::take(&mut *from.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// The binary of the build that this program is from.
pub fn binary() -> Outcome<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("cairn");
    if path.exists() { Ok(path) } else { Err(format!("{} is not built", path.display()).into()) }
}

/// A running matrix.
struct Matrix {
    here: PathBuf,
    python: PathBuf,
    network: String,
    quiet: bool,
    cells: Mutex<Vec<String>>,
    failed: Mutex<Vec<String>>,
}

impl Matrix {
    fn run(&self, suites: &[(&str, On)]) {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for lane in 0..LANES.min(suites.len()) {
                let next = &next;
                scope.spawn(move || {
                    while let Some(&(script, on)) = suites.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let started = Instant::now();
                        if let Err(e) = self.script(script, on, lane) {
                            self.fail(format!("{script} on {on:?}: {e}"));
                        }
                        eprintln!("{script} on {on:?}: {:.0} s", started.elapsed().as_secs_f64());
                    }
                });
            }
        });
    }

    fn fail(&self, what: String) {
        self.failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(what);
    }

    fn cell(&self, line: String) {
        println!("{line}");
        if !is_true(&line) {
            self.fail(line.clone());
        }
        self.cells.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
    }

    /// Runs one script on one chain, signing with the lane's development account, and passes its cells on.
    fn script(&self, script: &str, on: On, lane: usize) -> Outcome {
        if script == "demo_on_anvil" {
            return self.demo_on_anvil();
        }
        let interpreter =
            if script.ends_with(".py") { self.python.clone() } else { PathBuf::from("node") };
        let l1 = L1::start(on, &self.here)?;
        let mut command = Command::new(interpreter);
        command
            .arg(self.here.join(script))
            .env("CAIRN_NETWORK", &self.network)
            .env("CAIRN_ACCOUNT", lane.to_string());
        if let Some(l1) = &l1 {
            command.env("CAIRN_L1", &l1.description);
        }
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        let (mut any, mut bad) = (false, false);
        for line in BufReader::new(out).lines() {
            let line = line?;
            if line.starts_with("{\"client\"") {
                (any, bad) = (true, bad || !is_true(&line));
                self.cell(line);
            } else if !self.quiet {
                println!("{line}");
            }
        }
        let status = child.wait()?;
        if !any || (!status.success() && !bad) {
            return Err(format!("ended with {status}").into());
        }
        Ok(())
    }

    /// The whole demo with Foundry's anvil as L1, finalized by attesters: proofs take minutes and are another test's.
    fn demo_on_anvil(&self) -> Outcome {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let anvil = setup::foundry(&self.here, "anvil")?;
        let mut anvil = Command::new(anvil)
            .args(["--port", &port, "--block-time", "1", "--mixed-mining"])
            .args(["--slots-in-an-epoch", "1", "--silent"])
            .spawn()?;
        // The demo itself tries again while the port is not open yet.
        let url = format!("http://127.0.0.1:{port}");
        let output =
            Command::new(binary()?).args(["demo", "--json", "--no-prove", "--l1", &url]).output();
        anvil.kill()?;
        anvil.wait()?;
        let output = output?;
        let text = String::from_utf8_lossy(&output.stdout);
        let ok = output.status.success()
            && text.lines().last().is_some_and(|l| l.contains("\"ok\":true"));
        if !ok {
            eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
        }
        self.cell(format!(
            "{{\"client\":\"anvil\",\"version\":\"1.7.1\",\"flow\":\"the demo with anvil as its L1, attested\",\"ok\":{ok}}}"
        ));
        Ok(())
    }
}

fn is_true(cell: &str) -> bool {
    cell.contains("\"ok\":true") || cell.contains("\"ok\": true")
}

/// A network of the binary's own, in a folder that goes with it.
pub struct Network {
    process: Child,
    /// What `cairn up --json` says of it.
    pub description: String,
    dir: PathBuf,
}

impl Network {
    /// Starts it and waits until it is usable. Batches are attested: clients wait for finality many times, and none of them sees what makes it.
    pub fn start() -> Outcome<Self> {
        Self::start_with("attesters")
    }

    /// As [`Self::start`], with batches final by this verifier.
    pub fn start_with(verifier: &str) -> Outcome<Self> {
        let dir = std::env::temp_dir().join(format!("cairn-network-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let mut process = Command::new(binary()?)
            .args([
                "up",
                "--json",
                "--verifier",
                verifier,
                "--port",
                "0",
                "--l1-port",
                "0",
                "--explorer-port",
                "0",
                "--data-dir",
            ])
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
