//! State diffs as bytes: the part of pubdata from which anyone rebuilds the tree.
//!
//! ```text
//! varint n_initial  || n_initial  * (key 32 bytes, value against zero)       ascending by key, in order of insertion
//! varint n_repeated || n_repeated * (varint index gap, value against old)    ascending by index
//! ```
//! The gap is the index minus the index before it, minus one (the first: the index). Varints are LEB128, at most ten bytes, shortest form.
//!
//! A *value* is a tag byte and a payload of big-endian numbers without leading zeros; the tag's top two bits are the kind:
//!
//! | kind | low six bits | payload | new value |
//! |---|---|---|---|
//! | 0 set | length 0..=32 | n | n |
//! | 1 add | length 0..=32 | n | old + n mod 2^256 |
//! | 2 sub | length 0..=32 | n | old - n mod 2^256 |
//! | 3 account | balance code 0..=32 | nonce delta (1 byte, not 0), balance delta | flags as before |
//! | 3 account | 63 | `nonce length 0..=8` + `16 * has_code`, balance code, nonce delta, balance delta | |
//!
//! A *balance code* is 0 (unchanged), 1..=16 (grown by a number of so many bytes) or 17..=32 (shrunk, so many bytes plus 16). Nonces add modulo 2^64. The
//! account kinds need both values to be accounts. The encoder takes the shortest form, of equals the one that comes first in the table; the
//! decoder refuses every other form, so that diffs have one encoding.

use alloc::vec::Vec;

use alloy_primitives::U256;

use crate::{
    AccountLeaf, CAPACITY, GENESIS_LEAF_COUNT, Key,
    key::to_le_words,
    update::{InitialWrite, RepeatedWrite, StateDiffs, Write},
};

const SET: u8 = 0;
const ADD: u8 = 1;
const SUB: u8 = 2;
const ACCOUNT: u8 = 3;
const GENERAL_ACCOUNT: u8 = 63;

/// The most bytes of one encoded value: the tag and 32 bytes.
pub const MAX_VALUE_SIZE: usize = 33;

/// What an index gap is taken to cost when a transaction's pubdata is metered, before the batch's other writes are known.
pub const INDEX_GAP_ESTIMATE: usize = 4;

/// Why state diffs are refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiffError<E = core::convert::Infallible> {
    /// The bytes end within an item.
    #[error("the state diffs are cut off")]
    Truncated,
    /// Bytes are left over.
    #[error("{0} bytes follow the state diffs")]
    TrailingBytes(usize),
    /// A count asks for more items than the bytes can hold.
    #[error("the state diffs claim {0} writes, more than their bytes can hold")]
    Count(u64),
    /// A number is not in its shortest form, or too large.
    #[error("the state diffs hold a malformed varint")]
    Varint,
    /// A value's tag is unknown, or its form is not the shortest.
    #[error("the state diffs hold a value in a wrong form (tag {0:#04x})")]
    Value(u8),
    /// Initial writes are not canonical keys, strictly ascending, and none a sentinel.
    #[error("initial write {0} has a key that is not canonical or out of order")]
    Key(usize),
    /// A repeated write names a leaf that is not there.
    #[error("the state diffs change leaf {0}, which does not exist or is a sentinel")]
    Index(u64),
    /// A key is written both as initial and as repeated.
    #[error("key {0} is written twice")]
    Duplicate(Key),
    /// The tree failed to answer.
    #[error("reading the old state failed: {0}")]
    Lookup(E),
}

/// Appends the encoding of a batch's diffs.
pub fn encode_into(diffs: &StateDiffs, out: &mut Vec<u8>) {
    put_varint(diffs.initial.len() as u64, out);
    for write in &diffs.initial {
        out.extend_from_slice(&write.key.to_bytes());
        put_value(&U256::ZERO, &write.value, out);
    }
    put_varint(diffs.repeated.len() as u64, out);
    let mut next_index = 0;
    for write in &diffs.repeated {
        put_varint(write.index - next_index, out);
        put_value(&write.old, &write.new, out);
        next_index = write.index + 1;
    }
}

