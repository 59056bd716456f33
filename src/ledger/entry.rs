//! One entry as it is stored, and the bytes its hash covers.

use std::{fmt, fmt::Write as _, str::FromStr};

use rusqlite::{Row, types::FromSql};
use serde::Serialize;
use serde_json::Value;

use super::fault;
use crate::{
    clock::{Millis, Stamp},
    fault::Fault,
    ident::{DeviceId, Digest, Mode, RunId, Serial},
};

/// First line of what is hashed; another shape of entry gets another one.
const DOMAIN: &str = "rootstamp-entry-v1";

/// The columns of an entry, in the order [`Entry::from_row`] expects.
pub(super) const COLUMNS: &str =
    "seq, kind, mode, station, run, serial, device, wall, mono, clock_back, body, prev_hash, hash";

/// What an entry is about; decides what it changes (see [`super::standing`]).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A program opened the ledger to write.
    Opened,
    /// C1: a device will be erased, and a serial number is reserved. Opens a run.
    EraseIntent,
    /// C2: run, serial number and device belong together.
    Bound,
    /// C3: exactly these words will be written once.
    StampIntent,
    /// C4: everything was read back; the lock words come next.
    Verified,
    /// C5: the device proved it.
    Passed,
    /// The run ended without a PASS.
    Stopped,
    /// A record no longer describes its device.
    Voided,
    /// A person decided about a unit.
    Disposed,
    /// QA measured a unit again.
    Measured,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Opened,
        Self::EraseIntent,
        Self::Bound,
        Self::StampIntent,
        Self::Verified,
        Self::Passed,
        Self::Stopped,
        Self::Voided,
        Self::Disposed,
        Self::Measured,
    ];

    /// As it stands in the store and in every export.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::EraseIntent => "erase_intent",
            Self::Bound => "bound",
            Self::StampIntent => "stamp_intent",
            Self::Verified => "verified",
            Self::Passed => "passed",
            Self::Stopped => "stopped",
            Self::Voided => "voided",
            Self::Disposed => "disposed",
            Self::Measured => "measured",
        }
    }

    /// Whether the write-ahead log is emptied after it: one flipped bit there loses entries without an error, so what
    /// a shipped unit rests on does not stay in it.
    pub(super) const fn settles(self) -> bool {
        match self {
            Self::Verified | Self::Passed | Self::Stopped | Self::Voided | Self::Disposed | Self::Measured => true,
            Self::Opened | Self::EraseIntent | Self::Bound | Self::StampIntent => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// One entry, exactly as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Position in the chain, from 1 without gaps. The only order there is.
    pub seq: u64,
    /// What it is about.
    pub kind: Kind,
    /// The rules that held.
    pub mode: Mode,
    /// The station that wrote it.
    pub station: String,
    /// The run it belongs to; the run's own first entry names itself.
    pub run: Option<RunId>,
    /// The unit.
    pub serial: Option<Serial>,
    /// The device.
    pub device: Option<DeviceId>,
    /// What the calendar said; a note, never an order.
    pub wall: Stamp,
    /// Since the writing process started.
    pub mono: Millis,
    /// The calendar said less than it had said in an earlier entry.
    pub clock_back: bool,
    /// The fact as canonical JSON: keys sorted, no blanks, whole numbers only.
    pub body: String,
    /// [`Entry::hash`] of the entry before; zeros in the first.
    pub prev_hash: Digest,
    /// SHA-256 of [`Entry::preimage`].
    pub hash: Digest,
}

impl Entry {
    /// What the hash covers: a line naming the version, then one line per field. No field holds a line feed (the reader
    /// refuses one that does) and none that may be absent can be empty, so no two entries share these bytes.
    #[must_use]
    pub fn preimage(&self) -> String {
        let Self { seq, kind, mode, station, wall, mono, body, prev_hash, .. } = self;
        let mut text = format!("{DOMAIN}\n{seq}\n{kind}\n{mode}\n{station}\n");
        line(&mut text, self.run.as_ref());
        line(&mut text, self.serial.as_ref());
        line(&mut text, self.device.as_ref());
        let _ = write!(text, "{}\n{}\n{}\n{prev_hash}\n{body}\n", wall.0, mono.0, u8::from(self.clock_back));
        text
    }

    /// The hash this entry should carry.
    #[must_use]
    pub fn hashed(&self) -> Digest {
        Digest::of(self.preimage().as_bytes())
    }

    /// The fact as a value.
    #[must_use]
    pub fn fact(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// From [`COLUMNS`]. Everything is checked again here, because a tampered file keeps none of its own constraints.
    pub(super) fn from_row(row: &Row<'_>) -> Result<Self, String> {
        let seq = number(row, "seq").ok().filter(|seq| *seq > 0).ok_or("it stands before the first entry")?;
        Ok(Self {
            seq,
            kind: parsed(row, "kind")?,
            mode: mode(&text(row, "mode")?)?,
            station: text(row, "station")?,
            run: optional::<i64>(row, "run")?.map(|run| whole("run", run).map(RunId)).transpose()?,
            serial: optional::<String>(row, "serial")?.map(|text| reads("serial", &text)).transpose()?,
            device: optional::<String>(row, "device")?.map(|text| reads("device", &text)).transpose()?,
            wall: Stamp(text(row, "wall")?),
            mono: Millis(number(row, "mono")?),
            clock_back: flag(number(row, "clock_back")?)?,
            body: text(row, "body")?,
            prev_hash: digest(row, "prev_hash")?,
            hash: digest(row, "hash")?,
        })
    }
}

/// Any fact as the exact text that is hashed.
///
/// # Errors
/// A [`Fault`] of ours: a fact that is no JSON object, or holds a fraction, which two programs print differently.
pub(super) fn canonical<F: Serialize>(fact: &F) -> Result<String, Fault> {
    let value =
        serde_json::to_value(fact).map_err(|error| fault::ours("a fact that cannot be written").because(&error))?;
    if !value.is_object() {
        return Err(fault::ours("a fact that is no object"));
    }
    let mut text = String::new();
    write_sorted(&value, &mut text)?;
    Ok(text)
}

fn write_sorted(value: &Value, text: &mut String) -> Result<(), Fault> {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_str());
            enclosed(text, '{', '}', sorted, |(key, value), text| {
                let _ = write!(text, "{}:", Value::from(key.as_str()));
                write_sorted(value, text)
            })
        }
        Value::Array(items) => enclosed(text, '[', ']', items, write_sorted),
        Value::Number(number) if number.is_f64() => Err(fault::ours("a fact with a fraction in it")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let _ = write!(text, "{value}");
            Ok(())
        }
    }
}

