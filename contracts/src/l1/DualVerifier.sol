// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "../interfaces/Errors.sol";
import {IVerifier} from "../interfaces/IVerifier.sol";

/// @title Demands both of two verifiers.
/// @dev `proof` is `abi.encode(bytes firstProof, bytes secondProof)`.
contract DualVerifier is IVerifier {
    IVerifier public immutable first;
    IVerifier public immutable second;

    constructor(IVerifier first_, IVerifier second_) {
        if (address(first_).code.length == 0) revert NotAContract(address(first_));
        if (address(second_).code.length == 0) revert NotAContract(address(second_));
        first = first_;
        second = second_;
    }

    /// @inheritdoc IVerifier
    function verify(bytes32[] calldata publicInputs, bytes calldata proof) external view returns (bool) {
        (bytes memory a, bytes memory b) = abi.decode(proof, (bytes, bytes));
        return first.verify(publicInputs, a) && second.verify(publicInputs, b);
    }
}
