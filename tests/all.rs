//! Everything that is tested across modules, as one binary: it links once.

mod image;
mod keys;
#[cfg(test)]
mod tidy;
