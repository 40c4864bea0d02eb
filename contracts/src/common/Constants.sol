// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

address constant BOOTLOADER = address(0x8001);
address constant L2_NONCE_HOLDER = address(0x8003);
address constant L2_TO_L1_MESSENGER = address(0x8008);
address constant L2_BASE_TOKEN = address(0x800a);
address constant L2_ASSET_ROUTER = address(0x10003);
address constant L2_NATIVE_TOKEN_VAULT = address(0x10004);
address constant L2_BRIDGED_TOKEN_IMPLEMENTATION = address(0x10006);
address constant L2_INTEROP_ROOT_STORAGE = address(0x10008);

/// @dev The address under which a chain's native ETH is named in the bridge.
address constant ETH_TOKEN = address(1);

/// @dev First byte of second-bridge calldata and of token metadata.
bytes1 constant NEW_ENCODING_VERSION = 0x01;
bytes32 constant TWO_BRIDGES_MAGIC_VALUE = bytes32(uint256(keccak256("TWO_BRIDGES_MAGIC_VALUE")) - 1);

uint256 constant PRIORITY_TX_TYPE = 0x7f;
/// @dev zkSync's clients always pass 800; a chain's `gasPerPubdata` never exceeds it, so they are always accepted.
uint64 constant MAX_GAS_PER_PUBDATA = 800;
uint256 constant MAX_PRIORITY_GAS = 15_000_000;
uint256 constant MAX_PRIORITY_DATA = 128 * 1024;

/// @dev Depth of the tree over a batch's L2->L1 logs.
uint256 constant LOG_TREE_DEPTH = 14;
bytes32 constant EMPTY_PRIORITY_HASH = keccak256("");
uint256 constant MAX_BATCHES_PER_CALL = 64;
