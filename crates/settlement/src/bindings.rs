//! The parts of the L1 and L2 contracts' ABIs that Rust speaks. `contracts/src/interfaces` is where they are defined.

use alloy_sol_types::sol;
use cairn_primitives as primitives;

sol! {
    /// [`primitives::StoredBatchInfo`] under a name that this macro can see.
    #[derive(Debug, PartialEq, Eq)]
    struct StoredBatchInfo {
        uint64 batchNumber;
        bytes32 stateRoot;
        uint64 leafCount;
        uint64 lastBlock;
        bytes32 lastBlockHash;
        uint64 lastTimestamp;
        uint64 priorityOpsCount;
        bytes32 priorityOpsHashAfter;
        bytes32 l2ToL1Root;
        bytes32 publicInput;
    }

    /// [`primitives::L2CanonicalTransaction`] under a name that this macro can see.
    #[derive(Debug, PartialEq, Eq)]
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
        uint256[4] reserved;
        bytes data;
        bytes signature;
        uint256[] factoryDeps;
        bytes paymasterInput;
        bytes reservedDynamic;
    }

    /// What the operator says about a batch; everything in it enters the public input.
    #[derive(Debug, PartialEq, Eq)]
    struct CommitBatchInfo {
        uint64 batchNumber;
        uint64 lastBlock;
        uint64 firstTimestamp;
        uint64 lastTimestamp;
        bytes32 newStateRoot;
        uint64 newLeafCount;
        bytes32 lastBlockHash;
        uint64 priorityOpsCount;
        bytes32 l2ToL1Root;
        uint64 baseFee;
        uint64 gasPerPubdata;
        address operator;
        bytes daInput;
    }

    /// What a new chain is made of.
    #[derive(Debug, PartialEq, Eq)]
    struct NewChainParams {
        uint256 chainId;
        bytes32 baseTokenAssetId;
        address admin;
        address validator;
        address verifier;
        address daValidator;
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

    /// A message to consume on L1, with its proof.
    #[derive(Debug, PartialEq, Eq)]
    struct FinalizeL1DepositParams {
        uint256 chainId;
        uint256 l2BatchNumber;
        uint256 l2MessageIndex;
        address l2Sender;
        uint16 l2TxNumberInBatch;
        bytes message;
        bytes32[] merkleProof;
    }

    /// A deposit of the base token or a plain L1->L2 call.
    #[derive(Debug, PartialEq, Eq)]
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

    /// A deposit through a second bridge (the asset router).
    #[derive(Debug, PartialEq, Eq)]
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

    /// Registry of chains, and the door through which L1 talks to them.
    interface Bridgehub {
        event NewChain(uint256 indexed chainId, address zkChain, address indexed chainGovernance);

        function requestL2TransactionDirect(L2TransactionRequestDirect request) external payable returns (bytes32 canonicalTxHash);
        function requestL2TransactionFromBalance(L2TransactionRequestDirect request) external payable returns (bytes32 canonicalTxHash);
        function requestL2TransactionTwoBridges(L2TransactionRequestTwoBridgesOuter request) external payable returns (bytes32 canonicalTxHash);
        function l2TransactionBaseCost(uint256 chainId, uint256 gasPrice, uint256 l2GasLimit, uint256 l2GasPerPubdataByteLimit) external view returns (uint256);
        function createNewChain(NewChainParams params) external returns (address zkChain);
        function setAddresses(address assetRouter, address messageRoot, address zkChainImplementation) external;
        function getZKChain(uint256 chainId) external view returns (address);
        function baseToken(uint256 chainId) external view returns (address);
        function assetRouter() external view returns (address);
        function messageRoot() external view returns (address);
    }

    /// One chain on its settlement layer.
    interface ZKChain {
        event NewPriorityRequest(uint256 txId, bytes32 txHash, uint64 expirationTimestamp, L2CanonicalTransaction transaction, bytes[] factoryDeps);
        event BlockCommit(uint256 indexed batchNumber, bytes32 indexed batchHash, bytes32 indexed commitment);
        event BlocksVerification(uint256 indexed previousLastVerifiedBatch, uint256 indexed currentLastVerifiedBatch);
        event BlockExecution(uint256 indexed batchNumber, bytes32 indexed batchHash, bytes32 indexed commitment);

        function commitBatches(StoredBatchInfo prev, CommitBatchInfo[] batches) external;
        function proveBatches(StoredBatchInfo prev, StoredBatchInfo[] batches, bytes proof) external;
        function executeBatches(StoredBatchInfo[] batches) external;
        function revertBatches(uint256 newLastBatch) external;
        function getTotalBatchesCommitted() external view returns (uint256);
        function getTotalBatchesVerified() external view returns (uint256);
        function getTotalBatchesExecuted() external view returns (uint256);
        function storedBatchHash(uint256 batchNumber) external view returns (bytes32);
        function l2LogsRootHash(uint256 batchNumber) external view returns (bytes32);
        function getTotalPriorityTxs() external view returns (uint256);
        function getFirstUnprocessedPriorityTx() external view returns (uint256);
        function priorityOpsRollingHash(uint256 count) external view returns (bytes32);
        function getVerifier() external view returns (address);
        function getProgramId() external view returns (bytes32);
        function getChainId() external view returns (uint256);
        function getChainConfigHash() external view returns (bytes32);
        function getFeeParams() external view returns (uint64 baseFee, uint64 gasPerPubdata);
        function isValidator(address account) external view returns (bool);
        function isPaused() external view returns (bool);
    }

    /// The L1 end of the asset bridge.
    interface L1AssetRouter {
        function L1_NULLIFIER() external view returns (address);
        function nativeTokenVault() external view returns (address);
        function isWithdrawalFinalized(uint256 chainId, uint256 l2BatchNumber, uint256 l2MessageIndex) external view returns (bool);
        function bridgeRecoverFailedTransfer(uint256 chainId, address depositSender, bytes32 assetId, bytes assetData, bytes32 l2TxHash, uint256 l2BatchNumber, uint256 l2MessageIndex, uint16 l2TxNumberInBatch, bytes32[] merkleProof) external;
    }

    /// Remembers which messages were consumed.
    interface L1Nullifier {
        function finalizeDeposit(FinalizeL1DepositParams params) external;
        function isWithdrawalFinalized(uint256 chainId, uint256 l2BatchNumber, uint256 l2MessageIndex) external view returns (bool);
        function depositHappened(uint256 chainId, bytes32 l2TxHash) external view returns (bytes32);
        function bridgeRecoverFailedTransfer(uint256 chainId, address depositSender, bytes32 assetId, bytes assetData, bytes32 l2TxHash, uint256 l2BatchNumber, uint256 l2MessageIndex, uint16 l2TxNumberInBatch, bytes32[] merkleProof) external;
    }

    /// Holds the assets.
    interface L1NativeTokenVault {
        function assetId(address token) external view returns (bytes32);
        function registerToken(address token) external;
        function ensureTokenIsRegistered(address token) external returns (bytes32);
        function chainBalance(uint256 chainId, bytes32 assetId) external view returns (uint256);
    }

    /// k-of-n attesters.
    interface AttestationVerifier {
        event AttesterUpdate(address indexed attester, bool active);
        function owner() external view returns (address);
        function attesterCount() external view returns (uint256);
        function threshold() external view returns (uint256);
    }

    /// Validity proofs.
    #[derive(Debug)]
    interface FinalVerifier {
        function keyDigest() external view returns (bytes32);
    }

    /// Two verifiers, both of which must accept.
    #[derive(Debug)]
    interface DualVerifier {
        function first() external view returns (address);
        function second() external view returns (address);
    }

    /// What every verifier answers to.
    interface Verifier {
        function programId() external view returns (bytes32);
        function verify(bytes32[] publicInputs, bytes proof) external view returns (bool);
    }

    /// An ERC-20 as the demo's test token has it.
    interface Erc20 {
        function name() external view returns (string);
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
        function balanceOf(address account) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
        function mint(address to, uint256 amount) external;
    }

    /// The base token on L2.
    interface L2BaseToken {
        function withdraw(address l1Receiver) external payable;
    }

    /// The L2 end of the asset bridge.
    interface L2AssetRouter {
        function withdraw(bytes32 assetId, bytes assetData) external returns (bytes32);
        function l2TokenAddress(address l1Token) external view returns (address);
    }

    /// The vault on L2.
    interface L2NativeTokenVault {
        function assetId(address token) external view returns (bytes32);
        function tokenAddress(bytes32 assetId) external view returns (address);
    }
}

