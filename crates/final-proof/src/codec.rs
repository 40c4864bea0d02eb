//! The one encoding of a final proof, flat so that a contract reads it with computed offsets.
//!
//! ```text
//! fixed    main root | lookup root, one terminal a table with lookups | quotient root
//!          | opened values, by batch, matrix and point | folding roots | final polynomial
//!          | grinding witnesses: lookup, out-of-domain, batch, one a folding, query (those of zero bits are left out)
//!          | siblings of each Merkle multi-proof, as u16, most significant byte first
//! queries  of each: the rows by batch, and in a batch by class of height, tallest first | siblings of each folding
//! digests  of each multi-proof: batches, then foldings
//! ```
//!
//! An element is four bytes, its Montgomery form (times 2^32), least significant first, below the modulus: the bytes that are hashed.

use crate::config::{EF, F, InnerProof, Root, ValMmcs};
use crate::shape::{BASE_BYTES, EXT, EXT_BYTES, MAIN, MatrixShape, Point, QUOTIENT, Shape};
use p3_batch_stark::proof::OpenedValuesWithLookups;
use p3_batch_stark::{BatchCommitments, BatchOpenedValues, OpenedValues};
use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing, PrimeField32};
use p3_fri::{BatchMultiOpening, CommitPhaseMultiStep, FriProof};
use p3_lookup::LookupTerminal;
use p3_merkle_tree::{MerkleCap, PrunedMerklePaths};
use p3_uni_stark::PreprocessedOpenedValues;

/// Why bytes are no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Fewer or more bytes than the proof's own counts say.
    #[error("{got} bytes, {expected} are needed")]
    Length {
        /// The bytes that there are.
        got: usize,
        /// The bytes that there should be.
        expected: usize,
    },
    /// An element that is not below the modulus.
    #[error("the element at byte {0} is not reduced")]
    NotCanonical(usize),
    /// A multi-proof with more siblings than its tree can need.
    #[error("multi-proof {0} has too many siblings")]
    TooManySiblings(usize),
    /// A proof that is not of the key's shape.
    #[error("the proof is not of the key's shape: {0}")]
    Shape(&'static str),
}

/// Where each part of the encoding starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The lookup traces' root and the terminals.
    pub lookup: usize,
    /// The quotient's root.
    pub quotient: usize,
    /// The opened values.
    pub opened: usize,
    /// The roots of the foldings.
    pub fold_roots: usize,
    /// The final polynomial.
    pub final_poly: usize,
    /// The grinding witnesses.
    pub witnesses: usize,
    /// The numbers of siblings.
    pub counts: usize,
    /// The queries.
    pub queries: usize,
    /// The digests.
    pub digests: usize,
}

impl Layout {
    /// The layout of proofs of a shape.
    pub fn new(shape: &Shape) -> Self {
        let params = &shape.params;
        let rounds = shape.log_arities.len();
        let lookup = 32;
        let lookup_bytes =
            if shape.permutation.is_some() { 32 + shape.num_terminals() * EXT_BYTES } else { 0 };
        let quotient = lookup + lookup_bytes;
        let opened = quotient + 32;
        let fold_roots = opened + shape.num_opened * EXT_BYTES;
        let final_poly = fold_roots + 32 * rounds;
        let witnesses = final_poly + (EXT_BYTES << params.log_final_poly_len);
        let counts = witnesses + BASE_BYTES * num_witnesses(shape);
        let queries = counts + 2 * shape.num_trees();
        let digests = queries + params.num_queries * shape.query_bytes();
        Self {
            lookup,
            quotient,
            opened,
            fold_roots,
            final_poly,
            witnesses,
            counts,
            queries,
            digests,
        }
    }
}

/// Grinding witnesses that a proof carries.
pub fn num_witnesses(shape: &Shape) -> usize {
    let p = &shape.params;
    let single = [p.lookup_pow, p.ood_pow, p.batch_pow, p.query_pow];
    single.iter().filter(|&&bits| bits > 0).count()
        + if p.commit_pow > 0 { shape.log_arities.len() } else { 0 }
}

