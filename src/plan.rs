//! Recipe and chip family become a golden state, once per lot, or every reason why there is none.
//!
//! The golden state is what the finished device must read as. Programming writes it, verification compares it, QA
//! compares it again months later; no step knows an expectation of its own.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{
    chip::{self, Family, Word},
    fault::{Exit, Fault, Party, Problem},
    ident::{self, Digest, Serial},
    image,
    keys::AnyKey,
    page::{Placed, nearest},
    recipe::{self, Product},
};

mod boots;

pub use boots::{Boots, boots, would_boot};

/// Version of the shape of [`Golden`] as it is stored.
const SCHEMA: u32 = 1;

/// Bytes that stand together in flash.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Region {
    /// Name of the image it comes from; with a number behind it where the image has several parts.
    pub name: String,
    /// Byte address, a multiple of 4.
    pub at: u32,
    /// The bytes, a multiple of 4 of them, padded with the erased value.
    #[serde(with = "hexadecimal")]
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes.
    pub digest: Digest,
}

impl Region {
    /// The bytes as the little-endian words that the chip reads.
    #[must_use]
    pub fn words(&self) -> Vec<u32> {
        self.bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    }

    fn range(&self) -> Range<u64> {
        let first = u64::from(self.at);
        first..first + self.bytes.len() as u64
    }
}

/// Where a unit's serial number is stamped.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SerialAt {
    /// Byte address of the first word.
    pub at: u32,
    /// Words there are.
    pub words: u32,
}

/// What the firmware must say after the lock reset.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BootLine {
    /// Text on the console.
    pub uart: String,
    /// Deadline in milliseconds after the reset.
    pub within_ms: u64,
}

/// Who reads a stamp; "nobody" is said in the record.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reader {
    /// The stamp.
    pub stamp: String,
    /// Who reads it.
    pub read_by: String,
}

/// What the finished device must read as.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Golden {
    /// Version of this shape.
    pub schema: u32,
    /// The chip.
    pub chip: String,
    /// Product code.
    pub product: String,
    /// Digest of the recipe it was compiled from.
    pub recipe: Digest,
    /// Flash, in rising order; the first is where the chip starts.
    pub regions: Vec<Region>,
    /// Words that are the same in every unit.
    pub words: Vec<Word>,
    /// Where each unit's serial number is.
    pub serial: Option<SerialAt>,
    /// The words that close the debug port, in the order they are written.
    pub lock: Vec<Word>,
    /// What the firmware must say.
    pub boot: Option<BootLine>,
    /// Who reads which stamp.
    pub readers: Vec<Reader>,
    /// The key that this unit trusts and no other does: its SubjectPublicKeyInfo, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_key: Option<String>,
    /// SHA-256 of this state as it is stored; not part of what is stored.
    #[serde(skip, default = "nothing_yet")]
    pub digest: Digest,
}

const fn nothing_yet() -> Digest {
    Digest([0; 32])
}

impl Golden {
    /// As it is stored, and as its digest is taken.
    ///
    /// # Errors
    /// Never for a golden state that `plan` made; serde's word for it otherwise.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// That of a unit with flash of its own, not yet sealed.
    fn of_unit(&self, regions: Vec<Region>, own_key: String) -> Self {
        Self {
            schema: self.schema,
            chip: self.chip.clone(),
            product: self.product.clone(),
            recipe: self.recipe,
            regions,
            words: self.words.clone(),
            serial: self.serial.clone(),
            lock: self.lock.clone(),
            boot: self.boot.clone(),
            readers: self.readers.clone(),
            own_key: Some(own_key),
            digest: nothing_yet(),
        }
    }

    fn seal(&mut self) -> Result<(), Problem> {
        let bytes = self.to_bytes().map_err(|error| Problem::new(self.product.clone(), error.to_string()))?;
        self.digest = Digest::of(&bytes);
        Ok(())
    }

    /// From what was stored.
    ///
    /// # Errors
    /// Serde's word for what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let golden: Self = serde_json::from_slice(bytes)?;
        Ok(Self { digest: Digest::of(bytes), ..golden })
    }

    /// The words of one unit: the common ones, then its serial number as ASCII in little-endian words, padded with FF.
    #[must_use]
    pub fn words_for(&self, serial: &Serial) -> Vec<Word> {
        let mut words = self.words.clone();
        if let Some(place) = &self.serial {
            words.extend(serial_words(place.at, serial));
        }
        words
    }
}

