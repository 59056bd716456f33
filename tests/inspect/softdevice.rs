//! Nordic's SoftDevices, what stands below them and what begins behind them.

use super::{inspected, rootstamp, unfolded, written};
use crate::inspect::carriers::intel_hex;

/// Code with these words at its begin.
fn code(length: usize, words: &[u32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(length, 0x5A);
    bytes
}

/// Master boot record, SoftDevice with this structure, application: as Intel HEX. [nRF5 SDK, nrf_sdm.h]
pub(super) fn board(info: &[u32], application: bool) -> Vec<u8> {
    let record = code(0x800, &[0x2000_0400, 0x101]);
    let mut softdevice = code(0x4000, &[0x2000_1000, 0x1101]);
    for (index, word) in info.iter().enumerate() {
        softdevice[0x2000 + 4 * index..][..4].copy_from_slice(&word.to_le_bytes());
    }
    let pieces = [(0, record), (0x1000, softdevice), (0x2_6000, code(0x200, &[0x2000_4000, 0x2_6101]))];
    let kept = if application { &pieces[..] } else { &pieces[..2] };
    let text: Vec<Vec<u8>> = kept.iter().map(|(at, bytes)| intel_hex(*at, bytes)).collect();
    let end = b":00000001FF\n";
    let body: Vec<u8> = text.iter().flat_map(|text| text[..text.len() - end.len()].to_vec()).collect();
    [&body[..], end].concat()
}

pub(super) const S140: [u32; 6] = [0xFFFF_FF2C, 0x51B1_E5DB, 0x2_6000, 0xFFFF_00AE, 140, 6_001_000];

#[test]
fn a_softdevice_is_told_with_its_version_and_the_place_of_the_application() {
    let (_folder, path) = written("whatever", &board(&S140, true));
    let (exit, report, errors) = inspected(&[&path]);
    let file = &report["files"][0];
    let is = "Intel HEX: SoftDevice S140 v6.1.0 for the nRF52 series above Nordic's master boot record, a program at \
              0x00026000";
    assert_eq!((exit, &file["is"]), (0, &is.into()), "{errors}");
    let softdevice = &file["softdevice"];
    assert_eq!((&softdevice["variant"], &softdevice["version"]), (&140.into(), &"6.1.0".into()));
    assert_eq!((&softdevice["firmware_id"], &softdevice["name"]), (&"0x00AE".into(), &"s140_nrf52_6.1.0".into()));
    assert_eq!((&softdevice["end"], &softdevice["application"]), (&"0x00026000".into(), &"0x00026000".into()));
    assert_eq!((&file["mbr"]["at"], &file["mbr"]["length"]), (&"0x00000000".into(), &0x800.into()));
    let words = unfolded(&rootstamp(&["inspect", &path]).stdout);
    for expected in ["firmware id 0x00AE (s140_nrf52_6.1.0)", "a program begins behind it, at 0x00026000"] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
}

#[test]
fn a_softdevice_alone_says_where_its_application_would_begin() {
    let (_folder, path) = written("whatever", &board(&S140, false));
    let (_, report, _) = inspected(&[&path]);
    assert_eq!(report["files"][0]["softdevice"]["application"], serde_json::Value::Null);
    let words = unfolded(&rootstamp(&["inspect", &path]).stdout);
    assert!(words.contains("no program in this file begins at 0x00026000"), "{words}");
}

#[test]
fn a_program_without_the_structure_is_no_softdevice_and_shows_no_boot_record() {
    let (_folder, path) = written("s140_nrf52_6.1.0_softdevice.hex", &board(&[0; 6], true));
    let (exit, report, errors) = inspected(&[&path]);
    let file = &report["files"][0];
    assert_eq!((exit, &file["is"]), (0, &"Intel HEX: a program".into()), "{errors}");
    assert!(file["softdevice"].is_null() && file["mbr"].is_null() && file["connectivity"].is_null());
}
