// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @dev What L1 keeps, as `keccak256(abi.encode(info))`, of every committed batch.
struct StoredBatchInfo {
    uint64 batchNumber;
    bytes32 stateRoot;
    uint64 leafCount;
    uint64 lastBlock;
    bytes32 lastBlockHash;
    uint64 lastTimestamp;
    /// All priority operations consumed up to and including this batch.
    uint64 priorityOpsCount;
    bytes32 priorityOpsHashAfter;
    bytes32 l2ToL1Root;
    bytes32 publicInput;
}

/// @dev What the operator says about a batch and L1 does not know by itself. Everything in it enters the public input.
struct CommitBatchInfo {
    uint64 batchNumber;
    uint64 lastBlock;
    uint64 firstTimestamp;
    uint64 lastTimestamp;
    bytes32 newStateRoot;
    uint64 newLeafCount;
    bytes32 lastBlockHash;
    /// Priority operations that this batch alone consumes.
    uint64 priorityOpsCount;
    bytes32 l2ToL1Root;
    uint64 baseFee;
    uint64 gasPerPubdata;
    address operator;
    /// Input of the chain's data-availability validator.
    bytes daInput;
}

/// @dev zkSync's canonical L1->L2 transaction; its L2 hash is `keccak256(abi.encode(transaction))`.
struct L2CanonicalTransaction {
    uint256 txType;
    uint256 from;
    uint256 to;
    uint256 gasLimit;
    uint256 gasPerPubdataByteLimit;
    uint256 maxFeePerGas;
    uint256 maxPriorityFeePerGas;
    uint256 paymaster;
    uint256 nonce;
    uint256 value;
    /// [0] base token minted to `from`, [1] refund recipient.
    uint256[4] reserved;
    bytes data;
    bytes signature;
    uint256[] factoryDeps;
    bytes paymasterInput;
    bytes reservedDynamic;
}

/// @dev A record that a batch shows to its settlement layer; the tree's leaf is the keccak of the packed fields (88 bytes).
struct L2Log {
    uint8 l2ShardId;
    bool isService;
    uint16 txNumberInBatch;
    address sender;
    bytes32 key;
    bytes32 value;
}

/// @dev A message sent through the L2 messenger.
struct L2Message {
    uint16 txNumberInBatch;
    address sender;
    bytes data;
}

/// @dev Outcome of an L1->L2 transaction.
enum TxStatus {
    Failure,
    Success
}

/// @dev An L1->L2 transaction on its way from the bridgehub to a chain's mailbox.
struct BridgehubL2TransactionRequest {
    address sender;
    address contractL2;
    uint256 mintValue;
    uint256 l2Value;
    bytes l2Calldata;
    uint256 l2GasLimit;
    uint256 l2GasPerPubdataByteLimit;
    bytes[] factoryDeps;
    address refundRecipient;
}

struct L2TransactionRequestDirect {
    uint256 chainId;
    uint256 mintValue;
    address l2Contract;
    uint256 l2Value;
    bytes l2Calldata;
    uint256 l2GasLimit;
    uint256 l2GasPerPubdataByteLimit;
    bytes[] factoryDeps;
    address refundRecipient;
}

struct L2TransactionRequestTwoBridgesOuter {
    uint256 chainId;
    uint256 mintValue;
    uint256 l2Value;
    uint256 l2GasLimit;
    uint256 l2GasPerPubdataByteLimit;
    address refundRecipient;
    address secondBridgeAddress;
    uint256 secondBridgeValue;
    bytes secondBridgeCalldata;
}

struct L2TransactionRequestTwoBridgesInner {
    bytes32 magicValue;
    address l2Contract;
    bytes l2Calldata;
    bytes[] factoryDeps;
    bytes32 txDataHash;
}

struct FinalizeL1DepositParams {
    uint256 chainId;
    uint256 l2BatchNumber;
    uint256 l2MessageIndex;
    address l2Sender;
    uint16 l2TxNumberInBatch;
    bytes message;
    bytes32[] merkleProof;
}

/// @dev What a new chain is made of.
struct NewChainParams {
    uint256 chainId;
    bytes32 baseTokenAssetId;
    /// Sets fees, validators and pause; cannot upgrade or touch funds.
    address admin;
    /// First account that may commit, prove and execute.
    address validator;
    address verifier;
    address daValidator;
    /// 0 rollup, 1 validium (part of the chain's config hash).
    uint8 daPolicy;
    uint64 protocolVersion;
    bytes32 programId;
    uint64 baseFee;
    uint64 gasPerPubdata;
    bytes32 genesisStateRoot;
    uint64 genesisLeafCount;
    bytes32 genesisBlockHash;
    uint64 genesisTimestamp;
}
