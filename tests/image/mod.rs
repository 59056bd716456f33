//! Image files, good and bad: Intel HEX, vector tables, keys inside, MCUboot's format.

pub(crate) mod bootloader;
pub(crate) mod elf;
mod mcuboot_images;

use std::path::Path;

use proptest::prelude::*;
use rootstamp::{
    fault::Problem,
    file,
    ident::{Digest, bytes_from_hex},
    image::{
        FILE_LIMIT, Map,
        mcuboot::{self, Carrier, Signs},
        scan::{self, Kind},
        vectors,
    },
    keys::{PublicKey, refuse::RefuseList},
};

fn vector(name: &str) -> file::Read {
    file::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name), FILE_LIMIT).unwrap()
}

fn hex(text: &str) -> Result<Map, Vec<Problem>> {
    Map::from_hex(&file::Read::from_memory("a.hex", text.into()))
}

fn raw(at: u32, bytes: &[u8]) -> Map {
    Map::from_raw(&file::Read::from_memory("a.bin", bytes.to_vec()), at).unwrap()
}

/// A record with its checksum.
fn record(kind: u8, offset: u16, data: &[u8]) -> String {
    let head = [u8::try_from(data.len()).unwrap(), (offset >> 8) as u8, (offset & 0xFF) as u8, kind];
    let bytes = [&head, data].concat();
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
    let digits: String = bytes.iter().chain([&sum]).map(|byte| format!("{byte:02X}")).collect();
    format!(":{digits}\n")
}

pub(super) const END: &str = ":00000001FF\n";

