//! The debug port and the memory access port.

use rootstamp::virtual_board::{Answer, Latch, Silicon};

use super::host::{Refused, at, blank, halted};

const FAULT: Result<u32, Refused> = Err(Refused(Answer::Fault));
const SILENCE: Result<u32, Refused> = Err(Refused(Answer::Silence));

#[test]
fn a_board_hears_nothing_before_a_line_reset_and_only_its_identification_first_after_one() {
    let mut host = blank(Silicon::Old, Latch::Strict);
    assert_eq!(host.raw(false, 0, None), SILENCE);
    host.line_reset();
    assert_eq!(host.raw(false, 4, None), SILENCE, "anything else first loses the line");
    assert_eq!(host.raw(false, 0, None), SILENCE);
    host.line_reset();
    assert_eq!(host.raw(false, 0, None), Ok(0x2BA0_1477));
    host.slot.sequence(8, 0xFF);
    assert_eq!(host.raw(false, 0, None), SILENCE, "a few ones are a bad request");
    host.slot.sequence(49, (1 << 49) - 1);
    assert_eq!(host.raw(false, 0, None), SILENCE, "49 ones are no line reset");
}

#[test]
fn access_ports_answer_only_after_the_power_up_request_was_granted() {
    let mut host = blank(Silicon::Old, Latch::Strict);
    host.line_reset();
    host.raw(false, 0, None).unwrap();
    assert_eq!(host.raw(false, 4, None).unwrap() >> 28, 0);
    assert_eq!(host.raw(true, 0xC, None), FAULT);
    host.clear().unwrap();
    host.raw(false, 4, Some(0x5000_0000)).unwrap();
    assert_eq!(host.raw(false, 4, None).unwrap() >> 28, 0xF, "both requests, both granted");
    assert!(host.raw(true, 0, None).is_ok());
    host.raw(false, 4, Some(0)).unwrap();
    assert_eq!(host.raw(false, 4, None).unwrap() >> 28, 0, "and taken back");
}

#[test]
fn while_an_error_is_sticky_only_identification_status_and_abort_are_answered() {
    let mut host = halted();
    host.raw(true, 4, Some(0xF000_0000)).unwrap();
    assert!(host.raw(true, 0xC, None).is_ok(), "the access was taken; that it failed is told by the next one");
    assert_eq!(host.raw(false, 0xC, None), FAULT);
    assert_eq!(host.raw(true, 4, Some(0)), FAULT);
    assert_eq!(host.raw(true, 4, None), FAULT);
    assert_eq!(host.raw(false, 8, Some(0)), FAULT);
    assert_eq!(host.raw(false, 4, Some(0x5000_0000)), FAULT);
    assert_eq!(host.raw(false, 0, None), Ok(0x2BA0_1477));
    assert_eq!(host.raw(false, 4, None).unwrap() & 0x20, 0x20);
    host.raw(false, 0, Some(1 << 1)).unwrap();
    assert_eq!(host.raw(false, 0xC, None), FAULT, "clearing another flag does not help");
    host.clear().unwrap();
    assert!(host.raw(false, 0xC, None).is_ok());
}

#[test]
fn a_frame_ends_with_the_fault_and_the_next_frame_works() {
    let mut host = halted();
    let read = |address, access_port| rootstamp::virtual_board::Request { access_port, address, data: None };
    host.raw(true, 4, Some(0xF000_0000)).unwrap();
    let answers = host.slot.frame(&[read(0xC, true), read(0xC, true), read(0xC, true)]);
    assert_eq!(answers.len(), 2);
    assert_eq!(answers.last(), Some(&Answer::Fault));
    assert!(matches!(host.slot.frame(&[read(0xC, false)])[..], [Answer::Ok(_)]));
}

#[test]
fn the_address_counts_up_inside_four_kilobytes_and_wraps() {
    let mut host = halted();
    host.write(0x2000_1FFC, 0x1111_1111).unwrap();
    host.write(0x2000_1000, 0x2222_2222).unwrap();
    host.raw(true, 4, Some(0x2000_1FFC)).unwrap();
    host.raw(true, 0xC, None).unwrap();
    assert_eq!(host.raw(true, 0xC, None), Ok(0x1111_1111));
    assert_eq!(host.raw(false, 0xC, None), Ok(0x2222_2222));
}

