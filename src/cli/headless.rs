//! The line without a screen: the same session, its events as lines of text or JSON.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel},
    },
    time::Duration,
};

use crate::{
    cli::say,
    fault::{Exit, Fault, Party},
    session::{
        Session,
        news::{Answer, Bench, Command, Event, Outcome, Presence, SCHEMA_VERSION, Site, Verdict},
    },
};

/// How often a signal is looked for while nothing happens.
const LOOK: Duration = Duration::from_millis(100);

/// How long a label may wait to be seen.
const PAUSE: Duration = Duration::from_millis(20);

/// A label to be scanned, and the site it belongs to where several could be meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) site: Option<String>,
}

impl Label {
    /// `SERIAL` or `SERIAL@SITE`.
    pub(super) fn parse(text: &str) -> Self {
        match text.rsplit_once('@') {
            Some((label, site)) => Self { text: label.to_owned(), site: Some(site.to_owned()) },
            None => Self { text: text.to_owned(), site: None },
        }
    }
}

/// What hands do at the bench. On a real line they are the operator's, and nothing is done here.
pub(super) trait Hands {
    /// Puts the board for this label in, before it is scanned.
    fn bring(&mut self, label: &Label) -> Result<(), Fault>;
    /// Takes the board out, after its verdict.
    fn take(&mut self, site: Site) -> Result<(), Fault>;
}

/// The operator's own hands.
pub(super) struct OperatorsHands;

impl Hands for OperatorsHands {
    fn bring(&mut self, _label: &Label) -> Result<(), Fault> {
        Ok(())
    }

    fn take(&mut self, _site: Site) -> Result<(), Fault> {
        Ok(())
    }
}

/// Scans prepared labels one after the other, each as soon as its board is in, and tells what comes of them.
pub(super) fn run(
    session: Session,
    labels: &Receiver<Label>,
    hands: &mut dyn Hands,
    out: &mut dyn Write,
    json: bool,
) -> Result<Exit, Fault> {
    let mut line = Line::new(session, out, json)?;
    while let Some(label) = line.label(labels)? {
        if line.unit(&label, hands)? == After::Over {
            break;
        }
    }
    line.leave()
}

/// Takes labels as a person scans them: at once, whatever is in the fixture, and refuses what belongs nowhere. A label
/// that waited for its board would be stamped into whichever board came next.
pub(super) fn attend(
    session: Session,
    labels: &Receiver<Label>,
    out: &mut dyn Write,
    json: bool,
) -> Result<Exit, Fault> {
    let mut line = Line::new(session, out, json)?;
    while let Some(label) = line.label(labels)? {
        line.scan(&label);
    }
    line.leave()
}

/// A list of labels as a queue that ends after the last.
pub(super) fn list(labels: impl IntoIterator<Item = Label>) -> Receiver<Label> {
    let (put, queue) = channel();
    // The other end is in hand.
    labels.into_iter().for_each(|label| drop(put.send(label)));
    queue
}

fn flag() -> Result<Arc<AtomicBool>, Fault> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag)).map_err(|error| {
            Fault::new(Party::Technician, "signals cannot be caught", "Start rootstamp in an ordinary shell.")
                .code("X-010")
                .because(&error)
        })?;
    }
    Ok(flag)
}

#[derive(Eq, PartialEq)]
enum After {
    Next,
    Over,
}

fn after(site: Site, outcome: &Outcome, hands: &mut dyn Hands) -> Result<After, Fault> {
    if outcome.exit == Exit::NotRecorded {
        return Ok(After::Over);
    }
    // With the board in place, the same label may be scanned again.
    if outcome.verdict != Verdict::Retry {
        hands.take(site)?;
    }
    Ok(After::Next)
}

struct Line<'a> {
    session: Session,
    out: &'a mut dyn Write,
    json: bool,
    bench: Option<Bench>,
    /// What is in each site; unknown until it was looked at.
    present: Vec<Option<Presence>>,
    /// The worst class of scans that were not taken.
    refused: Exit,
    interrupted: Arc<AtomicBool>,
}

impl<'a> Line<'a> {
    fn new(session: Session, out: &'a mut dyn Write, json: bool) -> Result<Self, Fault> {
        let interrupted = flag()?;
        Ok(Self { session, out, json, bench: None, present: Vec::new(), refused: Exit::Pass, interrupted })
    }

