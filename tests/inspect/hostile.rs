//! Files that lie, are cut off, or are no files: one message each, exit 2 or 40, and the next file is still told.

use std::fs;

use super::{inspected, project, rootstamp};

fn vector(name: &str) -> Vec<u8> {
    fs::read(project("tests/vectors").join(name)).unwrap()
}

fn changed(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vector(name);
    change(&mut bytes);
    bytes
}

fn replaced(name: &str, old: &str, new: &str) -> Vec<u8> {
    let text = String::from_utf8(vector(name)).unwrap();
    assert!(text.contains(old));
    text.replace(old, new).into_bytes()
}

/// Offset of the archive's directory of files.
fn directory(zip: &[u8]) -> usize {
    zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap()
}

fn bad() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let key_file = "kmu/west-bl-1-lock/keyfile.json";
    let own = "value";
    vec![
        ("empty", Vec::new(), "is empty"),
        ("cut.bin", changed("mcuboot/p256.bin", |bytes| bytes.truncate(0x5A0)), "no MCUboot image at 0x00000000"),
        ("long.bin", changed("mcuboot/p256.bin", |bytes| bytes[12..16].fill(0xFF)), "its lengths of 4294967807 bytes"),
        ("tlv.bin", changed("mcuboot/p256.bin", |bytes| bytes[10] = 0xFF), "no MCUboot image at 0x00000000"),
        ("key.pem", changed("keys/p256-a.pub.pem", |bytes| bytes.truncate(90)), "is not whole PEM text"),
        ("der.der", vec![0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0x30, 0x13], "is no public key"),
        ("deep.der", [0x30, 0x80].repeat(3000), "is no public key"),
        ("curve.der", changed("keys/p256-a.spki.der", |bytes| bytes[40] ^= 1), "not on the curve"),
        ("short.hex", b":0400000001020304F1\n".to_vec(), "the checksum is 0xF1"),
        ("twice.hex", b":0100000001FE\n:0100000002FD\n:00000001FF\n".to_vec(), "0x00000000"),
        ("name.hex", b"this is no Intel HEX\n".to_vec(), "no line begins with `:`"),
        (
            "bomb.zip",
            changed("nrf5sdk/app.zip", |zip| {
                let at = directory(zip) + 24;
                zip[at..at + 4].fill(0xFF);
            }),
            "no DFU package",
        ),
        ("cut.zip", changed("nrf5sdk/app.zip", |zip| zip.truncate(zip.len() - 30)), "no DFU package"),
        ("end.dat", vec![0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], "is nothing that is known here"),
        ("twice.json", replaced(key_file, "\"version\": 0,", "\"version\": 0, \"version\": 0,"), "is no key file"),
        ("slots.json", replaced(key_file, own, "valeu"), "is no key file"),
        (
            "open.json",
            b"{\"payloadType\":\"application/vnd.in-toto+json\",\"payload\":\"!\"}".to_vec(),
            "no DSSE envelope",
        ),
        ("many.hex", provision(17), "it says more than 16 keys"),
        ("ffff.hex", vector("nsib/ffff-no-verify.hex"), "holds 0xFFFF at offset 8 of its hash: NSIB starts nothing"),
        ("counter.bin", counter(), "its security counter 65536 does not fit the 16-bit counters"),
        ("elf", b"\x7FELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0\x01\0\0\0\0\0\0\0\xFF\xFF\xFF\xFF".to_vec(), "ELF"),
        ("zeros", vec![0; 5000], "is nothing that is known here"),
    ]
}

/// Provision data of an nRF5340's network core that claims so many keys.
fn provision(keys: u8) -> Vec<u8> {
    let words = [0x0100_8800_u32, 0x0102_0000, keys.into()].map(u32::to_le_bytes).concat();
    let body = [&[12, 0x85, 0xA8, 0][..], &words].concat();
    let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    format!(":020000040100F9\n:{}{sum:02x}\n:00000001FF\n", rootstamp::ident::hex(&body)).into_bytes()
}

/// An image that counts one too far: its hash no longer fits, which is said beside.
fn counter() -> Vec<u8> {
    changed("mcuboot/ed25519-seccnt5.bin", |bytes| {
        let tlv = [0x50, 0, 4, 0, 5, 0, 0, 0];
        let at = bytes.windows(8).position(|window| window == tlv).unwrap();
        bytes[at + 4..at + 8].copy_from_slice(&65536_u32.to_le_bytes());
    })
}

#[test]
fn what_lies_or_is_cut_off_is_one_clear_problem_each() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, expected) in bad() {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (exit, report, errors) = inspected(&[path.to_str().unwrap()]);
        assert_eq!(exit, 2, "{name}: {errors}");
        assert!(errors.contains(expected) && errors.contains(name), "{name}: {expected}: {errors}");
        assert_eq!(report["files"].as_array().unwrap().len(), 1);
        let words = rootstamp(&["inspect", path.to_str().unwrap()]);
        assert_eq!(words.status.code(), Some(2));
        assert!(!String::from_utf8(words.stdout).unwrap().is_empty());
    }
}

