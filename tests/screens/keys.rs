//! What the screen does with what is typed: by a label reader, and by a person.

use rootstamp::{
    session::news::{Answer, Command, Event, Presence, Site},
    ui::{keys::KeyName, update::What},
};

use super::bench::*;

fn scanned(text: &str) -> Command {
    Command::Scan(text.to_owned())
}

#[test]
fn every_ending_a_reader_may_send_ends_a_scan_once() {
    for ending in ["\r", "\n", "\r\n", "\t", "\r\n\t"] {
        let mut screen = Screen::one();
        let commands = screen.scan(&format!("{LABEL}{ending}"));
        assert_eq!(commands, [scanned(LABEL)], "{ending:?}");
    }
}

#[test]
fn a_line_feed_after_a_carriage_return_does_not_scan_twice() {
    let mut screen = Screen::two();
    let commands = screen.scan("GW3-0000001A\r\nGW3-0000002B\r\n");
    assert_eq!(commands, [scanned("GW3-0000001A"), scanned("GW3-0000002B")]);
}

#[test]
fn a_line_feed_that_comes_late_leaves_the_refusal_on_the_screen() {
    let mut screen = Screen::one();
    screen.scan("nonsense\r");
    screen.hear(Event::ScanRefused { read: "nonsense".into(), why: "expected GW3-0000000A".into() });
    screen.scan("\n");
    assert_eq!(screen.notice(), "✖ “nonsense” – expected GW3-0000000A");
}

#[test]
fn a_reader_that_puts_enter_first_scans_nothing_before_the_label() {
    assert_eq!(Screen::one().scan(&format!("\r{LABEL}\r")), [scanned(LABEL)]);
}

#[test]
fn letters_typed_by_a_scanner_never_act_as_commands() {
    let mut screen = Screen::one();
    let before = (screen.row(3), screen.next());
    for letter in (' '..='~').chain(['é', '日']) {
        assert_eq!(screen.press(KeyName::Char(letter)), None, "{letter}");
        assert_eq!((screen.row(3), screen.next()), before, "{letter}");
    }
}

#[test]
fn a_function_key_or_an_interrupt_inside_a_label_is_part_of_the_label() {
    for smuggled in [KeyName::F(10), KeyName::F(1), KeyName::Interrupt, KeyName::Escape, KeyName::Backspace] {
        let mut screen = Screen::one();
        screen.scan("GW3-00");
        assert_eq!(screen.take(What::Key(smuggled)), None);
        let commands = screen.scan("00042K\r");
        assert_eq!(commands, [scanned("GW3-00\u{1b}00042K")], "the session refuses what is no label");
        assert_eq!(screen.take(What::Key(smuggled)), None, "{smuggled} right behind a label");
        assert_eq!(screen.next(), "Put a board in, then scan its label.");
    }
}

#[test]
fn a_scan_of_4_kb_leaves_the_screen_intact() {
    let mut screen = Screen::one();
    let before = screen.text();
    let commands = screen.scan(&format!("{}\r", "x'; DROP TABLE entries; --".repeat(400)));
    assert!(matches!(&commands[..], [Command::Scan(text)] if text.len() == 4_096));
    assert_eq!(screen.text(), before);
}

#[test]
fn while_a_long_scan_comes_only_its_row_changes() {
    let mut screen = Screen::one();
    let before = screen.text();
    screen.scan(&"\u{202e}A\u{1b}[2J".repeat(900));
    let changed: Vec<usize> = before
        .lines()
        .zip(screen.text().lines())
        .enumerate()
        .filter(|(_, (a, b))| a != b)
        .map(|(row, _)| row)
        .collect();
    assert_eq!(changed, [21]);
    assert!(screen.row(21).starts_with("SCAN ▸ ·A·[2J·A·[2J"), "{}", screen.row(21));
}

#[test]
fn a_paste_is_one_scan_whatever_is_in_it() {
    let mut screen = Screen::one();
    assert_eq!(screen.take(What::Paste(format!("{LABEL}\r\n"))), Some(scanned(LABEL)));
    assert_eq!(screen.take(What::Paste("a\nb\r\n".into())), Some(scanned("a\nb")));
    assert_eq!(screen.take(What::Paste("\r\n".into())), None);
    let long = screen.take(What::Paste("日".repeat(100_000)));
    assert!(matches!(long, Some(Command::Scan(text)) if text.len() <= 4_096));
}

