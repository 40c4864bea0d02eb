// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./Types.sol";

/// @title Verifies messages of any chain of the family against the roots known here.
interface IMessageVerification {
    function proveL2MessageInclusionShared(
        uint256 chainId,
        uint256 blockOrBatchNumber,
        uint256 index,
        L2Message calldata message,
        bytes32[] calldata proof
    ) external view returns (bool);
    function proveL2LogInclusionShared(
        uint256 chainId,
        uint256 blockOrBatchNumber,
        uint256 index,
        L2Log calldata log,
        bytes32[] calldata proof
    ) external view returns (bool);
}

/// @title The settlement layer's record of the executed batch roots of all chains.
interface IMessageRoot is IMessageVerification {
    event AddedChain(uint256 indexed chainId, address indexed zkChain);
    event AppendedChainBatchRoot(uint256 indexed chainId, uint256 indexed batchNumber, bytes32 chainBatchRoot);

    function addNewChain(uint256 chainId, address zkChain) external;
    function addChainBatchRoot(uint256 chainId, uint256 batchNumber, bytes32 chainBatchRoot) external;
    function chainBatchRoot(uint256 chainId, uint256 batchNumber) external view returns (bytes32);
    function chainRollingHash(uint256 chainId) external view returns (bytes32);
}
