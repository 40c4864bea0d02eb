// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {DataEncoding} from "../common/DataEncoding.sol";
import {L2_ASSET_ROUTER, NEW_ENCODING_VERSION, TWO_BRIDGES_MAGIC_VALUE} from "../common/Constants.sol";
import {IAssetRouterBase, IL1AssetRouter} from "../interfaces/IAssetRouter.sol";
import {IBridgehub} from "../interfaces/IBridgehub.sol";
import {IL1Nullifier} from "../interfaces/IL1Nullifier.sol";
import {IL1NativeTokenVault} from "../interfaces/INativeTokenVault.sol";
import {L2TransactionRequestTwoBridgesInner} from "../interfaces/Types.sol";
import {Governed} from "./Governed.sol";
import "../interfaces/Errors.sol";

/// @title The L1 end of the bridge: the second bridge of ERC-20 deposits, and the keeper of base tokens.
contract L1AssetRouter is IL1AssetRouter, Governed {
    using SafeERC20 for IERC20;

    IBridgehub private _bridgehub;
    IL1Nullifier private _nullifier;
    IL1NativeTokenVault private _vault;

    modifier onlyBridgehub() {
        if (msg.sender != address(_bridgehub)) revert Unauthorized(msg.sender);
        _;
    }

    modifier onlyNullifier() {
        if (msg.sender != address(_nullifier)) revert Unauthorized(msg.sender);
        _;
    }

    function initialize(address owner_, IBridgehub bridgehub_, IL1Nullifier nullifier_) external initializer {
        if (address(bridgehub_) == address(0) || address(nullifier_) == address(0)) revert ZeroAddress();
        __Governed_init(owner_);
        _bridgehub = bridgehub_;
        _nullifier = nullifier_;
    }

    /// @notice Once, when everything is deployed.
    function setNativeTokenVault(IL1NativeTokenVault vault) external onlyOwner {
        if (address(_vault) != address(0)) revert AlreadySet();
        if (address(vault).code.length == 0) revert NotAContract(address(vault));
        _vault = vault;
    }

    // Deposits

    /// @inheritdoc IL1AssetRouter
    function bridgehubDepositBaseToken(uint256 chainId, bytes32 assetId, address originalCaller, uint256 amount)
        external
        payable
        onlyBridgehub
        whenNotPaused
    {
        bytes memory transferData = abi.encode(amount, address(0), _vault.tokenAddress(assetId));
        _vault.bridgeBurn{value: msg.value}(chainId, 0, assetId, originalCaller, transferData);
        emit BridgehubDepositBaseTokenInitiated(chainId, originalCaller, assetId, amount);
    }

    /// @inheritdoc IL1AssetRouter
    /// @dev `data` is `0x01 || abi.encode(assetId, abi.encode(amount, receiver, token))`, or the older `abi.encode(token, amount, receiver)`.
    function bridgehubDeposit(uint256 chainId, address originalCaller, uint256 value, bytes calldata data)
        external
        payable
        onlyBridgehub
        whenNotPaused
        returns (L2TransactionRequestTwoBridgesInner memory request)
    {
        // The base token of this transaction was taken by `bridgehubDepositBaseToken`; an L2 value would stay with the router's alias.
        if (value != 0) revert L2ValueTooBig(value);
        (bytes32 assetId, bytes memory transferData) = _decodeDeposit(data);
        if (assetId == _bridgehub.baseTokenAssetId(chainId)) revert AssetIdNotSupported(assetId);
        if (_vault.tokenAddress(assetId) == address(0)) _vault.tryRegisterTokenFromBurnData(transferData, assetId);
        (, address receiver,) = DataEncoding.decodeTransferData(transferData);
        if (receiver == address(0)) revert ZeroAddress();

        bytes memory mintData =
            _vault.bridgeBurn{value: msg.value}(chainId, value, assetId, originalCaller, transferData);
        bytes32 txDataHash = DataEncoding.txDataHash(originalCaller, assetId, _canonical(assetId, transferData));
        request = L2TransactionRequestTwoBridgesInner({
            magicValue: TWO_BRIDGES_MAGIC_VALUE,
            l2Contract: L2_ASSET_ROUTER,
            l2Calldata: _l2Calldata(assetId, mintData),
            factoryDeps: new bytes[](0),
            txDataHash: txDataHash
        });
        emit BridgehubDepositInitiated(chainId, txDataHash, originalCaller, assetId, mintData);
    }

    /// @inheritdoc IL1AssetRouter
    function bridgehubConfirmL2Transaction(uint256 chainId, bytes32 txDataHash, bytes32 txHash)
        external
        onlyBridgehub
        whenNotPaused
    {
        _nullifier.bridgehubConfirmL2TransactionForwarded(chainId, txDataHash, txHash);
        emit BridgehubDepositFinalized(chainId, txDataHash, txHash);
    }

    /// @inheritdoc IL1AssetRouter
    /// @dev Clients approve the router; the vault holds the funds.
    function transferFundsToNTV(bytes32 assetId, uint256 amount, address originalCaller) external returns (bool) {
        if (msg.sender != address(_vault)) revert Unauthorized(msg.sender);
        IERC20 token = IERC20(_vault.tokenAddress(assetId));
        if (token.allowance(originalCaller, address(this)) < amount) return false;
        token.safeTransferFrom(originalCaller, address(_vault), amount);
        return true;
    }

    // Withdrawals and failed deposits: the nullifier decides, the vault pays

    /// @inheritdoc IAssetRouterBase
    function finalizeDeposit(uint256 chainId, bytes32 assetId, bytes calldata transferData)
        external
        payable
        onlyNullifier
        whenNotPaused
    {
        if (msg.value != 0) revert NonEmptyMsgValue();
        _vault.bridgeMint(chainId, assetId, transferData);
        emit DepositFinalizedAssetRouter(chainId, assetId, transferData);
    }

    /// @inheritdoc IL1AssetRouter
    function bridgeRecoverFailedTransfer(
        uint256 chainId,
        address depositSender,
        bytes32 assetId,
        bytes calldata assetData
    ) external onlyNullifier whenNotPaused {
        _vault.bridgeRecoverFailedTransfer(chainId, assetId, depositSender, assetData);
        emit ClaimedFailedDepositAssetRouter(chainId, assetId, assetData);
    }

    /// @inheritdoc IL1AssetRouter
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
    ) external {
        _nullifier.bridgeRecoverFailedTransfer(
            chainId,
            depositSender,
            assetId,
            assetData,
            l2TxHash,
            l2BatchNumber,
            l2MessageIndex,
            l2TxNumberInBatch,
            merkleProof
        );
    }

    /// @inheritdoc IL1AssetRouter
    function finalizeWithdrawal(
        uint256 chainId,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes calldata message,
        bytes32[] calldata merkleProof
    ) external {
        _nullifier.finalizeWithdrawal(
            chainId, l2BatchNumber, l2MessageIndex, l2TxNumberInBatch, message, merkleProof
        );
    }

    // Getters

    /// @inheritdoc IL1AssetRouter
    function isWithdrawalFinalized(uint256 chainId, uint256 l2BatchNumber, uint256 l2MessageIndex)
        external
        view
        returns (bool)
    {
        return _nullifier.isWithdrawalFinalized(chainId, l2BatchNumber, l2MessageIndex);
    }

    /// @inheritdoc IL1AssetRouter
    function getDepositCalldata(address sender, bytes32 assetId, bytes calldata assetData)
        external
        view
        returns (bytes memory)
    {
        (uint256 amount, address receiver,) = DataEncoding.decodeTransferData(assetData);
        address token = _vault.tokenAddress(assetId);
        bytes memory metadata = _vault.getERC20Getters(token, block.chainid);
        return _l2Calldata(assetId, DataEncoding.bridgeMintData(sender, receiver, token, amount, metadata));
    }

    /// @inheritdoc IL1AssetRouter
    function assetHandlerAddress(bytes32 assetId) external view returns (address) {
        return _vault.tokenAddress(assetId) == address(0) ? address(0) : address(_vault);
    }

    /// @inheritdoc IL1AssetRouter
    function l2BridgeAddress(uint256 chainId) external view returns (address) {
        return _bridgehub.getZKChain(chainId) == address(0) ? address(0) : L2_ASSET_ROUTER;
    }

    /// @inheritdoc IL1AssetRouter
    function L1_NULLIFIER() external view returns (address) {
        return address(_nullifier);
    }

    /// @inheritdoc IL1AssetRouter
    function BRIDGE_HUB() external view returns (address) {
        return address(_bridgehub);
    }

    /// @inheritdoc IL1AssetRouter
    function nativeTokenVault() external view returns (address) {
        return address(_vault);
    }

    function _decodeDeposit(bytes calldata data) private view returns (bytes32 assetId, bytes memory transferData) {
        if (data.length == 0) revert UnsupportedEncodingVersion();
        if (data[0] == NEW_ENCODING_VERSION) return abi.decode(data[1:], (bytes32, bytes));
        if (data[0] != 0x00) revert UnsupportedEncodingVersion();
        (address token, uint256 amount, address receiver) = abi.decode(data, (address, uint256, address));
        return (DataEncoding.assetId(block.chainid, token), abi.encode(amount, receiver, token));
    }

    /// @dev Some callers leave the token out, because the asset id names it; a claim of a failed deposit always gives it.
    function _canonical(bytes32 assetId, bytes memory transferData) private view returns (bytes memory) {
        (uint256 amount, address receiver,) = DataEncoding.decodeTransferData(transferData);
        return abi.encode(amount, receiver, _vault.tokenAddress(assetId));
    }

    function _l2Calldata(bytes32 assetId, bytes memory mintData) private view returns (bytes memory) {
        return abi.encodeCall(IAssetRouterBase.finalizeDeposit, (block.chainid, assetId, mintData));
    }
}
