//! `rootstamp check`: what is refused before a lot starts, with every reason at once.

use std::{
    path::Path,
    process::{Command, Output},
};

use rootstamp::fault::Exit;

use crate::{
    boots::{UICR, sdk, three_stages},
    crosscheck::{chain, nsib, provision, released, slots, three},
    line::project,
    recipe::{APPLICATION, Application, Lot, bootloader_with, development_key},
    several::{NUMBERED, two},
    stamps::{NRF52840, region},
};

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
fn a_chip_that_nobody_knows_is_told_together_with_everything_else() {
    let (code, _, err) = check(BENCH, "chip    = \"nRF52840\"|chip = \"nRF52804\"\nchips = 2");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("does not provision nRF52804; it knows nRF52840; did you mean `nRF52840`?"), "{err}");
    assert!(err.contains("chips"), "{err}");
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

/// Runs the program on these files, on a disk.
pub(crate) fn run(lot: &Lot, words: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let product = folder.path().join("tests/products");
    // A recipe may name a file beside it, below it or in the folder of the public keys.
    for place in ["tests/products", "tests/products/images", "keys-public"] {
        std::fs::create_dir_all(folder.path().join(place)).unwrap();
        for (name, bytes) in &lot.files {
            std::fs::write(folder.path().join(place).join(name), bytes).unwrap();
        }
    }
    std::fs::write(product.join("lot.toml"), &lot.recipe).unwrap();
    std::fs::write(product.join("bench.toml"), BENCH).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rootstamp"));
    command.current_dir(&product).args(words).output().unwrap()
}

#[test]
fn the_program_refuses_a_lot_for_the_same_reasons_in_check_and_at_the_station() {
    let other = crate::recipe::as_hex(0x1000, &Application::by("ed25519-b").signed());
    let rows = [
        (bootloader_with(&development_key()), 40),
        (Lot::good().with_file(APPLICATION, other.clone()), 2),
        (chain("ed25519-a").with_file(APPLICATION, other), 2),
        (nsib(provision("hist-2022-12-ncs2.2")), 2),
        (nsib(provision("nrf52840-1key")).with("s0 = 0xA000", "s0 = 0xB000"), 2),
        (slots(three()).with("\"root\", policy = \"revokable\"", "\"root\", policy = \"locked\""), 2),
        (NRF52840.lot().with("s0 = 40960", "s0 = 0xB000"), 2),
        (region("nRF52840", "1"), 2),
        (released(|it| it["predicate"]["keys"] = serde_json::json!([])), 40),
        (two("signed = \"root\""), 2),
    ];
    for (lot, code) in rows {
        let problems = lot.problems();
        for words in [
            &["check", "--recipe", "lot.toml"][..],
            &["check", "--station", "bench.toml", "--recipe", "lot.toml"],
            &["station", "--station", "bench.toml", "--recipe", "lot.toml"],
        ] {
            let output = run(&lot, words);
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{words:?} {told}");
            for problem in &problems {
                let what = problem.what.replace("lot.toml", "");
                let longest = what.split(['`', ':']).max_by_key(|part| part.len()).unwrap();
                assert!(told.contains(longest), "{words:?} {longest}: {told}");
            }
        }
    }
    assert_eq!(Exit::KeyRefused.code(), 40);
}

#[test]
fn whole_lots_of_every_chain_are_said_to_be_whole() {
    let made = [NRF52840.lot(), three_stages(), sdk(UICR), two(NUMBERED)];
    let files = [Lot::good(), chain("rsa3072-a"), chain("p384-a"), nsib(provision("nrf52840-1key")), released(|_| ())];
    for lot in files.into_iter().chain(made) {
        let output = run(&lot, &["check", "--recipe", "lot.toml"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let filled = run(&slots(three()).with("file = \"kmu.json\"\n", ""), &["check", "--recipe", "lot.toml"]);
    let told = String::from_utf8(filled.stdout).unwrap();
    assert!(told.contains("note: key slots that would be filled: 242 to 243: `root`"), "{told}");
    let keyed = run(&slots(three()), &["check", "--recipe", "lot.toml"]);
    let told = String::from_utf8(keyed.stderr).unwrap();
    assert!(keyed.status.code() == Some(2) && told.contains("has no key management unit"), "{told}");
}
