//! What a chain's verifier on L1 asks for, how its contracts are put there, and what its refusals mean.

use std::{collections::BTreeSet, fmt, str::FromStr};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_provider::Provider as _;
use alloy_sol_types::{SolCall, SolEvent, SolValue};
use serde::{Deserialize, Serialize};

use crate::{
    bindings::{AttestationVerifier, DualVerifier, FinalVerifier, ZKChain},
    deploy::{DeployError, Deployer},
    l1::{L1, L1Error, L1Wallet},
};

/// L1 blocks whose logs are asked for at once.
const WINDOW: u64 = 1_000;

/// What makes a chain's batches final.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifierKind {
    /// A validity proof, verified by the contract `FinalVerifier`.
    #[default]
    Proof,
    /// Signatures of k of n attesters, who re-execute each batch. Such a chain is **not** a validity rollup.
    Attesters,
    /// A validity proof and attesters' signatures.
    Both,
}

impl VerifierKind {
    /// Whether batches need a validity proof.
    pub fn needs_proof(self) -> bool {
        self != Self::Attesters
    }

    /// Whether batches need attestations.
    pub fn needs_attesters(self) -> bool {
        self != Self::Proof
    }

    /// The name, as the command line and all JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Attesters => "attesters",
            Self::Both => "both",
        }
    }

    /// What a person should know of it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Proof => "validity proofs, verified by a contract",
            Self::Attesters => "attesters sign what they re-executed: NOT a validity rollup",
            Self::Both => "validity proofs, verified by a contract, and attesters",
        }
    }
}

impl fmt::Display for VerifierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for VerifierKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Proof, Self::Attesters, Self::Both]
            .into_iter()
            .find(|k| k.name() == text)
            .ok_or_else(|| "`proof`, `attesters` or `both`".to_owned())
    }
}

/// The verifier contracts of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifiers {
    /// What they ask for.
    pub kind: VerifierKind,
    /// The one that the chain calls.
    pub verifier: Address,
    /// The verifier of proofs, where there is one.
    pub proof: Option<Address>,
    /// The counter of attestations, where there is one.
    pub attesters: Option<Address>,
}

/// What a verifier of proofs is deployed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofKey {
    /// Keccak-256 of the key's description.
    pub digest: B256,
    /// The guest program whose executions are proven.
    pub program_id: B256,
    /// Runtime code of the one or two contracts that hold the description.
    pub data_code: Vec<Vec<u8>>,
}

/// Who attests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attesters {
    /// Their accounts.
    pub accounts: Vec<Address>,
    /// How many must sign.
    pub threshold: u64,
    /// May change the two, e.g. a timelock.
    pub owner: Address,
}

/// Deploys what `kind` needs.
///
/// # Errors
/// [`DeployError`]; among them that the key's description is not of its digest, which the contract itself checks, and a proof verifier without a key.
pub async fn deploy_verifiers(
    wallet: &L1Wallet,
    kind: VerifierKind,
    key: Option<&ProofKey>,
    attesters: &Attesters,
) -> Result<Verifiers, DeployError> {
    let mut made = Verifiers { kind, verifier: Address::ZERO, proof: None, attesters: None };
    if kind.needs_proof() {
        let key = key.ok_or(DeployError::Key(0))?;
        made.proof = Some(deploy_final_verifier(wallet, key).await?);
    }
    if kind.needs_attesters() {
        made.attesters = Some(deploy_attestation_verifier(wallet, attesters).await?);
    }
    made.verifier = match (made.proof, made.attesters) {
        (Some(proof), Some(attesters)) => deploy_dual_verifier(wallet, proof, attesters).await?,
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Err(DeployError::NoResult(format!("a verifier of {kind}"))),
    };
    Ok(made)
}

/// Deploys the key's description and `FinalVerifier` over it. Nobody owns it: another one needs `upgradeProtocol`, behind the timelock.
///
/// # Errors
/// [`DeployError`].
pub async fn deploy_final_verifier(
    wallet: &L1Wallet,
    key: &ProofKey,
) -> Result<Address, DeployError> {
    let d = Deployer { wallet };
    let mut data = [Address::ZERO; 2];
    if key.data_code.is_empty() || key.data_code.len() > data.len() {
        return Err(DeployError::Key(key.data_code.len()));
    }
    for (i, code) in key.data_code.iter().enumerate() {
        let what = format!("deployment of the verifying key, part {i}");
        data[i] = d.create_code(what, returning(code)).await?.0;
    }
    let arguments = (key.digest, key.program_id, data[0], data[1]).abi_encode_params();
    Ok(d.create("FinalVerifier", arguments).await?.0)
}

