//! A product file as written: every value typed and placed, nothing looked up yet.
//!
//! The same structures give the JSON Schema for editors; a test compares its keys with the tables of words (`words`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::serial::Check;
use crate::{
    ident::Digest,
    image::dfu::{Validation, patch},
    page::{Place, Placed},
};

/// The name of the key that each unit has for itself.
pub(super) const DEVICE: &str = "device";

/// A product: what the finished unit must be. One file each.
#[derive(Debug, Default, JsonSchema)]
#[schemars(title = "rootstamp product", deny_unknown_fields, rename = "Product")]
pub(super) struct Written {
    /// Version of this vocabulary.
    #[schemars(required, range(min = 1, max = 1))]
    pub(super) schema: Option<Placed<u32>>,
    /// Short code, as on the label.
    #[schemars(required)]
    pub(super) product: Option<Placed<String>>,
    /// Name for people.
    #[schemars(required)]
    pub(super) title: Option<Placed<String>>,
    /// The chip, as "nRF52840".
    #[schemars(required)]
    pub(super) chip: Option<Placed<String>>,
    /// The board, as release manifests call it, if that is not the product code.
    pub(super) board: Option<Placed<String>>,
    /// Which silicon will do, and how it arrives.
    #[schemars(with = "WrittenSilicon")]
    pub(super) silicon: Option<WrittenSilicon>,
    /// Whether boards come blank, or with a test program that is read before any erase.
    #[schemars(required)]
    pub(super) arrives: Option<Placed<Arrives>>,
    /// How a serial number looks.
    #[schemars(with = "WrittenSerial")]
    pub(super) serial: Option<WrittenSerial>,
    /// Public keys by name; [key.root] is called "root" elsewhere in this file.
    #[schemars(with = "Option<BTreeMap<String, WrittenKey>>")]
    pub(super) key: BTreeMap<String, WrittenKey>,
    /// What CI or the signing server must have vouched for.
    pub(super) release: Option<WrittenRelease>,
    /// What is flashed.
    #[schemars(length(min = 1))]
    pub(super) image: Vec<WrittenImage>,
    /// The board's electrical set-up, which ERASEALL wipes.
    pub(super) uicr: Option<WrittenUicr>,
    /// What is stamped into the chip for good.
    pub(super) stamp: Option<WrittenStamp>,
    /// What is locked at the end.
    #[schemars(with = "WrittenLock")]
    pub(super) lock: Option<WrittenLock>,
    /// What the finished board says when it boots.
    pub(super) boot: Option<WrittenBoot>,
}

/// Which silicon will do.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Silicon")]
pub(super) struct WrittenSilicon {
    /// Lowest build code that may be used, as "Fxx" or "F0"; older ones are refused.
    pub(super) at_least: Option<Placed<String>>,
    /// Whether the debug port of a virgin part is open or closed.
    #[schemars(required)]
    pub(super) ships: Option<Placed<Ships>>,
}

/// How a virgin part's debug port arrives.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ships {
    /// An erased UICR means open: old silicon.
    Open,
    /// An erased UICR means closed: hardened silicon.
    Closed,
}

/// In which state boards come to the station.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrives {
    /// Nothing on them is worth reading.
    Blank,
    /// They carry a test program; what is on them is read before any erase.
    Tested,
}

/// How a serial number looks.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Serial")]
pub(super) struct WrittenSerial {
    /// Letters, digits, hyphens, classes as [0-9A-Z] and counts as {7}.
    #[schemars(required)]
    pub(super) pattern: Option<Placed<String>>,
    /// How the last character follows from the others.
    pub(super) check: Option<Placed<Check>>,
}

