//! Whether a key made a signature.

use p256::ecdsa::{Signature as P256Signature, signature::hazmat::PrehashVerifier as _};
use ring::signature::{
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::{Algorithm, AnyKey, Hash};

/// What a signature is over.
#[derive(Clone, Copy, Debug)]
pub enum Signed<'a> {
    /// These bytes, hashed as the algorithm itself demands: SHA-256 for P-256 and RSA (PSS), SHA-384 for P-384. Ed25519
    /// signs them as they are ("pure").
    Message(&'a [u8]),
    /// The hash of these bytes. For ECDSA and RSA this is the same as the message if it is their hash, and no
    /// signature otherwise; Ed25519 signs the hash as if it were the message, as MCUboot's images do.
    HashOf(&'a [u8], Hash),
}

/// A signature, and how its numbers are written.
#[derive(Clone, Copy, Debug)]
pub enum Signature<'a> {
    /// As the algorithm's standard writes it: DER for ECDSA, bytes for Ed25519 and RSA.
    Standard(&'a [u8]),
    /// ECDSA only: r‖s, big-endian.
    Fixed(&'a [u8]),
}

impl AnyKey {
    /// Whether this key made this signature. A key that only encrypts never did.
    #[must_use]
    pub fn verifies(&self, signed: Signed<'_>, signature: Signature<'_>) -> bool {
        let standard = |algorithm: &'static dyn VerificationAlgorithm, own: Hash| {
            let (Signature::Standard(bytes), Some(message)) = (signature, signed.message(own)) else { return false };
            UnparsedPublicKey::new(algorithm, self.raw()).verify(message, bytes).is_ok()
        };
        match self.algorithm() {
            Algorithm::P256 => signed.message(Hash::Sha256).is_some_and(|message| self.p256_made(message, signature)),
            Algorithm::P384 => signed.message(Hash::Sha384).is_some_and(|message| self.p384_made(message, signature)),
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => standard(&RSA_PSS_2048_8192_SHA256, Hash::Sha256),
            Algorithm::Ed25519 => {
                let Signature::Standard(bytes) = signature else { return false };
                let hash;
                let message = match signed {
                    Signed::Message(message) => message,
                    Signed::HashOf(message, kind) => {
                        hash = kind.of(message);
                        &hash
                    }
                };
                UnparsedPublicKey::new(&ED25519, self.raw()).verify(message, bytes).is_ok()
            }
            Algorithm::X25519 => false,
        }
    }

    fn p256_made(&self, message: &[u8], signature: Signature<'_>) -> bool {
        let read = match signature {
            Signature::Standard(der) => P256Signature::from_der(der),
            Signature::Fixed(rs) => P256Signature::from_slice(rs),
        };
        let key = self.p256().and_then(|key| key.verifier());
        let digest = Hash::Sha256.of(message);
        key.zip(read.ok()).is_some_and(|(key, signature)| key.verify_prehash(&digest, &signature).is_ok())
    }

    fn p384_made(&self, message: &[u8], signature: Signature<'_>) -> bool {
        let point = [&[4], self.raw()].concat();
        let made = |algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]| {
            UnparsedPublicKey::new(algorithm, &point).verify(message, bytes).is_ok()
        };
        match signature {
            Signature::Standard(der) => made(&ECDSA_P384_SHA384_ASN1, der),
            Signature::Fixed(rs) => made(&ECDSA_P384_SHA384_FIXED, rs),
        }
    }
}

impl<'a> Signed<'a> {
    /// The message, if it is hashed with the only hash that fits.
    fn message(self, own: Hash) -> Option<&'a [u8]> {
        match self {
            Self::Message(message) => Some(message),
            Self::HashOf(message, hash) => (hash == own).then_some(message),
        }
    }
}
