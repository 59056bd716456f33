//! Lays a line out: what a station file names becomes seats that work, virtual boards among them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    cli::headless::{Hands, Label},
    clock::{Clock, System},
    fault::{Exit, Fault, Party},
    fixture::{
        console::{Console, SerialConsole, Unwired},
        usb,
        worker::{Assignment, WorkerWire},
    },
    ledger::{Ledger, Opening},
    link::{Batch, Op, Why, Wire as _},
    plan::Lot,
    session::{Seat, Setup, news::Site},
    station::{self, Station},
    virtual_board::{self, Bench, Deed, Latch, Order, Pace, Silicon},
};

/// What a worker may take beyond its batch's own deadline, before it counts as hung. An engineering choice: a loaded
/// machine is slow, a spinning driver never ends.
const GRACE: Duration = Duration::from_secs(3);

/// Bits per second of a board's console: the default of Nordic's samples, *unconfirmed* for a product's own firmware.
const BAUD: u32 = 115_200;

/// Which virtual boards are made, where a station names some.
#[derive(Clone, Copy, Debug)]
pub(super) struct Make {
    pub(super) silicon: Silicon,
    pub(super) latch: Latch,
    pub(super) pace: Pace,
}

/// Silicon on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum SiliconName {
    Old,
    Hardened,
}

impl From<SiliconName> for Silicon {
    fn from(name: SiliconName) -> Self {
        match name {
            SiliconName::Old => Self::Old,
            SiliconName::Hardened => Self::Hardened,
        }
    }
}

/// A latch rule on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum LatchName {
    Strict,
    Lenient,
}

impl From<LatchName> for Latch {
    fn from(name: LatchName) -> Self {
        match name {
            LatchName::Strict => Self::Strict,
            LatchName::Lenient => Self::Lenient,
        }
    }
}

/// A line that is ready to be worked at.
pub(super) struct Line {
    pub(super) setup: Setup,
    pub(super) clock: Arc<dyn Clock>,
    /// The hands at virtual boards, where the station makes them itself.
    pub(super) boards: Option<VirtualHands>,
}

/// Opens records, probes and consoles. Records first: without them nothing else may be touched.
pub(super) fn lay(bench: &Station, lot: Lot, make: Make) -> Result<Line, Fault> {
    let clock: Arc<dyn Clock> = Arc::new(System::new());
    let opening =
        Opening { mode: bench.mode.value, station: bench.name.clone(), tool: env!("CARGO_PKG_VERSION").to_owned() };
    let ledger = Ledger::open(&bench.data, &opening, Arc::clone(&clock))?;
    let boards = VirtualHands::at(bench, make, &clock)?;
    let seats = bench.sites.iter().map(|site| seat(site, boards.as_ref(), &clock));
    let seats = seats.collect::<Result<_, _>>()?;
    let setup = Setup {
        station: bench.name.clone(),
        mode: bench.mode.value,
        bin: bench.bin.clone(),
        lot: Arc::new(lot),
        seats,
        ledger,
        clock: Arc::clone(&clock),
    };
    Ok(Line { setup, clock, boards })
}

/// Opens what one site names, and asks its probe to answer; a board need not be there.
pub(super) fn seat(site: &station::Site, boards: Option<&VirtualHands>, clock: &Arc<dyn Clock>) -> Result<Seat, Fault> {
    let made = boards.and_then(|boards| boards.seat(&site.name));
    let selector = site.probe.value.selector().or_else(|| made.as_ref().map(|(selector, _)| selector.clone()));
    let Some(selector) = selector else { return Err(no_such_probe(site, "this station makes no such board")) };
    let uart = site.uart.clone().or_else(|| made.map(|(_, uart)| uart));
    let console: Box<dyn Console + Send> = match uart {
        Some(path) => Box::new(SerialConsole::open(&path.display().to_string(), BAUD, Arc::clone(clock))?),
        None => Box::new(Unwired),
    };
    if let (Some(port), station::Probe::Usb { serial, .. }) = (&site.usb, &site.probe.value) {
        usb::holds(port, serial).map_err(|detail| no_such_probe(site, &detail))?;
    }
    let assignment = Assignment { probe: selector.clone(), speed_khz: site.speed_khz };
    let mut wire = WorkerWire::new(this_program()?, assignment, GRACE);
    let greeted = wire.carry(&Batch { ops: vec![Op::Connect, Op::Disconnect] });
    if let Some(broke) = greeted.broke.filter(|broke| matches!(broke.why, Why::NoProbe | Why::Lost)) {
        return Err(no_such_probe(site, &broke.to_string()));
    }
    Ok(Seat { name: site.name.clone(), probe: selector, wire: Box::new(wire), console })
}

