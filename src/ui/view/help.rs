//! Behind F1: what every word means and where the board goes, and every key.

use ratatui::layout::Rect;

use crate::ui::{
    keys::KEYS,
    model::Model,
    words::{self, VERDICTS},
};

use super::pen::{Pen, Tone, narrow};

/// Draws the page.
pub(super) fn draw(model: &Model, pen: &mut Pen<'_>, area: Rect, scroll: u16) {
    let heading = |text: &str| (text.to_owned(), Tone::Strong);
    let mut lines = vec![heading("what the word says                                      where the board goes")];
    for verdict in VERDICTS {
        let (word, meaning, place) = (words::headline(verdict), words::meaning(verdict), words::place(verdict));
        lines.push((format!("{word:<13}{meaning:<43}{place}"), Tone::Plain));
    }
    lines.push((
        format!("{:<13}{:<43}{}", "LINE HOLDS", "a person must act; NEXT says who", "nothing is taken"),
        Tone::Plain,
    ));
    lines.push((String::new(), Tone::Plain));
    lines.push(heading("keys; letters are never commands, for scanners type them"));
    let own = KEYS.iter().map(|binding| (binding.key.to_string(), binding.meaning.to_owned()));
    let hands = model.hands.iter().map(|(key, word)| (key.to_string(), word.clone()));
    lines.extend(own.chain(hands).map(|(key, meaning)| (format!("{key:<13}{meaning}"), Tone::Plain)));
    page(" HELP ", &lines, pen, area, scroll);
}

/// A page of lines under a title, from line `scroll`; says where it is if it is longer than the screen.
pub(super) fn page(title: &str, lines: &[(String, Tone)], pen: &mut Pen<'_>, area: Rect, scroll: u16) {
    let room = area.height.saturating_sub(1);
    let last = narrow(lines.len()).saturating_sub(room);
    let from = scroll.min(last);
    let head = Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: 1, ..area };
    pen.text(head, title, Tone::Inverse);
    if last > 0 {
        pen.text_right(
            head,
            &format!("{} of {}, more with Up and Down", from + room.min(narrow(lines.len())), lines.len()),
            Tone::Plain,
        );
    }
    for (y, (line, tone)) in (area.y + 1..area.bottom()).zip(lines.iter().skip(usize::from(from))) {
        pen.text(Rect { y, ..head }, line, *tone);
    }
}
