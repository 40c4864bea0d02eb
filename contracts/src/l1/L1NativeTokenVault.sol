// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {DataEncoding} from "../common/DataEncoding.sol";
import {ETH_TOKEN} from "../common/Constants.sol";
import {IL1AssetRouter} from "../interfaces/IAssetRouter.sol";
import {IBridgehub} from "../interfaces/IBridgehub.sol";
import {IL1NativeTokenVault, INativeTokenVault} from "../interfaces/INativeTokenVault.sol";
import {Governed} from "./Governed.sol";
import "../interfaces/Errors.sol";

/// @title Holds every asset that is on any chain of the family, and knows how much each chain may take out.
contract L1NativeTokenVault is IL1NativeTokenVault, Governed, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev Longest name or symbol passed on to L2.
    uint256 private constant MAX_METADATA = 256;

    IL1AssetRouter private _assetRouter;
    /// @inheritdoc INativeTokenVault
    mapping(address token => bytes32) public assetId;
    /// @inheritdoc INativeTokenVault
    mapping(bytes32 assetId => address) public tokenAddress;
    /// @inheritdoc IL1NativeTokenVault
    /// @dev What a chain's users put in and have not taken out. No chain, however broken, reaches another's share.
    mapping(uint256 chainId => mapping(bytes32 assetId => uint256)) public chainBalance;

    modifier onlyAssetRouter() {
        if (msg.sender != address(_assetRouter)) revert Unauthorized(msg.sender);
        _;
    }

    function initialize(address owner_, IL1AssetRouter assetRouter_) external initializer {
        if (address(assetRouter_) == address(0)) revert ZeroAddress();
        __Governed_init(owner_);
        _assetRouter = assetRouter_;
        _register(ETH_TOKEN);
    }

    // Tokens

    /// @inheritdoc IL1NativeTokenVault
    function registerToken(address token) external {
        if (assetId[token] != bytes32(0)) revert AssetIdAlreadyRegistered();
        _register(token);
    }

    /// @inheritdoc IL1NativeTokenVault
    function ensureTokenIsRegistered(address token) external returns (bytes32) {
        if (assetId[token] == bytes32(0)) _register(token);
        return assetId[token];
    }

    /// @inheritdoc IL1NativeTokenVault
    function tryRegisterTokenFromBurnData(bytes calldata burnData, bytes32 expectedAssetId) external {
        (,, address token) = DataEncoding.decodeTransferData(burnData);
        bytes32 actual = DataEncoding.assetId(block.chainid, token);
        if (actual != expectedAssetId) revert AssetIdMismatch(expectedAssetId, actual);
        if (assetId[token] != bytes32(0)) revert AssetIdAlreadyRegistered();
        _register(token);
    }

    // In and out

    /// @inheritdoc INativeTokenVault
    function bridgeBurn(uint256 chainId, uint256, bytes32 id, address originalCaller, bytes calldata data)
        external
        payable
        onlyAssetRouter
        nonReentrant
        whenNotPaused
        returns (bytes memory)
    {
        (uint256 amount, address receiver, address claimedToken) = DataEncoding.decodeTransferData(data);
        address token = _token(id);
        if (claimedToken != token && claimedToken != address(0)) revert TokenNotSupported(claimedToken);
        if (amount == 0) revert AmountMustBeGreaterThanZero();
        _take(token, id, originalCaller, amount);

        uint256 balance = chainBalance[chainId][id] + amount;
        chainBalance[chainId][id] = balance;
        // Accounts on L2 hold at most 128 bits of the base token.
        if (balance > type(uint128).max && id == IBridgehub(_assetRouter.BRIDGE_HUB()).baseTokenAssetId(chainId)) {
            revert BaseTokenSupplyTooBig(balance);
        }
        emit BridgeBurn(chainId, id, originalCaller, receiver, amount);
        // A base token is minted by the chain itself, which asks for no metadata.
        if (receiver == address(0)) return "";
        return DataEncoding.bridgeMintData(
            originalCaller, receiver, token, amount, getERC20Getters(token, block.chainid)
        );
    }

    /// @inheritdoc INativeTokenVault
    function bridgeMint(uint256 chainId, bytes32 id, bytes calldata data)
        external
        payable
        onlyAssetRouter
        nonReentrant
        whenNotPaused
    {
        if (msg.value != 0) revert NonEmptyMsgValue();
        (, address receiver,, uint256 amount,) = DataEncoding.decodeBridgeMintData(data);
        _give(chainId, id, receiver, amount);
        emit BridgeMint(chainId, id, receiver, amount);
    }

    /// @inheritdoc IL1NativeTokenVault
    function bridgeRecoverFailedTransfer(uint256 chainId, bytes32 id, address depositSender, bytes calldata data)
        external
        payable
        onlyAssetRouter
        nonReentrant
        whenNotPaused
    {
        if (msg.value != 0) revert NonEmptyMsgValue();
        (uint256 amount,,) = DataEncoding.decodeTransferData(data);
        _give(chainId, id, depositSender, amount);
        emit BridgeMint(chainId, id, depositSender, amount);
    }

    // Getters

    /// @inheritdoc INativeTokenVault
    function originChainId(bytes32 id) external view returns (uint256) {
        return tokenAddress[id] == address(0) ? 0 : block.chainid;
    }

    /// @inheritdoc INativeTokenVault
    function L1_CHAIN_ID() external view returns (uint256) {
        return block.chainid;
    }

    /// @inheritdoc INativeTokenVault
    function ASSET_ROUTER() external view returns (address) {
        return address(_assetRouter);
    }

    /// @inheritdoc IL1NativeTokenVault
    function L1_NULLIFIER() external view returns (address) {
        return _assetRouter.L1_NULLIFIER();
    }

    /// @inheritdoc IL1NativeTokenVault
    /// @dev `0x01 || abi.encode(chain id, abi.encode(name), abi.encode(symbol), abi.encode(decimals))`. A token that answers nonsense gets empty strings
    /// and 18 decimals, so that its deposit cannot fail for that.
    function getERC20Getters(address token, uint256 originChainId_) public view returns (bytes memory) {
        if (token == ETH_TOKEN) {
            return DataEncoding.tokenMetadata(originChainId_, abi.encode("Ether"), abi.encode("ETH"), abi.encode(18));
        }
        return DataEncoding.tokenMetadata(
            originChainId_,
            abi.encode(_text(token, IERC20Metadata.name.selector)),
            abi.encode(_text(token, IERC20Metadata.symbol.selector)),
            abi.encode(_decimals(token))
        );
    }

    function _register(address token) private {
        if (token != ETH_TOKEN && token.code.length == 0) revert TokenNotSupported(token);
        bytes32 id = DataEncoding.assetId(block.chainid, token);
        assetId[token] = id;
        tokenAddress[id] = token;
        emit TokenRegistered(id, token);
    }

    /// @dev The vault must hold exactly what the chain will mint, so tokens that take a fee are refused.
    function _take(address token, bytes32 id, address from, uint256 amount) private {
        if (token == ETH_TOKEN) {
            if (msg.value != amount) revert ValueMismatch(amount, msg.value);
            return;
        }
        if (msg.value != 0) revert NonEmptyMsgValue();
        uint256 before = IERC20(token).balanceOf(address(this));
        bool direct = IERC20(token).allowance(from, address(this)) >= amount;
        if (direct || !_assetRouter.transferFundsToNTV(id, amount, from)) {
            IERC20(token).safeTransferFrom(from, address(this), amount);
        }
        if (IERC20(token).balanceOf(address(this)) != before + amount) revert TokensWithFeesNotSupported();
    }

    function _give(uint256 chainId, bytes32 id, address receiver, uint256 amount) private {
        address token = _token(id);
        uint256 balance = chainBalance[chainId][id];
        if (balance < amount) revert InsufficientChainBalance(chainId, id, balance, amount);
        chainBalance[chainId][id] = balance - amount;
        if (token == ETH_TOKEN) {
            (bool ok,) = receiver.call{value: amount}("");
            if (!ok) revert WithdrawFailed();
        } else {
            IERC20(token).safeTransfer(receiver, amount);
        }
    }

    function _token(bytes32 id) private view returns (address token) {
        token = tokenAddress[id];
        if (token == address(0)) revert AssetIdNotSupported(id);
    }

    /// @dev A string, or a bytes32 as some old tokens answer, or nothing.
    function _text(address token, bytes4 selector) private view returns (string memory) {
        (bool ok, bytes memory out) = token.staticcall(abi.encodePacked(selector));
        if (!ok) return "";
        if (out.length == 32) {
            uint256 end = 0;
            while (end < 32 && out[end] != 0) ++end;
            return string(_slice(out, 0, end));
        }
        if (out.length < 64) return "";
        (uint256 offset, uint256 length) = abi.decode(out, (uint256, uint256));
        if (offset != 32 || length > MAX_METADATA || length > out.length - 64) return "";
        return string(_slice(out, 64, length));
    }

    function _decimals(address token) private view returns (uint8) {
        (bool ok, bytes memory out) = token.staticcall(abi.encodeCall(IERC20Metadata.decimals, ()));
        if (!ok || out.length < 32) return 18;
        uint256 value = abi.decode(out, (uint256));
        return value > type(uint8).max ? 18 : uint8(value);
    }

    function _slice(bytes memory data, uint256 start, uint256 length) private pure returns (bytes memory out) {
        out = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            out[i] = data[start + i];
        }
    }
}
