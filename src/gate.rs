//! Verification and the three burns: the one place where something irreversible happens, and each time a durable fact
//! is spent for it.
//!
//! Locking is four acts: write the lock words, take a last look on the same connection, reset, confirm. The values of
//! this module are proofs: their fields are private, they are made only where they are earned, and they move.
//!
//! There is no way around the record. This does not compile, because a [`Verified`] is not yet a record of it:
//!
//! ```compile_fail,E0308
//! use rootstamp::{chip::Family, gate, ledger::Durable, link::Wire, plan::Golden};
//!
//! fn skip_the_record(wire: &mut dyn Wire, family: &dyn Family, golden: &Golden, proof: gate::Verified) {
//!     gate::lock(wire, family, golden, proof, &mut |_| ());
//! }
//! ```
//!
//! And this does, because [`ledger::Ledger::keep`](crate::ledger::Ledger::keep) has committed it:
//!
//! ```no_run
//! use rootstamp::{chip::Family, gate, ledger::Durable, link::Wire, plan::Golden};
//!
//! fn spend_the_record(
//!     wire: &mut dyn Wire,
//!     family: &dyn Family,
//!     golden: &Golden,
//!     record: Durable<gate::Verified>,
//! ) -> Result<gate::Latching, gate::Stop> {
//!     gate::lock(wire, family, golden, record, &mut |_| rootstamp::clock::Millis(0))
//! }
//! ```

use serde::Serialize;

use crate::{
    chip::{self, Family, Identity, Look, Port, Reset, Word},
    clock::Millis,
    fault::{Exit, Fault, Party},
    ident::{DeviceId, Digest, RunId, Serial},
    ledger::{
        Durable, Kind,
        evidence::{Evidence, Method},
        facts::{About, EraseIntent, Fact, StampIntent},
    },
    link::{Brand, Hand, Peek as _, Wire},
    plan::{Golden, Region},
};

/// What a unit's proofs speak of.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Unit {
    /// The run.
    pub run: RunId,
    /// The unit.
    pub serial: Serial,
    /// The device.
    pub device: DeviceId,
}

/// What stopped a gate, with everything observed until then.
#[derive(Clone, Debug)]
pub struct Stop {
    /// What stopped.
    pub fault: Fault,
    /// What was observed.
    pub evidence: Vec<Evidence>,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self { fault, evidence: Vec::new() }
    }
}

/// Told how far a gate is: what, bytes done, bytes in all. Answers with the time.
pub type Told<'a> = &'a mut dyn FnMut(Option<(u64, u64)>) -> Millis;

/// The first burn: erases the whole chip, and tells who it turned out to be.
///
/// # Errors
/// A [`Fault`] if it does not open, is not blank afterwards, or cannot be identified.
#[expect(clippy::needless_pass_by_value, reason = "the record is spent: one intent erases once")]
pub fn erase(wire: &mut dyn Wire, family: &dyn Family, intent: Durable<EraseIntent>) -> Result<Identity, Fault> {
    let mut brand = Brand::new(wire, family.guarded());
    if let Some(expected) = intent.fact().device {
        same_device(expected, &family.identify(&mut brand)?)?;
    }
    family.erase(&mut brand)?;
    let identity = family.identify(&mut brand)?;
    if let Some(expected) = intent.fact().device {
        same_device(expected, &identity)?;
    }
    Ok(identity)
}

/// Programs one region of flash; what it wrote is looked at by [`compare`], never by itself.
///
/// # Errors
/// A [`Fault`] if contact is lost.
pub fn program(
    wire: &mut dyn Wire,
    family: &dyn Family,
    region: &Region,
    told: &mut dyn FnMut(u64, u64),
) -> Result<(), Fault> {
    family.program(&mut Hand::new(wire, family.guarded()), region.at, &region.words(), told)
}

/// Flash was read back and is as ordered.
pub struct Compared {
    device: DeviceId,
    evidence: Vec<Evidence>,
}

