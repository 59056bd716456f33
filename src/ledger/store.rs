//! The file: one writer, settings that were read back, a schema that is what it was made as.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

use super::fault;
use crate::{clock::Clock, fault::Fault, ident::Digest};

/// "RTST"; marks the file as ours.
pub(super) const APPLICATION_ID: i64 = 0x5254_5354;

/// Schema versions in their order, from 1. A released one is never edited.
const MIGRATIONS: &[(i64, &str)] = &[(1, include_str!("1-entries.sql"))];

/// The version this program writes.
pub(super) const VERSION: i64 = 1;

/// SQLite before 3.51.3 could corrupt a write-ahead log that two connections reset at once [sqlite.org, WAL-reset bug].
const SQLITE_AT_LEAST: i32 = 3_051_003;

/// The name of the store inside the data directory.
pub(super) const FILE: &str = "ledger.sqlite";

/// Held exclusively by the one process that writes.
const LOCK: &str = "station.lock";

/// How long a connection waits for another one; the same as `busy_timeout` in [`WRITING`].
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A setting, what it is set to, and what it must say afterwards.
pub(super) type Setting = (&'static str, &'static str, &'static str);

/// Settings of a connection that writes. In WAL mode, NORMAL may lose the last commits at a power cut, and a lost
/// record of a locked unit cannot be rebuilt; the log is emptied by us alone, at known moments.
pub(super) const WRITING: &[Setting] = &[
    ("busy_timeout", "5000", "5000"),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", "2"),
    ("fullfsync", "ON", "1"),
    ("checkpoint_fullfsync", "ON", "1"),
    ("wal_autocheckpoint", "0", "0"),
    ("foreign_keys", "ON", "1"),
    ("trusted_schema", "OFF", "0"),
    ("cell_size_check", "ON", "1"),
    ("recursive_triggers", "ON", "1"),
    ("mmap_size", "0", "0"),
    ("temp_store", "MEMORY", "2"),
];

/// Settings of a connection that only reads.
pub(super) const READING: &[Setting] = &[
    ("busy_timeout", "5000", "5000"),
    ("query_only", "ON", "1"),
    ("trusted_schema", "OFF", "0"),
    ("cell_size_check", "ON", "1"),
    ("mmap_size", "0", "0"),
    ("temp_store", "MEMORY", "2"),
];

/// Takes the directory for this process; the lock ends with the returned file.
pub(super) fn claim(dir: &Path, clock: &dyn Clock) -> Result<File, Fault> {
    let cannot = |error: &std::io::Error| cannot_use(dir).because(error);
    DirBuilder::new().recursive(true).create(dir).map_err(|error| cannot(&error))?;
    let path = dir.join(LOCK);
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(|error| cannot(&error))?;
    for _ in 0..100 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(cannot(&error)),
            Err(TryLockError::WouldBlock) => {}
        }
        // A reader of a store at rest shares the lock for a moment; a station holds it alone.
        if file.try_lock_shared().is_err() {
            return Err(fault::in_use(
                format!("another station works with the records in {}", dir.display()),
                "Use that one, or close it; or give this station its own directory with --data.",
            ));
        }
        let _ = file.unlock();
        clock.sleep(Duration::from_millis(50));
    }
    Err(fault::in_use(
        format!("the records in {} are being read", dir.display()),
        "Wait until the export or the check is done, then start again.",
    ))
}

/// Opens the store to write, making or upgrading it.
pub(super) fn open(path: &Path) -> Result<Connection, Fault> {
    recent_enough(rusqlite::version_number())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags).map_err(|error| fault::unreadable(&error))?;
    // Whose file it is comes first: setting WAL mode would already change a stranger's.
    ours(&conn, path)?;
    set(&conn, WRITING)?;
    harden(&conn)?;
    migrate(&mut conn)?;
    Ok(conn)
}

/// A store that lives as long as its connection.
pub(super) fn in_memory() -> Result<Connection, Fault> {
    let mut conn = empty()?;
    migrate(&mut conn)?;
    Ok(conn)
}

