//! The entries behind a program: what each is called, how long it must be, and what it says. [nordic-facts C1]

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{Dependency, le, record};
use crate::ident::hex;

pub(super) const KEYHASH: u16 = 0x01;
pub(super) const PUBKEY: u16 = 0x02;
pub(super) const SHA256: u16 = 0x10;
pub(super) const SHA384: u16 = 0x11;
pub(super) const SHA512: u16 = 0x12;
pub(super) const RSA2048: u16 = 0x20;
pub(super) const ECDSA: u16 = 0x22;
pub(super) const RSA3072: u16 = 0x23;
pub(super) const ED25519: u16 = 0x24;
pub(super) const SIG_PURE: u16 = 0x25;
pub(super) const ENC_RSA2048: u16 = 0x30;
pub(super) const ENC_KW: u16 = 0x31;
pub(super) const ENC_EC256: u16 = 0x32;
pub(super) const ENC_X25519: u16 = 0x33;
pub(super) const ENC_X25519_SHA512: u16 = 0x34;
pub(super) const DEPENDENCY: u16 = 0x40;
pub(super) const SEC_CNT: u16 = 0x50;
const BOOT_RECORD: u16 = 0x60;
const DECOMP_SIZE: u16 = 0x70;
const DECOMP_SHA: u16 = 0x71;
const DECOMP_SIGNATURE: u16 = 0x72;
const COMP_DEC_SIZE: u16 = 0x73;
const UUID_VID: u16 = 0x74;
const UUID_CID: u16 = 0x75;
const MANIFEST: u16 = 0x76;

/// One entry behind the program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tlv {
    /// Address of its type.
    pub at: u32,
    /// As in `image.h`.
    pub kind: u16,
    /// Whether the hash covers it.
    pub protected: bool,
    /// Its value.
    pub data: Vec<u8>,
}

/// What is known about one type.
struct Known {
    kind: u16,
    name: &'static str,
    /// Lengths it may have, in bytes; empty if any.
    lengths: &'static [usize],
    /// Whether MCUboot takes it outside the protected area. [image_validate.c, allowed_unprot_tlvs]
    outside: bool,
    /// Whether MCUboot, or a reader of the image, expects one at most.
    once: bool,
}

const fn kind(kind: u16, name: &'static str, lengths: &'static [usize], outside: bool, once: bool) -> Known {
    Known { kind, name, lengths, outside, once }
}

const KINDS: &[Known] = &[
    kind(KEYHASH, "KEYHASH", &[32, 48, 64], true, true),
    kind(PUBKEY, "PUBKEY", &[], true, true),
    kind(SHA256, "SHA256", &[32], true, true),
    kind(SHA384, "SHA384", &[48], true, true),
    kind(SHA512, "SHA512", &[64], true, true),
    kind(RSA2048, "RSA2048-PSS", &[256], true, true),
    kind(ECDSA, "ECDSA", &[], true, true),
    kind(RSA3072, "RSA3072-PSS", &[384], true, true),
    kind(ED25519, "ED25519", &[64], true, true),
    kind(SIG_PURE, "SIG_PURE", &[1], true, true),
    kind(ENC_RSA2048, "ENC_RSA2048", &[256], true, true),
    kind(ENC_KW, "ENC_KW", &[24, 40], true, true),
    kind(ENC_EC256, "ENC_EC256", &[113, 129], true, true),
    kind(ENC_X25519, "ENC_X25519", &[80, 96], true, true),
    kind(ENC_X25519_SHA512, "ENC_X25519_SHA512", &[112, 128], true, true),
    kind(DEPENDENCY, "DEPENDENCY", &[12], false, false),
    kind(SEC_CNT, "SEC_CNT", &[4], false, true),
    kind(BOOT_RECORD, "BOOT_RECORD", &[], false, true),
    kind(DECOMP_SIZE, "DECOMP_SIZE", &[4], false, true),
    kind(DECOMP_SHA, "DECOMP_SHA", &[32, 48, 64], false, true),
    kind(DECOMP_SIGNATURE, "DECOMP_SIGNATURE", &[], false, true),
    kind(COMP_DEC_SIZE, "COMP_DEC_SIZE", &[4], false, true),
    kind(UUID_VID, "UUID_VID", &[16], false, true),
    kind(UUID_CID, "UUID_CID", &[16], false, true),
    kind(MANIFEST, "MANIFEST", &[], false, true),
];

