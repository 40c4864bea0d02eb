//! The pool's judgement of transactions whose validity is up to code: accounts with code, and paymasters.

use alloy_primitives::{Address, U256};
use cairn_primitives::Eip712Tx;
use cairn_rpc::{ChainError, PoolError};
use cairn_stf::life::aa::nonce::UNORDERED;
use cairn_stf::life::aa::{AaError, Reason, Step};
use cairn_stf::{
    AccountOverride, AccountState, BlockEnvParams, ExecError, RecoveredTx, Simulator,
    StateOverrides, TxError,
};

use crate::mempool::{Judged, Rules, eip712};
use crate::rpc::tx_error;
use crate::shared::{Shared, internal};
use crate::state::SnapshotReader;

/// What must be known of the state to take an account-abstraction transaction.
pub(crate) struct Verdict {
    pub(crate) judged: Option<Judged>,
    /// Wei that its paymaster has.
    pub(crate) paymaster_balance: U256,
}

impl Shared {
    /// Judges an account-abstraction transaction on the present state. The costly part of taking one: call it outside all locks.
    pub(crate) fn judge(
        &self,
        tx: &RecoveredTx,
        account: &AccountState,
    ) -> Result<Verdict, ChainError> {
        let nothing = Verdict { judged: None, paymaster_balance: U256::ZERO };
        let Some(t) = eip712(tx) else { return Ok(nothing) };
        let price = self.fees.read().gas_per_pubdata;
        if t.gas_per_pubdata < price {
            let (have, want) = (t.gas_per_pubdata, price);
            return Err(tx_error(TxError::GasPerPubdataTooLow { have, want }).into());
        }
        let smart = account.has_code() && !self.is_delegation(account.code_hash);
        if !smart {
            check_key(tx, t)?;
            // Only code keeps nonces without order: a queue of its own would wait in the pool for ever.
            if t.nonce >= UNORDERED {
                let (address, tx, state) = (t.from, t.nonce, account.nonce);
                return Err(tx_error(TxError::NonceTooHigh { address, tx, state }).into());
            }
        }
        if !smart && t.paymaster.is_none() {
            return Ok(nothing);
        }
        let mut judged = self.validate(tx, t)?;
        judged.smart = smart;
        let paymaster_balance = match &t.paymaster {
            None => U256::ZERO,
            Some(p) => {
                let account = self.accounts.get(&self.storage, p.paymaster).map_err(internal)?;
                U256::from(account.balance)
            }
        };
        Ok(Verdict { judged: Some(judged), paymaster_balance })
    }

    /// Runs its validation under the pool's rules, as if all before it in its queue had been executed.
    pub(crate) fn validate(&self, tx: &RecoveredTx, t: &Eip712Tx) -> Result<Judged, ChainError> {
        let env = self.next_env();
        let reader = SnapshotReader::at(&self.storage, env.number - 1, self.codes.clone());
        let reader = reader.map_err(internal)?;
        let mut overrides = StateOverrides::default();
        if t.nonce < UNORDERED {
            let nonce = AccountOverride { nonce: Some(t.nonce), ..AccountOverride::default() };
            overrides.insert(t.from, nonce);
        }
        let mut simulator =
            Simulator::with_inspector(env, reader, overrides, Default::default(), Rules::new(t));
        let gas = match simulator.validate(tx) {
            Ok(gas) => gas,
            Err(ExecError::Invalid(e)) => return Err(tx_error(e).into()),
            Err(e) => return Err(internal(e)),
        };
        let rules = simulator.into_inspector();
        if let Some(reason) = rules.broken {
            return Err(PoolError::Account { reason, data: None }.into());
        }
        for at in &rules.coded {
            let account = self.accounts.get(&self.storage, *at).map_err(internal)?;
            if !account.has_code() || self.is_delegation(account.code_hash) {
                let reason = format!("validation calls {at}, which has no code of its own");
                return Err(PoolError::Account { reason, data: None }.into());
            }
        }
        Ok(Judged { slots: rules.slots.into_iter().collect(), gas, smart: false })
    }

    /// Environment of the block after the head.
    pub(crate) fn next_env(&self) -> BlockEnvParams {
        let head = self.head();
        BlockEnvParams {
            chain_id: self.config.chain.chain_id,
            number: head.header.number + 1,
            timestamp: self.clock.peek(head.header.timestamp),
            parent_hash: head.hash,
            beneficiary: self.config.operator,
            fees: *self.fees.read(),
        }
    }
}

/// A plain account's signature was recovered at admission.
fn check_key(tx: &RecoveredTx, t: &Eip712Tx) -> Result<(), PoolError> {
    if tx.signer == Some(t.from) {
        return Ok(());
    }
    let why = match (tx.signer, t.signature.len(), t.signature.last()) {
        (Some(_), ..) => "it is of another key, or of other data",
        (None, 65, Some(27 | 28)) => "it does not recover, or its `s` is in the upper half (EIP-2)",
        (None, 65, _) => "the last byte of the signature is neither 27 nor 28",
        (None, ..) => "an account without code has a signature of 65 bytes",
    };
    let account: Address = t.from;
    let error = AaError { step: Step::Signature, account, reason: Reason::Signature(why) };
    Err(tx_error(error.into()))
}
