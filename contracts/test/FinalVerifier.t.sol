// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {DualVerifier} from "../src/l1/DualVerifier.sol";
import {IVerifier} from "../src/interfaces/IVerifier.sol";
import {FinalVerifier} from "../src/l1/verifier/FinalVerifier.sol";
import {CHECK_CANONICAL, CHECK_KEY, FinalProofRefused, P} from "../src/l1/verifier/Field5.sol";
import "./utils/Fixture.sol";

/// @dev What the constructor pins, and what is refused before any arithmetic. Proofs themselves are compared with the native verifier in Rust.
contract FinalVerifierPinsTest is Test {
    address private constant DATA0 = address(0xda7a0);
    address private constant DATA1 = address(0xda7a1);
    bytes32 private constant PROGRAM = bytes32(uint256(7));
    /// As a description begins: magic, numbers of four bytes, of which the fourth is that of the public values.
    bytes private constant DESCRIPTION = bytes.concat("CAIRNFP1", bytes12(0), bytes4(uint32(76)), "and so on");

    function _code(bytes memory part) private pure returns (bytes memory) {
        return bytes.concat(hex"00", part);
    }

    function test_a_key_is_pinned_by_its_digest() public {
        vm.etch(DATA0, _code(DESCRIPTION));
        bytes32 digest = keccak256(DESCRIPTION);
        FinalVerifier v = new FinalVerifier(digest, PROGRAM, DATA0, address(0));
        assertEq(v.keyDigest(), digest, "key");
        assertEq(v.programId(), PROGRAM, "program");
        vm.expectRevert(abi.encodeWithSelector(FinalProofRefused.selector, CHECK_KEY));
        new FinalVerifier(keccak256("another"), PROGRAM, DATA0, address(0));
        // A part too many, a part too few, parts in another order.
        vm.etch(DATA1, _code("the second part"));
        vm.expectRevert(abi.encodeWithSelector(FinalProofRefused.selector, CHECK_KEY));
        new FinalVerifier(digest, PROGRAM, DATA0, DATA1);
        bytes32 both = keccak256(bytes.concat(DESCRIPTION, "the second part"));
        new FinalVerifier(both, PROGRAM, DATA0, DATA1);
        vm.expectRevert(abi.encodeWithSelector(FinalProofRefused.selector, CHECK_KEY));
        new FinalVerifier(both, PROGRAM, DATA0, address(0));
        vm.expectRevert(abi.encodeWithSelector(FinalProofRefused.selector, CHECK_KEY));
        new FinalVerifier(both, PROGRAM, DATA1, DATA0);
        vm.expectRevert(abi.encodeWithSelector(NotAContract.selector, address(0)));
        new FinalVerifier(digest, PROGRAM, address(0), DATA0);
        vm.expectRevert(abi.encodeWithSelector(NotAContract.selector, address(0xbad)));
        new FinalVerifier(digest, PROGRAM, DATA0, address(0xbad));
    }

    /// Data of another format, or for another statement, is no key, whatever its digest.
    function test_other_data_is_no_key() public {
        bytes[2] memory others = [
            bytes.concat("CAIRNFP2", bytes12(0), bytes4(uint32(76)), "and so on"),
            bytes.concat("CAIRNFP1", bytes12(0), bytes4(uint32(75)), "and so on")
        ];
        for (uint256 i = 0; i < 2; ++i) {
            vm.etch(DATA0, _code(others[i]));
            vm.expectRevert(abi.encodeWithSelector(FinalProofRefused.selector, CHECK_KEY));
            new FinalVerifier(keccak256(others[i]), PROGRAM, DATA0, address(0));
        }
    }

    /// A program id is eight numbers below the modulus; another form of the same number would be another program of the same proofs.
    function test_a_program_id_has_one_form() public {
        vm.etch(DATA0, _code(DESCRIPTION));
        bytes32 digest = keccak256(DESCRIPTION);
        for (uint256 i = 0; i < 8; ++i) {
            new FinalVerifier(digest, bytes32((P - 1) << (32 * i)), DATA0, address(0));
            vm.expectRevert(abi.encodeWithSelector(FinalProofRefused.selector, CHECK_CANONICAL));
            new FinalVerifier(digest, bytes32(P << (32 * i)), DATA0, address(0));
        }
        // None at all: a chain would take it for a verifier that any program suits.
        vm.expectRevert(abi.encodeWithSelector(FinalProofRefused.selector, CHECK_CANONICAL));
        new FinalVerifier(digest, 0, DATA0, address(0));
    }

    function test_ranges_that_no_proof_has_are_refused() public {
        vm.etch(DATA0, _code(DESCRIPTION));
        FinalVerifier v = new FinalVerifier(keccak256(DESCRIPTION), PROGRAM, DATA0, address(0));
        bytes32[] memory none = new bytes32[](0);
        assertRevert(
            address(v), abi.encodeCall(IVerifier.verify, (none, "")), abi.encodeWithSelector(EmptyBatchRange.selector)
        );
        bytes32[] memory five = new bytes32[](5);
        assertRevert(
            address(v),
            abi.encodeCall(IVerifier.verify, (five, "")),
            abi.encodeWithSelector(TooManyBatches.selector, 4, 5)
        );
    }
}

