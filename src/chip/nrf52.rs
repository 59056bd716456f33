//! nRF52840: map, registers with their source, identification, erasing, programming, locking.
//!
//! Sources: PS-52840 is the nRF52840 product specification v1.11; SVD is `nrf52840.svd` of NordicSemiconductor/nrfx
//! at aa83d4df; PYOCD, OOCD and NRFX are the tools named in `docs/sources.md`.

use std::ops::Range;

use crate::{
    chip::{Family, Identity, Look, Memory, Port, Reset, Told, Word, ambiguous, memory, unanswered},
    fault::{Exit, Fault, Party},
    ident::DeviceId,
    link::{Broke, Burn, Guarded, Op, Peek, Place, Poke, Why},
    recipe::{self, NfcPins, Pin, Volts},
};

mod loader;

/// The nRF52840.
pub struct Nrf52840;

/// Program flash: 1 MiB in pages of 4 KiB. [PS-52840, memory map]
const FLASH: Range<u32> = 0x0000_0000..0x0010_0000;
/// RAM: 256 KiB. [PS-52840, memory map]
const RAM: Range<u32> = 0x2000_0000..0x2004_0000;

/// The control access port. [PS-52840, CTRL-AP]
const CTRL_AP: u8 = 1;
/// Reset: 1 holds the chip, 0 lets it go. [PS-52840, CTRL-AP]
const CTRL_RESET: Place = Place::Ap { ap: CTRL_AP, register: 0x00 };
/// Erases everything. [PS-52840, CTRL-AP]
const CTRL_ERASEALL: Place = Place::Ap { ap: CTRL_AP, register: 0x04 };
/// 1 while erasing. [PS-52840, CTRL-AP]
const CTRL_ERASEALLSTATUS: Place = Place::Ap { ap: CTRL_AP, register: 0x08 };
/// 1 = open, 0 = closed. [PS-52840, CTRL-AP]
const CTRL_APPROTECTSTATUS: Place = Place::Ap { ap: CTRL_AP, register: 0x0C };
/// Identification of the control access port. [PS-52840, CTRL-AP; PYOCD nRF52]
const CTRL_IDR: Place = Place::Ap { ap: CTRL_AP, register: 0xFC };
/// What it reads on nRF52, whatever its version nibble is. [PYOCD nRF52, OOCD nrf52.cfg]
const CTRL_IDR_VALUE: u32 = 0x0288_0000;
/// All but the version. [PYOCD nRF52]
const CTRL_IDR_MASK: u32 = 0x0FFF_FFFF;
/// The debug port of nRF52. [PYOCD nRF52, OOCD nrf52.cfg]
const DPIDR_VALUE: u32 = 0x2BA0_1477;

/// FICR.DEVICEID[0] and [1]. [SVD FICR.DEVICEID]
const FICR_DEVICEID: Place = memory(0x1000_0060);
/// FICR.INFO.PART and .VARIANT. [SVD FICR.INFO]
const FICR_PART: Place = memory(0x1000_0100);
/// What PART reads. [SVD FICR.INFO.PART]
const PART: u32 = 0x0005_2840;
/// Family and revision words that the vendor's own erratum test reads. [NRFX nrf52_erratas.h, nrf52_configuration_249]
const FICR_FAMILY: Place = memory(0x1000_0130);
/// Family word of nRF52840. [NRFX nrf52_erratas.h]
const FAMILY: u32 = 0x08;
/// From this revision word on, an erased lock word closes the port. [NRFX nrf52_erratas.h, configuration 249]
const HARDENED_REVISION: u32 = 5;
/// From this build code on, likewise. [PYOCD nRF52]
const HARDENED_BUILD: &str = "F0";

