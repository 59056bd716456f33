//! Chip families: one file each.
