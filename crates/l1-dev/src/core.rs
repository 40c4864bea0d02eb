//! The chain itself: its head, pool and settings, and everything that changes them.
//!
//! Locks, in the order they are taken: `writer` (held by whatever changes the chain), `mode`, `pool`, `view`. Execution holds only
//! `writer`, so that reads and submissions go on meanwhile.

use crate::block::{BLOBS, SentTx, StoredBlock};
use crate::clock::{Clock, now};
use crate::config::{L1Config, L1Error};
use crate::evm;
use crate::genesis;
use crate::miner::Command;
use crate::pool::Pool;
use crate::state::{BlockHashes, Changes, StateDb, Touched, WorldState, difference};
use crate::store::{Commit, Store};
use alloy_consensus::Header;
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_primitives::{Address, B256, TxHash, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use cairn_rpc::{BlockEvent, BlockRef, ChainError, DevAccounts};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::broadcast;

/// Blocks that a slow subscriber may lag behind. Each holds its logs, and who lags further reads them from the store.
const EVENTS: usize = 1_024;
const PENDING_EVENTS: usize = 65_536;
/// Snapshots kept; the oldest goes first.
const MAX_SNAPSHOTS: usize = 1_024;
/// Tip that `eth_maxPriorityFeePerGas` suggests, in wei: as anvil.
pub(crate) const SUGGESTED_TIP: u128 = 1_000_000_000;

/// A block and the state after it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) block: Arc<StoredBlock>,
    pub(crate) state: WorldState,
}

/// The last blocks, newest at the back, with their states.
pub(crate) struct View {
    window: VecDeque<Entry>,
}

impl View {
    /// The head. The window is never empty: it is made with the genesis block and nothing takes the last entry out.
    pub(crate) fn head(&self) -> &Entry {
        &self.window[self.window.len() - 1]
    }

    fn get(&self, number: u64) -> Option<&Entry> {
        let first = self.window.front()?.block.number();
        self.window.get(usize::try_from(number.checked_sub(first)?).ok()?)
    }
}

/// A remembered state.
pub(crate) struct Snapshot {
    number: u64,
    state: WorldState,
    clock: Clock,
}

/// Settings of coming blocks, and the right to make them.
pub(crate) struct Writer {
    pub(crate) clock: Clock,
    pub(crate) snapshots: BTreeMap<u64, Snapshot>,
    pub(crate) next_snapshot: u64,
    /// Base fee of the next block, where set.
    pub(crate) base_fee: Option<u64>,
    pub(crate) coinbase: Address,
    pub(crate) gas_limit: u64,
    /// `PREVRANDAO` of the next block, where set.
    pub(crate) prevrandao: Option<B256>,
    /// Makes the blocks after a reorg differ from those before.
    pub(crate) salt: u64,
}

/// How blocks come about, and who may send without a signature.
pub(crate) struct Mode {
    pub(crate) automine: bool,
    pub(crate) interval: Option<Duration>,
    pub(crate) impersonated: HashSet<Address>,
    pub(crate) impersonate_all: bool,
    pub(crate) min_gas_price: u128,
}

/// See the module's text.
pub(crate) struct Core {
    pub(crate) config: L1Config,
    pub(crate) accounts: DevAccounts,
    pub(crate) store: Store,
    pub(crate) view: RwLock<View>,
    pub(crate) pool: Mutex<Pool>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) mode: Mutex<Mode>,
    next: Mutex<Header>,
    pub(crate) blocks: broadcast::Sender<Arc<BlockEvent>>,
    pub(crate) pending: broadcast::Sender<TxHash>,
    pub(crate) miner: mpsc::Sender<Command>,
}

fn check(config: &L1Config) -> Result<(), L1Error> {
    let bad = |why: &str| Err(L1Error::Config(why.into()));
    match config {
        c if c.history == 0 => bad("history must be at least one block"),
        c if c.gas_limit < 5_000 => bad("the block gas limit must be at least 5000"),
        c if c.block_time.is_some_and(|t| t.is_zero()) => bad("the block time must not be zero"),
        c if c.max_pool == 0 || c.max_pool_per_sender == 0 => {
            bad("the pool must hold at least one transaction")
        }
        _ => Ok(()),
    }
}

