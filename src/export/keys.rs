//! Which device trusts which key: the list that a signer of updates works from, with the devices that were in the field
//! before there were records.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Draft, inert, of_mode};
use crate::{
    fault::{Exit, Fault, Party, Problem},
    file::Read,
    ident::{DeviceId, Digest, Mode, Serial, bytes_from_hex, hex},
    keys::{self, Algorithm, AnyKey, NotOurs, bare::Budget, private, refuse::RefuseList},
    ledger::{Chain, Records, UnitRecord},
    plan::Golden,
};

/// More than this is noise: a file of another kind gives one per line.
const PROBLEMS: usize = 50;

/// More devices than one list of [`crate::file::LIMIT`] holds.
const LINES: usize = 500_000;

/// One device and the key it trusts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DeviceKey {
    /// The unit.
    pub serial: Serial,
    /// The device, where it is known: a list of older devices may not have it.
    pub device_id: Option<DeviceId>,
    /// SHA-256 of the key's SubjectPublicKeyInfo.
    pub spki_sha256: Digest,
    /// The SubjectPublicKeyInfo, in hexadecimal digits; empty where all units of the product share the key.
    pub key: String,
    /// The rules under which it was built, where that is known: a list of older devices may not say it, and what was built in
    /// training is nobody's to sign for.
    pub mode: Option<Mode>,
    /// `record` with the entry that says so, or the imported file with the line.
    pub source: String,
}

/// The columns of the list, in both directions.
pub const COLUMNS: [&str; 6] = ["serial", "device_id", "spki_sha256", "key", "mode", "source"];

/// What the records say, for imported lists to be held against.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The rules of the records, which no imported row may contradict.
    pub mode: Mode,
    /// Units that passed, and the keys they trust.
    pub passed: Vec<DeviceKey>,
    /// Every other unit that the records have touched.
    pub others: BTreeMap<Serial, Other>,
}

/// A unit without a live PASS that says which key it trusts. Its device and its key are taken nevertheless.
#[derive(Clone, Debug)]
pub struct Other {
    /// How it stands, and in which record.
    pub standing: String,
    /// The device, where it is known.
    pub device_id: Option<DeviceId>,
    /// SHA-256 of the SubjectPublicKeyInfo of the key it was to trust.
    pub spki_sha256: Option<Digest>,
}

impl Recorded {
    /// Records without any unit.
    #[must_use]
    pub const fn empty(mode: Mode) -> Self {
        Self { mode, passed: Vec::new(), others: BTreeMap::new() }
    }

    fn of(records: &Records) -> Result<Self, Fault> {
        let mut recorded = Self::empty(records.begun()?.0);
        for serial in records.serials()? {
            match records.unit_record(&serial)? {
                // Looked at, and left as it was found.
                Some(unit) if unit.standing == "free" => {}
                Some(unit) => recorded.add(records, serial, &unit)?,
                None => {}
            }
        }
        Ok(recorded)
    }

    /// What is held, void or scrapped is nobody's to sign for.
    fn add(&mut self, records: &Records, serial: Serial, unit: &UnitRecord) -> Result<(), Fault> {
        let passed = unit.standing == "passed";
        if let Some(spki_sha256) = unit.key_fingerprint.filter(|_| passed) {
            let key = own_key(records, unit, &spki_sha256)?;
            let (device_id, mode, source) = (unit.device_id, Some(unit.mode), format!("record {}", unit.entry));
            self.passed.push(DeviceKey { serial, device_id, spki_sha256, key, mode, source });
            return Ok(());
        }
        let standing = if passed { "passed without a key" } else { unit.standing };
        let standing = format!("{standing}, in record {}", unit.entry);
        let (device_id, spki_sha256) = (unit.device_id, unit.key_fingerprint);
        self.others.insert(serial, Other { standing, device_id, spki_sha256 });
        Ok(())
    }
}

/// Writes the list of all units that passed, and of the devices in these files, to a new file. The file appears whole or
/// not at all.
///
/// # Errors
/// As [`super::write`], and every line of the imported files that is damaged or contradicts a record or another line.
pub fn write(
    records: &Records,
    imports: &[Read],
    mode: Option<Mode>,
    path: &std::path::Path,
) -> Result<(Chain, usize), Fault> {
    records.at_one_moment(|records| {
        let chain = records.verify()?;
        of_mode(records, mode)?;
        let list = merged(Recorded::of(records)?, imports).map_err(|problems| unmergeable(&problems))?;
        let draft = Draft::beside(path)?;
        rows(&list, &draft).map_err(|error| draft.failed(&std::io::Error::other(error)))?;
        draft.publish()?;
        Ok((chain, list.len()))
    })
}

