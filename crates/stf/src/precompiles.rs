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

use crate::{
    evm::CairnContext,
    life::aa::nonce,
    limits::BLOCK_HASH_WINDOW,
    reader::StateReader,
    work::{Work, price_of},
};

/// Gas of a history read: what the contract of EIP-2935 costs with a cold slot.
const HISTORY_GAS: u64 = 2_200;

/// Precompile provider of the chain.
#[derive(Debug, Clone)]
pub struct CairnPrecompiles {
    ethereum: EthPrecompiles,
    /// What the precompiles of the running transaction came to.
    pub(crate) work: Work,
}

impl CairnPrecompiles {
    /// Precompiles of a hardfork plus the chain's native contracts.
    pub fn new(spec: SpecId) -> Self {
        Self { ethereum: EthPrecompiles::new(spec), work: Work::default() }
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
                Ok(history(ctx, input, inputs.input.len())?.ok_or_else(Bytes::new))
            };
            return native(ctx, inputs, |_| HISTORY_GAS, run).map(Some);
        }
        if !self.ethereum.contains(&at) {
            return Ok(None);
        }
        self.metered(ctx, inputs)
    }

    /// The native contracts are not in the list: like any contract they are cold at first.
    fn warm_addresses(&self) -> &AddressSet {
        self.ethereum.warm_addresses()
    }
}

impl CairnPrecompiles {
    /// Runs a precompile of Ethereum with no more gas than the transaction's proof has room for. Every precompile asks for its gas before it works.
    fn metered<R: StateReader>(
        &mut self,
        ctx: &mut CairnContext<R>,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        let price = price_of(&inputs.bytecode_address);
        let affordable = self.work.affordable_gas(&price);
        let cut = affordable < inputs.gas_limit;
        let gas_limit = inputs.gas_limit.min(affordable);
        let run = PrecompileProvider::<CairnContext<R>>::run;
        let result = if cut {
            run(&mut self.ethereum, ctx, &CallInputs { gas_limit, ..inputs.clone() })?
        } else {
            run(&mut self.ethereum, ctx, inputs)?
        };
        let Some(mut result) = result else { return Ok(None) };
        let spent = gas_limit - result.gas.remaining().min(gas_limit);
        match result.result {
            InstructionResult::PrecompileOOG => self.work.exhausted |= cut,
            InstructionResult::PrecompileError => {
                self.work.add(&price, spent.min(price.gas_of_error(inputs.input.len())));
            }
            _ => self.work.add(&price, spent),
        }
        if cut {
            result.gas = Gas::new(inputs.gas_limit);
            if result.result.is_ok_or_revert() {
                // Within the limit: it was within a lower one.
                let _ = result.gas.record_regular_cost(spent);
            } else {
                result.gas.spend_all();
            }
        }
        Ok(Some(result))
    }
}

/// The longest input that a native contract looks at: a selector and three words.
const MAX_NATIVE_INPUT: usize = 100;

/// Runs a native contract that takes no value: its gas depends on the start of the input alone; `Ok(Err(_))` reverts with data. `cost` and `f` get the first
/// [`MAX_NATIVE_INPUT`] bytes: nothing is paid for by the byte, so nothing is copied by the byte.
fn native<R: StateReader>(
    ctx: &mut CairnContext<R>,
    inputs: &CallInputs,
    cost: impl FnOnce(&[u8]) -> u64,
    f: impl FnOnce(&mut CairnContext<R>, &[u8]) -> Result<Result<Bytes, Bytes>, String>,
) -> Result<InterpreterResult, String> {
    let mut start = [0; MAX_NATIVE_INPUT];
    let kept = {
        let input = inputs.input.as_bytes(ctx);
        let kept = input.len().min(MAX_NATIVE_INPUT);
        start[..kept].copy_from_slice(&input[..kept]);
        kept
    };
    let input = &start[..kept];
    let mut gas = Gas::new(inputs.gas_limit);
    if !gas.record_regular_cost(cost(input)) {
        gas.spend_all();
        return Ok(InterpreterResult::new(InstructionResult::PrecompileOOG, Bytes::new(), gas));
    }
    let sends_value = inputs.value.transfer().is_some_and(|v| !v.is_zero());
    let output = if sends_value { Err(Bytes::new()) } else { f(ctx, input)? };
    Ok(match output {
        Ok(bytes) => InterpreterResult::new(InstructionResult::Return, bytes, gas),
        Err(bytes) => InterpreterResult::new(InstructionResult::Revert, bytes, gas),
    })
}

/// EIP-2935's `get`: a 32-byte block number in, its hash out. Reaches [`BLOCK_HASH_WINDOW`] blocks back.
fn history<R: StateReader>(
    ctx: &mut CairnContext<R>,
    input: &[u8],
    len: usize,
) -> Result<Option<Bytes>, String> {
    let Some(word) = input.first_chunk::<32>().filter(|_| len == 32) else { return Ok(None) };
    let (asked, now) = (U256::from_be_bytes(*word), ctx.block().number());
    if asked >= now || now - asked > U256::from(BLOCK_HASH_WINDOW) {
        return Ok(None);
    }
    let hash = revm::Database::block_hash(ctx.db_mut(), asked.to::<u64>());
    let hash = hash.map_err(|e| e.to_string())?;
    Ok(Some(Bytes::copy_from_slice(hash.as_slice())))
}
