//! Keys of every algorithm in every container, their fingerprints, and what they verify.

use p256::pkcs8::Document;
use proptest::prelude::*;
use rootstamp::{
    fault::{Exit, Problem},
    file,
    ident::{bytes_from_hex, hex},
    keys::{self, Algorithm, AnyKey, Container, Given, Hash, NsibRule, Signature},
};
use serde_json::Value;

use super::{bytes, little_endian};

const KEYS: &[(&str, Algorithm)] = &[
    ("p256-a", Algorithm::P256),
    ("p256-b", Algorithm::P256),
    ("p256-c", Algorithm::P256),
    ("p256-d", Algorithm::P256),
    ("p256-ffff", Algorithm::P256),
    ("p384-a", Algorithm::P384),
    ("ed25519-a", Algorithm::Ed25519),
    ("ed25519-b", Algorithm::Ed25519),
    ("ed25519-c", Algorithm::Ed25519),
    ("x25519-a", Algorithm::X25519),
    ("rsa2048-a", Algorithm::Rsa2048),
    ("rsa3072-a", Algorithm::Rsa3072),
];

/// One of each container.
const FILES: &[(&str, &str)] = &[
    ("p256-a", "spki.der"),
    ("p384-a", "spki.der"),
    ("ed25519-a", "spki.der"),
    ("x25519-a", "spki.der"),
    ("rsa2048-a", "spki.der"),
    ("p256-a", "cert.der"),
    ("p384-a", "cert.der"),
    ("ed25519-a", "cert.der"),
    ("rsa3072-a", "cert.der"),
    ("rsa2048-a", "pkcs1.der"),
    ("rsa3072-a", "pkcs1.der"),
];

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)).unwrap()
}

fn given(bytes: &[u8]) -> Result<Given, Problem> {
    keys::read_any(&file::Read::from_memory("key", bytes.to_vec()))
}

pub(super) fn key(name: &str) -> AnyKey {
    AnyKey::from_spki(&bytes(&format!("{name}.spki.der"))).unwrap()
}

fn ids() -> Value {
    serde_json::from_slice(&bytes("key-ids.json")).unwrap()
}

#[test]
fn a_key_of_any_algorithm_is_read_from_pem_and_der() {
    for (name, algorithm) in KEYS {
        for (file, pem) in [("pub.pem", true), ("spki.der", false)] {
            let given = given(&bytes(&format!("{name}.{file}"))).unwrap();
            assert_eq!(
                (given.key.algorithm(), given.container, given.pem),
                (*algorithm, Container::Spki, pem),
                "{name}"
            );
            assert_eq!(hex(given.key.spki()), ids()[name]["spki_der_hex"], "{name}");
        }
    }
}

#[test]
fn an_rsa_key_is_read_from_pkcs1() {
    for name in ["rsa2048-a", "rsa3072-a"] {
        for file in ["pkcs1.der", "pkcs1.pem"] {
            let given = given(&bytes(&format!("{name}.{file}"))).unwrap();
            assert_eq!((&given.key, given.container), (&key(name), Container::Pkcs1));
        }
        let modulus_is_even = {
            let mut der = bytes(&format!("{name}.pkcs1.der"));
            let last = der.len() - 6;
            der[last] ^= 1;
            der
        };
        assert!(given(&modulus_is_even).unwrap_err().what.contains("at byte 4 of its DER, the RSA modulus is even"));
    }
}

#[test]
fn the_key_of_a_certificate_is_taken_and_that_is_said() {
    for name in ["p256-a", "p384-a", "ed25519-a", "rsa2048-a", "rsa3072-a"] {
        for file in ["cert.der", "cert.pem"] {
            let given = given(&bytes(&format!("{name}.{file}"))).unwrap();
            assert_eq!((&given.key, given.container), (&key(name), Container::Certificate), "{name}");
            assert!(given.describe().contains("the certificate itself was not checked"));
        }
    }
}

