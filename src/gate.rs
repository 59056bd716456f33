//! Verification and the three burns.
