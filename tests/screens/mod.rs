//! The operator's screen: what it looks like in every state, what it does with keys, and what nothing can do to it.

mod bench;
mod hostile;
mod keys;
mod looks;
mod walks;
