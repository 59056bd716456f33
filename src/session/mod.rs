//! One run per site: commands in, events out; the only thing front ends know.

pub mod news;
