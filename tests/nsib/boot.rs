//! The bootloader's own reading of its storage, and whether it would start what is planned.

use rootstamp::{
    ident::hex,
    image::nsib::{Firmware, Generation, Layout, LifeCycle, No, Provision, Revoked, Rules, SignedBy, Storage, Width},
};

use super::{Asked, NRF54L15, NRF5340, key, map, planned, raw_map, two_keys, vector};

/// One replay: vector, file of the storage, offset of that file, base, generation and width.
const REPLAYS: &[(&str, Source, u32, u32, Width)] = &[
    ("5340app-counters", Source::TwoKeys, 0x28, 0x00FF_8100, Width::Two),
    ("5340app-init-counter-1", Source::TwoKeys, 0x28, 0x00FF_8100, Width::Two),
    ("5340app-invalidate-0", Source::TwoKeys, 0x28, 0x00FF_8100, Width::Two),
    ("5340app-lcs", Source::TwoKeys, 0x28, 0x00FF_8100, Width::Two),
    ("5340app-bad-token", Source::TwoKeys, 0x28, 0x00FF_8100, Width::Two),
    ("5340app-psa-ref", Source::File("nrf5340app-psa-ref"), 0x28, 0x00FF_8100, Width::Two),
    ("9160-1key", Source::File("nrf9160-1key-ver20"), 0x28, 0x00FF_8108, Width::Two),
    ("9160-psa-ref-only", Source::File("nrf9160-psa-ref-only"), 0x28, 0x00FF_8108, Width::Two),
    ("5340-mcuboot-only", Source::File("mcuboot-only-5340-30"), 0, 0x00FF_8100, Width::Two),
    ("ffff-hash", Source::File("ffff-no-verify"), 0x28, 0x00FF_8100, Width::Two),
    ("blank", Source::Empty, 0, 0x00FF_8100, Width::Two),
    ("54l15-counters", Source::File("nrf54l15-0keys-ver20-w4"), 0x30, 0x00FF_D500, Width::Four),
    ("54l15-mcuboot-only", Source::File("mcuboot-only-54l-w4-30"), 0, 0x00FF_D500, Width::Four),
];

enum Source {
    File(&'static str),
    /// `nrf5340app-2keys-ver20-mcuboot200`, which the vectors name and do not hold: made here, and its digest is theirs.
    TwoKeys,
    Empty,
}

impl Source {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::File(name) => vector(&format!("nsib/{name}.bin")).bytes,
            Self::TwoKeys => two_keys().bytes,
            Self::Empty => Vec::new(),
        }
    }
}

/// A storage of these bytes behind so many erased ones.
fn storage(generation: Generation, width: Width, base: u32, offset: u32, bytes: &[u8]) -> Storage {
    let mut area = vec![0xFF; offset as usize];
    area.extend_from_slice(bytes);
    Storage::new(Layout::new(generation, width).unwrap(), base, area).unwrap()
}

#[test]
fn nordics_own_bootloader_answers_every_question_as_ours_does() {
    assert_eq!(REPLAYS.len(), 13);
    for (name, source, offset, base, width) in REPLAYS {
        let mut storage = storage(Generation::Sdk2026_05, *width, *base, *offset, &source.bytes());
        let asked: Vec<serde_json::Value> =
            serde_json::from_slice(&vector(&format!("nsib-state/{name}.ops.json")).bytes).unwrap();
        assert!(!asked.is_empty());
        for theirs in &asked {
            let op = theirs["op"].as_str().unwrap();
            assert_eq!(&answer(&mut storage, op), theirs, "{name} {op}");
        }
        assert_eq!(hex(storage.bytes()), hex(&vector(&format!("nsib-state/{name}.after.bin")).bytes), "{name}");
    }
}

fn number(text: &str) -> u32 {
    text.strip_prefix("0x").map_or_else(|| text.parse().unwrap(), |digits| u32::from_str_radix(digits, 16).unwrap())
}

