// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IL2AssetRouter} from "../src/interfaces/IL2Bridge.sol";
import {IAccountCodeStorage, IBaseToken, IContractDeployer, IL1Messenger} from "../src/interfaces/IL2System.sol";
import {IL2NativeTokenVault} from "../src/interfaces/INativeTokenVault.sol";
import {ContractDeployer} from "../src/l2/ContractDeployer.sol";
import {InteropRootStorage} from "../src/l2/InteropRootStorage.sol";
import {L2BaseToken} from "../src/l2/L2BaseToken.sol";
import {MessageVerification} from "../src/l2/MessageVerification.sol";
import {Multicall3} from "../src/l2/Multicall3.sol";
import {WETH9} from "../src/l2/WETH9.sol";
import "./utils/Fixture.sol";

interface IDecimals {
    function bridgeMint(address account, uint256 amount) external;
    function bridgeBurn(address account, uint256 amount) external;
    function initialize(bytes32, address, string calldata, string calldata, uint8) external;
}

/// @dev The predeploys from the committed artifacts, at their addresses, with genesis storage; both layers share one EVM here.
contract L2Test is Fixture {
    IL2AssetRouter private constant L2_ROUTER = IL2AssetRouter(address(0x10003));
    IL2NativeTokenVault private constant L2_VAULT = IL2NativeTokenVault(address(0x10004));
    L2BaseToken private constant BASE = L2BaseToken(address(0x800a));

    function setUp() public override {
        super.setUp();
        string memory list = vm.readFile("artifacts/predeploys.json");
        for (uint256 i = 0; i < 13; ++i) {
            string memory entry = string.concat("[", vm.toString(i), "]");
            address at_ = vm.parseJsonAddress(list, string.concat("$", entry, ".address"));
            vm.etch(at_, _runtime(vm.parseJsonString(list, string.concat("$", entry, ".name"))));
        }
        vm.store(address(L2_ROUTER), 0, bytes32(uint256(uint160(address(router)))));
        vm.store(address(L2_VAULT), 0, bytes32(block.chainid));
        vm.store(address(L2_VAULT), bytes32(uint256(1)), ethAsset);
    }

    function _runtime(string memory name) private view returns (bytes memory) {
        string memory artifact = vm.readFile(string.concat("artifacts/", name, ".json"));
        return vm.parseJsonBytes(artifact, ".deployedBytecode");
    }

    function _alias() private view returns (address) {
        return address(uint160(address(router)) + uint160(0x1111000000000000000000000000000000001111));
    }

    function _mintData(address receiver, uint256 amount) private view returns (bytes memory) {
        bytes memory metadata = vault.getERC20Getters(address(token), block.chainid);
        return abi.encode(ALICE, receiver, address(token), amount, metadata);
    }

    function _arrive(address receiver, uint256 amount) private returns (IERC20Metadata) {
        bytes memory call =
            router.getDepositCalldata(ALICE, tokenAsset, abi.encode(amount, receiver, address(token)));
        vm.prank(_alias());
        (bool ok,) = address(L2_ROUTER).call(call);
        assertTrue(ok, "arrives");
        return IERC20Metadata(L2_VAULT.tokenAddress(tokenAsset));
    }

    // Discovery

    function test_what_clients_look_up() public {
        assertEq(L2_ROUTER.L1_ASSET_ROUTER(), address(router), "router");
        assertEq(L2_ROUTER.l1SharedBridge(), address(router), "shared bridge");
        assertEq(L2_ROUTER.l1Bridge(), address(router), "bridge");
        assertEq(L2_ROUTER.L1_CHAIN_ID(), block.chainid, "chain");
        assertEq(L2_VAULT.BASE_TOKEN_ASSET_ID(), ethAsset, "base token");
        assertEq(L2_VAULT.originChainId(ethAsset), block.chainid, "origin of the base token");
        address expected = L2_ROUTER.l2TokenAddress(address(token));
        assertEq(L2_VAULT.tokenAddress(tokenAsset), address(0), "not yet");
        assertEq(L2_ROUTER.l1TokenAddress(expected), address(0), "not yet");
        IERC20Metadata l2 = _arrive(BOB, 1);
        assertEq(address(l2), expected, "the address was known before");
        assertEq(L2_ROUTER.l2TokenAddress(address(token)), expected, "and stays");
        assertEq(L2_ROUTER.l1TokenAddress(expected), address(token), "back");
        assertEq(L2_VAULT.assetId(expected), tokenAsset, "asset id");
        assertEq(L2_VAULT.originChainId(tokenAsset), block.chainid, "origin");
    }

    // Deposits

    /// The calldata that L1 queues is what L2 executes.
    function test_a_deposit_from_l1_arrives() public {
        vm.recordLogs();
        _depositToken(CHAIN, ALICE, 42e6);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IZKChain.NewPriorityRequest.selector) continue;
            (,,, L2CanonicalTransaction memory t,) =
                abi.decode(logs[i].data, (uint256, bytes32, uint64, L2CanonicalTransaction, bytes[]));
            vm.prank(address(uint160(t.from)));
            (bool ok,) = address(uint160(t.to)).call(t.data);
            assertTrue(ok, "executes");
        }
        IERC20Metadata l2 = IERC20Metadata(L2_VAULT.tokenAddress(tokenAsset));
        assertEq(l2.balanceOf(ALICE), 42e6, "balance");
        assertEq(l2.totalSupply(), 42e6, "supply");
        assertEq(l2.name(), "Test", "name");
        assertEq(l2.symbol(), "TST", "symbol");
        assertEq(l2.decimals(), 6, "decimals");
    }

    function test_the_older_form_for_estimates() public {
        bytes memory data = abi.encode(abi.encode("Test"), abi.encode("TST"), abi.encode(uint256(6)));
        vm.prank(_alias());
        L2_ROUTER.finalizeDeposit(ALICE, BOB, address(token), 5, data);
        assertEq(IERC20Metadata(L2_VAULT.tokenAddress(tokenAsset)).balanceOf(BOB), 5, "balance");
    }

    function testFuzz_only_the_aliased_router_brings_assets(address caller) public {
        vm.assume(caller != _alias());
        bytes memory data = _mintData(BOB, 1);
        bytes memory denied = abi.encodeWithSelector(Unauthorized.selector, caller);
        vm.startPrank(caller);
        assertRevert(
            address(L2_ROUTER),
            abi.encodeWithSelector(IAssetRouterBase.finalizeDeposit.selector, block.chainid, tokenAsset, data),
            denied
        );
        if (caller != address(L2_ROUTER)) {
            assertRevert(
                address(L2_VAULT), abi.encodeCall(L2_VAULT.bridgeMint, (block.chainid, tokenAsset, data)), denied
            );
        }
        vm.stopPrank();
    }

    function test_wrong_origin_and_asset_are_refused() public {
        bytes memory data = _mintData(BOB, 1);
        vm.startPrank(_alias());
        vm.expectRevert(abi.encodeWithSelector(WrongOriginChain.selector, block.chainid, 5));
        IAssetRouterBase(address(L2_ROUTER)).finalizeDeposit(5, tokenAsset, data);
        vm.expectRevert(abi.encodeWithSelector(AssetIdMismatch.selector, tokenAsset, keccak256("?")));
        IAssetRouterBase(address(L2_ROUTER)).finalizeDeposit(block.chainid, keccak256("?"), data);
        vm.stopPrank();
    }

    function test_only_the_vault_mints_and_burns() public {
        address l2 = address(_arrive(BOB, 5));
        bytes memory denied = abi.encodeWithSelector(Unauthorized.selector, address(this));
        assertRevert(l2, abi.encodeCall(IDecimals.bridgeMint, (BOB, 1)), denied);
        assertRevert(l2, abi.encodeCall(IDecimals.bridgeBurn, (BOB, 1)), denied);
        assertRevert(l2, abi.encodeCall(IDecimals.initialize, (0, BOB, "", "", 0)), denied);
        assertRevert(address(0x10006), abi.encodeCall(IDecimals.initialize, (0, BOB, "", "", 0)), denied);
    }

    // Withdrawals: the message that L2 sends is the one that L1 pays

    function _lastMessage(Vm.Log[] memory logs) private pure returns (address sender, bytes memory message) {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IL1Messenger.L1MessageSent.selector) continue;
            require(logs[i].emitter == address(0x8008), "emitter");
            sender = address(uint160(uint256(logs[i].topics[1])));
            message = abi.decode(logs[i].data, (bytes));
            require(logs[i].topics[2] == keccak256(message), "hash");
        }
    }

    function test_token_withdrawal_round_trip() public {
        _depositToken(CHAIN, ALICE, 50e6);
        IERC20Metadata l2 = _arrive(ALICE, 50e6);
        vm.recordLogs();
        vm.chainId(CHAIN);
        vm.prank(ALICE);
        L2_ROUTER.withdraw(BOB, address(l2), 20e6);
        vm.chainId(31337);
        assertEq(l2.totalSupply(), 30e6, "burned");
        (address sender, bytes memory message) = _lastMessage(vm.getRecordedLogs());
        assertEq(sender, address(0x10003), "sender");
        FinalizeL1DepositParams memory p = _settleMessage(CHAIN, sender, message);
        uint256 before = token.balanceOf(BOB);
        nullifier.finalizeDeposit(p);
        assertEq(token.balanceOf(BOB), before + 20e6, "paid");

        vm.chainId(CHAIN);
        vm.prank(ALICE);
        bytes32 hash = L2_ROUTER.withdraw(tokenAsset, abi.encode(uint256(30e6), BOB, address(l2)));
        vm.chainId(31337);
        assertNotEq(hash, 0, "message hash");
        assertEq(l2.totalSupply(), 0, "all burned");
    }

    function test_bad_token_withdrawals_are_refused() public {
        IERC20Metadata l2 = _arrive(ALICE, 50e6);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(TokenNotSupported.selector, address(token)));
        L2_ROUTER.withdraw(BOB, address(token), 1);
        vm.expectRevert(AmountMustBeGreaterThanZero.selector);
        L2_ROUTER.withdraw(BOB, address(l2), 0);
        vm.expectRevert(ZeroAddress.selector);
        L2_ROUTER.withdraw(address(0), address(l2), 1);
        vm.expectRevert(abi.encodeWithSelector(AssetIdNotSupported.selector, ethAsset));
        L2_ROUTER.withdraw(ethAsset, abi.encode(uint256(1), BOB, address(0x800a)));
        vm.expectRevert();
        L2_ROUTER.withdraw(BOB, address(l2), 50e6 + 1);
        vm.expectRevert(abi.encodeWithSelector(TokenNotSupported.selector, BOB));
        L2_ROUTER.withdraw(tokenAsset, abi.encode(uint256(1), BOB, BOB));
        vm.stopPrank();
    }

    function test_base_token_withdrawal_round_trip() public {
        _depositEth(CHAIN, ALICE, 10 ether);
        vm.recordLogs();
        vm.prank(ALICE);
        BASE.withdraw{value: 3 ether}(BOB);
        (address sender, bytes memory message) = _lastMessage(vm.getRecordedLogs());
        assertEq(sender, address(0x800a), "sender");
        assertEq(keccak256(message), keccak256(_ethMessage(BOB, 3 ether)), "message");
        uint256 before = BOB.balance;
        nullifier.finalizeDeposit(_settleMessage(CHAIN, sender, message));
        assertEq(BOB.balance, before + 3 ether, "paid");

        vm.recordLogs();
        vm.prank(ALICE);
        BASE.withdrawWithMessage{value: 1 ether}(BOB, "hello");
        (sender, message) = _lastMessage(vm.getRecordedLogs());
        assertEq(
            keccak256(message), keccak256(abi.encodePacked(_ethMessage(BOB, 1 ether), ALICE, "hello")), "with a note"
        );
        nullifier.finalizeDeposit(_settleMessage(CHAIN, sender, message));
        assertEq(BOB.balance, before + 4 ether, "paid");
        vm.startPrank(ALICE);
        vm.expectRevert(L2BaseToken.ZeroWithdrawal.selector);
        BASE.withdraw(BOB);
        vm.expectRevert(L2BaseToken.ZeroReceiver.selector);
        BASE.withdraw{value: 1}(address(0));
        vm.stopPrank();
    }

    /// Nobody but the bridge contracts can make a message that pays, since the messenger names its caller.
    function test_the_messenger_names_its_caller() public {
        bytes memory message = _ethMessage(BOB, 1 ether);
        vm.expectEmit(address(0x8008));
        emit IL1Messenger.L1MessageSent(ALICE, keccak256(message), message);
        vm.prank(ALICE);
        assertEq(IL1Messenger(address(0x8008)).sendToL1(message), keccak256(message), "hash");
    }

    // The rest

    function test_base_token_reads() public {
        assertEq(BASE.balanceOf(uint256(uint160(ALICE))), ALICE.balance, "balance");
        assertEq(BASE.name(), "Ether", "name");
        assertEq(BASE.symbol(), "ETH", "symbol");
        vm.store(address(BASE), 0, bytes32(bytes("Zig")) | bytes32(uint256(6)));
        assertEq(BASE.name(), "Zig", "name written at genesis");
        vm.store(address(BASE), bytes32(uint256(2)), bytes32(uint256(5 ether)));
        assertEq(BASE.totalSupply(), 5 ether, "supply, which the chain writes");
    }

    function test_account_info() public {
        IContractDeployer deployer = IContractDeployer(address(0x8006));
        vm.etch(BOB, abi.encodePacked(hex"ef0100", address(0xdead)));
        assertEq(uint256(deployer.getAccountInfo(ALICE).supportedAAVersion), 1, "a plain account");
        assertEq(uint256(deployer.getAccountInfo(BOB).supportedAAVersion), 1, "a delegated account");
        assertEq(uint256(deployer.getAccountInfo(address(token)).supportedAAVersion), 0, "a contract");
        vm.startPrank(address(token));
        deployer.updateAccountVersion(IContractDeployer.AccountAbstractionVersion.Version1);
        deployer.updateNonceOrdering(IContractDeployer.AccountNonceOrdering.Arbitrary);
        vm.stopPrank();
        assertEq(uint256(deployer.getAccountInfo(address(token)).supportedAAVersion), 1, "a smart account");
        assertEq(uint256(deployer.getAccountInfo(address(token)).nonceOrdering), 1, "its ordering");
        vm.expectRevert(abi.encodeWithSelector(ContractDeployer.EraVMBytecodeNotSupported.selector, keccak256("code")));
        deployer.create2(0, keccak256("code"), "");
    }

    function test_code_storage() public view {
        IAccountCodeStorage codes = IAccountCodeStorage(address(0x8002));
        assertEq(codes.getRawCodeHash(address(token)), address(token).codehash, "hash");
        assertEq(codes.getRawCodeHash(ALICE), 0, "none");
        assertEq(codes.getCodeSize(uint256(uint160(address(token)))), address(token).code.length, "size");
    }

    function test_create2_deployer() public {
        address deployer = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
        bytes memory init = hex"600160005360016000f3";
        bytes32 salt = keccak256("salt");
        (bool ok, bytes memory out) = deployer.call(bytes.concat(salt, init));
        assertTrue(ok, "deploys");
        address expected =
            address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", deployer, salt, keccak256(init))))));
        assertEq(address(bytes20(out)), expected, "address");
        assertEq(expected.code.length, 1, "code");
    }

    function test_multicall() public {
        Multicall3 multicall = Multicall3(0xcA11bde05977b3631167028862bE2a173976CA11);
        Multicall3.Call3[] memory calls = new Multicall3.Call3[](2);
        calls[0] = Multicall3.Call3(address(token), false, abi.encodeCall(IERC20Metadata.decimals, ()));
        calls[1] = Multicall3.Call3(address(token), true, hex"deadbeef");
        Multicall3.Result[] memory results = multicall.aggregate3(calls);
        assertEq(abi.decode(results[0].returnData, (uint256)), 6, "first");
        assertFalse(results[1].success, "second");
        calls[1].allowFailure = false;
        vm.expectRevert(bytes("Multicall3: call failed"));
        multicall.aggregate3(calls);
        Multicall3.Call3Value[] memory values = new Multicall3.Call3Value[](1);
        values[0] = Multicall3.Call3Value(address(uint160(0xbeef)), false, 2, "");
        vm.deal(address(this), 10);
        vm.expectRevert(bytes("Multicall3: value mismatch"));
        multicall.aggregate3Value{value: 3}(values);
        multicall.aggregate3Value{value: 2}(values);
        assertEq(multicall.getEthBalance(address(uint160(0xbeef))), 2, "sent");
    }

    function test_weth() public {
        WETH9 weth = WETH9(payable(0x4200000000000000000000000000000000000006));
        vm.startPrank(ALICE);
        weth.deposit{value: 5}();
        (bool ok,) = address(weth).call{value: 2}("");
        assertTrue(ok, "plain transfer");
        weth.approve(BOB, 3);
        vm.stopPrank();
        vm.startPrank(BOB);
        weth.transferFrom(ALICE, BOB, 3);
        vm.expectRevert(abi.encodeWithSelector(WETH9.InsufficientAllowance.selector, 0, 1));
        weth.transferFrom(ALICE, BOB, 1);
        uint256 before = BOB.balance;
        weth.withdraw(3);
        assertEq(BOB.balance, before + 3, "unwrapped");
        vm.expectRevert(abi.encodeWithSelector(WETH9.InsufficientBalance.selector, 0, 1));
        weth.withdraw(1);
        vm.stopPrank();
        assertEq(weth.totalSupply(), 4, "supply");
    }

    function test_messages_of_other_chains() public {
        InteropRootStorage roots = InteropRootStorage(address(0x10008));
        MessageVerification verification = MessageVerification(address(0x10009));
        bytes memory message = "hello";
        bytes32[] memory leaves = _leaves(_messageLeaf(ALICE, 3, message));
        bytes32[] memory sides = new bytes32[](1);
        sides[0] = LogTree.batchRoot(leaves);
        vm.expectRevert(InteropRootStorage.CallerMustBeBootloader.selector);
        roots.addInteropRoot(OTHER_CHAIN, 7, sides);
        vm.startPrank(address(0x8001));
        roots.addInteropRoot(OTHER_CHAIN, 7, sides);
        vm.expectRevert(InteropRootStorage.InteropRootAlreadyExists.selector);
        roots.addInteropRoot(OTHER_CHAIN, 7, sides);
        vm.stopPrank();
        L2Message memory m = L2Message(3, ALICE, message);
        bytes32[] memory proof = LogTree.proof(leaves, 0);
        assertTrue(verification.proveL2MessageInclusionShared(OTHER_CHAIN, 7, 0, m, proof), "known");
        m.sender = BOB;
        assertFalse(verification.proveL2MessageInclusionShared(OTHER_CHAIN, 7, 0, m, proof), "another sender");
        vm.expectRevert(LocalRootIsZero.selector);
        verification.proveL2MessageInclusionShared(OTHER_CHAIN, 8, 0, m, proof);
    }
}
