//! Files that contradict each other: every contradiction has a set that shows it, and one line that names both.

use p256::pkcs8::Document;
use rootstamp::{
    fault::{Exit, Problem},
    ident::{Mode, bytes_from_hex},
    image::{
        kmu::{KeyFile, Role, UploadPolicy},
        nsib::{Generation, Layout, NamedKey, Width, Wish, WishedHead},
    },
    keys::{AnyKey, Hash, NsibHash},
    plan,
    recipe::Product,
};

use crate::recipe::{
    APPLICATION, Application, BOOTLOADER, DEVELOPMENT_NAME, Lot, as_hex, bootloader_with, development_key, embedded,
    spki, tlv, vectors,
};

mod release;
pub(crate) mod storage;

pub(crate) use release::released;
pub(crate) use storage::{firmware, nsib, program, provision, signed};

pub(crate) fn vector(name: &str) -> Vec<u8> {
    std::fs::read(crate::line::project("tests/vectors").join(name)).unwrap()
}

pub(crate) fn key(name: &str) -> AnyKey {
    AnyKey::from_spki(&spki(name)).unwrap()
}

pub(crate) fn read(lot: &Lot) -> Product {
    lot.read_as(None).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The one contradiction of a set of files; it names each of these.
pub(crate) fn told(lot: &Lot, names: &[&str]) -> Problem {
    let problems = lot.problems();
    assert_eq!(problems.len(), 1, "{names:?}: {problems:#?}");
    let line = problems[0].to_string();
    assert!(names.iter().all(|name| line.contains(name)), "{names:?}: {line}");
    assert!(!line.contains('\n'), "{line}");
    problems[0].clone()
}

/// Among several, the one that names each of these.
pub(crate) fn among(lot: &Lot, names: &[&str]) -> Problem {
    let problems = lot.problems();
    let all = |problem: &&Problem| names.iter().all(|name| problem.to_string().contains(name));
    problems.iter().find(all).unwrap_or_else(|| panic!("{names:?}: {problems:#?}")).clone()
}

/// With the recipe's root key another one.
pub(crate) fn rooted(lot: Lot, name: &str) -> Lot {
    let mut lot = lot.with(&key("p256-a").spki_sha256().to_string(), &key(name).spki_sha256().to_string());
    lot.files.insert("gw3-root.pem".to_owned(), vector(&format!("keys/{name}.pub.pem")));
    lot
}

/// MCUboot with this key inside, and an application that it signed.
pub(crate) fn chain(name: &'static str) -> Lot {
    let inside = key(name).mcuboot_encoding().to_vec();
    rooted(embedded(&inside), name).with_file(APPLICATION, as_hex(0x1000, &Application::by(name).signed()))
}

const KINDS: [&str; 5] = ["p256-a", "p384-a", "ed25519-a", "rsa2048-a", "rsa3072-a"];

#[test]
fn one_key_of_every_kind_through_bootloader_recipe_and_signature_is_whole() {
    for name in KINDS {
        let product = read(&chain(name));
        assert_eq!(product.keys["root"], key(name));
        assert!(plan::lot(product).is_ok(), "{name}");
    }
}

#[test]
fn an_image_hidden_in_another_file_is_told_for_its_signature_was_not_looked_at() {
    let lot = chain("p256-a");
    let application = Application::by("p256-b").signed();
    let end = ":00000001FF\n";
    let bootloader = String::from_utf8(lot.files[BOOTLOADER].clone()).unwrap();
    let hidden = String::from_utf8(as_hex(0x3000, &application)).unwrap();
    let merged = bootloader.replace(end, "") + &hidden;
    among(&lot.with_file(BOOTLOADER, merged.into()), &[BOOTLOADER, "is = \"mcuboot\"", "0x00003000"]);

    let raw = chain("p256-a").with("is     = \"mcuboot-image\"\nsigned = \"root\"", "is     = \"raw\"");
    told(&raw, &[APPLICATION, "is = \"raw\"", "0x00001000", "with is = \"mcuboot-image\""]);
}

#[test]
fn an_application_of_another_key_names_itself_and_the_key_file() {
    for (ours, theirs) in [("p256-a", "p256-b"), ("ed25519-a", "ed25519-b"), ("rsa3072-a", "rsa2048-a")] {
        let other = as_hex(0x1000, &Application::by(theirs).signed());
        among(&chain(ours).with_file(APPLICATION, other), &[APPLICATION, "gw3-root.pem", "signature"]);
    }
    let mut changed = Application::by("ed25519-a").signed();
    changed[40] ^= 1;
    let changed = chain("ed25519-a").with_file(APPLICATION, as_hex(0x1000, &changed));
    told(&changed, &[APPLICATION, "gw3-root.pem", "hash does not fit"]);
}

#[test]
fn a_bootloader_of_another_key_names_itself_and_the_recipe() {
    for (ours, theirs) in [("ed25519-a", "ed25519-b"), ("rsa2048-a", "rsa3072-a"), ("p384-a", "p256-b")] {
        let inside = key(theirs).mcuboot_encoding().to_vec();
        let other = bootloader_with(&inside).files[BOOTLOADER].clone();
        let lot = chain(ours).with_file(BOOTLOADER, other);
        assert_eq!(lot.problems().len(), 2);
        let problem = among(&lot, &[BOOTLOADER, "lot.toml", "not in `trusts`", " at 0x00000014"]);
        assert!(problem.line.is_some(), "{problem}");
        among(&lot, &["lot.toml", "gw3-root.pem", BOOTLOADER, "not inside"]);
    }
}

#[test]
fn a_key_that_no_stamped_hash_can_name_is_refused() {
    for name in ["p384-a", "rsa2048-a", "rsa3072-a"] {
        let application = as_hex(0x1000, &Application::by(name).signed());
        let lot = rooted(Lot::good(), name).with_file(APPLICATION, application);
        told(&lot, &["lot.toml", "gw3-root.pem", "never fits"]);
    }
    let lot = rooted(Lot::good(), "ed25519-a");
    assert!(
        plan::lot(read(&lot.with_file(APPLICATION, as_hex(0x1000, &Application::by("ed25519-a").signed())))).is_ok()
    );
}

#[test]
fn a_key_that_signs_nothing_is_no_key_of_a_recipe() {
    among(&rooted(Lot::good(), "x25519-a"), &["lot.toml", "gw3-root.pem", "signs nothing"]);
}

#[test]
fn a_version_that_is_not_the_expected_one_names_both_files() {
    let version =
        |version: &str| Lot::good().with("signed = \"root\"", &format!("signed = \"root\"\nversion = \"{version}\""));
    for good in ["1.0.0", "1.0.0+0"] {
        assert!(version(good).read_as(None).is_ok());
    }
    for bad in ["1.0.1", "1.0.0+7", "1.0"] {
        told(&version(bad), &["lot.toml", APPLICATION, bad, "1.0.0+0"]);
    }
    told(&Lot::good().with("trusts = [\"root\"]", "trusts = [\"root\"]\nversion = \"1\""), &["said of an image"]);
}

#[test]
fn a_counter_that_cannot_follow_the_image_names_both_files() {
    let counted = |counter| Application { counter: Some(counter), ..Application::good() }.lot();
    told(&counted(0), &[APPLICATION, "lot.toml", "below the board's initial 1"]);
    assert!(counted(2).read_as(None).is_ok());
    told(&counted(2).with("slots   = 16", "slots   = 1"), &[APPLICATION, "lot.toml", "no slot left"]);
}

#[test]
fn a_security_counter_that_nothing_on_the_chip_counts_is_remarked() {
    let mut lot = embedded(&spki("p256-a"));
    let (start, end) = (lot.recipe.find("[stamp.counter]").unwrap(), lot.recipe.find("[stamp.serial]").unwrap());
    lot.recipe.replace_range(start..end, "");
    let product = read(&lot);
    let told = product.open.iter().any(|remark| remark.contains(APPLICATION) && remark.contains("nothing on the chip"));
    assert!(told, "{:?}", product.open);
    assert!(!read(&embedded(&spki("p256-a"))).open.iter().any(|remark| remark.contains("nothing on the chip")));
}

#[test]
fn two_images_on_one_address_name_both_files() {
    let low = Application { at: 0x100, program: vectors(0x120), ..Application::good() };
    told(&low.lot(), &[APPLICATION, BOOTLOADER, "0x00000100"]);
}

fn made(hashes: &[NsibHash]) -> Vec<u8> {
    let keys = hashes.iter().map(|hash| NamedKey { name: "k".into(), hash: *hash }).collect();
    let wish = Wish {
        layout: Layout::new(Generation::Ncs2_7, Width::Two).unwrap(),
        base: 0x9000,
        size: 0x1000,
        head: WishedHead::Nsib { s0: 0xA000, s1: Some(0x18000), keys, slots: 0 },
        mcuboot_slots: 0,
        reference: None,
    };
    wish.make().unwrap().intel_hex().into_bytes()
}

// Key slots.

const KMU: &str = "[[stamp.kmu]]\nboot = \"mcuboot\"\nsdk = \">=3.2.0\"\nfile = \"kmu.json\"\nkeys = [\
    { key = \"root\", policy = \"revokable\" }, { key = \"ed25519-b\", policy = \"revokable\" }, \
    { key = \"ed25519-c\", policy = \"revokable\" }]\n\n[lock]";

/// MCUboot that reads its keys from slots, and an application that the first one signed.
pub(crate) fn slots(file: Vec<u8>) -> Lot {
    let mut lot = rooted(embedded(&[]), "ed25519-a")
        .with_file(APPLICATION, as_hex(0x1000, &Application::by("ed25519-a").signed()))
        .with("\"embedded\"", "\"kmu\"");
    for name in ["ed25519-b", "ed25519-c"] {
        let key =
            format!("[key.{name}]\nfile = \"{name}.pem\"\nspki_sha256 = \"{}\"\n\n[uicr]", key(name).spki_sha256());
        lot = lot.with("[uicr]", &key);
        lot.files.insert(format!("{name}.pem"), vector(&format!("keys/{name}.pub.pem")));
    }
    lot.files.insert("kmu.json".to_owned(), file);
    lot.with("[lock]", KMU)
}

pub(crate) fn three() -> Vec<u8> {
    vector("kmu/west-bl-3-revokable/keyfile.json")
}

#[test]
fn a_key_file_that_agrees_is_whole_and_this_chip_has_no_slots_for_it() {
    let product = read(&slots(three()));
    assert_eq!(product.slots[0].file, "kmu.json");
    let problems = plan::lot(product).map(|lot| lot.golden.digest).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].what.contains("nRF52840 has no key management unit"), "{}", problems[0]);
}

