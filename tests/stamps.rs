//! What a recipe makes from its own words: provision data, key slots, the boot region; as Nordic's tools make it, and
//! refused where no board should get it.

use proptest::prelude::*;
use rootstamp::{
    ident::{Digest, Mode},
    image::{
        Map,
        bootconf::BootConf,
        kmu::Source,
        nsib::{Generation, Head},
    },
    keys::Algorithm,
    plan,
    recipe::{Image, Is, Made, Product},
};

use crate::{
    crosscheck::{
        among, chain, firmware, key, nsib, provision, published, read, refused, rooted, slots, three, told, vector,
    },
    recipe::{APPLICATION, Application, BOOTLOADER, Lot, as_hex, development_key, embedded, spki, vectors},
};

const FW_INFO: [u8; 12] = [0xde, 0xe6, 0x1e, 0x28, 0x4c, 0xbb, 0xce, 0x8f, 0x10, 0x10, 0x00, 0x00];

/// NSIB as a bootloader with tokens of its generation is built.
fn b0(at: u32, indexed: bool) -> Vec<u8> {
    let token = if indexed { 0x50FA_FFFFu32.to_le_bytes().to_vec() } else { Vec::new() };
    as_hex(at, &[vectors(at), FW_INFO.to_vec(), token, b"Firmware signature verified".to_vec()].concat())
}

/// A program that NSIB starts, signed with a key of either kind.
fn program(at: u32, signer: &str) -> Vec<u8> {
    if key(signer).algorithm() == Algorithm::P256 {
        return firmware(at, 1, signer);
    }
    let mut signed = firmware(at, 1, "p256-a");
    let pem = String::from_utf8(vector(&format!("keys/{signer}.priv.pem"))).unwrap();
    let der = p256::pkcs8::Document::from_pem(&pem).unwrap().1;
    let pair = ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.as_bytes()).unwrap();
    let signature = pair.sign(&signed[..0x248]).as_ref().to_vec();
    let end = signed.len();
    signed[end - 64..].copy_from_slice(&signature);
    signed
}

/// A product that NSIB starts, whose storage comes from its words alone.
#[derive(Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) chip: &'static str,
    pub(crate) format: &'static str,
    /// Address of NSIB itself.
    pub(crate) b0: u32,
    pub(crate) s0: u32,
    /// Names of the keys in the storage; the first one signs.
    pub(crate) keys: &'static [&'static str],
    pub(crate) signer: &'static str,
    /// The rest of [stamp.nsib].
    pub(crate) words: &'static str,
    /// Further tables.
    pub(crate) more: &'static str,
}

pub(crate) const NRF52840: Stored = Stored {
    chip: "nRF52840",
    format: "sdk-nrf-2026-05",
    b0: 0,
    s0: 0xA000,
    keys: &["p256-a"],
    signer: "p256-a",
    words: "at = 0x9000\ns1 = 0x18000",
    more: "",
};

const NRF54L15: Stored = Stored {
    chip: "nRF54L15",
    s0: 0x9000,
    keys: &["ed25519-a"],
    signer: "ed25519-a",
    words: "at = 0xFFD500\ns1 = 0x15000\ncounters = { nsib = 20 }",
    ..NRF52840
};

pub(crate) const HEAD: &str = "schema = 1\nproduct = \"T1\"\ntitle = \"Stamps\"\narrives = \"blank\"\nserial = { pattern = \"T1-[0-9]{5}\" }\n\
    silicon = { ships = \"closed\" }\n";

fn keys(names: &[&str]) -> String {
    let one =
        |name: &&str| format!("[key.{name}]\nfile = \"{name}.pem\"\nspki_sha256 = \"{}\"\n", key(name).spki_sha256());
    names.iter().map(one).collect()
}

pub(crate) fn image(name: &str, file: &str, bytes: &[u8], more: &str) -> String {
    format!("[[image]]\nname = \"{name}\"\nfile = \"{file}\"\nsha256 = \"{}\"\n{more}\n", Digest::of(bytes))
}

impl Stored {
    pub(crate) fn lot(&self) -> Lot {
        let indexed = self.format.parse::<Generation>().is_ok_and(Generation::has_indexed_tokens);
        let (b0, app) = (b0(self.b0, indexed), as_hex(self.s0, &program(self.s0, self.signer)));
        let names: Vec<&str> = self.keys.iter().chain([&self.signer]).copied().collect();
        let named: std::collections::BTreeSet<&str> = names.into_iter().collect();
        let named: Vec<&str> = named.into_iter().collect();
        let quoted: Vec<String> = self.keys.iter().map(|name| format!("\"{name}\"")).collect();
        let recipe = [
            HEAD,
            &format!("chip = \"{}\"\n", self.chip),
            &keys(&named),
            &image("b0", "b0.hex", &b0, "is = \"nsib\""),
            &image("program", "app.hex", &app, &format!("is = \"raw\"\nsigned = \"{}\"", self.signer)),
            &format!("[stamp.nsib]\nformat = \"{}\"\nkeys = [{}]\n", self.format, quoted.join(", ")),
            &format!("s0 = {}\n{}\n", self.s0, self.words),
            self.more,
            "[lock]\napprotect = true\n",
        ]
        .concat();
        let mut files: std::collections::HashMap<String, Vec<u8>> =
            named.iter().map(|name| (format!("{name}.pem"), vector(&format!("keys/{name}.pub.pem")))).collect();
        files.extend([("b0.hex".to_owned(), b0), ("app.hex".to_owned(), app)]);
        Lot { recipe, files }
    }
}

