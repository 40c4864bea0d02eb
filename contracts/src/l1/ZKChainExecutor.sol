// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BatchHashing} from "../common/BatchHashing.sol";
import {MAX_BATCHES_PER_CALL} from "../common/Constants.sol";
import {IDAValidator} from "../interfaces/IDAValidator.sol";
import {IMessageRoot} from "../interfaces/IMessageRoot.sol";
import {IVerifier} from "../interfaces/IVerifier.sol";
import "./ZKChainBase.sol";

/// @title A batch's way: committed (data and claims are here), verified (a proof of the claims was accepted), executed (its messages count).
abstract contract ZKChainExecutor is ZKChainBase {
    /// @dev How far ahead of L1's clock a batch may claim to be.
    uint64 internal constant MAX_CLOCK_SKEW = 1 hours;
    /// @dev How long after a priority operation's deadline, by L1's clock, a batch that leaves it behind is still taken. L2's clock is the operator's own: without
    /// this, letting it stand still would put a deadline off by the whole of `maxBatchAge`.
    uint64 internal constant MAX_DEADLINE_LAG = 2 days;

    /// @inheritdoc IZKChain
    function commitBatches(StoredBatchInfo calldata prev, CommitBatchInfo[] calldata batches)
        external
        onlyValidator
        whenNotPaused
    {
        _checkRange(batches.length);
        uint256 committed = s.progress.committed;
        _checkStored(committed, prev);
        StoredBatchInfo memory last = prev;
        for (uint256 i = 0; i < batches.length; ++i) {
            last = _commit(last, batches[i]);
            bytes32 batchHash = BatchHashing.hash(last);
            s.storedBatchHashes[last.batchNumber] = batchHash;
            emit BlockCommit(last.batchNumber, batchHash, last.publicInput);
        }
        s.progress.committed = uint64(committed + batches.length);
    }

    /// @inheritdoc IZKChain
    function proveBatches(StoredBatchInfo calldata prev, StoredBatchInfo[] calldata batches, bytes calldata proof)
        external
        onlyValidator
        whenNotPaused
    {
        _checkRange(batches.length);
        Progress memory progress = s.progress;
        _checkStored(progress.verified, prev);
        uint256 newVerified = progress.verified + batches.length;
        if (newVerified > progress.committed) revert VerifyProofCommittedVerifiedMismatch();

        bytes32[] memory publicInputs = new bytes32[](batches.length);
        for (uint256 i = 0; i < batches.length; ++i) {
            _checkStored(progress.verified + 1 + i, batches[i]);
            publicInputs[i] = batches[i].publicInput;
        }
        if (!IVerifier(s.verifier).verify(publicInputs, proof)) revert InvalidProof();

        emit BlocksVerification(progress.verified, newVerified);
        s.progress.verified = uint64(newVerified);
    }

    /// @inheritdoc IZKChain
    function executeBatches(StoredBatchInfo[] calldata batches) external onlyValidator whenNotPaused {
        _checkRange(batches.length);
        Progress memory progress = s.progress;
        if (progress.executed + batches.length > progress.verified) revert CantExecuteUnprovenBatches();
        IMessageRoot messageRoot = IMessageRoot(s.messageRoot);
        for (uint256 i = 0; i < batches.length; ++i) {
            StoredBatchInfo calldata batch = batches[i];
            uint64 number = progress.executed + 1;
            bytes32 batchHash = _checkStored(number, batch);
            s.batchRoots[number] = batch.l2ToL1Root;
            progress.executed = number;
            progress.priorityProcessed = batch.priorityOpsCount;
            emit BlockExecution(number, batchHash, batch.publicInput);
            messageRoot.addChainBatchRoot(s.chainId, number, batch.l2ToL1Root);
        }
        s.progress = progress;
    }

    /// @inheritdoc IZKChain
    /// @dev Executed batches are final. The admin may revert too, so that a lost validator key cannot block an upgrade.
    function revertBatches(uint256 newLastBatch) external {
        if (!s.validators[msg.sender] && msg.sender != s.admin && msg.sender != IBridgehub(s.bridgehub).owner()) {
            revert Unauthorized(msg.sender);
        }
        Progress memory progress = s.progress;
        if (newLastBatch < progress.executed) revert CantRevertExecutedBatch();
        if (newLastBatch >= progress.committed) revert CantRevertToFutureBatch(progress.committed, newLastBatch);
        progress.committed = uint64(newLastBatch);
        if (progress.verified > newLastBatch) progress.verified = uint64(newLastBatch);
        s.progress = progress;
        emit BlocksRevert(progress.committed, progress.verified, progress.executed);
    }

    function _commit(StoredBatchInfo memory prev, CommitBatchInfo calldata b)
        private
        returns (StoredBatchInfo memory next)
    {
        if (b.batchNumber != prev.batchNumber + 1) revert BatchNumberMismatch(prev.batchNumber + 1, b.batchNumber);
        if (b.lastBlock <= prev.lastBlock) revert NonIncreasingBlocks(prev.lastBlock, b.lastBlock);
        if (b.operator == address(0)) revert ZeroOperator();
        if (b.l2ToL1Root == bytes32(0)) revert LocalRootIsZero();
        _checkTimestamps(prev.lastTimestamp, b);
        uint64 opsAfter = _checkPriorityOps(prev.priorityOpsCount, b);

        BatchHashing.Known memory known;
        known.protocolVersion = s.protocolVersion;
        known.programId = s.programId;
        known.chainId = s.chainId;
        known.priorityOpsHashAfter =
            b.priorityOpsCount == 0 ? prev.priorityOpsHashAfter : s.priorityRollingHashes[opsAfter];
        known.feeParamsHash = _checkFeeParams(b.baseFee, b.gasPerPubdata);
        known.chainConfigHash = s.configHash;
        known.daCommitment = IDAValidator(s.daValidator).checkDA(known.chainId, b.batchNumber, b.daInput);

        next = StoredBatchInfo({
            batchNumber: b.batchNumber,
            stateRoot: b.newStateRoot,
            leafCount: b.newLeafCount,
            lastBlock: b.lastBlock,
            lastBlockHash: b.lastBlockHash,
            lastTimestamp: b.lastTimestamp,
            priorityOpsCount: opsAfter,
            priorityOpsHashAfter: known.priorityOpsHashAfter,
            l2ToL1Root: b.l2ToL1Root,
            publicInput: BatchHashing.publicInput(prev, b, known)
        });
    }

    /// @dev Time never runs backwards on L2, and L1's clock bounds what an operator may claim.
    function _checkTimestamps(uint64 prevTimestamp, CommitBatchInfo calldata b) private view {
        if (b.firstTimestamp < prevTimestamp || b.lastTimestamp < b.firstTimestamp) revert TimestampError();
        if (b.lastTimestamp > block.timestamp + MAX_CLOCK_SKEW) {
            revert BatchTimestampInFuture(b.lastTimestamp, block.timestamp);
        }
        if (uint256(b.firstTimestamp) + s.maxBatchAge < block.timestamp) {
            revert BatchTimestampTooOld(b.firstTimestamp, block.timestamp);
        }
    }

    /// @dev Consumes from the queue in order, and refuses a batch that runs past the deadline of an operation that it leaves behind. The batch's own
    /// time counts, so that a batch sealed before the deadline can be committed later, for `MAX_DEADLINE_LAG`.
    function _checkPriorityOps(uint64 opsBefore, CommitBatchInfo calldata b) private view returns (uint64 opsAfter) {
        uint256 tail = s.priorityTail;
        uint256 wanted = uint256(opsBefore) + b.priorityOpsCount;
        if (wanted > tail) revert PriorityOpsOutOfQueue(tail, wanted);
        if (wanted < tail) {
            uint64 expiration = _priorityExpiration(wanted);
            // The owner has said that the chain was down for longer: what was sealed before can still be committed.
            uint256 lag = s.maxBatchAge > MAX_BATCH_AGE ? s.maxBatchAge : MAX_DEADLINE_LAG;
            if (expiration <= b.lastTimestamp || expiration + lag < block.timestamp) {
                revert PriorityOperationOverdue(wanted, expiration);
            }
        }
        return uint64(wanted);
    }

    /// @dev Batches built before a change of fees stay valid for a while.
    function _checkFeeParams(uint64 baseFee, uint64 gasPerPubdata) private view returns (bytes32 paramsHash) {
        paramsHash = BatchHashing.feeParamsHash(baseFee, gasPerPubdata);
        if (s.feeParamsValidUntil[paramsHash] < block.timestamp) revert FeeParamsNotCurrent(baseFee, gasPerPubdata);
    }

    function _checkStored(uint256 number, StoredBatchInfo calldata info) private view returns (bytes32 actual) {
        bytes32 expected = s.storedBatchHashes[number];
        actual = BatchHashing.hash(info);
        if (expected != actual) revert BatchHashMismatch(expected, actual);
    }

    function _checkRange(uint256 length) private pure {
        if (length == 0) revert EmptyBatchRange();
        if (length > MAX_BATCHES_PER_CALL) revert TooManyBatches(MAX_BATCHES_PER_CALL, length);
    }
}
