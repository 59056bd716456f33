//! What a finished unit must be: a product file as written, then as meant, with every file it names read once.
//!
//! A [`Product`] exists only if nothing was wrong with the recipe, its keys and its images. Whether the chip has the
//! words and the memory it asks for is the chip's to say (`plan`), at the [`Place`] that comes along.

use std::{collections::BTreeMap, path::Path};

use crate::{
    fault::{Exit, Problem},
    file::Read,
    ident::{Digest, Mode, Serial},
    image::{
        self,
        dfu::patch::Patch,
        kmu, mcuboot,
        nsib::{Generation, Provision, Width},
    },
    keys::{AnyKey, PublicKey, bare::Budget, private, refuse::RefuseList},
    manifest::Release,
    page,
};

mod boot_region;
mod decryption;
mod devices;
mod keyring;
mod meant;
mod nsib;
mod release;
mod serial;
mod shelf;
mod silicon;
mod slots;
mod storage;
mod symbols;
mod words;
mod written;

pub use crate::page::{Place, Placed};
pub use devices::DeviceKeys;
pub use serial::{BadPattern, Check, SerialRule, WrongSerial};
pub use shelf::{Carried, Disk, STAND_INS, Shelf};
pub use silicon::{BadBuildCode, BuildCode};
pub use symbols::symbols;
pub use written::{Arrives, Form, Inside, Is, NfcPins, Pin, ReadBy, Ships, Volts};

/// The largest recipe that is looked at, in bytes.
pub const FILE_LIMIT: u64 = 1 << 20;

/// A product as meant.
#[derive(Clone, Debug)]
pub struct Product {
    /// Short code, as on the label.
    pub code: String,
    /// Name for people.
    pub title: String,
    /// Of the recipe with everything it pins.
    pub digest: Digest,
    /// The digest as four symbols for the travel card.
    pub symbols: String,
    /// The chip, as the recipe calls it.
    pub chip: Placed<String>,
    /// Which silicon will do.
    pub silicon: Silicon,
    /// In which state boards come.
    pub arrives: Arrives,
    /// How a serial number looks.
    pub serial: SerialRule,
    /// Public keys by name.
    pub keys: BTreeMap<String, AnyKey>,
    /// Fingerprint of the private key that a bootloader carries to decrypt images, if it does.
    pub decryption: Option<Digest>,
    /// Keys in the key management unit.
    pub slots: Vec<Slots>,
    /// What Nordic's immutable bootloader finds in its storage, if it starts this product.
    pub nsib: Option<NsibStorage>,
    /// The boot region that becomes immutable, if the chip has such a thing.
    pub boot_region: Option<BootRegion>,
    /// The key that each unit has for itself.
    pub device_keys: Option<DeviceKeys>,
    /// The release that vouches for every image and key, if the recipe asks for one.
    pub release: Option<Release>,
    /// What is flashed, in the order of the recipe; no two touch the same address.
    pub images: Vec<Image>,
    /// Settings in UICR.
    pub uicr: Vec<Setting>,
    /// Where the root of trust goes.
    pub key_hash: Option<KeyHash>,
    /// The rollback counter.
    pub counter: Option<Counter>,
    /// The serial number on the chip.
    pub serial_stamp: Option<SerialStamp>,
    /// What is locked.
    pub lock: Lock,
    /// What the board says when it boots.
    pub boot: Option<Boot>,
    /// What a person should know and may accept, as a setting the recipe leaves erased. One sentence each.
    pub remarks: Vec<String>,
    /// What the files leave open about the start, one sentence each: with these nobody says that it would boot.
    pub open: Vec<String>,
    /// The recipe itself, as it was read.
    pub source: Read,
}

/// Which silicon will do.
#[derive(Clone, Debug)]
pub struct Silicon {
    /// Lowest build code, as `Fxx`.
    pub at_least: Option<Placed<BuildCode>>,
    /// How a virgin part's debug port arrives.
    pub ships: Ships,
}

