//! One nRF52840 on a board: what it is, what it remembers, and what it does with each transfer on its wire.

use sha2::{Digest as _, Sha256};

use super::{
    boot::{self, NoBoot},
    bus::{Bus, BusFault, Die, Origin},
    core::{self, Core, Doing},
    ctrl_ap::{self, CtrlAp},
    nvmc::Violation,
    port::{AHB_IDR, Answer, Port, ROM_TABLE, Request},
    registers::AT,
    watchdog::Watchdog,
};
use crate::ident::DeviceId;

/// Clocks of one transfer: 8 request, 2 turnaround, 3 acknowledge, 32 data, 1 parity. [performance notes, 1.1]
const CLOCKS: u64 = 46;
/// When the application prints its line, counted from reset.
const BOOT_NS: u64 = 3_000_000;
/// After so many equal answers to the same read the host is taken to be waiting.
const PATIENCE: u32 = 3;
/// How far one waiting read lets the CPU get ahead, in steps.
const WAIT_STEPS: u32 = 64;
const WAIT_STEP_NS: u64 = 20_000;
const UNPROTECTED: u8 = 0x5A;
const ERASED: u8 = 0xFF;

/// What an erased UICR means for the debug port. [nordic-facts A1]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Silicon {
    /// Build codes before Fxx: erased is open, anything else closed.
    Old,
    /// From Fxx on: erased is closed, and open takes a word and firmware.
    Hardened,
}

/// Which resets look at the UICR again; sources disagree. [nordic-facts A8]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Latch {
    /// Every reset but the one that completes an erase.
    Strict,
    /// Only pin, power, brown-out and watchdog resets, for opening and for closing alike.
    Lenient,
}

/// Where a reset came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reset {
    /// The supply came up.
    Power,
    /// The supply sagged.
    BrownOut,
    /// nRESET went low and high again.
    Pin,
    /// Nobody fed the watchdog.
    Watchdog,
    /// AIRCR.SYSRESETREQ.
    Soft,
    /// The control access port.
    CtrlAp,
    /// The CPU locked up.
    Lockup,
}

impl Reset {
    fn is_hard(self) -> bool {
        matches!(self, Self::Power | Self::BrownOut | Self::Pin | Self::Watchdog)
    }
}

/// Exact sums; the same host traffic gives the same integers every time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Counters {
    /// Transfers to the debug port or an access port.
    pub transactions: u64,
    /// Frames answered.
    pub round_trips: u64,
    /// Simulated time, in nanoseconds.
    pub simulated_ns: u64,
    /// Of it, the time the cells were busy, in nanoseconds.
    pub flash_busy_ns: u64,
    /// Words written to cells.
    pub word_writes: u64,
    /// Page, UICR and whole-chip erases.
    pub erases: u64,
}

/// A board with its supply, its wire and its UART.
#[derive(Clone)]
pub struct Board {
    silicon: Silicon,
    latch: Latch,
    device: u64,
    pub(super) bus: Bus,
    core: Core,
    port: Port,
    ctrl: CtrlAp,
    protection: Protection,
    powered: bool,
    pin_low: bool,
    lockup_resets: bool,
    transactions: u64,
    clock_ns: u64,
    poll: Poll,
    boots: Result<String, NoBoot>,
    /// The cells that judgement was about.
    judged: [u8; 32],
    prints_at: Option<u64>,
    uart: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Protection {
    /// The low byte of UICR.APPROTECT as of the last time it was looked at.
    latched: u8,
    /// An erase was completed, and nothing has looked at the UICR since.
    window: bool,
}

/// The last value read over the access port, and how often in a row.
#[derive(Clone, Copy, Default)]
struct Poll {
    address: u32,
    value: u32,
    count: u32,
}

/// What a board keeps without power, and what it takes to make the same board again.
#[derive(Clone)]
pub struct Snapshot(Box<Board>);

impl Board {
    /// A blank board fresh from the maker, with power.
    #[must_use]
    pub fn new(silicon: Silicon, latch: Latch, device: u64) -> Self {
        let (variant, revision) = match silicon {
            Silicon::Old => (*b"AAD0", 2),
            Silicon::Hardened => (*b"AAF0", 5),
        };
        let mut board = Self {
            silicon,
            latch,
            device,
            bus: Bus::new(&Die { device, variant, revision }),
            core: Core::new(),
            port: Port::new(),
            ctrl: CtrlAp::new(),
            protection: Protection { latched: ERASED, window: false },
            powered: true,
            pin_low: false,
            lockup_resets: false,
            transactions: 0,
            clock_ns: 250,
            poll: Poll::default(),
            boots: Err(NoBoot::NoBootloader),
            judged: [0; 32],
            prints_at: None,
            uart: Vec::new(),
        };
        board.reset(Reset::Power);
        board
    }

