// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./Field5.sol";
import "./FinalKey.sol";

/// @dev What is known about the out-of-domain point.
struct OpenedPoints {
    /// Folds constraints.
    uint256 alpha;
    /// The out-of-domain point.
    uint256 zeta;
    /// Combines all openings.
    uint256 batch;
    /// The next grinding witness.
    uint256 witness;
    /// Registers with the opened values.
    uint256 opened;
    /// For each column of a query its power of `batch`: its even coordinates in a word, its odd ones in the next.
    uint256 powers;
    /// For each matrix that is opened at two points: `batch` to its width.
    uint256 slots;
    /// For each class of height and each of the two points: the combination of opened values, in Montgomery form.
    uint256 sums;
    /// Tables for `rootPower`: of a root of unity, then of its inverse.
    uint256 roots;
}

/// @dev Takes `n` bytes of memory.
function allocate(uint256 n) pure returns (uint256 pos) {
    assembly {
        pos := mload(0x40)
        mstore(0x40, add(pos, and(add(n, 31), not(31))))
    }
}

/// @dev The same with zeros in it.
function allocateZeros(uint256 n) pure returns (uint256 pos) {
    pos = allocate(n);
    assembly {
        calldatacopy(pos, calldatasize(), n)
    }
}

// Bits of an index that one table of `rootPower` covers, and its entries.
uint256 constant WINDOW = 4;
uint256 constant WINDOW_SIZE = 1 << WINDOW;
// Bytes of all tables of one root.
uint256 constant ROOT_TABLES = 32 * WINDOW_SIZE * TWO_ADICITY / WINDOW;

/// @dev The product, over the bits i of `index`, of a root of unity of order 2^(i+1): the root whose exponent is `index` with its bits in reverse. `tables` has
/// the products for each four bits.
function rootPower(uint256 tables, uint256 index) pure returns (uint256 r) {
    assembly {
        r := mload(add(tables, shl(5, and(index, 15))))
        index := shr(4, index)
        for {} index {} {
            tables := add(tables, 0x200)
            r := mulmod(r, mload(add(tables, shl(5, and(index, 15)))), P)
            index := shr(4, index)
        }
    }
}

library Openings {
    /// @dev Powers of the batching challenge, the opened values combined with them, and the roots of unity.
    function prepare(uint256 key, OpenedPoints memory points) internal pure {
        unchecked {
            points.powers = allocateZeros(64 * field(key, K_POWERS));
            points.slots = allocate(32 * field(key, K_SLOTS));
            points.sums = allocateZeros(64 * field(key, K_CLASSES));
            _powers(key, points);
            _sums(key, points);
            points.roots = allocate(2 * ROOT_TABLES);
            _roots(points.roots, ROOT_24);
            _roots(points.roots + ROOT_TABLES, powBase(ROOT_24, P - 2));
        }
    }

    /// @dev Fills the tables of a root of order 2^24.
    function _roots(uint256 to, uint256 root) private pure {
        unchecked {
            for (uint256 window = TWO_ADICITY / WINDOW; window > 0; --window) {
                uint256 table = to + 32 * WINDOW_SIZE * (window - 1);
                assembly {
                    mstore(table, 1)
                    // From the highest bit of the window down: entry 2^bit is the root, and the entries above it follow from those of the lower bits later.
                    for { let bit := 8 } bit { bit := shr(1, bit) } {
                        mstore(add(table, shl(5, bit)), root)
                        root := mulmod(root, root, P)
                    }
                    for { let i := 3 } lt(i, 16) { i := add(i, 1) } {
                        let low := and(i, sub(0, i))
                        let rest := xor(i, low)
                        if rest {
                            mstore(
                                add(table, shl(5, i)),
                                mulmod(mload(add(table, shl(5, low))), mload(add(table, shl(5, rest))), P)
                            )
                        }
                    }
                }
            }
        }
    }

    /// @dev In each class of height the powers go on from matrix to matrix and from a matrix's first point to its second.
    function _powers(uint256 key, OpenedPoints memory points) private pure {
        unchecked {
            uint256 pos = section(key, S_LADDER);
            for (uint256 class = field(key, K_CLASSES); class > 0; --class) {
                uint256 power = 1;
                uint256 n = byteAt(pos++);
                for (; n > 0; --n) {
                    uint256 width = shortAt(pos + 2);
                    power = _fill(points.powers + 64 * shortAt(pos), width, power, points.batch);
                    uint256 slot = byteAt(pos + 4);
                    if (slot != NONE) {
                        uint256 step = powExt(points.batch, width);
                        uint256 to = points.slots + 32 * slot;
                        assembly {
                            mstore(to, step)
                        }
                        power = mulExt(power, step);
                    }
                    pos += 5;
                }
            }
        }
    }

    function _fill(uint256 to, uint256 n, uint256 power, uint256 factor) private pure returns (uint256) {
        unchecked {
            for (uint256 end = to + 64 * n; to < end; to += 64) {
                assembly {
                    mstore(to, and(power, EVEN))
                    mstore(add(to, 32), and(shr(42, power), ODD))
                }
                power = mulExt(power, factor);
            }
            return power;
        }
    }

    function _sums(uint256 key, OpenedPoints memory points) private pure {
        unchecked {
            uint256 pos = section(key, S_OPENINGS);
            uint256 end = pos + 9 * field(key, K_OPENINGS);
            for (; pos < end; pos += 9) {
                uint256 sum = dotExt(
                    points.powers + 64 * shortAt(pos), points.opened + 32 * shortAt(pos + 2), shortAt(pos + 4)
                );
                uint256 second = byteAt(pos + 7);
                if (second == 1) {
                    uint256 from = points.slots + 32 * byteAt(pos + 8);
                    uint256 step;
                    assembly {
                        step := mload(from)
                    }
                    sum = mulExt(sum, step);
                }
                sum = scaleExt(sum, MONTGOMERY);
                uint256 to = points.sums + 64 * byteAt(pos + 6) + 32 * second;
                uint256 before;
                assembly {
                    before := mload(to)
                }
                sum = reduceExt(sum + before);
                assembly {
                    mstore(to, sum)
                }
            }
        }
    }
}