fn storage(product: &Product) -> &Image {
    product.images.iter().find(|image| image.made == Some(Made::NsibStorage)).unwrap()
}

fn bytes(map: &Map) -> (u32, &[u8]) {
    assert_eq!(map.segments().len(), 1);
    (map.first(), &map.segments()[0].bytes)
}

/// What comes out is what Nordic's script wrote, at its place.
fn comes_out(lot: &Lot, name: &str) {
    let product = read(lot);
    let theirs = Map::from_hex(&rootstamp::file::Read::from_memory("p.hex", provision(name))).unwrap();
    assert_eq!(bytes(&storage(&product).map), bytes(&theirs), "{name}");
}

const SLOTS: &str = "[[stamp.kmu]]\nboot = \"nsib\"\nkeys = [{ key = \"ed25519-a\", policy = \"revokable\" }]\n";

#[test]
fn what_a_recipe_says_becomes_what_nordics_script_writes_byte_for_byte() {
    let nrf5340 = Stored { chip: "nRF5340", s0: 0x10000, ..NRF52840 };
    let hist = Stored {
        keys: &["p256-a", "p256-b"],
        words: "at = 0x9000\ns1 = 0x18000\ncounters = { nsib = 20 }",
        ..NRF52840
    };
    let rows = [
        ("nrf52840-1key", NRF52840),
        ("nrf52840-3keys", Stored { keys: &["p256-a", "p256-b", "p256-c"], ..NRF52840 }),
        (
            "nrf52840-1key-ver20-mcuboot30",
            Stored { words: "at = 0x9000\ns1 = 0x18000\ncounters = { nsib = 20, mcuboot = 30 }", ..NRF52840 },
        ),
        (
            "nrf5340app-psa-ref",
            Stored {
                words: "at = 0xFF8100\ns1 = 0x1C000\ncounters = { nsib = 20 }\nreference = \"1234567890123-12345\"",
                ..nrf5340
            },
        ),
        (
            "nrf5340net-1key-ver20",
            Stored { b0: 0x0100_0000, s0: 0x0100_8800, words: "at = 0x01008580\ncounters = { nsib = 20 }", ..nrf5340 },
        ),
        (
            "nrf9160-1key-ver20",
            Stored { chip: "nRF9160", words: "at = 0xFF8108\ns1 = 0x1C000\ncounters = { nsib = 20 }", ..nrf5340 },
        ),
        (
            "nrf9160-psa-ref-only",
            Stored { chip: "nRF9160", words: "at = 0xFF8108\ns1 = 0x1C000\nreference = \"0604565272829\"", ..nrf5340 },
        ),
        ("nrf54l15-1ed25519-ver20-w4", NRF54L15),
        (
            "nrf54l15-0keys-ver20-w4",
            Stored {
                keys: &[],
                words: "at = 0xFFD500\ns1 = 0x15000\nwrite_width = 4\nsize = 0x460\ncounters = { nsib = 20 }",
                more: SLOTS,
                ..NRF54L15
            },
        ),
        ("hist-2020-02-ncs1.2", Stored { format: "ncs-2.1", ..hist }),
        ("hist-2022-12-ncs2.2", Stored { format: "ncs-2.2", ..hist }),
        (
            "hist-2024-06-ncs2.7",
            Stored {
                format: "ncs-2.7",
                words: "at = 0x9000\ns1 = 0x18000\ncounters = { nsib = 20, mcuboot = 30 }",
                ..hist
            },
        ),
    ];
    for (name, stored) in rows {
        comes_out(&stored.lot(), name);
    }
}

#[test]
fn storage_without_a_second_slot_and_without_keys_is_made_where_key_slots_hold_them() {
    let stored = Stored { keys: &[], signer: "ed25519-a", words: "at = 0x9000", more: SLOTS, ..NRF52840 };
    comes_out(&stored.lot(), "nrf52840-s0only-0keys");
    let notes = read(&stored.lot()).remarks;
    assert!(notes.iter().any(|note| note.contains("the key is in the KMU")), "{notes:?}");
}

#[test]
fn every_generation_that_an_nrf52840_can_have_is_made_and_planned() {
    for generation in Generation::ALL {
        let product = read(&Stored { format: generation.name(), ..NRF52840 }.lot());
        let made = storage(&product).provision.as_ref().unwrap();
        assert!(made.told.may_be.contains(&generation), "{generation}: {:?}", made.told);
        let token = made.content.keys()[0].token;
        assert_eq!(token, if generation.has_indexed_tokens() { 0x50FA_FFFF } else { u32::MAX }, "{generation}");
        let first = if generation.has_life_cycle() { 0x9028 } else { 0x9000 };
        let lot = plan::lot(product).unwrap_or_else(|problems| panic!("{generation}: {problems:#?}"));
        let region = lot.golden.regions.iter().find(|region| region.name == "nsib-storage").unwrap();
        assert_eq!((region.at, region.bytes.len()), (first, 12 + 20), "{generation}");
        assert_eq!(lot.product.nsib.unwrap().generation, generation);
    }
}

