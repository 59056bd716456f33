//! Provision data for Nordic's immutable bootloader: Nordic's own files and the bootloader's own answers.

use std::{collections::HashSet, path::Path};

use proptest::prelude::*;
use rootstamp::{
    fault::Problem,
    file,
    ident::{Digest, bytes_from_hex, hex},
    image::{
        FILE_LIMIT, Map,
        nsib::{
            Bootloader, Content, Counter, CounterOf, Firmware, Generation, Head, Key, Layout, LifeCycle, Made,
            NamedKey, Provision, Rules, SignedBy, Storage, Width, Wish, WishedHead, fits, generation_of, signed_by,
            signed_bytes, text::intel_hex,
        },
    },
    keys::{Algorithm, AnyKey, NsibHash, read_any, refuse::RefuseList},
};

mod boot;

fn vector(name: &str) -> file::Read {
    file::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name), FILE_LIMIT).unwrap()
}

fn map(name: &str) -> Map {
    Map::from_hex(&vector(&format!("nsib/{name}.hex"))).unwrap()
}

fn raw_map(at: u32, bytes: &[u8]) -> Map {
    Map::from_raw(&file::Read::from_memory("a.bin", bytes.to_vec()), at).unwrap()
}

fn key(name: &str) -> AnyKey {
    read_any(&vector(&format!("keys/{name}.pub.pem"))).unwrap().key
}

fn list() -> RefuseList {
    RefuseList::built_in().unwrap()
}

/// The command line of Nordic's script, as far as it matters.
struct Asked {
    generation: Generation,
    width: Width,
    base: u32,
    size: u32,
    s0: u32,
    s1: Option<u32>,
    keys: &'static [&'static str],
    nsib_slots: u16,
    mcuboot_slots: u16,
    reference: Option<&'static str>,
    mcuboot_only: bool,
}

const NRF52840: Asked = Asked {
    generation: Generation::Sdk2026_05,
    width: Width::Two,
    base: 0x9000,
    size: 0x1000,
    s0: 0xA000,
    s1: Some(0x18000),
    keys: &["p256-a"],
    nsib_slots: 0,
    mcuboot_slots: 0,
    reference: None,
    mcuboot_only: false,
};

const NRF5340: Asked =
    Asked { base: 0x00FF_8100, size: 0x280, s0: 0x10000, s1: Some(0x1C000), nsib_slots: 20, ..NRF52840 };

const NRF9160: Asked = Asked { base: 0x00FF_8108, ..NRF5340 };

const NRF54L15: Asked = Asked {
    width: Width::Four,
    base: 0x00FF_D500,
    size: 0x460,
    s0: 0x9000,
    s1: Some(0x15000),
    keys: &[],
    nsib_slots: 20,
    ..NRF52840
};

impl Asked {
    fn wish(&self) -> Wish {
        let layout = Layout::new(self.generation, self.width).unwrap();
        let named = |name: &&str| NamedKey { name: (*name).into(), hash: self.generation.hash(&key(name)).unwrap() };
        let head = if self.mcuboot_only {
            WishedHead::McubootOnly
        } else {
            let keys = self.keys.iter().map(named).collect();
            WishedHead::Nsib { s0: self.s0, s1: self.s1, keys, slots: self.nsib_slots }
        };
        Wish {
            layout,
            base: self.base,
            size: self.size,
            head,
            mcuboot_slots: self.mcuboot_slots,
            reference: self.reference.map(str::to_owned),
        }
    }

    fn make(&self) -> Result<Made, Vec<String>> {
        self.wish().make()
    }
}