#[test]
fn bytes_travel_in_their_lanes_and_packed_transfers_do_not_exist() {
    let mut host = halted();
    host.write(0x2000_0000, 0).unwrap();
    host.ap_write(0, 0, 0x2300_0020).unwrap();
    assert_eq!(host.ap_read(0, 0).unwrap() >> 4 & 3, 1, "the increment mode stayed what it was");
    host.ap_write(0, 0, 0x2300_0010).unwrap();
    host.ap_write(0, 4, 0x2000_0001).unwrap();
    host.raw(true, 0xC, Some(0x0000_AB00)).unwrap();
    host.raw(true, 0xC, Some(0x00CD_0000)).unwrap();
    host.ap_write(0, 0, 0x2300_0012).unwrap();
    assert_eq!(host.read(0x2000_0000), Ok(0x00CD_AB00));
    assert_eq!(host.read(0x0080_0000), Ok(0x00CD_AB00), "RAM is there twice");
    host.ap_write(0, 4, 0x2000_0002).unwrap();
    assert!(host.ap_read(0, 0xC).is_err(), "an unaligned word");
}

#[test]
fn the_identities_are_those_of_an_nrf52840() {
    for (silicon, variant, revision) in [(Silicon::Old, *b"AAD0", 2), (Silicon::Hardened, *b"AAF0", 5)] {
        let mut host = blank(silicon, Latch::Strict);
        host.connect().unwrap();
        assert_eq!(host.ap_read(1, 0xFC), Ok(0x0288_0000));
        assert_eq!(host.ap_read(0, 0xFC), Ok(0x2477_0011));
        assert_eq!(host.ap_read(2, 0xFC), Ok(0));
        if silicon == Silicon::Hardened {
            assert_eq!(host.ap_read(0, 0).unwrap() & 0x40, 0, "the closed port says so");
            host.erase_all();
            host.ctrl_ap_reset();
        }
        assert_eq!(host.ap_read(0, 0).unwrap() & 0x40, 0x40);
        assert_eq!(host.read(at("FICR.INFO.PART")), Ok(0x52840));
        assert_eq!(host.read(at("FICR.INFO.VARIANT")), Ok(u32::from_be_bytes(variant)));
        assert_eq!(host.read(at("FICR.REVISION")), Ok(revision));
        assert_eq!(host.read(at("FICR.FAMILY")), Ok(8));
        assert_eq!(host.read(at("FICR.DEVICEID[0]")), Ok(0x5566_7788));
        assert_eq!(host.read(at("FICR.DEVICEID[1]")), Ok(0x1122_3344));
        assert_eq!(host.board().device_id().unwrap().to_string(), "1122334455667788");
    }
}

#[test]
fn a_board_held_in_reset_looks_closed() {
    let mut host = halted();
    host.slot.hold_reset(true);
    assert!(!host.is_open());
    host.slot.hold_reset(false);
    assert!(host.is_open());
}

#[test]
fn the_same_traffic_gives_the_same_integers() {
    let run = || {
        let mut host = halted();
        host.program(0x1000, 0xDEAD_BEEF);
        host.program(super::host::APPROTECT, 0);
        host.erase_all();
        host.ctrl_ap_reset();
        host.run_code(&[0x2001, 0x3001, 0xE7FD]);
        for _ in 0..50 {
            host.read(super::host::DHCSR).unwrap();
        }
        (host.slot.counters(), host.board().fingerprint())
    };
    let (first, second) = (run(), run());
    assert_eq!(first, second);
    assert_eq!(first.0.word_writes, 2);
    assert_eq!(first.0.erases, 1);
    assert_eq!(first.0.flash_busy_ns, 2 * 41_000 + 169_000_000);
}

#[test]
fn a_transfer_takes_46_clocks() {
    let mut host = halted();
    let before = host.slot.counters();
    host.raw(false, 0, None).unwrap();
    let after = host.slot.counters();
    assert_eq!(after.simulated_ns - before.simulated_ns, 46 * 250);
    host.slot.set_divisor(23);
    host.raw(false, 0, None).unwrap();
    assert_eq!(host.slot.counters().simulated_ns - after.simulated_ns, 46 * 1000);
    assert_eq!(host.slot.counters().transactions - before.transactions, 2);
}