/// MCUboot without NSIB, which counts in that bootloader's storage.
pub(crate) fn alone(chip: &str, words: &str) -> Lot {
    let mut lot = embedded(&spki("p256-a")).with("nRF52840", chip);
    let (start, end) = (lot.recipe.find("[stamp.counter]").unwrap(), lot.recipe.find("[stamp.serial]").unwrap());
    let stamp = format!("[stamp.nsib]\nformat = \"sdk-nrf-2026-05\"\nmcuboot_only = true\n{words}\n");
    lot.recipe.replace_range(start..end, &stamp);
    lot
}

#[test]
fn a_counter_for_mcuboot_alone_is_what_nordics_script_writes() {
    let nrf5340 = alone("nRF5340", "at = 0xFF8100\ncounters = { mcuboot = 30 }");
    comes_out(&nrf5340, "mcuboot-only-5340-30");
    assert!(read(&nrf5340).remarks.iter().any(|remark| remark.contains("DECOMMISSIONED")));
    comes_out(&alone("nRF54L15", "at = 0xFFD500\ncounters = { mcuboot = 30 }"), "mcuboot-only-54l-w4-30");
    let nrf52840 = read(&alone("nRF52840", "at = 0x9000\ncounters = { mcuboot = 30 }"));
    assert!(plan::lot(nrf52840).is_ok());
    told(&alone("nRF5340", "at = 0xFF8100"), &["lot.toml", "without one there is nothing to provision"]);
    let keyed = alone("nRF5340", "at = 0xFF8100\ncounters = { mcuboot = 30, nsib = 2 }\ns0 = 1\nkeys = [\"root\"]");
    assert_eq!(keyed.problems().iter().filter(|problem| problem.what.contains("`mcuboot_only`")).count(), 3);
    let counted = Application { counter: Some(65536), ..Application::good() };
    let large = alone("nRF5340", "at = 0xFF8100\ncounters = { mcuboot = 30 }")
        .with_file(APPLICATION, as_hex(0x1000, &counted.signed()));
    told(&large, &[APPLICATION, "[stamp.nsib]", "16 bits"]);
    let under = NRF52840.lot().with(
        "keys = [\"p256-a\"]\ns0 = 40960\nat = 0x9000\ns1 = 0x18000",
        "mcuboot_only = true\nat = 0x9000\ncounters = { mcuboot = 30 }",
    );
    among(&under, &["b0.hex", "[stamp.nsib]", "is NSIB, but the storage"]);
    let file = nsib(provision("nrf52840-1key")).with("[stamp.nsib]", "[stamp.nsib]\nmcuboot_only = true");
    among(&file, &["lot.toml", "provision.hex", "is provision data for NSIB"]);
}

#[test]
fn storage_that_no_bootloader_reads_as_it_is_meant_is_not_made() {
    let with = |words: &'static str| Stored { words, ..NRF52840 }.lot();
    told(&with("s1 = 0x18000"), &["lot.toml", "no [[image]] has is = \"nsib-provision\"", "no `at`"]);
    told(&with("at = 0x9001"), &["lot.toml", "0x00009001", "a page of flash"]);
    told(&with("at = 0xFFD500"), &["lot.toml", "0x00FFD500 on nRF52840"]);
    told(&with("at = 0x9000\nsize = 0x2000"), &["lot.toml", "at most 4096"]);
    told(&with("at = 0x9000\nsize = 0x30"), &["lot.toml", "does not fit", "of 48 bytes"]);
    told(&with("at = 0x9000\nwrite_width = 4"), &["lot.toml", "`write_width` is 4", "takes 2 bytes"]);
    told(&with("at = 0x9000\ns1 = 0x18001"), &["lot.toml", "0x00018001 is no address of a slot"]);
    told(&with("at = 0x9000\ncounters = { nsib = 3 }"), &["lot.toml", "3 slots", "must be even"]);
    told(&with("at = 0x9000\ncounters = { nsib = 65536 }"), &["lot.toml", "65536 slots"]);
    told(&with("at = 0x9000\nreference = \"12345678901234567890\""), &["lot.toml", "20 characters; at most 19"]);
    told(&NRF52840.lot().with("s0 = 40960\n", ""), &["lot.toml", "`s0`"]);
    let before = |format, words| Stored { format, words, ..NRF52840 }.lot();
    told(&before("ncs-2.9", "at = 0x9000\nreference = \"1\""), &["ncs-2.9 has no PSA certification reference"]);
    told(&before("ncs-2.2", "at = 0x9000\ncounters = { mcuboot = 2 }"), &["ncs-2.2 has no counter for MCUboot"]);
    told(&before("ncs-2.8", "at = 0x9000"), &["lot.toml", "did you mean"]);
    let unknown = Stored { chip: "nRF51822", ..NRF52840 }.lot();
    told(&unknown, &["lot.toml", "nothing is known of NSIB's storage on nRF51822"]);
    let other = |chip| Stored { chip, words: "at = 0x00FF8104", ..NRF52840 }.lot();
    told(&other("nRF5340"), &["lot.toml", "0x00FF8100", "0x01008580"]);
    told(&Stored { words: "at = 0xFFD504", ..NRF54L15 }.lot(), &["lot.toml", "0x00FFD500"]);
}

