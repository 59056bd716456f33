//! MCUboot: where it starts, and whether it takes the planned images by the key it has: inside, as a hash on the chip, or
//! in key slots.

use super::{Boots, Planned, nsib, stopped};
use crate::{
    fault::Problem,
    ident::Digest,
    image::{Map, flash_map::FlashMap, mcuboot, scan, vectors},
    keys::{AnyKey, refuse::RefuseList},
    recipe::{Image, Inside, Is, KEY_HASH_WORDS, ReadBy},
};

pub(super) fn ask(planned: &Planned<'_>) -> Option<Boots> {
    let mut boots = Boots::default();
    let mut asked = false;
    for bootloader in planned.images(Is::Mcuboot) {
        let Some(inside) = bootloader.inside else { continue };
        asked = true;
        let told = planned.memory(bootloader).and_then(|memory| Told::of(&memory));
        let chain = Chain { planned, bootloader, inside, told };
        boots.extend(chain.ask());
    }
    asked.then_some(boots)
}

struct Chain<'p> {
    planned: &'p Planned<'p>,
    bootloader: &'p Image,
    inside: Inside,
    told: Option<Told>,
}

impl Chain<'_> {
    fn ask(&self) -> Boots {
        let mut no = self.planned.starts(self.bootloader);
        no.extend(self.told_places());
        // One search for all its images; bytes that are not there were told.
        let keys = self.keys_inside();
        let applications = || self.planned.images(Is::McubootImage);
        no.extend(applications().flat_map(|image| self.takes(image, &keys)));
        let (name, file) = (&self.bootloader.name, &self.bootloader.file);
        let by_itself = !nsib::starts(self.planned, self.bootloader);
        let mut undecided: Vec<String> =
            by_itself.then(|| self.planned.starter(self.bootloader)).flatten().into_iter().collect();
        undecided.extend(self.unshown());
        if self.inside == Inside::Kmu && applications().next().is_some() {
            undecided.push(format!(
                "image `{name}` ({file}) takes its keys from key slots: whether they hold the right ones, no plan can tell"
            ));
        }
        if self.has_no_key_yet() && applications().next().is_some() {
            undecided.push(format!(
                "image `{name}` ({file}) gets each unit's own key: whether it starts the planned image is asked unit by unit"
            ));
        }
        Boots { no, undecided }
    }

    /// What a person has to know of this build, for nothing in its file says it.
    fn unshown(&self) -> Vec<String> {
        let (name, file) = (&self.bootloader.name, &self.bootloader.file);
        let applications: Vec<&Image> = self.planned.images(Is::McubootImage).collect();
        let nothing = format!("the unit leaves the line with nothing for `{file}` to start: no image for it");
        let mut open: Vec<String> = applications.is_empty().then_some(nothing).into_iter().collect();
        if self.told.is_some() {
            return open;
        }
        if !applications.is_empty() && !self.shows_slots() {
            let stand = |image: &&Image| format!("0x{:08X} (image `{}`)", image.map.first(), image.name);
            open.push(format!(
                "image `{name}` ({file}) does not show where it looks for what it starts: whether that is {}, only its build \
                 says",
                applications.iter().map(stand).collect::<Vec<_>>().join(" and ")
            ));
        }
        let read = self.reads();
        if !read.is_empty() {
            open.push(format!(
                "image `{name}` ({file}) does not show where it reads {}, only its build says",
                read.join(" and ")
            ));
        }
        open
    }

    /// Whether its table of flash areas says where its slots are.
    fn shows_slots(&self) -> bool {
        let memory = self.planned.memory(self.bootloader);
        let program = memory.as_ref().and_then(|map| Some(map.first()..u32::try_from(map.end()).ok()?));
        memory.zip(program).is_some_and(|(map, program)| FlashMap::of(&map, program).is_some())
    }

    /// What it reads of this recipe's stamps, and where these go.
    fn reads(&self) -> Vec<String> {
        let product = self.planned.product;
        let hash = product.key_hash.as_ref().filter(|_| self.inside == Inside::HwKey).and(self.first("key_hash"));
        let counter = self.counter().and(self.first("counter"));
        let alone = product.nsib.as_ref().filter(|stored| stored.mcuboot_only).and_then(|stored| stored.base);
        let stamped = |what: &str, at: Option<u32>| at.map(|at| format!("{what}, here at 0x{at:08X}"));
        [stamped("the key hash", hash), stamped("its counter", counter), stamped("the counter in its storage", alone)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Whether each unit's own key is still to come.
    fn has_no_key_yet(&self) -> bool {
        self.inside == Inside::Embedded && self.bootloader.patch.is_some()
    }

    /// The public keys in the planned bootloader.
    fn keys_inside(&self) -> Vec<AnyKey> {
        let memory = self.planned.memory(self.bootloader).filter(|_| self.inside == Inside::Embedded);
        let list = RefuseList::built_in().ok();
        let found = memory.zip(list).map(|(memory, list)| scan::keys(&memory, &list)).unwrap_or_default();
        found.into_iter().filter_map(|found| found.key).collect()
    }

    /// A bootloader that says where it looks is taken at its word.
    fn told_places(&self) -> Vec<Problem> {
        let Some(told) = &self.told else { return Vec::new() };
        let (file, product) = (&self.bootloader.file, self.planned.product);
        let mut problems = Vec::new();
        if let (Some(stamp), Some(first)) = (&product.key_hash, self.first("key_hash"))
            && first != told.key_hash
        {
            let what = format!("the key hash goes to 0x{first:08X}, but `{file}` reads it at 0x{:08X}", told.key_hash);
            problems.push(stamp.at.place.problem(what));
        }
        if let (Some(stamp), Some(first)) = (&product.counter, self.first("counter"))
            && (first, stamp.slots) != (told.counter, told.slots)
        {
            problems.push(stamp.at.place.problem(format!(
                "the counter has {} slots from 0x{first:08X}, but `{file}` reads {} from 0x{:08X}",
                stamp.slots, told.slots, told.counter
            )));
        }
        if product.counter.is_none() && told.slots > 0 {
            let what = format!(
                "reads a counter of {} slots from 0x{:08X}, and the recipe stamps none: add [stamp.counter]",
                told.slots, told.counter
            );
            problems.push(self.bootloader.place.problem(format!("image `{}` ({file}) {what}", self.bootloader.name)));
        }
        problems
    }

    fn takes(&self, image: &Image, keys: &[AnyKey]) -> Vec<Problem> {
        let at = image.map.first();
        let mut no = Vec::new();
        if let Some(told) = self.told.as_ref().filter(|told| told.slot != at) {
            no.push(format!("it stands at 0x{at:08X}, but `{}` looks at 0x{:08X}", self.bootloader.file, told.slot));
        }
        match self.planned.memory(image).map(|memory| mcuboot::read(&memory, at).map(|read| (memory, read))) {
            None => no.push("it is not in the plan".to_owned()),
            Some(Err(problem)) => no.push(problem.what),
            Some(Ok((memory, read))) => {
                let wrong = vectors::read(&memory, read.program(), &self.planned.ram).err().into_iter().flatten();
                no.extend(wrong.map(|problem| problem.what));
                no.extend(match self.inside {
                    Inside::HwKey => self.by_hash(image, &read),
                    Inside::Embedded if self.has_no_key_yet() => Vec::new(),
                    Inside::Embedded => self.by_key(&read, keys),
                    Inside::Kmu => why(&read, self.signed(image)),
                });
                no.extend(self.counts(&read));
            }
        }
        no.into_iter().map(|why| stopped(image, why)).collect()
    }

    fn signed(&self, image: &Image) -> Option<&AnyKey> {
        image.signed.as_ref().and_then(|name| self.planned.product.keys.get(name))
    }

    /// Hash, signature, and that the key is the one whose hash is stamped.
    fn by_hash(&self, image: &Image, read: &mcuboot::Image) -> Vec<String> {
        let mut no = why(read, self.signed(image));
        let stamped = self.stamped();
        if stamped.is_none() || read.public_key().map(Digest::of) != stamped {
            let source = self.planned.product.source.name();
            no.push(format!("the key it carries is not the one whose hash {source} stamps"));
        }
        no
    }

    /// One of the keys that stand in the planned bootloader made the signature.
    fn by_key(&self, read: &mcuboot::Image, keys: &[AnyKey]) -> Vec<String> {
        if keys.iter().any(|key| why(read, Some(key)).is_empty()) {
            return Vec::new();
        }
        let mut no = why(read, None);
        no.push(match keys.len() {
            0 => format!("no key stands in the planned `{}`", self.bootloader.file),
            1 => format!("the key in the planned `{}` did not make its signature", self.bootloader.file),
            count => format!("none of the {count} keys in the planned `{}` made its signature", self.bootloader.file),
        });
        no
    }

    fn counts(&self, read: &mcuboot::Image) -> Option<String> {
        let counter = self.counter()?;
        let counted = read.security_counter();
        counted.is_none_or(|counted| counted < counter).then(|| {
            let counted = counted.map_or_else(|| "missing".to_owned(), |counted| counted.to_string());
            let source = self.planned.product.source.name();
            format!("its security counter is {counted}, the board's as {source} stamps it is {counter}")
        })
    }

    fn first(&self, name: &str) -> Option<u32> {
        self.planned.words(name).map(|word| word.at).next()
    }

    fn stamped(&self) -> Option<Digest> {
        let words = self.planned.words("key_hash").take(KEY_HASH_WORDS as usize);
        let bytes: Vec<u8> = words.flat_map(|word| word.value.to_le_bytes()).collect();
        <[u8; 32]>::try_from(bytes).ok().map(Digest)
    }

    /// The greatest value before the first empty slot, of a counter that this bootloader reads.
    fn counter(&self) -> Option<u32> {
        let counter = self.planned.product.counter.as_ref()?;
        if self.inside != Inside::HwKey && counter.read_by != ReadBy::McubootHwKey {
            return None;
        }
        let used = self.planned.words("counter").map(|word| word.value).take_while(|value| *value != u32::MAX);
        Some(used.map(|value| !value).max().unwrap_or_default())
    }
}

/// Every objection to an image, with a key or without.
fn why(read: &mcuboot::Image, key: Option<&AnyKey>) -> Vec<String> {
    read.judge(key).objections.into_iter().map(|objection| objection.why).collect()
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
