//! Calls every accelerator, with edge cases and overlapping operands, and commits a hash of all results. The input is a little-endian u32 of rounds. The same
//! [`digest`] runs natively in the tests of `cairn-vm`, and must give the same bytes.
#![no_std]
#![no_main]

mod digest;

cairn_guest_rt::entry!(main);

fn main(input: &'static [u8]) -> [u8; 32] {
    let rounds = input.first_chunk().map_or(1, |b| u32::from_le_bytes(*b));
    digest::digest(rounds)
}
