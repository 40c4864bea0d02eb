//! A whole chain in memory: state, tree, blocks and batches, for the tests.
#![allow(dead_code, missing_docs)]

use std::collections::HashMap;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolValue;
use cairn_primitives::{
    BlockHeader, ChainConfig, FeeParams, PriorityTx, address, da::DaMode,
    transaction::EthTransaction,
};
use cairn_state::{MemStore, Tree};
use cairn_stf::{
    AccountState, BatchBuilder, BlockEnvParams, BlockExecutor, BlockOutput, ExecError, RecoveredTx,
    SealedBatch, StateChanges, StateReader,
    batch::build::BatchStart,
    genesis::{GenesisAccount, GenesisConfig},
    revm::bytecode::Bytecode,
};

pub const CHAIN_ID: u64 = 270;
pub const ETHER: u128 = 1_000_000_000_000_000_000;
pub const OPERATOR: Address = Address::repeat_byte(0xfe);
/// `sstore(calldata[0], calldata[32])`.
pub const STORE_CODE: &[u8] = &hex!("6020356000355500");
/// `sstore(0, 1)`, then revert.
pub const REVERT_CODE: &[u8] = &hex!("600160005560006000fd");
/// The deterministic deployer.
pub const CREATE2_CODE: &[u8] = &hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);
/// `sstore(0, blockhash(number - calldata[0]))`.
pub const BLOCKHASH_CODE: &[u8] = &hex!("600035430340600055 00");
/// `sstore(0, balance(calldata[0])); sstore(1, extcodehash(calldata[0]))`.
pub const PROBE_CODE: &[u8] = &hex!("600035316000556000353f60015500");
/// Emits `L1MessageSent(caller, keccak(calldata), calldata)`: what the messenger contract does.
pub const MESSENGER_CODE: &[u8] = &hex!(
    "6020600052 36602052 3660006040 37 36604020 33 7f3a36e47291f4201faf137fab081d92295bce2d53be2c6ca68ba82c7faa9ce241 36601f0160051c60051b604001 6000a300"
);

pub const STORE: Address = Address::repeat_byte(0xa1);
pub const REVERT: Address = Address::repeat_byte(0xa2);
pub const BLOCKHASH: Address = Address::repeat_byte(0xa3);
pub const PROBE: Address = Address::repeat_byte(0xa4);

#[derive(Debug, thiserror::Error)]
#[error("no such block")]
pub struct NoBlock;

/// State as a node's storage would hold it.
#[derive(Default, Clone)]
pub struct MemState {
    pub accounts: HashMap<Address, AccountState>,
    pub slots: HashMap<(Address, U256), U256>,
    pub codes: HashMap<B256, Bytes>,
    pub headers: Vec<BlockHeader>,
}

impl MemState {
    pub fn apply(&mut self, changes: &StateChanges) {
        for (a, (before, after)) in &changes.accounts {
            assert_eq!(self.accounts.get(a).copied().unwrap_or_default(), *before);
            self.accounts.insert(*a, *after);
        }
        for (s, (before, after)) in &changes.slots {
            assert_eq!(self.slots.get(s).copied().unwrap_or_default(), *before);
            self.slots.insert(*s, *after);
        }
        for (h, c) in &changes.codes {
            assert!(self.codes.insert(*h, c.clone()).is_none(), "published once");
        }
    }
}

impl StateReader for MemState {
    type Error = NoBlock;

    fn account(&self, address: Address) -> Result<Option<AccountState>, NoBlock> {
        Ok(self.accounts.get(&address).copied().filter(|a| !a.is_empty()))
    }
    fn storage(&self, address: Address, slot: U256) -> Result<U256, NoBlock> {
        Ok(self.slots.get(&(address, slot)).copied().unwrap_or_default())
    }
    fn code_by_hash(&self, hash: B256) -> Result<Option<Bytecode>, NoBlock> {
        Ok(self.codes.get(&hash).map(|c| Bytecode::new_raw(c.clone())))
    }
    fn block_hash(&self, number: u64) -> Result<B256, NoBlock> {
        self.headers.get(number as usize).map(BlockHeader::hash).ok_or(NoBlock)
    }
}

