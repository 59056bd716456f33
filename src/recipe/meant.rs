//! From a product as written to a product as meant: reads what it names, and checks all of it against all of it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Boot, BootRegion, BuildCode, DeviceKeys, Image, Lock, NsibStorage, Placed, Product, SerialRule, SerialStamp,
    Silicon, Slots, decryption, devices,
    keyring::Keyring,
    shelf::Shelf,
    storage::is_set,
    symbols::symbols,
    written::{Written, WrittenKey},
};
use crate::{
    fault::{Exit, Problem},
    file::Read,
    ident::{Digest, Mode},
    keys::{
        self,
        refuse::{COMPANY_FILE, RefuseList},
    },
    manifest::Release,
    page::Place,
};

mod chain;
mod images;
mod memory;
mod several;
mod stamps;
mod trailers;
mod trust;

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
    let mut reading = Reading {
        shelf,
        folder,
        mode,
        problems: wrong_schema.into_iter().collect(),
        remarks: Vec::new(),
        open: Vec::new(),
        decryption: decryption::Declared::of(written),
        has_nsib: written
            .stamp
            .as_ref()
            .and_then(|stamp| stamp.nsib.as_ref())
            .is_some_and(|nsib| !is_set(nsib.mcuboot_only.as_ref())),
    };
    let list = reading.refuse_list(written);
    let keys = reading.keys(written, list.as_ref());
    let devices = reading.devices(written, &keys, list.as_ref());
    let mut images = reading.images(written, &keys, list.as_ref());
    reading.roots(written, &images, &keys);
    reading.chain(&images, &keys);
    reading.layouts(written, &images);
    reading.one_hash(&images);
    reading.confirmed(&images);
    reading.several(written, &images);
    let stored = reading.nsib(written, &images, &keys, list.as_ref());
    let slots = reading.slots(written, &images, &keys, list.as_ref());
    reading.decryption(written, &images, &keys, list.as_ref());
    let boot_region = reading.boot_region(written, &images);
    reading.own_key(written);
    let release = written.release.as_ref().and_then(|release| reading.release(release, written, &images, &keys));
    // Made here, not released: nobody vouches for what follows from keys, images and numbers that are.
    let page = written.stamp.as_ref().and_then(|stamp| stamp.dfu_settings.as_ref());
    let page = page.and_then(|page| reading.dfu_settings(page, written, &images));
    let made: Vec<Image> = stored.made.into_iter().chain(page).collect();
    reading.names_apart(&images, &made);
    images.extend(made);
    reading.overlaps(&images);
    reading.trailers(&images);
    reading.parameters(written.uicr.as_ref(), &images);
    let vouched = Vouched { devices, release, slots, nsib: stored.storage, boot_region };
    let product = reading.product(written, source, keys, images, vouched);
    let mut problems = reading.problems;
    problems.dedup();
    (product, problems)
}

/// What stands beside keys and images and is read with them.
struct Vouched {
    devices: Option<DeviceKeys>,
    release: Option<Release>,
    slots: Vec<Slots>,
    nsib: Option<NsibStorage>,
    boot_region: Option<BootRegion>,
}

struct Reading<'s> {
    shelf: &'s dyn Shelf,
    folder: PathBuf,
    mode: Option<Mode>,
    problems: Vec<Problem>,
    remarks: Vec<String>,
    /// What the files leave open about the start.
    open: Vec<String>,
    /// The private keys that bootloaders carry to decrypt images, and the one that may be.
    decryption: decryption::Declared,
    /// Whether Nordic's immutable bootloader starts what is flashed.
    has_nsib: bool,
}