/// User information configuration registers, one page. [SVD UICR]
const UICR: Range<u32> = 0x1000_1000..0x1000_2000;
/// UICR.NRFFW[0]: where the nRF5 SDK's master boot record finds its bootloader. [SVD UICR.NRFFW; nordic-facts A1]
const UICR_NRFFW: u32 = 0x1000_1014;
/// A page of flash. [PS-52840, memory map]
const PAGE: u32 = 0x1000;
/// UICR.CUSTOMER[32]. [SVD UICR.CUSTOMER]
const UICR_CUSTOMER: u32 = 0x1000_1080;
/// UICR.PSELRESET[2]: port and pin of the reset, both words alike. [SVD UICR.PSELRESET]
const UICR_PSELRESET: u32 = 0x1000_1200;
/// UICR.APPROTECT. [SVD UICR.APPROTECT]
const UICR_APPROTECT: u32 = 0x1000_1208;
/// UICR.NFCPINS. [SVD UICR.NFCPINS]
const UICR_NFCPINS: u32 = 0x1000_120C;
/// UICR.REGOUT0. [SVD UICR.REGOUT0]
const UICR_REGOUT0: u32 = 0x1000_1304;
/// What closes the port on every silicon: never the erased value, never 0x5A. [SVD UICR.APPROTECT PALL Enabled = 0x00]
const APPROTECT_CLOSED: u32 = 0x0000_0000;

/// The flash controller. [SVD NVMC]
const NVMC: u32 = 0x4001_E000;
/// NVMC.READY. [SVD NVMC.READY]
const NVMC_READY: Place = memory(0x4001_E400);
/// NVMC.CONFIG: 0 read, 1 write, 2 erase. [SVD NVMC.CONFIG]
const NVMC_CONFIG: Place = memory(0x4001_E504);
/// NVMC.ERASEALL. [SVD NVMC.ERASEALL]
const NVMC_ERASEALL: u32 = 0x4001_E50C;
/// NVMC.ERASEUICR. [SVD NVMC.ERASEUICR]
const NVMC_ERASEUICR: u32 = 0x4001_E514;
/// The watchdog, which old firmware may have left running. [SVD WDT]
const WDT: u32 = 0x4001_0000;
/// WDT.RR[0]..[7]. [SVD WDT.RR]
const WDT_RR: Place = memory(0x4001_0600);
/// What reloads it. [SVD WDT.RR Reload]
const WDT_FEED: u32 = 0x6E52_4635;

/// One word takes 41 us; the bound is what careful tools wait. [nordic-facts A1: OOCD waits 340 ms, use 500 ms or more]
const WORD_MS: u32 = 500;
/// ERASEALL takes 169 ms; the bound is what careful tools wait. [PYOCD and OOCD wait 15 s]
const ERASEALL_MS: u32 = 15_000;
/// How often ERASEALL is repeated while the port stays closed. An engineering choice; [PS-52840] says repeat.
const ERASEALL_TRIES: u32 = 3;

/// Words written between two feeds of a watchdog: 8 x 41 us is less than the shortest one, 15 ticks of 32768 Hz.
/// [PS-52840, WDT.CRV]
const FED_WORDS: usize = 8;

/// Words of the buffer read back at once: 16 KiB.
const READ_CHUNK: u32 = 4096;

const GUARDED: &[Guarded] = &[
    Guarded::Memory { first: UICR.start, last: UICR.end - 1 },
    // With ERASEPCR0 between them. [SVD NVMC]
    Guarded::Memory { first: NVMC_ERASEALL, last: NVMC_ERASEUICR + 3 },
    Guarded::Ap { ap: CTRL_AP, register: 0x04 },
];

const CUSTOMER: &str = "uicr.customer";

const REGISTERS: &[(&str, Place)] = &[
    ("FICR.DEVICEID[0]", FICR_DEVICEID),
    ("FICR.INFO.PART", FICR_PART),
    ("UICR.NRFFW[0]", memory(UICR_NRFFW)),
    ("UICR.CUSTOMER[0]", memory(UICR_CUSTOMER)),
    ("UICR.PSELRESET[0]", memory(UICR_PSELRESET)),
    ("UICR.APPROTECT", memory(UICR_APPROTECT)),
    ("UICR.NFCPINS", memory(UICR_NFCPINS)),
    ("UICR.REGOUT0", memory(UICR_REGOUT0)),
    ("UICR", memory(UICR.start)),
    ("NVMC", memory(NVMC)),
    ("NVMC.READY", NVMC_READY),
    ("NVMC.CONFIG", NVMC_CONFIG),
    ("NVMC.ERASEALL", memory(NVMC_ERASEALL)),
    ("NVMC.ERASEUICR", memory(NVMC_ERASEUICR)),
    ("WDT", memory(WDT)),
    ("WDT.RR[0]", WDT_RR),
];

