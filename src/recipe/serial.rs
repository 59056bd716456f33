//! How a serial number of a product looks: a small pattern, and a check character that catches a mistyped label.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::ident::{SERIAL_MAX, Serial};

/// How the last character of a label is computed from the others; hyphens are ignored.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Check {
    /// ISO/IEC 7064, hybrid system MOD 37,36 over 0-9 and A-Z.
    #[serde(rename = "iso7064-mod37-36")]
    Iso7064Mod37Mod36,
}

/// The serial numbers of one product. Every one of them is equally long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SerialRule {
    pattern: String,
    /// The characters allowed at each position, in order of counting.
    positions: Vec<Vec<char>>,
    check: Option<Check>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadPattern {
    /// In characters, counted from 1.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "character {}: {}", self.at, self.what)
    }
}

/// Why a label is no serial number of this product.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WrongSerial {
    /// Too long or too short.
    Length {
        /// Characters on the label.
        found: usize,
        /// Characters a serial number of this product has.
        expected: usize,
    },
    /// A character that the pattern does not have there.
    Character {
        /// Counted from 1.
        at: usize,
        /// What stands there.
        found: char,
    },
    /// The check character does not fit: the label was mistyped or is damaged.
    Check,
}

impl fmt::Display for WrongSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found, expected } => write!(f, "{found} characters, {expected} are expected"),
            Self::Character { at, found } => write!(f, "`{found}` cannot be character {at}"),
            Self::Check => f.write_str("the check character does not fit: mistyped, or the label is damaged"),
        }
    }
}

impl std::error::Error for WrongSerial {}

impl SerialRule {
    /// From a pattern of letters, digits, hyphens, classes as `[0-9A-F]` and counts as `{7}`.
    ///
    /// # Errors
    /// Where the pattern cannot be understood.
    pub fn new(pattern: &str, check: Option<Check>) -> Result<Self, BadPattern> {
        let mut characters = pattern.chars().enumerate().peekable();
        let mut positions: Vec<Vec<char>> = Vec::new();
        while let Some((at, character)) = characters.next() {
            let bad = |what| BadPattern { at: at + 1, what };
            match character {
                '[' => positions.push(class(&mut characters).map_err(bad)?),
                '{' => repeat(&mut characters, &mut positions).map_err(bad)?,
                literal if allowed(literal) => positions.push(vec![literal]),
                _ => return Err(bad("only A-Z, 0-9, -, [classes] and {counts} are known")),
            }
            if positions.len() > SERIAL_MAX {
                return Err(bad("the serial number would be longer than 32 characters"));
            }
        }
        let rule = Self { pattern: pattern.to_owned(), positions, check };
        rule.makes_sense().map_err(|what| BadPattern { at: 1, what })?;
        Ok(rule)
    }

    fn makes_sense(&self) -> Result<(), &'static str> {
        let Some(last) = self.positions.last() else { return Err("the pattern is empty") };
        if self.positions.iter().all(|choices| choices.len() == 1) {
            return Err("the pattern allows one serial number only");
        }
        match self.check {
            Some(Check::Iso7064Mod37Mod36) if last.iter().filter(|choice| **choice != '-').count() < ALPHABET.len() => {
                Err("the last character is the check character and must be [0-9A-Z]")
            }
            Some(Check::Iso7064Mod37Mod36) | None => Ok(()),
        }
    }

    /// As written in the recipe.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Characters of every serial number of this product.
    #[must_use]
    pub fn length(&self) -> usize {
        self.positions.len()
    }

    /// Whether this is a serial number of this product.
    ///
    /// # Errors
    /// Why not, for the person at the scanner.
    pub fn check(&self, serial: &Serial) -> Result<(), WrongSerial> {
        let found = serial.as_str().chars().count();
        if found != self.length() {
            return Err(WrongSerial::Length { found, expected: self.length() });
        }
        let wrong = serial.as_str().chars().zip(&self.positions).position(|(found, choices)| !choices.contains(&found));
        if let Some((at, found)) = wrong.and_then(|at| Some((at + 1, serial.as_str().chars().nth(at)?))) {
            return Err(WrongSerial::Character { at, found });
        }
        match self.check {
            None => Ok(()),
            Some(Check::Iso7064Mod37Mod36) => {
                let (body, check) = serial.as_str().split_at(found - 1);
                if mod37_36(body).is_some_and(|right| check.chars().eq([right])) {
                    Ok(())
                } else {
                    Err(WrongSerial::Check)
                }
            }
        }
    }

    /// The serial number with this number, counted from 0 in the order of the pattern, as for the labels of a demo.
    /// `None` if the pattern has no so many.
    #[must_use]
    pub fn nth(&self, number: u64) -> Option<Serial> {
        let counted = self.length() - usize::from(self.check.is_some());
        let mut left = number;
        let mut label: Vec<char> = Vec::with_capacity(self.length());
        for choices in self.positions.get(..counted)?.iter().rev() {
            let count = choices.len() as u64;
            label.push(*choices.get(usize::try_from(left % count).ok()?)?);
            left /= count;
        }
        let mut label: String = label.into_iter().rev().collect();
        if self.check.is_some() {
            label.push(mod37_36(&label)?);
        }
        if left == 0 { label.parse().ok() } else { None }
    }
}