#[test]
fn all_of_them_at_once_are_all_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = vec![folder.path().to_str().unwrap().to_owned()];
    for (name, bytes, _) in bad() {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        paths.push(path.to_str().unwrap().to_owned());
    }
    paths.push("tests/vectors/keys/p256-a.pub.pem".to_owned());
    let (exit, report, errors) = inspected(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let files = report["files"].as_array().unwrap();
    assert_eq!((exit, files.len(), &files[files.len() - 1]["kind"]), (2, paths.len(), &"public_key".into()));
    assert!(errors.contains("is a directory, not a file"), "{errors}");
}

#[test]
fn a_name_that_lies_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (vector_of, name, kind) in [
        ("mcuboot/p256.bin", "image.pem", "image"),
        ("mcuboot/ed25519-hex.hex", "image.bin", "image"),
        ("keys/p256-a.pub.pem", "key.hex", "public_key"),
        ("keys/p256-a.spki.der", "key.bin", "public_key"),
        ("keys/p256-a.priv.pem", "key.zip", "refused"),
        ("nrf5sdk/app.zip", "app.hex", "dfu_package"),
        ("kmu/west-bl-1-lock/keyfile.json", "keys.bin", "kmu_key_file"),
        ("nsib/nrf52840-1key.hex", "provision", "image"),
        ("bootconf/nrf54l15-0x7800.hex", "conf.txt", "image"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, vector(vector_of)).unwrap();
        let (_, report, _) = inspected(&[path.to_str().unwrap()]);
        let told = &report["files"][0];
        assert_eq!((&told["kind"], &told["told_by"]), (&kind.into(), &"its contents".into()), "{name}: {told}");
    }
    let (_folder, path) = super::written("noise.bin", &[0x5A; 77]);
    let (exit, report, _) = inspected(&[&path]);
    assert_eq!((exit, report["files"][0]["told_by"].as_str()), (0, Some("its name alone; its contents do not say")));
}

#[test]
fn nothing_of_a_secret_is_printed_whatever_holds_it() {
    let aes = "kmu/psa-aes128-ctr-protected-slot100.json";
    let text = String::from_utf8(vector(aes)).unwrap();
    let value = text.split("\"value\": \"0x").nth(1).unwrap().split('"').next().unwrap();
    let (_folder, seed) = super::written("seed", &[0xC3, 0x5A, 0x71, 0x99].repeat(8));
    for (path, secret) in [(format!("tests/vectors/{aes}"), value), (seed, "c35a71")] {
        for arguments in [&["inspect", "--json", &path][..], &["inspect", &path]] {
            let output = rootstamp(arguments);
            let told = [output.stdout, output.stderr].concat();
            let told = String::from_utf8(told).unwrap().to_ascii_lowercase();
            assert!(!told.contains(&secret.to_ascii_lowercase()[..6]), "{told}");
        }
    }
}

#[test]
fn a_pipe_is_told_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.pem");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let pipe = pipe.to_str().unwrap();
    for arguments in [&["inspect", pipe][..], &["inspect", "--key", pipe, "Cargo.toml"], &["check", "--recipe", pipe]] {
        let output = rootstamp(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.contains("is a pipe")), (Some(2), true), "{errors}");
    }
}

#[test]
fn what_a_file_holds_or_is_called_never_commands_the_terminal() {
    let escape = "\u{1b}]0;x\u{7}\u{202e}\\n";
    let package = |field: &str| {
        let manifest = format!(r#"{{"manifest": {{"{field}": {{"bin_file": "a.bin", "dat_file": "a.dat"}}}}}}"#);
        crate::dfu::package_with(&manifest)
    };
    let recipe = format!("schema = 1\n[key.\"{}\"]\n", "\\u001b[2J\\u202e");
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("a.zip", package(escape)),
        ("a\u{1b}[2J\nis PASS\u{202e}.pem", vector("keys/p256-a.pub.pem")),
        ("recipe.toml", recipe.into_bytes()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        for command in [&["inspect"][..], &["inspect", "--json"], &["check", "--recipe"]] {
            let output = rootstamp(&[command, &[path.to_str().unwrap()]].concat());
            let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            let commands = told.chars().filter(|character| character.is_control() && *character != '\n');
            assert_eq!(commands.count(), 0, "{name:?} {command:?}: {told:?}");
            let json = command.contains(&"--json");
            assert!(json || !told.chars().any(|one| one != '\n' && rootstamp::fault::is_unseen(one)), "{told:?}");
            assert!(!told.contains("\nis PASS"), "{told:?}");
        }
    }
}