/// Reads all of flash that was ordered back, and compares it byte by byte.
///
/// # Errors
/// [`Stop`] at the first region that differs or cannot be read.
pub fn compare(
    wire: &mut dyn Wire,
    family: &dyn Family,
    golden: &Golden,
    device: DeviceId,
    told: Told<'_>,
) -> Result<Compared, Stop> {
    let mut hand = Hand::new(wire, family.guarded());
    let mut evidence = Vec::new();
    for region in &golden.regions {
        evidence.push(compare_region(&mut hand, family, region, told)?);
        agree(&evidence, "E-220")?;
    }
    Ok(Compared { device, evidence })
}

pub(crate) fn compare_region(
    hand: &mut Hand<'_>,
    family: &dyn Family,
    region: &Region,
    told: Told<'_>,
) -> Result<Evidence, Fault> {
    let wanted = region.words();
    let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    let read = family.read(hand, region.at, count, &mut |done, total| {
        told(Some((done, total)));
    })?;
    let observed = differs(&wanted, &read).map_or_else(
        || region.digest.to_string(),
        |(index, has)| format!("{has:#010x} at {:#010x}", region.at as usize + 4 * index),
    );
    Ok(Evidence {
        of: format!("flash.{}", region.name),
        method: Method::ReadBack,
        expected: Some(region.digest.to_string()),
        agrees: read == wanted,
        observed: Some(observed),
        at: told(None),
    })
}

fn differs(wanted: &[u32], read: &[u32]) -> Option<(usize, u32)> {
    let mut pairs = wanted.iter().zip(read).enumerate();
    pairs.find_map(|(index, (want, has))| (want != has).then_some((index, *has)))
}

/// The second burn: writes exactly the words the intent names.
///
/// # Errors
/// A [`Fault`] if a word is neither blank nor already right, or contact is lost.
#[expect(clippy::needless_pass_by_value, reason = "the record is spent: one intent stamps once")]
pub fn stamp(wire: &mut dyn Wire, family: &dyn Family, intent: Durable<StampIntent>) -> Result<(), Fault> {
    let mut brand = Brand::new(wire, family.guarded());
    same_device(intent.fact().device, &family.identify(&mut brand)?)?;
    let words = intent.fact().words.iter();
    let words: Vec<Word> =
        words.map(|word| Word { name: word.name.clone(), at: word.at, value: word.value, mask: u32::MAX }).collect();
    family.burn_words(&mut brand, &words)
}

/// C4: the device was read back whole and is as ordered, all but the lock words, which are still blank. Whoever holds
/// the record of it may lock.
#[derive(Serialize)]
pub struct Verified {
    #[serde(flatten)]
    unit: Unit,
    golden: Digest,
    lock: Vec<Word>,
    evidence: Vec<Evidence>,
}

impl Verified {
    /// What was observed.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }
}

impl Fact for Verified {
    const KIND: Kind = Kind::Verified;

    fn about(&self) -> About {
        about(&self.unit)
    }
}

fn about(unit: &Unit) -> About {
    About { run: Some(unit.run), serial: Some(unit.serial.clone()), device: Some(unit.device) }
}

/// Reads identity, stamped words and lock words, and joins them with what [`compare`] saw.
///
/// # Errors
/// [`Stop`] if anything differs from the golden state, or the device is another one than before.
pub fn verify(
    wire: &mut dyn Wire,
    family: &dyn Family,
    golden: &Golden,
    unit: Unit,
    compared: Compared,
    told: Told<'_>,
) -> Result<Verified, Stop> {
    let mut hand = Hand::new(wire, family.guarded());
    let identity = family.identify(&mut hand)?;
    let mut evidence = vec![device_evidence(unit.device, &identity, told(None))];
    evidence.extend(compared.evidence);
    evidence.extend(read_words(&mut hand, &golden.words_for(&unit.serial), told)?);
    let blank = golden.lock.iter().map(|word| Word { value: u32::MAX, mask: u32::MAX, ..word.clone() });
    evidence.extend(read_words(&mut hand, &blank.collect::<Vec<_>>(), told)?);
    agree(&evidence, "E-221")?;
    same_device(compared.device, &identity)?;
    Ok(Verified { unit, golden: golden.digest, lock: golden.lock.clone(), evidence })
}

