//! One shard: its statement, its traces, its proof and the verifier of that proof.

use crate::bus::{AccelCall, EF, F};
use crate::check::Instance;
use crate::chips::Chip;
use crate::config::{Commitment, Config, InnerProof, PARAMS, Params, config};
use crate::counts::Counts;
use crate::generate;
use crate::memory::{Digest, MemoryTree, Node, canonical, permutation};
use crate::program::Program;
use crate::shape::{ShapeError, ShardShape, table_log_height};
use crate::stark::{self, CommittedData};
use crate::trace::ShardRecord;
use p3_air::BaseAir;
use p3_batch_stark::common::{GlobalPreprocessed, PreprocessedInstanceMeta};
use p3_batch_stark::{CommonData, verify_batch};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_lookup::{LogUpGadget, Lookups};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_symmetric::{CryptographicHasher, PaddingFreeSponge};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

/// Version of the machine and of the proof format; part of every program id.
pub const VERSION: u32 = 1;
/// Largest log2 height of any trace.
pub const MAX_LOG_HEIGHT: usize = 21;
/// log2 of the most bus messages of a shard, over all chips and rows.
pub const LOG_MAX_MESSAGES: usize = 28;
/// Largest sum of the heights of the instruction chips: keeps every timestamp below 2^26.
pub const MAX_CYCLE_ROWS: usize = 1 << 22;

/// What a shard proof says: the machine goes from one state to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStatement {
    /// Program counters at the start and at the end.
    pub pc: [u32; 2],
    /// Memory roots at the start and at the end.
    pub root: [Digest; 2],
    /// The public input, if this shard commits it.
    pub committed: Option<[u32; 8]>,
}

impl ShardStatement {
    /// The public values: `pc[0], pc[1], root[0][8], root[1][8], has commitment, 16 limbs`.
    pub fn public_values(&self) -> Vec<F> {
        let words = self.committed.unwrap_or_default();
        let mut values = vec![F::from_u32(self.pc[0]), F::from_u32(self.pc[1])];
        values.extend(self.root[0].iter().chain(&self.root[1]));
        values.push(F::from_bool(self.committed.is_some()));
        values.extend(words.iter().flat_map(|&w| crate::bus::limbs(w)));
        values
    }
}

/// What a verifier must know of a program. The program id is its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyingKey {
    /// log2 of the program table's height.
    pub log_program: u8,
    /// Commitment to the program table and the fixed tables.
    pub tables: Digest,
    /// Memory root before the first instruction.
    pub initial_root: Digest,
    /// Where execution starts.
    pub entry: u32,
}

impl VerifyingKey {
    /// The elements that the program id and every transcript bind: version, parameters, the whole chip set, and the key itself.
    pub fn elements(&self) -> Vec<F> {
        let mut elements = vec![F::from_u32(VERSION)];
        elements.extend(PARAMS.elements());
        for chip in Chip::all(None) {
            let name = chip.name().as_bytes();
            elements.push(F::from_usize(name.len()));
            elements.extend(name.iter().map(|&b| F::from_u8(b)));
            elements
                .extend([BaseAir::<F>::width(&chip), chip.preprocessed_width()].map(F::from_usize));
        }
        elements.extend([F::from_u8(self.log_program), F::from_u32(self.entry)]);
        elements.extend(self.tables.iter().chain(&self.initial_root));
        elements
    }

    /// The digest of the key.
    pub fn digest(&self) -> Digest {
        let elements = self.elements();
        let length = F::from_usize(elements.len());
        let sponge = PaddingFreeSponge::<_, 16, 8, 8>::new(permutation().clone());
        sponge.hash_iter(core::iter::once(length).chain(elements))
    }

    /// The program id: the digest's canonical elements, big-endian.
    pub fn program_id(&self) -> [u8; 32] {
        let words: [u32; 8] = canonical(&self.digest());
        let mut id = [0; 32];
        id.chunks_exact_mut(4)
            .zip(words)
            .for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_be_bytes()));
        id
    }
}

/// A proof of one shard.
#[derive(Serialize, Deserialize)]
pub struct ShardProof {
    /// What it proves.
    pub statement: ShardStatement,
    /// Which chips are in it: bit `i` is chip `i` of [`Chip::all`].
    pub chips: u64,
    /// The STARK proof.
    pub proof: InnerProof,
}

/// Why a shard cannot be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The prover failed.
    #[error("the STARK prover failed: {0}")]
    Stark(String),
    /// The shard cannot be padded.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A trace is higher than the verifier allows.
    #[error("the {chip} trace has 2^{log_height} rows, at most 2^{MAX_LOG_HEIGHT} are possible")]
    TooHigh {
        /// The chip.
        chip: &'static str,
        /// Its height.
        log_height: usize,
    },
}

