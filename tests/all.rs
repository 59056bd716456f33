//! Everything that is tested across modules, as one binary: one link instead of one per area.

mod image;
mod keys;
mod recipe;
mod screens;
mod station;
#[cfg(test)]
mod tidy;
mod virtual_board;
