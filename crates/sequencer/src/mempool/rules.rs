//! What the code of accounts and paymasters may do before their transaction is in a block: ERC-7562's rules in short, so that one change of state
//! cannot make a thousand waiting transactions invalid. They are the pool's alone: a block may hold what breaks them.
//!
//! - No opcode that answers differently from block to block or place to place (time, block, origin, other balances, gas outside of calls), none that
//!   creates or destroys a contract. The base fee is allowed: it changes with the chain's parameters only.
//! - Storage: the account's own and the paymaster's own; in other contracts only slots that belong to one of the two, that is, whose place is a
//!   hash of its address (balances, allowances), and up to 128 words on; and ERC-1967's places of a proxy's implementation, for reading.
//! - Value may be sent to the bootloader alone.
//! - Only code that stays is called or looked at: of the two, of contracts, and the chain's own; no delegation (EIP-7702), no address whose code may come.
//!   NonceHolder tells of the two alone, the history of blocks nothing.

use std::collections::HashSet;

use alloy_primitives::{Address, U256, b256, keccak256};
use alloy_sol_types::{SolCall, sol};
use cairn_primitives::Eip712Tx;
use cairn_primitives::address::{BOOTLOADER, HISTORY_STORAGE, NONCE_HOLDER};
use cairn_stf::StateReader;
use cairn_stf::evm::CairnContext;
use revm::Inspector;
use revm::bytecode::opcode;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{Jumps, MemoryTr};
use revm::interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter};

/// Most slots that a validation may touch.
const MAX_SLOTS: usize = 256;
/// Words that belong to an account after a hash of its address.
const ASSOCIATED_WORDS: u64 = 128;
/// Longest hashed data that is looked at: an address and a slot are 64 bytes.
const MAX_PREIMAGE: usize = 128;
/// Where ERC-1967 proxies keep their implementation and their beacon.
const PROXY_SLOTS: [U256; 2] = [
    U256::from_be_bytes(
        b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc").0,
    ),
    U256::from_be_bytes(
        b256!("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50").0,
    ),
];

sol! {
    // NonceHolder's questions about an account that is named.
    function getMinNonce(address account);
    function getRawNonce(address account);
    function getDeploymentNonce(address account);
    function isNonceUsed(address account, uint256 nonce);
    function validateNonceUsage(address account, uint256 key, bool shouldBeUsed);
}

/// The account that a call of NonceHolder names.
fn asks_about(input: &[u8]) -> Option<Address> {
    let questions = [
        getMinNonceCall::SELECTOR,
        getRawNonceCall::SELECTOR,
        getDeploymentNonceCall::SELECTOR,
        isNonceUsedCall::SELECTOR,
        validateNonceUsageCall::SELECTOR,
    ];
    let asks = questions.iter().any(|q| input.starts_with(q));
    asks.then(|| input.get(16..36).map(Address::from_slice)).flatten()
}

/// Watches a validation.
#[derive(Debug)]
pub(crate) struct Rules {
    parties: Vec<Address>,
    /// Hashes of data that begins with a party's address.
    associated: HashSet<U256>,
    depth: usize,
    after_gas: bool,
    /// Slots read or written.
    pub(crate) slots: HashSet<(Address, U256)>,
    /// Addresses whose code was run or looked at: it must be there, and stay.
    pub(crate) coded: HashSet<Address>,
    /// The first rule that was broken.
    pub(crate) broken: Option<String>,
}

impl Rules {
    pub(crate) fn new(tx: &Eip712Tx) -> Self {
        let mut parties = vec![tx.from];
        parties.extend(tx.paymaster.as_ref().map(|p| p.paymaster));
        Self {
            parties,
            associated: HashSet::new(),
            depth: 0,
            after_gas: false,
            slots: HashSet::new(),
            coded: HashSet::new(),
            broken: None,
        }
    }

    fn fail(&mut self, rule: impl FnOnce() -> String) {
        self.broken.get_or_insert_with(rule);
    }

    fn storage(&mut self, at: Address, slot: U256, writes: bool) {
        if self.slots.len() >= MAX_SLOTS {
            return self.fail(|| format!("validation touches more than {MAX_SLOTS} storage slots"));
        }
        self.slots.insert((at, slot));
        let own = self.parties.contains(&at) || at == NONCE_HOLDER;
        let proxy = !writes && PROXY_SLOTS.contains(&slot);
        if own || proxy || self.is_associated(slot) {
            return;
        }
        let does = if writes { "writes" } else { "reads" };
        self.fail(|| {
            format!(
                "validation {does} slot {slot:#x} of {at}, which belongs neither to the account nor to its paymaster"
            )
        });
    }

    fn is_associated(&self, slot: U256) -> bool {
        self.associated.iter().any(|h| slot.wrapping_sub(*h) <= U256::from(ASSOCIATED_WORDS))
    }

