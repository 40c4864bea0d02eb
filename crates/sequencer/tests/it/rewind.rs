//! Going back: the store, the pool and the clock are those of the snapshot, and the chain goes on from there.

use cairn_rpc::{BlockRef, Chain, DevChain};
use cairn_sequencer::BlockTime;

use crate::common::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_goes_back_and_on() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let mut blocks = sequencer.subscribe_blocks();
    let (first, raw) = Tx::new(0).sign(&key(0));
    sequencer.submit(raw).await.unwrap();
    included(sequencer.storage(), first).await;
    let batch = sealed(&sequencer).await;
    let rpc = rpc(&sequencer);
    rpc.set_automine(false).unwrap();
    let (waiting, raw) = Tx::new(1).sign(&key(0));
    sequencer.submit(raw).await.unwrap();
    let head = sequencer.storage().head().unwrap();
    let root = sequencer.storage().batch_info(batch).unwrap();

    let snapshot = sequencer.snapshot().unwrap();
    for round in 0..2 {
        rpc.increase_time(std::time::Duration::from_secs(5_000)).unwrap();
        sequencer.mine().await.unwrap();
        included(sequencer.storage(), waiting).await;
        let (other, raw) = Tx::new(2).sign(&key(0));
        sequencer.submit(raw).await.unwrap();
        sequencer.mine().await.unwrap();
        included(sequencer.storage(), other).await;
        sequencer.submit_priority_ops(vec![deposit(0, SINK, 5)], 10).unwrap();
        sequencer.mine().await.unwrap();
        until("the deposit", || sequencer.status().priority == (1, 1)).await;
        assert_eq!(sealed(&sequencer).await, batch + 1);

        let back = sequencer.clone();
        let to = &snapshot;
        tokio::task::block_in_place(|| back.rewind(to)).unwrap();
        assert_eq!(sequencer.storage().head().unwrap(), head, "round {round}");
        let status = sequencer.status();
        assert_eq!((status.batches.sealed, status.pooled, status.priority), (batch, 1, (0, 0)));
        assert_eq!(status.halted, None);
        assert_eq!(sequencer.storage().batch_info(batch).unwrap(), root);
        assert!(sequencer.storage().tx_location(other).unwrap().is_none());
        assert!(rpc.block(BlockRef::Number(head.header.number + 1)).unwrap().is_none());
    }
    // The clock went back as well, and the node's own setting of blocks did not.
    assert!(!rpc.automine().unwrap());
    let now = sequencer.mine().await.unwrap();
    let block = rpc.block(BlockRef::Hash(now)).unwrap().unwrap();
    assert!(block.header.timestamp < head.header.timestamp + 5_000);
    assert_eq!(sequencer.storage().block_number(now).unwrap(), Some(head.header.number + 1));
    included(sequencer.storage(), waiting).await;
    assert_eq!(sealed(&sequencer).await, batch + 1);
    // Who subscribed before hears of it.
    until("news of the block", || {
        std::iter::from_fn(|| blocks.try_recv().ok())
            .any(|e| format!("{e:?}").contains(&now.to_string()))
    })
    .await;

    // All of it holds after a start as well.
    let head = sequencer.storage().head().unwrap();
    drop((sequencer, rpc, snapshot));
    let mut settings = config();
    settings.block_time = BlockTime::Manual;
    let sequencer = start(dir.path(), settings);
    assert_eq!(sequencer.storage().head().unwrap(), head);
    assert_eq!(sequencer.status().pooled, 0);
}
