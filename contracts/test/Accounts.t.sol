// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {WebAuthn} from "@openzeppelin/contracts/utils/cryptography/WebAuthn.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {AccountBase} from "../src/examples/AccountBase.sol";
import {MultisigAccount} from "../src/examples/MultisigAccount.sol";
import {PasskeyAccount} from "../src/examples/PasskeyAccount.sol";
import {SessionKeyAccount} from "../src/examples/SessionKeyAccount.sol";
import {IAccount, Transaction} from "../src/interfaces/IAccount.sol";
import {AccountFixture, Nonces} from "./utils/AccountFixture.sol";

contract AccountsTest is AccountFixture {
    MultisigAccount private multisig;
    SessionKeyAccount private session;
    PasskeyAccount private passkey;

    uint256 private constant PASSKEY = 0x9a55;
    uint256 private constant P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551;

    function setUp() public override {
        super.setUp();
        multisig = new MultisigAccount([vm.addr(A), vm.addr(B), vm.addr(C)]);
        session = new SessionKeyAccount(vm.addr(A));
        (uint256 x, uint256 y) = vm.publicKeyP256(PASSKEY);
        passkey = new PasskeyAccount(bytes32(x), bytes32(y));
        vm.deal(address(multisig), 1 ether);
        vm.deal(address(session), 1 ether);
        vm.deal(address(passkey), 1 ether);
    }

    // ---- what all accounts share ----

    function test_hash_is_what_clients_sign() public {
        // crates/primitives/tests/vectors/eip712.json: zksync-ethers, "smart account", and viem, "paymaster".
        vm.chainId(270);
        Transaction memory t = transaction(0x9999999999999999999999999999999999999999, 0x1111111111111111111111111111111111111111, 0, "");
        (t.nonce, t.maxFeePerGas, t.maxPriorityFeePerGas) = (1, 100, 100);
        assertTrue(multisig.hashOf(t) == 0x4fbf815fa8302d493bd4f1707fd20d89c1a255ecf06e286ad89fcde4cf1bb1c3, "zksync-ethers");
    }

    function test_only_the_bootloader_calls() public {
        Transaction memory t = transaction(address(multisig), FRIEND, 1, "");
        bytes memory refusal = abi.encodeWithSelector(AccountBase.OnlyBootloader.selector, address(this));
        vm.expectRevert(refusal);
        multisig.validateTransaction(0, 0, t);
        vm.expectRevert(refusal);
        multisig.payForTransaction(0, 0, t);
        vm.expectRevert(refusal);
        multisig.prepareForPaymaster(0, 0, t);
        vm.expectRevert(refusal);
        multisig.executeTransaction(0, 0, t);
    }

    function test_a_transaction_deploys_and_a_revert_comes_through() public {
        Transaction memory t = transaction(address(multisig), address(0), 0, hex"6001600c60003960016000f300");
        t.reserved[1] = 1;
        execute(multisig, 0, t);
        t.data = hex"60006000fd";
        vm.expectRevert(AccountBase.CreationFailed.selector);
        execute(multisig, 0, t);
        bytes memory data = abi.encodeCall(MultisigAccount.replaceOwner, (0, FRIEND));
        vm.expectRevert(abi.encodeWithSelector(AccountBase.OnlySelf.selector, address(session)));
        execute(session, _sign(A, session), _call(session, address(multisig), data));
    }

    function test_allowance_for_a_paymaster() public {
        Transaction memory t = transaction(address(multisig), FRIEND, 0, "");
        t.paymaster = uint160(FRIEND);
        t.paymasterInput = abi.encodeWithSignature("approvalBased(address,uint256,bytes)", address(token), 77, "");
        vm.prank(address(0x8001));
        multisig.prepareForPaymaster(0, 0, t);
        assertEq(token.allowance(address(multisig), FRIEND), 77, "allowance");
        t.paymasterInput = hex"01020304";
        vm.expectRevert(abi.encodeWithSelector(AccountBase.UnsupportedPaymasterFlow.selector, bytes4(0x01020304)));
        vm.prank(address(0x8001));
        multisig.prepareForPaymaster(0, 0, t);
    }

    // ---- two of three ----

    function test_any_two_owners(uint256 seed) public {
        uint256[3] memory keys = [A, B, C];
        uint256 first = keys[seed % 3];
        uint256 second = keys[(seed % 3 + 1 + (seed >> 8) % 2) % 3];
        Transaction memory t = transaction(address(multisig), FRIEND, 5, "");
        bytes32 digest = multisig.hashOf(t);
        t.signature = bytes.concat(ecdsa(first, digest), ecdsa(second, digest));
        assertTrue(validates(multisig, digest, t), "two owners");
        pay(multisig, digest, t);
        execute(multisig, digest, t);
        assertEq(FRIEND.balance, 5, "sent");
        // The nonce is used.
        vm.expectRevert(abi.encodeWithSelector(Nonces.NonceNotEqual.selector, 1, 0));
        validates(multisig, digest, t);
    }

    function test_no_other_two() public {
        Transaction memory t = transaction(address(multisig), FRIEND, 5, "");
        bytes32 digest = multisig.hashOf(t);
        bytes[5] memory wrong = [
            bytes.concat(ecdsa(A, digest), ecdsa(A, digest)),
            bytes.concat(ecdsa(A, digest), ecdsa(EVE, digest)),
            ecdsa(A, digest),
            bytes.concat(ecdsa(A, digest), ecdsa(B, ~digest)),
            new bytes(130)
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            t.signature = wrong[i];
            t.nonce = i;
            assertTrue(!validates(multisig, digest, t), "refused");
            assertTrue(multisig.isValidSignature(digest, wrong[i]) == 0xffffffff, "ERC-1271");
        }
        bytes memory right = bytes.concat(ecdsa(C, digest), ecdsa(A, digest));
        assertTrue(multisig.isValidSignature(digest, right) == IERC1271.isValidSignature.selector, "ERC-1271");
    }

    function test_from_outside() public {
        Transaction memory t = transaction(address(multisig), FRIEND, 5, "");
        bytes32 digest = multisig.hashOf(t);
        t.signature = bytes.concat(ecdsa(A, digest), ecdsa(B, digest));
        multisig.executeTransactionFromOutside(t);
        assertEq(FRIEND.balance, 5, "sent");
        t.nonce = 1;
        vm.expectRevert(AccountBase.NotAuthorized.selector);
        multisig.executeTransactionFromOutside(t);
    }

    function test_from_outside_only_what_was_signed() public {
        // Of another account with the same owners.
        Transaction memory t = transaction(address(session), FRIEND, 5, "");
        bytes32 digest = multisig.hashOf(t);
        t.signature = bytes.concat(ecdsa(A, digest), ecdsa(B, digest));
        vm.expectRevert(abi.encodeWithSelector(AccountBase.OtherAccount.selector, t.from));
        multisig.executeTransactionFromOutside(t);
        // A payment cannot be made a creation, which would lock it.
        t = transaction(address(multisig), FRIEND, 5, "");
        digest = multisig.hashOf(t);
        t.signature = bytes.concat(ecdsa(A, digest), ecdsa(B, digest));
        t.reserved[1] = 1;
        // Nor given so little gas that what it calls fails where it matters.
        (bool ok, bytes memory reason) =
            address(multisig).call{gas: 500_000}(abi.encodeCall(multisig.executeTransactionFromOutside, (t)));
        assertTrue(!ok && bytes4(reason) == AccountBase.GasBelowSigned.selector, "too little gas");
        multisig.executeTransactionFromOutside(t);
        assertEq(FRIEND.balance, 5, "paid");
    }

    // ---- session keys ----

    function _sign(uint256, IAccount) private pure returns (bytes32) {
        return bytes32(uint256(1));
    }

    function _call(IAccount account, address to, bytes memory data) private pure returns (Transaction memory t) {
        t = transaction(address(account), to, 0, data);
        t.signature = ecdsa(A, bytes32(uint256(1)));
    }

    function _open(address asset, uint128 limit) private {
        vm.prank(address(session));
        session.openSession(vm.addr(B), asset, limit, 260_000_000, uint64(block.timestamp + 10));
    }

    function _spend(uint256 nonce, address to, uint256 value, bytes memory data) private view returns (bytes32 digest, Transaction memory t) {
        t = transaction(address(session), to, value, data);
        t.nonce = nonce;
        digest = session.hashOf(t);
        t.signature = ecdsa(B, digest);
    }

    function test_session_of_ether() public {
        _open(address(0), 10);
        (bytes32 digest, Transaction memory t) = _spend(0, FRIEND, 6, "");
        assertTrue(validates(session, digest, t), "within");
        execute(session, digest, t);
        (digest, t) = _spend(1, FRIEND, 5, "");
        vm.expectRevert(abi.encodeWithSelector(SessionKeyAccount.SessionLimitExceeded.selector, 5, 4));
        validates(session, digest, t);
        (digest, t) = _spend(1, FRIEND, 4, hex"00");
        vm.expectRevert(SessionKeyAccount.SessionCallNotAllowed.selector);
        validates(session, digest, t);
        // Neither the account itself nor, as a creation would, nobody.
        address[2] memory nobody = [address(session), address(0)];
        for (uint256 i = 0; i < 2; ++i) {
            (digest, t) = _spend(1, nobody[i], 4, "");
            vm.expectRevert(SessionKeyAccount.SessionCallNotAllowed.selector);
            validates(session, digest, t);
        }
        // Fees have a limit of their own; a sponsor's do not count, an allowance is refused.
        (digest, t) = _spend(1, FRIEND, 1, "");
        t.gasLimit = 1_000_001;
        (digest, t) = _resign(t);
        vm.expectRevert(abi.encodeWithSelector(SessionKeyAccount.SessionFeesExceeded.selector, 130_000_130, 130_000_000));
        validates(session, digest, t);
        (t.paymaster, t.paymasterInput) = (uint160(FRIEND), general());
        (digest, t) = _resign(t);
        assertTrue(validates(session, digest, t), "sponsored");
        (t.nonce, t.paymasterInput) = (2, abi.encodeWithSignature("approvalBased(address,uint256,bytes)", address(token), 77, ""));
        (digest, t) = _resign(t);
        vm.expectRevert(SessionKeyAccount.SessionCallNotAllowed.selector);
        validates(session, digest, t);
    }

    function _resign(Transaction memory t) private view returns (bytes32 digest, Transaction memory) {
        digest = session.hashOf(t);
        t.signature = ecdsa(B, digest);
        return (digest, t);
    }

    function test_session_of_a_token() public {
        token.mint(address(session), 100);
        _open(address(token), 10);
        (bytes32 digest, Transaction memory t) = _spend(0, address(token), 0, abi.encodeCall(token.transfer, (FRIEND, 10)));
        assertTrue(validates(session, digest, t), "within");
        execute(session, digest, t);
        assertEq(token.balanceOf(FRIEND), 10, "sent");
        (digest, t) = _spend(1, address(token), 0, abi.encodeCall(token.transfer, (FRIEND, 1)));
        vm.expectRevert(abi.encodeWithSelector(SessionKeyAccount.SessionLimitExceeded.selector, 1, 0));
        validates(session, digest, t);
        (digest, t) = _spend(1, address(token), 0, abi.encodeCall(token.approve, (FRIEND, 1)));
        vm.expectRevert(SessionKeyAccount.SessionCallNotAllowed.selector);
        validates(session, digest, t);
    }

    function test_session_ends() public {
        _open(address(0), 10);
        (bytes32 digest, Transaction memory t) = _spend(0, FRIEND, 1, "");
        assertTrue(validates(session, digest, t), "valid");
        vm.warp(block.timestamp + 11);
        vm.expectRevert();
        execute(session, digest, t);
        vm.prank(address(session));
        session.closeSession(vm.addr(B));
        (digest, t) = _spend(1, FRIEND, 1, "");
        assertTrue(!validates(session, digest, t), "closed");
    }

    // ---- passkeys ----

    function _answer(bytes32 digest) private pure returns (bytes memory) {
        string memory client = string.concat(
            '{"type":"webauthn.get","challenge":"', Base64.encodeURL(abi.encodePacked(digest)), '","origin":"http://localhost"}'
        );
        bytes memory data = abi.encodePacked(sha256("localhost"), bytes1(0x05), bytes4(uint32(1)));
        (bytes32 r, bytes32 s) = vm.signP256(PASSKEY, sha256(abi.encodePacked(data, sha256(bytes(client)))));
        if (uint256(s) > P256_N / 2) s = bytes32(P256_N - uint256(s));
        return abi.encode(r, s, uint256(23), uint256(1), data, client);
    }

    function test_a_passkey_signs() public {
        Transaction memory t = transaction(address(passkey), FRIEND, 5, "");
        bytes32 digest = passkey.hashOf(t);
        t.signature = _answer(digest);
        assertTrue(validates(passkey, digest, t), "the passkey");
        execute(passkey, digest, t);
        assertEq(FRIEND.balance, 5, "sent");
    }

    function test_no_other_answer() public {
        Transaction memory t = transaction(address(passkey), FRIEND, 5, "");
        bytes32 digest = passkey.hashOf(t);
        bytes memory high = _answer(digest);
        uint256 s;
        assembly {
            s := mload(add(high, 0x40))
            mstore(add(high, 0x40), sub(P256_N, s))
        }
        bytes[4] memory wrong = [_answer(~digest), bytes(""), high, new bytes(65)];
        for (uint256 i = 0; i < wrong.length; ++i) {
            (t.signature, t.nonce) = (wrong[i], i);
            assertTrue(!validates(passkey, digest, t), "refused");
        }
    }
}
