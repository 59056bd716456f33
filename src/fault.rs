//! What stopped, whose move it is, what they do next, and which exit code a script sees.
//!
//! A fault cannot be made without a next action. Enums of causes live where a caller branches on them; this type is
//! for the boundary, where a person reads.

use std::{borrow::Cow, error::Error, fmt};

use serde::{Deserialize, Serialize};

/// Who can do something about it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Stands at the bench with the board in hand.
    Operator,
    /// Maintains probes, fixtures and the station's computer.
    Technician,
    /// May end a hold and decide about a unit.
    Supervisor,
    /// Writes recipes and releases images.
    Engineering,
    /// Owns keys, orders and the records.
    Security,
    /// Wrote this program.
    Maintainers,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "operator",
            Self::Technician => "technician",
            Self::Supervisor => "supervisor",
            Self::Engineering => "engineering",
            Self::Security => "security team",
            Self::Maintainers => "rootstamp's maintainers",
        })
    }
}

/// The exit code of the process, and the class a line script branches on: is it the unit, the board's place, the
/// bench, or the record?
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Every unit passed, or the question was answered with yes.
    Pass,
    /// A mistake of ours.
    Internal,
    /// Usage or configuration; nothing was opened.
    Usage,
    /// The unit failed, or contradicts its record.
    UnitFailed,
    /// Already provisioned, or a duplicate.
    Duplicate,
    /// Closed and not ours to open, or cannot be read back.
    Closed,
    /// The unit's state cannot be proven; it is held.
    Quarantined,
    /// No probe, or more than one could be meant.
    NoProbe,
    /// The device does not answer.
    NoAnswer,
    /// Wrong chip or wrong silicon.
    WrongChip,
    /// The record was not written: the unit must not ship.
    NotRecorded,
    /// The record store was tampered with.
    Tampered,
    /// Another process holds the record store.
    InUse,
    /// A key was refused.
    KeyRefused,
    /// Somebody interrupted us.
    Interrupted,
}

impl Exit {
    /// As the shell sees it; a contract (`ARCHITECTURE.md`, exit codes).
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::UnitFailed => 10,
            Self::Duplicate => 11,
            Self::Closed => 12,
            Self::Quarantined => 13,
            Self::NoProbe => 20,
            Self::NoAnswer => 21,
            Self::WrongChip => 22,
            Self::NotRecorded => 30,
            Self::Tampered => 31,
            Self::InUse => 32,
            Self::KeyRefused => 40,
            Self::Interrupted => 130,
        }
    }

    /// The one to report when several units ended differently.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if other.severity() > self.severity() { other } else { self }
    }

    /// Records first, then units whose state is unknown, then failed ones, then the bench.
    const fn severity(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Interrupted => 1,
            Self::Duplicate => 2,
            Self::NoProbe => 3,
            Self::NoAnswer => 4,
            Self::WrongChip => 5,
            Self::Closed => 6,
            Self::Usage => 7,
            Self::UnitFailed => 8,
            Self::KeyRefused => 9,
            Self::Quarantined => 10,
            Self::InUse => 11,
            Self::Internal => 12,
            Self::NotRecorded => 13,
            Self::Tampered => 14,
        }
    }
}

/// Something stopped, and a person has to act.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Fault {
    /// Whose move it is.
    pub party: Party,
    /// One plain sentence without a full stop: what stopped.
    pub what: String,
    /// What that person does next; whole sentences.
    pub next: String,
    /// The class a script branches on.
    pub exit: Exit,
    /// A letter and three digits for the phone, as in `E-214`; see `docs/codes.md`.
    pub code: String,
    /// The chain of causes, outermost first, for the technician.
    pub causes: Vec<String>,
}

