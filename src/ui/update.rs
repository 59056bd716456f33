//! The only thing that changes the model: a message in, at most one command out.

use crate::{
    clock::Millis,
    fault::Exit,
    session::news::{Answer, Bench, Command, Event, Outcome, Presence, Progress, Site, Verdict},
};

use super::{
    field::SCAN_MAX,
    keys::{self, Does, KeyName},
    model::{Leaving, Model, Notice, Over, Page, Place, Question, Running, State, Step},
};

/// How long a notice stays, in milliseconds.
const NOTICE: u64 = 6_000;

/// How long the first press of F10 counts, in milliseconds.
const LEAVE: u64 = 6_000;

/// How long a lone digit must stand before it answers a question, in milliseconds: the first character of a label
/// must not.
const LONE: u64 = 150;

/// Statements kept for the details of one run; a run has some dozens.
const EVIDENCE_MAX: usize = 1_000;

/// Something that happened, and when.
#[derive(Clone, Debug)]
pub struct Message {
    /// Since the process started.
    pub at: Millis,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// A key went down.
    Key(KeyName),
    /// The terminal says that this was pasted; some readers do so. Untrusted and unbounded.
    Paste(String),
    /// The session told something.
    News(Box<Event>),
    /// Time passed.
    Tick,
    /// The system wants the process to end.
    Interrupted,
    /// The demo's words for a newcomer, and its keys.
    Hands {
        /// Lines to show.
        hints: Vec<String>,
        /// Keys with the words for the help line.
        keys: Vec<(KeyName, String)>,
    },
}

/// Takes in one message; the command that follows from it, if any.
pub fn update(model: &mut Model, message: Message) -> Option<Command> {
    model.now = Millis(model.now.0.max(message.at.0));
    match message.what {
        What::Key(key) => press(model, key),
        What::Paste(text) => paste(model, &text),
        What::News(event) => {
            hear(model, *event);
            None
        }
        What::Tick => tick(model),
        What::Interrupted => leave_now(model, false),
        What::Hands { hints, keys } => {
            (model.hints, model.hands) = (hints, keys);
            None
        }
    }
}

fn tick(model: &mut Model) -> Option<Command> {
    let now = model.now;
    model.notice = model.notice.take().filter(|notice| now.0 - notice.since.0 < NOTICE);
    if let Leaving::Asked(since) = model.leaving
        && now.0 - since.0 >= LEAVE
    {
        model.leaving = Leaving::No;
    }
    let stands = model.field.silence(now).is_some_and(|silence| silence.0 >= LONE);
    let digit = model.question.as_ref().and(lone_digit(model.field.text()));
    digit.filter(|_| stands).and_then(|digit| choose(model, digit))
}

fn press(model: &mut Model, key: KeyName) -> Option<Command> {
    if let KeyName::Char(character) = key {
        begin(model);
        model.field.push(character, model.now);
        return None;
    }
    if matches!(key, KeyName::Enter | KeyName::Feed | KeyName::Tab) {
        return end(model);
    }
    // A label may hold what a terminal takes for a function key or for Ctrl-C. In the middle of a scan it spoils the
    // scan, which is then refused in words; right after one it is nothing.
    if model.field.in_burst(model.now) {
        if !model.field.text().is_empty() {
            model.field.push('\u{1b}', model.now);
        }
        return None;
    }
    begin_unless_leaving(model, key);
    keys::does(key).and_then(|does| act(model, does))
}

/// Any key takes the notice away, and the question whether to leave.
fn begin(model: &mut Model) {
    model.notice = None;
    if matches!(model.leaving, Leaving::Asked(_)) {
        model.leaving = Leaving::No;
    }
}

fn begin_unless_leaving(model: &mut Model, key: KeyName) {
    if keys::does(key) == Some(Does::Leave) { model.notice = None } else { begin(model) }
}

fn act(model: &mut Model, does: Does) -> Option<Command> {
    match does {
        Does::Help => turn(model, matches!(model.page, Page::Help { .. }), Page::Help { scroll: 0 }),
        Does::Details => {
            let fresh = Page::Details { site: None, scroll: 0 };
            turn(model, matches!(model.page, Page::Details { .. }), fresh);
        }
        Does::Done => return answer(model, Answer::Done),
        Does::Cannot => return answer(model, Answer::Cannot),
        Does::Leave => return leave(model),
        Does::LeaveNow => return leave_now(model, true),
        Does::Clear => model.field.clear(),
        Does::Erase => model.field.erase(),
        Does::Scroll(lines) => scroll(&mut model.page, lines),
        Does::Aside(sites) => aside(model, sites),
    }
    None
}

fn turn(model: &mut Model, is_open: bool, page: Page) {
    model.page = if is_open { Page::Bench } else { page };
}

