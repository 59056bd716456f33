//! Storage, immutable bootloader and what that starts, held against each other and the recipe.

use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    pkcs8::DecodePrivateKey as _,
};
use rootstamp::{
    file::Read,
    ident::Digest,
    image::{
        Map,
        nsib::{Content, Generation, Head, Provision, text::intel_hex},
    },
    plan,
    recipe::Is,
};

use super::{among, key, made, read, told, vector};
use crate::recipe::{Application, Lot, as_hex, vectors};

// Nordic's immutable bootloader.

const FW_INFO: [u8; 12] = [0xde, 0xe6, 0x1e, 0x28, 0x4c, 0xbb, 0xce, 0x8f, 0x10, 0x10, 0x00, 0x00];
const VALIDATION: [u8; 12] = [0xde, 0xe6, 0x1e, 0x28, 0x83, 0x84, 0x51, 0x86, 0x10, 0x10, 0x00, 0x00];
const TOKEN: [u8; 4] = 0x50FA_FFFFu32.to_le_bytes();

/// A program that NSIB starts, signed.
pub(crate) fn firmware(at: u32, version: u32, signer: &str) -> Vec<u8> {
    signed(at, &program(at, version, &[0; 12]), signer)
}

/// A program that describes itself to NSIB at offset 0x200, with these bytes at 0x23C.
pub(crate) fn program(at: u32, version: u32, inside: &[u8]) -> Vec<u8> {
    let length = u32::try_from(0x23C + inside.len()).unwrap();
    let info: Vec<u8> =
        [60, length, version, at, at, 0x9102_FFFF].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    [vectors(at), vec![0; 0x1F0], FW_INFO.to_vec(), info, vec![0; 24], inside.to_vec()].concat()
}

/// With what NSIB looks for behind it.
pub(crate) fn signed(at: u32, program: &[u8], signer: &str) -> Vec<u8> {
    let pem = String::from_utf8(vector(&format!("keys/{signer}.priv.pem"))).unwrap();
    let hash = Digest::of(program);
    let signature: Signature = SigningKey::from_pkcs8_pem(&pem).unwrap().sign_prehash(&Digest::of(&hash.0).0).unwrap();
    let public = key(signer);
    let behind = [&VALIDATION[..], &at.to_le_bytes(), &hash.0, public.raw(), &signature.to_bytes()[..]];
    [program, &behind.concat()].concat()
}

fn b0() -> Vec<u8> {
    as_hex(0, &[vectors(0), FW_INFO.to_vec(), TOKEN.to_vec(), b"Firmware signature verified".to_vec()].concat())
}

const NSIB: &str = "[stamp.nsib]\nformat = \"ncs-2.7\"\ns0 = 0xA000\ns1 = 0x18000\nkeys = [\"root\"]\n\n";

/// Immutable bootloader, its storage, and one program that it starts.
pub(crate) fn nsib(provision: Vec<u8>) -> Lot {
    let image = |name: &str, file: &str, bytes: &[u8], more: &str| {
        format!("[[image]]\nname = \"{name}\"\nfile = \"{file}\"\nsha256 = \"{}\"\n{more}\n\n", Digest::of(bytes))
    };
    let (b0, app) = (b0(), as_hex(0xA000, &firmware(0xA000, 1, "p256-a")));
    let images = [
        image("b0", "b0.hex", &b0, "is = \"nsib\""),
        image("storage", "provision.hex", &provision, "is = \"nsib-provision\""),
        image("program", "app.hex", &app, "is = \"raw\"\nsigned = \"root\""),
    ]
    .concat();
    let mut lot = Lot::good();
    let text = std::mem::take(&mut lot.recipe);
    let cut = |from: &str| text.find(from).unwrap();
    let (start, settings, stamps, serial) =
        (cut("[[image]]"), cut("[uicr]"), cut("[stamp.key_hash]"), cut("[stamp.serial]"));
    lot.recipe = [&text[..start], &images, &text[settings..stamps], NSIB, &text[serial..]].concat();
    lot.files.extend(
        [("b0.hex", b0), ("provision.hex", provision), ("app.hex", app)].map(|(name, bytes)| (name.to_owned(), bytes)),
    );
    lot
}

pub(crate) fn provision(name: &str) -> Vec<u8> {
    vector(&format!("nsib/{name}.hex"))
}

