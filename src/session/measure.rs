//! QA measures a unit again, and only then compares with its record.

use crate::{
    chip::{self, Family, Port, Reset},
    clock::Clock,
    fault::Fault,
    fixture::console::Console,
    gate,
    ident::{DeviceId, Serial},
    ledger::evidence::{Evidence, Method},
    link::{Hand, Peek as _, Wire},
    plan::Golden,
};

/// What a unit shows today.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The port.
    pub port: Port,
    /// The device, where it can be read.
    pub device: Option<DeviceId>,
    /// Everything seen, and everything that cannot be seen.
    pub evidence: Vec<Evidence>,
}

impl Measurement {
    /// What contradicts the golden state; what cannot be seen contradicts nothing.
    #[must_use]
    pub fn contradictions(&self) -> Vec<&Evidence> {
        let asked = |seen: &&Evidence| !seen.agrees && seen.method != Method::Unobservable;
        self.evidence.iter().filter(asked).collect()
    }

    /// What cannot be seen.
    #[must_use]
    pub fn unseen(&self) -> Vec<&Evidence> {
        self.evidence.iter().filter(|seen| seen.method == Method::Unobservable).collect()
    }
}

/// Measures whatever the board lets us see, without changing it. A closed board is nudged with a reset, to hear it boot.
///
/// # Errors
/// A [`Fault`] if it cannot be read reliably, or is another chip.
pub fn measure(
    wire: &mut dyn Wire,
    console: &mut dyn Console,
    family: &dyn Family,
    golden: &Golden,
    serial: &Serial,
    clock: &dyn Clock,
) -> Result<Measurement, Fault> {
    let mut hand = Hand::new(wire, family.guarded());
    let (port, look) = chip::classify(family, &mut hand)?;
    match port {
        Port::Closed => {
            let mut evidence = gate::closed_evidence(&look, None, clock.since_start()).to_vec();
            evidence.push(hear_boot(&mut hand, console, family, golden, clock)?);
            evidence.extend(hidden(golden, serial, clock));
            hand.let_go().map_err(|broke| chip::unanswered(&broke))?;
            Ok(Measurement { port, device: None, evidence })
        }
        Port::Open => {
            let identity = family.identify(&mut hand)?;
            let mut evidence = vec![still_open(&look, clock)];
            evidence.extend(read_everything(&mut hand, family, golden, serial, clock)?);
            hand.let_go().map_err(|broke| chip::unanswered(&broke))?;
            Ok(Measurement { port, device: Some(identity.device), evidence })
        }
    }
}

fn hear_boot(
    hand: &mut Hand<'_>,
    console: &mut dyn Console,
    family: &dyn Family,
    golden: &Golden,
    clock: &dyn Clock,
) -> Result<Evidence, Fault> {
    let Some(boot) = golden.boot.as_ref().filter(|_| console.listens()) else {
        return Ok(unobservable("boot", None, clock));
    };
    console.forget();
    family.reset(hand, Reset::Soft).map_err(|broke| chip::unanswered(&broke))?;
    let heard = console.wait_for(&boot.uart, boot.within_ms);
    let observed = heard.clone().or_else(|| console.anything(0));
    Ok(Evidence {
        of: "boot".to_owned(),
        method: Method::BootObserved,
        expected: Some(boot.uart.clone()),
        agrees: heard.is_some(),
        observed,
        at: clock.since_start(),
    })
}

/// Everything the golden state asks for that closed silicon does not show.
fn hidden(golden: &Golden, serial: &Serial, clock: &dyn Clock) -> Vec<Evidence> {
    let mut hidden = vec![unobservable("device", None, clock)];
    let regions = golden.regions.iter().map(|region| (format!("flash.{}", region.name), region.digest.to_string()));
    let words: Vec<_> = golden.words_for(serial).into_iter().chain(golden.lock.clone()).collect();
    let blind = vec![None; words.len()];
    let words = gate::words_evidence(&words, &blind, clock.since_start()).into_iter();
    hidden.extend(regions.map(|(of, expected)| unobservable(&of, Some(expected), clock)));
    hidden.extend(words.map(|word| Evidence { method: Method::Unobservable, ..word }));
    hidden
}

fn unobservable(of: &str, expected: Option<String>, clock: &dyn Clock) -> Evidence {
    Evidence {
        of: of.to_owned(),
        method: Method::Unobservable,
        expected,
        observed: None,
        agrees: false,
        at: clock.since_start(),
    }
}

fn still_open(look: &chip::Look, clock: &dyn Clock) -> Evidence {
    Evidence {
        of: "lock.status".to_owned(),
        method: Method::StatusRegister,
        expected: Some("closed".to_owned()),
        observed: Some(format!("open: {look}")),
        agrees: false,
        at: clock.since_start(),
    }
}

fn read_everything(
    hand: &mut Hand<'_>,
    family: &dyn Family,
    golden: &Golden,
    serial: &Serial,
    clock: &dyn Clock,
) -> Result<Vec<Evidence>, Fault> {
    let mut evidence = Vec::new();
    for region in &golden.regions {
        evidence.push(gate::compare_region(hand, family, region, &mut |_| clock.since_start())?);
    }
    let words: Vec<_> = golden.words_for(serial).into_iter().chain(golden.lock.clone()).collect();
    evidence.extend(gate::read_words(hand, &words, &mut |_| clock.since_start())?);
    Ok(evidence)
}
