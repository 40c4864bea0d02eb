// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "../../interfaces/Errors.sol";
import {IVerifier} from "../../interfaces/IVerifier.sol";
import "./Field5.sol";
import "./FinalKey.sol";
import {FoldingQueries, Folding} from "./Folding.sol";
import {Openings, OpenedPoints, allocate} from "./Openings.sol";
import {ConstraintProgram} from "./ConstraintProgram.sol";
import {Transcript} from "./Transcript.sol";

/// @title A STARK of the recursion circuit shows that the guest program made these public inputs.
/// @dev The proof is bound to a key (the tables of the last circuit, and with them every circuit below it) by the digest of its description, the first thing in
/// the transcript, and to a guest program and the batches' public inputs by its public values, which are computed here. The native twin is `verify_final` of `cairn-final-proof`; its `codec` documents the proof's bytes.
contract FinalVerifier is IVerifier {
    /// The most batches of a proof.
    uint256 private constant MAX_BATCHES = 4;
    /// The public values: eight numbers of the guest program's id, the number of batches and three zeros, sixteen limbs of each public input.
    uint256 private constant PUBLICS = 8 + 4 + 16 * MAX_BATCHES;

    /// keccak256 of the key's description.
    bytes32 public immutable keyDigest;
    /// @inheritdoc IVerifier
    /// @dev Eight numbers below the modulus.
    bytes32 public immutable programId;
    /// The description lies in the code of these, after one zero byte; the zero address stands for none.
    address private immutable _data0;
    address private immutable _data1;

    constructor(bytes32 keyDigest_, bytes32 programId_, address data0, address data1) {
        if (data0.code.length == 0) revert NotAContract(data0);
        // Zero would tell a chain that no program is bound.
        if (programId_ == bytes32(0)) revert FinalProofRefused(CHECK_CANONICAL);
        for (uint256 shift = 0; shift < 256; shift += 32) {
            if ((uint256(programId_) >> shift) & 0xffffffff >= P) revert FinalProofRefused(CHECK_CANONICAL);
        }
        if (data1 != address(0) && data1.code.length == 0) revert NotAContract(data1);
        keyDigest = keyDigest_;
        programId = programId_;
        _data0 = data0;
        _data1 = data1;
        (uint256 key, bytes32 digest) = _load(data0, data1);
        if (digest != keyDigest_ || !isKey(key) || field(key, K_PUBLICS) != PUBLICS) {
            revert FinalProofRefused(CHECK_KEY);
        }
    }

    /// @inheritdoc IVerifier
    function verify(bytes32[] calldata publicInputs, bytes calldata proof) external view returns (bool) {
        if (publicInputs.length == 0) revert EmptyBatchRange();
        if (publicInputs.length > MAX_BATCHES) revert TooManyBatches(MAX_BATCHES, publicInputs.length);
        uint256 key = _loadKey();
        uint256 pos;
        assembly {
            pos := proof.offset
        }
        _checkLength(key, pos, proof.length);
        uint256 publics = _publics(publicInputs);
        Transcript memory t = Transcript(allocate(_bufferBytes(key)), 0, 0, 0);
        OpenedPoints memory points = _constraints(key, pos, t, publics);
        Folding memory folding = _commitments(key, pos, t, points);
        Openings.prepare(key, points);
        FoldingQueries.check(key, pos, points, folding);
        return true;
    }

    /// @dev The bytes of a proof are fixed but for the siblings, whose numbers it states.
    function _checkLength(uint256 key, uint256 pos, uint256 length) private pure {
        unchecked {
            uint256 expected = field(key, K_AT_DIGESTS);
            uint256 counts = pos + field(key, K_AT_COUNTS);
            uint256 end = counts + 2 * (field(key, K_BATCHES) + field(key, K_ROUNDS));
            for (; counts < end; counts += 2) {
                assembly {
                    expected := add(expected, shl(5, shr(240, calldataload(counts))))
                }
            }
            if (length != expected) revert FinalProofRefused(CHECK_LENGTH);
        }
    }

    /// @dev More than the transcript ever absorbs between two challenges.
    function _bufferBytes(uint256 key) private pure returns (uint256) {
        unchecked {
            uint256 seeds = field(key, K_SEED_BYTES) + field(key, K_SEED_BYTES + 1) + field(key, K_SEED_BYTES + 2);
            return 512 + seeds + 4 * field(key, K_PUBLICS)
                + 20 * (field(key, K_OPENED) + field(key, K_TERMINALS) + field(key, K_FINAL_POLY));
        }
    }

    /// @dev The first half of the transcript, up to the out-of-domain point, and the constraints there.
    function _constraints(uint256 key, uint256 pos, Transcript memory t, uint256 publics)
        private
        view
        returns (OpenedPoints memory points)
    {
        unchecked {
            uint256 registers = allocate(32 * field(key, K_REGISTERS));
            uint256 witness = pos + field(key, K_AT_WITNESSES);
            _absorbStatement(key, pos, t, registers, publics);
            witness = t.grind(field(key, K_LOOKUP_POW), witness);
            uint256 challenges = registers + 32 * field(key, K_CONSTANTS);
            uint256 lookupAlpha = t.drawExt();
            uint256 lookupBeta = t.drawExt();
            uint256 lookup = field(key, K_AT_LOOKUP);
            t.absorbCalldata(pos + lookup, field(key, K_AT_QUOTIENT) - lookup);
            points.alpha = t.drawExt();
            t.absorbCalldata(pos + field(key, K_AT_QUOTIENT), 32);
            points.witness = t.grind(field(key, K_OOD_POW), witness);
            uint256 zeta = t.drawExt();
            assembly {
                mstore(challenges, lookupAlpha)
                mstore(add(challenges, 32), lookupBeta)
                mstore(add(challenges, 64), zeta)
            }
            points.zeta = zeta;
            points.opened = registers + 32 * field(key, K_REGISTER_OPENED);
            ConstraintProgram.loadConstants(key, registers);
            ConstraintProgram.loadValues(
                pos + lookup + 32, registers + 32 * field(key, K_REGISTER_TERMINALS), field(key, K_TERMINALS)
            );
            ConstraintProgram.loadValues(pos + field(key, K_AT_OPENED), points.opened, field(key, K_OPENED));
            ConstraintProgram.run(key, registers, points.alpha);
        }
    }

    /// @dev The key's digest, the protocol's parameters, the main root, the public values, the preprocessed root.
    function _absorbStatement(uint256 key, uint256 pos, Transcript memory t, uint256 registers, uint256 publics)
        private
        view
    {
        unchecked {
            uint256 buffer = t.buffer;
            bytes32 digest = keyDigest;
            assembly {
                mstore(buffer, digest)
            }
            t.length = 32;
            t.absorbMemory(section(key, S_SEEDS), field(key, K_SEED_BYTES));
            t.absorbCalldata(pos, 32);
            registers += 32 * field(key, K_REGISTER_PUBLICS);
            uint256 to = buffer + t.length;
            for (uint256 i = 0; i < PUBLICS; ++i) {
                uint256 value;
                assembly {
                    value := mload(publics)
                    mstore(registers, value)
                }
                value = swapGroups(mulmod(value, MONTGOMERY, P) << 224);
                assembly {
                    // The 28 bytes after are written by the next value or the next absorption.
                    mstore(to, value)
                }
                publics += 32;
                registers += 32;
                to += 4;
            }
            t.length += 4 * PUBLICS;
            if (field(key, K_PREPROCESSED) != NONE) t.absorbMemory(section(key, S_ROOT), 32);
        }
    }

    /// @dev The public values in memory, a word each.
    function _publics(bytes32[] calldata publicInputs) private view returns (uint256 publics) {
        unchecked {
            publics = allocate(32 * PUBLICS);
            uint256 word = uint256(programId);
            for (uint256 i = 0; i < 8; ++i) {
                _put(publics, i, (word >> (224 - 32 * i)) & 0xffffffff);
            }
            _put(publics, 8, publicInputs.length);
            for (uint256 i = 9; i < 12; ++i) {
                _put(publics, i, 0);
            }
            for (uint256 batch = 0; batch < MAX_BATCHES; ++batch) {
                word = batch < publicInputs.length ? uint256(publicInputs[batch]) : 0;
                // Two bytes a limb, in the order of memory, the first the less significant.
                for (uint256 i = 0; i < 16; ++i) {
                    uint256 pair = (word >> (240 - 16 * i)) & 0xffff;
                    _put(publics, 12 + 16 * batch + i, (pair >> 8) | ((pair & 0xff) << 8));
                }
            }
        }
    }

    function _put(uint256 publics, uint256 index, uint256 value) private pure {
        assembly {
            mstore(add(publics, shl(5, index)), value)
        }
    }

    /// @dev The second half of the transcript: everything that the queries depend on.
    function _commitments(uint256 key, uint256 pos, Transcript memory t, OpenedPoints memory points)
        private
        pure
        returns (Folding memory folding)
    {
        unchecked {
            t.absorbMemory(section(key, S_SEEDS + 1), field(key, K_SEED_BYTES + 1));
            t.absorbCalldata(pos + field(key, K_AT_OPENED), 20 * field(key, K_OPENED));
            uint256 witness = t.grind(field(key, K_BATCH_POW), points.witness);
            points.batch = t.drawExt();
            t.absorbMemory(section(key, S_SEEDS + 2), field(key, K_SEED_BYTES + 2));
            uint256 rounds = field(key, K_ROUNDS);
            folding.betas = allocate(32 * rounds);
            uint256 root = pos + field(key, K_AT_FOLD_ROOTS);
            for (uint256 i = 0; i < rounds; ++i) {
                t.absorbCalldata(root + 32 * i, 32);
                witness = t.grind(field(key, K_COMMIT_POW), witness);
                uint256 beta = t.drawExt();
                uint256 to = folding.betas + 32 * i;
                assembly {
                    mstore(to, beta)
                }
            }
            t.absorbCalldata(pos + field(key, K_AT_FINAL_POLY), 20 * field(key, K_FINAL_POLY));
            t.grind(field(key, K_QUERY_POW), witness);
            uint256 queries = field(key, K_QUERIES);
            folding.indices = allocate(32 * queries);
            for (uint256 i = 0; i < queries; ++i) {
                uint256 index = t.drawBits(field(key, K_LOG_MAX_HEIGHT));
                uint256 to = folding.indices + 32 * i;
                assembly {
                    mstore(to, index)
                }
            }
        }
    }

    function _loadKey() private view returns (uint256 key) {
        bytes32 digest;
        (key, digest) = _load(_data0, _data1);
        if (digest != keyDigest) revert FinalProofRefused(CHECK_KEY);
    }

    function _load(address data0, address data1) private view returns (uint256 key, bytes32 digest) {
        assembly {
            key := mload(0x40)
            let n := sub(extcodesize(data0), 1)
            extcodecopy(data0, key, 1, n)
            let m := extcodesize(data1)
            if m {
                m := sub(m, 1)
                extcodecopy(data1, add(key, n), 1, m)
            }
            n := add(n, m)
            digest := keccak256(key, n)
            mstore(0x40, and(add(add(key, n), 63), not(31)))
        }
    }
}
