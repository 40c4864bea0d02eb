// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {AddressAlias} from "../common/AddressAlias.sol";
import {DataEncoding} from "../common/DataEncoding.sol";
import {ETH_TOKEN, TWO_BRIDGES_MAGIC_VALUE} from "../common/Constants.sol";
import {IBridgehub} from "../interfaces/IBridgehub.sol";
import {IL1AssetRouter} from "../interfaces/IAssetRouter.sol";
import {INativeTokenVault} from "../interfaces/INativeTokenVault.sol";
import {IMessageRoot} from "../interfaces/IMessageRoot.sol";
import {IZKChain} from "../interfaces/IZKChain.sol";
import "../interfaces/Types.sol";
import {ZKChain} from "./ZKChain.sol";
import {Governed, OwnableUpgradeable} from "./Governed.sol";
import "../interfaces/Errors.sol";

/// @title The registry of chains, and the door through which L1 asks them for transactions.
contract Bridgehub is IBridgehub, Governed, ReentrancyGuardTransient {
    /// @dev Low addresses are precompiles and system contracts.
    address private constant MIN_SECOND_BRIDGE = address(0xffff);

    mapping(uint256 chainId => address) private _chains;
    uint256[] private _chainIds;
    /// @inheritdoc IBridgehub
    mapping(uint256 chainId => bytes32) public baseTokenAssetId;
    /// @inheritdoc IBridgehub
    address public assetRouter;
    /// @inheritdoc IBridgehub
    address public messageRoot;
    /// @inheritdoc IBridgehub
    address public zkChainImplementation;
    /// @inheritdoc IBridgehub
    address public admin;
    address public pendingAdmin;

    function initialize(address owner_, address admin_) external initializer {
        __Governed_init(owner_);
        admin = admin_;
    }

    // Administration

    /// @inheritdoc IBridgehub
    /// @dev Router and message root are set once (they are proxies: what is behind them can change). The implementation only concerns chains created
    /// from now on; those that exist are upgraded one by one.
    function setAddresses(address assetRouter_, address messageRoot_, address zkChainImplementation_)
        external
        onlyOwner
    {
        if (assetRouter_.code.length == 0) revert NotAContract(assetRouter_);
        if (messageRoot_.code.length == 0) revert NotAContract(messageRoot_);
        if (zkChainImplementation_.code.length == 0) revert NotAContract(zkChainImplementation_);
        if (assetRouter != address(0) && (assetRouter != assetRouter_ || messageRoot != messageRoot_)) revert AlreadySet();
        assetRouter = assetRouter_;
        messageRoot = messageRoot_;
        zkChainImplementation = zkChainImplementation_;
        emit AddressesSet(assetRouter_, messageRoot_, zkChainImplementation_);
    }

    /// @inheritdoc IBridgehub
    function setPendingAdmin(address newPendingAdmin) external {
        _onlyOwnerOrAdmin();
        emit NewPendingAdmin(pendingAdmin, newPendingAdmin);
        pendingAdmin = newPendingAdmin;
    }

    /// @inheritdoc IBridgehub
    function acceptAdmin() external {
        if (msg.sender != pendingAdmin) revert Unauthorized(msg.sender);
        emit NewAdmin(admin, msg.sender);
        admin = msg.sender;
        pendingAdmin = address(0);
    }

    /// @inheritdoc IBridgehub
    function createNewChain(NewChainParams calldata p) external nonReentrant whenNotPaused returns (address zkChain) {
        _onlyOwnerOrAdmin();
        if (p.chainId == 0) revert ZeroChainId();
        if (p.chainId > type(uint48).max) revert ChainIdTooBig();
        if (p.chainId == block.chainid) revert ChainIdCantBeCurrentChain();
        if (_chains[p.chainId] != address(0)) revert ChainAlreadyRegistered(p.chainId);
        if (_vault().tokenAddress(p.baseTokenAssetId) == address(0)) revert AssetIdNotSupported(p.baseTokenAssetId);

        zkChain = address(new ERC1967Proxy(zkChainImplementation, abi.encodeCall(ZKChain.initialize, (p))));
        _chains[p.chainId] = zkChain;
        _chainIds.push(p.chainId);
        baseTokenAssetId[p.chainId] = p.baseTokenAssetId;
        IMessageRoot(messageRoot).addNewChain(p.chainId, zkChain);
        emit BaseTokenAssetIdRegistered(p.baseTokenAssetId);
        emit NewChain(p.chainId, zkChain, p.admin);
    }

    // Requests

    /// @inheritdoc IBridgehub
    function requestL2TransactionDirect(L2TransactionRequestDirect calldata request)
        external
        payable
        nonReentrant
        whenNotPaused
        returns (bytes32)
    {
        IZKChain chain = _chain(request.chainId);
        _takeBaseToken(request.chainId, request.mintValue, 0);
        return chain.bridgehubRequestL2Transaction(_direct(request));
    }

    /// @inheritdoc IBridgehub
    /// @dev A call of its own, so that a deposit which brings too little stays an error, and nobody spends a balance without having said so.
    function requestL2TransactionFromBalance(L2TransactionRequestDirect calldata request)
        external
        payable
        nonReentrant
        whenNotPaused
        returns (bytes32)
    {
        IZKChain chain = _chain(request.chainId);
        _takeBaseToken(request.chainId, request.mintValue, 0);
        return chain.bridgehubRequestL2TransactionFromBalance(_direct(request));
    }

    /// @inheritdoc IBridgehub
    /// @dev The second bridge says what the transaction is; on L2 it comes from that bridge's alias, so it can only speak for itself.
    function requestL2TransactionTwoBridges(L2TransactionRequestTwoBridgesOuter calldata request)
        external
        payable
        nonReentrant
        whenNotPaused
        returns (bytes32 canonicalTxHash)
    {
        if (request.secondBridgeAddress <= MIN_SECOND_BRIDGE) {
            revert SecondBridgeAddressTooLow(request.secondBridgeAddress, MIN_SECOND_BRIDGE);
        }
        IZKChain chain = _chain(request.chainId);
        _takeBaseToken(request.chainId, request.mintValue, request.secondBridgeValue);

        IL1AssetRouter secondBridge = IL1AssetRouter(request.secondBridgeAddress);
        L2TransactionRequestTwoBridgesInner memory inner = secondBridge.bridgehubDeposit{
            value: request.secondBridgeValue
        }(request.chainId, msg.sender, request.l2Value, request.secondBridgeCalldata);
        if (inner.magicValue != TWO_BRIDGES_MAGIC_VALUE) {
            revert WrongMagicValue(TWO_BRIDGES_MAGIC_VALUE, inner.magicValue);
        }

        canonicalTxHash = chain.bridgehubRequestL2Transaction(
            BridgehubL2TransactionRequest({
                sender: AddressAlias.apply_(request.secondBridgeAddress),
                contractL2: inner.l2Contract,
                mintValue: request.mintValue,
                l2Value: request.l2Value,
                l2Calldata: inner.l2Calldata,
                l2GasLimit: request.l2GasLimit,
                l2GasPerPubdataByteLimit: request.l2GasPerPubdataByteLimit,
                factoryDeps: inner.factoryDeps,
                refundRecipient: AddressAlias.refundRecipient(request.refundRecipient, msg.sender)
            })
        );
        secondBridge.bridgehubConfirmL2Transaction(request.chainId, inner.txDataHash, canonicalTxHash);
    }

    /// @inheritdoc IBridgehub
    function l2TransactionBaseCost(uint256 chainId, uint256 gasPrice, uint256 l2GasLimit, uint256 l2GasPerPubdataByteLimit)
        external
        view
        returns (uint256)
    {
        return _chain(chainId).l2TransactionBaseCost(gasPrice, l2GasLimit, l2GasPerPubdataByteLimit);
    }

    // Proofs

    /// @inheritdoc IBridgehub
    function proveL2MessageInclusion(
        uint256 chainId,
        uint256 batchNumber,
        uint256 index,
        L2Message calldata message,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _chain(chainId).proveL2MessageInclusion(batchNumber, index, message, proof);
    }

    /// @inheritdoc IBridgehub
    function proveL2LogInclusion(
        uint256 chainId,
        uint256 batchNumber,
        uint256 index,
        L2Log calldata log,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _chain(chainId).proveL2LogInclusion(batchNumber, index, log, proof);
    }

    /// @inheritdoc IBridgehub
    function proveL1ToL2TransactionStatus(
        uint256 chainId,
        bytes32 l2TxHash,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes32[] calldata merkleProof,
        TxStatus status
    ) external view returns (bool) {
        return _chain(chainId).proveL1ToL2TransactionStatus(
            l2TxHash, l2BatchNumber, l2MessageIndex, l2TxNumberInBatch, merkleProof, status
        );
    }

    // Getters

    /// @inheritdoc IBridgehub
    function getZKChain(uint256 chainId) external view returns (address) {
        return _chains[chainId];
    }

    /// @inheritdoc IBridgehub
    function getHyperchain(uint256 chainId) external view returns (address) {
        return _chains[chainId];
    }

    /// @inheritdoc IBridgehub
    function getAllZKChains() external view returns (address[] memory chains) {
        chains = new address[](_chainIds.length);
        for (uint256 i = 0; i < chains.length; ++i) {
            chains[i] = _chains[_chainIds[i]];
        }
    }

    /// @inheritdoc IBridgehub
    function getAllZKChainChainIDs() external view returns (uint256[] memory) {
        return _chainIds;
    }

    /// @inheritdoc IBridgehub
    function baseToken(uint256 chainId) external view returns (address) {
        return _vault().tokenAddress(baseTokenAssetId[chainId]);
    }

    /// @inheritdoc IBridgehub
    function settlementLayer(uint256 chainId) external view returns (uint256) {
        return _chains[chainId] == address(0) ? 0 : block.chainid;
    }

    /// @inheritdoc IBridgehub
    function sharedBridge() external view returns (address) {
        return assetRouter;
    }

    /// @inheritdoc IBridgehub
    function L1_CHAIN_ID() external view returns (uint256) {
        return block.chainid;
    }

    function owner() public view override(IBridgehub, OwnableUpgradeable) returns (address) {
        return super.owner();
    }

    function _direct(L2TransactionRequestDirect calldata request)
        private
        view
        returns (BridgehubL2TransactionRequest memory)
    {
        return BridgehubL2TransactionRequest({
            // solhint-disable-next-line avoid-tx-origin
            sender: msg.sender == tx.origin ? msg.sender : AddressAlias.apply_(msg.sender),
            contractL2: request.l2Contract,
            mintValue: request.mintValue,
            l2Value: request.l2Value,
            l2Calldata: request.l2Calldata,
            l2GasLimit: request.l2GasLimit,
            l2GasPerPubdataByteLimit: request.l2GasPerPubdataByteLimit,
            factoryDeps: request.factoryDeps,
            refundRecipient: AddressAlias.refundRecipient(request.refundRecipient, msg.sender)
        });
    }

    /// @dev Locks the base token that the chain will mint. What comes with the call must be exactly what both bridges are told.
    function _takeBaseToken(uint256 chainId, uint256 mintValue, uint256 secondBridgeValue) private {
        bytes32 assetId = baseTokenAssetId[chainId];
        uint256 baseValue = assetId == DataEncoding.assetId(block.chainid, ETH_TOKEN) ? mintValue : 0;
        // A sum beyond 2^256 cannot be paid: the checked addition reverts.
        if (msg.value != baseValue + secondBridgeValue) {
            revert MsgValueMismatch(baseValue + secondBridgeValue, msg.value);
        }
        IL1AssetRouter(assetRouter).bridgehubDepositBaseToken{value: baseValue}(chainId, assetId, msg.sender, mintValue);
    }

    function _chain(uint256 chainId) private view returns (IZKChain chain) {
        chain = IZKChain(_chains[chainId]);
        if (address(chain) == address(0)) revert ChainIdNotRegistered(chainId);
    }

    function _vault() private view returns (INativeTokenVault) {
        return INativeTokenVault(IL1AssetRouter(assetRouter).nativeTokenVault());
    }

    function _onlyOwnerOrAdmin() private view {
        if (msg.sender != owner() && msg.sender != admin) revert Unauthorized(msg.sender);
    }
}
