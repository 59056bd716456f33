//! What a file shows of bootloaders, and every key inside.
#![no_main]

use rootstamp::image::{
    bootloader,
    dfu::patch::{Form, Patch},
    scan,
};
use rootstamp_fuzz::{list, map, show, told};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(map) = map(data) else { return };
    let found = scan::keys(&map, list());
    show(&bootloader::survey_with(&map, &found, list()).explain());
    for found in found {
        let _ = (found.describe(), found.decryption_key(&map));
    }
    let key = Patch { at: map.first(), form: Form::Nrf5SdkLe };
    key.check(&map, list()).err().iter().for_each(|problems| told(problems));
});
