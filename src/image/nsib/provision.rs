//! Provision data in a file: read without trusting a length in it, and told by generation.

use serde::Serialize;

use super::{
    Content, Counter, CounterOf, Dump, Generation, Head, KEY_COUNT_OFFSET, Key, Layout, MAX_AREA, MAX_KEYS,
    MAX_REFERENCE, NCS_2_9_ON_RRAM, OTP_NRF54L, Width,
    content::{COUNTERS, HEAD_LEN, KEY_LEN, REFERENCE, VARIABLE, mcuboot_only},
    home::{Home, home},
};
use crate::{
    fault::Problem,
    image::{Map, Segment},
    keys::{AnyKey, NsibHash},
};

/// Provision data as a file has it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Provision {
    /// Address of the first byte in the file.
    pub at: u32,
    /// Where the bootloader's storage begins; `None` if the address of the data does not tell.
    pub base: Option<u32>,
    /// How far apart slots stand.
    pub width: Width,
    /// What it says.
    pub content: Content,
    /// The generations whose bootloader reads it as it is meant, and on what that rests.
    pub told: Told,
}

/// Which generations data may be of.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Told {
    /// Never empty in what a reader returns; oldest first.
    pub may_be: Vec<Generation>,
    /// Each a sentence.
    pub rests_on: Vec<String>,
}

/// The generations that this file may be of.
///
/// # Errors
/// Why the file is no provision data that a bootloader of any generation reads as it is meant.
pub fn generation_of(map: &Map) -> Result<Told, Problem> {
    Provision::read(map).map(|provision| provision.told)
}

/// Whether data that may be of these generations goes with a bootloader of that one.
///
/// # Errors
/// The contradiction, and what it would do on a board.
pub fn fits(told: &Told, bootloader: Generation) -> Result<(), String> {
    if told.may_be.contains(&bootloader) {
        return Ok(());
    }
    let names: Vec<&str> = told.may_be.iter().map(|generation| generation.name()).collect();
    let consequence = match (told.may_be.last(), told.may_be.first()) {
        (Some(latest), _) if *latest < Generation::Ncs2_7 && bootloader.has_indexed_tokens() => {
            "it would stop at the first key's validity token"
        }
        (_, Some(first)) if first.has_indexed_tokens() && !bootloader.has_indexed_tokens() => {
            "it would take the keys for valid, but revoking one would have no effect"
        }
        _ => "it would look for the fields in other places",
    };
    Err(format!(
        "the provision data is of {} and the bootloader of {bootloader}: {consequence}; take both from the same \
         build ({})",
        names.join(" or "),
        told.rests_on.join("; ")
    ))
}

impl Provision {
    /// Address of a key: of its token, which its hash follows.
    #[must_use]
    pub fn key_at(&self, index: usize) -> u32 {
        let behind = u32::try_from(index).ok().and_then(|index| index.checked_mul(KEY_LEN)).unwrap_or(u32::MAX);
        self.at.saturating_add(HEAD_LEN).saturating_add(behind)
    }

    /// Reads the one piece of memory that a provision file describes.
    ///
    /// # Errors
    /// The first thing that makes it no provision data, with its address: after that the lengths cannot be trusted.
    pub fn read(map: &Map) -> Result<Self, Problem> {
        let [segment] = map.segments() else {
            return Err(Problem::new(
                map.name(),
                format!("is in {} pieces; provision data is one", map.segments().len()),
            ));
        };
        Self::of_segment(map, segment)
    }

    /// The provision data among the pieces of a merged image: every piece that begins where a bootloader with a fixed
    /// place looks for it, read or refused, and every one behind the begin of a flash page that reads as such.
    #[must_use]
    pub fn find(map: &Map) -> Vec<Result<Self, Problem>> {
        Self::find_beside(map, &[])
    }

    /// The same, where these storages were read from a board: what is no provision data in the place of one is no fault.
    #[must_use]
    pub fn find_beside(map: &Map, dumps: &[Dump]) -> Vec<Result<Self, Problem>> {
        let read = |segment: &Segment| {
            let read = Self::of_segment(map, segment);
            let expected = fixed_place(segment.at) && !dumps.iter().any(|dump| dump.holds(segment.at));
            (read.is_ok() || expected).then_some(read)
        };
        let segments =
            map.segments().iter().filter(|segment| fixed_place(segment.at) || Start::place(segment.at).is_some());
        segments.filter_map(read).collect()
    }