impl From<primitives::StoredBatchInfo> for StoredBatchInfo {
    fn from(b: primitives::StoredBatchInfo) -> Self {
        Self {
            batchNumber: b.batchNumber,
            stateRoot: b.stateRoot,
            leafCount: b.leafCount,
            lastBlock: b.lastBlock,
            lastBlockHash: b.lastBlockHash,
            lastTimestamp: b.lastTimestamp,
            priorityOpsCount: b.priorityOpsCount,
            priorityOpsHashAfter: b.priorityOpsHashAfter,
            l2ToL1Root: b.l2ToL1Root,
            publicInput: b.publicInput,
        }
    }
}

impl From<&StoredBatchInfo> for primitives::StoredBatchInfo {
    fn from(b: &StoredBatchInfo) -> Self {
        Self {
            batchNumber: b.batchNumber,
            stateRoot: b.stateRoot,
            leafCount: b.leafCount,
            lastBlock: b.lastBlock,
            lastBlockHash: b.lastBlockHash,
            lastTimestamp: b.lastTimestamp,
            priorityOpsCount: b.priorityOpsCount,
            priorityOpsHashAfter: b.priorityOpsHashAfter,
            l2ToL1Root: b.l2ToL1Root,
            publicInput: b.publicInput,
        }
    }
}