/// A public key: of all units, or, as [key.device], of each unit its own; or, with a `purpose`, the fingerprint of the
/// private key that a bootloader carries to decrypt images.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Key")]
pub(super) struct WrittenKey {
    #[schemars(skip)]
    pub(super) place: Place,
    /// PEM or DER file, seen from this file.
    pub(super) file: Option<Placed<String>>,
    /// SHA-256 of its SubjectPublicKeyInfo: the file may be swapped, the pin may not.
    #[schemars(with = "Option<String>", regex(pattern = "^(sha256:)?[0-9a-fA-F]{64}$"))]
    pub(super) spki_sha256: Option<Placed<Digest>>,
    /// How each unit's own key is chosen; in [key.device] only.
    pub(super) select: Option<WrittenSelect>,
    /// What else than signing it is for; such a key has no `file`, only the fingerprint of its public half.
    pub(super) purpose: Option<Placed<Purpose>>,
}

/// What a key is for that signs nothing.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Purpose {
    /// The bootloader carries its private half to decrypt images.
    DeviceDecryption,
}

/// How each unit's own key is chosen.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Select")]
pub(super) struct WrittenSelect {
    /// What the table goes by.
    #[schemars(required)]
    pub(super) by: Option<Placed<By>>,
    /// CSV file with the columns serial and key, seen from this file; public halves only.
    #[schemars(required)]
    pub(super) table: Option<Placed<String>>,
    /// SHA-256 of the table.
    #[schemars(with = "Option<String>", regex(pattern = "^(sha256:)?[0-9a-fA-F]{64}$"))]
    pub(super) sha256: Option<Placed<Digest>>,
}

/// What a table of keys goes by.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum By {
    /// The serial number on the label.
    Serial,
}

/// Where a unit's own key goes.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Patch")]
pub(super) struct WrittenPatch {
    #[schemars(skip)]
    pub(super) place: Place,
    /// Address of the key's first byte.
    #[schemars(required)]
    pub(super) at: Option<Placed<u32>>,
    /// In which form the key stands there.
    #[schemars(required)]
    pub(super) form: Option<Placed<patch::Form>>,
}

/// A release manifest that must vouch for every image and key.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Release")]
pub(super) struct WrittenRelease {
    /// DSSE envelope with an in-toto statement, seen from this file.
    #[schemars(required)]
    pub(super) manifest: Option<Placed<String>>,
    /// Names of the keys that sign releases.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub(super) keys: Vec<Placed<String>>,
    /// How many of them must have signed; 1 if it is not said.
    #[schemars(range(min = 1))]
    pub(super) threshold: Option<Placed<u32>>,
}

/// An image.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Image")]
pub(super) struct WrittenImage {
    #[schemars(skip)]
    pub(super) place: Place,
    /// Name in messages and records.
    #[schemars(required)]
    pub(super) name: Option<Placed<String>>,
    /// Intel HEX (.hex), ELF (.elf) or raw (.bin) file, seen from this file.
    #[schemars(required)]
    pub(super) file: Option<Placed<String>>,
    /// SHA-256 of the file.
    #[schemars(with = "String", regex(pattern = "^(sha256:)?[0-9a-fA-F]{64}$"))]
    pub(super) sha256: Option<Placed<Digest>>,
    /// What it must prove to be.
    #[schemars(required)]
    pub(super) is: Option<Placed<Is>>,
    /// Address of a raw file.
    pub(super) at: Option<Placed<u32>>,
    /// How a bootloader knows its key.
    pub(super) keys: Option<Placed<Inside>>,
    /// Names of the keys that a bootloader may trust.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) trusts: Vec<Placed<String>>,
    /// Name of the key that signed it.
    pub(super) signed: Option<Placed<String>>,
    /// Version that an image for MCUboot must have, as "1.4.2" or "1.4.2+7".
    #[schemars(with = "Option<String>", regex(pattern = "^[0-9]+\\.[0-9]+\\.[0-9]+(\\+[0-9]+)?$"))]
    pub(super) version: Option<Placed<String>>,
    /// Number of an image for MCUboot among those that it starts; 0 if it is not said.
    #[schemars(range(max = 255))]
    pub(super) number: Option<Placed<u32>>,
    /// Where each unit's own key goes.
    pub(super) patch: Option<WrittenPatch>,
}

