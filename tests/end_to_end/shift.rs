//! A headless shift of the demo, and the records it leaves.

use std::{path::Path, process::Output};

use rusqlite::Connection;
use serde_json::Value;

use super::{
    bench::{records, verdicts},
    exit, objects, rootstamp, stderr, stdout,
};

fn demo(data: &Path, more: &[&str]) -> Output {
    rootstamp().args(["demo", "--headless", "--json", "--data"]).arg(data).args(more).output().unwrap()
}

/// Serial numbers and device ids of the units that passed, one shift or more.
fn passed(output: &Output) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let outcomes = verdicts(&objects(output));
    outcomes
        .iter()
        .map(|outcome| {
            assert_eq!((&outcome["verdict"], &outcome["beside"]), (&"PASS".into(), &"boot seen".into()), "{outcome}");
            (text(&outcome["serial"]), text(&outcome["device"]))
        })
        .collect()
}

#[test]
fn a_headless_shift_of_three_passes_and_is_recorded_whole() {
    let data = tempfile::tempdir().unwrap();
    let shift = demo(data.path(), &["--units", "3"]);
    assert_eq!(exit(&shift), 0, "{}", stderr(&shift));
    let units = passed(&shift);
    assert_eq!(units.len(), 3);
    let last = objects(&shift).pop().unwrap();
    assert_eq!((&last["event"], &last["tally"]["passed"]), (&"closed".into(), &3.into()));
    let listed = objects(&records(data.path(), &["list", "--json"]));
    assert_eq!(listed.len(), 3);
    for (unit, (serial, device)) in listed.iter().zip(&units) {
        assert_eq!((&unit["serial"], &unit["device_id"]), (&serial.as_str().into(), &device.as_str().into()));
        assert_eq!(unit["key_fingerprint"], "aee3f2c356b88c41198fa8fd0fe788e5a5e86295fa295ee0774361776489e206");
        assert_eq!((&unit["verdict"], &unit["variant"]), (&"PASS".into(), &"AAF0".into()));
        let lock = unit["lock_evidence"].as_array().unwrap();
        assert!(lock.iter().any(|seen| seen["of"] == "lock.memory_refused" && seen["agrees"] == true), "{unit}");
    }
    let whole = records(data.path(), &["verify"]);
    assert!(exit(&whole) == 0 && stdout(&whole).starts_with("whole: 16 entries"), "{}", stdout(&whole));
}

#[test]
fn a_second_shift_on_the_same_records_goes_on_with_labels_and_devices() {
    let data = tempfile::tempdir().unwrap();
    let mut units = passed(&demo(data.path(), &["--units", "2"]));
    units.extend(passed(&demo(data.path(), &["--units", "2"])));
    let serials: Vec<_> = units.iter().map(|(serial, _)| serial.clone()).collect();
    assert_eq!(serials, (1..=4).map(super::label).collect::<Vec<_>>());
    units.sort_by(|one, other| one.1.cmp(&other.1));
    units.dedup_by(|one, other| one.1 == other.1);
    assert_eq!(units.len(), 4, "a device id came twice");
}

#[test]
fn old_silicon_and_both_latch_rules_pass_as_well() {
    for (silicon, latch) in [("old", "strict"), ("old", "lenient"), ("hardened", "lenient")] {
        let data = tempfile::tempdir().unwrap();
        let shift = demo(data.path(), &["--units", "1", "--silicon", silicon, "--latch", latch]);
        assert_eq!((exit(&shift), passed(&shift).len()), (0, 1), "{silicon} {latch}: {}", stderr(&shift));
    }
}

#[test]
fn one_changed_byte_of_any_stored_entry_is_found_and_the_entry_named() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(exit(&demo(data.path(), &["--units", "1"])), 0);
    for seq in [1, 4, 6] {
        let file = data.path().join("ledger.sqlite");
        let before = std::fs::read(&file).unwrap();
        let conn = Connection::open(&file).unwrap();
        unguarded(&conn);
        let changed = "UPDATE entries SET body = substr(body, 1, instr(body, 'd') - 1) || 'c' || \
                       substr(body, instr(body, 'd') + 1) WHERE seq = ?1";
        assert_eq!(conn.execute(changed, [seq]).unwrap(), 1);
        drop(conn);
        let broken = records(data.path(), &["verify"]);
        assert_eq!(exit(&broken), 31, "{}", stdout(&broken));
        assert!(stderr(&broken).contains(&format!("entry {seq}")), "{}", stderr(&broken));
        let label = super::label(1);
        for question in [&["list"][..], &["list", "--json"], &["show", &label], &["search", "GW3"]] {
            let asked = records(data.path(), question);
            assert_eq!((exit(&asked), stdout(&asked).as_str()), (31, ""), "{question:?}");
            assert!(stderr(&asked).contains(&format!("entry {seq}")), "{question:?} {}", stderr(&asked));
        }
        std::fs::write(&file, before).unwrap();
        assert_eq!(exit(&records(data.path(), &["verify"])), 0);
    }
}

/// Without the triggers that keep entries as they are, as somebody with the file at hand has it.
fn unguarded(conn: &Connection) {
    let mut names = conn.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!names.is_empty());
    conn.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    names.iter().for_each(|name| conn.execute_batch(&format!("DROP TRIGGER \"{name}\"")).unwrap());
}

#[test]
fn a_pass_that_was_given_to_another_label_is_found() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(exit(&demo(data.path(), &["--units", "1"])), 0);
    let conn = Connection::open(data.path().join("ledger.sqlite")).unwrap();
    unguarded(&conn);
    conn.execute("UPDATE entries SET serial = 'GW3-0000009X' WHERE seq = 6", []).unwrap();
    drop(conn);
    let told = records(data.path(), &["verify", "--json"]);
    assert_eq!(exit(&told), 31);
    assert_eq!((&objects(&told)[0]["whole"], &objects(&told)[0]["entry"]), (&false.into(), &6.into()));
}
