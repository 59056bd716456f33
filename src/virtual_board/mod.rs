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
mod nvmc;
mod port;
mod registers;
mod watchdog;

pub use self::{
    board::{Board, Counters, Latch, Reset, Silicon, Snapshot},
    boot::NoBoot,
    cells::PAGE,
    chance::Chance,
    nvmc::{ERASE_ALL_NS, PAGE_ERASE_NS, Violation, WORD_WRITE_NS},
    port::{Answer, Request},
    registers::register,
    watchdog::RELOAD,
};