/// Our answer, in the words of the program that Nordic's source was compiled into.
fn answer(storage: &mut Storage, op: &str) -> serde_json::Value {
    use serde_json::json;
    let words: Vec<&str> = op.split(':').collect();
    let argument = |index: usize| number(words[index]);
    let small = |index: usize| u16::try_from(number(words[index])).unwrap();
    let code = |no: No| no.code().map_or(json!({"op": op, "panic": true}), |code| json!({"op": op, "ret": code}));
    let outcome = |result: Result<(), No>| result.map_or_else(code, |()| json!({"op": op, "ret": 0}));
    // The program prints the value it began with where there is none.
    let with_value = |result: Result<u32, No>| match result {
        Ok(value) => json!({"op": op, "ret": 0, "value": value}),
        Err(no) => json!({"op": op, "ret": no.code().unwrap(), "value": 0}),
    };
    match words[0] {
        "nkeys" => json!({"op": op, "value": storage.key_count()}),
        "s0" => json!({"op": op, "value": storage.s0()}),
        "s1" => json!({"op": op, "value": storage.s1()}),
        "verify" => outcome(storage.verify_keys()),
        "key" => match storage.key(argument(1)) {
            Ok(hash) => json!({"op": op, "ret": 16, "hash": hash.to_string()}),
            Err(no) => json!({"op": op, "ret": no.code().unwrap(), "hash": "00".repeat(16)}),
        },
        "slots" => with_value(storage.counter_slots(small(1)).map(u32::from)),
        "get" => with_value(storage.counter(small(1))),
        "set" => outcome(storage.raise(small(1), argument(2))),
        "possible" => outcome(storage.can_rise(small(1))),
        "inval" => storage.revoke(argument(1)).map_or_else(code, |_| json!({"op": op})),
        "poke" => storage.overwrite(argument(1), argument(2)).map_or_else(code, |()| json!({"op": op})),
        "lcs" => with_value(storage.life_cycle().map(LifeCycle::number)),
        "setlcs" => outcome(storage.enter(LifeCycle::numbered(argument(1)).unwrap())),
        "implid" => json!({"op": op, "value": hex(&storage.implementation_id())}),
        "var" => {
            let value = storage.variable(u8::try_from(argument(1)).unwrap());
            json!({"op": op, "ret": 0, "len": value.len(), "value": String::from_utf8(value).unwrap()})
        }
        other => panic!("{other}"),
    }
}

const FIRMWARE_RULES: Rules = Rules { counts_versions: true, heeds_life_cycle: false };

fn firmware(asked: &Asked, name: &str, version: u32) -> Firmware {
    let hash = asked.generation.hash(&key(name)).unwrap();
    Firmware { at: asked.s0, version, signed: SignedBy::Provisioned(hash) }
}

#[test]
fn a_planned_board_boots_and_the_first_start_is_foretold() {
    let asked = Asked { keys: &["p256-a", "p256-b"], ..NRF5340 };
    let mut board = planned(&asked);
    let first = board.would_boot(&firmware(&asked, "p256-a", 1), FIRMWARE_RULES);
    assert_eq!((first.yes(), first.stores, &first.revokes[..]), (true, Some(3), &[][..]), "{first:?}");
    board.raise(1, 3).unwrap();
    assert_eq!(board.bytes()[0x64..0x66], [0xFC, 0xFF], "slot 0 holds 0xFFFC");
    let spare = board.would_boot(&firmware(&asked, "p256-b", 1), FIRMWARE_RULES);
    assert_eq!((spare.yes(), spare.stores, &spare.revokes[..]), (true, None, &[0][..]));
    assert!(spare.notes[0].contains("revokes key 0 for good"), "{spare:?}");
    let second = Firmware { at: 0x1C000, ..firmware(&asked, "p256-a", 2) };
    assert_eq!(board.would_boot(&second, FIRMWARE_RULES).stores, Some(4));
    let kmu = Firmware { signed: SignedBy::Kmu, ..firmware(&asked, "p256-a", 1) };
    assert!(board.would_boot(&kmu, FIRMWARE_RULES).notes[0].contains("KMU"));
}

