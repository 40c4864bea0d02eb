// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title An L1 contract's address on L2 is shifted, so that it cannot pose as an L2 account of the same address.
library AddressAlias {
    uint160 private constant OFFSET = uint160(0x1111000000000000000000000000000000001111);

    function apply_(address l1) internal pure returns (address) {
        unchecked {
            return address(uint160(l1) + OFFSET);
        }
    }

    function undo(address l2) internal pure returns (address) {
        unchecked {
            return address(uint160(l2) - OFFSET);
        }
    }

    /// @dev True for accounts whose key can sign for the same address on L2: no code, or an EIP-7702 delegation.
    function isKeyed(address account) internal view returns (bool) {
        uint256 size = account.code.length;
        if (size == 0) return true;
        if (size != 23) return false;
        bytes memory code = account.code;
        return code[0] == 0xef && code[1] == 0x01 && code[2] == 0x00;
    }

    /// @dev Who gets refunds on L2: the wish, aliased if it is a contract here; else the (aliased) caller.
    function refundRecipient(address wish, address caller) internal view returns (address) {
        // solhint-disable-next-line avoid-tx-origin
        if (wish == address(0)) return caller == tx.origin ? caller : apply_(caller);
        return isKeyed(wish) ? wish : apply_(wish);
    }
}
