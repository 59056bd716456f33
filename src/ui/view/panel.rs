//! The largest thing on the screen: one word in block letters, in its own frame.

use ratatui::layout::Rect;

use crate::{
    clock::Millis,
    ui::letters::{self, Block},
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
    let layout = Layout::of(face, pen, inner);
    let mut y = inner.y + layout.above;
    for block in &layout.blocks {
        let rows = Rect { y, height: letters::DOTS * block.scale.down, ..inner };
        word(face, pen, block, rows);
        y = rows.bottom() + 1;
    }
    for (y, row) in (inner.y + layout.below..inner.bottom()).zip(&layout.rows) {
        row.draw(face, now, pen, Rect { y, height: 1, ..inner });
    }
}

/// Where the letters stand, and the rows under them, counted from the top of the frame's inside.
struct Layout {
    blocks: Vec<Block>,
    above: u16,
    below: u16,
    rows: Vec<Row>,
}

impl Layout {
    /// Letters take what the first line leaves; further lines take what the letters leave.
    fn of(face: &Face, pen: &Pen<'_>, inner: Rect) -> Self {
        let (needed, rows) = rows(face, pen, inner);
        let tight = inner.height < letters::DOTS + 1 + needed;
        // A frame that touches its letters makes both harder to read.
        let margin = u16::from(!tight);
        let room = inner.height.saturating_sub(margin + needed);
        let sized = |gap: u16| letters::largest(face.word, inner.width.saturating_sub(4), room.saturating_sub(gap));
        let (apart, close) = (sized(1), sized(0));
        let (gap, blocks) = if letters::height(&apart) < letters::height(&close) { (0, close) } else { (1, apart) };
        let high = letters::height(&blocks);
        let used = high + gap + narrow(rows.len()).min(inner.height.saturating_sub(margin + high + gap));
        let above = (inner.height.saturating_sub(used) / 2).max(margin);
        Self { blocks, above, below: above + high + gap, rows }
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
                let width = pen.width(text) + 4;
                clear_behind(face, pen, area, width);
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

/// How many rows must be seen, and all there are.
fn rows(face: &Face, pen: &Pen<'_>, inner: Rect) -> (u16, Vec<Row>) {
    let width = inner.width.saturating_sub(4);
    let mut rows: Vec<Row> = face.bar.map(Row::Bar).into_iter().collect();
    let mut needed = 0;
    for line in &face.lines {
        rows.extend(pen.lines(line, width, 3).into_iter().map(Row::Text));
        needed = if needed == 0 { narrow(rows.len()) } else { needed };
    }
    if inner.height >= ROOMY && !face.more.is_empty() {
        rows.push(Row::Gap);
        rows.extend(face.more.iter().cloned().map(Row::Listed));
        // Such a list is worth having whole, as long as the letters stay large.
        needed = narrow(rows.len()).min(inner.height - ROOMY / 2);
    }
    (needed, rows)
}

fn word(face: &Face, pen: &mut Pen<'_>, block: &Block, area: Rect) {
    let Block { word, scale } = *block;
    let width = letters::dots(word) * scale.across;
    let left = area.x + area.width.saturating_sub(width) / 2;
    clear_behind(face, pen, area, width + 4);
    let mark = pen.either('█', '#');
    for (x, y) in letters::set(word) {
        let dot =
            Rect { x: left + x * scale.across, y: area.y + y * scale.down, width: scale.across, height: scale.down };
        pen.fill(dot, mark, face.tone);
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
