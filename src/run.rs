//! The state machine of one unit, without input or output: `begin(Seen) -> Turn`, `hear(Outcome) -> Turn`.
//!
//! Reversible steps first, the irreversible tail last, and five durable commits between them: C1 erase intent, C2
//! bound, C3 stamp intent, C4 verified, C5 locked. [threats-and-protocol §3.3] The machine decides; whoever drives it
//! does what a [`Turn`] says and brings back what came of it.

use std::fmt;

use crate::{
    chip::{Identity, Look, Port, Reset, Word},
    fault::{Exit, Fault, Party},
    gate::{Compared, Latching, Locked, Settled, Shut, Unit, Verified},
    ident::{DeviceId, Digest, RunId, Serial},
    ledger::{
        DeviceStanding, Durable, Standing,
        evidence::{Evidence, Method},
        facts::{self, Bound, EraseIntent, StampIntent, Stopped, Voided},
    },
    plan::Lot,
};

/// Runs of one unit before rootstamp stops trying by itself. An engineering choice: a board that loses contact this
/// often has a bench problem that one more scan does not cure.
pub const ATTEMPTS: u64 = 5;

/// What a closed board said when it was nudged awake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Life {
    /// It said this, which is what a finished unit says.
    Boots(String),
    /// It said this, which is something else.
    Seen(String),
    /// It was listened to, and said nothing.
    Silent,
    /// Nobody can listen: no console, or the recipe names nothing to hear.
    NotObservable,
}

/// The first look: read-only, and everything that decides whether this unit may be begun.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where the serial number stands.
    pub standing: Standing,
    /// The port, as several looks agree.
    pub port: Port,
    /// The look they agree on.
    pub look: Look,
    /// Who the chip is, where the port is open.
    pub identity: Option<Identity>,
    /// Where that device stands.
    pub device: DeviceStanding,
    /// Signs of life, where the port is closed.
    pub life: Life,
}

/// What the unit is to become, and where.
#[derive(Clone, Debug)]
pub struct Order {
    /// The unit.
    pub serial: Serial,
    /// Name of the site.
    pub site: String,
    /// The probe, as the station names it.
    pub probe: String,
}

/// What to do next.
pub enum Turn {
    /// Do this, and tell what came of it.
    Do(Action),
    /// It is over.
    Over(Ending),
}

/// Everything a run can ask for. Burns carry the durable fact they spend.
pub enum Action {
    /// C1.
    KeepErase(EraseIntent),
    /// ERASEALL.
    Erase(Durable<EraseIntent>),
    /// C2.
    KeepBound(Bound),
    /// The record of another unit no longer describes its device.
    KeepVoided(Voided),
    /// Program flash.
    Program,
    /// Read flash back.
    Compare(DeviceId),
    /// C3.
    KeepStamp(StampIntent),
    /// Write the words that are written once.
    Stamp(Durable<StampIntent>),
    /// Read everything else back.
    Verify(Unit, Compared),
    /// C4.
    KeepVerified(Verified),
    /// Lock words and last look.
    Lock(Durable<Verified>),
    /// Reset in this way and look.
    Reset(Latching, Reset),
    /// Wait for the firmware's word, where the recipe asks for one.
    Listen(Shut),
    /// C5.
    KeepLocked(Locked),
    /// The record of a run that did not pass.
    KeepStopped(Stopped),
}

/// What came of an action.
pub enum Outcome {
    /// C1 is durable.
    KeptErase(Durable<EraseIntent>),
    /// The chip is blank and open; this is who it is, and where that device stands.
    Erased(Identity, DeviceStanding),
    /// C2 is durable.
    KeptBound(Durable<Bound>),
    /// The other record is void.
    KeptVoided(Durable<Voided>),
    /// Flash was programmed.
    Programmed,
    /// Flash was read back.
    Compared(Compared),
    /// C3 is durable.
    KeptStamp(Durable<StampIntent>),
    /// The words were written.
    Stamped,
    /// Everything was read back.
    Verified(Verified),
    /// C4 is durable.
    KeptVerified(Durable<Verified>),
    /// Lock words are written and seen.
    Latching(Latching),
    /// Reset and looked.
    Settled(Settled),
    /// The boot was seen, or none was asked for.
    Passing(Locked),
    /// C5 is durable.
    KeptLocked(Durable<Locked>),
    /// The record of the stopped run is durable.
    KeptStopped(Durable<Stopped>),
    /// It failed.
    Failed(Fault, Vec<Evidence>),
}

