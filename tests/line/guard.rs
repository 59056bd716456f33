//! One unit from scan to lock, and everything that guards the next one from it.

use std::{cell::Cell, rc::Rc, sync::Arc};

use rootstamp::{
    fault::Exit,
    ledger::{Disposition, Kind, Standing},
    session::news::{Outcome, Verdict},
    virtual_board::{Faults, Latch, Shared, Silicon, Slot, Span, lock},
};

use super::{FIRST, Line, OTHER, label, line, smallest_but, virgin, without_boot};

pub(crate) const KINDS: [(Silicon, Latch); 4] = [
    (Silicon::Old, Latch::Strict),
    (Silicon::Old, Latch::Lenient),
    (Silicon::Hardened, Latch::Strict),
    (Silicon::Hardened, Latch::Lenient),
];

#[test]
fn a_virgin_board_of_every_silicon_passes_and_its_own_cells_say_so() {
    for (silicon, latch) in KINDS {
        let mut line = line(silicon, latch);
        let label = label(&line.lot, 1);
        let outcome = line.scan(&label);
        assert_eq!(outcome.verdict, Verdict::Pass, "{silicon:?} {latch:?}: {outcome:#?}");
        assert_eq!(outcome.beside, "boot seen");
        let slot = lock(&line.slot);
        let board = slot.board().unwrap();
        assert_eq!(board.approtect_word(), 0);
        assert!(!board.is_open() && board.would_boot().is_ok() && board.violations().is_empty());
    }
}

#[test]
fn a_unit_scanned_twice_is_done_already_and_no_cell_of_its_board_changes() {
    for (silicon, latch) in KINDS {
        let mut line = line(silicon, latch);
        let label = label(&line.lot, 1);
        line.scan(&label);
        let cells = lock(&line.slot).board().unwrap().fingerprint();
        let outcome = line.scan(&label);
        assert_eq!((outcome.verdict, outcome.exit), (Verdict::DoneAlready, Exit::Duplicate));
        assert_eq!((outcome.beside.as_str(), outcome.next.contains("good ones")), ("boot seen", true));
        assert_eq!(lock(&line.slot).board().unwrap().fingerprint(), cells);
    }
}

/// Another virgin board, the unit's own after somebody erased it, and one that nobody hears.
#[test]
fn the_label_of_a_finished_unit_never_sends_a_board_to_the_good_ones_that_does_not_show_it_is_finished() {
    for (silicon, latch) in KINDS {
        for (mut line, listens) in [(line(silicon, latch), true), (deaf(silicon, latch), false)] {
            let label = label(&line.lot, 1);
            assert_eq!(line.scan(&label).verdict, Verdict::Pass);
            let own = lock(&line.slot).board().unwrap().clone();
            let open = silicon == Silicon::Old;
            for (board, code_of_open, exit_of_open) in [
                (virgin(silicon, latch, OTHER), "B-413", Exit::Duplicate),
                (virgin(silicon, latch, FIRST), "B-415", Exit::UnitFailed),
            ] {
                let cells = board.fingerprint();
                line.put_in(board);
                let outcome = line.scan(&label);
                let (expected, exit) = if open { (code_of_open, exit_of_open) } else { ("B-414", Exit::Duplicate) };
                assert_eq!((code(&outcome), outcome.exit), ((Verdict::Hold, expected), exit), "{outcome:#?}");
                assert!(!outcome.next.contains("good ones"), "{}", outcome.next);
                assert_eq!(lock(&line.slot).board().unwrap().fingerprint(), cells, "{silicon:?} {latch:?}");
                assert!(matches!(line.standing(&label), Standing::Passed { .. }));
            }
            line.put_in(own);
            let outcome = line.scan(&label);
            let expected = if listens { (Verdict::DoneAlready, "") } else { (Verdict::Hold, "B-414") };
            assert_eq!(code(&outcome), expected, "{silicon:?} {latch:?} {outcome:#?}");
        }
    }
}

