//! The table of flash areas inside a program: found by its shape alone, and held against where the recipe puts things.

use rootstamp::{
    file::Read,
    image::{
        Map,
        flash_map::{Area, FlashMap},
    },
};

use crate::recipe::{APPLICATION, Application, BOOTLOADER, Lot, as_hex, bootloader_with, embedded, spki, vectors};

/// Number, first address, size and device of each area, as Zephyr lays its table out.
fn table(areas: &[(u32, u32)], device: u32) -> Vec<u8> {
    let entry = |(id, (at, size)): (usize, &(u32, u32))| [u32::try_from(id).unwrap(), *at, *size, device];
    areas.iter().enumerate().flat_map(entry).flat_map(u32::to_le_bytes).collect()
}

const AREAS: [(u32, u32); 3] = [(0, 0x1000), (0x1000, 0x4000), (0x5000, 0x4000)];

fn map(at: u32, bytes: Vec<u8>) -> Map {
    Map::from_raw(&Read::from_memory("program.bin", bytes), at).unwrap()
}

fn found(bytes: Vec<u8>) -> Option<FlashMap> {
    let length = u32::try_from(bytes.len()).unwrap();
    FlashMap::of(&map(0, bytes), 0..length)
}

#[test]
fn the_table_of_flash_areas_is_found_by_its_shape_and_what_only_resembles_one_is_not() {
    let program = |table: Vec<u8>| [vec![0xBF; 32], table, vec![0xBF; 32]].concat();
    let told = found(program(table(&AREAS, 16))).unwrap();
    assert_eq!((told.at, told.areas.len()), (32, 3));
    assert_eq!(told.slot(0x1000), Some(&Area { id: 1, at: 0x1000, size: 0x4000 }));
    assert_eq!(told.slot(0x2000), None);

    let nested = [(0, 0x1000), (0x1000, 0x20), (0x1000, 0x4000), (0x1020, 0x3FE0)];
    assert_eq!(
        found(program(table(&nested, 16))).unwrap().slot(0x1000).unwrap().size,
        0x4000,
        "the slot, not its header"
    );

    for (spoilt, why) in [
        (table(&AREAS[..2], 16), "two areas are too few"),
        (table(&AREAS, 0x0010_0000), "the device lies outside the program"),
        (table(&[(0x1000, 0x1000), (0x2000, 0x1000), (0x3000, 0x1000)], 16), "the program lies in none of its areas"),
        (table(&[(0, 0x1000), (0x1000, 0), (0x2000, 0x1000)], 16), "an area is empty"),
        (table(&[(0, 0x1000), (0xFFFF_F000, 0x2000), (0x2000, 0x1000)], 16), "an area runs past the end of memory"),
        ([table(&AREAS, 16), vec![0xBF; 16], table(&nested, 16)].concat(), "two tables that differ"),
    ] {
        assert_eq!(found(program(spoilt)), None, "{why}");
    }
    let twice = [table(&AREAS, 16), vec![0xBF; 16], table(&AREAS, 16)].concat();
    assert!(found(program(twice)).is_some(), "the same twice says one thing");
}

