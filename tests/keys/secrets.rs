//! Private halves: recognised in every form, never shown; and the one that a device may carry.

use std::fmt::Debug;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use proptest::prelude::*;
use rootstamp::{
    fault::Exit,
    file::Read,
    ident::{bytes_from_hex, hex},
    image::{
        Map,
        scan::{self, Found, Kind},
    },
    keys::{
        self, Algorithm, AnyKey, DecryptionKey, bare, private,
        refuse::{RefuseList, Why},
    },
};

use super::{any::key, bytes, der, little_endian};

/// The secret number of a vector, by a way of its own: at a fixed place of its PKCS#8.
pub(crate) fn secret(name: &str) -> Vec<u8> {
    let der = der(&format!("{name}.priv.pem"));
    match name {
        "p256-a" | "p256-b" => der[36..68].to_vec(),
        "p384-a" => der[35..83].to_vec(),
        "ed25519-a" | "x25519-a" => der[16..48].to_vec(),
        // Somewhere inside one of its primes.
        "rsa2048-a" => der[der.len() - 300..der.len() - 268].to_vec(),
        other => panic!("{other}"),
    }
}

/// Nothing of the secret in any form that a person or a program could read it in: hexadecimal or decimal digits, base64,
/// in either order of bytes.
pub(crate) fn silent(said: &str, secret: &[u8]) {
    let backwards: Vec<u8> = secret.iter().rev().copied().collect();
    let lower = said.to_ascii_lowercase();
    for window in secret.windows(4).chain(backwards.windows(4)) {
        let hexadecimal = window.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
        let with_0x = window.iter().map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>();
        let decimal = window.iter().map(u8::to_string).collect::<Vec<_>>();
        for (digits, separators) in [
            (hexadecimal, &["", " ", ":", ", ", ","][..]),
            (with_0x, &[" ", ", ", ","]),
            (decimal, &[" ", ", ", ",", "."]),
        ] {
            for separator in separators {
                assert!(!lower.contains(&digits.join(separator)), "{said}");
            }
        }
    }
    for window in secret.windows(6).chain(backwards.windows(6)) {
        for form in [STANDARD.encode(window), URL_SAFE.encode(window)] {
            assert!(!said.contains(&form), "{said}");
        }
    }
}

