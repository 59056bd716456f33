//! Every fault a board can be given, with what it does to a unit.

use std::sync::Arc;

use rootstamp::{
    fault::Exit,
    ledger::{Disposition, Standing},
    link::Op,
    session::news::{Answer, Outcome, Verdict},
    virtual_board::{Board, Faults, Latch, Silicon, Slot, lock},
};

use super::{FIRST, Line, cuts::actions_to_pass, guard::KINDS, label, smallest, virgin};

fn with(silicon: Silicon, board: Board) -> Line {
    Line::new(Arc::new(smallest(silicon)), Slot::with(board).shared())
}

fn code(outcome: &Outcome) -> (Verdict, &str) {
    (outcome.verdict, outcome.fault.as_ref().map_or("", |fault| fault.code.as_str()))
}

/// Scans a virgin board of every kind that has these faults.
fn scanned(faults: &Faults, mut check: impl FnMut(&Outcome, &mut Line)) {
    for (silicon, latch) in KINDS {
        let mut line = with(silicon, virgin(silicon, latch, FIRST));
        lock(&line.slot).set_faults(faults.clone());
        let label = label(&line.lot, 1);
        let outcome = line.scan(&label);
        check(&outcome, &mut line);
    }
}

#[test]
fn a_word_of_flash_that_takes_nothing_fails_the_unit() {
    scanned(&Faults { dead_words: vec![0x40], ..Faults::default() }, |outcome, _| {
        assert_eq!(code(outcome), (Verdict::Fail, "E-220"), "{outcome:#?}");
        assert!(outcome.fault.as_ref().unwrap().causes.iter().any(|cause| cause.contains("0x00000040")));
    });
}

#[test]
fn a_stamp_that_takes_nothing_fails_the_unit_and_the_words_on_the_screen_name_the_key() {
    scanned(&Faults { dead_words: vec![0x1000_1084], ..Faults::default() }, |outcome, _| {
        assert_eq!(code(outcome), (Verdict::Fail, "E-221"), "{outcome:#?}");
        assert_eq!(outcome.fault.as_ref().unwrap().what, "the board did not take its key");
    });
}

#[test]
fn a_lock_word_that_takes_nothing_is_seen_by_the_last_look_and_holds_the_unit() {
    scanned(&Faults { dead_words: vec![0x1000_1208], ..Faults::default() }, |outcome, line| {
        assert_eq!(code(outcome), (Verdict::Hold, "H-301"), "{outcome:#?}");
        lock(&line.slot).set_faults(Faults::default());
        let label = label(&line.lot, 1);
        assert_eq!(actions_to_pass(line, &label), 3);
    });
}

#[test]
fn a_page_that_takes_nothing_fails_the_unit() {
    scanned(&Faults { dead_pages: vec![0], ..Faults::default() }, |outcome, _| {
        assert_eq!(code(outcome), (Verdict::Fail, "E-220"), "{outcome:#?}");
    });
    scanned(&Faults { dead_pages: vec![0x1000_1000], ..Faults::default() }, |outcome, _| {
        assert_eq!(code(outcome), (Verdict::Fail, "E-221"), "{outcome:#?}");
    });
}

#[test]
fn a_page_that_does_not_erase_fails_the_unit_before_it_is_bound() {
    for (silicon, latch) in KINDS {
        let mut line = with(silicon, virgin(silicon, latch, FIRST).holding(0, &[0xA5; 64]));
        lock(&line.slot).set_faults(Faults { dead_pages: vec![0], ..Faults::default() });
        let label = label(&line.lot, 1);
        assert_eq!(code(&line.scan(&label)), (Verdict::Fail, "E-211"));
        assert!(matches!(line.standing(&label), Standing::Open { device: None, .. }));
    }
}

#[test]
fn a_page_of_the_application_that_does_not_erase_is_found_when_it_is_read_back() {
    for (silicon, latch) in KINDS {
        let lot = smallest(silicon);
        let at = lot.golden.regions.last().unwrap().at;
        let mut line = with(silicon, virgin(silicon, latch, FIRST).holding(at, &[0; 64]));
        lock(&line.slot).set_faults(Faults { dead_pages: vec![at], ..Faults::default() });
        let label = label(&line.lot, 1);
        assert_eq!(code(&line.scan(&label)), (Verdict::Fail, "E-220"));
    }
}

