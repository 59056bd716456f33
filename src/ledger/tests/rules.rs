//! Which fact may follow which.

use super::*;

const ALL: [To; 5] = [To::C1, To::C2, To::C3, To::C4, To::C5];

#[test]
fn a_unit_goes_from_free_to_passed_by_five_commits() {
    let mut ledger = fresh();
    assert_eq!(ledger.unit(&serial(1)).unwrap(), Standing::Free);
    assert_eq!(ledger.device(device(1)).unwrap(), DeviceStanding::Unknown);
    let run = run(&mut ledger, 1, 1, To::C5).unwrap();
    let (serial, device) = (serial(1), device(1));
    assert_eq!(ledger.unit(&serial).unwrap(), Standing::Passed { run, device, seq: run.0 + 4 });
    let bound = DeviceStanding::BoundTo { serial, run, passed: true, scrapped: false };
    assert_eq!(ledger.device(device).unwrap(), bound);
    assert!(ledger.records().verify().is_ok());
}

#[test]
fn a_serial_is_open_from_its_first_commit_until_its_last() {
    for to in [To::C1, To::C2, To::C3, To::C4] {
        let mut ledger = fresh();
        let run = run(&mut ledger, 1, 1, to).unwrap();
        let bound = (to >= To::C2).then(|| device(1));
        let standing = Standing::Open { run, device: bound, locked_intent: to == To::C4, attempts: 1, released: false };
        assert_eq!(ledger.unit(&serial(1)).unwrap(), standing);
    }
}

#[test]
fn an_unfinished_run_is_resumed_by_the_same_serial_on_the_same_device_only() {
    for to in [To::C2, To::C3, To::C4] {
        let mut ledger = fresh();
        let first = run(&mut ledger, 1, 1, to).unwrap();
        assert_eq!(refused(ledger.keep(intent(serial(1), None))), code("X-110", Exit::Internal));
        assert_eq!(refused(run(&mut ledger, 1, 2, To::C2)), code("L-111", Exit::Duplicate), "another board");
        let again = run(&mut ledger, 1, 1, To::C5).unwrap();
        assert!(again > first);
        assert!(matches!(ledger.unit(&serial(1)).unwrap(), Standing::Passed { .. }));
    }
}

#[test]
fn a_run_under_way_is_not_resumed_at_another_site_of_the_same_process() {
    for to in [To::C1, To::C2, To::C3, To::C4] {
        let mut ledger = fresh();
        let first = run(&mut ledger, 1, 1, to).unwrap();
        let before = ledger.head;
        for resumes in [None, Some(first)] {
            let beside = EraseIntent { site: "right".to_owned(), ..intent(serial(1), resumes) };
            let fault = ledger.keep(beside).unwrap_err();
            assert_eq!((fault.exit, fault.code.as_str()), (Exit::Duplicate, "L-112"));
            assert!(fault.what.contains("GW3-0000001 is being worked on at left"), "{fault}");
        }
        assert_eq!(ledger.head, before, "nothing of it is durable");
        ledger.keep(stopped(Some(first), 1, Ending::Retry)).unwrap();
        let beside = EraseIntent { site: "right".to_owned(), ..intent(serial(1), Some(first)) };
        assert!(ledger.keep(beside).is_ok(), "the run is over, and its board may have been moved");
    }
}

#[test]
fn a_run_that_an_earlier_process_left_is_resumed_at_any_site() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Ledger::open(dir.path(), &opening(), Arc::new(Frozen::default())).unwrap();
    let mut ledger = open();
    ledger.keep_golden(b"golden").unwrap();
    let first = run(&mut ledger, 1, 1, To::C3).unwrap();
    drop(ledger);
    let beside = EraseIntent { site: "right".to_owned(), ..intent(serial(1), Some(first)) };
    assert!(open().keep(beside).is_ok());
}

#[test]
fn lock_words_may_stand_until_the_next_erase_is_known_to_have_happened() {
    let mut ledger = fresh();
    for (to, locked) in [(To::C4, true), (To::C1, true), (To::C2, false), (To::C1, false)] {
        run(&mut ledger, 1, 1, to).unwrap();
        let standing = ledger.unit(&serial(1)).unwrap();
        assert!(matches!(standing, Standing::Open { locked_intent, .. } if locked_intent == locked), "{standing:?}");
    }
}

