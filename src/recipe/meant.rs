//! From a product as written to a product as meant: reads what it names, and checks all of it against all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    Boot, Counter, Image, Inside, Is, KEY_HASH_WORDS, KeyHash, Lock, Placed, Product, ReadBy, SerialRule, SerialStamp,
    Setting, Silicon, Spot, Word,
    shelf::Shelf,
    symbols::symbols,
    written::{Written, WrittenCounter, WrittenImage, WrittenKey, WrittenKeyHash, WrittenUicr},
};
use crate::{
    fault::{Exit, Problem},
    file::Read,
    ident::{Digest, Mode},
    image::{self, Map, mcuboot, scan, vectors},
    keys::{
        self, PublicKey,
        refuse::{COMPANY_FILE, RefuseList, Refused},
    },
    page::choice,
};

/// Longest title, code, and text of a console that is expected, in characters.
const TEXT_MAX: usize = 120;

/// Longest wait for a boot, in milliseconds.
const BOOT_MAX: u32 = 60_000;

pub(super) fn read(
    written: &Written,
    source: Read,
    shelf: &dyn Shelf,
    mode: Option<Mode>,
) -> (Option<Product>, Vec<Problem>) {
    let wrong_schema = written.schema.as_ref().filter(|schema| schema.value != 1);
    let wrong_schema =
        wrong_schema.map(|schema| schema.problem("`schema` must be 1: this release reads no other vocabulary"));
    let folder = source.path.parent().map(Path::to_owned).unwrap_or_default();
    let mut reading =
        Reading { shelf, folder, mode, problems: wrong_schema.into_iter().collect(), remarks: Vec::new() };
    let list = reading.refuse_list(written);
    let keys = reading.keys(&written.key, list.as_ref());
    let images = reading.images(written, &keys, list.as_ref());
    reading.overlaps(&images);
    reading.roots(written, &images, &keys);
    reading.chain(&images, &keys);
    let product = reading.product(written, source, keys, images);
    let mut problems = reading.problems;
    problems.dedup();
    (product, problems)
}

struct Reading<'s> {
    shelf: &'s dyn Shelf,
    folder: PathBuf,
    mode: Option<Mode>,
    problems: Vec<Problem>,
    remarks: Vec<String>,
}

/// The keys of the recipe. A name stays known when its file could not be read, so that one mistake is told once.
type Keys = BTreeMap<String, Option<PublicKey>>;

