// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "./utils/Fixture.sol";

/// @dev The contracts reach the numbers of vectors/public_input.json, which Rust's `primitives` reach too.
contract VectorsTest is Fixture {
    string private json;

    function setUp() public override {
        vm.chainId(31337);
        super.setUp();
        json = vm.readFile("test/vectors/public_input.json");
    }

    function _word(string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, key);
    }

    function _u64(string memory key) private view returns (uint64) {
        return uint64(vm.parseJsonUint(json, key));
    }

    function _queue(uint256 i) private {
        string memory at_ = string.concat(".operations[", vm.toString(i), "]");
        uint256 fee = vm.parseJsonUint(json, string.concat(at_, ".max_fee_per_gas"));
        // The fee is what the chain asks for: base fee and one wei of L1 gas price for each 321 of pubdata gas.
        vm.txGasPrice(0);
        vm.prank(ADMIN);
        chain.setFeeParams(uint64(fee), 321);
        BridgehubL2TransactionRequest memory r = BridgehubL2TransactionRequest({
            sender: vm.parseJsonAddress(json, string.concat(at_, ".from")),
            contractL2: vm.parseJsonAddress(json, string.concat(at_, ".to")),
            mintValue: vm.parseJsonUint(json, string.concat(at_, ".to_mint")),
            l2Value: vm.parseJsonUint(json, string.concat(at_, ".value")),
            l2Calldata: vm.parseJsonBytes(json, string.concat(at_, ".data")),
            l2GasLimit: vm.parseJsonUint(json, string.concat(at_, ".gas_limit")),
            l2GasPerPubdataByteLimit: vm.parseJsonUint(json, string.concat(at_, ".gas_per_pubdata")),
            factoryDeps: new bytes[](0),
            refundRecipient: vm.parseJsonAddress(json, string.concat(at_, ".refund_recipient"))
        });
        vm.prank(address(bridgehub));
        bytes32 hash = chain.bridgehubRequestL2Transaction(r);
        assertEq(hash, _word(string.concat(at_, ".hash")), "canonical hash");
    }

    function test_public_input() public {
        assertEq(CHAIN, _u64(".chain_config.chain_id"), "the fixture's first chain is the vector's");
        assertEq(ethAsset, _word(".chain_config.base_token_asset_id"), "base token");
        assertEq(chain.getChainConfigHash(), _word(".chain_config_hash"), "config");
        vm.prank(address(timelock));
        chain.upgradeProtocol(_u64(".public_input.protocol_version"), _word(".public_input.guest_program_id"), address(verifier));
        _queue(0);
        _queue(1);
        assertEq(chain.priorityOpsRollingHash(2), _word(".public_input.priority_ops_hash_after"), "rolling hash");
        vm.prank(ADMIN);
        chain.setFeeParams(_u64(".fee_params.base_fee"), _u64(".fee_params.gas_per_pubdata"));

        CommitBatchInfo memory b = CommitBatchInfo({
            batchNumber: _u64(".public_input.batch_number"),
            lastBlock: _u64(".public_input.last_block"),
            firstTimestamp: _u64(".public_input.first_timestamp"),
            lastTimestamp: _u64(".public_input.last_timestamp"),
            newStateRoot: _word(".public_input.new_state_root"),
            newLeafCount: _u64(".public_input.new_leaf_count"),
            lastBlockHash: _word(".public_input.last_block_hash"),
            priorityOpsCount: _u64(".public_input.priority_ops_count"),
            l2ToL1Root: _word(".public_input.l2_to_l1_root"),
            baseFee: _u64(".fee_params.base_fee"),
            gasPerPubdata: _u64(".fee_params.gas_per_pubdata"),
            operator: vm.parseJsonAddress(json, ".public_input.operator"),
            daInput: bytes.concat(bytes1(0), vm.parseJsonBytes(json, ".pubdata"))
        });
        StoredBatchInfo memory genesis = last[CHAIN];
        assertEq(genesis.stateRoot, _word(".public_input.prev_state_root"), "genesis");
        vm.expectEmit(address(chain));
        emit IZKChain.BlockCommit(1, _word(".stored_batch_hash"), _word(".public_input_hash"));
        vm.prank(VALIDATOR);
        chain.commitBatches(genesis, _one(b));
        _executeAndProveLog(genesis);
    }

    function _executeAndProveLog(StoredBatchInfo memory genesis) private {
        StoredBatchInfo memory b = StoredBatchInfo({
            batchNumber: _u64(".stored_batch.batchNumber"),
            stateRoot: _word(".stored_batch.stateRoot"),
            leafCount: _u64(".stored_batch.leafCount"),
            lastBlock: _u64(".stored_batch.lastBlock"),
            lastBlockHash: _word(".stored_batch.lastBlockHash"),
            lastTimestamp: _u64(".stored_batch.lastTimestamp"),
            priorityOpsCount: _u64(".stored_batch.priorityOpsCount"),
            priorityOpsHashAfter: _word(".stored_batch.priorityOpsHashAfter"),
            l2ToL1Root: _word(".stored_batch.l2ToL1Root"),
            publicInput: _word(".stored_batch.publicInput")
        });
        _prove(CHAIN, genesis, b);
        _execute(CHAIN, b);
        L2Log memory log = L2Log({
            l2ShardId: uint8(_u64(".log.shard_id")),
            isService: vm.parseJsonBool(json, ".log.is_service"),
            txNumberInBatch: uint16(_u64(".log.tx_number")),
            sender: vm.parseJsonAddress(json, ".log.sender"),
            key: _word(".log.key"),
            value: _word(".log.value")
        });
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, ".log_proof");
        assertTrue(chain.proveL2LogInclusion(1, 0, log, proof), "log");
    }

    function test_attestation_digest() public {
        address at_ = vm.parseJsonAddress(json, ".attestation.verifier");
        vm.etch(at_, address(verifier).code);
        bytes32[] memory inputs = vm.parseJsonBytes32Array(json, ".attestation.public_inputs");
        assertEq(AttestationVerifier(at_).digest(inputs), _word(".attestation.digest"), "digest");
    }
}