/// Every file that holds the private half of a vector, and of which one.
fn files() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = |name: &str| bytes(name);
    let mut files = Vec::new();
    for (of, name) in [
        ("p256-a", "p256-a.priv.pem"),
        ("p256-a", "p256-a.sec1.pem"),
        ("p256-a", "p256-a.encrypted.pem"),
        ("p256-a", "p256-a.sec1-encrypted.pem"),
        ("p256-a", "p256-a.encrypted.der"),
        ("p256-a", "p256-a.encrypted-pkcs12.der"),
        ("p256-a", "p256-a.openssh"),
        ("p256-a", "p256-a.jwk"),
        ("p256-a", "p256-a.p12"),
        ("p384-a", "p384-a.priv.pem"),
        ("ed25519-a", "ed25519-a.priv.pem"),
        ("ed25519-a", "ed25519-a.openssh"),
        ("x25519-a", "x25519-a.priv.pem"),
        ("rsa2048-a", "rsa2048-a.priv.pem"),
        ("rsa2048-a", "rsa2048-a.pkcs1.priv.pem"),
        ("rsa2048-a", "rsa2048-a.pkcs1-encrypted.pem"),
        ("rsa2048-a", "rsa2048-a.pkcs1.priv.der"),
    ] {
        files.push((of, name, text(name)));
    }
    for (of, name) in [
        ("p256-a", "p256-a.priv.pem"),
        ("p256-a", "p256-a.sec1.pem"),
        ("p256-a", "p256-a.encrypted.pem"),
        ("p256-a", "p256-a.openssh"),
        ("p384-a", "p384-a.priv.pem"),
        ("ed25519-a", "ed25519-a.priv.pem"),
        ("x25519-a", "x25519-a.priv.pem"),
        ("rsa2048-a", "rsa2048-a.priv.pem"),
        ("rsa2048-a", "rsa2048-a.pkcs1.priv.pem"),
    ] {
        files.push((of, name, if name.ends_with("openssh") { openssh(name) } else { der(name) }));
        let bare: String = String::from_utf8(text(name)).unwrap();
        let bare: Vec<&str> = bare.lines().filter(|line| !line.starts_with('-')).collect();
        if !name.ends_with("openssh") {
            files.push((of, "base64 without its PEM lines", bare.join("\n").into_bytes()));
        }
    }
    for of in ["p256-a", "p384-a", "ed25519-a"] {
        let (secret, public) = (secret(of), key(of));
        let mut little = secret.clone();
        little.reverse();
        files.push((of, "scalar, raw key", [&secret, public.raw()].concat()));
        files.push((of, "raw key, scalar", [public.raw(), &secret].concat()));
        files.push((of, "scalar, SPKI", [&secret, public.spki()].concat()));
        files.push((of, "SPKI, gap, scalar", [public.spki(), &[0; 40], &secret].concat()));
        let pem = bytes(&format!("{of}.pub.pem"));
        let certificate = bytes(&format!("{of}.cert.der"));
        files.push((of, "certificate, scalar", [&certificate[..], &secret].concat()));
        files.push((of, "private key behind a public one", [&pem[..], &bytes(&format!("{of}.priv.pem"))].concat()));
        let (private_digits, digits) = (hex(&secret), hex(public.raw()));
        files.push((of, "scalar, raw key in digits", format!("{private_digits}\n{digits}\n").into_bytes()));
        let json = format!("{{\"verify\": \"0x{digits}\",\n \"sign\": \"0x{private_digits}\"}}");
        files.push((of, "raw key, scalar in JSON digits", json.into_bytes()));
        let spki = format!("sign={private_digits};verify={};", hex(public.spki()));
        files.push((of, "digits of a raw key as SPKI", spki.into_bytes()));
        if of != "ed25519-a" {
            files.push((of, "point, scalar", [&[4], public.raw(), &secret].concat()));
        }
        if of == "p256-a" {
            files.push((of, "scalar, last byte first, SPKI", [&little, public.spki()].concat()));
        }
    }
    files
}

/// What OpenSSH's armour holds.
fn openssh(name: &str) -> Vec<u8> {
    use p256::pkcs8::der::pem;
    let text = String::from_utf8(bytes(name)).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>().join("");
    let lines: Vec<String> = body.as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
    let wrapped = format!("-----BEGIN X-----\n{}\n-----END X-----\n", lines.join("\n"));
    pem::decode_vec(wrapped.as_bytes()).unwrap().1
}

#[test]
fn a_private_half_is_refused_in_every_form_and_nothing_of_it_is_said() {
    for (of, what, bytes) in files() {
        let file = Read::from_memory("key", bytes.clone());
        assert!(private::form_of_file(&bytes).is_some(), "{of}: {what}");
        for problem in [keys::read_any(&file).unwrap_err(), keys::read(&file).unwrap_err()] {
            assert_eq!(problem.exit, Exit::KeyRefused, "{of}: {what}: {problem}");
            assert!(problem.what.contains("holds a private key"), "{of}: {what}: {problem}");
            silent(&format!("{problem} {problem:?}"), &secret(of));
        }
        let readers = [
            format!("{:?}", AnyKey::from_der(&bytes)),
            format!("{:?}", AnyKey::from_spki(&bytes)),
            format!("{:?}", AnyKey::from_pkcs1(&bytes)),
            format!("{:?}", AnyKey::from_certificate(&bytes)),
            format!("{:?}", AnyKey::at_start(&bytes)),
        ];
        readers.iter().for_each(|said| silent(said, &secret(of)));
    }
}

