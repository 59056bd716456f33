//! What `inspect` tells of firmware for Nordic's immutable bootloader: who signed it, as far as the file shows.

use serde::Serialize;

use super::{look::Asked, memory::address};
use crate::{
    fault::Problem,
    ident::Digest,
    image::{Map, bootloader::FirmwareInfo, nsib},
};

#[derive(Serialize)]
pub(super) struct NsibFirmwareReport {
    at: String,
    /// Fingerprint of the P-256 key that stands behind the program.
    carries: Option<Digest>,
    /// In a sentence.
    signature: String,
    /// With the keys of the command line: names of the files of those that signed it.
    signed_by: Option<Vec<String>>,
    #[serde(skip)]
    damaged: Option<Problem>,
}

impl NsibFirmwareReport {
    pub(super) fn new(map: &Map, info: &FirmwareInfo, asked: &Asked) -> Self {
        let carried = nsib::carried(map, info);
        let against = carried.as_ref().and_then(|key| nsib::unsigned(map, info, key));
        let by = |(name, key): &(String, _)| nsib::unsigned(map, info, key).is_none().then(|| name.clone());
        let signed_by = (!asked.keys.is_empty()).then(|| asked.keys.iter().filter_map(by).collect::<Vec<_>>());
        let signature = match (&carried, &against, signed_by.as_deref()) {
            (_, _, Some(names @ [_, ..])) => format!("made by {}", names.join(", ")),
            (Some(_), Some(why), _) => format!("damaged: {why}"),
            (Some(_), None, Some(_)) => "made by the key behind the program, which is none of --key".to_owned(),
            (Some(_), None, None) => "fits the key behind the program; whose that is, provision data says".to_owned(),
            (None, _, _) => "no P-256 key and signature stand behind the program: not verified".to_owned(),
        };
        let damaged = against.map(|why| {
            map.problem_at(
                info.address,
                format!("the firmware for NSIB at {} is damaged: {why}", address(info.address)),
            )
        });
        let carries = carried.map(|key| key.spki_sha256());
        Self { at: address(info.address), carries, signature, signed_by, damaged }
    }

    pub(super) fn damaged(&self) -> Option<&Problem> {
        self.damaged.as_ref()
    }

    pub(super) fn words(&self) -> String {
        format!("{}: its signature: {}", self.at, self.signature)
    }

    /// Why it is not shown to be of a key of the command line. Firmware that MCUboot starts may hold the same description,
    /// and no signature for NSIB.
    pub(super) fn unauthentic(&self, alone: bool) -> Option<String> {
        let none = self.signed_by.as_ref().is_some_and(Vec::is_empty) && (alone || self.carries.is_some());
        none.then(|| format!("the firmware for NSIB at {} is not shown to be genuine: {}", self.at, self.signature))
    }
}
