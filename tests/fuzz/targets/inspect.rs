//! All that `inspect` says of any file, by its contents and by each kind of name.
#![no_main]

use rootstamp::cli::inspect;
use rootstamp_fuzz::{file, list};

const NAMES: [&str; 16] = [
    "fuzz",
    "fuzz.hex",
    "fuzz.bin",
    "fuzz.elf",
    "fuzz.pem",
    "fuzz.der",
    "fuzz.json",
    "fuzz.zip",
    "fuzz.dat",
    "fuzz.txt",
    "fuzz.p12",
    "fuzz.csv",
    "fuzz.toml",
    "fuzz.c",
    "fuzz.crt",
    "fuzz.pub",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((name, bytes)) = data.split_first() else { return };
    let name = NAMES[usize::from(*name) % NAMES.len()];
    let told = inspect::told(&file(name, bytes), list()).expect("JSON");
    assert!(told.words.starts_with(name) && told.json.contains("\"told_by\":"), "{}", told.json);
    // A report repeats parts of the file, and says a few lines of each thing that is found.
    let reasons: usize = told.reasons.iter().map(String::len).sum();
    let length = told.words.len() + told.json.len() + reasons;
    assert!(length < 64 * data.len() + (4 << 20), "{length} bytes told");
});
