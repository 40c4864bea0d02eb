//! A long run of ordinary instructions, for benchmarks: input is a little-endian u32 of rounds; each round mixes arithmetic, multiplication, division, branches,
//! calls and byte and word memory accesses.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

cairn_guest_rt::entry!(main);

/// Sorts a small table with insertions, so that loads, stores and branches depend on data.
#[inline(never)]
fn sort(table: &mut [u32]) {
    for i in 1..table.len() {
        let x = table[i];
        let mut j = i;
        while j > 0 && table[j - 1] > x {
            table[j] = table[j - 1];
            j -= 1;
        }
        table[j] = x;
    }
}

#[inline(never)]
fn fibonacci(n: u32, modulus: u32) -> u32 {
    let (mut a, mut b) = (0u32, 1u32);
    for _ in 0..n {
        (a, b) = (b, a.wrapping_add(b) % modulus);
    }
    a
}

#[inline(never)]
fn checksum(bytes: &[u8]) -> u32 {
    let mut h = 0x811c_9dc5u32;
    for &b in bytes {
        h = (h ^ u32::from(b)).wrapping_mul(0x0100_0193);
    }
    h
}

fn main(input: &'static [u8]) -> [u8; 32] {
    let rounds = input.first_chunk().map_or(1, |b| u32::from_le_bytes(*b));
    let mut table: Vec<u32> = (0..64).collect();
    let mut bytes = [0u8; 128];
    let mut x = 12345u32;
    for round in 0..rounds {
        for slot in &mut table {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            *slot = x;
        }
        sort(&mut table);
        for (b, w) in bytes.iter_mut().zip(table.iter().cycle()) {
            *b ^= (w >> (round % 24)) as u8;
        }
        x = x.wrapping_add(checksum(&bytes)) ^ fibonacci(100 + round % 16, (x >> 1) | 1);
        x ^= u32::from((i64::from(x as i32) * i64::from(table[7] as i32)) >> 32 != 0) | 1;
    }
    let mut out = [0; 32];
    for (chunk, w) in out.chunks_exact_mut(4).zip(&table) {
        chunk.copy_from_slice(&(w ^ x).to_le_bytes());
    }
    out
}
