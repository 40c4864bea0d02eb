// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./Field5.sol";
import "./FinalKey.sol";
import {Merkle, MultiProof} from "./Merkle.sol";
import {OpenedPoints, ROOT_TABLES, allocate, rootPower} from "./Openings.sol";

/// @dev What the transcript says about the low-degree test.
struct Folding {
    /// The challenge of each folding.
    uint256 betas;
    /// The index of each query.
    uint256 indices;
    /// For each folding: its challenge, its square, and so on; four words.
    uint256 betaPowers;
    /// For each query, class and point: 1 / (point - x).
    uint256 inverses;
    /// The final polynomial: even coordinates of each coefficient in a word, odd ones in the next.
    uint256 finalPoly;
    /// Digests of the rows: by row section or folding, then by query.
    uint256 leaves;
    /// Room for a row.
    uint256 row;
    /// For each class: the combined and divided openings of the present query.
    uint256 reduced;
    /// For each class: combined rows of the present query at the two points.
    uint256 combined;
    /// Room for the values of a folding.
    uint256 values;
    /// What 1 / x of the first pair of a row is multiplied with for the others.
    uint256 twiddles;
    /// For each arity its inverse.
    uint256 halves;
    /// Classes and foldings, as the key describes them.
    uint256 classes;
    uint256 rounds;
}

