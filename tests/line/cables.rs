//! Bad cables, boards that are exchanged and boards that reset, from many moments of a run on. Which moments is decided by
//! [`SEED`], which a failure names.

use std::sync::Arc;

use rootstamp::{
    ledger::{Disposition, Standing},
    plan::Lot,
    session::news::Verdict,
    virtual_board::{Board, Cut, Faults, Flip, Latch, Shared, Silicon, Slot, Span, Stuck, When, lock},
};

use super::{FIRST, Line, OTHER, cuts::actions_to_pass, guard::KINDS, label, smallest, virgin};

const SEED: u64 = 2026;

/// Every so many transfers, beginning where seed, kind and form say.
fn moments(transactions: u64, step: u64, salt: u64) -> impl Iterator<Item = u64> {
    let first = 1 + SEED.wrapping_mul(salt + 1).wrapping_mul(0x9E37_79B9) % step;
    (first..=transactions).step_by(usize::try_from(step).unwrap())
}

/// What a cable does from this transfer on.
fn forms(at: u64) -> Vec<Faults> {
    let span = |count| Some(Span { from: at, count });
    let flip = |count, mask| Some(Flip { span: Span { from: at, count }, mask });
    let stuck = |count, mask, high| Some(Stuck { span: Span { from: at, count }, mask, high });
    let none = Faults { seed: at, ..Faults::default() };
    vec![
        Faults { no_ack: span(None), ..none.clone() },
        Faults { no_ack: span(Some(1)), ..none.clone() },
        Faults { no_ack: span(Some(30)), ..none.clone() },
        Faults { wait: span(None), ..none.clone() },
        Faults { wait: span(Some(3)), ..none.clone() },
        Faults { nonsense: span(None), ..none.clone() },
        Faults { nonsense: span(Some(1)), ..none.clone() },
        Faults { nonsense: span(Some(20)), ..none.clone() },
        Faults { flip: flip(Some(1), 1 << (at % 32)), ..none.clone() },
        Faults { flip: flip(None, 1 << (at % 32)), ..none.clone() },
        Faults { flip: flip(Some(3), u32::MAX), ..none.clone() },
        Faults { stuck: stuck(None, u32::MAX, false), ..none.clone() },
        Faults { stuck: stuck(None, u32::MAX, true), ..none.clone() },
        Faults { stuck: stuck(Some(50), 1, false), ..none.clone() },
        Faults { stuck: stuck(Some(50), 1, true), ..none },
    ]
}

struct Bench {
    silicon: Silicon,
    latch: Latch,
    lot: Arc<Lot>,
}

impl Bench {
    fn of((silicon, latch): (Silicon, Latch)) -> Self {
        Self { silicon, latch, lot: Arc::new(smallest(silicon)) }
    }

    fn line(&self) -> Line {
        Line::new(Arc::clone(&self.lot), Slot::with(virgin(self.silicon, self.latch, FIRST)).shared())
    }

    /// Transfers and batches of a whole run.
    fn whole(&self) -> (u64, u64) {
        let mut line = self.line();
        assert_eq!(line.scan(&label(&self.lot, 1)).verdict, Verdict::Pass);
        (lock(&line.slot).counters().transactions, line.wire.batches)
    }
}

fn on_every_kind<T: Send>(try_kind: impl Fn(Bench) -> T + Copy + Send) -> [T; 4] {
    std::thread::scope(|scope| {
        let tried = KINDS.map(|kind| scope.spawn(move || try_kind(Bench::of(kind))));
        tried.map(|tried| tried.join().unwrap())
    })
}

#[test]
fn a_cable_that_fails_at_any_moment_leads_to_no_false_pass_and_the_next_scans_finish_the_unit() {
    let counts = on_every_kind(|bench| {
        let label = label(&bench.lot, 1);
        let (transactions, _) = bench.whole();
        let (mut tried, mut passed) = (0_u64, 0_u64);
        for form in 0..forms(1).len() {
            let salt = form as u64 * 4 + bench.silicon as u64 * 2 + bench.latch as u64;
            for at in moments(transactions, 67, salt) {
                let faults = forms(at).swap_remove(form);
                let mut line = bench.line();
                // Who is told that an erase is over cannot know better.
                line.wire.lies = faults.nonsense.is_some() || faults.flip.is_some() || faults.stuck.is_some();
                line.wire.context = format!("{faults:?} {:?} {:?}, seed {SEED}", bench.silicon, bench.latch);
                lock(&line.slot).set_faults(faults.clone());
                passed += u64::from(line.scan(&label).verdict == Verdict::Pass);
                tried += 1;
                lock(&line.slot).set_faults(Faults::default());
                let actions = actions_to_pass(&mut line, &label);
                assert!(actions <= 3, "{actions} after {faults:?} {:?} {:?}, seed {SEED}", bench.silicon, bench.latch);
            }
        }
        (tried, passed)
    });
    println!("bad cables tried, and those that did no harm: {counts:?}, seed {SEED}");
}

