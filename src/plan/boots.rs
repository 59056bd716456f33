//! Would the planned state boot? Asked of the golden state's own bytes and words, as the bootloader will read them.
//!
//! What was checked file by file is checked here once more, as it will stand on the chip: after this nothing but the
//! wire lies between.

use std::ops::Range;

use crate::{
    chip::{self, Word},
    fault::Problem,
    file::Read,
    ident::Digest,
    image::{Map, mcuboot, vectors},
    recipe::{Image, Inside, Is, KEY_HASH_WORDS, Product},
};

use super::{Golden, Region};

/// Every reason why the bootloader of this product would not start what the golden state holds; each is a problem of
/// the image that would not start, and names what it contradicts.
///
/// It speaks of MCUboot with a key hash on the chip. Other chains were judged with their own storage (`recipe`).
#[must_use]
pub fn would_boot(product: &Product, golden: &Golden) -> Vec<Problem> {
    let by_hash = |image: &&Image| image.inside == Some(Inside::HwKey);
    let Some(bootloader) = product.images.iter().find(by_hash) else { return Vec::new() };
    let ram = chip::family(&golden.chip).map_or(vectors::SRAM, chip::Family::ram);
    let planned = Planned { product, golden, bootloader, ram, told: Told::of(&bootloader.map) };
    let mut problems = planned.starts();
    problems.extend(planned.told_places());
    for image in product.images.iter().filter(|image| image.is == Is::McubootImage) {
        problems.extend(planned.takes(image));
    }
    problems
}

struct Planned<'p> {
    product: &'p Product,
    golden: &'p Golden,
    bootloader: &'p Image,
    ram: Range<u32>,
    told: Option<Told>,
}

impl Planned<'_> {
    /// The memory that begins where this image does.
    fn memory(&self, image: &Image) -> Option<Map> {
        let first = image.map.first();
        let holds = |region: &&Region| region.at <= first && u64::from(first) < region.range().end;
        let region = self.golden.regions.iter().find(holds)?;
        Map::from_raw(&Read::from_memory(image.file.as_str(), region.bytes.clone()), region.at).ok()
    }

    fn starts(&self) -> Vec<Problem> {
        let image = self.bootloader;
        match self.memory(image) {
            Some(memory) => vectors::read(&memory, image.map.first(), &self.ram).err().unwrap_or_default(),
            None => vec![image.place.problem(format!("image `{}` ({}) is not in the plan", image.name, image.file))],
        }
    }

    /// A bootloader that says where it looks is taken at its word.
    fn told_places(&self) -> Vec<Problem> {
        let Some(told) = &self.told else { return Vec::new() };
        let file = &self.bootloader.file;
        let mut problems = Vec::new();
        if let (Some(stamp), Some(first)) = (&self.product.key_hash, self.first("key_hash"))
            && first != told.key_hash
        {
            let what = format!("the key hash goes to 0x{first:08X}, but `{file}` reads it at 0x{:08X}", told.key_hash);
            problems.push(stamp.at.place.problem(what));
        }
        if let (Some(stamp), Some(first)) = (&self.product.counter, self.first("counter"))
            && (first, stamp.slots) != (told.counter, told.slots)
        {
            problems.push(stamp.at.place.problem(format!(
                "the counter has {} slots from 0x{first:08X}, but `{file}` reads {} from 0x{:08X}",
                stamp.slots, told.slots, told.counter
            )));
        }
        problems
    }

    fn takes(&self, image: &Image) -> Vec<Problem> {
        let at = image.map.first();
        let mut no = Vec::new();
        if let Some(told) = self.told.as_ref().filter(|told| told.slot != at) {
            no.push(format!("it stands at 0x{at:08X}, but `{}` looks at 0x{:08X}", self.bootloader.file, told.slot));
        }
        match self.memory(image).map(|memory| mcuboot::read(&memory, at).map(|read| (memory, read))) {
            None => no.push("it is not in the plan".to_owned()),
            Some(Err(problem)) => no.push(problem.what),
            Some(Ok((memory, read))) => {
                let wrong = vectors::read(&memory, read.program(), &self.ram).err().into_iter().flatten();
                no.extend(wrong.map(|problem| problem.what));
                no.extend(self.trusts(image, &read));
                no.extend(self.counts(&read));
            }
        }
        no.into_iter().map(|why| image.map.problem_at(at, format!("the planned unit would not boot: {why}"))).collect()
    }

    /// Hash, signature, and that the key is the one whose hash is stamped.
    fn trusts(&self, image: &Image, read: &mcuboot::Image) -> Vec<String> {
        let key = image.signed.as_ref().and_then(|name| self.product.keys.get(name));
        let mut no: Vec<String> = read.judge(key).objections.into_iter().map(|objection| objection.why).collect();
        let stamped = self.stamped();
        if stamped.is_none() || read.public_key().map(Digest::of) != stamped {
            let source = self.product.source.name();
            no.push(format!("the key it carries is not the one whose hash {source} stamps"));
        }
        no
    }

    fn counts(&self, read: &mcuboot::Image) -> Option<String> {
        let counter = self.counter()?;
        let counted = read.security_counter();
        counted.is_none_or(|counted| counted < counter).then(|| {
            let counted = counted.map_or_else(|| "missing".to_owned(), |counted| counted.to_string());
            let source = self.product.source.name();
            format!("its security counter is {counted}, the board's as {source} stamps it is {counter}")
        })
    }

    fn words<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Word> {
        let of = move |word: &&Word| word.name.split('[').next() == Some(name);
        self.golden.words.iter().filter(of)
    }

    fn first(&self, name: &str) -> Option<u32> {
        self.words(name).map(|word| word.at).next()
    }

    fn stamped(&self) -> Option<Digest> {
        let bytes: Vec<u8> =
            self.words("key_hash").take(KEY_HASH_WORDS as usize).flat_map(|word| word.value.to_le_bytes()).collect();
        <[u8; 32]>::try_from(bytes).ok().map(Digest)
    }

    /// The greatest value before the first empty slot.
    fn counter(&self) -> Option<u32> {
        self.product.counter.as_ref()?;
        let used = self.words("counter").map(|word| word.value).take_while(|value| *value != u32::MAX);
        Some(used.map(|value| !value).max().unwrap_or_default())
    }
}

/// What a bootloader says of where it looks. The stand-ins for tests and the demo do; of MCUboot itself nobody knows.
struct Told {
    slot: u32,
    key_hash: u32,
    counter: u32,
    slots: u32,
}

/// At the head of a stand-in's table.
const TABLE: [u8; 4] = *b"RSBL";

/// How far behind its first byte a stand-in has that table.
const TABLE_AT: u32 = 0x80;

impl Told {
    fn of(map: &Map) -> Option<Self> {
        let at = map.first().checked_add(TABLE_AT)?;
        let word = |index: u32| map.word(at.checked_add(4 * index)?);
        let told = Self { slot: word(1)?, key_hash: word(2)?, counter: word(3)?, slots: word(4)? };
        (word(0)?.to_le_bytes() == TABLE).then_some(told)
    }
}
