//! What a station and its worker tell each other.
#![no_main]

use rootstamp::link::{Batch, Carried, doing};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(batch) = serde_json::from_slice::<Batch>(data) {
        let _ = (batch.deadline_ms(), batch.ops.iter().map(doing).count());
    }
    if let Ok(carried) = serde_json::from_slice::<Carried>(data) {
        let words: usize = carried.replies.iter().map(Vec::len).sum();
        assert!(words <= data.len(), "more words than the line can hold");
    }
});
