// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BatchHashing} from "../common/BatchHashing.sol";
import {MAX_GAS_PER_PUBDATA} from "../common/Constants.sol";
import {IVerifier} from "../interfaces/IVerifier.sol";
import "./ZKChainBase.sol";

/// @title What the chain's admin and the owner may set.
abstract contract ZKChainAdmin is ZKChainBase {
    uint64 internal constant MAX_BASE_FEE = 1e16;
    uint32 internal constant MAX_L1_GAS_PER_PUBDATA_BYTE = 64;
    uint64 internal constant FEE_PARAMS_GRACE = 1 days;
    uint64 internal constant MIN_BATCH_AGE = 1 days;
    uint64 internal constant MAX_BATCH_AGE_BY_OWNER = 3650 days;

    // The chain's admin

    /// @inheritdoc IZKChain
    function setPendingAdmin(address newPendingAdmin) external onlyAdmin {
        emit NewPendingAdmin(s.pendingAdmin, newPendingAdmin);
        s.pendingAdmin = newPendingAdmin;
    }

    /// @inheritdoc IZKChain
    function acceptAdmin() external {
        if (msg.sender != s.pendingAdmin) revert Unauthorized(msg.sender);
        emit NewPendingAdmin(msg.sender, address(0));
        emit NewAdmin(s.admin, msg.sender);
        s.admin = msg.sender;
        s.pendingAdmin = address(0);
    }

    /// @inheritdoc IZKChain
    function setValidator(address validator, bool active) external onlyAdmin {
        _setValidator(validator, active);
    }

    /// @inheritdoc IZKChain
    /// @dev The old parameters stay good for batches committed within the next day.
    function setFeeParams(uint64 baseFee, uint64 gasPerPubdata) external onlyAdmin {
        bytes32 oldHash = BatchHashing.feeParamsHash(s.baseFee, s.gasPerPubdata);
        s.feeParamsValidUntil[oldHash] = uint64(block.timestamp) + FEE_PARAMS_GRACE;
        _setFeeParams(baseFee, gasPerPubdata);
    }

    /// @inheritdoc IZKChain
    function setL1GasPerPubdataByte(uint32 value) external onlyAdmin {
        if (value > MAX_L1_GAS_PER_PUBDATA_BYTE) revert ValueOutOfBounds(value, 0, MAX_L1_GAS_PER_PUBDATA_BYTE);
        emit NewL1GasPerPubdataByte(s.l1GasPerPubdataByte, value);
        s.l1GasPerPubdataByte = value;
    }

    /// @inheritdoc IZKChain
    /// @dev How many base tokens an ETH is worth.
    function setTokenMultiplier(uint128 nominator, uint128 denominator) external onlyAdmin {
        if (nominator == 0) revert ValueOutOfBounds(0, 1, type(uint128).max);
        if (denominator == 0) revert ValueOutOfBounds(0, 1, type(uint128).max);
        emit NewBaseTokenMultiplier(s.multiplierNominator, s.multiplierDenominator, nominator, denominator);
        s.multiplierNominator = nominator;
        s.multiplierDenominator = denominator;
    }

    /// @inheritdoc IZKChain
    /// @dev An operator that lets L2's clock stand still could put off deadlines of priority operations: so the admin's bound is tight. Only the owner may
    /// go beyond it, for a chain that was down for longer; the deadlines that passed meanwhile are put off by as much then.
    function setMaxBatchAge(uint64 value) external {
        bool byOwner = msg.sender == IBridgehub(s.bridgehub).owner();
        if (!byOwner && msg.sender != s.admin) revert Unauthorized(msg.sender);
        uint64 max = byOwner ? MAX_BATCH_AGE_BY_OWNER : MAX_BATCH_AGE;
        if (value < MIN_BATCH_AGE || value > max) revert ValueOutOfBounds(value, MIN_BATCH_AGE, max);
        emit NewMaxBatchAge(s.maxBatchAge, value);
        s.maxBatchAge = value;
    }

    /// @inheritdoc IZKChain
    /// @dev Stops requests and batches. Withdrawals of executed batches go on.
    function pause() external {
        bool byOwner = msg.sender == IBridgehub(s.bridgehub).owner();
        if (!byOwner && msg.sender != s.admin) revert Unauthorized(msg.sender);
        s.paused = true;
        if (byOwner) s.pausedByOwner = true;
        emit Paused(msg.sender);
    }

    /// @inheritdoc IZKChain
    function unpause() external {
        bool byOwner = msg.sender == IBridgehub(s.bridgehub).owner();
        if (!byOwner && (msg.sender != s.admin || s.pausedByOwner)) revert Unauthorized(msg.sender);
        s.paused = false;
        s.pausedByOwner = false;
        emit Unpaused(msg.sender);
    }

    // The owner

    /// @inheritdoc IZKChain
    /// @dev A committed batch's public input names the program that proves it, so none may be waiting for its proof.
    function upgradeProtocol(uint64 protocolVersion, bytes32 programId, address verifier) external onlyOwner {
        if (s.progress.committed != s.progress.verified) {
            revert BatchesInFlight(s.progress.committed, s.progress.verified);
        }
        _setProtocol(protocolVersion, programId, verifier);
    }

    /// @inheritdoc IZKChain
    /// @dev For a new validator of the same policy; the policy itself is part of the chain's identity.
    function setDAValidator(address daValidator) external onlyOwner {
        _setDAValidator(daValidator);
    }

    function _setValidator(address validator, bool active) internal {
        if (validator == address(0)) revert ZeroAddress();
        s.validators[validator] = active;
        emit ValidatorStatusUpdate(validator, active);
    }

    function _setFeeParams(uint64 baseFee, uint64 gasPerPubdata) internal {
        if (baseFee == 0 || baseFee > MAX_BASE_FEE) revert ValueOutOfBounds(baseFee, 1, MAX_BASE_FEE);
        if (gasPerPubdata == 0 || gasPerPubdata > MAX_GAS_PER_PUBDATA) {
            revert ValueOutOfBounds(gasPerPubdata, 1, MAX_GAS_PER_PUBDATA);
        }
        emit NewFeeParams(s.baseFee, s.gasPerPubdata, baseFee, gasPerPubdata);
        s.baseFee = baseFee;
        s.gasPerPubdata = gasPerPubdata;
        s.feeParamsValidUntil[BatchHashing.feeParamsHash(baseFee, gasPerPubdata)] = type(uint64).max;
    }

    /// @dev The program in a batch's public input is what the prover's witness says: the guest does not know its own. That the proof is of this very program
    /// is what the verifier knows, so the two may never differ.
    function _setProtocol(uint64 protocolVersion, bytes32 programId, address verifier) internal {
        if (verifier.code.length == 0) revert NotAContract(verifier);
        bytes32 proven = IVerifier(verifier).programId();
        if (proven != bytes32(0) && proven != programId) revert ProgramMismatch(programId, proven);
        s.protocolVersion = protocolVersion;
        s.programId = programId;
        s.verifier = verifier;
        emit NewProtocol(protocolVersion, programId, verifier);
    }

    function _setDAValidator(address daValidator) internal {
        if (daValidator.code.length == 0) revert NotAContract(daValidator);
        s.daValidator = daValidator;
        emit NewDAValidator(daValidator);
    }
}
