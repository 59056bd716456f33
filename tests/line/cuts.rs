//! Every transfer of a whole run cut by power, before and after, and every write and erase of cells also inside: then
//! power again, a station started anew, and the same label. Cuts that leave board and records in the same state share
//! one recovery.

use std::{collections::HashMap, sync::Arc};

use rootstamp::{
    clock::Frozen,
    ident::Serial,
    ledger::{Disposition, Ledger, Standing},
    plan::Lot,
    session::news::{Outcome, Verdict},
    virtual_board::{Board, Counters, Cut, Faults, Latch, Silicon, Slot, When, lock},
};

use super::{FIRST, Line, guard::KINDS, label, opening, smallest, virgin};

/// What an operator may have to do at most, after the faults have stopped.
const ACTIONS: usize = 3;
/// Random halves of a write or erase that are tried, for each one.
const SEEDS: u64 = 3;

/// One kind of board, everything that was tried on it, and how each state was recovered from.
struct Trial {
    silicon: Silicon,
    latch: Latch,
    lot: Arc<Lot>,
    label: String,
    recoveries: HashMap<String, usize>,
    cuts: u64,
}

/// A board without power, and the records: what is left when everything has stopped.
struct Left {
    board: Board,
    ledger: Ledger,
}

impl Trial {
    fn new(silicon: Silicon, latch: Latch) -> Self {
        let lot = Arc::new(smallest(silicon));
        let label = label(&lot, 1);
        Self { silicon, latch, lot, label, recoveries: HashMap::new(), cuts: 0 }
    }

    fn virgin(&self) -> Board {
        virgin(self.silicon, self.latch, FIRST)
    }

    fn whole(&self) -> (Counters, u64) {
        let mut line = Line::new(Arc::clone(&self.lot), Slot::with(self.virgin()).shared());
        assert_eq!(line.scan(&self.label).verdict, Verdict::Pass);
        let slot = lock(&line.slot);
        (slot.counters(), slot.board().unwrap().cell_operations())
    }

    /// Scans a virgin board with the power going as `faults` says.
    fn cut(&mut self, faults: Faults) -> (Outcome, [Left; 2]) {
        let mut line = Line::new(Arc::clone(&self.lot), Slot::with(self.virgin()).shared());
        lock(&line.slot).set_faults(faults);
        let outcome = line.scan(&self.label);
        self.cuts += 1;
        (outcome, left_behind(&mut line))
    }

    /// Scans, and releases what is held, until the next erase is cut.
    fn cut_again(&mut self, board: Board, ledger: Ledger, seed: u64) -> [Left; 2] {
        let operation = board.cell_operations() + 1;
        let mut line = Line::with(Arc::clone(&self.lot), Slot::with(board).shared(), ledger);
        lock(&line.slot).set_faults(cut_inside(operation, seed));
        for _ in 0..ACTIONS {
            if line.wire.at_cut.is_none() {
                line.scan(&self.label);
            }
            if line.wire.at_cut.is_none() && matches!(line.standing(&self.label), Standing::Held { .. }) {
                line.dispose(&self.label, Disposition::Release);
            }
        }
        self.cuts += 1;
        left_behind(&mut line)
    }

    /// Scans until PASS, releasing what is held, unless this state was recovered from before.
    fn recover(&mut self, left: Left, how: &str) {
        let serial: Serial = self.label.parse().unwrap();
        let board = Board::from_snapshot(&left.board.snapshot());
        let state = format!("{:02x?} {}", board.fingerprint(), story(&left.ledger, &serial));
        if self.recoveries.contains_key(&state) {
            return;
        }
        let mut line = Line::with(Arc::clone(&self.lot), Slot::with(board).shared(), left.ledger);
        let actions = actions_to_pass(&mut line, &self.label);
        assert!(actions <= ACTIONS, "{how}: {actions} actions, {state}, {:?} {:?}", self.silicon, self.latch);
        self.recoveries.insert(state, actions);
    }
}

/// The board, with the records as the station left them, and as they were when the power went.
fn left_behind(line: &mut Line) -> [Left; 2] {
    let killed = line.wire.at_cut.take().expect("nothing was cut");
    let board = lock(&line.slot).remove().unwrap();
    let heard = line.ledger.lock().unwrap().copy().unwrap();
    [Left { board: board.clone(), ledger: heard }, Left { board, ledger: killed }]
}

