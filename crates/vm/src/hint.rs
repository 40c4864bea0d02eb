//! What the executor writes when a guest asks for a hint. Nothing here is trusted: guest code checks every word.

use crate::error::TrapKind;
use crate::machine::Machine;
use cairn_accel::hints;
use cairn_accel::ids::hint;

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
            hint::MODINV => Ok(hints::mod_inv(&self.peek(a2), &self.peek(a3))),
            hint::SECP256K1_SQRT => Ok(hints::secp256k1_sqrt(&self.peek(a2))),
            hint::SECP256K1_SPLIT => {
                let [k1, k2] = hints::secp256k1_split(&self.peek(a2)).magnitudes;
                Ok(core::array::from_fn(|i| if i < 4 { k1[i] } else { k2[i - 4] }))
            }
            hint::SECP256K1_SPLIT_SIGNS => {
                let [k1, k2] = hints::secp256k1_split(&self.peek(a2)).negative;
                Ok([u32::from(k1) | (u32::from(k2) << 1), 0, 0, 0, 0, 0, 0, 0])
            }
            _ => Ok([0; 8]),
        }
    }
}
