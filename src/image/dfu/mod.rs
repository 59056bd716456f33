//! Secure DFU of the nRF5 SDK: update packages, settings pages, and the one key in a bootloader.
//!
//! A package is a ZIP with a manifest and, per firmware, an init packet and the firmware itself. The bootloader checks
//! the init packet with its key, then the firmware with the hash in it. [nordic-facts C6]

use serde::{Deserialize, Serialize};

use super::{Map, tree::Branch};
use crate::{
    fault::{Exit, Problem},
    file::{Read, json_mistake},
    ident::Digest,
    keys::{PublicKey, refuse::RefuseList},
};

mod init;
pub mod patch;
pub mod settings;
mod signature;
pub mod start;
mod wire;
mod zip;

pub use init::{Init, Kind, PACKET_MAX, Signature, Validation};
pub use zip::{RATIO_MAX, UNPACKED_MAX};

const MANIFEST: &str = "manifest.json";

/// The largest manifest that is looked at, in bytes; nrfutil writes a few hundred.
const MANIFEST_MAX: usize = 64 << 10;

/// One firmware of a package.
#[derive(Clone, Debug, Serialize)]
pub struct Firmware {
    /// Under which word the manifest lists it.
    pub listed_as: &'static str,
    /// File name of the firmware in the package.
    pub bin: String,
    /// File name of its init packet.
    pub dat: String,
    /// Length of the firmware, in bytes.
    pub size: u64,
    /// SHA-256 of the firmware, computed here.
    pub sha256: Digest,
    /// The firmware itself, to search for keys.
    #[serde(skip)]
    pub contents: Vec<u8>,
    /// What the bootloader is told about it.
    pub init: Init,
    /// P-256 keys in it as the SDK's bootloaders hold theirs; only a bootloader is searched.
    pub keys: Vec<OwnKey>,
}

/// A key that the bootloader in a package holds: later updates are checked with it.
#[derive(Clone, Debug, Serialize)]
pub struct OwnKey {
    /// Offset of its first byte in the firmware.
    pub at: u32,
    /// Its fingerprint.
    pub spki_sha256: Digest,
}

/// A package, unpacked and taken apart. Taken apart is not yet believed: [`Package::verify`].
#[derive(Clone, Debug, Serialize)]
pub struct Package {
    /// As the user named the file.
    pub name: String,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// In the order a device gets them: SoftDevice and bootloader before the application.
    pub firmwares: Vec<Firmware>,
    /// Files in it that the manifest does not name.
    pub unlisted: Vec<String>,
}

/// Whether this file is a ZIP archive, as every DFU package is.
#[must_use]
pub fn begins(file: &Read) -> bool {
    zip::begins(&file.bytes)
}

/// Unpacks a DFU package and takes it apart.
///
/// # Errors
/// The first thing that makes it none: after that its claims cannot be trusted.
pub fn read(file: &Read) -> Result<Package, Problem> {
    let stop = |what: String| Problem::new(file.name(), format!("no DFU package: {what}"));
    let mut entries = zip::read(&file.bytes).map_err(stop)?;
    let manifest = take(&mut entries, MANIFEST).ok_or_else(|| stop(format!("it holds no {MANIFEST}")))?;
    let listed = listed(&manifest).map_err(stop)?;
    let mut firmwares = Vec::new();
    for (listed_as, parts) in listed {
        let bin = take(&mut entries, &parts.bin_file).ok_or_else(|| stop(absent(listed_as, &parts.bin_file)))?;
        let dat = take(&mut entries, &parts.dat_file).ok_or_else(|| stop(absent(listed_as, &parts.dat_file)))?;
        let init = Init::read(&dat).map_err(|what| stop(format!("`{}` in it {what}", parts.dat_file)))?;
        let (size, sha256) = (bin.len() as u64, Digest::of(&bin));
        let (dat, contents) = (parts.dat_file, bin);
        let keys = own_keys(&init, &contents);
        firmwares.push(Firmware { listed_as, bin: parts.bin_file, dat, size, sha256, contents, init, keys });
    }
    let unlisted = entries.into_iter().map(|entry| entry.name).collect();
    Ok(Package { name: file.name(), digest: file.digest, firmwares, unlisted })
}

/// Every file of an archive, whatever it is for; none if it cannot be unpacked.
#[must_use]
pub fn unpacked(file: &Read) -> Vec<Read> {
    let entries = zip::read(&file.bytes).unwrap_or_default().into_iter();
    entries.map(|entry| Read::from_memory(entry.name, entry.bytes)).collect()
}

/// What an archive holds beside its files, as in a comment, each with its offset. Of one that cannot be unpacked it may
/// be anything.
#[must_use]
pub fn beside_files(file: &Read) -> Vec<(usize, &[u8])> {
    let runs = zip::beside(&file.bytes).into_iter();
    runs.filter_map(|run| Some((run.start, file.bytes.get(run)?))).collect()
}

