//! A product file as written: every value typed and placed, nothing looked up yet.
//!
//! The same structures give the JSON Schema for editors; a test compares its keys with the tables of words here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::serial::Check;
use crate::{
    file::Read,
    ident::Digest,
    image::dfu::{Validation, patch},
    page::{self, Place, Placed, Table, Words},
};

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
    /// Lowest build code that may be used, as "Fxx"; older ones are refused.
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
    /// Intel HEX (.hex) or raw (.bin) file, seen from this file.
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
}

/// What Nordic's immutable bootloader finds in its storage; the image with is = "nsib-provision" must say the same.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Nsib")]
pub(super) struct WrittenNsib {
    #[schemars(skip)]
    pub(super) place: Place,
    /// Generation of the data, as the bootloader was built with.
    #[schemars(required)]
    pub(super) format: Option<Placed<String>>,
    /// Names of its keys. Order matters: starting with one revokes those before it.
    #[schemars(with = "Vec<String>")]
    pub(super) keys: Vec<Placed<String>>,
    /// Address of slot 0.
    pub(super) s0: Option<Placed<u32>>,
    /// Address of slot 1.
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
    /// Key file of west or nrfutil, seen from this file.
    #[schemars(required)]
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

const LATER: &str = "comes with a later release; this one knows";

/// The tables of words, with the JSON Schema definition that each belongs to.
#[cfg(test)]
pub(super) const TABLES: &[(&str, Words)] = &[
    ("Product", PRODUCT),
    ("Silicon", SILICON),
    ("Serial", SERIAL),
    ("Key", KEY),
    ("Select", SELECT),
    ("Patch", PATCH),
    ("Release", RELEASE),
    ("Image", IMAGE),
    ("Uicr", UICR),
    ("Stamp", STAMP),
    ("KeyHash", KEY_HASH),
    ("Counter", COUNTER),
    ("SerialStamp", SERIAL_STAMP),
    ("DfuSettings", DFU_SETTINGS),
    ("Nsib", NSIB),
    ("Counters", COUNTERS),
    ("Kmu", KMU),
    ("KmuKey", KMU_KEY),
    ("Lock", LOCK),
    ("Boot", BOOT),
    ("Expect", EXPECT),
];

const PRODUCT: Words = Words {
    table: "a product",
    required: &["schema", "product", "title", "chip", "silicon", "arrives", "serial", "image", "lock"],
    optional: &["board", "key", "release", "uicr", "stamp", "boot"],
    elsewhere: &[
        ("keep", "comes with a later release; this one keeps nothing of what a board arrives with"),
        ("order", "belongs into an order, not into a product; signed orders come with a later release"),
        ("mode", "belongs into the station's file, not into a product"),
        ("site", "belongs into the station's file, not into a product"),
    ],
};

const SILICON: Words = Words { table: "`silicon`", required: &["ships"], optional: &["at_least"], elsewhere: &[] };

const SERIAL: Words = Words { table: "[serial]", required: &["pattern"], optional: &["check"], elsewhere: &[] };

const KEY: Words = Words {
    table: "a [key.…]",
    required: &[],
    optional: &["file", "spki_sha256", "select", "purpose"],
    elsewhere: &[],
};

const SELECT: Words = Words { table: "`select`", required: &["by", "table"], optional: &["sha256"], elsewhere: &[] };

const PATCH: Words = Words { table: "`patch`", required: &["at", "form"], optional: &[], elsewhere: &[] };

const RELEASE: Words =
    Words { table: "[release]", required: &["manifest", "keys"], optional: &["threshold"], elsewhere: &[] };

const IMAGE: Words = Words {
    table: "an [[image]]",
    required: &["name", "file", "sha256", "is"],
    optional: &["at", "keys", "trusts", "signed", "version", "patch"],
    elsewhere: &[
        ("core", "does not exist on a chip with one core"),
        ("encrypted", "is not said: the image itself says it; declare the device's key as [key.decrypt]"),
    ],
};

const UICR: Words = Words {
    table: "[uicr]",
    required: &[],
    optional: &["regout0", "pselreset", "nfcpins"],
    elsewhere: &[
        ("approtect", "is said under [lock]"),
        ("customer", "is filled by [stamp.key_hash], [stamp.counter] and [stamp.serial]"),
        ("debugctrl", "comes with a later release; this one knows regout0, pselreset and nfcpins"),
    ],
};

const STAMP: Words = Words {
    table: "[stamp]",
    required: &[],
    optional: &["key_hash", "counter", "serial", "dfu_settings", "nsib", "kmu"],
    elsewhere: &[
        ("bootconf", "does not exist on this chip: only nRF54L has it; this release knows key_hash, counter, serial"),
        ("blob", "(data per unit) comes with a later release; this one knows key_hash, counter, serial"),
    ],
};

const KEY_HASH: Words =
    Words { table: "[stamp.key_hash]", required: &["key", "form", "at", "read_by"], optional: &[], elsewhere: &[] };

const COUNTER: Words =
    Words { table: "[stamp.counter]", required: &["at", "slots", "initial", "read_by"], optional: &[], elsewhere: &[] };

const SERIAL_STAMP: Words = Words { table: "[stamp.serial]", required: &["at"], optional: &[], elsewhere: &[] };

const DFU_SETTINGS: Words = Words {
    table: "[stamp.dfu_settings]",
    required: &["version", "application", "app_version", "bl_version"],
    optional: &["boot_check"],
    elsewhere: &[],
};

const NSIB: Words = Words {
    table: "[stamp.nsib]",
    required: &["format", "keys"],
    optional: &["s0", "s1", "counters"],
    elsewhere: &[("file", "is an [[image]] with is = \"nsib-provision\"")],
};

const COUNTERS: Words = Words { table: "`counters`", required: &[], optional: &["nsib", "mcuboot"], elsewhere: &[] };

const KMU: Words = Words {
    table: "a [[stamp.kmu]]",
    required: &["boot", "file", "keys"],
    optional: &["sdk", "urot_mapping"],
    elsewhere: &[],
};

const KMU_KEY: Words = Words { table: "a key of `keys`", required: &["key", "policy"], optional: &[], elsewhere: &[] };

const LOCK: Words = Words {
    table: "[lock]",
    required: &["approtect"],
    optional: &[],
    elsewhere: &[
        ("secure", "does not exist on this chip: it has no secure debug port; it has approtect"),
        ("network", "does not exist on this chip: it has one core; it has approtect"),
        ("erase", "does not exist on this chip: it has no ERASEPROTECT; it has approtect"),
    ],
};

const BOOT: Words = Words { table: "[boot]", required: &["expect"], optional: &[], elsewhere: &[] };

const EXPECT: Words = Words { table: "`expect`", required: &["uart", "within_ms"], optional: &[], elsewhere: &[] };

/// Reads the file as written; the problems are those that need nothing else to be seen.
pub(super) fn read(file: &Read) -> (Option<Written>, Vec<crate::fault::Problem>) {
    page::read(file, PRODUCT, product)
}

fn product(table: &Table<'_>) -> Written {
    let silicon = table.table("silicon", SILICON);
    let serial = table.table("serial", SERIAL);
    Written {
        schema: table.number("schema"),
        product: table.text("product"),
        title: table.text("title"),
        chip: table.text("chip"),
        board: table.text("board"),
        silicon: silicon.map(|table| WrittenSilicon {
            at_least: table.text("at_least"),
            ships: table.word("ships", &[("open", Ships::Open), ("closed", Ships::Closed)]),
        }),
        arrives: table.word("arrives", &[("blank", Arrives::Blank), ("tested", Arrives::Tested)]),
        serial: serial.map(|table| WrittenSerial {
            pattern: table.text("pattern"),
            check: table.word("check", &[("iso7064-mod37-36", Check::Iso7064Mod37Mod36)]),
        }),
        key: keys(table),
        release: table.table("release", RELEASE).map(|table| WrittenRelease {
            manifest: table.text("manifest"),
            keys: table.texts("keys"),
            threshold: table.number("threshold"),
        }),
        image: table.tables("image", IMAGE).iter().map(image).collect(),
        uicr: table.table("uicr", UICR).as_ref().map(uicr),
        stamp: table.table("stamp", STAMP).as_ref().map(stamp),
        lock: table.table("lock", LOCK).map(|table| WrittenLock { approtect: table.flag("approtect") }),
        boot: table.table("boot", BOOT).map(|table| WrittenBoot {
            expect: table
                .table("expect", EXPECT)
                .map(|table| WrittenExpect { uart: table.text("uart"), within_ms: table.number("within_ms") }),
        }),
    }
}

/// The name of the key that each unit has for itself.
pub(super) const DEVICE: &str = "device";

fn keys(table: &Table<'_>) -> BTreeMap<String, WrittenKey> {
    let mut keys = BTreeMap::new();
    for (name, table) in table.named("key", KEY) {
        let purpose = table.word("purpose", &[("device-decryption", Purpose::DeviceDecryption)]);
        if name == DEVICE {
            table.needs("select");
        } else if purpose.is_some() {
            table.needs("spki_sha256");
        } else {
            ["file", "spki_sha256"].into_iter().for_each(|key| table.needs(key));
        }
        let key = WrittenKey {
            place: table.place.clone(),
            file: table.text("file"),
            spki_sha256: table.digest("spki_sha256"),
            select: table.table("select", SELECT).map(|table| WrittenSelect {
                by: table.word("by", &[("serial", By::Serial)]),
                table: table.text("table"),
                sha256: table.digest("sha256"),
            }),
            purpose,
        };
        keys.insert(name, key);
    }
    keys
}

const IS: [(&str, Is); 5] = [
    ("mcuboot", Is::Mcuboot),
    ("mcuboot-image", Is::McubootImage),
    ("nsib", Is::Nsib),
    ("nsib-provision", Is::NsibProvision),
    ("raw", Is::Raw),
];

const INSIDE: [(&str, Inside); 3] = [("hw-key", Inside::HwKey), ("kmu", Inside::Kmu), ("embedded", Inside::Embedded)];

fn image(table: &Table<'_>) -> WrittenImage {
    let is = table.word("is", &IS);
    match is.as_ref().map(|is| is.value) {
        Some(Is::Mcuboot) => ["keys", "trusts"].into_iter().for_each(|key| table.needs(key)),
        Some(Is::McubootImage) => table.needs("signed"),
        Some(Is::Nsib | Is::NsibProvision | Is::Raw) | None => {}
    }
    WrittenImage {
        place: table.place.clone(),
        name: table.text("name"),
        file: table.text("file"),
        sha256: table.digest("sha256"),
        is,
        at: table.number("at"),
        keys: table.word("keys", &INSIDE),
        trusts: table.texts("trusts"),
        signed: table.text("signed"),
        version: table.text("version"),
        patch: table.table("patch", PATCH).map(|table| WrittenPatch {
            place: table.place.clone(),
            at: table.number("at"),
            form: table.word("form", patch::Form::WORDS),
        }),
    }
}

fn uicr(table: &Table<'_>) -> WrittenUicr {
    let volts = [
        ("1.8V", Volts::V1_8),
        ("2.1V", Volts::V2_1),
        ("2.4V", Volts::V2_4),
        ("2.7V", Volts::V2_7),
        ("3.0V", Volts::V3_0),
        ("3.3V", Volts::V3_3),
    ];
    WrittenUicr {
        regout0: table.word("regout0", &volts),
        pselreset: pin(table, "pselreset"),
        nfcpins: table.word("nfcpins", &[("gpio", NfcPins::Gpio), ("nfc", NfcPins::Nfc)]),
    }
}

fn pin(table: &Table<'_>, key: &str) -> Option<Placed<Pin>> {
    let text = table.text(key)?;
    let parts = text.value.strip_prefix('P').and_then(|rest| rest.split_once('.'));
    let numbers = parts.and_then(|(port, pin)| Some((port.parse::<u8>().ok()?, pin.parse::<u8>().ok()?)));
    if let Some((port @ 0..=1, pin @ 0..=31)) = numbers {
        return Some(text.with(Pin { port, pin }));
    }
    table.note(text.problem(format!("`{key}` must be a pin as in \"P0.18\", this is \"{}\"", text.value)));
    None
}

fn stamp(table: &Table<'_>) -> WrittenStamp {
    WrittenStamp {
        key_hash: table.table("key_hash", KEY_HASH).map(|table| WrittenKeyHash {
            place: table.place.clone(),
            key: table.text("key"),
            form: table.word("form", &[("spki-sha256", Form::SpkiSha256)]),
            at: spot(&table),
            read_by: read_by(&table),
        }),
        counter: table.table("counter", COUNTER).map(|table| WrittenCounter {
            at: spot(&table),
            slots: table.number("slots"),
            initial: table.number("initial"),
            read_by: read_by(&table),
        }),
        serial: table.table("serial", SERIAL_STAMP).map(|table| WrittenSerialStamp { at: spot(&table) }),
        dfu_settings: table.table("dfu_settings", DFU_SETTINGS).map(|table| WrittenDfuSettings {
            place: table.place.clone(),
            version: table.number("version"),
            application: table.text("application"),
            app_version: table.number("app_version"),
            bl_version: table.number("bl_version"),
            boot_check: table.word(
                "boot_check",
                &[("none", Validation::None), ("crc", Validation::Crc), ("sha256", Validation::Sha256)],
            ),
        }),
        nsib: table.table("nsib", NSIB).as_ref().map(nsib),
        kmu: table.tables("kmu", KMU).iter().map(kmu).collect(),
    }
}

fn nsib(table: &Table<'_>) -> WrittenNsib {
    WrittenNsib {
        place: table.place.clone(),
        format: table.text("format"),
        keys: table.texts("keys"),
        s0: table.number("s0"),
        s1: table.number("s1"),
        counters: table
            .table("counters", COUNTERS)
            .map(|table| WrittenCounters { nsib: table.number("nsib"), mcuboot: table.number("mcuboot") }),
    }
}

fn kmu(table: &Table<'_>) -> WrittenKmu {
    let verifiers =
        [("nsib", Verifier::Nsib), ("mcuboot", Verifier::Mcuboot), ("mcuboot-under-nsib", Verifier::McubootUnderNsib)];
    let policies = [("rotating", Policy::Rotating), ("revokable", Policy::Revokable), ("locked", Policy::Locked)];
    let boot = table.word("boot", &verifiers);
    if boot.as_ref().is_some_and(|boot| boot.value == Verifier::Mcuboot) {
        table.needs("sdk");
    }
    WrittenKmu {
        place: table.place.clone(),
        boot,
        sdk: table.word("sdk", &[("<3.2.0", Sdk::Before3_2), (">=3.2.0", Sdk::From3_2)]),
        urot_mapping: table.flag("urot_mapping"),
        file: table.text("file"),
        keys: table
            .tables("keys", KMU_KEY)
            .iter()
            .map(|table| WrittenKmuKey {
                place: table.place.clone(),
                key: table.text("key"),
                policy: table.word("policy", &policies),
            })
            .collect(),
    }
}

/// A word of an area, as `uicr.customer[8]`.
fn spot(table: &Table<'_>) -> Option<Placed<(String, u32)>> {
    let text = table.text("at")?;
    let parts = text.value.strip_suffix(']').and_then(|rest| rest.split_once('['));
    let spot = parts.and_then(|(area, index)| Some((area, index.parse::<u32>().ok()?)));
    let known = |area: &str| {
        area.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte))
    };
    if let Some((area, index)) = spot.filter(|(area, _)| !area.is_empty() && known(area)) {
        return Some(text.with((area.to_owned(), index)));
    }
    table.note(text.problem(format!("`at` must be a word as in \"uicr.customer[8]\", this is \"{}\"", text.value)));
    None
}

fn read_by(table: &Table<'_>) -> Option<Placed<ReadBy>> {
    let text = table.text("read_by")?;
    if text.value == "nsib" {
        table.note(text.problem(format!("`read_by` = \"nsib\" {LATER} mcuboot-hw-key, app, nobody")));
        return None;
    }
    table.word("read_by", &[("mcuboot-hw-key", ReadBy::McubootHwKey), ("app", ReadBy::App), ("nobody", ReadBy::Nobody)])
}
