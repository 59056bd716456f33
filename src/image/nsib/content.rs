//! What a provision file says, apart from where it stands; put into bytes as Nordic's scripts do.

use serde::{Serialize, Serializer};

use super::{IMPLEMENTATION_ID, Width};
use crate::keys::NsibHash;

/// Type of the collection of counters. [bl_storage.h]
pub(super) const COUNTERS: u16 = 1;
/// Type of the collection of variable data. [bl_storage.h]
pub(super) const VARIABLE: u16 = 0x9312;
/// Type of the PSA certification reference among the variable data. [bl_storage.h]
pub(super) const REFERENCE: u8 = 1;
/// Before the first key: two slots and the number of keys. [bl_storage.h, struct bl_storage_data]
pub(super) const HEAD_LEN: u32 = 12;
/// One key, in bytes: token and hash.
pub(super) const KEY_LEN: u32 = 20;

/// Everything the file says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Content {
    /// What stands first.
    pub head: Head,
    /// In the order of the file.
    pub counters: Vec<Counter>,
    /// PSA certification reference.
    pub reference: Option<String>,
}

/// What stands before the counters.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// Slots and keys for NSIB.
    Nsib {
        /// Address of slot 0.
        s0: u32,
        /// Address of slot 1; that of slot 0 if there is none.
        s1: u32,
        /// In their order: booting with one revokes all before it.
        keys: Vec<Key>,
    },
    /// Zeros in place of all that: MCUboot alone uses the counters.
    McubootOnly,
}

/// One key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Key {
    /// Whether it is valid; see [`super::Generation::valid_token`].
    pub token: u32,
    /// Which key.
    #[serde(serialize_with = "as_text")]
    pub hash: NsibHash,
}

fn as_text<S: Serializer>(hash: &NsibHash, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(hash)
}

/// Whose versions a counter counts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterOf {
    /// NSIB: version and slot of what it starts.
    Nsib,
    /// MCUboot: security counter of its image 0.
    Mcuboot,
}

impl CounterOf {
    /// As in the file. [bl_storage.h, BL_MONOTONIC_COUNTERS_DESC]
    #[must_use]
    pub const fn description(self) -> u16 {
        match self {
            Self::Nsib => 1,
            Self::Mcuboot => 2,
        }
    }

    pub(super) fn described(description: u16) -> Option<Self> {
        [Self::Nsib, Self::Mcuboot].into_iter().find(|of| of.description() == description)
    }

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nsib => "NSIB",
            Self::Mcuboot => "MCUboot",
        }
    }
}

/// A counter that can only rise.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Counter {
    /// Whose.
    pub of: CounterOf,
    /// How often it can rise.
    pub slots: u16,
    /// Slots as they are in the file; `None` if the file ends with the counter's head, as early scripts have it.
    #[serde(skip)]
    pub written: Option<Vec<u32>>,
}

impl Counter {
    /// With all slots empty and written out.
    #[must_use]
    pub fn empty(of: CounterOf, slots: u16, width: Width) -> Self {
        Self { of, slots, written: Some(vec![width.empty(); usize::from(slots)]) }
    }

    /// With the head alone.
    #[must_use]
    pub fn head_only(of: CounterOf, slots: u16) -> Self {
        Self { of, slots, written: None }
    }

    /// How many slots hold a value already, which no fresh file has.
    #[must_use]
    pub fn used(&self, width: Width) -> usize {
        self.written.iter().flatten().filter(|slot| **slot != width.empty()).count()
    }
}

impl Content {
    /// The keys; none for MCUboot alone.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        match &self.head {
            Head::Nsib { keys, .. } => keys,
            Head::McubootOnly => &[],
        }
    }

    /// The bytes, nothing checked.
    #[must_use]
    pub fn encode(&self, width: Width) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.head.encode(width, &mut bytes);
        if let Ok(count @ 1..) = u16::try_from(self.counters.len()) {
            halves(&mut bytes, [COUNTERS, count]);
            self.counters.iter().for_each(|counter| counter.encode(width, &mut bytes));
        }
        if let Some(reference) = &self.reference {
            encode_reference(reference, &mut bytes);
        }
        bytes
    }
}

impl Head {
    fn encode(&self, width: Width, bytes: &mut Vec<u8>) {
        match self {
            Self::Nsib { s0, s1, keys } => {
                words(bytes, [*s0, *s1, u32::try_from(keys.len()).unwrap_or(u32::MAX)]);
                for key in keys {
                    words(bytes, [key.token]);
                    bytes.extend_from_slice(&key.hash.0);
                }
            }
            Self::McubootOnly => bytes.resize(mcuboot_only(width), 0),
        }
    }
}

/// How many zero bytes stand before the counters of MCUboot alone.
pub(super) fn mcuboot_only(width: Width) -> usize {
    (4 * width.bytes() + IMPLEMENTATION_ID + 12) as usize
}

impl Counter {
    fn encode(&self, width: Width, bytes: &mut Vec<u8>) {
        halves(bytes, [self.of.description(), self.slots]);
        for slot in self.written.iter().flatten() {
            bytes.extend(slot.to_le_bytes().into_iter().take(width.bytes() as usize));
        }
    }
}

fn encode_reference(reference: &str, bytes: &mut Vec<u8>) {
    let from = bytes.len();
    halves(bytes, [VARIABLE, 1]);
    bytes.extend_from_slice(&[REFERENCE, u8::try_from(reference.len()).unwrap_or(u8::MAX)]);
    bytes.extend_from_slice(reference.as_bytes());
    let padded = (bytes.len() - from).next_multiple_of(4);
    bytes.resize(from + padded, 0);
}

fn halves(bytes: &mut Vec<u8>, halves: [u16; 2]) {
    halves.into_iter().for_each(|half| bytes.extend_from_slice(&half.to_le_bytes()));
}

fn words<const N: usize>(bytes: &mut Vec<u8>, words: [u32; N]) {
    words.into_iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
}
