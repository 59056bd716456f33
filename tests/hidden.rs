//! What must not reach a board, wherever in a recipe it hides: private halves and refused keys in any image, and in the
//! recipe itself.

use rootstamp::{
    fault::Exit,
    ident::{Mode, hex},
    keys::AnyKey,
};

use crate::{
    check::run,
    crosscheck::{chain, declared, released},
    dfu::archive_of,
    keys::secrets::{secret, short_rsa, silent},
    line::project,
    recipe::{APPLICATION, Application, BOOTLOADER, Lot, as_hex, bootloader_with, development_key, spki, vectors},
};

fn private_pem(name: &str) -> Vec<u8> {
    std::fs::read(project("tests/vectors/keys").join(format!("{name}.priv.pem"))).unwrap()
}

fn private_der(name: &str) -> Vec<u8> {
    let text = String::from_utf8(private_pem(name)).unwrap();
    p256::pkcs8::Document::from_pem(&text).unwrap().1.as_bytes().to_vec()
}

/// An application of the trusted key with these bytes in its program.
fn application_with(inside: &[u8]) -> Lot {
    let program = [&vectors(0x1020), inside].concat();
    let application = Application { program, ..Application::by("p256-a") };
    chain("p256-a").with_file(APPLICATION, as_hex(0x1000, &application.signed()))
}

/// One more image of bytes that nothing is said about.
fn beside(inside: &[u8]) -> Lot {
    let mut lot = chain("p256-a");
    let digest = rootstamp::ident::Digest::of(inside);
    let image = format!(
        "[[image]]\nname = \"extra\"\nfile = \"extra.bin\"\nsha256 = \"{digest}\"\nis = \"raw\"\nat = 0x9000\n\n[uicr]"
    );
    lot = lot.with("[uicr]", &image);
    lot.files.insert("extra.bin".to_owned(), inside.to_vec());
    lot
}

fn refused(lot: &Lot, mode: Option<Mode>, expected: &[&str]) {
    let problems = lot.read_as(mode).unwrap_err();
    let found = problems.iter().find(|problem| expected.iter().all(|part| problem.to_string().contains(part)));
    let found = found.unwrap_or_else(|| panic!("{expected:?}: {problems:#?}"));
    assert_eq!(found.exit, Exit::KeyRefused, "{found}");
}

#[test]
fn a_private_half_in_an_application_or_in_plain_bytes_is_refused_in_every_mode() {
    for name in ["p256-b", "ed25519-a", "rsa2048-a", "x25519-a"] {
        for bytes in [private_der(name), [&[0xFF; 9][..], &private_pem(name)].concat()] {
            for mode in [None, Some(Mode::Engineering), Some(Mode::Training)] {
                refused(&application_with(&bytes), mode, &[APPLICATION, "a private key", "`application`"]);
                refused(&beside(&bytes), mode, &["extra.bin", "a private key", "`extra`"]);
            }
            for lot in [application_with(&bytes), beside(&bytes)] {
                let problems = lot.read_as(None).unwrap_err();
                let told: String = problems.iter().map(|problem| format!("{problem} {problem:?}\n")).collect();
                silent(&told, &secret(name));
            }
        }
    }
}

#[test]
fn a_published_key_in_an_application_or_in_plain_bytes_is_refused_outside_engineering_mode() {
    let published = AnyKey::from_spki(&development_key()).unwrap();
    for bytes in [development_key(), published.raw().to_vec()] {
        let at_a_word = [&[0; 3][..], &bytes].concat();
        for lot in [application_with(&at_a_word), beside(&at_a_word)] {
            refused(&lot, None, &["published development key", "is inside image"]);
            let product = lot.read_as(Some(Mode::Engineering)).unwrap();
            assert!(product.remarks.iter().any(|remark| remark.contains("engineering mode only")));
        }
    }
    for lot in [application_with(&spki("p256-b")), beside(&spki("p256-b"))] {
        assert!(lot.read_as(None).is_ok(), "a neighbouring key is nobody's published one");
    }
}

#[test]
fn a_private_key_as_the_file_of_an_image_or_pasted_into_the_recipe_is_refused() {
    let file = chain("p256-a").with_file(APPLICATION, private_pem("p256-b"));
    refused(&file, None, &["lot.toml", APPLICATION, "holds a private key"]);
    let comment: String =
        String::from_utf8(private_pem("p256-b")).unwrap().lines().map(|line| format!("# {line}\n")).collect();
    let mut pasted = chain("p256-a");
    pasted.recipe = comment + &pasted.recipe;
    refused(&pasted, Some(Mode::Engineering), &["lot.toml", "holds a private key (PKCS#8 PEM)"]);
}

#[test]
fn a_recipe_that_warns_of_private_keys_holds_none() {
    let mut lot = chain("p256-a");
    lot.recipe = format!("# never paste what begins with -----BEGIN PRIVATE KEY-----\n{}", lot.recipe);
    assert!(lot.read_as(None).is_ok());
}