fn device_evidence(expected: DeviceId, identity: &Identity, at: Millis) -> Evidence {
    Evidence {
        of: "device".to_owned(),
        method: Method::ReadBack,
        expected: Some(expected.to_string()),
        observed: Some(identity.device.to_string()),
        agrees: identity.device == expected,
        at,
    }
}

pub(crate) fn read_words(hand: &mut Hand<'_>, words: &[Word], told: Told<'_>) -> Result<Vec<Evidence>, Fault> {
    let runs: Vec<_> = words.iter().map(|word| (chip::memory(word.at), 1)).collect();
    let read = hand.read_all(&runs).map_err(|broke| chip::unanswered(&broke))?;
    let at = told(None);
    let read: Vec<Option<u32>> = read.into_iter().map(|words| words.first().copied()).collect();
    Ok(words_evidence(words, &read, at))
}

/// The words of the golden state against what the device reads there, one statement for words that stand together.
#[must_use]
pub fn words_evidence(words: &[Word], read: &[Option<u32>], at: Millis) -> Vec<Evidence> {
    let mut rest = read;
    let together = |left: &Word, right: &Word| whole(&left.name) == whole(&right.name) && left.at + 4 == right.at;
    let mut evidence = Vec::new();
    for run in words.chunk_by(together) {
        let (has, more) = rest.split_at_checked(run.len()).unwrap_or((rest, &[]));
        rest = more;
        evidence.extend(run.first().map(|first| run_evidence(whole(&first.name), run, has, at)));
    }
    evidence
}

fn run_evidence(of: &str, words: &[Word], read: &[Option<u32>], at: Millis) -> Evidence {
    let seen: Option<Vec<u32>> = read.iter().copied().collect();
    let agrees = |seen: &Vec<u32>| {
        let pairs = words.iter().zip(seen);
        seen.len() == words.len() && pairs.into_iter().all(|(word, has)| has & word.mask == word.value & word.mask)
    };
    Evidence {
        of: of.to_owned(),
        method: Method::ReadBack,
        expected: Some(spelled(&words.iter().map(|word| word.value).collect::<Vec<_>>())),
        agrees: seen.as_ref().is_some_and(agrees),
        observed: seen.as_deref().map(spelled),
        at,
    }
}

/// The name of what a word is part of, as `key_hash` for `key_hash[3]`.
fn whole(name: &str) -> &str {
    name.split_once('[').map_or(name, |(whole, _)| whole)
}

/// Words as people read them: many alike are counted.
#[must_use]
pub fn spelled(words: &[u32]) -> String {
    let runs = words.chunk_by(|left, right| left == right);
    let spelled: Vec<String> = runs
        .map(|run| match run {
            [word] => format!("{word:#010x}"),
            [word, ..] => format!("{}x{word:#010x}", run.len()),
            [] => String::new(),
        })
        .collect();
    spelled.join(" ")
}

/// Lock words written and read back, and a last look taken; they bite at the next reset.
pub struct Latching {
    record: Durable<Verified>,
    evidence: Vec<Evidence>,
}

/// The third burn: closes the debug port for good. Takes the record by value: one record locks one board, once.
///
/// # Errors
/// [`Stop`] if another board is there, a lock word does not take, or the last look differs from the record.
pub fn lock(
    wire: &mut dyn Wire,
    family: &dyn Family,
    golden: &Golden,
    record: Durable<Verified>,
    told: Told<'_>,
) -> Result<Latching, Stop> {
    let mut brand = Brand::new(wire, family.guarded());
    same_device(record.fact().unit.device, &family.identify(&mut brand)?)?;
    family.burn_words(&mut brand, &record.fact().lock)?;
    let evidence = last_look(wire, family, golden, &record, told)?;
    family.park(&mut Hand::new(wire, family.guarded()))?;
    Ok(Latching { record, evidence })
}

