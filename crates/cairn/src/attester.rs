//! Attesters in processes of their own: the command, and the desk at which a node serves them.

use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Signature};
use alloy_provider::Provider;
use alloy_signer_local::PrivateKeySigner;
use cairn_primitives::batch::witness_request_digest;
use cairn_rpc::{
    ChainError,
    attest::{AttestationDesk, WITNESS_CHUNK, WitnessPart},
};
use cairn_settlement::{
    attester::{AttestationPool, Attester, ReExecute},
    bindings::ZKChain,
    l1::L1,
    remote::RemoteNode,
    verifier::find_verifiers,
};
use cairn_storage::Storage;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{cli::AttesterArgs, keys, roles::interrupted};

/// Pause between two looks at L1.
const POLL: Duration = Duration::from_millis(500);

/// The state-transition function, as attesters run it.
pub fn re_execute() -> ReExecute {
    Arc::new(|witness| cairn_stf::prove_batch(witness).map_err(Into::into))
}

/// `cairn attester`: re-executes what the chain commits on L1 and signs it, until it is interrupted.
///
/// # Errors
/// What the person at the keyboard should read; also a batch that it cannot stand behind.
pub async fn run(args: AttesterArgs) -> Result<ExitCode, Box<dyn Error>> {
    let signer = key(&args)?;
    let node = L1::connect(&args.rpc, None).await?;
    let l1 = L1::connect(&args.l1, None).await?;
    let chain = match args.chain {
        Some(chain) => chain,
        None => node.provider().raw_request("zks_getMainContract".into(), ()).await?,
    };
    let verifier = match args.verifier {
        Some(verifier) => verifier,
        None => {
            let verifier = l1.call(chain, ZKChain::getVerifierCall {}).await?;
            let found = find_verifiers(&l1, verifier).await?.and_then(|v| v.attesters);
            found.ok_or_else(|| format!("the chain's verifier {verifier} asks for no attesters"))?
        }
    };
    let (address, l1_chain_id) = (signer.address(), l1.chain_id());
    let remote = RemoteNode::new(node, l1, chain, signer.clone(), args.from_block);
    let first = remote.first_unproven().await?;
    say!(
        "attester {address} for chain contract {chain}, verifier {verifier}, from batch {first} on"
    );
    let attester = Attester::new(remote, signer, l1_chain_id, verifier, re_execute(), POLL);
    let (stop, stopped) = watch::channel(false);
    tokio::select! {
        ended = attester.run(first, stopped) => ended?,
        () = interrupted() => { stop.send_replace(true); }
    }
    Ok(ExitCode::SUCCESS)
}

/// The key from the option or the file.
fn key(args: &AttesterArgs) -> Result<PrivateKeySigner, Box<dyn Error>> {
    let text = match (&args.key, &args.key_file) {
        (Some(key), _) => key.clone(),
        (None, Some(path)) => return keys::read(path),
        (None, None) => return Err("give the attester's key with --key or --key-file".into()),
    };
    keys::parse(&text)
}

/// Serves registered attesters.
pub struct Desk {
    storage: Storage,
    pool: Arc<AttestationPool>,
    chain_id: u64,
    /// The witness served last, which is asked for in parts.
    last: Mutex<Option<(B256, Arc<Vec<u8>>)>>,
}

impl Desk {
    /// A desk over a node's batches.
    pub fn new(storage: Storage, pool: Arc<AttestationPool>, chain_id: u64) -> Self {
        Self { storage, pool, chain_id, last: Mutex::new(None) }
    }

    fn check(&self, number: u64, signature: &[u8]) -> Result<Address, ChainError> {
        let digest = witness_request_digest(self.chain_id, number);
        let signer = Signature::from_raw(signature)
            .and_then(|s| s.recover_address_from_prehash(&digest))
            .map_err(|_| ChainError::InvalidParams("that is no signature".into()))?;
        if self.pool.is_attester(signer) {
            return Ok(signer);
        }
        Err(ChainError::InvalidParams(format!("{signer} is not a registered attester")))
    }

    /// The witness of a batch of this claim: a number may come to stand for another batch.
    fn bytes(&self, number: u64, claim: B256) -> Result<Arc<Vec<u8>>, ChainError> {
        let mut last = self.last.lock();
        if let Some((_, bytes)) = last.as_ref().filter(|(of, _)| *of == claim) {
            return Ok(bytes.clone());
        }
        let found = self.storage.batch_witness(number).map_err(internal)?;
        let gone =
            || ChainError::InvalidParams(format!("the witness of batch {number} was dropped"));
        let bytes = Arc::new(found.ok_or_else(gone)?);
        *last = Some((claim, bytes.clone()));
        Ok(bytes)
    }
}

fn internal(e: impl std::fmt::Display) -> ChainError {
    ChainError::Internal(e.to_string())
}

impl AttestationDesk for Desk {
    fn witness(
        &self,
        number: u64,
        offset: u64,
        signature: &[u8],
    ) -> Result<Option<WitnessPart>, ChainError> {
        self.check(number, signature)?;
        let Some(record) = self.storage.batch(number).map_err(internal)? else { return Ok(None) };
        let bytes = self.bytes(number, record.info.publicInput)?;
        let size = bytes.len() as u64;
        let (start, end) = (offset.min(size), offset.saturating_add(WITNESS_CHUNK).min(size));
        Ok(Some(WitnessPart {
            size,
            data: bytes[start as usize..end as usize].to_vec().into(),
            public_input: record.info.publicInput,
        }))
    }

    fn submit(&self, number: u64, signature: &[u8]) -> Result<(), ChainError> {
        let record = self.storage.batch(number).map_err(internal)?;
        let record = record
            .ok_or_else(|| ChainError::InvalidParams(format!("batch {number} is not sealed")))?;
        let taken = self.pool.submit(number, record.info.publicInput, signature);
        taken.map_err(|e| ChainError::InvalidParams(e.to_string()))
    }
}
