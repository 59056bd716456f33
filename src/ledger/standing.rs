//! Where a unit and a device stand: a fold over their own entries, never a second table that could disagree.
//!
//! ```text
//! Free ─erase_intent→ Open ─bound, stamp_intent, verified→ Open ─passed→ Passed
//!                      │ ↑ stopped FAIL, RETRY (the next run resumes)      │
//!            stopped HOLD│ └──────disposed release──────┐                │ voided, stopped HOLD
//!                      └────────────────────────→ Held ←───────────┘
//! Open, Held, Passed ─disposed void→ Void (device free)   ─disposed scrap→ Scrapped (device too)
//! ```

use super::{Disposition, Entry, Kind, facts, fault};
use crate::{
    fault::Fault,
    ident::{DeviceId, RunId, Serial},
};

/// Where a serial number stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Never reserved.
    Free,
    /// Reserved by a run that has not passed; the next run resumes it.
    Open {
        /// The last run.
        run: RunId,
        /// The only device it may ever be bound to, once one was.
        device: Option<DeviceId>,
        /// Lock words may stand on the device: they were to be written, and no erase is known since.
        locked_intent: bool,
        /// Runs so far.
        attempts: u64,
        /// A person released it, and no erase has followed yet: whatever the board says, it may be done anew.
        released: bool,
    },
    /// A device proved it.
    Passed {
        /// The run.
        run: RunId,
        /// The device.
        device: DeviceId,
        /// The entry that says so.
        seq: u64,
    },
    /// A person must decide.
    Held {
        /// The last run, if one was opened.
        run: Option<RunId>,
        /// Its device, once one was bound.
        device: Option<DeviceId>,
        /// Why, in words.
        why: String,
    },
    /// Never to be used again; its device may take a new label.
    Void,
    /// Never to be used again, and neither is its device.
    Scrapped,
}

impl Standing {
    /// In one word, for people and exports.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Open { .. } => "open",
            Self::Passed { .. } => "passed",
            Self::Held { .. } => "held",
            Self::Void => "void",
            Self::Scrapped => "scrapped",
        }
    }
}

/// Where a device stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeviceStanding {
    /// Never bound, or only to serial numbers that are void.
    Unknown,
    /// Bound to this serial number.
    BoundTo {
        /// The unit.
        serial: Serial,
        /// The last run of that unit.
        run: RunId,
        /// It is a live PASS.
        passed: bool,
        /// It may never be used again.
        scrapped: bool,
    },
}

/// How far the last run of a unit came.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    /// No run, or it is over.
    #[default]
    Over,
    Opened,
    Bound,
    Stamped,
    Verified,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Free,
    Open,
    Passed(u64),
    Held(String),
    Void,
    Scrapped,
}

/// Everything the entries of one serial number come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    state: State,
    pub(super) run: Option<RunId>,
    pub(super) device: Option<DeviceId>,
    pub(super) stage: Stage,
    locked_intent: bool,
    released: bool,
    pub(super) attempts: u64,
    /// Where the last run was opened.
    site: Option<String>,
    /// How the last run ended, if its end was recorded and was no PASS.
    pub(super) stopped: Option<facts::Ending>,
}

