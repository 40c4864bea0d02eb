//! The rollup as its users see it: over JSON-RPC only.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use cairn_primitives::l2_to_l1::L1_MESSAGE_SENT_TOPIC;
use cairn_settlement::{
    bridge::WithdrawalProof,
    l1::{L1, L1Error, L1Wallet},
};
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

/// Pause between two looks at something awaited.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What goes wrong between a user and the rollup.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The node did not answer, refused, or the transaction reverted.
    #[error("the rollup: {0}")]
    Rpc(#[from] L1Error),
    /// An answer without a field that it must have.
    #[error("the rollup answered {method} without `{field}`")]
    Field {
        /// The question.
        method: &'static str,
        /// The field.
        field: &'static str,
    },
    /// Waited too long.
    #[error("gave up waiting for {what} after {seconds} s")]
    Timeout {
        /// What was awaited.
        what: String,
        /// How long.
        seconds: u64,
    },
}

/// Where a batch is on its way to finality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchView {
    /// Number.
    pub number: u64,
    /// `processed`, `committed`, `proven` or `finalized`.
    pub status: &'static str,
    /// Transactions.
    pub txs: u64,
    /// L1 transaction of the commit.
    pub commit_tx: Option<B256>,
    /// L1 transaction of the proof.
    pub prove_tx: Option<B256>,
    /// L1 transaction of the execution.
    pub execute_tx: Option<B256>,
    /// Its validity proof, once a prover has taken it.
    pub proving: Option<ProvingView>,
}

/// How far a batch's validity proof is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvingView {
    /// `proving`, `joining`, `proven` or `failed`.
    pub status: String,
    /// Cycles of the execution.
    pub cycles: u64,
    /// Shards of the execution.
    pub shards: u32,
    /// Shards that have a proof.
    pub done: u32,
    /// Steps of joining the shards' proofs.
    pub join_steps: u32,
    /// Steps that are done.
    pub joined: u32,
    /// Milliseconds spent.
    pub spent_ms: u64,
    /// Bytes of the proof that L1 verifies.
    pub proof_bytes: u64,
    /// Proven bits of the weakest layer below it.
    #[serde(default)]
    pub proven_bits: Option<u32>,
    /// First and last batch of that proof.
    #[serde(default)]
    pub proof_of: Option<(u64, u64)>,
    /// Why it failed.
    #[serde(default)]
    pub failure: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchDetails {
    l1_tx_count: u64,
    l2_tx_count: u64,
    commit_tx_hash: Option<B256>,
    prove_tx_hash: Option<B256>,
    execute_tx_hash: Option<B256>,
    #[serde(default)]
    proving: Option<ProvingView>,
}

#[derive(Clone, Debug, Deserialize)]
struct LogProof {
    id: u64,
    proof: Vec<B256>,
    batch_number: u64,
}

/// A client of the rollup.
#[derive(Debug, Clone)]
pub struct L2Client {
    rpc: L1,
}