/// How a run ended.
pub enum Ending {
    /// PASS.
    Passed(Durable<Locked>),
    /// This unit is finished already: its label is, and the board is closed and says what a finished one says. Nothing was
    /// changed.
    DoneAlready {
        /// Its run.
        run: RunId,
        /// Its device.
        device: DeviceId,
        /// The entry that says so.
        seq: u64,
    },
    /// Anything else, with the entry of its record if one could be written.
    Stopped(Box<Stopped>, Option<u64>),
}

/// The steps of a unit, in their order, as front ends name them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Cold connects.
    Look,
    /// ERASEALL.
    Erase,
    /// Who it is, and the record of it.
    Identify,
    /// Flash.
    Program,
    /// Flash again.
    ReadBack,
    /// Words written once.
    Stamp,
    /// Everything read back.
    Verify,
    /// Lock words and last look.
    Lock,
    /// Reset and looks.
    Confirm,
    /// The firmware's word.
    Boot,
    /// The record of the PASS.
    Record,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Look,
        Self::Erase,
        Self::Identify,
        Self::Program,
        Self::ReadBack,
        Self::Stamp,
        Self::Verify,
        Self::Lock,
        Self::Confirm,
        Self::Boot,
        Self::Record,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Look => "look",
            Self::Erase => "erase",
            Self::Identify => "identify",
            Self::Program => "program",
            Self::ReadBack => "read back",
            Self::Stamp => "stamp",
            Self::Verify => "verify",
            Self::Lock => "lock",
            Self::Confirm => "confirm lock",
            Self::Boot => "boot",
            Self::Record => "record",
        })
    }
}

/// What the machine waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Await {
    Nothing,
    KeptErase,
    Erased,
    KeptVoided,
    KeptBound,
    Programmed,
    Compared,
    KeptStamp,
    Stamped,
    Verified,
    KeptVerified,
    Latching,
    Settled(Reset),
    Passing,
    KeptLocked,
    KeptStopped,
}

impl Await {
    const fn step(self) -> Step {
        match self {
            Self::Nothing | Self::KeptErase => Step::Look,
            Self::Erased => Step::Erase,
            Self::KeptVoided | Self::KeptBound => Step::Identify,
            Self::Programmed => Step::Program,
            Self::Compared => Step::ReadBack,
            Self::KeptStamp | Self::Stamped => Step::Stamp,
            Self::Verified | Self::KeptVerified => Step::Verify,
            Self::Latching => Step::Lock,
            Self::Settled(_) => Step::Confirm,
            Self::Passing => Step::Boot,
            Self::KeptLocked | Self::KeptStopped => Step::Record,
        }
    }

    /// Whether a lock word of ours may be on the board by now.
    const fn may_be_locked(self) -> bool {
        match self {
            Self::Latching | Self::Settled(_) | Self::Passing | Self::KeptLocked => true,
            Self::Nothing
            | Self::KeptErase
            | Self::Erased
            | Self::KeptVoided
            | Self::KeptBound
            | Self::Programmed
            | Self::Compared
            | Self::KeptStamp
            | Self::Stamped
            | Self::Verified
            | Self::KeptVerified
            | Self::KeptStopped => false,
        }
    }
}

/// One unit on its way.
pub struct Run<'lot> {
    lot: &'lot Lot,
    order: Order,
    awaits: Await,
    id: Option<RunId>,
    device: Option<DeviceId>,
    compared: Option<Compared>,
    evidence: Vec<Evidence>,
    stopped: Option<Box<Stopped>>,
}

