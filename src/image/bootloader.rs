//! Which bootloader a file holds, by more than one sign, and which keys stand inside it.
//!
//! Signs are constants and texts that a program of that kind needs; firmware that updates itself may show some of them.
//! What is not found is never said to be absent: [`Trust::rests_on`] says what was looked for.

use std::{fmt, ops::Range};

use serde::Serialize;

use super::{
    Map, Segment,
    dfu::patch::{self, Bare, Form},
    mcuboot::{self, moved, moved_half, positions},
    scan::{self, Kind},
    tree::Branch,
    vectors::{self, Vectors},
};
use crate::{
    ident::Digest,
    keys::{AnyKey, DecryptionKey, refuse::RefuseList},
};

/// The largest file that is searched for signs, in bytes: more than any of the chips has. Larger ones are no firmware.
pub const SEARCH_LIMIT: usize = 4 << 20;

/// A bootloader that boards of these chips start with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// MCUboot.
    Mcuboot,
    /// Nordic's immutable bootloader, `b0`.
    Nsib,
    /// The secure DFU bootloader of the nRF5 SDK.
    Nrf5Sdk,
}

impl Family {
    const ALL: [Self; 3] = [Self::Mcuboot, Self::Nsib, Self::Nrf5Sdk];
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mcuboot => "MCUboot",
            Self::Nsib => "Nordic's immutable bootloader (NSIB, b0)",
            Self::Nrf5Sdk => "the nRF5 SDK's secure bootloader",
        })
    }
}

/// How a sign stands in a file.
enum Pattern {
    /// As these bytes.
    Bytes(&'static [u8]),
    /// As a word among the data, or in MOVW and MOVT.
    Constant(u32),
    /// In a MOVW.
    Half(u16),
    /// A word at this address that points into the file.
    PointerAt(u32),
    /// The three words of `fw_info`, where no such structure stands: the program looks for it. [sdk-nrf include/fw_info.h]
    FirmwareInfo,
}

/// One sign that a program is of a family.
struct Known {
    family: Family,
    name: &'static str,
    pattern: Pattern,
    /// Whether other programs hardly ever show it. Round numbers stand anywhere.
    telling: bool,
}

const fn known(family: Family, name: &'static str, pattern: Pattern) -> Known {
    Known { family, name, pattern, telling: true }
}

const fn weak(family: Family, name: &'static str, pattern: Pattern) -> Known {
    Known { family, name, pattern, telling: false }
}

/// First two words of everything NSIB looks for. [B7; sdk-nrf fw_info.h]
const FW_INFO: [u8; 8] = [0xde, 0xe6, 0x1e, 0x28, 0x4c, 0xbb, 0xce, 0x8f];

/// First two words of what NSIB finds behind a signed program. [sdk-nrf bl_validation; its tests name 0x86518483]
pub(super) const VALIDATION_INFO: [u8; 8] = [0xde, 0xe6, 0x1e, 0x28, 0x83, 0x84, 0x51, 0x86];

/// UUID 8EC90000-F315-4F60-9FB8-838830DAEA50 of the DFU service, last byte first. [nRF5 SDK ble_dfu.h]
const DFU_UUID: [u8; 16] =
    [0x50, 0xea, 0xda, 0x30, 0x88, 0x83, 0xb8, 0x9f, 0x60, 0x4f, 0x15, 0xf3, 0x00, 0x00, 0xc9, 0x8e];

/// nRF52840, nRF52832. [nRF5 SDK nrf_dfu_types.h]
const SETTINGS_PAGES: [u32; 2] = [0x000F_F000, 0x0007_F000];

const PAGE: &str = "the address of its settings page";

const CURVE: &str = "the generator of P-256";

const LOG: &str = "a text of its log";

const KNOWN: &[Known] = &[
    known(Family::Mcuboot, "the image magic", Pattern::Constant(mcuboot::MAGIC)),
    known(Family::Mcuboot, "the trailer magic", Pattern::Bytes(&mcuboot::TRAILER_MAGIC)),
    known(Family::Mcuboot, "the trailer magic for wide flash", Pattern::Bytes(&mcuboot::TRAILER_MAGIC_WIDE)),
    known(Family::Mcuboot, "the TLV magic", Pattern::Half(0x6907)),
    known(Family::Mcuboot, "the magic of protected TLVs", Pattern::Half(0x6908)),
    known(Family::Mcuboot, LOG, Pattern::Bytes(b"Jumping to the first image slot")),
    known(Family::Mcuboot, LOG, Pattern::Bytes(b"Unable to find bootable image")),
    known(Family::Mcuboot, LOG, Pattern::Bytes(b"Bootloader chainload address offset")),
    known(Family::Nsib, "the magic of firmware info, to compare with", Pattern::FirmwareInfo),
    known(Family::Nsib, "the token of a valid key", Pattern::Constant(0x50FA_FFFF)),
    known(Family::Nsib, LOG, Pattern::Bytes(b"Attempting to boot from address")),
    known(Family::Nsib, LOG, Pattern::Bytes(b"Firmware signature verified")),
    known(Family::Nsib, LOG, Pattern::Bytes(b"permanently invalidating")),
    known(Family::Nrf5Sdk, "its start address in UICR", Pattern::PointerAt(0x1000_1014)),
    known(Family::Nrf5Sdk, "the UUID of its DFU service", Pattern::Bytes(&DFU_UUID)),
    weak(Family::Nrf5Sdk, PAGE, Pattern::Constant(SETTINGS_PAGES[0])),
    weak(Family::Nrf5Sdk, PAGE, Pattern::Constant(SETTINGS_PAGES[1])),
    known(Family::Nrf5Sdk, "its default name", Pattern::Bytes(b"DfuTarg")),
];

/// How many different signs it takes.
const ENOUGH: usize = 2;

/// A sign, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Sign {
    /// What it is, in words.
    pub name: &'static str,
    /// Address of its first byte.
    #[serde(serialize_with = "super::as_address")]
    pub at: u32,
}

