//! The C reader that goes into MCUboot, compiled for this computer and run against what a station writes.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use rootstamp::{ident::Digest, recipe};

/// First kilobyte of UICR; CUSTOMER begins at 0x80. [nRF52840 PS, UICR]
pub(crate) const UICR_LEN: usize = 1024;

const CUSTOMER: usize = 0x80;
const EMPTY: u32 = u32::MAX;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The reader, compiled once for all tests; its folder lives as long as the test process.
fn reader() -> &'static Path {
    static READER: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = READER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reader");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = Command::new(compiler)
            .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
            .arg(project("tests/c_reader/stubs"))
            .arg("-I")
            .arg(project("templates/firmware"))
            .arg(project("tests/c_reader/main.c"))
            .arg("-o")
            .arg(&path)
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        (folder, path)
    });
    path
}

/// What MCUboot would be told about a board with this UICR: `hash <64 digits>` or `hash refused`, then
/// `counter <value>` or `counter refused`, one per line.
pub(crate) fn told(uicr: &[u8; UICR_LEN]) -> String {
    run(uicr, &[])
}

fn run(uicr: &[u8; UICR_LEN], arguments: &[&str]) -> String {
    let mut child =
        Command::new(reader()).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(uicr).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// UICR with this key hash and these counter words.
fn stamped(hash: &Digest, counter: &[u32]) -> [u8; UICR_LEN] {
    let mut uicr = [0xFF; UICR_LEN];
    uicr[CUSTOMER..CUSTOMER + 32].copy_from_slice(&hash.0);
    for (slot, word) in counter.iter().enumerate() {
        let at = CUSTOMER + (8 + slot) * 4;
        uicr[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    uicr
}

fn hash() -> Digest {
    recipe::read(&project("tests/products/smallest.toml"), None).unwrap().keys["root"].spki_sha256()
}

#[test]
fn mcuboot_reads_the_hash_and_the_counter_that_the_smallest_product_asks_for() {
    let product = recipe::read(&project("tests/products/smallest.toml"), None).unwrap();
    let counter = product.counter.unwrap();
    assert_eq!((counter.at.index, counter.slots), (8, 16), "the reader's layout is that of the products");
    assert_eq!(told(&stamped(&hash(), &[!counter.initial])), format!("hash {}\ncounter {}\n", hash(), counter.initial));
}

#[test]
fn a_board_that_was_never_stamped_gets_no_hash_and_counts_from_nothing() {
    assert_eq!(told(&[0xFF; UICR_LEN]), "hash refused\ncounter 0\n");
}

#[test]
fn a_hash_that_was_cut_off_after_any_word_is_refused() {
    for missing in 0..8 {
        let mut uicr = stamped(&hash(), &[!1]);
        uicr[CUSTOMER + missing * 4..CUSTOMER + missing * 4 + 4].fill(0xFF);
        assert!(told(&uicr).starts_with("hash refused\n"), "word {missing}");
        let mut uicr = stamped(&hash(), &[!1]);
        uicr[CUSTOMER + missing * 4..CUSTOMER + 32].fill(0xFF);
        assert!(told(&uicr).starts_with("hash refused\n"), "from word {missing}");
    }
}

#[test]
fn a_counter_with_a_used_slot_behind_an_empty_one_is_refused() {
    for slot in 1..16 {
        let mut words = [EMPTY; 16];
        words[slot] = !5;
        assert!(told(&stamped(&hash(), &words)).ends_with("counter refused\n"), "slot {slot}");
        assert!(run(&stamped(&hash(), &words), &["9"]).starts_with("raised 2 with 0 writes\n"), "slot {slot}");
    }
}

#[test]
fn the_counter_is_raised_by_one_write_and_never_falls() {
    let uicr = stamped(&hash(), &[!1, !3]);
    assert!(told(&uicr).ends_with("counter 3\n"));
    assert!(run(&uicr, &["7"]).starts_with("raised 0 with 1 writes\n"));
    assert!(run(&uicr, &["7"]).ends_with("counter 7\n"));
    assert!(run(&uicr, &["3"]).starts_with("raised 0 with 0 writes\n"));
    assert!(run(&uicr, &["2"]).starts_with("raised 4 with 0 writes\n"));
    assert!(run(&uicr, &["2"]).ends_with("counter 3\n"));
}

#[test]
fn an_update_that_lost_power_leaves_a_counter_that_did_not_fall_and_can_go_on() {
    // From 5 to 6: every subset of the bits of 6 may have been cleared.
    for bits in [0b000u32, 0b010, 0b100, 0b110] {
        let uicr = stamped(&hash(), &[!5, !bits]);
        let counted = if bits == 6 { 6 } else { 5 };
        assert!(told(&uicr).ends_with(&format!("counter {counted}\n")), "{bits:03b}");
        assert!(run(&uicr, &["6"]).ends_with("counter 6\n"), "{bits:03b}");
    }
}

#[test]
fn a_counter_with_every_slot_used_still_counts_but_takes_no_more() {
    let words: Vec<u32> = (1..=16u32).map(|value| !value).collect();
    let full = stamped(&hash(), &words);
    assert!(told(&full).ends_with("counter 16\n"));
    assert!(run(&full, &["17"]).starts_with("raised 3 with 0 writes\n"));
}
