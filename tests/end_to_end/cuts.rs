//! The power goes at a random transfer of the full product, through the real worker; then a second scan.

use std::process::Output;

use serde_json::json;

use super::{
    at_once,
    bench::{Bench, verdict, verdicts},
    boards::Boards,
    chance::{Chance, seed},
    exit, label, objects,
};

/// Boards side by side, for most of a run is waiting; and cuts at each.
const BENCHES: u64 = 4;
const CUTS: u64 = 5;

#[test]
fn a_board_that_loses_power_anywhere_is_told_from_a_finished_one_and_passes_in_the_end() {
    let seed = seed();
    println!("ROOTSTAMP_SEED={seed}");
    at_once(0..BENCHES, |bench| {
        cuts(Chance::new(seed + bench), if bench % 2 == 0 { "strict" } else { "lenient" });
    });
    println!("{} cuts", BENCHES * CUTS);
}

fn cuts(mut chance: Chance, latch: &str) {
    let bench = Bench::of(Boards::serve(1, &["--latch", latch]));
    let before = bench.boards.transactions("site-1");
    assert_eq!(exit(&bench.scan(&[&label(1)])), 0);
    let whole = bench.boards.transactions("site-1") - before;
    for cut in 0..CUTS {
        let unit = label(2 + cut);
        let base = bench.boards.order("site-1", "swap")["counters"]["transactions"].as_u64().unwrap();
        // One in three cuts falls behind the last programmed page, where the irreversible tail is.
        let after = if cut % 3 == 0 { whole - whole / 50 } else { 0 };
        let at = base + 1 + after + chance.below(whole - after);
        let when = if chance.below(2) == 0 { "before" } else { "after" };
        bench
            .boards
            .fault("site-1", &json!({ "cut_power": { "at": at, "when": when }, "seed": chance.below(1 << 32) }));
        let first = bench.scan(&[&unit]);
        let said =
            format!("{latch}: cut {when} transfer {} of {whole}: {} {}", at - base, verdict(&first), exit(&first));
        is_consistent(&first);
        bench.truth("site-1", &unit);
        bench.is_whole();
        bench.boards.fault("site-1", &json!({}));
        bench.boards.order("site-1", "power_cycle");
        bench.truth("site-1", &unit);
        let did = bench.passes_within_three(&unit);
        println!("{said}, then {did:?}");
        bench.truth("site-1", &unit);
        bench.is_whole();
    }
}

/// Word, class and next action say the same: what may be locked is held, and is not to be scanned again.
fn is_consistent(line: &Output) {
    for outcome in verdicts(&objects(line)) {
        let (word, next) = (outcome["verdict"].as_str().unwrap(), outcome["next"].as_str().unwrap());
        match word {
            "HOLD" => assert!(exit(line) == 13 && next.contains("blue rack"), "{outcome:#}"),
            "RETRY" => assert!(exit(line) == 21 && next.contains("scan"), "{outcome:#}"),
            _ => assert_eq!((word, exit(line)), ("PASS", 0), "{outcome:#}"),
        }
    }
}
