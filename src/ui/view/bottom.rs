//! The one next action, the scan field with its notice, and the keys: always in the same rows.

use ratatui::layout::{Position, Rect};

use crate::{
    session::news::{Presence, Verdict},
    ui::{
        keys::KEYS,
        model::{Leaving, Matter, Model, Notice, Over, Place, Question, State},
        words,
    },
};

use super::pen::{Pen, Tone};

/// Rows at the bottom.
pub(super) const ROWS: u16 = 6;

const PUT_IN: &str = "Put a board in, then scan its label.";

const FINISHING: &str = "Wait: the boards in hand are being finished. No new board is taken.";

/// The demo's words for a newcomer.
pub(super) fn hints(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    for (y, hint) in (area.y..area.bottom()).zip(&model.hints) {
        let row = Rect { x: area.x + 1, y, width: area.width.saturating_sub(2), height: 1 };
        pen.text(row, hint, Tone::Plain);
    }
}

/// Draws the rows; where the cursor stands.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, area: Rect) -> Position {
    let row = |offset: u16| Rect { y: area.y + offset, height: 1, ..area };
    next(model, pen, Rect { height: 2, ..area });
    let rule = pen.either('─', '-');
    pen.fill(row(2), rule, Tone::Plain);
    let cursor = field(model, pen, row(3));
    if let Some(notice) = &model.notice {
        let right = |x: u16, y: u16| Rect { x, width: area.right().saturating_sub(x), ..row(y) };
        told(notice, pen, right(cursor.x + 1, 3), right(area.x + 1, 4));
    }
    keys(model, pen, row(5));
    cursor
}

/// In one line, or in two where that is too long: what was read then stands in the scan field, which is empty as long as
/// anything is told. A label is known by its end, and the hand by why, so neither is cut while there is room.
fn told(notice: &Notice, pen: &mut Pen<'_>, field: Rect, area: Rect) {
    let read = if notice.read.is_empty() { String::new() } else { format!("“{}”", notice.read) };
    let beside = format!("✖ {read} – {}", notice.text);
    if read.is_empty() || pen.width(&beside) > area.width {
        pen.text(field, &read, Tone::Odd);
        pen.text(area, &format!("✖ {}", notice.text), Tone::Odd);
    } else {
        pen.text(area, &beside, Tone::Odd);
    }
}

fn next(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let used = pen.text(Rect { x: area.x + 1, height: 1, width: 8, ..area }, " NEXT ", Tone::Inverse);
    let x = area.x + used + 3;
    pen.paragraph(Rect { x, width: area.right().saturating_sub(x + 1), ..area }, &action(model), Tone::Strong);
}

/// The one next action.
fn action(model: &Model) -> String {
    if matches!(model.leaving, Leaving::Asked(_)) {
        return "Press F10 again to finish the boards in hand and leave.".to_owned();
    }
    if model.closed {
        return format!("{} Then press F10: the session is over.", of_matter(model));
    }
    of_matter(model)
}

fn of_matter(model: &Model) -> String {
    match model.matter() {
        Matter::Starting => "Wait until the bench is open.".to_owned(),
        Matter::Holds(fault) => fault.next.clone(),
        Matter::Which(question) => number(model, question),
        Matter::At(place) => at(model, place),
        Matter::Idle => of_idle(model),
    }
}

fn number(model: &Model, question: &Question) -> String {
    let sites: Vec<String> =
        question.sites.iter().map(|&site| format!("{} for {}", site.0 + 1, model.site_name(site))).collect();
    format!("Press the number of the site: {}.", sites.join(", "))
}

/// Of the site in hand, which is named where there are others.
fn at(model: &Model, place: &Place) -> String {
    let text = match &place.state {
        State::Idle => of_site(model, place),
        State::Running(running) => match &running.ask {
            Some(what) => format!("{what} Then press F3; if it cannot be done, F4."),
            None => return of_running(model),
        },
        State::Over(over) => of_verdict(model, place, over),
    };
    if model.places.len() > 1 { format!("{}: {text}", place.name) } else { text }
}

/// Every site waits for a board, or has one that waits for its scan.
fn of_idle(model: &Model) -> String {
    let mut usable = model.places.iter().filter(|place| place.trouble.is_none());
    let fresh = usable.clone().find(|place| place.presence == Presence::Fresh);
    match fresh.or_else(|| usable.next()).or(model.places.first()) {
        Some(place) => of_site(model, place),
        None => PUT_IN.to_owned(),
    }
}

fn of_site(model: &Model, place: &Place) -> String {
    if let Some(fault) = &place.trouble {
        return fault.next.clone();
    }
    let text = match place.presence {
        Presence::Served => "Take the board out.",
        Presence::Absent | Presence::Fresh if model.is_leaving() => FINISHING,
        Presence::Absent => PUT_IN,
        Presence::Fresh => "Scan the label of the board.",
    };
    text.to_owned()
}

/// While one site works, hands are free for another.
fn of_running(model: &Model) -> String {
    let free = model.places.iter().find(|place| matches!(place.state, State::Idle) && place.trouble.is_none());
    match free {
        _ if model.is_leaving() => FINISHING.to_owned(),
        Some(place) => format!("{}: {}", place.name, of_site(model, place)),
        None => "Wait. Leave the lid closed.".to_owned(),
    }
}

/// A failed board has two ways to go, in either order; what is left of them is the next action.
fn of_verdict(model: &Model, place: &Place, over: &Over) -> String {
    let has_bin = model.bench.as_ref().is_some_and(|bench| bench.bin.is_some());
    let fails = over.outcome.verdict == Verdict::Fail && has_bin;
    match (fails, over.gone, over.binned) {
        (true, true, false) => "Put the board into the red bin and scan the bin.".to_owned(),
        (true, false, true) if place.presence != Presence::Absent => {
            "The bin is scanned. Take the board out.".to_owned()
        }
        _ => words::next_after(&over.outcome).to_owned(),
    }
}

fn field(model: &Model, pen: &mut Pen<'_>, area: Rect) -> Position {
    let label = pen.text(Rect { x: area.x + 1, ..area }, "SCAN ▸ ", Tone::Strong);
    let x = area.x + 1 + label;
    let room = Rect { x, width: area.right().saturating_sub(x + 2), ..area };
    let used = pen.text(room, &model.field.shown(model.look.glyphs), Tone::Strong);
    Position { x: x + used, y: area.y }
}

fn keys(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let own = KEYS.iter().filter(|binding| binding.is_shown(model));
    let own = own.map(|binding| (binding.key, binding.word.to_owned()));
    let mut at = area.x + 1;
    for (key, word) in own.chain(model.hands.iter().cloned()) {
        let name = format!(" {key} ");
        let whole = pen.width(&name) + 1 + pen.width(&word);
        if at.saturating_add(whole) > area.right() {
            return;
        }
        at += pen.text(Rect { x: at, width: area.right() - at, ..area }, &name, Tone::Inverse) + 1;
        at += pen.text(Rect { x: at, width: area.right().saturating_sub(at), ..area }, &word, Tone::Plain) + 2;
    }
}