impl<'lot> Run<'lot> {
    /// A run that was not begun yet.
    #[must_use]
    pub fn new(lot: &'lot Lot, order: Order) -> Self {
        Self {
            lot,
            order,
            awaits: Await::Nothing,
            id: None,
            device: None,
            compared: None,
            evidence: Vec::new(),
            stopped: None,
        }
    }

    /// The step that is going on.
    #[must_use]
    pub fn step(&self) -> Step {
        self.awaits.step()
    }

    /// The run, once C1 is durable.
    #[must_use]
    pub fn id(&self) -> Option<RunId> {
        self.id
    }

    /// The device, once it was read.
    #[must_use]
    pub fn device(&self) -> Option<DeviceId> {
        self.device
    }

    /// Notes what was observed, for the record of a run that stops.
    pub fn observe(&mut self, evidence: impl IntoIterator<Item = Evidence>) {
        self.evidence.extend(evidence);
    }

    /// Decides on the records alone, before the board is touched by anything but presence reads; `None` if a look is
    /// worth it.
    #[must_use]
    pub fn consider(&mut self, standing: &Standing) -> Option<Turn> {
        let fault = match standing {
            Standing::Open { attempts, released, .. } if *attempts >= ATTEMPTS && !released => too_often(*attempts),
            // A finished label says nothing of the board that is in the fixture now.
            Standing::Free | Standing::Open { .. } | Standing::Passed { .. } => return None,
            Standing::Held { why, .. } => on_hold(why),
            Standing::Void | Standing::Scrapped => used_up(standing),
        };
        Some(self.stop(fault))
    }

    /// Decides on the first look.
    #[must_use]
    pub fn begin(&mut self, seen: &Seen) -> Turn {
        if let Some(turn) = self.consider(&seen.standing) {
            return turn;
        }
        self.device = seen.identity.as_ref().map(|identity| identity.device);
        if let Standing::Passed { run, device, seq } = seen.standing {
            return match is_finished(seen, device) {
                Ok(()) => Turn::Over(Ending::DoneAlready { run, device, seq }),
                Err(fault) => self.stop(fault),
            };
        }
        match self.may_begin(seen) {
            Ok(intent) => self.go(Await::KeptErase, Action::KeepErase(intent)),
            Err(fault) => self.stop(fault),
        }
    }

    /// Stops before anything was begun, as when nothing answers.
    #[must_use]
    pub fn refuse(&mut self, fault: Fault) -> Turn {
        self.stop(fault)
    }

    /// What came of the last turn decides the next one.
    #[must_use]
    pub fn hear(&mut self, outcome: Outcome) -> Turn {
        match (self.awaits, outcome) {
            (Await::KeptErase, Outcome::KeptErase(intent)) => {
                self.id = Some(intent.run());
                self.go(Await::Erased, Action::Erase(intent))
            }
            (Await::Erased, Outcome::Erased(identity, device)) => self.identified(&identity, &device),
            (Await::KeptVoided, Outcome::KeptVoided(voided)) => self.stop(erased_another(&voided)),
            (Await::KeptBound, Outcome::KeptBound(_)) => self.go(Await::Programmed, Action::Program),
            (Await::Programmed, Outcome::Programmed) => self.with_device(Await::Compared, Action::Compare),
            (Await::Compared, Outcome::Compared(compared)) => {
                self.compared = Some(compared);
                self.with_unit(Self::intend_stamp)
            }
            (Await::KeptStamp, Outcome::KeptStamp(intent)) => self.go(Await::Stamped, Action::Stamp(intent)),
            (Await::Stamped, Outcome::Stamped) => self.with_unit(Self::verify),
            (Await::Verified, Outcome::Verified(proof)) => self.go(Await::KeptVerified, Action::KeepVerified(proof)),
            (Await::KeptVerified, Outcome::KeptVerified(record)) => self.go(Await::Latching, Action::Lock(record)),
            (Await::Latching, Outcome::Latching(latching)) => self.reset(latching, Reset::Soft),
            (Await::Settled(_), Outcome::Settled(Settled::Shut(shut))) => self.go(Await::Passing, Action::Listen(shut)),
            (Await::Settled(Reset::Soft), Outcome::Settled(Settled::StillOpen(latching))) => {
                self.reset(latching, Reset::Pin)
            }
            (Await::Settled(Reset::Pin), Outcome::Settled(Settled::StillOpen(latching))) => {
                self.reset(latching, Reset::Power)
            }
            (Await::Settled(Reset::Power), Outcome::Settled(Settled::StillOpen(_))) => self.stop(stays_open()),
            (Await::Passing, Outcome::Passing(locked)) => self.go(Await::KeptLocked, Action::KeepLocked(locked)),
            (Await::KeptLocked, Outcome::KeptLocked(record)) => Turn::Over(Ending::Passed(record)),
            (Await::KeptStopped, Outcome::KeptStopped(record)) => self.over(Some(record.seq())),
            (Await::KeptStopped, Outcome::Failed(fault, _)) => self.unrecorded(fault),
            (_, Outcome::Failed(fault, evidence)) => {
                self.evidence.extend(evidence);
                self.stop(fault)
            }
            (awaited, _) => self.stop(ours(awaited)),
        }
    }

