//! The house rules that a compiler does not know, as text scans. Every rule is a function from text to the list of what
//! breaks it, tried on the tree and on a planted violation.

mod codes;
mod order;
mod owners;
mod papers;
mod registers;
mod shape;
mod source;
mod words;

/// Fails with every broken rule on its own line.
fn expect_none(broken: &[String]) {
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}