/// Every file that a script of Nordic made, but the one that holds a hash no bootloader takes.
fn made_by_nordic() -> Vec<(&'static str, Asked)> {
    let hist = Asked { keys: &["p256-a", "p256-b"], nsib_slots: 20, ..NRF52840 };
    vec![
        ("nrf52840-1key", NRF52840),
        ("nrf52840-3keys", Asked { keys: &["p256-a", "p256-b", "p256-c"], ..NRF52840 }),
        ("nrf52840-1key-ver20-mcuboot30", Asked { nsib_slots: 20, mcuboot_slots: 30, ..NRF52840 }),
        ("nrf52840-s0only-0keys", Asked { s1: None, keys: &[], ..NRF52840 }),
        ("nrf52840-trailing-comma", NRF52840),
        ("nrf5340app-psa-ref", Asked { reference: Some("1234567890123-12345"), ..NRF5340 }),
        ("nrf9160-1key-ver20", NRF9160),
        ("nrf9160-psa-ref-only", Asked { nsib_slots: 0, reference: Some("0604565272829"), ..NRF9160 }),
        ("nrf5340net-1key-ver20", Asked { base: 0x0100_8580, s0: 0x0100_8800, s1: None, ..NRF5340 }),
        ("mcuboot-only-5340-30", Asked { mcuboot_only: true, mcuboot_slots: 30, ..NRF5340 }),
        ("mcuboot-only-54l-w4-30", Asked { mcuboot_only: true, mcuboot_slots: 30, ..NRF54L15 }),
        ("nrf54l15-0keys-ver20-w4", NRF54L15),
        ("nrf54l15-1ed25519-ver20-w4", Asked { keys: &["ed25519-a"], ..NRF54L15 }),
        ("hist-2020-02-ncs1.2", Asked { generation: Generation::Ncs2_1, ..hist }),
        ("hist-2022-12-ncs2.2", Asked { generation: Generation::Ncs2_2, ..hist }),
        ("hist-2024-06-ncs2.7", Asked { generation: Generation::Ncs2_7, mcuboot_slots: 30, ..hist }),
    ]
}

#[test]
fn every_file_of_nordics_scripts_is_made_again_byte_for_byte() {
    let all = made_by_nordic();
    assert_eq!(all.len(), 16);
    for (name, asked) in all {
        let made = asked.make().unwrap_or_else(|wrong| panic!("{name}: {wrong:?}"));
        assert_eq!(made.bytes, vector(&format!("nsib/{name}.bin")).bytes, "{name}");
        assert_eq!(made.intel_hex().as_bytes(), vector(&format!("nsib/{name}.hex")).bytes, "{name}");
    }
}

#[test]
fn every_file_of_nordics_scripts_is_read_as_what_it_was_made_from() {
    for (name, asked) in made_by_nordic() {
        let read = Provision::read(&map(name)).unwrap();
        assert_eq!((read.base, read.width), (Some(asked.base), asked.width), "{name}");
        assert_eq!(read.content, asked.make().unwrap().content, "{name}");
        assert!(read.told.may_be.contains(&asked.generation), "{name} {:?}", read.told);
        assert!(!read.told.rests_on.is_empty(), "{name}");
        assert!(fits(&read.told, asked.generation).is_ok(), "{name}");
        assert_eq!(generation_of(&map(name)).unwrap(), read.told);
    }
    let ffff = Provision::read(&map("ffff-no-verify")).unwrap();
    assert_eq!(
        intel_hex(ffff.at, &ffff.content.encode(ffff.width)).as_bytes(),
        vector("nsib/ffff-no-verify.hex").bytes
    );
}

#[test]
fn a_file_is_explained_for_people() {
    let told = |name: &str| Provision::read(&map(name)).unwrap().explain(&list()).to_string();
    insta::assert_snapshot!("explained_5340_psa_ref", told("nrf5340app-psa-ref"));
    insta::assert_snapshot!("explained_hist_2020", told("hist-2020-02-ncs1.2"));
    insta::assert_snapshot!("explained_54l_mcuboot_only", told("mcuboot-only-54l-w4-30"));
    let value = serde_json::to_value(Provision::read(&map("nrf9160-1key-ver20")).unwrap()).unwrap();
    assert_eq!(value["content"]["head"]["nsib"]["keys"][0]["hash"], "b0a3dd2bcfcb0d72950c7181040dc8b7");
    assert_eq!(value["content"]["counters"][0], serde_json::json!({"of": "nsib", "slots": 20}));
}

