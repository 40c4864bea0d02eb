// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import "./utils/Fixture.sol";

/// @dev Keeps 1% of every transfer.
contract FeeToken is ERC20("Fee", "FEE") {
    constructor() {
        _mint(msg.sender, 1e24);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(0xfee), value / 100);
    }
}

/// @dev Calls back into the bridge while it is being moved.
contract HookToken is ERC20("Hook", "HOOK") {
    address private _target;
    bytes private _data;

    constructor() {
        _mint(msg.sender, 1e24);
    }

    function arm(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (_target != address(0)) {
            (bool ok, bytes memory out) = _target.call(_data);
            if (!ok) {
                assembly {
                    revert(add(out, 32), mload(out))
                }
            }
        }
        super._update(from, to, value);
    }
}

/// @dev Old tokens answer bytes32; broken ones answer anything.
contract OddToken is ERC20("", "") {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
        _mint(msg.sender, 1e24);
    }

    function _raw() private view {
        bytes memory a = _answer;
        assembly {
            return(add(a, 32), mload(a))
        }
    }

    function name() public view override returns (string memory) {
        _raw();
    }

    function symbol() public view override returns (string memory) {
        _raw();
    }

    function decimals() public view override returns (uint8) {
        _raw();
    }
}

/// @dev Finalizes the same withdrawal again while it is paid.
contract Reentrant {
    L1Nullifier private immutable _nullifier;
    FinalizeL1DepositParams private _params;
    bytes public failure;

    constructor(L1Nullifier nullifier_) {
        _nullifier = nullifier_;
    }

    function arm(FinalizeL1DepositParams calldata params) external {
        _params = params;
    }

    receive() external payable {
        (bool ok, bytes memory out) = address(_nullifier).call(abi.encodeCall(L1Nullifier.finalizeDeposit, (_params)));
        require(!ok, "paid twice");
        failure = out;
    }
}

contract Refuser {}

/// @dev A second bridge that is not ours.
contract ForeignBridge {
    bytes32 public magic = bytes32(uint256(keccak256("TWO_BRIDGES_MAGIC_VALUE")) - 1);

    function setMagic(bytes32 magic_) external {
        magic = magic_;
    }

    function bridgehubDeposit(uint256, address, uint256, bytes calldata)
        external
        payable
        returns (L2TransactionRequestTwoBridgesInner memory r)
    {
        r.magicValue = magic;
        r.l2Contract = address(0x10003);
        r.l2Calldata = hex"1234";
    }

    function bridgehubConfirmL2Transaction(uint256, bytes32, bytes32) external {}
}

contract Caller {
    function request(Bridgehub hub, L2TransactionRequestDirect calldata r) external payable returns (bytes32) {
        return hub.requestL2TransactionDirect{value: msg.value}(r);
    }
}

