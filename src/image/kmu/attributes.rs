//! The 28 bytes that a key file calls metadata: `psa_key_attributes_t`. [sdk-nrf scripts/generate_psa_key_attributes.py]

use std::ops::Range;

use serde::Serialize;

use super::{SLOT_BYTES, SLOTS};

/// Where CRACEN keeps keys in the KMU, shifted into a lifetime. [LOCATION_CRACEN_KMU]
const LOCATION_KMU: u32 = 0x804E_4B00;

/// What the ids of all KMU keys begin with.
const ID: u32 = 0x7FFF_0000;

/// Length in bytes.
pub(super) const LENGTH: usize = 28;

/// What a key may be used for: bits of a PSA key policy. [PSA Crypto API 1.3]
pub mod usage {
    /// May be read back.
    pub const EXPORT: u32 = 0x1;
    /// May be copied.
    pub const COPY: u32 = 0x2;
    /// Encrypts.
    pub const ENCRYPT: u32 = 0x100;
    /// Decrypts.
    pub const DECRYPT: u32 = 0x200;
    /// Signs messages and hashes.
    pub const SIGN: u32 = 0x1400;
    /// Verifies messages and hashes.
    pub const VERIFY: u32 = 0x2800;
    /// Keys are derived from it.
    pub const DERIVE: u32 = 0x4000;

    /// In words.
    #[must_use]
    pub fn words(bits: u32) -> String {
        let names = [
            (EXPORT, "export"),
            (COPY, "copy"),
            (ENCRYPT, "encrypt"),
            (DECRYPT, "decrypt"),
            (0x400, "sign messages"),
            (0x1000, "sign hashes"),
            (0x800, "verify messages"),
            (0x2000, "verify hashes"),
            (DERIVE, "derive"),
        ];
        let known = names.iter().fold(0, |known, (bit, _)| known | bit);
        let mut set: Vec<String> =
            names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned()).collect();
        if bits & !known != 0 {
            set.push(format!("0x{:X}", bits & !known));
        }
        if set.is_empty() { "nothing".to_owned() } else { set.join(", ") }
    }
}

/// The kind of a key, as the script names them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Raw data.
    RawData,
    /// For HMAC.
    Hmac,
    /// For AES.
    Aes,
    /// For ChaCha20.
    Chacha20,
    /// Public, P-256.
    P256Public,
    /// Public, Ed25519.
    Ed25519Public,
    /// With its private half, P-256.
    P256Pair,
    /// With its private half, Ed25519.
    Ed25519Pair,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::RawData,
        Self::Hmac,
        Self::Aes,
        Self::Chacha20,
        Self::P256Public,
        Self::Ed25519Public,
        Self::P256Pair,
        Self::Ed25519Pair,
    ];

    /// PSA's number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::RawData => 0x1001,
            Self::Hmac => 0x1100,
            Self::Aes => 0x2400,
            Self::Chacha20 => 0x2004,
            Self::P256Public => 0x4112,
            Self::Ed25519Public => 0x4142,
            Self::P256Pair => 0x7112,
            Self::Ed25519Pair => 0x7142,
        }
    }

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RawData => "raw data",
            Self::Hmac => "HMAC key",
            Self::Aes => "AES key",
            Self::Chacha20 => "ChaCha20 key",
            Self::P256Public => "P-256 public key",
            Self::Ed25519Public => "Ed25519 public key",
            Self::P256Pair => "P-256 private key",
            Self::Ed25519Pair => "Ed25519 private key",
        }
    }

    /// Whether it may be shown.
    #[must_use]
    pub const fn is_public(self) -> bool {
        match self {
            Self::P256Public | Self::Ed25519Public => true,
            Self::RawData | Self::Hmac | Self::Aes | Self::Chacha20 | Self::P256Pair | Self::Ed25519Pair => false,
        }
    }

    /// Whether it is the private half of a key pair.
    #[must_use]
    pub const fn is_private(self) -> bool {
        match self {
            Self::P256Pair | Self::Ed25519Pair => true,
            Self::RawData | Self::Hmac | Self::Aes | Self::Chacha20 | Self::P256Public | Self::Ed25519Public => false,
        }
    }

    fn numbered(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// The algorithm a key is for, as the script names them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// None.
    None,
    /// AES-CBC without padding.
    Cbc,
    /// AES-CBC with PKCS#7 padding.
    CbcPkcs7,
    /// AES-CTR.
    Ctr,
    /// AES-ECB.
    Ecb,
    /// AES-CCM.
    Ccm,
    /// AES-GCM.
    Gcm,
    /// ChaCha20-Poly1305.
    Chacha20Poly1305,
    /// HMAC with SHA-256.
    HmacSha256,
    /// Ed25519.
    EddsaPure,
    /// Ed25519ph.
    Ed25519ph,
    /// ECDSA with SHA-256.
    EcdsaSha256,
    /// ECDH.
    Ecdh,
}

