//! What opens the port and what closes it, on both revisions and under both rules.

use rootstamp::virtual_board::{Latch, Silicon, Violation};

use super::host::{APPROTECT, DHCSR, HALT, Host, at, blank};

const BOTH: [Latch; 2] = [Latch::Strict, Latch::Lenient];

fn opened(silicon: Silicon, latch: Latch) -> Host {
    let mut host = blank(silicon, latch);
    host.connect().unwrap();
    host.erase_all();
    host.ctrl_ap_reset();
    assert!(host.is_open(), "{silicon:?} {latch:?}: the reset that completes an erase opens");
    host.write(DHCSR, HALT).unwrap();
    host
}

#[test]
fn a_blank_board_is_open_if_old_and_closed_if_hardened() {
    for latch in BOTH {
        for (silicon, open) in [(Silicon::Old, true), (Silicon::Hardened, false)] {
            let mut host = blank(silicon, latch);
            host.connect().unwrap();
            assert_eq!(host.is_open(), open, "{silicon:?} {latch:?}");
        }
    }
}

#[test]
fn an_opened_hardened_board_closes_at_the_next_reset_that_looks() {
    let mut host = opened(Silicon::Hardened, Latch::Strict);
    host.soft_reset();
    assert!(!host.is_open());
    let mut host = opened(Silicon::Hardened, Latch::Lenient);
    host.soft_reset();
    assert!(host.is_open(), "a soft reset does not look");
    host.ctrl_ap_reset();
    assert!(host.is_open(), "nor does that of the control port");
    host.slot.pin_reset();
    assert!(!host.is_open());
    for latch in BOTH {
        let mut host = opened(Silicon::Hardened, latch);
        host.slot.power_cycle();
        host.connect().unwrap();
        assert!(!host.is_open());
        let mut host = opened(Silicon::Hardened, latch);
        host.slot.board_mut().unwrap().brown_out();
        assert!(!host.is_open());
    }
}

#[test]
fn a_lock_word_closes_at_the_next_reset_that_looks() {
    for silicon in [Silicon::Old, Silicon::Hardened] {
        for word in [0, 0xFFFF_FF00] {
            let mut host = opened(silicon, Latch::Strict);
            host.program(APPROTECT, word);
            assert!(host.is_open(), "not before the reset");
            host.soft_reset();
            assert!(!host.is_open());
            let mut host = opened(silicon, Latch::Lenient);
            host.program(APPROTECT, word);
            host.soft_reset();
            assert!(host.is_open(), "{silicon:?}: under the lenient rule a soft reset does not lock");
            host.slot.pin_reset();
            assert!(!host.is_open());
            assert_eq!(host.board().approtect_word(), word);
        }
    }
}

#[test]
fn old_silicon_takes_any_low_byte_but_ff_for_a_lock() {
    for (word, open) in [(0xFFFF_FF5A, false), (0xFFFF_FFFE, false), (0x0000_00FF, true)] {
        let mut host = opened(Silicon::Old, Latch::Strict);
        host.program(APPROTECT, word);
        host.slot.pin_reset();
        assert_eq!(host.is_open(), open, "{word:#x}");
    }
}

#[test]
fn hardened_silicon_needs_the_word_and_firmware_to_stay_open() {
    let firmware = |host: &mut Host| {
        host.set_core_register(0, at("APPROTECT.DISABLE"));
        host.set_core_register(1, 0x5A);
        // str r1,[r0]; b .
        host.run_code(&[0x6001, 0xE7FE]);
        host.slot.rest(100_000);
    };
    let mut host = opened(Silicon::Hardened, Latch::Lenient);
    host.program(APPROTECT, 0xFFFF_FF5A);
    host.slot.pin_reset();
    assert!(!host.is_open(), "the word alone does not open");
    let mut host = opened(Silicon::Hardened, Latch::Lenient);
    firmware(&mut host);
    host.slot.pin_reset();
    assert!(!host.is_open(), "what firmware wrote is gone with the reset");
    assert_eq!(host.board().approtect_word(), u32::MAX);
}

#[test]
fn an_erase_alone_does_not_open_and_a_reset_during_it_does_not_complete_it() {
    for latch in BOTH {
        let mut host = blank(Silicon::Hardened, latch);
        host.connect().unwrap();
        host.erase_all();
        assert!(!host.is_open(), "erased, not reset");
        host.slot.power_cycle();
        host.connect().unwrap();
        host.ctrl_ap_reset();
        assert!(!host.is_open(), "the window closed with the power");

        let mut host = blank(Silicon::Hardened, latch);
        host.connect().unwrap();
        host.ap_write(1, 4, 1).unwrap();
        host.ctrl_ap_reset();
        assert!(!host.is_open());
        assert_eq!(host.ap_read(1, 8), Ok(1), "still erasing");
        assert!(host.board().violations().contains(&Violation::ResetWhileErasing));
        while host.ap_read(1, 8).unwrap() != 0 {}
        host.ctrl_ap_reset();
        assert!(host.is_open());
    }
}

#[test]
fn a_reset_held_over_the_end_of_an_erase_does_not_complete_it() {
    let mut host = blank(Silicon::Hardened, Latch::Strict);
    host.connect().unwrap();
    host.ap_write(1, 0, 1).unwrap();
    host.erase_all();
    host.ap_write(1, 0, 0).unwrap();
    assert!(!host.is_open(), "it was held before the erase was over");
    host.ap_write(1, 4, 0).unwrap();
    host.erase_all();
    host.ctrl_ap_reset();
    assert!(host.is_open());
}

#[test]
fn the_status_word_of_the_erase_is_busy_for_169_ms_of_simulated_time() {
    let mut host = blank(Silicon::Hardened, Latch::Strict);
    host.connect().unwrap();
    host.ap_write(1, 4, 1).unwrap();
    let start = host.slot.counters();
    assert_eq!(host.ap_read(1, 8), Ok(1));
    while host.ap_read(1, 8).unwrap() != 0 {}
    let end = host.slot.counters();
    assert!((169_000_000..170_000_000).contains(&(end.simulated_ns - start.simulated_ns)));
    assert!(end.transactions - start.transactions < 40, "waiting is run ahead");
}