impl Family for Nrf52840 {
    fn name(&self) -> &'static str {
        "nRF52840"
    }

    fn registers(&self) -> &'static [(&'static str, Place)] {
        REGISTERS
    }

    fn flash(&self) -> Range<u32> {
        FLASH
    }

    fn ram(&self) -> Range<u32> {
        RAM
    }

    fn guarded(&self) -> &'static [Guarded] {
        GUARDED
    }

    fn spot(&self, area: &str, index: u32) -> Option<u32> {
        let &(_, words) = self.areas().iter().find(|(name, _)| *name == area)?;
        (index < words).then(|| UICR_CUSTOMER + 4 * index)
    }

    fn areas(&self) -> &'static [(&'static str, u32)] {
        &[(CUSTOMER, 32)]
    }

    fn setting(&self, setting: &recipe::Word) -> Result<Vec<Word>, String> {
        match *setting {
            recipe::Word::Regout0(volts) => Ok(vec![regout0(volts)]),
            recipe::Word::PselReset(pin) => pin_reset(pin),
            // UICR.NFCPINS.PROTECT is bit 0, 0 = ordinary pins. [SVD UICR.NFCPINS]
            recipe::Word::NfcPins(NfcPins::Gpio) => Ok(vec![whole("uicr.nfcpins", UICR_NFCPINS, !1)]),
            recipe::Word::NfcPins(NfcPins::Nfc) => Ok(vec![whole("uicr.nfcpins", UICR_NFCPINS, u32::MAX)]),
            recipe::Word::Bootloader(at) => page_at("uicr.nrffw[0]", UICR_NRFFW, at),
            // NRFFW[1]. [nordic-facts A1]
            recipe::Word::MbrParams(at) => page_at("uicr.nrffw[1]", UICR_NRFFW + 4, at),
        }
    }

    fn lock_words(&self) -> Vec<Word> {
        vec![whole("uicr.approtect", UICR_APPROTECT, APPROTECT_CLOSED)]
    }

    fn at_least(&self, variant: &str, build_code: &recipe::BuildCode) -> bool {
        build_code.is_reached_by(variant)
    }

    fn look(&self, peek: &mut dyn Peek) -> Result<Look, Broke> {
        let dpidr = peek.connect()?;
        let status = peek.read_all(&[(CTRL_IDR, 1), (CTRL_APPROTECTSTATUS, 1)])?;
        let mut status = status.into_iter().flatten();
        let ctrl_idr = status.next().unwrap_or_default();
        let protection = status.next().unwrap_or_default();
        let memory = match peek.word(FICR_PART) {
            Ok(part) => Memory::Read(part),
            Err(broke) if broke.why == Why::Refused => Memory::Refused,
            Err(broke) => return Err(broke),
        };
        Ok(Look { dpidr, ctrl_idr, protection, memory })
    }

    fn port(&self, look: &Look) -> Result<Port, Fault> {
        if look.dpidr != DPIDR_VALUE || look.ctrl_idr & CTRL_IDR_MASK != CTRL_IDR_VALUE {
            return Err(wrong_chip(&format!("{look}")));
        }
        match (look.protection, look.memory) {
            (1, Memory::Read(part)) if part == PART => Ok(Port::Open),
            (1, Memory::Read(part)) => Err(wrong_chip(&format!("FICR.INFO.PART reads {part:#x}"))),
            (0, Memory::Refused) => Ok(Port::Closed),
            (_, Memory::Read(_) | Memory::Refused) => Err(ambiguous(look, "status and memory contradict each other")),
        }
    }

    fn identify(&self, peek: &mut dyn Peek) -> Result<Identity, Fault> {
        let first = read_identity(peek)?;
        if read_identity(peek)? == first {
            return interpret(first);
        }
        Err(Fault::new(
            Party::Operator,
            "the board says two different things about itself",
            "Close the fixture until it clicks, then scan again. If it happens again, call the technician.",
        )
        .exit(Exit::NoAnswer)
        .code("R-104"))
    }

    fn erase(&self, burn: &mut dyn Burn) -> Result<(), Fault> {
        for _ in 0..ERASEALL_TRIES {
            if erase_once(burn).map_err(|broke| unanswered(&broke))? {
                return blank(burn);
            }
        }
        Err(Fault::new(
            Party::Supervisor,
            "the board stays closed after an erase",
            "Put the board on the blue rack and call the supervisor.",
        )
        .exit(Exit::Quarantined)
        .code("H-310")
        .detail(format!("APPROTECTSTATUS still reads 0 after {ERASEALL_TRIES} times ERASEALL and reset")))
    }

    fn program(&self, poke: &mut dyn Poke, at: u32, words: &[u32], told: Told<'_>) -> Result<(), Fault> {
        let total = 4 * words.len() as u64;
        let mut ops = loader::halt();
        ops.push(loader::load());
        ops.extend(config(1));
        run(poke, ops)?;
        let mut to = at;
        for chunk in words.chunks(loader::CHUNK) {
            let count = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let mut ops = vec![Op::Write { to: memory(loader::BUFFER), words: chunk.to_vec() }];
            ops.extend(loader::call(to, count, NVMC, WDT, WDT_FEED));
            run(poke, ops)?;
            to += 4 * count;
            told(u64::from(to - at), total);
        }
        run(poke, config(0)).map(drop)
    }

    fn read(&self, poke: &mut dyn Poke, at: u32, words: u32, told: Told<'_>) -> Result<Vec<u32>, Fault> {
        let mut read = Vec::with_capacity(words as usize);
        while read.len() < words as usize {
            let done = u32::try_from(read.len()).unwrap_or(u32::MAX);
            let count = READ_CHUNK.min(words - done);
            let replies = run(poke, vec![feed(), Op::Read { from: memory(at + 4 * done), words: count }])?;
            let chunk = replies.into_iter().nth(1).unwrap_or_default();
            if chunk.len() != count as usize {
                return Err(short(at + 4 * done));
            }
            read.extend(chunk);
            told(4 * read.len() as u64, 4 * u64::from(words));
        }
        Ok(read)
    }

    fn burn_words(&self, burn: &mut dyn Burn, words: &[Word]) -> Result<(), Fault> {
        run(burn, loader::halt())?;
        let missing = unwritten(burn, words)?;
        // A board that reset meanwhile runs, and a running core must not be written under.
        let mut ops = vec![loader::halted()];
        ops.extend(config(1));
        for (index, word) in missing.iter().enumerate() {
            if index % FED_WORDS == 0 {
                ops.push(feed());
            }
            // The compare comes from the golden state later; a word is written once and never again, whatever it reads.
            ops.extend([Op::Write { to: memory(word.at), words: vec![word.value] }, ready()]);
        }
        ops.extend(config(0));
        burn.burn(ops).map(drop).map_err(|broke| unanswered(&broke))
    }

    fn reset(&self, poke: &mut dyn Poke, how: Reset) -> Result<(), Broke> {
        match how {
            // An erase that lost its cable goes on by itself, and no reset may cut into it.
            Reset::Soft => poke.poke(vec![erased(), write(CTRL_RESET, 1), write(CTRL_RESET, 0)]).map(drop),
            Reset::Pin => poke.poke(vec![Op::PinReset]).map(drop),
            // Only a hand can do that; what is left to us is to let go.
            Reset::Power => poke.let_go(),
        }
    }

    fn park(&self, poke: &mut dyn Poke) -> Result<(), Fault> {
        run(poke, loader::park()).map(drop)
    }
}

