//! What the papers promise is there: commands parse, links lead somewhere, the change log has a place for what is new.

use std::path::Path;

use clap::Parser as _;
use rootstamp::cli::Arguments;

use super::{
    expect_none,
    source::{self, Source},
};

/// Every command line of a fenced block that the program would not take.
fn commands(page: &Source) -> Vec<String> {
    let quoted = fenced(&page.text).filter_map(|(line, text)| Some((line, arguments(text)?)));
    quoted
        .filter(|(_, words)| Arguments::try_parse_from(words).is_err_and(|error| error.use_stderr()))
        .map(|(line, words)| format!("{}:{line}: not a command: {}", page.path, words.join(" ")))
        .collect()
}

/// The lines inside fences, with their numbers counted from 1.
fn fenced(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(line, text)| {
        let fence = text.trim_start().starts_with("```");
        inside ^= fence;
        (inside && !fence).then_some((line + 1, text))
    })
}

/// The words of a line that runs rootstamp, as installed or through cargo; a comment and what follows a pipe are not
/// its words.
fn arguments(line: &str) -> Option<Vec<String>> {
    let line = line.trim_start().trim_start_matches("$ ");
    let after = match line.split_once("cargo run ") {
        Some(("", run)) => run.split_once(" -- ")?.1,
        _ => line.strip_prefix("rootstamp ")?,
    };
    let own = after.split(" #").next()?.split(['|', '>', '&', ';']).next()?;
    Some(std::iter::once("rootstamp").chain(own.split_whitespace()).map(str::to_owned).collect())
}

/// Every link of a page that leads nowhere in the tree.
fn links(page: &Source, exists: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let targets = page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let inner = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    inner
        .filter(|target| !leads_somewhere(page, target, &exists))
        .map(|target| format!("{}: the link to {target} leads nowhere", page.path))
        .collect()
}

fn leads_somewhere(page: &Source, target: &str, exists: impl Fn(&str) -> Option<String>) -> bool {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let text = if file.is_empty() { Some(page.text.clone()) } else { exists(&folder.join(file).to_string_lossy()) };
    text.is_some_and(|text| anchor.is_empty() || headings(&text).any(|heading| heading == anchor))
}

/// Headings as links name them: lower case, hyphens for blanks, no other marks.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    titles.map(|title| {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
    })
}

fn has_place_for_news(changes: &str) -> bool {
    changes.lines().any(|line| line.trim_end() == "## [Unreleased]")
}

mod tests {
    use super::*;

    fn pages() -> Vec<Source> {
        source::tree().into_iter().filter(|source| source.is("md")).collect()
    }

    #[test]
    fn every_command_that_a_page_quotes_is_one_the_program_takes() {
        let broken: Vec<_> = pages().iter().flat_map(commands).collect();
        expect_none(&broken);
    }

    #[test]
    fn every_link_inside_the_tree_leads_somewhere() {
        let there = |path: &str| {
            let path = source::root().join(path);
            if path.is_dir() {
                Some(String::new())
            } else {
                rootstamp::file::read(&path, rootstamp::file::LIMIT).ok()?.text().ok().map(str::to_owned)
            }
        };
        let broken: Vec<_> = pages().iter().flat_map(|page| links(page, there)).collect();
        expect_none(&broken);
    }

    #[test]
    fn the_change_log_has_a_place_for_what_is_new() {
        assert!(has_place_for_news(&source::named("CHANGELOG.md").text));
        assert!(!has_place_for_news("# Changes\n\n## [0.1.0]\n"));
    }

    #[test]
    fn a_command_that_does_not_exist_is_found_in_fences_only() {
        let page = "rootstamp fly\n```sh\n$ rootstamp fly --far # up\ncargo run --locked -- fly\nrootstamp schema --help | head\n```\n";
        let broken = commands(&Source::new("README.md", page));
        assert_eq!(
            broken,
            ["README.md:3: not a command: rootstamp fly --far", "README.md:4: not a command: rootstamp fly"]
        );
    }

    #[test]
    fn a_link_to_nowhere_is_found() {
        let page =
            Source::new("docs/a.md", "# Exit codes\n[a](b.md) [b](c.md) [c](#exit-codes) [d](#no) [e](http://x)");
        let there = |path: &str| (path == "docs/b.md").then(String::new);
        assert_eq!(
            links(&page, there),
            ["docs/a.md: the link to c.md leads nowhere", "docs/a.md: the link to #no leads nowhere"]
        );
    }
}
