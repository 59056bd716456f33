//! The boot record: what attestation will say of this image, as a CBOR map. [RFC 8949 3; PSA Attestation API 1.0, software component]

use crate::ident::hex;

/// In words; never more than a line.
pub(super) fn describe(data: &[u8]) -> String {
    match read(data) {
        Some(entries) => entries.join(", "),
        None => format!("{} bytes that are no CBOR map of texts and bytes", data.len()),
    }
}

/// More entries than any software component has.
const ENTRIES: u64 = 16;

fn read(data: &[u8]) -> Option<Vec<String>> {
    let ((5, count), mut rest) = head(data)? else { return None };
    if count > ENTRIES {
        return None;
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        let ((0, key), after) = head(rest)? else { return None };
        let (value, after) = value(after)?;
        entries.push(format!("{} {value}", name(key)));
        rest = after;
    }
    rest.is_empty().then_some(entries)
}

fn name(key: u64) -> String {
    match key {
        1 => "type".to_owned(),
        2 => "measurement".to_owned(),
        4 => "version".to_owned(),
        5 => "signer".to_owned(),
        6 => "measured with".to_owned(),
        other => format!("entry {other}"),
    }
}

fn value(data: &[u8]) -> Option<(String, &[u8])> {
    let ((major, length), rest) = head(data)?;
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    match major {
        2 if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0) => {
            Some(("left to the bootloader".to_owned(), after))
        }
        2 => Some((hex(bytes.get(..8).unwrap_or(bytes)), after)),
        3 => Some((std::str::from_utf8(bytes).ok()?.chars().take(32).flat_map(char::escape_default).collect(), after)),
        _ => None,
    }
}

/// Major type and argument of the first item.
fn head(data: &[u8]) -> Option<((u8, u64), &[u8])> {
    let (first, rest) = data.split_first()?;
    let (major, short) = (first >> 5, first & 0x1F);
    let long = match short {
        0..=23 => return Some(((major, u64::from(short)), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(long)?;
    Some(((major, digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit))), rest))
}
