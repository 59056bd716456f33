//! All integration tests, one binary: it links once.

mod image;
mod keys;
//! Everything that is tested across modules, as one binary: one link instead of one per area.

#[cfg(test)]
mod tidy;
