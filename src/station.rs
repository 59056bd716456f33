//! A bench as written, then as meant: sites, probes, consoles, scanner.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;

use crate::{
    fault::Problem,
    file::{self, Read},
    ident::Mode,
    page::{self, Placed, Table, Words},
};

/// The largest station file that is looked at, in bytes.
pub const FILE_LIMIT: u64 = 1 << 20;

/// Wire speed where the file does not say one, in kHz.
pub const SPEED_KHZ: u32 = 4000;

/// A bench as meant.
#[derive(Clone, Debug)]
pub struct Station {
    /// Its name in records.
    pub name: String,
    /// Which rules hold.
    pub mode: Placed<Mode>,
    /// Where its records are; seen from the station's file, made absolute or relative to the working directory.
    pub data: PathBuf,
    /// Where a second journal is kept, if there is one.
    pub journal: Option<PathBuf>,
    /// From the left. Never empty; no two have one name or one probe.
    pub sites: Vec<Site>,
    /// How labels are read.
    pub scanner: Scanner,
    /// Label of the red bin, where a FAIL is closed by scanning it.
    pub bin: Option<String>,
}

/// A place for a board.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name on the bench.
    pub name: String,
    /// What reaches the board.
    pub probe: Placed<Probe>,
    /// The USB port the probe must sit in, as `1-2.3`.
    pub usb: Option<String>,
    /// Wire speed in kHz.
    pub speed_khz: u32,
    /// The board's console, if it is wired.
    pub uart: Option<PathBuf>,
}

/// What reaches a board.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Probe {
    /// A virtual board that the station makes itself; the chip's name.
    Virtual(String),
    /// A probe at USB.
    Usb {
        /// Vendor.
        vendor: u16,
        /// Product.
        product: u16,
        /// Serial number of the probe.
        serial: String,
    },
    /// A board served over a socket, in the way of a Glasgow probe.
    Served {
        /// Vendor.
        vendor: u16,
        /// Product.
        product: u16,
        /// Where.
        at: Socket,
    },
}

/// Where a board is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Socket {
    /// A unix socket, seen from the station's file.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

impl Probe {
    /// As probe-rs and its command line select a probe; `None` for a board that the station makes itself.
    #[must_use]
    pub fn selector(&self) -> Option<String> {
        match self {
            Self::Virtual(_) => None,
            Self::Usb { vendor, product, serial } => Some(format!("{vendor:04x}:{product:04x}:{serial}")),
            Self::Served { vendor, product, at: Socket::Unix(path) } => {
                Some(format!("{vendor:04x}:{product:04x}:unix:{}", path.display()))
            }
            Self::Served { vendor, product, at: Socket::Tcp(host) } => {
                Some(format!("{vendor:04x}:{product:04x}:tcp:{host}"))
            }
        }
    }
}

/// How labels are read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scanner {
    /// It types.
    Keyboard,
    /// It sits on a serial port.
    Serial {
        /// Device file.
        port: PathBuf,
        /// Bits per second.
        baud: u32,
    },
}

/// A station file as written.
#[derive(Debug, JsonSchema)]
#[schemars(title = "rootstamp station", deny_unknown_fields, rename = "Station")]
struct Written {
    /// Version of this vocabulary.
    #[schemars(required, range(min = 1, max = 1))]
    schema: Option<Placed<u32>>,
    /// Name in records.
    #[schemars(required)]
    station: Option<Placed<String>>,
    /// Which rules hold.
    #[schemars(with = "WrittenMode")]
    mode: Option<Placed<Mode>>,
    /// Folder of the records, seen from this file.
    #[schemars(required)]
    data: Option<Placed<String>>,
    /// Folder of a second journal on another device, seen from this file.
    journal: Option<Placed<String>>,
    /// Label of the red bin: a FAIL is closed by scanning it.
    bin: Option<Placed<String>>,
    /// Places for boards, from the left.
    #[schemars(length(min = 1))]
    site: Vec<WrittenSite>,
    /// How labels are read; a keyboard scanner if it is absent.
    scanner: Option<WrittenScanner>,
}

/// Which rules hold.
#[derive(JsonSchema)]
#[schemars(rename = "Mode", rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its JSON Schema is used")]
enum WrittenMode {
    /// Signed orders and pinned keys.
    Production,
    /// Development keys allowed, watermark, separate records.
    Engineering,
    /// Virtual boards.
    Training,
}

/// A place for a board.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Site")]
struct WrittenSite {
    /// Name on the bench, as "left".
    #[schemars(required)]
    name: Option<Placed<String>>,
    /// "virtual:nRF52840", "1366:1051:000760208498" or "20b7:9db1:unix:board.sock".
    #[schemars(with = "String")]
    probe: Option<Placed<Probe>>,
    /// USB port the probe must sit in, as "1-2.3".
    usb: Option<Placed<String>>,
    /// Wire speed in kHz.
    #[schemars(range(min = 100, max = 50_000))]
    speed_khz: Option<Placed<u32>>,
    /// Device file of the board's console, if it is wired.
    uart: Option<Placed<String>>,
}

