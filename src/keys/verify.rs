//! Whether a key made a signature.

use p256::ecdsa::{Signature as P256Signature, signature::hazmat::PrehashVerifier as _};
use ring::signature::{
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::{Algorithm, AnyKey, Hash};

/// A signature, and how its numbers are written.
#[derive(Clone, Copy, Debug)]
pub enum Signature<'a> {
    /// As the algorithm's standard writes it: DER for ECDSA, bytes for Ed25519 and RSA.
    Standard(&'a [u8]),
    /// ECDSA only: r‖s, big-endian.
    Fixed(&'a [u8]),
}

impl AnyKey {
    /// Whether this key made this signature over a message: hashed as the algorithm itself demands, with SHA-256 for P-256
    /// and RSA (PSS), SHA-384 for P-384; Ed25519 signs it as it is ("pure"). A key that only encrypts never did.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: Signature<'_>) -> bool {
        let standard = |algorithm: &'static dyn VerificationAlgorithm| {
            let Signature::Standard(bytes) = signature else { return false };
            UnparsedPublicKey::new(algorithm, self.raw()).verify(message, bytes).is_ok()
        };
        match self.algorithm() {
            Algorithm::P256 => self.p256_made(message, signature),
            Algorithm::P384 => self.p384_made(message, signature),
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => standard(&RSA_PSS_2048_8192_SHA256),
            Algorithm::Ed25519 => standard(&ED25519),
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
