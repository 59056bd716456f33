//! The constants by which MCUboot itself can be told. [nordic-facts C1, C4]

use std::fmt;

use memchr::memmem;

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
    overlapping(&segment.bytes, wanted).filter_map(|from| address(segment, from))
}

/// `memmem::find_iter` would go on behind what it found; the next may begin inside it.
fn overlapping<'b>(bytes: &'b [u8], wanted: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    let finder = memmem::Finder::new(wanted);
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + finder.find(bytes.get(from..)?)?;
        from = at + 1;
        Some(at)
    })
}

pub(in crate::image) fn address(segment: &Segment, from: usize) -> Option<u32> {
    segment.at.checked_add(u32::try_from(from).ok()?)
}

/// How many halfwords may lie between a MOVW and its MOVT.
const REACH: usize = 16;

/// MOVW and MOVT: two halfwords, as they stand in memory. [ARMv7-M ARM A7.7.76 T3, A7.7.79 T1]
const MOVW: u32 = 0x0000_F240;
const MOVT: u32 = 0x0000_F2C0;
/// The bits of the instruction that say which register.
const REGISTER: u32 = 0x0F00_0000;

/// Where a MOVW and a MOVT load this constant into one register.
pub(in crate::image) fn moved(segment: &Segment, constant: u32) -> Option<u32> {
    let [low, high] = [move_of(MOVW, constant & 0xFFFF), move_of(MOVT, constant >> 16)];
    let loads = instructions(segment).filter(|(_, word)| word & !REGISTER == low);
    let found = loads.into_iter().find(|(from, word)| {
        let behind = segment.bytes.get(from + 4..).unwrap_or_default();
        let mut near = behind.windows(4).step_by(2).take(REACH);
        near.any(|window| le(Some(window)) == high | word & REGISTER)
    });
    address(segment, found?.0)
}

/// Where a MOVW loads this halfword into a register.
pub(in crate::image) fn moved_half(segment: &Segment, constant: u16) -> Option<u32> {
    let load = move_of(MOVW, u32::from(constant));
    let found = instructions(segment).find(|(_, word)| word & !REGISTER == load);
    address(segment, found?.0)
}

/// Every word that may be an instruction of four bytes, with its offset: these stand at even addresses.
fn instructions(segment: &Segment) -> impl Iterator<Item = (usize, u32)> + '_ {
    let start = (segment.at & 1) as usize;
    let words = segment.bytes.get(start..).unwrap_or_default().windows(4).step_by(2);
    let word = |window: &[u8]| window.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
    (start..).step_by(2).zip(words.map(word))
}

/// The instruction that moves these 16 bits into register 0.
const fn move_of(opcode: u32, immediate: u32) -> u32 {
    let first = opcode | immediate >> 12 | (immediate >> 11 & 1) << 10;
    let second = (immediate >> 8 & 7) << 12 | immediate & 0xFF;
    first | second << 16
}
