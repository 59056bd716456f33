//! Which silicon will do: build codes as Nordic writes them.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// The lowest build code that may be used, as `Fxx`: a letter for the hardware, a digit or letter for what was changed in
/// it, and x where any will do. Silicon shows these two characters after the two of its package. [PS-52840,
/// FICR.INFO.VARIANT]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuildCode {
    hardware: u8,
    change: Option<u8>,
    written: String,
}

impl BuildCode {
    /// Whether silicon of this variant, as `AAF0`, is that old at most. What is no variant reaches nothing.
    #[must_use]
    pub fn is_reached_by(&self, variant: &str) -> bool {
        let known = |letter: &u8| letter.is_ascii_uppercase() || letter.is_ascii_digit();
        let &[_, _, hardware, change] = variant.as_bytes() else { return false };
        let later = self.change.is_none_or(|asked| change >= asked);
        variant.bytes().all(|letter| known(&letter)) && (hardware > self.hardware || hardware == self.hardware && later)
    }
}

impl fmt::Display for BuildCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Serialize for BuildCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is no build code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadBuildCode(String);

impl fmt::Display for BadBuildCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BuildCode {
    type Err = BadBuildCode;

    fn from_str(text: &str) -> Result<Self, BadBuildCode> {
        // The third character names what was programmed in the factory, which no register shows.
        let ([hardware, change] | [hardware, change, b'x']) = *text.as_bytes() else { return Err(bad(text)) };
        let change = match change {
            b'x' => None,
            b'0'..=b'9' | b'A'..=b'Z' => Some(change),
            _ => return Err(bad(text)),
        };
        if !hardware.is_ascii_uppercase() {
            return Err(bad(text));
        }
        Ok(Self { hardware, change, written: text.to_owned() })
    }
}

fn bad(text: &str) -> BadBuildCode {
    let form = "must be a build code as `Fxx` or `F0`: a capital letter, a digit, a letter or x, and perhaps an x";
    let hint = match text.get(2..).filter(|_| text.len() == 4).map(str::parse::<BuildCode>) {
        Some(Ok(code)) => {
            format!("; `{text}` is a package and a build code together, of which only `{code}` stands here")
        }
        Some(Err(_)) | None => String::new(),
    };
    BadBuildCode(format!("{form}, this is `{}`{hint}", crate::page::printable(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_code_is_reached_by_itself_and_by_what_came_later() {
        for (code, reached, not) in [
            ("Fxx", &["AAF0", "CKF1", "AAFA", "AAG0"][..], &["AAD0", "AAE9", "AAEZ"][..]),
            ("Fx", &["AAF0"], &["AAE9"]),
            ("F1", &["AAF1", "AAF2", "AAFA", "AAG0"], &["AAF0", "AAE2"]),
            ("F1x", &["AAF1"], &["AAF0"]),
            ("AA", &["AAAA", "AAAB", "AAB0"], &["AAA0"]),
        ] {
            let code: BuildCode = code.parse().unwrap();
            assert!(reached.iter().all(|variant| code.is_reached_by(variant)), "{code}");
            assert!(not.iter().all(|variant| !code.is_reached_by(variant)), "{code}");
        }
    }

    #[test]
    fn what_is_no_variant_reaches_no_build_code() {
        let code: BuildCode = "Axx".parse().unwrap();
        for variant in ["", "A", "AAF", "AAF00", "aaf0", "AAf0", "AA~0", "AAF~", "ÄF0", "\u{ff}\u{ff}F0"] {
            assert!(!code.is_reached_by(variant), "{variant:?}");
        }
    }

    #[test]
    fn what_is_no_build_code_is_refused_and_the_form_of_the_records_is_explained() {
        for text in
            ["", "F", "Z", "f0", "fxx", "FOO", "F0A", "xxx", "0F", "Fxxx", "F x", "Fé", "AAF0", "AAZ9", "F0\u{0}"]
        {
            let bad = text.parse::<BuildCode>().unwrap_err().to_string();
            assert!(bad.starts_with("must be a build code as `Fxx`"), "{bad}");
            assert_eq!(bad.contains("only `"), text.starts_with("AA"), "{bad}");
        }
    }
}