fn serial_words(first: u32, serial: &Serial) -> Vec<Word> {
    let chunks = serial.as_str().as_bytes().chunks(4);
    let word = |chunk: &[u8]| chunk.iter().rev().fold(u32::MAX, |word, &byte| word << 8 | u32::from(byte));
    (0..)
        .zip(chunks)
        .map(|(index, chunk)| Word {
            name: format!("serial[{index}]"),
            at: first + 4 * index,
            value: word(chunk),
            mask: u32::MAX,
        })
        .collect()
}

/// A lot: what a station needs for all its units, checked once.
#[derive(Clone)]
pub struct Lot {
    /// The product as meant.
    pub product: Product,
    /// The chip's family.
    pub family: &'static dyn Family,
    /// What every unit must read as.
    pub golden: Golden,
}

impl Lot {
    /// The lot as this unit gets it, if each unit has a key of its own: with that key in place in the golden state, and
    /// nothing left that differs between units. `None` if all units are the same.
    ///
    /// # Errors
    /// The unit has no key in the recipe's table, or the place for it is not that of the only key.
    pub fn for_unit(&self, serial: &Serial) -> Result<Option<Self>, Fault> {
        let key = self.product.key_for(serial).map_err(|what| no_key(&what, &[]))?;
        let Some(key) = key else { return Ok(None) };
        let (mut product, mut problems) = (self.product.clone(), Vec::new());
        for image in &mut product.images {
            match self.product.patched(image, serial) {
                Ok(map) => (image.map, image.patch) = (map, None),
                Err(more) => problems.extend(more),
            }
        }
        product.device_keys = None;
        let regions = regions(&product, self.family, &mut problems);
        let mut golden = self.golden.of_unit(regions, ident::hex(key.spki()));
        problems.extend(golden.seal().err());
        if !problems.is_empty() {
            return Err(no_key("a unit's own key cannot be put in place", &problems));
        }
        let no = would_boot(&product, &golden);
        if no.is_empty() {
            Ok(Some(Self { product, family: self.family, golden }))
        } else {
            Err(not_bootable(serial, &no))
        }
    }

    /// Whether the golden state is that of this unit, and not of what all units share.
    ///
    /// # Errors
    /// As [`Lot::for_unit`], or this lot was not made for the unit.
    pub fn ready_for(&self, serial: &Serial) -> Result<(), Fault> {
        match self.for_unit(serial)? {
            None => Ok(()),
            Some(_) => Err(no_key("the golden state is not that of this unit", &[])),
        }
    }

    /// SHA-256 of the SubjectPublicKeyInfo of the unit's own key, or of the key that is stamped, if there is one.
    #[must_use]
    pub fn key(&self) -> Option<Digest> {
        if let Some(own) = self.golden.own_key.as_deref().and_then(ident::bytes_from_hex) {
            return Some(Digest::of(&own));
        }
        let stamp = self.product.key_hash.as_ref()?;
        self.product.keys.get(&stamp.key).map(AnyKey::spki_sha256)
    }

    /// Whether the recipe says that boards arrive closed.
    #[must_use]
    pub fn ships_closed(&self) -> bool {
        self.product.silicon.ships == recipe::Ships::Closed
    }
}

/// The family of a chip by the recipe's word for it.
///
/// # Errors
/// If this release does not know it.
pub fn family(chip: &Placed<String>) -> Result<&'static dyn Family, Problem> {
    chip::family(&chip.value).ok_or_else(|| {
        let known: Vec<&str> = chip::FAMILIES.iter().map(|family| family.name()).collect();
        let nearest = nearest(&chip.value, &known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let what = format!("this release does not provision {}; it knows {}{nearest}", chip.shown(), known.join(", "));
        chip.problem(what)
    })
}