#[test]
fn the_geometry_that_its_own_firmware_misreads_is_not_made() {
    let keys = Stored { keys: &["p256-a"], signer: "p256-a", ..NRF54L15 };
    told(&Stored { format: "ncs-2.9", ..keys }.lot(), &["lot.toml", "misread"]);
    told(
        &Stored { format: "ncs-2.7", ..keys }.lot(),
        &["lot.toml", "knows no memory that is written a word at a time"],
    );
}

#[test]
fn keys_that_no_bootloader_takes_are_not_put_into_storage() {
    let of = |keys, signer| Stored { keys, signer, ..NRF52840 }.lot();
    told(&of(&["p256-ffff"], "p256-ffff"), &["lot.toml", "p256-ffff.pem", "holds 0xFFFF"]);
    told(&of(&["p256-a", "p256-a"], "p256-a"), &["lot.toml", "p256-a.pem", "are the same key"]);
    told(&of(&["p256-a", "p384-a"], "p256-a"), &["lot.toml", "p384-a.pem", "does not know"]);
    told(
        &Stored { format: "ncs-2.7", keys: &["p256-a", "ed25519-a"], ..NRF52840 }.lot(),
        &["ed25519-a.pem", "ncs-2.7"],
    );
    told(&of(&["p256-b"], "p256-a"), &["app.hex", "[stamp.nsib]", "not among the valid keys"]);
    told(&NRF52840.lot().with("keys = [\"p256-a\"]", "keys = [\"p256\"]"), &["lot.toml", "did you mean `p256-a`?"]);
    among(&NRF52840.lot().with("keys = [\"p256-a\"]\n", ""), &["lot.toml", "[stamp.nsib] needs `keys`"]);
}

#[test]
fn a_published_key_is_refused_in_storage_that_is_made() {
    let mut lot = NRF52840.lot();
    let development = rootstamp::keys::AnyKey::from_spki(&development_key()).unwrap();
    lot = lot.with(&key("p256-a").spki_sha256().to_string(), &development.spki_sha256().to_string());
    lot.files.insert("p256-a.pem".to_owned(), development_key());
    refused(&lot, &["lot.toml", "it trusts a published development key"]);
}

#[test]
fn what_storage_starts_and_what_stands_in_it_are_looked_at_before_it_is_made() {
    let elsewhere = NRF52840.lot().with("s0 = 40960", "s0 = 0xB000");
    told(&elsewhere, &["lot.toml", "no image stands at a slot of `[stamp.nsib]`"]);
    let other = NRF52840.lot().with_file("app.hex", as_hex(0xA000, &firmware(0xA000, 1, "p256-b")));
    told(&other, &["app.hex", "not made by that key"]);
    let late = Stored { words: "at = 0x9000\ncounters = { nsib = 2 }", ..NRF52840 }.lot();
    let late = late.with_file("app.hex", as_hex(0xA000, &firmware(0xA000, 0x8000, "p256-a")));
    told(&late, &["app.hex", "[stamp.nsib]", "more than the counter can hold"]);
    let old = Stored { format: "ncs-2.4", ..NRF52840 }.lot().with_file("b0.hex", b0(0, true));
    among(&old, &["b0.hex", "ncs-2.4"]);
    let data = as_hex(0x9400, &[0; 16]);
    let inside =
        NRF52840.lot().with("[stamp.nsib]", &format!("{}[stamp.nsib]", image("d", "d.hex", &data, "is = \"raw\"")));
    told(&inside.with_file("d.hex", data), &["d.hex", "lot.toml", "0x00009400 belongs to NSIB's storage"]);
    let data = as_hex(0x9028, &[0; 16]);
    let over =
        NRF52840.lot().with("[stamp.nsib]", &format!("{}[stamp.nsib]", image("d", "d.hex", &data, "is = \"raw\"")));
    told(&over.with_file("d.hex", data), &["d.hex", "[stamp.nsib]", "0x00009028 also belongs"]);
}

/// With a file beside the words.
fn with_file(stored: Stored, file: Vec<u8>) -> Lot {
    let mut lot = stored.lot();
    let image = image("storage", "provision.hex", &file, "is = \"nsib-provision\"");
    lot = lot.with("[stamp.nsib]", &format!("{image}[stamp.nsib]"));
    lot.files.insert("provision.hex".to_owned(), file);
    lot
}

