//! Products, good and bad: for every check there is a file that fails it.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    pkcs8::DecodePrivateKey as _,
};
use proptest::prelude::*;
use rootstamp::{
    fault::{Exit, Problem, all_at_once},
    file,
    ident::{Digest, Mode, bytes_from_hex},
    image::mcuboot,
    recipe::{self, Inside, Is, Product, ReadBy, STAND_INS, Shelf, Ships, Word},
};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn bytes(path: &str) -> Vec<u8> {
    fs::read(project(path)).unwrap()
}

fn text(path: &str) -> String {
    String::from_utf8(bytes(path)).unwrap()
}

/// The smallest product, to be spoilt: files are found by their last name.
pub(crate) struct Lot {
    pub(crate) recipe: String,
    pub(crate) files: HashMap<String, Vec<u8>>,
}

pub(crate) const BOOTLOADER: &str = "stand-in-smallest-bootloader.hex";
pub(crate) const APPLICATION: &str = "stand-in-smallest-1.0.0.signed.hex";

impl Lot {
    pub(crate) fn good() -> Self {
        let files = HashMap::from([
            (BOOTLOADER.to_owned(), bytes(&format!("tests/products/images/{BOOTLOADER}"))),
            (APPLICATION.to_owned(), bytes(&format!("tests/products/images/{APPLICATION}"))),
            ("gw3-root.pem".to_owned(), bytes("keys-public/gw3-root.pem")),
        ]);
        Self { recipe: text("tests/products/smallest.toml"), files }
    }

    /// With one text in the recipe replaced, which must be there.
    pub(crate) fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.recipe.contains(from), "{from} is not in the recipe");
        self.recipe = self.recipe.replacen(from, to, 1);
        self
    }

    /// With another file, pinned as it is.
    pub(crate) fn with_file(mut self, name: &str, bytes: Vec<u8>) -> Self {
        if let Some(old) = self.files.get(name) {
            let (old, new) = (Digest::of(old).to_string(), Digest::of(&bytes).to_string());
            self.recipe = self.recipe.replace(&old, &new);
        }
        self.files.insert(name.to_owned(), bytes);
        self
    }

    pub(crate) fn read_as(&self, mode: Option<Mode>) -> Result<Product, Vec<Problem>> {
        recipe::read_from(self, Path::new("lot.toml"), mode)
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.read_as(None).map(|product| product.code).unwrap_err()
    }

    pub(crate) fn line_of(&self, text: &str) -> usize {
        self.recipe.lines().position(|line| line.contains(text)).unwrap() + 1
    }
}

impl Shelf for Lot {
    fn take(&self, path: &Path, limit: u64) -> Result<file::Read, Problem> {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "lot.toml" {
            return Ok(file::Read::from_memory(name, self.recipe.clone().into()));
        }
        match self.files.get(name) {
            Some(bytes) if bytes.len() as u64 <= limit => Ok(file::Read::from_memory(name, bytes.clone())),
            _ => Err(Problem::new(name, "cannot be opened")),
        }
    }

    fn holds(&self, path: &Path) -> bool {
        self.files.contains_key(path.file_name().unwrap().to_str().unwrap())
    }
}

/// The one problem of a lot, which must hold these words.
pub(crate) fn told(lot: &Lot, expected: &str) -> Problem {
    let problems = lot.problems();
    assert_eq!(problems.len(), 1, "{expected}: {problems:#?}");
    assert!(problems[0].what.contains(expected), "{expected}: {}", problems[0]);
    problems[0].clone()
}

/// A replaced word, and what is then told at the line it stands in.
fn spoilt(from: &str, to: &str, expected: &str) {
    let lot = Lot::good().with(from, to);
    let problem = told(&lot, expected);
    if problem.file == "lot.toml" {
        let start = lot.recipe.find(to).unwrap();
        let line = lot.recipe[..start].matches('\n').count() + to.lines().count();
        assert_eq!(problem.line, Some(line), "{problem}");
    }
    assert_eq!(problem.exit, Exit::Usage, "{problem}");
}

#[test]
fn the_products_of_the_demo_are_whole_on_disk_and_inside_the_program() {
    for (path, ships) in
        [("templates/products/gw3.toml", Ships::Closed), ("templates/products/gw3-old.toml", Ships::Open)]
    {
        let carried = recipe::read_from(&STAND_INS, Path::new(path), Some(Mode::Training)).unwrap();
        let on_disk = recipe::read(&project(path), None).unwrap();
        assert_eq!((carried.digest, carried.silicon.ships), (on_disk.digest, ships));
        assert_eq!(carried.remarks, Vec::<String>::new());
        assert_eq!(carried.code, "GW3");
        assert_eq!(carried.serial.nth(1).unwrap().as_str(), "GW3-0000001R");
    }
}

