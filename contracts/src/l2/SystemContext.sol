// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISystemContext} from "../interfaces/IL2System.sol";

/// @title 0x800b: the block and the chain, for callers that ask a contract and not an opcode.
contract SystemContext is ISystemContext {
    /// @inheritdoc ISystemContext
    function chainId() external view returns (uint256) {
        return block.chainid;
    }

    /// @inheritdoc ISystemContext
    function origin() external view returns (address) {
        return tx.origin;
    }

    /// @inheritdoc ISystemContext
    function gasPrice() external view returns (uint256) {
        return tx.gasprice;
    }

    /// @inheritdoc ISystemContext
    function baseFee() external view returns (uint256) {
        return block.basefee;
    }

    /// @inheritdoc ISystemContext
    function blockGasLimit() external view returns (uint256) {
        return block.gaslimit;
    }

    /// @inheritdoc ISystemContext
    function coinbase() external view returns (address) {
        return block.coinbase;
    }

    /// @inheritdoc ISystemContext
    function difficulty() external view returns (uint256) {
        return block.prevrandao;
    }

    /// @inheritdoc ISystemContext
    function getBlockNumber() external view returns (uint128) {
        return uint128(block.number);
    }

    /// @inheritdoc ISystemContext
    function getBlockTimestamp() external view returns (uint128) {
        return uint128(block.timestamp);
    }

    /// @inheritdoc ISystemContext
    function getL2BlockNumberAndTimestamp() external view returns (uint128, uint128) {
        return (uint128(block.number), uint128(block.timestamp));
    }

    /// @inheritdoc ISystemContext
    function getBlockHashEVM(uint256 blockNumber) external view returns (bytes32) {
        return blockhash(blockNumber);
    }
}
