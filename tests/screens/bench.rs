//! A bench with a screen on it, told what to hear and typed on.

use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};
use rootstamp::{
    clock::{Millis, Stamp},
    fault::{Exit, Fault, Party},
    ident::{DeviceId, Digest, Mode, RunId, Serial},
    ledger::evidence::{Evidence, Method},
    session::news::{Bench, Command, Event, Outcome, Presence, Progress, Site, Tally, Verdict},
    ui::{
        keys::KeyName,
        look::{Glyphs, Look},
        model::Model,
        update::{Message, What, update},
        view::view,
    },
};

pub(super) const SMALL: (u16, u16) = (80, 24);
pub(super) const LARGE: (u16, u16) = (132, 43);
pub(super) const POOR: Look = Look { glyphs: Glyphs::Ascii, colour: false };
pub(super) const BIN: &str = "BIN-RED-1";

/// A screen and the time that passed on it.
pub(super) struct Screen {
    pub(super) model: Model,
    pub(super) at: u64,
}

impl Screen {
    /// Before the first event.
    pub(super) fn closed(look: Look) -> Self {
        Self { model: Model::new(look), at: 1_000 }
    }

    pub(super) fn open(bench: Bench, look: Look) -> Self {
        let mut screen = Self::closed(look);
        screen.hear(Event::Opened(bench));
        let tally =
            Tally { passed: 41, failed: 1, held: 0, retried: 2, first_passed: 41, first_ended: 42, left: Some(458) };
        screen.hear(Event::Tally(tally));
        screen
    }

    pub(super) fn one() -> Self {
        Self::open(bench(1, Mode::Training), Look::RICH)
    }

    pub(super) fn two() -> Self {
        Self::open(bench(2, Mode::Training), Look::RICH)
    }

    pub(super) fn take(&mut self, what: What) -> Option<Command> {
        update(&mut self.model, Message { at: Millis(self.at), what })
    }

    pub(super) fn hear(&mut self, event: Event) {
        assert_eq!(self.take(What::News(Box::new(event))), None, "news never are a command");
    }

    pub(super) fn board(&mut self, site: usize, presence: Presence) {
        self.hear(Event::Board { site: Site(site), presence });
    }

    /// A person's key: long after whatever was typed before.
    pub(super) fn press(&mut self, key: KeyName) -> Option<Command> {
        self.at += 400;
        self.take(What::Key(key))
    }

    /// A reader's keys: a millisecond apart.
    pub(super) fn scan(&mut self, text: &str) -> Vec<Command> {
        let key = |character: char| match character {
            '\r' => KeyName::Enter,
            '\n' => KeyName::Feed,
            '\t' => KeyName::Tab,
            other => KeyName::Char(other),
        };
        let mut commands = Vec::new();
        for character in text.chars() {
            self.at += 1;
            commands.extend(self.take(What::Key(key(character))));
        }
        commands
    }

    pub(super) fn wait(&mut self, millis: u64) -> Option<Command> {
        self.at += millis;
        self.take(What::Tick)
    }

    pub(super) fn start(&mut self, site: usize, label: &str) {
        self.board(site, Presence::Fresh);
        self.hear(Event::Started {
            site: Site(site),
            serial: serial(label),
            at: Stamp("2026-01-01T00:00:00.000Z".into()),
        });
    }

    pub(super) fn step(&mut self, site: usize, step: &str, progress: Progress) {
        self.at += 250;
        self.hear(Event::Step { site: Site(site), step: step.into(), progress, at: Millis(self.at) });
    }

    pub(super) fn verdict(&mut self, site: usize, outcome: Outcome) {
        self.board(site, Presence::Served);
        self.hear(Event::Verdict { site: Site(site), outcome });
    }

    pub(super) fn draw(&self, size: (u16, u16)) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal.draw(|frame| view(&self.model, frame)).unwrap();
        terminal
    }

    pub(super) fn cells(&self, size: (u16, u16)) -> Buffer {
        self.draw(size).backend().buffer().clone()
    }

    /// What stands on the screen, as text.
    pub(super) fn text(&self) -> String {
        self.draw(SMALL).backend().to_string()
    }

    /// One row of the small screen.
    pub(super) fn row(&self, row: usize) -> String {
        let text = self.text();
        text.lines().nth(row).unwrap().trim_matches('"').trim().to_owned()
    }

    /// The one next action, in its place.
    pub(super) fn next(&self) -> String {
        let rows = [self.row(18), self.row(19)].join(" ");
        rows.trim_start_matches("NEXT").trim().to_owned()
    }

    /// The line under the scan field.
    pub(super) fn notice(&self) -> String {
        self.row(22)
    }
}

