//! ELF as linkers write it, and as nobody does.
#![no_main]

use rootstamp::image::Map;
use rootstamp_fuzz::{file, told};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match Map::from_elf(&file("fuzz.elf", data)) {
        Ok(map) => {
            assert!(map.len() <= data.len(), "more bytes than the file has");
            let _ = (map.words(), map.digest());
        }
        Err(problems) => told(&problems),
    }
});
