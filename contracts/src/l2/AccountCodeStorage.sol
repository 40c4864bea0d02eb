// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccountCodeStorage} from "../interfaces/IL2System.sol";

/// @title 0x8002: code hashes, as the EVM gives them.
contract AccountCodeStorage is IAccountCodeStorage {
    bytes32 private constant EMPTY = keccak256("");

    /// @inheritdoc IAccountCodeStorage
    /// @dev Zero for an account without code.
    function getRawCodeHash(address account) external view returns (bytes32 hash) {
        hash = account.codehash;
        if (hash == EMPTY) hash = bytes32(0);
    }

    /// @inheritdoc IAccountCodeStorage
    function getCodeHash(uint256 account) external view returns (bytes32) {
        return address(uint160(account)).codehash;
    }

    /// @inheritdoc IAccountCodeStorage
    function getCodeSize(uint256 account) external view returns (uint256) {
        return address(uint160(account)).code.length;
    }
}
