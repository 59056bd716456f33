//! Nordic's immutable bootloader (NSIB, "b0"): what is provisioned for it, in every generation of the format, and what
//! it makes of that. [nordic-facts B, corrected by 0]
//!
//! [`Provision`] reads a file, [`Wish`] makes one as Nordic's script of a generation does, [`Storage`] is the
//! bootloader's own reading and writing of the memory afterwards, and [`Dump`] is that memory as it was read from a board.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

mod boot;
mod content;
mod dump;
mod explain;
mod firmware;
mod hash;
mod home;
mod make;
mod provision;
mod signature;
mod storage;
pub mod text;

pub use boot::{Bootloader, Firmware, Rules, SignedBy, WouldBoot};
pub use content::{Content, Counter, CounterOf, Head, Key};
pub use dump::{Dump, KeyState, Reading, Used};
pub use firmware::{beside, carried, firmware_at, looked_at, unsigned};
pub use home::{Area, area};
pub use make::{Made, NamedKey, Wish, WishedHead};
pub use provision::{Provision, Told, fits, generation_of};
pub use signature::{signed_by, signed_bytes};
pub use storage::{LifeCycle, No, Revoked, Storage};

/// More keys than this and the bootloader starts nothing. [bl_storage.c, MAX_NUM_PUBLIC_KEYS]
pub const MAX_KEYS: usize = 16;

/// The longest PSA certification reference, in characters. [provision.py, CERTIFICATION_REF_MAX_SIZE]
pub const MAX_REFERENCE: usize = 19;

/// The largest area that is ever provisioned, in bytes: the flash page of an nRF52. [nordic-facts B1]
pub const MAX_AREA: u32 = 0x1000;

/// Where provision data must begin on an nRF54L: its bootloader addresses slots from here, whatever the build says.
/// [nordic-facts A5.7]
pub const OTP_NRF54L: u32 = 0x00FF_D500;

/// Offset of the number of keys behind the begin of the data.
const KEY_COUNT_OFFSET: usize = 8;

/// Length of the implementation id in bytes. [bl_storage.h]
const IMPLEMENTATION_ID: u32 = 32;

/// One generation of the format: the bootloader and the script of one span of nRF Connect SDK releases.
///
/// Named after the first release that has it. The order is that of time.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Generation {
    /// Up to NCS 2.1: the slot addresses come first, there is no life-cycle state. [sdk-nrf e47babbce8]
    #[serde(rename = "ncs-2.1")]
    Ncs2_1,
    /// NCS 2.2 and 2.3: life-cycle state and implementation id before the slot addresses. [sdk-nrf c1e274659d]
    #[serde(rename = "ncs-2.2")]
    Ncs2_2,
    /// NCS 2.4 to 2.6: a counter for MCUboot, and its use without NSIB. [sdk-nrf d393050c7c]
    #[serde(rename = "ncs-2.4")]
    Ncs2_4,
    /// NCS 2.7 and 2.8: validity tokens carry the key's index and are compared strictly. [sdk-nrf 417e87d7e6]
    #[serde(rename = "ncs-2.7")]
    Ncs2_7,
    /// NCS 2.9: the script can leave room for an nRF54L's life-cycle state, but not for its counters. [sdk-nrf c607b3381a]
    #[serde(rename = "ncs-2.9")]
    Ncs2_9,
    /// NCS 3.0: write width of the memory, PSA certification reference; Ed25519 keys by SHA-256. [sdk-nrf 7815f14450]
    #[serde(rename = "ncs-3.0")]
    Ncs3_0,
    /// From 9 December 2025: Ed25519 keys by SHA-512. Whether NCS 3.2.0 has it is not confirmed. [sdk-nrf edc4023b79]
    #[serde(rename = "sdk-nrf-2025-12")]
    Sdk2025_12,
    /// From 6 May 2026: an erased life-cycle state is understood on an nRF54L. [sdk-nrf c9f94ae4da]
    #[serde(rename = "sdk-nrf-2026-05")]
    Sdk2026_05,
}

impl Generation {
    /// All, oldest first.
    pub const ALL: [Self; 8] = [
        Self::Ncs2_1,
        Self::Ncs2_2,
        Self::Ncs2_4,
        Self::Ncs2_7,
        Self::Ncs2_9,
        Self::Ncs3_0,
        Self::Sdk2025_12,
        Self::Sdk2026_05,
    ];