#[test]
fn the_smallest_product_has_every_step() {
    let product = recipe::read(&project("tests/products/smallest.toml"), None).unwrap();
    let [bootloader, application] = &product.images[..] else { panic!("{:?}", product.images) };
    assert_eq!((bootloader.is, bootloader.inside, bootloader.map.first()), (Is::Mcuboot, Some(Inside::HwKey), 0));
    assert!(bootloader.map.len() <= 512);
    let about = application.about.as_ref().unwrap();
    assert_eq!((about.header.version.to_string(), about.security_counter()), ("1.0.0+0".to_owned(), Some(1)));
    let key = &product.keys["root"];
    assert_eq!(about.public_key(), Some(key.spki()));
    let hash = product.key_hash.unwrap();
    assert_eq!((hash.at.area.as_str(), hash.at.index, hash.read_by), ("uicr.customer", 0, ReadBy::McubootHwKey));
    assert_eq!(product.counter.map(|counter| (counter.at.index, counter.slots, counter.initial)), Some((8, 16, 1)));
    assert_eq!(product.serial_stamp.map(|stamp| (stamp.at.index, stamp.words)), Some((24, 3)));
    assert_eq!(product.uicr.len(), 3);
    assert!(matches!(product.uicr[1].word, Word::PselReset(pin) if (pin.port, pin.pin) == (0, 18)));
    assert!(product.lock.approtect.value);
    assert_eq!(product.boot.unwrap().within_ms, 500);
    assert_eq!(product.chip.place.line, 6);
}

#[test]
fn a_recipe_with_five_mistakes_gets_five_messages_with_positions() {
    let lot = Lot::good()
        .with("title   =", "titel   =")
        .with("arrives = \"blank\"", "arrives = \"blnak\"")
        .with("slots   = 16", "slots   = \"16\"")
        .with("approtect = true", "aprotect = true")
        .with("P0.18", "P2.18");
    let problems = lot.problems();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "did you mean `title`?",
        "did you mean `blank`?",
        "`pselreset` must be a pin",
        "`slots` must be a whole number",
        "did you mean `approtect`?",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for expected in expected {
        assert!(told.iter().any(|told| told.contains(expected)), "{expected}: {told:#?}");
    }
    assert!(problems.iter().all(|problem| problem.line.is_some() && problem.column.is_some()));
    let fault = all_at_once(&problems);
    assert_eq!((fault.exit, fault.causes.len()), (Exit::Usage, 5));
}

#[test]
fn toml_that_is_torn_is_told_with_what_else_is_wrong() {
    let lot = Lot::good().with("schema  = 1", "schema  = ").with("\"blank\"", "\"blnak\"");
    let told: Vec<String> = lot.problems().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("lot.toml:3:") && told[0].contains("not TOML"), "{told:#?}");
    assert!(told[1].contains("did you mean `blank`?"), "{told:#?}");
}

#[test]
fn a_word_that_is_wrong_in_itself_is_told_where_it_stands() {
    for (from, to, expected) in [
        ("schema  = 1", "schema  = 2", "must be 1"),
        ("ships = \"closed\"", "ships = \"shut\"", "one of: open, closed"),
        ("T1-[0-9]{5}[0-9A-Z]", "T1-[0-9]{5}[0-9A-Y]", "check character"),
        ("iso7064-mod37-36", "iso7064-mod37-2", "did you mean `iso7064-mod37-36`?"),
        ("is     = \"mcuboot\"", "is     = \"mcubot\"", "did you mean `mcuboot`?"),
        ("keys   = \"hw-key\"", "keys   = \"hwkey\"", "did you mean `hw-key`?"),
        ("\"3.3V\"", "\"3.2V\"", "`regout0` = \"3.2V\" is not known"),
        ("\"gpio\"", "\"gipo\"", "did you mean `gpio`?"),
        ("\"spki-sha256\"", "\"raw-sha256\"", "did you mean `spki-sha256`?"),
        ("\"uicr.customer[0]\"", "\"uicr.customer\"", "must be a word as in"),
        ("\"uicr.customer[24]\"", "\"UICR.customer[24]\"", "must be a word as in"),
        ("slots   = 16", "slots   = 0", "at least 1"),
        ("within_ms = 500", "within_ms = 0", "from 1 to 60000"),
        ("within_ms = 500", "within_ms = 60001", "from 1 to 60000"),
        ("product = \"T1\"", "product = \"T1-IS-MUCH-TOO-LONG\"", "longer than 16"),
        ("approtect = true", "approtect = \"yes\"", "true or false"),
    ] {
        spoilt(from, to, expected);
    }
}

#[test]
fn a_counter_that_no_slot_can_hold_is_refused() {
    let problems = Lot::good().with("initial = 1", "initial = 17").problems();
    assert!(problems.iter().any(|problem| problem.what.contains("above the 16 `slots`")), "{problems:#?}");
}