#[test]
fn a_core_that_resets_when_it_locks_up_is_halted_in_time_or_held() {
    for (silicon, latch) in KINDS {
        let mut line = with(silicon, virgin(silicon, latch, FIRST).with_lockup_resets());
        let label = label(&line.lot, 1);
        let outcome = line.scan(&label);
        if (silicon, latch) == (Silicon::Hardened, Latch::Strict) {
            // A blank core locks up before anybody can halt it, and that reset closes the port: nothing opens this one.
            assert_eq!(code(&outcome), (Verdict::Hold, "H-310"), "{outcome:#?}");
        } else {
            assert_eq!(outcome.verdict, Verdict::Pass, "{silicon:?} {latch:?} {outcome:#?}");
        }
    }
}

#[test]
fn a_watchdog_left_running_by_old_firmware_is_fed_or_bites_without_harm() {
    for (silicon, latch) in KINDS {
        for counts_while_halted in [false, true] {
            for ticks in [15, 100, 3_000, 32_768, 1_000_000] {
                let board = virgin(silicon, latch, FIRST).with_watchdog(ticks, counts_while_halted);
                let mut line = with(silicon, board);
                let label = label(&line.lot, 1);
                let actions = actions_to_pass(&mut line, &label);
                assert!(actions <= 3, "{silicon:?} {latch:?} {ticks} {counts_while_halted}: {actions}");
            }
        }
    }
}

/// Vectors at 0, and at 0x100: `ldr r0, [pc, #4]; movs r1, #0x5a; str r1, [r0]; b .` with APPROTECT.DISABLE behind it.
/// [nRF52840 PS, APPROTECT.DISABLE]
fn opening_firmware() -> Vec<u8> {
    let mut code = vec![0xFF; 0x10C];
    code[..8].copy_from_slice(&[0x00, 0x10, 0x00, 0x20, 0x01, 0x01, 0x00, 0x00]);
    code[0x100..].copy_from_slice(&[0x01, 0x48, 0x5A, 0x21, 0x01, 0x60, 0xFE, 0xE7, 0x58, 0x05, 0x00, 0x40]);
    code
}

#[test]
fn hardened_silicon_whose_old_firmware_opens_its_port_is_known_before_it_is_erased() {
    for latch in [Latch::Strict, Latch::Lenient] {
        let board = virgin(Silicon::Hardened, latch, FIRST);
        let mut board = board.holding(0, &opening_firmware()).holding(0x1000_1208, &0xFFFF_FF5A_u32.to_le_bytes());
        board.rest(1_000_000);
        assert!(board.is_open(), "the firmware did not open it");
        let mut line = with(Silicon::Hardened, board);
        let label = label(&line.lot, 1);
        assert_eq!(line.scan(&label).verdict, Verdict::Pass, "{latch:?}");
        let entries = line.ledger.lock().unwrap().records().of_unit(&label.parse().unwrap()).unwrap();
        assert!(entries[0].device.is_some(), "the intent names the device that was read before");
    }
}

#[test]
fn old_silicon_under_a_recipe_that_asks_for_newer_is_left_as_it_came() {
    for latch in [Latch::Strict, Latch::Lenient] {
        let mut line = with(Silicon::Hardened, virgin(Silicon::Old, latch, FIRST));
        let label = label(&line.lot, 1);
        let before = lock(&line.slot).board().unwrap().fingerprint();
        let outcome = line.scan(&label);
        assert_eq!((code(&outcome), outcome.exit), ((Verdict::Fail, "E-241"), Exit::WrongChip), "{outcome:#?}");
        assert!(outcome.next.contains("red bin"), "{}", outcome.next);
        let record = line.ledger.lock().unwrap().records().unit_record(&label.parse().unwrap()).unwrap().unwrap();
        assert_eq!((record.verdict, record.standing), ("FAIL", "free"), "the screen, the record and the bin are one");
        assert_eq!(lock(&line.slot).board().unwrap().fingerprint(), before);
        // A closed one tells only after its erase; it fails then, and is not bound.
        let closed = virgin(Silicon::Old, latch, FIRST).holding(0x1000_1208, &[0; 4]);
        line.put_in(closed);
        assert_eq!(code(&line.scan(&label)), (Verdict::Fail, "E-241"));
        line.put_in(virgin(Silicon::Hardened, latch, super::OTHER));
        assert_eq!(line.scan(&label).verdict, Verdict::Pass);
    }
}

