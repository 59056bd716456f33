//! The place of a key in a bootloader: found, and taken by the key of a unit.

use std::{fs, path::Path};

use rootstamp::{
    fault::Exit,
    file::Read,
    ident::bytes_from_hex,
    image::{
        Map,
        dfu::patch::{Form, PLACEHOLDER, Patch, bare_keys},
    },
    keys::{self, PublicKey},
};

use super::{bootloader, key, list, signer};

#[test]
fn the_key_of_a_unit_takes_the_place_of_the_placeholder_and_of_no_other_byte() {
    let (old, new) = (key("p256-a"), key("p256-b"));
    let spki = [&keys::P256_SPKI_HEAD[..], PLACEHOLDER].concat();
    for (form, inside) in [
        (Form::Nrf5SdkLe, PLACEHOLDER.to_vec()),
        (Form::Nrf5SdkLe, Form::Nrf5SdkLe.bytes(&old)),
        (Form::Raw, PLACEHOLDER.to_vec()),
        (Form::Raw, Form::Raw.bytes(&old)),
        (Form::Spki, spki),
        (Form::Spki, Form::Spki.bytes(&old)),
    ] {
        let before = bootloader(&inside);
        let patch = Patch { at: 0x7_8200, form };
        let after = patch.apply(&before, &new, &list()).unwrap();
        let changed: Vec<usize> = before.segments()[0]
            .bytes
            .iter()
            .zip(&after.segments()[0].bytes)
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(at, _)| at)
            .collect();
        assert!(changed.iter().all(|at| (0x200..0x200 + form.len() as usize).contains(at)), "{form:?}");
        let at = 0x7_8200..0x7_8200 + form.len();
        assert_eq!(form.key(after.bytes(at).unwrap()), Some(new.clone()));
        if form != Form::Spki {
            let [bare] = &bare_keys(&after)[..] else { panic!("{form:?}") };
            assert_eq!((bare.at, bare.form, &bare.key), (0x7_8200, form, &new));
        }
    }
}

#[test]
fn a_place_that_is_not_that_of_the_only_key_is_not_patched() {
    let told = |inside: &[u8], at: u32, form: Form, expected: &str, exit: Exit| {
        let problems = Patch { at, form }.apply(&bootloader(inside), &key("p256-b"), &list()).unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.what.contains(expected) && problem.exit == exit),
            "{expected}: {problems:?}"
        );
    };
    let le = Form::Nrf5SdkLe.bytes(&key("p256-a"));
    told(&[0xFF; 64], 0x7_8200, Form::Nrf5SdkLe, "erased flash", Exit::Usage);
    told(&[0; 64], 0x7_8200, Form::Nrf5SdkLe, "all zeros", Exit::Usage);
    told(&[0; 0], 0x7_8200, Form::Nrf5SdkLe, "neither a P-256 key", Exit::Usage);
    told(&le, 0x7_8204, Form::Nrf5SdkLe, "neither a P-256 key", Exit::Usage);
    told(&le, 0x7_8200, Form::Raw, "neither a P-256 key", Exit::Usage);
    told(&le, 0x7_8FF0, Form::Nrf5SdkLe, "has no 64 bytes at 0x00078FF0", Exit::Usage);
    told(&le, 0xFFFF_FFF0, Form::Spki, "has no 91 bytes", Exit::Usage);
    told(
        &[&PLACEHOLDER[..], &PLACEHOLDER[..]].concat(),
        0x7_8200,
        Form::Raw,
        "a second placeholder at 0x00078240",
        Exit::Usage,
    );
    let second = [&le[..], &Form::Raw.bytes(&key("p256-c"))].concat();
    told(&second, 0x7_8200, Form::Nrf5SdkLe, "at 0x00078240, beside the key of the device", Exit::Usage);
    told(&second, 0x7_8240, Form::Raw, "at 0x00078200, beside the key of the device", Exit::Usage);
    let spki = [&le[..], &Form::Spki.bytes(&key("p256-c"))].concat();
    told(&spki, 0x7_8200, Form::Nrf5SdkLe, "beside the key of the device", Exit::Usage);
    let large = Map::from_raw(&Read::from_memory("bl.bin", vec![1; (1 << 20) + 1]), 0).unwrap();
    let problems = Patch { at: 0x7_8200, form: Form::Raw }.check(&large, &list()).unwrap_err();
    assert!(problems[0].what.contains("is 1048577 bytes long; no bootloader whose key is replaced"), "{problems:?}");
    let sec1 = p256_sec1();
    told(&[&le[..], &sec1[..]].concat(), 0x7_8200, Form::Nrf5SdkLe, "a private key", Exit::KeyRefused);
}

