//! `rootstamp inspect` and `rootstamp schema`, as a person or a script calls them.

mod carriers;
mod damaged;
mod hostile;
mod judges;
pub(crate) mod page;
mod secrets;
mod softdevice;
mod storage;
mod vectors;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rootstamp::{
    ident::{bytes_from_hex, hex},
    manifest, recipe, station,
};
use serde_json::Value;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(crate) fn rootstamp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rootstamp")).args(arguments).current_dir(project("")).output().unwrap()
}

/// Exit code and report.
pub(crate) fn inspected(arguments: &[&str]) -> (i32, Value, String) {
    let output = rootstamp(&[&["inspect", "--json"], arguments].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), report, String::from_utf8(output.stderr).unwrap())
}

/// What is told in words, wherever its lines are folded.
pub(crate) fn unfolded(told: &[u8]) -> String {
    let told = String::from_utf8(told.to_vec()).unwrap();
    told.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A file of this test alone.
pub(crate) fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_bootloader_an_application_and_a_key_are_told_apart() {
    let (exit, report, errors) = inspected(&[
        "templates/products/images/stand-in-bootloader.hex",
        "templates/products/images/stand-in-gw3-1.4.2.signed.hex",
        "keys-public/gw3-root.pem",
    ]);
    assert_eq!((exit, errors.as_str(), &report["schema_version"]), (0, "", &Value::from(1)));
    let [bootloader, application, key] = &report["files"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!(bootloader["mcuboot"]["likely"], true);
    assert_eq!(bootloader["mcuboot"]["image_magic_as"], "literal");
    assert_eq!(bootloader["keys"], Value::Array(Vec::new()));
    assert_eq!(bootloader["vector_tables"][0]["reset"], "0x00000101");
    assert_eq!(bootloader["segments"][0]["end"], "0x00006000");
    assert_eq!(application["mcuboot"]["likely"], false, "the header of an image is no sign of a bootloader");
    let signed = &application["mcuboot_images"][0];
    assert_eq!((&signed["version"], &signed["security_counter"]), (&"1.4.2+0".into(), &1.into()));
    assert_eq!((&signed["hash_fits"], &signed["at"]), (&true.into(), &"0x0000C000".into()));
    assert!(signed["signature"].as_str().unwrap().starts_with("fits"), "{signed}");
    assert_eq!(application["keys"][0]["spki_sha256"], key["spki_sha256"]);
    assert_eq!((&key["kind"], &key["refused"]), (&"public_key".into(), &Value::Null));
}

#[test]
fn the_words_say_what_the_json_says() {
    let output = rootstamp(&["inspect", "templates/products/images/stand-in-gw3-1.4.2.signed.hex"]);
    let words = unfolded(&output.stdout);
    for expected in ["version 1.4.2+0, security counter 1", "0x0050 SEC_CNT (4 bytes, protected)", "P-256 key aee3f2c3"]
    {
        assert!(words.contains(expected), "{expected}: {words}");
    }
}

#[test]
fn an_image_is_checked_with_a_key_of_any_kind_that_is_given() {
    for (image, right, wrong) in [
        ("p256.bin", "p256-a", "p256-b"),
        ("p384.bin", "p384-a", "p256-a"),
        ("ed25519-hex.hex", "ed25519-a", "ed25519-b"),
        ("more/ed25519-pure.bin", "ed25519-a", "ed25519-c"),
        ("more/rsa3072.bin", "rsa3072-a", "rsa2048-a"),
    ] {
        let image = format!("tests/vectors/mcuboot/{image}");
        let with = |key: &str| inspected(&["--key", &format!("tests/vectors/keys/{key}.pub.pem"), &image]);
        let (exit, report, errors) = with(right);
        let verdict = &report["files"][0]["mcuboot_images"][0]["verdict"];
        assert_eq!((exit, &verdict["authentic"]), (0, &true.into()), "{errors}");
        assert_eq!((&verdict["hash"], &verdict["signature"]), (&"fits".into(), &"fits".into()));
        let (exit, report, errors) = with(wrong);
        assert_eq!((exit, &report["files"][0]["mcuboot_images"][0]["verdict"]["authentic"]), (2, &false.into()));
        let expected = ["is not shown to be genuine: ", "it says that it was signed with the key"];
        assert!(expected.iter().all(|expected| errors.contains(expected)), "{errors}");
    }
    let bootloader = "templates/products/images/stand-in-bootloader.hex";
    let (exit, _, errors) = inspected(&["--key", "keys-public/gw3-root.pem", bootloader]);
    assert!(exit == 2 && errors.contains("holds no image that a key could have signed"), "{errors}");
    let (exit, ..) = inspected(&["tests/vectors/mcuboot/p256.bin"]);
    assert_eq!(exit, 0, "without a key nothing is asked for");
}

#[test]
fn an_image_whose_lengths_lie_is_a_usage_error_that_names_the_address() {
    let mut image = fs::read(project("tests/vectors/mcuboot/p256.bin")).unwrap();
    image[12..16].copy_from_slice(&[0xFF; 4]);
    let (_folder, path) = written("image.bin", &image);
    let (exit, report, errors) = inspected(&["--at", "0xC000", &path]);
    assert_eq!((exit, report["files"][0]["broken_images"].as_array().unwrap().len()), (2, 1));
    assert!(errors.contains("no MCUboot image at 0x0000C000: its lengths of 4294967807 bytes"), "{errors}");
}

#[test]
fn an_encrypted_image_says_what_the_device_must_hold() {
    let image = "tests/vectors/mcuboot/ed25519-enc-x25519.bin";
    let (_, report, _) = inspected(&[image]);
    let encryption = &report["files"][0]["mcuboot_images"][0]["encryption"];
    assert_eq!((&encryption["scheme"], &encryption["key_bits"]), (&"ecies-x25519".into(), &128.into()));
    let words = unfolded(&rootstamp(&["inspect", image]).stdout);
    for expected in
        ["an X25519 private key", "was made for this one image", "Read-back protection of the chip is mandatory"]
    {
        assert!(words.contains(expected), "{expected}: {words}");
    }
}

#[test]
fn an_elf_program_is_told_by_what_it_loads() {
    let mut elf = vec![0x7F, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 40, 0];
    elf.extend([1u32, 0x101, 52, 0, 0x0500_0200].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend([52u16, 32, 1, 40, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    elf.extend([1u32, 84, 0, 0, 8, 8, 5, 4].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend([0x2000_4000u32, 0x5].iter().flat_map(|word| word.to_le_bytes()));
    let (_folder, path) = written("zephyr.elf", &elf);
    let (exit, report, errors) = inspected(&[&path]);
    let file = &report["files"][0];
    assert_eq!(
        (exit, &file["segments"][0]["length"], &file["entry"]),
        (0, &8.into(), &"0x00000101".into()),
        "{errors}"
    );
    elf[18] = 243;
    let (_folder, path) = written("zephyr.elf", &elf);
    let (exit, _, errors) = inspected(&[&path]);
    assert!(exit == 2 && errors.contains("is ELF for machine 243, not for Arm (40)"), "{errors}");
}

#[test]
fn a_key_of_any_kind_is_told_with_its_names() {
    for (name, algorithm) in
        [("p384-a", "ecdsa-p384"), ("ed25519-a", "ed25519"), ("x25519-a", "x25519"), ("rsa3072-a", "rsa-3072")]
    {
        let (exit, report, errors) = inspected(&[&format!("tests/vectors/keys/{name}.pub.pem")]);
        let key = &report["files"][0];
        assert_eq!((exit, &key["kind"], &key["algorithm"]), (0, &"public_key".into(), &algorithm.into()), "{errors}");
    }
    let (_, report, _) = inspected(&["tests/vectors/keys/rsa2048-a.pub.pem"]);
    let hash = fs::read(project("tests/vectors/mcuboot/rsa2048-a.getpubhash.raw")).unwrap();
    assert_eq!(report["files"][0]["mcuboot_key_hash"], hex(&hash));
}

#[test]
fn a_private_key_is_refused_in_every_mode_and_not_printed() {
    for mode in [&[][..], &["--mode", "engineering"]] {
        let (exit, report, errors) = inspected(&[&["tests/vectors/keys/p256-a.priv.pem"], mode].concat());
        assert_eq!((exit, &report["files"][0]["kind"]), (40, &"refused".into()));
        let secret = fs::read_to_string(project("tests/vectors/keys/p256-a.priv.pem")).unwrap();
        for line in secret.lines().filter(|line| !line.starts_with('-')) {
            assert!(!report.to_string().contains(&line[..8]) && !errors.contains(&line[..8]), "{errors}");
        }
    }
}

/// MCUboot's own root-ec-p256.
const PUBLISHED: &str = "e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6";

fn published() -> Vec<u8> {
    let text = fs::read_to_string(project("keys-public/known-development-keys.json")).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let key = list["keys"].as_array().unwrap().iter().find(|key| key["spki_sha256"] == PUBLISHED).unwrap();
    bytes_from_hex(key["spki_der_hex"].as_str().unwrap()).unwrap()
}

#[test]
fn a_published_key_is_refused_by_name_outside_engineering_mode() {
    let inside = [&[0xA5; 9][..], &published()].concat();
    for (name, bytes) in [("key.der", published()), ("image.bin", inside)] {
        let (_folder, path) = written(name, &bytes);
        let (exit, report, errors) = inspected(&[&path]);
        assert_eq!(exit, 40, "{report}");
        assert!(errors.contains("sdk-mcuboot:root-ec-p256-pkcs8.pem"), "{errors}");
        let (exit, report, _) = inspected(&[&path, "--mode", "engineering"]);
        assert_eq!(exit, 0, "{report}");
        assert!(report.to_string().contains(PUBLISHED));
    }
}

#[test]
fn an_image_that_names_a_published_key_by_its_hash_is_refused() {
    let mut image = fs::read(project("tests/vectors/mcuboot/p256.bin")).unwrap();
    let own = bytes_from_hex("aee3f2c356b88c41198fa8fd0fe788e5a5e86295fa295ee0774361776489e206").unwrap();
    let at = image.windows(32).position(|window| window == own).unwrap();
    image[at..at + 32].copy_from_slice(&bytes_from_hex(PUBLISHED).unwrap());
    let (_folder, path) = written("image.bin", &image);
    let (exit, report, errors) = inspected(&["--at", "0xC000", &path]);
    assert_eq!((exit, &report["files"][0]["mcuboot_images"][0]["signed_with"]), (40, &PUBLISHED.into()), "{errors}");
}

#[test]
fn a_private_key_inside_an_image_is_refused_even_in_engineering_mode() {
    let sec1 = bytes_from_hex("30770201010420").unwrap();
    let (_folder, path) = written("image.bin", &[&[0; 16][..], &sec1, &[7; 200]].concat());
    let (exit, report, _) = inspected(&["--mode", "engineering", &path]);
    assert_eq!((exit, &report["files"][0]["keys"][0]["private"]), (40, &true.into()));
}

#[test]
fn a_file_that_cannot_be_understood_is_a_usage_error_with_its_place() {
    let (_folder, path) = written("a.hex", b":0400000001020304F1\n");
    let (exit, report, errors) = inspected(&[&path, "no-such-file"]);
    assert_eq!((exit, report["files"].as_array().unwrap().len()), (2, 2));
    assert!(errors.contains("a.hex:1:1: the checksum is 0xF1"), "{errors}");
    assert!(errors.contains("no end record") && errors.contains("no-such-file: cannot be opened"), "{errors}");
    assert_eq!(rootstamp(&["inspect"]).status.code(), Some(2));
}

#[test]
fn the_schemas_in_the_project_are_those_the_program_prints() {
    for (name, schema) in
        [("product", recipe::schema()), ("station", station::schema()), ("release", manifest::schema())]
    {
        let printed = rootstamp(&["schema", name]);
        assert_eq!(printed.status.code(), Some(0));
        let committed = fs::read(project(&format!("templates/schemas/{name}.schema.json"))).unwrap();
        assert!(printed.stdout == committed, "rootstamp schema {name} > templates/schemas/{name}.schema.json");
        assert_eq!(serde_json::from_slice::<Value>(&committed).unwrap(), schema);
    }
    assert_eq!(rootstamp(&["schema", "order"]).status.code(), Some(2));
}
