//! MCUboot: its signed images, and the signs by which a bootloader can be told. [nordic-facts C1–C5]
//!
//! [`read`] takes an image apart and believes nothing but its lengths; [`Image::judge`] says what holds.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use serde::{Serialize, Serializer};

use super::Map;
use crate::{
    fault::Problem,
    ident::Digest,
    keys::{
        Hash,
        refuse::{RefuseList, Refused},
    },
};

mod beside;
pub mod encryption;
mod explain;
mod flaws;
mod record;
mod signs;
mod tlv;
mod trailer;
mod verify;

pub use flaws::Standing;
pub use signs::{Carrier, Signs};
pub use tlv::Tlv;
pub use trailer::{Flag, Trailer};
pub use verify::{About, HashState, Objection, SignatureState, Verdict};

pub(super) use signs::{moved, moved_half, positions};

/// First word of a signed image.
pub const MAGIC: u32 = 0x96F3_B83D;

/// Last 16 bytes of a slot whose image may be swapped in, for flash with a write size of up to 8 bytes. [MCUboot bootutil_public.c, boot_img_magic]
pub const TRAILER_MAGIC: [u8; 16] =
    [0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80];

/// The rest of the trailer magic where flash is written in larger units; two bytes before it hold the size. [MCUboot bootutil_public.c, boot_img_magic]
pub const TRAILER_MAGIC_WIDE: [u8; 14] =
    [0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a];

/// The largest security counter that NCS can store: its slots are halfwords. [sdk-nrf nrf_nv_counters.c]
pub const COUNTER_LIMIT: u32 = 0xFFFF;

/// MCUboot's slots begin on flash pages; no page is smaller. [PS-52840, NVMC]
pub const SLOT_ALIGNMENT: u32 = 0x1000;

/// More entries than any tool writes into one image: what is said of each must stay readable.
const TLVS: usize = 64;

/// No chip has slots for more images. What [`all`] finds behind so many is the word that it looked at no more.
pub const IMAGES: usize = 64;

const HEADER_LENGTH: u16 = 32;
const TLV_INFO: u16 = 0x6907;
const TLV_PROTECTED_INFO: u16 = 0x6908;

/// Version of an image, as MCUboot compares it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// First number.
    pub major: u8,
    /// Second number.
    pub minor: u8,
    /// Third number.
    pub revision: u16,
    /// Number after the plus sign.
    pub build: u32,
}

impl Version {
    /// From its eight bytes; what is missing is zero.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let byte = |from: usize| bytes.get(from).copied().unwrap_or_default();
        Self { major: byte(0), minor: byte(1), revision: half(bytes.get(2..4)), build: le(bytes.get(4..8)) }
    }
}

/// As imgtool takes it: `1.2.3+4`, of which all but the first number may be left out from the right. [imgtool version.py]
impl std::str::FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let plain = |digits: &str| {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'))
        };
        let (numbers, build) = text.split_once('+').map_or((text, None), |(numbers, build)| (numbers, Some(build)));
        let numbers: Vec<&str> = numbers.split('.').collect();
        if !numbers.iter().copied().chain(build).all(plain) || (build.is_some() && numbers.len() != 3) {
            return Err(BadVersion);
        }
        let (major, minor, revision) = match numbers[..] {
            [major] => (major, "0", "0"),
            [major, minor] => (major, minor, "0"),
            [major, minor, revision] => (major, minor, revision),
            [..] => return Err(BadVersion),
        };
        let (major, minor) = (major.parse().map_err(|_| BadVersion)?, minor.parse().map_err(|_| BadVersion)?);
        let (revision, build) = (revision.parse().map_err(|_| BadVersion)?, build.unwrap_or("0").parse());
        Ok(Self { major, minor, revision, build: build.map_err(|_| BadVersion)? })
    }
}

