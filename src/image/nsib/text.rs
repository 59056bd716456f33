//! Intel HEX text exactly as Python's `intelhex` writes it, which is what Nordic's scripts use: a file made here can be
//! compared with theirs byte for byte.

use std::fmt::Write as _;

/// Records of 16 bytes from the first address on; a record that would cross a 64 KiB border ends there. An address
/// record comes before the data of each 64 KiB if anything stands above the first.
#[must_use]
pub fn intel_hex(at: u32, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3 + 32);
    let linear = u64::from(at) + bytes.len() as u64 > 0x1_0000;
    let mut high = None;
    let mut rest = bytes;
    let mut next = u64::from(at);
    while !rest.is_empty() {
        if linear && high != Some(next >> 16) {
            high = Some(next >> 16);
            let [.., upper, lower] = (next >> 16).to_be_bytes();
            record(&mut text, 0, 4, &[upper, lower]);
        }
        let room = usize::try_from(0x1_0000 - (next & 0xFFFF)).unwrap_or(16);
        let (chunk, after) = rest.split_at(rest.len().min(16).min(room));
        record(&mut text, next, 0, chunk);
        next += chunk.len() as u64;
        rest = after;
    }
    record(&mut text, 0, 1, &[]);
    text
}

fn record(text: &mut String, at: u64, kind: u8, data: &[u8]) {
    let [.., upper, lower] = at.to_be_bytes();
    let length = u8::try_from(data.len()).unwrap_or_default();
    let head = [length, upper, lower, kind];
    let sum = head.iter().chain(data).fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
    text.push(':');
    for byte in head.iter().chain(data).chain(&[sum]) {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_at_a_border_of_64_kib_and_a_new_address_follows() {
        let text = intel_hex(0x1FFFE, &[1, 2, 3]);
        assert_eq!(text, ":020000040001F9\n:02FFFE000102FE\n:020000040002F8\n:0100000003FC\n:00000001FF\n");
        assert_eq!(intel_hex(0, &[]), ":00000001FF\n");
        assert!(intel_hex(0xFFF0, &[0; 16]).starts_with(":10FFF0"), "no address record below 64 KiB");
    }
}
