//! `rootstamp records` and `rootstamp dispose`, as a person or a script runs them.

use std::{path::Path, process::Output};

use rootstamp::ident::Digest;
use rusqlite::types::ValueRef;
use serde_json::Value;

use crate::ledger::{file, hold, open, rootstamp, tamper, with_passed};

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn exit(arguments: &[&str], data: &Path) -> Option<i32> {
    rootstamp(arguments, data).status.code()
}

#[test]
fn the_list_names_serial_device_key_variant_lock_evidence_and_verdict() {
    let dir = with_passed(3);
    let units = lines(&rootstamp(&["records", "list", "--json"], dir.path()));
    assert_eq!(units.len(), 3);
    let unit = &units[1];
    assert_eq!(unit["schema_version"], 1);
    assert_eq!(unit["serial"], "GW3-0000002");
    assert_eq!(unit["device_id"], "0000abcd00000002");
    assert_eq!(unit["key_fingerprint"].as_str().unwrap().len(), 64);
    assert_eq!((&unit["part"], &unit["variant"]), (&"nRF52840".into(), &"AAF0".into()));
    assert_eq!((&unit["verdict"], &unit["standing"]), (&"PASS".into(), &"passed".into()));
    assert_eq!((&unit["run"], &unit["entry"], &unit["attempts"]), (&7.into(), &11.into(), &1.into()));
    let lock = unit["lock_evidence"].as_array().unwrap();
    assert_eq!((lock.len(), &lock[0]["of"], &lock[0]["agrees"]), (1, &"lock.approtect".into(), &true.into()));
}

#[test]
fn a_unit_is_shown_with_all_its_entries_and_an_unknown_one_is_refused() {
    let dir = with_passed(2);
    let shown = lines(&rootstamp(&["records", "show", "GW3-0000001", "--json"], dir.path()));
    let kinds: Vec<_> = shown[0]["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds, ["erase_intent", "bound", "stamp_intent", "verified", "passed"]);
    let told = rootstamp(&["records", "show", "GW3-0000001"], dir.path());
    assert!(String::from_utf8(told.stdout).unwrap().contains("\"variant\":\"AAF0\""));
    assert_eq!(exit(&["records", "show", "GW3-0000009"], dir.path()), Some(2));
    assert_eq!(exit(&["records", "show", "'; DROP TABLE entries"], dir.path()), Some(2));
}

#[test]
fn a_search_finds_a_unit_by_any_text_of_its_record_and_takes_no_pattern() {
    let dir = with_passed(2);
    hold(&mut open(dir.path()).unwrap(), 3, "100% of the words_read differ");
    for (text, found) in [
        ("gw3-0000003", 1),
        ("0000ABCD00000001", 1),
        ("aaf0", 3),
        ("100% OF the words_", 1),
        ("100%differ", 0),
        ("' OR 1=1 --", 0),
        ("GW4", 0),
    ] {
        assert_eq!(lines(&rootstamp(&["records", "search", text, "--json"], dir.path())).len(), found, "{text}");
    }
}

#[test]
fn one_changed_byte_makes_verify_exit_31_and_name_the_entry() {
    let dir = with_passed(2);
    let whole = rootstamp(&["records", "verify"], dir.path());
    assert_eq!(whole.status.code(), Some(0));
    assert!(String::from_utf8(whole.stdout).unwrap().starts_with("whole: 11 entries, head "));
    tamper(dir.path(), "UPDATE entries SET body = replace(body, 'AAF0', 'AAF1') WHERE seq = 8");
    let broken = rootstamp(&["records", "verify"], dir.path());
    assert_eq!(broken.status.code(), Some(31));
    assert!(broken.stdout.is_empty());
    assert!(String::from_utf8(broken.stderr).unwrap().contains("entry 8"));
    let told = rootstamp(&["records", "verify", "--json"], dir.path());
    assert_eq!(told.status.code(), Some(31));
    let told = &lines(&told)[0];
    assert_eq!((&told["whole"], &told["entry"]), (&false.into(), &8.into()));
}

#[test]
fn no_records_is_a_plain_answer_and_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    for question in ["list", "verify"] {
        let output = rootstamp(&["records", question], dir.path());
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains("there are no records"));
    }
    assert_eq!(exit(&["dispose", "void", "GW3-0000001", "--reason", "x"], dir.path()), Some(2));
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_hold_ends_with_a_recorded_decision() {
    let dir = with_passed(1);
    hold(&mut open(dir.path()).unwrap(), 2, "open after the power cycle");
    let hostile = r#"=cmd|'/C calc'!A0 "; DROP"#;
    let release = ["dispose", "release", "GW3-0000002", "--by", "Ada", "--json", "--reason", hostile];
    let done = lines(&rootstamp(&release, dir.path()));
    assert_eq!((&done[0]["standing"], &done[0]["disposition"]), (&"open".into(), &"release".into()));
    let shown = lines(&rootstamp(&["records", "show", "GW3-0000002", "--json"], dir.path()));
    let last = shown[0]["entries"].as_array().unwrap().last().unwrap()["body"].as_str().unwrap().to_owned();
    let body: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&body["reason"], &body["by"]), (&hostile.into(), &"Ada".into()));
    assert_eq!(exit(&release, dir.path()), Some(2), "not held any more");
    assert_eq!(exit(&["dispose", "scrap", "GW3-0000001", "--reason", "x"], dir.path()), Some(0));
    assert_eq!(exit(&["dispose", "void", "GW3-0000001", "--reason", "x"], dir.path()), Some(2), "scrapped already");
    assert_eq!(exit(&["dispose", "void", "GW3-0000002", "--reason", "a\nb"], dir.path()), Some(2), "no such reason");
    assert_eq!(exit(&["dispose", "void", "GW3-0000002"], dir.path()), Some(2), "no reason");
}

