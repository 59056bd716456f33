//! What the panel and the tiles say: the word, its frame, and the lines that go with it.

use crate::{
    session::news::{Bench, Presence, Progress, Verdict},
    ui::{
        model::{Matter, Model, Over, Place, Question, Running, State, Step},
        words,
    },
};

use super::{frames::Kind, pen::Tone, seconds};

/// One state, ready to be drawn large or small.
pub(super) struct Face {
    /// In block letters.
    pub(super) word: &'static str,
    pub(super) kind: Kind,
    pub(super) tone: Tone,
    /// Beside the word in the frame: the unit and the site.
    pub(super) title: String,
    /// The most important first; what does not fit is left out.
    pub(super) lines: Vec<String>,
    /// For a tile.
    pub(super) brief: String,
    /// Where something moves: done and total.
    pub(super) bar: Option<Bar>,
    /// Lines that are only drawn where there is much room.
    pub(super) more: Vec<String>,
}

/// How far a running unit is.
#[derive(Clone, Copy)]
pub(super) struct Bar {
    pub(super) done: u64,
    pub(super) total: u64,
}

impl Face {
    fn new(word: &'static str, kind: Kind, tone: Tone) -> Self {
        Self {
            word,
            kind,
            tone,
            title: String::new(),
            lines: Vec::new(),
            brief: String::new(),
            bar: None,
            more: Vec::new(),
        }
    }

    fn title(mut self, parts: &[&str]) -> Self {
        let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
        self.title = parts.join("  ");
        self
    }

    fn brief(mut self, brief: impl Into<String>) -> Self {
        self.brief = brief.into();
        self
    }

    fn line(mut self, line: impl Into<String>) -> Self {
        let line = line.into();
        if !line.is_empty() {
            self.lines.push(line);
        }
        self
    }
}

/// What the bench as a whole says.
pub(super) fn of(model: &Model) -> Face {
    match model.matter() {
        Matter::Starting => starting(),
        Matter::Holds(fault) => Face::new("LINE HOLDS", Kind::Tape, Tone::Held)
            .title(&[&fault.code])
            .line(sentence(&fault.what, &fault.code))
            .line(format!("No board is taken. Whose move: {}.", fault.party)),
        Matter::Which(question) => which(model, question),
        Matter::At(place) => of_place(model, place),
        Matter::Idle => ready(model.bench.as_ref()),
    }
}

/// What one site says.
pub(super) fn of_place(model: &Model, place: &Place) -> Face {
    match &place.state {
        State::Idle => idle(model, place),
        State::Running(running) => of_running(model, place, running),
        State::Over(over) => of_verdict(place, over),
    }
}

fn idle(model: &Model, place: &Place) -> Face {
    if let Some(fault) = &place.trouble {
        return Face::new("NO PROBE", Kind::Heavy, Tone::Act)
            .title(&[&place.name, &fault.code])
            .line(sentence(&fault.what, &fault.code))
            .line(format!("Whose move: {}.", fault.party))
            .brief("out of use");
    }
    let ready = ready(model.bench.as_ref());
    match place.presence {
        Presence::Served => Face::new("REMOVE", Kind::Heavy, Tone::Act)
            .title(&[&place.name])
            .line("This board has had its verdict and is still in.")
            .brief("take the board out"),
        Presence::Absent | Presence::Fresh if model.holds.is_some() || model.is_leaving() => {
            ready.brief("no board is taken")
        }
        Presence::Absent => ready.brief("put a board in"),
        Presence::Fresh => ready.title(&["board in"]).brief("board in, scan its label"),
    }
}

fn ready(bench: Option<&Bench>) -> Face {
    let pattern = bench.map_or("", |bench| &bench.serial_pattern);
    Face::new("READY", Kind::Round, Tone::Strong).line(format!("A label looks like {pattern}."))
}

fn starting() -> Face {
    Face::new("STARTING", Kind::Round, Tone::Moving).line("The bench is being opened.")
}

fn which(model: &Model, question: &Question) -> Face {
    let sites: Vec<String> =
        question.sites.iter().map(|&site| format!("[{}] {}", site.0 + 1, model.site_name(site))).collect();
    Face::new("WHICH SITE?", Kind::Heavy, Tone::Act)
        .title(&[question.serial.as_str()])
        .line(sites.join("     "))
        .line(format!("Where is the board with the label {}?", question.serial))
}

