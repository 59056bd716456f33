//! Private halves, in every form in which they are recognised. Nothing here says, keeps or returns what they hold.

use std::ops::Range;

use p256::pkcs8::Document;
use serde_json::Value;

use super::{
    AnyKey, NotOurs,
    bare::{self, Budget},
    given,
};

/// In which form this file holds a private half, if it is recognised. A file that merely might is none. What is larger
/// than a key file is looked through for whole words of private keys only, which takes no memory.
#[must_use]
pub fn form_of_file(bytes: &[u8]) -> Option<&'static str> {
    if bytes.len() as u64 > super::FILE_LIMIT {
        return wrapped(bytes).next().map(|wrapped| wrapped.form);
    }
    form_of_der(bytes).or_else(|| form_in_text(bytes)).or_else(|| binary_container(bytes)).or_else(|| bare_in(bytes))
}

/// A private half without wrapping, in bytes or in text.
fn bare_in(bytes: &[u8]) -> Option<&'static str> {
    let mut budget = Budget::default();
    let binary = bare::is_pair(bytes).or_else(|| beside_its_public_half(bytes, &mut budget));
    binary.or_else(|| {
        let text = std::str::from_utf8(bytes).ok()?;
        let beside = given::blocks(text).iter().find_map(|(_, der)| beside_its_public_half(der, &mut budget));
        beside.or_else(|| in_digits(text, &mut budget)).or_else(|| bare_base64(text))
    })
}

/// A scalar before or behind the DER of its public key.
fn beside_its_public_half(bytes: &[u8], budget: &mut Budget) -> Option<&'static str> {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == super::der::SEQUENCE).map(|(at, _)| at);
    let keys: Vec<(AnyKey, Range<usize>)> = starts
        .filter_map(|at| bytes.get(at..).and_then(AnyKey::at_start).map(|(key, _, len)| (key, at..at + len)))
        .filter(|(_, range)| bytes.len() > range.len())
        .collect();
    bare::beside_within(bytes, keys.iter().map(|(key, range)| (key, range.clone())), budget)
        .first()
        .map(|bare| bare.form)
}

/// The form of these DER bytes.
fn form_of_der(der: &[u8]) -> Option<&'static str> {
    match NotOurs::of(der) {
        NotOurs::Private(form) => Some(form),
        NotOurs::Certificate | NotOurs::OtherKey(_) | NotOurs::OffCurve | NotOurs::Unknown => None,
    }
}

/// What begins OpenSSH's own container, whatever armour was taken off. [OpenSSH PROTOCOL.key 1]
const OPENSSH: &[u8] = b"openssh-key-v1\0";

/// A private half wrapped in text, or in OpenSSH's own container, among other bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wrapped {
    /// Offset of its first byte.
    pub at: usize,
    /// How many bytes of it were recognised.
    pub len: usize,
    /// In what it is wrapped.
    pub form: &'static str,
}

/// Each of them, in order. A program that reads such files holds their first words as constants; a key is what has
/// contents behind them.
pub fn wrapped(bytes: &[u8]) -> impl Iterator<Item = Wrapped> + '_ {
    let mut openssh = starts(bytes, b"openssh-key-v1\0\0\0\0", openssh_head, "OpenSSH").peekable();
    let mut pem = starts(bytes, PEM, pem_head, "PEM").peekable();
    std::iter::from_fn(move || match (openssh.peek(), pem.peek()) {
        (Some(first), Some(second)) if second.at < first.at => pem.next(),
        (None, _) => pem.next(),
        (Some(_), _) => openssh.next(),
    })
}

fn starts<'b>(
    bytes: &'b [u8],
    words: &'static [u8],
    head: fn(&[u8]) -> Option<usize>,
    form: &'static str,
) -> impl Iterator<Item = Wrapped> + 'b {
    let places = memchr::memmem::find_iter(bytes, words);
    places.filter_map(move |at| Some(Wrapped { at, len: head(bytes.get(at..)?)?, form }))
}

