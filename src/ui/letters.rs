//! Block letters, five dots by five: a terminal has one size of type, and a verdict is read from three metres.

/// Dots of a letter, across and down.
pub(super) const DOTS: u16 = 5;

/// Dots from one letter to the next.
const PITCH: u16 = 6;

/// Dots that a space takes.
const SPACE: u16 = 3;

/// How many cells one dot takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Scale {
    /// Columns.
    pub across: u16,
    /// Rows. A cell is about twice as high as it is wide, so this is never more than `across`.
    pub down: u16,
}

/// Dots that a word takes across.
pub(super) fn dots(word: &str) -> u16 {
    let sum: u16 = word.chars().map(advance).sum();
    sum.saturating_sub(PITCH - DOTS)
}

/// The dots of a word that are set, from its upper left.
pub(super) fn set(word: &str) -> impl Iterator<Item = (u16, u16)> {
    let starts = word.chars().scan(0, |at, letter| {
        let start = *at;
        *at += advance(letter);
        Some((start, letter))
    });
    starts.flat_map(|(start, letter)| inside(letter).map(move |(x, y)| (start + x, y)))
}

/// A line of block letters and its size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Block {
    /// A word, or several.
    pub word: &'static str,
    /// Cells to a dot.
    pub scale: Scale,
}

/// The word as large as so many cells allow: in one line or, where that makes it larger, in a line for each of its
/// words. Empty if not even the smallest letters fit.
pub(super) fn largest(word: &'static str, columns: u16, rows: u16) -> Vec<Block> {
    let whole = blocks(&[word], columns, rows);
    let words: Vec<&'static str> = word.split(' ').collect();
    let parts = blocks(&words, columns, rows);
    if size(&parts) > size(&whole) { parts } else { whole }
}

/// Rows that these blocks take, with a row between them.
pub(super) fn height(blocks: &[Block]) -> u16 {
    let between = u16::try_from(blocks.len()).unwrap_or(u16::MAX).saturating_sub(1);
    blocks.iter().map(|block| DOTS * block.scale.down).sum::<u16>() + between
}

/// Lines of the same height, each as wide as its place allows.
fn blocks(words: &[&'static str], columns: u16, rows: u16) -> Vec<Block> {
    let lines = u16::try_from(words.len()).unwrap_or(u16::MAX).max(1);
    let narrowest = words.iter().map(|word| across(word, columns)).min().unwrap_or(0);
    let down = (rows.saturating_sub(lines - 1) / (DOTS * lines)).min(narrowest);
    if down == 0 {
        return Vec::new();
    }
    // Wider than three times its height, a letter is a bar.
    let scale = |word| Scale { across: across(word, columns).min(down * 3), down };
    words.iter().map(|word| Block { word, scale: scale(word) }).collect()
}

fn across(word: &str, columns: u16) -> u16 {
    columns.checked_div(dots(word)).unwrap_or(0)
}

/// What the smallest letter of these takes, and then the largest.
fn size(blocks: &[Block]) -> (u16, u16) {
    let cells = |block: &Block| block.scale.across * block.scale.down;
    (blocks.iter().map(cells).min().unwrap_or(0), blocks.iter().map(cells).max().unwrap_or(0))
}

fn advance(letter: char) -> u16 {
    if letter == ' ' { SPACE } else { PITCH }
}

fn inside(letter: char) -> impl Iterator<Item = (u16, u16)> {
    let rows = (0u16..).zip(shape(letter));
    rows.flat_map(|(y, row)| (0..DOTS).filter(move |x| row >> (DOTS - 1 - x) & 1 == 1).map(move |x| (x, y)))
}

/// One letter, a row to a number, its leftmost dot in the highest of five bits.
const fn shape(letter: char) -> [u8; 5] {
    match letter {
        'A' => [0b01110, 0b10001, 0b11111, 0b10001, 0b10001],
        'B' => [0b11110, 0b10001, 0b11110, 0b10001, 0b11110],
        'C' => [0b01111, 0b10000, 0b10000, 0b10000, 0b01111],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b11110],
        'E' => [0b11111, 0b10000, 0b11100, 0b10000, 0b11111],
        'F' => [0b11111, 0b10000, 0b11100, 0b10000, 0b10000],
        'G' => [0b01111, 0b10000, 0b10011, 0b10001, 0b01111],
        'H' => [0b10001, 0b10001, 0b11111, 0b10001, 0b10001],
        'I' => [0b11111, 0b00100, 0b00100, 0b00100, 0b11111],
        'J' => [0b00001, 0b00001, 0b00001, 0b10001, 0b01110],
        'K' => [0b10001, 0b10010, 0b11100, 0b10010, 0b10001],
        'L' => [0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
        'M' => [0b10001, 0b11011, 0b10101, 0b10001, 0b10001],
        'N' => [0b10001, 0b11001, 0b10101, 0b10011, 0b10001],
        'O' => [0b01110, 0b10001, 0b10001, 0b10001, 0b01110],
        'P' => [0b11110, 0b10001, 0b11110, 0b10000, 0b10000],
        'Q' => [0b01110, 0b10001, 0b10101, 0b10010, 0b01101],
        'R' => [0b11110, 0b10001, 0b11110, 0b10010, 0b10001],
        'S' => [0b01111, 0b10000, 0b01110, 0b00001, 0b11110],
        'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100],
        'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'V' => [0b10001, 0b10001, 0b10001, 0b01010, 0b00100],
        'W' => [0b10001, 0b10001, 0b10101, 0b11011, 0b10001],
        'X' => [0b10001, 0b01010, 0b00100, 0b01010, 0b10001],
        'Y' => [0b10001, 0b01010, 0b00100, 0b00100, 0b00100],
        'Z' => [0b11111, 0b00010, 0b00100, 0b01000, 0b11111],
        '?' => [0b01110, 0b10001, 0b00110, 0b00000, 0b00100],
        _ => [0; 5],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_the_alphabet_differs_from_every_other() {
        let letters: Vec<char> = ('A'..='Z').chain(['?']).collect();
        for (at, letter) in letters.iter().enumerate() {
            assert_ne!(shape(*letter), [0; 5], "{letter}");
            assert!(letters[at + 1..].iter().all(|other| shape(*other) != shape(*letter)), "{letter}");
        }
    }

    #[test]
    fn a_word_is_as_large_as_its_place_allows() {
        assert_eq!(dots("PASS"), 23);
        let scales = |word, columns, rows| -> Vec<(u16, u16)> {
            largest(word, columns, rows).iter().map(|block| (block.scale.across, block.scale.down)).collect()
        };
        assert_eq!(scales("PASS", 74, 13), [(3, 2)]);
        assert_eq!(scales("PASS", 74, 5), [(3, 1)]);
        assert_eq!(scales("DONE ALREADY", 74, 5), [(1, 1)]);
        assert_eq!(scales("DONE ALREADY", 74, 11), [(3, 1), (1, 1)]);
        assert_eq!(scales("DONE ALREADY", 130, 30), [(5, 2), (3, 2)]);
        assert_eq!(scales("PASS", 22, 13), []);
        assert_eq!(scales("PASS", 74, 4), []);
        assert_eq!(scales("", 74, 4), []);
    }
}
