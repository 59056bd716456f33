//! What bytes may be read as beside what they are: what somebody wrote out in digits or base64, dumped, or pasted.
//!
//! Every way in which a key travels as text is undone here, and the same questions are asked of whatever comes out. A
//! reading is a guess: what it holds counts only if it is recognised. Text inside a reading is read once more.

use std::sync::LazyLock;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::given::{self, Run};

/// What is larger is taken as it is only: no tool writes such a text. In bytes.
pub const TEXT_LIMIT: usize = 4 << 20;

/// All readings together take at most so many times the room of the bytes, and this more.
const TIMES: usize = 12;
const MORE: usize = 4096;

/// How many readings there are at most: more than the digits of a key file of a megabyte make.
const COUNT: usize = 50_000;

/// The least number of bytes that is looked at; half an Ed25519 key in a slot has so many.
const LEAST: usize = 16;

/// Everything that these bytes may be read as, beside what they are.
pub(super) fn of(bytes: &[u8]) -> Vec<Vec<u8>> {
    if bytes.len() > TEXT_LIMIT {
        return Vec::new();
    }
    let mut readings = Readings { all: Vec::new(), room: TIMES * bytes.len() + MORE };
    let narrow = narrowed(bytes);
    narrow.iter().for_each(|run| readings.take(run.clone()));
    let plain = readings.all.len();
    readings.written_in(bytes);
    narrow.iter().for_each(|run| readings.written_in(run));
    for index in plain..readings.all.len() {
        let Some(inner) = readings.all.get(index).filter(|inner| is_text(inner)).cloned() else { continue };
        readings.written_in(&inner);
    }
    readings.all
}

struct Readings {
    all: Vec<Vec<u8>>,
    room: usize,
}

impl Readings {
    fn take(&mut self, reading: Vec<u8>) {
        if reading.len() < LEAST || self.all.len() >= COUNT {
            return;
        }
        if let Some(left) = self.room.checked_sub(reading.len()) {
            self.room = left;
            self.all.push(reading);
        }
    }

    fn written_in(&mut self, bytes: &[u8]) {
        self.read(bytes);
        if let Some(plain) = unescaped(bytes) {
            self.read(&plain);
            self.take(plain);
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        // One byte stays one: no text grows here, whatever its encoding.
        let text: String = bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{1}' }).collect();
        self.take_runs(given::runs(&text.replace("\\x", " 0x")));
        self.take_runs(decimals(&text));
        self.take_runs(dumps(&text));
        self.take(records(&text));
        base64(&text, Alphabet::Standard).into_iter().for_each(|reading| self.take(reading));
        if text.contains(['-', '_']) {
            base64(&text, Alphabet::Url).into_iter().for_each(|reading| self.take(reading));
        }
    }

    /// Each run, each with the bytes of its words turned round, and all of them as one: a key may be cut by an address.
    fn take_runs(&mut self, runs: Vec<Run>) {
        let joined =
            if runs.len() > 1 { runs.iter().flat_map(|run| &run.bytes).copied().collect() } else { Vec::new() };
        for run in runs {
            if let 2 | 4 | 8 = run.width {
                self.take(run.bytes.chunks(run.width).flat_map(|word| word.iter().rev()).copied().collect());
            }
            self.take(run.bytes);
        }
        self.take(joined);
    }
}

/// Text with the escapes of JSON undone that stand for one byte: a writer may escape any character, and some do so with
/// `+` and `/`. `None` if there are none.
fn unescaped(bytes: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(bytes, b"\\u00")?;
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        match rest.strip_prefix(b"\\u00").and_then(<[u8]>::split_first_chunk::<2>) {
            Some((digits, behind)) if digits.iter().all(u8::is_ascii_hexdigit) => {
                plain.extend(given::word(std::str::from_utf8(digits).ok()?)?);
                rest = behind;
            }
            _ => {
                plain.push(*first);
                rest = behind;
            }
        }
    }
    Some(plain)
}

/// Text as far as it matters: what a C array or base64 holds may end with zeros.
fn is_text(bytes: &[u8]) -> bool {
    let readable = bytes.iter().filter(|byte| is_readable(**byte)).count();
    readable * 20 >= bytes.len() * 19
}

