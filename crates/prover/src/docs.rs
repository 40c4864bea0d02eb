//! The tables of `docs/vm.md`: chips, buses and columns, from the code itself.

use crate::bus::F;
use crate::chips::Chip;
use crate::shard::lookups;
use p3_air::BaseAir;
use p3_lookup::Kind;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What bounds the generated part of the page.
pub const MARKERS: [&str; 2] =
    ["<!-- generated: do not edit below -->", "<!-- end of generated part -->"];

/// The generated part: one table of chips and one of columns for each chip.
pub fn tables() -> String {
    let mut out = String::from(
        "### Sizes\n\n| chip | columns | table columns | messages a row | cells a row | buses |\n|---|---|---|---|---|---|\n",
    );
    for chip in Chip::all(None) {
        let lookups = lookups(&chip);
        let mut buses: BTreeMap<&str, usize> = BTreeMap::new();
        for lookup in lookups.iter() {
            if let Kind::Global(bus) = &lookup.kind {
                *buses.entry(bus).or_default() += lookup.elements.len();
            }
        }
        let messages: usize = buses.values().sum();
        let width = BaseAir::<F>::width(&chip);
        let buses: Vec<String> = buses.iter().map(|(bus, n)| format!("{bus} {n}")).collect();
        let cells = width + 4 * (lookups.len() + 1);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| {} | {width} | {} | {messages} | {cells} | {} |",
            chip.name(),
            chip.preprocessed_width(),
            buses.join(", ")
        );
    }
    for chip in Chip::all(None).iter().filter(|c| !matches!(c, Chip::Accel(_))) {
        let _ = write!(
            out,
            "\n### {}\n\n| column | cells | what it holds and what binds it |\n|---|---|---|\n",
            chip.name()
        );
        for group in chip.columns() {
            let _ = writeln!(
                out,
                "| `{}` | {} | {} |",
                group.name,
                group.len,
                group.doc.replace('|', "\\|")
            );
        }
    }
    out
}

/// The page with its generated part replaced.
pub fn refresh(page: &str) -> Option<String> {
    let (head, rest) = page.split_once(MARKERS[0])?;
    let (_, tail) = rest.split_once(MARKERS[1])?;
    Some(format!("{head}{}\n\n{}\n{}{tail}", MARKERS[0], tables(), MARKERS[1]))
}

#[cfg(test)]
mod tests {
    /// `UPDATE_DOCS=1 cargo test -p cairn-prover docs` rewrites the page.
    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/vm.md");
        let page = std::fs::read_to_string(path).unwrap();
        let fresh = super::refresh(&page).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &fresh).unwrap();
        } else {
            assert!(
                page == fresh,
                "docs/vm.md is out of date: UPDATE_DOCS=1 cargo test -p cairn-prover docs"
            );
        }
    }
}
