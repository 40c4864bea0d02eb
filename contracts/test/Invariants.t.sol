// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./utils/Fixture.sol";

/// @dev Two chains and whatever anybody does. `CHAIN` is honest: its messages never claim more than its users have. `OTHER_CHAIN` lies at will.
contract Handler is Fixture {
    struct Deposit {
        uint256 chainId;
        bytes32 hash;
        uint256 amount;
        bool failed;
        bool returned;
        uint256 batch;
        bytes32[] leaves;
    }

    struct Message {
        FinalizeL1DepositParams params;
        bool eth;
        uint256 amount;
        bool paid;
    }

    Deposit[] private _deposits;
    Message[] private _messages;

    /// @dev What users of the honest chain own on L2, and what left it in messages not yet paid.
    uint256 public ethOnL2;
    uint256 public tokenOnL2;
    uint256 public ethLeaving;
    uint256 public tokenLeaving;

    uint256 public paidTwice;
    uint256 public returnedTwice;
    uint256 public settledWithoutRole;
    uint256 public executedUnproven;
    uint256 public executedOutOfOrder;
    mapping(uint256 chainId => uint256) public executed;

    uint256 public payments;
    uint256 public returns_;
    uint256 public refusedLies;

    function vaultOf() external view returns (L1NativeTokenVault) {
        return vault;
    }

    function tokenOf() external view returns (TestERC20) {
        return token;
    }

    function assets() external view returns (bytes32, bytes32) {
        return (ethAsset, tokenAsset);
    }

    function chainAt(uint256 chainId) external view returns (IZKChain) {
        return _chainOf(chainId);
    }

    // What users do

    function depositEth(bool other, uint96 amount) external {
        uint256 chainId = other ? OTHER_CHAIN : CHAIN;
        uint256 before = vault.chainBalance(chainId, ethAsset);
        _depositEth(chainId, ALICE, bound(amount, 1, 100 ether));
        // All that L1 locked is minted on L2: the fee goes to the operator there.
        if (!other) ethOnL2 += vault.chainBalance(chainId, ethAsset) - before;
    }

    function depositToken(bool other, uint96 amount, bool fails) external {
        uint256 chainId = other ? OTHER_CHAIN : CHAIN;
        uint256 value = bound(amount, 1, 1000e6);
        uint256 before = vault.chainBalance(chainId, ethAsset);
        bytes32 hash = _depositToken(chainId, ALICE, value);
        Deposit storage d = _deposits.push();
        (d.chainId, d.hash, d.amount, d.failed) = (chainId, hash, value, fails);
        if (other) return;
        ethOnL2 += vault.chainBalance(chainId, ethAsset) - before;
        if (!fails) tokenOnL2 += value;
    }

    /// @dev Settles the queue with the outcome of one token deposit in the log.
    function settleDeposit(uint256 which) external {
        if (_deposits.length == 0) return;
        Deposit storage d = _deposits[which % _deposits.length];
        if (d.batch != 0) return;
        d.leaves = _leaves(_outcomeLeaf(d.hash, 5, !d.failed));
        d.batch = _run(d.chainId, LogTree.batchRoot(d.leaves));
    }

    function withdraw(bool eth, uint96 amount) external {
        uint256 available = eth ? ethOnL2 : tokenOnL2;
        if (available == 0) return;
        uint256 value = bound(amount, 1, available);
        if (eth) (ethOnL2, ethLeaving) = (ethOnL2 - value, ethLeaving + value);
        else (tokenOnL2, tokenLeaving) = (tokenOnL2 - value, tokenLeaving + value);
        _send(CHAIN, eth, value);
    }

    // What a broken chain does

    function lie(bool eth, uint128 amount) external {
        _send(OTHER_CHAIN, eth, bound(amount, 1, type(uint128).max));
    }

    // What anyone does

    function finalize(uint256 which) external {
        if (_messages.length == 0) return;
        Message storage m = _messages[which % _messages.length];
        bool paid = m.paid;
        (bool ok,) = address(nullifier).call(abi.encodeCall(L1Nullifier.finalizeDeposit, (m.params)));
        if (ok && paid) ++paidTwice;
        if (!ok && m.params.chainId == OTHER_CHAIN) ++refusedLies;
        if (!ok) return;
        m.paid = true;
        ++payments;
        if (m.params.chainId == OTHER_CHAIN) return;
        if (m.eth) ethLeaving -= m.amount;
        else tokenLeaving -= m.amount;
    }

    function claim(uint256 which) external {
        if (_deposits.length == 0) return;
        Deposit storage d = _deposits[which % _deposits.length];
        if (d.batch == 0) return;
        bytes memory call = abi.encodeWithSelector(
            bytes4(0x3601e63e),
            d.chainId,
            ALICE,
            tokenAsset,
            abi.encode(d.amount, ALICE, address(token)),
            d.hash,
            d.batch,
            uint256(0),
            uint16(5),
            LogTree.proof(d.leaves, 0)
        );
        (bool ok,) = address(router).call(call);
        if (ok && (d.returned || !d.failed)) ++returnedTwice;
        if (!ok) return;
        d.returned = true;
        ++returns_;
    }

    function settleWithoutRole(address caller, uint8 stage) external {
        if (caller == VALIDATOR) return;
        StoredBatchInfo memory prev = last[CHAIN];
        bytes memory call;
        if (stage % 3 == 0) call = abi.encodeCall(IZKChain.commitBatches, (prev, _one(_batch(CHAIN, 0, keccak256("x")))));
        else if (stage % 3 == 1) call = abi.encodeCall(IZKChain.proveBatches, (prev, _one(prev), ""));
        else call = abi.encodeCall(IZKChain.executeBatches, (_one(prev)));
        vm.prank(caller);
        (bool ok,) = address(chain).call(call);
        if (ok) ++settledWithoutRole;
    }

    /// @dev Executes before the proof, or a batch that is not next.
    function executeEarly(bool skip) external {
        StoredBatchInfo memory prev = last[CHAIN];
        StoredBatchInfo memory a = _commit(CHAIN, _batch(CHAIN, 0, keccak256("a")));
        StoredBatchInfo memory b = _commit(CHAIN, _batch(CHAIN, 0, keccak256("b")));
        if (skip) {
            _prove(CHAIN, prev, a);
            _prove(CHAIN, a, b);
        }
        vm.prank(VALIDATOR);
        (bool ok,) = address(chain).call(abi.encodeCall(IZKChain.executeBatches, (_one(skip ? b : a))));
        if (ok && skip) ++executedOutOfOrder;
        if (ok && !skip) ++executedUnproven;
        vm.prank(ADMIN);
        chain.revertBatches(prev.batchNumber);
        last[CHAIN] = prev;
    }

    function _send(uint256 chainId, bool eth, uint256 amount) private {
        address sender = eth ? address(0x800a) : address(0x10003);
        bytes memory data =
            eth ? _ethMessage(BOB, amount) : _tokenMessage(chainId, tokenAsset, BOB, address(token), amount);
        bytes32[] memory leaves = _leaves(_messageLeaf(sender, 3, data));
        uint256 batch = _run(chainId, LogTree.batchRoot(leaves));
        Message storage m = _messages.push();
        m.params = _withdrawal(chainId, batch, sender, data, leaves, 0);
        (m.eth, m.amount) = (eth, amount);
    }

    function _run(uint256 chainId, bytes32 root) private returns (uint256) {
        // Batches carry two seconds each; L1's clock keeps up.
        vm.warp(block.timestamp + 12);
        uint256 queued = _chainOf(chainId).getPriorityQueueSize();
        StoredBatchInfo memory b = _settle(chainId, uint64(queued), root);
        ++executed[chainId];
        return b.batchNumber;
    }
}