impl Core {
    /// Opens the chain where it stopped, or makes block 0.
    pub(crate) fn open(config: L1Config, miner: mpsc::Sender<Command>) -> Result<Self, L1Error> {
        check(&config)?;
        let accounts = DevAccounts::from_mnemonic(&config.mnemonic, config.accounts)
            .map_err(|e| L1Error::Config(e.to_string()))?;
        let store = Store::open(config.data_dir.as_deref(), config.chain_id)?;
        let window =
            load(&store, &config, &accounts).map_err(|e| L1Error::Damaged(e.to_string()))?;
        let writer = Writer {
            clock: Clock::default(),
            snapshots: BTreeMap::new(),
            next_snapshot: 0,
            base_fee: None,
            coinbase: Address::ZERO,
            gas_limit: config.gas_limit,
            prevrandao: None,
            salt: 0,
        };
        let mode = Mode {
            automine: config.automine,
            interval: config.block_time,
            impersonated: HashSet::new(),
            impersonate_all: false,
            min_gas_price: 0,
        };
        let next = Mutex::new(window.back().map(|e| e.block.header.clone()).unwrap_or_default());
        Ok(Self {
            store,
            accounts,
            next,
            view: RwLock::new(View { window }),
            pool: Mutex::new(Pool::new(config.max_pool, config.max_pool_per_sender)),
            writer: Mutex::new(writer),
            mode: Mutex::new(mode),
            blocks: broadcast::channel(EVENTS).0,
            pending: broadcast::channel(PENDING_EVENTS).0,
            miner,
            config,
        })
    }

    /// The head and its state.
    pub(crate) fn head(&self) -> Entry {
        self.view.read().head().clone()
    }

    /// Block hashes for `BLOCKHASH`.
    pub(crate) fn hashes(self: &Arc<Self>) -> BlockHashes {
        let core = Arc::clone(self);
        Arc::new(move |number| {
            core.block_by_number(number).ok().flatten().map_or(B256::ZERO, |b| b.hash)
        })
    }

    pub(crate) fn block_by_number(
        &self,
        number: u64,
    ) -> Result<Option<Arc<StoredBlock>>, ChainError> {
        {
            let view = self.view.read();
            if number > view.head().block.number() {
                return Ok(None);
            }
            if let Some(entry) = view.get(number) {
                return Ok(Some(Arc::clone(&entry.block)));
            }
        }
        Ok(self.store.block(number)?.map(Arc::new))
    }

    /// The block; pending is the head.
    pub(crate) fn block(&self, block: BlockRef) -> Result<Option<Arc<StoredBlock>>, ChainError> {
        match block {
            BlockRef::Number(number) => self.block_by_number(number),
            BlockRef::Pending => Ok(Some(self.head().block)),
            BlockRef::Hash(hash) => match self.store.number_of(hash)? {
                Some(number) => Ok(self.block_by_number(number)?.filter(|b| b.hash == hash)),
                None => Ok(None),
            },
        }
    }

    /// The block with its state.
    pub(crate) fn entry(&self, block: BlockRef) -> Result<Entry, ChainError> {
        let number = match block {
            BlockRef::Pending => return Ok(self.head()),
            BlockRef::Number(number) => number,
            BlockRef::Hash(_) => self.block(block)?.ok_or(ChainError::UnknownBlock)?.number(),
        };
        let view = self.view.read();
        if number > view.head().block.number() {
            return Err(ChainError::UnknownBlock);
        }
        view.get(number).cloned().ok_or(ChainError::StatePruned(number))
    }

