//! Files that nobody means well with: every reader comes back, says what is wrong within bounds, and keeps no more than
//! the file is worth. `scripts/fuzz` asks the same of many more files.

use std::path::Path;

use proptest::prelude::*;
use rootstamp::{
    cli::inspect,
    export::keys::{Recorded, merged},
    fault::Problem,
    file::Read,
    ident::Mode,
    image::{
        MEMORY_MAX, Map,
        bootconf::{BootConf, Chip},
        bootloader,
        dfu::{self, patch, settings},
        kmu::KeyFile,
        mcuboot, nsib, scan, vectors,
    },
    keys::{
        self, Algorithm, AnyKey, DecryptionKey, FILE_LIMIT, private,
        refuse::{REPEATS, RefuseList},
    },
    link::{Batch, Carried},
    manifest,
    recipe::{self, STAND_INS, SerialRule, Shelf},
    station,
};

fn file(name: &str, bytes: impl Into<Vec<u8>>) -> Read {
    Read::from_memory(name, bytes.into())
}

fn list() -> &'static RefuseList {
    static LIST: std::sync::OnceLock<RefuseList> = std::sync::OnceLock::new();
    LIST.get_or_init(|| RefuseList::built_in().unwrap())
}

/// A shelf on which only the recipe itself is hostile.
struct Written(Vec<u8>);

const RECIPE: &str = "templates/products/hostile.toml";

impl Shelf for Written {
    fn take(&self, path: &Path, limit: u64) -> Result<Read, Problem> {
        if path == Path::new(RECIPE) { Ok(file(RECIPE, &*self.0)) } else { STAND_INS.take(path, limit) }
    }

    fn holds(&self, path: &Path) -> bool {
        STAND_INS.holds(path)
    }
}

/// Shows what is wrong, which must not be more than a person could scroll through.
fn bounded(problems: &[Problem]) {
    assert!(problems.len() <= 2000, "{} problems", problems.len());
    let shown: usize = problems.iter().map(|problem| problem.to_string().len()).sum();
    assert!(shown < 4 << 20, "{shown} bytes of problems");
}

/// Everything that looks at memory.
fn look_at(map: &Map) {
    let survey = bootloader::survey(map, list());
    let _ = (survey.explain().to_string(), map.words(), map.digest(), mcuboot::Signs::of(map).to_string());
    for (_, image) in mcuboot::all(map) {
        if let Ok(image) = image {
            let key = image.public_key().and_then(|key| AnyKey::from_der(key).ok()).map(|(key, _)| key);
            let _ = (image.judge(key.as_ref()), image.explain(None).to_string(), image.encryption());
        }
    }
    for dump in nsib::Dump::find(map, true).into_iter().chain(nsib::Dump::find(map, false)) {
        let _ = (dump.explain(list()).to_string(), dump.refused(list()), dump.wrong(), dump.counters());
    }
    for provision in nsib::Provision::find(map).into_iter().chain([nsib::Provision::read(map)]).flatten() {
        let _ = (provision.explain(list()).to_string(), provision.words_to_write());
        for generation in nsib::Generation::ALL {
            if let Ok(storage) = nsib::Storage::planned(&provision, generation, 0x1000) {
                let _ = storage.explain().to_string();
            }
        }
    }
    if let Ok(word) = BootConf::read(map) {
        let _ = (word.explain(Chip::Ls05b).to_string(), word.intel_hex());
    }
    let flat = settings::Flat::of(map).ok();
    if let Some(page) = settings::find(map).or_else(|| settings::read(map, map.first()).ok()) {
        let _ = page.explain(flat.as_ref()).to_string();
    }
    let _ = (patch::bare_keys(map), vectors::read(map, map.first(), &vectors::SRAM));
}

fn read_toml(text: &str) {
    let company = |path: &Path| Err(Problem::new(path.display().to_string(), "is not there"));
    station::read_file(&file("hostile.toml", text)).err().iter().for_each(|found| bounded(found));
    let shelf = Written(text.into());
    recipe::read_from(&shelf, Path::new(RECIPE), None).err().iter().for_each(|found| bounded(found));
    let refused = list().clone().with_company_from(&file("refused-keys.toml", text), company);
    refused.err().iter().for_each(|found| bounded(found));
}

/// Bytes, and often such as begin like something.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let heads: Vec<Vec<u8>> = vec![
        vec![],
        b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0\x01\0\0\0".to_vec(),
        0x96F3_B83D_u32.to_le_bytes().to_vec(),
        b"PK\x05\x06".to_vec(),
        b"-----BEGIN PUBLIC KEY-----\n".to_vec(),
        b"\x30\x82\x01\x0a\x02\x82".to_vec(),
        b"\x0a\x40\x08\x01\x12".to_vec(),
    ];
    (prop::sample::select(heads), prop::collection::vec(any::<u8>(), 0..600))
        .prop_map(|(head, rest)| [head, rest].concat())
}

