//! The state machine of one unit, without input or output.
