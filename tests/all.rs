//! Everything that is tested across modules, as one binary: one link instead of one per area.

mod c_reader;
mod chip;
mod image;
mod inspect;
mod keys;
mod line;
mod recipe;
mod screens;
mod station;
mod tidy;
mod virtual_board;
