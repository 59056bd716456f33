//! The operator's screen as a function: news in, at most one command out; a word beside every mark.
//!
//! [`model::Model`] is plain data, [`update::update`] the only thing that changes it, [`view::view`] the only thing that
//! draws it, and [`screen::run`] the only thing that touches a terminal. Time comes in with the messages.

pub mod keys;

pub mod look;

pub mod model;

pub mod screen;

pub mod update;

pub mod view;

pub mod words;

mod field;

mod keyboard;

mod letters;

mod printable;
