//! The README's table of clients, generated from a run of the matrix.

use std::{collections::BTreeMap, error::Error, fs};

use serde_json::Value;

use crate::root;

const BEGIN: &str = "<!-- clients: written by `cargo xtask clients --readme` -->\n";
const END: &str = "<!-- clients end -->";

/// Puts the cells, as a table, between the README's markers.
pub fn write(cells: &[String]) -> Result<(), Box<dyn Error>> {
    let path = root().join("README.md");
    let text = fs::read_to_string(&path)?;
    let table = table(cells)?;
    fs::write(path, replaced(&text, &table).ok_or("README.md lacks the markers of the matrix")?)?;
    Ok(())
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

/// One row a client and what it was run on; flows in the order in which their script runs them. Chains on which a client ran the same flows share a row.
fn table(cells: &[String]) -> Result<String, Box<dyn Error>> {
    let mut rows: BTreeMap<[String; 3], Vec<String>> = BTreeMap::new();
    for cell in cells {
        let cell: Value = serde_json::from_str(cell)?;
        let text = |key: &str| cell[key].as_str().unwrap_or_default().to_owned();
        let failed = if cell["ok"] == true { "" } else { " (FAILS)" };
        let flow = format!("{}{failed}", text("flow").replace('|', "/"));
        let on = cell["on"].as_str().unwrap_or("rollup").to_owned();
        rows.entry([text("client"), text("version"), on]).or_default().push(flow);
    }
    let mut merged: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for ([client, version, on], flows) in rows {
        merged.entry((client, version, flows.join("; "))).or_default().push(on);
    }
    let mut out = String::from("| client | version | on | flows |\n|---|---|---|---|\n");
    for ((client, version, flows), on) in merged {
        out.push_str(&format!("| {client} | {version} | {} | {flows} |\n", on.join(", ")));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_fails() {
        let cell = |flow: &str, ok: bool| {
            format!(r#"{{"client":"c","version":"1","flow":"{flow}","ok":{ok}}}"#)
        };
        let table = table(&[cell("a", true), cell("b", false)]).unwrap();
        assert!(table.ends_with("| c | 1 | rollup | a; b (FAILS) |\n"), "{table}");
    }

    #[test]
    fn chains_share_a_row_only_with_the_same_flows() {
        let cell = |on: &str, ok: bool| {
            format!(r#"{{"client":"c","version":"1","on":"{on}","flow":"a","ok":{ok}}}"#)
        };
        let same = table(&[cell("anvil", true), cell("ours", true)]).unwrap();
        assert!(same.ends_with("|---|\n| c | 1 | anvil, ours | a |\n"), "{same}");
        let other = table(&[cell("anvil", true), cell("ours", false)]).unwrap();
        assert!(
            other.contains("| anvil | a |") && other.contains("| ours | a (FAILS) |"),
            "{other}"
        );
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = format!("x\n{BEGIN}old\n{END}\ny");
        assert_eq!(replaced(&text, "new\n").unwrap(), format!("x\n{BEGIN}new\n{END}\ny"));
        assert!(replaced("no markers", "new").is_none());
    }
}