    fn go(&mut self, awaits: Await, action: Action) -> Turn {
        self.awaits = awaits;
        Turn::Do(action)
    }

    fn reset(&mut self, latching: Latching, how: Reset) -> Turn {
        self.go(Await::Settled(how), Action::Reset(latching, how))
    }

    fn may_begin(&self, seen: &Seen) -> Result<EraseIntent, Fault> {
        self.lot.ready_for(&self.order.serial)?;
        let resumes = match &seen.standing {
            Standing::Open { run, .. } => Some(*run),
            Standing::Free | Standing::Held { .. } | Standing::Void | Standing::Scrapped | Standing::Passed { .. } => {
                None
            }
        };
        match (seen.port, &seen.identity) {
            (Port::Open, Some(identity)) => self.may_erase_open(seen, identity)?,
            (Port::Open, None) => return Err(ours(Await::Nothing)),
            (Port::Closed, _) => self.may_erase_closed(seen)?,
        }
        Ok(EraseIntent {
            serial: self.order.serial.clone(),
            site: self.order.site.clone(),
            probe: self.order.probe.clone(),
            product: self.lot.product.code.clone(),
            recipe: self.lot.product.digest,
            device: self.device,
            port: seen.port.to_string(),
            resumes,
            golden: self.lot.golden.digest,
            key: self.lot.key(),
        })
    }

    fn may_erase_open(&self, seen: &Seen, identity: &Identity) -> Result<(), Fault> {
        allowed_silicon(self.lot, identity)?;
        let own = match &seen.standing {
            Standing::Open { device, .. } => *device,
            Standing::Free | Standing::Passed { .. } | Standing::Held { .. } | Standing::Void | Standing::Scrapped => {
                None
            }
        };
        if own.is_some_and(|own| own != identity.device) {
            return Err(another_board(&format!("{} belongs to another device", self.order.serial)));
        }
        match &seen.device {
            DeviceStanding::Unknown => Ok(()),
            DeviceStanding::BoundTo { serial, passed: false, scrapped: false, .. } if *serial == self.order.serial => {
                Ok(())
            }
            DeviceStanding::BoundTo { serial, .. } => Err(another_board(&format!("it belongs to {serial}"))),
        }
    }

    /// Closed boards. Virgin default-closed silicon looks like a finished unit; it is erased only if the recipe says
    /// that boards arrive closed (or our own run closed it), and no sign of life was found.
    fn may_erase_closed(&self, seen: &Seen) -> Result<(), Fault> {
        let (resumes, locked_by_us, released) = match &seen.standing {
            Standing::Open { locked_intent, released, .. } => (true, *locked_intent, *released),
            Standing::Free | Standing::Passed { .. } | Standing::Held { .. } | Standing::Void | Standing::Scrapped => {
                (false, false, false)
            }
        };
        let explained = self.lot.ships_closed() || locked_by_us;
        match &seen.life {
            _ if !explained => Err(not_ours("boards of this product arrive open, and this one is closed")),
            Life::Silent | Life::NotObservable => Ok(()),
            Life::Boots(_) | Life::Seen(_) if released => Ok(()),
            Life::Boots(line) | Life::Seen(line) if resumes => Err(may_be_finished(line)),
            Life::Boots(line) | Life::Seen(line) => Err(not_ours(&format!("it is closed and alive, it says: {line}"))),
        }
    }

