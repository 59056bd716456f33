//! What the station wrote, read by those who rely on it: the C reader that MCUboot's hooks call.

use rootstamp::{
    ident::Digest,
    session::news::Verdict,
    virtual_board::{Latch, Silicon, lock},
};

use crate::{
    c_reader::told,
    line::{label, line},
};

fn uicr(silicon: Silicon) -> ([u8; 1024], Digest) {
    let mut line = line(silicon, Latch::Strict);
    let label = label(&line.lot, 1);
    assert_eq!(line.scan(&label).verdict, Verdict::Pass);
    let cells = lock(&line.slot).board().unwrap().uicr();
    (cells[..1024].try_into().unwrap(), line.lot.key().unwrap())
}

#[test]
fn mcuboots_hooks_read_hash_and_counter_from_a_board_that_the_station_finished() {
    for silicon in [Silicon::Old, Silicon::Hardened] {
        let (uicr, key) = uicr(silicon);
        assert_eq!(told(&uicr).trim(), format!("hash {key}\ncounter 1"), "{silicon:?}");
    }
}

#[test]
fn a_finished_board_whose_counter_or_hash_was_torn_afterwards_is_refused() {
    let (whole, _) = uicr(Silicon::Hardened);
    let mut hash = whole;
    hash[0x80 + 8..0x80 + 12].fill(0xFF);
    assert!(told(&hash).contains("hash refused"));
    let mut counter = whole;
    counter[0xA0 + 12..0xA0 + 16].copy_from_slice(&(!2_u32).to_le_bytes());
    assert!(told(&counter).contains("counter refused"));
}
