//! The structures of key slots: nRF54L's sources, metadata and attributes, and the 128-bit slots of nRF53 and nRF91.
#![no_main]

use rootstamp::image::kmu::{Attributes, Metadata, Permission, Slot128, Source};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((bytes, _)) = data.split_first_chunk()
        && let Some(source) = Source::decode(bytes)
    {
        assert_eq!(source.encode(), *bytes, "a source is not what it was made of");
        if let Some(metadata) = Metadata::decode(source.metadata) {
            assert_eq!(metadata.encode(), source.metadata, "{metadata:?}");
            let _ = metadata.standing();
        }
    }
    if let Some((bytes, _)) = data.split_first_chunk()
        && let Ok(attributes) = Attributes::decode(bytes)
    {
        assert_eq!(Attributes::decode(&attributes.encode()).as_ref(), Ok(&attributes));
        let _ = (attributes.wrong(), attributes.slots(), attributes.value_length());
    }
    let Some((head, rest)) = data.split_first_chunk::<9>() else { return };
    let word = |at: usize| head.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word));
    let permission = Permission::decode(word(5));
    assert_eq!(Permission::decode(permission.encode()), permission);
    let Some(value) = rest.first_chunk() else { return };
    if let Ok(slot) = Slot128::new(head[0], word(1), permission, *value) {
        assert_eq!(slot.writes().len(), 8, "{slot:?}");
    }
});
