//! Nordic's SoftDevices, the master boot record below them, and what begins behind them.
//!
//! A SoftDevice is a protocol stack that is linked once and called by number; it says in a structure of its own what it is.
//! [nRF5 SDK, `nrf_sdm.h`; S140 SoftDevice Specification, "SoftDevice information structure"]

use serde::Serialize;

use super::{Map, Segment, mcuboot::positions, vectors};
use crate::ident::{Digest, hex};

/// Where the master boot record ends and a SoftDevice begins, nRF51 and nRF52 alike. [nRF5 SDK, nrf_mbr.h, MBR_SIZE]
pub const MBR_SIZE: u32 = 0x1000;

/// How far behind the begin of a SoftDevice its structure stands. [nrf_sdm.h, SOFTDEVICE_INFO_STRUCT_OFFSET]
pub(super) const INFO: u32 = 0x2000;

/// Second word of the structure. No header of Nordic's names it; programs for nRF52 call it `SD_MAGIC_NUMBER`. [S130 2.0.1,
/// S132 2.0.1 and 5.1.0 themselves]
pub(super) const MAGIC: u32 = 0x51B1_E5DB;

/// First byte of the structure: its length. The first SoftDevices end it behind the firmware id, later ones behind the
/// revision; what lies behind its length is no field. [S132 2.0.1 and 5.1.0 themselves; nrf_sdm.h, SD_ID_GET]
const SIZES: std::ops::RangeInclusive<u32> = 0x10..=0x40;

/// A SoftDevice in a file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SoftDevice {
    /// Where it begins.
    #[serde(serialize_with = "super::as_address")]
    pub at: u32,
    /// The first address behind it by its own account, where the application or nothing begins. [nrf_sdm.h, SD_SIZE_OFFSET]
    #[serde(serialize_with = "super::as_address")]
    pub end: u32,
    /// By which update packages name it. [nrf_sdm.h, SD_FWID_OFFSET]
    #[serde(serialize_with = "as_half")]
    pub firmware_id: u16,
    /// As Nordic's tools call it, if they know this firmware id.
    pub name: Option<&'static str>,
    /// The number behind its S, as 132.
    pub variant: Option<u32>,
    /// Major, minor and bugfix.
    pub version: Option<String>,
    /// Whether itself says its variant and version; the first ones have no room for that, and the firmware id says it.
    pub says_version: bool,
    /// Revision of its source, in hexadecimal digits. [nrf_sdm.h, SD_UNIQUE_STR_OFFSET]
    pub revision: Option<String>,
    /// The series it is for, as `nrf52`, if the firmware id is known.
    pub series: Option<&'static str>,
    /// Where a program begins behind it, if the file has one there.
    #[serde(serialize_with = "super::as_perhaps_address")]
    pub application: Option<u32>,
}

/// Nordic's master boot record: it takes resets and interrupts, and hands them to the SoftDevice or a bootloader.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mbr {
    /// Where it begins: always 0.
    #[serde(serialize_with = "super::as_address")]
    pub at: u32,
    /// How long it is, in bytes.
    pub length: usize,
    /// SHA-256 of these bytes.
    pub sha256: Digest,
    /// With which SoftDevice these very bytes were released, if that is known here.
    pub released_with: Option<&'static str>,
}

/// Firmware of Nordic's that lets a computer use a SoftDevice over UART or USB.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Connectivity {
    /// Where its version stands.
    #[serde(serialize_with = "super::as_address")]
    pub at: u32,
    /// Major, minor and patch.
    pub version: String,
    /// For which generation of the SoftDevices' calls it was built.
    pub ble_api: u8,
    /// Speed of its UART, in bits per second.
    pub baud_rate: u32,
}