#[test]
fn a_finished_unit_is_asked_for_the_boot_line_of_its_own_record() {
    let mut line = line(Silicon::Old, Latch::Strict);
    let label = label(&line.lot, 1);
    assert_eq!(line.scan(&label).verdict, Verdict::Pass);
    // The lot of today speaks otherwise; the unit is asked for what its own record says.
    let mut lot = (*line.lot).clone();
    lot.golden.boot.as_mut().unwrap().uart = "T1 boot 2.0.0".to_owned();
    line.lot = Arc::new(lot);
    assert_eq!(line.scan(&label).verdict, Verdict::DoneAlready);
    lock(&line.slot).set_faults(Faults { no_ack: Some(Span::from(1)), ..Faults::default() });
    assert_eq!(code(&line.scan(&label)), (Verdict::Retry, "R-101"), "a board that does not answer is not there");
}

#[test]
fn a_board_whose_boot_nobody_could_hear_is_not_begun() {
    for (silicon, latch) in KINDS {
        let mut line = line(silicon, latch);
        let label = label(&line.lot, 1);
        let cells = lock(&line.slot).board().unwrap().fingerprint();
        line.pull_console(true);
        assert_eq!(code(&line.scan(&label)), (Verdict::Retry, "R-122"), "{silicon:?} {latch:?}");
        assert_eq!(lock(&line.slot).board().unwrap().fingerprint(), cells);
        assert_eq!(line.standing(&label), Standing::Free);
        line.pull_console(false);
        assert_eq!(line.scan(&label).verdict, Verdict::Pass, "{silicon:?} {latch:?}");
    }
}

/// The session asks before it hands a scan out; this is what holds where that is got round.
#[test]
fn a_label_that_is_worked_on_at_one_site_changes_no_cell_of_a_board_at_another() {
    for (silicon, latch) in KINDS {
        for step in ["erase", "identify", "program", "read back", "stamp", "verify", "lock", "confirm lock"] {
            let mut left = line(silicon, latch);
            let slot = Slot::with(virgin(silicon, latch, OTHER)).shared();
            let mut right = Line::at("right", Arc::clone(&left.lot), Arc::clone(&slot), Arc::clone(&left.ledger));
            let cells = lock(&slot).board().unwrap().fingerprint();
            let (label, scanned) = (label(&left.lot, 1), Rc::new(Cell::new(0)));
            let (again, scans, others) = (label.clone(), Rc::clone(&scanned), Rc::clone(&left.wire.of_others));
            let beside = move |_: &Shared| {
                let outcome = right.scan(&again);
                assert_eq!((outcome.verdict, outcome.exit), (Verdict::Hold, Exit::Duplicate), "{step}");
                // An open board shows by itself that it is not the one this label is bound to by then.
                let bound = silicon == Silicon::Old && step != "erase" && step != "identify";
                let expected = if bound { "B-411" } else { "L-112" };
                assert_eq!(code(&outcome).1, expected, "{step} {outcome:#?}");
                others.borrow_mut().extend(outcome.entry);
                scans.set(scans.get() + 1);
            };
            left.at_step = Some((step, Box::new(beside)));
            let outcome = left.scan(&label);
            assert_eq!(outcome.verdict, Verdict::Pass, "{silicon:?} {latch:?} {step}: {outcome:#?}");
            assert_eq!(scanned.get(), 1, "{step}");
            assert_eq!(lock(&slot).board().unwrap().fingerprint(), cells, "{silicon:?} {latch:?} {step}");
            assert!(matches!(left.standing(&label), Standing::Passed { .. }));
        }
    }
}

