//! What is refused, each with its own words, exit code and safe end: nothing half-recorded, and the next good scan works.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::json;
use tempfile::TempDir;

use super::{
    at_once,
    bench::{Bench, verdict, verdicts},
    exit, label,
    line::Line,
    objects, project, rootstamp, run, stderr, stdout,
};

#[test]
fn a_unit_scanned_twice_is_done_already_and_not_touched() {
    let bench = Bench::one();
    assert_eq!(exit(&bench.scan(&[&label(1)])), 0);
    let before = bench.boards.order("site-1", "counters");
    let again = bench.scan(&[&label(1)]);
    assert_eq!((exit(&again), verdict(&again)), (11, "DONE_ALREADY".to_owned()), "{}", stdout(&again));
    let after = bench.boards.order("site-1", "counters");
    assert_eq!(before["counters"]["erases"], after["counters"]["erases"]);
    assert_eq!(before["counters"]["word_writes"], after["counters"]["word_writes"]);
    bench.is_whole();
    bench.truth("site-1", &label(1));
    bench.boards.order("site-1", "swap");
    let fresh = bench.boards.order("site-1", "status");
    let other = bench.scan(&[&label(1)]);
    assert_eq!((exit(&other), verdict(&other)), (11, "HOLD".to_owned()), "{}", stdout(&other));
    let left = bench.boards.order("site-1", "status");
    assert_eq!(left["counters"]["erases"], fresh["counters"]["erases"], "a board was erased for a finished label");
    assert_eq!(bench.unit(&label(1)).unwrap()["verdict"], "PASS");
}

#[test]
fn a_board_that_was_not_swapped_takes_no_other_label_and_is_known_when_it_comes_back() {
    let bench = Bench::one();
    let mut line = Line::start(&mut bench.line());
    line.sees(0, "fresh");
    line.scan(&label(1));
    assert_eq!(line.verdict(0)["verdict"], "PASS");
    line.scan(&label(2));
    assert!(line.refused().contains("take the finished board out"));
    let device = bench.boards.device("site-1");
    bench.boards.order("site-1", "remove");
    line.sees(0, "absent");
    let finished = bench.boards.insert("site-1", &device);
    line.sees(0, "fresh");
    line.scan(&label(2));
    let outcome = line.verdict(0);
    assert_eq!((&outcome["verdict"], &outcome["fault"]["code"]), (&"HOLD".into(), &"B-410".into()), "{outcome}");
    let (exit, _) = line.leave();
    assert_eq!(exit, 12);
    let held = bench.boards.order("site-1", "status");
    assert_eq!(held["counters"]["erases"], finished["counters"]["erases"], "a finished board was erased");
    assert_eq!(bench.unit(&label(1)).unwrap()["standing"], "passed");
    bench.truth("site-1", &label(1));
    bench.is_whole();
}

#[test]
fn a_pulled_cable_is_a_retry_and_the_same_label_passes_once_it_is_back() {
    let bench = Bench::one();
    for (unit, step) in [(1, "program"), (2, "erase"), (3, "look")] {
        bench.boards.order("site-1", "swap");
        let mut line = Line::start(&mut bench.line());
        line.sees(0, "fresh");
        line.scan(&label(unit));
        line.begins(0, step);
        let from = bench.boards.transactions("site-1") + 1;
        bench.boards.fault("site-1", &json!({ "no_ack": { "from": from, "count": null } }));
        let outcome = line.verdict(0);
        let fault = &outcome["fault"];
        assert_eq!((&outcome["verdict"], &fault["exit"]), (&"RETRY".into(), &"no_answer".into()), "{step}: {outcome}");
        bench.boards.fault("site-1", &json!({}));
        line.scan_until_taken(0, &label(unit));
        assert_eq!(line.verdict(0)["verdict"], "PASS", "{step}");
        let (exit, told) = line.leave();
        assert_eq!(exit, 21, "{step}");
        assert_eq!(told.last().unwrap()["tally"]["failed"], 0);
        bench.truth("site-1", &label(unit));
    }
    bench.is_whole();
}

