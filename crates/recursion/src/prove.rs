//! Proofs of circuits.

use crate::air::{CircuitAir, Layout, TABLES, traces};
use crate::circuit::Circuit;
use crate::run::RunError;
use cairn_prover::bus::{EF, F};
use cairn_prover::config::{Challenger, Config, FriPcs, InnerProof, Params, config, pcs};
use cairn_prover::memory::{Digest, permutation};
use p3_air::BaseAir;
use p3_batch_stark::common::{GlobalPreprocessed, PreprocessedInstanceMeta};
use p3_batch_stark::{
    CommonData, ProverData, ProverOnlyData, StarkInstance, prove_batch, verify_batch,
};
use p3_commit::{Pcs, UnivariateStarkPcs};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{LogUpGadget, Lookups};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_symmetric::{CryptographicHasher, PaddingFreeSponge};
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Version of the circuits' tables; part of every key.
pub const VERSION: u32 = 2;
/// Largest log2 height of a table: that for which the proven bits are computed.
pub const MAX_LOG_HEIGHT: usize = crate::security::LEAF_LOG_HEIGHT;
/// Most public values.
pub const MAX_PUBLIC: usize = 256;

/// What a verifier must know of a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitVk {
    /// log2 height of each table.
    pub log_heights: [u8; 5],
    /// Number of public values.
    pub num_public: u16,
    /// Layout of the tables.
    pub layout: Layout,
    /// Commitment to the preprocessed cells.
    pub fixed: Digest,
}

impl CircuitVk {
    /// The elements that a proof's transcript binds; the layout by the tables' widths. `shape` of them, then the commitment: so that a circuit that verifies the proof computes the digest from a
    /// commitment that it does not know beforehand.
    pub fn elements(&self, params: &Params) -> Vec<F> {
        let mut elements = vec![F::from_u32(VERSION)];
        elements.extend(params.elements());
        for (air, height) in
            CircuitAir::all(usize::from(self.num_public), self.layout).iter().zip(self.log_heights)
        {
            let sizes = [air.width(), air.preprocessed_width(), air.num_public_values()];
            elements.extend(sizes.map(F::from_usize));
            elements.push(F::from_u8(height));
        }
        elements.extend(self.fixed);
        elements
    }

    /// The digest of the key for the parameters its proofs are made with: what other circuits know of this one.
    pub fn digest(&self, params: &Params) -> Digest {
        let sponge = PaddingFreeSponge::<_, 16, 8, 8>::new(permutation().clone());
        sponge.hash_iter(self.elements(params))
    }
}

/// A proof of a circuit.
#[derive(Serialize, Deserialize)]
pub struct CircuitProof {
    /// Public values.
    pub public: Vec<F>,
    /// The STARK proof.
    pub proof: InnerProof,
}

/// Why a circuit cannot be proven.
#[derive(Debug, thiserror::Error)]
pub enum CircuitError {
    /// The inputs do not satisfy the circuit.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The circuit does not fit.
    #[error("the {0} table has 2^{1} rows, at most 2^{MAX_LOG_HEIGHT} are possible")]
    TooLarge(&'static str, usize),
    /// Too many public values.
    #[error("{0} public values are more than {MAX_PUBLIC}")]
    Public(usize),
    /// The prover failed.
    #[error("the STARK prover failed: {0}")]
    Stark(String),
}

/// Why a circuit's proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CircuitRefusal {
    /// The proof or the key is malformed.
    #[error("malformed: {0}")]
    Shape(&'static str),
    /// The STARK verifier refuses it.
    #[error("the STARK verifier refuses the proof: {0}")]
    Stark(String),
    /// The STARK verifier cannot process it.
    #[error("the STARK verifier cannot process the proof")]
    Panic,
}

/// The lookups of a table, as many to a column as its constraints' degree allows.
pub fn lookups(air: &CircuitAir) -> Lookups<F> {
    Lookups::from_air::<EF, _>(air).pack_same_bus(&LogUpGadget::new(), air.degree())
}

/// What both sides derive from the key. A table's preprocessed matrix has the table's own index.
fn common_data(vk: &CircuitVk, airs: &[CircuitAir; 5]) -> CommonData<Config> {
    let instances = airs.iter().zip(vk.log_heights).enumerate().map(|(i, (air, height))| {
        Some(PreprocessedInstanceMeta {
            matrix_index: i,
            width: air.preprocessed_width(),
            degree_bits: usize::from(height),
        })
    });
    let preprocessed = GlobalPreprocessed {
        commitment: vec![vk.fixed].into(),
        instances: instances.collect(),
        matrix_to_instance: (0..TABLES.len()).collect(),
    };
    CommonData::new(Some(preprocessed), airs.iter().map(lookups).collect())
}

/// Everything needed to prove a circuit.
pub struct CircuitKey {
    /// The circuit.
    pub circuit: Circuit,
    /// The verifier's part.
    pub vk: CircuitVk,
    /// The tables.
    pub airs: [CircuitAir; 5],
    /// Parameters of its proofs.
    pub params: Params,
    data: ProverData<Config>,
}

impl CircuitKey {
    /// Commits to a circuit, with tables of at least the given heights (log2).
    ///
    /// # Errors
    /// When the circuit is too large, or the commitment fails.
    pub fn new(circuit: Circuit, least: &[usize; 5], params: Params) -> Result<Self, CircuitError> {
        Self::with_layout(circuit, Layout::WIDE, least, params)
    }

