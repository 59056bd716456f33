//! The tree as text: every file once, Rust files also without their comments and the insides of their strings.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rootstamp::file;

/// Folders that are not ours to tidy.
const SKIPPED: &[&str] = &[".git", "target"];

/// One file of the tree.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// From the root of the tree, with `/`.
    pub path: String,
    /// As it stands.
    pub text: String,
    /// Rust with comments and the insides of strings blanked; lines and columns are those of `text`.
    pub code: String,
    /// Rust with comments blanked.
    pub spoken: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let rust = if is(path, "rs") { text } else { "" };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: keep(rust, |kind| kind == Kind::Code),
            spoken: keep(rust, |kind| kind != Kind::Comment),
        }
    }

    /// The top module of a file under `src`; `None` for `lib.rs`, `main.rs` and everything else.
    pub(super) fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let top = inside.split('/').next()?;
        let name = top.strip_suffix(".rs").unwrap_or(top);
        (!["lib", "main"].contains(&name)).then_some(name)
    }

    /// Whether it is of this kind, as `rs` or `md`.
    pub(super) fn is(&self, kind: &str) -> bool {
        is(&self.path, kind)
    }

    /// How many module names lead to the file: 1 for `src/chip/mod.rs` and `src/plan.rs`, 2 for `src/chip/nrf52.rs`.
    pub(super) fn depth(&self) -> usize {
        let parts = self.path.split('/').count() - 1;
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }

    /// A file that is only compiled for tests, or the part of one from its test module on, is not the product.
    pub(super) fn product(&self) -> Self {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return Self::new(&self.path, "");
        }
        let end = test_module(&self.code).unwrap_or(self.code.len());
        Self {
            path: self.path.clone(),
            text: self.text[..end].to_owned(),
            code: self.code[..end].to_owned(),
            spoken: self.spoken[..end].to_owned(),
        }
    }

    /// `path:line` of a byte of the text.
    pub(super) fn at(&self, offset: usize) -> String {
        format!("{}:{}", self.path, line_of(&self.text, offset))
    }
}

fn is(path: &str, kind: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == kind)
}

/// The line, counted from 1, that a byte stands on.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Where each whole word equal to `word` begins.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| !code[..at].ends_with(part_of_word) && !code[at + word.len()..].starts_with(part_of_word))
}

/// Every file of the tree that is text.
pub(super) fn tree() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            if entry.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped || name.starts_with("target-")) {
                folders.push(entry);
            } else if entry.is_file() {
                found.extend(read(&root, &entry));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.iter().any(|source| source.path == "src/lib.rs"), "the tree was not found");
    found
}

/// The Rust files under `src`.
pub(super) fn product() -> Vec<Source> {
    tree().into_iter().filter(|source| source.path.starts_with("src/") && source.is("rs")).collect()
}

/// One file that must be there.
pub(super) fn named(path: &str) -> Source {
    read(&root(), &root().join(path)).unwrap_or_else(|| panic!("{path} is absent or not text"))
}

/// The root of the tree.
pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(root: &Path, path: &Path) -> Option<Source> {
    let whole = file::read(path, file::LIMIT).ok()?;
    let name = path.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/");
    Some(Source::new(&name, whole.text().ok()?))
}

/// Where the file's last item, its test module, begins.
fn test_module(code: &str) -> Option<usize> {
    code.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|at| {
        let rest = code[at + "#[cfg(test)]".len()..].trim_start();
        rest.starts_with("mod ") && rest.find('{') < rest.find(';').or(Some(usize::MAX))
    })
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Code,
    Comment,
    Text,
}

/// The text with everything blanked that is not wanted; line breaks stay, every other byte becomes one blank.
fn keep(text: &str, wanted: impl Fn(Kind) -> bool) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (kind, length) = next(rest);
        let (piece, after) = rest.split_at(length);
        if wanted(kind) {
            kept.push_str(piece);
        } else {
            kept.extend(piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    kept
}

/// The kind and length in bytes of the next piece of Rust: a comment, the inside of a string, or one piece of code.
fn next(rest: &str) -> (Kind, usize) {
    let one = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if let Some(hashes) = raw_opening(rest) {
        let closing = format!("\"{}", "#".repeat(hashes));
        let inside = hashes + 2;
        return (Kind::Text, rest[inside..].find(&closing).map_or(rest.len(), |end| inside + end + closing.len()));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        return (Kind::Text, 1 + quoted(inside, '"'));
    }
    if let Some(inside) = rest.strip_prefix('\'').filter(|inside| is_character(inside)) {
        return (Kind::Text, 1 + quoted(inside, '\''));
    }
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let prefix = ["r", "b", "br", "c", "cr"].contains(&&rest[..word]);
    (Kind::Code, if prefix || word == 0 { one } else { word })
}

/// The number of hashes if a raw string opens here: `r"`, `r#"`, `r##"`.
fn raw_opening(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// A quote opens a character, not a lifetime, if it is escaped or closed after one character.
fn is_character(inside: &str) -> bool {
    let mut after = inside.chars();
    after.next() == Some('\\') || after.next() == Some('\'')
}

/// Bytes up to and with the closing quote.
fn quoted(inside: &str, closing: char) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == closing => return at + 1,
            _ => {}
        }
    }
    inside.len()
}

mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_lines_stay() {
        let source = Source::new("src/x.rs", "a(\"b // c\"); // d\n/* e\n*/ f('\\'', 'g', r#\"h\"i\"#) <'static>");
        assert_eq!(source.code, "a(        );     \n    \n   f(    ,    ,         ) <'static>");
        assert_eq!(source.spoken, "a(\"b // c\");     \n    \n   f('\\'', 'g', r#\"h\"i\"#) <'static>");
    }

    #[test]
    fn the_product_ends_where_the_tests_begin() {
        let source = Source::new("src/x.rs", "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\n");
        assert_eq!(source.product().code, "fn a() {}\n");
        assert_eq!(Source::new("src/ui/tests.rs", "fn a() {}").product().code, "");
        let declared = "#[cfg(test)]\nmod tests;\nfn a() {}\n";
        assert_eq!(Source::new("src/x.rs", declared).product().code, declared);
    }

    #[test]
    fn a_module_is_known_by_its_path() {
        let module = |path| Source::new(path, "").module().map(str::to_owned);
        assert_eq!(module("src/chip/nrf52.rs").as_deref(), Some("chip"));
        assert_eq!(module("src/plan.rs").as_deref(), Some("plan"));
        assert_eq!(module("src/main.rs"), None);
        assert_eq!(Source::new("src/chip/nrf52.rs", "").depth(), 2);
        assert_eq!(Source::new("src/chip/mod.rs", "").depth(), 1);
        assert_eq!(Source::new("src/plan.rs", "").depth(), 1);
    }
}
