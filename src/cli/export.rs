//! `rootstamp export`: turns the records into a file for the security team.

use std::{io::Write, path::PathBuf};

use clap::ValueEnum;

use super::say;
use crate::{
    export,
    fault::{Exit, Fault, Party},
    ident::Mode,
    ledger::Ledger,
};

/// Write the records to a new file for the security team. Tests that the chain is whole, not the boards.
///
/// Prints the head of the chain: written down elsewhere, it shows later whether the newest entries were cut off.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// csv: one row per unit, to look at. jsonl: one line per entry, to check.
    #[arg(long)]
    format: Format,
    /// The file to make; one that exists is never replaced.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Directory of the records.
    #[arg(long, env = "ROOTSTAMP_DATA", default_value = "./data", value_name = "DIR")]
    data: PathBuf,
    /// Refuse unless the records are of this mode.
    #[arg(long)]
    mode: Option<Rules>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
    /// Signed; comes with a later release.
    Bundle,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rules {
    Production,
    Engineering,
    Training,
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        let format = match self.format {
            Format::Csv => export::Format::Csv,
            Format::Jsonl => export::Format::Jsonl,
            Format::Bundle => return Err(later()),
        };
        let mode = self.mode.map(|rules| match rules {
            Rules::Production => Mode::Production,
            Rules::Engineering => Mode::Engineering,
            Rules::Training => Mode::Training,
        });
        let records = Ledger::read_only(&self.data)?;
        let chain = export::write(&records, format, mode, &self.out)?;
        say(out, &format!("{}: {} entries, head {}", self.out.display(), chain.entries, chain.head))?;
        Ok(Exit::Pass)
    }
}

fn later() -> Fault {
    Fault::new(
        Party::Security,
        "signed bundles come with a later release",
        "Export as jsonl: its entries carry the same hashes, and docs/records.md says how to check them.",
    )
    .exit(Exit::Usage)
    .code("L-144")
}
