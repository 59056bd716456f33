//! The debug registers of the core, and whether it runs.
//!
//! [Armv7-M ARM, C1; virtual-board notes (b)]

use std::collections::BTreeMap;

use super::{
    bus::Bus,
    cpu::{self, Registers, Stop, Stretch},
};

const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;
const DFSR: u32 = 0xE000_ED30;
const AIRCR: u32 = 0xE000_ED0C;
const CPUID: u32 = 0xE000_ED00;
const MVFR0: u32 = 0xE000_EF40;
const FP_CTRL: u32 = 0xE000_2000;
const FP_COMP: u32 = 0xE000_2008;
const COMPARATORS: u32 = 8;
const ROM_TABLE: u32 = 0xE00F_F000;

const C_DEBUGEN: u32 = 1;
const C_HALT: u32 = 1 << 1;
const C_STEP: u32 = 1 << 2;
const S_REGRDY: u32 = 1 << 16;
const S_HALT: u32 = 1 << 17;
const S_SLEEP: u32 = 1 << 18;
const S_LOCKUP: u32 = 1 << 19;
const S_RETIRE: u32 = 1 << 24;
const S_RESET: u32 = 1 << 25;
const HALTED: u32 = 1;
const BKPT: u32 = 1 << 1;
const VCATCH: u32 = 1 << 3;
const VC_CORERESET: u32 = 1;

/// What the core is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Doing {
    /// Executing.
    Runs,
    /// Held by the debugger.
    Halted,
    /// Waiting for an interrupt that no model of ours sends.
    Sleeps,
    /// A fault inside a fault.
    LockedUp,
    /// Held by the reset pin, or by an erase of everything.
    Held,
}

/// Core and debug registers of one CPU.
#[derive(Clone)]
pub(super) struct Core {
    pub(super) registers: Registers,
    pub(super) doing: Doing,
    /// Up to which simulated time it has executed.
    pub(super) time: u64,
    debug: u32,
    demcr: u32,
    dfsr: u32,
    data: u32,
    reset_seen: bool,
    flash_patch: bool,
    /// Where it waits for ever, as decided by something that is no code.
    waits_at: Option<u32>,
    comparators: BTreeMap<u32, u32>,
    others: BTreeMap<u32, u32>,
}

impl Core {
    pub(super) fn new() -> Self {
        Self {
            registers: Registers::at_reset(0, 0),
            doing: Doing::Held,
            time: 0,
            debug: 0,
            demcr: 0,
            dfsr: 0,
            data: 0,
            reset_seen: false,
            flash_patch: false,
            waits_at: None,
            comparators: BTreeMap::new(),
            others: BTreeMap::new(),
        }
    }

    /// A reset of the core alone leaves the debugger's registers; a harder one does not.
    pub(super) fn reset(&mut self, sp: u32, vector: u32, hard: bool, now: u64) {
        if hard {
            self.lose_debugger();
        }
        self.registers = Registers::at_reset(sp & !3, vector & !1);
        self.waits_at = None;
        self.time = now;
        self.reset_seen = true;
        let caught = self.debug & C_DEBUGEN != 0 && self.demcr & VC_CORERESET != 0;
        self.debug = if caught { self.debug | C_HALT } else { self.debug & C_DEBUGEN };
        self.dfsr |= if caught { VCATCH } else { 0 };
        self.doing = match (caught, vector & 1 == 1) {
            (true, _) => Doing::Halted,
            (false, true) => Doing::Runs,
            (false, false) => Doing::LockedUp,
        };
    }

    /// The port was closed, or the power went.
    pub(super) fn lose_debugger(&mut self) {
        self.debug = 0;
        self.demcr = 0;
        self.flash_patch = false;
        self.comparators.clear();
        if self.doing == Doing::Halted {
            self.doing = self.let_go();
        }
    }

    /// The stand-ins are no code: what they would do is decided elsewhere, and then they wait for ever.
    pub(super) fn wait_here(&mut self) {
        self.waits_at = Some(self.registers.pc);
        if self.doing == Doing::Runs {
            self.doing = Doing::Sleeps;
        }
    }

    pub(super) fn is_halted(&self) -> bool {
        self.doing == Doing::Halted
    }

    /// Executes until the simulated time `until`; true if it asked for a reset.
    pub(super) fn run(&mut self, bus: &mut Bus, until: u64) -> bool {
        if self.doing != Doing::Runs {
            self.time = self.time.max(until);
            return false;
        }
        if self.time >= until {
            return false;
        }
        if self.registers.pc >= 0xE000_0000 {
            self.doing = Doing::LockedUp;
            return false;
        }
        let breakpoints = self.breakpoints();
        let stretch = Stretch { from: self.time, until, breakpoints: &breakpoints, single: false };
        let (stop, reached) = cpu::execute(&mut self.registers, bus, &stretch);
        self.time = reached;
        self.stopped(stop)
    }

    fn step(&mut self, bus: &mut Bus) -> bool {
        let stretch = Stretch { from: bus.now, until: bus.now, breakpoints: &[], single: true };
        let (stop, reached) = cpu::execute(&mut self.registers, bus, &stretch);
        self.time = reached;
        bus.now = bus.now.max(reached);
        match stop {
            Stop::Reset => return true,
            Stop::LockedUp => self.doing = Doing::LockedUp,
            Stop::Time | Stop::Breakpoint | Stop::Asleep => {
                self.dfsr |= if stop == Stop::Breakpoint { BKPT } else { HALTED };
                self.halt();
            }
        }
        false
    }

