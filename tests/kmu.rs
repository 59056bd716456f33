//! Keys for the KMU and the word for an immutable boot region: Nordic's own files, and what they may not hold.

use std::path::Path;

use proptest::prelude::*;
use rootstamp::{
    fault::{Exit, Problem},
    file::{self, Read},
    ident::{bytes_from_hex, hex},
    image::{
        FILE_LIMIT, Map,
        bootconf::{BootConf, Chip},
        kmu::{
            Algorithm, Attributes, BootChain, KeyFile, KeySlot, Kind, Metadata, Persistence, Policy, Role, Scheme,
            Source, Standing, UploadPolicy, Value, usage,
        },
    },
    keys::{read_any, refuse::RefuseList},
};

fn vector(name: &str) -> Read {
    file::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name), FILE_LIMIT).unwrap()
}

fn ed25519(name: &str) -> [u8; 32] {
    read_any(&vector(&format!("keys/{name}.pub.pem"))).unwrap().key.raw().try_into().unwrap()
}

fn read(text: &str) -> Result<KeyFile, Problem> {
    KeyFile::read(&Read::from_memory("k.json", text.into()))
}

fn list() -> RefuseList {
    RefuseList::built_in().unwrap()
}

fn file_of(slots: &[KeySlot]) -> KeyFile {
    KeyFile { slots: slots.to_vec() }
}

fn verifying(slot: u8, name: &str, persistence: Persistence) -> KeyFile {
    file_of(&[KeySlot::ed25519(slot, ed25519(name), persistence)])
}

const AES128: Attributes = Attributes {
    kind: Kind::Aes,
    bits: 128,
    persistence: Persistence::Default,
    usage: usage::DECRYPT,
    algorithm: Algorithm::Ctr,
    scheme: Scheme::Protected,
    slot: 100,
};

fn p256() -> KeySlot {
    let attributes = Attributes {
        kind: Kind::P256Public,
        bits: 256,
        persistence: Persistence::ReadOnly,
        usage: usage::VERIFY,
        algorithm: Algorithm::EcdsaSha256,
        scheme: Scheme::Raw,
        slot: 10,
    };
    let point = "042fc12e2355c974a576e956002a4689f7427e2c0dcee729ca77caceed605bcfd72b0442aa60164a4e00f139cd1570bdfa20c516939b0f5d52deb67a57bd3d40ad";
    KeySlot { attributes, value: Value::Public(bytes_from_hex(point).unwrap()) }
}

/// Every key file of Nordic's scripts, and what it was made from.
fn made_by_nordic() -> Vec<(&'static str, KeyFile)> {
    let secret = KeySlot { attributes: AES128, value: Value::Secret((0..16).collect()) };
    let all = ["ed25519-a", "ed25519-b", "ed25519-c"].map(ed25519);
    let west = |role, keys: &[[u8; 32]], policy| KeyFile::for_role(role, keys, policy).unwrap();
    vec![
        ("psa-ed25519-a-slot226-revokable.json", verifying(226, "ed25519-a", Persistence::Revokable)),
        ("psa-ed25519-a-slot226-read_only.json", verifying(226, "ed25519-a", Persistence::ReadOnly)),
        ("psa-ed25519-a-slot226-default.json", verifying(226, "ed25519-a", Persistence::Default)),
        ("psa-ed25519-a-slot242-revokable.json", verifying(242, "ed25519-a", Persistence::Revokable)),
        ("psa-ed25519-c-slot246-read_only.json", verifying(246, "ed25519-c", Persistence::ReadOnly)),
        ("psa-aes128-ctr-protected-slot100.json", file_of(&[secret])),
        ("psa-p256-pub-slot10.json", file_of(&[p256()])),
        ("west-bl-3-revokable/keyfile.json", west(Role::Bootloader, &all, UploadPolicy::Revokable)),
        ("west-bl-1-lock/keyfile.json", west(Role::Bootloader, &all[..1], UploadPolicy::Lock)),
        ("west-app-1/keyfile.json", west(Role::Application, &all[..1], UploadPolicy::LockLast)),
        ("west-protram/prot_ram_inv_slots.json", file_of(&[KeySlot::protected_ram()])),
    ]
}

