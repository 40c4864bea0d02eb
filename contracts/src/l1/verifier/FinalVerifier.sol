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
/// @dev The proof is bound to a key (the tables of the circuit) by the digest of its description, the first thing in the transcript, and to a guest program
/// and the range of batches by its public values. The native twin is `verify_final` of `cairn-final-proof`; its `codec` documents the proof's bytes.
contract FinalVerifier is IVerifier {
    /// Limbs of 16 bits in a word, the most significant first: the public values are the limbs of the guest program's id and of the range's hash.
    uint256 private constant LIMBS = 16;

    /// keccak256 of the key's description.
    bytes32 public immutable keyDigest;
    /// The guest program whose execution the proofs show.
    bytes32 public immutable programId;
    /// The description lies in the code of these, after one zero byte; the zero address stands for none.
    address private immutable _data0;
    address private immutable _data1;

    constructor(bytes32 keyDigest_, bytes32 programId_, address data0, address data1) {
        if (data0.code.length == 0) revert NotAContract(data0);
        keyDigest = keyDigest_;
        programId = programId_;
        _data0 = data0;
        _data1 = data1;
        if (_digest(data0, data1) != keyDigest_) revert FinalProofRefused(CHECK_KEY);
    }

    /// @inheritdoc IVerifier
    function verify(bytes32[] calldata publicInputs, bytes calldata proof) external view returns (bool) {
        if (publicInputs.length == 0) revert EmptyBatchRange();
        uint256 key = _loadKey();
        uint256 pos;
        assembly {
            pos := proof.offset
        }
        _checkLength(key, pos, proof.length);
        bytes32 range = keccak256(abi.encodePacked(publicInputs));
        Transcript memory t = Transcript(allocate(_bufferBytes(key)), 0, 0, 0);
        OpenedPoints memory points = _constraints(key, pos, t, range);
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
    function _constraints(uint256 key, uint256 pos, Transcript memory t, bytes32 range)
        private
        view
        returns (OpenedPoints memory points)
    {
        unchecked {
            uint256 registers = allocate(32 * field(key, K_REGISTERS));
            uint256 witness = pos + field(key, K_AT_WITNESSES);
            _absorbStatement(key, pos, t, registers, range);
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
    function _absorbStatement(uint256 key, uint256 pos, Transcript memory t, uint256 registers, bytes32 range)
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
            if (field(key, K_PUBLICS) != 2 * LIMBS) revert FinalProofRefused(CHECK_KEY);
            registers += 32 * field(key, K_REGISTER_PUBLICS);
            uint256 to = buffer + t.length;
            _publics(uint256(programId), registers, to);
            _publics(uint256(range), registers + 32 * LIMBS, to + 4 * LIMBS);
            t.length += 8 * LIMBS;
            if (field(key, K_PREPROCESSED) != NONE) t.absorbMemory(section(key, S_ROOT), 32);
        }
    }

    /// @dev The limbs of a word: as numbers for the constraints, as bytes for the transcript.
    function _publics(uint256 word, uint256 registers, uint256 to) private pure {
        unchecked {
            for (uint256 i = 0; i < LIMBS; ++i) {
                uint256 limb = (word >> (240 - 16 * i)) & 0xffff;
                uint256 bytes_ = swapGroups(mulmod(limb, MONTGOMERY, P) << 224);
                assembly {
                    mstore(registers, limb)
                    // The 28 bytes after are written by the next limb or the next absorption.
                    mstore(to, bytes_)
                }
                registers += 32;
                to += 4;
            }
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

    function _digest(address data0, address data1) private view returns (bytes32 digest) {
        (, digest) = _load(data0, data1);
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
