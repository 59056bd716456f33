//! BOOTCONF: the word that makes the begin of an nRF54L's RRAM immutable. [nordic-facts A5.4; sdk-nrf scripts/reglock.py]

use serde::Serialize;

use super::{Map, nsib::text, tree::Branch};
use crate::fault::Problem;

/// Where the word stands. [SVD, UICR.BOOTCONF]
pub const AT: u32 = 0x00FF_D080;

const READ: u32 = 1;
const WRITE: u32 = 1 << 1;
const EXECUTE: u32 = 1 << 2;
const SECURE: u32 = 1 << 3;
const WRITE_ONCE: u32 = 1 << 12;
const LOCK: u32 = 1 << 13;
const SIZE_SHIFT: u32 = 16;

/// Chips by what the word can say. [nordic-facts A5.4]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chip {
    /// nRF54L05, L10, L15: up to 31 KiB.
    L05L10L15,
    /// nRF54LM20 and LV10: up to 127 KiB.
    Lm20Lv10,
    /// nRF54LS05B: up to 1023 KiB, and no SECURE bit.
    Ls05b,
}

/// Beginnings of names, with what the word can say on those chips. [nordic-facts A5.4]
const CHIPS: [(&str, Chip); 6] = [
    ("nRF54L05", Chip::L05L10L15),
    ("nRF54L10", Chip::L05L10L15),
    ("nRF54L15", Chip::L05L10L15),
    ("nRF54LM20", Chip::Lm20Lv10),
    ("nRF54LV10", Chip::Lm20Lv10),
    ("nRF54LS05B", Chip::Ls05b),
];

/// What protects a bootloader on chips without the word. [nordic-facts A1, sdk-nrf lib/fprotect/Kconfig]
const INSTEAD: [(&str, &str); 4] = [
    ("nRF52840", "the bootloader itself locks its flash after every reset, with ACL (sdk-nrf lib/fprotect)"),
    ("nRF52", "the bootloader itself locks its flash after every reset, with BPROT or ACL (sdk-nrf lib/fprotect)"),
    ("nRF53", "the bootloader itself locks its flash after every reset, with the SPU (sdk-nrf lib/fprotect)"),
    ("nRF91", "the bootloader itself locks its flash after every reset, with the SPU (sdk-nrf lib/fprotect)"),
];

fn begins(name: &str, with: &str) -> bool {
    name.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with))
}

impl Chip {
    /// The chip of this name, if it has such a word.
    ///
    /// # Errors
    /// What it has instead, as far as that is known.
    pub fn of(name: &str) -> Result<Self, String> {
        if let Some((_, chip)) = CHIPS.iter().find(|(chip, _)| begins(name, chip)) {
            return Ok(*chip);
        }
        let instead = INSTEAD.iter().find(|(chip, _)| begins(name, chip)).map(|(_, instead)| *instead);
        Err(match instead {
            Some(instead) => format!("does not exist on {name}: only nRF54L has it; there {instead}"),
            None => {
                format!("is not known of {name}: only nRF54L05, L10, L15, LM20, LV10 and LS05B are known to have it")
            }
        })
    }

    /// The longest region, in KiB.
    #[must_use]
    pub const fn max_kib(self) -> u32 {
        match self {
            Self::L05L10L15 => 31,
            Self::Lm20Lv10 => 127,
            Self::Ls05b => 1023,
        }
    }

    const fn secure(self) -> u32 {
        match self {
            Self::L05L10L15 | Self::Lm20Lv10 => SECURE,
            Self::Ls05b => 0,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::L05L10L15 => "an nRF54L05, L10 or L15",
            Self::Lm20Lv10 => "an nRF54LM20 or LV10",
            Self::Ls05b => "an nRF54LS05B",
        }
    }
}

/// What the word says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct BootConf {
    /// As it is written.
    pub word: u32,
}

