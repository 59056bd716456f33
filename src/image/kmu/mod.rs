//! Keys for the key management unit: key files of Nordic's tools, and the structures that go into a slot.
//! [nordic-facts A4.2, A5.5]
//!
//! A key file may hold secrets. Public keys are shown; of everything else only the length ever leaves this module,
//! apart from the file that it is made for.

use serde::Serialize;

mod attributes;
mod file;
mod slot128;
mod source;

pub use attributes::{Algorithm, Attributes, Kind, Persistence, Scheme, usage};
pub use file::{FILE_LIMIT, KeyFile, KeySlot, UploadPolicy, Value};
pub use slot128::{Permission, Slot128};
pub use source::{Metadata, Policy, Source, Standing};

/// How many slots an nRF54L has, by Nordic's device headers; its guides speak of 256. Not confirmed on a board.
pub const SLOTS: u16 = 250;

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 16;

/// Who verifies with the key of a slot, as Nordic's SDK assigns them. [nordic-facts A5.5, slot map]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The first stage: NSIB, or MCUboot alone from NCS 3.2.0 on. `BL_PUBKEY`
    Bootloader,
    /// MCUboot under NSIB, or alone before NCS 3.2.0. `UROT_PUBKEY`
    Updatable,
    /// Images of an application's own. `APP_PUBKEY`
    Application,
}

impl Role {
    /// All.
    pub const ALL: [Self; 3] = [Self::Bootloader, Self::Updatable, Self::Application];

    /// The first slot of each of its three keys; an Ed25519 key takes that slot and the next.
    #[must_use]
    pub const fn slots(self) -> [u8; 3] {
        match self {
            Self::Bootloader => [242, 244, 246],
            Self::Updatable => [226, 228, 230],
            Self::Application => [202, 204, 206],
        }
    }

    /// The word of Nordic's `west ncs-provision`.
    #[must_use]
    pub const fn keyname(self) -> &'static str {
        match self {
            Self::Bootloader => "BL_PUBKEY",
            Self::Updatable => "UROT_PUBKEY",
            Self::Application => "APP_PUBKEY",
        }
    }

    /// Whose slot this is, and which of its keys, counted from 0.
    #[must_use]
    pub fn of(slot: u8) -> Option<(Self, usize)> {
        let all = Self::ALL.into_iter();
        let mut places = all.filter_map(|role| Some((role, role.slots().iter().position(|first| *first == slot)?)));
        places.next()
    }
}

/// What starts what. It cannot be read off a device; the recipe says it. [nordic-facts A5.5]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BootChain {
    /// NSIB starts the firmware or MCUboot: its keys.
    Nsib,
    /// MCUboot, started by NSIB: its keys.
    McubootUnderNsib,
    /// MCUboot alone, built with an SDK before NCS 3.2.0.
    McubootAloneBefore3_2,
    /// MCUboot alone, built with NCS 3.2.0 or later.
    McubootAloneFrom3_2,
    /// The same, built with the deprecated `SB_CONFIG_MCUBOOT_SIGNATURE_KMU_UROT_MAPPING`.
    McubootAloneFrom3_2UrotMapping,
}

impl BootChain {
    /// Where its verifier looks for keys.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::Nsib | Self::McubootAloneFrom3_2 => Role::Bootloader,
            Self::McubootUnderNsib | Self::McubootAloneBefore3_2 | Self::McubootAloneFrom3_2UrotMapping => {
                Role::Updatable
            }
        }
    }
}

/// What else of Nordic's SDK lives in a slot. [nordic-facts A5.5, slot map]
#[must_use]
pub fn reserved(slot: u8) -> Option<&'static str> {
    match slot {
        183..=185 => Some("the seed of the device's own keys"),
        186 => Some("the marker of a provisioning under way"),
        224 | 225 => Some("the manufacturing key"),
        248 | 249 => Some("random bytes that overwrite CRACEN's protected RAM"),
        _ => None,
    }
}