    /// As it would come off a shelf: the cells and the maker's words, nothing else.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut board = self.clone();
        board.power_off();
        Snapshot(Box::new(board))
    }

    /// The same board again, with power.
    #[must_use]
    pub fn from_snapshot(snapshot: &Snapshot) -> Self {
        let mut board = Self::clone(&snapshot.0);
        board.power_on();
        board
    }

    /// Puts bytes into flash or UICR as nobody with a probe could; for boards that arrive with something on them.
    #[must_use]
    pub fn holding(mut self, address: u32, bytes: &[u8]) -> Self {
        match address.checked_sub(AT.uicr) {
            Some(offset) => self.bus.uicr.place(offset, bytes),
            None => self.bus.flash.place(address, bytes),
        }
        self.reset(Reset::Power);
        self
    }

    /// Bits of a word in flash, UICR or FICR turn over where they are, as worn or half-written cells do; nothing else
    /// about the board changes.
    pub fn flip(&mut self, address: u32, mask: u32) {
        let Bus { flash, uicr, ficr, .. } = &mut self.bus;
        let cells = [(AT.flash, flash), (AT.uicr, uicr), (AT.ficr, ficr)];
        for (base, cells) in cells {
            if let Some(offset) = address.checked_sub(base).filter(|offset| *offset < cells.size()) {
                let word = cells.word(offset) ^ mask;
                cells.place(offset, &word.to_le_bytes());
            }
        }
    }

    /// Old firmware left a watchdog running that bites after so many ticks of 1/32768 s.
    #[must_use]
    pub fn with_watchdog(mut self, ticks: u32, counts_while_halted: bool) -> Self {
        self.bus.watchdog = Watchdog::left_running(ticks, counts_while_halted, self.bus.now);
        self
    }

    /// The CPU resets itself when it locks up, once per transfer at most.
    #[must_use]
    pub fn with_lockup_resets(mut self) -> Self {
        self.lockup_resets = true;
        self
    }

    /// Identifier of the die.
    #[must_use]
    pub fn device_id(&self) -> Option<DeviceId> {
        let [low, high] = [self.device & 0xFFFF_FFFF, self.device >> 32].map(|half| u32::try_from(half).unwrap_or(0));
        DeviceId::from_words(low, high)
    }

    /// The revision of the silicon.
    #[must_use]
    pub fn silicon(&self) -> Silicon {
        self.silicon
    }

    /// UICR.APPROTECT as it stands in the cells, whatever the port says.
    #[must_use]
    pub fn approtect_word(&self) -> u32 {
        self.bus.uicr.word(AT.approtect - AT.uicr)
    }

    /// All of flash.
    #[must_use]
    pub fn flash(&self) -> Vec<u8> {
        self.bus.flash.bytes()
    }

    /// The page of the UICR.
    #[must_use]
    pub fn uicr(&self) -> Vec<u8> {
        self.bus.uicr.bytes()
    }