impl L2Client {
    /// Connects.
    ///
    /// # Errors
    /// [`ClientError::Rpc`].
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Ok(Self { rpc: L1::connect(url, None).await? })
    }

    /// The connection.
    pub fn rpc(&self) -> &L1 {
        &self.rpc
    }

    /// A user with a key.
    pub fn wallet(&self, signer: PrivateKeySigner) -> L1Wallet {
        L1Wallet::new(self.rpc.clone(), signer)
    }

    /// Any method.
    ///
    /// # Errors
    /// [`ClientError::Rpc`].
    pub async fn raw<
        T: serde::de::DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + Unpin + 'static,
    >(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, ClientError> {
        use alloy_provider::Provider;
        let answer = self
            .rpc
            .read(method, |p| {
                let params = params.clone();
                async move { p.raw_request(method.into(), params).await }
            })
            .await?;
        Ok(answer)
    }

    /// Calls a view function.
    ///
    /// # Errors
    /// [`ClientError::Rpc`].
    pub async fn call<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, ClientError> {
        Ok(self.rpc.call(to, call).await?)
    }

    /// Balance of the base token in wei.
    ///
    /// # Errors
    /// [`ClientError::Rpc`].
    pub async fn balance(&self, address: Address) -> Result<U256, ClientError> {
        Ok(self.rpc.balance(address).await?)
    }

    /// The receipt of any transaction, priority operations included; waits for it.
    ///
    /// # Errors
    /// [`ClientError::Timeout`] after `limit`.
    pub async fn wait_receipt(&self, hash: B256, limit: Duration) -> Result<Value, ClientError> {
        let started = Instant::now();
        loop {
            let receipt: Option<Value> =
                self.raw("eth_getTransactionReceipt", json!([hash])).await?;
            match receipt {
                Some(receipt) => return Ok(receipt),
                None if started.elapsed() > limit => {
                    let what = format!("the receipt of {hash}");
                    return Err(ClientError::Timeout { what, seconds: limit.as_secs() });
                }
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// A sealed batch; `None` when there is none of that number yet.
    ///
    /// # Errors
    /// [`ClientError::Rpc`].
    pub async fn batch(&self, number: u64) -> Result<Option<BatchView>, ClientError> {
        let details: Option<BatchDetails> =
            self.raw("zks_getL1BatchDetails", json!([number])).await?;
        Ok(details.map(|d| {
            let status = match (d.commit_tx_hash, d.prove_tx_hash, d.execute_tx_hash) {
                (_, _, Some(_)) => "finalized",
                (_, Some(_), None) => "proven",
                (Some(_), None, None) => "committed",
                (None, None, None) => "processed",
            };
            BatchView {
                number,
                status,
                txs: d.l1_tx_count + d.l2_tx_count,
                commit_tx: d.commit_tx_hash,
                prove_tx: d.prove_tx_hash,
                execute_tx: d.execute_tx_hash,
                proving: d.proving,
            }
        }))
    }

    /// Batch of a transaction, once it is sealed.
    ///
    /// # Errors
    /// [`ClientError::Rpc`].
    pub async fn batch_of(&self, tx: B256) -> Result<Option<u64>, ClientError> {
        let receipt: Option<Value> = self.raw("eth_getTransactionReceipt", json!([tx])).await?;
        let number = receipt.as_ref().and_then(|r| r["l1BatchNumber"].as_str());
        Ok(number.and_then(|n| u64::from_str_radix(n.trim_start_matches("0x"), 16).ok()))
    }

    /// Everything that L1 asks for to finalize the withdrawal in transaction `tx`; `None` while its batch is not sealed.
    ///
    /// # Errors
    /// [`ClientError::Field`] when the transaction sent no message.
    pub async fn withdrawal_proof(&self, tx: B256) -> Result<Option<WithdrawalProof>, ClientError> {
        let method = "zks_getL2ToL1LogProof";
        let proof: Option<LogProof> = self.raw(method, json!([tx, 0])).await?;
        let Some(proof) = proof else { return Ok(None) };
        let receipt = self.wait_receipt(tx, Duration::from_secs(5)).await?;
        let (l2_sender, message) = sent_message(&receipt)
            .ok_or(ClientError::Field { method, field: "L1MessageSent event" })?;
        let index = receipt["transactionIndex"].as_str().unwrap_or("0x0");
        let tx_number = u16::from_str_radix(index.trim_start_matches("0x"), 16)
            .map_err(|_| ClientError::Field { method, field: "transactionIndex" })?;
        Ok(Some(WithdrawalProof {
            batch: proof.batch_number,
            log_index: proof.id,
            tx_number,
            l2_sender,
            message,
            proof: proof.proof,
        }))
    }
}

/// Sender on L2 and message of the first message in a receipt.
fn sent_message(receipt: &Value) -> Option<(Address, Bytes)> {
    let topic = L1_MESSAGE_SENT_TOPIC.to_string();
    let log = receipt["logs"].as_array()?.iter().find(|l| l["topics"][0] == topic.as_str())?;
    let sender: B256 = log["topics"][1].as_str()?.parse().ok()?;
    let data: Bytes = log["data"].as_str()?.parse().ok()?;
    let message = <Bytes as alloy_sol_types::SolValue>::abi_decode(&data).ok()?;
    Some((Address::from_word(sender), message))
}