fn refused(asked: &Asked, expected: &str) {
    let wrong = asked.make().unwrap_err();
    assert!(wrong.iter().any(|wrong| wrong.contains(expected)), "{wrong:?}, expected {expected}");
}

#[test]
fn what_nordics_script_refuses_is_refused_and_what_its_bootloader_refuses_too() {
    refused(&Asked { keys: &["p256-ffff"], ..NRF52840 }, "0xFFFF");
    refused(&Asked { keys: &["p256-a", "p256-a"], ..NRF52840 }, "are the same key");
    refused(&Asked { nsib_slots: 3, ..NRF52840 }, "must be even");
    refused(&Asked { mcuboot_slots: 3, ..NRF52840 }, "must be even");
    refused(&Asked { size: 0x100, nsib_slots: 300, ..NRF5340 }, "does not fit");
    refused(&Asked { size: 0, ..NRF5340 }, "does not fit");
    refused(&Asked { reference: Some("12345678901234567890"), ..NRF5340 }, "at most 19");
    refused(&Asked { reference: Some("a\nb"), ..NRF5340 }, "visible ASCII");
    refused(&Asked { generation: Generation::Ncs2_2, mcuboot_slots: 2, ..NRF52840 }, "no counter for MCUboot");
    refused(&Asked { generation: Generation::Ncs2_2, mcuboot_only: true, ..NRF52840 }, "no data for MCUboot alone");
    refused(&Asked { generation: Generation::Ncs2_9, reference: Some("1"), ..NRF52840 }, "ncs-3.0 is the first");
    refused(&Asked { s0: 0, ..NRF52840 }, "0x00000000 is no address of a slot");
    refused(&Asked { s1: Some(0x18002), ..NRF52840 }, "0x00018002 is no address of a slot");
    refused(&Asked { mcuboot_only: true, ..NRF5340 }, "nothing to provision");
    refused(&Asked { base: 0x00FF_D504, ..NRF54L15 }, "would be misread");
    refused(&Asked { base: u32::MAX - 3, size: u32::MAX, ..NRF52840 }, "does not fit");
    let keys = (0..17u8).map(|index| NamedKey { name: index.to_string(), hash: NsibHash([index; 16]) }).collect();
    let mut wish = NRF52840.wish();
    wish.head = WishedHead::Nsib { s0: 0xA000, s1: None, keys, slots: 0 };
    assert!(wish.make().unwrap_err()[0].contains("17 keys"));
}

#[test]
fn an_ed25519_key_is_hashed_as_the_generation_does_and_not_as_nordics_broken_check_does() {
    let (p256, ed25519) = (key("p256-a"), key("ed25519-a"));
    let hash = |generation: Generation, key: &AnyKey| generation.hash(key).map(|hash| hash.to_string());
    assert_eq!(hash(Generation::Ncs2_1, &p256).as_deref(), Some("b0a3dd2bcfcb0d72950c7181040dc8b7"));
    assert_eq!(hash(Generation::Sdk2026_05, &ed25519).as_deref(), Some("ee9709fca06d02fb6ec503d0a1e9c04c"));
    assert_ne!(hash(Generation::Ncs3_0, &ed25519), hash(Generation::Sdk2025_12, &ed25519));
    assert_eq!(hash(Generation::Ncs2_9, &ed25519), None);
    assert_eq!(hash(Generation::Sdk2026_05, &key("p384-a")), None);
    // keyhash_validate.py -a ed25519 hashes the text of the PEM file from its second byte: vector keyhash-ed25519-BUGGY.
    let pem = vector("keys/ed25519-a.pub.pem").bytes;
    let buggy = &rootstamp::keys::Hash::Sha512.of(&pem[1..])[..16];
    let sha256 = &rootstamp::keys::Hash::Sha256.of(&pem[1..])[..16];
    assert!([hex(buggy), hex(sha256)].contains(&"90e60827aba0d370ed0f1d166e5f8e61".to_owned()));
}

