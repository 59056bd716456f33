//! A TOML file that a person wrote: every value with its place, every mistake with line, column and nearest word.
//!
//! `serde` stops at the first mistake and forgets where a value stood. This walks the parsed tree itself, so that all
//! mistakes of a file come in one go and a check that runs much later still points at the line.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use schemars::JsonSchema;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    fault::{Problem, is_unseen},
    file::Read,
    ident::{BadDigest, Digest},
};

/// Where a value stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

impl Place {
    /// Something is wrong here.
    #[must_use]
    pub fn problem(&self, what: impl Into<String>) -> Problem {
        Problem::new(&*self.file, what).at(self.line, self.column)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placed<T> {
    /// What was written there.
    pub value: T,
    /// Where.
    pub place: Place,
}

impl<T> Placed<T> {
    /// Something is wrong with this value.
    #[must_use]
    pub fn problem(&self, what: impl Into<String>) -> Problem {
        self.place.problem(what)
    }

    /// The same place, another value.
    #[must_use]
    pub fn with<U>(&self, value: U) -> Placed<U> {
        Placed { value, place: self.place.clone() }
    }
}

impl Placed<String> {
    /// The value in a message: a few words of it, for a secret may stand where something else was meant.
    #[must_use]
    pub fn shown(&self) -> String {
        printable(&self.value)
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// The keys one kind of table may hold.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// How messages name the table, as `[lock]`.
    pub table: &'static str,
    /// Keys that must be there.
    pub required: &'static [&'static str],
    /// Keys that may be there.
    pub optional: &'static [&'static str],
    /// Keys that mean something, but not here or not yet: each with the sentence that says what to do instead.
    pub elsewhere: &'static [(&'static str, &'static str)],
}

impl Words {
    fn known(&self) -> impl Iterator<Item = &'static str> {
        self.required.iter().chain(self.optional).copied()
    }
}

/// A file while it is walked; collects what is wrong with it.
pub struct Page<'a> {
    name: Arc<str>,
    text: &'a str,
    /// Offset of the first byte of every line.
    lines: Vec<usize>,
    /// Characters before each block of the text, so that a column far out in a long line is not counted from its begin.
    characters: Vec<usize>,
    /// Lines that are no TOML. Whatever a broken line held is unknown, so nothing else is said about it.
    torn: BTreeSet<usize>,
    problems: RefCell<Vec<Problem>>,
}

