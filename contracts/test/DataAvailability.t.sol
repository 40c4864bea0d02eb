// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./utils/Fixture.sol";

/// @dev Real blobs with constant polynomials: the commitment to `c` is `c * G1`, and the proof of any evaluation is the point at infinity.
contract DataAvailabilityTest is Test {
    uint256 private constant BLS_MODULUS = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    bytes private constant G1 =
        hex"97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";
    bytes private constant INFINITY =
        hex"c00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000";
    bytes32 private constant PUBDATA_HASH = keccak256("pubdata");

    RollupDAValidator private da;
    bytes32 private one;
    bytes32 private zero;

    function setUp() public {
        da = new RollupDAValidator();
        one = _versioned(G1);
        zero = _versioned(INFINITY);
    }

    /// @dev The test's transaction carries three blobs.
    modifier withBlobs() {
        bytes32[] memory hashes = new bytes32[](3);
        (hashes[0], hashes[1], hashes[2]) = (one, zero, one);
        vm.blobhashes(hashes);
        _;
    }

    function _versioned(bytes memory commitment) private pure returns (bytes32) {
        bytes32 h = sha256(commitment);
        return (h & bytes32(type(uint256).max >> 8)) | bytes32(uint256(1) << 248);
    }

    function _claim(uint256 y, bytes memory commitment) private pure returns (bytes memory) {
        return abi.encodePacked(y, commitment, INFINITY);
    }

    function _z(bytes32 versionedHash) private pure returns (bytes32) {
        return bytes32(uint256(keccak256(abi.encodePacked(PUBDATA_HASH, versionedHash))) % BLS_MODULUS);
    }

    function _input(uint8 first, bytes memory claims) private pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), PUBDATA_HASH, first, claims);
    }

    function _refused(bytes memory input, bytes memory expected) private {
        assertRevert(address(da), abi.encodeCall(RollupDAValidator.checkDA, (1, 1, input)), expected);
    }

    function testFuzz_calldata(bytes calldata pubdata) public view {
        bytes32 expected = keccak256(abi.encode(uint8(0), keccak256(pubdata), new bytes32[](0)));
        assertEq(da.checkDA(1, 1, bytes.concat(bytes1(0), pubdata)), expected, "commitment");
    }

    function test_blobs() public withBlobs {
        bytes32[] memory claims = new bytes32[](6);
        (claims[0], claims[1], claims[2]) = (one, _z(one), bytes32(uint256(1)));
        (claims[3], claims[4], claims[5]) = (zero, _z(zero), 0);
        bytes memory input = _input(0, _claim(1, G1));
        uint256 before = gasleft();
        da.checkDA(1, 1, input);
        vm.snapshotValue("data availability of one blob", before - gasleft());
        bytes32 got = da.checkDA(1, 1, _input(0, bytes.concat(_claim(1, G1), _claim(0, INFINITY))));
        assertEq(got, keccak256(abi.encode(uint8(1), PUBDATA_HASH, claims)), "two blobs");
        // A later batch of the same transaction has the third.
        bytes32[] memory third = new bytes32[](3);
        (third[0], third[1], third[2]) = (one, _z(one), bytes32(uint256(1)));
        got = da.checkDA(1, 2, _input(2, _claim(1, G1)));
        assertEq(got, keccak256(abi.encode(uint8(1), PUBDATA_HASH, third)), "third blob");
    }

    function test_a_wrong_evaluation_is_refused() public withBlobs {
        _refused(_input(0, _claim(2, G1)), abi.encodeWithSelector(PointEvalFailed.selector, 0));
        _refused(_input(0, _claim(1, INFINITY)), abi.encodeWithSelector(PointEvalFailed.selector, 0));
        _refused(
            _input(0, bytes.concat(_claim(1, G1), _claim(1, INFINITY))), abi.encodeWithSelector(PointEvalFailed.selector, 1)
        );
        // y must be canonical.
        _refused(_input(0, _claim(BLS_MODULUS + 1, G1)), abi.encodeWithSelector(PointEvalFailed.selector, 0));
    }

    function test_missing_blobs_are_refused() public withBlobs {
        _refused(_input(3, _claim(1, G1)), abi.encodeWithSelector(BlobMissing.selector, 3));
        _refused(
            _input(2, bytes.concat(_claim(1, G1), _claim(1, G1))), abi.encodeWithSelector(BlobMissing.selector, 3)
        );
        _refused(_input(255, _claim(1, G1)), abi.encodeWithSelector(BlobMissing.selector, 255));
    }

    function test_malformed_input_is_refused() public {
        _refused("", abi.encodeWithSelector(MalformedDAInput.selector, 0));
        _refused(hex"02", abi.encodeWithSelector(UnknownDAMode.selector, 2));
        _refused(_input(0, ""), abi.encodeWithSelector(MalformedDAInput.selector, 34));
        _refused(_input(0, bytes.concat(_claim(1, G1), hex"00")), abi.encodeWithSelector(MalformedDAInput.selector, 163));
        bytes memory seven;
        for (uint256 i = 0; i < 7; ++i) {
            seven = bytes.concat(seven, _claim(1, G1));
        }
        _refused(_input(0, seven), abi.encodeWithSelector(MalformedDAInput.selector, 34 + 7 * 128));
    }
}
