//! The memory tree: 2^24 blocks of 8 words under Poseidon2, kept sparsely.

use crate::bus::F;
use crate::chips::boundary::{BLOCK_WORDS, TREE_DEPTH};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::{Poseidon2KoalaBear, default_koalabear_poseidon2_16};
use p3_symmetric::Permutation;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

/// Eight field elements.
pub type Digest = [F; 8];
/// Eight words of memory.
pub type Block = [u32; BLOCK_WORDS as usize];

static PERM: LazyLock<Poseidon2KoalaBear<16>> = LazyLock::new(default_koalabear_poseidon2_16);

/// The Poseidon2 permutation of every hash of the VM.
pub fn permutation() -> &'static Poseidon2KoalaBear<16> {
    &PERM
}

/// `P(l || r)[..8] + l`.
pub fn compress(l: &Digest, r: &Digest) -> Digest {
    let mut state = [F::ZERO; 16];
    state[..8].copy_from_slice(l);
    state[8..].copy_from_slice(r);
    PERM.permute_mut(&mut state);
    core::array::from_fn(|i| state[i] + l[i])
}

/// A block as sixteen limbs.
pub fn block_limbs(block: &Block) -> [F; 16] {
    core::array::from_fn(|i| F::from_u32(block[i / 2] >> (16 * (i % 2)) & 0xffff))
}

/// A block's digest.
pub fn block_digest(block: &Block) -> Digest {
    let limbs = block_limbs(block);
    let (l, r) = limbs.split_at(8);
    compress(&core::array::from_fn(|i| l[i]), &core::array::from_fn(|i| r[i]))
}

/// Groups words (word address, content) in blocks; words that are not given are zero.
pub fn blocks_of(words: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, Block)> {
    let mut blocks: std::collections::BTreeMap<u32, Block> = std::collections::BTreeMap::new();
    for (addr, word) in words {
        blocks.entry(addr / BLOCK_WORDS).or_default()[(addr % BLOCK_WORDS) as usize] = word;
    }
    blocks.into_iter().collect()
}

/// Canonical values of elements.
pub fn canonical<const N: usize>(x: &[F]) -> [u32; N] {
    core::array::from_fn(|i| x[i].as_canonical_u32())
}

/// Digests of all-zero subtrees by level.
static ZEROS: LazyLock<Vec<Digest>> = LazyLock::new(|| {
    let mut zeros = vec![block_digest(&[0; 8])];
    for level in 0..TREE_DEPTH as usize {
        zeros.push(compress(&zeros[level], &zeros[level]));
    }
    zeros
});

/// An inner node of the tree and whether its children were opened.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Level, leaves at 0.
    pub level: u32,
    /// Index in the level.
    pub index: u32,
    /// Children before.
    pub old: [Digest; 2],
    /// Children after.
    pub new: [Digest; 2],
    /// Children on the way to a touched block.
    pub opened: [bool; 2],
}

/// The sparse tree.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    levels: Vec<HashMap<u32, Digest>>,
}

impl MemoryTree {
    /// The tree of memory that is all zero.
    pub fn new() -> Self {
        Self { levels: vec![HashMap::new(); TREE_DEPTH as usize + 1] }
    }

    /// The digest of a node.
    pub fn digest(&self, level: u32, index: u32) -> Digest {
        self.levels[level as usize].get(&index).copied().unwrap_or(ZEROS[level as usize])
    }

    /// The root.
    pub fn root(&self) -> Digest {
        self.digest(TREE_DEPTH, 0)
    }

    /// Sets blocks (index, content) and returns the inner nodes above them, from the leaves up.
    pub fn update(&mut self, blocks: &[(u32, Block)]) -> Vec<Node> {
        let mut changed: HashMap<u32, (Digest, Digest)> = blocks
            .iter()
            .map(|(index, block)| (*index, (self.digest(0, *index), block_digest(block))))
            .collect();
        let mut nodes = Vec::new();
        for level in 1..=TREE_DEPTH {
            let parents: BTreeSet<u32> = changed.keys().map(|i| i / 2).collect();
            let mut above = HashMap::new();
            for index in parents {
                let children = [2 * index, 2 * index + 1];
                let state = children.map(|c| {
                    changed.get(&c).copied().unwrap_or_else(|| {
                        let digest = self.digest(level - 1, c);
                        (digest, digest)
                    })
                });
                let node = Node {
                    level,
                    index,
                    old: state.map(|s| s.0),
                    new: state.map(|s| s.1),
                    opened: children.map(|c| changed.contains_key(&c)),
                };
                above.insert(
                    index,
                    (self.digest(level, index), compress(&node.new[0], &node.new[1])),
                );
                nodes.push(node);
            }
            self.store(level - 1, &changed);
            changed = above;
        }
        self.store(TREE_DEPTH, &changed);
        nodes
    }

    fn store(&mut self, level: u32, changed: &HashMap<u32, (Digest, Digest)>) {
        self.levels[level as usize].extend(changed.iter().map(|(i, (_, new))| (*i, *new)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_depends_on_content_alone() {
        let (a, b) = ((5, [1; 8]), (1 << 20, [2; 8]));
        let mut one = MemoryTree::new();
        one.update(&[a, b]);
        let mut two = MemoryTree::new();
        two.update(&[(5, [7; 8])]);
        two.update(&[b]);
        two.update(&[a]);
        assert_eq!(one.root(), two.root());
        two.update(&[(5, [0; 8]), (1 << 20, [0; 8])]);
        assert_eq!(two.root(), MemoryTree::new().root());
    }
}
