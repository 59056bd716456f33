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

/// A public key.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Key")]
pub(super) struct WrittenKey {
    #[schemars(skip)]
    pub(super) place: Place,
    /// PEM or DER file, seen from this file.
    #[schemars(required)]
    pub(super) file: Option<Placed<String>>,
    /// SHA-256 of its SubjectPublicKeyInfo: the file may be swapped, the pin may not.
    #[schemars(with = "String", regex(pattern = "^(sha256:)?[0-9a-fA-F]{64}$"))]
    pub(super) spki_sha256: Option<Placed<Digest>>,
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
}

/// What an image must prove to be.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Is {
    /// The bootloader MCUboot.
    Mcuboot,
    /// An image that MCUboot starts.
    McubootImage,
    /// Bytes that nothing is known about.
    Raw,
}

/// How a bootloader knows its key.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inside {
    /// No key inside: the hash on the chip rules.
    HwKey,
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
    ("Image", IMAGE),
    ("Uicr", UICR),
    ("Stamp", STAMP),
    ("KeyHash", KEY_HASH),
    ("Counter", COUNTER),
    ("SerialStamp", SERIAL_STAMP),
    ("Lock", LOCK),
    ("Boot", BOOT),
    ("Expect", EXPECT),
];

const PRODUCT: Words = Words {
    table: "a product",
    required: &["schema", "product", "title", "chip", "silicon", "arrives", "serial", "image", "lock"],
    optional: &["key", "uicr", "stamp", "boot"],
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
    required: &["file", "spki_sha256"],
    optional: &[],
    elsewhere: &[
        ("select", "(one key per device) comes with a later release; this one takes one `file` for all units"),
        ("purpose", "comes with a later release; every key here is a public signing key"),
    ],
};

const IMAGE: Words = Words {
    table: "an [[image]]",
    required: &["name", "file", "sha256", "is"],
    optional: &["at", "keys", "trusts", "signed"],
    elsewhere: &[
        ("core", "does not exist on a chip with one core"),
        ("encrypted", "comes with a later release; this one takes plain images"),
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
    optional: &["key_hash", "counter", "serial"],
    elsewhere: &[
        (
            "nsib",
            "(Nordic's immutable bootloader) comes with a later release; this one knows key_hash, counter, serial",
        ),
        ("kmu", "does not exist on this chip: only nRF54L has key slots; this release knows key_hash, counter, serial"),
        ("bootconf", "does not exist on this chip: only nRF54L has it; this release knows key_hash, counter, serial"),
        ("dfu_settings", "(nRF5 SDK) comes with a later release; this one knows key_hash, counter, serial"),
        ("blob", "(data per unit) comes with a later release; this one knows key_hash, counter, serial"),
    ],
};

const KEY_HASH: Words =
    Words { table: "[stamp.key_hash]", required: &["key", "form", "at", "read_by"], optional: &[], elsewhere: &[] };

const COUNTER: Words =
    Words { table: "[stamp.counter]", required: &["at", "slots", "initial", "read_by"], optional: &[], elsewhere: &[] };

const SERIAL_STAMP: Words = Words { table: "[stamp.serial]", required: &["at"], optional: &[], elsewhere: &[] };

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

/// Names that the vocabulary gives a meaning of their own.
const KEYS_LATER: &[(&str, &str)] = &[
    ("device", "`key.device` (one key per device) comes with a later release"),
    ("decrypt", "`key.decrypt` (encrypted images) comes with a later release"),
];

fn keys(table: &Table<'_>) -> BTreeMap<String, WrittenKey> {
    let mut keys = BTreeMap::new();
    for (name, table) in table.named("key", KEY) {
        if let Some((_, later)) = KEYS_LATER.iter().find(|(later, _)| *later == name) {
            table.note(table.place.problem(*later));
        }
        let key = WrittenKey {
            place: table.place.clone(),
            file: table.text("file"),
            spki_sha256: table.digest("spki_sha256"),
        };
        keys.insert(name, key);
    }
    keys
}

fn image(table: &Table<'_>) -> WrittenImage {
    let is = table.word("is", &[("mcuboot", Is::Mcuboot), ("mcuboot-image", Is::McubootImage), ("raw", Is::Raw)]);
    match is.as_ref().map(|is| is.value) {
        Some(Is::Mcuboot) => ["keys", "trusts"].into_iter().for_each(|key| table.needs(key)),
        Some(Is::McubootImage) => table.needs("signed"),
        Some(Is::Raw) | None => {}
    }
    WrittenImage {
        place: table.place.clone(),
        name: table.text("name"),
        file: table.text("file"),
        sha256: table.digest("sha256"),
        is,
        at: table.number("at"),
        keys: table.word("keys", &[("hw-key", Inside::HwKey), ("embedded", Inside::Embedded)]),
        trusts: table.texts("trusts"),
        signed: table.text("signed"),
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
