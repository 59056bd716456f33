//! What `inspect` tells of one image for MCUboot.

use std::fmt::{self, Display};

use serde::Serialize;

use super::{look::Asked, memory::address, report::RefusedReport};
use crate::{
    cli::paper::{COLUMN, limbs_at, row},
    fault::Problem,
    ident::{Digest, hex},
    image::{
        Map,
        mcuboot::{self, About, Dependency, Objection, Standing, Tlv, Trailer, Verdict, encryption::Encryption, flags},
        scan,
    },
    keys::AnyKey,
};

#[derive(Serialize)]
pub(super) struct McubootReport {
    at: String,
    version: String,
    header_size: u16,
    image_size: u32,
    flags: String,
    flags_named: Vec<String>,
    load_address: String,
    security_counter: Option<u32>,
    counter_too_large: Option<String>,
    #[serde(skip)]
    counter_problem: Option<Problem>,
    hash_fits: bool,
    signature: String,
    signed_with: Option<Digest>,
    key_hash: Option<String>,
    refused: Option<RefusedReport>,
    dependencies: Vec<Dependency>,
    encryption: Option<Encryption>,
    trailer: Option<Trailer>,
    /// With the key of `--key`, or without one.
    verdict: Verdict,
    /// The file of the key that signed it, of those that were given.
    verified_by: Option<String>,
    tlvs: Vec<Tlv>,
    /// What it is worth by itself, whatever key it should be of.
    standing: Standing,
    /// Why no bootloader should take it.
    flaws: Vec<Objection>,
    #[serde(skip)]
    flaw_problem: Option<Problem>,
    /// What it is beside a program that runs where it stands.
    #[serde(skip)]
    special: &'static str,
    /// Whether a key was given.
    #[serde(skip)]
    asked: bool,
}

impl McubootReport {
    pub(super) fn new(image: &mcuboot::Image, map: &Map, found: &[scan::Found], asked: &Asked) -> Self {
        let signed_with = image.signer();
        let refused = image.refused_by(&asked.list);
        let key = judge_of(image, &asked.keys);
        let verdict = image.judge(key.map(|(_, key)| key));
        let flaws = image.flaws();
        let standing = image.standing(&flaws);
        Self {
            at: address(image.at),
            version: image.header.version.to_string(),
            header_size: image.header.header_size,
            image_size: image.header.image_size,
            flags: format!("0x{:08X}", image.header.flags),
            flags_named: image.header.flag_names(),
            load_address: address(image.header.load_address),
            security_counter: image.security_counter(),
            counter_too_large: image.counter_too_large(),
            counter_problem: image
                .counter_too_large()
                .map(|why| map.problem_at(image.at, format!("{why} (image at {})", address(image.at)))),
            hash_fits: image.is_intact(),
            signature: match key {
                Some(_) if verdict.authentic => "fits the key that was given".to_owned(),
                Some(_) => "is not shown to be of the key that was given".to_owned(),
                None => signature(image, found),
            },
            signed_with,
            key_hash: image.key_hash_bytes().map(hex),
            refused: refused.map(RefusedReport::new),
            dependencies: image.dependencies(),
            encryption: image.encryption(),
            trailer: image.trailer,
            verified_by: key.filter(|_| verdict.authentic).map(|(name, _)| name.clone()),
            verdict,
            tlvs: image.tlvs.clone(),
            standing,
            flaw_problem: flaw_problem(image.at, map, standing, &flaws),
            flaws,
            special: special(&image.header),
            asked: key.is_some(),
        }
    }

    /// In one phrase, with what speaks against it.
    pub(super) fn is(&self) -> String {
        let by = |name: &String| format!(", signed with {name}");
        let other = || if self.asked { ", signed with no key of --key" } else { "" }.to_owned();
        let signer = || self.verified_by.as_ref().map_or_else(other, by);
        let state = self.standing.words().map_or_else(signer, |words| format!(", {words}"));
        let encrypted = self
            .encryption
            .as_ref()
            .map(|encryption| if encryption.clear { ", for updates encrypted" } else { ", encrypted" });
        let kind = encrypted.unwrap_or_default();
        format!("an image for MCUboot, version {}{kind}{}{state}", self.version, self.special)
    }

