//! Records become files.
