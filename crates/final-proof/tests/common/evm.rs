//! The compiled contract in an EVM.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use cairn_final_proof::FinalAir;
use cairn_final_proof::FinalVk;
use cairn_final_proof::solidity::parts;
use revm::bytecode::Bytecode;
use revm::context::result::ExecutionResult;
use revm::context::{CfgEnv, Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::{MainBuilder, MainContext};
use revm::primitives::hardfork::SpecId;
use revm::state::AccountInfo;
use revm::{ExecuteCommitEvm, ExecuteEvm};

const DEPLOYER: Address = address!("0x00000000000000000000000000000000000000d1");
const CALLER: Address = address!("0x00000000000000000000000000000000000000c1");

/// A deployed `FinalVerifier`.
#[derive(Clone)]
pub struct Contract {
    db: CacheDB<EmptyDB>,
    address: Address,
}

fn cfg() -> CfgEnv {
    let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA).with_chain_id(1);
    cfg.tx_gas_limit_cap = Some(u64::MAX);
    cfg
}

fn tx(caller: Address, kind: TxKind, data: Vec<u8>) -> TxEnv {
    TxEnv {
        caller,
        kind,
        data: data.into(),
        gas_limit: 100_000_000,
        gas_price: 0,
        chain_id: Some(1),
        ..Default::default()
    }
}

fn artifact() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/artifacts/FinalVerifier.json");
    let path = std::env::var("FINAL_VERIFIER_ARTIFACT").unwrap_or_else(|_| path.to_owned());
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    hex::decode(json["bytecode"].as_str().unwrap().trim_start_matches("0x")).unwrap()
}

/// What the contract said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted {
        gas: u64,
    },
    /// With the number of the failed check, if it said one.
    Refused(Option<u64>),
}

impl Contract {
    pub fn deploy<A: FinalAir>(key: &FinalVk<A>, program_id: B256) -> Self {
        let code = parts(key).unwrap();
        Self::deploy_with(&code, key.digest(), program_id).expect("the constructor accepts the key")
    }

    pub fn deploy_with(code: &[Vec<u8>], digest: B256, program_id: B256) -> Option<Self> {
        let mut db = CacheDB::new(EmptyDB::default());
        let mut addresses = [Address::ZERO; 2];
        for (i, code) in code.iter().enumerate() {
            addresses[i] = Address::with_last_byte(0xa0 + i as u8);
            let code = Bytecode::new_raw(Bytes::copy_from_slice(code));
            db.insert_account_info(addresses[i], AccountInfo::from_bytecode(code));
        }
        let mut init = artifact();
        init.extend(digest);
        init.extend(program_id);
        addresses.iter().for_each(|a| init.extend(a.into_word()));
        let mut evm = Context::mainnet().with_db(db).with_cfg(cfg()).build_mainnet();
        let result = evm.transact_commit(tx(DEPLOYER, TxKind::Create, init)).unwrap();
        let address = result.created_address().filter(|_| result.is_success())?;
        Some(Self { db: evm.ctx.journaled_state.database, address })
    }

    /// `verify(publicInputs, proof)`.
    pub fn verify(&self, public_inputs: &[B256], proof: &[u8]) -> Verdict {
        self.call(calldata(public_inputs, proof))
    }

    pub fn call(&self, data: Vec<u8>) -> Verdict {
        let mut evm = Context::mainnet().with_db(self.db.clone()).with_cfg(cfg()).build_mainnet();
        let result = evm.transact(tx(CALLER, TxKind::Call(self.address), data)).unwrap().result;
        match result {
            ExecutionResult::Success { ref output, .. } => {
                assert_eq!(output.data().last(), Some(&1), "it never answers false");
                Verdict::Accepted { gas: result.tx_gas_used() }
            }
            ExecutionResult::Revert { ref output, .. } => {
                let refused = keccak256("FinalProofRefused(uint256)");
                let known = output.len() == 36 && output[..4] == refused[..4];
                Verdict::Refused(known.then(|| u64::from(output[35])))
            }
            ExecutionResult::Halt { reason, .. } => panic!("halted: {reason:?}"),
        }
    }
}

/// ABI encoding of a call of `verify`.
pub fn calldata(public_inputs: &[B256], proof: &[u8]) -> Vec<u8> {
    let word = |n: usize| U256::from(n).to_be_bytes::<32>();
    let mut data = keccak256("verify(bytes32[],bytes)")[..4].to_vec();
    data.extend(word(64));
    data.extend(word(64 + 32 + 32 * public_inputs.len()));
    data.extend(word(public_inputs.len()));
    public_inputs.iter().for_each(|p| data.extend(p));
    data.extend(word(proof.len()));
    data.extend(proof);
    data.resize(data.len().next_multiple_of(32) + 4, 0);
    data
}
