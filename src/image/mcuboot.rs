//! MCUboot: its signed images, and the signs by which a bootloader can be told. [nordic-facts C1, C2]

use std::fmt;

use super::{Map, Segment};
use crate::{fault::Problem, ident::Digest, keys::PublicKey};

/// First word of a signed image.
pub const MAGIC: u32 = 0x96F3_B83D;

/// Last 16 bytes of a slot whose image may be swapped in, for flash with a write size of up to 8 bytes. [C4]
pub const TRAILER_MAGIC: [u8; 16] =
    [0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80];

/// The rest of the trailer magic where flash is written in larger units; two bytes before it hold the size. [C4]
const TRAILER_MAGIC_WIDE: [u8; 14] =
    [0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a];

const TLV_INFO: u16 = 0x6907;
const TLV_PROTECTED_INFO: u16 = 0x6908;
const KEYHASH: u16 = 0x01;
const PUBKEY: u16 = 0x02;
const SHA256: u16 = 0x10;
const ECDSA: u16 = 0x22;
const SEC_CNT: u16 = 0x50;

const FLAG_ENCRYPTED: u32 = 0x4 | 0x8;
const FLAG_NON_BOOTABLE: u32 = 0x10;
const FLAG_ROM_FIXED: u32 = 0x100;
const FLAG_COMPRESSED: u32 = 0x200 | 0x400;

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

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}+{}", self.major, self.minor, self.revision, self.build)
    }
}

/// The 32 bytes an image begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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

/// One entry behind the program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tlv {
    /// As in `image.h`.
    pub kind: u16,
    /// Whether the hash covers it.
    pub protected: bool,
    /// Its value.
    pub data: Vec<u8>,
}

impl Tlv {
    /// What `image.h` calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self.kind).map_or("unknown", |(_, name)| name)
    }
}

const NAMES: &[(u16, &str)] = &[
    (KEYHASH, "KEYHASH"),
    (PUBKEY, "PUBKEY"),
    (SHA256, "SHA256"),
    (0x11, "SHA384"),
    (0x12, "SHA512"),
    (0x20, "RSA2048-PSS"),
    (ECDSA, "ECDSA"),
    (0x23, "RSA3072-PSS"),
    (0x24, "ED25519"),
    (0x25, "SIG_PURE"),
    (0x30, "ENC_RSA2048"),
    (0x31, "ENC_KW"),
    (0x32, "ENC_EC256"),
    (0x33, "ENC_X25519"),
    (0x34, "ENC_X25519_SHA512"),
    (0x40, "DEPENDENCY"),
    (SEC_CNT, "SEC_CNT"),
    (0x60, "BOOT_RECORD"),
    (0x70, "DECOMP_SIZE"),
    (0x71, "DECOMP_SHA"),
    (0x72, "DECOMP_SIGNATURE"),
    (0x73, "COMP_DEC_SIZE"),
    (0x74, "UUID_VID"),
    (0x75, "UUID_CID"),
    (0x76, "MANIFEST"),
];

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
}

/// Takes the image apart that begins at this address.
///
/// # Errors
/// The first thing that makes it no MCUboot image: after that the lengths cannot be trusted.
pub fn read(map: &Map, at: u32) -> Result<Image, Problem> {
    let stop = |what: String| map.problem_at(at, format!("no MCUboot image at 0x{at:08X}: {what}"));
    let header = read_header(map, at).map_err(&stop)?;
    let tlv_start = offset(at, u64::from(header.header_size) + u64::from(header.image_size)).map_err(&stop)?;
    let mut tlvs = Vec::new();
    let mut from = tlv_start;
    if header.protected_size > 0 {
        let size = read_area(map, from, TLV_PROTECTED_INFO, &mut tlvs).map_err(&stop)?;
        if size != header.protected_size {
            return Err(stop(format!(
                "its protected TLVs are {size} bytes long, the header says {}",
                header.protected_size
            )));
        }
        from = offset(from, u64::from(size)).map_err(&stop)?;
    }
    let hashed = map.bytes(at..from).ok_or_else(|| stop("the program is cut off or has a gap".to_owned()))?;
    let hash = Digest::of(hashed);
    let size = read_area(map, from, TLV_INFO, &mut tlvs).map_err(&stop)?;
    let end = offset(from, u64::from(size)).map_err(&stop)?;
    Ok(Image { at, header, tlvs, hash, end })
}

