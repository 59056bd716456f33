//! The bootloader's own reading and writing of its storage, operation by operation. [bl_storage.c]
//!
//! Offsets are added as the 32-bit chip adds them: a count that lies leads to where it would lead there. What lies
//! outside the bytes at hand reads erased.

use serde::Serialize;

use super::{
    CounterOf, Generation, IMPLEMENTATION_ID, Layout, MAX_KEYS, OTP_NRF54L, Provision, Width,
    content::{COUNTERS, HEAD_LEN, KEY_LEN, VARIABLE},
};
use crate::keys::NsibHash;

/// Why the bootloader refuses, with the number that it returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum No {
    /// No such thing, or a value that may not be. EINVAL
    Invalid,
    /// No empty slot is left. ENOMEM
    Full,
    /// A valid key's hash holds a halfword 0xFFFF. EHASHFF
    ErasedHash,
    /// The life-cycle state is none. EREADLCS
    UnreadableState,
    /// The life-cycle state cannot follow. EINVALIDLCS
    UnreachableState,
    /// The bootloader stops for good: a validity token is neither valid nor revoked.
    Panic,
    /// Not the bootloader's: the storage at hand ends before the place it would write to.
    Outside,
}

impl No {
    /// What the bootloader's function returns; `None` where none returns.
    #[must_use]
    pub const fn code(self) -> Option<i32> {
        match self {
            Self::Invalid => Some(-22),
            Self::Full => Some(-12),
            Self::ErasedHash => Some(-113),
            Self::UnreadableState => Some(-114),
            Self::UnreachableState => Some(-115),
            Self::Panic | Self::Outside => None,
        }
    }
}

/// Life-cycle state of the device. [nordic-facts B6]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LifeCycle {
    /// Nothing entered. A bootloader that heeds the state checks no signature now.
    Assembly,
    /// Secrets are being brought in.
    Provisioning,
    /// As it ships.
    Secured,
    /// Never starts again.
    Decommissioned,
}

impl LifeCycle {
    /// As the bootloader counts. [bl_storage.h, enum lcs]
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Assembly => 1,
            Self::Provisioning => 2,
            Self::Secured => 3,
            Self::Decommissioned => 4,
        }
    }

    /// The state with this number.
    #[must_use]
    pub fn numbered(number: u32) -> Option<Self> {
        let all = [Self::Assembly, Self::Provisioning, Self::Secured, Self::Decommissioned];
        all.into_iter().find(|state| state.number() == number)
    }

    /// Index of the field that is written when it is entered; none for the first.
    const fn field(self) -> Option<u32> {
        match self {
            Self::Assembly => None,
            Self::Provisioning => Some(0),
            Self::Secured => Some(1),
            // One field lies unused before it.
            Self::Decommissioned => Some(3),
        }
    }
}

/// What became of a key that was to be revoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// It is revoked now.
    Now,
    /// It was not valid before.
    Before,
    /// Its token did not change: the memory takes no second write. On RRAM that is expected, not confirmed.
    Unchanged,
}

/// The memory that the bootloader keeps its data in, as bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Storage {
    layout: Layout,
    base: u32,
    bytes: Vec<u8>,
}

impl Storage {
    /// Of these bytes at this address, erased behind them.
    ///
    /// # Errors
    /// If a bootloader of that layout cannot have its storage there.
    pub fn new(layout: Layout, base: u32, bytes: Vec<u8>) -> Result<Self, String> {
        if !base.is_multiple_of(4) {
            return Err(format!("0x{base:08X} is no address of a word"));
        }
        if layout.width() == Width::Four && base != OTP_NRF54L {
            return Err(format!(
                "an nRF54L's bootloader counts its slots from 0x{OTP_NRF54L:08X}; a storage at 0x{base:08X} is misread"
            ));
        }
        Ok(Self { layout, base, bytes })
    }

