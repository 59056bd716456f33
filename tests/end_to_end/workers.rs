//! A worker process that dies is its site's trouble and a classified unit, never the line's.

use std::fs;

use super::{
    at_once,
    bench::Bench,
    chance::{Chance, seed},
    label,
    line::Line,
    pause, signal, until,
};

/// The workers of a line, by their process numbers.
fn workers(parent: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    numbers.filter(|number| parent_of(*number) == Some(parent)).collect()
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold anything; the parent is the second field behind it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_site_whose_probe_went_away_says_so_and_comes_back_by_itself_with_its_console() {
    let mut bench = Bench::one();
    let mut line = Line::start(&mut bench.line());
    line.sees(0, "fresh");
    bench.boards.stop();
    let told = line.wait("a site without a probe", |event| event["event"] == "site_fault");
    assert_eq!(told["fault"]["code"], "R-120", "{told}");
    assert!(told["fault"]["next"].as_str().unwrap().contains("comes back by itself"), "{told}");
    bench.boards.start_again();
    line.wait("a site that is back", |event| event["event"] == "site_fault" && event["fault"].is_null());
    line.scan_until_taken(0, &label(1));
    let outcome = line.verdict(0);
    assert_eq!((&outcome["verdict"], &outcome["beside"]), (&"PASS".into(), &"boot seen".into()), "{outcome:#}");
    assert_eq!(line.leave().0 & !2, 0);
    bench.truth("site-1", &label(1));
}

#[test]
fn a_worker_killed_at_any_step_stops_one_unit_and_the_other_site_goes_on() {
    let seed = seed();
    println!("ROOTSTAMP_SEED={seed}");
    let steps = ["look", "erase", "program", "read back", "stamp", "verify", "confirm lock", "boot"];
    at_once(steps.into_iter().zip(seed..), |(step, seed)| {
        let mut chance = Chance::new(seed);
        let bench = Bench::two();
        let mut line = Line::start(&mut bench.line());
        line.scan(&format!("{}@left", label(1)));
        line.scan(&format!("{}@right", label(2)));
        line.begins(chance.below(2).try_into().unwrap(), step);
        pause(chance.below(30));
        let both = workers(line.process());
        assert_eq!(both.len(), 2, "{step}");
        signal("KILL", both[usize::try_from(chance.below(2)).unwrap()]);
        let outcomes = [line.verdict_of(0), line.verdict_of(1)];
        let stopped: Vec<_> = outcomes.iter().filter(|outcome| outcome["verdict"] != "PASS").collect();
        assert!(stopped.len() <= 1, "{step}: {outcomes:#?}");
        for outcome in stopped {
            let verdict = outcome["verdict"].as_str().unwrap();
            assert!(["RETRY", "HOLD"].contains(&verdict), "{step}: {outcome:#}");
            assert!(outcome["fault"]["code"].is_string() && outcome["entry"].is_u64(), "{step}: {outcome:#}");
        }
        for (site, name) in ["left", "right"].into_iter().enumerate() {
            bench.truth(name, &label(site as u64 + 1));
            if outcomes[site]["verdict"] == "RETRY" {
                line.scan_until_taken(site, &format!("{}@{name}", label(site as u64 + 1)));
                let again = line.verdict(site)["verdict"].clone();
                assert!(again == "PASS" || again == "HOLD", "{step}: {again}");
            }
        }
        line.leave();
        for (site, name) in ["left", "right"].into_iter().enumerate() {
            bench.passes_at(&label(site as u64 + 1), name);
            bench.truth(name, &label(site as u64 + 1));
        }
        bench.is_whole();
    });
}

#[test]
fn an_idle_worker_that_dies_is_replaced_before_the_next_scan() {
    let bench = Bench::one();
    let mut line = Line::start(&mut bench.line());
    line.sees(0, "fresh");
    let first = workers(line.process());
    signal("KILL", first[0]);
    until("another worker", || workers(line.process()).first().filter(|worker| **worker != first[0]).copied());
    line.scan_until_taken(0, &label(1));
    assert_eq!(line.verdict(0)["verdict"], "PASS");
    assert_eq!(line.leave().0, 0);
}

#[test]
fn no_worker_outlives_its_station() {
    let bench = Bench::two();
    let line = Line::start(&mut bench.line());
    let both = until("two workers", || Some(workers(line.process())).filter(|both| both.len() == 2));
    drop(line);
    for worker in both {
        until("the worker ends", || (!fs::exists(format!("/proc/{worker}")).unwrap()).then_some(()));
    }
}