    /// Whether a debugger gets at the memory now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let allowed = match self.silicon {
            Silicon::Old => self.protection.latched == ERASED,
            Silicon::Hardened => self.protection.latched == UNPROTECTED && self.bus.disable == u32::from(UNPROTECTED),
        };
        self.powered && !self.bus.forced && (self.protection.window || allowed)
    }

    /// What it would print if it were reset now.
    ///
    /// # Errors
    /// Why it would not boot.
    pub fn would_boot(&self) -> Result<String, NoBoot> {
        boot::judge(&self.bus.flash, &self.bus.uicr)
    }

    /// Equal for boards no later experiment can tell apart: cells, latch and watchdog.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for cells in [&self.bus.flash, &self.bus.uicr, &self.bus.ficr] {
            cells.hash_into(&mut hash);
        }
        hash.update([
            self.protection.latched,
            self.protection.window.into(),
            self.powered.into(),
            self.latch as u8,
            self.silicon as u8,
        ]);
        for number in self.bus.watchdog.state(self.bus.now) {
            hash.update(number.to_le_bytes());
        }
        hash.finalize().into()
    }

    /// What this board has seen and done so far; it counts no round trips.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            transactions: self.transactions,
            round_trips: 0,
            simulated_ns: self.bus.now,
            flash_busy_ns: self.bus.nvmc.busy_ns,
            word_writes: self.bus.nvmc.word_writes,
            erases: self.bus.nvmc.erases,
        }
    }

    /// What was done to it that no careful host does.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.bus.nvmc.violations
    }

    /// Writes and erases of cells so far: what a cut inside one is counted by.
    #[must_use]
    pub fn cell_operations(&self) -> u64 {
        self.bus.nvmc.operations
    }

    /// Whether it has power.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// Takes the supply away, in the middle of whatever is going on.
    pub fn power_off(&mut self) {
        self.bus.interrupt();
        self.bus.power_lost = false;
        self.bus.ram.clear();
        self.bus.watchdog = Watchdog::stopped();
        self.core = Core::new();
        self.port = Port::new();
        self.ctrl = CtrlAp::new();
        self.protection.window = false;
        self.bus.closed = true;
        self.powered = false;
        self.prints_at = None;
        self.uart.clear();
    }

    /// Gives it power; nothing if it has it.
    pub fn power_on(&mut self) {
        if !self.powered {
            self.powered = true;
            self.reset(Reset::Power);
        }
    }

    /// nRESET: `true` pulls it low, `false` lets go, which resets.
    pub fn reset_pin(&mut self, low: bool) {
        if self.powered && low {
            self.core.doing = Doing::Held;
        } else if self.powered && self.pin_low {
            self.pin_low = false;
            self.reset(Reset::Pin);
        }
        self.pin_low = low && self.powered;
    }

    /// The supply sags and recovers: everything but the cells and the wire's state starts anew.
    pub fn brown_out(&mut self) {
        if self.powered {
            self.reset(Reset::BrownOut);
        }
    }

    /// What came out of the UART since it was last taken. Nobody waits here for simulated time: a line that only waits
    /// for its milliseconds after reset is handed out at once.
    pub fn take_uart(&mut self) -> Vec<u8> {
        if self.prints_at.is_some() && self.is_free() {
            self.print();
        }
        std::mem::take(&mut self.uart)
    }

    /// What came out of the UART since it was last taken, as simulated time has it.
    pub fn take_printed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.uart)
    }

    /// Whether the CPU executes instructions, so that letting time pass is work.
    #[must_use]
    pub fn is_computing(&self) -> bool {
        self.powered && self.core.doing == Doing::Runs
    }

    /// Lets simulated time pass without anything on the wire.
    pub fn rest(&mut self, ns: u64) {
        if self.powered {
            self.advance(self.bus.now + ns);
        }
    }

    /// Nanoseconds of one clock on the wire.
    pub(super) fn set_clock(&mut self, ns: u64) {
        self.clock_ns = ns;
    }

    /// Bits on the wire that are no transfer, lowest first.
    pub(super) fn sequence(&mut self, count: u32, bits: u64) {
        if self.powered {
            self.advance(self.bus.now + u64::from(count) * self.clock_ns);
            self.port.sequence(count, bits);
        }
    }

    /// The host was made to wait by whoever sits between.
    pub(super) fn waited(&mut self) {
        self.port.waited();
    }

    /// One transfer on the wire.
    pub fn transfer(&mut self, request: Request) -> Answer {
        if !self.powered {
            return Answer::Silence;
        }
        self.transactions += 1;
        self.advance(self.bus.now + CLOCKS * self.clock_ns);
        if !self.powered || !self.port.hears(request) {
            return Answer::Silence;
        }
        let answer = match (request.access_port, request.data) {
            (false, None) => self.port.read(request.address),
            (false, Some(value)) => self.port.write(request.address, value),
            (true, data) => self.access_port(request.address, data),
        };
        if self.bus.power_lost {
            self.power_off();
            return Answer::Silence;
        }
        answer
    }

    fn access_port(&mut self, address: u8, data: Option<u32>) -> Answer {
        if self.port.has_error() {
            return Answer::Fault;
        }
        if !self.port.is_powered() {
            self.port.set_error();
            return Answer::Fault;
        }
        let (port, register) = self.port.selected(address);
        let outcome = match (port, data) {
            (0, None) => self.memory_port_read(register),
            (0, Some(value)) => self.memory_port_write(register, value).map(|()| 0),
            (1, None) => Ok(self.ctrl_ap_read(register)),
            (1, Some(value)) => {
                self.ctrl_ap_write(register, value);
                Ok(0)
            }
            _ => Ok(0),
        };
        self.bus.closed = !self.is_open();
        let Ok(value) = outcome else {
            // The transfer itself was taken; that it failed is told by the next one.
            self.port.set_error();
            return Answer::Ok(0);
        };
        if data.is_some() { Answer::Ok(0) } else { Answer::Ok(std::mem::replace(&mut self.port.buffer, value)) }
    }

    fn memory_port_read(&mut self, register: u32) -> Result<u32, BusFault> {
        Ok(match register {
            0x00 => self.port.csw(self.is_open()),
            0x04 => self.port.tar,
            0x0C => {
                let value = self.read_memory(self.port.tar, self.port.size())?;
                self.port.advance();
                value
            }
            0x10..=0x1C => self.read_memory(self.port.tar & !0xF | register & 0xC, 4)?,
            0xF8 => ROM_TABLE,
            0xFC => AHB_IDR,
            _ => 0,
        })
    }

    fn memory_port_write(&mut self, register: u32, value: u32) -> Result<(), BusFault> {
        match register {
            0x00 => self.port.set_csw(value),
            0x04 => self.port.tar = value,
            0x0C => {
                self.write_memory(self.port.tar, self.port.size(), value)?;
                self.port.advance();
            }
            0x10..=0x1C => self.write_memory(self.port.tar & !0xF | register & 0xC, 4, value)?,
            _ => {}
        }
        Ok(())
    }

    /// In the byte lanes of the address.
    fn read_memory(&mut self, address: u32, size: u32) -> Result<u32, BusFault> {
        self.may_access(address, size)?;
        if self.poll.address == address && self.poll.count >= PATIENCE {
            self.wait_for_change(address);
        }
        let value =
            if Core::owns(address) { self.core.read(address) } else { self.bus.read(address, size, self.origin())? };
        let same = self.poll.address == address && self.poll.value == value;
        self.poll = Poll { address, value, count: if same { self.poll.count + 1 } else { 0 } };
        Ok(value << (8 * (address & 3)))
    }

    fn write_memory(&mut self, address: u32, size: u32, value: u32) -> Result<(), BusFault> {
        self.may_access(address, size)?;
        self.poll = Poll::default();
        if Core::owns(address) {
            if self.core.write(address, value, &mut self.bus) {
                self.reset(Reset::Soft);
            }
            return Ok(());
        }
        let value = value >> (8 * (address & 3));
        self.bus.write(address, size, value, self.origin())
    }

    fn may_access(&self, address: u32, size: u32) -> Result<(), BusFault> {
        let aligned = address.is_multiple_of(size);
        let private_word = !Core::owns(address) || size == 4;
        if self.is_open() && !self.pin_low && aligned && private_word { Ok(()) } else { Err(BusFault) }
    }

    fn origin(&self) -> Origin {
        Origin::Debugger { halted: self.core.is_halted() }
    }

    /// The host asks the same again and again: it waits, and simulated time may run ahead to what it waits for.
    fn wait_for_change(&mut self, address: u32) {
        if address == AT.ready || address == AT.ready_next {
            self.advance(self.bus.nvmc.busy_until);
            return;
        }
        let in_ram = (AT.ram..AT.ram + 0x4_0000).contains(&address);
        if !in_ram && !core::is_status(address) {
            return;
        }
        let before = self.glance(address);
        for _ in 0..WAIT_STEPS {
            if self.core.doing != Doing::Runs || !self.powered || self.glance(address) != before {
                return;
            }
            self.advance(self.core.time.max(self.bus.now + WAIT_STEP_NS));
        }
    }

    fn glance(&self, address: u32) -> u32 {
        if Core::owns(address) { self.core.peek(address) } else { self.bus.ram.word(address - AT.ram) }
    }

    fn ctrl_ap_read(&mut self, register: u32) -> u32 {
        if register == ctrl_ap::ERASE_ALL_STATUS
            && let Some(until) = self.ctrl.patience_ends(self.bus.now)
        {
            self.advance(until);
        }
        self.ctrl.read(register, self.bus.now, self.is_open() && !self.pin_low)
    }

    fn ctrl_ap_write(&mut self, register: u32, value: u32) {
        match register {
            ctrl_ap::RESET if self.ctrl.is_erasing(self.bus.now) => {
                self.bus.nvmc.violations.push(Violation::ResetWhileErasing);
            }
            ctrl_ap::RESET if value & 1 == 1 && !self.ctrl.holds_reset => {
                self.ctrl.hold_reset(self.bus.now);
                self.core.doing = Doing::Held;
            }
            ctrl_ap::RESET if value & 1 == 0 && self.ctrl.holds_reset => {
                let completes = self.ctrl.release_reset();
                self.protection.window |= completes;
                self.start(Reset::CtrlAp, completes);
            }
            ctrl_ap::ERASE_ALL => {
                let rises = self.ctrl.note_erase_written(value);
                if rises && !self.ctrl.is_erasing(self.bus.now) {
                    self.erase_all();
                }
            }
            _ => {}
        }
    }

    fn erase_all(&mut self) {
        self.bus.stall();
        self.bus.erase_everything();
        self.bus.ram.clear();
        self.core.doing = Doing::Held;
        self.ctrl.erase(self.bus.nvmc.busy_until);
    }

    fn reset(&mut self, kind: Reset) {
        self.start(kind, false);
    }

    fn start(&mut self, kind: Reset, completes_erase: bool) {
        self.ctrl.forget_erase(self.bus.now);
        if !completes_erase && (kind.is_hard() || self.latch == Latch::Strict) {
            self.protection.window = false;
            self.protection.latched = self.approtect_word().to_le_bytes()[0];
        }
        self.bus.disable = 0;
        self.bus.forced = false;
        self.bus.nvmc.reset();
        if kind.is_hard() {
            self.bus.watchdog = Watchdog::stopped();
        }
        self.poll = Poll::default();
        let [sp, vector] = [0, 4].map(|at| self.bus.flash.word(at));
        self.core.reset(sp, vector, kind.is_hard(), self.bus.now);
        self.bus.closed = !self.is_open();
        if self.bus.closed {
            self.core.lose_debugger();
        }
        if self.pin_low || self.ctrl.is_erasing(self.bus.now) {
            self.core.doing = Doing::Held;
        }
        self.judge();
        self.prints_at = self.boots.is_ok().then_some(self.bus.now + BOOT_NS);
        if self.boots.is_ok() {
            self.core.wait_here();
        }
    }

    /// Checking a signature is slow; the same cells get the same judgement.
    fn judge(&mut self) {
        let mut hash = Sha256::new();
        self.bus.flash.hash_into(&mut hash);
        self.bus.uicr.hash_into(&mut hash);
        let cells = hash.finalize().into();
        if self.judged != cells {
            self.judged = cells;
            self.boots = self.would_boot();
        }
    }

    /// Lets everything happen that happens until the simulated time `to`.
    fn advance(&mut self, to: u64) {
        let mut may_lock_up = self.lockup_resets;
        while self.powered && self.bus.now < to {
            let counts = !self.core.is_halted() || self.bus.watchdog.counts_while_halted();
            let bites_at = self.bus.watchdog.bites_at;
            let next = bites_at.filter(|_| counts).map_or(to, |at| at.clamp(self.bus.now, to));
            self.hold_back(counts, next);
            let asks_for_reset = self.core.run(&mut self.bus, next);
            self.bus.now = self.bus.now.max(next);
            if self.bus.power_lost {
                self.power_off();
            } else if asks_for_reset {
                self.reset(Reset::Soft);
            } else if counts && self.bus.watchdog.bites_at.is_some_and(|at| at <= self.bus.now) {
                self.reset(Reset::Watchdog);
            } else if may_lock_up && self.core.doing == Doing::LockedUp {
                may_lock_up = false;
                self.reset(Reset::Lockup);
            }
            if self.prints_at.is_some_and(|at| at <= self.bus.now) && self.is_free() {
                self.print();
            }
        }
        self.bus.closed = !self.is_open();
    }

    /// What a halted core keeps from happening happens that much later.
    fn hold_back(&mut self, watchdog_counts: bool, until: u64) {
        let span = until - self.bus.now;
        if !watchdog_counts {
            self.bus.watchdog.bites_at = self.bus.watchdog.bites_at.map(|at| at + span);
        }
        if !self.is_free() {
            self.prints_at = self.prints_at.map(|at| at + span);
        }
    }

    fn is_free(&self) -> bool {
        self.powered && matches!(self.core.doing, Doing::Runs | Doing::Sleeps)
    }

    fn print(&mut self) {
        self.prints_at = None;
        if let Ok(banner) = &self.boots {
            self.uart.extend_from_slice(banner.as_bytes());
            self.uart.extend_from_slice(b"\r\n");
        }
    }
}