    /// As it will be once this file is written into erased memory of this length, in bytes.
    ///
    /// # Errors
    /// If the file is of another generation or does not fit.
    pub fn planned(provision: &Provision, generation: Generation, size: u32) -> Result<Self, String> {
        let layout = provision.layout(generation)?;
        let base = provision.base.ok_or("the address of the provision data does not tell where the storage begins")?;
        let bytes = provision.content.encode(layout.width());
        let skipped = provision.at.saturating_sub(base) as usize;
        if skipped + bytes.len() > size as usize || size > super::MAX_AREA {
            return Err(format!(
                "{} bytes of provision data do not fit {size} bytes of storage",
                skipped + bytes.len()
            ));
        }
        let mut area = vec![0xFF; size as usize];
        area.iter_mut().skip(skipped).zip(&bytes).for_each(|(cell, byte)| *cell = *byte);
        Self::new(layout, base, area)
    }

    /// What the memory holds.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Address of the first byte.
    #[must_use]
    pub fn base(&self) -> u32 {
        self.base
    }

    /// Generation and width.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Address of slot 0.
    #[must_use]
    pub fn s0(&self) -> u32 {
        self.word(self.layout.elsewhere())
    }

    /// Address of slot 1.
    #[must_use]
    pub fn s1(&self) -> u32 {
        self.word(self.layout.elsewhere() + 4)
    }

    /// The number of keys, as the bootloader reads it.
    #[must_use]
    pub fn key_count(&self) -> u32 {
        self.word(self.layout.elsewhere() + 8)
    }

    /// Whether the keys may be used at all. One bad spare key is enough to refuse.
    ///
    /// # Errors
    /// [`No::Invalid`] for too many keys, [`No::ErasedHash`], [`No::Panic`].
    pub fn verify_keys(&self) -> Result<(), No> {
        if self.key_count() > u32::try_from(MAX_KEYS).unwrap_or_default() {
            return Err(No::Invalid);
        }
        for index in 0..self.key_count() {
            if self.is_valid(index)? && self.hash(index).unusable().is_some() {
                return Err(No::ErasedHash);
            }
        }
        Ok(())
    }

    /// The hash of a valid key.
    ///
    /// # Errors
    /// [`No::Invalid`] if there is no such key or it is revoked, [`No::Panic`].
    pub fn key(&self, index: u32) -> Result<NsibHash, No> {
        if self.is_valid(index)? { Ok(self.hash(index)) } else { Err(No::Invalid) }
    }

    /// Takes a key's validity, for good.
    ///
    /// # Errors
    /// [`No::Panic`], [`No::Outside`].
    pub fn revoke(&mut self, index: u32) -> Result<Revoked, No> {
        if !self.is_valid(index)? {
            return Ok(Revoked::Before);
        }
        self.write_word(self.key_at(index), 0xFFFF_0000)?;
        Ok(if self.is_valid(index)? { Revoked::Unchanged } else { Revoked::Now })
    }

    /// How many slots a counter has.
    ///
    /// # Errors
    /// [`No::Invalid`] if there is no such counter.
    pub fn counter_slots(&self, of: u16) -> Result<u16, No> {
        let slots = self.half(self.counter_at(of)?.wrapping_add(2));
        if slots == u16::MAX { Err(No::Invalid) } else { Ok(slots) }
    }

    /// The value of a counter: the highest before the first empty slot, 0 if the first is empty.
    ///
    /// # Errors
    /// [`No::Invalid`] if there is no such counter.
    pub fn counter(&self, of: u16) -> Result<u32, No> {
        self.look(of).map(|(value, _)| value)
    }

    /// Raises a counter.
    ///
    /// # Errors
    /// [`No::Invalid`] if there is no such counter or the value is not higher, [`No::Full`], [`No::Outside`].
    pub fn raise(&mut self, of: u16, value: u32) -> Result<(), No> {
        // The bootloader's own number is as wide as a slot.
        let value = value & self.layout.width().empty();
        let (current, free) = self.look(of)?;
        if value <= current {
            return Err(No::Invalid);
        }
        let at = free.ok_or(No::Full)?;
        match self.layout.width() {
            Width::Two => self.write_half(at, u16::try_from(!value & 0xFFFF).unwrap_or_default()),
            Width::Four => self.write_word(at, !value),
        }
    }

    /// Whether a counter can be raised once more.
    ///
    /// # Errors
    /// [`No::Invalid`] if there is no such counter, [`No::Full`].
    pub fn can_rise(&self, of: u16) -> Result<(), No> {
        self.look(of)?.1.map(|_| ()).ok_or(No::Full)
    }

