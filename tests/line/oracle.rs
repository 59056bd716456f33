//! What may never be, looked at after every batch on the wire and after every scan: in the board's own cells and in the
//! entries of the ledger, never at the port and never at what the station says.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::{Arc, Mutex},
};

use rootstamp::{
    fixture::probe::ProbeWire,
    ident::{DeviceId, Serial},
    ledger::{
        Entry, Kind, Ledger, Standing,
        facts::{EraseIntent, StampIntent},
    },
    link::{Batch, Carried, Wire},
    plan::Lot,
    session::news::{Outcome, Verdict},
    virtual_board::{Board, Shared, lock},
};

/// UICR and UICR.APPROTECT as the board's own register dump has them. [SVD UICR]
const UICR: u32 = 0x1000_1000;
const APPROTECT: u32 = 0x1000_1208;

/// Changes a batch on its way, or what comes back of it.
pub(crate) trait Tamper: FnMut(&Shared, &mut Batch, Option<&mut Carried>) {}
impl<T: FnMut(&Shared, &mut Batch, Option<&mut Carried>)> Tamper for T {}

/// A wire that is looked at after every batch.
pub(crate) struct Watched {
    probe: ProbeWire,
    slot: Shared,
    ledger: Arc<Mutex<Ledger>>,
    serial: Option<Serial>,
    boards: BTreeMap<DeviceId, Cells>,
    /// A test did something to the cells by itself since the last look, and so spoiled them.
    pub(crate) meddled: Rc<Cell<bool>>,
    spoiled: bool,
    /// The cable lies, so that the board is done things to that nobody asked for.
    pub(crate) lies: bool,
    /// Entries that another site of the same station wrote: they allow nothing here, and forbid nothing.
    pub(crate) of_others: Rc<RefCell<BTreeSet<u64>>>,
    /// What is being tried, for whoever reads a failure.
    pub(crate) context: String,
    /// The records as they were when the board first lost its power.
    pub(crate) at_cut: Option<Ledger>,
    /// Called before and after each batch.
    pub(crate) tamper: Option<Box<dyn Tamper>>,
    /// Batches so far.
    pub(crate) batches: u64,
}

/// What is remembered of a board between two batches.
#[derive(Clone, Default)]
struct Cells {
    writes: u64,
    erases: u64,
    uicr: Vec<u8>,
}

impl Wire for Watched {
    fn carry(&mut self, batch: &Batch) -> Carried {
        self.batches += 1;
        let mut batch = batch.clone();
        if self.meddled.take() {
            self.spoiled = true;
            self.see();
        }
        if let Some(tamper) = &mut self.tamper {
            tamper(&self.slot, &mut batch, None);
            self.see();
        }
        let mut carried = self.probe.carry(&batch);
        self.look();
        if let Some(tamper) = &mut self.tamper {
            tamper(&self.slot, &mut batch, Some(&mut carried));
            self.see();
        }
        carried
    }
}

impl Watched {
    pub(crate) fn new(probe: ProbeWire, slot: &Shared, ledger: &Arc<Mutex<Ledger>>) -> Self {
        Self {
            probe,
            slot: Arc::clone(slot),
            ledger: Arc::clone(ledger),
            serial: None,
            boards: BTreeMap::new(),
            meddled: Rc::default(),
            spoiled: false,
            lies: false,
            of_others: Rc::default(),
            context: String::new(),
            at_cut: None,
            tamper: None,
            batches: 0,
        }
    }

    /// A scan begins: whatever happened to the board until now was not the station's doing.
    pub(crate) fn begin(&mut self, serial: &Serial) {
        self.serial = Some(serial.clone());
        self.see();
    }

    fn see(&mut self) {
        let slot = lock(&self.slot);
        if let Some(board) = slot.board() {
            self.boards.insert(board.device_id().unwrap(), Cells::of(board));
        }
    }

    fn look(&mut self) {
        let slot = lock(&self.slot);
        let Some(board) = slot.board() else { return };
        let device = board.device_id().unwrap();
        if !board.is_powered() && self.at_cut.is_none() {
            self.at_cut = Some(self.ledger.lock().unwrap().copy().unwrap());
        }
        let counters = board.counters();
        let same = |cells: &Cells| (cells.writes, cells.erases) == (counters.word_writes, counters.erases);
        if self.boards.get(&device).is_some_and(same) {
            return;
        }
        let now = Cells::of(board);
        // A board that was put in meanwhile arrived as it is.
        let Some(before) = self.boards.insert(device, now.clone()) else { return };
        assert!(self.lies || board.violations().is_empty(), "{:?} {}", board.violations(), self.context);
        let entries = self.entries();
        if now.erases > before.erases {
            erase_was_intended(device, &entries);
        } else {
            writes_were_intended(device, &entries, &before, &now);
        }
        if !self.spoiled {
            lock_is_recorded(board, &entries);
        }
    }

