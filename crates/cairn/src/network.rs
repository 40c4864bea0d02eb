//! What a data directory knows of its network: the contracts on L1 and the chain's identity. Written once, when everything in it exists.

use std::{fmt, fs, io, path::Path};

use alloy_primitives::Address;
use cairn_primitives::{ChainConfig, FeeParams, da::DaMode};
use cairn_settlement::{
    deploy::{ChainDeployment, Ecosystem},
    verifier::VerifierKind,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::base_token::{BaseToken, Choice};

/// Version of the file's format.
const VERSION: u32 = 2;
/// The file's name in the data directory.
const FILE: &str = "network.json";

/// How a rollup's pubdata reaches L1: chosen when its network is created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Da {
    /// In blobs (EIP-4844): cheaper, kept by beacon nodes for some weeks.
    #[default]
    Blobs,
    /// In the calldata of the commits: dearer, a part of L1's own history.
    Calldata,
}

impl Da {
    /// The same in a batch's terms.
    pub fn mode(self) -> DaMode {
        match self {
            Self::Blobs => DaMode::Blobs,
            Self::Calldata => DaMode::Calldata,
        }
    }
}

impl fmt::Display for Da {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blobs => "blobs",
            Self::Calldata => "calldata",
        })
    }
}

/// A network's contracts and identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Format of this record.
    pub version: u32,
    /// Shared contracts.
    pub ecosystem: Ecosystem,
    /// The chain's contract.
    pub chain: ChainDeployment,
    /// The chain's identity.
    pub config: ChainConfig,
    /// Prices at creation.
    pub fee_params: FeeParams,
    /// Timestamp of block 0.
    pub genesis_timestamp: u64,
    /// Attesters (where the chain has any) registered beside the network's own.
    #[serde(default)]
    pub attesters: Vec<Address>,
    /// Attestations that a batch needs.
    #[serde(default = "one")]
    pub attestations: usize,
    /// How pubdata reaches L1. Records without it are of networks that use blobs.
    #[serde(default)]
    pub da: Da,
    /// In what fees are paid. Records without it are of networks that use ETH.
    #[serde(default)]
    pub base_token: BaseToken,
}

const fn one() -> usize {
    1
}

/// Why the record cannot be read or written.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// The file system.
    #[error("{path}: {error}")]
    Io {
        /// Which file.
        path: String,
        /// What happened.
        error: io::Error,
    },
    /// Not ours, or damaged.
    #[error("{path} is not a network record ({error}); use another --data-dir or remove this one")]
    Format {
        /// Which file.
        path: String,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// Of another version.
    #[error(
        "{path} has version {found}, this program reads version {VERSION}; use another --data-dir"
    )]
    Version {
        /// Which file.
        path: String,
        /// Version found.
        found: u32,
    },
    /// The options name another chain than the directory holds.
    #[error(
        "the data directory is of chain {found}, not {asked}; use another --data-dir or --chain-id {found}"
    )]
    OtherChain {
        /// In the directory.
        found: u64,
        /// Asked for.
        asked: u64,
    },
    /// The options name another verifier than the chain has.
    #[error(
        "the chain's batches are final by `{found}`, not `{asked}`; use another --data-dir or --verifier {found}"
    )]
    OtherVerifier {
        /// The chain's.
        found: VerifierKind,
        /// Asked for.
        asked: VerifierKind,
    },
    /// The options name another way of the pubdata than the chain has.
    #[error(
        "the chain's pubdata goes to L1 in {found}, not in {asked}; use another --data-dir or --da {found}"
    )]
    OtherDa {
        /// The chain's.
        found: Da,
        /// Asked for.
        asked: Da,
    },
    /// The options name another base token than the chain has.
    #[error(
        "the chain's base token is {symbol} ({found}); use another --data-dir or --base-token {found}"
    )]
    OtherBaseToken {
        /// The chain's, on L1.
        found: Address,
        /// Its symbol.
        symbol: String,
    },
}

impl Network {
    /// A record of the present version.
    pub fn new(
        ecosystem: Ecosystem,
        chain: ChainDeployment,
        config: ChainConfig,
        fee_params: FeeParams,
        genesis_timestamp: u64,
    ) -> Self {
        let (attesters, attestations) = (Vec::new(), one());
        Self {
            version: VERSION,
            ecosystem,
            chain,
            config,
            fee_params,
            genesis_timestamp,
            attesters,
            attestations,
            da: Da::default(),
            base_token: BaseToken::default(),
        }
    }

    /// Reads the record; `None` when the directory has none yet.
    ///
    /// # Errors
    /// [`NetworkError`] for anything but an absent file.
    pub fn load(dir: &Path) -> Result<Option<Self>, NetworkError> {
        let path = dir.join(FILE);
        let shown = path.display().to_string();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(NetworkError::Io { path: shown, error }),
        };
        let network: Self = serde_json::from_str(&text)
            .map_err(|error| NetworkError::Format { path: shown.clone(), error })?;
        if network.version != VERSION {
            return Err(NetworkError::Version { path: shown, found: network.version });
        }
        Ok(Some(network))
    }

    /// Writes the record whole or not at all.
    ///
    /// # Errors
    /// [`NetworkError::Io`].
    pub fn store(&self, dir: &Path) -> Result<(), NetworkError> {
        let path = dir.join(FILE);
        let io = |error| NetworkError::Io { path: path.display().to_string(), error };
        let draft = dir.join(format!("{FILE}.draft"));
        let text = serde_json::to_string_pretty(self).map_err(|e| io(e.into()))?;
        let file = fs::File::create(&draft).map_err(io)?;
        io::Write::write_all(&mut &file, text.as_bytes()).map_err(io)?;
        file.sync_all().map_err(io)?;
        fs::rename(&draft, &path).map_err(io)?;
        fs::File::open(dir).and_then(|d| d.sync_all()).map_err(io)
    }

    /// Refuses options that name another chain.
    ///
    /// # Errors
    /// [`NetworkError::OtherChain`].
    pub fn check_chain_id(&self, asked: u64) -> Result<(), NetworkError> {
        let found = self.config.chain_id;
        if found == asked { Ok(()) } else { Err(NetworkError::OtherChain { found, asked }) }
    }

    /// Refuses options that name another verifier.
    ///
    /// # Errors
    /// [`NetworkError::OtherVerifier`].
    pub fn check_verifier(&self, asked: Option<VerifierKind>) -> Result<(), NetworkError> {
        let found = self.chain.verifiers.kind;
        match asked {
            Some(asked) if asked != found => Err(NetworkError::OtherVerifier { found, asked }),
            _ => Ok(()),
        }
    }

    /// Refuses options that name another way of the pubdata.
    ///
    /// # Errors
    /// [`NetworkError::OtherDa`].
    pub fn check_da(&self, asked: Option<Da>) -> Result<(), NetworkError> {
        let found = self.da;
        match asked {
            Some(asked) if asked != found => Err(NetworkError::OtherDa { found, asked }),
            _ => Ok(()),
        }
    }

    /// Refuses options that name another base token.
    ///
    /// # Errors
    /// [`NetworkError::OtherBaseToken`].
    pub fn check_base_token(&self, asked: Option<Choice>) -> Result<(), NetworkError> {
        let BaseToken { address: found, symbol, .. } = self.base_token.clone();
        match asked {
            Some(asked) if !self.base_token.is(asked) => {
                Err(NetworkError::OtherBaseToken { found, symbol })
            }
            _ => Ok(()),
        }
    }
}