#[test]
fn the_documented_query_gives_the_bytes_that_were_hashed() {
    let page = include_str!("../docs/records.md");
    let from = page.find("SELECT 'rootstamp-entry-v1'").unwrap();
    let query = page[from..].split("WHERE").next().unwrap().to_owned() + "ORDER BY seq";
    let dir = with_passed(2);
    let conn = rusqlite::Connection::open(file(dir.path())).unwrap();
    let mut entries = conn.prepare(&query).unwrap();
    let mut rows = entries.query([]).unwrap();
    let mut hashes = conn.prepare("SELECT hash FROM entries ORDER BY seq").unwrap();
    let mut hashes = hashes.query_map([], |row| row.get::<_, [u8; 32]>(0)).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let shown = (0..13).map(|column| match row.get_ref(column).unwrap() {
            ValueRef::Null => "\n".to_owned(),
            ValueRef::Integer(number) => format!("{number}\n"),
            text @ (ValueRef::Text(_) | ValueRef::Blob(_) | ValueRef::Real(_)) => {
                format!("{}\n", text.as_str().unwrap())
            }
        });
        assert_eq!(Digest::of(shown.collect::<String>().as_bytes()).0, hashes.next().unwrap().unwrap());
    }
    assert!(hashes.next().is_none());
}

#[test]
fn the_views_for_people_tell_units_and_failures() {
    let dir = with_passed(1);
    hold(&mut open(dir.path()).unwrap(), 2, "open after the power cycle");
    let conn = rusqlite::Connection::open(file(dir.path())).unwrap();
    let text = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let units = "SELECT group_concat(serial || ' ' || device || ' ' || last_word || ' ' || runs || ' ' || last_entry, ', ') FROM v_units";
    assert_eq!(text(units), "GW3-0000001 0000abcd00000001 PASS 1 6, GW3-0000002 0000abcd00000002 HOLD 1 10");
    assert_eq!(
        text("SELECT serial || step || code || what FROM v_failures"),
        "GW3-0000002lockR-101open after the power cycle"
    );
}
