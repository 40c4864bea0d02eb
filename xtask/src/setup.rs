//! Tools of the host that tasks need, installed where that is possible.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Fails unless `npm` can be started; a Debian machine gets it with apt-get when run as root.
pub fn node() -> Result<(), Box<dyn Error>> {
    ensure(&["npm", "node"], &["--version"], &["nodejs", "npm"], "Node.js 20 or newer with npm")
}

/// Fails unless Python can make virtual environments; installed like [`node`].
pub fn python() -> Result<(), Box<dyn Error>> {
    let hint = "Python 3.10 or newer with its venv module";
    ensure(&["python3"], &["-c", "import venv, ensurepip"], &["python3", "python3-venv"], hint)
}

/// Fails unless there is a C++ compiler (libFuzzer is C++); installed like [`node`].
pub fn cxx() -> Result<(), Box<dyn Error>> {
    ensure(&["c++"], &["--version"], &["g++"], "a C++ compiler")
}

/// Installs the npm packages that a folder's lock file names, unless they are there.
pub fn npm_packages(dir: &Path) -> Result<(), Box<dyn Error>> {
    let modified = |path: &str| dir.join(path).metadata().and_then(|m| m.modified()).ok();
    let stale = match (modified("node_modules/.package-lock.json"), modified("package-lock.json")) {
        (Some(installed), Some(locked)) => installed < locked,
        _ => true,
    };
    if !stale {
        return Ok(());
    }
    node()?;
    // Not `npm ci`: it refuses a lock file in which npm itself left out the binaries of other platforms.
    let install = ["install", "--no-save", "--no-audit", "--no-fund"];
    quietly(Command::new("npm").args(install).current_dir(dir))
}

/// A program of Foundry's npm packages below `dir`: the binary itself. (`node_modules/.bin` has npm's wrapper, which ends with success whatever the program
/// ended with.)
///
/// # Errors
/// When npm has installed none for this platform.
pub fn foundry(dir: &Path, tool: &str) -> Result<PathBuf, Box<dyn Error>> {
    let packages = dir.join("node_modules/@foundry-rs");
    let binary = Path::new("bin").join(format!("{tool}{}", std::env::consts::EXE_SUFFIX));
    for package in std::fs::read_dir(&packages)? {
        let package = package?;
        let found = package.path().join(&binary);
        let name = package.file_name();
        if name.to_string_lossy().starts_with(&format!("{tool}-")) && found.exists() {
            return Ok(found);
        }
    }
    Err(format!("npm has put no `{tool}` of this platform below {}", packages.display()).into())
}

/// A virtual environment in `dir` with these packages, made once; gives its interpreter.
pub fn python_packages(dir: &Path, packages: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let (python, ready) = (dir.join("bin/python"), dir.join("ready"));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    self::python()?;
    quietly(Command::new("python3").args(["-m", "venv"]).arg(dir))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    quietly(Command::new(&python).args(pip).args(packages))?;
    std::fs::write(ready, wanted)?;
    Ok(python)
}

/// Runs a command with its output on standard error, so that standard output holds only results.
pub fn quietly(command: &mut Command) -> Result<(), Box<dyn Error>> {
    eprintln!("+ {command:?}");
    let status = command.stdout(std::io::stderr()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

fn ensure(
    programs: &[&str],
    probe: &[&str],
    packages: &[&str],
    hint: &str,
) -> Result<(), Box<dyn Error>> {
    let works = || {
        programs.iter().all(|program| {
            let mut command = Command::new(program);
            command.args(probe).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|s| s.success())
        })
    };
    if works() {
        return Ok(());
    }
    // Both fail for who is not root, and where there is no apt; what counts is whether the tool works afterwards.
    let _ = quietly(Command::new("apt-get").args(["update", "-q"]));
    let install = ["install", "-y", "-q", "--no-install-recommends"];
    let _ = quietly(Command::new("apt-get").args(install).args(packages));
    if works() { Ok(()) } else { Err(format!("please install {hint}").into()) }
}