fn is_readable(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

/// The least number of characters of UTF-16 in a row that is looked at.
const NARROW: usize = 16;

/// Each run of ASCII in UTF-16, as 8-bit text. Either order of bytes shows the same zeros between the characters.
pub(super) fn narrowed(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let pairs = rest.chunks(2);
        let wide = |pair: &&[u8]| matches!(pair, [byte] | [byte, 0] if is_readable(*byte));
        let run: Vec<u8> = pairs.take_while(wide).filter_map(|pair| pair.first().copied()).collect();
        at += (2 * run.len()).max(1);
        if run.len() >= NARROW {
            runs.push(run);
        }
    }
    runs
}

/// Bytes written as decimal numbers, signed or not, with commas or blanks between them. Fewer than sixteen are none.
fn decimals(text: &str) -> Vec<Run> {
    let between = |c: char| c.is_ascii_whitespace() || c == ',';
    let mut runs = Vec::new();
    for piece in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && !between(c)) {
        let mut run = Vec::new();
        for word in piece.split(between).filter(|word| !word.is_empty()) {
            let signed = word.parse::<i8>().map(|value| value.to_le_bytes()[0]);
            match word.parse::<u8>().or(signed) {
                Ok(byte) => run.push(byte),
                Err(_) => runs.push(Run { bytes: std::mem::take(&mut run), width: 1 }),
            }
        }
        runs.push(Run { bytes: run, width: 1 });
    }
    runs.retain(|run| run.bytes.len() >= LEAST);
    runs
}

/// Bytes in columns behind an address, as `xxd`, `hexdump`, `od`, `openssl`, debuggers and `nrfjprog` print them.
fn dumps(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut run = Run { bytes: Vec::new(), width: 0 };
    for line in text.lines().map(Some).chain([None]) {
        match line.and_then(dump_line) {
            Some(part) => {
                run.width = if run.bytes.is_empty() || run.width == part.width { part.width } else { 0 };
                run.bytes.extend(part.bytes);
            }
            None => runs.push(std::mem::replace(&mut run, Run { bytes: Vec::new(), width: 0 })),
        }
    }
    runs.retain(|run| run.bytes.len() >= LEAST);
    runs
}

/// No tool prints more in one line without an end to its columns.
const COLUMNS: usize = 16;

fn dump_line(line: &str) -> Option<Run> {
    let (address, rest) = line.trim_start().split_once(|c: char| c.is_ascii_whitespace())?;
    let marked = address.ends_with(':');
    let digits = address.trim_end_matches(':');
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    if !(4..=16).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let columns = rest.split('|').next().unwrap_or_default().trim_start();
    let columns = if marked { columns.split("  ").next().unwrap_or_default() } else { columns };
    let columns = columns.replace('-', " ");
    let mut run = Run { bytes: Vec::new(), width: 0 };
    for word in columns.split_ascii_whitespace() {
        let Some(bytes) = given::word(word).filter(|_| marked || run.bytes.len() < COLUMNS) else { break };
        run.width = if run.bytes.is_empty() || run.width == bytes.len() { bytes.len() } else { 0 };
        run.bytes.extend(bytes);
    }
    (!run.bytes.is_empty()).then_some(run)
}

