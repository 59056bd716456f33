//! Archives that pretend to be packages.

use std::{fs, process::Command};

use rootstamp::ident::hex;

use super::{Archive, FIRMWARE, Packet, package, stopped};

/// A stored archive, and a file of it as one of the outer archive too.
fn inside_each_other() -> Vec<u8> {
    let inner = Archive { files: vec![("inner.txt".into(), b"x".to_vec())], deflated: false }.bytes();
    let mut outer = Archive { files: vec![("outer.zip".into(), inner.clone())], deflated: false }.bytes();
    let directory = |zip: &[u8]| u32::from_le_bytes(zip[zip.len() - 6..zip.len() - 2].try_into().unwrap()) as usize;
    let mut entry = inner[directory(&inner)..inner.len() - 22].to_vec();
    let at = u32::try_from("PK\x03\x04".len() + 26 + "outer.zip".len()).unwrap();
    entry[42..46].copy_from_slice(&at.to_le_bytes());
    let end = outer.len() - 22;
    let size = u32::try_from(end - directory(&outer) + entry.len()).unwrap();
    outer[end + 8..end + 16].copy_from_slice(&[&[2, 0, 2, 0], &size.to_le_bytes()[..]].concat());
    outer.splice(end..end, entry);
    outer
}

#[test]
fn an_archive_that_lies_stops_with_one_clear_message() {
    let good = || Archive::of(Packet::of(FIRMWARE).unsigned(), FIRMWARE.to_vec());
    let bytes = good().bytes();
    assert!(package(bytes.clone()).is_ok());
    let end = bytes.len() - 22;
    let directory = u32::from_le_bytes(bytes[end + 16..end + 20].try_into().unwrap()) as usize;
    let put = |at: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    for (expected, bytes) in [
        ("too short", Vec::new()),
        ("too short", b"PK\x05\x06".to_vec()),
        ("no ZIP directory", [bytes.clone(), vec![0]].concat()),
        ("no ZIP directory", bytes[..end].to_vec()),
        ("several disks", put(end + 4, &[1])),
        ("claims 65535 files", put(end + 8, &[0xFF; 4])),
        ("does not end at", put(end + 12, &[0xFF; 4])),
        ("does not end at", put(end + 16, &[0xFF; 4])),
        ("damaged at offset", put(directory, b"XX")),
        ("is encrypted", put(directory + 8, &[1])),
        ("other than stored", put(directory + 10, &[12])),
        ("needs ZIP64", put(directory + 20, &[0xFF; 8])),
        ("two sizes differ", put(directory + 20, &[0xFE, 0xFF, 0xFF, 0xFF])),
        ("believed", put(directory + 20, &[0xFE, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF])),
        ("the header at offset 0x0 is none", put(0, b"XX")),
        ("contradicts the directory", put(30, b"b")),
        ("contradicts the directory", put(8, &[8])),
        ("another size or checksum", put(14, &[0])),
        ("CRC32 is", put(40, b"X")),
        ("contradicts the directory", put(directory + 42 + 51, &[0; 4])),
        ("59 bytes more than its files need", put(end + 8, &[2, 0, 2, 0])),
        ("claims 4096 bytes, which are not there", {
            let mut bytes = put(18, &[0, 0x10, 0, 0, 0, 0x10, 0, 0]);
            bytes[directory + 20..directory + 28].copy_from_slice(&[0, 0x10, 0, 0, 0, 0x10, 0, 0]);
            bytes
        }),
        ("`outer.zip` and `inner.txt` in it share bytes", inside_each_other()),
    ] {
        let what = package(bytes).map(|package| package.digest).unwrap_err();
        assert!(what.contains(expected), "{expected}: {what}");
    }
    for name in ["../a.txt", "/a.txt", "a\\b", "..", "a\u{1b}[2J", "folder/", ""] {
        let mut archive = good();
        archive.files.push((name.to_owned(), b"x".to_vec()));
        stopped(archive.bytes(), "no plain file name");
    }
    let mut twice = good();
    twice.files.push(("A.bin".into(), b"x".to_vec()));
    stopped(twice.bytes(), "is in it twice");
}

#[test]
fn a_deflated_package_is_read_and_a_bomb_is_not_unpacked() {
    let firmware = [vec![0xFF; 4096], FIRMWARE.to_vec()].concat();
    let mut archive = Archive::of(Packet::of(&firmware).unsigned(), firmware);
    archive.deflated = true;
    assert_eq!(archive.read().unwrap().firmwares[0].contradictions(), Vec::<String>::new());

    let wide = vec![0; 8 << 20];
    let mut bomb = Archive::of(Packet::of(&wide).unsigned(), wide);
    bomb.deflated = true;
    let bytes = bomb.bytes();
    assert!(bytes.len() < 20_000, "{}", bytes.len());
    stopped(bytes, "are believed");

    // The directory says less than the data unpack to, and more.
    let mut bytes = archive.bytes();
    let end = bytes.len() - 22;
    let directory = u32::from_le_bytes(bytes[end + 16..end + 20].try_into().unwrap()) as usize;
    for size in [16_u8, 0xFF] {
        for at in [22, directory + 24] {
            bytes[at] = size;
        }
        stopped(bytes.clone(), "not of the size the directory says");
    }
}

#[test]
fn another_unzip_agrees_about_our_archives() {
    let archive = Archive::of(Packet::of(FIRMWARE).unsigned(), FIRMWARE.to_vec());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let told = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let output = Command::new("python3").args(["-c", UNZIP]).arg(&path).output().ok()?;
        Some(String::from_utf8(output.stdout).unwrap())
    };
    for deflated in [false, true] {
        let archive = Archive { files: archive.files.clone(), deflated };
        let line = |(name, bytes): &(String, Vec<u8>)| format!("{name} {}\n", hex(bytes));
        let expected: String = archive.files.iter().map(line).collect();
        let Some(theirs) = told(&archive.bytes()) else { return };
        assert_eq!(theirs, expected);
        let mut damaged = archive.bytes();
        damaged[40] ^= 1;
        assert_ne!(told(&damaged), Some(expected), "another unzip that says the same of everything says nothing");
    }
}

/// Every file of an archive in its order: name, and contents as hexadecimal digits.
const UNZIP: &str = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1]) as archive:\n    for name in archive.namelist():\n        \
                     print(name, archive.read(name).hex())";
