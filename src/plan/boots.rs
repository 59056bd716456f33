//! Would the planned state boot? Asked of the golden state's own bytes and words, as the bootloaders will read them.
//!
//! What was checked file by file is checked here once more, as it will stand on the chip: after this nothing but the
//! wire lies between. What the golden state cannot tell is said to be undecided, never to be a yes.

use std::ops::Range;

use crate::{
    chip::{self, Family, Word},
    fault::Problem,
    image::{Map, Segment, vectors},
    recipe::{Image, Is, Product},
};

use super::Golden;

mod mcuboot;
mod nrf5_sdk;
mod nsib;

/// What the golden state says of its own boot.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Boots {
    /// Every reason why it would not; each is a problem of what would not start, and names what it contradicts.
    pub no: Vec<Problem>,
    /// What no plan can tell, one sentence each.
    pub undecided: Vec<String>,
}

impl Boots {
    fn extend(&mut self, other: Self) {
        self.no.extend(other.no);
        self.undecided.extend(other.undecided);
    }
}

/// Every reason why the bootloaders of this product would not start what the golden state holds.
#[must_use]
pub fn would_boot(product: &Product, golden: &Golden) -> Vec<Problem> {
    boots(product, golden).no
}

/// Whether the bootloaders of this product would start what the golden state holds.
#[must_use]
pub fn boots(product: &Product, golden: &Golden) -> Boots {
    let family = chip::family(&golden.chip);
    let planned = Planned {
        product,
        golden,
        ram: family.map_or(vectors::SRAM, Family::ram),
        flash: family.map_or(0..0, Family::flash),
    };
    let chains = [nsib::ask(&planned), mcuboot::ask(&planned), nrf5_sdk::ask(&planned)];
    let mut boots = Boots { no: Vec::new(), undecided: product.open.clone() };
    if chains.iter().all(Option::is_none) {
        let what = "no image is a bootloader that is understood: whether the planned state boots was not asked";
        boots.undecided.push(what.to_owned());
    }
    chains.into_iter().flatten().for_each(|chain| boots.extend(chain));
    boots
}

/// The memory of a finished unit.
struct Planned<'p> {
    product: &'p Product,
    golden: &'p Golden,
    ram: Range<u32>,
    flash: Range<u32>,
}

impl Planned<'_> {
    fn images(&self, is: Is) -> impl Iterator<Item = &Image> {
        self.product.images.iter().filter(move |image| image.is == is)
    }

    /// What the golden state holds in place of this image's own bytes; `None` if it holds not all of them.
    fn memory(&self, image: &Image) -> Option<Map> {
        let cut = |segment: &Segment| {
            let wanted = u64::from(segment.at)..segment.end();
            let holds = |range: Range<u64>| range.start <= wanted.start && wanted.end <= range.end;
            let region = self.golden.regions.iter().find(|region| holds(region.range()))?;
            let from = (segment.at - region.at) as usize;
            let bytes = region.bytes.get(from..from + segment.bytes.len())?.to_vec();
            Some(Segment { at: segment.at, bytes })
        };
        Map::of_segments(image.file.as_str(), image.map.segments().iter().map(cut).collect::<Option<Vec<_>>>()?)
    }

    /// All of flash that is programmed.
    fn whole(&self) -> Option<Map> {
        let segment = |region: &super::Region| Segment { at: region.at, bytes: region.bytes.clone() };
        Map::of_segments(self.product.source.name(), self.golden.regions.iter().map(segment).collect())
    }

    /// Bytes as the chip reads them: erased where nothing is programmed.
    fn bytes(&self, range: Range<u32>) -> Vec<u8> {
        let mut bytes = vec![0xFF; range.len()];
        for region in &self.golden.regions {
            let skipped = range.start.saturating_sub(region.at) as usize;
            let from = region.at.saturating_sub(range.start) as usize;
            let part = region.bytes.get(skipped..).unwrap_or_default();
            bytes.iter_mut().skip(from).zip(part).for_each(|(cell, byte)| *cell = *byte);
        }
        bytes
    }

    /// A word of flash or of UICR.
    fn word(&self, at: u32) -> u32 {
        if let Some(word) = self.golden.words.iter().find(|word| word.at == at) {
            return word.value;
        }
        let bytes = self.bytes(at..at.saturating_add(4));
        bytes.first_chunk().map_or(u32::MAX, |word| u32::from_le_bytes(*word))
    }

    fn words<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Word> {
        let of = move |word: &&Word| word.name.split('[').next() == Some(name);
        self.golden.words.iter().filter(of)
    }

    /// What cannot be said of a bootloader that the chip does not start itself.
    fn starter(&self, bootloader: &Image) -> Option<String> {
        let (name, file, first) = (&bootloader.name, &bootloader.file, bootloader.map.first());
        let elsewhere = first != self.flash.start;
        elsewhere
            .then(|| format!("image `{name}` ({file}) begins at 0x{first:08X}: what starts it there was not asked"))
    }

    /// Whether the chip, or what stands before it, can start from this image's first bytes.
    fn starts(&self, image: &Image) -> Vec<Problem> {
        match self.memory(image) {
            Some(memory) => vectors::read(&memory, image.map.first(), &self.ram).err().unwrap_or_default(),
            None => vec![missing(image)],
        }
    }
}

fn missing(image: &Image) -> Problem {
    image.place.problem(format!("image `{}` ({}) is not in the plan", image.name, image.file))
}

/// An image that would not start, and why.
fn stopped(image: &Image, why: impl AsRef<str>) -> Problem {
    let what = format!("the planned unit would not boot: {}", why.as_ref());
    if image.made.is_some() { image.place.problem(what) } else { image.map.problem_at(image.map.first(), what) }
}
