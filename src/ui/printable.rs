//! The one door for text that came from outside: what cannot be seen, or would move what can, is shown as a dot.

use ratatui::text::Span;

use super::look::Glyphs;

/// What stands for a character nobody should see.
const DOT: char = '·';

/// Every character of `text` as one that takes one or two cells, and nothing else.
pub(super) fn printable(text: &str, glyphs: Glyphs) -> String {
    let shown = text.chars().map(|character| if is_safe(character) { character } else { DOT });
    match glyphs {
        Glyphs::Unicode => shown.collect(),
        Glyphs::Ascii => shown.map(ascii).collect(),
    }
}

/// At most `width` cells of `text`, which was made printable before; a cut is marked.
pub(super) fn fit(text: &str, width: usize, glyphs: Glyphs) -> String {
    if text.chars().map(cells).sum::<usize>() <= width {
        return text.to_owned();
    }
    let mark = match glyphs {
        Glyphs::Unicode => '…',
        Glyphs::Ascii => '~',
    };
    let mut room = width.saturating_sub(1);
    let mut kept: String = text.chars().take_while(|&character| take(&mut room, cells(character))).collect();
    if width > 0 {
        kept.push(mark);
    }
    kept
}

/// `text` in lines of at most `width` cells, broken at spaces where there are any.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        for piece in pieces(word, width.max(1)) {
            let gap = usize::from(!line.is_empty());
            if width_of(&line) + gap + width_of(&piece) > width.max(1) {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&piece);
        }
    }
    lines.push(line);
    lines.retain(|line| !line.is_empty());
    lines
}

/// Cells that `text` takes.
pub(super) fn width_of(text: &str) -> usize {
    text.chars().map(cells).sum()
}

/// Cells that one character takes.
pub(super) fn cells(character: char) -> usize {
    Span::raw(&*character.encode_utf8(&mut [0; 4])).width()
}

/// A word that is longer than a line, in parts of a line each.
fn pieces(word: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut room = width;
    for character in word.chars() {
        if !take(&mut room, cells(character)) {
            pieces.push(String::new());
            room = width.saturating_sub(cells(character));
        }
        if let Some(last) = pieces.last_mut() {
            last.push(character);
        }
    }
    pieces
}

fn take(room: &mut usize, needed: usize) -> bool {
    room.checked_sub(needed).map(|left| *room = left).is_some()
}

/// Bidirectional controls have a width on some terminals, and flags and skin tones join what stands before them.
fn is_safe(character: char) -> bool {
    let joins = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}');
    !character.is_control() && !joins && matches!(cells(character), 1 | 2)
}

fn ascii(character: char) -> char {
    match character {
        ' '..='~' => character,
        DOT | '○' => '.',
        '▲' => '^',
        '■' => '#',
        '●' => 'o',
        '◆' => '*',
        '▸' | '→' => '>',
        '–' | '—' | '─' => '-',
        '“' | '”' => '"',
        '’' => '\'',
        '✔' => '+',
        '✖' => 'X',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_or_moves_the_rest_is_shown_as_a_dot() {
        for hostile in
            ["a\u{1b}b", "a\u{9b}b", "a\u{202e}b", "a\u{200d}b", "a\u{301}b", "a\nb", "a\u{7f}b", "a\u{fe0f}b"]
        {
            assert_eq!(printable(hostile, Glyphs::Unicode), "a·b", "{hostile:?}");
        }
        assert_eq!(printable("▲7 ●K é", Glyphs::Ascii), "^7 oK ?");
    }

    #[test]
    fn a_wide_character_is_never_cut_in_half() {
        assert_eq!(fit("日本語", 6, Glyphs::Unicode), "日本語");
        assert_eq!(fit("日本語", 5, Glyphs::Unicode), "日本…");
        assert_eq!(fit("日本語", 4, Glyphs::Unicode), "日…");
        assert_eq!(fit("日本語", 1, Glyphs::Ascii), "~");
        assert_eq!(fit("日本語", 0, Glyphs::Ascii), "");
    }

    #[test]
    fn a_sentence_breaks_at_spaces_and_a_long_word_anywhere() {
        assert_eq!(wrap("take the board out", 10), ["take the", "board out"]);
        assert_eq!(wrap("sha256:0123456789", 8), ["sha256:0", "12345678", "9"]);
        assert_eq!(wrap("  ", 8), Vec::<String>::new());
        assert_eq!(wrap("日本", 1), ["日", "本"]);
    }
}
