//! Planned states that would not boot: for every reason there is one that shows it, chain by chain.

use std::sync::Arc;

use rootstamp::{
    file::Read,
    ident::hex,
    image::{
        dfu::{crc32, patch::PLACEHOLDER, settings},
        mcuboot,
    },
    keys::P256_SPKI_HEAD,
    plan::{self, Golden, Lot as Planned},
    recipe::{Inside, Product},
    session::news::Verdict,
    virtual_board::{Latch, Silicon, Slot, lock},
};

use crate::{
    crosscheck::{chain, key, program, read, signed, vector},
    line::{Line, virgin},
    recipe::{APPLICATION, Application, BOOTLOADER, Lot, as_hex, bootloader_with, spki, vectors},
    stamps::{HEAD, NRF52840, Stored, alone, image},
};

fn planned(lot: &Lot) -> Planned {
    plan::lot(read(lot)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A plan with something wrong in it, and what is told of that.
fn no(lot: &Planned, spoil: impl Fn(&mut Product, &mut Golden), names: &[&str]) {
    let (mut product, mut golden) = (lot.product.clone(), lot.golden.clone());
    assert_eq!(plan::would_boot(&product, &golden), Vec::new());
    spoil(&mut product, &mut golden);
    let problems = plan::would_boot(&product, &golden);
    let hit = |told: &String| names.iter().all(|name| told.contains(name));
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(hit), "{names:?}: {told:#?}");
}

/// What cannot be told of a plan, which is no reason against it.
fn undecided(lot: &Planned, spoil: impl Fn(&mut Product, &mut Golden), names: &[&str]) {
    let (mut product, mut golden) = (lot.product.clone(), lot.golden.clone());
    spoil(&mut product, &mut golden);
    let boots = plan::boots(&product, &golden);
    assert_eq!(boots.no, Vec::new());
    let hit = |told: &String| names.iter().all(|name| told.contains(name));
    assert!(boots.undecided.iter().any(hit), "{names:?}: {:#?}", boots.undecided);
}

/// Exactly this is open of a plan, and everybody is told so once.
fn open(lot: &Planned, sentences: &[&[&str]]) {
    let boots = plan::boots(&lot.product, &lot.golden);
    assert_eq!((boots.no, boots.undecided.len()), (Vec::new(), sentences.len()), "{:#?}", boots.undecided);
    for parts in sentences {
        let hit = |told: &&String| parts.iter().all(|part| told.contains(part));
        assert_eq!(boots.undecided.iter().filter(hit).count(), 1, "{parts:?}: {:#?}", boots.undecided);
    }
}

/// Other bytes in planned flash.
fn put(golden: &mut Golden, at: u32, bytes: &[u8]) {
    let holds = |region: &&mut plan::Region| region.at <= at && ((at - region.at) as usize) < region.bytes.len();
    let region = golden.regions.iter_mut().find(holds).unwrap();
    let from = (at - region.at) as usize;
    region.bytes[from..from + bytes.len()].copy_from_slice(bytes);
}

fn word(golden: &mut Golden, at: u32, word: u32) {
    put(golden, at, &word.to_le_bytes());
}

fn without(golden: &mut Golden, name: &str) {
    let before = golden.regions.len();
    golden.regions.retain(|region| !region.name.starts_with(name));
    assert!(golden.regions.len() < before, "{name}");
}

// MCUboot with its keys inside.

#[test]
fn an_image_that_no_key_in_the_planned_bootloader_signed_would_not_boot() {
    let lot = planned(&chain("p256-a"));
    let other = spki("p256-b");
    no(
        &lot,
        |_, golden| put(golden, 0x14, &other),
        &[APPLICATION, "the key in the planned", BOOTLOADER, "did not make"],
    );
    no(&lot, |_, golden| put(golden, 0x14 + 40, &[0; 8]), &[APPLICATION, "no key stands in the planned", BOOTLOADER]);
    no(&lot, |_, golden| put(golden, 0x1000 + 40, &[9]), &[APPLICATION, "hash does not fit"]);
    no(&lot, |_, golden| put(golden, 0x1000, &[0; 4]), &[APPLICATION, "would not boot"]);
    no(&lot, |_, golden| put(golden, 0x1020 + 4, &[0; 4]), &[APPLICATION, "even"]);
    no(&lot, |_, golden| without(golden, "application"), &[APPLICATION, "not in the plan"]);
    no(&lot, |_, golden| put(golden, 4, &[0; 4]), &["even"]);
    no(&lot, |_, golden| without(golden, "bootloader"), &[BOOTLOADER, "not in the plan"]);
    let counter = |golden: &mut Golden| {
        golden.words.iter_mut().find(|word| word.name == "counter[1]").unwrap().value = !9;
    };
    no(&lot, |_, golden| counter(golden), &[APPLICATION, "lot.toml", "it is 9"]);
    let two = bootloader_with(&[spki("p256-a"), spki("p256-b")].concat()).files[BOOTLOADER].clone();
    let both = format!("[key.b]\nfile = \"b.pem\"\nspki_sha256 = \"{}\"\n[uicr]", key("p256-b").spki_sha256());
    let mut lot =
        chain("p256-a").with_file(BOOTLOADER, two).with("[uicr]", &both).with("[\"root\"]", "[\"root\", \"b\"]");
    lot.files.insert("b.pem".to_owned(), vector("keys/p256-b.pub.pem"));
    let length = u32::try_from(Application::by("p256-a").signed().len()).unwrap();
    let last = 0x1000 + length - 4;
    no(&planned(&lot), |_, golden| put(golden, last, &[0; 4]), &[APPLICATION, "none of the 2 keys"]);
}

#[test]
fn a_key_of_every_kind_is_found_in_the_planned_bootloader() {
    for name in ["p256-a", "p384-a", "ed25519-a", "rsa2048-a", "rsa3072-a"] {
        let lot = planned(&chain(name));
        no(&lot, |_, golden| put(golden, 0x14 + 30, &[0; 8]), &[APPLICATION, "in the planned", BOOTLOADER]);
    }
}

#[test]
fn keys_in_slots_are_never_called_right() {
    let lot = planned(&chain("ed25519-a"));
    let kmu = |product: &mut Product| product.images[0].inside = Some(Inside::Kmu);
    undecided(&lot, |product, _| kmu(product), &[BOOTLOADER, "key slots", "no plan can tell"]);
    no(&lot, |product, golden| (kmu(product), put(golden, 0x1000 + 40, &[9])).0, &[APPLICATION, "hash does not fit"]);
    let open = plan::boots(&lot.product, &lot.golden).undecided;
    assert!(open.iter().all(|open| !open.contains("key slots")), "{open:#?}");
}

#[test]
fn what_starts_a_bootloader_that_is_not_first_is_not_asked() {
    let first = as_hex(0, &vectors(0));
    let moved = [&vectors(0x8000), &mcuboot::MAGIC.to_le_bytes()[..], &spki("p256-a")].concat();
    let higher = Application { at: 0x10000, program: vectors(0x10020), ..Application::by("p256-a") };
    let lot = chain("p256-a")
        .with_file(BOOTLOADER, as_hex(0x8000, &moved))
        .with_file(APPLICATION, as_hex(0x10000, &higher.signed()))
        .with("[uicr]", &format!("{}[uicr]", image("first", "first.hex", &first, "is = \"raw\"")))
        .with_file("first.hex", first);
    let lot = planned(&lot);
    undecided(&lot, |_, _| (), &[BOOTLOADER, "0x00008000", "was not asked"]);
    assert!(lot.product.remarks.iter().any(|remark| remark.contains("was not asked")), "{:?}", lot.product.remarks);
}

#[test]
fn a_product_without_a_bootloader_that_is_understood_is_not_said_to_boot() {
    let raw = as_hex(0, &vectors(0));
    let text =
        [HEAD, "chip = \"nRF52840\"\n", &image("raw", "raw.hex", &raw, "is = \"raw\""), "[lock]\napprotect = true\n"];
    let lot = planned(&Lot { recipe: text.concat(), files: [("raw.hex".to_owned(), raw)].into() });
    undecided(&lot, |_, _| (), &["no image is a bootloader that is understood"]);
    assert!(lot.product.remarks.iter().any(|remark| remark.contains("was not asked")), "{:?}", lot.product.remarks);
}

#[test]
fn each_units_own_key_is_asked_of_the_state_that_the_unit_gets() {
    let good = read(&Lot::good());
    let (first, second) = (good.serial.nth(1).unwrap(), good.serial.nth(2).unwrap());
    let table = format!(
        "serial,key\n{},{}\n{},{}\n",
        first.as_str(),
        hex(key("p256-a").spki()),
        second.as_str(),
        hex(key("p256-b").spki())
    );
    let place = [&P256_SPKI_HEAD[..], PLACEHOLDER].concat();
    let recipe = chain("p256-a").with("[\"root\"]", "[\"device\"]\npatch = { at = 0x14, form = \"spki\" }");
    let (start, end) = (recipe.recipe.find("[key.root]").unwrap(), recipe.recipe.find("[[image]]").unwrap());
    let mut lot = recipe.with_file(BOOTLOADER, bootloader_with(&place).files[BOOTLOADER].clone());
    lot.recipe.replace_range(start..end, "[key.device]\nselect = { by = \"serial\", table = \"table.csv\" }\n\n");
    let start = lot.recipe.find("[[image]]\nname   = \"application\"").unwrap();
    let end = lot.recipe.find("[uicr]").unwrap();
    lot.recipe.replace_range(start..end, "");
    lot.files.insert("table.csv".to_owned(), table.into_bytes());
    // No recipe can name a key for one unit's image: the image is added behind its back.
    let mut product = read(&lot);
    let shared = read(&chain("p256-a"));
    product.images.push(shared.images[1].clone());
    product.keys.extend(shared.keys);
    let lot = plan::lot(product).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(
        lot.product.remarks.iter().any(|remark| remark.contains("is asked unit by unit")),
        "{:?}",
        lot.product.remarks
    );
    let own = lot.for_unit(&first).unwrap().unwrap();
    let bytes = |lot: &Planned, image: usize| lot.product.images[image].map.segments().as_ptr();
    assert_eq!(bytes(&own, 1), bytes(&lot, 1), "what all units share is not copied for each");
    assert_ne!(bytes(&own, 0), bytes(&lot, 0));
    open(
        &own,
        &[
            &[BOOTLOADER, "where it looks for what it starts", "0x00001000 (image `application`)"],
            &[BOOTLOADER, "where it reads its counter"],
        ],
    );
    let fault = lot.for_unit(&second).err().unwrap();
    assert_eq!(fault.code, "C-142");
    let told = fault.causes.join("\n");
    assert!(told.contains(APPLICATION) && told.contains("did not make its signature"), "{told}");
}

// What no file shows, and a person has to know.

/// A bootloader that shows nothing of where it looks: one whose key hash is on the chip, and one with a key inside.
fn silent() -> [Lot; 2] {
    [bootloader_with(&[]), chain("p256-a")]
}

#[test]
fn where_a_bootloader_without_a_table_looks_is_open_and_told_once() {
    let [by_hash, inside] = silent();
    let slot = ["where it looks for what it starts", "0x00001000 (image `application`)", BOOTLOADER];
    let stamps = [BOOTLOADER, "where it reads", "the key hash, here at 0x10001080", "its counter, here at 0x100010A0"];
    open(&planned(&by_hash), &[&slot, &stamps]);
    open(&planned(&inside), &[&slot, &[BOOTLOADER, "where it reads its counter, here at 0x100010A0, only"]]);
    open(&planned(&Lot::good()), &[]);
    for lot in silent() {
        let lot = planned(&lot);
        let boots = plan::boots(&lot.product, &lot.golden);
        let times = |told: &String| lot.product.remarks.iter().filter(|remark| *remark == told).count();
        assert!(boots.undecided.iter().all(|told| times(told) == 1), "{:#?}", lot.product.remarks);
    }
}

#[test]
fn a_bootloader_that_is_given_nothing_to_start_is_not_said_to_boot() {
    for mut lot in [Lot::good(), chain("p256-a")] {
        let from = lot.recipe.find("[[image]]\nname   = \"application\"").unwrap();
        let data = image("data", "data.bin", &[7; 64], "is = \"raw\"\nat = 0x9000");
        for instead in ["", &data] {
            lot.recipe.replace_range(from..lot.recipe.find("[uicr]").unwrap(), instead);
            lot.files.insert("data.bin".to_owned(), vec![7; 64]);
            undecided(&planned(&lot), |_, _| (), &[BOOTLOADER, "nothing for", "to start"]);
        }
    }
}

#[test]
fn what_the_recipe_leaves_open_about_the_start_is_no_yes() {
    let dependent = crate::recipe::tlv(0x40, &[&[1, 0, 0, 0], &[9u8, 9, 9, 0, 0, 0, 0, 0][..]].concat());
    let dependent = Application { protected: dependent, ..Application::good() };
    let dependent = Lot::good().with_file(APPLICATION, as_hex(0x1000, &dependent.signed()));
    open(&planned(&dependent), &[&[APPLICATION, "needs image 1 in version 9.9.9", "built for one image never looks"]]);
    let magic = [Application::good().signed(), vec![0xFF; 64], mcuboot::TRAILER_MAGIC.to_vec()].concat();
    let unconfirmed = Lot::good().with_file(APPLICATION, as_hex(0x1000, &magic));
    open(&planned(&unconfirmed), &[&[APPLICATION, "not confirmed"]]);
}

// Nordic's immutable bootloader.

const STORAGE: u32 = 0x9028;
const KEY: u32 = STORAGE + 12;

#[test]
fn storage_that_would_start_nothing_is_told_from_the_planned_bytes() {
    let lot = planned(&NRF52840.lot());
    no(&lot, |_, golden| without(golden, "nsib-storage"), &["b0.hex", "no image stands", "0xFFFFFFFF"]);
    no(&lot, |_, golden| word(golden, STORAGE, 0xB000), &["b0.hex", "no image stands", "0x0000B000 or 0x00018000"]);
    no(&lot, |_, golden| word(golden, STORAGE + 8, 17), &["app.hex", "17 keys"]);
    no(&lot, |_, golden| word(golden, STORAGE + 8, 0), &["app.hex", "not among the valid keys"]);
    no(&lot, |_, golden| word(golden, KEY, 0x51FA_FFFF), &["app.hex", "neither valid nor revoked"]);
    no(&lot, |_, golden| word(golden, KEY, 0x50FA_0000), &["app.hex", "not among the valid keys"]);
    no(&lot, |_, golden| word(golden, KEY + 4, u32::MAX), &["app.hex", "holds 0xFFFF"]);
    no(&lot, |_, golden| word(golden, KEY + 4, 1), &["app.hex", "not among the valid keys"]);
    no(&lot, |_, golden| put(golden, 4, &[0; 4]), &["b0.hex", "even"]);
    no(&lot, |_, golden| without(golden, "b0"), &["b0.hex", "not in the plan"]);
    no(&lot, |product, _| product.nsib = None, &["b0.hex", "starts nothing", "[stamp.nsib]"]);
    let unknown = |product: &mut Product| product.nsib.as_mut().unwrap().base = None;
    undecided(&lot, |product, _| unknown(product), &["where NSIB's storage begins is not known"]);
    let slots = |product: &mut Product| product.nsib.as_mut().unwrap().kmu = true;
    undecided(&lot, |product, _| slots(product), &["app.hex", "key slots", "no plan can tell"]);
    let unread = |product: &mut Product| product.images.remove(0);
    undecided(&lot, |product, _| drop(unread(product)), &["no image is NSIB", "was not asked"]);
    let file = planned(&crate::crosscheck::nsib(crate::crosscheck::provision("nrf52840-1key")));
    no(&file, |_, golden| word(golden, KEY + 4, 1), &["app.hex", "not among the valid keys"]);
}

#[test]
fn firmware_that_nsib_would_not_take_is_told_from_the_planned_bytes() {
    let lot = planned(&NRF52840.lot());
    let (info, behind) = (0xA200, 0xA248);
    no(&lot, |_, golden| word(golden, 0xA008, 0), &["app.hex", "not made by that key"]);
    no(&lot, |_, golden| word(golden, 0xA004, 0), &["app.hex", "even"]);
    no(&lot, |_, golden| word(golden, info + 32, 0x9102_0000), &["app.hex", "no firmware info"]);
    no(&lot, |_, golden| word(golden, info + 16, 0x1000), &["app.hex", "has not all of the 4096 bytes"]);
    no(&lot, |_, golden| word(golden, info + 16, u32::MAX), &["app.hex", "has not all of the 4294967295 bytes"]);
    no(&lot, |_, golden| word(golden, info + 16, 0x23C), &["app.hex", "firmware info lies outside"]);
    let moved = |golden: &mut Golden| {
        let region = golden.regions.iter_mut().find(|region| region.at == 0xA000).unwrap();
        let info = region.bytes[0x200..0x23C].to_vec();
        region.bytes[0x200..0x23C].fill(0);
        region.bytes[0x100..0x13C].copy_from_slice(&info);
    };
    no(&lot, |_, golden| moved(golden), &["app.hex", "no firmware info", "0x0, 0x200, 0x400, 0x800, 0x1000"]);
    no(&lot, |_, golden| word(golden, info + 28, 0xA008), &["app.hex", "stack pointer"]);
    no(&lot, |_, golden| word(golden, behind, 0), &["app.hex", "no signature stands behind"]);
    no(&lot, |_, golden| word(golden, behind + 12, 0xB000), &["app.hex", "that of another program"]);
    no(&lot, |_, golden| word(golden, behind + 48, 0), &["app.hex", "the key behind the program is another one"]);
    no(&lot, |_, golden| word(golden, behind + 112, 0), &["app.hex", "not made by that key"]);
    no(&lot, |_, golden| without(golden, "program"), &["app.hex", "not in the plan"]);
    let unsigned = |product: &mut Product| product.images[1].signed = None;
    no(&lot, |product, _| unsigned(product), &["app.hex", "which key signed it"]);
}

#[test]
fn counters_that_stand_above_what_they_count_are_told_from_the_planned_bytes() {
    let counted = Stored { words: "at = 0x9000\ncounters = { nsib = 20 }", ..NRF52840 };
    let slot = KEY + 20 + 4 + 4;
    let used = |golden: &mut Golden| put(golden, slot, &(!(5u16 << 1 | 1)).to_le_bytes());
    no(&planned(&counted.lot()), |_, golden| used(golden), &["app.hex", "below the stored version 5"]);
    let alone = planned(&alone("nRF52840", "at = 0x9000\ncounters = { mcuboot = 30 }"));
    let slot = 0x9000 + 52 + 4 + 4;
    no(&alone, |_, golden| put(golden, slot, &(!9u16).to_le_bytes()), &[APPLICATION, "9"]);
    no(&alone, |_, golden| without(golden, "nsib-storage"), &["lot.toml", "no counter for MCUboot"]);
}

#[test]
fn what_starts_an_nsib_that_is_not_first_or_an_mcuboot_at_no_slot_of_it_was_not_asked() {
    let first = as_hex(0, &vectors(0));
    let higher = Stored { b0: 0x4000, ..NRF52840 }.lot();
    let higher = higher
        .with("[stamp.nsib]", &format!("{}[stamp.nsib]", image("first", "first.hex", &first, "is = \"raw\"")))
        .with_file("first.hex", first);
    undecided(&planned(&higher), |_, _| (), &["b0.hex", "0x00004000", "was not asked"]);

    let beside = as_hex(0x30000, &[&vectors(0x30000), &mcuboot::MAGIC.to_le_bytes()[..], &spki("p256-a")].concat());
    let words = "is = \"mcuboot\"\nkeys = \"embedded\"\ntrusts = [\"p256-a\"]";
    let beside = NRF52840
        .lot()
        .with("[stamp.nsib]", &format!("{}[stamp.nsib]", image("beside", "beside.hex", &beside, words)))
        .with_file("beside.hex", beside);
    undecided(&planned(&beside), |_, _| (), &["beside.hex", "0x00030000", "was not asked"]);
    let unknown = |product: &mut Product| product.nsib.as_mut().unwrap().base = None;
    undecided(&planned(&three_stages()), |product, _| unknown(product), &["app.hex", "0x0000A000", "was not asked"]);
}

#[test]
fn where_a_bootloader_looks_and_what_it_counts_is_read_from_the_planned_bytes() {
    let lot = planned(&Lot::good());
    no(&lot, |_, golden| word(golden, 0x84, 0x8000), &[APPLICATION, BOOTLOADER, "looks at 0x00008000"]);
    no(&lot, |_, golden| word(golden, 0x88, 0x1000_1084), &["lot.toml", BOOTLOADER, "reads it at 0x10001084"]);
    no(&lot, |_, golden| word(golden, 0x90, 3), &["lot.toml", BOOTLOADER, "reads 3 from"]);

    let lot = planned(&three_stages());
    // Behind header, program, and the heads of the protected area and of its one entry.
    let counter = 0x20000 + 32 + 16 + 8;
    no(&lot, |_, golden| word(golden, counter, 0x1_0000), &["third.hex", "65536 does not fit the 16 bits"]);
    no(&lot, |_, golden| put(golden, counter - 4, &[0x51]), &["third.hex", "no security counter that MCUboot reads"]);
}

/// NSIB, MCUboot with its key inside as its firmware, and an application; NSIB's storage counts for both.
pub(crate) fn three_stages() -> Lot {
    three_stages_with(&[0])
}

/// With these bytes behind the key of the second stage.
fn three_stages_with(behind: &[u8]) -> Lot {
    let inside = [&mcuboot::MAGIC.to_le_bytes()[..], &spki("p256-a"), behind].concat();
    let second = as_hex(0xA000, &signed(0xA000, &program(0xA000, 1, &inside), "p256-a"));
    let third = Application { at: 0x20000, program: vectors(0x20020), ..Application::good() };
    let third = as_hex(0x20000, &third.signed());
    let stored = Stored { words: "at = 0x9000\ncounters = { mcuboot = 30 }", ..NRF52840 };
    let words = "is = \"mcuboot\"\nkeys = \"embedded\"\ntrusts = [\"p256-a\"]\nsigned";
    let more = image("third", "third.hex", &third, "is = \"mcuboot-image\"\nsigned = \"p256-a\"");
    let lot = stored.lot().with_file("app.hex", second).with("is = \"raw\"\nsigned", words);
    lot.with("[stamp.nsib]", &format!("{more}[stamp.nsib]")).with_file("third.hex", third)
}

#[test]
fn each_stage_of_a_chain_of_three_is_asked_by_the_one_before_it() {
    let lot = planned(&three_stages());
    open(
        &lot,
        &[
            &["b0.hex", "where it looks for its storage", "0x00009000", "only its build says"],
            &["app.hex", "where it looks for what it starts", "0x00020000 (image `third`)"],
        ],
    );
    no(&lot, |_, golden| word(golden, KEY + 4, 1), &["app.hex", "not among the valid keys"]);
    no(&lot, |_, golden| put(golden, 0xA100, &[7]), &["app.hex", "not made by that key"]);
    no(&lot, |_, golden| put(golden, 0xA240 + 40, &[0; 8]), &["third.hex", "no key stands in the planned `app.hex`"]);
    no(&lot, |_, golden| put(golden, 0x20000 + 40, &[7]), &["third.hex", "hash does not fit"]);
    let counter = KEY + 20 + 4 + 4;
    no(&lot, |_, golden| put(golden, counter, &(!9u16).to_le_bytes()), &["third.hex", "is below the chip's 9"]);
}

#[test]
fn which_slot_of_its_flash_map_a_second_stage_starts_no_file_shows() {
    let areas = [(0u32, 0xA000u32), (0xA000, 0x16000), (0x20000, 0x10000), (0x30000, 0x10000)];
    let rows = areas.iter().zip(0u32..).flat_map(|((at, size), id)| [id, *at, *size, 0xA000]);
    let table: Vec<u8> = rows.flat_map(u32::to_le_bytes).collect();
    let open = |filler: usize| {
        let lot = planned(&three_stages_with(&[&vec![0xBF; filler][..], &table, &[0xBF; 16]].concat()));
        plan::boots(&lot.product, &lot.golden).undecided
    };
    // One of four places is that of a word.
    let told: Vec<String> = (0..4).flat_map(open).filter(|told| told.contains("in its flash map")).collect();
    let [told] = &told[..] else { panic!("{told:#?}") };
    assert!(["third.hex", "0x00020000", "app.hex", "NSIB"].iter().all(|part| told.contains(part)), "{told}");
}

// The nRF5 SDK.

const MBR: &str = "mbr.hex";
const LOADER: &str = "loader.hex";

fn boot_record(bootloader: u32) -> Vec<u8> {
    let mut record = [vectors(0), vec![0xFF; 0xFF0]].concat();
    record[0xFF8..0xFFC].copy_from_slice(&bootloader.to_le_bytes());
    as_hex(0, &record)
}

fn application(at: u32) -> Vec<u8> {
    as_hex(at, &[vectors(at), vec![7; 0x100]].concat())
}

/// Boot record, bootloader and application, with a settings page and these words in UICR.
pub(crate) fn sdk(uicr: &str) -> Lot {
    let files =
        [(MBR, boot_record(u32::MAX)), (LOADER, as_hex(0xF8000, &vectors(0xF8000))), ("app.hex", application(0x1000))];
    let images: String = files
        .iter()
        .map(|(name, bytes)| image(name.strip_suffix(".hex").unwrap(), name, bytes, "is = \"raw\""))
        .collect();
    let page = "[stamp.dfu_settings]\nversion = 2\napplication = \"app\"\napp_version = 4\nbl_version = 2\n";
    let recipe = format!("{HEAD}chip = \"nRF52840\"\n{images}[uicr]\n{uicr}\n{page}[lock]\napprotect = true\n");
    Lot { recipe, files: files.map(|(name, bytes)| (name.to_owned(), bytes)).into() }
}

pub(crate) const UICR: &str = "bootloader = 0xF8000\nmbr_params = 0xFE000";

#[test]
fn a_boot_record_that_finds_no_bootloader_starts_nothing() {
    let lot = planned(&sdk(UICR));
    open(&lot, &[&["NRF_BL_APP_SIGNATURE_CHECK_REQUIRED", "no file shows"]]);
    let unset = |golden: &mut Golden| golden.words.retain(|word| word.at != 0x1000_1014);
    no(&lot, |_, golden| unset(golden), &["lot.toml", "0x00000FF8", "0x10001014", "`bootloader` under [uicr]"]);
    no(&lot, |_, golden| word(golden, 0xFF8, 0xE0000), &["lot.toml", "no image stands at 0x000E0000"]);
    no(&lot, |_, golden| put(golden, 4, &[0; 4]), &["mbr.hex", "even"]);
    no(&lot, |_, golden| without(golden, "mbr"), &["mbr.hex", "not in the plan"]);
    no(&lot, |_, golden| put(golden, 0xF8004, &[0; 4]), &["loader.hex", "even"]);
    no(&lot, |_, golden| without(golden, "loader"), &["loader.hex", "not in the plan"]);
    let problems = plan::lot(read(&sdk(""))).map(|lot| lot.golden.digest).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].to_string().contains("`bootloader` under [uicr]"), "{}", problems[0]);
    let recorded = sdk("").with_file(MBR, boot_record(0xF8000));
    undecided(&planned(&recorded), |_, _| (), &["0x10001018", "was not asked"]);
}

