//! The facts that are kept, as far as they are made below `gate`; `Verified` and `Passed` are made there.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Kind, evidence::Evidence};
use crate::{
    fault::Fault,
    ident::{DeviceId, Digest, RunId, Serial},
};

/// Something that became true and is to be kept. What it changes follows from [`Fact::KIND`] and [`Fact::about`] alone.
pub trait Fact: Serialize {
    /// What it is about.
    const KIND: Kind;
    /// The run, unit and device it speaks of.
    fn about(&self) -> About;
}

/// What an entry can be found by.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct About {
    /// The run; left out by [`EraseIntent`], which opens one.
    pub run: Option<RunId>,
    /// The unit.
    pub serial: Option<Serial>,
    /// The device.
    pub device: Option<DeviceId>,
}

/// A program opened the ledger to write.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Opened {
    /// Version of rootstamp.
    pub tool: String,
    /// Version of SQLite.
    pub sqlite: String,
    /// Version of the store's schema.
    pub schema: i64,
}

/// C1: this device will be erased for this serial number. Opens a run, whose id is the entry's own sequence number.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EraseIntent {
    /// The unit, reserved from here on.
    pub serial: Serial,
    /// Name of the site.
    pub site: String,
    /// The probe, as the station names it.
    pub probe: String,
    /// Product code.
    pub product: String,
    /// Digest of the recipe with everything it pins.
    pub recipe: Digest,
    /// The device, where it could be read before the erase.
    pub device: Option<DeviceId>,
    /// How the debug port was found, in words.
    pub port: String,
    /// The unfinished run of this serial number that this one takes up. Required where there is one.
    pub resumes: Option<RunId>,
    /// The golden state, kept before with [`super::Ledger::keep_golden`].
    pub golden: Digest,
    /// SHA-256 of the SubjectPublicKeyInfo of the key to be stamped, where the recipe stamps one.
    pub key: Option<Digest>,
}

/// C2: run, serial number and device belong together.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bound {
    /// The open run.
    pub run: RunId,
    /// The unit.
    pub serial: Serial,
    /// The device.
    pub device: DeviceId,
    /// Part, as `nRF52840`.
    pub part: String,
    /// Silicon variant and build code, as `AAF0`.
    pub variant: String,
    /// What was read to know it.
    pub evidence: Vec<Evidence>,
}

/// One word that will be written once.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Word {
    /// Address.
    pub at: u32,
    /// Value.
    pub value: u32,
    /// What it is, as `key_hash[0]`.
    pub name: String,
}

/// C3: exactly these words will be written. Kept with an empty list by a recipe that stamps nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StampIntent {
    /// The open run.
    pub run: RunId,
    /// The unit.
    pub serial: Serial,
    /// The device.
    pub device: DeviceId,
    /// The words, in the order they are written.
    pub words: Vec<Word>,
    /// SHA-256 over them.
    pub digest: Digest,
}

/// How a run ended that did not pass.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Ending {
    /// The board is not what was ordered; the label may be tried again. Where no run was opened, the board was not touched.
    Fail,
    /// The bench's fault; it may be tried again.
    Retry,
    /// Its state cannot be proven; a person decides.
    Hold,
    /// The board was not begun and not touched; where the unit stands does not change.
    Refused,
}

/// The run ended without a PASS.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Stopped {
    /// The run, if one was open.
    pub run: Option<RunId>,
    /// The unit.
    pub serial: Serial,
    /// The device, if it was read.
    pub device: Option<DeviceId>,
    /// The word.
    pub verdict: Ending,
    /// Why, and what next.
    pub fault: Fault,
    /// Whether anything on the board was changed.
    pub touched: bool,
    /// The step that stopped.
    pub step: String,
    /// What was observed until then.
    pub evidence: Vec<Evidence>,
}

/// A record no longer describes its device: that was erased under another serial number.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Voided {
    /// The run that is void.
    pub run: RunId,
    /// Its unit, on hold from here on.
    pub serial: Serial,
    /// The device.
    pub device: DeviceId,
    /// Why, in words.
    pub because: String,
    /// The run that erased it.
    pub by_run: RunId,
}

/// What a person may decide about a unit.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// End a hold: the same device may be provisioned again under this serial number.
    Release,
    /// The serial number is never used again; its device may take a new label.
    Void,
    /// Neither serial number nor device is ever used again.
    Scrap,
}

impl Disposition {
    pub(super) const fn done(self) -> &'static str {
        match self {
            Self::Release => "released",
            Self::Void => "voided",
            Self::Scrap => "scrapped",
        }
    }
}

/// A person decided about a unit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Disposed {
    /// The unit.
    pub serial: Serial,
    /// The decision.
    pub disposition: Disposition,
    /// Why; one line.
    pub reason: String,
    /// Who; one line.
    pub by: String,
}

/// QA measured a unit again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Measured {
    /// The unit.
    pub serial: Serial,
    /// The device, if it could be read.
    pub device: Option<DeviceId>,
    /// Whether everything observable agrees with the record.
    pub agrees: bool,
    /// What was observed.
    pub evidence: Vec<Evidence>,
    /// The comparison with the record, in words.
    pub comparison: String,
}

/// A fact of this module as it was kept.
pub(super) fn read<F: Fact + DeserializeOwned>(body: &str) -> Option<F> {
    serde_json::from_str(body).ok()
}

macro_rules! facts {
    ($($fact:ident: |$it:ident| $run:expr, $serial:expr, $device:expr;)+) => {$(
        impl Fact for $fact {
            const KIND: Kind = Kind::$fact;

            fn about(&self) -> About {
                let $it = self;
                About { run: $run, serial: $serial, device: $device }
            }
        }
    )+};
}

facts! {
    Opened: |_it| None, None, None;
    EraseIntent: |it| None, Some(it.serial.clone()), it.device;
    Bound: |it| Some(it.run), Some(it.serial.clone()), Some(it.device);
    StampIntent: |it| Some(it.run), Some(it.serial.clone()), Some(it.device);
    Stopped: |it| it.run, Some(it.serial.clone()), it.device;
    Voided: |it| Some(it.run), Some(it.serial.clone()), Some(it.device);
    Disposed: |it| None, Some(it.serial.clone()), None;
    Measured: |it| None, Some(it.serial.clone()), it.device;
}