    /// The header of the block after `parent`, without what its transactions decide.
    pub(crate) fn next_header(
        &self,
        writer: &Writer,
        parent: &StoredBlock,
        timestamp: u64,
    ) -> Header {
        let number = parent.number() + 1;
        let excess_blob_gas = BLOBS.next_block_excess_blob_gas_osaka(
            parent.header.excess_blob_gas.unwrap_or_default(),
            parent.header.blob_gas_used.unwrap_or_default(),
            parent.base_fee(),
        );
        let seed =
            [parent.hash.as_slice(), &number.to_be_bytes(), &writer.salt.to_be_bytes()].concat();
        Header {
            parent_hash: parent.hash,
            beneficiary: writer.coinbase,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            number,
            gas_limit: writer.gas_limit,
            timestamp,
            mix_hash: writer.prevrandao.unwrap_or_else(|| keccak256(&seed)),
            base_fee_per_gas: Some(
                writer.base_fee.unwrap_or_else(|| next_base_fee(&parent.header)),
            ),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(excess_blob_gas),
            parent_beacon_block_root: Some(keccak256([seed.as_slice(), b"beacon"].concat())),
            requests_hash: Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH),
            ..Header::default()
        }
    }

    /// The head, and the header that the next block would have now. While a block is being made, the header is the one last known.
    pub(crate) fn pending_header(&self) -> (Entry, Header) {
        let head = self.head();
        if let Some(writer) = self.writer.try_lock() {
            let timestamp = writer.clock.peek(head.block.header.timestamp);
            let header = self.next_header(&writer, &head.block, timestamp);
            *self.next.lock() = header.clone();
            return (head, header);
        }
        let header = self.next.lock().clone();
        (head, header)
    }

    pub(crate) fn db(self: &Arc<Self>, state: WorldState) -> StateDb {
        StateDb::new(state, self.hashes())
    }

    pub(crate) fn cfg(&self) -> revm::context::CfgEnv {
        evm::cfg(self.config.chain_id)
    }

    /// Makes a finished block the head: durable first, visible then.
    pub(crate) fn append(
        &self,
        block: StoredBlock,
        parent: &WorldState,
        state: WorldState,
        touched: &Touched,
        blobs: Vec<(B256, &alloy_eips::eip4844::Blob)>,
    ) -> Result<Arc<StoredBlock>, ChainError> {
        let (forward, undo) = (touched.changes(parent, &state), touched.changes(&state, parent));
        let keep_undo_from = block.number().saturating_sub(self.config.history);
        self.store.commit(&Commit {
            block: &block,
            forward: &forward,
            undo: &undo,
            blobs,
            keep_undo_from,
        })?;
        let block = Arc::new(block);
        let mut view = self.view.write();
        view.window.push_back(Entry { block: Arc::clone(&block), state });
        while view.window.len() as u64 > self.config.history {
            view.window.pop_front();
        }
        drop(view);
        Ok(block)
    }

    /// Tells subscribers of a new head.
    pub(crate) fn announce(&self, block: &StoredBlock) {
        if self.blocks.receiver_count() > 0 {
            let event = BlockEvent::New {
                header: block.rpc_header(),
                extra: Default::default(),
                logs: block.logs(false),
            };
            // An error means that nobody listens.
            let _ = self.blocks.send(Arc::new(event));
        }
    }

    /// Changes the head's state outside any block.
    pub(crate) fn modify(
        &self,
        change: impl FnOnce(&mut WorldState, &mut Touched),
    ) -> Result<(), ChainError> {
        let _writer = self.writer.lock();
        let head = self.head();
        let (mut state, mut touched) = (head.state.clone(), Touched::default());
        change(&mut state, &mut touched);
        self.store.change(&touched.changes(&head.state, &state))?;
        // The root is computed here, by the writer, and not by the first reader.
        state.root();
        let mut view = self.view.write();
        if let Some(last) = view.window.back_mut() {
            last.state = state.clone();
        }
        drop(view);
        self.pool.lock().rewind(|sender| state.nonce(sender));
        Ok(())
    }

    /// Replaces the head's whole state.
    pub(crate) fn replace_state(&self, state: WorldState) -> Result<(), ChainError> {
        let writer = self.writer.lock();
        let number = self.head().block.number();
        self.rewind(&writer, number, state)
    }

    /// Goes back to block `to` with the given state.
    pub(crate) fn rewind(
        &self,
        _writer: &Writer,
        to: u64,
        state: WorldState,
    ) -> Result<(), ChainError> {
        let head = self.head();
        let target = self.block_by_number(to)?.ok_or(ChainError::UnknownBlock)?;
        self.store.rewind(to, &difference(&head.state, &state))?;
        let mut removed = Vec::new();
        {
            let mut view = self.view.write();
            while view.window.back().is_some_and(|e| e.block.number() >= to) {
                removed.extend(view.window.pop_back().map(|e| e.block).filter(|b| b.number() > to));
            }
            view.window.push_back(Entry { block: target, state: state.clone() });
        }
        self.pool.lock().rewind(|sender| state.nonce(sender));
        for block in removed {
            let event = BlockEvent::Removed {
                hash: block.hash,
                number: block.number(),
                logs: block.logs(true),
            };
            // An error means that nobody listens.
            let _ = self.blocks.send(Arc::new(event));
        }
        Ok(())
    }

    pub(crate) fn take_snapshot(&self) -> u64 {
        let mut writer = self.writer.lock();
        let head = self.head();
        let id = writer.next_snapshot;
        writer.next_snapshot += 1;
        let clock = writer.clock.clone();
        writer
            .snapshots
            .insert(id, Snapshot { number: head.block.number(), state: head.state, clock });
        if writer.snapshots.len() > MAX_SNAPSHOTS {
            writer.snapshots.pop_first();
        }
        id
    }

    pub(crate) fn revert_snapshot(&self, id: u64) -> Result<bool, ChainError> {
        let mut writer = self.writer.lock();
        let Some(snapshot) = writer.snapshots.remove(&id) else { return Ok(false) };
        // Later snapshots are of a chain that is no more.
        writer.snapshots.split_off(&id);
        self.rewind(&writer, snapshot.number, snapshot.state)?;
        writer.clock = snapshot.clock;
        writer.salt += 1;
        self.pool.lock().clear();
        Ok(true)
    }

    /// Where an included transaction is.
    pub(crate) fn included(
        &self,
        hash: TxHash,
    ) -> Result<Option<(Arc<StoredBlock>, usize)>, ChainError> {
        let Some((number, index)) = self.store.location(hash)? else { return Ok(None) };
        // The store is ahead of the view for an instant: the block shows when the view has it.
        Ok(self
            .block_by_number(number)?
            .filter(|b| b.txs.get(index).is_some_and(|t| *t.tx.tx_hash() == hash))
            .map(|b| (b, index)))
    }

    /// Builds a transaction that an impersonated account sends: its signature is a placeholder that names the sender.
    pub(crate) fn unsigned(
        &self,
        request: alloy_rpc_types::TransactionRequest,
    ) -> Result<SentTx, ChainError> {
        use alloy_consensus::SignableTransaction;
        let sender =
            request.from.ok_or_else(|| ChainError::InvalidParams("missing field `from`".into()))?;
        let typed = request.build_consensus_tx().map_err(|e| ChainError::InvalidParams(e.error))?;
        let placeholder = alloy_primitives::U256::from_be_bytes(sender.into_word().0);
        let signature = alloy_primitives::Signature::new(
            placeholder.max(alloy_primitives::U256::from(1)),
            alloy_primitives::U256::from(1),
            false,
        );
        Ok(SentTx { tx: typed.into_signed(signature).into(), sender })
    }
}

