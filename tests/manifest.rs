//! Release manifests: one that CI signed, checked here and by `openssl`, and files that pretend to be one.

use std::{fs, path::Path, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    pkcs8::DecodePrivateKey as _,
};
use proptest::prelude::*;
use rootstamp::{
    fault::{Exit, Problem},
    file::Read,
    ident::{Digest, hex},
    keys::{self, AnyKey},
    manifest::{self, PAYLOAD_TYPE, Release, pae},
};
use serde_json::{Value, json};

use crate::keys::secrets::{secret, silent};

fn vector(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(path)).unwrap()
}

fn key(name: &str) -> (String, AnyKey) {
    let file = Read::from_memory(name, vector(&format!("keys/{name}.pub.pem")));
    (name.to_owned(), keys::read_any(&file).unwrap().key)
}

/// The statement of a release of two files.
pub(crate) fn statement() -> Value {
    let hash = |text: &str| Digest::of(text.as_bytes()).to_string();
    json!({
        "_type": manifest::STATEMENT_TYPE,
        "subject": [
            { "name": "mcuboot.hex", "digest": { "sha256": hash("mcuboot") } },
            { "name": "app.hex", "digest": { "sha256": hash("app") } },
        ],
        "predicateType": manifest::PREDICATE_TYPE,
        "predicate": {
            "release": "1.4.2",
            "build": "ci 4711, 8c0ffee",
            "board": { "product": "GW3", "chip": "nRF52840" },
            "images": [
                { "subject": "mcuboot.hex", "is": "mcuboot" },
                { "subject": "app.hex", "is": "mcuboot-image", "version": "1.4.2+0", "security_counter": 1, "signed": hash("key") },
            ],
            "keys": [{ "name": "root", "spki_sha256": hash("key") }],
        },
    })
}

/// A signature as `openssl dgst -sha256 -sign` makes it.
fn sign(name: &str, message: &[u8]) -> Vec<u8> {
    let pem = String::from_utf8(vector(&format!("keys/{name}.priv.pem"))).unwrap();
    let signature: Signature = SigningKey::from_pkcs8_pem(&pem).unwrap().sign_prehash(&Digest::of(message).0).unwrap();
    signature.to_der().as_bytes().to_vec()
}

/// An envelope around this payload, signed by these P-256 keys.
pub(crate) fn envelope(payload: &[u8], by: &[&str]) -> Vec<u8> {
    let signed = pae(PAYLOAD_TYPE, payload);
    let signatures: Vec<Value> =
        by.iter().map(|name| json!({ "keyid": name, "sig": STANDARD.encode(sign(name, &signed)) })).collect();
    let envelope =
        json!({ "payload": STANDARD.encode(payload), "payloadType": PAYLOAD_TYPE, "signatures": signatures });
    serde_json::to_vec_pretty(&envelope).unwrap()
}

fn opened(bytes: Vec<u8>, keys: &[&str], threshold: usize) -> Result<Release, Problem> {
    let keys: Vec<_> = keys.iter().map(|name| key(name)).collect();
    manifest::read(&Read::from_memory("release.json", bytes))?.vouched(&keys, threshold)
}

fn spoilt(spoil: impl Fn(&mut Value), expected: &str) {
    let mut statement = statement();
    spoil(&mut statement);
    told(&serde_json::to_vec(&statement).unwrap(), expected);
}

/// A payload that is well signed and still no release.
fn told(payload: &[u8], expected: &str) {
    let problem = opened(envelope(payload, &["p256-a"]), &["p256-a"], 1).unwrap_err();
    assert_eq!((problem.file.as_str(), problem.exit), ("release.json", Exit::Usage));
    assert!(problem.what.contains(expected), "{expected}: {problem}");
}

#[test]
fn a_release_that_enough_keys_signed_is_vouched_for() {
    let payload = serde_json::to_vec(&statement()).unwrap();
    let release = opened(envelope(&payload, &["p256-a", "p256-b"]), &["p256-a", "p256-b", "p256-c"], 2).unwrap();
    assert_eq!(release.signed_by, ["p256-a", "p256-b"]);
    let app = release.image(&Digest::of(b"app")).unwrap();
    assert_eq!(
        (app.name.as_str(), app.version.as_deref(), app.security_counter),
        ("app.hex", Some("1.4.2+0"), Some(1))
    );
    assert_eq!(release.image(&Digest::of(b"other")), None);
    assert!(release.allows(&Digest::of(b"key")) && !release.allows(&Digest::of(b"other")));
    let told = release.explain(false);
    assert!(told.warnings().is_empty() && told.to_string().contains("by p256-a, p256-b"), "{told}");
}

