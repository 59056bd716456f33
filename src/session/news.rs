//! What goes into a session and what comes out of it: the whole vocabulary of the front ends.
//!
//! The screen, the headless line, `--json`, the stored trace and the tests all read these events. Every string in an
//! [`Event`] that came from outside was made printable before it got here.

use serde::{Deserialize, Serialize};

use crate::{
    clock::{Millis, Stamp},
    fault::{Exit, Fault},
    ident::{DeviceId, Digest, Mode, RunId, Serial},
    ledger::evidence::Evidence,
};

/// Version of the shape of [`Event`] as JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// A position on the bench, counted from the left.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Site(pub usize);

/// What a front end may ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// A label was scanned or typed. Untrusted, unbounded, unprintable for all we know.
    Scan(String),
    /// The same, with the site it belongs to: refused if no new board is in there, whatever is in elsewhere.
    ScanAt(String, Site),
    /// Answers [`Event::WhichSite`]: the scan in hand belongs to this site.
    Choose(Site),
    /// The operator did what [`Event::Ask`] asked for, or gave up.
    Answered(Site, Answer),
    /// Finish the units in hand, take no new ones, and stop.
    Leave,
}

/// What the operator says to an [`Event::Ask`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was done.
    Done,
    /// It cannot be done.
    Cannot,
}

/// The word on the screen.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// The device proved it, and the record is durable.
    Pass,
    /// The unit is not what was ordered.
    Fail,
    /// The bench's fault, not the board's: try again.
    Retry,
    /// The board's state cannot be proven.
    Hold,
    /// This unit is finished already, and the board was heard to boot; nothing was changed.
    DoneAlready,
}

/// Whether a board is in the fixture, as far as its debug port tells.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Nothing answers.
    Absent,
    /// A board answers that has not been served since it appeared.
    Fresh,
    /// The board that already has its verdict is still there.
    Served,
}

/// The lot and the bench, told once when a session opens.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Bench {
    /// Name of the station.
    pub station: String,
    /// Which rules hold.
    pub mode: Mode,
    /// Product code, as `GW3`.
    pub product: String,
    /// Product title for people.
    pub title: String,
    /// Four symbols with characters that the operator compares with the travel card.
    pub symbols: String,
    /// Digest of the recipe with everything it pins.
    pub recipe: Digest,
    /// Names of the sites, from the left.
    pub sites: Vec<String>,
    /// Names of the steps of one unit, in their order.
    pub steps: Vec<String>,
    /// The label of the red bin, where the station has one: a FAIL is closed by scanning it.
    pub bin: Option<String>,
    /// How a serial number of this product looks, for people.
    pub serial_pattern: String,
}

/// Counts of the shift. First-pass yield counts the first attempt of a unit only; a retry is outside it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tally {
    /// Units that passed.
    pub passed: u64,
    /// Units that failed.
    pub failed: u64,
    /// Units on hold.
    pub held: u64,
    /// Runs that ended in RETRY.
    pub retried: u64,
    /// Units whose first attempt passed.
    pub first_passed: u64,
    /// Units whose first attempt passed, failed or was held.
    pub first_ended: u64,
    /// Units left in the order, where there is one.
    pub left: Option<u64>,
}

/// How far a step is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Progress {
    /// It began.
    Begun,
    /// So many of so many bytes, words or looks.
    Going {
        /// Done so far.
        done: u64,
        /// All there is to do.
        total: u64,
    },
    /// It is done.
    Done,
    /// It stopped the unit.
    Stopped,
}

/// What a unit's run came to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Outcome {
    /// The word.
    pub verdict: Verdict,
    /// The unit, if the scan named one.
    pub serial: Option<Serial>,
    /// The run, if one began.
    pub run: Option<RunId>,
    /// The device, if it was read.
    pub device: Option<DeviceId>,
    /// SHA-256 of the SubjectPublicKeyInfo of the key on the device, if the recipe puts one there.
    pub key: Option<Digest>,
    /// "boot seen", "boot not observed"; the words beside a PASS. Empty where nothing was run.
    pub beside: String,
    /// What stopped it, unless it passed.
    pub fault: Option<Fault>,
    /// The one next action for the operator.
    pub next: String,
    /// The class a script sees.
    pub exit: Exit,
    /// Sequence number of the record's last entry, if there is one.
    pub entry: Option<u64>,
    /// How long the unit took.
    pub took: Millis,
}

/// What a session tells.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The session is open; the first event, once.
    Opened(Bench),
    /// A board appeared or went.
    Board {
        /// Where.
        site: Site,
        /// Whether one is there.
        presence: Presence,
    },
    /// A site cannot be used, or can be used again.
    SiteFault {
        /// Where.
        site: Site,
        /// Why, and whose move it is; `None` when it is over.
        fault: Option<Fault>,
    },
    /// A scan was not taken. The scan field says so in one line, which goes away by itself.
    ScanRefused {
        /// What was read, made printable and cut to 40 characters.
        read: String,
        /// What is wrong, and what was expected.
        why: String,
    },
    /// The scan could belong to several sites, or to none that newly appeared.
    WhichSite {
        /// The unit.
        serial: Serial,
        /// The sites it could be.
        sites: Vec<Site>,
    },
    /// A unit's run began.
    Started {
        /// Where.
        site: Site,
        /// The unit.
        serial: Serial,
        /// Wall time.
        at: Stamp,
    },
    /// A step of the run moved.
    Step {
        /// Where.
        site: Site,
        /// One of [`Bench::steps`].
        step: String,
        /// How far it is.
        progress: Progress,
        /// Since the process started.
        at: Millis,
    },
    /// Something was measured, for the details behind F2.
    Measured {
        /// Where.
        site: Site,
        /// What was expected and observed, and how.
        evidence: Evidence,
    },
    /// A hand is needed before the run goes on, as for a power cycle.
    Ask {
        /// Where.
        site: Site,
        /// What to do.
        what: String,
    },
    /// The run is over. Stays until the board is gone.
    Verdict {
        /// Where.
        site: Site,
        /// What it came to.
        outcome: Outcome,
    },
    /// A failed unit was put into the red bin.
    Binned {
        /// Where it had been.
        site: Site,
    },
    /// The counts changed.
    Tally(Tally),
    /// The line holds: nothing is scanned until a person acts.
    LineHolds {
        /// Why, and whose move it is.
        fault: Fault,
    },
    /// The last event.
    Closed {
        /// The counts at the end.
        tally: Tally,
        /// The worst exit class of all units.
        exit: Exit,
    },
}