/// What an image must prove to be.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Is {
    /// The bootloader MCUboot.
    Mcuboot,
    /// An image that MCUboot starts.
    McubootImage,
    /// Nordic's immutable bootloader, b0.
    Nsib,
    /// What that bootloader's storage is to hold.
    NsibProvision,
    /// Bytes that nothing is known about.
    Raw,
}

impl Is {
    /// The words of recipes.
    pub(super) const WORDS: [(&str, Self); 5] = [
        ("mcuboot", Self::Mcuboot),
        ("mcuboot-image", Self::McubootImage),
        ("nsib", Self::Nsib),
        ("nsib-provision", Self::NsibProvision),
        ("raw", Self::Raw),
    ];

    /// As recipes write it.
    pub(super) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, is)| *is == self).map_or("", |(word, _)| word)
    }
}

/// How a bootloader knows its key.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inside {
    /// No key inside: the hash on the chip rules.
    HwKey,
    /// No key inside: the chip's key slots rule.
    Kmu,
    /// Every key found inside is one of those it trusts.
    Embedded,
}

/// Settings in UICR.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Uicr")]
pub(super) struct WrittenUicr {
    /// Output voltage of the first regulator stage.
    pub(super) regout0: Option<Placed<Volts>>,
    /// The pin that resets the chip, as "P0.18".
    #[schemars(with = "Option<String>", regex(pattern = "^P[01]\\.[0-9]{1,2}$"))]
    pub(super) pselreset: Option<Placed<Pin>>,
    /// What the two NFC pins are.
    pub(super) nfcpins: Option<Placed<NfcPins>>,
    /// Where the master boot record of the nRF5 SDK finds its bootloader.
    pub(super) bootloader: Option<Placed<u32>>,
    /// The page in which it finds its parameters, and the bootloader the backup of its settings.
    pub(super) mbr_params: Option<Placed<u32>>,
}

/// Output voltages of REG0. [nRF52840 PS, UICR.REGOUT0]
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Volts {
    /// 1.8 V.
    #[serde(rename = "1.8V")]
    V1_8,
    /// 2.1 V.
    #[serde(rename = "2.1V")]
    V2_1,
    /// 2.4 V.
    #[serde(rename = "2.4V")]
    V2_4,
    /// 2.7 V.
    #[serde(rename = "2.7V")]
    V2_7,
    /// 3.0 V.
    #[serde(rename = "3.0V")]
    V3_0,
    /// 3.3 V.
    #[serde(rename = "3.3V")]
    V3_3,
}

/// A pin of the chip.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pin {
    /// 0 or 1.
    pub port: u8,
    /// 0 to 31.
    pub pin: u8,
}

/// What the NFC pins are.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NfcPins {
    /// Ordinary pins.
    Gpio,
    /// An antenna.
    Nfc,
}

/// Stamps.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Stamp")]
pub(super) struct WrittenStamp {
    /// Where the root of trust goes.
    pub(super) key_hash: Option<WrittenKeyHash>,
    /// The rollback counter.
    pub(super) counter: Option<WrittenCounter>,
    /// The serial number on the chip.
    pub(super) serial: Option<WrittenSerialStamp>,
    /// The settings page of an nRF5 SDK bootloader.
    pub(super) dfu_settings: Option<WrittenDfuSettings>,
    /// What Nordic's immutable bootloader finds in its storage.
    pub(super) nsib: Option<WrittenNsib>,
    /// Keys in the key management unit.
    #[schemars(with = "Option<Vec<WrittenKmu>>")]
    pub(super) kmu: Vec<WrittenKmu>,
    /// The boot region that becomes immutable.
    pub(super) bootconf: Option<WrittenBootconf>,
}

/// The boot region that becomes immutable with the next reset; only ERASEALL takes that back. nRF54L only.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Bootconf")]
pub(super) struct WrittenBootconf {
    #[schemars(skip)]
    pub(super) place: Place,
    /// Its length from address 0 on, in KiB.
    #[schemars(required, range(min = 1, max = 1023))]
    pub(super) protect_kib: Option<Placed<u32>>,
}