#[test]
fn the_signatures_of_nordics_script_are_those_of_the_keys_that_made_them() {
    let firmware = signed_bytes(&Map::from_hex(&vector("payload/app-at-0xC200.hex")).unwrap()).unwrap();
    assert_eq!(Digest::of(&firmware).0.to_vec(), vector("nsib/app.sha256.bin").bytes);
    for (name, other, signature) in
        [("p256-a", "p256-b", "nsib/app.ecdsa.sig"), ("ed25519-a", "ed25519-b", "nsib/app.ed25519.sig")]
    {
        let signature = vector(signature).bytes;
        assert!(signed_by(&key(name), &firmware, &signature), "{name}");
        assert!(!signed_by(&key(other), &firmware, &signature), "{other}");
        assert!(!signed_by(&key(name), &firmware[1..], &signature), "{name}");
        assert!(!signed_by(&key(name), &firmware, &signature[1..]), "{name}");
    }
    let far = intel_hex(0, &[1]).replace(":00000001FF\n", "") + &intel_hex(0xFFFF_0000, &[1]);
    let far = Map::from_hex(&file::Read::from_memory("far.hex", far.into())).unwrap();
    assert_eq!(signed_bytes(&far), None, "a gap of 4 GB");
}

#[test]
fn a_published_key_is_refused_by_its_16_bytes_and_its_neighbour_is_not() {
    let published: serde_json::Value = serde_json::from_slice(&vector("known-dev-keys.json").bytes).unwrap();
    let list = list();
    let mut tried = [0, 0];
    for told in published["keys"].as_array().unwrap() {
        let (algorithm, layout) = match told["type"].as_str().unwrap() {
            "ecdsa-p256" => (Algorithm::P256, Layout::new(Generation::Ncs2_7, Width::Two)),
            "ed25519" => (Algorithm::Ed25519, Layout::new(Generation::Sdk2026_05, Width::Two)),
            _ => continue,
        };
        let raw = bytes_from_hex(told["raw_hex"].as_str().unwrap()).unwrap();
        let key = AnyKey::from_raw(algorithm, &raw).unwrap();
        tried[usize::from(algorithm == Algorithm::Ed25519)] += 1;
        let generations = Generation::ALL.into_iter().filter_map(|generation| generation.hash(&key));
        let hashes: HashSet<NsibHash> = generations.filter(|hash| hash.unusable().is_none()).collect();
        for hash in hashes {
            let with = |hash| {
                let mut wish = NRF52840.wish();
                wish.layout = layout.unwrap();
                let keys = vec![NamedKey { name: "a".into(), hash }];
                wish.head = WishedHead::Nsib { s0: 0xA000, s1: None, keys, slots: 0 };
                let made = wish.make().unwrap();
                Provision::read(&raw_map(made.at, &made.bytes)).unwrap()
            };
            assert_eq!(with(hash).refused(&list)[0].0, 0, "{hash}");
            assert!(with(hash).explain(&list).warnings()[0].contains("development key"), "{hash}");
            let mut neighbour = hash;
            neighbour.0[0] ^= 1;
            if neighbour.unusable().is_none() {
                assert!(with(neighbour).refused(&list).is_empty());
            }
        }
    }
    assert_eq!(tried, [55, 53]);
}

#[test]
fn an_example_implementation_id_and_a_full_counter_are_told() {
    let mut board = planned(&Asked { nsib_slots: 2, ..NRF5340 });
    for (word, offset) in [0xAAAA_AAAA, 0xBBBB_BBBB, 0xCCCC_CCCC, 0xDDDD_DDDD].into_iter().zip([8, 16, 24, 32]) {
        board.overwrite(offset, word).unwrap();
        board.overwrite(offset + 4, word).unwrap();
    }
    assert!(board.explain().warnings()[0].contains("TF-M's templates"), "{}", board.explain());
    board.raise(1, 3).unwrap();
    board.raise(1, 5).unwrap();
    assert!(board.explain().warnings()[0].contains("never rise again"), "{}", board.explain());
    assert!(board.explain().to_string().contains("stands at 5, 2 slots"));
}

fn two_keys() -> Made {
    Asked { keys: &["p256-a", "p256-b"], mcuboot_slots: 200, ..NRF5340 }.make().unwrap()
}

