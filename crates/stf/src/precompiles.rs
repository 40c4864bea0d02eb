//! Ethereum's precompiles, and the chain's own native contracts: NonceHolder (0x8003) and EIP-2935's block-hash history.

use alloc::string::{String, ToString};

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue, sol};
use cairn_primitives::address::{HISTORY_STORAGE, NONCE_HOLDER};
use revm::{
    context::{Block, ContextTr, JournalTr},
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, Gas, InstructionResult, InterpreterResult},
    primitives::{AddressSet, hardfork::SpecId},
};

use crate::{evm::CairnContext, limits::BLOCK_HASH_WINDOW, reader::StateReader};

sol! {
    function getMinNonce(address) external view returns (uint256);
    function getRawNonce(address) external view returns (uint256);
    function getDeploymentNonce(address) external view returns (uint256);
}

/// Gas of a nonce read: a cold account access and the call's own work.
const NONCE_GAS: u64 = 2_700;
/// Gas of a history read: what the contract of EIP-2935 costs with a cold slot.
const HISTORY_GAS: u64 = 2_200;

/// Precompile provider of the chain.
#[derive(Debug, Clone)]
pub struct CairnPrecompiles {
    ethereum: EthPrecompiles,
}

impl CairnPrecompiles {
    /// Precompiles of a hardfork plus the chain's native contracts.
    pub fn new(spec: SpecId) -> Self {
        Self { ethereum: EthPrecompiles::new(spec) }
    }
}

/// Addresses whose code is native. At genesis they carry code that is never run, so that `EXTCODESIZE` says "contract".
pub const NATIVE_CONTRACTS: [Address; 2] = [NONCE_HOLDER, HISTORY_STORAGE];

impl<R: StateReader> PrecompileProvider<CairnContext<R>> for CairnPrecompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, _spec: SpecId) -> bool {
        false
    }

    fn run(
        &mut self,
        ctx: &mut CairnContext<R>,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        let at = inputs.bytecode_address;
        if at == NONCE_HOLDER {
            return native(ctx, inputs, NONCE_GAS, nonce_holder).map(Some);
        }
        if at == HISTORY_STORAGE {
            return native(ctx, inputs, HISTORY_GAS, history).map(Some);
        }
        PrecompileProvider::<CairnContext<R>>::run(&mut self.ethereum, ctx, inputs)
    }

    /// The native contracts are not in the list: like any contract they are cold at first.
    fn warm_addresses(&self) -> &AddressSet {
        self.ethereum.warm_addresses()
    }
}

/// Runs a native contract: fixed gas, no value, `None` reverts.
fn native<R: StateReader>(
    ctx: &mut CairnContext<R>,
    inputs: &CallInputs,
    cost: u64,
    f: impl FnOnce(&mut CairnContext<R>, &[u8]) -> Result<Option<Bytes>, String>,
) -> Result<InterpreterResult, String> {
    let mut gas = Gas::new(inputs.gas_limit);
    if !gas.record_regular_cost(cost) {
        gas.spend_all();
        return Ok(InterpreterResult::new(InstructionResult::PrecompileOOG, Bytes::new(), gas));
    }
    let input = inputs.input.as_bytes(ctx).to_vec();
    let sends_value = inputs.value.transfer().is_some_and(|v| !v.is_zero());
    let output = if sends_value { None } else { f(ctx, &input)? };
    Ok(match output {
        Some(bytes) => InterpreterResult::new(InstructionResult::Return, bytes, gas),
        None => InterpreterResult::new(InstructionResult::Revert, Bytes::new(), gas),
    })
}

/// zkSync's NonceHolder reads. Here one account nonce orders transactions and names deployments, as on Ethereum.
fn nonce_holder<R: StateReader>(
    ctx: &mut CairnContext<R>,
    input: &[u8],
) -> Result<Option<Bytes>, String> {
    let Some((selector, args)) = input.split_first_chunk::<4>() else { return Ok(None) };
    let raw = match *selector {
        s if s == getRawNonceCall::SELECTOR => true,
        s if s == getMinNonceCall::SELECTOR || s == getDeploymentNonceCall::SELECTOR => false,
        _ => return Ok(None),
    };
    let Ok(address) = Address::abi_decode_validate(args) else { return Ok(None) };
    let account = ctx.journal_mut().load_account(address).map_err(|e| e.to_string())?;
    let nonce = U256::from(account.data.info.nonce);
    let word = if raw { nonce << 128 | nonce } else { nonce };
    Ok(Some(word.abi_encode().into()))
}

/// EIP-2935's `get`: a 32-byte block number in, its hash out. Reaches [`BLOCK_HASH_WINDOW`] blocks back.
fn history<R: StateReader>(
    ctx: &mut CairnContext<R>,
    input: &[u8],
) -> Result<Option<Bytes>, String> {
    let Ok(word) = <[u8; 32]>::try_from(input) else { return Ok(None) };
    let (asked, now) = (U256::from_be_bytes(word), ctx.block().number());
    if asked >= now || now - asked > U256::from(BLOCK_HASH_WINDOW) {
        return Ok(None);
    }
    let hash = revm::Database::block_hash(ctx.db_mut(), asked.to::<u64>());
    let hash = hash.map_err(|e| e.to_string())?;
    Ok(Some(Bytes::copy_from_slice(hash.as_slice())))
}
