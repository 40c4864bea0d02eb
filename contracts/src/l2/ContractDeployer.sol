// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IContractDeployer} from "../interfaces/IL2System.sol";

/// @title 0x8006: what kind of account an address is.
/// @dev This chain runs EVM bytecode: deployments are ordinary EVM creations, and those by EraVM bytecode hash are refused with a reason.
contract ContractDeployer is IContractDeployer {
    /// @dev Deploy with a transaction without `to`, with CREATE or CREATE2, or through the deployer at 0x4e59b44847b379578588920cA78FbF26c0B4956C.
    error EraVMBytecodeNotSupported(bytes32 bytecodeHash);

    mapping(address account => AccountInfo) private _info;

    /// @inheritdoc IContractDeployer
    /// @dev An address without code (or with an EIP-7702 delegation) is a plain account, which the protocol itself validates.
    function getAccountInfo(address account) external view returns (AccountInfo memory info) {
        info = _info[account];
        if (info.supportedAAVersion == AccountAbstractionVersion.None && _isPlain(account)) {
            info.supportedAAVersion = AccountAbstractionVersion.Version1;
        }
    }

    /// @inheritdoc IContractDeployer
    function updateAccountVersion(AccountAbstractionVersion version) external {
        _info[msg.sender].supportedAAVersion = version;
        emit AccountVersionUpdated(msg.sender, version);
    }

    /// @inheritdoc IContractDeployer
    function updateNonceOrdering(AccountNonceOrdering nonceOrdering) external {
        _info[msg.sender].nonceOrdering = nonceOrdering;
        emit AccountNonceOrderingUpdated(msg.sender, nonceOrdering);
    }

    /// @inheritdoc IContractDeployer
    function create(bytes32, bytes32 bytecodeHash, bytes calldata) external payable returns (address) {
        revert EraVMBytecodeNotSupported(bytecodeHash);
    }

    /// @inheritdoc IContractDeployer
    function create2(bytes32, bytes32 bytecodeHash, bytes calldata) external payable returns (address) {
        revert EraVMBytecodeNotSupported(bytecodeHash);
    }

    /// @inheritdoc IContractDeployer
    function createAccount(bytes32, bytes32 bytecodeHash, bytes calldata, AccountAbstractionVersion)
        external
        payable
        returns (address)
    {
        revert EraVMBytecodeNotSupported(bytecodeHash);
    }

    /// @inheritdoc IContractDeployer
    function create2Account(bytes32, bytes32 bytecodeHash, bytes calldata, AccountAbstractionVersion)
        external
        payable
        returns (address)
    {
        revert EraVMBytecodeNotSupported(bytecodeHash);
    }

    function _isPlain(address account) private view returns (bool) {
        bytes memory code = account.code;
        return code.length == 0 || (code.length == 23 && code[0] == 0xef && code[1] == 0x01 && code[2] == 0x00);
    }
}
