//! Key files of every kind, and the lists of keys that are refused.

mod any;
pub(crate) mod published;
pub(crate) mod secrets;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rootstamp::{
    fault::{Exit, Problem},
    file,
    ident::{Digest, bytes_from_hex},
    keys::{self, Algorithm, AnyKey, FILE_LIMIT, PublicKey, refuse::RefuseList},
};

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys").join(name)
}

fn read(name: &str) -> Result<PublicKey, Problem> {
    keys::read(&file::read(&vector(name), FILE_LIMIT).unwrap())
}

fn read_bytes(bytes: &[u8]) -> Result<PublicKey, Problem> {
    keys::read(&file::Read::from_memory("key", bytes.to_vec()))
}

fn bytes(name: &str) -> Vec<u8> {
    file::read(&vector(name), FILE_LIMIT).unwrap().bytes
}

/// X‖Y each with its last byte first, as the nRF5 SDK holds a P-256 key, and only such a key.
pub(crate) fn little_endian(key: &AnyKey) -> Option<[u8; 64]> {
    let mut turned: [u8; 64] = key.raw().try_into().ok().filter(|_| key.algorithm() == Algorithm::P256)?;
    turned.chunks_exact_mut(32).for_each(<[u8]>::reverse);
    Some(turned)
}

/// The DER inside a PEM file, by a way of its own.
pub(crate) fn der(name: &str) -> Vec<u8> {
    use p256::pkcs8::Document;
    let pem = String::from_utf8(bytes(name)).unwrap();
    Document::from_pem(&pem).unwrap().1.as_bytes().to_vec()
}

#[test]
fn a_p256_key_has_the_fingerprint_that_imgtool_and_openssl_give_it() {
    let ids: serde_json::Value = serde_json::from_slice(&bytes("key-ids.json")).unwrap();
    for name in ["p256-a", "p256-b", "p256-c", "p256-d", "p256-ffff"] {
        for form in ["pub.pem", "spki.der"] {
            let key = read(&format!("{name}.{form}")).unwrap();
            assert_eq!(key.spki_sha256().to_string(), ids[name]["spki_sha256"], "{name}.{form}");
            assert_eq!(rootstamp::ident::hex(key.xy()), ids[name]["raw_xy_hex"], "{name}.{form}");
        }
    }
}

#[test]
fn a_key_saved_on_another_system_is_the_same_key() {
    let pem = String::from_utf8(bytes("p256-a.pub.pem")).unwrap();
    for text in [pem.replace('\n', "\r\n"), format!("GW3 root\n{pem}"), pem.trim_end().to_owned()] {
        assert_eq!(read_bytes(text.as_bytes()).unwrap(), read("p256-a.spki.der").unwrap());
    }
}

#[test]
fn a_private_half_is_refused_in_every_form_and_never_printed() {
    let pkcs8 = String::from_utf8(bytes("p256-a.priv.pem")).unwrap();
    let sec1 = String::from_utf8(bytes("p256-a.sec1.pem")).unwrap();
    let relabelled = pkcs8.replace("PRIVATE KEY", "PUBLIC KEY");
    let torn = pkcs8.replace("MIGH", "!!!!");
    let behind_a_public_one = String::from_utf8(bytes("p256-a.pub.pem")).unwrap() + &sec1;
    let lower = pkcs8.to_lowercase();
    let encrypted = pkcs8.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let pkcs1 = pkcs8.replace("PRIVATE KEY", "RSA PRIVATE KEY");
    let openssh = pkcs8.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY");
    let rsa = String::from_utf8(bytes("rsa2048-a.priv.pem")).unwrap();
    let secret: &str = pkcs8.lines().nth(1).unwrap();
    for text in [&pkcs8, &sec1, &relabelled, &torn, &behind_a_public_one, &lower, &encrypted, &pkcs1, &openssh, &rsa] {
        let problem = read_bytes(text.as_bytes()).unwrap_err();
        assert_eq!(problem.exit, Exit::KeyRefused, "{text}");
        assert!(problem.what.contains("private key"), "{problem}");
        assert!(!problem.to_string().contains(&secret[..8]), "{problem}");
    }
}

#[test]
fn a_private_half_in_der_is_refused() {
    let sec1_in_der = der("p256-a.sec1.pem");
    let (encrypted, pkcs1) = (bytes("p256-a.encrypted.der"), bytes("rsa2048-a.pkcs1.priv.der"));
    for der in
        [der("p256-a.priv.pem"), sec1_in_der, der("ed25519-a.priv.pem"), der("rsa2048-a.priv.pem"), encrypted, pkcs1]
    {
        assert_eq!(read_bytes(&der).unwrap_err().exit, Exit::KeyRefused, "{:02x?}", &der[..12]);
    }
}

#[test]
fn a_key_of_another_kind_is_named_and_is_a_mistake_in_the_files() {
    for (name, kind) in [
        ("p384-a.pub.pem", "P-384"),
        ("p384-a.spki.der", "P-384"),
        ("ed25519-a.pub.pem", "Ed25519"),
        ("rsa2048-a.pub.pem", "RSA"),
        ("rsa2048-a.pkcs1.der", "RSA"),
        ("x25519-a.spki.der", "X25519"),
    ] {
        let problem = read(name).unwrap_err();
        assert_eq!(problem.exit, Exit::Usage, "{name}");
        assert!(problem.what.contains(kind), "{name}: {problem}");
    }
}

