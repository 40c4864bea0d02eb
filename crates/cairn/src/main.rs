//! The command line of Cairn.

/// `println!` for a reader that may be gone: a closed pipe must not end a node.
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($words)*)));
    }};
}

mod attester;
mod base_token;
mod batch_states;
mod bench_gas;
mod bench_prove;
mod bench_rpc;
mod books;
mod cheats;
mod cli;
mod confirmations;
mod crew;
mod demo;
mod demo_accounts;
mod dev_l1;
mod doctor;
mod explorer;
mod fees;
mod files;
mod final_file;
mod finality;
mod genesis;
mod guest;
mod keys;
mod l2_client;
mod network;
mod node;
mod proof_run;
mod prove;
mod prover_role;
mod recover;
mod report;
mod rewind;
mod roles;
mod source;
mod supervisor;
mod verifier;
mod witnesses;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let quiet = cli.json() || matches!(cli.command, cli::Command::Demo(_));
    start_logging(if quiet { "warn" } else { "info" });
    raise_descriptor_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(r) => r,
        Err(e) => {
            eprintln!("cairn: cannot start the async runtime: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("cairn: {e}");
            let mut source = e.source();
            while let Some(s) = source {
                eprintln!("  because: {s}");
                source = s.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn start_logging(default: &str) {
    use tracing_subscriber::{EnvFilter, fmt};
    let filter = EnvFilter::try_from_env("CAIRN_LOG").unwrap_or_else(|_| {
        EnvFilter::new(format!("warn,cairn={default},cairn_settlement={default},cairn_sequencer={default},cairn_l1_dev={default},cairn_explorer={default}"))
    });
    fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

/// Every connection and database file is a descriptor, and many systems give 256 or 1,024 unless they are asked for more.
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain system calls on a value of ours; on failure the limit stays what it was.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
