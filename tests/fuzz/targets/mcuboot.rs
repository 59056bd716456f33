//! MCUboot images: header, TLV areas, trailer, hashes, and the verdict on them.
#![no_main]

use rootstamp::{image::mcuboot, keys::AnyKey};
use rootstamp_fuzz::{list, map, show};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(map) = map(data) else { return };
    show(&mcuboot::Signs::of(&map));
    for (_, image) in mcuboot::all(&map) {
        match image {
            Ok(image) => {
                let key = image.public_key().and_then(|key| AnyKey::from_der(key).ok()).map(|(key, _)| key);
                let _ = (image.judge(key.as_ref()), image.judge(None), image.refused_by(list()));
                let _ = (image.counter_too_large(), image.dependencies());
                show(&image.explain(key.as_ref()));
                if let Some(encryption) = image.encryption() {
                    show(&encryption.explain());
                }
            }
            Err(problem) => show(&problem),
        }
    }
});
