// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./Field5.sol";
import "./FinalKey.sol";

/// @dev Interprets the key's constraint program: everything that must hold at the out-of-domain point. `program.rs` of `cairn-final-proof` makes it from the
/// tables' constraints and lookups and sees to it that no sum grows out of its lane.
library ConstraintProgram {
    uint256 private constant ADD = 0;
    uint256 private constant SUB = 1;
    uint256 private constant MUL = 2;
    uint256 private constant MUL_BASE = 3;
    uint256 private constant SCALE = 4;
    uint256 private constant REDUCE = 5;
    uint256 private constant FOLD = 6;
    uint256 private constant TAKE = 7;
    uint256 private constant RECOMPOSE = 8;
    uint256 private constant INVERSE = 9;
    uint256 private constant ASSERT_ZERO = 10;
    /// All five coordinates.
    uint256 private constant ALL = (1 << 210) - 1;
    /// Bytes of an instruction: operation, then registers d, a, b.
    uint256 private constant INSTRUCTION = 7;

    /// @dev The first registers: base-field constants, four bytes each.
    function loadConstants(uint256 key, uint256 registers) internal pure {
        unchecked {
            uint256 from = section(key, S_CONSTANTS);
            uint256 end = registers + 32 * field(key, K_CONSTANTS);
            for (; registers < end; registers += 32) {
                assembly {
                    mstore(registers, shr(224, mload(from)))
                    from := add(from, 4)
                }
            }
        }
    }

    /// @dev `n` elements of calldata as registers, out of Montgomery form.
    function loadValues(uint256 from, uint256 registers, uint256 n) internal pure {
        unchecked {
            uint256 end = registers + 32 * n;
            for (; registers < end; registers += 32) {
                uint256 w;
                assembly {
                    w := calldataload(from)
                }
                w = decodeCanonical(w);
                assembly {
                    mstore(registers, w)
                }
                from += 20;
            }
        }
    }

    /// @dev Runs the program; `alpha` folds the constraints of a table.
    function run(uint256 key, uint256 registers, uint256 alpha) internal pure {
        unchecked {
            uint256 pos = section(key, S_CODE);
            uint256 end = pos + INSTRUCTION * field(key, K_CODE);
            uint256 folded = 0;
            for (; pos < end; pos += INSTRUCTION) {
                uint256 op;
                uint256 d;
                uint256 a;
                uint256 b;
                assembly {
                    let w := mload(pos)
                    op := byte(0, w)
                    d := add(registers, and(shr(227, w), 0x1fffe0))
                    a := add(registers, and(shr(211, w), 0x1fffe0))
                    b := add(registers, and(shr(195, w), 0x1fffe0))
                }
                if (op == ADD) {
                    assembly {
                        mstore(d, add(mload(a), mload(b)))
                    }
                    continue;
                }
                if (op == MUL) {
                    assembly {
                        a := mload(a)
                        b := mload(b)
                    }
                    a = mulExt(a, b);
                    assembly {
                        mstore(d, a)
                    }
                    continue;
                }
                if (op == FOLD) {
                    assembly {
                        a := mload(a)
                    }
                    folded = mulExt(folded, alpha) + a;
                    continue;
                }
                if (op == TAKE) {
                    assembly {
                        mstore(d, folded)
                    }
                    folded = 0;
                    continue;
                }
                if (op == ASSERT_ZERO) {
                    assembly {
                        a := mload(a)
                    }
                    if (reduceExt(a) != 0) revert FinalProofRefused(CHECK_CONSTRAINTS);
                    continue;
                }
                a = _rest(op, a, b);
                assembly {
                    mstore(d, a)
                }
            }
        }
    }

    /// @dev The rarer operations; `a` and `b` are addresses.
    function _rest(uint256 op, uint256 a, uint256 b) private pure returns (uint256 r) {
        unchecked {
            if (op == RECOMPOSE) return _recompose(a);
            assembly {
                a := mload(a)
                b := mload(b)
            }
            if (op == SUB) return subExt(a, b);
            if (op == MUL_BASE) return scaleExt(a, b);
            if (op == SCALE) return a * b;
            if (op == REDUCE) return reduceExt(a);
            if (op == INVERSE) return inverseExt(a);
            revert FinalProofRefused(CHECK_KEY);
        }
    }

    /// @dev `x_0 + X x_1 + .. + X^4 x_4` for five reduced elements at `a`.
    function _recompose(uint256 a) private pure returns (uint256 r) {
        unchecked {
            // Coordinates of degree 5 and more, which come from what a shift pushes out.
            uint256 high = 0;
            for (uint256 shift = 0; shift < 210; shift += 42) {
                uint256 x;
                assembly {
                    x := mload(a)
                }
                r += (x << shift) & ALL;
                high += x >> (210 - shift);
                a += 32;
            }
            // X^5 = 1 - X^2, so X^6 = X - X^3, X^7 = X^2 - X^4, X^8 = X^3 - 1 + X^2.
            uint256 eighth = high >> 126;
            return reduceExt(r + high + SIXTEEN_P + (eighth << 84) - ((high << 84) & ALL) - eighth);
        }
    }
}
