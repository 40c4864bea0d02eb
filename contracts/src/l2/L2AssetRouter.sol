// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AddressAlias} from "../common/AddressAlias.sol";
import {DataEncoding} from "../common/DataEncoding.sol";
import {L2_NATIVE_TOKEN_VAULT, L2_TO_L1_MESSENGER} from "../common/Constants.sol";
import {IAssetRouterBase} from "../interfaces/IAssetRouter.sol";
import {IL2AssetRouter, IL2SharedBridge} from "../interfaces/IL2Bridge.sol";
import {IL1Messenger} from "../interfaces/IL2System.sol";
import {IL2NativeTokenVault} from "../interfaces/INativeTokenVault.sol";
import "../interfaces/Errors.sol";

/// @title 0x10003: the L2 end of the bridge.
/// @dev Predeployed: slot 0 is written at genesis. Only the alias of L1's asset router brings assets in.
contract L2AssetRouter is IL2AssetRouter {
    /// @inheritdoc IL2AssetRouter
    address public L1_ASSET_ROUTER;

    IL2NativeTokenVault private constant VAULT = IL2NativeTokenVault(L2_NATIVE_TOKEN_VAULT);

    modifier onlyL1AssetRouter() {
        if (msg.sender != AddressAlias.apply_(L1_ASSET_ROUTER)) revert Unauthorized(msg.sender);
        _;
    }

    /// @inheritdoc IAssetRouterBase
    function finalizeDeposit(uint256 chainId, bytes32 assetId, bytes calldata transferData)
        external
        payable
        onlyL1AssetRouter
    {
        _finalizeDeposit(chainId, assetId, transferData);
    }

    /// @inheritdoc IL2SharedBridge
    /// @dev Clients estimate a deposit's gas with this form; `data` is `abi.encode(name, symbol, decimals)`, each ABI-encoded.
    function finalizeDeposit(
        address l1Sender,
        address l2Receiver,
        address l1Token,
        uint256 amount,
        bytes calldata data
    ) external payable onlyL1AssetRouter {
        uint256 l1ChainId = VAULT.L1_CHAIN_ID();
        (bytes memory name, bytes memory symbol, bytes memory decimals) = abi.decode(data, (bytes, bytes, bytes));
        bytes memory metadata = DataEncoding.tokenMetadata(l1ChainId, name, symbol, decimals);
        bytes memory mintData = DataEncoding.bridgeMintData(l1Sender, l2Receiver, l1Token, amount, metadata);
        _finalizeDeposit(l1ChainId, DataEncoding.assetId(l1ChainId, l1Token), mintData);
    }

    /// @inheritdoc IL2AssetRouter
    /// @dev `transferData` is `abi.encode(amount, L1 receiver, L2 token)`.
    function withdraw(bytes32 assetId, bytes calldata transferData) external returns (bytes32) {
        return _withdraw(assetId, transferData);
    }

    /// @inheritdoc IL2SharedBridge
    function withdraw(address l1Receiver, address l2Token, uint256 amount) external {
        bytes32 assetId = VAULT.assetId(l2Token);
        if (assetId == bytes32(0)) revert TokenNotSupported(l2Token);
        _withdraw(assetId, abi.encode(amount, l1Receiver, l2Token));
    }

    /// @inheritdoc IL2SharedBridge
    function l1SharedBridge() external view returns (address) {
        return L1_ASSET_ROUTER;
    }

    /// @inheritdoc IL2SharedBridge
    function l1Bridge() external view returns (address) {
        return L1_ASSET_ROUTER;
    }

    /// @inheritdoc IL2SharedBridge
    function l2TokenAddress(address l1Token) external view returns (address) {
        return VAULT.l2TokenAddress(l1Token);
    }

    /// @inheritdoc IL2SharedBridge
    function l1TokenAddress(address l2Token) external view returns (address) {
        return VAULT.originToken(l2Token);
    }

    /// @inheritdoc IL2AssetRouter
    function assetHandlerAddress(bytes32 assetId) external view returns (address) {
        return VAULT.tokenAddress(assetId) == address(0) ? address(0) : L2_NATIVE_TOKEN_VAULT;
    }

    /// @inheritdoc IL2AssetRouter
    function L1_CHAIN_ID() external view returns (uint256) {
        return VAULT.L1_CHAIN_ID();
    }

    function _finalizeDeposit(uint256 chainId, bytes32 assetId, bytes memory mintData) private {
        if (msg.value != 0) revert NonEmptyMsgValue();
        uint256 l1ChainId = VAULT.L1_CHAIN_ID();
        if (chainId != l1ChainId) revert WrongOriginChain(l1ChainId, chainId);
        VAULT.bridgeMint(chainId, assetId, mintData);
        emit DepositFinalizedAssetRouter(chainId, assetId, mintData);
    }

    function _withdraw(bytes32 assetId, bytes memory transferData) private returns (bytes32) {
        uint256 l1ChainId = VAULT.L1_CHAIN_ID();
        bytes memory mintData = VAULT.bridgeBurn(l1ChainId, 0, assetId, msg.sender, transferData);
        emit WithdrawalInitiatedAssetRouter(l1ChainId, msg.sender, assetId, transferData);
        return IL1Messenger(L2_TO_L1_MESSENGER).sendToL1(
            abi.encodePacked(IAssetRouterBase.finalizeDeposit.selector, block.chainid, assetId, mintData)
        );
    }
}
