// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAssetRouterBase} from "./IAssetRouter.sol";

/// @title The names by which older clients know 0x10003.
interface IL2SharedBridge {
    function finalizeDeposit(address l1Sender, address l2Receiver, address l1Token, uint256 amount, bytes calldata data)
        external
        payable;
    function withdraw(address l1Receiver, address l2Token, uint256 amount) external;
    function l1SharedBridge() external view returns (address);
    function l1Bridge() external view returns (address);
    function l2TokenAddress(address l1Token) external view returns (address);
    function l1TokenAddress(address l2Token) external view returns (address);
}

/// @title 0x10003: the L2 end of the bridge.
interface IL2AssetRouter is IAssetRouterBase, IL2SharedBridge {
    event DepositFinalizedAssetRouter(uint256 indexed chainId, bytes32 indexed assetId, bytes assetData);
    event WithdrawalInitiatedAssetRouter(
        uint256 chainId, address indexed l2Sender, bytes32 indexed assetId, bytes assetData
    );

    function withdraw(bytes32 assetId, bytes calldata transferData) external returns (bytes32);
    function assetHandlerAddress(bytes32 assetId) external view returns (address);
    function L1_ASSET_ROUTER() external view returns (address);
    function L1_CHAIN_ID() external view returns (uint256);
}

/// @title A token of another chain, minted here by the vault.
interface IBridgedERC20 {
    event BridgeMint(address indexed account, uint256 amount);
    event BridgeBurn(address indexed account, uint256 amount);

    function initialize(
        bytes32 assetId,
        address originToken,
        string calldata name,
        string calldata symbol,
        uint8 decimals
    ) external;
    function bridgeMint(address account, uint256 amount) external;
    function bridgeBurn(address account, uint256 amount) external;
    function originToken() external view returns (address);
    function l1Address() external view returns (address);
    function assetId() external view returns (bytes32);
    function nativeTokenVault() external view returns (address);
}
