//! nRF5 SDK secure DFU: the packages and settings pages of nrfutil, and files that pretend to be some.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use miniz_oxide::deflate::compress_to_vec;
use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    pkcs8::DecodePrivateKey as _,
};
use proptest::prelude::*;
use rootstamp::{
    fault::Exit,
    file::Read,
    ident::{Digest, bytes_from_hex, hex},
    image::{
        Map,
        dfu::{
            self, Kind, Package, Validation, crc32,
            patch::Form,
            settings::{self, Flat},
        },
    },
    keys::{self, PublicKey, refuse::RefuseList},
};

use crate::keys::secrets::{secret, silent};

mod archive;
mod page;
mod place;

fn vector(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(path)).unwrap()
}

fn read(path: &str) -> Read {
    Read::from_memory(Path::new(path).file_name().unwrap(), vector(path))
}

fn key(name: &str) -> PublicKey {
    keys::read(&read(&format!("keys/{name}.pub.pem"))).unwrap()
}

fn signer(name: &str) -> SigningKey {
    let pem = String::from_utf8(vector(&format!("keys/{name}.priv.pem"))).unwrap();
    SigningKey::from_pkcs8_pem(&pem).unwrap()
}

fn list() -> RefuseList {
    RefuseList::built_in().unwrap()
}

fn application() -> Map {
    Map::from_hex(&read("payload/app-at-0x26000.hex")).unwrap()
}

/// Little-endian: r and s, each with its last byte first.
fn turned(bytes: &[u8]) -> Vec<u8> {
    let (r, s) = bytes.split_at(32);
    r.iter().rev().chain(s.iter().rev()).copied().collect()
}

/// Protocol Buffers, written here a second time.
mod proto {
    pub(super) fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7F).unwrap();
            value >>= 7;
            bytes.push(if value == 0 { low } else { low | 0x80 });
            if value == 0 {
                return bytes;
            }
        }
    }

    pub(super) fn number(field: u64, value: u64) -> Vec<u8> {
        [varint(field << 3), varint(value)].concat()
    }

    pub(super) fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
        [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
    }
}

/// An init packet to be spoilt, with the values of the vectors.
#[derive(Clone)]
struct Packet {
    fw_version: Option<u64>,
    hw_version: Option<u64>,
    /// Which SoftDevices, in a packed field or one by one.
    sd_req: Vec<u8>,
    kind: Option<u64>,
    sizes: [u64; 3],
    hash_type: u64,
    hash: Vec<u8>,
    is_debug: u64,
    validation: u64,
    op_code: u64,
    signature_type: u64,
    extra: Vec<u8>,
}

impl Packet {
    fn of(firmware: &[u8]) -> Self {
        let mut hash = Digest::of(firmware).0.to_vec();
        hash.reverse();
        Self {
            fw_version: Some(4),
            hw_version: Some(52),
            sd_req: proto::bytes(3, &proto::varint(0xCA)),
            kind: Some(0),
            sizes: [0, 0, firmware.len() as u64],
            hash_type: 3,
            hash,
            is_debug: 0,
            validation: 1,
            op_code: 1,
            signature_type: 0,
            extra: Vec::new(),
        }
    }

    fn init(&self) -> Vec<u8> {
        let hash = [proto::number(1, self.hash_type), proto::bytes(2, &self.hash)].concat();
        let validation = [proto::number(1, self.validation), proto::bytes(2, &[])].concat();
        [
            self.fw_version.map(|version| proto::number(1, version)).unwrap_or_default(),
            self.hw_version.map(|version| proto::number(2, version)).unwrap_or_default(),
            self.sd_req.clone(),
            self.kind.map(|kind| proto::number(4, kind)).unwrap_or_default(),
            proto::number(5, self.sizes[0]),
            proto::number(6, self.sizes[1]),
            proto::number(7, self.sizes[2]),
            proto::bytes(8, &hash),
            proto::number(9, self.is_debug),
            proto::bytes(10, &validation),
            self.extra.clone(),
        ]
        .concat()
    }

