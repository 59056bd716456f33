//! The golden state of a lot as the records keep it: that of the demo's product, spoilt at one place.
#![no_main]

use std::{path::Path, sync::LazyLock};

use rootstamp::{
    ident::Mode,
    plan::{self, Golden},
    recipe::{self, STAND_INS},
};
use serde_json::Value;

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let product = recipe::read_from(&STAND_INS, Path::new("templates/products/gw3.toml"), Some(Mode::Training));
    let lot = product.and_then(plan::lot).expect("the product of the demo");
    let golden = lot.golden.to_bytes().expect("JSON");
    let short = shortened(serde_json::from_slice(&golden).expect("JSON")).to_string().into_bytes();
    assert!(Golden::from_bytes(&short).is_ok());
    short
});

/// A thousand words of an image are no other grammar than a few.
fn shortened(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().take(4).map(shortened).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, shortened(value))).collect(),
        Value::String(text) if text.len() > 256 => text[..256].into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Golden::from_bytes(data).is_ok();
    let Some(([low, high, cut], with)) = data.split_first_chunk() else { return };
    // The beginning and the end, where the names are.
    let at = usize::from(u16::from_le_bytes([*low, *high]));
    let at = if at < 0x8000 { at } else { GOOD.len().saturating_sub(at - 0x8000) }.min(GOOD.len());
    let rest = GOOD.get(at + usize::from(*cut)..).unwrap_or_default();
    let Ok(golden) = Golden::from_bytes(&[&GOOD[..at], with, rest].concat()) else { return };
    let again = golden.to_bytes().ok().and_then(|bytes| Golden::from_bytes(&bytes).ok());
    assert!(again.is_some(), "what was written cannot be read");
});