/// On the same connection, before the reset: device, stamped words, lock words and boot pages are those of the record.
fn last_look(
    wire: &mut dyn Wire,
    family: &dyn Family,
    golden: &Golden,
    record: &Durable<Verified>,
    told: Told<'_>,
) -> Result<Vec<Evidence>, Stop> {
    let mut hand = Hand::new(wire, family.guarded());
    let unit = &record.fact().unit;
    let mut evidence = vec![device_evidence(unit.device, &family.identify(&mut hand)?, told(None))];
    evidence.extend(read_words(&mut hand, &golden.words_for(&unit.serial), told)?);
    evidence.extend(read_words(&mut hand, &record.fact().lock, told)?);
    if let Some(boot) = golden.regions.first() {
        evidence.push(compare_region(&mut hand, family, boot, told)?);
    }
    for seen in &mut evidence {
        seen.of = format!("lock.last_look.{}", seen.of);
    }
    agree(&evidence, "H-301").map_err(held)?;
    Ok(evidence)
}

/// After the lock words were written a difference is never a plain failure: what the board is cannot be proven.
fn held(mut stop: Stop) -> Stop {
    stop.fault.exit = Exit::Quarantined;
    "Put the board on the blue rack and call the supervisor.".clone_into(&mut stop.fault.next);
    stop
}

/// After a reset: closed, or not yet.
pub enum Settled {
    /// Closed, as three looks agree.
    Shut(Shut),
    /// Still open; another kind of reset may be needed.
    StillOpen(Latching),
}

/// The port is closed, with the lock words read back before.
pub struct Shut {
    latching: Latching,
    look: Look,
    reset: Reset,
    at: Millis,
}

impl Latching {
    /// Resets in this way and looks.
    ///
    /// # Errors
    /// [`Stop`] if the reset or the looks fail: what the board is cannot be proven then.
    pub fn reset(self, wire: &mut dyn Wire, family: &dyn Family, how: Reset, told: Told<'_>) -> Result<Settled, Stop> {
        let mut hand = Hand::new(wire, family.guarded());
        family.reset(&mut hand, how).map_err(|broke| held(chip::unanswered(&broke).into()))?;
        self.look(wire, family, how, told)
    }

    /// Looks again after a reset that a hand made.
    ///
    /// # Errors
    /// [`Stop`] if the looks fail.
    pub fn look(self, wire: &mut dyn Wire, family: &dyn Family, how: Reset, told: Told<'_>) -> Result<Settled, Stop> {
        let mut hand = Hand::new(wire, family.guarded());
        let (port, look) = chip::classify(family, &mut hand).map_err(|fault| held(fault.into()))?;
        Ok(match port {
            Port::Closed => Settled::Shut(Shut { latching: self, look, reset: how, at: told(None) }),
            Port::Open => Settled::StillOpen(self),
        })
    }
}

/// What is known of the boot after the lock reset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Boot {
    /// The firmware said this.
    Seen(String),
    /// Nothing was asked for, or nobody could listen.
    NotObserved,
}

/// C5, the PASS: the device itself proved it. A `Durable<Locked>` is what the screen, the label and the export show.
#[derive(Serialize)]
pub struct Locked {
    #[serde(flatten)]
    unit: Unit,
    verified: u64,
    boot: String,
    evidence: Vec<Evidence>,
}

impl Locked {
    /// "boot seen" or "boot not observed": the words beside a PASS.
    #[must_use]
    pub fn beside(&self) -> &str {
        &self.boot
    }

    /// What was observed, lock and boot.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// The unit that passed.
    #[must_use]
    pub fn unit(&self) -> &Unit {
        &self.unit
    }
}

impl Fact for Locked {
    const KIND: Kind = Kind::Passed;

    fn about(&self) -> About {
        about(&self.unit)
    }
}

