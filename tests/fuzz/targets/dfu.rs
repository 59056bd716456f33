//! Update packages of both SDKs: ZIP, manifest and init packet; and an init packet by itself.
#![no_main]

use rootstamp::image::{
    dfu::{self, Init},
    update,
};
use rootstamp_fuzz::{file, list, show, told};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match dfu::read(&file("fuzz.zip", data)) {
        Ok(package) => {
            let _ = (package.refused(list()), package.firmwares.iter().map(dfu::Firmware::contradictions).count());
            show(&package.explain(None, list()));
        }
        Err(problem) => show(&problem),
    }
    match update::read(&file("fuzz.zip", data)) {
        Some(Ok(package)) => {
            told(&package.contradictions());
            show(&package.explain());
        }
        Some(Err(problems)) => told(&problems),
        None => {}
    }
    if let Ok(init) = Init::read(data) {
        let _ = (init.contradictions(), init.size(), init.signature.map(|made| made.makers(&init.command)));
    }
});
