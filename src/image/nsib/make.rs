//! Makes provision data as Nordic's script of a generation does, byte for byte, and refuses what the script refuses.
//!
//! It refuses more than the script where the bootloader would not start from the result: the script writes seventeen
//! keys without a word, and (asked to) a hash that the bootloader takes for erased.

use std::collections::HashMap;

use super::{Content, Counter, CounterOf, Head, Key, Layout, MAX_KEYS, MAX_REFERENCE, OTP_NRF54L, Width, text};
use crate::{
    image::{Map, Segment},
    keys::NsibHash,
};

/// A key by its file, so that a refusal can name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedKey {
    /// The file it came from.
    pub name: String,
    /// Its hash, made for the generation that is wished for.
    pub hash: NsibHash,
}

/// What provision data is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Generation and write width.
    pub layout: Layout,
    /// Where the bootloader's storage begins; the data may begin later.
    pub base: u32,
    /// How long the storage is, in bytes.
    pub size: u32,
    /// For NSIB or for MCUboot alone.
    pub head: WishedHead,
    /// Slots of MCUboot's counter; 0 for none.
    pub mcuboot_slots: u16,
    /// PSA certification reference.
    pub reference: Option<String>,
}

/// What stands first.
#[derive(Clone, Debug)]
pub enum WishedHead {
    /// For NSIB.
    Nsib {
        /// Address of slot 0.
        s0: u32,
        /// Address of slot 1, if there is one.
        s1: Option<u32>,
        /// The signing key first, then spare ones.
        keys: Vec<NamedKey>,
        /// Slots of NSIB's counter; 0 for none.
        slots: u16,
    },
    /// For MCUboot without NSIB.
    McubootOnly,
}

/// Provision data and where it goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Made {
    /// Address of the first byte.
    pub at: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What they say.
    pub content: Content,
}

impl Made {
    /// As an image under this name.
    #[must_use]
    pub fn image(&self, name: &str) -> Option<Map> {
        Map::of_segments(name, vec![Segment { at: self.at, bytes: self.bytes.clone() }])
    }

    /// The file as the script writes it.
    #[must_use]
    pub fn intel_hex(&self) -> String {
        text::intel_hex(self.at, &self.bytes)
    }
}

impl Wish {
    /// Makes the data.
    ///
    /// # Errors
    /// Every reason why no such data may be made.
    pub fn make(&self) -> Result<Made, Vec<String>> {
        let mut wrong = self.head_wrong();
        wrong.extend(self.counters_wrong());
        wrong.extend(self.reference_wrong());
        wrong.extend(self.place_wrong());
        let content = self.content();
        let bytes = content.encode(self.layout.width());
        wrong.extend(self.fit_wrong(bytes.len()));
        match self.base.checked_add(self.begins_after()) {
            Some(at) if wrong.is_empty() => Ok(Made { at, bytes, content }),
            _ => Err(wrong),
        }
    }

    fn begins_after(&self) -> u32 {
        match self.head {
            WishedHead::Nsib { .. } => self.layout.elsewhere(),
            WishedHead::McubootOnly => 0,
        }
    }

    fn head_wrong(&self) -> Vec<String> {
        let generation = self.layout.generation();
        match &self.head {
            WishedHead::Nsib { s0, s1, keys, .. } => {
                let addresses = std::iter::once(*s0).chain(*s1);
                let slot = |at: &u32| *at == 0 || *at == u32::MAX || !at.is_multiple_of(4);
                let wrong = addresses.filter(slot).map(|at| format!("0x{at:08X} is no address of a slot"));
                wrong.chain(keys_wrong(keys)).collect()
            }
            WishedHead::McubootOnly if !generation.has_mcuboot_counter() => {
                vec![format!("{generation} has no data for MCUboot alone; ncs-2.4 is the first that has")]
            }
            WishedHead::McubootOnly if self.mcuboot_slots == 0 => {
                vec!["data for MCUboot alone is its counter; without one there is nothing to provision".to_owned()]
            }
            WishedHead::McubootOnly => Vec::new(),
        }
    }