/// The one problem of a file, with its place.
fn told(text: &str) -> String {
    let problems = hex(text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

#[test]
fn a_hex_file_is_put_in_order_joined_and_remembers_its_lines() {
    let text = record(4, 0, &[0x10, 0x00])
        + &record(0, 0x1080, &[1, 2, 3, 4])
        + &record(4, 0, &[0, 0])
        + &record(0, 4, &[5, 6])
        + "\r\n"
        + &record(0, 0, &[1, 2, 3, 4])
        + &record(5, 0, &[0, 0, 1, 1])
        + END;
    let map = hex(&text).unwrap();
    let segments: Vec<_> = map.segments().iter().map(|segment| (segment.at, &segment.bytes[..])).collect();
    assert_eq!(segments, [(0, &[1, 2, 3, 4, 5, 6][..]), (0x1000_1080, &[1, 2, 3, 4][..])]);
    assert_eq!((map.line_of(5), map.line_of(0), map.line_of(6)), (Some(4), Some(6), None));
    assert_eq!(map.words(), [(0, 0x0403_0201), (4, 0xFFFF_0605), (0x1000_1080, 0x0403_0201)]);
    assert_eq!((map.entry(), map.len(), map.end()), (Some(0x101), 10, 0x1000_1084));
    assert_eq!((map.bytes(1..3), map.bytes(1..7)), (Some(&[2, 3][..]), None));
}

#[test]
fn a_segment_address_counts_in_sixteens() {
    let map =
        hex(&(record(2, 0, &[0x10, 0x00]) + &record(0, 0x10, &[7]) + &record(3, 0, &[0, 1, 0, 2]) + END)).unwrap();
    assert_eq!((map.first(), map.entry()), (0x1_0010, Some(0x12)));
}

#[test]
fn a_hex_file_with_a_mistake_is_named_with_line_and_address() {
    let good = record(0, 0x10, &[1, 2, 3, 4]);
    for (text, expected) in [
        (String::new(), "a.hex: is empty"),
        (good.clone(), "a.hex: has no end record (:00000001FF); the file was cut off"),
        (END.to_owned(), "a.hex: holds no data"),
        (format!("\u{feff}{good}{END}"), "a.hex:1:1: begins with a byte-order mark; save it as plain ASCII"),
        ("hello\n".to_owned(), "a.hex: is not Intel HEX: no line begins with `:`"),
        (format!("{good}{good}{END}"), "a.hex:2:1: 0x00000010 is written twice, here and in line 1"),
        (record(0, 0x12, &[9]) + &good + END, "a.hex:2:1: 0x00000012 is written twice, here and in line 1"),
        (format!("{good}{END}{good}"), "a.hex:3:1: text after the end record of line 2"),
        (format!("{good}{END}x\ny\n"), "a.hex:3:1: text after the end record of line 2"),
        (good.replace(":04", ":03") + END, "a.hex:1:1: the checksum is 0xE2, the record adds up to 0xE3"),
        (format!("{good}:0000000100\n"), "a.hex:2:1: the checksum is 0x00, the record adds up to 0xFF"),
        (format!("{good}  \n{END}"), "a.hex:2:1: a record begins with `:`; this line does not"),
        (good.clone() + &record(6, 0, &[]) + END, "a.hex:2:1: record type 0x06 is not known"),
        (good.clone() + &record(4, 0, &[1]) + END, "a.hex:2:1: the record has a wrong length for its type"),
        (format!("{good}:0\n{END}"), "a.hex:2:1: the record is too short"),
        (format!("{good}:00000001FF0\n{END}"), "a.hex:2:1: the record ends in half a byte"),
        (format!("{good}:0000000xFF\n{END}"), "a.hex:2:1: the record holds something else than hexadecimal digits"),
        (
            record(0, 0xFFFE, &[1, 2, 3]) + END,
            "a.hex:1:1: the record at 0x0000FFFE runs past the end of its 64 KiB; split it there: readers disagree",
        ),
        (
            record(5, 0, &[0; 4]) + &record(5, 0, &[0; 4]) + &good + END,
            "a.hex:2:1: a second start address; line 1 has one",
        ),
    ] {
        let problems = hex(&text).unwrap_err();
        assert!(problems.iter().any(|problem| problem.to_string() == expected), "{expected}\n{problems:?}");
    }
}

#[test]
fn all_mistakes_come_at_once_but_never_more_than_fifty() {
    let two = record(0, 0, &[1]).replace("FE", "FF") + &record(9, 0, &[]) + END;
    assert_eq!(hex(&two).unwrap_err().len(), 2);
    let many = format!(":\n{}", "x\n".repeat(10_000));
    let problems = hex(&many).unwrap_err();
    assert_eq!(problems.len(), 51);
    assert!(problems[50].what.contains("only the first 50"), "{}", problems[50]);
}

#[test]
fn a_record_up_to_the_last_byte_of_its_64_kib_or_of_memory_is_taken() {
    let map = hex(&(record(4, 0, &[0xFF, 0xFF]) + &record(0, 0xFFFE, &[1, 2]) + END)).unwrap();
    assert_eq!((map.first(), map.end()), (0xFFFF_FFFE, 1 << 32));
    assert_eq!(map.words(), [(0xFFFF_FFFC, 0x0201_FFFF)]);
}

#[test]
fn scattered_bytes_over_all_of_memory_take_no_memory_and_are_refused() {
    let scattered: String = (0..=5000u16).map(|at| record(0, at * 2, &[0])).collect();
    assert!(told(&(scattered + END)).contains("more than 4096 pieces"));
    let far_apart =
        record(4, 0, &[0, 0]) + &record(0, 0, &[1]) + &record(4, 0, &[0xFF, 0xFF]) + &record(0, 0, &[1]) + END;
    let map = hex(&far_apart).unwrap();
    assert_eq!((map.len(), map.segments().len(), map.words().len()), (2, 2, 2));
}

#[test]
fn bytes_outside_the_chips_memory_are_named_with_line_and_address() {
    let text = record(0, 0xFF8, &[0; 16]) + &record(4, 0, &[0x10, 0]) + &record(0, 0x1080, &[0; 4]) + END;
    let map = hex(&text).unwrap();
    let outside = |memory: &[std::ops::Range<u32>]| -> Vec<String> {
        map.outside(memory).iter().map(ToString::to_string).collect()
    };
    let (flash, uicr) = (0..0x1000, 0x1000_1000..0x1000_2000);
    assert_eq!(
        outside(&[uicr.clone(), flash.clone()]),
        ["a.hex:1:1: 0x00001000..0x00001008 lies outside the memory it may fill"]
    );
    assert_eq!(
        outside(&[flash]),
        [
            "a.hex:1:1: 0x00001000..0x00001008 lies outside the memory it may fill",
            "a.hex:3:1: 0x10001080..0x10001084 lies outside the memory it may fill"
        ]
    );
    assert_eq!(outside(&[0..0x1001, 0x1001..0x2000, uicr]), Vec::<String>::new());
    assert_eq!(outside(&[]).len(), 2);
}

#[test]
fn a_raw_file_stands_where_it_is_told_or_is_refused() {
    assert_eq!(raw(0xC000, &[1, 2]).words(), [(0xC000, 0xFFFF_0201)]);
    let file = file::Read::from_memory("a.bin", vec![0; 16]);
    assert!(Map::from_raw(&file, 0xFFFF_FFF8).is_err());
    assert!(Map::from_raw(&file::Read::from_memory("a.bin", Vec::new()), 0).is_err());
}

#[test]
fn two_files_that_describe_the_same_memory_have_the_same_digest() {
    let one = hex(&(record(0, 0, &[1, 2]) + &record(0, 2, &[3]) + END)).unwrap();
    let other = hex(&(record(0, 1, &[2, 3]) + &record(0, 0, &[1]) + END)).unwrap();
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.digest(), raw(0, &[1, 2, 3]).digest());
    assert_ne!(one.digest(), raw(1, &[1, 2, 3]).digest());
}

#[test]
fn a_vector_table_that_no_chip_can_start_from_is_refused() {
    let table = |stack: u32, reset: u32| {
        let words = [stack, reset, 0, 0].map(u32::to_le_bytes).concat();
        vectors::read(&raw(0x1000, &words), 0x1000, &vectors::SRAM)
    };
    assert_eq!(table(0x2004_0000, 0x1009).unwrap().reset, 0x1009);
    for (stack, reset, expected) in [
        (0x1000_0000, 0x1009, "not in RAM"),
        (0x2000_0000, 0x1009, "not in RAM"),
        (0x2004_0002, 0x1009, "not in RAM"),
        (0x2004_0000, 0x1008, "even"),
        (0x2004_0000, 0x1011, "outside the image"),
        (0x2004_0000, 0xFFFF_FFFF, "outside the image"),
    ] {
        let problems = table(stack, reset).unwrap_err();
        assert!(problems[0].what.contains(expected), "{problems:?}");
    }
    assert!(vectors::read(&raw(0, &[0; 6]), 0, &vectors::SRAM).unwrap_err()[0].what.contains("no vector table"));
}

fn scanned(bytes: &[u8]) -> Vec<scan::Found> {
    let padded = [&[0x30; 7][..], bytes, &[0xFF; 600]].concat();
    scan::keys(&raw(0x100, &padded), &RefuseList::built_in().unwrap())
}

#[test]
fn a_key_inside_a_bootloader_is_found_at_any_offset() {
    let spki = vector("keys/p256-a.spki.der").bytes;
    let found = scanned(&spki);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].at, &found[0].kind), (0x107, &Kind::P256(PublicKey::from_spki(&spki).unwrap())));
    assert!(scanned(b"no key at all").is_empty());
    let twice = [&spki[..], &spki].concat();
    assert_eq!(scanned(&twice).len(), 2);
}

