// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev The address from which the chain itself calls accounts and paymasters, and to which they pay fees.
address constant BOOTLOADER = address(0x8001);
/// @dev What `validateTransaction` answers when the account agrees: its own selector.
bytes4 constant ACCOUNT_VALIDATION_SUCCESS_MAGIC = IAccount.validateTransaction.selector;

/// @notice An account-abstraction transaction (type 0x71) as account and paymaster code sees it.
/// @dev Addresses are numbers, as in the EIP-712 type that is signed. `reserved[1]` is 1 when the transaction has no `to` (a creation; `to` is 0 then).
struct Transaction {
    uint256 txType;
    uint256 from;
    uint256 to;
    uint256 gasLimit;
    uint256 gasPerPubdataByteLimit;
    uint256 maxFeePerGas;
    uint256 maxPriorityFeePerGas;
    uint256 paymaster;
    uint256 nonce;
    uint256 value;
    uint256[4] reserved;
    bytes data;
    bytes signature;
    bytes32[] factoryDeps;
    bytes paymasterInput;
    bytes reservedDynamic;
}

/// @title An account with its own rules. The chain calls these functions from [`BOOTLOADER`], in this order.
interface IAccount {
    /// @notice Agrees to a transaction, or not. Must use up the transaction's nonce (`NonceHolder.incrementMinNonceIfEquals`).
    /// @dev For a wrong signature answer zero instead of reverting, so that gas can be estimated without one. It has at most 1,000,000 gas together
    ///      with the payment, and before a transaction enters the pool it may read and write only storage that belongs to the account.
    /// @param txHash The transaction's hash, for information.
    /// @param suggestedSignedHash The EIP-712 digest: what a key of the account should have signed.
    /// @return magic [`ACCOUNT_VALIDATION_SUCCESS_MAGIC`].
    function validateTransaction(bytes32 txHash, bytes32 suggestedSignedHash, Transaction calldata transaction)
        external
        payable
        returns (bytes4 magic);

    /// @notice Sends at least `gasLimit * maxFeePerGas` wei to the bootloader, which returns what is not due.
    function payForTransaction(bytes32 txHash, bytes32 suggestedSignedHash, Transaction calldata transaction)
        external
        payable;

    /// @notice Called in place of `payForTransaction` when there is a paymaster: gives it the allowance that it asks for.
    function prepareForPaymaster(bytes32 txHash, bytes32 possibleSignedHash, Transaction calldata transaction)
        external
        payable;

    /// @notice Does what the transaction says. A revert makes the transaction fail; the fee is paid all the same.
    function executeTransaction(bytes32 txHash, bytes32 suggestedSignedHash, Transaction calldata transaction)
        external
        payable;

    /// @notice The way in for a transaction that somebody else brings and pays for (a priority operation from L1, for one).
    function executeTransactionFromOutside(Transaction calldata transaction) external payable;
}
