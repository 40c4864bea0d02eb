//! The calls between bootloader, account, paymaster and token.

use alloc::vec::Vec;

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue, sol};
use cairn_primitives::eip712::EIP712_TX_TYPE;

use super::Work;

sol! {
    /// zkSync's transaction as account and paymaster code sees it.
    #[derive(Debug, PartialEq, Eq)]
    struct AaTransaction {
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
        bytes32[] factoryDeps;
        bytes paymasterInput;
        bytes reservedDynamic;
    }

    function validateTransaction(bytes32 txHash, bytes32 signedHash, AaTransaction transaction) external payable returns (bytes4 magic);
    function payForTransaction(bytes32 txHash, bytes32 signedHash, AaTransaction transaction) external payable;
    function prepareForPaymaster(bytes32 txHash, bytes32 signedHash, AaTransaction transaction) external payable;
    function executeTransaction(bytes32 txHash, bytes32 signedHash, AaTransaction transaction) external payable;
    function validateAndPayForPaymasterTransaction(bytes32 txHash, bytes32 signedHash, AaTransaction transaction) external payable returns (bytes4 magic, bytes context);
    function postTransaction(bytes context, AaTransaction transaction, bytes32 txHash, bytes32 signedHash, uint8 txResult, uint256 maxRefundedGas) external payable;

    function allowance(address owner, address spender) external view returns (uint256);
    function approve(address spender, uint256 amount) external returns (bool);

    /// The flows that a paymaster's input names.
    #[derive(Debug, PartialEq, Eq)]
    interface PaymasterFlow {
        function general(bytes input) external;
        function approvalBased(address token, uint256 minAllowance, bytes innerInput) external;
    }
}

/// The transaction as its account and paymaster see it. `reserved[1]` is 1 for a creation: `to` is zero then.
pub(super) fn transaction(work: &Work<'_>) -> AaTransaction {
    let tx = work.tx;
    let number = |a: Address| -> U256 { a.into_word().into() };
    let (paymaster, input) = match &tx.paymaster {
        Some(p) => (p.paymaster, p.input.clone()),
        None => (Address::ZERO, Bytes::new()),
    };
    let creation = U256::from(u8::from(tx.to.is_none()));
    AaTransaction {
        txType: U256::from(EIP712_TX_TYPE),
        from: number(tx.from),
        to: number(tx.to.unwrap_or_default()),
        gasLimit: U256::from(tx.gas_limit),
        gasPerPubdataByteLimit: U256::from(tx.gas_per_pubdata),
        maxFeePerGas: U256::from(tx.max_fee_per_gas),
        maxPriorityFeePerGas: U256::from(tx.max_priority_fee_per_gas),
        paymaster: number(paymaster),
        nonce: U256::from(tx.nonce),
        value: tx.value,
        reserved: [tx.value, creation, U256::ZERO, U256::ZERO],
        data: tx.data.clone(),
        signature: tx.signature.clone(),
        factoryDeps: Vec::new(),
        paymasterInput: input,
        reservedDynamic: Bytes::new(),
    }
}

/// Calldata of the calls that take `(txHash, signedHash, transaction)`: encoded once, called under several selectors.
pub(super) struct Arguments(Vec<u8>);

impl Arguments {
    pub(super) fn new(work: &Work<'_>) -> Self {
        let args = (work.hash, work.digest, transaction(work)).abi_encode_params();
        let mut calldata = Vec::with_capacity(args.len() + 4);
        calldata.extend([0; 4]);
        calldata.extend(args);
        Self(calldata)
    }

    /// The calldata of `C`.
    pub(super) fn of<C: SolCall>(&self) -> Bytes {
        let mut calldata = self.0.clone();
        calldata[..4].copy_from_slice(&C::SELECTOR);
        calldata.into()
    }
}