    fn identified(&mut self, identity: &Identity, device: &DeviceStanding) -> Turn {
        self.device = Some(identity.device);
        if let Err(fault) = allowed_silicon(self.lot, identity) {
            return self.stop(fault);
        }
        match device {
            DeviceStanding::BoundTo { serial, run, .. } if *serial != self.order.serial => {
                self.revealed(serial.clone(), *run, identity.device)
            }
            DeviceStanding::BoundTo { scrapped: true, .. } => self.stop(another_board("it was scrapped")),
            DeviceStanding::Unknown | DeviceStanding::BoundTo { .. } => {
                self.with_unit(|run, unit| run.intend_bound(unit, identity))
            }
        }
    }

    /// The erase revealed a device that another record describes: that record is void now, and loudly.
    fn revealed(&mut self, serial: Serial, run: RunId, device: DeviceId) -> Turn {
        let Some(by_run) = self.id else { return self.stop(ours(self.awaits)) };
        let because = format!("its device was erased under the label {}", self.order.serial);
        self.go(Await::KeptVoided, Action::KeepVoided(Voided { run, serial, device, because, by_run }))
    }

    fn intend_bound(&mut self, unit: Unit, identity: &Identity) -> Turn {
        let bound = Bound {
            run: unit.run,
            serial: unit.serial,
            device: unit.device,
            part: self.lot.family.name().to_owned(),
            variant: identity.variant.clone(),
            evidence: self.evidence.clone(),
        };
        self.go(Await::KeptBound, Action::KeepBound(bound))
    }

    fn intend_stamp(&mut self, unit: Unit) -> Turn {
        let words = self.lot.golden.words_for(&unit.serial).into_iter();
        let words: Vec<facts::Word> =
            words.map(|Word { name, at, value, .. }| facts::Word { at, value, name }).collect();
        let listed = serde_json::to_vec(&words).unwrap_or_default();
        let digest = Digest::of(&listed);
        let intent = StampIntent { run: unit.run, serial: unit.serial, device: unit.device, words, digest };
        self.go(Await::KeptStamp, Action::KeepStamp(intent))
    }

    fn verify(&mut self, unit: Unit) -> Turn {
        match self.compared.take() {
            Some(compared) => self.go(Await::Verified, Action::Verify(unit, compared)),
            None => self.stop(ours(self.awaits)),
        }
    }

    fn with_device(&mut self, awaits: Await, action: impl FnOnce(DeviceId) -> Action) -> Turn {
        match self.device {
            Some(device) => self.go(awaits, action(device)),
            None => self.stop(ours(self.awaits)),
        }
    }

    fn with_unit(&mut self, turn: impl FnOnce(&mut Self, Unit) -> Turn) -> Turn {
        match (self.id, self.device) {
            (Some(run), Some(device)) => turn(self, Unit { run, serial: self.order.serial.clone(), device }),
            (None, _) | (_, None) => self.stop(ours(self.awaits)),
        }
    }

    fn stop(&mut self, fault: Fault) -> Turn {
        let step = self.step();
        let stopped = Stopped {
            run: self.id,
            serial: self.order.serial.clone(),
            device: self.device,
            verdict: self.verdict(&fault),
            touched: self.id.is_some(),
            step: step.to_string(),
            evidence: std::mem::take(&mut self.evidence),
            fault,
        };
        self.stopped = Some(Box::new(stopped.clone()));
        self.go(Await::KeptStopped, Action::KeepStopped(stopped))
    }

