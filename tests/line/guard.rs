//! One unit from scan to lock, and everything that guards the next one from it.

use rootstamp::{
    fault::Exit,
    session::news::Verdict,
    virtual_board::{Latch, Silicon, lock},
};

use super::{label, line, virgin};

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
        eprintln!("{silicon:?} {latch:?} {:?}", board.counters());
    }
}

#[test]
fn a_unit_scanned_twice_is_done_already_and_its_board_is_not_touched() {
    for (silicon, latch) in KINDS {
        let mut line = line(silicon, latch);
        let label = label(&line.lot, 1);
        line.scan(&label);
        let before = lock(&line.slot).counters().transactions;
        let outcome = line.scan(&label);
        assert_eq!((outcome.verdict, outcome.exit), (Verdict::DoneAlready, Exit::Duplicate));
        assert_eq!(lock(&line.slot).counters().transactions, before);
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
        line.put_in(virgin(silicon, latch, 0x5555_6666_7777_8888));
        let next = line.scan(&label(&line.lot, 2));
        assert_eq!(next.verdict, Verdict::Pass, "{silicon:?} {latch:?}: {next:#?}");
    }
}
