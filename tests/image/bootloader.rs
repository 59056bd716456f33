//! Bootloaders, told by their signs; the keys inside; and what is said where none is.

use rootstamp::{
    image::{
        Map,
        bootloader::{self, Family, Survey},
        mcuboot,
    },
    keys::refuse::RefuseList,
};

use super::{END, raw, record, vector};

fn survey(at: u32, bytes: &[u8]) -> Survey {
    bootloader::survey(&raw(at, bytes), &RefuseList::built_in().unwrap())
}

/// A program that holds these pieces, each at a word.
pub(crate) fn program(pieces: &[&[u8]]) -> Vec<u8> {
    let mut bytes = [0x2000_4000u32, 0x101].map(u32::to_le_bytes).concat();
    bytes.resize(0x100, 0);
    bytes.extend([0x00, 0xBF, 0x00, 0xBF]);
    for piece in pieces {
        bytes.extend_from_slice(piece);
        bytes.resize(bytes.len().next_multiple_of(4) + 8, 0);
    }
    bytes
}

const IMAGE_MAGIC: [u8; 4] = mcuboot::MAGIC.to_le_bytes();
/// movw r3, #0x6907. [ARMv7-M ARM A7.7.76 T3]
const TLV_MAGIC: [u8; 4] = [0x46, 0xF6, 0x07, 0x13];
/// `fw_info` magic of NSIB with a compatibility word.
const FW_INFO: [u8; 12] = [0xde, 0xe6, 0x1e, 0x28, 0x4c, 0xbb, 0xce, 0x8f, 0x02, 0x34, 0, 0];
const KEY_TOKEN: [u8; 4] = 0x50FA_FFFFu32.to_le_bytes();

#[test]
fn mcuboot_takes_more_than_one_sign() {
    let text: &[u8] = b"Jumping to the first image slot";
    let found = survey(0, &program(&[&IMAGE_MAGIC, &mcuboot::TRAILER_MAGIC, &TLV_MAGIC, text]));
    assert_eq!(found.family(), Some(Family::Mcuboot));
    assert_eq!(found.families[0].signs.len(), 4, "{found:?}");
    let one = survey(0, &program(&[&IMAGE_MAGIC]));
    assert_eq!(one.family(), None);
    assert!(one.explain().to_string().contains("perhaps MCUboot, by one sign alone"));
    let none = survey(0, &program(&[]));
    assert!(none.families.is_empty() && none.explain().to_string().contains("no sign of a bootloader"));
    let texts = survey(0, &program(&[text, b"Unable to find bootable image"]));
    assert_eq!(texts.family(), None, "two texts of one log are one sign");
    assert!(texts.explain().to_string().contains("by one sign alone"), "{texts:?}");
}

/// Zephyr's MCUmgr server holds all of these, as the firmware in the Python package smpclient shows.
pub(crate) const CONSTANTS: [&[u8]; 3] = [&IMAGE_MAGIC, &mcuboot::TRAILER_MAGIC, &TLV_MAGIC];

#[test]
fn firmware_that_handles_updates_is_not_called_mcuboot_and_a_key_or_a_text_beside_the_constants_is() {
    let plain = survey(0, &program(&CONSTANTS));
    assert_eq!((plain.family(), plain.families[0].family), (None, Family::Mcuboot));
    assert!(plain.explain().to_string().contains("perhaps MCUboot, or firmware that handles its updates"), "{plain:?}");
    let key = vector("keys/p256-a.spki.der").bytes;
    for more in [&key[..], b"Bootloader chainload address offset"] {
        let found = survey(0, &program(&[&CONSTANTS[..], &[more]].concat()));
        assert_eq!(found.family(), Some(Family::Mcuboot), "{found:?}");
    }
}