#[test]
fn a_certificate_is_told_from_a_key() {
    for name in ["p256-a.cert.pem", "p256-a.cert.der"] {
        let problem = read(name).unwrap_err();
        assert!(problem.what.contains("X.509"), "{problem}");
        assert_eq!(problem.exit, Exit::Usage);
    }
}

#[test]
fn a_damaged_key_file_is_refused_in_words() {
    let pem = String::from_utf8(bytes("p256-a.pub.pem")).unwrap();
    let off_curve = {
        let mut der = bytes("p256-a.spki.der");
        der[90] ^= 1;
        der
    };
    for (file, expected) in [
        (Vec::new(), "is not a public key"),
        (b"hello".to_vec(), "is not a public key"),
        (pem.replace("-----END", "-----EN").into_bytes(), "not whole PEM"),
        (pem.replace("EL8E", "EL!E").into_bytes(), "not whole PEM"),
        (format!("{pem}{pem}").into_bytes(), "holds 2 PEM blocks"),
        (off_curve, "not on the curve"),
        (pem.replace("PUBLIC KEY", "CERTIFICATE").into_bytes(), "wrong PEM label"),
        ([bytes("p256-a.spki.der"), vec![0]].concat(), "another encoding"),
    ] {
        let problem = read_bytes(&file).unwrap_err();
        assert!(problem.what.contains(expected), "{problem}, expected {expected}");
        assert_eq!(problem.exit, Exit::Usage);
    }
}

#[test]
fn all_170_published_keys_are_refused_under_the_name_they_are_known_by() {
    let list = RefuseList::built_in().unwrap();
    assert_eq!(list.len(), 170);
    let known: Digest = "e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6".parse().unwrap();
    let refused = list.refuses_digest(&known).unwrap();
    assert_eq!(refused.name, "sdk-mcuboot:root-ec-p256-pkcs8.pem");
    assert!(refused.to_string().contains("its private half is public"), "{refused}");
    assert!(list.refuses(&read("p256-a.pub.pem").unwrap()).is_none());
}

#[test]
fn every_published_key_is_found_among_other_bytes_in_each_of_its_raw_forms() {
    let list = RefuseList::built_in().unwrap();
    let text = include_str!("../vectors/known-dev-keys.json");
    let keys: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut looked_for = 0;
    for key in keys["keys"].as_array().unwrap() {
        for form in ["raw_hex", "nrf5sdk_pk_le_hex", "modulus_hex", "spki_der_hex"] {
            let Some(hex) = key[form].as_str() else { continue };
            let bytes = [vec![0xA5; 13], bytes_from_hex(hex).unwrap(), vec![0; 3]].concat();
            let found = list.search(&bytes);
            assert!(
                found.iter().any(|sighting| sighting.refused.spki_sha256.to_string() == key["spki_sha256"]),
                "{key}"
            );
            looked_for += 1;
        }
    }
    assert!(looked_for > 340, "{looked_for}");
    assert!(list.search(&bytes("p256-a.spki.der")).is_empty());
}

#[test]
fn the_companys_list_refuses_its_keys_and_names_every_mistake_in_it() {
    let own = read("p256-a.pub.pem").unwrap();
    let text = format!(
        "schema = 1\n[[refused]]\nspki_sha256 = \"{}\"\nreason = \"retired\"\ndate = \"2026-11-20\"\n",
        own.spki_sha256()
    );
    let file = |text: &str| file::Read::from_memory("refused-keys.toml", text.into());
    let list = RefuseList::built_in().unwrap().with_company(&file(&text)).unwrap();
    assert_eq!(list.refuses(&own).unwrap().to_string(), "key on the refuse list since 2026-11-20: retired");
    let named = text.replace("[[refused]]\n", "[[refused]]\nname = \"bring-up\"\n");
    let named = RefuseList::built_in().unwrap().with_company(&file(&named)).unwrap();
    let told = named.refuses(&own).unwrap().to_string();
    assert_eq!(told, "key \"bring-up\" on the refuse list since 2026-11-20: retired");
    let wrong = "schema = 2\n[[refused]]\nspki = \"ab\"\nreason = \"\"\ndate = \"yesterday\"\n";
    let problems = RefuseList::built_in().unwrap().with_company(&file(wrong)).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|problem| problem.line.unwrap()).collect();
    assert_eq!(lines, [1, 3, 4, 5], "{problems:?}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_key_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), pem in any::<bool>()) {
        let head: &[u8] = if pem { b"-----BEGIN PUBLIC KEY-----\n" } else { &[0x30, 0x59] };
        prop_assert!(read_bytes(&[head, &bytes].concat()).is_err());
        prop_assert!(read_bytes(&bytes).is_err());
    }

    #[test]
    fn no_key_file_cut_short_is_taken_or_makes_the_reader_panic(
        name in proptest::sample::select(vec!["p256-a.pub.pem", "p256-a.spki.der", "p256-a.encrypted.der", "rsa2048-a.pkcs1.priv.der"]),
        cut in 2usize..80,
    ) {
        let whole = bytes(name);
        prop_assert!(read_bytes(&whole[..whole.len() - cut]).is_err());
    }
}
