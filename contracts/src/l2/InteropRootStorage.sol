// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BOOTLOADER} from "../common/Constants.sol";

/// @title 0x10008: batch roots of other chains, as the protocol brought them in.
contract InteropRootStorage {
    event InteropRootAdded(uint256 indexed chainId, uint256 indexed blockNumber, bytes32[] sides);

    error CallerMustBeBootloader();
    error InteropRootAlreadyExists();
    error MessageRootIsZero();
    error SidesLengthNotOne();

    mapping(uint256 chainId => mapping(uint256 blockOrBatchNumber => bytes32)) public interopRoots;

    /// @notice Only the protocol itself, for roots that are bound by the batch's public input.
    function addInteropRoot(uint256 chainId, uint256 blockOrBatchNumber, bytes32[] calldata sides) external {
        if (msg.sender != BOOTLOADER) revert CallerMustBeBootloader();
        if (sides.length != 1) revert SidesLengthNotOne();
        if (sides[0] == bytes32(0)) revert MessageRootIsZero();
        if (interopRoots[chainId][blockOrBatchNumber] != bytes32(0)) revert InteropRootAlreadyExists();
        interopRoots[chainId][blockOrBatchNumber] = sides[0];
        emit InteropRootAdded(chainId, blockOrBatchNumber, sides);
    }
}
