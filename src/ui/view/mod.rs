//! The only thing that draws the model. Everything has its place, and every place is the same on every bench.

use ratatui::{Frame, layout::Rect};

use super::{
    look::Look,
    model::{Model, Page},
};

use pen::{Pen, Tone};

mod bottom;
mod details;
mod face;
mod frames;
mod help;
mod panel;
mod pen;
mod tiles;
mod top;

/// The smallest window that has room for everything.
const LEAST: (u16, u16) = (80, 24);

/// Rows that a tile takes: a frame, a word, and what goes with it.
const TILE: u16 = 4;

/// Draws the whole screen.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut pen = Pen::new(frame.buffer_mut(), model.look);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(&mut pen, area);
        return;
    }
    let places = Places::of(model, area);
    top::draw(model, &mut pen, places.top);
    match model.page {
        Page::Bench => bench(model, &mut pen, &places),
        Page::Help { scroll } => help::draw(model, &mut pen, places.page(), scroll),
        Page::Details { site, scroll } => details::draw(model, &mut pen, places.page(), site, scroll),
    }
    bottom::hints(model, &mut pen, places.hints);
    let cursor = bottom::draw(model, &mut pen, places.bottom);
    frame.set_cursor_position(cursor);
}

fn bench(model: &Model, pen: &mut Pen<'_>, places: &Places) {
    panel::draw(&face::of(model), model.now, pen, places.panel);
    tiles::draw(model, pen, places.tiles);
}

fn too_small(pen: &mut Pen<'_>, area: Rect) {
    let message = format!("Make the window at least {}x{} (now {}x{}).", LEAST.0, LEAST.1, area.width, area.height);
    pen.paragraph(area, &message, Tone::Strong);
}

/// Where things stand. Tiles and hints take their rows from the panel, so that the next action never moves.
struct Places {
    top: Rect,
    panel: Rect,
    tiles: Rect,
    hints: Rect,
    bottom: Rect,
}

impl Places {
    fn of(model: &Model, area: Rect) -> Self {
        let hints_max = if area.height >= 32 { 4 } else { 2 };
        let hints = u16::try_from(model.hints.len()).unwrap_or(u16::MAX).min(hints_max);
        // While the line holds, the panel is not about the site, not even where there is only one.
        let tiles = if model.places.len() > 1 || model.holds.is_some() { TILE } else { 0 };
        let panel = area.height.saturating_sub(top::ROWS + tiles + hints + bottom::ROWS);
        let mut y = area.y;
        let mut take = |height: u16| {
            let rows = Rect { x: area.x, y, width: area.width, height };
            y += height;
            rows
        };
        Self {
            top: take(top::ROWS),
            panel: take(panel),
            tiles: take(tiles),
            hints: take(hints),
            bottom: take(bottom::ROWS),
        }
    }

    /// Help and details take the room of the panel and the tiles.
    fn page(&self) -> Rect {
        Rect { height: self.panel.height + self.tiles.height, ..self.panel }
    }
}

/// The mark that goes round while something runs.
fn spinner(look: Look, now: crate::clock::Millis) -> &'static str {
    let turns = match look.glyphs {
        super::look::Glyphs::Unicode => ["▖", "▘", "▝", "▗"],
        super::look::Glyphs::Ascii => ["|", "/", "-", "\\"],
    };
    let at = usize::try_from(now.0 / 100 % 4).unwrap_or(0);
    turns.get(at).copied().unwrap_or("|")
}

/// Milliseconds as people say them.
fn seconds(span: u64) -> String {
    format!("{}.{} s", span / 1_000, span % 1_000 / 100)
}
