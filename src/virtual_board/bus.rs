//! What stands at which address, for the debugger and the CPU alike.

use super::{
    cells::{Cells, PAGE, Ram},
    nvmc::Nvmc,
    registers::{AT, known},
    watchdog::Watchdog,
};

/// The access had no taker, or was one that silicon refuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BusFault;

/// Who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// The access port.
    Debugger {
        /// Whether the CPU stood still at that moment.
        halted: bool,
    },
    /// The CPU.
    Cpu,
}

/// Everything with an address but the private peripherals of the CPU.
#[derive(Clone)]
pub(super) struct Bus {
    /// Simulated nanoseconds since the board was made.
    pub(super) now: u64,
    pub(super) flash: Cells,
    pub(super) uicr: Cells,
    pub(super) ficr: Cells,
    pub(super) ram: Ram,
    pub(super) nvmc: Nvmc,
    pub(super) watchdog: Watchdog,
    /// APPROTECT.DISABLE as firmware wrote it since the last reset.
    pub(super) disable: u32,
    /// APPROTECT.FORCEPROTECT was written since the last reset.
    pub(super) forced: bool,
    /// The debug port is closed.
    pub(super) closed: bool,
    /// The power went during an operation.
    pub(super) power_lost: bool,
}

const FLASH_PAGES: usize = 256;
const RAM_PAGES: usize = 64;
/// [nRF52840 PS, memory map: APB peripherals and the GPIO block]
const PERIPHERALS: [std::ops::Range<u32>; 2] = [0x4000_0000..0x4003_0000, 0x5000_0000..0x5000_1000];

/// What the maker wrote into a die.
pub(super) struct Die {
    pub(super) device: u64,
    pub(super) variant: [u8; 4],
    pub(super) revision: u32,
}

impl Bus {
    pub(super) fn new(die: &Die) -> Self {
        Self {
            now: 0,
            flash: Cells::erased(FLASH_PAGES),
            uicr: Cells::erased(1),
            ficr: ficr(die),
            ram: Ram::cleared(RAM_PAGES),
            nvmc: Nvmc::new(),
            watchdog: Watchdog::stopped(),
            disable: 0,
            forced: false,
            closed: true,
            power_lost: false,
        }
    }

    /// Stands in for a board's bus while the CPU has the real one.
    pub(super) fn absent() -> Self {
        Self {
            now: 0,
            flash: Cells::erased(0),
            uicr: Cells::erased(0),
            ficr: Cells::erased(0),
            ram: Ram::cleared(0),
            nvmc: Nvmc::new(),
            watchdog: Watchdog::stopped(),
            disable: 0,
            forced: false,
            closed: true,
            power_lost: false,
        }
    }

    /// The value in the low bits, as many bytes as asked for; never across a word.
    pub(super) fn read(&mut self, address: u32, size: u32, origin: Origin) -> Result<u32, BusFault> {
        let word = self.read_word(address, origin)?;
        let shifted = word >> (8 * (address & 3));
        Ok(match size {
            1 => shifted & 0xFF,
            2 => shifted & 0xFFFF,
            _ => shifted,
        })
    }

    pub(super) fn write(&mut self, address: u32, size: u32, value: u32, origin: Origin) -> Result<(), BusFault> {
        let at = &*AT;
        if let Some(offset) = self.ram_offset(address) {
            self.ram.write(offset, merged(self.ram.word(offset), address, size, value));
            return Ok(());
        }
        if within(address, at.flash, self.flash.size()) || within(address, at.uicr, PAGE) {
            return self.program(address, size, value, origin);
        }
        if !PERIPHERALS.iter().any(|block| block.contains(&address)) || size != 4 {
            return Err(BusFault);
        }
        if within(address, at.wdt, PAGE) {
            self.watchdog.write(address, value, self.now);
        } else if address == at.disable {
            self.disable = value & 0xFF;
        } else if address == at.force_protect {
            self.forced |= value.to_le_bytes()[0] == 0;
            self.closed |= self.forced;
        } else if within(address, at.config & !0xFFF, PAGE) {
            self.nvmc_write(address, value, origin);
        }
        Ok(())
    }

    fn read_word(&mut self, address: u32, origin: Origin) -> Result<u32, BusFault> {
        let at = &*AT;
        if let Some(offset) = self.ram_offset(address) {
            return Ok(self.ram.word(offset));
        }
        if within(address, at.flash, self.flash.size()) {
            self.stall();
            return Ok(self.flash.word(address - at.flash));
        }
        if within(address, at.uicr, PAGE) {
            self.stall();
            return Ok(self.uicr.word(address - at.uicr));
        }
        if within(address, at.ficr, PAGE) {
            return Ok(self.ficr.word(address - at.ficr));
        }
        if !PERIPHERALS.iter().any(|block| block.contains(&address)) {
            return Err(BusFault);
        }
        if within(address, at.wdt, PAGE) {
            return Ok(self.watchdog.read(address));
        }
        if address == at.disable {
            return Ok(self.disable);
        }
        Ok(if within(address, at.config & !0xFFF, PAGE) { self.nvmc_read(address, origin) } else { 0 })
    }

    fn ram_offset(&self, address: u32) -> Option<u32> {
        let size = self.ram.size();
        [AT.ram, AT.code_ram].into_iter().find(|base| within(address, *base, size)).map(|base| address - base)
    }
}

fn within(address: u32, base: u32, size: u32) -> bool {
    address.checked_sub(base).is_some_and(|offset| offset < size)
}

fn merged(old: u32, address: u32, size: u32, value: u32) -> u32 {
    let mask: u32 = match size {
        1 => 0xFF,
        2 => 0xFFFF,
        _ => u32::MAX,
    };
    let shift = 8 * (address & 3);
    old & !(mask << shift) | (value & mask) << shift
}

/// [nrf52840.svd, FICR; nordic-facts A1]
fn ficr(die: &Die) -> Cells {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = die.device.to_le_bytes();
    let [low, high] = [[b0, b1, b2, b3], [b4, b5, b6, b7]].map(u32::from_le_bytes);
    let words = [
        ("FICR.CODEPAGESIZE", PAGE),
        ("FICR.CODESIZE", 256),
        ("FICR.DEVICEID[0]", low),
        ("FICR.DEVICEID[1]", high),
        ("FICR.DEVICEADDRTYPE", 1),
        ("FICR.DEVICEADDR[0]", low ^ 0xA5A5_A5A5),
        ("FICR.DEVICEADDR[1]", high & 0xFFFF),
        ("FICR.INFO.PART", 0x0005_2840),
        ("FICR.INFO.VARIANT", u32::from_be_bytes(die.variant)),
        ("FICR.INFO.PACKAGE", 0x2004),
        ("FICR.INFO.RAM", 256),
        ("FICR.INFO.FLASH", 1024),
        ("FICR.PRODTEST[0]", 0xBB42_319F),
        ("FICR.PRODTEST[1]", 0xBB42_319F),
        ("FICR.PRODTEST[2]", 0xBB42_319F),
        ("FICR.FAMILY", 8),
        ("FICR.REVISION", die.revision),
    ];
    let mut cells = Cells::erased(1);
    for (name, word) in words {
        cells.place(known(name) - AT.ficr, &word.to_le_bytes());
    }
    cells
}
