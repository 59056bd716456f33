//! One key per device: the unit's own key takes the one place in a pinned bootloader that is a key's, and no other byte.
//!
//! The place is recognised, not believed: a key on the curve stands there, or the words that a bootloader built for
//! this purpose holds instead. After the change the only key inside is the unit's.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    fault::{Exit, Problem},
    image::{
        Map, Segment,
        mcuboot::positions,
        scan::{self, Kind},
    },
    keys::{Order, P256_GENERATOR, P256_SPKI_HEAD, P256_SPKI_LEN, PublicKey, p256_points, refuse::RefuseList},
};

/// What stands in place of X and Y in a bootloader that was built without a key: 64 bytes of ASCII.
pub const PLACEHOLDER: &[u8; 64] = b"ROOTSTAMP: THE KEY OF ONE DEVICE ROOTSTAMP: GOES IN THIS PLACE. ";

/// In which form a bootloader holds its key.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "KeyForm")]
pub enum Form {
    /// X and Y, each with its last byte first: the `pk` of the nRF5 SDK.
    #[serde(rename = "nrf5sdk-le")]
    Nrf5SdkLe,
    /// A SubjectPublicKeyInfo in DER: MCUboot.
    Spki,
    /// X and Y, big-endian.
    Raw,
}

impl Form {
    /// The words recipes use.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("nrf5sdk-le", Self::Nrf5SdkLe), ("spki", Self::Spki), ("raw", Self::Raw)];

    /// How many bytes a key takes.
    #[must_use]
    pub const fn len(self) -> u32 {
        match self {
            Self::Nrf5SdkLe | Self::Raw => 64,
            // Checked below: the length of a SubjectPublicKeyInfo is 91.
            Self::Spki => 91,
        }
    }

    /// Never: a key has bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The key as a bootloader holds it.
    #[must_use]
    pub fn bytes(self, key: &PublicKey) -> Vec<u8> {
        match self {
            Self::Nrf5SdkLe => turned(key.xy()),
            Self::Spki => key.spki().to_vec(),
            Self::Raw => key.xy().to_vec(),
        }
    }

    /// The key that these bytes are, if they are one.
    #[must_use]
    pub fn key(self, bytes: &[u8]) -> Option<PublicKey> {
        match self {
            Self::Nrf5SdkLe => PublicKey::from_xy(&turned(bytes).try_into().ok()?).ok(),
            Self::Spki => PublicKey::from_spki(bytes).ok(),
            Self::Raw => PublicKey::from_xy(bytes.try_into().ok()?).ok(),
        }
    }

    fn is_placeholder(self, bytes: &[u8]) -> bool {
        match self {
            Self::Nrf5SdkLe | Self::Raw => bytes == PLACEHOLDER,
            Self::Spki => bytes.strip_prefix(&P256_SPKI_HEAD) == Some(PLACEHOLDER),
        }
    }
}

const _: () = assert!(P256_SPKI_LEN == 91);

/// X and Y, each with its last byte first; the same again turns it back.
fn turned(xy: &[u8]) -> Vec<u8> {
    let (x, y) = xy.split_at(xy.len() / 2);
    x.iter().rev().chain(y.iter().rev()).copied().collect()
}

/// The one place of a key in a bootloader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patch {
    /// Address of its first byte.
    pub at: u32,
    /// In which form the key stands there.
    pub form: Form,
}

/// A key found in the forms that have no head to be found by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bare {
    /// Address of its first byte.
    pub at: u32,
    /// [`Form::Nrf5SdkLe`] or [`Form::Raw`].
    pub form: Form,
    /// The key.
    pub key: PublicKey,
}

/// The most program that is searched for keys without a head, in bytes: the flash of the largest chip with such a
/// bootloader, every byte of which can be tried.
pub(super) const SEARCHED_MAX: usize = 1 << 20;

/// Where a program holds the generator as it holds its keys, each coordinate with its last byte first.
#[must_use]
pub fn generator(map: &Map) -> Option<u32> {
    let turned = turned(&P256_GENERATOR);
    map.segments().iter().find_map(|segment| positions(segment, &turned).next())
}

/// Every P-256 key without a head: any 64 bytes that are a point of the curve, its generator left out. That no other 64
/// bytes are one by chance is as sure as the curve itself. In up to a mebibyte every place is looked at; in
/// more, every fourth, where compilers put them. The first thousand at most.
#[must_use]
pub fn bare_keys(map: &Map) -> Vec<Bare> {
    let step = if map.len() > SEARCHED_MAX { 4 } else { 1 };
    let mut found = Vec::new();
    for segment in map.segments() {
        // Behind the last word of memory there is no next one.
        let Some(first) = segment.at.checked_next_multiple_of(4) else { continue };
        let first = if step == 1 { segment.at } else { first };
        let bytes = segment.bytes.get((first - segment.at) as usize..).unwrap_or_default();
        let mut here: Vec<Bare> = Vec::new();
        for (form, order) in [(Form::Nrf5SdkLe, Order::Little), (Form::Raw, Order::Big)] {
            let points = p256_points(bytes, order, step).filter_map(|from| {
                let key = form.key(bytes.get(from..from + 64)?).filter(|key| key.xy() != P256_GENERATOR)?;
                Some(Bare { at: first.checked_add(u32::try_from(from).ok()?)?, form, key })
            });
            here.extend(points.take(FOUND));
        }
        here.sort_by_key(|bare| bare.at);
        found.extend(here);
        found.truncate(FOUND);
    }
    found
}