/// The encoding of a batch's diffs.
pub fn encode(diffs: &StateDiffs) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(diffs, &mut out);
    out
}

/// Diffs read back, with the writes that replay them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedDiffs {
    /// The diffs.
    pub diffs: StateDiffs,
    /// The same as writes, ascending by key: what [`crate::Tree::apply`] takes.
    pub writes: Vec<Write>,
}

/// Reads the diffs of a batch that started with `leaf_count` leaves; `leaf_at` gives the key and value that a leaf
/// had then. The bytes must hold nothing else. Memory is bounded by the length of the bytes.
pub fn decode<E>(
    bytes: &[u8],
    leaf_count: u64,
    mut leaf_at: impl FnMut(u64) -> Result<Option<(Key, U256)>, E>,
) -> Result<DecodedDiffs, DiffError<E>> {
    let mut reader = Reader { bytes };
    let initial = decode_initial(&mut reader)?;
    let mut writes: Vec<Write> =
        initial.iter().map(|write| Write { key: write.key, value: write.value }).collect();
    let n_repeated = reader.count(2)?;
    let mut repeated = Vec::with_capacity(n_repeated);
    let mut next_index = 0u64;
    for _ in 0..n_repeated {
        let index = next_index.checked_add(reader.varint()?).ok_or(DiffError::Varint)?;
        if index < GENESIS_LEAF_COUNT || index >= leaf_count.min(CAPACITY) {
            return Err(DiffError::Index(index));
        }
        let leaf = leaf_at(index).map_err(DiffError::Lookup)?;
        let (key, old) = leaf.ok_or(DiffError::Index(index))?;
        let new = reader.value(&old)?;
        repeated.push(RepeatedWrite { index, old, new });
        writes.push(Write { key, value: new });
        next_index = index + 1;
    }
    if !reader.bytes.is_empty() {
        return Err(DiffError::TrailingBytes(reader.bytes.len()));
    }
    writes.sort_unstable_by_key(|write| write.key);
    if let Some(pair) = writes.windows(2).find(|pair| pair[0].key == pair[1].key) {
        return Err(DiffError::Duplicate(pair[0].key));
    }
    Ok(DecodedDiffs { diffs: StateDiffs { initial, repeated }, writes })
}

fn decode_initial<E>(reader: &mut Reader<'_>) -> Result<Vec<InitialWrite>, DiffError<E>> {
    let n_initial = reader.count(32 + 2)?;
    let mut initial: Vec<InitialWrite> = Vec::with_capacity(n_initial);
    for i in 0..n_initial {
        let bytes = reader.take(32)?.first_chunk().ok_or(DiffError::Truncated)?;
        let key = Key::from_bytes(bytes).map_err(|_| DiffError::Key(i))?;
        if key.is_sentinel() || initial.last().is_some_and(|last| last.key >= key) {
            return Err(DiffError::Key(i));
        }
        let value = reader.value(&U256::ZERO)?;
        initial.push(InitialWrite { key, value });
    }
    Ok(initial)
}

/// The bytes that a change from `old` to `new` adds to pubdata: exact for an initial write, with
/// [`INDEX_GAP_ESTIMATE`] for the index of a repeated one, and zero if nothing changes.
pub fn size_of_diff(is_initial: bool, old: &U256, new: &U256) -> usize {
    if old == new {
        return 0;
    }
    let name = if is_initial { 32 } else { INDEX_GAP_ESTIMATE };
    name + Form::shortest(old, new).size()
}

/// The words of a number, least significant first: what the guest computes with.
type Words = [u32; 8];

/// How one value is written; lengths are in bytes.
enum Form {
    Number { kind: u8, len: usize, n: Words },
    Account { short: bool, has_code: bool, nonce: u64, shrunk: bool, balance: u128 },
}