    /// As recipes write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ncs2_1 => "ncs-2.1",
            Self::Ncs2_2 => "ncs-2.2",
            Self::Ncs2_4 => "ncs-2.4",
            Self::Ncs2_7 => "ncs-2.7",
            Self::Ncs2_9 => "ncs-2.9",
            Self::Ncs3_0 => "ncs-3.0",
            Self::Sdk2025_12 => "sdk-nrf-2025-12",
            Self::Sdk2026_05 => "sdk-nrf-2026-05",
        }
    }

    /// Whether life-cycle state and implementation id stand before the slot addresses.
    #[must_use]
    pub fn has_life_cycle(self) -> bool {
        self >= Self::Ncs2_2
    }

    /// Whether its script writes the empty slots of counters out; before, the file ends with the counter's head.
    #[must_use]
    pub fn writes_slots(self) -> bool {
        self >= Self::Ncs2_4
    }

    /// Whether there is a counter for MCUboot, and data for MCUboot without NSIB.
    #[must_use]
    pub fn has_mcuboot_counter(self) -> bool {
        self >= Self::Ncs2_4
    }

    /// Whether a validity token carries the index of its key, and any third value stops the bootloader.
    #[must_use]
    pub fn has_indexed_tokens(self) -> bool {
        self >= Self::Ncs2_7
    }

    /// Whether it knows memories that are written a word at a time, and the PSA certification reference.
    #[must_use]
    pub fn has_width_and_reference(self) -> bool {
        self >= Self::Ncs3_0
    }

    /// The token of a valid key.
    #[must_use]
    pub fn valid_token(self, index: u32) -> u32 {
        if self.has_indexed_tokens() { 0x50FA_FFFF | index << 24 } else { u32::MAX }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No such generation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownGeneration(String);

impl fmt::Display for UnknownGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Generation::ALL.map(Generation::name);
        let word = crate::page::printable(&self.0);
        write!(f, "`{word}` is no generation of provision data{}", crate::page::choice(&word, &names))
    }
}

impl std::error::Error for UnknownGeneration {}

impl FromStr for Generation {
    type Err = UnknownGeneration;

    fn from_str(text: &str) -> Result<Self, UnknownGeneration> {
        let named = Self::ALL.into_iter().find(|generation| generation.name() == text);
        named.ok_or_else(|| UnknownGeneration(text.to_owned()))
    }
}

/// How much the memory takes in one write, which decides how far apart slots stand.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Width {
    /// Half a word: flash behind an NVMC (nRF52, nRF53, nRF91).
    #[serde(rename = "2")]
    Two,
    /// A word: RRAM (nRF54L).
    #[serde(rename = "4")]
    Four,
}

impl Width {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// What an empty slot reads.
    #[must_use]
    pub const fn empty(self) -> u32 {
        match self {
            Self::Two => 0xFFFF,
            Self::Four => u32::MAX,
        }
    }
}

/// Where the fields of one generation stand in a memory of one width.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    generation: Generation,
    width: Width,
}

impl Layout {
    /// The layout, if the bootloader of that generation reads it as its script writes it.
    ///
    /// # Errors
    /// Why this generation and this width do not go together.
    pub fn new(generation: Generation, width: Width) -> Result<Self, &'static str> {
        if width == Width::Two || generation.has_width_and_reference() {
            return Ok(Self { generation, width });
        }
        Err(if generation == Generation::Ncs2_9 { NCS_2_9_ON_RRAM } else { NO_RRAM })
    }

    /// The generation.
    #[must_use]
    pub fn generation(self) -> Generation {
        self.generation
    }

    /// The width.
    #[must_use]
    pub fn width(self) -> Width {
        self.width
    }

    /// Bytes before the slot addresses, which the provision file does not fill.
    #[must_use]
    pub fn elsewhere(self) -> u32 {
        if self.generation.has_life_cycle() { 4 * self.width.bytes() + IMPLEMENTATION_ID } else { 0 }
    }
}

/// Why the third geometry is refused.
const NCS_2_9_ON_RRAM: &str = "NCS 2.9 writes 2-byte counter slots for an nRF54L, whose bootloader reads them 4 bytes \
                               apart: counters and all that follows would be misread; use NCS 3.0 or later";

const NO_RRAM: &str = "this generation knows no memory that is written a word at a time (nRF54L); NCS 3.0 is the \
                       first that does";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_read_as_it_is_written_and_a_wrong_one_is_told_with_the_nearest() {
        for generation in Generation::ALL {
            assert_eq!(generation.name().parse(), Ok(generation));
            assert_eq!(serde_json::to_value(generation).unwrap(), generation.name());
        }
        let wrong = "ncs-2.8".parse::<Generation>().unwrap_err().to_string();
        assert!(wrong.contains("did you mean"), "{wrong}");
    }

    #[test]
    fn the_geometry_of_ncs_2_9_on_an_nrf54l_is_refused_with_its_reason() {
        let why = Layout::new(Generation::Ncs2_9, Width::Four).unwrap_err();
        assert!(why.contains("misread"), "{why}");
        assert!(Layout::new(Generation::Ncs2_9, Width::Two).is_ok());
        assert!(Layout::new(Generation::Ncs2_7, Width::Four).is_err());
        assert_eq!(Layout::new(Generation::Ncs3_0, Width::Four).map(Layout::elsewhere), Ok(0x30));
        assert_eq!(Layout::new(Generation::Ncs2_2, Width::Two).map(Layout::elsewhere), Ok(0x28));
        assert_eq!(Layout::new(Generation::Ncs2_1, Width::Two).map(Layout::elsewhere), Ok(0));
    }
}
