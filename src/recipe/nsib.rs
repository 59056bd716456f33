//! Whether provision data, Nordic's immutable bootloader, what that starts and the recipe speak of the same keys, slots,
//! counters and generation; and whether it would boot.

use super::{
    Image, Is,
    devices::{Told, plain},
    keyring::Keyring,
    meant::at,
    written::WrittenNsib,
};
use crate::{
    fault::{Exit, Problem},
    image::{
        Map,
        bootloader::{self, Family, FirmwareInfo},
        nsib::{
            self, Bootloader, CounterOf, Firmware, Generation, Head, MAX_AREA, Provision, Rules, SignedBy, Storage,
        },
        vectors,
    },
    keys::{Algorithm, AnyKey, refuse::RefuseList},
    page::{Placed, choice},
};

/// First two words of what stands behind a signed program. [B7; sdk-nrf bl_validation]
const VALIDATION_INFO: [u8; 8] = [0xde, 0xe6, 0x1e, 0x28, 0x83, 0x84, 0x51, 0x86];

/// From there: magic, address, hash and public key, then the signature of 64 bytes. [sdk-nrf subsys/bootloader/bl_validation]
const SIGNATURE_AT: usize = 12 + 4 + 32 + 64;

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
    pub(super) images: &'r [Image],
    pub(super) keys: &'r Keyring,
    pub(super) told: Vec<Told>,
    pub(super) remarks: Vec<String>,
}

/// Provision data of a recipe, with the image that holds it.
#[derive(Clone, Copy)]
struct Given<'r> {
    image: &'r Image,
    provision: &'r Provision,
    generation: Generation,
}

impl<'r> Chain<'r> {
    pub(super) fn check(&mut self, list: Option<&RefuseList>) {
        let mut given = self.images.iter().filter_map(|image| Some((image, image.provision.as_ref()?)));
        let (first, second) = (given.next(), given.next());
        if let Some((image, _)) = second {
            self.note(image.place.problem("a second image with provision data; the bootloader has one storage"));
        }
        if let Some((image, provision)) = first {
            for (index, hit) in list.map(|list| provision.refused(list)).unwrap_or_default() {
                let problem = at_key(image, provision, index, &format!("it trusts a {hit}")).exit(Exit::KeyRefused);
                self.told.push(Told { problem, refused: true });
            }
        }
        let Some(stamp) = self.stamp else {
            if let Some((image, _)) = first {
                let what = "provision data needs [stamp.nsib]: its generation and keys cannot be read off it";
                self.note(image.place.problem(what));
            }
            return;
        };
        let Some(generation) = self.generation(stamp) else { return };
        let has_file = self.images.iter().any(|image| image.is == Is::NsibProvision);
        match first {
            Some((image, provision)) => self.given(stamp, Given { image, provision, generation }),
            None if !has_file => self.note(stamp.place.problem(
                "no [[image]] has is = \"nsib-provision\": this release checks and writes provision data, it does not \
                 make any for a recipe",
            )),
            None => {}
        }
    }

    fn note(&mut self, problem: Problem) {
        self.told.push(plain(problem));
    }

    fn generation(&mut self, stamp: &WrittenNsib) -> Option<Generation> {
        let names = self.keys.names();
        for name in stamp.keys.iter().filter(|name| !self.keys.knows(&name.value)) {
            let what = format!("no key is called `{}`{}", name.value, choice(&name.value, &names));
            self.told.push(plain(name.problem(what)));
        }
        let format = stamp.format.as_ref()?;
        format.value.parse().map_err(|error: nsib::UnknownGeneration| self.note(format.problem(error.to_string()))).ok()
    }

    fn given(&mut self, stamp: &WrittenNsib, given: Given<'r>) {
        let Head::Nsib { s0, s1, .. } = given.provision.content.head else {
            let what = format!("`{}` is provision data for MCUboot alone, without NSIB", given.image.file);
            self.note(stamp.place.problem(what));
            return;
        };
        self.trusted(stamp, given);
        self.slots(stamp, given, (s0, s1));
        self.counters(stamp, given);
        self.generations(stamp, given);
        self.boots(given);
    }

