//! A prover that cheats where only the low-degree test can tell: it commits to columns that are no polynomials of their degree. Everything else about its
//! proofs is honest: the transcript, the constraints at the opened point, every Merkle path, every folding.

use crate::common::Sample;
use cairn_final_proof::codec::encode;
use cairn_final_proof::config::{
    ChallengeMmcs, Challenger, Compress, Config, Dft, EF, F, Hash, InnerProof, Params, ValMmcs, pcs,
};
use cairn_recursion::air::CircuitAir;
use p3_batch_stark::common::{GlobalPreprocessed, PreprocessedInstanceMeta};
use p3_batch_stark::{CommonData, ProverData, ProverOnlyData, StarkInstance, prove_batch};
use p3_commit::UnivariateStarkPcs;
use p3_dft::TwoAdicSubgroupDft;
use p3_field::PrimeCharacteristicRing;
use p3_fri::TwoAdicFriPcs;
use p3_keccak::Keccak256Hash;
use p3_matrix::Matrix;
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_uni_stark::StarkConfig;

/// Extends as the honest transform does, and then adds noise to a matrix of this size wherever neither the opened values nor the quotient come from.
#[derive(Clone, Debug, Default)]
struct NoisyDft {
    honest: Dft,
    width: usize,
    height: usize,
    /// Rows without noise.
    kept: usize,
}

impl TwoAdicSubgroupDft<F> for NoisyDft {
    type Evaluations = <Dft as TwoAdicSubgroupDft<F>>::Evaluations;

    fn dft_batch(&self, mat: RowMajorMatrix<F>) -> Self::Evaluations {
        self.honest.dft_batch(mat)
    }

    fn coset_lde_batch(
        &self,
        mat: RowMajorMatrix<F>,
        added_bits: usize,
        shift: F,
    ) -> Self::Evaluations {
        let aim = (mat.width(), mat.height()) == (self.width, self.height);
        let honest = self.honest.coset_lde_batch(mat, added_bits, shift);
        let mut rows = honest.bit_reverse_rows().to_row_major_matrix();
        if aim {
            let noise = rows.values[self.width * self.kept..].iter_mut().enumerate();
            noise.for_each(|(i, x)| *x += F::from_usize(i + 1));
        }
        rows.bit_reverse_rows()
    }
}

type NoisyPcs = TwoAdicFriPcs<F, NoisyDft, ValMmcs, ChallengeMmcs>;
type NoisyConfig = StarkConfig<NoisyPcs, EF, Challenger>;

/// A proof of an honest execution, in which the columns of table `at` are noise wherever the constraints are not looked at; under the key's own transcript.
pub fn noisy_proof(s: &Sample, at: usize) -> Vec<u8> {
    let (shape, params) = (s.key.shape(), s.key.shape().params);
    let table = &shape.airs[at];
    assert!(table.log_chunks < params.log_blowup, "its quotient needs all of the domain");
    let height = 1 << table.log_height;
    let kept = height << table.log_chunks;
    let dft = NoisyDft { honest: Dft::default(), width: table.width, height, kept };
    let mmcs = ValMmcs::new(Hash::new(Keccak256Hash), Compress::new(Keccak256Hash), 0);
    let noisy = NoisyPcs::new(dft, mmcs.clone(), params.fri(ChallengeMmcs::new(mmcs)));
    let challenger = Challenger::from_hasher(s.key.digest().to_vec(), Keccak256Hash);
    let config = NoisyConfig::new(noisy, challenger)
        .with_lookup_proof_of_work_bits(params.lookup_pow)
        .with_ood_proof_of_work_bits(params.ood_pow);
    let data = prover_data(s, &params);
    let mut publics = s.publics.as_slice();
    let instances: Vec<StarkInstance<'_, NoisyConfig, CircuitAir>> = s
        .key
        .airs()
        .iter()
        .zip(&s.traces)
        .zip(&shape.airs)
        .map(|((air, trace), table)| {
            let (own, rest) = publics.split_at(table.num_public);
            publics = rest;
            StarkInstance { air, trace, public_values: own.to_vec() }
        })
        .collect();
    let proof = prove_batch(&config, &instances, &data).unwrap();
    let proof = InnerProof {
        commitments: proof.commitments,
        opened_values: proof.opened_values,
        opening_proof: proof.opening_proof,
        lookup_terminals: proof.lookup_terminals,
        degree_bits: proof.degree_bits,
        lookup_pow_witness: proof.lookup_pow_witness,
        ood_pow_witness: proof.ood_pow_witness,
    };
    encode(shape, &proof).unwrap()
}

/// The key's preprocessed columns, honestly committed.
fn prover_data(s: &Sample, params: &Params) -> ProverData<NoisyConfig> {
    use p3_air::BaseAir;
    type Honest = <Config as p3_uni_stark::StarkGenericConfig>::Pcs;
    let honest = pcs(params);
    let tables = s.key.airs().iter().map(|air| {
        let table = BaseAir::<F>::preprocessed_trace(air).unwrap();
        let height = table.height();
        let domain =
            <Honest as p3_commit::Pcs<EF, Challenger>>::natural_domain_for_degree(&honest, height);
        (domain, table)
    });
    let tables: Vec<_> = tables.collect();
    let (commitment, data) =
        <Honest as UnivariateStarkPcs<EF, Challenger>>::commit_preprocessing(&honest, tables)
            .unwrap();
    assert_eq!(commitment.roots(), [s.key.root()]);
    let shape = s.key.shape();
    let instances = shape.airs.iter().enumerate().map(|(matrix_index, air)| {
        let (width, degree_bits) = (air.pre_width, air.log_height);
        Some(PreprocessedInstanceMeta { matrix_index, width, degree_bits })
    });
    let preprocessed = GlobalPreprocessed {
        commitment,
        instances: instances.collect(),
        matrix_to_instance: (0..shape.airs.len()).collect(),
    };
    ProverData {
        common: CommonData::new(Some(preprocessed), s.key.lookups().to_vec()),
        prover_only: ProverOnlyData { preprocessed_prover_data: Some(data) },
    }
}
