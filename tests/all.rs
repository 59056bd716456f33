//! Everything that is tested across modules, as one binary: one link instead of one per area.

mod chip;
mod export;
mod image;
mod keys;
mod ledger;
mod line;
mod records;
mod screens;
mod tidy;
mod virtual_board;
