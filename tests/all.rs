//! Everything that is tested across modules, as one binary: one link instead of one per area.

mod chip;
mod image;
mod keys;
mod line;
mod screens;
mod tidy;
mod virtual_board;
