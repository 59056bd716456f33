//! Keys inside an image: what stands there in a recognisable form.
//!
//! A key that a program computes, or holds in a form not listed here, is not seen; what is said is "none was found in
//! these forms", never "there is none".

use std::sync::LazyLock;

use memchr::memchr_iter;

use super::{Map, Segment};
use crate::{
    fault::Problem,
    keys::{
        AnyKey, DecryptionKey, P256_SPKI_HEAD, P256_SPKI_LEN, PublicKey,
        bare::{self, Budget},
        private, private_der,
        refuse::{Form, RefuseList, Refused, Sighting},
    },
};

/// The forms looked for, in words for a person.
pub const FORMS: &str = "SubjectPublicKeyInfo of P-256, P-384, P-521, Ed25519 and X25519, PKCS#1 RSA keys, private keys in PEM, \
     OpenSSH, PKCS#8 (encrypted or not), SEC1 and PKCS#1 and bare beside their public keys, and published development \
     keys as raw, compressed or little-endian bytes and by every hash that bootloaders know a key by";

/// A key, or what looks like one.
#[derive(Clone, Debug)]
pub struct Found {
    /// Address of its first byte.
    pub at: u32,
    /// How many bytes of it were recognised.
    pub len: usize,
    /// What it is.
    pub kind: Kind,
    /// Why it is refused, if it is.
    pub refused: Option<Refused>,
    /// The key itself, if it is a whole public key of a kind that can be compared.
    pub key: Option<AnyKey>,
}

/// What was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A P-256 public key, whole and on the curve.
    P256(PublicKey),
    /// A public key of a kind that this release cannot compare with a recipe.
    Other(&'static str),
    /// A private key; of what kind.
    Private(&'static str),
    /// A refused key in another form, or its hash.
    Raw(Form),
}

impl Found {
    /// For messages: what it is. Of a private key, its form only.
    #[must_use]
    pub fn what(&self) -> String {
        match (&self.kind, &self.refused) {
            (Kind::Private(form), _) => format!("a private key ({form})"),
            (Kind::Raw(form), Some(refused)) if form.is_hash() => format!("{refused}, by its hash ({form})"),
            (Kind::P256(_) | Kind::Other(_) | Kind::Raw(_), Some(refused)) => refused.to_string(),
            (Kind::P256(key), None) => format!("P-256 key {}", key.spki_sha256()),
            (Kind::Other(kind), None) => format!("a public key ({kind})"),
            (Kind::Raw(_), None) => "a raw key".to_owned(),
        }
    }

    /// For messages: what, and where.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} at 0x{:08X}", self.what(), self.at)
    }

    /// Whether a bootloader could verify with it: a public key in any form, and no hash or half of one.
    #[must_use]
    pub const fn is_public_key(&self) -> bool {
        match self.kind {
            Kind::P256(_) | Kind::Other(_) => true,
            Kind::Raw(form) => !form.is_hash() && !matches!(form, Form::Half(_)),
            Kind::Private(_) => false,
        }
    }

    /// Whether it is this key, in whatever form it stands there.
    #[must_use]
    pub fn is(&self, key: &AnyKey) -> bool {
        let refused = self.refused.as_ref().filter(|_| self.is_public_key());
        self.key.as_ref() == Some(key) || refused.is_some_and(|refused| refused.spki_sha256 == key.spki_sha256())
    }

    /// Which decryption key it is, if it is a private key that decrypts images: the one kind that may be declared.
    #[must_use]
    pub fn decryption_key(&self, map: &Map) -> Option<DecryptionKey> {
        if !matches!(self.kind, Kind::Private(_)) {
            return None;
        }
        let inside = |segment: &&Segment| segment.at <= self.at && u64::from(self.at) < segment.end();
        let segment = map.segments().iter().find(inside)?;
        let from = usize::try_from(self.at - segment.at).ok()?;
        DecryptionKey::at_start(segment.bytes.get(from..)?).map(|(key, _)| key)
    }

    fn holds(&self, at: u32) -> bool {
        self.at <= at && at - self.at < u32::try_from(self.len).unwrap_or(u32::MAX)
    }

    /// A problem at the line that wrote it.
    #[must_use]
    pub fn problem(&self, map: &Map, what: impl Into<String>) -> Problem {
        map.problem_at(self.at, what)
    }
}

