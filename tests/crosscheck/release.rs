//! A release and what a recipe builds, held against each other.

use rootstamp::{fault::Exit, ident::Digest};

use super::{key, read, told, vector};
use crate::recipe::{APPLICATION, Application, BOOTLOADER, Lot, as_hex};

// Release manifests.

/// The good product under a release that p256-b signed, which says this of it.
pub(crate) fn released(spoil: impl Fn(&mut serde_json::Value)) -> Lot {
    let lot = Lot::good();
    let digest = |name: &str| Digest::of(&lot.files[name]).to_string();
    let subject = |name: &str| serde_json::json!({ "name": name, "digest": { "sha256": digest(name) } });
    let root = key("p256-a").spki_sha256().to_string();
    let mut statement = serde_json::json!({
        "_type": rootstamp::manifest::STATEMENT_TYPE,
        "subject": [subject(BOOTLOADER), subject(APPLICATION)],
        "predicateType": rootstamp::manifest::PREDICATE_TYPE,
        "predicate": {
            "release": "7", "build": "ci 1", "board": { "product": "T1", "chip": "nRF52840" },
            "images": [
                { "subject": BOOTLOADER, "is": "mcuboot" },
                { "subject": APPLICATION, "is": "mcuboot-image", "version": "1.0.0+0", "security_counter": 1, "signed": root },
            ],
            "keys": [{ "name": "root", "spki_sha256": root }],
        },
    });
    spoil(&mut statement);
    let section = format!(
        "[key.ci]\nfile = \"ci.pem\"\nspki_sha256 = \"{}\"\n[release]\nmanifest = \"release.json\"\nkeys = [\"ci\"]\n[uicr]",
        key("p256-b").spki_sha256()
    );
    let mut lot = lot.with("[uicr]", &section);
    lot.files.insert("ci.pem".to_owned(), vector("keys/p256-b.pub.pem"));
    let envelope = crate::manifest::envelope(&serde_json::to_vec(&statement).unwrap(), &["p256-b"]);
    lot.files.insert("release.json".to_owned(), envelope);
    lot
}

#[test]
fn a_release_of_other_images_keys_or_boards_names_both_files() {
    assert!(released(|_| ()).read_as(None).is_ok());
    let image = |field: &'static str, value: serde_json::Value| {
        released(move |it| it["predicate"]["images"][1][field] = value.clone())
    };
    told(&image("version", "1.0.1+0".into()), &["lot.toml", APPLICATION, "release.json", "1.0.1+0"]);
    told(&image("security_counter", 2.into()), &["lot.toml", APPLICATION, "release.json", "security counter 1"]);
    let other = key("p256-c").spki_sha256().to_string();
    told(&image("signed", other.clone().into()), &["lot.toml", APPLICATION, "release.json", &other]);
    let allowed = told(
        &released(move |it| it["predicate"]["keys"][0]["spki_sha256"] = other.clone().into()),
        &["lot.toml", "key `root`", "release.json"],
    );
    assert_eq!(allowed.exit, Exit::KeyRefused);
    let rebuilt = released(|_| ()).with_file(APPLICATION, as_hex(0x1000, &Application::good().signed()));
    told(&rebuilt, &["lot.toml", APPLICATION, "release.json", "not among the files"]);
}

#[test]
fn a_key_that_signs_releases_and_goes_on_the_board_is_remarked() {
    let allowed = |it: &mut serde_json::Value| {
        let digest = key("p256-b").spki_sha256().to_string();
        let keys = it["predicate"]["keys"].as_array_mut().unwrap();
        keys.push(serde_json::json!({ "name": "ci", "spki_sha256": digest }));
    };
    let both = released(allowed).with("trusts = [\"root\"]", "trusts = [\"root\", \"ci\"]");
    let told = |lot: &Lot| read(lot).remarks.iter().any(|remark| remark.contains("key `ci` signs releases and images"));
    assert!(told(&both) && !told(&released(allowed)));
}

#[test]
fn a_board_that_is_not_called_as_the_product_is_the_one_that_the_release_names() {
    let board = |name: &str| {
        let board = format!("chip    = \"nRF52840\"\nboard = \"{name}\"");
        released(|it| it["predicate"]["board"]["product"] = "T-REV-C".into()).with("chip    = \"nRF52840\"", &board)
    };
    assert!(board("T-REV-C").read_as(None).is_ok());
    told(&board("T-REV-B"), &["lot.toml", "release.json", "T-REV-C", "T-REV-B"]);
}
