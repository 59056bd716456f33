//! Whether provision data, Nordic's immutable bootloader, what that starts and the recipe speak of the same keys, slots,
//! counters and generation; and whether it would boot.

use std::ops::Range;

use super::{
    Image, Is, NsibStorage,
    devices::{Told, plain},
    keyring::Keyring,
    meant::at,
    storage::{self, Making, is_set},
    written::WrittenNsib,
};
use crate::{
    fault::{Exit, Problem},
    image::{
        Map, Segment,
        bootloader::{self, Family, FirmwareInfo},
        nsib::{
            self, Bootloader, CounterOf, Firmware, Generation, Head, MAX_AREA, Provision, Rules, SignedBy, Storage,
        },
        vectors,
    },
    keys::refuse::RefuseList,
    page::{Place, Placed, choice},
};

/// The bootloader itself: recognised, and without a key of its own.
pub(super) fn bootloader(map: &Map, list: &RefuseList) -> Vec<Told> {
    let survey = bootloader::survey(map, list);
    let mut told = Vec::new();
    if !survey.families.iter().any(|found| found.family == Family::Nsib) {
        let what = "cannot be shown to be Nordic's immutable bootloader: none of its signs is in it";
        told.push(plain(Problem::new(map.name(), what)));
    }
    told.extend(vectors::read(map, map.first(), &vectors::SRAM).err().into_iter().flatten().map(plain));
    for key in &survey.keys {
        let problem = map.problem_at(key.at, format!("{} at 0x{:08X} is inside", key.what, key.at));
        if key.private {
            told.push(plain(problem.exit(Exit::KeyRefused)));
        } else if key.refused.is_some() {
            told.push(Told { problem, refused: true });
        }
    }
    told
}

/// Everything that takes part when the immutable bootloader starts.
pub(super) struct Chain<'r> {
    pub(super) stamp: Option<&'r WrittenNsib>,
    pub(super) chip: Option<&'r Placed<String>>,
    pub(super) images: &'r [Image],
    pub(super) keys: &'r Keyring,
    /// Whether its keys are in the chip's key slots, and not in the storage.
    pub(super) kmu: bool,
    pub(super) told: Vec<Told>,
    pub(super) remarks: Vec<String>,
    /// As in [`Stored`].
    pub(super) asked: Vec<Place>,
}

/// What the bootloader finds in its storage, and the data for it if no file has it.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) made: Option<Image>,
    pub(super) storage: Option<NsibStorage>,
    /// Where the recipe speaks of each image whose signature was looked at, right or wrong.
    pub(super) asked: Vec<Place>,
}

/// Provision data of a recipe, with the image that holds it.
#[derive(Clone, Copy)]
struct Given<'g> {
    image: &'g Image,
    provision: &'g Provision,
    generation: Generation,
}

