//! The ledger as a file: one writer, whole after a crash, never mixed, never overwritten.

#![expect(clippy::disallowed_methods, reason = "files are damaged here, not read for what they say")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use rootstamp::{
    clock::{Frozen, Millis},
    fault::{Exit, Fault, Party},
    ident::{DeviceId, Digest, Mode, RunId, Serial},
    ledger::{
        About, Fact, Kind, Ledger, Opening, Standing,
        evidence::{Evidence, Method},
        facts::{Bound, Ending, EraseIntent, StampIntent, Stopped},
    },
};
use rusqlite::Connection;
use serde::Serialize;
use tempfile::TempDir;

/// What `gate` makes of a verified and of a passed unit, as far as the ledger looks at it.
#[derive(Serialize)]
struct Proof<const PASSED: bool> {
    run: RunId,
    serial: Serial,
    device: DeviceId,
    evidence: Vec<Evidence>,
}

impl<const PASSED: bool> Fact for Proof<PASSED> {
    const KIND: Kind = if PASSED { Kind::Passed } else { Kind::Verified };

    fn about(&self) -> About {
        About { run: Some(self.run), serial: Some(self.serial.clone()), device: Some(self.device) }
    }
}

pub(crate) fn opening() -> Opening {
    Opening { mode: Mode::Training, station: "bench 1".to_owned(), tool: "0.1.0".to_owned() }
}

pub(crate) fn open(dir: &Path) -> Result<Ledger, Fault> {
    Ledger::open(dir, &opening(), Arc::new(Frozen::default()))
}

pub(crate) fn serial(number: u32) -> Serial {
    format!("GW3-{number:07}").parse().unwrap()
}

pub(crate) fn device(number: u32) -> DeviceId {
    DeviceId::from_words(number, 0xABCD).unwrap()
}

/// A directory with so many finished units.
pub(crate) fn with_passed(units: u32) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = open(dir.path()).unwrap();
    for unit in 1..=units {
        pass(&mut ledger, unit);
    }
    dir
}

/// Begins a run and binds it, on a station's part.
pub(crate) fn begin(ledger: &mut Ledger, unit: u32) -> RunId {
    let golden = ledger.keep_golden(b"golden").unwrap();
    let intent = EraseIntent {
        serial: serial(unit),
        site: "left".to_owned(),
        probe: "20b7:9db1".to_owned(),
        product: "GW3".to_owned(),
        recipe: Digest::of(b"recipe"),
        device: None,
        port: "closed, as shipped".to_owned(),
        resumes: None,
        golden,
        key: Some(Digest::of(b"key")),
    };
    let run = ledger.keep(intent).unwrap().run();
    let (serial, device) = (serial(unit), device(unit));
    let (part, variant) = ("nRF52840".to_owned(), "AAF0".to_owned());
    ledger.keep(Bound { run, serial, device, part, variant, evidence: Vec::new() }).unwrap();
    run
}

pub(crate) fn pass(ledger: &mut Ledger, unit: u32) {
    let run = begin(ledger, unit);
    let (serial, device) = (serial(unit), device(unit));
    let stamp = StampIntent { run, serial: serial.clone(), device, words: Vec::new(), digest: Digest::of(b"words") };
    ledger.keep(stamp).unwrap();
    ledger.keep(Proof::<false> { run, serial: serial.clone(), device, evidence: Vec::new() }).unwrap();
    let evidence = vec![seen("lock.approtect"), seen("flash.bootloader")];
    ledger.keep(Proof::<true> { run, serial, device, evidence }).unwrap();
}

pub(crate) fn hold(ledger: &mut Ledger, unit: u32, why: &str) {
    let run = begin(ledger, unit);
    let stopped = Stopped {
        run: Some(run),
        serial: serial(unit),
        device: Some(device(unit)),
        verdict: Ending::Hold,
        fault: Fault::new(Party::Operator, why, "Wait.").code("R-101"),
        touched: true,
        step: "lock".to_owned(),
        evidence: Vec::new(),
    };
    ledger.keep(stopped).unwrap();
}

fn seen(of: &str) -> Evidence {
    let (expected, observed) = (Some("closed".to_owned()), Some("closed".to_owned()));
    Evidence { of: of.to_owned(), method: Method::StatusRegister, expected, observed, agrees: true, at: Millis(7) }
}

pub(crate) fn file(dir: &Path) -> std::path::PathBuf {
    dir.join("ledger.sqlite")
}