    /// After a scan: the verdict, the entries and the cells tell one story.
    pub(crate) fn judge(&mut self, lot: &Lot, serial: &Serial, outcome: &Outcome) {
        let standing = self.ledger.lock().unwrap().unit(serial).unwrap();
        let passed = matches!(standing, Standing::Passed { .. });
        let said = matches!(outcome.verdict, Verdict::Pass | Verdict::DoneAlready);
        // The label of a unit that passed may come with a board that is not it: then no run was begun.
        let refused = passed && outcome.run.is_none() && matches!(outcome.verdict, Verdict::Hold | Verdict::Retry);
        assert!(said == passed || refused, "{serial} is {standing:?}, but the screen says {:?}", outcome.verdict);
        one_pass_each(&self.ledger.lock().unwrap());
        let slot = lock(&self.slot);
        let Some(board) = slot.board() else { return };
        assert!(self.lies || board.violations().is_empty(), "{:?} {}", board.violations(), self.context);
        if !self.spoiled {
            lock_is_recorded(board, &self.entries());
        }
        let Standing::Passed { device, .. } = standing else { return };
        if outcome.verdict == Verdict::Pass {
            assert_eq!(Some(device), board.device_id(), "the PASS names a board that is not in the fixture");
        }
        if outcome.verdict == Verdict::DoneAlready {
            let boots = !board.is_open() && board.would_boot().is_ok();
            assert!(self.lies || boots, "a board that is not finished is put with the good ones");
        }
        if said && Some(device) == board.device_id() {
            finished(board, lot, serial).unwrap();
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let others = self.of_others.borrow();
        let ledger = self.ledger.lock().unwrap();
        let own = ledger.records().entries().map(Result::unwrap).filter(|entry| !others.contains(&entry.seq));
        own.collect()
    }
}

impl Cells {
    fn of(board: &Board) -> Self {
        let counters = board.counters();
        Self { writes: counters.word_writes, erases: counters.erases, uicr: board.uicr() }
    }
}

/// The last thing that was recorded of any run; a run that is over allows nothing.
fn last_step(entries: &[Entry]) -> &Entry {
    entries.iter().rfind(|entry| entry.kind != Kind::Opened).expect("a board was changed and nothing is recorded")
}

/// I3, I4: no erase without an intent of its own, and not of a device that the intent does not mean.
fn erase_was_intended(device: DeviceId, entries: &[Entry]) {
    let last = last_step(entries);
    assert_eq!(last.kind, Kind::EraseIntent, "device {device} was erased after {last:?}");
    let intent: EraseIntent = serde_json::from_str(&last.body).unwrap();
    assert!(intent.device.is_none_or(|meant| meant == device), "{device} was erased instead of {:?}", intent.device);
}

/// I3: flash only of a bound device, UICR words only as an intent names them, lock words only after C4.
fn writes_were_intended(device: DeviceId, entries: &[Entry], before: &Cells, now: &Cells) {
    let mut last = last_step(entries);
    let over = |entry: &Entry| matches!(entry.kind, Kind::Stopped | Kind::EraseIntent | Kind::Opened);
    if over(last) && before.uicr == now.uicr {
        // A loader that was started goes on when the cable is pulled, until the next run erases or the power goes.
        last = entries.iter().rfind(|entry| !over(entry)).unwrap();
        assert_eq!(last.kind, Kind::Bound, "device {device} was written after {last:?}");
    }
    assert_eq!(last.device, Some(device), "device {device} was written after {last:?}");
    let words = |cells: &Cells| -> Vec<u32> {
        cells.uicr.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    };
    for ((at, before), now) in (UICR..).step_by(4).zip(words(before)).zip(words(now)) {
        let cleared = before & !now;
        assert_eq!(before | now, before, "bits of {at:#010x} were set without an erase");
        assert!(cleared == 0 || cleared & intended(last, at) == 0, "{at:#010x}: {before:#x} to {now:#x}, {last:?}");
    }
    let writes = matches!(last.kind, Kind::Bound | Kind::StampIntent | Kind::Verified);
    assert!(writes, "device {device} was written after {last:?}");
}

/// The bits that may not be cleared at this address.
fn intended(last: &Entry, at: u32) -> u32 {
    if last.kind == Kind::Verified && at == APPROTECT {
        return 0;
    }
    if last.kind != Kind::StampIntent {
        return u32::MAX;
    }
    let intent: StampIntent = serde_json::from_str(&last.body).unwrap();
    intent.words.iter().find(|word| word.at == at).map_or(u32::MAX, |word| word.value)
}

/// I2: whose lock word is written has a durable `Verified` that names the device.
fn lock_is_recorded(board: &Board, entries: &[Entry]) {
    let written = board.approtect_word() != u32::MAX;
    let verified = |entry: &Entry| entry.kind == Kind::Verified && entry.device == board.device_id();
    assert!(!written || entries.iter().any(verified), "lock word {:#x} without a record", board.approtect_word());
}

/// I5: one live PASS per device; per serial there is one standing by construction, which must not be two devices.
fn one_pass_each(ledger: &Ledger) {
    let mut devices = BTreeMap::new();
    for serial in ledger.records().serials().unwrap() {
        let Standing::Passed { device, .. } = ledger.unit(&serial).unwrap() else { continue };
        let other = devices.insert(device, serial.clone());
        assert!(other.is_none(), "device {device} is both {other:?} and {serial}");
    }
}

/// I1: whether the cells are those of a finished unit; boards that cannot be told apart are looked at once.
pub(crate) fn finished(board: &Board, lot: &Lot, serial: &Serial) -> Result<(), String> {
    static FINISHED: Mutex<BTreeSet<([u8; 32], String)>> = Mutex::new(BTreeSet::new());
    let unit = (board.fingerprint(), format!("{serial} {}", lot.golden.digest));
    if FINISHED.lock().unwrap().contains(&unit) {
        return Ok(());
    }
    as_ordered(board, lot, serial)?;
    FINISHED.lock().unwrap().insert(unit);
    Ok(())
}

fn as_ordered(board: &Board, lot: &Lot, serial: &Serial) -> Result<(), String> {
    let own = lot.for_unit(serial).map_err(|fault| fault.what)?;
    let golden = &own.as_ref().unwrap_or(lot).golden;
    let mut flash = vec![0xFF; board.flash().len()];
    for region in &golden.regions {
        let at = region.at as usize;
        flash[at..at + region.bytes.len()].copy_from_slice(&region.bytes);
    }
    let mut uicr = vec![0xFF; board.uicr().len()];
    for word in golden.words_for(serial).iter().chain(&golden.lock) {
        let at = (word.at - UICR) as usize;
        uicr[at..at + 4].copy_from_slice(&word.value.to_le_bytes());
    }
    let later = Board::from_snapshot(&board.snapshot());
    let truths = [
        (board.flash() == flash, "flash is not as ordered"),
        (board.uicr() == uicr, "UICR is not as ordered"),
        (board.approtect_word() == 0, "the lock word is not written whole"),
        // Only a stand-in's boot is modelled.
        (!is_stand_in(&flash) || board.would_boot().is_ok(), "it would not boot"),
        (!later.is_open(), "its port opens at a power cycle"),
    ];
    truths.into_iter().find(|(true_of_it, _)| !true_of_it).map_or(Ok(()), |(_, what)| Err(what.to_owned()))
}

/// Whether what the chip starts is one of the stand-ins of tests and demo, whose mark is behind its vectors.
fn is_stand_in(flash: &[u8]) -> bool {
    flash.get(0x40..).is_some_and(|behind| behind.starts_with(b"ROOTSTAMP STAND-IN BOOTLOADER\0"))
}

mod tests {
    use rootstamp::{
        link::Brand,
        virtual_board::{Latch, Silicon},
    };

