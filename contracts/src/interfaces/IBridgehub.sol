// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./Types.sol";

/// @title The registry of chains and the door through which L1 talks to them.
interface IBridgehub {
    event NewChain(uint256 indexed chainId, address zkChain, address indexed chainGovernance);
    event BaseTokenAssetIdRegistered(bytes32 indexed assetId);
    event NewPendingAdmin(address indexed oldPendingAdmin, address indexed newPendingAdmin);
    event NewAdmin(address indexed oldAdmin, address indexed newAdmin);
    event AddressesSet(address assetRouter, address messageRoot, address zkChainImplementation);

    function requestL2TransactionDirect(L2TransactionRequestDirect calldata request)
        external
        payable
        returns (bytes32 canonicalTxHash);
    /// @notice As `requestL2TransactionDirect`, except that `mintValue` pays the fee alone: `l2Value` comes from what the caller has on the chain (at its
    /// alias, for a contract), and without it the operation fails there. So no sequencer can keep the base
    /// token of an account that can call from here; smart accounts that exist on the chain alone cannot.
    function requestL2TransactionFromBalance(L2TransactionRequestDirect calldata request)
        external
        payable
        returns (bytes32 canonicalTxHash);
    function requestL2TransactionTwoBridges(L2TransactionRequestTwoBridgesOuter calldata request)
        external
        payable
        returns (bytes32 canonicalTxHash);
    function l2TransactionBaseCost(uint256 chainId, uint256 gasPrice, uint256 l2GasLimit, uint256 l2GasPerPubdataByteLimit)
        external
        view
        returns (uint256);
    function proveL2MessageInclusion(
        uint256 chainId,
        uint256 batchNumber,
        uint256 index,
        L2Message calldata message,
        bytes32[] calldata proof
    ) external view returns (bool);
    function proveL2LogInclusion(
        uint256 chainId,
        uint256 batchNumber,
        uint256 index,
        L2Log calldata log,
        bytes32[] calldata proof
    ) external view returns (bool);
    function proveL1ToL2TransactionStatus(
        uint256 chainId,
        bytes32 l2TxHash,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes32[] calldata merkleProof,
        TxStatus status
    ) external view returns (bool);

    function createNewChain(NewChainParams calldata params) external returns (address zkChain);
    function setAddresses(address assetRouter, address messageRoot, address zkChainImplementation) external;
    function setPendingAdmin(address newPendingAdmin) external;
    function acceptAdmin() external;

    function getZKChain(uint256 chainId) external view returns (address);
    function getHyperchain(uint256 chainId) external view returns (address);
    function getAllZKChains() external view returns (address[] memory);
    function getAllZKChainChainIDs() external view returns (uint256[] memory);
    function baseToken(uint256 chainId) external view returns (address);
    function baseTokenAssetId(uint256 chainId) external view returns (bytes32);
    function settlementLayer(uint256 chainId) external view returns (uint256);
    function assetRouter() external view returns (address);
    function sharedBridge() external view returns (address);
    function messageRoot() external view returns (address);
    function zkChainImplementation() external view returns (address);
    function admin() external view returns (address);
    function owner() external view returns (address);
    function L1_CHAIN_ID() external view returns (uint256);
}
