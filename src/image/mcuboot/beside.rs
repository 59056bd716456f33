//! What a file holds beside its image: bytes that nobody signed.

use std::{iter, ops::Range};

use super::{Image, Trailer};
use crate::image::{Map, Segment};

impl Image {
    /// Every run of bytes outside the image and outside these other ranges, from its first to its last that is not as
    /// erased flash is. What imgtool and MCUboot write at the end of the slot belongs to the image: the magic and one byte
    /// for each note. [imgtool image.py, pad_to; MCUboot docs/design.md, "Image Trailer"]
    #[must_use]
    pub fn beside(&self, map: &Map, others: &[Range<u32>]) -> Vec<Range<u64>> {
        let own = self.trailer.iter().flat_map(Trailer::places);
        let known: Vec<Range<u32>> = iter::once(self.at..self.end).chain(own).chain(others.iter().cloned()).collect();
        let outside = map.without(&known);
        let written = |byte: &u8| *byte != 0xFF;
        let run = |segment: &Segment| {
            let first = segment.bytes.iter().position(written)?;
            let last = segment.bytes.iter().rposition(written)?;
            Some(u64::from(segment.at) + first as u64..u64::from(segment.at) + last as u64 + 1)
        };
        outside.segments().iter().filter_map(run).collect()
    }
}
