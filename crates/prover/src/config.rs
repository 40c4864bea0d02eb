//! The proof system's configuration: the only place that names Plonky3's commitment scheme, hash and parameters.

use crate::bus::{EF, F};
use crate::memory::permutation;
use p3_challenger::{CanObserve, DuplexChallenger};
use p3_commit::ExtensionMmcs;
use p3_dft::Radix2DitParallel;
use p3_field::{Field, PrimeCharacteristicRing};
use p3_fri::{FriParameters, TwoAdicFriPcs};
use p3_koala_bear::Poseidon2KoalaBear;
use p3_merkle_tree::MerkleTreeMmcs;
use p3_symmetric::{PaddingFreeSponge, TruncatedPermutation};
use p3_uni_stark::StarkConfig;

/// The permutation under every hash.
pub type Perm = Poseidon2KoalaBear<16>;
/// Leaf hash.
pub type Hash = PaddingFreeSponge<Perm, 16, 8, 8>;
/// Node hash of commitments.
pub type Compress = TruncatedPermutation<Perm, 2, 8, 16>;
/// Commitments to base-field matrices.
pub type ValMmcs =
    MerkleTreeMmcs<<F as Field>::Packing, <F as Field>::Packing, Hash, Compress, 2, 8>;
/// Commitments to extension-field matrices.
pub type ChallengeMmcs = ExtensionMmcs<F, EF, ValMmcs>;
/// Discrete Fourier transform.
pub type Dft = Radix2DitParallel<F>;
/// Polynomial commitments.
pub type FriPcs = TwoAdicFriPcs<F, Dft, ValMmcs, ChallengeMmcs>;
/// Transcript.
pub type Challenger = DuplexChallenger<F, Perm, 16, 8>;
/// All together.
pub type Config = StarkConfig<FriPcs, EF, Challenger>;
/// A commitment.
pub type Commitment = p3_batch_stark::Commitment<Config>;
/// A proof of one shard as Plonky3 makes it.
pub type InnerProof = p3_batch_stark::BatchProof<Config>;

/// Parameters of the proof system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// log2 of the inverse rate.
    pub log_blowup: usize,
    /// FRI queries.
    pub num_queries: usize,
    /// log2 of the final polynomial's length.
    pub log_final_poly_len: usize,
    /// log2 of the folding arity.
    pub max_log_arity: usize,
    /// Grinding before the lookup challenges.
    pub lookup_pow: usize,
    /// Grinding before the out-of-domain point.
    pub ood_pow: usize,
    /// Grinding before the batching challenge.
    pub batch_pow: usize,
    /// Grinding before each folding challenge.
    pub commit_pow: usize,
    /// Grinding before the queries.
    pub query_pow: usize,
}

/// The parameters of shard proofs: at least 100 proven bits by unique decoding ([`crate::security`] computes it).
pub const PARAMS: Params = Params {
    log_blowup: 1,
    num_queries: 194,
    log_final_poly_len: 0,
    max_log_arity: 3,
    lookup_pow: 14,
    ood_pow: 2,
    batch_pow: 16,
    commit_pow: 5,
    query_pow: 22,
};

impl Params {
    /// As field elements, for the transcript.
    pub fn elements(&self) -> [F; 9] {
        [
            self.log_blowup,
            self.num_queries,
            self.log_final_poly_len,
            self.max_log_arity,
            self.lookup_pow,
            self.ood_pow,
            self.batch_pow,
            self.commit_pow,
            self.query_pow,
        ]
        .map(F::from_usize)
    }

    /// FRI's view of them.
    pub fn fri<M>(&self, mmcs: M) -> FriParameters<M> {
        FriParameters {
            log_blowup: self.log_blowup,
            log_final_poly_len: self.log_final_poly_len,
            max_log_arity: self.max_log_arity,
            num_queries: self.num_queries,
            batch_proof_of_work_bits: self.batch_pow,
            commit_proof_of_work_bits: self.commit_pow,
            query_proof_of_work_bits: self.query_pow,
            mmcs,
        }
    }
}

/// The leaf and node hashes.
pub fn val_mmcs() -> ValMmcs {
    let perm = permutation().clone();
    ValMmcs::new(Hash::new(perm.clone()), Compress::new(perm), 0)
}

/// FRI's parameters over commitments to extension-field matrices.
pub fn fri_params(params: &Params) -> FriParameters<ChallengeMmcs> {
    params.fri(ChallengeMmcs::new(val_mmcs()))
}

/// The polynomial commitment scheme.
pub fn pcs(params: &Params) -> FriPcs {
    FriPcs::new(Dft::default(), val_mmcs(), fri_params(params))
}

/// A transcript that starts with `seed`.
pub fn challenger(seed: &[F]) -> Challenger {
    let mut challenger = Challenger::new(permutation().clone());
    challenger.observe_slice(seed);
    challenger
}

/// A configuration whose transcript starts with `seed`.
pub fn config(params: &Params, seed: &[F]) -> Config {
    Config::new(pcs(params), challenger(seed))
        .with_lookup_proof_of_work_bits(params.lookup_pow)
        .with_ood_proof_of_work_bits(params.ood_pow)
}
