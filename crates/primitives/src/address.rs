//! Addresses that are part of the protocol: zkSync's system contracts and the predeploys that every chain has at genesis.

use alloy_primitives::{Address, U160, address};

/// The bootloader: formal sender of the L2->L1 log that tells a priority operation's outcome.
pub const BOOTLOADER: Address = address!("0000000000000000000000000000000000008001");
/// Reads of account code hashes.
pub const ACCOUNT_CODE_STORAGE: Address = address!("0000000000000000000000000000000000008002");
/// Reads of account nonces (native in the state-transition function).
pub const NONCE_HOLDER: Address = address!("0000000000000000000000000000000000008003");
/// Account information and deployment by system call.
pub const CONTRACT_DEPLOYER: Address = address!("0000000000000000000000000000000000008006");
/// Sends messages to L1; its `L1MessageSent` event is the hook of the state-transition function.
pub const L1_MESSENGER: Address = address!("0000000000000000000000000000000000008008");
/// The base token: withdrawals and balance reads.
pub const BASE_TOKEN: Address = address!("000000000000000000000000000000000000800a");
/// Block and chain context reads.
pub const SYSTEM_CONTEXT: Address = address!("000000000000000000000000000000000000800b");
/// The L2 side of the bridgehub.
pub const L2_BRIDGEHUB: Address = address!("0000000000000000000000000000000000010002");
/// The L2 side of the asset router.
pub const L2_ASSET_ROUTER: Address = address!("0000000000000000000000000000000000010003");
/// The vault that mints and burns bridged tokens on L2, and names assets on both sides.
pub const L2_NATIVE_TOKEN_VAULT: Address = address!("0000000000000000000000000000000000010004");
/// The L2 side of the message root.
pub const L2_MESSAGE_ROOT: Address = address!("0000000000000000000000000000000000010005");
/// Imported interop roots.
pub const L2_INTEROP_ROOT_STORAGE: Address = address!("0000000000000000000000000000000000010008");
/// Verification of messages against imported roots.
pub const L2_MESSAGE_VERIFICATION: Address = address!("0000000000000000000000000000000000010009");
/// EIP-2935's history contract (native in the state-transition function).
pub const HISTORY_STORAGE: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");
/// The deterministic CREATE2 deployer that Foundry and others expect.
pub const CREATE2_DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
/// Multicall3 at its well-known address.
pub const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");
/// The address under which L1's native asset (ETH) is named in the bridge contracts.
pub const ETH_TOKEN: Address = address!("0000000000000000000000000000000000000001");

/// What an L1 contract's address becomes as the sender of a priority operation, so that it cannot pose as an L2 account of the same address.
const L1_TO_L2_ALIAS_OFFSET: Address = address!("1111000000000000000000000000000000001111");

/// Adds the alias offset modulo 2^160.
pub fn apply_l1_to_l2_alias(l1: Address) -> Address {
    offset(l1, true)
}

/// Inverse of [`apply_l1_to_l2_alias`].
pub fn undo_l1_to_l2_alias(l2: Address) -> Address {
    offset(l2, false)
}

fn offset(a: Address, add: bool) -> Address {
    let a = U160::from_be_bytes(a.into_array());
    let o = U160::from_be_bytes(L1_TO_L2_ALIAS_OFFSET.into_array());
    let r = if add { a.wrapping_add(o) } else { a.wrapping_sub(o) };
    Address::from(r.to_be_bytes::<20>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alias_wraps_and_inverts() {
        let a = address!("ffffffffffffffffffffffffffffffffffffffff");
        let aliased = apply_l1_to_l2_alias(a);
        assert_eq!(aliased, address!("1111000000000000000000000000000000001110"));
        assert_eq!(undo_l1_to_l2_alias(aliased), a);
    }
}
