//! Would this boot? Asked before anything is written. [bl_validation.c; nordic-facts B5 to B7]

use serde::Serialize;

use super::{CounterOf, Generation, LifeCycle, MAX_KEYS, No, Provision, Storage, Told, fits};
use crate::{
    image::{Map, Segment},
    keys::NsibHash,
};

/// The highest version that NSIB can count: it shares a 16-bit slot with one bit. [bl_validation.c]
const MAX_VERSION: u32 = 0x7FFF;

/// What is known of the firmware that NSIB is to start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Firmware {
    /// Address of its slot.
    pub at: u32,
    /// Version in its `fw_info`.
    pub version: u32,
    /// What vouches for it.
    pub signed: SignedBy,
}

/// Which key made the firmware's signature. That it is right has to be seen elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignedBy {
    /// One that has to be among the provisioned hashes.
    Provisioned(NsibHash),
    /// One in the KMU: the storage has no say.
    Kmu,
}

/// How the bootloader was built.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Refuses versions below its counter.
    pub counts_versions: bool,
    /// Heeds the life-cycle state (experimental in the SDK).
    pub heeds_life_cycle: bool,
}

/// The answer, and what the first start does.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct WouldBoot {
    /// Every reason why not; empty if it would.
    pub no: Vec<String>,
    /// Keys that the first start revokes for good.
    pub revokes: Vec<u32>,
    /// What the first start stores in NSIB's counter. Verify counters before it, not after.
    pub stores: Option<u32>,
    /// What a person should know although it would boot.
    pub notes: Vec<String>,
}

impl WouldBoot {
    /// Whether it would.
    #[must_use]
    pub fn yes(&self) -> bool {
        self.no.is_empty()
    }
}

impl Storage {
    /// Whether NSIB would start this firmware out of this storage.
    #[must_use]
    pub fn would_boot(&self, firmware: &Firmware, rules: Rules) -> WouldBoot {
        let mut answer = WouldBoot::default();
        self.slot_fits(firmware, &mut answer);
        self.key_fits(firmware, &mut answer);
        if rules.counts_versions {
            self.version_fits(firmware, &mut answer);
        }
        if rules.heeds_life_cycle {
            self.life_cycle_fits(&mut answer);
        }
        answer
    }

    /// Whether MCUboot would take an image with this security counter, and that the counter can follow it.
    ///
    /// # Errors
    /// Why not.
    pub fn would_take(&self, security_counter: u32) -> Result<(), String> {
        if security_counter > 0xFFFF {
            return Err(format!(
                "the image's security counter {security_counter} does not fit the 16 bits of the chip's counter"
            ));
        }
        let stored = CounterOf::Mcuboot.value(self).map_err(|_| "there is no counter for MCUboot".to_owned())?;
        if security_counter < stored {
            return Err(format!("the image's security counter {security_counter} is below the chip's {stored}"));
        }
        if security_counter > stored && self.can_rise(CounterOf::Mcuboot.description()).is_err() {
            return Err(format!(
                "MCUboot's counter stands at {stored} and has no slot left to rise to {security_counter}"
            ));
        }
        Ok(())
    }

    fn slot_fits(&self, firmware: &Firmware, answer: &mut WouldBoot) {
        let (s0, s1) = (self.s0(), self.s1());
        if firmware.at != s0 && firmware.at != s1 {
            answer.no.push(format!(
                "the firmware is for 0x{:08X}, the bootloader looks at 0x{s0:08X} and 0x{s1:08X}",
                firmware.at
            ));
        }
    }

    fn key_fits(&self, firmware: &Firmware, answer: &mut WouldBoot) {
        if let Err(no) = self.verify_keys() {
            answer.no.push(self.keys_refused(no));
            return;
        }
        let SignedBy::Provisioned(wanted) = firmware.signed else {
            answer.notes.push("the key is in the KMU; nothing here says whether it is the right one".to_owned());
            return;
        };
        let valid = |index: &u32| self.key(*index) == Ok(wanted);
        match (0..self.key_count()).find(valid) {
            Some(index) => answer.revokes = (0..index).filter(|index| self.key(*index).is_ok()).collect(),
            None => answer.no.push(format!("the firmware's key {wanted} is not among the valid keys")),
        }
        if !answer.revokes.is_empty() {
            let revoked: Vec<String> = answer.revokes.iter().map(ToString::to_string).collect();
            answer.notes.push(format!(
                "the first start revokes key {} for good, because the firmware is signed with a later one",
                revoked.join(", ")
            ));
        }
    }

