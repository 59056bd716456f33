//! Lines for people: none wider than a terminal of 80 columns, each value folded in the column where it begins.

use std::fmt::{self, Display};

use crate::{fault::seen, image::tree::Branch};

/// As wide as any terminal is, and as much as fits beside another window.
pub(in crate::cli) const WIDTH: usize = 80;

/// Where the values of rows begin: 64 digits of a digest just fit behind it.
pub(in crate::cli) const COLUMN: usize = 16;

/// A digest that does not fit in a deeper column moves to the left, but not to the edge.
const LEAST: usize = 4;

/// No format's own label is longer; a name out of a file can be.
const LONGEST_LABEL: usize = 24;

/// However deep a tree is, its values have half a line, and its labels a quarter.
const DEEPEST: usize = WIDTH / 4;

/// An address or a word, as every report writes it.
pub(in crate::cli) fn address(at: impl Into<u64>) -> String {
    format!("0x{:08X}", at.into())
}

/// The first line: the name of the file, which is never broken, and what the file is.
pub(in crate::cli) fn answer(f: &mut fmt::Formatter<'_>, name: &str, is: &str) -> fmt::Result {
    folded(f, &seen(name), 2, &format!(" is {is}"))
}

/// One statement: what it is about, and what was found.
pub(in crate::cli) fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    folded(f, &format!("  {name:<13} "), COLUMN, &seen(&value.to_string()))
}

/// A tree, indented under its file.
pub(in crate::cli) fn limbs(f: &mut fmt::Formatter<'_>, tree: &Branch) -> fmt::Result {
    limbs_at(f, tree, 2)
}

/// A tree from this column on.
pub(in crate::cli) fn limbs_at(f: &mut fmt::Formatter<'_>, tree: &Branch, indent: usize) -> fmt::Result {
    let indent = indent.min(DEEPEST);
    let (label, blank) = (seen(&tree.label), " ".repeat(indent));
    if width(&label) > LONGEST_LABEL {
        folded(f, &blank, indent + 2, &label)?;
        folded(f, &" ".repeat(indent + 17), indent + 17, &seen(&tree.value))?;
    } else {
        folded(f, &format!("{blank}{label:<16} "), indent + 17, &seen(&tree.value))?;
    }
    if let Some(why) = &tree.warning {
        folded(f, &format!("{blank}! "), indent + 2, &seen(why))?;
    }
    tree.branches.iter().try_for_each(|branch| limbs_at(f, branch, indent + 2))
}

/// Head and words, with every further line beginning in this column. What is wider than a line itself is broken there.
fn folded(f: &mut fmt::Formatter<'_>, head: &str, column: usize, text: &str) -> fmt::Result {
    let (mut line, mut fresh) = (head.to_owned(), true);
    for word in text.split_whitespace() {
        let (length, room) = (width(word), WIDTH - column);
        let between = usize::from(!fresh || !line.ends_with(' '));
        if width(&line) + between + length <= WIDTH {
            line.extend(std::iter::repeat_n(' ', between));
            line.push_str(word);
        } else {
            end(f, &line)?;
            let indent = if length <= room { column } else { (WIDTH - LEAST).min(length).abs_diff(WIDTH) };
            line = broken(f, word, indent)?;
        }
        fresh = false;
    }
    end(f, &line)
}

/// The last line of a word that begins in this column.
fn broken(f: &mut fmt::Formatter<'_>, word: &str, indent: usize) -> Result<String, fmt::Error> {
    let letters: Vec<char> = word.chars().collect();
    let mut lines = letters.chunks(WIDTH - indent).map(|piece| format!("{:indent$}{}", "", String::from_iter(piece)));
    let last = lines.next_back().unwrap_or_default();
    lines.try_for_each(|line| end(f, &line))?;
    Ok(last)
}

/// A head without a name says nothing alone.
fn end(f: &mut fmt::Formatter<'_>, line: &str) -> fmt::Result {
    let line = line.trim_end();
    if line.is_empty() { Ok(()) } else { writeln!(f, "{line}") }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Page<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result>(F);

    impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> Display for Page<F> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0(f)
        }
    }

    fn rows(name: &str, value: &str) -> String {
        Page(|f| row(f, name, value)).to_string()
    }

    #[test]
    fn a_value_goes_on_in_the_column_where_it_began() {
        let words = "one two three four five six seven eight nine ten eleven twelve thirteen";
        let told = rows("trust", words);
        let expected = "  trust         one two three four five six seven eight nine ten eleven twelve\n                \
                        thirteen\n";
        assert_eq!(told, expected);
        assert_eq!(rows("", "one"), "                one\n");
    }

    #[test]
    fn a_digest_stays_whole_on_a_line_of_its_own() {
        let digest = "0123456789abcdef".repeat(4);
        assert_eq!(
            rows("file", &format!("9 bytes, SHA-256 {digest}")),
            format!("  file          9 bytes, SHA-256\n                {digest}\n")
        );
        let tree = Branch::new("a", "").with(Branch::new("b", "").with(Branch::new("sha256", &*digest)));
        let told = Page(|f| limbs(f, &tree)).to_string();
        assert!(told.lines().all(|line| width(line) <= WIDTH) && told.contains(&format!(" {digest}\n")), "{told}");
        let long = rows("", &digest.repeat(2));
        assert!(long.lines().all(|line| width(line) <= WIDTH), "{long}");
        assert_eq!(long.split_whitespace().collect::<String>(), digest.repeat(2));
    }

    #[test]
    fn a_name_is_never_broken_and_nothing_in_it_commands_a_terminal() {
        let name = "folder/".repeat(20) + "a file.bin";
        let told = Page(|f| answer(f, &name, "not understood")).to_string();
        assert_eq!(told, format!("{name}\n  is not understood\n"));
        let told = Page(|f| answer(f, "a\u{1b}[2J\nb", "x")).to_string();
        assert_eq!(told, "a\\u{1b}[2J\\nb is x\n");
        assert_eq!(rows("a", "b\u{1b}c\nd"), "  a             b\\u{1b}c\\nd\n");
    }

    #[test]
    fn no_depth_and_no_label_makes_a_line_wider_than_the_page() {
        let deep = (0..60).fold(Branch::new("leaf", "a ".repeat(90)), |tree, _| Branch::new("b", "c").with(tree));
        let label = Branch::new("label ".repeat(20), "value ".repeat(40)).with(Branch::new("x".repeat(200), "y"));
        for tree in [deep, label] {
            let told = Page(|f| limbs(f, &tree)).to_string();
            let wide: Vec<&str> = told.lines().filter(|line| width(line) > WIDTH).collect();
            assert!(wide.is_empty(), "{wide:?}");
        }
    }

    #[test]
    fn a_warning_stands_under_what_it_is_about() {
        let tree = Branch::new("key", "aee3f2c3").warn("published ".repeat(12));
        let told = Page(|f| limbs_at(f, &tree, COLUMN)).to_string();
        let begins: Vec<&str> = told.lines().map(|line| &line[..19]).collect();
        assert_eq!(begins, ["                key", "                ! p", "                  p"]);
    }
}
