//! Boards that refuse what silicon refuses.

mod host;
mod stock;