/// An image, read, pinned and checked.
#[derive(Clone, Debug)]
pub struct Image {
    /// Name in messages and records.
    pub name: String,
    /// As written in the recipe.
    pub file: String,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// What it proved to be.
    pub is: Is,
    /// Its bytes: what was checked is what is flashed.
    pub map: image::Map,
    /// Names of the keys a bootloader trusts.
    pub trusts: Vec<String>,
    /// Name of the key that signed it.
    pub signed: Option<String>,
    /// How a bootloader knows its key.
    pub inside: Option<Inside>,
    /// Where each unit's own key goes, proven to be the place of the only key.
    pub patch: Option<Patch>,
    /// An MCUboot image, taken apart and verified with `signed`.
    pub about: Option<mcuboot::Image>,
    /// Provision data, taken apart.
    pub provision: Option<Provision>,
    /// What it was made from, if no file holds it.
    pub made: Option<Made>,
    /// Where the recipe speaks of it.
    pub place: Place,
}

/// What an image was made from that no file holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Made {
    /// Provision data, from `[stamp.nsib]`.
    NsibStorage,
    /// The nRF5 SDK's settings page, from `[stamp.dfu_settings]`.
    DfuSettings,
}

/// What Nordic's immutable bootloader finds in its storage: how the memory is to be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NsibStorage {
    /// Generation of data and bootloader.
    pub generation: Generation,
    /// How much of the memory takes one write.
    pub width: Width,
    /// Where it begins; `None` if the address of the data does not tell.
    pub base: Option<u32>,
    /// How long it is, in bytes.
    pub size: u32,
    /// Whether MCUboot alone uses it, without that bootloader.
    pub mcuboot_only: bool,
    /// Whether that bootloader's keys are in key slots and not here.
    pub kmu: bool,
    /// Where the recipe speaks of it.
    pub place: Place,
}

/// Keys for the chip's key management unit, held against everything else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slots {
    /// The key file as written in the recipe, or what stands for it if the slots were made from keys.
    pub file: String,
    /// SHA-256 of the file, or of the one that would say the same.
    pub digest: Digest,
    /// What the key management unit takes, slot by slot, if the slots were made from keys.
    pub sources: Vec<(u8, kmu::Source)>,
    /// Where the recipe speaks of it.
    pub place: Place,
}

/// The boot region that becomes immutable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BootRegion {
    /// Address of its word.
    pub at: u32,
    /// The word.
    pub word: u32,
    /// How long the region is, in KiB.
    pub kib: u32,
    /// Where the recipe says so.
    pub place: Place,
}

/// One setting in UICR.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// Which, and what it should be.
    pub word: Word,
    /// Where the recipe says so.
    pub place: Place,
}

/// A setting in UICR; the chip knows its address and bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// Output voltage of the first regulator stage.
    Regout0(Volts),
    /// The pin that resets the chip.
    PselReset(Pin),
    /// What the NFC pins are.
    NfcPins(NfcPins),
    /// Where the master boot record of the nRF5 SDK finds its bootloader.
    Bootloader(u32),
    /// The page of that record's parameters.
    MbrParams(u32),
}

/// A word of a named area; the chip knows where that is, if it has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spot {
    /// As `uicr.customer`.
    pub area: String,
    /// Counted from 0, in words.
    pub index: u32,
    /// Where the recipe says so.
    pub place: Place,
}

/// Where the root of trust goes: eight words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyHash {
    /// Name of the key.
    pub key: String,
    /// What is hashed, and how.
    pub form: Form,
    /// First word.
    pub at: Spot,
    /// Who reads it.
    pub read_by: ReadBy,
}

/// The rollback counter: one word per slot, empty is all ones, value v is stored as !v.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Counter {
    /// First word.
    pub at: Spot,
    /// Number of words.
    pub slots: u32,
    /// Value the board leaves the line with; 0 leaves every slot empty.
    pub initial: u32,
    /// Who reads it.
    pub read_by: ReadBy,
}