/// Verification is too short for an order to arrive in it: how many transactions come before it is searched for, with a
/// fresh board for each try.
#[test]
fn a_cable_pulled_during_verification_is_a_retry_and_the_same_label_passes_once_it_is_back() {
    const STEPS: [&str; 6] = ["look", "erase", "program", "read back", "stamp", "verify"];
    let bench = Bench::one();
    let (mut before, mut behind) = (0, 100_000);
    for unit in 1..=30 {
        bench.boards.order("site-1", "swap");
        let mut line = Line::start(&mut bench.line());
        line.sees(0, "fresh");
        let after = u64::midpoint(before, behind);
        let from = bench.boards.transactions("site-1") + after;
        bench.boards.fault("site-1", &json!({ "no_ack": { "from": from, "count": null } }));
        line.scan(&label(unit));
        let outcome = line.verdict(0);
        bench.boards.fault("site-1", &json!({}));
        let begun = line.told.iter().rfind(|event| event["progress"]["state"] == "begun").unwrap();
        match STEPS.iter().position(|step| begun["step"] == **step) {
            Some(5) => {
                let fault = &outcome["fault"];
                assert_eq!((&outcome["verdict"], &fault["exit"]), (&"RETRY".into(), &"no_answer".into()), "{outcome}");
                line.scan_until_taken(0, &label(unit));
                assert_eq!(line.verdict(0)["verdict"], "PASS");
                bench.truth("site-1", &label(unit));
                line.leave();
                return bench.is_whole();
            }
            Some(_) => before = after,
            None => behind = after,
        }
        line.leave();
    }
    panic!("no transaction between {before} and {behind} is one of verification");
}

#[test]
fn a_probe_that_is_not_there_stops_the_station_before_any_unit() {
    let bench = Bench::one();
    bench.write_station(|_, part| part.replace("site-1.sock", "elsewhere.sock"));
    let started = bench.scan(&[&label(1)]);
    assert_eq!(exit(&started), 20, "{}", stderr(&started));
    assert!(stderr(&started).contains("site-1") && stderr(&started).contains("R-120"), "{}", stderr(&started));
    assert_eq!(bench.units().len(), 0);
    bench.write_station(|_, part| part);
    assert_eq!(exit(&bench.scan(&[&label(1)])), 0);
}

#[test]
fn a_second_station_on_the_same_records_is_turned_away_and_the_first_works_on() {
    let bench = Bench::one();
    let mut line = Line::start(&mut bench.line());
    line.sees(0, "fresh");
    let second = bench.scan(&[&label(1)]);
    assert_eq!(exit(&second), 32, "{}", stderr(&second));
    assert!(stderr(&second).contains("L-132"), "{}", stderr(&second));
    line.scan(&label(1));
    assert_eq!(line.verdict(0)["verdict"], "PASS");
    assert_eq!(line.leave().0, 0);
    bench.is_whole();
}

#[test]
fn a_production_station_is_refused_and_makes_nothing() {
    let bench = Bench::one();
    bench.write_station(|_, part| part.replace("training", "production"));
    let station = bench.station();
    let recipe = project("templates/products/gw3.toml");
    let checked = rootstamp().arg("check").arg("--station").arg(&station).arg("--recipe").arg(recipe).output().unwrap();
    for refused in [checked, bench.scan(&[&label(1)])] {
        assert_eq!(exit(&refused), 2);
        assert!(stderr(&refused).contains("production"), "{}", stderr(&refused));
    }
    assert!(!bench.data().exists());
}

/// The demo's product in a folder of its own, to be spoilt.
struct Product(TempDir);

impl Product {
    fn good() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["keys-public", "stations"] {
            symlink(project(name), folder.path().join(name)).unwrap();
        }
        let images = folder.path().join("templates/products/images");
        fs::create_dir_all(&images).unwrap();
        for file in fs::read_dir(project("templates/products/images")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), images.join(file.file_name())).unwrap();
        }
        let product = Self(folder);
        fs::copy(project("templates/products/gw3.toml"), product.recipe()).unwrap();
        product
    }

    fn recipe(&self) -> std::path::PathBuf {
        self.0.path().join("templates/products/gw3.toml")
    }

    fn bootloader(&self) -> std::path::PathBuf {
        self.0.path().join("templates/products/images/stand-in-bootloader.hex")
    }

    fn replace(&self, from: &str, to: &str) {
        let recipe = fs::read_to_string(self.recipe()).unwrap();
        assert!(recipe.contains(from), "{from}");
        fs::write(self.recipe(), recipe.replacen(from, to, 1)).unwrap();
    }

    /// Another bootloader, pinned as it is.
    fn with_bootloader(&self, bytes: &[u8]) {
        fs::write(self.bootloader(), bytes).unwrap();
        let pin = "a7f835d692041749f5425bd74cd69252b00b717f943540f270c74474d9214d8b";
        self.replace(pin, &rootstamp::ident::Digest::of(bytes).to_string());
    }

    fn check(&self) -> Output {
        run([Path::new("check"), Path::new("--recipe"), &self.recipe()])
    }

    fn demo_station(&self, bench: &Bench) -> Output {
        let mut line = rootstamp();
        line.args(["station", "--headless", "--scan", &label(1), "--station"]).arg(bench.station());
        line.arg("--recipe").arg(self.recipe()).output().unwrap()
    }
}