/// forge-config: default.invariant.fail-on-revert = true
contract InvariantsTest is Test {
    Handler private handler;

    function setUp() public {
        handler = new Handler();
        handler.setUp();
        bytes4[] memory selectors = new bytes4[](9);
        selectors[0] = Handler.depositEth.selector;
        selectors[1] = Handler.depositToken.selector;
        selectors[2] = Handler.settleDeposit.selector;
        selectors[3] = Handler.withdraw.selector;
        selectors[4] = Handler.lie.selector;
        selectors[5] = Handler.finalize.selector;
        selectors[6] = Handler.claim.selector;
        selectors[7] = Handler.settleWithoutRole.selector;
        selectors[8] = Handler.executeEarly.selector;
        targetContract(address(handler));
        targetSelectors(FuzzSelector(address(handler), selectors));
    }

    function _balances(bytes32 asset) private view returns (uint256 honest, uint256 other) {
        L1NativeTokenVault vault = handler.vaultOf();
        return (vault.chainBalance(2711, asset), vault.chainBalance(2712, asset));
    }

    /// What the vault holds is exactly what the chains may take out.
    function invariant_the_vault_holds_what_it_owes() public view {
        (bytes32 eth, bytes32 token) = handler.assets();
        (uint256 a, uint256 b) = _balances(eth);
        assertEq(address(handler.vaultOf()).balance, a + b, "ETH");
        (a, b) = _balances(token);
        assertEq(handler.tokenOf().balanceOf(address(handler.vaultOf())), a + b, "token");
    }

    /// Locked >= withdrawable, for the honest chain, whatever the other one does.
    function invariant_users_of_an_honest_chain_are_covered() public view {
        (bytes32 eth, bytes32 token) = handler.assets();
        (uint256 a,) = _balances(eth);
        assertTrue(a >= handler.ethOnL2() + handler.ethLeaving(), "ETH");
        (a,) = _balances(token);
        assertTrue(a >= handler.tokenOnL2() + handler.tokenLeaving(), "token");
    }

    function invariant_nothing_is_paid_or_returned_twice() public view {
        assertEq(handler.paidTwice(), 0, "messages");
        assertEq(handler.returnedTwice(), 0, "deposits");
    }

    function invariant_batches_execute_in_order_and_proven() public view {
        assertEq(handler.executedUnproven(), 0, "unproven");
        assertEq(handler.executedOutOfOrder(), 0, "out of order");
        assertEq(handler.settledWithoutRole(), 0, "without the role");
        for (uint256 chainId = 2711; chainId <= 2712; ++chainId) {
            IZKChain chain = handler.chainAt(chainId);
            assertEq(chain.getTotalBatchesExecuted(), handler.executed(chainId), "executed");
            assertTrue(chain.getTotalBatchesExecuted() <= chain.getTotalBatchesVerified(), "proven first");
            assertTrue(chain.getTotalBatchesVerified() <= chain.getTotalBatchesCommitted(), "committed first");
        }
    }

    /// A fixed walk that reaches every outcome, so that the invariants above are about something.
    function test_the_walk_reaches_payments_returns_and_lies() public {
        handler.depositEth(false, 5 ether);
        handler.depositEth(true, 5 ether);
        handler.depositToken(false, 10e6, false);
        handler.depositToken(false, 10e6, true);
        handler.settleDeposit(0);
        handler.settleDeposit(1);
        handler.claim(0);
        handler.claim(1);
        handler.claim(1);
        handler.withdraw(true, 1 ether);
        handler.withdraw(false, 4e6);
        handler.lie(true, 1e30);
        for (uint256 i = 0; i < 3; ++i) {
            handler.finalize(i);
            handler.finalize(i);
        }
        handler.executeEarly(false);
        handler.executeEarly(true);
        handler.settleWithoutRole(address(this), 0);
        assertEq(handler.payments(), 2, "payments");
        assertEq(handler.returns_(), 1, "returns");
        assertEq(handler.refusedLies(), 2, "lies");
        invariant_the_vault_holds_what_it_owes();
        invariant_users_of_an_honest_chain_are_covered();
        invariant_nothing_is_paid_or_returned_twice();
        invariant_batches_execute_in_order_and_proven();
    }
}
