//! Public keys in every form a station meets, and their fingerprints; refuses private halves.
//!
//! Nothing here prints what a private key holds, and no byte of one is kept.

use std::fmt;

use p256::ecdsa::{Signature as Ecdsa, VerifyingKey, signature::hazmat::PrehashVerifier as _};

use der::{BIT_STRING, INTEGER, OCTET_STRING, OID, SEQUENCE};

use crate::{
    fault::{Exit, Problem},
    file::Read,
    ident::Digest,
};

mod any;
mod armour;
pub mod bare;
mod curve;
mod decryption;
mod der;
mod fingerprint;
mod forms;
mod given;
mod needles;
mod oid;
pub mod points;
pub mod private;
pub(crate) mod private_der;
mod readings;
pub mod refuse;
mod verify;

use any::whole_spki;
pub use any::{Algorithm, AnyKey, BadKey, Container, What};
pub use curve::{Order, P256_GENERATOR, p256_points};
pub use decryption::DecryptionKey;
pub use fingerprint::{Hash, NsibHash, NsibRule};
pub use given::{Given, hex_runs, read_any};
pub use readings::TEXT_LIMIT;
pub use verify::Signature;

/// What stands before the point of an uncompressed P-256 SubjectPublicKeyInfo. [RFC 5480 2.1.1; nordic-facts C2]
pub const P256_SPKI_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// Length of an uncompressed P-256 SubjectPublicKeyInfo in bytes.
pub const P256_SPKI_LEN: usize = P256_SPKI_HEAD.len() + 64;

/// The largest key file that is looked at, in bytes; the longest RSA key in PEM is a quarter of it.
pub const FILE_LIMIT: u64 = 64 << 10;

/// A P-256 public key whose point is on the curve.
#[derive(Clone, Eq, PartialEq)]
pub struct PublicKey {
    spki: [u8; P256_SPKI_LEN],
}

impl PublicKey {
    /// From the one DER encoding that MCUboot compiles in and hashes: named curve, uncompressed point.
    ///
    /// # Errors
    /// What these bytes are instead.
    pub fn from_spki(der: &[u8]) -> Result<Self, NotOurs> {
        let Ok(spki) = <[u8; P256_SPKI_LEN]>::try_from(der) else { return Err(NotOurs::of(der)) };
        if !spki.starts_with(&P256_SPKI_HEAD) {
            return Err(NotOurs::of(der));
        }
        let key = Self { spki };
        key.verifier().map(|_| key).ok_or(NotOurs::OffCurve)
    }

    /// From X and Y, 64 bytes, big-endian.
    ///
    /// # Errors
    /// If that is no point of the curve.
    pub fn from_xy(point: &[u8; 64]) -> Result<Self, NotOurs> {
        Self::from_spki(&[&P256_SPKI_HEAD[..], point].concat())
    }

    /// The SubjectPublicKeyInfo in DER, 91 bytes.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The fingerprint by which recipes pin a key and by which MCUboot knows it.
    #[must_use]
    pub fn spki_sha256(&self) -> Digest {
        Digest::of(&self.spki)
    }

    /// Eight digits of the fingerprint, for a person to compare; never enough to trust.
    #[must_use]
    pub fn short(&self) -> String {
        self.spki_sha256().short()
    }

    /// X and Y, 64 bytes, big-endian, as bootloaders without DER hold a key.
    #[must_use]
    pub fn xy(&self) -> &[u8] {
        self.spki.get(P256_SPKI_HEAD.len()..).unwrap_or_default()
    }

    /// Whether this key made this ASN.1 DER signature over this SHA-256.
    #[must_use]
    pub fn verifies(&self, digest: &Digest, signature: &[u8]) -> bool {
        let signature = Ecdsa::from_der(signature);
        let verified = signature.map(|signature| self.verifier().map(|key| key.verify_prehash(&digest.0, &signature)));
        matches!(verified, Ok(Some(Ok(()))))
    }

    fn verifier(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_sec1_bytes(self.spki.get(P256_SPKI_HEAD.len() - 1..)?).ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P-256 {}", self.short())
    }
}

