//! A key file as it is taken: private halves are looked for in every form before anything else.
#![no_main]

use rootstamp::keys::{self, DecryptionKey};
use rootstamp_fuzz::{file, list, show};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = file("fuzz.pem", data);
    match keys::read_any(&file) {
        Ok(given) => {
            let _ = (list().refuses_key(&given.key), given.key.nsib_hashes(), given.describe());
        }
        Err(problem) => show(&problem),
    }
    // What is larger is read by nobody else: the callers open a key file with this limit.
    if data.len() as u64 > keys::FILE_LIMIT {
        return;
    }
    // It looks for private halves as `read_any` did, which is most of the time that an input takes.
    if data.len() % 8 == 0 {
        let _ = keys::read(&file);
    }
    let _ = DecryptionKey::from_der(&file.bytes);
});