#[test]
fn a_title_or_console_text_with_characters_that_nobody_can_see_is_refused() {
    for hidden in ["\\u001b[31m", "\\u202e", "\\u200b", "\\u0007"] {
        let lot = Lot::good().with("title   = \"", &format!("title   = \"{hidden}"));
        told(&lot, "characters that nobody can see");
    }
}

#[test]
fn what_other_chips_and_later_releases_have_is_named_as_such() {
    for (from, to, expected) in [
        ("approtect = true", "approtect = true\nsecure = true", "does not exist on this chip"),
        ("approtect = true", "approtect = true\nnetwork = true", "one core"),
        ("approtect = true", "approtect = true\nerase = false", "ERASEPROTECT"),
        ("[stamp.serial]", "[stamp.bootconf]\nprotect_kib = 30\n[stamp.serial]", "only nRF54L"),
        ("[stamp.serial]", "[[stamp.blob]]\nname = \"x\"\n[stamp.serial]", "later release"),
        ("schema  = 1", "schema  = 1\nkeep = []", "keeps nothing"),
        ("schema  = 1", "schema  = 1\nmode = \"training\"", "station's file"),
    ] {
        let problem = told(&Lot::good().with(from, to), expected);
        assert!(problem.line.is_some(), "{problem}");
    }
    let lot = Lot::good().with("read_by = \"mcuboot-hw-key\"                  # …", "read_by = \"nsib\" # …");
    told(&lot, "comes with a later release; this one knows mcuboot-hw-key, app, nobody");
    let lot = Lot::good().with("[uicr]", "[key.decrypt]\npurpose = \"device-decryption\"\n[uicr]");
    assert!(lot.problems().iter().any(|problem| problem.what.contains("needs `spki_sha256`")));
    let lot = Lot::good().with("[uicr]", "[key.device]\nselect = { by = \"serial\" }\n[uicr]");
    assert!(lot.problems().iter().any(|problem| problem.what.contains("`select` needs `table`")));
}

#[test]
fn a_missing_word_is_asked_for() {
    for (gone, expected) in [
        ("arrives = \"blank\"\n", "a product needs `arrives`"),
        ("approtect = true\n", "[lock] needs `approtect`"),
        ("silicon = { at_least = \"Fxx\", ships = \"closed\" }", "a product needs `silicon`"),
        ("slots   = 16 ", "[stamp.counter] needs `slots`"),
        ("keys   = \"hw-key\" ", "needs `keys`"),
        ("trusts = [\"root\"]\n", "needs `trusts`"),
        ("signed = \"root\"\n", "needs `signed`"),
    ] {
        let replacement = if gone.ends_with('\n') { "" } else { "# " };
        let problems = Lot::good().with(gone, replacement).problems();
        assert!(problems[0].what.contains(expected), "{expected}: {problems:#?}");
    }
}

#[test]
fn words_that_do_not_fit_the_kind_of_image_are_refused() {
    spoilt("signed = \"root\"", "signed = \"root\"\nkeys = \"embedded\"", "said of a bootloader");
    spoilt("signed = \"root\"", "signed = \"root\"\ntrusts = [\"root\"]", "said of a bootloader");
    spoilt("trusts = [\"root\"]", "trusts = [\"root\"]\nsigned = \"root\"", "said of an image that MCUboot starts");
    spoilt("trusts = [\"root\"]", "trusts = [\"root\"]\nat = 0", "a hex file says itself");
    spoilt("name   = \"application\"", "name   = \"bootloader\" ", "a second image is called");
}

#[test]
fn a_bootloader_that_says_it_holds_no_key_has_no_place_for_one() {
    let patch = "trusts = [\"root\"]\npatch = { at = 0x14, form = \"spki\" }";
    let lot = Lot::good().with("trusts = [\"root\"]", patch);
    let problems = lot.problems();
    let told = problems.iter().find(|problem| problem.what.contains("but `patch` puts one there"));
    assert_eq!(told.and_then(|told| told.line), Some(lot.line_of("keys   = \"hw-key\"")), "{problems:#?}");
}

#[test]
fn a_name_of_no_key_is_told_with_the_nearest() {
    for (from, to) in [
        ("trusts = [\"root\"]", "trusts = [\"roots\"]"),
        ("signed = \"root\"", "signed = \"roto\""),
        ("key     = \"root\"", "key     = \"rot\""),
    ] {
        told(&Lot::good().with(from, to), "did you mean `root`?");
    }
}

#[test]
fn a_swapped_file_does_not_pass_its_pin() {
    let mut lot = Lot::good();
    lot.files.insert("gw3-root.pem".to_owned(), bytes("tests/vectors/keys/p256-b.pub.pem"));
    let problems = lot.problems();
    assert!(problems[0].what.contains("not the pinned one"), "{problems:#?}");
    let mut lot = Lot::good();
    lot.files.get_mut(BOOTLOADER).unwrap().extend_from_slice(b"\n");
    let problem = told(&lot, "not the pinned one");
    assert_eq!(problem.line, Some(lot.line_of(BOOTLOADER) + 1));
}