#[test]
fn the_file_that_the_vectors_name_and_do_not_hold_is_made_with_their_digest() {
    let digest = Digest::of(&two_keys().bytes).to_string();
    assert_eq!(digest, "82d4c49ea914d58f0d2dd6cd33e4024c2336bf61de60171f12091ac753a52704");
}

fn planned(asked: &Asked) -> Storage {
    let file = raw_map(asked.make().unwrap().at, &asked.make().unwrap().bytes);
    Storage::planned(&Provision::read(&file).unwrap(), asked.generation, asked.size).unwrap()
}

#[test]
fn a_known_key_tells_more_of_the_generation() {
    let made = Asked { keys: &["ed25519-a"], ..NRF54L15 };
    let read = |asked: &Asked| Provision::read(&raw_map(0x00FF_D530, &asked.make().unwrap().bytes)).unwrap();
    assert_eq!(read(&made).told_with(&key("ed25519-a")).unwrap().may_be, Generation::ALL[6..]);
    let earlier = Asked { generation: Generation::Ncs3_0, ..made };
    assert_eq!(read(&earlier).told_with(&key("ed25519-a")).unwrap().may_be, [Generation::Ncs3_0]);
    assert!(read(&earlier).told_with(&key("ed25519-b")).unwrap_err().contains("not among"));
    let p256 = Provision::read(&map("nrf52840-3keys")).unwrap();
    assert_eq!(p256.told_with(&key("p256-c")).unwrap().may_be, p256.told.may_be);
    assert!(p256.told_with(&key("p256-d")).is_err());
}

#[test]
fn data_and_bootloader_of_different_generations_are_refused_with_what_would_happen() {
    let told = |name: &str| generation_of(&map(name)).unwrap();
    assert_eq!(told("hist-2020-02-ncs1.2").may_be, [Generation::Ncs2_1]);
    assert_eq!(told("hist-2022-12-ncs2.2").may_be, [Generation::Ncs2_2]);
    assert_eq!(told("hist-2024-06-ncs2.7").may_be, Generation::ALL[3..]);
    assert_eq!(told("nrf5340app-psa-ref").may_be, Generation::ALL[5..]);
    assert_eq!(told("nrf54l15-0keys-ver20-w4").may_be, Generation::ALL[5..]);
    let why = |name: &str, generation| fits(&told(name), generation).unwrap_err();
    assert!(why("hist-2022-12-ncs2.2", Generation::Ncs2_7).contains("stop at the first key"));
    assert!(why("hist-2024-06-ncs2.7", Generation::Ncs2_4).contains("revoking one would have no effect"));
    assert!(why("nrf5340app-psa-ref", Generation::Ncs2_9).contains("other places"));
    let shown = |word: u32, at: u32| Bootloader::of(&raw_map(at, &[&[0; 6][..], &word.to_le_bytes()].concat()));
    let strict = shown(0x50FA_FFFF, 0x1002);
    assert_eq!(strict.indexed_token_at, Some(0x1008));
    assert_eq!(shown(0x50FA_FFFE, 0x1002), Bootloader::default());
    let old = told("hist-2022-12-ncs2.2");
    let wrong = strict.goes_with(Generation::Ncs2_2, &old).unwrap_err();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(strict.goes_with(Generation::Ncs2_7, &told("hist-2024-06-ncs2.7")).is_ok());
    assert!(Bootloader::default().goes_with(Generation::Ncs2_2, &old).is_ok());
}

