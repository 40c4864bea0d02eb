// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {BOOTLOADER, Transaction} from "../interfaces/IAccount.sol";
import {IPaymaster} from "../interfaces/IPaymaster.sol";

/// @title What paymasters have in common: their ether, and who may move it.
abstract contract PaymasterBase is IPaymaster, Ownable {
    error OnlyBootloader(address caller);
    error UnsupportedPaymasterFlow(bytes4 selector);
    error PaymasterEmpty(uint256 balance, uint256 fee);
    error WithdrawalFailed();

    constructor(address owner_) payable Ownable(owner_) {}

    modifier onlyBootloader() {
        if (msg.sender != BOOTLOADER) revert OnlyBootloader(msg.sender);
        _;
    }

    receive() external payable {}

    function withdraw(address payable to, uint256 amount) external onlyOwner {
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert WithdrawalFailed();
    }

    /// @dev Pays the whole gas limit; the chain returns what is not used.
    function _pay(uint256 fee) internal {
        (bool paid,) = BOOTLOADER.call{value: fee}("");
        if (!paid) revert PaymasterEmpty(address(this).balance, fee);
    }

    function _fee(Transaction calldata transaction) internal pure returns (uint256) {
        return transaction.gasLimit * transaction.maxFeePerGas;
    }
}
