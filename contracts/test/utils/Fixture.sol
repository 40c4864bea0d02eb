// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {TestERC20} from "../../src/examples/TestERC20.sol";
import {IBridgehub} from "../../src/interfaces/IBridgehub.sol";
import {IL1AssetRouter, IAssetRouterBase} from "../../src/interfaces/IAssetRouter.sol";
import {IL1Nullifier} from "../../src/interfaces/IL1Nullifier.sol";
import {IZKChain} from "../../src/interfaces/IZKChain.sol";
import {IL1NativeTokenVault} from "../../src/interfaces/INativeTokenVault.sol";
import "../../src/interfaces/Types.sol";
import "../../src/interfaces/Errors.sol";
import {AttestationVerifier} from "../../src/l1/AttestationVerifier.sol";
import {Bridgehub} from "../../src/l1/Bridgehub.sol";
import {L1AssetRouter} from "../../src/l1/L1AssetRouter.sol";
import {L1NativeTokenVault} from "../../src/l1/L1NativeTokenVault.sol";
import {L1Nullifier} from "../../src/l1/L1Nullifier.sol";
import {MessageRoot} from "../../src/l1/MessageRoot.sol";
import {RollupDAValidator} from "../../src/l1/RollupDAValidator.sol";
import {ZKChain} from "../../src/l1/ZKChain.sol";
import {LogTree} from "./LogTree.sol";
import {Test, Vm} from "./Test.sol";

