// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title 0x8008: sends messages to the settlement layer.
interface IL1Messenger {
    event L1MessageSent(address indexed _sender, bytes32 indexed _hash, bytes _message);

    function sendToL1(bytes calldata message) external returns (bytes32);
}

/// @title 0x800a: the base token.
interface IBaseToken {
    event Mint(address indexed account, uint256 amount);
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Withdrawal(address indexed _l2Sender, address indexed _l1Receiver, uint256 _amount);
    event WithdrawalWithMessage(
        address indexed _l2Sender, address indexed _l1Receiver, uint256 _amount, bytes _additionalData
    );

    function withdraw(address l1Receiver) external payable;
    function withdrawWithMessage(address l1Receiver, bytes calldata additionalData) external payable;
    function balanceOf(uint256 account) external view returns (uint256);
    function totalSupply() external view returns (uint256);
    function name() external view returns (string memory);
    function symbol() external view returns (string memory);
    function decimals() external pure returns (uint8);
}

/// @title 0x8006: what kind of account an address is.
interface IContractDeployer {
    enum AccountAbstractionVersion {
        None,
        Version1
    }
    enum AccountNonceOrdering {
        Sequential,
        Arbitrary
    }
    struct AccountInfo {
        AccountAbstractionVersion supportedAAVersion;
        AccountNonceOrdering nonceOrdering;
    }

    event ContractDeployed(address indexed deployerAddress, bytes32 indexed bytecodeHash, address indexed contractAddress);
    event AccountVersionUpdated(address indexed accountAddress, AccountAbstractionVersion aaVersion);
    event AccountNonceOrderingUpdated(address indexed accountAddress, AccountNonceOrdering nonceOrdering);

    function getAccountInfo(address account) external view returns (AccountInfo memory info);
    function updateAccountVersion(AccountAbstractionVersion version) external;
    function updateNonceOrdering(AccountNonceOrdering nonceOrdering) external;
    function create(bytes32 salt, bytes32 bytecodeHash, bytes calldata input) external payable returns (address);
    function create2(bytes32 salt, bytes32 bytecodeHash, bytes calldata input) external payable returns (address);
    function createAccount(bytes32 salt, bytes32 bytecodeHash, bytes calldata input, AccountAbstractionVersion version)
        external
        payable
        returns (address);
    function create2Account(bytes32 salt, bytes32 bytecodeHash, bytes calldata input, AccountAbstractionVersion version)
        external
        payable
        returns (address);
}

/// @title 0x8003: account nonces; native in the state-transition function.
interface INonceHolder {
    function getMinNonce(address account) external view returns (uint256);
    function getDeploymentNonce(address account) external view returns (uint256);
    function getRawNonce(address account) external view returns (uint256);
    function isNonceUsed(address account, uint256 nonce) external view returns (bool);
    function validateNonceUsage(address account, uint256 key, bool shouldBeUsed) external view;
    /// @notice Uses up the caller's next sequential nonce.
    function incrementMinNonceIfEquals(uint256 expectedNonce) external;
    function increaseMinNonce(uint256 value) external returns (uint256 oldMinNonce);
    /// @notice Uses up a nonce without order of the caller's: `key` from 2^48 up, `value` not zero, once.
    function setValueUnderNonce(uint256 key, uint256 value) external;
    function getValueUnderNonce(uint256 key) external view returns (uint256);

    event ValueSetUnderNonce(address indexed accountAddress, uint256 indexed key, uint256 value);

    error NonceNotEqual(uint256 minNonce, uint256 expected);
    error NonceUsage(address account, uint256 nonce, bool used);
    error InvalidNonceKey(uint256 key);
    error NonceIncreaseTooLarge(uint256 value);
}

/// @title 0x8002: code hashes.
interface IAccountCodeStorage {
    function getRawCodeHash(address account) external view returns (bytes32);
    function getCodeHash(uint256 account) external view returns (bytes32);
    function getCodeSize(uint256 account) external view returns (uint256);
}

/// @title 0x800b: the block and the chain.
interface ISystemContext {
    function chainId() external view returns (uint256);
    function origin() external view returns (address);
    function gasPrice() external view returns (uint256);
    function baseFee() external view returns (uint256);
    function blockGasLimit() external view returns (uint256);
    function coinbase() external view returns (address);
    function difficulty() external view returns (uint256);
    function getBlockNumber() external view returns (uint128);
    function getBlockTimestamp() external view returns (uint128);
    function getL2BlockNumberAndTimestamp() external view returns (uint128 blockNumber, uint128 blockTimestamp);
    function getBlockHashEVM(uint256 blockNumber) external view returns (bytes32);
}

/// @title The first four bytes of a paymaster's input choose one of these.
interface IPaymasterFlow {
    function general(bytes calldata input) external;
    function approvalBased(address token, uint256 minAllowance, bytes calldata innerInput) external;
}
