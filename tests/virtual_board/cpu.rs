//! The core: what it executes, what stops it, and the watchdog old firmware may have left.

use rootstamp::virtual_board::{Board, Latch, Silicon, Slot};

use super::host::{APPROTECT, DHCSR, HALT, Host, S_HALT, S_LOCKUP, at, blank, halted};

const SECOND: u64 = 1_000_000_000;

#[test]
fn code_in_ram_runs_and_a_breakpoint_halts_on_itself() {
    let mut host = halted();
    host.set_core_register(0, 5);
    host.set_core_register(1, 0x2000_1000);
    // adds r0,#37; str r0,[r1]; bkpt
    host.run_code(&[0x3025, 0x6008, 0xBE00]);
    host.wait_for_halt();
    assert_eq!(host.read(0x2000_1000), Ok(42));
    assert_eq!(host.core_register(0), 42);
    assert_eq!(host.core_register(15), 0x2000_0004, "on the breakpoint, not behind it");
    assert_eq!(host.read(0xE000_ED30).unwrap() & 2, 2, "and DFSR says why");
}

#[test]
fn one_step_is_one_instruction() {
    let mut host = halted();
    host.write(0x2000_0000, 0x3001_3001).unwrap();
    host.set_core_register(15, 0x2000_0000);
    host.set_core_register(0, 0);
    for step in 1..=2 {
        host.write(DHCSR, 0xA05F_000D).unwrap();
        host.wait_for_halt();
        assert_eq!(host.core_register(0), step);
        assert_eq!(host.core_register(15), 0x2000_0000 + 2 * step);
    }
}

#[test]
fn a_comparator_halts_the_core() {
    let mut host = halted();
    host.write(0xE000_2000, 3).unwrap();
    host.write(0xE000_2008, 1 << 31 | 0x0080_0000 | 1).unwrap();
    host.write(0x2000_0000, 0x3001_3001).unwrap();
    host.write(0x2000_0004, 0xE7FE_E7FE).unwrap();
    host.set_core_register(15, 0x0080_0000);
    host.write(DHCSR, 0xA05F_0001).unwrap();
    host.wait_for_halt();
    assert_eq!(host.core_register(15), 0x0080_0002);
}

#[test]
fn code_in_ram_writes_cells_under_the_same_rules() {
    let mut host = halted();
    host.set_core_register(0, at("NVMC.CONFIG"));
    host.set_core_register(1, 1);
    host.set_core_register(2, 0x3000);
    host.set_core_register(3, 0x1234);
    // str r1,[r0]; str r3,[r2]; str r3,[r2,#4]; bkpt
    host.run_code(&[0x6001, 0x6013, 0x6053, 0xBE00]);
    host.wait_for_halt();
    assert_eq!((host.read(0x3000), host.read(0x3004)), (Ok(0x1234), Ok(0x1234)));
    assert_eq!(host.slot.counters().word_writes, 2);
    assert_eq!(host.board().violations(), &[]);
    // strb r3,[r2,#8]: a fault inside a fault, for want of a handler.
    host.run_code(&[0x7213, 0xBE00]);
    assert_eq!(host.read(DHCSR).unwrap() & S_LOCKUP, S_LOCKUP);
    assert_eq!(host.read(0x3008), Ok(u32::MAX));
}

#[test]
fn a_blank_cpu_that_is_let_run_locks_up_and_can_still_be_halted() {
    let mut host = blank(Silicon::Old, Latch::Strict);
    host.connect().unwrap();
    assert_eq!(host.read(DHCSR).unwrap() & S_LOCKUP, S_LOCKUP);
    host.write(DHCSR, HALT).unwrap();
    assert_eq!(host.read(DHCSR).unwrap() & (S_LOCKUP | S_HALT), S_HALT);
}

#[test]
fn a_lock_up_that_resets_closes_an_opened_board_under_the_strict_rule() {
    for (latch, open) in [(Latch::Strict, false), (Latch::Lenient, true)] {
        let mut host = Host { slot: Slot::with(Board::new(Silicon::Hardened, latch, 1).with_lockup_resets()) };
        host.connect().unwrap();
        host.erase_all();
        host.ctrl_ap_reset();
        assert_eq!(host.is_open(), open, "{latch:?}");
    }
}

