//! Silicon no kinder than real, served over probe protocols that stock tools speak.
//!
//! A board is plain data: it can be copied, sent and put back. Numbers come from the maker's register dump
//! (`nrf52840.regs`), never from `chip`, so that the two can be compared.

mod bench;
mod board;
mod boot;
mod bus;
mod cells;
mod chance;
mod control;
mod core;
mod cpu;
mod ctrl_ap;
mod faults;
mod glasgow;
mod lot;
mod nvmc;
mod port;
mod registers;
mod slot;
mod uart;
mod watchdog;

pub use self::{
    bench::{Bench, Pace, Setup},
    board::{Board, Counters, Latch, Reset, Silicon, Snapshot},
    boot::NoBoot,
    cells::PAGE,
    chance::Chance,
    control::{Deed, Order, Report},
    faults::{Cut, Faults, Flip, Span, Stuck, When},
    lot::Lot,
    nvmc::{ERASE_ALL_NS, PAGE_ERASE_NS, Violation, WORD_WRITE_NS},
    port::{Answer, Request},
    registers::register,
    slot::{REFERENCE_HZ, Shared, Slot, lock},
    watchdog::RELOAD,
};
