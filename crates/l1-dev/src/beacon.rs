//! The part of the beacon API that blob readers use, on the JSON-RPC port: `GET /eth/v1/beacon/blobs/{block}` and
//! `GET /eth/v1/beacon/genesis`. A slot is a block number here.

use crate::chain::Node;
use alloy_consensus::Transaction as _;
use alloy_primitives::B256;
use cairn_rpc::{BlockRef, Chain, NamedBlock, RestHandler, RestReply};
use serde_json::json;

/// Most hashes in one query.
const MAX_HASHES: usize = 128;

fn error(status: u16, message: &str) -> RestReply {
    RestReply::json(status, &json!({ "code": status, "message": message }))
}

/// The hashes of `versioned_hashes=a,b&versioned_hashes=c`; `None` if one does not parse or there are too many.
fn wanted(query: Option<&str>) -> Option<Vec<B256>> {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.strip_prefix("versioned_hashes="));
    let hashes: Vec<B256> =
        pairs.flat_map(|list| list.split(',')).map(str::parse).collect::<Result<_, _>>().ok()?;
    (hashes.len() <= MAX_HASHES).then_some(hashes)
}

impl Node {
    fn beacon_block(&self, id: &str) -> Option<BlockRef> {
        let named = |name| self.named_block(name).ok().flatten().map(BlockRef::Number);
        match id {
            "head" => named(NamedBlock::Latest),
            "genesis" => Some(BlockRef::Number(0)),
            "finalized" => named(NamedBlock::Finalized),
            "justified" => named(NamedBlock::Safe),
            _ if id.starts_with("0x") => id.parse().ok().map(BlockRef::Hash),
            _ => id.parse().ok().map(BlockRef::Number),
        }
    }

    fn beacon_blobs(&self, id: &str, query: Option<&str>) -> RestReply {
        let Some(block) = self.beacon_block(id) else { return error(400, "invalid block id") };
        let Some(wanted) = wanted(query) else { return error(400, "invalid versioned_hashes") };
        let block = match self.0.block(block) {
            Ok(Some(block)) => block,
            Ok(None) => return error(404, "block not found"),
            Err(e) => return error(500, &e.to_string()),
        };
        let hashes = block.txs.iter().filter_map(|t| t.tx.blob_versioned_hashes()).flatten();
        let hashes = hashes.filter(|hash| wanted.is_empty() || wanted.contains(hash));
        match hashes.map(|hash| self.0.store.blob(*hash)).collect::<Result<Option<Vec<_>>, _>>() {
            Ok(Some(blobs)) => {
                let finalized = self
                    .named_block(NamedBlock::Finalized)
                    .ok()
                    .flatten()
                    .is_some_and(|n| n >= block.number());
                RestReply::json(
                    200,
                    &json!({ "execution_optimistic": false, "finalized": finalized, "data": blobs }),
                )
            }
            Ok(None) => error(404, "blobs are not kept any more"),
            Err(e) => error(500, &e.to_string()),
        }
    }
}

impl RestHandler for Node {
    fn get(&self, path: &str, query: Option<&str>) -> Option<RestReply> {
        if let Some(id) = path.strip_prefix("/eth/v1/beacon/blobs/") {
            return Some(self.beacon_blobs(id, query));
        }
        if path == "/eth/v1/beacon/genesis" {
            let time = self.0.block_by_number(0).ok().flatten().map_or(0, |b| b.header.timestamp);
            let data = json!({ "genesis_time": time.to_string(), "genesis_validators_root": B256::ZERO, "genesis_fork_version": "0x00000000" });
            return Some(RestReply::json(200, &json!({ "data": data })));
        }
        None
    }
}