/// Whether an image begins at this address.
#[must_use]
pub fn begins(map: &Map, at: u32) -> bool {
    map.word(at) == Some(MAGIC)
}

fn offset(at: u32, by: u64) -> Result<u32, String> {
    u32::try_from(u64::from(at) + by).map_err(|_| "its lengths run past the end of memory".to_owned())
}

fn read_header(map: &Map, at: u32) -> Result<Header, String> {
    let bytes = map.bytes(at..offset(at, 32)?).ok_or("the header is cut off")?;
    let word = |from: usize| le(bytes.get(from..from + 4));
    let half = |from: usize| u16::try_from(le(bytes.get(from..from + 2))).unwrap_or_default();
    let byte = |from: usize| bytes.get(from).copied().unwrap_or_default();
    if word(0) != MAGIC {
        return Err(format!("the first word is 0x{:08X}, not 0x{MAGIC:08X}", word(0)));
    }
    let version = Version { major: byte(20), minor: byte(21), revision: half(22), build: word(24) };
    let header = Header {
        load_address: word(4),
        header_size: half(8),
        protected_size: half(10),
        image_size: word(12),
        flags: word(16),
        version,
    };
    if header.header_size < 32 || header.image_size == 0 {
        return Err("the header's lengths make no sense".to_owned());
    }
    Ok(header)
}