    /// Whose problem it is: the unit's, the bench's, or nobody can tell.
    fn verdict(&self, fault: &Fault) -> facts::Ending {
        if self.id.is_none() {
            return before_anything(fault);
        }
        if self.awaits == Await::Passing && fault.exit == Exit::UnitFailed {
            return facts::Ending::Fail;
        }
        if self.awaits.may_be_locked() {
            return facts::Ending::Hold;
        }
        match fault.exit {
            Exit::UnitFailed | Exit::WrongChip => facts::Ending::Fail,
            Exit::Quarantined | Exit::Duplicate | Exit::Closed => facts::Ending::Hold,
            Exit::Pass
            | Exit::Internal
            | Exit::Usage
            | Exit::NoProbe
            | Exit::NoAnswer
            | Exit::NotRecorded
            | Exit::Tampered
            | Exit::InUse
            | Exit::KeyRefused
            | Exit::Interrupted => facts::Ending::Retry,
        }
    }

    fn over(&mut self, entry: Option<u64>) -> Turn {
        match self.stopped.take() {
            Some(stopped) => Turn::Over(Ending::Stopped(stopped, entry)),
            None => self.stop(ours(self.awaits)),
        }
    }

    /// Not even the end could be recorded: that is what the line must hear about.
    fn unrecorded(&mut self, mut fault: Fault) -> Turn {
        if let Some(stopped) = &mut self.stopped {
            fault.causes.push(format!("the run had stopped because: {}", stopped.fault.what));
            stopped.fault = fault;
        }
        self.over(None)
    }
}

/// A board that was not begun is refused as it is, unless it is the bench that failed, nobody can tell what it is, or the
/// board itself has proven that it will never do.
fn before_anything(fault: &Fault) -> facts::Ending {
    match fault.exit {
        Exit::NoAnswer | Exit::NoProbe | Exit::NotRecorded | Exit::Internal => facts::Ending::Retry,
        Exit::WrongChip if fault.code == TOO_OLD => facts::Ending::Fail,
        Exit::Quarantined if [MAYBE_FINISHED, TOO_OFTEN].contains(&fault.code.as_str()) => facts::Ending::Hold,
        Exit::Pass
        | Exit::Usage
        | Exit::UnitFailed
        | Exit::Duplicate
        | Exit::Closed
        | Exit::Quarantined
        | Exit::WrongChip
        | Exit::Tampered
        | Exit::InUse
        | Exit::KeyRefused
        | Exit::Interrupted => facts::Ending::Refused,
    }
}

/// Whether the board shows that it is what the record of its label says: closed, and it boots.
fn is_finished(seen: &Seen, recorded: DeviceId) -> Result<(), Fault> {
    let closed = |seen: &str| cannot_tell(&format!("it is closed, and {seen}"));
    match (&seen.identity, &seen.life) {
        (Some(identity), _) if identity.device == recorded => Err(no_longer_finished(recorded)),
        (Some(identity), _) => Err(not_its_board(identity.device, recorded)),
        (None, _) if seen.port == Port::Open => Err(ours(Await::Nothing)),
        (None, Life::Boots(_)) => Ok(()),
        (None, Life::Seen(line)) => Err(closed(&format!("it says: {line}"))),
        (None, Life::Silent) => Err(closed("says nothing, which a virgin board does too")),
        (None, Life::NotObservable) => Err(closed("nobody can hear whether it boots")),
    }
}

fn allowed_silicon(lot: &Lot, identity: &Identity) -> Result<(), Fault> {
    let Some(at_least) = &lot.product.silicon.at_least else { return Ok(()) };
    if lot.family.at_least(&identity.variant, &at_least.value) {
        return Ok(());
    }
    Err(Fault::new(
        Party::Operator,
        "the silicon of this board is too old for this product",
        "Put the board into the red bin.",
    )
    .exit(Exit::WrongChip)
    .code(TOO_OLD)
    .detail(format!("variant {}, the recipe asks for build code {} or later", identity.variant, at_least.value)))
}

fn refused(what: &str, next: &str, exit: Exit, code: &str, detail: &str) -> Fault {
    Fault::new(Party::Supervisor, what, next).exit(exit).code(code).detail(detail)
}

/// Code of a unit whose board may be finished without a record.
const MAYBE_FINISHED: &str = "H-330";
/// Code of silicon that is too old for the product: what the board is was read, and no bench, label or second try changes
/// it. Touched or not, that is a FAIL.
const TOO_OLD: &str = "E-241";
/// Code of a unit that was tried too often.
const TOO_OFTEN: &str = "H-331";

