// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridgehub} from "../interfaces/IBridgehub.sol";
import {IMessageRoot, IMessageVerification} from "../interfaces/IMessageRoot.sol";
import {IZKChain} from "../interfaces/IZKChain.sol";
import "../interfaces/Types.sol";
import {Governed} from "./Governed.sol";
import "../interfaces/Errors.sol";

/// @title The executed batch roots of all chains, in one place.
/// @dev The roots themselves stay with their chains; here is a rolling hash of each chain's, and one event a batch for whoever aggregates them.
contract MessageRoot is IMessageRoot, Governed {
    IBridgehub public bridgehub;
    mapping(uint256 chainId => IZKChain) private _chains;
    mapping(uint256 chainId => bytes32) public chainRollingHash;

    function initialize(address owner_, IBridgehub bridgehub_) external initializer {
        if (address(bridgehub_) == address(0)) revert ZeroAddress();
        __Governed_init(owner_);
        bridgehub = bridgehub_;
    }

    /// @inheritdoc IMessageRoot
    function addNewChain(uint256 chainId, address zkChain) external {
        if (msg.sender != address(bridgehub)) revert Unauthorized(msg.sender);
        if (address(_chains[chainId]) != address(0)) revert ChainAlreadyRegistered(chainId);
        _chains[chainId] = IZKChain(zkChain);
        emit AddedChain(chainId, zkChain);
    }

    /// @inheritdoc IMessageRoot
    function addChainBatchRoot(uint256 chainId, uint256 batchNumber, bytes32 root) external {
        if (msg.sender != address(_chains[chainId])) revert Unauthorized(msg.sender);
        chainRollingHash[chainId] = keccak256(abi.encode(chainRollingHash[chainId], batchNumber, root));
        emit AppendedChainBatchRoot(chainId, batchNumber, root);
    }

    /// @inheritdoc IMessageRoot
    function chainBatchRoot(uint256 chainId, uint256 batchNumber) external view returns (bytes32) {
        return _chain(chainId).l2LogsRootHash(batchNumber);
    }

    /// @inheritdoc IMessageVerification
    function proveL2MessageInclusionShared(
        uint256 chainId,
        uint256 blockOrBatchNumber,
        uint256 index,
        L2Message calldata message,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _chain(chainId).proveL2MessageInclusion(blockOrBatchNumber, index, message, proof);
    }

    /// @inheritdoc IMessageVerification
    function proveL2LogInclusionShared(
        uint256 chainId,
        uint256 blockOrBatchNumber,
        uint256 index,
        L2Log calldata log,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _chain(chainId).proveL2LogInclusion(blockOrBatchNumber, index, log, proof);
    }

    function _chain(uint256 chainId) private view returns (IZKChain chain) {
        chain = _chains[chainId];
        if (address(chain) == address(0)) revert ChainIdNotRegistered(chainId);
    }
}