#[test]
fn a_recipe_with_five_mistakes_gets_five_places_and_nothing_is_opened() {
    let (product, bench) = (Product::good(), Bench::one());
    assert_eq!(exit(&product.check()), 0);
    for (from, to) in [
        ("arrives = \"blank\"", "arrives = \"blnk\""),
        ("is     = \"mcuboot\" ", "is     = \"mcubot\" "),
        ("signed = \"root\"", "signed = \"rot\""),
        ("slots   = 16", "slots   = 0"),
        ("regout0   = \"3.3V\"", "regout0   = \"3.4V\""),
    ] {
        product.replace(from, to);
    }
    let counted = bench.boards.order("site-1", "counters");
    for refused in [product.check(), product.demo_station(&bench)] {
        assert_eq!(exit(&refused), 2, "{}", stderr(&refused));
        let places = stderr(&refused).lines().filter(|line| line.contains("gw3.toml:")).count();
        assert_eq!(places, 5, "{}", stderr(&refused));
    }
    assert!(!bench.data().exists());
    assert_eq!(bench.boards.order("site-1", "counters"), counted, "the board was touched");
}

#[test]
fn a_damaged_hex_is_named_with_its_line_and_address() {
    let hex = fs::read_to_string(project("templates/products/images/stand-in-bootloader.hex")).unwrap();
    let no_end = hex.replace(":00000001FF", "");
    let overlap = format!("{}{hex}", ":0400000000000000FC\n");
    let checksum = hex.replacen(":10", ":11", 1);
    let outside = format!(":020000040020DA\n:0400000000000000FC\n{hex}");
    let after = format!("{hex}:0400000000000000FC\n");
    for (what, spoilt, line) in [
        ("no end record", no_end, false),
        ("an overlap", overlap, true),
        ("a bad record", checksum, true),
        ("an address outside flash", outside, true),
        ("data after the end", after, true),
    ] {
        let product = Product::good();
        product.with_bootloader(spoilt.as_bytes());
        let refused = product.check();
        assert_eq!(exit(&refused), 2, "{what}: {}", stderr(&refused));
        let told = stderr(&refused).lines().find(|line| line.contains(".hex")).unwrap_or_default().to_owned();
        assert!(!told.is_empty(), "{what}: {}", stderr(&refused));
        assert!(!line || told.contains(".hex:"), "{what}: {told}");
    }
}

#[test]
fn a_development_key_inside_a_bootloader_is_refused_by_its_public_name_and_place() {
    let spki = published();
    let hex = fs::read_to_string(project("templates/products/images/stand-in-bootloader.hex")).unwrap();
    let product = Product::good();
    product.with_bootloader(with_record(&hex, 0x7000, &spki).as_bytes());
    let refused = product.check();
    assert_eq!(exit(&refused), 40, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("root-ec-p256-pkcs8.pem"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("0x00007000"), "where? {}", stderr(&refused));
}

/// The key that every copy of MCUboot comes with.
fn published() -> Vec<u8> {
    let list = fs::read(project("keys-public/known-development-keys.json")).unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let known = "e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6";
    let key = list["keys"].as_array().unwrap().iter().find(|key| key["spki_sha256"] == known).unwrap();
    rootstamp::ident::bytes_from_hex(key["spki_der_hex"].as_str().unwrap()).unwrap()
}

/// A hex with these bytes at an address below 64 KiB, before everything else.
fn with_record(hex: &str, address: u16, bytes: &[u8]) -> String {
    let records = bytes.chunks(16).zip((address..).step_by(16)).map(|(part, at)| {
        let head = [u8::try_from(part.len()).unwrap(), at.to_be_bytes()[0], at.to_be_bytes()[1], 0];
        let record = [&head, part].concat();
        let sum = record.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
        let digits: Vec<String> = record.iter().chain([&sum]).map(|byte| format!("{byte:02X}")).collect();
        format!(":{}\n", digits.concat())
    });
    records.collect::<String>() + hex
}

/// The same line where no file may grow beyond so many KiB, as on a disk that is full.
fn limited(blocks: u32, line: &Command, label: &str) -> Command {
    let mut shell = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script]).arg(line.get_program()).args(line.get_args()).args(["--scan", label]);
    shell.stdin(Stdio::null());
    shell
}