#[test]
fn a_file_beside_the_words_says_the_same_to_the_byte() {
    let product = read(&with_file(NRF52840, provision("nrf52840-1key")));
    assert!(product.images.iter().all(|image| image.made.is_none()), "the file is what is flashed");
    let spare = Stored { keys: &["p256-a", "p256-b", "p256-c"], ..NRF52840 };
    let other = with_file(Stored { keys: &["p256-a", "p256-c", "p256-b"], ..NRF52840 }, provision("nrf52840-3keys"));
    let problem =
        among(&other, &["provision.hex", "lot.toml", "is not what [stamp.nsib] makes", "at 0x0000904C it has 0x"]);
    assert!(problem.line.is_some());
    assert!(with_file(spare, provision("nrf52840-3keys")).read_as(None).is_ok());
    let moved = with_file(Stored { words: "at = 0x8000\ns1 = 0x18000", ..NRF52840 }, provision("nrf52840-1key"));
    told(&moved, &["provision.hex", "lot.toml", "it begins at 0x00009028, the words make data for 0x00008028"]);
    let referred = Stored { words: "at = 0x9000\ns1 = 0x18000\nreference = \"1\"", ..NRF52840 };
    among(
        &with_file(referred, provision("nrf52840-1key")),
        &["provision.hex", "lot.toml", "at 0x00009048 it has 0xFF, the words make 0x12"],
    );
    among(&with_file(referred, provision("nrf52840-1key")), &["lot.toml", "`reference` is 1", "holds none"]);
    let sized = Stored { words: "s1 = 0x18000\nsize = 0x1000\nwrite_width = 2", ..NRF52840 };
    let problems = with_file(sized, provision("nrf52840-1key")).problems();
    assert_eq!(problems.iter().filter(|problem| problem.what.contains("say `at` too")).count(), 2, "{problems:#?}");
}

#[test]
fn storage_that_is_made_needs_no_release_to_vouch_for_it() {
    let made = read(&NRF52840.lot());
    let [b0, program, storage] = &made.images[..] else { panic!("{:?}", made.images) };
    assert_eq!((b0.is, program.is, storage.is), (Is::Nsib, Is::Raw, Is::NsibProvision));
    let Head::Nsib { s0, s1, keys } = &storage.provision.as_ref().unwrap().content.head else { panic!() };
    assert_eq!((*s0, *s1, keys.len()), (0xA000, 0x18000, 1));
    let changed = read(&NRF52840.lot().with("s1 = 0x18000", "s1 = 0x19000"));
    assert_ne!(made.digest, changed.digest);
    let named = NRF52840.lot().with("name = \"program\"", "name = \"nsib-storage\"");
    told(&named, &["lot.toml", "`nsib-storage` is what the image made at lot.toml:"]);
}

// Key slots.

/// The slots of three keys, without a key file.
fn filled() -> Lot {
    slots(three()).with("file = \"kmu.json\"\n", "")
}

#[test]
fn key_slots_are_filled_as_nordics_tool_and_the_documentation_have_it() {
    let product = read(&filled());
    let [made] = &product.slots[..] else { panic!("{:?}", product.slots) };
    assert_eq!(made.file, "[[stamp.kmu]]");
    assert_eq!(made.digest, Digest::of(&three()), "the file that west writes for the same keys");
    let numbers: Vec<u8> = made.sources.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(numbers, [242, 243, 244, 245, 246, 247]);
    for (slot, name) in [(242, "a"), (243, "a"), (244, "b"), (245, "b")] {
        let theirs = vector(&format!("kmu/src-ed25519-{name}-revokable-slot{slot}.bin"));
        let ours = made.sources.iter().find(|(number, _)| *number == slot).map(|(_, source)| source.encode().to_vec());
        assert_eq!(ours, Some(theirs), "{slot}");
    }
    let before = read(
        &filled().with(">=3.2.0", "<3.2.0").with("\"root\", policy = \"revokable\"", "\"root\", policy = \"locked\""),
    );
    let first: Vec<Vec<u8>> =
        before.slots[0].sources.iter().take(2).map(|(_, source)| source.encode().to_vec()).collect();
    let locked = |slot: u8| vector(&format!("kmu/src-ed25519-a-urot-locked-slot{slot}.bin"));
    assert_eq!(first, [locked(226), locked(227)]);
    assert!(read(&slots(three())).slots[0].sources.is_empty(), "a key file is handed over as it is");
}

#[test]
fn one_remark_says_which_slots_would_be_filled_with_what() {
    let product = read(&filled());
    let remarks: Vec<&String> = product.remarks.iter().filter(|remark| remark.contains("slots")).collect();
    let [remark] = &remarks[..] else { panic!("{remarks:?}") };
    for part in [
        "242 to 243: `root` (../../keys-public/gw3-root.pem), Ed25519 public key, revokable;",
        "244 to 245: `ed25519-b`",
        "246 to 247: `ed25519-c`",
        "revokable",
    ] {
        assert!(remark.contains(part), "{part}: {remark}");
    }
    assert!(!remark.contains("derived"), "{remark}");
    let rotating = read(&filled().with("\"root\", policy = \"revokable\"", "\"root\", policy = \"rotating\""));
    assert!(rotating.remarks.iter().any(|remark| remark.contains("derived, not published")), "{:?}", rotating.remarks);
}

