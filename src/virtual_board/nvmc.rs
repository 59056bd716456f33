//! The controller of the non-volatile cells: what it takes, what it refuses, and how long it is busy.

use std::collections::BTreeSet;

use super::{
    bus::{Bus, BusFault, Origin},
    cells::{Cells, PAGE},
    chance::Chance,
    registers::AT,
};

/// [nRF52840 PS v1.11, NVMC electrical table]
pub const WORD_WRITE_NS: u64 = 41_000;
/// [nRF52840 PS v1.11, NVMC electrical table; nrfx NVMC_PAGE_ERASE_DURATION_MS]
pub const PAGE_ERASE_NS: u64 = 85_000_000;
/// [nRF52840 PS v1.1, NVMC electrical table; unconfirmed]
pub const ERASE_ALL_NS: u64 = 169_000_000;
/// How often a word may be written between two erases. [nRF52840 PS, NVMC nWRITE; unconfirmed]
const WRITES_PER_WORD: u8 = 2;
const WRITE_ENABLED: u32 = 1;
const ERASE_ENABLED: u32 = 2;
/// After so many busy answers in a row the CPU is taken to be waiting.
const PATIENCE: u8 = 3;

/// Something no careful host does; silicon may fault, ignore it or wear out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Violation {
    /// A store to cells that was no aligned word.
    NotAWord(u32),
    /// A store to cells while writing was not enabled.
    WriteNotEnabled(u32),
    /// An erase while erasing was not enabled.
    EraseNotEnabled,
    /// An erase of something that is no page of the code area.
    NotAPage(u32),
    /// A word written more often than the cells are specified for.
    WornWord(u32),
    /// The UICR was asked to be erased while the port is closed.
    ProtectedUicr,
    /// The debugger started an operation while the CPU was running. [PS-52820, NVMC]
    CpuRunning(u32),
    /// A reset was asked for while everything was being erased.
    ResetWhileErasing,
}

/// State of the controller and of what the cells went through.
#[derive(Clone)]
pub(super) struct Nvmc {
    config: u32,
    pub(super) busy_until: u64,
    pub(super) busy_ns: u64,
    pub(super) word_writes: u64,
    pub(super) erases: u64,
    /// Operations so far: writes and erases together, counted from 1.
    pub(super) operations: u64,
    pub(super) cut_inside: Option<u64>,
    pub(super) chance: Chance,
    pub(super) dead: BTreeSet<u32>,
    pub(super) violations: Vec<Violation>,
    polls: u8,
    under_way: Option<UnderWay>,
}

/// What the cells held before the operation that may still be going on.
#[derive(Clone)]
enum UnderWay {
    Write { address: u32, old: u32 },
    Erase { flash: Cells, uicr: Cells },
}

impl Nvmc {
    pub(super) fn new() -> Self {
        Self {
            config: 0,
            busy_until: 0,
            busy_ns: 0,
            word_writes: 0,
            erases: 0,
            operations: 0,
            cut_inside: None,
            chance: Chance::new(0),
            dead: BTreeSet::new(),
            violations: Vec::new(),
            polls: 0,
            under_way: None,
        }
    }

    /// Any reset closes the cells for writing; what was under way is finished by the controller itself.
    pub(super) fn reset(&mut self) {
        self.config = 0;
        self.polls = 0;
    }
}

impl Bus {
    pub(super) fn nvmc_read(&mut self, address: u32, origin: Origin) -> u32 {
        let at = &*AT;
        if address == at.config {
            return self.nvmc.config;
        }
        if address != at.ready && address != at.ready_next {
            return 0;
        }
        if self.now >= self.nvmc.busy_until {
            self.nvmc.polls = 0;
            return 1;
        }
        self.nvmc.polls = self.nvmc.polls.saturating_add(1);
        if origin == Origin::Cpu && self.nvmc.polls >= PATIENCE {
            self.now = self.nvmc.busy_until;
            return 1;
        }
        0
    }

    pub(super) fn nvmc_write(&mut self, address: u32, value: u32, origin: Origin) {
        let at = &*AT;
        self.stall();
        self.nvmc.polls = 0;
        if address == at.config {
            self.nvmc.config = value & 3;
        } else if address == at.erase_page {
            self.erase_page(value, origin);
        } else if address == at.erase_all && value & 1 == 1 {
            if self.may_erase(address, origin) {
                self.erase_everything();
            }
        } else if address == at.erase_uicr && value & 1 == 1 {
            self.erase_uicr(origin);
        }
    }