    fn command(&self) -> Vec<u8> {
        [proto::number(1, self.op_code), proto::bytes(2, &self.init())].concat()
    }

    fn unsigned(&self) -> Vec<u8> {
        proto::bytes(1, &self.command())
    }

    fn signed(&self, by: &SigningKey) -> Vec<u8> {
        let signature: Signature = by.sign_prehash(&Digest::of(&self.init()).0).unwrap();
        self.signed_with(&turned(&signature.to_bytes()))
    }

    fn signed_with(&self, signature: &[u8]) -> Vec<u8> {
        let parts =
            [proto::bytes(1, &self.command()), proto::number(2, self.signature_type), proto::bytes(3, signature)];
        proto::bytes(2, &parts.concat())
    }
}

/// A ZIP archive to be spoilt.
struct Archive {
    files: Vec<(String, Vec<u8>)>,
    deflated: bool,
}

impl Archive {
    fn of(dat: Vec<u8>, bin: Vec<u8>) -> Self {
        let manifest = r#"{"manifest": {"application": {"bin_file": "a.bin", "dat_file": "a.dat"}}}"#;
        let files = vec![("a.bin".into(), bin), ("a.dat".into(), dat), ("manifest.json".into(), manifest.into())];
        Self { files, deflated: false }
    }

    fn manifest(mut self, text: &str) -> Self {
        self.files[2].1 = text.into();
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let (mut body, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in &self.files {
            let packed = if self.deflated { compress_to_vec(bytes, 6) } else { bytes.clone() };
            let mut common = Vec::new();
            common.extend(20_u16.to_le_bytes());
            common.extend(0_u16.to_le_bytes());
            common.extend((if self.deflated { 8_u16 } else { 0 }).to_le_bytes());
            common.extend([0; 4]);
            common.extend(crc32(bytes).to_le_bytes());
            common.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
            common.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
            common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
            common.extend(0_u16.to_le_bytes());
            directory.extend(b"PK\x01\x02\x14\x03");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
            directory.extend(name.as_bytes());
            body.extend(b"PK\x03\x04");
            body.extend(&common);
            body.extend(name.as_bytes());
            body.extend(packed);
        }
        let count = u16::try_from(self.files.len()).unwrap().to_le_bytes();
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend(count.iter().chain(&count));
        end.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
        end.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        end.extend([0; 2]);
        [body, directory, end].concat()
    }

    fn read(&self) -> Result<Package, String> {
        package(self.bytes())
    }
}

fn package(bytes: Vec<u8>) -> Result<Package, String> {
    dfu::read(&Read::from_memory("a.zip", bytes)).map_err(|problem| {
        assert_eq!((problem.file.as_str(), problem.exit), ("a.zip", Exit::Usage));
        problem.what
    })
}

/// What stops this package, which must hold these words.
fn stopped(bytes: Vec<u8>, expected: &str) {
    let what = package(bytes).map(|package| package.explain(None, &list()).to_string()).unwrap_err();
    assert!(what.contains(expected), "{expected}: {what}");
}

/// An unsigned package with this firmware in it, as somebody else's tool would make it.
pub(crate) fn package_around(firmware: &[u8]) -> Vec<u8> {
    Archive::of(Packet::of(firmware).unsigned(), firmware.to_vec()).bytes()
}

/// The same with this manifest, whatever it says.
pub(crate) fn package_with(manifest: &str) -> Vec<u8> {
    Archive::of(Packet::of(FIRMWARE).unsigned(), FIRMWARE.to_vec()).manifest(manifest).bytes()
}

/// A package as above, and a file in it that its manifest does not name.
pub(crate) fn package_beside(name: &str, bytes: &[u8]) -> Vec<u8> {
    package_beside_all(&[(name, bytes)])
}

pub(crate) fn package_beside_all(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Archive::of(Packet::of(FIRMWARE).unsigned(), FIRMWARE.to_vec());
    archive.files.extend(files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())));
    Archive { deflated: true, ..archive }.bytes()
}