#[test]
fn a_file_that_is_not_there_is_told_at_the_line_that_names_it() {
    for name in [BOOTLOADER, "gw3-root.pem"] {
        let mut lot = Lot::good();
        lot.files.remove(name);
        let problems = lot.problems();
        assert!(problems[0].what.contains("cannot be opened"), "{problems:#?}");
        assert_eq!(problems[0].line, Some(lot.line_of(name)));
    }
    assert!(recipe::read(&project("tests/no-such.toml"), None).unwrap_err()[0].what.contains("cannot be opened"));
}

#[test]
fn a_private_key_in_a_recipe_is_refused_even_in_engineering_mode() {
    let mut lot = Lot::good();
    lot.files.insert("gw3-root.pem".to_owned(), bytes("tests/vectors/keys/p256-a.priv.pem"));
    for mode in [None, Some(Mode::Training), Some(Mode::Engineering)] {
        let problems = lot.read_as(mode).unwrap_err();
        assert!(problems[0].what.contains("private key"), "{problems:#?}");
        assert_eq!(all_at_once(&problems).exit, Exit::KeyRefused);
    }
}

#[test]
fn a_damaged_hex_is_named_with_its_own_line_and_address() {
    let hex = String::from_utf8(Lot::good().files[BOOTLOADER].clone()).unwrap();
    let cut = hex.replace(":00000001FF", "");
    told(&Lot::good().with_file(BOOTLOADER, cut.into()), "no end record");
    let doubled = format!("{}\n{hex}", hex.lines().nth(3).unwrap());
    let problem = told(&Lot::good().with_file(BOOTLOADER, doubled.into()), "0x00000030 is written twice");
    assert!(problem.file.ends_with(BOOTLOADER) && problem.line == Some(5), "{problem}");
    let other = |name: &str| {
        let lot = Lot::good().with(&format!("images/{BOOTLOADER}"), &format!("images/{name}"));
        lot.with_file(name, vec![1]).problems()
    };
    let (unnamed, elf) = (other("loader.img"), other("loader.elf"));
    let told = |problems: &[Problem], expected: &str| problems.iter().any(|problem| problem.what.contains(expected));
    assert!(told(&unnamed, "a .hex (Intel HEX), an .elf or a .bin"), "{unnamed:#?}");
    assert!(told(&elf, "is not ELF: it does not begin with 7F 45 4C 46"), "{elf:#?}");
}

// Images of these tests' own making, to be wrong in one way each.

pub(crate) fn spki(name: &str) -> Vec<u8> {
    bytes(&format!("tests/vectors/keys/{name}.spki.der"))
}

/// A development key that everybody can sign with: MCUboot's own root-ec-p256.
pub(crate) fn development_key() -> Vec<u8> {
    let list: serde_json::Value = serde_json::from_str(&text("keys-public/known-development-keys.json")).unwrap();
    let known = "e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6";
    let key = list["keys"].as_array().unwrap().iter().find(|key| key["spki_sha256"] == known).unwrap();
    bytes_from_hex(key["spki_der_hex"].as_str().unwrap()).unwrap()
}

pub(crate) const DEVELOPMENT_NAME: &str = "sdk-mcuboot:root-ec-p256-pkcs8.pem";

pub(crate) fn as_hex(at: u32, bytes: &[u8]) -> Vec<u8> {
    let mut hex = String::new();
    let mut record = |kind: u8, offset: u32, data: &[u8]| {
        let head = [u8::try_from(data.len()).unwrap(), (offset >> 8 & 0xFF) as u8, (offset & 0xFF) as u8, kind];
        let all = [&head, data].concat();
        let sum = all.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
        let digits: String = all.iter().chain([&sum]).map(|byte| format!("{byte:02X}")).collect();
        hex += &format!(":{digits}\n");
    };
    for (index, chunk) in bytes.chunks(16).enumerate() {
        let address = at + u32::try_from(index * 16).unwrap();
        record(4, 0, &address.to_be_bytes()[..2]);
        record(0, address & 0xFFFF, chunk);
    }
    record(1, 0, &[]);
    hex.into()
}

pub(crate) fn vectors(at: u32) -> Vec<u8> {
    [0x2000_1000u32, at + 9, 0xE7FE_E7FE, 0xE7FE_E7FE].map(u32::to_le_bytes).concat()
}

/// A bootloader with these bytes behind its vectors.
pub(crate) fn bootloader_with(inside: &[u8]) -> Lot {
    let program = [&vectors(0), &mcuboot::MAGIC.to_le_bytes()[..], inside].concat();
    Lot::good().with_file(BOOTLOADER, as_hex(0, &program))
}

