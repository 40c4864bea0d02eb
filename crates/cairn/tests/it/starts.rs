//! `cairn up`: starts that must be refused, with words that say what to do, and an end that a restart goes on from.

use std::{
    fs,
    io::Read,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, U256};
use redb::{Database, TableDefinition};
use serde_json::{Value, json};

use crate::{
    doctor::finds,
    world::{Process, Up, ask, cairn, free_port, pay, start_l1},
};

/// Longest wait for a refusal or an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit code of a process that ends by itself.
fn end(process: &mut Process) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.0.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What `cairn up` says when it does not start. Ports that the options do not name are free ones.
fn refusal(dir: &Path, options: &[&str]) -> String {
    let mut command = cairn();
    command.arg("up");
    for port in ["--port", "--l1-port", "--explorer-port"] {
        if !options.contains(&port) {
            command.args([port, "0"]);
        }
    }
    command.arg("--data-dir").arg(dir).args(options).env("CAIRN_LOG", "off");
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut process = Process(child);
    let code = end(&mut process);
    let mut text = String::new();
    process.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(code, Some(1), "{text}");
    text
}

/// That `cairn up` does not start, and says so in these words.
pub fn refused(dir: &Path, options: &[&str], words: &str) {
    let text = refusal(dir, options);
    assert!(text.contains(words), "{words}: {text}");
}

/// Both the doctor and a start say it.
fn both(dir: &Path, check: &str, words: &str) {
    finds(dir, &[], check, words);
    refused(dir, &[], words);
}

/// Changes a stored format number, and puts the old one back when `check` is done.
fn with_format<V, F>(
    file: &Path,
    key: &str,
    value: V::SelfType<'static>,
    old: V::SelfType<'static>,
    check: F,
) where
    V: redb::Value + 'static,
    F: FnOnce(),
{
    let table: TableDefinition<'_, &str, V> = TableDefinition::new("meta");
    let set = |value: &V::SelfType<'static>| {
        let database = Database::open(file).unwrap();
        let write = database.begin_write().unwrap();
        let replaced = write.open_table(table).unwrap().insert(key, value).unwrap().is_some();
        assert!(replaced, "the number is where it is looked for");
        write.commit().unwrap();
    };
    set(&value);
    check();
    set(&old);
}

/// Each kind of data directory that is not this program's, or not the options'.
#[test]
fn data_directories_of_other_versions_chains_and_options() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    Up::start(data, None).process.kill();

    refused(
        data,
        &["--chain-id", "999"],
        "the data directory is of chain 271, not 999; use another --data-dir or --chain-id 271",
    );
    let words = "the chain's batches are final by `attesters`, not `proof`; use another --data-dir or --verifier attesters";
    refused(data, &["--verifier", "proof"], words);
    let words = "the chain's pubdata goes to L1 in blobs, not in calldata; use another --data-dir or --da blobs";
    refused(data, &["--da", "calldata"], words);

    let file = data.join("network.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut network: Value = serde_json::from_str(&text).unwrap();
    network["version"] = json!(1);
    fs::write(&file, network.to_string()).unwrap();
    let words = "network.json has version 1, this program reads version 2; use another --data-dir";
    both(data, "data", words);
    fs::write(&file, &text).unwrap();

    const OLD: [u8; 8] = 2u64.to_be_bytes();
    const NEW: [u8; 8] = 3u64.to_be_bytes();
    with_format::<&[u8], _>(&data.join("l2/chain.redb"), "format", &NEW, &OLD, || {
        let words = "has format version 3, this program reads version 2: use the program that wrote it, or another --data-dir";
        both(data, "chain", words);
    });
    with_format::<u64, _>(&data.join("l1/l1.redb"), "version", 9, 1, || {
        let words =
            "the L1's data directory has format 9, this program reads 1: remove it to start anew";
        both(data, "l1", words);
    });

    // A recovery that was killed leaves a chain and no record.
    fs::remove_file(&file).unwrap();
    both(data, "chain", "a `cairn recover` did not end. Remove");
    assert!(!file.exists(), "no new network is made over it");
    // All of it was put back; and a record from before there was a choice says nothing of it.
    let mut network: Value = serde_json::from_str(&text).unwrap();
    assert!(network.as_object_mut().unwrap().remove("da").is_some());
    fs::write(&file, network.to_string()).unwrap();
    assert_eq!(Up::start(data, None).ready["da"], "blobs");
}

