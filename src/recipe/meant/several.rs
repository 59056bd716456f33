//! Several images under one MCUboot: their numbers, what they need of each other, and how updates of them are encrypted.

use std::ops::Range;

use super::Reading;
use crate::{
    fault::Problem,
    image::{
        mcuboot::{
            self, Dependency, Version,
            encryption::{Encryption, Scheme},
        },
        nsib::CounterOf,
    },
    page::Place,
    recipe::{Image, written::Written},
};

/// The largest number: one byte of a dependency holds it. [MCUboot image.h, struct image_dependency]
const NUMBER_MAX: u32 = 255;

/// Flash of the nRF5340's network core. [PS-5340, memory map of the network core]
const NETWORK_CORE: Range<u32> = 0x0100_0000..0x0104_0000;

/// An image with its number in MCUboot's count.
struct Numbered<'i> {
    image: &'i Image,
    about: &'i mcuboot::Image,
    number: u32,
    /// Where the number is said, or the image is.
    place: &'i Place,
}

impl Reading<'_> {
    /// Images that MCUboot starts, held against each other.
    pub(super) fn several(&mut self, written: &Written, images: &[Image]) {
        let numbered: Vec<Numbered<'_>> = images.iter().filter_map(|image| Numbered::of(image, written)).collect();
        self.numbers(&numbered);
        for one in &numbered {
            self.uncounted_number(one, images);
            for needed in one.about.dependencies() {
                self.needed(one, &needed, &numbered);
            }
        }
        self.encryptions(&numbered);
    }

    fn numbers(&mut self, numbered: &[Numbered<'_>]) {
        let largest = numbered.iter().map(|one| one.number).max().unwrap_or_default().min(NUMBER_MAX);
        let twice = numbered
            .iter()
            .enumerate()
            .any(|(at, one)| numbered.iter().skip(at + 1).any(|two| two.number == one.number));
        let missing = (0..largest).find(|number| !twice && numbered.iter().all(|one| one.number != *number));
        if let Some((missing, one)) = missing.zip(numbered.iter().find(|one| one.number == largest)) {
            let what = format!(
                "{} is MCUboot's image {largest}, and no image here is number {missing}: MCUboot counts from 0 and starts \
                 nothing where one is missing",
                one.called()
            );
            self.note(one.place.problem(what));
        }
        for (index, one) in numbered.iter().enumerate() {
            if one.number > NUMBER_MAX {
                let what = format!("`number` is at most {NUMBER_MAX}, this is {}", one.number);
                self.note(one.place.problem(what));
            }
            if let Some(first) = numbered.iter().take(index).find(|first| first.number == one.number) {
                let what = format!(
                    "{} and {} are both MCUboot's image {}, of which it starts one: say `number`",
                    one.called(),
                    first.called(),
                    one.number
                );
                self.note(one.place.problem(what));
            }
        }
    }

    /// NCS keeps a security counter for image 0 alone, and its MCUboot refuses every other image for want of one.
    /// [sdk-nrf subsys/bootloader/bl_storage/nrf_nv_counters.c: image_id above 0 fails; nordic-facts B5]
    fn uncounted_number(&mut self, one: &Numbered<'_>, images: &[Image]) {
        let counts = |image: &&Image| {
            let counters = image.provision.iter().flat_map(|provision| &provision.content.counters);
            counters.into_iter().any(|counter| counter.of == CounterOf::Mcuboot)
        };
        if let Some(storage) = images.iter().find(counts).filter(|_| one.number > 0) {
            let what = format!(
                "{} is MCUboot's image {}, but `{}` has a security counter for image 0 alone: an MCUboot that counts \
                 there refuses every other image",
                one.called(),
                one.number,
                storage.file
            );
            self.note(one.place.problem(what));
        }
    }

    /// MCUboot compares dependencies when several images are built in: at every start where it runs them in place or
    /// from RAM, else before an update. It does not look at build numbers unless it was built to.
    /// [MCUboot loader.c, boot_verify_slot_dependency, boot_verify_dependencies, boot_compare_version]
    fn needed(&mut self, one: &Numbered<'_>, needed: &Dependency, numbered: &[Numbered<'_>]) {
        let (number, version) = (u32::from(needed.image), needed.at_least);
        let needs = format!("it needs image {number} in version {version} or later");
        match numbered.iter().find(|other| other.number == number) {
            Some(other) if without_build(other.version()) < without_build(version) => {
                let what = format!(
                    "{needs}, but `{}` holds {}: take both from one release",
                    other.image.file,
                    other.version()
                );
                self.note(one.problem(what));
            }
            Some(other) if other.version() < version => self.open.push(format!(
                "{} needs image {number} in version {version}, and {} holds {}: only an MCUboot that compares build \
                 numbers minds",
                one.called(),
                other.called(),
                other.version()
            )),
            Some(_) => {}
            // One that is built for a single image never reads what it needs.
            None if numbered.len() == 1 => self.open.push(format!(
                "{} needs image {number} in version {version} or later, and the recipe has no second image: an MCUboot \
                 that is built for one image never looks, any other wants image {number} on the board",
                one.called()
            )),
            None => {
                let recipe = &one.image.place.file;
                self.note(one.problem(format!("{needs}, and no [[image]] of {recipe} has `number` = {number}")));
            }
        }
    }

    fn encryptions(&mut self, numbered: &[Numbered<'_>]) {
        let encrypted = |one| Some((one, Numbered::encryption(one)?));
        let wrapped: Vec<(&Numbered<'_>, Encryption)> = numbered.iter().filter_map(encrypted).collect();
        let Some(((first, how), others)) = wrapped.split_first() else { return };
        for (one, other) in others {
            if (other.scheme, other.key_bits) != (how.scheme, how.key_bits) {
                let what = format!(
                    "its updates are wrapped by {}, those of `{}` by {}: a build of MCUboot takes one scheme and one \
                     length of key",
                    wrapping(other),
                    first.image.file,
                    wrapping(how)
                );
                self.note(one.problem(what));
            }
        }
        for (one, _) in wrapped.iter().filter(|(one, _)| one.is_for_network_core()) {
            self.note(one.problem(
                "it is encrypted and for the nRF5340's network core: the nRF Connect SDK signs such images without \
                 encryption, and nothing shows that its MCUboot takes an encrypted one; sign it without --encrypt"
                    .to_owned(),
            ));
        }
        // It goes by each header. [MCUboot loader.c, boot_check_image; image.h, MUST_DECRYPT]
        for clear in numbered.iter().filter(|one| one.encryption().is_none()) {
            self.remarks.push(format!(
                "updates of {} travel in clear, those of {} encrypted: MCUboot takes both, by what each header says",
                clear.called(),
                first.called()
            ));
        }
    }
}

impl<'i> Numbered<'i> {
    fn of(image: &'i Image, written: &'i Written) -> Option<Self> {
        let about = image.about.as_ref()?;
        let said = written.image.iter().find(|written| written.place == image.place)?.number.as_ref();
        let (number, place) = said.map_or((0, &image.place), |said| (said.value, &said.place));
        Some(Self { image, about, number, place })
    }

    fn called(&self) -> String {
        format!("image `{}` ({})", self.image.name, self.image.file)
    }

    fn version(&self) -> Version {
        self.about.header.version
    }

    fn problem(&self, what: String) -> Problem {
        self.image.map.problem_at(self.about.at, what)
    }

    /// What contradicts itself is told of the image alone.
    fn encryption(&self) -> Option<Encryption> {
        self.about.encryption().filter(|encryption| encryption.scheme.is_some())
    }

    /// By where it stands, what its header says, or where its program begins to run, if that is not encrypted.
    /// [sdk-nrf cmake/sysbuild/b0_mcuboot_signing.cmake signs for that core without `--encrypt`; whether MCUboot hands a
    /// decrypted image over was not found, only a build that took every encrypted image for one of that core:
    /// hellesvik-nordic/samples_for_nrf_connect_sdk issue 10]
    fn is_for_network_core(&self) -> bool {
        let reset = self.about.program().checked_add(4).and_then(|at| self.image.map.word(at));
        let places = [Some(self.about.at), Some(self.about.header.load_address), reset];
        places.into_iter().flatten().any(|at| NETWORK_CORE.contains(&at))
    }
}

const fn without_build(version: Version) -> Version {
    Version { build: 0, ..version }
}

fn wrapping(encryption: &Encryption) -> String {
    let scheme = encryption.scheme.map_or("nothing", Scheme::name);
    encryption.key_bits.map_or_else(|| scheme.to_owned(), |bits| format!("{scheme} with AES-{bits}"))
}
