// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CommitBatchInfo, StoredBatchInfo} from "../interfaces/Types.sol";

/// @title The one number that a proof is about (ARCHITECTURE.md, "A batch's public input").
library BatchHashing {
    /// @dev What L1 knows without the operator.
    struct Known {
        uint256 protocolVersion;
        bytes32 programId;
        uint256 chainId;
        bytes32 priorityOpsHashAfter;
        bytes32 daCommitment;
        bytes32 feeParamsHash;
        bytes32 chainConfigHash;
    }

    function hash(StoredBatchInfo memory info) internal pure returns (bytes32) {
        return keccak256(abi.encode(info));
    }

    function feeParamsHash(uint64 baseFee, uint64 gasPerPubdata) internal pure returns (bytes32) {
        return keccak256(abi.encode(baseFee, gasPerPubdata));
    }

    function chainConfigHash(uint256 chainId, uint256 settlementChainId, bytes32 baseTokenAssetId, uint8 daPolicy)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(chainId, settlementChainId, baseTokenAssetId, daPolicy));
    }

    function publicInput(StoredBatchInfo memory prev, CommitBatchInfo calldata b, Known memory k)
        internal
        pure
        returns (bytes32)
    {
        bytes32[23] memory w;
        w[0] = bytes32(k.protocolVersion);
        w[1] = k.programId;
        w[2] = bytes32(k.chainId);
        w[3] = bytes32(uint256(b.batchNumber));
        w[4] = bytes32(uint256(prev.lastBlock) + 1);
        w[5] = bytes32(uint256(b.lastBlock));
        w[6] = bytes32(uint256(b.firstTimestamp));
        w[7] = bytes32(uint256(b.lastTimestamp));
        w[8] = prev.stateRoot;
        w[9] = bytes32(uint256(prev.leafCount));
        w[10] = prev.lastBlockHash;
        w[11] = b.newStateRoot;
        w[12] = bytes32(uint256(b.newLeafCount));
        w[13] = b.lastBlockHash;
        w[14] = bytes32(uint256(b.priorityOpsCount));
        w[15] = prev.priorityOpsHashAfter;
        w[16] = k.priorityOpsHashAfter;
        w[17] = b.l2ToL1Root;
        w[18] = k.daCommitment;
        // w[19]: no chain imports roots yet.
        w[20] = k.feeParamsHash;
        w[21] = bytes32(uint256(uint160(b.operator)));
        w[22] = k.chainConfigHash;
        return keccak256(abi.encode(w));
    }
}