/// A family with its signs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Recognised {
    /// Which.
    pub family: Family,
    /// Whether there are enough signs to say so.
    pub certain: bool,
    /// Whether the signs stand in the program of an image for MCUboot. Most such programs know MCUboot's formats because
    /// they handle updates.
    pub in_image: bool,
    /// Each of them.
    pub signs: Vec<Sign>,
}

/// Firmware that NSIB starts, as it describes itself. [sdk-nrf include/fw_info.h]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct FirmwareInfo {
    /// Where the description stands.
    #[serde(serialize_with = "super::as_address")]
    pub at: u32,
    /// Its own version, which NSIB counts.
    pub version: u32,
    /// Where the firmware begins.
    #[serde(serialize_with = "super::as_address")]
    pub address: u32,
    /// How long it is, in bytes.
    pub size: u32,
    /// Whether NSIB has not given it up.
    pub valid: bool,
}

/// A key inside.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct InsideKey {
    /// Address of its first byte.
    #[serde(serialize_with = "super::as_address")]
    pub at: u32,
    /// As reports write it, such as `ecdsa-p256`; `None` where only its form was recognised.
    pub algorithm: Option<&'static str>,
    /// SHA-256 of its SubjectPublicKeyInfo. Of a private key that could decrypt images, that of its public half; of others
    /// none is made.
    pub spki_sha256: Option<Digest>,
    /// In words. Of a private key, its form only.
    pub what: String,
    /// Whether it is a private half.
    pub private: bool,
    /// Why it is refused, if it is.
    pub refused: Option<String>,
    /// Whether it stands behind the program of an image for MCUboot: it says who signed, and no program trusts it.
    pub in_tlvs: bool,
}

/// Where a bootloader takes its trust from, as far as a file shows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Trust {
    /// Whether a public key stands inside.
    pub embedded: bool,
    /// What that conclusion rests on, in whole sentences.
    pub rests_on: String,
}

