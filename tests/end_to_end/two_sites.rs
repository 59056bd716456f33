//! Two sites side by side: whose scan is it, and what if boards change places.

use serde_json::Value;

use super::{
    at_once,
    bench::{BOOT, Bench, verdicts},
    boards::Boards,
    exit, label,
    line::Line,
    pause, stderr,
};

#[test]
fn with_two_new_boards_a_label_without_a_site_is_asked_for_one_and_goes_nowhere() {
    let bench = Bench::two();
    let asked = bench.scan(&[&label(1)]);
    assert_eq!(exit(&asked), 20);
    assert!(stderr(&asked).contains("C-160"), "{}", stderr(&asked));
    assert_eq!(bench.units().len(), 0);
    let named = bench.scan(&[&format!("{}@right", label(1)), &format!("{}@left", label(2))]);
    assert_eq!(exit(&named), 0, "{}", stderr(&named));
    for (site, unit) in [("right", 1), ("left", 2)] {
        assert_eq!(bench.unit(&label(unit)).unwrap()["device_id"], bench.boards.device(site));
        bench.truth(site, &label(unit));
    }
}

#[test]
fn a_label_with_a_site_waits_for_that_site_though_the_other_has_a_board() {
    let bench = Bench::two();
    bench.boards.order("left", "remove");
    let mut line = Line::start(bench.line().args(["--scan", &format!("{}@left", label(1))]));
    line.sees(1, "fresh");
    pause(300);
    bench.boards.order("left", "insert");
    assert_eq!(line.verdict(0)["verdict"], "PASS");
    assert_eq!(line.leave().0, 0);
    assert_eq!(bench.unit(&label(1)).unwrap()["device_id"], bench.boards.device("left"));
}

#[test]
fn two_units_at_once_both_pass_each_as_its_own_board() {
    let bench = Bench::two();
    let mut line = Line::start(&mut bench.line());
    line.scan(&format!("{}@left", label(1)));
    line.scan(&format!("{}@right", label(2)));
    let (exit, told) = line.leave();
    assert_eq!((exit, verdicts(&told).len()), (0, 2));
    assert_eq!(bench.unit(&label(1)).unwrap()["device_id"], bench.boards.device("left"));
    assert_eq!(bench.unit(&label(2)).unwrap()["device_id"], bench.boards.device("right"));
    bench.truth("left", &label(1));
    bench.truth("right", &label(2));
    bench.is_whole();
}

#[test]
fn a_label_scanned_twice_is_begun_once_and_the_other_board_is_not_touched() {
    let bench = Bench::of(Boards::serve(2, &["--pace", "silicon"]));
    let before = bench.boards.order("right", "counters");
    let mut line = Line::start(&mut bench.line());
    line.scan(&format!("{}@left", label(1)));
    line.begins(0, "program");
    for again in [label(1), format!("{}@right", label(1))] {
        line.scan(&again);
        let why = line.refused();
        assert!(why.starts_with("this label") && why.contains("at left"), "{why}");
    }
    assert_eq!(line.verdict_of(0)["verdict"], "PASS");
    line.scan(&label(1));
    assert!(line.refused().contains("take that board out"));
    line.scan(&label(2));
    assert_eq!(line.verdict(1)["verdict"], "PASS");
    let (exit, told) = line.leave();
    assert_eq!((exit, verdicts(&told).len()), (2, 2), "two units passed, and scans were not taken");
    assert_eq!(bench.entries(&label(1)).iter().filter(|kind| *kind == "erase_intent").count(), 1);
    let after = bench.boards.order("right", "counters");
    let erases = |board: &Value| board["counters"]["erases"].as_u64().unwrap();
    assert_eq!(erases(&after), erases(&before) + 1, "the board at right is only what its own label says");
    for (site, unit) in [("left", 1), ("right", 2)] {
        assert_eq!(bench.unit(&label(unit)).unwrap()["device_id"], bench.boards.device(site));
        bench.truth(site, &label(unit));
    }
}

#[test]
fn boards_that_change_places_in_the_middle_never_get_each_others_record() {
    at_once(["erase", "program", "read back", "stamp", "verify", "confirm lock"], |step| {
        let bench = Bench::two();
        let devices = [bench.boards.device("left"), bench.boards.device("right")];
        let mut line = Line::start(&mut bench.line());
        line.scan(&format!("{}@left", label(1)));
        line.scan(&format!("{}@right", label(2)));
        line.begins(0, step);
        for site in ["left", "right"] {
            bench.boards.order(site, "remove");
        }
        bench.boards.insert("left", &devices[1]);
        bench.boards.insert("right", &devices[0]);
        let (_, told) = line.leave();
        assert_eq!(verdicts(&told).len(), 2, "{step}");
        uncrossed(&bench, step);
        // The same labels where their boards are not: each is told apart, or done anew as itself; never as the other.
        bench.scan(&[&format!("{}@left", label(1)), &format!("{}@right", label(2))]);
        uncrossed(&bench, step);
        bench.is_whole();
    });
}

/// A label never has a second device, a device never two labels that passed, and a PASS is what its own board shows.
/// Until its first identification a board is nobody's: one that takes its place before that is the unit.
fn uncrossed(bench: &Bench, step: &str) {
    let mut passed = Vec::new();
    for unit in [1, 2] {
        let Some(record) = bench.unit(&label(unit)) else { continue };
        let entries = record["entries"].as_array().unwrap().iter();
        let mut bound: Vec<_> =
            entries.filter(|entry| entry["kind"] == "bound").map(|entry| &entry["device"]).collect();
        bound.dedup();
        assert!(bound.len() <= 1, "{step}: {record:#}");
        if record["standing"] != "passed" {
            continue;
        }
        assert_eq!(record["device_id"], *bound[0], "{step}: {record:#}");
        let site = ["left", "right"].into_iter().find(|site| record["device_id"] == bench.boards.device(site)).unwrap();
        let board = bench.boards.order(site, "status");
        assert_eq!((&board["boots"], &board["open"]), (&BOOT.into(), &Value::Bool(false)), "{step}: {board}");
        passed.push(record["device_id"].clone());
    }
    assert!(passed.len() < 2 || passed[0] != passed[1], "{step}: {passed:?}");
}