#[test]
fn a_device_belongs_to_one_serial_however_far_it_came() {
    for to in ALL.into_iter().filter(|to| *to >= To::C2) {
        let mut ledger = fresh();
        run(&mut ledger, 1, 1, to).unwrap();
        assert_eq!(refused(run(&mut ledger, 2, 1, To::C2)), code("L-111", Exit::Duplicate));
        let open = EraseIntent { device: Some(device(1)), ..intent(serial(3), None) };
        assert_eq!(refused(ledger.keep(open)), code("L-111", Exit::Duplicate), "seen before the erase");
    }
}

#[test]
fn a_passed_held_void_or_scrapped_serial_begins_no_run() {
    let mut ledger = fresh();
    run(&mut ledger, 1, 1, To::C5).unwrap();
    assert_eq!(refused(ledger.keep(intent(serial(1), None))), code("L-111", Exit::Duplicate));
    ledger.keep(stopped(None, 1, Ending::Hold)).unwrap();
    assert_eq!(refused(ledger.keep(intent(serial(1), None))), code("L-113", Exit::Quarantined));
    dispose(&mut ledger, 1, Disposition::Void).unwrap();
    assert_eq!(refused(ledger.keep(intent(serial(1), None))), code("L-111", Exit::Duplicate));
    run(&mut ledger, 2, 2, To::C2).unwrap();
    dispose(&mut ledger, 2, Disposition::Scrap).unwrap();
    assert_eq!(refused(ledger.keep(intent(serial(2), None))), code("L-111", Exit::Duplicate));
}

#[test]
fn no_commit_is_left_out_or_made_twice() {
    let ours = code("X-110", Exit::Internal);
    for to in ALL {
        let mut ledger = fresh();
        let run = run(&mut ledger, 1, 1, to).unwrap();
        let before = ledger.head;
        let verified = Verified { run, serial: serial(1), device: device(1) };
        for (needs, outcome) in [
            (To::C1, refused_unless(to == To::C1, ledger.copy().unwrap().keep(bound(run, 1, 1)))),
            (To::C2, refused_unless(to == To::C2, ledger.copy().unwrap().keep(stamp(run, 1, 1)))),
            (To::C3, refused_unless(to == To::C3, ledger.copy().unwrap().keep(verified))),
            (To::C4, refused_unless(to == To::C4, ledger.copy().unwrap().keep(passed(run, 1, 1)))),
        ] {
            assert_eq!(outcome, (to != needs).then(|| ours.clone()));
        }
        assert_eq!(ledger.head, before);
    }
}

fn refused_unless<T>(allowed: bool, outcome: Result<T, Fault>) -> Option<(Exit, String)> {
    if allowed { outcome.map(|_| None).unwrap() } else { Some(refused(outcome)) }
}

#[test]
fn a_run_that_is_over_goes_nowhere() {
    for verdict in [Ending::Fail, Ending::Retry, Ending::Hold] {
        let mut ledger = fresh();
        let run = run(&mut ledger, 1, 1, To::C4).unwrap();
        ledger.keep(stopped(Some(run), 1, verdict)).unwrap();
        assert_eq!(refused(ledger.keep(passed(run, 1, 1))), code("X-110", Exit::Internal));
    }
}

#[test]
fn a_refused_second_scan_does_not_end_the_run_under_way() {
    for verdict in [Ending::Refused, Ending::Retry, Ending::Fail] {
        let mut ledger = fresh();
        let first = run(&mut ledger, 1, 1, To::C4).unwrap();
        ledger.keep(stopped(None, 1, verdict)).unwrap();
        ledger.keep(passed(first, 1, 1)).unwrap();
        ledger.keep(stopped(None, 1, verdict)).unwrap();
        assert!(matches!(ledger.unit(&serial(1)).unwrap(), Standing::Passed { .. }));
        assert_eq!(ledger.records().unit_record(&serial(1)).unwrap().unwrap().verdict, "PASS");
    }
    let mut ledger = fresh();
    ledger.keep(stopped(None, 1, Ending::Refused)).unwrap();
    assert_eq!(ledger.unit(&serial(1)).unwrap(), Standing::Free);
    assert_eq!(ledger.records().unit_record(&serial(1)).unwrap().unwrap().verdict, "REFUSED");
    assert_eq!(ledger.tally("GW3").unwrap(), Counts::default());
}