    /// Notes the hash of `address || ..`: a mapping's place for that address.
    fn hashed(&mut self, data: &[u8]) {
        let begins = |a: &Address| data.len() > 32 && data[..32] == a.into_word()[..];
        if self.parties.iter().any(begins) && self.associated.len() < 4 * MAX_SLOTS {
            self.associated.insert(keccak256(data).into());
        }
    }

    /// The code at this address answers. Nobody deploys among the lowest addresses, which are the chain's.
    fn code(&mut self, at: Address) {
        if at == HISTORY_STORAGE {
            self.fail(|| "validation asks for the hashes of blocks".into());
        }
        if !self.parties.contains(&at) && at.0[..18] != [0; 18] && at != HISTORY_STORAGE {
            self.coded.insert(at);
        }
    }

    /// A call of NonceHolder.
    fn nonces(&mut self, input: &[u8]) {
        if let Some(whose) = asks_about(input)
            && !self.parties.contains(&whose)
        {
            self.fail(|| format!("validation asks for the nonces of {whose}"));
        }
    }

    fn opcode(&mut self, op: u8, at: Address) {
        if op == opcode::SELFBALANCE && !self.parties.contains(&at) {
            self.fail(|| format!("validation asks for the balance of {at}"));
        }
        if self.after_gas && !is_call(op) {
            self.fail(|| "validation uses GAS for other than a call".into());
        }
        self.after_gas = op == opcode::GAS;
        if let Some(name) = forbidden(op) {
            self.fail(|| format!("validation uses the forbidden opcode {name}"));
        }
    }
}

fn is_call(op: u8) -> bool {
    matches!(op, opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL)
}

fn forbidden(op: u8) -> Option<&'static str> {
    let banned = matches!(
        op,
        opcode::BALANCE
            | opcode::ORIGIN
            | opcode::BLOCKHASH
            | opcode::COINBASE
            | opcode::TIMESTAMP
            | opcode::NUMBER
            | opcode::DIFFICULTY
            | opcode::GASLIMIT
            | opcode::BLOBHASH
            | opcode::BLOBBASEFEE
            | opcode::CREATE
            | opcode::CREATE2
            | opcode::SELFDESTRUCT
    );
    banned.then(|| opcode::OpCode::new(op).map_or("", |o| o.as_str()))
}

/// Up to [`MAX_PREIMAGE`] bytes of memory; what is beyond its end is zero.
fn memory(interp: &Interpreter<EthInterpreter>, offset: U256, len: U256) -> Option<Vec<u8>> {
    let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
    if len > MAX_PREIMAGE {
        return None;
    }
    let size = interp.memory.size();
    let mut out = vec![0; len];
    let there = size.saturating_sub(offset).min(len);
    if there > 0 {
        out[..there].copy_from_slice(&interp.memory.slice_len(offset, there));
    }
    Some(out)
}

impl<R: StateReader> Inspector<CairnContext<R>, EthInterpreter> for Rules {
    fn step(&mut self, interp: &mut Interpreter<EthInterpreter>, _: &mut CairnContext<R>) {
        let op = interp.bytecode.opcode();
        let at = interp.input.target_address;
        self.opcode(op, at);
        match op {
            opcode::SLOAD | opcode::TLOAD => {
                if let Ok(slot) = interp.stack.peek(0) {
                    self.storage(at, slot, false);
                }
            }
            opcode::SSTORE | opcode::TSTORE => {
                if let Ok(slot) = interp.stack.peek(0) {
                    self.storage(at, slot, true);
                }
            }
            opcode::EXTCODESIZE | opcode::EXTCODECOPY | opcode::EXTCODEHASH => {
                if let Ok(at) = interp.stack.peek(0) {
                    self.code(Address::from_word(at.into()));
                }
            }
            opcode::KECCAK256 => {
                if let (Ok(offset), Ok(len)) = (interp.stack.peek(0), interp.stack.peek(1))
                    && let Some(data) = memory(interp, offset, len)
                {
                    self.hashed(&data);
                }
            }
            _ => {}
        }
    }

    fn call(&mut self, ctx: &mut CairnContext<R>, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.after_gas = false;
        self.code(inputs.bytecode_address);
        if inputs.bytecode_address == NONCE_HOLDER {
            self.nonces(&inputs.input.bytes(ctx));
        }
        let sends = inputs.value.transfer().is_some_and(|v| !v.is_zero());
        if self.depth > 0 && sends && inputs.target_address != BOOTLOADER {
            let to = inputs.target_address;
            self.fail(|| format!("validation sends value to {to}, which is not the bootloader"));
        }
        self.depth += 1;
        None
    }

    fn call_end(&mut self, _: &mut CairnContext<R>, _: &CallInputs, _: &mut CallOutcome) {
        self.depth -= 1;
        self.after_gas = false;
    }

    fn create(&mut self, _: &mut CairnContext<R>, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.depth += 1;
        None
    }

    fn create_end(&mut self, _: &mut CairnContext<R>, _: &CreateInputs, _: &mut CreateOutcome) {
        self.depth -= 1;
    }
}
