//! Chip families: one file each, one slice of them all.
//!
//! A family knows where things are, how its port is classified, and how its memory is erased, programmed and locked.
//! It decides nothing: what a unit must become is the golden state's to say, and when something irreversible may
//! happen is `gate`'s.

use std::{fmt, ops::Range};

use serde::{Deserialize, Serialize};

use crate::{
    fault::{Exit, Fault, Party},
    ident::DeviceId,
    link::{Broke, Burn, Guarded, Peek, Place, Poke, Why},
    recipe,
};

pub mod nrf52;

/// Every family this release provisions.
pub const FAMILIES: &[&dyn Family] = &[&nrf52::Nrf52840];

/// The family that makes this chip, by the name a recipe uses.
#[must_use]
pub fn family(chip: &str) -> Option<&'static dyn Family> {
    FAMILIES.iter().copied().find(|family| family.name() == chip)
}

/// What the debug port is, after looks that agree.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    /// Alive, says open, and memory can be read.
    Open,
    /// Alive, says closed, and refuses memory.
    Closed,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Closed => "closed",
        })
    }
}

/// What came of reading memory through the access port.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// This is what the part register reads.
    Read(u32),
    /// The chip refused with FAULT.
    Refused,
}

/// One cold connect: everything that may be known of a port without changing anything.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Look {
    /// Identification of the debug port: it is alive.
    pub dpidr: u32,
    /// Identification of the control access port: it is the chip we think.
    pub ctrl_idr: u32,
    /// What the chip itself says of its protection.
    pub protection: u32,
    /// What memory says.
    pub memory: Memory,
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dpidr, ctrl_idr, protection, memory } = self;
        write!(f, "DPIDR {dpidr:#010x}, CTRL-AP {ctrl_idr:#010x}, status {protection:#x}, memory ")?;
        match memory {
            Memory::Read(part) => write!(f, "reads {part:#x}"),
            Memory::Refused => f.write_str("refuses"),
        }
    }
}

/// Cold connects that must agree before anything is believed. [threats-and-protocol §3.3, S2]
pub const LOOKS: usize = 3;

/// The port as several looks agree on it.
///
/// # Errors
/// A [`Fault`] if nothing answers, if looks differ, or if they make no sense together: an ambiguous reading leads to
/// nothing.
pub fn classify(family: &dyn Family, peek: &mut dyn Peek) -> Result<(Port, Look), Fault> {
    let mut seen = None;
    for _ in 0..LOOKS {
        let look = family.look(peek).map_err(|broke| unanswered(&broke))?;
        if seen.is_some_and(|before| before != look) {
            return Err(ambiguous(&look, "two looks at the same board differ"));
        }
        seen = Some(look);
    }
    let Some(look) = seen else { return Err(unanswered_without_look()) };
    family.port(&look).map(|port| (port, look))
}

fn unanswered_without_look() -> Fault {
    Fault::new(Party::Maintainers, "a board was never looked at", "Report this: no look was asked for.").code("X-001")
}

/// A look that proves neither an open nor a closed port.
#[must_use]
pub fn ambiguous(look: &Look, what: &str) -> Fault {
    Fault::new(
        Party::Operator,
        "the board cannot be read reliably",
        "Close the fixture until it clicks, then scan again. If it happens again, call the technician.",
    )
    .exit(Exit::NoAnswer)
    .code("R-103")
    .detail(format!("{what}: {look}"))
}

/// A break of the link in words for the operator.
#[must_use]
pub fn unanswered(broke: &Broke) -> Fault {
    let (party, what, next, exit, code) = match broke.why {
        Why::NoAnswer => (
            Party::Operator,
            "the board does not answer",
            "Close the fixture until it clicks, then scan the label again.",
            Exit::NoAnswer,
            "R-101",
        ),
        Why::Refused | Why::Busy | Why::Garbled | Why::Late => (
            Party::Operator,
            "contact with the board was lost",
            "Close the fixture until it clicks, then scan the label again.",
            Exit::NoAnswer,
            "R-102",
        ),
        Why::NoProbe => (
            Party::Technician,
            "the probe cannot be used",
            "Plug the probe in, compare it with the station file, then scan the label again.",
            Exit::NoProbe,
            "R-120",
        ),
        Why::Lost => (
            Party::Operator,
            "the worker of this site was lost",
            "Scan the label again; another worker starts by itself. If it happens again, call the technician.",
            Exit::NoAnswer,
            "R-121",
        ),
        Why::Misuse => (
            Party::Maintainers,
            "rootstamp asked its link for something it must not do",
            "Report this with the details behind F2.",
            Exit::Internal,
            "X-002",
        ),
    };
    Fault::new(party, what, next).exit(exit).code(code).because(broke)
}

