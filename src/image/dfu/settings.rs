//! The settings page of an nRF5 SDK bootloader: which application it may start. Made as nrfutil makes it, and read
//! back as the bootloader reads it. [nordic-facts C6; pc-nrfutil 6.1.7, bl_dfu_sett.py]

use std::{ops::Range, sync::Arc};

use serde::Serialize;

use super::{crc32, init::Validation, le32};
use crate::{
    fault::Problem,
    ident::Digest,
    image::{Map, Segment, softdevice::MBR_SIZE, tree::Branch},
};

/// Length of one flash page of an nRF52, in bytes; the backup stands one page below.
pub const PAGE: u32 = 0x1000;

/// Where the settings end that their own CRC32 covers; the init command follows.
const COVERED: Range<usize> = 4..0x5C;

/// The boot validations, which have a CRC32 of their own in the four bytes before. [nRF5 SDK 15.3 and later]
const VALIDATIONS: Range<usize> = 0x260..0x323;
const VALIDATION_CRC: usize = 0x25C;
const SD_VALIDATION: usize = 0x260;
const APP_VALIDATION: usize = 0x2A1;
const VALIDATION_BYTES: usize = 64;

const BANK_VALID: u32 = 1;

/// What a bank's code says of firmware that waits in it: application, SoftDevice, bootloader, or the last two together.
/// [nRF5 SDK nrf_dfu_types.h, NRF_DFU_BANK_VALID_…]
const WAITING: [u32; 4] = [BANK_VALID, 0xA5, 0xAA, 0xAC];

/// UICR and what lies above; nrfutil takes program flash only.
const NOT_FLASH: u32 = 0x1000_0000;

/// More than the flash of any chip with such a bootloader: gaps are filled, and two bytes far apart must not fill memory.
const SPAN_MAX: u32 = 2 << 20;

/// Where a chip keeps the page. [pc-nrfutil 6.1.7, bl_dfu_sett.py]
const PAGES: &[(&str, u32)] = &[
    ("nRF52832", 0x0007_F000),
    ("nRF52833", 0x0007_F000),
    ("nRF52840", 0x000F_F000),
    ("nRF52810", 0x0002_F000),
    ("nRF52811", 0x0002_F000),
    ("nRF52832 with 256 KiB", 0x0003_F000),
];

/// Address of the settings page of this chip, if it is one the SDK knows.
#[must_use]
pub fn page_of(chip: &str) -> Option<u32> {
    PAGES.iter().find(|(name, _)| name.eq_ignore_ascii_case(chip)).map(|(_, at)| *at)
}

/// Layout of the page.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Version {
    /// 92 bytes; until SDK 15.2.
    V1,
    /// 803 bytes with boot validation; since SDK 15.3.
    V2,
}

impl Version {
    /// The number in the page.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// From the number in the page.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// How many bytes of the page are used.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::V1 => COVERED.end,
            Self::V2 => VALIDATIONS.end,
        }
    }

    /// Never: there is no empty layout.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What an application is to the bootloader: one run of bytes from its first address on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Flat {
    /// The bytes, gaps filled with 0xFF, rounded up to a word.
    pub bytes: Vec<u8>,
}

impl Flat {
    /// As nrfutil flattens a hex file: without UICR and master boot record.
    ///
    /// # Errors
    /// If nothing of the image lies in application flash, or it spans more than there is.
    pub fn of(map: &Map) -> Result<Self, Problem> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut first = None;
        for segment in map.segments().iter().filter(|segment| segment.at < NOT_FLASH) {
            let skipped = MBR_SIZE.saturating_sub(segment.at) as usize;
            let Some(part) = segment.bytes.get(skipped..).filter(|part| !part.is_empty()) else { continue };
            let at = segment.at.max(MBR_SIZE);
            let from = at - *first.get_or_insert(at);
            if u64::from(from) + part.len() as u64 > u64::from(SPAN_MAX) {
                return Err(map.problem_at(at, format!("spans more than {SPAN_MAX} bytes, which no nRF52 has")));
            }
            bytes.resize(from as usize, 0xFF);
            bytes.extend_from_slice(part);
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0xFF);
        if bytes.is_empty() {
            return Err(Problem::new(map.name(), "has nothing in the flash where an application stands"));
        }
        Ok(Self { bytes })
    }
}