/// How labels are read.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Scanner")]
struct WrittenScanner {
    /// A scanner that types, or one on a serial port.
    #[schemars(required)]
    kind: Option<Placed<ScannerKind>>,
    /// Device file of a serial scanner.
    port: Option<Placed<String>>,
    /// Bits per second of a serial scanner.
    baud: Option<Placed<u32>>,
}

#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq)]
#[schemars(rename_all = "kebab-case")]
enum ScannerKind {
    Keyboard,
    Serial,
}

/// The tables of words, with the JSON Schema definition that each belongs to.
#[cfg(test)]
const TABLES: &[(&str, Words)] = &[("Station", STATION), ("Site", SITE), ("Scanner", SCANNER)];

const STATION: Words = Words {
    table: "a station",
    required: &["schema", "station", "mode", "data", "site"],
    optional: &["journal", "bin", "scanner"],
    elsewhere: &[
        ("product", "belongs into the product's file: a station says what stands on the bench"),
        ("chip", "belongs into the product's file: a station says what stands on the bench"),
        ("order", "belongs into an order; signed orders come with a later release"),
        ("printer", "comes with a later release"),
    ],
};

const SITE: Words = Words {
    table: "a [[site]]",
    required: &["name", "probe"],
    optional: &["usb", "speed_khz", "uart"],
    elsewhere: &[
        ("chip", "belongs into the product's file; a virtual board's chip is in its probe, as \"virtual:nRF52840\""),
        ("power", "comes with a later release; this one asks the operator for a power cycle"),
    ],
};

const SCANNER: Words = Words { table: "[scanner]", required: &["kind"], optional: &["port", "baud"], elsewhere: &[] };

/// Reads a station file.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn read(path: &Path) -> Result<Station, Vec<Problem>> {
    read_file(&file::read(path, FILE_LIMIT).map_err(|problem| vec![problem])?)
}

/// Reads a station file that is in memory already.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn read_file(file: &Read) -> Result<Station, Vec<Problem>> {
    let (station, problems) = page::read(file, STATION, |table| meant(table, written(table), file));
    match station.flatten() {
        Some(station) if problems.is_empty() => Ok(station),
        _ => Err(problems),
    }
}

/// Refuses a bench whose mode this release cannot keep the promises of.
///
/// # Errors
/// In production mode: what is missing, and what will do meanwhile.
pub fn allowed(station: &Station) -> Result<(), Problem> {
    let what = "production is refused: this release has no signed orders and no station identity yet; use \
                \"training\" with virtual boards or \"engineering\" until the security team can sign orders";
    match station.mode.value {
        Mode::Engineering | Mode::Training => Ok(()),
        Mode::Production => Err(station.mode.problem(what)),
    }
}

/// JSON Schema of a station file, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Written).to_value()
}

fn written(table: &Table<'_>) -> Written {
    let modes = [("production", Mode::Production), ("engineering", Mode::Engineering), ("training", Mode::Training)];
    let kinds = [("keyboard", ScannerKind::Keyboard), ("serial", ScannerKind::Serial)];
    Written {
        schema: table.number("schema"),
        station: table.text("station"),
        mode: table.word("mode", &modes),
        data: table.text("data"),
        journal: table.text("journal"),
        bin: table.text("bin"),
        site: table.tables("site", SITE).iter().map(site).collect(),
        scanner: table.table("scanner", SCANNER).map(|table| WrittenScanner {
            kind: table.word("kind", &kinds),
            port: table.text("port"),
            baud: table.number("baud"),
        }),
    }
}

fn site(table: &Table<'_>) -> WrittenSite {
    let speed_khz = table.number("speed_khz");
    if let Some(speed) = speed_khz.as_ref().filter(|speed| !(100..=50_000).contains(&speed.value)) {
        table.note(speed.problem(format!("`speed_khz` must be from 100 to 50000, this is {}", speed.value)));
    }
    WrittenSite {
        name: table.text("name"),
        probe: probe(table),
        usb: table.text("usb"),
        speed_khz,
        uart: table.text("uart"),
    }
}

fn probe(table: &Table<'_>) -> Option<Placed<Probe>> {
    let text = table.text("probe")?;
    let probe = parse_probe(&text.value);
    if probe.is_none() {
        table.note(text.problem(format!(
            "`probe` must be as \"virtual:nRF52840\", \"1366:1051:000760208498\" (vendor, product, serial number) or \
             \"20b7:9db1:unix:board.sock\", this is \"{}\"",
            text.shown()
        )));
    }
    probe.map(|probe| text.with(probe))
}

