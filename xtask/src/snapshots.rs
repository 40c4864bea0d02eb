//! Gas figures that the Foundry tests measure, and the committed ones in `contracts/snapshots`. Every figure is of a fixed input at a fixed time, so they
//! are compared exactly: also a gain is written down, or the next loss would hide behind it.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use serde_json::Value;

/// Where `foundry.toml` has the tests put what they measure, below `contracts`.
const MEASURED: &str = "out/snapshots";
const COMMITTED: &str = "snapshots";
/// Measured and compared by `settlement`'s tests: whole rounds on the embedded L1.
const NOT_FORGES: &str = "Rounds.json";

/// Gas by test contract and what was measured.
type Figures = BTreeMap<(String, String), String>;

/// Forgets what an earlier run measured.
pub fn clear(contracts: &Path) -> Result<(), Box<dyn Error>> {
    match fs::remove_dir_all(contracts.join(MEASURED)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
        _ => Ok(()),
    }
}

/// Fails when a measured figure is not the committed one; where all tests ran (`whole`), also when a committed one was not measured.
pub fn compare(contracts: &Path, whole: bool) -> Result<(), Box<dyn Error>> {
    let (committed, measured) =
        (read(&contracts.join(COMMITTED))?, read(&contracts.join(MEASURED))?);
    let differences = differences(&committed, &measured, whole);
    if differences.is_empty() {
        println!("{} gas figures are the committed ones", measured.len());
        return Ok(());
    }
    Err(format!(
        "gas is not what contracts/snapshots says (`cargo xtask contracts snapshot` renews it):\n{}",
        differences.join("\n")
    )
    .into())
}

/// Makes what was measured the committed figures.
pub fn renew(contracts: &Path) -> Result<(), Box<dyn Error>> {
    let (from, to) = (contracts.join(MEASURED), contracts.join(COMMITTED));
    for old in files(&to)? {
        fs::remove_file(to.join(old))?;
    }
    for new in files(&from)? {
        fs::copy(from.join(&new), to.join(&new))?;
    }
    Ok(())
}

fn differences(committed: &Figures, measured: &Figures, whole: bool) -> Vec<String> {
    let gone = committed.keys().filter(|k| whole && !measured.contains_key(*k));
    let gone = gone.map(|(file, name)| format!("  {file}: {name}: no longer measured"));
    let changed =
        measured.iter().filter_map(|(key @ (file, name), now)| match committed.get(key) {
            Some(before) if before == now => None,
            Some(before) => Some(format!("  {file}: {name}: was {before}, is {now}")),
            None => Some(format!("  {file}: {name}: is {now}, not committed")),
        });
    gone.chain(changed).collect()
}

fn read(dir: &Path) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures::new();
    for file in files(dir)? {
        let path = dir.join(&file);
        let content: BTreeMap<String, Value> = serde_json::from_slice(&fs::read(&path)?)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        for (name, gas) in content {
            let gas = gas.as_str().map_or_else(|| gas.to_string(), str::to_owned);
            figures.insert((file.clone(), name), gas);
        }
    }
    Ok(figures)
}

/// Names of Foundry's files of figures; none where a filtered run measured nothing.
fn files(dir: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    if !dir.exists() {
        return Ok(names);
    }
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && name != NOT_FORGES {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(of: &[(&str, &str)]) -> Figures {
        of.iter().map(|(n, g)| (("T.json".into(), (*n).into()), (*g).into())).collect()
    }

    #[test]
    fn any_change_of_a_figure_is_seen() {
        let committed = figures(&[("a", "10"), ("b", "20")]);
        let seen = |measured: &[(&str, &str)], whole| {
            differences(&committed, &figures(measured), whole).join("")
        };
        assert_eq!(seen(&[("a", "10"), ("b", "20")], true), "");
        assert_eq!(seen(&[("a", "11"), ("b", "20")], true), "  T.json: a: was 10, is 11");
        assert_eq!(seen(&[("a", "9"), ("b", "20")], false), "  T.json: a: was 10, is 9");
        assert_eq!(seen(&[("a", "10")], true), "  T.json: b: no longer measured");
        assert_eq!(seen(&[("a", "10")], false), "", "a filtered run");
        assert_eq!(seen(&[("c", "1")], false), "  T.json: c: is 1, not committed");
    }
}
