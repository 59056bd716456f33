//! `rootstamp export`: turns the records into a file for the security team.

use std::{io::Write, path::PathBuf};

use clap::ValueEnum;

use super::say;
use crate::{
    export,
    fault::{self, Exit, Fault, Party},
    file,
    ident::Mode,
    ledger::{Chain, Ledger, Records},
};

/// Write the records to a new file for the security team. Tests that the chain is whole, not the boards.
///
/// Prints the head of the chain: written down elsewhere, it shows later whether the newest entries were cut off.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// csv: one row per unit, to look at. jsonl: one line per entry, to check. keys-csv: which device trusts which key.
    #[arg(long)]
    format: Format,
    /// The file to make; one that exists is never replaced.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// With keys-csv: a list of devices that were in the field before, in the same columns; merged, never guessed.
    #[arg(long, value_name = "FILE")]
    import: Vec<PathBuf>,
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
    KeysCsv,
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
        if !self.import.is_empty() && !matches!(self.format, Format::KeysCsv) {
            return Err(no_place());
        }
        let mode = self.mode.map(|rules| match rules {
            Rules::Production => Mode::Production,
            Rules::Engineering => Mode::Engineering,
            Rules::Training => Mode::Training,
        });
        let records = Ledger::read_only(&self.data)?;
        let of_what = |format| export::write(&records, format, mode, &self.out).map(|chain| (chain, String::new()));
        let (chain, also) = match self.format {
            Format::Csv => of_what(export::Format::Csv),
            Format::Jsonl => of_what(export::Format::Jsonl),
            Format::KeysCsv => self.keys(&records, mode),
            Format::Bundle => Err(later()),
        }?;
        say(out, &format!("{}: {also}{} entries, head {}", self.out.display(), chain.entries, chain.head))?;
        Ok(Exit::Pass)
    }

    fn keys(&self, records: &Records, mode: Option<Mode>) -> Result<(Chain, String), Fault> {
        let read = |path: &PathBuf| file::read(path, file::LIMIT);
        let imports: Result<Vec<_>, _> = self.import.iter().map(read).collect();
        let imports = imports.map_err(|problem| fault::all_at_once(&[problem]))?;
        let (chain, devices) = export::keys::write(records, &imports, mode, &self.out)?;
        Ok((chain, format!("{devices} devices, ")))
    }
}

fn no_place() -> Fault {
    let next = "Use --format keys-csv with --import, or leave --import out.";
    Fault::new(Party::Security, "--import belongs to the list of keys", next).exit(Exit::Usage).code("L-146")
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
