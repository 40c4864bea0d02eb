// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./Types.sol";

/// @title One chain on its settlement layer: mailbox, priority queue, batches and getters.
interface IZKChain {
    event NewPriorityRequest(
        uint256 txId, bytes32 txHash, uint64 expirationTimestamp, L2CanonicalTransaction transaction, bytes[] factoryDeps
    );
    event NewPriorityRequestId(uint256 indexed txId, bytes32 indexed txHash);

    event BlockCommit(uint256 indexed batchNumber, bytes32 indexed batchHash, bytes32 indexed commitment);
    event BlocksVerification(uint256 indexed previousLastVerifiedBatch, uint256 indexed currentLastVerifiedBatch);
    event BlockExecution(uint256 indexed batchNumber, bytes32 indexed batchHash, bytes32 indexed commitment);
    event BlocksRevert(uint256 totalBatchesCommitted, uint256 totalBatchesVerified, uint256 totalBatchesExecuted);

    event ValidatorStatusUpdate(address indexed validator, bool isActive);
    event NewPendingAdmin(address indexed oldPendingAdmin, address indexed newPendingAdmin);
    event NewAdmin(address indexed oldAdmin, address indexed newAdmin);
    event NewFeeParams(uint64 oldBaseFee, uint64 oldGasPerPubdata, uint64 newBaseFee, uint64 newGasPerPubdata);
    event NewL1GasPerPubdataByte(uint32 oldValue, uint32 newValue);
    event NewBaseTokenMultiplier(uint128 oldNominator, uint128 oldDenominator, uint128 newNominator, uint128 newDenominator);
    event NewMaxBatchAge(uint64 oldValue, uint64 newValue);
    event NewProtocol(uint64 protocolVersion, bytes32 programId, address verifier);
    event NewDAValidator(address daValidator);
    event Paused(address account);
    event Unpaused(address account);

    // Mailbox
    function bridgehubRequestL2Transaction(BridgehubL2TransactionRequest calldata request)
        external
        returns (bytes32 canonicalTxHash);
    /// @notice The same for a request whose `l2Value` is the sender's own and need not be minted.
    function bridgehubRequestL2TransactionFromBalance(BridgehubL2TransactionRequest calldata request)
        external
        returns (bytes32 canonicalTxHash);
    function l2TransactionBaseCost(uint256 gasPrice, uint256 l2GasLimit, uint256 l2GasPerPubdataByteLimit)
        external
        view
        returns (uint256);
    function proveL2MessageInclusion(uint256 batchNumber, uint256 index, L2Message calldata message, bytes32[] calldata proof)
        external
        view
        returns (bool);
    function proveL2LogInclusion(uint256 batchNumber, uint256 index, L2Log calldata log, bytes32[] calldata proof)
        external
        view
        returns (bool);
    function proveL1ToL2TransactionStatus(
        bytes32 l2TxHash,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes32[] calldata merkleProof,
        TxStatus status
    ) external view returns (bool);

    // Batches (validators only)
    function commitBatches(StoredBatchInfo calldata prev, CommitBatchInfo[] calldata batches) external;
    function proveBatches(StoredBatchInfo calldata prev, StoredBatchInfo[] calldata batches, bytes calldata proof) external;
    function executeBatches(StoredBatchInfo[] calldata batches) external;
    function revertBatches(uint256 newLastBatch) external;

    // Administration
    function setPendingAdmin(address newPendingAdmin) external;
    function acceptAdmin() external;
    function setValidator(address validator, bool active) external;
    function setFeeParams(uint64 baseFee, uint64 gasPerPubdata) external;
    function setL1GasPerPubdataByte(uint32 value) external;
    function setTokenMultiplier(uint128 nominator, uint128 denominator) external;
    function setMaxBatchAge(uint64 value) external;
    function pause() external;
    function unpause() external;
    function upgradeProtocol(uint64 protocolVersion, bytes32 programId, address verifier) external;
    function setDAValidator(address daValidator) external;

    // Getters
    function getChainId() external view returns (uint256);
    function getBridgehub() external view returns (address);
    function getAdmin() external view returns (address);
    function getPendingAdmin() external view returns (address);
    function getVerifier() external view returns (address);
    function getDAValidator() external view returns (address);
    function getDAPolicy() external view returns (uint8);
    function getProgramId() external view returns (bytes32);
    function getProtocolVersion() external view returns (uint256);
    function getChainConfigHash() external view returns (bytes32);
    function getBaseToken() external view returns (address);
    function getBaseTokenAssetId() external view returns (bytes32);
    function getFeeParams() external view returns (uint64 baseFee, uint64 gasPerPubdata);
    function feeParamsValidUntil(bytes32 feeParamsHash) external view returns (uint64);
    function getL1GasPerPubdataByte() external view returns (uint32);
    function baseTokenGasPriceMultiplierNominator() external view returns (uint128);
    function baseTokenGasPriceMultiplierDenominator() external view returns (uint128);
    function getMaxBatchAge() external view returns (uint64);
    function isValidator(address account) external view returns (bool);
    function isPaused() external view returns (bool);
    function getTotalBatchesCommitted() external view returns (uint256);
    function getTotalBatchesVerified() external view returns (uint256);
    function getTotalBatchesExecuted() external view returns (uint256);
    function storedBatchHash(uint256 batchNumber) external view returns (bytes32);
    function l2LogsRootHash(uint256 batchNumber) external view returns (bytes32);
    function getTotalPriorityTxs() external view returns (uint256);
    function getFirstUnprocessedPriorityTx() external view returns (uint256);
    function getPriorityQueueSize() external view returns (uint256);
    function priorityOpsRollingHash(uint256 count) external view returns (bytes32);
    function priorityOpExpiration(uint256 index) external view returns (uint64);
    function getPriorityTxMaxGasLimit() external view returns (uint256);
}