fn le(bytes: Option<&[u8]>) -> u32 {
    bytes.unwrap_or_default().iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// Reads one TLV area; returns its length with its head.
fn read_area(map: &Map, at: u32, magic: u16, tlvs: &mut Vec<Tlv>) -> Result<u16, String> {
    let short = |size: u64| Ok::<_, String>(map.bytes(at..offset(at, size)?));
    let head = short(4)?.ok_or("the TLVs are cut off")?;
    let found = le(head.get(..2));
    if found != u32::from(magic) {
        return Err(format!("0x{found:04X} stands where the TLVs should begin with 0x{magic:04X}"));
    }
    let size = le(head.get(2..));
    let area = short(u64::from(size))?.and_then(|area| area.get(4..)).ok_or("the TLVs are cut off")?;
    let mut rest = area;
    while !rest.is_empty() {
        let length = le(rest.get(2..4)) as usize;
        let data = rest.get(4..4 + length).ok_or("a TLV runs past the end of its area")?;
        let kind = u16::try_from(le(rest.get(..2))).unwrap_or_default();
        tlvs.push(Tlv { kind, protected: magic == TLV_PROTECTED_INFO, data: data.to_vec() });
        rest = rest.get(4 + length..).unwrap_or_default();
    }
    u16::try_from(size).map_err(|_| "the TLVs are too long".to_owned())
}

impl Image {
    /// Everything that keeps a bootloader with this key from starting this image.
    ///
    /// # Errors
    /// One sentence for each.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Vec<String>> {
        let mut wrong = self.unsupported();
        wrong.extend(self.hash_wrong());
        wrong.extend(self.key_wrong(key));
        wrong.extend(self.signature_wrong(key));
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Whether its SHA-256 fits its contents.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.hash_wrong().is_none()
    }

    /// The value of the protected SEC_CNT, if there is exactly one: MCUboot reads no other.
    #[must_use]
    pub fn security_counter(&self) -> Option<u32> {
        let mut found = self.tlvs.iter().filter(|tlv| tlv.kind == SEC_CNT);
        match (found.next(), found.next()) {
            (Some(tlv), None) if tlv.protected && tlv.data.len() == 4 => Some(le(Some(&tlv.data))),
            _ => None,
        }
    }

    /// The whole key that an image for a key hash on the chip carries, as bytes: not yet known to be a key.
    #[must_use]
    pub fn public_key(&self) -> Option<&[u8]> {
        self.value(PUBKEY)
    }

    /// The SHA-256 by which an image names the key that it was signed with.
    #[must_use]
    pub fn key_hash(&self) -> Option<Digest> {
        self.value(KEYHASH).and_then(|hash| <[u8; 32]>::try_from(hash).ok()).map(Digest)
    }

    /// Fingerprint of the key that it says it was signed with: of the whole key, or as named by hash.
    #[must_use]
    pub fn signer(&self) -> Option<Digest> {
        self.public_key().map(Digest::of).or_else(|| self.key_hash())
    }

    /// The image's own first program address: its vector table.
    #[must_use]
    pub fn program(&self) -> u32 {
        self.at.saturating_add(u32::from(self.header.header_size))
    }

    fn value(&self, kind: u16) -> Option<&[u8]> {
        self.tlvs.iter().find(|tlv| tlv.kind == kind).map(|tlv| &*tlv.data)
    }

    fn only(&self, kind: u16) -> Result<&[u8], usize> {
        let mut found = self.tlvs.iter().filter(|tlv| tlv.kind == kind);
        match (found.next(), found.count()) {
            (Some(tlv), 0) => Ok(&tlv.data),
            (first, more) => Err(usize::from(first.is_some()) + more),
        }
    }

    fn unsupported(&self) -> Vec<String> {
        let flag = |mask: u32, what: &str| (self.header.flags & mask != 0).then(|| what.to_owned());
        let elsewhere = self.header.flags & FLAG_ROM_FIXED != 0 && self.header.load_address != self.at;
        let counters = self.tlvs.iter().filter(|tlv| tlv.kind == SEC_CNT).count();
        let counter = counters > 0 && self.security_counter().is_none();
        [
            flag(FLAG_ENCRYPTED, "it is encrypted; encrypted images come with a later release"),
            flag(FLAG_COMPRESSED, "it is compressed; compressed images come with a later release"),
            flag(FLAG_NON_BOOTABLE, "it is marked as not bootable"),
            elsewhere.then(|| format!("it was linked for 0x{:08X}", self.header.load_address)),
            counter.then(|| "its security counter is not one protected word, so MCUboot does not read it".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn hash_wrong(&self) -> Option<String> {
        match self.only(SHA256) {
            Ok(hash) if hash == self.hash.0 => None,
            Ok(_) => Some("its SHA-256 does not fit its contents: the image was damaged or changed".to_owned()),
            Err(0) => Some("it has no SHA-256; other hashes come with a later release".to_owned()),
            Err(count) => Some(format!("it has {count} SHA-256 values")),
        }
    }

    fn key_wrong(&self, key: &PublicKey) -> Option<String> {
        let other =
            |named: String| format!("it says that it was signed with the key {named}, not {}", key.spki_sha256());
        let carried = self.public_key().filter(|carried| *carried != key.spki());
        let named = self.value(KEYHASH).filter(|hash| **hash != key.spki_sha256().0);
        match (carried, named) {
            (Some(carried), _) => Some(other(Digest::of(carried).to_string())),
            (None, Some(named)) => Some(other(crate::ident::hex(named))),
            (None, None) if self.public_key().is_none() && self.value(KEYHASH).is_none() => {
                Some("it does not say which key it was signed with (no PUBKEY and no KEYHASH)".to_owned())
            }
            (None, None) => None,
        }
    }

    fn signature_wrong(&self, key: &PublicKey) -> Option<String> {
        match self.only(ECDSA) {
            Ok(signature) if key.verifies(&self.hash, signature) => None,
            Ok(_) => Some(format!("its signature was not made by the key {}", key.spki_sha256())),
            Err(0) => Some("it has no ECDSA signature".to_owned()),
            Err(count) => Some(format!("it has {count} ECDSA signatures; one is expected")),
        }
    }
}

/// The signs by which a bootloader is taken for MCUboot. Firmware that writes MCUboot's trailer itself shows the
/// same signs; a bootloader built without swapping may lack the second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signs {
    /// Where the image magic stands.
    pub image_magic: Option<(u32, Carrier)>,
    /// Where the trailer magic stands.
    pub trailer_magic: Option<u32>,
}

/// How a program holds a constant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carrier {
    /// As a word among its data.
    Literal,
    /// In the instructions MOVW and MOVT of one register.
    Instructions,
}

impl Signs {
    /// Looks for them.
    #[must_use]
    pub fn of(map: &Map) -> Self {
        let first = |find: &dyn Fn(&Segment) -> Option<u32>| map.segments().iter().find_map(find);
        // The header of an image that is in the file too is no constant of a program.
        let literal = first(&|segment| positions(segment, &MAGIC.to_le_bytes()).find(|at| read(map, *at).is_err()));
        let instructions = || first(&|segment| moved(segment, MAGIC)).map(|at| (at, Carrier::Instructions));
        let narrow = first(&|segment| positions(segment, &TRAILER_MAGIC).next());
        let wide = || first(&|segment| positions(segment, &TRAILER_MAGIC_WIDE).next());
        Self {
            image_magic: literal.map(|at| (at, Carrier::Literal)).or_else(instructions),
            trailer_magic: narrow.or_else(wide),
        }
    }

    /// Whether this may be called MCUboot.
    #[must_use]
    pub fn suffice(&self) -> bool {
        self.image_magic.is_some()
    }
}

impl fmt::Display for Signs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.image_magic {
            Some((at, Carrier::Literal)) => write!(f, "MCUboot's image magic stands at 0x{at:08X}")?,
            Some((at, Carrier::Instructions)) => write!(f, "MCUboot's image magic is loaded at 0x{at:08X}")?,
            None => f.write_str("MCUboot's image magic is nowhere in it")?,
        }
        match self.trailer_magic {
            Some(at) => write!(f, ", its trailer magic at 0x{at:08X}"),
            None => f.write_str(", its trailer magic nowhere"),
        }
    }
}

