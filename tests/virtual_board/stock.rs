//! Stock probe-rs, unmodified, on virtual boards.

use probe_rs::{
    Permissions, Session,
    flashing::DownloadOptions,
    probe::{DebugProbeSelector, WireProtocol, list::Lister},
};
use rootstamp::{
    fixture::in_process::Mounted,
    virtual_board::{Board, Latch, Shared, Silicon, Slot, lock},
};

const CHIP: &str = "nRF52840_xxAA";

pub(crate) fn attach(selector: &str, permissions: Permissions) -> Result<Session, probe_rs::Error> {
    let selector: DebugProbeSelector = selector.parse().unwrap();
    let mut probe = Lister::new().open(selector).unwrap();
    probe.select_protocol(WireProtocol::Swd).unwrap();
    probe.set_speed(4000).unwrap();
    probe.attach(CHIP, permissions)
}

pub(crate) fn image() -> Vec<u8> {
    (0..4096_u32).map(|at| (at.wrapping_mul(0x9E37_79B1) >> 24).to_le_bytes()[0]).collect()
}

pub(crate) fn flash(session: &mut Session, image: &[u8]) -> Result<(), probe_rs::flashing::FlashError> {
    let mut loader = session.target().flash_loader();
    loader.add_data(0x1000, image).unwrap();
    let mut options = DownloadOptions::default();
    options.verify = true;
    loader.commit(session, options)
}

pub(crate) fn in_process(silicon: Silicon, latch: Latch) -> (Shared, Mounted) {
    let slot = Slot::with(Board::new(silicon, latch, 0x42)).shared();
    (slot.clone(), Mounted::new(slot))
}

pub(crate) fn holds(slot: &Shared, image: &[u8]) -> bool {
    lock(slot).board().is_some_and(|board| board.flash()[0x1000..0x2000] == *image)
}

#[test]
fn stock_probe_rs_programs_and_verifies_old_silicon_with_its_own_algorithm() {
    let (slot, mounted) = in_process(Silicon::Old, Latch::Strict);
    let mut session = attach(&mounted.selector(), Permissions::default()).unwrap();
    flash(&mut session, &image()).unwrap();
    drop(session);
    assert!(holds(&slot, &image()));
    assert_eq!(lock(&slot).board().unwrap().violations(), &[]);
}

#[test]
fn stock_probe_rs_opens_and_programs_hardened_silicon_under_the_lenient_rule() {
    let (slot, mounted) = in_process(Silicon::Hardened, Latch::Lenient);
    assert!(attach(&mounted.selector(), Permissions::default()).is_err(), "closed, and no permission to erase");
    let mut session = attach(&mounted.selector(), Permissions::new().allow_erase_all()).unwrap();
    flash(&mut session, &image()).unwrap();
    drop(session);
    assert!(holds(&slot, &image()));
}

#[test]
fn stock_probe_rs_is_refused_by_hardened_silicon_under_the_strict_rule() {
    let (slot, mounted) = in_process(Silicon::Hardened, Latch::Strict);
    let programmed = attach(&mounted.selector(), Permissions::new().allow_erase_all())
        .map_err(|error| error.to_string())
        .and_then(|mut session| flash(&mut session, &image()).map_err(|error| error.to_string()));
    assert!(programmed.is_err(), "its soft reset closes the port again");
    assert!(!holds(&slot, &image()));
}