/// Why a shard proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The statement is not well formed.
    #[error("malformed shard statement: {0}")]
    Statement(&'static str),
    /// No proof has this shape.
    #[error("malformed proof: {0}")]
    Shape(#[from] ShapeError),
    /// The STARK verifier refuses it.
    #[error("the STARK verifier refuses the proof: {0}")]
    Stark(String),
    /// The STARK verifier panicked on it.
    #[error("the STARK verifier cannot process the proof")]
    Panic,
}

/// The lookups of a chip, two to a column where they are on one bus. Made once a process: it takes a symbolic evaluation.
pub fn lookups(chip: &Chip) -> Lookups<F> {
    static ALL: LazyLock<HashMap<&'static str, Lookups<F>>> = LazyLock::new(|| {
        let make =
            |chip: &Chip| Lookups::from_air::<EF, _>(chip).pack_same_bus(&LogUpGadget::new(), 3);
        Chip::all(None).iter().map(|chip| (chip.name(), make(chip))).collect()
    });
    // A chip without its lookups would be on no bus at all.
    ALL.get(chip.name()).unwrap_or_else(|| panic!("no chip is named {}", chip.name())).clone()
}

/// Seed of a shard's transcript: the key's digest, the chip set, and how many chips there are.
pub fn transcript_seed(key: &Digest, chips: u64) -> Vec<F> {
    let mut seed = key.to_vec();
    seed.extend(
        [chips & 0xff_ffff, chips >> 24 & 0xff_ffff, chips >> 48].map(|x| F::from_u32(x as u32)),
    );
    seed
}

/// What both sides derive from the chips present and the key.
fn common_data(chips: &[Chip], log_program: usize, commitment: Commitment) -> CommonData<Config> {
    let mut matrix_to_instance = Vec::new();
    let instances = chips
        .iter()
        .enumerate()
        .map(|(i, chip)| {
            table_log_height(chip, log_program).map(|degree_bits| {
                matrix_to_instance.push(i);
                PreprocessedInstanceMeta {
                    matrix_index: matrix_to_instance.len() - 1,
                    width: chip.preprocessed_width(),
                    degree_bits,
                }
            })
        })
        .collect();
    let preprocessed = GlobalPreprocessed { commitment, instances, matrix_to_instance };
    CommonData::new(Some(preprocessed), chips.iter().map(lookups).collect())
}

/// Everything needed to prove shards of one program.
pub struct ProvingKey {
    /// The program.
    pub program: Arc<Program>,
    /// The verifier's part.
    pub vk: VerifyingKey,
    /// The initial memory.
    pub initial: MemoryTree,
    params: Params,
    commitment: Commitment,
    tables: CommittedData,
}

impl ProvingKey {
    /// Commits to the program.
    ///
    /// # Errors
    /// When the commitment fails.
    pub fn new(program: Arc<Program>) -> Result<Self, ProveError> {
        Self::with_params(program, PARAMS)
    }

    /// As [`ProvingKey::new`], with parameters of the caller's choice. Only [`PARAMS`] make proofs that [`verify_shard`] accepts.
    ///
    /// # Errors
    /// When the commitment fails.
    pub fn with_params(program: Arc<Program>, params: Params) -> Result<Self, ProveError> {
        let tables = Chip::all(Some(program.clone()));
        let tables = tables.into_iter().filter_map(|chip| chip.preprocessed_trace()).collect();
        let (commitment, tables) = stark::commit_tables(&params, tables)?;
        let mut initial = MemoryTree::new();
        initial.update(&crate::memory::blocks_of(
            program.image.initial_words().map(|(addr, word)| (addr / 4, word)),
        ));
        let vk = VerifyingKey {
            log_program: program.log_rows() as u8,
            tables: commitment.roots()[0],
            initial_root: initial.root(),
            entry: program.image.entry,
        };
        Ok(Self { program, vk, initial, params, commitment, tables })
    }

    /// Proves a shard from its traces.
    ///
    /// # Errors
    /// When a trace is too high or the prover fails.
    pub fn prove(
        &self,
        statement: ShardStatement,
        instances: Vec<Instance>,
    ) -> Result<ShardProof, ProveError> {
        for instance in &instances {
            let log_height = instance.trace.height().ilog2() as usize;
            if log_height > MAX_LOG_HEIGHT {
                return Err(ProveError::TooHigh { chip: instance.chip.name(), log_height });
            }
        }
        let names: Vec<&str> = instances.iter().map(|i| i.chip.name()).collect();
        let chips = (0..)
            .zip(Chip::all(None))
            .filter(|(_, c)| names.contains(&c.name()))
            .fold(0u64, |set, (i, _)| set | 1 << i);
        let seed = transcript_seed(&self.vk.digest(), chips);
        let tables = (&self.commitment, &self.tables);
        // A trace that breaks constraints may make an inner assertion fail.
        let proof =
            catch_unwind(AssertUnwindSafe(|| stark::prove(&self.params, &seed, instances, tables)))
                .map_err(|_| {
                    ProveError::Stark("the traces do not satisfy the constraints".to_owned())
                })??;
        Ok(ShardProof { statement, chips, proof })
    }
}

