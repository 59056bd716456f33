//! Whether what is in the cells would boot: the board's own truth, which no station can talk it out of.

use std::fmt;

use p256::{
    ecdsa::{DerSignature, VerifyingKey, signature::hazmat::PrehashVerifier as _},
    pkcs8::DecodePublicKey as _,
};
use sha2::{Digest as _, Sha256};

use super::{cells::Cells, registers::AT};

const BOOTLOADER_MARK: &[u8] = b"ROOTSTAMP STAND-IN BOOTLOADER\0";
const APPLICATION_MARK: &[u8] = b"ROOTSTAMP STAND-IN APPLICATION\0";
const MARK_AT: u32 = 0x40;
const TABLE_AT: u32 = 0x80;
const TABLE_MAGIC: u32 = 0x4C42_5352;
/// [mcuboot, image.h: IMAGE_MAGIC]
const IMAGE_MAGIC: u32 = 0x96F3_B83D;
const BANNER_MAX: usize = 63;
/// [mcuboot, image.h]
mod tlv {
    pub(super) const INFO: u16 = 0x6907;
    pub(super) const PROTECTED_INFO: u16 = 0x6908;
    pub(super) const PUBKEY: u16 = 0x02;
    pub(super) const SHA256: u16 = 0x10;
    pub(super) const ECDSA: u16 = 0x22;
    pub(super) const SEC_CNT: u16 = 0x50;
}

/// Why a board would not boot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoBoot {
    /// The stand-in bootloader is not there.
    NoBootloader,
    /// The first two words of the bootloader, or of the application, are no stack and entry.
    Vectors,
    /// There is no image where the bootloader looks for one.
    NoImage,
    /// The stand-in application is not in the image.
    NoApplication,
    /// The image does not have the digest it says it has.
    Digest,
    /// The key in the image is not the one whose hash is in the cells.
    KeyHash,
    /// The signature is not that key's.
    Signature,
    /// The image is older than the counter in the cells allows.
    Rollback,
}

impl fmt::Display for NoBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBootloader => "no bootloader",
            Self::Vectors => "no sane vector table",
            Self::NoImage => "no image in the slot",
            Self::NoApplication => "no application in the image",
            Self::Digest => "the image is damaged",
            Self::KeyHash => "the key is not the one on the chip",
            Self::Signature => "the signature is wrong",
            Self::Rollback => "the image is older than the counter allows",
        })
    }
}

impl std::error::Error for NoBoot {}

/// The line the application would print, or why it never runs.
pub(super) fn judge(flash: &Cells, uicr: &Cells) -> Result<String, NoBoot> {
    let memory = Memory { flash, uicr };
    if memory.bytes(MARK_AT, BOOTLOADER_MARK.len()) != BOOTLOADER_MARK {
        return Err(NoBoot::NoBootloader);
    }
    let [magic, slot, key_hash, counter, slots] = [0, 4, 8, 12, 16].map(|at| memory.word(TABLE_AT + at));
    if magic != TABLE_MAGIC || slots > 64 || slot >= flash.size() {
        return Err(NoBoot::NoBootloader);
    }
    memory.sane_vectors(0, slot)?;
    let image = Image::found(&memory, slot)?;
    memory.sane_vectors(image.payload, image.end)?;
    if memory.bytes(image.payload + MARK_AT, APPLICATION_MARK.len()) != APPLICATION_MARK {
        return Err(NoBoot::NoApplication);
    }
    image.is_authentic(&memory, key_hash)?;
    if image.security_counter(&memory) < memory.counter(counter, slots) {
        return Err(NoBoot::Rollback);
    }
    Ok(memory.banner(image.payload + TABLE_AT))
}

struct Memory<'a> {
    flash: &'a Cells,
    uicr: &'a Cells,
}

