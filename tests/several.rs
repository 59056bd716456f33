//! Several images under one MCUboot: every contradiction between them is one line that names both files.

use rootstamp::{fault::Exit, ident::Digest, plan};

use crate::{
    crosscheck::{among, declared, key, nsib, private, provision, read, refused, told, vector},
    recipe::{APPLICATION, Application, BOOTLOADER, Lot, as_hex, bootloader_with, embedded, spki, tlv, vectors},
};

const SECOND: &str = "second.hex";

/// An application for a second slot.
fn at(place: u32) -> Application {
    Application { at: place, program: vectors(place + 0x20), ..Application::good() }
}

/// With a second image for MCUboot, and these words of it.
fn with_second(lot: Lot, application: &Application, words: &str) -> Lot {
    let bytes = as_hex(application.at, &application.signed());
    let image = format!(
        "[[image]]\nname = \"second\"\nfile = \"{SECOND}\"\nsha256 = \"{}\"\nis = \"mcuboot-image\"\n{words}\n\n[uicr]",
        Digest::of(&bytes)
    );
    let mut lot = lot.with("[uicr]", &image);
    lot.files.insert(SECOND.to_owned(), bytes);
    lot
}

/// Beside an application that says no number.
pub(crate) const NUMBERED: &str = "signed = \"root\"\nnumber = 1";

fn trusting() -> Lot {
    embedded(&spki("p256-a"))
}

/// A protected TLV: this image in this version, or a later one.
fn needs(image: u8, version: [u8; 8]) -> Vec<u8> {
    tlv(0x40, &[&[image, 0, 0, 0], &version[..]].concat())
}

/// Two images of MCUboot, the second with these words of its own.
pub(crate) fn two(words: &str) -> Lot {
    with_second(trusting(), &at(0x3000), words)
}

#[test]
fn two_images_with_numbers_of_their_own_are_whole_and_planned() {
    let golden = plan::lot(read(&two(NUMBERED))).unwrap().golden;
    assert_eq!(golden.regions.iter().map(|region| region.at).collect::<Vec<_>>(), [0, 0x1000, 0x3000]);
}

#[test]
fn two_images_of_one_number_are_told_with_both_files() {
    told(&two("signed = \"root\""), &[APPLICATION, SECOND, "image 0", "`number`"]);
    let both = two(NUMBERED).with("is     = \"mcuboot-image\"", "number = 1\nis     = \"mcuboot-image\"");
    told(&both, &["lot.toml", APPLICATION, SECOND, "image 1"]);
}

#[test]
fn a_number_before_which_one_is_missing_is_refused_for_mcuboot_counts_from_nought() {
    let alone = trusting().with("is     = \"mcuboot-image\"", "number = 1\nis     = \"mcuboot-image\"");
    told(&alone, &["lot.toml", APPLICATION, "no image here is number 0"]);
    told(&two("signed = \"root\"\nnumber = 2"), &["lot.toml", SECOND, "no image here is number 1"]);
}

#[test]
fn a_number_that_no_dependency_can_name_and_one_of_no_image_for_mcuboot_are_refused() {
    told(&two("signed = \"root\"\nnumber = 256"), &["lot.toml", "at most 255"]);
    told(
        &trusting().with("trusts = [\"root\"]", "trusts = [\"root\"]\nnumber = 0"),
        &["said of an image that MCUboot"],
    );
}

#[test]
fn an_image_that_needs_a_newer_one_than_the_recipe_has_names_both_files() {
    let pair = |needed: [u8; 8], version: [u8; 8]| {
        let first = Application { protected: needs(1, needed), ..Application::good() };
        let lot = trusting().with_file(APPLICATION, as_hex(0x1000, &first.signed()));
        with_second(lot, &Application { version, ..at(0x3000) }, NUMBERED)
    };
    let (one, two) = ([1, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0]);
    told(&pair(two, one), &[APPLICATION, SECOND, "needs image 1 in version 2.0.0+0 or later", "1.0.0+0"]);
    told(&pair([1, 0, 1, 0, 0, 0, 0, 0], one), &[APPLICATION, SECOND, "1.0.1+0"]);
    for enough in [one, two, [1, 0, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 7, 0, 0, 0]] {
        let built = read(&pair(one, enough));
        let remarks = [built.remarks, built.open].concat();
        assert!(remarks.iter().all(|remark| !remark.contains("needs image")), "{enough:?}: {remarks:#?}");
        assert!(plan::lot(read(&pair(one, enough))).is_ok(), "{enough:?}");
    }
    let built = read(&pair([1, 0, 0, 0, 7, 0, 0, 0], one));
    let told_of = |words: &str| built.open.iter().any(|remark| remark.contains(words) && remark.contains(SECOND));
    assert!(told_of("only an MCUboot that compares build numbers minds"), "{:?}", built.open);
}

