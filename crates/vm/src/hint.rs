//! What the executor writes when a guest asks for a hint. Nothing here is trusted: guest code checks every word.

use crate::error::TrapKind;
use crate::machine::Machine;
use cairn_accel::ids::hint;
use cairn_accel::u256;

impl Machine<'_> {
    /// The words of a hint. An unknown kind gives zeros.
    pub(crate) fn hint(&mut self, args: [u32; 4]) -> Result<[u32; 8], TrapKind> {
        let [_, kind, a2, a3] = args;
        match kind {
            hint::INPUT => {
                let chunk = self.input.chunk(self.input_chunk).ok_or(TrapKind::InputExhausted)?;
                self.input_chunk += 1;
                Ok(chunk)
            }
            hint::MODINV => Ok(u256::inv_mod(&self.peek(a2), &self.peek(a3))),
            _ => Ok([0; 8]),
        }
    }
}
