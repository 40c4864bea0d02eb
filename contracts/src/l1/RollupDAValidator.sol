// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "../interfaces/Errors.sol";
import {IDAValidator} from "../interfaces/IDAValidator.sol";

/// @title The rollup policy: a batch's pubdata is in this transaction's calldata or in its blobs.
/// @dev `daInput` is `0x00 || pubdata`, or `0x01 || pubdata hash (32) || index of the first blob (1) || (y (32) || commitment (48) || proof (48))*`.
/// That the blobs hold the pubdata of this hash is proven with the batch: it evaluates the same polynomials at the same points.
contract RollupDAValidator is IDAValidator {
    uint256 private constant BLS_MODULUS = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    uint256 private constant CLAIM_SIZE = 32 + 48 + 48;
    uint256 private constant HEADER_SIZE = 1 + 32 + 1;
    uint256 private constant MAX_BLOBS = 6;
    address private constant POINT_EVALUATION = address(0x0a);
    /// @dev keccak256 of what the precompile returns: `4096 || BLS_MODULUS`.
    bytes32 private constant POINT_EVALUATION_OK = keccak256(abi.encode(uint256(4096), BLS_MODULUS));

    /// @inheritdoc IDAValidator
    function checkDA(uint256, uint256, bytes calldata daInput) external view returns (bytes32) {
        if (daInput.length == 0) revert MalformedDAInput(0);
        uint8 mode = uint8(daInput[0]);
        if (mode == 0) return _commitment(0, keccak256(daInput[1:]), new bytes32[](0));
        if (mode == 1) return _checkBlobs(daInput);
        revert UnknownDAMode(mode);
    }

    function _checkBlobs(bytes calldata daInput) private view returns (bytes32) {
        if (daInput.length < HEADER_SIZE + CLAIM_SIZE) revert MalformedDAInput(daInput.length);
        uint256 size = daInput.length - HEADER_SIZE;
        uint256 count = size / CLAIM_SIZE;
        if (size % CLAIM_SIZE != 0 || count > MAX_BLOBS) revert MalformedDAInput(daInput.length);
        bytes32 pubdataHash = bytes32(daInput[1:33]);
        uint256 firstBlob = uint8(daInput[33]);
        bytes32[] memory claims = new bytes32[](3 * count);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 versionedHash = blobhash(firstBlob + i);
            if (versionedHash == bytes32(0)) revert BlobMissing(firstBlob + i);
            bytes calldata claim = daInput[HEADER_SIZE + i * CLAIM_SIZE:HEADER_SIZE + (i + 1) * CLAIM_SIZE];
            bytes32 z = bytes32(uint256(keccak256(abi.encode(pubdataHash, versionedHash))) % BLS_MODULUS);
            _evaluate(i, abi.encodePacked(versionedHash, z, claim));
            claims[3 * i] = versionedHash;
            claims[3 * i + 1] = z;
            claims[3 * i + 2] = bytes32(claim[:32]);
        }
        return _commitment(1, pubdataHash, claims);
    }

    function _evaluate(uint256 index, bytes memory input) private view {
        (bool ok, bytes memory output) = POINT_EVALUATION.staticcall(input);
        if (!ok || keccak256(output) != POINT_EVALUATION_OK) revert PointEvalFailed(index);
    }

    function _commitment(uint8 mode, bytes32 pubdataHash, bytes32[] memory claims) private pure returns (bytes32) {
        return keccak256(abi.encode(mode, pubdataHash, claims));
    }
}