#[test]
fn backspace_takes_back_and_escape_empties() {
    let mut screen = Screen::one();
    screen.scan("GW3-12");
    screen.press(KeyName::Backspace);
    assert_eq!(screen.row(21), "SCAN ▸ GW3-1");
    screen.press(KeyName::Escape);
    assert_eq!(screen.row(21), "SCAN ▸");
    assert_eq!(screen.scan("\r"), []);
}

#[test]
fn a_refused_scan_is_one_line_that_goes_away_by_itself_or_at_the_next_key() {
    let refused = || {
        let mut screen = Screen::one();
        screen.hear(Event::ScanRefused { read: "x".into(), why: "too short; expected GW3-0000000A".into() });
        assert_eq!(screen.notice(), "✖ “x” – too short; expected GW3-0000000A");
        screen
    };
    let mut screen = refused();
    screen.wait(5_900);
    assert_ne!(screen.notice(), "");
    screen.wait(200);
    assert_eq!(screen.notice(), "");
    let mut screen = refused();
    screen.press(KeyName::Char('G'));
    assert_eq!(screen.notice(), "");
}

#[test]
fn a_refused_scan_that_is_too_long_for_one_line_takes_the_scan_field_and_loses_nothing() {
    let like = "expected one like GW3-0000001R: only A-Z, 0-9 and - are allowed";
    let no_board = "no board is in: put it into the fixture first, then scan its label";
    for (read, why, folded) in [
        ("garb!", like, false),
        ("a very long text of some other label", like, true),
        ("GW3-0000001R", no_board, true),
        ("GW3-0000001R", "busy", false),
    ] {
        let mut screen = Screen::one();
        screen.hear(Event::ScanRefused { read: read.into(), why: why.into() });
        if folded {
            assert_eq!((screen.row(21), screen.notice()), (format!("SCAN ▸  “{read}”"), format!("✖ {why}")));
        } else {
            let whole = format!("✖ “{read}” – {why}");
            assert_eq!((screen.row(21), screen.notice()), ("SCAN ▸".to_owned(), whole));
        }
    }
}