    fn keys_refused(&self, no: No) -> String {
        match no {
            No::Invalid => {
                format!("the storage says {} keys; with more than {MAX_KEYS} nothing starts", self.key_count())
            }
            No::ErasedHash => {
                "the hash of a valid key holds 0xFFFF; the bootloader then starts nothing, even if the key \
                               is a spare one"
                    .to_owned()
            }
            No::Panic => "a validity token is neither valid nor revoked; the bootloader stops for good".to_owned(),
            No::Full | No::UnreadableState | No::UnreachableState | No::Outside => "the keys cannot be read".to_owned(),
        }
    }

    fn version_fits(&self, firmware: &Firmware, answer: &mut WouldBoot) {
        if firmware.version > MAX_VERSION {
            answer.no.push(format!("version {} is more than the counter can hold, {MAX_VERSION}", firmware.version));
            return;
        }
        let Ok(value) = CounterOf::Nsib.value(self) else {
            answer.no.push("the bootloader counts versions, but there is no counter for NSIB".to_owned());
            return;
        };
        let stored = value >> 1;
        if firmware.version < stored {
            answer.no.push(format!("version {} is below the stored version {stored}", firmware.version));
        } else if firmware.version > stored {
            let slot0 = firmware.at == self.s0();
            answer.stores = Some(firmware.version << 1 | u32::from(slot0));
            if self.can_rise(CounterOf::Nsib.description()).is_err() {
                answer.no.push(format!(
                    "NSIB's counter has no slot left for version {}; what the bootloader does then is not confirmed",
                    firmware.version
                ));
            }
        }
    }

    fn life_cycle_fits(&self, answer: &mut WouldBoot) {
        match self.life_cycle() {
            Ok(LifeCycle::Assembly) => {
                answer.notes.push("life-cycle state ASSEMBLY: signatures are not checked; enter SECURED".to_owned());
            }
            Ok(LifeCycle::Provisioning) => {
                answer.notes.push("life-cycle state PROVISIONING; a product ships as SECURED".to_owned());
            }
            Ok(LifeCycle::Secured) => {}
            Ok(LifeCycle::Decommissioned) => {
                answer.no.push("life-cycle state DECOMMISSIONED: it never starts again".to_owned());
            }
            Err(_) => answer.no.push("the life-cycle state cannot be read; it does not start".to_owned()),
        }
    }
}

/// What a bootloader's image shows of its generation.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Bootloader {
    /// Where the constant stands that only a bootloader with indexed tokens compares with. That it is nowhere proves
    /// nothing: a compiler may build it in registers.
    pub indexed_token_at: Option<u32>,
}

impl Bootloader {
    /// Looks for the signs. Provision data in the same file, whose first token is that constant, is no part of the
    /// bootloader.
    #[must_use]
    pub fn of(map: &Map) -> Self {
        let segments = map.segments().iter().filter(|segment| !Provision::is_at(segment));
        let found = segments.flat_map(|segment| words(segment).filter(|(_, word)| *word == 0x50FA_FFFF)).next();
        Self { indexed_token_at: found.map(|(at, _)| at) }
    }

    /// Whether provision data goes with this bootloader, which the recipe says is of that generation.
    ///
    /// # Errors
    /// Every contradiction, each naming what it rests on.
    pub fn goes_with(&self, generation: Generation, told: &Told) -> Result<(), Vec<String>> {
        let mut wrong: Vec<String> = fits(told, generation).err().into_iter().collect();
        if let Some(at) = self.indexed_token_at {
            let says = |what: &str| {
                format!(
                    "the bootloader compares with 0x50FAFFFF (at 0x{at:08X}), as from ncs-2.7 on, but {what} is of a \
                     time before"
                )
            };
            if !generation.has_indexed_tokens() {
                wrong.push(says(&format!("the generation {generation} that is stated")));
            }
            if !told.may_be.iter().any(|generation| generation.has_indexed_tokens()) {
                wrong.push(says("the provision data"));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// The aligned words of a segment that stand in it whole.
fn words(segment: &Segment) -> impl Iterator<Item = (u32, u32)> + '_ {
    let skip = (segment.at.wrapping_neg() & 3) as usize;
    let whole = segment.bytes.get(skip..).unwrap_or_default().chunks_exact(4);
    let from = segment.at.saturating_add(u32::try_from(skip).unwrap_or_default());
    (from..=u32::MAX)
        .step_by(4)
        .zip(whole.map(|word| word.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))))
}
