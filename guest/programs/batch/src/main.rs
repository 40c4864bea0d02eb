//! The program that every batch's validity proof is about: the state-transition function on a witness.
#![no_std]
#![no_main]

extern crate alloc;

mod crypto;

cairn_guest_rt::entry!(main);

/// A witness that does not prove a batch halts with this code, and so has no proof.
const EXIT_BAD_WITNESS: u32 = 1;

fn main(witness: &'static [u8]) -> [u8; 32] {
    cairn_stf::revm::precompile::install_crypto(crypto::Accelerated);
    match cairn_stf::prove_batch(witness) {
        Ok(public_input) => public_input.0,
        Err(_) => cairn_guest_rt::exit(EXIT_BAD_WITNESS),
    }
}