pub(crate) struct Application {
    pub(crate) at: u32,
    pub(crate) program: Vec<u8>,
    pub(crate) counter: Option<u32>,
    pub(crate) counter_protected: bool,
    pub(crate) key_tlv: (u16, Vec<u8>),
    pub(crate) signer: &'static str,
    pub(crate) flags: u32,
    pub(crate) version: [u8; 8],
    /// Protected TLVs beside the counter.
    pub(crate) protected: Vec<u8>,
    /// TLVs behind the signature.
    pub(crate) more: Vec<u8>,
}

impl Application {
    pub(crate) fn good() -> Self {
        Self {
            at: 0x1000,
            program: vectors(0x1020),
            counter: Some(1),
            counter_protected: true,
            key_tlv: (0x02, spki("p256-a")),
            signer: "p256-a",
            flags: 0,
            version: [1, 0, 0, 0, 0, 0, 0, 0],
            protected: Vec::new(),
            more: Vec::new(),
        }
    }

    /// Signed with another key, of any kind.
    pub(crate) fn by(signer: &'static str) -> Self {
        let key = rootstamp::keys::AnyKey::from_spki(&spki(signer)).unwrap();
        Self { signer, key_tlv: (0x02, key.mcuboot_encoding().to_vec()), ..Self::good() }
    }

    pub(crate) fn signed(&self) -> Vec<u8> {
        let counter: Vec<Vec<u8>> = self.counter.iter().map(|value| tlv(0x50, &value.to_le_bytes())).collect();
        let area = |magic: u16, tlvs: Vec<u8>| {
            let total = u16::try_from(tlvs.len() + 4).unwrap();
            [&magic.to_le_bytes()[..], &total.to_le_bytes(), &tlvs].concat()
        };
        let kept = if self.counter_protected { counter.concat() } else { Vec::new() };
        let kept = [kept, self.protected.clone()].concat();
        let protected = if kept.is_empty() { kept } else { area(0x6908, kept) };
        let size = u32::try_from(self.program.len()).unwrap();
        let header = [
            &mcuboot::MAGIC.to_le_bytes()[..],
            &[0; 4],
            &32u16.to_le_bytes(),
            &u16::try_from(protected.len()).unwrap().to_le_bytes(),
            &size.to_le_bytes(),
            &self.flags.to_le_bytes(),
            &self.version,
            &[0; 4],
        ]
        .concat();
        let hashed = [header, self.program.clone(), protected].concat();
        let (hash, signature) = signature(self.signer, &hashed);
        let mut tlvs = tlv(hash.0, &hash.1);
        tlvs.extend(tlv(self.key_tlv.0, &self.key_tlv.1));
        tlvs.extend(tlv(signature.0, &signature.1));
        tlvs.extend(&self.more);
        if !self.counter_protected {
            tlvs.extend(counter.concat());
        }
        [hashed, area(0x6907, tlvs)].concat()
    }

    pub(crate) fn lot(&self) -> Lot {
        Lot::good().with_file(APPLICATION, as_hex(self.at, &self.signed()))
    }
}

type Entry = (u16, Vec<u8>);

/// Hash and signature of a program by a key of the vectors, as imgtool makes them.
fn signature(signer: &str, hashed: &[u8]) -> (Entry, Entry) {
    let pem = text(&format!("tests/vectors/keys/{signer}.priv.pem"));
    let der = || p256::pkcs8::Document::from_pem(&pem).unwrap().1.as_bytes().to_vec();
    let random = ring::rand::SystemRandom::new();
    let hash = (0x10, Digest::of(hashed).0.to_vec());
    let kind = signer.split('-').next().unwrap();
    let signature = match kind {
        "p256" => {
            let key = SigningKey::from_pkcs8_pem(&pem).unwrap();
            let signature: Signature = key.sign_prehash(&hash.1).unwrap();
            (0x22, signature.to_der().as_bytes().to_vec())
        }
        "p384" => {
            let kind = &ring::signature::ECDSA_P384_SHA384_ASN1_SIGNING;
            let key = ring::signature::EcdsaKeyPair::from_pkcs8(kind, &der(), &random).unwrap();
            let hash = (0x11, ring::digest::digest(&ring::digest::SHA384, hashed).as_ref().to_vec());
            return (hash, (0x22, key.sign(&random, hashed).unwrap().as_ref().to_vec()));
        }
        "ed25519" => {
            let key = ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der()).unwrap();
            (0x24, key.sign(&hash.1).as_ref().to_vec())
        }
        _ => {
            let key = ring::signature::RsaKeyPair::from_pkcs8(&der()).unwrap();
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(&ring::signature::RSA_PSS_SHA256, &random, hashed, &mut signature).unwrap();
            (if kind == "rsa2048" { 0x20 } else { 0x23 }, signature)
        }
    };
    (hash, signature)
}

