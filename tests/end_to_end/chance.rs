//! Random moments that can be had again: the seed is printed.

use std::hash::{BuildHasher as _, RandomState};

/// A row of numbers that a seed decides (xorshift64*).
pub(crate) struct Chance(u64);

/// The seed of this run of the tests.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("ROOTSTAMP_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| RandomState::new().hash_one(0) >> 32)
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Less than this.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % end.max(1)
    }
}
