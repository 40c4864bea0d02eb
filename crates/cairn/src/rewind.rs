//! [`Rewinder`]: snapshots of the whole network. A rollup alone cannot go back, since L1 holds its batches and it holds L1's deposits; in development both go back together.
//!
//! Snapshots live as long as the process (L1's do, too). What does not go back: the explorer's live events and the filters of clients, which go on with the blocks that follow, the
//! node's own settings (who is impersonated, when blocks are built), and the clock of the machine.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::U256;
use cairn_explorer::{Index, Savepoint};
use cairn_rpc::{ChainError, error::Result};
use cairn_sequencer::{L2Rpc, Rewind, Snapshot};
use cairn_settlement::l1::L1;
use serde_json::{Value, json};
use tokio::{runtime::Handle, sync::Mutex};

use crate::{crew::Shift, dev_l1, node::NodeError};

/// Most snapshots that are kept; the oldest goes first. Each keeps the pages of its state.
const MAX_SNAPSHOTS: usize = 64;

/// Takes snapshots of a network and goes back to them.
pub struct Rewinder {
    chain: L2Rpc,
    l1: L1,
    crew: Arc<Shift>,
    index: Option<Arc<Index>>,
    runtime: Handle,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    moments: BTreeMap<u64, Moment>,
}

/// The network at one time.
struct Moment {
    /// Id of L1's own snapshot.
    on_l1: Value,
    chain: Snapshot,
    index: Option<Savepoint>,
    /// Last batch that was sealed for certain.
    sealed: u64,
}

impl Rewinder {
    /// Of the network whose chain is `chain` and whose roles are `crew`. Within a runtime.
    pub fn new(chain: L2Rpc, l1: L1, crew: Arc<Shift>, index: Option<Arc<Index>>) -> Self {
        let (runtime, kept) = (Handle::current(), Mutex::default());
        Self { chain, l1, crew, index, runtime, kept }
    }

    async fn take(&self) -> Result<U256> {
        let mut kept = self.kept.lock().await;
        // L1 must not learn of a batch that the chain's part lacks.
        self.crew.leave_l1().await;
        let moment = self.remember().await;
        self.crew.return_to_l1().await;
        kept.last += 1;
        let id = kept.last;
        kept.moments.insert(id, moment?);
        if kept.moments.len() > MAX_SNAPSHOTS {
            kept.moments.pop_first();
        }
        Ok(U256::from(id))
    }

    /// Each part before what it is built from: none is ahead of the next.
    async fn remember(&self) -> Result<Moment> {
        let sealed = self.chain.sequencer().storage().batch_heads().sealed;
        let index = self.index.as_ref().map(|index| index.savepoint()).transpose();
        let index = index.map_err(NodeError::from).map_err(failed)?;
        let chain = self.chain.sequencer().snapshot().map_err(NodeError::from).map_err(failed)?;
        let on_l1 = dev_l1::ask(&self.l1, "evm_snapshot", json!([])).await?;
        Ok(Moment { on_l1, chain, index, sealed })
    }

    async fn go_back(&self, id: U256) -> Result<bool> {
        let mut kept = self.kept.lock().await;
        let Ok(id) = u64::try_from(id) else { return Ok(false) };
        let Some(moment) = kept.moments.remove(&id) else { return Ok(false) };
        // Those are of a future that is no more.
        kept.moments.split_off(&id);
        self.crew.stop().await;
        let back = self.restore(&moment).await;
        self.crew.start().await;
        back
    }

    async fn restore(&self, moment: &Moment) -> Result<bool> {
        if dev_l1::ask(&self.l1, "evm_revert", json!([moment.on_l1])).await? != json!(true) {
            return Ok(false);
        }
        self.crew.forget_proofs(moment.sealed);
        let sequencer = self.chain.sequencer();
        let chain = || sequencer.rewind(&moment.chain).map_err(NodeError::from);
        let back = match (&self.index, &moment.index) {
            (Some(index), Some(to)) => index.rewind(to, chain),
            _ => chain(),
        };
        back.map_err(failed)?;
        self.chain.forget();
        Ok(true)
    }
}

fn failed(error: NodeError) -> ChainError {
    ChainError::Internal(error.to_string())
}

impl Rewind for Rewinder {
    fn snapshot(&self) -> Result<U256> {
        self.runtime.block_on(self.take())
    }

    fn revert(&self, id: U256) -> Result<bool> {
        self.runtime.block_on(self.go_back(id))
    }
}
