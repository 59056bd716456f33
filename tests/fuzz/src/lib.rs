//! What the fuzz targets share: bytes as a file that never was one, and one refuse list for all runs.

use std::sync::OnceLock;

use rootstamp::{file::Read, image::Map, keys::refuse::RefuseList};

/// These bytes as a file of this name.
#[must_use]
pub fn file(name: &str, bytes: &[u8]) -> Read {
    Read::from_memory(name, bytes.to_vec())
}

/// The built-in refuse list, read once.
///
/// # Panics
/// If the list inside the program cannot be read: then there is nothing to test.
#[must_use]
pub fn list() -> &'static RefuseList {
    static LIST: OnceLock<RefuseList> = OnceLock::new();
    LIST.get_or_init(|| RefuseList::built_in().expect("the list inside the program can be read"))
}

/// Memory as hostile bytes describe it: Intel HEX or ELF where they begin like it, otherwise raw bytes behind four
/// that are their address.
#[must_use]
pub fn map(bytes: &[u8]) -> Option<Map> {
    if bytes.starts_with(b":") {
        return Map::from_hex(&file("fuzz.hex", bytes)).ok();
    }
    if rootstamp::image::elf::begins(bytes) {
        return Map::from_elf(&file("fuzz.elf", bytes)).ok();
    }
    let (at, rest) = bytes.split_first_chunk()?;
    Map::from_raw(&file("fuzz.bin", rest), u32::from_le_bytes(*at)).ok()
}

/// Every report may be shown: makes the text and throws it away.
pub fn show(what: &impl std::fmt::Display) {
    assert!(what.to_string().len() < 64 << 20, "a report of more than 64 MiB");
}

/// Mistakes are told with a bound, whatever the file is.
pub fn told(problems: &[rootstamp::fault::Problem]) {
    problems.iter().for_each(show);
}