    /// Key by key, in order.
    fn trusted(&mut self, stamp: &WrittenNsib, given: Given<'r>) {
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
            match generation.hash(key) {
                None => {
                    let what = format!("key {called} is {}, which NSIB of {generation} does not know", key.algorithm());
                    self.note(name.problem(what));
                }
                Some(hash) if hash != held.hash => self.note(at_key(
                    image,
                    provision,
                    index,
                    &format!("key {index} is {}, but {} names {called}, which is {hash}", held.hash, at(&name.place)),
                )),
                Some(_) => {}
            }
        }
    }

    fn slots(&mut self, stamp: &WrittenNsib, given: Given<'r>, (s0, s1): (u32, u32)) {
        for (name, said, held) in [("s0", &stamp.s0, s0), ("s1", &stamp.s1, s1)] {
            if let Some(said) = said.as_ref().filter(|said| said.value != held) {
                let what = format!("`{name}` is 0x{:08X}, but `{}` says 0x{held:08X}", said.value, given.image.file);
                self.note(said.problem(what));
            }
        }
    }

    fn counters(&mut self, stamp: &WrittenNsib, given: Given<'r>) {
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

    fn generations(&mut self, stamp: &WrittenNsib, given: Given<'r>) {
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
    fn boots(&mut self, given: Given<'r>) {
        let Given { image, provision, generation } = given;
        // What keeps the storage from being put together was told as a contradiction of generations.
        let Ok(storage) = Storage::planned(provision, generation, MAX_AREA) else { return };
        let (s0, s1) = (storage.s0(), storage.s1());
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
        let counts = provision.content.counters.iter().any(|counter| counter.of == CounterOf::Mcuboot);
        for application in self.images.iter().filter(|_| counts) {
            let Some((about, counter)) =
                application.about.as_ref().and_then(|about| Some((about, about.security_counter()?)))
            else {
                continue;
            };
            if let Err(what) = storage.would_take(counter) {
                let what = format!("would not boot with `{}`: {what}", image.file);
                self.note(application.map.problem_at(about.at, what));
            }
        }
    }

    fn started(&mut self, given: Given<'r>, storage: &Storage, started: &Image) {
        let Some(info) = firmware_info(&started.map) else {
            let what =
                format!("has no firmware info, and the bootloader of `{}` starts nothing without", given.image.file);
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
        if let Some(what) = unsigned(&started.map, &info, key) {
            let what = format!("would not boot: {what}; `signed` names key {}", self.keys.called(name));
            self.note(started.map.problem_at(info.address, what));
        }
        let Some(hash) = given.generation.hash(key) else { return };
        let counts_versions = given.provision.content.counters.iter().any(|counter| counter.of == CounterOf::Nsib);
        let firmware = Firmware { at: info.address, version: info.version, signed: SignedBy::Provisioned(hash) };
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

/// The storage of a key: token and hash, behind the two slots and the number of keys.
fn at_key(image: &Image, provision: &Provision, index: usize, what: &str) -> Problem {
    let offset = u32::try_from(12 + 20 * index).unwrap_or_default();
    let at = provision.at.saturating_add(offset);
    image.map.problem_at(at, format!("{what} (0x{at:08X})"))
}

fn firmware_info(map: &Map) -> Option<FirmwareInfo> {
    bootloader::firmware(map).into_iter().find(|info| info.address == map.first() && info.valid)
}

/// Why the signature behind the program is not this key's.
fn unsigned(map: &Map, info: &FirmwareInfo, key: &AnyKey) -> Option<String> {
    let end = info.address.checked_add(info.size)?;
    let Some(program) = map.bytes(info.address..end) else {
        return Some(format!("the file has not all of the {} bytes that its firmware info claims", info.size));
    };
    let behind = map.segments().iter().find(|segment| segment.at <= end && u64::from(end) < segment.end());
    let behind = behind.and_then(|segment| segment.bytes.get((end - segment.at) as usize..)).unwrap_or_default();
    let limit = behind.len().min(SIGNATURE_AT);
    let found = behind.get(..limit).unwrap_or_default().windows(8).position(|window| window == VALIDATION_INFO);
    let Some(signature) = found.and_then(|from| behind.get(from + SIGNATURE_AT..from + SIGNATURE_AT + 64)) else {
        return Some("no signature stands behind the program".to_owned());
    };
    match key.algorithm() {
        Algorithm::P256 | Algorithm::Ed25519 => (!nsib::signed_by(key, program, signature))
            .then(|| "the signature behind the program was not made by that key".to_owned()),
        other @ (Algorithm::P384 | Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072) => {
            Some(format!("the immutable bootloader knows no {other} keys"))
        }
    }
}
