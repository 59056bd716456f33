//! The constants by which MCUboot itself can be told. [nordic-facts C1, C4]

use std::fmt;

use super::{MAGIC, TRAILER_MAGIC, TRAILER_MAGIC_WIDE, heads, le};
use crate::image::{Map, Segment};

/// The signs by which a bootloader is taken for MCUboot. Firmware that writes MCUboot's trailer itself shows the
/// same signs; a bootloader built without swapping may lack the second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signs {
    /// Where the image magic stands.
    pub image_magic: Option<(u32, Carrier)>,
    /// Where the trailer magic stands.
    pub trailer_magic: Option<u32>,
}

/// How a program holds a constant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carrier {
    /// As a word among its data.
    Literal,
    /// In the instructions MOVW and MOVT of one register.
    Instructions,
}

impl Signs {
    /// Looks for them.
    #[must_use]
    pub fn of(map: &Map) -> Self {
        let first = |find: &dyn Fn(&Segment) -> Option<u32>| map.segments().iter().find_map(find);
        // The header of an image that is in the file too is no constant of a program.
        let literal = first(&|segment| positions(segment, &MAGIC.to_le_bytes()).find(|at| !heads(map, *at)));
        let instructions = || first(&|segment| moved(segment, MAGIC)).map(|at| (at, Carrier::Instructions));
        let narrow = first(&|segment| positions(segment, &TRAILER_MAGIC).next());
        let wide = || first(&|segment| positions(segment, &TRAILER_MAGIC_WIDE).next());
        Self {
            image_magic: literal.map(|at| (at, Carrier::Literal)).or_else(instructions),
            trailer_magic: narrow.or_else(wide),
        }
    }

    /// Whether this may be called MCUboot.
    #[must_use]
    pub fn suffice(&self) -> bool {
        self.image_magic.is_some()
    }
}

impl fmt::Display for Signs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.image_magic {
            Some((at, Carrier::Literal)) => write!(f, "MCUboot's image magic stands at 0x{at:08X}")?,
            Some((at, Carrier::Instructions)) => write!(f, "MCUboot's image magic is loaded at 0x{at:08X}")?,
            None => f.write_str("MCUboot's image magic is nowhere in it")?,
        }
        match self.trailer_magic {
            Some(at) => write!(f, ", its trailer magic at 0x{at:08X}"),
            None => f.write_str(", its trailer magic nowhere"),
        }
    }
}

/// Every address of the segment at which these bytes stand.
pub(in crate::image) fn positions<'s>(segment: &'s Segment, wanted: &'s [u8]) -> impl Iterator<Item = u32> + 's {
    let windows = segment.bytes.windows(wanted.len()).enumerate();
    windows.filter(move |(_, window)| *window == wanted).filter_map(|(from, _)| address(segment, from))
}

pub(in crate::image) fn address(segment: &Segment, from: usize) -> Option<u32> {
    segment.at.checked_add(u32::try_from(from).ok()?)
}

/// How many halfwords may lie between a MOVW and its MOVT.
const REACH: usize = 16;

/// Where a MOVW and a MOVT load this constant into one register. [ARMv7-M ARM A7.7.76 T3, A7.7.79 T1]
pub(in crate::image) fn moved(segment: &Segment, constant: u32) -> Option<u32> {
    let start = (segment.at & 1) as usize;
    let half = |index: usize| Some(le(Some(segment.bytes.get(start + 2 * index..start + 2 * index + 2)?)));
    let at = |opcode: u32, index: usize| move_immediate(opcode, half(index)?, half(index + 1)?);
    let (low, high) = (constant & 0xFFFF, constant >> 16);
    let found = (0..segment.bytes.len() / 2).find_map(|index| {
        let (value, register) = at(0xF240, index)?;
        let paired = || (index + 2..index + 2 + REACH).any(|index| at(0xF2C0, index) == Some((high, register)));
        (value == low && paired()).then_some(start + index * 2)
    });
    address(segment, found?)
}

/// Where a MOVW loads this halfword into a register.
pub(in crate::image) fn moved_half(segment: &Segment, constant: u16) -> Option<u32> {
    let start = (segment.at & 1) as usize;
    let half = |index: usize| Some(le(Some(segment.bytes.get(start + 2 * index..start + 2 * index + 2)?)));
    let found = (0..segment.bytes.len() / 2).find(|index| {
        let immediate =
            half(*index).zip(half(*index + 1)).and_then(|(first, second)| move_immediate(0xF240, first, second));
        immediate.is_some_and(|(value, _)| value == u32::from(constant))
    });
    address(segment, start + found? * 2)
}

/// The immediate and register of a MOVW (0xF240) or MOVT (0xF2C0), if these halfwords are one.
fn move_immediate(opcode: u32, first: u32, second: u32) -> Option<(u32, u32)> {
    if first & 0xFBF0 != opcode || second & 0x8000 != 0 {
        return None;
    }
    let immediate = (first & 0xF) << 12 | (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF;
    Some((immediate, second >> 8 & 0xF))
}