    /// Whether these bytes at this address are provision data.
    pub(super) fn is_at(segment: &Segment) -> bool {
        Self::of_bytes(segment.at, &segment.bytes).is_ok()
    }

    fn of_segment(map: &Map, segment: &Segment) -> Result<Self, Problem> {
        Self::of_bytes(segment.at, &segment.bytes).map_err(|no| {
            let at = segment.at.saturating_add(u32::try_from(no.offset).unwrap_or(u32::MAX));
            map.problem_at(at, format!("no provision data at 0x{at:08X}: {}", no.what))
        })
    }

    /// The aligned words that have to be written, with their addresses: those that differ from erased memory. Writing
    /// 0xFFFFFFFF to a memory that takes one write uses that write up. [nordic-facts A4.1, B8]
    #[must_use]
    pub fn words_to_write(&self) -> Vec<(u32, u32)> {
        let bytes = self.content.encode(self.width);
        let words = bytes.chunks(4).map(|chunk| {
            chunk
                .iter()
                .rev()
                .fold(if chunk.len() == 4 { 0 } else { u32::MAX }, |word, byte| word << 8 | u32::from(*byte))
        });
        (self.at..=u32::MAX).step_by(4).zip(words).filter(|(_, word)| *word != u32::MAX).collect()
    }

    /// The generations that remain once it is known that this key has to be among the valid ones: Ed25519 keys are
    /// hashed by another rule from [`Generation::Sdk2025_12`] on.
    ///
    /// # Errors
    /// If none of its generations writes this key as any of these hashes.
    pub fn told_with(&self, key: &AnyKey) -> Result<Told, String> {
        let mut told = self.told.clone();
        let holds = |hash: NsibHash| self.content.keys().iter().any(|key| key.hash == hash);
        told.keep(
            |generation| generation.hash(key).is_some_and(holds),
            format!("it holds the {} key {}", key.algorithm(), key.short()),
        );
        if told.may_be.is_empty() {
            return Err(format!(
                "the {} key {} is not among those of the provision data",
                key.algorithm(),
                key.short()
            ));
        }
        Ok(told)
    }

    /// With the layout of one of its generations.
    ///
    /// # Errors
    /// Why that generation does not go with it.
    pub fn layout(&self, generation: Generation) -> Result<Layout, String> {
        fits(&self.told, generation)?;
        Layout::new(generation, self.width).map_err(str::to_owned)
    }

    fn of_bytes(at: u32, bytes: &[u8]) -> Result<Self, Bad> {
        if !at.is_multiple_of(4) {
            return bad(0, "it does not begin at a word");
        }
        if bytes.len() > MAX_AREA as usize {
            return bad(MAX_AREA as usize, "it goes on past the largest area that is ever provisioned, 4096 bytes");
        }
        let start = Start::of(at, bytes)?;
        let mut cursor = Cursor { bytes, at: 0 };
        let head = start.head(&mut cursor)?;
        let (width, tail) = start.tail(&cursor)?;
        let content = Content { head, counters: tail.counters, reference: tail.reference };
        let told = tell(&start, width, &content)?;
        Ok(Self { at, base: start.home.map(|home| home.base), width, content, told })
    }
}

/// Why the bytes are no provision data.
#[derive(Debug)]
pub(super) struct Bad {
    offset: usize,
    what: String,
}

fn bad<T>(offset: usize, what: impl Into<String>) -> Result<T, Bad> {
    Err(Bad { offset, what: what.into() })
}

/// What address and first bytes tell.
struct Start {
    home: Option<Home>,
    mcuboot_only: bool,
    /// Bytes between the storage's begin and the data.
    skipped: u32,
    /// Tried in this order.
    widths: &'static [Width],
}

impl Start {
    fn of(at: u32, bytes: &[u8]) -> Result<Self, Bad> {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let only = [Width::Two, Width::Four].into_iter().find(|width| zeros == mcuboot_only(*width));
        if let Some(width) = only {
            not_misplaced(at, width == Width::Four && at == OTP_NRF54L)?;
            let home = home(at).filter(|home| home.width == width);
            return Ok(Self { home, mcuboot_only: true, skipped: 0, widths: one(width) });
        }
        if zeros >= 12 {
            return bad(
                0,
                format!("it begins with {zeros} zero bytes; data for MCUboot alone has 52, or 60 on an nRF54L"),
            );
        }
        let place = Self::place(at);
        not_misplaced(at, place.is_some())?;
        Ok(match place {
            Some((home, skipped)) => Self { home: Some(home), mcuboot_only: false, skipped, widths: one(home.width) },
            None => Self { home: None, mcuboot_only: false, skipped: 0, widths: &[Width::Two, Width::Four] },
        })
    }

