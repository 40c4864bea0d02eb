// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./utils/Test.sol";
import {MONTGOMERY, P, swapGroups} from "../src/l1/verifier/Field5.sol";
import {Transcript} from "../src/l1/verifier/Transcript.sol";

/// @dev The transcript draws the numbers that `crates/final-proof/tests/transcript.rs` draws from the same bytes.
contract TranscriptTest is Test {
    function _ext(Transcript memory t, uint256[5] memory expected) private pure {
        uint256 x = t.drawExt();
        for (uint256 i = 0; i < 5; ++i) {
            assertEq((x >> (42 * i)) & 0x3ffffffffff, expected[i], "challenge");
        }
    }

    /// @dev `roots` stands for what a proof's calldata holds.
    function run(bytes calldata roots) external pure {
        bytes memory buffer = new bytes(1024);
        bytes memory elements = new bytes(100 + 28);
        uint256 place;
        uint256 from;
        bytes32 start = keccak256("cairn transcript");
        assembly {
            place := add(buffer, 32)
            from := add(elements, 32)
            mstore(place, start)
        }
        for (uint256 i = 1; i <= 25; ++i) {
            uint256 bytes_ = swapGroups(mulmod(i, MONTGOMERY, P) << 224);
            assembly {
                mstore(add(from, shl(2, sub(i, 1))), bytes_)
            }
        }
        Transcript memory t = Transcript(place, 32, 0, 0);
        t.absorbMemory(from, 100);
        _ext(t, [uint256(959302525), 884241120, 162579848, 1999329976, 1492080390]);
        _ext(t, [uint256(196918939), 1576994267, 120490575, 1477853492, 969812281]);
        uint256 pos;
        assembly {
            pos := roots.offset
        }
        t.absorbCalldata(pos, 32);
        _ext(t, [uint256(1193258189), 385304977, 1093390526, 82627235, 711793942]);
        assertEq(t.drawBits(20), 791726, "challenge");
        assertEq(t.drawBits(20), 444513, "challenge");
        assertEq(t.drawBits(20), 310038, "challenge");
    }

    function test_ChallengesAreThoseOfRust() external view {
        this.run(abi.encodePacked(bytes32(type(uint256).max)));
    }
}
