//! A product as written, then as meant: all problems at once, with line and column.
