//! Where things are on this chip, read from the maker's register dump that is committed as data.

use std::{collections::BTreeMap, sync::LazyLock};

const DUMP: &str = include_str!("nrf52840.regs");

static MAP: LazyLock<BTreeMap<String, Entry>> = LazyLock::new(|| parse(DUMP));

/// The addresses the board itself needs.
pub(super) static AT: LazyLock<Addresses> = LazyLock::new(Addresses::new);

#[derive(Clone, Copy)]
struct Entry {
    address: u32,
    count: u32,
    stride: u32,
}

/// The address the dump gives a register, as in `NVMC.READY`, `UICR.CUSTOMER[3]`, or a whole block, as in `UICR`.
#[must_use]
pub fn register(name: &str) -> Option<u32> {
    let (name, index) = match name.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((name, index)) => (name, index.parse().ok()?),
        None => (name, 0),
    };
    let entry = MAP.get(name)?;
    (index < entry.count).then(|| entry.address + index * entry.stride)
}

pub(super) struct Addresses {
    pub(super) flash: u32,
    pub(super) ram: u32,
    pub(super) code_ram: u32,
    pub(super) ficr: u32,
    pub(super) uicr: u32,
    pub(super) approtect: u32,
    pub(super) force_protect: u32,
    pub(super) disable: u32,
    pub(super) ready: u32,
    pub(super) ready_next: u32,
    pub(super) config: u32,
    pub(super) erase_page: u32,
    pub(super) erase_all: u32,
    pub(super) erase_uicr: u32,
    pub(super) wdt: u32,
    pub(super) wdt_start: u32,
    pub(super) wdt_run: u32,
    pub(super) wdt_request: u32,
    pub(super) wdt_crv: u32,
    pub(super) wdt_rren: u32,
    pub(super) wdt_config: u32,
    pub(super) wdt_rr: u32,
}

impl Addresses {
    fn new() -> Self {
        Self {
            flash: known("FLASH"),
            ram: known("RAM"),
            code_ram: known("CODE_RAM"),
            ficr: known("FICR"),
            uicr: known("UICR"),
            approtect: known("UICR.APPROTECT"),
            force_protect: known("APPROTECT.FORCEPROTECT"),
            disable: known("APPROTECT.DISABLE"),
            ready: known("NVMC.READY"),
            ready_next: known("NVMC.READYNEXT"),
            config: known("NVMC.CONFIG"),
            erase_page: known("NVMC.ERASEPAGE"),
            erase_all: known("NVMC.ERASEALL"),
            erase_uicr: known("NVMC.ERASEUICR"),
            wdt: known("WDT"),
            wdt_start: known("WDT.TASKS_START"),
            wdt_run: known("WDT.RUNSTATUS"),
            wdt_request: known("WDT.REQSTATUS"),
            wdt_crv: known("WDT.CRV"),
            wdt_rren: known("WDT.RREN"),
            wdt_config: known("WDT.CONFIG"),
            wdt_rr: known("WDT.RR"),
        }
    }
}

/// A name the dump lacks reads as an address no bus answers; a test sees to it that there is none.
pub(super) fn known(name: &str) -> u32 {
    register(name).unwrap_or(u32::MAX)
}

fn parse(dump: &str) -> BTreeMap<String, Entry> {
    let mut map = BTreeMap::new();
    let mut block = String::new();
    for line in dump.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [name, "base", address, ..] => {
                (*name).clone_into(&mut block);
                map.insert(block.clone(), Entry { address: hex(address), count: 1, stride: 0 });
            }
            [offset, address, name, rest @ ..] if offset.starts_with('+') && address.starts_with('(') => {
                let count = value(rest, "dim=").and_then(|text| text.parse().ok()).unwrap_or(1);
                let stride = value(rest, "inc=").map_or(0, hex);
                let entry = Entry { address: hex(address.trim_matches(['(', ')'])), count, stride };
                map.insert(format!("{block}.{}", name.replace("[%s]", "")), entry);
            }
            _ => {}
        }
    }
    map
}

fn value<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key))
}

fn hex(text: &str) -> u32 {
    u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dump_knows_every_register_the_board_uses() {
        assert_eq!(register("UICR.APPROTECT"), Some(0x1000_1208));
        assert_eq!(register("UICR.CUSTOMER[8]"), Some(0x1000_10A0));
        assert_eq!(register("UICR.CUSTOMER[32]"), None);
        assert_eq!(register("FICR.INFO.PART"), Some(0x1000_0100));
        assert_eq!(register("NVMC.NOTHING"), None);
        let at = &*AT;
        for address in [at.ready, at.config, at.erase_page, at.erase_all, at.erase_uicr, at.wdt_rr, at.disable] {
            assert_ne!(address, u32::MAX);
        }
        for name in FICR_WORDS {
            assert!(register(name).is_some(), "{name}");
        }
    }

    const FICR_WORDS: [&str; 6] = [
        "FICR.DEVICEID[1]",
        "FICR.DEVICEADDR[1]",
        "FICR.INFO.VARIANT",
        "FICR.FAMILY",
        "FICR.REVISION",
        "FICR.CODESIZE",
    ];
}
