// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {DualVerifier} from "../src/l1/DualVerifier.sol";
import {IVerifier} from "../src/interfaces/IVerifier.sol";
import "./utils/Fixture.sol";

contract FixedVerifier is IVerifier {
    bool private immutable _answer;
    bytes32 public immutable programId;

    constructor(bool answer, bytes32 program) {
        _answer = answer;
        programId = program;
    }

    function verify(bytes32[] calldata, bytes calldata) external view returns (bool) {
        return _answer;
    }
}

contract VerifiersTest is Test {
    uint256 private constant N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    AttestationVerifier private two;
    uint256[3] private keys;
    bytes32[] private inputs;

    function setUp() public {
        keys = [uint256(11), 22, 33];
        // Ascending by address.
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 j = i + 1; j < 3; ++j) {
                if (vm.addr(keys[j]) < vm.addr(keys[i])) (keys[i], keys[j]) = (keys[j], keys[i]);
            }
        }
        address[] memory attesters = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            attesters[i] = vm.addr(keys[i]);
        }
        two = new AttestationVerifier(address(this), attesters, 2);
        inputs.push(keccak256("one"));
        inputs.push(keccak256("two"));
    }

    function _sig(uint256 key) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, two.digest(inputs));
        return abi.encodePacked(r, s, v);
    }

    function _refused(bytes memory proof, bytes memory expected) private {
        assertRevert(address(two), abi.encodeCall(IVerifier.verify, (inputs, proof)), expected);
    }

    function test_k_of_n() public view {
        assertTrue(two.verify(inputs, bytes.concat(_sig(keys[0]), _sig(keys[1]))), "0 1");
        assertTrue(two.verify(inputs, bytes.concat(_sig(keys[0]), _sig(keys[2]))), "0 2");
        assertTrue(two.verify(inputs, bytes.concat(_sig(keys[0]), _sig(keys[1]), _sig(keys[2]))), "all");
    }

    function test_fewer_twice_or_unsorted_are_refused() public {
        _refused(_sig(keys[0]), abi.encodeWithSelector(NotEnoughSignatures.selector, 2, 1));
        _refused("", abi.encodeWithSelector(NotEnoughSignatures.selector, 2, 0));
        _refused(bytes.concat(_sig(keys[0]), _sig(keys[0])), abi.encodeWithSelector(SignersNotSorted.selector));
        _refused(bytes.concat(_sig(keys[1]), _sig(keys[0])), abi.encodeWithSelector(SignersNotSorted.selector));
        _refused(bytes.concat(_sig(keys[0]), hex"00"), abi.encodeWithSelector(MalformedSignature.selector, 1));
    }

    function test_strangers_are_refused() public {
        uint256 stranger = 44;
        while (vm.addr(stranger) < vm.addr(keys[0])) ++stranger;
        _refused(
            bytes.concat(_sig(keys[0]), _sig(stranger)),
            abi.encodeWithSelector(UnknownAttester.selector, vm.addr(stranger))
        );
    }

    /// The second signature that every ECDSA signature has is refused: (r, n - s).
    function test_malleable_signatures_are_refused() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[0], two.digest(inputs));
        bytes memory high = abi.encodePacked(r, bytes32(N - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        _refused(bytes.concat(high, _sig(keys[1])), abi.encodeWithSelector(MalformedSignature.selector, 0));
        bytes memory badV = abi.encodePacked(r, s, v - 27);
        _refused(bytes.concat(badV, _sig(keys[1])), abi.encodeWithSelector(MalformedSignature.selector, 0));
    }

    function testFuzz_any_other_range_is_refused(bytes32[] calldata other) public {
        vm.assume(keccak256(abi.encode(other)) != keccak256(abi.encode(inputs)));
        bytes memory proof = bytes.concat(_sig(keys[0]), _sig(keys[1]));
        (bool ok,) = address(two).call(abi.encodeCall(IVerifier.verify, (other, proof)));
        assertFalse(ok, "another range");
    }

    function testFuzz_a_flipped_byte_is_refused(uint256 index, uint8 flip) public {
        bytes memory proof = bytes.concat(_sig(keys[0]), _sig(keys[1]));
        proof[index % proof.length] ^= bytes1(flip == 0 ? 1 : flip);
        (bool ok,) = address(two).call(abi.encodeCall(IVerifier.verify, (inputs, proof)));
        assertFalse(ok, "spoilt");
    }

    function test_bound_to_layer_and_contract() public {
        bytes memory proof = bytes.concat(_sig(keys[0]), _sig(keys[1]));
        vm.chainId(999);
        (bool ok,) = address(two).call(abi.encodeCall(IVerifier.verify, (inputs, proof)));
        assertFalse(ok, "another layer");
        vm.chainId(31337);
        address[] memory attesters = new address[](2);
        (attesters[0], attesters[1]) = (vm.addr(keys[0]), vm.addr(keys[1]));
        AttestationVerifier twin = new AttestationVerifier(address(this), attesters, 2);
        (ok,) = address(twin).call(abi.encodeCall(IVerifier.verify, (inputs, proof)));
        assertFalse(ok, "another contract");
    }

    function test_only_the_owner_changes_attesters_and_never_below_the_threshold() public {
        vm.prank(address(1));
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(1)));
        two.setAttester(address(5), true);
        two.setAttester(vm.addr(keys[2]), false);
        vm.expectRevert(abi.encodeWithSelector(BadThreshold.selector, 2, 1));
        two.setAttester(vm.addr(keys[1]), false);
        vm.expectRevert(abi.encodeWithSelector(BadThreshold.selector, 0, 2));
        two.setThreshold(0);
        vm.expectRevert(abi.encodeWithSelector(BadThreshold.selector, 3, 2));
        two.setThreshold(3);
        _refused(
            bytes.concat(_sig(keys[0]), _sig(keys[2])),
            abi.encodeWithSelector(UnknownAttester.selector, vm.addr(keys[2]))
        );
    }

    function test_empty_range_is_refused() public {
        bytes32[] memory none = new bytes32[](0);
        assertRevert(
            address(two), abi.encodeCall(IVerifier.verify, (none, "")), abi.encodeWithSelector(EmptyBatchRange.selector)
        );
    }

    function test_dual_needs_both() public {
        IVerifier yes = new FixedVerifier(true, 0);
        IVerifier no = new FixedVerifier(false, 0);
        bytes memory attested = bytes.concat(_sig(keys[0]), _sig(keys[1]));
        assertTrue(new DualVerifier(yes, two).verify(inputs, abi.encode(bytes(""), attested)), "both");
        assertFalse(new DualVerifier(no, two).verify(inputs, abi.encode(bytes(""), attested)), "first says no");
        assertFalse(new DualVerifier(two, no).verify(inputs, abi.encode(attested, bytes(""))), "second says no");
        IVerifier both = new DualVerifier(yes, two);
        (bool ok,) = address(both).call(abi.encodeCall(IVerifier.verify, (inputs, abi.encode(attested, bytes("")))));
        assertFalse(ok, "proofs swapped");
        (ok,) = address(both).call(abi.encodeCall(IVerifier.verify, (inputs, attested)));
        assertFalse(ok, "malformed");
        vm.expectRevert(abi.encodeWithSelector(NotAContract.selector, address(0)));
        new DualVerifier(yes, IVerifier(address(0)));
    }

    /// The program that a pair binds is the one that either binds; a pair that binds two would accept nothing that makes sense.
    function test_dual_binds_one_program() public {
        bytes32 a = keccak256("a");
        bytes32 b = keccak256("b");
        assertEq(two.programId(), 0, "attesters bind none");
        assertEq(_dual(a, 0).programId(), a, "the first");
        assertEq(_dual(0, a).programId(), a, "the second");
        assertEq(_dual(a, a).programId(), a, "both");
        assertEq(_dual(0, 0).programId(), 0, "none");
        IVerifier first = new FixedVerifier(true, a);
        IVerifier second = new FixedVerifier(true, b);
        vm.expectRevert(abi.encodeWithSelector(ProgramMismatch.selector, a, b));
        new DualVerifier(first, second);
        // Two pairs in a pair: what one of them binds is not lost.
        IVerifier pair = _dual(0, b);
        vm.expectRevert(abi.encodeWithSelector(ProgramMismatch.selector, a, b));
        new DualVerifier(first, pair);
    }

    function _dual(bytes32 first, bytes32 second) private returns (DualVerifier) {
        return new DualVerifier(new FixedVerifier(true, first), new FixedVerifier(true, second));
    }
}

