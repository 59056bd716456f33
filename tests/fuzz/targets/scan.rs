//! Every key inside an image, and bare private halves beside them.
#![no_main]

use rootstamp::image::scan;
use rootstamp_fuzz::{list, map};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(map) = map(data) else { return };
    for found in scan::keys(&map, list()) {
        let _ = (found.describe(), found.decryption_key(&map), found.problem(&map, "x").to_string());
    }
});
