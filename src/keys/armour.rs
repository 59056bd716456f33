//! DER of private halves that is written out in base64 or hexadecimal digits among other bytes, as a constant in a program.
//!
//! What is found is recognised by structure after it was decoded; digits alone are nothing.

use memchr::{memchr_iter, memmem};

use super::private_der::{self, Der};

/// A private half in digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Written {
    /// Offset of its first digit.
    pub(super) at: usize,
    /// How many bytes its digits take, blanks not counted.
    pub(super) len: usize,
    /// In what it is wrapped.
    pub(super) form: &'static str,
}

/// So many places of one input are decoded as far as their first elements: a megabyte of base64 has some two thousand.
const PLACES: usize = 1 << 20;

/// So many of them are decoded as far as their structure says what they are.
const WHOLE: usize = 10_000;

/// The first bytes of DER, up to its second element.
const HEAD: usize = 9;

/// Further than the key begins in any private half, parameters written out or not.
const DECODED: usize = 512;

/// Whoever writes keys has the begin of one as a constant; with what makes it one it has at least as many bytes as the
/// shortest, which is of Curve25519. [RFC 8410 7]
const LEAST: usize = 48;

/// Each in base64 or base64url, in order.
pub(super) fn in_base64(bytes: &[u8]) -> impl Iterator<Item = Written> + '_ {
    let places = memchr_iter(b'M', bytes).filter(|at| may_begin(bytes.get(*at..).unwrap_or_default()));
    written(bytes, places, Digits { value: base64_value, bits: 6 })
}

/// Each in hexadecimal digits, in order.
pub(super) fn in_hex(bytes: &[u8]) -> impl Iterator<Item = Written> + '_ {
    written(bytes, memmem::find_iter(bytes, b"30"), Digits { value: hex_value, bits: 4 })
}

fn written<'b>(
    bytes: &'b [u8],
    places: impl Iterator<Item = usize> + 'b,
    digits: Digits,
) -> impl Iterator<Item = Written> + 'b {
    let rest = move |at: usize| bytes.get(at..).unwrap_or_default();
    let heads = places.take(PLACES).filter(move |at| begins_private(&digits.decoded::<HEAD>(rest(*at))));
    heads.take(WHOLE).filter_map(move |at| {
        let der = digits.decoded::<DECODED>(rest(at));
        let Der { form, len } = private_der::at_start(&der)?;
        let (head, length) = super::element(&der)?;
        if der.len() < LEAST.min(head + length) {
            return None;
        }
        Some(Written { at, len: (8 * len).div_ceil(digits.bits), form })
    })
}

/// What stands in these lines as one line: their ends may be written out as `\n`, a slash as `\/`; they may be parts of one
/// string, or begin with the mark of a comment.
pub(super) fn unbroken(mut text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    std::iter::from_fn(move || {
        loop {
            let (byte, behind) = text.split_first()?;
            text = behind;
            match byte {
                b'\n' => text = behind_mark(behind),
                b'"' | b'\'' => match behind_joint(behind, *byte) {
                    Some(next) => text = next,
                    None => return Some(*byte),
                },
                b'\\' => match behind.strip_prefix(b"\\").unwrap_or(behind).split_first() {
                    Some((b'/', next)) => {
                        text = next;
                        return Some(b'/');
                    }
                    Some((b'n' | b'r' | b'\n', next)) => text = behind_mark(next),
                    _ => return Some(*byte),
                },
                byte if byte.is_ascii_whitespace() => {}
                byte => return Some(*byte),
            }
        }
    })
}

/// A line without the mark that makes it a comment, which is a digit of base64 unless a blank is behind it.
fn behind_mark(line: &[u8]) -> &[u8] {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let text = line.get(line.iter().take_while(blank).count()..).unwrap_or_default();
    let marks = text.iter().take_while(|byte| matches!(byte, b'#' | b'/' | b'*' | b';' | b'>' | b'|' | b'!')).count();
    text.get(marks..).filter(|rest| rest.first().is_some_and(|byte| blank(&byte))).unwrap_or(text)
}

/// The next part of a string whose part ends here, as compilers join them.
fn behind_joint(text: &[u8], quote: u8) -> Option<&[u8]> {
    /// More than any program is indented by.
    const APART: usize = 128;
    let between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'+' | b'\\' | b'.');
    let text = text.get(text.iter().take(APART).take_while(|byte| between(byte)).count()..)?;
    text.strip_prefix(&[quote])
}

/// Whether `M` and two digits behind it may be a SEQUENCE whose first element is an INTEGER or a SEQUENCE.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    let digit = |at: usize| bytes.get(at).and_then(|byte| base64_value(*byte));
    match (digit(1), digit(2)) {
        // A length of one byte, and then 0x02 or 0x30, whose upper bits are none.
        (Some(0..=7), Some(third)) => third % 4 == 0,
        // 0x81 or 0x82, and lengths of one or two bytes.
        (Some(8), Some(third)) => (4..12).contains(&third),
        _ => false,
    }
}

/// A version, or an algorithm by its identifier, behind the head of a SEQUENCE.
fn begins_private(der: &[u8]) -> bool {
    let Some((head, _)) = super::element(der).filter(|_| der.first() == Some(&super::SEQUENCE)) else { return false };
    matches!(der.get(head..), Some([super::INTEGER, 1, 0 | 1 | 3, ..] | [super::SEQUENCE, _, super::OID, ..]))
}

/// One way to write bytes in digits.
#[derive(Clone, Copy)]
struct Digits {
    value: fn(u8) -> Option<u8>,
    /// How many each digit holds.
    bits: usize,
}

impl Digits {
    /// The bytes that these digits begin with, so many at most.
    fn decoded<const MOST: usize>(self, digits: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MOST);
        let (mut held, mut bits) = (0_u32, 0);
        let mut digits = unbroken(digits);
        while bytes.len() < MOST {
            let Some(value) = digits.next().and_then(self.value) else { break };
            held = held << self.bits | u32::from(value);
            bits += self.bits;
            if bits >= 8 {
                bits -= 8;
                bytes.push((held >> bits).to_le_bytes()[0]);
            }
        }
        bytes
    }
}

fn base64_value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
