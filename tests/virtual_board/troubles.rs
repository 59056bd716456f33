//! Everything that can be set to go wrong, going wrong.

use std::collections::BTreeSet;

use rootstamp::virtual_board::{Answer, Board, Cut, Faults, Flip, Latch, Silicon, Slot, Span, Stuck, When};

use super::host::{APPROTECT, DHCSR, HALT, Host, Refused, halted};

fn soon(host: &Host) -> u64 {
    host.slot.counters().transactions + 1
}

fn identify(host: &mut Host) -> Result<u32, Refused> {
    host.raw(false, 0, None)
}

const SILENCE: Result<u32, Refused> = Err(Refused(Answer::Silence));

#[test]
fn power_cut_before_a_transfer_keeps_it_from_the_board_and_after_it_does_not() {
    for (when, word) in [(When::Before, u32::MAX), (When::After, 0)] {
        let mut host = halted();
        host.nvmc(1);
        host.ap_write(0, 4, 0x3000).unwrap();
        let at = soon(&host) + 1;
        host.slot.set_faults(Faults { cut_power: Some(Cut { at, when }), cut_inside: None, ..Faults::default() });
        assert_eq!(host.ap_write(0, 0xC, 0).unwrap_err(), Refused(Answer::Silence));
        assert!(!host.board().is_powered());
        let held = u32::from_le_bytes(host.board().flash()[0x3000..0x3004].try_into().unwrap());
        if when == When::Before {
            assert_eq!(held, word);
        }
        host.line_reset();
        assert_eq!(identify(&mut host), SILENCE, "off until it gets power again");
        host.slot.set_faults(Faults::default());
        host.slot.power_cycle();
        assert!(host.connect().is_ok());
    }
}

#[test]
fn power_cut_inside_a_write_leaves_a_subset_of_the_bits() {
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        let mut host = halted();
        host.program(0x3000, 0xFFFF_0000);
        host.slot.set_faults(Faults { cut_inside: Some(2), seed, ..Faults::default() });
        host.nvmc(1);
        assert!(host.write(0x3004, 0xF0F0_F0F0).is_err());
        assert!(!host.board().is_powered());
        let word = |at: usize| u32::from_le_bytes(host.board().flash()[at..at + 4].try_into().unwrap());
        assert_eq!(word(0x3000), 0xFFFF_0000, "only the word being written");
        assert_eq!(word(0x3004) & 0xF0F0_F0F0, 0xF0F0_F0F0, "only bits that were to clear");
        seen.insert(word(0x3004));
    }
    assert!(seen.len() > 15, "the seed decides which: {seen:x?}");
}

#[test]
fn power_cut_inside_an_erase_leaves_some_bits_and_a_closed_port() {
    for silicon in [Silicon::Old, Silicon::Hardened] {
        let board = Board::new(silicon, Latch::Lenient, 1).holding(0x3000, &[0; 64]).holding(APPROTECT, &[0; 4]);
        let mut host = Host { slot: Slot::with(board) };
        host.connect().unwrap();
        host.slot.set_faults(Faults { cut_inside: Some(1), seed: 3, ..Faults::default() });
        assert!(host.ap_write(1, 4, 1).is_err());
        host.slot.set_faults(Faults::default());
        host.slot.power_cycle();
        host.connect().unwrap();
        let held = host.board().flash()[0x3000..0x3040].to_vec();
        assert!(held.iter().any(|byte| *byte != 0) && held.iter().any(|byte| *byte != 0xFF), "{held:x?}");
        assert!(host.board().approtect_word() != 0 && host.board().approtect_word() != u32::MAX);
        assert!(!host.is_open());
    }
}

#[test]
fn power_cut_while_an_erase_goes_on_interrupts_it_too() {
    let mut host = halted();
    host.program(0x3000, 0);
    host.ap_write(1, 4, 1).unwrap();
    host.slot.power_cycle();
    let word = &host.board().flash()[0x3000..0x3004];
    assert!(word != [0xFF; 4] && word != [0; 4], "{word:x?}");
}

#[test]
fn a_pulled_cable_is_silence_for_as_long_as_it_is_out() {
    let mut host = halted();
    let no_ack = Some(Span { from: soon(&host), count: Some(2) });
    host.slot.set_faults(Faults { no_ack, ..Faults::default() });
    assert_eq!([identify(&mut host), identify(&mut host)], [SILENCE, SILENCE]);
    assert!(identify(&mut host).is_ok(), "back in, and the board never lost power");
    assert_ne!(host.read(DHCSR).unwrap() & 2, 0);
    host.slot.set_faults(Faults { no_ack: Some(Span::from(soon(&host))), ..Faults::default() });
    for _ in 0..100 {
        assert_eq!(identify(&mut host), SILENCE);
    }
}

