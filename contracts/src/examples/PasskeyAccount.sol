// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {WebAuthn} from "@openzeppelin/contracts/utils/cryptography/WebAuthn.sol";
import {AccountBase} from "./AccountBase.sol";

/// @title An account that a passkey opens: WebAuthn over P-256, checked by the precompile at 0x100 (RIP-7212, EIP-7951).
/// @dev A signature is `abi.encode(WebAuthn.WebAuthnAuth)`; the challenge is the transaction's EIP-712 digest. `s` must be in the lower half.
contract PasskeyAccount is AccountBase {
    /// The public key.
    bytes32 public x;
    bytes32 public y;

    error InvalidKey();

    event KeyChanged(bytes32 x, bytes32 y);

    constructor(bytes32 x_, bytes32 y_) {
        _setKey(x_, y_);
    }

    /// @notice Moves the account to another passkey. Only by a transaction of the account.
    function changeKey(bytes32 x_, bytes32 y_) external onlySelf {
        _setKey(x_, y_);
    }

    function _setKey(bytes32 x_, bytes32 y_) private {
        if (x_ == 0 && y_ == 0) revert InvalidKey();
        (x, y) = (x_, y_);
        emit KeyChanged(x_, y_);
    }

    function _isAuthorized(bytes32 hash, bytes calldata signature) internal view override returns (bool) {
        (bool decodes, WebAuthn.WebAuthnAuth calldata auth) = WebAuthn.tryDecodeAuth(signature);
        return decodes && WebAuthn.verify(abi.encodePacked(hash), auth, x, y, false);
    }
}
