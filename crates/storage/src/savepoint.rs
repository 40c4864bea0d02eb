//! Going back in a running store, for development networks: what was committed since is gone.

use redb::Database;

use crate::db::Storage;
use crate::error::Result;

/// A state of the store that it can go back to, as long as the process lives. It keeps the pages of that state from being used again.
pub struct Savepoint {
    chain: redb::Savepoint,
    batches: redb::Savepoint,
}

impl std::fmt::Debug for Savepoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Savepoint").finish_non_exhaustive()
    }
}

impl Storage {
    /// Remembers the present state. Blocks may be written meanwhile: batches are remembered first, so they are never ahead of them.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn savepoint(&self) -> Result<Savepoint> {
        let batches = savepoint(&self.inner.batches)?;
        Ok(Savepoint { chain: savepoint(&self.inner.chain)?, batches })
    }

    /// Goes back to `to`; savepoints that are younger are of no use any more. Nobody may write meanwhile. After a kill in its middle the batches are back and the blocks are not,
    /// which is a store like any other whose blocks are ahead.
    ///
    /// # Errors
    /// A fault of the disk, or a savepoint that an older one has made useless.
    pub fn restore(&self, to: &Savepoint) -> Result<()> {
        restore(&self.inner.batches, &to.batches)?;
        self.load_batch_heads()?;
        restore(&self.inner.chain, &to.chain)?;
        self.load_head()
    }
}

fn savepoint(db: &Database) -> Result<redb::Savepoint> {
    let txn = db.begin_write()?;
    let savepoint = txn.ephemeral_savepoint()?;
    txn.abort()?;
    Ok(savepoint)
}

fn restore(db: &Database, to: &redb::Savepoint) -> Result<()> {
    let mut txn = db.begin_write()?;
    txn.restore_savepoint(to)?;
    txn.commit()?;
    Ok(())
}