impl Reading<'_> {
    fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Published and refused keys stop a lot everywhere but in engineering mode.
    fn refuse(&mut self, problem: Problem) {
        if self.mode == Some(Mode::Engineering) {
            self.remarks.push(format!("accepted in engineering mode only: {problem}"));
        } else {
            self.problems.push(problem.exit(Exit::KeyRefused));
        }
    }

    /// Reads a file that the recipe names; what is wrong with all of it is told where the recipe names it.
    fn take(&mut self, name: &Placed<String>, limit: u64) -> Option<Read> {
        match self.shelf.take(&self.folder.join(&name.value), limit) {
            Ok(file) => Some(file),
            Err(problem) => {
                self.note(name.problem(format!("`{}` {}", name.value, problem.what)).exit(problem.exit));
                None
            }
        }
    }

    /// The built-in lists, and those in the folders of the keys that the recipe names.
    fn refuse_list(&mut self, written: &Written) -> Option<RefuseList> {
        let folder = |key: &WrittenKey| Some(self.folder.join(&key.file.as_ref()?.value).parent()?.join(COMPANY_FILE));
        let files: BTreeSet<PathBuf> = written.key.values().filter_map(folder).collect();
        let mut list = RefuseList::built_in();
        for path in files.iter().filter(|path| self.shelf.holds(path)) {
            let file = self.shelf.take(path, super::FILE_LIMIT).map_err(|problem| vec![problem]);
            list = list.and_then(|list| list.with_company(&file?));
        }
        list.map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn keys(&mut self, written: &BTreeMap<String, WrittenKey>, list: Option<&RefuseList>) -> Keys {
        written.iter().map(|(name, key)| (name.clone(), self.key(name, key, list))).collect()
    }

    fn key(&mut self, name: &str, written: &WrittenKey, list: Option<&RefuseList>) -> Option<PublicKey> {
        let file_name = written.file.as_ref()?;
        let file = self.take(file_name, keys::FILE_LIMIT)?;
        let key = match keys::read(&file) {
            Ok(key) => key,
            Err(problem) => {
                self.note(file_name.problem(format!("`{}` {}", file_name.value, problem.what)).exit(problem.exit));
                return None;
            }
        };
        if let Some(pin) = written.spki_sha256.as_ref().filter(|pin| pin.value != key.spki_sha256()) {
            self.note(pin.problem(format!(
                "key `{name}`: the file `{}` holds the key {}, not the pinned one",
                file_name.value,
                key.spki_sha256()
            )));
        }
        if let Some(refused) = list.and_then(|list| list.refuses(&key)) {
            self.refuse(written.place.problem(format!("key `{name}` (`{}`) is a {refused}", file_name.value)));
        }
        Some(key)
    }

    fn images(&mut self, written: &Written, keys: &Keys, list: Option<&RefuseList>) -> Vec<Image> {
        let mut names = BTreeSet::new();
        for image in &written.image {
            if let Some(name) = image.name.as_ref().filter(|name| !names.insert(name.value.as_str())) {
                self.note(name.problem(format!("a second image is called `{}`", name.value)));
            }
        }
        let counter = written.stamp.as_ref().and_then(|stamp| stamp.counter.as_ref());
        written.image.iter().filter_map(|image| self.image(image, keys, list, counter)).collect()
    }

    fn image(
        &mut self,
        written: &WrittenImage,
        keys: &Keys,
        list: Option<&RefuseList>,
        counter: Option<&WrittenCounter>,
    ) -> Option<Image> {
        self.words_that_fit(written, keys);
        let file_name = written.file.as_ref()?;
        let file = self.take(file_name, image::FILE_LIMIT)?;
        if let Some(pin) = written.sha256.as_ref().filter(|pin| pin.value != file.digest) {
            self.note(
                pin.problem(format!("`{}` has the SHA-256 {}, not the pinned one", file_name.value, file.digest)),
            );
        }
        let map = self.map(written, file_name, &file)?;
        let is = written.is.as_ref()?.value;
        let about = match is {
            Is::Mcuboot => {
                self.bootloader(written, &map, keys, list);
                None
            }
            Is::McubootImage => self.signed_image(written, &map, keys, list, counter),
            Is::Raw => None,
        };
        Some(Image {
            name: written.name.as_ref()?.value.clone(),
            file: file_name.value.clone(),
            digest: file.digest,
            is,
            map,
            trusts: written.trusts.iter().map(|name| name.value.clone()).collect(),
            signed: written.signed.as_ref().map(|name| name.value.clone()),
            inside: written.keys.as_ref().map(|inside| inside.value),
            about,
            place: written.place.clone(),
        })
    }

    /// Each kind of image has words of its own.
    fn words_that_fit(&mut self, written: &WrittenImage, keys: &Keys) {
        let names: Vec<&str> = keys.keys().map(String::as_str).collect();
        for name in written.trusts.iter().chain(&written.signed).filter(|name| !keys.contains_key(&name.value)) {
            self.note(name.problem(format!("no key is called `{}`{}", name.value, choice(&name.value, &names))));
        }
        let Some(is) = &written.is else { return };
        let mut found = Vec::new();
        if is.value != Is::Mcuboot {
            let inside = written.keys.as_ref().map(|inside| &inside.place);
            let trusts = written.trusts.first().map(|name| &name.place);
            let surplus = inside.into_iter().chain(trusts);
            found.extend(
                surplus.map(|place| place.problem("`keys` and `trusts` are said of a bootloader (is = \"mcuboot\")")),
            );
        }
        if let (Is::Mcuboot | Is::Raw, Some(signed)) = (is.value, &written.signed) {
            found.push(signed.problem("`signed` is said of an image that MCUboot starts (is = \"mcuboot-image\")"));
        }
        self.problems.extend(found);
    }

    fn map(&mut self, written: &WrittenImage, name: &Placed<String>, file: &Read) -> Option<Map> {
        let extension = Path::new(&name.value).extension().and_then(|extension| extension.to_str());
        let read = match (extension, &written.at) {
            (Some("hex" | "ihex" | "HEX"), None) => Map::from_hex(file),
            (Some("bin" | "BIN"), Some(at)) => Map::from_raw(file, at.value),
            (Some("hex" | "ihex" | "HEX"), Some(at)) => {
                Err(vec![at.problem("a hex file says itself where its bytes go; `at` is for .bin files")])
            }
            (Some("bin" | "BIN"), None) => {
                Err(vec![name.problem("a .bin file needs `at`, the address of its first byte")])
            }
            _ => Err(vec![name.problem("an image is a .hex (Intel HEX) or a .bin file")]),
        };
        read.map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn bootloader(&mut self, written: &WrittenImage, map: &Map, keys: &Keys, list: Option<&RefuseList>) {
        if mcuboot::begins(map, map.first()) {
            self.note(map.problem_at(map.first(), "is an image that MCUboot starts, not MCUboot"));
            return;
        }
        let signs = mcuboot::Signs::of(map);
        if !signs.suffice() {
            self.note(Problem::new(map.name(), format!("cannot be shown to be MCUboot: {signs}")));
        }
        self.vectors(map, map.first());
        let Some(list) = list else { return };
        let found = scan::keys(map, list);
        self.keys_inside(written, map, &found, keys);
    }

    fn vectors(&mut self, map: &Map, at: u32) {
        if let Err(problems) = vectors::read(map, at, &vectors::SRAM) {
            self.problems.extend(problems);
        }
    }

    fn keys_inside(&mut self, written: &WrittenImage, map: &Map, found: &[scan::Found], keys: &Keys) {
        let Some(inside) = &written.keys else { return };
        for found in found {
            let what = found.describe();
            match (&found.kind, &found.refused) {
                (scan::Kind::Private(_), _) => {
                    let what = format!("{what} is inside; this release flashes no private key");
                    self.note(found.problem(map, what).exit(Exit::KeyRefused));
                }
                (_, Some(_)) => self.refuse(found.problem(map, format!("{what} is inside"))),
                (scan::Kind::P256(_) | scan::Kind::Other(_) | scan::Kind::Raw(_), None) => {}
            }
        }
        match inside.value {
            Inside::HwKey => self.none_inside(map, found),
            Inside::Embedded => self.trusted_inside(written, inside, map, found, keys),
        }
    }

    fn none_inside(&mut self, map: &Map, found: &[scan::Found]) {
        let unrefused = found.iter().filter(|found| found.refused.is_none());
        for found in unrefused.filter(|found| !matches!(found.kind, scan::Kind::Private(_))) {
            let what = format!("{} is inside, but `keys` = \"hw-key\" says that none is", found.describe());
            self.note(found.problem(map, what));
        }
    }

    fn trusted_inside(
        &mut self,
        written: &WrittenImage,
        inside: &Placed<Inside>,
        map: &Map,
        found: &[scan::Found],
        keys: &Keys,
    ) {
        let trusted: Vec<(&str, &PublicKey)> = written
            .trusts
            .iter()
            .filter_map(|name| Some((name.value.as_str(), keys.get(&name.value)?.as_ref()?)))
            .collect();
        for found in found.iter().filter(|found| found.refused.is_none()) {
            let what = match &found.kind {
                scan::Kind::P256(key) if trusted.iter().any(|(_, trusted)| *trusted == key) => continue,
                scan::Kind::Other(_) => {
                    format!("{} is inside; this release compares P-256 keys only", found.describe())
                }
                scan::Kind::P256(_) | scan::Kind::Raw(_) => {
                    format!("{} is inside, but not in `trusts`", found.describe())
                }
                scan::Kind::Private(_) => continue,
            };
            self.note(found.problem(map, what));
        }
        let is_inside =
            |key: &PublicKey| found.iter().any(|found| matches!(&found.kind, scan::Kind::P256(one) if one == key));
        for (name, _) in trusted.iter().filter(|(_, key)| !is_inside(key)) {
            self.note(inside.problem(format!("key `{name}` is in `trusts`, but not inside {}", map.name())));
        }
    }

    fn signed_image(
        &mut self,
        written: &WrittenImage,
        map: &Map,
        keys: &Keys,
        list: Option<&RefuseList>,
        counter: Option<&WrittenCounter>,
    ) -> Option<mcuboot::Image> {
        let image = match mcuboot::read(map, map.first()) {
            Ok(image) => image,
            Err(problem) => {
                self.note(problem);
                return None;
            }
        };
        self.vectors(map, image.program());
        let refused: Option<Refused> =
            list.zip(image.signer()).and_then(|(list, named)| list.refuses_digest(&named).cloned());
        if let Some(refused) = &refused {
            self.refuse(map.problem_at(image.at, format!("signed with a {refused}, as its TLVs at the end say")));
        }
        let key = written.signed.as_ref().and_then(|name| keys.get(&name.value)).and_then(Option::as_ref);
        if let Some(Err(wrong)) = key.map(|key| image.verify(key)) {
            let problem = |why| map.problem_at(image.at, format!("would not boot: {why}"));
            self.problems.extend(wrong.into_iter().map(problem));
        }
        if let Some(counter) = counter {
            self.counted(map, &image, counter);
        }
        Some(image)
    }

    /// An image below the counter that its board leaves the line with never starts.
    fn counted(&mut self, map: &Map, image: &mcuboot::Image, counter: &WrittenCounter) {
        let Some(initial) = &counter.initial else { return };
        let read_by = counter.read_by.as_ref().map(|read_by| read_by.value);
        match image.security_counter() {
            Some(counted) if counted < initial.value => self.note(map.problem_at(
                image.at,
                format!(
                    "its security counter is {counted}, below the board's initial {}: it would not boot",
                    initial.value
                ),
            )),
            None if read_by == Some(ReadBy::McubootHwKey) => self.note(map.problem_at(
                image.at,
                "it has no security counter in its protected TLVs, and the bootloader asks for one: it would not boot",
            )),
            Some(_) | None => {}
        }
    }

    fn overlaps(&mut self, images: &[Image]) {
        for (index, image) in images.iter().enumerate() {
            for other in images.iter().skip(index + 1) {
                let touches =
                    |a: &image::Segment, b: &image::Segment| u64::from(a.at) < b.end() && u64::from(b.at) < a.end();
                let common = other.map.segments().iter().find_map(|one| {
                    let hit = image.map.segments().iter().find(|segment| touches(segment, one))?;
                    Some(one.at.max(hit.at))
                });
                if let Some(at) = common {
                    self.note(other.map.problem_at(at, format!("0x{at:08X} also belongs to image `{}`", image.name)));
                }
            }
        }
    }

    /// Bootloader, key on the chip and signature must speak of one key, or the chain does not boot.
    fn roots(&mut self, written: &Written, images: &[Image], keys: &Keys) {
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
    fn chain(&mut self, images: &[Image], keys: &Keys) {
        let (signed, bootloaders) = (Is::McubootImage, Is::Mcuboot);
        for bootloader in images.iter().filter(|image| image.is == bootloaders) {
            for image in images.iter().filter(|image| image.is == signed) {
                let Some(signed) = image.signed.as_ref().filter(|signed| keys.contains_key(*signed)) else { continue };
                if !trusts(bootloader, signed, keys) {
                    self.note(image.place.problem(format!(
                        "image `{}` is signed by `{signed}`, which image `{}` does not trust: it would not boot",
                        image.name, bootloader.name
                    )));
                }
            }
        }
    }

    fn one_root(&mut self, stamp: &WrittenKeyHash, images: &[Image], keys: &Keys) {
        let Some(key) = stamp.key.as_ref().filter(|key| keys.contains_key(&key.value)) else { return };
        for image in images {
            let signed = image.signed.as_ref().filter(|signed| **signed != key.value && keys.contains_key(*signed));
            if let Some(signed) = signed {
                self.note(key.problem(format!(
                    "the chip gets the hash of key `{}`, but image `{}` is signed by `{signed}`: it would not boot",
                    key.value, image.name
                )));
            }
            if image.about.as_ref().is_some_and(|about| about.public_key().is_none()) {
                self.note(image.place.problem(format!(
                    "image `{}` carries no whole public key, which a bootloader with a key hash on the chip needs; \
                     sign it with `imgtool sign --public-key-format full`",
                    image.name
                )));
            }
            if image.inside == Some(Inside::HwKey) && !trusts(image, &key.value, keys) {
                self.note(key.problem(format!("image `{}` does not trust key `{}`", image.name, key.value)));
            }
        }
    }

    fn product(&mut self, written: &Written, source: Read, keys: Keys, images: Vec<Image>) -> Option<Product> {
        if written.image.is_empty() && self.problems.is_empty() {
            self.note(Problem::new(source.name(), "a product needs at least one [[image]]"));
        }
        let serial = self.serial_rule(written);
        let stamp = written.stamp.as_ref();
        let key_hash = stamp.and_then(|stamp| stamp.key_hash.as_ref()).and_then(|hash| self.key_hash(hash, &keys));
        let counter = stamp.and_then(|stamp| stamp.counter.as_ref()).and_then(|counter| self.counter(counter));
        let serial_stamp =
            stamp.and_then(|stamp| stamp.serial.as_ref()).zip(serial.as_ref()).and_then(|(stamp, rule)| {
                let words = u32::try_from(rule.length().div_ceil(4)).ok()?;
                Some(SerialStamp { at: spot(stamp.at.as_ref())?, words })
            });
        self.stamps_apart(key_hash.as_ref(), counter.as_ref(), serial_stamp.as_ref());
        let boot = self.boot(written);
        let uicr = self.settings(written.uicr.as_ref());
        self.short(written.product.as_ref(), 16);
        self.short(written.title.as_ref(), TEXT_MAX);
        self.unread(key_hash.as_ref(), counter.as_ref());
        let digest = digest(&source, &keys, &images);
        let silicon = written.silicon.as_ref()?;
        Some(Product {
            code: written.product.as_ref()?.value.clone(),
            title: written.title.as_ref()?.value.clone(),
            digest,
            symbols: symbols(&digest),
            chip: written.chip.clone()?,
            silicon: Silicon { at_least: silicon.at_least.clone(), ships: silicon.ships.as_ref()?.value },
            arrives: written.arrives.as_ref()?.value,
            serial: serial?,
            keys: keys.into_iter().filter_map(|(name, key)| Some((name, key?))).collect(),
            images,
            uicr,
            key_hash,
            counter,
            serial_stamp,
            lock: Lock { approtect: written.lock.as_ref()?.approtect.clone()? },
            boot,
            remarks: std::mem::take(&mut self.remarks),
            source,
        })
    }

    fn serial_rule(&mut self, written: &Written) -> Option<SerialRule> {
        let serial = written.serial.as_ref()?;
        let pattern = serial.pattern.as_ref()?;
        let check = serial.check.as_ref().map(|check| check.value);
        SerialRule::new(&pattern.value, check)
            .map_err(|bad| self.note(pattern.problem(format!("`pattern`: {bad}"))))
            .ok()
    }

    fn key_hash(&mut self, written: &WrittenKeyHash, keys: &Keys) -> Option<KeyHash> {
        let key = written.key.as_ref()?;
        if !keys.contains_key(&key.value) {
            let names: Vec<&str> = keys.keys().map(String::as_str).collect();
            self.note(key.problem(format!("no key is called `{}`{}", key.value, choice(&key.value, &names))));
        }
        Some(KeyHash {
            key: key.value.clone(),
            form: written.form.as_ref()?.value,
            at: spot(written.at.as_ref())?,
            read_by: written.read_by.as_ref()?.value,
        })
    }

    fn counter(&mut self, written: &WrittenCounter) -> Option<Counter> {
        let (slots, initial) = (written.slots.as_ref()?, written.initial.as_ref()?);
        if slots.value == 0 {
            self.note(slots.problem("`slots` must be at least 1"));
        } else if initial.value > slots.value {
            self.note(initial.problem(format!(
                "`initial` is {}, above the {} `slots`: one slot is used up with each security update",
                initial.value, slots.value
            )));
        }
        Some(Counter {
            at: spot(written.at.as_ref())?,
            slots: slots.value,
            initial: initial.value,
            read_by: written.read_by.as_ref()?.value,
        })
    }

    fn stamps_apart(&mut self, hash: Option<&KeyHash>, counter: Option<&Counter>, serial: Option<&SerialStamp>) {
        let stamps: Vec<(&str, &Spot, u32)> = [
            hash.map(|hash| ("key_hash", &hash.at, KEY_HASH_WORDS)),
            counter.map(|counter| ("counter", &counter.at, counter.slots)),
            serial.map(|serial| ("serial", &serial.at, serial.words)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let end = |at: &Spot, words: u32| u64::from(at.index) + u64::from(words);
        for (index, (name, at, words)) in stamps.iter().enumerate() {
            for (other, other_at, other_words) in stamps.iter().skip(index + 1) {
                let apart = at.area != other_at.area
                    || end(at, *words) <= u64::from(other_at.index)
                    || end(other_at, *other_words) <= u64::from(at.index);
                if !apart {
                    self.note(other_at.place.problem(format!(
                        "`stamp.{other}` ({other_words} words) and `stamp.{name}` ({words} words from {}[{}]) overlap",
                        at.area, at.index
                    )));
                }
            }
        }
    }

    fn boot(&mut self, written: &Written) -> Option<Boot> {
        let expect = written.boot.as_ref()?.expect.as_ref()?;
        self.short(expect.uart.as_ref(), TEXT_MAX);
        let within = expect.within_ms.as_ref()?;
        if !(1..=BOOT_MAX).contains(&within.value) {
            self.note(within.problem(format!("`within_ms` must be from 1 to {BOOT_MAX}, this is {}", within.value)));
        }
        Some(Boot { uart: expect.uart.as_ref()?.value.clone(), within_ms: u64::from(within.value) })
    }

    fn short(&mut self, text: Option<&Placed<String>>, most: usize) {
        if let Some(text) = text.filter(|text| text.value.chars().count() > most) {
            self.note(text.problem(format!("is longer than {most} characters")));
        }
    }

    /// ERASEALL wipes the board's electrical set-up: what the recipe does not say is told.
    fn settings(&mut self, written: Option<&WrittenUicr>) -> Vec<Setting> {
        let regout0 = written.and_then(|uicr| uicr.regout0.as_ref());
        let pselreset = written.and_then(|uicr| uicr.pselreset.as_ref());
        let nfcpins = written.and_then(|uicr| uicr.nfcpins.as_ref());
        for (name, said, erased) in [
            ("regout0", regout0.is_some(), "1.8 V in high-voltage mode"),
            ("pselreset", pselreset.is_some(), "no reset pin"),
            ("nfcpins", nfcpins.is_some(), "an antenna"),
        ] {
            if !said {
                self.remarks.push(format!("uicr.{name} is not said and stays erased, which means {erased}"));
            }
        }
        let settings = [
            regout0.map(|volts| Setting { word: Word::Regout0(volts.value), place: volts.place.clone() }),
            pselreset.map(|pin| Setting { word: Word::PselReset(pin.value), place: pin.place.clone() }),
            nfcpins.map(|pins| Setting { word: Word::NfcPins(pins.value), place: pins.place.clone() }),
        ];
        settings.into_iter().flatten().collect()
    }

    fn unread(&mut self, hash: Option<&KeyHash>, counter: Option<&Counter>) {
        let hash = hash.filter(|hash| hash.read_by == ReadBy::Nobody).map(|_| "key_hash");
        let counter = counter.filter(|counter| counter.read_by == ReadBy::Nobody).map(|_| "counter");
        for name in hash.into_iter().chain(counter) {
            self.remarks.push(format!("stamp.{name} is read by nobody: it marks the unit and protects nothing"));
        }
    }
}

fn spot(written: Option<&Placed<(String, u32)>>) -> Option<Spot> {
    let Placed { value: (area, index), place } = written?;
    Some(Spot { area: area.clone(), index: *index, place: place.clone() })
}

/// Whether this bootloader trusts this key, or might: a name that no key has is told by itself.
fn trusts(bootloader: &Image, key: &str, keys: &Keys) -> bool {
    bootloader.trusts.iter().any(|name| name == key || !keys.contains_key(name))
}

/// Whether it is known how this image knows its key.
fn understood(image: &WrittenImage) -> bool {
    image.is.as_ref().is_some_and(|is| is.value != Is::Mcuboot || image.keys.is_some())
}

/// SHA-256 over the recipe's own digest and those of everything it names, each on a line with its kind and name.
fn digest(source: &Read, keys: &Keys, images: &[Image]) -> Digest {
    let keys = keys.iter().filter_map(|(name, key)| Some(format!("key {name} {}\n", key.as_ref()?.spki_sha256())));
    let images = images.iter().map(|image| format!("image {} {}\n", image.name, image.digest));
    let head = format!("rootstamp recipe 1\nrecipe {}\n", source.digest);
    Digest::of(std::iter::once(head).chain(keys).chain(images).collect::<String>().as_bytes())
}
