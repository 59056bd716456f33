//! Append-only hash-chained records; the only maker of [`Durable`] facts.
//!
//! One process writes, one entry per transaction, synced before [`Ledger::keep`] returns. Where a unit or a device
//! stands is a fold over its own entries (`standing`), so no second table can disagree with the chain. Whether the
//! chain is whole is checked whenever a writer opens it (`chain`). The shape of an entry, and how to check the chain
//! without this program, is in `docs/records.md`.
//!
//! A second, independently synced journal belongs between `Ledger::append`'s hash and its commit; it comes with its
//! own issue. Until then a store that lost its newest entries looks like a shorter whole one.

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, backup::Backup};

pub use self::{
    chain::{Broken, Chain, Entries},
    entry::{Entry, Kind},
    facts::{About, Disposition, Fact},
    standing::{DeviceStanding, Standing},
    units::{Counts, UnitRecord},
};
use self::{
    entry::COLUMNS,
    standing::{Before, Story},
};
use crate::{
    clock::Clock,
    fault::Fault,
    ident::{DeviceId, Digest, Mode, RunId, Serial},
};

mod chain;
mod entry;
pub mod evidence;
pub mod facts;
mod fault;
mod standing;
mod store;
#[cfg(test)]
mod tests;
mod units;

/// Version of the shape of records as JSON and CSV.
pub const SCHEMA_VERSION: u32 = 1;

/// Who opens a ledger to write; the first one decides mode and station for good.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The rules that hold.
    pub mode: Mode,
    /// Name of the station.
    pub station: String,
    /// Version of rootstamp.
    pub tool: String,
}

/// A fact after its commit: the only permission there is for what must not happen unrecorded. Cannot be copied, read
/// from anywhere or made outside this module.
///
/// ```compile_fail
/// use rootstamp::ledger::{Durable, facts::Opened};
/// fn two(one: Durable<Opened>) -> (Durable<Opened>, Durable<Opened>) {
///     (one.clone(), one)
/// }
/// ```
///
/// ```compile_fail
/// use rootstamp::{ident::Digest, ledger::Durable};
/// let made_up = Durable { fact: (), seq: 1, hash: Digest([0; 32]) };
/// ```
#[derive(Debug)]
pub struct Durable<F> {
    fact: F,
    seq: u64,
    hash: Digest,
}

impl<F> Durable<F> {
    /// What was kept.
    #[must_use]
    pub const fn fact(&self) -> &F {
        &self.fact
    }

    /// Its position in the chain.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of its entry.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }
}

impl Durable<facts::EraseIntent> {
    /// The run that it opened.
    #[must_use]
    pub const fn run(&self) -> RunId {
        RunId(self.seq)
    }
}

/// The ledger as its one writer has it.
pub struct Ledger {
    records: Records,
    opening: Opening,
    clock: Arc<dyn Clock>,
    /// Sequence number and hash of the last entry, as far as this process knows.
    head: (u64, Digest),
    /// The entry with which this process opened it.
    opened: u64,
    /// The latest time any entry bears.
    latest: String,
    /// Why nothing more is written: after a failed sync nobody knows what the disk holds.
    ailing: Option<String>,
    _lock: Option<File>,
}

impl Ledger {
    /// Opens or makes the ledger in `dir` as its only writer, and checks the whole chain first.
    ///
    /// # Errors
    /// In use (L-132), another mode or station (L-103), a newer or foreign file (L-104, L-105), a setting that did not
    /// take (L-109), a broken chain (L-131), or no place to write (L-110, L-130).
    pub fn open(dir: &Path, opening: &Opening, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        named(&opening.station)?;
        let lock = store::claim(dir, clock.as_ref())?;
        let conn = store::open(&dir.join(store::FILE))?;
        Self::begin(conn, opening.clone(), clock, Some(lock))
    }

    /// Opens an existing ledger as its only writer, under the mode and station it was begun with.
    ///
    /// # Errors
    /// No ledger there (L-102), and those of [`Ledger::open`].
    pub fn reopen(dir: &Path, tool: &str, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let (mode, station) = Self::read_only(dir)?.begun()?;
        Self::open(dir, &Opening { mode, station, tool: tool.to_owned() }, clock)
    }

    /// A ledger that lives as long as this value: the same schema and rules, nothing durable.
    ///
    /// # Errors
    /// As [`Ledger::open`], as far as there is no file.
    pub fn in_memory(opening: &Opening, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        named(&opening.station)?;
        Self::begin(store::in_memory()?, opening.clone(), clock, None)
    }