/// Text that is made of the pieces that these formats are made of.
fn text(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![4 => prop::sample::select(pieces).prop_map(str::to_owned), 1 => "\\PC{0,6}"];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

const TOML: &[&str] = &[
    "schema = 1\n",
    "[[site]]\n",
    "[[image]]\n",
    "[[refused]]\n",
    "[key.root]\n",
    "name = ",
    "probe = ",
    "file = ",
    "spki = ",
    "\"virtual:nRF52840\"\n",
    "\"x\"\n",
    "mode = \"training\"\n",
    "1\n",
    "-1\n",
    "{",
    "}",
    "[",
    "]",
    "=",
    "\"",
    "\n",
    "'''",
    "a.b.",
    "0x_",
    "1979-05-27",
    "[serial]\n",
    "pattern = \"[A-Z]{3}\"\n",
    "\u{FEFF}",
    "\r",
    "\\u0000",
];

const CSV: &[&str] = &[
    "serial,device_id,spki_sha256,key\n",
    "source",
    "T1-00001",
    "00000000000000aa",
    "258010176e1aea2eac8ed342170e904661afca61e8c79d38863892e804584bf3",
    "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    ",",
    ",",
    "\"",
    "\n",
    "\r\n",
    "\u{FEFF}",
    " ",
];

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"payload\"",
    "\"payloadType\"",
    "\"signatures\"",
    "\"keyslots\"",
    "\"version\"",
    "0",
    "\"\"",
    "\"metadata\"",
    "\"value\"",
    "\"0x00\"",
    "\"ops\"",
    "\"replies\"",
    "\"connect\"",
    "{\"read\":",
    "null",
    "1e999",
    "4294967296",
    "\"kty\"",
    "\"d\"",
    "\\ud800",
];

proptest! {
    #[test]
    fn every_reader_of_bytes_comes_back_from_any_bytes(data in bytes(), at in any::<u32>()) {
        let given = file("hostile.bin", &*data);
        for map in [Map::from_hex(&given), Map::from_elf(&given), Map::from_raw(&given, at), Map::from_raw(&given, at | 0xFFFF_F000)] {
            match map {
                Ok(map) => look_at(&map),
                Err(problems) => bounded(&problems),
            }
        }
        let _ = (keys::read_any(&given), keys::read(&given), DecryptionKey::from_der(&data).is_ok(), AnyKey::at_start(&data));
        let _ = (AnyKey::from_certificate(&data), AnyKey::from_pkcs1(&data), list().search_file(&data).len());
        Algorithm::ALL.into_iter().for_each(|algorithm| drop(AnyKey::from_raw(algorithm, &data)));
        if let Ok(package) = dfu::read(&given) {
            let _ = package.explain(None, list()).to_string();
        }
        let _ = (dfu::Init::read(&data), KeyFile::read(&given), manifest::read(&given));
        prop_assert!(inspect::told(&given, list()).unwrap().words.starts_with("hostile.bin"));
    }

    #[test]
    fn every_reader_of_toml_comes_back_from_any_text(text in text(TOML)) {
        read_toml(&text);
    }

    #[test]
    fn every_reader_of_json_comes_back_from_any_text(text in text(JSON)) {
        let given = file("hostile.json", &*text);
        if let Ok(keys) = KeyFile::read(&given) {
            prop_assert!(KeyFile::read(&file("again.json", keys.to_json())).is_ok());
        }
        if let Ok(envelope) = manifest::read(&given) {
            let _ = envelope.unverified();
        }
        let _ = (serde_json::from_str::<Batch>(&text).map(|batch| batch.deadline_ms()), serde_json::from_str::<Carried>(&text).is_ok());
    }

    #[test]
    fn every_list_of_devices_comes_back_and_says_the_same_when_it_is_taken_twice(rest in text(CSV), headed in any::<bool>()) {
        let list = file("field.csv", if headed { CSV[0].to_owned() + &rest } else { rest });
        match merged(Recorded::empty(Mode::Training), std::slice::from_ref(&list)) {
            Ok(devices) => {
                let known = Recorded { passed: devices.clone(), ..Recorded::empty(Mode::Training) };
                prop_assert_eq!(merged(known, &[list]), Ok(devices));
            }
            Err(problems) => bounded(&problems),
        }
    }

    #[test]
    fn a_rule_for_serial_numbers_takes_the_ones_it_makes(pattern in "([A-Z0-9-]|\\[[A-Z0-9]{1,3}\\]|\\{[0-9]{1,2}\\}){1,8}", number in any::<u64>()) {
        if let Ok(rule) = SerialRule::new(&pattern, None)
            && let Some(serial) = rule.nth(number)
        {
            prop_assert!(rule.check(&serial).is_ok(), "{pattern} {serial:?}");
        }
    }
}