impl Form {
    #[inline(always)]
    fn shortest(old: &U256, new: &U256) -> Self {
        let (old_words, new_words) = (to_le_words(old), to_le_words(new));
        let best = Self::number(&old_words, new_words);
        // Where nonce and flags stay, the difference of the values is the difference of the balances.
        if (4..8).all(|i| old_words[i] == new_words[i]) {
            return best;
        }
        match Self::account(old, new) {
            Some(form) if form.size() < best.size() => form,
            _ => best,
        }
    }

    /// The shortest of set, add and sub. Of `new - old` and `old - new` modulo 2^256, the one with a zero top bit is never
    /// the longer one; where both have the full length, so has the value itself or it is shorter.
    #[inline(always)]
    fn number(old: &Words, new: Words) -> Self {
        let set_len = byte_len(&new);
        let mut n = subtract(&new, old);
        let mut kind = ADD;
        if n[7] >> 31 == 1 {
            n = subtract(&[0; 8], &n);
            kind = SUB;
        }
        match byte_len(&n) {
            len if len < set_len => Self::Number { kind, len, n },
            _ => Self::Number { kind: SET, len: set_len, n: new },
        }
    }

    fn account(old: &U256, new: &U256) -> Option<Self> {
        let old = AccountLeaf::from_value(old).ok()?;
        let new = AccountLeaf::from_value(new).ok()?;
        let nonce = new.nonce.wrapping_sub(old.nonce);
        Some(Self::Account {
            short: old.has_code == new.has_code && (1..=255).contains(&nonce),
            has_code: new.has_code,
            nonce,
            shrunk: new.balance < old.balance,
            balance: new.balance.abs_diff(old.balance),
        })
    }

    fn size(&self) -> usize {
        match self {
            Self::Number { len, .. } => 1 + len,
            Self::Account { short: true, balance, .. } => 2 + len_u128(*balance),
            Self::Account { nonce, balance, .. } => 3 + len_u64(*nonce) + len_u128(*balance),
        }
    }

    #[inline(always)]
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number { kind, len, n } => {
                out.push(kind << 6 | *len as u8);
                put_number(n, *len, out);
            }
            Self::Account { short, has_code, nonce, shrunk, balance } => {
                let (nonce_len, balance_len) = (len_u64(*nonce), len_u128(*balance));
                let code = balance_len as u8 + if *shrunk { 16 } else { 0 };
                if *short {
                    out.push(ACCOUNT << 6 | code);
                } else {
                    out.push(ACCOUNT << 6 | GENERAL_ACCOUNT);
                    out.push(nonce_len as u8 | u8::from(*has_code) << 4);
                    out.push(code);
                }
                put_number(&words_of(u128::from(*nonce)), nonce_len, out);
                put_number(&words_of(*balance), balance_len, out);
            }
        }
    }
}

/// `a - b` modulo 2^256.
#[inline(always)]
fn subtract(a: &Words, b: &Words) -> Words {
    let mut borrow = false;
    core::array::from_fn(|i| {
        let (difference, under) = a[i].overflowing_sub(b[i]);
        let (difference, under_again) = difference.overflowing_sub(u32::from(borrow));
        borrow = under | under_again;
        difference
    })
}

/// The bytes of a number without its leading zeros.
#[inline(always)]
fn byte_len(n: &Words) -> usize {
    let Some(top) = n.iter().rposition(|word| *word != 0) else { return 0 };
    let word = n[top];
    let in_top = [0x100, 0x1_0000, 0x100_0000].iter().filter(|bound| word >= **bound).count();
    4 * top + 1 + in_top
}

fn words_of(n: u128) -> Words {
    core::array::from_fn(|i| if i < 4 { (n >> (32 * i)) as u32 } else { 0 })
}

fn len_u64(n: u64) -> usize {
    byte_len(&words_of(u128::from(n)))
}

fn len_u128(n: u128) -> usize {
    byte_len(&words_of(n))
}

/// The lowest `len` bytes, most significant first.
fn put_number(n: &Words, len: usize, out: &mut Vec<u8>) {
    out.extend((0..len).rev().map(|i| (n[i / 4 % 8] >> (8 * (i % 4))) as u8));
}