pub(super) fn bench(sites: usize, mode: Mode) -> Bench {
    let names = ["left", "right", "far right"];
    Bench {
        station: "line-a-3".into(),
        mode,
        product: "GW3".into(),
        title: "Gateway 3".into(),
        symbols: "▲7 ■4 ●K ◆2".into(),
        recipe: Digest::of(b"recipe"),
        sites: if sites == 1 { vec!["bench".into()] } else { names[..sites].iter().map(|&name| name.into()).collect() },
        steps: STEPS.iter().map(|&step| step.into()).collect(),
        bin: Some(BIN.into()),
        serial_pattern: "GW3-0000000A".into(),
    }
}

pub(super) const STEPS: [&str; 8] = [
    "identify the chip",
    "erase",
    "program bootloader",
    "program application",
    "write key and counter",
    "read everything back",
    "lock the debug port",
    "watch it boot",
];

pub(super) fn serial(label: &str) -> Serial {
    label.parse().unwrap()
}

pub(super) const LABEL: &str = "GW3-0000042K";

pub(super) fn outcome(verdict: Verdict) -> Outcome {
    Outcome {
        verdict,
        serial: Some(serial(LABEL)),
        run: Some(RunId(311)),
        device: DeviceId::from_words(0x0123_4567, 0x89ab_cdef),
        key: Some(Digest::of(b"key")),
        beside: String::new(),
        fault: None,
        next: String::new(),
        exit: Exit::Pass,
        entry: Some(316),
        took: Millis(2_345),
    }
}

pub(super) fn pass(beside: &str) -> Outcome {
    Outcome { beside: beside.into(), ..outcome(Verdict::Pass) }
}

pub(super) fn fail() -> Outcome {
    let fault = Fault::new(
        Party::Operator,
        "the board did not take its key",
        "Put the board into the red bin and scan the bin.",
    )
    .exit(Exit::UnitFailed)
    .code("E-214")
    .detail("uicr.customer[3]: 5 of 32 bits did not clear")
    .detail("the word was written once and read back twice");
    Outcome { next: fault.next.clone(), exit: fault.exit, fault: Some(fault), ..outcome(Verdict::Fail) }
}

pub(super) fn retry() -> Outcome {
    let fault = Fault::new(
        Party::Operator,
        "contact with the board was lost",
        "Press the lid until it clicks, then scan the label again.",
    )
    .exit(Exit::NoAnswer)
    .code("R-101");
    Outcome { next: fault.next.clone(), exit: fault.exit, fault: Some(fault), ..outcome(Verdict::Retry) }
}

pub(super) fn hold() -> Outcome {
    let fault = Fault::new(
        Party::Supervisor,
        "nobody can say whether the debug port of this board is closed",
        "Put the board on the blue rack and call the supervisor.",
    )
    .exit(Exit::Quarantined)
    .code("H-301");
    Outcome { next: fault.next.clone(), exit: fault.exit, fault: Some(fault), ..outcome(Verdict::Hold) }
}

pub(super) fn done_already() -> Outcome {
    let next = "This unit is finished: put the board with the good ones.".to_owned();
    Outcome { exit: Exit::Duplicate, beside: "boot seen".into(), next, ..outcome(Verdict::DoneAlready) }
}

pub(super) fn no_probe(site: usize) -> Event {
    let next = "The technician plugs the probe in; the site comes back by itself.";
    let fault = Fault::new(Party::Technician, "the probe cannot be used", next).exit(Exit::NoProbe).code("R-120");
    Event::SiteFault { site: Site(site), fault: Some(fault) }
}

pub(super) fn line_holds() -> Event {
    let fault = Fault::new(
        Party::Supervisor,
        "an erase showed a device that the record knows as another unit",
        "Call the supervisor. Keep both boards at the bench, and do not scan anything.",
    )
    .code("L-401");
    Event::LineHolds { fault }
}

pub(super) fn measured(of: &str, expected: Option<&str>, observed: Option<&str>) -> Event {
    let (expected, observed) = (expected.map(str::to_owned), observed.map(str::to_owned));
    let agrees = observed.is_some() && (expected.is_none() || expected == observed);
    let method = if observed.is_some() { Method::ReadBack } else { Method::Unobservable };
    let evidence = Evidence { of: of.into(), method, expected, observed, agrees, at: Millis(2_000) };
    Event::Measured { site: Site(0), evidence }
}
