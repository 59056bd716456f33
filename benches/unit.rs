//! What one unit costs, in figures that are the same every time: wire transactions, round trips, simulated time.
//!
//! Wall time is printed by nobody here: it differs between machines and minutes, these do not. The bench ends with an
//! error if two repeats of the same unit differ. Times are those of the virtual board, not of silicon.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{error::Error, path::Path, sync::Arc, sync::Mutex};

use rootstamp::{
    clock::Frozen,
    fixture::{
        console::{Console, line_with},
        in_process::Mounted,
        probe::ProbeWire,
    },
    ident::Mode,
    ledger::{Ledger, Opening},
    plan::{self, Lot},
    recipe,
    run::Order,
    session::{
        conduct::{Workplace, conduct},
        news::{Answer, Site, Verdict},
    },
    virtual_board::{Board, Counters, Latch, Shared, Silicon, Slot, lock},
};

/// A probe on USB high speed: 8 MHz and 125 us a round trip. [performance.md §3.2, profile HSB]
const DIVISOR: u16 = 2;
const ROUND_TRIP_NS: u64 = 125_000;

const PRODUCTS: [(&str, Silicon); 3] = [
    ("templates/products/gw3.toml", Silicon::Hardened),
    ("templates/products/gw3-old.toml", Silicon::Old),
    ("tests/products/smallest.toml", Silicon::Hardened),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("one unit, 8 MHz, 125 us a round trip; all figures are simulated and exact");
    println!(
        "{:<32} {:>12} {:>11} {:>12} {:>12} {:>7}",
        "product", "transactions", "round trips", "total ns", "busy ns", "ratio"
    );
    for (product, silicon) in PRODUCTS {
        let counts: Vec<Counters> = (0..3).map(|_| unit(product, silicon)).collect::<Result<_, _>>()?;
        let [first, ..] = counts.as_slice() else { continue };
        if counts.iter().any(|count| count != first) {
            return Err(format!("{product}: repeats differ: {counts:?}").into());
        }
        let Counters { transactions, round_trips, simulated_ns, flash_busy_ns, .. } = *first;
        let thousandths = simulated_ns * 1000 / flash_busy_ns.max(1);
        println!(
            "{product:<32} {transactions:>12} {round_trips:>11} {simulated_ns:>12} {flash_busy_ns:>12} {:>3}.{:03}",
            thousandths / 1000,
            thousandths % 1000
        );
    }
    Ok(())
}

fn unit(product: &str, silicon: Silicon) -> Result<Counters, Box<dyn Error>> {
    let lot = lot(product)?;
    let mut empty = Slot::with(Board::new(silicon, Latch::Strict, 0x0123_4567_89AB_CDEF));
    empty.set_divisor(DIVISOR);
    empty.set_round_trip(ROUND_TRIP_NS);
    let slot = empty.shared();
    let mounted = Mounted::new(Arc::clone(&slot));
    let clock = Arc::new(Frozen::default());
    let opening = Opening { mode: Mode::Training, station: "bench".to_owned(), tool: "bench".to_owned() };
    let ledger = Mutex::new(Ledger::in_memory(&opening, clock.clone())?);
    let serial = lot.product.serial.nth(1).ok_or("the product has no serial numbers")?;
    let outcome = conduct(
        &mut Workplace {
            site: Site(0),
            wire: &mut ProbeWire::new(&mounted.selector(), 8_000, clock.clone()),
            console: &mut Ear { slot: Arc::clone(&slot), said: Vec::new() },
            lot: &lot,
            ledger: &ledger,
            clock: clock.as_ref(),
            tell: &mut |_| (),
            ask: &mut |_| Answer::Cannot,
        },
        Order { serial, site: "left".to_owned(), probe: "in process".to_owned() },
    );
    if outcome.verdict != Verdict::Pass {
        return Err(format!("{product}: {outcome:?}").into());
    }
    let counters = lock(&slot).counters();
    Ok(counters)
}

fn lot(product: &str) -> Result<Lot, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(product);
    recipe::read(&path, Some(Mode::Training)).and_then(plan::lot).map_err(|problems| format!("{problems:?}").into())
}

/// Listens to the board in simulated time.
struct Ear {
    slot: Shared,
    said: Vec<u8>,
}

impl Console for Ear {
    fn listens(&self) -> bool {
        true
    }

    fn forget(&mut self) {
        lock(&self.slot).take_uart();
        self.said.clear();
    }

    fn wait_for(&mut self, text: &str, within_ms: u64) -> Option<String> {
        for _ in 0..=within_ms {
            self.said.extend(lock(&self.slot).take_uart());
            if let Some(line) = line_with(&self.said, text) {
                return Some(line);
            }
            lock(&self.slot).rest(1_000_000);
        }
        None
    }
}
