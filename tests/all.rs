//! Everything that is tested through the boundary, as one binary.

mod export;
mod ledger;
mod records;
