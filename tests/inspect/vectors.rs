//! Every vector, and what `inspect` says it is.

use std::{fs, path::Path};

use serde_json::Value;

use super::{inspected, project, rootstamp, unfolded};

const NOTHING: &str = "nothing that is known here";

/// Which files, of what kind, and a phrase that the report of each must have. The first line that fits counts.
const TABLE: &[(&str, &str, &str)] = &[
    ("bootconf/*.hex", "image", "the word BOOTCONF of an nRF54L"),
    ("keys/*.cert.*", "public_key", "a certificate, not a bare key"),
    ("keys/*.openssh", "refused", "a private key (OpenSSH PEM)"),
    ("keys/*.p12", "refused", "PKCS#12"),
    ("keys/*.jwk", "refused", "a private key (JSON Web Key)"),
    ("keys/*.encrypted*", "refused", "a private key (encrypted PKCS#8"),
    ("keys/*.sec1-*.der", "refused", "a private key (SEC1 DER)"),
    ("keys/*.sec1*", "refused", "a private key (SEC1 PEM)"),
    ("keys/*.pkcs8-*.der", "refused", "a private key (PKCS#8 DER)"),
    ("keys/*.pkcs1.priv.*", "refused", "a private key (PKCS#1 "),
    ("keys/*.pkcs1-encrypted.pem", "refused", "a private key (PKCS#1 PEM)"),
    ("keys/*.priv.pem", "refused", "a private key (PKCS#8 PEM)"),
    ("keys/*.pkcs1.*", "public_key", "PKCS#1 RSAPublicKey"),
    ("keys/p256-ffff.*", "public_key", "\"unusable_at\":8"),
    ("keys/p256-*", "public_key", "\"algorithm\":\"ecdsa-p256\""),
    ("keys/p384-*", "public_key", "\"algorithm\":\"ecdsa-p384\""),
    ("keys/ed25519-*", "public_key", "\"algorithm\":\"ed25519\""),
    ("keys/x25519-*", "public_key", "\"algorithm\":\"x25519\""),
    ("keys/*.sig", "unknown", NOTHING),
    ("keys/rsa2048-*", "public_key", "\"algorithm\":\"rsa-2048\""),
    ("keys/rsa3072-*", "public_key", "\"algorithm\":\"rsa-3072\""),
    ("keys/key-ids.json", "unknown", NOTHING),
    ("kmu/keys.yaml", "unknown", "hand over the keyfile.json"),
    ("kmu/src-*.json", "unknown", NOTHING),
    ("kmu/psa-aes*.json", "kmu_key_file", "16 secret bytes, not shown"),
    ("kmu/west-protram/*.json", "kmu_key_file", "32 random bytes made by the device"),
    ("kmu/*.json", "kmu_key_file", "a key file for the KMU of an nRF54L"),
    ("kmu/*.bin", "kmu_slot", "0x20000"),
    ("elf/unplaced.elf", "refused", "no physical addresses"),
    ("elf/debug-zstd.elf", "image", "packed by a method other than zlib"),
    ("elf/debug-*.elf", "image", "\"keys_not_loaded\":[{\"at\":\"0x00000228\""),
    ("elf/*.elf", "image", "\"container\":\"elf\""),
    ("elf/*.hex", "image", "\"container\":\"intel_hex\""),
    ("elf/*", "unknown", NOTHING),
    ("known-dev-keys.json", "unknown", "a refused key inside"),
    ("mcuboot/*.getpub.*", "public_key", "a public key"),
    ("mcuboot/*.getpriv*.c.txt", "refused", "a private key"),
    ("mcuboot/*.getpubhash.raw", "unknown", NOTHING),
    ("mcuboot/*.dumpinfo.json", "unknown", NOTHING),
    ("mcuboot/more/commands.txt", "unknown", NOTHING),
    ("mcuboot/ed25519-seccnt-auto.bin", "image", "does not fit the 16-bit counters"),
    ("mcuboot/unsigned.bin", "image", "\"signed_with\":null"),
    ("mcuboot/*-pad.bin", "image", "\"image_ok\":\"unset\""),
    ("mcuboot/*-confirm*.bin", "image", "\"image_ok\":\"set\""),
    ("mcuboot/*-enc-x25519*.bin", "image", "\"scheme\":\"ecies-x25519"),
    ("mcuboot/*-enc-ec256*.bin", "image", "\"scheme\":\"ecies-p256\""),
    ("mcuboot/*-enc-rsa2048.bin", "image", "\"scheme\":\"rsa2048\""),
    ("mcuboot/*-enc-clear.bin", "image", "\"clear\":true"),
    ("mcuboot/*-pubkey-full.bin", "image", "fits the key that the file carries"),
    ("mcuboot/*.bin", "image", "not verified: no key given"),
    ("mcuboot/*.hex", "image", "Intel HEX: an image for MCUboot, version 1.2.3+4"),
    ("nrf5sdk/app-nokey.zip", "dfu_package", "\"signature\":null"),
    ("nrf5sdk/app.zip", "dfu_package", "\"fw_version\":4"),
    ("nrf5sdk/*.bin", "image", "memory in which nothing is recognised"),
    ("nrf5sdk/*.dat", "dfu_init", "\"app_size\":1024"),
    ("nrf5sdk/*.json", "unknown", NOTHING),
    ("nrf5sdk/pk.pem.txt", "public_key", "SubjectPublicKeyInfo, PEM"),
    ("nrf5sdk/pk.*.txt", "public_key", "nRF5 SDK key, little-endian, in hexadecimal digits"),
    ("nrf5sdk/settings-*.hex", "image", "a settings page of the nRF5 SDK's bootloader"),
    ("nsib-state/blank.after.bin", "refused", "is empty"),
    ("nsib-state/*-mcuboot-only.after.bin", "image", "provision data"),
    ("nsib-state/*.bin", "image", "raw bytes: provision data as read from a board, NSIB's storage"),
    ("nsib-state/*.json", "unknown", NOTHING),
    ("nsib/*.sig", "unknown", NOTHING),
    ("nsib/app.sha256.bin", "image", "memory in which nothing is recognised"),
    ("nsib/ffff-no-verify.*", "image", "holds 0xFFFF at offset 8 of its hash: NSIB starts nothing"),
    ("nsib/mcuboot-only-*", "image", "\"mcuboot_only\":true"),
    ("nsib/hist-2020-*", "image", "\"ncs-2.1\""),
    ("nsib/hist-2022-*", "image", "\"ncs-2.2\""),
    ("nsib/hist-2024-*", "image", "\"ncs-2.7\""),
    ("nsib/*", "image", "\"ncs-3.0\""),
    ("payload/empty.bin", "refused", "is empty"),
    ("payload/*0xC200.hex", "image", "Intel HEX: a program"),
    ("payload/*.hex", "image", "Intel HEX: memory in which nothing is recognised"),
    ("vectors.json", "unknown", NOTHING),
];