    /// The storage that data for NSIB at this address belongs to, and how far behind its begin that is.
    fn place(at: u32) -> Option<(Home, u32)> {
        let with_life_cycle = [Width::Two, Width::Four].into_iter().find_map(|width| {
            let skipped = Layout { generation: Generation::Sdk2026_05, width }.elsewhere();
            let home = home(at.checked_sub(skipped)?).filter(|home| home.width == width)?;
            Some((home, skipped))
        });
        // Before there was a life-cycle state there was no nRF54L.
        let without = || home(at).filter(|home| home.width == Width::Two).map(|home| (home, 0));
        with_life_cycle.or_else(without)
    }

    fn head(&self, cursor: &mut Cursor<'_>) -> Result<Head, Bad> {
        if let (true, [width]) = (self.mcuboot_only, self.widths) {
            cursor.at = mcuboot_only(*width);
            return Ok(Head::McubootOnly);
        }
        let (s0, s1) = (cursor.word("the address of slot 0")?, cursor.word("the address of slot 1")?);
        for (offset, address) in [(0, s0), (4, s1)] {
            if address == 0 || address == u32::MAX || !address.is_multiple_of(4) {
                return bad(offset, format!("0x{address:08X} is no address of a slot"));
            }
        }
        let count = cursor.word("the number of keys")?;
        let count = usize::try_from(count).ok().filter(|count| *count <= MAX_KEYS);
        let Some(count) = count else {
            return bad(
                KEY_COUNT_OFFSET,
                format!("it says more than {MAX_KEYS} keys; the bootloader starts nothing then"),
            );
        };
        let from = cursor.at;
        let raw = cursor.take(count * KEY_LEN as usize, "the keys")?;
        Ok(Head::Nsib { s0, s1, keys: keys(raw, from)? })
    }

    /// Everything behind the keys, with the width that makes sense of it.
    fn tail(&self, cursor: &Cursor<'_>) -> Result<(Width, Tail), Bad> {
        let mut first = None;
        for width in self.widths {
            match Tail::read(cursor.clone(), *width) {
                Ok(tail) => return Ok((*width, tail)),
                Err(error) => first = first.or(Some(error)),
            }
        }
        let narrow = || Tail::read(cursor.clone(), Width::Two).is_ok_and(|tail| !tail.counters.is_empty());
        match first {
            Some(error) if self.widths == [Width::Four] && narrow() => bad(error.offset, NCS_2_9_ON_RRAM),
            Some(error) => Err(error),
            None => bad(cursor.at, "nothing is known of its width"),
        }
    }
}

/// Whether nothing but provision data can begin here: in OTP, and where the network core has it.
fn fixed_place(at: u32) -> bool {
    at == OTP_NRF54L || Start::place(at).is_some_and(|(home, _)| home.base >= 0x20_0000)
}

/// Refuses data in the OTP of an nRF54L at any other address than the one its bootloader looks at.
fn not_misplaced(at: u32, right: bool) -> Result<(), Bad> {
    if right || !(OTP_NRF54L..OTP_NRF54L + 0x500).contains(&at) {
        return Ok(());
    }
    bad(
        0,
        "an nRF54L's bootloader looks for it at 0x00FFD530, or with 60 zero bytes at 0x00FFD500 for MCUboot alone; here \
         it would be misread",
    )
}

const fn one(width: Width) -> &'static [Width] {
    match width {
        Width::Two => &[Width::Two],
        Width::Four => &[Width::Four],
    }
}

fn keys(raw: &[u8], from: usize) -> Result<Vec<Key>, Bad> {
    let mut keys: Vec<Key> = Vec::with_capacity(raw.len() / KEY_LEN as usize);
    for (index, raw) in raw.chunks_exact(KEY_LEN as usize).enumerate() {
        let offset = from + index * KEY_LEN as usize;
        let mut cursor = Cursor { bytes: raw, at: 0 };
        let token = cursor.word("a token")?;
        let hash = NsibHash(raw.last_chunk().copied().unwrap_or_default());
        if Token::of(token, index).is_none() {
            return bad(
                offset,
                format!("0x{token:08X} is no validity token of key {index}; the bootloader stops there"),
            );
        }
        if let Some(first) = keys.iter().position(|key| key.hash == hash) {
            return bad(offset, format!("key {index} is key {first} again"));
        }
        keys.push(Key { token, hash });
    }
    Ok(keys)
}