#[test]
fn raw_and_little_endian_bytes_are_the_key_they_came_from() {
    for (name, algorithm) in KEYS {
        let key = key(name);
        assert_eq!(AnyKey::from_raw(*algorithm, key.raw()), Ok(key.clone()), "{name}");
        let with_mark = AnyKey::from_raw(*algorithm, &[&[4], key.raw()].concat());
        let point = matches!(algorithm, Algorithm::P256 | Algorithm::P384);
        assert_eq!(with_mark.ok(), point.then(|| key.clone()), "{name}");
        assert!(AnyKey::from_raw(*algorithm, &key.raw()[1..]).is_err(), "{name}");
    }
    let little = little_endian(&key("p256-a")).unwrap();
    assert!(String::from_utf8(vector("nrf5sdk/pk.hex.txt")).unwrap().contains(&hex(&little)));
    assert_eq!(AnyKey::from_nrf5_sdk(&little), Ok(key("p256-a")));
    assert!(AnyKey::from_nrf5_sdk(key("p256-a").raw().try_into().unwrap()).is_err(), "big-endian");
}

#[test]
fn bytes_that_are_no_point_are_no_key() {
    for name in ["p256-a", "p384-a"] {
        let mut der = bytes(&format!("{name}.spki.der"));
        *der.last_mut().unwrap() ^= 1;
        assert!(given(&der).unwrap_err().what.contains("not on the curve"), "{name}");
    }
    for raw in [[0; 32], [0xFF; 32]] {
        assert!(AnyKey::from_raw(Algorithm::Ed25519, &raw).is_err());
        assert!(AnyKey::from_raw(Algorithm::X25519, &raw).is_err());
    }
}

#[test]
fn der_that_is_not_strict_is_refused_at_its_offset() {
    let p256 = bytes("p256-a.spki.der");
    let rsa = bytes("rsa2048-a.spki.der");
    let pkcs1 = bytes("rsa2048-a.pkcs1.der");
    let cert = bytes("p256-a.cert.der");
    let short_rsa = [&[0x30, 72, 2, 65, 0][..], &[0x81; 64], &[2, 3, 1, 0, 1]].concat();
    let changed = |der: &[u8], at: usize, to: &[u8], gone: usize| {
        let mut der = der.to_vec();
        der.splice(at..at + gone, to.iter().copied());
        der
    };
    for (der, expected) in [
        (changed(&p256, p256.len(), &[0], 0), "at byte 91 of its DER, bytes are left over"),
        (changed(&p256, 1, &[0x81, 0x59], 1), "at byte 1 of its DER, a length is not written in its shortest form"),
        (p256[..80].to_vec(), "at byte 0 of its DER, a value is longer than what is left"),
        (changed(&rsa, rsa.len(), &[0], 0), "bytes are left over"),
        (changed(&pkcs1, pkcs1.len(), &[0], 0), "at byte 270 of its DER, bytes are left over"),
        (changed(&pkcs1, 269, &[3], 1), "exponent is not 65537"),
        (changed(&pkcs1, 9, &[0x40], 1), "at byte 4 of its DER, an integer is not written in its shortest form"),
        (short_rsa, "at byte 2 of its DER, the RSA modulus has a length that no bootloader takes"),
        (changed(&cert, cert.len(), &[0], 0), "at byte 395 of its DER, bytes are left over"),
        (cert[..300].to_vec(), "at byte 0 of its DER, a value is longer"),
    ] {
        let problem = given(&der).unwrap_err();
        assert!(problem.what.contains(expected), "{problem}, expected {expected}");
        assert_eq!(problem.exit, Exit::Usage);
    }
}

