// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Says whether a proof holds for a range of consecutive batches.
interface IVerifier {
    /// @param publicInputs one per batch, in order; never empty.
    /// @param proof in the format of the implementation.
    /// @return true only if every batch in the range is proven. May also revert.
    function verify(bytes32[] calldata publicInputs, bytes calldata proof) external view returns (bool);
}