impl Fault {
    /// A fault of the class [`Exit::Internal`] until [`Fault::exit`] says otherwise.
    #[must_use]
    pub fn new(party: Party, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            party,
            what: what.into(),
            next: next.into(),
            exit: Exit::Internal,
            code: "E-000".to_owned(),
            causes: Vec::new(),
        }
    }

    /// With the class a script sees.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// With the code a person reads out on the phone.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        code.clone_into(&mut self.code);
        self
    }

    /// With the error it came from, and everything behind that one.
    #[must_use]
    pub fn because(mut self, cause: &(dyn Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// With one more cause in words.
    #[must_use]
    pub fn detail(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", seen(&self.what), self.code)?;
        for cause in &self.causes {
            write!(f, "\n  because: {}", seen(cause))?;
        }
        write!(f, "\n  next ({}): {}", self.party, seen(&self.next))
    }
}

impl Error for Fault {}

/// Text that may come from a stranger's file, for a terminal: one line, in which every character can be seen. What would
/// move, hide or colour the rest stands there as an escape.
#[must_use]
pub fn seen(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let shown = |character: char| {
        let escaped = is_unseen(character).then(|| character.escape_debug().to_string());
        escaped.unwrap_or_else(|| character.into())
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Control characters, and those that turn the direction of writing, join, or take no room. [Unicode 16, Cc and Cf]
#[must_use]
pub fn is_unseen(character: char) -> bool {
    let format = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    character.is_control() || format
}

/// One mistake in a file that a person wrote or handed over. Problems come in lists: all of them at once.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// Line, counted from 1, where the file has lines.
    pub line: Option<usize>,
    /// Column in characters, counted from 1.
    pub column: Option<usize>,
    /// What is wrong, what was expected, and the nearest word or value that would do.
    pub what: String,
    /// [`Exit::Usage`], or [`Exit::KeyRefused`] where a key is the reason.
    pub exit: Exit,
}

impl Problem {
    /// A problem of the whole file, of the class [`Exit::Usage`].
    #[must_use]
    pub fn new(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, column: None, what: what.into(), exit: Exit::Usage }
    }

    /// At this line and column, both counted from 1.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// With the class a script sees.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&seen(&self.file))?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", seen(&self.what))
    }
}

impl Error for Problem {}

/// All problems of a set of files as one fault for the person who wrote them.
#[must_use]
pub fn all_at_once(problems: &[Problem]) -> Fault {
    let exit = problems.iter().fold(Exit::Usage, |worst, problem| worst.worst(problem.exit));
    let count = problems.len();
    let plural = if count == 1 { "problem" } else { "problems" };
    let next = if exit == Exit::KeyRefused {
        "Use a key made for this product; a published or refused key never goes on a board. Then run check again."
    } else {
        "Correct every line named here, then run check again. Nothing was opened or changed."
    };
    let mut fault = Fault::new(Party::Engineering, format!("{count} {plural} in the files of this lot"), next)
        .exit(exit)
        .code(if exit == Exit::KeyRefused { "C-140" } else { "C-102" });
    fault.causes = problems.iter().map(ToString::to_string).collect();
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_strangers_file_holds_moves_nothing_on_a_terminal() {
        for hostile in ["a\u{1b}[2Jb", "a\nb", "a\u{202e}b", "a\u{200b}b", "a\u{9b}b", "a\u{feff}b"] {
            let problem = Problem::new(hostile, hostile).to_string();
            let fault = Fault::new(Party::Security, hostile, hostile).detail(hostile).to_string();
            assert!(!problem.chars().any(is_unseen), "{problem:?}");
            assert_eq!(fault.lines().count(), 3, "{fault:?}");
            assert!(!fault.chars().any(|character| is_unseen(character) && character != '\n'), "{fault:?}");
        }
        assert_eq!(seen("a\u{1b}[2J\u{202e}\"é"), "a\\u{1b}[2J\\u{202e}\"é");
    }

    #[test]
    fn a_fault_names_what_stopped_whose_move_it_is_and_what_they_do() {
        let fault = Fault::new(Party::Operator, "contact was lost", "Press the lid.")
            .code("R-101")
            .because(&std::io::Error::other("no acknowledge"));
        assert_eq!(
            fault.to_string(),
            "contact was lost [R-101]\n  because: no acknowledge\n  next (operator): Press the lid."
        );
    }

    #[test]
    fn a_lost_record_outranks_a_failed_unit_and_a_failed_unit_outranks_a_pass() {
        assert_eq!(Exit::UnitFailed.worst(Exit::NotRecorded), Exit::NotRecorded);
        assert_eq!(Exit::UnitFailed.worst(Exit::Pass), Exit::UnitFailed);
    }
}