#[test]
fn a_chip_without_key_slots_gets_none_whether_made_or_read() {
    let problems = plan::lot(read(&filled())).map(|lot| lot.golden.digest).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].what.contains("nRF52840 has no key management unit"), "{}", problems[0]);
}

#[test]
fn a_key_that_fills_no_slot_is_told_where_the_recipe_names_it() {
    let p384 =
        format!("[key.p384-a]\nfile = \"p384-a.pem\"\nspki_sha256 = \"{}\"\n[uicr]", key("p384-a").spki_sha256());
    let mut lot = filled().with("[uicr]", &p384).with("{ key = \"ed25519-b\"", "{ key = \"p384-a\"");
    lot.files.insert("p384-a.pem".to_owned(), vector("keys/p384-a.pub.pem"));
    told(&lot, &["lot.toml", "p384-a.pem", "which no slot holds"]);
    let fourth = "{ key = \"ed25519-c\", policy = \"revokable\" }, { key = \"root\", policy = \"locked\" }]";
    let four = "{ key = \"ed25519-c\", policy = \"revokable\" }]";
    told(&filled().with(four, fourth), &["lot.toml", "no slot is left for it"]);
    told(&slots(three()).with(four, fourth), &["lot.toml", "no slot is left for it"]);
    told(&filled().with("{ key = \"ed25519-b\"", "{ key = \"ed25519-d\""), &["lot.toml", "did you mean `ed25519-"]);
    let from = filled().recipe.find("keys = [{").unwrap();
    let mut none = filled();
    none.recipe.replace_range(from..from + none.recipe[from..].find('\n').unwrap(), "keys = []");
    among(&none, &["lot.toml", "`keys` names no key"]);
}

/// MCUboot with one or two P-256 keys in slots.
fn p256(more: &str) -> Lot {
    let lot = rooted(embedded(&[]), "p256-a").with("\"embedded\"", "\"kmu\"");
    let key = format!("[key.b]\nfile = \"b.pem\"\nspki_sha256 = \"{}\"\n[uicr]", key("p256-b").spki_sha256());
    let stamp = format!(
        "[[stamp.kmu]]\nboot = \"mcuboot\"\nsdk = \">=3.2.0\"\nkeys = [{{ key = \"root\", policy = \"locked\" }}{more}]\n[lock]"
    );
    let mut lot = lot.with("[uicr]", &key).with("[lock]", &stamp);
    lot.files.insert("b.pem".to_owned(), vector("keys/p256-b.pub.pem"));
    lot
}

#[test]
fn a_p256_key_takes_four_slots_and_leaves_no_room_for_a_second() {
    let product = read(&p256(""));
    let sources: &[(u8, Source)] = &product.slots[0].sources;
    assert_eq!(sources.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [242, 243, 244, 245]);
    let value: Vec<u8> = sources.iter().flat_map(|(_, source)| source.value).collect();
    assert_eq!(value, key("p256-a").raw());
    told(&p256(", { key = \"b\", policy = \"locked\" }"), &["lot.toml", "slot 244 would be taken by two keys"]);
    let third = ", { key = \"b\", policy = \"locked\" }, { key = \"b\", policy = \"locked\" }";
    among(&p256(third), &["lot.toml", "b.pem", "would take slot 248", "protected RAM"]);
}

#[test]
fn two_tables_do_not_fill_one_slot_and_a_bootloader_needs_its_own() {
    let second = "[[stamp.kmu]]\nboot = \"nsib\"\nkeys = [{ key = \"root\", policy = \"locked\" }]\n\n[lock]";
    told(&filled().with("[lock]", second), &["lot.toml", "slot 242 is filled by the [[stamp.kmu]] of lot.toml:"]);
    told(&slots(three()).with("[lock]", second), &["lot.toml", "slot 242 is filled"]);
    let third = second.replace("nsib", "mcuboot-under-nsib");
    assert!(filled().with("[lock]", &third).read_as(None).is_ok(), "226 and on are free");
}

#[test]
fn a_published_key_is_refused_in_slots_that_are_made() {
    let development = published("ed25519");
    let mut lot = filled().with(&key("ed25519-c").spki_sha256().to_string(), &development.spki_sha256().to_string());
    lot.files.insert("ed25519-c.pem".to_owned(), development.spki().to_vec());
    refused(&lot, &["lot.toml", "[[stamp.kmu]]", "slot 246", "published development key"]);
    assert!(lot.read_as(Some(Mode::Engineering)).is_ok());
}

#[test]
fn an_application_that_no_made_slot_verifies_names_itself_and_the_words() {
    let lot = filled().with("{ key = \"root\", policy = \"revokable\" }, ", "");
    told(&lot, &[APPLICATION, "lot.toml", "gw3-root.pem", "[[stamp.kmu]]"]);
}

// The boot region.

