//! Firmware that somebody else built, programmed by our own loader and read back.
//!
//! `scripts/real-firmware` hands over a hex file of Nordic's in `ROOTSTAMP_REAL_HEX`; without it the stand-in of the
//! demo takes its place, so that the test always programs something.

use std::path::PathBuf;

use rootstamp::{
    chip::{self, Family as _, nrf52::Nrf52840},
    file,
    image::Map,
    link::{Brand, Hand, Wire},
    virtual_board::{Latch, Silicon, lock},
};

use crate::{chip::bench, line::project};

#[test]
fn real_firmware_is_programmed_and_read_back_word_by_word() {
    let stand_in = || project("templates/products/images/stand-in-gw3-1.4.2.signed.hex");
    let path = std::env::var_os("ROOTSTAMP_REAL_HEX").map_or_else(stand_in, PathBuf::from);
    let read = file::read(&path, file::LIMIT).unwrap();
    let map = Map::from_hex(&read).unwrap();
    let family = Nrf52840;
    assert!(map.outside(&[family.flash()]).is_empty(), "{}: leaves flash", path.display());

    let mut bench = bench(Silicon::Hardened, Latch::Strict);
    let wire: &mut dyn Wire = &mut bench.wire;
    assert!(matches!(chip::classify(&family, &mut Hand::new(wire, family.guarded())), Ok((chip::Port::Closed, _))));
    family.erase(&mut Brand::new(wire, family.guarded())).unwrap();
    for run in map.words().chunk_by(|(before, _), (after, _)| before + 4 == *after) {
        let words: Vec<u32> = run.iter().map(|(_, word)| *word).collect();
        family.program(&mut Hand::new(wire, family.guarded()), run[0].0, &words, &mut |_, _| ()).unwrap();
        let count = u32::try_from(words.len()).unwrap();
        let back = family.read(&mut Hand::new(wire, family.guarded()), run[0].0, count, &mut |_, _| ()).unwrap();
        assert!(back == words, "{}: differs from {:#x} on", path.display(), run[0].0);
    }
    assert!(matches!(chip::classify(&family, &mut Hand::new(wire, family.guarded())), Ok((chip::Port::Open, _))));

    // The board's own cells, not what the port says of them.
    let slot = lock(&bench.slot);
    let board = slot.board().unwrap();
    let flash = board.flash();
    for segment in map.segments() {
        let at = segment.at as usize;
        assert!(flash[at..at + segment.bytes.len()] == segment.bytes[..], "{:#x}", segment.at);
    }
    assert!(board.violations().is_empty());
}
