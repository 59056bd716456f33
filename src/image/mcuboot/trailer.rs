//! The end of a slot: what MCUboot notes there about an update. [nordic-facts C4]

use std::ops::Range;

use serde::Serialize;

use super::{SLOT_ALIGNMENT, TRAILER_MAGIC, TRAILER_MAGIC_WIDE, begins, le};
use crate::image::Map;

/// One note of the trailer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// 0x01.
    Set,
    /// Erased, or not in the file.
    Unset,
    /// Anything else: MCUboot takes it for damage.
    Bad,
}

/// The end of a slot, as far as the file has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Trailer {
    /// One past the last byte of the slot, which is where the magic ends.
    #[serde(serialize_with = "crate::image::as_address")]
    pub slot_end: u64,
    /// The write size it was made for, in bytes: 8, or as the magic says.
    pub alignment: u16,
    /// Whether the image need not prove itself before it may stay.
    pub image_ok: Flag,
    /// Whether a swap had been completed.
    pub copy_done: Flag,
    /// Kind of swap (low half) and image number (high half); `None` if erased or not in the file.
    pub swap_info: Option<u8>,
}

impl Trailer {
    /// Address of image_ok: an image that reaches behind it is overwritten when it is confirmed.
    #[must_use]
    pub fn notes_begin(&self) -> u64 {
        let unit = u64::from(self.alignment.max(8));
        self.slot_end.saturating_sub(16u64.next_multiple_of(unit) + unit)
    }

    /// Where the magic and the one byte of each note stand.
    pub(super) fn places(&self) -> impl Iterator<Item = Range<u32>> {
        let magic = (self.slot_end.saturating_sub(16), self.slot_end);
        let notes = [IMAGE_OK, COPY_DONE, SWAP_INFO].map(|note| note_at(self.slot_end, self.alignment, note));
        let notes = notes.into_iter().flatten().map(|at| (at, at.saturating_add(1)));
        let narrow = |at: u64| u32::try_from(at).ok();
        notes.chain([magic]).filter_map(move |(from, to)| Some(narrow(from)?..narrow(to)?))
    }

    /// What speaks against programming it in a factory, in one sentence.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        match (self.alignment, self.image_ok) {
            (8 | 16 | 32, Flag::Set) => None,
            (8 | 16 | 32, Flag::Unset) => Some(
                "it is marked for an update but not confirmed: MCUboot may go back to what was there before; sign with \
                 --confirm, or without --pad",
            ),
            (8 | 16 | 32, Flag::Bad) => Some("its image_ok is neither set nor erased"),
            _ => Some("its magic names a write size that MCUboot does not know"),
        }
    }
}

/// The first trailer behind the image and before the next one.
pub(super) fn read(map: &Map, image_end: u32) -> Option<Trailer> {
    let limit = next_image(map, image_end);
    let behind = map.segments().iter().filter(|segment| segment.end() > u64::from(image_end));
    let (slot_end, alignment) = behind.filter(|segment| u64::from(segment.at) < limit).find_map(|segment| {
        let skip = (image_end.saturating_sub(segment.at)) as usize;
        let length = usize::try_from(limit - u64::from(segment.at)).unwrap_or(usize::MAX).min(segment.bytes.len());
        let bytes = segment.bytes.get(skip..length)?;
        let (at, alignment) = bytes.windows(16).enumerate().find_map(|(at, window)| Some((at, magic(window)?)))?;
        Some((u64::from(segment.at) + (skip + at + 16) as u64, alignment))
    })?;
    let byte = |note: u64| {
        let at = u32::try_from(note_at(slot_end, alignment, note)?).ok()?;
        map.bytes(at..at.checked_add(1)?)?.first().copied()
    };
    let flag = |note: u64| match byte(note) {
        Some(1) => Flag::Set,
        Some(0xFF) | None => Flag::Unset,
        Some(_) => Flag::Bad,
    };
    let swap_info = byte(SWAP_INFO).filter(|byte| *byte != 0xFF);
    Some(Trailer { slot_end, alignment, image_ok: flag(IMAGE_OK), copy_done: flag(COPY_DONE), swap_info })
}

/// How many units of a write before the magic each note stands. [MCUboot docs/design.md, "Image Trailer"]
const IMAGE_OK: u64 = 1;
const COPY_DONE: u64 = 2;
const SWAP_INFO: u64 = 3;

fn note_at(slot_end: u64, alignment: u16, note: u64) -> Option<u64> {
    let unit = u64::from(alignment.max(8));
    slot_end.checked_sub(16u64.next_multiple_of(unit) + note * unit)
}

/// The write size a trailer magic is for, if these 16 bytes are one.
fn magic(window: &[u8]) -> Option<u16> {
    if window == TRAILER_MAGIC {
        return Some(8);
    }
    let (size, rest) = window.split_first_chunk::<2>()?;
    (rest == TRAILER_MAGIC_WIDE).then(|| u16::try_from(le(Some(size))).unwrap_or_default())
}

/// Where the next image begins, or memory ends: another slot's trailer is not this one's.
fn next_image(map: &Map, from: u32) -> u64 {
    let starts = map.segments().iter().flat_map(|segment| {
        let first = u64::from(segment.at.max(from));
        let pages = first.next_multiple_of(u64::from(SLOT_ALIGNMENT))..segment.end();
        let start = (segment.at >= from).then_some(first);
        start.into_iter().chain(pages.step_by(SLOT_ALIGNMENT as usize))
    });
    let mut starts = starts.filter(|at| u32::try_from(*at).is_ok_and(|at| begins(map, at)));
    starts.next().unwrap_or(1 << 32)
}
