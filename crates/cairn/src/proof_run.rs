//! A run of the guest program without proving: whether a batch can be proven is known before it is sealed.

use alloy_primitives::B256;
use cairn_sequencer::ProofRun;
use cairn_vm::{Input, Machine, NoTrace, Stop};

use crate::guest::{self, GuestError};

/// The check that the sequencer makes of each batch.
///
/// # Errors
/// [`GuestError`].
pub fn proof_run() -> Result<ProofRun, GuestError> {
    let program = guest::program()?;
    Ok(ProofRun::new(move |witness| {
        let input = Input::from_bytes(witness).map_err(|e| e.to_string())?;
        let mut machine = Machine::new(&program.image, input);
        match machine.run(&mut NoTrace, guest::MAX_CYCLES) {
            Ok(Stop::Halted(0)) => {}
            Ok(Stop::Halted(code)) => return Err(format!("it halts with exit code {code}")),
            Ok(Stop::Paused) => return Err("it does not halt within its bound".into()),
            Err(trap) => return Err(trap.to_string()),
        }
        let words = machine.committed().ok_or("it commits to nothing")?;
        let mut bytes = [0; 32];
        for (to, word) in bytes.chunks_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        Ok(B256::new(bytes))
    }))
}
