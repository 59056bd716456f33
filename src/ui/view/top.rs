//! The numbers that matter to the shift, and which rules hold. They never move.

use ratatui::layout::Rect;

use crate::{
    ident::Mode,
    session::news::{Bench, Tally},
    ui::model::Model,
};

use super::pen::{Pen, Tone};

/// Rows at the top.
pub(super) const ROWS: u16 = 3;

/// Draws the two lines and the rule under them.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let first = Rect { height: 1, ..area };
    match &model.bench {
        Some(bench) => lot(bench, pen, first),
        None => {
            pen.text(first, " rootstamp", Tone::Strong);
        }
    }
    counts(&model.tally, pen, Rect { y: area.y + 1, ..first });
    let rule = pen.either('─', '-');
    pen.fill(Rect { y: area.y + 2, ..first }, rule, Tone::Plain);
}

/// Names give way to the symbols and to the mark of the mode, which are never cut.
fn lot(bench: &Bench, pen: &mut Pen<'_>, area: Rect) {
    let mark = watermark(bench.mode);
    let marked = pen.text_right(area, mark, Tone::Inverse);
    let symbols = format!("recipe {}", bench.symbols);
    let free = area.width.saturating_sub(marked + 2);
    let kept = pen.width(&symbols).min(free);
    let name = pen.text(Rect { width: free.min(10), ..area }, " rootstamp", Tone::Strong);
    let mut at = area.x + name + 2;
    let mut room = (area.x + free).saturating_sub(at + kept + 3);
    for (text, share) in [(bench.station.clone(), 2), (format!("{} {}", bench.product, bench.title), 1)] {
        let used = pen.text(Rect { x: at, width: room / share, ..area }, &text, Tone::Plain);
        at += used + 3;
        room = room.saturating_sub(used + 3);
    }
    pen.text(Rect { x: at, width: (area.x + free).saturating_sub(at), ..area }, &symbols, Tone::Strong);
}

const fn watermark(mode: Mode) -> &'static str {
    match mode {
        Mode::Production => "",
        Mode::Engineering => " ENGINEERING ",
        Mode::Training => " TRAINING ",
    }
}

/// Columns are as wide as their largest likely number, so that none moves when another grows.
fn counts(tally: &Tally, pen: &mut Pen<'_>, area: Rect) {
    let columns = [
        (13, format!("passed {}", tally.passed)),
        (11, format!("failed {}", tally.failed)),
        (9, format!("held {}", tally.held)),
        (25, format!("first-pass yield {}", yield_of(tally))),
        (12, format!("retries {}", tally.retried)),
    ];
    let spare = area.width.saturating_sub(1 + columns.iter().map(|(width, _)| width).sum::<u16>() + 9) / 5;
    let mut at = area.x + 1;
    for (width, text) in columns {
        let width = width + spare;
        pen.text(Rect { x: at, width: area.right().saturating_sub(at).min(width), ..area }, &text, Tone::Strong);
        at += width;
    }
    if let Some(left) = tally.left {
        let rest = Rect { x: at, width: area.right().saturating_sub(at + 1), ..area };
        pen.text_right(rest, &format!("left {left}"), Tone::Strong);
    }
}

/// In tenths of a percent, rounded down: a yield is never better than it was.
fn yield_of(tally: &Tally) -> String {
    let tenths = u128::from(tally.first_passed) * 1_000;
    let whole = tenths.checked_div(u128::from(tally.first_ended));
    whole.map_or_else(|| "-".to_owned(), |tenths| format!("{}.{} %", tenths / 10, tenths % 10))
}
