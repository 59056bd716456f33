//! Everything that is tested across modules, as one binary: one link instead of one per area.

mod c_reader;
mod chip;
mod end_to_end;
mod export;
mod image;
mod inspect;
mod keys;
mod ledger;
mod line;
mod recipe;
mod records;
mod screens;
mod station;
mod tidy;
mod virtual_board;