/// What bytes are that are no P-256 public key in the encoding we take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotOurs {
    /// A private half, and its form.
    Private(&'static str),
    /// An X.509 certificate or certificate request.
    Certificate,
    /// A public key of another kind.
    OtherKey(&'static str),
    /// A point that is not on the curve.
    OffCurve,
    /// Nothing known.
    Unknown,
}

impl NotOurs {
    /// What these DER bytes are.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        private_form(der).map_or_else(|| Self::of_public(der), Self::Private)
    }

    fn of_public(der: &[u8]) -> Self {
        let Some(body) = inside(der, SEQUENCE) else { return Self::Unknown };
        if let Some(kind) = SPKI_KINDS.iter().find(|(head, _)| body.starts_with(head)) {
            return Self::OtherKey(kind.1);
        }
        match (inside(body, SEQUENCE), after(body)) {
            (Some(first), Some(rest)) if rest.first() == Some(&BIT_STRING) && first.first() == Some(&OID) => {
                Self::OtherKey("public key of a kind rootstamp does not know")
            }
            (Some(_), Some(rest)) if rest.first() == Some(&SEQUENCE) => Self::Certificate,
            _ if inside(body, INTEGER).is_some_and(|modulus| modulus.len() > 64) => Self::OtherKey("RSA (PKCS#1)"),
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private(form) => write!(
                f,
                "holds a private key ({form}); a station takes public halves only. Remove it from this computer, and \
                 treat the key as exposed if it was not meant to be here"
            ),
            Self::Certificate => f.write_str(
                "is an X.509 certificate or request, not a bare public key; take the key out with \
                 `openssl x509 -pubkey -noout`",
            ),
            Self::OtherKey(kind) => write!(f, "is a public key, but {kind}; a P-256 public key is expected"),
            Self::OffCurve => f.write_str("looks like a P-256 public key, but its point is not on the curve"),
            Self::Unknown => f.write_str("is not a public key in PEM (BEGIN PUBLIC KEY) or DER"),
        }
    }
}

/// The public key in this file, PEM or DER.
///
/// # Errors
/// A [`Problem`] that says what the file is instead; [`Exit::KeyRefused`] if a private half is inside.
pub fn read(file: &Read) -> Result<PublicKey, Problem> {
    let problem = |what: NotOurs| {
        let exit = if matches!(what, NotOurs::Private(_)) { Exit::KeyRefused } else { Exit::Usage };
        Problem::new(file.name(), what.to_string()).exit(exit)
    };
    if let Some(form) = private::form_of_file(&file.bytes) {
        return Err(problem(NotOurs::Private(form)));
    }
    if looks_like_pem(&file.bytes) {
        return read_pem(&file.bytes).map_err(|error| match error {
            BadPem::Key(what) => problem(what),
            BadPem::Form(what) => Problem::new(file.name(), what),
        });
    }
    PublicKey::from_spki(&file.bytes).map_err(problem)
}

enum BadPem {
    Key(NotOurs),
    Form(String),
}

const BEGIN: &[u8] = b"-----BEGIN ";

fn looks_like_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window.eq_ignore_ascii_case(BEGIN))
}

/// That a PEM block is not whole.
const TORN_PEM: &str = "is not whole PEM text: a line is damaged or the end is missing";

fn read_pem(bytes: &[u8]) -> Result<PublicKey, BadPem> {
    let text = String::from_utf8_lossy(bytes);
    let labels: Vec<String> = labels(&text);
    let [label] = &labels[..] else {
        return Err(BadPem::Form(format!("holds {} PEM blocks; exactly one PUBLIC KEY is expected", labels.len())));
    };
    let start = text.find("-----BEGIN ").unwrap_or_default();
    let (_, der) =
        given::decoded(text.get(start..).unwrap_or_default()).ok_or_else(|| BadPem::Form(TORN_PEM.to_owned()))?;
    let key = PublicKey::from_spki(&der).map_err(BadPem::Key)?;
    if label == "PUBLIC KEY" {
        return Ok(key);
    }
    Err(BadPem::Form("holds a public key under a wrong PEM label; BEGIN PUBLIC KEY is expected".to_owned()))
}

/// Which private key a text of any kind holds by a PEM label, as a recipe to which one was pasted. A label alone is none:
/// who explains keys, searches for them or reads them writes it too.
#[must_use]
pub fn private_by_label(text: &str) -> Option<&'static str> {
    // Neither base64 nor the words that are looked for mind, and what stands between lines is the same in all of them.
    let upper = text.to_ascii_uppercase().replace("\\R", "\n").replace("\\N", "\n");
    upper.split("-----BEGIN ").skip(1).find_map(|block| {
        let form = private_label(&label(block))?;
        let (_, behind) = block.split_once(PRIVATE_KEY)?;
        holds_contents(behind).then_some(form)
    })
}

const PRIVATE_KEY: &str = "PRIVATE KEY";

/// Whether a key follows its label, here in capitals, as far as a line of it or the header of an encrypted one says. Its
/// later lines may be broken. The marks are those of comments, strings, quotations and patches. [RFC 1421 4.4, 4.6.1]
fn holds_contents(behind: &str) -> bool {
    let mark = |c: char| c.is_whitespace() || "#*/;>|\"'`,\\+-".contains(c);
    let begin = behind.strip_prefix(" BLOCK").unwrap_or(behind).trim_start_matches(mark);
    if ["PROC-TYPE:", "DEK-INFO:"].iter().any(|header| begin.starts_with(header)) {
        return true;
    }
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let without = without_headers(begin, mark);
    without.bytes().take_while(base64).count() >= LINE || whole_line_near(behind)
}

