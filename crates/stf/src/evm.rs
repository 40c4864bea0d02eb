//! The EVM instance: revm at the newest mainnet hardfork (Osaka) over [`StateDb`], with the chain's own precompiles.

use revm::{
    Context, Journal,
    context::{BlockEnv, CfgEnv, Evm, FrameStack, TxEnv, result::EVMError},
    handler::{EthFrame, MainnetHandler, instructions::EthInstructions},
    interpreter::interpreter::EthInterpreter,
    primitives::hardfork::SpecId,
};

use crate::{
    db::{DbError, StateDb},
    precompiles::CairnPrecompiles,
    reader::StateReader,
};

/// The hardfork that L2 executes.
pub const SPEC: SpecId = SpecId::OSAKA;

/// Context of execution; inspectors are written against it.
pub type CairnContext<R> = Context<BlockEnv, TxEnv, CfgEnv, StateDb<R>, Journal<StateDb<R>>, ()>;

/// The EVM, with an optional inspector `I`.
pub type CairnEvm<R, I = ()> = Evm<
    CairnContext<R>,
    I,
    EthInstructions<EthInterpreter, CairnContext<R>>,
    CairnPrecompiles,
    EthFrame<EthInterpreter>,
>;

/// Errors inside the EVM.
pub type EvmFault<R> = EVMError<DbError<<R as StateReader>::Error>>;

/// revm's handler supplies the building blocks of the steps in [`crate::life`].
pub type Blocks<R, I> = MainnetHandler<CairnEvm<R, I>, EvmFault<R>, EthFrame<EthInterpreter>>;

/// A new EVM over `reader`.
pub fn new_evm<R: StateReader, I>(reader: R, chain_id: u64, inspector: I) -> CairnEvm<R, I> {
    let mut ctx: CairnContext<R> = Context::new(StateDb::new(reader), SPEC);
    ctx.cfg.chain_id = chain_id;
    Evm {
        ctx,
        inspector,
        instruction: EthInstructions::new_mainnet_with_spec(SPEC),
        precompiles: CairnPrecompiles::new(SPEC),
        frame_stack: FrameStack::new_prealloc(8),
    }
}
