//! Is the chain whole? Every entry where it belongs, unchanged, following the one before; every golden state its digest.

use std::{collections::BTreeSet, fmt, vec};

use rusqlite::Connection;

use super::{COLUMNS, Entry, Kind, Records, facts, fault, store};
use crate::{fault::Fault, ident::Digest};

/// A chain that is whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chain {
    /// How many entries.
    pub entries: u64,
    /// Hash of the last one. Written down elsewhere, it shows later whether the newest entries were cut off.
    pub head: Digest,
}

impl Chain {
    pub(super) const NONE: Self = Self { entries: 0, head: Digest([0; 32]) };
}

/// The first thing found that is not as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// The first bad entry, where it is one.
    pub entry: Option<u64>,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "the records are broken at entry {entry}: {}", self.what),
            None => write!(f, "the records are broken: {}", self.what),
        }
    }
}

impl std::error::Error for Broken {}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        fault::tampered(broken.to_string())
    }
}

/// All entries in their order, as they are stored.
pub struct Entries<'a> {
    conn: &'a Connection,
    /// Where the next page begins; `None` after the last or a bad one.
    from: Option<i64>,
    page: vec::IntoIter<Result<Entry, Broken>>,
}

/// How many entries are fetched at once.
const PAGE: usize = 256;

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 {
            let from = self.from.take()?;
            self.page = self.fetch(from).into_iter();
        }
        let next = self.page.next();
        if matches!(next, Some(Err(_))) {
            self.from = None;
            self.page = Vec::new().into_iter();
        }
        next
    }
}

impl Entries<'_> {
    fn fetch(&mut self, from: i64) -> Vec<Result<Entry, Broken>> {
        let mut page = Vec::new();
        let last = match self.read(from, &mut page) {
            Ok(last) => last,
            Err(error) => {
                page.push(Err(Broken { entry: None, what: format!("the file cannot be read: {error}") }));
                None
            }
        };
        self.from = last.filter(|_| page.len() == PAGE).and_then(|last| last.checked_add(1));
        page
    }

    /// Returns the place of the last one read.
    fn read(&self, from: i64, page: &mut Vec<Result<Entry, Broken>>) -> Result<Option<i64>, rusqlite::Error> {
        let sql = format!("SELECT {COLUMNS} FROM entries NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT {PAGE}");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query([from])?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            page.push(
                Entry::from_row(row)
                    .map_err(|what| Broken { entry: u64::try_from(seq).ok().filter(|seq| *seq > 0), what }),
            );
            last = Some(seq);
        }
        Ok(last)
    }
}

impl Records {
    /// All entries in their order. Ends at the first that cannot be read.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries { conn: &self.conn, from: Some(i64::MIN), page: Vec::new().into_iter() }
    }

    /// Checks every entry, every golden state, the store's own rules and its pages. Entries cut off at the end cannot be
    /// noticed here: compare [`Chain::head`] with one that was written down elsewhere.
    ///
    /// # Errors
    /// The first bad entry, and what is wrong with it.
    pub fn verify(&self) -> Result<Chain, Broken> {
        let mut check = Check::default();
        for entry in self.entries() {
            check.next(&entry?)?;
        }
        self.goldens_are_whole(&check.goldens)?;
        store::unaltered(&self.conn).map_err(|what| Broken { entry: None, what })?;
        self.pages_are_whole()?;
        check.whole()
    }

    fn goldens_are_whole(&self, referred: &BTreeSet<(u64, Digest)>) -> Result<(), Broken> {
        let kept = self.goldens().map_err(|error| Broken { entry: None, what: error.to_string() })?;
        let bad = |(entry, what): (&u64, &str)| Err(Broken { entry: Some(*entry), what: what.to_owned() });
        for (entry, digest) in referred {
            match kept.iter().find(|(kept, _)| kept == digest) {
                None => return bad((entry, "the golden state it names is missing")),
                Some((_, false)) => return bad((entry, "the golden state it names was changed")),
                Some((_, true)) => {}
            }
        }
        match kept.iter().find(|(_, whole)| !whole) {
            Some((digest, _)) => {
                Err(Broken { entry: None, what: format!("the golden state {} was changed", digest.short()) })
            }
            None => Ok(()),
        }
    }

    /// The digests of all golden states, and whether their bytes are theirs.
    fn goldens(&self) -> Result<Vec<(Digest, bool)>, rusqlite::Error> {
        let mut statement = self.conn.prepare("SELECT digest, bytes FROM goldens NOT INDEXED")?;
        let rows = statement.query_map([], |row| {
            let (digest, bytes): ([u8; 32], Vec<u8>) = (row.get(0)?, row.get(1)?);
            Ok((Digest(digest), Digest::of(&bytes).0 == digest))
        })?;
        rows.collect()
    }

    /// SQLite's own full check, the indexes among it: a unit that an index has lost would look free.
    fn pages_are_whole(&self) -> Result<(), Broken> {
        let found: Result<String, _> = self.conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
        match found {
            Ok(found) if found == "ok" => Ok(()),
            Ok(found) => Err(Broken { entry: None, what: format!("the file is damaged: {found}") }),
            Err(error) => Err(Broken { entry: None, what: format!("the file cannot be checked: {error}") }),
        }
    }
}

#[derive(Default)]
struct Check {
    last: Option<Entry>,
    goldens: BTreeSet<(u64, Digest)>,
    seen: BTreeSet<Digest>,
}

impl Check {
    fn next(&mut self, entry: &Entry) -> Result<(), Broken> {
        let wanted = self.last.as_ref().map_or(1, |last| last.seq + 1);
        let at = |seq: u64, what: String| Err(Broken { entry: Some(seq), what });
        if entry.seq != wanted {
            return at(wanted, format!("it is missing; the next one there is {}", entry.seq));
        }
        if entry.hash != entry.hashed() {
            return at(wanted, "it is not what its hash was taken of".to_owned());
        }
        match &self.last {
            None if entry.kind != Kind::Opened || entry.prev_hash != Chain::NONE.head => {
                return at(wanted, "it does not begin a chain".to_owned());
            }
            Some(last) if entry.prev_hash != last.hash => {
                return at(wanted, format!("it does not follow entry {}", last.seq));
            }
            Some(last) if entry.mode != last.mode || entry.station != last.station => {
                return at(wanted, "its mode or station is not that of the entries before it".to_owned());
            }
            None | Some(_) => {}
        }
        self.refer(entry)?;
        self.last = Some(entry.clone());
        Ok(())
    }

    fn refer(&mut self, entry: &Entry) -> Result<(), Broken> {
        if entry.kind != Kind::EraseIntent {
            return Ok(());
        }
        let Some(intent) = facts::read::<facts::EraseIntent>(&entry.body) else {
            return Err(Broken {
                entry: Some(entry.seq),
                what: "it is no erase intent that rootstamp writes".to_owned(),
            });
        };
        // Each golden state once, by the first entry that names it: a lot shares one.
        if self.seen.insert(intent.golden) {
            self.goldens.insert((entry.seq, intent.golden));
        }
        Ok(())
    }

    fn whole(self) -> Result<Chain, Broken> {
        match self.last {
            Some(last) => Ok(Chain { entries: last.seq, head: last.hash }),
            None => Err(Broken { entry: Some(1), what: "it is missing, and so are all others".to_owned() }),
        }
    }
}