/// Chain id and even addresses are the same, and still it is another L1.
#[tokio::test(flavor = "multi_thread")]
async fn another_l1_of_the_same_chain_id() {
    let dir = tempfile::tempdir().unwrap();
    let (data, other) = (dir.path().join("data"), dir.path().join("other"));
    Up::start(&data, None).process.kill();
    Up::start(&other, None).process.kill();
    // A network is told from another one by its genesis, which has L1's time in it: that may have come to the same.
    let born = |data: &Path| -> Value {
        let network = fs::read_to_string(data.join("network.json")).unwrap();
        serde_json::from_str::<Value>(&network).unwrap()["genesis_timestamp"].clone()
    };
    assert!(born(&data).is_u64());
    while born(&other) == born(&data) {
        fs::remove_dir_all(&other).unwrap();
        Up::start(&other, None).process.kill();
    }
    fs::rename(data.join("l1"), dir.path().join("kept")).unwrap();

    both(&data, "l1", "The embedded L1 is not the L1 of this data directory's network");
    assert!(!data.join("l1").exists(), "nothing is made in its place");

    let (mut fresh, l1) = start_l1(&data.join("l1"), free_port()).await;
    let words = "there is no bridgehub at";
    finds(&data, &["--l1", l1.url()], "l1", words);
    refused(&data, &["--l1", l1.url()], words);
    fresh.kill();
    both(&data, "l1", words);
    let advice = "Start again on the L1 that the network was created on";
    refused(&data, &[], advice);

    // The same contracts at the same addresses, of another network.
    fs::remove_dir_all(data.join("l1")).unwrap();
    fs::rename(other.join("l1"), data.join("l1")).unwrap();
    both(&data, "l1", "its chain 271 has genesis");

    fs::remove_dir_all(data.join("l1")).unwrap();
    fs::rename(dir.path().join("kept"), data.join("l1")).unwrap();
    Up::start(&data, None);
}

#[test]
fn a_port_in_use_is_named_with_the_option_that_chooses_another() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--l1-port", "--port", "--explorer-port"] {
        let text = refusal(dir.path(), &[option, &port]);
        assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
        assert!(text.contains("cannot listen on") && text.contains("in use"), "{text}");
        assert!(text.trim_end().contains(&format!("with {option}")), "{text}");
    }
}

/// Ctrl-C ends it in order, and a restart goes on with the same chain. Both networks have WebSockets.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_network_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path(), None);
    let friend = Address::repeat_byte(0x55);
    pay(&up.wallet(0).await, friend, 5).await;
    let head = ask(&up.l2().await, "eth_getBlockByNumber", json!(["latest", false])).await;
    for side in ["l1", "l2"] {
        let url = up.text(&format!("/{side}/ws"));
        let rest = up.text(&format!("/{side}/http")).replacen("http://", "ws://", 1);
        assert_eq!(url, rest);
    }
    let id = up.process.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(end(&mut up.process), Some(0));

    let up = Up::start(dir.path(), None);
    let l2 = up.l2().await;
    assert_eq!(l2.balance(friend).await.unwrap(), U256::from(5));
    let same = ask(&l2, "eth_getBlockByNumber", json!([head["number"], false])).await;
    assert_eq!(same["hash"], head["hash"]);
    pay(&up.wallet(0).await, friend, 5).await;
    assert_eq!(l2.balance(friend).await.unwrap(), U256::from(10));
}
