//! Records become files: CSV to look at, JSONL to check. `docs/records.md` describes both for those who receive them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    clock::{Millis, Stamp},
    fault::{Exit, Fault, Party},
    ident::{DeviceId, Digest, Mode, RunId, Serial},
    ledger::{Chain, Entry, Records, SCHEMA_VERSION, UnitRecord, evidence::Evidence},
};

pub mod keys;

/// The forms an export comes in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One row per unit, for spreadsheets.
    Csv,
    /// One line per entry, exactly as hashed.
    Jsonl,
}

/// Writes all records to a new file, and says what chain they are. The file appears whole or not at all.
///
/// # Errors
/// The chain is broken (exit 31), the records are of another mode than the one asked for, or the file exists already or
/// cannot be written (exit 2).
pub fn write(records: &Records, format: Format, mode: Option<Mode>, path: &Path) -> Result<Chain, Fault> {
    records.at_one_moment(|records| {
        let chain = records.verify()?;
        of_mode(records, mode)?;
        let draft = Draft::beside(path)?;
        match format {
            Format::Csv => csv(records, &draft),
            Format::Jsonl => jsonl(records, &draft),
        }?;
        draft.publish()?;
        Ok(chain)
    })
}

/// One entry as a line of JSON: every field that its hash covers, `body` as the exact text, and the hash.
#[must_use]
pub fn line(entry: &Entry) -> String {
    let line = Line {
        schema_version: SCHEMA_VERSION,
        seq: entry.seq,
        kind: entry.kind.as_str(),
        mode: entry.mode,
        station: &entry.station,
        run: entry.run,
        serial: entry.serial.as_ref(),
        device: entry.device,
        wall: &entry.wall,
        mono: entry.mono,
        clock_back: entry.clock_back,
        prev_hash: entry.prev_hash,
        body: &entry.body,
        hash: entry.hash,
    };
    serde_json::to_string(&line).unwrap_or_default()
}

#[derive(Serialize)]
struct Line<'a> {
    schema_version: u32,
    seq: u64,
    kind: &'static str,
    mode: Mode,
    station: &'a str,
    run: Option<RunId>,
    serial: Option<&'a Serial>,
    device: Option<DeviceId>,
    wall: &'a Stamp,
    mono: Millis,
    clock_back: bool,
    prev_hash: Digest,
    body: &'a str,
    hash: Digest,
}

fn jsonl(records: &Records, draft: &Draft) -> Result<(), Fault> {
    let mut to = BufWriter::new(&draft.file);
    for entry in records.entries() {
        writeln!(to, "{}", line(&entry?)).map_err(|error| draft.failed(&error))?;
    }
    to.flush().map_err(|error| draft.failed(&error))
}

fn csv(records: &Records, draft: &Draft) -> Result<(), Fault> {
    let failed = |error: csv::Error| draft.failed(&io::Error::other(error));
    let mut rows = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(&draft.file);
    rows.write_record(COLUMNS.map(|(name, _)| name)).map_err(failed)?;
    for serial in records.serials()? {
        if let Some(unit) = records.unit_record(&serial)? {
            rows.write_record(COLUMNS.map(|(_, cell)| inert(cell(&unit)))).map_err(failed)?;
        }
    }
    rows.flush().map_err(|error| draft.failed(&error))
}