/// What the data records of Intel HEX hold, one behind the other, wrong sums and missing lines or not.
fn records(text: &str) -> Vec<u8> {
    const DATA: u8 = 0;
    let record = |line: &str| {
        let line = line.trim().strip_prefix(':')?;
        let length = line.bytes().take_while(u8::is_ascii_hexdigit).count() & !1;
        let bytes = given::word(line.get(..length)?)?;
        let [count, _, _, DATA, data @ ..] = &bytes[..] else { return None };
        Some(data.get(..usize::from(*count)).unwrap_or(data).to_vec())
    };
    text.lines().filter_map(record).flatten().collect()
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Alphabet {
    Standard,
    Url,
}

impl Alphabet {
    fn has(self, c: char) -> bool {
        c.is_ascii_alphanumeric()
            || match self {
                Self::Standard => matches!(c, '+' | '/'),
                Self::Url => matches!(c, '-' | '_'),
            }
    }
}

/// A line of a text in base64 has at least so many characters, but for its last.
const LINE: usize = 20;

/// Everything that may be base64: each word of it, and words that only blanks, quotes, marks of a quotation or escapes
/// stand between as one.
fn base64(text: &str, alphabet: Alphabet) -> Vec<Vec<u8>> {
    // Four dashes are the armour of PEM; two may well stand in a key.
    let text = text.replace("\\n", "\n").replace("\\r", "\n").replace("\\/", "/").replace("----", "=");
    let between = |c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | ',' | '\\' | '>' | '#' | '*' | '|');
    let mut found = Vec::new();
    for piece in text.split(|c: char| !alphabet.has(c) && !between(c)) {
        let mut lines: Vec<&str> = Vec::new();
        let words = piece.split(between).filter(|word| !word.is_empty());
        for word in words.map(Some).chain([None]) {
            let long = word.is_some_and(|word| word.len() >= LINE);
            lines.extend(word.filter(|_| long || !lines.is_empty()));
            if !long {
                found.extend(decoded(&std::mem::take(&mut lines), alphabet));
            }
        }
    }
    found
}

/// Lines as one, and each alone if there are several. Digits of another kind are none of base64.
fn decoded(lines: &[&str], alphabet: Alphabet) -> Vec<Vec<u8>> {
    let whole = lines.concat();
    let otherwise = whole.bytes().all(|byte| byte.is_ascii_hexdigit());
    let standard = alphabet == Alphabet::Url && !whole.contains(['-', '_']);
    if otherwise || standard {
        return Vec::new();
    }
    let several = if lines.len() > 1 { lines } else { &[] };
    [&*whole].iter().chain(several).filter_map(|digits| unarmoured(digits, alphabet)).collect()
}

