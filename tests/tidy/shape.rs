//! A file says what it is for, and a function is short enough to hold in mind.

use super::{
    expect_none,
    source::{self, Source, line_of, words},
};

/// Above this a function says in a comment why it is long: `// Long because …`.
const LONG: usize = 80;

/// What a module file without an opening sentence is.
fn unopened(source: &Source) -> Option<String> {
    let opening = source.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let first: Vec<&str> = opening.take_while(|line| !line.is_empty()).collect();
    let text = first.join(" ");
    let mut words = text.split_whitespace();
    let sentence = words.clone().count() >= 3 && words.any(|word| word.ends_with(['.', ':', '?', '!', ';']));
    (!sentence).then(|| format!("{}: no //! sentence at the top that says what it is for", source.path))
}

/// One function: where it begins, and its lines from `fn` to the closing brace.
#[derive(Debug, Eq, PartialEq)]
struct Function {
    name: String,
    line: usize,
    length: usize,
}

/// All functions that have a body.
fn functions(source: &Source) -> Vec<Function> {
    words(&source.code, "fn").filter_map(|at| function(&source.code, at)).collect()
}

fn function(code: &str, at: usize) -> Option<Function> {
    let after = code[at..].strip_prefix("fn ")?;
    let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let opening = at + code[at..].find(['{', ';'])?;
    if name.is_empty() || code[opening..].starts_with(';') && !inside_brackets(&code[at..opening]) {
        return None;
    }
    let opening = opening + code[opening..].find('{')?;
    let closing = opening + closing_brace(&code[opening..])?;
    let line = line_of(code, at);
    Some(Function { name, line, length: line_of(code, closing) - line + 1 })
}

/// The semicolon of `[u8; 4]` does not end a declaration.
fn inside_brackets(text: &str) -> bool {
    text.matches('[').count() > text.matches(']').count()
}

fn closing_brace(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Every long function that does not say why it is.
fn too_long(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let long = functions(source).into_iter().filter(|function| function.length > LONG);
    long.filter(|function| !says_why(&lines, function.line - 1))
        .map(|f| format!("{}:{}: {} has {} lines, more than {LONG}", source.path, f.line, f.name, f.length))
        .collect()
}

fn says_why(lines: &[&str], line: usize) -> bool {
    let above = lines[..line].iter().rev().map(|text| text.trim_start());
    above
        .take_while(|text| text.starts_with("//") || text.starts_with("#["))
        .any(|text| text.starts_with("// Long because"))
}

fn median(mut lengths: Vec<usize>) -> usize {
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied().unwrap_or(0)
}

mod tests {
    use super::*;

    #[test]
    fn every_file_opens_with_what_it_is_for() {
        let sources = source::tree();
        let rust = sources.iter().filter(|source| source.is("rs") && !source.path.starts_with("templates/"));
        let broken: Vec<_> = rust.filter_map(unopened).collect();
        expect_none(&broken);
    }

    #[test]
    fn no_function_is_long_without_a_reason() {
        let broken: Vec<_> = source::product().iter().flat_map(too_long).collect();
        expect_none(&broken);
    }

    #[test]
    fn half_of_all_functions_are_shorter_than_ten_lines() {
        let sources = source::product();
        let all = sources.iter().flat_map(|source| functions(&source.product()));
        let lengths: Vec<usize> = all.map(|function| function.length).collect();
        let (count, median) = (lengths.len(), median(lengths));
        println!("{count} functions, median length {median} lines");
        assert!(median < 10, "the median function has {median} lines");
    }

    #[test]
    fn a_file_without_an_opening_sentence_is_found() {
        let opened = |text| unopened(&Source::new("src/x.rs", text)).is_none();
        assert!(opened("//! What stopped, and whose\n//! move it is.\n\nfn a() {}"));
        assert!(opened("//! MCUboot's signed images. [nordic-facts C1, C2]\n"));
        assert!(!opened("fn a() {}"));
        assert!(!opened("//! `rootstamp demo`\n"));
        assert!(!opened("\n//! It comes too late.\n"));
    }

    #[test]
    fn a_long_function_is_found_unless_it_says_why() {
        let body = "    a();\n".repeat(LONG);
        let long = |above: &str| too_long(&Source::new("src/x.rs", &format!("{above}fn a() {{\n{body}}}\n"))).len();
        assert_eq!(long(""), 1);
        assert_eq!(long("/// Long because it is.\n"), 1);
        assert_eq!(long("// Long because it is one table.\n#[must_use]\n"), 0);
    }

    #[test]
    fn lengths_are_counted_from_fn_to_the_closing_brace() {
        let text = "trait T {\n    fn a(&self);\n    fn b(x: [u8; 4]) -> X {\n        \"}\"\n    }\n}\nfn c() {}\ntype D = fn();\n";
        let lengths: Vec<_> = functions(&Source::new("x.rs", text)).into_iter().map(|f| (f.name, f.length)).collect();
        assert_eq!(lengths, [("b".to_owned(), 3), ("c".to_owned(), 1)]);
        assert_eq!(median(vec![9, 1, 2]), 2);
    }
}