/// An image for a bootloader with a key hash on the chip: it carries the whole key.
fn carrying_a_key(body: &[u8]) -> Vec<u8> {
    let key = vector("keys/p256-a.spki.der").bytes;
    let mut image = vec![0; 0x200];
    let (header, length) = (0x200u16.to_le_bytes(), u32::try_from(body.len()).unwrap().to_le_bytes());
    for (at, field) in [(0, &IMAGE_MAGIC[..]), (8, &header), (12, &length)] {
        image[at..at + field.len()].copy_from_slice(field);
    }
    image.extend_from_slice(body);
    let hash = rootstamp::ident::Digest::of(&image);
    let entry = |kind: u16, value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap();
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), value].concat()
    };
    let entries = [entry(0x10, &hash.0), entry(0x02, &key)].concat();
    let total = u16::try_from(entries.len() + 4).unwrap();
    image.extend([&0x6907u16.to_le_bytes()[..], &total.to_le_bytes(), &entries].concat());
    image
}

#[test]
fn an_image_that_knows_the_formats_of_mcuboot_is_an_image_and_what_names_its_signer_is_no_key_of_a_bootloader() {
    let body = program(&CONSTANTS);
    let application = carrying_a_key(&body);
    let alone = survey(0xC000, &application);
    assert_eq!((alone.family(), alone.families[0].in_image), (None, true), "{alone:?}");
    assert!(alone.explain().to_string().contains("the image in this file knows the formats of MCUboot"), "{alone:?}");
    assert!(alone.keys.iter().all(|key| key.in_tlvs) && !alone.keys.is_empty(), "{alone:?}");
    assert!(!alone.trust.embedded, "{alone:?}");
    assert!(alone.trust.rests_on.contains("but those by which images name their signer"), "{alone:?}");

    let text: &[u8] = b"Unable to find bootable image";
    let mut merged = program(&[&CONSTANTS[..], &[text]].concat());
    merged.resize(0xC000, 0xFF);
    merged.extend(&application);
    let found = survey(0, &merged);
    assert_eq!((found.family(), found.families[0].in_image), (Some(Family::Mcuboot), false));
    assert!(found.families[0].signs.iter().all(|sign| sign.at < 0xC000), "{found:?}");
    assert!(!found.trust.embedded, "the only key is the one that the image carries: {found:?}");
}

#[test]
fn an_application_for_mcuboot_is_not_mcuboot() {
    for name in ["p256", "ed25519-confirm", "more/p256-confirm-align16"] {
        let found = survey(0xC000, &vector(&format!("mcuboot/{name}.bin")).bytes);
        assert_eq!(found.family(), None, "{name}: {found:?}");
    }
}

#[test]
fn the_immutable_bootloader_is_told_from_the_firmware_it_starts() {
    let found = survey(0, &program(&[&FW_INFO, &KEY_TOKEN]));
    assert_eq!((found.family(), found.firmware.len()), (Some(Family::Nsib), 0));
    assert!(found.trust.rests_on.contains("NSIB holds no key"), "{}", found.trust.rests_on);

    let mut firmware = vec![0u8; 0x400];
    let words = [0x30u32, 0x400, 7, 0x8000, 0x8000, 0x9102_FFFF].map(u32::to_le_bytes).concat();
    firmware[0x200..0x20C].copy_from_slice(&FW_INFO);
    firmware[0x20C..0x20C + words.len()].copy_from_slice(&words);
    let found = survey(0x8000, &firmware);
    assert_eq!(found.family(), None, "{found:?}");
    let [info] = found.firmware[..] else { panic!("{found:?}") };
    assert_eq!((info.at, info.version, info.address, info.size, info.valid), (0x8200, 7, 0x8000, 0x400, true));
    firmware[0x220..0x224].copy_from_slice(&0x9102_0000u32.to_le_bytes());
    assert!(!survey(0x8000, &firmware).firmware[0].valid);
}

