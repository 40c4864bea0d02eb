// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IL1Messenger} from "../interfaces/IL2System.sol";

/// @title 0x8008: a contract's voice on the settlement layer.
/// @dev The event is the hook: the state-transition function turns each into an L2->L1 log of the batch.
contract L1Messenger is IL1Messenger {
    /// @inheritdoc IL1Messenger
    function sendToL1(bytes calldata message) external returns (bytes32 hash) {
        hash = keccak256(message);
        emit L1MessageSent(msg.sender, hash, message);
    }
}