fn of_running(model: &Model, place: &Place, running: &Running) -> Face {
    let title = [running.serial.as_str(), &place.name];
    if let Some(what) = &running.ask {
        return Face::new("YOUR TURN", Kind::Heavy, Tone::Act).title(&title).line(what.as_str()).brief(what.as_str());
    }
    let steps = model.bench.as_ref().map_or(&[][..], |bench| &bench.steps);
    let elapsed = seconds(model.now.0.saturating_sub(running.since.0));
    let mut face = Face::new("RUNNING", Kind::Round, Tone::Moving).title(&title);
    face.bar = Some(bar(place, steps.len()));
    face.more = steps.iter().map(|name| step_line(place, name)).collect();
    match place.steps.last() {
        None => face.line(format!("starting   {elapsed}")),
        Some(step) => face.line(format!("{}{}   {elapsed}", step.name, part(step))),
    }
}

fn part(step: &Step) -> String {
    match step.progress {
        Progress::Going { done, total } if total > 0 => format!("   {} %", percent(done, total)),
        Progress::Going { .. } | Progress::Begun | Progress::Done | Progress::Stopped => String::new(),
    }
}

/// The whole run in one bar: steps done, and the part of the step that is under way, in hundredths of a step.
fn bar(place: &Place, steps: usize) -> Bar {
    let part = |step: &Step| match step.progress {
        Progress::Done => 100,
        Progress::Going { done, total } => percent(done, total),
        Progress::Begun | Progress::Stopped => 0,
    };
    let total = u64::try_from(steps.max(place.steps.len()).max(1)).unwrap_or(u64::MAX).saturating_mul(100);
    Bar { done: place.steps.iter().map(part).sum::<u64>().min(total), total }
}

/// Of nothing, all is done.
pub(super) fn percent(done: u64, total: u64) -> u64 {
    let hundredths = u128::from(done) * 100;
    hundredths.checked_div(u128::from(total)).map_or(100, |part| u64::try_from(part.min(100)).unwrap_or(100))
}

fn step_line(place: &Place, name: &str) -> String {
    let mark = match place.steps.iter().rev().find(|step| step.name == name).map(|step| &step.progress) {
        None => "○",
        Some(Progress::Begun | Progress::Going { .. }) => "▸",
        Some(Progress::Done) => "✔",
        Some(Progress::Stopped) => "✖",
    };
    format!("{mark} {name}")
}

fn of_verdict(place: &Place, over: &Over) -> Face {
    let outcome = &over.outcome;
    let (kind, tone) = match outcome.verdict {
        Verdict::Pass => (Kind::Solid, Tone::Good),
        Verdict::Fail => (Kind::Double, Tone::Bad),
        Verdict::Retry => (Kind::Dashed, Tone::Odd),
        Verdict::Hold => (Kind::Hatched, Tone::Held),
        Verdict::DoneAlready => (Kind::Thin, Tone::Good),
    };
    let serial = outcome.serial.as_ref().map_or("", |serial| serial.as_str());
    let face = Face::new(words::headline(outcome.verdict), kind, tone).title(&[serial, &place.name]);
    let took = if outcome.took.0 > 0 { seconds(outcome.took.0) } else { String::new() };
    let brief = joined(&[&outcome.beside, &took]);
    let facts = joined(&[serial, &place.name, &brief]);
    match &outcome.fault {
        None => face.line(facts).brief(brief),
        Some(fault) => {
            let sentence = sentence(&fault.what, &fault.code);
            face.line(sentence.as_str()).line(facts).brief(sentence)
        }
    }
}

fn joined(facts: &[&str]) -> String {
    let facts: Vec<&str> = facts.iter().copied().filter(|fact| !fact.is_empty()).collect();
    facts.join("   ")
}

/// A fault in plain words with its code for the phone.
fn sentence(what: &str, code: &str) -> String {
    let mut letters = what.trim_end_matches('.').chars();
    let head: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{head}{}.  {code}", letters.as_str())
}
