//! `cargo xtask guest`: builds the guest programs reproducibly and compares them with what is committed.
//!
//! The binaries are the same byte for byte wherever they are built, with the toolchain pinned here: Debian's `rustc-web`, `cargo-web`, `rust-web-src` and `lld`. Sources are
//! built from a copy at one fixed place, so that cargo's path-dependent hashes come out the same for every checkout.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const HELP: &str = "cargo xtask guest <build|check>

  build   build every guest program and write guest/elf/*.elf.zst
  check   build, and fail unless the result is what is committed

The toolchain is /usr/bin/rustc and cargo 1.96.0 with their library source and lld (on Debian 12 it is installed
with apt-get if missing). CAIRN_GUEST_RUSTC, CAIRN_GUEST_CARGO and CAIRN_GUEST_LD name another one, whose output may differ.
";

const TARGET: &str = "riscv32im-risc0-zkvm-elf";
const RUSTC_VERSION: &str = "rustc 1.96.0";
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];
/// The programs: the binary's name in the guest workspace.
const PROGRAMS: [&str; 3] = ["accel-test", "batch", "fib"];
/// Crates of the main workspace that the guest is built from.
const SHARED_CRATES: [&str; 4] = ["primitives", "accel", "state", "stf"];
const ZSTD_LEVEL: i32 = 19;
/// Where the sources are built. It is the same everywhere: cargo's hashes of path dependencies, and so the symbols and their order, depend on it.
const STAGE: &str = "/tmp/cairn-guest-src";

/// Runs the subcommand.
///
/// # Errors
/// When the toolchain is missing, the build fails, or `check` finds a difference.
pub fn run(args: &[&str]) -> Outcome {
    match args {
        ["build"] => build(),
        ["check"] => check(),
        _ => Err(HELP.into()),
    }
}

fn root() -> Outcome<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?)
}

fn artifact(name: &str) -> Outcome<PathBuf> {
    Ok(root()?.join("guest/elf").join(format!("{name}.elf.zst")))
}

fn build() -> Outcome {
    for (name, elf) in compile()? {
        let path = artifact(name)?;
        let unchanged =
            fs::read(&path).is_ok_and(|old| zstd::decode_all(&old[..]).is_ok_and(|old| old == elf));
        if !unchanged {
            fs::create_dir_all(path.parent().ok_or("no parent")?)?;
            fs::write(&path, zstd::encode_all(&elf[..], ZSTD_LEVEL)?)?;
        }
        println!(
            "{name}: {} bytes, {}",
            elf.len(),
            if unchanged { "unchanged" } else { "written" }
        );
    }
    write_program_id()
}

/// Writes the id of the batch program beside it: the node needs it at once, and computing it takes seconds.
fn write_program_id() -> Outcome {
    let id = output(
        Command::new(env!("CARGO"))
            .args(["run", "--quiet", "-p", "cairn-prover", "--example", "program_id", "--"])
            .arg(artifact("batch")?)
            .current_dir(root()?),
    )?;
    fs::write(root()?.join("guest/elf/batch.id"), &id)?;
    println!("batch: program id {}", id.trim());
    Ok(())
}

fn check() -> Outcome {
    let mut different = Vec::new();
    for (name, elf) in compile()? {
        let committed = fs::read(artifact(name)?).ok().and_then(|z| zstd::decode_all(&z[..]).ok());
        if committed.as_ref() != Some(&elf) {
            different.push(name);
        }
    }
    if different.is_empty() {
        println!("the committed guest programs are what their sources build");
        return Ok(());
    }
    Err(format!(
        "not what the sources build: {}; run `cargo xtask guest build` and commit guest/elf",
        different.join(", ")
    )
    .into())
}

struct Toolchain {
    rustc: PathBuf,
    cargo: PathBuf,
    linker: PathBuf,
    sysroot: PathBuf,
}

fn tool(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from)
}

fn toolchain() -> Outcome<Toolchain> {
    let overridden = std::env::var_os("CAIRN_GUEST_RUSTC").is_some();
    let rustc = tool("CAIRN_GUEST_RUSTC", "/usr/bin/rustc");
    let cargo = tool("CAIRN_GUEST_CARGO", "/usr/bin/cargo");
    let linker = tool("CAIRN_GUEST_LD", "/usr/bin/ld.lld");
    let complete = || {
        rustc.exists()
            && cargo.exists()
            && linker.exists()
            && (overridden || Path::new("/usr/lib/rustlib/src/rust/library/core").exists())
    };
    if !complete() {
        install()?;
    }
    let version = output(Command::new(&rustc).arg("--version"))?;
    if !version.starts_with(RUSTC_VERSION) {
        let message = format!(
            "{} is {}, but the committed guest is built with {RUSTC_VERSION}",
            rustc.display(),
            version.trim()
        );
        if overridden { eprintln!("xtask: {message}") } else { return Err(message.into()) }
    }
    let sysroot = PathBuf::from(output(Command::new(&rustc).args(["--print", "sysroot"]))?.trim());
    Ok(Toolchain { rustc, cargo, linker, sysroot })
}

fn install() -> Outcome {
    eprintln!("+ apt-get install {}", PACKAGES.join(" "));
    let _ = Command::new("apt-get").arg("update").status();
    let status = Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends"])
        .args(PACKAGES)
        .status();
    match status {
        Ok(s) if s.success() => Ok(()),
        _ => Err(format!("the guest's toolchain is missing: install Debian's {} (as root), or see CAIRN_GUEST_RUSTC in `cargo xtask guest`", PACKAGES.join(", ")).into()),
    }
}

fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Builds all programs and returns their ELF files.
fn compile() -> Outcome<Vec<(&'static str, Vec<u8>)>> {
    let tools = toolchain()?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or(root()?.join("target"), PathBuf::from)
        .join("guest");
    let stage = Path::new(STAGE);
    copy_sources(stage)?;
    let flags = rust_flags(&tools, stage, &target)?;
    let mut command = Command::new(&tools.cargo);
    command
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "-Zbuild-std=core,alloc,compiler_builtins",
            "-Zbuild-std-features=",
        ])
        .current_dir(stage.join("guest"))
        .env("RUSTC", &tools.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target.join("build"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTUP_TOOLCHAIN");
    eprintln!("+ {} build (guest programs, {})", tools.cargo.display(), tools.rustc.display());
    if !command.status()?.success() {
        return Err("the guest programs do not build".into());
    }
    let release = target.join("build").join(TARGET).join("release");
    PROGRAMS.iter().map(|&name| Ok((name, fs::read(release.join(name))?))).collect()
}

fn rust_flags(tools: &Toolchain, stage: &Path, target: &Path) -> Outcome<Vec<String>> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|h| h.join(".cargo")))
        .ok_or("no CARGO_HOME")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok(vec![
        format!("-Clinker={}", tools.linker.display()),
        format!("-Clink-arg=-T{}", stage.join("guest/link.ld").display()),
        // One hart without interrupts: atomics are ordinary accesses.
        "-Cpasses=lower-atomic".into(),
        // A panic is an illegal instruction: the run traps, and no code formats messages that nobody could read.
        "-Zunstable-options".into(),
        "-Cpanic=immediate-abort".into(),
        remap(stage, "/cairn"),
        remap(target, "/target"),
        remap(&home, "/cargo"),
        remap(&tools.sysroot.join("lib/rustlib/src/rust"), "/rust"),
    ])
}

/// Lays the guest's sources and the shared crates out as one workspace. Files that did not change keep their time, so that a second build is quick.
fn copy_sources(stage: &Path) -> Outcome {
    let root = root()?;
    let mut manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    manifest = manifest
        .replace("default-members = [\"crates/cairn\"]\n", "")
        .replace("members = [\"crates/*\", \"xtask\"]", "members = [\"crates/*\"]");
    write_if_changed(&stage.join("Cargo.toml"), manifest.as_bytes())?;
    let mut kept = vec![stage.join("Cargo.toml")];
    for part in SHARED_CRATES.iter().map(|c| format!("crates/{c}")).chain(["guest".into()]) {
        copy_tree(&root.join(&part), &stage.join(&part), &mut kept)?;
    }
    remove_others(stage, &kept)
}

/// Whether a folder of a crate plays no part in its build for the guest.
fn skipped(name: &str) -> bool {
    matches!(name, "target" | "elf" | "tests" | "fuzz")
}

fn copy_tree(from: &Path, to: &Path, kept: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            if !skipped(&name.to_string_lossy()) {
                copy_tree(&source, &to.join(&name), kept)?;
            }
        } else if entry.file_type()?.is_file() {
            write_if_changed(&to.join(&name), &fs::read(&source)?)?;
            kept.push(to.join(&name));
        }
    }
    Ok(())
}

fn write_if_changed(path: &Path, content: &[u8]) -> Outcome {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().ok_or("no parent")?)?;
    Ok(fs::write(path, content)?)
}

/// Deletes files of an earlier copy that the sources no longer have.
fn remove_others(folder: &Path, kept: &[PathBuf]) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_others(&entry.path(), kept)?;
        } else if !kept.contains(&entry.path()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