/// What is no version of an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadVersion;

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}+{}", self.major, self.minor, self.revision, self.build)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bits of the header that say what kind of image it is. [image.h IMAGE_F_…]
pub mod flags {
    /// Position independent; imgtool knows it, MCUboot never reads it.
    pub const PIC: u32 = 0x1;
    /// Encrypted with a key of 128 bits.
    pub const ENCRYPTED_AES128: u32 = 0x4;
    /// Encrypted with a key of 256 bits.
    pub const ENCRYPTED_AES256: u32 = 0x8;
    /// Not a program that can be started.
    pub const NON_BOOTABLE: u32 = 0x10;
    /// To be copied to its load address, in RAM.
    pub const RAM_LOAD: u32 = 0x20;
    /// Linked for its load address, in flash.
    pub const ROM_FIXED: u32 = 0x100;
    /// Compressed with LZMA1.
    pub const COMPRESSED_LZMA1: u32 = 0x200;
    /// Compressed with LZMA2.
    pub const COMPRESSED_LZMA2: u32 = 0x400;
    /// Compressed after an ARM Thumb filter.
    pub const ARM_THUMB: u32 = 0x800;

    /// Each with its name.
    pub const NAMES: &[(u32, &str)] = &[
        (PIC, "PIC"),
        (ENCRYPTED_AES128, "ENCRYPTED_AES128"),
        (ENCRYPTED_AES256, "ENCRYPTED_AES256"),
        (NON_BOOTABLE, "NON_BOOTABLE"),
        (RAM_LOAD, "RAM_LOAD"),
        (ROM_FIXED, "ROM_FIXED"),
        (COMPRESSED_LZMA1, "COMPRESSED_LZMA1"),
        (COMPRESSED_LZMA2, "COMPRESSED_LZMA2"),
        (ARM_THUMB, "ARM_THUMB"),
    ];
}

/// The 32 bytes an image begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Header {
    /// Where it wants to be loaded; 0 where it runs in place.
    pub load_address: u32,
    /// Length of the header with its padding, in bytes.
    pub header_size: u16,
    /// Length of the protected TLV area with its own head, in bytes; 0 if there is none.
    pub protected_size: u16,
    /// Length of the program, in bytes.
    pub image_size: u32,
    /// As in `image.h`.
    pub flags: u32,
    /// Version.
    pub version: Version,
}

impl Header {
    /// Whether any of these flags is set.
    #[must_use]
    pub fn has(&self, mask: u32) -> bool {
        self.flags & mask != 0
    }

    /// Names of the flags that are set; what has no name as a number.
    #[must_use]
    pub fn flag_names(&self) -> Vec<String> {
        let named = flags::NAMES.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| (*name).to_owned());
        let known = flags::NAMES.iter().fold(0, |known, (bit, _)| known | bit);
        let unknown = self.flags & !known;
        named.chain((unknown != 0).then(|| format!("unknown 0x{unknown:X}"))).collect()
    }
}

/// The bytes that hash and signature cover: header, program and protected TLVs. Each hash of them is made once.
#[derive(Clone)]
struct Covered {
    bytes: Arc<[u8]>,
    hashes: [OnceLock<Vec<u8>>; 3],
}

impl Covered {
    fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), hashes: Default::default() }
    }

    fn hashed(&self, hash: Hash) -> &[u8] {
        let [sha256, sha384, sha512] = &self.hashes;
        let place = match hash {
            Hash::Sha256 => sha256,
            Hash::Sha384 => sha384,
            Hash::Sha512 => sha512,
        };
        place.get_or_init(|| hash.of(&self.bytes))
    }
}

impl PartialEq for Covered {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Covered {}

impl fmt::Debug for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// A signed image, taken apart. Taken apart is not yet believed: [`Image::verify`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    /// Address of the header.
    pub at: u32,
    /// The header.
    pub header: Header,
    /// In the order of the file.
    pub tlvs: Vec<Tlv>,
    /// SHA-256 over header, program and protected TLVs, computed here.
    pub hash: Digest,
    /// One past the last byte of the TLVs.
    pub end: u32,
    /// End of the slot, where the file has it.
    pub trailer: Option<Trailer>,
    covered: Covered,
}

