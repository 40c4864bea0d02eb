//! How deep an L1 block lies before what it holds is taken for good.
//!
//! A deposit that the rollup has executed cannot be taken back: were its L1 block reorganised away, the chain would have minted what nobody locked.

/// Depth on an L1 that others use: two epochs, after which Ethereum's own finality has passed over a block in ordinary times.
pub const SAFE: u64 = 64;

/// Chain ids by which development chains are known: anvil, Hardhat and the embedded L1; Ganache and geth's `--dev`; Reth's `--dev`.
const DEVELOPMENT: [u64; 3] = [31_337, 1_337, 1_338];

/// The depth: what was asked for, else none on the embedded L1 and on a development chain, and [`SAFE`] on every other.
pub fn depth(asked: Option<u64>, external: bool, l1_chain_id: u64) -> u64 {
    asked.unwrap_or(if is_development(external, l1_chain_id) { 0 } else { SAFE })
}

/// Whether an L1 is the embedded one or has a development chain's id.
pub fn is_development(external: bool, l1_chain_id: u64) -> bool {
    !external || DEVELOPMENT.contains(&l1_chain_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_safe_where_it_matters() {
        assert_eq!(depth(None, true, 1), SAFE);
        assert_eq!(depth(None, true, 11_155_111), SAFE);
        assert_eq!(depth(None, true, 31_337), 0);
        assert_eq!(depth(None, false, 9), 0);
        assert_eq!(depth(Some(3), true, 1), 3);
        assert_eq!(depth(Some(0), true, 1), 0);
        assert_eq!(depth(Some(5), false, 31_337), 5);
    }
}