/// What the first board is when it loses its power before this transfer.
fn taken_out(bench: &Bench, at: u64) -> Board {
    let mut line = bench.line();
    lock(&line.slot).set_faults(Faults { cut_power: Some(Cut { at, when: When::Before }), ..Faults::default() });
    line.scan(&label(&bench.lot, 1));
    lock(&line.slot).remove().unwrap()
}

#[test]
fn a_board_exchanged_at_any_moment_never_gets_the_record_of_the_other() {
    let counts = on_every_kind(|bench| {
        let labels = [label(&bench.lot, 1), label(&bench.lot, 2)];
        let (transactions, _) = bench.whole();
        let mut tried = 0;
        for at in moments(transactions, 23, bench.latch as u64) {
            let first = taken_out(&bench, at);
            let mut line = bench.line();
            lock(&line.slot).swap_at(at, virgin(bench.silicon, bench.latch, OTHER));
            let outcome = line.scan(&labels[0]);
            // It passes only if nothing but the first look was disturbed; the oracle knows whose record it is.
            let mut boards = vec![line.put_in(first).unwrap()];
            if outcome.verdict != Verdict::Pass {
                // Whoever put the right board back finishes the unit, unless the other one became the unit.
                let other = matches!(line.standing(&labels[0]), Standing::Open { device: Some(device), .. }
                    if Some(device) == boards[0].device_id());
                if other {
                    let board = boards.remove(0);
                    boards.push(line.put_in(board).unwrap());
                }
                let actions = actions_to_pass(&mut line, &labels[0]);
                assert!(actions <= 3, "{actions} after {at} {:?} {:?}, seed {SEED}", bench.silicon, bench.latch);
                let board = boards.remove(0);
                line.put_in(board);
            }
            let actions = actions_to_pass(&mut line, &labels[1]);
            assert!(actions <= 3, "second: {actions} after {at} {:?} {:?}, seed {SEED}", bench.silicon, bench.latch);
            tried += 1;
        }
        tried
    });
    println!("boards exchanged: {counts:?}, seed {SEED}");
}

type Disturbance = fn(&Shared);

const DISTURBANCES: [(&str, Disturbance); 4] = [
    ("taken out and put in again", |slot| lock(slot).power_cycle()),
    ("brown-out", |slot| lock(slot).board_mut().unwrap().brown_out()),
    ("pin reset", |slot| lock(slot).pin_reset()),
    ("held in reset for good", |slot| lock(slot).hold_reset(true)),
];

#[test]
fn a_board_that_resets_between_any_two_batches_does_not_pass_by_it() {
    let counts = on_every_kind(|bench| {
        let label = label(&bench.lot, 1);
        let (_, batches) = bench.whole();
        let (mut tried, mut passed) = (0, 0);
        for (what, disturb) in DISTURBANCES {
            for at in 1..=batches {
                let mut line = bench.line();
                let mut batch = 0;
                line.wire.tamper = Some(Box::new(move |slot, _, carried| {
                    batch += u64::from(carried.is_none());
                    if carried.is_none() && batch == at {
                        disturb(slot);
                    }
                }));
                let outcome = line.scan(&label);
                tried += 1;
                passed += u64::from(outcome.verdict == Verdict::Pass);
                line.wire.tamper = None;
                lock(&line.slot).hold_reset(false);
                let actions = actions_to_pass(&mut line, &label);
                let (silicon, latch) = (bench.silicon, bench.latch);
                assert!(actions <= 3, "{actions} after {what} before batch {at}, {silicon:?} {latch:?}: {outcome:#?}");
            }
        }
        (tried, passed)
    });
    println!("resets tried, and those that did no harm: {counts:?}");
}

#[test]
fn a_unit_tried_too_often_is_held_until_somebody_releases_it() {
    for kind in KINDS {
        let bench = Bench::of(kind);
        let label = label(&bench.lot, 1);
        let mut line = bench.line();
        for attempt in 1..=rootstamp::run::ATTEMPTS {
            let from = lock(&line.slot).counters().transactions + 700;
            lock(&line.slot).set_faults(Faults { no_ack: Some(Span::from(from)), ..Faults::default() });
            assert_eq!(line.scan(&label).verdict, Verdict::Retry, "{attempt}");
        }
        lock(&line.slot).set_faults(Faults::default());
        let before = lock(&line.slot).counters().transactions;
        let outcome = line.scan(&label);
        let fault = outcome.fault.unwrap();
        assert_eq!((outcome.verdict, fault.code.as_str()), (Verdict::Hold, "H-331"));
        assert_eq!(lock(&line.slot).counters().transactions, before, "the board was touched");
        assert_eq!(line.scan(&label).verdict, Verdict::Hold);
        line.dispose(&label, Disposition::Release);
        assert_eq!(line.scan(&label).verdict, Verdict::Pass);
    }
}