/// Every address of the segment at which these bytes stand.
fn positions<'s>(segment: &'s Segment, wanted: &'s [u8]) -> impl Iterator<Item = u32> + 's {
    let windows = segment.bytes.windows(wanted.len()).enumerate();
    windows.filter(move |(_, window)| *window == wanted).filter_map(|(from, _)| address(segment, from))
}

fn address(segment: &Segment, from: usize) -> Option<u32> {
    segment.at.checked_add(u32::try_from(from).ok()?)
}

/// How many halfwords may lie between a MOVW and its MOVT.
const REACH: usize = 16;

/// Where a MOVW and a MOVT load this constant into one register. [ARMv7-M ARM A7.7.76 T3, A7.7.79 T1]
fn moved(segment: &Segment, constant: u32) -> Option<u32> {
    let start = (segment.at & 1) as usize;
    let halves: Vec<u32> = segment.bytes.get(start..)?.chunks_exact(2).map(|half| le(Some(half))).collect();
    let (low, high) = (constant & 0xFFFF, constant >> 16);
    let at = |opcode: u32, index: usize| move_immediate(opcode, *halves.get(index)?, *halves.get(index + 1)?);
    let found = (0..halves.len()).find_map(|index| {
        let (value, register) = at(0xF240, index)?;
        let paired = || (index + 2..index + 2 + REACH).any(|index| at(0xF2C0, index) == Some((high, register)));
        (value == low && paired()).then_some(start + index * 2)
    });
    address(segment, found?)
}

/// The immediate and register of a MOVW (0xF240) or MOVT (0xF2C0), if these halfwords are one.
fn move_immediate(opcode: u32, first: u32, second: u32) -> Option<(u32, u32)> {
    if first & 0xFBF0 != opcode || second & 0x8000 != 0 {
        return None;
    }
    let immediate = (first & 0xF) << 12 | (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF;
    Some((immediate, second >> 8 & 0xF))
}