/// A private half in forms that say so as a file and in no memory.
fn as_files(name: &str) -> Vec<(&'static str, Vec<u8>)> {
    let (der, public) = (private_der(name), spki(name));
    let (scalar, point) = (&der[36..68], &public[27..]);
    let url = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes);
    let (x, y) = (url(&point[..32]), url(&point[32..]));
    let jwk = format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{x}\",\"y\":\"{y}\",\"d\":\"{}\"}}", url(scalar));
    let digits = |bytes: &[u8]| hex(bytes);
    let numbers = |form: fn(&u8) -> String| der.iter().map(form).collect::<Vec<_>>().join(", ");
    let printed = format!("Private-Key: (256 bit)\npriv:\n    {}\npub:\n    {}\n", digits(scalar), digits(point));
    vec![
        ("a JWK", jwk.clone().into()),
        ("a JWK in erased flash", [&[0xFF; 512][..], jwk.as_bytes(), &[0xFF; 512]].concat()),
        ("PuTTY", b"PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\nEncryption: none\n".to_vec()),
        ("printed by openssl", printed.into()),
        ("C", format!("const uint8_t key[] = {{ {} }};", numbers(|byte| format!("0x{byte:02x}"))).into()),
        ("decimal", format!("[{}]", numbers(u8::to_string)).into()),
        ("bare digits", format!("{}\n{}\n", digits(scalar), digits(point)).into()),
    ]
}

#[test]
fn a_file_that_is_a_key_in_any_form_is_no_image_whatever_it_is_said_to_be() {
    for (form, bytes) in as_files("p256-b") {
        for is in ["raw", "mcuboot-image", "nsib"] {
            println!("{form} as {is}");
            let words = if is == "mcuboot-image" { "mcuboot-image\"\nsigned = \"root\"\nnumber = \"1" } else { is };
            let lot = beside(&bytes).with("is = \"raw\"", &format!("is = \"{words}\""));
            for mode in [None, Some(Mode::Engineering)] {
                refused(&lot, mode, &["lot.toml", "extra.bin", "holds a private key"]);
            }
            silent(&format!("{:?}", lot.problems()), &secret("p256-b"));
        }
        // Without `at` no memory is read from it.
        refused(&beside(&bytes).with("at = 0x9000", ""), None, &["extra.bin", "holds a private key"]);
    }
    let (_, public) = ("its public half", spki("p256-b"));
    assert!(beside(&public).read_as(None).is_ok());
    // A bootloader with the key that it may have, and another beside it.
    let decrypting = |more: &[u8]| {
        let program = [&vectors(0)[..], &rootstamp::image::mcuboot::MAGIC.to_le_bytes(), &private_der("p256-d"), more];
        let lot = declared(bootloader_with(&[]), "p256-d").with_file(BOOTLOADER, program.concat());
        let mut lot = lot.with(&format!("images/{BOOTLOADER}"), "images/loader.bin\"\nat = 0\n#\"");
        let bytes = lot.files.remove(BOOTLOADER).unwrap();
        lot.files.insert("loader.bin".to_owned(), bytes);
        lot
    };
    let problems = decrypting(&[]).read_as(None).err();
    assert!(problems.is_none(), "{problems:#?}");
    let jwk = as_files("p256-b").swap_remove(0).1;
    refused(&decrypting(&jwk), None, &["loader.bin", "holds a private key (JSON Web Key)"]);
}

#[test]
fn a_private_half_in_a_release_manifest_is_refused() {
    let pem = String::from_utf8(private_pem("p256-b")).unwrap();
    let lot = released(|statement| statement["predicate"]["comment"] = pem.clone().into());
    refused(&lot, None, &["lot.toml", "release.json", "holds a private key"]);
    silent(&format!("{:?}", lot.problems()), &secret("p256-b"));
}

#[test]
fn an_archive_is_no_image_since_nobody_looks_into_it() {
    let problems = beside(&archive_of("key.pem", &private_pem("p256-b"))).problems();
    let [problem] = &problems[..] else { panic!("{problems:#?}") };
    assert!(problem.what.contains("`extra.bin` is a ZIP archive"), "{problem}");
}

#[test]
fn a_private_half_anywhere_in_a_recipe_is_the_one_thing_that_is_told_of_it() {
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, private_der("p256-b"));
    let escaped: String = base64.chars().map(|digit| format!("\\u{:04x}", u32::from(digit))).collect();
    for text in [base64, escaped] {
        for lot in [
            Lot::good().with("schema  = 1", &format!("# {text}\nschema  = 1")),
            Lot::good().with("name   = \"bootloader\"", &format!("name = \"{text}\"")),
            Lot::good().with("[key.root]", &format!("[key.\"{text}\"]")),
            Lot::good().with("\"nRF52840\"", &format!("\"{text}\"")),
            Lot::good().with("is     = \"mcuboot\"", &format!("is = \"{text}\"")),
            Lot::good().with("\"Fxx\"", &format!("\"{text}\"")),
        ] {
            let output = run(&lot, &["check", "--recipe", "lot.toml"]);
            let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
            assert_eq!(output.status.code(), Some(40), "{told}");
            silent(&told, &secret("p256-b"));
            let problems = lot.problems();
            assert!(problems.len() == 1 && problems[0].what.contains("holds a private key"), "{problems:#?}");
        }
    }
}

