//! The bootloader's storage as it was read from a board: provision data, and what has become of it since.
//!
//! Recognised by more than one sign, or not at all; what is not whole stays memory.

use serde::Serialize;

use super::{
    Content, Counter, CounterOf, Generation, Head, IMPLEMENTATION_ID, Key, Layout, LifeCycle, MAX_AREA, MAX_KEYS, No,
    OTP_NRF54L, Storage, Told, Width,
    content::{COUNTERS, KEY_LEN, VARIABLE, mcuboot_only},
    home::{HOMES, Home, home},
    provision::{Cursor, Token, counters, reference},
};
use crate::{image::Map, keys::NsibHash};

/// Enough of a storage to see whether its head can be one, in bytes.
const HEAD: u32 = 0x40;

/// Flash that a slot can lie in: the largest main core, and the nRF5340's network core. [nordic-facts A1 to A5]
const SLOTS: [std::ops::Range<u32>; 2] = [1..0x20_0000, 0x0100_0000..0x0104_0000];

/// Slots begin where flash can be erased or protected; no unit of that is smaller. [nordic-facts B1, B2]
const SLOT_ALIGNMENT: u32 = 0x100;

/// Storage that was read from a board.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dump {
    /// Address of its first byte.
    pub at: u32,
    /// Whether that address was said, by the file or by whoever asks.
    pub placed: bool,
    /// How far apart slots stand.
    pub width: Width,
    /// What was provisioned, as it stands there now.
    pub content: Content,
    /// What it is recognised by, each a sentence; two at least.
    pub signs: Vec<String>,
    /// The generations that it may be of.
    pub told: Told,
    /// Address of the first byte behind the data that is not erased.
    pub behind: Option<u32>,
    /// Whether storage is known to begin at that address on some chip.
    pub known_place: bool,
    skipped: u32,
    bytes: Vec<u8>,
}

/// What a validity token makes of its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It may sign.
    Valid,
    /// It may not any more.
    Revoked,
    /// Its token is neither; a bootloader with indexed tokens stops there for good.
    Damaged,
}

/// How far a counter has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Used {
    /// Whose.
    pub of: CounterOf,
    /// As the bootloader reads it.
    pub value: u32,
    /// How many slots there are.
    pub slots: u16,
    /// How many hold a value.
    pub used: usize,
    /// How often it can still rise.
    pub left: usize,
    /// Whether the slots are as a bootloader fills them: from the first on, each higher than the one before.
    pub regular: bool,
}

/// What the bootloader of one generation makes of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Reading {
    /// Which.
    pub generation: Generation,
    /// Indices of the keys that it takes.
    pub usable_keys: Vec<u32>,
    /// Why it starts nothing, whatever is signed by whom.
    pub refuses: Option<No>,
    /// `None` if it cannot read one, or knows none.
    pub life_cycle: Option<LifeCycle>,
}