#[test]
fn an_image_that_needs_one_that_no_image_is_names_the_recipe() {
    let needy = || Application { protected: needs(3, [1, 0, 0, 0, 0, 0, 0, 0]), ..Application::good() };
    let lot = trusting().with_file(APPLICATION, as_hex(0x1000, &needy().signed()));
    let alone = read(&lot);
    let told_of = |words: &str| alone.open.iter().any(|remark| remark.contains(words) && remark.contains(APPLICATION));
    assert!(told_of("no second image"), "{:?}", alone.open);
    let pair = with_second(lot, &at(0x3000), NUMBERED);
    told(&pair, &[APPLICATION, "lot.toml", "no [[image]]", "`number` = 3"]);
    let itself = Application { protected: needs(0, [9, 0, 0, 0, 0, 0, 0, 0]), ..Application::good() };
    let itself = trusting().with_file(APPLICATION, as_hex(0x1000, &itself.signed()));
    told(&itself, &[APPLICATION, "needs image 0 in version 9.0.0+0", "1.0.0+0"]);
}

/// As imgtool made it: version 1.2.3+4, counter 7, and a dependency on image 1 in version 1.2.3.
#[test]
fn a_dependency_that_imgtool_wrote_is_held_against_the_image_it_names() {
    let bytes = vector("mcuboot/more/p256-protected.bin");
    let lot = |version: [u8; 8]| {
        let lot = trusting()
            .with_file(APPLICATION, bytes.clone())
            .with(&format!("images/{APPLICATION}\""), "images/app.bin\"\nat = 0xC000");
        let mut lot = with_second(lot, &Application { version, ..at(0x3000) }, NUMBERED);
        lot.files.insert("app.bin".to_owned(), bytes.clone());
        lot
    };
    assert!(lot([1, 2, 3, 0, 0, 0, 0, 0]).read_as(None).is_ok());
    told(&lot([1, 2, 2, 0, 0, 0, 0, 0]), &["app.bin", SECOND, "needs image 1 in version 1.2.3+0", "1.2.2+0"]);
}

#[test]
fn a_second_image_of_a_key_that_is_not_trusted_names_itself_and_the_bootloader() {
    let other = Application { at: 0x3000, program: vectors(0x3020), ..Application::by("p256-b") };
    let words = "signed = \"other\"\nnumber = 1";
    let section = format!("[key.other]\nfile = \"b.pem\"\nspki_sha256 = \"{}\"\n\n[uicr]", key("p256-b").spki_sha256());
    let mut lot = with_second(trusting(), &other, words).with("[uicr]", &section);
    lot.files.insert("b.pem".to_owned(), vector("keys/p256-b.pub.pem"));
    told(&lot, &["lot.toml", SECOND, BOOTLOADER, "does not trust"]);
    let wrong = with_second(trusting(), &other, NUMBERED);
    among(&wrong, &[SECOND, "gw3-root.pem", "signature was not made"]);
}

#[test]
fn an_image_that_the_storage_has_no_counter_for_names_both_files() {
    let lot = |number: u32| {
        let application = Application { counter: Some(5), ..at(0x20000) };
        let lot = nsib(provision("nrf52840-1key-ver20-mcuboot30"))
            .with("keys = [\"root\"]", "keys = [\"root\"]\ncounters = { nsib = 20, mcuboot = 30 }");
        with_second(lot, &application, &format!("signed = \"root\"\nnumber = {number}"))
    };
    assert!(lot(0).read_as(None).is_ok());
    among(&lot(1), &["lot.toml", SECOND, "provision.hex", "counter for image 0 alone"]);
}

// Encrypted images.