/// What Nordic's immutable bootloader finds in its storage. With `at` it is made; an image with is = "nsib-provision" must
/// say the same.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Nsib")]
pub(super) struct WrittenNsib {
    #[schemars(skip)]
    pub(super) place: Place,
    /// Generation of the data, as the bootloader was built with.
    #[schemars(required)]
    pub(super) format: Option<Placed<String>>,
    /// Where the storage begins: the data is made from these words.
    pub(super) at: Option<Placed<u32>>,
    /// Length of the storage in bytes, if it is not that of Nordic's own layouts.
    #[schemars(range(min = 1))]
    pub(super) size: Option<Placed<u32>>,
    /// How many bytes the memory takes in one write; the chip has only one.
    #[schemars(range(min = 2, max = 4))]
    pub(super) write_width: Option<Placed<u32>>,
    /// Whether MCUboot alone uses the storage, without Nordic's immutable bootloader: then there are no keys and slots.
    pub(super) mcuboot_only: Option<Placed<bool>>,
    /// Names of its keys. Order matters: starting with one revokes those before it.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) keys: Vec<Placed<String>>,
    /// PSA certification reference, at most 19 visible ASCII characters.
    #[schemars(length(min = 1, max = 19))]
    pub(super) reference: Option<Placed<String>>,
    /// Address of slot 0.
    pub(super) s0: Option<Placed<u32>>,
    /// Address of slot 1; that of slot 0 if there is none.
    pub(super) s1: Option<Placed<u32>>,
    /// Counters, and how often each can rise.
    pub(super) counters: Option<WrittenCounters>,
}

/// How often each counter can rise; one that is not named must not be there.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Counters")]
pub(super) struct WrittenCounters {
    /// Versions of what the immutable bootloader starts.
    pub(super) nsib: Option<Placed<u32>>,
    /// Security counters of what MCUboot starts.
    pub(super) mcuboot: Option<Placed<u32>>,
}

/// Keys in the key management unit, for one verifier.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Kmu")]
pub(super) struct WrittenKmu {
    #[schemars(skip)]
    pub(super) place: Place,
    /// Which verifier reads the slots.
    #[schemars(required)]
    pub(super) boot: Option<Placed<Verifier>>,
    /// The SDK it was built with: MCUboot alone reads other slots since 3.2.0.
    pub(super) sdk: Option<Placed<Sdk>>,
    /// Whether it was built with SB_CONFIG_MCUBOOT_SIGNATURE_KMU_UROT_MAPPING.
    pub(super) urot_mapping: Option<Placed<bool>>,
    /// Key file of west or nrfutil, seen from this file; without one, the slots are made from `keys`.
    pub(super) file: Option<Placed<String>>,
    /// In the order of the slots.
    #[schemars(length(min = 1, max = 3))]
    pub(super) keys: Vec<WrittenKmuKey>,
}

/// One key in the key management unit.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "KmuKey")]
pub(super) struct WrittenKmuKey {
    #[schemars(skip)]
    pub(super) place: Place,
    /// Name of the key.
    #[schemars(required)]
    pub(super) key: Option<Placed<String>>,
    /// What can become of it.
    #[schemars(required)]
    pub(super) policy: Option<Placed<Policy>>,
}

/// Which verifier reads key slots.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verifier {
    /// Nordic's immutable bootloader.
    Nsib,
    /// MCUboot alone.
    Mcuboot,
    /// MCUboot, started by Nordic's immutable bootloader.
    McubootUnderNsib,
}

/// Generations of the SDK, as far as they matter to key slots.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
pub(super) enum Sdk {
    /// Before 3.2.0.
    #[serde(rename = "<3.2.0")]
    Before3_2,
    /// 3.2.0 and later.
    #[serde(rename = ">=3.2.0")]
    From3_2,
}

/// What can become of a key in a slot.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Policy {
    /// It can be deleted and written again.
    Rotating,
    /// It can be revoked once.
    Revokable,
    /// It stays until ERASEALL.
    Locked,
}