impl Dump {
    /// Every storage in this memory: at the begin of a piece, at a page of flash, or where a chip has a fixed place for it.
    #[must_use]
    pub fn find(map: &Map, placed: bool) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for at in places(map) {
            if !found.last().is_some_and(|last| last.holds(at)) {
                found.extend(Self::at(map, at, placed));
            }
        }
        found
    }

    /// Whether this address lies in the bytes that were looked at.
    #[must_use]
    pub fn holds(&self, at: u32) -> bool {
        (u64::from(self.at)..self.end()).contains(&u64::from(at))
    }

    /// One past the last byte that was looked at.
    #[must_use]
    pub fn end(&self) -> u64 {
        u64::from(self.at) + self.bytes.len() as u64
    }

    /// What a key's token makes of it.
    #[must_use]
    pub fn state(&self, index: usize) -> KeyState {
        let token = self.content.keys().get(index).and_then(|key| Token::of(key.token, index));
        match token {
            // Erased memory between indexed tokens is a key that was never written.
            Some(token) if !token.indexed() && self.indexed() => KeyState::Damaged,
            Some(Token::PlainValid | Token::IndexedValid) => KeyState::Valid,
            Some(Token::PlainRevoked | Token::IndexedRevoked) => KeyState::Revoked,
            None => KeyState::Damaged,
        }
    }

    /// Address of a key's token; its hash stands behind it.
    #[must_use]
    pub fn token_at(&self, index: usize) -> u32 {
        let behind = u32::try_from(index).unwrap_or_default().saturating_mul(KEY_LEN);
        self.at.saturating_add(self.skipped).saturating_add(12).saturating_add(behind)
    }

    /// Its counters, as a bootloader reads them.
    #[must_use]
    pub fn counters(&self) -> Vec<Used> {
        let Some(storage) = self.latest() else { return Vec::new() };
        self.content.counters.iter().filter_map(|counter| used(counter, &storage, self.width)).collect()
    }

    /// The implementation id; `None` where the storage has none.
    #[must_use]
    pub fn implementation_id(&self) -> Option<[u8; 32]> {
        let has = self.told.may_be.last()?.has_life_cycle();
        self.latest().filter(|_| has).map(|storage| storage.implementation_id())
    }

    /// What each generation that it may be of makes of it, oldest first.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        let read = |generation: &Generation| {
            let storage = self.storage(*generation)?;
            let usable = (0..storage.key_count().min(u32::try_from(MAX_KEYS).unwrap_or_default()))
                .filter(|index| storage.key(*index).is_ok());
            Some(Reading {
                generation: *generation,
                usable_keys: usable.collect(),
                refuses: storage.verify_keys().err(),
                life_cycle: storage.life_cycle().ok(),
            })
        };
        self.told.may_be.iter().filter_map(read).collect()
    }

    /// The bootloader's own storage of one of its generations; an nRF54L's is read as if it stood where it must.
    #[must_use]
    pub fn storage(&self, generation: Generation) -> Option<Storage> {
        let layout = Layout::new(generation, self.width).ok()?;
        let base = if self.width == Width::Four { OTP_NRF54L } else { self.at };
        Storage::new(layout, base, self.bytes.clone()).ok()
    }

    /// Why the bootloader starts nothing with it, or misreads it: addresses, and a sentence each.
    #[must_use]
    pub fn wrong(&self) -> Vec<(u32, String)> {
        let mut wrong = Vec::new();
        if self.width == Width::Four && self.placed && self.at != OTP_NRF54L {
            let what =
                format!("an nRF54L's bootloader counts slots from 0x{OTP_NRF54L:08X}; here it would misread them");
            wrong.push((self.at, what));
        }
        for (index, key) in self.content.keys().iter().enumerate() {
            let at = self.token_at(index);
            match (self.state(index), key.hash.unusable()) {
                (KeyState::Damaged, _) => {
                    let what = format!(
                        "0x{:08X} is no validity token of key {index}, neither valid nor revoked: from ncs-2.7 on NSIB \
                         stops for good",
                        key.token
                    );
                    wrong.push((at, what));
                }
                (KeyState::Valid, Some(offset)) => {
                    let what = format!("key {index} holds 0xFFFF at offset {offset} of its hash: NSIB starts nothing");
                    wrong.push((at.saturating_add(4), what));
                }
                (KeyState::Valid, None) | (KeyState::Revoked, _) => {}
            }
        }
        wrong
    }

    /// Reads the storage at this address, if more than one sign says that there is one.
    fn at(map: &Map, at: u32, placed: bool) -> Option<Self> {
        let home = home(at).filter(|_| placed);
        let fixed = home.filter(|home| home.size < MAX_AREA);
        let near = window(map, at, HEAD);
        let shapes = Shape::ALL.into_iter().filter(|shape| home.is_none_or(|home| home.width == shape.width));
        // Slot addresses at the begin may as well be what stands behind a life-cycle state that was not read along: only
        // the address tells.
        let shapes = shapes.filter(|shape| (shape.has_life_cycle || home.is_some()) && shape.head(&near).is_some());
        let area = window(map, at, home.map_or(MAX_AREA, |home| home.size));
        let mut read: Vec<Self> = shapes
            .filter_map(|shape| shape.read(at, &area, fixed))
            .map(|dump| Self { placed, known_place: home.is_some(), ..dump })
            .collect();
        read.retain(|dump| dump.signs.len() > 1 && dump.is_no_file());
        // Two readings of one memory, equally good, are none.
        let best = read.iter().map(|dump| dump.signs.len()).max()?;
        read.retain(|dump| dump.signs.len() == best);
        if read.len() == 1 { read.pop() } else { None }
    }

    /// Data that begins with the storage and that nothing has happened to is a file as the scripts make it.
    fn is_no_file(&self) -> bool {
        let touched = (0..self.content.keys().len()).any(|index| self.state(index) != KeyState::Valid)
            || self.content.counters.iter().any(|counter| counter.used(self.width) > 0);
        touched || (self.skipped > 0 && self.content.head != Head::McubootOnly)
    }

    fn indexed(&self) -> bool {
        tokens(&self.content).iter().any(|token| token.indexed())
    }

    fn latest(&self) -> Option<Storage> {
        self.storage(*self.told.may_be.last()?)
    }
}

