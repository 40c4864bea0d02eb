//! `cargo xtask anvil`: the demo with Foundry's anvil as its L1, every batch final because a contract there verified its proof.

use std::{net::TcpListener, process::Command};

use crate::{Outcome, clients::binary, root, setup};

/// Runs the demo on the binary that the last build left; fails when not every batch was finalized by a proof.
pub fn run() -> Outcome {
    let contracts = root().join("contracts");
    setup::npm_packages(&contracts)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let mut anvil = Command::new(setup::foundry(&contracts, "anvil")?)
        .args(["--port", &port, "--block-time", "1", "--mixed-mining"])
        .args(["--slots-in-an-epoch", "1", "--silent"])
        .spawn()?;
    // The demo itself tries again while the port is not open yet.
    let url = format!("http://127.0.0.1:{port}");
    let output = Command::new(binary()?).args(["demo", "--json", "--l1", &url]).output();
    anvil.kill()?;
    anvil.wait()?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = text.lines().last().unwrap_or_default();
    let finalized = summary.matches("\"status\":\"finalized\"").count();
    let proven = summary.matches("\"verifier\":\"proof\"").count();
    let ok = summary.contains("\"ok\":true") && finalized > 0 && proven > 1;
    if !output.status.success() || !ok {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the demo on anvil failed:\n{text}{errors}").into());
    }
    println!("{summary}");
    Ok(())
}