#[test]
fn a_container_under_the_wrong_label_is_refused() {
    let pem = String::from_utf8(bytes("p384-a.pub.pem")).unwrap();
    let wrong = pem.replace("PUBLIC KEY", "CERTIFICATE");
    assert!(given(wrong.as_bytes()).unwrap_err().what.contains("under the PEM label CERTIFICATE"));
    assert!(given(format!("{pem}{pem}").as_bytes()).unwrap_err().what.contains("holds 2 PEM blocks"));
    assert!(given(pem.replace("-----END", "-----EN").as_bytes()).unwrap_err().what.contains("not whole PEM"));
    assert!(given(format!("a\n{pem}b\n").as_bytes()).is_ok(), "words around it");
}

#[test]
fn a_key_of_a_kind_that_is_not_taken_is_named() {
    let list: Value = serde_json::from_slice(&vector("known-dev-keys.json")).unwrap();
    let of = |kind: &str| {
        let key = list["keys"].as_array().unwrap().iter().find(|key| key["type"] == kind).unwrap();
        bytes_from_hex(key["spki_der_hex"].as_str().unwrap()).unwrap()
    };
    for (kind, said) in [
        ("rsa-4096", "RSA-4096"),
        ("rsa-1024", "too short to trust"),
        ("secp521r1", "P-521"),
        ("brainpoolP256r1", "does not know"),
    ] {
        let problem = given(&of(kind)).unwrap_err();
        assert!(problem.what.contains(said), "{problem}");
        assert!(problem.what.contains("is a public key, but"), "{problem}");
    }
}

#[test]
fn fingerprints_are_those_of_the_vendors_tools() {
    let ids = ids();
    for (name, _) in KEYS {
        let (key, id) = (key(name), &ids[name]);
        let mut compared = 0;
        let mut same = |field: &str, own: Option<String>| {
            if let Some(theirs) = id[field].as_str() {
                assert_eq!(own.as_deref(), Some(theirs), "{name}: {field}");
                compared += 1;
            }
        };
        same("spki_sha256", Some(key.spki_sha256().to_string()));
        same("mcuboot_keyhash_sha256", Some(hex(&key.key_hash(Hash::Sha256))));
        same("mcuboot_keyhash_sha384", Some(hex(&key.key_hash(Hash::Sha384))));
        same("mcuboot_keyhash_sha512", Some(hex(&key.key_hash(Hash::Sha512))));
        same("nsib_hash16", key.nsib_hash(NsibRule::Sha256).map(|hash| hash.to_string()));
        same("nsib_hash16_sha512", key.nsib_hash(NsibRule::Sha512).map(|hash| hash.to_string()));
        same("raw_xy_hex", Some(hex(key.raw())));
        same("raw_hex", Some(hex(key.raw())));
        same("nrf5sdk_pk_le_hex", little_endian(&key).map(|pk| hex(&pk)));
        assert!(compared >= 2 || *name == "x25519-a", "{name}");
        assert_eq!(key.short(), format!("{} {}", key.algorithm(), &id["spki_sha256"].as_str().unwrap()[..8]));
    }
}

#[test]
fn what_imgtool_compiles_in_and_hashes_is_what_we_say_it_does() {
    for name in ["p256-a", "p384-a", "ed25519-a", "rsa2048-a", "rsa3072-a"] {
        assert_eq!(vector(&format!("mcuboot/{name}.getpub.raw")), key(name).mcuboot_encoding(), "{name}");
        let hash = vector(&format!("mcuboot/{name}.getpubhash.raw"));
        assert!(Hash::ALL.iter().any(|kind| key(name).key_hash(*kind) == hash), "{name}");
    }
}