/// What a file shows of bootloaders.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Survey {
    /// Families of which there is any sign, those with enough signs first.
    pub families: Vec<Recognised>,
    /// Firmware for NSIB.
    pub firmware: Vec<FirmwareInfo>,
    /// Keys inside, in order of address.
    pub keys: Vec<InsideKey>,
    /// P-256 keys without a head, in the nRF5 SDK's bootloader: no other is searched for them.
    #[serde(skip)]
    pub bare: Vec<Bare>,
    /// Where the trust comes from.
    pub trust: Trust,
    /// The forms of keys that were looked for.
    pub looked_for: &'static str,
    /// Vector tables that a chip could start from, at the start of a segment.
    #[serde(skip)]
    pub vectors: Vec<Vectors>,
}

/// Looks at a file for signs and keys. A file above [`SEARCH_LIMIT`] shows none, and [`Trust::rests_on`] says so.
#[must_use]
pub fn survey(map: &Map, list: &RefuseList) -> Survey {
    let searched = map.len() <= SEARCH_LIMIT;
    let found = if searched { scan::keys(map, list) } else { Vec::new() };
    let images = if searched { mcuboot::all(map) } else { Vec::new() };
    let images: Vec<mcuboot::Image> = images.into_iter().filter_map(|(_, image)| image.ok()).collect();
    survey_with(map, &found, &images, list)
}

/// As [`survey`], with the keys that [`scan::keys`] and the images that [`mcuboot::all`] found in this map already: to look
/// for them twice takes twice as long.
#[must_use]
pub fn survey_with(map: &Map, found: &[scan::Found], images: &[mcuboot::Image], list: &RefuseList) -> Survey {
    if map.len() > SEARCH_LIMIT {
        let rests_on = format!("Nothing was looked for: {} bytes are more than any of these chips has.", map.len());
        let trust = Trust { embedded: false, rests_on };
        return Survey {
            families: Vec::new(),
            firmware: Vec::new(),
            keys: Vec::new(),
            bare: Vec::new(),
            trust,
            looked_for: "nothing",
            vectors: Vec::new(),
        };
    }
    let mut tries = PRIVATE_TRIES;
    let mut keys: Vec<InsideKey> = found.iter().map(|found| inside(map, found, list, &mut tries)).collect();
    for key in &mut keys {
        key.in_tlvs = images.iter().any(|image| (image.program_end()..image.end).contains(&key.at));
    }
    let mut families = families(map, images, &keys);
    let bare = bare(map, &mut families);
    let starts = map.segments().iter().map(|segment| segment.at);
    Survey {
        trust: trust(&families, &keys, &bare),
        bare,
        looked_for: scan::FORMS,
        firmware: firmware(map),
        vectors: starts.filter_map(|at| vectors::read(map, at, &vectors::SRAM).ok()).collect(),
        families,
        keys,
    }
}

impl Recognised {
    /// In words: what it is, or why that cannot be said.
    #[must_use]
    pub fn doubt(&self) -> String {
        let mut names = self.signs.iter().map(|sign| sign.name);
        let first = names.next();
        match (self.certain, self.in_image, names.all(|name| Some(name) == first)) {
            (true, _, _) => format!("it is {}", self.family),
            (false, true, _) => format!(
                "the image in this file knows the formats of {}: firmware that handles updates, or a bootloader that \
                 another one starts",
                self.family
            ),
            (false, false, true) => format!("perhaps {}, by one sign alone", self.family),
            (false, false, false) => {
                format!(
                    "perhaps {}, or firmware that handles its updates: no key and no text of it is inside",
                    self.family
                )
            }
        }
    }
}

