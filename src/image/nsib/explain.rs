//! Provision data in words.

use super::{
    Content, Counter, CounterOf, Dump, Head, Key, KeyState, LifeCycle, MAX_AREA, No, Provision, Reading, Storage, Told,
    Used, Width, provision::Token,
};
use crate::{
    image::tree::Branch,
    keys::refuse::{Hit, RefuseList},
};

/// What TF-M's templates provision as implementation id: 8 bytes each of AA, BB, CC and DD. [nordic-facts A4.2]
const TFM_DUMMY_ID: [u8; 4] = [0xAA, 0xBB, 0xCC, 0xDD];

/// What data for MCUboot alone also says.
const ZEROS: &str = "the zeros before the counters also say that the device is DECOMMISSIONED and has an implementation \
                     id of zeros: not for TF-M attestation, nor for a bootloader that heeds the life-cycle state";

impl Told {
    fn branch(&self) -> Branch {
        let names: Vec<&str> = self.may_be.iter().map(|generation| generation.name()).collect();
        let mut branch = Branch::new("generation", names.join(" or "));
        branch.branches = self.rests_on.iter().map(|because| Branch::new("because", because)).collect();
        branch
    }
}

impl Provision {
    /// For people, with what should stop them.
    #[must_use]
    pub fn explain(&self, list: &RefuseList) -> Branch {
        let tree = Branch::new("provision data", format!("{} bytes at 0x{:08X}", self.length(), self.at))
            .with(self.told.branch())
            .with(self.storage_branch());
        let tree = self.content.explain(self.width, list).into_iter().fold(tree, Branch::with);
        match self.content.head {
            Head::McubootOnly => tree.warn(ZEROS),
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

impl Dump {
    /// For people: what stands there, and what the bootloader of each generation makes of it.
    #[must_use]
    pub fn explain(&self, list: &RefuseList) -> Branch {
        let place =
            if self.placed { format!("at 0x{:08X}", self.at) } else { "at an address that was not said".to_owned() };
        let tree =
            Branch::new("storage", format!("{} bytes {place}, as read from a board", self.end() - u64::from(self.at)));
        let tree = self.signs.iter().map(|sign| Branch::new("told by", sign)).fold(tree, Branch::with);
        let tree = match &self.content.head {
            Head::Nsib { s0, s1, .. } => head(*s0, *s1, &[], list).into_iter().take(2).fold(tree, Branch::with),
            Head::McubootOnly => tree.with(Branch::new("for", "MCUboot alone, without NSIB")),
        };
        let keys = self.content.keys().iter().enumerate().map(|(index, key)| self.key_branch(index, key, list));
        let tree = keys.fold(tree, Branch::with);
        let tree = self.counters().iter().map(Used::branch).fold(tree, Branch::with);
        let id = self.implementation_id().map(|id| Branch::new("implementation", id_in_words(&id)));
        let reference = self.content.reference.iter().map(|reference| Branch::new("PSA reference", reference));
        let tree = id.into_iter().chain(reference).fold(tree, Branch::with).with(self.told.branch());
        let tree = readings_in_words(&self.readings()).into_iter().fold(tree, Branch::with);
        self.notes().into_iter().fold(tree, |tree, note| tree.with(Branch::new("note", note)))
    }

    /// Every refused key in it, revoked or not, with its index.
    #[must_use]
    pub fn refused<'l>(&self, list: &'l RefuseList) -> Vec<(usize, Hit<'l>)> {
        let keys = self.content.keys().iter().enumerate();
        keys.filter_map(|(index, key)| Some((index, list.refuses_nsib(key.hash)?))).collect()
    }

    /// What a person should know, although the bootloader may well start.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let readings = self.readings();
        let latest = readings.last().and_then(|reading| reading.life_cycle);
        let has_state = self.told.may_be.last().is_some_and(|generation| generation.has_life_cycle());
        match latest {
            _ if self.content.head == Head::McubootOnly => notes.push(ZEROS.to_owned()),
            Some(LifeCycle::Decommissioned) => {
                notes.push("life cycle DECOMMISSIONED: a bootloader that heeds it never starts again".to_owned());
            }
            None if has_state => {
                notes.push("the life-cycle words are no state; a bootloader that heeds them does not start".to_owned());
            }
            Some(LifeCycle::Assembly | LifeCycle::Provisioning | LifeCycle::Secured) | None => {}
        }
        if self.implementation_id().is_some_and(|id| is_dummy_id(&id)) {
            notes.push("the implementation id is the example of TF-M's templates; it identifies nothing".to_owned());
        }
        for counter in self.counters() {
            let name = counter.of.name();
            if !counter.regular {
                notes.push(format!(
                    "the slots of the counter of {name} are not as a bootloader fills them: it takes the highest value \
                     before the first empty slot"
                ));
            }
            if counter.left == 0 {
                notes.push(format!("the counter of {name} has no slot left: it can never rise again"));
            }
        }
        if self.placed && !self.known_place && self.width == Width::Two {
            notes.push(format!("0x{:08X} is no address where a bootloader is known to keep its storage", self.at));
        }
        notes.extend(
            self.behind.map(|at| format!("at 0x{at:08X}, behind the data, stands something that is not NSIB's")),
        );
        notes
    }

    fn key_branch(&self, index: usize, key: &Key, list: &RefuseList) -> Branch {
        let state = match self.state(index) {
            KeyState::Valid => "valid",
            KeyState::Revoked => "revoked",
            KeyState::Damaged => "neither valid nor revoked",
        };
        let branch = Branch::new(format!("key {index}"), format!("{}, {state}", key.hash));
        match list.refuses_nsib(key.hash) {
            Some(refused) => branch.warn(format!("is the {refused}")),
            None => branch,
        }
    }
}

impl Used {
    fn branch(&self) -> Branch {
        let Self { value, slots, used, left, .. } = self;
        // The slot that a version was started from shares the value with it. [nordic-facts B5]
        let meaning = match self.of {
            CounterOf::Nsib if *value > 0 => {
                format!(" (version {}, started from slot {})", value >> 1, 1 - (value & 1))
            }
            CounterOf::Nsib | CounterOf::Mcuboot => String::new(),
        };
        let what = format!("stands at {value}{meaning}; {used} of {slots} slots used, {left} left");
        Branch::new(format!("counter of {}", self.of.name()), what)
    }
}

fn id_in_words(id: &[u8; 32]) -> String {
    match id {
        [0xFF, rest @ ..] if rest.iter().all(|byte| *byte == 0xFF) => "erased: none was written".to_owned(),
        _ => crate::ident::hex(id),
    }
}

/// One line for every run of generations that make the same of it.
fn readings_in_words(readings: &[Reading]) -> Vec<Branch> {
    let same = |one: &Reading, next: &Reading| {
        (&one.usable_keys, one.refuses, one.life_cycle) == (&next.usable_keys, next.refuses, next.life_cycle)
    };
    let run = |run: &[Reading]| {
        let (first, last) = (run.first()?, run.last()?);
        let generations = if run.len() == 1 {
            format!("of {}", first.generation)
        } else {
            format!("of {} to {}", first.generation, last.generation)
        };
        Some(Branch::new("bootloader", format!("{generations}: {}", first.in_words())))
    };
    readings.chunk_by(same).filter_map(run).collect()
}

impl Reading {
    fn in_words(&self) -> String {
        let indices: Vec<String> = self.usable_keys.iter().map(ToString::to_string).collect();
        let keys = match (self.refuses, &indices[..]) {
            (Some(No::Panic), _) => "stops for good at a validity token".to_owned(),
            (Some(No::ErasedHash), _) => "starts nothing: a valid key's hash holds 0xFFFF".to_owned(),
            (Some(other), _) => format!("starts nothing: {other:?}"),
            (None, []) => "takes no key from here".to_owned(),
            (None, indices) => format!("takes key {}", indices.join(", ")),
        };
        match self.life_cycle {
            Some(state) => format!("{keys}; life cycle {}", format!("{state:?}").to_uppercase()),
            None if self.generation.has_life_cycle() => format!("{keys}; life cycle cannot be read"),
            None => format!("{keys}; knows no life cycle"),
        }
    }
}

/// Whether an implementation id is the one of TF-M's templates.
fn is_dummy_id(id: &[u8; 32]) -> bool {
    id.chunks_exact(8).zip(TFM_DUMMY_ID).all(|(eight, dummy)| eight.iter().all(|byte| *byte == dummy))
}
