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
    /// Powers of two of roots of unity: the i-th word has order 2^(i+1). Then their inverses.
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

/// @dev `product of roots[i]` over the bits i of `index`: the root of unity whose exponent is `index` with its bits in reverse.
function rootPower(uint256 roots, uint256 index) pure returns (uint256 r) {
    assembly {
        r := 1
        for {} index {} {
            if and(index, 1) { r := mulmod(r, mload(roots), P) }
            index := shr(1, index)
            roots := add(roots, 32)
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
            points.roots = allocate(64 * TWO_ADICITY);
            _roots(points.roots, ROOT_24);
            _roots(points.roots + 32 * TWO_ADICITY, powBase(ROOT_24, P - 2));
        }
    }

    function _roots(uint256 to, uint256 root) private pure {
        unchecked {
            for (uint256 i = TWO_ADICITY; i > 0; --i) {
                uint256 pos = to + 32 * (i - 1);
                assembly {
                    mstore(pos, root)
                }
                root = mulmod(root, root, P);
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
