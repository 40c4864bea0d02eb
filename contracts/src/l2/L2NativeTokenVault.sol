// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {DataEncoding} from "../common/DataEncoding.sol";
import {
    L2_ASSET_ROUTER,
    L2_BRIDGED_TOKEN_IMPLEMENTATION,
    NEW_ENCODING_VERSION
} from "../common/Constants.sol";
import {IBridgedERC20} from "../interfaces/IL2Bridge.sol";
import {IL2NativeTokenVault, INativeTokenVault} from "../interfaces/INativeTokenVault.sol";
import "../interfaces/Errors.sol";

/// @title 0x10004: mints and burns the tokens that L1's vault holds.
/// @dev Predeployed: slots 0 and 1 are written at genesis. A token's address follows from its asset id alone, before it exists.
contract L2NativeTokenVault is IL2NativeTokenVault {
    /// @inheritdoc INativeTokenVault
    uint256 public L1_CHAIN_ID;
    /// @inheritdoc IL2NativeTokenVault
    bytes32 public BASE_TOKEN_ASSET_ID;
    /// @inheritdoc INativeTokenVault
    mapping(address token => bytes32) public assetId;
    /// @inheritdoc INativeTokenVault
    mapping(bytes32 assetId => address) public tokenAddress;

    modifier onlyAssetRouter() {
        if (msg.sender != L2_ASSET_ROUTER) revert Unauthorized(msg.sender);
        _;
    }

    /// @inheritdoc INativeTokenVault
    function bridgeMint(uint256 chainId, bytes32 id, bytes calldata data) external payable onlyAssetRouter {
        if (msg.value != 0) revert NonEmptyMsgValue();
        (, address receiver, address origin, uint256 amount, bytes memory metadata) =
            DataEncoding.decodeBridgeMintData(data);
        address token = tokenAddress[id];
        if (token == address(0)) token = _deploy(id, origin, metadata);
        IBridgedERC20(token).bridgeMint(receiver, amount);
        emit BridgeMint(chainId, id, receiver, amount);
    }

    /// @inheritdoc INativeTokenVault
    function bridgeBurn(uint256 chainId, uint256, bytes32 id, address originalCaller, bytes calldata data)
        external
        payable
        onlyAssetRouter
        returns (bytes memory)
    {
        if (msg.value != 0) revert NonEmptyMsgValue();
        (uint256 amount, address receiver, address claimedToken) = DataEncoding.decodeTransferData(data);
        address token = tokenAddress[id];
        // Only tokens that came over the bridge can go back; the base token leaves through 0x800a.
        if (token == address(0)) revert AssetIdNotSupported(id);
        if (claimedToken != token && claimedToken != address(0)) revert TokenNotSupported(claimedToken);
        if (amount == 0) revert AmountMustBeGreaterThanZero();
        if (receiver == address(0)) revert ZeroAddress();
        IBridgedERC20(token).bridgeBurn(originalCaller, amount);
        emit BridgeBurn(chainId, id, originalCaller, receiver, amount);
        return DataEncoding.bridgeMintData(originalCaller, receiver, IBridgedERC20(token).originToken(), amount, "");
    }

    /// @inheritdoc INativeTokenVault
    function originChainId(bytes32 id) external view returns (uint256) {
        return tokenAddress[id] == address(0) && id != BASE_TOKEN_ASSET_ID ? 0 : L1_CHAIN_ID;
    }

    /// @inheritdoc INativeTokenVault
    function ASSET_ROUTER() external pure returns (address) {
        return L2_ASSET_ROUTER;
    }

    /// @inheritdoc IL2NativeTokenVault
    /// @dev Where the token is, or will be once it is first bridged.
    function l2TokenAddress(address l1Token) external view returns (address) {
        bytes32 id = DataEncoding.assetId(L1_CHAIN_ID, l1Token);
        return Clones.predictDeterministicAddress(L2_BRIDGED_TOKEN_IMPLEMENTATION, id);
    }

    /// @inheritdoc IL2NativeTokenVault
    function originToken(address l2Token) external view returns (address) {
        return assetId[l2Token] == bytes32(0) ? address(0) : IBridgedERC20(l2Token).originToken();
    }

    function _deploy(bytes32 id, address origin, bytes memory metadata) private returns (address token) {
        bytes32 expected = DataEncoding.assetId(L1_CHAIN_ID, origin);
        if (id != expected) revert AssetIdMismatch(expected, id);
        token = Clones.cloneDeterministic(L2_BRIDGED_TOKEN_IMPLEMENTATION, id);
        tokenAddress[id] = token;
        assetId[token] = id;
        (string memory name, string memory symbol, uint8 decimals) = _metadata(metadata);
        IBridgedERC20(token).initialize(id, origin, name, symbol, decimals);
    }

    function _metadata(bytes memory data) private pure returns (string memory, string memory, uint8) {
        if (data.length == 0 || data[0] != NEW_ENCODING_VERSION) revert UnsupportedEncodingVersion();
        bytes memory body = new bytes(data.length - 1);
        for (uint256 i = 0; i < body.length; ++i) {
            body[i] = data[i + 1];
        }
        (, bytes memory name, bytes memory symbol, bytes memory decimals) =
            abi.decode(body, (uint256, bytes, bytes, bytes));
        return (abi.decode(name, (string)), abi.decode(symbol, (string)), abi.decode(decimals, (uint8)));
    }
}
