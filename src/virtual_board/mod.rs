//! Silicon no kinder than real, served over probe protocols that stock tools speak.
//!
//! A board is plain data: it can be copied, sent and put back. Numbers come from the maker's register dump
//! (`nrf52840.regs`), never from `chip`, so that the two can be compared.

mod board;
mod boot;
mod bus;
mod cells;
mod chance;
mod core;
mod cpu;
mod ctrl_ap;
mod faults;
mod glasgow;
mod nvmc;
mod port;
mod registers;
mod slot;
mod watchdog;

pub use self::{
    board::{Board, Counters, Latch, Reset, Silicon, Snapshot},
    boot::NoBoot,
    cells::PAGE,
    chance::Chance,
    faults::{Cut, Faults, Flip, Span, Stuck, When},
    nvmc::{ERASE_ALL_NS, PAGE_ERASE_NS, Violation, WORD_WRITE_NS},
    port::{Answer, Request},
    registers::register,
    slot::{REFERENCE_HZ, Shared, Slot, lock},
    watchdog::RELOAD,
};
