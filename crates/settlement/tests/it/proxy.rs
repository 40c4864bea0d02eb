//! A JSON-RPC node that stands before the L1 and spoils its answers on demand.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What may go wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before an answer; the question never reached L1.
    Close,
    /// L1 took the question, and the connection ends before its answer.
    Lost,
    /// No answer for longer than any client waits.
    Silence,
    /// The body ends half way.
    Cut,
    /// A web page, with status 200.
    Html,
    /// `null` for the whole body.
    Null,
    /// `null` for the result.
    NullResult,
    /// This HTTP status, with words for a body.
    Status(u16),
    /// A provider's refusal as a JSON-RPC error.
    RateLimit,
    /// A replica that is so many blocks behind.
    Behind(u64),
    /// Logs in reverse order.
    Backwards,
    /// Each log twice.
    Twice,
    /// Logs without their last bytes.
    ShortLogs,
}

/// The next `times` answers to each of these methods (an empty name: to any) have this fault.
pub fn each(methods: &[&'static str], fault: Fault, times: usize) -> Vec<Rule> {
    methods.iter().map(|method| Rule { method, fault, times }).collect()
}

/// See [`each`].
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub method: &'static str,
    pub fault: Fault,
    pub times: usize,
}

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    /// One answer of so many is spoiled, by each of these faults in turn.
    storm: Option<(u64, Vec<Fault>)>,
    asked: u64,
    spoiled: u64,
}

impl Script {
    fn next(&mut self, method: &str) -> Option<Fault> {
        self.asked += 1;
        let ruled = self
            .rules
            .iter_mut()
            .find(|r| r.times > 0 && (r.method.is_empty() || r.method == method));
        let fault = match (ruled, &self.storm) {
            (Some(rule), _) => {
                rule.times -= 1;
                Some(rule.fault)
            }
            (None, Some((one_in, faults))) if draw(self.asked).is_multiple_of(*one_in) => {
                Some(faults[self.spoiled as usize % faults.len()])
            }
            _ => None,
        };
        self.spoiled += u64::from(fault.is_some());
        fault
    }
}

/// The same numbers in every run.
fn draw(n: u64) -> u64 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    script: Mutex<Script>,
}

/// The node. It serves until the test's runtime ends.
pub struct Proxy {
    pub url: String,
    shared: Arc<Shared>,
}

impl Proxy {
    pub async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let http = reqwest::Client::new();
        let script = Mutex::default();
        let shared = Arc::new(Shared { upstream: upstream.to_owned(), http, script });
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        Self { url, shared }
    }

    /// Spoils what these rules say; what was planned before is forgotten.
    pub fn spoil(&self, rules: Vec<Rule>) {
        *self.shared.script.lock() = Script { rules, ..Script::default() };
    }

    /// Spoils one answer of `one_in`, whatever was asked.
    pub fn storm(&self, one_in: u64, faults: &[Fault]) {
        *self.shared.script.lock() =
            Script { storm: Some((one_in, faults.to_vec())), ..Script::default() };
    }

    /// Questions and spoiled answers since the plan was made.
    pub fn counts(&self) -> (u64, u64) {
        let script = self.shared.script.lock();
        (script.asked, script.spoiled)
    }
}