pub(crate) fn tlv(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &u16::try_from(data.len()).unwrap().to_le_bytes(), data].concat()
}

#[test]
fn images_of_our_own_making_pass_when_nothing_is_wrong_with_them() {
    assert!(bootloader_with(&[]).read_as(None).is_ok());
    assert!(Application::good().lot().read_as(None).is_ok());
}

#[test]
fn a_development_key_inside_a_bootloader_is_refused_with_its_name_and_address() {
    for inside in [development_key(), development_key()[27..].to_vec()] {
        let lot = bootloader_with(&inside);
        let problems = lot.problems();
        let [refused, contradicted] = &problems[..] else { panic!("{problems:#?}") };
        for problem in [refused, contradicted] {
            assert!(problem.what.contains(DEVELOPMENT_NAME) && problem.what.contains("at 0x00000014"), "{problem}");
            assert!(problem.file.ends_with(BOOTLOADER) && problem.line == Some(4), "{problem}");
        }
        assert_eq!((refused.exit, contradicted.exit), (Exit::KeyRefused, Exit::Usage));
        assert!(contradicted.what.contains("`keys` = \"hw-key\" says that none is"), "{contradicted}");
        assert_eq!(all_at_once(&problems).exit.code(), 40);
        // Engineering mode lets the key pass, and no contradiction.
        let problems = lot.read_as(Some(Mode::Engineering)).unwrap_err();
        assert_eq!(problems.iter().map(|problem| &problem.what).collect::<Vec<_>>(), [&contradicted.what]);
        assert!(lot.read_as(Some(Mode::Training)).is_err());

        let both = || embedded(&[spki("p256-a"), inside.clone()].concat());
        let untrusted = both().read_as(Some(Mode::Engineering)).unwrap_err();
        assert!(untrusted.len() == 1 && untrusted[0].what.contains("not in `trusts`"), "{untrusted:#?}");
        let key = "[key.development]\nfile = \"development.der\"\n\
                   spki_sha256 = \"e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6\"\n\n[uicr]";
        let mut trusted = both().with("[\"root\"]", "[\"root\", \"development\"]").with("[uicr]", key);
        trusted.files.insert("development.der".to_owned(), development_key());
        let product = trusted.read_as(Some(Mode::Engineering)).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let remarked = product.remarks.iter().filter(|remark| remark.contains(DEVELOPMENT_NAME));
        assert!(remarked.count() >= 2, "{:?}", product.remarks);
        assert!(trusted.problems().iter().all(|problem| problem.exit == Exit::KeyRefused));
    }
}

#[test]
fn a_development_key_of_the_recipe_is_refused_at_its_place() {
    let mut lot = Lot::good().with(
        "aee3f2c356b88c41198fa8fd0fe788e5a5e86295fa295ee0774361776489e206",
        "e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6",
    );
    lot.files.insert("gw3-root.pem".to_owned(), development_key());
    let problems = lot.problems();
    assert!(problems[0].what.contains(DEVELOPMENT_NAME) && problems[0].what.contains("key `root`"), "{problems:#?}");
    assert_eq!((problems[0].exit, problems[0].line), (Exit::KeyRefused, Some(lot.line_of("[key.root]"))));
}

#[test]
fn an_application_signed_with_a_development_key_is_refused_by_whole_key_and_by_hash() {
    let hash = Digest::of(&development_key()).0.to_vec();
    for key_tlv in [(0x02, development_key()), (0x01, hash)] {
        let problems = Application { key_tlv, ..Application::good() }.lot().problems();
        let refused = problems.iter().find(|problem| problem.exit == Exit::KeyRefused).unwrap();
        assert!(refused.what.contains(DEVELOPMENT_NAME), "{problems:#?}");
        assert_eq!(all_at_once(&problems).exit, Exit::KeyRefused);
    }
}

#[test]
fn a_key_on_the_companys_list_beside_the_keys_is_refused() {
    let mut lot = Lot::good();
    let list = "schema = 1\n[[refused]]\nspki_sha256 = \"aee3f2c356b88c41198fa8fd0fe788e5a5e86295fa295ee0774361776489e206\"\n\
                reason = \"left with a contractor\"\ndate = \"2026-11-20\"\n";
    lot.files.insert("refused-keys.toml".to_owned(), list.into());
    let problems = lot.problems();
    assert!(problems.iter().all(|problem| problem.what.contains("left with a contractor")), "{problems:#?}");
    assert_eq!(problems.len(), 2, "the key and the image signed with it: {problems:#?}");
    assert!(lot.read_as(Some(Mode::Engineering)).is_ok());
    lot.files.insert("refused-keys.toml".to_owned(), b"schema = 1\n[[refused]]\n".to_vec());
    assert!(lot.problems()[0].file.ends_with("refused-keys.toml"));
}