/// How many times somebody has to do something until PASS.
pub(super) fn actions_to_pass(line: &mut Line, label: &str) -> usize {
    let mut actions = 0;
    while actions <= ACTIONS {
        actions += 1;
        let outcome = line.scan(label);
        if matches!(outcome.verdict, Verdict::Pass | Verdict::DoneAlready) {
            return actions;
        }
        if matches!(line.standing(label), Standing::Held { .. }) {
            actions += 1;
            line.dispose(label, Disposition::Release);
        }
    }
    actions
}

/// What later runs can tell of the records: kinds of entries, and how runs ended.
fn story(ledger: &Ledger, serial: &Serial) -> String {
    let entries = ledger.records().of_unit(serial).unwrap();
    let words = entries.iter().map(|entry| {
        let body: serde_json::Value = serde_json::from_str(&entry.body).unwrap();
        format!("{}:{:?}:{}:{}", entry.kind, entry.device, body["verdict"], body["fault"]["code"])
    });
    words.collect::<Vec<_>>().join(" ")
}

fn cut_at(at: u64, when: When) -> Faults {
    Faults { cut_power: Some(Cut { at, when }), ..Faults::default() }
}

fn cut_inside(operation: u64, seed: u64) -> Faults {
    Faults { cut_inside: Some(operation), seed, ..Faults::default() }
}

/// The words a whole run writes, in their order.
fn written(lot: &Lot, serial: &Serial) -> Vec<(u32, u32)> {
    let flash = lot.golden.regions.iter().flat_map(|region| (region.at..).step_by(4).zip(region.words()));
    let words = lot.golden.words_for(serial).into_iter().chain(lot.golden.lock.clone());
    let all = flash.chain(words.map(|word| (word.at, word.value)));
    all.filter(|(_, value)| *value != u32::MAX).collect()
}

fn every_transfer(trial: &mut Trial, transactions: u64) {
    let mut tried = 0;
    for at in 1..=transactions {
        for when in [When::Before, When::After] {
            let (outcome, left) = trial.cut(cut_at(at, when));
            assert_ne!(outcome.verdict, Verdict::Pass, "{at} {when:?}");
            left.into_iter().for_each(|left| trial.recover(left, &format!("{at} {when:?}")));
        }
        tried += 1;
    }
    assert_eq!(tried, transactions);
}

/// Inside every write: random halves, all bits but one, and one bit alone.
fn every_write(trial: &mut Trial, operations: u64) {
    let serial = trial.label.parse().unwrap();
    let written = written(&trial.lot, &serial);
    assert_eq!(written.len() as u64 + 1, operations, "one erase, and each word once");
    for (operation, (at, value)) in (2..).zip(written) {
        let (_, lefts) = trial.cut(cut_inside(operation, 0));
        for torn in few_bits(&trial.lot, at, value) {
            for left in &lefts {
                let board = left.board.clone().holding(at, &torn.to_le_bytes());
                let ledger = left.ledger.copy().unwrap();
                trial.recover(Left { board, ledger }, &format!("inside {operation}, {at:#x} is {torn:#x}"));
            }
        }
        lefts.into_iter().for_each(|left| trial.recover(left, &format!("inside {operation} seed 0")));
        for seed in 1..SEEDS {
            let (_, lefts) = trial.cut(cut_inside(operation, seed));
            lefts.into_iter().for_each(|left| trial.recover(left, &format!("inside {operation} seed {seed}")));
        }
    }
}

/// What a word may read when all bits but one were cleared, or one alone: every bit of a lock word, one of the others.
fn few_bits(lot: &Lot, at: u32, value: u32) -> Vec<u32> {
    let clears: Vec<u32> = (0..32).map(|bit| 1 << bit).filter(|bit| value & bit == 0).collect();
    let is_lock = lot.golden.lock.iter().any(|word| word.at == at);
    let few = if is_lock { clears.len() } else { 1 };
    // Not always the lowest one.
    let first = at as usize / 4 % clears.len();
    clears.iter().cycle().skip(first).take(few).flat_map(|bit| [value | bit, !bit]).collect()
}

/// Inside the erase of boards with something on them: what a first cut left, and old firmware.
fn every_erase(trial: &mut Trial, operations: u64) {
    for first in [1, 2, operations / 2, operations - 1, operations] {
        for seed in 0..2 * SEEDS {
            let (_, lefts) = trial.cut(cut_inside(first, seed));
            for left in lefts {
                let board = Board::from_snapshot(&left.board.snapshot()).holding(0x2_0000, &[0x5A; 5000]);
                let again = trial.cut_again(board, left.ledger, seed);
                again.into_iter().for_each(|left| trial.recover(left, &format!("erase after {first} seed {seed}")));
            }
        }
    }
}