impl Story {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut story = Self::default();
        for entry in entries {
            story.hear(entry);
        }
        story
    }

    fn hear(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::EraseIntent => self.begin(entry),
            Kind::Bound => {
                self.device = entry.device;
                self.stage = Stage::Bound;
                // Only now is the erase known to have happened.
                self.locked_intent = false;
                self.released = false;
            }
            Kind::StampIntent => self.stage = Stage::Stamped,
            Kind::Verified => {
                self.stage = Stage::Verified;
                self.locked_intent = true;
            }
            Kind::Passed => {
                self.stage = Stage::Over;
                self.state = State::Passed(entry.seq);
            }
            Kind::Stopped => self.stop(entry),
            Kind::Voided => self.hold(facts::read::<facts::Voided>(&entry.body).map(|voided| voided.because)),
            Kind::Disposed => self.dispose(entry),
            Kind::Opened | Kind::Measured => {}
        }
    }

    fn begin(&mut self, entry: &Entry) {
        self.run = Some(RunId(entry.seq));
        self.site = facts::read::<facts::EraseIntent>(&entry.body).map(|intent| intent.site);
        self.stage = Stage::Opened;
        self.state = State::Open;
        self.stopped = None;
        self.attempts += 1;
    }

    /// Ends the run it names. A refused second scan of a unit names none, and must not end the run that is under way.
    fn stop(&mut self, entry: &Entry) {
        let stopped = facts::read::<facts::Stopped>(&entry.body);
        let verdict = stopped.as_ref().map(|stopped| stopped.verdict);
        if entry.run == self.run {
            self.stage = Stage::Over;
            self.stopped = verdict;
        }
        match verdict {
            Some(facts::Ending::Fail | facts::Ending::Retry | facts::Ending::Refused) => {}
            // A stop that cannot be read is no reason to go on with the unit.
            Some(facts::Ending::Hold) | None => self.hold(stopped.map(|stopped| stopped.fault.what)),
        }
    }

    fn hold(&mut self, why: Option<String>) {
        self.stage = Stage::Over;
        match self.state {
            State::Void | State::Scrapped => {}
            State::Free | State::Open | State::Passed(_) | State::Held(_) => {
                self.state = State::Held(why.unwrap_or_else(|| "its record gives no reason".to_owned()));
            }
        }
    }

    fn dispose(&mut self, entry: &Entry) {
        self.stage = Stage::Over;
        match facts::read::<facts::Disposed>(&entry.body).map(|disposed| disposed.disposition) {
            Some(Disposition::Release) if self.run.is_some() => {
                self.state = State::Open;
                self.released = true;
            }
            Some(Disposition::Release) => self.state = State::Free,
            Some(Disposition::Void) => self.state = State::Void,
            Some(Disposition::Scrap) => self.state = State::Scrapped,
            None => self.hold(None),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let Self { run, device, locked_intent, attempts, released, .. } = *self;
        match (&self.state, run) {
            (State::Free, _) | (State::Open | State::Passed(_), None) => Standing::Free,
            (State::Open, Some(run)) => Standing::Open { run, device, locked_intent, attempts, released },
            (State::Passed(seq), Some(run)) => match device {
                Some(device) => Standing::Passed { run, device, seq: *seq },
                None => Standing::Held { run: Some(run), device, why: "its PASS names no device".to_owned() },
            },
            (State::Held(why), _) => Standing::Held { run, device, why: why.clone() },
            (State::Void, _) => Standing::Void,
            (State::Scrapped, _) => Standing::Scrapped,
        }
    }

    /// The other site at which this unit is being worked on: its run was opened since the ledger was, and is not over.
    /// A run of an earlier process is nobody's any more, and is resumed.
    fn elsewhere(&self, site: &str, opened: u64) -> Option<&str> {
        let under_way = self.stage != Stage::Over && self.run.is_some_and(|run| run.0 > opened);
        self.site.as_deref().filter(|at| under_way && *at != site)
    }

    /// What a device bound here may still be used for; `None` if it is free to take another label.
    pub(super) fn binds(&self, serial: &Serial, device: DeviceId) -> Option<DeviceStanding> {
        let bound = self.device == Some(device) && !matches!(self.state, State::Void);
        let run = self.run.filter(|_| bound)?;
        Some(DeviceStanding::BoundTo {
            serial: serial.clone(),
            run,
            passed: matches!(self.state, State::Passed(_)),
            scrapped: matches!(self.state, State::Scrapped),
        })
    }
}

/// What is looked up before a fact may be kept.
pub(super) struct Before {
    pub(super) story: Story,
    pub(super) device: DeviceStanding,
    /// Where this process's entries begin.
    pub(super) opened: u64,
}

/// Whether the fact may follow what is recorded. News is always recorded; only what grants something is refused here.
pub(super) fn permit(kind: Kind, about: &facts::About, body: &str, before: &Before) -> Result<(), Fault> {
    let Some(serial) = &about.serial else {
        return if kind == Kind::Opened { Ok(()) } else { Err(fault::ours("a fact without a serial number")) };
    };
    let asked = Asked { serial, about, before };
    match kind {
        Kind::EraseIntent => asked.may_begin(body),
        Kind::Bound => asked.follows(Stage::Opened).and_then(|()| asked.same_device()),
        Kind::StampIntent => asked.follows(Stage::Bound).and_then(|()| asked.bound_device()),
        Kind::Verified => asked.follows(Stage::Stamped).and_then(|()| asked.bound_device()),
        Kind::Passed => asked.follows(Stage::Verified).and_then(|()| asked.bound_device()),
        Kind::Voided => asked.known(),
        Kind::Disposed => asked.may_be_disposed(body),
        Kind::Stopped | Kind::Measured | Kind::Opened => Ok(()),
    }
}

