//! Every state as it is seen, at the smallest window and at a large one.

use insta::{Settings, assert_snapshot};
use ratatui::style::{Color, Modifier};
use rootstamp::{
    ident::Mode,
    session::news::{Event, Outcome, Presence, Progress, Site, Verdict},
    ui::{keys::KeyName, look::Look, update::What},
};

use super::bench::*;

/// Compares with `tests/snapshots`, at both sizes.
fn seen(name: &str, screen: &Screen) {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for size in [SMALL, LARGE] {
            let name = format!("{name}_{}x{}", size.0, size.1);
            assert_snapshot!(name, screen.draw(size).backend().to_string());
        }
    });
}

fn running() -> Screen {
    let mut screen = Screen::one();
    screen.start(0, LABEL);
    for step in &STEPS[..3] {
        screen.step(0, step, Progress::Begun);
        screen.step(0, step, Progress::Done);
    }
    screen.step(0, STEPS[3], Progress::Begun);
    screen.step(0, STEPS[3], Progress::Going { done: 90_112, total: 131_072 });
    screen
}

fn ended(outcome: Outcome) -> Screen {
    let mut screen = running();
    screen.verdict(0, outcome);
    screen
}

#[test]
fn ready_on_one_site() {
    seen("ready", &Screen::one());
}

#[test]
fn ready_on_two_sites_with_a_board_in_the_left() {
    let mut screen = Screen::two();
    screen.board(0, Presence::Fresh);
    seen("ready_two_sites", &screen);
}

#[test]
fn running_looks_different_at_every_tick() {
    let mut screen = running();
    let before = screen.cells(SMALL);
    seen("running_first_tick", &screen);
    screen.wait(100);
    assert_ne!(screen.cells(SMALL), before);
    seen("running_second_tick", &screen);
}

#[test]
fn one_site_running_while_the_other_waits() {
    let mut screen = Screen::two();
    screen.start(1, LABEL);
    screen.step(1, STEPS[0], Progress::Begun);
    screen.wait(100);
    seen("running_two_sites", &screen);
}

#[test]
fn pass_with_the_boot_seen() {
    seen("pass_boot_seen", &ended(pass("boot seen")));
}

#[test]
fn pass_with_the_boot_not_observed() {
    seen("pass_boot_not_observed", &ended(pass("boot not observed")));
}

#[test]
fn fail() {
    seen("fail", &ended(super::bench::fail()));
}

#[test]
fn retry() {
    seen("retry", &ended(super::bench::retry()));
}

#[test]
fn hold() {
    seen("hold", &ended(super::bench::hold()));
}

#[test]
fn done_already() {
    seen("done_already", &ended(super::bench::done_already()));
}

#[test]
fn a_bench_without_any_probe_is_not_ready_and_says_what_to_do() {
    let mut screen = Screen::two();
    screen.board(0, Presence::Fresh);
    screen.hear(no_probe(0));
    assert!(screen.row(3).contains("READY"), "the other site can be used");
    assert_eq!(screen.next(), "Put a board in, then scan its label.");
    screen.hear(no_probe(1));
    seen("no_probe_two_sites", &screen);
    assert!(screen.next().contains("plugs the probe in") && !screen.text().contains("READY"), "{}", screen.text());
    for site in [0, 1] {
        screen.hear(Event::SiteFault { site: Site(site), fault: None });
    }
    assert_eq!(screen.next(), "Scan the label of the board.");
    let mut screen = Screen::one();
    screen.board(0, Presence::Fresh);
    screen.hear(no_probe(0));
    seen("no_probe", &screen);
    assert!(screen.next().contains("plugs the probe in"), "{}", screen.text());
}

#[test]
fn a_fail_on_one_site_while_the_other_runs() {
    let mut screen = Screen::two();
    screen.start(0, LABEL);
    screen.start(1, "GW3-0000043L");
    screen.step(1, STEPS[1], Progress::Begun);
    screen.verdict(0, super::bench::fail());
    seen("fail_two_sites", &screen);
}

#[test]
fn two_verdicts_at_once() {
    let mut screen = Screen::two();
    screen.start(0, LABEL);
    screen.start(1, "GW3-0000043L");
    screen.verdict(0, super::bench::hold());
    screen.at += 10;
    screen.verdict(1, pass("boot seen"));
    seen("pass_and_hold_two_sites", &screen);
}