/// @dev A chain's program and its verifier's are the same, whenever either is set.
contract ProgramTest is Fixture {
    bytes32 private constant OTHER = keccak256("another program");

    function _mismatch(bytes32 expected, bytes32 proven) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ProgramMismatch.selector, expected, proven);
    }

    function _create(uint256 chainId, IVerifier by) private returns (bool ok, bytes memory out) {
        NewChainParams memory p = _params(chainId, ethAsset);
        p.verifier = address(by);
        return address(bridgehub).call(abi.encodeCall(Bridgehub.createNewChain, (p)));
    }

    function test_a_chain_is_made_only_with_a_verifier_of_its_program() public {
        IVerifier other = new FixedVerifier(true, OTHER);
        (bool ok, bytes memory out) = _create(3001, other);
        assertFalse(ok, "another program");
        assertEq(keccak256(out), keccak256(_mismatch(PROGRAM, OTHER)), "reason");
        (ok, out) = _create(3001, new DualVerifier(other, verifier));
        assertFalse(ok, "another program, behind a pair");
        assertEq(keccak256(out), keccak256(_mismatch(PROGRAM, OTHER)), "reason");
        (ok,) = _create(3001, IVerifier(address(da)));
        assertFalse(ok, "no verifier at all");
        (ok,) = _create(3001, new FixedVerifier(true, PROGRAM));
        assertTrue(ok, "its own");
        (ok,) = _create(3002, new DualVerifier(new FixedVerifier(true, PROGRAM), verifier));
        assertTrue(ok, "its own, behind a pair");
    }

    /// The attack: a new program's name with the old program's verifier, which would go on accepting what the new program was made to refuse.
    function test_an_upgrade_names_program_and_verifier_together() public {
        IVerifier old = new FixedVerifier(true, PROGRAM);
        IVerifier next = new FixedVerifier(true, OTHER);
        vm.startPrank(address(timelock));
        chain.upgradeProtocol(2, PROGRAM, address(old));
        vm.expectRevert(_mismatch(OTHER, PROGRAM));
        chain.upgradeProtocol(3, OTHER, address(old));
        vm.expectRevert(_mismatch(PROGRAM, OTHER));
        chain.upgradeProtocol(3, PROGRAM, address(next));
        vm.expectRevert(_mismatch(0, OTHER));
        chain.upgradeProtocol(3, 0, address(next));
        assertEq(chain.getProgramId(), PROGRAM, "nothing changed");
        assertEq(chain.getVerifier(), address(old), "nothing changed");
        assertEq(chain.getProtocolVersion(), 2, "nothing changed");
        chain.upgradeProtocol(3, OTHER, address(next));
        assertEq(chain.getProgramId(), OTHER, "both");
        // Attesters go with any program: they sign what names it.
        chain.upgradeProtocol(4, PROGRAM, address(verifier));
        vm.stopPrank();
    }

    /// What is proven is what is named: the program is in the public input that the verifier gets.
    function test_the_program_is_in_the_public_input() public {
        StoredBatchInfo memory before = last[CHAIN];
        CommitBatchInfo memory b = _batch(CHAIN, 0, keccak256("root"));
        bytes32 expected = _stored(CHAIN, before, b).publicInput;
        address next = address(new FixedVerifier(true, OTHER));
        vm.prank(address(timelock));
        chain.upgradeProtocol(1, OTHER, next);
        vm.prank(VALIDATOR);
        chain.commitBatches(before, _one(b));
        StoredBatchInfo memory named = _stored(CHAIN, before, b);
        assertEq(named.publicInput, expected, "the fixture names the old program");
        assertTrue(chain.storedBatchHash(1) != keccak256(abi.encode(named)), "L1 names the new one");
    }
}
