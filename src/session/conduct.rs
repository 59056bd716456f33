//! Does what a run asks for, and tells the front ends what moves.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    chip::{self, Port, Reset},
    clock::{Clock, Millis},
    fault::{Exit, Fault, Party},
    fixture::console::Console,
    gate::{self, Boot, Stop},
    ident::Serial,
    ledger::{DeviceStanding, Durable, Ledger, Standing, evidence::Evidence, facts},
    link::{Hand, Wire},
    plan::{BootLine, Golden, Lot},
    run::{self, Action, Ending, Life, Order, Run, Seen, Step, Turn},
    session::news::{Answer, Event, Outcome, Progress, Site, Verdict},
};

/// Everything one site works with.
pub struct Workplace<'a> {
    /// Where.
    pub site: Site,
    /// The way to the probe.
    pub wire: &'a mut dyn Wire,
    /// The board's console.
    pub console: &'a mut dyn Console,
    /// What is built.
    pub lot: &'a Lot,
    /// The records.
    pub ledger: &'a Mutex<Ledger>,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Told what moves.
    pub tell: &'a mut dyn FnMut(Event),
    /// Asks a hand to do something.
    pub ask: &'a mut dyn FnMut(&str) -> Answer,
}

/// Provisions one unit, from its scan to its verdict. Where each unit has a key of its own, by a golden state of its own.
pub fn conduct(place: &mut Workplace<'_>, order: Order) -> Outcome {
    // A unit without its key is refused by the run, which reads the same answer.
    match place.lot.for_unit(&order.serial) {
        Ok(Some(own)) => conduct_by(&mut place.with(&own), order),
        Ok(None) | Err(_) => conduct_by(place, order),
    }
}

fn conduct_by(place: &mut Workplace<'_>, order: Order) -> Outcome {
    let began = place.clock.since_start();
    let serial = order.serial.clone();
    let mut run = Run::new(place.lot, order);
    (place.tell)(Event::Started { site: place.site, serial: serial.clone(), at: place.clock.wall() });
    let mut turn = place.first_turn(&mut run, &serial);
    let mut step = None;
    let ending = loop {
        match turn {
            Turn::Over(ending) => break ending,
            Turn::Do(action) => {
                place.moved(&mut step, run.step(), matches!(action, Action::KeepStopped(_)));
                let heard = place.perform(&mut run, action);
                turn = run.hear(heard);
            }
        }
    };
    place.step(step, if matches!(ending, Ending::Passed(_)) { Progress::Done } else { Progress::Stopped });
    let took = Millis(place.clock.since_start().0.saturating_sub(began.0));
    outcome(place.lot, &serial, run.id(), ending, took)
}

