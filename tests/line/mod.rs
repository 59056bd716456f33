//! A whole line in one process: the real session code, stock probe-rs, a real SQLite in memory, a virtual board.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, Mutex},
};

use rootstamp::{
    clock::Frozen,
    fault::{Exit, Fault, Party, Problem},
    file::{self, Read},
    fixture::{
        console::{Console, Unwired, line_with},
        in_process::Mounted,
        probe::ProbeWire,
    },
    ident::{Mode, Serial},
    ledger::{Disposition, Ledger, Opening, Standing, facts::Disposed},
    plan::{self, Lot},
    recipe::{self, Shelf},
    run::Order,
    session::{
        conduct::{Workplace, conduct},
        news::{Answer, Event, Outcome, Progress, Site},
    },
    virtual_board::{Board, Latch, Shared, Silicon, Slot, lock},
};

use self::oracle::Watched;

mod cables;
mod cuts;
mod flips;
mod guard;
mod hooks;
mod machine;
mod oracle;

/// Reads project files, with the recipe's text changed on the way.
pub(crate) struct Changed<F>(pub(crate) F);

impl<F: Fn(String) -> String> Shelf for Changed<F> {
    fn take(&self, path: &Path, limit: u64) -> Result<Read, Problem> {
        let read = file::read(path, limit)?;
        if path.extension().is_some_and(|kind| kind == "toml") {
            let text = (self.0)(read.text()?.to_owned());
            return Ok(Read::from_memory(path, text.into_bytes()));
        }
        Ok(read)
    }

    fn holds(&self, path: &Path) -> bool {
        path.exists()
    }
}

pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The smallest product that has every step, for this silicon.
pub(crate) fn smallest(silicon: Silicon) -> Lot {
    smallest_but(silicon, str::to_owned)
}

