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
    fault::{Exit, Problem},
    file,
    ident::{Digest, Mode, bytes_from_hex},
    image::mcuboot,
    recipe::{self, Inside, Is, Product, ReadBy, STAND_INS, Shelf, Ships, Word},
};

mod beside;
mod images;
mod words;

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

/// A bootloader with its keys inside needs no hash on the chip.
pub(crate) fn embedded(inside: &[u8]) -> Lot {
    let lot = bootloader_with(inside).with("keys   = \"hw-key\"", "keys   = \"embedded\"");
    let start = lot.recipe.find("[stamp.key_hash]").unwrap();
    let end = lot.recipe.find("[stamp.counter]").unwrap();
    Lot { recipe: lot.recipe[..start].to_owned() + &lot.recipe[end..], files: lot.files }
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
