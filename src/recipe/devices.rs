//! One key per device: a table that says which unit trusts which key. Public halves only.
//!
//! The table comes from whoever keeps the private halves; what is wrong with it is told all at once, and never by
//! repeating what a cell holds: it could be what should not have come here.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use super::{SerialRule, shelf::Shelf};
use crate::{
    fault::{Exit, Problem},
    file::Read,
    ident::{Digest, Serial, bytes_from_hex},
    image::dfu::patch::Form,
    keys::{self, NotOurs, PublicKey, private, refuse::RefuseList},
};

/// The largest table that is looked at, in bytes: a hundred thousand units.
pub(super) const TABLE_LIMIT: u64 = 32 << 20;

/// More than this is noise: a file of another kind gives one per line.
const PROBLEMS: usize = 50;

/// More than a table of [`TABLE_LIMIT`] holds with keys written out; lines of next to nothing would take many times its
/// length.
const LINES: usize = 250_000;

const HEADER: &str = "serial,key";

/// Which unit trusts which key.
#[derive(Clone, Debug)]
pub struct DeviceKeys {
    /// The table as written in the recipe.
    pub file: String,
    /// SHA-256 over every serial number and the key it gets, wherever that key stood.
    pub digest: Digest,
    rows: Arc<BTreeMap<Serial, PublicKey>>,
}

impl DeviceKeys {
    /// The key of this unit, if the table has one.
    #[must_use]
    pub fn get(&self, serial: &Serial) -> Option<&PublicKey> {
        self.rows.get(serial)
    }

    /// Every unit with its key, in the order of the serial numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&Serial, &PublicKey)> {
        self.rows.iter()
    }

    /// How many units have a key.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no unit has a key; no reader returns such a table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// What a table is read with.
pub(super) struct Reader<'r> {
    pub(super) shelf: &'r dyn Shelf,
    pub(super) rule: Option<&'r SerialRule>,
    pub(super) list: Option<&'r RefuseList>,
    /// Keys that all units share: none of them is one device's own.
    pub(super) shared: Vec<(&'r str, &'r PublicKey)>,
}

/// One thing that is wrong with a table, and whether a refused key is the reason.
pub(super) struct Told {
    pub(super) problem: Problem,
    pub(super) refused: bool,
}

struct Row<'t> {
    line: usize,
    serial: (usize, &'t str),
    key: (usize, &'t str),
}

impl Reader<'_> {
    /// The table as far as it could be read, and everything that is wrong with it.
    pub(super) fn read(&self, name: &str, file: &Read) -> (DeviceKeys, Vec<Told>) {
        let mut told = Vec::new();
        let mut rows = BTreeMap::new();
        let mut lines: HashMap<Digest, usize> = HashMap::new();
        let mut serials: HashMap<Serial, usize> = HashMap::new();
        for row in split(file, &mut told) {
            if told.len() >= PROBLEMS {
                break;
            }
            let (serial, key) = (self.serial(file, &row, &mut told), self.key(file, &row, &mut told));
            let first = serial.as_ref().and_then(|serial| serials.insert(serial.clone(), row.line));
            if let Some(first) = first {
                let what = format!("this serial number has a key already, in line {first}");
                told.push(plain(Problem::new(file.name(), what).at(row.line, row.serial.0)));
            }
            if let Some(first) = key.as_ref().and_then(|key| lines.insert(key.spki_sha256(), row.line)) {
                let what = format!("this key is another unit's already, in line {first}: each device has its own");
                told.push(plain(Problem::new(file.name(), what).at(row.line, row.key.0)));
            }
            rows.extend(serial.zip(key));
        }
        if told.len() >= PROBLEMS {
            told.push(plain(Problem::new(file.name(), format!("and more; about {PROBLEMS} are told"))));
        }
        if rows.is_empty() && told.is_empty() {
            told.push(plain(Problem::new(file.name(), "names no unit")));
        }
        (DeviceKeys { file: name.to_owned(), digest: digest(&rows), rows: Arc::new(rows) }, told)
    }

    fn serial(&self, file: &Read, row: &Row<'_>, told: &mut Vec<Told>) -> Option<Serial> {
        let (column, text) = row.serial;
        let parsed = text.parse::<Serial>().map_err(|error| error.to_string());
        let checked = parsed.and_then(|serial| match self.rule.map(|rule| rule.check(&serial)) {
            Some(Err(wrong)) => Err(wrong.to_string()),
            Some(Ok(())) | None => Ok(serial),
        });
        checked.map_err(|what| told.push(plain(Problem::new(file.name(), what).at(row.line, column)))).ok()
    }

    fn key(&self, file: &Read, row: &Row<'_>, told: &mut Vec<Told>) -> Option<PublicKey> {
        let (column, cell) = row.key;
        let at = |what: String| Problem::new(file.name(), what).at(row.line, column);
        let key = match self.key_in(file, cell) {
            Ok(key) => key,
            Err((what, exit)) => {
                told.push(plain(at(what).exit(exit)));
                return None;
            }
        };
        if let Some(refused) = self.list.and_then(|list| list.refuses(&key)) {
            told.push(Told { problem: at(format!("this key is a {refused}")), refused: true });
        }
        if let Some((name, _)) = self.shared.iter().find(|(_, shared)| **shared == key) {
            told.push(plain(at(format!("this is key `{name}` of the recipe, which is no device's own"))));
        }
        Some(key)
    }

    fn key_in(&self, file: &Read, cell: &str) -> Result<PublicKey, (String, Exit)> {
        if let Some(bytes) = bytes_from_hex(digits(cell)).filter(|bytes| bytes.len() >= 32) {
            return in_hex(&bytes);
        }
        // The name is not told: it is one only if there is such a file.
        let told = |problem: Problem| (format!("the key file named here {}", problem.what), problem.exit);
        let path = file.path.parent().unwrap_or(Path::new("")).join(cell);
        match self.shelf.take(&path, keys::FILE_LIMIT) {
            Ok(read) => keys::read(&read).map_err(told),
            Err(problem) => Err(private_in(cell).unwrap_or_else(|| told(problem))),
        }
    }
}

