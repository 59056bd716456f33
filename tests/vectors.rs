//! The index of the vectors: what the vendors' own tools made of which input, and which test holds us against each of them.

use std::{collections::BTreeSet, fs, path::Path};

use rootstamp::{
    cli::inspect,
    file::{self, Read},
    ident::{Digest, hex},
    image::Map,
    keys::{AnyKey, Hash, read_any, refuse::RefuseList},
};
use serde_json::Value;

/// What is asserted of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asserted {
    /// Read, and every field compared with what the tool says of it.
    Parsed,
    /// Made here from the same input, and equal byte for byte.
    MadeAgain,
    /// A signature or a hash, checked with the key that made it and with others.
    Verified,
    /// The tool refused, and so do we.
    Refused,
    /// The tool gives a private half out, and we refuse the file and show nothing of it.
    Withheld,
}

use Asserted::{MadeAgain, Parsed, Refused, Verified, Withheld};

/// Entries, with stars that stand for anything; what is asserted; the file of the test and its name. The first row counts.
const TABLE: &[(&str, Asserted, &str, &str)] = &[
    ("nsib/neg-*", Refused, "nsib", "what_nordics_script_refuses_is_refused_and_what_its_bootloader_refuses_too"),
    ("nsib/ffff-no-verify", Parsed, "nsib", "every_file_of_nordics_scripts_is_read_as_what_it_was_made_from"),
    ("nsib/hash-sha256", MadeAgain, "nsib", "the_signatures_of_nordics_script_are_those_of_the_keys_that_made_them"),
    ("nsib/sign-*", Verified, "nsib", "the_signatures_of_nordics_script_are_those_of_the_keys_that_made_them"),
    (
        "nsib/keyhash-*",
        MadeAgain,
        "nsib",
        "an_ed25519_key_is_hashed_as_the_generation_does_and_not_as_nordics_broken_check_does",
    ),
    ("nsib/*", MadeAgain, "nsib", "every_file_of_nordics_scripts_is_made_again_byte_for_byte"),
    ("nsib-state/*", MadeAgain, "nsib/boot", "nordics_own_bootloader_answers_every_question_as_ours_does"),
    ("mcuboot/getpub*", MadeAgain, "vectors", "what_imgtool_gives_out_of_a_key_is_that_key_in_every_form"),
    (
        "mcuboot/getpriv-*",
        Withheld,
        "vectors",
        "what_imgtool_gets_of_a_private_key_is_refused_and_nothing_of_it_is_shown",
    ),
    (
        "mcuboot/verify-*",
        Verified,
        "image/mcuboot_images",
        "every_signed_image_is_verified_with_its_key_and_refused_with_another",
    ),
    (
        "mcuboot/ed25519-hex",
        Verified,
        "image/mcuboot_images",
        "a_hex_file_of_an_image_keeps_its_trailer_apart_and_is_verified",
    ),
    ("mcuboot/*", Parsed, "image/mcuboot_images", "every_image_is_taken_apart_as_imgtool_dumps_it"),
    ("kmu/west-yaml", Refused, "kmu", "the_list_of_keys_that_nordics_tool_stops_at_is_told_as_that"),
    ("kmu/*", MadeAgain, "kmu", "every_key_file_of_nordics_scripts_is_read_and_made_again_byte_for_byte"),
    ("bootconf/*", MadeAgain, "kmu", "the_word_for_an_immutable_boot_region_is_made_as_nordics_script_makes_it"),
    ("nrf5sdk/app*", MadeAgain, "dfu", "the_init_packets_of_nrfutil_are_made_again_byte_for_byte"),
    ("nrf5sdk/keys-display-*", MadeAgain, "dfu", "the_key_of_nrfutil_is_the_key_in_all_its_forms"),
    ("nrf5sdk/settings-*", MadeAgain, "dfu/page", "the_settings_pages_of_nrfutil_are_made_again_byte_for_byte"),
];

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn vector(name: &str) -> Read {
    file::read(&root("tests/vectors").join(name), file::LIMIT).unwrap()
}