    /// The next label, once every site was looked at: before that, nobody knows which board a label belongs to.
    fn label(&mut self, labels: &Receiver<Label>) -> Result<Option<Label>, Fault> {
        loop {
            if self.is_looked_at() {
                match labels.try_recv() {
                    Ok(label) => return Ok(Some(label)),
                    Err(TryRecvError::Disconnected) => return Ok(None),
                    Err(TryRecvError::Empty) => {}
                }
            }
            if !self.pause()? {
                return Ok(None);
            }
        }
    }

    fn is_looked_at(&self) -> bool {
        !self.present.is_empty() && self.present.iter().all(Option::is_some)
    }

    fn unit(&mut self, label: &Label, hands: &mut dyn Hands) -> Result<After, Fault> {
        hands.bring(label)?;
        while !self.is_bin(label) && !self.is_ready_for(label) {
            if self.next()?.is_none() {
                return Ok(After::Over);
            }
        }
        self.scan(label);
        while let Some(event) = self.next()? {
            match event {
                Event::Verdict { site, outcome } => return after(site, &outcome, hands),
                Event::ScanRefused { .. } | Event::Binned { .. } => return Ok(After::Next),
                Event::WhichSite { .. } => return Err(which_site(label)),
                Event::Opened(_)
                | Event::Ask { .. }
                | Event::Board { .. }
                | Event::SiteFault { .. }
                | Event::Started { .. }
                | Event::Step { .. }
                | Event::Measured { .. }
                | Event::Tally(_)
                | Event::LineHolds { .. }
                | Event::Closed { .. } => {}
            }
        }
        Ok(After::Over)
    }

    fn is_bin(&self, label: &Label) -> bool {
        self.bench.as_ref().and_then(|bench| bench.bin.as_ref()) == Some(&label.text)
    }

    /// Whether a new board is in where this label belongs.
    fn is_ready_for(&self, label: &Label) -> bool {
        let fresh = |presence: Option<&Option<Presence>>| presence == Some(&Some(Presence::Fresh));
        match self.named(label) {
            Some(site) => fresh(self.present.get(site.0)),
            None => self.present.iter().any(|presence| fresh(Some(presence))),
        }
    }

    fn scan(&self, label: &Label) {
        let text = label.text.clone();
        self.command(match (self.named(label), &label.site) {
            (Some(site), _) => Command::ScanAt(text, site),
            // No site has that name: it was part of what was read.
            (None, Some(name)) => Command::Scan(format!("{text}@{name}")),
            (None, None) => Command::Scan(text),
        });
    }

    fn named(&self, label: &Label) -> Option<Site> {
        let name = label.site.as_ref()?;
        self.bench.as_ref()?.sites.iter().position(|site| site == name).map(Site)
    }