/// An archive that is no package: only this file is in it.
pub(crate) fn archive_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    archive(&[(name, bytes)])
}

pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
    Archive { files, deflated: true }.bytes()
}

const FIRMWARE: &[u8] = b"firmware of a test, 32 bytes long";

fn spoilt(spoil: impl Fn(&mut Packet)) -> Vec<u8> {
    let mut packet = Packet::of(FIRMWARE);
    spoil(&mut packet);
    Archive::of(packet.unsigned(), FIRMWARE.to_vec()).bytes()
}

#[test]
fn the_signed_package_of_nrfutil_is_taken_by_a_bootloader_with_its_key_and_by_no_other() {
    let package = dfu::read(&read("nrf5sdk/app.zip")).unwrap();
    assert_eq!(package.verify(&key("p256-a")), []);
    let other = package.verify(&key("p256-b"));
    assert_eq!(other.len(), 1, "{other:?}");
    assert!(other[0].what.contains("`app-at-0x26000.dat` is not signed by key"), "{other:?}");

    let [firmware] = &package.firmwares[..] else { panic!("{package:?}") };
    let init = &firmware.init;
    assert_eq!((init.fw_version, init.hw_version, &init.sd_req[..]), (Some(4), Some(52), &[0xCA][..]));
    assert_eq!((init.kind, init.sd_size, init.bl_size, init.app_size), (Kind::Application, 0, 0, 1024));
    assert_eq!((init.is_debug, &init.boot_validation[..]), (false, &[Validation::Crc][..]));
    assert_eq!(init.sha256, Digest::of(&Flat::of(&application()).unwrap().bytes));
    let signature = init.signature.as_ref().unwrap();
    assert!(hex(&signature.little_endian).starts_with("523b0f3be89b2138"));
    assert!(signature.makers(&init.command).contains(&key("p256-a")), "the signature says who could have made it");
}

/// X and Y of the generator of P-256, which every program that verifies holds. [SEC 2, 2.4.2]
pub(crate) const GENERATOR: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                                    4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

#[test]
fn a_bootloader_in_a_package_shows_the_key_that_it_holds_and_whether_that_key_signed_it() {
    let own = Form::Nrf5SdkLe.bytes(&key("p256-a"));
    let curve = turned(&bytes_from_hex(GENERATOR).unwrap());
    let firmware = [&[0x11; 64][..], &own, &curve].concat();
    let manifest = r#"{"manifest": {"bootloader": {"bin_file": "a.bin", "dat_file": "a.dat"}}}"#;
    let packet = Packet { kind: Some(2), sizes: [0, firmware.len() as u64, 0], ..Packet::of(&firmware) };
    for (by, expected) in [("p256-a", "which this bootloader holds itself"), ("p256-b", "by one of the keys")] {
        let package = Archive::of(packet.signed(&signer(by)), firmware.clone()).manifest(manifest).read().unwrap();
        let [held] = &package.firmwares[0].keys[..] else { panic!("one key, and the curve is none: {package:?}") };
        assert_eq!((held.at, held.spki_sha256), (64, key("p256-a").spki_sha256()));
        let told = package.explain(None, &list()).to_string();
        assert!(told.contains("which checks later updates") && told.contains(expected), "{told}");
    }
    let application = Archive::of(Packet::of(&firmware).unsigned(), firmware.clone()).read().unwrap();
    assert!(application.firmwares[0].keys.is_empty(), "an application checks no updates");
}

