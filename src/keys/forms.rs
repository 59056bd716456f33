//! Every form in which one public key meets a station: bytes that can be looked for.

use std::fmt;

use super::{
    Hash, NsibRule,
    der::{self, BadDer, Reader},
    fingerprint::first_16,
    oid, whole_spki,
};

/// A form of a key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Form {
    /// The SubjectPublicKeyInfo in DER.
    Spki,
    /// An RSA key as RSAPublicKey in DER.
    Pkcs1,
    /// X and Y or the raw key, big-endian as its standard writes it.
    Raw,
    /// X and Y, each with its last byte first, as the nRF5 SDK holds a key.
    LittleEndian,
    /// X, and 02 or 03 before it.
    Compressed,
    /// The modulus of an RSA key.
    Modulus,
    /// One half of a raw key of 32 bytes, as a key slot of the nRF54L holds it; 0 is the first.
    Half(u8),
    /// The hash by which MCUboot's images name a key.
    KeyHash(Hash),
    /// The SHA-256 of the SubjectPublicKeyInfo where MCUboot hashes something else (RSA).
    SpkiHash,
    /// The 16 bytes by which Nordic's immutable bootloader knows a key.
    NsibHash(NsibRule),
    /// SHA-256 of the raw key, or of the point with the 04 before it.
    RawHash,
}

impl Form {
    /// Whether it names the key without being one.
    #[must_use]
    pub const fn is_hash(self) -> bool {
        matches!(self, Self::KeyHash(_) | Self::SpkiHash | Self::NsibHash(_) | Self::RawHash)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spki => f.write_str("SubjectPublicKeyInfo"),
            Self::Pkcs1 => f.write_str("PKCS#1 key"),
            Self::Raw => f.write_str("raw key"),
            Self::LittleEndian => f.write_str("nRF5 SDK key, little-endian"),
            Self::Compressed => f.write_str("compressed point"),
            Self::Modulus => f.write_str("RSA modulus"),
            Self::Half(0) => f.write_str("first half of a raw key"),
            Self::Half(_) => f.write_str("second half of a raw key"),
            Self::KeyHash(hash) => write!(f, "MCUboot KEYHASH, {hash}"),
            Self::SpkiHash => f.write_str("SHA-256 of the SubjectPublicKeyInfo"),
            Self::NsibHash(NsibRule::Sha256) => f.write_str("16-byte hash of the immutable bootloader, SHA-256"),
            Self::NsibHash(NsibRule::Sha512) => f.write_str("16-byte hash of the immutable bootloader, SHA-512"),
            Self::RawHash => f.write_str("SHA-256 of the raw key"),
        }
    }
}

/// All forms of the key in this SubjectPublicKeyInfo, which may be of an algorithm that nothing else here takes:
/// refusing needs no understanding.
pub(super) fn of_spki(spki: &[u8]) -> Result<Vec<(Form, Vec<u8>)>, BadDer> {
    let key = whole_spki(spki)?;
    let kind = Reader::new(spki).any()?.inside().any()?.inside().take(der::OID, "the algorithm has no identifier")?;
    let mut forms = vec![(Form::Spki, spki.to_vec())];
    match kind.body {
        oid::EC_PUBLIC_KEY => {
            forms.extend(hashes(spki));
            if let Some((4, xy)) = key.rest.split_first() {
                forms.extend(of_point(xy));
                forms.push((Form::RawHash, Hash::Sha256.of(key.rest)));
            }
        }
        oid::RSA => {
            forms.extend(hashes(key.rest));
            forms.push((Form::SpkiHash, Hash::Sha256.of(spki)));
            forms.push((Form::Pkcs1, key.rest.to_vec()));
            let mut pkcs1 = key;
            let modulus = pkcs1.any()?.inside().take(der::INTEGER, "the RSA modulus is missing")?;
            forms.push((Form::Modulus, modulus.positive()?.to_vec()));
        }
        _ => {
            forms.extend(hashes(spki));
            forms.push((Form::Raw, key.rest.to_vec()));
            forms.push((Form::RawHash, Hash::Sha256.of(key.rest)));
            forms.extend(nsib(Hash::Sha256, NsibRule::Sha256, key.rest));
            forms.extend(nsib(Hash::Sha512, NsibRule::Sha512, key.rest));
            if key.rest.len() == 32 {
                let halves = key.rest.chunks(16).zip(0..);
                forms.extend(halves.map(|(half, index)| (Form::Half(index), half.to_vec())));
            }
        }
    }
    Ok(forms)
}

fn of_point(xy: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let (x, y) = xy.split_at(xy.len() / 2);
    let parity = 2 + (y.last().copied().unwrap_or_default() & 1);
    let little = x.iter().rev().chain(y.iter().rev()).copied().collect();
    let mut forms = vec![
        (Form::Raw, xy.to_vec()),
        (Form::LittleEndian, little),
        (Form::Compressed, [&[parity], x].concat()),
        (Form::RawHash, Hash::Sha256.of(xy)),
    ];
    forms.extend(nsib(Hash::Sha256, NsibRule::Sha256, xy));
    forms
}

/// KEYHASH of images, in each hash that MCUboot can be built for.
fn hashes(encoding: &[u8]) -> impl Iterator<Item = (Form, Vec<u8>)> {
    Hash::ALL.map(|hash| (Form::KeyHash(hash), hash.of(encoding))).into_iter()
}

fn nsib(hash: Hash, rule: NsibRule, raw: &[u8]) -> Option<(Form, Vec<u8>)> {
    first_16(hash, raw).map(|short| (Form::NsibHash(rule), short.0.to_vec()))
}
