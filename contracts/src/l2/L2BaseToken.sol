// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {L2_TO_L1_MESSENGER} from "../common/Constants.sol";
import {IBaseToken, IL1Messenger} from "../interfaces/IL2System.sol";
import {IMailboxLegacy} from "../interfaces/IMailbox.sol";

/// @title 0x800a: withdrawals of the base token, and reads that token-minded clients make.
/// @dev What is withdrawn is burned: the chain empties this account at the end of every transaction.
contract L2BaseToken is IBaseToken {
    error ZeroWithdrawal();
    error ZeroReceiver();

    /// @dev Slots 0 and 1, written at genesis on a chain whose base token is not ETH (strings of at most 31 bytes).
    string private _name;
    string private _symbol;
    /// @dev Slot 2, written by the chain itself: what deposits minted, less what was withdrawn.
    uint256 private _totalSupply;

    /// @inheritdoc IBaseToken
    function withdraw(address l1Receiver) external payable {
        _checkWithdrawal(l1Receiver);
        _send(abi.encodePacked(IMailboxLegacy.finalizeEthWithdrawal.selector, l1Receiver, msg.value));
        emit Withdrawal(msg.sender, l1Receiver, msg.value);
    }

    /// @inheritdoc IBaseToken
    function withdrawWithMessage(address l1Receiver, bytes calldata additionalData) external payable {
        _checkWithdrawal(l1Receiver);
        _send(
            abi.encodePacked(
                IMailboxLegacy.finalizeEthWithdrawal.selector, l1Receiver, msg.value, msg.sender, additionalData
            )
        );
        emit WithdrawalWithMessage(msg.sender, l1Receiver, msg.value, additionalData);
    }

    /// @inheritdoc IBaseToken
    function balanceOf(uint256 account) external view returns (uint256) {
        return address(uint160(account)).balance;
    }

    /// @inheritdoc IBaseToken
    function totalSupply() external view returns (uint256) {
        return _totalSupply;
    }

    /// @inheritdoc IBaseToken
    function name() external view returns (string memory) {
        return bytes(_name).length == 0 ? "Ether" : _name;
    }

    /// @inheritdoc IBaseToken
    function symbol() external view returns (string memory) {
        return bytes(_symbol).length == 0 ? "ETH" : _symbol;
    }

    /// @inheritdoc IBaseToken
    function decimals() external pure returns (uint8) {
        return 18;
    }

    function _send(bytes memory message) private {
        IL1Messenger(L2_TO_L1_MESSENGER).sendToL1(message);
    }

    function _checkWithdrawal(address l1Receiver) private view {
        if (msg.value == 0) revert ZeroWithdrawal();
        if (l1Receiver == address(0)) revert ZeroReceiver();
    }
}