/// With stars that stand for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = "";
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
        last = piece;
    }
    rest.is_empty() || pattern.ends_with('*') || (pattern.contains('*') && name.ends_with(last) && !last.is_empty())
}

pub(super) fn files(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path.strip_prefix(project("tests/vectors")).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_vector_is_told_for_what_it_is() {
    let mut names = Vec::new();
    files(&project("tests/vectors"), &mut names);
    names.sort();
    let paths: Vec<String> = names.iter().map(|name| format!("tests/vectors/{name}")).collect();
    let (exit, report, _) = inspected(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((exit, report["files"].as_array().unwrap().len()), (40, names.len()));
    let mut used = vec![false; TABLE.len()];
    for (name, file) in names.iter().zip(report["files"].as_array().unwrap()) {
        let line = TABLE.iter().position(|(pattern, ..)| fits(pattern, name));
        let line = line.unwrap_or_else(|| panic!("{name} stands in no line of the table"));
        let (_, kind, phrase) = TABLE[line];
        used[line] = true;
        let told = file.to_string();
        assert_eq!(file["kind"], kind, "{name}: {told}");
        assert!(told.contains(phrase), "{name}: {phrase}: {told}");
    }
    let idle: Vec<_> = TABLE.iter().zip(&used).filter(|(_, used)| !**used).map(|(line, _)| line.0).collect();
    assert!(idle.is_empty(), "no vector is told by {idle:?}");
}

#[test]
fn what_each_vector_is_is_also_said_in_words() {
    for (file, expected) in [
        (
            "nsib/nrf5340app-psa-ref.hex",
            &["ncs-3.0 or sdk-nrf-2025-12", "life cycle ASSEMBLY", "1234567890123-12345"][..],
        ),
        ("nsib/ffff-no-verify.hex", &["would start nothing: ErasedHash", "(at 0x00009040)"]),
        ("bootconf/nrf54l15-0x7800.hex", &["30 KiB from 0x00000000", "fits             an nRF54L05, L10 or L15"]),
        ("kmu/west-bl-1-lock/keyfile.json", &["slot 242 to 243", "BL_PUBKEY key 0"]),
        ("nrf5sdk/app.zip", &["s140_nrf52_7.0.1", "by one of the keys"]),
        ("nrf5sdk/app-nokey.zip", &["unsigned: only a bootloader without signature check takes it"]),
        ("nrf5sdk/app/app-at-0x26000.dat", &["init packet", "not verified: no key given"]),
        ("nrf5sdk/settings-NRF52840-v1.hex", &["layout 1, at 0x000FF000", "the same one page below"]),
        ("keys/rsa2048-a.pss.sig", &["holds            no text", "--at ADDRESS takes it for raw memory"]),
    ] {
        let output = rootstamp(&["inspect", &format!("tests/vectors/{file}")]);
        let words = unfolded(&output.stdout);
        for expected in expected {
            let expected = &unfolded(expected.as_bytes());
            assert!(words.contains(expected), "{expected}: {words}");
        }
    }
}

#[test]
fn a_package_an_init_packet_and_an_image_are_checked_with_every_key_that_is_given() {
    let with = |keys: &[&str], file: &str| {
        let keys = keys.iter().flat_map(|key| ["--key".to_owned(), format!("tests/vectors/{key}")]);
        let arguments: Vec<String> = keys.chain([format!("tests/vectors/{file}")]).collect();
        let (exit, report, errors) = inspected(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        (exit, report["files"][0].clone(), errors)
    };
    let (other, own) = ("keys/p256-b.pub.pem", "nrf5sdk/pk.hex.txt");
    for file in ["nrf5sdk/app.zip", "nrf5sdk/app/app-at-0x26000.dat"] {
        let (exit, told, _) = with(&[other, own], file);
        assert_eq!((exit, &told["signed_by"]), (0, &Value::from(vec![format!("tests/vectors/{own}")])));
        let (exit, _, errors) = with(&[other], file);
        assert!(exit == 2 && errors.contains("was signed by none of the keys of --key"), "{errors}");
    }
    let (exit, ..) = with(&[own], "nrf5sdk/app-nokey.zip");
    assert_eq!(exit, 2, "what nobody signed is signed by no key");
    let (exit, told, errors) = with(&[other, own], "mcuboot/p256.bin");
    assert_eq!(
        (exit, &told["mcuboot_images"][0]["verified_by"]),
        (0, &format!("tests/vectors/{own}").into()),
        "{errors}"
    );
}

#[test]
fn bytes_that_do_not_say_what_they_are_are_the_key_they_are_asked_to_be() {
    let raw = |name: &str, keep: usize| {
        let spki = fs::read(project(&format!("tests/vectors/keys/{name}.spki.der"))).unwrap();
        spki[spki.len() - keep..].to_vec()
    };
    let folder = tempfile::tempdir().unwrap();
    for (kind, name, bytes) in [
        ("ed25519", "ed25519-a", raw("ed25519-a", 32)),
        ("x25519", "x25519-a", raw("x25519-a", 32)),
        ("p256-raw", "p256-a", raw("p256-a", 64)),
        ("nrf5-sdk", "p256-a", fs::read(project("tests/vectors/nrf5sdk/pk.hex.txt")).unwrap()),
    ] {
        let path = folder.path().join(kind);
        fs::write(&path, bytes).unwrap();
        let spki = format!("tests/vectors/keys/{name}.spki.der");
        let (_, expected, _) = inspected(&[&spki]);
        let (exit, report, errors) = inspected(&["--as", kind, path.to_str().unwrap()]);
        assert_eq!((exit, &report["files"][0]["spki_sha256"]), (0, &expected["files"][0]["spki_sha256"]), "{errors}");
        fs::write(&path, [7; 31]).unwrap();
        let (exit, _, errors) = inspected(&["--as", kind, path.to_str().unwrap()]);
        let length = if kind.ends_with("19") { "32" } else { "64" };
        assert!(exit == 2 && errors.contains("is no ") && errors.contains(length), "{kind}: {errors}");
    }
    let private = "tests/vectors/keys/ed25519-a.priv.pem";
    assert_eq!(inspected(&["--as", "ed25519", private]).0, 40);
}

/// The JSON of one file of each kind, without what names the machine.
#[test]
fn one_of_each_kind_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("release.json");
    let statement = serde_json::to_vec(&crate::manifest::statement()).unwrap();
    fs::write(&manifest, crate::manifest::envelope(&statement, &["p256-a"])).unwrap();
    for (name, path) in [
        ("key", "tests/vectors/keys/ed25519-a.cert.pem"),
        ("private_key", "tests/vectors/keys/p256-a.priv.pem"),
        ("image", "tests/vectors/mcuboot/p256.bin"),
        ("bootloader", "templates/products/images/stand-in-bootloader.hex"),
        ("provision", "tests/vectors/nsib/nrf54l15-1ed25519-ver20-w4.hex"),
        ("storage", "tests/vectors/nsib-state/5340app-invalidate-0.after.bin"),
        ("bootconf", "tests/vectors/bootconf/nrf54ls05b-0x7800.hex"),
        ("settings", "tests/vectors/nrf5sdk/settings-NRF52-v2.hex"),
        ("kmu_key_file", "tests/vectors/kmu/west-bl-1-lock/keyfile.json"),
        ("kmu_slot", "tests/vectors/kmu/src-ed25519-a-revokable-slot242.bin"),
        ("dfu_package", "tests/vectors/nrf5sdk/app.zip"),
        ("dfu_init", "tests/vectors/nrf5sdk/app-nokey/app-at-0x26000.dat"),
        ("manifest", manifest.to_str().unwrap()),
        ("unknown", "tests/vectors/keys/key-ids.json"),
    ] {
        let (_, report, _) = inspected(&[path]);
        let told = serde_json::to_string_pretty(&report).unwrap();
        insta::assert_snapshot!(format!("inspect_{name}"), told.replace(path, "FILE"));
    }
}

#[test]
fn a_manifest_is_checked_with_the_keys_that_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("release.json");
    let statement = serde_json::to_vec(&crate::manifest::statement()).unwrap();
    fs::write(&path, crate::manifest::envelope(&statement, &["p256-a"])).unwrap();
    let path = path.to_str().unwrap();
    let (exit, report, _) = inspected(&[path]);
    assert_eq!((exit, &report["files"][0]["kind"]), (0, &"release_manifest".into()));
    assert!(unfolded(&rootstamp(&["inspect", path]).stdout).contains("nobody's word yet"));
    let (exit, report, _) = inspected(&["--key", "tests/vectors/keys/p256-a.pub.pem", path]);
    assert_eq!((exit, report["files"][0]["signed_by"].as_array().unwrap().len()), (0, 1));
    assert_eq!(inspected(&["--key", "tests/vectors/keys/p256-b.pub.pem", path]).0, 2);
}

#[test]
fn a_pattern_of_the_table_fits_what_it_names() {
    assert!(fits("a/*.bin", "a/b.bin") && fits("a/*-x*.bin", "a/p-xy.bin") && fits("a", "a") && fits("a/*", "a/b"));
    assert!(!fits("a/*.bin", "a/b.bin.txt") && !fits("a/*.bin", "b/b.bin") && !fits("a", "ab"));
}
