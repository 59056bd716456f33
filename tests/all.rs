//! Everything that is tested across modules, as one binary: one link instead of one per area.

mod image;
mod keys;
mod tidy;
mod virtual_board;