    /// Finishes the units in hand, and tells what is left until the session is closed.
    fn leave(mut self) -> Result<Exit, Fault> {
        self.command(Command::Leave);
        let mut exit = Exit::Pass;
        while let Ok(event) = self.session.events.recv() {
            self.hear(&event)?;
            if let Event::Closed { exit: worst, .. } = event {
                exit = worst;
            }
        }
        // A scan that was not taken changed nothing, and must not hide what became of a unit.
        let exit = if exit == Exit::Pass { self.refused } else { exit };
        Ok(if self.is_interrupted() { exit.worst(Exit::Interrupted) } else { exit })
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn command(&self, command: Command) {
        // A session that is over has told so in its last event.
        let _ = self.session.commands.send(command);
    }

    /// The next event, told; `None` when there is no more to come, or a signal asks to stop.
    fn next(&mut self) -> Result<Option<Event>, Fault> {
        while !self.is_interrupted() {
            match self.session.events.recv_timeout(LOOK) {
                Ok(event) => {
                    self.hear(&event)?;
                    return Ok(Some(event));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Tells what happens for a moment; false when there is no more to come, or a signal asks to stop.
    fn pause(&mut self) -> Result<bool, Fault> {
        match self.session.events.recv_timeout(PAUSE) {
            Ok(event) => self.hear(&event)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        Ok(!self.is_interrupted())
    }

    fn hear(&mut self, event: &Event) -> Result<(), Fault> {
        self.note(event);
        self.tell(event)
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Opened(bench) => {
                self.present = vec![None; bench.sites.len()];
                self.bench = Some(bench.clone());
            }
            Event::Board { site, presence } => self.stands(*site, *presence),
            // Nothing is known of a board there.
            Event::SiteFault { site, fault: Some(_) } => self.stands(*site, Presence::Absent),
            // The same label may be scanned again with the board in place.
            Event::Verdict { site, outcome } if outcome.verdict == Verdict::Retry => {
                self.stands(*site, Presence::Fresh);
            }
            Event::Verdict { site, .. } => self.stands(*site, Presence::Served),
            Event::ScanRefused { .. } => self.refused = self.refused.worst(Exit::Usage),
            Event::WhichSite { .. } => self.refused = self.refused.worst(Exit::NoProbe),
            Event::Ask { site, .. } => self.command(Command::Answered(*site, Answer::Cannot)),
            Event::SiteFault { fault: None, .. }
            | Event::Started { .. }
            | Event::Step { .. }
            | Event::Measured { .. }
            | Event::Binned { .. }
            | Event::Tally(_)
            | Event::LineHolds { .. }
            | Event::Closed { .. } => {}
        }
    }

    fn stands(&mut self, site: Site, presence: Presence) {
        if let Some(known) = self.present.get_mut(site.0) {
            *known = Some(presence);
        }
    }

    fn tell(&mut self, event: &Event) -> Result<(), Fault> {
        if self.json {
            return say(self.out, &json_line(event));
        }
        match words(event, self.bench.as_ref()) {
            Some(line) => say(self.out, &line),
            None => Ok(()),
        }
    }
}

/// One event as one line of JSON, with the version of its shape.
fn json_line(event: &Event) -> String {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
    }
    value.to_string()
}

fn words(event: &Event, bench: Option<&Bench>) -> Option<String> {
    let name = |site: &Site| {
        let named = bench.and_then(|bench| bench.sites.get(site.0));
        named.cloned().unwrap_or_else(|| format!("site {}", site.0 + 1))
    };
    match event {
        Event::Opened(bench) => Some(format!(
            "{}  {} {}  recipe {}  mode {}",
            bench.station, bench.product, bench.title, bench.symbols, bench.mode
        )),
        Event::Verdict { site, outcome } => Some(verdict_words(&name(site), outcome)),
        Event::ScanRefused { read, why } => Some(format!("scan refused: read {read:?}: {why}")),
        Event::WhichSite { serial, .. } => {
            Some(format!("{serial}: which site? several new boards are in; scan again as {serial}@SITE"))
        }
        Event::Ask { site, what } => Some(format!("{}: {what}", name(site))),
        Event::LineHolds { fault } => Some(format!("LINE HOLDS: {fault}")),
        Event::SiteFault { site, fault: Some(fault) } => Some(format!("{}: {fault}", name(site))),
        Event::SiteFault { site, fault: None } => Some(format!("{}: can be used again", name(site))),
        Event::Binned { site } => Some(format!("{}: the failed board is in the red bin", name(site))),
        Event::Closed { tally, .. } => Some(format!(
            "passed {}  failed {}  held {}  retried {}",
            tally.passed, tally.failed, tally.held, tally.retried
        )),
        Event::Board { .. } | Event::Started { .. } | Event::Step { .. } | Event::Measured { .. } | Event::Tally(_) => {
            None
        }
    }
}

fn verdict_words(site: &str, outcome: &Outcome) -> String {
    let word = match outcome.verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Retry => "RETRY",
        Verdict::Hold => "HOLD",
        Verdict::DoneAlready => "DONE ALREADY",
    };
    let serial = outcome.serial.as_ref().map(ToString::to_string).unwrap_or_default();
    let device = outcome.device.map(|device| format!("  device {device}")).unwrap_or_default();
    let beside = if outcome.beside.is_empty() { String::new() } else { format!("  {}", outcome.beside) };
    let fault = outcome.fault.as_ref().map(|fault| format!("\n  {fault}")).unwrap_or_default();
    format!("{site:<6} {serial}  {word}{beside}{device}{fault}")
}

fn which_site(label: &Label) -> Fault {
    Fault::new(
        Party::Operator,
        format!("several new boards are in, and {} could belong to any", label.text),
        "Name the site, as in --scan SERIAL@left, or put one board in at a time.",
    )
    .exit(Exit::NoProbe)
    .code("C-160")
}
