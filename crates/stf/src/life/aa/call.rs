//! One call of a step: a top frame of its own inside the transaction.

use alloc::string::ToString;

use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::{
    context::{
        ContextTr, JournalTr, LocalContextTr,
        result::{HaltReason, Output},
    },
    handler::EvmTr,
    interpreter::{GasTracker, SuccessOrHalt},
};

use super::{AaError, Reason, Step};
use crate::{
    error::ExecError,
    evm::{Blocks, CairnEvm},
    life::{
        Failure,
        execute::{Exec, take_fault},
        fault, halt,
    },
    reader::StateReader,
};

/// What a call came to.
pub(super) struct Returned {
    pub failure: Option<Failure>,
    pub output: Bytes,
    /// Contract that a creation made.
    pub created: Option<Address>,
    /// Gas of what was given that is left.
    pub gas_left: u64,
    /// Refund counter.
    pub refund: u64,
}

/// Runs a frame. The caller is the frame's sender and the transaction's origin.
pub(super) fn call<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    exec: Exec<R, I>,
    caller: Address,
    kind: TxKind,
    value: U256,
    data: Bytes,
    gas: u64,
) -> Result<Returned, ExecError<R::Error>> {
    let tx = &mut evm.ctx.tx;
    (tx.caller, tx.kind, tx.value, tx.data) = (caller, kind, value, data);
    // Memory and frames of the call before.
    evm.ctx.local_mut().clear();
    evm.frame_stack().clear();
    let mut blocks = Blocks::<R, I>::default();
    let mut tracker = GasTracker::new(gas, gas, 0);
    let checkpoint = evm.ctx.journal_mut().checkpoint();
    let frame = exec(&mut blocks, evm, checkpoint, &mut tracker).map_err(fault::<R>)?;
    let frame = frame.ok_or_else(|| ExecError::Evm("runtime gas phase".to_string()))?;
    take_fault(evm)?;
    let (left, counter) = (frame.gas().remaining(), frame.gas().refunded());
    let output = frame.output();
    let created = match &output {
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
    let keeps_output = matches!(failure, None | Some(Failure::Revert));
    Ok(Returned {
        created: created.filter(|_| failure.is_none()),
        output: if keeps_output { output.into_data() } else { Bytes::new() },
        gas_left: left.min(gas),
        refund: if failure.is_none() { u64::try_from(counter).unwrap_or(0) } else { 0 },
        failure,
    })
}

/// The answer of a call that must succeed, or the reason why it did not.
pub(super) fn succeeded(step: Step, account: Address, r: Returned) -> Result<Bytes, AaError> {
    let reason = match r.failure {
        None => return Ok(r.output),
        Some(Failure::Revert) => Reason::Revert(r.output),
        Some(Failure::OutOfGas) => Reason::OutOfGas,
        Some(Failure::Halt(text)) => Reason::Halt(text),
        Some(other) => Reason::Halt(alloc::format!("{other:?}")),
    };
    Err(AaError { step, account, reason })
}
