//! Each of the 170 published development keys in each carrier, and the nearest key that nobody published.

use std::{fmt::Write as _, fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rootstamp::{
    file,
    ident::hex,
    image::Map,
    keys::{AnyKey, Hash, NsibRule, refuse::RefuseList},
};
use serde_json::Value;

use super::{inspected, project};
use crate::keys::{
    little_endian,
    published::{neighbour, pem, published, spki},
};

/// One carrier: its file name, and how a key gets into it; `None` where such a key cannot be in such a file.
type Carrier = (&'static str, fn(&Subject) -> Option<Vec<u8>>);

const CARRIERS: &[Carrier] = &[
    ("key.pem", |key| Some(pem("PUBLIC KEY", &key.spki).into_bytes())),
    ("key.der", |key| Some(key.spki.clone())),
    ("bootloader.hex", |key| Some(bootloader(key))),
    ("application.bin", application),
    ("provision.hex", provision),
    ("keyfile.json", key_file),
    ("pk.c", c_array),
    ("pk.txt", digits),
    ("update.zip", |key| Some(crate::dfu::package_around(&[&[0xA5; 40][..], &key.spki, &[0x5A; 40]].concat()))),
    ("key.txt", |key| Some(STANDARD.encode(&key.spki).into_bytes())),
    ("utf16.pem", |key| Some(pem("PUBLIC KEY", &key.spki).encode_utf16().flat_map(u16::to_be_bytes).collect())),
    ("beside.zip", |key| Some(crate::dfu::package_beside("key.pem", pem("PUBLIC KEY", &key.spki).as_bytes()))),
    ("archive.zip", |key| Some(crate::dfu::archive_of("key.der", &key.spki))),
    ("pk.bin", |key| little_endian(key.known.as_ref()?).map(|little| little.to_vec())),
];

struct Subject {
    spki: Vec<u8>,
    /// `None` for a key of an algorithm that is only refused, never taken.
    known: Option<AnyKey>,
}

impl Subject {
    fn of(spki: Vec<u8>) -> Self {
        Self { known: AnyKey::from_spki(&spki).ok(), spki }
    }
}

pub(super) fn vector(name: &str) -> Vec<u8> {
    fs::read(project("tests/vectors").join(name)).unwrap()
}

fn own(name: &str) -> AnyKey {
    AnyKey::from_spki(&vector(&format!("keys/{name}.spki.der"))).unwrap()
}

/// A copy with every place that holds one thing holding another, of the same length.
fn with(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

pub(super) fn intel_hex(at: u32, bytes: &[u8]) -> Vec<u8> {
    let record = |kind: u8, at: u16, data: &[u8]| {
        let body = [&[u8::try_from(data.len()).unwrap()], &at.to_be_bytes()[..], &[kind], data].concat();
        let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
        format!(":{}{sum:02X}\n", hex(&body).to_uppercase())
    };
    let mut text = String::new();
    for (index, chunk) in bytes.chunks(16).enumerate() {
        let at = at + u32::try_from(16 * index).unwrap();
        write!(text, "{}", record(4, 0, &at.to_be_bytes()[..2])).unwrap();
        write!(text, "{}", record(0, u16::try_from(at & 0xFFFF).unwrap(), chunk)).unwrap();
    }
    (text + ":00000001FF\n").into_bytes()
}

/// The stand-in's MCUboot signs and vectors, and the key compiled in.
fn bootloader(key: &Subject) -> Vec<u8> {
    let path = project("templates/products/images/stand-in-bootloader.hex");
    let map = Map::from_hex(&file::read(&path, file::LIMIT).unwrap()).unwrap();
    let mut bytes = map.segments()[0].bytes[..0x2000].to_vec();
    let inside = match &key.known {
        // MCUboot compiles in PKCS#1 for RSA, SubjectPublicKeyInfo for all others.
        Some(known) => known.mcuboot_encoding(),
        None => &key.spki,
    };
    bytes[0x1234..0x1234 + inside.len()].copy_from_slice(inside);
    intel_hex(0, &bytes)
}

fn application(key: &Subject) -> Option<Vec<u8>> {
    let known = key.known.as_ref()?;
    let old = own("p256-a").key_hash(Hash::Sha256);
    Some(with(&vector("mcuboot/p256.bin"), &old, &known.key_hash(Hash::Sha256)))
}

fn provision(key: &Subject) -> Option<Vec<u8>> {
    let (_, hash) = *key.known.as_ref()?.nsib_hashes().first()?;
    let old = own("p256-a").nsib_hash(NsibRule::Sha256).unwrap();
    let data = with(&vector("nsib/nrf5340net-1key-ver20.bin"), &old.0, &hash.0);
    Some(intel_hex(0x0100_85A8, &data))
}

fn key_file(key: &Subject) -> Option<Vec<u8>> {
    let known = key.known.as_ref()?;
    let (file, old) = match known.raw().len() {
        32 => ("kmu/psa-ed25519-a-slot226-default.json", own("ed25519-a")),
        64 => ("kmu/psa-p256-pub-slot10.json", own("p256-a")),
        _ => return None,
    };
    Some(with(&vector(file), hex(old.raw()).as_bytes(), hex(known.raw()).as_bytes()))
}

fn c_array(key: &Subject) -> Option<Vec<u8>> {
    let little = little_endian(key.known.as_ref()?)?;
    let list: Vec<String> = little.iter().map(|byte| format!("0x{byte:02x}")).collect();
    Some(format!("__ALIGN(4) const uint8_t pk[64] =\n{{\n    {}\n}};\n", list.join(", ")).into_bytes())
}

fn digits(key: &Subject) -> Option<Vec<u8>> {
    Some(format!("Public (verification) key pk:\n{}\n", hex(&little_endian(key.known.as_ref()?)?)).into_bytes())
}

/// The carriers of these keys in files, one folder per key.
fn carried(subjects: &[Subject], carrier: &Carrier) -> (tempfile::TempDir, Vec<(usize, PathBuf)>) {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        let Some(bytes) = (carrier.1)(subject) else { continue };
        let path = folder.path().join(index.to_string());
        fs::create_dir(&path).unwrap();
        fs::write(path.join(carrier.0), bytes).unwrap();
        files.push((index, path.join(carrier.0)));
    }
    (folder, files)
}

fn told(files: &[(usize, PathBuf)]) -> (i32, Vec<Value>, String) {
    let paths: Vec<&str> = files.iter().map(|(_, path)| path.to_str().unwrap()).collect();
    let (exit, report, errors) = inspected(&paths);
    (exit, report["files"].as_array().unwrap().clone(), errors)
}

#[test]
fn each_published_key_is_refused_in_each_carrier_under_its_name() {
    let list = RefuseList::built_in().unwrap();
    let subjects: Vec<Subject> = published().iter().map(|key| Subject::of(spki(key))).collect();
    let names: Vec<&str> = published()
        .iter()
        .map(|key| {
            let digest = key["spki_sha256"].as_str().unwrap();
            let all = list.all().iter();
            all.clone().find(|refused| refused.spki_sha256.to_string() == digest).unwrap().name.as_str()
        })
        .collect();
    let mut counts = Vec::new();
    for carrier in CARRIERS {
        let (_folder, files) = carried(&subjects, carrier);
        let (exit, reports, errors) = told(&files);
        assert_eq!(exit, 40, "{}", carrier.0);
        for ((index, path), report) in files.iter().zip(&reports) {
            let name = Value::from(names[*index]).to_string();
            let path = path.to_str().unwrap();
            assert!(report.to_string().contains(&name), "{path}: {name}: {report}");
            let line = errors.lines().find(|line| line.contains(path) && line.contains(names[*index]));
            assert!(line.is_some(), "{path}: {}: {errors}", names[*index]);
        }
        counts.push((carrier.0, files.len()));
    }
    let whole = [("key.pem", 170), ("key.der", 170), ("bootloader.hex", 170), ("application.bin", 156)];
    let short = [("provision.hex", 108), ("keyfile.json", 110), ("pk.c", 55), ("pk.txt", 55), ("update.zip", 170)];
    let text = [("key.txt", 170), ("utf16.pem", 170)];
    let last = [("beside.zip", 170), ("archive.zip", 170), ("pk.bin", 55)];
    assert_eq!(counts, [&whole[..], &short[..], &text[..], &last[..]].concat());
}

#[test]
fn the_nearest_other_key_of_each_is_refused_in_no_carrier() {
    let near = |key: &Value| AnyKey::from_spki(&spki(key)).ok().map(|known| neighbour(&known));
    let keys: Vec<AnyKey> = published().iter().filter_map(near).collect();
    let subjects: Vec<Subject> = keys.iter().map(|key| Subject::of(key.spki().to_vec())).collect();
    assert_eq!(subjects.len(), 156);
    for carrier in CARRIERS {
        let (_folder, files) = carried(&subjects, carrier);
        let (exit, reports, errors) = told(&files);
        assert_ne!(exit, 40, "{}: {errors}", carrier.0);
        for report in &reports {
            let told = report.to_string();
            assert!(!told.contains("published development key \\\""), "{}: {told}", carrier.0);
        }
    }
}

#[test]
fn a_private_key_in_the_firmware_of_a_package_is_refused_in_every_mode() {
    let sec1 = rootstamp::ident::bytes_from_hex("30770201010420").unwrap();
    let package = crate::dfu::package_around(&[&[0; 16][..], &sec1, &[7; 200]].concat());
    let (_folder, path) = super::written("update.zip", &package);
    let (exit, _, errors) = inspected(&["--mode", "engineering", &path]);
    assert!(exit == 40 && errors.contains("holds a private key (SEC1, P-256) at byte 16 of `a.bin`"), "{errors}");
}

#[test]
fn a_bootloader_with_a_published_key_compiled_in_shows_it_with_its_address() {
    let subjects = [Subject::of(spki(published().iter().find(|key| key["type"] == "ecdsa-p256").unwrap()))];
    let (_folder, files) = carried(&subjects, &CARRIERS[2]);
    let path = files[0].1.to_str().unwrap();
    let (exit, report, _) = inspected(&[path]);
    let bootloader = &report["files"][0]["bootloader"];
    assert_eq!((exit, &bootloader["families"][0]["family"]), (40, &"mcuboot".into()));
    assert_eq!((&bootloader["keys"][0]["at"], &bootloader["trust"]["embedded"]), (&"0x00001234".into(), &true.into()));
    assert_eq!(inspected(&["--mode", "engineering", path]).0, 0);
}

/// A colon begins Intel HEX, and so may a key; what is not understood is searched all the same.
#[test]
fn a_published_key_that_begins_like_another_format_is_refused() {
    let turned = |raw: &[u8]| raw.chunks(raw.len() / 2).flat_map(|half| half.iter().rev()).copied().collect();
    let raw =
        published().iter().filter_map(|key| AnyKey::from_spki(&spki(key)).ok()).filter(|key| key.raw().len() >= 64);
    let forms = raw.flat_map(|key| [key.raw().to_vec(), turned(key.raw())]);
    let begun: Vec<Vec<u8>> = forms.filter(|form| form.starts_with(b":") && form.len() < 100).collect();
    assert!(!begun.is_empty());
    let known = spki(&published()[0]);
    let torn = [
        ("torn.hex", [b":10000000ZZ\n", hex(&known).as_bytes()].concat()),
        ("torn.zip", [b"PK\x03\x04".as_slice(), &known].concat()),
        ("torn.json", [b"{\"keyslots\": \"", STANDARD.encode(&known).as_bytes()].concat()),
    ];
    for (name, bytes) in begun.into_iter().map(|bytes| ("pk", bytes)).chain(torn) {
        let (_folder, path) = super::written(name, &bytes);
        let (exit, report, errors) = inspected(&[&path]);
        assert_eq!(exit, 40, "{name}: {report} {errors}");
        assert!(errors.contains("published development key"), "{name}: {errors}");
    }
}