/// Walks the whole file and returns what the walk made of it, with everything that is wrong.
///
/// A file with broken lines is walked as far as it goes; then nothing is said about missing keys.
pub fn read<T>(file: &Read, words: Words, walk: impl FnOnce(&Table<'_>) -> T) -> (Option<T>, Vec<Problem>) {
    if file.bytes.len() > TEXT_MAX {
        return (None, vec![Problem::new(file.name(), format!("is larger than {TEXT_MAX} bytes; no such file is"))]);
    }
    let text = match file.text() {
        Ok(text) => text,
        Err(problem) => return (None, vec![problem]),
    };
    let (tree, errors) = DeTable::parse_recoverable(text);
    let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut page = Page {
        name: file.name().into(),
        text,
        lines,
        characters: characters_before_blocks(text),
        torn: BTreeSet::new(),
        problems: RefCell::default(),
    };
    page.note_syntax(&errors);
    let walked = walk(&Table::open(&page, page.place(0), tree.get_ref(), words));
    (Some(walked), in_order(page.problems.into_inner()))
}

/// Every name and text of a file in which some are written with escapes, one to a line and without them; `None` of another.
#[must_use]
pub fn texts(text: &str) -> Option<String> {
    if !text.contains('\\') || text.len() > TEXT_MAX {
        return None;
    }
    let mut all = String::new();
    let (tree, _) = DeTable::parse_recoverable(text);
    for (name, value) in tree.get_ref() {
        collect(name.get_ref(), value.get_ref(), &mut all);
    }
    Some(all)
}

/// The parser bounds how deep tables lie in each other.
fn collect(name: &str, value: &DeValue<'_>, all: &mut String) {
    all.extend([name, "\n"]);
    match value {
        DeValue::String(text) => all.extend([text, "\n"]),
        DeValue::Array(values) => values.iter().for_each(|value| collect("", value.get_ref(), all)),
        DeValue::Table(table) => {
            table.iter().for_each(|(name, value)| collect(name.get_ref(), value.get_ref(), all));
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// The longest text that is parsed, in bytes: the parser keeps 600 bytes for each torn line of two.
pub const TEXT_MAX: usize = 256 << 10;

/// More than this is noise, and a file of nothing but mistakes would make a hundred times its size of them.
const PROBLEMS: usize = 500;

/// Bytes between two counts of characters.
const BLOCK: usize = 256;

fn characters_before_blocks(text: &str) -> Vec<usize> {
    let blocks = text.as_bytes().chunks(BLOCK).map(characters);
    let counts = blocks.scan(0, |before, count| {
        let here = *before;
        *before += count;
        Some((here, *before))
    });
    let counts: Vec<(usize, usize)> = counts.collect();
    let whole = counts.last().map_or(0, |(_, all)| *all);
    counts.iter().map(|(before, _)| *before).chain([whole]).collect()
}

/// Every character of UTF-8 has one byte that does not continue another. [RFC 3629 3]
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// From top to bottom of the file, as a person will correct them.
fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems.dedup();
    if problems.len() > PROBLEMS {
        problems.truncate(PROBLEMS);
        let file = problems.first().map(|problem| problem.file.clone()).unwrap_or_default();
        problems.push(Problem::new(file, format!("and more; only {PROBLEMS} are told")));
    }
    problems
}

impl Page<'_> {
    fn note_syntax(&mut self, errors: &[toml::de::Error]) {
        let mut found: Vec<Problem> = Vec::new();
        for error in errors {
            let place = self.place(error.span().map_or(0, |span| span.start));
            // What follows the first error of a line is the parser finding its way back.
            if found.last().is_some_and(|last| last.line == Some(place.line)) {
                continue;
            }
            if found.len() > PROBLEMS {
                break;
            }
            found.push(place.problem(format!("not TOML: {}", error.message().replace('\n', ", "))));
        }
        self.torn = found.iter().filter_map(|problem| problem.line).collect();
        self.problems.borrow_mut().extend(found);
    }

    fn place(&self, at: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or_default();
        let column = self.characters_before(at).saturating_sub(self.characters_before(start)) + 1;
        Place { file: Arc::clone(&self.name), line, column }
    }

    fn characters_before(&self, at: usize) -> usize {
        let (block, before) = (at / BLOCK, at % BLOCK);
        let rest = self.text.as_bytes().get(at - before..at).unwrap_or_default();
        self.characters.get(block).copied().unwrap_or_default() + characters(rest)
    }

    fn note(&self, problem: Problem) {
        if problem.line.is_none_or(|line| !self.torn.contains(&line)) && !self.is_full() {
            self.problems.borrow_mut().push(problem);
        }
    }

    /// Whether more is wrong than anybody reads. One more than is told, so that it can be said that there is more.
    fn is_full(&self) -> bool {
        self.problems.borrow().len() > PROBLEMS
    }
}

/// One table of the file.
pub struct Table<'a> {
    page: &'a Page<'a>,
    /// Where the table, or the key that holds it, stands.
    pub place: Place,
    tree: &'a DeTable<'a>,
    words: Words,
}

impl<'a> Table<'a> {
    fn open(page: &'a Page<'a>, place: Place, tree: &'a DeTable<'a>, words: Words) -> Self {
        let table = Self { page, place, tree, words };
        table.note_unknown();
        table.note_missing();
        table
    }

    fn note_unknown(&self) {
        for key in self.tree.keys() {
            if self.page.is_full() {
                return;
            }
            let word: &str = key.get_ref();
            if self.words.known().any(|known| known == word) {
                continue;
            }
            let instead = self.words.elsewhere.iter().find(|(elsewhere, _)| *elsewhere == word);
            let what = match instead {
                Some((_, instead)) => format!("`{word}` {instead}"),
                None => unknown(word, self.words),
            };
            self.page.note(self.page.place(key.span().start).problem(what));
        }
    }

    /// A key that was only mistyped is told once, as unknown.
    fn note_missing(&self) {
        if self.page.is_full() {
            return;
        }
        let mistyped: Vec<&str> = self.tree.keys().filter_map(|key| self.meant(key.get_ref())).collect();
        let missing = self.words.required.iter().filter(|key| !mistyped.contains(key));
        missing.for_each(|key| self.needs(key));
    }

    /// The key that an unknown one probably is.
    fn meant(&self, key: &str) -> Option<&'static str> {
        let known: Vec<&'static str> = self.words.known().collect();
        if known.contains(&key) { None } else { nearest(key, &known) }
    }

    /// Notes that this key is missing, if it is. In a file with broken lines nobody knows.
    pub fn needs(&self, key: &str) {
        if self.page.torn.is_empty() && !self.tree.contains_key(key) {
            self.note(self.place.problem(format!("{} needs `{key}`", self.words.table)));
        }
    }

    /// One more thing that is wrong with this file.
    pub fn note(&self, problem: Problem) {
        self.page.note(problem);
    }

    fn value(&self, key: &str) -> Option<(Place, &'a DeValue<'a>)> {
        self.tree.get(key).map(|value| (self.page.place(value.span().start), value.get_ref()))
    }

    fn as_<T>(&self, key: &str, expected: &str, take: impl Fn(&'a DeValue<'a>) -> Option<T>) -> Option<Placed<T>> {
        let (place, found) = self.value(key)?;
        let value = take(found);
        if value.is_none() {
            self.note(place.problem(format!("`{key}` must be {expected}, this is {}", kind(found))));
        }
        value.map(|value| Placed { value, place })
    }

    /// A text that is not empty and of which every character can be seen: it will stand on screens and in records.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<Placed<String>> {
        let text = self.as_(key, "a text in quotes", |value| value.as_str().map(str::to_owned))?;
        if text.value.is_empty() || text.value.chars().any(is_unseen) {
            self.note(text.problem(format!("`{key}` is empty or holds characters that nobody can see")));
            return None;
        }
        Some(text)
    }

    /// true or false.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<Placed<bool>> {
        self.as_(key, "true or false", DeValue::as_bool)
    }

    /// A whole number from 0 to 4294967295.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<Placed<u32>> {
        self.as_(key, "a whole number from 0 to 4294967295", |value| {
            let written = value.as_integer()?;
            u32::from_str_radix(written.as_str(), written.radix()).ok()
        })
    }

    /// A SHA-256 in 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self, key: &str) -> Option<Placed<Digest>> {
        let text = self.text(key)?;
        if let Ok(digest) = text.value.parse::<Digest>() {
            return Some(text.with(digest));
        }
        self.note(text.problem(format!("`{key}`: {BadDigest}, this has {}", text.value.chars().count())));
        None
    }

    /// One of these words.
    #[must_use]
    pub fn word<T: Copy>(&self, key: &str, meanings: &[(&'static str, T)]) -> Option<Placed<T>> {
        let text = self.text(key)?;
        if let Some((_, meaning)) = meanings.iter().find(|(word, _)| *word == text.value) {
            return Some(text.with(*meaning));
        }
        let words: Vec<&str> = meanings.iter().map(|(word, _)| *word).collect();
        self.note(text.problem(format!("`{key}` = \"{}\" is not known{}", text.shown(), choice(&text.value, &words))));
        None
    }

    /// A list of texts; empty if it is absent.
    #[must_use]
    pub fn texts(&self, key: &str) -> Vec<Placed<String>> {
        let Some((place, found)) = self.value(key) else { return Vec::new() };
        let Some(list) = found.as_array() else {
            self.note(place.problem(format!("`{key}` must be a list of texts in brackets, this is {}", kind(found))));
            return Vec::new();
        };
        let text = |item: &Spanned<DeValue<'_>>| {
            let place = self.page.place(item.span().start);
            let text = item.get_ref().as_str().map(str::to_owned);
            if text.is_none() {
                self.note(place.problem(format!("`{key}` holds texts, this is {}", kind(item.get_ref()))));
            }
            text.map(|value| Placed { value, place })
        };
        list.iter().filter_map(text).collect()
    }

    /// A table below this one.
    #[must_use]
    pub fn table(&self, key: &str, words: Words) -> Option<Table<'a>> {
        let found = self.as_(key, "a table", DeValue::as_table)?;
        let place = self.key_place(key).unwrap_or(found.place);
        Some(Table::open(self.page, place, found.value, words))
    }

    /// Tables below this one under names that the author chose, as `[key.root]`.
    #[must_use]
    pub fn named(&self, key: &str, words: Words) -> BTreeMap<String, Table<'a>> {
        let Some(all) = self.as_(key, "a table", DeValue::as_table) else { return BTreeMap::new() };
        let mut tables = BTreeMap::new();
        for (name, value) in all.value {
            let place = self.page.place(name.span().start);
            if let Some(tree) = value.get_ref().as_table() {
                tables.insert(name.get_ref().to_string(), Table::open(self.page, place, tree, words));
            } else {
                self.note(place.problem(format!("`{key}.{}` must be a table", printable(name.get_ref()))));
            }
        }
        tables
    }

    /// A list of tables, as `[[image]]`; empty if it is absent.
    #[must_use]
    pub fn tables(&self, key: &str, words: Words) -> Vec<Table<'a>> {
        let Some((place, found)) = self.value(key) else { return Vec::new() };
        let Some(list) = found.as_array() else {
            self.note(place.problem(format!("`{key}` must be a list: write [[{key}]], this is {}", kind(found))));
            return Vec::new();
        };
        let table = |item: &'a Spanned<DeValue<'a>>| {
            let place = self.page.place(item.span().start);
            let tree = item.get_ref().as_table();
            if tree.is_none() {
                self.note(place.problem(format!("each `{key}` must be a table, this is {}", kind(item.get_ref()))));
            }
            tree.map(|tree| Table::open(self.page, place, tree, words))
        };
        list.iter().filter_map(table).collect()
    }

    fn key_place(&self, key: &str) -> Option<Place> {
        self.tree.get_key_value(key).map(|(key, _)| self.page.place(key.span().start))
    }
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.words.table, self.place.line, self.place.column)
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number, perhaps out of range",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn unknown(word: &str, words: Words) -> String {
    let known: Vec<&str> = words.known().collect();
    format!("`{}` is not known in {}{}", printable(word), words.table, choice(word, &known))
}

