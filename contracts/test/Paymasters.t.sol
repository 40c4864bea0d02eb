// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20Paymaster} from "../src/examples/ERC20Paymaster.sol";
import {PaymasterBase} from "../src/examples/PaymasterBase.sol";
import {SponsorPaymaster} from "../src/examples/SponsorPaymaster.sol";
import {BOOTLOADER, Transaction} from "../src/interfaces/IAccount.sol";
import {ExecutionResult, IPaymaster, PAYMASTER_VALIDATION_SUCCESS_MAGIC} from "../src/interfaces/IPaymaster.sol";
import {AccountFixture} from "./utils/AccountFixture.sol";

contract PaymastersTest is AccountFixture {
    SponsorPaymaster private sponsor;
    ERC20Paymaster private erc20;
    address private constant USER = address(uint160(uint256(keccak256("user"))));
    uint256 private constant FEE = 130_000_000;

    function setUp() public override {
        super.setUp();
        sponsor = new SponsorPaymaster(address(this), 1 ether);
        erc20 = new ERC20Paymaster(address(this));
        vm.deal(address(sponsor), 1 ether);
        vm.deal(address(erc20), 1 ether);
        erc20.setRate(address(token), 2 ether);
        token.mint(USER, 1 ether);
    }

    function _validate(IPaymaster paymaster, Transaction memory t) private returns (bytes memory context) {
        uint256 before = BOOTLOADER.balance;
        vm.prank(BOOTLOADER);
        bytes4 magic;
        (magic, context) = paymaster.validateAndPayForPaymasterTransaction(0, 0, t);
        assertTrue(magic == PAYMASTER_VALIDATION_SUCCESS_MAGIC, "magic");
        assertEq(BOOTLOADER.balance - before, FEE, "the fee");
    }

    function _transaction(bytes memory input) private pure returns (Transaction memory t) {
        t = transaction(USER, FRIEND, 0, "");
        t.paymasterInput = input;
    }

    function _approval(address token_) private pure returns (bytes memory) {
        return abi.encodeWithSignature("approvalBased(address,uint256,bytes)", token_, 2 * FEE, "");
    }

    function test_only_the_bootloader_calls() public {
        Transaction memory t = _transaction(general());
        bytes memory refusal = abi.encodeWithSelector(PaymasterBase.OnlyBootloader.selector, address(this));
        vm.expectRevert(refusal);
        sponsor.validateAndPayForPaymasterTransaction(0, 0, t);
        vm.expectRevert(refusal);
        erc20.postTransaction("", t, 0, 0, ExecutionResult.Success, 1);
    }

    function test_sponsor() public {
        _validate(sponsor, _transaction(general()));
        sponsor.setOpen(false);
        vm.expectRevert(abi.encodeWithSelector(SponsorPaymaster.NotSponsored.selector, USER));
        vm.prank(BOOTLOADER);
        sponsor.validateAndPayForPaymasterTransaction(0, 0, _transaction(general()));
        sponsor.setUser(USER, true);
        _validate(sponsor, _transaction(general()));
        sponsor.setMaxFee(FEE - 1);
        vm.expectRevert(abi.encodeWithSelector(SponsorPaymaster.FeeTooHigh.selector, FEE, FEE - 1));
        vm.prank(BOOTLOADER);
        sponsor.validateAndPayForPaymasterTransaction(0, 0, _transaction(general()));
    }

    function test_sponsor_refuses_other_flows_and_an_empty_purse() public {
        vm.expectRevert(abi.encodeWithSelector(PaymasterBase.UnsupportedPaymasterFlow.selector, bytes4(0)));
        vm.prank(BOOTLOADER);
        sponsor.validateAndPayForPaymasterTransaction(0, 0, _transaction(""));
        sponsor.withdraw(payable(FRIEND), 1 ether);
        vm.expectRevert(abi.encodeWithSelector(PaymasterBase.PaymasterEmpty.selector, 0, FEE));
        vm.prank(BOOTLOADER);
        sponsor.validateAndPayForPaymasterTransaction(0, 0, _transaction(general()));
        vm.expectRevert();
        vm.prank(USER);
        sponsor.withdraw(payable(USER), 1);
    }

    function test_token_fee_and_what_comes_back(uint256 left) public {
        left = left % 900_000;
        vm.prank(USER);
        token.approve(address(erc20), 2 * FEE);
        Transaction memory t = _transaction(_approval(address(token)));
        bytes memory context = _validate(erc20, t);
        assertEq(1 ether - token.balanceOf(USER), 2 * FEE, "taken in full first");
        vm.txGasPrice(100);
        vm.prank(BOOTLOADER);
        erc20.postTransaction(context, t, 0, 0, ExecutionResult.Revert, left);
        uint256 paid = 1 ether - token.balanceOf(USER);
        // What the chain keeps is at most what was used before, at the gas price; the paymaster does not lose.
        assertTrue(paid >= 2 * (1_000_000 - left) * 100, "covers the cost");
        assertTrue(paid <= 2 * (1_000_000 - left + 35_000) * 100, "and little more");
    }

    function test_token_fee_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(ERC20Paymaster.AllowanceTooLow.selector, 0, 2 * FEE));
        vm.prank(BOOTLOADER);
        erc20.validateAndPayForPaymasterTransaction(0, 0, _transaction(_approval(address(token))));
        vm.expectRevert(abi.encodeWithSelector(ERC20Paymaster.TokenNotAccepted.selector, FRIEND));
        vm.prank(BOOTLOADER);
        erc20.validateAndPayForPaymasterTransaction(0, 0, _transaction(_approval(FRIEND)));
        vm.expectRevert(abi.encodeWithSelector(PaymasterBase.UnsupportedPaymasterFlow.selector, bytes4(general())));
        vm.prank(BOOTLOADER);
        erc20.validateAndPayForPaymasterTransaction(0, 0, _transaction(general()));
    }
}