#[test]
fn storage_bootloader_program_and_recipe_that_agree_are_whole_and_planned() {
    let product = read(&nsib(provision("nrf52840-1key")));
    assert_eq!(product.images.iter().map(|image| image.is).collect::<Vec<_>>(), [Is::Nsib, Is::NsibProvision, Is::Raw]);
    let lot = plan::lot(product).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(lot.golden.regions.iter().map(|region| region.at).collect::<Vec<_>>(), [0, 0x9028, 0xA000]);
}

#[test]
fn provision_data_with_other_keys_than_the_recipe_names_both() {
    let other = made(&[Generation::Ncs2_7.hash(&key("p256-b")).unwrap()]);
    let problem = among(&nsib(other.clone()), &["provision.hex", "lot.toml", "gw3-root.pem", "key 0", "0x00009034"]);
    assert_eq!(problem.file, "provision.hex");
    assert!(problem.line.is_some());
    among(&nsib(other), &["app.hex", "provision.hex", "not among the valid keys"]);
    told(&nsib(provision("nrf52840-3keys")), &["lot.toml", "provision.hex", "names 1", "holds 3"]);
    let twice = nsib(provision("nrf52840-1key")).with("keys = [\"root\"]", "keys = [\"rot\"]");
    among(&twice, &["did you mean `root`?"]);
}

#[test]
fn a_stored_hash_that_the_bootloader_takes_for_erased_is_told_with_its_address() {
    let file = Read::from_memory("p.hex", provision("nrf52840-1key"));
    let map = Map::from_hex(&file).unwrap();
    let mut bytes = map.segments()[0].bytes.clone();
    // Behind two slots, the number of keys and the token of the first.
    bytes[12 + 4 + 6..12 + 4 + 8].fill(0xFF);
    let lot = nsib(as_hex(map.first(), &bytes));
    let problem = among(&lot, &["provision.hex", "the hash of key 0 holds 0xFFFF at byte 6", "0x00009034"]);
    assert!(problem.line.is_some(), "{problem}");
}

#[test]
fn keys_in_another_order_are_told_one_by_one() {
    let extra =
        |name: &str| format!("[key.{name}]\nfile = \"{name}.pem\"\nspki_sha256 = \"{}\"\n", key(name).spki_sha256());
    let of = |keys: &str| {
        let text = format!("{}{}[[image]]", extra("p256-b"), extra("p256-c"));
        let mut lot = nsib(provision("nrf52840-3keys")).with("[[image]]", &text).with("keys = [\"root\"]", keys);
        for name in ["p256-b", "p256-c"] {
            lot.files.insert(format!("{name}.pem"), vector(&format!("keys/{name}.pub.pem")));
        }
        lot
    };
    assert!(of("keys = [\"root\", \"p256-b\", \"p256-c\"]").read_as(None).is_ok());
    let swapped = of("keys = [\"root\", \"p256-c\", \"p256-b\"]");
    assert_eq!(swapped.problems().len(), 2);
    among(&swapped, &["provision.hex", "key 1 is", "p256-c.pem"]);
}

#[test]
fn provision_data_of_another_generation_than_the_bootloader_is_refused() {
    let lot = nsib(provision("nrf52840-1key")).with("ncs-2.7", "ncs-2.4");
    among(&lot, &["lot.toml", "provision.hex", "b0.hex", "ncs-2.4"]);
    among(&lot, &["b0.hex", "compares with 0x50FAFFFF"]);
    told(&nsib(provision("nrf52840-1key")).with("ncs-2.7", "ncs-2.8"), &["did you mean"]);
    let old = nsib(provision("hist-2022-12-ncs2.2"));
    among(&old, &["provision.hex", "b0.hex", "stop at the first key's validity token"]);
}

#[test]
fn slots_and_counters_that_differ_name_both_files() {
    told(
        &nsib(provision("nrf52840-1key")).with("s0 = 0xA000", "s0 = 0xB000"),
        &["lot.toml", "provision.hex", "0x0000B000"],
    );
    told(&nsib(provision("nrf52840-1key")).with("s1 = 0x18000", "s1 = 0x19000"), &["lot.toml", "provision.hex"]);
    let counted = || nsib(provision("nrf52840-1key-ver20-mcuboot30"));
    among(&counted(), &["lot.toml", "provision.hex", "counter of NSIB has 0 slots here, and 20"]);
    let agreed = counted().with("keys = [\"root\"]", "keys = [\"root\"]\ncounters = { nsib = 20, mcuboot = 30 }");
    let product = read(&agreed);
    assert!(
        product.remarks.iter().any(|remark| remark.contains("stores 3 in NSIB's counter")),
        "{:?}",
        product.remarks
    );
    told(&agreed.with("nsib = 20", "nsib = 40"), &["lot.toml", "provision.hex", "40 slots here, and 20"]);
}

