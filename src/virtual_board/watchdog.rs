//! A watchdog that cannot be stopped once started, fed only by whoever knows its key.
//!
//! [nRF52840 PS, WDT; virtual-board notes: survives soft, lock-up and CTRL-AP resets]

use super::registers::AT;

/// What a reload request must carry. [nRF52840 PS, WDT.RR]
pub const RELOAD: u32 = 0x6E52_4635;
const TICKS_PER_SECOND: u64 = 32_768;
const HALT_RUN: u32 = 1 << 3;

/// Counts simulated time down to a reset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Watchdog {
    crv: u32,
    enabled: u32,
    config: u32,
    asked: u32,
    /// When it bites, in simulated nanoseconds; absent until started.
    pub(super) bites_at: Option<u64>,
}

impl Watchdog {
    pub(super) fn stopped() -> Self {
        Self { crv: u32::MAX, enabled: 1, config: 1, asked: 1, bites_at: None }
    }

    /// As old firmware left it running when the board came to us.
    pub(super) fn left_running(ticks: u32, counts_while_halted: bool, now: u64) -> Self {
        let config = 1 | if counts_while_halted { HALT_RUN } else { 0 };
        let mut watchdog = Self { crv: ticks, config, ..Self::stopped() };
        watchdog.restart(now);
        watchdog
    }

    pub(super) fn counts_while_halted(&self) -> bool {
        self.config & HALT_RUN != 0
    }

    pub(super) fn read(&self, address: u32) -> u32 {
        let at = &*AT;
        match address {
            _ if address == at.wdt_run => u32::from(self.bites_at.is_some()),
            _ if address == at.wdt_request => self.asked,
            _ if address == at.wdt_crv => self.crv,
            _ if address == at.wdt_rren => self.enabled,
            _ if address == at.wdt_config => self.config,
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, address: u32, value: u32, now: u64) {
        let at = &*AT;
        let running = self.bites_at.is_some();
        match address {
            _ if address == at.wdt_start && value & 1 == 1 && !running => self.restart(now),
            // The configuration is locked from the start on.
            _ if running && address < at.wdt_rr => {}
            _ if address == at.wdt_crv => self.crv = value.max(0xF),
            _ if address == at.wdt_rren => self.enabled = value & 0xFF,
            _ if address == at.wdt_config => self.config = value & 0b1001,
            _ if (at.wdt_rr..at.wdt_rr + 0x20).contains(&address) => self.feed((address - at.wdt_rr) / 4, value, now),
            _ => {}
        }
    }

    /// What of it belongs to the lasting state of a board.
    pub(super) fn state(&self, now: u64) -> [u64; 5] {
        let left = self.bites_at.map_or(u64::MAX, |at| at.saturating_sub(now));
        [self.crv.into(), self.enabled.into(), self.config.into(), self.asked.into(), left]
    }

    fn feed(&mut self, channel: u32, key: u32, now: u64) {
        if key != RELOAD || self.bites_at.is_none() {
            return;
        }
        self.asked &= !(1 << channel);
        if self.asked & self.enabled == 0 {
            self.restart(now);
        }
    }

    /// [nRF52840 PS, WDT: timeout = (CRV + 1) / 32768 s]
    fn restart(&mut self, now: u64) {
        self.asked = self.enabled;
        self.bites_at = Some(now + (u64::from(self.crv) + 1) * 1_000_000_000 / TICKS_PER_SECOND);
    }
}
