//! The init packet: what a bootloader of the nRF5 SDK is told about firmware before it takes it.
//! [nordic-facts C6; pc-nrfutil 6.1.7, dfu-cc.proto]

use serde::Serialize;

use super::wire::{Message, Slice, Value, packed};
use crate::ident::Digest;

/// What the bootloader has room for, in bytes. [nRF5 SDK 17.1, INIT_COMMAND_MAX_SIZE]
pub const PACKET_MAX: usize = 512;

/// What kind of firmware it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The application.
    Application,
    /// Nordic's radio stack.
    Softdevice,
    /// The bootloader itself.
    Bootloader,
    /// Both, one after the other.
    SoftdeviceBootloader,
    /// Firmware of another chip, passed on by the application.
    ExternalApplication,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Application, Self::Softdevice, Self::Bootloader, Self::SoftdeviceBootloader, Self::ExternalApplication];

    /// As a person reads it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Softdevice => "SoftDevice",
            Self::Bootloader => "bootloader",
            Self::SoftdeviceBootloader => "SoftDevice and bootloader",
            Self::ExternalApplication => "application of another chip",
        }
    }
}

/// How the bootloader checks firmware each time it starts it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// Not at all.
    None,
    /// By a CRC32 it computed when the firmware came.
    Crc,
    /// By its SHA-256.
    Sha256,
    /// By a signature of its own.
    EcdsaP256Sha256,
}

impl Validation {
    pub(super) const ALL: [Self; 4] = [Self::None, Self::Crc, Self::Sha256, Self::EcdsaP256Sha256];

    /// As a person reads it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "not checked at boot",
            Self::Crc => "CRC32 at boot",
            Self::Sha256 => "SHA-256 at boot",
            Self::EcdsaP256Sha256 => "ECDSA P-256 at boot",
        }
    }
}

/// A signature by P-256 over the init command.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Signature {
    /// r and s as the file holds them, each with its last byte first.
    #[serde(serialize_with = "hexadecimal")]
    pub little_endian: [u8; 64],
}

/// An init packet, taken apart. Taken apart is not yet believed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Init {
    /// Version of the firmware; the bootloader refuses to go back, except for an application where it was built so.
    pub fw_version: Option<u32>,
    /// Which hardware it is for.
    pub hw_version: Option<u32>,
    /// Firmware ids of SoftDevices that may be on the chip; 0x00 means none is needed.
    pub sd_req: Vec<u32>,
    /// What kind of firmware it is.
    pub kind: Kind,
    /// Length of the SoftDevice, in bytes.
    pub sd_size: u32,
    /// Length of the bootloader, in bytes.
    pub bl_size: u32,
    /// Length of the application, in bytes.
    pub app_size: u32,
    /// SHA-256 of the firmware, in its usual order: the file holds its last byte first.
    pub sha256: Digest,
    /// Whether a bootloader built for debugging skips the version checks.
    pub is_debug: bool,
    /// How each firmware in it is checked at every boot, in the order SoftDevice or application.
    pub boot_validation: Vec<Validation>,
    /// The signature, if it has one.
    pub signature: Option<Signature>,
    /// The bytes that are signed: the init command as it stands in the file.
    #[serde(skip)]
    pub command: Vec<u8>,
}

impl Init {
    /// Takes a `.dat` file apart.
    ///
    /// # Errors
    /// What it is instead, with the offset in the file.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > PACKET_MAX {
            return Err(format!("is {} bytes long, and no bootloader takes more than {PACKET_MAX}", bytes.len()));
        }
        let mut packet = Message::read("the init packet", Slice { at: 0, bytes })?;
        let (plain, signed) = (packet.bytes(1, "command")?, packet.bytes(2, "signed command")?);
        packet.done()?;
        match (plain, signed) {
            (Some(command), None) => command_of(command, None),
            (None, Some(signed)) => signed_command(signed),
            (Some(_), Some(_)) => Err("holds both a signed and an unsigned command".to_owned()),
            (None, None) => Err("holds no command: it is no init packet".to_owned()),
        }
    }

    /// How long the firmware must be, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let (sd, bl, app) = (self.sd_size.into(), self.bl_size.into(), self.app_size.into());
        match self.kind {
            Kind::Application | Kind::ExternalApplication => app,
            Kind::Softdevice => sd,
            Kind::Bootloader => bl,
            Kind::SoftdeviceBootloader => sd + bl,
        }
    }

    /// What the bootloader would stumble over, whatever the firmware is.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        let used = match self.kind {
            Kind::Application | Kind::ExternalApplication => [false, false, true],
            Kind::Softdevice => [true, false, false],
            Kind::Bootloader => [false, true, false],
            Kind::SoftdeviceBootloader => [true, true, false],
        };
        let sizes = [("sd_size", self.sd_size), ("bl_size", self.bl_size), ("app_size", self.app_size)];
        let mut found = Vec::new();
        for ((name, size), used) in sizes.into_iter().zip(used) {
            if used && size == 0 {
                found.push(format!("{name} is 0 in an init packet for {}", self.kind.words()));
            } else if !used && size != 0 {
                found.push(format!("{name} is {size} in an init packet for {}", self.kind.words()));
            }
        }
        if self.fw_version.is_none() {
            found.push("it has no fw_version, which a bootloader asks for".to_owned());
        }
        if self.hw_version.is_none() {
            found.push("it has no hw_version, which a bootloader asks for".to_owned());
        }
        found
    }
}

