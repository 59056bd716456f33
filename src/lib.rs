//! rootstamp stamps the root of trust into a board and can prove later that it did.
//!
//! Modules stand lowest first; each may name only those above it (`tests/tidy.rs` enforces it). `ARCHITECTURE.md` has
//! the shape and the invariants.

pub mod fault;

pub mod ident;

pub mod clock;

pub mod file;

pub mod page;

pub mod keys;

pub mod image;

pub mod manifest;

pub mod recipe;

pub mod station;

pub mod link;

pub mod chip;

pub mod plan;

pub mod ledger;

pub mod gate;

pub mod run;

pub mod virtual_board;

pub mod fixture;

pub mod session;

pub mod export;

pub mod ui;

pub mod cli;