/// Whether something that is a line of a key by its length stands close behind the label, whatever is between: numbers of
/// lines, tags, commands, or a first line that was damaged.
fn whole_line_near(behind: &str) -> bool {
    let own = behind.split("-----BEGIN").next().unwrap_or_default();
    let near = own.char_indices().nth(NEAR).map_or(own, |(end, _)| own.get(..end).unwrap_or_default());
    let digit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    near.contains("PROC-TYPE:") || near.split(|c| !digit(c)).any(|run| run.len() >= WHOLE_LINE)
}

/// How far behind its label the first line of a key is looked for, in characters.
const NEAR: usize = 400;

/// Lines of PEM have 64 digits; some tools break them earlier. [RFC 7468 2]
const WHOLE_LINE: usize = 48;

/// The fewest digits of base64 that are taken as the beginning of a key.
const LINE: usize = 16;

/// What OpenPGP writes before its lines of base64. [RFC 9580 6.2.2]
fn without_headers(text: &str, mark: impl Fn(char) -> bool) -> &str {
    let mut rest = text;
    while ["VERSION:", "COMMENT:"].iter().any(|header| rest.starts_with(header)) {
        let Some((_, below)) = rest.split_once('\n') else { break };
        rest = below.trim_start_matches(&mark);
    }
    rest
}

fn labels(text: &str) -> Vec<String> {
    let upper = text.to_ascii_uppercase();
    upper.split("-----BEGIN ").skip(1).map(label).collect()
}

fn label(block: &str) -> String {
    block.split("-----").next().unwrap_or_default().trim().to_owned()
}

/// The form of private key that a PEM label names.
fn private_label(label: &str) -> Option<&'static str> {
    Some(match label {
        "PRIVATE KEY" => "PKCS#8 PEM",
        "ENCRYPTED PRIVATE KEY" => "encrypted PKCS#8 PEM",
        "EC PRIVATE KEY" => "SEC1 PEM",
        "RSA PRIVATE KEY" => "PKCS#1 PEM",
        "OPENSSH PRIVATE KEY" => "OpenSSH PEM",
        other if other.contains(PRIVATE_KEY) => "PEM",
        _ => return None,
    })
}

/// How the AlgorithmIdentifier of a SubjectPublicKeyInfo begins, and what it means. [RFC 5480, 8410, 8017]
const SPKI_KINDS: &[(&[u8], &str)] = &[
    (
        b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
        "P-256 in another encoding",
    ),
    (b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22", "P-384"),
    (b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23", "P-521"),
    (b"\x30\x05\x06\x03\x2b\x65\x70", "Ed25519"),
    (b"\x30\x05\x06\x03\x2b\x65\x6e", "X25519"),
    (b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "RSA"),
];

/// Which form of private key these DER bytes begin with.
fn private_form(der: &[u8]) -> Option<&'static str> {
    let body = inside(der, SEQUENCE)?;
    if let Some(algorithm) = inside(body, SEQUENCE) {
        // EncryptedPrivateKeyInfo: an algorithm of PKCS#5 or PKCS#12, then the ciphertext. [RFC 5958 3]
        let known = inside(algorithm, OID).is_some_and(|oid| oid::ENCRYPTIONS.iter().any(|head| oid.starts_with(head)));
        let ciphertext = after(body).is_some_and(|rest| rest.first() == Some(&OCTET_STRING));
        return (known || ciphertext).then_some("encrypted PKCS#8 DER");
    }
    let version = inside(body, INTEGER)?;
    let next = after(body)?.first()?;
    match (version, *next) {
        ([0 | 1], SEQUENCE) => Some("PKCS#8 DER"),
        // A PFX is version 3 and then ContentInfo. [RFC 7292 4]
        ([3], SEQUENCE) => Some("PKCS#12, which holds private keys as a rule"),
        ([1], OCTET_STRING) => Some("SEC1 DER"),
        ([0 | 1], INTEGER) => Some("PKCS#1 DER"),
        _ => None,
    }
}

/// The contents of the first element if it has this tag; as far as they go if the element is cut short.
fn inside(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (head, length) = element(der)?;
    if der.first() != Some(&tag) {
        return None;
    }
    let body = der.get(head..)?;
    Some(body.get(..length).unwrap_or(body))
}

/// What follows the first element.
fn after(der: &[u8]) -> Option<&[u8]> {
    let (head, length) = element(der)?;
    der.get(head.checked_add(length)?..)
}

/// How long the first element's head and contents are, in bytes.
fn element(der: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*der.get(1)?);
    if first < 0x80 {
        return Some((2, first));
    }
    let count = first & 0x7F;
    if !(1..=4).contains(&count) {
        return None;
    }
    let digits = der.get(2..2 + count)?;
    Some((2 + count, digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit))))
}
