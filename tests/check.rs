//! `rootstamp check`: what is refused before a lot starts, with every reason at once.

use std::{path::Path, process::Command};

use crate::line::project;

/// Runs `check` on a bench and on the smallest product, changed as `from|to` says.
fn check(station: &str, change: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for part in ["tests/products/images", "keys-public"] {
        copy(&project(part), &folder.path().join(part));
    }
    let text = std::fs::read_to_string(project("tests/products/smallest.toml")).unwrap();
    let (from, to) = change.split_once('|').unwrap_or(("smallest", "smallest"));
    assert!(change.is_empty() || text.contains(from), "nothing to change: {change}");
    let (bench, product) = (folder.path().join("bench.toml"), folder.path().join("tests/products/smallest.toml"));
    std::fs::write(&bench, station).unwrap();
    std::fs::write(&product, text.replace(from, to)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rootstamp"));
    let output = command.args(["check", "--station"]).arg(bench).arg("--recipe").arg(product).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

const BENCH: &str = "schema = 1\nstation = \"s\"\nmode = \"training\"\ndata = \"d\"\n\
                     [[site]]\nname = \"left\"\nprobe = \"virtual:nRF52840\"\n";

#[test]
fn a_whole_recipe_on_a_bench_that_fits_is_said_to_be_whole() {
    let (code, out, err) = check(BENCH, "");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("whole"), "{out}");
}

#[test]
fn each_thing_that_this_release_cannot_keep_is_refused_in_its_own_words() {
    let station = |from: &str, to: &str| BENCH.replace(from, to);
    let rows = [
        (station("training", "production"), "", "signed orders"),
        (station("data = \"d\"", "data = \"d\"\njournal = \"j\""), "", "no second journal"),
        (station("virtual:nRF52840", "virtual:nRF5340"), "", "nRF5340"),
        (station("training", "engineering"), "", "only be used in mode training"),
        (station("virtual:nRF52840", "1366:1051:000760208498"), "", "asks for a boot seen on the console"),
        (BENCH.to_owned(), "arrives = \"blank\"|arrives = \"tested\"", "what a tester left"),
        (BENCH.to_owned(), "approtect = true|approtect = false", "closes the debug port of every unit"),
        (BENCH.to_owned(), "chip    = \"nRF52840\"|chip = \"nRF9160\"", "it knows nRF52840"),
        (BENCH.to_owned(), "uicr.customer[24]|uicr.customer[31]", "needs"),
        (BENCH.to_owned(), "at      = \"uicr.customer[8]\"|at = \"uicr.customer[7]\"", "uicr.customer"),
        (BENCH.to_owned(), "P0.18|P1.31", "P1.15"),
    ];
    for (bench, recipe, words) in rows {
        let (code, out, err) = check(&bench, recipe);
        assert_eq!(code, 2, "{recipe} {bench}\n{out}{err}");
        assert!(err.contains(words), "{words:?} is not in\n{err}");
        assert!(err.contains("next (engineering)"), "{err}");
    }
}
