//! revm's cryptography on the VM's accelerators. What has none runs as ordinary code, with revm's own implementation.

use cairn_accel::{ecdsa, sha256};
use cairn_stf::revm::precompile::{Crypto, PrecompileHalt};

/// The provider for the ecrecover and sha256 precompiles and for transaction signatures.
#[derive(Debug)]
pub struct Accelerated;

impl Crypto for Accelerated {
    fn sha256(&self, input: &[u8]) -> [u8; 32] {
        sha256::sha256(input)
    }

    fn secp256k1_ecrecover(
        &self,
        sig: &[u8; 64],
        recid: u8,
        msg: &[u8; 32],
    ) -> Result<[u8; 32], PrecompileHalt> {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&sig[..32]);
        s.copy_from_slice(&sig[32..]);
        let address = ecdsa::recover_address(msg, &r, &s, recid)
            .ok_or(PrecompileHalt::Secp256k1RecoverFailed)?;
        let mut word = [0; 32];
        word[12..].copy_from_slice(&address);
        Ok(word)
    }
}