/// Init code that leaves `code` as a contract's code.
fn returning(code: &[u8]) -> Vec<u8> {
    // PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN: ten bytes.
    let [.., high, low] = (code.len() as u64).to_be_bytes();
    let mut init = vec![0x61, high, low, 0x80, 0x60, 10, 0x5f, 0x39, 0x5f, 0xf3];
    init.extend(code);
    init
}

/// Deploys a k-of-n attestation verifier.
///
/// # Errors
/// [`DeployError`]; the contract refuses a threshold of zero or beyond the number of attesters.
pub async fn deploy_attestation_verifier(
    wallet: &L1Wallet,
    attesters: &Attesters,
) -> Result<Address, DeployError> {
    let threshold = U256::from(attesters.threshold);
    let arguments = (attesters.owner, attesters.accounts.clone(), threshold).abi_encode_params();
    Ok(Deployer { wallet }.create("AttestationVerifier", arguments).await?.0)
}

/// Deploys a verifier that asks for a proof of `first` and one of `second`.
///
/// # Errors
/// [`DeployError`].
pub async fn deploy_dual_verifier(
    wallet: &L1Wallet,
    first: Address,
    second: Address,
) -> Result<Address, DeployError> {
    let arguments = (first, second).abi_encode_params();
    Ok(Deployer { wallet }.create("DualVerifier", arguments).await?.0)
}

/// What `DualVerifier` takes: the proof of its first verifier and that of its second.
pub fn dual_proof(first: &Bytes, second: &Bytes) -> Bytes {
    (first.clone(), second.clone()).abi_encode_params().into()
}

/// The verifier contracts behind the one at `verifier`, by what they answer to; `None` when it is of no known kind.
///
/// # Errors
/// L1's, when it does not answer.
pub async fn find_verifiers(l1: &L1, verifier: Address) -> Result<Option<Verifiers>, L1Error> {
    let made = |kind, proof, attesters| Verifiers { kind, verifier, proof, attesters };
    if answers(l1, verifier, AttestationVerifier::thresholdCall {}).await?.is_some() {
        return Ok(Some(made(VerifierKind::Attesters, None, Some(verifier))));
    }
    if answers(l1, verifier, FinalVerifier::keyDigestCall {}).await?.is_some() {
        return Ok(Some(made(VerifierKind::Proof, Some(verifier), None)));
    }
    let first = answers(l1, verifier, DualVerifier::firstCall {}).await?;
    let second = answers(l1, verifier, DualVerifier::secondCall {}).await?;
    let (Some(first), Some(second)) = (first, second) else { return Ok(None) };
    let proves = answers(l1, first, FinalVerifier::keyDigestCall {}).await?.is_some();
    let attests = answers(l1, second, AttestationVerifier::thresholdCall {}).await?.is_some();
    let both = made(VerifierKind::Both, Some(first), Some(second));
    Ok((proves && attests).then_some(both))
}