#[test]
fn a_key_of_another_kind_is_found_too_so_that_none_is_never_said_wrongly() {
    for (name, kind) in [
        ("p384-a.spki.der", "P-384"),
        ("ed25519-a.spki.der", "Ed25519"),
        ("x25519-a.spki.der", "X25519"),
        ("rsa2048-a.pkcs1.der", "RSA-2048"),
        ("rsa3072-a.pkcs1.der", "RSA-3072"),
    ] {
        let found = scanned(&vector(&format!("keys/{name}")).bytes);
        assert!(
            matches!(found[..], [scan::Found { kind: Kind::Other(found), .. }] if found == kind),
            "{name} {found:?}"
        );
    }
    let mut off_curve = vector("keys/p256-a.spki.der").bytes;
    off_curve[90] ^= 1;
    assert!(matches!(scanned(&off_curve)[..], [scan::Found { kind: Kind::Other(_), .. }]));
}

#[test]
fn a_private_key_inside_an_image_is_found_and_not_printed() {
    use p256::pkcs8::Document;
    for name in ["p256-a.priv.pem", "p256-a.sec1.pem", "ed25519-a.priv.pem", "rsa2048-a.priv.pem", "p384-a.priv.pem"] {
        let pem = String::from_utf8(vector(&format!("keys/{name}")).bytes).unwrap();
        let der = Document::from_pem(&pem).unwrap().1;
        let found = scanned(der.as_bytes());
        assert!(found.iter().any(|found| matches!(found.kind, Kind::Private(_))), "{name} {found:?}");
        assert!(found[0].describe().len() < 80, "{}", found[0].describe());
    }
    let encoded = vector("keys/rsa2048-a.pkcs1.priv.der").bytes;
    assert!(matches!(scanned(&encoded)[..], [scan::Found { kind: Kind::Private(_), .. }]));
}