/// @dev A real proof of a real batch, as the node made it: alone, and in the wiring of a chain that asks for attesters as well.
contract FinalVerifierProofTest is Test {
    string private constant VECTOR = "test/vectors/final_proof.json";
    address private constant DATA0 = address(0xda7a0);
    address private constant DATA1 = address(0xda7a1);
    uint256 private constant ATTESTER_KEY = 0xa77e57;

    FinalVerifier private verifier;
    bytes32[] private inputs;
    bytes private proof;

    function setUp() public {
        string memory json = vm.readFile(VECTOR);
        vm.etch(DATA0, vm.parseJsonBytes(json, ".data0"));
        bytes memory second = vm.parseJsonBytes(json, ".data1");
        if (second.length > 0) vm.etch(DATA1, second);
        bytes32[] memory claimed = vm.parseJsonBytes32Array(json, ".public_inputs");
        for (uint256 i = 0; i < claimed.length; ++i) {
            inputs.push(claimed[i]);
        }
        proof = vm.parseJsonBytes(json, ".proof");
        verifier = _deploy(vm.parseJsonBytes32(json, ".program_id"));
        assertEq(verifier.keyDigest(), vm.parseJsonBytes32(json, ".key_digest"), "key");
    }

    function _deploy(bytes32 programId) private returns (FinalVerifier) {
        bytes32 digest = vm.parseJsonBytes32(vm.readFile(VECTOR), ".key_digest");
        return new FinalVerifier(digest, programId, DATA0, DATA1.code.length > 0 ? DATA1 : address(0));
    }

    function _refused(IVerifier by, bytes32[] memory claims, bytes memory bytes_) private view {
        (bool ok,) = address(by).staticcall(abi.encodeCall(IVerifier.verify, (claims, bytes_)));
        assertFalse(ok, "accepted");
    }

    function test_the_proof_is_accepted_within_the_limits_of_a_transaction() public {
        bytes memory call = abi.encodeCall(IVerifier.verify, (inputs, proof));
        assertTrue(call.length <= 128 * 1024, "calldata");
        uint256 before = gasleft();
        assertTrue(verifier.verify(inputs, proof), "accepted");
        uint256 gas = before - gasleft();
        vm.snapshotValue("FinalVerifier: verify", gas);
        assertTrue(gas + 21_000 + 16 * call.length < 1 << 24, "EIP-7825");
    }

    function test_other_claims_are_refused() public {
        bytes32[] memory other = inputs;
        other[0] = keccak256(abi.encode(other[0]));
        _refused(verifier, other, proof);
        bytes32[] memory longer = new bytes32[](inputs.length + 1);
        for (uint256 i = 0; i < inputs.length; ++i) {
            longer[i] = inputs[i];
        }
        _refused(verifier, longer, proof);
        longer[inputs.length] = inputs[0];
        _refused(verifier, longer, proof);
        _refused(_deploy(bytes32(uint256(1))), inputs, proof);
    }

    function test_other_bytes_are_refused() public view {
        bytes memory bad = proof;
        for (uint256 i = 0; i < 16; ++i) {
            uint256 place = (i * 9973 * 64) % bad.length;
            bad[place] ^= 0x01;
            _refused(verifier, inputs, bad);
            bad[place] ^= 0x01;
        }
        _refused(verifier, inputs, bytes.concat(bad, hex"00"));
        _refused(verifier, inputs, bytes.concat(bad, new bytes(32)));
        _refused(verifier, inputs, "");
        assembly {
            mstore(bad, sub(mload(bad), 32))
        }
        _refused(verifier, inputs, bad);
    }

    /// `--verifier both`: neither part makes up for the other, and neither goes into the other's place.
    function test_with_attesters_both_parts_are_needed() public {
        address[] memory accounts = new address[](1);
        accounts[0] = vm.addr(ATTESTER_KEY);
        AttestationVerifier attesters = new AttestationVerifier(address(this), accounts, 1);
        DualVerifier both = new DualVerifier(verifier, attesters);
        assertEq(both.programId(), verifier.programId(), "program");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ATTESTER_KEY, attesters.digest(inputs));
        bytes memory signature = abi.encodePacked(r, s, v);
        assertTrue(both.verify(inputs, abi.encode(proof, signature)), "both");
        _refused(both, inputs, abi.encode(signature, proof));
        _refused(both, inputs, abi.encode(proof, bytes("")));
        _refused(both, inputs, abi.encode(bytes(""), signature));
        _refused(both, inputs, proof);
        bytes32[] memory other = new bytes32[](1);
        _refused(both, other, abi.encode(proof, signature));
    }
}