    /// Opens the records to read, while a station works with them or not. Writes nothing.
    ///
    /// # Errors
    /// No ledger there (L-102), a newer or foreign file (L-104, L-105), or a file that cannot be read (L-131, L-133).
    pub fn read_only(dir: &Path) -> Result<Records, Fault> {
        let store::AtRest { conn, lock } = store::read_only(dir)?;
        Ok(Records { conn, _lock: lock })
    }

    /// The same entries in a ledger of their own in memory, to try several futures from one past.
    ///
    /// # Errors
    /// A [`Fault`] if memory does not suffice.
    pub fn copy(&self) -> Result<Self, Fault> {
        let mut conn = store::empty()?;
        Backup::new(&self.records.conn, &mut conn)
            .and_then(|backup| backup.run_to_completion(i32::MAX, Duration::ZERO, None))
            .map_err(|error| fault::unreadable(&error))?;
        Ok(Self {
            records: Records { conn, _lock: None },
            opening: self.opening.clone(),
            clock: Arc::clone(&self.clock),
            head: self.head,
            opened: self.opened,
            latest: self.latest.clone(),
            ailing: self.ailing.clone(),
            _lock: None,
        })
    }

    /// Keeps a fact: when this returns, a power cut can no longer take it away.
    ///
    /// # Errors
    /// A rule of the records forbids it (L-107, L-108, L-111, L-112, L-113, X-110), or it could not be written (L-130).
    /// Nothing is half-recorded: the next call finds the chain as it was.
    pub fn keep<F: Fact>(&mut self, fact: F) -> Result<Durable<F>, Fault> {
        let body = entry::canonical(&fact)?;
        let (seq, hash) = self.append(F::KIND, &fact.about(), body)?;
        Ok(Durable { fact, seq, hash })
    }

    /// Keeps the bytes of a golden state under their digest; again is no second one.
    ///
    /// # Errors
    /// It could not be written (L-130).
    pub fn keep_golden(&mut self, bytes: &[u8]) -> Result<Digest, Fault> {
        self.well()?;
        let digest = Digest::of(bytes);
        if self.records.golden(&digest)?.is_none() {
            let kept =
                self.records.conn.execute("INSERT INTO goldens (digest, bytes) VALUES (?1, ?2)", (digest.0, bytes));
            kept.map_err(|error| self.ail(&error))?;
        }
        Ok(digest)
    }

    /// All that can be read.
    #[must_use]
    pub const fn records(&self) -> &Records {
        &self.records
    }

    /// The bytes of a golden state.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn golden(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        self.records.golden(digest)
    }

    /// Where a serial number stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn unit(&self, serial: &Serial) -> Result<Standing, Fault> {
        self.records.unit(serial)
    }

    /// Where a device stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn device(&self, device: DeviceId) -> Result<DeviceStanding, Fault> {
        self.records.device(device)
    }

    /// Counts of this product on the calendar day of now, UTC: a display, never a decision.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn tally(&self, product: &str) -> Result<Counts, Fault> {
        self.records.tally(product, &self.clock.wall())
    }

    fn begin(conn: Connection, opening: Opening, clock: Arc<dyn Clock>, lock: Option<File>) -> Result<Self, Fault> {
        let records = Records { conn, _lock: None };
        let chain = if records.is_new()? { Chain::NONE } else { records.verify()? };
        let head = (chain.entries, chain.head);
        let latest = records.latest()?;
        let mut ledger = Self { records, opening, clock, head, opened: head.0, latest, ailing: None, _lock: lock };
        ledger.same_lot()?;
        let opened = ledger.keep(facts::Opened {
            tool: ledger.opening.tool.clone(),
            sqlite: rusqlite::version().to_owned(),
            schema: store::VERSION,
        })?;
        ledger.opened = opened.seq();
        ledger.settle();
        Ok(ledger)
    }

    fn same_lot(&self) -> Result<(), Fault> {
        if self.head.0 == 0 {
            return Ok(());
        }
        let (mode, station) = self.records.begun()?;
        if mode != self.opening.mode {
            return Err(fault::other_lot("mode", &mode.to_string(), &self.opening.mode.to_string()));
        }
        if station != self.opening.station {
            return Err(fault::other_lot("station", &station, &self.opening.station));
        }
        Ok(())
    }

    fn append(&mut self, kind: Kind, about: &About, body: String) -> Result<(u64, Digest), Fault> {
        self.well()?;
        let entry = match self.commit(kind, about, body) {
            Ok(entry) => entry,
            Err(Refused::ByRule(fault)) => return Err(fault),
            Err(Refused::ByStore(error)) => return Err(self.ail(&error)),
        };
        self.head = (entry.seq, entry.hash);
        self.latest = entry.wall.0.max(std::mem::take(&mut self.latest));
        if kind.settles() {
            self.settle();
        }
        Ok((entry.seq, entry.hash))
    }

    /// One transaction: look, judge, write, sync.
    fn commit(&mut self, kind: Kind, about: &About, body: String) -> Result<Entry, Refused> {
        let change = self.records.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if last(&change)? != self.head {
            return Err(fault::tampered("somebody else wrote into the records while this station worked").into());
        }
        standing::permit(kind, about, &body, &before(&change, about, self.opened)?)?;
        golden_is_kept(&change, kind, &body)?;
        let seq = self.head.0 + 1;
        let wall = self.clock.wall();
        let mut entry = Entry {
            seq,
            kind,
            mode: self.opening.mode,
            station: self.opening.station.clone(),
            run: if kind == Kind::EraseIntent { Some(RunId(seq)) } else { about.run },
            serial: about.serial.clone(),
            device: about.device,
            clock_back: wall.0 < self.latest,
            wall,
            mono: self.clock.since_start(),
            body,
            prev_hash: self.head.1,
            hash: Digest([0; 32]),
        };
        entry.hash = entry.hashed();
        insert(&change, &entry)?;
        change.commit()?;
        Ok(entry)
    }

    /// Empties the write-ahead log into the file. The entry is durable either way; a reader in the way is no fault,
    /// a disk that fails is one, for the entry after this.
    fn settle(&mut self) {
        let conn = &self.records.conn;
        // Without patience: a reader would otherwise hold up the line for as long as the busy timeout.
        let settled = conn
            .busy_timeout(Duration::ZERO)
            .and_then(|()| conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
            .and_then(|()| conn.busy_timeout(store::PATIENCE));
        if let Err(error) = settled {
            self.ail(&error);
        }
    }

    /// Turns a failure of the store into words. After an input or output error nothing more is written until the store
    /// was opened anew: a sync that failed once may report success the next time and mean nothing.
    fn ail(&mut self, error: &rusqlite::Error) -> Fault {
        use rusqlite::ErrorCode;
        if matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ) {
            self.ailing = Some(error.to_string());
        }
        fault::not_recorded().because(error)
    }

    fn well(&self) -> Result<(), Fault> {
        match &self.ailing {
            None => Ok(()),
            Some(why) => Err(fault::not_recorded().detail("the disk failed before; start rootstamp again").detail(why)),
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.settle();
    }
}

