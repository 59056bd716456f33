//! Provision data of every generation, read back as each bootloader would.
#![no_main]

use rootstamp::image::nsib::{Dump, Generation, Provision, Storage};
use rootstamp_fuzz::{list, map, show};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(map) = map(data) else { return };
    for dump in Dump::find(&map, true).into_iter().chain(Dump::find(&map, false)) {
        show(&dump.explain(list()));
        let _ = (dump.wrong(), dump.refused(list()), dump.counters(), dump.readings());
    }
    for found in Provision::find(&map).into_iter().chain([Provision::read(&map)]) {
        let Ok(provision) = found else { continue };
        show(&provision.explain(list()));
        let _ = (provision.words_to_write(), provision.refused(list()));
        for generation in Generation::ALL {
            let Ok(storage) = Storage::planned(&provision, generation, 0x1000) else { continue };
            show(&storage.explain());
            let _ = (storage.verify_keys(), storage.life_cycle(), storage.counter(1), storage.counter(2));
        }
    }
});
