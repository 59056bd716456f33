//! Update packages of the nRF Connect SDK: what their manifest says, and whether the images bear it out.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rootstamp::{
    file::Read,
    image::update::{self, Package},
};
use serde_json::{Value, json};

use crate::{
    dfu::archive,
    inspect::{
        inspected,
        page::{documented, fields},
        rootstamp, unfolded, written,
    },
    keys::secrets::{secret, silent},
};

fn image(name: &str) -> Vec<u8> {
    std::fs::read(crate::line::project("tests/vectors/mcuboot").join(name)).unwrap()
}

/// As sdk-nrf's `scripts/bootloader/generate_zip.py` writes it for two images, with this changed.
pub(crate) fn package(spoil: impl Fn(&mut Value)) -> Vec<u8> {
    let (app, net) = (image("p256.bin"), image("ed25519.bin"));
    let mut manifest = json!({
        "format-version": 1,
        "time": 1_763_600_000,
        "files": [
            {
                "type": "application", "board": "gw3/nrf5340/cpuapp", "soc": "nrf5340", "load_address": 65536,
                "image_index": "0", "slot_index_primary": "1", "slot_index_secondary": "2", "version_MCUBOOT": "1.2.3+4",
                "size": app.len(), "file": "gw3.signed.bin", "modtime": 1_763_600_000,
            },
            {
                "type": "application", "board": "gw3/nrf5340/cpunet", "soc": "nrf5340", "load_address": 16_777_216,
                "image_index": 1, "slot_index_primary": "3", "slot_index_secondary": "4",
                "size": net.len(), "file": "net.bin", "modtime": 1_763_600_000,
            },
        ],
        "name": "gateway 3",
    });
    spoil(&mut manifest);
    let manifest = serde_json::to_vec_pretty(&manifest).unwrap();
    archive(&[("gw3.signed.bin", &app), ("net.bin", &net), ("manifest.json", &manifest)])
}

