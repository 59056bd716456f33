//! ELF as linkers write it, and as nobody does: what it loads, and what stands beside that.
#![no_main]

use rootstamp::image::{Map, elf};
use rootstamp_fuzz::{file, list, told};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = file("fuzz.elf", data);
    match Map::from_elf(&file) {
        Ok(map) => {
            assert!(map.len() <= data.len(), "more bytes than the file has");
            let _ = (map.words(), map.digest(), elf::beside(&file, list()));
        }
        Err(problems) => told(&problems),
    }
});
