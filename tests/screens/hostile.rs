//! Text from outside, at its worst: it stays in its place, on the screen and on a real terminal.

use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};
use rootstamp::{
    fault::{Fault, Party},
    ident::Mode,
    session::news::{Event, Outcome, Presence, Progress, Site},
    ui::{keys::KeyName, look::Look, update::What, view::view},
};

use super::bench::*;

const HOSTILE: &str =
    "\u{1b}[2J\u{1b}[1;1H\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{200b}\r\n\t\u{7f}e\u{301}\u{1f1e9}\u{1f1ea}PWNED";

/// The bytes a terminal gets, as that terminal then shows them.
fn on_a_terminal(screen: &Screen, size: (u16, u16)) -> vt100::Parser {
    let mut bytes = Vec::new();
    let area = Rect::new(0, 0, size.0, size.1);
    let options = TerminalOptions { viewport: Viewport::Fixed(area) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(&mut bytes), options).unwrap();
    terminal.draw(|frame| view(&screen.model, frame)).unwrap();
    drop(terminal);
    let mut parser = vt100::Parser::new(size.1.try_into().unwrap(), size.0.try_into().unwrap(), 0);
    parser.process(&bytes);
    parser
}

/// Every string the session or a person can hand in, replaced by `text`, in every place that shows one.
fn screens(text: &str) -> Vec<Screen> {
    let fault = Fault::new(Party::Operator, text, text).code(text).detail(text);
    let outcome = || Outcome { beside: text.into(), fault: Some(fault.clone()), next: text.into(), ..fail() };
    let mut hostile = bench(2, Mode::Training);
    hostile.sites = vec![text.into(), text.into()];
    hostile.steps = vec![text.into(); 3];
    (hostile.station, hostile.product, hostile.title) = (text.into(), text.into(), text.into());
    (hostile.symbols, hostile.serial_pattern) = (text.into(), text.into());
    let open = || {
        let mut screen = Screen::open(hostile.clone(), Look::RICH);
        screen.take(What::Hands { hints: vec![text.into(); 9], keys: vec![(KeyName::F(5), text.into())] });
        screen.take(What::Paste(text.into()));
        screen.start(0, LABEL);
        screen.step(0, text, Progress::Going { done: 7, total: 0 });
        screen.hear(Event::ScanRefused { read: text.into(), why: text.into() });
        screen.hear(measured(text, Some(text), Some(text)));
        screen
    };
    let acts: [&dyn Fn(&mut Screen); 6] = [
        &|_| {},
        &|screen| screen.verdict(0, outcome()),
        &|screen| screen.hear(Event::Ask { site: Site(0), what: text.into() }),
        &|screen| screen.hear(Event::LineHolds { fault: fault.clone() }),
        &|screen| screen.hear(Event::WhichSite { serial: serial(LABEL), sites: vec![Site(7), Site(1)] }),
        &|screen| {
            screen.verdict(0, outcome());
            screen.press(KeyName::F(2));
        },
    ];
    let played = acts.into_iter().map(|act| {
        let mut screen = open();
        act(&mut screen);
        screen
    });
    played.collect()
}

#[test]
fn a_terminal_shows_what_the_screen_meant_whatever_came_from_outside() {
    for size in [SMALL, LARGE] {
        for screen in screens(HOSTILE) {
            let (terminal, meant) = (on_a_terminal(&screen, size), screen.cells(size));
            for (at, cell) in (0u16..).zip(&meant.content) {
                let (x, y) = (at % size.0, at / size.0);
                let shown = terminal.screen().cell(y, x).unwrap();
                let contents = if shown.has_contents() { shown.contents() } else { " " };
                assert!(shown.is_wide_continuation() || contents == cell.symbol(), "{contents:?} at {x},{y}");
            }
        }
    }
}

#[test]
fn hostile_text_changes_no_cell_outside_its_place() {
    // As many cells in as many words, all harmless.
    let harmless: String = "x".repeat(HOSTILE.chars().count());
    for (hostile, plain) in screens(HOSTILE).iter().zip(&screens(&harmless)) {
        let (hostile, plain) = (on_a_terminal(hostile, SMALL), on_a_terminal(plain, SMALL));
        for y in 0..SMALL.1 {
            for x in 0..SMALL.0 {
                let (was, is) = (plain.screen().cell(y, x).unwrap(), hostile.screen().cell(y, x).unwrap());
                let ours = !was.contents().eq_ignore_ascii_case("x");
                assert!(!ours || was == is, "{was:?} became {is:?} at {x},{y}\n{}", hostile.screen().contents());
            }
        }
    }
}

#[test]
fn no_cell_holds_a_character_that_moves_or_hides_others() {
    for screen in screens(HOSTILE) {
        for cell in &screen.cells(LARGE).content {
            let mut characters = cell.symbol().chars();
            let harmless =
                characters.next().is_some_and(|one| !one.is_control() && !"\u{202e}\u{200b}\u{301}".contains(one));
            assert!(harmless && characters.next().is_none(), "{:?}", cell.symbol());
        }
    }
}

#[test]
fn no_size_of_window_makes_the_screen_panic_and_a_small_one_says_what_is_needed() {
    let screens: Vec<Screen> = screens(HOSTILE).into_iter().chain(screens("日本語 ")).collect();
    for width in (1..=200).step_by(3).chain([79, 80, 81]) {
        for height in (1..=60).step_by(3).chain([23, 24, 25]) {
            for screen in &screens {
                screen.draw((width, height));
            }
        }
    }
    let text = Screen::one().draw((60, 10)).backend().to_string();
    assert!(text.contains("Make the window at least 80x24 (now 60x10)."), "{text}");
}

#[test]
fn a_site_or_a_step_nobody_announced_changes_nothing() {
    let mut screen = Screen::one();
    let before = screen.text();
    screen.start(9, LABEL);
    screen.step(9, "?", Progress::Begun);
    screen.verdict(9, fail());
    screen.board(9, Presence::Served);
    screen.hear(Event::Ask { site: Site(9), what: "?".into() });
    screen.hear(Event::Binned { site: Site(0) });
    assert_eq!(screen.text(), before);
}