/// The inverse of the Montgomery factor 2^32.
fn montgomery_inverse() -> F {
    F::from_u64(1 << 32).inverse()
}

/// The bytes of an element.
pub fn element_bytes(x: F) -> [u8; BASE_BYTES] {
    x.to_unique_u32().to_le_bytes()
}

struct Writer(Vec<u8>);

impl Writer {
    fn base(&mut self, x: F) {
        self.0.extend(element_bytes(x));
    }
    fn ext(&mut self, x: &EF) {
        let coefficients: &[F] = x.as_basis_coefficients_slice();
        coefficients.iter().for_each(|&c| self.base(c));
    }
    fn exts(&mut self, xs: &[EF]) {
        xs.iter().for_each(|x| self.ext(x));
    }
    fn root(&mut self, cap: &MerkleCap<F, Root>) -> Result<(), CodecError> {
        let [root] = cap.roots() else { return Err(CodecError::Shape("a cap of several roots")) };
        self.0.extend(root);
        Ok(())
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    inverse: F,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let end = self.at + N;
        let slice = self
            .bytes
            .get(self.at..end)
            .ok_or(CodecError::Length { got: self.bytes.len(), expected: end })?;
        self.at = end;
        let mut out = [0; N];
        out.copy_from_slice(slice);
        Ok(out)
    }
    fn base(&mut self) -> Result<F, CodecError> {
        let at = self.at;
        let raw = u32::from_le_bytes(self.take()?);
        if raw >= F::ORDER_U32 {
            return Err(CodecError::NotCanonical(at));
        }
        Ok(F::from_u32(raw) * self.inverse)
    }
    fn bases(&mut self, n: usize) -> Result<Vec<F>, CodecError> {
        (0..n).map(|_| self.base()).collect()
    }
    fn ext(&mut self) -> Result<EF, CodecError> {
        let mut c = [F::ZERO; EXT];
        for c in &mut c {
            *c = self.base()?;
        }
        Ok(EF::from_basis_coefficients_fn(|i| c[i]))
    }
    fn exts(&mut self, n: usize) -> Result<Vec<EF>, CodecError> {
        (0..n).map(|_| self.ext()).collect()
    }
    fn cap(&mut self) -> Result<MerkleCap<F, Root>, CodecError> {
        Ok(MerkleCap::new(vec![self.take()?]))
    }
    fn witness(&mut self, bits: usize) -> Result<F, CodecError> {
        if bits == 0 { Ok(F::ZERO) } else { self.base() }
    }
    fn digests(&mut self, n: usize) -> Result<PrunedMerklePaths<u8, 32>, CodecError> {
        let sibling_hashes = (0..n).map(|_| self.take()).collect::<Result<_, _>>()?;
        Ok(PrunedMerklePaths { sibling_hashes })
    }
}

/// The opened values of a proof in the order of [`MatrixShape::points`].
fn opened_in_order<'a>(
    shape: &Shape,
    instances: &'a [OpenedValuesWithLookups<EF>],
) -> Result<Vec<&'a [EF]>, CodecError> {
    let missing = CodecError::Shape("an opening is missing");
    let mut out: Vec<&[EF]> = vec![];
    for (air, i) in shape.airs.iter().zip(instances) {
        out.push(&i.base_opened_values.trace_local);
        if air.next {
            out.push(i.base_opened_values.trace_next.as_ref().ok_or(missing)?);
        }
    }
    for i in instances {
        out.extend(i.base_opened_values.quotient_chunks.iter().map(Vec::as_slice));
    }
    for (air, i) in shape.airs.iter().zip(instances).filter(|(air, _)| air.pre_width > 0) {
        let pre = i.base_opened_values.preprocessed.as_ref().ok_or(missing)?;
        out.push(&pre.local);
        if air.pre_next {
            out.push(pre.next.as_ref().ok_or(missing)?);
        }
    }
    for (_, i) in shape.airs.iter().zip(instances).filter(|(air, _)| air.num_lookups > 0) {
        out.extend([&i.permutation_local[..], &i.permutation_next]);
    }
    Ok(out)
}

