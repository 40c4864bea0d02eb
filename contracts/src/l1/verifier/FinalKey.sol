// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

// The description of a key, which `cairn-final-proof` writes: eight bytes of magic, then numbers of four bytes, most significant first, then sections. Everything
// that the verifier knows about the tables is in it, so the tables' digest is the description's hash.

uint256 constant K_QUERIES = 0;
uint256 constant K_LOG_MAX_HEIGHT = 1;
uint256 constant K_FINAL_POLY = 2;
uint256 constant K_PUBLICS = 3;
uint256 constant K_OPENED = 4;
uint256 constant K_TERMINALS = 5;
uint256 constant K_BATCHES = 6;
uint256 constant K_PREPROCESSED = 7;
uint256 constant K_CLASSES = 8;
uint256 constant K_ROUNDS = 9;
uint256 constant K_LOOKUP_POW = 10;
uint256 constant K_OOD_POW = 11;
uint256 constant K_BATCH_POW = 12;
uint256 constant K_COMMIT_POW = 13;
uint256 constant K_QUERY_POW = 14;
uint256 constant K_QUERY_BYTES = 15;
uint256 constant K_AT_LOOKUP = 16;
uint256 constant K_AT_QUOTIENT = 17;
uint256 constant K_AT_OPENED = 18;
uint256 constant K_AT_FOLD_ROOTS = 19;
uint256 constant K_AT_FINAL_POLY = 20;
uint256 constant K_AT_WITNESSES = 21;
uint256 constant K_AT_COUNTS = 22;
uint256 constant K_AT_QUERIES = 23;
uint256 constant K_AT_DIGESTS = 24;
uint256 constant K_CONSTANTS = 25;
uint256 constant K_REGISTERS = 26;
uint256 constant K_REGISTER_PUBLICS = 27;
uint256 constant K_REGISTER_TERMINALS = 28;
uint256 constant K_REGISTER_OPENED = 29;
uint256 constant K_CODE = 30;
uint256 constant K_OPENINGS = 31;
uint256 constant K_POWERS = 32;
uint256 constant K_SLOTS = 33;
uint256 constant K_SEED_BYTES = 34; // three
uint256 constant S_ROOT = 37;
uint256 constant S_SEEDS = 38; // three
uint256 constant S_LADDER = 41;
uint256 constant S_OPENINGS = 42;
uint256 constant S_ROWS = 43;
uint256 constant S_HEIGHTS = 44;
uint256 constant S_CONSTANTS = 45;
uint256 constant S_CODE = 46;
// Bytes before the first section.
uint256 constant HEADER_BYTES = 8 + 4 * 47;
// No entry.
uint256 constant NONE = 0xff;

/// @dev Whether a description begins with the magic of this format.
function isKey(uint256 key) pure returns (bool yes) {
    assembly {
        yes := eq(shr(192, mload(key)), 0x434149524e465031) // "CAIRNFP1"
    }
}

/// @dev A number of the description at `key`.
function field(uint256 key, uint256 index) pure returns (uint256 v) {
    assembly {
        v := shr(224, mload(add(add(key, 8), shl(2, index))))
    }
}

/// @dev Where a section of the description at `key` lies in memory.
function section(uint256 key, uint256 index) pure returns (uint256) {
    unchecked {
        return key + field(key, index);
    }
}

function byteAt(uint256 pos) pure returns (uint256 v) {
    assembly {
        v := byte(0, mload(pos))
    }
}

function shortAt(uint256 pos) pure returns (uint256 v) {
    assembly {
        v := shr(240, mload(pos))
    }
}
