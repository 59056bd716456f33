//! Serial numbers, device ids, operators and digests: parsed once, never strings again.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, written as 64 lower-case hex digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of these bytes one after the other.
    #[must_use]
    pub fn of_all<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut hasher = Sha256::new();
        parts.into_iter().for_each(|part| hasher.update(part));
        Self(hasher.finalize().into())
    }

    /// The first eight digits: enough for a person to compare, never enough to trust.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not 64 hex digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadDigest;

impl fmt::Display for BadDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 is written as 64 hexadecimal digits")
    }
}

impl std::error::Error for BadDigest {}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let bytes = bytes_from_hex(text.strip_prefix("sha256:").unwrap_or(text)).ok_or(BadDigest)?;
        bytes.try_into().map(Self).map_err(|_| BadDigest)
    }
}

/// Pairs of hexadecimal digits as bytes; `None` if anything else is among them.
#[must_use]
pub fn bytes_from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('?')));
        text
    })
}

/// The identifier the chip's maker gave one die; never all ones, which is what a blank or absent chip reads.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DeviceId(u64);

impl DeviceId {
    /// From the two words of FICR.DEVICEID, lower one first; `None` for words no chip has: all ones or all zeros.
    #[must_use]
    pub fn from_words(low: u32, high: u32) -> Option<Self> {
        let id = u64::from(high) << 32 | u64::from(low);
        (id != 0 && id != u64::MAX).then_some(Self(id))
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not 16 hex digits, or a value no chip has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadDeviceId;

impl fmt::Display for BadDeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a device id is written as 16 hexadecimal digits, not all 0 and not all f")
    }
}

impl std::error::Error for BadDeviceId {}

impl FromStr for DeviceId {
    type Err = BadDeviceId;

    fn from_str(text: &str) -> Result<Self, BadDeviceId> {
        let id = u64::from_str_radix(text, 16).map_err(|_| BadDeviceId)?;
        let (low, high) = (id & 0xFFFF_FFFF, id >> 32);
        let words = u32::try_from(low).ok().zip(u32::try_from(high).ok());
        let id = words.and_then(|(low, high)| Self::from_words(low, high)).ok_or(BadDeviceId)?;
        if text.len() == 16 { Ok(id) } else { Err(BadDeviceId) }
    }
}

/// The longest serial number a label may carry, in characters.
pub const SERIAL_MAX: usize = 32;

/// A unit's serial number as its label says it. Shape only: whether a product uses it is the recipe's to say.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Serial(String);

impl Serial {
    /// As on the label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no serial number at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadSerial {
    /// Nothing was read.
    Empty,
    /// More than [`SERIAL_MAX`] characters.
    Long,
    /// Something else than A–Z, 0–9 and the hyphen.
    Characters,
}

impl fmt::Display for BadSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing was read"),
            Self::Long => write!(f, "longer than {SERIAL_MAX} characters"),
            Self::Characters => f.write_str("only A-Z, 0-9 and - are allowed"),
        }
    }
}

impl std::error::Error for BadSerial {}

impl FromStr for Serial {
    type Err = BadSerial;

    fn from_str(label: &str) -> Result<Self, BadSerial> {
        if label.is_empty() {
            return Err(BadSerial::Empty);
        }
        if label.len() > SERIAL_MAX {
            return Err(BadSerial::Long);
        }
        let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if !label.bytes().all(known) {
            return Err(BadSerial::Characters);
        }
        Ok(Self(label.to_owned()))
    }
}

/// One execution of a recipe on a unit; unique within a ledger, because it is the sequence number of its first entry.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which rules hold; part of every record's hash, never mixed in an export.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Signed order, pinned keys, real probes.
    Production,
    /// Development keys allowed, watermark, separate ledger.
    Engineering,
    /// Virtual boards.
    Training,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Production => "production",
            Self::Engineering => "engineering",
            Self::Training => "training",
        })
    }
}

/// Serialised as its text, parsed back on the way in.
macro_rules! travels_as_text {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(de::Error::custom)
            }
        }
    )+};
}
travels_as_text!(Digest, DeviceId, Serial);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_with_control_bytes_escapes_or_sql_is_no_serial() {
        for label in ["GW3-1\u{1b}[2J", "GW3\n1", "x' OR 1=1 --", "gw3-1", "GW3 1", "\u{202e}GW3"] {
            assert_eq!(label.parse::<Serial>(), Err(BadSerial::Characters), "{label:?}");
        }
        assert_eq!("".parse::<Serial>(), Err(BadSerial::Empty));
        assert_eq!("A".repeat(4096).parse::<Serial>(), Err(BadSerial::Long));
        assert_eq!("GW3-0000001K".parse::<Serial>().map(|serial| serial.to_string()), Ok("GW3-0000001K".into()));
    }

    #[test]
    fn a_blank_or_absent_chip_has_no_device_id() {
        assert_eq!(DeviceId::from_words(u32::MAX, u32::MAX), None);
        assert_eq!(DeviceId::from_words(0, 0), None);
        let id = DeviceId::from_words(0x0123_4567, 0x89AB_CDEF).map(|id| id.to_string());
        assert_eq!(id.as_deref(), Some("89abcdef01234567"));
        assert!("89abcdef01234567".parse::<DeviceId>().is_ok());
        assert!("ffffffffffffffff".parse::<DeviceId>().is_err());
    }

    #[test]
    fn a_digest_reads_back_what_it_prints_and_refuses_all_else() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("+a".repeat(32).parse::<Digest>(), Err(BadDigest));
        assert_eq!("ab".parse::<Digest>(), Err(BadDigest));
    }
}