/// What a validity token says, and of which generations it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// Valid, before tokens carried an index.
    PlainValid,
    /// Revoked, before tokens carried an index.
    PlainRevoked,
    /// Valid, with the key's index.
    IndexedValid,
    /// Revoked, with the key's index.
    IndexedRevoked,
}

impl Token {
    /// `None` for a value that no generation writes.
    pub(super) fn of(token: u32, index: usize) -> Option<Self> {
        let index = u32::try_from(index).ok().filter(|index| *index < 16)? << 24;
        match token {
            u32::MAX => Some(Self::PlainValid),
            0xFFFF_0000 => Some(Self::PlainRevoked),
            token if token == 0x50FA_FFFF | index => Some(Self::IndexedValid),
            token if token == 0x50FA_0000 | index => Some(Self::IndexedRevoked),
            _ => None,
        }
    }

    pub(super) fn indexed(self) -> bool {
        match self {
            Self::PlainValid | Self::PlainRevoked => false,
            Self::IndexedValid | Self::IndexedRevoked => true,
        }
    }
}

/// What stands behind the keys.
#[derive(Default)]
struct Tail {
    counters: Vec<Counter>,
    reference: Option<String>,
}

impl Tail {
    fn read(mut cursor: Cursor<'_>, width: Width) -> Result<Self, Bad> {
        let mut tail = Self::default();
        if cursor.peek_half() == Some(COUNTERS) {
            tail.counters = counters(&mut cursor, width)?;
        }
        if cursor.peek_half() == Some(VARIABLE) {
            tail.reference = reference(&mut cursor)?;
        }
        // A copy of the whole area, erased behind the data.
        match cursor.rest().iter().position(|byte| *byte != 0xFF) {
            Some(at) => bad(cursor.at + at, "something stands behind the data that no generation puts there"),
            None => Ok(tail),
        }
    }
}

pub(super) fn counters(cursor: &mut Cursor<'_>, width: Width) -> Result<Vec<Counter>, Bad> {
    let from = cursor.at;
    cursor.half("the type of a collection")?;
    let count = cursor.half("the number of counters")?;
    if !(1..=2).contains(&count) {
        return bad(from + 2, format!("it says {count} counters; scripts write one or two"));
    }
    let mut counters: Vec<Counter> = Vec::new();
    for _ in 0..count {
        let counter = counter(cursor, width)?;
        if counters.last().is_some_and(|last| last.of >= counter.of) {
            return bad(cursor.at, format!("the counter of {} stands where another is expected", counter.of.name()));
        }
        counters.push(counter);
    }
    Ok(counters)
}

fn counter(cursor: &mut Cursor<'_>, width: Width) -> Result<Counter, Bad> {
    let from = cursor.at;
    let description = cursor.half("what a counter counts")?;
    let Some(of) = CounterOf::described(description) else {
        return bad(from, format!("nothing is known of a counter of kind {description}"));
    };
    let slots = cursor.half("the number of a counter's slots")?;
    if slots == 0 || slots == u16::MAX || !slots.is_multiple_of(2) {
        return bad(from + 2, format!("{slots} slots for a counter; the number is even and not 0"));
    }
    if cursor.rest().is_empty() {
        return Ok(Counter::head_only(of, slots));
    }
    let raw = cursor.take(usize::from(slots) * width.bytes() as usize, "the slots of a counter")?;
    let value = |slot: &[u8]| slot.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
    Ok(Counter { of, slots, written: Some(raw.chunks_exact(width.bytes() as usize).map(value).collect()) })
}

pub(super) fn reference(cursor: &mut Cursor<'_>) -> Result<Option<String>, Bad> {
    let from = cursor.at;
    cursor.half("the type of a collection")?;
    let count = cursor.half("the number of variable data")?;
    let head = cursor.take(2, "variable data")?;
    let &[kind, length] = head else { return bad(cursor.at, "it is cut off") };
    if (count, kind) != (1, REFERENCE) {
        return bad(
            from + 2,
            format!(
                "it says {count} variable data, the first of kind {kind}; only one PSA certification reference is known"
            ),
        );
    }
    let text = cursor.take(usize::from(length), "the PSA certification reference")?;
    let visible = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
    let reference = String::from_utf8(text.to_vec()).ok().filter(|_| visible && text.len() <= MAX_REFERENCE);
    let Some(reference) = reference else {
        return bad(
            from + 6,
            format!("a PSA certification reference is at most {MAX_REFERENCE} visible ASCII characters"),
        );
    };
    let padding = cursor.at.next_multiple_of(4) - cursor.at;
    if cursor.take(padding, "the padding")?.iter().any(|byte| *byte != 0) {
        return bad(cursor.at, "the padding behind the PSA certification reference is not zero");
    }
    Ok(Some(reference))
}