/// The settings page of an nRF5 SDK bootloader: which application it may start.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "DfuSettings")]
pub(super) struct WrittenDfuSettings {
    #[schemars(skip)]
    pub(super) place: Place,
    /// Layout of the page.
    #[schemars(required, range(min = 1, max = 2))]
    pub(super) version: Option<Placed<u32>>,
    /// Name of the image it vouches for.
    #[schemars(required)]
    pub(super) application: Option<Placed<String>>,
    /// Version of that application; an update must not be older.
    #[schemars(required)]
    pub(super) app_version: Option<Placed<u32>>,
    /// Version of the bootloader.
    #[schemars(required)]
    pub(super) bl_version: Option<Placed<u32>>,
    /// How the application is checked at every boot; "crc" if it is not said. Layout 2 only.
    #[schemars(with = "Option<BootCheck>")]
    pub(super) boot_check: Option<Placed<Validation>>,
}

/// How an application is checked at every boot.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "the words for editors; `boot_check` reads them")]
enum BootCheck {
    None,
    Crc,
    Sha256,
}

/// Where the root of trust goes, and who reads it.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "KeyHash")]
pub(super) struct WrittenKeyHash {
    #[schemars(skip)]
    pub(super) place: Place,
    /// Name of the key.
    #[schemars(required)]
    pub(super) key: Option<Placed<String>>,
    /// What is hashed, and how.
    #[schemars(required)]
    pub(super) form: Option<Placed<Form>>,
    /// First word, as "uicr.customer[0]".
    #[schemars(with = "String", regex(pattern = "^[a-z0-9_.]+\\[[0-9]+\\]$"))]
    pub(super) at: Option<Placed<(String, u32)>>,
    /// Who reads it on the chip; "nobody" is said in the record.
    #[schemars(required)]
    pub(super) read_by: Option<Placed<ReadBy>>,
}

/// In which form a key is stamped.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// SHA-256 of the SubjectPublicKeyInfo in DER, eight little-endian words.
    SpkiSha256,
}

/// Who reads a stamp on the chip.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadBy {
    /// MCUboot built with MCUBOOT_HW_KEY.
    McubootHwKey,
    /// The application.
    App,
    /// Nobody: the stamp is a mark and protects nothing.
    Nobody,
}

/// The rollback counter.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Counter")]
pub(super) struct WrittenCounter {
    /// First word, as "uicr.customer[8]".
    #[schemars(with = "String", regex(pattern = "^[a-z0-9_.]+\\[[0-9]+\\]$"))]
    pub(super) at: Option<Placed<(String, u32)>>,
    /// Lifetime security updates: one word each.
    #[schemars(required, range(min = 1))]
    pub(super) slots: Option<Placed<u32>>,
    /// Value the board leaves the line with.
    #[schemars(required)]
    pub(super) initial: Option<Placed<u32>>,
    /// Who reads it on the chip.
    #[schemars(required)]
    pub(super) read_by: Option<Placed<ReadBy>>,
}

/// The serial number on the chip: ASCII, little-endian words, padded with FF.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "SerialStamp")]
pub(super) struct WrittenSerialStamp {
    /// First word, as "uicr.customer[24]".
    #[schemars(with = "String", regex(pattern = "^[a-z0-9_.]+\\[[0-9]+\\]$"))]
    pub(super) at: Option<Placed<(String, u32)>>,
}

/// What is locked at the end.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Lock")]
pub(super) struct WrittenLock {
    /// Whether the debug port is closed.
    #[schemars(required)]
    pub(super) approtect: Option<Placed<bool>>,
}

/// What the finished board says when it boots; without it the verdict says "boot not observed".
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Boot")]
pub(super) struct WrittenBoot {
    /// What is expected, and when.
    #[schemars(with = "WrittenExpect")]
    pub(super) expect: Option<WrittenExpect>,
}

/// A line on the board's console.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Expect")]
pub(super) struct WrittenExpect {
    /// Text that comes over the UART.
    #[schemars(required)]
    pub(super) uart: Option<Placed<String>>,
    /// Time after the reset, in milliseconds.
    #[schemars(required, range(min = 1, max = 60_000))]
    pub(super) within_ms: Option<Placed<u32>>,
}