    use super::{
        super::{Line, label, line},
        *,
    };

    fn begun() -> Line {
        let mut line = line(Silicon::Old, Latch::Strict);
        let serial = label(&line.lot, 1).parse().unwrap();
        line.wire.begin(&serial);
        line
    }

    #[test]
    #[should_panic(expected = "nothing is recorded")]
    fn an_erase_that_nobody_intended_is_noticed() {
        let mut line = begun();
        let family = line.lot.family;
        let _ = family.look(&mut Brand::new(&mut line.wire, family.guarded()));
        let _ = family.erase(&mut Brand::new(&mut line.wire, family.guarded()));
    }

    #[test]
    #[should_panic(expected = "nothing is recorded")]
    fn a_lock_word_without_a_record_is_noticed() {
        let mut line = begun();
        let family = line.lot.family;
        let _ = family.look(&mut Brand::new(&mut line.wire, family.guarded()));
        let _ = family.burn_words(&mut Brand::new(&mut line.wire, family.guarded()), &family.lock_words());
    }

    #[test]
    fn a_board_that_is_as_ordered_and_would_not_boot_is_not_finished_whether_or_not_its_recipe_listens() {
        let mut line = line(Silicon::Old, Latch::Strict);
        let label = label(&line.lot, 1);
        line.scan(&label);
        let mut board = lock(&line.slot).board().unwrap().clone();
        let mut lot = (*line.lot).clone();
        let application = &mut lot.golden.regions[1];
        let middle = application.bytes.len() / 2;
        application.bytes[middle] ^= 1;
        board.flip(application.at + u32::try_from(middle & !3).unwrap(), 1 << (8 * (middle % 4)));
        for boot in [lot.golden.boot.clone(), None] {
            lot.golden.boot = boot;
            assert_eq!(as_ordered(&board, &lot, &label.parse().unwrap()), Err("it would not boot".to_owned()));
        }
    }

    #[test]
    fn a_board_that_is_not_finished_is_not_called_so() {
        let mut line = line(Silicon::Old, Latch::Strict);
        let label = label(&line.lot, 1);
        let serial: Serial = label.parse().unwrap();
        line.scan(&label);
        let board = lock(&line.slot).board().unwrap().clone();
        assert_eq!(as_ordered(&board, &line.lot, &serial), Ok(()));
        for at in [0x40, 0x1000_1080, 0x1000_10A0, 0x1000_10E0, APPROTECT, 0xF_FFFC] {
            let mut board = board.clone();
            board.flip(at, 1);
            assert!(as_ordered(&board, &line.lot, &serial).is_err(), "{at:#x}");
        }
    }
}
