//! The line without a screen: the same session, its events as lines of text or JSON.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::RecvTimeoutError,
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

/// Scans the labels one after the other and tells what comes of them.
pub(super) fn run(
    session: Session,
    labels: &mut dyn Iterator<Item = Label>,
    hands: &mut dyn Hands,
    out: &mut dyn Write,
    json: bool,
) -> Result<Exit, Fault> {
    let mut line = Line { session, out, json, bench: None, present: Vec::new(), interrupted: flag()? };
    let mut refused = Exit::Pass;
    for label in labels {
        match line.unit(&label, hands)? {
            After::Verdict => {}
            After::Refused => refused = refused.worst(Exit::Usage),
            After::Over => break,
        }
    }
    let exit = line.leave()?;
    Ok(exit.worst(refused))
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

enum After {
    Verdict,
    Refused,
    Over,
}

struct Line<'a> {
    session: Session,
    out: &'a mut dyn Write,
    json: bool,
    bench: Option<Bench>,
    present: Vec<Presence>,
    interrupted: Arc<AtomicBool>,
}

impl Line<'_> {
    fn unit(&mut self, label: &Label, hands: &mut dyn Hands) -> Result<After, Fault> {
        hands.bring(label)?;
        let bin = self.bench.as_ref().and_then(|bench| bench.bin.clone());
        let is_bin = bin.as_deref() == Some(label.text.as_str());
        while !is_bin && !self.present.contains(&Presence::Fresh) {
            if self.next()?.is_none() {
                return Ok(After::Over);
            }
        }
        self.command(Command::Scan(label.text.clone()));
        while let Some(event) = self.next()? {
            match event {
                Event::Verdict { site, outcome } => return self.after(site, &outcome, hands),
                Event::ScanRefused { .. } => return Ok(After::Refused),
                Event::Binned { .. } => return Ok(After::Verdict),
                Event::WhichSite { .. } => match self.named(label) {
                    Some(site) => self.command(Command::Choose(site)),
                    None => return Err(which_site(label)),
                },
                Event::Ask { site, .. } => self.command(Command::Answered(site, Answer::Cannot)),
                Event::Opened(_)
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

    fn after(&mut self, site: Site, outcome: &Outcome, hands: &mut dyn Hands) -> Result<After, Fault> {
        if outcome.exit == Exit::NotRecorded {
            return Ok(After::Over);
        }
        if outcome.verdict == Verdict::Retry {
            return Ok(After::Verdict);
        }
        if let Some(presence) = self.present.get_mut(site.0) {
            *presence = Presence::Served;
        }
        hands.take(site)?;
        Ok(After::Verdict)
    }

    fn named(&self, label: &Label) -> Option<Site> {
        let name = label.site.as_ref()?;
        self.bench.as_ref()?.sites.iter().position(|site| site == name).map(Site)
    }

    fn leave(&mut self) -> Result<Exit, Fault> {
        self.command(Command::Leave);
        let mut exit = Exit::Pass;
        while let Some(event) = self.next()? {
            if let Event::Closed { exit: worst, .. } = event {
                exit = worst;
            }
        }
        Ok(if self.interrupted.load(Ordering::Relaxed) { exit.worst(Exit::Interrupted) } else { exit })
    }

    fn command(&self, command: Command) {
        // A session that is over has told so in its last event.
        let _ = self.session.commands.send(command);
    }

    /// The next event, told; `None` when there is no more to come, or a signal asks to stop.
    fn next(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            match self.session.events.recv_timeout(LOOK) {
                Ok(event) => {
                    self.note(&event);
                    self.tell(&event)?;
                    return Ok(Some(event));
                }
                Err(RecvTimeoutError::Timeout) if self.interrupted.load(Ordering::Relaxed) => {
                    self.command(Command::Leave);
                    self.drain()?;
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Tells what is left until the session is closed: the units in hand are finished first.
    fn drain(&mut self) -> Result<(), Fault> {
        while let Ok(event) = self.session.events.recv() {
            self.tell(&event)?;
        }
        Ok(())
    }

    fn note(&mut self, event: &Event) {
        if let Event::Opened(bench) = event {
            self.present = vec![Presence::Absent; bench.sites.len()];
            self.bench = Some(bench.clone());
        }
        if let Event::Board { site, presence } = event
            && let Some(known) = self.present.get_mut(site.0)
        {
            *known = *presence;
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
        Event::WhichSite { serial, .. } => Some(format!("{serial}: which site? several new boards are in")),
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
