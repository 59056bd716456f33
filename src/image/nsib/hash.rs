//! The 16 bytes by which NSIB knows a key, generation by generation.

use super::Generation;
use crate::keys::{Algorithm, AnyKey, NsibHash, NsibRule};

impl Generation {
    /// The hash that this generation's script writes for a key; `None` for a kind of key that its bootloader does not
    /// know.
    #[must_use]
    pub fn hash(self, key: &AnyKey) -> Option<NsibHash> {
        key.nsib_hash(self.rule(key.algorithm())?)
    }

    fn rule(self, algorithm: Algorithm) -> Option<NsibRule> {
        match (algorithm, self) {
            (Algorithm::P256, _) | (Algorithm::Ed25519, Self::Ncs3_0) => Some(NsibRule::Sha256),
            (Algorithm::Ed25519, Self::Sdk2025_12 | Self::Sdk2026_05) => Some(NsibRule::Sha512),
            (Algorithm::Ed25519, Self::Ncs2_1 | Self::Ncs2_2 | Self::Ncs2_4 | Self::Ncs2_7 | Self::Ncs2_9)
            | (Algorithm::P384 | Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072, _) => None,
        }
    }
}