impl Algorithm {
    const ALL: [(Self, u32, &'static str); 13] = [
        (Self::None, 0, "no algorithm"),
        (Self::Cbc, 0x0440_4000, "CBC"),
        (Self::CbcPkcs7, 0x0440_4100, "CBC with PKCS#7"),
        (Self::Ctr, 0x04C0_1000, "CTR"),
        (Self::Ecb, 0x0440_4400, "ECB"),
        (Self::Ccm, 0x0550_0100, "CCM"),
        (Self::Gcm, 0x0550_0200, "GCM"),
        (Self::Chacha20Poly1305, 0x0510_0500, "ChaCha20-Poly1305"),
        (Self::HmacSha256, 0x0380_0009, "HMAC-SHA-256"),
        (Self::EddsaPure, 0x0600_0800, "Ed25519"),
        (Self::Ed25519ph, 0x0600_090B, "Ed25519ph"),
        (Self::EcdsaSha256, 0x0600_0609, "ECDSA with SHA-256"),
        (Self::Ecdh, 0x0902_0000, "ECDH"),
    ];

    /// PSA's number.
    #[must_use]
    pub fn number(self) -> u32 {
        Self::ALL.iter().find(|(algorithm, ..)| *algorithm == self).map_or(0, |(_, number, _)| *number)
    }

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(algorithm, ..)| *algorithm == self).map_or("unknown", |(.., name)| name)
    }

    fn numbered(number: u32) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == number).map(|(algorithm, ..)| *algorithm)
    }
}

/// What happens to a slot when its key is destroyed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Persistence {
    /// Lost at reset; the KMU cannot hold such a key. Earlier scripts wrote it for `PERSISTENCE_DEFAULT`.
    Volatile,
    /// The slot can be used again.
    Default,
    /// The slot can never be used again.
    Revokable,
    /// It cannot be destroyed, except by ERASEALL.
    ReadOnly,
}

impl Persistence {
    /// PSA's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Volatile => 0,
            Self::Default => 1,
            Self::Revokable => 2,
            Self::ReadOnly => 3,
        }
    }

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volatile => "volatile",
            Self::Default => "rotating: can be deleted and written again",
            Self::Revokable => "revokable: can be revoked once, the slot is never used again",
            Self::ReadOnly => "locked: stays until ERASEALL",
        }
    }

    fn numbered(number: u8) -> Option<Self> {
        [Self::Volatile, Self::Default, Self::Revokable, Self::ReadOnly]
            .into_iter()
            .find(|persistence| persistence.number() == number)
    }
}

/// Where CRACEN takes the key from a slot.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// RAM that only CRACEN reads.
    Protected,
    /// CRACEN's seed registers.
    Seed,
    /// Encrypted in the slot.
    Encrypted,
    /// As it is, through RAM.
    Raw,
}

impl Scheme {
    /// As in a key's id and in a slot's metadata.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Protected => 0,
            Self::Seed => 1,
            Self::Encrypted => 2,
            Self::Raw => 3,
        }
    }

    pub(super) fn numbered(number: u32) -> Option<Self> {
        [Self::Protected, Self::Seed, Self::Encrypted, Self::Raw].into_iter().find(|scheme| scheme.number() == number)
    }
}

/// What is said about a key in the KMU.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Attributes {
    /// Kind.
    pub kind: Kind,
    /// Length in bits; an Ed25519 key has 255.
    pub bits: u16,
    /// What becomes of it.
    pub persistence: Persistence,
    /// Bits of [`usage`].
    pub usage: u32,
    /// What it is for.
    pub algorithm: Algorithm,
    /// How it is kept.
    pub scheme: Scheme,
    /// Its first slot.
    pub slot: u8,
}

