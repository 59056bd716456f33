//! One table of keys: acted on by `update`, printed in the help line and on the help page.
//!
//! Letters are not in it. A label reader is a keyboard, so whatever a label may hold is text and never a command.

use std::fmt;

use super::model::Model;

/// A key as the screen knows it, whatever the terminal sent for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyName {
    /// Text; also a control character that a reader typed.
    Char(char),
    /// Carriage return.
    Enter,
    /// Line feed, which a terminal sends as Ctrl-J.
    Feed,
    /// Tab, which some readers end a scan with.
    Tab,
    /// Takes the last character back.
    Backspace,
    /// Empties the field.
    Escape,
    /// A function key, counted from 1.
    F(u8),
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// The site to the left.
    Left,
    /// The site to the right.
    Right,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// Ctrl-C.
    Interrupt,
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(character) => write!(f, "{character}"),
            Self::F(number) => write!(f, "F{number}"),
            Self::Enter => f.write_str("Enter"),
            Self::Feed => f.write_str("Ctrl-J"),
            Self::Tab => f.write_str("Tab"),
            Self::Backspace => f.write_str("Backspace"),
            Self::Escape => f.write_str("Esc"),
            Self::Up => f.write_str("Up"),
            Self::Down => f.write_str("Down"),
            Self::Left => f.write_str("Left"),
            Self::Right => f.write_str("Right"),
            Self::PageUp => f.write_str("PgUp"),
            Self::PageDown => f.write_str("PgDn"),
            Self::Interrupt => f.write_str("Ctrl-C"),
        }
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Does {
    Help,
    Details,
    Done,
    Cannot,
    Leave,
    LeaveNow,
    Clear,
    Erase,
    /// Moves the page by so many lines.
    Scroll(i16),
    /// Moves the details by so many sites.
    Aside(i16),
}

/// When a key is in the help line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shown {
    Always,
    WhileAsked,
    /// Only on the help page.
    Never,
}

/// A key, what it does, and the words for it.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) key: KeyName,
    pub(super) does: Does,
    /// For the help line.
    pub(super) word: &'static str,
    /// For the help page.
    pub(super) meaning: &'static str,
    shown: Shown,
}

impl Binding {
    /// Whether the help line prints it now.
    pub(super) fn is_shown(&self, model: &Model) -> bool {
        match self.shown {
            Shown::Always => true,
            Shown::WhileAsked => model.asked().is_some(),
            Shown::Never => false,
        }
    }
}

const fn bind(key: KeyName, does: Does, shown: Shown, word: &'static str, meaning: &'static str) -> Binding {
    Binding { key, does, word, meaning, shown }
}

/// Every key there is, in the order of the help line.
pub(super) const KEYS: &[Binding] = &[
    bind(KeyName::F(3), Does::Done, Shown::WhileAsked, "done", "it is done, when a hand was asked for"),
    bind(KeyName::F(4), Does::Cannot, Shown::WhileAsked, "cannot", "it cannot be done"),
    bind(KeyName::F(1), Does::Help, Shown::Always, "help", "this page, and back"),
    bind(KeyName::F(2), Does::Details, Shown::Always, "details", "steps, values and codes for the phone, and back"),
    bind(KeyName::F(10), Does::Leave, Shown::Always, "leave", "press twice: finish the boards in hand, then leave"),
    bind(KeyName::Up, Does::Scroll(-1), Shown::Never, "", "up one line on a page"),
    bind(KeyName::Down, Does::Scroll(1), Shown::Never, "", "down one line on a page"),
    bind(KeyName::PageUp, Does::Scroll(-8), Shown::Never, "", "up on a page"),
    bind(KeyName::PageDown, Does::Scroll(8), Shown::Never, "", "down on a page"),
    bind(KeyName::Left, Does::Aside(-1), Shown::Never, "", "details of the site to the left"),
    bind(KeyName::Right, Does::Aside(1), Shown::Never, "", "details of the site to the right"),
    bind(KeyName::Escape, Does::Clear, Shown::Never, "", "empty the scan field"),
    bind(KeyName::Backspace, Does::Erase, Shown::Never, "", "take the last character back"),
    bind(KeyName::Interrupt, Does::LeaveNow, Shown::Never, "", "finish the boards in hand, then leave"),
];

/// What this key does, if it does anything.
pub(super) fn does(key: KeyName) -> Option<Does> {
    KEYS.iter().find(|binding| binding.key == key).map(|binding| binding.does)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_of_the_table_is_one_that_a_label_may_hold() {
        assert!(
            KEYS.iter().all(|binding| !matches!(
                binding.key,
                KeyName::Char(_) | KeyName::Enter | KeyName::Feed | KeyName::Tab
            ))
        );
    }

    #[test]
    fn no_key_is_in_the_table_twice() {
        for (at, binding) in KEYS.iter().enumerate() {
            assert!(KEYS[at + 1..].iter().all(|other| other.key != binding.key), "{}", binding.key);
        }
    }
}
