//! Every short name by which a bootloader or a tool knows a key.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{Algorithm, AnyKey};

/// A hash that MCUboot can be built for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Hash {
    /// 32 bytes; what most builds use.
    Sha256,
    /// 48 bytes; comes with P-384.
    Sha384,
    /// 64 bytes; comes with Ed25519 on nRF54L.
    Sha512,
}

impl Hash {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The hash of these bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// By which rule Nordic's scripts made the 16 bytes that provision data hold. [nordic-facts B3, section 0 no. 2]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NsibRule {
    /// SHA-256: P-256 keys always, Ed25519 keys up to edc4023b79 of 2025-12-09.
    Sha256,
    /// SHA-512: Ed25519 keys since then.
    Sha512,
}

/// The 16 bytes by which Nordic's immutable bootloader knows a key.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct NsibHash(pub [u8; 16]);

impl NsibHash {
    /// Offset of the first halfword that is 0xFFFF. One such makes the bootloader refuse to boot at all, even if it is
    /// that of a spare key: the key cannot be used and another has to be made. [nordic-facts B3, EHASHFF]
    #[must_use]
    pub fn unusable(&self) -> Option<usize> {
        self.0.chunks_exact(2).position(|half| half == [0xFF, 0xFF]).map(|index| 2 * index)
    }
}

impl fmt::Display for NsibHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::ident::hex(&self.0))
    }
}

impl fmt::Debug for NsibHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AnyKey {
    /// The value of the KEYHASH TLV of images signed with it, for a bootloader with this hash.
    #[must_use]
    pub fn key_hash(&self, hash: Hash) -> Vec<u8> {
        hash.of(self.mcuboot_encoding())
    }

    /// The hash that imgtool uses for images of this key if it is not told otherwise. [nordic-facts C2]
    #[must_use]
    pub const fn usual_hash(&self) -> Hash {
        match self.algorithm() {
            Algorithm::P384 => Hash::Sha384,
            Algorithm::P256 | Algorithm::Ed25519 | Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072 => {
                Hash::Sha256
            }
        }
    }

    /// Its hash in provision data by this rule; `None` where Nordic's scripts take no such key.
    #[must_use]
    pub fn nsib_hash(&self, rule: NsibRule) -> Option<NsibHash> {
        match (self.algorithm(), rule) {
            (Algorithm::P256 | Algorithm::Ed25519, NsibRule::Sha256) => first_16(Hash::Sha256, self.raw()),
            (Algorithm::Ed25519, NsibRule::Sha512) => first_16(Hash::Sha512, self.raw()),
            (Algorithm::P256, NsibRule::Sha512)
            | (Algorithm::P384 | Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072, _) => None,
        }
    }

    /// Every hash it can have in provision data, the rule of today's scripts first.
    #[must_use]
    pub fn nsib_hashes(&self) -> Vec<(NsibRule, NsibHash)> {
        let rules = [NsibRule::Sha512, NsibRule::Sha256];
        rules.into_iter().filter_map(|rule| Some((rule, self.nsib_hash(rule)?))).collect()
    }
}

pub(super) fn first_16(hash: Hash, raw: &[u8]) -> Option<NsibHash> {
    hash.of(raw).first_chunk().copied().map(NsibHash)
}