/// The nearest word that exists, and all that exist.
#[must_use]
pub fn choice(word: &str, known: &[&str]) -> String {
    let all = known.join(", ");
    match nearest(word, known) {
        Some(nearest) => format!("; did you mean `{nearest}`? (one of: {all})"),
        None => format!(" (one of: {all})"),
    }
}

/// The known word that takes the fewest changes of a letter to reach, if it is near at all.
#[must_use]
pub fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let allowed = word.chars().count().clamp(3, 9) / 3 + 1;
    if let Some(longer) = known.iter().find(|known| word.len() > 2 && known.starts_with(word)) {
        return Some(longer);
    }
    let near = |known: &&'w str| (distance(word, known), *known);
    known.iter().map(near).min().filter(|(changes, _)| *changes <= allowed).map(|(_, known)| known)
}

/// Levenshtein's, on the first 64 characters.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, have) in from.chars().take(64).enumerate() {
        let mut left = line + 1;
        let mut next = vec![left];
        for (pair, want) in row.windows(2).zip(&to) {
            let [diagonal, above] = *pair else { continue };
            left = (left + 1).min(above + 1).min(diagonal + usize::from(have != *want));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// Without control characters, and cut to 40 characters: what a stranger's file holds must not reach a terminal raw.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().take(40).map(|character| if is_unseen(character) { '\u{FFFD}' } else { character }).collect()
}