/// MCUboot of one KiB on a chip that can make it immutable.
pub(crate) fn region(chip: &str, kib: &str) -> Lot {
    let mut lot = embedded(&spki("p256-a")).with("nRF52840", chip);
    let program = [&vectors(0), &rootstamp::image::mcuboot::MAGIC.to_le_bytes()[..], &spki("p256-a")].concat();
    let long = [program, vec![0; 0x400]].concat();
    lot = lot.with_file(BOOTLOADER, as_hex(0, &long[..0x400]));
    lot.with("[stamp.serial]", &format!("[stamp.bootconf]\nprotect_kib = {kib}\n[stamp.serial]"))
}

#[test]
fn the_word_for_a_boot_region_is_that_of_nordics_script() {
    let far = Application { at: 0x8000, program: vectors(0x8020), ..Application::good() };
    for (chip, kib, name) in [
        ("nRF54L15", "30", "nrf54l15-0x7800"),
        ("nRF54LM20A", "30", "nrf54lm20a-0x7800"),
        ("nRF54LS05B", "30", "nrf54ls05b-0x7800"),
    ] {
        let lot = region(chip, kib).with_file(APPLICATION, as_hex(0x8000, &far.signed()));
        let product = read(&lot);
        let made = product.boot_region.clone().unwrap();
        let theirs =
            Map::from_hex(&rootstamp::file::Read::from_memory("b.hex", vector(&format!("bootconf/{name}.hex"))));
        assert_eq!(made.word, BootConf::read(&theirs.unwrap()).unwrap().word, "{name}");
        assert_eq!((made.at, made.kib), (0x00FF_D080, 30));
        assert!(product.remarks.iter().any(|remark| remark.contains("only ERASEALL")), "{:?}", product.remarks);
    }
}

#[test]
fn a_chip_without_a_boot_region_says_what_it_has_instead() {
    for (chip, instead) in [("nRF52840", "ACL"), ("nRF52832", "BPROT"), ("nRF5340", "SPU"), ("nRF9160", "SPU")] {
        told(&region(chip, "1"), &["lot.toml", chip, "only nRF54L has it", instead]);
    }
    told(&region("nRF54H20", "1"), &["lot.toml", "is not known of nRF54H20"]);
    let mut product = read(&region("nRF54L15", "1"));
    product.chip.value = "nRF52840".to_owned();
    let problems = plan::lot(product).map(|lot| lot.golden.digest).unwrap_err();
    assert!(problems.iter().any(|problem| problem.what.contains("nRF52840 has no BOOTCONF")), "{problems:#?}");
}

#[test]
fn a_boot_region_holds_all_of_the_bootloader_and_nothing_else() {
    assert!(region("nRF54L15", "4").read_as(None).is_ok(), "the application begins right behind it");
    told(&region("nRF54L15", "5"), &["lot.toml", APPLICATION, "begins at 0x00001000", "could never be updated"]);
    let long = region("nRF54L15", "1").with_file(BOOTLOADER, {
        let program = [&vectors(0), &rootstamp::image::mcuboot::MAGIC.to_le_bytes()[..], &spki("p256-a")].concat();
        as_hex(0, &[program, vec![0; 0x400]].concat())
    });
    told(&long, &["lot.toml", BOOTLOADER, "only 0x400 bytes become immutable", "stay writable"]);
    told(&region("nRF54L15", "32"), &["lot.toml", "32 KiB are more than an nRF54L05, L10 or L15 can protect, 31"]);
    told(&region("nRF54L15", "4294967295"), &["lot.toml", "`protect_kib`"]);
    told(&region("nRF54L15", "0"), &["lot.toml", "`protect_kib`: 0 bytes"]);
    among(
        &region("nRF54L15", "1").with("protect_kib = 1\n", ""),
        &["lot.toml", "[stamp.bootconf] needs `protect_kib`"],
    );
    let moved = region("nRF54L15", "1");
    let file = moved.files[BOOTLOADER].clone();
    let higher = Map::from_hex(&rootstamp::file::Read::from_memory("b.hex", file)).unwrap();
    let mut bytes = higher.segments()[0].bytes.clone();
    bytes[..8].copy_from_slice(&vectors(0x20000)[..8]);
    told(&moved.with_file(BOOTLOADER, as_hex(0x20000, &bytes)), &["lot.toml", "no image begins at 0x00000000"]);
}