fn does_not_boot(board: &Storage, firmware: &Firmware, rules: Rules, expected: &str) {
    let answer = board.would_boot(firmware, rules);
    assert!(answer.no.iter().any(|no| no.contains(expected)), "{answer:?}, expected {expected}");
}

#[test]
fn a_board_that_would_not_boot_is_told_why_before_it_is_written() {
    let mut board = planned(&NRF5340);
    let good = firmware(&NRF5340, "p256-a", 1);
    does_not_boot(&board, &Firmware { at: 0x2000, ..good }, FIRMWARE_RULES, "is for 0x00002000");
    does_not_boot(&board, &firmware(&NRF5340, "p256-c", 1), FIRMWARE_RULES, "not among the valid keys");
    does_not_boot(&board, &Firmware { version: 0x8000, ..good }, FIRMWARE_RULES, "more than the counter can hold");
    let counterless = planned(&Asked { nsib_slots: 0, ..NRF5340 });
    does_not_boot(&counterless, &good, FIRMWARE_RULES, "no counter for NSIB");
    assert!(counterless.would_boot(&good, Rules { counts_versions: false, ..FIRMWARE_RULES }).yes());
    for value in 1..=20 {
        board.raise(1, 2 * value).unwrap();
    }
    does_not_boot(&board, &Firmware { version: 19, ..good }, FIRMWARE_RULES, "below the stored version 20");
    does_not_boot(&board, &Firmware { version: 21, ..good }, FIRMWARE_RULES, "no slot left");
    assert_eq!(board.raise(1, 42), Err(No::Full));
    board.overwrite(0x34, 0x50FA_FF00).unwrap();
    does_not_boot(&board, &good, FIRMWARE_RULES, "stops for good");
    board.overwrite(0x30, 17).unwrap();
    does_not_boot(&board, &good, FIRMWARE_RULES, "says 17 keys");
    let ffff = Provision::read(&map("ffff-no-verify")).unwrap();
    let ffff = Storage::planned(&ffff, Generation::Sdk2026_05, 0x1000).unwrap();
    does_not_boot(&ffff, &Firmware { at: 0xA000, ..good }, FIRMWARE_RULES, "holds 0xFFFF");
    let heeds = Rules { heeds_life_cycle: true, ..FIRMWARE_RULES };
    let mut board = planned(&NRF5340);
    assert!(board.would_boot(&good, heeds).notes[0].contains("signatures are not checked"));
    board.enter(LifeCycle::Provisioning).unwrap();
    assert!(board.would_boot(&good, heeds).notes[0].contains("PROVISIONING; a product ships as SECURED"));
    board.enter(LifeCycle::Secured).unwrap();
    assert_eq!(board.would_boot(&good, heeds).notes, [""; 0]);
    board.enter(LifeCycle::Decommissioned).unwrap();
    does_not_boot(&board, &good, heeds, "DECOMMISSIONED");
    does_not_boot(&planned(&Asked { mcuboot_only: true, mcuboot_slots: 2, ..NRF5340 }), &good, heeds, "DECOMMISSIONED");
    let mut board = planned(&NRF5340);
    board.overwrite(0, 0xFFFF_1234).unwrap();
    does_not_boot(&board, &good, heeds, "life-cycle state cannot be read");
    assert!(board.would_boot(&good, FIRMWARE_RULES).yes(), "one that does not heed it starts");
}