impl Survey {
    /// The family that the file certainly holds, if it is one alone.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        let mut certain = self.families.iter().filter(|found| found.certain);
        certain.next().filter(|_| certain.next().is_none()).map(|found| found.family)
    }

    /// As a tree that people read.
    #[must_use]
    pub fn explain(&self) -> Branch {
        let name = match self.families.first() {
            Some(first) if first.certain => first.family.to_string(),
            Some(first) => first.doubt(),
            None => "no sign of a bootloader".to_owned(),
        };
        let mut tree = Branch::new("bootloader", name);
        for found in &self.families {
            let signs: Vec<String> =
                found.signs.iter().map(|sign| format!("{} at 0x{:08X}", sign.name, sign.at)).collect();
            tree = tree.with(Branch::new("signs", format!("of {}: {}", found.family, signs.join(", "))));
        }
        for info in &self.firmware {
            let state = if info.valid { "valid" } else { "given up" };
            let what = format!("version {} at 0x{:08X}, {} bytes, {state}", info.version, info.address, info.size);
            tree = tree.with(Branch::new("firmware info", what));
        }
        for key in &self.keys {
            let branch = Branch::new("key", format!("0x{:08X}: {}", key.at, key.what));
            tree = tree.with(match (&key.refused, key.private) {
                (Some(why), _) => branch.warn(why),
                (None, true) => branch.warn("a private half is in this file"),
                (None, false) => branch,
            });
        }
        tree.with(Branch::new("trust", &self.trust.rests_on).with(Branch::new("looked for", self.looked_for)))
    }
}

/// What the file shows outside the images in it, and only then what these show themselves.
fn families(map: &Map, images: &[mcuboot::Image], keys: &[InsideKey]) -> Vec<Recognised> {
    let ranges: Vec<Range<u32>> = images.iter().map(|image| image.at..image.end).collect();
    let rest = map.without(&ranges);
    let told = |family| {
        let mut found = recognise(&rest, family);
        if found.is_none() && !images.is_empty() {
            found = recognise(map, family).map(|found| Recognised { in_image: true, ..found });
        }
        found.map(|found| Recognised { certain: found.certain && is_itself(&found, map, keys), ..found })
    };
    let mut families: Vec<Recognised> = Family::ALL.into_iter().filter_map(told).collect();
    families.sort_by_key(|found| !found.certain);
    families
}

/// The keys of an nRF5 SDK bootloader. Where its own signs do not suffice, as in one that takes updates over USB, the
/// address of a settings page, the generator of P-256 and a key in the SDK's own form make it one. The search is as costly
/// as it is sure, so that nothing else is searched.
fn bare(map: &Map, families: &mut Vec<Recognised>) -> Vec<Bare> {
    let told = families.iter().any(|found| found.family == Family::Nrf5Sdk && found.certain);
    let page = || SETTINGS_PAGES.iter().find_map(|page| find(map, &Pattern::Constant(*page)));
    let perhaps = || Some((page()?, patch::generator(map)?));
    let (signs, searched) = match perhaps().filter(|_| !told) {
        Some((page, curve)) => (vec![Sign { name: PAGE, at: page }, Sign { name: CURVE, at: curve }], true),
        None => (Vec::new(), told),
    };
    if !searched {
        return Vec::new();
    }
    let bare = patch::bare_keys(map);
    let own = bare.iter().find(|key| key.form == Form::Nrf5SdkLe).filter(|_| !told);
    if let Some(own) = own {
        let signs = signs.into_iter().chain([Sign { name: "a P-256 key, last byte first", at: own.at }]).collect();
        families.retain(|found| found.family != Family::Nrf5Sdk);
        families.insert(0, Recognised { family: Family::Nrf5Sdk, certain: true, in_image: false, signs });
    }
    if told || own.is_some() { bare } else { Vec::new() }
}

/// Firmware that takes updates for MCUboot holds every one of its constants, as the server of Zephyr's MCUmgr does. What
/// such firmware hardly ever has is a key beside them, or MCUboot's own texts.
fn is_itself(found: &Recognised, map: &Map, keys: &[InsideKey]) -> bool {
    let says_so = found.signs.iter().any(|sign| sign.name == LOG);
    let segment = |at: u32| map.segments().iter().position(|one| one.at <= at && u64::from(at) < one.end());
    let beside = |key: &InsideKey| found.signs.iter().any(|sign| segment(sign.at) == segment(key.at));
    let has_key = !found.in_image && keys.iter().any(|key| !key.in_tlvs && beside(key));
    found.family != Family::Mcuboot || says_so || has_key
}