fn index() -> Value {
    serde_json::from_slice(&vector("vectors.json").bytes).unwrap()
}

fn entries(index: &Value) -> &[Value] {
    index["vectors"].as_array().unwrap()
}

fn id(entry: &Value) -> &str {
    entry["id"].as_str().unwrap()
}

fn files<'e>(entry: &'e Value, which: &str) -> impl Iterator<Item = (&'e str, &'e str)> {
    let of = |file: &'e Value| (file["file"].as_str().unwrap(), file["sha256"].as_str().unwrap());
    entry[which].as_array().unwrap().iter().map(of)
}

fn row(id: &str) -> Option<usize> {
    TABLE.iter().position(|(pattern, ..)| match pattern.split_once('*') {
        Some((before, after)) => id.starts_with(before) && id.ends_with(after),
        None => id == *pattern,
    })
}

/// Why this entry is held against nothing, if so.
fn unheld(entry: &Value) -> Option<String> {
    let Some((_, asserted, area, test)) = row(id(entry)).map(|row| TABLE[row]) else {
        return Some("stands in no row of the table".to_owned());
    };
    let failing = entry["exit_code"] != 0;
    let refused = asserted == Refused || id(entry) == "mcuboot/verify-wrong-key";
    if failing != refused {
        return Some(format!("exit code {} and {asserted:?} do not go together", entry["exit_code"]));
    }
    let path = [format!("tests/{area}.rs"), format!("tests/{area}/mod.rs")];
    let text = path.iter().find_map(|path| fs::read_to_string(root(path)).ok()).unwrap_or_default();
    if !text.contains(&format!("#[test]\nfn {test}()")) {
        return Some(format!("there is no test {test} in {area}"));
    }
    // Its own name, or that of a file that the tool wrote, stands in the tables of that file; of an entry that wrote none,
    // the names of all files that it was made from.
    let stands = |name: &str| {
        let mut parts = name.rsplit('/');
        let stem = parts.next().unwrap().split('.').next().unwrap();
        let folder = parts.next().filter(|folder| !AREAS.contains(folder)).unwrap_or_default();
        [name, stem, folder].iter().any(|word| holds_word(&text, word))
    };
    let own = id(entry).split_once('/').unwrap().1;
    let (mut made, mut from) = (files(entry, "outputs").peekable(), files(entry, "inputs"));
    let mentioned = holds_word(&text, own)
        || if made.peek().is_some() { made.any(|(name, _)| stands(name)) } else { from.all(|(name, _)| stands(name)) };
    (!mentioned).then(|| format!("neither {own} nor a file of it stands in {area}"))
}

/// Folders of many entries: no name of one.
const AREAS: &[&str] = &["keys", "nsib", "nsib-state", "mcuboot", "more", "kmu", "payload", "nrf5sdk", "bootconf"];

/// Whether the name stands in the text, and not as a part of a longer one.
fn holds_word(text: &str, name: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let alone =
        |(at, _): (usize, &str)| !text[..at].ends_with(goes_on) && !text[at + name.len()..].starts_with(goes_on);
    !name.is_empty() && text.match_indices(name).any(alone)
}