fn parse_probe(text: &str) -> Option<Probe> {
    if let Some(chip) = text.strip_prefix("virtual:") {
        return (!chip.is_empty()).then(|| Probe::Virtual(chip.to_owned()));
    }
    let (vendor, rest) = text.split_once(':')?;
    let (product, serial) = rest.split_once(':')?;
    let number = |digits: &str| if digits.len() == 4 { u16::from_str_radix(digits, 16).ok() } else { None };
    let (vendor, product) = (number(vendor)?, number(product)?);
    let at = match (serial.strip_prefix("unix:"), serial.strip_prefix("tcp:")) {
        (Some(path), _) => Socket::Unix(PathBuf::from(path)),
        (None, Some(host)) => Socket::Tcp(host.to_owned()),
        (None, None) => {
            return (!serial.is_empty()).then(|| Probe::Usb { vendor, product, serial: serial.to_owned() });
        }
    };
    (!serial.ends_with(':')).then_some(Probe::Served { vendor, product, at })
}

fn meant(table: &Table<'_>, written: Written, file: &Read) -> Option<Station> {
    if let Some(schema) = written.schema.filter(|schema| schema.value != 1) {
        table.note(schema.problem("`schema` must be 1: this release reads no other vocabulary"));
    }
    let folder = file.path.parent().map(Path::to_owned).unwrap_or_default();
    twice(table, written.site.iter().filter_map(|site| site.name.as_ref()), "name", Clone::clone);
    let places = written.site.iter().filter_map(|site| site.probe.as_ref());
    twice(table, places.filter(|probe| !matches!(probe.value, Probe::Virtual(_))), "probe", |probe| {
        probe.selector().unwrap_or_default()
    });
    twice(table, written.site.iter().filter_map(|site| site.usb.as_ref()), "usb", Clone::clone);
    twice(table, written.site.iter().filter_map(|site| site.uart.as_ref()), "uart", Clone::clone);
    let scanner = written.scanner.map_or(Some(Scanner::Keyboard), |scanner| scanner_meant(table, scanner));
    if written.site.is_empty() {
        table.note(table.place.problem("a station needs at least one [[site]]"));
    }
    let sites: Vec<Site> = written.site.into_iter().filter_map(|site| site_meant(site, &folder)).collect();
    Some(Station {
        name: written.station?.value,
        mode: written.mode?,
        data: folder.join(written.data?.value),
        journal: written.journal.map(|journal| folder.join(journal.value)),
        sites,
        scanner: scanner?,
        bin: written.bin.map(|bin| bin.value),
    })
}

/// One thing cannot stand in two places.
fn twice<'t, T: 't>(
    table: &Table<'_>,
    values: impl Iterator<Item = &'t Placed<T>>,
    key: &str,
    text: impl Fn(&T) -> String,
) {
    let mut seen = BTreeSet::new();
    for value in values {
        let text = text(&value.value);
        if seen.contains(&text) {
            table.note(value.problem(format!("a second [[site]] has `{key}` = \"{text}\"")));
        }
        seen.insert(text);
    }
}

fn site_meant(written: WrittenSite, folder: &Path) -> Option<Site> {
    let probe = written.probe?;
    let served = match &probe.value {
        Probe::Served { vendor, product, at: Socket::Unix(path) } => {
            Probe::Served { vendor: *vendor, product: *product, at: Socket::Unix(folder.join(path)) }
        }
        Probe::Virtual(_) | Probe::Usb { .. } | Probe::Served { at: Socket::Tcp(_), .. } => probe.value.clone(),
    };
    Some(Site {
        name: written.name?.value,
        probe: probe.with(served),
        usb: written.usb.map(|usb| usb.value),
        speed_khz: written.speed_khz.map_or(SPEED_KHZ, |speed| speed.value),
        uart: written.uart.map(|uart| folder.join(uart.value)),
    })
}

fn scanner_meant(table: &Table<'_>, written: WrittenScanner) -> Option<Scanner> {
    let kind = written.kind?;
    match (kind.value, written.port, written.baud) {
        (ScannerKind::Keyboard, None, None) => Some(Scanner::Keyboard),
        (ScannerKind::Keyboard, port, baud) => {
            let places = port.map(|port| port.place).into_iter().chain(baud.map(|baud| baud.place));
            places.for_each(|place| table.note(place.problem("`port` and `baud` are said of kind = \"serial\"")));
            None
        }
        (ScannerKind::Serial, Some(port), Some(baud)) => {
            Some(Scanner::Serial { port: PathBuf::from(port.value), baud: baud.value })
        }
        (ScannerKind::Serial, _, _) => {
            table.note(kind.problem("a serial scanner needs `port` and `baud`"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_for_editors_knows_the_same_words_as_the_reader() {
        page::schema_agrees(&schema(), TABLES);
    }
}