/// Encodes a proof.
///
/// # Errors
/// When it is not of the shape.
pub fn encode(shape: &Shape, proof: &InnerProof) -> Result<Vec<u8>, CodecError> {
    let mut w = Writer(vec![]);
    let fri = &proof.opening_proof;
    w.root(&proof.commitments.main)?;
    if shape.permutation.is_some() {
        let cap = proof.commitments.permutation.as_ref();
        w.root(cap.ok_or(CodecError::Shape("no lookup root"))?)?;
        proof.lookup_terminals.iter().flatten().for_each(|t| w.ext(&t.0));
    }
    w.root(&proof.commitments.quotient_chunks)?;
    for values in opened_in_order(shape, &proof.opened_values.instances)? {
        w.exts(values);
    }
    for cap in &fri.commit_phase_commits {
        w.root(cap)?;
    }
    w.exts(&fri.final_poly);
    encode_witnesses(shape, proof, &mut w);
    encode_counts(proof, &mut w)?;
    for query in 0..shape.params.num_queries {
        encode_query(shape, fri, query, &mut w)?;
    }
    for digest in multi_proofs(fri).flat_map(|p| &p.sibling_hashes) {
        w.0.extend(digest);
    }
    Ok(w.0)
}

type Fri = FriProof<EF, crate::config::ChallengeMmcs, F, Vec<BatchMultiOpening<F, ValMmcs>>>;

fn multi_proofs(fri: &Fri) -> impl Iterator<Item = &PrunedMerklePaths<u8, 32>> {
    let inputs = fri.input_openings.iter().map(|o| &o.opening_proof);
    inputs.chain(fri.commit_phase_openings.iter().map(|o| &o.opening_proof))
}

fn encode_witnesses(shape: &Shape, proof: &InnerProof, w: &mut Writer) {
    let (p, fri) = (&shape.params, &proof.opening_proof);
    let mut put = |bits: usize, witness: F| {
        if bits > 0 {
            w.base(witness);
        }
    };
    put(p.lookup_pow, proof.lookup_pow_witness.unwrap_or_default());
    put(p.ood_pow, proof.ood_pow_witness);
    put(p.batch_pow, fri.batch_pow_witness);
    fri.commit_pow_witnesses.iter().for_each(|&x| put(p.commit_pow, x));
    put(p.query_pow, fri.query_pow_witness);
}

fn encode_counts(proof: &InnerProof, w: &mut Writer) -> Result<(), CodecError> {
    for paths in multi_proofs(&proof.opening_proof) {
        let n = u16::try_from(paths.sibling_hashes.len())
            .map_err(|_| CodecError::Shape("a multi-proof of more than 65,535 siblings"))?;
        w.0.extend(n.to_be_bytes());
    }
    Ok(())
}

fn encode_query(shape: &Shape, fri: &Fri, query: usize, w: &mut Writer) -> Result<(), CodecError> {
    let missing = CodecError::Shape("a query is missing");
    for (batch, opening) in shape.batches.iter().zip(&fri.input_openings) {
        let rows = opening.opened_values.get(query).ok_or(missing)?;
        for class in batch.classes() {
            for (matrix, _) in batch.of_class(class) {
                rows.get(matrix).ok_or(missing)?.iter().for_each(|&x| w.base(x));
            }
        }
    }
    for opening in &fri.commit_phase_openings {
        w.exts(opening.sibling_values.get(query).ok_or(missing)?);
    }
    Ok(())
}

