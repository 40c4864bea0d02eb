// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ACCOUNT_VALIDATION_SUCCESS_MAGIC, BOOTLOADER, IAccount, Transaction} from "../interfaces/IAccount.sol";
import {INonceHolder, IPaymasterFlow} from "../interfaces/IL2System.sol";

/// @title What smart accounts have in common: everything but the question who may sign.
/// @dev To build an account, inherit this and answer [`_isAuthorized`].
abstract contract AccountBase is IAccount, IERC1271 {
    using SafeERC20 for IERC20;

    INonceHolder internal constant NONCES = INonceHolder(address(0x8003));
    bytes32 private constant TX_TYPEHASH = keccak256(
        "Transaction(uint256 txType,uint256 from,uint256 to,uint256 gasLimit,uint256 gasPerPubdataByteLimit,uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,uint256 paymaster,uint256 nonce,uint256 value,bytes data,bytes32[] factoryDeps,bytes paymasterInput)"
    );
    bytes32 private constant DOMAIN_TYPEHASH = keccak256("EIP712Domain(string name,string version,uint256 chainId)");

    error OnlyBootloader(address caller);
    error OnlySelf(address caller);
    error OtherAccount(uint256 from);
    error GasBelowSigned(uint256 gas, uint256 signed);
    error NotAuthorized();
    error CreationFailed();
    error UnsupportedPaymasterFlow(bytes4 selector);
    error PaymentFailed();

    modifier onlyBootloader() {
        if (msg.sender != BOOTLOADER) revert OnlyBootloader(msg.sender);
        _;
    }

    modifier onlySelf() {
        if (msg.sender != address(this)) revert OnlySelf(msg.sender);
        _;
    }

    receive() external payable {}

    /// @inheritdoc IAccount
    function validateTransaction(bytes32, bytes32 signedHash, Transaction calldata transaction)
        external
        payable
        onlyBootloader
        returns (bytes4)
    {
        NONCES.incrementMinNonceIfEquals(transaction.nonce);
        return _authorizeTransaction(signedHash, transaction) ? ACCOUNT_VALIDATION_SUCCESS_MAGIC : bytes4(0);
    }

    /// @inheritdoc IAccount
    function payForTransaction(bytes32, bytes32, Transaction calldata transaction) external payable onlyBootloader {
        (bool paid,) = BOOTLOADER.call{value: transaction.gasLimit * transaction.maxFeePerGas}("");
        if (!paid) revert PaymentFailed();
    }

    /// @inheritdoc IAccount
    function prepareForPaymaster(bytes32, bytes32, Transaction calldata transaction) external payable onlyBootloader {
        bytes calldata input = transaction.paymasterInput;
        bytes4 flow = bytes4(input);
        if (flow == IPaymasterFlow.general.selector) return;
        if (flow != IPaymasterFlow.approvalBased.selector) revert UnsupportedPaymasterFlow(flow);
        (address token, uint256 allowance,) = abi.decode(input[4:], (address, uint256, bytes));
        address paymaster = address(uint160(transaction.paymaster));
        if (IERC20(token).allowance(address(this), paymaster) < allowance) {
            IERC20(token).forceApprove(paymaster, allowance);
        }
    }

    /// @inheritdoc IAccount
    function executeTransaction(bytes32, bytes32 signedHash, Transaction calldata transaction)
        external
        payable
        onlyBootloader
    {
        _beforeExecution(signedHash, transaction);
        _execute(transaction);
    }

    /// @inheritdoc IAccount
    /// @dev Anyone may bring it, so everything that is not signed must not matter: it names this account, and comes with the gas that was signed for it.
    function executeTransactionFromOutside(Transaction calldata transaction) external payable {
        if (transaction.from != uint160(address(this))) revert OtherAccount(transaction.from);
        if (gasleft() < transaction.gasLimit) revert GasBelowSigned(gasleft(), transaction.gasLimit);
        bytes32 signedHash = hashOf(transaction);
        NONCES.incrementMinNonceIfEquals(transaction.nonce);
        if (!_authorizeTransaction(signedHash, transaction)) revert NotAuthorized();
        _beforeExecution(signedHash, transaction);
        _execute(transaction);
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return _isAuthorized(hash, signature) ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// @notice The EIP-712 digest of a transaction: what is signed.
    function hashOf(Transaction calldata transaction) public view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPEHASH, keccak256("zkSync"), keccak256("2"), block.chainid));
        bytes memory head = abi.encode(
            TX_TYPEHASH,
            transaction.txType,
            transaction.from,
            transaction.to,
            transaction.gasLimit,
            transaction.gasPerPubdataByteLimit,
            transaction.maxFeePerGas,
            transaction.maxPriorityFeePerGas,
            transaction.paymaster
        );
        bytes memory tail = abi.encode(
            transaction.nonce,
            transaction.value,
            keccak256(transaction.data),
            keccak256(abi.encodePacked(transaction.factoryDeps)),
            keccak256(transaction.paymasterInput)
        );
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(bytes.concat(head, tail))));
    }

    /// @dev Whether `signature` is the account's, of `hash`. Must not revert for any signature.
    function _isAuthorized(bytes32 hash, bytes calldata signature) internal view virtual returns (bool);

    /// @dev Whether the account wants the transaction. An account whose keys may do different things overrides this.
    function _authorizeTransaction(bytes32 signedHash, Transaction calldata transaction) internal virtual returns (bool) {
        return _isAuthorized(signedHash, transaction.signature);
    }

    /// @dev Checks that validation may not make (the time, other contracts); a revert fails the transaction.
    function _beforeExecution(bytes32 signedHash, Transaction calldata transaction) internal virtual {}

    /// @dev A creation is what names nobody: `reserved` is not signed.
    function _execute(Transaction calldata transaction) private {
        bytes memory data = transaction.data;
        uint256 value = transaction.value;
        bool success;
        if (transaction.to == 0) {
            address created;
            assembly ("memory-safe") {
                created := create(value, add(data, 0x20), mload(data))
            }
            if (created == address(0)) revert CreationFailed();
            return;
        }
        address to = address(uint160(transaction.to));
        assembly ("memory-safe") {
            success := call(gas(), to, value, add(data, 0x20), mload(data), 0, 0)
            if iszero(success) {
                let reason := mload(0x40)
                returndatacopy(reason, 0, returndatasize())
                revert(reason, returndatasize())
            }
        }
    }
}
