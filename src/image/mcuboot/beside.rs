//! What a file holds beside its image: bytes that nobody signed.

use std::{iter, ops::Range};

use super::{Image, Trailer};
use crate::image::Map;

impl Image {
    /// Every run of bytes outside the image and outside these other ranges. What imgtool and MCUboot write at the end of
    /// the slot belongs to the image: the magic and one byte for each note. [imgtool image.py, pad_to; MCUboot
    /// docs/design.md, "Image Trailer"]
    #[must_use]
    pub fn beside(&self, map: &Map, others: &[Range<u32>]) -> Vec<Range<u64>> {
        let own = self.trailer.iter().flat_map(Trailer::places);
        let known: Vec<Range<u32>> = iter::once(self.at..self.end).chain(own).chain(others.iter().cloned()).collect();
        map.written_outside(&known)
    }
}
