//! Boards that refuse what silicon refuses.

mod chain;
mod cpu;
mod host;
mod latch;
mod memory;
mod served;
mod stock;
mod troubles;
mod wire;
