// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {CHECK_CANONICAL, CHECK_GRINDING, FinalProofRefused, P, swapGroups} from "./Field5.sol";

/// @dev The Fiat-Shamir transcript: a hash chain over bytes. A challenge is drawn from the hash of everything absorbed since the last one, which starts with
/// that hash; further challenges take what is left of it, four bytes at a time from its end, and then its own hash.
struct Transcript {
    /// Where the bytes to hash lie.
    uint256 buffer;
    /// How many there are.
    uint256 length;
    /// What is left of the last hash, at the low end.
    uint256 word;
    /// Groups of four bytes left.
    uint256 left;
}

using {absorbMemory, absorbCalldata, flush, draw, drawExt, drawBits, grind} for Transcript global;

function absorbMemory(Transcript memory t, uint256 from, uint256 n) pure {
    unchecked {
        uint256 to = t.buffer + t.length;
        assembly {
            mcopy(to, from, n)
        }
        t.length += n;
        t.left = 0;
    }
}

function absorbCalldata(Transcript memory t, uint256 from, uint256 n) pure {
    unchecked {
        uint256 to = t.buffer + t.length;
        assembly {
            calldatacopy(to, from, n)
        }
        t.length += n;
        t.left = 0;
    }
}

/// @dev Hashes what was absorbed; the hash is what the next one starts with.
function flush(Transcript memory t) pure {
    uint256 buffer = t.buffer;
    uint256 length = t.length;
    uint256 word;
    assembly {
        word := keccak256(buffer, length)
        mstore(buffer, word)
    }
    t.word = word;
    t.length = 32;
    t.left = 8;
}

/// @dev 32 bits.
function draw(Transcript memory t) pure returns (uint256 v) {
    unchecked {
        if (t.left == 0) t.flush();
        v = t.word & 0xffffffff;
        t.word >>= 32;
        t.left -= 1;
    }
}

/// @dev An element of the extension. Numbers from p on are drawn again.
function drawExt(Transcript memory t) pure returns (uint256 r) {
    unchecked {
        for (uint256 i = 0; i < 210; i += 42) {
            uint256 v;
            do {
                v = t.draw() & 0x7fffffff;
            } while (v >= P);
            r |= v << i;
        }
    }
}

/// @dev A number of `bits` bits, at most 32.
function drawBits(Transcript memory t, uint256 bits) pure returns (uint256) {
    unchecked {
        return t.draw() & ((1 << bits) - 1);
    }
}

/// @dev Checks proof of work: the witness, four bytes at `at`, must make the next `bits` bits zero. Returns where the next witness lies; one of no bits is absent.
function grind(Transcript memory t, uint256 bits, uint256 pos) pure returns (uint256) {
    unchecked {
        if (bits == 0) return pos;
        if (t.left == 0) t.flush();
        uint256 witness;
        assembly {
            witness := calldataload(pos)
        }
        if (swapGroups(witness) >> 224 >= P) revert FinalProofRefused(CHECK_CANONICAL);
        t.absorbCalldata(pos, 4);
        if (t.drawBits(bits) != 0) revert FinalProofRefused(CHECK_GRINDING);
        return pos + 4;
    }
}