#[test]
fn a_finished_board_under_another_label_is_left_as_it_is_because_it_is_alive() {
    for (silicon, latch) in KINDS {
        let mut line = line(silicon, latch);
        line.scan(&label(&line.lot, 1));
        let cells = lock(&line.slot).board().unwrap().fingerprint();
        let outcome = line.scan(&label(&line.lot, 2));
        assert_eq!((outcome.verdict, outcome.exit), (Verdict::Hold, Exit::Closed), "{silicon:?} {latch:?}");
        assert_eq!(lock(&line.slot).board().unwrap().fingerprint(), cells, "{silicon:?} {latch:?}");
        line.put_in(virgin(silicon, latch, OTHER));
        let next = line.scan(&label(&line.lot, 2));
        assert_eq!(next.verdict, Verdict::Pass, "{silicon:?} {latch:?}: {next:#?}");
    }
}

/// A line on which nobody hears a board: what is closed may be virgin.
fn deaf(silicon: Silicon, latch: Latch) -> Line {
    let slot = Slot::with(virgin(silicon, latch, FIRST)).shared();
    Line::new(Arc::new(smallest_but(silicon, without_boot)), slot).unwired()
}

fn code(outcome: &Outcome) -> (Verdict, &str) {
    (outcome.verdict, outcome.fault.as_ref().map_or("", |fault| fault.code.as_str()))
}

fn kinds(line: &Line, label: &str) -> Vec<Kind> {
    let entries = line.ledger.lock().unwrap().records().of_unit(&label.parse().unwrap()).unwrap();
    entries.iter().map(|entry| entry.kind).collect()
}

#[test]
fn an_erase_that_reveals_a_finished_unit_voids_its_record_and_the_line_says_so() {
    for latch in [Latch::Strict, Latch::Lenient] {
        let mut line = deaf(Silicon::Hardened, latch);
        let [first, second] = [1, 2].map(|number| label(&line.lot, number));
        let outcome = line.scan(&first);
        assert_eq!((outcome.verdict, outcome.beside.as_str()), (Verdict::Pass, "boot not observed"));
        let outcome = line.scan(&second);
        assert_eq!(code(&outcome), (Verdict::Hold, "H-320"), "{outcome:#?}");
        assert!(outcome.fault.unwrap().what.contains(&first));
        for label in [&first, &second] {
            assert!(matches!(line.standing(label), Standing::Held { .. }), "{label}");
        }
        assert_eq!(kinds(&line, &first).last(), Some(&Kind::Voided));
        // The device is the first unit's; released, it is made that again, and the second label waits for its own.
        line.dispose(&first, Disposition::Release);
        assert_eq!(line.scan(&first).verdict, Verdict::Pass);
        line.put_in(virgin(Silicon::Hardened, latch, OTHER));
        line.dispose(&second, Disposition::Release);
        assert_eq!(line.scan(&second).verdict, Verdict::Pass);
    }
}

#[test]
fn an_erase_that_reveals_a_unit_that_is_not_finished_holds_both() {
    let mut line = deaf(Silicon::Hardened, Latch::Strict);
    let [first, second] = [1, 2].map(|number| label(&line.lot, number));
    lock(&line.slot).set_faults(Faults { no_ack: Some(Span::from(1500)), ..Faults::default() });
    assert_eq!(line.scan(&first).verdict, Verdict::Retry);
    lock(&line.slot).set_faults(Faults::default());
    lock(&line.slot).power_cycle();
    assert_eq!(code(&line.scan(&second)), (Verdict::Hold, "H-320"));
    assert!(matches!(line.standing(&first), Standing::Held { .. }));
}

#[test]
fn a_finished_board_on_silicon_that_arrives_open_is_never_taken_for_a_virgin_one() {
    for latch in [Latch::Strict, Latch::Lenient] {
        let mut line = deaf(Silicon::Old, latch);
        let [first, second] = [1, 2].map(|number| label(&line.lot, number));
        assert_eq!(line.scan(&first).verdict, Verdict::Pass);
        let cells = lock(&line.slot).board().unwrap().fingerprint();
        let outcome = line.scan(&second);
        assert_eq!((code(&outcome), outcome.exit), ((Verdict::Hold, "B-410"), Exit::Closed));
        assert_eq!(lock(&line.slot).board().unwrap().fingerprint(), cells);
        assert!(matches!(line.standing(&first), Standing::Passed { .. }));
        assert_eq!(line.standing(&second), Standing::Free);
    }
}