#[test]
fn a_published_key_is_recognised_as_der_and_as_raw_bytes() {
    let spki = "3059301306072a8648ce3d020106082a8648ce3d030107034200044bd23790b04430c7f40c1f6d6668cd78842336166d271da40ad266001e798dd5a8e641ee7da0399cd242ed3859cc89a6c866913043514528680c74a26f616a6c";
    let spki = bytes_from_hex(spki).unwrap();
    for bytes in [&spki[..], &spki[27..]] {
        let found = scanned(bytes);
        assert_eq!(found.len(), 1, "{found:?}");
        let name = "sdk-nrf:applications/nrf_desktop/configuration/nrf52kbd_nrf52832/b0_private.pem";
        assert_eq!(found[0].refused.as_ref().unwrap().name, name);
    }
}

const AT: u32 = 0xC000;

fn key(name: &str) -> PublicKey {
    PublicKey::from_spki(&vector(&format!("keys/{name}.spki.der")).bytes).unwrap()
}

fn p256_image() -> Vec<u8> {
    vector("mcuboot/p256.bin").bytes
}

#[test]
fn an_image_signed_by_imgtool_is_taken_apart_as_imgtool_does() {
    let told: serde_json::Value = serde_json::from_slice(&vector("mcuboot/p256.dumpinfo.json").bytes).unwrap();
    let image = mcuboot::read(&raw(AT, &p256_image()), AT).unwrap();
    assert_eq!(image.header.version.to_string(), told["header"]["version"]);
    assert_eq!(u64::from(image.header.image_size), told["header"]["img_size"]);
    let tlvs = told["tlv_area"]["tlvs"].as_array().unwrap();
    assert_eq!(image.tlvs.len(), tlvs.len());
    for (tlv, told) in image.tlvs.iter().zip(tlvs) {
        assert_eq!(
            (u64::from(tlv.kind), tlv.data.len() as u64),
            (told["type"].as_u64().unwrap(), told["len"].as_u64().unwrap())
        );
    }
    assert_eq!(image.verify(&key("p256-a")), Ok(()));
    assert_eq!(image.security_counter(), None);
    assert_eq!(image.key_hash(), Some(key("p256-a").spki_sha256()));
    let counted = mcuboot::read(&raw(AT, &vector("mcuboot/ed25519-seccnt5.bin").bytes), AT).unwrap();
    assert_eq!(counted.security_counter(), Some(5));
}