/// By firmware id. [pc-nrfutil 6.1.7, nordicsemi/__main__.py; nrfutil nrf5sdk-tools, `pkg generate --help`: --sd-req]
const NAMES: &[(u16, &str)] = &[
    (0x67, "s130_nrf51_1.0.0"),
    (0x80, "s130_nrf51_2.0.0"),
    (0x81, "s132_nrf52_2.0.0"),
    (0x87, "s130_nrf51_2.0.1"),
    (0x88, "s132_nrf52_2.0.1"),
    (0x8C, "s132_nrf52_3.0.0"),
    (0x91, "s132_nrf52_3.1.0"),
    (0x95, "s132_nrf52_4.0.0"),
    (0x98, "s132_nrf52_4.0.2"),
    (0x99, "s132_nrf52_4.0.3"),
    (0x9D, "s132_nrf52_5.0.0"),
    (0x9E, "s132_nrf52_4.0.4"),
    (0x9F, "s132_nrf52_4.0.5"),
    (0xA5, "s132_nrf52_5.1.0"),
    (0xA7, "s112_nrf52_6.0.0"),
    (0xA8, "s132_nrf52_6.0.0"),
    (0xA9, "s140_nrf52_6.0.0"),
    (0xAE, "s140_nrf52_6.1.0"),
    (0xAF, "s132_nrf52_6.1.0"),
    (0xB0, "s112_nrf52_6.1.0"),
    (0xB6, "s140_nrf52_6.1.1"),
    (0xB7, "s132_nrf52_6.1.1"),
    (0xB8, "s112_nrf52_6.1.1"),
    (0xB9, "s340_nrf52_6.1.1"),
    (0xBA, "s332_nrf52_6.1.1"),
    (0xBC, "s212_nrf52_6.1.1"),
    (0xC1, "s140_nrf52_7.0.0"),
    (0xC2, "s132_nrf52_7.0.0"),
    (0xC3, "s113_nrf52_7.0.0"),
    (0xC4, "s112_nrf52_7.0.0"),
    (0xCA, "s140_nrf52_7.0.1"),
    (0xCB, "s132_nrf52_7.0.1"),
    (0xCC, "s113_nrf52_7.0.1"),
    (0xCD, "s112_nrf52_7.0.1"),
    (0xEA, "s122_nrf52_8.0.0"),
    (0x100, "s140_nrf52_7.2.0"),
    (0x101, "s132_nrf52_7.2.0"),
    (0x102, "s113_nrf52_7.2.0"),
    (0x103, "s112_nrf52_7.2.0"),
    (0x112, "s122_nrf52_8.1.1"),
    (0x123, "s140_nrf52_7.3.0"),
    (0x124, "s132_nrf52_7.3.0"),
    (0x125, "s113_nrf52_7.3.0"),
    (0x126, "s112_nrf52_7.3.0"),
];

/// SHA-256 of master boot records, and what they came with. [hex files in pc_ble_driver_py 0.17.0]
const RECORDS: &[(&str, &str)] = &[
    ("2de7fc0ccb432332f2cde6fbcf22e9783ca3dd8c41280b05923fe0790675f4df", "s130_nrf51_2.0.1"),
    ("77afd2cbb4a442cb78163a4009d61b247c44d39b6a792bcee7d10a21dcdcb91f", "s132_nrf52_2.0.1"),
    ("6cb3805e2add4dcc067bbffe15ad140c1a4c750704f20c49a6b92315816021f0", "s132_nrf52_5.1.0"),
];

/// As Nordic's tools call the SoftDevice with this firmware id.
#[must_use]
pub fn name(firmware_id: u32) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| u32::from(*known) == firmware_id).map(|(_, name)| *name)
}

/// The SoftDevice in this memory: behind the master boot record, or alone from the begin of a piece.
#[must_use]
pub fn find(map: &Map) -> Option<SoftDevice> {
    let begins = map.segments().iter().flat_map(|one| [Some(one.at), one.at.checked_add(MBR_SIZE)]);
    begins.flatten().find_map(|at| read(map, at))
}

fn read(map: &Map, at: u32) -> Option<SoftDevice> {
    let info = at.checked_add(INFO)?;
    let word = |offset: u32| map.word(info.checked_add(offset)?);
    let size = word(0)? & 0xFF;
    let whole = word(4)? == MAGIC && SIZES.contains(&size);
    // By its own account it ends at a page of its chip, and behind its own structure.
    let end = word(8).filter(|end| whole && end % 0x400 == 0 && *end > INFO)?;
    let firmware_id = u16::try_from(word(0xC)? & 0xFFFF).ok()?;
    let own = |offset: u32| word(offset).filter(|_| size > offset);
    let (variant, version) = (own(0x10), own(0x14).map(version));
    let name = name(firmware_id.into());
    let named = name.and_then(taken_apart);
    Some(SoftDevice {
        at,
        end,
        firmware_id,
        name,
        says_version: version.is_some(),
        variant: variant.or(named.map(|(variant, ..)| variant)),
        version: version.or(named.map(|(.., version)| version.to_owned())),
        revision: (size > 0x18).then(|| revision(map, info)).flatten(),
        series: named.map(|(_, series, _)| series),
        application: vectors::read(map, end, &vectors::SRAM).ok().map(|table| table.at),
    })
}

fn revision(map: &Map, info: u32) -> Option<String> {
    map.bytes(info.checked_add(0x18)?..info.checked_add(0x2C)?).map(hex)
}

/// As a decimal number in the form Mmmmbbb. [nrf_sdm.h, SD_VERSION]
fn version(number: u32) -> String {
    format!("{}.{}.{}", number / 1_000_000, number / 1000 % 1000, number % 1000)
}

