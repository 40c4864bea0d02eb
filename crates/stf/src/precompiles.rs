//! Ethereum's precompiles, and the chain's own native contracts: NonceHolder (0x8003) and EIP-2935's block-hash history.

use alloc::string::{String, ToString};

use alloy_primitives::{Address, Bytes, U256};
use cairn_primitives::address::{HISTORY_STORAGE, NONCE_HOLDER};
use revm::{
    context::{Block, ContextTr},
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, Gas, InstructionResult, InterpreterResult},
    primitives::{AddressSet, hardfork::SpecId},
};

use crate::{evm::CairnContext, life::aa::nonce, limits::BLOCK_HASH_WINDOW, reader::StateReader};

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
            return native(ctx, inputs, nonce::gas_of, |ctx, input| nonce::run(ctx, inputs, input))
                .map(Some);
        }
        if at == HISTORY_STORAGE {
            let run = |ctx: &mut CairnContext<R>, input: &[u8]| {
                Ok(history(ctx, input)?.ok_or_else(Bytes::new))
            };
            return native(ctx, inputs, |_| HISTORY_GAS, run).map(Some);
        }
        PrecompileProvider::<CairnContext<R>>::run(&mut self.ethereum, ctx, inputs)
    }

    /// The native contracts are not in the list: like any contract they are cold at first.
    fn warm_addresses(&self) -> &AddressSet {
        self.ethereum.warm_addresses()
    }
}

/// Runs a native contract that takes no value: its gas depends on the input alone; `Ok(Err(_))` reverts with data.
fn native<R: StateReader>(
    ctx: &mut CairnContext<R>,
    inputs: &CallInputs,
    cost: impl FnOnce(&[u8]) -> u64,
    f: impl FnOnce(&mut CairnContext<R>, &[u8]) -> Result<Result<Bytes, Bytes>, String>,
) -> Result<InterpreterResult, String> {
    let input = inputs.input.as_bytes(ctx).to_vec();
    let mut gas = Gas::new(inputs.gas_limit);
    if !gas.record_regular_cost(cost(&input)) {
        gas.spend_all();
        return Ok(InterpreterResult::new(InstructionResult::PrecompileOOG, Bytes::new(), gas));
    }
    let sends_value = inputs.value.transfer().is_some_and(|v| !v.is_zero());
    let output = if sends_value { Err(Bytes::new()) } else { f(ctx, &input)? };
    Ok(match output {
        Ok(bytes) => InterpreterResult::new(InstructionResult::Return, bytes, gas),
        Err(bytes) => InterpreterResult::new(InstructionResult::Revert, bytes, gas),
    })
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