#[test]
fn a_file_that_ends_with_the_last_byte_of_memory_is_read_to_its_end() {
    for at in [0xFFFF_FFFF, 0xFFFF_FFFD] {
        let length = (1_u64 << 32) - u64::from(at);
        let map = Map::from_raw(&file("last.bin", vec![0x5A; usize::try_from(length).unwrap()]), at).unwrap();
        look_at(&map);
    }
}

#[test]
fn two_bytes_far_apart_make_no_flash_full_of_nothing_between_them() {
    let far = ":0110000001EE\n:020000040FFFEC\n:01FFF000010F\n:00000001FF\n";
    let map = Map::from_hex(&file("far.hex", far)).unwrap();
    let problem = settings::Flat::of(&map).unwrap_err();
    assert!(problem.what.contains("spans more than"), "{problem}");
}

#[test]
fn more_memory_than_any_chip_has_is_no_firmware() {
    let whole = vec![0xFF; MEMORY_MAX];
    assert!(Map::from_raw(&file("whole.bin", &*whole), 0).is_ok());
    let problems = Map::from_raw(&file("larger.bin", [&whole[..], &[0xFF]].concat()), 0).unwrap_err();
    assert!(problems[0].what.contains("holds more than 8 MiB"), "{problems:?}");
    let mut text = vec![b'\n'; 16 << 20];
    text.splice(..0, *b":00000001FF\n");
    let problems = Map::from_hex(&file("larger.hex", text)).unwrap_err();
    assert!(problems[0].what.contains("Intel HEX of more than 16 MiB"), "{problems:?}");
}

#[test]
fn a_large_file_of_no_known_kind_is_no_key_file_and_not_searched_for_one() {
    let large = "-----BEGIN ".repeat(usize::try_from(FILE_LIMIT).unwrap() / 11 + 1);
    let problem = keys::read_any(&file("large", large)).unwrap_err();
    assert!(problem.what.contains("larger than a key file can be"), "{problem}");
}

#[test]
fn a_file_larger_than_a_release_manifest_is_none_however_it_begins() {
    let begins = br#"{"payloadType":"application/vnd.in-toto+json","payload":"","signatures":["#;
    let large = [&begins[..], &br#"{"sig":""},"#.repeat(100_000)].concat();
    let problem = manifest::read(&file("large.json", large)).err().unwrap();
    assert!(problem.what.contains("larger than a release manifest can be"), "{problem}");
}

#[test]
fn a_private_half_in_a_file_larger_than_a_key_file_is_recognised_and_its_first_words_alone_are_none() {
    let pem = include_bytes!("vectors/keys/p256-a.priv.pem");
    let large = |inside: &[u8]| [&b"all work and no play\n".repeat(4000)[..], inside].concat();
    assert_eq!(private::form_of_file(&large(pem)), Some("PEM"));
    assert_eq!(private::form_of_file(&large(b"-----BEGIN EC PRIVATE KEY-----\0-----END EC PRIVATE KEY-----\0")), None);
    let told = inspect::told(&file("log.txt", large(pem)), list()).unwrap();
    assert!(told.reasons.iter().any(|reason| reason.contains("holds a private key (PEM)")), "{:?}", told.reasons);
}

#[test]
fn an_image_with_thousands_of_empty_tlvs_is_no_image() {
    let mut image = 0x96F3_B83D_u32.to_le_bytes().to_vec();
    image.extend([0, 0, 0, 0, 32, 0, 0, 0, 4, 0, 0, 0]);
    image.extend([0; 16 + 4]);
    image.extend([0x07, 0x69]);
    image.extend(u16::to_le_bytes(4 + 300 * 4));
    image.extend([0x40, 0, 0, 0].repeat(300));
    let map = Map::from_raw(&file("tlvs.bin", image), 0).unwrap();
    let problem = mcuboot::read(&map, 0).unwrap_err();
    assert!(problem.what.contains("more than 64 TLVs"), "{problem}");
}

#[test]
fn a_file_made_of_keys_is_told_as_such_and_a_private_half_behind_them_is_still_found() {
    let key = STAND_INS.take(Path::new("keys-public/gw3-root.pem"), FILE_LIMIT).unwrap();
    let spki = keys::read(&key).unwrap().spki().to_vec();
    let sec1 = [b"\x30\x77\x02\x01\x01\x04\x20".to_vec(), vec![0x5A; 114]].concat();
    let map = Map::from_raw(&file("keys.bin", [spki.repeat(5000), sec1].concat()), 0).unwrap();
    let found = scan::keys(&map, list());
    assert!(found.len() < 1100, "{} found", found.len());
    assert!(found.iter().any(|found| found.what().contains("more than any program holds")));
    assert!(matches!(found.last().unwrap().kind, scan::Kind::Private(_)));
}

#[test]
fn a_file_made_of_one_published_key_names_it_a_bounded_number_of_times() {
    let published: serde_json::Value = serde_json::from_slice(include_bytes!("vectors/known-dev-keys.json")).unwrap();
    let spki = published["keys"][0]["spki_der_hex"].as_str().unwrap();
    let spki = rootstamp::ident::bytes_from_hex(spki).unwrap();
    let sightings = list().search(&spki.repeat(2000));
    assert!(!sightings.is_empty() && sightings.len() <= 16 * REPEATS, "{} sightings", sightings.len());
}

#[test]
fn a_file_made_of_descriptions_of_firmware_names_a_bounded_number_of_them() {
    let words: [u32; 9] = [0x281E_E6DE, 0x8FCE_BB4C, 0, 36, 1, 1, 0, 0, 0x9102_FFFF];
    let info: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let map = Map::from_raw(&file("infos.bin", info.repeat(1000)), 0).unwrap();
    assert_eq!(bootloader::firmware(&map).len(), 64);
}

#[test]
fn a_file_larger_than_the_limit_is_refused_by_its_length_and_one_of_that_length_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.bin");
    std::fs::File::create(&path).unwrap().set_len(4097).unwrap();
    let problem = rootstamp::file::read(&path, 4096).unwrap_err();
    assert!(problem.what.contains("is larger than 4096 bytes"), "{problem}");
    assert_eq!(rootstamp::file::read(&path, 4097).unwrap().bytes.len(), 4097);
}

