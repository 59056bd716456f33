//! What is wrong with an image by itself, whatever key a bootloader has: damage, and signatures that are none.

use serde::Serialize;

use super::{
    Image, Tlv, tlv,
    verify::{About, Objection, authenticity, der_and_rest, is_signature},
};
use crate::keys::AnyKey;

/// What an image is worth before anybody says which key it should be of.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its hash does not fit its contents.
    Damaged,
    /// It has a signature that no key makes, or not the one it names.
    WronglySigned,
    /// Its entries contradict each other or stand where MCUboot refuses them.
    Malformed,
    /// It is whole, and nobody signed it.
    Unsigned,
    /// Somebody signed it, and nothing in the file speaks against that.
    Signed,
}

impl Standing {
    /// For people, behind the name of the image; `None` where nothing is to be said.
    #[must_use]
    pub const fn words(self) -> Option<&'static str> {
        match self {
            Self::Damaged => Some("damaged"),
            Self::WronglySigned => Some("wrongly signed"),
            Self::Malformed => Some("malformed"),
            Self::Unsigned => Some("unsigned"),
            Self::Signed => None,
        }
    }
}

/// Not shown is not wrong: only a device with the key can look.
const AFTER_DECRYPTION: [&str; 2] = ["hash-after-decryption", "signature-after-decryption"];

impl Image {
    /// Everything for which no bootloader should take it, whatever its key.
    #[must_use]
    pub fn flaws(&self) -> Vec<Objection> {
        let carried = self.public_key().map(|carried| AnyKey::from_der(carried).map(|(key, _)| key));
        let readable = carried.as_ref().and_then(|key| key.as_ref().ok());
        let mut flaws = self.judge(readable).objections;
        flaws.retain(|flaw| flaw.about == About::Authenticity && !AFTER_DECRYPTION.contains(&flaw.code));
        let shape = self.signature_flaws();
        // What is no signature fits no key, and what was damaged afterwards says nothing of who signed it.
        if !shape.is_empty() || flaws.iter().any(|flaw| flaw.code == "hash-wrong") {
            flaws.retain(|flaw| !["signature-wrong", "signature-missing"].contains(&flaw.code));
        }
        flaws.extend(shape);
        if carried.is_some_and(|key| key.is_err()) {
            flaws.push(authenticity("key-unreadable", "the key that it carries is of no kind known here"));
        }
        flaws.into_iter().map(of_its_own_key).collect()
    }

    /// In one word.
    #[must_use]
    pub fn standing(&self, flaws: &[Objection]) -> Standing {
        let any = |begin: &str| flaws.iter().any(|flaw| flaw.code.starts_with(begin));
        match flaws {
            [] if self.is_signed() => Standing::Signed,
            [] => Standing::Unsigned,
            _ if any("hash-wrong") => Standing::Damaged,
            _ if any("signature-") || any("key-") => Standing::WronglySigned,
            _ => Standing::Malformed,
        }
    }

    /// Entries that stand for a signature and are none, or the lack of one where a signer is named.
    fn signature_flaws(&self) -> Vec<Objection> {
        let mut flaws: Vec<Objection> = self.tlvs.iter().filter_map(signature_flaw).collect();
        let names_key = self.public_key().is_some() || self.key_hash_bytes().is_some();
        if names_key && !self.is_signed() && flaws.is_empty() {
            flaws.push(authenticity("signature-missing", "it names the key that signed it, and has no signature"));
        }
        flaws
    }
}

/// Types that MCUboot has set aside for signatures. [MCUboot image.h, IMAGE_TLV_RSA2048_PSS to IMAGE_TLV_SIG_PURE]
const SIGNATURE_KINDS: std::ops::RangeInclusive<u16> = 0x20..=0x2F;

fn signature_flaw(tlv: &Tlv) -> Option<Objection> {
    let what = format!("the signature at 0x{:08X}", tlv.at);
    if !SIGNATURE_KINDS.contains(&tlv.kind) || tlv.kind == tlv::SIG_PURE {
        return None;
    }
    if !is_signature(tlv.kind) {
        let why = format!("{what} is of no kind known here (TLV 0x{:04X})", tlv.kind);
        return Some(authenticity("signature-kind", why));
    }
    if tlv.data.is_empty() {
        return Some(authenticity("signature-empty", format!("{what} is empty: nobody signed it")));
    }
    let ecdsa = tlv.kind == tlv::ECDSA && !is_two_numbers(der_and_rest(&tlv.data).0);
    ecdsa.then(|| authenticity("signature-malformed", format!("{what} is no ECDSA signature: not two numbers in DER")))
}

/// SEQUENCE of two INTEGERs, as every ECDSA signature is. [RFC 3279, 2.2.3]
fn is_two_numbers(der: &[u8]) -> bool {
    let number = |der: &[u8]| -> Option<usize> {
        let [0x02, length, rest @ ..] = der else { return None };
        let length = usize::from(*length);
        (length > 0 && length <= rest.len()).then_some(2 + length)
    };
    let [0x30, length, body @ ..] = der else { return false };
    let both = number(body).and_then(|first| Some(first + number(body.get(first..)?)?));
    usize::from(*length) == body.len() && both == Some(body.len())
}

/// The key of this verdict is the image's own, which a reader sees better without its digits.
fn of_its_own_key(flaw: Objection) -> Objection {
    match flaw.code {
        "signature-wrong" => authenticity(flaw.code, "its signature was not made by the key that it carries"),
        _ => flaw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_numbers_in_der_are_an_ecdsa_signature() {
        assert!(is_two_numbers(&[0x30, 6, 2, 1, 7, 2, 1, 9]));
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 0],
            &[0x30, 3, 2, 1, 7],
            &[0x30, 5, 2, 1, 7, 2, 1],
            &[0x30, 6, 2, 1, 7, 3, 1, 9],
            &[0x30, 6, 2, 0, 2, 2, 9, 9],
            &[0x30, 7, 2, 1, 7, 2, 1, 9, 0],
            &[0x31, 6, 2, 1, 7, 2, 1, 9],
        ] {
            assert!(!is_two_numbers(bad), "{bad:?}");
        }
    }
}
