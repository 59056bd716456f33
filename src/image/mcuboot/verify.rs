//! What holds of an image: its hash, its signature, the key it names, and whether MCUboot would start it where it stands.
//! [MCUboot image_validate.c; imgtool image.py; nordic-facts C1, C2]

use serde::Serialize;

use super::{Image, Tlv, encryption::Encryption, flags, tlv};
use crate::{
    ident::{Digest, hex},
    keys::{Algorithm, AnyKey, Hash, PublicKey, Signature},
};

/// Whether the hash that an image carries fits its contents.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HashState {
    /// It does.
    Fits,
    /// The image was damaged or changed.
    DoesNotFit,
    /// There is none, and the signature needs one.
    Missing,
    /// There is none, and the signature covers the image itself.
    NotNeeded,
    /// More than one.
    Ambiguous,
    /// The hash is of what the image is after decryption, which only the device can do.
    OnlyAfterDecryption,
}

/// Whether a key made the signature of an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureState {
    /// It did, over these contents.
    Fits,
    /// It did, over the hash that the image carries; that the hash fits is another matter.
    FitsTheHash,
    /// Another key did, or the signature or the contents were changed.
    DoesNotFit,
    /// There is none that this kind of key makes.
    Missing,
    /// More than one.
    Ambiguous,
    /// No key was given.
    NoKey,
    /// It covers what the image is after decryption, and this kind of signature cannot be checked against a hash alone.
    OnlyAfterDecryption,
}

/// What an objection is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// The image is not, or cannot be shown to be, what the owner of the key signed.
    Authenticity,
    /// The image may be genuine, but MCUboot would not start it where it stands.
    Start,
}

/// One reason why an image is refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Objection {
    /// Stable, for scripts.
    pub code: &'static str,
    /// What it is about.
    pub about: About,
    /// One sentence.
    pub why: String,
}

/// Everything that can be said of an image with a key, or without one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// Of the hash.
    pub hash: HashState,
    /// Of the signature.
    pub signature: SignatureState,
    /// Whether hash, signature and named key all hold: what a bootloader with this key asks for.
    pub authentic: bool,
    /// Everything that speaks against the image.
    pub objections: Vec<Objection>,
}

pub(super) fn authenticity(code: &'static str, why: impl Into<String>) -> Objection {
    Objection { code, about: About::Authenticity, why: why.into() }
}

fn start(code: &'static str, why: impl Into<String>) -> Objection {
    Objection { code, about: About::Start, why: why.into() }
}

const HASHES: [(u16, Hash); 3] =
    [(tlv::SHA256, Hash::Sha256), (tlv::SHA384, Hash::Sha384), (tlv::SHA512, Hash::Sha512)];

const SIGNATURES: [u16; 4] = [tlv::RSA2048, tlv::ECDSA, tlv::RSA3072, tlv::ED25519];

/// Whether entries of this type hold a signature that can be checked here.
pub(super) fn is_signature(kind: u16) -> bool {
    SIGNATURES.contains(&kind)
}

/// The entry that a key of this kind signs into, and the hashes that MCUboot is built with beside it.
fn signs_into(key: &AnyKey) -> Option<(u16, &'static [u16])> {
    match key.algorithm() {
        Algorithm::P256 => Some((tlv::ECDSA, &[tlv::SHA256])),
        Algorithm::P384 => Some((tlv::ECDSA, &[tlv::SHA384])),
        Algorithm::Ed25519 => Some((tlv::ED25519, &[tlv::SHA256, tlv::SHA512])),
        Algorithm::Rsa2048 => Some((tlv::RSA2048, &[tlv::SHA256])),
        Algorithm::Rsa3072 => Some((tlv::RSA3072, &[tlv::SHA256])),
        Algorithm::X25519 => None,
    }
}