/// The serial number on the chip: ASCII, little-endian words, padded with FF.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SerialStamp {
    /// First word.
    pub at: Spot,
    /// Number of words that the longest serial number of this product takes.
    pub words: u32,
}

/// What is locked at the end.
#[derive(Clone, Debug)]
pub struct Lock {
    /// Whether the debug port is closed.
    pub approtect: Placed<bool>,
}

/// What the board says when it boots.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Boot {
    /// Text that comes over the UART.
    pub uart: String,
    /// Time after the reset, in milliseconds.
    pub within_ms: u64,
}

/// Words a SHA-256 takes on the chip.
pub const KEY_HASH_WORDS: u32 = 8;

impl Product {
    /// The key that this unit trusts and no other does; `None` if all units share their keys.
    ///
    /// # Errors
    /// In words, if this unit should have a key of its own and the table has none.
    pub fn key_for(&self, serial: &Serial) -> Result<Option<&PublicKey>, String> {
        let Some(keys) = &self.device_keys else { return Ok(None) };
        let missing = || format!("{} has no key in `{}`", serial.as_str(), keys.file);
        keys.get(serial).ok_or_else(missing).map(Some)
    }

    /// An image as this unit gets it: with its own key in place, proven to be the only one inside.
    ///
    /// # Errors
    /// No key for this unit, or a place that is not that of the only key.
    pub fn patched(&self, image: &Image, serial: &Serial) -> Result<image::Map, Vec<Problem>> {
        let Some(patch) = image.patch else { return Ok(image.map.clone()) };
        let key = self.key_for(serial).map_err(|what| vec![image.place.problem(what)])?;
        let Some(key) = key else { return Ok(image.map.clone()) };
        patch.apply(&image.map, key, &RefuseList::built_in()?)
    }
}

/// Reads a product file and everything it names from the disk, each file once.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn read(path: &Path, mode: Option<Mode>) -> Result<Product, Vec<Problem>> {
    read_from(&Disk, path, mode)
}

/// The chip that a product file names, whatever else is wrong with it; nothing of one that holds a private key.
#[must_use]
pub fn chip(path: &Path) -> Option<Placed<String>> {
    let source = Disk.take(path, FILE_LIMIT).ok().filter(|source| pasted(source).is_none())?;
    words::read(&source).0?.chip
}

/// Reads a product file and everything it names from this shelf, each file once.
///
/// Engineering mode lets published and refused keys pass; each is then a remark.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn read_from(shelf: &dyn Shelf, path: &Path, mode: Option<Mode>) -> Result<Product, Vec<Problem>> {
    let source = shelf.take(path, FILE_LIMIT).map_err(|problem| vec![problem])?;
    // What a message would show of such a file may be the key.
    if let Some(problem) = pasted(&source) {
        return Err(vec![problem]);
    }
    let (written, mut problems) = words::read(&source);
    let Some(written) = written else { return Err(problems) };
    let name = source.name();
    let (product, more) = meant::read(&written, source, shelf, mode);
    problems.extend(more);
    // The recipe from top to bottom, then the files it names.
    problems.sort_by_cached_key(|problem| (problem.file != name, problem.file.clone(), problem.line, problem.column));
    match product {
        Some(product) if problems.is_empty() => Ok(product),
        _ => Err(problems),
    }
}

/// A private key in the recipe itself: in a comment, in a value however it is written, or anywhere.
fn pasted(source: &Read) -> Option<Problem> {
    let mut budget = Budget::default();
    let plain = private::form_within(&source.bytes, &mut budget);
    let escaped = || {
        let values = page::texts(source.text().ok()?)?;
        private::form_within(values.as_bytes(), &mut budget)
    };
    let form = plain.or_else(escaped)?;
    let what =
        format!("holds a private key ({form}); take it out, and take that key as known to everybody from now on");
    Some(Problem::new(source.name(), what).exit(Exit::KeyRefused))
}

/// JSON Schema of a product file, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(written::Written).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_for_editors_knows_the_same_words_as_the_reader() {
        crate::page::schema_agrees(&schema(), words::TABLES);
    }
}