#[test]
fn an_application_that_the_settings_page_does_not_vouch_for_is_not_started() {
    let lot = planned(&sdk(UICR));
    let page = 0xFF000;
    let both = |golden: &mut Golden, at: u32, bytes: &[u8]| {
        [page, page - 0x1000].iter().for_each(|page| put(golden, page + at, bytes));
    };
    no(&lot, |_, golden| put(golden, 0x1080, &[8]), &["lot.toml", "app.hex", "the application has the CRC32"]);
    no(&lot, |_, golden| both(golden, 0x08, &[9]), &["lot.toml", "app.hex", "the CRC32 is written as"]);
    no(&lot, |_, golden| both(golden, 0x20, &[0]), &["lot.toml", "bank code is 0"]);
    no(&lot, |_, golden| both(golden, 0x18, &[4]), &["lot.toml", "the application has 272 bytes, the page says 260"]);
    no(&lot, |_, golden| both(golden, 0x2A2, &[1, 2, 3, 4]), &["lot.toml", "boot validation is that of another"]);
    no(&lot, |_, golden| both(golden, 0x04, &[3]), &["lot.toml", "its layout is 3"]);
    no(
        &lot,
        |_, golden| put(golden, page - 0x1000 + 8, &[9]),
        &["lot.toml", "the backup at 0x000FE000 says something else"],
    );
    let single = |golden: &mut Golden| golden.regions.retain(|region| region.at != 0xFE000);
    no(&lot, |_, golden| single(golden), &["lot.toml", "is not at 0x000FE000"]);
    no(&lot, |_, golden| without(golden, "dfu-settings"), &["lot.toml", "no settings page at 0x000FF000"]);
    no(&lot, |_, golden| put(golden, 0x1004, &[0; 4]), &["app.hex", "even"]);
    no(&lot, |_, golden| without(golden, "app"), &["app.hex", "not in the plan"]);
}

