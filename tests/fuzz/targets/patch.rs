//! The one key of a device in a bootloader: nothing else changes, or nothing at all.
#![no_main]

use std::sync::LazyLock;

use rootstamp::{
    image::dfu::patch::{Form, Patch, bare_keys},
    keys::{self, PublicKey},
};
use rootstamp_fuzz::{file, list, map, told};

static KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    let key = include_bytes!("../../../keys-public/gw3-root.pem");
    keys::read(&file("gw3-root.pem", key)).expect("a public key")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(([form, at], rest)) = data.split_first_chunk() else { return };
    let Some(map) = map(rest) else { return };
    let (_, form) = Form::WORDS[usize::from(*form) % Form::WORDS.len()];
    let patch = Patch { at: map.first().saturating_add(u32::from(*at) * 4), form };
    match patch.apply(&map, &KEY, list()) {
        Ok(patched) => {
            assert!(patch.check(&patched, list()).is_ok(), "the key of the device is not alone in it");
            assert!(bare_keys(&patched).iter().all(|bare| bare.key == *KEY), "another key is in it");
        }
        Err(problems) => told(&problems),
    }
});
