// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import "../interfaces/Errors.sol";
import "../interfaces/Types.sol";
import {IBridgehub} from "../interfaces/IBridgehub.sol";
import {IZKChain} from "../interfaces/IZKChain.sol";

/// @title A chain's state and who may touch it.
/// @dev Upgrades append to `ChainStorage`; nothing is ever removed or reordered.
abstract contract ZKChainBase is Initializable, IZKChain {
    /// @dev The most that a chain's admin may allow a batch's age to be. Beyond it only the owner goes.
    uint64 internal constant MAX_BATCH_AGE = 30 days;

    /// @dev One slot: every stage of a batch moves one of these.
    struct Progress {
        uint64 committed;
        uint64 verified;
        uint64 executed;
        /// Priority operations consumed by executed batches.
        uint64 priorityProcessed;
    }

    struct ChainStorage {
        uint256 chainId;
        Progress progress;
        address bridgehub;
        uint64 protocolVersion;
        uint8 daPolicy;
        address verifier;
        uint64 maxBatchAge;
        address daValidator;
        address admin;
        bool paused;
        /// Set when the owner paused: then the admin cannot unpause.
        bool pausedByOwner;
        address pendingAdmin;
        bytes32 baseTokenAssetId;
        bytes32 programId;
        bytes32 configHash;
        uint64 baseFee;
        uint64 gasPerPubdata;
        uint32 l1GasPerPubdataByte;
        uint128 multiplierNominator;
        uint128 multiplierDenominator;
        address messageRoot;
        mapping(address => bool) validators;
        mapping(bytes32 => uint64) feeParamsValidUntil;
        mapping(uint256 => bytes32) storedBatchHashes;
        mapping(uint256 => bytes32) batchRoots;
        /// Number of operations ever queued.
        uint256 priorityTail;
        /// Rolling hash after the first `n` operations, for every `n`: a batch that consumes any number of them costs one read.
        mapping(uint256 => bytes32) priorityRollingHashes;
        /// Expirations, four to a slot.
        mapping(uint256 => uint64[4]) priorityExpirations;
    }

    ChainStorage internal s;

    modifier onlyBridgehub() {
        if (msg.sender != s.bridgehub) revert Unauthorized(msg.sender);
        _;
    }

    modifier onlyAdmin() {
        if (msg.sender != s.admin) revert Unauthorized(msg.sender);
        _;
    }

    /// @dev The bridgehub's owner: a timelock.
    modifier onlyOwner() {
        if (msg.sender != IBridgehub(s.bridgehub).owner()) revert Unauthorized(msg.sender);
        _;
    }

    modifier onlyValidator() {
        if (!s.validators[msg.sender]) revert Unauthorized(msg.sender);
        _;
    }

    modifier whenNotPaused() {
        if (s.paused) revert ChainPaused();
        _;
    }

    function _priorityExpiration(uint256 index) internal view returns (uint64) {
        return s.priorityExpirations[index >> 2][index & 3];
    }
}
