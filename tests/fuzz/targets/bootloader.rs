//! What a file shows of bootloaders, beside the keys inside, which target `scan` looks for.
#![no_main]

use rootstamp::image::{bootloader, dfu::patch, flash_map, mcuboot::Signs};
use rootstamp_fuzz::{list, map, show};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(map) = map(data) else { return };
    let survey = bootloader::survey_with(&map, &[], &[], list());
    show(&survey.explain());
    show(&Signs::of(&map));
    let half = map.first()..map.first().saturating_add(u32::try_from(map.len() / 2).unwrap_or_default());
    for layout in flash_map::all(&map, &[]).into_iter().chain(flash_map::all(&map, &[half])) {
        assert!(layout.areas.iter().all(|area| area.end() > area.at), "{layout:?}");
    }
    // Every fourth byte costs arithmetic; target `inspect` has them in larger programs.
    if map.len() <= 1 << 20 {
        let _ = (patch::bare_keys(&map), patch::generator(&map));
    }
});