/// Variant, series and version of a name like `s132_nrf52_5.1.0`.
fn taken_apart(name: &'static str) -> Option<(u32, &'static str, &'static str)> {
    let mut parts = name.split('_');
    let variant = parts.next()?.strip_prefix('s')?.parse().ok()?;
    Some((variant, parts.next()?, parts.next()?))
}

/// The master boot record, known by its bytes or by the SoftDevice that begins where it ends.
#[must_use]
pub fn mbr(map: &Map, softdevice: Option<&SoftDevice>) -> Option<Mbr> {
    let below = |one: &&Segment| one.at == 0;
    let segment = map.segments().iter().find(below)?;
    let bytes = segment.bytes.get(..MBR_SIZE as usize).unwrap_or(&segment.bytes);
    // What fills the rest of its page belongs to no record.
    let length = bytes.iter().rposition(|byte| *byte != 0xFF)? + 1;
    let own = bytes.get(..length.next_multiple_of(4)).unwrap_or(bytes);
    let sha256 = Digest::of(own);
    let released_with = RECORDS.iter().find(|(known, _)| *known == sha256.to_string()).map(|(_, with)| *with);
    let below_softdevice = softdevice.is_some_and(|above| above.at == MBR_SIZE);
    (released_with.is_some() || below_softdevice).then_some(Mbr { at: 0, length: own.len(), sha256, released_with })
}

/// First word of what connectivity firmware says of itself. [pc-ble-driver-js, api/firmwareRegistry.js]
const CONNECTIVITY: u32 = 0x46D8_A517;

/// Nordic builds it for 115200 and 1000000; a number outside is no speed of a UART. [pc-ble-driver-js,
/// api/firmwareRegistry.js]
const BAUD_RATES: std::ops::RangeInclusive<u32> = 9600..=8_000_000;

/// Connectivity firmware, by what it says of itself at the begin of a page of its own.
#[must_use]
pub fn connectivity(map: &Map) -> Option<Connectivity> {
    let magic = CONNECTIVITY.to_le_bytes();
    let places = map.segments().iter().flat_map(|one| positions(one, &magic));
    places.filter(|at| at % 0x400 == 0).find_map(|at| connectivity_at(map, at))
}

fn connectivity_at(map: &Map, at: u32) -> Option<Connectivity> {
    let word = |offset: u32| map.word(at.checked_add(offset)?);
    let [major, minor, patch, _] = word(12)?.to_le_bytes();
    let [ble_api, ..] = word(16)?.to_le_bytes();
    let baud_rate = word(20)?;
    BAUD_RATES.contains(&baud_rate).then(|| Connectivity {
        at,
        version: format!("{major}.{minor}.{patch}"),
        ble_api,
        baud_rate,
    })
}

impl Mbr {
    /// In one sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let with = self.released_with.map_or_else(String::new, |with| format!(", as released with {with}"));
        format!("at 0x{:08X}, {} bytes{with}; hands resets and interrupts on", self.at, self.length)
    }
}

impl SoftDevice {
    /// What a person needs to know to put a program behind it.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let known = self.name.map_or_else(String::new, |name| format!(" ({name})"));
        let by_itself = if self.says_version { "" } else { "; its version is told by that alone" };
        let program = match self.application {
            Some(at) => format!("a program begins behind it, at 0x{at:08X}"),
            None => format!("no program in this file begins at 0x{:08X}, behind it", self.end),
        };
        let id = format!("firmware id 0x{:04X}{known}{by_itself}", self.firmware_id);
        vec![id, program]
    }

    /// In one phrase, as `SoftDevice S132 v5.1.0 for the nRF52 series`.
    #[must_use]
    pub fn words(&self) -> String {
        let variant = self.variant.map_or_else(String::new, |variant| format!(" S{variant}"));
        let version = self.version.as_ref().map_or_else(String::new, |version| format!(" v{version}"));
        let unnamed = self.variant.is_none() && self.version.is_none();
        let id = if unnamed { format!(" 0x{:04X}, which has no name here", self.firmware_id) } else { String::new() };
        let series = match self.series {
            Some("nrf51") => " for the nRF51 series",
            Some("nrf52") => " for the nRF52 series",
            Some(_) | None => "",
        };
        format!("SoftDevice{variant}{version}{id}{series}")
    }
}