/// Never further than a page can be long; the view stops at its end.
fn scroll(page: &mut Page, lines: i16) {
    match page {
        Page::Bench => {}
        Page::Help { scroll } | Page::Details { scroll, .. } => {
            *scroll = scroll.saturating_add_signed(lines).min(4 * 1_000);
        }
    }
}

fn aside(model: &mut Model, sites: i16) {
    let Page::Details { site, .. } = model.page else { return };
    let from = site.or_else(|| model.in_hand()).map_or(0, |site| site.0);
    let to = from.saturating_add_signed(isize::from(sites)).min(model.places.len().saturating_sub(1));
    model.page = Page::Details { site: Some(Site(to)), scroll: 0 };
}

fn answer(model: &mut Model, answer: Answer) -> Option<Command> {
    let Some(site) = model.asked() else {
        say(model, "Nothing is asked for now.");
        return None;
    };
    if let Some(Place { state: State::Running(running), .. }) = model.place_mut(site) {
        running.ask = None;
    }
    Some(Command::Answered(site, answer))
}

fn leave(model: &mut Model) -> Option<Command> {
    match model.leaving {
        Leaving::No if !model.closed => {
            model.leaving = Leaving::Asked(model.now);
            None
        }
        Leaving::No | Leaving::Asked(_) | Leaving::Yes { .. } => leave_now(model, true),
    }
}

/// Told to the session once; after its last event, the same key takes the screen away.
fn leave_now(model: &mut Model, person: bool) -> Option<Command> {
    if model.closed {
        model.dismissed = true;
        return None;
    }
    let first = !model.is_leaving();
    let since = model.now;
    model.leaving = match model.leaving {
        Leaving::Yes { since, person: before } => Leaving::Yes { since, person: before && person },
        Leaving::No | Leaving::Asked(_) => Leaving::Yes { since, person },
    };
    first.then_some(Command::Leave)
}

fn end(model: &mut Model) -> Option<Command> {
    let text = model.field.end(model.now)?;
    submit(model, text)
}

fn paste(model: &mut Model, text: &str) -> Option<Command> {
    begin(model);
    let whole = text.trim_matches(['\r', '\n', '\t']);
    model.field.clear();
    whole.chars().take(SCAN_MAX).for_each(|character| model.field.push(character, model.now));
    end(model)
}

/// A scan is for the session to judge, except where it could not be meant for anything now: that is said at once, for
/// a scan that waits in a queue would start a board nobody thinks of any more.
fn submit(model: &mut Model, text: String) -> Option<Command> {
    if model.question.is_some() {
        return match lone_digit(&text) {
            Some(digit) => choose(model, digit),
            None => refuse(model, "Busy: answer first which site the board is in, with its number."),
        };
    }
    let Some(bench) = &model.bench else {
        return refuse(model, "Busy: the bench is not open yet. Scan again.");
    };
    if model.is_leaving() {
        return refuse(model, "Busy: leaving, no new board is taken.");
    }
    if model.is_full() && bench.bin.as_deref() != Some(text.as_str()) {
        return refuse(model, "Busy: wait for the verdict, then scan again.");
    }
    Some(Command::Scan(text))
}

fn lone_digit(text: &str) -> Option<usize> {
    let mut characters = text.chars();
    let digit = characters.next()?.to_digit(10)?;
    if characters.next().is_some() { None } else { usize::try_from(digit).ok() }
}

/// Sites are numbered from 1 at the left.
fn choose(model: &mut Model, digit: usize) -> Option<Command> {
    model.field.clear();
    let site = digit.checked_sub(1).map(Site)?;
    let question = model.question.as_ref()?;
    if !question.sites.contains(&site) {
        return refuse(model, "That number is not one of the sites in question.");
    }
    model.question = None;
    Some(Command::Choose(site))
}

fn refuse(model: &mut Model, why: &str) -> Option<Command> {
    say(model, why);
    None
}

fn say(model: &mut Model, text: impl Into<String>) {
    model.notice = Some(Notice { read: String::new(), text: text.into(), since: model.now });
}

fn hear(model: &mut Model, event: Event) {
    if is_urgent(&event) {
        model.page = Page::Bench;
    }
    if is_news_for_hands(model, &event) {
        model.notice = None;
    }
    match event {
        Event::Opened(bench) => open(model, bench),
        Event::Board { site, presence } => board(model, site, presence),
        Event::SiteFault { site, fault } => {
            if let Some(place) = model.place_mut(site) {
                place.trouble = fault;
            }
        }
        Event::ScanRefused { read, why } => {
            model.question = None;
            model.notice = Some(Notice { read, text: why, since: model.now });
        }
        Event::WhichSite { serial, sites } => ask_which(model, Question { serial, sites }),
        Event::Started { site, serial, at: _ } => start(model, site, serial),
        Event::Step { site, step, progress, at } => advance(model, site, &step, progress, at),
        Event::Measured { site, evidence } => {
            if let Some(place) = model.place_mut(site).filter(|place| place.evidence.len() < EVIDENCE_MAX) {
                place.evidence.push(evidence);
            }
        }
        Event::Ask { site, what } => ask(model, site, what),
        Event::Verdict { site, outcome } => judge(model, site, outcome),
        Event::Binned { site } => {
            change(model, site, |over| over.binned = true);
        }
        Event::Tally(tally) => model.tally = tally,
        Event::LineHolds { fault } => model.holds = Some(fault),
        Event::Closed { tally, exit: _ } => {
            model.tally = tally;
            model.closed = true;
        }
    }
}

