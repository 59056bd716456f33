//! Whether bootloader, application and what is stamped speak of the same keys.

use std::collections::BTreeMap;

use super::{Keys, Reading, at};
use crate::{
    ident::Digest,
    image::{
        flash_map::FlashMap,
        kmu::{self, KeyFile},
        mcuboot,
        tree::Branch,
    },
    keys::{Algorithm, refuse::RefuseList},
    page::Placed,
    recipe::{
        Image, Inside, Is, ReadBy, Slots, nsib, slots,
        written::{Verifier, Written, WrittenImage, WrittenKeyHash, WrittenKmu},
    },
};

impl Reading<'_> {
    /// Bootloader, key on the chip and signature must speak of one key, or the chain does not boot.
    pub(super) fn roots(&mut self, written: &Written, images: &[Image], keys: &Keys) {
        let stamp = written.stamp.as_ref().and_then(|stamp| stamp.key_hash.as_ref());
        let needy = written.image.iter().find(|image| matches!(&image.keys, Some(keys) if keys.value == Inside::HwKey));
        let read_by = stamp.and_then(|stamp| stamp.read_by.as_ref()).map(|read_by| read_by.value);
        let serves = read_by == Some(ReadBy::McubootHwKey);
        match (needy, stamp) {
            (Some(image), None) => self.note(image.place.problem(
                "this bootloader takes its key from the chip (`keys` = \"hw-key\"), but there is no [stamp.key_hash]",
            )),
            (Some(_), Some(stamp)) if !serves && read_by.is_some() => self.note(
                stamp
                    .place
                    .problem("a bootloader with `keys` = \"hw-key\" reads it: `read_by` must be \"mcuboot-hw-key\""),
            ),
            (None, Some(stamp)) if serves && written.image.iter().all(understood) => self.note(
                stamp
                    .place
                    .problem("`read_by` = \"mcuboot-hw-key\", but no image is a bootloader with `keys` = \"hw-key\""),
            ),
            (Some(_), Some(stamp)) => self.one_root(stamp, images, keys),
            (None, Some(_) | None) => {}
        }
    }

    /// A bootloader starts nothing that was signed by a key it does not trust.
    pub(super) fn chain(&mut self, images: &[Image], keys: &Keys) {
        let (signed, bootloaders) = (Is::McubootImage, Is::Mcuboot);
        for bootloader in images.iter().filter(|image| image.is == bootloaders) {
            for image in images.iter().filter(|image| image.is == signed) {
                let Some(signed) = image.signed.as_ref().filter(|signed| keys.knows(signed)) else { continue };
                if !trusts(bootloader, signed, keys) {
                    self.note(image.place.problem(format!(
                        "image `{}` is signed by `{signed}`, which image `{}` does not trust: it would not boot \
                         ({} by {})",
                        image.name, bootloader.name, image.file, bootloader.file
                    )));
                }
            }
        }
    }

    fn one_root(&mut self, stamp: &WrittenKeyHash, images: &[Image], keys: &Keys) {
        let Some(key) = stamp.key.as_ref().filter(|key| keys.knows(&key.value)) else { return };
        let fits = self.hashable(key, keys);
        for image in images {
            let signed = image.signed.as_ref().filter(|signed| **signed != key.value && keys.knows(signed));
            if let Some(signed) = signed.filter(|_| image.is == Is::McubootImage) {
                self.note(key.problem(format!(
                    "the chip gets the hash of key {}, but image `{}` ({}) is signed by `{signed}`: it would not boot",
                    keys.called(&key.value),
                    image.name,
                    image.file
                )));
            }
            if image.about.as_ref().is_some_and(|about| about.public_key().is_none()) {
                self.note(image.place.problem(format!(
                    "image `{}` carries no whole public key, which a bootloader with a key hash on the chip needs; \
                     sign it with `imgtool sign --public-key-format full`",
                    image.name
                )));
            }
            let hashed = image.about.as_ref().and_then(mcuboot::Image::hashed_as);
            if let Some(hashed) = hashed.filter(|hashed| fits && *hashed != SHA256) {
                self.note(image.place.problem(format!(
                    "image `{}` ({}) is hashed {hashed}, and a bootloader that takes it hashes keys as it hashes images: \
                     the SHA-256 of key {} on the chip never fits; sign it with `imgtool sign --sha 256`",
                    image.name,
                    image.file,
                    keys.called(&key.value)
                )));
            }
            if image.inside == Some(Inside::HwKey) && !trusts(image, &key.value, keys) {
                let what = format!("image `{}` ({}) does not trust key `{}`", image.name, image.file, key.value);
                self.note(key.problem(what));
            }
        }
    }

    /// MCUboot hashes the key as its images carry it, with the hash it was built for. [bootutil_find_key]
    fn hashable(&mut self, name: &Placed<String>, keys: &Keys) -> bool {
        let Some(key) = keys.get(&name.value) else { return false };
        let why = match key.algorithm() {
            Algorithm::P256 | Algorithm::Ed25519 | Algorithm::X25519 => return true,
            Algorithm::P384 => "hashes with SHA-384",
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => "hashes the PKCS#1 form of",
        };
        self.note(name.problem(format!(
            "key {} is {}: a bootloader with such a key {why} what images carry, so that SHA-256 of the \
             SubjectPublicKeyInfo never fits",
            keys.called(&name.value),
            key.algorithm()
        )));
        false
    }

    /// Bootloader and application were built for one layout of flash, as far as they show theirs, and stand in it.
    pub(super) fn layouts(&mut self, written: &Written, images: &[Image]) {
        for bootloader in images.iter().filter(|image| image.is == Is::Mcuboot) {
            let Some(layout) = layout(bootloader) else { continue };
            self.stands(bootloader, &layout);
            for application in images.iter().filter(|image| image.is == Is::McubootImage) {
                self.fits(bootloader, &layout, application);
                self.is_first(bootloader, &layout, application, number(written, application));
            }
        }
    }

    /// A build of MCUboot hashes what it starts in one way.
    pub(super) fn one_hash(&mut self, images: &[Image]) {
        let hashed = |image: &Image| image.about.as_ref().and_then(mcuboot::Image::hashed_as);
        let mut all = images.iter().filter_map(|image| Some((image, hashed(image)?)));
        let Some((first, how)) = all.next() else { return };
        for (other, otherwise) in all.filter(|(_, otherwise)| *otherwise != how) {
            self.note(other.place.problem(format!(
                "image `{}` ({}) is hashed {otherwise}, image `{}` ({}) {how}: no build of MCUboot starts both",
                other.name, other.file, first.name, first.file
            )));
        }
    }

    /// An image that was padded for an update and never confirmed may be put back by the bootloader.
    pub(super) fn confirmed(&mut self, images: &[Image]) {
        for image in images {
            let trailer = image.about.as_ref().and_then(|about| about.trailer.as_ref());
            let told = trailer.map(mcuboot::Trailer::explain);
            let warnings = told.iter().flat_map(Branch::warnings);
            self.open.extend(warnings.map(|why| format!("image `{}` ({}): {why}", image.name, image.file)));
        }
    }

    /// The bootloader ends where its own table says that something else begins.
    fn stands(&mut self, bootloader: &Image, layout: &FlashMap) {
        let (first, end) = (bootloader.map.first(), bootloader.map.end());
        let own = layout.areas.iter().filter(|area| (area.at..area.end()).contains(&first));
        if let Some(own) = own.max_by_key(|area| area.size).filter(|own| u64::from(own.end()) < end) {
            let what =
                format!("reaches to 0x{end:08X}, past its own area {own} in the flash map at 0x{:08X}", layout.at);
            self.note(bootloader.map.problem_at(own.end(), what));
        }
    }

    fn fits(&mut self, bootloader: &Image, layout: &FlashMap, application: &Image) {
        let Some(about) = &application.about else { return };
        let (at, file) = (about.at, &bootloader.file);
        let Some(slot) = layout.slot(at) else {
            let areas: Vec<String> = layout.longest().map(ToString::to_string).collect();
            let what = format!(
                "would not boot: it stands at 0x{at:08X}, where the flash map in `{file}` (at 0x{:08X}) has no slot; it \
                 has {}",
                layout.at,
                areas.join(", ")
            );
            self.note(application.map.problem_at(at, what));
            return;
        };
        if about.end > slot.end() {
            let what = format!("ends at 0x{:08X}, past its slot {slot} in the flash map of `{file}`", about.end);
            self.note(application.map.problem_at(at, what));
        }
        let Some(own) = FlashMap::of(&application.map, about.at..about.end) else { return };
        if own.slot(at).is_none_or(|other| other.size != slot.size) {
            let other = own.slot(at).map_or_else(|| "no slot there".to_owned(), ToString::to_string);
            let what = format!(
                "was built for another layout: its own flash map (at 0x{:08X}) has {other}, `{file}` has {slot}",
                own.at
            );
            self.note(application.map.problem_at(own.at, what));
        }
    }

    /// By convention the first slot behind the bootloader is the one that it starts image 0 from; of others its table says
    /// nothing.
    fn is_first(&mut self, bootloader: &Image, layout: &FlashMap, application: &Image, number: u32) {
        let (at, file) = (application.map.first(), &bootloader.file);
        let usual = layout.next_slot(bootloader.map.first()).filter(|usual| usual.at != at);
        let stands = format!("image `{}` ({}) stands at 0x{at:08X}", application.name, application.file);
        // Of one at no slot it is told that it would not boot.
        if layout.slot(at).is_none() {
            return;
        }
        if self.has_nsib {
            self.open.push(format!(
                "{stands}: which of the slots in its flash map `{file}` starts, where NSIB starts it, no file shows"
            ));
        } else if number > 0 {
            self.open.push(format!(
                "{stands} as MCUboot's image {number}: which slot in its flash map `{file}` takes for that image, no file \
                 shows"
            ));
        } else if let Some(usual) = usual {
            self.open.push(format!(
                "{stands}; unless `{file}` was built to run images in place, it starts what is at 0x{:08X}",
                usual.at
            ));
        }
    }

    /// Provision data, its bootloader and what that starts.
    pub(super) fn nsib(
        &mut self,
        written: &Written,
        images: &[Image],
        keys: &Keys,
        list: Option<&RefuseList>,
    ) -> nsib::Stored {
        let stamp = written.stamp.as_ref();
        let slots = stamp.map(|stamp| &stamp.kmu[..]).unwrap_or_default();
        let by_nsib = |slots: &WrittenKmu| slots.boot.as_ref().is_some_and(|boot| boot.value == Verifier::Nsib);
        let mut chain = nsib::Chain {
            stamp: stamp.and_then(|stamp| stamp.nsib.as_ref()),
            chip: written.chip.as_ref(),
            images,
            keys,
            kmu: slots.iter().any(by_nsib),
            told: Vec::new(),
            remarks: Vec::new(),
            asked: Vec::new(),
        };
        let stored = chain.check(list);
        let before = self.problems.len();
        self.told(chain.told);
        self.remarks.extend(chain.remarks);
        // Of a storage with mistakes in it nobody knows where its slots are.
        if self.problems.len() == before {
            self.signatures(written, images, &stored);
        }
        stored
    }

    /// Nobody says `signed` of bytes whose signature was not looked at: NSIB does so of what stands at its slots alone.
    fn signatures(&mut self, written: &Written, images: &[Image], stored: &nsib::Stored) {
        for image in images.iter().filter(|image| matches!(image.is, Is::Mcuboot | Is::Raw)) {
            let said = written.image.iter().find(|written| written.place == image.place);
            let said = said.and_then(|written| written.signed.as_ref()).filter(|_| self.has_nsib);
            if let Some(signed) = said.filter(|_| !stored.asked.contains(&image.place)) {
                self.note(signed.problem(format!(
                    "image `{}` ({}) begins at 0x{:08X}, at no slot that NSIB's storage names: nobody looks at its \
                     signature there; remove `signed`",
                    image.name,
                    image.file,
                    image.map.first()
                )));
            }
        }
    }

    /// Key files, each held against the recipe and the images that its keys verify.
    pub(super) fn slots(
        &mut self,
        written: &Written,
        images: &[Image],
        keys: &Keys,
        list: Option<&RefuseList>,
    ) -> Vec<Slots> {
        let stamps = written.stamp.as_ref().map(|stamp| &stamp.kmu[..]).unwrap_or_default();
        let needy = written.image.iter().find(|image| matches!(&image.keys, Some(keys) if keys.value == Inside::Kmu));
        if let Some(image) = needy.filter(|_| stamps.is_empty()) {
            let what = "this bootloader takes its keys from the chip's key slots (`keys` = \"kmu\"), but there is no \
                        [[stamp.kmu]]";
            self.note(image.place.problem(what));
        }
        let mut taken: BTreeMap<u16, &WrittenKmu> = BTreeMap::new();
        let mut all = Vec::new();
        for stamp in stamps {
            let Some((file, slots)) = self.key_slots(stamp, images, keys, list) else { continue };
            let twice = file.taken().into_iter().find_map(|slot| Some((slot, taken.get(&slot)?)));
            if let Some((slot, first)) = twice {
                let what = format!("slot {slot} is filled by the [[stamp.kmu]] of {} already", at(&first.place));
                self.note(stamp.place.problem(what));
            }
            taken.extend(file.taken().into_iter().map(|slot| (slot, stamp)));
            all.push(slots);
        }
        all
    }

    /// From a key file, or else from the keys themselves.
    fn key_slots(
        &mut self,
        stamp: &WrittenKmu,
        images: &[Image],
        keys: &Keys,
        list: Option<&RefuseList>,
    ) -> Option<(KeyFile, Slots)> {
        let (name, digest, read) = match &stamp.file {
            Some(name) => self.key_file(name)?,
            None => {
                let made = slots::make(stamp, keys).map_err(|wrong| self.problems.extend(wrong)).ok()??;
                (slots::NAME.to_owned(), Digest::of(made.to_json().as_bytes()), made)
            }
        };
        self.told(slots::check(stamp, &name, &read, images, keys, list));
        let mut sources = Vec::new();
        if stamp.file.is_none() {
            sources = slots::sources(stamp, &read).map_err(|wrong| self.problems.extend(wrong)).ok()?;
            self.remarks.push(slots::filled(stamp, &read, keys));
        }
        Some((read, Slots { file: name, digest, sources, place: stamp.place.clone() }))
    }

    fn key_file(&mut self, name: &Placed<String>) -> Option<(String, Digest, KeyFile)> {
        let file = self.take(name, kmu::FILE_LIMIT as u64)?;
        match KeyFile::read(&file) {
            Ok(read) => Some((name.value.clone(), file.digest, read)),
            Err(problem) => {
                self.note(name.problem(format!("`{}` {}", name.value, problem.what)).exit(problem.exit));
                None
            }
        }
    }

    /// The one private key that may be on a board.
    pub(super) fn decryption(&mut self, written: &Written, images: &[Image], keys: &Keys, list: Option<&RefuseList>) {
        let told = self.decryption.check(written, images, keys, list);
        self.told(told);
        let encrypted = |image: &Image| image.about.as_ref().is_some_and(|about| about.encryption().is_some());
        if let Some(fingerprint) = self.decryption.spki_sha256().filter(|_| !images.iter().any(encrypted)) {
            self.remarks.push(format!(
                "a key that decrypts images ({fingerprint}) is declared, and no image here is made for encrypted updates: \
                 nothing needs it"
            ));
        }
    }
}

/// What a bootloader takes for the layout of flash, if it shows that.
pub(super) fn layout(bootloader: &Image) -> Option<FlashMap> {
    let map = &bootloader.map;
    FlashMap::of(map, map.first()..u32::try_from(map.end()).ok()?)
}

/// In MCUboot's count.
fn number(written: &Written, image: &Image) -> u32 {
    let said = written.image.iter().find(|written| written.place == image.place);
    said.and_then(|written| written.number.as_ref()).map_or(0, |number| number.value)
}

/// What a bootloader with a key hash on the chip hashes with: that hash is stamped as SHA-256.
const SHA256: &str = "with SHA-256";

/// Whether this bootloader trusts this key, or might: a name that no key has is told by itself.
fn trusts(bootloader: &Image, key: &str, keys: &Keys) -> bool {
    bootloader.trusts.iter().any(|name| name == key || !keys.knows(name))
}

/// Whether it is known how this image knows its key.
fn understood(image: &WrittenImage) -> bool {
    image.is.as_ref().is_some_and(|is| is.value != Is::Mcuboot || image.keys.is_some())
}