#[test]
fn the_nrf5_sdk_bootloader_is_told_by_uicr_and_settings_page() {
    let code: String = (0..16).map(|line| record(0, 0x8000 + line * 16, &[0x11; 16])).collect();
    let settings = record(0, 0x8100, &0x000F_F000u32.to_le_bytes());
    let uicr = record(4, 0, &[0x10, 0x00]) + &record(0, 0x1014, &[0x00, 0x80, 0x0F, 0x00]);
    let hex = |text: &str| {
        let file = rootstamp::file::Read::from_memory("b.hex", (text.to_owned() + END).into());
        bootloader::survey(&Map::from_hex(&file).unwrap(), &RefuseList::built_in().unwrap())
    };
    let code = record(4, 0, &[0x00, 0x0F]) + &code;
    let found = hex(&(code.clone() + &settings + &uicr));
    assert_eq!(found.family(), Some(Family::Nrf5Sdk), "{found:?}");
    assert!(found.trust.rests_on.contains("64 raw bytes"), "{found:?}");
    assert_eq!(hex(&(code.clone() + &settings)).family(), None);
    let other = record(0, 0x8104, &0x0007_F000u32.to_le_bytes());
    assert!(hex(&(code + &settings + &other)).families.is_empty(), "round numbers stand in every soft device");
}

#[test]
fn an_nrf5_sdk_bootloader_without_its_usual_signs_is_told_by_its_key_beside_curve_and_settings_page() {
    let page = 0x000F_F000_u32.to_le_bytes();
    let mut curve = rootstamp::ident::bytes_from_hex(crate::dfu::GENERATOR).unwrap();
    let xy = vector("keys/p256-a.spki.der").bytes.split_off(27);
    let turned = |point: &mut [u8]| point.chunks_mut(32).for_each(<[u8]>::reverse);
    let mut own = xy.clone();
    turned(&mut own);
    turned(&mut curve);

    let found = survey(0x000E_0000, &program(&[&page, &curve, &own]));
    assert_eq!(found.family(), Some(Family::Nrf5Sdk), "{found:?}");
    let [bare] = &found.bare[..] else { panic!("{found:?}") };
    assert_eq!(bare.key.xy(), xy);
    assert!(found.trust.embedded && found.trust.rests_on.starts_with("1 public key stands inside"), "{found:?}");
    for pieces in [&[&page[..], &curve][..], &[&page, &own], &[&curve, &own], &[&page, &curve, &xy]] {
        let found = survey(0x000E_0000, &program(pieces));
        assert!(found.family().is_none() && found.bare.is_empty(), "{found:?}");
    }
}

#[test]
fn memory_that_begins_like_a_program_for_another_place_is_told_where_that_may_be() {
    let mut bytes = [0x2000_5918u32, 0x000E_03C9, 0x000E_03D1, 0x000E_03D3].map(u32::to_le_bytes).concat();
    bytes.resize(0x1000, 0);
    let elsewhere = |at, bytes: &[u8]| rootstamp::image::vectors::elsewhere(&raw(at, bytes));
    assert_eq!(elsewhere(0, &bytes), Some(0x000E_0000));
    assert_eq!(elsewhere(0x000E_0000, &bytes), None, "there it starts");
    for (at, byte) in [(3, 0x10), (4, 0xC8), (10, 0x1E)] {
        let mut other = bytes.clone();
        other[at] = byte;
        assert_eq!(elsewhere(0, &other), None, "byte {at}");
    }
}

#[test]
fn a_soft_device_that_holds_two_round_constants_is_not_the_nrf5_sdk_bootloader() {
    let found = survey(0, &program(&[&0x000F_F000_u32.to_le_bytes(), &0x0007_F000_u32.to_le_bytes()]));
    assert!(found.family().is_none() && found.families.is_empty(), "{found:?}");
}