#[test]
fn every_entry_of_the_index_is_held_against_a_test_that_is_there() {
    let index = index();
    let all = entries(&index);
    assert_eq!(all.len(), 114);
    let wrong: Vec<String> =
        all.iter().filter_map(|entry| Some(format!("{}: {}", id(entry), unheld(entry)?))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let used: BTreeSet<usize> = all.iter().filter_map(|entry| row(id(entry))).collect();
    let idle: Vec<&str> = (0..TABLE.len()).filter(|row| !used.contains(row)).map(|row| TABLE[row].0).collect();
    assert!(idle.is_empty(), "no entry is told by {idle:?}");
    let ids: BTreeSet<&str> = all.iter().map(id).collect();
    assert_eq!(ids.len(), all.len(), "two entries of one name");
}

#[test]
fn an_entry_without_a_row_a_test_or_a_mention_is_found() {
    let entry = |id: &str, exit: i32, file: &str| serde_json::json!({"id": id, "exit_code": exit, "inputs": [], "outputs": [{"file": file, "sha256": ""}]});
    for (entry, expected) in [
        (entry("zephyr/new", 0, "zephyr/new.bin"), Some("stands in no row of the table")),
        (entry("kmu/never-tried", 0, "kmu/never-tried.json"), Some("stands in kmu")),
        (entry("kmu/psa", 0, "kmu/psa-p256-pub.json"), Some("stands in kmu")),
        (entry("kmu/psa-p256", 1, "kmu/psa-p256-pub-slot10.json"), Some("do not go together")),
        (entry("kmu/psa-p256", 0, "kmu/psa-p256-pub-slot10.json"), None),
    ] {
        let found = unheld(&entry);
        assert_eq!(found.is_some(), expected.is_some(), "{entry}: {found:?}");
        assert!(expected.is_none_or(|expected| found.unwrap().contains(expected)), "{entry}");
    }
}

#[test]
fn every_file_that_the_index_names_is_the_one_that_the_tool_wrote() {
    let index = index();
    let listed =
        index["files"].as_object().unwrap().iter().map(|(name, digest)| (name.as_str(), digest.as_str().unwrap()));
    let made = entries(&index).iter().flat_map(|entry| files(entry, "outputs"));
    let mut compared = 0;
    for (name, digest) in listed.chain(made) {
        assert_eq!(vector(name).digest.to_string(), digest, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 141);
    // What they were made from is here too, or is known not to be.
    let mut absent = BTreeSet::new();
    for (name, digest) in entries(&index).iter().flat_map(|entry| files(entry, "inputs")) {
        match fs::read(root("tests/vectors").join(name)) {
            Ok(bytes) => assert_eq!(Digest::of(&bytes).to_string(), digest, "{name}"),
            Err(_) => drop(absent.insert(name)),
        }
    }
    assert_eq!(absent, ABSENT.iter().copied().collect());
    assert!(files(&entries(&index)[0], "inputs").count() > 0, "the index says what its entries were made from");
}

/// Inputs that are not among the vectors: payloads and files that an output of the same entry holds anyway, and
/// `keys/p256-a.sec1.pem` under another name.
const ABSENT: &[&str] = &[
    "mcuboot/ed25519-pure.bin",
    "nrf5sdk/p256-a.sec1.pem",
    "nsib/nrf5340app-2keys-ver20-mcuboot200.bin",
    "payload/app-0x200hdr.bin",
];

#[test]
fn the_numbers_that_the_index_gives_for_a_file_are_those_in_it() {
    let index = index();
    let (mut data, mut words) = (0, 0);
    let number = |text: &Value| u32::from_str_radix(text.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    for entry in entries(&index) {
        let text = || {
            files(entry, "outputs")
                .map(|(name, _)| name)
                .find(|name| Path::new(name).extension().is_some_and(|extension| extension == "hex"))
        };
        if let Some(expected) = entry["data_hex"].as_str() {
            let map = Map::from_hex(&vector(text().unwrap())).unwrap();
            let [segment] = map.segments() else { panic!("{}", id(entry)) };
            assert_eq!((segment.at, hex(&segment.bytes)), (number(&entry["start_address"]), expected.to_owned()));
            assert_eq!(entry["length"], segment.bytes.len());
            data += 1;
        }
        if entry["word"].is_string() {
            let map = Map::from_hex(&vector(text().unwrap())).unwrap();
            assert_eq!(map.word(number(&entry["address"])), Some(number(&entry["word"])), "{}", id(entry));
            words += 1;
        }
    }
    assert_eq!((data, words), (17, 4));
}

/// Of these keys `getpub` and `getpubhash` were asked in every form.
const GIVEN_OUT: &[&str] = &["p256-a", "p384-a", "ed25519-a", "x25519-a", "rsa2048-a", "rsa3072-a"];

/// As imgtool writes bytes for C. [imgtool keys/general.py, emit_c_public]
fn as_c(name: &str, bytes: &[u8]) -> String {
    let rows: Vec<String> = bytes
        .chunks(8)
        .map(|row| row.iter().map(|byte| format!(" 0x{byte:02x},")).collect::<String>())
        .map(|row| format!("   {row}\n"))
        .collect();
    format!(
        "/* Autogenerated by imgtool.py, do not edit. */\nconst unsigned char {name}_pub_key[] = {{\n{}}};\nconst \
         unsigned int {name}_pub_key_len = {};\n",
        rows.concat(),
        bytes.len()
    )
}

#[test]
fn what_imgtool_gives_out_of_a_key_is_that_key_in_every_form() {
    let list = RefuseList::built_in().unwrap();
    for name in GIVEN_OUT {
        let key = read_any(&vector(&format!("keys/{name}.pub.pem"))).unwrap().key;
        let form = |form: &str| vector(&format!("mcuboot/{name}.getpub.{form}"));
        assert_eq!(form("raw").bytes, key.mcuboot_encoding(), "{name}");
        assert_eq!(AnyKey::from_der(&form("raw").bytes).unwrap().0, key, "{name}");
        assert_eq!(read_any(&form("pem")).unwrap().key, key, "{name}");
        let family = match name.split_once('-').unwrap().0 {
            "p256" => "ecdsa",
            "p384" => "ecdsap384",
            "rsa2048" | "rsa3072" => "rsa",
            other => other,
        };
        assert_eq!(form("c.txt").text().unwrap(), as_c(family, key.mcuboot_encoding()), "{name}");
        let told = inspect::told(&form("c.txt"), &list).unwrap();
        let json: Value = serde_json::from_str(&told.json).unwrap();
        let file = &json["files"][0];
        assert_eq!(
            (&file["kind"], &file["spki_sha256"]),
            (&"public_key".into(), &key.spki_sha256().to_string().into())
        );
        assert!(told.reasons.is_empty(), "{name}: {told:?}");
        let hash = vector(&format!("mcuboot/{name}.getpubhash.raw")).bytes;
        // Always SHA-256, though images of a P-384 key carry SHA-384. [imgtool keys/general.py, emit_raw_public_hash]
        assert_eq!(hex(&key.key_hash(Hash::Sha256)), hex(&hash), "{name}");
    }
}

#[test]
fn what_imgtool_gets_of_a_private_key_is_refused_and_nothing_of_it_is_shown() {
    let list = RefuseList::built_in().unwrap();
    for name in ["p256-d", "x25519-a", "rsa2048-a"] {
        for form in ["getpriv", "getpriv-min"] {
            let file = vector(&format!("mcuboot/{name}.{form}.c.txt"));
            let told = inspect::told(&file, &list).unwrap();
            let json: Value = serde_json::from_str(&told.json).unwrap();
            assert_eq!(json["files"][0]["problems"][0]["exit"], "key_refused", "{name} {form}: {told:?}");
            let bytes = file.text().unwrap().split(['{', '}']).nth(1).unwrap();
            let secret: String = bytes.split(',').filter_map(|byte| byte.trim().strip_prefix("0x")).collect();
            let shown = format!("{} {} {:?}", told.words, told.json, told.reasons).to_lowercase();
            // Behind the head, which says no more than the kind of key.
            let parts = secret.as_bytes().chunks(16).skip(4).map(|part| std::str::from_utf8(part).unwrap());
            assert!(parts.clone().count() > 1 && parts.clone().all(|part| !shown.contains(part)), "{name} {form}");
        }
    }
}
