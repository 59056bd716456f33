//! What the ledger refuses, and that it keeps what it accepts: every rule has a record that breaks it.

use serde::Serialize;

use super::{
    facts::{Bound, Disposed, Ending, EraseIntent, Measured, StampIntent, Stopped, Voided, Word},
    *,
};
use crate::{
    clock::{Frozen, Millis, Stamp},
    fault::{Exit, Party},
    ledger::evidence::{Evidence, Method},
};

/// What `gate` will make.
#[derive(Clone, Debug, Serialize)]
struct Verified {
    run: RunId,
    serial: Serial,
    device: DeviceId,
}

#[derive(Clone, Debug, Serialize)]
struct Passed {
    run: RunId,
    serial: Serial,
    device: DeviceId,
    evidence: Vec<Evidence>,
}

macro_rules! made_by_gate {
    ($($fact:ident),+) => {$(
        impl Fact for $fact {
            const KIND: Kind = Kind::$fact;
            fn about(&self) -> About {
                About { run: Some(self.run), serial: Some(self.serial.clone()), device: Some(self.device) }
            }
        }
    )+};
}
made_by_gate!(Verified, Passed);

fn opening() -> Opening {
    Opening { mode: Mode::Training, station: "bench 1".to_owned(), tool: "0.1.0".to_owned() }
}

fn fresh() -> Ledger {
    let mut ledger = Ledger::in_memory(&opening(), Arc::new(Frozen::default())).unwrap();
    ledger.keep_golden(b"golden").unwrap();
    ledger
}

fn serial(number: u32) -> Serial {
    format!("GW3-{number:07}").parse().unwrap()
}

fn device(number: u32) -> DeviceId {
    DeviceId::from_words(number, 0xABCD).unwrap()
}

fn seen(of: &str) -> Evidence {
    Evidence {
        of: of.to_owned(),
        method: Method::ReadBack,
        expected: Some("0".to_owned()),
        observed: Some("0".to_owned()),
        agrees: true,
        at: Millis(7),
    }
}

fn intent(serial: Serial, resumes: Option<RunId>) -> EraseIntent {
    EraseIntent {
        serial,
        site: "left".to_owned(),
        probe: "20b7:9db1".to_owned(),
        product: "GW3".to_owned(),
        recipe: Digest::of(b"recipe"),
        device: None,
        port: "closed, as shipped".to_owned(),
        resumes,
        golden: Digest::of(b"golden"),
        key: Some(Digest::of(b"key")),
    }
}

/// How far a run is taken.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum To {
    C1,
    C2,
    C3,
    C4,
    C5,
}

fn run(ledger: &mut Ledger, unit: u32, board: u32, to: To) -> Result<RunId, Fault> {
    let serial = serial(unit);
    let resumes = if let Standing::Open { run, .. } = ledger.unit(&serial)? { Some(run) } else { None };
    let run = ledger.keep(intent(serial.clone(), resumes))?.run();
    if to >= To::C2 {
        ledger.keep(bound(run, unit, board))?;
    }
    if to >= To::C3 {
        ledger.keep(stamp(run, unit, board))?;
    }
    if to >= To::C4 {
        ledger.keep(Verified { run, serial: serial.clone(), device: device(board) })?;
    }
    if to >= To::C5 {
        ledger.keep(passed(run, unit, board))?;
    }
    Ok(run)
}

fn bound(run: RunId, unit: u32, board: u32) -> Bound {
    let (part, variant) = ("nRF52840".to_owned(), "AAF0".to_owned());
    Bound { run, serial: serial(unit), device: device(board), part, variant, evidence: vec![seen("ficr.deviceid")] }
}

fn stamp(run: RunId, unit: u32, board: u32) -> StampIntent {
    let words = vec![Word { at: 0x1000_1080, value: 0x1234_5678, name: "key_hash[0]".to_owned() }];
    StampIntent { run, serial: serial(unit), device: device(board), words, digest: Digest::of(b"words") }
}

fn passed(run: RunId, unit: u32, board: u32) -> Passed {
    let evidence = vec![seen("lock.approtect"), seen("flash.bootloader")];
    Passed { run, serial: serial(unit), device: device(board), evidence }
}

fn stopped(run: Option<RunId>, unit: u32, verdict: Ending) -> Stopped {
    Stopped {
        run,
        serial: serial(unit),
        device: None,
        verdict,
        fault: Fault::new(Party::Operator, "contact was lost", "Close the lid.").code("R-101"),
        touched: true,
        step: "program".to_owned(),
        evidence: Vec::new(),
    }
}

fn dispose(ledger: &mut Ledger, unit: u32, disposition: Disposition) -> Result<(), Fault> {
    let (reason, by) = ("looked at it".to_owned(), "Ada".to_owned());
    ledger.keep(Disposed { serial: serial(unit), disposition, reason, by }).map(|_| ())
}

fn refused<T>(outcome: Result<T, Fault>) -> (Exit, String) {
    let fault = outcome.err().expect("a refusal");
    (fault.exit, fault.code)
}

fn code(code: &str, exit: Exit) -> (Exit, String) {
    (exit, code.to_owned())
}

mod rules;
mod settings;
mod tamper;