/// Which generations' bootloaders read this as it is meant.
fn tell(start: &Start, width: Width, content: &Content) -> Result<Told, Bad> {
    let mut told = Told { may_be: Generation::ALL.to_vec(), rests_on: Vec::new() };
    told.by_place(start);
    let tokens = content.keys().iter().enumerate().filter_map(|(index, key)| Token::of(key.token, index));
    told.by_content(width, content, &tokens.collect::<Vec<_>>());
    if told.may_be.is_empty() {
        return bad(0, format!("no generation has all of this: {}", told.rests_on.join("; ")));
    }
    Ok(told)
}

impl Told {
    /// What everything but the place tells.
    pub(super) fn by_content(&mut self, width: Width, content: &Content, tokens: &[Token]) {
        if width == Width::Four {
            self.keep(Generation::has_width_and_reference, "its counter slots are 4 bytes long, as from ncs-3.0 on");
        }
        if content.head == Head::McubootOnly {
            self.keep(Generation::has_mcuboot_counter, "it is made for MCUboot alone, as from ncs-2.4 on");
        }
        if tokens.iter().any(|token| token.indexed()) {
            self.keep(Generation::has_indexed_tokens, "its validity tokens carry the key's index, as from ncs-2.7 on");
        }
        if tokens.iter().any(|token| !token.indexed()) {
            self.keep(
                |generation| !generation.has_indexed_tokens(),
                "its validity tokens carry no index, as before ncs-2.7",
            );
        }
        self.by_counters(content);
        if content.reference.is_some() {
            self.keep(Generation::has_width_and_reference, "it has a PSA certification reference, as from ncs-3.0 on");
        }
    }

    pub(super) fn keep(&mut self, may_be: impl Fn(Generation) -> bool, because: impl Into<String>) {
        self.may_be.retain(|generation| may_be(*generation));
        self.rests_on.push(because.into());
    }

    fn by_place(&mut self, start: &Start) {
        let Some(home) = start.home else {
            self.rests_on
                .push("its address is none where storage is known to begin, so the address tells nothing".to_owned());
            return;
        };
        let place = format!("0x{:08X}, {}", home.base, home.what);
        if start.mcuboot_only {
            self.rests_on.push(format!("it begins at {place}"));
        } else if start.skipped == 0 {
            self.keep(
                |generation| !generation.has_life_cycle(),
                format!("it begins right at {place}, without room for a life-cycle state, as before ncs-2.2"),
            );
        } else {
            self.keep(
                Generation::has_life_cycle,
                format!("it begins {} bytes behind {place}, as from ncs-2.2 on", start.skipped),
            );
        }
    }

    fn by_counters(&mut self, content: &Content) {
        if content.counters.iter().any(|counter| counter.of == CounterOf::Mcuboot) {
            self.keep(Generation::has_mcuboot_counter, "it has a counter for MCUboot, as from ncs-2.4 on");
        }
        // Written out or not, the slots are the same on the chip; only the later script cannot leave them out.
        if content.counters.iter().any(|counter| counter.written.is_none()) {
            self.keep(
                |generation| !generation.writes_slots(),
                "it ends with a counter's head, without its slots, as before ncs-2.4",
            );
        }
    }
}

/// Reads on, never past the end.
#[derive(Clone)]
pub(super) struct Cursor<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at: usize,
}

impl<'b> Cursor<'b> {
    pub(super) fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, length: usize, what: &str) -> Result<&'b [u8], Bad> {
        match self.rest().get(..length) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => bad(
                self.at,
                format!("it is cut off: {length} bytes for {what} are expected here, {} are left", self.rest().len()),
            ),
        }
    }

    pub(super) fn half(&mut self, what: &str) -> Result<u16, Bad> {
        let half = self.take(2, what)?;
        Ok(half.first_chunk().map(|half| u16::from_le_bytes(*half)).unwrap_or_default())
    }

    pub(super) fn word(&mut self, what: &str) -> Result<u32, Bad> {
        let word = self.take(4, what)?;
        Ok(word.first_chunk().map(|word| u32::from_le_bytes(*word)).unwrap_or_default())
    }

    pub(super) fn peek_half(&self) -> Option<u16> {
        self.rest().first_chunk().map(|half| u16::from_le_bytes(*half))
    }
}
