//! `cairn bench gas`: what a final proof costs on L1, part by part, and what a batch costs for each of its transactions.
//!
//! The parts are measured from outside: a small contract calls the verifier and says what gas that took; the proof is spoilt in such a way that the verifier
//! refuses it right after one part. So each part is a difference of two calls, on any L1.

use std::{
    collections::HashSet,
    error::Error,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, Bytes, U256};
use alloy_provider::Provider;
use alloy_rpc_types::{TransactionInput, TransactionRequest};
use alloy_sol_types::SolCall;
use cairn_aggregator::MAX_BATCHES;
use cairn_l1_dev::L1Dev;
use cairn_settlement::{
    bindings::Verifier,
    bridge::Bridge,
    l1::{L1, L1Wallet, Send},
    verifier::{VerifierKind, deploy_final_verifier},
};
use cairn_storage::{L1Tx, SettlementRecord};
use serde_json::{Value, json};

use crate::{
    cli::{BenchGasArgs, DEFAULT_L1_CHAIN_ID},
    files,
    final_file::{self, FinalFile},
    keys::DevKeys,
    l2_client::L2Client,
    node::{Node, NodeConfig},
    roles::l1_config,
    verifier::shipped_key,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Gas of a transaction before anything else.
const TX_GAS: u64 = 21_000;
/// Longest wait for a batch to be final.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the command.
pub async fn run(args: BenchGasArgs) -> Outcome<ExitCode> {
    let bytes = files::read(&args.proof, final_file::MAX_BYTES)?;
    let file = FinalFile::decode(&bytes).map_err(|e| format!("{}: {e}", args.proof.display()))?;
    let scratch = tempfile::tempdir()?;
    let embedded = match &args.l1 {
        Some(_) => None,
        None => {
            let l1 = L1Dev::open(l1_config(scratch.path().join("l1"), DEFAULT_L1_CHAIN_ID, None))?;
            let server = l1.serve(([127, 0, 0, 1], 0).into()).await?;
            Some((l1, server))
        }
    };
    let url = match (&args.l1, &embedded) {
        (Some(url), _) => url.clone(),
        (None, Some((_, server))) => server.http_url(),
        (None, None) => return Err("no L1".into()),
    };
    let verification = verification(&url, &file).await?;
    let mut batches = Vec::new();
    for txs in &args.batches {
        let dir = scratch.path().join(format!("batch-of-{txs}"));
        batches.push(transfers(&dir, args.l1.clone(), *txs, verification.total).await?);
    }
    let l1 = args.l1.as_deref().unwrap_or("embedded");
    let summary = json!({ "l1": l1, "verification": verification.json(), "batches": batches });
    if args.json {
        say!("{summary}");
    } else {
        say!("{summary:#}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Gas of one verification, by its parts.
struct Verification {
    proof_bytes: usize,
    batches: usize,
    calldata: u64,
    key: u64,
    constraints: u64,
    fri: u64,
    merkle: u64,
    /// A transaction that does nothing else, as L1 charges it.
    total: u64,
}

impl Verification {
    fn json(&self) -> Value {
        json!({
            "proof_bytes": self.proof_bytes, "batches": self.batches, "total": self.total,
            "parts": {
                "calldata": self.calldata, "key": self.key, "constraints": self.constraints,
                "fri": self.fri, "merkle": self.merkle,
            },
        })
    }
}

async fn verification(url: &str, file: &FinalFile) -> Outcome<Verification> {
    let wallet = L1Wallet::new(L1::connect(url, None).await?, DevKeys::derive().deployer);
    let key = shipped_key()?;
    let verifier = deploy_final_verifier(&wallet, &key).await?;
    let send = Send { what: "the probe".into(), data: probe(verifier).into(), ..Send::default() };
    let probe = wallet.send(send).await?.contract_address.ok_or("the probe has no address")?;
    let at = Places::of(&key.data_code).ok_or("the key's description is short")?;
    let call = |proof: Bytes| -> Bytes {
        let inputs = file.public_inputs.clone();
        Verifier::verifyCall { publicInputs: inputs, proof }.abi_encode().into()
    };
    let spoilt = |position: usize| -> Outcome<Bytes> {
        let mut proof = file.proof.to_vec();
        *proof.get_mut(position).ok_or("the proof is shorter than the key says")? ^= 1;
        Ok(proof.into())
    };
    let l1 = wallet.l1();
    let longer: Bytes = [&file.proof[..], &[0; 32]].concat().into();
    let length = refusal(l1, probe, call(longer), 1).await?;
    let opened = refusal(l1, probe, call(spoilt(at.opened)?), 4).await?;
    let folded = refusal(l1, probe, call(spoilt(at.last_query)?), 7).await?;
    let honest = call(file.proof.clone());
    let (all, None) = measure(l1, probe, honest.clone()).await? else {
        return Err("the contract refuses the proof: is it of this program and key?".into());
    };
    let tokens: u64 = honest.iter().map(|b| if *b == 0 { 4 } else { 16 }).sum();
    let request = TransactionRequest::default()
        .from(wallet.address())
        .to(verifier)
        .input(TransactionInput::both(honest));
    let total = l1.provider().estimate_gas(request).await?;
    Ok(Verification {
        proof_bytes: file.proof.len(),
        batches: file.public_inputs.len(),
        calldata: TX_GAS + tokens,
        key: length,
        constraints: opened.saturating_sub(length),
        fri: folded.saturating_sub(opened),
        merkle: all.saturating_sub(folded),
        total,
    })
}

/// Where in a proof the parts are that are spoilt.
struct Places {
    opened: usize,
    last_query: usize,
}

impl Places {
    /// From the key's description: numbers of four bytes after eight of magic, in the order of `FinalKey.sol`.
    fn of(data_code: &[Vec<u8>]) -> Option<Self> {
        const QUERIES: usize = 0;
        const QUERY_BYTES: usize = 15;
        const AT_OPENED: usize = 18;
        const AT_QUERIES: usize = 23;
        let description: Vec<u8> =
            data_code.iter().flat_map(|code| code.iter().skip(1).copied()).collect();
        let number = |index: usize| -> Option<usize> {
            let bytes = description.get(8 + 4 * index..12 + 4 * index)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?) as usize)
        };
        let before = number(QUERIES)?.checked_sub(1)?;
        Some(Self {
            opened: number(AT_OPENED)?,
            last_query: number(AT_QUERIES)? + before * number(QUERY_BYTES)?,
        })
    }
}

/// Gas until the verifier refuses by the check of this number.
async fn refusal(l1: &L1, probe: Address, call: Bytes, check: u64) -> Outcome<u64> {
    let (gas, refused) = measure(l1, probe, call).await?;
    if refused != Some(U256::from(check)) {
        return Err(format!("the verifier was to refuse by check {check}: {refused:?}").into());
    }
    Ok(gas)
}

/// Gas of a call of the verifier, and the check by which it refuses, if it does.
async fn measure(l1: &L1, probe: Address, call: Bytes) -> Outcome<(u64, Option<U256>)> {
    let request = TransactionRequest::default().to(probe).input(TransactionInput::both(call));
    let out = l1.provider().call(request).await?;
    let word = |i: usize| out.get(i..i + 32).map(U256::from_be_slice);
    let gas = word(0).ok_or("the probe's answer is short")?;
    let refused = match word(32) {
        Some(ok) if ok == U256::from(1) => None,
        // `FinalProofRefused(uint256)`; anything else as a number that no check has.
        _ => Some(word(68).unwrap_or(U256::MAX)),
    };
    Ok((gas.to::<u64>(), refused))
}

/// Init code of a contract that passes its calldata on to `target` and returns the gas that this took, whether it succeeded, and what came back.
fn probe(target: Address) -> Vec<u8> {
    // CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY GAS PUSH0 PUSH0 CALLDATASIZE PUSH0 PUSH20 target
    let mut code = vec![0x36, 0x5f, 0x5f, 0x37, 0x5a, 0x5f, 0x5f, 0x36, 0x5f, 0x73];
    code.extend(target);
    // GAS STATICCALL GAS SWAP2 DUP3 SWAP1 SUB PUSH0 MSTORE PUSH1 32 MSTORE
    code.extend([0x5a, 0xfa, 0x5a, 0x91, 0x82, 0x90, 0x03, 0x5f, 0x52, 0x60, 32, 0x52]);
    // RETURNDATASIZE PUSH0 PUSH1 64 RETURNDATACOPY RETURNDATASIZE PUSH1 64 ADD PUSH0 RETURN
    code.extend([0x3d, 0x5f, 0x60, 64, 0x3e, 0x3d, 0x60, 64, 0x01, 0x5f, 0xf3]);
    // PUSH1 length, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN: nine bytes.
    let mut init = vec![0x60, code.len() as u8, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
    init.extend(code);
    init
}

/// L1 gas of so many transfers, in as many batches as they fill. Commit, execution and the bookkeeping of the proofs are a real chain's, whose batches are
/// attested; to them comes the verification of the batches' shared proof, which depends on their contents by a few Merkle nodes alone.
async fn transfers(dir: &Path, l1: Option<String>, txs: u64, verification: u64) -> Outcome<Value> {
    let mut config = NodeConfig::demo(dir.to_owned(), l1, VerifierKind::Attesters);
    config.batch_age = PATIENCE;
    let node = Node::start(config).await?;
    let l2 = L2Client::connect(&node.l2_url()).await?;
    let key = node.keys().rich[0].clone();
    let n = node.network();
    let on_l1 = L1Wallet::new(L1::connect(node.l1_url(), None).await?, key.clone());
    let bridge = Bridge::new(&on_l1, &n.ecosystem, n.config.chain_id, n.chain.address);
    let deposit = bridge.deposit_base(key.address(), U256::from(10).pow(U256::from(19))).await?;
    l2.wait_receipt(deposit.l2_tx, PATIENCE).await?;
    // The deposit's own batch.
    node.seal().await?;
    let wallet = l2.wallet(key);
    for i in 0..txs {
        let to = Address::left_padding_from(&(0x5eed_0000_0000 + i).to_be_bytes());
        let send = Send {
            what: "a transfer".into(),
            to: Some(to),
            value: U256::from(1),
            gas: Some(21_000),
            ..Send::default()
        };
        wallet.send(send).await?;
    }
    node.seal().await?;
    let all = Settled::of(&node, txs).await?;
    node.stop().await?;
    let proofs = all.batches.div_ceil(MAX_BATCHES as u64);
    let rest = all.commit + all.prove + all.execute;
    let of_four = rest + verification * all.batches / MAX_BATCHES as u64;
    let total = rest + verification * proofs;
    let per_tx = |gas: u64| gas / txs.max(1);
    Ok(json!({
        "txs": txs, "batches": all.batches, "pubdata_bytes": all.pubdata, "commit": all.commit,
        "prove_without_verification": all.prove, "execute": all.execute,
        "verification": verification * proofs, "total": total,
        "verification_per_tx": per_tx(verification * proofs), "total_per_tx": per_tx(total),
        "total_per_tx_of_four_batches": per_tx(of_four),
    }))
}

/// L1 gas of the batches after the first, until they held all the transfers.
#[derive(Default)]
struct Settled {
    batches: u64,
    pubdata: u64,
    commit: u64,
    prove: u64,
    execute: u64,
}

impl Settled {
    async fn of(node: &Node, txs: u64) -> Outcome<Self> {
        let mut all = Self::default();
        // One transaction may have served several batches.
        let mut counted = HashSet::new();
        let mut gas = |tx: Option<L1Tx>| -> u64 {
            tx.filter(|t| counted.insert(t.hash)).and_then(|t| t.gas_used).unwrap_or_default()
        };
        let mut held = 0;
        while held < txs {
            let number = 2 + all.batches;
            let record = settled(node, number).await?;
            let batch = node.storage().batch(number)?.ok_or("a final batch is not stored")?;
            held += batch.tx_count;
            all.batches += 1;
            all.pubdata += batch.pubdata_len;
            all.commit += gas(record.commit);
            all.prove += gas(record.prove);
            all.execute += gas(record.execute);
        }
        if held == txs { Ok(all) } else { Err(format!("{held} transfers instead of {txs}").into()) }
    }
}

async fn settled(node: &Node, number: u64) -> Outcome<SettlementRecord> {
    let started = Instant::now();
    loop {
        node.check()?;
        if node.storage().batch_heads().executed >= number {
            return Ok(node.storage().settlement(number)?);
        }
        if started.elapsed() > PATIENCE {
            return Err(format!("batch {number} is not final in time").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