/// What is to be said in a page that is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Layout.
    pub version: Version,
    /// Version of the application, as the init packet of the next update is compared with.
    pub app_version: u32,
    /// Version of the bootloader.
    pub bl_version: u32,
    /// How the application is checked at every boot; nrfutil's own choice is the CRC32. Layout 1 has no room for it.
    pub validation: Validation,
}

/// The used bytes of the page.
///
/// # Errors
/// A boot validation by signature needs the private half of a key, which no station has.
pub fn make(wanted: &Wanted, application: &Flat) -> Result<Vec<u8>, &'static str> {
    let crc = crc32(&application.bytes);
    let size = u32::try_from(application.bytes.len()).map_err(|_| "the application is larger than 4 GiB")?;
    let mut page = vec![0; wanted.version.len()];
    let bank = [(0x18, size), (0x1C, crc), (0x20, BANK_VALID)];
    let versions = [(0x04, wanted.version.number()), (0x08, wanted.app_version), (0x0C, wanted.bl_version)];
    for (at, value) in versions.into_iter().chain(bank) {
        put(&mut page, at, &value.to_le_bytes());
    }
    if wanted.version == Version::V2 {
        let (kind, bytes) = match wanted.validation {
            Validation::None => (0, Vec::new()),
            Validation::Crc => (1, crc.to_le_bytes().to_vec()),
            Validation::Sha256 => (2, Digest::of(&application.bytes).0.to_vec()),
            Validation::EcdsaP256Sha256 => return Err("a boot validation by signature is made where the key is"),
        };
        put(&mut page, APP_VALIDATION, &[kind]);
        put(&mut page, APP_VALIDATION + 1, &bytes);
        let crc = page.get(VALIDATIONS).map(crc32).unwrap_or_default();
        put(&mut page, VALIDATION_CRC, &crc.to_le_bytes());
    }
    let crc = page.get(COVERED).map(crc32).unwrap_or_default();
    put(&mut page, 0, &crc.to_le_bytes());
    Ok(page)
}

fn put(page: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = page.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// The page at its address with its backup one page below, each filled up to a word as nrfutil does, as an image called
/// `name`.
#[must_use]
pub fn image(name: &str, at: u32, page: &[u8]) -> Map {
    let mut page = page.to_vec();
    page.resize(page.len().next_multiple_of(4), 0xFF);
    let segment = |at| Segment { at, bytes: page.clone() };
    let segments = vec![segment(at.saturating_sub(PAGE)), segment(at)];
    Map { name: name.to_owned(), segments: segments.into(), written: Arc::default(), entry: None }
}

/// A page, taken apart. Taken apart is not yet believed: [`Settings::contradictions`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Settings {
    /// Where it stands.
    pub at: u32,
    /// Layout.
    pub version: Version,
    /// CRC32 as written, and as it is.
    pub crc: (u32, u32),
    /// Version of the application.
    pub app_version: u32,
    /// Version of the bootloader.
    pub bl_version: u32,
    /// Which of two banks holds the application; 0 in a page from the factory.
    pub bank_current: u32,
    /// Length of the application, in bytes.
    pub app_size: u32,
    /// CRC32 of the application.
    pub app_crc: u32,
    /// 1: there is an application that may be started.
    pub bank_code: u32,
    /// Length of what the second bank holds, in bytes.
    pub bank_1_size: u32,
    /// What waits in the second bank; 0 in a page from the factory.
    pub bank_1_code: u32,
    /// Length of the SoftDevice of an update under way, in bytes.
    pub sd_size: u32,
    /// 1: a bootloader that was built to heed it waits for an update instead of starting the application.
    pub enter_dfu: u32,
    /// CRC32 over the boot validations as written, and as it is; layout 2 only.
    pub validation_crc: Option<(u32, u32)>,
    /// How the SoftDevice is checked at boot; layout 2 only.
    pub sd_validation: Option<Validation>,
    /// How the application is checked at boot; layout 2 only.
    pub app_validation: Option<Validation>,
    /// What the application is compared with at boot; layout 2 only.
    #[serde(skip)]
    pub app_validation_bytes: Vec<u8>,
    /// Whether the backup one page below is there and says the same.
    pub backup: Backup,
}