fn recognise(map: &Map, family: Family) -> Option<Recognised> {
    let found: Vec<(&Known, u32)> = KNOWN
        .iter()
        .filter(|known| known.family == family)
        .filter_map(|known| Some((known, find(map, &known.pattern)?)))
        .collect();
    // Two texts of a log are one sign: firmware that quotes one may quote the other.
    let mut names: Vec<&str> = found.iter().map(|(known, _)| known.name).collect();
    names.dedup();
    let telling = found.iter().any(|(known, _)| known.telling);
    let signs: Vec<Sign> = found.iter().map(|(known, at)| Sign { name: known.name, at: *at }).collect();
    telling.then_some(Recognised { family, certain: names.len() >= ENOUGH, in_image: false, signs })
}

fn find(map: &Map, pattern: &Pattern) -> Option<u32> {
    let first = |look: &dyn Fn(&Segment) -> Option<u32>| map.segments().iter().find_map(look);
    match pattern {
        Pattern::Bytes(bytes) => first(&|segment| positions(segment, bytes).find(|at| !is_data(map, *at))),
        Pattern::Constant(word) => {
            // Constants of Thumb code stand at whole words.
            let literal =
                first(&|segment| positions(segment, &word.to_le_bytes()).find(|at| at % 4 == 0 && !is_data(map, *at)));
            literal.or_else(|| first(&|segment| moved(segment, *word)))
        }
        Pattern::Half(half) => first(&|segment| moved_half(segment, *half)),
        Pattern::PointerAt(address) => {
            let target = map.word(*address)?;
            map.bytes(target..target.checked_add(8)?).map(|_| *address)
        }
        Pattern::FirmwareInfo => [FW_INFO, VALIDATION_INFO]
            .iter()
            .find_map(|magic| first(&|segment| positions(segment, magic).find(|at| !is_described(map, *at)))),
    }
}

/// Whether this is the header or the trailer of an image in the file, and so no constant of a program.
fn is_data(map: &Map, at: u32) -> bool {
    mcuboot::heads(map, at) || mcuboot::ends_padding(map, at)
}

/// Whether `fw_info` or `validation_info` itself stands here: it names firmware that lies before it in the file. NSIB
/// itself stands at the lowest address, so that no firmware of its begins at 0.
fn is_described(map: &Map, at: u32) -> bool {
    let named = at.checked_add(12).and_then(|at| map.word(at)).filter(|named| *named != 0 && *named <= at);
    firmware_info(map, at).is_some() || named.is_some_and(|named| map.word(named).is_some())
}

/// Every description of firmware that NSIB starts, the first 64 at most.
#[must_use]
pub fn firmware(map: &Map) -> Vec<FirmwareInfo> {
    let places = map.segments().iter().flat_map(|segment| positions(segment, &FW_INFO));
    places.filter_map(|at| firmware_info(map, at)).take(FIRMWARES).collect()
}

/// More than any chip has room for; a file that is made of descriptions would make a report many times its size.
const FIRMWARES: usize = 64;

/// `fw_info`: three words of magic, total_size, size, version, address, boot_address, valid. [sdk-nrf include/fw_info.h]
fn firmware_info(map: &Map, at: u32) -> Option<FirmwareInfo> {
    let word = |index: u32| map.word(at.checked_add(index * 4)?);
    let (total, size, version, address, valid) = (word(3)?, word(4)?, word(5)?, word(6)?, word(8)?);
    let sane = (36..0x1000).contains(&total) && size > 0 && valid >> 16 == 0x9102 && address <= at;
    sane.then_some(FirmwareInfo { at, version, address, size, valid: valid == 0x9102_FFFF })
}

