//! The operator's screen in a pseudo-terminal: a unit from scan to verdict, hostile scans, and every way out.

use std::io::Read as _;

use serde_json::json;
use tempfile::TempDir;

use super::{
    Kept, at_once,
    bench::{Bench, records},
    boards::Boards,
    exit, label, objects, project,
    terminal::{Key, LARGE, SMALL, Terminal},
};

/// The demo on the screen; its first label is free.
fn demo(size: (u16, u16), colour: bool) -> (TempDir, Terminal) {
    let data = tempfile::tempdir().unwrap();
    let terminal = Terminal::demo(size, data.path(), colour);
    (data, terminal)
}

/// Leaves as an operator does, and finds the terminal as it was.
fn leave(mut terminal: Terminal) -> i32 {
    terminal.press(Key::F10);
    terminal.shows("again");
    terminal.press(Key::F10);
    let code = terminal.exit();
    terminal.is_restored();
    code
}

/// From a board put in to READY again, the scan ended in this way.
fn unit(terminal: &Terminal, number: u64, ending: &[u8]) {
    terminal.press(Key::F5);
    terminal.shows("board in, scan its label");
    terminal.type_in(&[label(number).as_bytes(), ending].concat());
    terminal.shows("RUNNING");
    terminal.shows("Take the board out.");
    let passed = terminal.text();
    assert!(passed.contains("boot seen") && passed.contains(&label(number)), "{passed}");
    assert!(passed.contains(&format!("passed {number} ")), "{passed}");
    terminal.press(Key::F2);
    terminal.shows("DETAILS");
    terminal.press(Key::F2);
    terminal.shows_no("DETAILS");
    terminal.press(Key::F5);
    terminal.shows("A label looks like");
}

#[test]
fn a_unit_goes_from_scan_to_pass_with_every_ending_a_scanner_may_send() {
    let (data, terminal) = demo(SMALL, true);
    for (number, ending) in [(1, b"\r".as_slice()), (2, b"\n"), (3, b"\r\n"), (4, b"\t")] {
        unit(&terminal, number, ending);
    }
    assert!(terminal.line(0).contains("TRAINING"), "{}", terminal.text());
    assert_eq!(leave(terminal), 0);
    let units = objects(&records(data.path(), &["list", "--json"]));
    assert_eq!(units.iter().filter(|unit| unit["verdict"] == "PASS").count(), 4);
    assert_eq!(exit(&records(data.path(), &["verify"])), 0);
}

#[test]
fn a_large_screen_without_colour_says_the_same_and_sends_no_colour() {
    let (_data, terminal) = demo(LARGE, false);
    unit(&terminal, 1, b"\r");
    let raw = terminal.raw();
    assert!(!coloured(&raw), "a colour");
    assert_eq!(leave(terminal), 0);
}

/// Whether any sequence sets a colour.
fn coloured(raw: &[u8]) -> bool {
    let text = String::from_utf8_lossy(raw);
    let sets = text.split("\x1b[").filter_map(|part| part.split_once('m').map(|(set, _)| set));
    let sets = sets.filter(|set| set.chars().all(|letter| letter.is_ascii_digit() || letter == ';'));
    sets.flat_map(|set| set.split(';')).filter_map(|code| code.parse::<u8>().ok()).any(|code| {
        (30..39).contains(&code) || (40..49).contains(&code) || (90..98).contains(&code) || (100..108).contains(&code)
    })
}

#[test]
fn colour_is_sent_where_it_is_not_forbidden() {
    let (_data, terminal) = demo(SMALL, true);
    unit(&terminal, 1, b"\r");
    assert!(coloured(&terminal.raw()));
    assert_eq!(leave(terminal), 0);
}

#[test]
fn a_fresh_board_with_the_label_of_a_finished_unit_is_held_and_nothing_is_counted() {
    let (data, terminal) = demo(SMALL, true);
    unit(&terminal, 1, b"\r");
    terminal.press(Key::F6);
    terminal.shows("board in, scan its label");
    terminal.type_in(format!("{}\r", label(1)).as_bytes());
    // A screen is drawn in pieces: each word is waited for.
    for word in ["HOLD", "B-414", "Blue rack", "passed 1 "] {
        terminal.shows(word);
    }
    assert!(!terminal.text().contains("good ones"), "{}", terminal.text());
    terminal.press(Key::F6);
    terminal.shows("A label looks like");
    assert_eq!(leave(terminal), 11);
    let units = objects(&records(data.path(), &["list", "--json"]));
    assert_eq!((units.len(), &units[0]["verdict"]), (1, &"PASS".into()));
}

#[test]
fn two_new_boards_make_the_screen_ask_and_the_answer_decides() {
    let (data, terminal) = demo(SMALL, true);
    terminal.press(Key::F5);
    terminal.shows("board in, scan its label");
    terminal.press(Key::F6);
    terminal.shows_no("put a board in");
    terminal.type_in(format!("{}\r", label(1)).as_bytes());
    terminal.shows("WHICH SITE?");
    super::pause(200);
    terminal.type_in(b"2");
    terminal.shows("PASS");
    terminal.shows("right: Take the board out.");
    assert_eq!(leave(terminal), 0);
    let unit = objects(&records(data.path(), &["show", &label(1), "--json"])).remove(0);
    assert!(unit["entries"][0]["body"].as_str().unwrap().contains("\"site\":\"right\""), "{unit:#}");
}

