//! The work itself, free of anything that only exists in the guest.

use cairn_accel::secp256k1::{self, G, Point};
use cairn_accel::u256::{self, Words};
use cairn_accel::{ecdsa, keccak, poseidon2, sha256};

/// Folds results into one hash.
struct Sink([u8; 32]);

impl Sink {
    fn words(&mut self, words: &[u32]) {
        for chunk in words.chunks(8) {
            let mut block = [0u8; 64];
            block[..32].copy_from_slice(&self.0);
            for (bytes, word) in block[32..].chunks_exact_mut(4).zip(chunk) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            self.0 = keccak::keccak256(&block);
        }
    }

    /// A pseudo-random number that depends on everything so far.
    fn draw(&mut self, salt: u32) -> Words {
        self.words(&[salt]);
        u256::from_be_bytes(&self.0)
    }
}

/// Values at the edges of 256-bit arithmetic.
const EDGES: [Words; 6] = [
    u256::ZERO,
    u256::ONE,
    [u32::MAX; 8],
    [0, 0, 0, 0, 0, 0, 0, 1 << 31],
    [256, 0, 0, 0, 0, 0, 0, 0],
    secp256k1::P,
];

fn integers(sink: &mut Sink, a: &Words, b: &Words, m: &Words) {
    sink.words(&u256::add(a, b));
    sink.words(&u256::sub(a, b));
    sink.words(&u256::mul(a, b));
    let (q, r) = u256::div_rem(a, b);
    sink.words(&q);
    sink.words(&r);
    sink.words(&[u256::cmp(a, b) as i8 as u32]);
    let shift = [b[0] & 511, 0, 0, 0, 0, 0, 0, b[7] & 1];
    sink.words(&u256::shl(a, &shift));
    sink.words(&u256::shr(a, &shift));
    sink.words(&u256::add_mod(a, b, m));
    sink.words(&u256::mul_mod(a, b, m));
}

fn points(sink: &mut Sink, round: u32) {
    let mut p = G;
    for bit in 0..4 {
        if secp256k1::double_assign(&mut p).is_err() {
            return;
        }
        if (round >> bit) & 1 == 1 && p.x != G.x && secp256k1::add_assign(&mut p, &G).is_err() {
            return;
        }
    }
    sink.words(&p.x);
    sink.words(&p.y);
    // Coordinates that are not reduced: both stand for small numbers mod p.
    let mut raised = Point {
        x: u256::add(&secp256k1::P, &[round + 2, 0, 0, 0, 0, 0, 0, 0]),
        y: u256::add(&secp256k1::P, &u256::ONE),
    };
    if secp256k1::add_assign(&mut raised, &G).is_ok() {
        sink.words(&raised.x);
        sink.words(&raised.y);
    }
}

fn hashes(sink: &mut Sink, a: &Words) {
    let mut lanes = [0u64; 25];
    for (lane, word) in lanes.iter_mut().zip(a.iter().cycle()) {
        *lane = u64::from(*word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    keccak::keccak_f(&mut lanes);
    sink.words(&[
        lanes[0] as u32,
        (lanes[0] >> 32) as u32,
        lanes[24] as u32,
        (lanes[24] >> 32) as u32,
    ]);
    let mut state = *a;
    let block = core::array::from_fn(|i| a[i % 8].rotate_left(i as u32));
    sha256::compress(&mut state, &block);
    sink.words(&state);
    let l = a.map(|w| w % poseidon2::P);
    let r = state.map(|w| w % poseidon2::P);
    let mut wide = core::array::from_fn(|i| if i < 8 { l[i] } else { r[i - 8] });
    poseidon2::permute(&mut wide);
    sink.words(&wide);
    sink.words(&poseidon2::compress(&l, &r));
    sink.words(&poseidon2::compress(&l, &l));
}

/// A public key recovered from a signature made up on the spot; half of all x coordinates have none.
fn recovery(sink: &mut Sink, i: u32) {
    let (hash, r, s) = (sink.draw(4), sink.draw(5), sink.draw(6));
    let bytes = |w: &Words| u256::to_be_bytes(w);
    let address = ecdsa::recover_address(&bytes(&hash), &bytes(&r), &bytes(&s), (i & 1) as u8);
    sink.words(&address.map_or([0; 5], |a| {
        core::array::from_fn(|j| {
            u32::from_le_bytes([a[4 * j], a[4 * j + 1], a[4 * j + 2], a[4 * j + 3]])
        })
    }));
}

/// Runs the rounds, and as many public-key recoveries.
pub fn digest(rounds: u32, recoveries: u32) -> [u8; 32] {
    let mut sink = Sink([0; 32]);
    for round in 0..rounds {
        let (a, b, m) = (sink.draw(1), sink.draw(2), sink.draw(3));
        integers(&mut sink, &a, &b, &m);
        let small = [b[0], b[1], 0, 0, 0, 0, 0, 0];
        integers(&mut sink, &a, &small, &small);
        integers(&mut sink, &a, &a, &a);
        let (x, y) = (EDGES[round as usize % 6], EDGES[(round / 6) as usize % 6]);
        integers(&mut sink, &x, &y, &b);
        integers(&mut sink, &x, &b, &y);
        hashes(&mut sink, &a);
        points(&mut sink, round);
    }
    for i in 0..recoveries {
        recovery(&mut sink, i);
    }
    sink.0
}