#[test]
fn what_only_the_bootloader_checks_is_not_said_to_be_right() {
    let lot = planned(&sdk(UICR));
    let spoilt = |golden: &mut Golden, at: u32, kind: u8| {
        for page in [0xFF000, 0xFE000] {
            put(golden, page + at, &[kind]);
            let bytes = golden.regions.iter().find(|region| region.at == page).unwrap().bytes[0x260..0x323].to_vec();
            word(golden, page + 0x25C, crc32(&bytes));
        }
    };
    undecided(&lot, |_, golden| spoilt(golden, 0x260, 1), &["check the SoftDevice", "not asked"]);
    undecided(&lot, |_, golden| spoilt(golden, 0x2A1, 3), &["the application's signature", "not asked"]);
    let says = |golden: &mut Golden, at: u32, value: u32| {
        for page in [0xFF000, 0xFE000] {
            word(golden, page + at, value);
            let bytes = golden.regions.iter().find(|region| region.at == page).unwrap().bytes[4..0x5C].to_vec();
            word(golden, page, crc32(&bytes));
        }
    };
    undecided(&lot, |_, golden| says(golden, 0x14, 1), &["that bank 1 is the current one", "not asked"]);
    undecided(&lot, |_, golden| says(golden, 0x34, 9), &["brings a SoftDevice of 9 bytes", "not asked"]);
    undecided(&lot, |_, golden| says(golden, 0x58, 1), &["is to wait for an update (1)", "not asked"]);
    no(&lot, |_, golden| says(golden, 0x2C, 0xAA), &["lot.toml", "app.hex", "wait in its second bank (code 0xAA)"]);
}