fn try_kind(silicon: Silicon, latch: Latch) -> (u64, u64, usize) {
    let mut trial = Trial::new(silicon, latch);
    let (counters, operations) = trial.whole();
    every_transfer(&mut trial, counters.transactions);
    every_write(&mut trial, operations);
    every_erase(&mut trial, operations);
    let (cuts, states) = (trial.cuts, trial.recoveries.len());
    let with = |actions| trial.recoveries.values().filter(|needed| **needed == actions).count();
    println!(
        "{silicon:?} {latch:?}: {} transactions, {} writes and erases, {cuts} cuts, {states} distinct states; \
         recovered after 1 action {}, 2 actions {}, 3 actions {}",
        counters.transactions,
        operations,
        with(1),
        with(2),
        with(3),
    );
    (counters.transactions, cuts, states)
}

#[test]
fn a_run_cut_anywhere_breaks_no_promise_and_ends_in_pass_after_three_actions_at_most() {
    let kinds = std::thread::scope(|scope| {
        let trials = KINDS.map(|(silicon, latch)| scope.spawn(move || try_kind(silicon, latch)));
        trials.map(|trial| trial.join().unwrap())
    });
    let sum = |of: fn(&(u64, u64, usize)) -> u64| kinds.iter().map(of).sum::<u64>();
    println!(
        "{} transactions, {} cuts, {} distinct states",
        sum(|kind| kind.0),
        sum(|kind| kind.1),
        sum(|kind| kind.2 as u64)
    );
}

/// Transfers in no order, the same every time.
fn some_transfers(transactions: u64, salt: u64) -> impl Iterator<Item = u64> {
    (1..).map(move |step: u64| 1 + (step + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15) % transactions)
}

#[test]
fn a_run_and_the_run_after_it_both_cut_end_in_pass_after_three_actions_at_most() {
    std::thread::scope(|scope| {
        let trials = KINDS.map(|(silicon, latch)| scope.spawn(move || cut_twice(silicon, latch)));
        let tried = trials.map(|trial| trial.join().unwrap());
        println!("second cuts tried, seed {SALT}: {tried:?}");
    });
}

const SALT: u64 = 2026;
const TWICE: usize = 150;

fn cut_twice(silicon: Silicon, latch: Latch) -> usize {
    let mut trial = Trial::new(silicon, latch);
    let (counters, _) = trial.whole();
    let firsts = some_transfers(counters.transactions, SALT);
    let seconds = some_transfers(counters.transactions, SALT + 7);
    let mut tried = 0;
    for (first, second) in firsts.zip(seconds).take(TWICE) {
        let (_, [left, _]) = trial.cut(cut_at(first, When::After));
        let board = Board::from_snapshot(&left.board.snapshot());
        let mut line = Line::with(Arc::clone(&trial.lot), Slot::with(board).shared(), left.ledger);
        lock(&line.slot).set_faults(cut_at(second, When::After));
        line.scan(&trial.label);
        // A unit that is held is not touched by the second scan, and so not cut.
        if line.wire.at_cut.is_some() {
            tried += 1;
            let lefts = left_behind(&mut line);
            lefts.into_iter().for_each(|left| trial.recover(left, &format!("{first} and {second}, seed {SALT}")));
        }
    }
    assert!(tried > TWICE / 2);
    tried
}

#[test]
fn a_station_whose_power_went_with_the_boards_goes_on_from_the_records_on_its_disk() {
    for (silicon, latch) in KINDS {
        let trial = Trial::new(silicon, latch);
        let (counters, _) = trial.whole();
        for at in some_transfers(counters.transactions, SALT).take(12) {
            let dir = tempfile::tempdir().unwrap();
            let ledger = Ledger::open(dir.path(), &opening(), Arc::new(Frozen::default())).unwrap();
            let mut line = Line::with(Arc::clone(&trial.lot), Slot::with(trial.virgin()).shared(), ledger);
            lock(&line.slot).set_faults(cut_at(at, When::Before));
            line.scan(&trial.label);
            let board = lock(&line.slot).remove().unwrap();
            drop(line);
            let ledger = Ledger::reopen(dir.path(), "test", Arc::new(Frozen::default())).unwrap();
            let mut line = Line::with(Arc::clone(&trial.lot), Slot::with(board).shared(), ledger);
            let actions = actions_to_pass(&mut line, &trial.label);
            assert!(actions <= ACTIONS, "{at} {silicon:?} {latch:?}: {actions}, seed {SALT}");
            line.ledger.lock().unwrap().records().verify().unwrap();
        }
    }
}
