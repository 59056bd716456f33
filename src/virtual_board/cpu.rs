//! A CPU that really executes: one armagnac processor per thread, lent to whichever board runs.
//!
//! Lending keeps a board plain data: it can be copied, sent and put back to a snapshot without building the decoder
//! again, which takes 10-17 ms. armagnac 0.3.0 needs four precautions, all tried: it queues events last-in-first-out, its
//! BKPT moves the program counter, WFI spins for ever, and parts of its system control block are `todo!()`.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Once,
        atomic::{AtomicU64, Ordering},
    },
};

use armagnac::{
    core::{ArmVersion, Config, Emulator as _, Event, ItState, Processor, RunOptions},
    decoder::{InstructionDecode, InstructionDecodeError, Lut16AndGrouped32InstructionDecoder},
    instructions::{Instruction, InstructionSize},
    memory::{Env, MemoryAccessError, MemoryInterface, MemoryReadResult, MemoryWriteResult},
    registers::{CoreRegisters, Mode},
};

use super::{
    bus::{Bus, BusFault, Origin},
    registers::AT,
};

/// What one instruction takes: one and a half cycles at 64 MHz, rounded. [performance notes, 3.2]
pub(super) const INSTRUCTION_NS: u64 = 24;
/// How many instructions are looked at for a round of waiting, at the start of a stretch.
const LOOP_SEARCH: u32 = 64;
/// armagnac keeps its own system control block here.
const PRIVATE: u32 = 0xE000_E000;
/// From here on a read may be an event.
const PERIPHERALS: u32 = 0x4000_0000;

/// The registers a debugger sees, by their DCRSR numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Registers {
    pub(super) general: [u32; 13],
    pub(super) lr: u32,
    pub(super) pc: u32,
    pub(super) msp: u32,
    pub(super) psp: u32,
    pub(super) psr: u32,
    /// CONTROL, FAULTMASK, BASEPRI, PRIMASK from the top byte down. [Armv7-M ARM, C1.6.3]
    pub(super) masks: [u8; 4],
    pub(super) float: [u32; 33],
    in_handler: bool,
    /// Tells one life of a CPU, from reset to reset, from all others.
    life: u64,
}

impl Registers {
    pub(super) fn at_reset(sp: u32, pc: u32) -> Self {
        static LIVES: AtomicU64 = AtomicU64::new(1);
        Self {
            life: LIVES.fetch_add(1, Ordering::Relaxed),
            general: [0; 13],
            lr: u32::MAX,
            pc,
            msp: sp,
            psp: 0,
            psr: 1 << 24,
            masks: [0; 4],
            float: [0; 33],
            in_handler: false,
        }
    }

    fn uses_process_stack(&self) -> bool {
        self.masks[0] & 2 != 0 && !self.in_handler
    }

    pub(super) fn read(&self, number: u32) -> u32 {
        match number {
            13 if self.uses_process_stack() => self.psp,
            13 | 17 => self.msp,
            14 => self.lr,
            15 => self.pc,
            16 => self.psr,
            18 => self.psp,
            20 => u32::from_be_bytes(self.masks),
            33 => self.float[32],
            64..=95 => self.float.get((number - 64) as usize).copied().unwrap_or(0),
            _ => self.general.get(number as usize).copied().unwrap_or(0),
        }
    }

    pub(super) fn write(&mut self, number: u32, value: u32) {
        match number {
            13 if self.uses_process_stack() => self.psp = value & !3,
            13 | 17 => self.msp = value & !3,
            14 => self.lr = value,
            15 => self.pc = value & !1,
            16 => {
                self.psr = value;
                self.in_handler = value & 0x1FF != 0;
            }
            18 => self.psp = value & !3,
            20 => self.masks = value.to_be_bytes(),
            33 => self.float[32] = value,
            64..=95 => {
                if let Some(register) = self.float.get_mut((number - 64) as usize) {
                    *register = value;
                }
            }
            _ => {
                if let Some(register) = self.general.get_mut(number as usize) {
                    *register = value;
                }
            }
        }
    }
}

/// Why the CPU stopped executing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// Its time was up.
    Time,
    /// The program counter stands on a breakpoint instruction or comparator.
    Breakpoint,
    /// It waits for an interrupt, or branches to itself.
    Asleep,
    /// A fault inside a fault, or an instruction nobody knows.
    LockedUp,
    /// It asked for a reset.
    Reset,
}

