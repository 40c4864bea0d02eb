//! Step **execute**: EIP-7702 authorizations and the frames of the call or creation.

use alloc::{string::ToString, vec::Vec};

use alloy_primitives::{Address, B256, Bytes};
use revm::{
    Inspector,
    context::{
        ContextTr, JournalTr, Transaction as _,
        result::{HaltReason, Output},
    },
    context_interface::{context::ContextError, journaled_state::JournalCheckpoint},
    handler::{FrameResult, Handler},
    inspector::InspectorHandler,
    interpreter::{GasTracker, InitialAndFloorGas, SuccessOrHalt, interpreter::EthInterpreter},
};

use super::{Failure, fault, halt};
use crate::{
    error::ExecError,
    evm::{Blocks, CairnContext, CairnEvm, EvmFault},
    reader::StateReader,
};

/// How frames are run: plainly, or under an inspector.
pub(crate) type Exec<R, I> = fn(
    &mut Blocks<R, I>,
    &mut CairnEvm<R, I>,
    JournalCheckpoint,
    &mut GasTracker,
) -> Result<Option<FrameResult>, EvmFault<R>>;

/// Runs frames without an inspector.
pub(crate) fn plain<R: StateReader, I>() -> Exec<R, I> {
    |blocks, evm, checkpoint, gas| blocks.execution(evm, checkpoint, gas)
}

/// Runs frames under the EVM's inspector.
pub(crate) fn inspected<R, I>() -> Exec<R, I>
where
    R: StateReader,
    I: Inspector<CairnContext<R>, EthInterpreter>,
{
    |blocks, evm, checkpoint, gas| blocks.inspect_execution(evm, checkpoint, gas)
}

/// What execution came to, and what the later steps did to it.
#[derive(Debug)]
pub(crate) struct Executed {
    /// Journal position before anything that execution did: where [`Executed::fail`] goes back to.
    pub start: JournalCheckpoint,
    pub failure: Option<Failure>,
    pub output: Bytes,
    pub contract_address: Option<Address>,
    pub gas_limit: u64,
    /// Gas spent by the intrinsic cost and execution.
    pub spent: u64,
    /// Gas given back, already capped (EIP-3529).
    pub refund: u64,
    /// EIP-7623.
    pub floor: u64,
    pub pubdata_bytes: u64,
    pub pubdata_gas: u64,
    /// Messages to L1: (sender, hash, message).
    pub messages: Vec<(Address, B256, Bytes)>,
    /// Code that was never published before, by hash.
    pub new_codes: Vec<(B256, Bytes)>,
}

impl Executed {
    /// Nothing executed yet, of a transaction that undoes to `start`.
    pub(crate) fn nothing(start: JournalCheckpoint, gas_limit: u64) -> Self {
        Self {
            start,
            failure: None,
            output: Bytes::new(),
            contract_address: None,
            gas_limit,
            spent: 0,
            refund: 0,
            floor: 0,
            pubdata_bytes: 0,
            pubdata_gas: 0,
            messages: Vec::new(),
            new_codes: Vec::new(),
        }
    }

    /// Gas used when all steps are done.
    pub(crate) fn gas_used(&self) -> u64 {
        let used = (self.spent + self.pubdata_gas).saturating_sub(self.refund);
        used.max(self.floor).min(self.gas_limit)
    }

    /// Undoes everything that execution did and charges the whole gas limit.
    pub(crate) fn fail<R: StateReader, I>(
        &mut self,
        evm: &mut CairnEvm<R, I>,
        failure: Failure,
    ) -> Result<(), ExecError<R::Error>> {
        evm.ctx.journal_mut().checkpoint_revert(self.start);
        let (_, tx, _, journal, _, _) = evm.ctx.all_mut();
        if tx.kind().is_create() {
            // The frame's own nonce bump was undone with the rest.
            use revm::context_interface::journaled_state::account::JournaledAccountTr;
            let caller = tx.caller();
            journal.load_account_mut(caller).map_err(super::db_fault)?.data.bump_nonce();
        }
        self.failure = Some(failure);
        self.output = Bytes::new();
        self.contract_address = None;
        self.messages.clear();
        self.new_codes.clear();
        (self.spent, self.refund, self.pubdata_gas) = (self.gas_limit, 0, 0);
        Ok(())
    }
}

