//! Log filters and `eth_getLogs`.

use crate::chain::BlockRef;
use crate::context::{Context, Module, Registered, heavy};
use crate::error::{ChainError, Result};
use crate::params::BlockArg;
use crate::server::Limits;
use crate::view::Log;
use alloy_primitives::{Address, B256, Bloom, BloomInput};
use serde::{Deserialize, Deserializer};

/// Greatest number of addresses, or of alternatives for one topic, in a filter.
const MAX_ALTERNATIVES: usize = 1024;
/// Bytes of a log in JSON without its data, about.
const LOG_JSON: usize = 800;

/// One value or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

/// Alternatives; empty stands for anything.
#[derive(Clone, Debug, Default)]
struct AnyOf<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AnyOf<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let values = match Option::<OneOrMany<T>>::deserialize(d)? {
            None => Vec::new(),
            Some(OneOrMany::One(value)) => vec![value],
            Some(OneOrMany::Many(values)) => values,
        };
        if values.len() > MAX_ALTERNATIVES {
            return Err(serde::de::Error::custom(
                "exceeds the number of addresses or topics of a filter",
            ));
        }
        Ok(Self(values))
    }
}

impl<T: PartialEq> AnyOf<T> {
    fn matches(&self, value: &T) -> bool {
        self.0.is_empty() || self.0.contains(value)
    }
}

/// What a client asks for with `eth_getLogs`, `eth_newFilter` and `eth_subscribe("logs")`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogFilter {
    #[serde(default)]
    from_block: Option<BlockArg>,
    #[serde(default)]
    to_block: Option<BlockArg>,
    #[serde(default)]
    block_hash: Option<B256>,
    #[serde(default)]
    address: AnyOf<Address>,
    #[serde(default)]
    topics: Option<Vec<AnyOf<B256>>>,
}

impl LogFilter {
    fn topics(&self) -> &[AnyOf<B256>] {
        self.topics.as_deref().unwrap_or_default()
    }

    /// Refuses contradictions and more topics than a log can have.
    pub(crate) fn check(&self) -> Result<()> {
        if self.block_hash.is_some() && (self.from_block.is_some() || self.to_block.is_some()) {
            return Err(ChainError::InvalidParams(
                "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"
                    .into(),
            ));
        }
        if self.topics().len() > 4 {
            return Err(ChainError::InvalidParams("exceed max topics".into()));
        }
        Ok(())
    }

    pub(crate) fn matches(&self, log: &Log) -> bool {
        let topics = log.data.topics();
        self.address.matches(&log.address)
            && self.topics().iter().enumerate().all(|(i, want)| {
                want.0.is_empty() || topics.get(i).is_some_and(|t| want.matches(t))
            })
    }

    /// False only if a block of that bloom cannot hold a match.
    fn may_match(&self, bloom: &Bloom) -> bool {
        let has = |raw: &[u8]| bloom.contains_input(BloomInput::Raw(raw));
        (self.address.0.is_empty() || self.address.0.iter().any(|a| has(a.as_slice())))
            && self
                .topics()
                .iter()
                .all(|want| want.0.is_empty() || want.0.iter().any(|t| has(t.as_slice())))
    }
}

/// The logs that match, in order of the chain.
pub(crate) fn get_logs(ctx: &Context, filter: &LogFilter) -> Result<Vec<Log>> {
    filter.check()?;
    if let Some(hash) = filter.block_hash {
        let receipts = ctx
            .chain
            .receipts(BlockRef::Hash(hash))?
            .ok_or_else(|| ChainError::InvalidParams("unknown block".into()))?;
        let logs = receipts.into_iter().flat_map(|r| r.logs);
        return Ok(logs.filter(|log| filter.matches(log)).collect());
    }
    let head = ctx.head()?;
    let bound = |arg: Option<BlockArg>| arg.map_or(Ok(head), |arg| ctx.number(arg));
    let (from, to) = (bound(filter.from_block)?, bound(filter.to_block)?);
    if from > to {
        return Err(ChainError::InvalidParams("invalid block range params".into()));
    }
    collect(ctx, filter, from, to.min(head))
}