/// More than any program holds; a file that is made of keys would make a report many times its size.
const FOUND: usize = 1000;

impl Patch {
    fn bytes(self, map: &Map) -> Option<&[u8]> {
        map.bytes(self.at..self.at.checked_add(self.form.len())?)
    }

    /// Whether the place is that of a key, and of the only one.
    ///
    /// # Errors
    /// What stands there instead, and every other key inside, with its address.
    pub fn check(self, map: &Map, list: &RefuseList) -> Result<(), Vec<Problem>> {
        let at = self.at;
        if map.len() > SEARCHED_MAX {
            let what = format!(
                "is {} bytes long; no bootloader whose key is replaced has more than {SEARCHED_MAX}",
                map.len()
            );
            return Err(vec![Problem::new(map.name(), what)]);
        }
        let Some(bytes) = self.bytes(map) else {
            let what = format!("has no {} bytes at 0x{at:08X}, where the key of a device goes", self.form.len());
            return Err(vec![Problem::new(map.name(), what)]);
        };
        let held = self.form.key(bytes);
        if held.is_none() && !self.form.is_placeholder(bytes) {
            return Err(vec![map.problem_at(at, format!("what stands at 0x{at:08X} is no key: {}", looks(bytes)))]);
        }
        let problems = self.others(map, list);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Every key or placeholder beside the one place.
    fn others(self, map: &Map, list: &RefuseList) -> Vec<Problem> {
        let place = self.at..self.at.saturating_add(self.form.len());
        let beside = |at: u32| !place.contains(&at);
        let mut found: Vec<(u32, String, Exit)> = Vec::new();
        for one in scan::keys(map, list).iter().filter(|one| beside(one.at)) {
            let exit = if matches!(one.kind, Kind::Private(_)) || one.refused.is_some() {
                Exit::KeyRefused
            } else {
                Exit::Usage
            };
            found.push((one.at, one.what(), exit));
        }
        let headed: Vec<u32> = found.iter().map(|(at, ..)| *at).collect();
        for bare in bare_keys(map).iter().filter(|bare| beside(bare.at)) {
            if !headed.iter().any(|at| covers(*at, bare.at)) {
                found.push((bare.at, format!("P-256 key {}", bare.key.spki_sha256()), Exit::Usage));
            }
        }
        for segment in map.segments() {
            let hits = (segment.at..).zip(segment.bytes.windows(64)).filter(|(_, bytes)| bytes == PLACEHOLDER);
            let outside = hits.filter(|(at, _)| beside(*at));
            found.extend(outside.map(|(at, _)| (at, "a second placeholder".to_owned(), Exit::Usage)));
        }
        let told = |(at, what, exit): (u32, String, Exit)| {
            let what = format!("{what} at 0x{at:08X}, beside the key of the device: only one key may be inside");
            map.problem_at(at, what).exit(exit)
        };
        found.into_iter().map(told).collect()
    }

    /// The image with this key in the place, proven: no other byte changed, and the only key inside is this one.
    ///
    /// # Errors
    /// As [`Patch::check`], of the image before and after.
    pub fn apply(self, map: &Map, key: &PublicKey, list: &RefuseList) -> Result<Map, Vec<Problem>> {
        self.check(map, list)?;
        let patched = self.written(map, key);
        let proven = patched.as_ref().filter(|patched| self.only_there(map, patched, key));
        let Some(patched) = proven else {
            let what = format!("the key cannot be put at 0x{:08X}", self.at);
            return Err(vec![map.problem_at(self.at, what)]);
        };
        self.check(patched, list)?;
        Ok(patched.clone())
    }

    fn written(self, map: &Map, key: &PublicKey) -> Option<Map> {
        let mut patched = map.clone();
        let index = patched.segments.partition_point(|segment| segment.at <= self.at).checked_sub(1)?;
        let segment = Arc::make_mut(&mut patched.segments).get_mut(index)?;
        let from = (self.at - segment.at) as usize;
        let bytes = self.form.bytes(key);
        segment.bytes.get_mut(from..from + bytes.len())?.copy_from_slice(&bytes);
        Some(patched)
    }

    fn only_there(self, before: &Map, after: &Map, key: &PublicKey) -> bool {
        let end = self.at.saturating_add(self.form.len());
        let outside = |map: &Map| -> Vec<(u32, Vec<u8>, Vec<u8>)> {
            let cut = |segment: &Segment| {
                let from = (self.at.max(segment.at) - segment.at) as usize;
                let to = (end.max(segment.at) - segment.at) as usize;
                let before = segment.bytes.get(..from).unwrap_or(&segment.bytes).to_vec();
                (segment.at, before, segment.bytes.get(to..).unwrap_or_default().to_vec())
            };
            map.segments().iter().map(cut).collect()
        };
        outside(before) == outside(after)
            && self.bytes(after).and_then(|bytes| self.form.key(bytes)).as_ref() == Some(key)
    }
}

/// Whether a bare key is the inside of a key that was found with its head.
fn covers(found: u32, bare: u32) -> bool {
    (found..found.saturating_add(92)).contains(&bare)
}

fn looks(bytes: &[u8]) -> &'static str {
    let first = bytes.first();
    match first {
        Some(0xFF) if bytes.iter().all(|byte| Some(byte) == first) => {
            "it is erased flash, which could be anything's place"
        }
        Some(0) if bytes.iter().all(|byte| Some(byte) == first) => "it is all zeros, which could be anything's place",
        _ => "neither a P-256 key in this form nor the placeholder (docs/dfu.md)",
    }
}
