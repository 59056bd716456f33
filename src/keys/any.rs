//! A public key of any kind that a bootloader of these boards knows, in every container that it travels in.

use std::fmt;

use p256::ecdsa::VerifyingKey;

use super::{
    NotOurs, P256_SPKI_HEAD, PublicKey, curve,
    der::{self, BadDer, Element, Reader},
};
use crate::{
    fault::{Exit, Problem},
    ident::Digest,
};

/// What a key is for, mathematically.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// ECDSA on the NIST curve of 256 bits.
    P256,
    /// ECDSA on the NIST curve of 384 bits.
    P384,
    /// EdDSA on Curve25519: signatures.
    Ed25519,
    /// Diffie-Hellman on Curve25519: image encryption.
    X25519,
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
}

/// Names and lengths of one algorithm.
struct Facts {
    /// As reports and lists write it.
    code: &'static str,
    /// As people say it.
    words: &'static str,
    /// What stands before the raw key in its one SubjectPublicKeyInfo.
    head: &'static [u8],
    /// Length of the raw key in bytes; 0 where it varies.
    raw: usize,
}

/// What stands before the point of a P-384 SubjectPublicKeyInfo. [RFC 5480 2.1.1]
const P384_SPKI_HEAD: &[u8] =
    b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04";
/// [RFC 8410 4]
const ED25519_SPKI_HEAD: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// [RFC 8410 4]
const X25519_SPKI_HEAD: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00";
/// For a PKCS#1 key of 270 bytes. [RFC 8017 A.1; nordic-facts C2]
const RSA2048_SPKI_HEAD: &[u8] =
    b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00";
/// For a PKCS#1 key of 398 bytes. [RFC 8017 A.1; nordic-facts C2]
const RSA3072_SPKI_HEAD: &[u8] =
    b"\x30\x82\x01\xa2\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x8f\x00";

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::P256, Self::P384, Self::Ed25519, Self::X25519, Self::Rsa2048, Self::Rsa3072];

    const fn facts(self) -> Facts {
        let (code, words, head, raw): (_, _, &[u8], _) = match self {
            Self::P256 => ("ecdsa-p256", "P-256", &P256_SPKI_HEAD, 64),
            Self::P384 => ("ecdsa-p384", "P-384", P384_SPKI_HEAD, 96),
            Self::Ed25519 => ("ed25519", "Ed25519", ED25519_SPKI_HEAD, 32),
            Self::X25519 => ("x25519", "X25519", X25519_SPKI_HEAD, 32),
            Self::Rsa2048 => ("rsa-2048", "RSA-2048", RSA2048_SPKI_HEAD, 0),
            Self::Rsa3072 => ("rsa-3072", "RSA-3072", RSA3072_SPKI_HEAD, 0),
        };
        Facts { code, words, head, raw }
    }

    /// As reports and lists write it, such as `ecdsa-p256`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.facts().code
    }

    /// Whether keys of it make signatures; the others only encrypt.
    #[must_use]
    pub const fn signs(self) -> bool {
        !matches!(self, Self::X25519)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facts().words)
    }
}

/// In what a key travelled.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Container {
    /// SubjectPublicKeyInfo: what `BEGIN PUBLIC KEY` holds.
    Spki,
    /// RSAPublicKey of PKCS#1.
    Pkcs1,
    /// An X.509 certificate: only its key was taken, nothing of it was checked.
    Certificate,
    /// X and Y, or the raw key, big-endian as its standard writes it.
    Raw,
    /// X and Y, each with its last byte first, as the nRF5 SDK holds a key.
    LittleEndian,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spki => "SubjectPublicKeyInfo",
            Self::Pkcs1 => "PKCS#1 RSAPublicKey",
            Self::Certificate => "X.509 certificate (its key was taken; the certificate itself was not checked)",
            Self::Raw => "raw key",
            Self::LittleEndian => "nRF5 SDK key, little-endian",
        })
    }
}

/// Why bytes are no key that can be used. Holds nothing of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadKey {
    /// Offset in the DER, or in the file if it holds no PEM; `None` where the whole is meant.
    pub at: Option<usize>,
    /// What is wrong, for a sentence that begins with the file.
    pub what: What,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// It is something else, which was recognised.
    Else(NotOurs),
    /// It would be a key, but for this.
    Damaged(&'static str),
}

impl BadKey {
    /// Damaged as a whole.
    const fn whole(what: &'static str) -> Self {
        Self { at: None, what: What::Damaged(what) }
    }

    /// Something else.
    pub(super) const fn other(what: NotOurs) -> Self {
        Self { at: None, what: What::Else(what) }
    }

