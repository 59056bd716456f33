//! Private halves, in every form in which they are recognised. Nothing here says, keeps or returns what they hold.

use std::{iter, ops::Range};

use memchr::memchr_iter;
use serde_json::{Map, Value};

use super::{
    AnyKey, NotOurs,
    armour::{self, Written},
    bare::{self, Budget},
    given,
    private_der::der_in,
    readings,
};

/// In which form this file holds a private half, if it is recognised. A file that merely might is none. Whatever it may
/// be read as is looked through: docs/keys.md says what that is.
#[must_use]
pub fn form_of_file(bytes: &[u8]) -> Option<&'static str> {
    form_within(bytes, &mut Budget::default())
}

/// As [`form_of_file`], for one of several parts of a file.
#[must_use]
pub fn form_within(bytes: &[u8], budget: &mut Budget) -> Option<&'static str> {
    let small = bytes.len() as u64 <= super::FILE_LIMIT;
    let readings = readings::of(bytes);
    let plain = || if small { whole_file(bytes) } else { None };
    let read = || readings.iter().find_map(|reading| recognised(reading));
    let found = plain().or_else(|| recognised(bytes)).or_else(read);
    found.or_else(|| bare_in(if small { bytes } else { &[] }, &readings, budget))
}

/// The form of a private half in DER, PEM or OpenSSH's own container anywhere in these bytes, as they are.
#[must_use]
pub fn wrapped_form(bytes: &[u8]) -> Option<&'static str> {
    let der = der_in(bytes).next().map(|(_, der)| der.form);
    der.or_else(|| wrapped(bytes).next().map(|wrapped| wrapped.form))
}

/// What says so itself, as a file or as a text that was found in one.
fn whole_file(bytes: &[u8]) -> Option<&'static str> {
    form_of_der(bytes).or_else(|| form_in_text(bytes)).or_else(|| binary_container(bytes))
}

/// A wrapped private half anywhere in these bytes, whatever stands around it.
fn recognised(bytes: &[u8]) -> Option<&'static str> {
    let text = || is_small(bytes).then(|| form_in_text(bytes)).flatten();
    wrapped_form(bytes).or_else(text)
}

fn is_small(bytes: &[u8]) -> bool {
    bytes.len() as u64 <= super::FILE_LIMIT
}

/// Up to so many bytes, all readings of a file together, are looked through for points that nothing wraps.
const PLAIN: usize = 256 << 10;

/// Up to so many bare numbers of one file are held against each other.
const NUMBERS: usize = 2000;

/// A private half without wrapping, in bytes or in what they may be read as. Its public half may stand anywhere in the
/// file if both are written apart from everything else.
fn bare_in(bytes: &[u8], readings: &[Vec<u8>], budget: &mut Budget) -> Option<&'static str> {
    let mut room = PLAIN;
    let mut numbers: Vec<Vec<u8>> = Vec::new();
    for reading in iter::once(bytes).chain(readings.iter().map(Vec::as_slice)) {
        let Some(left) = room.checked_sub(reading.len()) else { break };
        room = left;
        let publics = public_keys(reading, budget);
        let pair = bare::is_pair(reading, budget).or_else(|| beside(reading, &publics, budget));
        if pair.is_some() {
            return pair;
        }
        numbers.extend(publics.into_iter().map(|(key, _)| key.raw().to_vec()));
        if matches!(reading.len(), 32 | 48 | 64 | 65 | 96 | 97) {
            numbers.push(reading.to_vec());
        }
        numbers.truncate(NUMBERS);
    }
    let numbers: Vec<&[u8]> = numbers.iter().map(Vec::as_slice).collect();
    bare::among(&numbers, budget).map(|(_, form)| form)
}

/// Every public key in these bytes, wrapped or as a point.
fn public_keys(bytes: &[u8], budget: &mut Budget) -> Vec<(AnyKey, Range<usize>)> {
    let starts = memchr_iter(super::der::SEQUENCE, bytes);
    let wrapped =
        starts.filter_map(|at| bytes.get(at..).and_then(AnyKey::at_start).map(|(key, _, len)| (key, at..at + len)));
    wrapped.chain(bare::points(bytes, budget).into_iter().map(|point| (point.key, point.range))).collect()
}

/// A scalar or seed before or behind one of these public keys, in the same bytes.
fn beside(bytes: &[u8], publics: &[(AnyKey, Range<usize>)], budget: &mut Budget) -> Option<&'static str> {
    let others = publics.iter().filter(|(_, range)| bytes.len() > range.len());
    let found = bare::beside_within(bytes, others.map(|(key, range)| (key, range.clone())), budget);
    found.first().or(bare::seeds(bytes, budget).first()).map(|bare| bare.form)
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
/// contents behind them. DER in digits of base64 or hexadecimal ones is one of them, unless a label of PEM is before it.
pub fn wrapped(bytes: &[u8]) -> impl Iterator<Item = Wrapped> + '_ {
    let mut kinds = [
        Box::new(starts(bytes, b"openssh-key-v1\0\0\0\0", openssh_head, "OpenSSH"))
            as Box<dyn Iterator<Item = Wrapped>>,
        Box::new(starts(bytes, PEM, pem_head, "PEM")),
        Box::new(starts(bytes, WIDE_PEM, wide_pem_head, "PEM in UTF-16")),
        Box::new(armour::in_base64(bytes).map(Wrapped::of)),
        Box::new(armour::in_hex(bytes).map(Wrapped::of)),
    ]
    .map(Iterator::peekable);
    let mut end = 0;
    let in_order = std::iter::from_fn(move || {
        let first = kinds.iter_mut().filter_map(|kind| kind.peek().map(|found| found.at)).min()?;
        kinds.iter_mut().find_map(|kind| kind.next_if(|found| found.at == first))
    });
    // Its label tells of a key in PEM, and its digits would tell of it again.
    in_order.filter(move |found| {
        let new = found.at >= end;
        end = end.max(found.at + found.len);
        new
    })
}

