//! The machine of one unit, walked with outcomes that come at the wrong time: whatever is heard out of turn stops the run
//! as a fault of ours, and never passes it.

use std::{mem::discriminant, sync::Arc};

use rootstamp::{
    chip::{self, Port},
    clock::Millis,
    fault::{Fault, Party},
    gate::{self, Boot},
    ident::{DeviceId, RunId},
    ledger::{DeviceStanding, Durable, Standing, facts},
    link::Hand,
    plan::Lot,
    run::{Action, Ending, Life, Order, Outcome, Run, Seen, Step, Turn},
    virtual_board::{Latch, Silicon, Slot},
};

use super::{FIRST, Line, OTHER, label, smallest, virgin};

/// A unit with everything a run can ask for, done without any of what a session does around it.
pub(super) struct Unit<'lot> {
    lot: &'lot Lot,
    pub(super) line: Line,
    run: Run<'lot>,
    turn: Option<Turn>,
}

fn unit(lot: &Arc<Lot>, number: u64, device: u64) -> (Line, Order) {
    let board = virgin(Silicon::Hardened, Latch::Strict, device);
    let line = Line::new(Arc::clone(lot), Slot::with(board).shared());
    let serial = label(lot, number).parse().unwrap();
    (line, Order { serial, site: "left".to_owned(), probe: "in process".to_owned() })
}

impl<'lot> Unit<'lot> {
    fn begun(lot: &'lot Arc<Lot>, number: u64, device: u64) -> Self {
        let (mut line, order) = unit(lot, number, device);
        line.wire.begin(&order.serial);
        let mut run = Run::new(lot, order);
        let (port, look) = chip::classify(lot.family, &mut Hand::new(&mut line.wire, lot.family.guarded())).unwrap();
        assert_eq!(port, Port::Closed);
        let (standing, device, life) = (Standing::Free, DeviceStanding::Unknown, Life::Silent);
        let turn = run.begin(&Seen { standing, port, look, identity: None, device, life });
        Self { lot, line, run, turn: Some(turn) }
    }

    /// Does what the machine asks for, so many times.
    pub(super) fn walked(lot: &'lot Arc<Lot>, number: u64, device: u64, turns: usize) -> Self {
        let mut unit = Self::begun(lot, number, device);
        for _ in 0..turns {
            let outcome = unit.outcome();
            unit.turn = Some(unit.run.hear(outcome));
        }
        unit
    }

    /// What comes of the turn in hand.
    fn outcome(&mut self) -> Outcome {
        match self.turn.take() {
            Some(Turn::Do(action)) => self.perform(action),
            _ => panic!("it is over"),
        }
    }

    fn keep<F: facts::Fact>(&self, fact: F) -> Durable<F> {
        self.line.ledger.lock().unwrap().keep(fact).unwrap()
    }

    fn perform(&mut self, action: Action) -> Outcome {
        let (lot, family) = (self.lot, self.lot.family);
        let now = &mut |_: Option<(u64, u64)>| Millis(0);
        match action {
            Action::KeepErase(intent) => {
                let golden = lot.golden.to_bytes().unwrap();
                self.line.ledger.lock().unwrap().keep_golden(&golden).unwrap();
                Outcome::KeptErase(self.keep(intent))
            }
            Action::Erase(intent) => {
                let identity = gate::erase(&mut self.line.wire, family, intent).unwrap();
                Outcome::Erased(identity, DeviceStanding::Unknown)
            }
            Action::KeepBound(bound) => Outcome::KeptBound(self.keep(bound)),
            Action::KeepVoided(voided) => Outcome::KeptVoided(self.keep(voided)),
            Action::Program => {
                for region in &lot.golden.regions {
                    gate::program(&mut self.line.wire, family, region, &mut |_, _| ()).unwrap();
                }
                Outcome::Programmed
            }
            Action::Compare(device) => {
                Outcome::Compared(gate::compare(&mut self.line.wire, family, &lot.golden, device, now).unwrap())
            }
            Action::KeepStamp(intent) => Outcome::KeptStamp(self.keep(intent)),
            Action::Stamp(intent) => {
                gate::stamp(&mut self.line.wire, family, intent).unwrap();
                Outcome::Stamped
            }
            Action::Verify(unit, compared) => {
                Outcome::Verified(gate::verify(&mut self.line.wire, family, &lot.golden, unit, compared, now).unwrap())
            }
            Action::KeepVerified(verified) => Outcome::KeptVerified(self.keep(verified)),
            Action::Lock(record) => {
                Outcome::Latching(gate::lock(&mut self.line.wire, family, &lot.golden, record, now).unwrap())
            }
            Action::Reset(latching, how) => {
                Outcome::Settled(latching.reset(&mut self.line.wire, family, how, now).unwrap())
            }
            Action::Listen(shut) => {
                Outcome::Passing(shut.pass(&lot.golden, &Boot::Seen("T1 boot 1.0.0".to_owned())).unwrap())
            }
            Action::KeepLocked(locked) => Outcome::KeptLocked(self.keep(locked)),
            Action::KeepStopped(stopped) => Outcome::KeptStopped(self.keep(stopped)),
        }
    }
}

/// Turns of a run that passes.
const TURNS: usize = 13;

