//! Keys in every container and form, and what refuses them; target `secret` looks for private halves too.
#![no_main]

use rootstamp::keys::{self, Algorithm, AnyKey, NotOurs};
use rootstamp_fuzz::list;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What is larger is read by nobody: the callers open a key file with this limit.
    if data.len() as u64 > keys::FILE_LIMIT {
        return;
    }
    let read = [AnyKey::from_der(data).map(|(key, _)| key), AnyKey::from_certificate(data), AnyKey::from_pkcs1(data)];
    for key in read.into_iter().flatten() {
        let _ = (list().refuses_key(&key), key.nsib_hashes(), key.short());
        assert_eq!(AnyKey::from_spki(key.spki()).as_ref(), Ok(&key), "a key is not what it was made of");
    }
    let _ = (AnyKey::at_start(data), NotOurs::of(data).to_string());
    for algorithm in Algorithm::ALL {
        let _ = AnyKey::from_raw(algorithm, data);
    }
    let _ = (list().refuses_raw(data), list().search_file(data).len());
    let _ = std::str::from_utf8(data).map(|text| keys::hex_runs(text).len());
});
