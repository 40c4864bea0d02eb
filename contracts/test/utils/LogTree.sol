// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {L2Log} from "../../src/interfaces/Types.sol";

/// @dev A second implementation of a batch's log tree, straight from ARCHITECTURE.md.
library LogTree {
    uint256 internal constant DEPTH = 14;

    function leaf(L2Log memory log) internal pure returns (bytes32) {
        bytes memory packed = abi.encodePacked(
            log.l2ShardId, log.isService, log.txNumberInBatch, log.sender, log.key, log.value
        );
        require(packed.length == 88, "a log has 88 bytes");
        return keccak256(packed);
    }

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        (bytes32 r,) = walk(leaves, 0);
        return r;
    }

    function batchRoot(bytes32[] memory leaves) internal pure returns (bytes32) {
        return keccak256(abi.encode(root(leaves), bytes32(0)));
    }

    function proof(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory out) {
        (, bytes32[] memory path) = walk(leaves, index);
        out = new bytes32[](DEPTH + 2);
        out[0] = bytes32(hex"010f0001");
        for (uint256 i = 0; i < DEPTH; ++i) {
            out[i + 1] = path[i];
        }
        out[DEPTH + 1] = bytes32(0);
    }

    function walk(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32, bytes32[] memory path) {
        path = new bytes32[](DEPTH);
        bytes32 empty = keccak256(new bytes(88));
        bytes32[] memory level = leaves;
        for (uint256 h = 0; h < DEPTH; ++h) {
            uint256 sibling = index ^ 1;
            path[h] = sibling < level.length ? level[sibling] : empty;
            bytes32[] memory next = new bytes32[]((level.length + 1) / 2);
            for (uint256 i = 0; i < next.length; ++i) {
                bytes32 right = 2 * i + 1 < level.length ? level[2 * i + 1] : empty;
                next[i] = keccak256(abi.encode(level[2 * i], right));
            }
            empty = keccak256(abi.encode(empty, empty));
            index >>= 1;
            level = next;
        }
        return (level.length == 0 ? empty : level[0], path);
    }
}