pub struct Chain {
    pub state: MemState,
    pub tree: Tree<MemStore>,
    /// A second tree that knows nothing but genesis and pubdata.
    pub recovered: Tree<MemStore>,
    pub config: ChainConfig,
    pub fees: FeeParams,
    pub signers: Vec<PrivateKeySigner>,
    pub batch_number: u64,
    pub priority_hash: B256,
    pub next_priority: u64,
    pub pending: Vec<(BlockOutput, Vec<RecoveredTx>)>,
    /// Nonces that the test wants to use, by signer.
    pub nonces: HashMap<Address, u64>,
    /// Whether every block is checked to leave the base token's supply in accounts.
    pub balances_hold_the_supply: bool,
}

pub fn signer(i: u64) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::from(U256::from(i + 1))).unwrap()
}

pub fn genesis_accounts(n: u64) -> GenesisConfig {
    let code = |code: &'static [u8]| GenesisAccount {
        code: Bytes::from_static(code),
        nonce: 1,
        ..Default::default()
    };
    let mut accounts: std::collections::BTreeMap<_, _> = (0..n)
        .map(|i| {
            (signer(i).address(), GenesisAccount { balance: 100 * ETHER, ..Default::default() })
        })
        .collect();
    accounts.insert(address::CREATE2_DEPLOYER, code(CREATE2_CODE));
    accounts.insert(address::L1_MESSENGER, code(MESSENGER_CODE));
    accounts.insert(STORE, code(STORE_CODE));
    accounts.insert(REVERT, code(REVERT_CODE));
    accounts.insert(BLOCKHASH, code(BLOCKHASH_CODE));
    accounts.insert(PROBE, code(PROBE_CODE));
    GenesisConfig { config: ChainConfig::eth_rollup(CHAIN_ID, 9), timestamp: 1_000, accounts }
}

impl Chain {
    pub fn new(n: u64) -> Self {
        let config = genesis_accounts(n);
        let genesis = config.build().unwrap();
        let mut tree = Tree::new(MemStore::new());
        let update = tree.apply(&genesis.writes).unwrap();
        assert_eq!(update, genesis.update, "genesis root, by the tree and by the witness");
        let mut state = MemState::default();
        state.apply(&genesis.changes);
        state.headers.push(genesis.header.clone());
        Self {
            state,
            recovered: tree.clone(),
            tree,
            config: config.config,
            fees: FeeParams { base_fee: 100, gas_per_pubdata: 50 },
            signers: (0..n).map(signer).collect(),
            batch_number: 1,
            priority_hash: cairn_stf::batch::genesis_priority_hash(),
            next_priority: 0,
            pending: Vec::new(),
            nonces: HashMap::new(),
            balances_hold_the_supply: true,
        }
    }

    pub fn head(&self) -> &BlockHeader {
        self.state.headers.last().unwrap()
    }

    pub fn env(&self) -> BlockEnvParams {
        let head = self.head();
        BlockEnvParams {
            chain_id: CHAIN_ID,
            number: head.number + 1,
            timestamp: head.timestamp + 1,
            parent_hash: head.hash(),
            beneficiary: OPERATOR,
            fees: self.fees,
        }
    }

    /// Executes a block; every transaction must be valid.
    pub fn block(&mut self, txs: Vec<RecoveredTx>) -> &BlockOutput {
        let mut block = BlockExecutor::new(self.env(), &self.state);
        for tx in &txs {
            block.execute(tx).unwrap();
        }
        let output = block.finish();
        self.commit(output, txs)
    }

    pub fn commit(&mut self, output: BlockOutput, txs: Vec<RecoveredTx>) -> &BlockOutput {
        self.state.apply(&output.changes);
        let supply = (address::BASE_TOKEN, cairn_stf::life::supply::SUPPLY_SLOT);
        let balances: U256 = self.state.accounts.values().map(|a| U256::from(a.balance)).sum();
        let supply = self.state.slots.get(&supply).copied().unwrap_or_default();
        if self.balances_hold_the_supply {
            assert_eq!(supply, balances, "the supply is what all balances come to");
        }
        self.state.headers.push(output.header.clone());
        self.pending.push((output, txs));
        &self.pending.last().unwrap().0
    }

    /// Executes one transaction on its own, without keeping it.
    pub fn try_tx(&self, tx: &RecoveredTx) -> Result<cairn_stf::TxResult, ExecError<NoBlock>> {
        BlockExecutor::new(self.env(), &self.state).execute(tx).cloned()
    }