const BLUE_RACK: &str = "Put the board on the blue rack and call the supervisor.";

fn not_ours(detail: &str) -> Fault {
    refused("this board is closed and not ours to open", BLUE_RACK, Exit::Closed, "B-410", detail)
}

fn another_board(detail: &str) -> Fault {
    refused("this board and this label do not belong together", BLUE_RACK, Exit::Duplicate, "B-411", detail)
}

fn not_its_board(seen: DeviceId, recorded: DeviceId) -> Fault {
    let detail =
        format!("its port is open and it is device {seen}; the unit of the label is closed and device {recorded}");
    refused("this label belongs to another board, which is finished", BLUE_RACK, Exit::Duplicate, "B-413", &detail)
}

fn cannot_tell(detail: &str) -> Fault {
    let what = "this label is finished, but nothing shows that this is its board";
    // Short: on the small screen it has one row.
    let next = "Blue rack, call the supervisor: check that this is its board.";
    refused(what, next, Exit::Duplicate, "B-414", detail)
}

fn no_longer_finished(device: DeviceId) -> Fault {
    let detail = format!("device {device} is closed by its record, and its port is open");
    refused("this unit was finished, and its board is so no more", BLUE_RACK, Exit::UnitFailed, "B-415", &detail)
}

fn may_be_finished(line: &str) -> Fault {
    let next = "Put the board on the blue rack and call the supervisor: `dispose release` allows it to be done anew.";
    let detail = format!("an earlier run of this unit was cut off, and the closed board is alive, it says: {line}");
    refused("this board may be finished, but its record is not", next, Exit::Quarantined, MAYBE_FINISHED, &detail)
}

fn too_often(attempts: u64) -> Fault {
    let detail = format!("{attempts} runs did not pass");
    refused("this board was tried too often", BLUE_RACK, Exit::Quarantined, TOO_OFTEN, &detail)
}

fn on_hold(why: &str) -> Fault {
    refused("this unit is on hold", BLUE_RACK, Exit::Quarantined, "H-332", why)
}

fn used_up(standing: &Standing) -> Fault {
    let detail = format!("its serial number is {}", standing.word());
    refused("this label must not be used", BLUE_RACK, Exit::Duplicate, "B-412", &detail)
}

fn stays_open() -> Fault {
    let detail = "lock words were read back, but after soft reset, pin reset and power cycle memory can be read";
    refused("the board does not close", BLUE_RACK, Exit::Quarantined, "H-303", detail)
}

fn erased_another(voided: &Durable<Voided>) -> Fault {
    let Voided { serial, device, run, .. } = voided.fact();
    refused(
        &format!("this board was unit {serial}; it is erased, and that record is void"),
        "Put the board with both labels on the blue rack and call the supervisor.",
        Exit::Quarantined,
        "H-320",
        &format!("device {device} was bound in run {run}; entry {} voids it", voided.seq()),
    )
}

fn ours(awaited: Await) -> Fault {
    Fault::new(Party::Maintainers, "rootstamp lost the thread of this run", "Report this with the details behind F2.")
        .code("X-003")
        .detail(format!("while waiting for {awaited:?}"))
}

/// What the first look showed, as evidence.
#[must_use]
pub fn look_evidence(seen: &Seen, at: crate::clock::Millis) -> Vec<Evidence> {
    let statement = |of: &str, method, observed: Option<String>| Evidence {
        of: of.to_owned(),
        method,
        expected: None,
        agrees: observed.is_some(),
        observed,
        at,
    };
    let life = match &seen.life {
        Life::Boots(line) | Life::Seen(line) => statement("arrival.life", Method::BootObserved, Some(line.clone())),
        Life::Silent => statement("arrival.life", Method::NegativeProbe, Some("silent".to_owned())),
        Life::NotObservable => statement("arrival.life", Method::Unobservable, None),
    };
    vec![statement("arrival.port", Method::StatusRegister, Some(format!("{}: {}", seen.port, seen.look))), life]
}