impl Tlv {
    /// What `image.h` calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.known() {
            Some(known) => known.name,
            None if self.is_vendor() => "vendor",
            None => "unknown",
        }
    }

    /// Whether its type lies in the range that is left to vendors: `0xxxA0` to `0xxxFE`.
    #[must_use]
    pub fn is_vendor(&self) -> bool {
        (0xA0..=0xFE).contains(&(self.kind & 0xFF))
    }

    /// Whether MCUboot takes an image with this entry where it stands.
    #[must_use]
    pub fn is_placed_well(&self) -> bool {
        self.protected || self.known().is_some_and(|known| known.outside)
    }

    /// The lengths it may have, if it has none of them.
    #[must_use]
    pub fn wrong_length(&self) -> Option<String> {
        let lengths = self.known().map_or(&[][..], |known| known.lengths);
        let wrong = !lengths.is_empty() && !lengths.contains(&self.data.len());
        let or = |lengths: &[usize]| lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
        wrong.then(|| or(lengths))
    }

    /// Whether a second one contradicts the first.
    #[must_use]
    pub fn comes_once(&self) -> bool {
        self.known().is_some_and(|known| known.once)
    }

    /// What it says, in words, where the type alone does not say it.
    #[must_use]
    pub fn meaning(&self) -> String {
        let number = || le(Some(&self.data));
        match self.kind {
            _ if self.wrong_length().is_some() => "of a length that this type never has".to_owned(),
            SEC_CNT => format!("security counter {}", number()),
            DEPENDENCY => self.dependency(),
            BOOT_RECORD => record::describe(&self.data),
            SIG_PURE if self.data == [1] => "the signature covers the image itself, not its hash".to_owned(),
            SIG_PURE => "not 1: MCUboot does not take the signature as pure".to_owned(),
            DECOMP_SIZE => format!("{} bytes after decompression", number()),
            DECOMP_SHA => format!("hash after decompression {}", hex(&self.data)),
            DECOMP_SIGNATURE => "signature over the hash after decompression; checked on the device".to_owned(),
            COMP_DEC_SIZE => format!("{} bytes compressed, after decryption", number()),
            UUID_VID => format!("vendor {}", uuid(&self.data)),
            UUID_CID => format!("image class {}", uuid(&self.data)),
            MANIFEST => self.manifest(),
            SHA256 | SHA384 | SHA512 | KEYHASH => hex(&self.data),
            _ if self.is_vendor() => {
                format!("{} bytes whose meaning only the vendor knows: {}", self.data.len(), excerpt(&self.data))
            }
            _ => String::new(),
        }
    }

    fn dependency(&self) -> String {
        Dependency::of(&self.data).map_or_else(String::new, |needs| {
            format!("needs image {} in version {} or later", needs.image, needs.at_least)
        })
    }

    /// NCS: format word, count, and a hash for each image but the one that carries it. [sdk-mcuboot mcuboot_manifest.h]
    fn manifest(&self) -> String {
        let (format, count) = (le(self.data.get(..4)), le(self.data.get(4..8)));
        let hashes = self.data.len().saturating_sub(8);
        let each = [32, 48, 64]
            .into_iter()
            .find(|each| count.checked_sub(1).map(|others| others as usize * each) == Some(hashes));
        match each {
            Some(each) if format == 1 => format!("names the {} other images by hashes of {each} bytes", count - 1),
            Some(_) | None => format!("manifest of format {format} for {count} images that its length does not fit"),
        }
    }

    fn known(&self) -> Option<&'static Known> {
        KINDS.iter().find(|known| known.kind == self.kind)
    }
}

impl Serialize for Tlv {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tlv = serializer.serialize_struct("Tlv", 6)?;
        tlv.serialize_field("at", &format!("0x{:08X}", self.at))?;
        tlv.serialize_field("kind", &format!("0x{:04X}", self.kind))?;
        tlv.serialize_field("name", self.name())?;
        tlv.serialize_field("protected", &self.protected)?;
        tlv.serialize_field("length", &self.data.len())?;
        tlv.serialize_field("meaning", &self.meaning())?;
        tlv.end()
    }
}

/// At most 16 bytes, so that a line stays a line.
fn excerpt(data: &[u8]) -> String {
    let shown = hex(data.get(..16).unwrap_or(data));
    if data.len() > 16 { format!("{shown}…") } else { shown }
}

fn uuid(data: &[u8]) -> String {
    let digits = hex(data);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
