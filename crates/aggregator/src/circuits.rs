//! The circuits' verifying keys: what a list, a root and the final key are made from.

use crate::{Error, Settings};
use alloy_primitives::B256;
use cairn_final_proof::FinalKey;
use cairn_prover::bus::F;
use cairn_prover::config::Params;
use cairn_prover::memory::Digest;
use cairn_recursion::aggregate::{
    Kind, Members, NODE_WIRES, common_heights, heights, lift, node, root, shrink,
};
use cairn_recursion::air::{CircuitAir, Layout};
use cairn_recursion::circuit::Circuit;
use cairn_recursion::leaf::Leaf;
use cairn_recursion::prove::{CircuitKey, CircuitVk, MAX_LOG_HEIGHT, MAX_PUBLIC};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use serde::{Deserialize, Serialize};

/// The file that is shipped.
static SHIPPED: &str = include_str!("../circuits.json");

/// The verifying key of every circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuits {
    /// One leaf for each shape of shards.
    pub leaves: Vec<CircuitVk>,
    /// One lift for each leaf.
    pub lifts: Vec<CircuitVk>,
    /// Joins two.
    pub node: CircuitVk,
    /// Opens.
    pub root: CircuitVk,
    /// log2 heights of the last circuit's tables.
    pub last_heights: [u8; 5],
    /// Commitment to the last circuit's fixed columns.
    pub last_root: B256,
}

/// A circuit in the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    log_heights: [u8; 5],
    public_values: u16,
    layout: Layout,
    fixed: B256,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    leaves: Vec<Entry>,
    lifts: Vec<Entry>,
    node: Entry,
    root: Entry,
    last_heights: [u8; 5],
    last_root: B256,
}

/// A digest's canonical elements, most significant byte first.
pub(crate) fn digest_bytes(digest: &Digest) -> B256 {
    let mut bytes = B256::ZERO;
    for (chunk, x) in bytes.chunks_exact_mut(4).zip(digest) {
        chunk.copy_from_slice(&x.as_canonical_u32().to_be_bytes());
    }
    bytes
}

impl From<&CircuitVk> for Entry {
    fn from(vk: &CircuitVk) -> Self {
        Self {
            log_heights: vk.log_heights,
            public_values: vk.num_public,
            layout: vk.layout,
            fixed: digest_bytes(&vk.fixed),
        }
    }
}

impl TryFrom<&Entry> for CircuitVk {
    type Error = Error;
    fn try_from(entry: &Entry) -> Result<Self, Error> {
        let fixed = cairn_final_proof::statement::program_elements(&entry.fixed)
            .map_err(|_| Error::File("a digest is not canonical".to_owned()))?;
        let &Entry { log_heights, public_values, layout, .. } = entry;
        let sizes = log_heights.iter().all(|&h| usize::from(h) <= MAX_LOG_HEIGHT)
            && public_values.is_multiple_of(4)
            && usize::from(public_values) <= MAX_PUBLIC
            && (1..=8).contains(&layout.lanes);
        if !sizes {
            return Err(Error::File("no circuit is of this size".to_owned()));
        }
        Ok(Self { log_heights, num_public: public_values, layout, fixed })
    }
}

/// The common kind of lifts and nodes.
pub(crate) fn kind(settings: &Settings, circuits: &Circuits) -> Kind {
    Kind::of(&circuits.node, settings.node)
}

/// The list of allowed circuits.
pub(crate) fn members(settings: &Settings, lifts: &[CircuitVk], node: &CircuitVk) -> Members {
    let keys: Vec<Digest> =
        lifts.iter().chain([node]).map(|vk| vk.digest(&settings.node)).collect();
    Members::new(&keys).unwrap_or_else(|| unreachable!("there are a handful of circuits"))
}

/// The key of a lift or node, at the common heights.
pub(crate) fn common_key(
    settings: &Settings,
    circuit: Circuit,
    heights: &[u8; 5],
) -> Result<CircuitKey, Error> {
    Ok(CircuitKey::new(circuit, &heights.map(usize::from), settings.node)?)
}

