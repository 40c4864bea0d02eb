//! P-256 verification against the `p256` crate.

use cairn_accel::{ecdsa::Hints, p256::verify, p256::verify_with, u256::Words};
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::hazmat::{PrehashSigner, PrehashVerifier},
};
use proptest::prelude::*;

/// What the crate says.
fn reference(hash: &[u8; 32], signature: &[u8; 64], key: &[u8; 64]) -> bool {
    let Ok(signature) = Signature::from_slice(signature) else { return false };
    let mut sec1 = [4; 65];
    sec1[1..].copy_from_slice(key);
    let Ok(key) = VerifyingKey::from_sec1_bytes(&sec1) else { return false };
    key.verify_prehash(hash, &signature).is_ok()
}

fn signed(secret: &[u8; 32], hash: &[u8; 32]) -> Option<([u8; 64], [u8; 64])> {
    let key = SigningKey::from_slice(secret).ok()?;
    let signature: Signature = key.sign_prehash(hash).ok()?;
    let point = key.verifying_key().to_encoded_point(false);
    Some((signature.to_bytes().into(), point.as_bytes()[1..].try_into().unwrap()))
}

/// Replaces `s` by the order less `s`: valid as well.
fn other_s(signature: &[u8; 64]) -> [u8; 64] {
    let parsed = Signature::from_slice(signature).unwrap();
    let flipped = Signature::from_scalars(parsed.r(), -*parsed.s()).unwrap();
    flipped.to_bytes().into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn it_accepts_what_the_crate_accepts(secret: [u8; 32], hash: [u8; 32], at in 0usize..160, bit in 0u8..8) {
        let Some((signature, key)) = signed(&secret, &hash) else { return Ok(()) };
        prop_assert!(verify(&hash, &signature, &key));
        prop_assert!(verify(&hash, &other_s(&signature), &key));
        // Any bit of anything.
        let mut all = [&hash[..], &signature[..], &key[..]].concat();
        all[at] ^= 1 << bit;
        let (hash, signature, key) = (all[..32].try_into().unwrap(), all[32..96].try_into().unwrap(), all[96..].try_into().unwrap());
        prop_assert_eq!(verify(&hash, &signature, &key), reference(&hash, &signature, &key));
        prop_assert!(!verify(&hash, &signature, &key));
    }
}

fn word(hex: &str) -> [u8; 32] {
    let digits: Vec<u8> =
        (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    digits.try_into().unwrap()
}

const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const PRIME: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";

#[test]
fn values_at_the_bounds_are_judged_alike() {
    let one = word(&format!("{:064x}", 1));
    let (signature, key) = signed(&one, &one).unwrap();
    let less = |w: &str| {
        let mut bytes = word(w);
        bytes[31] -= 1;
        bytes
    };
    let scalars = [[0; 32], one, word(ORDER), less(ORDER), word(PRIME), less(PRIME), [0xff; 32]];
    let (x, y): ([u8; 32], [u8; 32]) =
        (key[..32].try_into().unwrap(), key[32..].try_into().unwrap());
    let join =
        |a: &[u8; 32], b: &[u8; 32]| -> [u8; 64] { [&a[..], &b[..]].concat().try_into().unwrap() };
    for a in &scalars {
        for b in &scalars {
            for hash in [&one, &[0; 32], &word(ORDER), &[0xff; 32]] {
                let sig = join(a, b);
                assert_eq!(verify(hash, &sig, &key), reference(hash, &sig, &key), "{a:?} {b:?}");
            }
        }
        for key in [join(a, &y), join(&x, a), join(a, a)] {
            assert_eq!(verify(&one, &signature, &key), reference(&one, &signature, &key));
        }
    }
    // The key is the generator: sums of equal points happen on the way.
    assert!(verify(&one, &signature, &key));
}

#[test]
#[should_panic(expected = "hint for an inverse")]
fn a_lying_hint_stops_the_machine() {
    struct Liar;
    impl Hints for Liar {
        fn mod_inv(a: &Words, _: &Words) -> Words {
            *a
        }
        fn sqrt(a: &Words) -> Words {
            *a
        }
        fn split(k: &Words) -> ([u32; 8], u32) {
            (*k, 0)
        }
    }
    let (signature, key) = signed(&[7; 32], &[9; 32]).unwrap();
    let _ = verify_with::<Liar>(&[9; 32], &signature, &key);
}
