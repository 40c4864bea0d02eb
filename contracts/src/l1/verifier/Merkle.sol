// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./Field5.sol";

/// @dev A Merkle multi-proof: several leaves of one tree, with only those siblings that do not follow from them.
struct MultiProof {
    /// The queries, ascending by index: index << 8 | query.
    uint256 sorted;
    /// How many.
    uint256 queries;
    /// log2 of the height to which the indices belong.
    uint256 indexBits;
    /// log2 of the tree's height.
    uint256 depth;
    /// The digest of each query's leaf, by query.
    uint256 leaves;
    /// The root that is expected.
    uint256 root;
    /// Where the next sibling lies in calldata. Level by level from the leaves, in ascending order.
    uint256 sibling;
    /// Room for the nodes of a level: index, digest.
    uint256 nodes;
    /// Rows of lower matrices that join above the leaves: log2 of the height, digests by query. Tallest first.
    uint256 joins;
    uint256 numJoins;
}

library Merkle {
    /// @dev Checks the proof; returns where the sibling after its last lies.
    function check(MultiProof memory m) internal pure returns (uint256) {
        unchecked {
            uint256 count = _leaves(m);
            uint256 joins = m.joins;
            uint256 end = joins + 64 * m.numJoins;
            for (uint256 height = m.depth; height > 0;) {
                count = _level(m, count);
                --height;
                if (joins < end) {
                    uint256 joinHeight;
                    uint256 leaves;
                    assembly {
                        joinHeight := mload(joins)
                        leaves := mload(add(joins, 32))
                    }
                    if (joinHeight == height) {
                        _join(m, leaves, height);
                        joins += 64;
                    }
                }
            }
            uint256 nodes = m.nodes;
            uint256 digest;
            assembly {
                digest := mload(add(nodes, 32))
            }
            if (count != 1 || joins != end || digest != m.root) revert FinalProofRefused(CHECK_MERKLE);
            return m.sibling;
        }
    }

    /// @dev The distinct leaves as nodes. Queries of one leaf must agree on it.
    function _leaves(MultiProof memory m) private pure returns (uint256 count) {
        uint256 from = m.sorted;
        uint256 to = m.nodes;
        uint256 shift = 8 + m.indexBits - m.depth;
        uint256 leaves = m.leaves;
        uint256 end = from + 32 * m.queries;
        bool agree = true;
        assembly {
            let start := to
            for {} lt(from, end) { from := add(from, 32) } {
                let w := mload(from)
                let digest := mload(add(leaves, shl(5, and(w, 0xff))))
                let index := shr(shift, w)
                switch and(gt(to, start), eq(mload(sub(to, 64)), index))
                case 1 { agree := and(agree, eq(mload(sub(to, 32)), digest)) }
                default {
                    mstore(to, index)
                    mstore(add(to, 32), digest)
                    to := add(to, 64)
                }
            }
            count := shr(6, sub(to, start))
        }
        if (!agree) revert FinalProofRefused(CHECK_MERKLE);
    }

    /// @dev From one level to the one above, in place: there are never more parents than children.
    function _level(MultiProof memory m, uint256 count) private pure returns (uint256) {
        uint256 nodes = m.nodes;
        uint256 sibling = m.sibling;
        assembly {
            let from := nodes
            let to := nodes
            for { let end := add(nodes, shl(6, count)) } lt(from, end) {} {
                let index := mload(from)
                mstore(shl(5, and(index, 1)), mload(add(from, 32)))
                from := add(from, 64)
                switch and(lt(from, end), eq(mload(from), or(index, 1)))
                case 1 {
                    // Not equal to itself: indices are distinct, so this is the right sibling of a left child.
                    mstore(32, mload(add(from, 32)))
                    from := add(from, 64)
                }
                default {
                    mstore(shl(5, iszero(and(index, 1))), calldataload(sibling))
                    sibling := add(sibling, 32)
                }
                mstore(to, shr(1, index))
                mstore(add(to, 32), keccak256(0, 64))
                to := add(to, 64)
            }
            count := shr(6, sub(to, nodes))
        }
        m.sibling = sibling;
        return count;
    }

    /// @dev Rows of matrices of this height are hashed into their nodes. Queries of one node must agree on them.
    function _join(MultiProof memory m, uint256 leaves, uint256 height) private pure {
        uint256 from = m.sorted;
        uint256 end = from + 32 * m.queries;
        uint256 shift = 8 + m.indexBits - height;
        // Before the first node, with no digest that a row could have.
        uint256 node = m.nodes - 64;
        bool agree = true;
        assembly {
            let fresh := 1
            let last := 0
            for {} lt(from, end) { from := add(from, 32) } {
                let w := mload(from)
                let digest := mload(add(leaves, shl(5, and(w, 0xff))))
                let index := shr(shift, w)
                if or(fresh, iszero(eq(mload(node), index))) {
                    fresh := 0
                    node := add(node, 64)
                    mstore(0, mload(add(node, 32)))
                    mstore(32, digest)
                    mstore(add(node, 32), keccak256(0, 64))
                    last := digest
                    agree := and(agree, eq(mload(node), index))
                }
                agree := and(agree, eq(last, digest))
            }
        }
        if (!agree) revert FinalProofRefused(CHECK_MERKLE);
    }
}