/// Who this chip says it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Identity {
    /// Part number as the chip spells it, as `0x52840`.
    pub part: u32,
    /// Package variant and build code, as `AAF0`.
    pub variant: String,
    /// The device.
    pub device: DeviceId,
    /// Whether an erased lock word closes the port of this silicon.
    pub hardened: bool,
}

/// A word of the golden state: after masking, the device must read `value`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Word {
    /// As evidence calls it, as `uicr.approtect`.
    pub name: String,
    /// Byte address.
    pub at: u32,
    /// What it must read.
    pub value: u32,
    /// The bits that count.
    pub mask: u32,
}

/// Which reset.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// Through the chip's control access port.
    Soft,
    /// Through the reset pin.
    Pin,
    /// The operator takes the power away and gives it back.
    Power,
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Soft => "soft reset",
            Self::Pin => "pin reset",
            Self::Power => "power cycle",
        })
    }
}

/// How far a long action is: bytes done, bytes in all.
pub type Told<'a> = &'a mut dyn FnMut(u64, u64);

/// What one chip family is and can do.
pub trait Family: Sync {
    /// The chip's name in recipes.
    fn name(&self) -> &'static str;

    /// Every register of the chip that this family names, by the vendor's name for it. A test compares each with the
    /// vendor's register dump, from which the virtual board has its own numbers.
    fn registers(&self) -> &'static [(&'static str, Place)];

    /// Addresses of program flash.
    fn flash(&self) -> Range<u32>;

    /// Addresses of RAM.
    fn ram(&self) -> Range<u32>;

    /// Places that cannot be changed back.
    fn guarded(&self) -> &'static [Guarded];

    /// Address of a word that a recipe names symbolically, as `uicr.customer` and an index.
    fn spot(&self, area: &str, index: u32) -> Option<u32>;

    /// The areas [`Family::spot`] knows, with how many words each has.
    fn areas(&self) -> &'static [(&'static str, u32)];

    /// The words an electrical setting means.
    ///
    /// # Errors
    /// What this chip has instead.
    fn setting(&self, setting: &recipe::Word) -> Result<Vec<Word>, String>;

    /// The words that close the debug port, in the order they are written.
    fn lock_words(&self) -> Vec<Word>;

    /// Whether silicon of this variant, as `AAF0`, has at least the build code asked for. What cannot be read has not.
    fn at_least(&self, variant: &str, build_code: &recipe::BuildCode) -> bool;

    /// Looks once, from a cold connect, without changing anything.
    ///
    /// # Errors
    /// [`Broke`] if nothing answers or the control access port cannot be read.
    fn look(&self, peek: &mut dyn Peek) -> Result<Look, Broke>;

    /// What one look proves.
    ///
    /// # Errors
    /// A [`Fault`] if it proves neither: another chip, or an ambiguous reading.
    fn port(&self, look: &Look) -> Result<Port, Fault>;

    /// Reads who the chip is, twice.
    ///
    /// # Errors
    /// A [`Fault`] if it cannot be read, readings differ, or it is another chip.
    fn identify(&self, peek: &mut dyn Peek) -> Result<Identity, Fault>;

    /// Erases the whole chip and leaves it open, connected and halted.
    ///
    /// # Errors
    /// A [`Fault`] if it does not open, or memory is not blank afterwards.
    fn erase(&self, burn: &mut dyn Burn) -> Result<(), Fault>;

    /// Programs flash from the words, which start at `at`.
    ///
    /// # Errors
    /// A [`Fault`] if contact is lost or the loader does not finish.
    fn program(&self, poke: &mut dyn Poke, at: u32, words: &[u32], told: Told<'_>) -> Result<(), Fault>;

    /// Reads memory, keeping the chip as it is.
    ///
    /// # Errors
    /// A [`Fault`] if contact is lost.
    fn read(&self, poke: &mut dyn Poke, at: u32, words: u32, told: Told<'_>) -> Result<Vec<u32>, Fault>;

    /// Writes words that cannot be changed back, each once, each read first and read back.
    ///
    /// # Errors
    /// A [`Fault`] if a word is neither blank nor already right (nothing is written then), or does not read back.
    fn burn_words(&self, burn: &mut dyn Burn, words: &[Word]) -> Result<(), Fault>;

    /// Leaves the core where the coming reset finds nothing of ours in its way, and the firmware does not run before it.
    ///
    /// # Errors
    /// A [`Fault`] if contact is lost.
    fn park(&self, poke: &mut dyn Poke) -> Result<(), Fault>;

    /// Resets the chip in this way, letting it run.
    ///
    /// # Errors
    /// [`Broke`] if contact is lost before the reset.
    fn reset(&self, poke: &mut dyn Poke, how: Reset) -> Result<(), Broke>;
}

/// A place in the memory that access port 0 reaches.
#[must_use]
pub const fn memory(at: u32) -> Place {
    Place::Memory { ap: 0, at }
}