    /// A store to flash or UICR at `offset` into the cells, `address` as the bus saw it.
    pub(super) fn program(&mut self, address: u32, size: u32, value: u32, origin: Origin) -> Result<(), BusFault> {
        if size != 4 || !address.is_multiple_of(4) {
            return self.refuse(Violation::NotAWord(address));
        }
        self.stall();
        if self.nvmc.config != WRITE_ENABLED {
            return self.refuse(Violation::WriteNotEnabled(address));
        }
        self.note_running_cpu(address, origin);
        self.nvmc.word_writes += 1;
        let (cells, offset) = self.cells_mut(address);
        let old = cells.word(offset);
        self.begin(WORD_WRITE_NS, UnderWay::Write { address, old });
        if self.is_dead(address) {
            return Ok(());
        }
        let (cells, offset) = self.cells_mut(address);
        if cells.write(offset, value) > WRITES_PER_WORD {
            self.nvmc.violations.push(Violation::WornWord(address));
        }
        Ok(())
    }

    /// The power went: of an operation that was under way, only a random part happened.
    pub(super) fn interrupt(&mut self) {
        let Some(under_way) = self.nvmc.under_way.take().filter(|_| self.now < self.nvmc.busy_until) else { return };
        self.nvmc.busy_until = self.now;
        match under_way {
            UnderWay::Write { address, old } => {
                let kept = old & self.nvmc.chance.word();
                let (cells, offset) = self.cells_mut(address);
                let word = cells.word(offset) | kept;
                cells.place(offset, &word.to_le_bytes());
            }
            UnderWay::Erase { flash, uicr } => {
                self.flash.weaken(&flash, &mut self.nvmc.chance);
                self.uicr.weaken(&uicr, &mut self.nvmc.chance);
            }
        }
    }

    /// Flash, UICR and RAM, as the CTRL-AP and NVMC.ERASEALL do it.
    pub(super) fn erase_everything(&mut self) {
        self.begin_erase(ERASE_ALL_NS);
        for page in 0..self.flash.page_count() {
            self.drop_page(AT.flash, page);
        }
        self.drop_page(AT.uicr, 0);
    }

    fn erase_page(&mut self, address: u32, origin: Origin) {
        if !address.is_multiple_of(PAGE) || address >= self.flash.size() {
            self.nvmc.violations.push(Violation::NotAPage(address));
            return;
        }
        if self.may_erase(address, origin) {
            self.begin_erase(PAGE_ERASE_NS);
            self.drop_page(AT.flash, address / PAGE);
        }
    }

    /// [DZ 109167, 109037: blocked while access port protection is on]
    fn erase_uicr(&mut self, origin: Origin) {
        if self.closed {
            self.nvmc.violations.push(Violation::ProtectedUicr);
            return;
        }
        if self.may_erase(AT.uicr, origin) {
            self.begin_erase(PAGE_ERASE_NS);
            self.drop_page(AT.uicr, 0);
        }
    }

    fn may_erase(&mut self, address: u32, origin: Origin) -> bool {
        if self.nvmc.config != ERASE_ENABLED {
            self.nvmc.violations.push(Violation::EraseNotEnabled);
            return false;
        }
        self.note_running_cpu(address, origin);
        true
    }

    fn drop_page(&mut self, base: u32, page: u32) {
        if !self.is_dead(base + page * PAGE) {
            self.cells_mut(base).0.erase_page(page);
        }
    }

    fn begin_erase(&mut self, lasts: u64) {
        self.nvmc.erases += 1;
        let before = UnderWay::Erase { flash: self.flash.clone(), uicr: self.uicr.clone() };
        self.begin(lasts, before);
    }

    /// Counts one operation; the power may be set to go in the middle of it.
    fn begin(&mut self, lasts: u64, before: UnderWay) {
        self.nvmc.under_way = Some(before);
        self.nvmc.operations += 1;
        self.nvmc.busy_ns += lasts;
        self.nvmc.busy_until = self.now + lasts;
        self.power_lost |= self.nvmc.cut_inside == Some(self.nvmc.operations);
    }

    /// The bus holds an access to busy cells until they are ready.
    pub(super) fn stall(&mut self) {
        self.now = self.now.max(self.nvmc.busy_until);
    }

    fn note_running_cpu(&mut self, address: u32, origin: Origin) {
        if origin == (Origin::Debugger { halted: false }) {
            self.nvmc.violations.push(Violation::CpuRunning(address));
        }
    }

    fn refuse(&mut self, violation: Violation) -> Result<(), BusFault> {
        self.nvmc.violations.push(violation);
        Err(BusFault)
    }

    fn is_dead(&self, address: u32) -> bool {
        self.nvmc.dead.contains(&address) || self.nvmc.dead.contains(&(address / PAGE * PAGE + 1))
    }

    fn cells_mut(&mut self, address: u32) -> (&mut Cells, u32) {
        if address >= AT.uicr { (&mut self.uicr, address - AT.uicr) } else { (&mut self.flash, address - AT.flash) }
    }
}