#[test]
fn a_counter_that_was_used_is_not_that_of_a_fresh_board() {
    let map = Map::from_hex(&Read::from_memory("p.hex", provision("nrf52840-1key-ver20-mcuboot30"))).unwrap();
    let mut read = Provision::read(&map).unwrap();
    read.content.counters[0].written.as_mut().unwrap()[0] = 0x1234;
    let used = intel_hex(read.at, &read.content.encode(read.width)).into_bytes();
    let lot = nsib(used).with("keys = [\"root\"]", "keys = [\"root\"]\ncounters = { nsib = 20, mcuboot = 30 }");
    among(&lot, &["provision.hex", "used slots"]);
}

#[test]
fn a_program_that_the_storage_would_not_start_names_both_files() {
    let with = |bytes: Vec<u8>, at: u32| nsib(provision("nrf52840-1key")).with_file("app.hex", as_hex(at, &bytes));
    told(&with(firmware(0xA000, 1, "p256-b"), 0xA000), &["app.hex", "gw3-root.pem", "not made by that key"]);
    told(&with(firmware(0xB000, 1, "p256-a"), 0xB000), &["lot.toml", "provision.hex", "no image stands at a slot"]);
    told(&with(firmware(0xB000, 1, "p256-a"), 0xA000), &["app.hex", "provision.hex", "no firmware info"]);
    told(&with(program(0xA000, 1, &[0; 12]), 0xA000), &["app.hex", "no signature"]);
    let unnamed = nsib(provision("nrf52840-1key")).with("signed = \"root\"", "");
    told(&unnamed, &["lot.toml", "`signed` names the key"]);
    let counted = nsib(provision("nrf52840-1key-ver20-mcuboot30"))
        .with("keys = [\"root\"]", "keys = [\"root\"]\ncounters = { nsib = 20, mcuboot = 30 }")
        .with_file("app.hex", as_hex(0xA000, &firmware(0xA000, 0x8000, "p256-a")));
    told(&counted, &["app.hex", "provision.hex", "more than the counter can hold"]);
}

#[test]
fn a_security_counter_of_more_than_16_bits_is_refused_where_the_storage_counts() {
    let lot = |counter: u32| {
        let application = as_hex(
            0x20000,
            &Application { at: 0x20000, program: vectors(0x20020), counter: Some(counter), ..Application::good() }
                .signed(),
        );
        let image = format!(
            "[[image]]\nname = \"app\"\nfile = \"a.hex\"\nsha256 = \"{}\"\nis = \"mcuboot-image\"\nsigned = \"root\"\n\n[uicr]",
            Digest::of(&application)
        );
        let mut lot = nsib(provision("nrf52840-1key-ver20-mcuboot30"))
            .with("keys = [\"root\"]", "keys = [\"root\"]\ncounters = { nsib = 20, mcuboot = 30 }")
            .with("[uicr]", &image);
        lot.files.insert("a.hex".to_owned(), application);
        lot
    };
    assert!(lot(65535).read_as(None).is_ok());
    told(&lot(65536), &["a.hex", "provision.hex", "16 bits"]);
}

#[test]
fn what_is_said_of_storage_needs_a_file_and_a_file_needs_to_be_spoken_of() {
    let good = || nsib(provision("nrf52840-1key"));
    let unsaid = good().with(NSIB, "");
    among(&unsaid, &["lot.toml", "needs [stamp.nsib]"]);
    told(
        &good().with("is = \"nsib-provision\"", "is = \"raw\""),
        &["lot.toml", "no [[image]] has is = \"nsib-provision\""],
    );
    told(&good().with_file("b0.hex", as_hex(0, &[vectors(0), vec![0; 64]].concat())), &["b0.hex", "cannot be shown"]);
    told(&nsib(provision("mcuboot-only-5340-30")), &["lot.toml", "provision.hex", "MCUboot alone, without NSIB"]);
}

#[test]
fn provision_data_is_read_as_it_is_meant() {
    let product = read(&nsib(provision("nrf52840-1key")));
    let Content { head, .. } = &product.images[1].provision.as_ref().unwrap().content;
    assert!(matches!(head, Head::Nsib { s0: 0xA000, s1: 0x18000, keys } if keys.len() == 1), "{head:?}");
}