fn put_value(old: &U256, new: &U256, out: &mut Vec<u8>) {
    Form::shortest(old, new).put(out);
}

/// Appends a number as LEB128, in its shortest form.
pub fn put_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Reads a number that [`put_varint`] wrote and moves `bytes` on; `None` when they end within it, or it has another form.
pub fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits || (*byte == 0 && shift > 0) {
            return None;
        }
        n |= bits << shift;
        if *byte < 0x80 {
            return Some(n);
        }
    }
    None
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<E>(&mut self, n: usize) -> Result<&'a [u8], DiffError<E>> {
        let (head, rest) = self.bytes.split_at_checked(n).ok_or(DiffError::Truncated)?;
        self.bytes = rest;
        Ok(head)
    }

    fn byte<E>(&mut self) -> Result<u8, DiffError<E>> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn varint<E>(&mut self) -> Result<u64, DiffError<E>> {
        // Bytes that end within a number are cut off; all else is a wrong form.
        let ends = self.bytes.iter().take(10).all(|b| *b >= 0x80) && self.bytes.len() < 10;
        let wrong = if ends { DiffError::Truncated } else { DiffError::Varint };
        read_varint(&mut self.bytes).ok_or(wrong)
    }

    /// A number of items of at least `min_size` bytes each, which the bytes left can hold.
    fn count<E>(&mut self, min_size: usize) -> Result<usize, DiffError<E>> {
        let n = self.varint()?;
        if n > (self.bytes.len() / min_size) as u64 {
            return Err(DiffError::Count(n));
        }
        Ok(n as usize)
    }

    /// A big-endian number of at most 32 bytes.
    fn number<E>(&mut self, len: usize) -> Result<U256, DiffError<E>> {
        self.take(len).map(U256::from_be_slice)
    }

    /// The new value of a leaf that had `old`, which must change.
    fn value<E>(&mut self, old: &U256) -> Result<U256, DiffError<E>> {
        let start = self.bytes;
        let tag = self.byte()?;
        let low = tag & 63;
        let new = match tag >> 6 {
            ACCOUNT => self.account(old, low)?.ok_or(DiffError::Value(tag))?.to_value(),
            _ if low > 32 => return Err(DiffError::Value(tag)),
            kind => {
                let n = self.number(usize::from(low))?;
                match kind {
                    SET => n,
                    ADD => old.wrapping_add(n),
                    _ => old.wrapping_sub(n),
                }
            }
        };
        let mut canonical = Vec::with_capacity(MAX_VALUE_SIZE);
        put_value(old, &new, &mut canonical);
        if new == *old || canonical != start[..start.len() - self.bytes.len()] {
            return Err(DiffError::Value(tag));
        }
        Ok(new)
    }

    fn account<E>(&mut self, old: &U256, low: u8) -> Result<Option<AccountLeaf>, DiffError<E>> {
        let Ok(mut account) = AccountLeaf::from_value(old) else { return Ok(None) };
        let (nonce_len, code) = if low == GENERAL_ACCOUNT {
            let header = self.byte()?;
            account.has_code = header & 16 != 0;
            (usize::from(header & 15), self.byte()?)
        } else {
            (1, low)
        };
        if nonce_len > 8 || code > 32 {
            return Ok(None);
        }
        let nonce = self.number(nonce_len)?.as_limbs()[0];
        let shrunk = code > 16;
        let balance = self.number(usize::from(if shrunk { code - 16 } else { code }))?.to::<u128>();
        account.nonce = account.nonce.wrapping_add(nonce);
        account.balance = if shrunk {
            account.balance.wrapping_sub(balance)
        } else {
            account.balance.wrapping_add(balance)
        };
        Ok(Some(account))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(old: U256, new: U256) -> Vec<u8> {
        let mut out = Vec::new();
        put_value(&old, &new, &mut out);
        out
    }

    fn read(old: U256, bytes: &[u8]) -> Result<U256, DiffError> {
        let mut reader = Reader { bytes };
        let value = reader.value(&old)?;
        if reader.bytes.is_empty() {
            Ok(value)
        } else {
            Err(DiffError::TrailingBytes(reader.bytes.len()))
        }
    }

    fn account(nonce: u64, has_code: bool, balance: u128) -> U256 {
        AccountLeaf { nonce, has_code, balance }.to_value()
    }

    /// The table of the module's page by trial of every row, slowly: the size of the shortest form.
    fn shortest_by_the_page(old: U256, new: U256) -> usize {
        let bytes = |n: U256| n.byte_len();
        let mut sizes = vec![
            1 + bytes(new),
            1 + bytes(new.wrapping_sub(old)),
            1 + bytes(old.wrapping_sub(new)),
        ];
        if let (Ok(a), Ok(b)) = (AccountLeaf::from_value(&old), AccountLeaf::from_value(&new)) {
            let nonce = b.nonce.wrapping_sub(a.nonce);
            let balance = bytes(U256::from(b.balance.abs_diff(a.balance)));
            sizes.push(3 + bytes(U256::from(nonce)) + balance);
            if a.has_code == b.has_code && (1..256).contains(&nonce) {
                sizes.push(2 + balance);
            }
        }
        sizes.into_iter().min().unwrap()
    }

    #[test]
    fn golden_values() {
        let big = U256::ONE << 200;
        let cases: [(U256, U256, &[u8]); 9] = [
            (U256::ZERO, U256::from(0x1234), &[0x02, 0x12, 0x34]),
            (big, U256::ZERO, &[0x00]),
            (big, big + U256::from(7), &[0x41, 7]),
            (big, big - U256::from(0x100), &[0x82, 1, 0]),
            (U256::ZERO, U256::MAX, &[0x81, 1]),
            // A sender: nonce up by one, balance down.
            (account(4, false, 1 << 60), account(5, false, (1 << 60) - 2), &[0xd1, 1, 2]),
            // A receiver: the plain sum is shortest.
            (account(4, false, 1 << 60), account(4, false, (1 << 60) + 3), &[0x41, 3]),
            // A deployed contract.
            (U256::ZERO, account(1, true, 0), &[0xff, 0x11, 0, 1]),
            // Nonce up by 300.
            (account(9, true, 5), account(309, true, 5), &[0xff, 0x12, 0, 1, 44]),
        ];
        for (old, new, bytes) in cases {
            assert_eq!(written(old, new), bytes, "{old} -> {new}");
            assert_eq!(read(old, bytes), Ok(new));
        }
    }

    #[test]
    fn other_forms_of_a_value_are_refused() {
        let old = account(4, false, 1 << 60);
        let wrong: [(U256, &[u8]); 9] = [
            (U256::ZERO, &[0x00]),          // no change
            (U256::ZERO, &[0x02, 0, 1]),    // leading zero
            (U256::ZERO, &[0x41, 5]),       // add where set is as short
            (U256::ZERO, &[33, 0]),         // too long
            (old, &[0xff, 0x01, 0, 1]),     // general form where the short one does
            (old, &[0xc0, 0]),              // nonce unchanged
            (old, &[0xff, 0x09, 0]),        // nonce of nine bytes
            (old, &[0xe1]),                 // balance code 33
            (U256::ONE << 130, &[0xc0, 1]), // no account
        ];
        for (old, bytes) in wrong {
            assert!(
                matches!(read(old, bytes), Err(DiffError::Value(_))),
                "{bytes:02x?}: {:?}",
                read(old, bytes)
            );
        }
    }

    fn interesting() -> impl Strategy<Value = U256> {
        prop_oneof![
            any::<[u8; 32]>().prop_map(U256::from_be_bytes),
            any::<u64>().prop_map(U256::from),
            (any::<u8>(), any::<bool>(), any::<u128>()).prop_map(|(n, c, b)| account(
                n.into(),
                c,
                b
            )),
            (any::<u64>(), any::<bool>(), any::<u32>()).prop_map(|(n, c, b)| account(
                n,
                c,
                b.into()
            )),
            Just(U256::ZERO),
            Just(U256::MAX),
        ]
    }

    proptest! {
        #[test]
        fn values_round_trip(old in interesting(), new in interesting(), step in any::<u32>()) {
            for new in [new, old.wrapping_add(U256::from(step)), old.wrapping_sub(U256::from(step))] {
                if new != old {
                    let bytes = written(old, new);
                    prop_assert!(bytes.len() <= MAX_VALUE_SIZE);
                    prop_assert_eq!(bytes.len(), shortest_by_the_page(old, new));
                    prop_assert_eq!(bytes.len() + 32, size_of_diff(true, &old, &new));
                    prop_assert_eq!(read(old, &bytes), Ok(new));
                }
            }
            prop_assert_eq!(size_of_diff(true, &old, &old), 0);
        }

        #[test]
        fn values_have_one_encoding(old in interesting(), bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
            if let Ok(new) = read(old, &bytes) {
                prop_assert_eq!(written(old, new), bytes);
            }
        }

        #[test]
        fn varints_round_trip(n: u64) {
            let mut out = Vec::new();
            put_varint(n, &mut out);
            let mut reader = Reader { bytes: &out };
            prop_assert_eq!(reader.varint::<core::convert::Infallible>(), Ok(n));
            prop_assert!(reader.bytes.is_empty());
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let leaf = |index: u64| Ok::<_, core::convert::Infallible>(
                (!index.is_multiple_of(3)).then_some((Key([index as u32; 8]), U256::from(index))));
            if let Ok(decoded) = decode(&bytes, 1 << 20, leaf) {
                prop_assert_eq!(encode(&decoded.diffs), bytes);
            }
        }
    }

    #[test]
    fn malformed_varints_are_refused() {
        let mut overflow = [0xff; 10];
        overflow[9] = 2;
        for bytes in [&[0x80, 0][..], &[0xff; 11], &overflow] {
            assert_eq!(
                Reader { bytes }.varint::<core::convert::Infallible>(),
                Err(DiffError::Varint)
            );
        }
        assert_eq!(
            Reader { bytes: &[0x80] }.varint::<core::convert::Infallible>(),
            Err(DiffError::Truncated)
        );
    }

    #[test]
    fn malformed_diffs_are_refused() {
        let leaf = |_| Ok::<_, core::convert::Infallible>(Some((Key([5; 8]), U256::from(1))));
        let key = Key([5; 8]).to_bytes();
        let initial = |keys: &[[u8; 32]]| {
            let mut out = vec![keys.len() as u8];
            keys.iter().for_each(|key| out.extend([&key[..], &[1, 9]].concat()));
            out
        };
        let fail = |bytes: &[u8], leaf_count| decode(bytes, leaf_count, leaf).unwrap_err();
        assert_eq!(fail(&[], 10), DiffError::Truncated);
        assert_eq!(fail(&[200, 200, 1], 10), DiffError::Count(25_672));
        assert_eq!(fail(&[0, 0, 7], 10), DiffError::TrailingBytes(1));
        assert_eq!(fail(&[0, 1, 1, 0], 10), DiffError::Index(1));
        assert_eq!(fail(&[0, 1, 10, 0], 10), DiffError::Index(10));
        assert_eq!(fail(&[0, 1, 5, 2], 10), DiffError::Truncated);
        assert_eq!(fail(&[initial(&[key, key]), vec![0]].concat(), 10), DiffError::Key(1));
        assert_eq!(fail(&[initial(&[[0; 32]]), vec![0]].concat(), 10), DiffError::Key(0));
        assert_eq!(fail(&[initial(&[[0xff; 32]]), vec![0]].concat(), 10), DiffError::Key(0));
        assert_eq!(
            fail(&[initial(&[Key::MAX.to_bytes()]), vec![0]].concat(), 10),
            DiffError::Key(0)
        );
        // The same key as a new leaf and as the leaf at index 5.
        assert_eq!(
            fail(&[initial(&[key]), vec![1, 5, 0]].concat(), 10),
            DiffError::Duplicate(Key([5; 8]))
        );
    }
}
