//! Everything that is tested across modules, as one binary: one link instead of one per area.

#[cfg(test)]
mod tidy;
