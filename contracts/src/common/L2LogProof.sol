// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "../interfaces/Errors.sol";
import {L2Log, L2Message} from "../interfaces/Types.sol";
import {L2_TO_L1_MESSENGER, LOG_TREE_DEPTH} from "./Constants.sol";

/// @title Membership of an L2->L1 log in a batch.
/// @dev A proof is `[metadata, 14 siblings, message root]`: the root of the log tree joined with the chain's own message root gives the batch root.
/// The depth is fixed and leaves are hashes of 88 bytes, nodes of 64: neither can stand for the other.
library L2LogProof {
    bytes32 private constant EMPTY_LEAF = keccak256(new bytes(88));

    function hashLog(L2Log memory log) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(log.l2ShardId, log.isService, log.txNumberInBatch, log.sender, log.key, log.value)
        );
    }

    function messageToLog(L2Message calldata message) internal pure returns (L2Log memory) {
        return L2Log({
            l2ShardId: 0,
            isService: true,
            txNumberInBatch: message.txNumberInBatch,
            sender: L2_TO_L1_MESSENGER,
            key: bytes32(uint256(uint160(message.sender))),
            value: keccak256(message.data)
        });
    }

    /// @dev The batch root that `proof` leads to from `leaf` at `index`; reverts on anything that is no proof of this form.
    function batchRoot(uint256 index, bytes32 leaf, bytes32[] calldata proof) internal pure returns (bytes32 node) {
        if (proof.length == 0) revert MerklePathEmpty();
        checkMetadata(proof[0], proof.length);
        if (index >= 1 << LOG_TREE_DEPTH) revert MerkleIndexOutOfBounds();
        if (leaf == EMPTY_LEAF) revert HashedLogIsDefault();
        node = leaf;
        for (uint256 i = 1; i <= LOG_TREE_DEPTH; ++i) {
            node = index & 1 == 0 ? _pair(node, proof[i]) : _pair(proof[i], node);
            index >>= 1;
        }
        node = _pair(node, proof[LOG_TREE_DEPTH + 1]);
    }

    /// @dev `version (1) || log leaf proof length (15) || batch leaf proof length (0) || final (1) || 28 zero bytes`.
    function checkMetadata(bytes32 metadata, uint256 length) internal pure {
        if (metadata[0] != 0x01) revert UnsupportedProofMetadataVersion(uint8(metadata[0]));
        bool wellFormed = uint8(metadata[1]) == LOG_TREE_DEPTH + 1 && metadata[2] == 0 && metadata[3] == 0x01
            && uint224(uint256(metadata)) == 0;
        if (!wellFormed || length != LOG_TREE_DEPTH + 2) revert InvalidProofLengthForFinalNode();
    }

    function _pair(bytes32 left, bytes32 right) private pure returns (bytes32 out) {
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            out := keccak256(0x00, 0x40)
        }
    }
}
