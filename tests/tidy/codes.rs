//! A code read out on the phone is in `docs/codes.md`, once, with its meaning and whose move it is.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    expect_none,
    source::{self, Source, words},
};

/// The letters that begin a code; P-256 is a curve.
const FAMILIES: &[u8] = b"BCEHKLRX";

/// A row of the tables: the code, what it means, whose move it is.
#[derive(Debug)]
struct Row {
    meaning: String,
    party: String,
}

/// Every code that the page lacks, has twice, or has although no code says it.
fn breaks(used: &BTreeSet<String>, page: &str) -> Vec<String> {
    let mut rows: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for (code, row) in page.lines().filter_map(row) {
        rows.entry(code).or_default().push(row);
    }
    let absent =
        used.iter().filter(|code| !rows.contains_key(*code)).map(|code| format!("{code}: not in docs/codes.md"));
    let unused = rows.keys().filter(|code| !used.contains(*code)).map(|code| format!("{code}: no longer used"));
    let twice =
        rows.iter().filter(|(_, rows)| rows.len() > 1).map(|(code, _)| format!("{code}: in docs/codes.md twice"));
    let empty = rows.iter().filter(|(_, rows)| rows.iter().any(|row| row.meaning.is_empty() || row.party.is_empty()));
    absent.chain(unused).chain(twice).chain(empty.map(|(code, _)| format!("{code}: no meaning or no party"))).collect()
}

/// `| C-102 | meaning | whose move |`
fn row(line: &str) -> Option<(String, Row)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(|cell| cell.trim().to_owned());
    let code = cells.next().filter(|cell| is_code(cell))?;
    Some((code, Row { meaning: cells.next().unwrap_or_default(), party: cells.next().unwrap_or_default() }))
}

/// The codes that the product can say: strings of a family's letter, a hyphen and three digits.
fn used(source: &Source) -> BTreeSet<String> {
    source.spoken.split('"').filter(|text| is_code(text)).map(str::to_owned).collect()
}

/// Every fault that is made without a code: its number on the phone would be E-000.
fn uncoded(source: &Source) -> Vec<String> {
    let made = words(&source.code, "Fault").filter(|&at| source.code[at..].starts_with("Fault::new("));
    made.filter(|&at| !expression(&source.code[at..]).contains(".code("))
        .map(|at| format!("{}: a fault without a code", source.at(at)))
        .collect()
}

/// As far as the expression goes that begins here.
fn expression(code: &str) -> &str {
    let mut depth = 0;
    let end = code.find(|c| {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        depth < 0 || depth == 0 && c == ';'
    });
    &code[..end.unwrap_or(code.len())]
}

fn is_code(text: &str) -> bool {
    let [letter, b'-', digits @ ..] = text.as_bytes() else { return false };
    FAMILIES.contains(letter) && digits.len() == 3 && digits.iter().all(u8::is_ascii_digit)
}

mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_once_and_every_explanation_is_of_a_code() {
        let used: BTreeSet<_> = source::product().iter().flat_map(|source| used(&source.product())).collect();
        assert!(used.contains("E-000"), "the scan finds no codes");
        expect_none(&breaks(&used, &source::named("docs/codes.md").text));
    }

    #[test]
    fn every_fault_has_a_code() {
        let broken: Vec<_> = source::product().iter().flat_map(|source| uncoded(&source.product())).collect();
        expect_none(&broken);
    }

    #[test]
    fn a_fault_without_a_code_is_found() {
        let count = |text| uncoded(&Source::new("src/x.rs", text)).len();
        assert_eq!(count("fn a() -> Fault {\n    Fault::new(b, \"c\", d(e))\n}\nfn f() { g.code(\"R-101\") }"), 1);
        assert_eq!(count("let a = Fault::new(b, c, d).exit(e); f.code(g);"), 1);
        assert_eq!(count("Err(Fault::new(b, c, d)\n    .exit(e)\n    .code(f))"), 0);
    }

    #[test]
    fn a_code_without_a_row_a_row_without_a_code_and_a_second_row_are_found() {
        let said =
            used(&Source::new("src/x.rs", "a.code(if b { \"C-140\" } else { \"C-102\" }, \"P-256\") // \"X-999\""));
        assert_eq!(said.iter().collect::<Vec<_>>(), ["C-102", "C-140"]);
        let page =
            "| C-102 | files are wrong | engineering |\n| C-102 | again | engineering |\n| L-301 | gone | security |\n";
        assert_eq!(
            breaks(&said, page),
            ["C-140: not in docs/codes.md", "L-301: no longer used", "C-102: in docs/codes.md twice"]
        );
        assert_eq!(
            breaks(&["C-102".to_owned()].into(), "| C-102 | files are wrong | |"),
            ["C-102: no meaning or no party"]
        );
    }
}