/// The copy of the page in the page of the master boot record's parameters. [nRF5 SDK 15.1 and later]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backup {
    /// Byte for byte the same.
    Same,
    /// Something else: the bootloader takes parts of it over the page.
    Different,
    /// Not in the image.
    Absent,
}

/// The first page of settings in an image, where a chip keeps one and a layout and a checksum are there to see.
#[must_use]
pub fn find(map: &Map) -> Option<Settings> {
    PAGES.iter().filter_map(|(_, at)| read(map, *at).ok()).find(|settings| settings.crc.0 == settings.crc.1)
}

/// Takes the page at this address apart.
///
/// # Errors
/// If there is none: nothing there, or a layout that does not exist.
pub fn read(map: &Map, at: u32) -> Result<Settings, Problem> {
    let stop = |what: &str| map.problem_at(at, format!("no settings page at 0x{at:08X}: {what}"));
    let number = map.word(at.saturating_add(4)).ok_or_else(|| stop("the image has no bytes there"))?;
    let version = Version::from_number(number).ok_or_else(|| stop(&format!("its layout is {number}, not 1 or 2")))?;
    let whole = |from: u32| map.bytes(from..from.checked_add(u32::try_from(version.len()).ok()?)?);
    let page = whole(at).ok_or_else(|| stop("it is cut off"))?;
    taken_apart(at, version, page, at.checked_sub(PAGE).and_then(whole))
        .ok_or_else(|| stop("a boot validation in it is of no known kind"))
}

fn taken_apart(at: u32, version: Version, page: &[u8], backup: Option<&[u8]>) -> Option<Settings> {
    let word = |from| le32(page, from).unwrap_or_default();
    let computed = |range: Range<usize>| page.get(range).map(crc32).unwrap_or_default();
    let validation = |from: usize| Validation::ALL.get(usize::from(*page.get(from)?)).copied();
    let (mut validation_crc, mut sd_validation, mut app_validation) = (None, None, None);
    if version == Version::V2 {
        validation_crc = Some((word(VALIDATION_CRC), computed(VALIDATIONS)));
        sd_validation = Some(validation(SD_VALIDATION)?);
        app_validation = Some(validation(APP_VALIDATION)?);
    }
    let bytes = page.get(APP_VALIDATION + 1..APP_VALIDATION + 1 + VALIDATION_BYTES);
    Some(Settings {
        at,
        version,
        crc: (word(0), computed(COVERED)),
        app_version: word(0x08),
        bl_version: word(0x0C),
        bank_current: word(0x14),
        app_size: word(0x18),
        app_crc: word(0x1C),
        bank_code: word(0x20),
        bank_1_size: word(0x24),
        bank_1_code: word(0x2C),
        sd_size: word(0x34),
        enter_dfu: word(0x58),
        validation_crc,
        sd_validation,
        app_validation,
        app_validation_bytes: bytes.unwrap_or_default().to_vec(),
        backup: backup.map_or(Backup::Absent, |backup| if backup == page { Backup::Same } else { Backup::Different }),
    })
}

