//! The access port that answers even when the others are closed.
//!
//! [nordic-facts A0.2, A0.3, A8: pyOCD target_nRF52, probe-rs nrf52.rs]

/// [pyOCD, OpenOCD nrf52.cfg; the top digit is a version]
pub(super) const IDR: u32 = 0x0288_0000;
pub(super) const RESET: u32 = 0x00;
pub(super) const ERASE_ALL: u32 = 0x04;
pub(super) const ERASE_ALL_STATUS: u32 = 0x08;
pub(super) const APPROTECT_STATUS: u32 = 0x0C;
pub(super) const IDR_AT: u32 = 0xFC;
/// After so many busy answers in a row the host is taken to be waiting.
const PATIENCE: u32 = 3;

/// What this port remembers.
#[derive(Clone)]
pub(super) struct CtrlAp {
    /// RESET is held at 1.
    pub(super) holds_reset: bool,
    erase_written: bool,
    erasing_until: Option<u64>,
    /// The reset now held began after an erase was over: letting go completes it.
    completes: bool,
    polls: u32,
}

impl CtrlAp {
    pub(super) fn new() -> Self {
        Self { holds_reset: false, erase_written: false, erasing_until: None, completes: false, polls: 0 }
    }

    pub(super) fn is_erasing(&self, now: u64) -> bool {
        self.erasing_until.is_some_and(|until| now < until)
    }

    /// Remembers an erase that ends at `until`.
    pub(super) fn erase(&mut self, until: u64) {
        self.erasing_until = Some(until);
        self.polls = 0;
    }

    pub(super) fn note_erase_written(&mut self, value: u32) -> bool {
        let rises = value & 1 == 1 && !self.erase_written;
        self.erase_written = value & 1 == 1;
        rises
    }

    pub(super) fn hold_reset(&mut self, now: u64) {
        self.holds_reset = true;
        self.completes = self.erasing_until.is_some_and(|until| now >= until);
    }

    /// Whether letting go of the reset completes an erase.
    pub(super) fn release_reset(&mut self) -> bool {
        self.holds_reset = false;
        std::mem::take(&mut self.completes)
    }

    /// A reset from elsewhere ends the window in which the erase could be completed.
    pub(super) fn forget_erase(&mut self, now: u64) {
        if !self.is_erasing(now) {
            self.erasing_until = None;
            self.completes = false;
        }
    }

    /// If the host has asked often enough whether the erase is over: when it will be.
    pub(super) fn patience_ends(&mut self, now: u64) -> Option<u64> {
        self.polls += 1;
        self.erasing_until.filter(|until| now < *until && self.polls > PATIENCE)
    }

    pub(super) fn read(&self, register: u32, now: u64, open: bool) -> u32 {
        match register {
            RESET => self.holds_reset.into(),
            ERASE_ALL => self.erase_written.into(),
            ERASE_ALL_STATUS => self.is_erasing(now).into(),
            APPROTECT_STATUS => open.into(),
            IDR_AT => IDR,
            _ => 0,
        }
    }
}
