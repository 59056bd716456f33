//! Every image that imgtool made: taken apart, explained, verified with the right key, refused with another.

use proptest::prelude::*;
use rootstamp::{
    fault::Problem,
    file,
    ident::bytes_from_hex,
    image::{
        Map,
        mcuboot::{
            self, About, Flag, HashState, Image, SignatureState, Tlv, Verdict,
            encryption::{Encryption, Scheme},
        },
    },
    keys::{AnyKey, Hash, refuse::RefuseList},
};
use serde_json::Value;

use super::{AT, raw, vector};

fn any_key(name: &str) -> AnyKey {
    AnyKey::from_spki(&vector(&format!("keys/{name}.spki.der")).bytes).unwrap()
}

fn bytes(name: &str) -> Vec<u8> {
    vector(&format!("mcuboot/{name}.bin")).bytes
}

fn parsed(bytes: &[u8]) -> Result<Image, Problem> {
    mcuboot::read(&raw(AT, bytes), AT)
}

fn image(name: &str) -> Image {
    parsed(&bytes(name)).unwrap()
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.objections.iter().map(|objection| objection.code).collect()
}

/// Image, the key that signed it, a key of the same kind that did not (or of another, where there is no second).
const SIGNED: &[(&str, &str, &str)] = &[
    ("ed25519", "ed25519-a", "ed25519-b"),
    ("ed25519-sha512", "ed25519-a", "ed25519-b"),
    ("ed25519-seccnt5", "ed25519-a", "ed25519-b"),
    ("ed25519-seccnt-auto", "ed25519-a", "ed25519-b"),
    ("ed25519-pubkey-full", "ed25519-a", "ed25519-b"),
    ("ed25519-pad", "ed25519-a", "ed25519-b"),
    ("ed25519-confirm", "ed25519-a", "ed25519-b"),
    ("p256", "p256-a", "p256-b"),
    ("p384", "p384-a", "p256-a"),
    ("rsa2048", "rsa2048-a", "rsa3072-a"),
    ("more/rsa3072", "rsa3072-a", "rsa2048-a"),
    ("more/ed25519-pure", "ed25519-a", "ed25519-b"),
    ("more/p256-protected", "p256-a", "p256-b"),
    ("more/p256-pad-sig", "p256-a", "p256-b"),
    ("more/p256-confirm-align16", "p256-a", "p256-b"),
    ("more/p256-pubkey-full", "p256-a", "p256-b"),
    ("more/p384-pubkey-full", "p384-a", "p256-a"),
    ("more/rsa2048-pubkey-full", "rsa2048-a", "rsa3072-a"),
    ("more/p256-rom-fixed", "p256-a", "p256-b"),
    ("more/p256-ram-load", "p256-a", "p256-b"),
    ("more/p256-non-bootable", "p256-a", "p256-b"),
    ("more/p256-lzma2", "p256-a", "p256-b"),
];

const ENCRYPTED: &[(&str, &str, Scheme, u16)] = &[
    ("ed25519-enc-x25519", "ed25519-a", Scheme::EciesX25519, 128),
    ("ed25519-enc-x25519-aes256-hmac512", "ed25519-a", Scheme::EciesX25519Sha512, 256),
    ("rsa2048-enc-rsa2048", "rsa2048-a", Scheme::Rsa2048, 128),
    ("more/p256-enc-ec256", "p256-a", Scheme::EciesP256, 128),
    ("more/p256-enc-ec256-aes256", "p256-a", Scheme::EciesP256, 256),
];