    /// Whether a private half was recognised.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        matches!(self.what, What::Else(NotOurs::Private(_)))
    }

    /// As a problem of the file with this name.
    #[must_use]
    pub fn problem(&self, file: impl Into<String>) -> Problem {
        let exit = if self.is_private() { Exit::KeyRefused } else { Exit::Usage };
        Problem::new(file.into(), self.to_string()).exit(exit)
    }
}

impl From<BadDer> for BadKey {
    fn from(bad: BadDer) -> Self {
        Self { at: Some(bad.at), what: What::Damaged(bad.what) }
    }
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.what, self.at) {
            (What::Else(NotOurs::OtherKey(kind)), _) => {
                write!(f, "is a public key, but {kind}; P-256, P-384, Ed25519, X25519, RSA-2048 and RSA-3072 are taken")
            }
            (What::Else(NotOurs::Unknown), _) => {
                f.write_str("is no public key in a form known here: PEM or DER of a key or a certificate")
            }
            (What::Else(what), _) => what.fmt(f),
            (What::Damaged(what), Some(at)) => write!(f, "is no public key: at byte {at} of its DER, {what}"),
            (What::Damaged(what), None) => write!(f, "is no public key: {what}"),
        }
    }
}

/// A public key that was checked: its point is on the curve, its modulus has the length it claims.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct AnyKey {
    algorithm: Algorithm,
    /// The one encoding.
    spki: Vec<u8>,
}

impl AnyKey {
    /// From SubjectPublicKeyInfo, PKCS#1 or a certificate in DER.
    ///
    /// # Errors
    /// What these bytes are instead, or where they are damaged.
    pub fn from_der(der: &[u8]) -> Result<(Self, Container), BadKey> {
        match NotOurs::of(der) {
            private @ NotOurs::Private(_) => Err(BadKey::other(private)),
            NotOurs::Certificate => Self::from_certificate(der).map(|key| (key, Container::Certificate)),
            NotOurs::OtherKey(_) | NotOurs::OffCurve | NotOurs::Unknown => {
                let pkcs1 = Reader::new(der).any().is_ok_and(|all| all.inside().next_tag() == Some(der::INTEGER));
                if pkcs1 {
                    return Self::from_pkcs1(der).map(|key| (key, Container::Pkcs1));
                }
                Self::from_spki(der).map(|key| (key, Container::Spki))
            }
        }
    }

    /// From SubjectPublicKeyInfo in DER, in the one encoding that bootloaders hash: uncompressed, no parameters that may
    /// be absent.
    ///
    /// # Errors
    /// What these bytes are instead, or where they are damaged.
    pub fn from_spki(der: &[u8]) -> Result<Self, BadKey> {
        let fits = |algorithm: &Algorithm| der.starts_with(algorithm.facts().head);
        let Some(algorithm) = Algorithm::ALL.into_iter().find(fits) else { return Err(not_spki(der)) };
        let mut all = Reader::new(der);
        all.any()?;
        all.end()?;
        let raw = der.get(algorithm.facts().head.len()..).unwrap_or_default();
        let at = algorithm.facts().head.len();
        check(algorithm, raw).map_err(|bad| BadKey { at: Some(bad.at.unwrap_or_default() + at), ..bad })?;
        Ok(Self { algorithm, spki: der.to_vec() })
    }

    /// From an RSAPublicKey in DER. [RFC 8017 A.1.1]
    ///
    /// # Errors
    /// What these bytes are instead, or where they are damaged.
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, BadKey> {
        if let private @ NotOurs::Private(_) = NotOurs::of(der) {
            return Err(BadKey::other(private));
        }
        let algorithm = rsa_kind(der)?;
        Self::from_parts(algorithm, der)
    }

    /// The key of an X.509 certificate in DER. Neither signature, dates nor names of the certificate are looked at.
    /// [RFC 5280 4.1]
    ///
    /// # Errors
    /// Where the bytes stop being a certificate, or what is wrong with its key.
    pub fn from_certificate(der: &[u8]) -> Result<Self, BadKey> {
        let spki = spki_of_certificate(der)?;
        Self::from_spki(spki.whole).map_err(|bad| BadKey { at: bad.at.map(|at| at + spki.at), ..bad })
    }

    /// From raw bytes: X‖Y with or without the 04 before it, the 32 bytes of Curve25519 keys (only the caller knows
    /// which of the two), PKCS#1 for RSA.
    ///
    /// # Errors
    /// If there are too many or too few, or they are no key.
    pub fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Result<Self, BadKey> {
        let point = matches!(algorithm, Algorithm::P256 | Algorithm::P384);
        let raw = match raw.split_first() {
            Some((4, xy)) if point && raw.len() == algorithm.facts().raw + 1 => xy,
            Some(_) | None => raw,
        };
        Self::from_parts(algorithm, raw)
    }