#[test]
fn a_full_disk_holds_the_line_and_the_next_start_works() {
    let held = AtomicU32::new(0);
    at_once([(1, 64), (2, 32), (3, 8), (4, 96)], |(unit, blocks)| {
        let bench = Bench::one();
        // Records that exist already, so that it is the unit that finds no room.
        assert_eq!(exit(&bench.scan(&[&label(9)])), 0);
        bench.boards.order("site-1", "swap");
        let stopped = limited(blocks, &bench.line(), &label(unit)).output().unwrap();
        let told = stdout(&stopped);
        if exit(&stopped) == 30 && told.contains("line_holds") {
            held.fetch_add(1, Ordering::Relaxed);
            assert_ne!(verdict(&stopped), "PASS", "{told}");
        } else {
            assert!([0, 30].contains(&exit(&stopped)), "{blocks}: {} {told}{}", exit(&stopped), stderr(&stopped));
        }
        bench.is_whole();
        bench.truth("site-1", &label(unit));
        bench.passes_within_three(&label(unit));
        bench.truth("site-1", &label(unit));
        bench.is_whole();
    });
    assert!(held.load(Ordering::Relaxed) > 0, "no disk was full in the middle of a unit");
}

#[test]
fn verify_tells_what_it_can_and_what_it_cannot_and_notices_another_board() {
    let bench = Bench::one();
    assert_eq!(exit(&bench.scan(&[&label(1)])), 0);
    let device = bench.boards.device("site-1");
    let whole = bench.verify(&label(1), "site-1");
    assert_eq!(exit(&whole), 0, "{}", stdout(&whole));
    let told = &objects(&whole)[0];
    assert_eq!((&told["agrees"], &told["device"]), (&true.into(), &json!(null)));
    assert!(told["finding"].as_str().unwrap().contains("identity not seen"), "{told}");
    let none = bench.verify(&label(2), "site-1");
    assert_eq!(exit(&none), 12, "{}", stdout(&none));
    bench.boards.order("site-1", "swap");
    let other = bench.verify(&label(1), "site-1");
    assert_eq!(exit(&other), 10, "a virgin board is not the finished unit: {}", stdout(&other));
    bench.boards.order("site-1", "remove");
    let absent = bench.verify(&label(1), "site-1");
    assert_eq!(exit(&absent), 21, "{}", stderr(&absent));
    bench.boards.insert("site-1", &device);
    assert_eq!(exit(&bench.verify(&label(1), "site-1")), 0);
    assert_eq!(bench.entries(&label(1)).iter().filter(|kind| *kind == "measured").count(), 3);
    bench.is_whole();
}

#[test]
fn hostile_scans_are_refused_in_short_words_and_the_next_good_one_works() {
    let bench = Bench::one();
    let mut line = Line::start(&mut bench.line());
    line.sees(0, "fresh");
    let long = vec![b'A'; 5000];
    for hostile in [
        long.as_slice(),
        b"\x1b[2J\x1b[?1049l\x1b]0;owned\x07",
        b"\x00\x01\x02\x7f",
        b"'; DROP TABLE entries; --",
        b"\xff\xfe\xf8",
        b"GW3-0000001S",
        b"GW3-0000001R@nowhere",
    ] {
        line.type_in(&[hostile, b"\r"].concat());
        let event = line.wait("a refusal", |event| event["event"] == "scan_refused");
        let read = event["read"].as_str().unwrap();
        assert!(read.chars().count() <= 40 && !read.chars().any(char::is_control), "{event}");
    }
    line.scan(&label(1));
    assert_eq!(line.verdict(0)["verdict"], "PASS");
    let (exit, told) = line.leave();
    assert_eq!((exit, verdicts(&told).len()), (2, 1));
    assert_eq!(bench.units().len(), 1);
    bench.is_whole();
}
