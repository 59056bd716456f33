//! A supply of fresh boards, no two of which are the same.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    board::{Board, Latch, Silicon},
    chance::Chance,
};
use crate::file;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// The decimal digits of a counter, and a line end.
const LIMIT: u64 = 32;

/// Boards of one kind, numbered from a seed.
pub struct Lot {
    silicon: Silicon,
    latch: Latch,
    seed: u64,
    next: AtomicU64,
    kept: Option<PathBuf>,
}

impl Lot {
    /// Starts with the first board of this seed.
    #[must_use]
    pub fn new(silicon: Silicon, latch: Latch, seed: u64) -> Self {
        Self { silicon, latch, seed, next: AtomicU64::new(0), kept: None }
    }

    /// Goes on where an earlier process that kept its count in this file stopped.
    #[must_use]
    pub fn kept_in(mut self, path: PathBuf) -> Self {
        let count = file::read(&path, LIMIT).ok();
        let count = count.and_then(|read| read.text().ok().and_then(|text| text.trim().parse().ok()));
        self.next = AtomicU64::new(count.unwrap_or(0));
        self.kept = Some(path);
        self
    }

    /// A board nobody has seen before.
    pub fn fresh(&self) -> Board {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(path) = &self.kept {
            // A count that cannot be kept repeats ids only after a restart; the sockets beside it would fail first.
            let _ = std::fs::write(path, format!("{}\n", number + 1));
        }
        Board::new(self.silicon, self.latch, self.device(number))
    }

    /// Each step of the stream is a different number, and mixing keeps them apart.
    fn device(&self, number: u64) -> u64 {
        let start = self.seed.wrapping_add(number.wrapping_mul(GOLDEN));
        let id = Chance::new(start).bits();
        if id == 0 || id == u64::MAX { GOLDEN } else { id }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_fresh_board_never_has_an_earlier_ones_id() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("next");
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            let lot = Lot::new(Silicon::Old, Latch::Strict, 1).kept_in(path.clone());
            for _ in 0..20 {
                assert!(seen.insert(lot.fresh().device_id()), "a new process goes on counting");
            }
        }
        let other = Lot::new(Silicon::Old, Latch::Strict, 2);
        assert!(seen.insert(other.fresh().device_id()), "another seed has other boards");
    }
}
