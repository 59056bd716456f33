//! Settings pages: made as nrfutil makes them, and read as the bootloader reads them.

use rootstamp::{
    file::Read,
    ident::hex,
    image::{
        Map,
        dfu::{
            Validation,
            settings::{self, Backup, Flat, Settings, Version, Wanted},
        },
    },
};

use super::{application, read, vector};

#[test]
fn the_settings_pages_of_nrfutil_are_made_again_byte_for_byte() {
    let application = Flat::of(&application()).unwrap();
    for (file, chip, version) in [
        ("settings-NRF52-v1.hex", "nRF52832", Version::V1),
        ("settings-NRF52-v2.hex", "nRF52832", Version::V2),
        ("settings-NRF52840-v1.hex", "nRF52840", Version::V1),
    ] {
        let wanted = Wanted { version, app_version: 4, bl_version: 2, validation: Validation::Crc };
        let page = settings::make(&wanted, &application).unwrap();
        let map = settings::image("settings", settings::page_of(chip).unwrap(), &page);
        assert_eq!(to_hex(&map), String::from_utf8(vector(&format!("nrf5sdk/{file}"))).unwrap(), "{file}");

        let read = Map::from_hex(&read(&format!("nrf5sdk/{file}"))).unwrap();
        let found = settings::find(&read).unwrap();
        assert_eq!(found.contradictions(Some(&application)), Vec::<String>::new(), "{file}");
        assert_eq!((found.version, found.app_version, found.bl_version, found.app_size), (version, 4, 2, 1024));
        assert_eq!((found.app_crc, found.backup), (0x01BE_DC86, Backup::Same));
        assert_eq!(found.crc.0, if version == Version::V1 { 0x0CD8_FBF9 } else { 0xF497_23D2 });
        assert_eq!(found.validation_crc.map(|crc| crc.0), (version == Version::V2).then_some(0x7F0B_FEC8));
        let told = found.explain(Some(&application));
        assert!(told.warnings().is_empty(), "{told}");
        assert!(told.to_string().contains("version 4, 1024 bytes"), "{told}");
    }
}

/// The image as Intel HEX, record for record as nrfutil writes it: 16 bytes each, a new base before each 64 KiB.
fn to_hex(map: &Map) -> String {
    let mut text = String::new();
    let mut base = None;
    for segment in map.segments() {
        let mut at = segment.at;
        let mut rest = &segment.bytes[..];
        while !rest.is_empty() {
            if base != Some(at >> 16) {
                base = Some(at >> 16);
                let high = u16::try_from(at >> 16).unwrap_or_default();
                text.push_str(&record(0, 4, &high.to_be_bytes()));
            }
            let room = 16.min(0x1_0000 - (at as usize & 0xFFFF)).min(rest.len());
            let (line, after) = rest.split_at(room);
            text.push_str(&record(u16::try_from(at & 0xFFFF).unwrap_or_default(), 0, line));
            at = at.wrapping_add(u32::try_from(room).unwrap_or_default());
            rest = after;
        }
    }
    text.push_str(&record(0, 1, &[]));
    text
}

fn record(offset: u16, kind: u8, bytes: &[u8]) -> String {
    let [high, low] = offset.to_be_bytes();
    let mut line = vec![u8::try_from(bytes.len()).unwrap_or_default(), high, low, kind];
    line.extend_from_slice(bytes);
    let sum = line.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
    line.push(sum);
    format!(":{}\n", hex(&line).to_ascii_uppercase())
}

#[test]
fn a_page_validated_by_hash_or_not_at_all_speaks_of_its_application_only() {
    let application = Flat::of(&application()).unwrap();
    let wanted = |validation| Wanted { version: Version::V2, app_version: 1, bl_version: 1, validation };
    for validation in [Validation::Sha256, Validation::None] {
        let page = settings::make(&wanted(validation), &application).unwrap();
        let found = settings::read(&settings::image("a", 0xF_F000, &page), 0xF_F000).unwrap();
        assert_eq!(found.app_validation, Some(validation));
        assert_eq!(found.contradictions(Some(&application)), Vec::<String>::new());
    }
    assert!(
        settings::make(&wanted(Validation::EcdsaP256Sha256), &application).unwrap_err().contains("where the key is")
    );
}

/// The page of the vector with one byte changed, and what is told.
fn page_told(at: usize, value: u8, both: bool, expected: &str) {
    let application = Flat::of(&application()).unwrap();
    let wanted = Wanted { version: Version::V2, app_version: 4, bl_version: 2, validation: Validation::Sha256 };
    let good = settings::make(&wanted, &application).unwrap();
    let mut page = good.clone();
    page[at] = value;
    let backup = if both { page.clone() } else { good };
    let gap = vec![0xFF; 0x1000 - page.len()];
    let raw = Read::from_memory("page.bin", [backup, gap, page].concat());
    let map = Map::from_raw(&raw, 0xF_E000).unwrap();
    let told = settings::read(&map, 0xF_F000).map_or_else(
        |problem| problem.what,
        |settings: Settings| settings.contradictions(Some(&application)).join("; "),
    );
    assert!(told.contains(expected), "{expected}: {told}");
}

#[test]
fn a_settings_page_that_a_bootloader_would_not_follow_is_told() {
    page_told(0x08, 9, true, "the CRC32 is written as");
    page_told(0x08, 9, false, "the backup at 0x000FE000 says something else");
    page_told(0x20, 0, true, "there is no application to start");
    for code in [0x01, 0xA5, 0xAA, 0xAC] {
        page_told(0x2C, code, true, "0 bytes wait in its second bank");
    }
    page_told(0x18, 1, true, "the page says 1025");
    page_told(0x1C, 1, true, "the application has the CRC32");
    page_told(0x2A2, 0, true, "CRC32 of the boot validations");
    page_told(0x2A2, 0xAA, true, "is that of another application");
    page_told(0x04, 3, true, "its layout is 3");
    page_told(0x2A1, 9, true, "of no known kind");
    let short = Map::from_raw(&Read::from_memory("a.bin", vec![1; 50]), 0xF_F000).unwrap();
    assert!(settings::read(&short, 0xF_F000).unwrap_err().what.contains("its layout is 16843009"));
    let cut = [[0; 4], [1, 0, 0, 0]].concat();
    let cut = Map::from_raw(&Read::from_memory("a.bin", cut), 0xF_F000).unwrap();
    assert!(settings::read(&cut, 0xF_F000).unwrap_err().what.contains("cut off"));
    assert!(settings::read(&cut, 0x7_F000).unwrap_err().what.contains("no bytes there"));
    assert_eq!(settings::find(&cut), None);
    assert_eq!(settings::find(&application()), None);
}

#[test]
fn an_application_is_flattened_without_boot_record_and_uicr() {
    let flat = |at: u32, len: usize| Flat::of(&Map::from_raw(&Read::from_memory("a.bin", vec![7; len]), at).unwrap());
    assert_eq!(flat(0xF00, 0x103).unwrap().bytes, [7, 7, 7, 0xFF]);
    assert!(flat(0x1000_1000, 8).unwrap_err().what.contains("nothing in the flash"));
    assert!(flat(0, 0x1000).is_err());
    assert!(flat(0x1000, (2 << 20) + 1).unwrap_err().what.contains("spans more than"));
    let far = b":020000040000FA\n:0120000000DF\n:020000040FFFEC\n:0100000000FF\n:00000001FF\n".to_vec();
    let far = Map::from_hex(&Read::from_memory("a.hex", far)).unwrap();
    assert!(Flat::of(&far).unwrap_err().what.contains("spans more than"), "two bytes far apart fill no memory");
}