#[test]
fn what_was_said_to_a_scan_goes_when_the_bench_is_otherwise() {
    type Change = (&'static str, fn(&mut Screen));
    let changes: [Change; 5] = [
        ("a board went in", |screen| screen.board(0, Presence::Fresh)),
        ("a unit was begun", |screen| screen.start(1, LABEL)),
        ("a verdict", |screen| screen.hear(Event::Verdict { site: Site(0), outcome: pass("boot seen") })),
        ("a probe went away", |screen| screen.hear(no_probe(0))),
        ("the red bin", |screen| screen.hear(Event::Binned { site: Site(0) })),
    ];
    for (what, change) in changes {
        let mut screen = Screen::two();
        screen.hear(Event::ScanRefused { read: "x".into(), why: "no board is in".into() });
        screen.board(0, Presence::Absent);
        assert_ne!(screen.notice(), "", "nothing is otherwise yet: {what}");
        change(&mut screen);
        assert_eq!(screen.notice(), "", "{what}");
    }
}

fn which() -> Screen {
    let mut screen = Screen::two();
    screen.hear(Event::WhichSite { serial: serial(LABEL), sites: vec![Site(0), Site(1)] });
    screen
}

#[test]
fn a_lone_digit_answers_which_site() {
    let mut screen = which();
    assert_eq!(screen.press(KeyName::Char('2')), None);
    assert_eq!(screen.wait(200), Some(Command::Choose(Site(1))));
    assert_eq!(screen.wait(200), None);
    assert_eq!(screen.row(21), "SCAN ▸");
    assert_eq!(which().scan("1\r"), [Command::Choose(Site(0))]);
}

#[test]
fn a_number_that_is_no_site_in_question_says_so() {
    for digit in ['0', '3', '9'] {
        let mut screen = which();
        screen.press(KeyName::Char(digit));
        assert_eq!(screen.wait(200), None);
        assert_eq!(
            screen.notice(),
            if digit == '0' { "" } else { "✖ That number is not one of the sites in question." }
        );
    }
}

#[test]
fn a_label_that_begins_with_a_digit_answers_nothing_and_is_not_lost_silently() {
    let mut screen = which();
    assert_eq!(screen.scan("2GW3-0000043L\r"), []);
    assert_eq!(screen.wait(200), None);
    assert_eq!(screen.notice(), "✖ Busy: answer first which site the board is in, with its number.");
}

#[test]
fn what_was_half_typed_when_the_question_came_is_no_answer() {
    let mut screen = Screen::two();
    screen.press(KeyName::Char('2'));
    screen.hear(Event::WhichSite { serial: serial(LABEL), sites: vec![Site(0), Site(1)] });
    assert_eq!(screen.wait(200), None);
    assert!(screen.notice().starts_with("✖ Busy: that scan was dropped."));
}

#[test]
fn digits_are_text_while_nothing_is_asked() {
    let mut screen = Screen::two();
    screen.press(KeyName::Char('1'));
    assert_eq!(screen.wait(1_000), None);
    assert_eq!(screen.scan("\r"), [scanned("1")]);
}

#[test]
fn a_scan_while_every_site_works_says_busy_and_never_waits_in_a_queue() {
    let mut screen = Screen::two();
    screen.start(0, LABEL);
    assert_eq!(screen.scan("GW3-0000043L\r"), [scanned("GW3-0000043L")], "the right site is free");
    screen.start(1, "GW3-0000043L");
    assert_eq!(screen.scan("GW3-0000044M\r"), []);
    assert_eq!(screen.notice(), "✖ Busy: wait for the verdict, then scan again.");
    assert_eq!(screen.scan(&format!("{BIN}\r")), [scanned(BIN)], "a bin may always be scanned");
}

#[test]
fn f3_and_f4_answer_what_was_asked_and_only_then() {
    for (key, answer) in [(KeyName::F(3), Answer::Done), (KeyName::F(4), Answer::Cannot)] {
        let mut screen = Screen::two();
        screen.start(1, LABEL);
        assert_eq!(screen.press(key), None);
        assert_eq!(screen.notice(), "✖ Nothing is asked for now.");
        screen.hear(Event::Ask { site: Site(1), what: "Switch the power off and on.".into() });
        assert!(screen.row(23).starts_with("F3  done   F4  cannot"));
        assert_eq!(screen.press(key), Some(Command::Answered(Site(1), answer)));
        assert_eq!(screen.press(key), None, "once");
    }
}

#[test]
fn f10_asks_once_and_leaves_at_the_second_press() {
    let mut screen = Screen::one();
    assert_eq!(screen.press(KeyName::F(10)), None);
    assert_eq!(screen.next(), "Press F10 again to finish the boards in hand and leave.");
    assert_eq!(screen.press(KeyName::F(10)), Some(Command::Leave));
    assert_eq!(screen.press(KeyName::F(10)), None, "the session is told once");
    assert_eq!(screen.scan(&format!("{LABEL}\r")), []);
    assert_eq!(screen.notice(), "✖ Busy: leaving, no new board is taken.");
}

#[test]
fn any_other_key_and_some_seconds_take_the_first_f10_back() {
    let mut screen = Screen::one();
    screen.press(KeyName::F(10));
    screen.press(KeyName::F(1));
    assert_eq!(screen.press(KeyName::F(10)), None);
    screen.wait(6_000);
    assert_eq!(screen.press(KeyName::F(10)), None);
}

#[test]
fn ctrl_c_and_a_signal_leave_at_once() {
    assert_eq!(Screen::one().press(KeyName::Interrupt), Some(Command::Leave));
    assert_eq!(Screen::one().take(What::Interrupted), Some(Command::Leave));
}

fn closed(screen: &mut Screen) {
    let (tally, exit) = (rootstamp::session::news::Tally::default(), rootstamp::fault::Exit::Pass);
    screen.hear(Event::Closed { tally, exit });
}

#[test]
fn a_verdict_that_comes_while_leaving_is_seen_before_the_screen_goes() {
    let mut screen = Screen::one();
    screen.start(0, LABEL);
    screen.press(KeyName::Interrupt);
    screen.at += 10;
    screen.verdict(0, fail());
    closed(&mut screen);
    assert!(!screen.model.is_over());
    assert!(screen.row(3).contains("FAIL"));
    assert!(screen.next().ends_with("Then press F10: the session is over."), "{}", screen.next());
    assert_eq!(screen.press(KeyName::F(10)), None);
    assert!(screen.model.is_over());
}

#[test]
fn a_verdict_that_was_seen_before_leaving_and_a_signal_do_not_keep_the_screen() {
    let mut screen = Screen::one();
    screen.verdict(0, pass("boot seen"));
    screen.press(KeyName::Interrupt);
    closed(&mut screen);
    assert!(screen.model.is_over());

    let mut screen = Screen::one();
    screen.start(0, LABEL);
    screen.take(What::Interrupted);
    screen.verdict(0, fail());
    closed(&mut screen);
    assert!(screen.model.is_over());
}

#[test]
fn a_pass_stays_until_its_board_is_gone() {
    let mut screen = Screen::one();
    screen.verdict(0, pass("boot seen"));
    screen.wait(1_000_000);
    assert!(screen.row(3).contains("PASS"));
    screen.board(0, Presence::Absent);
    assert!(screen.row(3).contains("READY"));
}

#[test]
fn a_fail_is_not_dismissed_before_removal_and_bin() {
    let bin = || Event::Binned { site: Site(0) };
    let gone = || Event::Board { site: Site(0), presence: Presence::Absent };
    let cases = [
        (bin(), "The bin is scanned. Take the board out.", gone()),
        (gone(), "Put the board into the red bin and scan the bin.", bin()),
    ];
    for (first, between, second) in cases {
        let mut screen = Screen::one();
        screen.verdict(0, fail());
        screen.hear(first);
        assert!(screen.row(3).contains("FAIL"));
        assert_eq!(screen.next(), between);
        screen.hear(second);
        assert!(screen.row(3).contains("READY"), "{}", screen.row(3));
    }
}

#[test]
fn a_bench_without_a_bin_to_scan_lets_a_fail_go_with_its_board() {
    let mut bench = bench(1, rootstamp::ident::Mode::Training);
    bench.bin = None;
    let mut screen = Screen::open(bench, rootstamp::ui::look::Look::RICH);
    screen.verdict(0, fail());
    screen.board(0, Presence::Absent);
    assert!(screen.row(3).contains("READY"));
}

#[test]
fn a_board_pulled_while_it_ran_keeps_its_verdict_until_the_next_board() {
    let mut screen = Screen::one();
    screen.start(0, LABEL);
    screen.board(0, Presence::Absent);
    screen.hear(Event::Verdict { site: Site(0), outcome: hold() });
    assert!(screen.row(3).contains("HOLD"));
    screen.board(0, Presence::Fresh);
    assert!(screen.row(3).contains("READY"));
}

#[test]
fn a_verdict_and_a_question_bring_an_operator_back_from_help() {
    let mut screen = Screen::two();
    screen.start(0, LABEL);
    screen.press(KeyName::F(1));
    assert!(screen.row(3).contains("HELP"));
    screen.verdict(0, hold());
    assert!(screen.row(3).contains("HOLD"));
    screen.press(KeyName::F(2));
    screen.hear(Event::WhichSite { serial: serial(LABEL), sites: vec![] });
    assert!(screen.row(3).contains("WHICH SITE?"));
}

#[test]
fn on_a_line_that_holds_the_verdict_of_the_only_site_is_still_there() {
    let mut screen = Screen::one();
    screen.start(0, LABEL);
    screen.verdict(0, hold());
    screen.hear(line_holds());
    assert!(screen.row(3).contains("LINE HOLDS"));
    assert!(screen.row(15).contains("HOLD  "), "{}", screen.text());
}

#[test]
fn the_details_go_to_the_other_site_and_never_past_the_last() {
    let mut screen = Screen::two();
    screen.press(KeyName::F(2));
    for (key, name) in
        [(KeyName::Left, "1 left"), (KeyName::Right, "2 right"), (KeyName::Right, "2 right"), (KeyName::Up, "2 right")]
    {
        screen.press(key);
        assert!(screen.row(3).contains(name), "{}", screen.row(3));
    }
    screen.press(KeyName::F(2));
    assert!(screen.row(3).contains("READY"));
}

#[test]
fn a_yield_is_rounded_down_and_none_is_a_dash() {
    let mut screen = Screen::one();
    for (passed, ended, text) in
        [(0, 0, "yield -"), (1_999, 2_000, "yield 99.9 %"), (7, 7, "yield 100.0 %"), (0, 3, "yield 0.0 %")]
    {
        let tally = rootstamp::session::news::Tally { first_passed: passed, first_ended: ended, ..Default::default() };
        screen.hear(Event::Tally(tally));
        assert!(screen.row(1).contains(&format!("first-pass {text} ")), "{}", screen.row(1));
    }
}
