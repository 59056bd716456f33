//! The debug port: power-up handshake, sticky errors, posted reads, and the registers of the memory access port.
//!
//! [ADIv5.2; nordic-facts A0.1 for the identification words]

/// SW-DP of the nRF52 family. [pyOCD target_nRF52, OpenOCD nrf52.cfg]
pub(super) const DPIDR: u32 = 0x2BA0_1477;
/// AHB-AP of the nRF52 family.
pub(super) const AHB_IDR: u32 = 0x2477_0011;
pub(super) const ROM_TABLE: u32 = 0xE00F_F003;
const STICKY_OVERRUN: u32 = 1 << 1;
const STICKY_COMPARE: u32 = 1 << 4;
const STICKY_ERROR: u32 = 1 << 5;
const WRITE_ERROR: u32 = 1 << 7;
const STICKY: u32 = STICKY_OVERRUN | STICKY_COMPARE | STICKY_ERROR | WRITE_ERROR;
const DEBUG_REQUEST: u32 = 1 << 28;
const SYSTEM_REQUEST: u32 = 1 << 30;
const WRITABLE: u32 = 0x54FF_FF0D;
const LINE_RESET_ONES: u32 = 50;
/// TAR counts up inside 4 KB. [virtual-board notes (b)]
const INCREMENT_MASK: u32 = 0xFFF;
const DEVICE_ENABLED: u32 = 1 << 6;

/// One transfer on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request {
    /// To an access port, not to the debug port itself.
    pub access_port: bool,
    /// Address bits 3 and 2, as 0, 4, 8 or 12.
    pub address: u8,
    /// What to write; absent for a read.
    pub data: Option<u32>,
}

/// What comes back on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Taken; the data of a read, 0 for a write.
    Ok(u32),
    /// Try again later.
    Wait,
    /// A sticky error is set.
    Fault,
    /// Nobody drives the line.
    Silence,
    /// Neither of the above: bits that mean nothing.
    Nonsense,
}

/// How far the two ends agree on where a transfer starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    /// Listens for nothing but a line reset.
    Lost,
    /// After a line reset: only the identification register may be read.
    Reset,
    Connected,
}

#[derive(Clone)]
pub(super) struct Port {
    line: Line,
    ones: u32,
    control: u32,
    pub(super) select: u32,
    pub(super) buffer: u32,
    pub(super) csw: u32,
    pub(super) tar: u32,
}

impl Port {
    pub(super) fn new() -> Self {
        Self { line: Line::Lost, ones: 0, control: 0, select: 0, buffer: 0, csw: 2, tar: 0 }
    }

    /// Bits on the line that are no transfer, lowest first.
    pub(super) fn sequence(&mut self, count: u32, bits: u64) {
        for at in 0..count.min(64) {
            if bits >> at & 1 == 1 {
                self.ones += 1;
                if self.ones >= LINE_RESET_ONES {
                    self.line = Line::Reset;
                }
            } else {
                self.idle();
            }
        }
    }

    /// A low bit: idle, unless it ends ones that were too few for a line reset and so were a bad request.
    fn idle(&mut self) {
        if (1..LINE_RESET_ONES).contains(&self.ones) {
            self.line = Line::Lost;
        }
        self.ones = 0;
    }

    /// Whether this transfer is heard at all.
    pub(super) fn hears(&mut self, request: Request) -> bool {
        let identifies = !request.access_port && request.address == 0 && request.data.is_none();
        if (1..LINE_RESET_ONES).contains(&self.ones) {
            self.line = Line::Lost;
        }
        self.ones = 0;
        self.line = match self.line {
            Line::Reset if identifies => Line::Connected,
            Line::Reset | Line::Lost => Line::Lost,
            Line::Connected => Line::Connected,
        };
        self.line == Line::Connected
    }

    pub(super) fn is_powered(&self) -> bool {
        self.control & DEBUG_REQUEST != 0
    }

    pub(super) fn has_error(&self) -> bool {
        self.control & STICKY != 0
    }

    pub(super) fn set_error(&mut self) {
        self.control |= STICKY_ERROR;
    }

    /// The host was told to wait; with overrun detection that sticks.
    pub(super) fn waited(&mut self) {
        self.control |= if self.control & 1 == 1 { STICKY_OVERRUN } else { 0 };
    }

    pub(super) fn read(&mut self, address: u8) -> Answer {
        let value = match address {
            0 => DPIDR,
            4 if self.select & 1 == 0 => self.status(),
            _ if self.has_error() => return Answer::Fault,
            // Turnaround of one clock; what the host did not get is not sent twice here.
            4 => 0,
            _ => self.buffer,
        };
        Answer::Ok(value)
    }

    pub(super) fn write(&mut self, address: u8, value: u32) -> Answer {
        match address {
            0 => self.abort(value),
            _ if self.has_error() => return Answer::Fault,
            4 if self.select & 1 == 0 => self.control = self.control & !WRITABLE | value & WRITABLE,
            8 => self.select = value,
            _ => {}
        }
        Answer::Ok(0)
    }

    /// Which access port, and which of its registers, this address means.
    pub(super) fn selected(&self, address: u8) -> (u32, u32) {
        (self.select >> 24, self.select & 0xF0 | u32::from(address))
    }

    pub(super) fn set_csw(&mut self, value: u32) {
        let size = if value & 7 <= 2 { value & 7 } else { self.csw & 7 };
        // Packed transfers are not there: the field keeps what it had.
        let increment = if value >> 4 & 3 <= 1 { value & 0x30 } else { self.csw & 0x30 };
        self.csw = value & 0x7F00_0000 | increment | size;
    }

    pub(super) fn csw(&self, open: bool) -> u32 {
        self.csw | 0x0300_0000 | if open { DEVICE_ENABLED } else { 0 }
    }

    /// Bytes per access.
    pub(super) fn size(&self) -> u32 {
        1 << (self.csw & 3)
    }

    pub(super) fn advance(&mut self) {
        if self.csw & 0x30 == 0x10 {
            let next = self.tar.wrapping_add(self.size()) & INCREMENT_MASK;
            self.tar = self.tar & !INCREMENT_MASK | next;
        }
    }

    fn abort(&mut self, value: u32) {
        for (request, cleared) in
            [(1 << 1, STICKY_COMPARE), (1 << 2, STICKY_ERROR), (1 << 3, WRITE_ERROR), (1 << 4, STICKY_OVERRUN)]
        {
            if value & request != 0 {
                self.control &= !cleared;
            }
        }
    }

    /// Requests are granted at once, and taken back at once.
    fn status(&self) -> u32 {
        let granted = (self.control & (DEBUG_REQUEST | SYSTEM_REQUEST)) << 1;
        self.control | granted
    }
}
