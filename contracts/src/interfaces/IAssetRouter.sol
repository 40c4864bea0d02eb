// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {L2TransactionRequestTwoBridgesInner} from "./Types.sol";

/// @title What both ends of the bridge answer to.
interface IAssetRouterBase {
    function finalizeDeposit(uint256 chainId, bytes32 assetId, bytes calldata transferData) external payable;
}

/// @title The L1 end of the bridge: takes assets for a chain and hands them out for its messages.
interface IL1AssetRouter is IAssetRouterBase {
    event BridgehubDepositBaseTokenInitiated(uint256 indexed chainId, address indexed from, bytes32 assetId, uint256 amount);
    event BridgehubDepositInitiated(
        uint256 indexed chainId, bytes32 indexed txDataHash, address indexed from, bytes32 assetId, bytes bridgeMintCalldata
    );
    event BridgehubDepositFinalized(uint256 indexed chainId, bytes32 indexed txDataHash, bytes32 indexed l2DepositTxHash);
    event DepositFinalizedAssetRouter(uint256 indexed chainId, bytes32 indexed assetId, bytes assetData);
    event ClaimedFailedDepositAssetRouter(uint256 indexed chainId, bytes32 indexed assetId, bytes assetData);

    function bridgehubDepositBaseToken(uint256 chainId, bytes32 assetId, address originalCaller, uint256 amount)
        external
        payable;
    function bridgehubDeposit(uint256 chainId, address originalCaller, uint256 value, bytes calldata data)
        external
        payable
        returns (L2TransactionRequestTwoBridgesInner memory request);
    function bridgehubConfirmL2Transaction(uint256 chainId, bytes32 txDataHash, bytes32 txHash) external;
    function bridgeRecoverFailedTransfer(
        uint256 chainId,
        address depositSender,
        bytes32 assetId,
        bytes calldata assetData,
        bytes32 l2TxHash,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes32[] calldata merkleProof
    ) external;
    function bridgeRecoverFailedTransfer(uint256 chainId, address depositSender, bytes32 assetId, bytes calldata assetData)
        external;
    function finalizeWithdrawal(
        uint256 chainId,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes calldata message,
        bytes32[] calldata merkleProof
    ) external;
    function transferFundsToNTV(bytes32 assetId, uint256 amount, address originalCaller) external returns (bool);
    function isWithdrawalFinalized(uint256 chainId, uint256 l2BatchNumber, uint256 l2MessageIndex)
        external
        view
        returns (bool);
    function getDepositCalldata(address sender, bytes32 assetId, bytes calldata assetData)
        external
        view
        returns (bytes memory);
    function assetHandlerAddress(bytes32 assetId) external view returns (address);
    function l2BridgeAddress(uint256 chainId) external view returns (address);
    function L1_NULLIFIER() external view returns (address);
    function BRIDGE_HUB() external view returns (address);
    function nativeTokenVault() external view returns (address);
}