struct Asked<'a> {
    serial: &'a Serial,
    about: &'a facts::About,
    before: &'a Before,
}

impl Asked<'_> {
    fn may_begin(&self, body: &str) -> Result<(), Fault> {
        let intent = facts::read::<facts::EraseIntent>(body).ok_or_else(|| fault::ours("no erase intent"))?;
        if let Some(site) = self.before.story.elsewhere(&intent.site, self.before.opened) {
            return Err(fault::at_work(self.serial, site));
        }
        let resumes = match self.before.story.standing() {
            Standing::Free => None,
            Standing::Open { run, .. } => Some(run),
            Standing::Passed { .. } | Standing::Void | Standing::Scrapped => return Err(self.used_up()),
            Standing::Held { why, .. } => return Err(fault::held(self.serial, &why)),
        };
        if intent.resumes != resumes {
            return Err(fault::ours("a run that does not resume the one before it"));
        }
        self.same_device()
    }

    fn used_up(&self) -> Fault {
        let (serial, word) = (self.serial, self.before.story.standing().word());
        fault::duplicate(
            format!("{serial} cannot be used: it is {word}"),
            "Check the label against the board. A finished unit needs nothing; a void or scrapped label is never used again.",
        )
    }

    /// The device seen is the unit's own, and nobody else's.
    fn same_device(&self) -> Result<(), Fault> {
        let (Some(seen), serial) = (self.about.device, self.serial) else { return Ok(()) };
        if let Some(own) = self.before.story.device.filter(|own| *own != seen) {
            return Err(fault::duplicate(
                format!("{serial} belongs to device {own}, and this board is {seen}"),
                "Find the board that this label was scanned for first; set this one aside.",
            ));
        }
        match &self.before.device {
            DeviceStanding::BoundTo { scrapped: true, .. } => Err(fault::duplicate(
                format!("device {seen} was scrapped"),
                "Put the board where scrap goes; it is never used again.",
            )),
            DeviceStanding::BoundTo { serial: other, .. } if other != serial => Err(fault::duplicate(
                format!("device {seen} already belongs to {other}"),
                "Set the board aside with both labels: a supervisor decides what it is.",
            )),
            DeviceStanding::BoundTo { .. } | DeviceStanding::Unknown => Ok(()),
        }
    }

    /// The device is the one this unit was bound to, whatever was seen in between.
    fn bound_device(&self) -> Result<(), Fault> {
        if self.about.device.is_none() || self.about.device != self.before.story.device {
            return Err(fault::ours("a device that is not the run's own"));
        }
        self.same_device()
    }

    fn follows(&self, stage: Stage) -> Result<(), Fault> {
        let story = &self.before.story;
        if self.about.run.is_none() || story.run != self.about.run || story.stage != stage {
            return Err(fault::ours("a fact that does not follow the entries of its run"));
        }
        Ok(())
    }

    fn known(&self) -> Result<(), Fault> {
        if self.before.story.run.is_none() {
            return Err(fault::ours("a serial number without a run"));
        }
        Ok(())
    }

    fn may_be_disposed(&self, body: &str) -> Result<(), Fault> {
        let asked = facts::read::<facts::Disposed>(body).ok_or_else(|| fault::ours("no disposition"))?;
        one_line(&asked.reason, "the reason")?;
        one_line(&asked.by, "the name")?;
        let wish = asked.disposition.done();
        let refused = |standing: &str| Err(fault::senseless(self.serial, wish, standing));
        match (self.before.story.standing(), asked.disposition) {
            (Standing::Held { .. }, Disposition::Release | Disposition::Void | Disposition::Scrap)
            | (Standing::Open { .. } | Standing::Passed { .. }, Disposition::Void | Disposition::Scrap) => Ok(()),
            (Standing::Open { .. } | Standing::Passed { .. }, Disposition::Release) => refused("it is not on hold"),
            (Standing::Free, _) => refused("the records know no run of it"),
            (Standing::Void, _) => refused("it is void already"),
            (Standing::Scrapped, _) => refused("it is scrapped already"),
        }
    }
}

/// What people type goes into the chain for good, so it must be something people can read.
fn one_line(text: &str, what: &str) -> Result<(), Fault> {
    let printable = !text.trim().is_empty() && !text.chars().any(char::is_control);
    if !printable || text.chars().count() > 500 {
        return Err(fault::bad_reason(&format!("{what} is empty, too long, or has control characters")));
    }
    Ok(())
}