impl Memory<'_> {
    fn word(&self, address: u32) -> u32 {
        match address.checked_sub(AT.uicr) {
            Some(offset) => self.uicr.word(offset),
            None => self.flash.word(address),
        }
    }

    fn bytes(&self, address: u32, length: usize) -> Vec<u8> {
        let first = address & !3;
        let skip = (address - first) as usize;
        let count = u32::try_from((skip + length).div_ceil(4)).unwrap_or(0);
        let words = (0..count).flat_map(|index| self.word(first.saturating_add(4 * index)).to_le_bytes());
        words.skip(skip).take(length).collect()
    }

    /// Stack inside RAM; entry odd, behind the table and inside the image.
    fn sane_vectors(&self, at: u32, end: u32) -> Result<(), NoBoot> {
        let [stack, entry] = [self.word(at), self.word(at + 4)];
        let ram = AT.ram + 1..=AT.ram + 0x4_0000;
        let sane = ram.contains(&stack) && stack.is_multiple_of(4) && entry % 2 == 1;
        if sane && (at + 64..end).contains(&(entry - 1)) { Ok(()) } else { Err(NoBoot::Vectors) }
    }

    /// The greatest value before the first empty slot; each is stored inverted.
    fn counter(&self, at: u32, slots: u32) -> u32 {
        let values = (0..slots).map(|slot| self.word(at.saturating_add(4 * slot)));
        values.take_while(|word| *word != u32::MAX).map(|word| !word).max().unwrap_or(0)
    }

    fn banner(&self, at: u32) -> String {
        let text = self.bytes(at, BANNER_MAX);
        let text: Vec<u8> = text.into_iter().take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&text).into_owned()
    }
}

struct Image {
    slot: u32,
    payload: u32,
    end: u32,
    protected: u32,
}

impl Image {
    /// [mcuboot, image.h: struct image_header]
    fn found(memory: &Memory<'_>, slot: u32) -> Result<Self, NoBoot> {
        let [magic, sizes, length] = [0, 8, 12].map(|at| memory.word(slot + at));
        let [header, protected] = [sizes & 0xFFFF, sizes >> 16];
        let room = memory.flash.size() - slot;
        if magic != IMAGE_MAGIC || header < 32 || length < 64 || length > room || header + protected > room - length {
            return Err(NoBoot::NoImage);
        }
        Ok(Self { slot, payload: slot + header, end: slot + header + length, protected })
    }

    fn is_authentic(&self, memory: &Memory<'_>, key_hash: u32) -> Result<(), NoBoot> {
        let signed = memory.bytes(self.slot, (self.end + self.protected - self.slot) as usize);
        let digest: [u8; 32] = Sha256::digest(&signed).into();
        let tail = self.entries(memory, self.end + self.protected, tlv::INFO);
        if first(&tail, tlv::SHA256).is_none_or(|stated| stated != digest) {
            return Err(NoBoot::Digest);
        }
        let key = first(&tail, tlv::PUBKEY).ok_or(NoBoot::KeyHash)?;
        if Sha256::digest(key).as_slice() != memory.bytes(key_hash, 32) {
            return Err(NoBoot::KeyHash);
        }
        let key = VerifyingKey::from_public_key_der(key).map_err(|_| NoBoot::Signature)?;
        let signature = first(&tail, tlv::ECDSA).and_then(|bytes| DerSignature::from_bytes(bytes).ok());
        let signature = signature.ok_or(NoBoot::Signature)?;
        key.verify_prehash(&digest, &signature).map_err(|_| NoBoot::Signature)
    }

    fn security_counter(&self, memory: &Memory<'_>) -> u32 {
        let entries =
            if self.protected == 0 { Vec::new() } else { self.entries(memory, self.end, tlv::PROTECTED_INFO) };
        let value = first(&entries, tlv::SEC_CNT).and_then(|bytes| bytes.try_into().ok());
        value.map_or(0, u32::from_le_bytes)
    }

    /// Type and value of each entry of the area at `at`; none if it does not start with `magic`.
    fn entries(&self, memory: &Memory<'_>, at: u32, magic: u16) -> Vec<(u16, Vec<u8>)> {
        let info = memory.word_at(at);
        let [found, length] = [info & 0xFFFF, info >> 16];
        let room = memory.flash.size().saturating_sub(at);
        if found != u32::from(magic) || length > room || self.slot > at {
            return Vec::new();
        }
        let (mut entries, mut next) = (Vec::new(), at + 4);
        while next + 4 <= at + length {
            let head = memory.word_at(next);
            let size = head >> 16;
            if next + 4 + size > at + length {
                break;
            }
            let kind = u16::try_from(head & 0xFFFF).unwrap_or(0);
            entries.push((kind, memory.bytes(next + 4, size as usize)));
            next += 4 + size;
        }
        entries
    }
}

impl Memory<'_> {
    fn word_at(&self, address: u32) -> u32 {
        self.bytes(address, 4).try_into().map_or(u32::MAX, u32::from_le_bytes)
    }
}

fn first(entries: &[(u16, Vec<u8>)], kind: u16) -> Option<&[u8]> {
    entries.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
}
