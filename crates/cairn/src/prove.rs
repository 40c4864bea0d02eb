//! `cairn prove`, `cairn verify` and `cairn witness`: a batch's validity proof made and checked by hand.

use std::{
    error::Error,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use cairn_aggregator::{Aggregator, MAX_BATCHES, Verifier};
use cairn_prover::{
    run::RunError,
    trace::ShardLimits,
    verify::{self, ExecutionProof, MAX_PROOF_BYTES},
    work::{Job, Progress, write_whole},
};
use cairn_stf::batch::BatchWitness;
use cairn_vm::{Input, Machine, Profiler};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::{
    cli::{ProveArgs, VerifyArgs, WitnessArgs},
    files,
    final_file::{self, FinalFile},
    guest, prover_role,
    report::Report,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Largest witness file that is read.
const MAX_WITNESS_BYTES: u64 = 512 << 20;

/// Runs `cairn prove`.
pub fn prove(args: ProveArgs) -> Outcome<ExitCode> {
    let [first, more @ ..] = args.batches.as_slice() else { return Err("no batch".into()) };
    if args.profile {
        return profile(&files::read(first, MAX_WITNESS_BYTES)?);
    }
    if !args.last && !more.is_empty() {
        return Err("several batches share a proof only with --final".into());
    }
    if args.batches.len() > MAX_BATCHES {
        return Err(format!("at most {MAX_BATCHES} batches share a proof").into());
    }
    if args.work_dir.is_some() && !more.is_empty() {
        return Err(
            "--work-dir is for one batch; several have folders beside their witnesses".into()
        );
    }
    let mut report = Report::new(args.json);
    if args.last {
        prove_final(&args, &mut report)
    } else {
        prove_shards(&args, first, &mut report)
    }
}

/// The proofs of one batch's shards.
fn prove_shards(args: &ProveArgs, batch: &Path, report: &mut Report) -> Outcome<ExitCode> {
    let started = Instant::now();
    let Some(made) = shards(args, batch, report)? else {
        report.summary(json!({ "ok": true, "complete": false }));
        say!("another process is still at work on the remaining shards");
        return Ok(ExitCode::SUCCESS);
    };
    let (proof, expected) = (made.proof, made.public_input);
    let bytes = verify::encode(&proof)?;
    let out = args.out.clone().unwrap_or_else(|| batch.with_extension("proof"));
    write_whole(&out, &bytes)?;
    let summary = json!({
        "ok": true, "complete": true, "proof": out, "bytes": bytes.len(), "shards": proof.shards.len(),
        "cycles": made.cycles, "program_id": guest::program_id(), "public_input": expected,
        "seconds": started.elapsed().as_secs_f64(), "peak_rss_mib": cairn_prover::bench::peak_rss_mib(),
    });
    let words = format!(
        "proof of {} bytes in {}\n            cairn verify --proof {} --public-input {expected}",
        bytes.len(),
        out.display(),
        out.display()
    );
    report.event("proven", summary.clone(), &words);
    report.summary(summary);
    Ok(ExitCode::SUCCESS)
}

/// The proofs of a batch's shards, verified.
struct Shards {
    proof: ExecutionProof,
    public_input: B256,
    cycles: u64,
}

/// Proves a batch's shards; `None` when another process has some of them in work.
fn shards(args: &ProveArgs, batch: &Path, report: &mut Report) -> Outcome<Option<Shards>> {
    let witness = files::read(batch, MAX_WITNESS_BYTES)?;
    // Natively first: a witness that lies is refused here with its reason, where the guest could only trap.
    report.wait("executing the batch natively");
    let public_input = cairn_stf::prove_batch(&witness)
        .map_err(|e| format!("{} is no valid batch: {e}", batch.display()))?;
    check_program(&witness)?;
    report.wait("executing the batch in the virtual machine");
    let dir = work_dir(args, batch);
    let limits = if args.last { ShardLimits::recursion() } else { ShardLimits::default() };
    let mut job = Job::open(&dir, guest::program()?, &witness, limits, guest::MAX_CYCLES)?;
    let progress = job.progress();
    let fields = json!({
        "cycles": progress.cycles, "shards": progress.total, "done": progress.done, "work_dir": dir,
    });
    let words = format!(
        "{} cycles in {} shards, {} of them proven before",
        progress.cycles, progress.total, progress.done
    );
    report.event("executed", fields, &words);
    work(&mut job, args.json)?;
    let proof = match job.finish() {
        Err(cairn_prover::work::WorkError::Missing(_)) => return Ok(None),
        proof => proof?,
    };
    // What leaves this command has been verified.
    verify::verify(&guest::program_id(), &public_input, &proof)?;
    Ok(Some(Shards { proof, public_input, cycles: progress.cycles }))
}

fn work_dir(args: &ProveArgs, batch: &Path) -> PathBuf {
    args.work_dir.clone().unwrap_or_else(|| batch.with_extension("work"))
}

/// The one proof that L1 verifies, of one batch or several.
fn prove_final(args: &ProveArgs, report: &mut Report) -> Outcome<ExitCode> {
    let started = Instant::now();
    let mut all = Vec::new();
    for batch in &args.batches {
        let made = shards(args, batch, report)?;
        all.push(
            made.ok_or("another process is at work on some shards; start again when it ends")?,
        );
    }
    let base = started.elapsed();
    let first = all.first().ok_or("no batch")?;
    let aggregator = Aggregator::open(&first.proof.vk)?;
    let recursion = Instant::now();
    let mut joined = Vec::new();
    for (batch, made) in args.batches.iter().zip(&all) {
        let dir = work_dir(args, batch).join("joining");
        std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let proof = aggregator.wrap_batch(&made.proof, Some(&dir), &mut |done, steps| {
            report.wait(&format!("{}: {done} of {steps} steps joined", batch.display()));
        })?;
        joined.push(proof);
    }
    report.wait("the final proof");
    let made = aggregator.finish(&joined)?;
    let cycles: u64 = all.iter().map(|s| s.cycles).sum();
    let inputs: Vec<B256> = all.iter().map(|s| s.public_input).collect();
    let file = FinalFile { public_inputs: inputs.clone(), proof: made.bytes.into() };
    let out = match &args.out {
        Some(out) => out.clone(),
        None => args.batches[0].with_extension("final"),
    };
    write_whole(&out, &file.encode())?;
    let summary = json!({
        "ok": true, "complete": true, "proof": out, "proof_bytes": file.proof.len(), "cycles": cycles,
        "program_id": guest::program_id(), "public_inputs": inputs, "base_seconds": base.as_secs_f64(),
        "recursion_seconds": recursion.elapsed().as_secs_f64(), "seconds": started.elapsed().as_secs_f64(),
        "proven_bits": prover_role::proven_bits(aggregator.verifier()), "peak_rss_mib": cairn_prover::bench::peak_rss_mib(),
    });
    let shown: Vec<String> = inputs.iter().map(|i| format!(" --public-input {i}")).collect();
    let words = format!(
        "proof of {} bytes for L1 in {}\n            cairn verify --final --proof {}{}",
        file.proof.len(),
        out.display(),
        out.display(),
        shown.concat()
    );
    report.event("proven", summary.clone(), &words);
    report.summary(summary);
    Ok(ExitCode::SUCCESS)
}

/// Proves what is left, with a bar for people.
fn work(job: &mut Job, quiet: bool) -> Outcome<()> {
    let bar =
        if quiet { ProgressBar::hidden() } else { ProgressBar::new(job.progress().total as u64) };
    if let Ok(style) =
        ProgressStyle::with_template("  {elapsed:>8}  {bar:40} {pos}/{len} shards  {msg}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    job.work(|p: &Progress| {
        bar.set_position(p.done as u64);
        if !p.left.is_zero() {
            bar.set_message(format!("about {} s left", p.left.as_secs()));
        }
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    Ok(())
}

/// The guest would commit to the program id that the witness names; a proof with another id would be of no use to anyone.
fn check_program(witness: &[u8]) -> Outcome<()> {
    let named = BatchWitness::decode(witness)?.input.guest_program_id;
    let ours = guest::program_id();
    if named != ours {
        return Err(
            format!("the batch is for guest program {named}; this program proves {ours}").into()
        );
    }
    Ok(())
}

/// `cairn prove --profile`: where the guest's cycles go.
fn profile(witness: &[u8]) -> Outcome<ExitCode> {
    let program = guest::program()?;
    let mut profiler = Profiler::new(&program.image);
    let mut machine = Machine::new(&program.image, Input::from_bytes(witness)?);
    machine.run(&mut profiler, guest::MAX_CYCLES).map_err(RunError::from)?;
    say!("{}", profiler.finish());
    Ok(ExitCode::SUCCESS)
}

/// Runs `cairn verify`: reads the proof, the program id and the public inputs, nothing else.
pub fn verify(args: VerifyArgs) -> Outcome<ExitCode> {
    let started = Instant::now();
    let program_id = args.program_id.unwrap_or_else(guest::program_id);
    let verdict = if args.last {
        verify_final(&args, program_id)?
    } else {
        verify_shards(&args, program_id)?
    };
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        let reason = verdict.as_ref().err();
        let words = verdict.as_ref().ok();
        say!(
            "{}",
            json!({ "valid": verdict.is_ok(), "reason": reason, "proof": words, "seconds": seconds })
        );
        return Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let words = verdict?;
    let inputs: Vec<String> = args.public_inputs.iter().map(ToString::to_string).collect();
    say!(
        "valid: program {program_id} committed {} and halted ({words}, {seconds:.2} s)",
        inputs.join(", ")
    );
    Ok(ExitCode::SUCCESS)
}

/// The verdict on proofs of shards: in words what was verified, or why not.
fn verify_shards(args: &VerifyArgs, program_id: B256) -> Outcome<Result<String, String>> {
    let [public_input] = args.public_inputs.as_slice() else {
        return Err("a proof of shards is of one batch".into());
    };
    let bytes = files::read(&args.proof, MAX_PROOF_BYTES as u64)?;
    let proof: ExecutionProof = verify::decode(&bytes, MAX_PROOF_BYTES)?;
    let verdict = verify::verify(&program_id, public_input, &proof);
    Ok(verdict.map(|()| format!("{} shards", proof.shards.len())).map_err(|e| e.to_string()))
}

/// The verdict of the contract's native twin.
fn verify_final(args: &VerifyArgs, program_id: B256) -> Outcome<Result<String, String>> {
    let file = FinalFile::decode(&files::read(&args.proof, final_file::MAX_BYTES)?)
        .map_err(|e| format!("{}: {e}", args.proof.display()))?;
    let verifier = Verifier::shipped(program_id)?;
    // What the file claims is of no interest: the caller says what must be proven.
    let verdict = verifier.verify(&args.public_inputs, &file.proof);
    let (bytes, batches) = (file.proof.len(), args.public_inputs.len());
    let words = || format!("{bytes} bytes, {batches} batches, key {}", verifier.vk().digest());
    Ok(verdict.map(|()| words()).map_err(|e| e.to_string()))
}

/// Runs `cairn witness`: a sealed batch's witness from a data directory whose node is stopped.
pub fn witness(args: WitnessArgs) -> Outcome<ExitCode> {
    let storage = crate::node::open_stopped(&args.data_dir)?;
    let witness = storage.batch_witness(args.number)?.ok_or_else(|| {
        format!(
            "batch {} is not sealed yet, or its witness was dropped after it was final",
            args.number
        )
    })?;
    write_whole(&args.out, &witness)?;
    say!("witness of batch {}: {} bytes in {}", args.number, witness.len(), args.out.display());
    Ok(ExitCode::SUCCESS)
}