fn rows(list: &[DeviceKey], draft: &Draft) -> Result<(), csv::Error> {
    let mut rows = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(&draft.file);
    rows.write_record(COLUMNS)?;
    for device in list {
        let id = device.device_id.map(|id| id.to_string()).unwrap_or_default();
        let (serial, digest) = (device.serial.to_string(), device.spki_sha256.to_string());
        let mode = device.mode.map(|mode| mode.to_string()).unwrap_or_default();
        let source = device.source.clone();
        rows.write_record([serial, id, digest, device.key.clone(), mode, source].map(inert))?;
    }
    rows.flush()?;
    Ok(())
}

/// The whole key, from the golden state of the unit.
fn own_key(records: &Records, unit: &UnitRecord, spki_sha256: &Digest) -> Result<String, Fault> {
    let stored = unit.golden.map(|golden| records.golden(&golden)).transpose()?.flatten();
    let golden = stored.and_then(|bytes| Golden::from_bytes(&bytes).ok());
    let key = golden.and_then(|golden| golden.own_key);
    let agrees = |key: &String| bytes_from_hex(key).is_some_and(|key| Digest::of(&key) == *spki_sha256);
    Ok(key.filter(agrees).unwrap_or_default())
}

/// Records and imported lists as one, in the order of the serial numbers.
///
/// # Errors
/// Everything that is wrong with the lists, and every contradiction, with both places.
pub fn merged(recorded: Recorded, imports: &[Read]) -> Result<Vec<DeviceKey>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mode = recorded.mode;
    let mut known = Known::of(recorded);
    let list = RefuseList::built_in()?;
    for file in imports {
        for (line, device) in read(file, mode, &list, &mut problems) {
            let contradiction = known.contradicts(&device);
            problems.extend(contradiction.map(|what| Problem::new(file.name(), what).at(line, 1)));
            known.add(device);
        }
    }
    problems.truncate(PROBLEMS);
    if problems.is_empty() { Ok(known.into_list()) } else { Err(problems) }
}

/// Devices by their serial numbers, and whose device and key is whose.
#[derive(Default)]
struct Known {
    all: BTreeMap<Serial, Entry>,
    others: BTreeMap<Serial, Other>,
    by_device: HashMap<DeviceId, Serial>,
    by_key: HashMap<Digest, Serial>,
}

/// What is said of a serial number.
struct Entry {
    device: DeviceKey,
    /// Nothing that a list says is written into it.
    recorded: bool,
    /// The device, whoever named it.
    device_id: Option<DeviceId>,
}

impl Known {
    /// A device that passed under one label after another was voided is that of the PASS.
    fn of(recorded: Recorded) -> Self {
        let mut known = Self { others: recorded.others, ..Self::default() };
        recorded.passed.into_iter().for_each(|device| known.insert(device, true));
        for (serial, other) in &known.others {
            other.device_id.map(|id| known.by_device.entry(id).or_insert_with(|| serial.clone()));
            other.spki_sha256.map(|key| known.by_key.entry(key).or_insert_with(|| serial.clone()));
        }
        known
    }

    fn insert(&mut self, device: DeviceKey, recorded: bool) {
        // Keys that a product's units share come from records only; they are then said to be the first unit's.
        let first = |known: &mut Serial| *known = known.clone().min(device.serial.clone());
        if let Some(id) = device.device_id {
            self.by_device.entry(id).and_modify(first).or_insert_with(|| device.serial.clone());
        }
        self.by_key.entry(device.spki_sha256).and_modify(first).or_insert_with(|| device.serial.clone());
        let device_id = device.device_id;
        self.all.insert(device.serial.clone(), Entry { device, recorded, device_id });
    }

    /// The first that is said of a serial number stands, and what it left out may be said later.
    fn add(&mut self, device: DeviceKey) {
        let Some(known) = self.all.get_mut(&device.serial) else {
            if !self.others.contains_key(&device.serial) {
                self.insert(device, false);
            }
            return;
        };
        if !known.agrees(&device) {
            return;
        }
        if let Some(id) = device.device_id {
            known.device_id.get_or_insert(id);
            self.by_device.entry(id).or_insert(device.serial);
        }
        if !known.recorded {
            known.device.device_id = known.device_id;
            known.device.mode = known.device.mode.or(device.mode);
        }
    }