#[test]
fn the_packages_of_nrfutil_are_explained() {
    let explain = |path: &str, key: Option<&PublicKey>| {
        let package = dfu::read(&read(path)).unwrap();
        package.explain(key, &list())
    };
    let signed = explain("nrf5sdk/app.zip", Some(&key("p256-a")));
    assert_eq!(signed.warnings(), Vec::<&str>::new());
    assert_eq!(
        signed.to_string(),
        "DFU package      nRF5 SDK secure DFU, 1 firmware\n  \
         application      app-at-0x26000.bin, 1024 bytes\n    \
         version          4\n    \
         hardware         52\n    \
         needs            s140_nrf52_7.0.1 (0xCA)\n    \
         sha256           fcc20d46dde7716977ee3722088eb9fbe13ada31a0320e72a12f99d97257f7f4\n    \
         checked          CRC32 at boot\n    \
         signature        ECDSA P-256, by key "
            .to_owned()
            + &key("p256-a").short()
            + "\n"
    );
    let wrong = explain("nrf5sdk/app.zip", Some(&key("p256-b")));
    assert_eq!(wrong.warnings().len(), 1, "{wrong}");
    let unknown = explain("nrf5sdk/app.zip", None).to_string();
    assert!(unknown.contains(&key("p256-a").short()), "{unknown}");
    let unsigned = explain("nrf5sdk/app-nokey.zip", None);
    assert!(unsigned.warnings()[0].starts_with("unsigned: "), "{unsigned}");
    assert!(
        dfu::read(&read("nrf5sdk/app-nokey.zip")).unwrap().verify(&key("p256-a"))[0].what.contains("is not signed")
    );
}

#[test]
fn the_values_for_machines_carry_what_the_tree_says() {
    let package = dfu::read(&read("nrf5sdk/app.zip")).unwrap();
    let json = serde_json::to_value(&package).unwrap();
    assert_eq!(json["firmwares"][0]["init"]["kind"], "application");
    assert_eq!(json["firmwares"][0]["init"]["sd_req"][0], 0xCA);
    assert_eq!(json["firmwares"][0]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn the_init_packets_of_nrfutil_are_made_again_byte_for_byte() {
    let packet = Packet::of(&Flat::of(&application()).unwrap().bytes);
    let bare = vector("nrf5sdk/app-nokey/app-at-0x26000.dat");
    assert_eq!(packet.unsigned(), bare);
    let signed = vector("nrf5sdk/app/app-at-0x26000.dat");
    let signature = &signed[signed.len() - 64..];
    assert_eq!(packet.signed_with(signature), signed, "all but the randomised signature");
    for (path, dat) in [("app", &signed), ("app-nokey", &bare)] {
        let package = dfu::read(&read(&format!("nrf5sdk/{path}.zip"))).unwrap();
        assert_eq!(dfu::Init::read(dat).unwrap(), package.firmwares[0].init);
    }
}

#[test]
fn the_key_of_nrfutil_is_the_key_in_all_its_forms() {
    let key = key("p256-a");
    let le = hex(&Form::Nrf5SdkLe.bytes(&key));
    assert!(String::from_utf8(vector("nrf5sdk/pk.hex.txt")).unwrap().contains(&le));
    let code = String::from_utf8(vector("nrf5sdk/pk.code.txt")).unwrap();
    let digits: String = code.split("0x").skip(1).filter_map(|rest| rest.get(..2)).collect();
    assert_eq!(digits, le);
    assert_eq!(Form::Nrf5SdkLe.key(&bytes_from_hex(&le).unwrap()), Some(key.clone()));
    // nrfutil breaks the lines of its PEM after 76 characters.
    assert_eq!(keys::read(&read("nrf5sdk/pk.pem.txt")).unwrap(), key);
    assert_eq!(keys::read_any(&read("nrf5sdk/pk.pem.txt")).unwrap().key.p256(), Some(key.clone()));
    for form in [Form::Nrf5SdkLe, Form::Spki, Form::Raw] {
        let bytes = form.bytes(&key);
        assert_eq!((bytes.len(), form.key(&bytes)), (form.len() as usize, Some(key.clone())));
    }
}

#[test]
fn a_package_signed_here_verifies_and_one_signed_with_a_refused_key_is_refused() {
    let dat = Packet::of(FIRMWARE).signed(&signer("p256-b"));
    let package = Archive::of(dat, FIRMWARE.to_vec()).read().unwrap();
    assert_eq!(package.verify(&key("p256-b")), []);
    assert_eq!(package.refused(&list()), []);
    let company = format!(
        "schema = 1\n[[refused]]\nspki_sha256 = \"{}\"\nreason = \"lost\"\ndate = \"2026-01-02\"\n",
        key("p256-b").spki_sha256()
    );
    let list = list().with_company(&Read::from_memory("refused-keys.toml", company.into())).unwrap();
    let refused = package.refused(&list);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].exit, Exit::KeyRefused);
    assert!(refused[0].what.contains("refuse list since 2026-01-02: lost"), "{}", refused[0]);
    assert!(package.explain(None, &list).warnings()[0].contains("signed by a key on the refuse list"));
}

