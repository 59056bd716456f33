//! The signature by which NSIB knows firmware. [sdk-nrf scripts/bootloader/hash.py, do_sign.py; nordic-facts B7]

use crate::{
    ident::Digest,
    image::Map,
    keys::{Algorithm, AnyKey, Signature},
};

/// No chip with this bootloader has more memory than this, in bytes; a gap in a file may claim anything.
const MAX_FIRMWARE: u64 = 4 << 20;

/// The bytes that Nordic's scripts hash and sign: from the first to the last that the file has, gaps as erased memory.
/// `None` if that is more than any chip holds.
#[must_use]
pub fn signed_bytes(map: &Map) -> Option<Vec<u8>> {
    let length = map.end().checked_sub(u64::from(map.first())).filter(|length| *length <= MAX_FIRMWARE)?;
    let mut bytes = vec![0xFF; usize::try_from(length).ok()?];
    for segment in map.segments() {
        let from = (segment.at - map.first()) as usize;
        bytes.iter_mut().skip(from).zip(&segment.bytes).for_each(|(cell, byte)| *cell = *byte);
    }
    Some(bytes)
}

/// Whether this key made this signature of the firmware, 64 bytes: ECDSA P-256 over the hash of its hash, Ed25519 over
/// the firmware itself.
#[must_use]
pub fn signed_by(key: &AnyKey, firmware: &[u8], signature: &[u8]) -> bool {
    match key.algorithm() {
        Algorithm::P256 => key.verifies(&Digest::of(firmware).0, Signature::Fixed(signature)),
        Algorithm::Ed25519 => key.verifies(firmware, Signature::Standard(signature)),
        Algorithm::P384 | Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072 => false,
    }
}
