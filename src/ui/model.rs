//! What the screen knows: plain data, no terminal, no clock.

use crate::{
    clock::Millis,
    fault::Fault,
    ident::Serial,
    ledger::evidence::Evidence,
    session::news::{Bench, Outcome, Presence, Progress, Site, Tally, Verdict},
};

use super::{field::Field, keys::KeyName, look::Look};

/// The whole screen as data.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) look: Look,
    /// When the last message came.
    pub(super) now: Millis,
    pub(super) bench: Option<Bench>,
    /// From the left.
    pub(super) places: Vec<Place>,
    pub(super) tally: Tally,
    pub(super) field: Field,
    pub(super) notice: Option<Notice>,
    pub(super) question: Option<Question>,
    /// Why nothing is scanned until a person acts.
    pub(super) holds: Option<Fault>,
    pub(super) page: Page,
    pub(super) leaving: Leaving,
    /// The session told its last event.
    pub(super) closed: bool,
    /// Somebody wants the screen gone after that.
    pub(super) dismissed: bool,
    /// Lines for a newcomer, and the keys that go with them; empty outside the demo.
    pub(super) hints: Vec<String>,
    pub(super) hands: Vec<(KeyName, String)>,
}

/// One site and what happened there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) presence: Presence,
    pub(super) state: State,
    /// Of the last run, kept until the next one begins.
    pub(super) steps: Vec<Step>,
    pub(super) evidence: Vec<Evidence>,
    /// Why the site cannot be used, while it cannot.
    pub(super) trouble: Option<Fault>,
}

/// What a site is doing.
#[derive(Clone, Debug)]
pub(super) enum State {
    Idle,
    Running(Running),
    Over(Box<Over>),
}

/// A unit in the making.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) serial: Serial,
    pub(super) since: Millis,
    /// What a hand is needed for.
    pub(super) ask: Option<String>,
}

/// A verdict, until its board is away.
#[derive(Clone, Debug)]
pub(super) struct Over {
    pub(super) outcome: Outcome,
    pub(super) since: Millis,
    /// The board left the fixture after the verdict.
    pub(super) gone: bool,
    /// The red bin was scanned, or told by its sensor.
    pub(super) binned: bool,
}

/// One step of a run.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) began: Millis,
    pub(super) last: Millis,
    pub(super) progress: Progress,
}

/// One line under the scan field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Notice {
    /// What was read, if it was a scan that was refused.
    pub(super) read: String,
    pub(super) text: String,
    pub(super) since: Millis,
}

/// Which site a scan belongs to.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) serial: Serial,
    pub(super) sites: Vec<Site>,
}

/// What stands between the top lines and the next action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Page {
    Bench,
    Help {
        scroll: u16,
    },
    /// Of the site in hand, or of one chosen with the arrow keys.
    Details {
        site: Option<Site>,
        scroll: u16,
    },
}

/// Whether somebody wants to go home.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Leaving {
    No,
    /// Asked once; the same key again means it.
    Asked(Millis),
    /// No new board is taken. What a person has not seen yet when the session ends waits for them; a signal does not.
    Yes {
        since: Millis,
        person: bool,
    },
}