contract BridgeTest is Fixture {
    function _request(Vm.Log[] memory logs) private pure returns (L2CanonicalTransaction memory t, bytes32 hash) {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == IZKChain.NewPriorityRequest.selector) {
                uint256 id;
                uint64 expiration;
                bytes[] memory deps;
                (id, hash, expiration, t, deps) =
                    abi.decode(logs[i].data, (uint256, bytes32, uint64, L2CanonicalTransaction, bytes[]));
                return (t, hash);
            }
        }
        revert("no request");
    }

    // Deposits

    function test_direct_deposit_is_queued_and_locked() public {
        L2TransactionRequestDirect memory request = _direct(CHAIN, BOB, 5 ether);
        vm.recordLogs();
        vm.prank(ALICE, ALICE);
        bytes32 returned = bridgehub.requestL2TransactionDirect{value: request.mintValue}(request);
        (L2CanonicalTransaction memory t, bytes32 hash) = _request(vm.getRecordedLogs());
        assertEq(hash, returned, "hash");
        assertEq(keccak256(abi.encode(t)), hash, "canonical encoding");
        assertEq(t.txType, 0x7f, "type");
        assertEq(t.from, uint256(uint160(ALICE)), "an EOA keeps its address");
        assertEq(t.to, uint256(uint160(BOB)), "to");
        assertEq(t.value, 5 ether, "value");
        assertEq(t.reserved[0], request.mintValue, "mint");
        assertEq(t.reserved[1], uint256(uint160(BOB)), "refund recipient");
        assertEq(t.gasLimit * t.maxFeePerGas + t.value, t.reserved[0], "the mint pays for gas and value");
        assertEq(t.nonce, 0, "first");
        assertEq(vault.chainBalance(CHAIN, ethAsset), request.mintValue, "locked");
        assertEq(address(vault).balance, request.mintValue, "held");
    }

    function test_the_price_covers_base_fee_and_pubdata() public view {
        // base fee + ceil(gas price / gas per pubdata)
        uint256 expected = (uint256(BASE_FEE) + (uint256(1 gwei) + 99) / 100) * 200_000;
        assertEq(bridgehub.l2TransactionBaseCost(CHAIN, 1 gwei, 200_000, 800), expected, "price");
    }

    function test_contracts_are_aliased() public {
        Caller caller = new Caller();
        L2TransactionRequestDirect memory request = _direct(CHAIN, address(caller), 1 ether);
        vm.recordLogs();
        vm.prank(ALICE, ALICE);
        caller.request{value: request.mintValue}(bridgehub, request);
        (L2CanonicalTransaction memory t,) = _request(vm.getRecordedLogs());
        uint160 alias_ = uint160(address(caller)) + uint160(0x1111000000000000000000000000000000001111);
        assertEq(t.from, alias_, "sender");
        assertEq(t.reserved[1], alias_, "refunds to a contract go to its alias");
    }

    function test_who_says_so_spends_what_they_have_on_l2() public {
        L2TransactionRequestDirect memory request = _direct(CHAIN, BOB, 1 ether);
        request.mintValue -= 1 ether;
        vm.recordLogs();
        vm.prank(ALICE, ALICE);
        bridgehub.requestL2TransactionFromBalance{value: request.mintValue}(request);
        (L2CanonicalTransaction memory t,) = _request(vm.getRecordedLogs());
        assertEq(t.from, uint256(uint160(ALICE)), "sender");
        assertEq(t.value, 1 ether, "value");
        assertEq(t.reserved[0], t.gasLimit * t.maxFeePerGas, "the fee alone is minted");
        assertEq(vault.chainBalance(CHAIN, ethAsset), request.mintValue, "and locked");

        // A contract speaks for its alias, never for who called it.
        Caller caller = new Caller();
        vm.deal(address(caller), request.mintValue);
        vm.recordLogs();
        vm.prank(address(caller), ALICE);
        bridgehub.requestL2TransactionFromBalance{value: request.mintValue}(request);
        (t,) = _request(vm.getRecordedLogs());
        uint160 alias_ = uint160(address(caller)) + uint160(0x1111000000000000000000000000000000001111);
        assertEq(t.from, alias_, "alias");
    }

    function test_delegated_accounts_are_not_aliased() public {
        vm.etch(ALICE, abi.encodePacked(hex"ef0100", address(0xdead)));
        L2TransactionRequestDirect memory request = _direct(CHAIN, ALICE, 1 ether);
        vm.recordLogs();
        vm.prank(ALICE, ALICE);
        bridgehub.requestL2TransactionDirect{value: request.mintValue}(request);
        (L2CanonicalTransaction memory t,) = _request(vm.getRecordedLogs());
        assertEq(t.from, uint256(uint160(ALICE)), "sender");
        assertEq(t.reserved[1], uint256(uint160(ALICE)), "refund recipient");
    }

    function test_bad_requests_are_refused() public {
        L2TransactionRequestDirect memory r = _direct(CHAIN, BOB, 1 ether);
        uint256 value = r.mintValue;
        vm.startPrank(ALICE, ALICE);
        vm.expectRevert(abi.encodeWithSelector(MsgValueMismatch.selector, value, value - 1));
        bridgehub.requestL2TransactionDirect{value: value - 1}(r);

        r.chainId = 99;
        vm.expectRevert(abi.encodeWithSelector(ChainIdNotRegistered.selector, 99));
        bridgehub.requestL2TransactionDirect{value: value}(r);

        r = _direct(CHAIN, BOB, 1 ether);
        r.mintValue = value - 1;
        vm.expectRevert(abi.encodeWithSelector(MsgValueTooLow.selector, value, value - 1));
        bridgehub.requestL2TransactionDirect{value: value - 1}(r);

        uint256 fee = value - 1 ether;
        r.mintValue = fee - 1;
        vm.expectRevert(abi.encodeWithSelector(MsgValueTooLow.selector, fee, fee - 1));
        bridgehub.requestL2TransactionFromBalance{value: fee - 1}(r);
        r.mintValue = fee;
        vm.expectRevert(abi.encodeWithSelector(MsgValueMismatch.selector, fee, fee - 1));
        bridgehub.requestL2TransactionFromBalance{value: fee - 1}(r);

        r = _direct(CHAIN, BOB, 1 ether);
        r.l2GasLimit = 20_999;
        vm.expectRevert(abi.encodeWithSelector(ValidateTxnNotEnoughGas.selector, 21_000, 20_999));
        bridgehub.requestL2TransactionDirect{value: value}(r);

        r.l2GasLimit = 15_000_001;
        vm.expectRevert(abi.encodeWithSelector(TooMuchGas.selector, 15_000_000, 15_000_001));
        bridgehub.requestL2TransactionDirect{value: value}(r);

        r = _direct(CHAIN, BOB, 1 ether);
        r.l2GasPerPubdataByteLimit = 99;
        vm.expectRevert(abi.encodeWithSelector(GasPerPubdataMismatch.selector, 100, 99));
        bridgehub.requestL2TransactionDirect{value: value}(r);

        r = _direct(CHAIN, BOB, 1 ether);
        r.l2Value = uint256(type(uint128).max) + 1;
        vm.expectRevert(abi.encodeWithSelector(L2ValueTooBig.selector, r.l2Value));
        bridgehub.requestL2TransactionDirect{value: value}(r);

        r = _direct(CHAIN, BOB, 1 ether);
        r.factoryDeps = new bytes[](1);
        vm.expectRevert(FactoryDepsNotSupported.selector);
        bridgehub.requestL2TransactionDirect{value: value}(r);

        r = _direct(CHAIN, BOB, 1 ether);
        r.l2Calldata = new bytes(128 * 1024 + 1);
        vm.expectRevert(abi.encodeWithSelector(CalldataTooLong.selector, 128 * 1024, 128 * 1024 + 1));
        bridgehub.requestL2TransactionDirect{value: value}(r);
        vm.stopPrank();
        assertEq(chain.getTotalPriorityTxs(), 0, "nothing queued");
    }

    function test_only_the_bridgehub_queues() public {
        BridgehubL2TransactionRequest memory r;
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        chain.bridgehubRequestL2Transaction(r);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        chain.bridgehubRequestL2TransactionFromBalance(r);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        router.bridgehubDeposit(CHAIN, ALICE, 0, "");
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        router.bridgehubDepositBaseToken(CHAIN, ethAsset, ALICE, 1);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        router.finalizeDeposit(CHAIN, ethAsset, "");
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        router.bridgeRecoverFailedTransfer(CHAIN, ALICE, ethAsset, "");
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        router.transferFundsToNTV(tokenAsset, 1, ALICE);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        vault.bridgeBurn(CHAIN, 0, ethAsset, ALICE, "");
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        vault.bridgeMint(CHAIN, ethAsset, "");
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        vault.bridgeRecoverFailedTransfer(CHAIN, ethAsset, ALICE, "");
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        nullifier.bridgehubConfirmL2TransactionForwarded(CHAIN, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, address(this)));
        messageRoot.addChainBatchRoot(CHAIN, 1, 0);
    }

    function test_token_deposit_by_either_allowance() public {
        _depositToken(CHAIN, ALICE, 100e6);
        vm.startPrank(ALICE, ALICE);
        token.approve(address(router), 0);
        token.approve(address(vault), 7e6);
        L2TransactionRequestTwoBridgesOuter memory r = _twoBridges(CHAIN, ALICE, tokenAsset, address(token), 7e6);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);
        token.approve(address(vault), 0);
        r = _twoBridges(CHAIN, ALICE, tokenAsset, address(token), 1);
        (bool ok,) = address(bridgehub).call{value: r.mintValue}(
            abi.encodeCall(Bridgehub.requestL2TransactionTwoBridges, (r))
        );
        assertFalse(ok, "no allowance, no deposit");
        vm.stopPrank();
        assertEq(vault.chainBalance(CHAIN, tokenAsset), 107e6, "locked");
        assertEq(token.balanceOf(address(vault)), 107e6, "held");
    }

    function test_token_deposit_says_what_l2_needs() public {
        vm.prank(ALICE);
        token.approve(address(router), 5e6);
        L2TransactionRequestTwoBridgesOuter memory r = _twoBridges(CHAIN, BOB, tokenAsset, address(token), 5e6);
        vm.recordLogs();
        vm.prank(ALICE, ALICE);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);
        (L2CanonicalTransaction memory t, bytes32 hash) = _request(vm.getRecordedLogs());
        assertEq(t.from, uint160(address(router)) + uint160(0x1111000000000000000000000000000000001111), "from");
        assertEq(t.to, 0x10003, "to");
        bytes memory expected = router.getDepositCalldata(
            ALICE, tokenAsset, abi.encode(uint256(5e6), BOB, address(token))
        );
        assertEq(keccak256(t.data), keccak256(expected), "calldata");
        assertEq(
            nullifier.depositHappened(CHAIN, hash),
            keccak256(
                bytes.concat(
                    bytes1(0x01), abi.encode(ALICE, tokenAsset, abi.encode(uint256(5e6), BOB, address(token)))
                )
            ),
            "deposit noted"
        );
    }

    function test_older_encoding_and_unregistered_tokens() public {
        TestERC20 fresh = new TestERC20("Fresh", "FRS", 18);
        fresh.mint(ALICE, 10);
        L2TransactionRequestTwoBridgesOuter memory r = _twoBridges(CHAIN, ALICE, 0, address(0), 0);
        r.secondBridgeCalldata = abi.encode(address(fresh), uint256(4), ALICE);
        vm.startPrank(ALICE, ALICE);
        fresh.approve(address(router), 10);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);
        bytes32 id = vault.assetId(address(fresh));
        assertEq(id, keccak256(abi.encode(block.chainid, address(0x10004), address(fresh))), "asset id");
        assertEq(vault.chainBalance(CHAIN, id), 4, "locked");
        // A wrong id for the token is refused, and so is no version at all.
        r.secondBridgeCalldata = bytes.concat(
            bytes1(0x01), abi.encode(keccak256("?"), abi.encode(uint256(1), ALICE, address(fresh)))
        );
        vm.expectRevert(abi.encodeWithSelector(AssetIdMismatch.selector, keccak256("?"), id));
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);
        r.secondBridgeCalldata = hex"0212";
        vm.expectRevert(UnsupportedEncodingVersion.selector);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);
        r.secondBridgeCalldata = "";
        vm.expectRevert(UnsupportedEncodingVersion.selector);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);
        vm.stopPrank();
    }

    function test_bad_token_deposits_are_refused() public {
        vm.startPrank(ALICE, ALICE);
        token.approve(address(router), type(uint256).max);
        L2TransactionRequestTwoBridgesOuter memory r = _twoBridges(CHAIN, ALICE, tokenAsset, address(token), 0);
        vm.expectRevert(AmountMustBeGreaterThanZero.selector);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);

        r = _twoBridges(CHAIN, ALICE, tokenAsset, BOB, 1);
        vm.expectRevert(abi.encodeWithSelector(TokenNotSupported.selector, BOB));
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);

        r = _twoBridges(CHAIN, address(0), tokenAsset, address(token), 1);
        vm.expectRevert(ZeroAddress.selector);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);

        // The base token goes the direct way only.
        r = _twoBridges(CHAIN, ALICE, ethAsset, address(1), 1);
        r.secondBridgeValue = 1;
        vm.expectRevert(abi.encodeWithSelector(AssetIdNotSupported.selector, ethAsset));
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue + 1}(r);

        // ETH sent along with a token would be lost.
        r = _twoBridges(CHAIN, ALICE, tokenAsset, address(token), 1);
        r.secondBridgeValue = 1;
        vm.expectRevert(NonEmptyMsgValue.selector);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue + 1}(r);
        r.secondBridgeValue = 0;
        vm.expectRevert(abi.encodeWithSelector(MsgValueMismatch.selector, r.mintValue, r.mintValue + 1));
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue + 1}(r);

        r.l2Value = 1;
        vm.expectRevert(abi.encodeWithSelector(L2ValueTooBig.selector, 1));
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);

        r = _twoBridges(CHAIN, ALICE, tokenAsset, address(token), 1);
        r.secondBridgeAddress = address(0xffff);
        vm.expectRevert(
            abi.encodeWithSelector(SecondBridgeAddressTooLow.selector, address(0xffff), address(0xffff))
        );
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);
        vm.stopPrank();
    }

    /// A foreign second bridge speaks on L2 with its own alias, never with the router's.
    function test_a_foreign_bridge_speaks_for_itself() public {
        ForeignBridge bridge = new ForeignBridge();
        L2TransactionRequestTwoBridgesOuter memory r = _twoBridges(CHAIN, ALICE, tokenAsset, address(token), 1);
        r.secondBridgeAddress = address(bridge);
        vm.recordLogs();
        vm.prank(ALICE, ALICE);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);
        (L2CanonicalTransaction memory t,) = _request(vm.getRecordedLogs());
        assertEq(t.from, uint160(address(bridge)) + uint160(0x1111000000000000000000000000000000001111), "from");
        bridge.setMagic(0);
        vm.prank(ALICE, ALICE);
        (bool ok,) = address(bridgehub).call{value: r.mintValue}(
            abi.encodeCall(Bridgehub.requestL2TransactionTwoBridges, (r))
        );
        assertFalse(ok, "magic value");
    }

    function test_fee_on_transfer_tokens_are_refused() public {
        FeeToken fee = new FeeToken();
        fee.transfer(ALICE, 1000);
        bytes32 id = vault.ensureTokenIsRegistered(address(fee));
        L2TransactionRequestTwoBridgesOuter memory r = _twoBridges(CHAIN, ALICE, id, address(fee), 100);
        vm.startPrank(ALICE, ALICE);
        fee.approve(address(router), 100);
        vm.expectRevert(TokensWithFeesNotSupported.selector);
        bridgehub.requestL2TransactionTwoBridges{value: r.mintValue}(r);
        vm.stopPrank();
    }

    function test_a_token_cannot_reenter() public {
        HookToken hook = new HookToken();
        bytes32 id = vault.ensureTokenIsRegistered(address(hook));
        hook.transfer(ALICE, 1000);
        L2TransactionRequestTwoBridgesOuter memory r = _twoBridges(CHAIN, ALICE, id, address(hook), 100);
        vm.startPrank(ALICE, ALICE);
        hook.approve(address(router), 100);
        hook.arm(address(bridgehub), abi.encodeCall(Bridgehub.requestL2TransactionTwoBridges, (r)));
        (bool ok, bytes memory out) = address(bridgehub).call{value: r.mintValue}(
            abi.encodeCall(Bridgehub.requestL2TransactionTwoBridges, (r))
        );
        vm.stopPrank();
        assertFalse(ok, "no reentry");
        assertEq(bytes32(out), bytes32(bytes4(keccak256("ReentrancyGuardReentrantCall()"))), "guard");
    }

    function test_odd_metadata_never_blocks_a_deposit() public {
        _oddMetadata(abi.encode(bytes32("OLD")), "OLD");
        _oddMetadata("", "");
        _oddMetadata(hex"01", "");
        _oddMetadata(abi.encode(uint256(64), uint256(3), "abc"), "");
        _oddMetadata(abi.encode(uint256(32), type(uint256).max), "");
        _oddMetadata(abi.encode("fine"), "fine");
        _oddMetadata(abi.encode(string(new bytes(257))), "");
    }

    function _oddMetadata(bytes memory answer, string memory expected) private {
        OddToken odd = new OddToken(answer);
        bytes memory data = vault.getERC20Getters(address(odd), block.chainid);
        bytes memory body = new bytes(data.length - 1);
        for (uint256 i = 0; i < body.length; ++i) {
            body[i] = data[i + 1];
        }
        (uint256 origin, bytes memory name,, bytes memory decimals) =
            abi.decode(body, (uint256, bytes, bytes, bytes));
        assertEq(origin, block.chainid, "origin");
        assertEq(abi.decode(name, (string)), expected, "name");
        assertTrue(abi.decode(decimals, (uint256)) <= 255, "decimals");
    }

    function test_custom_base_token() public {
        uint256 id = 77;
        vm.prank(address(timelock));
        bridgehub.createNewChain(_params(id, tokenAsset));
        assertEq(bridgehub.baseToken(id), address(token), "base token");
        L2TransactionRequestDirect memory r = _direct(id, ALICE, 5e6);
        vm.startPrank(ALICE, ALICE);
        token.approve(address(router), type(uint256).max);
        bridgehub.requestL2TransactionDirect(r);
        assertEq(vault.chainBalance(id, tokenAsset), r.mintValue, "locked");
        vm.expectRevert(abi.encodeWithSelector(MsgValueMismatch.selector, 0, 1));
        bridgehub.requestL2TransactionDirect{value: 1}(r);
        // ETH goes there as any other asset.
        L2TransactionRequestTwoBridgesOuter memory two = _twoBridges(id, ALICE, ethAsset, address(1), 3 ether);
        two.secondBridgeValue = 3 ether;
        bridgehub.requestL2TransactionTwoBridges{value: 3 ether}(two);
        assertEq(vault.chainBalance(id, ethAsset), 3 ether, "ETH locked");
        vm.stopPrank();
    }

    /// Balances on L2 have 128 bits, so no more than that of a base token ever goes there.
    function test_base_token_supply_is_bounded() public {
        uint256 id = 77;
        vm.prank(address(timelock));
        bridgehub.createNewChain(_params(id, tokenAsset));
        token.mint(ALICE, uint256(1) << 200);
        L2TransactionRequestDirect memory r = _direct(id, ALICE, 1);
        r.mintValue = uint256(type(uint128).max) + 1;
        vm.startPrank(ALICE, ALICE);
        token.approve(address(router), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(BaseTokenSupplyTooBig.selector, r.mintValue));
        bridgehub.requestL2TransactionDirect(r);
        r.mintValue -= 1;
        bridgehub.requestL2TransactionDirect(r);
        vm.stopPrank();
    }

    // Withdrawals

    function test_eth_withdrawal_pays_once() public {
        _depositEth(CHAIN, ALICE, 10 ether);
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, address(0x800a), _ethMessage(BOB, 4 ether));
        uint256 before = BOB.balance;
        assertFalse(router.isWithdrawalFinalized(CHAIN, 1, 0), "not yet");
        nullifier.finalizeDeposit(p);
        assertEq(BOB.balance, before + 4 ether, "paid");
        assertTrue(router.isWithdrawalFinalized(CHAIN, 1, 0), "router");
        assertTrue(nullifier.isWithdrawalFinalized(CHAIN, 1, 0), "nullifier");
        vm.expectRevert(WithdrawalAlreadyFinalized.selector);
        nullifier.finalizeDeposit(p);
        vm.expectRevert(WithdrawalAlreadyFinalized.selector);
        router.finalizeWithdrawal(CHAIN, 1, 0, 3, p.message, p.merkleProof);
    }

    function test_token_withdrawal_and_older_entry() public {
        _depositToken(CHAIN, ALICE, 100e6);
        bytes memory message = _tokenMessage(CHAIN, tokenAsset, BOB, address(token), 60e6);
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, address(0x10003), message);
        uint256 before = token.balanceOf(BOB);
        router.finalizeWithdrawal(CHAIN, p.l2BatchNumber, p.l2MessageIndex, 3, message, p.merkleProof);
        assertEq(token.balanceOf(BOB), before + 60e6, "paid");
        assertEq(vault.chainBalance(CHAIN, tokenAsset), 40e6, "rest");
    }

    function test_message_with_a_note() public {
        _depositEth(CHAIN, ALICE, 10 ether);
        bytes memory message = bytes.concat(_ethMessage(BOB, 1 ether), abi.encodePacked(ALICE, "note"));
        uint256 before = BOB.balance;
        nullifier.finalizeDeposit(_settleMessage(CHAIN, address(0x800a), message));
        assertEq(BOB.balance, before + 1 ether, "paid");
    }

    function test_nothing_is_paid_before_execution() public {
        _depositEth(CHAIN, ALICE, 10 ether);
        bytes memory message = _ethMessage(BOB, 1 ether);
        bytes32[] memory leaves = _leaves(_messageLeaf(address(0x800a), 3, message));
        StoredBatchInfo memory genesis = last[CHAIN];
        StoredBatchInfo memory b = _commit(CHAIN, _batch(CHAIN, 0, LogTree.batchRoot(leaves)));
        FinalizeL1DepositParams memory p = _withdrawal(CHAIN, 1, address(0x800a), message, leaves, 0);
        vm.expectRevert(abi.encodeWithSelector(BatchNotExecuted.selector, 1));
        nullifier.finalizeDeposit(p);
        _prove(CHAIN, genesis, b);
        vm.expectRevert(abi.encodeWithSelector(BatchNotExecuted.selector, 1));
        nullifier.finalizeDeposit(p);
        _execute(CHAIN, b);
        nullifier.finalizeDeposit(p);
        p.l2BatchNumber = 0;
        vm.expectRevert(LocalRootIsZero.selector);
        nullifier.finalizeDeposit(p);
    }

    /// A message that any other account sent is only a message.
    function testFuzz_only_the_bridge_contracts_of_l2_are_heard(address sender, bool eth) public {
        vm.assume(sender != address(0x800a) && sender != address(0x10003));
        _depositEth(CHAIN, ALICE, 10 ether);
        _depositToken(CHAIN, ALICE, 10e6);
        bytes memory message =
            eth ? _ethMessage(BOB, 1 ether) : _tokenMessage(CHAIN, tokenAsset, BOB, address(token), 1e6);
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, sender, message);
        vm.expectRevert(abi.encodeWithSelector(WrongL2Sender.selector, sender));
        nullifier.finalizeDeposit(p);
        // Nor can the proof be turned into one of another sender.
        p.l2Sender = eth ? address(0x800a) : address(0x10003);
        vm.expectRevert(InvalidProof.selector);
        nullifier.finalizeDeposit(p);
        vm.expectRevert(InvalidProof.selector);
        router.finalizeWithdrawal(CHAIN, 1, 0, 3, message, p.merkleProof);
    }

    /// The base token cannot speak for the router, nor the router for the base token.
    function test_senders_cannot_swap_roles() public {
        _depositEth(CHAIN, ALICE, 10 ether);
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, address(0x10003), _ethMessage(BOB, 1 ether));
        vm.expectRevert(abi.encodeWithSelector(WrongL2Sender.selector, address(0x10003)));
        nullifier.finalizeDeposit(p);
        p = _settleMessage(CHAIN, address(0x800a), _tokenMessage(CHAIN, ethAsset, BOB, address(1), 1 ether));
        vm.expectRevert(abi.encodeWithSelector(WrongL2Sender.selector, address(0x800a)));
        nullifier.finalizeDeposit(p);
    }

    function test_malformed_messages_are_refused() public {
        _depositEth(CHAIN, ALICE, 10 ether);
        _badMessage(address(0x800a), hex"6c0960", abi.encodeWithSelector(L2WithdrawalMessageWrongLength.selector, 3));
        bytes memory short = abi.encodePacked(bytes4(0x6c0960f9), BOB, uint128(1));
        _badMessage(address(0x800a), short, abi.encodeWithSelector(L2WithdrawalMessageWrongLength.selector, 40));
        _badMessage(address(0x800a), hex"deadbeef00", abi.encodeWithSelector(InvalidSelector.selector, bytes4(0xdeadbeef)));
        short = abi.encodePacked(IAssetRouterBase.finalizeDeposit.selector, CHAIN);
        _badMessage(address(0x10003), short, abi.encodeWithSelector(L2WithdrawalMessageWrongLength.selector, 36));
        bytes memory foreign = _tokenMessage(OTHER_CHAIN, ethAsset, BOB, address(1), 1 ether);
        _badMessage(address(0x10003), foreign, abi.encodeWithSelector(WrongOriginChain.selector, CHAIN, OTHER_CHAIN));
        bytes memory unknown = _tokenMessage(CHAIN, keccak256("?"), BOB, address(1), 1 ether);
        _badMessage(address(0x10003), unknown, abi.encodeWithSelector(AssetIdNotSupported.selector, keccak256("?")));
    }

    function _badMessage(address sender, bytes memory message, bytes memory expected) private {
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, sender, message);
        assertRevert(address(nullifier), abi.encodeCall(L1Nullifier.finalizeDeposit, (p)), expected);
        assertFalse(nullifier.isWithdrawalFinalized(CHAIN, p.l2BatchNumber, 0), "not consumed");
    }

    /// However broken a chain is, it takes out what its own users put in and no more.
    function test_a_chain_cannot_take_from_another() public {
        _depositEth(OTHER_CHAIN, BOB, 100 ether);
        _depositEth(CHAIN, ALICE, 1 ether);
        uint256 own = vault.chainBalance(CHAIN, ethAsset);
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, address(0x800a), _ethMessage(BOB, own + 1));
        vm.expectRevert(abi.encodeWithSelector(InsufficientChainBalance.selector, CHAIN, ethAsset, own, own + 1));
        nullifier.finalizeDeposit(p);
        p = _settleMessage(CHAIN, address(0x800a), _ethMessage(BOB, own));
        nullifier.finalizeDeposit(p);
        assertEq(vault.chainBalance(CHAIN, ethAsset), 0, "emptied itself");
    }

    /// A proof of one chain, batch or index says nothing about another.
    function test_no_replay_across_chains_batches_or_indices() public {
        _depositEth(CHAIN, ALICE, 10 ether);
        _depositEth(OTHER_CHAIN, ALICE, 10 ether);
        bytes memory message = _ethMessage(BOB, 1 ether);
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, address(0x800a), message);
        _settle(CHAIN, 0, keccak256("another batch"));
        _settle(OTHER_CHAIN, 0, keccak256("another chain"));
        nullifier.finalizeDeposit(p);
        p.chainId = OTHER_CHAIN;
        vm.expectRevert(InvalidProof.selector);
        nullifier.finalizeDeposit(p);
        (p.chainId, p.l2BatchNumber) = (CHAIN, 2);
        vm.expectRevert(InvalidProof.selector);
        nullifier.finalizeDeposit(p);
        (p.l2BatchNumber, p.l2MessageIndex) = (1, 1);
        vm.expectRevert(InvalidProof.selector);
        nullifier.finalizeDeposit(p);
        p.l2MessageIndex = 1 << 14;
        vm.expectRevert(MerkleIndexOutOfBounds.selector);
        nullifier.finalizeDeposit(p);
        p.chainId = 99;
        vm.expectRevert(abi.encodeWithSelector(ChainIdNotRegistered.selector, 99));
        nullifier.finalizeDeposit(p);
    }

    function test_withdrawing_to_a_contract_that_reenters() public {
        Reentrant receiver = new Reentrant(nullifier);
        _depositEth(CHAIN, ALICE, 10 ether);
        FinalizeL1DepositParams memory p =
            _settleMessage(CHAIN, address(0x800a), _ethMessage(address(receiver), 1 ether));
        receiver.arm(p);
        nullifier.finalizeDeposit(p);
        assertEq(address(receiver).balance, 1 ether, "once");
        assertEq(
            keccak256(receiver.failure()),
            keccak256(abi.encodeWithSelector(bytes4(keccak256("ReentrancyGuardReentrantCall()")))),
            "guard"
        );
    }

    function test_a_receiver_that_refuses_keeps_its_claim() public {
        address refuser = address(new Refuser());
        _depositEth(CHAIN, ALICE, 10 ether);
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, address(0x800a), _ethMessage(refuser, 1 ether));
        vm.expectRevert(WithdrawFailed.selector);
        nullifier.finalizeDeposit(p);
        assertFalse(nullifier.isWithdrawalFinalized(CHAIN, 1, 0), "can be tried again");
        vm.etch(refuser, "");
        nullifier.finalizeDeposit(p);
    }

    // Failed deposits

    function _recover(bytes32 hash, address sender, bytes memory data, uint256 batch, bytes32[] memory proof)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            bytes4(0x3601e63e), CHAIN, sender, tokenAsset, data, hash, batch, uint256(0), uint16(5), proof
        );
    }

    function test_a_failed_deposit_is_given_back_once() public {
        uint256 before = token.balanceOf(ALICE);
        bytes32 hash = _depositToken(CHAIN, ALICE, 100e6);
        bytes32[] memory leaves = _leaves(_outcomeLeaf(hash, 5, false));
        _settle(CHAIN, 1, LogTree.batchRoot(leaves));
        bytes32[] memory proof = LogTree.proof(leaves, 0);
        bytes memory data = abi.encode(uint256(100e6), ALICE, address(token));
        bytes memory wrong = abi.encode(uint256(100e6 + 1), ALICE, address(token));

        (bool ok,) = address(router).call(_recover(hash, BOB, data, 1, proof));
        assertFalse(ok, "only for who deposited");
        (ok,) = address(router).call(_recover(hash, ALICE, wrong, 1, proof));
        assertFalse(ok, "only what was deposited");
        assertRevert(
            address(router),
            _recover(keccak256("?"), ALICE, data, 1, proof),
            abi.encodeWithSelector(
                DepositDoesNotExist.selector,
                keccak256(bytes.concat(bytes1(0x01), abi.encode(ALICE, tokenAsset, data))),
                bytes32(0)
            )
        );
        (ok,) = address(router).call(_recover(hash, ALICE, data, 1, proof));
        assertTrue(ok, "given back");
        assertEq(token.balanceOf(ALICE), before, "all of it");
        assertEq(vault.chainBalance(CHAIN, tokenAsset), 0, "the chain has none of it");
        (ok,) = address(router).call(_recover(hash, ALICE, data, 1, proof));
        assertFalse(ok, "once");
    }

    function test_a_deposit_that_succeeded_is_not_given_back() public {
        bytes32 hash = _depositToken(CHAIN, ALICE, 100e6);
        bytes32[] memory leaves = _leaves(_outcomeLeaf(hash, 5, true));
        _settle(CHAIN, 1, LogTree.batchRoot(leaves));
        bytes memory data = abi.encode(uint256(100e6), ALICE, address(token));
        assertRevert(
            address(router),
            _recover(hash, ALICE, data, 1, LogTree.proof(leaves, 0)),
            abi.encodeWithSelector(InvalidProof.selector)
        );
        assertTrue(
            bridgehub.proveL1ToL2TransactionStatus(CHAIN, hash, 1, 0, 5, LogTree.proof(leaves, 0), TxStatus.Success),
            "status"
        );
    }

    /// A contract on L2 that sends the same words as a message does not make a deposit fail.
    function test_a_message_cannot_pose_as_an_outcome() public {
        bytes32 hash = _depositToken(CHAIN, ALICE, 100e6);
        bytes32[] memory leaves = _leaves(_messageLeaf(address(uint160(uint256(hash))), 5, ""));
        _settle(CHAIN, 1, LogTree.batchRoot(leaves));
        bytes memory data = abi.encode(uint256(100e6), ALICE, address(token));
        assertRevert(
            address(router),
            _recover(hash, ALICE, data, 1, LogTree.proof(leaves, 0)),
            abi.encodeWithSelector(InvalidProof.selector)
        );
    }

    // Proof format

    function testFuzz_proofs(uint8 count, uint8 which, uint8 spoilt, uint256 noise) public {
        count = uint8(bound(count, 1, 40));
        which = uint8(bound(which, 0, count - 1));
        bytes32[] memory leaves = new bytes32[](count);
        L2Log[] memory logs = new L2Log[](count);
        for (uint256 i = 0; i < count; ++i) {
            logs[i] = L2Log(0, i % 2 == 0, uint16(i), address(uint160(i)), bytes32(i), keccak256(abi.encode(i)));
            leaves[i] = LogTree.leaf(logs[i]);
        }
        _settle(CHAIN, 0, LogTree.batchRoot(leaves));
        bytes32[] memory proof = LogTree.proof(leaves, which);
        assertTrue(bridgehub.proveL2LogInclusion(CHAIN, 1, which, logs[which], proof), "honest");
        assertTrue(messageRoot.proveL2LogInclusionShared(CHAIN, 1, which, logs[which], proof), "shared");

        uint256 other = uint256(which) ^ (1 << (spoilt % 14));
        assertFalse(bridgehub.proveL2LogInclusion(CHAIN, 1, other, logs[which], proof), "another index");
        bytes32 flip = bytes32(noise == 0 ? 1 : noise);
        uint256 place = bound(spoilt, 1, 15);
        proof[place] ^= flip;
        assertFalse(bridgehub.proveL2LogInclusion(CHAIN, 1, which, logs[which], proof), "a spoilt sibling");
        proof[place] ^= flip;
        logs[which].value ^= flip;
        assertFalse(bridgehub.proveL2LogInclusion(CHAIN, 1, which, logs[which], proof), "a spoilt log");
        logs[which].value ^= flip;
        proof[0] ^= flip;
        (bool ok,) =
            address(bridgehub).call(abi.encodeCall(Bridgehub.proveL2LogInclusion, (CHAIN, 1, which, logs[which], proof)));
        assertFalse(ok, "spoilt metadata");
    }

    function test_malformed_proofs() public {
        L2Log memory log = L2Log(0, true, 0, address(0x8008), 0, 0);
        bytes32[] memory leaves = _leaves(LogTree.leaf(log));
        _settle(CHAIN, 0, LogTree.batchRoot(leaves));
        bytes32[] memory good = LogTree.proof(leaves, 0);
        _badProof(log, new bytes32[](0), abi.encodeWithSelector(MerklePathEmpty.selector));
        _badProof(log, _resize(good, 1), abi.encodeWithSelector(InvalidProofLengthForFinalNode.selector));
        _badProof(log, _resize(good, 15), abi.encodeWithSelector(InvalidProofLengthForFinalNode.selector));
        _badProof(log, _resize(good, 17), abi.encodeWithSelector(InvalidProofLengthForFinalNode.selector));
        good[0] = bytes32(hex"020f0001");
        _badProof(log, good, abi.encodeWithSelector(UnsupportedProofMetadataVersion.selector, 2));
        good[0] = bytes32(hex"010e0001");
        _badProof(log, good, abi.encodeWithSelector(InvalidProofLengthForFinalNode.selector));
        good[0] = bytes32(hex"010f0101");
        _badProof(log, good, abi.encodeWithSelector(InvalidProofLengthForFinalNode.selector));
        good[0] = bytes32(hex"010f0000");
        _badProof(log, good, abi.encodeWithSelector(InvalidProofLengthForFinalNode.selector));
        good[0] = bytes32(hex"010f000100");
        good[0] |= bytes32(uint256(1));
        _badProof(log, good, abi.encodeWithSelector(InvalidProofLengthForFinalNode.selector));
        // The old form without metadata: fourteen bare siblings.
        bytes32[] memory bare = new bytes32[](14);
        _badProof(log, bare, abi.encodeWithSelector(UnsupportedProofMetadataVersion.selector, 0));
        // The padding of the tree is no log.
        good[0] = bytes32(hex"010f0001");
        _badProof(L2Log(0, false, 0, address(0), 0, 0), good, abi.encodeWithSelector(HashedLogIsDefault.selector));
    }

    function _badProof(L2Log memory log, bytes32[] memory proof, bytes memory expected) private {
        assertRevert(
            address(bridgehub), abi.encodeCall(Bridgehub.proveL2LogInclusion, (CHAIN, 1, 0, log, proof)), expected
        );
    }

    function _resize(bytes32[] memory a, uint256 n) private pure returns (bytes32[] memory out) {
        out = new bytes32[](n);
        for (uint256 i = 0; i < n && i < a.length; ++i) {
            out[i] = a[i];
        }
    }

    // Registry

    function test_only_owner_or_admin_create_chains() public {
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Unauthorized.selector, ALICE));
        bridgehub.createNewChain(_params(5, ethAsset));
        bridgehub.setPendingAdmin(BOB);
        vm.startPrank(BOB);
        bridgehub.acceptAdmin();
        bridgehub.createNewChain(_params(5, ethAsset));
        vm.expectRevert(abi.encodeWithSelector(ChainAlreadyRegistered.selector, 5));
        bridgehub.createNewChain(_params(5, ethAsset));
        vm.expectRevert(ZeroChainId.selector);
        bridgehub.createNewChain(_params(0, ethAsset));
        vm.expectRevert(ChainIdTooBig.selector);
        bridgehub.createNewChain(_params(1 << 48, ethAsset));
        uint256 here = block.chainid;
        vm.expectRevert(ChainIdCantBeCurrentChain.selector);
        bridgehub.createNewChain(_params(here, ethAsset));
        vm.expectRevert(abi.encodeWithSelector(AssetIdNotSupported.selector, keccak256("?")));
        bridgehub.createNewChain(_params(6, keccak256("?")));
        vm.stopPrank();
        assertEq(bridgehub.getAllZKChainChainIDs().length, 3, "chains");
        assertEq(bridgehub.getAllZKChains()[2], bridgehub.getHyperchain(5), "registry");
        assertEq(bridgehub.baseToken(5), address(1), "base token");
        assertEq(bridgehub.settlementLayer(5), block.chainid, "settles here");
    }
}
