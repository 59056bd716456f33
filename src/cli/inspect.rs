//! `rootstamp inspect`: what is this file? Nothing is changed, nothing is believed.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use self::{
    look::{Asked, RawKey},
    report::{FileReport, Report},
};
use crate::{
    cli::say,
    fault::{Exit, Fault, Party, Problem},
    file,
    keys::{self, refuse::RefuseList},
};

mod judges;
mod look;
mod memory;
mod nsib_firmware;
mod packed;
mod report;
mod signed;
mod storage;

/// What is this file? Keys, images, provision data, packages, manifests. Read-only.
///
/// Tests the files alone: not what a recipe asks for (`check`) and not what is on a board (`verify`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    rootstamp inspect mcuboot.hex application.signed.hex\n  \
    rootstamp inspect --json root.pem\n  \
    rootstamp inspect --key root.pem --key spare.pem app.signed.hex\n\n\
    Exit codes: 0 told, 2 a file is not understood, damaged, or not signed with a key of --key,\n\
    40 a private, published or refused key is inside.")]
pub(super) struct Arguments {
    /// Any files; what each is, its contents say.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Address of the first byte of raw images; without it 0.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    at: Option<u32>,
    /// Check what is signed with this public key, or each of several: the exit code is 2 unless one of them signed it. A
    /// bootloader stands for the keys that it holds.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Refuse the keys on this list too, a refused-keys.toml; none is read unless it is named here.
    #[arg(long, value_name = "FILE")]
    refused: Vec<PathBuf>,
    /// Take the files for raw keys of this form, which bytes alone do not say.
    #[arg(long = "as", value_name = "FORM")]
    raw_key: Option<RawKey>,
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
        let asked = self.asked()?;
        let files: Vec<FileReport> = self.files.iter().flat_map(|path| look_at(path, &asked)).collect();
        let report = Report::new(files);
        if self.json {
            let json = serde_json::to_string(&report).map_err(|error| unwritable(&error))?;
            say(out, &json)?;
        } else {
            say(out, report.to_string().trim_end())?;
        }
        self.verdict(&report)
    }

    fn asked(&self) -> Result<Asked, Fault> {
        let list = refuse_list(&self.refused).map_err(|problems| no_list(&problems))?;
        let keys: Result<Vec<_>, _> = self.key.iter().map(|path| read_keys(path, self.at, &list)).collect();
        let keys = keys.map_err(|problems| no_judge(&problems))?.concat();
        Ok(Asked { list, keys, at: self.at, raw_key: self.raw_key })
    }

    fn verdict(&self, report: &Report) -> Result<Exit, Fault> {
        let mut unread: Vec<Problem> = report.problems();
        if !self.key.is_empty() {
            unread.extend(report.unauthentic());
        }
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
        if unread.is_empty() { Ok(Exit::Pass) } else { Err(wrong(&unread)) }
    }
}

fn no_list(problems: &[Problem]) -> Fault {
    let next = "Correct the list in the line, or name another with --refused; docs/keys.md says how one looks.";
    Fault { what: "a list of --refused is none".to_owned(), next: next.to_owned(), ..wrong(problems) }
}

fn no_judge(problems: &[Problem]) -> Fault {
    let next = "Name a public key, a certificate, or a bootloader that holds its own key with --key.";
    let fault = wrong(problems);
    Fault { what: "a file of --key is none".to_owned(), next: next.to_owned(), ..fault }
}

/// What was given may be anybody's file, and no lot stands behind it.
fn wrong(problems: &[Problem]) -> Fault {
    let next =
        "If the file in each line is the one that was meant, ask whoever made it for a whole one. Nothing was changed.";
    let plural = if problems.len() == 1 { "problem" } else { "problems" };
    let mut fault = Fault::new(Party::Engineering, format!("{} {plural} in these files", problems.len()), next)
        .exit(problems.iter().fold(Exit::Usage, |worst, problem| worst.worst(problem.exit)))
        .code("C-102");
    fault.causes = problems.iter().map(ToString::to_string).collect();
    fault
}

/// What the command says of one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// To people.
    pub words: String,
    /// To programs.
    pub json: String,
    /// Why it fails, if it does.
    pub reasons: Vec<String>,
}

/// What the command, without options, says of a file that is in memory already.
///
/// # Errors
/// If the report cannot be put into JSON, which is ours.
pub fn told(file: &file::Read, list: &RefuseList) -> Result<Told, Fault> {
    let asked = Asked { list: list.clone(), keys: Vec::new(), at: None, raw_key: None };
    let report = Report::new(FileReport::all(file, look::look(file, &asked), &asked));
    let mut reasons = report.refused(false);
    reasons.extend(report.problems().iter().map(ToString::to_string));
    let json = serde_json::to_string(&report).map_err(|error| unwritable(&error))?;
    Ok(Told { words: report.to_string(), json, reasons })
}

fn look_at(path: &Path, asked: &Asked) -> Vec<FileReport> {
    match file::read(path, file::LIMIT) {
        Ok(file) => FileReport::all(&file, look::look(&file, asked), asked),
        Err(problem) => vec![FileReport::unread(path, problem)],
    }
}

/// The list of the program, and those that were named.
fn refuse_list(named: &[PathBuf]) -> Result<RefuseList, Vec<Problem>> {
    named.iter().try_fold(RefuseList::built_in()?, |list, path| {
        let file = file::read(path, keys::FILE_LIMIT).map_err(|problem| vec![problem])?;
        list.with_company(&file)
    })
}

fn read_keys(path: &Path, at: Option<u32>, list: &RefuseList) -> Result<Vec<judges::Named>, Vec<Problem>> {
    judges::of(&file::read(path, file::LIMIT).map_err(|problem| vec![problem])?, at, list)
}

fn unwritable(error: &serde_json::Error) -> Fault {
    Fault::new(Party::Maintainers, "the report could not be put into JSON", "Report this with the file.")
        .code("X-008")
        .because(error)
}
