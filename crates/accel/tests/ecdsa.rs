//! Recovery: the guest's algorithm against k256, edge cases, and lying hints.

use cairn_accel::ecdsa::{
    Hints, HonestHints, generator_table, recover, recover_accelerated, recover_address,
};
use cairn_accel::secp256k1::{G, N, P, Point};
use cairn_accel::u256::{self, Words};
use k256::ecdsa::SigningKey;
use proptest::prelude::*;

fn both(hash: &[u8; 32], r: &[u8; 32], s: &[u8; 32], id: u8) -> Option<Point> {
    let native = recover(hash, r, s, id);
    assert_eq!(recover_accelerated::<HonestHints>(hash, r, s, id), native);
    native
}

fn bytes(words: Words) -> [u8; 32] {
    u256::to_be_bytes(&words)
}

fn small(n: u32) -> Words {
    [n, 0, 0, 0, 0, 0, 0, 0]
}

#[test]
fn the_generator_table_is_what_the_file_holds() {
    assert_eq!(generator_table(), include_bytes!("../src/generator_table.bin"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn recovers_the_signer(secret in any::<[u8; 32]>(), hash in any::<[u8; 32]>()) {
        let Ok(key) = SigningKey::from_slice(&secret) else { return Ok(()) };
        let (signature, id) = key.sign_prehash_recoverable(&hash).unwrap();
        let (r, s) = (signature.r().to_bytes().into(), signature.s().to_bytes().into());
        let point = key.verifying_key().to_encoded_point(false);
        let found = both(&hash, &r, &s, id.to_byte()).unwrap();
        prop_assert_eq!(&bytes(found.x)[..], &point.x().unwrap()[..]);
        prop_assert_eq!(&bytes(found.y)[..], &point.y().unwrap()[..]);
        prop_assert_ne!(both(&hash, &r, &s, id.to_byte() ^ 1), Some(found));
    }

    #[test]
    fn agrees_on_arbitrary_signatures(hash in any::<[u8; 32]>(), r in any::<[u8; 32]>(), s in any::<[u8; 32]>(), id in 0u8..6) {
        both(&hash, &r, &s, id);
    }

    /// With r = x(G), the sum is (s - z) / r times G (or the sum, for the other parity): small scalars make the intermediate points meet.
    #[test]
    fn agrees_when_points_meet(z in 0u32..600, s in 1u32..600, id in 0u8..2) {
        both(&bytes(small(z)), &bytes(G.x), &bytes(small(s)), id);
        let negative = u256::sub(&N, &small(s));
        both(&bytes(small(z)), &bytes(G.x), &bytes(negative), id);
    }
}

#[test]
fn infinity_is_refused() {
    // G's y is even, so with id 0 the key is (s - z) / r * G.
    for s in [1u32, 2, 77] {
        assert_eq!(both(&bytes(small(s)), &bytes(G.x), &bytes(small(s)), 0), None);
        assert!(both(&bytes(small(s)), &bytes(G.x), &bytes(small(s + 1)), 0).is_some());
    }
}

#[test]
fn ranges_are_checked() {
    let hash = [7; 32];
    let one = bytes(small(1));
    for bad in [u256::ZERO, N, u256::add(&N, &small(1)), [u32::MAX; 8]] {
        assert_eq!(both(&hash, &bytes(bad), &one, 0), None);
        assert_eq!(both(&hash, &one, &bytes(bad), 0), None);
    }
    assert_eq!(both(&hash, &one, &one, 4), None);
    // r + n must stay below p: p - n is about 2^128.
    let room = u256::sub(&P, &N);
    assert_eq!(both(&hash, &bytes(room), &one, 2), None);
    let mut found = 0;
    for i in 1..20 {
        found += usize::from(both(&hash, &bytes(u256::sub(&room, &small(i))), &one, 2).is_some());
        found += usize::from(both(&hash, &bytes(small(i)), &one, 3).is_some());
    }
    assert!((8..31).contains(&found), "about half of all x are on the curve");
}

#[test]
fn address_of_a_known_key() {
    // EIP-155's example transaction, signed with the key 0x4646...46.
    let hex = |s: &str| -> [u8; 32] {
        core::array::from_fn(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap())
    };
    let hash = hex("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
    let r = hex("28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276");
    let s = hex("67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83");
    let address = recover_address(&hash, &r, &s, 0).unwrap();
    assert_eq!(address[..4], [0x9d, 0x8a, 0x62, 0xf6]);
}

macro_rules! liar {
    ($name:ident, $inverse:expr, $root:expr, $split:expr) => {
        struct $name;
        impl Hints for $name {
            fn mod_inv(a: &Words, m: &Words) -> Words {
                $inverse(HonestHints::mod_inv(a, m))
            }
            fn sqrt(a: &Words) -> Words {
                $root(HonestHints::sqrt(a))
            }
            fn split(k: &Words) -> ([u32; 8], u32) {
                $split(HonestHints::split(k))
            }
        }
    };
}

fn same<T>(x: T) -> T {
    x
}

fn caught<H: Hints>() -> bool {
    std::panic::catch_unwind(|| {
        recover_accelerated::<H>(&[9; 32], &bytes(G.x), &bytes(small(12345)), 0)
    })
    .is_err()
}

/// Every lie stops the guest: none changes the answer, and none turns a key into "no key".
#[test]
fn lying_hints_stop_the_guest() {
    liar!(Inverse, |x: Words| u256::add(&x, &u256::ONE), same, same);
    liar!(NoInverse, |_| u256::ZERO, same, same);
    liar!(Root, same, |x: Words| u256::add(&x, &u256::ONE), same);
    liar!(NoRoot, same, |_| u256::ZERO, same);
    liar!(
        BigRoot,
        same,
        |x: Words| if u256::lt(&x, &[977 + 5, 1, 0, 0, 0, 0, 0, 0]) {
            u256::add(&x, &P)
        } else {
            [u32::MAX; 8]
        },
        same
    );
    liar!(Half, same, same, |(m, s): ([u32; 8], u32)| (
        [m[0] ^ 1, m[1], m[2], m[3], m[4], m[5], m[6], m[7]],
        s
    ));
    liar!(Signs, same, same, |(m, s)| (m, s ^ 1));
    liar!(MoreSigns, same, same, |(m, s)| (m, s | 4));
    assert!(!caught::<HonestHints>());
    assert!(caught::<Inverse>() && caught::<NoInverse>());
    assert!(caught::<Root>() && caught::<NoRoot>() && caught::<BigRoot>());
    assert!(caught::<Half>() && caught::<Signs>() && caught::<MoreSigns>());
}

/// Another inverse or root that is right changes nothing.
#[test]
fn equivalent_hints_agree() {
    liar!(OtherRoot, same, |x: Words| u256::sub(&P, &x), same);
    let honest = recover_accelerated::<HonestHints>(&[9; 32], &bytes(G.x), &bytes(small(5)), 1);
    assert_eq!(
        recover_accelerated::<OtherRoot>(&[9; 32], &bytes(G.x), &bytes(small(5)), 1),
        honest
    );
}