    pub fn start(&self) -> BatchStart {
        let meta = self.tree.meta().unwrap();
        let first = self.pending[0].0.header.number;
        BatchStart {
            config: self.config.clone(),
            guest_program_id: B256::repeat_byte(0x11),
            fees: self.fees,
            operator: OPERATOR,
            batch_number: self.batch_number,
            prev_state_root: meta.root.to_b256(),
            prev_leaf_count: meta.leaf_count,
            priority_ops_hash_before: self.priority_hash,
            prev_header: self.state.headers[first as usize - 1].clone(),
        }
    }

    /// Puts all pending blocks into a batch, and the batch into the tree.
    pub fn seal(&mut self) -> SealedBatch {
        self.seal_with(DaMode::Calldata, |_| Vec::new())
    }

    pub fn seal_with(
        &mut self,
        mode: DaMode,
        blobs: impl FnOnce(&[u8]) -> Vec<B256>,
    ) -> SealedBatch {
        let mut builder = BatchBuilder::new(self.start());
        for (output, txs) in self.pending.drain(..) {
            builder.add_block(&output, &txs).unwrap();
        }
        let tree = self.tree.prove(&builder.tree_keys()).unwrap();
        let usage = *builder.usage();
        let prepared = builder
            .prepare(
                tree,
                |hash| self.state.codes.get(&hash).cloned(),
                |n| self.state.headers.get(n as usize).cloned(),
            )
            .unwrap();
        let hashes = blobs(prepared.pubdata());
        let sealed = prepared.seal(mode, hashes).unwrap();
        assert!(
            sealed.result.pubdata.len() as u64 <= usage.pubdata,
            "pubdata {} was measured as {}",
            sealed.result.pubdata.len(),
            usage.pubdata
        );
        let update = self.tree.apply(&sealed.writes).unwrap();
        assert_eq!(update, sealed.result.update);
        self.recover_headers(&sealed);
        self.recover(&sealed);
        self.priority_hash = sealed.public_input().priority_ops_hash_after;
        self.batch_number += 1;
        sealed
    }

    /// The headers follow from pubdata and the last one before.
    fn recover_headers(&self, sealed: &SealedBatch) {
        let pubdata = cairn_stf::pubdata::Pubdata::decode(&sealed.result.pubdata).unwrap();
        let p = sealed.public_input();
        let (first, last) = (p.first_block as usize, p.last_block as usize);
        let parent = &self.state.headers[first - 1];
        let headers = pubdata.headers(parent, self.fees, OPERATOR, p.last_block_hash).unwrap();
        assert_eq!(headers, self.state.headers[first..=last]);
        assert!(pubdata.headers(parent, self.fees, Address::ZERO, p.last_block_hash).is_err());
    }

    /// Replays the batch's pubdata onto the recovered tree: the same root follows, and every published code is the one that its leaf names.
    fn recover(&mut self, sealed: &SealedBatch) {
        use cairn_state::TreeReader;
        let pubdata = cairn_stf::pubdata::Pubdata::decode(&sealed.result.pubdata).unwrap();
        let store = self.recovered.store();
        let count = store.meta().unwrap().leaf_count;
        let leaf = |i| store.leaf(i).map(|leaf| leaf.map(|l| (l.key, l.value)));
        let decoded = pubdata.decode_diffs(count, leaf).unwrap();
        let update = self.recovered.apply(&decoded.writes).unwrap();
        assert_eq!(update, sealed.result.update);
        for (hash, code, key, digest) in pubdata.code_leaves() {
            assert_eq!(self.recovered.get(&key).unwrap(), Some(digest));
            assert_eq!(self.state.codes[&hash], *code);
        }
    }

    // ---- transactions ----

    pub fn nonce(&mut self, who: usize) -> u64 {
        let address = self.signers[who].address();
        let known = self.state.accounts.get(&address).map_or(0, |a| a.nonce);
        let next = self.nonces.entry(address).or_insert(known);
        *next += 1;
        *next - 1
    }