impl Settings {
    /// Every reason why a bootloader would not start the application by this page; with the application, also whether
    /// the page speaks of it.
    #[must_use]
    pub fn contradictions(&self, application: Option<&Flat>) -> Vec<String> {
        let mut found = Vec::new();
        let crcs = [("", Some(self.crc)), (" of the boot validations", self.validation_crc)];
        for (of, crc) in crcs {
            if let Some((says, is)) = crc.filter(|(says, is)| says != is) {
                found.push(format!("the CRC32{of} is written as {says:08x}, but it is {is:08x}"));
            }
        }
        if self.bank_code != BANK_VALID {
            found.push(format!("its bank code is {}: there is no application to start", self.bank_code));
        }
        // It is copied over what stands there before anything starts. [nRF5 SDK nrf_bootloader_fw_activation.c]
        if WAITING.contains(&self.bank_1_code) {
            found.push(format!(
                "{} bytes wait in its second bank (code 0x{:02X}): the bootloader would put them over what is here",
                self.bank_1_size, self.bank_1_code
            ));
        }
        if self.backup == Backup::Different {
            found.push(format!("the backup at 0x{:08X} says something else", self.at.saturating_sub(PAGE)));
        }
        if let Some(application) = application {
            found.extend(self.about_another(application));
        }
        found
    }

    /// What it says beside the application in its first bank, and nobody looks into, one phrase each. Nothing of it stands in a
    /// page that is made.
    #[must_use]
    pub fn beside(&self) -> Vec<String> {
        let told = |word: u32, what: String| (word != 0).then_some(what);
        [
            told(self.bank_current, format!("that bank {} is the current one", self.bank_current)),
            told(self.sd_size, format!("that an update brings a SoftDevice of {} bytes", self.sd_size)),
            told(self.enter_dfu, format!("that the bootloader is to wait for an update ({})", self.enter_dfu)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn about_another(&self, application: &Flat) -> Vec<String> {
        let mut found = Vec::new();
        let (size, crc) = (application.bytes.len(), crc32(&application.bytes));
        if self.app_size as usize != size {
            found.push(format!("the application has {size} bytes, the page says {}", self.app_size));
        }
        // A bootloader takes 0 as "not checked".
        if self.app_crc != crc && self.app_crc != 0 {
            found.push(format!("the application has the CRC32 {crc:08x}, the page says {:08x}", self.app_crc));
        }
        let expected = match self.app_validation {
            Some(Validation::Crc) => crc.to_le_bytes().to_vec(),
            Some(Validation::Sha256) => Digest::of(&application.bytes).0.to_vec(),
            Some(Validation::None | Validation::EcdsaP256Sha256) | None => Vec::new(),
        };
        if !self.app_validation_bytes.starts_with(&expected) {
            found.push("the boot validation is that of another application".to_owned());
        }
        found
    }

    /// For people.
    #[must_use]
    pub fn explain(&self, application: Option<&Flat>) -> Branch {
        let words = |validation: Option<Validation>| validation.map_or("none in this layout", Validation::words);
        let backup = match self.backup {
            Backup::Same => "the same one page below",
            Backup::Different => "another one page below",
            Backup::Absent => "none; bootloaders since SDK 15.1 expect one",
        };
        let title = format!("nRF5 SDK bootloader settings, layout {}, at 0x{:08X}", self.version.number(), self.at);
        let branch = Branch::new("settings page", title)
            .with(Branch::new("application", format!("version {}, {} bytes", self.app_version, self.app_size)))
            .with(Branch::new("app CRC32", format!("{:08x}", self.app_crc)))
            .with(Branch::new("bootloader", format!("version {}", self.bl_version)))
            .with(Branch::new("checked", words(self.app_validation)))
            .with(Branch::new("SoftDevice", words(self.sd_validation)))
            .with(Branch::new("backup", backup));
        let branch = self.beside().into_iter().fold(branch, |branch, what| branch.with(Branch::new("also says", what)));
        match &self.contradictions(application)[..] {
            [] => branch,
            contradictions => branch.warn(contradictions.join("; ")),
        }
    }
}
