//! From a terminal's bytes to keys. A label reader is a keyboard that types whatever a label holds: half an escape
//! sequence too, and nothing may then wait for the other half while the next labels disappear into it.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal as _, Read},
    str,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::Duration,
};

use super::{field::SCAN_MAX, keys::KeyName};

/// The longest sequence that a key may be, in bytes; those of function keys with modifiers have eight.
const SEQUENCE_MAX: usize = 16;

/// What a terminal brackets a paste with.
const PASTE: &[u8] = b"\x1b[200~";
const PASTED: &[u8] = b"\x1b[201~";

/// Readings that may wait for the screen, of four kilobytes each.
const WAITING: usize = 16;

/// Something that was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Stroke {
    /// A key.
    Key(KeyName),
    /// A paste, whole or as much of it as came. Untrusted and unbounded.
    Paste(String),
}

/// The terminal's own keyboard.
pub(super) struct Terminal {
    bytes: Receiver<Vec<u8>>,
    decoder: Decoder,
}

impl Terminal {
    /// Reads beside the screen; when there is nothing left to read from, that is a wish to leave.
    pub(super) fn open(leave: Arc<AtomicBool>) -> io::Result<Self> {
        let mut terminal: Box<dyn Read + Send> = if io::stdin().is_terminal() {
            Box::new(io::stdin())
        } else {
            Box::new(OpenOptions::new().read(true).open("/dev/tty")?)
        };
        let (tell, bytes) = sync_channel(WAITING);
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            loop {
                match terminal.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break leave.store(true, Ordering::Relaxed),
                    Ok(count) if tell.send(buffer.get(..count).unwrap_or_default().to_vec()).is_err() => break,
                    Ok(_) => {}
                }
            }
        });
        Ok(Self { bytes, decoder: Decoder::default() })
    }

    /// What was typed within this time. Bytes that make no key yet are waited for as long, and are text then.
    pub(super) fn next(&mut self, wait: Duration) -> Option<Stroke> {
        loop {
            if let Some(stroke) = self.decoder.next(false) {
                return Some(stroke);
            }
            match self.bytes.recv_timeout(wait) {
                Ok(bytes) => self.decoder.pending.extend(bytes),
                Err(RecvTimeoutError::Timeout) => return self.decoder.next(!wait.is_zero()),
                Err(RecvTimeoutError::Disconnected) => {
                    thread::park_timeout(wait);
                    return self.decoder.next(true);
                }
            }
        }
    }
}

/// Bytes that are no key yet.
#[derive(Default)]
struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// The next stroke; `settled` once nothing more came for a while.
    fn next(&mut self, settled: bool) -> Option<Stroke> {
        if self.pending.starts_with(PASTE) {
            return self.paste(settled);
        }
        let (used, key) = match first(&self.pending) {
            Found::Nothing => return None,
            Found::Key(used, key) => (used, key),
            Found::Part if !settled => return None,
            Found::Part => (1, alone(self.pending.first().copied().unwrap_or_default(), self.pending.len())),
        };
        self.pending.drain(..used.min(self.pending.len()));
        Some(Stroke::Key(key))
    }

    fn paste(&mut self, settled: bool) -> Option<Stroke> {
        let text = self.pending.get(PASTE.len()..).unwrap_or_default();
        let end = text.windows(PASTED.len()).position(|part| part == PASTED);
        let full = text.len() > SCAN_MAX + PASTED.len();
        let (length, ending) = match end {
            Some(end) => (end, PASTED.len()),
            None if settled || full => (text.len(), 0),
            None => return None,
        };
        let pasted = String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned();
        self.pending.drain(..PASTE.len() + length + ending);
        Some(Stroke::Paste(pasted))
    }
}

enum Found {
    /// There are no bytes.
    Nothing,
    /// So many bytes are this key.
    Key(usize, KeyName),
    /// More bytes could make a key of it.
    Part,
}

fn first(bytes: &[u8]) -> Found {
    match bytes {
        [] => Found::Nothing,
        [0x1b, b'[', rest @ ..] => sequence(rest),
        [0x1b, b'O', last, ..] => Found::Key(3, after_o(*last)),
        [0x1b] | [0x1b, b'O'] => Found::Part,
        [0x1b, 0x1b, ..] => Found::Key(1, KeyName::Escape),
        // Alt with a letter, for a person; part of a label, for a reader.
        [0x1b, ..] => Found::Key(1, KeyName::Char('\u{1b}')),
        [byte, ..] if byte.is_ascii() => Found::Key(1, plain(*byte)),
        [..] => wide(bytes),
    }
}