    /// Why it would not do what it is for.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.flaw_problem.iter().chain(&self.counter_problem).cloned()
    }

    pub(super) fn refused_signer(&self) -> Option<&RefusedReport> {
        self.refused.as_ref()
    }

    pub(super) fn refused(&self) -> Option<String> {
        self.refused.as_ref().map(|refused| format!("{} at {}", refused.why, self.at))
    }

    /// Why it is not shown to be of a key of the command line. What is wrong whatever the key is told as a problem anyway.
    pub(super) fn unauthentic(&self) -> Option<String> {
        let known = |objection: &&Objection| self.flaws.iter().any(|flaw| flaw.code == objection.code);
        let mine = self.verdict.objections.iter().filter(|objection| objection.about == About::Authenticity);
        let mut why: Vec<&str> = mine.filter(|objection| !known(objection)).map(|objection| &*objection.why).collect();
        why.extend(self.standing.words().filter(|_| why.is_empty()));
        let what = format!("the image at {} is not shown to be genuine: {}", self.at, why.join("; "));
        (!self.verdict.authentic).then_some(what)
    }
}

fn special(header: &mcuboot::Header) -> &'static str {
    if header.has(flags::NON_BOOTABLE) {
        ", not to be started"
    } else if header.has(flags::COMPRESSED_LZMA1 | flags::COMPRESSED_LZMA2) {
        ", compressed"
    } else {
        ""
    }
}

/// All that is wrong with it whatever the key, as one problem.
fn flaw_problem(at: u32, map: &Map, standing: Standing, flaws: &[Objection]) -> Option<Problem> {
    let why: Vec<&str> = flaws.iter().map(|flaw| &*flaw.why).collect();
    let words = standing.words().filter(|_| !flaws.is_empty())?;
    Some(map.problem_at(at, format!("the image at {} is {words}: {}", address(at), why.join("; "))))
}

/// The key that signed it, or else the first: its verdict says why it is none.
fn judge_of<'k>(image: &mcuboot::Image, keys: &'k [(String, AnyKey)]) -> Option<&'k (String, AnyKey)> {
    keys.iter().find(|(_, key)| image.judge(Some(key)).authentic).or_else(|| keys.first())
}

/// Without a key from outside, the keys at hand are tried; none of them proves whom the image is from.
fn signature(image: &mcuboot::Image, found: &[scan::Found]) -> String {
    if !image.is_signed() {
        return "none: it has a hash, and nobody signed it".to_owned();
    }
    let fits = |key: &AnyKey| image.judge(Some(key)).authentic;
    if let Some(carried) = image.public_key() {
        return match AnyKey::from_der(carried).map(|(key, _)| fits(&key)) {
            Ok(true) => "fits the key that the file carries; whose that is, a recipe says",
            Ok(false) => "does not fit the key that the file carries",
            Err(_) => "not verified: the key in the file is of no kind known here",
        }
        .to_owned();
    }
    let mut beside = found.iter().filter_map(|found| Some((found.at, found.key.as_ref()?))).take(TRIES);
    if let Some((at, _)) = beside.find(|(_, key)| fits(key)) {
        return format!("fits the key at {} of the same file; whose that is, a recipe says", address(at));
    }
    "not verified: no key given, and none that fits is in the file".to_owned()
}

/// How many keys of the same file are tried: each costs arithmetic.
const TRIES: usize = 16;

impl Display for McubootReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counter = self.security_counter.map_or_else(|| "none".to_owned(), |counter| counter.to_string());
        row(f, "signed image", format!("{}: version {}, security counter {counter}", self.at, self.version))?;
        // Of the two halves of a verdict in words, the first is the hash's.
        let verdict = self.verdict.explain().value;
        let hash = verdict.split("; signature").next().unwrap_or_default();
        row(f, "", format!("{hash}; signature {}", self.signature))?;
        if !self.flags_named.is_empty() {
            row(f, "", format!("flags {}", self.flags_named.join(", ")))?;
        }
        let encryption = self.encryption.as_ref().map(Encryption::explain);
        let trailer = self.trailer.as_ref().map(Trailer::explain);
        for branch in encryption.iter().chain(&trailer) {
            limbs_at(f, branch, COLUMN)?;
        }
        // What is wrong with it whatever the key is told as a problem of the file.
        let flaw = |objection: &&Objection| self.flaws.iter().any(|flaw| flaw.code == objection.code);
        for why in self.verdict.objections.iter().filter(|one| !flaw(one)).map(|objection| &objection.why) {
            row(f, "", format!("! {why}"))?;
        }
        if let Some(refused) = &self.refused {
            row(f, "refused", format!("signed with a {}", refused.why))?;
        }
        for tlv in &self.tlvs {
            let protected = if tlv.protected { ", protected" } else { "" };
            let meaning = tlv.meaning();
            let colon = if meaning.is_empty() { "" } else { ": " };
            let (kind, name, length) = (tlv.kind, tlv.name(), tlv.data.len());
            row(f, "", format!("0x{kind:04X} {name} ({length} bytes{protected}){colon}{meaning}"))?;
        }
        Ok(())
    }
}