/// The traces of a shard in the fixed order of chips. `nodes` are the tree nodes above the touched blocks.
pub fn traces(
    program: &Arc<Program>,
    record: &ShardRecord,
    nodes: &[Node],
    statement: &ShardStatement,
) -> Vec<Instance> {
    let mut counts = Counts::new();
    let mut made: Vec<(&'static str, RowMajorMatrix<F>)> = Vec::new();
    let all = Chip::all(Some(program.clone()));
    for (&class, rows) in &record.rows {
        if let Some(chip) = Chip::of_class(class) {
            made.push((chip.name(), generate::instructions(class, rows, program, &mut counts)));
        }
    }
    if !record.ecalls.is_empty() {
        made.push(("ecall", generate::ecalls(&record.ecalls, &mut counts)));
    }
    if !record.gaps.is_empty() {
        made.push(("gap", generate::gaps(&record.gaps, &mut counts)));
    }
    made.push(("boundary", generate::boundary(&record.blocks, &mut counts)));
    made.push(("merkle", generate::merkle(nodes, &mut counts)));
    made.extend(call_traces(&all, &record.calls, &mut counts));
    made.push(("poseidon2", generate::poseidon2(&counts.perms())));
    made.push((
        "range",
        generate::table(
            counts.range_counts().iter().copied(),
            crate::counts::RANGE_ROWS.ilog2() as usize,
        ),
    ));
    made.push(("and", generate::and_table(&counts)));
    let rows = 1usize << program.log_rows();
    made.push((
        "program",
        generate::table((0..rows).map(|i| counts.program_count(i)), program.log_rows()),
    ));
    made.push(("public", generate::public(record.end_ts())));

    all.into_iter()
        .filter_map(|chip| {
            let at = made.iter().position(|(name, _)| *name == chip.name())?;
            let public_values =
                if chip.num_public_values() > 0 { statement.public_values() } else { Vec::new() };
            Some(Instance::new(chip, made.swap_remove(at).1, public_values))
        })
        .collect()
}

/// Traces of the chips that serve ecalls.
fn call_traces(
    all: &[Chip],
    calls: &[AccelCall],
    counts: &mut Counts,
) -> Vec<(&'static str, RowMajorMatrix<F>)> {
    use cairn_accel::ids;
    let mut made = Vec::new();
    let block: Vec<&AccelCall> =
        calls.iter().filter(|c| matches!(c.id, ids::COMMIT | ids::HINT | ids::COPY)).collect();
    if !block.is_empty() {
        made.push(("block", generate::blocks(&block, counts)));
    }
    for chip in all {
        let Chip::Accel(accel) = chip else { continue };
        let mine: Vec<AccelCall> =
            calls.iter().filter(|c| accel.ids().contains(&c.id)).cloned().collect();
        if !mine.is_empty() {
            made.push((accel.name(), accel.generate(&mine, counts)));
        }
    }
    made
}

/// Verifies a shard proof for a program. That the shard is part of a whole execution is [`crate::verify`]'s business.
///
/// # Errors
/// Any reason to refuse it.
pub fn verify_shard(vk: &VerifyingKey, shard: &ShardProof) -> Result<(), ShardError> {
    verify_shard_with(vk, shard, &PARAMS)
}

/// As [`verify_shard`], with other parameters (tests use cheap ones).
///
/// # Errors
/// Any reason to refuse it.
pub fn verify_shard_with(
    vk: &VerifyingKey,
    shard: &ShardProof,
    params: &Params,
) -> Result<(), ShardError> {
    let chips = check_shape(vk, shard)?;
    let config = config(params, &transcript_seed(&vk.digest(), shard.chips));
    let public: Vec<Vec<F>> =
        chips
            .iter()
            .map(|c| {
                if c.num_public_values() > 0 { shard.statement.public_values() } else { Vec::new() }
            })
            .collect();
    // Upstream documents that its verifier may panic on malformed proofs.
    catch_unwind(AssertUnwindSafe(|| {
        let common = common_data(&chips, usize::from(vk.log_program), vec![vk.tables].into());
        verify_batch(&config, &chips, &shard.proof, &public, &common)
    }))
    .map_err(|_| ShardError::Panic)?
    .map_err(|e| ShardError::Stark(format!("{e:?}")))
}

/// Checks everything that can be checked without the STARK verifier, and gives the chips of the proof.
fn check_shape(vk: &VerifyingKey, shard: &ShardProof) -> Result<Vec<Chip>, ShardError> {
    let statement = &shard.statement;
    if statement.pc.iter().any(|&pc| pc >= F::ORDER_U32) {
        return Err(ShardError::Statement("a program counter is no field element"));
    }
    if vk.entry >= F::ORDER_U32 {
        return Err(ShardError::Statement("the entry is no field element"));
    }
    let height = |&bits: &usize| u8::try_from(bits).map_err(|_| ShapeError::Heights);
    let log_heights = shard.proof.degree_bits.iter().map(height).collect::<Result<_, _>>()?;
    let shape = ShardShape { log_program: vk.log_program, chips: shard.chips, log_heights };
    Ok(shape.check()?)
}
