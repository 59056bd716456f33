//! Lists of devices in the field, as `export --import` takes them.
#![no_main]

use rootstamp::export::keys::merged;
use rootstamp_fuzz::{file, told};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // NUL ends one list and begins another.
    let lists: Vec<_> = data.split(|byte| *byte == 0).take(4).map(|list| file("fuzz.csv", list)).collect();
    match merged(Vec::new(), &lists) {
        Ok(devices) => {
            let again = merged(devices.clone(), &lists);
            assert_eq!(again.map(|again| again.len()), Ok(devices.len()), "a list contradicts what was made of it");
        }
        Err(problems) => told(&problems),
    }
});