/// @dev A real proof of another chain's real batch, offered to a chain that asks for proofs.
contract FinalVerifierChainTest is Fixture {
    string private constant VECTOR = "test/vectors/final_proof.json";
    address private constant DATA0 = address(0xda7a0);
    address private constant DATA1 = address(0xda7a1);

    function _final(string memory json) private returns (FinalVerifier) {
        vm.etch(DATA0, vm.parseJsonBytes(json, ".data0"));
        bytes memory second = vm.parseJsonBytes(json, ".data1");
        if (second.length > 0) vm.etch(DATA1, second);
        bytes32 digest = vm.parseJsonBytes32(json, ".key_digest");
        bytes32 program = vm.parseJsonBytes32(json, ".program_id");
        return new FinalVerifier(digest, program, DATA0, second.length > 0 ? DATA1 : address(0));
    }

    function test_a_chain_takes_only_proofs_of_its_own_batches() public {
        string memory json = vm.readFile(VECTOR);
        FinalVerifier proofs = _final(json);
        bytes32 program = proofs.programId();
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(ProgramMismatch.selector, PROGRAM, program));
        chain.upgradeProtocol(2, PROGRAM, address(proofs));
        chain.upgradeProtocol(1, program, address(proofs));
        vm.stopPrank();

        StoredBatchInfo memory genesis = last[CHAIN];
        CommitBatchInfo memory b = _batch(CHAIN, 0, keccak256("root"));
        StoredBatchInfo memory stored = _stored(CHAIN, genesis, b);
        // As the fixture's, but for the program that L1 puts in.
        stored.publicInput = _named(program, genesis, b);
        vm.prank(VALIDATOR);
        chain.commitBatches(genesis, _one(b));
        assertEq(chain.storedBatchHash(1), keccak256(abi.encode(stored)), "L1 names the verifier's program");

        bytes memory proof = vm.parseJsonBytes(json, ".proof");
        bytes32[] memory proven = vm.parseJsonBytes32Array(json, ".public_inputs");
        assertTrue(proofs.verify(proven, proof), "a good proof of something else");
        bytes memory call = abi.encodeCall(IZKChain.proveBatches, (genesis, _one(stored), proof));
        vm.prank(VALIDATOR);
        (bool ok, bytes memory out) = address(chain).call(call);
        assertFalse(ok, "accepted");
        assertEq(bytes32(out), bytes32(FinalProofRefused.selector), "by the verifier");
        // Under the claim that it is good for, which is not what L1 committed to.
        StoredBatchInfo memory lie = abi.decode(abi.encode(stored), (StoredBatchInfo));
        lie.publicInput = proven[0];
        vm.prank(VALIDATOR);
        vm.expectRevert(
            abi.encodeWithSelector(BatchHashMismatch.selector, keccak256(abi.encode(stored)), keccak256(abi.encode(lie)))
        );
        chain.proveBatches(genesis, _one(lie), proof);
        assertEq(chain.getTotalBatchesVerified(), 0, "nothing is proven");
    }

    function _named(bytes32 program, StoredBatchInfo memory prev, CommitBatchInfo memory b)
        private
        view
        returns (bytes32)
    {
        return keccak256(
            bytes.concat(
                abi.encode(uint256(1), program, CHAIN, b.batchNumber, prev.lastBlock + 1, b.lastBlock),
                abi.encode(b.firstTimestamp, b.lastTimestamp, prev.stateRoot, prev.leafCount, prev.lastBlockHash),
                abi.encode(b.newStateRoot, b.newLeafCount, b.lastBlockHash, b.priorityOpsCount),
                abi.encode(prev.priorityOpsHashAfter, prev.priorityOpsHashAfter, b.l2ToL1Root, _daCommitment(b.daInput)),
                abi.encode(
                    bytes32(0), keccak256(abi.encode(b.baseFee, b.gasPerPubdata)), b.operator, _configHash(CHAIN)
                )
            )
        );
    }
}
