//! Checking final proofs, and what a deployment needs.

use crate::{Circuits, Error, Settings};
use alloy_primitives::B256;
use cairn_final_proof::solidity::{self, Unfit};
use cairn_final_proof::statement::{NUM_PUBLIC_VALUES, public_values};
use cairn_final_proof::{FinalVk, security, verify_final};
use cairn_recursion::air::{CircuitAir, Layout};
use cairn_recursion::security as circuits;

/// Why a final proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the final proof is refused: {0}")]
pub struct Refusal(pub String);

/// Proven bits of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerBits {
    /// shard, leaf, node, root, final.
    pub layer: &'static str,
    /// Of the weakest term.
    pub bits: f64,
    /// By the union bound over all terms.
    pub union_bits: f64,
}

/// What a deployment of `FinalVerifier` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierData {
    /// The constructor's `programId`.
    pub program_id: B256,
    /// The constructor's `keyDigest`.
    pub key_digest: B256,
    /// The runtime code of the data contracts, whose addresses the constructor takes; the zero address stands for an absent second.
    pub data_code: Vec<Vec<u8>>,
    /// The same data contracts as Solidity source.
    pub solidity: String,
}

/// Verifies final proofs of one guest program: accepts exactly what the contract accepts.
pub struct Verifier {
    program_id: B256,
    settings: Settings,
    circuits: Circuits,
    vk: FinalVk<CircuitAir>,
}

impl Verifier {
    /// For a guest program, with the circuits that this build was shipped with. Takes milliseconds.
    ///
    /// # Errors
    /// When the shipped file is damaged.
    pub fn shipped(program_id: B256) -> Result<Self, Error> {
        Self::new(program_id, Settings::real(0), Circuits::shipped()?)
    }

    /// For a guest program and circuits. (Of the settings, only the last layer's matter.)
    ///
    /// # Errors
    /// When there is no such key.
    pub fn new(program_id: B256, settings: Settings, circuits: Circuits) -> Result<Self, Error> {
        let _canonical = cairn_final_proof::statement::program_elements(&program_id)?;
        let airs = CircuitAir::all(NUM_PUBLIC_VALUES, settings.layout);
        let heights = circuits.last_heights.map(usize::from);
        let root = circuits.last_root.0;
        let vk = FinalVk::with_params(airs.to_vec(), &heights, settings.last, root)?;
        Ok(Self { program_id, settings, circuits, vk })
    }

    /// Checks a proof that the program made these public inputs, one for each of 1 to [`crate::MAX_BATCHES`] batches.
    ///
    /// # Errors
    /// Any reason to refuse it. Never panics.
    pub fn verify(&self, public_inputs: &[B256], proof: &[u8]) -> Result<(), Refusal> {
        let values =
            public_values(&self.program_id, public_inputs).map_err(|e| Refusal(e.to_string()))?;
        verify_final(&self.vk, &values, proof).map_err(|e| Refusal(e.to_string()))
    }

    /// The guest program.
    pub fn program_id(&self) -> B256 {
        self.program_id
    }

    /// The key.
    pub fn vk(&self) -> &FinalVk<CircuitAir> {
        &self.vk
    }

    /// What a deployment takes.
    ///
    /// # Errors
    /// When the key is none to deploy.
    pub fn data(&self) -> Result<VerifierData, Unfit> {
        Ok(VerifierData {
            program_id: self.program_id,
            key_digest: self.vk.digest(),
            data_code: solidity::data_code(&self.vk)?,
            solidity: solidity::generate(&self.vk)?,
        })
    }

    /// Proven bits of all layers, from the parameters, tables and heights that the key commits to.
    pub fn security_report(&self) -> Vec<LayerBits> {
        let s = &self.settings;
        let shard = cairn_prover::security::report_for(&s.shard);
        let mut layers =
            vec![LayerBits { layer: "shard", bits: shard.bits, union_bits: shard.union_bits }];
        let tallest = |all: &[cairn_recursion::prove::CircuitVk]| {
            core::array::from_fn(|i| all.iter().map(|vk| vk.log_heights[i]).max().unwrap_or(0))
        };
        let c = &self.circuits;
        for (layer, params, layout, heights) in [
            ("leaf", &s.leaf, Layout::WIDE, tallest(&c.leaves)),
            ("node", &s.node, Layout::WIDE, c.node.log_heights),
            ("root", &s.root, c.root.layout, c.root.log_heights),
        ] {
            let report = circuits::report(params, layout, &heights);
            layers.push(LayerBits { layer, bits: report.bits, union_bits: report.union_bits });
        }
        let last = security::report(&self.vk);
        layers.push(LayerBits { layer: "final", bits: last.bits, union_bits: last.union_bits });
        layers
    }
}
