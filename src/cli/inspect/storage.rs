//! What `inspect` tells of NSIB's storage as it was read from a board.

use serde::Serialize;

use super::{memory::address, report::RefusedReport};
use crate::{
    fault::Problem,
    ident::hex,
    image::{
        Map,
        nsib::{Dump, Generation, Head, KeyState, LifeCycle, Reading, Used},
        tree::Branch,
    },
    keys::refuse::RefuseList,
};

#[derive(Serialize)]
pub(super) struct DumpReport {
    at: String,
    /// Whether the file or the command line said that address.
    placed: bool,
    length: u64,
    /// What it is recognised by, each a sentence.
    signs: Vec<String>,
    counter_slot_bytes: u32,
    mcuboot_only: bool,
    s0: Option<String>,
    s1: Option<String>,
    keys: Vec<KeyReport>,
    counters: Vec<Used>,
    life_cycle: Option<LifeCycle>,
    implementation_id: Option<String>,
    reference: Option<String>,
    may_be: Vec<Generation>,
    rests_on: Vec<String>,
    /// What the bootloader of each generation makes of it.
    readings: Vec<Reading>,
    notes: Vec<String>,
    #[serde(skip)]
    range: std::ops::Range<u64>,
    #[serde(skip)]
    tree: Branch,
}

#[derive(Serialize)]
struct KeyReport {
    hash: String,
    token: String,
    state: KeyState,
    /// Offset of a halfword 0xFFFF, with which the bootloader starts nothing while the key is valid.
    unusable_at: Option<usize>,
    refused: Option<RefusedReport>,
}

impl DumpReport {
    pub(super) fn new(dump: &Dump, list: &RefuseList) -> Self {
        let slots = match &dump.content.head {
            Head::Nsib { s0, s1, .. } => Some((address(*s0), address(*s1))),
            Head::McubootOnly => None,
        };
        let mcuboot_only = slots.is_none();
        let (s0, s1) = slots.unzip();
        let readings = dump.readings();
        Self {
            at: address(dump.at),
            placed: dump.placed,
            length: dump.end() - u64::from(dump.at),
            signs: dump.signs.clone(),
            counter_slot_bytes: dump.width.bytes(),
            mcuboot_only,
            s0,
            s1,
            keys: keys(dump, list),
            counters: dump.counters(),
            life_cycle: readings.last().and_then(|reading| reading.life_cycle),
            implementation_id: dump.implementation_id().map(|id| hex(&id)),
            reference: dump.content.reference.clone(),
            may_be: dump.told.may_be.clone(),
            rests_on: dump.told.rests_on.clone(),
            readings,
            notes: dump.notes(),
            range: u64::from(dump.at)..dump.end(),
            tree: dump.explain(list),
        }
    }

    pub(super) fn tree(&self) -> &Branch {
        &self.tree
    }

    pub(super) fn holds(&self, at: u32) -> bool {
        self.range.contains(&u64::from(at))
    }

    pub(super) fn refused_keys(&self) -> impl Iterator<Item = &RefusedReport> {
        self.keys.iter().filter_map(|key| key.refused.as_ref())
    }

    /// Keys that may not be used, revoked or not.
    pub(super) fn refused(&self) -> Vec<String> {
        let keys = self.keys.iter().enumerate();
        let told = keys.filter_map(|(index, key)| Some((index, key.refused.as_ref()?)));
        told.map(|(index, refused)| format!("{}, as key {index} of the storage at {}", refused.why, self.at)).collect()
    }
}

/// Why the bootloader would start nothing with it.
pub(super) fn problems(map: &Map, dump: &Dump) -> Vec<Problem> {
    let problem = |(at, what)| map.problem_at(at, format!("NSIB's storage: {what} (at {})", address(at)));
    dump.wrong().into_iter().map(problem).collect()
}

fn keys(dump: &Dump, list: &RefuseList) -> Vec<KeyReport> {
    let key = |(index, key): (usize, &crate::image::nsib::Key)| KeyReport {
        hash: key.hash.to_string(),
        token: address(key.token),
        state: dump.state(index),
        unusable_at: key.hash.unusable(),
        refused: list.refuses_nsib(key.hash).map(|hit| RefusedReport::hit("in provision data", &hit)),
    };
    dump.content.keys().iter().enumerate().map(key).collect()
}