/// What one answer may still hold.
pub(crate) struct Budget {
    logs: usize,
    bytes: usize,
}

impl Budget {
    pub(crate) const fn new(limits: &Limits) -> Self {
        // An answer is built as values before it is text, so it may not be much more than what is sent.
        Self { logs: limits.max_log_results, bytes: limits.max_response_body as usize }
    }

    /// Counts logs in; false when they are too much.
    pub(crate) fn takes(&mut self, logs: &[Log]) -> bool {
        let bytes = logs.iter().map(|l| LOG_JSON + 2 * l.data.data.len()).sum();
        let left = (self.logs.checked_sub(logs.len()), self.bytes.checked_sub(bytes));
        let (Some(logs), Some(bytes)) = left else { return false };
        (self.logs, self.bytes) = (logs, bytes);
        true
    }
}

/// The matches in a block; `None` if there is no such block.
pub(crate) fn of_block(ctx: &Context, filter: &LogFilter, number: u64) -> Result<Option<Vec<Log>>> {
    let Some(bloom) = ctx.chain.bloom(number)? else { return Ok(None) };
    if !filter.may_match(&bloom) {
        return Ok(Some(Vec::new()));
    }
    let receipts = ctx.chain.receipts(BlockRef::Number(number))?.unwrap_or_default();
    let logs = receipts.into_iter().flat_map(|r| r.logs);
    Ok(Some(logs.filter(|log| filter.matches(log)).collect()))
}

/// The matches of blocks `from..=to`.
fn collect(ctx: &Context, filter: &LogFilter, from: u64, to: u64) -> Result<Vec<Log>> {
    let limits = &ctx.limits;
    if to.saturating_sub(from) >= limits.max_log_range {
        return Err(ChainError::LimitExceeded(format!(
            "exceed maximum block range: {}",
            limits.max_log_range
        )));
    }
    let (mut found, mut budget) = (Vec::new(), Budget::new(limits));
    for number in from..=to {
        let Some(logs) = of_block(ctx, filter, number)? else { break };
        if !budget.takes(&logs) {
            let message = format!(
                "query returned more than {} results or {} bytes. Try with a smaller block range",
                limits.max_log_results, limits.max_response_body
            );
            return Err(ChainError::LimitExceeded(message));
        }
        found.extend(logs);
    }
    Ok(found)
}

pub(crate) fn register(module: &mut Module) -> Registered {
    heavy(module, "eth_getLogs", |ctx, args| get_logs(ctx, &args.req()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_in_every_spelling() {
        let a = Address::repeat_byte(1);
        let one: LogFilter = serde_json::from_str(&format!(
            r#"{{"address":"{a}","topics":[null,["{}"]]}}"#,
            B256::ZERO
        ))
        .unwrap();
        assert_eq!(one.address.0, vec![a]);
        assert_eq!(one.topics().len(), 2);
        let many: LogFilter = serde_json::from_str(&format!(
            r#"{{"address":["{a}"],"fromBlock":"earliest","toBlock":"0x2","topics":null}}"#
        ))
        .unwrap();
        assert_eq!(many.address.0, vec![a]);
        assert!(many.check().is_ok());
    }

    #[test]
    fn bad_filters_are_refused() {
        let five = r#"{"topics":[null,null,null,null,null]}"#;
        assert!(serde_json::from_str::<LogFilter>(five).unwrap().check().is_err());
        let both = format!(r#"{{"blockHash":"{}","fromBlock":"0x1"}}"#, B256::ZERO);
        assert!(serde_json::from_str::<LogFilter>(&both).unwrap().check().is_err());
        let many = format!(
            r#"{{"address":{}}}"#,
            serde_json::to_string(&vec![Address::ZERO; MAX_ALTERNATIVES + 1]).unwrap()
        );
        assert!(serde_json::from_str::<LogFilter>(&many).is_err());
    }
}