/// Changes the file behind the program's back, with its own triggers put back afterwards.
pub(crate) fn tamper(dir: &Path, sql: &str) {
    let conn = Connection::open(file(dir)).unwrap();
    let stays: String =
        conn.query_row("SELECT sql FROM sqlite_schema WHERE name = 'entries_stay'", [], |row| row.get(0)).unwrap();
    conn.execute_batch(&format!("DROP TRIGGER entries_stay; {sql}; {stays}")).unwrap();
}

/// The program itself.
pub(crate) fn rootstamp(arguments: &[&str], data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rootstamp"));
    command.args(arguments).env("ROOTSTAMP_DATA", data).output().unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let name = |item: Result<fs::DirEntry, _>| item.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}

fn refused<T>(outcome: Result<T, Fault>) -> (String, Exit) {
    let fault = outcome.err().expect("a refusal");
    (fault.code, fault.exit)
}

fn code(code: &str, exit: Exit) -> (String, Exit) {
    (code.to_owned(), exit)
}

#[test]
fn a_ledger_remembers_its_units_after_it_was_closed() {
    let dir = with_passed(2);
    let ledger = open(dir.path()).unwrap();
    assert!(matches!(ledger.unit(&serial(2)).unwrap(), Standing::Passed { .. }));
    assert_eq!(ledger.records().verify().unwrap().entries, 12, "two openings, two units of five commits");
    assert_eq!(ledger.golden(&Digest::of(b"golden")).unwrap().as_deref(), Some(&b"golden"[..]));
    assert_eq!(ledger.records().intent(RunId(2)).unwrap().unwrap().product, "GW3");
}