impl Image {
    /// How the bootloader must have been built to hash it, in words: one build hashes in one way.
    #[must_use]
    pub fn hashed_as(&self) -> Option<&'static str> {
        let has = |kind: u16| self.tlvs.iter().any(|tlv| tlv.kind == kind);
        match (has(tlv::SIG_PURE), has(tlv::SHA256), has(tlv::SHA384), has(tlv::SHA512)) {
            (true, _, _, _) => Some("not at all (--pure)"),
            (false, true, false, false) => Some("with SHA-256"),
            (false, false, true, false) => Some("with SHA-384"),
            (false, false, false, true) => Some("with SHA-512"),
            (false, _, _, _) => None,
        }
    }

    /// Whether anybody signed it, with a key of any kind.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.tlvs.iter().any(|tlv| SIGNATURES.contains(&tlv.kind))
    }

    /// Everything that keeps a bootloader with this key from starting this image where it stands.
    ///
    /// # Errors
    /// One sentence for each.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Vec<String>> {
        let wrong: Vec<String> = self
            .judge(Some(&AnyKey::from(key.clone())))
            .objections
            .into_iter()
            .map(|objection| objection.why)
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Whether its hash fits its contents.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.hash_fits() == HashState::Fits
    }

    /// Whether the signature covers the image itself and not its hash.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        self.only(tlv::SIG_PURE).is_ok_and(|tlv| tlv.data == [1])
    }

    /// What holds, with the key of a recipe or without.
    #[must_use]
    pub fn judge(&self, key: Option<&AnyKey>) -> Verdict {
        let hash = self.hash_state();
        let signature = key.map_or(SignatureState::NoKey, |key| self.signature_state(key));
        let mut objections = self.unstartable();
        objections.extend(self.misplaced());
        objections.extend(self.encryption().into_iter().flat_map(encryption_objections));
        objections.extend(hash_objection(hash, self.has_other_hashes()));
        if let Some(key) = key {
            objections.extend(self.pure_with(key));
            objections.extend(self.hash_kind(key));
            objections.extend(self.named_key(key));
            objections.extend(self.signature_objection(signature, key));
        }
        let authentic = key.is_some() && objections.iter().all(|objection| objection.about != About::Authenticity);
        Verdict { hash, signature, authentic, objections }
    }

    /// What it says about its encryption.
    #[must_use]
    pub fn encryption(&self) -> Option<Encryption> {
        Encryption::of(self)
    }

    fn is_encrypted(&self) -> bool {
        self.encryption().is_some_and(|encryption| !encryption.clear)
    }

    fn hashes(&self) -> Vec<(&Tlv, Hash)> {
        let algorithm = |tlv: &Tlv| HASHES.iter().find(|(kind, _)| *kind == tlv.kind).map(|(_, hash)| *hash);
        self.tlvs.iter().filter_map(|tlv| Some((tlv, algorithm(tlv)?))).collect()
    }

    fn has_other_hashes(&self) -> usize {
        self.hashes().len()
    }

    fn hash_fits(&self) -> HashState {
        match self.hashes()[..] {
            [] if self.is_pure() => HashState::NotNeeded,
            [] => HashState::Missing,
            [(tlv, hash)] if self.covered.hashed(hash) == tlv.data => HashState::Fits,
            [_] => HashState::DoesNotFit,
            [_, _, ..] => HashState::Ambiguous,
        }
    }

    fn hash_state(&self) -> HashState {
        let state = self.hash_fits();
        if state == HashState::DoesNotFit && self.is_encrypted() { HashState::OnlyAfterDecryption } else { state }
    }

    /// Whether this key made the signature, over the contents where they can be read, over the named hash otherwise.
    fn signature_state(&self, key: &AnyKey) -> SignatureState {
        let Some((kind, _)) = signs_into(key) else { return SignatureState::Missing };
        let tlv = match self.only(kind) {
            Ok(tlv) => tlv,
            Err(0) => return SignatureState::Missing,
            Err(_) => return SignatureState::Ambiguous,
        };
        let hashes = self.hashes();
        let named = if let [(named, _)] = hashes[..] { Some(&named.data[..]) } else { None };
        let signature = unpadded(key, &tlv.data);
        let made = |message: &[u8]| key.verifies(message, Signature::Standard(signature));
        let fits = |fits: bool, state: SignatureState| if fits { state } else { SignatureState::DoesNotFit };
        match (self.is_encrypted(), key.algorithm(), named) {
            // imgtool and MCUboot hand Ed25519 the hash as the message; only pure signatures cover the image.
            (_, Algorithm::Ed25519, Some(named)) if !self.is_pure() => {
                let state = if self.is_intact() { SignatureState::Fits } else { SignatureState::FitsTheHash };
                fits(made(named), state)
            }
            (false, Algorithm::Ed25519, None) if !self.is_pure() => SignatureState::DoesNotFit,
            (false, ..) => fits(made(&self.covered.bytes), SignatureState::Fits),
            (true, Algorithm::P256, Some(named)) => {
                let digest = <[u8; 32]>::try_from(named).map(Digest);
                let made = digest.ok().zip(key.p256()).is_some_and(|(digest, key)| key.verifies(&digest, signature));
                fits(made, SignatureState::FitsTheHash)
            }
            (true, ..) => SignatureState::OnlyAfterDecryption,
        }
    }

    /// What keeps MCUboot from starting it in place even if everything is genuine.
    fn unstartable(&self) -> Vec<Objection> {
        let header = &self.header;
        let flag = |mask: u32, code, what: &str| header.has(mask).then(|| start(code, what));
        let elsewhere = header.has(flags::ROM_FIXED) && header.load_address != self.at;
        let counters = self.tlvs.iter().filter(|tlv| tlv.kind == tlv::SEC_CNT).count();
        let counter = counters > 0 && self.security_counter().is_none();
        let encrypted = self.is_encrypted().then(|| {
            start(
                "encrypted-in-place",
                "it is encrypted: MCUboot decrypts only what it moves from the secondary to the primary slot; for the \
                 primary slot sign with --clear, or without --encrypt",
            )
        });
        [
            encrypted,
            flag(
                flags::COMPRESSED_LZMA1 | flags::COMPRESSED_LZMA2,
                "compressed",
                "it is compressed: MCUboot decompresses only what it moves from the secondary to the primary slot",
            ),
            flag(flags::NON_BOOTABLE, "non-bootable", "it is marked as not bootable"),
            elsewhere.then(|| start("linked-elsewhere", format!("it was linked for 0x{:08X}", header.load_address))),
            header.has(flags::RAM_LOAD).then(|| {
                let what =
                    format!("it is to be copied to 0x{:08X}; on these chips images run in place", header.load_address);
                start("ram-load", what)
            }),
            counter.then(|| {
                let what = "its security counter is not one protected word, so MCUboot does not read it";
                start("counter-unread", what)
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Entries that MCUboot refuses where they stand, that come twice, or that are not as long as they must be.
    fn misplaced(&self) -> Vec<Objection> {
        let mut wrong = Vec::new();
        for (index, tlv) in self.tlvs.iter().enumerate() {
            let what = format!("TLV 0x{:04X} ({}) at 0x{:08X}", tlv.kind, tlv.name(), tlv.at);
            if !tlv.is_placed_well() {
                wrong.push(authenticity("tlv-unprotected", format!("{what} stands where no signature covers it")));
            }
            if let Some(lengths) = tlv.wrong_length() {
                let why = format!("{what} is {} bytes long, not {lengths}", tlv.data.len());
                wrong.push(authenticity("tlv-length", why));
            }
            let earlier = self.tlvs.get(..index).unwrap_or_default();
            if tlv.comes_once() && earlier.iter().any(|earlier| earlier.kind == tlv.kind) {
                wrong.push(authenticity("tlv-twice", format!("{what} comes a second time")));
            }
            if tlv.kind == tlv::ECDSA && trailing(&tlv.data) {
                wrong.push(authenticity("signature-trailing", format!("{what} has bytes behind the signature")));
            }
            if tlv.kind == tlv::SIG_PURE && tlv.data.len() == 1 && tlv.data != [1] {
                wrong.push(authenticity("pure-not-one", format!("{what} is not 1")));
            }
        }
        wrong.extend(self.order());
        wrong
    }

    /// MCUboot looks for the key when it reads its name, and skips signatures that it has no key for yet; imgtool stops
    /// at an Ed25519 signature whose hash it has not read. No tool writes another order.
    fn order(&self) -> Option<Objection> {
        let first = |kinds: &[u16]| self.tlvs.iter().position(|tlv| kinds.contains(&tlv.kind));
        let signature = first(&SIGNATURES)?;
        let before = |kinds: &[u16]| first(kinds).is_some_and(|at| signature < at);
        if before(&[tlv::KEYHASH, tlv::PUBKEY]) {
            let why = "its signature stands before the key it names, so MCUboot skips it";
            return Some(authenticity("key-after-signature", why));
        }
        before(&HASHES.map(|(kind, _)| kind))
            .then(|| authenticity("hash-after-signature", "its signature stands before its hash, as no tool writes it"))
    }

    /// Only builds for pure Ed25519 let SIG_PURE stand there; the others refuse the image.
    fn pure_with(&self, key: &AnyKey) -> Option<Objection> {
        let marked = self.tlvs.iter().any(|tlv| tlv.kind == tlv::SIG_PURE);
        (marked && key.algorithm() != Algorithm::Ed25519).then(|| {
            let why = format!("it is marked as signed without a hash, which {} keys never do", key.algorithm());
            authenticity("pure-with-hashing-key", why)
        })
    }

    /// A bootloader is built for one kind of hash with each kind of key.
    fn hash_kind(&self, key: &AnyKey) -> Option<Objection> {
        let (_, kinds) = signs_into(key)?;
        let (tlv, _) = *self.hashes().first()?;
        (!kinds.contains(&tlv.kind)).then(|| {
            let why =
                format!("its hash is {}, which no bootloader with a {} key computes", tlv.name(), key.algorithm());
            authenticity("hash-kind", why)
        })
    }

    fn named_key(&self, key: &AnyKey) -> Option<Objection> {
        let other = |named: String| {
            let why = format!("it says that it was signed with the key {named}, not {}", key.spki_sha256());
            authenticity("key-other", why)
        };
        let encoded = key.mcuboot_encoding();
        let carried = self.public_key().filter(|carried| *carried != encoded);
        let named = self.value(tlv::KEYHASH).filter(|hash| !self.names(hash, encoded));
        match (carried, named) {
            (Some(carried), _) => Some(other(Digest::of(carried).to_string())),
            (None, Some(named)) => Some(other(hex(named))),
            (None, None) if self.public_key().is_none() && self.value(tlv::KEYHASH).is_none() => Some(authenticity(
                "key-unnamed",
                "it does not say which key it was signed with (no PUBKEY and no KEYHASH)",
            )),
            (None, None) => None,
        }
    }

    /// Whether a KEYHASH is that of this encoding, by the hash the image itself uses.
    fn names(&self, hash: &[u8], encoded: &[u8]) -> bool {
        let used = self.hashes();
        let mut allowed =
            HASHES.iter().filter(|(kind, _)| used.is_empty() || used.iter().any(|(tlv, _)| tlv.kind == *kind));
        allowed.any(|(_, kind)| kind.of(encoded) == hash)
    }

    fn signature_objection(&self, state: SignatureState, key: &AnyKey) -> Option<Objection> {
        let kind = key.algorithm();
        match state {
            SignatureState::Fits | SignatureState::FitsTheHash | SignatureState::NoKey => None,
            SignatureState::DoesNotFit => {
                let why = format!("its signature was not made by the key {}", key.spki_sha256());
                Some(authenticity("signature-wrong", why))
            }
            SignatureState::Missing => {
                let others: Vec<&str> =
                    self.tlvs.iter().filter(|tlv| SIGNATURES.contains(&tlv.kind)).map(Tlv::name).collect();
                let others = if others.is_empty() { String::new() } else { format!(", but {}", others.join(", ")) };
                let noun = signs_into(key).and_then(|(kind, _)| name_of(kind)).unwrap_or("such a");
                Some(authenticity("signature-missing", format!("it has no {noun} signature for a {kind} key{others}")))
            }
            SignatureState::Ambiguous => {
                Some(authenticity("signature-twice", "it has several signatures of one kind; one is expected"))
            }
            SignatureState::OnlyAfterDecryption => Some(authenticity(
                "signature-after-decryption",
                "its signature covers what it is after decryption; only a device with the key can check it",
            )),
        }
    }
}

fn name_of(kind: u16) -> Option<&'static str> {
    let names = [
        (tlv::RSA2048, "RSA2048-PSS"),
        (tlv::ECDSA, "ECDSA"),
        (tlv::RSA3072, "RSA3072-PSS"),
        (tlv::ED25519, "ED25519"),
    ];
    names.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name)
}

fn encryption_objections(encryption: Encryption) -> Vec<Objection> {
    let contradictions = encryption.contradictions.into_iter();
    contradictions.map(|why| authenticity("encryption-contradicts-itself", why)).collect()
}

fn hash_objection(state: HashState, count: usize) -> Option<Objection> {
    let (code, why) = match state {
        HashState::Fits | HashState::NotNeeded => return None,
        HashState::DoesNotFit => {
            ("hash-wrong", "its hash does not fit its contents: the image was damaged or changed".to_owned())
        }
        HashState::Missing => ("hash-missing", "it has no SHA-256, SHA-384 or SHA-512".to_owned()),
        HashState::Ambiguous => ("hash-twice", format!("it has {count} hashes; one is expected")),
        HashState::OnlyAfterDecryption => (
            "hash-after-decryption",
            "its hash is of what it is after decryption; only a device with the key can check it".to_owned(),
        ),
    };
    Some(authenticity(code, why))
}

/// How long imgtool's `--pad-sig` makes an ECDSA signature with zeros, for old bootloaders: P-256 and P-384.
const PADDED: [usize; 2] = [72, 103];

/// The DER of a signature, and what stands behind it.
pub(super) fn der_and_rest(signature: &[u8]) -> (&[u8], &[u8]) {
    let length = signature.get(1).map_or(signature.len(), |length| usize::from(*length) + 2);
    signature.split_at_checked(length).unwrap_or((signature, &[]))
}

fn trailing(signature: &[u8]) -> bool {
    let (_, rest) = der_and_rest(signature);
    let padded = PADDED.contains(&signature.len()) && rest.iter().all(|byte| *byte == 0);
    !rest.is_empty() && !padded
}

/// A signature without the zeros behind it.
fn unpadded<'s>(key: &AnyKey, signature: &'s [u8]) -> &'s [u8] {
    match key.algorithm() {
        Algorithm::P256 | Algorithm::P384 if !trailing(signature) => der_and_rest(signature).0,
        Algorithm::P256
        | Algorithm::P384
        | Algorithm::Ed25519
        | Algorithm::X25519
        | Algorithm::Rsa2048
        | Algorithm::Rsa3072 => signature,
    }
}