/// The same, with its recipe changed.
pub(crate) fn smallest_but(silicon: Silicon, change: fn(&str) -> String) -> Lot {
    let product = recipe::read_from(
        &Changed(|text: String| match silicon {
            Silicon::Old => change(&text.replace("{ at_least = \"Fxx\", ships = \"closed\" }", "{ ships = \"open\" }")),
            Silicon::Hardened => change(&text),
        }),
        &project("tests/products/smallest.toml"),
        Some(Mode::Training),
    );
    plan::lot(product.unwrap()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A recipe that asks for no word of the firmware.
pub(crate) fn without_boot(text: &str) -> String {
    text.split("[boot]").next().unwrap().to_owned()
}

/// Hears what the board in the slot says, in simulated time.
pub(crate) struct BoardConsole {
    slot: Shared,
    kept: Vec<u8>,
}

impl Console for BoardConsole {
    fn listens(&self) -> bool {
        true
    }

    fn forget(&mut self) {
        lock(&self.slot).take_uart();
        self.kept.clear();
    }

    fn wait_for(&mut self, text: &str, within_ms: u64) -> Option<String> {
        for _ in 0..=within_ms.div_ceil(10) {
            self.kept.extend(lock(&self.slot).take_uart());
            if let Some(line) = line_with(&self.kept, text) {
                return Some(line);
            }
            lock(&self.slot).rest(10_000_000);
        }
        None
    }
}

/// A console that was wired, and whose cable was pulled.
pub(crate) struct Pulled;

impl Console for Pulled {
    fn listens(&self) -> bool {
        true
    }

    fn recover(&mut self) -> Result<(), Fault> {
        Err(Fault::new(Party::Technician, "pulled", "Plug it in.").exit(Exit::NoProbe).code("R-122"))
    }

    fn forget(&mut self) {}

    fn wait_for(&mut self, _text: &str, _within_ms: u64) -> Option<String> {
        None
    }
}

/// Something done to the board in a slot.
pub(crate) type Act = Box<dyn FnMut(&Shared)>;

/// A site with everything on it, and an oracle that looks on.
pub(crate) struct Line {
    pub(crate) slot: Shared,
    _mounted: Mounted,
    pub(crate) wire: Watched,
    console: Box<dyn Console>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) lot: Arc<Lot>,
    site: &'static str,
    clock: Arc<Frozen>,
    pub(crate) events: Vec<Event>,
    /// Does something to the board when this step begins.
    pub(crate) at_step: Option<(&'static str, Act)>,
    /// What a hand does when it is asked to.
    pub(crate) hand: Answer,
    /// It says so without doing it.
    pub(crate) idle_hand: bool,
}

impl Line {
    pub(crate) fn new(lot: Arc<Lot>, slot: Shared) -> Self {
        thread_local! {
            static BLANK: Ledger = Ledger::in_memory(&opening(), Arc::new(Frozen::default())).unwrap();
        }
        Self::with(lot, slot, BLANK.with(Ledger::copy).unwrap())
    }

    /// A station started anew on these records.
    pub(crate) fn with(lot: Arc<Lot>, slot: Shared, ledger: Ledger) -> Self {
        Self::at("left", lot, slot, Arc::new(Mutex::new(ledger)))
    }

    /// One site of a station, which shares its records with the others.
    pub(crate) fn at(site: &'static str, lot: Arc<Lot>, slot: Shared, ledger: Arc<Mutex<Ledger>>) -> Self {
        let clock = Arc::new(Frozen::default());
        let mounted = Mounted::new(Arc::clone(&slot));
        let probe = ProbeWire::new(&mounted.selector(), 4000, clock.clone());
        let console = Box::new(BoardConsole { slot: Arc::clone(&slot), kept: Vec::new() });
        let wire = Watched::new(probe, &slot, &ledger);
        let (events, at_step, hand) = (Vec::new(), None, Answer::Cannot);
        let idle_hand = false;
        Self { slot, _mounted: mounted, wire, console, ledger, lot, site, clock, events, at_step, hand, idle_hand }
    }

    /// Nobody hears what the board says.
    pub(crate) fn unwired(mut self) -> Self {
        self.console = Box::new(Unwired);
        self
    }

    /// The console's cable was pulled, or is back.
    pub(crate) fn pull_console(&mut self, pulled: bool) {
        let back = || Box::new(BoardConsole { slot: Arc::clone(&self.slot), kept: Vec::new() });
        self.console = if pulled { Box::new(Pulled) } else { back() };
    }

    /// One scan, and what the oracle says of it.
    pub(crate) fn scan(&mut self, label: &str) -> Outcome {
        let serial: Serial = label.parse().unwrap();
        let order = Order { serial: serial.clone(), site: self.site.to_owned(), probe: "in process".to_owned() };
        self.wire.begin(&serial);
        let Self { events, slot, at_step, hand, idle_hand, .. } = self;
        let (watched, hand, acts) = (Arc::clone(slot), *hand, !*idle_hand);
        let meddled = Rc::clone(&self.wire.meddled);
        let mut tell = |event: Event| {
            if let (Event::Step { step, progress: Progress::Begun, .. }, Some((at, act))) = (&event, &mut *at_step)
                && step == at
            {
                act(&watched);
                meddled.set(true);
            }
            events.push(event);
        };
        let mut ask = |_: &str| {
            if hand == Answer::Done && acts {
                lock(&watched).power_cycle();
            }
            hand
        };
        let outcome = conduct(
            &mut Workplace {
                site: Site(0),
                wire: &mut self.wire,
                console: self.console.as_mut(),
                lot: &self.lot,
                ledger: &self.ledger,
                clock: self.clock.as_ref(),
                tell: &mut tell,
                ask: &mut ask,
            },
            order,
        );
        self.wire.judge(&self.lot, &serial, &outcome);
        outcome
    }

    /// A person decides about the unit.
    pub(crate) fn dispose(&self, label: &str, disposition: Disposition) {
        let serial = label.parse().unwrap();
        let (reason, by) = ("test".to_owned(), "test".to_owned());
        self.ledger.lock().unwrap().keep(Disposed { serial, disposition, reason, by }).unwrap();
    }

    pub(crate) fn standing(&self, label: &str) -> Standing {
        self.ledger.lock().unwrap().unit(&label.parse().unwrap()).unwrap()
    }

    pub(crate) fn put_in(&mut self, board: Board) -> Option<Board> {
        let mut slot = lock(&self.slot);
        let before = slot.remove();
        slot.insert(board);
        before
    }
}

pub(crate) fn opening() -> Opening {
    Opening { mode: Mode::Training, station: "test".to_owned(), tool: "test".to_owned() }
}

/// Whom the first virgin board is.
pub(crate) const FIRST: u64 = 0x1111_2222_3333_4444;
/// Whom another board is.
pub(crate) const OTHER: u64 = 0x5555_6666_7777_8888;

pub(crate) fn virgin(silicon: Silicon, latch: Latch, device: u64) -> Board {
    Board::new(silicon, latch, device)
}

pub(crate) fn line(silicon: Silicon, latch: Latch) -> Line {
    let slot = Slot::with(virgin(silicon, latch, FIRST)).shared();
    Line::new(Arc::new(smallest(silicon)), slot)
}

/// A label of the smallest product.
pub(crate) fn label(lot: &Lot, number: u64) -> String {
    lot.product.serial.nth(number).unwrap().to_string()
}