#[test]
fn every_image_is_taken_apart_as_imgtool_dumps_it() {
    let others = ENCRYPTED.iter().map(|(name, ..)| *name).chain(["unsigned", "more/ed25519-enc-clear"]);
    for name in SIGNED.iter().map(|(name, ..)| *name).chain(others) {
        let image = image(name);
        let told: Value = serde_json::from_slice(&vector(&format!("mcuboot/{name}.dumpinfo.json")).bytes).unwrap();
        let header = &told["header"];
        let ours = serde_json::to_value(image.header).unwrap();
        for (field, theirs) in [
            ("load_address", "load_addr"),
            ("header_size", "hdr_size"),
            ("protected_size", "protected_tlv_size"),
            ("image_size", "img_size"),
            ("flags", "flags"),
            ("version", "version"),
        ] {
            assert_eq!(ours[field], header[theirs], "{name} {field}");
        }
        let area = &told["tlv_area"];
        for (protected, list) in [(true, &area["tlvs_prot"]), (false, &area["tlvs"])] {
            let found: Vec<&Tlv> = image.tlvs.iter().filter(|tlv| tlv.protected == protected).collect();
            let list = list.as_array().unwrap();
            assert_eq!(found.len(), list.len(), "{name}");
            for (tlv, told) in found.into_iter().zip(list) {
                assert_eq!(u64::from(tlv.kind), told["type"].as_u64().unwrap(), "{name}");
                assert_eq!(rootstamp::ident::hex(&tlv.data), told["data"], "{name}");
            }
        }
        trailer_as_dumped(name, &image, &told["trailer"]);
        let words = image.explain(None).to_string();
        assert!(words.contains("version 1.2.3+4") && !words.contains("unknown"), "{name}\n{words}");
    }
}

fn trailer_as_dumped(name: &str, image: &Image, told: &Value) {
    let Some(trailer) = &image.trailer else {
        assert_eq!(told, &serde_json::json!({}), "{name}");
        return;
    };
    let as_told = |flag: Flag| match flag {
        Flag::Set => 1,
        Flag::Unset => 255,
        Flag::Bad => 0,
    };
    assert_eq!((as_told(trailer.image_ok), as_told(trailer.copy_done)), (told["image_ok"].as_i64().unwrap(), 255));
    assert_eq!((trailer.slot_end, trailer.swap_info), (u64::from(AT) + 0x8000, None), "{name}");
}

#[test]
fn every_signed_image_is_verified_with_its_key_and_refused_with_another() {
    for (name, right, wrong) in SIGNED {
        let image = image(name);
        let verdict = image.judge(Some(&any_key(right)));
        assert!(verdict.authentic, "{name}: {verdict:?}");
        assert_eq!((verdict.hash, verdict.signature), (HashState::Fits, SignatureState::Fits), "{name}");
        let verdict = image.judge(Some(&any_key(wrong)));
        assert!(!verdict.authentic && codes(&verdict).contains(&"key-other"), "{name}: {verdict:?}");
        assert!(matches!(verdict.signature, SignatureState::DoesNotFit | SignatureState::Missing), "{name}");
        assert!(!image.judge(None).authentic, "{name}: nothing is authentic without a key");
    }
}

#[test]
fn a_key_of_another_kind_never_made_a_signature() {
    let keys = ["p256-a", "p384-a", "ed25519-a", "rsa2048-a", "rsa3072-a", "x25519-a"];
    for (name, right, _) in SIGNED {
        for other in keys.iter().filter(|other| *other != right) {
            let verdict = image(name).judge(Some(&any_key(other)));
            assert!(!verdict.authentic && verdict.signature != SignatureState::Fits, "{name} with {other}");
        }
    }
}

#[test]
fn every_flipped_bit_of_every_signed_image_is_seen() {
    for (name, right, _) in SIGNED {
        let (good, key) = (bytes(name), any_key(right));
        let end = usize::try_from(image(name).end - AT).unwrap();
        let stride = 8 * 41 + 3;
        for bit in (0..end * 8).step_by(stride).chain(0..32).chain(((end - 12) * 8..end * 8).step_by(5)) {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let seen = parsed(&bytes).map_or(true, |image| !image.judge(Some(&key)).authentic);
            assert!(seen, "{name} bit {bit}");
        }
    }
}

#[test]
fn an_image_that_is_genuine_but_not_for_its_place_is_told_so() {
    for (name, expected) in [
        ("more/p256-non-bootable", "non-bootable"),
        ("more/p256-ram-load", "ram-load"),
        ("more/p256-lzma2", "compressed"),
    ] {
        let verdict = image(name).judge(Some(&any_key("p256-a")));
        assert!(verdict.authentic, "{name}");
        assert_eq!(codes(&verdict), [expected]);
        assert_eq!(verdict.objections[0].about, About::Start);
    }
    let fixed = bytes("more/p256-rom-fixed");
    let verdict = |at| mcuboot::read(&raw(at, &fixed), at).unwrap().judge(Some(&any_key("p256-a")));
    assert_eq!(codes(&verdict(AT)), Vec::<&str>::new());
    assert_eq!(codes(&verdict(0x1_0000)), ["linked-elsewhere"]);
}