/// A stretch of execution.
pub(super) struct Stretch<'a> {
    /// Simulated time at its start.
    pub(super) from: u64,
    /// It ends at the first instruction that starts at or after this time.
    pub(super) until: u64,
    /// Addresses at which to stop before executing.
    pub(super) breakpoints: &'a [u32],
    /// Execute one instruction and no more, even where a breakpoint stands.
    pub(super) single: bool,
}

/// Executes, and says why it stopped and at which simulated time.
pub(super) fn execute(registers: &mut Registers, bus: &mut Bus, stretch: &Stretch<'_>) -> (Stop, u64) {
    thread_local! {
        static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
    }
    ENGINE.with_borrow_mut(|slot| {
        let engine = slot.get_or_insert_with(Engine::new);
        let ran = engine.execute(registers, bus, stretch);
        if ran.is_none() {
            // Whatever panicked inside left the engine in an unknown state.
            *slot = None;
        }
        ran.unwrap_or((Stop::LockedUp, stretch.from + INSTRUCTION_NS))
    })
}

struct Engine {
    processor: Processor,
    window: Rc<RefCell<Window>>,
    seen: Rc<Cell<Option<Stop>>>,
    /// Whose system control block, timer and pending exceptions are in the processor.
    life: u64,
}

impl Engine {
    fn new() -> Self {
        silence_panics();
        let seen = Rc::new(Cell::new(None));
        let table = Lut16AndGrouped32InstructionDecoder::new(ArmVersion::V7EM);
        let decoder = Box::new(Watched { table, seen: Rc::clone(&seen) });
        let window = Rc::new(RefCell::new(Window::empty()));
        Self { processor: processor(decoder, &window), window, seen, life: 0 }
    }

    /// What no register shows must not pass from one board, or one life of it, to the next.
    fn begin(&mut self, life: u64) {
        if self.life != life {
            self.life = life;
            let empty = Box::new(Nothing);
            let decoder = std::mem::replace(&mut self.processor.instruction_decoder, empty);
            self.processor = processor(decoder, &self.window);
        }
    }

    fn execute(&mut self, registers: &mut Registers, bus: &mut Bus, stretch: &Stretch<'_>) -> Option<(Stop, u64)> {
        self.begin(registers.life);
        load(&mut self.processor.registers, registers);
        self.window.borrow_mut().open(bus, stretch.from, self.processor.cycles);
        BUSY.set(true);
        let stop = catch_unwind(AssertUnwindSafe(|| self.run(stretch))).ok();
        BUSY.set(false);
        let reached = self.window.borrow().time(self.processor.cycles);
        self.window.borrow_mut().close(bus);
        store(&self.processor.registers, registers);
        stop.map(|stop| (stop, reached))
    }

    fn run(&mut self, stretch: &Stretch<'_>) -> Stop {
        if !stretch.single
            && stretch.breakpoints.is_empty()
            && let Some(stop) = self.skip_waiting(stretch.until)
        {
            return stop;
        }
        let mut fresh = true;
        loop {
            let now = self.window.borrow().time(self.processor.cycles);
            if now >= stretch.until && !(stretch.single && fresh) {
                return Stop::Time;
            }
            if !stretch.single && stretch.breakpoints.contains(&self.processor.registers.pc) {
                return Stop::Breakpoint;
            }
            let left = (stretch.until.saturating_sub(now)).div_ceil(INSTRUCTION_NS);
            let watched = stretch.single || !stretch.breakpoints.is_empty();
            let count = if watched { 1 } else { usize::try_from(left).unwrap_or(usize::MAX) };
            if let Some(stop) = self.go(count) {
                return stop;
            }
            fresh = false;
            if stretch.single {
                return Stop::Time;
            }
        }
    }
}

impl Engine {
    /// Code that waits for the host goes round without touching anything. Once it stands where it stood before, with the
    /// same registers, all further rounds are the same, and only time passes: exactly what executing them would do.
    fn skip_waiting(&mut self, until: u64) -> Option<Stop> {
        let mut mark = (self.processor.registers, self.processor.cycles, 1);
        self.window.borrow_mut().touched = false;
        for step in 1..=LOOP_SEARCH {
            if self.window.borrow().time(self.processor.cycles) >= until {
                return Some(Stop::Time);
            }
            if let Some(stop) = self.go(1) {
                return Some(stop);
            }
            if self.window.borrow().touched {
                return None;
            }
            if mark.0 == self.processor.registers {
                self.skip(self.processor.cycles - mark.1, until);
                return None;
            }
            if step == mark.2 {
                mark = (self.processor.registers, self.processor.cycles, 2 * mark.2);
            }
        }
        None
    }