#[test]
fn the_third_geometry_of_an_nrf54l_and_data_at_the_wrong_place_are_refused() {
    let no = |at: u32, bytes: &[u8]| Provision::read(&raw_map(at, bytes)).unwrap_err().to_string();
    let narrow = NRF5340.make().unwrap().content.encode(Width::Two);
    assert!(no(0x00FF_D530, &narrow).contains("2-byte counter slots"));
    let only = Content {
        head: Head::McubootOnly,
        counters: vec![Counter::empty(CounterOf::Mcuboot, 4, Width::Two)],
        reference: None,
    };
    let zeros = [&[0; 8][..], &only.encode(Width::Two)].concat();
    assert!(no(0x00FF_D500, &zeros).contains("2-byte counter slots"));
    assert!(no(0x00FF_D500, &only.encode(Width::Two)).contains("would be misread"));
    assert!(no(0x00FF_D528, &narrow).contains("would be misread"));
    let elsewhere = Provision::read(&raw_map(0x2004, &narrow)).unwrap();
    assert_eq!((elsewhere.base, elsewhere.width), (None, Width::Two));
    assert!(elsewhere.explain(&list()).warnings()[0].contains("does not tell"));
    assert!(Storage::planned(&elsewhere, Generation::Ncs3_0, 0x280).is_err());
}

/// The bytes of a good file with one place changed.
fn changed(at: usize, bytes: &[u8]) -> Problem {
    let mut file = two_keys().bytes;
    file[at..at + bytes.len()].copy_from_slice(bytes);
    Provision::read(&raw_map(0x00FF_8128, &file)).unwrap_err()
}

#[test]
fn a_file_whose_numbers_lie_is_refused_with_the_address() {
    for (at, bytes, expected) in [
        (0, &[0xFF; 4][..], "0x00FF8128: 0xFFFFFFFF is no address of a slot"),
        (4, &[0; 4], "0x00FF812C: 0x00000000 is no address of a slot"),
        (8, &[17], "0x00FF8130: it says more than 16 keys"),
        (8, &[0xFF; 4], "0x00FF8130: it says more than 16 keys"),
        (8, &[16], "no validity token of key 2"),
        (12, &[0], "0x00FF8134: 0x50FAFF00 is no validity token of key 0"),
        (32, &[0xFF, 0xFF, 0xFA, 0x50], "no validity token of key 1"),
        (52, &[2], "0x00FF815C: something stands behind"),
        (54, &[3], "it says 3 counters"),
        (54, &[0], "it says 0 counters"),
        (56, &[3], "a counter of kind 3"),
        (58, &[21], "21 slots for a counter"),
        (58, &[0, 0], "0 slots for a counter"),
        (58, &[0xFE, 0xFF], "it is cut off: 131068 bytes for the slots of a counter are expected here"),
        (100, &[1], "the counter of NSIB stands where another is expected"),
        (102, &[0xCA], "it is cut off"),
    ] {
        let problem = changed(at, bytes);
        assert!(problem.what.contains(expected), "{problem}, expected {expected}");
    }
    let twice = changed(36, &two_keys().bytes[16..32]);
    assert!(twice.what.contains("key 1 is key 0 again"), "{twice}");
    let mixed = changed(32, &[0xFF; 4]);
    assert!(mixed.what.contains("no generation has all of this"), "{mixed}");
    let hexed = file::Read::from_memory("p.hex", intel_hex(0x00FF_8128, &two_keys().bytes[..40]).into());
    let problem = Provision::read(&Map::from_hex(&hexed).unwrap()).unwrap_err();
    assert_eq!(problem.line, Some(2), "{problem}");
}

#[test]
fn no_length_of_a_file_but_its_own_is_read_as_it() {
    let whole = two_keys().bytes;
    for length in 1..whole.len() {
        let read = Provision::read(&raw_map(0x00FF_8128, &whole[..length]));
        // What ends with the keys is whole; so is what ends with the head of the last counter, as early scripts write it.
        let may = length == 52;
        assert_eq!(read.is_ok(), may, "{length} {read:?}");
    }
    let mut area = whole.clone();
    area.resize(0x258, 0xFF);
    assert!(Provision::read(&raw_map(0x00FF_8128, &area)).is_ok(), "erased memory behind the data");
    area.resize(0x1001, 0xFF);
    assert!(Provision::read(&raw_map(0x00FF_8128, &area)).unwrap_err().what.contains("largest area"));
    assert!(Provision::read(&raw_map(0x00FF_8129, &whole)).unwrap_err().what.contains("begin at a word"));
    assert!(Provision::read(&raw_map(0x9000, &[0; 600])).unwrap_err().what.contains("zero bytes"));
    let two = intel_hex(0x9028, &whole).replace(":00000001FF\n", "") + &intel_hex(0x8000, &[1]);
    let two = Map::from_hex(&file::Read::from_memory("p.hex", two.into())).unwrap();
    assert!(Provision::read(&two).unwrap_err().what.contains("2 pieces"));
}

