//! The cryptography behind precompiles and sender recovery: inside the VM the accelerators, elsewhere revm's own libraries. Same bytes either way.

use revm::precompile::{Crypto, PrecompileHalt};

/// revm's crypto provider over the VM's accelerators.
#[derive(Debug, Clone, Copy)]
pub struct Accelerated;

impl Crypto for Accelerated {
    fn sha256(&self, input: &[u8]) -> [u8; 32] {
        cairn_accel::sha256::sha256(input)
    }

    fn secp256k1_ecrecover(
        &self,
        sig: &[u8; 64],
        recid: u8,
        msg: &[u8; 32],
    ) -> Result<[u8; 32], PrecompileHalt> {
        let (mut r, mut s, mut out) = ([0; 32], [0; 32], [0; 32]);
        r.copy_from_slice(&sig[..32]);
        s.copy_from_slice(&sig[32..]);
        let address = cairn_accel::ecdsa::recover_address(msg, &r, &s, recid)
            .ok_or(PrecompileHalt::Secp256k1RecoverFailed)?;
        out[12..].copy_from_slice(&address);
        Ok(out)
    }
}

/// Makes the precompiles use the accelerators, inside the VM. Natively revm's libraries stay, which are quicker there.
pub(crate) fn install() {
    #[cfg(target_os = "zkvm")]
    revm::precompile::install_crypto(Accelerated);
}