/// A SoftDevice says where it ends, and the application begins there.
fn softdevice(end: u32) -> Vec<u8> {
    let mut bytes = [vectors(0x1000), vec![3; 0x6FF0]].concat();
    bytes[0x2004..0x2008].copy_from_slice(&0x51B1_E5DBu32.to_le_bytes());
    bytes[0x2008..0x200C].copy_from_slice(&end.to_le_bytes());
    as_hex(0x1000, &bytes)
}

#[test]
fn the_application_is_looked_for_where_the_planned_softdevice_ends() {
    let with = |end: u32| {
        let device = softdevice(end);
        sdk(UICR)
            .with_file("app.hex", application(0x8000))
            .with("[uicr]", &format!("{}[uicr]", image("device", "device.hex", &device, "is = \"raw\"")))
            .with_file("device.hex", device)
    };
    let lot = planned(&with(0x7F04));
    let merged = planned(&merged(&lot.golden));
    open(&merged, &[&["NRF_BL_APP_SIGNATURE_CHECK_REQUIRED", "no file shows"]]);
    no(&merged, |_, golden| put(golden, 0x8080, &[8]), &["lot.toml", "all.hex", "the application has the CRC32"]);
    no(&lot, |_, golden| word(golden, 0x3008, 0x9000), &["lot.toml", "no image stands at 0x00009000"]);
    no(&lot, |_, golden| word(golden, 0x3008, u32::MAX - 1), &["lot.toml", "no image stands at 0xFFFFFFFF"]);
    no(&lot, |_, golden| word(golden, 0x3004, 0), &["lot.toml", "device.hex", "bytes, the page says"]);
}

