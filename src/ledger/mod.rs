//! Append-only hash-chained records; the only maker of Durable facts.

pub mod evidence;
