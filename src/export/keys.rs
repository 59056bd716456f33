//! Which device trusts which key: the list that a signer of updates works from, with the devices that were in the field
//! before there were records.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{Draft, inert, of_mode};
use crate::{
    fault::{Exit, Fault, Party, Problem},
    file::Read,
    ident::{DeviceId, Digest, Mode, Serial, bytes_from_hex, hex},
    keys::{AnyKey, refuse::RefuseList},
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
    /// The rules of the records this list is made of: what was built in training is nobody's to sign for.
    pub mode: Mode,
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
    /// How every other unit stands that the records have touched.
    pub others: BTreeMap<Serial, String>,
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
        match unit.key_fingerprint.filter(|_| unit.standing == "passed") {
            Some(spki_sha256) => {
                let key = own_key(records, unit, &spki_sha256)?;
                let (device_id, mode, source) = (unit.device_id, unit.mode, format!("record {}", unit.entry));
                self.passed.push(DeviceKey { serial, device_id, spki_sha256, key, mode, source });
            }
            None if unit.standing == "passed" => {
                self.others.insert(serial, format!("passed without a key, in record {}", unit.entry));
            }
            None => {
                self.others.insert(serial, format!("{}, in record {}", unit.standing, unit.entry));
            }
        }
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
        let (mode, source) = (device.mode.to_string(), device.source.clone());
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
    let mut known = Known::default();
    let Recorded { mode, passed, others } = recorded;
    passed.into_iter().for_each(|device| known.add(device));
    let list = RefuseList::built_in()?;
    for file in imports {
        for (line, device) in read(file, mode, &list, &mut problems) {
            let at = |what: String| Problem::new(file.name(), what).at(line, 1);
            if let Some(standing) = others.get(&device.serial) {
                problems
                    .push(at(format!("{} is {standing}: only a live PASS says which key it trusts", device.serial)));
                continue;
            }
            match known.all.get(&device.serial) {
                Some(known) if same(known, &device) => {}
                Some(known) => {
                    problems.push(at(format!("{} has another key or device in {}", device.serial, known.source)));
                }
                None => problems.extend(known.taken(&device).map(at)),
            }
            known.add(device);
        }
    }
    problems.truncate(PROBLEMS);
    if problems.is_empty() { Ok(known.all.into_values().collect()) } else { Err(problems) }
}

fn same(known: &DeviceKey, device: &DeviceKey) -> bool {
    let devices = known.device_id.zip(device.device_id);
    known.spki_sha256 == device.spki_sha256 && devices.is_none_or(|(known, device)| known == device)
}

/// Devices by their serial numbers, and whose device and key is whose.
#[derive(Default)]
struct Known {
    all: BTreeMap<Serial, DeviceKey>,
    by_device: HashMap<DeviceId, Serial>,
    by_key: HashMap<Digest, Serial>,
}

impl Known {
    /// The first that is said of a serial number stands.
    fn add(&mut self, device: DeviceKey) {
        // Keys that a product's units share come from records only; they are then said to be the first unit's.
        let first = |known: &mut Serial| *known = known.clone().min(device.serial.clone());
        if self.all.contains_key(&device.serial) {
            return;
        }
        if let Some(id) = device.device_id {
            self.by_device.entry(id).and_modify(first).or_insert_with(|| device.serial.clone());
        }
        self.by_key.entry(device.spki_sha256).and_modify(first).or_insert_with(|| device.serial.clone());
        self.all.insert(device.serial.clone(), device);
    }

    /// What of a device is another's already.
    fn taken(&self, device: &DeviceKey) -> Option<String> {
        let by_device = device.device_id.and_then(|id| self.by_device.get(&id)).map(|serial| (serial, "this device"));
        let by_key = self.by_key.get(&device.spki_sha256).map(|serial| (serial, "this key"));
        let (serial, what) = by_device.into_iter().chain(by_key).min_by_key(|(serial, _)| *serial)?;
        let known = self.all.get(serial)?;
        Some(format!("{what} is that of {}, in {}: each device has its own", known.serial, known.source))
    }
}

