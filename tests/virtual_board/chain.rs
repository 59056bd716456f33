//! A chain that boots, made here and not by the code under test, and every way to spoil it.

use p256::{
    ecdsa::{DerSignature, SigningKey, signature::hazmat::PrehashSigner as _},
    pkcs8::EncodePublicKey as _,
};
use rootstamp::virtual_board::{Board, Latch, NoBoot, Silicon, Slot};
use sha2::{Digest as _, Sha256};

use super::host::{DHCSR, HALT, Host};

const SLOT: u32 = 0x1_0000;
const KEY_HASH: u32 = 0x1000_1080;
const COUNTER: u32 = 0x1000_10A0;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

fn spki(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_public_key_der().unwrap().as_bytes().to_vec()
}

fn vectors(entry: u32) -> Vec<u8> {
    let words = std::iter::once(0x2000_8000).chain(std::iter::repeat_n(entry | 1, 15));
    words.flat_map(u32::to_le_bytes).collect()
}

pub(crate) fn bootloader() -> Vec<u8> {
    let mut bytes = vectors(0x200);
    bytes.resize(0x300, 0);
    bytes[0x40..0x5F].copy_from_slice(b"ROOTSTAMP STAND-IN BOOTLOADER\0\0");
    for (index, word) in [0x4C42_5352, SLOT, KEY_HASH, COUNTER, 16].into_iter().enumerate() {
        bytes[0x80 + 4 * index..][..4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn entry(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), value].concat()
}

fn area(magic: u16, entries: &[u8]) -> Vec<u8> {
    let length = u16::try_from(entries.len() + 4).unwrap();
    [&magic.to_le_bytes()[..], &length.to_le_bytes(), entries].concat()
}

/// imgtool's format: header, payload, protected entries, entries.
pub(crate) fn application(signer: &SigningKey, named: &SigningKey, counter: u32) -> Vec<u8> {
    let mut payload = vectors(SLOT + 0x200 + 0x180);
    payload.resize(0x200, 0);
    payload[0x40..0x5F].copy_from_slice(b"ROOTSTAMP STAND-IN APPLICATION\0");
    payload[0x80..0x8F].copy_from_slice(b"GW3 boot 1.4.2\0");
    let protected = area(0x6908, &entry(0x50, &counter.to_le_bytes()));
    let mut header = Vec::new();
    header.extend_from_slice(&0x96F3_B83D_u32.to_le_bytes());
    header.extend_from_slice(&0_u32.to_le_bytes());
    header.extend_from_slice(&0x200_u16.to_le_bytes());
    header.extend_from_slice(&u16::try_from(protected.len()).unwrap().to_le_bytes());
    header.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    header.resize(0x200, 0);
    let signed = [header, payload, protected].concat();
    let digest = Sha256::digest(&signed);
    let signature: DerSignature = signer.sign_prehash(&digest).unwrap();
    let entries = [entry(0x10, &digest), entry(0x02, &spki(named)), entry(0x22, signature.as_bytes())].concat();
    [signed, area(0x6907, &entries)].concat()
}

fn key_hash(of: &SigningKey) -> Vec<u8> {
    Sha256::digest(spki(of)).to_vec()
}

pub(crate) fn whole(silicon: Silicon) -> Board {
    let counter = [!1_u32, !3].map(u32::to_le_bytes).concat();
    Board::new(silicon, Latch::Lenient, 9)
        .holding(0, &bootloader())
        .holding(SLOT, &application(&key(1), &key(1), 3))
        .holding(KEY_HASH, &key_hash(&key(1)))
        .holding(COUNTER, &counter)
}

fn spoiled(address: u32, bytes: &[u8]) -> Result<String, NoBoot> {
    whole(Silicon::Old).holding(address, bytes).would_boot()
}

#[test]
fn a_whole_chain_boots_and_prints_its_line_a_little_later() {
    let mut host = Host { slot: Slot::with(whole(Silicon::Old)) };
    assert_eq!(host.board().would_boot().as_deref(), Ok("GW3 boot 1.4.2"));
    host.slot.rest(1_000_000);
    assert_eq!(host.slot.take_printed(), b"");
    host.slot.rest(5_000_000);
    assert_eq!(host.slot.take_printed(), b"GW3 boot 1.4.2\r\n");
    host.slot.rest(5_000_000_000);
    assert_eq!(host.slot.take_uart(), b"", "once per reset");
    host.slot.pin_reset();
    assert_eq!(host.slot.take_uart(), b"GW3 boot 1.4.2\r\n");
}

#[test]
fn a_closed_board_boots_like_an_open_one() {
    let mut slot = Slot::with(whole(Silicon::Hardened).holding(0x1000_1208, &[0; 4]));
    assert!(!slot.board().unwrap().is_open());
    assert_eq!(slot.take_uart(), b"GW3 boot 1.4.2\r\n");
}

#[test]
fn a_halted_board_prints_nothing_until_it_is_let_go() {
    let mut host = Host { slot: Slot::with(whole(Silicon::Old)) };
    host.connect().unwrap();
    host.write(DHCSR, HALT).unwrap();
    host.slot.rest(1_000_000_000);
    assert_eq!(host.slot.take_uart(), b"");
    host.write(DHCSR, 0xA05F_0000).unwrap();
    assert_eq!(host.slot.take_uart(), b"GW3 boot 1.4.2\r\n");
}

#[test]
fn every_way_to_spoil_a_chain_has_its_reason() {
    let rows: &[(&str, u32, &[u8], NoBoot)] = &[
        ("no mark", 0x40, b"X", NoBoot::NoBootloader),
        ("no table", 0x80, b"X", NoBoot::NoBootloader),
        ("slot outside flash", 0x84, &0x2000_0000_u32.to_le_bytes(), NoBoot::NoBootloader),
        ("stack outside RAM", 0, &0x1000_0000_u32.to_le_bytes(), NoBoot::Vectors),
        ("entry even", 4, &0x200_u32.to_le_bytes(), NoBoot::Vectors),
        ("entry behind the bootloader", 4, &(SLOT + 1).to_le_bytes(), NoBoot::Vectors),
        ("no image magic", SLOT, &[0], NoBoot::NoImage),
        ("image longer than flash", SLOT + 12, &u32::MAX.to_le_bytes(), NoBoot::NoImage),
        ("entry outside the application", SLOT + 0x204, &1_u32.to_le_bytes(), NoBoot::Vectors),
        ("no application mark", SLOT + 0x240, b"X", NoBoot::NoApplication),
        ("one bit of the payload", SLOT + 0x3F0, &[1], NoBoot::Digest),
        ("one bit of the banner", SLOT + 0x280, b"H", NoBoot::Digest),
        ("the key hash erased", KEY_HASH, &[0xFF; 32], NoBoot::KeyHash),
        ("one bit of the key hash", KEY_HASH + 31, &[key_hash(&key(1))[31] ^ 1], NoBoot::KeyHash),
        ("a counter above the image's", COUNTER + 8, &(!4_u32).to_le_bytes(), NoBoot::Rollback),
    ];
    for (name, address, bytes, reason) in rows {
        assert_eq!(spoiled(*address, bytes), Err(*reason), "{name}");
    }
    assert!(spoiled(COUNTER + 12, &(!9_u32).to_le_bytes()).is_ok(), "behind an empty slot nothing counts");
    assert_eq!(Board::new(Silicon::Old, Latch::Strict, 1).would_boot(), Err(NoBoot::NoBootloader), "blank");
}

#[test]
fn a_signature_of_another_key_does_not_boot() {
    let forged = application(&key(2), &key(1), 3);
    assert_eq!(spoiled(SLOT, &forged), Err(NoBoot::Signature));
    let other = application(&key(2), &key(2), 3);
    assert_eq!(spoiled(SLOT, &other), Err(NoBoot::KeyHash));
    assert_eq!(spoiled(SLOT, &application(&key(1), &key(1), 2)), Err(NoBoot::Rollback));
    assert!(spoiled(SLOT, &application(&key(1), &key(1), 4)).is_ok());
}