#[test]
fn a_key_file_that_contradicts_the_recipe_names_both() {
    let swapped = slots(three())
        .with("{ key = \"root\", policy", "{ key = \"ed25519-c\", policy")
        .with("{ key = \"ed25519-c\", policy = \"revokable\" }]", "{ key = \"root\", policy = \"revokable\" }]");
    assert_eq!(swapped.problems().len(), 2);
    among(&swapped, &["lot.toml", "kmu.json", "slot 242", "ed25519-c.pem"]);
    let locked = slots(three()).with("\"root\", policy = \"revokable\"", "\"root\", policy = \"locked\"");
    told(&locked, &["lot.toml", "kmu.json", "slot 242: revokable"]);
    told(&slots(three()).with(">=3.2.0", "<3.2.0"), &["lot.toml", "kmu.json", "226, 228, 230"]);
    told(&slots(three()).with("boot = \"mcuboot\"\nsdk", "boot = \"mcuboot-under-nsib\"\nsdk"), &["kmu.json", "226"]);
    let two = slots(three()).with(", { key = \"ed25519-c\", policy = \"revokable\" }]", "]");
    told(&two, &["kmu.json", "lot.toml", "slot 246", "not among"]);
    let one = vector("kmu/psa-ed25519-a-slot242-revokable.json");
    among(&slots(one), &["lot.toml", "kmu.json", "no key for slot 244"]);
    told(&slots(three()).with("sdk = \">=3.2.0\"\n", ""), &["needs `sdk`"]);
    told(&slots(b"{".to_vec()), &["lot.toml", "kmu.json"]);
}