/// The same in one file: boot record, SoftDevice, application, bootloader and settings page with its backup.
fn merged(golden: &Golden) -> Lot {
    let end = ":00000001FF\n";
    let text = |region: &plan::Region| String::from_utf8(as_hex(region.at, &region.bytes)).unwrap().replace(end, "");
    let file = (golden.regions.iter().map(text).collect::<String>() + end).into_bytes();
    let image = image("all", "all.hex", &file, "is = \"raw\"");
    let recipe = format!("{HEAD}chip = \"nRF52840\"\n{image}[uicr]\n{UICR}\n[lock]\napprotect = true\n");
    Lot { recipe, files: [("all.hex".to_owned(), file)].into() }
}

#[test]
fn what_stands_in_a_gap_of_the_application_is_checked_with_it() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let end = ":00000001FF\n";
    let gapped = text(application(0x1000)).replace(end, "") + &text(as_hex(0x2000, &[5; 64]));
    let other = as_hex(0x1800, &[6; 64]);
    let lot = |files: bool| {
        let lot = sdk(UICR).with_file("app.hex", gapped.clone().into_bytes());
        if !files {
            return lot;
        }
        lot.with("[uicr]", &format!("{}[uicr]", image("other", "other.hex", &other, "is = \"raw\"")))
            .with_file("other.hex", other.clone())
    };
    assert!(plan::lot(read(&lot(false))).is_ok());
    let problems = plan::lot(read(&lot(true))).map(|lot| lot.golden.digest).unwrap_err();
    assert!(problems.iter().any(|problem| problem.what.contains("the application has the CRC32")), "{problems:#?}");
}

