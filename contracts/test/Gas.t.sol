// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./utils/Fixture.sol";

/// @dev Gas of whole transactions: forge's `isolate` runs each call as a transaction of its own, so intrinsic gas, calldata and cold slots count.
/// forge-config: default.isolate = true
contract GasTest is Fixture {
    uint256 private constant BUDGET = 360_000;

    struct Round {
        bytes commit;
        bytes prove;
        bytes execute;
    }

    function _measure(string memory name, bytes memory call) private returns (uint256 gas) {
        vm.prank(VALIDATOR);
        uint256 before = gasleft();
        (bool ok,) = address(chain).call(call);
        gas = before - gasleft();
        assertTrue(ok, name);
        vm.snapshotValue(name, gas);
    }

    function _prepare(uint64 ops) private returns (Round memory r) {
        StoredBatchInfo memory prev = last[CHAIN];
        CommitBatchInfo memory b = _batch(CHAIN, ops, keccak256("root"));
        StoredBatchInfo memory stored = _stored(CHAIN, prev, b);
        r.commit = abi.encodeCall(IZKChain.commitBatches, (prev, _one(b)));
        r.prove = abi.encodeCall(IZKChain.proveBatches, (prev, _one(stored), _sign(ATTESTER_KEY, _one(stored))));
        r.execute = abi.encodeCall(IZKChain.executeBatches, (_one(stored)));
        last[CHAIN] = stored;
    }

    /// @dev Commit, prove and execute, with a verifier that accepts at once.
    function _round(string memory name, uint64 ops) private {
        vm.mockCall(address(verifier), abi.encodeWithSelector(verifier.verify.selector), abi.encode(true));
        Round memory r = _prepare(ops);
        uint256 total = _measure(string.concat(name, ": commit"), r.commit);
        total += _measure(string.concat(name, ": prove without verifier"), r.prove);
        total += _measure(string.concat(name, ": execute"), r.execute);
        vm.snapshotValue(string.concat(name, ": total without verifier"), total);
        assertTrue(total <= BUDGET, "a round is too expensive");
    }

    function test_gas_of_attestation() public {
        Round memory r = _prepare(0);
        _measure("attested batch: commit", r.commit);
        _measure("attested batch: prove, one attester", r.prove);
    }

    function test_gas_of_a_round() public {
        _depositEth(CHAIN, ALICE, 1 ether);
        _depositEth(CHAIN, ALICE, 1 ether);
        _round("first batch", 0);
        _round("batch with two deposits", 2);
        _round("later batch", 0);
    }

    function test_gas_of_users() public {
        L2TransactionRequestDirect memory r = _direct(CHAIN, ALICE, 1 ether);
        vm.prank(ALICE, ALICE);
        uint256 before = gasleft();
        bridgehub.requestL2TransactionDirect{value: r.mintValue}(r);
        vm.snapshotValue("deposit of ETH", before - gasleft());

        vm.prank(ALICE);
        token.approve(address(router), 10e6);
        L2TransactionRequestTwoBridgesOuter memory two = _twoBridges(CHAIN, ALICE, tokenAsset, address(token), 10e6);
        vm.prank(ALICE, ALICE);
        before = gasleft();
        bridgehub.requestL2TransactionTwoBridges{value: two.mintValue}(two);
        vm.snapshotValue("deposit of an ERC-20", before - gasleft());

        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, address(0x800a), _ethMessage(BOB, 0.1 ether));
        before = gasleft();
        nullifier.finalizeDeposit(p);
        vm.snapshotValue("withdrawal of ETH", before - gasleft());
        p = _settleMessage(CHAIN, address(0x10003), _tokenMessage(CHAIN, tokenAsset, BOB, address(token), 1e6));
        before = gasleft();
        nullifier.finalizeDeposit(p);
        vm.snapshotValue("withdrawal of an ERC-20", before - gasleft());
    }
}
