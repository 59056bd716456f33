//! The records by unit, for people, lists and exports.

use std::collections::BTreeMap;

use rusqlite::Row;
use serde::Serialize;
use serde_json::Value;

use super::{Entry, Kind, Records, SCHEMA_VERSION, Standing, evidence::Evidence, facts, fault, standing::Story};
use crate::{
    clock::Stamp,
    fault::Fault,
    ident::{DeviceId, Digest, Mode, RunId, Serial},
};

/// One unit as its entries tell it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct UnitRecord {
    /// Version of this shape.
    pub schema_version: u32,
    /// The rules that held.
    pub mode: Mode,
    /// The station.
    pub station: String,
    /// The unit.
    pub serial: Serial,
    /// `free`, `open`, `passed`, `held`, `void` or `scrapped`.
    pub standing: &'static str,
    /// PASS, FAIL, RETRY, REFUSED, HOLD, VOID, SCRAPPED, or UNFINISHED where a run was cut off or released.
    pub verdict: &'static str,
    /// Why it is held.
    pub why: Option<String>,
    /// The last run.
    pub run: Option<RunId>,
    /// The last entry that speaks of the unit.
    pub entry: u64,
    /// Runs so far.
    pub attempts: u64,
    /// The device it is bound to.
    pub device_id: Option<DeviceId>,
    /// Part, as the device said.
    pub part: Option<String>,
    /// Silicon variant and build code, as the device said.
    pub variant: Option<String>,
    /// SHA-256 of the SubjectPublicKeyInfo of the key stamped.
    pub key_fingerprint: Option<Digest>,
    /// Product code.
    pub product: Option<String>,
    /// Digest of the recipe.
    pub recipe: Option<Digest>,
    /// Digest of the golden state.
    pub golden: Option<Digest>,
    /// What was observed about the lock, from the last run's PASS.
    pub lock_evidence: Vec<Evidence>,
    /// When the last entry was written, as the clock said.
    pub wall: Stamp,
}

/// Counts of one product on one day.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Units whose last ending is a PASS.
    pub passed: u64,
    /// Units whose last ending is a FAIL.
    pub failed: u64,
    /// Units whose last ending is a HOLD.
    pub held: u64,
    /// Runs that ended in RETRY.
    pub retried: u64,
    /// Units whose first ending, RETRY aside, is a PASS.
    pub first_passed: u64,
    /// Units with any ending, RETRY aside.
    pub first_ended: u64,
}

impl Records {
    /// Every unit the records know, in the order they first appear.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn serials(&self) -> Result<Vec<Serial>, Fault> {
        self.serials_where("true", "")
    }

    /// Units with this text in serial number, device id or any of their facts.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn search(&self, text: &str) -> Result<Vec<Serial>, Fault> {
        let found = "serial IN (SELECT serial FROM entries WHERE instr(upper(serial), upper(?1)) > 0 \
                     OR instr(device, lower(?1)) > 0 OR instr(lower(body), lower(?1)) > 0)";
        self.serials_where(found, text)
    }

    /// What the entries of a unit come to; `None` if there are none.
    ///
    /// # Errors
    /// The store cannot be read, or an entry is not as it was written.
    pub fn unit_record(&self, serial: &Serial) -> Result<Option<UnitRecord>, Fault> {
        Ok(UnitRecord::of(serial, &self.of_unit(serial)?))
    }

    pub(super) fn tally(&self, product: &str, now: &Stamp) -> Result<Counts, Fault> {
        let day: String = now.0.chars().take(10).collect();
        let mut counts = Counts::default();
        let mut units: BTreeMap<String, Day> = BTreeMap::new();
        for ending in self.endings(product, &day).map_err(|error| fault::unreadable(&error))? {
            if ending.word == "RETRY" || ending.word == "REFUSED" {
                counts.retried += u64::from(ending.word == "RETRY");
                continue;
            }
            let unit =
                units.entry(ending.serial).or_insert_with(|| Day { first: ending.word.clone(), last: String::new() });
            unit.last = ending.word;
        }
        counts.first_ended = units.len() as u64;
        for unit in units.values() {
            counts.first_passed += u64::from(unit.first == "PASS");
            counts.passed += u64::from(unit.last == "PASS");
            counts.failed += u64::from(unit.last == "FAIL");
            counts.held += u64::from(unit.last == "HOLD");
        }
        Ok(counts)
    }

    fn endings(&self, product: &str, day: &str) -> Result<Vec<Ended>, rusqlite::Error> {
        let mut statement = self.conn.prepare_cached(
            "SELECT e.serial, CASE e.kind WHEN 'passed' THEN 'PASS' ELSE json_extract(e.body, '$.verdict') END AS word \
             FROM entries AS e JOIN entries AS r ON r.seq = e.run \
             WHERE e.kind IN ('passed', 'stopped') AND e.wall >= ?1 AND e.wall < ?1 || '~' \
             AND json_extract(r.body, '$.product') = ?2 ORDER BY e.seq",
        )?;
        let rows = statement.query_map([day, product], |row| Ok(Ended { serial: row.get(0)?, word: row.get(1)? }))?;
        rows.collect()
    }

    fn serials_where(&self, condition: &str, text: &str) -> Result<Vec<Serial>, Fault> {
        let sql = format!(
            "SELECT serial FROM entries WHERE serial IS NOT NULL AND ?1 IS NOT NULL AND {condition} \
             GROUP BY serial ORDER BY min(seq)"
        );
        let unreadable = |error: rusqlite::Error| fault::unreadable(&error);
        let mut statement = self.conn.prepare_cached(&sql).map_err(unreadable)?;
        let rows = statement.query_map([text], |row: &Row<'_>| row.get::<_, String>(0)).map_err(unreadable)?;
        rows.map(|serial| parsed(&serial.map_err(unreadable)?)).collect()
    }
}