/// The records as anyone may read them.
pub struct Records {
    conn: Connection,
    _lock: Option<File>,
}

impl Records {
    /// Where a serial number stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn unit(&self, serial: &Serial) -> Result<Standing, Fault> {
        Ok(story(&self.conn, serial)?.standing())
    }

    /// Where a device stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn device(&self, device: DeviceId) -> Result<DeviceStanding, Fault> {
        of_device(&self.conn, device)
    }

    /// The bytes of a golden state.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn golden(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        let sql = "SELECT bytes FROM goldens WHERE digest = ?1";
        let bytes = self.conn.query_row(sql, [digest.0], |row| row.get(0)).optional();
        bytes.map_err(|error| fault::unreadable(&error))
    }

    /// Looks several times at one and the same moment, while a station goes on writing.
    ///
    /// # Errors
    /// The store cannot be read, and whatever `look` answers.
    pub fn at_one_moment<T>(&self, look: impl FnOnce(&Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let moment = self.conn.unchecked_transaction().map_err(|error| fault::unreadable(&error))?;
        let seen = look(self)?;
        moment.finish().map_err(|error| fault::unreadable(&error))?;
        Ok(seen)
    }

    /// How a run was opened: product, recipe, golden state, key.
    ///
    /// # Errors
    /// The store cannot be read, or the entry is not as it was written.
    pub fn intent(&self, run: RunId) -> Result<Option<facts::EraseIntent>, Fault> {
        let found = self.entry(run.0)?.filter(|entry| entry.kind == Kind::EraseIntent);
        Ok(found.and_then(|entry| facts::read(&entry.body)))
    }

    /// Mode and station of the first entry, which hold for all.
    ///
    /// # Errors
    /// There is no first entry, or it is not as it was written.
    pub fn begun(&self) -> Result<(Mode, String), Fault> {
        match self.entry(1)? {
            Some(first) => Ok((first.mode, first.station)),
            None => Err(fault::tampered("the first entry of the records is missing")),
        }
    }

    /// The entry at this place.
    ///
    /// # Errors
    /// The store cannot be read, or the entry is not as it was written.
    pub fn entry(&self, seq: u64) -> Result<Option<Entry>, Fault> {
        let Ok(place) = i64::try_from(seq) else { return Ok(None) };
        Ok(entries_where(&self.conn, "seq = ?1", &place)?.pop())
    }

    /// All entries of a unit, in their order.
    ///
    /// # Errors
    /// The store cannot be read, or an entry is not as it was written.
    pub fn of_unit(&self, serial: &Serial) -> Result<Vec<Entry>, Fault> {
        entries_where(&self.conn, "serial = ?1", &serial.as_str())
    }

    fn is_new(&self) -> Result<bool, Fault> {
        let count =
            self.conn.query_row("SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM goldens)", [], |row| {
                row.get::<_, i64>(0)
            });
        Ok(count.map_err(|error| fault::unreadable(&error))? == 0)
    }

    fn latest(&self) -> Result<String, Fault> {
        let latest = self.conn.query_row("SELECT coalesce(max(wall), '') FROM entries", [], |row| row.get(0));
        latest.map_err(|error| fault::unreadable(&error))
    }
}

