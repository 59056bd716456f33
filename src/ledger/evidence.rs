//! What was observed, how, and what was expected: never a bare boolean.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;

/// How a statement about a device came to be known.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The cells were read back through the debug port.
    ReadBack,
    /// A status register of the chip says so.
    StatusRegister,
    /// An access that must be refused was tried, and was refused.
    NegativeProbe,
    /// The metadata of a key slot say so; the value was not seen.
    SlotMetadata,
    /// A key slot was pushed to memory and compared there.
    PushCompare,
    /// The firmware ran and said so.
    BootObserved,
    /// The device signed it.
    Attested,
    /// We ordered it and did not look.
    Intended,
    /// It cannot be seen on this silicon in this state.
    Unobservable,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadBack => "read back",
            Self::StatusRegister => "status register",
            Self::NegativeProbe => "negative probe",
            Self::SlotMetadata => "slot metadata",
            Self::PushCompare => "push and compare",
            Self::BootObserved => "boot observed",
            Self::Attested => "attested",
            Self::Intended => "intended",
            Self::Unobservable => "cannot be observed",
        })
    }
}

/// One statement about one device.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Evidence {
    /// What it is about, as `uicr.approtect` or `flash.bootloader`.
    pub of: String,
    /// How it is known.
    pub method: Method,
    /// What the golden state asks for; `None` where nothing is asked.
    pub expected: Option<String>,
    /// What was seen; `None` where nothing was.
    pub observed: Option<String>,
    /// Whether both agree. False wherever nothing was seen.
    pub agrees: bool,
    /// When, since the process started.
    pub at: Millis,
}