/// As `imgtool sign --clear` leaves it, wrapped in this way.
fn wrapped(application: Application, kind: u16, length: usize) -> Application {
    let long = [129, 96, 128].contains(&length);
    Application { flags: if long { 0x8 } else { 0x4 }, more: tlv(kind, &vec![7; length]), ..application }
}

/// MCUboot with this decryption key, and an application that is wrapped for it.
fn decrypting(name: &str, kind: u16, length: usize) -> Lot {
    let application = wrapped(Application::good(), kind, length).signed();
    declared(bootloader_with(&private(name)).with_file(APPLICATION, as_hex(0x1000, &application)), name)
}

#[test]
fn images_that_are_wrapped_alike_for_the_one_declared_key_are_whole() {
    for (name, kind, length) in [("p256-d", 0x32, 113), ("x25519-a", 0x33, 80), ("rsa2048-a", 0x30, 256)] {
        let lot = with_second(decrypting(name, kind, length), &wrapped(at(0x3000), kind, length), NUMBERED);
        let product = read(&lot);
        assert!(!product.remarks.iter().any(|remark| remark.contains("in clear")), "{:?}", product.remarks);
        assert!(plan::lot(product).is_ok(), "{name}");
    }
}

#[test]
fn images_that_no_one_build_of_mcuboot_decrypts_name_both_files() {
    let pair =
        |kind, length| with_second(decrypting("x25519-a", 0x33, 80), &wrapped(at(0x3000), kind, length), NUMBERED);
    told(&pair(0x33, 96), &[APPLICATION, SECOND, "ECIES-X25519 with AES-256", "ECIES-X25519 with AES-128"]);
    told(&pair(0x34, 112), &[APPLICATION, SECOND, "ECIES-X25519-SHA512 with AES-128"]);
    among(&pair(0x32, 113), &[APPLICATION, SECOND, "ECIES-P256"]);
    let key = among(&pair(0x32, 113), &[SECOND, BOOTLOADER, "P-256 private key", "X25519"]);
    assert_eq!(key.exit, Exit::KeyRefused);
    let shared = among(&pair(0x31, 24), &[SECOND, "symmetric"]);
    assert_eq!(shared.exit, Exit::KeyRefused);
    let undeclared = with_second(Lot::good(), &wrapped(at(0x3000), 0x33, 80), NUMBERED);
    assert_eq!(told(&undeclared, &[SECOND, "lot.toml", "[key.decrypt]"]).exit, Exit::KeyRefused);
}

#[test]
fn an_encrypted_image_beside_a_clear_one_is_remarked_with_both_files() {
    let product = read(&with_second(decrypting("x25519-a", 0x33, 80), &at(0x3000), NUMBERED));
    let both =
        |remark: &&String| remark.contains(SECOND) && remark.contains(APPLICATION) && remark.contains("in clear");
    assert_eq!(product.remarks.iter().filter(both).count(), 1, "{:?}", product.remarks);
    assert!(plan::lot(product).is_ok());
}

#[test]
fn an_encrypted_image_for_the_network_core_is_refused_and_a_clear_one_is_not() {
    let lot = |application: &Application| with_second(decrypting("p256-d", 0x32, 113), application, NUMBERED);
    let network = || at(0x0100_8800);
    told(&lot(&wrapped(network(), 0x32, 113)), &[SECOND, "network core", "without encryption"]);
    assert!(lot(&network()).read_as(None).is_ok());
    assert!(lot(&wrapped(at(0x3000), 0x32, 113)).read_as(None).is_ok());
}

#[test]
fn a_published_decryption_key_is_refused_whichever_image_needs_it() {
    let list = format!(
        "schema = 1\n[[refused]]\nspki_sha256 = \"{}\"\nreason = \"published\"\ndate = \"2026-11-20\"\n",
        key("p256-d").spki_sha256()
    );
    let second = wrapped(at(0x3000), 0x32, 113);
    for lot in [decrypting("p256-d", 0x32, 113), declared(bootloader_with(&private("p256-d")), "p256-d")] {
        let mut lot = with_second(lot, &second, NUMBERED);
        assert!(lot.read_as(None).is_ok());
        lot.files.insert("refused-keys.toml".to_owned(), list.clone().into());
        refused(&lot, &["lot.toml", "[key.decrypt]", "published"]);
    }
}
