//! Each published development key, in every carrier in which it can reach a station.

use std::{fmt::Write as _, sync::LazyLock};

use proptest::prelude::*;
use rootstamp::{
    fault::{Exit, Problem},
    file::{self, Read},
    ident::{Digest, bytes_from_hex, hex},
    image::{Map, scan},
    keys::{
        self, Algorithm, AnyKey, Hash, NsibHash, NsibRule,
        refuse::{Form, Known, RefuseList, Sighting},
    },
};
use serde_json::Value;

use super::{any::key, little_endian, secrets::category};

fn list() -> &'static RefuseList {
    static LIST: LazyLock<RefuseList> = LazyLock::new(|| RefuseList::built_in().unwrap());
    &LIST
}

/// The source list: everything derived from each key, by those who found it.
pub(crate) fn published() -> &'static [Value] {
    static KEYS: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../vectors/known-dev-keys.json")).unwrap());
    let keys = KEYS["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 170);
    keys
}

pub(crate) fn field(key: &Value, name: &str) -> Option<Vec<u8>> {
    key[name].as_str().map(|hex| bytes_from_hex(hex).unwrap())
}

pub(crate) fn spki(key: &Value) -> Vec<u8> {
    field(key, "spki_der_hex").unwrap()
}

fn is(key: &Value, name: &Digest) -> bool {
    name.to_string() == key["spki_sha256"].as_str().unwrap()
}

fn sighted<'l>(key: &Value, found: &[Sighting<'l>], form: Form) -> Option<Sighting<'l>> {
    found.iter().find(|sighting| is(key, &sighting.refused.spki_sha256) && sighting.form == form).copied()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use p256::pkcs8::der::pem::{LineEnding, encode_string};
    encode_string(label, LineEnding::LF, der).unwrap()
}

/// A DER value: tag, shortest length, contents.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = match body.len() {
        short @ 0..0x80 => vec![u8::try_from(short).unwrap()],
        middle @ 0x80..0x100 => vec![0x81, u8::try_from(middle).unwrap()],
        long => [&[0x82], &u16::try_from(long).unwrap().to_be_bytes()[..]].concat(),
    };
    [&[tag][..], &length, &body].concat()
}