#[test]
fn a_recipe_of_nothing_but_mistakes_is_told_in_part_and_says_so() {
    let unknown: String = (0..20_000).map(|number| format!("k{number:x} = 1\n")).collect();
    let problems = station::read_file(&file("station.toml", unknown)).unwrap_err();
    assert_eq!(problems.len(), 501);
    assert!(problems[500].what.contains("and more"), "{}", problems[500]);
}

#[test]
fn a_recipe_of_torn_lines_is_told_in_part_and_says_so() {
    let problems = station::read_file(&file("station.toml", "=\n".repeat(5000))).unwrap_err();
    assert_eq!(problems.len(), 501);
    assert!(problems[500].what.contains("and more"), "{}", problems[500]);
}

#[test]
fn a_text_longer_than_any_recipe_is_not_parsed() {
    let problems = station::read_file(&file("station.toml", "#".repeat(rootstamp::page::TEXT_MAX + 1))).unwrap_err();
    assert!(problems[0].what.contains("is larger than"), "{problems:?}");
}

#[test]
fn a_column_far_out_in_a_line_counts_characters_and_not_bytes() {
    let line = format!("station = \"{}\" # \"\nmode = [{} 1]\n", "ä".repeat(700), "\"ä\", ".repeat(300));
    let problems = station::read_file(&file("station.toml", line)).unwrap_err();
    let mode = problems.iter().find(|problem| problem.what.contains("`mode`")).unwrap();
    assert_eq!((mode.line, mode.column), (Some(2), Some(8)), "{mode}");
    let inline = format!("scanner = {{ kind = \"{}\", nonsense = 1 }}\n", "ä".repeat(700));
    let problems = station::read_file(&file("station.toml", inline)).unwrap_err();
    let nonsense = problems.iter().find(|problem| problem.what.contains("`nonsense`")).unwrap();
    assert_eq!((nonsense.line, nonsense.column), (Some(1), Some(20 + 700 + 4)), "{nonsense}");
}

#[test]
fn tables_nested_without_end_are_refused_by_every_reader() {
    for text in [
        "a = ".to_owned() + &"[".repeat(200_000),
        "a = ".to_owned() + &"{a=".repeat(80_000),
        "a.".repeat(100_000) + "a = 1",
    ] {
        read_toml(&text);
    }
    for text in ["[".repeat(200_000), "{\"a\":".repeat(50_000)] {
        let given = file("nested.json", &*text);
        assert!(KeyFile::read(&given).is_err() && manifest::read(&given).is_err());
        assert!(serde_json::from_str::<Carried>(&text).is_err());
    }
}
