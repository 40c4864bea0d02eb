//! Runs the embedded L1 alone: `cargo run -p cairn-l1-dev --example l1 -- [PORT] [BLOCK_TIME_MS] [DATA_DIR]`.
//! A block time of 0 mines each transaction at once; any other does both.

use cairn_l1_dev::{L1Config, L1Dev};
use std::error::Error;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().map_or(Ok(8545), |p| p.parse())?;
    let millis: u64 = args.next().map_or(Ok(0), |p| p.parse())?;
    let config = L1Config {
        data_dir: args.next().map(Into::into),
        block_time: (millis > 0).then(|| Duration::from_millis(millis)),
        slots_in_epoch: 1,
        ..L1Config::default()
    };
    let l1 = L1Dev::open(config)?;
    let rpc = l1.serve(([127, 0, 0, 1], port).into()).await?;
    println!("L1 at {} and {}", rpc.http_url(), rpc.ws_url());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