impl Shared {
    /// One question a connection.
    async fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let body = body_of(&mut stream).await?;
        let question: Value = serde_json::from_slice(&body).ok()?;
        let method = question["method"].as_str()?.to_owned();
        let fault = self.script.lock().next(&method);
        let (status, answer) = match fault {
            Some(Fault::Close) => return None,
            Some(Fault::Silence) => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return None;
            }
            Some(Fault::Lost) => {
                self.ask(&question).await?;
                return None;
            }
            Some(Fault::Html) => (200, "<html><body>Bad gateway</body></html>".to_owned()),
            Some(Fault::Null) => (200, "null".to_owned()),
            Some(Fault::Status(status)) => (status, "try again later".to_owned()),
            Some(Fault::Cut) => {
                let whole = self.ask(&question).await?.to_string();
                return write(&mut stream, 200, &whole, whole.len() / 2).await;
            }
            Some(fault) => (200, self.falsified(question, &method, fault).await?.to_string()),
            None => (200, self.ask(&question).await?.to_string()),
        };
        write(&mut stream, status, &answer, answer.len()).await
    }

    async fn falsified(&self, question: Value, method: &str, fault: Fault) -> Option<Value> {
        let id = question["id"].clone();
        match fault {
            Fault::RateLimit => Some(json!({
                "jsonrpc": "2.0", "id": id,
                "error": { "code": -32005, "message": "daily request count exceeded" },
            })),
            Fault::NullResult => Some(json!({ "jsonrpc": "2.0", "id": id, "result": null })),
            Fault::Behind(blocks) => self.behind(question, method, blocks).await,
            _ => {
                let mut answer = self.ask(&question).await?;
                if let Some(logs) = answer["result"].as_array_mut() {
                    spoil_logs(logs, fault);
                }
                Some(answer)
            }
        }
    }

    /// What a node answers that has not seen the newest blocks.
    async fn behind(&self, mut question: Value, method: &str, blocks: u64) -> Option<Value> {
        let head = self
            .ask(&json!({"jsonrpc": "2.0", "id": 0, "method": "eth_blockNumber", "params": []}))
            .await?;
        let newest = number(&head["result"])?.saturating_sub(blocks);
        let id = question["id"].clone();
        let result = |v: Value| json!({ "jsonrpc": "2.0", "id": id, "result": v });
        let place = match method {
            "eth_blockNumber" => return Some(result(json!(format!("0x{newest:x}")))),
            "eth_getBlockByNumber" => &mut question["params"][0],
            "eth_call" | "eth_estimateGas" | "eth_getTransactionCount" => {
                &mut question["params"][1]
            }
            "eth_getLogs" => {
                if number(&question["params"][0]["fromBlock"])? > newest {
                    return Some(result(json!([])));
                }
                &mut question["params"][0]["toBlock"]
            }
            "eth_getTransactionReceipt" => {
                let answer = self.ask(&question).await?;
                let known = number(&answer["result"]["blockNumber"]).is_some_and(|n| n <= newest);
                return Some(if known { answer } else { result(Value::Null) });
            }
            _ => return self.ask(&question).await,
        };
        let unknown = number(place).is_some_and(|n| n > newest);
        match method {
            // Geth cuts the range off silently.
            _ if !unknown || method == "eth_getLogs" => {
                if number(place).is_none_or(|n| n > newest) {
                    *place = json!(format!("0x{newest:x}"));
                }
                self.ask(&question).await
            }
            "eth_getBlockByNumber" => Some(result(Value::Null)),
            _ => Some(json!({
                "jsonrpc": "2.0", "id": id,
                "error": { "code": -32000, "message": "header not found" },
            })),
        }
    }

    async fn ask(&self, question: &Value) -> Option<Value> {
        self.http.post(&self.upstream).json(question).send().await.ok()?.json().await.ok()
    }
}

fn number(quantity: &Value) -> Option<u64> {
    u64::from_str_radix(quantity.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn spoil_logs(logs: &mut Vec<Value>, fault: Fault) {
    match fault {
        Fault::Backwards => logs.reverse(),
        Fault::Twice => *logs = logs.iter().flat_map(|l| [l.clone(), l.clone()]).collect(),
        Fault::ShortLogs => {
            for log in logs {
                let data = log["data"].as_str().unwrap_or("0x").to_owned();
                log["data"] = json!(data[..data.len() - data.len() / 4 * 2].to_owned());
            }
        }
        _ => {}
    }
}

async fn body_of(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        match line.trim().to_lowercase() {
            end if end.is_empty() => break,
            header => {
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
            }
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

/// Writes an answer, or only its first bytes.
async fn write(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    body: &str,
    sent: usize,
) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status} As said\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&body.as_bytes()[..sent]).await.ok()?;
    stream.flush().await.ok()
}