fn signed_command(slice: Slice<'_>) -> Result<Init, String> {
    let mut signed = Message::read("the signed command", slice)?;
    let command = signed.bytes(1, "command")?;
    let kind = signed.number(2, "signature_type")?;
    let signature = signed.bytes(3, "signature")?;
    let (command, kind, signature) =
        (signed.need("command", command)?, signed.need("type", kind)?, signed.need("signature", signature)?);
    signed.done()?;
    if kind != 0 {
        let name =
            if kind == 1 { "Ed25519, which no bootloader of the SDK checks".to_owned() } else { kind.to_string() };
        return Err(format!("has a signature of type {name}; ECDSA P-256 with SHA-256 is expected"));
    }
    let little_endian = <[u8; 64]>::try_from(signature.bytes).map_err(|_| {
        format!("has a signature of {} bytes at offset {:#x}; 64 are expected", signature.bytes.len(), signature.at)
    })?;
    command_of(command, Some(Signature { little_endian }))
}

fn command_of(slice: Slice<'_>, signature: Option<Signature>) -> Result<Init, String> {
    let mut command = Message::read("the command", slice)?;
    let (code, init) = (command.number(1, "op_code")?, command.bytes(2, "init command")?);
    let code = command.need("op_code", code)?;
    if code != 1 {
        return Err(format!("has op_code {code}; an init packet has 1 (INIT)"));
    }
    let init = command.need("init command", init)?;
    command.done()?;
    init_of(init, signature)
}

fn init_of(slice: Slice<'_>, signature: Option<Signature>) -> Result<Init, String> {
    let mut init = Message::read("the init command", slice)?;
    // The bootloader asks whether it is there; a missing one is no application. [nRF5 SDK nrf_dfu_ver_validation.c, fw_type_ok]
    let kind = init.number(4, "type")?;
    let kind = init.need("type", kind)?;
    let hash = init.bytes(8, "hash")?;
    let hash = init.need("hash", hash)?;
    let is_debug = init.number(9, "is_debug")?.unwrap_or_default();
    let read = Init {
        fw_version: init.number(1, "fw_version")?,
        hw_version: init.number(2, "hw_version")?,
        sd_req: numbers(&mut init)?,
        kind: choice(&Kind::ALL, kind).ok_or_else(|| format!("has firmware type {kind}, which is not known"))?,
        sd_size: init.number(5, "sd_size")?.unwrap_or_default(),
        bl_size: init.number(6, "bl_size")?.unwrap_or_default(),
        app_size: init.number(7, "app_size")?.unwrap_or_default(),
        sha256: hash_of(hash)?,
        is_debug: is_debug != 0,
        boot_validation: init.all(10).into_iter().map(validation).collect::<Result<_, _>>()?,
        signature,
        command: slice.bytes.to_vec(),
    };
    init.done()?;
    if is_debug > 1 { Err(format!("has is_debug = {is_debug}; 0 or 1 is expected")) } else { Ok(read) }
}

/// A list may come packed or one by one; nrfutil packs it, older versions did not.
fn numbers(init: &mut Message<'_>) -> Result<Vec<u32>, String> {
    let mut numbers = Vec::new();
    for (at, value) in init.all(3) {
        match value {
            Value::Bytes(slice) => numbers.extend(packed(slice)?),
            Value::Number(number) => {
                let number = u32::try_from(number).map_err(|_| format!("sd_req at offset {at:#x} is out of range"))?;
                numbers.push(number);
            }
        }
    }
    Ok(numbers)
}

fn hash_of(slice: Slice<'_>) -> Result<Digest, String> {
    let mut hash = Message::read("the hash", slice)?;
    let (kind, bytes) = (hash.number(1, "hash_type")?, hash.bytes(2, "hash")?);
    let (kind, bytes) = (hash.need("hash_type", kind)?, hash.need("hash", bytes)?);
    hash.done()?;
    if kind != 3 {
        return Err(format!("has a hash of type {kind}; the bootloader takes 3 (SHA-256) only"));
    }
    let mut digest = <[u8; 32]>::try_from(bytes.bytes).map_err(|_| {
        format!("has a SHA-256 of {} bytes at offset {:#x}; 32 are expected", bytes.bytes.len(), bytes.at)
    })?;
    digest.reverse();
    Ok(Digest(digest))
}

fn validation((at, value): (usize, Value<'_>)) -> Result<Validation, String> {
    let Value::Bytes(slice) = value else { return Err(format!("boot_validation at offset {at:#x} is a number")) };
    let mut message = Message::read("boot_validation", slice)?;
    let kind = message.number(1, "type")?;
    let kind = message.need("type", kind)?;
    // What it is compared with; the bootloader has the last word on its length.
    message.bytes(2, "bytes")?;
    message.done()?;
    choice(&Validation::ALL, kind).ok_or_else(|| format!("has boot_validation {kind}, which is not known"))
}

fn choice<T: Copy>(all: &[T], number: u32) -> Option<T> {
    all.get(usize::try_from(number).ok()?).copied()
}

fn hexadecimal<S: serde::Serializer>(bytes: &[u8; 64], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&crate::ident::hex(bytes))
}