#[test]
fn hostile_scans_leave_the_screen_whole_and_the_next_good_one_works() {
    at_once([SMALL, LARGE], |size| {
        let (data, terminal) = demo(size, true);
        terminal.press(Key::F5);
        let before = terminal.shows("board in, scan its label");
        let long = vec![b'A'; 4096];
        // Nothing but keys that no label has: there is nothing to refuse.
        terminal.type_in(b"\x1b[2J\x1b[H\x1b[?1049l\x1b[31m\r");
        let hostile: [&[u8]; 10] = [
            b"\x1b[?1049",
            b"\x1b[200~GW3",
            b"\x1b[<0;1",
            &long,
            b"\x01\x02\x04\x05\x06\x0e\x0f\x10\x7f",
            b"GW3\x1b[2J\x1b[H\x1b[?1049l\x1b[31m",
            b"\x1b]0;owned\x07\x1b[6n",
            b"'; DROP TABLE entries; --",
            b"\xc3\xa9\xe2\x80\xae\xff\xfe",
            b"GW3-0000001S",
        ];
        for scan in hostile {
            terminal.type_in(&[scan, b"\r"].concat());
            let shown = terminal.shows_after("✖", &format!("{scan:?}"));
            assert_eq!(frames(&shown), frames(&before), "{scan:?}\n{shown}");
            terminal.with(|screen| assert!(screen.alternate_screen(), "{scan:?}"));
            // Any key takes the notice away.
            terminal.press(Key::Escape);
            terminal.shows_no("✖");
        }
        terminal.type_in(format!("{}\r", label(1)).as_bytes());
        terminal.shows("Take the board out.");
        assert_eq!(leave(terminal), 0);
        assert_eq!(objects(&records(data.path(), &["list", "--json"])).len(), 1);
    });
}

/// Everything but the scan field and what is said under it.
fn frames(screen: &str) -> Vec<String> {
    screen
        .lines()
        .filter(|line| !line.contains("SCAN") && !line.contains('✖'))
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn every_way_out_restores_the_terminal_and_finishes_the_unit_in_hand() {
    at_once(["interrupt", "leave", "TERM", "INT", "HUP"], |way| {
        let (data, mut terminal) = demo(SMALL, true);
        terminal.press(Key::F5);
        terminal.shows("board in, scan its label");
        terminal.type_in(format!("{}\r", label(1)).as_bytes());
        terminal.shows("RUNNING");
        match way {
            "interrupt" => terminal.press(Key::Interrupt),
            "leave" => {
                terminal.press(Key::F10);
                terminal.shows("again");
                terminal.press(Key::F10);
            }
            signal => terminal.signal(signal),
        }
        // A person who leaves sees the verdict of the unit in hand first, and takes it away with any such key.
        let code = super::until("the program ends", || {
            let over = terminal.ended();
            if over.is_none() && (way == "interrupt" || way == "leave") && terminal.text().contains("PASS") {
                terminal.press(Key::F10);
            }
            over
        });
        assert!(code == 0 || code == 130, "{way}: {code}");
        terminal.is_restored();
        let unit = objects(&records(data.path(), &["show", &label(1), "--json"])).remove(0);
        assert_eq!(unit["standing"], "passed", "{way}");
    });
}

#[test]
fn a_window_that_is_too_small_says_so_and_everything_is_back_when_it_grows() {
    let (_data, terminal) = demo(SMALL, true);
    for size in [(79, 24), (80, 20), (20, 5), (3, 2), (1, 1)] {
        terminal.resize(size);
        terminal.shows_no("SCAN");
        if size.0 >= 20 {
            assert!(terminal.shows("80").contains("24"), "{}", terminal.text());
        }
    }
    terminal.resize(LARGE);
    terminal.shows("A label looks like");
    terminal.resize(SMALL);
    terminal.shows("A label looks like");
    terminal.press(Key::F1);
    terminal.shows("HELP");
    terminal.press(Key::F1);
    unit(&terminal, 1, b"\r");
    assert_eq!(leave(terminal), 0);
}

#[test]
fn lost_contact_stays_on_the_screen_until_the_label_is_scanned_again() {
    let bench = Bench::of(Boards::serve(1, &["--pace", "silicon"]));
    let (station, recipe) = (bench.station(), project("templates/products/gw3.toml"));
    let (station, recipe) = (station.to_str().unwrap(), recipe.to_str().unwrap());
    let terminal = Terminal::start(SMALL, &["station", "--station", station, "--recipe", recipe], true);
    terminal.shows("Scan the label of the board.");
    terminal.type_in(format!("{}\r", label(1)).as_bytes());
    terminal.shows("program");
    bench.boards.fault("site-1", &json!({ "no_ack": { "from": 1, "count": null } }));
    terminal.shows("RETRY");
    // Long enough for the site to notice that nobody answers.
    super::pause(1_000);
    let told = terminal.text();
    assert!(told.contains("RETRY") && told.contains("scan the label again"), "{told}");
    bench.boards.fault("site-1", &json!({}));
    super::pause(500);
    terminal.type_in(format!("{}\r", label(1)).as_bytes());
    terminal.shows("Take the board out.");
    assert_eq!(leave(terminal), 21);
    bench.truth("site-1", &label(1));
}

#[test]
fn a_terminal_that_is_taken_away_ends_the_program() {
    let data = tempfile::tempdir().unwrap();
    let (mut pty, pts) = pty_process::blocking::open().unwrap();
    pty.resize(pty_process::Size::new(24, 80)).unwrap();
    let command = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_rootstamp")).arg("demo").arg("--data");
    let mut child = Kept(command.arg(data.path()).spawn(pts).unwrap());
    // The first byte is the screen's.
    pty.read_exact(&mut [0]).unwrap();
    drop(pty);
    child.exit();
}