/// The private half of a throw-away key in SEC1 DER.
fn p256_sec1() -> Vec<u8> {
    let scalar = signer("p256-c").to_bytes();
    [&[0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20][..], &scalar, &b"\xA0\x0A\x06\x08\x2A\x86\x48\xCE\x3D\x03\x01\x07"[..]]
        .concat()
}

/// No compiler puts it there; somebody who hides one does.
#[test]
fn a_second_key_is_found_at_every_address_of_a_bootloader_and_its_place_is_not_patched() {
    let (own, other) = (Form::Nrf5SdkLe.bytes(&key("p256-a")), key("p256-c"));
    for form in [Form::Nrf5SdkLe, Form::Raw] {
        for at in 0x441..0x448 {
            let mut inside = own.clone();
            inside.resize(at - 0x200, 0xFF);
            inside.extend(form.bytes(&other));
            let map = bootloader(&inside);
            let found: Vec<(u32, Form)> = bare_keys(&map).iter().map(|bare| (bare.at, bare.form)).collect();
            let second = 0x7_8000 + u32::try_from(at).unwrap();
            assert_eq!(found, [(0x7_8200, Form::Nrf5SdkLe), (second, form)]);
            let patch = Patch { at: 0x7_8200, form: Form::Nrf5SdkLe };
            let problems = patch.check(&map, &list()).unwrap_err();
            assert!(problems[0].what.contains(&format!("at 0x{second:08X}, beside the key")), "{problems:?}");
        }
    }
}

#[test]
fn a_private_half_beside_the_place_of_a_key_is_refused_in_either_order_and_not_told() {
    use crate::keys::secrets::{secret, silent};
    let scalar = secret("p256-a");
    let backwards: Vec<u8> = scalar.iter().rev().copied().collect();
    for form in [Form::Nrf5SdkLe, Form::Raw] {
        for number in [&scalar, &backwards] {
            let map = bootloader(&[&form.bytes(&key("p256-a"))[..], &[0xFF; 3], number].concat());
            let problems = Patch { at: 0x7_8200, form }.check(&map, &list()).unwrap_err();
            let refused = problems.iter().find(|problem| problem.exit == Exit::KeyRefused).unwrap();
            assert!(
                refused.what.contains("a private key (a bare P-256 scalar") && refused.what.contains("at 0x00078243")
            );
            silent(&format!("{problems:?}"), &scalar);
        }
    }
}

#[test]
fn every_published_key_of_the_sdk_is_found_in_a_bootloader() {
    let published: serde_json::Value = serde_json::from_slice(
        &fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/known-dev-keys.json")).unwrap(),
    )
    .unwrap();
    let (mut carried, list) = (0, list());
    for entry in published["keys"].as_array().unwrap() {
        let spki = entry["spki_der_hex"].as_str().and_then(bytes_from_hex).unwrap_or_default();
        let Ok(key) = PublicKey::from_spki(&spki) else { continue };
        carried += 1;
        let map = bootloader(&Form::Nrf5SdkLe.bytes(&key));
        let [bare] = &bare_keys(&map)[..] else { panic!("{entry}") };
        assert_eq!(bare.key, key);
        assert!(list.refuses(&bare.key).is_some(), "{entry}");
    }
    assert!(carried > 20, "{carried}");
}