/// The words, and the name of a cipher behind its length. [OpenSSH PROTOCOL.key 1]
fn openssh_head(rest: &[u8]) -> Option<usize> {
    let cipher = rest.strip_prefix(OPENSSH)?.strip_prefix(b"\0\0\0")?;
    let (length, name) = cipher.split_first()?;
    let name = name.get(..usize::from(*length))?;
    (name.len() > 3 && name.iter().all(u8::is_ascii_graphic)).then_some(19 + name.len())
}

const PEM: &[u8] = b"-----BEGIN ";

/// A label that names a private key, and a line of base64 or of the header of an encrypted one. [RFC 1421 4.4; RFC 7468 2]
fn pem_head(rest: &[u8]) -> Option<usize> {
    const KIND: &[u8] = b"PRIVATE KEY";
    const DASHES: &[u8] = b"-----";
    /// With the dashes behind it.
    const LABEL: usize = 40;
    let label = rest.strip_prefix(PEM)?;
    let label = label.get(..label.len().min(LABEL))?;
    let end = memchr::memmem::find(label, DASHES)?;
    let kind = label.get(end.checked_sub(KIND.len())?..end)?;
    let begun = PEM.len() + end + DASHES.len();
    if !kind.eq_ignore_ascii_case(KIND) {
        return None;
    }
    let contents = rest.get(begun..)?.trim_ascii_start();
    let line = contents.get(..16)?;
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    (line.iter().all(base64) || line.starts_with(b"Proc-Type:")).then_some(begun)
}

fn binary_container(bytes: &[u8]) -> Option<&'static str> {
    bytes.starts_with(OPENSSH).then_some("OpenSSH")
}

/// Labels are looked at before anything is decoded: a private key with a broken line is still one.
fn form_in_text(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    let label = super::labels(&text).into_iter().find_map(|label| super::private_label(&label));
    let relabelled = || given::blocks(&text).iter().find_map(|(_, der)| form_of_der(der));
    label.or_else(relabelled).or_else(|| printed(&text)).or_else(|| putty(&text)).or_else(|| jwk(&text))
}

/// A private half and its public one, both written out in hexadecimal digits.
fn in_digits(text: &str, budget: &mut Budget) -> Option<&'static str> {
    let runs = given::hex_runs(text);
    let alone = runs.iter().find_map(|run| bare::is_pair(run));
    let neighbours = || runs.windows(2).find_map(|two| bare::is_pair(&two.concat()));
    alone.or_else(neighbours).or_else(|| beside_its_public_half(&runs.concat(), budget))
}

/// What `openssl pkey -text` prints.
fn printed(text: &str) -> Option<&'static str> {
    let openssl = text.contains("Private-Key:") && (text.contains("priv:") || text.contains("privateExponent:"));
    openssl.then_some("printed by openssl")
}

/// [PuTTY manual C]
fn putty(text: &str) -> Option<&'static str> {
    text.trim_start().starts_with("PuTTY-User-Key-File-").then_some("PuTTY")
}

/// A JSON Web Key with a private member, alone or in a set, whole or not. [RFC 7518 6.2.2, 6.3.2, 6.4.1; RFC 8037 2]
fn jwk(text: &str) -> Option<&'static str> {
    let whole = serde_json::from_str::<Value>(text).is_ok_and(|value| has_private_member(&value));
    let torn = || ["\"kty\"", "\"d\""].iter().all(|member| text.contains(member));
    (whole || torn()).then_some("JSON Web Key")
}

fn has_private_member(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            let key = members.contains_key("kty") && ["d", "k"].iter().any(|name| members.contains_key(*name));
            key || members.values().any(has_private_member)
        }
        Value::Array(values) => values.iter().any(has_private_member),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// DER in base64 without its PEM lines, as people paste it.
fn bare_base64(text: &str) -> Option<&'static str> {
    let digits: String = text.split_whitespace().collect();
    let plausible =
        digits.starts_with('M') && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
    if !plausible || digits.len() < 40 {
        return None;
    }
    let mut pem = "-----BEGIN X-----\n".to_owned();
    for line in digits.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END X-----\n");
    Document::from_pem(&pem).ok().and_then(|(_, der)| form_of_der(der.as_bytes()))
}