    /// What of this speaks against what is known.
    fn contradicts(&self, device: &DeviceKey) -> Option<String> {
        let serial = &device.serial;
        if let Some(Other { standing, .. }) = self.others.get(serial) {
            return Some(format!("{serial} is {standing}: only a live PASS says which key it trusts"));
        }
        let by_device = || device.device_id.and_then(|id| self.by_device.get(&id)).map(|owner| (owner, "this device"));
        let by_key = || self.by_key.get(&device.spki_sha256).map(|owner| (owner, "this key"));
        match self.all.get(serial) {
            Some(known) if !known.agrees(device) => {
                Some(format!("{serial} has another key or device in {}", known.device.source))
            }
            Some(Entry { device_id: Some(_), .. }) => None,
            Some(_) => by_device().and_then(|taken| self.taken(taken)),
            None => {
                by_device().into_iter().chain(by_key()).min_by_key(|(owner, _)| *owner).and_then(|it| self.taken(it))
            }
        }
    }

    fn taken(&self, (owner, what): (&Serial, &str)) -> Option<String> {
        let known = self.all.get(owner).map(|known| format!("in {}", known.device.source));
        let standing = known.or_else(|| self.others.get(owner).map(|other| other.standing.clone()))?;
        Some(format!("{what} is that of {owner}, {standing}: each device has its own"))
    }

    fn into_list(self) -> Vec<DeviceKey> {
        self.all.into_values().map(|known| known.device).collect()
    }
}

impl Entry {
    fn agrees(&self, device: &DeviceKey) -> bool {
        let devices = self.device_id.zip(device.device_id);
        self.device.spki_sha256 == device.spki_sha256 && devices.is_none_or(|(known, device)| known == device)
    }
}

/// The rows that are whole, with their lines.
fn read(file: &Read, mode: Mode, list: &RefuseList, problems: &mut Vec<Problem>) -> Vec<(usize, DeviceKey)> {
    let text = match readable(file) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    let mut lines = (1..).zip(text.lines());
    let first = lines.find(|(line, text)| *line > LINES || !text.trim().is_empty());
    let Some(header) = first.and_then(|(_, line)| Header::of(line)) else {
        let what = format!("the first line must be `{}`, as `export --format keys-csv` writes it", COLUMNS.join(","));
        problems.push(Problem::new(file.name(), what).at(1, 1));
        return Vec::new();
    };
    let mut rows = Vec::new();
    for (line, text) in lines {
        if problems.len() >= PROBLEMS {
            break;
        }
        if line > LINES {
            problems.push(Problem::new(file.name(), format!("has more than {LINES} lines; divide it")).at(line, 1));
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        let source = format!("{}:{line}", file.name());
        match header.cells(text).and_then(|cells| device(&cells, mode, list, source)) {
            Ok(device) => rows.push((line, device)),
            Err((what, exit)) => problems.push(Problem::new(file.name(), what).at(line, 1).exit(exit)),
        }
    }
    rows
}

/// The text of a list in which no private half stands, wherever: nothing else is said of one that holds it.
fn readable(file: &Read) -> Result<&str, Problem> {
    if let Some(form) = private_half(&file.bytes) {
        return Err(Problem::new(file.name(), NotOurs::Private(form).to_string()).exit(Exit::KeyRefused));
    }
    Ok(file.text()?.strip_prefix('\u{FEFF}').unwrap_or(file.text()?))
}

/// A large list is asked once more in parts, each as small as a file that holds a key may be.
fn private_half(bytes: &[u8]) -> Option<&'static str> {
    let limit = usize::try_from(keys::FILE_LIMIT).unwrap_or(usize::MAX);
    let (mut budget, mut rest) = (Budget::default(), bytes);
    let mut parts = std::iter::from_fn(|| {
        let most = rest.get(..limit).filter(|most| most.len() < rest.len());
        let lines = most.map(|most| memchr::memrchr(b'\n', most).map_or(limit, |end| end + 1));
        let (part, behind) = rest.split_at_checked(lines.unwrap_or(rest.len()))?;
        rest = behind;
        (!part.is_empty()).then_some(part)
    });
    let mut in_parts = || parts.find_map(|part| private::form_within(part, &mut budget));
    let large = || if bytes.len() > limit { in_parts() } else { None };
    private::form_of_file(bytes).or_else(large).or_else(|| beside_its_key(bytes))
}

/// Shorter text holds no number of 32 bytes, whatever the digits.
const NUMBER: usize = 43;

/// A number without wrapping in the same row as its public half. The fingerprint there is such a number too, and of many rows
/// it would spend what may be tried.
fn beside_its_key(bytes: &[u8]) -> Option<&'static str> {
    let mut budget = Budget::default();
    let mut rows = bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let row = line.get(memchr::memchr_iter(b',', line).nth(2)? + 1..)?;
        let behind = row.get(memchr::memchr(b',', row)?..)?;
        (behind.len() > NUMBER).then_some(row)
    });
    rows.find_map(|row| private::form_within(row, &mut budget))
}