/// Who attests by now for the `AttestationVerifier` at `verifier`, from its history since L1 block `from`.
///
/// # Errors
/// L1's, when it does not answer; [`L1Error::Nonsense`] when the history is not the whole one.
pub async fn read_attesters(l1: &L1, verifier: Address, from: u64) -> Result<Attesters, L1Error> {
    let head = l1.block_number().await?;
    let mut accounts = BTreeSet::new();
    for from in (from..=head).step_by(WINDOW as usize) {
        let to = head.min(from + WINDOW - 1);
        let topic = AttestationVerifier::AttesterUpdate::SIGNATURE_HASH;
        for log in l1.logs(verifier, topic, from, to).await? {
            let event = AttestationVerifier::AttesterUpdate::decode_log(&log.inner)
                .map_err(|e| L1Error::Nonsense { what: "AttesterUpdate", detail: e.to_string() })?;
            if event.active {
                accounts.insert(event.attester);
            } else {
                accounts.remove(&event.attester);
            }
        }
    }
    let count = l1.call(verifier, AttestationVerifier::attesterCountCall {}).await?;
    let threshold = l1.call(verifier, AttestationVerifier::thresholdCall {}).await?;
    let owner = l1.call(verifier, AttestationVerifier::ownerCall {}).await?;
    match u64::try_from(threshold) {
        Ok(threshold) if count == U256::from(accounts.len()) && threshold > 0 => {
            Ok(Attesters { accounts: accounts.into_iter().collect(), threshold, owner })
        }
        _ => {
            let detail = format!(
                "{verifier} counts {count} attesters and asks for {threshold}; {} are in its history since block {from}",
                accounts.len()
            );
            Err(L1Error::Nonsense { what: "AttesterUpdate", detail })
        }
    }
}

/// Bytes of the proof that the `proveBatches` in an L1 transaction carried; `None` when it is another transaction.
///
/// # Errors
/// L1's, when it does not answer.
pub async fn proof_bytes(l1: &L1, tx: B256) -> Result<Option<usize>, L1Error> {
    let method = "eth_getTransactionByHash";
    let found =
        l1.read(method, move |p| async move { p.get_transaction_by_hash(tx).await }).await?;
    let call = found.and_then(|tx| ZKChain::proveBatchesCall::abi_decode(tx.input()).ok());
    Ok(call.map(|c| c.proof.len()))
}

/// What a contract answers to a call; `None` when it has no such function.
async fn answers<C: SolCall>(
    l1: &L1,
    contract: Address,
    call: C,
) -> Result<Option<C::Return>, L1Error> {
    match l1.call(contract, call).await {
        Ok(answer) => Ok(Some(answer)),
        // No such function, or nothing there: an empty answer.
        Err(L1Error::Reverted { .. } | L1Error::Nonsense { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// What the verifier contracts say of a proof that is false. Any other refusal (a pause, a race with another validator, too little gas) says nothing of the proof.
const VERIFIER_ERRORS: [&str; 7] = [
    "InvalidProof",
    "FinalProofRefused",
    "UnknownAttester",
    "SignersNotSorted",
    "NotEnoughSignatures",
    "MalformedSignature",
    "EmptyBatchRange",
];

/// Whether a refusal of `proveBatches` is about the proof itself.
pub(crate) fn is_about_the_proof(reason: &str) -> bool {
    VERIFIER_ERRORS.iter().any(|name| reason.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_verifiers_own_words_condemn_a_proof() {
        for name in VERIFIER_ERRORS {
            assert!(is_about_the_proof(&format!("{name} (0x01020304)")), "{name}");
        }
        for reason in
            ["ChainPaused (0x01)", "BatchHashMismatch (0x)", "no reason given", "Unauthorized", ""]
        {
            assert!(!is_about_the_proof(reason), "{reason}");
        }
    }

    /// A name that no contract has would never match.
    #[test]
    fn the_verifiers_words_are_those_of_the_contracts() {
        let known: Vec<String> = crate::artifacts::error_names().collect();
        for name in VERIFIER_ERRORS {
            assert!(known.iter().any(|k| k.starts_with(&format!("{name}("))), "{name}: {known:?}");
        }
    }

    /// As `abi.decode(proof, (bytes, bytes))` and `DualVerifier` read it.
    #[test]
    fn a_dual_proof_is_two_byte_strings() {
        let (first, second) = (Bytes::from(vec![1; 100]), Bytes::from(vec![2; 65]));
        let both = dual_proof(&first, &second);
        assert_eq!(<(Bytes, Bytes)>::abi_decode_params(&both), Ok((first, second)));
        assert_eq!(both.len(), 64 + 32 + 128 + 32 + 96);
    }

    #[test]
    fn kinds_have_names() {
        for kind in [VerifierKind::Proof, VerifierKind::Attesters, VerifierKind::Both] {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert!(kind.needs_proof() || kind.needs_attesters());
        }
        assert!("Proof".parse::<VerifierKind>().is_err());
        assert_eq!(VerifierKind::default(), VerifierKind::Proof);
    }
}
