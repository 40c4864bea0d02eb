//! The chains that a suite of the matrix can meet: the rollup, and two L1s that are started for one suite alone, so that it may turn their clock and take
//! blocks back.

use std::{
    error::Error,
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::binary;
use crate::setup;

/// Longest wait for an L1's port.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a suite meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The rollup of the matrix's network.
    Rollup,
    /// `cairn l1`.
    Embedded,
    /// Foundry's anvil.
    Anvil,
}

/// An L1 with its own port and folder, gone with this value.
pub struct L1 {
    process: Child,
    dir: PathBuf,
    /// What `CAIRN_L1` tells the suite: its name, and its URLs for HTTP and WebSocket.
    pub description: String,
}

impl L1 {
    /// Starts what [`On`] names and waits until its port is open; `None` for the rollup, which runs already.
    ///
    /// # Errors
    /// When the program is missing, ends, or does not listen in time.
    pub fn start(on: On, here: &Path) -> Result<Option<Self>, Box<dyn Error>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = std::env::temp_dir().join(format!("cairn-l1-{}-{port}", std::process::id()));
        let (name, mut command) = match on {
            On::Rollup => return Ok(None),
            On::Embedded => {
                let mut command = Command::new(binary()?);
                command.args(["l1", "--data-dir"]).arg(&dir);
                ("embedded L1", command)
            }
            On::Anvil => {
                let mut command = Command::new(setup::foundry(here, "anvil")?);
                // As the embedded L1 has it.
                command.args(["--slots-in-an-epoch", "1"]);
                ("anvil 1.7.1", command)
            }
        };
        fs::create_dir_all(&dir)?;
        let process = command.args(["--port", &port.to_string()]).stdout(Stdio::null()).spawn()?;
        let description = format!(
            r#"{{"name":"{name}","http":"http://127.0.0.1:{port}","ws":"ws://127.0.0.1:{port}"}}"#
        );
        let mut l1 = Self { process, dir, description };
        l1.wait(port)?;
        Ok(Some(l1))
    }

    fn wait(&mut self, port: u16) -> Result<(), Box<dyn Error>> {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the L1 ended with {status}").into());
            }
            if Instant::now() > end {
                return Err("the L1 does not listen".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for L1 {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
