// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {L2_INTEROP_ROOT_STORAGE} from "../common/Constants.sol";
import {L2LogProof} from "../common/L2LogProof.sol";
import "../interfaces/Errors.sol";
import {IMessageVerification} from "../interfaces/IMessageRoot.sol";
import {L2Log, L2Message} from "../interfaces/Types.sol";
import {InteropRootStorage} from "./InteropRootStorage.sol";

/// @title 0x10009: messages of other chains, checked against imported roots.
contract MessageVerification is IMessageVerification {
    /// @inheritdoc IMessageVerification
    function proveL2MessageInclusionShared(
        uint256 chainId,
        uint256 blockOrBatchNumber,
        uint256 index,
        L2Message calldata message,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _prove(chainId, blockOrBatchNumber, index, L2LogProof.messageToLog(message), proof);
    }

    /// @inheritdoc IMessageVerification
    function proveL2LogInclusionShared(
        uint256 chainId,
        uint256 blockOrBatchNumber,
        uint256 index,
        L2Log calldata log,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _prove(chainId, blockOrBatchNumber, index, log, proof);
    }

    function _prove(
        uint256 chainId,
        uint256 blockOrBatchNumber,
        uint256 index,
        L2Log memory log,
        bytes32[] calldata proof
    ) private view returns (bool) {
        bytes32 root = InteropRootStorage(L2_INTEROP_ROOT_STORAGE).interopRoots(chainId, blockOrBatchNumber);
        if (root == bytes32(0)) revert LocalRootIsZero();
        return L2LogProof.batchRoot(index, L2LogProof.hashLog(log), proof) == root;
    }
}