fn read(bytes: Vec<u8>) -> Result<Package, Vec<String>> {
    let read = update::read(&Read::from_memory("dfu.zip", bytes)).expect("it says that it is one");
    read.map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_package_is_told_with_every_image_in_it() {
    let (_folder, path) = written("dfu_application.zip", &package(|_| ()));
    let key = "tests/vectors/keys/p256-a.pub.pem";
    let (exit, report, errors) = inspected(&[&path]);
    assert_eq!(exit, 0, "{errors}");
    let files = report["files"].as_array().unwrap();
    let kinds: Vec<&str> = files.iter().map(|file| file["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["update_package", "image", "image"]);
    assert_eq!(files[1]["file"], format!("{path}: gw3.signed.bin"));
    assert_eq!(files[2]["mcuboot_images"][0]["hash_fits"], true);
    let facts = &files[0]["facts"];
    assert_eq!((&facts["format_version"], &facts["name"]), (&json!(1), &json!("gateway 3")));
    assert_eq!((&facts["parts"][0]["image_index"], &facts["parts"][1]["image_index"]), (&json!(0), &json!(1)));
    let words = unfolded(&rootstamp(&["inspect", &path]).stdout);
    for expected in [
        "is an update package of the nRF Connect SDK with 2 images, which follow",
        "built for board gw3/nrf5340/cpunet, chip nrf5340",
        "gw3.signed.bin is raw bytes: an image for MCUboot, version 1.2.3+4",
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    // One of the two images was signed with this key.
    let (exit, _, errors) = inspected(&["--key", key, &path]);
    assert!(exit == 2 && errors.contains("net.bin") && !errors.contains("gw3.signed.bin"), "{exit} {errors}");
}

#[test]
fn what_the_manifest_says_and_an_image_does_not_bear_out_is_told() {
    let told = |spoil: &dyn Fn(&mut Value)| {
        let package = read(package(spoil)).unwrap();
        package.contradictions().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(told(&|_| ()).is_empty());
    assert_eq!(
        told(&|it| it["files"][0]["version_MCUBOOT"] = "1.2.4".into()),
        ["dfu.zip: `gw3.signed.bin` in it: the manifest says version 1.2.4, the image is version 1.2.3+4"]
    );
    // The build passes on what was written: what is left out is zero.
    let net = image("ed25519.bin");
    let built =
        rootstamp::image::mcuboot::read(&rootstamp::image::Map::from_raw(&Read::from_memory("a", net), 0).unwrap(), 0);
    let built = built.unwrap().header.version.to_string();
    assert!(told(&|it| it["files"][1]["version_MCUBOOT"] = built.clone().into()).is_empty());
    for (said, expected) in [
        ("01.2.3+4", "the version that the manifest says is none: 01.2.3+4"),
        ("1.2+4", "is none: 1.2+4"),
        ("1.2.3.4", "is none"),
        ("256", "is none"),
        ("", "is none"),
        (&*"9".repeat(500), "is none: 9999999999999999999999999999999999999999"),
    ] {
        let told = told(&|it| it["files"][0]["version_MCUBOOT"] = said.into());
        assert!(told.len() == 1 && told[0].contains(expected) && told[0].len() < 200, "{said}: {told:?}");
    }
    let number = told(&|it| it["files"][1]["image_index"] = "0x10".into());
    assert_eq!(number, ["dfu.zip: `net.bin` in it: the number that the manifest gives it is none"]);
    let size = told(&|it| it["files"][1]["size"] = 5.into());
    assert!(
        size.len() == 1 && size[0].contains("`net.bin` in it: the manifest says 5 bytes, the file has "),
        "{size:?}"
    );
    let (_folder, path) = written("a.zip", &package(|it| it["files"][1]["size"] = 5.into()));
    assert_eq!(inspected(&[&path]).0, 2);
    let other =
        json!({"format-version": 1, "files": [{"file": "a.bin", "size": 5, "version_MCUBOOT": "1.2.3"}]}).to_string();
    let other = read(archive(&[("manifest.json", other.as_bytes()), ("a.bin", b"hello")])).unwrap();
    assert!(other.contradictions()[0].what.contains("version 1.2.3, and it is no image for MCUboot"));
    let newer = read(package(|it| it["format-version"] = 2.into())).unwrap();
    assert!(newer.explain().to_string().contains("may say more than is told"));
}

#[test]
fn a_package_that_is_none_says_why() {
    for (spoil, expected) in [
        (&(|it: &mut Value| it["files"] = json!([])) as &dyn Fn(&mut Value), "lists 0 images; a build makes 1 to 8"),
        (&|it| it["files"] = vec![it["files"][0].clone(); 9].into(), "lists 9 images"),
        (
            &|it| it["files"][1]["file"] = "gw3.signed.bin".into(),
            "`gw3.signed.bin`, which is not in it or was listed before",
        ),
        (&|it| it["files"][1]["file"] = "other.bin".into(), "lists `other.bin`, which is not in it"),
        (&|it| it["files"][1]["size"] = "many".into(), "invalid type: string, expected u64"),
        (&|it| drop(it["files"][1].as_object_mut().unwrap().remove("file")), "missing field `file`"),
    ] {
        let told = read(package(spoil)).map(|package| package.parts.len()).unwrap_err();
        assert!(told[0].contains(expected), "{expected}: {told:?}");
        assert!(told[0].starts_with("dfu.zip: no update package of the nRF Connect SDK: its manifest"), "{told:?}");
    }
    let (_folder, path) = written("a.zip", &package(|it| it["files"] = json!([])));
    assert_eq!(inspected(&[&path]).0, 2);
    let mut state = 1_u32;
    let noise = |_| {
        state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
        state.to_le_bytes()[3]
    };
    let large: Vec<u8> = (0..9 << 20).map(noise).collect();
    let manifest = json!({"format-version": 0, "files": [{"file": "a.bin", "size": 5}]}).to_string();
    let told = read(archive(&[("manifest.json", manifest.as_bytes()), ("a.bin", &large)])).map(|one| one.parts.len());
    assert!(told.unwrap_err()[0].contains("holds more than 8 MiB"));
    // So many zeros are deflated to so little that nobody unpacks them: whether it is a package, is not known.
    let bomb = archive(&[("manifest.json", manifest.as_bytes()), ("a.bin", &vec![0; 9 << 20])]);
    assert!(update::read(&Read::from_memory("a.zip", bomb)).is_none());
}

#[test]
fn a_private_half_in_a_package_is_refused_wherever_it_is_and_nothing_of_it_is_shown() {
    let secret = secret("p256-a");
    let pem = std::fs::read_to_string(crate::line::project("tests/vectors/keys/p256-a.priv.pem")).unwrap();
    let manifest = json!({"format-version": 1, "files": [{"file": "app.bin", "size": 1688}], "name": pem}).to_string();
    let plain = json!({"format-version": 1, "files": [{"file": "app.bin", "size": 1688}]}).to_string();
    let app = image("p256.bin");
    let inside = [&app[..], pem.as_bytes()].concat();
    let der = crate::crosscheck::private("p256-a");
    let hex = crate::recipe::as_hex(0, &[&[7; 40][..], &der].concat());
    let jwk = std::fs::read_to_string(crate::line::project("tests/vectors/keys/p256-a.jwk")).unwrap();
    let text = STANDARD.encode(&der);
    let escape = |every: usize| -> String {
        let one = |(index, c): (usize, char)| {
            if index % every == 0 { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
        };
        let name: String = text.chars().enumerate().map(one).collect();
        plain.replace("\"format-version\"", &format!("\"name\":\"{name}\",\"format-version\""))
    };
    let (escaped, halves) = (escape(1), escape(7));
    for (case, files) in [
        ("in the manifest", vec![("manifest.json", manifest.as_bytes()), ("app.bin", &app)]),
        ("beside it", vec![("manifest.json", plain.as_bytes()), ("app.bin", &app), ("key", pem.as_bytes())]),
        ("in an image", vec![("manifest.json", plain.as_bytes()), ("app.bin", &inside)]),
        ("in place of an image", vec![("manifest.json", plain.as_bytes()), ("app.bin", jwk.as_bytes())]),
        ("in an image in digits", vec![("manifest.json", plain.as_bytes()), ("app.bin", &hex)]),
        ("in escapes", vec![("manifest.json", escaped.as_bytes()), ("app.bin", &app)]),
        ("in other escapes", vec![("manifest.json", halves.as_bytes()), ("app.bin", &app)]),
    ] {
        let (_folder, path) = written("a.zip", &archive(&files));
        for arguments in [&["inspect", &path][..], &["inspect", "--json", &path]] {
            let output = rootstamp(arguments);
            assert_eq!(output.status.code(), Some(40), "{case}");
            silent(&String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), &secret);
        }
    }
}

#[test]
fn a_published_key_in_an_image_of_a_package_is_refused_outside_engineering_mode() {
    let bootloader = crate::recipe::bootloader_with(&crate::recipe::development_key());
    let hex = &bootloader.files[crate::recipe::BOOTLOADER];
    let map = rootstamp::image::Map::from_hex(&Read::from_memory("a.hex", hex.clone())).unwrap();
    let bytes = &map.segments()[0].bytes;
    let manifest = json!({"format-version": 0, "files": [{"file": "s1.bin", "size": bytes.len()}]}).to_string();
    let (_folder, path) = written("a.zip", &archive(&[("s1.bin", bytes), ("manifest.json", manifest.as_bytes())]));
    let (exit, _, errors) = inspected(&[&path]);
    assert!(exit == 40 && errors.contains("s1.bin: "), "{errors}");
    assert_eq!(inspected(&["--mode", "engineering", &path]).0, 0);
}

#[test]
fn every_field_of_a_package_is_in_the_page_about_it() {
    let (_folder, path) = written("a.zip", &package(|_| ()));
    let (_, report, _) = inspected(&[&path]);
    let mut all = std::collections::BTreeSet::new();
    fields(&report["files"][0], &mut all);
    let page = std::fs::read_to_string(crate::line::project("docs/inspect.md")).unwrap();
    let known = documented(&page);
    let missing: Vec<&&str> = all.iter().filter(|field| !known.contains(*field)).collect();
    assert!(all.contains("image_index") && missing.is_empty(), "{missing:?}");
    assert!(known.contains("update_package"));
}

/// A ZIP hides what it holds from every search, and no image is one.
#[test]
fn an_archive_in_an_archive_is_no_image_and_said_not_to_be_looked_into() {
    let pem = std::fs::read(crate::line::project("tests/vectors/keys/p256-a.priv.pem")).unwrap();
    let inner = archive(&[("key.pem", &pem)]);
    let plain = json!({"format-version": 1, "files": [{"file": "app.bin", "size": inner.len()}]}).to_string();
    let listed = archive(&[("manifest.json", plain.as_bytes()), ("app.bin", &inner)]);
    let beside = crate::dfu::package_beside("more.zip", &inner);
    for (bytes, expected) in [
        (&listed, "`app.bin` in it: is an archive and no image"),
        (&listed, "`app.bin` in it is an archive, and was not looked into"),
        (&beside, "`more.zip` in it is an archive, and was not looked into"),
    ] {
        let (_folder, path) = written("a.zip", bytes);
        let (exit, _, errors) = inspected(&[&path]);
        assert!(exit == 2 && errors.contains(expected), "{expected}: {errors}");
    }
}