#[test]
fn too_few_signatures_are_no_release() {
    let payload = serde_json::to_vec(&statement()).unwrap();
    let refused = |by: &[&str], keys: &[&str], threshold| {
        let problem = opened(envelope(&payload, by), keys, threshold).unwrap_err();
        assert_eq!(problem.exit, Exit::KeyRefused);
        problem.what
    };
    assert!(refused(&["p256-b"], &["p256-a"], 1).contains("is signed by 0 of the release keys p256-a, and 1 must"));
    refused(&["p256-b"], &["p256-a"], 0);
    refused(&["p256-a"], &["p256-a", "p256-b"], 2);
    refused(&["p256-a", "p256-a"], &["p256-a", "p256-b"], 2);
    refused(&["p256-a"], &["p256-a", "p256-a"], 2);
}

#[test]
fn whatever_is_changed_after_signing_is_noticed() {
    let payload = serde_json::to_vec(&statement()).unwrap();
    let good: Value = serde_json::from_slice(&envelope(&payload, &["p256-a"])).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        opened(serde_json::to_vec(&changed).unwrap(), &["p256-a"], 1).unwrap_err().what
    };
    let other = String::from_utf8(payload.clone()).unwrap().replace("GW3", "GW4");
    assert!(refused(&|it| it["payload"] = STANDARD.encode(&other).into()).contains("is signed by 0"));
    // A signature over the payload alone, as one who knows no PAE would make it.
    assert!(
        refused(&|it| it["signatures"][0]["sig"] = STANDARD.encode(sign("p256-a", &payload)).into())
            .contains("is signed by 0")
    );
    assert!(refused(&|it| it["payloadType"] = "text/plain".into()).contains("its payloadType is \"text/plain\""));
    assert!(refused(&|it| it["signatures"] = json!([])).contains("0 signatures"));
    assert!(refused(&|it| it["signatures"] = vec![json!({"sig": ""}); 17].into()).contains("17 signatures"));
    assert!(refused(&|it| it["payload"] = "*".into()).contains("payload is no base64"));
    assert!(refused(&|it| it["signatures"][0]["sig"] = "AAA".into()).contains("signature in it is no base64"));
    assert!(refused(&|it| it["payload"] = 1.into()).contains("no DSSE envelope: invalid type"));
    assert!(
        refused(&|it| drop(it.as_object_mut().unwrap().remove("signatures"))).contains("missing field `signatures`")
    );
    let twice = b"{\n\"payload\": \"\", \"payload\": \"\"}".to_vec();
    let problem = opened(twice, &["p256-a"], 1).unwrap_err();
    assert!(problem.what.contains("duplicate field `payload`"), "{problem}");
    assert_eq!(problem.line, Some(2));
    // Fields that nobody signed say nothing, and the other base64 is base64 too.
    let mut more = good.clone();
    more["comment"] = "x".into();
    more["payload"] = base64::engine::general_purpose::URL_SAFE.encode(&payload).into();
    assert!(opened(serde_json::to_vec(&more).unwrap(), &["p256-a"], 1).is_ok());
}

