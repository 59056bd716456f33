//! Whatever is done to the stored entries, the first bad one is named. Constraints and triggers are out of the way
//! here, as they are for somebody who edits the file.

use rusqlite::types::Value;

use super::*;

/// A chain with every kind of entry in it.
fn every_kind() -> Ledger {
    let mut ledger = fresh();
    let passed = run(&mut ledger, 1, 1, To::C5).unwrap();
    let held = run(&mut ledger, 2, 2, To::C1).unwrap();
    let because = "erased again".to_owned();
    ledger.keep(Voided { run: passed, serial: serial(1), device: device(1), because, by_run: held }).unwrap();
    ledger.keep(stopped(Some(held), 2, Ending::Hold)).unwrap();
    dispose(&mut ledger, 1, Disposition::Scrap).unwrap();
    let comparison = "agrees".to_owned();
    let measured = Measured { serial: serial(2), device: None, agrees: true, evidence: Vec::new(), comparison };
    ledger.keep(measured).unwrap();
    ledger.records.verify().unwrap();
    ledger
}

/// Lets `sql` happen, asks, and undoes it; `None` if not even SQLite lets it happen.
fn after(ledger: &Ledger, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Option<Result<Chain, Broken>> {
    let conn = &ledger.records.conn;
    let change = conn.unchecked_transaction().unwrap();
    let rules: Vec<String> = {
        let mut rules = conn.prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        rules.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    lift_rules(ledger);
    let done = if values.is_empty() { conn.execute_batch(sql) } else { conn.execute(sql, values).map(drop) };
    // Back in place, so that it is not their absence that is noticed.
    for rule in rules {
        conn.execute_batch(&rule).unwrap();
    }
    let found = done.ok().map(|()| ledger.records.verify());
    change.rollback().unwrap();
    found
}

fn lift_rules(ledger: &Ledger) {
    let lifted = "PRAGMA ignore_check_constraints = ON; DROP TRIGGER entries_follow; DROP TRIGGER entries_stay; \
                  DROP TRIGGER entries_remain; DROP TRIGGER goldens_stay; DROP TRIGGER goldens_remain;";
    ledger.records.conn.execute_batch(lifted).unwrap();
}

fn found_at(ledger: &Ledger, sql: &str) -> Option<u64> {
    after(ledger, sql, &[]).expect(sql).expect_err(sql).entry
}

#[test]
fn every_flipped_bit_of_every_stored_field_is_found_in_its_entry() {
    let ledger = every_kind();
    // For all of the flips at once: the entries are looked at before the rules.
    lift_rules(&ledger);
    let columns: Vec<&str> = COLUMNS.split(", ").collect();
    let mut flips = 0;
    for seq in 1..=ledger.head.0 {
        for column in &columns {
            let sql = format!("SELECT {column} FROM entries WHERE seq = ?1");
            let stored: Value = ledger.records.conn.query_row(&sql, [seq], |row| row.get(0)).unwrap();
            for flipped in flipped(&stored) {
                let text = matches!(stored, Value::Text(_));
                let value = if text { "CAST(?1 AS TEXT)" } else { "?1" };
                let sql = format!("UPDATE entries SET {column} = {value} WHERE seq = {seq}");
                let change = ledger.records.conn.unchecked_transaction().unwrap();
                // No number is stored twice, and no text as a number.
                if change.execute(&sql, [&flipped]).is_err() {
                    assert!(*column == "seq" || stored == Value::Null, "{sql}");
                    continue;
                }
                let broken = ledger.records.verify().expect_err(&sql);
                change.rollback().unwrap();
                if *column == "seq" && matches!(flipped, Value::Integer(..=0)) {
                    assert!(broken.what.contains("before the first"), "{sql} {flipped:?}: {broken}");
                } else {
                    assert_eq!(broken.entry, Some(seq), "{sql} {flipped:?}: {broken}");
                }
                flips += 1;
            }
        }
    }
    assert!(flips > 20_000, "{flips}");
}

/// Every value one bit away; text as bytes, since it need not be text any more.
fn flipped(stored: &Value) -> Vec<Value> {
    let bits = |bytes: &[u8]| {
        let one = |bit: usize| {
            let mut other = bytes.to_vec();
            other[bit / 8] ^= 1 << (bit % 8);
            Value::Blob(other)
        };
        (0..bytes.len() * 8).map(one).collect()
    };
    match stored {
        Value::Null => vec![Value::Integer(1), Value::Text(String::new()), Value::Text("A".to_owned())],
        Value::Integer(number) => (0..64).map(|bit| Value::Integer(number ^ (1 << bit))).collect(),
        Value::Text(text) => bits(text.as_bytes()),
        Value::Blob(bytes) => bits(bytes),
        Value::Real(_) => panic!("no column holds a fraction"),
    }
}

#[test]
fn an_emptied_or_shortened_field_is_found() {
    let ledger = every_kind();
    for seq in 1..=ledger.head.0 {
        for change in [
            "run = NULL",
            "serial = NULL",
            "serial = ''",
            "device = NULL",
            "device = upper(device)",
            "run = 1",
            "body = body || ' '",
            "body = body || char(10)",
            "body = '{}'",
            "station = station || char(10) || 'x'",
            "wall = substr(wall, 2)",
        ] {
            let sql = format!("UPDATE entries SET {change} WHERE seq = {seq}");
            let changed = format!(
                "SELECT count(*) FROM entries WHERE seq = {seq} AND ({}) IS NOT ({})",
                left(change),
                right(change)
            );
            let changes: i64 = ledger.records.conn.query_row(&changed, [], |row| row.get(0)).unwrap();
            match after(&ledger, &sql, &[]).unwrap() {
                Ok(_) => assert_eq!(changes, 0, "{sql}"),
                Err(broken) => assert_eq!((changes, broken.entry), (1, Some(seq)), "{sql}"),
            }
        }
    }
}

fn left(change: &str) -> &str {
    change.split(" = ").next().unwrap()
}

fn right(change: &str) -> &str {
    change.split(" = ").nth(1).unwrap()
}

#[test]
fn a_removed_renumbered_swapped_or_inserted_entry_is_named() {
    let ledger = every_kind();
    assert_eq!(found_at(&ledger, "DELETE FROM entries WHERE seq = 4"), Some(4));
    assert_eq!(found_at(&ledger, "DELETE FROM entries WHERE seq = 1"), Some(1));
    assert_eq!(found_at(&ledger, "DELETE FROM entries"), Some(1));
    assert_eq!(found_at(&ledger, "UPDATE entries SET seq = seq + 100 WHERE seq >= 5"), Some(5));
    let swapped = "UPDATE entries SET seq = 100 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 4; \
                   UPDATE entries SET seq = 4 WHERE seq = 100";
    assert_eq!(found_at(&ledger, swapped), Some(3));
    let body =
        "UPDATE entries SET body = (SELECT body FROM entries AS o WHERE o.seq = 9 - entries.seq) WHERE seq IN (4, 5)";
    assert_eq!(found_at(&ledger, body), Some(4));
    let inserted = "INSERT INTO entries SELECT 99, kind, mode, station, run, serial, device, wall, mono, clock_back, body, \
                    hash, randomblob(32) FROM entries WHERE seq = 11";
    assert_eq!(found_at(&ledger, inserted), Some(ledger.head.0 + 1));
    let before = inserted.replace("SELECT 99", "SELECT -1");
    assert_eq!(found_at(&ledger, &before), None);
}

#[test]
fn an_entry_hashed_anew_is_betrayed_by_the_one_after_it() {
    let ledger = every_kind();
    let mut forged = ledger.records.entry(6).unwrap().unwrap();
    forged.body = forged.body.replace("lock.approtect", "lock.approtecT");
    let sql = "UPDATE entries SET body = ?1, hash = ?2 WHERE seq = 6";
    let found = after(&ledger, sql, &[&forged.body, &forged.hashed().0]).unwrap();
    assert_eq!(found.unwrap_err().entry, Some(7));
}

#[test]
fn an_entry_of_another_mode_or_station_or_with_a_line_too_many_is_found_even_with_the_right_hash() {
    for forge in
        [|entry: &mut Entry| entry.mode = Mode::Production, |entry: &mut Entry| entry.station = "bench 2".to_owned()]
    {
        let ledger = every_kind();
        let last = ledger.head.0;
        let mut forged = ledger.records.entry(last).unwrap().unwrap();
        forge(&mut forged);
        let sql = format!("UPDATE entries SET mode = ?1, station = ?2, wall = ?3, hash = ?4 WHERE seq = {last}");
        let Entry { mode, station, wall, .. } = &forged;
        let found = after(&ledger, &sql, &[&mode.to_string(), station, &wall.0, &forged.hashed().0]).unwrap();
        assert_eq!(found.unwrap_err().entry, Some(last));
    }
}

#[test]
fn a_chain_whose_newest_entries_were_cut_off_is_whole_but_has_another_head() {
    let ledger = every_kind();
    let whole = ledger.records.verify().unwrap();
    let cut = after(&ledger, "DELETE FROM entries WHERE seq > 6", &[]).unwrap().unwrap();
    assert_eq!(cut.entries, 6);
    assert_ne!(cut.head, whole.head, "only a head written down elsewhere shows it");
}

#[test]
fn a_changed_or_missing_golden_state_is_found_by_the_entry_that_names_it() {
    let ledger = every_kind();
    assert_eq!(found_at(&ledger, "UPDATE goldens SET bytes = x'00'"), Some(2));
    assert_eq!(found_at(&ledger, "UPDATE goldens SET digest = zeroblob(32)"), Some(2));
    assert_eq!(found_at(&ledger, "DELETE FROM goldens"), Some(2));
    let unnamed = "INSERT INTO goldens VALUES (zeroblob(32), x'01')";
    assert!(after(&ledger, unnamed, &[]).unwrap().unwrap_err().what.contains("golden"));
}

#[test]
fn a_store_whose_own_rules_were_changed_is_found() {
    for sql in [
        "DROP TRIGGER entries_stay",
        "DROP INDEX entries_by_serial",
        "DROP VIEW v_units",
        "CREATE TRIGGER more AFTER INSERT ON entries BEGIN SELECT 1; END",
        "CREATE TABLE more (a)",
        "UPDATE migrations SET sha256 = zeroblob(32)",
        "DELETE FROM migrations",
    ] {
        let ledger = every_kind();
        ledger.records.conn.execute_batch(sql).unwrap();
        let broken = ledger.records.verify().unwrap_err();
        assert!(broken.what.contains("store"), "{sql}: {broken}");
        assert_eq!(Fault::from(broken).exit, Exit::Tampered);
    }
}
