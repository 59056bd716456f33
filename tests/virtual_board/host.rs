//! A host that speaks to a slot transfer by transfer, with nothing in between that could hide what the board does.

use rootstamp::virtual_board::{Answer, Board, Latch, Request, Silicon, Slot, register};

pub(crate) const DHCSR: u32 = 0xE000_EDF0;
pub(crate) const DCRSR: u32 = 0xE000_EDF4;
pub(crate) const DCRDR: u32 = 0xE000_EDF8;
pub(crate) const AIRCR: u32 = 0xE000_ED0C;
pub(crate) const HALT: u32 = 0xA05F_0003;
pub(crate) const RUN: u32 = 0xA05F_0001;
pub(crate) const S_HALT: u32 = 1 << 17;
pub(crate) const S_LOCKUP: u32 = 1 << 19;
pub(crate) const APPROTECT: u32 = 0x1000_1208;
const POWER_UP: u32 = 0x5000_0000;

pub(crate) struct Host {
    pub(crate) slot: Slot,
}

/// The transfer was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refused(pub(crate) Answer);

pub(crate) type Result<T> = std::result::Result<T, Refused>;

pub(crate) fn at(name: &str) -> u32 {
    register(name).unwrap_or_else(|| panic!("{name}"))
}

pub(crate) fn blank(silicon: Silicon, latch: Latch) -> Host {
    Host { slot: Slot::with(Board::new(silicon, latch, 0x1122_3344_5566_7788)) }
}

/// Old silicon, connected and halted.
pub(crate) fn halted() -> Host {
    let mut host = blank(Silicon::Old, Latch::Strict);
    host.connect().unwrap();
    host.write(DHCSR, HALT).unwrap();
    host
}

impl Host {
    pub(crate) fn board(&self) -> &Board {
        self.slot.board().unwrap()
    }

    pub(crate) fn raw(&mut self, access_port: bool, address: u8, data: Option<u32>) -> Result<u32> {
        match self.slot.transfer(Request { access_port, address, data }) {
            Answer::Ok(value) => Ok(value),
            other @ (Answer::Wait | Answer::Fault | Answer::Silence | Answer::Nonsense) => Err(Refused(other)),
        }
    }

    pub(crate) fn line_reset(&mut self) {
        self.slot.sequence(60, (1 << 51) - 1);
    }

    pub(crate) fn connect(&mut self) -> Result<u32> {
        self.line_reset();
        let id = self.raw(false, 0, None)?;
        self.clear()?;
        self.raw(false, 8, Some(0))?;
        self.raw(false, 4, Some(POWER_UP))?;
        self.raw(true, 0, Some(0x2300_0012))?;
        Ok(id)
    }

    pub(crate) fn clear(&mut self) -> Result<u32> {
        self.raw(false, 0, Some(0x1E))
    }

    pub(crate) fn ap_write(&mut self, ap: u32, register: u32, value: u32) -> Result<()> {
        self.raw(false, 8, Some(ap << 24 | register & 0xF0))?;
        self.raw(true, u8::try_from(register & 0xC).unwrap(), Some(value))?;
        // A failed write is told by the next transfer.
        self.raw(false, 0xC, None).map(|_| ())
    }

    pub(crate) fn ap_read(&mut self, ap: u32, register: u32) -> Result<u32> {
        self.raw(false, 8, Some(ap << 24 | register & 0xF0))?;
        self.raw(true, u8::try_from(register & 0xC).unwrap(), None)?;
        self.raw(false, 0xC, None)
    }

    pub(crate) fn write(&mut self, address: u32, value: u32) -> Result<()> {
        self.ap_write(0, 4, address)?;
        self.ap_write(0, 0xC, value)
    }

    pub(crate) fn read(&mut self, address: u32) -> Result<u32> {
        self.ap_write(0, 4, address)?;
        self.ap_read(0, 0xC)
    }

    pub(crate) fn nvmc(&mut self, mode: u32) {
        self.write(at("NVMC.CONFIG"), mode).unwrap();
    }

    /// One word, the way a careful host writes it.
    pub(crate) fn program(&mut self, address: u32, value: u32) {
        self.nvmc(1);
        self.write(address, value).unwrap();
        self.nvmc(0);
    }

    pub(crate) fn erase_all(&mut self) {
        self.ap_write(1, 4, 1).unwrap();
        while self.ap_read(1, 8).unwrap() != 0 {}
    }

    pub(crate) fn ctrl_ap_reset(&mut self) {
        self.ap_write(1, 0, 1).unwrap();
        self.ap_write(1, 0, 0).unwrap();
        self.ap_write(1, 4, 0).unwrap();
    }

    pub(crate) fn soft_reset(&mut self) {
        let _ = self.write(AIRCR, 0x05FA_0004);
        self.clear().unwrap();
    }

    pub(crate) fn is_open(&mut self) -> bool {
        let status = self.ap_read(1, 0xC).unwrap();
        let reads = self.read(at("FICR.INFO.PART")).is_ok();
        self.clear().unwrap();
        assert_eq!(status == 1, reads, "status and memory disagree");
        reads
    }

    pub(crate) fn core_register(&mut self, number: u32) -> u32 {
        self.write(DCRSR, number).unwrap();
        self.read(DCRDR).unwrap()
    }

    pub(crate) fn set_core_register(&mut self, number: u32, value: u32) {
        self.write(DCRDR, value).unwrap();
        self.write(DCRSR, 1 << 16 | number).unwrap();
    }

    /// Puts half-words into RAM and runs from there with a stack.
    pub(crate) fn run_code(&mut self, code: &[u16]) {
        for (index, pair) in code.chunks(2).enumerate() {
            let high = pair.get(1).copied().unwrap_or(0xBE00);
            let word = u32::from(pair[0]) | u32::from(high) << 16;
            self.write(0x2000_0000 + 4 * u32::try_from(index).unwrap(), word).unwrap();
        }
        self.set_core_register(15, 0x2000_0000);
        self.set_core_register(13, 0x2000_8000);
        self.set_core_register(16, 1 << 24);
        self.write(DHCSR, RUN).unwrap();
    }

    pub(crate) fn wait_for_halt(&mut self) {
        for _ in 0..10_000 {
            if self.read(DHCSR).unwrap() & S_HALT != 0 {
                return;
            }
        }
        panic!("never halted");
    }
}