#[test]
fn provision_data_is_found_in_a_merged_image() {
    let merged = |pieces: &[(u32, &[u8])]| {
        let text: String =
            pieces.iter().map(|(at, bytes)| intel_hex(*at, bytes).replace(":00000001FF\n", "")).collect();
        Map::from_hex(&file::Read::from_memory("merged.hex", (text + ":00000001FF\n").into())).unwrap()
    };
    let (program, otp) = (vec![1; 64], two_keys().bytes);
    let found = Provision::find(&merged(&[(0x0001_0000, &program), (0x00FF_8128, &otp)]));
    assert!(matches!(&found[..], [Ok(found)] if found.content.keys().len() == 2), "{found:?}");
    let page = NRF52840.make().unwrap();
    let found = Provision::find(&merged(&[(page.at, &page.bytes), (0x0001_0000, &program)]));
    assert!(matches!(&found[..], [Ok(found)] if found.base == Some(0x9000)), "{found:?}");
    let found = Provision::find(&merged(&[(0x0001_0000, &program), (0x00FF_8128, &otp[..30])]));
    assert!(matches!(&found[..], [Err(problem)] if problem.what.contains("cut off")), "{found:?}");
    let only = Asked { mcuboot_only: true, mcuboot_slots: 4, ..NRF54L15 }.make().unwrap();
    assert!(Provision::find(&merged(&[(0x0001_0000, &program), (only.at, &only.bytes)]))[0].is_ok());
    assert!(Provision::find(&merged(&[(0x0001_0000, &program)])).is_empty());
    let with_token = merged(&[(page.at, &page.bytes), (0x0001_0000, &program)]);
    assert_eq!(Bootloader::of(&with_token), Bootloader::default(), "the token of key 0 is no constant of a program");
}

#[test]
fn only_words_that_differ_from_erased_memory_are_written() {
    let provision = Provision::read(&map("nrf9160-1key-ver20")).unwrap();
    let words = provision.words_to_write();
    assert_eq!(words.len(), 3 + 5 + 2);
    assert_eq!(words[3], (0x00FF_813C, 0x50FA_FFFF));
    assert_eq!(words.last(), Some(&(0x00FF_8154, 0x0014_0001)));
    let hist = Provision::read(&map("hist-2020-02-ncs1.2")).unwrap().words_to_write();
    assert!(!hist.iter().any(|(_, word)| *word == u32::MAX), "a token of that time is erased memory");
}

fn any_width() -> impl Strategy<Value = Width> {
    prop_oneof![Just(Width::Two), Just(Width::Four)]
}

fn any_generation() -> impl Strategy<Value = Generation> {
    (0..Generation::ALL.len()).prop_map(|index| Generation::ALL[index])
}

