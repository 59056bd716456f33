//! What every unit of a lot becomes: all that a recipe and its files add up to, before anything is built.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::{
    chip::Word,
    cli::paper::{address, answer, row},
    ident::Digest,
    image::Segment,
    plan::{self, BootLine, Lot, Region},
    recipe::{Image, Inside, Is, Product, ReadBy, Ships},
};

/// What `--json` tells of it; `docs/check.md` documents the fields.
#[derive(Serialize)]
pub(super) struct Planned {
    product: String,
    title: String,
    #[serde(skip)]
    symbols: String,
    #[serde(skip)]
    recipe: Digest,
    #[serde(skip)]
    golden: Digest,
    chip: String,
    build_code_at_least: Option<String>,
    ships: Ships,
    labels: String,
    keys: Vec<KeyLine>,
    device_keys: Option<DeviceKeys>,
    decryption_key: Option<Digest>,
    release: Option<Vouched>,
    images: Vec<ImageLine>,
    regions: Vec<RegionLine>,
    words: Vec<WordLine>,
    key_hash: Option<Stamp>,
    counter: Option<Stamp>,
    serial: Option<Stamp>,
    lock: Vec<WordLine>,
    boot: Option<BootLine>,
    would_boot: WouldBoot,
}

#[derive(Serialize)]
struct KeyLine {
    name: String,
    algorithm: String,
    spki_sha256: Digest,
}

#[derive(Serialize)]
struct DeviceKeys {
    table: String,
    units: usize,
}

#[derive(Serialize)]
struct Vouched {
    name: String,
    build: String,
    manifest: String,
    signed_by: Vec<String>,
}

#[derive(Serialize)]
struct ImageLine {
    name: String,
    file: String,
    sha256: Digest,
    is: Is,
    at: String,
    end: String,
    segments: Vec<Piece>,
    version: Option<String>,
    security_counter: Option<u32>,
    encrypted: bool,
    signed: Option<String>,
    keys: Option<Inside>,
    trusts: Vec<String>,
    own_key_at: Option<String>,
}

/// A part of an image without a gap.
#[derive(Serialize)]
struct Piece {
    at: String,
    end: String,
}

#[derive(Serialize)]
struct RegionLine {
    name: String,
    at: String,
    end: String,
    sha256: Digest,
}

#[derive(Serialize)]
struct WordLine {
    name: String,
    at: String,
    value: String,
    mask: String,
}

/// Words that belong together.
#[derive(Serialize)]
struct Stamp {
    at: String,
    words: usize,
    /// Whose hash it is, or the value it begins with; `null` where each unit has its own.
    of: Option<String>,
    read_by: Option<ReadBy>,
}

/// What the files alone can tell.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum WouldBoot {
    /// Every bootloader of the chain was asked about the planned bytes, and none refused.
    Yes,
    /// Nothing speaks against it, and something cannot be told from files.
    Undecided(Vec<String>),
}

impl Planned {
    pub(super) fn of(lot: &Lot) -> Self {
        let (product, golden) = (&lot.product, &lot.golden);
        let undecided = plan::boots(product, golden).undecided;
        Self {
            product: product.code.clone(),
            title: product.title.clone(),
            symbols: product.symbols.clone(),
            recipe: product.digest,
            golden: golden.digest,
            chip: golden.chip.clone(),
            build_code_at_least: product.silicon.at_least.as_ref().map(|code| code.value.to_string()),
            ships: product.silicon.ships,
            labels: product.serial.pattern().to_owned(),
            keys: keys(product),
            device_keys: device_keys(product),
            decryption_key: product.decryption,
            release: release(product),
            images: product.images.iter().map(image).collect(),
            regions: golden.regions.iter().map(region).collect(),
            words: golden.words.iter().map(word).collect(),
            key_hash: product
                .key_hash
                .as_ref()
                .and_then(|hash| stamp(golden.words.iter(), "key_hash", Some(hash.key.clone()), Some(hash.read_by))),
            counter: product.counter.as_ref().and_then(|counter| {
                stamp(golden.words.iter(), "counter", Some(counter.initial.to_string()), Some(counter.read_by))
            }),
            serial: golden.serial.as_ref().map(|serial| Stamp {
                at: address(serial.at),
                words: serial.words as usize,
                of: None,
                read_by: None,
            }),
            lock: golden.lock.iter().map(word).collect(),
            boot: golden.boot.clone(),
            would_boot: if undecided.is_empty() { WouldBoot::Yes } else { WouldBoot::Undecided(undecided) },
        }
    }
}

