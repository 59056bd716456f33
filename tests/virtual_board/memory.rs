//! Cells, the controller that writes them, and what it refuses.

use rootstamp::virtual_board::{Latch, Silicon, Violation};

use super::host::{APPROTECT, Host, at, blank, halted};

fn violations(host: &Host) -> Vec<Violation> {
    host.board().violations().to_vec()
}

#[test]
fn bits_only_clear_until_the_page_is_erased() {
    let mut host = halted();
    host.program(0x3000, 0xFFFF_00FF);
    host.program(0x3000, 0x0FFF_FFFF);
    assert_eq!(host.read(0x3000), Ok(0x0FFF_00FF));
    host.nvmc(2);
    host.write(at("NVMC.ERASEPAGE"), 0x3000).unwrap();
    host.nvmc(0);
    assert_eq!(host.read(0x3000), Ok(u32::MAX));
    assert_eq!(violations(&host), []);
}

#[test]
fn a_byte_a_half_word_and_a_write_that_is_not_enabled_fault() {
    let mut host = halted();
    assert!(host.write(0x3000, 0).is_err());
    host.clear().unwrap();
    host.nvmc(2);
    assert!(host.write(0x3000, 0).is_err(), "erasing is enabled, writing is not");
    host.clear().unwrap();
    host.nvmc(1);
    for mode in [0x2300_0010, 0x2300_0011] {
        host.ap_write(0, 0, mode).unwrap();
        host.ap_write(0, 4, 0x3000).unwrap();
        assert!(host.ap_write(0, 0xC, 0).is_err());
        host.clear().unwrap();
    }
    host.ap_write(0, 0, 0x2300_0012).unwrap();
    assert_eq!(host.read(0x3000), Ok(u32::MAX));
    let (early, bytes) = (Violation::WriteNotEnabled(0x3000), Violation::NotAWord(0x3000));
    assert_eq!(violations(&host), [early.clone(), early, bytes.clone(), bytes]);
}

#[test]
fn a_third_write_to_a_word_between_erases_is_recorded() {
    let mut host = halted();
    for expected in [&[][..], &[], &[Violation::WornWord(0x1000_1080)]] {
        host.program(0x1000_1080, 0xFFFF_FFF0);
        assert_eq!(violations(&host), expected);
    }
}

#[test]
fn the_debugger_must_not_write_cells_behind_a_running_cpu() {
    let mut host = blank(Silicon::Old, Latch::Strict);
    host.connect().unwrap();
    host.program(0x3000, 0);
    assert_eq!(violations(&host), [Violation::CpuRunning(0x3000)]);
}

#[test]
fn what_is_no_page_and_what_is_not_enabled_is_not_erased() {
    let mut host = halted();
    host.program(0x3000, 0);
    host.write(at("NVMC.ERASEPAGE"), 0x3000).unwrap();
    host.write(at("NVMC.ERASEALL"), 1).unwrap();
    host.nvmc(2);
    host.write(at("NVMC.ERASEPAGE"), 0x3004).unwrap();
    host.write(at("NVMC.ERASEPAGE"), 0x0010_0000).unwrap();
    assert_eq!(host.read(0x3000), Ok(0));
    let (early, odd) = (Violation::EraseNotEnabled, Violation::NotAPage);
    assert_eq!(violations(&host), [early.clone(), early, odd(0x3004), odd(0x0010_0000)]);
}

#[test]
fn the_uicr_is_erased_while_the_port_is_open_and_not_while_it_is_closed() {
    let mut host = halted();
    host.program(0x1000_1080, 0);
    host.nvmc(2);
    host.write(at("NVMC.ERASEUICR"), 1).unwrap();
    assert_eq!(host.read(0x1000_1080), Ok(u32::MAX));
    host.nvmc(0);
    // Closed, only code on the chip can ask for it: here, code that closes the port and then asks.
    host.program(0x1000_1080, 0);
    host.write(0x2000_0100, at("NVMC.CONFIG")).unwrap();
    host.set_core_register(0, at("APPROTECT.FORCEPROTECT"));
    host.set_core_register(1, 0);
    host.set_core_register(2, at("NVMC.CONFIG"));
    host.set_core_register(3, 2);
    host.set_core_register(4, 1);
    // str r1,[r0]; nops; str r3,[r2]; str r4,[r2,#0x10]; b .
    host.run_code(&[0x6001, 0xBF00, 0xBF00, 0x6013, 0x6114, 0xE7FE]);
    host.slot.rest(1_000_000);
    assert!(!host.board().is_open());
    assert_eq!(host.board().uicr()[0x80..0x84], [0; 4]);
    assert_eq!(violations(&host), [Violation::ProtectedUicr]);
}

#[test]
fn the_controller_is_busy_in_simulated_time_and_an_access_to_the_cells_waits() {
    let mut host = halted();
    // Fast enough to look while one word is written.
    host.slot.set_divisor(0);
    host.nvmc(1);
    let start = host.slot.counters().simulated_ns;
    host.write(0x3000, 0).unwrap();
    assert_eq!(host.read(at("NVMC.READY")), Ok(0));
    assert_eq!(host.read(0x3000), Ok(0));
    assert!(host.slot.counters().simulated_ns - start >= 41_000);
    assert_eq!(host.read(at("NVMC.READY")), Ok(1));
    host.nvmc(2);
    host.write(at("NVMC.ERASEPAGE"), 0x3000).unwrap();
    let mut polls = 0;
    while host.read(at("NVMC.READY")).unwrap() == 0 {
        polls += 1;
    }
    assert!(polls < 10, "85 ms of polling are run ahead: {polls}");
    assert_eq!(host.slot.counters().flash_busy_ns, 41_000 + 85_000_000);
}

#[test]
fn nobody_writes_the_makers_words() {
    let mut host = halted();
    host.nvmc(1);
    assert!(host.write(at("FICR.DEVICEID[0]"), 0).is_err());
    host.clear().unwrap();
    assert_eq!(host.read(at("FICR.DEVICEID[0]")), Ok(0x5566_7788));
}

#[test]
fn an_erase_of_everything_takes_flash_uicr_and_ram_but_not_the_makers_words() {
    let mut host = halted();
    for address in [0, 0xF_FFFC, APPROTECT, 0x1000_1080] {
        host.program(address, 0);
    }
    host.write(0x2000_0000, 5).unwrap();
    host.erase_all();
    host.ctrl_ap_reset();
    for (address, word) in [(0, u32::MAX), (0xF_FFFC, u32::MAX), (APPROTECT, u32::MAX), (0x2000_0000, 0)] {
        assert_eq!(host.read(address), Ok(word));
    }
    assert_eq!(host.read(at("FICR.INFO.PART")), Ok(0x52840));
    assert_eq!(host.slot.counters().flash_busy_ns, 4 * 41_000 + 169_000_000);
}