#[test]
fn an_image_signed_with_another_key_or_none_is_refused() {
    let image = mcuboot::read(&raw(AT, &p256_image()), AT).unwrap();
    let wrong = image.verify(&key("p256-b")).unwrap_err();
    assert!(wrong.iter().any(|why| why.contains("signed with the key aee3f2c3")), "{wrong:?}");
    assert!(wrong.iter().any(|why| why.contains("signature was not made")), "{wrong:?}");
    let unsigned = mcuboot::read(&raw(AT, &vector("mcuboot/unsigned.bin").bytes), AT).unwrap();
    let wrong = unsigned.verify(&key("p256-a")).unwrap_err();
    assert!(wrong.iter().any(|why| why.contains("no ECDSA signature")), "{wrong:?}");
    assert!(wrong.iter().any(|why| why.contains("does not say which key")), "{wrong:?}");
    let p384 = mcuboot::read(&raw(AT, &vector("mcuboot/p384.bin").bytes), AT).unwrap();
    let wrong = p384.verify(&key("p256-a")).unwrap_err();
    assert!(wrong.iter().any(|why| why.contains("no bootloader with a P-256 key computes")), "{wrong:?}");
}

#[test]
fn every_flipped_bit_of_a_signed_image_is_seen() {
    let good = p256_image();
    for bit in (0..good.len() * 8).step_by(13).chain(0..40 * 8).chain((good.len() - 152) * 8..good.len() * 8) {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let image = mcuboot::read(&raw(AT, &bytes), AT);
        assert!(image.is_err() || image_refused(&bytes), "bit {bit}");
    }
}

fn image_refused(bytes: &[u8]) -> bool {
    mcuboot::read(&raw(AT, bytes), AT).is_ok_and(|image| image.verify(&key("p256-a")).is_err())
}

/// Changes the image at an offset, and its hash with it, so that only what the test is about is wrong.
fn rehashed(at: usize, bytes: &[u8]) -> mcuboot::Image {
    let mut image = p256_image();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    let tlvs = 0x600;
    let hash = Digest::of(&image[..tlvs]).0;
    image[tlvs + 8..tlvs + 40].copy_from_slice(&hash);
    mcuboot::read(&raw(AT, &image), AT).unwrap()
}

#[test]
fn an_image_that_mcuboot_would_not_start_in_place_is_refused_in_words() {
    for (flags, expected) in [
        (0x4u32, "encrypted"),
        (0x8, "encrypted"),
        (0x10, "not bootable"),
        (0x100, "linked for 0x00000000"),
        (0x200, "compressed"),
        (0x400, "compressed"),
    ] {
        let wrong = rehashed(16, &flags.to_le_bytes()).verify(&key("p256-a")).unwrap_err();
        assert!(wrong[0].contains(expected), "{wrong:?}");
    }
}

#[test]
fn an_image_whose_lengths_lie_is_refused_without_a_panic() {
    for (at, bytes, expected) in [
        (0, &[0u8][..], "first word"),
        (8, &[0, 0], "make no sense"),
        (12, &[0, 0, 0, 0], "make no sense"),
        (12, &[0xFF; 4], "past the end of memory"),
        (12, &[0, 8, 0, 0], "cut off"),
        (10, &[8, 0], "should begin with 0x6908"),
        (0x600, &[0], "should begin with 0x6907"),
        (0x602, &[0xFF, 0xFF], "cut off"),
        (0x606, &[0xFF, 0xFF], "runs past"),
    ] {
        let mut image = p256_image();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        let problem = mcuboot::read(&raw(AT, &image), AT).unwrap_err();
        assert!(problem.what.contains(expected), "{problem}, expected {expected}");
    }
    assert!(mcuboot::read(&raw(AT, &p256_image()[..31]), AT).unwrap_err().what.contains("header is cut off"));
}

