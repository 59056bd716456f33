//! The sites as they stand on the bench, one tile each.

use ratatui::layout::Rect;

use crate::ui::model::{Model, State};

use super::{
    face::{self, Face},
    frames::{self, Kind},
    panel,
    pen::{Pen, Tone, narrow},
};

/// Narrower than this, a tile says nothing.
const LEAST: u16 = 12;

/// Draws the tiles from the left; nothing where the panel shows the only site.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let count = narrow(model.places.len()).max(1);
    let width = (area.width / count).max(LEAST);
    for (number, place) in (0u16..).zip(&model.places) {
        let x = area.x.saturating_add(number.saturating_mul(width));
        if area.height == 0 || x.saturating_add(width) > area.right() {
            return;
        }
        let large = model.in_hand().is_some_and(|site| site.0 == usize::from(number));
        let name = format!(" {}{} {} ", if large { "▸" } else { "" }, number + 1, place.name);
        tile(model, &face::of_place(model, place), &name, &place.state, pen, Rect { x, width, ..area });
    }
}

fn tile(model: &Model, face: &Face, name: &str, state: &State, pen: &mut Pen<'_>, area: Rect) {
    if face.kind == Kind::Double {
        pen.fill(area, ' ', face.tone);
    }
    let inner = frames::draw(face.kind, pen, area, face.tone);
    let inset = |row: Rect| Rect { x: row.x + 2, width: row.width.saturating_sub(4), height: 1, ..row };
    pen.text(inset(area), name, face.tone);
    let first = inset(inner);
    let bold = if face.tone == Tone::Bad { Tone::Bad } else { Tone::Strong };
    let used = pen.text(first, face.word, bold);
    let beside = Rect { x: first.x + used + 2, width: first.width.saturating_sub(used + 2), ..first };
    pen.text_right(beside, &serial(state), face.tone);
    let second = Rect { y: first.y + 1, ..first };
    match face.bar {
        Some(bar) => panel::draw_bar(bar, model.now, pen, second),
        None => {
            pen.text(second, &face.brief, face.tone);
        }
    }
}

fn serial(state: &State) -> String {
    match state {
        State::Idle => String::new(),
        State::Running(running) => running.serial.to_string(),
        State::Over(over) => over.outcome.serial.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}