    /// The life-cycle state.
    ///
    /// # Errors
    /// [`No::UnreadableState`] for fields that are no state, and on an nRF54L with a bootloader from before
    /// [`Generation::Sdk2026_05`], which compares its erased words with halfwords; [`No::Invalid`] where the generation
    /// has none.
    pub fn life_cycle(&self) -> Result<LifeCycle, No> {
        if !self.layout.generation().has_life_cycle() {
            return Err(No::Invalid);
        }
        let entered: Option<Vec<bool>> = [0, 1, 3].into_iter().map(|field| self.entered(field)).collect();
        match entered.as_deref() {
            Some([false, false, false]) => Ok(LifeCycle::Assembly),
            Some([true, false, false]) => Ok(LifeCycle::Provisioning),
            Some([true, true, false]) => Ok(LifeCycle::Secured),
            Some([true, true, true]) => Ok(LifeCycle::Decommissioned),
            Some(_) | None => Err(No::UnreadableState),
        }
    }

    /// Enters the next life-cycle state, or stays.
    ///
    /// # Errors
    /// [`No::UnreachableState`] for any other, and as [`Storage::life_cycle`]; [`No::Outside`].
    pub fn enter(&mut self, next: LifeCycle) -> Result<(), No> {
        let now = self.life_cycle()?;
        if next == now {
            return Ok(());
        }
        let field = next.field().filter(|_| next.number() == now.number() + 1).ok_or(No::UnreachableState)?;
        let at = field * self.layout.width().bytes();
        match self.layout.width() {
            Width::Two => self.write_half(at, 0),
            Width::Four => self.write_word(at, 0),
        }
    }

    /// The implementation id, which TF-M puts into attestation tokens.
    #[must_use]
    pub fn implementation_id(&self) -> [u8; 32] {
        let from = 4 * self.layout.width().bytes();
        let mut id = [0; IMPLEMENTATION_ID as usize];
        (from..).zip(&mut id).for_each(|(offset, byte)| *byte = self.byte(offset));
        id
    }

    /// The variable data of this kind; empty if there is none.
    #[must_use]
    pub fn variable(&self, kind: u8) -> Vec<u8> {
        let Some(mut at) = self.variables_at() else { return Vec::new() };
        let count = self.half(at.wrapping_add(2));
        at = at.wrapping_add(4);
        for _ in 0..count {
            let length = u32::from(self.byte(at.wrapping_add(1)));
            let data = at.wrapping_add(2);
            if self.byte(at) == kind {
                return (0..length).map(|offset| self.byte(data.wrapping_add(offset))).collect();
            }
            at = data.wrapping_add(length);
        }
        Vec::new()
    }

    /// Writes a word as the memory takes it, whatever it means: for tests of damaged memory.
    ///
    /// # Errors
    /// [`No::Outside`].
    pub fn overwrite(&mut self, offset: u32, word: u32) -> Result<(), No> {
        let cells = self.cells(offset, 4)?;
        cells.copy_from_slice(&word.to_le_bytes());
        Ok(())
    }

    fn key_at(&self, index: u32) -> u32 {
        let first = self.layout.elsewhere() + HEAD_LEN;
        first.wrapping_add(index.wrapping_mul(KEY_LEN))
    }

    fn hash(&self, index: u32) -> NsibHash {
        let mut hash = [0; 16];
        let from = self.key_at(index).wrapping_add(4);
        (0..).zip(&mut hash).for_each(|(offset, byte)| *byte = self.byte(from.wrapping_add(offset)));
        NsibHash(hash)
    }

    fn is_valid(&self, index: u32) -> Result<bool, No> {
        if index >= self.key_count() {
            return Ok(false);
        }
        let token = self.word(self.key_at(index));
        if !self.layout.generation().has_indexed_tokens() {
            // Anything but the revoked value was valid. [bl_storage.c before 417e87d7e6, key_is_valid]
            return Ok(token != 0xFFFF_0000);
        }
        // The bootloader shifts the index into a 32-bit word, whatever it is.
        let shifted = index.wrapping_shl(24);
        match token {
            token if token == 0x50FA_FFFF | shifted => Ok(true),
            token if token == 0x50FA_0000 | shifted => Ok(false),
            _ => Err(No::Panic),
        }
    }

    fn collection_at(&self) -> u32 {
        self.key_at(self.key_count())
    }

