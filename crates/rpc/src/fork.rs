//! What a chain says of its fork in `eth_config` (EIP-7910).

use alloy_eips::eip2124::ForkHash;
use alloy_eips::eip7840::BlobParams;
use alloy_eips::eip7910::{EthForkConfig, SystemContract};
use alloy_primitives::{Address, B256, Bytes};
use revm::precompile::{PrecompileSpecId, Precompiles};
use revm::primitives::hardfork::SpecId;

/// A fork that is active since genesis. `spec` decides the precompiles; `genesis` is the hash of block 0, of which the fork id is made
/// (EIP-6122).
pub fn since_genesis(
    chain_id: u64,
    genesis: B256,
    spec: SpecId,
    blob_schedule: BlobParams,
    system_contracts: impl IntoIterator<Item = (SystemContract, Address)>,
) -> EthForkConfig {
    let precompiles = Precompiles::new(PrecompileSpecId::from_spec_id(spec));
    let named = precompiles.inner().iter().map(|(at, p)| (p.id().name().to_owned(), *at));
    EthForkConfig {
        activation_time: 0,
        blob_schedule,
        chain_id,
        fork_id: Bytes::copy_from_slice(&ForkHash::from(genesis).0),
        precompiles: named.collect(),
        system_contracts: system_contracts.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    #[test]
    fn fork_ids_and_names_are_ethereums() {
        // Mainnet's genesis; EIP-2124 gives its checksum.
        let genesis = b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
        let fork = since_genesis(1, genesis, SpecId::OSAKA, BlobParams::bpo2(), []);
        assert_eq!(fork.fork_id.to_string(), "0xfc64ec04");
        assert_eq!(fork.precompiles["ECREC"], Address::with_last_byte(1));
        assert_eq!(fork.precompiles["P256VERIFY"], Address::left_padding_from(&[1, 0]));
        assert_eq!(fork.precompiles.len(), 18);
        let prague = since_genesis(1, genesis, SpecId::PRAGUE, BlobParams::prague(), []);
        assert_eq!(prague.precompiles.len(), 17);
    }
}