/// A byte that nothing follows which would make it more.
fn alone(byte: u8, pending: usize) -> KeyName {
    match byte {
        0x1b if pending == 1 => KeyName::Escape,
        0x1b => KeyName::Char('\u{1b}'),
        _ => KeyName::Char(char::REPLACEMENT_CHARACTER),
    }
}

fn plain(byte: u8) -> KeyName {
    match byte {
        b'\r' => KeyName::Enter,
        b'\n' => KeyName::Feed,
        b'\t' => KeyName::Tab,
        0x08 | 0x7f => KeyName::Backspace,
        0x03 => KeyName::Interrupt,
        other => KeyName::Char(char::from(other)),
    }
}

/// A character of several bytes; a byte that is part of none is shown as such.
fn wide(bytes: &[u8]) -> Found {
    let head = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let valid = match str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => return Found::Part,
        Err(error) => str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(character) => Found::Key(character.len_utf8(), KeyName::Char(character)),
        None => Found::Key(1, KeyName::Char(char::REPLACEMENT_CHARACTER)),
    }
}

/// What follows `ESC [`: parameters, and a last byte that says which key. What cannot be one is text. [ECMA-48 5.4]
fn sequence(rest: &[u8]) -> Found {
    if let [b'[', last, ..] = rest {
        // The Linux console's own F1 to F5.
        return Found::Key(4, function(u32::from(*last).wrapping_sub(u32::from(b'A')) + 1, 5));
    }
    let ends = rest.iter().position(|byte| !(0x20..0x40).contains(byte));
    match ends.map(|at| (at, rest.get(at).copied().unwrap_or_default())) {
        Some((at, last @ 0x40..=0x7e)) if at < SEQUENCE_MAX && last != b'[' => {
            Found::Key(at + 3, named(rest.get(..at).unwrap_or_default(), last))
        }
        None if rest.len() < SEQUENCE_MAX => Found::Part,
        Some((0, b'[')) if rest.len() == 1 => Found::Part,
        Some(_) | None => Found::Key(1, KeyName::Char('\u{1b}')),
    }
}

fn named(parameters: &[u8], last: u8) -> KeyName {
    let number = parameters.split(|byte| *byte == b';').next().and_then(|digits| str::from_utf8(digits).ok());
    let number: u32 = number.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    match (last, number) {
        (b'~', 5) => KeyName::PageUp,
        (b'~', 6) => KeyName::PageDown,
        (b'~', 11..=15) => function(number - 10, 5),
        (b'~', 17..=21) => function(number - 11, 10),
        (b'~', 23 | 24) => function(number - 12, 12),
        (b'~', _) => NAMELESS,
        (letter, _) => after_o(letter),
    }
}

fn after_o(letter: u8) -> KeyName {
    match letter {
        b'A' => KeyName::Up,
        b'B' => KeyName::Down,
        b'C' => KeyName::Right,
        b'D' => KeyName::Left,
        b'P'..=b'S' => KeyName::F(letter - b'P' + 1),
        _ => NAMELESS,
    }
}

/// A key that does nothing here, but spoils a scan that it stands in.
const NAMELESS: KeyName = KeyName::F(0);

