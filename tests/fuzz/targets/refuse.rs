//! A company's refuse list, with one hostile file behind every name in it.
#![no_main]

use rootstamp::file::Read;
use rootstamp_fuzz::{file, list, told};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // NUL ends the list; what follows is every key file that it names.
    let cut = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (written, other) = data.split_at(cut);
    let other = other.get(1..).unwrap_or_default();
    let open = |path: &std::path::Path| Ok(Read::from_memory(path, other.to_vec()));
    match list().clone().with_company_from(&file("refused-keys.toml", written), open) {
        Ok(all) => assert!(all.all().len() - list().all().len() <= written.len(), "more keys than the file can name"),
        Err(problems) => told(&problems),
    }
});
