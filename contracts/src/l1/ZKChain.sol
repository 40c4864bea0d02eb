// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {BatchHashing} from "../common/BatchHashing.sol";
import {EMPTY_PRIORITY_HASH, MAX_PRIORITY_GAS} from "../common/Constants.sol";
import "./ZKChainBase.sol";
import {ZKChainAdmin} from "./ZKChainAdmin.sol";
import {ZKChainExecutor} from "./ZKChainExecutor.sol";
import {ZKChainMailbox} from "./ZKChainMailbox.sol";

/// @title One chain of the family. Deployed by the bridgehub behind an ERC-1967 proxy; upgraded by the bridgehub's owner only.
contract ZKChain is ZKChainMailbox, ZKChainExecutor, ZKChainAdmin, UUPSUpgradeable {
    constructor() {
        _disableInitializers();
    }

    /// @dev Called by the bridgehub in the proxy's constructor.
    function initialize(NewChainParams calldata p) external initializer {
        if (p.admin == address(0)) revert ZeroAddress();
        s.chainId = p.chainId;
        s.bridgehub = msg.sender;
        s.messageRoot = IBridgehub(msg.sender).messageRoot();
        s.admin = p.admin;
        s.baseTokenAssetId = p.baseTokenAssetId;
        s.daPolicy = p.daPolicy;
        s.configHash = BatchHashing.chainConfigHash(p.chainId, block.chainid, p.baseTokenAssetId, p.daPolicy);
        s.maxBatchAge = 30 days;
        s.l1GasPerPubdataByte = 1;
        s.multiplierNominator = 1;
        s.multiplierDenominator = 1;
        s.priorityRollingHashes[0] = EMPTY_PRIORITY_HASH;
        _setFeeParams(p.baseFee, p.gasPerPubdata);
        _setProtocol(p.protocolVersion, p.programId, p.verifier);
        _setDAValidator(p.daValidator);
        _setValidator(p.validator, true);
        s.storedBatchHashes[0] = BatchHashing.hash(_genesis(p));
    }

    /// @dev Batch 0: nothing happened yet.
    function _genesis(NewChainParams calldata p) private pure returns (StoredBatchInfo memory) {
        return StoredBatchInfo({
            batchNumber: 0,
            stateRoot: p.genesisStateRoot,
            leafCount: p.genesisLeafCount,
            lastBlock: 0,
            lastBlockHash: p.genesisBlockHash,
            lastTimestamp: p.genesisTimestamp,
            priorityOpsCount: 0,
            priorityOpsHashAfter: EMPTY_PRIORITY_HASH,
            l2ToL1Root: bytes32(0),
            publicInput: bytes32(0)
        });
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}

    function getChainId() external view returns (uint256) {
        return s.chainId;
    }

    function getBridgehub() external view returns (address) {
        return s.bridgehub;
    }

    function getAdmin() external view returns (address) {
        return s.admin;
    }

    function getPendingAdmin() external view returns (address) {
        return s.pendingAdmin;
    }

    function getVerifier() external view returns (address) {
        return s.verifier;
    }

    function getDAValidator() external view returns (address) {
        return s.daValidator;
    }

    function getDAPolicy() external view returns (uint8) {
        return s.daPolicy;
    }

    function getProgramId() external view returns (bytes32) {
        return s.programId;
    }

    function getProtocolVersion() external view returns (uint256) {
        return s.protocolVersion;
    }

    function getChainConfigHash() external view returns (bytes32) {
        return s.configHash;
    }

    function getBaseToken() external view returns (address) {
        return IBridgehub(s.bridgehub).baseToken(s.chainId);
    }

    function getBaseTokenAssetId() external view returns (bytes32) {
        return s.baseTokenAssetId;
    }

    function getFeeParams() external view returns (uint64 baseFee, uint64 gasPerPubdata) {
        return (s.baseFee, s.gasPerPubdata);
    }

    function feeParamsValidUntil(bytes32 feeParamsHash) external view returns (uint64) {
        return s.feeParamsValidUntil[feeParamsHash];
    }

    function getL1GasPerPubdataByte() external view returns (uint32) {
        return s.l1GasPerPubdataByte;
    }

    function baseTokenGasPriceMultiplierNominator() external view returns (uint128) {
        return s.multiplierNominator;
    }

    function baseTokenGasPriceMultiplierDenominator() external view returns (uint128) {
        return s.multiplierDenominator;
    }

    function getMaxBatchAge() external view returns (uint64) {
        return s.maxBatchAge;
    }

    function isValidator(address account) external view returns (bool) {
        return s.validators[account];
    }

    function isPaused() external view returns (bool) {
        return s.paused;
    }

    function getTotalBatchesCommitted() external view returns (uint256) {
        return s.progress.committed;
    }

    function getTotalBatchesVerified() external view returns (uint256) {
        return s.progress.verified;
    }

    function getTotalBatchesExecuted() external view returns (uint256) {
        return s.progress.executed;
    }

    /// @dev Zero beyond the last committed batch, also where a reverted one left its hash.
    function storedBatchHash(uint256 batchNumber) external view returns (bytes32) {
        return batchNumber > s.progress.committed ? bytes32(0) : s.storedBatchHashes[batchNumber];
    }

    function l2LogsRootHash(uint256 batchNumber) external view returns (bytes32) {
        return s.batchRoots[batchNumber];
    }

    function getTotalPriorityTxs() external view returns (uint256) {
        return s.priorityTail;
    }

    function getFirstUnprocessedPriorityTx() external view returns (uint256) {
        return s.progress.priorityProcessed;
    }

    function getPriorityQueueSize() external view returns (uint256) {
        return s.priorityTail - s.progress.priorityProcessed;
    }

    /// @dev Rolling hash after the first `count` operations; zero beyond the queue's end.
    function priorityOpsRollingHash(uint256 count) external view returns (bytes32) {
        return s.priorityRollingHashes[count];
    }

    function priorityOpExpiration(uint256 index) external view returns (uint64) {
        return _priorityExpiration(index);
    }

    function getPriorityTxMaxGasLimit() external pure returns (uint256) {
        return MAX_PRIORITY_GAS;
    }
}