#[test]
fn what_no_one_can_decode_or_read_is_a_lock_up_and_not_ours() {
    // An undefined instruction, and a read of VTOR, which the emulator has not.
    for code in [&[0xDE00_u16][..], &[0x6801]] {
        let mut host = halted();
        host.set_core_register(0, 0xE000_ED08);
        host.run_code(code);
        host.slot.rest(100_000);
        assert_ne!(host.read(DHCSR).unwrap() & S_LOCKUP, 0, "{code:x?}");
    }
}

fn watched(ticks: u32, counts_while_halted: bool) -> Host {
    let board = Board::new(Silicon::Old, Latch::Lenient, 1).with_watchdog(ticks, counts_while_halted);
    let mut host = Host { slot: Slot::with(board) };
    host.connect().unwrap();
    host.write(DHCSR, HALT).unwrap();
    host
}

fn is_halted(host: &mut Host) -> bool {
    host.read(DHCSR).unwrap() & S_HALT != 0
}

#[test]
fn a_watchdog_left_running_resets_the_board_unless_it_is_fed() {
    let mut host = watched(32_767, true);
    host.slot.rest(SECOND / 2);
    assert!(is_halted(&mut host));
    host.slot.rest(SECOND);
    assert!(!is_halted(&mut host), "it bit");
    assert_eq!(host.read(at("WDT.RUNSTATUS")), Ok(0), "and its reset stopped it");

    let mut host = watched(32_767, true);
    for key in [0x6E52_4635, 0x6E52_4635] {
        host.slot.rest(SECOND * 7 / 10);
        host.write(at("WDT.RR"), key).unwrap();
    }
    assert!(is_halted(&mut host), "fed");
    host.slot.rest(SECOND * 7 / 10);
    host.write(at("WDT.RR"), 1).unwrap();
    host.slot.rest(SECOND / 2);
    assert!(!is_halted(&mut host), "another key does not feed it");
}

#[test]
fn a_watchdog_survives_soft_and_control_port_resets_but_not_a_pin_reset() {
    let mut host = watched(32_767, true);
    host.soft_reset();
    host.ctrl_ap_reset();
    assert_eq!(host.read(at("WDT.RUNSTATUS")), Ok(1));
    host.write(at("WDT.CRV"), 1_000_000).unwrap();
    assert_eq!(host.read(at("WDT.CRV")), Ok(32_767), "and nobody reconfigures it");
    host.slot.pin_reset();
    assert_eq!(host.read(at("WDT.RUNSTATUS")), Ok(0));
}

#[test]
fn a_watchdog_that_pauses_while_halted_waits_for_the_core_to_run() {
    let mut host = watched(32_767, false);
    host.slot.rest(5 * SECOND);
    assert!(is_halted(&mut host));
    assert_eq!(host.read(at("WDT.RUNSTATUS")), Ok(1));
}

#[test]
fn the_reset_of_a_watchdog_looks_at_the_uicr_under_both_rules() {
    for latch in [Latch::Strict, Latch::Lenient] {
        let board = Board::new(Silicon::Hardened, latch, 1).with_watchdog(3 * 32_768, true);
        let mut host = Host { slot: Slot::with(board) };
        host.connect().unwrap();
        host.erase_all();
        host.ctrl_ap_reset();
        assert!(host.is_open());
        host.slot.rest(4 * SECOND);
        assert!(!host.is_open(), "{latch:?}");
        assert_eq!(host.board().approtect_word(), u32::MAX);
    }
}

#[test]
fn a_watchdog_bites_a_loader_that_forgets_it() {
    let mut host = watched(3_276, true);
    host.program(APPROTECT, u32::MAX);
    host.run_code(&[0x3001, 0xE7FD]);
    host.slot.rest(SECOND / 5);
    assert_eq!(host.read(at("WDT.RUNSTATUS")), Ok(0));
}
