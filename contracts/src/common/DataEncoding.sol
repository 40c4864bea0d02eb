// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import "../interfaces/Errors.sol";
import {L2_NATIVE_TOKEN_VAULT, NEW_ENCODING_VERSION} from "./Constants.sol";

/// @title The bridge's payloads, as zkSync encodes them.
library DataEncoding {
    /// @dev The name of a token across the family.
    function assetId(uint256 originChainId, address token) internal pure returns (bytes32) {
        return keccak256(abi.encode(originChainId, L2_NATIVE_TOKEN_VAULT, token));
    }

    /// @dev What one side tells the other: who sent, who receives, what and how much.
    function bridgeMintData(
        address originalCaller,
        address receiver,
        address originToken,
        uint256 amount,
        bytes memory metadata
    ) internal pure returns (bytes memory) {
        return abi.encode(originalCaller, receiver, originToken, amount, metadata);
    }

    function decodeBridgeMintData(bytes memory data)
        internal
        pure
        returns (address originalCaller, address receiver, address originToken, uint256 amount, bytes memory metadata)
    {
        return abi.decode(data, (address, address, address, uint256, bytes));
    }

    /// @dev What a user tells its own side.
    function decodeTransferData(bytes memory data)
        internal
        pure
        returns (uint256 amount, address receiver, address token)
    {
        return abi.decode(data, (uint256, address, address));
    }

    function tokenMetadata(uint256 originChainId, bytes memory name, bytes memory symbol, bytes memory decimals_)
        internal
        pure
        returns (bytes memory)
    {
        return bytes.concat(NEW_ENCODING_VERSION, abi.encode(originChainId, name, symbol, decimals_));
    }

    /// @dev Identifies a deposit until its outcome on L2 is known. The decoded fields are hashed, so that one deposit has one hash whatever bytes
    /// the caller padded it with.
    function txDataHash(address originalCaller, bytes32 assetId_, bytes memory transferData)
        internal
        pure
        returns (bytes32)
    {
        (uint256 amount, address receiver, address token) = decodeTransferData(transferData);
        return keccak256(
            bytes.concat(
                NEW_ENCODING_VERSION, abi.encode(originalCaller, assetId_, abi.encode(amount, receiver, token))
            )
        );
    }
}