#[test]
fn a_commit_names_its_own_run_unit_and_device() {
    let mut ledger = fresh();
    let first = run(&mut ledger, 1, 1, To::C2).unwrap();
    let second = run(&mut ledger, 2, 2, To::C2).unwrap();
    let ours = code("X-110", Exit::Internal);
    assert_eq!(refused(ledger.keep(stamp(second, 1, 1))), ours, "another run");
    assert_eq!(refused(ledger.keep(stamp(first, 1, 2))), ours, "another device");
    assert_eq!(refused(ledger.keep(stamp(first, 2, 1))), ours, "another unit");
    assert!(ledger.keep(stamp(first, 1, 1)).is_ok());
}

#[test]
fn fail_and_retry_leave_a_unit_open_and_a_hold_waits_for_a_person() {
    for (verdict, open) in [(Ending::Fail, true), (Ending::Retry, true), (Ending::Hold, false)] {
        let mut ledger = fresh();
        let run = run(&mut ledger, 1, 1, To::C3).unwrap();
        ledger.keep(stopped(Some(run), 1, verdict)).unwrap();
        let standing = ledger.unit(&serial(1)).unwrap();
        let why = "contact was lost".to_owned();
        let expected = if open {
            Standing::Open { run, device: Some(device(1)), locked_intent: false, attempts: 1, released: false }
        } else {
            Standing::Held { run: Some(run), device: Some(device(1)), why }
        };
        assert_eq!(standing, expected);
    }
}

#[test]
fn a_voided_pass_is_held_until_somebody_decides() {
    let mut ledger = fresh();
    let old = run(&mut ledger, 1, 1, To::C5).unwrap();
    let by_run = run(&mut ledger, 2, 2, To::C1).unwrap();
    let because = "erased under GW3-0000002".to_owned();
    ledger.keep(Voided { run: old, serial: serial(1), device: device(1), because: because.clone(), by_run }).unwrap();
    let held = Standing::Held { run: Some(old), device: Some(device(1)), why: because };
    assert_eq!(ledger.unit(&serial(1)).unwrap(), held);
    let bound = DeviceStanding::BoundTo { serial: serial(1), run: old, passed: false, scrapped: false };
    assert_eq!(ledger.device(device(1)).unwrap(), bound);
}

#[test]
fn what_was_never_run_cannot_be_voided() {
    let voided =
        Voided { run: RunId(1), serial: serial(9), device: device(9), because: "nothing".to_owned(), by_run: RunId(1) };
    assert_eq!(refused(fresh().keep(voided)), code("X-110", Exit::Internal));
}

#[test]
fn a_released_unit_runs_again_on_the_same_device_only() {
    let mut ledger = fresh();
    let first = run(&mut ledger, 1, 1, To::C4).unwrap();
    ledger.keep(stopped(Some(first), 1, Ending::Hold)).unwrap();
    dispose(&mut ledger, 1, Disposition::Release).unwrap();
    assert!(matches!(ledger.unit(&serial(1)).unwrap(), Standing::Open { released: true, .. }));
    assert_eq!(refused(ledger.keep(passed(first, 1, 1))), code("X-110", Exit::Internal), "the old run is over");
    assert_eq!(refused(run(&mut ledger, 1, 2, To::C2)), code("L-111", Exit::Duplicate));
    assert!(run(&mut ledger, 1, 1, To::C5).is_ok());
}

#[test]
fn a_void_serial_frees_its_device_and_a_scrapped_one_does_not() {
    let mut ledger = fresh();
    run(&mut ledger, 1, 1, To::C5).unwrap();
    dispose(&mut ledger, 1, Disposition::Void).unwrap();
    assert_eq!(ledger.device(device(1)).unwrap(), DeviceStanding::Unknown);
    let run_two = run(&mut ledger, 2, 1, To::C5).unwrap();
    dispose(&mut ledger, 2, Disposition::Scrap).unwrap();
    let scrapped = DeviceStanding::BoundTo { serial: serial(2), run: run_two, passed: false, scrapped: true };
    assert_eq!(ledger.device(device(1)).unwrap(), scrapped);
    let fault = run(&mut ledger, 3, 1, To::C2).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.exit), ("L-111", Exit::Duplicate));
    assert!(fault.what.ends_with("was scrapped"), "{fault}");
}