/// What goes wrong with a row, and how badly.
type Wrong = (String, Exit);

fn plain(what: impl Into<String>) -> Wrong {
    (what.into(), Exit::Usage)
}

/// The columns of a list. The last two may be left out.
struct Header {
    /// How many there are.
    columns: usize,
    has_mode: bool,
}

/// A row without its marks.
struct Cells<'t> {
    serial: &'t str,
    device_id: &'t str,
    spki_sha256: &'t str,
    key: &'t str,
    /// Empty where the list does not say it.
    mode: &'t str,
}

impl Header {
    fn of(line: &str) -> Option<Self> {
        let names: Vec<&str> = line.split(',').map(unquoted).collect();
        let rest = names.strip_prefix(COLUMNS.get(..4)?)?;
        let has_mode = rest.first() == COLUMNS.get(4);
        let rest = if has_mode { rest.get(1..)? } else { rest };
        (rest.is_empty() || rest == COLUMNS.get(5..)?).then_some(Self { columns: names.len(), has_mode })
    }

    /// A row is a line: a mark that is not closed takes no more than its own.
    fn cells<'t>(&self, line: &'t str) -> Result<Cells<'t>, Wrong> {
        let row: Vec<&str> = cells(line).take(self.columns + 1).map(unquoted).collect();
        if row.len() > self.columns {
            return Err(plain(format!("this row has more cells than the {} columns of the first line", self.columns)));
        }
        let cell = |index: usize| row.get(index).copied().unwrap_or_default();
        let mode = if self.has_mode { cell(4) } else { "" };
        Ok(Cells { serial: cell(0), device_id: cell(1), spki_sha256: cell(2), key: cell(3), mode })
    }
}

/// What commas outside of quotation marks divide.
fn cells(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

fn unquoted(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell).trim()
}

fn device(row: &Cells<'_>, records: Mode, list: &RefuseList, source: String) -> Result<DeviceKey, Wrong> {
    let serial: Serial = row.serial.parse().map_err(|error: crate::ident::BadSerial| plain(error.to_string()))?;
    let device_id = match row.device_id {
        "" => None,
        id => Some(id.parse::<DeviceId>().map_err(|error| plain(error.to_string()))?),
    };
    let mode = (!row.mode.is_empty()).then_some(records);
    if mode.is_some_and(|mode| mode.to_string() != row.mode) {
        let what = format!("`mode` is another than {records}, that of the records; modes are never mixed in one list");
        return Err(plain(what));
    }
    let (spki_sha256, key) = own_key_of(row, list)?;
    Ok(DeviceKey { serial, device_id, spki_sha256, key: hex(key.spki()), mode, source })
}

/// The key of a device that is its own: bootloaders of the nRF5 SDK, which alone have one, verify with P-256.
fn own_key_of(row: &Cells<'_>, list: &RefuseList) -> Result<(Digest, AnyKey), Wrong> {
    let pinned: Digest = row.spki_sha256.parse().map_err(|error: crate::ident::BadDigest| plain(error.to_string()))?;
    let der = bytes_from_hex(row.key).filter(|der| !der.is_empty());
    let der = der.ok_or_else(|| plain("`key` must be a SubjectPublicKeyInfo in hexadecimal digits"))?;
    let key = AnyKey::from_spki(&der)
        .map_err(|bad| (format!("`key`: {bad}"), if bad.is_private() { Exit::KeyRefused } else { Exit::Usage }))?;
    if key.spki_sha256() != pinned {
        return Err(plain(format!("`key` has the SHA-256 {}, not that of `spki_sha256`", key.spki_sha256())));
    }
    if let Some(refused) = list.refuses_digest(&pinned) {
        return Err((format!("`key` is a {refused}"), Exit::KeyRefused));
    }
    match key.algorithm() {
        Algorithm::P256 => Ok((pinned, key)),
        Algorithm::X25519 => Err(plain("`key` is X25519, which signs nothing; a device's own key is P-256")),
        other @ (Algorithm::P384 | Algorithm::Ed25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072) => {
            Err(plain(format!("`key` is {other}; a device's own key is P-256")))
        }
    }
}

fn unmergeable(problems: &[Problem]) -> Fault {
    let exit = problems.iter().fold(Exit::Usage, |worst, problem| worst.worst(problem.exit));
    let what = "a list of devices cannot be merged with the records";
    let next =
        "Decide for every line named here which is right, correct the list, and export again. Nothing was written.";
    let fault = Fault::new(Party::Security, what, next).exit(exit).code("L-145");
    problems.iter().fold(fault, |fault, problem| fault.detail(problem.to_string()))
}
