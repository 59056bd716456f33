//! Intel HEX, and every question that a map of it answers.
#![no_main]

use rootstamp::image::{Map, vectors};
use rootstamp_fuzz::{file, told};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match Map::from_hex(&file("fuzz.hex", data)) {
        Ok(map) => {
            assert!(map.len() <= data.len(), "more bytes than the file has");
            for segment in map.segments() {
                let _ =
                    (map.line_of(segment.at), map.word(segment.at), vectors::read(&map, segment.at, &vectors::SRAM));
            }
            let _ = (map.words(), map.digest(), map.outside(&[0..0x10_0000, 0x1000_1000..0x1000_2000]));
        }
        Err(problems) => {
            assert!(problems.len() <= 51, "{} problems", problems.len());
            told(&problems);
        }
    }
});