/// As [`table`], with a device for each area.
fn on_devices(areas: &[(u32, u32, u32)]) -> Vec<u8> {
    let entry = |(id, (at, size, device)): (usize, &(u32, u32, u32))| [u32::try_from(id).unwrap(), *at, *size, *device];
    areas.iter().enumerate().flat_map(entry).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn areas_of_a_second_flash_are_left_out_and_a_table_with_areas_missing_is_none() {
    let program = |table: Vec<u8>| [vec![0xBF; 32], table, vec![0xBF; 32]].concat();
    let beside = [(0, 0x1000, 16), (0, 0x8_0000, 20), (0x1000, 0x4000, 16), (0x1000, 0x9000, 20), (0x5000, 0x4000, 16)];
    let told = found(program(on_devices(&beside))).unwrap();
    assert_eq!(told.areas.iter().map(|area| (area.at, area.size)).collect::<Vec<_>>(), AREAS);
    assert_eq!(told.slot(0x1000).unwrap().size, 0x4000, "the larger one is on the other flash");
    let even = [(0, 0x1000, 16), (0, 0x1000, 20), (0x1000, 0x4000, 16), (0x1000, 0x4000, 20)];
    assert_eq!(found(program(on_devices(&even))), None, "either may be the program's own");

    let mut gap = table(&AREAS, 16);
    gap.extend([9u32, 0x9000, 0x1000, 16].map(u32::to_le_bytes).concat());
    assert_eq!(found(program(gap)), None, "a row follows whose number is not the next");
}

#[test]
fn an_area_inside_a_slot_is_no_slot_and_one_that_is_not_the_first_is_remarked() {
    let nested = [(0, 0x800), (0x800, 0x5000), (0x1000, 0x4800), (0x6000, 0x5000)];
    told(&lot(&nested, &[]), &[APPLICATION, "0x00001000", "has no slot", BOOTLOADER]);
    let second = [(0, 0x800), (0x800, 0x800), (0x1000, 0x4000)];
    let remarks = lot(&second, &[]).read_as(None).unwrap().open;
    let told = |remark: &String| remark.contains("to run images in place") && remark.contains("0x00000800");
    assert!(remarks.iter().any(told), "{remarks:#?}");
    let first = lot(&AREAS, &[]).read_as(None).unwrap().open;
    assert!(!first.iter().any(|remark| remark.contains("to run images in place")), "{first:#?}");
}

/// MCUboot with its key and this table inside, and an application with another.
fn lot(boot: &[(u32, u32)], own: &[(u32, u32)]) -> Lot {
    let key = spki("p256-a");
    let filler = vec![0xBF; (4 - (20 + key.len()) % 4) % 4];
    let inside = [key, filler, table(boot, 4)].concat();
    let application = Application { program: [vectors(0x1020), table(own, 0x1024)].concat(), ..Application::good() };
    embedded(&inside).with_file(APPLICATION, as_hex(0x1000, &application.signed()))
}

fn told(lot: &Lot, expected: &[&str]) {
    let problems = lot.problems();
    let [problem] = &problems[..] else { panic!("{expected:?}: {problems:#?}") };
    let line = problem.to_string();
    assert!(expected.iter().all(|part| line.contains(part)), "{expected:?}: {line}");
}

#[test]
fn bootloader_and_application_of_one_layout_are_whole_whether_or_not_both_show_it() {
    for (boot, own) in [(&AREAS[..], &AREAS[..]), (&AREAS, &[]), (&[], &AREAS), (&[], &[])] {
        let problems = lot(boot, own).read_as(None).err();
        assert!(problems.is_none(), "{boot:?} {own:?}: {problems:#?}");
    }
}

#[test]
fn an_application_where_the_bootloader_has_no_slot_or_too_small_a_one_names_both_files() {
    let elsewhere = [(0, 0x1000), (0x2000, 0x3000), (0x5000, 0x3000)];
    told(&lot(&elsewhere, &[]), &[APPLICATION, "0x00001000", "would not boot", BOOTLOADER, "0x00002000..0x00005000"]);
    let small = [(0, 0x1000), (0x1000, 0x40), (0x5000, 0x40)];
    told(&lot(&small, &[]), &[APPLICATION, "past its slot 0x00001000..0x00001040", BOOTLOADER]);
}

#[test]
fn an_application_that_was_built_for_another_layout_names_both_files() {
    let larger = [(0, 0x1000), (0x1000, 0x8000), (0x9000, 0x8000)];
    told(
        &lot(&AREAS, &larger),
        &[APPLICATION, "another layout", "0x00001000..0x00009000", BOOTLOADER, "0x00001000..0x00005000"],
    );
    let nowhere = [(0, 0x2000), (0x2000, 0x4000), (0x6000, 0x4000)];
    told(&lot(&AREAS, &nowhere), &[APPLICATION, "another layout", "no slot there", BOOTLOADER]);
}

#[test]
fn an_application_in_another_slot_than_the_first_is_not_said_to_boot() {
    let open = |areas: &[(u32, u32)]| {
        let lot = rootstamp::plan::lot(lot(areas, &[]).read_as(None).unwrap()).unwrap();
        let open = rootstamp::plan::boots(&lot.product, &lot.golden).undecided;
        open.into_iter().filter(|open| !open.contains("where it reads its counter")).collect::<Vec<_>>()
    };
    let second = open(&[(0, 0x800), (0x800, 0x800), (0x1000, 0x4000)]);
    assert!(second.len() == 1 && second[0].contains("it starts what is at 0x00000800"), "{second:#?}");
    assert_eq!(open(&AREAS), [""; 0]);

    let other = Application { at: 0x5000, program: vectors(0x5020), ..Application::good() };
    let bytes = as_hex(0x5000, &other.signed());
    let digest = rootstamp::ident::Digest::of(&bytes);
    let image = format!(
        "[[image]]\nname = \"other\"\nfile = \"other.hex\"\nsha256 = \"{digest}\"\nis = \"mcuboot-image\"\n\
         signed = \"root\"\nnumber = 1\n\n[uicr]"
    );
    let mut lot = lot(&AREAS, &[]).with("[uicr]", &image);
    lot.files.insert("other.hex".to_owned(), bytes);
    let open = lot.read_as(None).unwrap().open;
    let [told] = &open[..] else { panic!("{open:#?}") };
    assert!(
        ["other.hex", "0x00005000 as MCUboot's image 1", BOOTLOADER].iter().all(|part| told.contains(part)),
        "{told}"
    );
}

/// The same with one more file of these bytes.
fn beside(lot: Lot, at: u32, bytes: &[u8]) -> Lot {
    let digest = rootstamp::ident::Digest::of(bytes);
    let image = format!(
        "[[image]]\nname = \"extra\"\nfile = \"extra.bin\"\nsha256 = \"{digest}\"\nis = \"raw\"\nat = {at}\n\n[uicr]"
    );
    let mut lot = lot.with("[uicr]", &image);
    lot.files.insert("extra.bin".to_owned(), bytes.to_vec());
    lot
}

fn in_the_way(lot: &Lot, expected: &[&str]) -> bool {
    let remarks = lot.read_as(None).unwrap_or_else(|problems| panic!("{problems:#?}")).remarks;
    let hit = |remark: &&String| remark.contains("keeps the progress of an update there");
    let told = remarks.iter().find(hit);
    assert!(told.is_none_or(|told| expected.iter().all(|part| told.contains(part))), "{told:?}");
    told.is_some()
}

#[test]
fn what_stands_over_the_notes_at_the_end_of_a_slot_names_both_files() {
    let whole = || lot(&AREAS, &[]);
    let names = ["extra.bin", APPLICATION, BOOTLOADER, "0x00001000..0x00005000", "MCUboot's notes"];
    for (at, length) in [(0x4FE0, 1), (0x4FFF, 1), (0x4F00, 0x100)] {
        told(&beside(whole(), at, &vec![7; length]), &names);
    }
    told(&beside(lot(&[], &AREAS), 0x4FF0, &[7]), &["extra.bin", APPLICATION, "MCUboot's notes"]);
    // As erased flash is, and outside of the slot.
    assert!(!in_the_way(&beside(whole(), 0x4FF0, &[0xFF; 16]), &[]));
    assert!(!in_the_way(&beside(whole(), 0x5000, &[7; 16]), &[]));
    assert!(!in_the_way(&beside(whole(), 0x3000, &[7; 16]), &[]));
    for at in [0x4000, 0x4FD0] {
        let lot = beside(whole(), at, &[7; 16]);
        assert!(in_the_way(&lot, &["`extra` (extra.bin)", BOOTLOADER, "0x00001000..0x00005000"]), "{at:#x}");
    }
}

#[test]
fn an_application_that_leaves_no_room_for_the_notes_of_its_slot_names_both_files() {
    let of = |length: usize| {
        let mut application = Application::good();
        application.program.resize(length, 7);
        let rest = application.signed().len() - length;
        application.program.resize(length - rest, 7);
        lot(&AREAS, &[]).with_file(APPLICATION, as_hex(0x1000, &application.signed()))
    };
    // A signature in DER is not always as long, by two bytes.
    told(&of(0x3FF0), &[APPLICATION, "0x00004FE0 belongs to MCUboot's notes", "0x00001000..0x00005000", BOOTLOADER]);
    assert!(in_the_way(&of(0x3FDC), &["`application`", APPLICATION, BOOTLOADER]));
    assert!(in_the_way(&of(0x3100), &["`application`", APPLICATION, BOOTLOADER]));
    assert!(!in_the_way(&of(0x2FF0), &[]));
}

#[test]
fn an_application_that_was_padded_to_its_slot_has_its_own_notes_there() {
    let padded = |confirmed: &[u8]| {
        let mut bytes = Application::good().signed();
        bytes.resize(0x4000 - 24, 0xFF);
        bytes.extend(confirmed);
        bytes.resize(0x4000 - 16, 0xFF);
        bytes.extend(rootstamp::image::mcuboot::TRAILER_MAGIC);
        lot(&AREAS, &[]).with_file(APPLICATION, as_hex(0x1000, &bytes))
    };
    assert!(!in_the_way(&padded(&[1]), &[]));
    let mut behind = Application::good().signed();
    behind.resize(0x4000 - 8, 0xFF);
    behind.extend([7; 8]);
    let behind = lot(&AREAS, &[]).with_file(APPLICATION, as_hex(0x1000, &behind));
    told(&behind, &[APPLICATION, "0x00004FF8..0x00005000", "no part of what was signed"]);
}

/// An application that was padded to a slot of this size and confirmed.
fn padded_to(size: usize) -> Lot {
    let mut bytes = Application::good().signed();
    bytes.resize(size - 24, 0xFF);
    bytes.push(1);
    bytes.resize(size - 16, 0xFF);
    bytes.extend(rootstamp::image::mcuboot::TRAILER_MAGIC);
    lot(&AREAS, &[]).with_file(APPLICATION, as_hex(0x1000, &bytes))
}

#[test]
fn an_application_that_was_padded_to_a_slot_of_another_size_is_told() {
    for (size, at) in [(0x4010, "0x00005000"), (0x4800, "0x000057F0")] {
        let names = [APPLICATION, "behind its slot 0x00001000..0x00005000", BOOTLOADER, "--slot-size 0x4000", at];
        let problems = padded_to(size).problems();
        let hit = |line: &String| names.iter().all(|part| line.contains(part));
        assert!(problems.iter().map(ToString::to_string).any(|line| hit(&line)), "{names:?}: {problems:#?}");
    }
    let remarks = |size| padded_to(size).read_as(None).unwrap().remarks;
    let told =
        |remarks: Vec<String>| remarks.iter().any(|told| told.contains("looks for its notes at the end of the slot"));
    assert!(told(remarks(0x2000)), "{:#?}", remarks(0x2000));
    assert!(!told(remarks(0x4000)));
}

#[test]
fn what_stands_in_a_slot_and_is_no_image_for_it_is_told_wherever_it_stands() {
    let whole = || lot(&AREAS, &[]);
    let magic = rootstamp::image::mcuboot::TRAILER_MAGIC;
    let update = ["extra.bin", "MCUboot's notes", "0x00005000..0x00009000, where an update goes", BOOTLOADER];
    told(&beside(whole(), 0x8FF0, &magic), &update);
    told(&beside(whole(), 0x8FE0, &[7]), &update);
    assert!(in_the_way(&beside(whole(), 0x8F00, &[7]), &["extra.bin", "0x00005000..0x00009000"]));
    let erased = |at: u32, bytes: &[u8]| {
        let remarks = beside(whole(), at, bytes).read_as(None).unwrap().remarks;
        remarks.into_iter().find(|remark| remark.contains("the first update there erases it"))
    };
    for (at, slot) in [(0x3000, "0x00001000..0x00005000"), (0x5000, "0x00005000..0x00009000"), (0x6000, "0x00005000")] {
        let remark = erased(at, &[7; 16]).unwrap();
        assert!(
            ["extra.bin", BOOTLOADER, slot, &format!("0x{at:08X}")].iter().all(|part| remark.contains(part)),
            "{remark}"
        );
    }
    assert_eq!(erased(0x6000, &[0xFF; 16]), None, "as erased flash is");
    assert_eq!(erased(0x9000, &[7; 16]), None, "in no slot");
    // An area of another size is for something else.
    let storage = [(0, 0x1000), (0x1000, 0x4000), (0x5000, 0x2000)];
    assert!(beside(lot(&storage, &[]), 0x6FF0, &magic).read_as(None).is_ok());
}

#[test]
fn a_bootloader_that_outgrew_its_own_area_is_told() {
    let narrow = [(0, 0x40), (0x1000, 0x4000), (0x5000, 0x4000)];
    told(&lot(&narrow, &[]), &[BOOTLOADER, "past its own area 0x00000000..0x00000040"]);
}

#[test]
fn a_bootloader_with_nothing_to_start_is_said_to_have_nothing() {
    let alone = bootloader_with(&spki("p256-a")).with("keys   = \"hw-key\"", "keys   = \"embedded\"");
    let from = alone.recipe.find("[[image]]\nname   = \"application\"").unwrap();
    let to = alone.recipe.find("[uicr]").unwrap();
    let stamp = (alone.recipe.find("[stamp.key_hash]").unwrap(), alone.recipe.find("[stamp.counter]").unwrap());
    let recipe = [&alone.recipe[..from], &alone.recipe[to..stamp.0], &alone.recipe[stamp.1..]].concat();
    let lot = rootstamp::plan::lot(Lot { recipe, files: alone.files }.read_as(None).unwrap()).unwrap();
    let open = rootstamp::plan::boots(&lot.product, &lot.golden).undecided;
    let told =
        |told: &[String]| told.iter().filter(|told| told.contains("nothing for") && told.contains(BOOTLOADER)).count();
    assert_eq!((told(&open), told(&lot.product.remarks)), (1, 1), "{:#?}", lot.product.remarks);
}
