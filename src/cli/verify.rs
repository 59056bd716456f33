//! `rootstamp verify`: QA measures a unit again, and only then compares with the record.

use std::{io::Write, path::PathBuf, sync::Arc};

use serde_json::json;

use crate::{
    chip::Port,
    cli::{line, say},
    clock::{Clock, System},
    fault::{self, Exit, Fault, Party},
    ident::{DeviceId, RunId, Serial},
    ledger::{Ledger, Opening, Standing, evidence::Evidence, facts::Measured},
    plan::Golden,
    session::measure::{Measurement, measure},
    station::{self, Station},
};

/// Version of the shape of what `--json` prints.
const SCHEMA_VERSION: u32 = 1;

/// QA: measure the unit again, then compare with the record.
///
/// Tests the device: every look is taken before the record is shown. What closed silicon does not show is listed as
/// such, and identity that was not seen is never called PASS.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    rootstamp verify GW3-0000001R --station stations/qa.toml\n  \
    rootstamp verify GW3-0000001R --station stations/qa.toml --site left --json\n\n\
    Exit codes: 0 all that can be seen agrees, 10 something contradicts, 12 closed and without a record,\n\
    20 no probe, 21 no answer, 22 wrong chip, 31 records tampered with, 32 records in use.")]
pub(super) struct Arguments {
    /// The unit, as on its label.
    serial: Serial,
    /// The bench; its `data` is where the record is.
    #[arg(long, value_name = "FILE")]
    station: PathBuf,
    /// The site the board is in; the only one if there is one.
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// What the records say of the unit.
struct Known {
    standing: Standing,
    run: Option<RunId>,
    device: Option<DeviceId>,
    golden: Option<Golden>,
}

/// What came of the comparison.
struct Finding {
    agrees: bool,
    exit: Exit,
    words: String,
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        let bench = station::read(&self.station).map_err(|problems| fault::all_at_once(&problems))?;
        let site = self.site(&bench)?;
        let clock: Arc<dyn Clock> = Arc::new(System::new());
        let opening =
            Opening { mode: bench.mode.value, station: bench.name.clone(), tool: env!("CARGO_PKG_VERSION").to_owned() };
        let mut ledger = Ledger::open(&bench.data, &opening, Arc::clone(&clock))?;
        let known = known(&ledger, &self.serial)?;
        let mut seat = line::seat(site, None, &clock)?;
        let Some(golden) = &known.golden else {
            return self.without_record(&mut ledger, &mut seat, clock.as_ref(), out);
        };
        let Some(family) = crate::chip::family(&golden.chip) else { return Err(unknown_chip(golden)) };
        let (wire, console) = (seat.wire.as_mut(), seat.console.as_mut());
        let measured = measure(wire, console, family, golden, &self.serial, clock.as_ref())?;
        let finding = compare(&known, &measured);
        let entry = self.keep(&mut ledger, measured.device, &measured.evidence, &finding)?;
        self.tell(&known, &measured, &finding, entry, out)?;
        Ok(finding.exit)
    }

    fn site<'bench>(&self, bench: &'bench Station) -> Result<&'bench station::Site, Fault> {
        let names: Vec<_> = bench.sites.iter().map(|site| site.name.as_str()).collect();
        let found = match (&self.site, bench.sites.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), sites) => sites.iter().find(|site| site.name == *name),
        };
        found.ok_or_else(|| {
            let next = format!("Say which: --site {}.", names.join(" or --site "));
            Fault::new(Party::Operator, "it is not clear which site the board is in", next)
                .exit(Exit::Usage)
                .code("C-161")
        })
    }

    /// No record to compare with: only whether the port is open can be told, and that is told.
    fn without_record(
        &self,
        ledger: &mut Ledger,
        seat: &mut crate::session::Seat,
        clock: &dyn Clock,
        out: &mut dyn Write,
    ) -> Result<Exit, Fault> {
        let family = crate::chip::FAMILIES.first().copied().ok_or_else(no_family)?;
        let mut hand = crate::link::Hand::new(seat.wire.as_mut(), family.guarded());
        let (port, look) = crate::chip::classify(family, &mut hand)?;
        let evidence = crate::gate::closed_evidence(&look, None, clock.since_start()).to_vec();
        let exit = if port == Port::Closed { Exit::Closed } else { Exit::UnitFailed };
        let words = format!("there is no record of {}; its port is {port}", self.serial);
        let finding = Finding { agrees: false, exit, words };
        let entry = self.keep(ledger, None, &evidence, &finding)?;
        let known = Known { standing: Standing::Free, run: None, device: None, golden: None };
        self.tell(&known, &Measurement { port, device: None, evidence }, &finding, entry, out)?;
        Ok(exit)
    }

    fn keep(
        &self,
        ledger: &mut Ledger,
        device: Option<DeviceId>,
        evidence: &[Evidence],
        finding: &Finding,
    ) -> Result<u64, Fault> {
        let kept = ledger.keep(Measured {
            serial: self.serial.clone(),
            device,
            agrees: finding.agrees,
            evidence: evidence.to_vec(),
            comparison: finding.words.clone(),
        })?;
        Ok(kept.seq())
    }

    fn tell(
        &self,
        known: &Known,
        measured: &Measurement,
        finding: &Finding,
        entry: u64,
        out: &mut dyn Write,
    ) -> Result<(), Fault> {
        if self.json {
            let object = json!({
                "schema_version": SCHEMA_VERSION,
                "serial": self.serial,
                "standing": known.standing.word(),
                "run": known.run,
                "recorded_device": known.device,
                "port": measured.port,
                "device": measured.device,
                "agrees": finding.agrees,
                "finding": finding.words,
                "evidence": measured.evidence,
                "entry": entry,
                "exit": finding.exit.code(),
            });
            return say(out, &object.to_string());
        }
        for seen in measured.evidence.iter().filter(|seen| !measured.unseen().contains(seen)) {
            say(out, &statement(seen))?;
        }
        let unseen: Vec<_> = measured.unseen().iter().map(|seen| seen.of.as_str()).collect();
        if !unseen.is_empty() {
            say(out, &format!("not seen   {} (closed silicon does not show them)", unseen.join(", ")))?;
        }
        say(out, &format!("{}  {}  entry {entry}", self.serial, finding.words))
    }
}