#[test]
fn every_key_file_of_nordics_scripts_is_read_and_made_again_byte_for_byte() {
    let all = made_by_nordic();
    assert_eq!(all.len(), 11);
    for (name, made) in all {
        let file = vector(&format!("kmu/{name}"));
        assert_eq!(made.to_json(), file.text().unwrap(), "{name}");
        let read = KeyFile::read(&file).unwrap();
        assert_eq!(read, made, "{name}");
        assert_eq!(read.wrong(), [""; 0], "{name}");
        assert!(read.refused(&list()).is_empty(), "{name}");
    }
}

#[test]
fn the_list_of_keys_that_nordics_tool_stops_at_is_told_as_that() {
    let problem = KeyFile::read(&vector("kmu/keys.yaml")).unwrap_err();
    assert!(problem.what.contains("TypeError"), "{problem}");
}

#[test]
fn a_key_file_is_explained_and_a_secret_in_it_is_never_shown() {
    let west = KeyFile::read(&vector("kmu/west-bl-3-revokable/keyfile.json")).unwrap();
    insta::assert_snapshot!("kmu_west_bl_3", west.explain(&list()).to_string());
    let secret = KeyFile::read(&vector("kmu/psa-aes128-ctr-protected-slot100.json")).unwrap();
    let shown = format!("{} {secret:?} {}", secret.explain(&list()), serde_json::to_string(&secret).unwrap());
    assert!(shown.contains("16 secret bytes, not shown"), "{shown}");
    assert!(!shown.contains("000102"), "{shown}");
}

#[test]
fn a_published_key_is_refused_in_a_key_file_and_its_neighbour_is_not() {
    let published: serde_json::Value = serde_json::from_slice(&vector("known-dev-keys.json").bytes).unwrap();
    let raw = |kind: &str| -> Vec<Vec<u8>> {
        let keys = published["keys"].as_array().unwrap().iter().filter(|key| key["type"] == kind);
        keys.map(|key| bytes_from_hex(key["raw_hex"].as_str().unwrap()).unwrap()).collect()
    };
    let list = list();
    let (edwards, weierstrass) = (raw("ed25519"), raw("ecdsa-p256"));
    assert!((edwards.len(), weierstrass.len()) == (53, 55), "{} {}", edwards.len(), weierstrass.len());
    for key in edwards {
        let slot = KeySlot::ed25519(242, key.clone().try_into().unwrap(), Persistence::ReadOnly);
        let file = read(&file_of(&[slot]).to_json()).unwrap();
        assert_eq!(file.refused(&list)[0].0, 242);
        assert!(file.explain(&list).warnings()[0].contains("published"), "{}", hex(&key));
        let mut neighbour: [u8; 32] = key.try_into().unwrap();
        neighbour[31] ^= 1;
        assert!(file_of(&[KeySlot::ed25519(242, neighbour, Persistence::ReadOnly)]).refused(&list).is_empty());
    }
    for key in weierstrass {
        let slot = KeySlot { value: Value::Public([&[4][..], &key].concat()), ..p256() };
        assert_eq!(read(&file_of(&[slot]).to_json()).unwrap().refused(&list).len(), 1);
    }
}

