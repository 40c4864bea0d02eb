//! `cairn doctor`: what would keep a node from running here, found before it is started.

use std::{
    error::Error,
    ffi::CString,
    fs, io,
    mem::MaybeUninit,
    net::{IpAddr, SocketAddr, TcpListener},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_eips::BlockNumberOrTag;
use cairn_l1_dev::L1Dev;
use cairn_settlement::l1::L1;
use cairn_storage::{Storage, StorageError, model::FORMAT_VERSION};
use serde_json::json;

use crate::{
    cli::DoctorArgs,
    network::{Network, NetworkError},
    node::{chain_dir, check_l1, check_l1_dir, l1_dir, unfinished},
    roles::l1_config,
};

/// Free bytes that a node should have.
const DISK_NEEDED: u64 = 2 << 30;
/// Seconds by which the clock may differ from L1's newest block ahead of us.
const CLOCK_TOLERANCE: u64 = 60;
/// 2025-01-01: a clock before this is wrong.
const EARLIEST_NOW: u64 = 1_735_689_600;
/// Longest wait for an L1.
const L1_PATIENCE: Duration = Duration::from_secs(30);

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
    let mut findings: Vec<Finding> = args.ports.iter().map(|p| port(args.host, *p)).collect();
    findings.push(disk(&args.data_dir));
    findings.push(clock());
    let data = data_dir(&args.data_dir, &mut findings);
    match (&args.l1, &data) {
        (Some(url), data) => l1(url, data.network.as_ref(), &mut findings).await,
        // Its L1 is open in the node that runs.
        (None, Data { in_use: true, .. }) => {}
        (None, Data { network: Some(network), .. }) => {
            embedded_l1(&args.data_dir, network, &mut findings).await;
        }
        (None, Data { network: None, .. }) => {}
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

fn port(host: IpAddr, port: u16) -> Finding {
    let addr = SocketAddr::new(host, port);
    match TcpListener::bind(addr) {
        Ok(_) => finding("port", true, format!("{addr} is free")),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => finding(
            "port",
            false,
            format!(
                "{addr} is in use by another program, perhaps a node that runs; choose another port with --port, --l1-port or --explorer-port"
            ),
        ),
        Err(e) => finding(
            "port",
            false,
            format!("{addr} cannot be used ({e}); choose another --host or port"),
        ),
    }
}

fn disk(dir: &Path) -> Finding {
    let existing = existing_parent(dir);
    room(free_bytes(&existing), &existing)
}

fn room(free: io::Result<u64>, at: &Path) -> Finding {
    let at = at.display();
    match free {
        Ok(free) if free >= DISK_NEEDED => {
            finding("disk", true, format!("{} MiB free at {at}", free >> 20))
        }
        Ok(free) => finding(
            "disk",
            false,
            format!("only {} MiB free at {at}; {} MiB are wanted", free >> 20, DISK_NEEDED >> 20),
        ),
        Err(e) => finding("disk", false, format!("the free space at {at} is unknown ({e})")),
    }
}

/// Bytes that an ordinary user may still write where `path` is.
// The fields' widths differ between systems.
#[allow(clippy::unnecessary_cast)]
fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path ends with a zero byte, and the structure is ours and of the size that the call fills.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every bit pattern of its integers is valid, and the call has filled them.
    let stat = unsafe { stat.assume_init() };
    Ok((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64))
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

/// What a data directory turned out to be.
struct Data {
    network: Option<Network>,
    /// A node has it open.
    in_use: bool,
}

fn data_dir(dir: &Path, findings: &mut Vec<Finding>) -> Data {
    if !dir.exists() {
        findings.push(finding("data", true, format!("{} does not exist yet", dir.display())));
        return Data { network: None, in_use: false };
    }
    if let Err(e) = writable(dir) {
        findings.push(finding("data", false, format!("{} cannot be written ({e})", dir.display())));
    }
    let network = Network::load(dir);
    findings.push(match &network {
        Ok(Some(n)) => {
            let (chain, version) = (n.config.chain_id, n.version);
            let words = format!("{} holds chain {chain}, version {version}", dir.display());
            finding("data", true, words)
        }
        Ok(None) => finding("data", true, format!("{} holds no network yet", dir.display())),
        Err(e) => finding("data", false, e.to_string()),
    });
    let in_use = chain(dir, &network, findings);
    Data { network: network.ok().flatten(), in_use }
}

/// Looks at the chain in a data directory; true when a node has it open.
fn chain(
    dir: &Path,
    network: &Result<Option<Network>, NetworkError>,
    findings: &mut Vec<Finding>,
) -> bool {
    let path = chain_dir(dir);
    if !path.exists() {
        return false;
    }
    if matches!(network, Ok(None)) {
        findings.push(finding("chain", false, unfinished(dir).to_string()));
    }
    if !path.join("chain.redb").exists() {
        return false;
    }
    let (format, found) = match Storage::peek(&path) {
        Ok(seen) => seen,
        Err(StorageError::Locked(_)) => {
            let words = format!(
                "a node runs on {} (its database is locked): stop it before another one is started on it, or use another --data-dir",
                dir.display()
            );
            findings.push(finding("chain", false, words));
            return true;
        }
        Err(e) => {
            findings.push(finding("chain", false, format!("{}: {e}", path.display())));
            return false;
        }
    };
    let expected = network.as_ref().ok().and_then(Option::as_ref).map(|n| n.config.hash());
    let problem = match expected {
        _ if format != FORMAT_VERSION => {
            let expected = FORMAT_VERSION;
            Some(StorageError::FormatVersion { path, found: format, expected })
        }
        Some(expected) if expected != found => {
            Some(StorageError::WrongChain { path, what: "configuration", found, expected })
        }
        _ => None,
    };
    findings.push(match problem {
        Some(e) => finding("chain", false, e.to_string()),
        None => finding("chain", true, format!("its blocks are of format {format}")),
    });
    false
}

fn writable(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(".doctor");
    fs::write(&probe, b"probe")?;
    fs::remove_file(&probe)
}

/// Opens the data directory's own L1 for a moment, as a start would.
async fn embedded_l1(dir: &Path, network: &Network, findings: &mut Vec<Finding>) {
    if let Err(e) = check_l1_dir(dir) {
        return findings.push(finding("l1", false, e.to_string()));
    }
    let opened = L1Dev::open(l1_config(l1_dir(dir), network.ecosystem.l1_chain_id, None));
    let dev = match opened {
        Ok(dev) => dev,
        Err(e) => return findings.push(finding("l1", false, e.to_string())),
    };
    match dev.serve(SocketAddr::from(([127, 0, 0, 1], 0))).await {
        Ok(server) => {
            l1(&server.http_url(), Some(network), findings).await;
            server.stop();
        }
        Err(e) => findings.push(finding("l1", false, e.to_string())),
    }
}

async fn l1(url: &str, network: Option<&Network>, findings: &mut Vec<Finding>) {
    let expected = network.map(|n| n.ecosystem.l1_chain_id);
    let l1 = match tokio::time::timeout(L1_PATIENCE, L1::connect(url, expected)).await {
        Ok(Ok(l1)) => l1,
        Ok(Err(e)) => return findings.push(finding("l1", false, e.to_string())),
        Err(_) => return findings.push(finding("l1", false, format!("{url} does not answer"))),
    };
    findings.push(finding("l1", true, format!("{url} is chain {}", l1.chain_id())));
    if let Some(network) = network {
        findings.push(match check_l1(&l1, network).await {
            Ok(()) => finding("l1", true, "it holds the data directory's chain"),
            Err(e) => finding("l1", false, e.to_string()),
        });
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_that_is_short_or_unknown_is_not_well() {
        let at = Path::new("/data");
        assert!(room(Ok(DISK_NEEDED), at).ok);
        let short = room(Ok(DISK_NEEDED - 1), at);
        assert!(
            !short.ok && short.detail.contains("only 2047 MiB free at /data"),
            "{}",
            short.detail
        );
        let unknown = room(Err(io::Error::other("no answer")), at);
        assert!(
            !unknown.ok && unknown.detail.contains("unknown (no answer)"),
            "{}",
            unknown.detail
        );
    }

    #[test]
    fn the_free_space_is_read_from_the_file_system() {
        assert!(free_bytes(Path::new("/")).is_ok());
        assert!(free_bytes(Path::new("/no/such/place")).is_err());
    }

    /// Ports are tried on the address that the node would listen on. (Not every system has all of 127.0.0.0/8.)
    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_is_tried_on_its_host() {
        let [here, there] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from);
        let taken = TcpListener::bind((there, 0)).unwrap();
        let number = taken.local_addr().unwrap().port();
        assert!(port(here, number).ok);
        let found = port(there, number);
        assert!(!found.ok && found.detail.contains("is in use"), "{}", found.detail);
        assert!(found.detail.contains(&format!("127.0.0.2:{number}")), "{}", found.detail);
    }
}
