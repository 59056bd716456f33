//! A key file in any form, with or without a private half; what refuses it.
#![no_main]

use rootstamp::keys::{self, Algorithm, AnyKey, DecryptionKey};
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
    let _ = (keys::read(&file), DecryptionKey::read(&file), AnyKey::at_start(data), AnyKey::from_der(data));
    let _ = (AnyKey::from_certificate(data), AnyKey::from_pkcs1(data));
    for algorithm in Algorithm::ALL {
        let _ = AnyKey::from_raw(algorithm, data);
    }
    let _ = (list().refuses_raw(data), list().search_file(data).len());
});
