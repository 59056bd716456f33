//! The RAM loader of the nRF52 family: its bytes, and how a halted core is made to run it.
//!
//! probe-rs' own flash loaders reset, resume or power down around every call, and none of that is allowed between the
//! opened port and the lock words. This one is driven with plain memory accesses on a halted core. `loader.s` beside
//! this file is its source; `scripts/ram-loader` compares both.

use crate::{
    chip::memory,
    link::{Op, Place},
};

/// `loader.s`, assembled.
const CODE: [u16; 30] = [
    0x680e, 0x3104, 0x1c77, 0xd014, 0x6006, 0xf8c4, 0x5600, 0xf8c4, 0x5604, 0xf8c4, 0x5608, 0xf8c4, 0x560c, 0xf8c4,
    0x5610, 0xf8c4, 0x5614, 0xf8c4, 0x5618, 0xf8c4, 0x561c, 0xf8d3, 0x7400, 0x07ff, 0xd0eb, 0x3004, 0x3a01, 0xd1e3,
    0xbe00, 0xe7fe,
];

/// Where the loader sits: the start of RAM.
const AT: u32 = 0x2000_0000; // [PS-52840 v1.11, memory map: Data RAM]

/// The branch to itself behind the BKPT.
const PARK: u32 = AT + 58;

/// Where the words wait to be programmed, behind the loader.
pub(super) const BUFFER: u32 = AT + 0x1000;

/// The most words one call programs: 16 KiB, a tenth of a second of silicon time between two signs of progress.
pub(super) const CHUNK: usize = 4096;

/// Debug halting control and status. [ARM DDI 0403, C1.6.2]
pub(super) const DHCSR: Place = memory(0xE000_EDF0);
/// Debug core register selector. [ARM DDI 0403, C1.6.3]
const DCRSR: Place = memory(0xE000_EDF4);
/// Debug core register data. [ARM DDI 0403, C1.6.4]
const DCRDR: Place = memory(0xE000_EDF8);

/// C_DEBUGEN with the key that makes a write of DHCSR count. [ARM DDI 0403, C1.6.2]
const DEBUGEN: u32 = 0xA05F_0001;
/// C_HALT. [ARM DDI 0403, C1.6.2]
const HALT: u32 = 1 << 1;
/// C_MASKINTS; may only change while C_HALT is set. [ARM DDI 0403, C1.6.2]
const MASKINTS: u32 = 1 << 3;
/// S_REGRDY. [ARM DDI 0403, C1.6.2]
const S_REGRDY: u32 = 1 << 16;
/// S_HALT. [ARM DDI 0403, C1.6.2]
const S_HALT: u32 = 1 << 17;
/// DCRSR.REGWnR. [ARM DDI 0403, C1.6.3]
const REGISTER_WRITE: u32 = 1 << 16;
/// Register numbers of DCRSR. [ARM DDI 0403, C1.6.3]
const PC: u32 = 15;
/// Register number of xPSR. [ARM DDI 0403, C1.6.3]
const XPSR: u32 = 16;
/// xPSR with nothing but the Thumb bit, without which the first instruction faults. [ARM DDI 0403, B1.4.2]
const THUMB: u32 = 1 << 24;

/// Halting takes a few clocks; a core that does not halt in this time is not one we can use.
const HALT_MS: u32 = 500;

/// Halts the core and waits until it says so.
pub(super) fn halt() -> Vec<Op> {
    vec![
        Op::Write { to: DHCSR, words: vec![DEBUGEN | HALT] },
        Op::Poll { at: DHCSR, mask: S_HALT, value: S_HALT, within_ms: HALT_MS },
        Op::Write { to: DHCSR, words: vec![DEBUGEN | HALT | MASKINTS] },
    ]
}

/// Breaks the batch unless the core stands still at this moment.
pub(super) fn halted() -> Op {
    Op::Poll { at: DHCSR, mask: S_HALT, value: S_HALT, within_ms: 0 }
}

/// Puts the loader into RAM.
pub(super) fn load() -> Op {
    let words = CODE.chunks(2).map(|pair| pair.iter().rev().fold(0, |word, &half| word << 16 | u32::from(half)));
    Op::Write { to: memory(AT), words: words.collect() }
}

/// Programs `words` words from [`BUFFER`] to `at`, then waits for the BKPT.
pub(super) fn call(at: u32, words: u32, nvmc: u32, wdt: u32, feed: u32) -> Vec<Op> {
    let arguments = [at, BUFFER, words, nvmc, wdt, feed];
    let mut ops: Vec<Op> = (0..).zip(arguments).flat_map(|(number, value)| set(number, value)).collect();
    ops.extend(set(PC, AT));
    ops.extend(set(XPSR, THUMB));
    ops.push(Op::Write { to: DHCSR, words: vec![DEBUGEN | MASKINTS] });
    // 41 us a word [PS-52840 v1.11, NVMC], up to 338 us on nRF52832 [nordic-facts 0.11]; plus room for a busy bus.
    ops.push(Op::Poll { at: DHCSR, mask: S_HALT, value: S_HALT, within_ms: 1_000 + words / 2 });
    ops
}

/// Lets the core spin in RAM with debugging off: it runs nothing of the firmware before the reset that follows, and no
/// C_HALT is left that would keep it from starting after it.
pub(super) fn park() -> Vec<Op> {
    let mut ops = vec![load()];
    ops.extend(set(PC, PARK));
    ops.extend(set(XPSR, THUMB));
    ops.push(Op::Write { to: DHCSR, words: vec![DEBUGEN | MASKINTS] });
    ops.push(Op::Write { to: DHCSR, words: vec![DEBUGEN & !1] });
    ops
}

fn set(number: u32, value: u32) -> [Op; 3] {
    [
        Op::Write { to: DCRDR, words: vec![value] },
        Op::Write { to: DCRSR, words: vec![REGISTER_WRITE | number] },
        Op::Poll { at: DHCSR, mask: S_REGRDY, value: S_REGRDY, within_ms: HALT_MS },
    ]
}
