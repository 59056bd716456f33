//! Key files of Nordic's west and nrfutil commands.
#![no_main]

use rootstamp::image::kmu::KeyFile;
use rootstamp_fuzz::{file, list, show};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match KeyFile::read(&file("fuzz.json", data)) {
        Ok(keys) => {
            show(&keys.explain(list()));
            let _ = (keys.wrong(), keys.refused(list()));
            let again = KeyFile::read(&file("again.json", keys.to_json().as_bytes()));
            assert!(again.is_ok(), "what was written cannot be read: {again:?}");
        }
        Err(problem) => show(&problem),
    }
});
