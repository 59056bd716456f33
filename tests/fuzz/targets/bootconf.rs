//! The word that makes an nRF54L's first RRAM immutable.
#![no_main]

use rootstamp::image::bootconf::{BootConf, Chip};
use rootstamp_fuzz::{map, show};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(map) = map(data) else { return };
    match BootConf::read(&map) {
        Ok(read) => {
            for chip in [Chip::L05L10L15, Chip::Lm20Lv10, Chip::Ls05b] {
                show(&read.explain(chip));
                let _ = (read.kib(chip), read.wrong(chip, 0x8000), read.intel_hex());
            }
        }
        Err(problem) => show(&problem),
    }
});