type Keys = Keyring;

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

    /// Records name images; what is made has its name already.
    fn names_apart(&mut self, images: &[Image], made: &[Image]) {
        for image in images {
            if let Some(made) = made.iter().find(|made| made.name == image.name) {
                let what = format!("`{}` is what the image made at {} is called", image.name, at(&made.place));
                self.note(image.place.problem(what));
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
            let open = |path: &Path| self.shelf.take(path, keys::FILE_LIMIT);
            list = list.and_then(|list| list.with_company_from(&file?, open));
        }
        list.map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn told(&mut self, told: Vec<devices::Told>) {
        for told in told {
            if told.refused { self.refuse(told.problem) } else { self.note(told.problem) }
        }
    }

    fn product(
        &mut self,
        written: &Written,
        source: Read,
        keys: Keys,
        images: Vec<Image>,
        vouched: Vouched,
    ) -> Option<Product> {
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
                Some(SerialStamp { at: stamps::spot(stamp.at.as_ref())?, words })
            });
        self.stamps_apart(key_hash.as_ref(), counter.as_ref(), serial_stamp.as_ref());
        let boot = self.boot(written);
        let uicr = self.settings(written.uicr.as_ref());
        self.short(written.product.as_ref(), 16);
        self.short(written.silicon.as_ref().and_then(|silicon| silicon.at_least.as_ref()), 16);
        self.short(written.title.as_ref(), TEXT_MAX);
        self.unread(key_hash.as_ref(), counter.as_ref());
        self.uncounted(counter.as_ref(), &images);
        let digest = digest(&source, &keys, &images, &vouched);
        let silicon = self.silicon(written);
        Some(Product {
            code: written.product.as_ref()?.value.clone(),
            title: written.title.as_ref()?.value.clone(),
            digest,
            symbols: symbols(&digest),
            chip: written.chip.clone()?,
            silicon: silicon?,
            arrives: written.arrives.as_ref()?.value,
            serial: serial?,
            keys: keys.into_map(),
            slots: vouched.slots,
            nsib: vouched.nsib,
            boot_region: vouched.boot_region,
            decryption: self.decryption.spki_sha256(),
            device_keys: vouched.devices,
            release: vouched.release,
            images,
            uicr,
            key_hash,
            counter,
            serial_stamp,
            lock: Lock { approtect: written.lock.as_ref()?.approtect.clone()? },
            boot,
            remarks: std::mem::take(&mut self.remarks),
            open: std::mem::take(&mut self.open),
            source,
        })
    }

    fn silicon(&mut self, written: &Written) -> Option<Silicon> {
        let silicon = written.silicon.as_ref()?;
        let at_least = match &silicon.at_least {
            None => None,
            // Without what was asked for, older silicon would do.
            Some(code) => match code.value.parse::<BuildCode>() {
                Ok(parsed) => Some(code.with(parsed)),
                Err(bad) => {
                    self.note(code.problem(format!("`at_least` {bad}")));
                    return None;
                }
            },
        };
        Some(Silicon { at_least, ships: silicon.ships.as_ref()?.value })
    }

    fn serial_rule(&mut self, written: &Written) -> Option<SerialRule> {
        let serial = written.serial.as_ref()?;
        let pattern = serial.pattern.as_ref()?;
        let check = serial.check.as_ref().map(|check| check.value);
        SerialRule::new(&pattern.value, check)
            .map_err(|bad| self.note(pattern.problem(format!("`pattern`: {bad}"))))
            .ok()
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
}

/// For messages: the file and line.
pub(super) fn at(place: &Place) -> String {
    format!("{}:{}", place.file, place.line)
}

/// SHA-256 over the recipe's own digest and those of everything it names, each on a line with its kind and name.
fn digest(source: &Read, keys: &Keys, images: &[Image], vouched: &Vouched) -> Digest {
    let keys = keys.iter().map(|(name, key)| format!("key {name} {}\n", key.spki_sha256()));
    let images = images.iter().map(|image| format!("image {} {}\n", image.name, image.digest));
    let devices = vouched.devices.iter().map(|devices| format!("devices {}\n", devices.digest));
    let release = vouched.release.iter().map(|release| format!("release {}\n", release.digest));
    let head = format!("rootstamp recipe 1\nrecipe {}\n", source.digest);
    let slots = vouched.slots.iter().map(|slots| format!("kmu {} {}\n", slots.file, slots.digest));
    let lines = std::iter::once(head).chain(keys).chain(images).chain(devices).chain(release).chain(slots);
    Digest::of(lines.collect::<String>().as_bytes())
}