#[test]
fn an_unsigned_image_has_a_hash_and_nothing_else() {
    let verdict = image("unsigned").judge(Some(&any_key("ed25519-a")));
    assert_eq!((verdict.hash, verdict.signature), (HashState::Fits, SignatureState::Missing));
    assert_eq!(codes(&verdict), ["key-unnamed", "signature-missing"]);
}

#[test]
fn an_encrypted_image_says_what_only_the_device_can_know() {
    for (name, right, scheme, bits) in ENCRYPTED {
        let image = image(name);
        let about = image.encryption().unwrap();
        let expected =
            Encryption { scheme: Some(*scheme), key_bits: Some(*bits), clear: false, contradictions: vec![] };
        assert_eq!(about, expected, "{name}");
        let verdict = image.judge(Some(&any_key(right)));
        assert_eq!(verdict.hash, HashState::OnlyAfterDecryption, "{name}");
        assert!(!verdict.authentic && codes(&verdict).contains(&"encrypted-in-place"), "{name}: {verdict:?}");
        let by_hash =
            if *right == "rsa2048-a" { SignatureState::OnlyAfterDecryption } else { SignatureState::FitsTheHash };
        assert_eq!(verdict.signature, by_hash, "{name}");
        let words = image.explain(None).to_string();
        assert!(words.contains("Read-back protection of the chip is mandatory"), "{words}");
        assert!(words.contains("the image does not say which"), "{words}");
    }
    let wrong = image("ed25519-enc-x25519").judge(Some(&any_key("ed25519-b")));
    assert_eq!(wrong.signature, SignatureState::DoesNotFit);
    let wrong = image("more/p256-enc-ec256").judge(Some(&any_key("p256-b")));
    assert_eq!(wrong.signature, SignatureState::DoesNotFit);
}

#[test]
fn an_image_made_for_encryption_but_left_clear_is_verified_save_for_its_wrapped_key() {
    let (name, key) = ("more/ed25519-enc-clear", any_key("ed25519-a"));
    let about = image(name).encryption().unwrap();
    assert!(about.clear && about.contradictions.is_empty());
    assert!(image(name).judge(Some(&key)).authentic && !image(name).judge(Some(&any_key("ed25519-b"))).authentic);
    // No signature covers the wrapped key: who changes it makes the image useless, not another.
    let mut bytes = bytes(name);
    *bytes.last_mut().unwrap() ^= 1;
    assert!(parsed(&bytes).unwrap().judge(Some(&key)).authentic);
}

#[test]
fn an_image_whose_encryption_contradicts_itself_is_refused() {
    let with_flags = |name: &str, flags: u32| {
        let mut bytes = bytes(name);
        bytes[16..20].copy_from_slice(&flags.to_le_bytes());
        parsed(&bytes).unwrap().encryption()
    };
    for (name, flags, expected) in [
        ("ed25519-enc-x25519", 0xC, "AES-128 and AES-256"),
        ("ed25519-enc-x25519", 0x8, "ENC_X25519 is 96 bytes long, not 80"),
        ("ed25519-enc-x25519-aes256-hmac512", 0x4, "ENC_X25519_SHA512 is 112 bytes long, not 128"),
        ("more/p256-enc-ec256", 0x8, "ENC_EC256 is 129 bytes long, not 113"),
        ("rsa2048-enc-rsa2048", 0x0, "the flags say that it is not encrypted"),
        ("p256", 0x4, "no TLV carries the key"),
    ] {
        let about = with_flags(name, flags).unwrap();
        assert!(about.contradictions.iter().any(|why| why.contains(expected)), "{name}: {about:?}");
    }
    // The hash of its key under the number of ENC_X25519.
    let mut twice = bytes("ed25519-enc-x25519");
    let key_hash = twice.windows(4).rposition(|head| head == [0x01, 0, 32, 0]).unwrap();
    twice[key_hash] = 0x33;
    let about = parsed(&twice).unwrap().encryption().unwrap();
    assert!(about.contradictions.contains(&"it carries 2 wrapped keys; one is expected".to_owned()), "{about:?}");
    assert_eq!(with_flags("rsa2048-enc-rsa2048", 0x8).unwrap().contradictions, Vec::<String>::new());
    assert_eq!(with_flags("p256", 0), None);
}

