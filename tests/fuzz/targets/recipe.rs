//! Product files, with the stand-ins and one hostile file behind every other name.
#![no_main]

use std::path::Path;

use rootstamp::{
    fault::Problem,
    file::Read,
    ident::Mode,
    recipe::{self, STAND_INS, Shelf},
};
use rootstamp_fuzz::{file, show, told};

const NAME: &str = "templates/products/fuzz.toml";

/// The recipe up to the first NUL; what follows it is every file that the program does not carry.
struct Hostile<'d> {
    recipe: &'d [u8],
    other: &'d [u8],
}

impl Shelf for Hostile<'_> {
    fn take(&self, path: &Path, limit: u64) -> Result<Read, Problem> {
        if path == Path::new(NAME) {
            return Ok(file(NAME, self.recipe));
        }
        let other = || Ok(Read::from_memory(path, self.other.to_vec()));
        STAND_INS.take(path, limit).or_else(|_| other())
    }

    fn holds(&self, _: &Path) -> bool {
        true
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let cut = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (recipe, other) = data.split_at(cut);
    let shelf = Hostile { recipe, other: other.get(1..).unwrap_or_default() };
    for mode in [None, Some(Mode::Engineering)] {
        match recipe::read_from(&shelf, Path::new(NAME), mode) {
            Ok(product) => product.remarks.iter().for_each(show),
            Err(problems) => told(&problems),
        }
    }
});
