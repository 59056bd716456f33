//! The table that gives each device its own key, in a recipe that is right.
#![no_main]

use std::{path::Path, sync::LazyLock};

use rootstamp::{
    fault::Problem,
    file::Read,
    ident::Digest,
    image::dfu::patch::PLACEHOLDER,
    recipe::{self, Shelf},
};
use rootstamp_fuzz::{file, show, told};

const RECIPE: &str = "lot.toml";

/// A bootloader with a place for each unit's key.
static BOOTLOADER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let words: Vec<u8> = (0..64_u32).flat_map(|word| word.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
    [&words[..], PLACEHOLDER, &words].concat()
});

static TEXT: LazyLock<String> =
    LazyLock::new(|| include_str!("../devices.toml").replace("BOOTLOADER", &Digest::of(&BOOTLOADER).to_string()));

/// The table up to the first NUL; what follows it is every key file that it names.
struct Files<'d> {
    table: &'d [u8],
    key: &'d [u8],
}

impl Shelf for Files<'_> {
    fn take(&self, path: &Path, _: u64) -> Result<Read, Problem> {
        Ok(match path.file_name().and_then(|name| name.to_str()) {
            Some(RECIPE) => file(RECIPE, TEXT.as_bytes()),
            Some("bl.bin") => file("bl.bin", &BOOTLOADER),
            Some("table.csv") => file("keys/table.csv", self.table),
            Some(_) | None => Read::from_memory(path, self.key.to_vec()),
        })
    }

    fn holds(&self, _: &Path) -> bool {
        false
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let cut = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (table, key) = data.split_at(cut);
    match recipe::read_from(&Files { table, key: key.get(1..).unwrap_or_default() }, Path::new(RECIPE), None) {
        Ok(product) => {
            product.remarks.iter().for_each(show);
            let units: Vec<_> = product.device_keys.iter().flat_map(|keys| keys.iter()).take(2).collect();
            for (serial, key) in units {
                assert_eq!(product.key_for(serial), Ok(Some(key)));
                assert!(product.images.iter().all(|image| product.patched(image, serial).is_ok()), "not patched");
            }
        }
        Err(problems) => told(&problems),
    }
});