impl Chain<'_> {
    pub(super) fn check(&mut self, list: Option<&RefuseList>) -> Stored {
        let mut given = self.images.iter().filter_map(|image| Some((image, image.provision.as_ref()?)));
        let (first, second) = (given.next(), given.next());
        if let Some((image, _)) = second {
            self.note(image.place.problem("a second image with provision data; the bootloader has one storage"));
        }
        let Some(stamp) = self.stamp else {
            if let Some((image, provision)) = first {
                self.refused(image, provision, list);
                let what = "provision data needs [stamp.nsib]: its generation and keys cannot be read off it";
                self.note(image.place.problem(what));
            }
            return Stored::default();
        };
        let made = self.made(stamp, first.map(|(image, _)| image));
        let file_or_made = first.or_else(|| made.as_ref().and_then(|image| Some((image, image.provision.as_ref()?))));
        let Some((image, provision)) = file_or_made else { return Stored::default() };
        self.refused(image, provision, list);
        let Some(generation) = generation(stamp) else { return Stored::default() };
        let given = Given { image, provision, generation };
        self.given(stamp, given);
        let storage = Some(self.storage(stamp, given));
        Stored { made: made.filter(|_| first.is_none()), storage, asked: std::mem::take(&mut self.asked) }
    }

    fn refused(&mut self, image: &Image, provision: &Provision, list: Option<&RefuseList>) {
        for (index, hit) in list.map(|list| provision.refused(list)).unwrap_or_default() {
            let problem = at_key(image, provision, index, &format!("it trusts a {hit}")).exit(Exit::KeyRefused);
            self.told.push(Told { problem, refused: true });
        }
    }

    /// What the recipe's own words make; a file beside them says the same, byte for byte.
    fn made(&mut self, stamp: &WrittenNsib, file: Option<&Image>) -> Option<Image> {
        self.words_that_fit(stamp, file);
        let generation = self.known(stamp)?;
        let making = Making { stamp, generation, chip: self.chip, keys: self.keys };
        let made = making.image().unwrap_or_else(|wrong| {
            wrong.into_iter().for_each(|problem| self.note(problem));
            None
        });
        let both = file.zip(made.as_ref());
        if let Some((file, (address, what))) =
            both.and_then(|(file, made)| Some((file, storage::difference(&file.map, &made.map)?)))
        {
            let what = format!("is not what [stamp.nsib] makes ({}): {what}", at(&stamp.place));
            self.note(file.map.problem_at(address, what));
        }
        made
    }

    /// Data comes from a file or from the words; and MCUboot alone has nothing but its counter.
    fn words_that_fit(&mut self, stamp: &WrittenNsib, file: Option<&Image>) {
        let has_file = file.is_some() || self.images.iter().any(|image| image.is == Is::NsibProvision);
        let unread = stamp.size.as_ref().map(|size| (&size.place, "size"));
        let unread = unread.into_iter().chain(stamp.write_width.as_ref().map(|width| (&width.place, "write_width")));
        if stamp.at.is_none() {
            for (place, word) in unread {
                self.note(place.problem(format!("`{word}` is said of data that is made: say `at` too")));
            }
            if !has_file {
                self.note(stamp.place.problem(
                    "no [[image]] has is = \"nsib-provision\", and there is no `at`, where the storage begins, to make \
                     its data from these words",
                ));
            }
        }
        if !is_set(stamp.mcuboot_only.as_ref()) {
            return;
        }
        let keys = stamp.keys.first().map(|key| &key.place);
        let slots = stamp.s0.iter().chain(&stamp.s1).map(|slot| &slot.place);
        let counter = stamp.counters.as_ref().and_then(|counters| counters.nsib.as_ref()).map(|slots| &slots.place);
        for place in keys.into_iter().chain(slots).chain(counter) {
            self.note(
                place.problem("with `mcuboot_only` there are no keys, slots and versions of NSIB in the storage"),
            );
        }
    }

    /// What is planned, for whoever asks the finished memory.
    fn storage(&self, stamp: &WrittenNsib, given: Given<'_>) -> NsibStorage {
        NsibStorage {
            generation: given.generation,
            width: given.provision.width,
            base: given.provision.base,
            size: self.size(stamp),
            mcuboot_only: given.provision.content.head == Head::McubootOnly,
            kmu: self.kmu,
            place: stamp.place.clone(),
        }
    }

    /// How long the storage is that is made; of one in a file only that it is no longer than there ever is one.
    fn size(&self, stamp: &WrittenNsib) -> u32 {
        let said = stamp.size.as_ref().map(|size| size.value);
        let chip = self.chip.map(|chip| chip.value.as_str()).unwrap_or_default();
        let area = stamp.at.as_ref().and_then(|at| nsib::area(chip, at.value, said).ok());
        area.map_or(MAX_AREA, |area| area.size)
    }

    fn note(&mut self, problem: Problem) {
        self.told.push(plain(problem));
    }

    /// The generation, if it is one; every key is known by name, and to the bootloader of that generation.
    fn known(&mut self, stamp: &WrittenNsib) -> Option<Generation> {
        let names = self.keys.names();
        for name in stamp.keys.iter().filter(|name| !self.keys.knows(&name.value)) {
            let what = format!("no key is called `{}`{}", name.shown(), choice(&name.value, &names));
            self.told.push(plain(name.problem(what)));
        }
        let format = stamp.format.as_ref()?;
        let read = format.value.parse::<Generation>();
        let generation = read.map_err(|error| self.note(format.problem(error.to_string()))).ok()?;
        for name in &stamp.keys {
            let Some(key) = self.keys.get(&name.value).filter(|key| generation.hash(key).is_none()) else { continue };
            let called = self.keys.called(&name.value);
            let what = format!("key {called} is {}, which NSIB of {generation} does not know", key.algorithm());
            self.told.push(plain(name.problem(what)));
        }
        Some(generation)
    }

    fn given(&mut self, stamp: &WrittenNsib, given: Given<'_>) {
        let only = is_set(stamp.mcuboot_only.as_ref());
        match (&given.provision.content.head, only) {
            (Head::Nsib { s0, s1, .. }, false) => {
                self.trusted(stamp, given);
                self.slots(stamp, given, (*s0, *s1));
            }
            (Head::McubootOnly, true) => self.alone(given),
            (Head::McubootOnly, false) => {
                let what = format!("`{}` is provision data for MCUboot alone, without NSIB", given.image.file);
                self.note(stamp.place.problem(what));
                return;
            }
            (Head::Nsib { .. }, true) => {
                let what = format!("`mcuboot_only` is said, but `{}` is provision data for NSIB", given.image.file);
                self.note(stamp.place.problem(what));
                return;
            }
        }
        self.counters(stamp, given);
        self.reference(stamp, given);
        self.generations(stamp, given);
        self.room(stamp, given);
        self.boots(stamp, given);
    }

    /// The zeros before its counter say something to whoever reads them as NSIB does.
    fn alone(&mut self, given: Given<'_>) {
        for bootloader in self.images.iter().filter(|image| image.is == Is::Nsib) {
            let what = format!(
                "image `{}` ({}) is NSIB, but the storage of `{}` is for MCUboot alone: it would read DECOMMISSIONED \
                 and no keys",
                bootloader.name, bootloader.file, given.image.file
            );
            self.note(bootloader.place.problem(what));
        }
        self.remarks.push(format!(
            "`{}`: the zeros before MCUboot's counter also say that the life-cycle state is DECOMMISSIONED and the \
             implementation id is zeros",
            given.image.file
        ));
    }

    fn reference(&mut self, stamp: &WrittenNsib, given: Given<'_>) {
        let held = given.provision.content.reference.as_deref();
        if let Some(said) = stamp.reference.as_ref().filter(|said| held != Some(said.value.as_str())) {
            let held = held.unwrap_or("none");
            let what = format!("`reference` is {}, but `{}` holds {held}", said.shown(), given.image.file);
            self.note(said.problem(what));
        }
    }

    /// Whatever stands behind the data in the storage would be taken for its counters, or be in their way.
    fn room(&mut self, stamp: &WrittenNsib, given: Given<'_>) {
        let (Some(at), Some(base)) = (&stamp.at, given.provision.base) else { return };
        let storage = u64::from(base)..u64::from(base) + u64::from(self.size(stamp));
        let data = given.image.map.segments();
        // Sharing the data's own addresses is told of any two images.
        let touches = |one: &Segment, range: &Range<u64>| u64::from(one.at) < range.end && range.start < one.end();
        let free = |one: &Segment| !data.iter().any(|data| touches(one, &(u64::from(data.at)..data.end())));
        for image in self.images.iter().filter(|image| image.is != Is::NsibProvision) {
            let inside = image.map.segments().iter().find(|one| touches(one, &storage) && free(one));
            if let Some(inside) = inside {
                let from = inside.at.max(base);
                let what = format!(
                    "0x{from:08X} belongs to NSIB's storage, 0x{base:08X} to 0x{:08X} ({})",
                    storage.end - 1,
                    self::at(&at.place)
                );
                self.told.push(plain(image.map.problem_at(from, what)));
            }
        }
    }

    /// Key by key, in order.
    fn trusted(&mut self, stamp: &WrittenNsib, given: Given<'_>) {
        let Given { image, provision, generation } = given;
        let held = provision.content.keys();
        if held.len() != stamp.keys.len() {
            let what = format!("`keys` names {}, but `{}` holds {}", stamp.keys.len(), image.file, held.len());
            self.note(stamp.place.problem(what));
        }
        for (index, (held, name)) in held.iter().zip(&stamp.keys).enumerate() {
            if let Some(offset) = held.hash.unusable() {
                let what =
                    format!("the hash of key {index} holds 0xFFFF at byte {offset}: the bootloader starts nothing");
                self.note(at_key(image, provision, index, &what));
            }
            let Some(key) = self.keys.get(&name.value) else { continue };
            let called = self.keys.called(&name.value);
            if let Some(hash) = generation.hash(key).filter(|hash| *hash != held.hash) {
                self.note(at_key(
                    image,
                    provision,
                    index,
                    &format!("key {index} is {}, but {} names {called}, which is {hash}", held.hash, at(&name.place)),
                ));
            }
        }
    }

    fn slots(&mut self, stamp: &WrittenNsib, given: Given<'_>, (s0, s1): (u32, u32)) {
        for (name, said, held) in [("s0", &stamp.s0, s0), ("s1", &stamp.s1, s1)] {
            if let Some(said) = said.as_ref().filter(|said| said.value != held) {
                let what = format!("`{name}` is 0x{:08X}, but `{}` says 0x{held:08X}", said.value, given.image.file);
                self.note(said.problem(what));
            }
        }
    }

    fn counters(&mut self, stamp: &WrittenNsib, given: Given<'_>) {
        let said = |pick: fn(&super::written::WrittenCounters) -> &Option<Placed<u32>>| {
            stamp.counters.as_ref().and_then(|counters| pick(counters).as_ref())
        };
        let both = [(CounterOf::Nsib, said(|all| &all.nsib)), (CounterOf::Mcuboot, said(|all| &all.mcuboot))];
        for (of, said) in both {
            let held = given.provision.content.counters.iter().find(|counter| counter.of == of);
            let slots = held.map_or(0, |counter| u32::from(counter.slots));
            let wanted = said.map_or(0, |said| said.value);
            if slots != wanted {
                let place = said.map_or(&stamp.place, |said| &said.place);
                let what = format!(
                    "the counter of {} has {wanted} slots here, and {slots} in `{}`",
                    of.name(),
                    given.image.file
                );
                self.note(place.problem(what));
            }
            if let Some(used) = held.map(|held| held.used(given.provision.width)).filter(|used| *used > 0) {
                let what = format!("the counter of {} has {used} used slots; a fresh board has none", of.name());
                self.note(Problem::new(given.image.map.name(), what));
            }
        }
    }

    fn generations(&mut self, stamp: &WrittenNsib, given: Given<'_>) {
        let place = stamp.format.as_ref().map_or(&stamp.place, |format| &format.place);
        let told = &given.provision.told;
        let bootloaders = self.images.iter().filter(|image| image.is == Is::Nsib);
        let mut wrong: Vec<String> = Vec::new();
        for image in bootloaders {
            let contradictions = Bootloader::of(&image.map).goes_with(given.generation, told).err();
            let named = |what: String| format!("{} and {}: {what}", given.image.file, image.file);
            wrong.extend(contradictions.into_iter().flatten().map(named));
        }
        if wrong.is_empty() {
            let contradiction = nsib::fits(told, given.generation).err();
            wrong.extend(contradiction.map(|what| format!("{}: {what}", given.image.file)));
        }
        wrong.into_iter().for_each(|what| self.note(place.problem(what)));
    }

    /// The bootloader's own questions, asked of the storage as it will be.
    fn boots(&mut self, stamp: &WrittenNsib, given: Given<'_>) {
        let Given { image, provision, generation } = given;
        // What keeps the storage from being put together was told as a contradiction of generations.
        let Ok(storage) = Storage::planned(provision, generation, self.size(stamp)) else { return };
        if provision.content.head != Head::McubootOnly {
            let (s0, s1) = (storage.s0(), storage.s1());
            self.apart(stamp, given, [s0, s1]);
            let other = |one: &&Image| one.is != Is::Nsib && one.is != Is::NsibProvision;
            let firmware: Vec<&Image> =
                self.images.iter().filter(other).filter(|one| [s0, s1].contains(&one.map.first())).collect();
            if firmware.is_empty() {
                let what = format!("no image stands at a slot of `{}`, 0x{s0:08X} or 0x{s1:08X}", image.file);
                self.note(image.place.problem(what));
            }
            for started in firmware {
                self.started(given, &storage, started);
            }
        }
        self.counted(given, &storage);
    }

    /// An update erases its slot, and the storage with it if that stands there.
    fn apart(&mut self, stamp: &WrittenNsib, given: Given<'_>, slots: [u32; 2]) {
        let Some(base) = given.provision.base else { return };
        let range = u64::from(base)..u64::from(base) + u64::from(self.size(stamp));
        if let Some(slot) = slots.into_iter().find(|slot| range.contains(&u64::from(*slot))) {
            let what = format!(
                "the storage of `{}` stands at 0x{base:08X}, over the slot at 0x{slot:08X}: the first update there erases it",
                given.image.file
            );
            self.note(stamp.place.problem(what));
        }
    }

    /// MCUboot counts in the same storage.
    fn counted(&mut self, given: Given<'_>, storage: &Storage) {
        let counts = given.provision.content.counters.iter().any(|counter| counter.of == CounterOf::Mcuboot);
        for application in self.images.iter().filter(|_| counts) {
            let about = application.about.as_ref();
            let Some(about) = about else { continue };
            let Some(counter) = about.security_counter() else {
                let what = format!(
                    "would not boot with `{}`: that has a counter for MCUboot, which then starts nothing without a security \
                     counter in its protected TLVs (imgtool sign --security-counter)",
                    given.image.file
                );
                self.note(application.map.problem_at(about.at, what));
                continue;
            };
            if let Err(what) = storage.would_take(counter) {
                let what = format!("would not boot with `{}`: {what}", given.image.file);
                self.note(application.map.problem_at(about.at, what));
            }
        }
    }

    /// What stands in one slot ends before the other begins.
    fn fits(&mut self, given: Given<'_>, storage: &Storage, started: &Image) {
        let (first, slots) = (started.map.first(), [storage.s0(), storage.s1()]);
        let Some(next) = slots.into_iter().find(|slot| *slot > first && u64::from(*slot) < started.map.end()) else {
            return;
        };
        let end = started.map.end();
        let what = format!("reaches to 0x{end:08X}, over the slot at 0x{next:08X} that `{}` names", given.image.file);
        self.note(started.map.problem_at(next, what));
    }

    /// What else stands in the file of firmware would be flashed as if its signature covered that too.
    fn beside(&mut self, started: &Image, info: &FirmwareInfo) {
        for run in nsib::beside(&started.map, info) {
            let what = unsigned_run(&run, &started.name, info.address..info.address.saturating_add(info.size));
            self.note(started.map.problem_at(u32::try_from(run.start).unwrap_or(info.address), what));
        }
    }

    fn started(&mut self, given: Given<'_>, storage: &Storage, started: &Image) {
        self.fits(given, storage, started);
        self.asked.push(started.place.clone());
        let Some(info) = nsib::firmware_at(&started.map, started.map.first()) else {
            let what = format!(
                "has no firmware info where the bootloader of `{}` looks, {}, and that starts nothing without",
                given.image.file,
                nsib::looked_at()
            );
            self.note(started.map.problem_at(started.map.first(), what));
            return;
        };
        let Some(name) = &started.signed else {
            self.note(
                started.place.problem("the immutable bootloader starts it: `signed` names the key it was signed with"),
            );
            return;
        };
        let Some(key) = self.keys.get(name) else { return };
        if let Some(what) = nsib::unsigned(&started.map, &info, key) {
            let what = format!("would not boot: {what}; `signed` names key {}", self.keys.called(name));
            self.note(started.map.problem_at(info.address, what));
        } else {
            self.beside(started, &info);
        }
        let signed = match (self.kmu, given.generation.hash(key)) {
            (true, _) => SignedBy::Kmu,
            (false, Some(hash)) => SignedBy::Provisioned(hash),
            (false, None) => return,
        };
        let counts_versions = given.provision.content.counters.iter().any(|counter| counter.of == CounterOf::Nsib);
        let firmware = Firmware { at: info.address, version: info.version, signed };
        let answer = storage.would_boot(&firmware, Rules { counts_versions, heeds_life_cycle: false });
        for what in answer.no {
            let what = format!("would not boot with `{}`: {what}", given.image.file);
            self.note(started.map.problem_at(info.at, what));
        }
        self.remarks.extend(answer.notes.into_iter().map(|note| format!("image `{}`: {note}", started.name)));
        if let Some(stored) = answer.stores {
            self.remarks.push(format!("the first start of image `{}` stores {stored} in NSIB's counter", started.name));
        }
    }
}

/// For messages: bytes in the file of an image that its signature does not cover.
pub(super) fn unsigned_run(run: &Range<u64>, name: &str, signed: Range<u32>) -> String {
    format!(
        "0x{:08X}..0x{:08X} in the file of image `{name}` is no part of what was signed, 0x{:08X}..0x{:08X}: take it out, or \
         give it a file and an [[image]] of its own",
        run.start, run.end, signed.start, signed.end
    )
}

/// A problem of a stored key, with its address.
fn at_key(image: &Image, provision: &Provision, index: usize, what: &str) -> Problem {
    let at = provision.key_at(index);
    let what = format!("{what} (0x{at:08X})");
    if image.made.is_some() { image.place.problem(what) } else { image.map.problem_at(at, what) }
}

fn generation(stamp: &WrittenNsib) -> Option<Generation> {
    stamp.format.as_ref()?.value.parse().ok()
}