#[test]
fn a_hex_file_of_an_image_keeps_its_trailer_apart_and_is_verified() {
    let map = Map::from_hex(&vector("mcuboot/ed25519-hex.hex")).unwrap();
    let [(_, Ok(image))] = &mcuboot::all(&map)[..] else { panic!() };
    assert!(image.judge(Some(&any_key("ed25519-a"))).authentic);
    let trailer = image.trailer.unwrap();
    assert_eq!((trailer.slot_end, trailer.image_ok, trailer.alignment), (u64::from(image.at) + 0x8000, Flag::Set, 8));
    assert_eq!(trailer.warning(), None);
}

#[test]
fn a_padded_image_that_is_not_confirmed_is_warned_about() {
    let trailer = image("ed25519-pad").trailer.unwrap();
    assert_eq!(trailer.image_ok, Flag::Unset);
    assert!(trailer.warning().unwrap().contains("--confirm"));
    assert_eq!(image("ed25519-confirm").trailer.unwrap().warning(), None);
    let wide = image("more/p256-confirm-align16").trailer.unwrap();
    assert_eq!((wide.alignment, wide.image_ok, wide.warning()), (16, Flag::Set, None));
    let mut damaged = bytes("ed25519-confirm");
    let image_ok = damaged.len() - 24;
    damaged[image_ok] = 0x55;
    let trailer = parsed(&damaged).unwrap().trailer.unwrap();
    assert_eq!(trailer.image_ok, Flag::Bad);
    assert!(trailer.warning().is_some());
    let mut strange = bytes("more/p256-confirm-align16");
    let magic = strange.len() - 16;
    strange[magic] = 0x40;
    assert!(parsed(&strange).unwrap().trailer.unwrap().warning().unwrap().contains("write size"));
}

#[test]
fn the_trailer_of_the_next_slot_is_not_this_images() {
    let two = [&bytes("p256")[..], &vec![0xFF; 0x8000 - 1688], &bytes("ed25519-confirm")].concat();
    let map = raw(AT, &two);
    let images: Vec<Image> = mcuboot::all(&map).into_iter().map(|(_, found)| found.unwrap()).collect();
    assert_eq!((images[0].trailer, images.len()), (None, 2));
    assert_eq!(images[1].trailer.unwrap().slot_end, u64::from(AT) + 0x1_0000);
}

#[test]
fn what_the_protected_entries_say_is_said_in_words() {
    let image = image("more/p256-protected");
    let words = image.explain(Some(&any_key("p256-a"))).to_string();
    for expected in [
        "security counter 7",
        "needs image 1 in version 1.2.3+0",
        "type SPE, version 1.2.3, signer",
        "measured with SHA256, measurement left to the bootloader",
        "vendor cfbff0d1-9375-5685-968c-48ce8b15ae17",
        "whose meaning only the vendor knows: 0102",
        "hash fits; signature fits the key",
    ] {
        assert!(words.contains(expected), "{expected}\n{words}");
    }
    assert_eq!(image.security_counter(), Some(7));
    let [needs] = image.dependencies()[..] else { panic!() };
    assert_eq!((needs.image, needs.at_least.to_string()), (1, "1.2.3+0".to_owned()));
    assert!(self::image("more/p256-lzma2").explain(None).to_string().contains("1024 bytes after decompression"));
}

#[test]
fn a_security_counter_over_16_bits_is_refused_where_counters_have_16() {
    let auto = image("ed25519-seccnt-auto");
    assert_eq!(auto.security_counter(), Some(0x0102_0003));
    assert!(auto.counter_too_large().unwrap().contains("at most 65535"));
    assert!(auto.explain(None).warnings().iter().any(|why| why.contains("16-bit")));
    assert_eq!(image("ed25519-seccnt5").counter_too_large(), None);
}

#[test]
fn the_key_that_an_image_names_is_the_one_imgtool_gives_out() {
    for name in ["p256", "ed25519", "rsa2048"] {
        let key = any_key(&format!("{name}-a"));
        assert_eq!(key.mcuboot_encoding(), vector(&format!("mcuboot/{name}-a.getpub.raw")).bytes);
        assert_eq!(image(name).key_hash_bytes().unwrap(), vector(&format!("mcuboot/{name}-a.getpubhash.raw")).bytes);
    }
    assert_eq!(image("more/rsa2048-pubkey-full").public_key().unwrap(), any_key("rsa2048-a").mcuboot_encoding());
}