    fn skip(&mut self, round: u64, until: u64) {
        let left = until.saturating_sub(self.window.borrow().time(self.processor.cycles));
        self.processor.cycles += left / (round * INSTRUCTION_NS) * round;
    }

    /// Executes so many instructions; says why if it could not.
    fn go(&mut self, count: usize) -> Option<Stop> {
        self.seen.set(None);
        match self.processor.run(RunOptions::new().gas(count)) {
            Ok(None) => None,
            Ok(Some(event)) => {
                // The instruction's own event is still queued behind the one we got.
                let _ = self.processor.next_event();
                matches!(event, Event::Reset).then_some(Stop::Reset)
            }
            Err(_) => Some(self.seen.take().unwrap_or(Stop::LockedUp)),
        }
    }
}

fn processor(decoder: Box<dyn InstructionDecode>, window: &Rc<RefCell<Window>>) -> Processor {
    let mut processor = Processor::new(Config::v7em());
    processor.instruction_decoder = decoder;
    // Cannot overlap: armagnac's own block starts where the window ends.
    let _ = processor.map_iface(0, Rc::clone(window) as Rc<RefCell<dyn MemoryInterface>>);
    processor
}

fn load(to: &mut CoreRegisters, from: &Registers) {
    let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12] = from.general;
    *to = CoreRegisters { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, ..CoreRegisters::new() };
    to.lr = from.lr;
    to.pc = from.pc;
    to.msp = from.msp;
    to.psp = from.psp;
    to.psr.set(from.psr);
    let [control, faultmask, _, primask] = from.masks;
    to.control.set_privileged_bit(control & 1 != 0);
    to.control.set_spsel(control & 2 != 0);
    to.faultmask.set_pm(faultmask & 1 != 0);
    to.primask.set_pm(primask & 1 != 0);
    to.mode = if from.in_handler { Mode::Handler } else { Mode::Thread };
}

fn store(from: &CoreRegisters, to: &mut Registers) {
    to.general = [
        from.r0, from.r1, from.r2, from.r3, from.r4, from.r5, from.r6, from.r7, from.r8, from.r9, from.r10, from.r11,
        from.r12,
    ];
    to.lr = from.lr;
    to.pc = from.pc;
    to.msp = from.msp;
    to.psp = from.psp;
    to.psr = from.psr.get();
    let control = u8::from(from.control.privileged_bit()) | u8::from(from.control.spsel()) << 1;
    to.masks = [control, from.faultmask.pm().into(), to.masks[2], from.primask.pm().into()];
    to.in_handler = from.mode == Mode::Handler;
}

/// The bus as the CPU sees it, while a board lends it.
struct Window {
    bus: Bus,
    start: u64,
    first_cycle: u64,
    stalled: u64,
    /// Something was written, or read where reading is an event.
    touched: bool,
    ram: u32,
    ram_end: u32,
}

impl Window {
    fn empty() -> Self {
        let bus = Bus::absent();
        Self { bus, start: 0, first_cycle: 0, stalled: 0, touched: false, ram: AT.ram, ram_end: AT.ram }
    }

    fn open(&mut self, bus: &mut Bus, start: u64, cycle: u64) {
        std::mem::swap(&mut self.bus, bus);
        self.ram_end = self.ram + self.bus.ram.size();
        self.start = start;
        self.first_cycle = cycle;
        self.stalled = 0;
    }

    /// The host's time is not the CPU's to move.
    fn close(&mut self, bus: &mut Bus) {
        std::mem::swap(&mut self.bus, bus);
    }

    fn time(&self, cycle: u64) -> u64 {
        self.start + self.stalled + cycle.wrapping_sub(self.first_cycle) * INSTRUCTION_NS
    }

    /// Most of what a CPU reads is in RAM, and has no side effects.
    fn in_ram(&self, address: u32) -> Option<u32> {
        let inside = address >= self.ram && address < self.ram_end && !self.bus.power_lost;
        inside.then(|| self.bus.ram.word(address - self.ram))
    }

