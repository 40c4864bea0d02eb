//! `cairn prove`, `cairn verify` and `cairn witness`: a batch's validity proof made and checked by hand.

use std::{
    error::Error,
    fs,
    io::Read,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
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
    guest,
    report::Report,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Largest witness file that is read.
const MAX_WITNESS_BYTES: u64 = 512 << 20;

/// Runs `cairn prove`.
pub fn prove(args: ProveArgs) -> Outcome<ExitCode> {
    let witness = read(&args.batch, MAX_WITNESS_BYTES)?;
    if args.profile {
        return profile(&witness);
    }
    let mut report = Report::new(args.json);
    // Natively first: a witness that lies is refused here with its reason, where the guest could only trap.
    report.wait("executing the batch natively");
    let expected = cairn_stf::prove_batch(&witness)
        .map_err(|e| format!("{} is no valid batch: {e}", args.batch.display()))?;
    check_program(&witness)?;
    report.wait("executing the batch in the virtual machine");
    let dir = args.work_dir.clone().unwrap_or_else(|| args.batch.with_extension("work"));
    let limits = ShardLimits::default();
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
    let started = Instant::now();
    work(&mut job, args.json)?;
    let proof = match job.finish() {
        Err(cairn_prover::work::WorkError::Missing(_)) => {
            report.summary(json!({ "ok": true, "complete": false }));
            say!("another process is still at work on the remaining shards");
            return Ok(ExitCode::SUCCESS);
        }
        proof => proof?,
    };
    // What leaves this command has been verified.
    let program_id = B256::from(proof.vk.program_id());
    verify::verify(&program_id, &expected, &proof)?;
    let bytes = verify::encode(&proof)?;
    let out = args.out.clone().unwrap_or_else(|| args.batch.with_extension("proof"));
    write_whole(&out, &bytes)?;
    let summary = json!({
        "ok": true, "complete": true, "proof": out, "bytes": bytes.len(), "shards": proof.shards.len(),
        "cycles": progress.cycles, "program_id": program_id, "public_input": expected,
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

/// Runs `cairn verify`: reads the proof, the program id and the public input, nothing else.
pub fn verify(args: VerifyArgs) -> Outcome<ExitCode> {
    let bytes = read(&args.proof, MAX_PROOF_BYTES as u64)?;
    let started = Instant::now();
    let proof: ExecutionProof = verify::decode(&bytes, MAX_PROOF_BYTES)?;
    let program_id = args.program_id.unwrap_or_else(guest::program_id);
    let verdict = verify::verify(&program_id, &args.public_input, &proof);
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        let reason = verdict.as_ref().err().map(ToString::to_string);
        say!(
            "{}",
            json!({ "valid": verdict.is_ok(), "reason": reason, "shards": proof.shards.len(), "seconds": seconds })
        );
        return Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    verdict?;
    say!(
        "valid: program {program_id} committed {} and halted ({} shards, {seconds:.2} s)",
        args.public_input,
        proof.shards.len()
    );
    Ok(ExitCode::SUCCESS)
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

/// A file of bounded size.
fn read(path: &Path, limit: u64) -> Outcome<Vec<u8>> {
    let shown = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(shown)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(shown)?;
    if bytes.len() as u64 > limit {
        return Err(
            format!("{} is larger than {limit} bytes", PathBuf::from(path).display()).into()
        );
    }
    Ok(bytes)
}
