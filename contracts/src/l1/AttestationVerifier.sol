// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import "../interfaces/Errors.sol";
import {IVerifier} from "../interfaces/IVerifier.sol";

/// @title k of n registered attesters re-executed the batches and found these public inputs.
/// @dev Not a validity proof. `proof` is 65-byte signatures `(r, s, v)` of `digest(publicInputs)`, in ascending order of signers.
contract AttestationVerifier is IVerifier, Ownable {
    uint256 private constant SIGNATURE_SIZE = 65;
    uint256 public constant MAX_ATTESTERS = 64;
    bytes32 private constant DOMAIN = keccak256("CAIRN_ATTEST_V1");

    mapping(address => bool) public isAttester;
    uint256 public attesterCount;
    uint256 public threshold;

    event AttesterUpdate(address indexed attester, bool active);
    event NewThreshold(uint256 threshold);

    constructor(address owner_, address[] memory attesters, uint256 threshold_) Ownable(owner_) {
        for (uint256 i = 0; i < attesters.length; ++i) {
            _setAttester(attesters[i], true);
        }
        _setThreshold(threshold_);
    }

    function setAttester(address attester, bool active) external onlyOwner {
        _setAttester(attester, active);
        if (threshold > attesterCount) revert BadThreshold(threshold, attesterCount);
    }

    function setThreshold(uint256 threshold_) external onlyOwner {
        _setThreshold(threshold_);
    }

    /// @notice What the attesters sign: the range of batches, bound to this contract on this layer.
    function digest(bytes32[] memory publicInputs) public view returns (bytes32) {
        bytes32 range = keccak256(abi.encodePacked(publicInputs));
        return keccak256(abi.encode(DOMAIN, block.chainid, address(this), range));
    }

    /// @inheritdoc IVerifier
    /// @dev Attesters sign public inputs, which name the program, and re-execute with their own build of it.
    function programId() external pure returns (bytes32) {
        return bytes32(0);
    }

    /// @inheritdoc IVerifier
    function verify(bytes32[] calldata publicInputs, bytes calldata proof) external view returns (bool) {
        if (publicInputs.length == 0) revert EmptyBatchRange();
        uint256 count = proof.length / SIGNATURE_SIZE;
        if (proof.length % SIGNATURE_SIZE != 0) revert MalformedSignature(count);
        if (count < threshold || count > MAX_ATTESTERS) revert NotEnoughSignatures(threshold, count);
        bytes32 signed = digest(publicInputs);
        address last = address(0);
        for (uint256 i = 0; i < count; ++i) {
            bytes calldata signature = proof[i * SIGNATURE_SIZE:(i + 1) * SIGNATURE_SIZE];
            // Refuses high-s and v other than 27 and 28.
            (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(signed, signature);
            if (failure != ECDSA.RecoverError.NoError) revert MalformedSignature(i);
            if (signer <= last) revert SignersNotSorted();
            if (!isAttester[signer]) revert UnknownAttester(signer);
            last = signer;
        }
        return true;
    }

    function _setAttester(address attester, bool active) private {
        if (attester == address(0)) revert ZeroAddress();
        if (isAttester[attester] == active) return;
        isAttester[attester] = active;
        attesterCount = active ? attesterCount + 1 : attesterCount - 1;
        if (attesterCount > MAX_ATTESTERS) revert ValueOutOfBounds(attesterCount, 0, MAX_ATTESTERS);
        emit AttesterUpdate(attester, active);
    }

    function _setThreshold(uint256 threshold_) private {
        if (threshold_ == 0 || threshold_ > attesterCount) revert BadThreshold(threshold_, attesterCount);
        threshold = threshold_;
        emit NewThreshold(threshold_);
    }
}