#[test]
fn a_board_can_be_busy_and_a_line_can_lie() {
    let mut host = halted();
    let span = |host: &Host| Span { from: soon(host), count: Some(1) };
    host.slot.set_faults(Faults { wait: Some(span(&host)), ..Faults::default() });
    assert_eq!(identify(&mut host), Err(Refused(Answer::Wait)));
    host.slot.set_faults(Faults { flip: Some(Flip { span: span(&host), mask: 0x11 }), ..Faults::default() });
    assert_eq!(identify(&mut host), Ok(0x2BA0_1477 ^ 0x11));
    for (high, read) in [(true, 0x2BA0_147F), (false, 0x2BA0_1470)] {
        let stuck = Some(Stuck { span: span(&host), mask: 0xF, high });
        host.slot.set_faults(Faults { stuck, ..Faults::default() });
        assert_eq!(identify(&mut host), Ok(read));
    }
    assert_eq!(identify(&mut host), Ok(0x2BA0_1477));
}

#[test]
fn nonsense_is_survived_and_the_same_for_the_same_seed() {
    let run = |seed| {
        let mut host = halted();
        host.slot.set_faults(Faults { nonsense: Some(Span::from(soon(&host))), seed, ..Faults::default() });
        (0..200).map(|_| host.read(DHCSR)).map(|read| format!("{read:?}")).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_dead_word_and_a_dead_page_take_nothing() {
    let mut host = halted();
    host.program(0x5000, 0);
    host.slot.set_faults(Faults { dead_words: vec![0x3004], dead_pages: vec![0x5000], ..Faults::default() });
    for address in [0x3000, 0x3004, 0x5004] {
        host.program(address, 0);
    }
    host.nvmc(2);
    host.write(super::host::at("NVMC.ERASEPAGE"), 0x5000).unwrap();
    let read = [0x3000, 0x3004, 0x5004, 0x5000].map(|address| host.read(address).unwrap());
    assert_eq!(read, [0, u32::MAX, u32::MAX, 0]);
}

#[test]
fn a_different_board_at_a_transfer_must_be_connected_anew_and_has_its_own_id() {
    let mut host = halted();
    let at = soon(&host) + 2;
    host.slot.swap_at(at, Board::new(Silicon::Old, Latch::Strict, 0x99));
    assert!(identify(&mut host).is_ok() && identify(&mut host).is_ok());
    assert_eq!(identify(&mut host), SILENCE);
    host.connect().unwrap();
    assert_eq!(host.read(super::host::at("FICR.DEVICEID[0]")), Ok(0x99));
}

#[test]
fn an_empty_slot_is_silent_and_a_removed_board_keeps_its_cells() {
    let mut host = halted();
    host.program(0x3000, 7);
    let board = host.slot.remove().unwrap();
    host.line_reset();
    assert_eq!(identify(&mut host), SILENCE);
    let before = host.slot.counters();
    host.slot.insert(board);
    assert_eq!(host.slot.counters(), before, "sums go on, and nothing counts twice");
    host.connect().unwrap();
    host.write(DHCSR, HALT).unwrap();
    assert_eq!(host.read(0x3000), Ok(7));
}

#[test]
fn a_snapshot_makes_the_same_board_again_and_a_fingerprint_tells_states_apart() {
    let mut host = halted();
    host.program(0x3000, 7);
    let snapshot = host.board().snapshot();
    let [mut one, two] = [Board::from_snapshot(&snapshot), Board::from_snapshot(&snapshot)];
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert_eq!(one.flash(), host.board().flash());
    let mut states = BTreeSet::from([one.fingerprint()]);
    one = one.with_watchdog(1000, true);
    assert!(states.insert(one.fingerprint()), "a running watchdog is a state");
    assert!(states.insert(two.clone().holding(APPROTECT, &[0; 4]).fingerprint()), "so is a closed port");
    assert!(states.insert(Board::new(Silicon::Old, Latch::Strict, 5).fingerprint()), "so is another die");
    let mut off = two;
    off.power_off();
    assert!(states.insert(off.fingerprint()), "and no power");
}