fn keys(product: &Product) -> Vec<KeyLine> {
    let line = |(name, key): (&String, &crate::keys::AnyKey)| KeyLine {
        name: name.clone(),
        algorithm: key.algorithm().to_string(),
        spki_sha256: key.spki_sha256(),
    };
    product.keys.iter().map(line).collect()
}

fn device_keys(product: &Product) -> Option<DeviceKeys> {
    let keys = product.device_keys.as_ref()?;
    Some(DeviceKeys { table: keys.file.clone(), units: keys.len() })
}

fn release(product: &Product) -> Option<Vouched> {
    let release = product.release.as_ref()?;
    Some(Vouched {
        name: release.release.clone(),
        build: release.build.clone(),
        manifest: release.file.clone(),
        signed_by: release.signed_by.clone(),
    })
}

fn image(image: &Image) -> ImageLine {
    let about = image.about.as_ref();
    let end = image.map.segments().last().map_or(0, Segment::end);
    ImageLine {
        name: image.name.clone(),
        file: image.file.clone(),
        sha256: image.digest,
        is: image.is,
        at: address(image.map.first()),
        end: address(end),
        segments: image.map.segments().iter().map(piece).collect(),
        version: about.map(|about| about.header.version.to_string()),
        security_counter: about.and_then(crate::image::mcuboot::Image::security_counter),
        encrypted: about.is_some_and(|about| about.encryption().is_some()),
        signed: image.signed.clone(),
        keys: image.inside,
        trusts: image.trusts.clone(),
        own_key_at: image.patch.map(|patch| address(patch.at)),
    }
}

fn piece(segment: &Segment) -> Piece {
    Piece { at: address(segment.at), end: address(segment.end()) }
}

fn region(region: &Region) -> RegionLine {
    let end = u64::from(region.at) + region.bytes.len() as u64;
    RegionLine { name: region.name.clone(), at: address(region.at), end: address(end), sha256: region.digest }
}

fn word(word: &Word) -> WordLine {
    let Word { name, at, value, mask } = word;
    WordLine { name: name.clone(), at: address(*at), value: address(*value), mask: address(*mask) }
}

fn stamp<'w>(
    words: impl Iterator<Item = &'w Word>,
    name: &str,
    of: Option<String>,
    read_by: Option<ReadBy>,
) -> Option<Stamp> {
    let own: Vec<&Word> = words.filter(|word| belongs(&word.name, name)).collect();
    Some(Stamp { at: address(own.first()?.at), words: own.len(), of, read_by })
}

fn belongs(word: &str, stamp: &str) -> bool {
    word.split('[').next() == Some(stamp)
}

/// As recipes write it.
fn said(word: impl Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        answer(f, &self.product, &self.title)?;
        row(f, "recipe", format!("{}, with all it pins: sha256 {}", self.symbols, self.recipe))?;
        let code = self.build_code_at_least.as_ref().map(|code| format!(", build code {code} or later"));
        row(f, "chip", format!("{}{}; boards arrive {}", self.chip, code.unwrap_or_default(), said(self.ships)))?;
        row(f, "labels", &self.labels)?;
        self.trust(f)?;
        self.images.iter().try_for_each(|image| row(f, "flash", image))?;
        let common =
            self.words.iter().filter(|word| !["key_hash", "counter"].iter().any(|name| belongs(&word.name, name)));
        common.into_iter().try_for_each(|word| row(f, "UICR", word))?;
        self.stamps(f)?;
        self.lock.iter().try_for_each(|word| row(f, "lock", word))?;
        self.boots(f)?;
        row(f, "golden state", format!("what a finished unit is compared with: sha256 {}", self.golden))
    }
}

