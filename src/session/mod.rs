//! One run per site: commands in, events out; the only thing front ends know.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use crate::{
    clock::Clock,
    fault::Fault,
    fixture::console::Console,
    ident::Mode,
    ledger::{Counts, Ledger},
    link::Wire,
    plan::Lot,
    run::Step,
    session::{
        foreman::{Foreman, Judge, Order, Reaction, Report},
        news::{Bench, Command, Event, Tally},
        site::SiteOrder,
    },
};

pub mod conduct;
pub mod foreman;
pub mod measure;
pub mod news;
mod site;

/// One position of the fixture, ready to work.
pub struct Seat {
    /// Its name.
    pub name: String,
    /// The probe, as the station names it; goes into the records.
    pub probe: String,
    /// The way to the probe.
    pub wire: Box<dyn Wire + Send>,
    /// The board's console.
    pub console: Box<dyn Console + Send>,
}

/// What a session is opened with.
pub struct Setup {
    /// Name of the station.
    pub station: String,
    /// Which rules hold.
    pub mode: Mode,
    /// The label of the red bin, where there is one.
    pub bin: Option<String>,
    /// What is built.
    pub lot: Arc<Lot>,
    /// The positions, from the left.
    pub seats: Vec<Seat>,
    /// The records.
    pub ledger: Ledger,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A session at work.
pub struct Session {
    /// What may be asked for.
    pub commands: Sender<Command>,
    /// What is told; ends after [`Event::Closed`].
    pub events: Receiver<Event>,
    /// Ends when everything is over and the records are closed.
    pub foreman: JoinHandle<()>,
}

impl Session {
    /// Waits until everything is over and the records are closed.
    pub fn join(self) {
        drop(self.commands);
        drop(self.events);
        // A foreman that panicked has said so on standard error; there is nothing left to close.
        let _ = self.foreman.join();
    }
}

/// Everything the foreman hears, in one queue.
enum Heard {
    Command(Command),
    Report(Box<Report>),
}

/// Opens a session: one thread per site, one that hands out work.
///
/// # Errors
/// The records cannot be read.
pub fn open(setup: Setup) -> Result<Session, Fault> {
    let tally = tally(&setup.ledger.tally(&setup.lot.product.code)?);
    let bench = bench(&setup);
    let foreman = Foreman::new(bench, judge(&setup.lot), tally);
    let ledger = Arc::new(Mutex::new(setup.ledger));
    let (say, heard) = channel();
    let mut sites = Vec::new();
    for (index, seat) in setup.seats.into_iter().enumerate() {
        let (order, orders) = channel();
        let place = site::Place {
            site: news::Site(index),
            seat,
            lot: Arc::clone(&setup.lot),
            ledger: Arc::clone(&ledger),
            clock: Arc::clone(&setup.clock),
            say: reports(&say),
        };
        let thread = std::thread::spawn(move || site::work(place, &orders));
        sites.push((order, thread));
    }
    let commands = forward(say);
    let (tell, events) = channel();
    let foreman = std::thread::spawn(move || direct(foreman, &heard, &tell, sites));
    Ok(Session { commands, events, foreman })
}

fn reports(say: &Sender<Heard>) -> Box<dyn FnMut(Report) + Send> {
    let say = say.clone();
    Box::new(move |report| {
        // The foreman outlives its sites; a report after that has nobody to hear it.
        let _ = say.send(Heard::Report(Box::new(report)));
    })
}

/// A queue of commands that ends in the foreman's. A front end that went away leaves.
fn forward(say: Sender<Heard>) -> Sender<Command> {
    let (commands, wanted) = channel();
    std::thread::spawn(move || {
        for command in wanted {
            if say.send(Heard::Command(command)).is_err() {
                return;
            }
        }
        let _ = say.send(Heard::Command(Command::Leave));
    });
    commands
}

fn direct(
    mut foreman: Foreman,
    heard: &Receiver<Heard>,
    tell: &Sender<Event>,
    sites: Vec<(Sender<SiteOrder>, JoinHandle<()>)>,
) {
    // A front end that went away is no reason to stop the units in hand: its leaving comes as a command.
    let say = |events: Vec<Event>| events.into_iter().for_each(|event| drop(tell.send(event)));
    say(foreman.opened());
    while !foreman.is_done() {
        let reaction = match heard.recv() {
            Ok(Heard::Command(command)) => foreman.command(command),
            Ok(Heard::Report(report)) => foreman.report(*report),
            Err(_) => break,
        };
        hand_out(&reaction, &sites);
        say(reaction.events);
    }
    for (order, thread) in sites {
        drop(order);
        let _ = thread.join();
    }
    say(vec![foreman.closed()]);
}

fn hand_out(reaction: &Reaction, sites: &[(Sender<SiteOrder>, JoinHandle<()>)]) {
    for order in &reaction.orders {
        let (site, order) = match order.clone() {
            Order::Run(site, serial) => (site, SiteOrder::Run(serial)),
            Order::Answer(site, answer) => (site, SiteOrder::Answer(answer)),
            // Sites are dismissed by the end of their queue.
            Order::Dismiss => continue,
        };
        if let Some((queue, _)) = sites.get(site.0) {
            let _ = queue.send(order);
        }
    }
}

fn bench(setup: &Setup) -> Bench {
    let product = &setup.lot.product;
    Bench {
        station: setup.station.clone(),
        mode: setup.mode,
        product: product.code.clone(),
        title: product.title.clone(),
        symbols: product.symbols.clone(),
        recipe: product.digest,
        sites: setup.seats.iter().map(|seat| seat.name.clone()).collect(),
        steps: Step::ALL.iter().map(ToString::to_string).collect(),
        bin: setup.bin.clone(),
        serial_pattern: example(&setup.lot),
    }
}

/// A label of this product: people read an example more easily than a pattern.
fn example(lot: &Lot) -> String {
    lot.product.serial.nth(1).map_or_else(|| lot.product.serial.pattern().to_owned(), |serial| serial.to_string())
}

fn judge(lot: &Arc<Lot>) -> Judge {
    let lot = Arc::clone(lot);
    Box::new(move |label| {
        let like = || format!("expected one like {}", example(&lot));
        let serial = label.parse().map_err(|error: crate::ident::BadSerial| format!("{}: {error}", like()))?;
        lot.product.serial.check(&serial).map_err(|error| error.to_string())?;
        lot.product.key_for(&serial)?;
        Ok(serial)
    })
}

/// The counts of the records as front ends show them.
pub(crate) fn tally(counts: &Counts) -> Tally {
    Tally {
        passed: counts.passed,
        failed: counts.failed,
        held: counts.held,
        retried: counts.retried,
        first_passed: counts.first_passed,
        first_ended: counts.first_ended,
        left: None,
    }
}