/// A mutex whose holder panicked still guards a ledger that is whole: every entry is one transaction.
pub(crate) fn open(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workplace<'_> {
    /// The same place, building something else.
    fn with<'a>(&'a mut self, lot: &'a Lot) -> Workplace<'a> {
        Workplace {
            site: self.site,
            wire: &mut *self.wire,
            console: &mut *self.console,
            lot,
            ledger: self.ledger,
            clock: self.clock,
            tell: &mut *self.tell,
            ask: &mut *self.ask,
        }
    }

    fn first_turn(&mut self, run: &mut Run<'_>, serial: &Serial) -> Turn {
        self.step(Some(Step::Look), Progress::Begun);
        let standing = match open(self.ledger).unit(serial) {
            Ok(standing) => standing,
            Err(fault) => return run.refuse(fault),
        };
        if let Some(turn) = run.consider(&standing) {
            return turn;
        }
        match self.look(standing) {
            Ok(seen) => {
                let evidence = run::look_evidence(&seen, self.clock.since_start());
                self.measured(&evidence);
                run.observe(evidence);
                run.begin(&seen)
            }
            Err(fault) => run.refuse(fault),
        }
    }

    fn look(&mut self, standing: Standing) -> Result<Seen, Fault> {
        // A boot that nobody can hear would fail a good board at its end.
        self.console.recover()?;
        let family = self.lot.family;
        let mut hand = Hand::new(self.wire, family.guarded());
        let (port, look) = chip::classify(family, &mut hand)?;
        let mut seen =
            Seen { standing, port, look, identity: None, device: DeviceStanding::Unknown, life: Life::NotObservable };
        match port {
            Port::Open => {
                let identity = family.identify(&mut hand)?;
                seen.device = open(self.ledger).device(identity.device)?;
                seen.identity = Some(identity);
            }
            Port::Closed => {
                let boot = self.boot_line(&seen.standing)?;
                seen.life = self.life(boot.as_ref())?;
            }
        }
        Ok(seen)
    }

    /// What this unit says when it is finished: what its own record asks for, or else what is built today.
    fn boot_line(&self, standing: &Standing) -> Result<Option<BootLine>, Fault> {
        let Standing::Passed { run, .. } = standing else { return Ok(self.lot.golden.boot.clone()) };
        let ledger = open(self.ledger);
        let intent = ledger.records().intent(*run)?;
        let bytes = intent.map(|intent| ledger.golden(&intent.golden)).transpose()?.flatten();
        // A golden state that cannot be read asks for nothing that could be heard: then no board is taken for finished.
        Ok(bytes.and_then(|bytes| Golden::from_bytes(&bytes).ok()).and_then(|golden| golden.boot))
    }

    /// Nudges a closed board and listens: a finished unit says its boot line, a virgin one says nothing.
    fn life(&mut self, boot: Option<&BootLine>) -> Result<Life, Fault> {
        let Some(boot) = boot.filter(|_| self.console.listens()) else { return Ok(Life::NotObservable) };
        self.console.forget();
        let family = self.lot.family;
        let nudged = family.reset(&mut Hand::new(self.wire, family.guarded()), Reset::Soft);
        nudged.map_err(|broke| chip::unanswered(&broke))?;
        Ok(match self.console.wait_for(&boot.uart, boot.within_ms) {
            Some(line) => Life::Boots(line),
            None => self.console.anything(0).map_or(Life::Silent, Life::Seen),
        })
    }

    fn perform(&mut self, run: &mut Run<'_>, action: Action) -> run::Outcome {
        let lot = self.lot;
        match action {
            Action::KeepErase(intent) => self.keep_erase(intent),
            Action::Erase(intent) => self.erase(intent),
            Action::KeepBound(bound) => kept(self.keep(bound), run::Outcome::KeptBound),
            Action::KeepVoided(voided) => kept(self.keep(voided), run::Outcome::KeptVoided),
            Action::Program => self.program(),
            Action::Compare(device) => {
                let compared = self
                    .with_told(Step::ReadBack, |wire, told| gate::compare(wire, lot.family, &lot.golden, device, told));
                self.observed(run, compared, run::Outcome::Compared)
            }
            Action::KeepStamp(intent) => kept(self.keep(intent), run::Outcome::KeptStamp),
            Action::Stamp(intent) => kept(gate::stamp(self.wire, lot.family, intent), |()| run::Outcome::Stamped),
            Action::Verify(unit, compared) => {
                let verified = self.with_told(Step::Verify, |wire, told| {
                    gate::verify(wire, lot.family, &lot.golden, unit, compared, told)
                });
                if let Ok(verified) = &verified {
                    self.measured(verified.evidence());
                }
                self.observed(run, verified, run::Outcome::Verified)
            }
            Action::KeepVerified(verified) => kept(self.keep(verified), run::Outcome::KeptVerified),
            Action::Lock(record) => {
                let latching =
                    self.with_told(Step::Lock, |wire, told| gate::lock(wire, lot.family, &lot.golden, record, told));
                self.observed(run, latching, run::Outcome::Latching)
            }
            Action::Reset(latching, how) => {
                let settled = self.reset(latching, how);
                self.observed(run, settled, run::Outcome::Settled)
            }
            Action::Listen(shut) => {
                let boot = self.listen();
                let locked = shut.pass(&lot.golden, &boot);
                if let Ok(locked) = &locked {
                    self.measured(locked.evidence());
                }
                self.observed(run, locked, run::Outcome::Passing)
            }
            Action::KeepLocked(locked) => kept(self.keep(locked), run::Outcome::KeptLocked),
            Action::KeepStopped(stopped) => kept(self.keep(stopped), run::Outcome::KeptStopped),
        }
    }

    fn keep<F: facts::Fact>(&self, fact: F) -> Result<Durable<F>, Fault> {
        open(self.ledger).keep(fact)
    }

    fn keep_erase(&self, intent: facts::EraseIntent) -> run::Outcome {
        let kept_golden = self.lot.golden.to_bytes().map_err(|error| {
            Fault::new(Party::Maintainers, "the golden state cannot be stored", "Report this.")
                .code("X-011")
                .because(&error)
        });
        let golden = kept_golden.and_then(|bytes| open(self.ledger).keep_golden(&bytes));
        kept(golden.and_then(|_| self.keep(intent)), run::Outcome::KeptErase)
    }

    fn erase(&mut self, intent: Durable<facts::EraseIntent>) -> run::Outcome {
        let erased = gate::erase(self.wire, self.lot.family, intent)
            .and_then(|identity| Ok((open(self.ledger).device(identity.device)?, identity)));
        kept(erased, |(device, identity)| run::Outcome::Erased(identity, device))
    }

    fn program(&mut self) -> run::Outcome {
        let lot = self.lot;
        let total: u64 = lot.golden.regions.iter().map(|region| region.bytes.len() as u64).sum();
        let mut before = 0;
        for region in &lot.golden.regions {
            let programmed = self.with_told(Step::Program, |wire, told| {
                gate::program(wire, lot.family, region, &mut |done, _| {
                    told(Some((before + done, total)));
                })
            });
            if let Err(fault) = programmed {
                return run::Outcome::Failed(fault, Vec::new());
            }
            before += region.bytes.len() as u64;
        }
        run::Outcome::Programmed
    }

    fn reset(&mut self, latching: gate::Latching, how: Reset) -> Result<gate::Settled, Stop> {
        let lot = self.lot;
        self.console.forget();
        match how {
            Reset::Soft | Reset::Pin => {
                self.with_told(Step::Confirm, |wire, told| latching.reset(wire, lot.family, how, told))
            }
            Reset::Power => match (self.ask)("Take the board's power away, wait two seconds, and give it back.") {
                Answer::Done => self.with_told(Step::Confirm, |wire, told| latching.look(wire, lot.family, how, told)),
                Answer::Cannot => Err(nobody_cycled_power().into()),
            },
        }
    }

    fn listen(&mut self) -> Boot {
        let Some(wanted) = &self.lot.golden.boot else { return Boot::NotObserved };
        if !self.console.listens() {
            return Boot::NotObserved;
        }
        let heard = self.console.wait_for(&wanted.uart, wanted.within_ms);
        heard.or_else(|| self.console.anything(0)).map_or(Boot::NotObserved, Boot::Seen)
    }

    /// Runs a gate with its progress told as that of the step.
    fn with_told<T>(&mut self, step: Step, gate: impl FnOnce(&mut dyn Wire, gate::Told<'_>) -> T) -> T {
        let Self { site, wire, clock, tell, .. } = self;
        gate(*wire, &mut |moved| {
            let at = clock.since_start();
            if let Some((done, total)) = moved {
                let progress = Progress::Going { done, total };
                tell(Event::Step { site: *site, step: step.to_string(), progress, at });
            }
            at
        })
    }

    fn observed<T>(
        &mut self,
        run: &mut Run<'_>,
        done: Result<T, Stop>,
        outcome: impl FnOnce(T) -> run::Outcome,
    ) -> run::Outcome {
        match done {
            Ok(done) => outcome(done),
            Err(Stop { fault, evidence }) => {
                self.measured(&evidence);
                run.observe(evidence);
                run::Outcome::Failed(fault, Vec::new())
            }
        }
    }

    fn measured(&mut self, evidence: &[Evidence]) {
        for evidence in evidence {
            (self.tell)(Event::Measured { site: self.site, evidence: evidence.clone() });
        }
    }

    fn moved(&mut self, before: &mut Option<Step>, now: Step, stopping: bool) {
        if stopping || *before == Some(now) {
            return;
        }
        if before.is_some() {
            self.step(*before, Progress::Done);
        }
        if now != Step::Look {
            self.step(Some(now), Progress::Begun);
        }
        *before = Some(now);
    }

    fn step(&mut self, step: Option<Step>, progress: Progress) {
        let Some(step) = step else { return };
        let at = self.clock.since_start();
        (self.tell)(Event::Step { site: self.site, step: step.to_string(), progress, at });
    }
}

fn kept<T>(done: Result<T, Fault>, outcome: impl FnOnce(T) -> run::Outcome) -> run::Outcome {
    match done {
        Ok(done) => outcome(done),
        Err(fault) => run::Outcome::Failed(fault, Vec::new()),
    }
}

fn nobody_cycled_power() -> Fault {
    Fault::new(Party::Supervisor, "the board does not close", "Put the board on the blue rack and call the supervisor.")
        .exit(Exit::Quarantined)
        .code("H-304")
        .detail("it is open after soft and pin reset, and nobody could take its power away")
}

fn outcome(lot: &Lot, serial: &Serial, run: Option<crate::ident::RunId>, ending: Ending, took: Millis) -> Outcome {
    let plain = |verdict, exit| Outcome {
        verdict,
        serial: Some(serial.clone()),
        run,
        device: None,
        key: lot.key(),
        beside: String::new(),
        fault: None,
        next: "Take the board out.".to_owned(),
        exit,
        entry: None,
        took,
    };
    match ending {
        Ending::Passed(record) => Outcome {
            device: Some(record.fact().unit().device),
            beside: record.fact().beside().to_owned(),
            entry: Some(record.seq()),
            ..plain(Verdict::Pass, Exit::Pass)
        },
        Ending::DoneAlready { run, device, seq } => Outcome {
            run: Some(run),
            device: Some(device),
            beside: "boot seen".to_owned(),
            next: "This unit is finished: put the board with the good ones.".to_owned(),
            entry: Some(seq),
            ..plain(Verdict::DoneAlready, Exit::Duplicate)
        },
        Ending::Stopped(stopped, entry) => {
            let held = stopped.verdict == facts::Ending::Hold;
            let exit = if held { stopped.fault.exit.worst(Exit::Quarantined) } else { stopped.fault.exit };
            Outcome {
                device: stopped.device,
                next: if held { next_of_held(&stopped.fault) } else { stopped.fault.next.clone() },
                entry,
                fault: Some(stopped.fault.clone()),
                ..plain(verdict(stopped.verdict), exit)
            }
        }
    }
}

/// A contact that was lost says "scan again", and a failed unit "red bin"; neither holds once the board may be locked.
fn next_of_held(fault: &Fault) -> String {
    match fault.code.chars().next() {
        Some('R' | 'E') => "Put the board on the blue rack and call the supervisor.".to_owned(),
        Some(_) | None => fault.next.clone(),
    }
}

/// A board that was refused untouched is shown as HOLD: nobody at the line can say what it is.
fn verdict(ending: facts::Ending) -> Verdict {
    match ending {
        facts::Ending::Fail => Verdict::Fail,
        facts::Ending::Retry => Verdict::Retry,
        facts::Ending::Hold | facts::Ending::Refused => Verdict::Hold,
    }
}
