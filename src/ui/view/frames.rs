//! Frames: each verdict has its own, so that it is known without its colour and from the corner of the eye.

use ratatui::layout::Rect;

use super::pen::{Pen, Tone};

/// What a frame is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// PASS.
    Solid,
    /// FAIL.
    Double,
    /// RETRY.
    Dashed,
    /// HOLD.
    Hatched,
    /// DONE ALREADY.
    Thin,
    /// A person must act.
    Heavy,
    /// The line holds.
    Tape,
    /// Nothing to say yet.
    Round,
}

/// Draws a frame along the edge of `area`; what is inside.
pub(super) fn draw(kind: Kind, pen: &mut Pen<'_>, area: Rect, tone: Tone) -> Rect {
    let side = side(kind);
    let inner = inside(kind, area);
    for x in area.x..area.right() {
        let mark = horizontal(kind, pen, x);
        pen.mark(x, area.y, mark, tone);
        pen.mark(x, area.bottom().saturating_sub(1), mark, tone);
    }
    for y in area.y.saturating_add(1)..area.bottom().saturating_sub(1) {
        let mark = vertical(kind, pen, y);
        for x in (area.x..area.x + side).chain(area.right().saturating_sub(side)..area.right()) {
            pen.mark(x, y, mark, tone);
        }
    }
    corners(kind, pen, area, tone);
    inner
}

/// What a frame of this kind leaves free.
pub(super) fn inside(kind: Kind, area: Rect) -> Rect {
    let side = side(kind);
    Rect {
        x: area.x + side,
        y: area.y.saturating_add(1),
        width: area.width.saturating_sub(2 * side),
        height: area.height.saturating_sub(2),
    }
}

/// A cell is twice as high as wide; frames that are made of whole cells take two columns to be as thick as one row.
const fn side(kind: Kind) -> u16 {
    match kind {
        Kind::Solid | Kind::Hatched | Kind::Tape => 2,
        Kind::Double | Kind::Dashed | Kind::Thin | Kind::Heavy | Kind::Round => 1,
    }
}

fn horizontal(kind: Kind, pen: &Pen<'_>, x: u16) -> char {
    match kind {
        Kind::Solid => pen.either('█', '#'),
        Kind::Double => pen.either('═', '='),
        Kind::Dashed if x.is_multiple_of(4) || x % 4 == 3 => ' ',
        Kind::Dashed => pen.either('╌', '-'),
        Kind::Hatched => pen.either('░', '/'),
        Kind::Tape => pen.either('▚', '%'),
        Kind::Thin | Kind::Round => pen.either('─', '-'),
        Kind::Heavy => pen.either('━', '*'),
    }
}

fn vertical(kind: Kind, pen: &Pen<'_>, y: u16) -> char {
    match kind {
        Kind::Solid => pen.either('█', '#'),
        Kind::Double => pen.either('║', 'H'),
        Kind::Dashed if y % 3 == 2 => ' ',
        Kind::Dashed => pen.either('┆', ':'),
        Kind::Hatched => pen.either('░', '/'),
        Kind::Tape => pen.either('▚', '%'),
        Kind::Thin | Kind::Round => pen.either('│', '|'),
        Kind::Heavy => pen.either('┃', '*'),
    }
}

fn corners(kind: Kind, pen: &mut Pen<'_>, area: Rect, tone: Tone) {
    let (unicode, ascii) = match kind {
        Kind::Solid | Kind::Hatched | Kind::Tape => return,
        Kind::Double => ("╔╗╚╝", "HHHH"),
        Kind::Dashed | Kind::Thin => ("┌┐└┘", "++++"),
        Kind::Heavy => ("┏┓┗┛", "****"),
        Kind::Round => ("╭╮╰╯", "..''"),
    };
    let (right, bottom) = (area.right().saturating_sub(1), area.bottom().saturating_sub(1));
    let places = [(area.x, area.y), (right, area.y), (area.x, bottom), (right, bottom)];
    for ((x, y), (unicode, ascii)) in places.into_iter().zip(unicode.chars().zip(ascii.chars())) {
        let mark = pen.either(unicode, ascii);
        pen.mark(x, y, mark, tone);
    }
}