/// What the panel and the next action are about: one thing, and the same one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Matter<'a> {
    /// The session is not open.
    Starting,
    /// Nothing is scanned until a person acts.
    Holds(&'a Fault),
    Which(&'a Question),
    At(&'a Place),
    /// All sites wait for boards.
    Idle,
}

impl Model {
    /// An empty bench, before the session's first event.
    #[must_use]
    pub fn new(look: Look) -> Self {
        Self {
            look,
            now: Millis(0),
            bench: None,
            places: Vec::new(),
            tally: Tally::default(),
            field: Field::default(),
            notice: None,
            question: None,
            holds: None,
            page: Page::Bench,
            leaving: Leaving::No,
            closed: false,
            dismissed: false,
            hints: Vec::new(),
            hands: Vec::new(),
        }
    }

    /// Whether the session told its last event, and nobody has to see a last verdict any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.closed && (self.dismissed || !self.has_unseen())
    }

    /// A verdict that came after somebody last said they wanted to leave.
    fn has_unseen(&self) -> bool {
        let since = match self.leaving {
            Leaving::No | Leaving::Asked(_) => Millis(0),
            Leaving::Yes { since, person: true } => since,
            Leaving::Yes { person: false, .. } => return false,
        };
        self.places.iter().filter_map(Place::verdict_since).any(|verdict| verdict >= since)
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.leaving, Leaving::Yes { .. })
    }

    /// The most urgent thing.
    pub(super) fn matter(&self) -> Matter<'_> {
        if self.bench.is_none() {
            return Matter::Starting;
        }
        let at = |site: Site| self.place(site).map(Matter::At);
        let only = (self.places.len() == 1).then_some(Site(0));
        self.asked()
            .and_then(at)
            .or_else(|| self.holds.as_ref().map(Matter::Holds))
            .or_else(|| self.question.as_ref().map(Matter::Which))
            .or_else(|| self.in_hand().or(only).or_else(|| self.out_of_use()).and_then(at))
            .unwrap_or(Matter::Idle)
    }

    /// The site whose news matter most: a hand is asked for, a verdict is not cleared, a board is still in, a unit is
    /// running. `None` if all sites wait for a board.
    pub(super) fn in_hand(&self) -> Option<Site> {
        self.asked()
            .or_else(|| self.latest(Place::verdict_since))
            .or_else(|| self.places.iter().position(Place::is_left_in).map(Site))
            .or_else(|| self.latest(Place::running_since))
    }

    /// The first site, where none can be used: then the bench is not ready for anything.
    fn out_of_use(&self) -> Option<Site> {
        let none = !self.places.is_empty() && self.places.iter().all(|place| place.trouble.is_some());
        none.then_some(Site(0))
    }

    /// The first site that waits for a hand.
    pub(super) fn asked(&self) -> Option<Site> {
        self.places.iter().position(|place| place.ask().is_some()).map(Site)
    }

    pub(super) fn place(&self, site: Site) -> Option<&Place> {
        self.places.get(site.0)
    }

    pub(super) fn place_mut(&mut self, site: Site) -> Option<&mut Place> {
        self.places.get_mut(site.0)
    }

    /// The name of a site as the bench has it.
    pub(super) fn site_name(&self, site: Site) -> &str {
        self.place(site).map_or("?", |place| &place.name)
    }

    /// Whether every site has a unit in the making, so that no scan could be meant for any.
    pub(super) fn is_full(&self) -> bool {
        !self.places.is_empty() && self.places.iter().all(|place| matches!(place.state, State::Running(_)))
    }

    fn latest(&self, since: impl Fn(&Place) -> Option<Millis>) -> Option<Site> {
        let all = self.places.iter().enumerate();
        all.filter_map(|(at, place)| since(place).map(|since| (since, at))).max().map(|(_, at)| Site(at))
    }
}

impl Place {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            presence: Presence::Absent,
            state: State::Idle,
            steps: Vec::new(),
            evidence: Vec::new(),
            trouble: None,
        }
    }

    pub(super) fn ask(&self) -> Option<&str> {
        match &self.state {
            State::Running(running) => running.ask.as_deref(),
            State::Idle | State::Over(_) => None,
        }
    }

    /// A board that has had its verdict and was not taken out.
    fn is_left_in(&self) -> bool {
        matches!((&self.state, self.presence), (State::Idle, Presence::Served))
    }

    fn verdict_since(&self) -> Option<Millis> {
        match &self.state {
            State::Over(over) => Some(over.since),
            State::Idle | State::Running(_) => None,
        }
    }

    fn running_since(&self) -> Option<Millis> {
        match &self.state {
            State::Running(running) => Some(running.since),
            State::Idle | State::Over(_) => None,
        }
    }
}

impl Over {
    /// A failed board is away when it has left the fixture and, where the bench has a bin to scan, is in it; in either
    /// order. Every other board is away when it has left.
    pub(super) fn is_away(&self, has_bin: bool) -> bool {
        self.gone && (self.binned || self.outcome.verdict != Verdict::Fail || !has_bin)
    }
}