/// @dev The whole system as DEPLOY.md deploys it, two chains on it, and an operator that settles batches.
abstract contract Fixture is Test {
    uint256 internal constant CHAIN = 2711;
    uint256 internal constant OTHER_CHAIN = 2712;
    uint256 internal constant ATTESTER_KEY = 0xa77e57;
    bytes32 internal constant PROGRAM = keccak256("program");
    bytes32 internal constant GENESIS_ROOT = keccak256("genesis state");
    bytes32 internal constant GENESIS_BLOCK = keccak256("genesis block");
    uint64 internal constant GENESIS_TIME = 1_800_000_000;
    uint64 internal constant BASE_FEE = 100_000_000;
    uint64 internal constant GAS_PER_PUBDATA = 100;

    address internal constant ADMIN = address(uint160(uint256(keccak256("chain admin"))));
    address internal constant VALIDATOR = address(uint160(uint256(keccak256("validator"))));
    address internal constant OPERATOR = address(uint160(uint256(keccak256("fee recipient"))));
    address internal constant ALICE = address(uint160(uint256(keccak256("alice"))));
    address internal constant BOB = address(uint160(uint256(keccak256("bob"))));

    TimelockController internal timelock;
    Bridgehub internal bridgehub;
    L1Nullifier internal nullifier;
    L1AssetRouter internal router;
    L1NativeTokenVault internal vault;
    MessageRoot internal messageRoot;
    AttestationVerifier internal verifier;
    RollupDAValidator internal da;
    IZKChain internal chain;
    IZKChain internal otherChain;
    TestERC20 internal token;
    bytes32 internal ethAsset;
    bytes32 internal tokenAsset;

    /// @dev Last committed batch of each chain.
    mapping(uint256 chainId => StoredBatchInfo) internal last;

    function setUp() public virtual {
        vm.warp(GENESIS_TIME + 1000);
        vm.txGasPrice(1 gwei);
        _deploy();
        chain = IZKChain(_createChain(CHAIN, ethAsset));
        otherChain = IZKChain(_createChain(OTHER_CHAIN, ethAsset));
        _handOver();
        vm.deal(ALICE, 1_000_000 ether);
        vm.deal(BOB, 1_000_000 ether);
        token.mint(ALICE, 1_000_000 ether);
        token.mint(BOB, 1_000_000 ether);
    }

    function _deploy() internal {
        address[] memory governors = new address[](1);
        governors[0] = address(this);
        timelock = new TimelockController(1 days, governors, governors, address(0));
        da = new RollupDAValidator();
        address[] memory attesters = new address[](1);
        attesters[0] = vm.addr(ATTESTER_KEY);
        verifier = new AttestationVerifier(address(this), attesters, 1);

        bridgehub = Bridgehub(
            _proxy(address(new Bridgehub()), abi.encodeCall(Bridgehub.initialize, (address(this), address(this))))
        );
        nullifier = L1Nullifier(
            _proxy(address(new L1Nullifier()), abi.encodeCall(L1Nullifier.initialize, (address(this), bridgehub)))
        );
        messageRoot = MessageRoot(
            _proxy(address(new MessageRoot()), abi.encodeCall(MessageRoot.initialize, (address(this), bridgehub)))
        );
        router = L1AssetRouter(
            _proxy(
                address(new L1AssetRouter()),
                abi.encodeCall(L1AssetRouter.initialize, (address(this), bridgehub, nullifier))
            )
        );
        vault = L1NativeTokenVault(
            _proxy(
                address(new L1NativeTokenVault()),
                abi.encodeCall(L1NativeTokenVault.initialize, (address(this), router))
            )
        );
        nullifier.setL1AssetRouter(address(router));
        router.setNativeTokenVault(vault);
        bridgehub.setAddresses(address(router), address(messageRoot), address(new ZKChain()));

        token = new TestERC20("Test", "TST", 6);
        ethAsset = vault.assetId(address(1));
        tokenAsset = vault.ensureTokenIsRegistered(address(token));
    }

    function _handOver() internal {
        bridgehub.transferOwnership(address(timelock));
        nullifier.transferOwnership(address(timelock));
        messageRoot.transferOwnership(address(timelock));
        router.transferOwnership(address(timelock));
        vault.transferOwnership(address(timelock));
        verifier.transferOwnership(address(timelock));
    }

    function _proxy(address implementation, bytes memory init) internal returns (address) {
        return address(new ERC1967Proxy(implementation, init));
    }

    function _params(uint256 chainId, bytes32 baseAsset) internal view returns (NewChainParams memory) {
        return NewChainParams({
            chainId: chainId,
            baseTokenAssetId: baseAsset,
            admin: ADMIN,
            validator: VALIDATOR,
            verifier: address(verifier),
            daValidator: address(da),
            daPolicy: 0,
            protocolVersion: 1,
            programId: PROGRAM,
            baseFee: BASE_FEE,
            gasPerPubdata: GAS_PER_PUBDATA,
            genesisStateRoot: GENESIS_ROOT,
            genesisLeafCount: 2,
            genesisBlockHash: GENESIS_BLOCK,
            genesisTimestamp: GENESIS_TIME
        });
    }

    function _createChain(uint256 chainId, bytes32 baseAsset) internal returns (address created) {
        created = bridgehub.createNewChain(_params(chainId, baseAsset));
        last[chainId] = StoredBatchInfo({
            batchNumber: 0,
            stateRoot: GENESIS_ROOT,
            leafCount: 2,
            lastBlock: 0,
            lastBlockHash: GENESIS_BLOCK,
            lastTimestamp: GENESIS_TIME,
            priorityOpsCount: 0,
            priorityOpsHashAfter: keccak256(""),
            l2ToL1Root: bytes32(0),
            publicInput: bytes32(0)
        });
    }

    // Deposits

    function _cost(uint256 chainId, uint256 gasLimit) internal view returns (uint256) {
        return bridgehub.l2TransactionBaseCost(chainId, tx.gasprice, gasLimit, 800);
    }

    function _direct(uint256 chainId, address to, uint256 amount)
        internal
        view
        returns (L2TransactionRequestDirect memory)
    {
        return L2TransactionRequestDirect({
            chainId: chainId,
            mintValue: _cost(chainId, 200_000) + amount,
            l2Contract: to,
            l2Value: amount,
            l2Calldata: "",
            l2GasLimit: 200_000,
            l2GasPerPubdataByteLimit: 800,
            factoryDeps: new bytes[](0),
            refundRecipient: to
        });
    }

    function _depositEth(uint256 chainId, address from, uint256 amount) internal returns (bytes32) {
        L2TransactionRequestDirect memory request = _direct(chainId, from, amount);
        vm.prank(from, from);
        return bridgehub.requestL2TransactionDirect{value: request.mintValue}(request);
    }

    function _twoBridges(uint256 chainId, address receiver, bytes32 asset, address asToken, uint256 amount)
        internal
        view
        returns (L2TransactionRequestTwoBridgesOuter memory)
    {
        return L2TransactionRequestTwoBridgesOuter({
            chainId: chainId,
            mintValue: _cost(chainId, 1_000_000),
            l2Value: 0,
            l2GasLimit: 1_000_000,
            l2GasPerPubdataByteLimit: 800,
            refundRecipient: receiver,
            secondBridgeAddress: address(router),
            secondBridgeValue: 0,
            secondBridgeCalldata: bytes.concat(
                bytes1(0x01), abi.encode(asset, abi.encode(amount, receiver, asToken))
            )
        });
    }

    function _depositToken(uint256 chainId, address from, uint256 amount) internal returns (bytes32) {
        vm.prank(from);
        token.approve(address(router), amount);
        L2TransactionRequestTwoBridgesOuter memory request =
            _twoBridges(chainId, from, tokenAsset, address(token), amount);
        vm.prank(from, from);
        return bridgehub.requestL2TransactionTwoBridges{value: request.mintValue}(request);
    }

    // Batches

    function _chainOf(uint256 chainId) internal view returns (IZKChain) {
        return IZKChain(bridgehub.getZKChain(chainId));
    }

    /// @dev The next batch after `last`, consuming `ops` operations and showing `root`.
    function _batch(uint256 chainId, uint64 ops, bytes32 root) internal view returns (CommitBatchInfo memory) {
        StoredBatchInfo memory prev = last[chainId];
        uint64 now_ = prev.lastTimestamp > block.timestamp ? prev.lastTimestamp : uint64(block.timestamp);
        return CommitBatchInfo({
            batchNumber: prev.batchNumber + 1,
            lastBlock: prev.lastBlock + 4,
            firstTimestamp: now_,
            lastTimestamp: now_ + 1,
            newStateRoot: keccak256(abi.encode("state", chainId, prev.batchNumber + 1)),
            newLeafCount: prev.leafCount + 7,
            lastBlockHash: keccak256(abi.encode("block", chainId, prev.batchNumber + 1)),
            priorityOpsCount: ops,
            l2ToL1Root: root,
            baseFee: BASE_FEE,
            gasPerPubdata: GAS_PER_PUBDATA,
            operator: OPERATOR,
            daInput: hex"00c0ffee"
        });
    }

    /// @dev A second implementation of the public input, word by word from ARCHITECTURE.md.
    function _publicInput(uint256 chainId, StoredBatchInfo memory prev, CommitBatchInfo memory b, bytes32 opsAfter)
        internal
        view
        returns (bytes32)
    {
        return keccak256(
            bytes.concat(
                abi.encode(uint256(1), PROGRAM, chainId, b.batchNumber, prev.lastBlock + 1, b.lastBlock),
                abi.encode(b.firstTimestamp, b.lastTimestamp, prev.stateRoot, prev.leafCount, prev.lastBlockHash),
                abi.encode(b.newStateRoot, b.newLeafCount, b.lastBlockHash, b.priorityOpsCount),
                abi.encode(prev.priorityOpsHashAfter, opsAfter, b.l2ToL1Root, _daCommitment(b.daInput), bytes32(0)),
                abi.encode(keccak256(abi.encode(b.baseFee, b.gasPerPubdata)), b.operator, _configHash(chainId))
            )
        );
    }

    function _daCommitment(bytes memory daInput) internal pure returns (bytes32) {
        bytes memory pubdata = new bytes(daInput.length - 1);
        for (uint256 i = 0; i < pubdata.length; ++i) {
            pubdata[i] = daInput[i + 1];
        }
        return keccak256(abi.encode(uint8(0), keccak256(pubdata), new bytes32[](0)));
    }

    function _configHash(uint256 chainId) internal view returns (bytes32) {
        return keccak256(abi.encode(chainId, block.chainid, bridgehub.baseTokenAssetId(chainId), uint8(0)));
    }

    function _stored(uint256 chainId, StoredBatchInfo memory prev, CommitBatchInfo memory b)
        internal
        view
        returns (StoredBatchInfo memory)
    {
        uint64 opsAfter = prev.priorityOpsCount + b.priorityOpsCount;
        bytes32 opsHash = _chainOf(chainId).priorityOpsRollingHash(opsAfter);
        return StoredBatchInfo({
            batchNumber: b.batchNumber,
            stateRoot: b.newStateRoot,
            leafCount: b.newLeafCount,
            lastBlock: b.lastBlock,
            lastBlockHash: b.lastBlockHash,
            lastTimestamp: b.lastTimestamp,
            priorityOpsCount: opsAfter,
            priorityOpsHashAfter: opsHash,
            l2ToL1Root: b.l2ToL1Root,
            publicInput: _publicInput(chainId, prev, b, opsHash)
        });
    }

    function _one(CommitBatchInfo memory b) internal pure returns (CommitBatchInfo[] memory out) {
        out = new CommitBatchInfo[](1);
        out[0] = b;
    }

    function _one(StoredBatchInfo memory b) internal pure returns (StoredBatchInfo[] memory out) {
        out = new StoredBatchInfo[](1);
        out[0] = b;
    }

    function _commit(uint256 chainId, CommitBatchInfo memory b) internal returns (StoredBatchInfo memory stored) {
        StoredBatchInfo memory prev = last[chainId];
        stored = _stored(chainId, prev, b);
        IZKChain target = _chainOf(chainId);
        vm.prank(VALIDATOR);
        target.commitBatches(prev, _one(b));
        last[chainId] = stored;
    }

    function _sign(uint256 key, StoredBatchInfo[] memory batches) internal view returns (bytes memory) {
        bytes32[] memory inputs = new bytes32[](batches.length);
        for (uint256 i = 0; i < inputs.length; ++i) {
            inputs[i] = batches[i].publicInput;
        }
        return _signInputs(key, verifier, inputs);
    }

    function _signInputs(uint256 key, AttestationVerifier for_, bytes32[] memory inputs)
        internal
        view
        returns (bytes memory)
    {
        bytes32 range = keccak256(abi.encodePacked(inputs));
        bytes32 digest =
            keccak256(abi.encode(keccak256("CAIRN_ATTEST_V1"), block.chainid, address(for_), range));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _prove(uint256 chainId, StoredBatchInfo memory prev, StoredBatchInfo memory b) internal {
        IZKChain target = _chainOf(chainId);
        bytes memory proof = _sign(ATTESTER_KEY, _one(b));
        vm.prank(VALIDATOR);
        target.proveBatches(prev, _one(b), proof);
    }

    function _execute(uint256 chainId, StoredBatchInfo memory b) internal {
        IZKChain target = _chainOf(chainId);
        vm.prank(VALIDATOR);
        target.executeBatches(_one(b));
    }

    /// @dev Commit, prove and execute one batch.
    function _settle(uint256 chainId, uint64 ops, bytes32 root) internal returns (StoredBatchInfo memory stored) {
        StoredBatchInfo memory prev = last[chainId];
        stored = _commit(chainId, _batch(chainId, ops, root));
        _prove(chainId, prev, stored);
        _execute(chainId, stored);
    }

    // Messages

    function _messageLeaf(address sender, uint16 txNumber, bytes memory data) internal pure returns (bytes32) {
        return LogTree.leaf(
            L2Log({
                l2ShardId: 0,
                isService: true,
                txNumberInBatch: txNumber,
                sender: address(0x8008),
                key: bytes32(uint256(uint160(sender))),
                value: keccak256(data)
            })
        );
    }

    function _outcomeLeaf(bytes32 txHash, uint16 txNumber, bool success) internal pure returns (bytes32) {
        return LogTree.leaf(
            L2Log({
                l2ShardId: 0,
                isService: true,
                txNumberInBatch: txNumber,
                sender: address(0x8001),
                key: txHash,
                value: bytes32(uint256(success ? 1 : 0))
            })
        );
    }

    function _ethMessage(address receiver, uint256 amount) internal pure returns (bytes memory) {
        return abi.encodePacked(bytes4(0x6c0960f9), receiver, amount);
    }

    function _tokenMessage(uint256 chainId, bytes32 asset, address receiver, address originToken, uint256 amount)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            IAssetRouterBase.finalizeDeposit.selector,
            chainId,
            asset,
            abi.encode(receiver, receiver, originToken, amount, bytes(""))
        );
    }

    function _withdrawal(uint256 chainId, uint256 batch, address sender, bytes memory message, bytes32[] memory leaves, uint256 index)
        internal
        pure
        returns (FinalizeL1DepositParams memory)
    {
        return FinalizeL1DepositParams({
            chainId: chainId,
            l2BatchNumber: batch,
            l2MessageIndex: index,
            l2Sender: sender,
            l2TxNumberInBatch: 3,
            message: message,
            merkleProof: LogTree.proof(leaves, index)
        });
    }

    function _leaves(bytes32 leaf) internal pure returns (bytes32[] memory out) {
        out = new bytes32[](1);
        out[0] = leaf;
    }

    /// @dev Settles a batch whose only log is this message and returns how to finalize it.
    function _settleMessage(uint256 chainId, address sender, bytes memory message)
        internal
        returns (FinalizeL1DepositParams memory)
    {
        bytes32[] memory leaves = _leaves(_messageLeaf(sender, 3, message));
        StoredBatchInfo memory stored = _settle(chainId, 0, LogTree.batchRoot(leaves));
        return _withdrawal(chainId, stored.batchNumber, sender, message, leaves, 0);
    }
}
