//! What comes in over wires: a scanner's labels and what a board says while it starts.
#![no_main]

use std::io::Cursor;

use rootstamp::{
    fixture::{console, scanner},
    ident::Serial,
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for label in scanner::from(Cursor::new(data.to_vec())) {
        // A label that is cut is no label; a byte that is no UTF-8 takes three.
        assert!(label.len() <= 3 * 8192, "a label of {} bytes", label.len());
        let _ = label.parse::<Serial>();
    }
    let wanted = data.get(..2).and_then(|wanted| std::str::from_utf8(wanted).ok()).unwrap_or_default();
    if let Some(line) = console::line_with(data, wanted) {
        assert!(line.chars().count() <= 80 && !line.chars().any(char::is_control), "{line:?}");
    }
});