#[test]
fn a_board_that_was_served_and_is_still_in() {
    let mut screen = Screen::one();
    screen.board(0, Presence::Served);
    seen("remove", &screen);
}

#[test]
fn a_board_that_is_still_in_one_site_while_the_other_is_free() {
    let mut screen = Screen::two();
    screen.board(1, Presence::Served);
    seen("remove_two_sites", &screen);
}

#[test]
fn the_line_holds() {
    let mut screen = Screen::two();
    screen.start(0, LABEL);
    screen.hear(line_holds());
    seen("line_holds", &screen);
}

#[test]
fn which_site() {
    let mut screen = Screen::two();
    screen.board(0, Presence::Fresh);
    screen.board(1, Presence::Fresh);
    screen.hear(Event::WhichSite { serial: serial(LABEL), sites: vec![Site(0), Site(1)] });
    seen("which_site", &screen);
}

#[test]
fn a_hand_is_needed() {
    let mut screen = running();
    screen.hear(Event::Ask { site: Site(0), what: "Switch the power of the fixture off and on again.".into() });
    seen("ask", &screen);
}

#[test]
fn a_scan_was_refused() {
    let mut screen = Screen::one();
    screen.hear(Event::ScanRefused {
        read: "gw4-12".into(),
        why: "this is no label of GW3; expected one like GW3-0000000A".into(),
    });
    seen("refused_scan", &screen);
}

#[test]
fn half_a_scan() {
    let mut screen = Screen::one();
    assert_eq!(screen.scan("GW3-0000\u{1b}\u{202e}4"), []);
    seen("half_a_scan", &screen);
}

#[test]
fn help() {
    let mut screen = Screen::one();
    screen.press(KeyName::F(1));
    seen("help", &screen);
}

#[test]
fn details_of_a_failed_board() {
    let mut screen = running();
    screen.hear(measured("flash.bootloader", Some("sha256:2b1e0a55"), Some("sha256:2b1e0a55")));
    screen.hear(measured("uicr.customer[3]", Some("0x5a17c3d0"), Some("0x5a17c7d4")));
    screen.hear(measured("uicr.approtect", Some("0x00000000"), None));
    screen.step(0, STEPS[4], Progress::Begun);
    screen.step(0, STEPS[4], Progress::Stopped);
    screen.verdict(0, super::bench::fail());
    screen.press(KeyName::F(2));
    seen("details", &screen);
    screen.press(KeyName::PageDown);
    seen("details_further_down", &screen);
}

#[test]
fn asked_whether_to_leave() {
    let mut screen = Screen::one();
    screen.press(KeyName::F(10));
    seen("leave_asked", &screen);
}

#[test]
fn the_demo_tells_a_newcomer_what_to_do() {
    let mut screen = Screen::two();
    let keys = vec![(KeyName::F(5), "board left".into()), (KeyName::F(6), "board right".into())];
    let hints =
        vec!["1. Press F5: a virtual board goes into the left site.".into(), format!("2. Type {LABEL} and Enter.")];
    screen.take(What::Hands { hints, keys });
    screen.start(0, LABEL);
    screen.verdict(0, pass("boot seen"));
    seen("demo", &screen);
}

#[test]
fn the_mode_is_marked_unless_it_is_production() {
    for (mode, mark) in [(Mode::Training, "TRAINING"), (Mode::Engineering, "ENGINEERING"), (Mode::Production, "")] {
        let screen = Screen::open(bench(1, mode), Look::RICH);
        assert!(screen.row(0).ends_with(if mark.is_empty() { "◆2" } else { mark }), "{}", screen.row(0));
        let inverse = screen.cells(SMALL).content[..80].iter().any(|cell| cell.modifier.contains(Modifier::REVERSED));
        assert_eq!(inverse, mode != Mode::Production);
    }
    seen("engineering", &Screen::open(bench(1, Mode::Engineering), Look::RICH));
    seen("production", &Screen::open(bench(1, Mode::Production), Look::RICH));
}

#[test]
fn long_names_give_way_to_the_symbols_and_to_the_mark_of_the_mode() {
    let mut bench = bench(1, Mode::Engineering);
    bench.station = "a station with a name as long as a production hall".into();
    bench.title = "Gateway with a title nobody can remember".into();
    let row = Screen::open(bench, Look::RICH).row(0);
    assert!(row.contains("recipe ▲7 ■4 ●K ◆2") && row.ends_with("ENGINEERING") && row.contains("a stat"), "{row}");
}

