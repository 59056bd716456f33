//! Images and keys of a recipe: what each must prove to be, and that they speak of one key.

use rootstamp::{
    fault::{Exit, all_at_once},
    ident::{Digest, Mode},
    image::mcuboot,
};

use super::{
    APPLICATION, Application, BOOTLOADER, DEVELOPMENT_NAME, Lot, as_hex, bootloader_with, bytes, development_key,
    embedded, spki, text, told, vectors,
};

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
