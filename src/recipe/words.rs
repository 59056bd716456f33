//! The words of a product file, and which value each of them gives.

use std::collections::BTreeMap;

use super::{
    serial::Check,
    written::{
        Arrives, By, DEVICE, Form, Inside, Is, NfcPins, Pin, Policy, Purpose, ReadBy, Sdk, Ships, Verifier, Volts,
        Written, WrittenBoot, WrittenBootconf, WrittenCounter, WrittenCounters, WrittenDfuSettings, WrittenExpect,
        WrittenImage, WrittenKey, WrittenKeyHash, WrittenKmu, WrittenKmuKey, WrittenLock, WrittenNsib, WrittenPatch,
        WrittenRelease, WrittenSelect, WrittenSerial, WrittenSerialStamp, WrittenSilicon, WrittenStamp, WrittenUicr,
    },
};
use crate::{
    file::Read,
    image::dfu::{Validation, patch},
    page::{self, Placed, Table, Words},
};

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
    ("Bootconf", BOOTCONF),
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
    optional: &["at", "keys", "trusts", "signed", "version", "number", "patch"],
    elsewhere: &[
        ("core", "does not exist on a chip with one core"),
        ("encrypted", "is not said: the image itself says it; declare the device's key as [key.decrypt]"),
    ],
};

const UICR: Words = Words {
    table: "[uicr]",
    required: &[],
    optional: &["regout0", "pselreset", "nfcpins", "bootloader", "mbr_params"],
    elsewhere: &[
        ("approtect", "is said under [lock]"),
        ("customer", "is filled by [stamp.key_hash], [stamp.counter] and [stamp.serial]"),
        ("debugctrl", "comes with a later release; this one knows regout0, pselreset and nfcpins"),
    ],
};

const STAMP: Words = Words {
    table: "[stamp]",
    required: &[],
    optional: &["key_hash", "counter", "serial", "dfu_settings", "nsib", "kmu", "bootconf"],
    elsewhere: &[("blob", "(data per unit) comes with a later release; this one knows key_hash, counter, serial")],
};

const BOOTCONF: Words = Words { table: "[stamp.bootconf]", required: &["protect_kib"], optional: &[], elsewhere: &[] };

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
    required: &["format"],
    optional: &["keys", "at", "size", "write_width", "s0", "s1", "counters", "reference", "mcuboot_only"],
    elsewhere: &[("file", "is an [[image]] with is = \"nsib-provision\"")],
};

const COUNTERS: Words = Words { table: "`counters`", required: &[], optional: &["nsib", "mcuboot"], elsewhere: &[] };

const KMU: Words = Words {
    table: "a [[stamp.kmu]]",
    required: &["boot", "keys"],
    optional: &["file", "sdk", "urot_mapping"],
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

const INSIDE: [(&str, Inside); 3] = [("hw-key", Inside::HwKey), ("kmu", Inside::Kmu), ("embedded", Inside::Embedded)];

fn image(table: &Table<'_>) -> WrittenImage {
    let is = table.word("is", &Is::WORDS);
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
        number: table.number("number"),
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
        bootloader: table.number("bootloader"),
        mbr_params: table.number("mbr_params"),
    }
}

fn pin(table: &Table<'_>, key: &str) -> Option<Placed<Pin>> {
    let text = table.text(key)?;
    let parts = text.value.strip_prefix('P').and_then(|rest| rest.split_once('.'));
    let numbers = parts.and_then(|(port, pin)| Some((port.parse::<u8>().ok()?, pin.parse::<u8>().ok()?)));
    if let Some((port @ 0..=1, pin @ 0..=31)) = numbers {
        return Some(text.with(Pin { port, pin }));
    }
    table.note(text.problem(format!("`{key}` must be a pin as in \"P0.18\", this is \"{}\"", text.shown())));
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
        bootconf: table
            .table("bootconf", BOOTCONF)
            .map(|table| WrittenBootconf { place: table.place.clone(), protect_kib: table.number("protect_kib") }),
    }
}

fn nsib(table: &Table<'_>) -> WrittenNsib {
    let mcuboot_only = table.flag("mcuboot_only");
    if !mcuboot_only.as_ref().is_some_and(|only| only.value) {
        table.needs("keys");
    }
    WrittenNsib {
        place: table.place.clone(),
        format: table.text("format"),
        at: table.number("at"),
        size: table.number("size"),
        write_width: table.number("write_width"),
        mcuboot_only,
        reference: table.text("reference"),
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
    table.note(text.problem(format!("`at` must be a word as in \"uicr.customer[8]\", this is \"{}\"", text.shown())));
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