/// Decodes a proof.
///
/// # Errors
/// When the bytes are not the encoding of a proof of the shape. Memory is bounded by a small multiple of the input.
pub fn decode(shape: &Shape, bytes: &[u8]) -> Result<InnerProof, CodecError> {
    let layout = Layout::new(shape);
    let counts = counts(shape, &layout, bytes)?;
    let mut r = Reader { bytes, at: 0, inverse: montgomery_inverse() };
    let main = r.cap()?;
    let (permutation, terminals) = decode_lookup(shape, &mut r)?;
    let quotient_chunks = r.cap()?;
    let instances = decode_opened(shape, &mut r)?;
    let rounds = shape.log_arities.len();
    let commit_phase_commits = (0..rounds).map(|_| r.cap()).collect::<Result<_, _>>()?;
    let final_poly = r.exts(1 << shape.params.log_final_poly_len)?;
    let p = &shape.params;
    let lookup_pow = r.witness(if permutation.is_some() { p.lookup_pow } else { 0 })?;
    let ood_pow_witness = r.witness(p.ood_pow)?;
    let batch_pow_witness = r.witness(p.batch_pow)?;
    let commit_pow_witnesses =
        (0..rounds).map(|_| r.witness(p.commit_pow)).collect::<Result<_, _>>()?;
    let query_pow_witness = r.witness(p.query_pow)?;
    r.at = layout.queries;
    let (input_openings, commit_phase_openings) = decode_queries(shape, &counts, &mut r)?;
    Ok(InnerProof {
        lookup_pow_witness: permutation.is_some().then_some(lookup_pow),
        commitments: BatchCommitments { main, permutation, quotient_chunks, random: None },
        opened_values: BatchOpenedValues { instances },
        opening_proof: FriProof {
            batch_pow_witness,
            commit_phase_commits,
            commit_pow_witnesses,
            input_openings,
            commit_phase_openings,
            final_poly,
            query_pow_witness,
        },
        lookup_terminals: terminals,
        degree_bits: shape.airs.iter().map(|a| a.log_height).collect(),
        ood_pow_witness,
    })
}

/// The numbers of siblings, checked against the tree's size and the whole length.
fn counts(shape: &Shape, layout: &Layout, bytes: &[u8]) -> Result<Vec<usize>, CodecError> {
    let short = CodecError::Length { got: bytes.len(), expected: layout.digests };
    let raw = bytes.get(layout.counts..layout.queries).ok_or(short)?;
    let counts: Vec<usize> =
        raw.chunks_exact(2).map(|c| usize::from(u16::from_be_bytes([c[0], c[1]]))).collect();
    for (tree, &count) in counts.iter().enumerate() {
        let depth = match tree.checked_sub(shape.batches.len()) {
            None => shape.tree_depth(tree),
            Some(round) => shape.fold_depth(round),
        };
        if count > depth * shape.params.num_queries {
            return Err(CodecError::TooManySiblings(tree));
        }
    }
    let expected = layout.digests + 32 * counts.iter().sum::<usize>();
    if bytes.len() != expected {
        return Err(CodecError::Length { got: bytes.len(), expected });
    }
    Ok(counts)
}

type Terminals = Vec<Option<LookupTerminal<EF>>>;

fn decode_lookup(
    shape: &Shape,
    r: &mut Reader<'_>,
) -> Result<(Option<MerkleCap<F, Root>>, Terminals), CodecError> {
    let root = shape.permutation.map(|_| r.cap()).transpose()?;
    let terminals = shape
        .airs
        .iter()
        .map(|a| (a.num_lookups > 0).then(|| r.ext().map(LookupTerminal)).transpose())
        .collect::<Result<_, _>>()?;
    Ok((root, terminals))
}