#[test]
fn a_decision_that_makes_no_sense_is_refused_in_words() {
    let senseless = code("L-108", Exit::Usage);
    let every = [Disposition::Release, Disposition::Void, Disposition::Scrap];
    let mut ledger = fresh();
    for wish in every {
        assert_eq!(refused(dispose(&mut ledger, 1, wish)), senseless, "unknown");
    }
    run(&mut ledger, 1, 1, To::C3).unwrap();
    assert_eq!(refused(dispose(&mut ledger, 1, Disposition::Release)), senseless, "open");
    run(&mut ledger, 2, 2, To::C5).unwrap();
    assert_eq!(refused(dispose(&mut ledger, 2, Disposition::Release)), senseless, "passed");
    dispose(&mut ledger, 1, Disposition::Void).unwrap();
    dispose(&mut ledger, 2, Disposition::Scrap).unwrap();
    for wish in every {
        assert_eq!(refused(dispose(&mut ledger, 1, wish)), senseless, "void");
        assert_eq!(refused(dispose(&mut ledger, 2, wish)), senseless, "scrapped");
    }
}

#[test]
fn a_reason_is_one_line_that_people_can_read() {
    let mut ledger = fresh();
    run(&mut ledger, 1, 1, To::C3).unwrap();
    let wish = |reason: &str, by: &str| Disposed {
        serial: serial(1),
        disposition: Disposition::Void,
        reason: reason.to_owned(),
        by: by.to_owned(),
    };
    for hostile in ["", "  ", "a\nb", "\u{1b}[2J", "nul\0", &"x".repeat(501)] {
        assert_eq!(refused(ledger.keep(wish(hostile, "Ada"))), code("L-107", Exit::Usage), "{hostile:?}");
        assert_eq!(refused(ledger.keep(wish("why", hostile))), code("L-107", Exit::Usage), "{hostile:?}");
    }
    let odd = r#"'); DROP TABLE entries; -- ", =cmd|' /C calc'!A0 ü"#;
    ledger.keep(wish(odd, "Ada")).unwrap();
    let last = ledger.records().of_unit(&serial(1)).unwrap().pop().unwrap();
    assert_eq!(last.fact()["reason"], odd);
    assert!(ledger.records().verify().is_ok());
}

#[test]
fn a_run_whose_golden_state_was_not_kept_does_not_begin() {
    let mut ledger = fresh();
    let lost = EraseIntent { golden: Digest::of(b"another"), ..intent(serial(1), None) };
    assert_eq!(refused(ledger.keep(lost)), code("X-110", Exit::Internal));
}

#[test]
fn a_measurement_changes_nothing_but_is_kept() {
    let mut ledger = fresh();
    let run = run(&mut ledger, 1, 1, To::C5).unwrap();
    let before = ledger.unit(&serial(1)).unwrap();
    let comparison = "the counter reads 2, the record says 1".to_owned();
    let measured = Measured { serial: serial(1), device: None, agrees: false, evidence: Vec::new(), comparison };
    assert_eq!(ledger.keep(measured).unwrap().seq(), run.0 + 5);
    assert_eq!(ledger.unit(&serial(1)).unwrap(), before);
}

#[test]
fn a_copy_goes_its_own_way() {
    let mut ledger = fresh();
    let first = run(&mut ledger, 1, 1, To::C3).unwrap();
    let mut copy = ledger.copy().unwrap();
    run(&mut copy, 1, 1, To::C5).unwrap();
    assert!(matches!(copy.unit(&serial(1)).unwrap(), Standing::Passed { .. }));
    assert!(matches!(ledger.unit(&serial(1)).unwrap(), Standing::Open { run, .. } if run == first));
    assert!(copy.records().verify().is_ok() && ledger.records().verify().is_ok());
}

#[test]
fn a_retry_is_outside_the_first_pass_yield_and_a_unit_counts_once() {
    let mut ledger = fresh();
    let retried = run(&mut ledger, 1, 1, To::C3).unwrap();
    ledger.keep(stopped(Some(retried), 1, Ending::Retry)).unwrap();
    run(&mut ledger, 1, 1, To::C5).unwrap();
    let failed = run(&mut ledger, 2, 2, To::C2).unwrap();
    ledger.keep(stopped(Some(failed), 2, Ending::Fail)).unwrap();
    run(&mut ledger, 2, 2, To::C5).unwrap();
    let held = run(&mut ledger, 3, 3, To::C4).unwrap();
    ledger.keep(stopped(Some(held), 3, Ending::Hold)).unwrap();
    let expected = Counts { passed: 2, failed: 0, held: 1, retried: 1, first_passed: 1, first_ended: 3 };
    assert_eq!(ledger.tally("GW3").unwrap(), expected);
    assert_eq!(ledger.tally("GW4").unwrap(), Counts::default());
    let tomorrow = Stamp("2026-01-02T00:00:00.000Z".to_owned());
    assert_eq!(ledger.records().tally("GW3", &tomorrow).unwrap(), Counts::default());
}