fn unarmoured(digits: &str, alphabet: Alphabet) -> Option<Vec<u8>> {
    static ENGINES: LazyLock<[GeneralPurpose; 2]> = LazyLock::new(|| {
        let lenient = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent);
        [&alphabet::STANDARD, &alphabet::URL_SAFE].map(|alphabet| GeneralPurpose::new(alphabet, lenient))
    });
    let [standard, url] = &*ENGINES;
    let engine = if alphabet == Alphabet::Standard { standard } else { url };
    // One digit alone is no byte.
    let whole = digits.len() - usize::from(digits.len() % 4 == 1);
    engine.decode(digits.get(..whole)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::hex;

    /// A hundred bytes that resemble nothing.
    fn secret() -> Vec<u8> {
        (0..100_u32).map(|index| (index.wrapping_mul(0x9E37_79B9) >> 13).to_le_bytes()[0]).collect()
    }

    fn is_read(text: impl AsRef<[u8]>) {
        let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
        let secret = secret();
        let holds = |reading: &Vec<u8>| reading.windows(secret.len()).any(|window| window == secret);
        assert!(of(text.as_ref()).iter().any(holds), "{shown}");
    }

    fn rows(width: usize, line: impl Fn(usize, &[u8]) -> String) -> String {
        secret().chunks(width).enumerate().map(|(row, bytes)| line(row * width, bytes) + "\n").collect()
    }

    fn pairs(bytes: &[u8], separator: &str) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
    }

    fn letters(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect()
    }

    #[test]
    fn bytes_are_read_from_every_way_to_write_them_in_digits() {
        let secret = secret();
        let list = |form: fn(&u8) -> String| secret.iter().map(form).collect::<Vec<_>>().join(", ");
        let words = |width: usize| {
            let word = |bytes: &[u8]| format!("0x{}", hex(&bytes.iter().rev().copied().collect::<Vec<u8>>()));
            secret.chunks(width).map(word).collect::<Vec<_>>().join(", ")
        };
        is_read(hex(&secret));
        is_read(hex(&secret).to_uppercase());
        is_read(format!("key = \"{}\"", pairs(&secret, ":")));
        is_read(format!("const uint8_t k[] = {{ {} }};", list(|byte| format!("0x{byte:02X}"))));
        is_read(format!("const uint8_t k[] = {{ {} }};", list(|byte| format!("0x{byte:x}U"))));
        is_read(format!("const uint8_t k[] = {{ {} }};", list(u8::to_string)));
        is_read(format!("byte[] k = {{ {} }};", list(|byte| i8::from_le_bytes([*byte]).to_string())));
        is_read(format!("static uint32_t k[] = {{ {} }};", words(4)));
        let escapes = secret.iter().map(|byte| format!("\\x{byte:02x}")).collect::<Vec<_>>().concat();
        is_read(format!("char k[] = \"{escapes}\";"));
    }

    #[test]
    fn bytes_are_read_from_the_columns_of_every_tool_that_dumps_them() {
        is_read(rows(16, |at, row| {
            let words: Vec<String> = row.chunks(2).map(|word| pairs(word, "")).collect();
            format!("{at:08x}: {:<39}  {}", words.join(" "), letters(row))
        }));
        is_read(rows(16, |at, row| {
            let halves: Vec<String> = row.chunks(8).map(|half| pairs(half, " ")).collect();
            format!("{at:08x}  {:<48}  |{}|", halves.join("  "), letters(row))
        }));
        is_read(rows(16, |at, row| format!("{at:07o} {}", pairs(row, " "))));
        is_read(rows(16, |_, row| format!(" {}", pairs(row, " "))));
        is_read(rows(16, |at, row| {
            let halves: Vec<String> = row.chunks(8).map(|half| pairs(half, " ")).collect();
            format!("{at:04x} - {}   {}", halves.join("-"), letters(row))
        }));
        let words = |row: &[u8], width: usize| {
            let turned = |word: &[u8]| hex(&word.iter().rev().copied().collect::<Vec<u8>>());
            row.chunks(width).map(turned).collect::<Vec<_>>().join(" ")
        };
        is_read(rows(16, |at, row| format!("{at:07x} {}", words(row, 2))));
        is_read(rows(16, |at, row| format!("0x{at:08X}: {}   |{}|", words(row, 4), letters(row))));
        is_read(rows(16, |at, row| format!(":{:02X}{at:04X}00{}FF", row.len(), hex(row).to_uppercase())));
    }

    #[test]
    fn bytes_are_read_from_base64_however_it_was_pasted() {
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let (secret, once) = (secret(), STANDARD.encode(secret()));
        let lines = |separator: &str| {
            once.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join(separator)
        };
        for text in [
            once.clone(),
            URL_SAFE_NO_PAD.encode(&secret),
            format!("KEY={once}\n"),
            format!("{{\"name\": \"a\", \"key\": \"{once}\"}}"),
            format!("{{\"key\": \"{}\"}}", lines("\\n")),
            format!("{{\"key\": \"{}\"}}", once.replace('/', "\\/")),
            format!("-----BEGIN X-----\n{}\n-----END X-----\n", lines("\r\n")),
            format!("----BEGIN X----\n{}\n----END X----\n", lines("\n    ")),
            format!("char k[] = \"{}\";", lines("\\n\"\n\"")),
            lines("\n> "),
            lines(" "),
            STANDARD.encode(format!("-----BEGIN X-----\n{}\n-----END X-----\n", lines("\n"))),
            STANDARD.encode(&once),
            hex(once.as_bytes()),
            once.replace('+', "\\u002B").replace('/', "\\u002f"),
            once.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<Vec<_>>().concat(),
            STANDARD.encode(format!("{{\"name\": \"{}\"}}", lines("\\u000a").replace('A', "\\u0041"))),
        ] {
            is_read(&text);
            is_read(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
            is_read(text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>());
            is_read([&b"\xE9\xFF\0"[..], text.as_bytes(), b"\0\xFF"].concat());
        }
    }

    #[test]
    fn readings_take_no_more_room_than_is_said() {
        for piece in ["30 ", "MIGH", "0x30,", "00000000: 3030", "=AAAAAAAAAAAAAAAAAAAAAAAAA", "3\0", ":0100000030CF\n"]
        {
            let text = piece.repeat(20_000);
            let all = of(text.as_bytes());
            let size: usize = all.iter().map(Vec::len).sum();
            assert!(size <= TIMES * text.len() + MORE && all.len() <= COUNT, "{piece}: {size}");
        }
        assert!(of(&vec![b'A'; TEXT_LIMIT + 1]).is_empty());
    }
}