/// Everything in the image that looks like a key, in order of address.
#[must_use]
pub fn keys(map: &Map, list: &RefuseList) -> Vec<Found> {
    keys_within(map, list, &mut Room::default())
}

/// As [`keys`], for one of several images that travel together.
#[must_use]
pub fn keys_within(map: &Map, list: &RefuseList, room: &mut Room) -> Vec<Found> {
    map.segments().iter().flat_map(|segment| in_segment(segment, list, room)).collect()
}

/// More than any program holds, of public keys and of private ones. A file that is made of keys would cost seconds and
/// many times its size. Refused keys and private halves are searched for in all of it nevertheless.
const FOUND: usize = 1000;

/// What may still be spent on one file.
#[derive(Debug)]
pub struct Room {
    budget: Budget,
    public: usize,
    private: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { budget: Budget::default(), public: FOUND, private: FOUND }
    }
}

impl Room {
    /// What is found while there is room. The last public key stands for all that are not looked at.
    fn take(&mut self, found: Found) -> Option<Found> {
        let private = matches!(found.kind, Kind::Private(_));
        let left = if private { &mut self.private } else { &mut self.public };
        *left = left.checked_sub(1)?;
        let last = *left == 0 && !private;
        Some(if last { Found { kind: Kind::Other(TOO_MANY), key: None, ..found } } else { found })
    }
}

const TOO_MANY: &str = "one of more than any program holds; those behind it were not looked at";

fn in_segment(segment: &Segment, list: &RefuseList, room: &mut Room) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut wrapped_to = 0;
    for from in memchr_iter(SEQUENCE, &segment.bytes) {
        if room.public == 0 && room.private == 0 {
            break;
        }
        let here = if room.public > 0 { der_at(segment, from, list) } else { private_at(segment, from) };
        // What PKCS#8 wraps is no second key.
        let bare_der = || if from < wrapped_to { None } else { private_der(segment, from) };
        let Some(here) = here.or_else(bare_der) else { continue };
        if matches!(here.kind, Kind::Private(_)) {
            wrapped_to = wrapped_to.max(from.saturating_add(here.len));
        }
        found.extend(room.take(here));
    }
    let refused = among(&mut found, segment, list.search(&segment.bytes));
    found.extend(refused);
    found.extend(wrapped_in_text(segment));
    found.extend(unwrapped(segment, &found, &mut room.budget));
    found.sort_by_key(|found| found.at);
    found
}

/// The refused keys that are not inside something found already; what holds one is refused for it.
fn among(found: &mut [Found], segment: &Segment, raw: Vec<Sighting<'_>>) -> Vec<Found> {
    let mut holders = found.iter_mut().peekable();
    let mut others = Vec::new();
    for sighting in raw {
        let at = address(segment, sighting.at);
        while holders.next_if(|found| u64::from(found.at) + found.len as u64 <= u64::from(at)).is_some() {}
        match holders.peek_mut().filter(|found| found.at <= at) {
            Some(holder) => drop(holder.refused.get_or_insert_with(|| sighting.refused.clone())),
            None => {
                let (kind, refused) = (Kind::Raw(sighting.form), Some(sighting.refused.clone()));
                others.push(Found { at, len: sighting.len, kind, refused, key: None });
            }
        }
    }
    others
}

/// Private keys that stand in the image as text, or in OpenSSH's own container.
fn wrapped_in_text(segment: &Segment) -> Vec<Found> {
    let found = private::wrapped(&segment.bytes).take(FOUND).map(|wrapped| Found {
        at: address(segment, wrapped.at),
        len: wrapped.len,
        kind: Kind::Private(wrapped.form),
        refused: None,
        key: None,
    });
    found.collect()
}

