//! What stands beside a signed image in its own file: nobody signed that, and `check` never says that somebody did.

use rootstamp::image::mcuboot::TRAILER_MAGIC;

use super::{APPLICATION, Application, Lot, as_hex, told};
use crate::check::run;

/// An application in Intel HEX, and more bytes at other places of the same file.
fn with(more: &[(u32, &[u8])]) -> Lot {
    let end_record = ":00000001FF\n";
    let whole = |at: u32, bytes: &[u8]| String::from_utf8(as_hex(at, bytes)).unwrap();
    let mut hex = whole(0x1000, &Application::good().signed()).replace(end_record, "");
    hex.extend(more.iter().map(|(at, bytes)| whole(*at, bytes).replace(end_record, "")));
    Lot::good().with_file(APPLICATION, (hex + end_record).into())
}

fn end() -> u32 {
    0x1000 + u32::try_from(Application::good().signed().len()).unwrap()
}

#[test]
fn bytes_beside_a_signed_image_are_refused_with_file_and_address() {
    let stray = [0x11; 64];
    for at in [0x9_0000, 0x5_0000, 0x1800] {
        let problem = told(&with(&[(at, &stray)]), "is no part of what was signed, 0x00001000..0x");
        assert!(problem.file.ends_with(APPLICATION) && problem.line.is_some(), "{problem}");
        let place = format!("0x{at:08X}..0x{:08X} in the file of image `application`", at + 64);
        assert!(problem.what.contains(&place), "{problem}");
    }
    // Without a gap before it, and with erased bytes around it.
    let behind = [&Application::good().signed()[..], &[0xFF, 0x22, 0xFF, 0x22, 0xFF]].concat();
    let problem = told(&Lot::good().with_file(APPLICATION, as_hex(0x1000, &behind)), "no part of what was signed");
    // A signature in DER is not always as long.
    let from = u32::try_from(behind.len()).unwrap() + 0x1000 - 4;
    assert!(problem.what.contains(&format!("0x{from:08X}..0x{:08X}", from + 3)), "{problem}");
    let two = with(&[(0x9_0000, &stray), (0x5_0000, &stray)]).problems();
    assert_eq!(two.len(), 2, "{two:#?}");
    let many: Vec<(u32, &[u8])> = (0..20).map(|index| (0x5_0000 + 0x100 * index, &stray[..])).collect();
    let many = with(&many).problems();
    assert_eq!(many.len(), 17, "{many:#?}");
    assert!(many.iter().any(|problem| problem.what.contains("4 more places hold what nobody signed")), "{many:#?}");
}

#[test]
fn the_end_of_a_slot_as_imgtool_pads_it_belongs_to_the_image_and_nothing_more_of_it() {
    let slot_end = 0x8000;
    let trailer = |notes: [u8; 24]| [&notes[..], &TRAILER_MAGIC].concat();
    let mut notes = [0xFF; 24];
    assert!(with(&[(slot_end - 40, &trailer(notes))]).read_as(None).is_ok());
    // swap_info, copy_done and image_ok, from the first.
    (notes[0], notes[8], notes[16]) = (2, 1, 1);
    assert!(with(&[(slot_end - 40, &trailer(notes))]).read_as(None).is_ok());
    for spoilt in [1, 7, 9, 15, 17, 23] {
        let mut notes = notes;
        notes[spoilt] = 0;
        let at = format!("0x{:08X}", slot_end - 40 + u32::try_from(spoilt).unwrap());
        told(&with(&[(slot_end - 40, &trailer(notes))]), &at);
    }
    // A second magic is not the end of its slot.
    let two = [TRAILER_MAGIC, TRAILER_MAGIC].concat();
    told(&with(&[(slot_end - 16, &two)]), &format!("0x{slot_end:08X}..0x{:08X}", slot_end + 16));
    assert!(with(&[(end() + 64, &[0xFF; 512])]).read_as(None).is_ok(), "as erased flash is");
}

#[test]
fn the_line_about_an_image_tells_its_pieces_and_claims_no_gap() {
    let lot = with(&[(0x8000 - 16, &TRAILER_MAGIC)]);
    let words = String::from_utf8(run(&lot, &["check", "--recipe", "lot.toml"]).stdout).unwrap();
    let flat = words.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(", 0x00007FF0..0x00008000 application: mcuboot-image"), "{words}");
    let told = run(&lot, &["check", "--recipe", "lot.toml", "--json"]).stdout;
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    let image = &told["planned"]["images"][1];
    assert_eq!((image["at"].as_str(), image["end"].as_str()), (Some("0x00001000"), Some("0x00008000")));
    assert_eq!(image["segments"].as_array().unwrap().len(), 2, "{image}");
    assert_eq!(image["segments"][1]["at"], "0x00007FF0");
}
