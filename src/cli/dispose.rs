//! `rootstamp dispose`: records what a person decided about a unit.

use std::{io::Write, path::PathBuf, sync::Arc};

use clap::ValueEnum;
use serde_json::json;

use super::say;
use crate::{
    clock::System,
    fault::{Exit, Fault},
    ident::Serial,
    ledger::{Disposition, Ledger, SCHEMA_VERSION, facts::Disposed},
};

/// End a hold: decide about a unit. The decision is recorded for good.
///
/// Tests nothing: it records what a person found. Needs the records to itself: close the station first.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What becomes of it.
    decision: Decision,
    /// As on the label.
    serial: Serial,
    /// Why, in one line.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who decided.
    #[arg(long, value_name = "NAME", default_value = "not given")]
    by: String,
    /// Directory of the records.
    #[arg(long, env = "ROOTSTAMP_DATA", default_value = "./data", value_name = "DIR")]
    data: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Decision {
    /// The same board may be provisioned again under this label.
    Release,
    /// The label is never used again; its board may take a new one.
    Void,
    /// Neither label nor board is ever used again.
    Scrap,
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        let disposition = match self.decision {
            Decision::Release => Disposition::Release,
            Decision::Void => Disposition::Void,
            Decision::Scrap => Disposition::Scrap,
        };
        let mut ledger = Ledger::reopen(&self.data, env!("CARGO_PKG_VERSION"), Arc::new(System::new()))?;
        let (reason, by) = (self.reason, self.by);
        let kept = ledger.keep(Disposed { serial: self.serial.clone(), disposition, reason, by })?;
        let standing = ledger.unit(&self.serial)?;
        let line = if self.json {
            let (serial, word, entry) = (kept.fact(), standing.word(), kept.seq());
            let object = json!({
                "schema_version": SCHEMA_VERSION,
                "serial": serial.serial,
                "disposition": disposition,
                "standing": word,
                "entry": entry,
                "hash": kept.hash(),
            });
            object.to_string()
        } else {
            format!("{} is {} now, entry {}", self.serial, standing.word(), kept.seq())
        };
        say(out, &line)?;
        Ok(Exit::Pass)
    }
}