#[test]
fn every_key_inside_is_named_with_address_and_algorithm() {
    let keys = ["p256-a", "p384-a", "ed25519-a"].map(|name| vector(&format!("keys/{name}.spki.der")).bytes);
    let rsa = ["rsa2048-a", "rsa3072-a"].map(|name| vector(&format!("keys/{name}.pkcs1.der")).bytes);
    let pieces: Vec<&[u8]> = keys.iter().chain(&rsa).map(|bytes| &bytes[..]).collect();
    let found = survey(0, &program(&pieces));
    let told: Vec<_> = found.keys.iter().map(|key| key.algorithm.unwrap()).collect();
    assert_eq!(told, ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048", "rsa-3072"]);
    let spki = rootstamp::ident::Digest::of(&vector("keys/rsa3072-a.spki.der").bytes);
    assert_eq!(found.keys[4].spki_sha256, Some(spki), "named as a recipe would");
    assert!(found.trust.embedded && found.trust.rests_on.starts_with("5 public keys stand inside"));
    assert!(found.keys.iter().all(|key| !key.private && key.refused.is_none()));
}

#[test]
fn a_bootloader_without_a_key_says_what_that_rests_on() {
    let found = survey(0, &program(&[&IMAGE_MAGIC, &mcuboot::TRAILER_MAGIC]));
    assert!(!found.trust.embedded);
    for expected in ["No key was found inside, in any of the forms looked for", "MCUBOOT_HW_KEY", "KMU"] {
        assert!(found.trust.rests_on.contains(expected), "{}", found.trust.rests_on);
    }
}

#[test]
fn a_file_larger_than_any_chip_is_not_searched_and_says_so() {
    let found = survey(0, &vec![0x30; bootloader::SEARCH_LIMIT + 1]);
    assert!(found.families.is_empty() && found.trust.rests_on.contains("Nothing was looked for"));
}

#[test]
fn a_decryption_key_inside_is_known_by_its_public_half_and_not_shown() {
    use p256::pkcs8::Document;
    for (name, algorithm) in [("x25519-a", "x25519"), ("p256-d", "ecdsa-p256"), ("rsa2048-a", "rsa-2048")] {
        let pem = String::from_utf8(vector(&format!("keys/{name}.priv.pem")).bytes).unwrap();
        let (_, der) = Document::from_pem(&pem).unwrap();
        let found = survey(0, &program(&[&IMAGE_MAGIC, &mcuboot::TRAILER_MAGIC, der.as_bytes()]));
        let key = found.keys.iter().find(|key| key.private).unwrap();
        let public = rootstamp::ident::Digest::of(&vector(&format!("keys/{name}.spki.der")).bytes);
        assert_eq!((key.algorithm, key.spki_sha256), (Some(algorithm), Some(public)), "{key:?}");
        assert!(found.explain().warnings().iter().any(|why| why.contains("private half")), "{found:?}");
        let told = serde_json::to_string(&found).unwrap() + &found.explain().to_string();
        let secret = rootstamp::ident::hex(der.as_bytes());
        assert!(secret.as_bytes().chunks(16).skip(4).all(|chunk| !told.contains(std::str::from_utf8(chunk).unwrap())));
    }
}

#[test]
fn a_decryption_key_on_a_refuse_list_is_refused_by_its_public_half() {
    use p256::pkcs8::Document;
    let pem = String::from_utf8(vector("keys/x25519-a.priv.pem").bytes).unwrap();
    let (_, der) = Document::from_pem(&pem).unwrap();
    let public = rootstamp::ident::Digest::of(&vector("keys/x25519-a.spki.der").bytes);
    let toml =
        format!("schema = 1\n[[refused]]\nspki_sha256 = \"{public}\"\nreason = \"leaked\"\ndate = \"2026-01-01\"\n");
    let file = rootstamp::file::Read::from_memory("refused-keys.toml", toml.into());
    let list = RefuseList::built_in().unwrap().with_company(&file).unwrap();
    let found = bootloader::survey(&raw(0, &program(&[der.as_bytes()])), &list);
    assert!(found.keys[0].refused.as_ref().unwrap().contains("leaked"), "{found:?}");
}