fn own_keys(init: &Init, contents: &[u8]) -> Vec<OwnKey> {
    let bootloader = matches!(init.kind, Kind::Bootloader | Kind::SoftdeviceBootloader);
    if !bootloader || contents.len() > patch::SEARCHED_MAX {
        return Vec::new();
    }
    let Ok(map) = Map::from_raw(&Read::from_memory("", contents.to_vec()), 0) else { return Vec::new() };
    let own = patch::bare_keys(&map).into_iter().filter(|bare| bare.form == patch::Form::Nrf5SdkLe);
    own.map(|bare| OwnKey { at: bare.at, spki_sha256: bare.key.spki_sha256() }).collect()
}

fn take(entries: &mut Vec<zip::Entry>, name: &str) -> Option<Vec<u8>> {
    let index = entries.iter().position(|entry| entry.name == name)?;
    Some(entries.swap_remove(index).bytes)
}

fn absent(listed_as: &str, file: &str) -> String {
    let file = crate::page::printable(file);
    format!("its manifest names `{file}` for {listed_as}, which is not in it or was named before")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    manifest: Manifest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    softdevice_bootloader: Option<Parts>,
    softdevice: Option<Parts>,
    bootloader: Option<Parts>,
    application: Option<Parts>,
    external_application: Option<Parts>,
    dfu_version: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    bin_file: String,
    dat_file: String,
    /// Sizes of the two halves, repeated for people.
    #[serde(rename = "info_read_only_metadata")]
    _sizes: Option<serde::de::IgnoredAny>,
    init_packet_data: Option<serde::de::IgnoredAny>,
}

/// What the manifest lists, in the order a device gets it.
fn listed(manifest: &[u8]) -> Result<Vec<(&'static str, Parts)>, String> {
    if manifest.len() > MANIFEST_MAX {
        return Err(format!("its manifest is larger than {MANIFEST_MAX} bytes"));
    }
    let Outer { manifest } = serde_json::from_slice(manifest).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("its {MANIFEST} is not one: line {line}, column {column}: {}", json_mistake(&error))
    })?;
    let old = "it is in the format before SDK 12, whose updates nobody signs; this release reads secure DFU packages";
    if manifest.dfu_version.is_some() {
        return Err(old.to_owned());
    }
    let all = [
        ("softdevice_bootloader", manifest.softdevice_bootloader),
        ("softdevice", manifest.softdevice),
        ("bootloader", manifest.bootloader),
        ("application", manifest.application),
        ("external_application", manifest.external_application),
    ];
    let listed: Vec<_> = all.into_iter().filter_map(|(listed_as, parts)| Some((listed_as, parts?))).collect();
    if listed.iter().any(|(_, parts)| parts.init_packet_data.is_some()) {
        return Err(old.to_owned());
    }
    if listed.is_empty() { Err("its manifest lists no firmware".to_owned()) } else { Ok(listed) }
}

impl Firmware {
    /// Every reason, other than its key, why a bootloader would not take it.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        let mut found = self.init.contradictions();
        let kind = self.init.kind;
        let fits = match self.listed_as {
            "softdevice_bootloader" => kind == Kind::SoftdeviceBootloader,
            "softdevice" => kind == Kind::Softdevice,
            "bootloader" => kind == Kind::Bootloader,
            "application" => kind == Kind::Application,
            _ => kind == Kind::ExternalApplication,
        };
        if !fits {
            found.push(format!("the manifest lists it as {}, its init packet is for {}", self.listed_as, kind.words()));
        }
        if self.init.size() != self.size {
            found.push(format!("`{}` has {} bytes, its init packet says {}", self.bin, self.size, self.init.size()));
        }
        if self.init.sha256 != self.sha256 {
            let (has, says) = (self.sha256, self.init.sha256);
            found.push(format!("`{}` has the SHA-256 {has}, its init packet says {says}", self.bin));
        }
        found
    }

    /// Whether this key signed its init packet.
    #[must_use]
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        self.init.signature.as_ref().is_some_and(|signature| signature.is_by(key, &self.init.command))
    }

    fn explain(&self, key: Option<&PublicKey>, list: &RefuseList) -> Branch {
        let init = &self.init;
        let number = |number: Option<u32>| number.map_or_else(|| "not said".to_owned(), |number| number.to_string());
        let boots: Vec<_> = init.boot_validation.iter().map(|validation| validation.words()).collect();
        let needs: Vec<_> = init.sd_req.iter().map(|id| softdevice(*id)).collect();
        let mut branch = Branch::new(init.kind.words(), format!("{}, {} bytes", self.bin, self.size))
            .with(version(init))
            .with(Branch::new("hardware", number(init.hw_version)))
            .with(Branch::new("needs", needs.join(", ")))
            .with(Branch::new("sha256", self.sha256.to_string()));
        if !boots.is_empty() {
            branch = branch.with(Branch::new("checked", boots.join(", ")));
        }
        for key in &self.keys {
            let what = format!("0x{:X}: P-256 key {}, which checks later updates", key.at, key.spki_sha256);
            branch = branch.with(Branch::new("key", what));
        }
        if init.is_debug {
            let why = "is_debug: a bootloader built for debugging takes it whatever its version";
            branch = branch.with(Branch::new("debug", "yes").warn(why));
        }
        branch = branch.with(self.signature(key, list));
        if let contradictions @ [_, ..] = &self.contradictions()[..] {
            branch = branch.warn(format!("would not be taken: {}", contradictions.join("; ")));
        }
        branch
    }

    fn signature(&self, key: Option<&PublicKey>, list: &RefuseList) -> Branch {
        let branch = |value: &str| Branch::new("signature", value);
        let Some(signature) = &self.init.signature else {
            let why = "unsigned: only a bootloader without signature check takes it, and that one takes anything";
            return branch("none").warn(why);
        };
        if let Some(refused) = signature.refused(&self.init.command, list) {
            return branch("ECDSA P-256").warn(format!("signed by a {refused}"));
        }
        match key {
            Some(key) if self.signed_by(key) => branch(&format!("ECDSA P-256, by key {}", key.short())),
            Some(key) => branch("ECDSA P-256").warn(format!("not by key {}", key.short())),
            None => {
                let makers = signature.makers(&self.init.command);
                let shorts: Vec<_> = makers.iter().map(PublicKey::short).collect();
                if shorts.is_empty() {
                    return branch("ECDSA P-256").warn("no key makes this signature: it is damaged");
                }
                let own =
                    makers.iter().find(|maker| self.keys.iter().any(|own| own.spki_sha256 == maker.spki_sha256()));
                branch(&match own {
                    Some(own) => format!("ECDSA P-256, by key {}, which this bootloader holds itself", own.short()),
                    None => format!("ECDSA P-256, by one of the keys {} (none pinned)", shorts.join(" or ")),
                })
            }
        }
    }
}

