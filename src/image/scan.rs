//! Keys inside an image: what stands there in a recognisable form.
//!
//! A key that a program computes, or holds in a form not listed here, is not seen; what is said is "none was found in
//! these forms", never "there is none".

use super::{Map, Segment};
use crate::{
    fault::Problem,
    keys::{
        P256_SPKI_HEAD, P256_SPKI_LEN, PublicKey,
        refuse::{Form, RefuseList, Refused},
    },
};

/// The forms looked for, in words for a person.
pub const FORMS: &str = "SubjectPublicKeyInfo of P-256, P-384, P-521, Ed25519 and X25519, PKCS#1 RSA keys, private keys in PKCS#8, SEC1 \
     and PKCS#1, and published development keys as raw bytes";

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
    /// A published key as raw bytes.
    Raw(Form),
}

impl Found {
    /// For messages: what it is. Of a private key, its form only.
    #[must_use]
    pub fn what(&self) -> String {
        match (&self.kind, &self.refused) {
            (Kind::Private(form), _) => format!("a private key ({form})"),
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

    /// A problem at the line that wrote it.
    #[must_use]
    pub fn problem(&self, map: &Map, what: impl Into<String>) -> Problem {
        map.problem_at(self.at, what)
    }
}

/// Everything in the image that looks like a key, in order of address.
#[must_use]
pub fn keys(map: &Map, list: &RefuseList) -> Vec<Found> {
    map.segments().iter().flat_map(|segment| in_segment(segment, list)).collect()
}

fn in_segment(segment: &Segment, list: &RefuseList) -> Vec<Found> {
    let der = segment.bytes.iter().enumerate().filter(|(_, byte)| **byte == 0x30);
    let mut found: Vec<Found> = der.filter_map(|(from, _)| der_at(segment, from, list)).collect();
    let raw = list.search(&segment.bytes);
    for sighting in raw {
        let at = address(segment, sighting.at);
        let covered = |found: &Found| found.at <= at && u64::from(at) < u64::from(found.at) + found.len as u64;
        if let Some(holder) = found.iter_mut().find(|found| covered(found)) {
            holder.refused.get_or_insert_with(|| sighting.refused.clone());
            continue;
        }
        let kind = Kind::Raw(sighting.form);
        found.push(Found { at, len: sighting.len, kind, refused: Some(sighting.refused.clone()) });
    }
    found.sort_by_key(|found| found.at);
    found
}

fn address(segment: &Segment, from: usize) -> u32 {
    u32::try_from(from).map_or(u32::MAX, |from| segment.at.saturating_add(from))
}

fn der_at(segment: &Segment, from: usize, list: &RefuseList) -> Option<Found> {
    let rest = segment.bytes.get(from..)?;
    let at = address(segment, from);
    if rest.starts_with(&P256_SPKI_HEAD) {
        let key = rest.get(..P256_SPKI_LEN).and_then(|der| PublicKey::from_spki(der).ok());
        let (kind, len) = match key {
            Some(key) => (Kind::P256(key), P256_SPKI_LEN),
            None => (Kind::Other("P-256, cut off or not on the curve"), P256_SPKI_HEAD.len()),
        };
        let refused = if let Kind::P256(key) = &kind { list.refuses(key).cloned() } else { None };
        return Some(Found { at, len, kind, refused });
    }
    let (head, len, kind) = OTHERS.iter().find(|(head, ..)| matches_head(rest, head))?;
    Some(Found { at, len: (*len).max(head.len()).min(rest.len()), kind: kind.clone(), refused: None })
}

/// A head may leave bytes open where lengths stand.
fn matches_head(rest: &[u8], head: &[u16]) -> bool {
    rest.len() >= head.len() && rest.iter().zip(head).all(|(byte, want)| *want == ANY || *want == u16::from(*byte))
}

/// Stands for any byte in [`OTHERS`].
const ANY: u16 = 0x100;

/// How other keys begin, how long they are at least, and what they are. [RFC 5480, 5915, 5958, 8017, 8410; nordic-facts C2]
const OTHERS: &[(&[u16], usize, Kind)] = &[
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
    (&[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70], 48, Kind::Private("PKCS#8, Ed25519")),
    (&[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e], 48, Kind::Private("PKCS#8, X25519")),
    (&[0x30, 0x82, ANY, ANY, 0x02, 0x01, 0x00, 0x02, 0x82, ANY, ANY, 0x00], 512, Kind::Private("PKCS#1, RSA")),
    (
        &[0x30, 0x82, ANY, ANY, 0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48],
        512,
        Kind::Private("PKCS#8, RSA"),
    ),
];