    /// As [`CircuitKey::new`], with tables laid out otherwise.
    ///
    /// # Errors
    /// When the circuit is too large, or the commitment fails.
    pub fn with_layout(
        circuit: Circuit,
        layout: Layout,
        least: &[usize; 5],
        params: Params,
    ) -> Result<Self, CircuitError> {
        let num_public = 4 * circuit.public.len();
        if num_public > MAX_PUBLIC {
            return Err(CircuitError::Public(num_public));
        }
        let airs = CircuitAir::of(&circuit, layout, least);
        let pcs = pcs(&params);
        let mut log_heights = [0; 5];
        let mut tables = Vec::new();
        for (air, log_height) in airs.iter().zip(&mut log_heights) {
            let table =
                air.preprocessed_trace().unwrap_or_else(|| RowMajorMatrix::new(Vec::new(), 0));
            let height = air.log_height().unwrap_or_default();
            if height > MAX_LOG_HEIGHT {
                return Err(CircuitError::TooLarge(air.name(), height));
            }
            *log_height = height as u8;
            let domain =
                <FriPcs as Pcs<EF, Challenger>>::natural_domain_for_degree(&pcs, table.height());
            tables.push((domain, table));
        }
        let (commitment, data) =
            <FriPcs as UnivariateStarkPcs<EF, Challenger>>::commit_preprocessing(&pcs, tables)
                .map_err(|e| CircuitError::Stark(format!("{e:?}")))?;
        let fixed = commitment.roots()[0];
        let vk = CircuitVk { log_heights, num_public: num_public as u16, layout, fixed };
        let common = common_data(&vk, &airs);
        let prover_only = ProverOnlyData { preprocessed_prover_data: Some(data) };
        Ok(Self { circuit, vk, airs, params, data: ProverData { common, prover_only } })
    }

    /// Runs the circuit on private inputs and proves that it accepts them.
    ///
    /// # Errors
    /// When it does not accept them, or the prover fails.
    pub fn prove(&self, inputs: &[F]) -> Result<CircuitProof, CircuitError> {
        let witness = self.circuit.run(inputs)?;
        let traces = traces(&self.circuit, &witness, &self.airs);
        let public = witness.public;
        let proof = self.prove_traces(&traces, &public)?;
        Ok(CircuitProof { public, proof })
    }

    /// Proves from traces (which may be dishonest: then the result does not verify, or there is none).
    ///
    /// # Errors
    /// When the prover fails.
    pub fn prove_traces(
        &self,
        traces: &[RowMajorMatrix<F>; 5],
        public: &[F],
    ) -> Result<InnerProof, CircuitError> {
        let config = config(&self.params, &self.vk.digest(&self.params));
        let instances: Vec<StarkInstance<'_, Config, CircuitAir>> = self
            .airs
            .iter()
            .zip(traces)
            .map(|(air, trace)| StarkInstance {
                air,
                trace,
                public_values: if air.num_public_values() > 0 {
                    public.to_vec()
                } else {
                    Vec::new()
                },
            })
            .collect();
        catch_unwind(AssertUnwindSafe(|| prove_batch(&config, &instances, &self.data)))
            .map_err(|_| {
                CircuitError::Stark("the traces do not satisfy the constraints".to_owned())
            })?
            .map_err(|e| CircuitError::Stark(format!("{e:?}")))
    }
}

/// Verifies a proof of a circuit.
///
/// # Errors
/// Any reason to refuse it. Never panics.
pub fn verify_circuit(
    vk: &CircuitVk,
    params: &Params,
    proof: &CircuitProof,
) -> Result<(), CircuitRefusal> {
    if vk.log_heights.iter().any(|&h| usize::from(h) > MAX_LOG_HEIGHT) {
        return Err(CircuitRefusal::Shape("a table is too high"));
    }
    if usize::from(vk.num_public) > MAX_PUBLIC
        || !vk.num_public.is_multiple_of(4)
        || proof.public.len() != usize::from(vk.num_public)
    {
        return Err(CircuitRefusal::Shape("number of public values"));
    }
    if proof.proof.degree_bits != vk.log_heights.map(usize::from) {
        return Err(CircuitRefusal::Shape("heights of tables"));
    }
    let airs = CircuitAir::all(usize::from(vk.num_public), vk.layout);
    let config = config(params, &vk.digest(params));
    let public: Vec<Vec<F>> = airs
        .iter()
        .map(|air| if air.num_public_values() > 0 { proof.public.clone() } else { Vec::new() })
        .collect();
    catch_unwind(AssertUnwindSafe(|| {
        let common = common_data(vk, &airs);
        verify_batch(&config, &airs, &proof.proof, &public, &common)
    }))
    .map_err(|_| CircuitRefusal::Panic)?
    .map_err(|e| CircuitRefusal::Stark(format!("{e:?}")))
}