/// Why an entry was not written.
enum Refused {
    ByRule(Fault),
    ByStore(rusqlite::Error),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::ByRule(fault)
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::ByStore(error)
    }
}

fn named(station: &str) -> Result<(), Fault> {
    let fits = (1..=64).contains(&station.chars().count()) && !station.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(fault::bad_station(station)) }
}

fn last(change: &Transaction<'_>) -> Result<(u64, Digest), rusqlite::Error> {
    let mut last = change.prepare_cached("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")?;
    let found = last.query_row([], |row| Ok((row.get(0)?, Digest(row.get(1)?)))).optional()?;
    Ok(found.unwrap_or((0, Digest([0; 32]))))
}

fn before(conn: &Connection, about: &About, opened: u64) -> Result<Before, Fault> {
    Ok(Before {
        opened,
        story: about.serial.as_ref().map_or_else(|| Ok(Story::default()), |serial| story(conn, serial))?,
        device: about.device.map_or(Ok(DeviceStanding::Unknown), |device| of_device(conn, device))?,
    })
}

/// What QA will measure against must be there before the first erase.
fn golden_is_kept(change: &Transaction<'_>, kind: Kind, body: &str) -> Result<(), Refused> {
    let Some(intent) = Some(body).filter(|_| kind == Kind::EraseIntent).and_then(facts::read::<facts::EraseIntent>)
    else {
        return Ok(());
    };
    let mut kept = change.prepare_cached("SELECT 1 FROM goldens WHERE digest = ?1")?;
    if kept.exists([intent.golden.0])? {
        Ok(())
    } else {
        Err(fault::ours("a run whose golden state was not kept").into())
    }
}

fn insert(change: &Transaction<'_>, entry: &Entry) -> Result<(), rusqlite::Error> {
    let sql =
        format!("INSERT INTO entries ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");
    change.prepare_cached(&sql)?.execute((
        entry.seq,
        entry.kind.as_str(),
        entry.mode.to_string(),
        &entry.station,
        entry.run.map(|run| run.0),
        entry.serial.as_ref().map(Serial::as_str),
        entry.device.map(|device| device.to_string()),
        &entry.wall.0,
        entry.mono.0,
        entry.clock_back,
        &entry.body,
        entry.prev_hash.0,
        entry.hash.0,
    ))?;
    Ok(())
}

fn story(conn: &Connection, serial: &Serial) -> Result<Story, Fault> {
    Ok(Story::of(&entries_where(conn, "serial = ?1", &serial.as_str())?))
}

fn of_device(conn: &Connection, device: DeviceId) -> Result<DeviceStanding, Fault> {
    let mut serials = Vec::new();
    for entry in entries_where(conn, "device = ?1", &device.to_string())? {
        serials.extend(entry.serial.filter(|serial| entry.kind == Kind::Bound && !serials.contains(serial)));
    }
    let mut standing = DeviceStanding::Unknown;
    for serial in serials {
        let bound = story(conn, &serial)?.binds(&serial, device);
        let scrapped = matches!(bound, Some(DeviceStanding::BoundTo { scrapped: true, .. }));
        standing = bound.unwrap_or(standing);
        if scrapped {
            break;
        }
    }
    Ok(standing)
}

fn entries_where(conn: &Connection, condition: &str, value: &dyn rusqlite::ToSql) -> Result<Vec<Entry>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM entries WHERE {condition} ORDER BY seq");
    let unreadable = |error: rusqlite::Error| fault::unreadable(&error);
    let mut statement = conn.prepare_cached(&sql).map_err(unreadable)?;
    let mut rows = statement.query([value]).map_err(unreadable)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next().map_err(unreadable)? {
        let entry = Entry::from_row(row).map_err(|what| fault::tampered(format!("an entry of the records: {what}")))?;
        if entry.hash != entry.hashed() {
            return Err(fault::tampered(format!(
                "entry {} of the records is not what its hash was taken of",
                entry.seq
            )));
        }
        entries.push(entry);
    }
    Ok(entries)
}