    fn counters_wrong(&self) -> Vec<String> {
        let generation = self.layout.generation();
        let mut wrong = Vec::new();
        for (of, slots) in self.slots() {
            if !slots.is_multiple_of(2) {
                wrong.push(format!("{slots} slots for the counter of {}: the number must be even", of.name()));
            }
            if slots == u16::MAX {
                wrong.push(format!("65535 slots for the counter of {}: that is what erased memory says", of.name()));
            }
        }
        if self.mcuboot_slots > 0 && !generation.has_mcuboot_counter() {
            wrong.push(format!("{generation} has no counter for MCUboot; ncs-2.4 is the first that has"));
        }
        wrong
    }

    fn reference_wrong(&self) -> Vec<String> {
        let generation = self.layout.generation();
        let Some(reference) = &self.reference else { return Vec::new() };
        let mut wrong = Vec::new();
        if !generation.has_width_and_reference() {
            wrong.push(format!("{generation} has no PSA certification reference; ncs-3.0 is the first that has"));
        }
        if reference.len() > MAX_REFERENCE {
            wrong.push(format!(
                "the PSA certification reference has {} characters; at most {MAX_REFERENCE} fit",
                reference.len()
            ));
        }
        if reference.is_empty() || !reference.bytes().all(|byte| byte.is_ascii_graphic()) {
            wrong.push("a PSA certification reference is made of visible ASCII characters".to_owned());
        }
        wrong
    }

    fn place_wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !self.base.is_multiple_of(4) {
            wrong.push(format!("0x{:08X} is no address of a word", self.base));
        }
        if self.layout.width() == Width::Four && self.base != OTP_NRF54L {
            wrong.push(format!(
                "an nRF54L's bootloader counts its slots from 0x{OTP_NRF54L:08X}; data at 0x{:08X} would be misread",
                self.base
            ));
        }
        wrong
    }

    fn fit_wrong(&self, length: usize) -> Option<String> {
        let needed = u64::from(self.begins_after()) + length as u64;
        let end = u64::from(self.base) + needed;
        (needed > u64::from(self.size) || end > 1 << 32).then(|| {
            format!(
                "the data does not fit: it takes {needed} of {} bytes; reduce the number of keys or counter slots",
                self.size
            )
        })
    }

    fn slots(&self) -> Vec<(CounterOf, u16)> {
        let nsib = match self.head {
            WishedHead::Nsib { slots, .. } => slots,
            WishedHead::McubootOnly => 0,
        };
        let all = [(CounterOf::Nsib, nsib), (CounterOf::Mcuboot, self.mcuboot_slots)];
        all.into_iter().filter(|(_, slots)| *slots > 0).collect()
    }

    fn content(&self) -> Content {
        let (generation, width) = (self.layout.generation(), self.layout.width());
        let counter = |(of, slots)| {
            if generation.writes_slots() { Counter::empty(of, slots, width) } else { Counter::head_only(of, slots) }
        };
        let head = match &self.head {
            WishedHead::Nsib { s0, s1, keys, .. } => {
                let token = |index: usize| generation.valid_token(u32::try_from(index).unwrap_or_default());
                let key = |(index, key): (usize, &NamedKey)| Key { token: token(index), hash: key.hash };
                // The seventeenth key is refused; its token would be nonsense.
                let keys = keys.iter().take(MAX_KEYS + 1).enumerate().map(key).collect();
                Head::Nsib { s0: *s0, s1: s1.unwrap_or(*s0), keys }
            }
            WishedHead::McubootOnly => Head::McubootOnly,
        };
        let counters = self.slots().into_iter().map(counter).collect();
        Content { head, counters, reference: self.reference.clone() }
    }
}

fn keys_wrong(keys: &[NamedKey]) -> Vec<String> {
    let mut wrong = Vec::new();
    if keys.len() > MAX_KEYS {
        wrong.push(format!("{} keys; the bootloader starts nothing with more than {MAX_KEYS}", keys.len()));
    }
    let mut seen: HashMap<NsibHash, &str> = HashMap::new();
    for key in keys {
        if let Some(offset) = key.hash.unusable() {
            wrong.push(format!(
                "the hash {} of {} holds 0xFFFF at offset {offset}, which the bootloader takes for erased and then \
                 starts nothing; make another key",
                key.hash, key.name
            ));
        }
        match seen.get(&key.hash) {
            Some(first) => wrong.push(format!(
                "{} and {first} are the same key; the key that signs is one of the list already",
                key.name
            )),
            None => {
                seen.insert(key.hash, &key.name);
            }
        }
    }
    wrong
}
