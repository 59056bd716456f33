//! The one private key that a station may meet: the one that MCUboot must carry to decrypt its images.
//!
//! It is declared by whoever hands it over, never recognised by itself. What is kept is its public half's fingerprint;
//! the key itself is dropped as soon as that is known, and there is no way to get it back out.

use p256::SecretKey;
use ring::signature::{KeyPair as _, RsaKeyPair};

use super::{
    Algorithm, AnyKey, BadKey, NotOurs, curve,
    der::{self, BadDer, Reader},
    oid,
};
use crate::ident::Digest;

/// A device's decryption key: which one it is, not what it is. Neither printable nor comparable but by fingerprint.
pub struct DecryptionKey {
    algorithm: Algorithm,
    spki_sha256: Digest,
}

impl DecryptionKey {
    /// From PKCS#8, SEC1 or PKCS#1 in DER, as `imgtool getpriv` compiles it into MCUboot or a file holds it.
    ///
    /// # Errors
    /// If it is no private key of an algorithm that decrypts images: RSA-2048, P-256 or X25519.
    pub fn from_der(der: &[u8]) -> Result<Self, BadKey> {
        let public = public_half(der)?;
        Ok(Self { algorithm: public.algorithm(), spki_sha256: public.spki_sha256() })
    }

    /// The decryption key that these bytes begin with, and its length in bytes: for the key found inside a bootloader.
    #[must_use]
    pub fn at_start(bytes: &[u8]) -> Option<(Self, usize)> {
        let whole = Reader::new(bytes).take(der::SEQUENCE, "").ok()?.whole;
        Self::from_der(whole).ok().map(|key| (key, whole.len()))
    }

    /// What it decrypts with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SHA-256 of its public half's SubjectPublicKeyInfo: what a recipe pins, and what the refuse lists know it by.
    #[must_use]
    pub const fn spki_sha256(&self) -> Digest {
        self.spki_sha256
    }
}

/// The public half of a private key.
fn public_half(der: &[u8]) -> Result<AnyKey, BadKey> {
    let wrong = |what: &'static str| BadKey::from(BadDer { at: 0, what });
    if !matches!(NotOurs::of(der), NotOurs::Private(_)) {
        return Err(wrong("no private key begins here"));
    }
    let mut all = Reader::new(der);
    let mut inside = all.take(der::SEQUENCE, "no private key begins here")?.inside();
    all.end()?;
    inside.take(der::INTEGER, "the private key is encrypted, or of no known form")?;
    match inside.next_tag() {
        Some(der::SEQUENCE) => {
            let mut algorithm = inside.take(der::SEQUENCE, "the algorithm is missing")?.inside();
            let kind = algorithm.take(der::OID, "the algorithm has no identifier")?.body;
            let curve = algorithm.any().ok().map(|element| element.body);
            let key = inside.take(der::OCTET_STRING, "the private key is missing")?;
            match (kind, curve) {
                (oid::EC_PUBLIC_KEY, Some(oid::P256)) => of_sec1(key.body),
                (oid::X25519, None) => of_x25519(key.body),
                (oid::RSA, _) => of_rsa(key.body),
                _ => Err(wrong("the private key is of an algorithm that decrypts no images")),
            }
        }
        Some(der::OCTET_STRING) => of_sec1(der),
        Some(_) | None => of_rsa(der),
    }
}

/// The scalar of an ECPrivateKey; imgtool leaves everything optional out. [RFC 5915 3]
fn of_sec1(der: &[u8]) -> Result<AnyKey, BadKey> {
    let mut inside = Reader::new(der).take(der::SEQUENCE, "the EC private key is missing")?.inside();
    inside.take(der::INTEGER, "the EC private key has no version")?;
    let scalar = inside.take(der::OCTET_STRING, "the EC private key has no scalar")?;
    let secret = SecretKey::from_slice(scalar.body).map_err(|_| scalar.wrong("the scalar is out of range"))?;
    AnyKey::from_raw(Algorithm::P256, &secret.public_key().to_sec1_bytes())
}

/// An OCTET STRING inside the OCTET STRING. [RFC 8410 7]
fn of_x25519(der: &[u8]) -> Result<AnyKey, BadKey> {
    let key = Reader::new(der).take(der::OCTET_STRING, "the X25519 key is missing")?;
    let secret = <&[u8; 32]>::try_from(key.body).map_err(|_| key.wrong("an X25519 key has 32 bytes"))?;
    AnyKey::from_raw(Algorithm::X25519, &curve::x25519_public(secret))
}

/// Public numbers stand in the private key; that they belong together is checked. [RFC 8017 A.1.2]
fn of_rsa(der: &[u8]) -> Result<AnyKey, BadKey> {
    match RsaKeyPair::from_der(der) {
        Ok(pair) => AnyKey::from_pkcs1(pair.public_key().as_ref()),
        Err(_) => of_short_rsa(der),
    }
}

const NOT_TOGETHER: &str = "its RSA numbers do not belong together";

/// As `imgtool getpriv --minimal` writes it: what could be worked out from the primes is left out.
/// [MCUboot imgtool keys/rsa.py; tests/vectors/mcuboot/rsa2048-a.getpriv-min.c.txt]
fn of_short_rsa(der: &[u8]) -> Result<AnyKey, BadKey> {
    let together = |holds: bool| holds.then_some(()).ok_or(BadDer { at: 0, what: NOT_TOGETHER });
    let mut all = Reader::new(der);
    let mut inside = all.take(der::SEQUENCE, NOT_TOGETHER)?.inside();
    let mut next = || inside.take(der::INTEGER, NOT_TOGETHER);
    let (version, modulus, exponent, secret, p, q) = (next()?, next()?, next()?, next()?, next()?, next()?);
    together(version.body == [0] && inside.rest.is_empty() && all.rest.is_empty())?;
    secret.positive()?;
    let public = AnyKey::from_pkcs1(&sequence(&[modulus.whole, exponent.whole].concat()))?;
    together(public.algorithm() == Algorithm::Rsa2048)?;
    let (p, q) = (p.positive()?, q.positive()?);
    together(p.len() == PRIME && q.len() == PRIME && product(p, q) == modulus.positive()?)?;
    Ok(public)
}

/// Each of the two primes of RSA-2048 has half of its 256 bytes. [FIPS 186-5 A.1.1]
const PRIME: usize = 128;

/// With two bytes of length; whoever reads it refuses what that does not fit.
fn sequence(body: &[u8]) -> Vec<u8> {
    let [.., high, low] = body.len().to_be_bytes();
    [&[der::SEQUENCE, 0x82, high, low], body].concat()
}

/// Of two numbers, first byte first, as long as both together. As on paper, in base 256.
fn product(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut sums = vec![0_u32; left.len() + right.len()];
    for (shift, digit) in left.iter().rev().enumerate() {
        for (sum, other) in sums.iter_mut().skip(shift).zip(right.iter().rev()) {
            *sum += u32::from(*digit) * u32::from(*other);
        }
    }
    let mut carry = 0;
    let digits = sums.iter().map(|sum| {
        carry += sum;
        let [digit, ..] = carry.to_le_bytes();
        carry >>= 8;
        digit
    });
    let mut digits: Vec<u8> = digits.collect();
    digits.reverse();
    digits
}
