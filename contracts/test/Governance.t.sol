// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {Governed} from "../src/l1/Governed.sol";
import "./utils/Fixture.sol";

contract GovernanceTest is Fixture {
    bytes32 private constant IMPLEMENTATION_SLOT = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;

    function _shared() private view returns (Governed[5] memory) {
        return [Governed(bridgehub), Governed(nullifier), Governed(router), Governed(vault), Governed(messageRoot)];
    }

    function _viaTimelock(address target, bytes memory call) private {
        timelock.schedule(target, 0, call, 0, 0, 1 days);
        vm.expectRevert();
        timelock.execute(target, 0, call, 0, 0);
        vm.warp(block.timestamp + 1 days);
        timelock.execute(target, 0, call, 0, 0);
    }

    function test_upgrades_wait_for_the_timelock() public {
        Governed[5] memory all = _shared();
        address implementation = address(new Bridgehub());
        for (uint256 i = 0; i < 5; ++i) {
            assertEq(all[i].owner(), address(timelock), "owner");
            bytes memory denied =
                abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, address(this));
            assertRevert(
                address(all[i]), abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (implementation, "")), denied
            );
        }
        _viaTimelock(address(bridgehub), abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (implementation, "")));
        assertEq(bridgehub.getZKChain(CHAIN), address(chain), "state stays");
    }

    function test_chains_are_upgraded_by_the_owner_only() public {
        address implementation = address(new ZKChain());
        bytes memory call = abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (implementation, ""));
        vm.startPrank(ADMIN);
        assertRevert(address(chain), call, abi.encodeWithSelector(Unauthorized.selector, ADMIN));
        vm.stopPrank();
        _settle(CHAIN, 0, keccak256("1"));
        _viaTimelock(address(chain), call);
        assertEq(chain.getTotalBatchesExecuted(), 1, "state stays");
        _settle(CHAIN, 0, keccak256("2"));
    }

    /// What makes batches final is replaced by the timelock alone, after its delay: not by the chain's admin, a validator or who proposed it.
    function test_the_verifier_is_replaced_only_after_the_delay() public {
        address[] memory attesters = new address[](1);
        attesters[0] = BOB;
        address other = address(new AttestationVerifier(BOB, attesters, 1));
        uint64 version = uint64(chain.getProtocolVersion()) + 1;
        bytes memory call = abi.encodeCall(IZKChain.upgradeProtocol, (version, PROGRAM, other));
        address[4] memory strangers = [ADMIN, VALIDATOR, address(this), ALICE];
        for (uint256 i = 0; i < strangers.length; ++i) {
            vm.startPrank(strangers[i]);
            assertRevert(address(chain), call, abi.encodeWithSelector(Unauthorized.selector, strangers[i]));
            vm.stopPrank();
        }
        assertEq(bridgehub.owner(), address(timelock), "who may");
        assertEq(timelock.getMinDelay(), 1 days, "when");
        address before = chain.getVerifier();
        timelock.schedule(address(chain), 0, call, 0, 0, 1 days);
        vm.warp(block.timestamp + 1 days - 1);
        vm.expectRevert();
        timelock.execute(address(chain), 0, call, 0, 0);
        assertEq(chain.getVerifier(), before, "a second too early");
        vm.warp(block.timestamp + 1);
        timelock.execute(address(chain), 0, call, 0, 0);
        assertEq(chain.getVerifier(), other, "replaced");
        // A shorter delay than the timelock's own cannot be asked for.
        vm.expectRevert();
        timelock.schedule(address(chain), 0, call, 0, 0, 1 days - 1);
    }

    function test_nothing_is_initialised_twice() public {
        bytes4 again = bytes4(keccak256("InvalidInitialization()"));
        vm.expectRevert(again);
        bridgehub.initialize(ALICE, ALICE);
        vm.expectRevert(again);
        nullifier.initialize(ALICE, bridgehub);
        vm.expectRevert(again);
        router.initialize(ALICE, bridgehub, nullifier);
        vm.expectRevert(again);
        vault.initialize(ALICE, router);
        vm.expectRevert(again);
        messageRoot.initialize(ALICE, bridgehub);
        vm.expectRevert(again);
        ZKChain(address(chain)).initialize(_params(CHAIN, ethAsset));
        Bridgehub raw = new Bridgehub();
        vm.expectRevert(again);
        raw.initialize(ALICE, ALICE);
        ZKChain rawChain = new ZKChain();
        vm.expectRevert(again);
        rawChain.initialize(_params(CHAIN, ethAsset));
    }

    function test_wiring_is_done_once() public {
        vm.startPrank(address(timelock));
        vm.expectRevert(AlreadySet.selector);
        nullifier.setL1AssetRouter(address(router));
        vm.expectRevert(AlreadySet.selector);
        router.setNativeTokenVault(vault);
        address implementation = address(new ZKChain());
        vm.expectRevert(AlreadySet.selector);
        bridgehub.setAddresses(address(vault), address(messageRoot), implementation);
        vm.expectRevert(AlreadySet.selector);
        bridgehub.setAddresses(address(router), address(vault), implementation);
        bridgehub.setAddresses(address(router), address(messageRoot), implementation);
        vm.stopPrank();
        assertEq(bridgehub.zkChainImplementation(), implementation, "for new chains");
    }

    function test_a_guardian_only_pauses() public {
        Governed[5] memory all = _shared();
        for (uint256 i = 0; i < 5; ++i) {
            vm.prank(address(timelock));
            all[i].setGuardian(BOB);
            vm.prank(ALICE);
            vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, ALICE));
            all[i].pause();
            vm.startPrank(BOB);
            all[i].pause();
            vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, BOB));
            all[i].unpause();
            vm.stopPrank();
            assertTrue(all[i].paused(), "paused");
        }
    }

    function test_pauses_hold_the_bridge() public {
        _depositEth(CHAIN, ALICE, 10 ether);
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, address(0x800a), _ethMessage(BOB, 1 ether));
        L2TransactionRequestDirect memory r = _direct(CHAIN, ALICE, 1 ether);
        bytes memory deposit = abi.encodeCall(Bridgehub.requestL2TransactionDirect, (r));
        bytes memory withdraw = abi.encodeCall(L1Nullifier.finalizeDeposit, (p));
        _holds(bridgehub, deposit, address(bridgehub), r.mintValue);
        bytes memory spend = abi.encodeCall(Bridgehub.requestL2TransactionFromBalance, (r));
        _holds(bridgehub, spend, address(bridgehub), r.mintValue);
        _holds(router, deposit, address(bridgehub), r.mintValue);
        _holds(vault, deposit, address(bridgehub), r.mintValue);
        _holds(router, withdraw, address(nullifier), 0);
        _holds(vault, withdraw, address(nullifier), 0);
        _holds(nullifier, withdraw, address(nullifier), 0);
        nullifier.finalizeDeposit(p);
    }

    function _holds(Governed paused, bytes memory call, address target, uint256 value) private {
        vm.prank(address(timelock));
        paused.pause();
        vm.deal(address(this), value);
        (bool ok, bytes memory out) = target.call{value: value}(call);
        assertFalse(ok, "paused");
        assertEq(bytes32(out), bytes32(bytes4(keccak256("EnforcedPause()"))), "reason");
        vm.prank(address(timelock));
        paused.unpause();
    }
}