#[test]
fn a_settings_page_that_comes_as_a_file_is_asked_like_one_that_is_made() {
    let made = planned(&sdk(UICR));
    let mut regions = made.golden.regions.iter().filter(|region| region.name.starts_with("dfu-settings"));
    let page = regions.next_back().unwrap().bytes.clone();
    let lot = |page: &[u8]| {
        let text = sdk(UICR);
        let start = text.recipe.find("[stamp.dfu_settings]").unwrap();
        let end = text.recipe.find("[lock]").unwrap();
        let file = as_hex(0xFF000, page);
        let mut lot = text;
        lot.recipe.replace_range(start..end, "");
        lot.with("[uicr]", &format!("{}[uicr]", image("page", "page.hex", &file, "is = \"raw\"")))
            .with_file("page.hex", file)
    };
    let problems = plan::lot(read(&lot(&page))).map(|lot| lot.golden.digest).unwrap_err();
    assert!(problems[0].to_string().contains("is not at 0x000FE000"), "{problems:#?}");
    let mut other = page.clone();
    other[0x1C] ^= 1;
    let crc = crc32(&other[4..0x5C]);
    other[..4].copy_from_slice(&crc.to_le_bytes());
    let problems = plan::lot(read(&lot(&other))).map(|lot| lot.golden.digest).unwrap_err();
    assert!(problems.iter().any(|problem| problem.what.contains("the application has the CRC32")), "{problems:#?}");
    assert!(settings::page_of("nRF52840") == Some(0xFF000));
}

