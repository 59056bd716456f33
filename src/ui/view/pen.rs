//! Puts text and marks into cells: inside the screen, printable, and in colours that may be missing.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use crate::ui::{
    look::{Glyphs, Look},
    printable::{cells, fit, printable, width_of, wrap},
};

/// What a text is, which may be coloured. Only the sixteen colours every terminal has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    Plain,
    Strong,
    /// As it should be: blue-green, which is not mistaken for red by eyes that see neither green nor red.
    Good,
    /// Not what was ordered; always inverse.
    Bad,
    /// The bench's fault.
    Odd,
    /// Nobody can prove it.
    Held,
    /// A person must act.
    Act,
    /// Under way.
    Moving,
    /// A mark that must not be overlooked, in every mode.
    Inverse,
}

/// Draws on a buffer, whatever its size.
pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
    look: Look,
}

impl<'a> Pen<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look }
    }

    pub(super) fn look(&self) -> Look {
        self.look
    }

    /// The character for a look that has all, or for one that has ASCII only.
    pub(super) fn either(&self, unicode: char, ascii: char) -> char {
        match self.look.glyphs {
            Glyphs::Unicode => unicode,
            Glyphs::Ascii => ascii,
        }
    }

    /// A character of our own at one cell; nothing outside the screen.
    pub(super) fn mark(&mut self, x: u16, y: u16, mark: char, tone: Tone) {
        let style = self.style(tone);
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_char(mark).set_style(style);
        }
    }

    /// One line of text from anywhere, made printable, at the upper left of `area`; the cells it took.
    pub(super) fn text(&mut self, area: Rect, text: &str, tone: Tone) -> u16 {
        let text = fit(&printable(text, self.look.glyphs), usize::from(area.width), self.look.glyphs);
        self.put(area, &text, tone)
    }

    /// As [`Pen::text`], at the right end of `area`.
    pub(super) fn text_right(&mut self, area: Rect, text: &str, tone: Tone) -> u16 {
        let text = fit(&printable(text, self.look.glyphs), usize::from(area.width), self.look.glyphs);
        let width = narrow(width_of(&text));
        self.put(Rect { x: area.x + area.width.saturating_sub(width), ..area }, &text, tone)
    }

    /// As [`Pen::text`], in the middle of `area`.
    pub(super) fn text_centred(&mut self, area: Rect, text: &str, tone: Tone) {
        let text = fit(&printable(text, self.look.glyphs), usize::from(area.width), self.look.glyphs);
        let width = narrow(width_of(&text));
        self.put(Rect { x: area.x + area.width.saturating_sub(width) / 2, ..area }, &text, tone);
    }

    /// Text over as many rows as there are; what does not fit is cut off with a mark.
    pub(super) fn paragraph(&mut self, area: Rect, text: &str, tone: Tone) {
        for (row, line) in (0..area.height).zip(self.lines(text, area.width, area.height)) {
            self.put(Rect { y: area.y + row, ..area }, &line, tone);
        }
    }

    /// Text made printable, in at most so many lines.
    pub(super) fn lines(&self, text: &str, width: u16, most: u16) -> Vec<String> {
        let width = usize::from(width);
        let text = printable(text, self.look.glyphs);
        // What fits keeps its spaces.
        let mut lines = if width_of(&text) <= width { vec![text] } else { wrap(&text, width) };
        if lines.len() > usize::from(most) {
            lines.truncate(usize::from(most));
            if let Some(last) = lines.last_mut() {
                // Longer than the line by one, so that `fit` marks the cut.
                last.push_str(&" ".repeat((width + 1).saturating_sub(width_of(last))));
                *last = fit(last.as_str(), width, self.look.glyphs);
            }
        }
        lines
    }

    /// Cells that a text takes as it is drawn.
    pub(super) fn width(&self, text: &str) -> u16 {
        narrow(width_of(&printable(text, self.look.glyphs)))
    }

    /// Fills `area` with one character.
    pub(super) fn fill(&mut self, area: Rect, mark: char, tone: Tone) {
        for y in area.y..area.bottom() {
            for x in area.x..area.right() {
                self.mark(x, y, mark, tone);
            }
        }
    }

    fn put(&mut self, area: Rect, text: &str, tone: Tone) -> u16 {
        let style = self.style(tone);
        let mut x = area.x;
        for character in text.chars() {
            let wide = narrow(cells(character));
            let Some(cell) = self.buffer.cell_mut((x, area.y)) else { break };
            cell.set_char(character).set_style(style);
            for covered in x + 1..x + wide {
                if let Some(cell) = self.buffer.cell_mut((covered, area.y)) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
            x += wide;
        }
        x - area.x
    }

    fn style(&self, tone: Tone) -> Style {
        let (colour, modifier) = match tone {
            Tone::Plain => (Color::Reset, Modifier::empty()),
            Tone::Strong => (Color::Reset, Modifier::BOLD),
            Tone::Good => (Color::LightCyan, Modifier::empty()),
            Tone::Bad => (Color::LightRed, Modifier::REVERSED),
            Tone::Odd => (Color::LightYellow, Modifier::empty()),
            Tone::Held => (Color::LightMagenta, Modifier::empty()),
            Tone::Act => (Color::LightBlue, Modifier::BOLD),
            Tone::Moving => (Color::White, Modifier::empty()),
            Tone::Inverse => (Color::Reset, Modifier::REVERSED.union(Modifier::BOLD)),
        };
        let style = Style::reset().add_modifier(modifier);
        if self.look.colour { style.fg(colour) } else { style }
    }
}

/// A number of cells; no screen has more than fit into the type.
pub(super) fn narrow(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
