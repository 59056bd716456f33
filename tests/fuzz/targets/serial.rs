//! Rules for serial numbers, and labels read against them.
#![no_main]

use rootstamp::{
    ident::Serial,
    recipe::{Check, SerialRule},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pattern, label) = text.split_once('\n').unwrap_or((text, text));
    let serial = label.parse::<Serial>().ok();
    for check in [None, Some(Check::Iso7064Mod37Mod36)] {
        let Ok(rule) = SerialRule::new(pattern, check) else { continue };
        if let Some(serial) = &serial {
            let _ = rule.check(serial);
        }
        for number in [0, 1, 9_999, u64::MAX] {
            if let Some(made) = rule.nth(number) {
                assert!(rule.check(&made).is_ok(), "{pattern:?} refuses its own {made:?}");
            }
        }
    }
});
