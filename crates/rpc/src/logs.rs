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
    /// Nothing was counted in.
    fresh: bool,
    /// Something did not fit: nothing after it may.
    full: bool,
}

impl Budget {
    pub(crate) const fn new(limits: &Limits) -> Self {
        // An answer is built as values before it is text, so it may not be much more than what is sent.
        let (logs, bytes) = (limits.max_log_results, limits.max_response_body as usize);
        Self { logs, bytes, fresh: true, full: false }
    }

    /// Counts in the first of these logs that there is room for; returns how many. A log that alone is more than an answer holds is an
    /// answer of its own, so that it stops nobody.
    pub(crate) fn fit(&mut self, logs: &[Log]) -> usize {
        let fits = logs.iter().take_while(|log| self.takes(log)).count();
        self.full |= fits < logs.len();
        fits
    }

    fn takes(&mut self, log: &Log) -> bool {
        let bytes = LOG_JSON + 2 * log.data.data.len();
        let left = (self.logs.checked_sub(1), self.bytes.checked_sub(bytes));
        let (logs, bytes) = match left {
            (Some(logs), Some(bytes)) => (logs, bytes),
            _ if self.fresh => (0, 0),
            _ => return false,
        };
        (self.logs, self.bytes, self.fresh) = (logs, bytes, false);
        !self.full
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
        if budget.fit(&logs) < logs.len() {
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
    fn an_answer_has_room_for_so_many_logs_and_bytes() {
        let limits = |logs, bytes| Limits {
            max_log_results: logs,
            max_response_body: bytes,
            ..Limits::default()
        };
        let log = |bytes: usize| Log {
            address: Address::ZERO,
            data: alloy_primitives::LogData::new_unchecked(vec![], vec![0; bytes].into()),
            transaction_hash: B256::ZERO,
            inclusion: crate::view::Inclusion {
                block_hash: B256::ZERO,
                block_number: 1,
                block_timestamp: 1,
                transaction_index: 0,
            },
            log_index: 0,
            removed: false,
            extra: crate::view::Extra::new(),
        };
        let mut by_count = Budget::new(&limits(3, u32::MAX));
        assert_eq!(by_count.fit(&[log(0), log(0)]), 2);
        assert_eq!(by_count.fit(&[log(0), log(0)]), 1);
        assert_eq!(by_count.fit(&[log(0)]), 0);
        // A log takes its JSON, in which each byte of data is two.
        let mut by_bytes = Budget::new(&limits(100, (2 * LOG_JSON + 200) as u32));
        assert_eq!(by_bytes.fit(&[log(100), log(1), log(0)]), 1);
        assert_eq!(by_bytes.fit(&[log(0)]), 0, "not past one that did not fit");
        let mut by_bytes = Budget::new(&limits(100, (2 * LOG_JSON + 200) as u32));
        assert_eq!(by_bytes.fit(&[log(100), log(0)]), 2);
        let mut huge = Budget::new(&limits(100, 1_000));
        assert_eq!(huge.fit(&[log(5_000), log(0)]), 1, "what never fits goes alone");
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