/// The rows that are whole, with their lines.
fn read(file: &Read, mode: Mode, list: &RefuseList, problems: &mut Vec<Problem>) -> Vec<(usize, DeviceKey)> {
    let text = match file.text() {
        Ok(text) => text.strip_prefix('\u{FEFF}').unwrap_or(text),
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    let mut lines = (1..).zip(text.lines());
    let first = lines.find(|(line, text)| *line > LINES || !text.trim().is_empty());
    let Some(has_mode) = first.and_then(|(_, line)| header(line)) else {
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
        match device(&columns(text, has_mode), mode, list, &format!("{}:{line}", file.name())) {
            Ok(device) => rows.push((line, device)),
            Err((what, exit)) => problems.push(Problem::new(file.name(), what).at(line, 1).exit(exit)),
        }
    }
    rows
}

/// Whether the rows have a mode; `None` where this is no header. The last two columns may be left out.
fn header(line: &str) -> Option<bool> {
    let names: Vec<&str> = line.split(',').map(unquoted).collect();
    let rest = names.strip_prefix(COLUMNS.get(..4)?)?;
    let has_mode = rest.first() == COLUMNS.get(4);
    let rest = if has_mode { rest.get(1..)? } else { rest };
    (rest.is_empty() || rest == COLUMNS.get(5..)?).then_some(has_mode)
}

/// The columns before the last, without their quotation marks. None of them ever holds a comma or a line's end, so that a
/// row is a line: a mark that is not closed takes no more than its own.
fn columns(line: &str, has_mode: bool) -> Vec<&str> {
    line.split(',').take(if has_mode { 5 } else { 4 }).map(unquoted).collect()
}

fn unquoted(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell).trim()
}

fn device(row: &[&str], mode: Mode, list: &RefuseList, source: &str) -> Result<DeviceKey, (String, Exit)> {
    let cell = |index: usize| row.get(index).copied().unwrap_or_default();
    let plain = |what: String| (what, Exit::Usage);
    let serial: Serial = cell(0).parse().map_err(|error: crate::ident::BadSerial| plain(error.to_string()))?;
    let device_id = match cell(1) {
        "" => None,
        id => Some(id.parse::<DeviceId>().map_err(|error| plain(error.to_string()))?),
    };
    if !cell(4).is_empty() && cell(4) != mode.to_string() {
        return Err(plain(format!(
            "`mode` is another than {mode}, that of the records; modes are never mixed in one list"
        )));
    }
    let pinned: Digest = cell(2).parse().map_err(|error: crate::ident::BadDigest| plain(error.to_string()))?;
    let der = bytes_from_hex(cell(3)).filter(|der| !der.is_empty());
    let der = der.ok_or_else(|| plain("`key` must be a SubjectPublicKeyInfo in hexadecimal digits".to_owned()))?;
    let key = AnyKey::from_spki(&der)
        .map_err(|bad| (format!("`key`: {bad}"), if bad.is_private() { Exit::KeyRefused } else { Exit::Usage }))?;
    if key.spki_sha256() != pinned {
        return Err(plain(format!("`key` has the SHA-256 {}, not that of `spki_sha256`", key.spki_sha256())));
    }
    if let Some(refused) = list.refuses_digest(&pinned) {
        return Err((format!("`key` is a {refused}"), Exit::KeyRefused));
    }
    Ok(DeviceKey { serial, device_id, spki_sha256: pinned, key: hex(key.spki()), mode, source: source.to_owned() })
}

fn unmergeable(problems: &[Problem]) -> Fault {
    let exit = problems.iter().fold(Exit::Usage, |worst, problem| worst.worst(problem.exit));
    let what = "a list of devices cannot be merged with the records";
    let next =
        "Decide for every line named here which is right, correct the list, and export again. Nothing was written.";
    let fault = Fault::new(Party::Security, what, next).exit(exit).code("L-145");
    problems.iter().fold(fault, |fault, problem| fault.detail(problem.to_string()))
}
