//! The first two words of a Cortex-M image: where its stack begins and where it starts to run.

use std::ops::Range;

use super::Map;
use crate::fault::Problem;

/// Where ARMv7-M and ARMv8-M put on-chip RAM; a chip's own RAM lies inside. [ARMv7-M ARM B3.1]
pub const SRAM: Range<u32> = 0x2000_0000..0x4000_0000;

/// A vector table's first two words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Vectors {
    /// Address of the table.
    pub at: u32,
    /// Initial stack pointer.
    pub stack: u32,
    /// Address of the reset handler, with the Thumb bit.
    pub reset: u32,
}

/// The vector table at this address, if it can be one.
///
/// # Errors
/// What makes a chip with this RAM unable to start from it.
pub fn read(map: &Map, at: u32, ram: &Range<u32>) -> Result<Vectors, Vec<Problem>> {
    let words = map.word(at).zip(at.checked_add(4).and_then(|reset| map.word(reset)));
    let Some((stack, reset)) = words else {
        return Err(vec![map.problem_at(at, format!("no vector table at 0x{at:08X}: the image has no bytes there"))]);
    };
    let mut problems = Vec::new();
    // A stack grows down from its first address, so that one may lie just past the RAM.
    if stack <= ram.start || stack > ram.end || stack % 4 != 0 {
        problems.push(map.problem_at(at, format!("the stack pointer 0x{stack:08X} of the vector table is not in RAM")));
    }
    if reset % 2 == 0 {
        problems
            .push(map.problem_at(at, format!("the reset vector 0x{reset:08X} is even: no Thumb code starts there")));
    } else if map.bytes(reset - 1..reset.saturating_add(1)).is_none() {
        problems.push(map.problem_at(at, format!("the reset vector 0x{reset:08X} points outside the image")));
    }
    if problems.is_empty() { Ok(Vectors { at, stack, reset }) } else { Err(problems) }
}

/// Compilers and linkers put programs at whole pages of this many bytes.
const PAGE: u32 = 0x1000;

/// The address that memory without one seems to be for: it begins like a vector table, and the handlers of reset, NMI and
/// hard fault lie together in a place that begins with another page than this memory does. A guess for a person to try.
#[must_use]
pub fn elsewhere(map: &Map) -> Option<u32> {
    let first = map.first();
    if read(map, first, &SRAM).is_ok() {
        return None;
    }
    let word = |index: u32| map.word(first.checked_add(4 * index)?);
    let handlers = [word(1)?, word(2)?, word(3)?];
    let stack = word(0)?;
    let (low, high) = (*handlers.iter().min()?, *handlers.iter().max()?);
    let at = low & !(PAGE - 1);
    let within = u64::from(high) < u64::from(at) + map.len() as u64;
    let program = SRAM.contains(&stack) && stack % 4 == 0 && handlers.iter().all(|handler| handler % 2 == 1);
    (program && within && at != first).then_some(at)
}
