// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./utils/Fixture.sol";

contract BatchesTest is Fixture {
    bytes32 private constant ROOT = keccak256("root");

    function _expectCommitRevert(CommitBatchInfo memory b, bytes memory expected) private {
        vm.prank(VALIDATOR);
        assertRevert(address(chain), abi.encodeCall(IZKChain.commitBatches, (last[CHAIN], _one(b))), expected);
    }

    function test_one_batch_goes_its_way() public {
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory b = _commit(CHAIN, _batch(CHAIN, 0, ROOT));
        assertEq(chain.storedBatchHash(1), keccak256(abi.encode(b)), "stored hash");
        assertEq(chain.getTotalBatchesCommitted(), 1, "committed");
        assertEq(chain.l2LogsRootHash(1), 0, "no root before execution");
        _prove(CHAIN, genesis, b);
        assertEq(chain.getTotalBatchesVerified(), 1, "verified");
        _execute(CHAIN, b);
        assertEq(chain.getTotalBatchesExecuted(), 1, "executed");
        assertEq(chain.l2LogsRootHash(1), ROOT, "root");
        assertEq(messageRoot.chainBatchRoot(CHAIN, 1), ROOT, "message root");
        assertEq(
            messageRoot.chainRollingHash(CHAIN), keccak256(abi.encode(bytes32(0), uint256(1), ROOT)), "rolling hash"
        );
    }

    function test_a_range_is_committed_proven_and_executed_at_once() public {
        _depositEth(CHAIN, ALICE, 1 ether);
        _depositEth(CHAIN, ALICE, 2 ether);
        StoredBatchInfo memory genesis = last[CHAIN];
        CommitBatchInfo[] memory commits = new CommitBatchInfo[](3);
        StoredBatchInfo[] memory stored = new StoredBatchInfo[](3);
        for (uint64 i = 0; i < 3; ++i) {
            commits[i] = _batch(CHAIN, i == 1 ? 2 : 0, keccak256(abi.encode(i)));
            stored[i] = _stored(CHAIN, last[CHAIN], commits[i]);
            last[CHAIN] = stored[i];
        }
        bytes memory proof = _sign(ATTESTER_KEY, stored);
        vm.startPrank(VALIDATOR);
        chain.commitBatches(genesis, commits);
        chain.proveBatches(genesis, stored, proof);
        chain.executeBatches(stored);
        vm.stopPrank();
        assertEq(chain.getTotalBatchesExecuted(), 3, "executed");
        assertEq(chain.getFirstUnprocessedPriorityTx(), 2, "operations processed");
        assertEq(chain.getPriorityQueueSize(), 0, "queue is empty");
    }

    /// Only the validator role commits, proves and executes.
    function testFuzz_only_validators(address caller) public {
        vm.assume(caller != VALIDATOR);
        StoredBatchInfo memory prev = last[CHAIN];
        CommitBatchInfo memory b = _batch(CHAIN, 0, ROOT);
        bytes memory denied = abi.encodeWithSelector(Unauthorized.selector, caller);
        vm.startPrank(caller);
        assertRevert(address(chain), abi.encodeCall(IZKChain.commitBatches, (prev, _one(b))), denied);
        assertRevert(address(chain), abi.encodeCall(IZKChain.proveBatches, (prev, _one(prev), "")), denied);
        assertRevert(address(chain), abi.encodeCall(IZKChain.executeBatches, (_one(prev))), denied);
        if (caller != ADMIN && caller != address(timelock)) {
            assertRevert(address(chain), abi.encodeCall(IZKChain.revertBatches, (0)), denied);
        }
        vm.stopPrank();
    }

    function test_the_admin_is_no_validator_and_names_them() public {
        vm.prank(ADMIN);
        chain.setValidator(BOB, true);
        StoredBatchInfo memory prev = last[CHAIN];
        vm.prank(BOB);
        chain.commitBatches(prev, _one(_batch(CHAIN, 0, ROOT)));
        vm.prank(ADMIN);
        chain.setValidator(BOB, false);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, BOB));
        chain.revertBatches(0);
        vm.prank(VALIDATOR);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, VALIDATOR));
        chain.setValidator(BOB, true);
    }

    // Order

    function test_nothing_executes_unproven() public {
        StoredBatchInfo memory b = _commit(CHAIN, _batch(CHAIN, 0, ROOT));
        vm.prank(VALIDATOR);
        vm.expectRevert(CantExecuteUnprovenBatches.selector);
        chain.executeBatches(_one(b));
    }

    function test_nothing_executes_out_of_order_or_twice() public {
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory first = _commit(CHAIN, _batch(CHAIN, 0, ROOT));
        StoredBatchInfo memory second = _commit(CHAIN, _batch(CHAIN, 0, keccak256("2")));
        _prove(CHAIN, genesis, first);
        _prove(CHAIN, first, second);
        bytes32 firstHash = keccak256(abi.encode(first));
        bytes32 secondHash = keccak256(abi.encode(second));
        vm.startPrank(VALIDATOR);
        vm.expectRevert(abi.encodeWithSelector(BatchHashMismatch.selector, firstHash, secondHash));
        chain.executeBatches(_one(second));
        chain.executeBatches(_one(first));
        vm.expectRevert(abi.encodeWithSelector(BatchHashMismatch.selector, secondHash, firstHash));
        chain.executeBatches(_one(first));
        chain.executeBatches(_one(second));
        vm.expectRevert(CantExecuteUnprovenBatches.selector);
        chain.executeBatches(_one(second));
        vm.stopPrank();
    }

    function test_nothing_is_proven_uncommitted_out_of_order_or_twice() public {
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory first = _stored(CHAIN, genesis, _batch(CHAIN, 0, ROOT));
        bytes memory proof = _sign(ATTESTER_KEY, _one(first));
        vm.startPrank(VALIDATOR);
        vm.expectRevert(VerifyProofCommittedVerifiedMismatch.selector);
        chain.proveBatches(genesis, _one(first), proof);
        vm.stopPrank();
        _commit(CHAIN, _batch(CHAIN, 0, ROOT));
        StoredBatchInfo memory second = _commit(CHAIN, _batch(CHAIN, 0, keccak256("2")));
        bytes memory secondProof = _sign(ATTESTER_KEY, _one(second));
        vm.startPrank(VALIDATOR);
        vm.expectRevert(
            abi.encodeWithSelector(BatchHashMismatch.selector, keccak256(abi.encode(first)), keccak256(abi.encode(second)))
        );
        chain.proveBatches(genesis, _one(second), secondProof);
        chain.proveBatches(genesis, _one(first), proof);
        vm.expectRevert(
            abi.encodeWithSelector(BatchHashMismatch.selector, keccak256(abi.encode(first)), keccak256(abi.encode(genesis)))
        );
        chain.proveBatches(genesis, _one(first), proof);
        vm.stopPrank();
    }

    function test_a_proof_for_other_batches_is_refused() public {
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory first = _commit(CHAIN, _batch(CHAIN, 0, ROOT));
        StoredBatchInfo memory lie = _stored(CHAIN, genesis, _batch(CHAIN, 0, keccak256("other")));
        bytes memory proof = _sign(ATTESTER_KEY, _one(lie));
        vm.prank(VALIDATOR);
        vm.expectRevert();
        chain.proveBatches(genesis, _one(first), proof);
        // A verifier that answers `false` is refused too.
        bytes memory good = _sign(ATTESTER_KEY, _one(first));
        vm.mockCall(address(verifier), abi.encodeWithSelector(verifier.verify.selector), abi.encode(false));
        vm.prank(VALIDATOR);
        vm.expectRevert(InvalidProof.selector);
        chain.proveBatches(genesis, _one(first), good);
    }

    /// The same batch on two chains: what is proven of one says nothing of the other, nor does it a second time of the same.
    function test_another_chains_proof_is_refused() public {
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory otherGenesis = last[OTHER_CHAIN];
        CommitBatchInfo memory b = _batch(CHAIN, 0, ROOT);
        StoredBatchInfo memory ours = _commit(CHAIN, b);
        StoredBatchInfo memory theirs = _commit(OTHER_CHAIN, b);
        assertEq(ours.stateRoot, theirs.stateRoot, "they differ in nothing but the chain");
        assertTrue(ours.publicInput != theirs.publicInput, "the public input names the chain");
        bytes memory proof = _sign(ATTESTER_KEY, _one(ours));
        vm.startPrank(VALIDATOR);
        vm.expectRevert();
        otherChain.proveBatches(otherGenesis, _one(theirs), proof);
        vm.expectRevert(
            abi.encodeWithSelector(
                BatchHashMismatch.selector, keccak256(abi.encode(theirs)), keccak256(abi.encode(ours))
            )
        );
        otherChain.proveBatches(otherGenesis, _one(ours), proof);
        chain.proveBatches(genesis, _one(ours), proof);
        vm.stopPrank();
        // The next batch, with the same contents, needs a proof of its own.
        StoredBatchInfo memory next = _commit(CHAIN, _batch(CHAIN, 0, ROOT));
        vm.startPrank(VALIDATOR);
        vm.expectRevert();
        chain.proveBatches(ours, _one(next), proof);
        vm.stopPrank();
        assertEq(chain.getTotalBatchesVerified(), 1, "one proof, one batch");
        assertEq(otherChain.getTotalBatchesVerified(), 0, "none");
    }

    /// An execution from a state that is not the last one's end is another claim, whatever it comes to.
    function test_a_proof_from_a_stale_state_is_refused() public {
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory first = _settle(CHAIN, 0, ROOT);
        CommitBatchInfo memory b = _batch(CHAIN, 0, keccak256("2"));
        StoredBatchInfo memory stale = first;
        bytes32[4] memory claims;
        claims[0] = _publicInput(CHAIN, first, b, first.priorityOpsHashAfter);
        (stale.stateRoot, stale.leafCount) = (genesis.stateRoot, genesis.leafCount);
        claims[1] = _publicInput(CHAIN, stale, b, first.priorityOpsHashAfter);
        stale = last[CHAIN];
        stale.lastBlockHash = genesis.lastBlockHash;
        claims[2] = _publicInput(CHAIN, stale, b, first.priorityOpsHashAfter);
        claims[3] = _publicInput(CHAIN, genesis, b, first.priorityOpsHashAfter);
        StoredBatchInfo memory before = last[CHAIN];
        StoredBatchInfo memory stored = _commit(CHAIN, b);
        for (uint256 i = 1; i < 4; ++i) {
            bytes32[] memory inputs = new bytes32[](1);
            inputs[0] = claims[i];
            bytes memory proof = _signInputs(ATTESTER_KEY, verifier, inputs);
            vm.startPrank(VALIDATOR);
            vm.expectRevert();
            chain.proveBatches(before, _one(stored), proof);
            // Nor does it help to name the stale claim: L1 made its own.
            StoredBatchInfo memory lie = abi.decode(abi.encode(stored), (StoredBatchInfo));
            lie.publicInput = claims[i];
            vm.expectRevert();
            chain.proveBatches(before, _one(lie), proof);
            vm.stopPrank();
        }
        // On top of a batch that is not the last one proven.
        bytes memory good = _sign(ATTESTER_KEY, _one(stored));
        vm.startPrank(VALIDATOR);
        vm.expectRevert(
            abi.encodeWithSelector(
                BatchHashMismatch.selector, keccak256(abi.encode(before)), keccak256(abi.encode(genesis))
            )
        );
        chain.proveBatches(genesis, _one(stored), good);
        chain.proveBatches(before, _one(stored), good);
        vm.stopPrank();
        assertEq(stored.publicInput, claims[0], "L1's own claim");
    }

    function test_empty_and_huge_ranges_are_refused() public {
        StoredBatchInfo memory genesis = last[CHAIN];
        vm.startPrank(VALIDATOR);
        vm.expectRevert(EmptyBatchRange.selector);
        chain.commitBatches(genesis, new CommitBatchInfo[](0));
        vm.expectRevert(EmptyBatchRange.selector);
        chain.proveBatches(genesis, new StoredBatchInfo[](0), "");
        vm.expectRevert(EmptyBatchRange.selector);
        chain.executeBatches(new StoredBatchInfo[](0));
        vm.expectRevert(abi.encodeWithSelector(TooManyBatches.selector, 64, 65));
        chain.executeBatches(new StoredBatchInfo[](65));
        vm.stopPrank();
    }

    // Reverts

    function test_batches_not_executed_can_be_reverted_and_replaced() public {
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory first = _settle(CHAIN, 0, ROOT);
        StoredBatchInfo memory second = _commit(CHAIN, _batch(CHAIN, 0, keccak256("2")));
        _prove(CHAIN, first, second);
        _commit(CHAIN, _batch(CHAIN, 0, keccak256("3")));
        vm.startPrank(VALIDATOR);
        vm.expectRevert(CantRevertExecutedBatch.selector);
        chain.revertBatches(0);
        vm.expectRevert(abi.encodeWithSelector(CantRevertToFutureBatch.selector, 3, 3));
        chain.revertBatches(3);
        chain.revertBatches(1);
        vm.expectRevert(CantExecuteUnprovenBatches.selector);
        chain.executeBatches(_one(second));
        vm.stopPrank();
        assertEq(chain.getTotalBatchesVerified(), 1, "verified falls back");
        assertEq(chain.storedBatchHash(2), 0, "a reverted batch is gone");
        last[CHAIN] = first;
        _settle(CHAIN, 0, keccak256("2b"));
        assertEq(chain.l2LogsRootHash(2), keccak256("2b"), "the other batch took its place");
        genesis;
    }

    /// A reverted batch gives its priority operations back.
    function test_reverted_operations_are_consumed_again() public {
        _depositEth(CHAIN, ALICE, 1 ether);
        StoredBatchInfo memory genesis = last[CHAIN];
        _commit(CHAIN, _batch(CHAIN, 1, ROOT));
        vm.prank(ADMIN);
        chain.revertBatches(0);
        last[CHAIN] = genesis;
        assertEq(chain.getPriorityQueueSize(), 1, "still queued");
        _settle(CHAIN, 1, keccak256("again"));
        assertEq(chain.getPriorityQueueSize(), 0, "processed once");
    }

    // Rules of a commit

    function test_a_batch_follows_its_predecessor() public {
        CommitBatchInfo memory b = _batch(CHAIN, 0, ROOT);
        b.batchNumber = 2;
        _expectCommitRevert(b, abi.encodeWithSelector(BatchNumberMismatch.selector, 1, 2));
        b = _batch(CHAIN, 0, ROOT);
        b.lastBlock = 0;
        _expectCommitRevert(b, abi.encodeWithSelector(NonIncreasingBlocks.selector, 0, 0));
        b = _batch(CHAIN, 0, ROOT);
        b.operator = address(0);
        _expectCommitRevert(b, abi.encodeWithSelector(ZeroOperator.selector));
        b = _batch(CHAIN, 0, bytes32(0));
        _expectCommitRevert(b, abi.encodeWithSelector(LocalRootIsZero.selector));
    }

    /// A batch cannot start from a state that is not the last committed one: any change to any field of `prev` is noticed.
    function testFuzz_a_corrupt_predecessor_is_refused(uint256 field, uint256 noise) public {
        _settle(CHAIN, 0, ROOT);
        StoredBatchInfo memory prev = _corrupt(last[CHAIN], field % 10, noise);
        CommitBatchInfo memory b = _batch(CHAIN, 0, ROOT);
        b.batchNumber = prev.batchNumber + 1;
        bytes32 honest = keccak256(abi.encode(last[CHAIN]));
        vm.startPrank(VALIDATOR);
        bytes memory mismatch =
            abi.encodeWithSelector(BatchHashMismatch.selector, honest, keccak256(abi.encode(prev)));
        assertRevert(address(chain), abi.encodeCall(IZKChain.commitBatches, (prev, _one(b))), mismatch);
        vm.stopPrank();
    }

    /// The same for every field of what is executed.
    function testFuzz_a_corrupt_batch_is_not_executed(uint256 field, uint256 noise) public {
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory b = _commit(CHAIN, _batch(CHAIN, 0, ROOT));
        _prove(CHAIN, genesis, b);
        StoredBatchInfo memory bad = _corrupt(b, field % 10, noise);
        bytes memory mismatch = abi.encodeWithSelector(
            BatchHashMismatch.selector, keccak256(abi.encode(b)), keccak256(abi.encode(bad))
        );
        vm.prank(VALIDATOR);
        assertRevert(address(chain), abi.encodeCall(IZKChain.executeBatches, (_one(bad))), mismatch);
    }

    function _corrupt(StoredBatchInfo memory b, uint256 field, uint256 noise)
        private
        pure
        returns (StoredBatchInfo memory)
    {
        uint64 n = uint64(noise) == 0 ? 1 : uint64(noise);
        bytes32 w = bytes32(uint256(n));
        StoredBatchInfo memory c = abi.decode(abi.encode(b), (StoredBatchInfo));
        if (field == 0) c.batchNumber ^= n;
        else if (field == 1) c.stateRoot ^= w;
        else if (field == 2) c.leafCount ^= n;
        else if (field == 3) c.lastBlock ^= n;
        else if (field == 4) c.lastBlockHash ^= w;
        else if (field == 5) c.lastTimestamp ^= n;
        else if (field == 6) c.priorityOpsCount ^= n;
        else if (field == 7) c.priorityOpsHashAfter ^= w;
        else if (field == 8) c.l2ToL1Root ^= w;
        else c.publicInput ^= w;
        return c;
    }

    /// Whatever the operator says enters the public input: change one field, and either the commit is refused or the number is another.
    function testFuzz_every_claim_is_bound(uint256 field, uint256 noise) public {
        for (uint256 i = 0; i < 4; ++i) {
            _depositEth(CHAIN, ALICE, 1 ether);
        }
        CommitBatchInfo memory honest = _batch(CHAIN, 2, ROOT);
        bytes32 expected = _stored(CHAIN, last[CHAIN], honest).publicInput;
        CommitBatchInfo memory lie = _lie(honest, field % 13, noise);
        vm.recordLogs();
        vm.prank(VALIDATOR);
        (bool ok,) = address(chain).call(abi.encodeCall(IZKChain.commitBatches, (last[CHAIN], _one(lie))));
        if (!ok) return;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs[0].topics[0], IZKChain.BlockCommit.selector, "event");
        assertNotEq(logs[0].topics[3], expected, "the claim is not bound");
    }

    function _lie(CommitBatchInfo memory b, uint256 field, uint256 noise)
        private
        pure
        returns (CommitBatchInfo memory c)
    {
        uint64 n = uint64(bound(noise, 1, 2));
        bytes32 w = bytes32(noise == 0 ? 1 : noise);
        c = abi.decode(abi.encode(b), (CommitBatchInfo));
        if (field == 0) c.batchNumber += n;
        else if (field == 1) c.lastBlock += n;
        else if (field == 2) c.firstTimestamp -= n;
        else if (field == 3) c.lastTimestamp += n;
        else if (field == 4) c.newStateRoot ^= w;
        else if (field == 5) c.newLeafCount += n;
        else if (field == 6) c.lastBlockHash ^= w;
        else if (field == 7) c.priorityOpsCount = noise % 2 == 0 ? 1 : 3;
        else if (field == 8) c.l2ToL1Root ^= w;
        else if (field == 9) c.baseFee += n;
        else if (field == 10) c.gasPerPubdata += n;
        else if (field == 11) c.operator = address(uint160(c.operator) ^ uint160(n));
        else c.daInput = abi.encodePacked(hex"00c0ffef", w);
    }

    /// The contract's number is the one computed word by word.
    function test_public_input_is_what_the_architecture_says() public {
        _depositEth(CHAIN, ALICE, 1 ether);
        CommitBatchInfo memory b = _batch(CHAIN, 1, ROOT);
        StoredBatchInfo memory expected = _stored(CHAIN, last[CHAIN], b);
        vm.expectEmit(address(chain));
        emit IZKChain.BlockCommit(1, keccak256(abi.encode(expected)), expected.publicInput);
        _commit(CHAIN, b);
    }

    /// The same batch on another chain has another public input.
    function test_public_input_is_of_one_chain() public {
        bytes32 here = _commit(CHAIN, _batch(CHAIN, 0, ROOT)).publicInput;
        CommitBatchInfo memory b = _batch(OTHER_CHAIN, 0, ROOT);
        b.newStateRoot = keccak256(abi.encode("state", CHAIN, uint64(1)));
        b.lastBlockHash = keccak256(abi.encode("block", CHAIN, uint64(1)));
        assertNotEq(here, _commit(OTHER_CHAIN, b).publicInput, "chains differ");
    }

    // Time

    function test_time_is_bounded_by_l1() public {
        CommitBatchInfo memory b = _batch(CHAIN, 0, ROOT);
        b.firstTimestamp = GENESIS_TIME - 1;
        _expectCommitRevert(b, abi.encodeWithSelector(TimestampError.selector));
        b = _batch(CHAIN, 0, ROOT);
        b.lastTimestamp = b.firstTimestamp - 1;
        _expectCommitRevert(b, abi.encodeWithSelector(TimestampError.selector));
        b = _batch(CHAIN, 0, ROOT);
        b.lastTimestamp = uint64(block.timestamp) + 1 hours + 1;
        _expectCommitRevert(
            b, abi.encodeWithSelector(BatchTimestampInFuture.selector, b.lastTimestamp, block.timestamp)
        );
        b.lastTimestamp -= 1;
        b.firstTimestamp = uint64(block.timestamp);
        vm.warp(block.timestamp + 30 days + 1);
        _expectCommitRevert(b, abi.encodeWithSelector(BatchTimestampTooOld.selector, b.firstTimestamp, block.timestamp));
        vm.prank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(ValueOutOfBounds.selector, 31 days, 1 days, 30 days));
        chain.setMaxBatchAge(31 days);
        vm.prank(address(timelock));
        chain.setMaxBatchAge(31 days);
        vm.prank(VALIDATOR);
        chain.commitBatches(last[CHAIN], _one(b));
    }

    // Priority operations

    function test_operations_beyond_the_queue_are_refused() public {
        _depositEth(CHAIN, ALICE, 1 ether);
        CommitBatchInfo memory b = _batch(CHAIN, 2, ROOT);
        _expectCommitRevert(b, abi.encodeWithSelector(PriorityOpsOutOfQueue.selector, 1, 2));
        b.priorityOpsCount = type(uint64).max;
        _expectCommitRevert(b, abi.encodeWithSelector(PriorityOpsOutOfQueue.selector, 1, type(uint64).max));
    }

    function test_an_operation_past_its_deadline_is_forced() public {
        _depositEth(CHAIN, ALICE, 1 ether);
        uint64 expiration = chain.priorityOpExpiration(0);
        assertEq(expiration, block.timestamp + 3 days, "three days");
        CommitBatchInfo memory early = _batch(CHAIN, 0, ROOT);
        early.lastTimestamp = expiration - 1;
        vm.warp(expiration + 10);
        CommitBatchInfo memory late = _batch(CHAIN, 0, ROOT);
        _expectCommitRevert(late, abi.encodeWithSelector(PriorityOperationOverdue.selector, 0, expiration));
        // What was sealed before the deadline is still welcome; the next one must consume the operation.
        early.firstTimestamp = expiration - 2;
        _commit(CHAIN, early);
        late = _batch(CHAIN, 0, keccak256("2"));
        _expectCommitRevert(late, abi.encodeWithSelector(PriorityOperationOverdue.selector, 0, expiration));
        late.priorityOpsCount = 1;
        _commit(CHAIN, late);
    }

    function test_a_slow_l2_clock_does_not_put_a_deadline_off() public {
        _depositEth(CHAIN, ALICE, 1 ether);
        uint64 expiration = chain.priorityOpExpiration(0);
        CommitBatchInfo memory b = _batch(CHAIN, 0, ROOT);
        // By its own clock the batch is from before the deadline, and it is not too old for `maxBatchAge`.
        b.firstTimestamp = expiration - 2;
        b.lastTimestamp = expiration - 1;
        vm.warp(uint256(expiration) + 2 days + 1);
        _expectCommitRevert(b, abi.encodeWithSelector(PriorityOperationOverdue.selector, 0, expiration));
        vm.warp(uint256(expiration) + 2 days);
        _commit(CHAIN, b);
        // The next one, just as slow, is too late unless it consumes the operation.
        vm.warp(uint256(expiration) + 2 days + 1);
        b = _batch(CHAIN, 0, keccak256("2"));
        (b.firstTimestamp, b.lastTimestamp) = (expiration - 1, expiration - 1);
        _expectCommitRevert(b, abi.encodeWithSelector(PriorityOperationOverdue.selector, 0, expiration));
        b.priorityOpsCount = 1;
        _commit(CHAIN, b);
    }

    function test_what_was_sealed_before_a_long_outage_is_taken_when_the_owner_says_so() public {
        _depositEth(CHAIN, ALICE, 1 ether);
        uint64 expiration = chain.priorityOpExpiration(0);
        CommitBatchInfo memory b = _batch(CHAIN, 0, ROOT);
        (b.firstTimestamp, b.lastTimestamp) = (expiration - 2, expiration - 1);
        vm.warp(uint256(expiration) + 20 days);
        _expectCommitRevert(b, abi.encodeWithSelector(PriorityOperationOverdue.selector, 0, expiration));
        // The admin's own bound does not help.
        vm.prank(ADMIN);
        chain.setMaxBatchAge(30 days);
        _expectCommitRevert(b, abi.encodeWithSelector(PriorityOperationOverdue.selector, 0, expiration));
        vm.prank(address(timelock));
        chain.setMaxBatchAge(31 days);
        // By L2's own clock a deadline counts all the same.
        CommitBatchInfo memory late = _batch(CHAIN, 0, ROOT);
        (late.firstTimestamp, late.lastTimestamp) = (expiration, expiration);
        _expectCommitRevert(late, abi.encodeWithSelector(PriorityOperationOverdue.selector, 0, expiration));
        _commit(CHAIN, b);
    }

    function test_rolling_hash_of_the_queue() public {
        bytes32 expected = keccak256("");
        assertEq(chain.priorityOpsRollingHash(0), expected, "empty");
        for (uint256 i = 0; i < 5; ++i) {
            bytes32 hash = _depositEth(CHAIN, ALICE, i + 1);
            expected = keccak256(abi.encodePacked(expected, hash));
            assertEq(chain.priorityOpsRollingHash(i + 1), expected, "rolling");
            assertEq(chain.priorityOpExpiration(i), block.timestamp + 3 days, "expiration");
        }
        assertEq(chain.getTotalPriorityTxs(), 5, "total");
    }

    // Fees

    function test_old_fee_params_stay_valid_for_a_day() public {
        vm.prank(ADMIN);
        chain.setFeeParams(2 * BASE_FEE, 50);
        _commit(CHAIN, _batch(CHAIN, 0, ROOT));
        CommitBatchInfo memory b = _batch(CHAIN, 0, ROOT);
        (b.baseFee, b.gasPerPubdata) = (2 * BASE_FEE, 50);
        _commit(CHAIN, b);
        vm.warp(block.timestamp + 1 days + 1);
        _expectCommitRevert(
            _batch(CHAIN, 0, ROOT), abi.encodeWithSelector(FeeParamsNotCurrent.selector, BASE_FEE, GAS_PER_PUBDATA)
        );
        vm.prank(ADMIN);
        chain.setFeeParams(BASE_FEE, GAS_PER_PUBDATA);
        _commit(CHAIN, _batch(CHAIN, 0, ROOT));
    }

    function testFuzz_fee_params_are_bounded(uint64 baseFee, uint64 gasPerPubdata) public {
        bool good = baseFee >= 1 && baseFee <= 1e16 && gasPerPubdata >= 1 && gasPerPubdata <= 800;
        vm.prank(ADMIN);
        (bool ok,) = address(chain).call(abi.encodeCall(IZKChain.setFeeParams, (baseFee, gasPerPubdata)));
        assertTrue(ok == good, "bounds");
        vm.prank(VALIDATOR);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, VALIDATOR));
        chain.setFeeParams(BASE_FEE, GAS_PER_PUBDATA);
    }

    function test_setters_are_bounded() public {
        vm.startPrank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(ValueOutOfBounds.selector, 65, 0, 64));
        chain.setL1GasPerPubdataByte(65);
        vm.expectRevert(abi.encodeWithSelector(ValueOutOfBounds.selector, 0, 1, type(uint128).max));
        chain.setTokenMultiplier(1, 0);
        vm.expectRevert(abi.encodeWithSelector(ValueOutOfBounds.selector, 1 hours, 1 days, 30 days));
        chain.setMaxBatchAge(1 hours);
        chain.setL1GasPerPubdataByte(16);
        chain.setTokenMultiplier(3, 2);
        vm.stopPrank();
        // base fee + ceil(gas price * 16 * 3 / (100 * 2))
        uint256 price = BASE_FEE + (uint256(1 gwei) * 16 * 3 + 199) / 200;
        assertEq(bridgehub.l2TransactionBaseCost(CHAIN, 1 gwei, 1000, 800), price * 1000, "price");
    }

    // Pause and admin

    function test_pause_stops_requests_and_batches() public {
        StoredBatchInfo memory prev = last[CHAIN];
        vm.prank(ADMIN);
        chain.pause();
        L2TransactionRequestDirect memory request = _direct(CHAIN, ALICE, 1 ether);
        vm.prank(ALICE, ALICE);
        vm.expectRevert(ChainPaused.selector);
        bridgehub.requestL2TransactionDirect{value: request.mintValue}(request);
        _expectCommitRevert(_batch(CHAIN, 0, ROOT), abi.encodeWithSelector(ChainPaused.selector));
        vm.prank(ADMIN);
        chain.unpause();
        vm.prank(address(timelock));
        chain.pause();
        vm.prank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, ADMIN));
        chain.unpause();
        vm.prank(address(timelock));
        chain.unpause();
        _settle(CHAIN, 0, ROOT);
        prev;
    }

    function test_admin_changes_hands_in_two_steps() public {
        vm.prank(ADMIN);
        chain.setPendingAdmin(BOB);
        assertEq(chain.getAdmin(), ADMIN, "not yet");
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, ALICE));
        chain.acceptAdmin();
        vm.prank(BOB);
        chain.acceptAdmin();
        assertEq(chain.getAdmin(), BOB, "now");
        assertEq(chain.getPendingAdmin(), address(0), "done");
    }

    function test_protocol_upgrade_waits_for_proofs() public {
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory b = _commit(CHAIN, _batch(CHAIN, 0, ROOT));
        vm.prank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(BatchesInFlight.selector, 1, 0));
        chain.upgradeProtocol(2, keccak256("new"), address(verifier));
        _prove(CHAIN, genesis, b);
        vm.prank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, ADMIN));
        chain.upgradeProtocol(2, keccak256("new"), address(verifier));
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(NotAContract.selector, BOB));
        chain.upgradeProtocol(2, keccak256("new"), BOB);
        chain.upgradeProtocol(2, keccak256("new"), address(verifier));
        vm.stopPrank();
        assertEq(chain.getProgramId(), keccak256("new"), "program");
        _execute(CHAIN, b);
    }
}