/// Marks a place in the journal without changing the call depth that frames and inspectors see.
pub(crate) fn mark<R: StateReader, I>(evm: &mut CairnEvm<R, I>) -> JournalCheckpoint {
    let checkpoint = evm.ctx.journal_mut().checkpoint();
    evm.ctx.journal_mut().checkpoint_commit();
    checkpoint
}

/// Runs authorizations and frames of the transaction in the environment.
pub(crate) fn execute<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    intrinsic: InitialAndFloorGas,
    exec: Exec<R, I>,
) -> Result<Executed, ExecError<R::Error>> {
    let start = mark(evm);
    execute_from(evm, start, intrinsic, exec)
}

/// [`execute`], with a start that lies before it.
pub(crate) fn execute_from<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    start: JournalCheckpoint,
    intrinsic: InitialAndFloorGas,
    exec: Exec<R, I>,
) -> Result<Executed, ExecError<R::Error>> {
    let mut blocks = Blocks::<R, I>::default();
    let gas_limit = evm.ctx.tx.gas_limit();
    let mut gas = GasTracker::new(gas_limit, gas_limit - intrinsic.initial_total_gas(), 0);
    blocks.load_accounts(evm).map_err(fault::<R>)?;
    // Opened for the frames, which settle it.
    let checkpoint = evm.ctx.journal_mut().checkpoint();
    let refund = super::authorize::apply(evm)?;
    let frame = exec(&mut blocks, evm, checkpoint, &mut gas).map_err(fault::<R>)?;
    // `None` stands for rules of a later hardfork; they are off.
    let frame = frame.ok_or_else(|| ExecError::Evm("runtime gas phase".to_string()))?;
    take_fault(evm)?;
    conclude(evm, start, frame, refund, intrinsic.floor_gas())
}

/// A failed read inside an instruction is parked in the context.
pub(super) fn take_fault<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
) -> Result<(), ExecError<R::Error>> {
    match core::mem::replace(&mut evm.ctx.error, Ok(())) {
        Ok(()) => Ok(()),
        Err(ContextError::Db(e)) => Err(super::db_fault(e)),
        Err(ContextError::Custom(e)) => Err(ExecError::Evm(e)),
    }
}

fn conclude<R: StateReader, I>(
    evm: &CairnEvm<R, I>,
    start: JournalCheckpoint,
    frame: FrameResult,
    eip7702_refund: u64,
    floor: u64,
) -> Result<Executed, ExecError<R::Error>> {
    let gas_limit = evm.ctx.tx.gas_limit();
    let gas = *frame.gas();
    let spent = gas_limit - gas.remaining().min(gas_limit);
    let counter = u64::try_from(gas.refunded()).unwrap_or(0) + eip7702_refund;
    let output = frame.output();
    let contract_address = match &output {
        Output::Create(_, address) => *address,
        Output::Call(_) => None,
    };
    let result = frame.into_interpreter_result().result;
    let failure = match SuccessOrHalt::<HaltReason>::from(result) {
        SuccessOrHalt::Success(_) => None,
        SuccessOrHalt::Revert => Some(Failure::Revert),
        SuccessOrHalt::Halt(reason) => Some(halt(reason)),
        other => return Err(ExecError::Evm(alloc::format!("{other:?}"))),
    };
    Ok(Executed {
        start,
        contract_address: contract_address.filter(|_| failure.is_none()),
        output: if matches!(failure, None | Some(Failure::Revert)) {
            output.into_data()
        } else {
            Bytes::new()
        },
        failure,
        gas_limit,
        spent,
        // EIP-3529: at most a fifth of what execution spent; pubdata is not discounted by cleared storage.
        refund: counter.min(spent / 5),
        floor,
        pubdata_bytes: 0,
        pubdata_gas: 0,
        messages: Vec::new(),
        new_codes: Vec::new(),
    })
}
