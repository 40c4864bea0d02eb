//! Calls, events and errors in words: by the ABI of contracts that this chain knows, else by a built-in list of selectors.
//!
//! Everything decoded is untrusted text for display: values are cut, nesting and number of values bounded.

use std::collections::HashMap;

use alloy_dyn_abi::{DynSolValue, EventExt, FunctionExt, JsonAbiExt};
use alloy_json_abi::{Error as AbiError, Event, Function, JsonAbi, Param};
use alloy_primitives::{Address, B256, Bytes, Selector, hex};
use cairn_settlement::artifacts;
use cairn_settlement::revert::describe_revert;
use serde::Deserialize;
use serde_json::{Value, json};

/// Most values of one call or event that are shown.
const MAX_VALUES: usize = 512;
/// Longest input, output or event that is decoded, in bytes.
const MAX_DECODED: usize = 16 << 10;
/// Most bytes of one value that are shown.
const MAX_BYTES: usize = 1024;

/// Signatures that wallets and contracts of everyday use have.
const FUNCTIONS: &[&str] = &[
    "transfer(address to, uint256 amount)",
    "transferFrom(address from, address to, uint256 amount)",
    "approve(address spender, uint256 amount)",
    "increaseAllowance(address spender, uint256 addedValue)",
    "decreaseAllowance(address spender, uint256 subtractedValue)",
    "permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)",
    "mint(address to, uint256 amount)",
    "burn(uint256 amount)",
    "burn(address from, uint256 amount)",
    "safeTransferFrom(address from, address to, uint256 tokenId)",
    "safeTransferFrom(address from, address to, uint256 tokenId, bytes data)",
    "safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes data)",
    "safeBatchTransferFrom(address from, address to, uint256[] ids, uint256[] amounts, bytes data)",
    "setApprovalForAll(address operator, bool approved)",
    "safeMint(address to, uint256 tokenId)",
    "deposit()",
    "deposit(uint256 assets, address receiver)",
    "withdraw(uint256 amount)",
    "withdraw(address l1Receiver)",
    "redeem(uint256 shares, address receiver, address owner)",
    "multicall(bytes[] data)",
    "multicall(uint256 deadline, bytes[] data)",
    "execute(address target, uint256 value, bytes data)",
    "initialize()",
    "initialize(address owner)",
    "transferOwnership(address newOwner)",
    "renounceOwnership()",
    "acceptOwnership()",
    "upgradeTo(address implementation)",
    "upgradeToAndCall(address implementation, bytes data)",
    "grantRole(bytes32 role, address account)",
    "revokeRole(bytes32 role, address account)",
    "pause()",
    "unpause()",
    "claim()",
    "stake(uint256 amount)",
    "unstake(uint256 amount)",
    "delegate(address delegatee)",
    "propose(address[] targets, uint256[] values, bytes[] calldatas, string description)",
    "castVote(uint256 proposalId, uint8 support)",
    "swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] path, address to, uint256 deadline)",
    "swapTokensForExactTokens(uint256 amountOut, uint256 amountInMax, address[] path, address to, uint256 deadline)",
    "swapExactETHForTokens(uint256 amountOutMin, address[] path, address to, uint256 deadline)",
    "swapExactTokensForETH(uint256 amountIn, uint256 amountOutMin, address[] path, address to, uint256 deadline)",
    "addLiquidity(address tokenA, address tokenB, uint256 amountADesired, uint256 amountBDesired, uint256 amountAMin, uint256 amountBMin, address to, uint256 deadline)",
    "addLiquidityETH(address token, uint256 amountTokenDesired, uint256 amountTokenMin, uint256 amountETHMin, address to, uint256 deadline)",
    "removeLiquidity(address tokenA, address tokenB, uint256 liquidity, uint256 amountAMin, uint256 amountBMin, address to, uint256 deadline)",
    "createPair(address tokenA, address tokenB)",
    "swap(uint256 amount0Out, uint256 amount1Out, address to, bytes data)",
    "balanceOf(address account)",
    "allowance(address owner, address spender)",
    "totalSupply()",
    "decimals()",
    "symbol()",
    "name()",
    "ownerOf(uint256 tokenId)",
    "supportsInterface(bytes4 interfaceId)",
    "isValidSignature(bytes32 hash, bytes signature)",
    "onERC721Received(address operator, address from, uint256 tokenId, bytes data)",
    "validateTransaction(bytes32 txHash, bytes32 suggestedSignedHash, (uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256[4],bytes,bytes,bytes32[],bytes,bytes) transaction)",
    "executeTransaction(bytes32 txHash, bytes32 suggestedSignedHash, (uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256[4],bytes,bytes,bytes32[],bytes,bytes) transaction)",
    "payForTransaction(bytes32 txHash, bytes32 suggestedSignedHash, (uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256[4],bytes,bytes,bytes32[],bytes,bytes) transaction)",
    "validateAndPayForPaymasterTransaction(bytes32 txHash, bytes32 suggestedSignedHash, (uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256[4],bytes,bytes,bytes32[],bytes,bytes) transaction)",
    "general(bytes input)",
    "approvalBased(address token, uint256 minAllowance, bytes innerInput)",
];