fn write(to: Place, word: u32) -> Op {
    Op::Write { to, words: vec![word] }
}

fn ready() -> Op {
    Op::Poll { at: NVMC_READY, mask: 1, value: 1, within_ms: WORD_MS }
}

/// Sets NVMC.CONFIG and waits until the controller is ready for it.
fn config(mode: u32) -> Vec<Op> {
    vec![write(NVMC_CONFIG, mode), ready()]
}

/// Reloads every reload register of a watchdog that may be running; ignored where none does.
fn feed() -> Op {
    Op::Write { to: WDT_RR, words: vec![WDT_FEED; 8] }
}

fn run(poke: &mut (impl Poke + ?Sized), ops: Vec<Op>) -> Result<Vec<Vec<u32>>, Fault> {
    poke.poke(ops).map_err(|broke| unanswered(&broke))
}

fn whole(name: &str, at: u32, value: u32) -> Word {
    Word { name: name.to_owned(), at, value, mask: u32::MAX }
}

fn regout0(volts: Volts) -> Word {
    // UICR.REGOUT0.VOUT is bits 2:0. [SVD UICR.REGOUT0]
    let code = match volts {
        Volts::V1_8 => 0,
        Volts::V2_1 => 1,
        Volts::V2_4 => 2,
        Volts::V2_7 => 3,
        Volts::V3_0 => 4,
        Volts::V3_3 => 5,
    };
    whole("uicr.regout0", UICR_REGOUT0, !7 | code)
}