#[test]
fn a_private_half_inside_an_image_is_found_and_nothing_of_it_is_said() {
    let list = RefuseList::built_in().unwrap();
    // Text without armour and PKCS#12 do not travel inside firmware.
    let elsewhere = |what: &str| ["base64 without its PEM lines", "p256-a.jwk", "p256-a.p12"].contains(&what);
    // A raw public key is told from noise only by its private half standing right beside it.
    let raw = |what: &str| what.contains("raw key") || what.contains("point");
    for (of, what, bytes) in files().into_iter().filter(|(_, what, _)| !elsewhere(what) && !raw(what)) {
        let image = [&[0xA5; 6000][..], &bytes, &[0xFF; 300]].concat();
        let map = Map::from_raw(&Read::from_memory("image.bin", image), 0x1000).unwrap();
        let found = scan::keys(&map, &list);
        let private: Vec<&Found> = found.iter().filter(|found| matches!(found.kind, Kind::Private(_))).collect();
        assert!(!private.is_empty(), "{of}: {what}: {found:?}");
        let within = |found: &&&Found| (0x1000 + 6000..0x1000 + 6000 + bytes.len()).contains(&(found.at as usize));
        assert_eq!(private.iter().filter(within).count(), private.len(), "{of}: {what}");
        let said: String =
            found.iter().map(|found| format!("{found:?} {} {}", found.describe(), found.what())).collect();
        silent(&said, &secret(of));
    }
}

#[test]
fn what_only_resembles_a_private_half_is_not_called_one() {
    for name in ["p256-a", "p384-a", "ed25519-a", "x25519-a", "rsa2048-a"] {
        assert_eq!(private::form_of_file(&bytes(&format!("{name}.pub.pem"))), None, "{name}");
        assert_eq!(private::form_of_file(&bytes(&format!("{name}.spki.der"))), None, "{name}");
    }
    let (secret, other) = (secret("p256-b"), key("p256-a"));
    for bytes in [
        [&secret[..], other.raw()].concat(),
        [&secret[..], other.spki()].concat(),
        br#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#.to_vec(),
        b"GW3 board 7".to_vec(),
    ] {
        assert_eq!(private::form_of_file(&bytes), None, "{bytes:02x?}");
    }
    let mut almost = self::secret("p256-a");
    almost[31] ^= 1;
    assert_eq!(private::form_of_file(&[&almost[..], other.spki()].concat()), None);
}

#[test]
fn a_program_that_reads_key_files_holds_no_private_key() {
    let list = RefuseList::built_in().unwrap();
    let constants = b"-----BEGIN RSA PRIVATE KEY-----\0-----END RSA PRIVATE KEY-----\0-----BEGIN EC PRIVATE KEY-----\0\
        -----BEGIN PRIVATE KEY-----\0-----BEGIN ENCRYPTED PRIVATE KEY-----\0Proc-Type: 4,ENCRYPTED\0openssh-key-v1\0none\0";
    let map = Map::from_raw(&Read::from_memory("image.bin", constants.to_vec()), 0).unwrap();
    assert!(scan::keys(&map, &list).is_empty(), "the constants of pkparse.c");
}

#[test]
fn a_pem_label_with_no_key_behind_it_is_no_private_key() {
    let label = "-----BEGIN PRIVATE KEY-----";
    for text in [
        "A private key begins with `-----BEGIN PRIVATE KEY-----`. Never commit one.\n",
        "regex = \"-----BEGIN (RSA|EC|OPENSSH|) ?PRIVATE KEY-----\"\n",
        "static const char hdr[] = \"-----BEGIN EC PRIVATE KEY-----\";\n",
        "a key looks like\n\n-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----\n",
        "\"-----BEGIN PRIVATE KEY-----\\n\", \"-----END PRIVATE KEY-----\\n\"",
        &format!("{label}\n{}", "A".repeat(15)),
        label,
    ] {
        assert_eq!(keys::private_by_label(text), None, "{text}");
        assert_eq!(private::form_of_file(text.as_bytes()), None, "{text}");
    }
    assert!(keys::private_by_label(&format!("{label}\n{}", "A".repeat(16))).is_some());
}