    /// From the `pk[64]` of nRF5 SDK bootloaders: X‖Y, each with its last byte first. [nordic-facts C6]
    ///
    /// # Errors
    /// If that is no point of the curve.
    pub fn from_nrf5_sdk(pk: &[u8; 64]) -> Result<Self, BadKey> {
        Self::from_parts(Algorithm::P256, &swapped(pk))
    }

    /// The key that these bytes begin with as SubjectPublicKeyInfo or PKCS#1, and its length in bytes. For searching:
    /// bytes that are almost a key are none.
    #[must_use]
    pub fn at_start(bytes: &[u8]) -> Option<(Self, Container, usize)> {
        let whole = Reader::new(bytes).take(der::SEQUENCE, "").ok()?.whole;
        let spki = || Self::from_spki(whole).ok().map(|key| (key, Container::Spki));
        let pkcs1 = || Self::from_pkcs1(whole).ok().map(|key| (key, Container::Pkcs1));
        let (key, container) = spki().or_else(pkcs1)?;
        Some((key, container, whole.len()))
    }

    fn from_parts(algorithm: Algorithm, raw: &[u8]) -> Result<Self, BadKey> {
        check(algorithm, raw)?;
        let spki = [algorithm.facts().head, raw].concat();
        Ok(Self { algorithm, spki })
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The SubjectPublicKeyInfo in DER: the encoding that everything else is derived from.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The raw key: X‖Y, 32 bytes, or for RSA the RSAPublicKey in DER.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.spki.get(self.algorithm.facts().head.len()..).unwrap_or_default()
    }

    /// The encoding that MCUboot compiles in and hashes: PKCS#1 for RSA, SubjectPublicKeyInfo for the others.
    /// [nordic-facts C2]
    #[must_use]
    pub fn mcuboot_encoding(&self) -> &[u8] {
        match self.algorithm {
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => self.raw(),
            Algorithm::P256 | Algorithm::P384 | Algorithm::Ed25519 | Algorithm::X25519 => self.spki(),
        }
    }

    /// SHA-256 of the SubjectPublicKeyInfo: the fingerprint by which recipes pin a key.
    #[must_use]
    pub fn spki_sha256(&self) -> Digest {
        Digest::of(&self.spki)
    }

    /// Algorithm and eight digits of the fingerprint, for a person to compare; never enough to trust.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{} {}", self.algorithm, self.spki_sha256().short())
    }

    /// As the P-256 key that recipes pin, if it is one.
    #[must_use]
    pub fn p256(&self) -> Option<PublicKey> {
        PublicKey::from_spki(&self.spki).ok()
    }
}

impl From<PublicKey> for AnyKey {
    fn from(key: PublicKey) -> Self {
        Self { algorithm: Algorithm::P256, spki: key.spki().to_vec() }
    }
}

impl fmt::Debug for AnyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// Each half of 64 bytes with its last byte first; undoes itself.
fn swapped(pk: &[u8; 64]) -> [u8; 64] {
    let mut swapped = *pk;
    swapped.chunks_exact_mut(32).for_each(<[u8]>::reverse);
    swapped
}

/// Whether these are the bytes of such a key.
fn check(algorithm: Algorithm, raw: &[u8]) -> Result<(), BadKey> {
    let otherwise = |good: bool, what| if good { Ok(()) } else { Err(BadKey::whole(what)) };
    match algorithm {
        Algorithm::P256 => otherwise(raw.len() == 64, "a raw P-256 key has 64 bytes")
            .and_then(|()| otherwise(is_p256_point(raw), "its point is not on the curve P-256")),
        Algorithm::P384 => {
            let point = <&[u8; 96]>::try_from(raw).map_err(|_| BadKey::whole("a raw P-384 key has 96 bytes"))?;
            otherwise(curve::is_p384_point(point, curve::Order::Big), "its point is not on the curve P-384")
        }
        Algorithm::Ed25519 => {
            let raw = <&[u8; 32]>::try_from(raw).map_err(|_| BadKey::whole("a raw Ed25519 key has 32 bytes"))?;
            otherwise(curve::is_ed25519_key(raw), "its 32 bytes are no Ed25519 key: not on the curve, or a weak point")
        }
        Algorithm::X25519 => {
            let raw = <&[u8; 32]>::try_from(raw).map_err(|_| BadKey::whole("a raw X25519 key has 32 bytes"))?;
            otherwise(curve::is_x25519_key(raw), "its 32 bytes are no X25519 key: out of range, or a weak point")
        }
        Algorithm::Rsa2048 | Algorithm::Rsa3072 => {
            let found = rsa_kind(raw)?;
            otherwise(found == algorithm, "its RSA modulus has another length than the key claims")?;
            otherwise(raw.len() + algorithm.facts().head.len() == rsa_length(algorithm), EXPONENT)
        }
    }
}