/// A word that names a page of flash, which is not the first: the master boot record stands there.
fn page_at(name: &str, word: u32, at: u32) -> Result<Vec<Word>, String> {
    if at == 0 || !at.is_multiple_of(PAGE) || !FLASH.contains(&at) {
        return Err(format!(
            "0x{at:08X} is no page of flash behind the first: a multiple of 0x{PAGE:X} below 0x{:X}",
            FLASH.end
        ));
    }
    Ok(vec![whole(name, word, at)])
}

fn pin_reset(Pin { port, pin }: Pin) -> Result<Vec<Word>, String> {
    // Port 0 has 32 pins, port 1 has 16. [PS-52840, pin assignments]
    if !(port == 0 && pin < 32 || port == 1 && pin < 16) {
        return Err("pins of the nRF52840 are P0.00 to P0.31 and P1.00 to P1.15".to_owned());
    }
    // PIN in bits 4:0, PORT in bit 5, CONNECT = 0 in bit 31; the unnamed bits stay clear. [SVD UICR.PSELRESET]
    let value = u32::from(port) << 5 | u32::from(pin);
    Ok(vec![whole("uicr.pselreset[0]", UICR_PSELRESET, value), whole("uicr.pselreset[1]", UICR_PSELRESET + 4, value)])
}

fn wrong_chip(seen: &str) -> Fault {
    Fault::new(
        Party::Operator,
        "this is not the chip of this product",
        "Put the board aside, and compare the product on the screen with the travel card.",
    )
    .exit(Exit::WrongChip)
    .code("B-401")
    .detail(format!("expected an nRF52840, seen: {seen}"))
}

fn short(at: u32) -> Fault {
    Fault::new(Party::Operator, "contact with the board was lost", "Close the fixture, then scan the label again.")
        .exit(Exit::NoAnswer)
        .code("R-102")
        .detail(format!("fewer words than asked for came back at {at:#010x}"))
}

type Words = [u32; 6];

/// DEVICEID[0], DEVICEID[1], PART, VARIANT, family and revision.
fn read_identity(peek: &mut dyn Peek) -> Result<Words, Fault> {
    let runs = [(FICR_DEVICEID, 2), (FICR_PART, 2), (FICR_FAMILY, 2)];
    let words: Vec<u32> = peek.read_all(&runs).map_err(|broke| unanswered(&broke))?.into_iter().flatten().collect();
    words.try_into().map_err(|_| short(0x1000_0060)) // [SVD FICR.DEVICEID]
}