#[test]
fn a_statement_that_says_something_else_is_told() {
    spoilt(|it| it["_type"] = "https://in-toto.io/Statement/v0.1".into(), "its _type is");
    spoilt(|it| it["predicateType"] = "rootstamp/release/v2".into(), "\"rootstamp/release/v1\" is expected");
    spoilt(|it| it["not_before"] = "2027".into(), "unknown field `not_before`");
    spoilt(|it| it["predicate"]["only_if"] = true.into(), "unknown field `only_if`");
    spoilt(|it| it["subject"][0]["digest"]["sha1"] = "00".into(), "unknown field `sha1`");
    spoilt(|it| it["subject"][0]["digest"]["sha256"] = "00".into(), "64 hexadecimal digits");
    spoilt(|it| it["predicate"]["images"][1]["security_counter"] = "1".into(), "invalid type: string");
    spoilt(|it| it["predicate"]["images"][1]["security_counter"] = (-1).into(), "invalid value");
    spoilt(|it| it["predicate"]["images"][1]["version"] = 1.4.into(), "invalid type: floating point");
    spoilt(
        |it| it["predicate"]["images"][1]["subject"] = "application.hex".into(),
        "no subject is called `application.hex`",
    );
    spoilt(|it| it["predicate"]["images"][1]["subject"] = "mcuboot.hex".into(), "the image mcuboot.hex is in it twice");
    spoilt(|it| drop(it["predicate"]["images"].as_array_mut().unwrap().pop()), "2 subjects and 1 images");
    spoilt(|it| it["subject"][1]["name"] = "mcuboot.hex".into(), "the subject mcuboot.hex is in it twice");
    spoilt(|it| it["subject"][1]["digest"] = it["subject"][0]["digest"].clone(), "the subject's SHA-256");
    spoilt(|it| it["predicate"]["keys"] = vec![it["predicate"]["keys"][0].clone(); 2].into(), "the key ");
    spoilt(
        |it| it["predicate"]["build"] = "\u{1b}[2J".into(),
        "build is empty, longer than 120 characters or holds characters that cannot be seen",
    );
    spoilt(|it| it["predicate"]["release"] = "".into(), "release is empty");
    spoilt(|it| it["predicate"]["board"]["chip"] = "x".repeat(121).into(), "chip is empty, longer");
    let text = serde_json::to_string(&statement()).unwrap();
    told(text.replace("\"release\":", "\"release\":\"1.4.1\",\"release\":").as_bytes(), "duplicate field `release`");
    told(text.replace("\"sha256\":", "\"sha256\":\"\",\"sha256\":").as_bytes(), "64 hexadecimal digits");
    told(format!("{text} {{}}").as_bytes(), "trailing characters");
    told(b"", "EOF");
    told(&b"[".repeat(10_000), "invalid type: sequence");
    spoilt(|it| it["predicate"]["board"] = json!(["GW3", "nRF52840"]), "a list where a table belongs");
    spoilt(|it| it["predicate"]["images"][0]["version"] = Value::Null, "a null");
    spoilt(|it| it["subject"][0]["digest"]["sha256"] = "A".repeat(64).into(), "a hash in capitals");
}

/// Turned round, such a name would show another ending than it has.
#[test]
fn a_text_that_nobody_would_see_as_it_is_stops_a_release() {
    for unseen in ["\u{202e}xeh.ppa", "a\u{200b}b", "\u{feff}a", "a\u{2066}b", "a\u{ad}b"] {
        spoilt(|it| it["predicate"]["build"] = unseen.into(), "build is empty, longer than 120 characters or holds");
        spoilt(|it| it["predicate"]["keys"][0]["name"] = unseen.into(), "a key's name is empty, longer");
    }
}

/// What stands in place of a value may have been pasted there.
#[test]
fn nothing_of_a_value_is_told_that_is_not_what_was_expected() {
    let secret = secret("p256-a");
    for text in [
        format!("0x{}", hex(&secret)),
        STANDARD.encode(&secret),
        format!("{}, expected {}", hex(&secret), hex(&secret)),
        format!("a` at line {}", hex(&secret)),
    ] {
        let text: Value = text.into();
        let told = |it: &Value| {
            let bytes = envelope(&serde_json::to_vec(it).unwrap(), &["p256-a"]);
            silent(&opened(bytes, &["p256-a"], 1).unwrap_err().what, &secret);
        };
        for pointer in [
            "/subject/0/digest/sha256",
            "/subject",
            "/predicate/images/1/security_counter",
            "/predicate/board",
            "/predicate/keys/0/spki_sha256",
            "/predicate/images/0",
        ] {
            let mut changed = statement();
            *changed.pointer_mut(pointer).unwrap() = text.clone();
            told(&changed);
        }
        let mut changed = statement();
        changed["predicate"][text.as_str().unwrap()] = 1.into();
        told(&changed);
        for envelope in [
            json!({ "payload": [text], "payloadType": PAYLOAD_TYPE, "signatures": [] }),
            json!({ "payload": "", "payloadType": PAYLOAD_TYPE, "signatures": text }),
            json!({ "payload": "", "payloadType": PAYLOAD_TYPE, "signatures": [text] }),
            text.clone(),
        ] {
            silent(&opened(serde_json::to_vec(&envelope).unwrap(), &["p256-a"], 1).unwrap_err().what, &secret);
        }
    }
}

