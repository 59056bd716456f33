//! Everything seen from outside the library, as one binary: it links once.

mod screens;