#[test]
fn a_signature_that_no_key_can_have_made_is_told() {
    let packet = Packet::of(FIRMWARE);
    let package = Archive::of(packet.signed_with(&[0; 64]), FIRMWARE.to_vec()).read().unwrap();
    assert!(package.explain(None, &list()).warnings()[0].contains("damaged"));
    assert_eq!(package.verify(&key("p256-a")).len(), 1);
}

#[test]
fn firmware_that_is_not_what_the_init_packet_says_is_told() {
    let contradicted = |spoil: &dyn Fn(&mut Packet), expected: &str| {
        let mut packet = Packet::of(FIRMWARE);
        spoil(&mut packet);
        let package = Archive::of(packet.signed(&signer("p256-a")), FIRMWARE.to_vec()).read().unwrap();
        let problems = package.verify(&key("p256-a"));
        assert!(problems.iter().any(|problem| problem.what.contains(expected)), "{expected}: {problems:?}");
        assert!(package.explain(None, &list()).to_string().contains(expected));
    };
    contradicted(&|packet| packet.hash[0] ^= 1, "has the SHA-256");
    contradicted(&|packet| packet.sizes[2] += 1, "its init packet says 34");
    contradicted(&|packet| packet.sizes[0] = 5, "sd_size is 5 in an init packet for application");
    contradicted(&|packet| packet.sizes[2] = 0, "app_size is 0 in an init packet for application");
    contradicted(&|packet| packet.fw_version = None, "it has no fw_version");
    contradicted(&|packet| packet.hw_version = None, "it has no hw_version");
    contradicted(
        &|packet| packet.kind = Some(2),
        "the manifest lists it as application, its init packet is for bootloader",
    );
    let package = Archive::of(Packet { is_debug: 1, ..Packet::of(FIRMWARE) }.unsigned(), FIRMWARE.to_vec());
    assert!(package.read().unwrap().explain(None, &list()).to_string().contains("is_debug"));
    let package =
        Archive::of(Packet { fw_version: Some(0xFFFF_FFFF), ..Packet::of(FIRMWARE) }.unsigned(), FIRMWARE.to_vec());
    assert!(package.read().unwrap().explain(None, &list()).to_string().contains("no later version can follow"));
}