#[test]
fn a_bootloader_for_a_key_hash_on_the_chip_holds_no_key_of_any_kind() {
    told(&bootloader_with(&spki("p256-a")), "says that none is");
    told(&bootloader_with(&spki("ed25519-a")), "Ed25519");
    let private = {
        use p256::pkcs8::Document;
        Document::from_pem(&text("tests/vectors/keys/p256-b.priv.pem")).unwrap().1.as_bytes().to_vec()
    };
    for mode in [None, Some(Mode::Engineering)] {
        let problems = bootloader_with(&private).read_as(mode).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(problems[0].exit, Exit::KeyRefused);
    }
}

/// A bootloader with its keys inside needs no hash on the chip.
pub(crate) fn embedded(inside: &[u8]) -> Lot {
    let lot = bootloader_with(inside).with("keys   = \"hw-key\"", "keys   = \"embedded\"");
    let start = lot.recipe.find("[stamp.key_hash]").unwrap();
    let end = lot.recipe.find("[stamp.counter]").unwrap();
    Lot { recipe: lot.recipe[..start].to_owned() + &lot.recipe[end..], files: lot.files }
}

#[test]
fn the_keys_inside_a_bootloader_are_those_the_recipe_trusts() {
    assert!(embedded(&spki("p256-a")).read_as(None).is_ok());
    told(&embedded(&[]), "is in `trusts`, but not inside stand-in");
    told(&embedded(&[spki("p256-a"), spki("p256-b")].concat()), "not in `trusts`");
    told(&embedded(&[spki("p256-a"), spki("ed25519-a")].concat()), "not in `trusts`");
}

#[test]
fn an_application_signed_by_a_key_that_the_bootloader_does_not_trust_is_refused() {
    let second = "[key.other]\nfile = \"b.pem\"\nspki_sha256 = \"dd79e5421ba9cb1b29b2f94d87fe6f621868fee37aeb5b00fe300632f90b71e8\"\n\n[uicr]";
    let mut lot = embedded(&spki("p256-b")).with("[uicr]", second).with("trusts = [\"root\"]", "trusts = [\"other\"]");
    lot.files.insert("b.pem".to_owned(), bytes("tests/vectors/keys/p256-b.pub.pem"));
    told(&lot, "is signed by `root`, which image `bootloader` does not trust");
}

#[test]
fn a_bootloader_that_cannot_be_shown_to_be_mcuboot_is_refused() {
    let other = Lot::good().with_file(BOOTLOADER, as_hex(0, &[vectors(0), vec![0; 64]].concat()));
    told(&other, "cannot be shown to be MCUboot");
    let swapped = Lot::good().with_file(BOOTLOADER, as_hex(0, &Application { at: 0, ..Application::good() }.signed()));
    told(&swapped, "is an image that MCUboot starts, not MCUboot");
    let no_vectors = [vec![0; 16], mcuboot::MAGIC.to_le_bytes().to_vec()].concat();
    let problems = Lot::good().with_file(BOOTLOADER, as_hex(0, &no_vectors)).problems();
    assert!(problems.iter().any(|problem| problem.what.contains("not in RAM")), "{problems:#?}");
}

#[test]
fn an_application_that_this_board_would_not_start_is_refused() {
    let good = Application::good;
    told(&Application { signer: "p256-b", ..good() }.lot(), "its signature was not made by the key");
    told(&Application { counter: Some(0), ..good() }.lot(), "below the board's initial 1");
    told(&Application { counter: None, ..good() }.lot(), "no security counter in its protected TLVs");
    told(&Application { program: vectors(0x8000), ..good() }.lot(), "points outside the image");
    told(&Application { flags: 0x10, ..good() }.lot(), "marked as not bootable");
    let hash_only = Application { key_tlv: (0x01, Digest::of(&spki("p256-a")).0.to_vec()), ..good() };
    told(&hash_only.lot(), "--public-key-format full");
    let unprotected = Application { counter_protected: false, ..good() }.lot().problems();
    assert!(unprotected.iter().any(|problem| problem.what.contains("not one protected word")), "{unprotected:#?}");
    told(&Lot::good().with_file(APPLICATION, as_hex(0x1000, &vectors(0x1000))), "no MCUboot image");
}

#[test]
fn two_images_at_one_address_are_refused() {
    let low = Application { at: 0x100, program: vectors(0x120), ..Application::good() };
    let problem = told(&low.lot(), "0x00000100 also belongs to image `bootloader`");
    assert!(problem.file.ends_with(APPLICATION), "{problem}");
}