fn enclosed<T>(
    text: &mut String,
    open: char,
    close: char,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(T, &mut String) -> Result<(), Fault>,
) -> Result<(), Fault> {
    text.push(open);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        each(item, text)?;
    }
    text.push(close);
    Ok(())
}

fn line(text: &mut String, field: Option<&impl fmt::Display>) {
    let _ = match field {
        Some(field) => writeln!(text, "{field}"),
        None => writeln!(text),
    };
}

fn optional<T: FromSql>(row: &Row<'_>, column: &str) -> Result<Option<T>, String> {
    row.get(column).map_err(|error| format!("its {column} cannot be read: {error}"))
}

fn required<T: FromSql>(row: &Row<'_>, column: &str) -> Result<T, String> {
    optional(row, column)?.ok_or_else(|| format!("its {column} is missing"))
}

fn text(row: &Row<'_>, column: &str) -> Result<String, String> {
    let text: String = required(row, column)?;
    if text.contains('\n') {
        return Err(format!("its {column} has a line break"));
    }
    Ok(text)
}

fn number(row: &Row<'_>, column: &str) -> Result<u64, String> {
    whole(column, required(row, column)?)
}

fn whole(column: &str, number: i64) -> Result<u64, String> {
    u64::try_from(number).map_err(|_| format!("its {column} is negative"))
}

fn flag(number: u64) -> Result<bool, String> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err("its clock_back is neither 0 nor 1".to_owned()),
    }
}

fn parsed<T: FromStr + fmt::Display>(row: &Row<'_>, column: &str) -> Result<T, String> {
    reads(column, &text(row, column)?)
}

/// Only in the one spelling that is hashed: a capital letter in a device id is a changed byte.
fn reads<T: FromStr + fmt::Display>(column: &str, text: &str) -> Result<T, String> {
    let read = text.parse().ok().filter(|read: &T| read.to_string() == text);
    read.ok_or_else(|| format!("its {column} is none that rootstamp writes"))
}

fn mode(text: &str) -> Result<Mode, String> {
    [Mode::Production, Mode::Engineering, Mode::Training]
        .into_iter()
        .find(|mode| mode.to_string() == text)
        .ok_or_else(|| "its mode is none that rootstamp writes".to_owned())
}

fn digest(row: &Row<'_>, column: &str) -> Result<Digest, String> {
    required(row, column).map(Digest).map_err(|_| format!("its {column} is not 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fact_is_the_same_text_whatever_the_order_of_its_fields() {
        let one = serde_json::json!({"b": [1, {"z": null, "a": "x\ny"}], "a": true});
        assert_eq!(canonical(&one).unwrap(), r#"{"a":true,"b":[1,{"a":"x\ny","z":null}]}"#);
    }

    #[test]
    fn a_fraction_and_a_bare_value_are_no_facts() {
        assert!(canonical(&serde_json::json!({"volts": 3.3})).is_err());
        assert!(canonical(&serde_json::json!(7)).is_err());
    }

    #[test]
    fn a_field_that_moves_to_its_neighbour_changes_what_is_hashed() {
        let entry = Entry {
            seq: 1,
            kind: Kind::Opened,
            mode: Mode::Training,
            station: "bench".to_owned(),
            run: None,
            serial: "1".parse().ok(),
            device: None,
            wall: Stamp("2026-01-01T00:00:00.000Z".to_owned()),
            mono: Millis(0),
            clock_back: false,
            body: "{}".to_owned(),
            prev_hash: Digest([0; 32]),
            hash: Digest([0; 32]),
        };
        let moved = Entry { run: Some(RunId(1)), serial: None, ..entry.clone() };
        assert_ne!(entry.hashed(), moved.hashed());
    }
}
