//! The final layer's proof system: the only place that names its field, hash and commitment scheme.
//!
//! Everything is hashed as an EVM hashes: Keccak-256 over bytes, an element as the four bytes of its Montgomery form, least significant first.

use p3_challenger::{HashChallenger, SerializingChallenger32};
use p3_commit::ExtensionMmcs;
use p3_dft::Radix2DitParallel;
use p3_field::extension::QuinticTrinomialExtensionField;
use p3_fri::{FriParameters, TwoAdicFriPcs};
use p3_keccak::Keccak256Hash;
use p3_koala_bear::KoalaBear;
use p3_merkle_tree::MerkleTreeMmcs;
use p3_symmetric::{CompressionFunctionFromHasher, SerializingHasher};
use p3_uni_stark::StarkConfig;

/// The base field.
pub type F = KoalaBear;
/// The challenge field, of degree 5: `X^5 = 1 - X^2`.
pub type EF = QuinticTrinomialExtensionField<F>;
/// Leaf hash.
pub type Hash = SerializingHasher<Keccak256Hash>;
/// Node hash.
pub type Compress = CompressionFunctionFromHasher<Keccak256Hash, 2, 32>;
/// Commitments to base-field matrices.
pub type ValMmcs = MerkleTreeMmcs<F, u8, Hash, Compress, 2, 32>;
/// Commitments to extension-field matrices.
pub type ChallengeMmcs = ExtensionMmcs<F, EF, ValMmcs>;
/// Discrete Fourier transform.
pub type Dft = Radix2DitParallel<F>;
/// Polynomial commitments.
pub type FinalPcs = TwoAdicFriPcs<F, Dft, ValMmcs, ChallengeMmcs>;
/// Transcript.
pub type Challenger = SerializingChallenger32<F, HashChallenger<u8, Keccak256Hash, 32>>;
/// All together.
pub type Config = StarkConfig<FinalPcs, EF, Challenger>;
/// A Merkle root.
pub type Root = [u8; 32];
/// A proof as Plonky3 makes it; [`crate::codec`] gives it its bytes.
pub type InnerProof = p3_batch_stark::BatchProof<Config>;

/// Parameters of the final layer. They are part of the key's digest.
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

/// The parameters of final proofs: at least 100 proven bits at heights up to 2^14 ([`crate::security`] computes it).
pub const PARAMS: Params = Params {
    log_blowup: 7,
    num_queries: 23,
    log_final_poly_len: 7,
    max_log_arity: 3,
    lookup_pow: 0,
    ood_pow: 0,
    batch_pow: 0,
    commit_pow: 0,
    query_pow: 22,
};

impl Params {
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

/// The polynomial commitment scheme.
pub fn pcs(params: &Params) -> FinalPcs {
    let mmcs = ValMmcs::new(Hash::new(Keccak256Hash), Compress::new(Keccak256Hash), 0);
    FinalPcs::new(Dft::default(), mmcs.clone(), params.fri(ChallengeMmcs::new(mmcs)))
}

/// A configuration whose transcript starts with a key's digest.
pub fn config(params: &Params, digest: [u8; 32]) -> Config {
    Config::new(pcs(params), Challenger::from_hasher(digest.to_vec(), Keccak256Hash))
        .with_lookup_proof_of_work_bits(params.lookup_pow)
        .with_ood_proof_of_work_bits(params.ood_pow)
}