fn statement(seen: &Evidence) -> String {
    let mark = match (seen.agrees, &seen.expected) {
        (true, _) => "agrees    ",
        (false, None) => "seen      ",
        (false, Some(_)) => "CONTRADICTS",
    };
    let observed = seen.observed.as_deref().unwrap_or("nothing");
    let expected = seen.expected.as_deref().map(|expected| format!(", expected {expected}")).unwrap_or_default();
    format!("{mark} {}: {observed}{expected} ({})", seen.of, seen.method)
}

fn known(ledger: &Ledger, serial: &Serial) -> Result<Known, Fault> {
    let standing = ledger.unit(serial)?;
    let (run, device) = match &standing {
        Standing::Passed { run, device, .. } => (Some(*run), Some(*device)),
        Standing::Open { run, device, .. } => (Some(*run), *device),
        Standing::Held { run, device, .. } => (*run, *device),
        Standing::Free | Standing::Void | Standing::Scrapped => (None, None),
    };
    let intent = run.map(|run| ledger.records().intent(run)).transpose()?.flatten();
    let bytes = intent.map(|intent| ledger.golden(&intent.golden)).transpose()?.flatten();
    let golden = bytes.map(|bytes| Golden::from_bytes(&bytes).map_err(|error| unreadable(&error))).transpose()?;
    Ok(Known { standing, run, device, golden })
}

/// The record's claim against what was measured.
fn compare(known: &Known, measured: &Measurement) -> Finding {
    let contradictions = measured.contradictions().len();
    let other = measured.device.zip(known.device).is_some_and(|(seen, recorded)| seen != recorded);
    let passed = matches!(known.standing, Standing::Passed { .. });
    let finding = |agrees, exit, words: String| Finding { agrees, exit, words };
    if other {
        return finding(false, Exit::UnitFailed, "CONTRADICTS its record: another device".to_owned());
    }
    if !passed {
        let words = format!("has no PASS on record, it is {}", known.standing.word());
        let exit = if measured.port == Port::Closed { Exit::Closed } else { Exit::UnitFailed };
        return finding(false, exit, words);
    }
    if contradictions > 0 {
        let words = format!("CONTRADICTS its record in {contradictions} places");
        return finding(false, Exit::UnitFailed, words);
    }
    let unseen = measured.unseen().len();
    let identity = if measured.device.is_some() { "identity seen" } else { "identity not seen" };
    finding(true, Exit::Pass, format!("agrees with its record as far as can be seen; {identity}, {unseen} not seen"))
}

fn unreadable(error: &serde_json::Error) -> Fault {
    let next = "Run `records verify`; if the chain is whole, report this with the version that wrote the record.";
    Fault::new(Party::Security, "the golden state of this unit cannot be read", next)
        .exit(Exit::Tampered)
        .code("L-134")
        .because(error)
}

fn unknown_chip(golden: &Golden) -> Fault {
    let next = "Use the version of rootstamp that provisioned this unit.";
    let what = format!("this release does not know the {} of the record", golden.chip);
    Fault::new(Party::Engineering, what, next).exit(Exit::WrongChip).code("B-403")
}

fn no_family() -> Fault {
    Fault::new(Party::Maintainers, "this program knows no chip at all", "Report this.").code("X-007")
}
