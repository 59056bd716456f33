//! The operator's screen: what it looks like in every state, what it does with keys, and what nothing can do to it.

#![allow(clippy::unwrap_used, reason = "a helper of a test is a test")]

mod bench;
mod hostile;
mod keys;
mod looks;
mod walks;