    fn stopped(&mut self, stop: Stop) -> bool {
        match stop {
            Stop::Time => {}
            Stop::Breakpoint if self.debug & C_DEBUGEN != 0 => {
                self.dfsr |= BKPT;
                self.halt();
            }
            // Without a debugger a breakpoint is a fault, and its handler is nobody's here.
            Stop::Breakpoint | Stop::LockedUp => self.doing = Doing::LockedUp,
            Stop::Asleep => self.doing = Doing::Sleeps,
            Stop::Reset => return true,
        }
        false
    }

    fn halt(&mut self) {
        self.debug |= C_HALT;
        self.doing = Doing::Halted;
    }

    /// [Armv7-M ARM, C1.11.5: version 1 comparators]
    fn breakpoints(&self) -> Vec<u32> {
        if !self.flash_patch || self.debug & C_DEBUGEN == 0 {
            return Vec::new();
        }
        let enabled = self.comparators.values().filter(|value| *value & 1 == 1);
        let halves = |value: &u32| {
            let word = value & 0x1FFF_FFFC;
            let [low, high] = [value >> 30 & 1 == 1, value >> 31 & 1 == 1];
            [low.then_some(word), high.then_some(word + 2)]
        };
        enabled.flat_map(halves).flatten().collect()
    }

    pub(super) fn owns(address: u32) -> bool {
        (0xE000_0000..0xE010_0000).contains(&address)
    }

    /// What a read would answer, without the side effects of one.
    pub(super) fn peek(&self, address: u32) -> u32 {
        match address {
            DHCSR => self.status(),
            DCRDR => self.data,
            DEMCR => self.demcr,
            DFSR => self.dfsr,
            AIRCR => 0xFA05_0000,
            // Cortex-M4 r0p1
            CPUID => 0x410F_C241,
            MVFR0 => 0x1011_0021,
            // Six instruction and two literal comparators.
            FP_CTRL => 0x260 | u32::from(self.flash_patch),
            _ if is_comparator(address) => self.comparators.get(&address).copied().unwrap_or(0),
            _ if address >= ROM_TABLE => rom_table(address - ROM_TABLE),
            _ => self.others.get(&address).copied().unwrap_or(0),
        }
    }

    pub(super) fn read(&mut self, address: u32) -> u32 {
        let value = self.peek(address);
        if address == DHCSR {
            self.reset_seen = false;
        }
        value
    }

    /// True if this asks for a reset of the system.
    pub(super) fn write(&mut self, address: u32, value: u32, bus: &mut Bus) -> bool {
        match address {
            DHCSR if value >> 16 == 0xA05F => return self.control(value, bus),
            DHCSR => {}
            DCRSR if self.is_halted() => self.transfer(value),
            DCRDR => self.data = value,
            DEMCR => self.demcr = value & 0x0100_07F1,
            DFSR => self.dfsr &= !value,
            AIRCR => return value >> 16 == 0x05FA && value & 0b101 != 0,
            FP_CTRL if value & 2 != 0 => self.flash_patch = value & 1 != 0,
            _ if is_comparator(address) => {
                self.comparators.insert(address, value);
            }
            CPUID | MVFR0 | DCRSR | FP_CTRL => {}
            _ if address >= ROM_TABLE => {}
            _ => {
                self.others.insert(address, value);
            }
        }
        false
    }

    fn control(&mut self, value: u32, bus: &mut Bus) -> bool {
        let wanted = value & 0xF;
        if wanted & C_DEBUGEN == 0 {
            self.debug = 0;
            self.resume(bus);
            return false;
        }
        let was_halted = self.is_halted();
        self.debug = wanted;
        if wanted & C_HALT != 0 {
            if !was_halted && self.doing != Doing::Held {
                self.dfsr |= HALTED;
                self.doing = Doing::Halted;
            }
            return false;
        }
        if was_halted && wanted & C_STEP != 0 {
            return self.step(bus);
        }
        self.resume(bus);
        false
    }

    fn resume(&mut self, bus: &Bus) {
        if self.is_halted() {
            self.doing = self.let_go();
            self.time = bus.now;
        }
    }

    fn let_go(&self) -> Doing {
        if self.waits_at == Some(self.registers.pc) { Doing::Sleeps } else { Doing::Runs }
    }

    fn transfer(&mut self, selector: u32) {
        let number = selector & 0x7F;
        if selector & 1 << 16 == 0 {
            self.data = self.registers.read(number);
        } else {
            self.registers.write(number, self.data);
        }
    }

    fn status(&self) -> u32 {
        let doing = match self.doing {
            Doing::Runs => S_RETIRE,
            Doing::Halted => S_HALT,
            Doing::Sleeps => S_SLEEP,
            Doing::LockedUp => S_LOCKUP,
            Doing::Held => 0,
        };
        self.debug | S_REGRDY | doing | if self.reset_seen { S_RESET } else { 0 }
    }
}

/// Whether reading this says how the core is doing.
pub(super) fn is_status(address: u32) -> bool {
    address == DHCSR
}

fn is_comparator(address: u32) -> bool {
    (FP_COMP..FP_COMP + 4 * COMPARATORS).contains(&address)
}

/// Class 1, designer JEP106 bank 2 code 0x44, no entries. [virtual-board notes (b)]
fn rom_table(offset: u32) -> u32 {
    match offset {
        0xFCC => 1,
        0xFD0 => 0x02,
        0xFE0 => 0x08,
        0xFE4 => 0x40,
        0xFE8 => 0x0C,
        0xFF0 => 0x0D,
        0xFF4 => 0x10,
        0xFF8 => 0x05,
        0xFFC => 0xB1,
        _ => 0,
    }
}