/// Events of everyday use.
const EVENTS: &[&str] = &[
    "Transfer(address indexed from, address indexed to, uint256 value)",
    "Transfer(address indexed from, address indexed to, uint256 indexed tokenId)",
    "Approval(address indexed owner, address indexed spender, uint256 value)",
    "ApprovalForAll(address indexed owner, address indexed operator, bool approved)",
    "TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value)",
    "TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values)",
    "OwnershipTransferred(address indexed previousOwner, address indexed newOwner)",
    "RoleGranted(bytes32 indexed role, address indexed account, address indexed sender)",
    "Upgraded(address indexed implementation)",
    "Initialized(uint64 version)",
    "Deposit(address indexed dst, uint256 wad)",
    "Withdrawal(address indexed src, uint256 wad)",
    "Sync(uint112 reserve0, uint112 reserve1)",
    "Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out, uint256 amount1Out, address indexed to)",
    "PairCreated(address indexed token0, address indexed token1, address pair, uint256 count)",
];

/// What is known of a contract by its address.
#[derive(Debug)]
struct Known {
    name: String,
    abi: JsonAbi,
}

/// The decoder of one layer.
#[derive(Debug, Default)]
pub struct Decoder {
    known: HashMap<Address, Known>,
    functions: HashMap<Selector, Vec<Function>>,
    events: HashMap<B256, Vec<Event>>,
    errors: HashMap<Selector, AbiError>,
}

#[derive(Deserialize)]
struct Predeploy {
    address: Address,
    name: String,
}

impl Decoder {
    /// The decoder of a chain of ours: its predeploys by address, everything else by selector.
    pub fn l2() -> Self {
        let mut decoder = Self::by_selector();
        let list = artifacts::text("predeploys").ok();
        let list: Vec<Predeploy> =
            list.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        for predeploy in list {
            decoder.know(predeploy.address, &predeploy.name);
        }
        decoder
    }

    /// The decoder of L1, with the contracts at these addresses (address, name of the artifact).
    pub fn l1(contracts: &[(Address, &str)]) -> Self {
        let mut decoder = Self::by_selector();
        for (address, name) in contracts {
            decoder.know(*address, name);
        }
        decoder
    }

    fn by_selector() -> Self {
        let mut decoder = Self::default();
        for function in FUNCTIONS.iter().filter_map(|s| Function::parse(s).ok()) {
            decoder.add_function(function);
        }
        for event in EVENTS.iter().filter_map(|s| Event::parse(s).ok()) {
            decoder.add_event(event);
        }
        for abi in artifacts::names().filter_map(abi_of) {
            abi.functions().for_each(|f| decoder.add_function(f.clone()));
            abi.events().for_each(|e| decoder.add_event(e.clone()));
            for error in abi.errors() {
                decoder.errors.entry(error.selector()).or_insert_with(|| error.clone());
            }
        }
        decoder
    }

    fn add_function(&mut self, function: Function) {
        let all = self.functions.entry(function.selector()).or_default();
        if !all.iter().any(|f| f.signature() == function.signature()) {
            all.push(function);
        }
    }

    fn add_event(&mut self, event: Event) {
        let indexed = |e: &Event| e.inputs.iter().map(|p| p.indexed).collect::<Vec<_>>();
        let all = self.events.entry(event.selector()).or_default();
        if !all.iter().any(|e| indexed(e) == indexed(&event)) {
            all.push(event);
        }
    }

    fn know(&mut self, address: Address, name: &str) {
        if let Some(abi) = abi_of(name) {
            self.known.insert(address, Known { name: name.to_owned(), abi });
        }
    }

    /// Name of a known contract.
    pub fn contract(&self, address: Address) -> Option<&str> {
        self.known.get(&address).map(|k| k.name.as_str())
    }

    /// Signatures of a known contract's functions, for its page.
    pub fn functions_of(&self, address: Address) -> Option<Vec<String>> {
        let known = self.known.get(&address)?;
        let mut all: Vec<_> = known.abi.functions().map(Function::full_signature).collect();
        all.sort();
        Some(all)
    }

    /// The name of the function that a call names, for lists.
    pub fn method(&self, to: Option<Address>, input: &[u8]) -> Option<String> {
        self.function(to, input).map(|(f, _)| f.name.clone())
    }

