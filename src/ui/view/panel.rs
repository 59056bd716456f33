//! The largest thing on the screen: one word in block letters, in its own frame.

use ratatui::layout::Rect;

use crate::{
    clock::Millis,
    ui::letters::{self, Scale},
};

use super::{
    face::{Bar, Face},
    frames::{self, Kind},
    pen::{Pen, Tone, narrow},
    spinner,
};

/// Rows a panel needs inside before it lists the steps.
const ROOMY: u16 = 20;

/// Draws the face as large as the place allows.
pub(super) fn draw(face: &Face, now: Millis, pen: &mut Pen<'_>, area: Rect) {
    let inner = ground(face, pen, area);
    let title = format!(" {}  {} ", face.word, face.title);
    let title = if face.title.is_empty() { format!(" {} ", face.word) } else { title };
    pen.text(Rect { x: area.x + 4, height: 1, width: area.width.saturating_sub(8), ..area }, &title, face.tone);
    let mut rows = rows(face, pen, inner);
    let gap = u16::from(inner.height > letters::DOTS + narrow(rows.len()));
    // A word too large for its place is still in the frame's title; lines give way to letters.
    rows.truncate(usize::from(inner.height.saturating_sub(letters::DOTS)));
    let below = narrow(rows.len());
    let room = inner.height.saturating_sub(below + gap);
    let (lines, scale) = arrange(face.word, inner.width.saturating_sub(2), room);
    let high = letters::height(&lines, scale.down);
    let top = inner.y + inner.height.saturating_sub(high + gap + below) / 2;
    let block = Rect { y: top, height: high, ..inner };
    word(face, pen, &lines, scale, block);
    for (y, row) in (top + high + gap..inner.bottom()).zip(&rows) {
        row.draw(face, now, pen, Rect { y, height: 1, ..inner });
    }
}

/// One row under the block letters.
enum Row {
    Text(String),
    /// Part of a column, so that its marks stand under each other.
    Listed(String),
    Bar(Bar),
    Gap,
}

impl Row {
    fn draw(&self, face: &Face, now: Millis, pen: &mut Pen<'_>, area: Rect) {
        let tone = if face.tone == Tone::Bad { Tone::Bad } else { Tone::Strong };
        match self {
            Self::Text(text) => {
                clear_behind(face, pen, area, narrow(text.chars().count()) + 4);
                pen.text_centred(area, text, tone);
            }
            Self::Listed(text) => {
                let x = area.x + area.width / 2 - area.width / 8;
                pen.text(Rect { x, width: area.right() - x, ..area }, text, Tone::Plain);
            }
            Self::Bar(bar) => {
                draw_bar(*bar, now, pen, Rect { x: area.x + 4, width: area.width.saturating_sub(8), ..area });
            }
            Self::Gap => {}
        }
    }
}

fn rows(face: &Face, pen: &Pen<'_>, inner: Rect) -> Vec<Row> {
    let width = inner.width.saturating_sub(4);
    let texts = face.lines.iter().flat_map(|line| pen.lines(line, width, 3)).map(Row::Text);
    let mut rows: Vec<Row> = face.bar.map(Row::Bar).into_iter().chain(texts).collect();
    if inner.height >= ROOMY && !face.more.is_empty() {
        rows.push(Row::Gap);
        rows.extend(face.more.iter().cloned().map(Row::Listed));
        rows.truncate(usize::from(inner.height.saturating_sub(2 * letters::DOTS)));
    }
    rows
}

/// The word in one line or, where that makes the letters larger, in a line for each of its words.
fn arrange(word: &'static str, columns: u16, rows: u16) -> (Vec<&'static str>, Scale) {
    let whole = vec![word];
    let parts: Vec<&str> = word.split(' ').collect();
    let one = letters::largest(&whole, columns, rows);
    let many = letters::largest(&parts, columns, rows);
    match (one, many) {
        (Some(one), Some(many)) if many.down > one.down => (parts, many),
        (Some(one), _) => (whole, one),
        (None, Some(many)) => (parts, many),
        (None, None) => (Vec::new(), Scale { across: 0, down: 0 }),
    }
}

fn word(face: &Face, pen: &mut Pen<'_>, lines: &[&str], scale: Scale, area: Rect) {
    let mut top = area.y;
    for line in lines {
        let width = letters::dots(line) * scale.across;
        let left = area.x + area.width.saturating_sub(width) / 2;
        let rows = Rect { y: top, height: letters::DOTS * scale.down, ..area };
        clear_behind(face, pen, rows, width + 4);
        let mark = pen.either('█', '#');
        for (x, y) in letters::set(line) {
            let (x, y) = (left + x * scale.across, top + y * scale.down);
            pen.fill(Rect { x, y, width: scale.across, height: scale.down }, mark, face.tone);
        }
        top += rows.height + 1;
    }
}

/// The frame and what fills it: inverse for FAIL, hatched for HOLD, nothing for the others.
fn ground(face: &Face, pen: &mut Pen<'_>, area: Rect) -> Rect {
    let inner = frames::inside(face.kind, area);
    match face.kind {
        Kind::Double => pen.fill(area, ' ', face.tone),
        Kind::Hatched => {
            let hatch = pen.either('░', '/');
            pen.fill(area, hatch, face.tone);
        }
        Kind::Solid | Kind::Dashed | Kind::Thin | Kind::Heavy | Kind::Tape | Kind::Round => {}
    }
    frames::draw(face.kind, pen, area, face.tone);
    inner
}

/// On a hatched ground, what is to be read stands on a clear one.
fn clear_behind(face: &Face, pen: &mut Pen<'_>, area: Rect, width: u16) {
    if face.kind == Kind::Hatched {
        let width = width.min(area.width);
        let x = area.x + (area.width - width) / 2;
        pen.fill(Rect { x, width, ..area }, ' ', Tone::Plain);
    }
}

/// What is done, what is not, and a mark that runs along both: a bar that stands still looks like a verdict.
pub(super) fn draw_bar(bar: Bar, now: Millis, pen: &mut Pen<'_>, area: Rect) {
    let (full, empty, pulse) = (pen.either('█', '#'), pen.either('░', '-'), pen.either('▒', '>'));
    let turn = spinner(pen.look(), now);
    pen.text(area, turn, Tone::Strong);
    let track = Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area };
    let done = u128::from(track.width) * u128::from(bar.done) / u128::from(bar.total.max(1));
    let at = now.0 / 50 % u64::from(track.width.max(1));
    for (offset, x) in (0u64..).zip(track.x..track.right()) {
        let mark = if offset.abs_diff(at) < 2 {
            pulse
        } else if u128::from(offset) < done {
            full
        } else {
            empty
        };
        pen.mark(x, area.y, mark, Tone::Moving);
    }
}
