// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20PermitUpgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20PermitUpgradeable.sol";
import {L2_NATIVE_TOKEN_VAULT} from "../common/Constants.sol";
import "../interfaces/Errors.sol";
import {IBridgedERC20} from "../interfaces/IL2Bridge.sol";

/// @title A token of another chain. The vault makes one minimal clone of this code per asset.
contract BridgedERC20 is IBridgedERC20, ERC20PermitUpgradeable {
    /// @inheritdoc IBridgedERC20
    bytes32 public assetId;
    /// @inheritdoc IBridgedERC20
    address public originToken;
    uint8 private _decimals;

    modifier onlyVault() {
        if (msg.sender != L2_NATIVE_TOKEN_VAULT) revert Unauthorized(msg.sender);
        _;
    }

    /// @inheritdoc IBridgedERC20
    function initialize(
        bytes32 assetId_,
        address originToken_,
        string calldata name_,
        string calldata symbol_,
        uint8 decimals_
    ) external onlyVault initializer {
        __ERC20_init(name_, symbol_);
        __ERC20Permit_init(name_);
        assetId = assetId_;
        originToken = originToken_;
        _decimals = decimals_;
    }

    /// @inheritdoc IBridgedERC20
    function bridgeMint(address account, uint256 amount) external onlyVault {
        _mint(account, amount);
        emit BridgeMint(account, amount);
    }

    /// @inheritdoc IBridgedERC20
    function bridgeBurn(address account, uint256 amount) external onlyVault {
        _burn(account, amount);
        emit BridgeBurn(account, amount);
    }

    /// @inheritdoc IBridgedERC20
    function l1Address() external view returns (address) {
        return originToken;
    }

    /// @inheritdoc IBridgedERC20
    function nativeTokenVault() external pure returns (address) {
        return L2_NATIVE_TOKEN_VAULT;
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }
}