/// A key file of one entry.
fn entry(metadata: &str, value: &str) -> String {
    format!(r#"{{"version":0,"keyslots":[{{"metadata":"{metadata}","value":"{value}"}}]}}"#)
}

fn metadata_of(attributes: &Attributes) -> String {
    format!("0x{}", hex(&attributes.encode()))
}

#[test]
fn a_private_half_in_a_key_file_is_refused_and_not_printed() {
    for (kind, algorithm, bits) in
        [(Kind::Ed25519Pair, Algorithm::EddsaPure, 255), (Kind::P256Pair, Algorithm::EcdsaSha256, 256)]
    {
        let attributes = Attributes { kind, algorithm, bits, scheme: Scheme::Raw, usage: usage::SIGN, ..AES128 };
        let scalar = "5a".repeat(32);
        let problem = read(&entry(&metadata_of(&attributes), &format!("0x{scalar}"))).unwrap_err();
        assert_eq!(problem.exit, Exit::KeyRefused);
        assert!(problem.what.contains("private key") && !problem.what.contains("5a5a"), "{problem}");
    }
}

/// Whatever metadata call them: an upload tool may have taken the wrong of two files.
#[test]
fn a_seed_or_scalar_that_a_key_file_calls_public_is_refused_beside_its_public_key_and_not_printed() {
    use crate::keys::secrets::{secret, silent};
    let slot = |kind: Kind, number: u8, value: &[u8]| {
        let attributes =
            Attributes { slot: number, ..KeySlot::ed25519(226, [1; 32], Persistence::ReadOnly).attributes };
        let attributes =
            if kind == Kind::P256Public { Attributes { slot: number, ..p256().attributes } } else { attributes };
        format!(r#"{{"metadata":"{}","value":"0x{}"}}"#, metadata_of(&attributes), hex(value))
    };
    let file = |slots: &[String]| format!(r#"{{"version":0,"keyslots":[{}]}}"#, slots.join(","));
    let raw = |name: &str| read_any(&vector(&format!("keys/{name}.spki.der"))).unwrap().key.raw().to_vec();
    let ed = |number: u8, value: &[u8]| slot(Kind::Ed25519Public, number, value);
    let backwards = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
    let point = slot(Kind::P256Public, 10, &[&[4], &raw("p256-a")[..]].concat());
    for (name, slots) in [
        ("ed25519-a", vec![ed(242, &secret("ed25519-a")), ed(244, &raw("ed25519-a"))]),
        ("ed25519-a", vec![ed(242, &raw("ed25519-a")), ed(244, &raw("ed25519-b")), ed(246, &secret("ed25519-a"))]),
        ("x25519-a", vec![ed(242, &secret("x25519-a")), ed(244, &raw("x25519-a"))]),
        ("p256-a", vec![ed(242, &secret("p256-a")), point.clone()]),
        ("p256-a", vec![point.clone(), ed(242, &backwards(&secret("p256-a")))]),
    ] {
        let problem = read(&file(&slots)).unwrap_err();
        assert_eq!(problem.exit, Exit::KeyRefused, "{name}: {problem}");
        assert!(problem.what.contains("beside its public key"), "{name}: {problem}");
        silent(&format!("{problem} {problem:?}"), &secret(name));
    }
    let strangers = file(&[ed(242, &raw("ed25519-b")), ed(244, &raw("ed25519-c")), point]);
    assert!(read(&strangers).is_ok());
}

#[test]
fn what_is_no_ed25519_key_is_refused_with_its_slot() {
    let attributes = KeySlot::ed25519(242, [1; 32], Persistence::ReadOnly).attributes;
    let weak = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    for value in [&"00".repeat(32), &format!("01{}", "00".repeat(31)), &"ff".repeat(32), weak] {
        let problem = read(&entry(&metadata_of(&attributes), &format!("0x{value}"))).unwrap_err();
        assert!(problem.what.contains("slot 242: its value is no Ed25519 key"), "{problem}");
        assert_eq!(problem.exit, Exit::Usage);
    }
}

#[test]
fn a_key_file_that_lies_is_refused_without_showing_what_it_holds() {
    let good = metadata_of(&AES128);
    let value = format!("0x{}", "77".repeat(16));
    let changed = |at: usize, digits: &str| {
        let mut metadata = good.clone();
        metadata.replace_range(2 + at * 2..2 + at * 2 + digits.len(), digits);
        entry(&metadata, &value)
    };
    let text = entry(&good, &value);
    for (text, expected) in [
        (String::new(), "is no key file"),
        ("[]".to_owned(), "is no key file"),
        ("{".to_owned(), "cut off"),
        ("{}".to_owned(), "expected are version"),
        (text[..text.len() - 3].to_owned(), "cut off"),
        (text.replace("\"version\":0", "\"version\":1"), "version 1"),
        (text.replace("\"version\":0", "\"version\":0,\"version\":0"), "nothing twice"),
        (text.replace("\"version\":0", "\"version\":0,\"more\":0"), "nothing else"),
        (text.replace("\"value\":", "\"value\":\"0x00\",\"value\":"), "nothing twice"),
        ("{\"version\":0,\"keyslots\":".to_owned() + &"[".repeat(100_000), "expected are version"),
        ("{\"version\":0,\"keyslots\":[]}".to_owned(), "without a key"),
        (format!(r#"{{"version":0,"keyslots":[["{good}","{value}"]]}}"#), "are objects"),
        ("{\"version\":0,}".to_owned(), "this is no JSON"),
        (entry("0x00", &value), "56 hexadecimal digits"),
        (entry(&good, "77"), "neither 0x"),
        (entry(&good, "0x777"), "neither 0x"),
        (entry(&good, "0x77"), "1 bytes long, its metadata say 16"),
        (entry(&good, "TRNG:-1"), "no number of random bytes"),
        (entry(&good, "TRNG:4294967296"), "no number of random bytes"),
        (entry(&good, "TRNG:+16"), "no number of random bytes"),
        (changed(0, "ffff"), "key type 0xFFFF"),
        (changed(4, "09"), "persistence"),
        (changed(6, "00"), "not one of a key in the KMU"),
        (changed(12, "ff"), "the algorithm 0x04C010FF"),
        (changed(16, "01"), "second algorithm"),
        (changed(21, "70"), "the id 0x7FFF7064"),
        (changed(22, "00"), "the id 0x7F000064"),
        (changed(2, "0000"), "its metadata say 0 bits"),
        (entry(&metadata_of(&Attributes { bits: 0, ..AES128 }), "0x"), "its metadata say 0 bits"),
    ] {
        let problem = read(&text).unwrap_err();
        assert!(problem.what.contains(expected), "{problem}, expected {expected}");
        assert!(!problem.what.contains("7777"), "{problem}");
    }
    let point = |value: &str| read(&entry(&metadata_of(&p256().attributes), value)).unwrap_err().what;
    assert!(point(&format!("0x04{}", "01".repeat(64))).contains("no point of the curve"));
    assert!(point(&format!("0x03{}", "01".repeat(64))).contains("begins with 04"));
    let huge = Read::from_memory("k.json", vec![b' '; 1 << 20]);
    assert!(KeyFile::read(&huge).unwrap_err().what.contains("larger than"));
    let twice = file_of(&[
        KeySlot::ed25519(242, ed25519("ed25519-a"), Persistence::ReadOnly),
        KeySlot::ed25519(243, ed25519("ed25519-b"), Persistence::ReadOnly),
    ]);
    assert!(read(&twice.to_json()).unwrap_err().what.contains("slot 243 is taken by two keys"));
}

/// About every second number of 32 bytes is a point of Ed25519, whatever metadata call it.
#[test]
fn a_private_half_that_metadata_call_an_ed25519_public_key_is_not_shown() {
    use crate::keys::secrets::{secret, silent};
    let attributes = KeySlot::ed25519(242, [1; 32], Persistence::ReadOnly).attributes;
    let mut taken = 0;
    for name in ["p256-a", "ed25519-a", "x25519-a"] {
        let secret = secret(name);
        for value in [secret.clone(), secret.iter().rev().copied().collect()] {
            match read(&entry(&metadata_of(&attributes), &format!("0x{}", hex(&value)))) {
                Ok(file) => {
                    taken += 1;
                    silent(
                        &format!("{} {file:?} {}", file.explain(&list()), serde_json::to_string(&file).unwrap()),
                        &secret,
                    );
                }
                Err(problem) => silent(&problem.to_string(), &secret),
            }
        }
    }
    assert!(taken > 0, "one of them is a point");
}

#[test]
fn a_key_takes_as_many_slots_as_its_bytes_need_whatever_their_number() {
    for (bytes, slots) in [(1, 1), (15, 1), (16, 1), (17, 2), (32, 2), (33, 3), (48, 3), (49, 4)] {
        let attributes = Attributes { kind: Kind::RawData, bits: bytes * 8, ..AES128 };
        assert_eq!(attributes.slots(), slots, "{bytes} bytes");
    }
    assert_eq!(p256().attributes.slots(), 4, "the 04 before a point is not kept");
    let raw = Attributes { kind: Kind::RawData, algorithm: Algorithm::None, bits: 33 * 8, slot: 100, ..AES128 };
    let slot = |attributes: &Attributes, bytes: usize| {
        format!(r#"{{"metadata":"{}","value":"0x{}"}}"#, metadata_of(attributes), "77".repeat(bytes))
    };
    let next = Attributes { slot: 102, ..AES128 };
    let file = format!(r#"{{"version":0,"keyslots":[{},{}]}}"#, slot(&raw, 33), slot(&next, 16));
    assert!(read(&file).unwrap_err().what.contains("slot 102 is taken by two keys"));
}

#[test]
fn what_nordics_script_refuses_of_a_key_is_told() {
    let public = KeySlot::ed25519(242, [1; 32], Persistence::ReadOnly).attributes;
    for (attributes, expected) in [
        (Attributes { scheme: Scheme::Protected, ..public }, "cannot be PROTECTED"),
        (Attributes { usage: usage::DECRYPT | usage::EXPORT, ..AES128 }, "cannot be exported"),
        (Attributes { bits: 64, ..AES128 }, "a key of 64 bits"),
        (Attributes { usage: usage::VERIFY, ..AES128 }, "may verify"),
        (Attributes { algorithm: Algorithm::Ctr, ..public }, "does not go with a Ed25519 public key"),
        (Attributes { bits: 256, ..public }, "a key of 256 bits"),
        (Attributes { usage: usage::ENCRYPT, ..public }, "may encrypt"),
        (Attributes { persistence: Persistence::Volatile, ..public }, "was not locked"),
        (Attributes { slot: 249, ..public }, "past the last, 249"),
    ] {
        let wrong = attributes.wrong();
        assert!(wrong.iter().any(|wrong| wrong.contains(expected)), "{wrong:?}, expected {expected}");
    }
    assert_eq!(public.wrong(), [""; 0]);
    for keys in [&[][..], &[[1; 32], [2; 32], [3; 32], [4; 32]]] {
        let refused = KeyFile::for_role(Role::Updatable, keys, UploadPolicy::Lock).unwrap_err();
        assert_eq!(refused, format!("{} keys for UROT_PUBKEY; it has slots for 1 to 3", keys.len()));
    }
    assert!(KeyFile::for_role(Role::Updatable, &[[1; 32], [1; 32]], UploadPolicy::Lock).unwrap_err().contains("twice"));
    let last = KeyFile::for_role(Role::Updatable, &[[1; 32], [2; 32]], UploadPolicy::LockLast).unwrap();
    let kept: Vec<Persistence> = last.slots.iter().map(|slot| slot.attributes.persistence).collect();
    assert_eq!(kept, [Persistence::Revokable, Persistence::ReadOnly]);
}

#[test]
fn the_slots_that_a_verifier_reads_follow_from_the_boot_chain() {
    for (chain, first) in [
        (BootChain::Nsib, 242),
        (BootChain::McubootUnderNsib, 226),
        (BootChain::McubootAloneBefore3_2, 226),
        (BootChain::McubootAloneFrom3_2, 242),
        (BootChain::McubootAloneFrom3_2UrotMapping, 226),
    ] {
        assert_eq!(chain.role().slots()[0], first, "{chain:?}");
    }
    assert_eq!(Role::of(244), Some((Role::Bootloader, 1)));
    assert_eq!((Role::of(243), Role::of(204)), (None, Some((Role::Application, 1))));
}

#[test]
fn the_structures_for_a_slot_are_those_put_together_from_the_documentation() {
    let told: serde_json::Value = serde_json::from_slice(&vector("kmu/src-structs.json").bytes).unwrap();
    let told = told.as_array().unwrap();
    let made: Vec<(u8, Source)> = [
        ("ed25519-a", Policy::Revokable, 242),
        ("ed25519-b", Policy::Revokable, 244),
        ("ed25519-c", Policy::Locked, 246),
        ("ed25519-a", Policy::Locked, 226),
    ]
    .into_iter()
    .flat_map(|(key, policy, slot)| Source::ed25519(&ed25519(key), policy, slot).unwrap())
    .collect();
    assert_eq!((told.len(), made.len()), (8, 8));
    for ((slot, source), told) in made.iter().zip(told) {
        assert_eq!(
            (u64::from(*slot), hex(&source.encode())),
            (told["keyslot"].as_u64().unwrap(), told["hex"].as_str().unwrap().to_owned())
        );
        assert_eq!(Source::decode(&source.encode()), Some(*source));
        // The list names two files that the vectors do not hold.
        let file = told["file"].as_str().unwrap();
        if !file.contains("ed25519-c") {
            assert_eq!(vector(file).bytes, source.encode(), "{told}");
        }
    }
}

#[test]
fn a_key_file_becomes_the_structures_that_the_verifiers_slots_take() {
    let west = KeyFile::read(&vector("kmu/west-bl-3-revokable/keyfile.json")).unwrap();
    let read: Vec<u8> = west.read_by(BootChain::McubootAloneFrom3_2).iter().map(|slot| slot.attributes.slot).collect();
    assert_eq!(read, [242, 244, 246]);
    assert!(west.read_by(BootChain::McubootUnderNsib).is_empty(), "those keys are in other slots");
    let sources = west.slots[0].sources().unwrap();
    assert_eq!(sources, Source::ed25519(&ed25519("ed25519-a"), Policy::Revokable, 242).unwrap());
    assert_eq!(sources[0].1.encode().to_vec(), vector("kmu/src-ed25519-a-revokable-slot242.bin").bytes);
    assert_eq!(p256().sources().unwrap().len(), 4);
    let not_built = "only public keys that verify are put together here";
    assert_eq!(KeySlot::protected_ram().sources().unwrap_err(), not_built);
    let volatile = KeySlot::ed25519(242, [1; 32], Persistence::Volatile);
    assert_eq!(volatile.sources().unwrap_err(), "a slot cannot be volatile");
    let mut signs = KeySlot::ed25519(242, [1; 32], Persistence::ReadOnly);
    signs.attributes.usage = usage::VERIFY | usage::EXPORT;
    assert_eq!(signs.sources().unwrap_err(), not_built, "its metadata would say less than its attributes");
}

#[test]
fn metadata_says_what_it_is_made_of_and_whether_it_is_published() {
    assert_eq!(Metadata::ed25519(Policy::Revokable).encode(), 0x11BA_0030);
    assert_eq!(Metadata::ed25519(Policy::Locked).encode(), 0x113A_0030);
    assert_eq!(Metadata::ed25519(Policy::Rotating).encode(), 0x10BA_0030);
    assert_eq!(Metadata::ed25519(Policy::Locked).standing(), Standing::Published);
    for derived in [Metadata::ed25519(Policy::Rotating), Metadata::p256(Policy::Locked)] {
        assert_eq!(derived.standing(), Standing::Derived);
    }
    assert_eq!(Metadata::decode(0x11BA_0030), Some(Metadata::ed25519(Policy::Revokable)));
    // The published row of a key that can be deleted: it signs too. [nordic-facts 0.14]
    let row = Metadata::decode(0x18BA_0030).unwrap();
    assert_eq!((row.policy, row.usage), (Policy::Rotating, 0b1100));
    assert_eq!((Metadata::decode(u32::MAX), Metadata::decode(0x11BA_0031)), (None, None));
    let point: [u8; 64] = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let four = Source::p256(&point, Policy::Locked, 10).unwrap();
    let places: Vec<(u8, u32)> = four.iter().map(|(slot, source)| (*slot, source.destination)).collect();
    assert_eq!(places, [(10, 0x2000_0000), (11, 0x2000_0010), (12, 0x2000_0020), (13, 0x2000_0030)]);
    assert_eq!((four[3].1.value[0], four[3].1.metadata), (48, u32::MAX));
    assert!(Source::ed25519(&[0; 32], Policy::Locked, 249).unwrap_err().contains("past the last"));
}

#[test]
fn the_word_for_an_immutable_boot_region_is_made_as_nordics_script_makes_it() {
    for (name, chip, bytes) in [
        ("nrf54l15-0x7800", Chip::L05L10L15, 0x7800),
        // The script was asked for 32 KiB and shortened that with a warning: the last is not protected.
        ("nrf54l15-0x8000", Chip::L05L10L15, 0x7C00),
        ("nrf54lm20a-0x7800", Chip::Lm20Lv10, 0x7800),
        ("nrf54ls05b-0x7800", Chip::Ls05b, 0x7800),
    ] {
        let file = vector(&format!("bootconf/{name}.hex"));
        let made = BootConf::immutable(chip, bytes).unwrap();
        assert_eq!(made.intel_hex().as_bytes(), file.bytes, "{name}");
        let read = BootConf::read(&Map::from_hex(&file).unwrap()).unwrap();
        assert_eq!((read, read.kib(chip) * 1024), (made, bytes), "{name}");
        assert_eq!(read.wrong(chip, bytes), [""; 0], "{name}");
    }
    let shortened = BootConf::read(&Map::from_hex(&vector("bootconf/nrf54l15-0x8000.hex")).unwrap()).unwrap();
    assert!(shortened.wrong(Chip::L05L10L15, 0x8000)[0].contains("ends before the bootloader"));
    assert!(BootConf::immutable(Chip::L05L10L15, 0x8000).unwrap_err().contains("stay writable"));
    assert!(BootConf::immutable(Chip::L05L10L15, 0x7801).unwrap_err().contains("whole KiB"));
    assert!(BootConf::immutable(Chip::L05L10L15, 0).is_err());
    assert_eq!(BootConf::immutable(Chip::Ls05b, 1023 * 1024).map(|made| made.kib(Chip::Ls05b)), Ok(1023));
    assert!(shortened.explain(Chip::L05L10L15).to_string().contains("31 KiB"));
}

#[test]
fn a_word_that_protects_nothing_is_told() {
    for (word, expected) in [
        (u32::MAX, "erased"),
        (0x001E_200F, "may be written"),
        (0x001E_2009, "nothing would start"),
        (0x001E_2005, "not secure"),
        (0x001E_000D, "not locked"),
        (0x003E_200D, "not known"),
    ] {
        let wrong = BootConf { word }.wrong(Chip::L05L10L15, 0x7800);
        assert!(wrong.iter().any(|wrong| wrong.contains(expected)), "{word:08X} {wrong:?}");
    }
    let no = |at: u32, bytes: &[u8]| {
        let map = Map::from_raw(&Read::from_memory("b.bin", bytes.to_vec()), at).unwrap();
        BootConf::read(&map).unwrap_err().what
    };
    assert!(no(0x00FF_D080, &[0x0D, 0x30, 0x1E]).contains("early releases"));
    assert!(no(0x00FF_D084, &[0; 4]).contains("0x00FFD080"));
    assert!(no(0x00FF_D080, &[0; 8]).contains("one word"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_of_key_files_panic(text in "\\PC{0,300}") {
        let _ = read(&text);
        let _ = read(&format!("{{{text}"));
    }

    #[test]
    fn no_entry_makes_the_reader_of_key_files_panic(metadata in any::<[u8; 28]>(), good in any::<bool>(), place in 0usize..28, value in "(0x[0-9a-f]{0,80}|TRNG:[0-9]{0,6})") {
        let mut bytes = if good { AES128.encode() } else { metadata };
        bytes[place] = metadata[place];
        if let Ok(file) = read(&entry(&format!("0x{}", hex(&bytes)), &value)) {
            let again = read(&file.to_json()).unwrap();
            prop_assert_eq!(&again, &file);
            let _ = (file.explain(&list()).to_string(), file.wrong());
        }
    }

    #[test]
    fn a_source_structure_is_read_as_it_is_written(bytes in any::<[u8; 28]>()) {
        if let Some(source) = Source::decode(&bytes) {
            prop_assert_eq!(source.encode(), bytes);
            if let Some(metadata) = Metadata::decode(source.metadata) {
                prop_assert_eq!(metadata.encode(), source.metadata);
            }
        }
    }
}