impl UnitRecord {
    fn of(serial: &Serial, entries: &[Entry]) -> Option<Self> {
        let last = entries.last()?;
        let story = Story::of(entries);
        let run = |kind: Kind| entries.iter().rev().find(|entry| entry.kind == kind && entry.run == story.run);
        let intent = run(Kind::EraseIntent).and_then(|entry| facts::read::<facts::EraseIntent>(&entry.body));
        let bound = run(Kind::Bound).and_then(|entry| facts::read::<facts::Bound>(&entry.body));
        let standing = story.standing();
        Some(Self {
            schema_version: SCHEMA_VERSION,
            mode: last.mode,
            station: last.station.clone(),
            serial: serial.clone(),
            standing: standing.word(),
            verdict: verdict(&standing, &story),
            why: if let Standing::Held { why, .. } = standing { Some(why) } else { None },
            run: story.run,
            entry: last.seq,
            attempts: story.attempts,
            device_id: story.device,
            part: bound.as_ref().map(|bound| bound.part.clone()),
            variant: bound.map(|bound| bound.variant),
            key_fingerprint: intent.as_ref().and_then(|intent| intent.key),
            product: intent.as_ref().map(|intent| intent.product.clone()),
            recipe: intent.as_ref().map(|intent| intent.recipe),
            golden: intent.map(|intent| intent.golden),
            lock_evidence: run(Kind::Passed).map(lock_evidence).unwrap_or_default(),
            wall: last.wall.clone(),
        })
    }
}

struct Day {
    first: String,
    last: String,
}

struct Ended {
    serial: String,
    word: String,
}

fn verdict(standing: &Standing, story: &Story) -> &'static str {
    match (standing, story.stopped) {
        (Standing::Passed { .. }, _) => "PASS",
        (Standing::Held { .. }, _) => "HOLD",
        (Standing::Void, _) => "VOID",
        (Standing::Scrapped, _) => "SCRAPPED",
        (Standing::Open { .. } | Standing::Free, Some(facts::Ending::Fail)) => "FAIL",
        (Standing::Open { .. } | Standing::Free, Some(facts::Ending::Retry)) => "RETRY",
        (Standing::Open { .. } | Standing::Free, Some(facts::Ending::Refused)) => "REFUSED",
        (Standing::Open { .. } | Standing::Free, Some(facts::Ending::Hold) | None) => "UNFINISHED",
    }
}

/// Those statements of a PASS that speak of the lock. The fact itself belongs to `gate`, so only its text is known here.
fn lock_evidence(passed: &Entry) -> Vec<Evidence> {
    let fact = passed.fact();
    let Some(Value::Array(all)) = fact.get("evidence") else { return Vec::new() };
    let statements = all.iter().filter_map(|one| serde_json::from_value::<Evidence>(one.clone()).ok());
    statements.filter(|statement| statement.of.starts_with("lock.")).collect()
}

fn parsed(serial: &str) -> Result<Serial, Fault> {
    serial.parse().map_err(|error| fault::tampered("an entry bears a serial number that is none").because(&error))
}
