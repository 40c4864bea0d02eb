//! `cairn verifier`: what the contract that verifies proofs is made of, from the circuits' own description, and a proof for its tests.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use cairn_aggregator::{Circuits, Settings, Verifier};
use cairn_prover::{shard::ProvingKey, work::write_whole};
use cairn_settlement::verifier::ProofKey;

use alloy_primitives::hex;
use serde_json::json;

use crate::{
    cli::{GenerateArgs, VectorArgs},
    files,
    final_file::{self, FinalFile},
    guest,
};

/// The circuits' digests as data: what this program ships.
const DATA: &str = "crates/aggregator/circuits.json";
/// The key as Solidity: what the contracts' tests deploy.
const SOLIDITY: &str = "contracts/src/l1/verifier/FinalKeyData.sol";

/// Runs `cairn verifier generate`.
pub fn generate(args: &GenerateArgs) -> Result<ExitCode, Box<dyn Error>> {
    let started = Instant::now();
    let mut stale = Vec::new();
    for (name, text) in generated(args.shipped)? {
        let path = args.root.join(name);
        if !args.check {
            write(&path, &text)?;
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            stale.push(path);
        }
    }
    let seconds = started.elapsed().as_secs();
    if let [first, ..] = stale.as_slice() {
        let words = format!(
            "{} is not what the circuits say; run `cairn verifier generate`, build, and commit",
            first.display()
        );
        return Err(words.into());
    }
    let did = if args.check { "compared" } else { "written" };
    say!("{DATA} and {SOLIDITY} {did} ({seconds} s)");
    Ok(ExitCode::SUCCESS)
}

/// Runs `cairn verifier vector`.
pub fn vector(args: &VectorArgs) -> Result<ExitCode, Box<dyn Error>> {
    let file = FinalFile::decode(&files::read(&args.proof, final_file::MAX_BYTES)?)
        .map_err(|e| format!("{}: {e}", args.proof.display()))?;
    let verifier = Verifier::shipped(guest::program_id())?;
    verifier.verify(&file.public_inputs, &file.proof)?;
    let key = shipped_key()?;
    let part = |i: usize| key.data_code.get(i).map_or_else(String::new, hex::encode);
    let vector = json!({
        "program_id": key.program_id, "key_digest": key.digest, "public_inputs": file.public_inputs,
        "data0": format!("0x{}", part(0)), "data1": format!("0x{}", part(1)), "proof": file.proof,
    });
    write(&args.out, &format!("{vector:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// What a verifier of proofs is deployed from: the key that this program was shipped with.
///
/// # Errors
/// When the program was built with a damaged file.
pub fn shipped_key() -> Result<ProofKey, Box<dyn Error>> {
    let data = Verifier::shipped(guest::program_id())?.data()?;
    let (digest, program_id) = (data.key_digest, data.program_id);
    Ok(ProofKey { digest, program_id, data_code: data.data_code })
}

/// The files with their texts.
fn generated(shipped: bool) -> Result<[(&'static str, String); 2], Box<dyn Error>> {
    let program = ProvingKey::new(guest::program()?)?.vk;
    let settings = Settings::real(program.log_program);
    let circuits = if shipped {
        Circuits::shipped()?
    } else {
        say!("computing all circuits and their keys");
        Circuits::build(&settings)?
    };
    let json = circuits.to_json()?;
    let data = Verifier::new(program.program_id().into(), settings, circuits)?.data()?;
    say!("key {} for program {}", data.key_digest, data.program_id);
    Ok([(DATA, json), (SOLIDITY, data.solidity)])
}

fn write(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    if !path.parent().is_some_and(Path::is_dir) {
        let words =
            format!("{} has no folder; is --root the folder of the sources?", path.display());
        return Err(words.into());
    }
    Ok(write_whole(&PathBuf::from(path), text.as_bytes())?)
}