fn interpret([low, high, part, variant, family, revision]: Words) -> Result<Identity, Fault> {
    let variant_bytes = variant.to_be_bytes();
    if part != PART || !variant_bytes.iter().all(u8::is_ascii_alphanumeric) {
        return Err(wrong_chip(&format!("PART {part:#x}, VARIANT {variant:#010x}")));
    }
    let variant = variant_bytes.iter().copied().map(char::from).collect::<String>();
    let Some(device) = DeviceId::from_words(low, high) else {
        return Err(wrong_chip(&format!("DEVICEID {high:08x}{low:08x}, which no chip has")));
    };
    let by_build = variant.get(2..4).is_some_and(|build| build >= HARDENED_BUILD);
    let by_revision = revision >= HARDENED_REVISION;
    if family != FAMILY || by_build != by_revision {
        return Err(unknown_silicon(&variant, family, revision));
    }
    Ok(Identity { part, variant, device, hardened: by_build })
}

/// The two tests for hardened silicon disagree: whether an erased lock word is open is then unknown.
fn unknown_silicon(variant: &str, family: u32, revision: u32) -> Fault {
    Fault::new(
        Party::Engineering,
        "this silicon is not known to rootstamp",
        "Put the board aside and send its variant to engineering: it must be entered before it can be provisioned.",
    )
    .exit(Exit::WrongChip)
    .code("B-402")
    .detail(format!("VARIANT {variant}, but family word {family:#x} and revision word {revision:#x}"))
}

/// Waits until no ERASEALL is going on. [nRF52840 PS v1.11, CTRL-AP ERASEALLSTATUS]
const fn erased() -> Op {
    Op::Poll { at: CTRL_ERASEALLSTATUS, mask: 1, value: 0, within_ms: ERASEALL_MS }
}

/// ERASEALL, the reset that belongs to it, and a first look; true if the port is open and the core halted.
fn erase_once(burn: &mut dyn Burn) -> Result<bool, Broke> {
    let erased = burn.burn(vec![
        write(CTRL_ERASEALL, 1),
        erased(),
        write(CTRL_RESET, 1),
        write(CTRL_RESET, 0),
        write(CTRL_ERASEALL, 0),
        Op::Read { from: CTRL_APPROTECTSTATUS, words: 1 },
    ])?;
    if erased.last().and_then(|words| words.first()) != Some(&1) {
        return Ok(false);
    }
    // At once: a blank core that runs locks up, and a lock-up may reset.
    match burn.poke(loader::halt()) {
        Ok(_) => Ok(true),
        Err(broke) if broke.why == Why::Refused => Ok(false),
        Err(broke) => Err(broke),
    }
}

/// The words an erase must have emptied: ERASEALL that was ignored looks like one that was quick.
fn blank(peek: &mut dyn Peek) -> Result<(), Fault> {
    let runs = [(memory(FLASH.start), 64), (memory(UICR_CUSTOMER), 32), (memory(UICR_APPROTECT), 1)];
    let read = peek.read_all(&runs).map_err(|broke| unanswered(&broke))?;
    if read.iter().flatten().all(|&word| word == u32::MAX) {
        return Ok(());
    }
    Err(Fault::new(Party::Operator, "the board was not erased", "Put the board into the red bin.")
        .exit(Exit::UnitFailed)
        .code("E-211")
        .detail("ERASEALL ended, but flash or UICR is not blank"))
}

/// The words still to be written. All are read before any is written: one that is neither blank nor right already
/// stops everything.
fn unwritten<'a>(peek: &mut dyn Peek, words: &'a [Word]) -> Result<Vec<&'a Word>, Fault> {
    let runs: Vec<_> = words.iter().map(|word| (memory(word.at), 1)).collect();
    let read = peek.read_all(&runs).map_err(|broke| unanswered(&broke))?;
    let read = read.iter().map(|words| words.first().copied().unwrap_or_default());
    let mut missing = Vec::new();
    for (word, has) in words.iter().zip(read) {
        if has == u32::MAX && word.value != u32::MAX {
            missing.push(word);
        } else if has != word.value {
            return Err(Fault::new(
                Party::Operator,
                "a word that is written once holds something else",
                "Scan the label again: the board is erased and done anew. If it happens again, use the red bin.",
            )
            .exit(Exit::UnitFailed)
            .code("E-212")
            .detail(format!("{} at {:#010x} reads {has:#010x}, wanted {:#010x}", word.name, word.at, word.value)));
        }
    }
    Ok(missing)
}
