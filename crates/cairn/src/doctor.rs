//! `cairn doctor`: what would keep a node from running here, found before it is started.

use std::{
    error::Error,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_eips::BlockNumberOrTag;
use cairn_settlement::l1::L1;
use serde_json::json;

use crate::{cli::DoctorArgs, network::Network};

/// Free bytes that a node should have.
const DISK_NEEDED: u64 = 2 << 30;
/// Seconds by which the clock may differ from L1's newest block ahead of us.
const CLOCK_TOLERANCE: u64 = 60;
/// 2025-01-01: a clock before this is wrong.
const EARLIEST_NOW: u64 = 1_735_689_600;

/// One finding.
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

fn finding(check: &'static str, ok: bool, detail: impl Into<String>) -> Finding {
    Finding { check, ok, detail: detail.into() }
}

/// Runs all checks; the exit code is 0 only if all are well.
pub async fn run(args: DoctorArgs) -> Result<ExitCode, Box<dyn Error>> {
    let mut findings: Vec<Finding> = args.ports.iter().map(|p| port(*p)).collect();
    findings.push(disk(&args.data_dir));
    findings.push(clock());
    let network = data_dir(&args.data_dir, &mut findings);
    if let Some(url) = &args.l1 {
        l1(url, network.as_ref(), &mut findings).await;
    }
    for f in &findings {
        if args.json {
            say!("{}", json!({ "check": f.check, "ok": f.ok, "detail": f.detail }));
        } else {
            say!("{} {:<10} {}", if f.ok { "ok  " } else { "FAIL" }, f.check, f.detail);
        }
    }
    let all_well = findings.iter().all(|f| f.ok);
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn port(port: u16) -> Finding {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => finding("port", true, format!("{port} is free")),
        Err(e) => finding(
            "port",
            false,
            format!("{port} cannot be used ({e}); choose another with --port or --l1-port"),
        ),
    }
}

fn disk(dir: &Path) -> Finding {
    let existing = existing_parent(dir);
    // `df` is everywhere and needs no unsafe call.
    let output = Command::new("df").arg("--output=avail").arg("-B1").arg(&existing).output();
    let free = output.ok().and_then(|o| {
        String::from_utf8_lossy(&o.stdout).lines().nth(1).and_then(|l| l.trim().parse::<u64>().ok())
    });
    match free {
        Some(free) if free >= DISK_NEEDED => {
            finding("disk", true, format!("{} MiB free at {}", free >> 20, existing.display()))
        }
        Some(free) => finding(
            "disk",
            false,
            format!(
                "only {} MiB free at {}; {} MiB are wanted",
                free >> 20,
                existing.display(),
                DISK_NEEDED >> 20
            ),
        ),
        None => finding("disk", true, "free space is unknown on this system"),
    }
}

fn existing_parent(dir: &Path) -> PathBuf {
    dir.ancestors()
        .find(|p| !p.as_os_str().is_empty() && p.exists())
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or_default()
}

fn clock() -> Finding {
    let now = now();
    if now < EARLIEST_NOW {
        finding("clock", false, format!("the clock says {now}, which is in the past; set it"))
    } else {
        finding("clock", true, format!("unix time {now}"))
    }
}

fn data_dir(dir: &Path, findings: &mut Vec<Finding>) -> Option<Network> {
    if !dir.exists() {
        findings.push(finding("data", true, format!("{} does not exist yet", dir.display())));
        return None;
    }
    if let Err(e) = writable(dir) {
        findings.push(finding("data", false, format!("{} cannot be written ({e})", dir.display())));
    }
    match Network::load(dir) {
        Ok(Some(network)) => {
            let chain = network.config.chain_id;
            findings.push(finding(
                "data",
                true,
                format!("{} holds chain {chain}, version {}", dir.display(), network.version),
            ));
            Some(network)
        }
        Ok(None) => {
            findings.push(finding("data", true, format!("{} holds no network yet", dir.display())));
            None
        }
        Err(e) => {
            findings.push(finding("data", false, e.to_string()));
            None
        }
    }
}

fn writable(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(".doctor");
    fs::write(&probe, b"probe")?;
    fs::remove_file(&probe)
}

async fn l1(url: &str, network: Option<&Network>, findings: &mut Vec<Finding>) {
    let expected = network.map(|n| n.ecosystem.l1_chain_id);
    let limit = Duration::from_secs(30);
    let l1 = match tokio::time::timeout(limit, L1::connect(url, expected)).await {
        Ok(Ok(l1)) => l1,
        Ok(Err(e)) => return findings.push(finding("l1", false, e.to_string())),
        Err(_) => return findings.push(finding("l1", false, format!("{url} does not answer"))),
    };
    findings.push(finding("l1", true, format!("{url} is chain {}", l1.chain_id())));
    match l1.block(BlockNumberOrTag::Latest).await {
        Ok(Some((number, _, timestamp))) if timestamp > now() + CLOCK_TOLERANCE => {
            let ahead = timestamp - now();
            findings.push(finding(
                "clock",
                false,
                format!("block {number} of the L1 is {ahead} s ahead of this clock"),
            ));
        }
        Ok(Some((number, ..))) => {
            findings.push(finding("l1", true, format!("its newest block is {number}")))
        }
        Ok(None) => findings.push(finding("l1", false, format!("{url} has no blocks"))),
        Err(e) => findings.push(finding("l1", false, e.to_string())),
    }
}