#[test]
fn a_private_key_is_known_by_its_label_whatever_stands_before_its_lines() {
    let pem = String::from_utf8(bytes("p256-a.priv.pem")).unwrap();
    let each = |before: &str, behind: &str| -> String {
        pem.lines().map(|line| format!("{before}{line}{behind}\n")).collect()
    };
    let broken = pem.lines().take(2).map(|line| &line[..line.len().min(40)]).collect::<Vec<_>>().join("\n");
    for text in [
        each("", "\r"),
        each("# ", ""),
        each(" * ", ""),
        each("// ", ""),
        each("; ", ""),
        each("> > ", ""),
        each("| ", " |"),
        each("+", ""),
        each("    \"", "\\n\""),
        each("  \"", "\\r\\n\" +"),
        each("\"", "\","),
        each("'", "\\n' \\"),
        pem.replace('\n', "\\n"),
        pem.replace('\n', "\\\\n"),
        pem.replace("PRIVATE KEY-----", "PRIVATE KEY----"),
        broken,
    ] {
        assert_eq!(keys::private_by_label(&text).map(|form| form.contains("PEM")), Some(true), "{text}");
    }
    let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n!";
    let headed = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\nComment: a\n\nlQOYBFVk0AABCADK\n";
    for text in [encrypted, &encrypted.replace("Proc-Type", "DEK-Info"), headed] {
        assert!(private::form_of_file(text.as_bytes()).is_some(), "{text}");
    }
}

#[test]
fn a_private_member_counts_in_the_object_of_its_key_and_as_digits_only() {
    let public = r#"{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let of = |member: &str| format!("{{\"kty\": \"EC\", {member}}}");
    for text in [
        format!("{{\"keys\": [{public}], \"a\": {{\"b\": 1, \"c\": 2, \"d\": 3}}}}"),
        format!("{{\"jwk\": {public}, \"dims\": {{\"w\": 1, \"h\": 2, \"d\": \"long depth value\"}}}}"),
        format!("{{\"jwk\": {public}, \"d\": \"{}\"}}", "A".repeat(43)),
        r#"{"type": "object", "properties": {"kty": {"enum": ["EC"]}, "d": {"type": "string"}}}"#.to_owned(),
        format!("{{\"d\": \"2026-11-20\", \"manifest\": {{\"key\": {public}}}}}"),
        of("\"d\": 3"),
        of("\"d\": {\"a\": 1}"),
        of(&format!("\"d\": \"{}\"", "A".repeat(31))),
        of(&format!("\"k\": \"{}\"", "A".repeat(31))),
        of(&format!("\"d\": \"{}\"", "two words ".repeat(9))),
    ] {
        assert_eq!(private::form_of_file(text.as_bytes()), None, "{text}");
        assert_eq!(private::form_of_file(&text.as_bytes()[..text.len() - 1]), torn(&text), "{text}");
    }
    for member in ["d", "k"] {
        let text = of(&format!("\"{member}\" : \"{}\"", "A-_z".repeat(8)));
        assert_eq!(private::form_of_file(text.as_bytes()), Some("JSON Web Key"), "{text}");
        assert_eq!(private::form_of_file(&text.as_bytes()[..text.len() - 2]), Some("JSON Web Key"), "{text}");
    }
}

/// Without its end a text does not say which member belongs to which object.
fn torn(text: &str) -> Option<&'static str> {
    text.contains(&format!("\"d\": \"{}", "A".repeat(32))).then_some("JSON Web Key")
}

#[test]
fn a_json_web_key_is_private_alone_in_a_set_or_torn() {
    let jwk = String::from_utf8(bytes("p256-a.jwk")).unwrap();
    for text in [
        jwk.clone(),
        format!("{{\"keys\": [{{\"kty\":\"EC\"}}, {jwk}]}}"),
        jwk[..jwk.len() - 1].to_owned(),
        r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}"#.to_owned(),
        r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne","x":"11qYAY"}"#.to_owned(),
    ] {
        assert_eq!(private::form_of_file(text.as_bytes()), Some("JSON Web Key"), "{text}");
    }
}

#[test]
fn a_bare_scalar_is_found_as_far_as_is_said_and_no_farther() {
    let (public, secret) = (key("p256-a"), secret("p256-a"));
    let apart = |gap: usize| {
        let bytes = [&secret[..], &vec![0x77; gap], public.spki()].concat();
        bare::beside(&bytes, [(&public, secret.len() + gap..bytes.len())]).len()
    };
    assert_eq!((apart(0), apart(bare::REACH - 32), apart(bare::REACH - 31)), (1, 1, 0));
    for form in [public.spki(), public.raw(), &little_endian(&public).unwrap()] {
        let found = bare::beside(&[form, &secret].concat(), [(&public, 0..form.len())]);
        assert_eq!((found[0].at, found[0].len), (form.len(), 32));
    }
}

