// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {DataEncoding} from "../common/DataEncoding.sol";
import {L2_ASSET_ROUTER, L2_BASE_TOKEN} from "../common/Constants.sol";
import {IAssetRouterBase, IL1AssetRouter} from "../interfaces/IAssetRouter.sol";
import {IBridgehub} from "../interfaces/IBridgehub.sol";
import {IL1Nullifier} from "../interfaces/IL1Nullifier.sol";
import {IMailboxLegacy} from "../interfaces/IMailbox.sol";
import {FinalizeL1DepositParams, L2Message, TxStatus} from "../interfaces/Types.sol";
import {Governed} from "./Governed.sol";
import "../interfaces/Errors.sol";

/// @title Each message pays once, each failed deposit is given back once.
contract L1Nullifier is IL1Nullifier, Governed, ReentrancyGuardTransient {
    /// @dev `selector || receiver || amount`; a message may follow.
    uint256 private constant BASE_TOKEN_MESSAGE_SIZE = 4 + 20 + 32;
    /// @dev `selector || origin chain id || asset id`; the transfer data follows.
    uint256 private constant ASSET_MESSAGE_HEADER = 4 + 32 + 32;

    IBridgehub private _bridgehub;
    IL1AssetRouter private _assetRouter;
    /// @inheritdoc IL1Nullifier
    mapping(uint256 chainId => mapping(uint256 batch => mapping(uint256 index => bool))) public isWithdrawalFinalized;
    /// @inheritdoc IL1Nullifier
    mapping(uint256 chainId => mapping(bytes32 l2TxHash => bytes32 txDataHash)) public depositHappened;

    function initialize(address owner_, IBridgehub bridgehub_) external initializer {
        if (address(bridgehub_) == address(0)) revert ZeroAddress();
        __Governed_init(owner_);
        _bridgehub = bridgehub_;
    }

    /// @inheritdoc IL1Nullifier
    /// @dev Once, when everything is deployed.
    function setL1AssetRouter(address assetRouter) external onlyOwner {
        if (address(_assetRouter) != address(0)) revert AlreadySet();
        if (assetRouter.code.length == 0) revert NotAContract(assetRouter);
        _assetRouter = IL1AssetRouter(assetRouter);
    }

    // Withdrawals

    /// @inheritdoc IL1Nullifier
    function finalizeDeposit(FinalizeL1DepositParams calldata params) external {
        _finalize(params);
    }

    /// @inheritdoc IL1Nullifier
    /// @dev Older clients do not name the sender; the message's selector tells who it must be.
    function finalizeWithdrawal(
        uint256 chainId,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes calldata message,
        bytes32[] calldata merkleProof
    ) external {
        _finalize(
            FinalizeL1DepositParams({
                chainId: chainId,
                l2BatchNumber: l2BatchNumber,
                l2MessageIndex: l2MessageIndex,
                l2Sender: _senderOf(_selector(message)),
                l2TxNumberInBatch: l2TxNumberInBatch,
                message: message,
                merkleProof: merkleProof
            })
        );
    }

    // Deposits that may fail

    /// @inheritdoc IL1Nullifier
    function bridgehubConfirmL2TransactionForwarded(uint256 chainId, bytes32 txDataHash, bytes32 txHash) external {
        if (msg.sender != address(_assetRouter)) revert Unauthorized(msg.sender);
        if (depositHappened[chainId][txHash] != bytes32(0)) revert DepositExists();
        depositHappened[chainId][txHash] = txDataHash;
        emit BridgehubDepositFinalized(chainId, txDataHash, txHash);
    }

    /// @inheritdoc IL1Nullifier
    function bridgeRecoverFailedTransfer(
        uint256 chainId,
        address depositSender,
        bytes32 assetId,
        bytes calldata assetData,
        bytes32 l2TxHash,
        uint256 l2BatchNumber,
        uint256 l2MessageIndex,
        uint16 l2TxNumberInBatch,
        bytes32[] calldata merkleProof
    ) external nonReentrant whenNotPaused {
        bytes32 expected = depositHappened[chainId][l2TxHash];
        bytes32 supplied = DataEncoding.txDataHash(depositSender, assetId, assetData);
        if (expected == bytes32(0) || supplied != expected) revert DepositDoesNotExist(supplied, expected);
        delete depositHappened[chainId][l2TxHash];
        bool failed = _bridgehub.proveL1ToL2TransactionStatus(
            chainId, l2TxHash, l2BatchNumber, l2MessageIndex, l2TxNumberInBatch, merkleProof, TxStatus.Failure
        );
        if (!failed) revert InvalidProof();
        _assetRouter.bridgeRecoverFailedTransfer(chainId, depositSender, assetId, assetData);
    }

    // Getters

    /// @inheritdoc IL1Nullifier
    function l1AssetRouter() external view returns (address) {
        return address(_assetRouter);
    }

    /// @inheritdoc IL1Nullifier
    function l1NativeTokenVault() external view returns (address) {
        return _assetRouter.nativeTokenVault();
    }

    /// @inheritdoc IL1Nullifier
    function BRIDGE_HUB() external view returns (address) {
        return address(_bridgehub);
    }

    function _finalize(FinalizeL1DepositParams memory p) private nonReentrant whenNotPaused {
        if (isWithdrawalFinalized[p.chainId][p.l2BatchNumber][p.l2MessageIndex]) revert WithdrawalAlreadyFinalized();
        isWithdrawalFinalized[p.chainId][p.l2BatchNumber][p.l2MessageIndex] = true;

        L2Message memory message =
            L2Message({txNumberInBatch: p.l2TxNumberInBatch, sender: p.l2Sender, data: p.message});
        bool included = _bridgehub.proveL2MessageInclusion(
            p.chainId, p.l2BatchNumber, p.l2MessageIndex, message, p.merkleProof
        );
        if (!included) revert InvalidProof();

        (bytes32 assetId, bytes memory transferData) = this.parseMessage(p.chainId, p.l2Sender, p.message);
        _assetRouter.finalizeDeposit(p.chainId, assetId, transferData);
    }

    /// @notice What a message of chain `chainId` pays out. Only the base token and the asset router of a chain speak to the bridge.
    function parseMessage(uint256 chainId, address l2Sender, bytes calldata message)
        external
        view
        returns (bytes32 assetId, bytes memory transferData)
    {
        bytes4 selector = _selector(message);
        if (l2Sender != _senderOf(selector)) revert WrongL2Sender(l2Sender);
        if (selector == IMailboxLegacy.finalizeEthWithdrawal.selector) {
            if (message.length < BASE_TOKEN_MESSAGE_SIZE) revert L2WithdrawalMessageWrongLength(message.length);
            address receiver = address(bytes20(message[4:24]));
            uint256 amount = uint256(bytes32(message[24:56]));
            address token = _bridgehub.baseToken(chainId);
            return (
                _bridgehub.baseTokenAssetId(chainId),
                DataEncoding.bridgeMintData(address(0), receiver, token, amount, "")
            );
        }
        if (message.length < ASSET_MESSAGE_HEADER) revert L2WithdrawalMessageWrongLength(message.length);
        uint256 originChainId = uint256(bytes32(message[4:36]));
        if (originChainId != chainId) revert WrongOriginChain(chainId, originChainId);
        return (bytes32(message[36:68]), message[68:]);
    }

    function _senderOf(bytes4 selector) private pure returns (address) {
        if (selector == IMailboxLegacy.finalizeEthWithdrawal.selector) return L2_BASE_TOKEN;
        if (selector == IAssetRouterBase.finalizeDeposit.selector) return L2_ASSET_ROUTER;
        revert InvalidSelector(selector);
    }

    function _selector(bytes calldata message) private pure returns (bytes4) {
        if (message.length < 4) revert L2WithdrawalMessageWrongLength(message.length);
        return bytes4(message[:4]);
    }
}
