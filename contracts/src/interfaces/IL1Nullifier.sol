// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {FinalizeL1DepositParams} from "./Types.sol";

/// @title Remembers which messages were consumed and which deposits may still be claimed back.
interface IL1Nullifier {
    event BridgehubDepositFinalized(uint256 indexed chainId, bytes32 indexed txDataHash, bytes32 indexed l2DepositTxHash);

    function finalizeDeposit(FinalizeL1DepositParams calldata params) external;
    function finalizeWithdrawal(
        uint256 chainId,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes calldata message,
        bytes32[] calldata merkleProof
    ) external;
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
    function bridgehubConfirmL2TransactionForwarded(uint256 chainId, bytes32 txDataHash, bytes32 txHash) external;
    function isWithdrawalFinalized(uint256 chainId, uint256 l2BatchNumber, uint256 l2MessageIndex)
        external
        view
        returns (bool);
    function depositHappened(uint256 chainId, bytes32 l2TxHash) external view returns (bytes32);
    function setL1AssetRouter(address assetRouter) external;
    function l1AssetRouter() external view returns (address);
    function l1NativeTokenVault() external view returns (address);
    function BRIDGE_HUB() external view returns (address);
}