fn decode_opened(
    shape: &Shape,
    r: &mut Reader<'_>,
) -> Result<Vec<OpenedValuesWithLookups<EF>>, CodecError> {
    let mut batches = vec![];
    for batch in &shape.batches {
        let mut matrices = vec![];
        for matrix in &batch.matrices {
            let points: Vec<Vec<EF>> =
                matrix.points.iter().map(|_| r.exts(matrix.width)).collect::<Result<_, _>>()?;
            matrices.push(points.into_iter());
        }
        batches.push(matrices.into_iter());
    }
    // Every batch has one matrix for each table that takes part in it, and every matrix has as many points as its shape says.
    let short = CodecError::Shape("an opening is missing");
    let mut next_matrix = |batch: usize| batches[batch].next().ok_or(short);
    shape
        .airs
        .iter()
        .map(|air| {
            let mut main = next_matrix(MAIN)?;
            let quotient_chunks = (0..1 << air.log_chunks)
                .map(|_| next_matrix(QUOTIENT)?.next().ok_or(short))
                .collect::<Result<_, _>>()?;
            let preprocessed = match shape.preprocessed {
                Some(batch) if air.pre_width > 0 => {
                    let mut pre = next_matrix(batch)?;
                    Some(PreprocessedOpenedValues {
                        local: pre.next().ok_or(short)?,
                        next: pre.next(),
                    })
                }
                _ => None,
            };
            let (permutation_local, permutation_next) = match shape.permutation {
                Some(batch) if air.num_lookups > 0 => {
                    let mut permutation = next_matrix(batch)?;
                    (permutation.next().ok_or(short)?, permutation.next().ok_or(short)?)
                }
                _ => (vec![], vec![]),
            };
            Ok(OpenedValuesWithLookups {
                base_opened_values: OpenedValues {
                    trace_local: main.next().ok_or(short)?,
                    trace_next: main.next(),
                    preprocessed,
                    quotient_chunks,
                    random: None,
                },
                permutation_local,
                permutation_next,
            })
        })
        .collect()
}

type Openings = (
    Vec<BatchMultiOpening<F, ValMmcs>>,
    Vec<CommitPhaseMultiStep<EF, crate::config::ChallengeMmcs>>,
);

fn decode_queries(
    shape: &Shape,
    counts: &[usize],
    r: &mut Reader<'_>,
) -> Result<Openings, CodecError> {
    let mut rows: Vec<Vec<Vec<Vec<F>>>> = vec![vec![]; shape.batches.len()];
    let mut siblings: Vec<Vec<Vec<EF>>> = vec![vec![]; shape.log_arities.len()];
    for _ in 0..shape.params.num_queries {
        for (batch, rows) in shape.batches.iter().zip(&mut rows) {
            let mut row = vec![vec![]; batch.matrices.len()];
            for class in batch.classes() {
                for (matrix, MatrixShape { width, .. }) in batch.of_class(class) {
                    row[matrix] = r.bases(*width)?;
                }
            }
            rows.push(row);
        }
        for (&log_arity, siblings) in shape.log_arities.iter().zip(&mut siblings) {
            siblings.push(r.exts((1 << log_arity) - 1)?);
        }
    }
    let (input_counts, fold_counts) = counts.split_at(shape.batches.len());
    let inputs = rows
        .into_iter()
        .zip(input_counts)
        .map(|(opened_values, &n)| {
            Ok(BatchMultiOpening { opened_values, opening_proof: r.digests(n)? })
        })
        .collect::<Result<_, CodecError>>()?;
    let folds = siblings
        .into_iter()
        .zip(fold_counts)
        .map(|(sibling_values, &n)| {
            Ok(CommitPhaseMultiStep { sibling_values, opening_proof: r.digests(n)? })
        })
        .collect::<Result<_, CodecError>>()?;
    Ok((inputs, folds))
}

/// Where the values of a point of a matrix start, for tests that aim at a part of a proof.
pub fn opened_offset(shape: &Shape, batch: usize, matrix: usize, point: Point) -> Option<usize> {
    let points = &shape.batches.get(batch)?.matrices.get(matrix)?.points;
    let (_, first) = points.iter().find(|(p, _)| *p == point)?;
    Some(Layout::new(shape).opened + first * EXT_BYTES)
}
