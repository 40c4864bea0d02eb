//! The compiled contracts that are committed under `contracts/artifacts`.

use std::{collections::HashMap, sync::OnceLock};

use alloy_primitives::{Bytes, keccak256};
use serde::Deserialize;
use thiserror::Error;

/// A compiled contract.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// JSON ABI.
    pub abi: serde_json::Value,
    /// Init code, without constructor arguments.
    pub bytecode: Bytes,
    /// Code as it stands on chain.
    pub deployed_bytecode: Bytes,
}

/// An artifact that is not in the binary.
#[derive(Debug, Error)]
#[error(
    "contract artifact `{0}` is missing or damaged; run `cargo xtask contracts build` and build again"
)]
pub struct MissingArtifact(pub String);

/// The artifact of a contract, by its name.
///
/// # Errors
/// [`MissingArtifact`] when the binary was built without it.
pub fn artifact(name: &str) -> Result<&'static Artifact, MissingArtifact> {
    all().get(name).ok_or_else(|| MissingArtifact(name.to_owned()))
}

/// Names of all artifacts that the binary has.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().keys().map(String::as_str)
}

/// Any other JSON file that is committed beside the artifacts.
///
/// # Errors
/// [`MissingArtifact`] when the binary was built without it.
pub fn text(name: &str) -> Result<&'static str, MissingArtifact> {
    let found = ARTIFACT_FILES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
    found.ok_or_else(|| MissingArtifact(name.to_owned()))
}

/// Signature of one of our contracts' custom errors.
pub fn error_name(selector: [u8; 4]) -> Option<&'static str> {
    static NAMES: OnceLock<HashMap<[u8; 4], String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| error_names().map(|s| (selector_of(&s), s)).collect());
    names.get(&selector).map(String::as_str)
}

/// Signatures of our contracts' custom errors, some of them several times.
pub fn error_names() -> impl Iterator<Item = String> {
    all().values().flat_map(|a| error_signatures(&a.abi))
}

fn all() -> &'static HashMap<String, Artifact> {
    static ALL: OnceLock<HashMap<String, Artifact>> = OnceLock::new();
    ALL.get_or_init(|| {
        ARTIFACT_FILES
            .iter()
            .filter_map(|(name, text)| {
                serde_json::from_str(text).ok().map(|a| ((*name).to_owned(), a))
            })
            .collect()
    })
}

include!(concat!(env!("OUT_DIR"), "/artifacts.rs"));

fn selector_of(signature: &str) -> [u8; 4] {
    let hash = keccak256(signature);
    [hash[0], hash[1], hash[2], hash[3]]
}

fn error_signatures(abi: &serde_json::Value) -> Vec<String> {
    let entries = abi.as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .filter(|e| e["type"] == "error")
        .filter_map(|e| {
            let inputs = e["inputs"].as_array()?;
            let types: Option<Vec<String>> = inputs.iter().map(abi_type).collect();
            Some(format!("{}({})", e["name"].as_str()?, types?.join(",")))
        })
        .collect()
}

/// Canonical type of an ABI parameter, tuples spelled out.
fn abi_type(input: &serde_json::Value) -> Option<String> {
    let ty = input["type"].as_str()?;
    let Some(suffix) = ty.strip_prefix("tuple") else { return Some(ty.to_owned()) };
    let parts: Option<Vec<String>> = input["components"].as_array()?.iter().map(abi_type).collect();
    Some(format!("({}){suffix}", parts?.join(",")))
}