/// The key of a leaf or root.
pub(crate) fn key(circuit: Circuit, layout: Layout, params: Params) -> Result<CircuitKey, Error> {
    let least = heights(&circuit, layout.lanes).map(usize::from);
    Ok(CircuitKey::with_layout(circuit, layout, &least, params)?)
}

/// The last circuit with the final layer's key.
pub(crate) struct Last {
    pub(crate) circuit: Circuit,
    pub(crate) airs: [CircuitAir; 5],
    pub(crate) key: FinalKey<CircuitAir>,
}

/// Makes the last circuit's key.
pub(crate) fn last(settings: &Settings, root: &CircuitVk) -> Result<Last, Error> {
    let circuit = shrink(root, settings.root);
    let airs = CircuitAir::of(&circuit, settings.layout, &settings.least);
    let heights: Vec<usize> = airs.iter().map(|air| air.log_height().unwrap_or_default()).collect();
    let key = FinalKey::with_params(airs.to_vec(), &heights, settings.last)?;
    Ok(Last { circuit, airs, key })
}

impl Circuits {
    /// Makes every circuit and its key, one after the other: about a minute on two cores.
    ///
    /// # Errors
    /// When a circuit cannot be made or does not fit.
    pub fn build(settings: &Settings) -> Result<Self, Error> {
        let (mut leaves, mut lifted) = (Vec::new(), Vec::new());
        for shape in &settings.shapes {
            let leaf = Leaf::new(shape.clone(), settings.shard)?;
            let vk = key(leaf.circuit(), Layout::WIDE, settings.leaf)?.vk;
            lifted.push(lift(&vk, settings.leaf));
            leaves.push(vk);
        }
        let heights = common_heights(&lifted, settings.node)?;
        let lifts = lifted
            .into_iter()
            .map(|circuit| Ok(common_key(settings, circuit, &heights)?.vk))
            .collect::<Result<Vec<_>, Error>>()?;
        let kind = Kind::new(heights, NODE_WIRES, settings.node);
        let node = common_key(settings, node(&kind), &heights)?.vk;
        let members = members(settings, &lifts, &node);
        let root = root(&kind, &members, settings.log_program);
        let root = key(root, settings.root_layout, settings.root)?.vk;
        let last = last(settings, &root)?;
        let mut last_heights = [0; 5];
        for (height, air) in last_heights.iter_mut().zip(&last.key.shape().airs) {
            *height = air.log_height as u8;
        }
        Ok(Self { leaves, lifts, node, root, last_heights, last_root: last.key.root().into() })
    }

    /// The circuits that this build was shipped with, of [`Settings::real`].
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn shipped() -> Result<Self, Error> {
        Self::from_json(SHIPPED)
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let file: File = serde_json::from_str(text).map_err(|e| Error::File(e.to_string()))?;
        let all = |entries: &[Entry]| -> Result<Vec<CircuitVk>, Error> {
            entries.iter().map(CircuitVk::try_from).collect()
        };
        let circuits = Self {
            leaves: all(&file.leaves)?,
            lifts: all(&file.lifts)?,
            node: CircuitVk::try_from(&file.node)?,
            root: CircuitVk::try_from(&file.root)?,
            last_heights: file.last_heights,
            last_root: file.last_root,
        };
        if circuits.lifts.len() != circuits.leaves.len() {
            return Err(Error::File("one lift for each leaf".to_owned()));
        }
        Ok(circuits)
    }

    /// The file's text.
    ///
    /// # Errors
    /// Never for circuits made by this crate.
    pub fn to_json(&self) -> Result<String, Error> {
        let all = |vks: &[CircuitVk]| vks.iter().map(Entry::from).collect();
        let file = File {
            leaves: all(&self.leaves),
            lifts: all(&self.lifts),
            node: Entry::from(&self.node),
            root: Entry::from(&self.root),
            last_heights: self.last_heights,
            last_root: self.last_root,
        };
        let text = serde_json::to_string_pretty(&file).map_err(|e| Error::File(e.to_string()))?;
        Ok(text + "\n")
    }
}

/// A digest of zeros.
pub(crate) const ZERO: Digest = [F::ZERO; 8];