#[test]
fn a_second_station_on_the_same_records_is_refused_and_a_reader_is_not() {
    let dir = with_passed(1);
    let ledger = open(dir.path()).unwrap();
    assert_eq!(refused(open(dir.path())), code("L-132", Exit::InUse));
    let disposed = rootstamp(&["dispose", "void", "GW3-0000001", "--reason", "test"], dir.path());
    assert_eq!(disposed.status.code(), Some(32), "another process");
    assert_eq!(Ledger::read_only(dir.path()).unwrap().verify().unwrap().entries, 7);
    drop(ledger);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_station_waits_for_a_reader_of_records_at_rest() {
    let dir = with_passed(1);
    let reader = Ledger::read_only(dir.path()).unwrap();
    let fault = open(dir.path()).err().unwrap();
    assert_eq!(fault.exit, Exit::InUse);
    assert!(fault.what.contains("being read"), "{fault}");
    drop(reader);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_reader_sees_what_the_station_keeps_meanwhile() {
    let dir = with_passed(1);
    let mut ledger = open(dir.path()).unwrap();
    let reader = Ledger::read_only(dir.path()).unwrap();
    begin(&mut ledger, 2);
    assert!(matches!(reader.unit(&serial(2)).unwrap(), Standing::Open { .. }));
    let entries = reader.at_one_moment(|moment| {
        let before = moment.verify()?.entries;
        pass(&mut ledger, 3);
        assert_eq!(moment.verify()?.entries, before);
        Ok(before)
    });
    assert_eq!(reader.verify().unwrap().entries, entries.unwrap() + 5);
}

#[test]
fn reading_makes_no_file_and_no_directory() {
    let dir = with_passed(1);
    let before = names(dir.path());
    assert_eq!(before, ["ledger.sqlite", "station.lock"]);
    Ledger::read_only(dir.path()).unwrap().verify().unwrap();
    assert_eq!(names(dir.path()), before);
    fs::remove_file(dir.path().join("station.lock")).unwrap();
    Ledger::read_only(dir.path()).unwrap().verify().unwrap();
    assert_eq!(names(dir.path()), ["ledger.sqlite"]);
    let nowhere = dir.path().join("nowhere");
    assert_eq!(refused(Ledger::read_only(&nowhere)), code("L-102", Exit::Usage));
    assert!(!nowhere.exists());
}

#[test]
fn modes_and_stations_are_never_mixed() {
    let dir = with_passed(1);
    let clock = || Arc::new(Frozen::default());
    let engineering = Opening { mode: Mode::Engineering, ..opening() };
    assert_eq!(refused(Ledger::open(dir.path(), &engineering, clock())), code("L-103", Exit::Usage));
    let elsewhere = Opening { station: "bench 2".to_owned(), ..opening() };
    assert_eq!(refused(Ledger::open(dir.path(), &elsewhere, clock())), code("L-103", Exit::Usage));
    assert_eq!(Ledger::read_only(dir.path()).unwrap().verify().unwrap().entries, 6, "nothing was recorded");
}

#[test]
fn a_newer_or_foreign_file_is_left_as_it_is() {
    for (sql, expected) in [
        ("PRAGMA user_version = 2", code("L-104", Exit::Usage)),
        ("PRAGMA application_id = 7", code("L-105", Exit::Usage)),
        ("PRAGMA application_id = 0", code("L-105", Exit::Usage)),
    ] {
        let dir = with_passed(1);
        let conn = Connection::open(file(dir.path())).unwrap();
        conn.execute_batch(&format!("PRAGMA journal_mode = DELETE; {sql}")).unwrap();
        drop(conn);
        let before = fs::metadata(file(dir.path())).unwrap().modified().unwrap();
        assert_eq!(refused(open(dir.path())), expected, "{sql}");
        assert_eq!(refused(Ledger::read_only(dir.path())), expected, "{sql}");
        assert_eq!(fs::metadata(file(dir.path())).unwrap().modified().unwrap(), before, "{sql}");
    }
}

#[test]
fn a_file_that_is_no_database_or_was_damaged_is_reported_as_tampered() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(file(dir.path()), "not a database at all, but long enough to be taken for one".repeat(20)).unwrap();
    assert_eq!(refused(open(dir.path())).1, Exit::Tampered);
    let dir = with_passed(3);
    let mut bytes = fs::read(file(dir.path())).unwrap();
    let at = bytes.windows(8).rposition(|window| window == b"nRF52840").unwrap();
    bytes[at] ^= 1;
    fs::write(file(dir.path()), bytes).unwrap();
    assert_eq!(refused(open(dir.path())).1, Exit::Tampered);
}

#[test]
fn a_page_of_an_index_that_lost_its_unit_is_found() {
    let dir = with_passed(1);
    let mut bytes = fs::read(file(dir.path())).unwrap();
    let positions: Vec<usize> =
        bytes.windows(11).enumerate().filter(|(_, window)| *window == b"GW3-0000001").map(|(at, _)| at).collect();
    let mut found = 0;
    for at in positions {
        bytes[at + 10] = b'2';
        fs::write(file(dir.path()), &bytes).unwrap();
        found += usize::from(open(dir.path()).is_err());
        bytes[at + 10] = b'1';
    }
    fs::write(file(dir.path()), &bytes).unwrap();
    assert!(open(dir.path()).is_ok());
    assert!(found > 10, "in every body, in every column and in the index: {found}");
}

#[test]
fn what_was_kept_is_there_after_the_power_failed_at_once() {
    let dir = with_passed(1);
    let mut ledger = open(dir.path()).unwrap();
    let run = begin(&mut ledger, 2);
    // What the disk holds at this moment, as a machine finds it that starts again.
    let later = tempfile::tempdir().unwrap();
    for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
        fs::copy(dir.path().join(name), later.path().join(name)).unwrap();
    }
    let standing = Standing::Open { run, device: Some(device(2)), locked_intent: false, attempts: 1, released: false };
    assert_eq!(Ledger::read_only(later.path()).unwrap().unit(&serial(2)).unwrap(), standing);
    assert_eq!(open(later.path()).unwrap().unit(&serial(2)).unwrap(), standing);
}

#[test]
fn a_finished_unit_does_not_rest_in_the_write_ahead_log() {
    let dir = with_passed(1);
    let mut ledger = open(dir.path()).unwrap();
    pass(&mut ledger, 2);
    assert_eq!(fs::metadata(dir.path().join("ledger.sqlite-wal")).unwrap().len(), 0);
    drop(ledger);
    fs::remove_file(dir.path().join("station.lock")).unwrap();
    let reader = Ledger::read_only(dir.path()).unwrap();
    assert!(matches!(reader.unit(&serial(2)).unwrap(), Standing::Passed { .. }));
}

#[test]
fn a_chain_that_is_not_whole_is_not_continued() {
    let dir = with_passed(2);
    tamper(dir.path(), "UPDATE entries SET body = replace(body, 'AAF0', 'AAF1') WHERE seq = 3");
    let fault = open(dir.path()).err().unwrap();
    assert_eq!(fault.exit, Exit::Tampered);
    assert!(fault.what.contains("entry 3"), "{fault}");
    let disposed = rootstamp(&["dispose", "void", "GW3-0000001", "--reason", "test"], dir.path());
    assert_eq!(disposed.status.code(), Some(31));
}

#[test]
fn a_directory_that_cannot_be_used_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data"), "a file").unwrap();
    assert_eq!(refused(open(&dir.path().join("data"))), code("L-110", Exit::NotRecorded));
}
