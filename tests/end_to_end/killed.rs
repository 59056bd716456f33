//! The station is killed at random moments, with its records on the disk; nothing that was true is lost.

use std::process::Stdio;

use super::{
    Kept, at_once,
    bench::Bench,
    boards::Boards,
    chance::{Chance, seed},
    exit, label,
    line::Line,
    pause,
};

/// Stations side by side, for most of a run is waiting; and kills of each.
const BENCHES: u64 = 4;
const KILLS: u64 = 7;

#[test]
fn a_station_killed_at_any_moment_leaves_whole_records_and_the_unit_passes_within_three_actions() {
    let seed = seed();
    println!("ROOTSTAMP_SEED={seed}");
    at_once(0..BENCHES, |bench| kills(Chance::new(seed + bench)));
    println!("{} kills", BENCHES * KILLS);
}

fn kills(mut chance: Chance) {
    let bench = Bench::of(Boards::serve(1, &[]));
    let mut whole = Line::start(bench.line().args(["--scan", &label(1)]));
    let took = whole.verdict(0)["took"].as_u64().unwrap();
    let (_, told) = whole.leave();
    let events = told.len() as u64;
    for kill in 0..KILLS {
        let unit = label(2 + kill);
        bench.boards.order("site-1", "swap");
        let said = if kill % 2 == 0 {
            let events = chance.below(events);
            after_events(&bench, &unit, events);
            format!("killed after {events} events")
        } else {
            let milliseconds = chance.below(took + 600);
            after_time(&bench, &unit, milliseconds);
            format!("killed after {milliseconds} ms")
        };
        if bench.data().join("ledger.sqlite").exists() {
            bench.is_whole();
        }
        bench.truth("site-1", &unit);
        let before = bench.entries(&unit);
        let did = bench.passes_within_three(&unit);
        println!("{said}, with {before:?} on record, then {did:?}");
        bench.truth("site-1", &unit);
        bench.is_whole();
    }
}

/// Killed in the middle of whatever follows this many events.
fn after_events(bench: &Bench, unit: &str, events: u64) {
    let mut line = Line::start(bench.line().args(["--scan", unit]));
    for _ in 0..events {
        if line.next().is_none() {
            break;
        }
    }
    drop(line);
}

fn after_time(bench: &Bench, unit: &str, milliseconds: u64) {
    let mut line = bench.line();
    line.args(["--scan", unit]).stdout(Stdio::null()).stderr(Stdio::null());
    let child = Kept(line.spawn().unwrap());
    pause(milliseconds);
    drop(child);
}

#[test]
fn a_station_killed_before_its_first_unit_can_be_started_again() {
    let bench = Bench::one();
    for milliseconds in [0, 5, 20, 60, 120, 250] {
        after_time(&bench, &label(1), milliseconds);
    }
    assert_eq!(exit(&bench.release(&label(1))), 2, "nothing is on hold");
    bench.passes_within_three(&label(1));
    bench.truth("site-1", &label(1));
    bench.is_whole();
}
