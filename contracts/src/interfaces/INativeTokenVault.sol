// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Holds (L1) or mints (L2) the assets that cross the bridge.
interface INativeTokenVault {
    event BridgeBurn(
        uint256 indexed chainId, bytes32 indexed assetId, address indexed sender, address receiver, uint256 amount
    );
    event BridgeMint(uint256 indexed chainId, bytes32 indexed assetId, address receiver, uint256 amount);

    function bridgeBurn(uint256 chainId, uint256 msgValue, bytes32 assetId, address originalCaller, bytes calldata data)
        external
        payable
        returns (bytes memory bridgeMintData);
    function bridgeMint(uint256 chainId, bytes32 assetId, bytes calldata data) external payable;
    function assetId(address token) external view returns (bytes32);
    function tokenAddress(bytes32 assetId) external view returns (address);
    function originChainId(bytes32 assetId) external view returns (uint256);
    function L1_CHAIN_ID() external view returns (uint256);
    function ASSET_ROUTER() external view returns (address);
}

interface IL1NativeTokenVault is INativeTokenVault {
    event TokenRegistered(bytes32 indexed assetId, address indexed token);

    function bridgeRecoverFailedTransfer(uint256 chainId, bytes32 assetId, address depositSender, bytes calldata data)
        external
        payable;
    function registerToken(address token) external;
    function ensureTokenIsRegistered(address token) external returns (bytes32);
    function tryRegisterTokenFromBurnData(bytes calldata burnData, bytes32 expectedAssetId) external;
    function chainBalance(uint256 chainId, bytes32 assetId) external view returns (uint256);
    function getERC20Getters(address token, uint256 originChainId) external view returns (bytes memory);
    function L1_NULLIFIER() external view returns (address);
}

interface IL2NativeTokenVault is INativeTokenVault {
    function BASE_TOKEN_ASSET_ID() external view returns (bytes32);
    function l2TokenAddress(address l1Token) external view returns (address);
    function originToken(address l2Token) external view returns (address);
}