/// The TLVs of an image outside the protected area, changed, and put back with a right total.
fn with_tlvs(name: &str, change: impl Fn(&mut Vec<(u16, Vec<u8>)>)) -> Image {
    let image = image(name);
    let mut tlvs: Vec<(u16, Vec<u8>)> =
        image.tlvs.iter().filter(|tlv| !tlv.protected).map(|tlv| (tlv.kind, tlv.data.clone())).collect();
    let length: usize = tlvs.iter().map(|(_, data)| data.len() + 4).sum::<usize>() + 4;
    let mut bytes = bytes(name)[..usize::try_from(image.end - AT).unwrap() - length].to_vec();
    change(&mut tlvs);
    let body: Vec<u8> = tlvs
        .iter()
        .flat_map(|(kind, data)| {
            [&kind.to_le_bytes()[..], &u16::try_from(data.len()).unwrap().to_le_bytes(), data].concat()
        })
        .collect();
    bytes.extend(0x6907u16.to_le_bytes());
    bytes.extend(u16::try_from(body.len() + 4).unwrap().to_le_bytes());
    bytes.extend(body);
    parsed(&bytes).unwrap()
}

#[test]
fn each_way_to_bend_the_entries_is_refused_for_its_own_reason() {
    type Change = fn(&mut Vec<(u16, Vec<u8>)>);
    let cases: &[(&str, &str, Change, &str)] = &[
        ("p256", "p256-a", |_| (), ""),
        ("p256", "p256-a", |tlvs| drop(tlvs.remove(0)), "hash-missing"),
        ("p256", "p256-a", |tlvs| tlvs.push(tlvs[0].clone()), "hash-twice"),
        ("p256", "p256-a", |tlvs| tlvs.push(tlvs[2].clone()), "signature-twice"),
        ("p256", "p256-a", |tlvs| drop(tlvs.remove(2)), "signature-missing"),
        ("p256", "p256-a", |tlvs| drop(tlvs.remove(1)), "key-unnamed"),
        ("p256", "p256-a", |tlvs| tlvs.swap(1, 2), "key-after-signature"),
        ("p256", "p256-a", |tlvs| tlvs.insert(1, (0x25, vec![1])), "pure-with-hashing-key"),
        ("ed25519", "ed25519-a", |tlvs| tlvs.rotate_left(1), "hash-after-signature"),
        ("p256", "p256-a", |tlvs| tlvs[1].1.truncate(31), "tlv-length"),
        ("p256", "p256-a", |tlvs| tlvs[1].1[0] ^= 1, "key-other"),
        ("p256", "p256-a", |tlvs| tlvs[2].1.push(1), "signature-trailing"),
        ("p256", "p256-a", |tlvs| tlvs[2].1.extend([0; 3]), "signature-trailing"),
        ("p256", "p256-a", |tlvs| tlvs[2].1[20] ^= 1, "signature-wrong"),
        ("p256", "p256-a", |tlvs| tlvs[2].0 = 0x0122, "tlv-unprotected"),
        ("p256", "p256-a", |tlvs| tlvs.push((0x00A0, vec![1])), "tlv-unprotected"),
        ("p256", "p256-a", |tlvs| tlvs.push((0x50, vec![9, 0, 0, 0])), "tlv-unprotected"),
        ("more/ed25519-pure", "ed25519-a", |tlvs| tlvs[1].1 = vec![2], "pure-not-one"),
        ("more/ed25519-pure", "ed25519-a", |tlvs| drop(tlvs.remove(1)), "signature-wrong"),
        ("ed25519", "ed25519-a", |tlvs| tlvs.insert(1, (0x25, vec![1])), "signature-wrong"),
    ];
    for (name, key, change, expected) in cases {
        let verdict = with_tlvs(name, change).judge(Some(&any_key(key)));
        if expected.is_empty() {
            assert!(verdict.authentic, "{name}: {verdict:?}");
        } else {
            assert!(!verdict.authentic && codes(&verdict).contains(expected), "{expected}: {verdict:?}");
        }
    }
}

