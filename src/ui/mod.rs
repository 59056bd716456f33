//! The operator's screen as a function: model, update, view.
