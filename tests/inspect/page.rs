//! What people get to see, and whether docs/inspect.md keeps up with what programs get.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{inspected, project, rootstamp, unfolded, written};

/// Every vector and every file of the demo's product.
fn all_files() -> Vec<String> {
    let mut names = Vec::new();
    super::vectors::files(&project("tests/vectors"), &mut names);
    let mut names: Vec<String> = names.into_iter().map(|name| format!("tests/vectors/{name}")).collect();
    for entry in fs::read_dir(project("templates/products/images")).unwrap() {
        names.push(format!("templates/products/images/{}", entry.unwrap().file_name().to_str().unwrap()));
    }
    names.push("keys-public/gw3-root.pem".to_owned());
    names.sort();
    names
}

/// Files with what no vector has: something broken, refused, damaged, or of another maker.
fn odd_files(folder: &std::path::Path) -> Vec<String> {
    let vector = |name: &str| fs::read(project("tests/vectors").join(name)).unwrap();
    let mut torn = vector("mcuboot/p256.bin");
    torn[12..16].fill(0xFF);
    let mut flipped = vector("mcuboot/p256.bin");
    flipped[0x240] ^= 1;
    let private = rootstamp::ident::bytes_from_hex("30770201010420").unwrap();
    let statement = serde_json::to_vec(&crate::manifest::statement()).unwrap();
    let published = super::published();
    let files = [
        ("torn.bin", torn),
        ("flipped.bin", flipped),
        ("private.bin", [&[0; 16][..], &private, &[7; 200]].concat()),
        ("published.der", published.clone()),
        ("published.bin", [&[0xA5; 9][..], &published].concat()),
        ("update.zip", crate::dfu::package_around(&[&[0xA5; 40][..], &published, &[0x5A; 40]].concat())),
        ("release.json", crate::manifest::envelope(&statement, &["p256-a"])),
        ("softdevice.hex", super::softdevice::board(&super::softdevice::S140, true)),
        ("nothing", b"nothing that is known\n".to_vec()),
        ("blank.bin", vec![0xFF; 4096]),
    ];
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    files.iter().for_each(|(name, bytes)| fs::write(path(name), bytes).unwrap());
    files.iter().map(|(name, _)| path(name)).collect()
}

/// All of them, from the folder of the project.
fn everything() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let files = [all_files(), odd_files(folder.path())].concat();
    (folder, files)
}

#[test]
fn no_line_is_wider_than_a_terminal_and_the_first_of_each_file_is_the_answer() {
    let (_folder, files) = everything();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let output = rootstamp(&[&["inspect"], &names[..]].concat());
    let told = String::from_utf8(output.stdout).unwrap();
    let wide: Vec<&str> = told.lines().filter(|line| line.chars().count() > 80).collect();
    // A name is never broken: it is there to be copied.
    assert!(wide.iter().all(|line| names.contains(line)), "{wide:#?}");
    let (_, report, _) = inspected(&names);
    for (name, file) in names.iter().zip(report["files"].as_array().unwrap()) {
        let answer = format!("{name} is {}", file["is"].as_str().unwrap());
        assert!(unfolded(told.as_bytes()).contains(&answer), "{answer}");
    }
    let digest = "395b685053c52f533c6ff55dc347585a9b0226df5c0ff35c6ef46fba60f5a63a";
    assert!(told.lines().any(|line| line.trim() == digest), "a digest stays whole, on a line of its own");
}

#[test]
fn what_is_told_of_an_image_fits_on_half_a_screen() {
    for (file, most) in
        [("tests/vectors/mcuboot/p256.bin", 14), ("templates/products/images/stand-in-bootloader.hex", 12)]
    {
        let told = String::from_utf8(rootstamp(&["inspect", file]).stdout).unwrap();
        assert!(told.lines().count() <= most, "{} lines: {told}", told.lines().count());
    }
}

