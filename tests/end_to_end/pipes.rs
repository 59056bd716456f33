//! The command line as scripts meet it: pipes that close, words for help, arguments that are not known.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

use super::{Kept, exit, rootstamp, run, stderr, stdout};

/// Every command a person can ask for.
const COMMANDS: [&str; 10] =
    ["demo", "station", "verify", "inspect", "check", "schema", "boards", "records", "dispose", "export"];

#[test]
fn a_reader_that_goes_away_ends_nothing_with_a_panic() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    for (arguments, expected) in [
        (vec!["demo", "--headless", "--json", "--units", "2", "--data", folder], 0),
        (vec!["records", "list", "--json", "--data", folder], 0),
        (vec!["records", "verify", "--data", folder], 0),
        (vec!["schema", "product"], 0),
        (vec!["station", "--help"], 0),
    ] {
        let mut child = rootstamp().args(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        // `head -n 1`, or less than that.
        let mut reader = BufReader::with_capacity(16, child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        drop(reader);
        let mut said = child.stderr.take().unwrap();
        let code = Kept(child).exit();
        let mut words = String::new();
        said.read_to_string(&mut words).unwrap();
        assert!(!words.contains("panicked") && !words.contains("Broken pipe"), "{arguments:?}: {words}");
        assert_eq!(code, expected, "{arguments:?}: {words}");
    }
    let listed = stdout(&run(["records", "list", "--data", folder]));
    assert_eq!(listed.lines().filter(|line| line.contains("PASS")).count(), 2, "the shift was finished: {listed}");
}

#[test]
fn every_help_says_whose_truth_is_tested_and_how_to_begin() {
    let all = run(["--help"]);
    assert_eq!(exit(&all), 0);
    for command in COMMANDS {
        assert!(stdout(&all).contains(&format!("  {command} ")), "{command} is not in the list");
        let help = run([command, "--help"]);
        assert_eq!(exit(&help), 0, "{command}");
        let words = stdout(&help);
        let truth = words.contains("Tests ") || words.contains("Tests\n");
        assert!(truth, "{command} does not say what it tests:\n{words}");
    }
    for question in ["list", "show", "search", "verify"] {
        assert_eq!(exit(&run(["records", question, "--help"])), 0);
    }
    assert!(!stdout(&all).contains("worker"), "the worker is nobody's command");
}

#[test]
fn what_is_not_known_is_refused_as_usage_with_the_nearest_word() {
    for (arguments, said) in [
        (vec!["demmo"], "demo"),
        (vec!["demo", "--unit", "3"], "--units"),
        (vec!["demo", "--units", "0"], "1.."),
        (vec!["demo", "--units", "-1"], "-1"),
        (vec!["demo", "--chip", "nRF5340", "--headless"], "nRF52840"),
        (vec!["station"], "--station"),
        (vec!["station", "--station", "absent.toml", "--recipe", "absent.toml"], "absent.toml"),
        (vec!["station", "--station", "a.toml"], "--recipe"),
        (vec!["verify", "GW3-0000001R"], "--station"),
        (vec!["verify", "x"], "only A-Z"),
        (vec!["check"], "--station"),
        (vec!["check", "--order", "x.toml"], "later release"),
        (vec!["records", "show", "'; DROP TABLE entries; --"], "only A-Z"),
        (vec!["dispose", "forget", "GW3-0000001R", "--reason", "x"], "release"),
        (vec![], "Usage"),
    ] {
        let refused = run(&arguments);
        assert_eq!(exit(&refused), 2, "{arguments:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(said), "{arguments:?}: {}", stderr(&refused));
        assert!(refused.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_signal_at_a_headless_line_that_waits_ends_it_and_says_interrupted() {
    let bench = super::bench::Bench::one();
    for name in ["TERM", "INT"] {
        let mut line = super::line::Line::start(&mut bench.line());
        line.sees(0, "fresh");
        super::signal(name, line.process());
        let told = line.wait("the end", |event| event["event"] == "closed");
        assert_eq!(told["tally"]["passed"], 0);
        assert_eq!(line.child.exit(), 130);
    }
}

#[test]
fn a_signal_in_the_middle_of_a_unit_finishes_it_first() {
    let bench = super::bench::Bench::one();
    let mut line = super::line::Line::start(&mut bench.line());
    line.sees(0, "fresh");
    line.scan(&super::label(1));
    line.begins(0, "program");
    super::signal("TERM", line.process());
    assert_eq!(line.verdict(0)["verdict"], "PASS");
    assert_eq!(line.child.exit(), 130);
    bench.truth("site-1", &super::label(1));
}

#[test]
fn a_colour_is_never_sent_to_a_pipe() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    for arguments in [vec!["demo", "--units", "1", "--data", folder], vec!["check"], vec!["--help"]] {
        let told = run(&arguments);
        assert!(!told.stdout.contains(&0x1b) && !told.stderr.contains(&0x1b), "{arguments:?}");
    }
}
