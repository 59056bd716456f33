//! Images that are damaged or wrongly signed fail without a key being given, and say so in their first line.

use std::fs;

use super::{inspected, project, written};

/// Type and value of each entry behind the program that no hash covers.
type Entries = Vec<(u16, Vec<u8>)>;

const PUBKEY: u16 = 0x02;
const SHA256: u16 = 0x10;
const ECDSA: u16 = 0x22;
const ED25519: u16 = 0x24;

fn vector(name: &str) -> Vec<u8> {
    fs::read(project("tests/vectors").join(name)).unwrap()
}

/// The image with other entries in its last area. [nordic-facts C1]
fn with_entries(name: &str, change: impl FnOnce(&mut Entries)) -> Vec<u8> {
    let image = vector(&format!("mcuboot/{name}"));
    let half = |at: usize| u16::from_le_bytes(image[at..at + 2].try_into().unwrap());
    let size = u32::from_le_bytes(image[12..16].try_into().unwrap());
    let area = usize::from(half(8)) + usize::try_from(size).unwrap() + usize::from(half(10));
    assert_eq!(half(area), 0x6907, "{name}: no entries at {area:#x}");
    let (mut at, end, mut entries) = (area + 4, area + usize::from(half(area + 2)), Entries::new());
    while at < end {
        let length = usize::from(half(at + 2));
        entries.push((half(at), image[at + 4..at + 4 + length].to_vec()));
        at += 4 + length;
    }
    change(&mut entries);
    let mut body = Vec::new();
    for (kind, value) in &entries {
        body.extend([kind.to_le_bytes(), u16::try_from(value.len()).unwrap().to_le_bytes()].concat());
        body.extend(value);
    }
    let length = u16::try_from(body.len() + 4).unwrap();
    [&image[..area], &0x6907u16.to_le_bytes(), &length.to_le_bytes(), &body].concat()
}

fn value(entries: &mut Entries, kind: u16) -> &mut Vec<u8> {
    &mut entries.iter_mut().find(|entry| entry.0 == kind).unwrap().1
}

/// What was done to it, the image, what the first line says of it, and why.
fn bad_images() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let mut flipped = vector("mcuboot/p256.bin");
    flipped[0x240] ^= 1;
    let other = vector("keys/ed25519-b.spki.der");
    vec![
        ("a bit of the program", flipped, "damaged", "its hash does not fit its contents"),
        (
            "an empty signature",
            with_entries("p256.bin", |all| value(all, ECDSA).clear()),
            "wrongly signed",
            "is empty: nobody signed it",
        ),
        (
            "an empty Ed25519 signature",
            with_entries("ed25519.bin", |all| value(all, ED25519).clear()),
            "wrongly signed",
            "is empty: nobody signed it",
        ),
        (
            "noise for a signature",
            with_entries("p256.bin", |all| value(all, ECDSA).fill(0x55)),
            "wrongly signed",
            "is no ECDSA signature: not two numbers in DER",
        ),
        (
            "a signature of another kind",
            with_entries("p256.bin", |all| all.iter_mut().find(|entry| entry.0 == ECDSA).unwrap().0 = 0x21),
            "wrongly signed",
            "is of no kind known here (TLV 0x0021)",
        ),
        (
            "the signature taken away",
            with_entries("p256.bin", |all| all.retain(|entry| entry.0 != ECDSA)),
            "wrongly signed",
            "it names the key that signed it, and has no signature",
        ),
        (
            "another key carried",
            with_entries("ed25519-pubkey-full.bin", |all| *value(all, PUBKEY) = other),
            "wrongly signed",
            "its signature was not made by the key that it carries",
        ),
        (
            "noise for a key carried",
            with_entries("ed25519-pubkey-full.bin", |all| value(all, PUBKEY).fill(0x55)),
            "wrongly signed",
            "the key that it carries is of no kind known here",
        ),
        (
            "no hash",
            with_entries("p256.bin", |all| all.retain(|entry| entry.0 != SHA256)),
            "malformed",
            "it has no SHA-256",
        ),
    ]
}

#[test]
fn an_image_that_no_bootloader_should_take_fails_without_a_key_too() {
    for (what, image, state, why) in bad_images() {
        let (_folder, path) = written("image.bin", &image);
        for key in [&[][..], &["--key", "tests/vectors/keys/p256-a.pub.pem"]] {
            let (exit, report, errors) = inspected(&[key, &["--at", "0xC000", &path]].concat());
            assert_eq!(exit, 2, "{what}: {errors}");
            let (file, told) = (&report["files"][0], &report["files"][0]["mcuboot_images"][0]);
            let is = file["is"].as_str().unwrap();
            assert!(is.ends_with(&format!("version 1.2.3+4, {state}")), "{what}: {is}");
            assert_eq!(told["standing"], state.replace(' ', "_"), "{what}");
            assert!(errors.contains(&format!("the image at 0x0000C000 is {state}: ")), "{what}: {errors}");
            assert!(errors.contains(why) && told["flaws"].to_string().contains(why), "{what}: {errors}");
            assert_eq!(errors.matches(why).count(), 1, "{what} is told twice: {errors}");
        }
    }
}

#[test]
fn an_image_that_nobody_signed_is_told_so_and_passes_without_a_key() {
    let (exit, report, errors) = inspected(&["tests/vectors/mcuboot/unsigned.bin"]);
    let file = &report["files"][0];
    assert_eq!((exit, &file["mcuboot_images"][0]["standing"]), (0, &"unsigned".into()), "{errors}");
    assert!(file["is"].as_str().unwrap().ends_with(", unsigned"), "{file}");
    let key = ["--key", "tests/vectors/keys/p256-a.pub.pem", "tests/vectors/mcuboot/unsigned.bin"];
    assert_eq!(inspected(&key).0, 2, "a key did not sign what nobody signed");
    for name in ["p256.bin", "ed25519-pubkey-full.bin", "ed25519-enc-x25519.bin", "more/ed25519-pure.bin"] {
        let (exit, report, errors) = inspected(&[&format!("tests/vectors/mcuboot/{name}")]);
        let told = &report["files"][0]["mcuboot_images"][0];
        assert_eq!(
            (exit, &told["standing"], &told["flaws"]),
            (0, &"signed".into(), &Vec::<u8>::new().into()),
            "{errors}"
        );
    }
}

#[test]
fn a_package_whose_signature_no_key_makes_fails_without_a_key_too() {
    let mut packet = vector("nrf5sdk/app/app-at-0x26000.dat");
    let end = packet.len();
    packet[end - 32..].fill(0);
    let (_folder, path) = written("app.dat", &packet);
    let (exit, report, errors) = inspected(&[&path]);
    assert_eq!((exit, &report["files"][0]["kind"]), (2, &"dfu_init".into()), "{errors}");
    assert!(errors.contains("no key makes its signature: it was damaged"), "{errors}");
}