#[test]
fn the_short_rsa_key_of_imgtool_is_allowed_where_it_is_declared_and_nowhere_else() {
    let bootloader = || bootloader_with(&short_rsa());
    assert!(declared(bootloader(), "rsa2048-a").read_as(None).is_ok());
    for lot in [bootloader(), declared(bootloader(), "p256-d"), declared(beside(&short_rsa()), "rsa2048-a")] {
        refused(&lot, None, &["a private key"]);
        refused(&lot, Some(Mode::Engineering), &["a private key"]);
    }
}

#[test]
fn the_private_half_of_a_key_that_verifies_is_no_decryption_key() {
    let root = AnyKey::from_spki(&spki("p256-a")).unwrap().spki_sha256();
    let declared = format!("[key.decrypt]\npurpose = \"device-decryption\"\nspki_sha256 = \"{root}\"\n\n[uicr]");
    let lot = chain("p256-a").with("[uicr]", &declared);
    refused(&lot, Some(Mode::Engineering), &["lot.toml", "`root`", "who reads one out signs for all"]);

    let other = AnyKey::from_spki(&spki("p256-b")).unwrap().spki_sha256();
    let signer = lot.with(
        &format!("device-decryption\"\nspki_sha256 = \"{root}\""),
        &format!("device-decryption\"\nspki_sha256 = \"{other}\""),
    );
    let application = Application { program: vectors(0x1020), ..Application::by("p256-b") };
    let signer = signer.with_file(APPLICATION, as_hex(0x1000, &application.signed()));
    refused(&signer, None, &["lot.toml", "the key that signed", APPLICATION]);
}

/// The one problem of a lot says that an image for MCUboot is hidden there.
fn stowaway(lot: &Lot, at: &str) {
    let problems = lot.problems();
    let [problem] = &problems[..] else { panic!("{at}: {problems:#?}") };
    assert!(problem.to_string().contains("whose signature nobody would check"), "{problem}");
    assert!(problem.to_string().contains(at), "{problem}");
}

#[test]
fn an_image_for_mcuboot_that_no_hash_can_vouch_for_is_told_in_plain_bytes_all_the_same() {
    let vector = |name: &str| std::fs::read(project("tests/vectors/mcuboot").join(name)).unwrap();
    let mut damaged = vector("ed25519.bin");
    damaged[0x300] ^= 1;
    for (what, bytes) in [
        ("whole", vector("ed25519.bin")),
        ("encrypted", vector("ed25519-enc-x25519.bin")),
        ("pure", vector("more/ed25519-pure.bin")),
        ("damaged", damaged),
    ] {
        println!("{what}");
        stowaway(&beside(&bytes), "0x00009000");
    }
    // Sixty-four headers of nothing stand before it.
    let mut header = vec![0xFF; 0x1000];
    header[..4].copy_from_slice(&rootstamp::image::mcuboot::MAGIC.to_le_bytes());
    let behind = [header.repeat(64), vector("ed25519.bin")].concat();
    let problems = beside(&behind).problems();
    let told = |problem: &rootstamp::fault::Problem| problem.to_string().contains("more than 64 places");
    assert!(problems.iter().any(told), "{problems:#?}");
}

#[test]
fn a_published_key_behind_the_end_of_a_signed_application_is_refused() {
    let signed = |behind: &[u8]| [&Application::by("p256-a").signed(), behind].concat();
    let lot = |behind: &[u8]| chain("p256-a").with_file(APPLICATION, as_hex(0x1000, &signed(behind)));
    refused(&lot(&development_key()), None, &[APPLICATION, "published development key", "is inside image"]);
    let problems = lot(&spki("p256-b")).problems();
    assert!(problems.len() == 1 && problems[0].what.contains("no part of what was signed"), "{problems:#?}");
}

#[test]
fn more_images_than_any_product_has_are_refused_before_one_is_read() {
    let image = |number: usize| {
        format!(
            "[[image]]\nname = \"more{number}\"\nfile = \"none.bin\"\nis = \"raw\"\nat = 0x9000\nsha256 = \"{}\"\n\n",
            "0".repeat(64)
        )
    };
    let lot = |more: usize| chain("p256-a").with("[uicr]", &((0..more).map(image).collect::<String>() + "[uicr]"));
    let (most, more) = (lot(62), lot(63));
    let problems = more.problems();
    let [problem] = &problems[..] else { panic!("{problems:#?}") };
    assert!(problem.what.contains("at most 64 [[image]]"), "{problem}");
    assert_eq!(problem.line, Some(more.line_of("\"more62\"") - 1));
    assert!(most.problems().iter().all(|problem| !problem.what.contains("at most 64")));
}
