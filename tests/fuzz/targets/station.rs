//! Station files, and whether the bench that they describe may be used.
#![no_main]

use rootstamp::station;
use rootstamp_fuzz::{file, told};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match station::read_file(&file("stations/fuzz.toml", data)) {
        Ok(station) => {
            let _ = (
                station::allowed(&station),
                station.sites.iter().filter_map(|site| site.probe.value.selector()).count(),
            );
        }
        Err(problems) => told(&problems),
    }
});
