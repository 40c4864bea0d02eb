// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

// Names follow zkSync's where it has the error: client libraries tell readiness by them.

// Access and settings
error Unauthorized(address caller);
error ZeroAddress();
error AlreadySet();
error ChainPaused();
error ValueOutOfBounds(uint256 value, uint256 min, uint256 max);
error NotAContract(address account);

// Chains
error ZeroChainId();
error ChainIdTooBig();
error ChainIdNotRegistered(uint256 chainId);
error ChainAlreadyRegistered(uint256 chainId);
error ChainIdCantBeCurrentChain();
error AssetIdNotSupported(bytes32 assetId);

// Requests
error MsgValueMismatch(uint256 expected, uint256 actual);
error MsgValueTooLow(uint256 required, uint256 actual);
error SecondBridgeAddressTooLow(address secondBridge, address minimum);
error WrongMagicValue(bytes32 expected, bytes32 supplied);
error FactoryDepsNotSupported();
error GasPerPubdataMismatch(uint256 minimum, uint256 supplied);
error ValidateTxnNotEnoughGas(uint256 required, uint256 supplied);
error TooMuchGas(uint256 maximum, uint256 supplied);
error CalldataTooLong(uint256 maximum, uint256 supplied);
error L2ValueTooBig(uint256 value);

// Assets
error AmountMustBeGreaterThanZero();
error AssetIdMismatch(bytes32 expected, bytes32 supplied);
error AssetIdAlreadyRegistered();
error TokenNotSupported(address token);
error TokensWithFeesNotSupported();
error NonEmptyMsgValue();
error ValueMismatch(uint256 expected, uint256 actual);
error InsufficientChainBalance(uint256 chainId, bytes32 assetId, uint256 balance, uint256 amount);
error BaseTokenSupplyTooBig(uint256 supply);
error UnsupportedEncodingVersion();
error EmptyDeposit();
error WithdrawFailed();
error DepositExists();
error DepositDoesNotExist(bytes32 expected, bytes32 stored);
error WithdrawalAlreadyFinalized();
error WrongL2Sender(address sender);
error InvalidSelector(bytes4 selector);
error L2WithdrawalMessageWrongLength(uint256 length);
error WrongOriginChain(uint256 expected, uint256 supplied);

// Proofs of logs and messages
error BatchNotExecuted(uint256 batchNumber);
error LocalRootIsZero();
error InvalidProof();
error MerklePathEmpty();
error MerkleIndexOutOfBounds();
error UnsupportedProofMetadataVersion(uint256 metadataVersion);
error InvalidProofLengthForFinalNode();
error HashedLogIsDefault();

// Batches
error EmptyBatchRange();
error TooManyBatches(uint256 maximum, uint256 supplied);
error BatchHashMismatch(bytes32 expected, bytes32 actual);
error BatchNumberMismatch(uint256 expected, uint256 supplied);
error CantRevertExecutedBatch();
error CantRevertToFutureBatch(uint256 committed, uint256 supplied);
error NonIncreasingBlocks(uint64 previous, uint64 supplied);
error TimestampError();
error BatchTimestampInFuture(uint64 timestamp, uint256 now_);
error BatchTimestampTooOld(uint64 timestamp, uint256 now_);
error PriorityOpsOutOfQueue(uint256 queued, uint256 claimed);
error PriorityOperationOverdue(uint256 index, uint64 expiration);
error FeeParamsNotCurrent(uint64 baseFee, uint64 gasPerPubdata);
error ZeroOperator();
error VerifyProofCommittedVerifiedMismatch();
error CantExecuteUnprovenBatches();
error BatchesInFlight(uint256 committed, uint256 verified);
error ProgramMismatch(bytes32 expected, bytes32 proven);

// Data availability
error UnknownDAMode(uint8 mode);
error MalformedDAInput(uint256 length);
error BlobMissing(uint256 index);
error PointEvalFailed(uint256 index);

// Attesters
error BadThreshold(uint256 threshold, uint256 attesters);
error UnknownAttester(address attester);
error SignersNotSorted();
error NotEnoughSignatures(uint256 required, uint256 supplied);
error MalformedSignature(uint256 index);
