//! Settings pages of the nRF5 SDK's bootloader, and the application they speak of.
#![no_main]

use rootstamp::image::dfu::settings::{self, Flat};
use rootstamp_fuzz::{map, show};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(map) = map(data) else { return };
    let flat = Flat::of(&map).ok();
    for found in [settings::find(&map), settings::read(&map, map.first()).ok()].into_iter().flatten() {
        let _ = (found.contradictions(None), found.contradictions(flat.as_ref()));
        show(&found.explain(flat.as_ref()));
    }
});