#[test]
fn a_security_counter_outside_the_signature_or_twice_is_none() {
    let mut image = mcuboot::read(&raw(AT, &p256_image()), AT).unwrap();
    let counter = |protected| mcuboot::Tlv { at: AT, kind: 0x50, protected, data: vec![7, 0, 0, 0] };
    image.tlvs.push(counter(false));
    assert_eq!(image.security_counter(), None);
    assert!(image.verify(&key("p256-a")).unwrap_err()[0].contains("security counter"));
    image.tlvs.pop();
    image.tlvs.push(counter(true));
    assert_eq!(image.security_counter(), Some(7));
    image.tlvs.push(counter(true));
    assert_eq!(image.security_counter(), None);
}

#[test]
fn a_bootloader_is_told_by_the_magic_it_compares_with() {
    let literal = [&[0u8; 6][..], &mcuboot::MAGIC.to_le_bytes(), &mcuboot::TRAILER_MAGIC].concat();
    let signs = Signs::of(&raw(0, &literal));
    assert_eq!((signs.image_magic, signs.trailer_magic), (Some((6, Carrier::Literal)), Some(10)));
    // nop; movw r3, #0xB83D; nop; movt rN, #0x96F3. [ARMv7-M ARM A7.7.76 T3, A7.7.79 T1]
    let moved = |movt: &str| {
        let bytes = bytes_from_hex(&format!("00bf4bf63d0300bfc9f2{movt}")).unwrap();
        Signs::of(&raw(0, &bytes)).image_magic
    };
    assert_eq!(moved("f363"), Some((2, Carrier::Instructions)));
    assert_eq!(moved("f364"), None, "another register");
    assert_eq!(moved("f263"), None, "another constant");
    assert!(!Signs::of(&raw(0, &[0; 64])).suffice());
}

proptest! {
    #[test]
    fn no_bytes_make_the_hex_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Map::from_hex(&file::Read::from_memory("a.hex", bytes));
    }

    #[test]
    fn no_text_of_records_makes_the_hex_reader_panic(
        lines in proptest::collection::vec((0u8..8, any::<u16>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..30),
    ) {
        let text: String = lines.iter().map(|(kind, offset, data)| record(*kind, *offset, data)).collect();
        if let Ok(map) = hex(&(text + END)) {
            prop_assert!(map.len() <= 600);
            prop_assert!(map.segments().windows(2).all(|pair| pair[0].end() < u64::from(pair[1].at)));
        }
    }

    #[test]
    fn what_is_written_as_hex_is_read_as_it_was(
        at in 0u32..0xFFFF_0000,
        bytes in proptest::collection::vec(any::<u8>(), 1..600),
        shuffle in any::<u64>(),
    ) {
        let mut records = Vec::new();
        for (index, chunk) in bytes.chunks(16).enumerate() {
            // One byte per record where a 64 KiB border could lie inside.
            for (inner, byte) in chunk.iter().enumerate() {
                let address = at + u32::try_from(index * 16 + inner).unwrap();
                let [a, b, c, d] = address.to_be_bytes();
                records.push(record(4, 0, &[a, b]) + &record(0, u16::from_be_bytes([c, d]), &[*byte]));
            }
        }
        let middle = usize::try_from(shuffle % records.len() as u64).unwrap();
        records.rotate_left(middle);
        let map = hex(&(records.concat() + END)).unwrap();
        let written = raw(at, &bytes);
        prop_assert_eq!(map.segments(), written.segments());
        prop_assert_eq!(map.digest(), written.digest());
    }

    #[test]
    fn no_bytes_make_the_image_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 1..300), at in any::<u32>()) {
        let mut image = mcuboot::MAGIC.to_le_bytes().to_vec();
        image.extend_from_slice(&bytes);
        let Ok(map) = Map::from_raw(&file::Read::from_memory("a.bin", image), at) else { return Ok(()) };
        if let Ok(image) = mcuboot::read(&map, at) {
            let _ = image.verify(&key("p256-a"));
        }
        let _ = (vectors::read(&map, at, &vectors::SRAM), Signs::of(&map), map.words(), map.line_of(at));
    }
}
