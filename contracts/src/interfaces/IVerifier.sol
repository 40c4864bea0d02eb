// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Says whether a proof holds for a range of consecutive batches.
interface IVerifier {
    /// @notice The guest program whose executions the proofs show; zero where proofs name no program, because the public inputs alone say it.
    function programId() external view returns (bytes32);

    /// @param publicInputs one per batch, in order; never empty.
    /// @param proof in the format of the implementation.
    /// @return true only if every batch in the range is proven. May also revert.
    function verify(bytes32[] calldata publicInputs, bytes calldata proof) external view returns (bool);
}
