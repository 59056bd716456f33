//! NSIB's storage as it was read from a board: recognised by more than one sign, and told with its life.

use std::fs;

use rootstamp::{
    file,
    image::{
        Map,
        nsib::{
            Dump, Generation, KeyState, Layout, LifeCycle, NamedKey, Provision, Storage, Width, Wish, WishedHead,
            text::intel_hex,
        },
    },
    keys::{NsibHash, refuse::RefuseList},
};
use serde_json::{Value, json};

use super::{inspected, project, rootstamp, written};

fn map(at: u32, bytes: &[u8]) -> Map {
    Map::from_raw(&file::Read::from_memory("a.bin", bytes.to_vec()), at).unwrap()
}

/// The one storage in these bytes, at an address that is known.
fn dump(at: u32, bytes: &[u8]) -> Option<Dump> {
    let mut found = Dump::find(&map(at, bytes), true);
    assert!(found.len() < 2, "{found:?}");
    found.pop()
}

/// The last answer of Nordic's own bootloader to a question; what follows it changes nothing any more.
fn answer<'v>(asked: &'v [Value], op: &str) -> Option<&'v Value> {
    asked.iter().rev().find(|answer| answer["op"] == op)
}

/// The value that a counter was raised to last.
fn raised(asked: &[Value], counter: u32) -> Option<u64> {
    let (get, set) = (format!("get:{counter}"), format!("set:{counter}:"));
    asked.iter().rev().find_map(|answer| {
        let op = answer["op"].as_str().unwrap();
        match op.strip_prefix(&set) {
            Some(value) if answer["ret"] == 0 => value.parse().ok(),
            _ => (op == get && answer["ret"] == 0).then(|| answer["value"].as_u64().unwrap()),
        }
    })
}

