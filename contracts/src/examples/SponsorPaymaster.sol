// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Transaction} from "../interfaces/IAccount.sol";
import {ExecutionResult, IPaymaster, PAYMASTER_VALIDATION_SUCCESS_MAGIC} from "../interfaces/IPaymaster.sol";
import {IPaymasterFlow} from "../interfaces/IL2System.sol";
import {PaymasterBase} from "./PaymasterBase.sol";

/// @title Pays the fees of its users in ether, up to a bound for each transaction.
/// @dev Open to everyone until the owner closes it; then to those on its list. Whoever runs an open one should know that its balance is its budget.
contract SponsorPaymaster is PaymasterBase {
    bool public open = true;
    /// Most wei that one transaction may cost.
    uint256 public maxFee;
    mapping(address account => bool) public isUser;

    error NotSponsored(address account);
    error FeeTooHigh(uint256 fee, uint256 maxFee);

    constructor(address owner_, uint256 maxFee_) payable PaymasterBase(owner_) {
        maxFee = maxFee_;
    }

    function setOpen(bool open_) external onlyOwner {
        open = open_;
    }

    function setUser(address account, bool allowed) external onlyOwner {
        isUser[account] = allowed;
    }

    function setMaxFee(uint256 maxFee_) external onlyOwner {
        maxFee = maxFee_;
    }

    /// @inheritdoc IPaymaster
    function validateAndPayForPaymasterTransaction(bytes32, bytes32, Transaction calldata transaction)
        external
        payable
        onlyBootloader
        returns (bytes4, bytes memory context)
    {
        bytes4 flow = bytes4(transaction.paymasterInput);
        if (flow != IPaymasterFlow.general.selector) revert UnsupportedPaymasterFlow(flow);
        address account = address(uint160(transaction.from));
        if (!open && !isUser[account]) revert NotSponsored(account);
        uint256 fee = _fee(transaction);
        if (fee > maxFee) revert FeeTooHigh(fee, maxFee);
        _pay(fee);
        return (PAYMASTER_VALIDATION_SUCCESS_MAGIC, context);
    }

    /// @inheritdoc IPaymaster
    function postTransaction(bytes calldata, Transaction calldata, bytes32, bytes32, ExecutionResult, uint256)
        external
        payable
        onlyBootloader
    {}
}
