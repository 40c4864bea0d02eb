// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Transaction} from "../interfaces/IAccount.sol";
import {ExecutionResult, IPaymaster, PAYMASTER_VALIDATION_SUCCESS_MAGIC} from "../interfaces/IPaymaster.sol";
import {IPaymasterFlow} from "../interfaces/IL2System.sol";
import {PaymasterBase} from "./PaymasterBase.sol";

/// @title Pays fees in ether and takes tokens for them, at a rate that the owner sets.
/// @dev It takes the price of the whole gas limit at the fee cap, and gives back in `postTransaction` what was not used.
contract ERC20Paymaster is PaymasterBase {
    using SafeERC20 for IERC20;

    /// Gas that `postTransaction` is reckoned to use itself; the chain refunds the rest.
    uint256 private constant POST_GAS = 35_000;
    uint256 private constant WEI_PER_ETHER = 1e18;

    /// Units of the token for one ether; zero: not accepted.
    mapping(address token => uint256) public rateOf;

    error TokenNotAccepted(address token);
    error AllowanceTooLow(uint256 allowance, uint256 needed);

    event RateSet(address indexed token, uint256 unitsPerEther);

    constructor(address owner_) payable PaymasterBase(owner_) {}

    function setRate(address token, uint256 unitsPerEther) external onlyOwner {
        rateOf[token] = unitsPerEther;
        emit RateSet(token, unitsPerEther);
    }

    function withdrawToken(IERC20 token, address to, uint256 amount) external onlyOwner {
        token.safeTransfer(to, amount);
    }

    /// @notice Units of `token` for a fee, rounded up.
    function quote(address token, uint256 fee) public view returns (uint256) {
        uint256 rate = rateOf[token];
        if (rate == 0) revert TokenNotAccepted(token);
        return Math.mulDiv(fee, rate, WEI_PER_ETHER, Math.Rounding.Ceil);
    }

    /// @inheritdoc IPaymaster
    function validateAndPayForPaymasterTransaction(bytes32, bytes32, Transaction calldata transaction)
        external
        payable
        onlyBootloader
        returns (bytes4, bytes memory)
    {
        bytes calldata input = transaction.paymasterInput;
        if (bytes4(input) != IPaymasterFlow.approvalBased.selector) revert UnsupportedPaymasterFlow(bytes4(input));
        (address token,,) = abi.decode(input[4:], (address, uint256, bytes));
        address account = address(uint160(transaction.from));
        uint256 fee = _fee(transaction);
        uint256 amount = quote(token, fee);
        uint256 allowance = IERC20(token).allowance(account, address(this));
        if (allowance < amount) revert AllowanceTooLow(allowance, amount);
        IERC20(token).safeTransferFrom(account, address(this), amount);
        _pay(fee);
        return (PAYMASTER_VALIDATION_SUCCESS_MAGIC, abi.encode(token, amount));
    }

    /// @inheritdoc IPaymaster
    function postTransaction(
        bytes calldata context,
        Transaction calldata transaction,
        bytes32,
        bytes32,
        ExecutionResult,
        uint256 maxRefundedGas
    ) external payable onlyBootloader {
        (address token, uint256 taken) = abi.decode(context, (address, uint256));
        uint256 used = transaction.gasLimit - Math.saturatingSub(maxRefundedGas, POST_GAS);
        uint256 due = quote(token, used * tx.gasprice);
        if (taken > due) IERC20(token).safeTransfer(address(uint160(transaction.from)), taken - due);
    }
}
