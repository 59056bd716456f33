//! Modules stand lowest first, and each names only those above it.

use super::{
    expect_none,
    source::{self, Source, words},
};

/// The modules in the order of `src/lib.rs`.
fn order(lib: &Source) -> Vec<String> {
    let declared = lib.code.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'));
    declared.map(str::to_owned).collect()
}

/// The modules in the order of ARCHITECTURE.md: the first cells of the table under "Modules".
fn table(architecture: &str) -> Vec<String> {
    let section = architecture.split("\n## ").find(|section| section.starts_with("Modules")).unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    cells.map(|(module, _)| module.to_owned()).collect()
}

/// Every place where a module names one that stands below it.
fn breaks(order: &[String], source: &Source) -> Vec<String> {
    let Some(module) = source.module() else { return Vec::new() };
    let Some(rank) = order.iter().position(|name| name == module) else {
        return vec![format!("{}: the module {module} is not declared in src/lib.rs", source.path)];
    };
    let allowed = &order[..=rank];
    let below = |named: &String| order.contains(named) && !allowed.contains(named);
    let named =
        roots(source).into_iter().flat_map(|at| heads(&source.code[at..]).into_iter().map(move |head| (at, head)));
    named
        .filter(|(_, head)| below(head))
        .map(|(at, head)| format!("{}: {module} names {head}, which stands below it", source.at(at)))
        .collect()
}

/// Where a path starts that is counted from the crate: after `crate::`, or after enough `super::`.
fn roots(source: &Source) -> Vec<usize> {
    let code = &source.code;
    let after_crate = words(code, "crate").map(|at| at + "crate".len()).filter_map(|at| after_colons(code, at));
    let firsts = words(code, "super").filter(|&at| !code[..at].trim_end().ends_with("::"));
    let after_super = firsts.filter_map(|at| {
        let (count, end) = supers(code, at);
        (count == source.depth() + inline_modules(&code[..at])).then_some(end)
    });
    after_crate.chain(after_super).collect()
}

/// How many `super::` stand here in a row, and where they end.
fn supers(code: &str, mut at: usize) -> (usize, usize) {
    let mut count = 0;
    while let Some(next) = code[at..].strip_prefix("super").and_then(|_| after_colons(code, at + "super".len())) {
        (count, at) = (count + 1, next);
    }
    (count, at)
}

fn after_colons(code: &str, at: usize) -> Option<usize> {
    code[at..].starts_with("::").then_some(at + 2)
}

/// How many `mod name {` are open at the end of this code.
fn inline_modules(before: &str) -> usize {
    let mut open = Vec::new();
    let mut statement = 0;
    for (at, c) in before.char_indices() {
        match c {
            '{' => open.push(before[statement..at].split_whitespace().any(|word| word == "mod")),
            '}' => drop(open.pop()),
            ';' => {}
            _ => continue,
        }
        statement = at + 1;
    }
    open.into_iter().filter(|&is_module| is_module).count()
}

/// The first names of a path, or of every path of a list in braces.
fn heads(path: &str) -> Vec<String> {
    let Some(list) = path.trim_start().strip_prefix('{') else { return vec![word(path)] };
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut fresh = true;
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                heads.push(word(&list[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

mod tests {
    use super::*;

    #[test]
    fn every_module_names_only_those_above_it() {
        let order = order(&source::named("src/lib.rs"));
        let broken: Vec<_> = source::product().iter().flat_map(|source| breaks(&order, source)).collect();
        expect_none(&broken);
    }

    #[test]
    fn the_architecture_page_lists_the_modules_in_the_order_of_the_crate() {
        assert_eq!(table(&source::named("ARCHITECTURE.md").text), order(&source::named("src/lib.rs")));
    }

    fn broken(path: &str, text: &str) -> usize {
        let order = ["fault", "chip", "gate"].map(str::to_owned);
        breaks(&order, &Source::new(path, text)).len()
    }

    #[test]
    fn a_module_that_names_a_lower_one_is_found() {
        assert_eq!(broken("src/chip/nrf52.rs", "use crate::gate::lock;"), 1);
        assert_eq!(broken("src/chip/mod.rs", "use crate::{fault::{Fault, Party}, gate, chip::x};"), 1);
        assert_eq!(broken("src/chip/mod.rs", "use crate::{\n    fault::Fault,\n    gate::{a, b},\n};"), 1);
        assert_eq!(broken("src/chip/mod.rs", "fn a() { crate::gate::lock() }"), 1);
        assert_eq!(broken("src/chip/nrf52.rs", "use super::super::gate::lock;"), 1);
        assert_eq!(broken("src/fault.rs", "mod tests { use super::super::{chip, gate}; }"), 2);
        assert_eq!(broken("src/utils.rs", ""), 1);
    }

    #[test]
    fn a_module_that_names_higher_ones_and_its_own_is_fine() {
        assert_eq!(broken("src/gate.rs", "use crate::{chip::Family, fault::Fault}; use super::chip;"), 0);
        assert_eq!(broken("src/chip/nrf52.rs", "use super::gate; // crate::gate\n/// [`crate::gate`]"), 0);
        assert_eq!(broken("src/chip/mod.rs", "mod tests { use super::gate; fn a() { \"crate::gate\" } }"), 0);
        assert_eq!(broken("src/main.rs", "use crate::gate;"), 0);
    }

    #[test]
    fn a_table_is_read_from_its_section_only() {
        let page =
            "## Other\n| `x` | y |\n## Modules\n| module | purpose |\n|---|---|\n| `fault` | a `b` |\n| `chip` | c |\n";
        assert_eq!(table(page), ["fault", "chip"]);
    }
}