fn allowed(character: char) -> bool {
    character.is_ascii_uppercase() || character.is_ascii_digit() || character == '-'
}

type Characters<'p> = std::iter::Peekable<std::iter::Enumerate<std::str::Chars<'p>>>;

/// The characters of a class, from behind its `[` to its `]`.
fn class(characters: &mut Characters<'_>) -> Result<Vec<char>, &'static str> {
    let mut choices = Vec::new();
    loop {
        let (_, first) = characters.next().ok_or("a [class] has no end")?;
        if first == ']' {
            break;
        }
        if !first.is_ascii_uppercase() && !first.is_ascii_digit() {
            return Err("a [class] holds A-Z and 0-9 only");
        }
        let is_range = characters.peek().is_some_and(|(_, next)| *next == '-');
        let last = if is_range { range_end(characters)? } else { first };
        if last < first || first.is_ascii_digit() != last.is_ascii_digit() {
            return Err("a range in a [class] runs from a lower to a higher letter or digit");
        }
        choices.extend(first..=last);
    }
    let whole = choices.len();
    choices.sort_unstable();
    choices.dedup();
    if choices.is_empty() {
        return Err("a [class] is empty");
    }
    if whole == choices.len() { Ok(choices) } else { Err("a [class] holds a character twice") }
}

fn range_end(characters: &mut Characters<'_>) -> Result<char, &'static str> {
    characters.next();
    match characters.next() {
        Some((_, last)) if last.is_ascii_uppercase() || last.is_ascii_digit() => Ok(last),
        _ => Err("a range in a [class] has no end"),
    }
}

/// Repeats the last position, from behind the `{` of its count.
fn repeat(characters: &mut Characters<'_>, positions: &mut Vec<Vec<char>>) -> Result<(), &'static str> {
    let mut digits = String::new();
    loop {
        match characters.next().ok_or("a {count} has no end")? {
            (_, '}') => break,
            (_, digit) => digits.push(digit),
        }
    }
    let count: usize = digits.parse().map_err(|_| "a {count} is a number from 1 to 32")?;
    if !(1..=SERIAL_MAX).contains(&count) {
        return Err("a {count} is a number from 1 to 32");
    }
    let last = positions.last().cloned().ok_or("a {count} follows a character or a [class]")?;
    positions.extend(std::iter::repeat_n(last, count - 1));
    Ok(())
}

const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The check character of ISO/IEC 7064 MOD 37,36; hyphens are ignored. `None` if another character is in the way.
fn mod37_36(body: &str) -> Option<char> {
    let modulus = ALPHABET.len();
    let mut product = modulus;
    for character in body.chars().filter(|character| *character != '-') {
        let sum = (product + ALPHABET.find(character)?) % modulus;
        product = (if sum == 0 { modulus } else { sum }) * 2 % (modulus + 1);
    }
    ALPHABET.chars().nth((modulus + 1 - product) % modulus)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GW3: &str = "GW3-[0-9]{7}[0-9A-Z]";

    fn rule() -> SerialRule {
        SerialRule::new(GW3, Some(Check::Iso7064Mod37Mod36)).unwrap()
    }

    /// Published examples of standards that use MOD 37,36: GRid (IFPI) and ISAN (ISO 15706), each with its check letter.
    #[test]
    fn the_check_character_is_that_of_the_standards_examples() {
        for (body, check) in [
            ("A1-2425G-ABC1234002", 'M'),
            ("0000-0000-D07A-0090", 'Q'),
            ("0000-0000-D07A-0090-0000-0000", 'X'),
            ("0000-0001-8947-0000", '8'),
            ("0000-0001-8947-0000-0000-0000", 'D'),
        ] {
            assert_eq!(mod37_36(body), Some(check), "{body}");
        }
        assert_eq!(mod37_36("a"), None);
    }

    #[test]
    fn every_single_mistyped_or_swapped_character_of_a_label_is_caught() {
        let rule = rule();
        let good = rule.nth(42).unwrap();
        assert_eq!(good.as_str(), "GW3-00000429");
        assert_eq!(rule.check(&good), Ok(()));
        for at in 4..12 {
            for wrong in ALPHABET.chars().filter(|wrong| Some(*wrong) != good.as_str().chars().nth(at)) {
                let mut label: Vec<char> = good.as_str().chars().collect();
                label[at] = wrong;
                let label: Serial = label.into_iter().collect::<String>().parse().unwrap();
                assert!(rule.check(&label).is_err(), "{label}");
            }
        }
        assert!(rule.check(&"GW3-00000249".parse().unwrap()).is_err());
    }

    #[test]
    fn a_label_of_another_product_or_length_is_told_apart() {
        let wrong = |label: &str| rule().check(&label.parse().unwrap()).unwrap_err();
        assert_eq!(wrong("GW2-00000429"), WrongSerial::Character { at: 3, found: '2' });
        assert_eq!(wrong("GW3-0000042"), WrongSerial::Length { found: 11, expected: 12 });
        assert_eq!(wrong("GW3-00000428"), WrongSerial::Check);
        assert_eq!(wrong("GW3-000004A9"), WrongSerial::Character { at: 11, found: 'A' });
    }

    #[test]
    fn labels_count_up_and_end_with_the_pattern() {
        let small = SerialRule::new("A[0-1][X-Z]", None).unwrap();
        let labels: Vec<String> =
            (0..).map_while(|number| small.nth(number)).map(|serial| serial.to_string()).collect();
        assert_eq!(labels, ["A0X", "A0Y", "A0Z", "A1X", "A1Y", "A1Z"]);
        assert_eq!(rule().nth(9_999_999).unwrap().as_str().len(), 12);
        assert_eq!(rule().nth(10_000_000), None);
    }

    #[test]
    fn a_pattern_that_is_no_pattern_is_refused_with_its_place() {
        for (pattern, at, expected) in [
            ("", 1, "empty"),
            ("GW3", 1, "one serial number only"),
            ("gw3-[0-9]", 1, "only A-Z"),
            ("GW3-.*", 5, "only A-Z"),
            ("GW3-[0-9", 5, "no end"),
            ("GW3-[9-0]", 5, "lower to a higher"),
            ("GW3-[0-Z]", 5, "lower to a higher"),
            ("GW3-[]", 5, "empty"),
            ("GW3-[0-90]", 5, "twice"),
            ("GW3-[0-", 5, "no end"),
            ("GW3-[a-z]", 5, "holds A-Z and 0-9 only"),
            ("GW3-[-]", 5, "holds A-Z and 0-9 only"),
            ("GW3-[0-z]", 5, "no end"),
            ("GW3-[9-A]", 5, "lower to a higher"),
            ("[0-9]{33}", 6, "from 1 to 32"),
            ("[0-9]{0}", 6, "from 1 to 32"),
            ("[0-9]{x}", 6, "from 1 to 32"),
            ("[0-9]{4", 6, "no end"),
            ("{2}A", 1, "follows"),
            ("[0-9]{30}ABC", 12, "longer than 32"),
        ] {
            let bad = SerialRule::new(pattern, None).unwrap_err();
            assert_eq!(bad.at, at, "{pattern}: {bad}");
            assert!(bad.what.contains(expected), "{pattern}: {bad}");
        }
        let narrow = SerialRule::new("A[0-9]{3}", Some(Check::Iso7064Mod37Mod36)).unwrap_err();
        assert!(narrow.what.contains("check character"), "{narrow}");
    }
}