/// The place for one, still without a schema.
pub(super) fn empty() -> Result<Connection, Fault> {
    recent_enough(rusqlite::version_number())?;
    let conn = Connection::open_in_memory().map_err(|error| fault::unreadable(&error))?;
    let settings: Vec<Setting> = WRITING.iter().copied().filter(|(name, ..)| *name != "journal_mode").collect();
    set(&conn, &settings)?;
    harden(&conn)?;
    Ok(conn)
}

/// A store opened to read, and the shared lock that keeps it at rest meanwhile.
pub(super) struct AtRest {
    pub(super) conn: Connection,
    pub(super) lock: Option<File>,
}

/// Opens the store to read. Makes no file, not even where a station's write-ahead log is missing: a store at rest is
/// read as it lies, so that a copy on a read-only medium can be read too.
pub(super) fn read_only(dir: &Path) -> Result<AtRest, Fault> {
    let path = dir.join(FILE);
    if !path.is_file() {
        return Err(fault::no_ledger(&dir.display().to_string()));
    }
    let (lock, busy) = at_rest(dir);
    let running = busy || wal_of(&path).exists();
    let uri = format!("file:{}?mode=ro{}", escaped(&path), if running { "" } else { "&immutable=1" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(uri, flags).map_err(|error| fault::unreadable(&error))?;
    ours(&conn, &path)?;
    set(&conn, READING)?;
    harden(&conn)?;
    if version(&conn)? == 0 {
        return Err(fault::no_ledger(&dir.display().to_string()));
    }
    Ok(AtRest { conn, lock: lock.filter(|_| !running) })
}

/// Sets each, and believes only what is read back.
pub(super) fn set(conn: &Connection, settings: &[Setting]) -> Result<(), Fault> {
    for (name, value, _) in settings {
        let sql = format!("PRAGMA {name} = {value}");
        let mut statement = conn.prepare(&sql).map_err(|error| fault::unreadable(&error))?;
        let mut rows = statement.query([]).map_err(|error| fault::unreadable(&error))?;
        while rows.next().map_err(|error| fault::unreadable(&error))?.is_some() {}
    }
    confirm(conn, settings)
}

/// Refuses a connection on which any setting reads differently.
pub(super) fn confirm(conn: &Connection, settings: &[Setting]) -> Result<(), Fault> {
    for (name, value, wanted) in settings {
        let found = setting(conn, name)?;
        if found != *wanted {
            return Err(fault::settings(name, value, &found));
        }
    }
    Ok(())
}

/// Whether the schema is, word for word, what our migrations make; a dropped trigger is a tampered store.
pub(super) fn unaltered(conn: &Connection) -> Result<(), String> {
    let fresh = in_memory().map_err(|fault| fault.what)?;
    let (found, made) = (schema(conn)?, schema(&fresh)?);
    if let Some(missing) = made.iter().find(|item| !found.contains(item)) {
        return Err(format!("the store's own rules were changed: {} is not as it was made", missing.0));
    }
    match found.iter().find(|item| !made.contains(item)) {
        Some(extra) => Err(format!("the store's own rules were changed: {} was added", extra.0)),
        None => migrations_recorded(conn),
    }
}

fn schema(conn: &Connection) -> Result<Vec<(String, Option<String>)>, String> {
    let read = |error: rusqlite::Error| format!("the schema cannot be read: {error}");
    let mut statement = conn.prepare("SELECT type || ' ' || name, sql FROM sqlite_schema").map_err(read)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(read)?;
    rows.collect::<Result<_, _>>().map_err(read)
}

fn migrations_recorded(conn: &Connection) -> Result<(), String> {
    for (version, sql) in MIGRATIONS {
        let recorded: Option<[u8; 32]> =
            conn.query_row("SELECT sha256 FROM migrations WHERE version = ?1", [version], |row| row.get(0)).ok();
        if recorded != Some(Digest::of(sql.as_bytes()).0) {
            return Err(format!("version {version} of the store was not made by this program's schema"));
        }
    }
    Ok(())
}

pub(super) fn recent_enough(number: i32) -> Result<(), Fault> {
    if number < SQLITE_AT_LEAST {
        return Err(fault::settings("sqlite", &SQLITE_AT_LEAST.to_string(), &number.to_string()));
    }
    Ok(())
}

/// A new file, or one of ours in a version we know.
fn ours(conn: &Connection, path: &Path) -> Result<(), Fault> {
    let id = number(conn, "PRAGMA application_id")?;
    let version = version(conn)?;
    let empty = number(conn, "SELECT count(*) FROM sqlite_schema")? == 0;
    if id != APPLICATION_ID && !(id == 0 && version == 0 && empty) {
        return Err(fault::foreign(&path.display().to_string()));
    }
    if version > VERSION {
        return Err(fault::newer(version, VERSION));
    }
    Ok(())
}

fn harden(conn: &Connection) -> Result<(), Fault> {
    let wanted = [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ];
    for (config, value) in wanted {
        let found = conn.set_db_config(config, value).map_err(|error| fault::unreadable(&error))?;
        if found != value {
            return Err(fault::settings(&format!("{config:?}"), &value.to_string(), &found.to_string()));
        }
    }
    Ok(())
}

/// Each in one transaction with the note of its own digest, so that a cut leaves the version before or the version after.
fn migrate(conn: &mut Connection) -> Result<(), Fault> {
    let done = version(conn)?;
    for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > done) {
        apply(conn, *version, sql).map_err(|error| fault::not_recorded().because(&error))?;
    }
    Ok(())
}

pub(super) fn apply(conn: &mut Connection, version: i64, sql: &str) -> Result<(), rusqlite::Error> {
    let change = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change.execute_batch(sql)?;
    let digest = Digest::of(sql.as_bytes());
    change.execute("INSERT INTO migrations (version, sha256) VALUES (?1, ?2)", (version, digest.0))?;
    change.pragma_update(None, "application_id", APPLICATION_ID)?;
    change.pragma_update(None, "user_version", version)?;
    change.commit()
}

fn version(conn: &Connection) -> Result<i64, Fault> {
    number(conn, "PRAGMA user_version")
}

fn number(conn: &Connection, sql: &str) -> Result<i64, Fault> {
    conn.query_row(sql, [], |row| row.get(0)).map_err(|error| fault::unreadable(&error))
}

/// As text. A build that cannot do memory mapping answers that question with no row at all.
fn setting(conn: &Connection, name: &str) -> Result<String, Fault> {
    use rusqlite::{OptionalExtension as _, types::Value};
    let found = conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, Value>(0)).optional();
    Ok(match found.map_err(|error| fault::unreadable(&error))? {
        None => "0".to_owned(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Text(text)) => text,
        Some(other) => format!("{other:?}"),
    })
}

/// A share of the station's lock, which a station that starts now waits for, and whether a station holds it already.
/// Beside a copied file there is no lock, and nobody to wait for.
fn at_rest(dir: &Path) -> (Option<File>, bool) {
    let Ok(file) = OpenOptions::new().read(true).open(dir.join(LOCK)) else { return (None, false) };
    match file.try_lock_shared() {
        Ok(()) => (Some(file), false),
        Err(TryLockError::WouldBlock) => (None, true),
        Err(TryLockError::Error(_)) => (None, false),
    }
}

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The path as an URI says it.
fn escaped(path: &Path) -> String {
    path.to_string_lossy()
        .chars()
        .map(|char| match char {
            '%' => "%25".to_owned(),
            '?' => "%3f".to_owned(),
            '#' => "%23".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

fn cannot_use(dir: &Path) -> Fault {
    use crate::fault::{Exit, Party};
    Fault::new(
        Party::Technician,
        format!("the data directory {} cannot be used", dir.display()),
        "Check that it is a directory this user may write to, on a local disk with room, then start again.",
    )
    .exit(Exit::NotRecorded)
    .code("L-110")
}