impl Shut {
    /// Turns a closed port into a PASS to be recorded.
    ///
    /// # Errors
    /// [`Stop`] if the recipe asks for a boot and it was not seen.
    pub fn pass(self, golden: &Golden, boot: &Boot) -> Result<Locked, Stop> {
        let mut evidence = self.latching.evidence;
        evidence.extend(closed_evidence(&self.look, Some(self.reset), self.at));
        evidence.push(boot_evidence(golden, boot, self.at));
        if golden.boot.is_some() {
            agree(&evidence, "E-230")?;
        }
        let verified = self.latching.record.seq();
        let unit = self.latching.record.fact().unit.clone();
        let beside = match boot {
            Boot::Seen(_) => "boot seen",
            Boot::NotObserved => "boot not observed",
        };
        Ok(Locked { unit, verified, boot: beside.to_owned(), evidence })
    }
}

/// What a closed port shows: alive, says closed, refuses.
#[must_use]
pub fn closed_evidence(look: &Look, after: Option<Reset>, at: Millis) -> [Evidence; 3] {
    let seen = |of: &str, method, observed: String, agrees| Evidence {
        of: of.to_owned(),
        method,
        expected: Some("closed".to_owned()),
        observed: Some(observed),
        agrees,
        at,
    };
    let after = after.map(|reset| format!(" after a {reset}")).unwrap_or_default();
    let refused = look.memory == chip::Memory::Refused;
    let memory = if refused { "closed" } else { "memory can be read" };
    [
        seen("lock.status", Method::StatusRegister, closed_word(look.protection == 0), look.protection == 0),
        seen("lock.memory_refused", Method::NegativeProbe, memory.to_owned(), refused),
        Evidence {
            of: "lock.looks".to_owned(),
            method: Method::StatusRegister,
            expected: None,
            observed: Some(format!("{} cold connects agree{after}: {look}", chip::LOOKS)),
            agrees: true,
            at,
        },
    ]
}

fn closed_word(closed: bool) -> String {
    if closed { "closed" } else { "open" }.to_owned()
}

fn boot_evidence(golden: &Golden, boot: &Boot, at: Millis) -> Evidence {
    let (method, observed) = match boot {
        Boot::Seen(line) => (Method::BootObserved, Some(line.clone())),
        Boot::NotObserved => (Method::Unobservable, None),
    };
    let expected = golden.boot.as_ref().map(|boot| boot.uart.clone());
    let agrees = match (&expected, &observed) {
        (Some(expected), Some(observed)) => observed.contains(expected),
        (None, Some(_)) => true,
        (_, None) => false,
    };
    Evidence { of: "boot".to_owned(), method, expected, observed, agrees, at }
}

/// Stops with everything seen if anything seen differs from what was expected.
fn agree(evidence: &[Evidence], code: &str) -> Result<(), Stop> {
    let differs = |seen: &&Evidence| !seen.agrees;
    let Some(first) = evidence.iter().find(differs) else { return Ok(()) };
    let what = match first.of.strip_prefix("lock.last_look.").unwrap_or(&first.of) {
        "boot" => "the firmware did not start as ordered",
        of if of.starts_with("flash.") => "the board did not take its firmware",
        of if of.starts_with("key_hash") => "the board did not take its key",
        "device" => "another board is in the fixture than before",
        _ => "the board did not take its settings",
    };
    let mut fault =
        Fault::new(Party::Operator, what, "Put the board into the red bin.").exit(Exit::UnitFailed).code(code);
    for seen in evidence.iter().filter(differs) {
        let unseen = || "nothing".to_owned();
        let expected = seen.expected.clone().unwrap_or_else(unseen);
        fault = fault.detail(format!(
            "{}: expected {expected}, observed {}",
            seen.of,
            seen.observed.clone().unwrap_or_else(unseen)
        ));
    }
    Err(Stop { fault, evidence: evidence.to_vec() })
}

fn same_device(expected: DeviceId, identity: &Identity) -> Result<(), Fault> {
    if identity.device == expected {
        return Ok(());
    }
    Err(Fault::new(
        Party::Operator,
        "the board was swapped during the run",
        "Take the board out, put both boards on the blue rack and call the supervisor.",
    )
    .exit(Exit::Quarantined)
    .code("H-302")
    .detail(format!("began with device {expected}, now there is {}", identity.device)))
}
