// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {AccountBase} from "./AccountBase.sol";

/// @title An account of which any two of three owners may sign.
/// @dev A signature is two ECDSA signatures of 65 bytes, one after the other, of two different owners in any order: what zksync-ethers' and viem's
///      multisig accounts send.
contract MultisigAccount is AccountBase {
    address[3] public owners;

    error InvalidOwners();

    event OwnerReplaced(address indexed previous, address indexed owner);

    constructor(address[3] memory owners_) {
        for (uint256 i = 0; i < 3; ++i) {
            if (owners_[i] == address(0) || owners_[i] == owners_[(i + 1) % 3]) revert InvalidOwners();
            owners[i] = owners_[i];
        }
    }

    /// @notice Puts a new owner in the place of a lost key. Only by a transaction of the account.
    function replaceOwner(uint256 index, address owner) external onlySelf {
        if (owner == address(0) || _isOwner(owner)) revert InvalidOwners();
        emit OwnerReplaced(owners[index], owner);
        owners[index] = owner;
    }

    function _isAuthorized(bytes32 hash, bytes calldata signature) internal view override returns (bool) {
        if (signature.length != 130) return false;
        address a = _signer(hash, signature[:65]);
        address b = _signer(hash, signature[65:]);
        return a != b && _isOwner(a) && _isOwner(b);
    }

    /// @dev Zero for what is no signature.
    function _signer(bytes32 hash, bytes calldata signature) private pure returns (address signer) {
        (signer,,) = ECDSA.tryRecover(hash, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
    }

    function _isOwner(address who) private view returns (bool) {
        return who != address(0) && (who == owners[0] || who == owners[1] || who == owners[2]);
    }
}