/// Addresses where a storage may begin, in order.
fn places(map: &Map) -> Vec<u32> {
    let mut places: Vec<u32> = Vec::new();
    for segment in map.segments() {
        let inside = |at: &u32| u64::from(*at) >= u64::from(segment.at) && u64::from(*at) < segment.end();
        let page = u64::from(segment.at).next_multiple_of(u64::from(MAX_AREA));
        let pages = (page..segment.end()).step_by(MAX_AREA as usize).filter_map(|at| u32::try_from(at).ok());
        places.extend(pages.filter(|at| home(*at).is_some()));
        places.extend(HOMES.iter().map(|home| home.base).filter(inside));
        places.extend(Some(segment.at).filter(|at| at.is_multiple_of(4)));
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// So many bytes from this address on, as far as the map goes; gaps are erased memory.
fn window(map: &Map, at: u32, size: u32) -> Vec<u8> {
    let end = (u64::from(at) + u64::from(size)).min(map.end());
    let mut bytes = vec![0xFF; usize::try_from(end.saturating_sub(u64::from(at))).unwrap_or_default()];
    for segment in map.segments().iter().filter(|segment| u64::from(segment.at) < end && segment.end() > u64::from(at))
    {
        let skip = at.saturating_sub(segment.at) as usize;
        let from = segment.at.saturating_sub(at) as usize;
        let cells = bytes.iter_mut().skip(from);
        cells.zip(segment.bytes.iter().skip(skip)).for_each(|(cell, byte)| *cell = *byte);
    }
    bytes
}

/// One way in which storage can be laid out.
#[derive(Clone, Copy)]
struct Shape {
    /// Whether life-cycle state and implementation id stand first.
    has_life_cycle: bool,
    width: Width,
    mcuboot_only: bool,
}

/// Two slot addresses and the number of keys, or zeros in their place.
#[derive(Clone, Copy)]
enum Begin {
    Nsib { s0: u32, s1: u32, keys: usize },
    McubootOnly,
}

impl Shape {
    const ALL: [Self; 5] = [
        Self { has_life_cycle: true, width: Width::Two, mcuboot_only: false },
        Self { has_life_cycle: true, width: Width::Four, mcuboot_only: false },
        Self { has_life_cycle: false, width: Width::Two, mcuboot_only: false },
        Self { has_life_cycle: true, width: Width::Two, mcuboot_only: true },
        Self { has_life_cycle: true, width: Width::Four, mcuboot_only: true },
    ];

    /// Offset of the slot addresses.
    fn skipped(self) -> u32 {
        if self.has_life_cycle { 4 * self.width.bytes() + IMPLEMENTATION_ID } else { 0 }
    }

    /// What stands first, if it can.
    fn head(self, bytes: &[u8]) -> Option<Begin> {
        if self.mcuboot_only {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            return (zeros == mcuboot_only(self.width)).then_some(Begin::McubootOnly);
        }
        let mut cursor = Cursor { bytes, at: self.skipped() as usize };
        let mut word = || cursor.word("").ok();
        let (s0, s1, keys) = (word()?, word()?, word()?);
        let slot = |at: u32| at.is_multiple_of(SLOT_ALIGNMENT) && SLOTS.iter().any(|flash| flash.contains(&at));
        let keys = usize::try_from(keys).ok().filter(|keys| *keys <= MAX_KEYS)?;
        (slot(s0) && slot(s1)).then_some(Begin::Nsib { s0, s1, keys })
    }

    fn read(self, at: u32, bytes: &[u8], fixed: Option<Home>) -> Option<Dump> {
        let begin = self.head(bytes)?;
        let mut cursor = Cursor { bytes, at: self.skipped() as usize + 12 };
        let head = match begin {
            Begin::McubootOnly => Head::McubootOnly,
            Begin::Nsib { s0, s1, keys } => Head::Nsib { s0, s1, keys: read_keys(&mut cursor, keys)? },
        };
        let mut content = Content { head, counters: Vec::new(), reference: None };
        if cursor.peek_half() == Some(COUNTERS) {
            content.counters = counters(&mut cursor, self.width).ok()?;
        }
        if cursor.peek_half() == Some(VARIABLE) {
            content.reference = reference(&mut cursor).ok()?;
        }
        // Memory that ends where slots are said to be is not whole.
        if content.counters.iter().any(|counter| counter.written.is_none()) {
            return None;
        }
        let behind = cursor.rest().iter().position(|byte| *byte != 0xFF).map(|offset| cursor.at + offset);
        // Only in OTP may something else follow, and only what more than addresses tell: programs have those too.
        let more = !content.counters.is_empty() || content.reference.is_some() || written_tokens(&content) > 0;
        if behind.is_some() && (fixed.is_none() || !more) {
            return None;
        }
        let mut dump = Dump {
            at,
            placed: false,
            known_place: false,
            width: self.width,
            told: self.tell(&content),
            content,
            signs: Vec::new(),
            behind: behind.and_then(|offset| at.checked_add(u32::try_from(offset).ok()?)),
            skipped: self.skipped(),
            bytes: bytes.to_vec(),
        };
        dump.signs = self.signs(&dump, fixed);
        (!dump.told.may_be.is_empty()).then_some(dump)
    }

    fn tell(self, content: &Content) -> Told {
        let mut told = Told { may_be: Generation::ALL.to_vec(), rests_on: Vec::new() };
        if !self.has_life_cycle {
            told.keep(
                |generation| !generation.has_life_cycle(),
                "the slot addresses come first, without room for a life-cycle state, as before ncs-2.2",
            );
        } else if !self.mcuboot_only {
            let what =
                format!("the slot addresses stand {} bytes behind its begin, as from ncs-2.2 on", self.skipped());
            told.keep(Generation::has_life_cycle, what);
        }
        let tokens = tokens(content);
        // One token with an index makes those without damage, not age.
        let indexed: Vec<Token> = tokens.iter().copied().filter(|token| token.indexed()).collect();
        told.by_content(self.width, content, if indexed.is_empty() { &tokens } else { &indexed });
        told
    }

    /// What speaks for it, each thing alone; erased memory speaks for nothing.
    fn signs(self, dump: &Dump, fixed: Option<Home>) -> Vec<String> {
        let content = &dump.content;
        let mut signs: Vec<String> = Vec::new();
        signs.extend(fixed.map(|home| format!("it begins at 0x{:08X}, {}", home.base, home.what)));
        signs.push(match &content.head {
            Head::Nsib { s0, s1, keys } => format!(
                "two slot addresses, 0x{s0:08X} and 0x{s1:08X}, and a number of keys, {}, stand {} bytes behind its begin",
                keys.len(),
                self.skipped()
            ),
            Head::McubootOnly => format!("{} zero bytes stand first, as for MCUboot alone", mcuboot_only(self.width)),
        });
        let written = written_tokens(content);
        if written > 0 {
            signs.push(format!("validity tokens of keys: {written}"));
        }
        if !content.counters.is_empty() {
            let slots: Vec<String> = content.counters.iter().map(|counter| counter.slots.to_string()).collect();
            signs.push(format!("a collection of counters, with {} slots", slots.join(" and ")));
        }
        if content.reference.is_some() {
            signs.push("a collection of variable data with a PSA certification reference".to_owned());
        }
        let state = dump.latest().and_then(|storage| storage.life_cycle().ok());
        if let Some(state) = state.filter(|state| *state != LifeCycle::Assembly && !self.mcuboot_only) {
            signs.push(format!("its first words are a life-cycle state, {}", format!("{state:?}").to_uppercase()));
        }
        signs
    }
}

/// The tokens that some generation writes.
fn tokens(content: &Content) -> Vec<Token> {
    content.keys().iter().enumerate().filter_map(|(index, key)| Token::of(key.token, index)).collect()
}

/// Those that are not erased memory.
fn written_tokens(content: &Content) -> usize {
    tokens(content).into_iter().filter(|token| *token != Token::PlainValid).count()
}

/// Keys as they stand there, whatever their tokens are.
fn read_keys(cursor: &mut Cursor<'_>, count: usize) -> Option<Vec<Key>> {
    let raw = cursor.take(count * KEY_LEN as usize, "").ok()?;
    let key = |raw: &[u8]| {
        let token = raw.first_chunk().map(|token| u32::from_le_bytes(*token))?;
        Some(Key { token, hash: NsibHash(*raw.last_chunk()?) })
    };
    raw.chunks_exact(KEY_LEN as usize).map(key).collect()
}

fn used(counter: &Counter, storage: &Storage, width: Width) -> Option<Used> {
    let written = counter.written.as_deref().unwrap_or_default();
    let used = counter.used(width);
    let values: Vec<u32> =
        written.iter().take_while(|slot| **slot != width.empty()).map(|slot| !slot & width.empty()).collect();
    Some(Used {
        of: counter.of,
        value: counter.of.value(storage).ok()?,
        slots: counter.slots,
        used,
        left: written.len() - used,
        regular: values.len() == used && values.is_sorted_by(|one, next| one < next),
    })
}