/// Takes the image apart that begins at this address.
///
/// # Errors
/// The first thing that makes it no MCUboot image, with its address: after that the lengths cannot be trusted.
pub fn read(map: &Map, at: u32) -> Result<Image, Problem> {
    let stop = |(place, what): Wrong| {
        let place = if place == at { String::new() } else { format!("at 0x{place:08X}: ") };
        map.problem_at(at, format!("no MCUboot image at 0x{at:08X}: {place}{what}"))
    };
    let header = read_header(map, at).map_err(stop)?;
    let program_end = offset(at, u64::from(header.header_size) + u64::from(header.image_size)).map_err(stop)?;
    if map.bytes(at..program_end).is_none() {
        let what = format!("the program of {} bytes is cut off or has a gap", header.image_size);
        return Err(stop((at, what)));
    }
    let mut tlvs = Vec::new();
    let mut from = program_end;
    if header.protected_size > 0 {
        let size = read_area(map, from, TLV_PROTECTED_INFO, &mut tlvs).map_err(stop)?;
        if size != header.protected_size {
            let what = format!("its protected TLVs are {size} bytes long, the header says {}", header.protected_size);
            return Err(stop((from, what)));
        }
        from = offset(from, u64::from(size)).map_err(stop)?;
    }
    let size = read_area(map, from, TLV_INFO, &mut tlvs).map_err(stop)?;
    let end = offset(from, u64::from(size)).map_err(stop)?;
    let covered = Covered::new(map.bytes(at..from).unwrap_or_default());
    let hash = covered.hashed(Hash::Sha256).try_into().map_or_else(|_| Digest::of(&covered.bytes), Digest);
    Ok(Image { at, header, tlvs, hash, end, trailer: trailer::read(map, end), covered })
}

/// Whether an image begins at this address.
#[must_use]
pub fn begins(map: &Map, at: u32) -> bool {
    map.word(at) == Some(MAGIC)
}

/// Whether what begins here has the outline of an image: a header, and the magic of TLVs where it says.
pub(super) fn heads(map: &Map, at: u32) -> bool {
    // Most places end here: a header that is none is told in words, which this does not need.
    let Some(Ok(header)) = begins(map, at).then(|| read_header(map, at)) else { return false };
    let tlvs = offset(at, u64::from(header.header_size) + u64::from(header.image_size));
    let magic = tlvs.ok().and_then(|at| map.bytes(at..at.checked_add(2)?));
    matches!(half(magic), TLV_INFO | TLV_PROTECTED_INFO)
}

/// Every image in the file with its address, and why what begins like one is none. Images begin where a segment does, or a flash page;
/// what lies inside an image is not looked at, so that no byte is hashed twice.
#[must_use]
pub fn all(map: &Map) -> Vec<(u32, Result<Image, Problem>)> {
    let mut found = Vec::new();
    let mut from = 0u64;
    for at in slots(map) {
        if found.len() >= IMAGES {
            let what = format!("begins like an image at more than {IMAGES} places; no chip has so many slots");
            found.push((map.first(), Err(map.problem_at(at, what))));
            break;
        }
        if u64::from(at) >= from {
            let image = read(map, at);
            from = image.as_ref().map_or(from, |image| u64::from(image.end));
            found.push((at, image));
        }
    }
    found
}

/// Addresses where an image begins, as far as its first word says so.
fn slots(map: &Map) -> impl Iterator<Item = u32> {
    let pages = map.segments().iter().flat_map(|segment| {
        let next = u64::from(segment.at).next_multiple_of(u64::from(SLOT_ALIGNMENT));
        let pages = (next..segment.end()).step_by(SLOT_ALIGNMENT as usize);
        let first = (next != u64::from(segment.at)).then_some(segment.at);
        first.into_iter().chain(pages.filter_map(|at| u32::try_from(at).ok()))
    });
    pages.filter(|at| begins(map, *at))
}

/// What is wrong, and at which address.
type Wrong = (u32, String);