#[test]
fn a_bootloaders_address_is_a_page_of_flash() {
    for wrong in ["0xF8004", "0", "0x100000"] {
        let lot = sdk(&UICR.replace("0xF8000", wrong));
        let problems = plan::lot(read(&lot)).map(|lot| lot.golden.digest).unwrap_err();
        assert!(problems[0].what.contains("no page of flash"), "{wrong}: {problems:#?}");
    }
}

#[test]
fn a_unit_of_the_line_gets_the_words_that_the_boot_record_reads() {
    let lot = Arc::new(planned(&sdk(UICR)));
    let slot = Slot::with(virgin(Silicon::Hardened, Latch::Strict, 0x11)).shared();
    let mut line = Line::new(Arc::clone(&lot), slot);
    line.put_in(virgin(Silicon::Hardened, Latch::Strict, 0x11));
    let outcome = line.scan("T1-00001");
    assert_eq!(outcome.verdict, Verdict::Pass, "{:?}", outcome.fault);
    let slot = lock(&line.slot);
    let uicr = slot.board().unwrap().uicr();
    let word = |at: usize| u32::from_le_bytes(uicr[at..at + 4].try_into().unwrap());
    assert_eq!([word(0x14), word(0x18)], [0xF8000, 0xFE000]);
}

#[test]
fn the_vectors_of_these_tests_are_read_as_they_are_written() {
    let map = rootstamp::image::Map::from_hex(&Read::from_memory("m.hex", boot_record(0xF8000))).unwrap();
    assert_eq!((map.word(0xFF8), map.len()), (Some(0xF8000), 0x1000));
}
