//! The scan field: what a label reader types, kept bounded and raw until its end, and shown only in printable form.

use crate::clock::Millis;

use super::{look::Glyphs, printable::printable};

/// The most that is handed on, in bytes. A label has at most 32 characters; the rest is there to be refused in words.
pub(super) const SCAN_MAX: usize = 4096;

/// The most that is shown, in characters.
const SHOWN_MAX: usize = 64;

/// Keys closer together than this come from a reader, not from a finger.
const BURST: Millis = Millis(50);

/// What was read since the last ending.
#[derive(Clone, Debug, Default)]
pub(super) struct Field {
    text: String,
    /// When the last byte of a scan came, its ending included.
    last: Option<Millis>,
}

impl Field {
    /// Takes one character; more than [`SCAN_MAX`] bytes are dropped, for such a scan is refused anyway.
    pub(super) fn push(&mut self, character: char, now: Millis) {
        if self.text.len() + character.len_utf8() <= SCAN_MAX {
            self.text.push(character);
        }
        self.last = Some(now);
    }

    /// Ends the scan. `None` where nothing was read: a prefix Enter, or the second byte of CR LF.
    pub(super) fn end(&mut self, now: Millis) -> Option<String> {
        self.last = Some(now);
        Some(std::mem::take(&mut self.text)).filter(|text| !text.is_empty())
    }

    pub(super) fn erase(&mut self) {
        self.text.pop();
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a key at `now` is part of what a reader types: nothing a label holds may act as a command.
    pub(super) fn in_burst(&self, now: Millis) -> bool {
        self.silence(now).is_some_and(|silence| silence < BURST)
    }

    /// How long nothing was typed.
    pub(super) fn silence(&self, now: Millis) -> Option<Millis> {
        self.last.map(|last| Millis(now.0.saturating_sub(last.0)))
    }

    /// As it stands on the screen.
    pub(super) fn shown(&self, glyphs: Glyphs) -> String {
        let count = self.text.chars().count();
        let head: String = self.text.chars().take(SHOWN_MAX).collect();
        let head = printable(&head, glyphs);
        if count > SHOWN_MAX { format!("{head} ({count})") } else { head }
    }
}
