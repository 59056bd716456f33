//! The connection is what we asked for, and a disk without room leaves nothing half-recorded.

use super::*;

#[test]
fn every_setting_that_reads_differently_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let conn = store::open(&dir.path().join(store::FILE)).unwrap();
    let others = [
        ("busy_timeout", "1"),
        ("journal_mode", "DELETE"),
        ("synchronous", "NORMAL"),
        ("fullfsync", "OFF"),
        ("checkpoint_fullfsync", "OFF"),
        ("wal_autocheckpoint", "1000"),
        ("foreign_keys", "OFF"),
        ("trusted_schema", "ON"),
        ("cell_size_check", "OFF"),
        ("recursive_triggers", "OFF"),
        ("mmap_size", "1048576"),
        ("temp_store", "FILE"),
    ];
    assert_eq!(
        others.map(|(name, _)| name).to_vec(),
        store::WRITING.iter().map(|(name, ..)| *name).collect::<Vec<_>>()
    );
    for (name, other) in others {
        store::confirm(&conn, store::WRITING).unwrap();
        conn.execute_batch(&format!("PRAGMA {name} = {other}")).unwrap();
        let fault = store::confirm(&conn, store::WRITING).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.exit), ("L-109", Exit::NotRecorded), "{name}");
        assert!(fault.what.contains(name), "{}", fault.what);
        store::set(&conn, store::WRITING).unwrap();
    }
}

#[test]
fn a_setting_that_does_not_take_is_noticed() {
    let conn = Connection::open_in_memory().unwrap();
    let fault = store::set(&conn, &[("journal_mode", "WAL", "wal")]).unwrap_err();
    assert!(fault.what.contains("journal_mode"), "memory cannot have a write-ahead log: {}", fault.what);
}

#[test]
fn a_sqlite_with_the_reset_bug_is_refused() {
    assert!(store::recent_enough(3_051_003).is_ok());
    assert_eq!(store::recent_enough(3_051_002).unwrap_err().code, "L-109");
}

#[test]
fn a_migration_that_stops_half_way_leaves_the_version_before() {
    let mut conn = store::in_memory().unwrap();
    let broken = "CREATE TABLE half (a) STRICT; CREATE TABLE entries (a);";
    assert!(store::apply(&mut conn, 2, broken).is_err());
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!((version, store::unaltered(&conn)), (1, Ok(())));
    store::apply(&mut conn, 2, "CREATE TABLE whole (a INTEGER) STRICT").unwrap();
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
}

#[test]
fn a_full_disk_records_nothing_by_halves_and_the_next_fact_is_kept() {
    let mut ledger = fresh();
    let pragma =
        |ledger: &Ledger, sql: &str| ledger.records.conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let pages = pragma(&ledger, "PRAGMA page_count");
    pragma(&ledger, &format!("PRAGMA max_page_count = {pages}"));
    let mut kept = 0;
    let fault = loop {
        match run(&mut ledger, kept, kept, To::C5) {
            Ok(_) => kept += 1,
            Err(fault) => break fault,
        }
    };
    assert_eq!((fault.code.as_str(), fault.exit), ("L-130", Exit::NotRecorded));
    assert!(fault.causes.iter().any(|cause| cause.contains("full")), "{fault}");
    let whole = ledger.records.verify().unwrap();
    assert_eq!((whole.entries, whole.head), ledger.head, "nothing half-recorded");
    assert_eq!(ledger.keep_golden(&vec![7; 100_000]).unwrap_err().code, "L-130");
    pragma(&ledger, &format!("PRAGMA max_page_count = {}", pages + 100));
    run(&mut ledger, kept, kept, To::C5).unwrap();
    ledger.records.verify().unwrap();
}

#[test]
fn after_a_failed_sync_nothing_is_kept_until_the_store_is_opened_anew() {
    let mut ledger = fresh();
    let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
    assert_eq!(ledger.ail(&rusqlite::Error::SqliteFailure(error, None)).code, "L-130");
    assert_eq!(refused(run(&mut ledger, 1, 1, To::C1)), code("L-130", Exit::NotRecorded));
    assert_eq!(ledger.keep_golden(b"more").unwrap_err().code, "L-130");
    assert!(ledger.records.verify().is_ok());
}

#[test]
fn an_entry_that_somebody_else_wrote_stops_the_station() {
    let mut ledger = fresh();
    let mut stranger = ledger.copy().unwrap();
    run(&mut stranger, 1, 1, To::C1).unwrap();
    let foreign = stranger.records.entry(2).unwrap().unwrap();
    let change = ledger.records.conn.transaction().unwrap();
    insert(&change, &foreign).unwrap();
    change.commit().unwrap();
    assert_eq!(refused(run(&mut ledger, 2, 2, To::C1)), code("L-131", Exit::Tampered));
}

#[test]
fn entries_and_golden_states_are_neither_changed_nor_removed_nor_inserted_out_of_turn() {
    let mut ledger = fresh();
    run(&mut ledger, 1, 1, To::C5).unwrap();
    let copy = "SELECT seq + 5, kind, mode, station, run, serial, device, wall, mono, clock_back, body, prev_hash, \
                randomblob(32) FROM entries WHERE seq = 6";
    for (sql, why) in [
        ("UPDATE entries SET body = '{}' WHERE seq = 2".to_owned(), "never changed"),
        ("UPDATE entries SET mono = mono".to_owned(), "never changed"),
        ("DELETE FROM entries WHERE seq = 6".to_owned(), "never removed"),
        ("UPDATE goldens SET bytes = x'00'".to_owned(), "never changed"),
        ("DELETE FROM goldens".to_owned(), "never removed"),
        (format!("INSERT INTO entries {copy}"), "follows the last"),
        (format!("REPLACE INTO entries {}", copy.replace("seq + 5", "seq")), "follows the last"),
        (format!("INSERT INTO entries {}", copy.replace("seq + 5", "seq + 1")), "follows the last"),
        ("REPLACE INTO goldens SELECT digest, x'00' FROM goldens".to_owned(), "never removed"),
    ] {
        let error = ledger.records.conn.execute(&sql, []).unwrap_err().to_string();
        assert!(error.contains(why), "{sql}: {error}");
    }
    ledger.records.verify().unwrap();
}

#[test]
fn a_clock_that_goes_back_is_noted_and_the_order_stays() {
    struct Falling(std::sync::atomic::AtomicU64);
    impl Clock for Falling {
        fn wall(&self) -> Stamp {
            let before = self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            Stamp(format!("2026-01-01T00:00:{before:02}.000Z"))
        }
        fn since_start(&self) -> Millis {
            Millis(0)
        }
        fn sleep(&self, _span: Duration) {}
    }
    let mut ledger = Ledger::in_memory(&opening(), Arc::new(Falling(59.into()))).unwrap();
    ledger.keep_golden(b"golden").unwrap();
    run(&mut ledger, 1, 1, To::C2).unwrap();
    let back: Vec<_> = ledger.records.entries().map(|entry| entry.map(|entry| (entry.seq, entry.clock_back))).collect();
    assert_eq!(back, [Ok((1, false)), Ok((2, true)), Ok((3, true))]);
    ledger.records.verify().unwrap();
}

#[test]
fn a_station_has_a_name_that_people_can_read() {
    for station in ["", "a\nb", "\u{1b}[2J", &"x".repeat(65)] {
        let opening = Opening { station: station.to_owned(), ..opening() };
        let fault = Ledger::in_memory(&opening, Arc::new(Frozen::default())).err().unwrap();
        assert_eq!(fault.code, "L-106", "{station:?}");
    }
}