/// @dev The queries of the low-degree test: rows of all matrices, combined, folded down to the final polynomial, each hashed into its tree.
library FoldingQueries {
    /// Bytes of a class and of a folding in the key.
    uint256 private constant ENTRY = 3;

    function check(uint256 key, uint256 pos, OpenedPoints memory points, Folding memory f) internal pure {
        unchecked {
            f.classes = section(key, S_HEIGHTS);
            f.rounds = f.classes + ENTRY * field(key, K_CLASSES);
            _invertDistances(key, points, f);
            _prepare(key, pos, points.roots, f);
            uint256 queries = field(key, K_QUERIES);
            uint256 bytes_ = field(key, K_QUERY_BYTES);
            uint256 from = pos + field(key, K_AT_QUERIES);
            for (uint256 q = 0; q < queries; ++q) {
                uint256 siblings = _rows(key, points, f, from, q);
                _fold(key, points, f, siblings, q);
                from += bytes_;
            }
            _trees(key, pos, f);
        }
    }

    function _load(uint256 base, uint256 i) private pure returns (uint256 v) {
        assembly {
            v := mload(add(base, shl(5, i)))
        }
    }

    function _store(uint256 base, uint256 i, uint256 v) private pure {
        assembly {
            mstore(add(base, shl(5, i)), v)
        }
    }

    /// @dev All 1 / (point - x) with one inversion. Where a class is not opened at the next point there is a one.
    function _invertDistances(uint256 key, OpenedPoints memory points, Folding memory f) private pure {
        unchecked {
            uint256 classes = field(key, K_CLASSES);
            uint256 n = 2 * classes * field(key, K_QUERIES);
            f.inverses = allocate(32 * n);
            uint256 before = allocate(32 * n);
            for (uint256 class = 0; class < classes; ++class) {
                _distances(key, points, f, class, classes);
            }
            uint256 product = 1;
            for (uint256 i = 0; i < n; ++i) {
                _store(before, i, product);
                product = mulExt(product, _load(f.inverses, i));
            }
            product = inverseExt(product);
            for (uint256 i = n; i > 0;) {
                --i;
                uint256 distance = _load(f.inverses, i);
                _store(f.inverses, i, mulExt(product, _load(before, i)));
                product = mulExt(product, distance);
            }
        }
    }

    function _distances(uint256 key, OpenedPoints memory points, Folding memory f, uint256 class, uint256 classes)
        private
        pure
    {
        unchecked {
            uint256 entry = f.classes + ENTRY * class;
            uint256 shift = field(key, K_LOG_MAX_HEIGHT) - byteAt(entry);
            // The point after zeta is zeta times the generator of the trace domain.
            uint256 next = scaleExt(points.zeta, rootPower(points.roots, 1 << (byteAt(entry + 1) - 1)));
            bool hasNext = byteAt(entry + 2) == 1;
            uint256 queries = field(key, K_QUERIES);
            for (uint256 q = 0; q < queries; ++q) {
                uint256 x = mulmod(GENERATOR, rootPower(points.roots, _load(f.indices, q) >> shift), P);
                uint256 i = 2 * (q * classes + class);
                _store(f.inverses, i, subExt(points.zeta, x));
                _store(f.inverses, i + 1, hasNext ? subExt(next, x) : 1);
            }
        }
    }

    function _prepare(uint256 key, uint256 pos, uint256 roots, Folding memory f) private pure {
        unchecked {
            uint256 rounds = field(key, K_ROUNDS);
            f.betaPowers = allocate(128 * rounds);
            for (uint256 r = 0; r < rounds; ++r) {
                uint256 beta = _load(f.betas, r);
                for (uint256 i = 0; i < 4; ++i) {
                    _store(f.betaPowers, 4 * r + i, beta);
                    beta = mulExt(beta, beta);
                }
            }
            uint256 n = field(key, K_FINAL_POLY);
            f.finalPoly = allocate(64 * n);
            uint256 from = pos + field(key, K_AT_FINAL_POLY);
            for (uint256 i = 0; i < n; ++i) {
                uint256 c;
                assembly {
                    c := calldataload(from)
                }
                c = decodeExt(c);
                _store(f.finalPoly, 2 * i, c & EVEN);
                _store(f.finalPoly, 2 * i + 1, (c >> 42) & ODD);
                from += 20;
            }
            uint256 classes = field(key, K_CLASSES);
            f.leaves = allocate(32 * field(key, K_QUERIES) * (classes * field(key, K_BATCHES) + rounds));
            f.row = allocate(field(key, K_QUERY_BYTES) + 256);
            f.reduced = allocate(32 * classes);
            f.combined = allocate(64 * classes);
            f.values = allocate(256);
            f.twiddles = allocate(128);
            f.halves = allocate(128);
            for (uint256 i = 0; i < 4; ++i) {
                _store(f.twiddles, i, rootPower(roots + ROOT_TABLES, i << 1));
                _store(f.halves, i, powBase((P + 1) / 2, i));
            }
        }
    }

    /// @dev Hashes and combines the rows of query `q`, which start at `from` in calldata. Returns where its siblings start.
    function _rows(uint256 key, OpenedPoints memory points, Folding memory f, uint256 from, uint256 q)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 classes = field(key, K_CLASSES);
            for (uint256 i = 0; i < 2 * classes; ++i) {
                _store(f.combined, i, 0);
            }
            uint256 pos = section(key, S_ROWS);
            uint256 leaf = f.leaves + 32 * q;
            uint256 step = 32 * field(key, K_QUERIES);
            for (uint256 batch = field(key, K_BATCHES); batch > 0; --batch) {
                for (uint256 n = byteAt(pos++); n > 0; --n) {
                    uint256 bytes_ = shortAt(pos + 1);
                    uint256 row = f.row;
                    assembly {
                        calldatacopy(row, from, bytes_)
                        mstore(leaf, keccak256(row, bytes_))
                        // What is read beyond the row is multiplied by zero, and must not look like a number from p on.
                        mstore(add(row, bytes_), 0)
                    }
                    pos = _runs(points, f, row, pos);
                    from += bytes_;
                    leaf += step;
                }
            }
            _divide(points, f, q, classes);
            return from;
        }
    }

    /// @dev For each class: (combined opened values - combined rows) / (point - x), over both points.
    function _divide(OpenedPoints memory points, Folding memory f, uint256 q, uint256 classes) private pure {
        unchecked {
            for (uint256 class = 0; class < classes; ++class) {
                uint256 i = 2 * (q * classes + class);
                uint256 first = subExt(_load(points.sums, 2 * class), reduceExt(_load(f.combined, 2 * class)));
                uint256 second = subExt(_load(points.sums, 2 * class + 1), reduceExt(_load(f.combined, 2 * class + 1)));
                uint256 sum = mulExt(first, _load(f.inverses, i)) + mulExt(second, _load(f.inverses, i + 1));
                _store(f.reduced, class, reduceExt(sum));
            }
        }
    }

    /// @dev Combines one row, described at `at`: its class, bytes, runs. Returns where the description ends.
    function _runs(OpenedPoints memory points, Folding memory f, uint256 row, uint256 pos) private pure returns (uint256) {
        unchecked {
            uint256 class = byteAt(pos);
            uint256 first = _load(f.combined, 2 * class);
            uint256 second = _load(f.combined, 2 * class + 1);
            uint256 n = byteAt(pos + 3);
            pos += 4;
            for (; n > 0; --n) {
                uint256 width = shortAt(pos + 2);
                uint256 sum = dotBase(points.powers + 64 * shortAt(pos), row, (width + 7) >> 3);
                first += sum;
                uint256 slot = byteAt(pos + 4);
                if (slot != NONE) second += mulExt(sum, _load(points.slots, slot));
                row += 4 * width;
                pos += 5;
            }
            _store(f.combined, 2 * class, first);
            _store(f.combined, 2 * class + 1, second);
            return pos;
        }
    }

    /// @dev Folds query `q` down and compares it with the final polynomial.
    function _fold(uint256 key, OpenedPoints memory points, Folding memory f, uint256 siblings, uint256 q) private pure {
        unchecked {
            uint256 index = _load(f.indices, q);
            uint256 folded = _load(f.reduced, 0);
            uint256 rounds = field(key, K_ROUNDS);
            uint256 leaf = f.leaves + 32 * (q + field(key, K_QUERIES) * _sections(key));
            for (uint256 r = 0; r < rounds; ++r) {
                uint256 entry = f.rounds + ENTRY * r;
                uint256 logArity = byteAt(entry);
                uint256 digest = _row(f, siblings, folded, index, logArity);
                assembly {
                    mstore(leaf, digest)
                }
                leaf += 32 * field(key, K_QUERIES);
                siblings += 20 * ((1 << logArity) - 1);
                folded = _foldRow(points, f, r, index, logArity);
                index >>= logArity;
                uint256 class = byteAt(entry + 2);
                if (class != NONE) {
                    uint256 joined = mulExt(_load(f.betaPowers, 4 * r + logArity), _load(f.reduced, class));
                    folded = reduceExt(folded + joined);
                }
            }
            uint256 x = rootPower(points.roots, index);
            if (folded != _evaluate(f.finalPoly, field(key, K_FINAL_POLY), x)) revert FinalProofRefused(CHECK_FOLDING);
        }
    }

    /// @dev Row sections of all batches: each has a digest a query.
    function _sections(uint256 key) private pure returns (uint256 n) {
        unchecked {
            uint256 pos = section(key, S_ROWS);
            for (uint256 batch = field(key, K_BATCHES); batch > 0; --batch) {
                uint256 classes = byteAt(pos++);
                n += classes;
                for (; classes > 0; --classes) {
                    pos += 4 + 5 * byteAt(pos + 3);
                }
            }
        }
    }

    /// @dev The row of a folding: the siblings with the query's own value in its place. Its digest; the values go to `f.values`.
    function _row(Folding memory f, uint256 siblings, uint256 own, uint256 index, uint256 logArity)
        private
        pure
        returns (uint256 digest)
    {
        unchecked {
            uint256 arity = 1 << logArity;
            uint256 position = index & (arity - 1);
            uint256 encoded = encodeExt(own);
            uint256 row = f.row;
            assembly {
                let skip := mul(20, position)
                calldatacopy(row, siblings, skip)
                mstore(add(row, skip), encoded)
                calldatacopy(add(add(row, skip), 20), add(siblings, skip), mul(20, sub(sub(arity, 1), position)))
                digest := keccak256(row, mul(20, arity))
            }
            for (uint256 i = 0; i < arity; ++i) {
                uint256 w;
                assembly {
                    w := mload(add(row, mul(20, i)))
                }
                _store(f.values, i, decodeExt(w));
            }
        }
    }

    /// @dev The polynomial through the values of `f.values`, at the folding's challenge. Each step halves them:
    /// `f(beta) = (f(x) + f(-x)) / 2 + beta (f(x) - f(-x)) / 2x`; the halves are taken at the end.
    function _foldRow(OpenedPoints memory points, Folding memory f, uint256 round, uint256 index, uint256 logArity)
        private
        pure
        returns (uint256)
    {
        uint256 first = rootPower(points.roots + ROOT_TABLES, (index >> logArity) << logArity);
        return _foldAt(f, f.betaPowers + 128 * round, first, logArity);
    }

    /// @dev The same; `x` is the inverse of the first value's place.
    function _foldAt(Folding memory f, uint256 betas, uint256 x, uint256 logArity) private pure returns (uint256) {
        unchecked {
            uint256 values = f.values;
            for (uint256 step = 0; step < logArity; ++step) {
                uint256 beta = scaleExt(_load(betas, step), x);
                uint256 pairs = 1 << (logArity - step - 1);
                for (uint256 k = 0; k < pairs; ++k) {
                    _halve(values, k, k == 0 ? beta : scaleExt(beta, _load(f.twiddles, k)));
                }
                x = mulmod(x, x, P);
            }
            return scaleExt(_load(values, 0), _load(f.halves, logArity));
        }
    }

    /// @dev Twice the value of pair `k`, folded with `factor = beta / x`.
    function _halve(uint256 values, uint256 k, uint256 factor) private pure {
        unchecked {
            uint256 low = _load(values, 2 * k);
            uint256 high = _load(values, 2 * k + 1);
            _store(values, k, low + high + mulExt(subExt(low, high), factor));
        }
    }

    /// @dev The polynomial at a base-field point: even and odd coefficients share the powers of `x^2`. There is an even number of them.
    function _evaluate(uint256 coefficients, uint256 n, uint256 x) private pure returns (uint256) {
        unchecked {
            uint256 e;
            uint256 o;
            uint256 oddE;
            uint256 oddO;
            assembly {
                let square := mulmod(x, x, P)
                let power := 1
                for { let end := add(coefficients, shl(6, n)) } lt(coefficients, end) {
                    coefficients := add(coefficients, 128)
                } {
                    e := add(e, mul(power, mload(coefficients)))
                    o := add(o, mul(power, mload(add(coefficients, 32))))
                    oddE := add(oddE, mul(power, mload(add(coefficients, 64))))
                    oddO := add(oddO, mul(power, mload(add(coefficients, 96))))
                    power := mulmod(power, square, P)
                }
            }
            return reduceExt(joinLanes(e, o) + scaleExt(joinLanes(oddE, oddO), x));
        }
    }

    /// @dev All multi-proofs, one after the other.
    function _trees(uint256 key, uint256 pos, Folding memory f) private pure {
        unchecked {
            MultiProof memory m;
            m.queries = field(key, K_QUERIES);
            m.indexBits = field(key, K_LOG_MAX_HEIGHT);
            m.sorted = _sort(f.indices, m.queries);
            m.nodes = allocate(64 * m.queries + 64) + 64;
            m.joins = allocate(64 * field(key, K_CLASSES));
            m.sibling = pos + field(key, K_AT_DIGESTS);
            uint256 counts = pos + field(key, K_AT_COUNTS);
            uint256 batches = field(key, K_BATCHES);
            uint256 rows = section(key, S_ROWS);
            m.leaves = f.leaves;
            for (uint256 batch = 0; batch < batches; ++batch) {
                uint256 leaves = m.leaves;
                rows = _batchTree(f, m, rows);
                m.root = _root(key, pos, batch);
                counts = _tree(m, counts);
                m.leaves = leaves + 32 * m.queries * (1 + m.numJoins);
            }
            m.numJoins = 0;
            uint256 rounds = field(key, K_ROUNDS);
            uint256 root = pos + field(key, K_AT_FOLD_ROOTS);
            for (uint256 r = 0; r < rounds; ++r) {
                m.depth = byteAt(f.rounds + ENTRY * r + 1);
                uint256 w;
                assembly {
                    w := calldataload(root)
                }
                m.root = w;
                root += 32;
                counts = _tree(m, counts);
                m.leaves += 32 * m.queries;
            }
        }
    }

    /// @dev The classes of a batch, described at `at`. Returns where the description ends.
    function _batchTree(Folding memory f, MultiProof memory m, uint256 pos) private pure returns (uint256) {
        unchecked {
            uint256 n = byteAt(pos++);
            m.numJoins = n - 1;
            for (uint256 i = 0; i < n; ++i) {
                uint256 height = byteAt(f.classes + ENTRY * byteAt(pos));
                if (i == 0) {
                    m.depth = height;
                } else {
                    _store(m.joins, 2 * (i - 1), height);
                    _store(m.joins, 2 * (i - 1) + 1, m.leaves + 32 * m.queries * i);
                }
                pos += 4 + 5 * byteAt(pos + 3);
            }
            return pos;
        }
    }

    /// @dev Main traces, quotient, preprocessed columns (whose root is the key's), lookups.
    function _root(uint256 key, uint256 pos, uint256 batch) private pure returns (uint256 root) {
        unchecked {
            if (batch == field(key, K_PREPROCESSED)) {
                uint256 from = section(key, S_ROOT);
                assembly {
                    root := mload(from)
                }
                return root;
            }
            if (batch == 1) pos += field(key, K_AT_QUOTIENT);
            else if (batch > 1) pos += field(key, K_AT_LOOKUP);
            assembly {
                root := calldataload(pos)
            }
        }
    }

    /// @dev Checks one multi-proof, and that it has as many siblings as the proof says.
    function _tree(MultiProof memory m, uint256 counts) private pure returns (uint256) {
        unchecked {
            uint256 expected;
            assembly {
                expected := shr(240, calldataload(counts))
            }
            expected = m.sibling + 32 * expected;
            m.sibling = Merkle.check(m);
            if (m.sibling != expected) revert FinalProofRefused(CHECK_LENGTH);
            return counts + 2;
        }
    }

    /// @dev The queries in ascending order of their index.
    function _sort(uint256 indices, uint256 n) private pure returns (uint256 sorted) {
        unchecked {
            sorted = allocate(32 * n);
            for (uint256 i = 0; i < n; ++i) {
                uint256 entry = (_load(indices, i) << 8) | i;
                uint256 pos = i;
                while (pos > 0) {
                    uint256 other = _load(sorted, pos - 1);
                    if (other <= entry) break;
                    _store(sorted, pos, other);
                    --pos;
                }
                _store(sorted, pos, entry);
            }
        }
    }
}
