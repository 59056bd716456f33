//! `--key`: what an update is held against is a key, or the bootloader that will judge it.

use std::fs;

use crate::{
    crosscheck::private,
    image::bootloader::{CONSTANTS, program},
    inspect::{inspected, written},
    line::project,
    recipe::{APPLICATION, Application, BOOTLOADER, Lot, spki},
};

fn vector(name: &str) -> Vec<u8> {
    fs::read(project("tests/vectors").join(name)).unwrap()
}

/// MCUboot by its signs, with this inside.
fn mcuboot(inside: &[&[u8]]) -> Vec<u8> {
    program(&[&CONSTANTS[..], inside].concat())
}

/// X and Y as the nRF5 SDK holds them, each with its last byte first.
fn turned(point: &[u8]) -> Vec<u8> {
    point.chunks(32).flat_map(|half| half.iter().rev().copied()).collect()
}

/// A bootloader of the nRF5 SDK by its signs, with these keys.
fn sdk(keys: &[&str]) -> Vec<u8> {
    let curve = turned(&rootstamp::ident::bytes_from_hex(crate::dfu::GENERATOR).unwrap());
    let own: Vec<Vec<u8>> = keys.iter().map(|key| turned(&vector(&format!("keys/{key}.spki.der"))[27..])).collect();
    let page = 0x000F_F000_u32.to_le_bytes();
    let pieces: Vec<&[u8]> = [&page[..], &curve].into_iter().chain(own.iter().map(Vec::as_slice)).collect();
    program(&pieces)
}

const PACKAGE: &str = "tests/vectors/nrf5sdk/app.zip";

#[test]
fn an_update_is_checked_with_the_key_in_the_bootloader_that_will_judge_it() {
    let (_folder, path) = written("bl.bin", &sdk(&["p256-a"]));
    let (exit, report, errors) = inspected(&["--key", &path, PACKAGE]);
    let signers = report["files"][0]["signed_by"].to_string();
    assert!(exit == 0 && signers.contains("bl.bin, key at 0x000001"), "{errors} {signers}");
    let (_folder, path) = written("bl.bin", &sdk(&["p256-b"]));
    assert_eq!(inspected(&["--key", &path, PACKAGE]).0, 2);

    let application = &Lot::good().files[APPLICATION];
    let (_folder, application) = written("app.hex", application);
    for (key, exit) in [("p256-a", 0), ("p256-b", 2), ("ed25519-a", 2)] {
        let (_folder, path) = written("mcuboot.bin", &mcuboot(&[&spki(key)]));
        let (told, report, errors) = inspected(&["--key", &path, &application]);
        let authentic = &report["files"][0]["mcuboot_images"][0]["verdict"]["authentic"];
        assert_eq!((told, authentic), (exit, &(exit == 0).into()), "{key}: {errors}");
    }
}

#[test]
fn a_bootloader_that_does_not_say_which_key_counts_judges_nothing() {
    let told = |name: &str, bytes: &[u8], expected: &str, exit: i32| {
        let (_folder, path) = written(name, bytes);
        let output = super::rootstamp(&["inspect", "--key", &path, PACKAGE]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(expected), "{expected}: {errors}");
        assert!(errors.contains("a file of --key is none") && errors.contains("with --key."), "{errors}");
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(exit), true), "{errors}");
    };
    told("bl.bin", &sdk(&["p256-a", "p256-b"]), "which of them counts is not known", 2);
    told("bl.hex", &Lot::good().files[BOOTLOADER], "is no bootloader with a key of its own", 2);
    told("bl.bin", &vector("mcuboot/p256.bin"), "is no bootloader with a key of its own", 2);
    told("bl.bin", &[0x55; 100], "is no bootloader with a key of its own", 2);
    told("bl.txt", &[0x55; 100], "is no public key in a form known here", 2);
    told("bl.hex", b":00000001FE\n", "checksum", 2);
    told(
        "bl.bin",
        &mcuboot(&[&b"Unable to find bootable image"[..]]),
        "judges with no key that stands in it; name a key file. ",
        2,
    );
    told("bl.bin", &mcuboot(&[&spki("p256-a"), &private("p256-d")]), "private key", 40);
}

/// What stands behind an image says who signed it, and no program trusts it.
#[test]
fn a_key_that_an_image_carries_for_itself_judges_no_other() {
    let carried = Application { key_tlv: (0x02, spki("p256-a")), ..Application::good() };
    let hex = String::from_utf8(crate::recipe::as_hex(0, &mcuboot(&[&spki("p256-b")]))).unwrap();
    let both = hex.replace(":00000001FF\n", "")
        + &String::from_utf8(crate::recipe::as_hex(0x1000, &carried.signed())).unwrap();
    let (_folder, merged) = written("merged.hex", both.as_bytes());
    let (_folder, application) = written("app.hex", &Lot::good().files[APPLICATION]);
    let (exit, _, errors) = inspected(&["--key", &merged, &application]);
    assert!(exit == 2 && errors.contains("is not shown to be genuine"), "{errors}");
}

/// Who signed firmware for Nordic's immutable bootloader: a key stands behind the program, and any file may say that.
#[test]
fn firmware_for_nsib_is_told_with_its_signature_and_checked_with_a_key_that_is_given() {
    let program = crate::crosscheck::storage::program(0xA000, 1, &[0; 12]);
    let good = crate::crosscheck::storage::signed(0xA000, &program, "p256-a");
    let hex = |bytes: &[u8]| crate::recipe::as_hex(0xA000, bytes);
    let told = |bytes: &[u8], key: &[&str]| {
        let (_folder, path) = written("app.hex", bytes);
        let (exit, report, errors) = inspected(&[key, &[&path]].concat());
        (exit, report["files"][0]["nsib_firmware"][0].clone(), errors)
    };
    let pem = |name: &str| format!("tests/vectors/keys/{name}.pub.pem");
    let (a, b) = (pem("p256-a"), pem("p256-b"));
    let (exit, firmware, errors) = told(&hex(&good), &[]);
    assert_eq!((exit, &firmware["signed_by"]), (0, &serde_json::Value::Null), "{errors}");
    assert!(firmware["signature"].to_string().contains("fits the key behind the program"), "{firmware}");
    assert_eq!(firmware["carries"], crate::crosscheck::key("p256-a").spki_sha256().to_string());
    let (exit, firmware, _) = told(&hex(&good), &["--key", &b, "--key", &a]);
    assert!(exit == 0 && firmware["signature"] == format!("made by {a}"), "{firmware}");
    let (exit, _, errors) = told(&hex(&good), &["--key", &b]);
    assert!(exit == 2 && errors.contains("is not shown to be genuine: made by the key behind the program"), "{errors}");

    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut changed = good.clone();
    changed[0x100] ^= 1;
    for bytes in [flipped, changed] {
        let (exit, _, errors) = told(&hex(&bytes), &[]);
        assert!(
            exit == 2 && errors.contains("the firmware for NSIB at 0x0000A000 is damaged: the signature"),
            "{errors}"
        );
    }
    let (exit, firmware, _) = told(&hex(&program), &[]);
    assert!(exit == 0 && firmware["signature"].to_string().contains("not verified"), "{firmware}");
    assert_eq!(told(&hex(&program), &["--key", &a]).0, 2);
}