#[test]
fn a_key_that_the_world_knows_stands_in_the_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let files = odd_files(folder.path());
    for (name, expected) in [
        ("published.der", "a public key, P-256, a published development key"),
        ("published.bin", "memory in which nothing is recognised, published development key inside"),
        ("update.zip", "unsigned, with a published development key"),
        ("private.bin", "private key inside"),
    ] {
        let path = files.iter().find(|path| path.ends_with(name)).unwrap();
        let told = unfolded(&rootstamp(&["inspect", path]).stdout);
        let answer = told.split(" told by ").next().unwrap().split(" file ").next().unwrap();
        assert!(answer.ends_with(expected), "{name}: {answer}");
    }
    let path = "tests/vectors/mcuboot/p256.bin";
    for (key, expected) in
        [("p256-a", ", signed with tests/vectors/keys/p256-a.pub.pem"), ("p256-b", ", signed with no key of --key")]
    {
        let (_, report, _) = inspected(&["--key", &format!("tests/vectors/keys/{key}.pub.pem"), path]);
        assert!(report["files"][0]["is"].as_str().unwrap().ends_with(expected), "{report}");
    }
}

/// Every name of a field, wherever it stands. What a person chose, as names of images and keys, is none.
pub(crate) fn fields<'v>(value: &'v Value, into: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                into.insert(name);
                fields(inner, into);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| fields(inner, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every word of the page that is set as code.
pub(crate) fn documented(page: &str) -> BTreeSet<&str> {
    let code = page.split('`').skip(1).step_by(2);
    code.flat_map(|code| code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))).collect()
}

#[test]
fn every_field_of_the_json_is_in_the_page_about_it() {
    let (_folder, files) = everything();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let key = ["--key", "tests/vectors/keys/p256-a.pub.pem"];
    let reports = [inspected(&names).1, inspected(&[&key[..], &names[..]].concat()).1];
    let mut all = BTreeSet::new();
    reports.iter().for_each(|report| fields(report, &mut all));
    assert!(all.len() > 150, "{all:?}");
    let page = fs::read_to_string(project("docs/inspect.md")).unwrap();
    let known = documented(&page);
    let missing: Vec<&&str> = all.iter().filter(|field| !known.contains(*field)).collect();
    assert!(missing.is_empty(), "docs/inspect.md does not say what these are: {missing:?}");
}

#[test]
fn a_field_that_the_page_forgot_is_found() {
    let known = documented("| `files[].is`, `.bytes` | text with is_not |\n");
    assert!(known.contains("files") && known.contains("is") && known.contains("bytes") && !known.contains("is_not"));
    let report = serde_json::json!({"a": [{"b": 1}], "c": {"d": null}});
    let mut all = BTreeSet::new();
    fields(&report, &mut all);
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}

/// All keys of a list have its name.
#[test]
fn each_key_of_a_company_list_is_told_of_a_file_that_holds_several() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut list = "schema = 1\n".to_owned();
    let mut both = "two keys\n".to_owned();
    for (name, reason) in [("p256-a", "lost by us"), ("p256-b", "lost by them")] {
        let pem = fs::read_to_string(project(&format!("tests/vectors/keys/{name}.pub.pem"))).unwrap();
        fs::write(path(name), &pem).unwrap();
        list += &format!("[[refused]]\nreason = \"{reason}\"\ndate = \"2026-03-01\"\nfile = \"{name}\"\n");
        both += &pem;
    }
    fs::write(path("refused-keys.toml"), list).unwrap();
    let beside = crate::dfu::package_beside_all(&[
        ("a", &fs::read(path("p256-a")).unwrap()),
        ("b", &fs::read(path("p256-b")).unwrap()),
    ]);
    for (name, bytes) in [("both.txt", both.into_bytes()), ("both.zip", beside)] {
        fs::write(path(name), bytes).unwrap();
        let (_, report, errors) = inspected(&["--refused", &path("refused-keys.toml"), &path(name)]);
        let words = unfolded(&rootstamp(&["inspect", "--refused", &path("refused-keys.toml"), &path(name)]).stdout);
        for reason in ["lost by us", "lost by them"] {
            assert!(report["files"][0]["refused"].to_string().contains(reason), "{name} {reason}: {report}");
            assert!(errors.contains(reason) && words.contains(reason), "{name} {reason}: {errors} {words}");
        }
    }
}