/// What was said to a scan is about the bench as it was then; beside a bench that is otherwise now it would be wrong.
fn is_news_for_hands(model: &Model, event: &Event) -> bool {
    match event {
        Event::Board { site, presence } => model.place(*site).is_some_and(|place| place.presence != *presence),
        Event::Started { .. } | Event::Verdict { .. } | Event::Binned { .. } | Event::SiteFault { .. } => true,
        Event::Opened(_)
        | Event::ScanRefused { .. }
        | Event::WhichSite { .. }
        | Event::Step { .. }
        | Event::Measured { .. }
        | Event::Ask { .. }
        | Event::Tally(_)
        | Event::LineHolds { .. }
        | Event::Closed { .. } => false,
    }
}

/// What an operator must not miss behind a page somebody left open.
fn is_urgent(event: &Event) -> bool {
    matches!(event, Event::Verdict { .. } | Event::Ask { .. } | Event::WhichSite { .. } | Event::LineHolds { .. })
}

fn open(model: &mut Model, bench: Bench) {
    model.places = bench.sites.iter().map(|name| Place::new(name)).collect();
    model.bench = Some(bench);
    (model.holds, model.question) = (None, None);
}

fn board(model: &mut Model, site: Site, presence: Presence) {
    let Some(place) = model.place_mut(site) else { return };
    let before = std::mem::replace(&mut place.presence, presence);
    // A board pulled while it ran was gone before its verdict; then the next one tells that it is away.
    let went = presence == Presence::Absent || (before == Presence::Absent && presence == Presence::Fresh);
    if went && !lost_contact(&place.state) {
        change(model, site, |over| over.gone = true);
    }
}

/// Where contact was lost, its absence says nothing of the board: the verdict stays until the next unit begins.
fn lost_contact(state: &State) -> bool {
    let State::Over(over) = state else { return false };
    over.outcome.fault.as_ref().is_some_and(|fault| fault.exit == Exit::NoAnswer)
}

/// Changes the verdict that stands at this site, and clears it once its board is away.
fn change(model: &mut Model, site: Site, what: impl FnOnce(&mut Over)) {
    let has_bin = model.bench.as_ref().is_some_and(|bench| bench.bin.is_some());
    let Some(place) = model.place_mut(site) else { return };
    let State::Over(over) = &mut place.state else { return };
    what(over);
    if over.is_away(has_bin) {
        place.state = State::Idle;
    }
}

fn ask_which(model: &mut Model, mut question: Question) {
    question.sites.retain(|site| site.0 < model.places.len());
    if question.sites.is_empty() {
        question.sites = (0..model.places.len()).map(Site).collect();
    }
    // What is half typed now was not meant as the answer.
    if !model.field.text().is_empty() {
        model.field.clear();
        say(model, "Busy: that scan was dropped. Answer first which site the board is in.");
    }
    model.question = Some(question);
}

fn start(model: &mut Model, site: Site, serial: crate::ident::Serial) {
    let since = model.now;
    model.question = None;
    model.holds = None;
    if let Some(place) = model.place_mut(site) {
        place.steps.clear();
        place.evidence.clear();
        place.state = State::Running(Running { serial, since, ask: None });
    }
}

fn advance(model: &mut Model, site: Site, name: &str, progress: Progress, at: Millis) {
    let most = model.bench.as_ref().map_or(0, |bench| bench.steps.len()).max(64);
    let Some(place) = model.place_mut(site) else { return };
    if let Some(step) = place.steps.iter_mut().rev().find(|step| step.name == name) {
        if progress == Progress::Begun {
            step.began = at;
        }
        step.progress = progress;
        step.last = at;
    } else if place.steps.len() < most {
        place.steps.push(Step { name: name.to_owned(), began: at, last: at, progress });
    }
}

fn ask(model: &mut Model, site: Site, what: String) {
    if let Some(Place { state: State::Running(running), .. }) = model.place_mut(site) {
        running.ask = Some(what);
    }
}

fn judge(model: &mut Model, site: Site, outcome: Outcome) {
    let since = model.now;
    let Some(place) = model.place_mut(site) else { return };
    if !matches!(place.state, State::Running(_)) && outcome.verdict == Verdict::DoneAlready {
        place.steps.clear();
        place.evidence.clear();
    }
    place.state = State::Over(Box::new(Over { outcome, since, gone: false, binned: false }));
}