fn function(number: u32, most: u32) -> KeyName {
    let known = (1..=most).contains(&number);
    u8::try_from(number).ok().filter(|_| known).map_or(NAMELESS, KeyName::F)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that these bytes are, once nothing follows them.
    fn strokes(bytes: &[u8]) -> Vec<Stroke> {
        let mut decoder = Decoder { pending: bytes.to_vec() };
        std::iter::from_fn(|| decoder.next(false).or_else(|| decoder.next(true))).collect()
    }

    fn keys(bytes: &[u8]) -> Vec<KeyName> {
        let key = |stroke| match stroke {
            Stroke::Key(key) => key,
            Stroke::Paste(text) => panic!("pasted {text}"),
        };
        strokes(bytes).into_iter().map(key).collect()
    }

    #[test]
    fn the_keys_that_terminals_send_are_known_by_name() {
        for (bytes, key) in [
            (b"\x1bOP".as_slice(), KeyName::F(1)),
            (b"\x1b[11~", KeyName::F(1)),
            (b"\x1b[[A", KeyName::F(1)),
            (b"\x1bOQ", KeyName::F(2)),
            (b"\x1bOR", KeyName::F(3)),
            (b"\x1bOS", KeyName::F(4)),
            (b"\x1b[15~", KeyName::F(5)),
            (b"\x1b[[E", KeyName::F(5)),
            (b"\x1b[17~", KeyName::F(6)),
            (b"\x1b[21~", KeyName::F(10)),
            (b"\x1b[24~", KeyName::F(12)),
            (b"\x1b[A", KeyName::Up),
            (b"\x1bOB", KeyName::Down),
            (b"\x1b[1;5C", KeyName::Right),
            (b"\x1b[D", KeyName::Left),
            (b"\x1b[5~", KeyName::PageUp),
            (b"\x1b[6~", KeyName::PageDown),
            (b"\x1b[H", NAMELESS),
            (b"\x1b[3~", NAMELESS),
            (b"\x1b", KeyName::Escape),
            (b"\r", KeyName::Enter),
            (b"\n", KeyName::Feed),
            (b"\t", KeyName::Tab),
            (b"\x7f", KeyName::Backspace),
            (b"\x08", KeyName::Backspace),
            (b"\x03", KeyName::Interrupt),
            (b"\x1d", KeyName::Char('\u{1d}')),
            ("é".as_bytes(), KeyName::Char('é')),
        ] {
            assert_eq!(keys(bytes), [key], "{bytes:?}");
        }
    }

    #[test]
    fn half_a_sequence_becomes_text_and_never_takes_the_next_label_with_it() {
        for half in
            ["\x1b[?1049", "\x1b[<0;1;1", "\x1b[1;", "\x1b[[", "\x1bO", "\x1b[999999999999999999999", "\x1b]0;x"]
        {
            let mut decoder = Decoder { pending: half.into() };
            while decoder.next(false).is_some() {}
            while decoder.next(true).is_some() {}
            decoder.pending.extend(b"A1\r");
            let next: Vec<_> = std::iter::from_fn(|| decoder.next(false)).collect();
            let label = ['A', '1'].map(KeyName::Char).into_iter().chain([KeyName::Enter]);
            assert_eq!(next, label.map(Stroke::Key).collect::<Vec<_>>(), "{half:?}");
        }
        assert_eq!(keys(b"\x1b[?1\r").last(), Some(&KeyName::Enter));
    }

    #[test]
    fn a_key_in_two_readings_is_one_key() {
        let mut decoder = Decoder { pending: b"\x1b[1".to_vec() };
        assert_eq!(decoder.next(false), None);
        decoder.pending.extend(b"5~");
        assert_eq!(decoder.next(false), Some(Stroke::Key(KeyName::F(5))));
    }

    #[test]
    fn a_paste_is_one_stroke_and_one_without_its_end_ends_with_the_silence() {
        assert_eq!(strokes(b"\x1b[200~A1\x1b[201~\r"), [Stroke::Paste("A1".to_owned()), Stroke::Key(KeyName::Enter)]);
        assert_eq!(strokes(b"\x1b[200~A1\r"), [Stroke::Paste("A1\r".to_owned())]);
        let endless = [PASTE, &[b'A'; 2 * SCAN_MAX]].concat();
        assert!(matches!(Decoder { pending: endless }.next(false), Some(Stroke::Paste(_))));
    }

    #[test]
    fn bytes_that_are_no_text_are_keys_that_no_label_has() {
        assert_eq!(keys(b"\xff\xfeA"), ['\u{fffd}', '\u{fffd}', 'A'].map(KeyName::Char));
        assert_eq!(keys(b"\xe2\x80"), ['\u{fffd}', '\u{fffd}'].map(KeyName::Char));
        assert_eq!(keys("\u{202e}x".as_bytes()), ['\u{202e}', 'x'].map(KeyName::Char));
        assert_eq!(keys(b"\x1bx"), ['\u{1b}', 'x'].map(KeyName::Char));
    }
}