/// Holds a report against everything that Nordic's bootloader answered about the same memory.
fn agrees(name: &str, told: &Value, asked: &[Value]) -> usize {
    let mut held = 0;
    let mut same = |what: &str, ours: Value, theirs: Value| {
        assert_eq!(ours, theirs, "{name} {what}: {told:#}");
        held += 1;
    };
    let slot = |told: &Value| u64::from_str_radix(told.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    for (op, field) in [("s0", "s0"), ("s1", "s1")] {
        if let Some(theirs) = answer(asked, op) {
            same(op, slot(&told[field]).into(), theirs["value"].clone());
        }
    }
    if let Some(theirs) = answer(asked, "nkeys") {
        same("nkeys", told["keys"].as_array().unwrap().len().into(), theirs["value"].clone());
    }
    for index in 0..3usize {
        let Some(theirs) = answer(asked, &format!("key:{index}")) else { continue };
        let valid = told["keys"][index]["state"] == "valid";
        same("key", valid.into(), (theirs["ret"] == 16).into());
        if valid {
            same("hash", told["keys"][index]["hash"].clone(), theirs["hash"].clone());
        }
    }
    let latest = told["readings"].as_array().unwrap().last().unwrap();
    if let Some(theirs) = answer(asked, "verify") {
        let code = match latest["refuses"].as_str() {
            None => json!(0),
            Some("erased_hash") => json!(-113),
            Some("panic") => Value::Null,
            other => panic!("{other:?}"),
        };
        same("verify", code, theirs["ret"].clone());
        same("panic", (latest["refuses"] == "panic").into(), theirs["panic"].as_bool().unwrap_or(false).into());
    }
    if let Some(theirs) = answer(asked, "lcs") {
        let names = ["assembly", "provisioning", "secured", "decommissioned"];
        let ours = names.iter().position(|name| told["life_cycle"] == *name).unwrap() + 1;
        same("lcs", ours.into(), theirs["value"].clone());
    }
    if let Some(theirs) = answer(asked, "implid") {
        same("implid", told["implementation_id"].clone(), theirs["value"].clone());
    }
    if let Some(theirs) = answer(asked, "var:1") {
        same("var", told["reference"].clone(), theirs["value"].clone());
    }
    for (of, counter) in [("nsib", 1), ("mcuboot", 2)] {
        let ours = told["counters"].as_array().unwrap().iter().find(|counter| counter["of"] == of);
        if let Some(theirs) = answer(asked, &format!("slots:{counter}")) {
            let slots = ours.map_or(0.into(), |ours| ours["slots"].clone());
            same("slots", slots, theirs["value"].clone());
        }
        if let Some(theirs) = raised(asked, counter) {
            same("get", ours.unwrap()["value"].clone(), theirs.into());
        }
    }
    held
}

/// Address of the storage that each of Nordic's memory images is of. [vectors.json]
fn base(name: &str) -> u32 {
    match name {
        _ if name.starts_with("54l") => 0x00FF_D500,
        _ if name.starts_with("9160") => 0x00FF_8108,
        _ => 0x00FF_8100,
    }
}

#[test]
fn every_memory_that_nordics_own_bootloader_left_is_told_as_that_bootloader_reads_it() {
    let mut names: Vec<String> = fs::read_dir(project("tests/vectors/nsib-state"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().strip_suffix(".after.bin").map(str::to_owned))
        .collect();
    names.sort();
    assert_eq!(names.len(), 13);
    let mut held = 0;
    for name in names.iter().filter(|name| *name != "blank") {
        let path = format!("tests/vectors/nsib-state/{name}.after.bin");
        let asked = fs::read(project(&format!("tests/vectors/nsib-state/{name}.ops.json"))).unwrap();
        let asked: Vec<Value> = serde_json::from_slice(&asked).unwrap();
        let at = base(name);
        let text = intel_hex(at, &fs::read(project(&path)).unwrap());
        let (_folder, hex) = written("read-back.hex", text.as_bytes());
        let placed = format!("0x{at:08X}");
        for (arguments, known) in
            [(vec![path.as_str()], false), (vec!["--at", &placed, &path], true), (vec![hex.as_str()], true)]
        {
            let (exit, report, errors) = inspected(&arguments);
            let file = &report["files"][0];
            assert_eq!((&file["kind"], &file["told_by"]), (&"image".into(), &"its contents".into()), "{name}");
            assert!(file["is"].as_str().unwrap().contains("as read from a board"), "{name} {}", file["is"]);
            let [told] = &file["nsib_storage"].as_array().unwrap()[..] else { panic!("{name} {file:#}") };
            assert!(told["signs"].as_array().unwrap().len() > 1, "{told:#}");
            assert_eq!(told["placed"], known, "{name}");
            assert_eq!(told["at"], if known { placed.clone() } else { "0x00000000".to_owned() }, "{name}");
            let damaged = name == "5340app-bad-token";
            assert_eq!(exit, if damaged { 2 } else { 0 }, "{name} {errors}");
            assert_eq!(file["broken"].as_array().unwrap().len(), usize::from(damaged), "{name} {file:#}");
            held += agrees(name, told, &asked);
        }
    }
    assert!(held > 120, "answers held against each other: {held}");
}

fn hashes(count: u8) -> Vec<NamedKey> {
    (0..count).map(|index| NamedKey { name: index.to_string(), hash: NsibHash([index + 1; 16]) }).collect()
}

fn wish(generation: Generation, width: Width, keys: Vec<NamedKey>) -> Option<Wish> {
    let layout = Layout::new(generation, width).ok()?;
    let (base, size) = if width == Width::Four { (0x00FF_D500, 0x460) } else { (0x9000, 0x1000) };
    let mcuboot_slots = if generation.has_mcuboot_counter() { 6 } else { 0 };
    let head = WishedHead::Nsib { s0: 0xA000, s1: Some(0x18000), keys, slots: 8 };
    Some(Wish { layout, base, size, head, mcuboot_slots, reference: None })
}

/// A board's storage as it is before its first start.
fn fresh(wish: &Wish) -> Storage {
    let made = wish.make().unwrap();
    let provision = Provision::read(&map(made.at, &made.bytes)).unwrap();
    Storage::planned(&provision, wish.layout.generation(), wish.size).unwrap()
}

/// Of the newest generation, with three keys.
fn board() -> Storage {
    fresh(&wish(Generation::Sdk2026_05, Width::Two, hashes(3)).unwrap())
}

#[test]
fn a_board_of_every_generation_and_width_is_told_with_its_life() {
    let mut tried = 0;
    for generation in Generation::ALL {
        for width in [Width::Two, Width::Four] {
            let Some(wish) = wish(generation, width, hashes(3)) else { continue };
            tried += 1;
            let mut board = fresh(&wish);
            board.raise(1, 3).unwrap();
            board.raise(1, 5).unwrap();
            if width == Width::Two {
                board.revoke(0).unwrap();
            }
            let has_life = generation.has_life_cycle() && board.life_cycle().is_ok();
            if has_life {
                board.enter(LifeCycle::Provisioning).unwrap();
                board.enter(LifeCycle::Secured).unwrap();
            }
            for at in [Some(wish.base), None] {
                let map = map(at.unwrap_or_default(), board.bytes());
                let found = Dump::find(&map, at.is_some());
                if at.is_none() && !generation.has_life_cycle() {
                    // It may as well have been read from behind a life-cycle state: then it is data, and a used copy.
                    assert!(found.is_empty() && Provision::read(&map).unwrap().content.counters[0].used(width) == 2);
                    continue;
                }
                let [told] = &found[..] else { panic!("{generation} {width:?}: {found:?}") };
                assert!(told.signs.len() > 1 && told.told.may_be.contains(&generation), "{told:?}");
                assert_eq!((told.width, told.state(1)), (width, KeyState::Valid));
                let revoked = if width == Width::Two { KeyState::Revoked } else { KeyState::Valid };
                assert_eq!(told.state(0), revoked, "{generation}");
                let counter = told.counters()[0];
                assert_eq!((counter.value, counter.used, counter.left, counter.regular), (5, 2, 6, true));
                let reading = told.readings().into_iter().find(|reading| reading.generation == generation).unwrap();
                assert_eq!(reading.life_cycle, has_life.then_some(LifeCycle::Secured), "{generation} {width:?}");
                assert_eq!(reading.refuses, None);
                assert_eq!(reading.usable_keys, if width == Width::Two { vec![1, 2] } else { vec![0, 1, 2] });
                assert_eq!(told.wrong(), []);
            }
        }
    }
    assert_eq!(tried, 11);
}

#[test]
fn a_storage_is_found_in_the_read_back_of_a_whole_flash_and_in_hex_without_its_erased_lines() {
    let mut board = board();
    board.raise(1, 3).unwrap();
    let mut flash = vec![0xFF; 0x20000];
    flash[..0x2000].fill(0x5A);
    flash[0xA000..0xC000].fill(0xA5);
    flash[0x9000..0xA000].copy_from_slice(board.bytes());
    assert_eq!(dump(0, &flash).unwrap().at, 0x9000);
    let spread: String = [(0x00FF_8100u32, &[0u8, 0, 0xFF, 0xFF][..]), (0x00FF_8128, &board.bytes()[0x28..0xA0])]
        .map(|(at, bytes)| intel_hex(at, bytes).replace(":00000001FF\n", ""))
        .concat();
    let hex = file::Read::from_memory("a.hex", (spread + ":00000001FF\n").into_bytes());
    let [told] = &Dump::find(&Map::from_hex(&hex).unwrap(), true)[..] else { panic!("not found") };
    assert_eq!(told.readings().last().unwrap().life_cycle, Some(LifeCycle::Provisioning));
}

#[test]
fn what_is_not_whole_or_shows_one_sign_alone_stays_memory() {
    let whole = board();
    let data = whole.bytes()[..0xB0].iter().rposition(|byte| *byte != 0xFF).unwrap();
    let ends = 0x28 + 12 + 60 + 4 + 4 + 16 + 4 + 12;
    assert!(data < ends, "{data}");
    for length in 1..ends {
        // Memory that ends with the keys has keys and no counters; behind that only the whole of them will do.
        let keys_alone = length == 0x28 + 12 + 60;
        assert_eq!(dump(0x9000, &whole.bytes()[..length]).is_some(), keys_alone, "{length}");
    }
    assert!(dump(0x9000, &whole.bytes()[..ends]).is_some());
    let unsigned = fresh(&Wish {
        mcuboot_slots: 0,
        head: WishedHead::Nsib { s0: 0xA000, s1: Some(0x18000), keys: hashes(2), slots: 0 },
        ..wish(Generation::Ncs2_2, Width::Two, hashes(2)).unwrap()
    });
    let only_addresses = unsigned.bytes();
    assert_eq!(dump(0x9000, only_addresses), None, "two addresses and a number, erased tokens, no counter");
    let bare =
        |behind: u8| [vec![0xFF; 0x28], only_addresses[0x28..0x30].to_vec(), vec![0; 4], vec![behind; 0x100]].concat();
    assert!(dump(0x00FF_8100, &bare(0xFF)).is_some(), "the OTP, two addresses and no key, erased behind");
    // Of 1.5 GB of compiled code, three places looked like this.
    assert_eq!(dump(0x00FF_8100, &bare(0x5A)), None, "two addresses before anything at all");
    let mut followed = whole.bytes().to_vec();
    followed[0x800] = 0;
    assert_eq!(dump(0x9000, &followed), None, "a page of flash belongs to the storage alone");
    for page in [vec![0xFF; 0x1000], vec![0; 0x1000], vec![0xA5; 0x280]] {
        for at in [0, 0x9000, 0x00FF_8100, 0x00FF_D500] {
            assert_eq!(dump(at, &page), None);
        }
    }
    let (_folder, path) = written("page.bin", only_addresses);
    let (exit, report, _) = inspected(&["--at", "0x9000", &path]);
    assert_eq!((exit, &report["files"][0]["is"]), (0, &"raw bytes: memory in which nothing is recognised".into()));
}

#[test]
fn provision_data_that_nothing_has_happened_to_stays_the_file_that_it_is() {
    for name in ["nrf52840-3keys", "mcuboot-only-5340-30", "mcuboot-only-54l-w4-30", "hist-2020-02-ncs1.2"] {
        let (exit, report, _) = inspected(&[&format!("tests/vectors/nsib/{name}.hex")]);
        let file = &report["files"][0];
        assert_eq!((exit, &file["nsib_storage"]), (0, &json!([])), "{name}");
        assert_eq!(file["provision"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn what_was_read_from_behind_the_life_cycle_state_stays_data_of_the_generations_that_have_one() {
    let mut board = fresh(&wish(Generation::Ncs2_4, Width::Two, hashes(2)).unwrap());
    board.raise(1, 3).unwrap();
    let (_folder, path) = written("part.bin", &board.bytes()[0x28..]);
    let (exit, report, _) = inspected(&["--at", "0x9028", &path]);
    let file = &report["files"][0];
    assert_eq!((exit, &file["nsib_storage"]), (0, &json!([])));
    assert_eq!(file["provision"][0]["may_be"], json!(["ncs-2.4"]), "{file:#}");
}

#[test]
fn damage_in_a_storage_is_told_as_what_it_is() {
    let problem = |board: &Storage, at: u32, expected: &str| {
        let told = dump(at, board.bytes()).unwrap_or_else(|| panic!("{expected}"));
        let wrong = told.wrong();
        assert!(wrong.len() == 1 && wrong[0].1.contains(expected), "{expected}: {wrong:?}");
    };
    let note = |board: &Storage, expected: &str| {
        let told = dump(0x9000, board.bytes()).unwrap_or_else(|| panic!("{expected}"));
        assert_eq!(told.wrong(), [], "{expected}");
        assert!(told.notes().iter().any(|note| note.contains(expected)), "{expected}: {:?}", told.notes());
    };
    let mut torn = board();
    torn.overwrite(0x28 + 12 + 20, 0x51FA_00FF).unwrap();
    problem(&torn, 0x9000, "0x51FA00FF is no validity token of key 1");
    let mut unwritten = board();
    unwritten.overwrite(0x28 + 12 + 40, u32::MAX).unwrap();
    problem(&unwritten, 0x9000, "0xFFFFFFFF is no validity token of key 2");
    let mut hole = board();
    hole.overwrite(0x28 + 16, 0x0101_FFFF).unwrap();
    problem(&hole, 0x9000, "key 0 holds 0xFFFF at offset 0");
    hole.revoke(0).unwrap();
    assert_eq!(dump(0x9000, hole.bytes()).unwrap().wrong(), [], "a revoked key may hold anything");
    let misplaced = fresh(&wish(Generation::Sdk2026_05, Width::Four, hashes(1)).unwrap());
    problem(&misplaced, 0x00FF_E000, "counts slots from 0x00FFD500");

    let mut full = board();
    (1..=8).for_each(|value| full.raise(1, value).unwrap());
    note(&full, "counter of NSIB has no slot left");
    let mut skipped = board();
    let first_slot = 0x28 + 12 + 60 + 8;
    skipped.overwrite(first_slot, 0xFFF0_FFFF).unwrap();
    note(&skipped, "not as a bootloader fills them");
    let mut stuck = board();
    stuck.overwrite(0, 0x0000_FFFF).unwrap();
    note(&stuck, "no state");
    let mut gone = board();
    for state in [LifeCycle::Provisioning, LifeCycle::Secured, LifeCycle::Decommissioned] {
        gone.enter(state).unwrap();
    }
    note(&gone, "never starts again");
    let mut dummy = board();
    for (word, offset) in [0xAAAA_AAAA, 0xBBBB_BBBB, 0xCCCC_CCCC, 0xDDDD_DDDD].into_iter().zip([8, 16, 24, 32]) {
        dummy.overwrite(offset, word).unwrap();
        dummy.overwrite(offset + 4, word).unwrap();
    }
    note(&dummy, "TF-M's templates");
    let elsewhere = dump(0x00FF_8104, board().bytes()).unwrap().notes();
    assert!(elsewhere.iter().any(|note| note.contains("0x00FF8104 is no address")), "{elsewhere:?}");
    let mut followed = board().bytes()[..0x280].to_vec();
    followed[0x200] = 0;
    let notes = dump(0x00FF_8100, &followed).unwrap().notes();
    assert!(notes.iter().any(|note| note.contains("at 0x00FF8300, behind the data")), "{notes:?}");
}

#[test]
fn a_published_key_in_a_storage_is_refused_and_the_report_says_so_in_words() {
    let list: Value = serde_json::from_str(include_str!("../../keys-public/known-development-keys.json")).unwrap();
    let known = list["keys"].as_array().unwrap().iter().find(|key| key["type"] == "ecdsa-p256").unwrap();
    let spki = rootstamp::ident::bytes_from_hex(known["spki_der_hex"].as_str().unwrap()).unwrap();
    let hash = Generation::Sdk2026_05.hash(&rootstamp::keys::AnyKey::from_spki(&spki).unwrap()).unwrap();
    let keys = vec![NamedKey { name: "a".into(), hash: NsibHash([7; 16]) }, NamedKey { name: "b".into(), hash }];
    let mut board = fresh(&wish(Generation::Sdk2026_05, Width::Two, keys).unwrap());
    board.raise(2, 4).unwrap();
    let found = dump(0x9000, board.bytes()).unwrap();
    assert_eq!(found.refused(&RefuseList::built_in().unwrap())[0].0, 1);
    let (_folder, path) = written("page.bin", board.bytes());
    assert_eq!(inspected(&["--at", "0x9000", &path]).0, 40);
    assert_eq!(inspected(&["--at", "0x9000", "--mode", "engineering", &path]).0, 0);
    let words = super::unfolded(&rootstamp(&["inspect", "--at", "0x9000", &path]).stdout);
    for expected in ["at 0x00009000, as read from a board", "development key", "stands at 4; 1 of 6 slots used, 5 left"]
    {
        assert!(words.contains(expected), "{expected}: {words}");
    }
}