#[test]
fn an_init_packet_that_is_none_stops_with_its_offset() {
    for (expected, bytes) in [
        ("firmware type 9", spoilt(|packet| packet.kind = Some(9))),
        ("the init command at offset 0x6 has no type", spoilt(|packet| packet.kind = None)),
        ("hash of type 1", spoilt(|packet| packet.hash_type = 1)),
        ("SHA-256 of 31 bytes at offset 0x1c", spoilt(|packet| packet.hash.truncate(31))),
        ("boot_validation 7", spoilt(|packet| packet.validation = 7)),
        ("op_code 0", spoilt(|packet| packet.op_code = 0)),
        ("is_debug = 2", spoilt(|packet| packet.is_debug = 2)),
        ("fw_version at offset 0x6 is no number of 32 bits", spoilt(|packet| packet.fw_version = Some(1 << 32))),
        ("sd_req at offset 0xa is out of range", spoilt(|packet| packet.sd_req = proto::number(3, 1 << 32))),
        ("a list of numbers is damaged at offset 0xc", spoilt(|packet| packet.sd_req = proto::bytes(3, &[0xFF]))),
        ("boot_validation at offset 0x44 is a number", spoilt(|packet| packet.extra = proto::number(10, 1))),
        ("field 11 at offset 0x44 is not known", spoilt(|packet| packet.extra = proto::number(11, 0))),
        ("a second fw_version at offset 0x44", spoilt(|packet| packet.extra = proto::number(1, 9))),
        ("is damaged at offset 0x44", spoilt(|packet| packet.extra = vec![0x0D])),
        ("is damaged at offset 0x44", spoilt(|packet| packet.extra = vec![0xFF; 11])),
        ("is damaged at offset 0x44", spoilt(|packet| packet.extra = vec![0x5A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F])),
        ("takes more than 512", spoilt(|packet| packet.extra = proto::bytes(12, &[0; 500]))),
    ] {
        stopped(bytes, expected);
    }
    let packet = Packet::of(FIRMWARE);
    let signer = signer("p256-a");
    let with = |dat: Vec<u8>| Archive::of(dat, FIRMWARE.to_vec()).bytes();
    stopped(with(Vec::new()), "holds no command");
    stopped(with([packet.unsigned(), packet.signed(&signer)].concat()), "both a signed and an unsigned");
    stopped(with(packet.signed_with(&[1; 63])), "signature of 63 bytes");
    stopped(with(Packet { signature_type: 1, ..packet.clone() }.signed(&signer)), "Ed25519");
    stopped(with(vector("payload/app-at-0x26000.hex")), "takes more than 512");
}