fn any_content() -> impl Strategy<Value = (Generation, Width, Content)> {
    let keys = proptest::collection::hash_set(any::<[u8; 16]>(), 0..=16);
    let slots = (0u16..40).prop_map(|pairs| pairs * 2);
    (any_generation(), any_width(), keys, slots.clone(), slots, proptest::option::of("[0-9-]{1,19}")).prop_filter_map(
        "a layout",
        |(generation, width, keys, nsib, mcuboot, reference)| {
            let layout = Layout::new(generation, width).ok()?;
            let mut keys: Vec<[u8; 16]> = keys.into_iter().collect();
            keys.sort_unstable();
            let key =
                |(index, hash): (u32, [u8; 16])| Key { token: generation.valid_token(index), hash: NsibHash(hash) };
            let keys = (0..).zip(keys).map(key).collect();
            let mcuboot = if generation.has_mcuboot_counter() { mcuboot } else { 0 };
            let all = [(CounterOf::Nsib, nsib), (CounterOf::Mcuboot, mcuboot)];
            let counters = all.into_iter().filter(|(_, slots)| *slots > 0);
            let counters = counters.map(|(of, slots)| Counter::empty(of, slots, layout.width())).collect();
            let reference = reference.filter(|_| generation.has_width_and_reference());
            Some((
                generation,
                width,
                Content { head: Head::Nsib { s0: 0x10000, s1: 0x1C000, keys }, counters, reference },
            ))
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was((generation, width, content) in any_content()) {
        let layout = Layout::new(generation, width).unwrap();
        let base = match width { Width::Two => 0x9000, Width::Four => 0x00FF_D500 };
        let read = Provision::read(&raw_map(base + layout.elsewhere(), &content.encode(width))).unwrap();
        prop_assert_eq!(&read.content, &content);
        prop_assert!(read.told.may_be.contains(&generation));
        let storage = Storage::planned(&read, generation, 0x1000).unwrap();
        prop_assert_eq!(storage.key_count() as usize, content.keys().len());
        for counter in &content.counters {
            prop_assert_eq!(storage.counter_slots(counter.of.description()), Ok(counter.slots));
        }
        let reference = content.reference.clone().unwrap_or_default();
        prop_assert_eq!(storage.variable(1), reference.into_bytes());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 1..300), at in any::<u32>()) {
        let Ok(map) = Map::from_raw(&file::Read::from_memory("a.bin", bytes), at & !3) else { return Ok(()) };
        let _ = Provision::read(&map);
    }

    #[test]
    fn no_change_of_a_good_file_makes_anything_panic(
        place in 0usize..504, byte in any::<u8>(), cut in 1usize..=504, at in prop_oneof![Just(0x9028u32), Just(0x00FF_D530), Just(0x2004)],
    ) {
        let mut bytes = two_keys().bytes;
        bytes[place] = byte;
        bytes.truncate(cut);
        if let Ok(read) = Provision::read(&raw_map(at, &bytes)) {
            prop_assert!(!read.told.may_be.is_empty());
            let _ = (read.explain(&list()).to_string(), read.words_to_write());
        }
    }

    #[test]
    fn no_memory_makes_the_bootloaders_reading_panic(
        generation in any_generation(), width in any_width(), bytes in proptest::collection::vec(any::<u8>(), 0..200),
        counts in any::<[u8; 4]>(), index in any::<u32>(), value in any::<u32>(),
    ) {
        let Ok(layout) = Layout::new(generation, width) else { return Ok(()) };
        let base = match width { Width::Two => 0x9000, Width::Four => 0x00FF_D500 };
        let mut storage = Storage::new(layout, base, bytes).unwrap();
        let _ = storage.overwrite(layout.elsewhere() + 8, u32::from_le_bytes(counts) & 0x1F);
        let _ = (storage.verify_keys(), storage.key(index), storage.revoke(index));
        let _ = (storage.counter(1), storage.raise(1, value), storage.can_rise(2), storage.counter_slots(2));
        let _ = (storage.life_cycle(), storage.enter(LifeCycle::Provisioning), storage.variable(1), storage.would_take(value));
        let firmware = Firmware { at: value, version: index, signed: SignedBy::Provisioned(NsibHash([0; 16])) };
        let _ = storage.would_boot(&firmware, Rules { counts_versions: true, heeds_life_cycle: true });
        prop_assert!(storage.explain().to_string().len() < 4096);
    }

    #[test]
    fn a_counter_reads_what_it_was_raised_to_and_never_falls(width in any_width(), values in proptest::collection::vec(1u32..0xFFFF, 1..20)) {
        let asked = match width { Width::Two => NRF5340, Width::Four => NRF54L15 };
        let mut board = planned(&asked);
        for value in values {
            let before = board.counter(1).unwrap();
            let raised = board.raise(1, value);
            prop_assert_eq!(raised.is_ok(), value > before);
            prop_assert_eq!(board.counter(1), Ok(before.max(value)));
        }
    }
}