#[test]
fn a_hash_with_a_halfword_of_ones_cannot_be_used() {
    let hash = |name: &str| key(name).nsib_hash(NsibRule::Sha256).unwrap();
    assert_eq!(hash("p256-ffff").unusable(), Some(8));
    assert_eq!(hash("p256-a").unusable(), None);
    let odd = rootstamp::keys::NsibHash([0, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(odd.unusable(), None, "the ones stand on an odd offset");
    assert_eq!(key("ed25519-a").nsib_hashes().len(), 2);
    assert!(key("p384-a").nsib_hashes().is_empty() && key("x25519-a").nsib_hashes().is_empty());
}

/// What is signed and the signature, of an MCUboot image, by a way of its own.
fn image(name: &str, kind: u16) -> (Vec<u8>, Vec<u8>) {
    let image = vector(&format!("mcuboot/{name}.bin"));
    let half = |at: usize| usize::from(u16::from_le_bytes([image[at], image[at + 1]]));
    let size = usize::try_from(u32::from_le_bytes(image[12..16].try_into().unwrap())).unwrap();
    let hashed = half(8) + size + half(10);
    let mut at = hashed + 4;
    while half(at) != usize::from(kind) {
        at += 4 + half(at + 2);
    }
    (image[..hashed].to_vec(), image[at + 4..at + 4 + half(at + 2)].to_vec())
}

#[test]
fn signatures_that_imgtool_made_verify_with_their_key_only() {
    for (name, kind, signer, hash) in [
        ("p256", 0x22, "p256-a", Hash::Sha256),
        ("p384", 0x22, "p384-a", Hash::Sha384),
        ("rsa2048", 0x20, "rsa2048-a", Hash::Sha256),
        ("ed25519", 0x24, "ed25519-a", Hash::Sha256),
        ("ed25519-sha512", 0x24, "ed25519-a", Hash::Sha512),
    ] {
        let (message, signature) = image(name, kind);
        let made = |key: &AnyKey, message: &[u8], signature: &[u8]| {
            // Images are signed by Ed25519 over their hash, as if it were the message.
            let hashed = if kind == 0x24 { hash.of(message) } else { message.to_vec() };
            key.verifies(&hashed, Signature::Standard(signature))
        };
        assert!(made(&key(signer), &message, &signature), "{name}");
        for (other, _) in KEYS.iter().filter(|(other, _)| *other != signer) {
            assert!(!made(&key(other), &message, &signature), "{name} with {other}");
        }
        for at in [0, message.len() / 2, message.len() - 1] {
            let mut changed = message.clone();
            changed[at] ^= 1;
            assert!(!made(&key(signer), &changed, &signature), "{name}");
        }
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(!made(&key(signer), &message, &changed), "{name}, signature byte {at}");
        }
        assert!(!made(&key(signer), &message, &signature[1..]) && !made(&key(signer), &message, &[]));
        let other_hash = if hash == Hash::Sha512 { Hash::Sha384 } else { Hash::Sha512 };
        assert!(!key(signer).verifies(&other_hash.of(&message), Signature::Standard(&signature)), "{name}");
    }
}

#[test]
fn rsa_signatures_are_pss_with_a_salt_as_long_as_the_hash() {
    let message = bytes("key-ids.json");
    let made =
        |name: &str, file: &str| key(name).verifies(&message, Signature::Standard(&bytes(&format!("{name}.{file}"))));
    assert!(made("rsa2048-a", "pss.sig") && made("rsa3072-a", "pss.sig"));
    assert!(
        !made("rsa2048-a", "pkcs15.sig") && !made("rsa3072-a", "pkcs15.sig") && !made("rsa2048-a", "pss-salt20.sig")
    );
    let fixed = bytes("rsa2048-a.pss.sig");
    assert!(!key("rsa2048-a").verifies(&message, Signature::Fixed(&fixed)));
}

#[test]
fn signatures_of_nordics_own_tools_verify_in_the_order_each_writes_them() {
    let (hash, signature) = (vector("nsib/app.sha256.bin"), vector("nsib/app.ecdsa.sig"));
    let p256 = key("p256-a");
    assert!(p256.verifies(&hash, Signature::Fixed(&signature)));
    let turned: Vec<u8> = signature.chunks(32).flat_map(|half| half.iter().rev().copied()).collect();
    assert!(!p256.verifies(&hash, Signature::Fixed(&turned)));
    assert!(!p256.verifies(&hash, Signature::Standard(&signature)));
    // Packet { signed_command = 2 { command = 1 { … }, signature_type = 2, signature = 3 } }. [dfu-cc.proto]
    let packet = vector("nrf5sdk/app/app-at-0x26000.dat");
    let little = &packet[packet.len() - 64..];
    let fixed: Vec<u8> = little.chunks(32).flat_map(|half| half.iter().rev().copied()).collect();
    // The signature is over the InitCommand alone: field 2 of the command, which is 63 bytes long here.
    let command = &packet[9..72];
    assert_eq!(packet[7..9], [0x12, 63]);
    assert!(p256.verifies(command, Signature::Fixed(&fixed)));
    assert!(!p256.verifies(command, Signature::Fixed(little)));
    let (hex_file, pure) = (vector("payload/app-at-0xC200.hex"), vector("nsib/app.ed25519.sig"));
    let contents = contents_of(&hex_file);
    assert!(key("ed25519-a").verifies(&contents, Signature::Standard(&pure)));
    assert!(!key("ed25519-b").verifies(&contents, Signature::Standard(&pure)));
}

/// The bytes that an Intel HEX file describes, if they are one piece.
fn contents_of(hex_file: &[u8]) -> Vec<u8> {
    let map = rootstamp::image::Map::from_hex(&file::Read::from_memory("a.hex", hex_file.to_vec())).unwrap();
    map.segments()[0].bytes.clone()
}

#[test]
fn a_p384_signature_verifies_in_both_forms() {
    let (message, der) = image("p384", 0x22);
    let mut fixed = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let number = &rest[2..2 + usize::from(rest[1])];
        let digits = &number[number.len().saturating_sub(48)..];
        fixed.extend(std::iter::repeat_n(0, 48 - digits.len()).chain(digits.iter().copied()));
        rest = &rest[2 + number.len()..];
    }
    let little: Vec<u8> = fixed.chunks(48).flat_map(|half| half.iter().rev().copied()).collect();
    let made = |signature| key("p384-a").verifies(&message, signature);
    assert!(made(Signature::Standard(&der)) && made(Signature::Fixed(&fixed)) && !made(Signature::Fixed(&little)));
}

