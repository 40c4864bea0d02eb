//! A persistent Merkle-Patricia trie over 32-byte (hashed) keys.
//!
//! A clone costs one reference count and shares everything, so that each block keeps its own state; hashes are cached in the nodes,
//! so that a block's root costs only the paths that it changed. Nodes follow the Yellow Paper, appendix D.

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::EMPTY_ROOT_HASH;
use std::sync::{Arc, OnceLock};

/// What a leaf holds.
pub(crate) trait LeafValue: Clone {
    /// The RLP that the trie commits to.
    fn encode_leaf(&self) -> Vec<u8>;
}

/// Nibbles of a key.
const NIBBLES: u8 = 64;

#[derive(Clone)]
enum Kind<V> {
    /// The rest of `key` from the node's depth on.
    Leaf {
        key: B256,
        value: V,
    },
    /// The nibbles of `key` from the node's depth to `end`.
    Extension {
        key: B256,
        end: u8,
        child: Arc<Node<V>>,
    },
    Branch(Box<[Option<Arc<Node<V>>>; 16]>),
}

/// A reference to a node as its parent holds it: the node's RLP if it is under 32 bytes, else its hash.
#[derive(Clone, Copy)]
struct Reference {
    bytes: [u8; 33],
    len: u8,
}

impl Reference {
    fn of(rlp: &[u8]) -> Self {
        let mut bytes = [0; 33];
        if rlp.len() < 32 {
            bytes[..rlp.len()].copy_from_slice(rlp);
            return Self { bytes, len: rlp.len() as u8 };
        }
        bytes[0] = EMPTY_STRING_CODE + 32;
        bytes[1..].copy_from_slice(keccak256(rlp).as_slice());
        Self { bytes, len: 33 }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

struct Node<V> {
    depth: u8,
    kind: Kind<V>,
    reference: OnceLock<Reference>,
}

impl<V: Clone> Clone for Node<V> {
    fn clone(&self) -> Self {
        // A clone is about to be changed: it must not keep the hash.
        Self { depth: self.depth, kind: self.kind.clone(), reference: OnceLock::new() }
    }
}

fn nibble(key: &B256, index: u8) -> usize {
    let byte = key[usize::from(index / 2)];
    usize::from(if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
}

/// The first index in `from..to` where the keys differ.
fn first_difference(a: &B256, b: &B256, from: u8, to: u8) -> Option<u8> {
    (from..to).find(|i| nibble(a, *i) != nibble(b, *i))
}

/// Hex-prefix encoding of the nibbles `from..to` of a key.
fn hex_prefix(key: &B256, from: u8, to: u8, leaf: bool) -> Vec<u8> {
    let flag = if leaf { 2u8 } else { 0 };
    let mut out = Vec::with_capacity(33);
    let mut at = from;
    if (to - from).is_multiple_of(2) {
        out.push(flag << 4);
    } else {
        out.push((flag + 1) << 4 | nibble(key, at) as u8);
        at += 1;
    }
    while at < to {
        out.push((nibble(key, at) << 4 | nibble(key, at + 1)) as u8);
        at += 2;
    }
    out
}

impl<V: LeafValue> Node<V> {
    fn new(depth: u8, kind: Kind<V>) -> Arc<Self> {
        Arc::new(Self { depth, kind, reference: OnceLock::new() })
    }

    fn leaf(depth: u8, key: B256, value: V) -> Arc<Self> {
        Self::new(depth, Kind::Leaf { key, value })
    }

    /// `node` (which starts at `end`) under the nibbles `depth..end` of `key`.
    fn extend(depth: u8, key: B256, end: u8, node: Arc<Self>) -> Arc<Self> {
        if depth == end {
            node
        } else {
            Self::new(depth, Kind::Extension { key, end, child: node })
        }
    }

    /// The same node, starting higher or lower on its way.
    fn at_depth(self: Arc<Self>, depth: u8) -> Arc<Self> {
        match &self.kind {
            _ if self.depth == depth => self,
            Kind::Leaf { .. } => Self::new(depth, Arc::unwrap_or_clone(self).kind),
            Kind::Extension { key, end, child } => {
                Self::extend(depth, *key, *end, Arc::clone(child))
            }
            Kind::Branch(_) => Self::extend(depth, self.any_key(), self.depth, self),
        }
    }

    /// A key somewhere below.
    fn any_key(&self) -> B256 {
        match &self.kind {
            Kind::Leaf { key, .. } | Kind::Extension { key, .. } => *key,
            Kind::Branch(children) => {
                children.iter().flatten().next().map_or(B256::ZERO, |c| c.any_key())
            }
        }
    }

    fn insert(self: Arc<Self>, key: B256, value: V) -> Arc<Self> {
        let depth = self.depth;
        match &self.kind {
            Kind::Leaf { key: other, .. } => match first_difference(other, &key, depth, NIBBLES) {
                None => Self::leaf(depth, key, value),
                Some(at) => {
                    let other = *other;
                    Self::fork(depth, at, other, self.at_depth(at + 1), key, value)
                }
            },
            Kind::Extension { key: other, end, child } => {
                match first_difference(other, &key, depth, *end) {
                    None => {
                        let (other, end) = (*other, *end);
                        // Drop this node first, so that the child may be changed in place.
                        let child = match Arc::try_unwrap(self) {
                            Ok(Node { kind: Kind::Extension { child, .. }, .. }) => child,
                            Ok(node) => return Arc::new(node),
                            Err(shared) => match &shared.kind {
                                Kind::Extension { child, .. } => Arc::clone(child),
                                _ => return shared,
                            },
                        };
                        Self::extend(depth, other, end, child.insert(key, value))
                    }
                    Some(at) => {
                        let below = Self::extend(at + 1, *other, *end, Arc::clone(child));
                        Self::fork(depth, at, *other, below, key, value)
                    }
                }
            }
            Kind::Branch(_) => {
                let mut node = Arc::unwrap_or_clone(self);
                if let Kind::Branch(children) = &mut node.kind {
                    let slot = &mut children[nibble(&key, depth)];
                    *slot = Some(match slot.take() {
                        Some(child) => child.insert(key, value),
                        None => Self::leaf(depth + 1, key, value),
                    });
                }
                Self::new(depth, node.kind)
            }
        }
    }

    /// A branch at `at` of what was there (`below`, on the way of `other`) and a new leaf.
    fn fork(depth: u8, at: u8, other: B256, below: Arc<Self>, key: B256, value: V) -> Arc<Self> {
        let mut children: Box<[Option<Arc<Self>>; 16]> = Box::default();
        children[nibble(&other, at)] = Some(below);
        children[nibble(&key, at)] = Some(Self::leaf(at + 1, key, value));
        Self::extend(depth, key, at, Self::new(at, Kind::Branch(children)))
    }

    fn remove(self: Arc<Self>, key: &B256) -> Option<Arc<Self>> {
        let depth = self.depth;
        match &self.kind {
            Kind::Leaf { key: other, .. } => (other != key).then_some(self),
            Kind::Extension { key: other, end, child } => {
                if first_difference(other, key, depth, *end).is_some() {
                    return Some(self);
                }
                // What is left below merges with this extension, or stays a branch under it.
                Arc::clone(child).remove(key).map(|child| child.at_depth(depth))
            }
            Kind::Branch(children) => {
                let index = nibble(key, depth);
                let Some(child) = &children[index] else { return Some(self) };
                let left = Arc::clone(child).remove(key);
                let mut children = children.clone();
                children[index] = left;
                Self::shrink(depth, children)
            }
        }
    }

    /// A branch, or what remains of it when less than two children are left.
    fn shrink(depth: u8, children: Box<[Option<Arc<Self>>; 16]>) -> Option<Arc<Self>> {
        let mut present = children.iter().flatten();
        match (present.next(), present.next()) {
            (None, _) => None,
            (Some(only), None) => Some(Arc::clone(only).at_depth(depth)),
            _ => Some(Self::new(depth, Kind::Branch(children))),
        }
    }

    fn rlp(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Leaf { key, value } => pair(&hex_prefix(key, self.depth, NIBBLES, true), |out| {
                value.encode_leaf().as_slice().encode(out)
            }),
            Kind::Extension { key, end, child } => {
                pair(&hex_prefix(key, self.depth, *end, false), |out| {
                    out.extend_from_slice(child.reference().as_slice())
                })
            }
            Kind::Branch(children) => {
                let mut payload = Vec::with_capacity(16 * 33 + 1);
                for child in children.iter() {
                    match child {
                        Some(child) => payload.extend_from_slice(child.reference().as_slice()),
                        None => payload.push(EMPTY_STRING_CODE),
                    }
                }
                payload.push(EMPTY_STRING_CODE);
                list(&payload)
            }
        }
    }

    fn reference(&self) -> &Reference {
        self.reference.get_or_init(|| Reference::of(&self.rlp()))
    }

    fn visit<'a>(&'a self, each: &mut impl FnMut(&'a V)) {
        match &self.kind {
            Kind::Leaf { value, .. } => each(value),
            Kind::Extension { child, .. } => child.visit(each),
            Kind::Branch(children) => children.iter().flatten().for_each(|c| c.visit(each)),
        }
    }
}

fn list(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 4);
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(payload);
    out
}

fn pair(path: &[u8], second: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = Vec::with_capacity(128);
    path.encode(&mut payload);
    second(&mut payload);
    list(&payload)
}

/// The trie. `Clone` is cheap.
#[derive(Clone)]
pub(crate) struct Trie<V>(Option<Arc<Node<V>>>);

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<V: LeafValue> Trie<V> {
    pub(crate) fn get(&self, key: &B256) -> Option<&V> {
        let mut node = self.0.as_deref()?;
        loop {
            match &node.kind {
                Kind::Leaf { key: other, value } => return (other == key).then_some(value),
                Kind::Extension { key: other, end, child } => {
                    if first_difference(other, key, node.depth, *end).is_some() {
                        return None;
                    }
                    node = child;
                }
                Kind::Branch(children) => node = children[nibble(key, node.depth)].as_deref()?,
            }
        }
    }

    pub(crate) fn insert(&mut self, key: B256, value: V) {
        self.0 = Some(match self.0.take() {
            Some(root) => root.insert(key, value),
            None => Node::leaf(0, key, value),
        });
    }

    pub(crate) fn remove(&mut self, key: &B256) {
        if self.get(key).is_some() {
            self.0 = self.0.take().and_then(|root| root.remove(key));
        }
    }

    /// Root hash.
    pub(crate) fn root(&self) -> B256 {
        let Some(root) = &self.0 else { return EMPTY_ROOT_HASH };
        let reference = root.reference();
        if reference.len == 33 {
            B256::from_slice(&reference.bytes[1..])
        } else {
            keccak256(reference.as_slice())
        }
    }

    /// Calls `each` for every value, in key order.
    pub(crate) fn visit<'a>(&'a self, mut each: impl FnMut(&'a V)) {
        if let Some(root) = &self.0 {
            root.visit(&mut each);
        }
    }

    /// True if both are one and the same trie. False says nothing.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    /// The nodes on the way to a key, root first: a proof that it is there, or is not.
    pub(crate) fn proof(&self, key: &B256) -> Vec<Vec<u8>> {
        let mut nodes = Vec::new();
        let mut next = self.0.as_deref();
        while let Some(node) = next {
            let rlp = node.rlp();
            // A node under 32 bytes is part of its parent.
            if rlp.len() >= 32 || nodes.is_empty() {
                nodes.push(rlp);
            }
            next = match &node.kind {
                Kind::Leaf { .. } => None,
                Kind::Extension { key: other, end, child } => {
                    first_difference(other, key, node.depth, *end)
                        .is_none()
                        .then_some(child.as_ref())
                }
                Kind::Branch(children) => children[nibble(key, node.depth)].as_deref(),
            };
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use alloy_trie::{HashBuilder, Nibbles};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl LeafValue for U256 {
        fn encode_leaf(&self) -> Vec<u8> {
            alloy_rlp::encode(self)
        }
    }

    fn model_root(map: &BTreeMap<B256, U256>) -> B256 {
        let mut builder = HashBuilder::default();
        for (key, value) in map {
            builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
        }
        builder.root()
    }

    /// Keys that share long prefixes, so that every kind of node and every merge occurs.
    fn key() -> impl Strategy<Value = B256> {
        (0usize..40, 0u8..4, 0u8..4).prop_map(|(at, a, b)| {
            let mut key = B256::ZERO;
            key[at.min(31)] = a << 4 | b;
            key[31] ^= b;
            key
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_the_hash_builder(steps in prop::collection::vec((key(), prop::option::of(1u64..4)), 1..80)) {
            let (mut trie, mut model) = (Trie::default(), BTreeMap::new());
            for (key, value) in steps {
                let before = (trie.clone(), trie.root());
                match value {
                    Some(value) => {
                        let value = if value == 3 { U256::MAX } else { U256::from(value) };
                        trie.insert(key, value);
                        model.insert(key, value);
                    }
                    None => {
                        trie.remove(&key);
                        model.remove(&key);
                    }
                }
                prop_assert_eq!(trie.root(), model_root(&model));
                prop_assert_eq!(before.0.root(), before.1);
                prop_assert_eq!(trie.get(&key), model.get(&key));
                let nodes: Vec<_> = trie.proof(&key).into_iter().map(Into::into).collect();
                let expected = model.get(&key).map(alloy_rlp::encode);
                prop_assert!(alloy_trie::proof::verify_proof(trie.root(), Nibbles::unpack(key), expected, &nodes).is_ok());
            }
            let mut values = Vec::new();
            trie.visit(|v| values.push(*v));
            prop_assert_eq!(values, model.into_values().collect::<Vec<_>>());
        }
    }
}