/// A column's name, and what stands in it.
type Column = (&'static str, fn(&UnitRecord) -> String);

/// The columns of the CSV form; new ones come last.
const COLUMNS: [Column; 19] = [
    ("schema_version", |unit| unit.schema_version.to_string()),
    ("mode", |unit| unit.mode.to_string()),
    ("station", |unit| unit.station.clone()),
    ("serial", |unit| unit.serial.to_string()),
    ("standing", |unit| unit.standing.to_owned()),
    ("verdict", |unit| unit.verdict.to_owned()),
    ("why", |unit| or_empty(unit.why.as_ref())),
    ("run", |unit| or_empty(unit.run.as_ref())),
    ("entry", |unit| unit.entry.to_string()),
    ("attempts", |unit| unit.attempts.to_string()),
    ("device_id", |unit| or_empty(unit.device_id.as_ref())),
    ("part", |unit| or_empty(unit.part.as_ref())),
    ("variant", |unit| or_empty(unit.variant.as_ref())),
    ("key_fingerprint", |unit| or_empty(unit.key_fingerprint.as_ref())),
    ("product", |unit| or_empty(unit.product.as_ref())),
    ("recipe", |unit| or_empty(unit.recipe.as_ref())),
    ("golden", |unit| or_empty(unit.golden.as_ref())),
    ("lock_evidence", |unit| unit.lock_evidence.iter().map(statement).collect::<Vec<_>>().join("; ")),
    ("wall", |unit| unit.wall.0.clone()),
];

fn or_empty(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn statement(evidence: &Evidence) -> String {
    let Evidence { of, method, expected, observed, agrees, .. } = evidence;
    let seen = observed.as_deref().unwrap_or("nothing");
    let asked = expected.as_deref().unwrap_or("nothing");
    format!("{of}: {method}, expected {asked}, observed {seen}, {}", if *agrees { "agrees" } else { "DISAGREES" })
}

/// A cell that no spreadsheet takes for a formula: a leading `= + - @`, tab or line end gets an apostrophe before it.
fn inert(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{cell}") } else { cell }
}

fn of_mode(records: &Records, asked: Option<Mode>) -> Result<(), Fault> {
    let (mode, _) = records.begun()?;
    match asked {
        Some(asked) if asked != mode => Err(Fault::new(
            Party::Security,
            format!("these are records of {mode}, not of {asked}"),
            "Name the directory of the other records with --data; modes are never mixed in one export.",
        )
        .exit(Exit::Usage)
        .code("L-143")),
        Some(_) | None => Ok(()),
    }
}

/// The file while it is being written, under another name beside the final one.
struct Draft {
    file: File,
    path: PathBuf,
    named: PathBuf,
}

impl Draft {
    fn beside(path: &Path) -> Result<Self, Fault> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let draft = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&draft) {
            Ok(file) => Ok(Self { file, path: draft, named: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(&draft)),
            Err(error) => Err(cannot_write(path, &error)),
        }
    }

    /// Synced, then under its final name, then the directory synced. A link never replaces a file; where the medium
    /// knows no links, as on many memory sticks, the rename after the look has to do.
    fn publish(self) -> Result<(), Fault> {
        self.file.sync_all().map_err(|error| self.failed(&error))?;
        match fs::hard_link(&self.path, &self.named) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists(&self.named)),
            Err(_) if self.named.symlink_metadata().is_ok() => return Err(exists(&self.named)),
            Err(_) => fs::rename(&self.path, &self.named).map_err(|error| self.failed(&error))?,
        }
        let _ = fs::remove_file(&self.path);
        let dir = self.named.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let synced = OpenOptions::new().read(true).open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Fault {
        cannot_write(&self.named, error)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already where it was published.
        let _ = fs::remove_file(&self.path);
    }
}

fn exists(path: &Path) -> Fault {
    Fault::new(
        Party::Security,
        format!("{} exists already", path.display()),
        "Name a new file with --out, or move that one away; an export never replaces anything.",
    )
    .exit(Exit::Usage)
    .code("L-141")
}

fn cannot_write(path: &Path, error: &io::Error) -> Fault {
    Fault::new(
        Party::Security,
        format!("{} could not be written", path.display()),
        "Check that the directory exists and has room, then export again. The records are unharmed.",
    )
    .exit(Exit::Usage)
    .code("L-142")
    .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_made_inert() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(inert(cell.to_owned()), format!("'{cell}"));
        }
        for cell in ["", "GW3-1", "a=b", "'quoted"] {
            assert_eq!(inert(cell.to_owned()), cell);
        }
    }

    #[test]
    fn a_file_that_is_there_is_not_replaced_and_a_draft_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.csv");
        drop(Draft::beside(&path).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let late = Draft::beside(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        assert_eq!(late.publish().unwrap_err().code, "L-141");
        assert_eq!(Draft::beside(&path).err().unwrap().code, "L-141");
        assert_eq!(fs::metadata(&path).unwrap().len(), 4);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
