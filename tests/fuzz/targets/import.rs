//! Lists of devices in the field, as `export --import` takes them.
#![no_main]

use rootstamp::{
    export::keys::{Recorded, merged},
    ident::Mode,
};
use rootstamp_fuzz::{file, told};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // NUL ends one list and begins another.
    let lists: Vec<_> = data.split(|byte| *byte == 0).take(4).map(|list| file("fuzz.csv", list)).collect();
    match merged(Recorded::empty(Mode::Training), &lists) {
        Ok(devices) => {
            let again = merged(Recorded { passed: devices.clone(), ..Recorded::empty(Mode::Training) }, &lists);
            assert_eq!(again.map(|again| again.len()), Ok(devices.len()), "a list contradicts what was made of it");
        }
        Err(problems) => told(&problems),
    }
});