fn digits(cell: &str) -> &str {
    cell.strip_prefix("0x").or_else(|| cell.strip_prefix("0X")).unwrap_or(cell)
}

/// What a cell that names no file holds instead, if it is a private half, or 32 bytes that could be one.
fn private_in(cell: &str) -> Option<(String, Exit)> {
    if cell.len() > CELL {
        return None;
    }
    if let Some(form) = private::form_of_file(cell.as_bytes()) {
        return Some((format!("this cell {}", NotOurs::Private(form)), Exit::KeyRefused));
    }
    let armour = cell.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(armour).or_else(|_| URL_SAFE_NO_PAD.decode(armour)).ok()?;
    in_hex(&bytes).err().filter(|_| bytes.len() == 32)
}

/// More than a private key of 3072 bits has in base64, in bytes.
const CELL: usize = 4096;

/// X and Y in either order of bytes, with or without the 04 before them, or a SubjectPublicKeyInfo. Which order it is
/// the curve says: no point is one both ways.
fn in_hex(bytes: &[u8]) -> Result<PublicKey, (String, Exit)> {
    let expected = "write X and Y as 128 hexadecimal digits, a SubjectPublicKeyInfo, or the name of a key file";
    match (bytes.len(), bytes) {
        (64, point) => Form::Raw
            .key(point)
            .or_else(|| Form::Nrf5SdkLe.key(point))
            .ok_or_else(|| ("these 64 bytes are no point of P-256, in neither order of bytes".to_owned(), Exit::Usage)),
        (65, [4, point @ ..]) => {
            Form::Raw.key(point).ok_or_else(|| ("these 65 bytes are no point of P-256".to_owned(), Exit::Usage))
        }
        (32, _) => Err((
            format!("32 bytes are no public key, and could be a private one: if so, treat it as exposed; {expected}"),
            Exit::KeyRefused,
        )),
        (_, der) => PublicKey::from_spki(der).map_err(|what| {
            let private = matches!(what, NotOurs::Private(_));
            (format!("this {what}; {expected}"), if private { Exit::KeyRefused } else { Exit::Usage })
        }),
    }
}

/// Rows with the columns their cells begin in, counted in characters from 1.
fn split<'t>(file: &'t Read, told: &mut Vec<Told>) -> Vec<Row<'t>> {
    let text = match file.text() {
        Ok(text) => text.strip_prefix('\u{FEFF}').unwrap_or(text),
        Err(problem) => {
            told.push(plain(problem));
            return Vec::new();
        }
    };
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, line)| !unquoted(line).eq_ignore_ascii_case(HEADER)) {
        told.push(plain(Problem::new(file.name(), format!("the first line must be `{HEADER}`")).at(1, 1)));
        return Vec::new();
    }
    let mut rows = Vec::new();
    for (line, text) in lines {
        if told.len() >= PROBLEMS {
            break;
        }
        if line > LINES {
            let what = format!("has more than {LINES} lines; divide it into lots");
            told.push(plain(Problem::new(file.name(), what).at(line, 1)));
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        match text.split_once(',').filter(|(_, key)| !key.contains(',')) {
            Some((serial, key)) => {
                let second = serial.chars().count() + 2;
                rows.push(Row { line, serial: (1, cell(serial)), key: (second, cell(key)) });
            }
            None => {
                let what = "a row has two cells, the serial number and the key";
                told.push(plain(Problem::new(file.name(), what).at(line, 1)));
            }
        }
    }
    rows
}

fn unquoted(line: &str) -> String {
    line.chars().filter(|character| *character != '"' && !character.is_whitespace()).collect()
}

fn cell(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(text).trim()
}

pub(super) fn plain(problem: Problem) -> Told {
    Told { problem, refused: false }
}

fn digest(rows: &BTreeMap<Serial, PublicKey>) -> Digest {
    let lines = rows.iter().map(|(serial, key)| format!("{} {}\n", serial.as_str(), key.spki_sha256()));
    Digest::of(lines.collect::<String>().as_bytes())
}
