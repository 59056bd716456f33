//! A register address carries its source: whoever doubts it knows where to look.

use super::{expect_none, source, source::Source};

/// Where a chip keeps registers and memories: factory and user information, RAM, peripherals, and the core's own.
const ADDRESSES: &[std::ops::Range<u32>] =
    &[0x00F0_0000..0x0200_0000, 0x1000_0000..0x1100_0000, 0x2000_0000..0x6000_0000, 0xE000_0000..0xE010_0000];

/// Every address written as eight hex digits that has no `[document, section]` beside it.
fn breaks(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let found = source.code.lines().enumerate().flat_map(|(line, code)| addresses(code).map(move |word| (line, word)));
    found
        .filter(|(line, _)| !has_source(&lines, *line))
        .map(|(line, word)| format!("{}:{}: {word:#010x} has no [document, section]", source.path, line + 1))
        .collect()
}

fn addresses(code: &str) -> impl Iterator<Item = u32> {
    let literals = code.match_indices("0x").map(|(at, _)| {
        let digits = code[at + 2..].chars().take_while(|c| c.is_ascii_hexdigit() || *c == '_');
        digits.filter(|c| *c != '_').collect::<String>()
    });
    literals
        .filter(|digits| digits.len() == 8)
        .filter_map(|digits| u32::from_str_radix(&digits, 16).ok())
        .filter(|word| ADDRESSES.iter().any(|range| range.contains(word)))
}

/// On the line, in the comment directly above it, or in the comment directly above an item that encloses it.
fn has_source(lines: &[&str], line: usize) -> bool {
    let comment = lines[line].split_once("//").map_or("", |(_, comment)| comment);
    if names_source(comment) || names_source(&comment_above(lines, line)) {
        return true;
    }
    enclosing(lines, line).is_some_and(|opener| has_source(lines, opener))
}

/// The nearest line above that stands further left.
fn enclosing(lines: &[&str], line: usize) -> Option<usize> {
    let indent = |text: &str| text.len() - text.trim_start().len();
    let own = indent(lines[line]);
    (0..line).rev().find(|&above| !lines[above].trim().is_empty() && indent(lines[above]) < own)
}

/// The comment and attribute lines directly above, as one text.
fn comment_above(lines: &[&str], line: usize) -> String {
    let above = lines[..line].iter().rev().map(|text| text.trim_start());
    let mut comment: Vec<&str> = above.take_while(|text| text.starts_with("//") || text.starts_with("#[")).collect();
    comment.reverse();
    comment.iter().map(|text| text.trim_start_matches('/').trim()).collect::<Vec<_>>().join(" ")
}

/// Whether brackets hold a document and a place in it, `[SVD UICR.APPROTECT]`; a link to an item and an index do not
/// count.
fn names_source(comment: &str) -> bool {
    let mut brackets = comment.split('[').skip(1).filter_map(|rest| rest.split_once(']').map(|(inside, _)| inside));
    brackets.any(|inside| inside.starts_with(char::is_uppercase) && inside.split_whitespace().count() > 1)
}

mod tests {
    use super::*;

    #[test]
    fn every_register_address_has_its_source() {
        let sources = source::product();
        let chips = sources.iter().filter(|source| ["chip", "plan"].contains(&source.module().unwrap_or_default()));
        let broken: Vec<_> = chips.flat_map(|source| breaks(&source.product())).collect();
        expect_none(&broken);
    }

    fn broken(text: &str) -> usize {
        breaks(&Source::new("src/chip/x.rs", text)).len()
    }

    #[test]
    fn an_address_without_a_source_is_found() {
        assert_eq!(broken("/// Closes the port.\nconst PROTECT: u32 = 0x1000_1208;"), 1);
        assert_eq!(broken("/// [`Spot`] 3, see CUSTOMER[0].\nconst PROTECT: u32 = 0x10001208;"), 1);
        assert_eq!(broken("/// [PS 1.3, §4.5]\nconst A: u32 = 0x1000_1208;\nconst B: u32 = 0x1000_120C;"), 1);
        assert_eq!(broken("//! [PS 1.3, §4.5]\n\nconst A: u32 = 0x1000_1208;"), 1);
        assert_eq!(broken("fn a() {\n    read(0xE000_EDF0);\n}"), 1);
    }

    #[test]
    fn an_address_with_a_source_and_a_value_without_one_are_fine() {
        assert_eq!(broken("/// Closes the port. [PS 1.3, §4.5\n/// UICR]\nconst A: u32 = 0x1000_1208;"), 0);
        assert_eq!(broken("const A: u32 = 0x1000_1208; // [PS 1.3, UICR]"), 0);
        assert_eq!(
            broken(
                "/// [PS 1.3, UICR]\n#[rustfmt::skip]\nconst A: [u32; 2] = [\n    0x1000_1208,\n    0x1000_120C,\n];"
            ),
            0
        );
        assert_eq!(broken("const ERASED: u32 = 0xFFFF_FFFF;\nconst PAGE: u32 = 0x1000; // 0x10001208"), 0);
    }
}