impl From<&L2CanonicalTransaction> for primitives::L2CanonicalTransaction {
    fn from(t: &L2CanonicalTransaction) -> Self {
        Self {
            txType: t.txType,
            from: t.from,
            to: t.to,
            gasLimit: t.gasLimit,
            gasPerPubdataByteLimit: t.gasPerPubdataByteLimit,
            maxFeePerGas: t.maxFeePerGas,
            maxPriorityFeePerGas: t.maxPriorityFeePerGas,
            paymaster: t.paymaster,
            nonce: t.nonce,
            value: t.value,
            reserved: t.reserved,
            data: t.data.clone(),
            signature: t.signature.clone(),
            factoryDeps: t.factoryDeps.clone(),
            paymasterInput: t.paymasterInput.clone(),
            reservedDynamic: t.reservedDynamic.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;
    use alloy_sol_types::{SolEvent, SolStruct};

    use super::*;

    /// Two macro-made structs of one format must not drift.
    #[test]
    fn the_two_views_of_a_struct_are_one_format() {
        assert_eq!(
            StoredBatchInfo::eip712_encode_type(),
            primitives::StoredBatchInfo::eip712_encode_type()
        );
        assert_eq!(
            L2CanonicalTransaction::eip712_encode_type(),
            primitives::L2CanonicalTransaction::eip712_encode_type()
        );
    }

    /// What zkSync's clients look for.
    #[test]
    fn the_priority_event_is_the_one_that_clients_know() {
        assert_eq!(
            ZKChain::NewPriorityRequest::SIGNATURE_HASH,
            b256!("4531cd5795773d7101c17bdeb9f5ab7f47d7056017506f937083be5d6e77a382")
        );
    }
}
