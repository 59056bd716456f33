//! `rootstamp records`: lists, shows and searches what was recorded, and checks that it is whole.

use std::{io::Write, path::PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::say;
use crate::{
    export,
    fault::{Exit, Fault, Party},
    ident::Serial,
    ledger::{Entry, Ledger, Records, SCHEMA_VERSION, UnitRecord},
};

/// Look at what was recorded, and check that it is whole. Tests the records, not the boards.
///
/// Reads while a station works; writes nothing. What is not whole is not shown: every question checks the chain first.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    question: Question,
    /// Directory of the records.
    #[arg(long, env = "ROOTSTAMP_DATA", default_value = "./data", value_name = "DIR", global = true)]
    data: PathBuf,
    /// One JSON object per line.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Every unit, one per line.
    List,
    /// Everything recorded about one unit.
    Show {
        /// As on the label.
        serial: Serial,
    },
    /// Units with this text in serial number, device id or any recorded fact.
    Search {
        /// Capital and small letters are the same.
        text: String,
    },
    /// Is the chain whole? Exit 31 names the first bad entry.
    ///
    /// Entries cut off at the end cannot be noticed here: compare the head with one written down elsewhere.
    Verify,
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        let records = Ledger::read_only(&self.data)?;
        records.at_one_moment(|records| match &self.question {
            Question::List => list(records, &whole(records)?.serials()?, self.json, out),
            Question::Search { text } => list(records, &whole(records)?.search(text)?, self.json, out),
            Question::Show { serial } => show(whole(records)?, serial, self.json, out),
            Question::Verify => verify(records, self.json, out),
        })
    }
}

/// A PASS out of a chain that is broken anywhere is worth nothing: an entry that was left out changes no other.
fn whole(records: &Records) -> Result<&Records, Fault> {
    records.verify()?;
    Ok(records)
}

fn list(records: &Records, serials: &[Serial], json: bool, out: &mut dyn Write) -> Result<Exit, Fault> {
    for serial in serials {
        let Some(unit) = records.unit_record(serial)? else { continue };
        say(out, &if json { value(&unit).to_string() } else { row(&unit) })?;
    }
    Ok(Exit::Pass)
}

fn row(unit: &UnitRecord) -> String {
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    format!(
        "{:<20} {:<10} device {:<16} {:<8} key {:<8} run {} entry {}",
        unit.serial,
        unit.verdict,
        text(unit.device_id.map(|id| id.to_string())),
        printable(&text(unit.variant.clone())),
        text(unit.key_fingerprint.map(|key| key.short())),
        text(unit.run.map(|run| run.to_string())),
        unit.entry,
    )
}

fn show(records: &Records, serial: &Serial, json: bool, out: &mut dyn Write) -> Result<Exit, Fault> {
    let entries = records.of_unit(serial)?;
    let Some(unit) = records.unit_record(serial)? else { return Err(unknown(serial)) };
    if json {
        let mut object = value(&unit);
        if let Value::Object(members) = &mut object {
            let lines = entries.iter().filter_map(|entry| serde_json::from_str(&export::line(entry)).ok());
            members.insert("entries".to_owned(), Value::Array(lines.collect()));
        }
        say(out, &object.to_string())?;
        return Ok(Exit::Pass);
    }
    say(out, &row(&unit))?;
    for entry in &entries {
        say(out, &told(entry))?;
    }
    Ok(Exit::Pass)
}

fn told(entry: &Entry) -> String {
    let run = entry.run.map(|run| format!(" run {run}")).unwrap_or_default();
    let back = if entry.clock_back { " (the clock went back)" } else { "" };
    format!("\n{:>6}  {}{back} {}{run}\n        {}", entry.seq, entry.wall.0, entry.kind, printable(&entry.body))
}

fn verify(records: &Records, json: bool, out: &mut dyn Write) -> Result<Exit, Fault> {
    match records.verify() {
        Ok(chain) if json => {
            let (entries, head) = (chain.entries, chain.head);
            let object = json!({"schema_version": SCHEMA_VERSION, "whole": true, "entries": entries, "head": head});
            say(out, &object.to_string())?;
            Ok(Exit::Pass)
        }
        Ok(chain) => {
            say(out, &format!("whole: {} entries, head {}", chain.entries, chain.head))?;
            Ok(Exit::Pass)
        }
        Err(broken) if json => {
            let (entry, what) = (broken.entry, broken.what);
            let object = json!({"schema_version": SCHEMA_VERSION, "whole": false, "entry": entry, "what": what});
            say(out, &object.to_string())?;
            Ok(Exit::Tampered)
        }
        Err(broken) => Err(broken.into()),
    }
}

fn value(unit: &UnitRecord) -> Value {
    serde_json::to_value(unit).unwrap_or(Value::Null)
}

/// Recorded text as a terminal may see it: what would move, recolour or reorder it is spelled out.
fn printable(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, char| {
        match char {
            '"' | '\'' | '\\' => shown.push(char),
            other => shown.extend(other.escape_debug()),
        }
        shown
    })
}

fn unknown(serial: &Serial) -> Fault {
    Fault::new(
        Party::Operator,
        format!("the records know nothing of {serial}"),
        "Compare the label with what you typed, and check that --data names the right station's records.",
    )
    .exit(Exit::Usage)
    .code("L-120")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_text_cannot_move_the_cursor_or_turn_the_line_around() {
        assert_eq!(printable("a\u{1b}[2J\u{202e}\u{9b}b\"é"), "a\\u{1b}[2J\\u{202e}\\u{9b}b\"é");
    }
}
