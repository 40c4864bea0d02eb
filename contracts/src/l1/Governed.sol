// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import "../interfaces/Errors.sol";

/// @title What the shared contracts have in common: an owner (a timelock) that alone upgrades and unpauses, a guardian that can only pause.
abstract contract Governed is OwnableUpgradeable, PausableUpgradeable, UUPSUpgradeable {
    event NewGuardian(address indexed guardian);

    /// @custom:storage-location erc7201:cairn.storage.Governed
    struct GovernedStorage {
        address guardian;
    }

    // keccak256(abi.encode(uint256(keccak256("cairn.storage.Governed")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant GOVERNED_STORAGE = 0x4e4cb6d9ea2c2a964abcebfda590e3d927008cc3204c4fbd1f5c1ea2c8c9ca00;

    constructor() {
        _disableInitializers();
    }

    function __Governed_init(address owner_) internal onlyInitializing {
        __Ownable_init(owner_);
        __Pausable_init();
    }

    function guardian() public view returns (address) {
        return _governed().guardian;
    }

    function setGuardian(address guardian_) external onlyOwner {
        _governed().guardian = guardian_;
        emit NewGuardian(guardian_);
    }

    function pause() external {
        if (msg.sender != owner() && msg.sender != guardian()) revert Unauthorized(msg.sender);
        _pause();
    }

    function unpause() external onlyOwner {
        _unpause();
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}

    function _governed() private pure returns (GovernedStorage storage s) {
        assembly ("memory-safe") {
            s.slot := GOVERNED_STORAGE
        }
    }
}