fn odd_outcome(lot: &Arc<Lot>, kind: usize) -> Outcome {
    match kind {
        kind if kind < TURNS => Unit::walked(lot, 2, OTHER, kind).outcome(),
        TURNS => {
            // The record of a stop, from a unit that was stopped.
            let mut unit = Unit::walked(lot, 2, OTHER, 2);
            unit.turn = Some(unit.run.hear(Outcome::Stamped));
            unit.outcome()
        }
        _ => {
            let unit = Unit::walked(lot, 2, OTHER, 3);
            let run = unit.run.id().unwrap();
            let device = unit.run.device().unwrap();
            let serial = label(lot, 2).parse().unwrap();
            let voided = facts::Voided { run, serial, device, because: "test".to_owned(), by_run: run };
            Outcome::KeptVoided(unit.keep(voided))
        }
    }
}

#[test]
fn a_closed_board_with_a_finished_label_is_done_only_if_it_says_what_its_record_asks_for() {
    let lot = Arc::new(smallest(Silicon::Hardened));
    let said = |line: &str| line.to_owned();
    for (life, done) in [
        (Life::Boots(said("T1 boot 1.0.0")), true),
        (Life::Seen(said("another firmware")), false),
        (Life::Silent, false),
        (Life::NotObservable, false),
    ] {
        let (mut line, order) = unit(&lot, 1, FIRST);
        let (port, look) = chip::classify(lot.family, &mut Hand::new(&mut line.wire, lot.family.guarded())).unwrap();
        let device = DeviceId::from_words(1, 2).unwrap();
        let standing = Standing::Passed { run: RunId(2), device, seq: 6 };
        let seen = Seen { standing, port, look, identity: None, device: DeviceStanding::Unknown, life: life.clone() };
        match Run::new(&lot, order).begin(&seen) {
            Turn::Over(Ending::DoneAlready { seq: 6, .. }) => assert!(done, "{life:?}"),
            Turn::Do(Action::KeepStopped(stopped)) => {
                assert_eq!((stopped.fault.code.as_str(), stopped.verdict), ("B-414", facts::Ending::Refused));
                assert!(!done && !stopped.touched && stopped.run.is_none(), "{life:?}");
            }
            Turn::Do(_) | Turn::Over(_) => panic!("{life:?}"),
        }
    }
}

#[test]
fn thirteen_outcomes_in_their_order_pass_a_unit() {
    let lot = Arc::new(smallest(Silicon::Hardened));
    let unit = Unit::walked(&lot, 1, FIRST, TURNS);
    assert!(matches!(unit.turn, Some(Turn::Over(Ending::Passed(_)))));
}

#[test]
fn an_outcome_out_of_turn_stops_the_run_as_a_fault_of_the_maintainers() {
    let lot = Arc::new(smallest(Silicon::Hardened));
    let mut tried = 0;
    for turn in 0..TURNS {
        for kind in 0..TURNS + 2 {
            let mut unit = Unit::walked(&lot, 1, FIRST, turn);
            let odd = odd_outcome(&lot, kind);
            if discriminant(&odd) == discriminant(&unit.outcome()) {
                continue;
            }
            let Turn::Do(Action::KeepStopped(stopped)) = unit.run.hear(odd) else { panic!("{turn} {kind}") };
            assert_eq!((stopped.fault.code.as_str(), stopped.fault.party), ("X-003", Party::Maintainers));
            // Not even the right outcome helps then: only the record of the stop is waited for.
            // From the lock words on nobody can tell what the board is.
            let locked = turn >= 9;
            assert_eq!(stopped.verdict == facts::Ending::Hold, locked, "{turn} {kind} {:?}", stopped.verdict);
            unit.turn = Some(Turn::Do(Action::KeepStopped(stopped)));
            let kept = unit.outcome();
            assert!(matches!(unit.run.hear(kept), Turn::Over(Ending::Stopped(_, Some(_)))), "{turn} {kind}");
            tried += 1;
        }
    }
    assert_eq!(tried, TURNS * (TURNS + 2) - TURNS, "each turn has one outcome that is right");
    println!("{tried} outcomes out of turn");
}

#[test]
fn a_failure_at_any_turn_stops_the_run_and_keeps_its_own_words() {
    let lot = Arc::new(smallest(Silicon::Hardened));
    for turn in 0..TURNS {
        let mut unit = Unit::walked(&lot, 1, FIRST, turn);
        let fault = Fault::new(Party::Operator, "test", "test").code("R-102");
        let Turn::Do(Action::KeepStopped(stopped)) = unit.run.hear(Outcome::Failed(fault, Vec::new())) else {
            panic!("{turn}")
        };
        assert_eq!((stopped.fault.code.as_str(), unit.run.step()), ("R-102", Step::Record));
        // The records fail too: the unit is over all the same, and says that its end is not recorded.
        let fault = Fault::new(Party::Technician, "not recorded", "test").code("L-130");
        let Turn::Over(Ending::Stopped(stopped, None)) = unit.run.hear(Outcome::Failed(fault, Vec::new())) else {
            panic!("{turn}")
        };
        assert_eq!(stopped.fault.code, "L-130");
        assert!(stopped.fault.causes.iter().any(|cause| cause.contains("test")));
    }
}