impl Planned {
    fn trust(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for KeyLine { name, algorithm, spki_sha256 } in &self.keys {
            row(f, "key", format!("{name}: {algorithm}, spki_sha256 {spki_sha256}"))?;
        }
        if let Some(DeviceKeys { table, units }) = &self.device_keys {
            row(f, "own keys", format!("one for each of {units} units, from {table}"))?;
        }
        if let Some(fingerprint) = &self.decryption_key {
            row(f, "decryption", format!("a key inside the bootloader, spki_sha256 {fingerprint}"))?;
        }
        if let Some(Vouched { name, build, manifest, signed_by }) = &self.release {
            row(f, "release", format!("{name} ({build}), {manifest} signed by {}", signed_by.join(", ")))?;
        }
        Ok(())
    }

    fn stamps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = |stamp: &Stamp| stamp.of.clone().unwrap_or_default();
        if let Some(hash) = &self.key_hash {
            row(f, "key hash", format!("{hash}: SHA-256 of the SubjectPublicKeyInfo of {}", whose(hash)))?;
        }
        if let Some(counter) = &self.counter {
            row(f, "counter", format!("{counter}: begins at {}", whose(counter)))?;
        }
        self.serial.as_ref().map_or(Ok(()), |serial| row(f, "serial", format!("{serial}: each unit's own")))
    }

    fn boots(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.would_boot {
            WouldBoot::Yes => row(f, "would boot", "yes, as far as files tell")?,
            WouldBoot::Undecided(_) => row(f, "would boot", "nothing speaks against it; the notes say what is open")?,
        }
        let seen = |boot: &BootLine| format!("the console must say {:?} within {} ms", boot.uart, boot.within_ms);
        row(f, "boot seen", self.boot.as_ref().map_or_else(|| "no: the recipe names nothing to see".to_owned(), seen))
    }
}

impl Display for ImageLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.places(f)?;
        write!(f, " {}: {}", self.name, said(self.is))?;
        let trusts = if self.trusts.is_empty() { None } else { Some(self.trusts.join(", ")) };
        let said = [
            (" version ", self.version.clone()),
            (", security counter ", self.security_counter.map(|value| value.to_string())),
            (", ", self.encrypted.then(|| "its updates encrypted".to_owned())),
            (", signed by ", self.signed.clone()),
            (", keys ", self.keys.map(said)),
            (", trusts ", trusts),
            (", each unit's own key at ", self.own_key_at.clone()),
        ];
        for (before, value) in said {
            value.map_or(Ok(()), |value| write!(f, "{before}{value}"))?;
        }
        write!(f, "; {}", self.file)
    }
}

/// So many pieces of an image are told to people one by one.
const PIECES: usize = 4;

impl ImageLine {
    /// Where it stands, without the gaps in it.
    fn places(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Piece { at, end }) in self.segments.iter().take(PIECES).enumerate() {
            write!(f, "{}{at}..{end}", if index == 0 { "" } else { ", " })?;
        }
        match self.segments.len().saturating_sub(PIECES) {
            0 => Ok(()),
            more => write!(f, " and {more} more up to {}", self.end),
        }
    }
}

impl Display for WordLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} = {}", self.at, self.name, self.value)?;
        if self.mask == address(u32::MAX) { Ok(()) } else { write!(f, " in the bits {}", self.mask) }
    }
}

impl Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} words", self.at, self.words)?;
        self.read_by.map_or(Ok(()), |reader| write!(f, ", read by {}", said(reader)))
    }
}