/// What was tried is not tried again, and its answer is not lost.
#[test]
fn the_same_scalar_beside_each_of_many_copies_of_its_key_is_found_beside_each() {
    let (public, secret) = (key("p256-a"), secret("p256-a"));
    let noise: Vec<u8> = (0..=u8::MAX).rev().cycle().take(700).collect();
    let unit = [&noise[..], &secret, public.spki()].concat();
    let places = (0..100).map(|copy| (copy + 1) * unit.len() - public.spki().len()..(copy + 1) * unit.len());
    let found = bare::beside(&unit.repeat(100), places.map(|place| (&public, place)));
    let before: Vec<usize> = (0..100).map(|copy| copy * unit.len() + noise.len()).collect();
    assert_eq!(found.iter().map(|found| found.at).collect::<Vec<_>>(), before);
}

/// Each would take minutes if what is tried were not bounded.
#[test]
fn a_hostile_key_file_is_told_from_a_private_one_all_the_same() {
    let fill = |piece: &[u8]| piece.repeat(60_000 / piece.len());
    let spki = |name: &str| bytes(&format!("{name}.spki.der"));
    for file in [
        fill(&spki("p256-a")),
        fill(&spki("p384-a")),
        fill(&spki("ed25519-a")),
        fill(hex(&spki("p256-a")).as_bytes()),
        fill(format!("{};", hex(key("ed25519-a").raw())).as_bytes()),
        fill(b"-----BEGIN "),
        fill(b"-----BEGIN A-----\n"),
        fill(&[0x30, 0x80]),
        fill(b"M"),
        fill(b"[{\"kty\":"),
    ] {
        assert_eq!(private::form_of_file(&file), None);
    }
}

#[test]
fn a_file_of_public_keys_only_does_not_make_the_search_for_scalars_last() {
    let many: Vec<u8> = std::iter::repeat_n(key("p384-a").spki().to_vec(), 400).flatten().collect();
    let public = key("p384-a");
    assert_eq!(bare::beside(&many, (0..400).map(|index| (&public, 120 * index..120 * (index + 1)))), []);
}

const DECRYPTION: &[(&str, Algorithm)] =
    &[("p256-a", Algorithm::P256), ("x25519-a", Algorithm::X25519), ("rsa2048-a", Algorithm::Rsa2048)];

/// As `imgtool getpriv` makes it: nothing optional. [MCUboot imgtool keys/privatebytes.py]
fn minimal() -> Vec<u8> {
    let head = "304102 0100 301306072a8648ce3d020106082a8648ce3d030107 0427 3025 020101 0420".replace(' ', "");
    [bytes_from_hex(&head).unwrap(), secret("p256-a")].concat()
}

#[test]
fn a_decryption_key_is_known_by_its_public_half_whatever_holds_it() {
    for (name, algorithm) in DECRYPTION {
        let whole = der(&format!("{name}.priv.pem"));
        let in_image = [&whole[..], &[0xFF; 40]].concat();
        let (found, length) = DecryptionKey::at_start(&in_image).unwrap();
        assert_eq!(length, whole.len(), "{name}");
        for key in [DecryptionKey::from_der(&whole).ok().unwrap(), found] {
            assert_eq!(key.spki_sha256(), super::any::key(name).spki_sha256(), "{name}");
            assert_eq!(key.algorithm(), *algorithm, "{name}");
        }
    }
    for der in [minimal(), der("p256-a.sec1.pem"), bytes("rsa2048-a.pkcs1.priv.der")] {
        assert!(DecryptionKey::from_der(&der).is_ok(), "{}", hex(&der[..8]));
    }
    assert_eq!(DecryptionKey::from_der(&minimal()).ok().unwrap().spki_sha256(), key("p256-a").spki_sha256());
}

/// The C array of imgtool, by a way of its own.
pub(crate) fn short_rsa() -> Vec<u8> {
    let text = include_str!("../vectors/mcuboot/rsa2048-a.getpriv-min.c.txt");
    let digits: String = text.split("0x").skip(1).map(|byte| &byte[..2]).collect();
    bytes_from_hex(&digits).unwrap()
}