/// Bare private halves of the public keys that were found, and of those that nothing but their arithmetic tells.
fn unwrapped(segment: &Segment, found: &[Found], budget: &mut Budget) -> Vec<Found> {
    let range = |found: &Found| {
        let from = usize::try_from(found.at.saturating_sub(segment.at)).unwrap_or(usize::MAX);
        from..from.saturating_add(found.len)
    };
    let points = bare::points(&segment.bytes, budget);
    let keys = found.iter().filter_map(|found| Some((found.key.as_ref()?, range(found))));
    let keys = keys.chain(points.iter().map(|point| (&point.key, point.range.clone())));
    let mut bare = bare::beside_within(&segment.bytes, keys, budget);
    bare.extend(bare::seeds(&segment.bytes, budget));
    let private = bare.into_iter().map(|bare| Found {
        at: address(segment, bare.at),
        len: bare.len,
        kind: Kind::Private(bare.form),
        refused: None,
        key: None,
    });
    // One scalar may stand beside several copies of its public key, and inside a wrapped one.
    let mut private: Vec<Found> = private.collect();
    private.sort_by_key(|found| found.at);
    private.dedup_by_key(|found| found.at);
    let wrapped: Vec<&Found> = found.iter().filter(|found| matches!(found.kind, Kind::Private(_))).collect();
    private.retain(|bare| !wrapped.iter().any(|wrapped| wrapped.holds(bare.at)));
    private.truncate(FOUND);
    private
}

fn address(segment: &Segment, from: usize) -> u32 {
    u32::try_from(from).map_or(u32::MAX, |from| segment.at.saturating_add(from))
}

fn der_at(segment: &Segment, from: usize, list: &RefuseList) -> Option<Found> {
    let rest = segment.bytes.get(from..)?;
    let at = address(segment, from);
    if rest.get(1) == P256_SPKI_HEAD.get(1) && rest.starts_with(&P256_SPKI_HEAD) {
        let key = rest.get(..P256_SPKI_LEN).and_then(|der| PublicKey::from_spki(der).ok());
        let (kind, len) = match key {
            Some(key) => (Kind::P256(key), P256_SPKI_LEN),
            None => (Kind::Other("P-256, cut off or not on the curve"), P256_SPKI_HEAD.len()),
        };
        let refused = if let Kind::P256(key) = &kind { list.refuses(key).cloned() } else { None };
        let whole = if let Kind::P256(key) = &kind { Some(key.clone().into()) } else { None };
        return Some(Found { at, len, kind, refused, key: whole });
    }
    let (head, len, kind) = head_of(rest)?;
    let key = if matches!(kind, Kind::Other(_)) { AnyKey::at_start(rest).map(|(key, ..)| key) } else { None };
    let refused = key.as_ref().and_then(|key| list.refuses_key(key)).cloned();
    Some(Found { at, len: (*len).max(head.len()).min(rest.len()), kind: kind.clone(), refused, key })
}

/// As [`der_at`], without the arithmetic of public keys.
fn private_at(segment: &Segment, from: usize) -> Option<Found> {
    let rest = segment.bytes.get(from..)?;
    let at = address(segment, from);
    let (head, len, kind) = head_of(rest)?;
    let len = (*len).max(head.len()).min(rest.len());
    let found = Found { at, len, kind: kind.clone(), refused: None, key: None };
    matches!(kind, Kind::Private(_)).then_some(found)
}

/// What no head tells: optional parts, parameters written out, other ciphers and curves.
fn private_der(segment: &Segment, from: usize) -> Option<Found> {
    let der = private_der::at_start(segment.bytes.get(from..)?)?;
    Some(Found { at: address(segment, from), len: der.len, kind: Kind::Private(der.form), refused: None, key: None })
}

/// How one of the other keys begins, how long it is at least, and what it is.
type Head = (&'static [u16], usize, Kind);

/// The first of [`OTHERS`] that stands here. Which may at all, four bytes say: most that begin like them are none.
fn head_of(rest: &[u8]) -> Option<&'static Head> {
    let [_, second, third, fourth, ..] = rest else { return None };
    let may = MAY_BEGIN.iter().zip([second, third, fourth]).map(|(heads, byte)| heads.get(usize::from(*byte)));
    let mut may = may.fold(u64::MAX, |all, may| all & may.copied().unwrap_or_default());
    std::iter::from_fn(|| {
        let index = (may != 0).then(|| may.trailing_zeros() as usize)?;
        may &= may - 1;
        OTHERS.get(index)
    })
    .find(|(head, ..)| matches_head(rest, head))
}

/// For the second, third and fourth byte each and every value of it: which of [`OTHERS`] have it there, one bit for each.
static MAY_BEGIN: LazyLock<[Vec<u64>; 3]> = LazyLock::new(|| {
    let has = |head: &Head, place: usize, byte: u16| head.0.get(place).is_some_and(|want| [ANY, byte].contains(want));
    let heads =
        |place: usize, byte: u16| (0..).zip(OTHERS).map(move |(bit, head)| u64::from(has(head, place, byte)) << bit);
    [1, 2, 3].map(|place| (0..=0xFF).map(|byte| heads(place, byte).sum()).collect())
});