/// Length of the SubjectPublicKeyInfo with an exponent of three bytes.
const fn rsa_length(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Rsa3072 => 24 + 398,
        Algorithm::Rsa2048 | Algorithm::P256 | Algorithm::P384 | Algorithm::Ed25519 | Algorithm::X25519 => 24 + 270,
    }
}

const EXPONENT: &str = "its RSA exponent is not 65537, which is the only one that MCUboot's tools make";

/// The kind of an RSAPublicKey: modulus of a length that is taken, odd; exponent 65537.
fn rsa_kind(der: &[u8]) -> Result<Algorithm, BadKey> {
    let mut all = Reader::new(der);
    let key = all.take(der::SEQUENCE, "no RSA key begins here")?;
    all.end()?;
    let mut inside = key.inside();
    let modulus = inside.take(der::INTEGER, "the RSA modulus is missing")?;
    let exponent = inside.take(der::INTEGER, "the RSA exponent is missing")?;
    inside.end()?;
    let digits = modulus.positive()?;
    let odd = |digits: &[u8]| digits.last().is_some_and(|last| last & 1 == 1);
    if !odd(digits) {
        return Err(modulus.wrong("the RSA modulus is even").into());
    }
    if exponent.positive()? != [1, 0, 1] {
        return Err(exponent.wrong(EXPONENT).into());
    }
    let bits = digits.len() * 8 - digits.first().map_or(0, |first| first.leading_zeros() as usize);
    match bits {
        2048 => Ok(Algorithm::Rsa2048),
        3072 => Ok(Algorithm::Rsa3072),
        1024 => Err(BadKey::other(NotOurs::OtherKey("RSA-1024, which is too short to trust"))),
        4096 => Err(BadKey::other(NotOurs::OtherKey("RSA-4096"))),
        _ => Err(modulus.wrong("the RSA modulus has a length that no bootloader takes").into()),
    }
}

fn is_p256_point(xy: &[u8]) -> bool {
    VerifyingKey::from_sec1_bytes(&[&[4], xy].concat()).is_ok()
}

/// Why this is no SubjectPublicKeyInfo of ours: by kind if it is a whole one of another, by offset otherwise.
fn not_spki(der: &[u8]) -> BadKey {
    let what = NotOurs::of(der);
    match (what, whole_spki(der)) {
        (NotOurs::Private(_), _) => BadKey::other(what),
        (NotOurs::OtherKey("RSA"), Ok(key)) => match rsa_kind(key.rest) {
            Err(bad) => BadKey { at: bad.at.map(|at| at + key.at), ..bad },
            Ok(_) => BadKey::whole("its RSA algorithm has other parameters than NULL"),
        },
        (NotOurs::Unknown, Err(_)) if der.first() != Some(&der::SEQUENCE) => BadKey::other(what),
        (_, Err(bad)) => bad.into(),
        (_, Ok(_)) => BadKey::other(what),
    }
}

/// The key inside any SubjectPublicKeyInfo.
pub(super) fn whole_spki(der: &[u8]) -> Result<Reader<'_>, BadDer> {
    let mut all = Reader::new(der);
    let info = all.take(der::SEQUENCE, "no SEQUENCE begins here")?;
    all.end()?;
    let mut inside = info.inside();
    let algorithm = inside.take(der::SEQUENCE, "the algorithm is missing")?;
    algorithm.inside().take(der::OID, "the algorithm has no identifier")?;
    let key = inside.take(der::BIT_STRING, "the key is missing")?;
    inside.end()?;
    key.bits()
}

/// The SubjectPublicKeyInfo of a certificate. [RFC 5280 4.1]
fn spki_of_certificate(der: &[u8]) -> Result<Element<'_>, BadDer> {
    let mut all = Reader::new(der);
    let certificate = all.take(der::SEQUENCE, "no certificate begins here")?;
    all.end()?;
    let mut inside = certificate.inside();
    let mut signed = inside.take(der::SEQUENCE, "the certificate has no contents")?.inside();
    inside.take(der::SEQUENCE, "the certificate has no signature algorithm")?;
    inside.take(der::BIT_STRING, "the certificate has no signature")?;
    inside.end()?;
    if signed.next_tag() == Some(0xA0) {
        signed.any()?;
    }
    signed.take(der::INTEGER, "the certificate has no serial number")?;
    for what in [
        "the certificate has no algorithm",
        "the certificate has no issuer",
        "the certificate has no dates",
        "the certificate has no subject",
    ] {
        signed.take(der::SEQUENCE, what)?;
    }
    signed.take(der::SEQUENCE, "the certificate has no key")
}