/// A certificate around a key: nobody's signature, everything else in its place.
fn certificate(spki: &[u8]) -> Vec<u8> {
    let algorithm = der(0x30, &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"]);
    let name = der(0x30, &[&der(0x31, &[&der(0x30, &[b"\x06\x03\x55\x04\x03", b"\x0c\x03GW3"])])]);
    let dates = der(0x30, &[b"\x17\x0d261120000000Z", b"\x17\x0d361120000000Z"]);
    let signed = der(0x30, &[b"\xa0\x03\x02\x01\x02", b"\x02\x01\x07", &algorithm, &name, &dates, &name, spki]);
    der(0x30, &[&signed, &algorithm, &der(0x03, &[b"\x00\x30\x06\x02\x01\x01\x02\x01\x01"])])
}

/// As a toolchain's output: a hex file of an image that holds these bytes between others.
fn image(inside: &[u8]) -> Map {
    let bytes = [&[0xA5; 61][..], inside, &[0xFF; 19]].concat();
    let mut text = String::new();
    for (index, chunk) in bytes.chunks(16).enumerate() {
        let at = u16::try_from(16 * index).unwrap();
        let head = [&[u8::try_from(chunk.len()).unwrap()], &at.to_be_bytes()[..], &[0], chunk].concat();
        let sum = head.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
        writeln!(text, ":{}{sum:02x}", hex(&head)).unwrap();
    }
    Map::from_hex(&Read::from_memory("bootloader.hex", (text + ":00000001FF\n").into())).unwrap()
}

/// The form has to be found alone, whatever else of the key stands around it.
fn every_form(key: &Value) -> Vec<(Form, Vec<u8>)> {
    let mut forms = vec![(Form::Spki, spki(key))];
    for (name, form) in [
        ("raw_hex", Form::Raw),
        ("nrf5sdk_pk_le_hex", Form::LittleEndian),
        ("modulus_hex", Form::Modulus),
        ("pkcs1_der_hex", Form::Pkcs1),
        ("raw_sha256", Form::RawHash),
        ("x962_uncompressed_sha256", Form::RawHash),
    ] {
        forms.extend(field(key, name).map(|bytes| (form, bytes)));
    }
    for (name, hash) in [("sha256", Hash::Sha256), ("sha384", Hash::Sha384), ("sha512", Hash::Sha512)] {
        forms.extend(field(&key["mcuboot_keyhash"], name).map(|bytes| (Form::KeyHash(hash), bytes)));
    }
    let rule = if key["type"] == "ed25519" { NsibRule::Sha512 } else { NsibRule::Sha256 };
    forms.extend(field(key, "nsib_hash16").map(|bytes| (Form::NsibHash(rule), bytes)));
    if key["type"] == "ed25519" {
        let older = field(key, "raw_sha256").unwrap()[..16].to_vec();
        forms.push((Form::NsibHash(NsibRule::Sha256), older));
    }
    forms
}

/// As two key slots hold a raw key of 32 bytes, apart from each other.
fn slots(key: &Value) -> Vec<Vec<u8>> {
    let halves = key["kmu_slot_values_hex"].as_array().into_iter().flatten();
    halves.map(|half| bytes_from_hex(half.as_str().unwrap()).unwrap()).collect()
}

#[test]
fn each_is_found_in_two_key_slots_and_not_in_one() {
    let list = list();
    let mut checked = 0;
    for published in published() {
        let slots = slots(published);
        let [first, second] = &slots[..] else { continue };
        let found = list.search(&[&[7; 5][..], first, &[0; 12], second, &[9; 12]].concat());
        assert!(sighted(published, &found, Form::Half(0)).is_some_and(|sighting| sighting.at == 5));
        assert!(sighted(published, &found, Form::Half(1)).is_some_and(|sighting| sighting.at == 33));
        assert!(list.search(first).is_empty() && list.search(second).is_empty());
        assert_eq!(list.refuses_bytes(second).unwrap().form, Form::Half(1));
        checked += 1;
    }
    assert_eq!(checked, 53);
}

#[test]
fn each_is_known_in_every_form_that_its_finders_computed() {
    let list = list();
    let mut checked = 0;
    for key in published() {
        for (form, bytes) in every_form(key) {
            // Where the raw key's hash is a KEYHASH at once, that is what it is called.
            let found = list.search(&[&[0x5A; 7][..], &bytes, &[0x5A; 5]].concat());
            let sighting = sighted(key, &found, form).unwrap_or_else(|| panic!("{form}: {key}"));
            assert_eq!((sighting.at, sighting.len), (7, bytes.len()), "{form}: {key}");
            let hit = list.refuses_bytes(&bytes).unwrap();
            assert!(is(key, &hit.refused.spki_sha256) && hit.form == form, "{hit}: {key}");
            checked += 1;
        }
    }
    assert_eq!(checked, 1019);
}

#[test]
fn each_key_file_is_refused_under_the_name_of_its_key() {
    let list = list();
    for published in published() {
        let spki = spki(published);
        let certificate = certificate(&spki);
        let mut files = vec![
            spki.clone(),
            pem("PUBLIC KEY", &spki).into_bytes(),
            certificate.clone(),
            pem("CERTIFICATE", &certificate).into_bytes(),
        ];
        if let Some(pkcs1) = field(published, "pkcs1_der_hex") {
            files.push(pem("RSA PUBLIC KEY", &pkcs1).into_bytes());
            files.push(pkcs1);
        }
        for bytes in files {
            let found = list.search_file(&bytes);
            assert!(found.iter().any(|sighting| is(published, &sighting.refused.spki_sha256)), "{published}");
            match keys::read_any(&Read::from_memory("key", bytes)) {
                Ok(given) => {
                    let refused = list.refuses_key(&given.key).unwrap();
                    assert!(is(published, &refused.spki_sha256), "{refused}");
                    assert!(refused.to_string().starts_with("published development key \""), "{refused}");
                }
                Err(problem) => assert_eq!(problem.exit, Exit::Usage, "{problem}"),
            }
        }
    }
}

#[test]
fn each_kind_that_is_taken_is_taken_and_then_refused() {
    let list = list();
    let mut taken = 0;
    for published in published() {
        let ours = Algorithm::ALL.iter().any(|algorithm| published["type"] == algorithm.code());
        let key = AnyKey::from_spki(&spki(published));
        assert_eq!(key.is_ok(), ours, "{published}");
        let Ok(key) = key else { continue };
        assert_eq!(key.algorithm().code(), published["type"]);
        assert!(list.refuses_raw(key.raw()).is_some_and(|hit| is(published, &hit.refused.spki_sha256)));
        for hash in Hash::ALL {
            let hit = list.refuses_key_hash(&key.key_hash(hash)).unwrap();
            assert!(is(published, &hit.refused.spki_sha256), "{hit}");
        }
        for (rule, hash) in key.nsib_hashes() {
            let hit = list.refuses_nsib(hash).unwrap();
            assert!(is(published, &hit.refused.spki_sha256) && hit.form == Form::NsibHash(rule), "{hit}");
        }
        if let Some(little) = little_endian(&key) {
            assert_eq!(list.refuses_raw(&little).unwrap().form, Form::LittleEndian);
            let compressed = [&[2 + (key.raw()[63] & 1)], &key.raw()[..32]].concat();
            assert_eq!(list.refuses_raw(&compressed).unwrap().form, Form::Compressed);
            assert!(list.refuses_raw(&[&[4], key.raw()].concat()).is_some());
        }
        taken += 1;
    }
    assert_eq!(taken, 55 + 6 + 53 + 2 + 37 + 3);
}

#[test]
fn each_is_refused_inside_a_bootloader_image() {
    let list = list();
    for published in published() {
        for (form, bytes) in every_form(published) {
            let found = scan::keys(&image(&bytes), list);
            let here = found.iter().find(|found| {
                found.at == 61 && found.refused.as_ref().is_some_and(|refused| is(published, &refused.spki_sha256))
            });
            let inside_pkcs1 = matches!(form, Form::Spki | Form::Pkcs1);
            assert!(
                here.is_some() || inside_pkcs1 && found.iter().any(|found| found.refused.is_some()),
                "{form}: {published}"
            );
            assert!(found.iter().all(|found| !matches!(found.kind, scan::Kind::Private(_))), "{form}: {published}");
        }
    }
}

/// A text file of a tool's making, with another key in it.
fn rewritten(vector: &str, from: &str, to: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(vector);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{vector}");
    text.replace(from, to).into_bytes()
}

#[test]
fn each_that_a_key_slot_can_hold_is_found_in_nordics_key_file() {
    let list = list();
    let own = hex(key("ed25519-a").raw());
    let with = |raw: &str| rewritten("kmu/psa-ed25519-a-slot226-default.json", &own, raw);
    let mut checked = 0;
    for published in published().iter().filter(|key| key["type"] == "ed25519" || key["type"] == "x25519") {
        let raw = published["raw_hex"].as_str().unwrap();
        for raw in [raw.to_owned(), raw.to_ascii_uppercase()] {
            assert!(sighted(published, &list.search_file(&with(&raw)), Form::Raw).is_some(), "{published}");
        }
        checked += 1;
    }
    assert_eq!(checked, 55);
    assert!(list.search_file(&with(&own)).is_empty());
}

#[test]
fn each_that_an_nrf5_sdk_bootloader_can_hold_is_found_in_its_source_and_in_what_its_tool_prints() {
    let list = list();
    let own = little_endian(&key("p256-a")).unwrap();
    let source = |bytes: &[u8]| bytes.iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(", ");
    for published in published().iter().filter(|key| key["type"] == "ecdsa-p256") {
        let little = field(published, "nrf5sdk_pk_le_hex").unwrap();
        let printed = rewritten("nrf5sdk/pk.hex.txt", &hex(&own), &hex(&little));
        let written = [0, 32].iter().fold(rewritten("nrf5sdk/pk.code.txt", "pk", "pk"), |text, at| {
            let text = String::from_utf8(text).unwrap();
            text.replace(&source(&own[*at..at + 32]), &source(&little[*at..at + 32])).into_bytes()
        });
        for text in [printed, written] {
            assert!(sighted(published, &list.search_file(&text), Form::LittleEndian).is_some(), "{published}");
        }
    }
    assert!(list.search_file(&rewritten("nrf5sdk/pk.code.txt", "pk", "pk")).is_empty());
}

#[test]
fn each_that_signs_images_is_found_in_the_keyhash_of_an_application() {
    let list = list();
    let path = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/mcuboot").join(name);
    for (image, own, hash) in [
        ("p256.bin", "p256-a", Hash::Sha256),
        ("p384.bin", "p384-a", Hash::Sha384),
        ("ed25519-sha512.bin", "ed25519-a", Hash::Sha512),
    ] {
        let image = std::fs::read(path(image)).unwrap();
        let own = key(own).key_hash(hash);
        let at = image.windows(own.len()).position(|window| window == own).unwrap();
        for published in published() {
            let Ok(key) = AnyKey::from_spki(&spki(published)) else { continue };
            let mut image = image.clone();
            image[at..at + own.len()].copy_from_slice(&key.key_hash(hash));
            let map = Map::from_raw(&Read::from_memory("app.bin", image), 0xC000).unwrap();
            let found = scan::keys(&map, list);
            let here = found.iter().find(|found| found.at as usize == 0xC000 + at).unwrap();
            assert_eq!(here.kind, scan::Kind::Raw(Form::KeyHash(hash)), "{published}");
            assert!(here.what().contains("by its hash (MCUboot KEYHASH"), "{}", here.what());
            assert!(is(published, &here.refused.as_ref().unwrap().spki_sha256));
        }
        let map = Map::from_raw(&Read::from_memory("app.bin", image), 0xC000).unwrap();
        assert!(scan::keys(&map, list).is_empty());
    }
}

/// Provision data of the immutable bootloader: slots, then a count and hashes, each behind a token. [nordic-facts B2]
fn provision(hashes: &[NsibHash]) -> Vec<u8> {
    let mut data = vec![0; 48];
    data.extend(u32::try_from(hashes.len()).unwrap().to_le_bytes());
    for hash in hashes {
        data.extend(0x50FA_FFFF_u32.to_le_bytes());
        data.extend(hash.0);
    }
    data
}

#[test]
fn each_that_an_immutable_bootloader_could_trust_is_found_in_its_provision_data() {
    let list = list();
    let mut checked = 0;
    for published in published() {
        let Ok(own) = AnyKey::from_spki(&spki(published)) else { continue };
        for (rule, hash) in own.nsib_hashes() {
            let spare = key("p256-a").nsib_hash(NsibRule::Sha256).unwrap();
            let found = list.search(&provision(&[spare, hash]));
            assert_eq!(found.len(), 1);
            assert!(sighted(published, &found, Form::NsibHash(rule)).is_some_and(|sighting| sighting.at == 76));
            checked += 1;
        }
    }
    assert_eq!(checked, 55 + 2 * 53);
}

/// A valid key that differs in as little as the curve allows.
pub(crate) fn neighbour(key: &AnyKey) -> AnyKey {
    let raw = key.raw();
    let from = |raw: &[u8]| AnyKey::from_raw(key.algorithm(), raw).ok().filter(|neighbour| neighbour != key);
    let p = match key.algorithm() {
        Algorithm::P256 => "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        Algorithm::P384 => {
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff"
        }
        Algorithm::Ed25519 | Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072 => "",
    };
    if !p.is_empty() {
        // The mirrored point has the same X: p - y.
        let p = bytes_from_hex(p).unwrap();
        let mut borrow = 0;
        let mut mirrored = raw.to_vec();
        for at in (0..p.len()).rev() {
            let difference = i32::from(p[at]) - i32::from(raw[p.len() + at]) - borrow;
            borrow = i32::from(difference < 0);
            mirrored[p.len() + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        return from(&mirrored).unwrap();
    }
    let flipped = |bit: usize| {
        let mut raw = raw.to_vec();
        raw[bit / 8] ^= 1 << (bit % 8);
        raw
    };
    (0..8 * raw.len()).find_map(|bit| from(&flipped(bit))).unwrap()
}

#[test]
fn the_nearest_other_key_of_each_is_not_called_published() {
    let list = list();
    for published in published() {
        let Ok(own) = AnyKey::from_spki(&spki(published)) else { continue };
        let neighbour = neighbour(&own);
        assert!(list.refuses_key(&neighbour).is_none(), "{published}");
        assert!(list.search(neighbour.spki()).is_empty() && list.refuses_raw(neighbour.raw()).is_none());
        for (_, hash) in neighbour.nsib_hashes() {
            assert!(list.refuses_nsib(hash).is_none());
        }
        for hash in Hash::ALL {
            assert!(list.refuses_key_hash(&neighbour.key_hash(hash)).is_none());
        }
        let found = scan::keys(&image(neighbour.spki()), list);
        assert!(!found.is_empty() && found.iter().all(|found| found.refused.is_none()), "{found:?}");
    }
}

#[test]
fn a_published_hash_with_one_bit_changed_is_not_called_published() {
    let list = list();
    for published in published() {
        for (form, bytes) in every_form(published) {
            let mut changed = bytes.clone();
            changed[0] ^= 0x10;
            assert!(list.refuses_bytes(&changed).is_none(), "{form}");
            if form.is_hash() {
                assert!(list.search(&changed).is_empty(), "{form}");
            }
        }
    }
}

#[test]
fn none_of_our_own_test_keys_is_called_published() {
    let list = list();
    for name in ["p256-a", "p256-ffff", "p384-a", "ed25519-a", "x25519-a", "rsa2048-a", "rsa3072-a"] {
        assert!(list.refuses_key(&key(name)).is_none());
        assert!(list.search(key(name).spki()).is_empty());
    }
}

#[test]
fn a_form_inside_a_larger_one_is_told_once() {
    let list = list();
    let published = published();
    let ed25519 = published.iter().find(|key| key["type"] == "ed25519").unwrap();
    let spki = spki(ed25519);
    let forms: Vec<_> = list.search(&[&spki[..], &spki[12..44]].concat()).iter().map(|found| found.form).collect();
    assert_eq!(forms, [Form::Spki, Form::Raw]);
}

#[test]
fn the_table_in_the_tree_is_what_the_script_makes_of_its_source() {
    let table: Value = serde_json::from_str(include_str!("../../keys-public/known-development-keys.json")).unwrap();
    let source = include_bytes!("../vectors/known-dev-keys.json");
    assert_eq!(table["made_from_sha256"], Digest::of(source).to_string());
    for (made, from) in table["keys"].as_array().unwrap().iter().zip(published()) {
        for field in ["spki_sha256", "type", "category", "private_key_published", "spki_der_hex", "sources"] {
            assert_eq!(made[field], from[field]);
        }
        assert_eq!(made.as_object().unwrap().len(), 6, "nothing that can be derived");
    }
}

fn company(entry: &str) -> Result<RefuseList, Vec<Problem>> {
    let text = format!("schema = 1\n[[refused]]\n{entry}reason = \"retired\"\ndate = \"2026-11-20\"\n");
    let own = |path: &std::path::Path| {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/keys");
        file::read(&root.join(path.file_name().unwrap()), keys::FILE_LIMIT)
    };
    RefuseList::built_in().unwrap().with_company_from(&Read::from_memory("keys/refused-keys.toml", text.into()), own)
}

#[test]
fn a_company_key_given_whole_is_refused_in_every_form_and_one_given_by_fingerprint_in_those_that_allow_it() {
    let (own, nsib) = (key("p256-a"), key("p256-a").nsib_hash(NsibRule::Sha256).unwrap());
    let (sha256, der) = (own.spki_sha256(), hex(own.spki()));
    for entry in [
        format!("spki = \"{der}\"\n"),
        "file = \"p256-a.pub.pem\"\n".to_owned(),
        format!("file = \"p256-a.cert.pem\"\nspki_sha256 = \"{sha256}\"\n"),
    ] {
        let list = company(&entry).unwrap();
        let hit = list.refuses_nsib(nsib).unwrap();
        assert_eq!(
            (hit.refused.known, hit.refused.kind.as_str(), category(&hit.refused.why)),
            (Known::Whole, "ecdsa-p256", "company")
        );
        assert_eq!(list.search(&little_endian(&own).unwrap())[0].form, Form::LittleEndian);
        assert!(list.refuses_key_hash(&own.key_hash(Hash::Sha512)).is_some());
    }
    let list = company(&format!("spki_sha256 = \"{sha256}\"\n")).unwrap();
    assert_eq!(list.refuses_key(&own).unwrap().known, Known::Fingerprint);
    assert!(list.refuses_key_hash(&sha256.0).is_some() && list.refuses_raw(own.spki()).is_some());
    assert!(list.refuses_nsib(nsib).is_none() && list.search(own.raw()).is_empty());
    let found = scan::keys(&image(own.spki()), &list);
    assert!(found[0].refused.is_some(), "a whole key in an image is compared by its fingerprint");
}

#[test]
fn a_company_entry_that_contradicts_itself_or_names_a_private_key_is_refused() {
    let other = key("p256-b").spki_sha256();
    for (entry, said, exit) in [
        (format!("file = \"p256-a.pub.pem\"\nspki_sha256 = \"{other}\"\n"), "name different keys", Exit::Usage),
        (
            format!("spki = \"{}\"\nfile = \"p256-b.pub.pem\"\n", hex(key("p256-a").spki())),
            "name different keys",
            Exit::Usage,
        ),
        ("file = \"p256-a.priv.pem\"\n".to_owned(), "private key", Exit::KeyRefused),
        ("file = \"absent.pem\"\n".to_owned(), "cannot be opened", Exit::Usage),
        ("spki = \"3000\"\n".to_owned(), "must be a SubjectPublicKeyInfo", Exit::Usage),
        (String::new(), "needs `spki_sha256`", Exit::Usage),
    ] {
        let problems = company(&entry).unwrap_err();
        assert!(problems[0].what.contains(said), "{problems:?}");
        assert_eq!(problems[0].exit, exit, "{problems:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_search_panic_and_what_it_finds_is_there(
        noise in proptest::collection::vec(any::<u8>(), 0..400),
        key in 0usize..170,
        at in any::<proptest::sample::Index>(),
        cut in 0usize..80,
    ) {
        let list = list();
        let mut bytes = noise;
        let at = at.index(bytes.len() + 1);
        let inside = spki(&published()[key]);
        bytes.splice(at..at, inside[..inside.len().saturating_sub(cut)].iter().copied());
        for sighting in list.search(&bytes) {
            let part = &bytes[sighting.at..sighting.at + sighting.len];
            prop_assert!(list.refuses_bytes(part).is_some());
        }
        prop_assert!(cut > 0 || !list.search(&bytes).is_empty());
        let _ = (list.search_file(&bytes), list.refuses_raw(&bytes), scan::keys(&image(&bytes[..bytes.len().min(900)]), list));
    }
}