    /// The function, and whether it is known of this very contract.
    fn function(&self, to: Option<Address>, input: &[u8]) -> Option<(&Function, bool)> {
        let selector = Selector::from(*input.first_chunk::<4>()?);
        let known = to.and_then(|a| self.known.get(&a));
        let own = known.and_then(|k| k.abi.functions().find(|f| f.selector() == selector));
        if let Some(function) = own {
            return Some((function, true));
        }
        let all = self.functions.get(&selector)?;
        let fits = |f: &&Function| decoded(&input[4..], |data| f.abi_decode_input(data)).is_some();
        let several = all.len() > 1;
        all.iter().filter(|_| several).find(fits).or_else(|| all.first()).map(|f| (f, false))
    }

    /// A call in words: `{name, signature, contract, certain, args: [{name, type, value}]}`.
    pub fn call(&self, to: Option<Address>, input: &[u8]) -> Option<Value> {
        let (function, certain) = self.function(to, input)?;
        let values = decoded(&input[4..], |data| function.abi_decode_input(data));
        let mut budget = MAX_VALUES;
        let args = values.map(|v| show_params(&function.inputs, &v, &mut budget));
        Some(json!({
            "name": function.name, "signature": function.signature(),
            "contract": to.and_then(|a| self.contract(a)), "certain": certain, "args": args,
        }))
    }

    /// What a call returned: `[{name, type, value}]`.
    pub fn output(&self, to: Address, input: &[u8], output: &[u8]) -> Option<Value> {
        let (function, _) = self.function(Some(to), input)?;
        let values = decoded(output, |data| function.abi_decode_output(data))?;
        let mut budget = MAX_VALUES;
        Some(show_params(&function.outputs, &values, &mut budget))
    }

    /// An event in words: `{name, signature, contract, args}`.
    pub fn event(&self, address: Address, topics: &[B256], data: &[u8]) -> Option<Value> {
        let topic = topics.first()?;
        let known = self.known.get(&address);
        let own = known.and_then(|k| k.abi.events().find(|e| e.selector() == *topic));
        let others = self.events.get(topic).into_iter().flatten();
        own.into_iter().chain(others).find_map(|event| {
            let decoded =
                decoded(data, |data| event.decode_log_parts(topics.iter().copied(), data))?;
            let (mut indexed, mut body) = (decoded.indexed.iter(), decoded.body.iter());
            let mut budget = MAX_VALUES;
            let args: Vec<Value> = event
                .inputs
                .iter()
                .filter_map(|p| {
                    let value = if p.indexed { indexed.next() } else { body.next() }?;
                    Some(json!({
                        "name": p.name, "type": p.ty, "indexed": p.indexed,
                        "value": show(&p.components, value, &mut budget),
                    }))
                })
                .collect();
            Some(json!({
                "name": event.name, "signature": event.signature(),
                "contract": self.contract(address), "args": args,
            }))
        })
    }

    /// Return data of a failure in words.
    pub fn failure(&self, data: &Bytes) -> Option<String> {
        let selector = Selector::from(*data.first_chunk::<4>()?);
        if let Some(error) = self.errors.get(&selector)
            && let Some(values) = decoded(&data[4..], |data| error.abi_decode_input(data))
        {
            let mut budget = MAX_VALUES;
            let words: Vec<String> = error
                .inputs
                .iter()
                .zip(&values)
                .map(|(p, v)| {
                    let value = plain(&show(&p.components, v, &mut budget));
                    if p.name.is_empty() { value } else { format!("{}: {value}", p.name) }
                })
                .collect();
            return Some(format!("{}({})", error.name, words.join(", ")));
        }
        let text: String = describe_revert(data).chars().take(MAX_BYTES).collect();
        Some(text)
    }
}

