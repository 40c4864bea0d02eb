// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Transaction} from "./IAccount.sol";

/// @dev What `validateAndPayForPaymasterTransaction` answers when the paymaster agrees: its own selector.
bytes4 constant PAYMASTER_VALIDATION_SUCCESS_MAGIC = IPaymaster.validateAndPayForPaymasterTransaction.selector;

enum ExecutionResult {
    Revert,
    Success
}

/// @title One who pays the fees of others. The chain calls these functions from the bootloader (0x8001).
interface IPaymaster {
    /// @notice Agrees to pay, and sends at least `gasLimit * maxFeePerGas` wei to the bootloader, which returns what is not due.
    /// @return magic [`PAYMASTER_VALIDATION_SUCCESS_MAGIC`].
    /// @return context Given back to `postTransaction`; at most 16 KiB.
    function validateAndPayForPaymasterTransaction(
        bytes32 txHash,
        bytes32 suggestedSignedHash,
        Transaction calldata transaction
    ) external payable returns (bytes4 magic, bytes memory context);

    /// @notice The last word, after the transaction: it cannot undo it, and when it fails only itself is undone.
    /// @dev It is not called when the transaction used up its gas.
    /// @param maxRefundedGas Gas that is left before this call: more will not be refunded.
    function postTransaction(
        bytes calldata context,
        Transaction calldata transaction,
        bytes32 txHash,
        bytes32 suggestedSignedHash,
        ExecutionResult txResult,
        uint256 maxRefundedGas
    ) external payable;
}