/// Compiles a product for its chip.
///
/// # Errors
/// Every reason why it cannot be built, with file, line and column.
pub fn lot(mut product: Product) -> Result<Lot, Vec<Problem>> {
    let family = family(&product.chip).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let regions = regions(&product, family, &mut problems);
    let words = stamps(&product, family, &mut problems);
    let serial = serial_at(&product, family, &mut problems);
    overlaps(&words, serial.as_ref(), &product, &mut problems);
    if product.arrives == recipe::Arrives::Tested {
        let what = "this release erases boards without reading what a tester left on them; write arrives = \"blank\"";
        problems.push(Problem::new(product.source.name(), what));
    }
    if !product.lock.approtect.value {
        let what = "this release closes the debug port of every unit; write approtect = true";
        problems.push(product.lock.approtect.problem(what));
    }
    for slots in product.slots.iter().filter(|_| !has(family, "kmu")) {
        let what = format!("{} has no key management unit: only nRF54L has key slots", family.name());
        problems.push(slots.place.problem(what));
    }
    if let Some(region) = product.boot_region.as_ref().filter(|_| !has(family, "bootconf")) {
        let what = format!("{} has no BOOTCONF: only nRF54L has a boot region that becomes immutable", family.name());
        problems.push(region.place.problem(what));
    }
    let lock = family.lock_words();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut golden = Golden {
        schema: SCHEMA,
        chip: family.name().to_owned(),
        product: product.code.clone(),
        recipe: product.digest,
        regions,
        words,
        serial,
        lock,
        boot: product.boot.as_ref().map(|boot| BootLine { uart: boot.uart.clone(), within_ms: boot.within_ms }),
        readers: readers(&product),
        own_key: None,
        digest: nothing_yet(),
    };
    golden.seal().map_err(|problem| vec![problem])?;
    let boots = boots(&product, &golden);
    if !boots.no.is_empty() {
        return Err(boots.no);
    }
    product.remarks.extend(boots.undecided);
    Ok(Lot { product, family, golden })
}

/// Whether the chip has such an area.
fn has(family: &dyn Family, name: &str) -> bool {
    family.areas().iter().any(|(area, _)| *area == name)
}

fn no_key(what: &str, problems: &[Problem]) -> Fault {
    let next = "Add the unit to the table that [key.device] names, or print another label. Then run check again.";
    let fault = Fault::new(Party::Engineering, what, next).exit(Exit::KeyRefused).code("C-141");
    problems.iter().fold(fault, |fault, problem| fault.detail(problem.to_string()))
}

fn not_bootable(serial: &Serial, problems: &[Problem]) -> Fault {
    let next =
        "Give the unit the key that its bootloader needs in the table that [key.device] names. Then run check again.";
    let what = format!("{} would not boot with its own key", serial.as_str());
    let fault = Fault::new(Party::Engineering, what, next).exit(Exit::Usage).code("C-142");
    problems.iter().fold(fault, |fault, problem| fault.detail(problem.to_string()))
}

fn regions(product: &Product, family: &dyn Family, problems: &mut Vec<Problem>) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    for image in &product.images {
        problems.extend(image.map.outside(&[family.flash()]).into_iter().map(|mut problem| {
            problem
                .what
                .push_str("; only program flash is taken from an image, UICR words belong under [uicr] or [stamp]");
            problem
        }));
        let segments = image.map.segments();
        for (index, segment) in segments.iter().enumerate() {
            let name = if segments.len() == 1 { image.name.clone() } else { format!("{}.{index}", image.name) };
            regions.push(region(name, segment));
        }
    }
    regions.sort_by_key(|region| region.at);
    for (left, right) in regions.iter().zip(regions.iter().skip(1)) {
        if left.range().end > u64::from(right.at) {
            let what = format!("images {} and {} overlap at {:#010x}", left.name, right.name, right.at);
            problems.push(Problem::new(product.source.name(), what));
        }
    }
    if regions.first().is_none_or(|first| first.at != family.flash().start) {
        let what = format!("no image begins at {:#010x}, where the chip starts", family.flash().start);
        problems.push(Problem::new(product.source.name(), what));
    }
    regions
}

/// A segment widened to whole words with the erased value.
fn region(name: String, segment: &image::Segment) -> Region {
    let at = segment.at & !3;
    let mut bytes = vec![0xFF; (segment.at - at) as usize];
    bytes.extend(&segment.bytes);
    bytes.resize(bytes.len().next_multiple_of(4), 0xFF);
    Region { name, at, digest: Digest::of(&bytes), bytes }
}