const _: () = assert!(OTHERS.len() <= 64, "one bit for each");

/// A head may leave bytes open where lengths stand.
fn matches_head(rest: &[u8], head: &[u16]) -> bool {
    rest.len() >= head.len() && rest.iter().zip(head).all(|(byte, want)| *want == ANY || *want == u16::from(*byte))
}

/// What every head begins with. [X.690 8.9]
const SEQUENCE: u8 = 0x30;

/// Stands for any byte in [`OTHERS`].
const ANY: u16 = 0x100;

/// EncryptedPrivateKeyInfo with an algorithm of PKCS#5; the next byte of the identifier says which. [RFC 5958 3; RFC 8018 A]
const ENCRYPTED_SHORT: &[u16] =
    &[0x30, 0x81, ANY, 0x30, ANY, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
const ENCRYPTED_LONG: &[u16] =
    &[0x30, 0x82, ANY, ANY, 0x30, ANY, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
/// The same with an algorithm of PKCS#12. [RFC 7292 C]
const ENCRYPTED_PKCS12: &[u16] =
    &[0x30, 0x81, ANY, 0x30, ANY, 0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c];

/// How other keys begin, how long they are at least, and what they are. [RFC 5480, 5915, 5958, 8017, 8410; nordic-facts C2]
const OTHERS: &[Head] = &[
    (
        &[
            0x30, 0x39, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
            0xce, 0x3d, 0x03, 0x01, 0x07,
        ],
        59,
        Kind::Other("P-256, compressed"),
    ),
    (
        &[
            0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
            0x00, 0x22,
        ],
        120,
        Kind::Other("P-384"),
    ),
    (
        &[
            0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
            0x04, 0x00, 0x23,
        ],
        158,
        Kind::Other("P-521"),
    ),
    (&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], 44, Kind::Other("Ed25519")),
    (&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00], 44, Kind::Other("X25519")),
    (&[0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00], 140, Kind::Other("RSA-1024")),
    (&[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00], 270, Kind::Other("RSA-2048")),
    (&[0x30, 0x82, 0x01, 0x8a, 0x02, 0x82, 0x01, 0x81, 0x00], 398, Kind::Other("RSA-3072")),
    (&[0x30, 0x82, 0x02, 0x0a, 0x02, 0x82, 0x02, 0x01, 0x00], 526, Kind::Other("RSA-4096")),
    (&[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20], 121, Kind::Private("SEC1, P-256")),
    (&[0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20], 51, Kind::Private("SEC1, P-256")),
    (&[0x30, 0x81, 0xa4, 0x02, 0x01, 0x01, 0x04, 0x30], 167, Kind::Private("SEC1, P-384")),
    (
        &[0x30, 0x81, ANY, 0x02, 0x01, 0x00, 0x30, ANY, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
        67,
        Kind::Private("PKCS#8, elliptic curve"),
    ),
    (
        &[0x30, ANY, 0x02, 0x01, 0x00, 0x30, ANY, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
        65,
        Kind::Private("PKCS#8, elliptic curve"),
    ),
    (&[0x30, 0x3e, 0x02, 0x01, 0x01, 0x04, 0x30], 64, Kind::Private("SEC1, P-384")),
    (&[0x30, ANY, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70], 48, Kind::Private("PKCS#8, Ed25519")),
    (&[0x30, ANY, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e], 48, Kind::Private("PKCS#8, X25519")),
    (ENCRYPTED_SHORT, 64, Kind::Private("encrypted PKCS#8")),
    (ENCRYPTED_LONG, 64, Kind::Private("encrypted PKCS#8")),
    (ENCRYPTED_PKCS12, 64, Kind::Private("encrypted PKCS#8")),
    (&[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70], 48, Kind::Private("PKCS#8, Ed25519")),
    (&[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e], 48, Kind::Private("PKCS#8, X25519")),
    (&[0x30, 0x82, ANY, ANY, 0x02, 0x01, 0x00, 0x02, 0x82, ANY, ANY, 0x00], 512, Kind::Private("PKCS#1, RSA")),
    (
        &[0x30, 0x82, ANY, ANY, 0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48],
        512,
        Kind::Private("PKCS#8, RSA"),
    ),
];
