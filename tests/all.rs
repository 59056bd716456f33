//! Everything that is tested across modules, as one binary: one link instead of one per area.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected stops there, and says what it found"
)]

mod boots;
mod builds;
mod c_reader;
mod check;
mod chip;
mod crosscheck;
mod device_keys;
mod dfu;
mod end_to_end;
mod export;
mod finished_unit;
mod hidden;
mod hostile;
mod image;
mod inspect;
mod keys;
mod kmu;
mod layout;
mod ledger;
mod line;
mod manifest;
mod memory;
mod nsib;
mod plan;
mod planned;
mod real_firmware;
mod recipe;
mod records;
mod screens;
mod settings;
mod several;
mod stamps;
mod station;
mod tidy;
mod update;
mod vectors;
mod virtual_board;
mod worker;