    fn load<T>(
        &mut self,
        address: u32,
        env: &Env,
        act: impl FnOnce(&mut Bus) -> Result<T, BusFault>,
    ) -> MemoryReadResult<T> {
        self.touched |= address >= PERIPHERALS;
        self.access(env, act)
    }

    fn store(&mut self, address: u32, size: u32, value: u32, env: &Env) -> MemoryWriteResult {
        self.touched = true;
        self.access(env, |bus| bus.write(address, size, value, Origin::Cpu))
    }

    fn access<T>(&mut self, env: &Env, act: impl FnOnce(&mut Bus) -> Result<T, BusFault>) -> MemoryReadResult<T> {
        if self.bus.power_lost {
            return Err(MemoryAccessError::HardwareError);
        }
        let at = self.time(env.cycles);
        let host = std::mem::replace(&mut self.bus.now, at);
        let answer = act(&mut self.bus);
        let stalled = self.bus.now - at;
        self.stalled += stalled;
        self.touched |= stalled != 0;
        self.bus.now = host;
        answer.map_err(|BusFault| MemoryAccessError::InvalidAddress)
    }
}

impl MemoryInterface for Window {
    fn read_u8(&mut self, address: u32, env: &mut Env) -> MemoryReadResult<u8> {
        let value = self.load(address, env, |bus| bus.read(address, 1, Origin::Cpu))?;
        Ok(u8::try_from(value & 0xFF).unwrap_or(0))
    }

    fn write_u8(&mut self, address: u32, value: u8, env: &mut Env) -> MemoryWriteResult {
        self.store(address, 1, value.into(), env)
    }

    fn read_u16le(&mut self, address: u32, env: &mut Env) -> MemoryReadResult<u16> {
        let value = match self.in_ram(address) {
            Some(word) => word >> (8 * (address & 2)),
            None => self.load(address, env, |bus| bus.read(address, 2, Origin::Cpu))?,
        };
        Ok(u16::try_from(value & 0xFFFF).unwrap_or(0))
    }

    fn write_u16le(&mut self, address: u32, value: u16, env: &mut Env) -> MemoryWriteResult {
        self.store(address, 2, value.into(), env)
    }

    fn read_u32le(&mut self, address: u32, env: &mut Env) -> MemoryReadResult<u32> {
        match self.in_ram(address) {
            Some(word) => Ok(word),
            None => self.load(address, env, |bus| bus.read(address, 4, Origin::Cpu)),
        }
    }

    fn write_u32le(&mut self, address: u32, value: u32, env: &mut Env) -> MemoryWriteResult {
        self.store(address, 4, value, env)
    }

    fn size(&self) -> u32 {
        PRIVATE
    }
}

/// Stops before the instructions armagnac would mishandle, with the program counter on them.
struct Watched {
    table: Lut16AndGrouped32InstructionDecoder,
    seen: Rc<Cell<Option<Stop>>>,
}

impl InstructionDecode for Watched {
    fn try_decode(
        &self,
        code: u32,
        size: InstructionSize,
        state: ItState,
    ) -> Result<Rc<dyn Instruction>, InstructionDecodeError> {
        let special = match code {
            // BKPT; B to itself; WFE and WFI in both encodings. [Armv7-M ARM, A7.7]
            0xBE00..=0xBEFF => Some(Stop::Breakpoint),
            0xE7FE | 0xBF20 | 0xBF30 | 0xF3AF_8002 | 0xF3AF_8003 => Some(Stop::Asleep),
            _ => None,
        };
        self.seen.set(special);
        if special.is_some() {
            return Err(InstructionDecodeError::Unknown);
        }
        // "Undefined" is a todo!() further up in armagnac; "unknown" says the same to us.
        self.table.try_decode(code, size, state).map_err(|_| InstructionDecodeError::Unknown)
    }
}

/// Stands in for the decoder while it moves from one processor to the next.
struct Nothing;

impl InstructionDecode for Nothing {
    fn try_decode(
        &self,
        _code: u32,
        _size: InstructionSize,
        _state: ItState,
    ) -> Result<Rc<dyn Instruction>, InstructionDecodeError> {
        Err(InstructionDecodeError::Unknown)
    }
}

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// A panic inside the emulated CPU is a lock-up of that CPU, and nothing anyone needs to read on a terminal.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !BUSY.get() {
                before(info);
            }
        }));
    });
}
