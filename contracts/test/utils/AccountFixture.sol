// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {TestERC20} from "../../src/examples/TestERC20.sol";
import {ACCOUNT_VALIDATION_SUCCESS_MAGIC, BOOTLOADER, IAccount, Transaction} from "../../src/interfaces/IAccount.sol";
import {IPaymasterFlow} from "../../src/interfaces/IL2System.sol";
import {Test} from "./Test.sol";

/// @dev What NonceHolder does for accounts; on the chain it is native.
contract Nonces {
    mapping(address => uint256) public getMinNonce;

    error NonceNotEqual(uint256 minNonce, uint256 expected);

    function incrementMinNonceIfEquals(uint256 expected) external {
        uint256 min = getMinNonce[msg.sender];
        if (min != expected) revert NonceNotEqual(min, expected);
        getMinNonce[msg.sender] = min + 1;
    }
}

/// @dev The bootloader's side of an account-abstraction transaction.
abstract contract AccountFixture is Test {
    uint256 internal constant A = 0xa11ce;
    uint256 internal constant B = 0xb0b;
    uint256 internal constant C = 0xca401;
    uint256 internal constant EVE = 0xe5e;
    address internal constant FRIEND = address(uint160(uint256(keccak256("friend"))));

    TestERC20 internal token;

    function setUp() public virtual {
        vm.etch(address(0x8003), type(Nonces).runtimeCode);
        token = new TestERC20("Token", "TKN", 18);
        vm.deal(BOOTLOADER, 0);
    }

    function transaction(address from, address to, uint256 value, bytes memory data)
        internal
        pure
        returns (Transaction memory t)
    {
        t.txType = 0x71;
        t.from = uint160(from);
        t.to = uint160(to);
        t.gasLimit = 1_000_000;
        t.gasPerPubdataByteLimit = 50_000;
        t.maxFeePerGas = 130;
        t.maxPriorityFeePerGas = 130;
        t.value = value;
        t.data = data;
    }

    function general() internal pure returns (bytes memory) {
        return abi.encodeCall(IPaymasterFlow.general, (""));
    }

    function ecdsa(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev validate; true for the magic.
    function validates(IAccount account, bytes32 digest, Transaction memory t) internal returns (bool) {
        vm.prank(BOOTLOADER);
        return account.validateTransaction(bytes32(0), digest, t) == ACCOUNT_VALIDATION_SUCCESS_MAGIC;
    }

    function pay(IAccount account, bytes32 digest, Transaction memory t) internal {
        uint256 before = BOOTLOADER.balance;
        vm.prank(BOOTLOADER);
        account.payForTransaction(bytes32(0), digest, t);
        assertEq(BOOTLOADER.balance - before, t.gasLimit * t.maxFeePerGas, "the fee");
    }

    function execute(IAccount account, bytes32 digest, Transaction memory t) internal {
        vm.prank(BOOTLOADER);
        account.executeTransaction(bytes32(0), digest, t);
    }
}