impl Wrapped {
    fn of(written: Written) -> Self {
        let Written { at, len, form } = written;
        Self { at, len, form }
    }
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
    let behind = rest.get(begun..)?;
    let digits = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    let plain = behind_breaks(behind);
    let is_plain = plain.get(..LINE).is_some_and(|line| digits(line) || line.starts_with(HEADER));
    let marked = behind_marks(behind);
    let line: Vec<u8> = armour::unbroken(marked).take(LINE).collect();
    let is_marked = line.len() == LINE && digits(&line) && is_contents(&line) || marked.starts_with(HEADER);
    let contents = if is_plain { Some(plain) } else { Some(marked).filter(|_| is_marked) }?;
    // With the first digit, so that what is told by its label is not told by its digits.
    Some(begun + behind.len() - contents.len() + 1)
}

/// So many digits are the begin of contents.
const LINE: usize = 16;

/// What an encrypted key begins with. [RFC 1421 4.6.1.1]
const HEADER: &[u8] = b"Proc-Type:";

/// Whether a line begins as DER or as OpenSSH's own container does: behind marks anything else may stand, as the next name
/// in a program.
fn is_contents(line: &[u8]) -> bool {
    line.starts_with(b"b3BlbnNzaC1rZXkt") || line.first() == Some(&b'M') && armour::may_begin(line)
}

/// As [`behind_breaks`], without quotes and the marks of comments.
fn behind_marks(mut text: &[u8]) -> &[u8] {
    const MARKS: &[u8] = b"\"'\\,+.#/*;>|!-";
    loop {
        text = behind_breaks(text);
        match text.split_first() {
            Some((mark, rest)) if MARKS.contains(mark) => text = rest,
            _ => return text,
        }
    }
}

/// Without blanks and ends of lines, as they are or written out as in JSON and C.
fn behind_breaks(mut text: &[u8]) -> &[u8] {
    loop {
        let rest = text.trim_ascii_start();
        let unescaped = rest.strip_prefix(b"\\").map(|rest| rest.strip_prefix(b"\\").unwrap_or(rest));
        match unescaped.and_then(|rest| rest.strip_prefix(b"n").or_else(|| rest.strip_prefix(b"r"))) {
            Some(behind) => text = behind,
            None => return rest,
        }
    }
}

/// [`PEM`] in UTF-16, in either order of bytes: the first zero of one of them stands before it.
const WIDE_PEM: &[u8] = b"-\0-\0-\0-\0-\0B\0E\0G\0I\0N\0 ";

/// As [`pem_head`], of text in UTF-16.
fn wide_pem_head(rest: &[u8]) -> Option<usize> {
    let text = readings::narrowed(rest.get(..rest.len().min(WIDE_HEAD))?).into_iter().next()?;
    pem_head(&text).map(|length| 2 * length)
}

/// More than the first line of any PEM and a line behind it takes in UTF-16, in bytes.
const WIDE_HEAD: usize = 256;

fn binary_container(bytes: &[u8]) -> Option<&'static str> {
    bytes.starts_with(OPENSSH).then_some("OpenSSH")
}

/// Labels are looked at before anything is decoded: a private key with a broken line is still one.
fn form_in_text(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    let relabelled = || given::blocks(&text).iter().find_map(|(_, der)| form_of_der(der));
    let label = super::private_by_label(&text).or_else(relabelled);
    label.or_else(|| printed(&text)).or_else(|| putty(&text)).or_else(|| jwk(&text))
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
    let found = serde_json::from_str::<Value>(text).map_or_else(|_| is_torn_jwk(text), |value| holds_jwk(&value));
    found.then_some("JSON Web Key")
}

/// Any file may have a member of these names: only digits of a key make it one.
const MEMBERS: [&str; 2] = ["d", "k"];

/// A private member has at least so many digits of base64url: 24 bytes, as the smallest curve has. [RFC 5480 2.1.1.1, P-192]
const DIGITS: usize = 32;

fn holds_jwk(value: &Value) -> bool {
    match value {
        Value::Object(members) => is_jwk(members) || members.values().any(holds_jwk),
        Value::Array(values) => values.iter().any(holds_jwk),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Beside a curve and a point the private member of a key is one even if somebody cut it short.
fn is_jwk(members: &Map<String, Value>) -> bool {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let digits = |name: &str| text(name).filter(|text| base64url(text) == text.trim_end_matches('=').len());
    let long = MEMBERS.iter().any(|name| digits(name).is_some_and(|digits| base64url(digits) >= DIGITS));
    let beside_a_point = || text("crv").and(text("x")).and(digits("d")).is_some_and(|digits| !digits.is_empty());
    members.contains_key("kty") && (long || beside_a_point())
}

/// How many digits of base64url this begins with.
fn base64url(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count()
}

/// Where nothing says what belongs to one object, the whole text does.
fn is_torn_jwk(text: &str) -> bool {
    let string = |rest: &str| rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"').map(base64url);
    let private = |name: &str| text.split(&format!("\"{name}\"")).skip(1).any(|rest| string(rest) >= Some(DIGITS));
    text.contains("\"kty\"") && MEMBERS.iter().any(|name| private(name))
}