#[test]
fn storage_that_no_bootloader_can_have_is_told_why() {
    let storage = |width: Width, base: u32| {
        Storage::new(Layout::new(Generation::Sdk2026_05, width).unwrap(), base, Vec::new()).unwrap_err()
    };
    assert!(storage(Width::Two, 0x9002).contains("0x00009002 is no address of a word"));
    assert!(storage(Width::Four, 0x9000).contains("counts its slots from 0x00FFD500"));
    let made = NRF5340.make().unwrap();
    let planned = |at: u32, size: u32| {
        let file = Provision::read(&raw_map(at, &made.bytes)).unwrap();
        Storage::planned(&file, NRF5340.generation, size).map(|storage| storage.base())
    };
    let needed = 0x28 + u32::try_from(made.bytes.len()).unwrap();
    assert_eq!(planned(made.at, needed), Ok(0x00FF_8100));
    let small = planned(made.at, needed - 1).unwrap_err();
    assert_eq!(small, format!("{needed} bytes of provision data do not fit {} bytes of storage", needed - 1));
    assert!(planned(made.at, u32::MAX).unwrap_err().contains("do not fit 4294967295 bytes"));
    assert!(planned(0x2004, 0x280).unwrap_err().contains("does not tell where the storage begins"));
}

#[test]
fn mcuboot_takes_what_its_counter_allows() {
    let mut board = planned(&Asked { mcuboot_slots: 2, ..NRF5340 });
    assert_eq!(board.would_take(0), Ok(()));
    assert_eq!(board.would_take(65535), Ok(()));
    assert!(board.would_take(65536).unwrap_err().contains("16 bits"));
    board.raise(2, 7).unwrap();
    assert!(board.would_take(6).unwrap_err().contains("below the chip's 7"));
    board.raise(2, 9).unwrap();
    assert!(board.would_take(10).unwrap_err().contains("no slot left"));
    assert_eq!(board.would_take(9), Ok(()));
    assert!(planned(&NRF5340).would_take(1).unwrap_err().contains("no counter for MCUboot"));
}

#[test]
fn an_older_bootloader_reads_other_tokens_and_no_life_cycle_state_on_rram() {
    let asked = Asked { generation: Generation::Ncs2_4, ..NRF5340 };
    let mut old = planned(&asked);
    assert_eq!(old.verify_keys(), Ok(()));
    assert_eq!(old.revoke(0), Ok(Revoked::Now));
    assert_eq!((old.revoke(0), old.key(0)), (Ok(Revoked::Before), Err(No::Invalid)));
    // The same bytes under a newer bootloader: the token is none.
    let strict = storage(Generation::Ncs2_7, Width::Two, 0x00FF_8100, 0x28, &asked.make().unwrap().bytes);
    assert_eq!(strict.verify_keys(), Err(No::Panic));
    // And a newer file under an older bootloader: valid, but it can never be revoked.
    let mut loose = storage(Generation::Ncs2_4, Width::Two, 0x00FF_8100, 0x28, &NRF5340.make().unwrap().bytes);
    assert_eq!((loose.verify_keys(), loose.revoke(0)), (Ok(()), Ok(Revoked::Unchanged)));
    for generation in [Generation::Ncs3_0, Generation::Sdk2025_12] {
        let board = planned(&Asked { generation, ..NRF54L15 });
        assert_eq!(board.life_cycle(), Err(No::UnreadableState));
    }
    assert_eq!(planned(&NRF54L15).life_cycle(), Ok(LifeCycle::Assembly));
    let asked = Asked { keys: &["ed25519-a"], ..NRF54L15 };
    assert_eq!(planned(&asked).revoke(0), Ok(Revoked::Unchanged), "RRAM takes no second write");
    let first = storage(Generation::Ncs2_1, Width::Two, 0x9000, 0, &vector("nsib/hist-2020-02-ncs1.2.bin").bytes);
    assert_eq!((first.s0(), first.key_count(), first.life_cycle()), (0xA000, 2, Err(No::Invalid)));
    assert_eq!(first.counter_slots(1), Ok(20));
    assert!(Storage::new(Layout::new(Generation::Sdk2026_05, Width::Four).unwrap(), 0x9000, Vec::new()).is_err());
}
