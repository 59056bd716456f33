//! All integration tests, one binary: it links once.

mod image;
mod keys;
mod recipe;
mod station;
