// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "../interfaces/Errors.sol";
import {IVerifier} from "../interfaces/IVerifier.sol";

/// @title Demands both of two verifiers.
/// @dev `proof` is `abi.encode(bytes firstProof, bytes secondProof)`.
contract DualVerifier is IVerifier {
    IVerifier public immutable first;
    IVerifier public immutable second;
    /// @inheritdoc IVerifier
    /// @dev The one that either of the two names; they may not name two.
    bytes32 public immutable programId;

    constructor(IVerifier first_, IVerifier second_) {
        if (address(first_).code.length == 0) revert NotAContract(address(first_));
        if (address(second_).code.length == 0) revert NotAContract(address(second_));
        bytes32 program = first_.programId();
        bytes32 other = second_.programId();
        if (program == bytes32(0)) program = other;
        if (other != bytes32(0) && other != program) revert ProgramMismatch(program, other);
        programId = program;
        first = first_;
        second = second_;
    }

    /// @inheritdoc IVerifier
    function verify(bytes32[] calldata publicInputs, bytes calldata proof) external view returns (bool) {
        return first.verify(publicInputs, _part(proof, 0)) && second.verify(publicInputs, _part(proof, 1));
    }

    /// @dev `abi.decode(proof, (bytes, bytes))` without copying a large proof; out of range reverts.
    function _part(bytes calldata proof, uint256 index) private pure returns (bytes calldata) {
        uint256 start = uint256(bytes32(proof[32 * index:32 * index + 32])) + 32;
        uint256 length = uint256(bytes32(proof[start - 32:start]));
        return proof[start:start + length];
    }
}