#[test]
fn another_chip_is_named_as_such_and_left_as_it_came() {
    // PART of the nRF52833, a VARIANT that is no text, an empty DEVICEID, another family. [SVD FICR]
    let wrong = [(0x1000_0100, 0x40 ^ 0x33), (0x1000_0104, 0x8000_0000), (0x1000_0130, 0xF7)];
    for latch in [Latch::Strict, Latch::Lenient] {
        for (at, mask) in wrong {
            let mut board = virgin(Silicon::Old, latch, FIRST);
            board.flip(at, mask);
            let mut line = with(Silicon::Old, board);
            let before = lock(&line.slot).board().unwrap().fingerprint();
            let outcome = line.scan(&label(&line.lot, 1));
            assert_eq!(outcome.exit, Exit::WrongChip, "{at:#x}: {outcome:#?}");
            assert_eq!(lock(&line.slot).board().unwrap().fingerprint(), before);

            let mut board = virgin(Silicon::Hardened, latch, FIRST);
            board.flip(at, mask);
            let mut line = with(Silicon::Hardened, board);
            let outcome = line.scan(&label(&line.lot, 1));
            assert_eq!((outcome.verdict, outcome.exit), (Verdict::Fail, Exit::WrongChip), "{at:#x}: {outcome:#?}");
        }
    }
}

#[test]
fn a_debug_port_of_another_kind_is_another_chip() {
    for (silicon, latch) in KINDS {
        let mut line = with(silicon, virgin(silicon, latch, FIRST));
        line.wire.tamper = Some(Box::new(|_, batch, carried| {
            let Some(carried) = carried else { return };
            for (op, reply) in batch.ops.iter().zip(&mut carried.replies) {
                if matches!(op, Op::Connect) {
                    reply.iter_mut().for_each(|word| *word = 0x0BC1_2477);
                }
            }
        }));
        let outcome = line.scan(&label(&line.lot, 1));
        assert_eq!((code(&outcome).1, outcome.exit), ("B-401", Exit::WrongChip), "{outcome:#?}");
    }
}

/// A line whose reset pin is not wired.
fn without_pin(silicon: Silicon, hand: Answer) -> (Line, String) {
    let mut line = with(silicon, virgin(silicon, Latch::Lenient, FIRST));
    line.hand = hand;
    line.wire.tamper = Some(Box::new(|_, batch, carried| {
        if carried.is_none() {
            for op in batch.ops.iter_mut().filter(|op| matches!(op, Op::PinReset)) {
                *op = Op::Rest { ms: 1 };
            }
        }
    }));
    let label = label(&line.lot, 1);
    (line, label)
}

#[test]
fn a_board_that_closes_only_at_a_power_cycle_is_given_one_by_a_hand_or_held() {
    for silicon in [Silicon::Old, Silicon::Hardened] {
        let (mut line, label) = without_pin(silicon, Answer::Done);
        assert_eq!(line.scan(&label).verdict, Verdict::Pass, "{silicon:?}");

        let (mut line, label) = without_pin(silicon, Answer::Cannot);
        let outcome = line.scan(&label);
        assert_eq!(code(&outcome), (Verdict::Hold, "H-304"), "{outcome:#?}");
        line.wire.tamper = None;
        line.dispose(&label, Disposition::Release);
        lock(&line.slot).power_cycle();
        assert_eq!(line.scan(&label).verdict, Verdict::Pass);
    }
}

#[test]
fn a_hand_that_says_done_without_doing_it_does_not_make_a_pass() {
    for silicon in [Silicon::Old, Silicon::Hardened] {
        let (mut line, label) = without_pin(silicon, Answer::Done);
        line.idle_hand = true;
        let outcome = line.scan(&label);
        assert_eq!(code(&outcome), (Verdict::Hold, "H-303"), "{outcome:#?}");
    }
}