fn stamps(product: &Product, family: &dyn Family, problems: &mut Vec<Problem>) -> Vec<Word> {
    let mut words = Vec::new();
    for setting in &product.uicr {
        match family.setting(&setting.word) {
            Ok(said) => words.extend(said),
            Err(what) => problems.push(setting.place.problem(what)),
        }
    }
    if let Some(stamp) = &product.key_hash {
        let key = product.keys.get(&stamp.key).map(|key| key.spki_sha256().0);
        let hash = key.unwrap_or_default();
        let values: Vec<u32> = hash.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let value = |index: u32| values.get(index as usize).copied().unwrap_or(u32::MAX);
        words.extend(place(family, &stamp.at, ("key_hash", recipe::KEY_HASH_WORDS), value, problems));
    }
    if let Some(counter) = &product.counter {
        // Slots are empty when erased; an initial value takes the first one, stored inverted so that bits only clear.
        let value = |index: u32| if index == 0 && counter.initial > 0 { !counter.initial } else { u32::MAX };
        words.extend(place(family, &counter.at, ("counter", counter.slots), value, problems));
    }
    words
}

/// So many words under this name, each with its value. The recipe says how many: none is made before all have room.
fn place(
    family: &dyn Family,
    spot: &recipe::Spot,
    (name, words): (&str, u32),
    value: impl Fn(u32) -> u32,
    problems: &mut Vec<Problem>,
) -> Vec<Word> {
    let last = words.checked_sub(1).and_then(|last| spot.index.checked_add(last));
    if last.and_then(|last| family.spot(&spot.area, last)).is_none() {
        problems.push(spot.place.problem(no_room(family, spot, name, words)));
        return Vec::new();
    }
    let word = |step: u32| {
        let at = family.spot(&spot.area, spot.index + step)?;
        Some(Word { name: format!("{name}[{step}]"), at, value: value(step), mask: u32::MAX })
    };
    (0..words).filter_map(word).collect()
}

fn no_room(family: &dyn Family, spot: &recipe::Spot, name: &str, words: u32) -> String {
    let areas: Vec<_> =
        family.areas().iter().map(|(area, words)| format!("{area}[0] to {area}[{}]", words - 1)).collect();
    let asked = format!("{name} needs {words} words from {}[{}]", spot.area, spot.index);
    format!("{asked}; {} has {}", family.name(), areas.join(", "))
}

fn serial_at(product: &Product, family: &dyn Family, problems: &mut Vec<Problem>) -> Option<SerialAt> {
    let stamp = product.serial_stamp.as_ref()?;
    let words = place(family, &stamp.at, ("serial", stamp.words), |_| 0, problems);
    let at = words.first()?.at;
    Some(SerialAt { at, words: stamp.words })
}

/// Two stamps on one word would be written twice, and the second would win some bits.
fn overlaps(words: &[Word], serial: Option<&SerialAt>, product: &Product, problems: &mut Vec<Problem>) {
    let mut taken: Vec<(u32, String)> = words.iter().map(|word| (word.at, word.name.clone())).collect();
    if let Some(serial) = serial {
        taken.extend((0..serial.words).map(|step| (serial.at + 4 * step, format!("serial[{step}]"))));
    }
    taken.sort();
    for pair in taken.windows(2) {
        if let [(left, first), (right, second)] = pair
            && left == right
        {
            let what = format!("{first} and {second} both want the word at {left:#010x}");
            problems.push(Problem::new(product.source.name(), what));
        }
    }
}

fn readers(product: &Product) -> Vec<Reader> {
    let key = product.key_hash.as_ref().map(|stamp| ("key_hash", stamp.read_by));
    let counter = product.counter.as_ref().map(|stamp| ("counter", stamp.read_by));
    let reader = |(stamp, read_by): (&str, recipe::ReadBy)| Reader {
        stamp: stamp.to_owned(),
        read_by: match read_by {
            recipe::ReadBy::McubootHwKey => "mcuboot-hw-key",
            recipe::ReadBy::App => "app",
            recipe::ReadBy::Nobody => "nobody",
        }
        .to_owned(),
    };
    key.into_iter().chain(counter).map(reader).collect()
}

mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::ident;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&ident::hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        ident::bytes_from_hex(&text).ok_or_else(|| D::Error::custom("not pairs of hexadecimal digits"))
    }
}