#[test]
fn an_application_that_no_slot_verifies_names_itself_and_the_key_file() {
    let others =
        KeyFile::for_role(Role::Bootloader, &[key("ed25519-b").raw().try_into().unwrap()], UploadPolicy::Revokable);
    let lot = slots(others.unwrap().to_json().into_bytes())
        .with("{ key = \"root\", policy = \"revokable\" }, ", "")
        .with(", { key = \"ed25519-c\", policy = \"revokable\" }]", "]");
    told(&lot, &["lot.toml", APPLICATION, "kmu.json", "gw3-root.pem"]);
    let unsaid = slots(three()).with(KMU, "[lock]");
    told(&unsaid, &["there is no [[stamp.kmu]]"]);
}

// Published and refused keys, in every form.

/// The published key of this kind.
pub(crate) fn published(kind: &str) -> AnyKey {
    let list: serde_json::Value =
        serde_json::from_str(include_str!("../keys-public/known-development-keys.json")).unwrap();
    let keys = list["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["type"] == kind && key["private_key_published"] == true).unwrap();
    AnyKey::from_spki(&bytes_from_hex(key["spki_der_hex"].as_str().unwrap()).unwrap()).unwrap()
}

/// Refused everywhere but in engineering mode.
pub(crate) fn refused(lot: &Lot, names: &[&str]) {
    for mode in [None, Some(Mode::Training), Some(Mode::Production)] {
        let problems = lot.read_as(mode).map(|product| product.code).unwrap_err();
        let hit = |problem: &&Problem| names.iter().all(|name| problem.to_string().contains(name));
        let problem = problems.iter().find(hit).unwrap_or_else(|| panic!("{names:?}: {problems:#?}"));
        assert_eq!(problem.exit, Exit::KeyRefused, "{problem}");
    }
    // There the refusals are remarks, and everything else is told as everywhere.
    let others: Vec<Problem> = lot.problems().into_iter().filter(|problem| problem.exit != Exit::KeyRefused).collect();
    match lot.read_as(Some(Mode::Engineering)) {
        Ok(product) => {
            let hit = |remark: &&String| names.iter().all(|name| remark.contains(name));
            assert!(others.is_empty() && product.remarks.iter().any(|remark| hit(&remark)), "{:#?}", product.remarks);
        }
        Err(still) => assert!(!others.is_empty() && still == others, "{still:#?}, expected {others:#?}"),
    }
}

#[test]
fn a_published_key_is_refused_as_keyhash_of_any_length_in_storage_and_in_slots() {
    let development = AnyKey::from_spki(&development_key()).unwrap();
    for hash in Hash::ALL {
        let application = Application { key_tlv: (0x01, development.key_hash(hash)), ..Application::good() };
        refused(&application.lot(), &[APPLICATION, DEVELOPMENT_NAME]);
    }
    let rsa = published("rsa-2048");
    let application = Application { key_tlv: (0x01, rsa.key_hash(Hash::Sha256)), ..Application::good() };
    refused(&application.lot(), &[APPLICATION, "published development key"]);
    let storage = made(&[Generation::Ncs2_7.hash(&development).unwrap()]);
    refused(&nsib(storage), &["provision.hex", DEVELOPMENT_NAME]);
    let ed25519: [u8; 32] = published("ed25519").raw().try_into().unwrap();
    let file = KeyFile::for_role(Role::Bootloader, &[ed25519], UploadPolicy::Revokable).unwrap();
    refused(&slots(file.to_json().into_bytes()), &["kmu.json", "slot 242", "published development key"]);
}

#[test]
fn a_key_file_on_the_companys_list_is_refused_in_forms_that_no_fingerprint_tells() {
    let list =
        "schema = 1\n[[refused]]\nname = \"old\"\nfile = \"old.pem\"\nreason = \"retired\"\ndate = \"2026-11-20\"\n";
    let listed = |mut lot: Lot, name: &str| {
        lot.files.insert("refused-keys.toml".to_owned(), list.into());
        lot.files.insert("old.pem".to_owned(), vector(&format!("keys/{name}.pub.pem")));
        lot
    };
    let hashed = Application { key_tlv: (0x01, key("rsa2048-a").key_hash(Hash::Sha256)), ..Application::good() };
    refused(&listed(hashed.lot(), "rsa2048-a"), &[APPLICATION, "retired"]);
    refused(&listed(nsib(provision("nrf52840-3keys")), "p256-c"), &["provision.hex", "retired"]);
    refused(&listed(slots(three()), "ed25519-c"), &["kmu.json", "retired"]);
    let mut lost = listed(Lot::good(), "p256-d");
    lost.files.remove("old.pem");
    told(&lost, &["refused-keys.toml", "old.pem"]);
}

// Encrypted images.

pub(crate) fn private(name: &str) -> Vec<u8> {
    let pem = String::from_utf8(vector(&format!("keys/{name}.priv.pem"))).unwrap();
    Document::from_pem(&pem).unwrap().1.as_bytes().to_vec()
}

pub(crate) fn declared(lot: Lot, name: &str) -> Lot {
    let digest = key(name).spki_sha256();
    lot.with("[uicr]", &format!("[key.decrypt]\npurpose = \"device-decryption\"\nspki_sha256 = \"{digest}\"\n\n[uicr]"))
}

/// Plain where it stands, encrypted for whoever updates: as `imgtool sign --clear` leaves it.
pub(crate) fn encrypted(tlv_kind: u16, length: usize) -> Vec<u8> {
    let application = Application { flags: 0x4, more: tlv(tlv_kind, &vec![7; length]), ..Application::good() };
    as_hex(0x1000, &application.signed())
}

#[test]
fn a_declared_decryption_key_may_be_on_a_board_and_is_never_shown() {
    for (name, kind, length) in [("p256-d", 0x32, 113), ("x25519-a", 0x33, 80), ("rsa2048-a", 0x30, 256)] {
        let lot = declared(bootloader_with(&private(name)).with_file(APPLICATION, encrypted(kind, length)), name);
        let product = read(&lot);
        assert_eq!(product.decryption, Some(key(name).spki_sha256()));
        assert!(!product.keys.contains_key("decrypt"));
        assert!(plan::lot(product).is_ok(), "{name}");
    }
}

#[test]
fn an_encrypted_image_or_a_private_key_that_is_not_declared_is_refused() {
    let hard = |lot: &Lot, names: &[&str]| {
        let problem = told(lot, names);
        assert_eq!(problem.exit, Exit::KeyRefused, "{problem}");
        assert!(lot.read_as(Some(Mode::Engineering)).is_err());
    };
    hard(&Lot::good().with_file(APPLICATION, encrypted(0x32, 113)), &[APPLICATION, "lot.toml", "P-256 private key"]);
    let shared = Lot::good().with_file(APPLICATION, encrypted(0x31, 24));
    hard(&shared, &[APPLICATION, "symmetric", "no public half"]);
    let digest = key("p256-d").spki_sha256().to_string();
    hard(&bootloader_with(&private("p256-d")), &[BOOTLOADER, "0x00000014", &digest, "[key.decrypt]"]);
    let other = declared(bootloader_with(&private("p256-d")), "p256-c");
    let problem = among(&other, &[BOOTLOADER, "lot.toml", &digest]);
    assert_eq!(problem.exit, Exit::KeyRefused);
    among(&other, &["lot.toml", "no bootloader here holds it"]);
    let kind = declared(bootloader_with(&private("p256-d")).with_file(APPLICATION, encrypted(0x33, 80)), "p256-d");
    hard(&kind, &[APPLICATION, BOOTLOADER, "X25519"]);
}

#[test]
fn a_decryption_key_needs_read_back_protection_and_comes_without_a_file() {
    let good = || declared(bootloader_with(&private("p256-d")), "p256-d");
    let open =
        told(&good().with("approtect = true", "approtect = false"), &["lot.toml", "approtect = true is mandatory"]);
    assert_eq!(open.exit, Exit::KeyRefused);
    let filed = told(&good().with("purpose = ", "file = \"d.pem\"\npurpose = "), &["lot.toml", "remove `file`"]);
    assert_eq!(filed.exit, Exit::KeyRefused);
    let twice = good().with("[uicr]", "[key.second]\npurpose = \"device-decryption\"\nspki_sha256 = \"{}\"\n\n[uicr]");
    among(&twice.with("{}", &"0".repeat(64)), &["a second decryption key"]);
}

#[test]
fn a_published_decryption_key_is_refused_even_if_it_is_declared() {
    let mut lot = declared(bootloader_with(&private("p256-d")), "p256-d");
    let list = format!(
        "schema = 1\n[[refused]]\nspki_sha256 = \"{}\"\nreason = \"published\"\ndate = \"2026-11-20\"\n",
        key("p256-d").spki_sha256()
    );
    lot.files.insert("refused-keys.toml".to_owned(), list.into());
    refused(&lot, &["lot.toml", "[key.decrypt]", "published"]);
}

// The planned state.

#[test]
fn a_planned_state_that_would_not_boot_says_so_and_names_both_files() {
    let product = crate::recipe::Lot::good().read_as(None).unwrap();
    let lot = plan::lot(product).unwrap();
    let whole = || (lot.product.clone(), lot.golden.clone());
    let no = |product: &Product, golden: &plan::Golden, names: &[&str]| {
        let problems = plan::would_boot(product, golden);
        let hit = |problem: &Problem| names.iter().all(|name| problem.to_string().contains(name));
        assert!(problems.iter().any(hit), "{names:?}: {problems:#?}");
    };
    let (product, golden) = whole();
    assert_eq!(plan::would_boot(&product, &golden), Vec::new());
    let (product, mut golden) = whole();
    golden.regions[1].bytes[0x210] ^= 1;
    no(&product, &golden, &[APPLICATION, "would not boot", "hash does not fit"]);
    let (product, mut golden) = whole();
    golden.regions[1].bytes[0] = 0;
    no(&product, &golden, &[APPLICATION, "would not boot"]);
    let (product, mut golden) = whole();
    golden.regions[0].bytes[4] = 0;
    no(&product, &golden, &["even"]);
    let word = |golden: &mut plan::Golden, name: &str, value: u32| {
        golden.words.iter_mut().find(|word| word.name == name).unwrap().value = value;
    };
    let (product, mut golden) = whole();
    word(&mut golden, "key_hash[7]", 0);
    no(&product, &golden, &[APPLICATION, "lot.toml", "not the one whose hash"]);
    let (product, mut golden) = whole();
    word(&mut golden, "counter[1]", !9);
    no(&product, &golden, &[APPLICATION, "lot.toml", "it is 9"]);
    let (product, mut golden) = whole();
    golden.regions.truncate(1);
    no(&product, &golden, &[APPLICATION, "not in the plan"]);
}

#[test]
fn stamps_and_slots_where_the_bootloader_does_not_look_name_both_files() {
    let planned = |lot: &Lot| plan::lot(read(lot)).map(|lot| lot.golden.digest).unwrap_err();
    let one = |lot: &Lot, names: &[&str]| {
        let problems = planned(lot);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(names.iter().all(|name| problems[0].to_string().contains(name)), "{}", problems[0]);
    };
    one(
        &Lot::good().with("uicr.customer[8]", "uicr.customer[9]").with("slots   = 16", "slots   = 15"),
        &["lot.toml", BOOTLOADER, "15 slots from 0x100010A4"],
    );
    one(&Lot::good().with("slots   = 16", "slots   = 15"), &["lot.toml", BOOTLOADER, "the counter has 15 slots"]);
    let moved = Lot::good()
        .with("uicr.customer[24]", "uicr.customer[0]")
        .with("at      = \"uicr.customer[0]\"", "at      = \"uicr.customer[24]\"");
    one(&moved, &["lot.toml", BOOTLOADER, "the key hash goes to"]);
    let elsewhere = Application { at: 0x40000, program: vectors(0x40020), ..Application::good() };
    one(&elsewhere.lot(), &[APPLICATION, BOOTLOADER, "it stands at 0x00040000"]);
}

/// Whatever kind of key it is: of some that nothing here signs with, the private half is published too.
#[test]
fn every_published_key_is_refused_as_the_key_file_of_a_recipe() {
    let known: serde_json::Value = serde_json::from_slice(&vector("known-dev-keys.json")).unwrap();
    let keys = known["keys"].as_array().unwrap();
    for key in keys {
        let der = rootstamp::ident::bytes_from_hex(key["spki_der_hex"].as_str().unwrap()).unwrap();
        let mut lot = Lot::good();
        lot.files.insert("gw3-root.pem".to_owned(), der);
        let problems = lot.problems();
        let refused = |problem: &&Problem| problem.exit == Exit::KeyRefused && problem.what.contains("gw3-root.pem");
        assert!(problems.iter().any(|problem| refused(&problem)), "{}: {problems:#?}", key["type"]);
    }
    assert_eq!(keys.len(), 170);
}