#[test]
fn an_unverified_release_is_shown_with_a_warning() {
    let payload = serde_json::to_vec(&statement()).unwrap();
    let file = Read::from_memory("release.json", envelope(&payload, &["p256-a"]));
    assert!(manifest::begins(&file) && !manifest::begins(&Read::from_memory("x", b"{}".to_vec())));
    let release = manifest::read(&file).unwrap().unverified().unwrap();
    assert_eq!(release.explain(false).warnings().len(), 1);
    assert_eq!(serde_json::to_value(&release).unwrap()["board"]["product"], "GW3");
}

#[test]
fn the_schema_for_those_who_write_a_statement_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/schemas/release.schema.json");
    let printed = format!("{:#}\n", manifest::schema());
    if std::env::var_os("ROOTSTAMP_BLESS").is_some() {
        fs::write(&path, &printed).unwrap();
    }
    assert!(fs::read_to_string(path).unwrap() == printed, "run this test with ROOTSTAMP_BLESS=1");
}

fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn openssl_checks_what_we_sign_and_we_check_what_openssl_signs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let payload = serde_json::to_vec(&statement()).unwrap();
    for (name, bytes) in [
        ("payload.json", payload.clone()),
        ("pae", pae(PAYLOAD_TYPE, &payload)),
        ("p256.sig", sign("p256-a", &pae(PAYLOAD_TYPE, &payload))),
        ("p256.pub", vector("keys/p256-a.pub.pem")),
        ("p256.priv", vector("keys/p256-b.priv.pem")),
        ("ed.pub", vector("keys/ed25519-a.pub.pem")),
        ("ed.priv", vector("keys/ed25519-a.priv.pem")),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let shell = "T=application/vnd.in-toto+json; printf 'DSSEv1 %d %s %d ' ${#T} $T $(wc -c <payload.json) >own; cat payload.json >>own; cmp own pae";
    assert!(Command::new("sh").args(["-c", shell]).current_dir(folder).status().unwrap().success());
    let verify = ["dgst", "-sha256", "-verify", "p256.pub", "-signature", "p256.sig", "own"];
    assert!(openssl(folder, &verify).contains("Verified OK"));

    openssl(folder, &["dgst", "-sha256", "-sign", "p256.priv", "-out", "b.sig", "own"]);
    openssl(folder, &["pkeyutl", "-sign", "-inkey", "ed.priv", "-rawin", "-in", "own", "-out", "ed.sig"]);
    let sig = |name: &str| json!({ "sig": STANDARD.encode(fs::read(folder.join(name)).unwrap()) });
    let envelope = json!({ "payload": STANDARD.encode(&payload), "payloadType": PAYLOAD_TYPE, "signatures": [sig("b.sig"), sig("ed.sig")] });
    let bytes = serde_json::to_vec(&envelope).unwrap();
    let release = opened(bytes.clone(), &["p256-b", "ed25519-a", "p256-a"], 2).unwrap();
    assert_eq!(release.signed_by, ["p256-b", "ed25519-a"]);
    assert!(opened(bytes, &["ed25519-b", "p256-a", "p256-b"], 2).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(text in "[{}\\[\\]\":,a-z0-9 ]{0,200}") {
        let file = Read::from_memory("a", text.clone().into_bytes());
        let _ = manifest::begins(&file);
        let _ = manifest::read(&file);
        let _ = opened(envelope(text.as_bytes(), &["p256-a"]), &["p256-a"], 1);
    }

    #[test]
    fn no_mutation_of_an_envelope_says_something_else(at in 0..2000_usize, value in 32..127_u8) {
        let payload = serde_json::to_vec(&statement()).unwrap();
        let good = envelope(&payload, &["p256-a"]);
        let mut bytes = good.clone();
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(release) = opened(bytes, &["p256-a"], 1) {
            let same = opened(good, &["p256-a"], 1).unwrap();
            prop_assert_eq!((release.images, release.keys), (same.images, same.keys));
        }
    }
}
