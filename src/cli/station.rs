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
        headless::{self, Label, OperatorsHands},
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
    rootstamp station --station line-a.toml --recipe gw3.toml --headless --json --scan GW3-0000001R@left\n\n\
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
    /// Labels to scan one after the other, each once its board is in, as SERIAL or SERIAL@SITE. Without any, labels are
    /// read from standard input as from a scanner: at once, and refused if no new board is in.
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
            .map_err(|wrong| fault::all_at_once(&wrong.problems))?;
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
        let labels = self.labels(bench)?;
        match line.boards {
            Some(mut boards) => headless::run(session, &labels, &mut boards, out, self.json),
            None if !self.scan.is_empty() => headless::run(session, &labels, &mut OperatorsHands, out, self.json),
            None => headless::attend(session, &labels, out, self.json),
        }
    }

    fn labels(&self, bench: &Station) -> Result<Receiver<Label>, Fault> {
        if !self.scan.is_empty() {
            return Ok(headless::list(self.scan.iter().map(|text| Label::parse(text))));
        }
        let read = match &bench.scanner {
            Scanner::Serial { port, baud } => scanner::labels(port, *baud)?,
            Scanner::Keyboard => scanner::from(std::io::stdin()),
        };
        let (put, labels) = channel();
        std::thread::spawn(move || {
            for text in read {
                if put.send(Label::parse(&text)).is_err() {
                    break;
                }
            }
        });
        Ok(labels)
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