/// Decodes what is short enough. Parts of an encoding may overlap, so that what comes of it is up to the square of its length.
fn decoded<T, E>(data: &[u8], decode: impl FnOnce(&[u8]) -> Result<T, E>) -> Option<T> {
    if data.len() > MAX_DECODED {
        return None;
    }
    decode(data).ok()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn abi_of(name: &str) -> Option<JsonAbi> {
    serde_json::from_value(artifacts::artifact(name).ok()?.abi.clone()).ok()
}

fn show_params(params: &[Param], values: &[DynSolValue], budget: &mut usize) -> Value {
    let shown = params.iter().zip(values).map(
        |(p, v)| json!({ "name": p.name, "type": p.ty, "value": show(&p.components, v, budget) }),
    );
    Value::Array(shown.collect())
}

/// A value as JSON: numbers as decimal strings, bytes as hex, arrays and tuples as arrays (tuples of `{name, type, value}`).
fn show(components: &[Param], value: &DynSolValue, budget: &mut usize) -> Value {
    if *budget == 0 {
        return Value::from("…");
    }
    *budget -= 1;
    match value {
        DynSolValue::Bool(b) => Value::from(if *b { "true" } else { "false" }),
        DynSolValue::Int(i, _) => Value::from(i.to_string()),
        DynSolValue::Uint(u, _) => Value::from(u.to_string()),
        DynSolValue::FixedBytes(word, size) => Value::from(show_bytes(&word[..(*size).min(32)])),
        DynSolValue::Address(a) => json!(a),
        DynSolValue::Function(f) => Value::from(show_bytes(f.as_slice())),
        DynSolValue::Bytes(b) => Value::from(show_bytes(b)),
        DynSolValue::String(s) => Value::from(s.chars().take(MAX_BYTES).collect::<String>()),
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) => {
            let mut out = Vec::new();
            for value in values {
                out.push(show(components, value, budget));
                if *budget == 0 {
                    break;
                }
            }
            Value::Array(out)
        }
        DynSolValue::Tuple(values) | DynSolValue::CustomStruct { tuple: values, .. } => {
            show_params(components, values, budget)
        }
    }
}

fn show_bytes(bytes: &[u8]) -> String {
    let shown = hex::encode_prefixed(&bytes[..bytes.len().min(MAX_BYTES)]);
    if bytes.len() > MAX_BYTES { format!("{shown}… ({} bytes)", bytes.len()) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use alloy_sol_types::{SolCall, SolError, SolValue, sol};

    sol! {
        function transfer(address to, uint256 amount) external returns (bool);
        function withdraw(address l1Receiver) external payable;
        error Error(string);
    }

    #[test]
    fn every_built_in_signature_parses() {
        for text in FUNCTIONS {
            Function::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
        for text in EVENTS {
            Event::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
    }

    #[test]
    fn calls_are_decoded_by_contract_and_by_selector() {
        let decoder = Decoder::l2();
        let to = Address::repeat_byte(1);
        let input = transferCall { to, amount: U256::from(7) }.abi_encode();
        let call = decoder.call(Some(Address::repeat_byte(9)), &input).unwrap();
        assert_eq!((&call["name"], &call["certain"]), (&json!("transfer"), &json!(false)));
        assert_eq!(call["args"][1]["value"], "7");
        let base = cairn_primitives::address::BASE_TOKEN;
        let call = decoder.call(Some(base), &withdrawCall { l1Receiver: to }.abi_encode()).unwrap();
        assert_eq!((&call["contract"], &call["certain"]), (&json!("L2BaseToken"), &json!(true)));
        // Short, cut and unknown input is no error.
        assert!(decoder.call(None, &[1, 2]).is_none());
        assert!(decoder.call(None, &input[..20]).unwrap()["args"].is_null());
        assert!(decoder.call(None, &[0xde, 0xad, 0xbe, 0xef]).is_none());
    }

    #[test]
    fn values_are_bounded() {
        let mut budget = 10;
        let many = DynSolValue::Array(vec![DynSolValue::Bool(true); 100_000]);
        let shown = show(&[], &many, &mut budget);
        assert!(shown.as_array().unwrap().len() <= 10);
        let long = DynSolValue::Bytes(vec![0xab; 1 << 20]);
        assert!(plain(&show(&[], &long, &mut MAX_VALUES.clone())).len() < 3_000);
    }

    #[test]
    fn structs_are_shown_field_by_field() {
        let decoder = Decoder::l1(&[(Address::repeat_byte(3), "L1Nullifier")]);
        let selector = cairn_settlement::bindings::L1Nullifier::finalizeDepositCall::SELECTOR;
        type Words = (U256, U256, U256, Address, u16, Bytes, Vec<B256>);
        let params: Words = (
            U256::from(271),
            U256::from(4),
            U256::ZERO,
            Address::ZERO,
            0,
            Bytes::new(),
            Vec::new(),
        );
        let input = [&selector[..], &(params,).abi_encode_params()].concat();
        let call = decoder.call(Some(Address::repeat_byte(3)), &input).unwrap();
        let fields = &call["args"][0]["value"];
        assert_eq!((&fields[0]["name"], &fields[0]["value"]), (&json!("chainId"), &json!("271")));
        assert_eq!(fields[1]["value"], "4");
    }

    #[test]
    fn failures_are_told_in_words() {
        let decoder = Decoder::l2();
        let data = ("<img src=x onerror=alert(1)>".to_owned(),).abi_encode_params();
        let revert = [&Error::SELECTOR[..], &data].concat();
        assert_eq!(decoder.failure(&revert.into()).unwrap(), "<img src=x onerror=alert(1)>");
        assert_eq!(decoder.failure(&Bytes::new()), None);
    }
}