#[test]
fn verdicts_without_colour_and_without_block_characters() {
    for (name, outcome) in verdicts() {
        let mut screen = Screen::open(bench(2, Mode::Training), POOR);
        screen.start(0, LABEL);
        screen.verdict(0, outcome);
        let text = screen.text();
        assert!(text.is_ascii(), "{text}");
        seen(&format!("poor_{name}"), &screen);
    }
}

#[test]
fn without_colour_no_cell_has_one_in_any_state() {
    for (_, outcome) in verdicts() {
        let mut screen = Screen::open(bench(2, Mode::Training), Look { colour: false, ..Look::RICH });
        screen.start(1, LABEL);
        screen.hear(Event::Ask { site: Site(1), what: "Press the lid.".into() });
        screen.verdict(0, outcome);
        for size in [SMALL, LARGE] {
            assert!(screen.cells(size).content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
        }
    }
}

#[test]
fn only_the_sixteen_colours_are_used() {
    for (_, outcome) in verdicts() {
        let screen = ended(outcome);
        let named = |colour: Color| !matches!(colour, Color::Rgb(..) | Color::Indexed(_));
        assert!(screen.cells(SMALL).content.iter().all(|cell| named(cell.fg) && named(cell.bg)));
    }
}

#[test]
fn every_verdict_has_its_own_colour_and_only_fail_is_inverse() {
    let expected = [Color::LightCyan, Color::LightRed, Color::LightYellow, Color::LightMagenta, Color::LightCyan];
    for ((name, outcome), colour) in verdicts().into_iter().zip(expected) {
        let screen = ended(outcome);
        let cells = screen.cells(SMALL);
        let corner = cells.cell((0, 3)).unwrap();
        assert_eq!(corner.fg, colour, "{name}");
        assert_eq!(corner.modifier.contains(Modifier::REVERSED), name == "fail", "{name}");
    }
}

/// A word, a frame and a fill each: with the word covered and the colours off, no verdict is taken for another.
#[test]
fn frames_and_fills_differ_between_any_two_verdicts() {
    let edge = |outcome: Outcome| {
        let mut screen = Screen::open(bench(1, Mode::Training), POOR);
        screen.start(0, LABEL);
        screen.verdict(0, outcome);
        let cells = screen.cells(SMALL);
        (3..18).map(|y| cells.cell((0, y)).unwrap().symbol().to_owned()).collect::<String>()
    };
    let edges: Vec<String> = verdicts().into_iter().map(|(_, outcome)| edge(outcome)).collect();
    for (at, edge) in edges.iter().enumerate() {
        assert!(!edges[at + 1..].contains(edge), "{edge}");
    }
}

/// From three metres: as wide as the panel allows, so at least two thirds of the window.
#[test]
fn a_verdict_of_four_letters_fills_the_panel() {
    for (size, columns, rows) in [(SMALL, 69, 10), (LARGE, 115, 25)] {
        let cells = ended(pass("boot seen")).cells(size);
        let inside = |x: u16, y: u16| x >= 2 && x < size.0 - 2 && y > 3 && y < size.1 - 7;
        let full = (0..size.0).flat_map(|x| (0..size.1).map(move |y| (x, y)));
        let full: Vec<_> = full.filter(|&(x, y)| inside(x, y) && cells.cell((x, y)).unwrap().symbol() == "█").collect();
        let span = |of: fn(&(u16, u16)) -> u16| {
            let (low, high) = (full.iter().map(of).min().unwrap(), full.iter().map(of).max().unwrap());
            high - low + 1
        };
        assert!(span(|at| at.0) >= columns, "{size:?}: {} columns", span(|at| at.0));
        assert!(span(|at| at.1) >= rows, "{size:?}: {} rows", span(|at| at.1));
    }
}

fn verdicts() -> [(&'static str, Outcome); 5] {
    let all = [
        ("pass", pass("boot seen")),
        ("fail", super::bench::fail()),
        ("retry", super::bench::retry()),
        ("hold", super::bench::hold()),
        ("done_already", super::bench::done_already()),
    ];
    let words = [Verdict::Pass, Verdict::Fail, Verdict::Retry, Verdict::Hold, Verdict::DoneAlready];
    assert!(all.iter().zip(words).all(|((_, outcome), word)| outcome.verdict == word));
    all
}