/// How many private keys are looked at more closely: no bootloader holds more, and each costs arithmetic.
const PRIVATE_TRIES: usize = 16;

fn inside(map: &Map, found: &scan::Found, list: &RefuseList, tries: &mut usize) -> InsideKey {
    if matches!(found.kind, Kind::Private(_)) {
        let left = tries.checked_sub(1);
        *tries = left.unwrap_or_default();
        let key = left.and_then(|_| decryption_key(map, found.at));
        return private_inside(found, key.as_ref(), list);
    }
    let key = found.key.as_ref();
    let refused = found.refused.as_ref();
    InsideKey {
        at: found.at,
        algorithm: key.map(|key| key.algorithm().code()),
        spki_sha256: key.map(AnyKey::spki_sha256).or_else(|| refused.map(|refused| refused.spki_sha256)),
        what: match (key, refused) {
            (Some(key), None) => format!("{} key {}", key.algorithm(), key.spki_sha256()),
            (_, _) => found.what(),
        },
        private: false,
        refused: refused.map(ToString::to_string),
        in_tlvs: false,
    }
}

/// The longest of them, RSA-2048 as PKCS#8, has 1218 bytes.
const LONGEST_PRIVATE: usize = 1300;

fn decryption_key(map: &Map, at: u32) -> Option<DecryptionKey> {
    let segment = map.segments().iter().find(|segment| segment.at <= at && u64::from(at) < segment.end())?;
    let rest = segment.bytes.get((at - segment.at) as usize..)?;
    DecryptionKey::at_start(rest.get(..LONGEST_PRIVATE).unwrap_or(rest)).map(|(key, _)| key)
}

/// Only a recipe can say that a private half is there to decrypt images and not to sign them.
fn private_inside(found: &scan::Found, key: Option<&DecryptionKey>, list: &RefuseList) -> InsideKey {
    let refused = key.and_then(|key| list.refuses_digest(&key.spki_sha256()));
    let what = match key {
        Some(key) => format!(
            "{} that could decrypt images with {}; its public half is {}",
            found.what(),
            key.algorithm(),
            key.spki_sha256()
        ),
        None => found.what(),
    };
    InsideKey {
        at: found.at,
        algorithm: key.map(|key| key.algorithm().code()),
        spki_sha256: key.map(DecryptionKey::spki_sha256),
        what,
        private: true,
        refused: refused.or(found.refused.as_ref()).map(ToString::to_string),
        in_tlvs: false,
    }
}

fn trust(families: &[Recognised], keys: &[InsideKey], bare: &[Bare]) -> Trust {
    let public = keys.iter().filter(|key| !key.private && !key.in_tlvs).count() + bare.len();
    if public > 0 {
        let plural = if public == 1 { "key stands" } else { "keys stand" };
        let rests_on = format!("{public} public {plural} inside; that the program uses what it holds, no file shows.");
        return Trust { embedded: true, rests_on };
    }
    let family = families.iter().find(|found| found.certain || found.family == Family::Mcuboot && !found.in_image);
    let elsewhere = match family.map(|found| found.family) {
        Some(Family::Mcuboot) => {
            " If it is MCUboot, the key is expected on the chip: a key hash (MCUBOOT_HW_KEY), the KMU, or a built-in \
             PSA key; or it checks no signatures at all, which no file shows."
        }
        Some(Family::Nsib) => " NSIB holds no key: it reads key hashes from its provision data, or keys from the KMU.",
        Some(Family::Nrf5Sdk) => {
            " The nRF5 SDK's bootloader holds its key as 64 raw bytes, and none that is a point of the curve stands \
             here: it checks no signatures, or takes its key from elsewhere."
        }
        None => "",
    };
    let signers = if keys.iter().any(|key| key.in_tlvs) { " but those by which images name their signer" } else { "" };
    let rests_on = format!("No key was found inside{signers}, in any of the forms looked for.{elsewhere}");
    Trust { embedded: false, rests_on }
}