fn offset(at: u32, by: u64) -> Result<u32, Wrong> {
    u32::try_from(u64::from(at) + by)
        .map_err(|_| (at, format!("its lengths of {by} bytes together run past the end of memory")))
}

fn read_header(map: &Map, at: u32) -> Result<Header, Wrong> {
    let wrong = |what: String| (at, what);
    let bytes =
        map.bytes(at..offset(at, u64::from(HEADER_LENGTH))?).ok_or(wrong("the header is cut off".to_owned()))?;
    let word = |from: usize| le(bytes.get(from..from + 4));
    if word(0) != MAGIC {
        return Err(wrong(format!("the first word is 0x{:08X}, not 0x{MAGIC:08X}", word(0))));
    }
    let header = Header {
        load_address: word(4),
        header_size: half(bytes.get(8..10)),
        protected_size: half(bytes.get(10..12)),
        image_size: word(12),
        flags: word(16),
        version: Version::from_bytes(bytes.get(20..28).unwrap_or_default()),
    };
    if header.header_size < HEADER_LENGTH || header.image_size == 0 {
        let (head, program) = (header.header_size, header.image_size);
        return Err(wrong(format!("a header of {head} bytes before a program of {program} bytes make no sense")));
    }
    Ok(header)
}

/// Little-endian.
fn le(bytes: Option<&[u8]>) -> u32 {
    bytes.unwrap_or_default().iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn half(bytes: Option<&[u8]>) -> u16 {
    bytes.and_then(|bytes| bytes.first_chunk()).map_or(0, |half| u16::from_le_bytes(*half))
}

/// Reads one TLV area; returns its length with its head.
fn read_area(map: &Map, at: u32, magic: u16, tlvs: &mut Vec<Tlv>) -> Result<u16, Wrong> {
    let wrong = |place: u32, what: &str| (place, what.to_owned());
    let head = map.bytes(at..offset(at, 4)?).ok_or(wrong(at, "the TLVs are cut off"))?;
    let found = half(head.get(..2));
    if found != magic {
        return Err((at, format!("0x{found:04X} stands where the TLVs should begin with 0x{magic:04X}")));
    }
    let size = half(head.get(2..));
    let area = read_range(map, at..offset(at, u64::from(size))?)
        .ok_or_else(|| (at, format!("the TLVs, {size} bytes with their head, are cut off")))?;
    let mut rest = area;
    while !rest.is_empty() {
        let place = at.saturating_add(u32::from(size)).saturating_sub(u32::try_from(rest.len()).unwrap_or(u32::MAX));
        let length = usize::from(half(rest.get(2..4)));
        let data = rest.get(4..4 + length).ok_or_else(|| {
            (place, format!("a TLV of {length} bytes runs past the end of its area, {} bytes from here", rest.len()))
        })?;
        if tlvs.len() >= TLVS {
            return Err((place, format!("it has more than {TLVS} TLVs; no tool writes such an image")));
        }
        tlvs.push(Tlv {
            at: place,
            kind: half(rest.get(..2)),
            protected: magic == TLV_PROTECTED_INFO,
            data: data.to_vec(),
        });
        rest = rest.get(4 + length..).unwrap_or_default();
    }
    Ok(size)
}

/// A TLV area without its head.
fn read_range(map: &Map, range: Range<u32>) -> Option<&[u8]> {
    map.bytes(range)?.get(4..)
}

impl Image {
    /// One past the last byte of the program: where the TLVs begin.
    #[must_use]
    pub fn program_end(&self) -> u32 {
        let length = u32::from(self.header.header_size).saturating_add(self.header.image_size);
        self.at.saturating_add(length).min(self.end)
    }

    /// The value of the protected SEC_CNT, if there is exactly one: MCUboot reads no other.
    #[must_use]
    pub fn security_counter(&self) -> Option<u32> {
        self.only(tlv::SEC_CNT).ok().filter(|tlv| tlv.protected && tlv.data.len() == 4).map(|tlv| le(Some(&tlv.data)))
    }

    /// Why a target that stores security counters in halfwords, as NCS does, can never start this image.
    #[must_use]
    pub fn counter_too_large(&self) -> Option<String> {
        self.security_counter().filter(|counter| *counter > COUNTER_LIMIT).map(|counter| {
            format!(
                "its security counter {counter} does not fit the 16-bit counters of the chip, at most {COUNTER_LIMIT}; \
                 `--security-counter auto` makes such values"
            )
        })
    }

    /// The whole key that an image for a key hash on the chip carries, as bytes: not yet known to be a key.
    #[must_use]
    pub fn public_key(&self) -> Option<&[u8]> {
        self.value(tlv::PUBKEY)
    }

    /// The hash by which an image names the key that it was signed with: SHA-256, 384 or 512 over the encoding that a
    /// bootloader compiles in.
    #[must_use]
    pub fn key_hash_bytes(&self) -> Option<&[u8]> {
        self.value(tlv::KEYHASH)
    }

    /// The SHA-256 by which an image names the key that it was signed with.
    #[must_use]
    pub fn key_hash(&self) -> Option<Digest> {
        self.key_hash_bytes().and_then(|hash| <[u8; 32]>::try_from(hash).ok()).map(Digest)
    }

    /// Fingerprint of the key that it says it was signed with: of the whole key, or as named by hash.
    #[must_use]
    pub fn signer(&self) -> Option<Digest> {
        self.public_key().map(Digest::of).or_else(|| self.key_hash())
    }

    /// Why the key that it names must not be used, whether it carries the key or names it by a hash of any length.
    #[must_use]
    pub fn refused_by<'l>(&self, list: &'l RefuseList) -> Option<&'l Refused> {
        let carried = self.public_key().and_then(|key| list.refuses_raw(key));
        carried.or_else(|| list.refuses_key_hash(self.key_hash_bytes()?)).map(|hit| hit.refused)
    }

    /// The image's own first program address: its vector table.
    #[must_use]
    pub fn program(&self) -> u32 {
        self.at.saturating_add(u32::from(self.header.header_size))
    }

    /// Images that must be there before this one is started.
    #[must_use]
    pub fn dependencies(&self) -> Vec<Dependency> {
        self.tlvs.iter().filter(|tlv| tlv.kind == tlv::DEPENDENCY).filter_map(|tlv| Dependency::of(&tlv.data)).collect()
    }

    fn value(&self, kind: u16) -> Option<&[u8]> {
        self.tlvs.iter().find(|tlv| tlv.kind == kind).map(|tlv| &*tlv.data)
    }

    /// The one TLV of this kind, or how many there are instead.
    fn only(&self, kind: u16) -> Result<&Tlv, usize> {
        let mut found = self.tlvs.iter().filter(|tlv| tlv.kind == kind);
        match (found.next(), found.count()) {
            (Some(tlv), 0) => Ok(tlv),
            (first, more) => Err(usize::from(first.is_some()) + more),
        }
    }
}

/// Another image that must be present, in this version or a later one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Dependency {
    /// Number of the image.
    pub image: u8,
    /// Slot, in builds that compare slots; otherwise 0.
    pub slot: u8,
    /// The least version.
    pub at_least: Version,
}

impl Dependency {
    fn of(data: &[u8]) -> Option<Self> {
        let [image, slot, _, _, version @ ..] = data else { return None };
        (version.len() == 8).then(|| Self { image: *image, slot: *slot, at_least: Version::from_bytes(version) })
    }
}

/// Whether the magic at this address ends a padded slot: erased flash stands before it.
pub(super) fn ends_padding(map: &Map, at: u32) -> bool {
    let erased = |before: u32| at.checked_sub(before).and_then(|before| map.word(before)) == Some(u32::MAX);
    let is = |magic: &[u8], length: u32| map.bytes(at..at.saturating_add(length)) == Some(magic);
    // Where flash is written in larger units, two bytes with their size come first.
    (erased(4) && is(&TRAILER_MAGIC, 16)) || (erased(6) && is(&TRAILER_MAGIC_WIDE, 14))
}
