//! `rootstamp inspect`: what is this file? Nothing is changed, nothing is believed.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use self::report::{Content, FileReport, Report};
use crate::{
    cli::say,
    fault::{self, Exit, Fault, Party, Problem},
    file::{self, Read},
    image::Map,
    keys::{self, refuse::RefuseList},
};

mod report;

/// What is this image or key? Read-only.
///
/// Tests the files alone: not what a recipe asks for (`check`) and not what is on a board (`verify`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    rootstamp inspect mcuboot.hex application.signed.hex\n  \
    rootstamp inspect --json root.pem\n\n\
    Exit codes: 0 told, 2 a file could not be understood, 40 a private, published or refused key is inside.")]
pub(super) struct Arguments {
    /// Intel HEX images, raw images (.bin) and public keys (PEM or DER).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Address of the first byte of raw images.
    #[arg(long, value_name = "ADDRESS", default_value = "0", value_parser = address)]
    at: u32,
    /// In engineering mode published keys are told, but are no reason to fail.
    #[arg(long, value_name = "MODE")]
    mode: Option<InMode>,
    /// One JSON object on standard output; see docs/inspect.md.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum InMode {
    Engineering,
    Training,
}

fn address(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let parsed = digits.map_or_else(|| text.parse(), |digits| u32::from_str_radix(&digits.replace('_', ""), 16));
    parsed.map_err(|_| "an address is a number as in 0xC000".to_owned())
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        let list = RefuseList::built_in().map_err(|problems| fault::all_at_once(&problems))?;
        let files: Vec<FileReport> = self.files.iter().map(|path| self.look(path, &list)).collect();
        let report = Report::new(files);
        if self.json {
            let json = serde_json::to_string(&report).map_err(|error| unwritable(&error))?;
            say(out, &json)?;
        } else {
            say(out, report.to_string().trim_end())?;
        }
        self.verdict(&report)
    }

    fn look(&self, path: &Path, list: &RefuseList) -> FileReport {
        match file::read(path, file::LIMIT) {
            Ok(file) => FileReport::new(&file, self.content(&file, list)),
            Err(problem) => FileReport::unread(path, problem),
        }
    }

    fn content(&self, file: &Read, list: &RefuseList) -> Content {
        let extension = file.path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let map = match extension.to_ascii_lowercase().as_str() {
            "hex" | "ihex" => Map::from_hex(file),
            "bin" => Map::from_raw(file, self.at),
            _ if file.bytes.starts_with(b":") => Map::from_hex(file),
            _ => return Content::of_key(keys::read(file), list),
        };
        Content::of_image(map, list)
    }

    fn verdict(&self, report: &Report) -> Result<Exit, Fault> {
        let unread: Vec<Problem> = report.problems();
        let engineering = self.mode == Some(InMode::Engineering);
        let refused: Vec<String> = report.refused(engineering);
        if !refused.is_empty() || unread.iter().any(|problem| problem.exit == Exit::KeyRefused) {
            let mut fault = Fault::new(
                Party::Security,
                "a private, published or refused key is in these files",
                "Use a key made for this product, and keep private halves off this computer.",
            )
            .exit(Exit::KeyRefused)
            .code("C-140");
            fault.causes = refused.into_iter().chain(unread.iter().map(ToString::to_string)).collect();
            return Err(fault);
        }
        if unread.is_empty() { Ok(Exit::Pass) } else { Err(fault::all_at_once(&unread)) }
    }
}

fn unwritable(error: &serde_json::Error) -> Fault {
    Fault::new(Party::Maintainers, "the report could not be put into JSON", "Report this with the file.")
        .code("X-008")
        .because(error)
}
