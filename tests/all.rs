//! Everything that is tested across modules, as one binary: one link instead of one per area.

#[cfg(test)]
mod export;
#[cfg(test)]
mod image;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod records;
#[cfg(test)]
mod tidy;
