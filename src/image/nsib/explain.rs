//! Provision data in words.

use super::{Content, Counter, CounterOf, Head, Key, MAX_AREA, Provision, Storage, Width, provision::Token};
use crate::{
    image::tree::Branch,
    keys::refuse::{Hit, RefuseList},
};

/// What TF-M's templates provision as implementation id: 8 bytes each of AA, BB, CC and DD. [nordic-facts A4.2]
const TFM_DUMMY_ID: [u8; 4] = [0xAA, 0xBB, 0xCC, 0xDD];

impl Provision {
    /// For people, with what should stop them.
    #[must_use]
    pub fn explain(&self, list: &RefuseList) -> Branch {
        let names: Vec<&str> = self.told.may_be.iter().map(|generation| generation.name()).collect();
        let mut generation = Branch::new("generation", names.join(" or "));
        generation.branches = self.told.rests_on.iter().map(|because| Branch::new("because", because)).collect();
        let tree = Branch::new("provision data", format!("{} bytes at 0x{:08X}", self.length(), self.at))
            .with(generation)
            .with(self.storage_branch());
        let tree = self.content.explain(self.width, list).into_iter().fold(tree, Branch::with);
        match self.content.head {
            Head::McubootOnly => tree.warn(
                "the zeros before the counters also say that the device is DECOMMISSIONED and has an implementation id of \
                 zeros: not for TF-M attestation, nor for a bootloader that heeds the life-cycle state",
            ),
            Head::Nsib { .. } => tree,
        }
    }

    /// Every refused key that it trusts, with its index.
    #[must_use]
    pub fn refused<'l>(&self, list: &'l RefuseList) -> Vec<(usize, Hit<'l>)> {
        let keys = self.content.keys().iter().enumerate();
        keys.filter_map(|(index, key)| Some((index, list.refuses_nsib(key.hash)?))).collect()
    }

    fn length(&self) -> usize {
        self.content.encode(self.width).len()
    }

    fn storage_branch(&self) -> Branch {
        let width = format!("counter slots of {} bytes", self.width.bytes());
        match self.base {
            Some(base) => Branch::new("storage", format!("from 0x{base:08X}, {width}")),
            None => {
                Branch::new("storage", width).warn("its address does not tell where the bootloader's storage begins")
            }
        }
    }
}

impl Content {
    fn explain(&self, width: Width, list: &RefuseList) -> Vec<Branch> {
        let mut branches = match &self.head {
            Head::Nsib { s0, s1, keys } => head(*s0, *s1, keys, list),
            Head::McubootOnly => vec![Branch::new("for", "MCUboot alone, without NSIB")],
        };
        branches.extend(self.counters.iter().map(|counter| counter.explain(width)));
        if self.counters.is_empty() {
            branches.push(Branch::new("counters", "none: nothing stops an older version"));
        }
        branches.extend(self.reference.iter().map(|reference| Branch::new("PSA reference", reference)));
        branches
    }
}

fn head(s0: u32, s1: u32, keys: &[Key], list: &RefuseList) -> Vec<Branch> {
    let slots = if s0 == s1 { format!("0x{s0:08X}, no second") } else { format!("0x{s0:08X} and 0x{s1:08X}") };
    let mut branches = vec![Branch::new("for", "NSIB"), Branch::new("slots", slots)];
    if keys.is_empty() {
        branches.push(Branch::new("keys", "none: the bootloader must have them elsewhere (nRF54L: KMU)"));
    }
    branches.extend(keys.iter().enumerate().map(|(index, key)| key.explain(index, list)));
    branches
}

impl Key {
    fn explain(&self, index: usize, list: &RefuseList) -> Branch {
        let state = match Token::of(self.token, index) {
            Some(Token::PlainValid | Token::IndexedValid) => "",
            Some(Token::PlainRevoked | Token::IndexedRevoked) => ", revoked",
            None => ", token unknown",
        };
        let branch = Branch::new(format!("key {index}"), format!("{}{state}", self.hash));
        if let Some(refused) = list.refuses_nsib(self.hash) {
            return branch.warn(format!("is the {refused}"));
        }
        match self.hash.unusable() {
            Some(offset) => branch.warn(format!(
                "holds 0xFFFF at offset {offset}: the bootloader starts nothing, even if this is a spare key"
            )),
            None => branch,
        }
    }
}

impl Counter {
    fn explain(&self, width: Width) -> Branch {
        let mut what = format!("{} slots: it can rise {0} times", self.slots);
        let used = self.used(width);
        if used > 0 {
            what = format!("{} slots, {used} used", self.slots);
        }
        let branch = Branch::new(format!("counter of {}", self.of.name()), what);
        if used > 0 { branch.warn("a fresh file has no used slots; this is a copy of a device") } else { branch }
    }
}

impl Storage {
    /// For people: what the bootloader makes of the memory.
    #[must_use]
    pub fn explain(&self) -> Branch {
        let tree = Branch::new(
            "storage",
            format!("{} bytes at 0x{:08X}", self.bytes().len().min(MAX_AREA as usize), self.base()),
        );
        let tree = match self.verify_keys() {
            Ok(()) => tree.with(Branch::new("keys", self.key_count().to_string())),
            Err(no) => tree.with(Branch::new("keys", self.key_count().to_string()).warn(format!("refused: {no:?}"))),
        };
        let tree = match self.life_cycle() {
            Ok(state) => tree.with(Branch::new("life cycle", format!("{state:?}").to_uppercase())),
            Err(_) => tree.with(Branch::new("life cycle", "cannot be read")),
        };
        let tree = [CounterOf::Nsib, CounterOf::Mcuboot]
            .into_iter()
            .filter_map(|of| self.counter_branch(of))
            .fold(tree, Branch::with);
        let id = self.implementation_id();
        let id_branch = Branch::new("implementation", crate::ident::hex(&id));
        if is_dummy_id(&id) {
            return tree.with(id_branch.warn("is the example of TF-M's templates; it identifies nothing"));
        }
        tree.with(id_branch)
    }

    fn counter_branch(&self, of: CounterOf) -> Option<Branch> {
        let (value, slots) = (of.value(self).ok()?, self.counter_slots(of.description()).ok()?);
        let branch = Branch::new(format!("counter of {}", of.name()), format!("stands at {value}, {slots} slots"));
        Some(match self.can_rise(of.description()) {
            Ok(()) => branch,
            Err(_) => branch.warn("no slot is left: it can never rise again"),
        })
    }
}

/// Whether an implementation id is the one of TF-M's templates.
fn is_dummy_id(id: &[u8; 32]) -> bool {
    id.chunks_exact(8).zip(TFM_DUMMY_ID).all(|(eight, dummy)| eight.iter().all(|byte| *byte == dummy))
}
