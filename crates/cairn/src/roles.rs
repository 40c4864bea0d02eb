//! Roles that run alone, or that several commands start.

use std::{error::Error, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use cairn_l1_dev::{L1Config, L1Dev};

use crate::{
    cli::L1Args,
    keys::{MNEMONIC, RICH_ACCOUNTS},
};

/// Settings of the embedded L1 in development.
pub fn l1_config(data_dir: PathBuf, chain_id: u64, block_time: Option<Duration>) -> L1Config {
    L1Config {
        data_dir: Some(data_dir),
        chain_id,
        block_time,
        automine: block_time.is_none(),
        // Finality tags that a person can watch: anvil's `--slots-in-an-epoch 1`.
        slots_in_epoch: 1,
        mnemonic: MNEMONIC.to_owned(),
        accounts: RICH_ACCOUNTS,
        ..L1Config::default()
    }
}

/// `cairn l1`: the embedded L1 alone, until it is interrupted.
pub async fn run_l1(args: L1Args) -> Result<ExitCode, Box<dyn Error>> {
    let block_time = match args.block_time {
        None => None,
        Some(s) => Some(
            Duration::try_from_secs_f64(s)
                .map_err(|_| format!("--block-time {s} is no number of seconds"))?,
        ),
    };
    let l1 = L1Dev::open(l1_config(args.data_dir, args.chain_id, block_time))?;
    let server = l1.serve(SocketAddr::new(args.host, args.port)).await?;
    say!("L1 (chain {}) at {} and {}", args.chain_id, server.http_url(), server.ws_url());
    interrupted().await;
    server.stop();
    Ok(ExitCode::SUCCESS)
}

/// Returns on Ctrl-C or SIGTERM.
pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
