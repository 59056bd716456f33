//! `rootstamp station`: the line.

use std::{
    io::{IsTerminal as _, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
};

use crate::{
    cli::{
        check,
        headless::{self, Hands, Label, OperatorsHands},
        line::{self, Line, Make},
    },
    clock::Clock,
    fault::{self, Exit, Fault, Party},
    fixture::scanner,
    plan::Lot,
    session::{
        self,
        news::{Command, Event},
    },
    station::{Scanner, Station},
    ui::{look::Look, model::Model, screen},
    virtual_board::{Latch, Pace, Silicon},
};

/// The line: scan and provision boards all day.
///
/// Tests the device itself: PASS means that the board proved it and that the record is durable.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    rootstamp station --station stations/demo.toml --recipe templates/products/gw3.toml\n  \
    rootstamp station --station line-a.toml --recipe gw3.toml --headless --json --scan GW3-0000001K@left\n\n\
    Exit codes: 0 all passed, 2 configuration or a refused scan, 10 failed, 11 done already, 12 closed and not ours,\n\
    13 held, 20 no probe, 21 no answer, 22 wrong chip, 30 not recorded, 31 records tampered with, 32 records in use,\n\
    40 key refused, 130 interrupted. If the terminal looks wrong after a kill -9, type `reset`.")]
pub(super) struct Arguments {
    /// The bench.
    #[arg(long, value_name = "FILE")]
    station: PathBuf,
    /// The product.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// A work order; they come with a later release.
    #[arg(long, value_name = "FILE", conflicts_with = "recipe")]
    order: Option<PathBuf>,
    /// No screen: events as lines. By itself where there is no terminal.
    #[arg(long)]
    headless: bool,
    /// Events as JSON, one a line; no screen.
    #[arg(long)]
    json: bool,
    /// Labels to scan one after the other, as SERIAL or SERIAL@SITE; without any, labels are read from standard input.
    #[arg(long, value_name = "SERIAL", num_args = 1)]
    scan: Vec<String>,
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        let orders: Vec<PathBuf> = self.order.clone().into_iter().collect();
        if self.recipe.is_none() && orders.is_empty() {
            let next = "Name what is built: --recipe FILE.";
            return Err(Fault::new(Party::Operator, "no product was named", next).exit(Exit::Usage).code("C-101"));
        }
        let (bench, lot) = check::both(Some(&self.station), self.recipe.as_deref(), &orders)
            .map_err(|problems| fault::all_at_once(&problems))?;
        let (Some(bench), Some(lot)) = (bench, lot) else {
            return Err(fault::all_at_once(&[]));
        };
        let headless = self.headless || self.json || !self.scan.is_empty() || !std::io::stdout().is_terminal();
        let pace = if headless { Pace::Fast } else { Pace::Silicon };
        let make = Make { silicon: virgin(&lot), latch: Latch::Strict, pace };
        let line = line::lay(&bench, lot, make)?;
        if headless { self.lines(&bench, line, out) } else { on_screen(&bench, line, None) }
    }

    fn lines(&self, bench: &Station, line: Line, out: &mut dyn Write) -> Result<Exit, Fault> {
        let session = session::open(line.setup)?;
        let mut labels: Box<dyn Iterator<Item = Label>> = match &bench.scanner {
            Scanner::Serial { port, baud } if self.scan.is_empty() => {
                Box::new(scanner::labels(port, *baud)?.into_iter().map(|text| Label { text, site: None }))
            }
            Scanner::Serial { .. } | Scanner::Keyboard if self.scan.is_empty() => {
                Box::new(std::io::stdin().lines().map_while(Result::ok).map(|text| Label::parse(&text)))
            }
            Scanner::Serial { .. } | Scanner::Keyboard => Box::new(self.scan.iter().map(|text| Label::parse(text))),
        };
        let mut boards = line.boards;
        let mut own = OperatorsHands;
        let hands: &mut dyn Hands = match &mut boards {
            Some(boards) => boards,
            None => &mut own,
        };
        headless::run(session, &mut *labels, hands, out, self.json)
    }
}

/// What silicon a virtual board of this lot is made of.
pub(super) fn virgin(lot: &Lot) -> Silicon {
    if lot.ships_closed() { Silicon::Hardened } else { Silicon::Old }
}

/// The operator's screen, with a demo's own hands if there are any.
pub(super) fn on_screen(bench: &Station, line: Line, hands: Option<&mut dyn screen::Hands>) -> Result<Exit, Fault> {
    let Line { setup, clock, boards } = line;
    let session::Session { commands, events, foreman } = session::open(setup)?;
    if let Scanner::Serial { port, baud } = &bench.scanner {
        feed(scanner::labels(port, *baud)?, commands.clone());
    }
    let (events, exit) = watched(events);
    let look = Look::of(|name| std::env::var(name).ok());
    let clock: &dyn Clock = clock.as_ref();
    let shown = match hands {
        Some(hands) => screen::run(Model::new(look), events, commands, Some(hands), clock),
        None => screen::run(Model::new(look), events, commands, None, clock),
    };
    // The foreman has told its last event, or the screen has told it to leave: it ends by itself.
    let _ = foreman.join();
    drop(boards);
    shown.map(|()| *exit.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Hands the labels of a serial scanner to the session until either goes away.
fn feed(labels: Receiver<String>, commands: Sender<Command>) {
    std::thread::spawn(move || {
        for label in labels {
            if commands.send(Command::Scan(label)).is_err() {
                break;
            }
        }
    });
}

/// The same events, with the exit class of the last one noted on the way.
fn watched(events: Receiver<Event>) -> (Receiver<Event>, Arc<Mutex<Exit>>) {
    let exit = Arc::new(Mutex::new(Exit::Pass));
    let noted = Arc::clone(&exit);
    let (pass_on, passed_on) = channel();
    std::thread::spawn(move || {
        for event in events {
            if let Event::Closed { exit, .. } = &event {
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = *exit;
            }
            if pass_on.send(event).is_err() {
                break;
            }
        }
    });
    (passed_on, exit)
}