#[test]
fn an_rsa_key_without_what_its_primes_say_is_a_decryption_key_if_they_make_its_modulus() {
    let whole = short_rsa();
    let (found, length) = DecryptionKey::at_start(&[&whole[..], &[0xFF; 40]].concat()).unwrap();
    assert_eq!((found.spki_sha256(), found.algorithm()), (key("rsa2048-a").spki_sha256(), Algorithm::Rsa2048));
    assert_eq!(length, whole.len());
    // The head, version 0, N, E, D, P and Q: 4, 3, 261, 5, 260, 132 and 132 bytes.
    let changed = |at: usize, to: u8| {
        let mut changed = whole.clone();
        changed[at] = to;
        changed
    };
    let flipped = |at: usize| changed(at, whole[at] ^ 2);
    let of = |body: &[u8]| [&[0x30, 0x82][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat();
    // P is N and Q is 1: their product is right, and they are no primes.
    let trivial = of(&[&whole[4..533], &whole[7..268], &[2, 1, 1]].concat());
    let more = of(&[&whole[4..], &[2, 1, 1]].concat());
    let fewer = of(&whole[4..whole.len() - 132]);
    for (what, der) in [
        ("version", changed(6, 1)),
        ("modulus", flipped(200)),
        ("exponent", changed(272, 3)),
        ("first prime", flipped(600)),
        ("second prime", flipped(whole.len() - 1)),
        ("no primes", trivial),
        ("a number more", more),
        ("a number fewer", fewer),
    ] {
        let bad = DecryptionKey::from_der(&der).err().unwrap_or_else(|| panic!("{what}")).to_string();
        silent(&bad, &whole[540..572]);
    }
}

#[test]
fn a_decryption_key_inside_a_bootloader_is_known_from_where_it_was_found() {
    let list = RefuseList::built_in().unwrap();
    for (name, der) in [
        ("p256-a", minimal()),
        ("x25519-a", der("x25519-a.priv.pem")),
        ("rsa2048-a", bytes("rsa2048-a.pkcs1.priv.der")),
    ] {
        let image = [&[0xA5; 40][..], &der, &[0xFF; 50]].concat();
        let map = Map::from_raw(&Read::from_memory("bootloader.bin", image), 0).unwrap();
        let found = scan::keys(&map, &list);
        let private = found.iter().find(|found| found.at == 40).unwrap();
        assert_eq!(private.decryption_key(&map).unwrap().spki_sha256(), key(name).spki_sha256(), "{name}");
    }
    let map = Map::from_raw(&Read::from_memory("bootloader.bin", key("p256-a").spki().to_vec()), 0).unwrap();
    assert!(scan::keys(&map, &list)[0].decryption_key(&map).is_none(), "a public key");
}

#[test]
fn what_decrypts_no_images_is_no_decryption_key() {
    for (der, said) in [
        (der("ed25519-a.priv.pem"), "decrypts no images"),
        (der("p384-a.priv.pem"), "decrypts no images"),
        (bytes("p256-a.encrypted.der"), "is encrypted"),
        (bytes("p256-a.spki.der"), "no private key begins here"),
        (minimal()[..60].to_vec(), "longer than what is left"),
        ([minimal(), vec![0]].concat(), "left over"),
    ] {
        let bad = DecryptionKey::from_der(&der).err().unwrap().to_string();
        assert!(bad.contains(said), "{bad}, expected {said}");
        silent(&bad, &secret("p256-a"));
    }
    let mut damaged = der("rsa2048-a.priv.pem");
    damaged[700] ^= 1;
    assert!(DecryptionKey::from_der(&damaged).is_err(), "its numbers do not belong together");
}

/// The kind of place that the list knows it from.
pub(super) fn category(why: &Why) -> &str {
    match why {
        Why::PrivateHalfPublished(category) | Why::DevelopmentKey(category) => category,
        Why::Company { .. } => "company",
    }
}

#[test]
fn a_published_decryption_key_is_refused_by_its_public_half() {
    let list = RefuseList::built_in().unwrap();
    assert!(list.refuses_digest(&DecryptionKey::from_der(&minimal()).ok().unwrap().spki_sha256()).is_none());
    let encrypting = list.all().iter().filter(|refused| category(&refused.why) == "image-encryption");
    assert_eq!(encrypting.filter_map(|refused| list.refuses_digest(&refused.spki_sha256)).count(), 6);
}

/// Compiles only while there is one way to be this, which is not to be shown.
trait Unshown<How> {
    fn is_unshown() {}
}

impl<T: ?Sized> Unshown<()> for T {}
impl<T: ?Sized + Debug> Unshown<u8> for T {}
impl<T: ?Sized + std::fmt::Display> Unshown<u16> for T {}
impl<T: ?Sized + serde::Serialize> Unshown<u32> for T {}
impl<T: Clone> Unshown<u64> for T {}

#[test]
fn a_decryption_key_cannot_be_shown_copied_or_written() {
    <DecryptionKey as Unshown<_>>::is_unshown();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_bytes_make_the_search_for_private_halves_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        head in proptest::sample::select(vec!["", "30770201010420", "308204a40201000282010100", "302e020100300506032b656e0422", "2d2d2d2d2d424547494e20", "3081"]),
    ) {
        let bytes = [bytes_from_hex(head).unwrap(), bytes].concat();
        let _ = (private::form_of_file(&bytes), DecryptionKey::from_der(&bytes).is_ok(), DecryptionKey::at_start(&bytes).is_some());
    }

    #[test]
    fn no_private_key_cut_short_or_changed_panics_or_is_shown(
        (of, what, bytes) in proptest::sample::select(files()),
        at in any::<proptest::sample::Index>(),
        flip in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = bytes;
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if cut {
            bytes.truncate(at);
        }
        if let Err(problem) = keys::read_any(&Read::from_memory("key", bytes)) {
            silent(&format!("{problem} {problem:?} {what}"), &secret(of));
        }
    }
}

#[test]
#[should_panic(expected = "nothing else")]
fn a_part_of_a_secret_in_base64_does_not_go_unnoticed() {
    silent(&format!("nothing else {}", STANDARD.encode(&secret("p256-a")[5..16])), &secret("p256-a"));
}

#[test]
#[should_panic(expected = "nothing else")]
fn a_part_of_a_secret_in_decimal_digits_does_not_go_unnoticed() {
    let digits: Vec<String> = secret("p256-a")[5..10].iter().map(u8::to_string).collect();
    silent(&format!("nothing else {}", digits.join(",")), &secret("p256-a"));
}

#[test]
fn a_key_whose_lines_stand_behind_numbers_tags_or_commands_is_still_one() {
    let pem = std::fs::read_to_string(crate::line::project("tests/vectors/keys/p256-a.priv.pem")).unwrap();
    let around = |before: &str| pem.lines().map(|line| format!("{before}{line}\n")).collect::<String>();
    for before in ["12: ", "<td>", "echo \"", "REM ", "% "] {
        assert!(rootstamp::keys::private_by_label(&around(before)).is_some(), "{before}");
    }
    let damaged = pem.replacen("-----\nM", "-----\n?", 1);
    assert!(rootstamp::keys::private_by_label(&damaged).is_some());
    let prose = "A file that begins with -----BEGIN PRIVATE KEY----- is refused; see the pages about keys and recipes.";
    assert_eq!(rootstamp::keys::private_by_label(prose), None);
}

/// The generator of a curve is the public half of the number one, and programs hold both.
#[test]
fn the_numbers_of_a_curve_are_no_pair_of_keys() {
    let p256 = rootstamp::ident::bytes_from_hex(crate::dfu::GENERATOR).unwrap();
    let p384 = "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7\
                3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";
    let p384 = rootstamp::ident::bytes_from_hex(p384).unwrap();
    for generator in [p256, p384] {
        let mut one = vec![0; generator.len() / 2];
        *one.last_mut().unwrap() = 1;
        for bytes in [[&generator[..], &one].concat(), [&one[..], &[7; 20], &generator].concat()] {
            assert_eq!(private::form_of_file(&bytes), None);
        }
        one.reverse();
        assert_eq!(private::form_of_file(&[&one[..], &generator].concat()), None);
    }
}
