//! `eth_gasPrice`, `eth_maxPriorityFeePerGas`, `eth_blobBaseFee` and `eth_feeHistory`, the last exactly as the execution API has it:
//! a malformed answer breaks wallets.

use crate::chain::BlockRef;
use crate::context::{Context, Module, Registered, heavy, quick};
use crate::error::{ChainError, Result};
use crate::params::{Args, BlockArg};
use crate::view::{Block, Hex};
use serde::Serialize;

/// Most blocks that one call of `eth_feeHistory` covers; geth's limit.
const MAX_BLOCKS: u64 = 1024;
/// Most percentiles of one call; geth's limit.
const MAX_PERCENTILES: usize = 100;

/// Answer of `eth_feeHistory`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct FeeHistory {
    oldest_block: Hex<u64>,
    base_fee_per_gas: Vec<Hex<u128>>,
    gas_used_ratio: Vec<f64>,
    base_fee_per_blob_gas: Vec<Hex<u128>>,
    blob_gas_used_ratio: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<Vec<Vec<Hex<u128>>>>,
}

fn check_percentiles(percentiles: &[f64]) -> Result<()> {
    if percentiles.len() > MAX_PERCENTILES {
        return Err(ChainError::Halted(format!(
            "invalid reward percentile: over the query limit {MAX_PERCENTILES}"
        )));
    }
    for (i, p) in percentiles.iter().enumerate() {
        if !(0.0..=100.0).contains(p) {
            return Err(ChainError::Halted(format!("invalid reward percentile: {p}")));
        }
        if i > 0 && *p < percentiles[i - 1] {
            let before = percentiles[i - 1];
            return Err(ChainError::Halted(format!(
                "invalid reward percentile: #{}:{before} >= #{i}:{p}",
                i - 1
            )));
        }
    }
    Ok(())
}

/// Tips at the percentiles of the block's gas; zeros for an empty block.
fn rewards(ctx: &Context, block: &Block, percentiles: &[f64]) -> Result<Vec<Hex<u128>>> {
    let base_fee = u128::from(block.header.base_fee_per_gas.unwrap_or_default());
    let receipts = ctx.chain.receipts(BlockRef::Number(block.header.number))?.unwrap_or_default();
    let mut tips: Vec<(u128, u64)> = receipts
        .iter()
        .map(|r| (r.effective_gas_price.saturating_sub(base_fee), r.gas_used))
        .collect();
    tips.sort_unstable();
    let total: u64 = tips.iter().map(|(_, gas)| gas).sum();
    let at = |percentile: f64| {
        let threshold = (total as f64 * percentile / 100.0) as u64;
        let mut sum = 0u64;
        let found = tips.iter().find(|(_, gas)| {
            sum = sum.saturating_add(*gas);
            sum >= threshold
        });
        Hex(found.or(tips.last()).map_or(0, |(tip, _)| *tip))
    };
    Ok(percentiles.iter().map(|p| at(*p)).collect())
}

fn ratio(used: u64, limit: u64) -> f64 {
    if limit == 0 { 0.0 } else { used as f64 / limit as f64 }
}

fn fee_history(ctx: &Context, args: &mut Args<'_>) -> Result<FeeHistory> {
    let count = args.u64()?.min(MAX_BLOCKS);
    let newest = args.block()?;
    let percentiles = args.opt::<Vec<f64>>()?.unwrap_or_default();
    check_percentiles(&percentiles)?;
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    // The named block first: the head may grow between the two looks.
    let named = if newest == BlockArg::Pending { None } else { Some(ctx.number(newest)?) };
    let head = ctx.head()?;
    let newest = named.unwrap_or(head);
    if newest > head {
        return Err(ChainError::Halted(format!(
            "request beyond head block: requested {newest}, head {head}"
        )));
    }
    let oldest = newest.saturating_sub(count - 1);
    let fees = ctx.chain.fees()?;
    let mut history = FeeHistory { oldest_block: Hex(oldest), ..FeeHistory::default() };
    if !percentiles.is_empty() {
        history.reward = Some(Vec::new());
    }
    for number in oldest..=newest {
        let block = ctx.chain.block(BlockRef::Number(number))?.ok_or(ChainError::UnknownBlock)?;
        let header = &block.header;
        history.base_fee_per_gas.push(Hex(header.base_fee_per_gas.unwrap_or_default().into()));
        history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
        history.base_fee_per_blob_gas.push(Hex(ctx.chain.blob_base_fee(header)));
        history
            .blob_gas_used_ratio
            .push(ratio(header.blob_gas_used.unwrap_or_default(), fees.max_blob_gas));
        if let Some(reward) = &mut history.reward {
            reward.push(rewards(ctx, &block, &percentiles)?);
        }
    }
    push_next(ctx, &mut history, newest, head)?;
    Ok(history)
}

/// The fees of the block after the newest: known from its header, or computed for the next block.
fn push_next(ctx: &Context, history: &mut FeeHistory, newest: u64, head: u64) -> Result<()> {
    let next = if newest < head { ctx.chain.block(BlockRef::Number(newest + 1))? } else { None };
    let (base_fee, blob_fee) = match next {
        Some(block) => (
            block.header.base_fee_per_gas.unwrap_or_default().into(),
            ctx.chain.blob_base_fee(&block.header),
        ),
        None => ctx.chain.fees().map(|f| (f.next_base_fee, f.next_blob_base_fee))?,
    };
    history.base_fee_per_gas.push(Hex(base_fee));
    history.base_fee_per_blob_gas.push(Hex(blob_fee));
    Ok(())
}

pub(crate) fn register(m: &mut Module) -> Registered {
    quick(m, "eth_gasPrice", |ctx, _| {
        ctx.chain.fees().map(|f| Hex(f.next_base_fee.saturating_add(f.suggested_tip)))
    })?;
    quick(m, "eth_maxPriorityFeePerGas", |ctx, _| ctx.chain.fees().map(|f| Hex(f.suggested_tip)))?;
    quick(m, "eth_blobBaseFee", |ctx, _| ctx.chain.fees().map(|f| Hex(f.next_blob_base_fee)))?;
    heavy(m, "eth_feeHistory", fee_history)
}

#[cfg(test)]
mod tests {
    use super::check_percentiles;

    #[test]
    fn percentiles_rise_within_bounds() {
        assert!(check_percentiles(&[0.0, 25.5, 25.5, 100.0]).is_ok());
        for bad in [vec![-1.0], vec![101.0], vec![50.0, 20.0], vec![f64::NAN], vec![1.0; 101]] {
            assert!(check_percentiles(&bad).is_err(), "{bad:?}");
        }
    }
}