fn this_program() -> Result<PathBuf, Fault> {
    std::env::current_exe().map_err(|error| {
        let next = "Start rootstamp by its full path.";
        Fault::new(Party::Technician, "rootstamp cannot find its own program, which its workers run", next)
            .code("X-004")
            .because(&error)
    })
}

fn no_such_probe(site: &station::Site, detail: &str) -> Fault {
    Fault::new(
        Party::Technician,
        format!("the probe of site {} cannot be used", site.name),
        "Plug it in, compare it with `probe` in the station file, then start the station again.",
    )
    .exit(Exit::NoProbe)
    .code("R-120")
    .detail(detail)
}

/// Hands at virtual boards: they put fresh boards in and take finished ones out.
pub(super) struct VirtualHands {
    bench: Bench,
    /// Names of the station's sites, and of the bench's beside them.
    names: Vec<(String, String)>,
    next: usize,
    /// Sockets live here; their paths must be short, so it is not the folder of the records.
    _folder: TempDir,
}

impl VirtualHands {
    fn at(bench: &Station, make: Make, clock: &Arc<dyn Clock>) -> Result<Option<Self>, Fault> {
        let made: Vec<&station::Site> =
            bench.sites.iter().filter(|site| matches!(site.probe.value, station::Probe::Virtual(_))).collect();
        if made.is_empty() {
            return Ok(None);
        }
        let folder = TempDir::with_prefix("rootstamp-").map_err(|error| {
            let next = "Check the machine's folder for temporary files, then start again.";
            Fault::new(Party::Technician, "virtual boards find no place for their sockets", next)
                .code("C-150")
                .because(&error)
        })?;
        let served = Bench::serve(
            &virtual_board::Setup {
                folder: folder.path().to_owned(),
                count: Some(bench.data.join("next-device")),
                sites: made.len(),
                silicon: make.silicon,
                latch: make.latch,
                seed: seed(&bench.data),
                tcp: None,
                pace: make.pace,
                round_trip_ns: 0,
            },
            clock,
        )?;
        let names = made.iter().map(|site| site.name.clone()).zip(served.sites()).collect();
        Ok(Some(Self { bench: served, names, next: 0, _folder: folder }))
    }

    /// How the probe and the console of this site are reached.
    fn seat(&self, site: &str) -> Option<(String, PathBuf)> {
        let (_, made) = self.names.iter().find(|(name, _)| name == site)?;
        Some((self.bench.selector(made)?, self.bench.uart(made)?))
    }

    /// Puts a fresh board in, or takes out what is in; says what was done.
    pub(super) fn swap(&mut self, index: usize) -> Result<(), Fault> {
        let Some((_, made)) = self.names.get(index) else { return Ok(()) };
        let status = self.order(&Order::new(made, Deed::Status))?;
        let deed = if status { Deed::Remove } else { Deed::Insert };
        self.order(&Order::new(made, deed)).map(drop)
    }

    /// Whether there is a board at this site, counted from the left.
    pub(super) fn is_in(&self, index: usize) -> bool {
        let made = self.names.get(index).map(|(_, made)| Order::new(made, Deed::Status));
        made.is_some_and(|order| self.order(&order).unwrap_or(false))
    }

    /// Does it, and tells whether a board is in then.
    fn order(&self, order: &Order) -> Result<bool, Fault> {
        match self.bench.order(order) {
            Ok(report) => Ok(report.device.is_some()),
            Err(what) => {
                let next = "Report this: virtual hands and virtual boards disagree.";
                Err(Fault::new(Party::Maintainers, "a virtual board could not be moved", next)
                    .code("X-005")
                    .detail(what))
            }
        }
    }
}

impl Hands for VirtualHands {
    fn bring(&mut self, label: &Label) -> Result<(), Fault> {
        let named = label.site.as_ref().and_then(|site| self.names.iter().position(|(name, _)| name == site));
        let index = named.unwrap_or(self.next % self.names.len().max(1));
        self.next = index + 1;
        if self.is_in(index) { Ok(()) } else { self.swap(index) }
    }

    fn take(&mut self, site: Site) -> Result<(), Fault> {
        if self.is_in(site.0) { self.swap(site.0) } else { Ok(()) }
    }
}

/// Boards of two folders of records are different boards.
fn seed(data: &Path) -> u64 {
    let digest = crate::ident::Digest::of(data.as_os_str().as_encoded_bytes()).0;
    digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}