fn as_half<S: serde::Serializer>(half: &impl std::fmt::UpperHex, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("0x{half:04X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece that begins with a vector table, is filled with code, and has these words where they belong.
    fn piece(at: u32, length: usize, words: &[(u32, u32)]) -> Segment {
        let mut bytes = vec![0x5A; length];
        let vectors = [(at, 0x2000_4000), (at + 4, at + 0x101)];
        for (place, word) in vectors.iter().chain(words) {
            let offset = (place - at) as usize;
            bytes[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
        }
        Segment { at, bytes }
    }

    fn softdevice(size: u32, firmware_id: u32) -> Segment {
        let info = [0xFFFF_FF00 | size, MAGIC, 0x2_3000, 0xFFFF_0000 | firmware_id, 132, 5_001_000];
        let places = (0..).map(|index| 0x3000 + 4 * index);
        piece(0x1000, 0x8000, &places.zip(info).collect::<Vec<_>>())
    }

    fn found(segments: Vec<Segment>) -> Option<SoftDevice> {
        find(&Map::of_segments("a.hex", segments).unwrap())
    }

    #[test]
    fn a_softdevice_says_what_it_is_and_where_the_application_begins() {
        let told = found(vec![softdevice(0x2C, 0xA5), piece(0x2_3000, 0x200, &[])]).unwrap();
        assert_eq!(told.words(), "SoftDevice S132 v5.1.0 for the nRF52 series");
        assert_eq!((told.at, told.end, told.application), (0x1000, 0x2_3000, Some(0x2_3000)));
        assert_eq!((told.says_version, told.name), (true, Some("s132_nrf52_5.1.0")));
        assert_eq!(told.revision, Some("5a".repeat(20)));
        assert_eq!(found(vec![softdevice(0x2C, 0xA5)]).unwrap().application, None);
    }

    #[test]
    fn one_without_room_for_its_version_is_named_by_its_firmware_id() {
        let told = found(vec![softdevice(0x10, 0x87)]).unwrap();
        assert_eq!(told.words(), "SoftDevice S130 v2.0.1 for the nRF51 series");
        assert_eq!((told.says_version, told.revision), (false, None));
        let told = found(vec![softdevice(0x10, 0xFFFE)]).unwrap();
        assert_eq!(told.words(), "SoftDevice 0xFFFE, which has no name here");
    }

    #[test]
    fn one_that_was_taken_out_of_its_place_is_found_from_its_begin() {
        let alone = Segment { at: 0, ..softdevice(0x2C, 0xA5) };
        assert_eq!(found(vec![alone]).unwrap().at, 0);
    }

    #[test]
    fn what_lacks_a_part_of_the_structure_is_no_softdevice() {
        let mut cut = softdevice(0x2C, 0xA5);
        cut.bytes.truncate(0x200C);
        let mut other = softdevice(0x2C, 0xA5);
        other.bytes[0x2004] ^= 1;
        let mut short = softdevice(0x2C, 0xA5);
        short.bytes[0x2000] = 0x0C;
        let mut odd = softdevice(0x2C, 0xA5);
        odd.bytes[0x2008] = 1;
        for bad in [cut, other, short, odd] {
            assert_eq!(found(vec![bad]), None);
        }
    }

    #[test]
    fn a_master_boot_record_is_known_below_a_softdevice_and_nothing_else_is() {
        let below = |above: &[Segment]| {
            let record = Segment { at: 0, bytes: [&[7; 0x802][..], &[0xFF; 0x20]].concat() };
            let map = Map::of_segments("a.hex", [&[record], above].concat()).unwrap();
            mbr(&map, find(&map).as_ref())
        };
        let told = below(&[softdevice(0x2C, 0xA5)]).unwrap();
        assert_eq!((told.at, told.length, told.released_with), (0, 0x804, None));
        assert_eq!(below(&[]), None);
        assert_eq!(below(&[piece(0x1000, 0x8000, &[])]), None);
    }

    #[test]
    fn connectivity_firmware_is_known_by_what_it_says_of_itself() {
        let words = [CONNECTIVITY, 0xFFFF_FF02, 0, 0xFF04_0104, 0xFFFF_0105, 1_000_000];
        let of = |at: u32, words: &[u32]| {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            connectivity(&Map::of_segments("a.hex", vec![Segment { at, bytes }]).unwrap())
        };
        let told = of(0x5_0000, &words).unwrap();
        assert_eq!((&*told.version, told.ble_api, told.baud_rate), ("4.1.4", 5, 1_000_000));
        assert_eq!(of(0x5_0004, &words), None);
        assert_eq!(of(0x5_0000, &words[..5]), None);
        assert_eq!(of(0x5_0000, &[&words[..5], &[0]].concat()), None);
    }

    #[test]
    fn every_name_has_its_three_parts_and_one_firmware_id() {
        for (index, (id, known)) in NAMES.iter().enumerate() {
            assert!(taken_apart(known).is_some(), "{known}");
            assert_eq!(name(u32::from(*id)), Some(*known));
            assert!(NAMES[index + 1..].iter().all(|(other, name)| other > id && name != known), "{known}");
        }
    }
}