proptest! {
    #[test]
    fn no_bytes_make_any_key_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), head in 0usize..6) {
        let heads: [&[u8]; 6] = [&[], &[0x30, 0x59], &[0x30, 0x82, 1, 0x22], b"-----BEGIN CERTIFICATE-----\n", b"{\"kty\":", &[0x30, 0x84]];
        let _ = given(&[heads[head], &bytes].concat());
        for algorithm in Algorithm::ALL {
            let _ = AnyKey::from_raw(algorithm, &bytes);
        }
        let _ = (AnyKey::at_start(&bytes), AnyKey::from_certificate(&bytes), AnyKey::from_pkcs1(&bytes));
        for (name, _) in KEYS {
            for signature in [Signature::Standard(&bytes), Signature::Fixed(&bytes)] {
                prop_assert!(!key(name).verifies(b"GW3", signature));
            }
        }
    }

    #[test]
    fn a_key_file_with_one_byte_changed_is_never_the_same_key(
        (name, file) in proptest::sample::select(FILES),
        at in any::<proptest::sample::Index>(),
        flip in 1u8..,
    ) {
        let mut der = bytes(&format!("{name}.{file}"));
        let at = at.index(der.len());
        der[at] ^= flip;
        if let Ok((changed, container)) = AnyKey::from_der(&der) {
            prop_assert!(changed != key(name) || container == Container::Certificate);
        }
    }
}

#[test]
fn pem_and_der_of_one_key_are_one_key() {
    for (name, _) in KEYS {
        let pem = String::from_utf8(bytes(&format!("{name}.pub.pem"))).unwrap();
        let (_, document) = Document::from_pem(&pem).unwrap();
        assert_eq!(document.as_bytes(), key(name).spki(), "{name}");
    }
}