/// Compares a JSON Schema with the tables of words that the reader goes by.
#[cfg(test)]
pub(crate) fn schema_agrees(schema: &serde_json::Value, tables: &[(&str, Words)]) {
    use std::collections::BTreeSet;
    for (name, words) in tables {
        let table = schema["$defs"].get(name).unwrap_or(schema);
        let listed = |value: &serde_json::Value| -> BTreeSet<String> {
            value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let keys: BTreeSet<String> = table["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, words.known().map(str::to_owned).collect(), "{name}");
        assert_eq!(listed(&table["required"]), words.required.iter().map(ToString::to_string).collect(), "{name}");
        assert_eq!(table["additionalProperties"], false, "{name}");
    }
    let objects = schema["$defs"].as_object().into_iter().flatten().filter(|(_, table)| table["type"] == "object");
    assert_eq!(objects.count() + 1, tables.len(), "a table of the schema that the reader does not know");
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = Words {
        table: "the file",
        required: &["schema", "name"],
        optional: &["flag", "list", "inner"],
        elsewhere: &[("erase", "does not exist on this chip")],
    };

    fn problems(text: &str) -> Vec<String> {
        let file = Read::from_memory("a.toml", text.into());
        let walk = |table: &Table<'_>| {
            let _ = (table.number("schema"), table.text("name"), table.flag("flag"), table.texts("list"));
        };
        read(&file, WORDS, walk).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_comes_with_line_column_and_nearest_word() {
        let found = problems("schema = -1\nnmae = \"x\"\nflag = 3\nlist = [1]\nerase = true\n");
        assert_eq!(
            found,
            [
                "a.toml:1:10: `schema` must be a whole number from 0 to 4294967295, this is a whole number, perhaps out of range",
                "a.toml:2:1: `nmae` is not known in the file; did you mean `name`? (one of: schema, name, flag, list, inner)",
                "a.toml:3:8: `flag` must be true or false, this is a whole number, perhaps out of range",
                "a.toml:4:9: `list` holds texts, this is a whole number, perhaps out of range",
                "a.toml:5:1: `erase` does not exist on this chip",
            ]
        );
    }

    #[test]
    fn a_broken_line_is_named_and_the_rest_is_still_read() {
        let found = problems("schema = = 1\nflag = 3\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a.toml:1:"), "{found:?}");
        assert!(found[1].starts_with("a.toml:2:8: `flag`"), "{found:?}");
    }

    #[test]
    fn a_text_that_would_paint_the_screen_is_refused() {
        let found = problems("schema = 1\nname = \"\\u001b[2J\"\n");
        assert_eq!(found, ["a.toml:2:8: `name` is empty or holds characters that nobody can see"]);
        let found = problems("schema = 1\nname = \"x\"\n\"\\u001b[2J\" = 1\n");
        assert!(!found[0].contains('\u{1b}'), "{found:?}");
    }
}
