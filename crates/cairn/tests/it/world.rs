//! A network of the binary's own in a scratch folder, and ways to look at it.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer_local::PrivateKeySigner;
use cairn_settlement::l1::{L1, L1Wallet, Send};
use serde_json::Value;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Longest wait for a proof that L1 verifies: about a minute on two free cores, and tests are not alone.
pub const PROOF_PATIENCE: Duration = Duration::from_secs(1_200);

/// The binary under test.
pub fn cairn() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cairn"))
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process that is killed with its handle.
pub struct Process(pub Child);

impl Process {
    /// SIGKILL, and the end of it.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `cairn l1` on a port and waits until it answers.
pub async fn start_l1(dir: &Path, port: u16) -> (Process, L1) {
    start_l1_with(dir, port, &[]).await
}

/// As [`start_l1`], with more options.
pub async fn start_l1_with(dir: &Path, port: u16, options: &[&str]) -> (Process, L1) {
    let child = cairn()
        .args(["l1", "--port", &port.to_string(), "--data-dir"])
        .arg(dir)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process(child);
    let url = format!("http://127.0.0.1:{port}");
    let l1 = until("the L1", || async { L1::connect(&url, None).await.ok() }).await;
    (process, l1)
}

/// `cairn up` and what it says of itself.
pub struct Up {
    pub process: Process,
    pub ready: Value,
}

impl Up {
    /// Starts it on free ports, with an embedded L1 or another.
    pub fn start(dir: &Path, l1: Option<&str>) -> Self {
        Self::start_with(dir, l1, &[])
    }

    /// As [`Self::start`], with more options. Its batches are attested: what such a test is about does not need a proof, and is quick without.
    pub fn start_with(dir: &Path, l1: Option<&str>, options: &[&str]) -> Self {
        Self::start_of("attesters", dir, l1, options)
    }

    /// With a verifier of this kind.
    pub fn start_of(verifier: &str, dir: &Path, l1: Option<&str>, options: &[&str]) -> Self {
        let mut command = cairn();
        command
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
            .arg(dir);
        if let Some(url) = l1 {
            command.args(["--l1", url]);
        }
        command.args(options);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let process = Process(child);
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no network: {line:?}"));
        Self { process, ready }
    }

    pub fn text(&self, path: &str) -> String {
        self.ready.pointer(path).and_then(Value::as_str).unwrap().to_owned()
    }

    pub fn address(&self, path: &str) -> Address {
        self.text(path).parse().unwrap()
    }

    pub async fn l2(&self) -> L1 {
        L1::connect(&self.text("/l2/http"), None).await.unwrap()
    }

    /// A funded account on L2.
    pub async fn wallet(&self, index: usize) -> L1Wallet {
        let key: PrivateKeySigner = self.text(&format!("/accounts/{index}/key")).parse().unwrap();
        L1Wallet::new(self.l2().await, key)
    }
}

/// A plain transfer.
pub async fn pay(wallet: &L1Wallet, to: Address, wei: u64) -> B256 {
    let send = Send {
        what: "a payment".to_owned(),
        to: Some(to),
        value: U256::from(wei),
        data: Bytes::new(),
        gas: Some(21_000),
        ..Send::default()
    };
    wallet.send(send).await.unwrap().transaction_hash
}

/// Any JSON-RPC method.
pub async fn ask(rpc: &L1, method: &'static str, params: Value) -> Value {
    use alloy_provider::Provider;
    rpc.provider().raw_request(method.into(), params).await.unwrap()
}

/// Asks again until there is an answer.
pub async fn until<T, F, Fut>(what: &str, look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    until_within(PATIENCE, what, look).await
}

/// As [`until`], with a patience of the caller's.
pub async fn until_within<T, F, Fut>(patience: Duration, what: &str, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "gave up waiting for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
