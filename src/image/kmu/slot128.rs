//! Key slots of nRF53 and nRF91: 128 slots of 128 bits beside the NVMC. [SVD and sdk-nrf, KMU of nRF5340 and nRF9160]

use std::fmt;

use serde::Serialize;

/// KMU.SELECTKEYSLOT: number of the slot and one, 0 for none. [SVD and sdk-nrf, KMU of nRF5340 and nRF9160]
const SELECT: u32 = 0x5003_9500;
/// DEST of slot 0; the permissions follow. [SVD UICR.KEYSLOT of nRF5340 and nRF9160]
const CONFIG: u32 = 0x00FF_8400;
/// VALUE of slot 0. [SVD UICR.KEYSLOT of nRF5340 and nRF9160]
const VALUE: u32 = 0x00FF_8800;

/// What may be done with a slot. [SVD and sdk-nrf, KMU of nRF5340 and nRF9160]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the four bits of one word")]
pub struct Permission {
    /// May be written.
    pub write: bool,
    /// May be read.
    pub read: bool,
    /// May be pushed to its destination.
    pub push: bool,
    /// Is not revoked.
    pub active: bool,
}

impl Permission {
    /// Pushed to its destination and nothing else, for good: 0xFFFF0004.
    pub const PUSH_ONLY: Self = Self { write: false, read: false, push: true, active: true };

    /// From the word.
    #[must_use]
    pub const fn decode(word: u32) -> Self {
        Self { write: word & 1 != 0, read: word & 2 != 0, push: word & 4 != 0, active: word & 1 << 16 != 0 }
    }

    /// The word; bits without a meaning stay erased in the upper half and are 0 in the lower, as Nordic writes it.
    #[must_use]
    pub const fn encode(self) -> u32 {
        let state = if self.active { 0xFFFF_0000 } else { 0xFFFE_0000 };
        state | self.write as u32 | (self.read as u32) << 1 | (self.push as u32) << 2
    }
}

/// One slot. Its value is a secret and is never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Slot128 {
    slot: u8,
    destination: u32,
    permission: Permission,
    value: [u8; 16],
}

impl Slot128 {
    /// A slot.
    ///
    /// # Errors
    /// Everything that such a slot cannot be, and values that Nordic published.
    pub fn new(slot: u8, destination: u32, permission: Permission, value: [u8; 16]) -> Result<Self, String> {
        if slot >= 128 {
            return Err(format!("slot {slot}: there are 128, from 0 on"));
        }
        if !destination.is_multiple_of(16) {
            return Err(format!("slot {slot}: 0x{destination:08X} is no destination of 16 bytes"));
        }
        if PUBLISHED.iter().any(|published| published.as_slice() == value) {
            return Err(format!("slot {slot}: its value is part of a test vector that Nordic published"));
        }
        if permission.write {
            return Err(format!("slot {slot}: it would stay writable; a slot is closed with the last write"));
        }
        Ok(Self { slot, destination, permission, value })
    }

    /// Which slot.
    #[must_use]
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// The writes that fill it, in their order: the permissions come last, for they close the slot. NVMC.CONFIG has to
    /// be 1 around them, and the access secure.
    #[must_use]
    pub fn writes(&self) -> Vec<(u32, u32)> {
        let slot = u32::from(self.slot);
        let mut writes = vec![(SELECT, slot + 1), (CONFIG + 8 * slot, self.destination)];
        let words =
            self.value.chunks_exact(4).map(|word| word.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)));
        writes.extend((VALUE + 16 * slot..).step_by(4).zip(words));
        writes.extend([(CONFIG + 8 * slot + 4, self.permission.encode()), (SELECT, 0)]);
        writes
    }
}

impl fmt::Debug for Slot128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {} to 0x{:08X}, {:?}, value not shown", self.slot, self.destination, self.permission)
    }
}

/// Hardware unique keys out of Nordic's tests, in halves of 16 bytes. [sdk-nrf tests/lib/hw_unique_key_tfm/write_kmu.py]
const PUBLISHED: [[u8; 16]; 3] = [
    0xc5a8_08eb_e31e_a5b4_e944_1a76_4558_d88b_u128.to_be_bytes(),
    0x4026_33a8_cd2d_5167_8def_0024_3052_d73d_u128.to_be_bytes(),
    0x199a_e3c7_9dd0_168c_3eee_a846_ea4e_dc6e_u128.to_be_bytes(),
];

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    #[test]
    fn a_slot_is_filled_with_its_permissions_last() {
        assert_eq!(Permission::PUSH_ONLY.encode(), 0xFFFF_0004);
        assert_eq!(Permission::decode(0xFFFF_0004), Permission::PUSH_ONLY);
        let slot = Slot128::new(2, 0x5084_1400, Permission::PUSH_ONLY, KEY).unwrap();
        let expected = [
            (0x5003_9500, 3),
            (0x00FF_8410, 0x5084_1400),
            (0x00FF_8820, 0x0302_0100),
            (0x00FF_8824, 0x0706_0504),
            (0x00FF_8828, 0x0B0A_0908),
            (0x00FF_882C, 0x0F0E_0D0C),
            (0x00FF_8414, 0xFFFF_0004),
            (0x5003_9500, 0),
        ];
        assert_eq!(slot.writes(), expected);
        assert!(!format!("{slot:?}").contains("0302"), "{slot:?}");
    }

    #[test]
    fn a_published_value_and_a_slot_that_stays_writable_are_refused() {
        for published in PUBLISHED {
            assert!(Slot128::new(2, 0, Permission::PUSH_ONLY, published).unwrap_err().contains("published"));
        }
        let open = Permission { write: true, ..Permission::PUSH_ONLY };
        assert!(Slot128::new(2, 0, open, KEY).unwrap_err().contains("stay writable"));
        assert!(Slot128::new(128, 0, Permission::PUSH_ONLY, KEY).is_err());
        assert!(Slot128::new(2, 8, Permission::PUSH_ONLY, KEY).is_err());
    }
}