    pub fn sign<T: SignableTransaction<Signature>>(&self, who: usize, tx: T) -> RecoveredTx
    where
        EthTransaction: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.signers[who].sign_hash_sync(&tx.signature_hash()).unwrap();
        let raw = alloy_eips::eip2718::Encodable2718::encoded_2718(&EthTransaction::from(
            tx.into_signed(signature),
        ));
        let tx = RecoveredTx::decode(&raw).unwrap();
        assert_eq!(tx.sender, self.signers[who].address());
        assert_eq!(tx.hash, tx.tx.hash());
        assert_eq!(tx.encode(), raw);
        tx
    }

    pub fn tx(&mut self, who: usize, to: TxKind, value: u128, data: Vec<u8>) -> RecoveredTx {
        let nonce = self.nonce(who);
        self.sign(
            who,
            TxEip1559 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit: 2_000_000,
                max_fee_per_gas: 1_000,
                max_priority_fee_per_gas: 7,
                to,
                value: U256::from(value),
                access_list: Default::default(),
                input: data.into(),
            },
        )
    }

    pub fn call(&mut self, who: usize, to: Address, data: Vec<u8>) -> RecoveredTx {
        self.tx(who, TxKind::Call(to), 0, data)
    }

    pub fn transfer(&mut self, who: usize, to: Address, value: u128) -> RecoveredTx {
        self.tx(who, TxKind::Call(to), value, Vec::new())
    }

    pub fn legacy(&mut self, who: usize, to: Address, value: u128, eip155: bool) -> RecoveredTx {
        let nonce = self.nonce(who);
        self.sign(
            who,
            TxLegacy {
                chain_id: eip155.then_some(CHAIN_ID),
                nonce,
                gas_price: 200,
                gas_limit: 100_000,
                to: TxKind::Call(to),
                value: U256::from(value),
                input: Bytes::new(),
            },
        )
    }

    pub fn access_list(&mut self, who: usize, slot: u64) -> RecoveredTx {
        let nonce = self.nonce(who);
        let item = alloy_eips::eip2930::AccessListItem {
            address: STORE,
            storage_keys: vec![B256::from(U256::from(slot))],
        };
        self.sign(
            who,
            TxEip2930 {
                chain_id: CHAIN_ID,
                nonce,
                gas_price: 200,
                gas_limit: 200_000,
                to: TxKind::Call(STORE),
                value: U256::ZERO,
                access_list: alloy_eips::eip2930::AccessList(vec![item]),
                input: store_data(slot, 77).into(),
            },
        )
    }

    /// An EIP-7702 transaction that delegates `authority` to `target` and calls `authority`.
    pub fn delegate(&mut self, who: usize, authority: usize, target: Address) -> RecoveredTx {
        let nonce = self.nonce(who);
        let auth = alloy_eips::eip7702::Authorization {
            chain_id: U256::from(CHAIN_ID),
            address: target,
            nonce: self.nonce(authority),
        };
        let signature = self.signers[authority].sign_hash_sync(&auth.signature_hash()).unwrap();
        let auth = auth.into_signed(signature);
        self.sign(
            who,
            TxEip7702 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit: 500_000,
                max_fee_per_gas: 1_000,
                max_priority_fee_per_gas: 1,
                to: self.signers[authority].address(),
                value: U256::ZERO,
                access_list: Default::default(),
                authorization_list: vec![auth],
                input: store_data(5, 6).into(),
            },
        )
    }

    pub fn priority(&mut self, to: Address, value: u128, gas: u64, data: Vec<u8>) -> RecoveredTx {
        let id = self.next_priority;
        self.next_priority += 1;
        let mut op = PriorityTx {
            hash: B256::ZERO,
            id,
            from: Address::repeat_byte(0x77),
            to,
            gas_limit: gas,
            gas_per_pubdata: 800,
            max_fee_per_gas: 250,
            value: U256::from(value),
            to_mint: U256::from(value + u128::from(gas) * 250 + 12_345),
            refund_recipient: Address::repeat_byte(0x78),
            data: data.into(),
        };
        op.hash = keccak256(op.to_canonical().abi_encode());
        RecoveredTx::priority(Box::new(op))
    }
}

pub fn store_data(slot: u64, value: u64) -> Vec<u8> {
    (U256::from(slot), U256::from(value)).abi_encode()
}

/// Init code that stores 1 at slot 1 and returns `runtime`.
pub fn init_code(runtime: &[u8]) -> Vec<u8> {
    let mut out = hex!("6001600155").to_vec();
    out.extend([0x60, runtime.len() as u8, 0x80, 0x60, 5 + 12, 0x60, 0, 0x39, 0x60, 0, 0xf3, 0x00]);
    out.extend(runtime);
    out
}

/// Init code that stores, then destroys itself in favour of its caller.
pub const SUICIDE_INIT: &[u8] = &hex!("600160015533ff");
