//! What the KMU of an nRF54L takes: 28 bytes in RAM for each slot. [nordic-facts A5.5]
//!
//! The offsets come from nrfx and the nRF54LM20A's data sheet; the nRF54L15's own page is not confirmed.

use serde::Serialize;

use super::{SLOTS, Scheme};

/// Where a public key is pushed when it is used: memory that Nordic's SDK reserves. [nordic-facts A5.5]
const PUSH_AREA: u32 = 0x2000_0000;

/// What is said of a key in its slots after the first.
const CONTINUED: u32 = u32::MAX;

/// What becomes of a slot, as the KMU counts. [nrfx_kmu.h]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Can be deleted and written again.
    Rotating,
    /// Stays until ERASEALL.
    Locked,
    /// Can be revoked once; the slot is never used again.
    Revokable,
}

impl Policy {
    const ALL: [Self; 3] = [Self::Rotating, Self::Locked, Self::Revokable];

    /// As in RPOLICY and in METADATA.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Rotating => 1,
            Self::Locked => 2,
            Self::Revokable => 3,
        }
    }

    fn numbered(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.number() == number)
    }
}

/// How well a value is known.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nordic's documentation has this very value.
    Published,
    /// Put together from the meaning of its bits; not confirmed on a board.
    Derived,
}

/// METADATA of a slot, by its bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Metadata {
    /// How the key is kept.
    pub scheme: Scheme,
    /// CRACEN's number of an algorithm: 40 Ed25519, 44 ECDSA, 48 Ed25519ph, 52 HMAC, 56 ECDH, 36 CMAC, 28 CBC, 24 CTR,
    /// 20 ECB, 16 CCM, 12 GCM.
    pub algorithm: u8,
    /// CRACEN's number of a size: 1 128 bits, 2 192, 3 255, 4 256, 5 a seed of 384, 6 384.
    pub size: u8,
    /// What becomes of it.
    pub policy: Policy,
    /// From bit 0: encrypt, decrypt, sign, verify, derive, export, copy.
    pub usage: u8,
}

/// The key verifies. Bit 3 of a usage.
const VERIFY: u8 = 1 << 3;

impl Metadata {
    /// Of an Ed25519 key that verifies.
    #[must_use]
    pub const fn ed25519(policy: Policy) -> Self {
        Self { scheme: Scheme::Raw, algorithm: 40, size: 3, policy, usage: VERIFY }
    }

    /// Of a P-256 key that verifies.
    #[must_use]
    pub const fn p256(policy: Policy) -> Self {
        Self { scheme: Scheme::Raw, algorithm: 44, size: 4, policy, usage: VERIFY }
    }

    /// Takes the word apart; `None` for a version or a value that is not known, as 0xFFFFFFFF of a key's later slots.
    #[must_use]
    pub fn decode(word: u32) -> Option<Self> {
        if word & 0xF != 0 || word >> 6 & 0xFF != 0 {
            return None;
        }
        let field = |shift: u32, mask: u32| u8::try_from(word >> shift & mask).unwrap_or_default();
        Some(Self {
            scheme: Scheme::numbered(word >> 4 & 3)?,
            algorithm: field(14, 0x3F),
            size: field(20, 7),
            policy: Policy::numbered(word >> 23 & 3)?,
            usage: field(25, 0x7F),
        })
    }

    /// The word.
    #[must_use]
    pub const fn encode(self) -> u32 {
        self.scheme.number() << 4
            | (self.algorithm as u32 & 0x3F) << 14
            | (self.size as u32 & 7) << 20
            | self.policy.number() << 23
            | (self.usage as u32 & 0x7F) << 25
    }

    /// How well the word is known. Published are those of Ed25519 keys that verify, revokable and locked. [0.14]
    #[must_use]
    pub fn standing(self) -> Standing {
        let published = [Policy::Revokable, Policy::Locked].map(|policy| Self::ed25519(policy).encode());
        if published.contains(&self.encode()) { Standing::Published } else { Standing::Derived }
    }
}

/// One slot as KMU.SRC points at it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Source {
    /// 16 bytes of the key, in their order.
    pub value: [u8; 16],
    /// What becomes of the slot.
    pub policy: Policy,
    /// Where it is pushed to.
    pub destination: u32,
    /// What is kept beside it: [`Metadata`], or all ones in a key's later slots.
    pub metadata: u32,
}

impl Source {
    /// Length in bytes.
    pub const LENGTH: usize = 28;

    /// The two slots of an Ed25519 key that verifies, with their numbers.
    ///
    /// # Errors
    /// If there are no such slots.
    pub fn ed25519(key: &[u8; 32], policy: Policy, slot: u8) -> Result<Vec<(u8, Self)>, String> {
        Self::slots(key, policy, slot, Metadata::ed25519(policy))
    }

    /// The four slots of a P-256 key that verifies, X and Y big-endian, with their numbers: derived, not published.
    ///
    /// # Errors
    /// If there are no such slots.
    pub fn p256(point: &[u8; 64], policy: Policy, slot: u8) -> Result<Vec<(u8, Self)>, String> {
        Self::slots(point, policy, slot, Metadata::p256(policy))
    }

    /// Takes the 28 bytes apart; `None` for a policy that there is not.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let word = |at: usize| bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word));
        let policy = Policy::numbered(word(16)?)?;
        Some(Self { value: *bytes.first_chunk()?, policy, destination: word(20)?, metadata: word(24)? })
    }

    /// The 28 bytes, which have to stand at a word, and not where keys are pushed to.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let words = [self.policy.number(), self.destination, self.metadata].map(u32::to_le_bytes);
        let all = self.value.iter().chain(words.as_flattened());
        bytes.iter_mut().zip(all).for_each(|(cell, byte)| *cell = *byte);
        bytes
    }

    fn slots(key: &[u8], policy: Policy, slot: u8, metadata: Metadata) -> Result<Vec<(u8, Self)>, String> {
        let count = key.len() / 16;
        if usize::from(slot) + count > usize::from(SLOTS) {
            return Err(format!("slot {slot} and the {count} it takes go past the last, {}", SLOTS - 1));
        }
        let slots = (slot..).zip((PUSH_AREA..).step_by(16)).zip(key.chunks_exact(16)).enumerate();
        let source = |(index, ((slot, destination), value)): (usize, ((u8, u32), &[u8]))| {
            let metadata = if index == 0 { metadata.encode() } else { CONTINUED };
            (slot, Self { value: value.first_chunk().copied().unwrap_or_default(), policy, destination, metadata })
        };
        Ok(slots.map(source).collect())
    }
}
