// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Transaction} from "../interfaces/IAccount.sol";
import {AccountBase} from "./AccountBase.sol";

/// @title An account whose owner lends out keys that may spend a little of one asset for a while.
/// @dev A session key may send ether (asset zero) to anyone, or call `transfer` of one token, up to a limit; what it may spend on fees has a limit of
///      its own. Both are counted by validation. The time is not: pools forbid TIMESTAMP there, so an expired key's transaction fails when it is
///      executed, at the price of its fee, which the fee limit bounds.
contract SessionKeyAccount is AccountBase {
    struct Session {
        /// Token, or zero for ether.
        address asset;
        /// Unix seconds after which the key is void.
        uint64 validUntil;
        /// Most that may be sent in all.
        uint128 limit;
        uint128 spent;
        /// Most wei that may be paid in fees in all (counted at the fee cap).
        uint128 feeLimit;
        uint128 feesSpent;
    }

    address public owner;
    mapping(address key => Session) public sessions;

    error InvalidOwner();
    error SessionCallNotAllowed();
    error SessionLimitExceeded(uint256 wanted, uint256 left);
    error SessionFeesExceeded(uint256 wanted, uint256 left);
    error SessionExpired(uint256 validUntil);

    event SessionOpened(address indexed key, address indexed asset, uint128 limit, uint64 validUntil);
    event SessionClosed(address indexed key);
    event OwnerChanged(address indexed owner);

    constructor(address owner_) {
        if (owner_ == address(0)) revert InvalidOwner();
        owner = owner_;
    }

    function openSession(address key, address asset, uint128 limit, uint128 feeLimit, uint64 validUntil) external onlySelf {
        if (key == address(0) || key == owner) revert InvalidOwner();
        sessions[key] = Session(asset, validUntil, limit, 0, feeLimit, 0);
        emit SessionOpened(key, asset, limit, validUntil);
    }

    function closeSession(address key) external onlySelf {
        delete sessions[key];
        emit SessionClosed(key);
    }

    function changeOwner(address owner_) external onlySelf {
        if (owner_ == address(0)) revert InvalidOwner();
        owner = owner_;
        emit OwnerChanged(owner_);
    }

    /// @dev Only the owner signs for other contracts (ERC-1271).
    function _isAuthorized(bytes32 hash, bytes calldata signature) internal view override returns (bool) {
        return _signer(hash, signature) == owner;
    }

    function _authorizeTransaction(bytes32 signedHash, Transaction calldata transaction) internal override returns (bool) {
        address signer = _signer(signedHash, transaction.signature);
        if (signer == address(0)) return false;
        if (signer == owner) return true;
        Session storage session = sessions[signer];
        if (session.validUntil == 0) return false;
        uint256 amount = _amount(session.asset, transaction);
        uint256 left = session.limit - session.spent;
        if (amount > left) revert SessionLimitExceeded(amount, left);
        session.spent += uint128(amount);
        if (transaction.paymaster == 0) {
            uint256 fee = transaction.gasLimit * transaction.maxFeePerGas;
            left = session.feeLimit - session.feesSpent;
            if (fee > left) revert SessionFeesExceeded(fee, left);
            session.feesSpent += uint128(fee);
        } else if (bytes4(transaction.paymasterInput) != 0x8c5a3445) {
            // An allowance would spend what the session may not.
            revert SessionCallNotAllowed();
        }
        return true;
    }

    function _beforeExecution(bytes32 signedHash, Transaction calldata transaction) internal view override {
        address signer = _signer(signedHash, transaction.signature);
        if (signer == owner) return;
        uint256 validUntil = sessions[signer].validUntil;
        if (block.timestamp > validUntil) revert SessionExpired(validUntil);
    }

    /// @dev What the transaction sends of the asset; reverts if it does anything else.
    function _amount(address asset, Transaction calldata transaction) private view returns (uint256 amount) {
        bytes calldata data = transaction.data;
        bool toSelf = transaction.to == uint160(address(this));
        if (toSelf || transaction.to == 0) revert SessionCallNotAllowed();
        if (asset == address(0)) {
            if (data.length != 0) revert SessionCallNotAllowed();
            return transaction.value;
        }
        bool isTransfer = data.length == 68 && bytes4(data) == IERC20.transfer.selector;
        if (!isTransfer || transaction.value != 0 || transaction.to != uint160(asset)) revert SessionCallNotAllowed();
        (, amount) = abi.decode(data[4:], (address, uint256));
    }

    /// @dev Zero for what is no signature.
    function _signer(bytes32 hash, bytes calldata signature) private pure returns (address signer) {
        if (signature.length != 65) return address(0);
        (signer,,) = ECDSA.tryRecover(hash, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
    }
}