impl BootConf {
    /// The word that makes this many bytes from address 0 on readable, executable and nothing else.
    ///
    /// # Errors
    /// Where `reglock.py` refuses (no whole KiB), and where it shortens the region with a mere warning: then part of the
    /// bootloader would stay writable.
    pub fn immutable(chip: Chip, bytes: u32) -> Result<Self, String> {
        if bytes == 0 || !bytes.is_multiple_of(1024) {
            return Err(format!("{bytes} bytes are no whole KiB; an immutable region is"));
        }
        let kib = bytes / 1024;
        if kib > chip.max_kib() {
            return Err(format!(
                "{kib} KiB are more than {} can protect, {}; the rest of the bootloader would stay writable",
                chip.name(),
                chip.max_kib()
            ));
        }
        Ok(Self { word: READ | EXECUTE | chip.secure() | LOCK | kib << SIZE_SHIFT })
    }

    /// Reads the word of a file that holds it and nothing else.
    ///
    /// # Errors
    /// If the file is anything else.
    pub fn read(map: &Map) -> Result<Self, Problem> {
        let no = |what: &str| Err(map.problem_at(map.first(), format!("no BOOTCONF: {what}")));
        match map.segments() {
            [segment] if segment.at != AT => no("the word stands at 0x00FFD080 and nothing else with it"),
            [segment] if segment.bytes.len() == 3 => {
                no("three of its four bytes, as early releases of reglock.py wrote it; make it again")
            }
            [segment] if segment.bytes.len() == 4 => Ok(Self { word: map.word(AT).unwrap_or(u32::MAX) }),
            _ => no("it is one word"),
        }
    }

    /// Length of the region, in KiB, as this chip takes the word.
    #[must_use]
    pub const fn kib(self, chip: Chip) -> u32 {
        self.word >> SIZE_SHIFT & chip.max_kib()
    }

    /// Why this word does not make this many bytes immutable on this chip; empty if it does.
    #[must_use]
    pub fn wrong(self, chip: Chip, bootloader: u32) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut must = |holds: bool, why: &str| {
            if !holds {
                wrong.push(why.to_owned());
            }
        };
        let has = |bits: u32| self.word & bits == bits;
        must(self.word != u32::MAX, "the word is erased: nothing is protected");
        must(!has(WRITE), "the region may be written");
        must(has(READ | EXECUTE), "the region cannot be read and executed: nothing would start");
        must(has(chip.secure()), "the region is not secure");
        must(has(LOCK), "the setting is not locked: firmware can take it back");
        let known = READ | WRITE | EXECUTE | SECURE | WRITE_ONCE | LOCK | chip.max_kib() << SIZE_SHIFT;
        must(self.word & !known == 0, "it has bits that are not known");
        must(u64::from(self.kib(chip)) * 1024 >= u64::from(bootloader), "the region ends before the bootloader does");
        wrong
    }

    /// The file as `reglock.py` writes it.
    #[must_use]
    pub fn intel_hex(self) -> String {
        text::intel_hex(AT, &self.word.to_le_bytes())
    }

    /// For people.
    #[must_use]
    pub fn explain(self, chip: Chip) -> Branch {
        let names = [
            (READ, "read"),
            (WRITE, "write"),
            (EXECUTE, "execute"),
            (SECURE, "secure"),
            (WRITE_ONCE, "write once"),
            (LOCK, "locked"),
        ];
        let set: Vec<&str> = names.iter().filter(|(bit, _)| self.word & bit != 0).map(|(_, name)| *name).collect();
        let tree = Branch::new("BOOTCONF", format!("0x{:08X}", self.word))
            .with(Branch::new("region", format!("{} KiB from 0x00000000", self.kib(chip))))
            .with(Branch::new("allows", set.join(", ")))
            .with(Branch::new("lasts", "until ERASEALL; program and verify the bootloader before the reset"));
        match self.wrong(chip, 0).first() {
            Some(why) => tree.warn(why),
            None => tree,
        }
    }
}
