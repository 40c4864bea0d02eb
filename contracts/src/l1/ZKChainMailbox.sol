// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {L2LogProof} from "../common/L2LogProof.sol";
import {BOOTLOADER, MAX_PRIORITY_DATA, MAX_PRIORITY_GAS, PRIORITY_TX_TYPE} from "../common/Constants.sol";
import "./ZKChainBase.sol";

/// @title Requests from L1 to the chain, and proofs of what the chain said to L1.
abstract contract ZKChainMailbox is ZKChainBase {
    /// @dev A batch whose last timestamp is at or past an operation's expiration must consume it.
    uint64 internal constant PRIORITY_EXPIRATION = 3 days;

    /// @inheritdoc IZKChain
    function bridgehubRequestL2Transaction(BridgehubL2TransactionRequest calldata request)
        external
        onlyBridgehub
        whenNotPaused
        returns (bytes32 canonicalTxHash)
    {
        return _queue(request, request.l2Value);
    }

    /// @inheritdoc IZKChain
    function bridgehubRequestL2TransactionFromBalance(BridgehubL2TransactionRequest calldata request)
        external
        onlyBridgehub
        whenNotPaused
        returns (bytes32 canonicalTxHash)
    {
        return _queue(request, 0);
    }

    /// @inheritdoc IZKChain
    function l2TransactionBaseCost(uint256 gasPrice, uint256 l2GasLimit, uint256 l2GasPerPubdataByteLimit)
        public
        view
        returns (uint256)
    {
        if (l2GasPerPubdataByteLimit < s.gasPerPubdata) {
            revert GasPerPubdataMismatch(s.gasPerPubdata, l2GasPerPubdataByteLimit);
        }
        return _l2GasPrice(gasPrice) * l2GasLimit;
    }

    /// @inheritdoc IZKChain
    function proveL2MessageInclusion(uint256 batchNumber, uint256 index, L2Message calldata message, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return _proveLog(batchNumber, index, L2LogProof.messageToLog(message), proof);
    }

    /// @inheritdoc IZKChain
    function proveL2LogInclusion(uint256 batchNumber, uint256 index, L2Log calldata log, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return _proveLog(batchNumber, index, log, proof);
    }

    /// @inheritdoc IZKChain
    function proveL1ToL2TransactionStatus(
        bytes32 l2TxHash,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes32[] calldata merkleProof,
        TxStatus status
    ) external view returns (bool) {
        L2Log memory log = L2Log({
            l2ShardId: 0,
            isService: true,
            txNumberInBatch: l2TxNumberInBatch,
            sender: BOOTLOADER,
            key: l2TxHash,
            value: bytes32(uint256(status))
        });
        return _proveLog(l2BatchNumber, l2MessageIndex, log, merkleProof);
    }

    function _proveLog(uint256 batchNumber, uint256 index, L2Log memory log, bytes32[] calldata proof)
        private
        view
        returns (bool)
    {
        if (batchNumber > s.progress.executed) revert BatchNotExecuted(batchNumber);
        bytes32 root = s.batchRoots[batchNumber];
        if (root == bytes32(0)) revert LocalRootIsZero();
        return L2LogProof.batchRoot(index, L2LogProof.hashLog(log), proof) == root;
    }

    /// @dev Puts a request at the end of the queue if it brings the fee and `valueToMint`.
    function _queue(BridgehubL2TransactionRequest calldata request, uint256 valueToMint)
        private
        returns (bytes32 canonicalTxHash)
    {
        uint256 gasPrice = _validateRequest(request, valueToMint);
        uint256 id = s.priorityTail;
        L2CanonicalTransaction memory transaction = _canonicalTransaction(request, id, gasPrice);
        canonicalTxHash = keccak256(abi.encode(transaction));

        uint64 expiration = uint64(block.timestamp) + PRIORITY_EXPIRATION;
        s.priorityRollingHashes[id + 1] = keccak256(abi.encode(s.priorityRollingHashes[id], canonicalTxHash));
        s.priorityExpirations[id >> 2][id & 3] = expiration;
        s.priorityTail = id + 1;

        emit NewPriorityRequest(id, canonicalTxHash, expiration, transaction, request.factoryDeps);
        emit NewPriorityRequestId(id, canonicalTxHash);
    }

    function _validateRequest(BridgehubL2TransactionRequest calldata request, uint256 valueToMint)
        private
        view
        returns (uint256 gasPrice)
    {
        if (request.factoryDeps.length != 0) revert FactoryDepsNotSupported();
        if (request.l2Calldata.length > MAX_PRIORITY_DATA) {
            revert CalldataTooLong(MAX_PRIORITY_DATA, request.l2Calldata.length);
        }
        if (request.l2GasLimit > MAX_PRIORITY_GAS) revert TooMuchGas(MAX_PRIORITY_GAS, request.l2GasLimit);
        uint256 minimum = _intrinsicGas(request.l2Calldata);
        if (request.l2GasLimit < minimum) revert ValidateTxnNotEnoughGas(minimum, request.l2GasLimit);
        if (request.l2GasPerPubdataByteLimit < s.gasPerPubdata) {
            revert GasPerPubdataMismatch(s.gasPerPubdata, request.l2GasPerPubdataByteLimit);
        }
        if (request.l2GasPerPubdataByteLimit > type(uint64).max) revert L2ValueTooBig(request.l2GasPerPubdataByteLimit);
        // Balances on L2 are 128 bits; this also keeps the sum below from overflowing.
        if (request.l2Value > type(uint128).max) revert L2ValueTooBig(request.l2Value);
        gasPrice = _l2GasPrice(tx.gasprice);
        if (gasPrice > type(uint128).max) revert L2ValueTooBig(gasPrice);
        uint256 required = gasPrice * request.l2GasLimit + valueToMint;
        if (request.mintValue < required) revert MsgValueTooLow(required, request.mintValue);
    }

    /// @dev A lower bound: 21,000 and EIP-7623's floor if every byte were zero. The chain itself counts exactly, and fails what cannot pay.
    function _intrinsicGas(bytes calldata data) private pure returns (uint256) {
        return 21_000 + 10 * data.length;
    }

    function _canonicalTransaction(BridgehubL2TransactionRequest calldata request, uint256 id, uint256 gasPrice)
        private
        pure
        returns (L2CanonicalTransaction memory t)
    {
        t.txType = PRIORITY_TX_TYPE;
        t.from = uint256(uint160(request.sender));
        t.to = uint256(uint160(request.contractL2));
        t.gasLimit = request.l2GasLimit;
        t.gasPerPubdataByteLimit = request.l2GasPerPubdataByteLimit;
        t.maxFeePerGas = gasPrice;
        t.nonce = id;
        t.value = request.l2Value;
        t.reserved[0] = request.mintValue;
        t.reserved[1] = uint256(uint160(request.refundRecipient));
        t.data = request.l2Calldata;
    }

    /// @dev The chain's own base fee, and its share of what a byte of pubdata costs on L1, in the base token.
    function _l2GasPrice(uint256 l1GasPrice) private view returns (uint256) {
        uint256 pubdata = l1GasPrice * s.l1GasPerPubdataByte;
        uint256 perGas = Math.mulDiv(
            pubdata,
            s.multiplierNominator,
            uint256(s.gasPerPubdata) * s.multiplierDenominator,
            Math.Rounding.Ceil
        );
        return s.baseFee + perGas;
    }
}