impl Attributes {
    /// Takes the 28 bytes apart.
    ///
    /// # Errors
    /// The first field that says nothing known, with its offset.
    pub fn decode(bytes: &[u8; LENGTH]) -> Result<Self, String> {
        let word =
            |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word));
        let half =
            |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |half| u16::from_le_bytes(*half));
        let kind = Kind::numbered(half(0)).ok_or(format!("the key type 0x{:04X} at offset 0 is not known", half(0)))?;
        let [persistence, location @ ..] = word(4).to_le_bytes();
        if location != LOCATION_KMU.to_le_bytes()[1..] {
            return Err(format!("the lifetime 0x{:08X} at offset 4 is not one of a key in the KMU", word(4)));
        }
        let persistence = Persistence::numbered(persistence)
            .ok_or(format!("the lifetime 0x{:08X} at offset 4 has no known persistence", word(4)))?;
        let algorithm = Algorithm::numbered(word(12))
            .ok_or(format!("the algorithm 0x{:08X} at offset 12 is not known", word(12)))?;
        let id = word(20);
        let scheme = Scheme::numbered(id >> 12 & 0xF).filter(|_| id & 0xFFFF_0F00 == ID);
        let scheme = scheme.ok_or(format!("the id 0x{id:08X} at offset 20 is not one of a key in the KMU"))?;
        let [slot, ..] = id.to_le_bytes();
        if (word(16), word(24)) != (0, 0) {
            return Err("the second algorithm at offset 16 or the owner at offset 24 is not 0".to_owned());
        }
        Ok(Self { kind, bits: half(2), persistence, usage: word(8), algorithm, scheme, slot })
    }

    /// The 28 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let words = [
            u32::from(self.kind.number()) | u32::from(self.bits) << 16,
            LOCATION_KMU | u32::from(self.persistence.number()),
            self.usage,
            self.algorithm.number(),
            0,
            ID | self.scheme.number() << 12 | u32::from(self.slot),
            0,
        ];
        let mut bytes = [0; LENGTH];
        bytes.chunks_exact_mut(4).zip(words).for_each(|(cell, word)| cell.copy_from_slice(&word.to_le_bytes()));
        bytes
    }

    /// How many bytes its value has in a key file.
    #[must_use]
    pub fn value_length(&self) -> usize {
        match self.kind {
            // With the 0x04 that says that the point is not compressed.
            Kind::P256Public => 65,
            Kind::RawData
            | Kind::Hmac
            | Kind::Aes
            | Kind::Chacha20
            | Kind::Ed25519Public
            | Kind::P256Pair
            | Kind::Ed25519Pair => usize::from(self.bits).div_ceil(8),
        }
    }

    /// How many slots it takes from its first on.
    #[must_use]
    pub fn slots(&self) -> usize {
        // The 0x04 is not kept.
        let left_out = usize::from(self.kind == Kind::P256Public);
        (self.value_length() - left_out).div_ceil(SLOT_BYTES)
    }

    /// Their numbers.
    #[must_use]
    pub fn taken(&self) -> Range<u16> {
        let first = u16::from(self.slot);
        first..first + u16::try_from(self.slots()).unwrap_or(u16::MAX - first)
    }

    /// Everything that Nordic's script refuses, and what a KMU cannot hold; empty if nothing.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.scheme == Scheme::Protected && self.kind != Kind::Aes {
            wrong.push(format!("a {} cannot be PROTECTED; only an AES key can", self.kind.name()));
        }
        if self.scheme == Scheme::Protected && self.usage & (usage::EXPORT | usage::COPY) != 0 {
            wrong.push("a PROTECTED key cannot be exported or copied".to_owned());
        }
        if self.persistence == Persistence::Volatile {
            wrong.push(
                "persistence 0 is volatile, which a slot cannot be; earlier scripts wrote it for a key that can be \
                 deleted, and for `lock` too: such a key was not locked"
                    .to_owned(),
            );
        }
        if usize::from(self.slot) + self.slots() > usize::from(SLOTS) {
            wrong.push(format!("slot {} and the {} it takes go past the last, {}", self.slot, self.slots(), SLOTS - 1));
        }
        wrong.extend(self.algorithm_wrong());
        wrong
    }

    fn algorithm_wrong(&self) -> Option<String> {
        let policy = self.usage & !(usage::EXPORT | usage::COPY);
        let (kinds, bits, uses): (&[Kind], &[u16], &[u32]) = match self.algorithm {
            Algorithm::None => return None,
            Algorithm::Cbc
            | Algorithm::CbcPkcs7
            | Algorithm::Ctr
            | Algorithm::Ecb
            | Algorithm::Ccm
            | Algorithm::Gcm => (&[Kind::Aes], &[128, 192, 256], CIPHER),
            Algorithm::Chacha20Poly1305 => (&[Kind::Chacha20], &[256], CIPHER),
            Algorithm::HmacSha256 => (&[Kind::Hmac], &[128], SIGNATURE),
            Algorithm::EddsaPure | Algorithm::Ed25519ph => {
                (&[Kind::Ed25519Public, Kind::Ed25519Pair], &[255], SIGNATURE)
            }
            Algorithm::EcdsaSha256 => (&[Kind::P256Public, Kind::P256Pair], &[256], SIGNATURE),
            Algorithm::Ecdh => (&[Kind::P256Pair], &[256], &[usage::DERIVE]),
        };
        let name = self.algorithm.name();
        if !kinds.contains(&self.kind) {
            return Some(format!("{name} does not go with a {}", self.kind.name()));
        }
        if !bits.contains(&self.bits) {
            return Some(format!("{name} does not go with a key of {} bits", self.bits));
        }
        (!uses.contains(&policy)).then(|| format!("{name} does not go with a key that may {}", usage::words(policy)))
    }
}

const CIPHER: &[u32] = &[usage::ENCRYPT, usage::DECRYPT, usage::ENCRYPT | usage::DECRYPT];

/// The third is what `west ncs-provision` of NCS 2.9 asked for: messages only.
const SIGNATURE: &[u32] = &[usage::SIGN, usage::VERIFY, 0x800, usage::SIGN | usage::VERIFY];