    fn counter_at(&self, of: u16) -> Result<u32, No> {
        let collection = self.collection_at();
        if self.half(collection) != COUNTERS {
            return Err(No::Invalid);
        }
        let mut at = collection.wrapping_add(4);
        for _ in 0..self.half(collection.wrapping_add(2)) {
            if self.half(at) == of {
                return Ok(at);
            }
            at = self.behind_counter(at);
        }
        Err(No::Invalid)
    }

    fn behind_counter(&self, at: u32) -> u32 {
        let slots = u32::from(self.half(at.wrapping_add(2)));
        at.wrapping_add(4).wrapping_add(slots * self.layout.width().bytes())
    }

    /// Value of a counter and the first empty slot.
    fn look(&self, of: u16) -> Result<(u32, Option<u32>), No> {
        let counter = self.counter_at(of)?;
        let (slots, width) = (u32::from(self.half(counter.wrapping_add(2))), self.layout.width());
        let mut highest = 0;
        for slot in 0..slots {
            let at = counter.wrapping_add(4 + slot * width.bytes());
            let value = !self.slot(at) & width.empty();
            if value == 0 {
                return Ok((highest, Some(at)));
            }
            highest = highest.max(value);
        }
        Ok((highest, None))
    }

    fn slot(&self, at: u32) -> u32 {
        match self.layout.width() {
            Width::Two => u32::from(self.half(at)),
            Width::Four => self.word(at),
        }
    }

    /// `None` for a value that is neither.
    fn entered(&self, field: u32) -> Option<bool> {
        let width = self.layout.width();
        let erased = if self.layout.generation() >= Generation::Sdk2026_05 { width.empty() } else { 0xFFFF };
        match self.slot(field * width.bytes()) {
            0 => Some(true),
            value if value == erased => Some(false),
            _ => None,
        }
    }

    fn variables_at(&self) -> Option<u32> {
        let mut at = self.collection_at();
        if self.half(at) == COUNTERS {
            let count = self.half(at.wrapping_add(2));
            at = (0..count).fold(at.wrapping_add(4), |at, _| self.behind_counter(at));
        }
        let known = self.layout.generation().has_width_and_reference();
        (known && self.half(at) == VARIABLE).then_some(at)
    }

    fn byte(&self, offset: u32) -> u8 {
        self.bytes.get(offset as usize).copied().unwrap_or(0xFF)
    }

    fn half(&self, offset: u32) -> u16 {
        u16::from_le_bytes([self.byte(offset), self.byte(offset.wrapping_add(1))])
    }

    fn word(&self, offset: u32) -> u32 {
        u32::from(self.half(offset)) | u32::from(self.half(offset.wrapping_add(2))) << 16
    }

    fn cells(&mut self, offset: u32, length: usize) -> Result<&mut [u8], No> {
        let from = offset as usize;
        from.checked_add(length).and_then(|to| self.bytes.get_mut(from..to)).ok_or(No::Outside)
    }

    /// A halfword takes one write, while it reads erased. [nordic-facts A4.1]
    fn write_half(&mut self, offset: u32, half: u16) -> Result<(), No> {
        let cells = self.cells(offset, 2)?;
        if *cells == [0xFF; 2] {
            cells.copy_from_slice(&half.to_le_bytes());
        }
        Ok(())
    }

    /// A word of RRAM takes one write while it reads erased; behind an NVMC each of its halves does.
    fn write_word(&mut self, offset: u32, word: u32) -> Result<(), No> {
        match self.layout.width() {
            Width::Two => {
                let [a, b, c, d] = word.to_le_bytes();
                self.write_half(offset, u16::from_le_bytes([a, b]))?;
                self.write_half(offset.wrapping_add(2), u16::from_le_bytes([c, d]))
            }
            Width::Four => {
                let cells = self.cells(offset, 4)?;
                if *cells == [0xFF; 4] {
                    cells.copy_from_slice(&word.to_le_bytes());
                }
                Ok(())
            }
        }
    }
}

impl CounterOf {
    /// The value of this counter.
    ///
    /// # Errors
    /// As [`Storage::counter`].
    pub fn value(self, storage: &Storage) -> Result<u32, No> {
        storage.counter(self.description())
    }
}