#[test]
fn a_manifest_that_lies_stops() {
    let good = || Archive::of(Packet::of(FIRMWARE).unsigned(), FIRMWARE.to_vec());
    let with = |text: &str| good().manifest(text).bytes();
    let parts = r#""bin_file": "a.bin", "dat_file": "a.dat""#;
    let one = |inner: &str| with(&format!(r#"{{"manifest": {{{inner}}}}}"#));
    stopped(with("{}"), "missing field `manifest`");
    stopped(one(""), "lists no firmware");
    stopped(one(&format!(r#""app": {{{parts}}}"#)), "unknown field `app`");
    stopped(
        one(&format!(r#""application": {{{parts}}}, "application": {{{parts}}}"#)),
        "duplicate field `application`",
    );
    stopped(one(&format!(r#""application": {{{parts}, "init_packet_data": {{}}}}"#)), "before SDK 12");
    stopped(one(&format!(r#""application": {{{parts}}}, "dfu_version": 0.5"#)), "before SDK 12");
    stopped(one(r#""application": {"bin_file": "../a.bin", "dat_file": "a.dat"}"#), "names `../a.bin`");
    stopped(one(&format!(r#""application": {{{parts}}}, "bootloader": {{{parts}}}"#)), "names `a.bin`");
    let (secret, text) = (secret("p256-a"), STANDARD.encode(secret("p256-a")));
    for inner in [
        format!(r#""application": "{text}""#),
        format!(r#""application": {{"bin_file": ["{text}"], "dat_file": "a.dat"}}"#),
        format!(r#""{text}": {{{parts}}}"#),
        format!(r#""application": {{{parts}, "{text}": 1}}"#),
    ] {
        let problem = dfu::read(&Read::from_memory("a.zip", one(&inner))).unwrap_err();
        assert!(problem.what.contains("manifest.json is not one: line 1, column "), "{problem}");
        silent(&problem.what, &secret);
    }
    stopped(with(&" ".repeat(70_000)), "larger than 65536");
    let nested = "[".repeat(50_000);
    stopped(with(&nested), "manifest.json is not one");
    let mut bare = good();
    bare.files.truncate(2);
    stopped(bare.bytes(), "holds no manifest.json");
    let mut more = good();
    more.files.push(("extra.txt".into(), b"?".to_vec()));
    let package = more.read().unwrap();
    assert_eq!(package.unlisted, ["extra.txt"]);
    assert!(package.explain(None, &list()).to_string().contains("no device gets it"));
}

/// A bootloader of words that look like code, with these bytes at 0x200.
fn bootloader(inside: &[u8]) -> Map {
    let mut bytes: Vec<u8> = (0..1024_u32).flat_map(|word| (word.wrapping_mul(0x9E37_79B9)).to_le_bytes()).collect();
    bytes[0x200..0x200 + inside.len()].copy_from_slice(inside);
    Map::from_raw(&Read::from_memory("bl.bin", bytes), 0x7_8000).unwrap()
}

#[test]
fn the_package_inside_the_ble_driver_is_recognised_and_explained() {
    let Some(path) = std::env::var_os("ROOTSTAMP_REAL_DFU").map(PathBuf::from) else {
        // Without the download, its init packets alone, as they stand in the package.
        let softdevice = "0a4908011245 08ffffffff0f 1034 1a0300a501 2001 2884c107 3000 3800 4224 08031220 \
                          e416fab07c4314528f2a89c980ca6bf7134e65c0d31469fb67c9b16609dbd829 4801 52040801 1200";
        let init = dfu::Init::read(&bytes_from_hex(&softdevice.replace(' ', "")).unwrap()).unwrap();
        assert_eq!((init.kind, init.sd_size, &init.sd_req[..]), (Kind::Softdevice, 123_012, &[0, 0xA5][..]));
        assert!(init.is_debug && init.signature.is_none());
        return;
    };
    let package = dfu::read(&Read::from_memory("dfu.zip", fs::read(path).unwrap())).unwrap();
    let told = package.explain(None, &list());
    println!("{told}");
    assert_eq!(package.firmwares.len(), 2);
    assert!(package.firmwares.iter().all(|firmware| firmware.contradictions().is_empty()));
    assert_eq!(told.warnings().iter().filter(|why| why.starts_with("unsigned: ")).count(), 2, "{told}");
    assert!(told.to_string().contains("s132_nrf52_5.1.0"), "{told}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = package(bytes.clone());
        let _ = dfu::Init::read(&bytes);
        if let Ok(map) = Map::from_raw(&Read::from_memory("a.bin", bytes), 0xF_EFF0) {
            let _ = settings::read(&map, 0xF_F000);
            let _ = Flat::of(&map);
        }
    }

    #[test]
    fn no_mutation_of_a_package_is_taken_for_the_package(at in 0..1665_usize, value in any::<u8>()) {
        let good = vector("nrf5sdk/app.zip");
        let mut bytes = good.clone();
        bytes[at] = value;
        if let Ok(package) = package(bytes.clone())
            && package.verify(&key("p256-a")).is_empty()
        {
            // Dates, attributes and the version that made it are the only bytes nobody reads.
            let same = dfu::read(&read("nrf5sdk/app.zip")).unwrap();
            prop_assert_eq!(&package.firmwares[0].init, &same.firmwares[0].init);
            prop_assert_eq!(package.firmwares[0].sha256, same.firmwares[0].sha256);
        }
    }

    #[test]
    fn no_mutation_of_an_init_packet_keeps_its_signature(at in 0..140_usize, flip in 1..=255_u8) {
        let mut dat = vector("nrf5sdk/app/app-at-0x26000.dat");
        dat[at] ^= flip;
        if let Ok(init) = dfu::Init::read(&dat) {
            let signed = init.signature.as_ref().is_some_and(|signature| signature.is_by(&key("p256-a"), &init.command));
            prop_assert!(!signed);
        }
    }
}