#[test]
fn bootloader_hash_and_signature_must_speak_of_one_key() {
    let second = "[key.other]\nfile = \"b.pem\"\nspki_sha256 = \"dd79e5421ba9cb1b29b2f94d87fe6f621868fee37aeb5b00fe300632f90b71e8\"\n\n[uicr]";
    let two = || {
        let mut lot = Lot::good().with("[uicr]", second);
        lot.files.insert("b.pem".to_owned(), bytes("tests/vectors/keys/p256-b.pub.pem"));
        lot
    };
    assert!(two().read_as(None).is_ok());
    let problems = two().with("key     = \"root\"", "key     = \"other\"").problems();
    assert!(
        problems.iter().any(|problem| problem.what.contains("is signed by `root`: it would not boot")),
        "{problems:#?}"
    );
    assert!(problems.iter().any(|problem| problem.what.contains("does not trust key `other`")), "{problems:#?}");
    let lot = Lot::good().with("read_by = \"mcuboot-hw-key\"                  # …", "read_by = \"nobody\" # …");
    told(&lot, "must be \"mcuboot-hw-key\"");
    let without = embedded(&spki("p256-a")).with("\"embedded\"", "\"hw-key\"");
    let problems = without.problems();
    assert!(problems.iter().any(|problem| problem.what.contains("there is no [stamp.key_hash]")), "{problems:#?}");
    let nobody_asks = bootloader_with(&spki("p256-a")).with("keys   = \"hw-key\"", "keys   = \"embedded\"");
    told(&nobody_asks, "no image is a bootloader with `keys` = \"hw-key\"");
}

#[test]
fn stamps_that_overlap_are_refused() {
    told(&Lot::good().with("uicr.customer[8]", "uicr.customer[7]"), "overlap");
    told(&Lot::good().with("uicr.customer[24]", "uicr.customer[23]"), "overlap");
    told(&Lot::good().with("slots   = 16", "slots   = 17"), "overlap");
    told(&Lot::good().with("slots   = 16", "slots   = 4294967295"), "overlap");
}

#[test]
fn what_the_recipe_leaves_open_is_remarked() {
    let lot = Lot::good().with("regout0   = \"3.3V\"\n", "").with("nfcpins   = \"gpio\"\n", "");
    let product = lot.read_as(None).unwrap();
    assert_eq!(product.remarks.len(), 2, "{:?}", product.remarks);
    assert!(product.remarks[0].contains("regout0 is not said"), "{:?}", product.remarks);
    let unread = embedded(&spki("p256-a")).with("read_by = \"mcuboot-hw-key\"", "read_by = \"nobody\"");
    let product = unread.read_as(None).unwrap();
    assert!(product.remarks.iter().any(|remark| remark.contains("read by nobody")), "{:?}", product.remarks);
}

#[test]
fn another_recipe_key_or_image_is_another_digest() {
    let good = Lot::good().read_as(None).unwrap();
    let other = bootloader_with(&[]).read_as(None).unwrap();
    assert_ne!(good.digest, other.digest);
    assert_ne!(good.symbols, other.symbols);
    let retitled = Lot::good().with("Smallest", "Smaller").read_as(None).unwrap();
    assert_ne!(good.digest, retitled.digest);
    assert_eq!(good.digest, Lot::good().read_as(Some(Mode::Training)).unwrap().digest);
}

#[test]
fn a_recipe_of_nonsense_is_refused_without_a_panic() {
    for recipe in
        ["", "\u{0}", "[[image]]\n", "image = 3\nkey = 1\nstamp = []\n", "[key]\nroot = 1\n", "[stamp]\nserial = 1"]
    {
        let lot = Lot { recipe: recipe.to_owned(), files: HashMap::new() };
        assert!(!lot.problems().is_empty(), "{recipe}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_byte_changed_in_a_recipe_makes_the_reader_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut lot = Lot::good();
        let mut bytes = lot.recipe.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        lot.recipe = String::from_utf8_lossy(&bytes).into_owned();
        if let Err(problems) = lot.read_as(None) {
            prop_assert!(!problems.is_empty());
        }
    }
}

/// Every text that a schema lets a word have.
fn choices<'s>(schema: &'s serde_json::Value, into: &mut Vec<&'s str>) {
    match schema {
        serde_json::Value::Object(map) => {
            let all = map.get("enum").and_then(serde_json::Value::as_array).into_iter().flatten();
            into.extend(all.chain(map.get("const")).filter_map(serde_json::Value::as_str));
            map.values().for_each(|inner| choices(inner, into));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|inner| choices(inner, into)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

#[test]
fn every_value_that_a_word_takes_stands_in_the_page_for_people() {
    let page = fs::read_to_string(project("docs/recipes.md")).unwrap();
    let schema = recipe::schema();
    let mut all = Vec::new();
    choices(&schema, &mut all);
    assert!(all.len() > 40, "{all:?}");
    let told = |value: &&&str| page.contains(&format!("`{value}`")) || page.contains(&format!("\"{value}\""));
    let missing: Vec<&&str> = all.iter().filter(|value| !told(value)).collect();
    assert!(missing.is_empty(), "docs/recipes.md does not name {missing:?}");
}