#[test]
fn a_pure_signature_needs_no_hash_and_a_hash_beside_it_must_fit() {
    let key = any_key("ed25519-a");
    let bare = with_tlvs("more/ed25519-pure", |tlvs| drop(tlvs.remove(0))).judge(Some(&key));
    assert_eq!((bare.hash, bare.authentic), (HashState::NotNeeded, true), "{bare:?}");
    let wrong = with_tlvs("more/ed25519-pure", |tlvs| tlvs[0].1[0] ^= 1).judge(Some(&key));
    assert_eq!((wrong.hash, wrong.authentic), (HashState::DoesNotFit, false));
}

#[test]
fn a_hash_that_no_bootloader_of_the_key_computes_is_refused() {
    let wider = with_tlvs("p256", |tlvs| {
        let covered = &bytes("p256")[..0x600];
        tlvs[0] = (0x12, Hash::Sha512.of(covered));
        tlvs[1].1 = any_key("p256-a").key_hash(Hash::Sha512);
    });
    let verdict = wider.judge(Some(&any_key("p256-a")));
    assert_eq!((verdict.hash, codes(&verdict)), (HashState::Fits, vec!["hash-kind"]));
}

#[test]
fn lengths_that_lie_stop_with_their_address_and_take_no_memory() {
    for (name, at, lie, expected) in [
        ("p256", 12, &[0xFF; 4][..], "its lengths of 4294967807 bytes together run past the end of memory"),
        ("p256", 12, &[0, 0, 0, 0x40], "the program of 1073741824 bytes is cut off"),
        ("p256", 0x602, &[0, 0], "at 0x0000C600: the TLVs, 0 bytes with their head, are cut off"),
        ("p256", 0x602, &[0xFF, 0xFF], "at 0x0000C600: the TLVs, 65535 bytes with their head, are cut off"),
        ("p256", 0x606, &[0xFF, 0xFF], "at 0x0000C604: a TLV of 65535 bytes runs past the end of its area"),
        ("more/p256-protected", 10, &[0xFF, 0xFF], "the header says 65535"),
        ("more/p256-protected", 0x602, &[3, 0], "at 0x0000C600: the TLVs, 3 bytes"),
        ("more/p256-protected", 10, &[0, 0], "0x6908 stands where the TLVs should begin with 0x6907"),
    ] {
        let mut image = bytes(name);
        image[at..at + lie.len()].copy_from_slice(lie);
        let problem = parsed(&image).unwrap_err();
        assert!(problem.what.contains(expected), "{problem}, expected {expected}");
    }
    let near_the_end = Map::from_raw(&file::Read::from_memory("a.bin", bytes("p256")), 0xFFFF_F000).unwrap();
    let mut lies = bytes("p256");
    lies[12..16].copy_from_slice(&0xE00u32.to_le_bytes());
    let map = Map::from_raw(&file::Read::from_memory("a.bin", lies), 0xFFFF_F000).unwrap();
    assert!(mcuboot::read(&near_the_end, 0xFFFF_F000).is_ok());
    assert!(mcuboot::read(&map, 0xFFFF_F000).unwrap_err().what.contains("past the end of memory"));
}

#[test]
fn every_cut_of_an_image_is_an_error_with_words() {
    let whole = bytes("more/p256-protected");
    for length in 1..whole.len() {
        let problem = parsed(&whole[..length]).unwrap_err();
        assert!(problem.what.starts_with("no MCUboot image at 0x0000C000: "), "{problem}");
    }
}

#[test]
fn images_inside_images_are_not_hashed_again() {
    let outer_size = 0x9000u32;
    let mut nested = vec![0xFFu8; 0x200];
    nested.extend(vec![0xFF; outer_size as usize]);
    let header = |size: u32| {
        let mut header = bytes("p256")[..32].to_vec();
        header[12..16].copy_from_slice(&size.to_le_bytes());
        header
    };
    nested[..32].copy_from_slice(&header(outer_size));
    nested[0x1000..0x1020].copy_from_slice(&header(outer_size - 0x1000));
    nested.extend([0x07, 0x69, 4, 0]);
    let map = raw(AT, &nested);
    assert_eq!(mcuboot::all(&map).len(), 1);
    assert!(mcuboot::read(&map, AT + 0x1000).is_ok(), "on its own it is one");
}

