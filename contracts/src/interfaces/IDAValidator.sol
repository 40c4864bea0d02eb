// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title A data-availability policy.
interface IDAValidator {
    /// @notice Checks that a batch's pubdata is available as the policy demands.
    /// @return daCommitment word 18 of the batch's public input.
    function checkDA(uint256 chainId, uint256 batchNumber, bytes calldata daInput) external returns (bytes32 daCommitment);
}
