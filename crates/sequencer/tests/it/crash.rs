//! `kill -9` under load: every acknowledged transaction is there afterwards, and no block that was seen ever changes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use cairn_primitives::da::DaMode;
use cairn_rpc::Chain;
use cairn_sequencer::{SequencerConfig, open_storage};
use rand::Rng;

use crate::common::*;

const KILLS: usize = 55;
const CHILD: &str = "CAIRN_CRASH_CHILD";

fn crash_config() -> SequencerConfig {
    let mut config = config();
    config.batches.limits.txs = 40;
    // Batches are to be sealed between one kill and the next. A process's first blob commitment takes a second, longer than most of them live.
    config.batches.da_mode = DaMode::Calldata;
    config.batches.max_age = Some(Duration::from_millis(100));
    config
}

/// The process that is killed: it submits transfers of all accounts at once and reports what was acknowledged and which blocks it saw.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by kill_nine_loses_nothing"]
async fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let sequencer = start(Path::new(&dir), crash_config());
    let chain = rpc(&sequencer);
    let storage = sequencer.storage().clone();
    let mut heads = sequencer.watch_head();
    report(&format!("S {}", storage.head_number()));
    tokio::spawn(async move {
        while heads.changed().await.is_ok() {
            let number = *heads.borrow_and_update();
            let hash = storage.block_hash(number).unwrap().unwrap();
            report(&format!("B {number} {hash}"));
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for account in 0..8 {
        let (sequencer, chain) = (sequencer.clone(), chain.clone());
        tasks.spawn(async move {
            let signer = key(account);
            let mut nonce = chain.pending_nonce(signer.address()).unwrap();
            loop {
                // Refused while too many batches wait to be sealed.
                let Ok(hash) = sequencer.submit(Tx::new(nonce).sign(&signer).1).await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                report(&format!("A {hash}"));
                nonce += 1;
            }
        });
    }
    // They end when the process does, or fail.
    tasks.join_next().await;
}

fn report(line: &str) {
    let mut out = std::io::stdout().lock();
    // One write a line: the pipe is read to the last whole line.
    let _ = out.write_all(format!("\n#{line}\n").as_bytes());
    let _ = out.flush();
}

fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture", "--test-threads", "1"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[derive(Default)]
struct Seen {
    acknowledged: Vec<B256>,
    blocks: Vec<(u64, B256)>,
}

/// Lets a child run for `after` from its first report on, kills it, and returns what it reported.
fn run_and_kill(dir: &Path, after: Duration, seen: &mut Seen) {
    let mut child = spawn(dir);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = AtomicU64::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let started = &started;
        scope.spawn(move || {
            while started.load(Ordering::Acquire) == 0 && begin.elapsed() < Duration::from_secs(60)
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(after);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines.map_while(Result::ok) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("#S") => started.store(1, Ordering::Release),
                Some("#A") => seen.acknowledged.push(words.next().unwrap().parse().unwrap()),
                Some("#B") => {
                    let number = words.next().unwrap().parse().unwrap();
                    // The last line may be cut.
                    if let Some(Ok(hash)) = words.next().map(str::parse) {
                        seen.blocks.push((number, hash));
                    }
                }
                _ => {}
            }
        }
    });
    assert_eq!(started.load(Ordering::Acquire), 1, "the child did not start");
}

fn check_blocks(dir: &Path, seen: &Seen) {
    let storage = open_storage(dir, &genesis(8)).unwrap();
    for (number, hash) in &seen.blocks {
        assert_eq!(storage.block_hash(*number).unwrap(), Some(*hash), "block {number} changed");
    }
    let mut parent = storage.block_hash(0).unwrap().unwrap();
    for block in storage.blocks(1, storage.head_number()).unwrap() {
        assert_eq!((block.header.parent_hash, block.header.hash()), (parent, block.hash));
        parent = block.hash;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Seen::default();
    let mut random = rand::rng();
    for _ in 0..KILLS {
        let after = Duration::from_micros(random.random_range(0..250_000));
        run_and_kill(dir.path(), after, &mut seen);
        check_blocks(dir.path(), &seen);
    }
    assert!(
        seen.acknowledged.len() > KILLS,
        "the children did next to nothing: {}",
        seen.acknowledged.len()
    );
    let sequencer = start(dir.path(), crash_config());
    until("an empty pool", || sequencer.status().pooled == 0).await;
    for hash in &seen.acknowledged {
        assert!(
            sequencer.storage().tx_location(*hash).unwrap().is_some(),
            "{hash} was acknowledged and is lost"
        );
    }
    let last = sealed(&sequencer).await;
    let storage = sequencer.storage();
    let mut blocks = 0;
    for n in 1..=last {
        let batch = storage.batch(n).unwrap().unwrap();
        assert_eq!(batch.blocks().0, blocks + 1);
        blocks = batch.blocks().1;
    }
    assert_eq!(blocks, storage.head_number());
    eprintln!(
        "{KILLS} kills, {} acknowledged transactions, {} blocks, {last} batches: all there",
        seen.acknowledged.len(),
        storage.head_number()
    );
}

const FULL_DISK: &str = "CAIRN_FULL_DISK_CHILD";

/// Submits until the disk is full, and checks that the refusal is typed and lasting while reads go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by a_full_disk_stops_acceptance_and_damages_nothing"]
async fn full_disk_child() {
    let Ok(dir) = std::env::var(FULL_DISK) else { return };
    let sequencer = start(Path::new(&dir), crash_config());
    let signer = key(0);
    let mut nonce = rpc(&sequencer).pending_nonce(signer.address()).unwrap();
    let data = vec![1; 8_000];
    loop {
        let mut tx = Tx::new(nonce).gas(1_000_000);
        tx.0.input = data.clone().into();
        match sequencer.submit(tx.sign(&signer).1).await {
            Ok(hash) => report(&format!("A {hash}")),
            Err(e) => {
                report(&format!("E {e}"));
                break;
            }
        }
        nonce += 1;
    }
    until("a halt", || sequencer.status().halted.is_some()).await;
    report(&format!("H {}", sequencer.status().halted.unwrap()));
    assert!(sequencer.submit(Tx::new(nonce).sign(&signer).1).await.is_err());
    assert!(sequencer.storage().state().unwrap().account(signer.address()).unwrap().is_some());
}

/// A limit on the size of files stands for a full disk: both end in a failed write.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_acceptance_and_damages_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(open_storage(dir.path(), &genesis(8)).unwrap());
    let largest = std::fs::metadata(dir.path().join("chain.redb")).unwrap().len();
    let blocks = (largest + (2 << 20)) / 512;
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script, std::env::current_exe().unwrap().to_str().unwrap()])
        .args([
            "crash::full_disk_child",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env(FULL_DISK, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let reports =
        |kind: &str| -> Vec<&str> { text.lines().filter_map(|l| l.strip_prefix(kind)).collect() };
    assert!(reports("#H ").iter().any(|why| why.contains("no space left")), "{text}");
    assert_eq!(reports("#E ").len(), 1);
    let sequencer = start(dir.path(), crash_config());
    until("an empty pool", || sequencer.status().pooled == 0).await;
    let acknowledged = reports("#A ");
    assert!(!acknowledged.is_empty());
    for hash in acknowledged {
        assert!(
            sequencer.storage().tx_location(hash.parse().unwrap()).unwrap().is_some(),
            "{hash} is lost"
        );
    }
    sealed(&sequencer).await;
}