#[test]
fn a_file_that_holds_another_word_for_the_boot_region_is_told() {
    let lot = |word: &[u8]| {
        let file = as_hex(0x00FF_D080, word);
        let image = image("conf", "conf.hex", &file, "is = \"raw\"");
        let mut lot = region("nRF54L15", "1").with("[uicr]", &format!("{image}[uicr]"));
        lot.files.insert("conf.hex".to_owned(), file);
        lot
    };
    assert!(lot(&0x0001_200Du32.to_le_bytes()).read_as(None).is_ok());
    let other =
        told(&lot(&0x001E_200Du32.to_le_bytes()), &["conf.hex", "lot.toml", "holds 0x001E200D", "makes 0x0001200D"]);
    assert_eq!(other.line, Some(2));
    told(&lot(&[0x0D, 0x20, 0x01]), &["conf.hex", "lot.toml", "a part of it"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_numbers_make_the_making_panic_and_what_is_made_is_read_as_it_was_meant(
        chip in prop::sample::select(&["nRF52840", "nRF5340", "nRF9160", "nRF54L15", "nRF", "ÿ"][..]),
        format in prop::sample::select(Generation::ALL.map(Generation::name).to_vec()),
        at in prop_oneof![Just(0x9000), Just(0x00FF_8100), Just(0x00FF_8108), Just(0x00FF_D500), any::<u32>()],
        size in prop::option::of(prop_oneof![0u32..0x1100, any::<u32>()]),
        s1 in prop::option::of(any::<u32>()),
        slots in prop::option::of(prop_oneof![0u32..300, any::<u32>()]),
        width in prop::option::of(0u32..6),
        reference in prop::option::of("[ -~]{0,22}"),
        kib in prop_oneof![0u32..40, any::<u32>()],
    ) {
        let number = |word: &str, value: Option<u32>| value.map(|value| format!("{word} = {value}\n")).unwrap_or_default();
        let quoted = reference.map(|text| format!("reference = '{}'\n", text.replace('\'', "-"))).unwrap_or_default();
        let counters = slots.map(|slots| format!("counters = {{ nsib = {slots} }}\n")).unwrap_or_default();
        let words = [format!("at = {at}\n"), number("size", size), number("s1", s1), number("write_width", width), quoted, counters];
        let mut lot = Stored { words: "", ..NRF52840 }.lot().with("nRF52840", chip).with("sdk-nrf-2026-05", format);
        lot = lot.with("s0 = 40960\n", &format!("s0 = 40960\n{}", words.concat()));
        lot = lot.with("[lock]", &format!("[stamp.bootconf]\nprotect_kib = {kib}\n[[stamp.kmu]]\nboot = \"nsib\"\nkeys = []\n[lock]"));
        prop_assert!(!lot.problems().is_empty());
        let (start, end) = (lot.recipe.find("[stamp.bootconf]").unwrap(), lot.recipe.find("[lock]").unwrap());
        lot.recipe.replace_range(start..end, "");
        if let Ok(product) = lot.read_as(None) {
            let made = storage(&product).provision.as_ref().unwrap();
            prop_assert!(made.told.may_be.iter().any(|generation| generation.name() == format));
            prop_assert_eq!(made.base, Some(at));
            let boots = plan::lot(product).map(|lot| plan::would_boot(&lot.product, &lot.golden));
            prop_assert!(chip != "nRF52840" || boots.as_ref().is_ok_and(Vec::is_empty), "{:?}", boots);
        }
    }
}

#[test]
fn signed_is_said_of_no_bytes_whose_signature_nobody_looks_at() {
    let data = vec![0x5A; 4096];
    let words = "is = \"raw\"\nat = 0x80000\nsigned = \"p256-a\"";
    let beside = |lot: Lot| {
        let mut lot = lot.with("[stamp.nsib]", &format!("{}[stamp.nsib]", image("data", "data.bin", &data, words)));
        lot.files.insert("data.bin".to_owned(), data.clone());
        lot
    };
    let told = |lot: &Lot, expected: &str| {
        let problems = lot.problems();
        let hit = problems.iter().find(|problem| problem.what.contains(expected));
        let problem = hit.unwrap_or_else(|| panic!("{problems:#?}"));
        assert_eq!(problem.line, Some(lot.line_of("at = 0x80000") + 1), "{problem}");
    };
    told(&beside(NRF52840.lot()), "begins at 0x00080000, at no slot that NSIB's storage names");
    // MCUboot counts in such a storage, and nobody starts anything out of it.
    let alone = "[stamp.nsib]\nformat = \"ncs-3.0\"\nat = 0x9000\nmcuboot_only = true\ncounters = { mcuboot = 20 }\n";
    told(
        &beside(chain("p256-a").with("[uicr]", &format!("{alone}[uicr]")))
            .with("signed = \"p256-a\"", "signed = \"root\""),
        "`signed` is said of an image that MCUboot starts",
    );
}

#[test]
fn bytes_beside_firmware_that_nsib_starts_are_refused_for_its_signature_does_not_cover_them() {
    let end = ":00000001FF\n";
    let app = String::from_utf8(as_hex(NRF52840.s0, &program(NRF52840.s0, NRF52840.signer))).unwrap();
    let with = |at: u32, bytes: &[u8]| {
        let more = String::from_utf8(as_hex(at, bytes)).unwrap();
        NRF52840.lot().with_file("app.hex", (app.replace(end, "") + &more).into())
    };
    told(&with(0x1_2000, &[7; 64]), &["app.hex", "0x00012000..0x00012040", "no part of what was signed", "`program`"]);
    let behind = NRF52840.s0 + u32::try_from(program(NRF52840.s0, NRF52840.signer).len()).unwrap();
    told(
        &with(behind, &[7]),
        &["app.hex", &format!("0x{behind:08X}..0x{:08X}", behind + 1), "no part of what was signed"],
    );
    assert!(with(0x1_2000, &[0xFF; 64]).read_as(None).is_ok(), "as erased flash is");
}