/// EIP-1559's base fee of the block after this one.
pub(crate) fn next_base_fee(header: &Header) -> u64 {
    calc_next_block_base_fee(
        header.gas_used,
        header.gas_limit,
        header.base_fee_per_gas.unwrap_or_default(),
        BaseFeeParams::ethereum(),
    )
}

/// The last blocks and their states, from the store or from the genesis.
fn load(
    store: &Store,
    config: &L1Config,
    accounts: &DevAccounts,
) -> Result<VecDeque<Entry>, ChainError> {
    let Some(head) = store.head()? else {
        let state = genesis::state(config, accounts);
        let block = genesis::block(config, &state, now());
        let forward = difference(&WorldState::default(), &state);
        store.commit(&Commit {
            block: &block,
            forward: &forward,
            undo: &Changes::default(),
            blobs: Vec::new(),
            keep_undo_from: 0,
        })?;
        return Ok(VecDeque::from([Entry { block: Arc::new(block), state }]));
    };
    let mut state = store.state()?;
    let mut window = VecDeque::new();
    let missing = |what: &str, number: u64| {
        ChainError::Internal(format!("{what} of block {number} is missing"))
    };
    let mut number = head;
    loop {
        let block = store.block(number)?.ok_or_else(|| missing("the body", number))?;
        window.push_front(Entry { block: Arc::new(block), state: state.clone() });
        if number == 0 || window.len() as u64 >= config.history {
            return Ok(window);
        }
        let Some(undo) = store.undo(number)? else { return Ok(window) };
        state.apply(&undo, |hash| store.code(hash).ok().flatten());
        number -= 1;
    }
}