#[test]
fn more_entries_or_images_than_any_tool_writes_are_refused() {
    let many = |count: usize| {
        let mut bytes = bytes("p256")[..0x600].to_vec();
        bytes.extend([0x07, 0x69]);
        bytes.extend(u16::try_from(count * 4 + 4).unwrap().to_le_bytes());
        bytes.extend([0x10, 0, 0, 0].repeat(count));
        parsed(&bytes)
    };
    assert_eq!(many(64).unwrap().tlvs.len(), 64);
    assert!(many(65).unwrap_err().what.contains("more than 64 TLVs"));
    let mut page = bytes("p256");
    page.resize(0x1000, 0xFF);
    assert_eq!(mcuboot::all(&raw(AT, &page.repeat(64))).len(), 64);
    let found = mcuboot::all(&raw(AT, &page.repeat(70)));
    assert_eq!(found.len(), 65);
    assert!(found[64].1.as_ref().unwrap_err().what.contains("more than 64 places"));
}

#[test]
fn a_boot_record_that_is_no_cbor_is_described_as_far_as_it_can_be() {
    for (data, expected) in [
        (&[0xA1, 0x01, 0x63, b'S', b'P', b'E'][..], "type SPE"),
        (&[0xA1, 0x07, 0x42, 1, 2], "entry 7 0102"),
        (&[0xBB, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], "no CBOR map"),
        (&[0xA1, 0x01, 0x7A, 0xFF, 0xFF, 0xFF, 0xFF], "no CBOR map"),
        (&[0xA1, 0x01], "no CBOR map"),
        (&[], "no CBOR map"),
        (&[0xA0, 0x00], "no CBOR map"),
    ] {
        let tlv = Tlv { at: 0, kind: 0x60, protected: true, data: data.to_vec() };
        assert!(tlv.meaning().contains(expected), "{data:02x?}: {}", tlv.meaning());
    }
}

#[test]
fn a_manifest_names_the_hashes_it_holds_or_says_that_it_does_not_fit() {
    let manifest = |format: u32, count: u32, hashes: usize| {
        let data = [&format.to_le_bytes()[..], &count.to_le_bytes(), &vec![7; hashes]].concat();
        Tlv { at: 0, kind: 0x76, protected: true, data }.meaning()
    };
    assert!(manifest(1, 3, 64).contains("the 2 other images by hashes of 32 bytes"), "{}", manifest(1, 3, 64));
    for (format, count, hashes) in [(2, 3, 64), (1, 0, 0), (1, 3, 63), (1, u32::MAX, 64)] {
        assert!(manifest(format, count, hashes).contains("does not fit"), "{format} {count} {hashes}");
    }
}

proptest! {
    #[test]
    fn no_change_to_an_image_makes_the_readers_panic_or_believe_it(
        which in 0..SIGNED.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (name, right, _) = SIGNED[which];
        let good = bytes(name);
        let end = usize::try_from(image(name).end - AT).unwrap();
        let mut changed = good.clone();
        for (index, value) in &edits {
            changed[index.index(end)] = *value;
        }
        if let Some(cut) = cut {
            changed.truncate(cut.index(end).max(1));
        }
        let map = raw(AT, &changed);
        for found in mcuboot::all(&map).into_iter().filter_map(|(_, found)| found.ok()) {
            let _ = found.explain(Some(&any_key(right))).to_string();
            let same = changed.get(..end) == good.get(..end);
            prop_assert!(same || !found.judge(Some(&any_key(right))).authentic, "{}", name);
        }
    }
}

#[test]
fn an_image_of_a_published_key_is_refused_however_it_names_the_key() {
    let list = RefuseList::built_in().unwrap();
    assert_eq!(image("p256").refused_by(&list), None);
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("keys-public/known-development-keys.json"),
    );
    let keys: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let known = keys["keys"].as_array().unwrap().iter();
    let spki = known
        .filter_map(|key| bytes_from_hex(key["spki_der_hex"].as_str()?))
        .find_map(|der| AnyKey::from_spki(&der).ok());
    let key = spki.unwrap();
    for hash in Hash::ALL {
        let named = with_tlvs("p256", |tlvs| tlvs[1].1 = key.key_hash(hash));
        assert_eq!(named.refused_by(&list).unwrap().spki_sha256, key.spki_sha256(), "{hash}");
    }
    let carried = with_tlvs("p256", |tlvs| tlvs[1] = (0x02, key.mcuboot_encoding().to_vec()));
    assert_eq!(carried.refused_by(&list).unwrap().spki_sha256, key.spki_sha256());
}
