//! The layout of flash that a program built with Zephyr takes for true: its table of flash areas.
//! [Zephyr include/zephyr/storage/flash_map.h, struct flash_area; subsys/storage/flash_map/flash_map_default.c]
//!
//! MCUboot finds its slots in it, and what it starts finds the slot for its update. It is found by its shape, so that
//! "none was found" says nothing; where two tables could be meant, none is taken.

use std::{fmt, ops::Range};

use serde::Serialize;

use super::Map;

/// One area of flash.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Area {
    /// Its number: they are counted from 0.
    pub id: u32,
    /// Address of its first byte.
    #[serde(serialize_with = "super::as_address")]
    pub at: u32,
    /// How long it is, in bytes.
    pub size: u32,
}

impl Area {
    /// One past its last byte.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.at.saturating_add(self.size)
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08X}..0x{:08X}", self.at, self.end())
    }
}

/// A table of flash areas.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FlashMap {
    /// Where the table stands.
    #[serde(serialize_with = "super::as_address")]
    pub at: u32,
    /// Those of the flash that the program stands in, in the order of the table. They may lie inside each other: a slot,
    /// and what it holds behind its header.
    pub areas: Vec<Area>,
}

/// `fa_id` (a byte, padded), `fa_off`, `fa_size` and the pointer `fa_dev`.
const ENTRY: u32 = 16;

/// A table of fewer areas has no two slots, and its shape is not rare enough.
const FEWEST: usize = 3;

/// Flash of a chip begins at 0; what lies higher is another core's or another chip's, and counts from there.
const FLASH_END: u32 = 0x0100_0000;

impl FlashMap {
    /// The one table in these bytes of a program that begins with them.
    #[must_use]
    pub fn of(map: &Map, program: Range<u32>) -> Option<Self> {
        let mut found: Option<Self> = None;
        let mut at = program.start.checked_next_multiple_of(4)?;
        while at < program.end {
            let Some(table) = table(map, at, &program) else {
                at = at.checked_add(4)?;
                continue;
            };
            at = at.checked_add(ENTRY * u32::try_from(table.areas.len()).ok()?)?;
            match &found {
                Some(first) if first.areas != table.areas => return None,
                _ => found = Some(found.unwrap_or(table)),
            }
        }
        found
    }

    /// Of the areas that begin at one address the longest: the slot, and not what it holds.
    pub fn longest(&self) -> impl Iterator<Item = &Area> {
        let mut known = Vec::new();
        self.areas.iter().filter(move |area| {
            let first = self.slot(area.at).is_some_and(|slot| slot.size == area.size) && !known.contains(&area.at);
            known.extend(first.then_some(area.at));
            first
        })
    }

    /// The longest area that begins at this address, if it is not itself a part of a larger one.
    #[must_use]
    pub fn slot(&self, at: u32) -> Option<&Area> {
        let slot = self.areas.iter().filter(|area| area.at == at).max_by_key(|area| area.size)?;
        let part = self.areas.iter().any(|other| other.at < slot.at && other.end() >= slot.end());
        (!part).then_some(slot)
    }

    /// The first slot behind the area that this address lies in.
    #[must_use]
    pub fn next_slot(&self, at: u32) -> Option<&Area> {
        let own = self.areas.iter().filter(|area| (area.at..area.end()).contains(&at)).max_by_key(|area| area.size)?;
        let behind = self.areas.iter().filter(|area| area.at >= own.end()).min_by_key(|area| area.at)?;
        self.slot(behind.at)
    }
}

/// Every table of the file: of what stands outside of images for MCUboot, and of the program of each.
#[must_use]
pub fn all(map: &Map, images: &[Range<u32>]) -> Vec<FlashMap> {
    let outside = map.without(images);
    let programs = outside.segments().iter().filter_map(|segment| Some(segment.at..u32::try_from(segment.end()).ok()?));
    programs.chain(images.iter().cloned()).filter_map(|program| FlashMap::of(map, program)).collect()
}

fn table(map: &Map, at: u32, program: &Range<u32>) -> Option<FlashMap> {
    let place = |number: u32| at.checked_add(number.checked_mul(ENTRY)?);
    let entry = |number: u32| row(map, place(number)?, program).filter(|(area, _)| area.id == number);
    // Hardly anything is shaped like two entries; what is not is left at once.
    entry(0).zip(entry(1))?;
    let rows: Vec<(Area, u32)> = (0..=u32::from(u8::MAX)).map_while(entry).collect();
    // A row that only its number keeps from being the next one: areas are missing or in another order, and the table would
    // be half of one.
    if row(map, place(u32::try_from(rows.len()).ok()?)?, program).is_some() {
        return None;
    }
    let device = own_device(&rows, program.start)?;
    let areas: Vec<Area> = rows.into_iter().filter(|(_, on)| *on == device).map(|(area, _)| area).collect();
    (areas.len() >= FEWEST).then_some(FlashMap { at, areas })
}

/// The flash that the program itself stands in; areas of another chip beside it begin at 0 too. The one with more areas
/// is taken where two could be it.
fn own_device(rows: &[(Area, u32)], first: u32) -> Option<u32> {
    let holds = rows.iter().filter(|(area, _)| (area.at..area.end()).contains(&first)).map(|(_, device)| *device);
    let areas = |device: u32| rows.iter().filter(|(_, on)| *on == device).count();
    let mut devices: Vec<(usize, u32)> = holds.map(|device| (areas(device), device)).collect();
    devices.sort_unstable();
    devices.dedup();
    let (most, device) = devices.pop()?;
    devices.iter().all(|(count, _)| *count < most).then_some(device)
}

/// An area with the device it is on, if this may be a row of a table.
fn row(map: &Map, at: u32, program: &Range<u32>) -> Option<(Area, u32)> {
    let word = |index: u32| map.word(at.checked_add(4 * index)?);
    let id = word(0).filter(|id| u8::try_from(*id).is_ok())?;
    let [from, size, device] = [word(1)?, word(2)?, word(3)?];
    let sane = size > 0 && size % 4 == 0 && from % 4 == 0 && device % 4 == 0;
    let inside = from.checked_add(size).is_some_and(|end| end <= FLASH_END) && program.contains(&device);
    (sane && inside).then_some((Area { id, at: from, size }, device))
}