#[test]
fn a_company_list_counts_where_it_is_named_and_only_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::copy(project("tests/vectors/keys/p256-a.pub.pem"), path("own.pem")).unwrap();
    fs::copy(project("tests/vectors/mcuboot/p256.bin"), path("app.bin")).unwrap();
    let list =
        "schema = 1\n\n[[refused]]\nreason = \"left with a supplier\"\ndate = \"2026-03-01\"\nfile = \"own.pem\"\n";
    fs::write(path("refused-keys.toml"), list).unwrap();
    let (own, app, list) = (path("own.pem"), path("app.bin"), path("refused-keys.toml"));
    let (exit, report, errors) = inspected(&[&own, &app]);
    assert_eq!((exit, &report["files"][0]["refused"]), (0, &Value::Null), "beside a file it is not read: {errors}");
    let (exit, report, errors) = inspected(&["--refused", &list, &own, &app]);
    assert_eq!(exit, 40, "{errors}");
    for path in [&own, &app] {
        assert!(errors.contains(&format!("{path}: key on the refuse list since 2026-03-01: left with")), "{errors}");
    }
    assert_eq!(report["files"][0]["is"], "a public key, P-256, a refused key");
    assert!(report["files"][1]["is"].as_str().unwrap().ends_with(", refused key inside"), "{report}");
    let (_second, other) = written("other.toml", b"schema = 1\n");
    assert_eq!(inspected(&["--refused", &other, "--refused", &list, &own]).0, 40, "it may come several times");
    assert_eq!(inspected(&["--refused", &list, "--mode", "engineering", &own]).0, 0);
    let (_third, torn) = written("torn.toml", b"schema = 1\n[[refused]]\nreson = \"x\"\n");
    let output = rootstamp(&["inspect", "--refused", &torn, &own]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && told.contains("torn.toml:3:1"), "{told}");
}

#[test]
fn what_is_special_or_wrong_stands_in_the_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.bin").to_str().unwrap().to_owned();
    fs::write(&cut, &fs::read(project("tests/vectors/mcuboot/p256.bin")).unwrap()[..1000]).unwrap();
    let vector = |name: &str| format!("tests/vectors/{name}");
    for (path, expected) in [
        (vector("nsib/ffff-no-verify.hex"), "Intel HEX: provision data, with a problem"),
        (vector("mcuboot/ed25519-seccnt-auto.bin"), "an image for MCUboot, version 1.2.3+4, with a problem"),
        (vector("mcuboot/more/p256-enc-ec256.bin"), "version 1.2.3+4, encrypted"),
        (vector("mcuboot/more/ed25519-enc-clear.bin"), "version 1.2.3+4, for updates encrypted"),
        (vector("mcuboot/more/p256-lzma2.bin"), "version 1.2.3+4, compressed"),
        (vector("kmu/keys.yaml"), "the list of keys that `west ncs-provision upload -i` should take"),
        (cut, "raw bytes: a broken image for MCUboot"),
    ] {
        let report = inspected(&[&path]).1;
        assert!(report["files"][0]["is"].as_str().unwrap().ends_with(expected), "{path}: {}", report["files"][0]["is"]);
    }
    let padded = inspected(&[&vector("mcuboot/more/p256-confirm-align16.bin")]).1;
    assert_eq!(
        padded["files"][0]["bootloader"]["families"],
        serde_json::json!([]),
        "its trailer is no sign of MCUboot"
    );
}
