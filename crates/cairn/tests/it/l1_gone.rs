//! SIGKILL for the L1 of a node under load: the node serves on, and when L1 is back everything becomes final without a hand being lifted.

use std::time::Duration;

use alloy_primitives::{Address, U256};

use crate::{
    kill::{assert_three_transactions, counters},
    load::{Load, all_included, finalized},
    recover::deposit,
    world::{Up, free_port, start_l1, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_by_itself_after_its_l1_was_killed_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let (l1_dir, port) = (dir.path().join("l1"), free_port());
    let (mut process, l1) = start_l1(&l1_dir, port).await;
    let up = Up::start(&dir.path().join("node"), Some(l1.url()));
    let (chain, l2) = (up.address("/chain/address"), up.l2().await);
    let (friend, depositor) = (Address::repeat_byte(0x54), Address::repeat_byte(0x55));
    let load = Load::start(&up, &[0, 1], friend).await;
    let mut deposited = 0;
    // Gone for a moment, and for longer than a question is repeated.
    for outage in [Duration::from_millis(200), Duration::from_secs(4)] {
        let before = counters(&l1, chain).await;
        until("a further commit", || async {
            (counters(&l1, chain).await[0] > before[0]).then_some(())
        })
        .await;
        // Nobody has taken it from L1 when that is killed, or hardly.
        deposit(&up, depositor).await;
        deposited += 777;
        let known = counters(&l1, chain).await;
        process.kill();
        let end = tokio::time::Instant::now() + outage;
        load.more(20).await;
        tokio::time::sleep_until(end).await;
        process = start_l1(&l1_dir, port).await.0;
        let kept = counters(&l1, chain).await;
        assert!(kept.iter().zip(known).all(|(now, then)| *now >= then), "{kept:?} of {known:?}");
        until("a commit after the outage", || async {
            (counters(&l1, chain).await[0] > kept[0]).then_some(())
        })
        .await;
    }
    let payments = load.stop().await;
    let last = all_included(&l2, &payments).await;
    until("the deposits", || async {
        (l2.balance(depositor).await.unwrap() == U256::from(deposited)).then_some(())
    })
    .await;
    finalized(&l2, last).await;
    assert_eq!(l2.balance(friend).await.unwrap(), U256::from(payments.len()));
    let executed = counters(&l1, chain).await[2];
    assert_three_transactions(&l2, &l1, executed).await;
    drop(process);
}