#[test]
fn a_scrapped_device_is_never_used_again_whatever_label_it_comes_with() {
    for silicon in [Silicon::Old, Silicon::Hardened] {
        let mut line = deaf(silicon, Latch::Strict);
        let [first, second] = [1, 2].map(|number| label(&line.lot, number));
        lock(&line.slot).set_faults(Faults { no_ack: Some(Span::from(1500)), ..Faults::default() });
        assert_eq!(line.scan(&first).verdict, Verdict::Retry);
        lock(&line.slot).set_faults(Faults::default());
        lock(&line.slot).power_cycle();
        line.dispose(&first, Disposition::Scrap);
        let outcome = line.scan(&second);
        let expected = if silicon == Silicon::Old { "B-411" } else { "H-320" };
        assert_eq!(code(&outcome), (Verdict::Hold, expected), "{silicon:?} {outcome:#?}");
        assert_eq!(line.standing(&first), Standing::Scrapped);
        assert_eq!(code(&line.scan(&first)), (Verdict::Hold, "B-412"));
    }
}

#[test]
fn a_void_label_is_refused_and_its_device_may_take_another() {
    for latch in [Latch::Strict, Latch::Lenient] {
        let mut line = deaf(Silicon::Hardened, latch);
        let [first, second] = [1, 2].map(|number| label(&line.lot, number));
        assert_eq!(line.scan(&first).verdict, Verdict::Pass);
        line.dispose(&first, Disposition::Void);
        let before = lock(&line.slot).counters().transactions;
        let outcome = line.scan(&first);
        assert_eq!((code(&outcome), outcome.exit), ((Verdict::Hold, "B-412"), Exit::Duplicate));
        assert_eq!(lock(&line.slot).counters().transactions, before);
        assert_eq!(line.scan(&second).verdict, Verdict::Pass);
    }
}

#[test]
fn a_held_label_is_refused_before_the_board_is_touched() {
    let mut line = line(Silicon::Hardened, Latch::Strict);
    let label = label(&line.lot, 1);
    // Beyond the lock words: nobody can tell what the board is.
    lock(&line.slot).set_faults(Faults { no_ack: Some(Span::from(2250)), ..Faults::default() });
    assert_eq!(line.scan(&label).verdict, Verdict::Hold);
    lock(&line.slot).set_faults(Faults::default());
    let before = lock(&line.slot).counters().transactions;
    assert_eq!(code(&line.scan(&label)), (Verdict::Hold, "H-332"));
    assert_eq!(lock(&line.slot).counters().transactions, before);
}

#[test]
fn a_label_of_another_device_is_refused_by_whoever_can_tell() {
    for (silicon, latch) in KINDS {
        let mut line = line(silicon, latch);
        let label = label(&line.lot, 1);
        lock(&line.slot).set_faults(Faults { no_ack: Some(Span::from(1500)), ..Faults::default() });
        assert_eq!(line.scan(&label).verdict, Verdict::Retry);
        lock(&line.slot).set_faults(Faults::default());
        let first = line.put_in(virgin(silicon, latch, OTHER)).unwrap();
        let outcome = line.scan(&label);
        // What was erased is held; what was refused untouched is only of another label.
        let exit = if silicon == Silicon::Hardened { Exit::Quarantined } else { Exit::Duplicate };
        assert_eq!((outcome.verdict, outcome.exit), (Verdict::Hold, exit), "{silicon:?} {outcome:#?}");
        assert!(!kinds(&line, &label).contains(&Kind::Passed));
        // An open board is refused untouched; a closed one says who it is only when it is erased, and is then held.
        if let Standing::Held { .. } = line.standing(&label) {
            assert_eq!(silicon, Silicon::Hardened);
            line.dispose(&label, Disposition::Release);
        }
        line.put_in(first);
        assert_eq!(line.scan(&label).verdict, Verdict::Pass);
    }
}
