//! Private halves in DER, wherever they begin: told by structure, so that optional parts, parameters written out and
//! long or short lengths make no difference.

use memchr::memchr_iter;

use super::{
    der::{INTEGER, OCTET_STRING, OID, SEQUENCE},
    inside, oid,
};

/// A private half in DER.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Der {
    /// In what it is wrapped.
    pub(crate) form: &'static str,
    /// How many bytes it takes, of those that are there.
    pub(crate) len: usize,
}

/// Each that begins in these bytes, with its offset.
pub(super) fn der_in(bytes: &[u8]) -> impl Iterator<Item = (usize, Der)> + '_ {
    memchr_iter(SEQUENCE, bytes).filter_map(|at| Some((at, at_start(bytes.get(at..)?)?)))
}

/// The private half in DER that these bytes begin with. Its end may be cut off, its beginning may not.
pub(crate) fn at_start(bytes: &[u8]) -> Option<Der> {
    // Most that begins like DER is none: the second element is an INTEGER of one byte, or a SEQUENCE.
    let whole = Element::first(bytes).filter(|element| element.tag == SEQUENCE)?;
    let first = Element::first(whole.body)?;
    let form = match (first.tag, first.body) {
        (INTEGER, [version @ (0 | 1 | 3)]) => numbered(*version, first.rest),
        (SEQUENCE, algorithm) => encrypted(algorithm, first.rest),
        _ => None,
    };
    form.map(|form| Der { form, len: whole.head + whole.body.len() })
}

/// What may follow a version. [RFC 5958 2; RFC 5915 3; RFC 8017 A.1.2; RFC 7292 4]
fn numbered(version: u8, rest: &[u8]) -> Option<&'static str> {
    let second = Element::first(rest)?;
    match (version, second.tag) {
        (0 | 1, SEQUENCE) => {
            let identifier = Element::first(second.body).filter(|first| first.tag == OID && first.length <= OID_MAX)?;
            let key = Element::first(second.rest)?.tag == OCTET_STRING;
            (key && identifier.is_whole()).then(|| pkcs8(identifier.body))
        }
        (1, OCTET_STRING) => is_scalar(&second).then_some("SEC1"),
        (0, INTEGER) => is_rsa(&second).then_some("PKCS#1, RSA"),
        (3, SEQUENCE) => {
            let identifier = inside(second.body, OID)?;
            identifier.starts_with(oid::PKCS7).then_some("PKCS#12, which holds private keys as a rule")
        }
        _ => None,
    }
}

/// Longer than the identifier of any algorithm.
const OID_MAX: usize = 16;

/// Of PKCS#8, by its algorithm. [RFC 5480 2.1.1; RFC 8410 3; RFC 8017 A.1]
fn pkcs8(algorithm: &[u8]) -> &'static str {
    match algorithm {
        oid::EC_PUBLIC_KEY => "PKCS#8, elliptic curve",
        oid::ED25519 => "PKCS#8, Ed25519",
        oid::X25519 => "PKCS#8, X25519",
        oid::RSA => "PKCS#8, RSA",
        _ => "PKCS#8",
    }
}

/// Numbers of curves from 160 to 521 bits, and behind them nothing, parameters or the public key. [RFC 5915 3]
fn is_scalar(number: &Element<'_>) -> bool {
    const PARAMETERS: u8 = 0xA0;
    const PUBLIC: u8 = 0xA1;
    let expected = matches!(number.rest.first(), None | Some(&(PARAMETERS | PUBLIC)));
    (20..=66).contains(&number.length) && number.is_whole() && expected
}

/// A modulus of 512 bits at least, odd length or not, and a public exponent behind it if so much is there.
fn is_rsa(modulus: &Element<'_>) -> bool {
    let exponent = Element::first(modulus.rest);
    let expected = exponent.is_none_or(|exponent| exponent.tag == INTEGER && exponent.length <= 8);
    modulus.length >= 64 && modulus.body.len() >= 16 && expected
}

/// An algorithm of PKCS#5 or PKCS#12, then what it made of the key. [RFC 5958 3; RFC 8018 A; RFC 7292 C]
fn encrypted(algorithm: &[u8], rest: &[u8]) -> Option<&'static str> {
    let identifier = Element::first(algorithm).filter(|first| first.tag == OID && first.is_whole())?;
    let known = oid::ENCRYPTIONS.iter().any(|head| identifier.body.starts_with(head));
    let text = Element::first(rest)?;
    (known && text.tag == OCTET_STRING && text.length >= 24).then_some("encrypted PKCS#8")
}

/// The first element of some bytes, and what follows it.
struct Element<'d> {
    tag: u8,
    /// How many bytes tag and length take.
    head: usize,
    /// As it is claimed.
    length: usize,
    /// As far as it is there.
    body: &'d [u8],
    rest: &'d [u8],
}

impl<'d> Element<'d> {
    fn first(bytes: &'d [u8]) -> Option<Self> {
        let tag = *bytes.first()?;
        if ![SEQUENCE, INTEGER, OCTET_STRING, OID].contains(&tag) {
            return None;
        }
        let (head, length) = super::element(bytes)?;
        let inner = bytes.get(head..)?;
        let (body, rest) = inner.split_at_checked(length).unwrap_or((inner, &[]));
        Some(Self { tag, head, length, body, rest })
    }

    fn is_whole(&self) -> bool {
        self.body.len() == self.length
    }
}
