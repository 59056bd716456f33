//! Everything that is tested across modules, as one binary: one link instead of one per area.

mod chip;
mod export;
mod image;
mod keys;
<<<<<<< HEAD
mod ledger;
mod line;
mod records;
mod screens;
mod tidy;
mod virtual_board;
=======
mod recipe;
mod station;
>>>>>>> e365b1f7ea3dcbec68369807e763a2dd048fbd46
