//! Firmware as NSIB looks at it: what describes it, and what stands behind it. [sdk-nrf bl_validation.c, fw_info.h]

use std::{iter, ops::Range};

use crate::{
    image::{
        Map,
        bootloader::{self, FirmwareInfo, VALIDATION_INFO},
    },
    keys::{Algorithm, AnyKey},
};

use super::signed_by;

/// How far behind the program it may stand, in bytes. [bl_validation.c, validation_info_find]
const REACH: usize = 4;

/// Behind its three words of magic: address and hash, then the public key. [bl_validation.c, fw_validation_info]
const ADDRESS_AT: usize = 12;
const KEY_AT: usize = ADDRESS_AT + 4 + 32;
/// Behind a P-256 key. For an Ed25519 key the same place is looked at, which is not confirmed.
const SIGNATURE_AT: usize = KEY_AT + 64;
const SIGNATURE_LEN: usize = 64;

/// How far behind the begin of firmware its description may stand; NSIB looks nowhere else. [fw_info.h, FW_INFO_OFFSET0 to 4]
const INFO_OFFSETS: [u32; 5] = [0, 0x200, 0x400, 0x800, 0x1000];

/// Length of a description without the lists behind it, which has to lie in what was signed. [fw_info.h, ext_apis]
const INFO_LEN: u32 = 60;

/// The description of the firmware that begins here, where NSIB finds it, if it was not given up.
#[must_use]
pub fn firmware_at(map: &Map, at: u32) -> Option<FirmwareInfo> {
    let found = |info: &FirmwareInfo| {
        info.address == at && info.valid && info.at.checked_sub(at).is_some_and(|offset| INFO_OFFSETS.contains(&offset))
    };
    bootloader::firmware(map).into_iter().find(found)
}

/// For messages: where descriptions are looked for.
#[must_use]
pub fn looked_at() -> String {
    let offsets = INFO_OFFSETS.map(|offset| format!("0x{offset:X}"));
    format!("{} behind its begin", offsets.join(", "))
}

/// Every run of bytes in the file of this firmware that is neither its program nor what stands behind that: no signature
/// covers them.
#[must_use]
pub fn beside(map: &Map, info: &FirmwareInfo) -> Vec<Range<u64>> {
    let end = info.address.saturating_add(info.size);
    let length = u32::try_from(SIGNATURE_AT + SIGNATURE_LEN).unwrap_or_default();
    let found = validation_at(map, end).map(|at| at..at.saturating_add(length));
    let known: Vec<Range<u32>> = iter::once(info.address..end).chain(found).collect();
    map.written_outside(&known)
}

/// Why NSIB would not take this firmware for signed by that key; `None` if it would.
#[must_use]
pub fn unsigned(map: &Map, info: &FirmwareInfo, key: &AnyKey) -> Option<String> {
    let end = info.address.checked_add(info.size);
    let Some((end, program)) = end.and_then(|end| Some((end, map.bytes(info.address..end)?))) else {
        return Some(format!("the file has not all of the {} bytes that its firmware info claims", info.size));
    };
    if info.at.checked_add(INFO_LEN).is_none_or(|behind| behind >= end) {
        return Some("its firmware info lies outside of what was signed".to_owned());
    }
    let Some(behind) = validation_info(map, end) else {
        return Some("no signature stands behind the program".to_owned());
    };
    let part = |from: usize, length: usize| behind.get(from..from + length).unwrap_or_default();
    if part(ADDRESS_AT, 4) != info.address.to_le_bytes() {
        return Some("the signature behind the program is that of another program".to_owned());
    }
    match key.algorithm() {
        // Its hash is compared with the provisioned ones, so that another key there is as good as none.
        Algorithm::P256 if part(KEY_AT, 64) != key.raw() => {
            Some("the key behind the program is another one: its signature was not made by that key".to_owned())
        }
        Algorithm::P256 | Algorithm::Ed25519 => (!signed_by(key, program, part(SIGNATURE_AT, SIGNATURE_LEN)))
            .then(|| "the signature behind the program was not made by that key".to_owned()),
        other @ (Algorithm::P384 | Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072) => {
            Some(format!("the immutable bootloader knows no {other} keys"))
        }
    }
}

/// The P-256 key that stands behind the program, with a signature, to say who signed it.
#[must_use]
pub fn carried(map: &Map, info: &FirmwareInfo) -> Option<AnyKey> {
    let end = info.address.checked_add(info.size)?;
    map.bytes(info.address..end)?;
    AnyKey::from_raw(Algorithm::P256, validation_info(map, end)?.get(KEY_AT..SIGNATURE_AT)?).ok()
}

fn validation_info(map: &Map, end: u32) -> Option<&[u8]> {
    let at = validation_at(map, end)?;
    map.bytes(at..at.checked_add(u32::try_from(SIGNATURE_AT + SIGNATURE_LEN).ok()?)?)
}

/// Where it begins, if it stands within reach of the end of the program, without a gap.
fn validation_at(map: &Map, end: u32) -> Option<u32> {
    let segment = map.segments().iter().find(|segment| segment.at <= end && u64::from(end) < segment.end())?;
    let behind = segment.bytes.get((end - segment.at) as usize..)?;
    let from = (0..=REACH).find(|from| behind.get(*from..).is_some_and(|bytes| bytes.starts_with(&VALIDATION_INFO)))?;
    end.checked_add(u32::try_from(from).ok()?)
}