fn version(init: &Init) -> Branch {
    match init.fw_version {
        Some(u32::MAX) => Branch::new("version", "4294967295")
            .warn("all ones is what nrfutil writes if no version was given: no later version can follow it"),
        Some(version) => Branch::new("version", version.to_string()),
        None => Branch::new("version", "not said"),
    }
}

fn softdevice(id: u32) -> String {
    match (id, super::softdevice::name(id)) {
        (0, _) => "no SoftDevice".to_owned(),
        (0xFFFE, _) => "any SoftDevice (0xFFFE, what nrfutil writes if none was named)".to_owned(),
        (_, Some(name)) => format!("{name} (0x{id:02X})"),
        (_, None) => format!("SoftDevice 0x{id:02X}"),
    }
}

impl Package {
    /// Everything for which a bootloader with this key would refuse the package.
    #[must_use]
    pub fn verify(&self, key: &PublicKey) -> Vec<Problem> {
        let mut problems = Vec::new();
        for firmware in &self.firmwares {
            problems.extend(firmware.contradictions());
            let dat = &firmware.dat;
            if firmware.init.signature.is_none() {
                problems.push(format!("`{dat}` is not signed"));
            } else if !firmware.signed_by(key) {
                problems.push(format!("`{dat}` is not signed by key {}", key.spki_sha256()));
            }
        }
        problems.into_iter().map(|what| Problem::new(&*self.name, what)).collect()
    }

    /// Every firmware that a refused key signed, in whatever way the key is known to the list.
    #[must_use]
    pub fn refused(&self, list: &RefuseList) -> Vec<Problem> {
        let told = |firmware: &Firmware| {
            let refused = firmware.init.signature.as_ref()?.refused(&firmware.init.command, list)?;
            let what = format!("`{}` is signed by a {refused}", firmware.dat);
            Some(Problem::new(&*self.name, what).exit(Exit::KeyRefused))
        };
        self.firmwares.iter().filter_map(told).collect()
    }

    /// For people: what is in it, and what a bootloader would say; with the key, also whether that key signed it.
    #[must_use]
    pub fn explain(&self, key: Option<&PublicKey>, list: &RefuseList) -> Branch {
        let count = self.firmwares.len();
        let plural = if count == 1 { "firmware" } else { "firmwares" };
        let mut branch = Branch::new("DFU package", format!("nRF5 SDK secure DFU, {count} {plural}"));
        for firmware in &self.firmwares {
            branch = branch.with(firmware.explain(key, list));
        }
        if !self.unlisted.is_empty() {
            let why = "the manifest does not name it, and no device gets it";
            branch = branch.with(Branch::new("also inside", self.unlisted.join(", ")).warn(why));
        }
        branch
    }
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// CRC-32 as ZIP, zlib and the nRF5 SDK compute it: reflected 0x04C11DB7, inverted at both ends.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let index = usize::from(crc.to_le_bytes().first().copied().unwrap_or_default() ^ byte);
        CRC_TABLE.get(index).copied().unwrap_or_default() ^ crc >> 8
    })
}

const CRC_TABLE: [u32; 256] = crc_table();

#[expect(clippy::indexing_slicing, reason = "worked out by the compiler, which would refuse an index out of range")]
const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut number = 0_u32;
    while number < 256 {
        let mut value = number;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ value >> 1 } else { value >> 1 };
            bit += 1;
        }
        table[number as usize] = value;
        number += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
