//! A crate that touches the world is named in one place, so that one place has to be read to know what it does there.

use super::{
    expect_none,
    source::{self, Source, words},
};

/// Crates that touch the world, a terminal, a file or a secret, and the modules that may name them.
const OWNED: &[(&str, &[&str])] = &[
    ("anyhow", &["cli", "main"]),
    ("armagnac", &["virtual_board"]),
    ("clap", &["cli", "main"]),
    ("csv", &["export"]),
    ("ihex", &["image"]),
    ("object", &["image"]),
    ("p256", &["keys", "image", "virtual_board"]),
    ("probe_rs", &["fixture"]),
    ("ratatui", &["ui"]),
    ("ring", &["keys"]),
    ("rusqlite", &["ledger"]),
    ("rustix", &["virtual_board"]),
    ("serialport", &["fixture"]),
    ("signal_hook", &["ui", "cli"]),
];

/// Codecs, hashes, dates, searches in bytes and serde touch nothing, and are free to all; the clock inside jiff is banned in `clippy.toml`.
const FREE: &[&str] = &[
    "base64",
    "jiff",
    "memchr",
    "miniz_oxide",
    "schemars",
    "serde",
    "serde_json",
    "serde_spanned",
    "sha2",
    "tempfile",
    "toml",
];

/// Every place where a crate is named outside its owners.
fn breaks(source: &Source) -> Vec<String> {
    let module = if source.path == "src/main.rs" { Some("main") } else { source.module() };
    let foreign = OWNED.iter().filter(|(_, owners)| module.is_none_or(|module| !owners.contains(&module)));
    foreign
        .flat_map(|(owned, owners)| {
            let uses = words(&source.code, owned).filter(|&at| is_path(&source.code, at, owned));
            uses.map(move |at| format!("{}: {owned} belongs to {}", source.at(at), owners.join(", ")))
        })
        .collect()
}

/// Whether the word is a crate's name here: it leads a path, or a `use` brings it in.
fn is_path(code: &str, at: usize, word: &str) -> bool {
    let (before, after) = (code[..at].trim_end(), &code[at + word.len()..]);
    let leads = after.starts_with("::") && (!before.ends_with("::") || before.ends_with(" ::"));
    leads || before.ends_with("use") || before.ends_with("extern crate")
}

/// Every dependency that stands in neither list, and every entry of the lists that is no dependency.
fn unclassified(manifest: &str) -> Vec<String> {
    let table: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let dependencies = table["dependencies"].as_table().expect("a table of dependencies");
    let names: Vec<String> = dependencies.keys().map(|name| name.replace('-', "_")).collect();
    let listed: Vec<&str> = OWNED.iter().map(|(name, _)| *name).chain(FREE.iter().copied()).collect();
    let new = names.iter().filter(|name| !listed.contains(&name.as_str()));
    let gone = listed.iter().filter(|name| !names.iter().any(|known| known == *name));
    new.map(|name| format!("{name}: say in tests/tidy/owners.rs who owns it, or that it is free"))
        .chain(gone.map(|name| format!("{name}: no dependency any more")))
        .collect()
}

/// Every place where the capability to burn is named outside the module that defines it and the one that spends records
/// for it.
fn burns(source: &Source) -> Vec<String> {
    if matches!(source.module(), Some("link" | "gate")) {
        return Vec::new();
    }
    words(&source.code, "Brand").map(|at| format!("{}: only gate burns", source.at(at))).collect()
}

mod tests {
    use super::*;

    #[test]
    fn every_crate_that_touches_the_world_is_named_by_its_owner_only() {
        let broken: Vec<_> = source::product().iter().flat_map(breaks).collect();
        expect_none(&broken);
    }

    #[test]
    fn every_dependency_has_an_owner_or_is_free() {
        expect_none(&unclassified(&source::named("Cargo.toml").text));
    }

    #[test]
    fn a_crate_named_outside_its_owner_is_found() {
        let broken = |path, text| breaks(&Source::new(path, text)).len();
        assert_eq!(broken("src/run.rs", "use rusqlite::Connection;"), 1);
        assert_eq!(broken("src/run.rs", "use rusqlite as sql;"), 1);
        assert_eq!(broken("src/lib.rs", "fn a() { ::probe_rs::attach(probe_rs::X) }"), 2);
        assert_eq!(broken("src/ui/mod.rs", "use clap::Parser;"), 1);
    }

    #[test]
    fn an_owner_may_name_its_crate_and_others_may_use_the_word() {
        let broken = |path, text| breaks(&Source::new(path, text)).len();
        assert_eq!(broken("src/ledger/store.rs", "use rusqlite::Connection;"), 0);
        assert_eq!(broken("src/main.rs", "use clap::Parser as _;"), 0);
        assert_eq!(broken("src/export/mod.rs", "use crate::export::csv::rows; let csv = csv(1); // rusqlite::x"), 0);
        assert_eq!(broken("src/run.rs", "let csv = export.csv; \"rusqlite::x\""), 0);
    }

    #[test]
    fn a_new_dependency_and_a_stale_entry_are_found() {
        let manifest = "[dependencies]\nlibc = \"1\"\nprobe-rs = \"1\"\n";
        let broken = unclassified(manifest);
        assert!(broken[0].starts_with("libc:"), "{broken:?}");
        assert_eq!(broken.len(), 1 + OWNED.len() + FREE.len() - 1);
    }

    #[test]
    fn only_the_gate_holds_what_can_burn() {
        let broken: Vec<_> = source::product().iter().flat_map(burns).collect();
        expect_none(&broken);
    }

    #[test]
    fn a_burn_past_the_gate_is_found() {
        let planted = Source::new("src/session/site.rs", "fn f(w: &mut dyn Wire) { Brand::new(w, &[]); }");
        assert_eq!(burns(&planted).len(), 1);
        assert!(burns(&Source::new("src/gate.rs", "use crate::link::Brand;")).is_empty());
    }
}
