//! One site: watches whether a board is there, and conducts one run at a time.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use crate::{
    chip,
    clock::Clock,
    fault::Fault,
    ident::Serial,
    ledger::Ledger,
    link::{Broke, Hand, Peek as _, Why},
    plan::Lot,
    run,
    session::{
        Seat,
        conduct::{Workplace, conduct, open},
        foreman::{Report, ended_without_contact},
        news::{Answer, Event, Outcome, Site, Tally},
        tally,
    },
};

/// How often an idle site looks for a board, in milliseconds: ten times as often as a hand can swap one.
const LOOK_MS: u64 = 100;

/// Looks without an answer before a board counts as gone, so that one bad contact is not a removal.
const GONE: u32 = 2;

/// What a site is told; the end of the queue dismisses it.
pub(super) enum SiteOrder {
    Run(Serial),
    Answer(Answer),
}

/// Everything a site works with.
pub(super) struct Place {
    pub(super) site: Site,
    pub(super) seat: Seat,
    pub(super) lot: Arc<Lot>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) say: Box<dyn FnMut(Report) + Send>,
}

/// What an idle site knows of its fixture.
#[derive(Default)]
struct Watch {
    /// Unknown until the first look, which is told whatever it shows.
    present: Option<bool>,
    silent: u32,
    trouble: Option<Why>,
}

/// Works until dismissed.
pub(super) fn work(mut place: Place, orders: &Receiver<SiteOrder>) {
    let mut watch = Watch::default();
    loop {
        match orders.recv_timeout(Duration::from_millis(LOOK_MS)) {
            Ok(SiteOrder::Run(serial)) => {
                let outcome = run(&mut place, orders, serial);
                let tally = counted(&place);
                watch = Watch { present: Some(!ended_without_contact(&outcome)), ..Watch::default() };
                (place.say)(Report::Ended(place.site, Box::new(outcome), tally));
            }
            // An answer nobody waits for any more.
            Ok(SiteOrder::Answer(_)) => {}
            Err(RecvTimeoutError::Timeout) => watch.look(&mut place),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
}

impl Watch {
    fn look(&mut self, place: &mut Place) {
        let mut hand = Hand::new(place.seat.wire.as_mut(), place.lot.family.guarded());
        let heard = hand.connect().and_then(|_| hand.let_go());
        let why = heard.as_ref().err().map(|broke| broke.why);
        let trouble = why.filter(|why| matches!(why, Why::NoProbe | Why::Lost | Why::Misuse));
        if trouble != self.trouble {
            self.trouble = trouble;
            let fault: Option<Fault> = heard.as_ref().err().filter(|_| trouble.is_some()).map(out_of_use);
            (place.say)(Report::Tell(Event::SiteFault { site: place.site, fault }));
        }
        if trouble.is_some() {
            // Nothing is known of the board: it is neither there nor gone.
            return;
        }
        self.silent = if why == Some(Why::NoAnswer) { self.silent + 1 } else { 0 };
        let present = self.silent == 0 || (self.present == Some(true) && self.silent < GONE);
        if Some(present) != self.present {
            self.present = Some(present);
            (place.say)(Report::Presence(place.site, present));
        }
    }
}

/// Nobody has scanned anything yet, and nothing has to be started again: every look tries to open the probe.
fn out_of_use(broke: &Broke) -> Fault {
    let mut fault = chip::unanswered(broke);
    if broke.why == Why::NoProbe {
        "The technician plugs the probe in; the site comes back by itself.".clone_into(&mut fault.next);
    }
    fault
}

fn run(place: &mut Place, orders: &Receiver<SiteOrder>, serial: Serial) -> Outcome {
    let Place { site, seat, lot, ledger, clock, say } = place;
    let order = run::Order { serial, site: seat.name.clone(), probe: seat.probe.clone() };
    let say = std::cell::RefCell::new(say);
    let site = *site;
    conduct(
        &mut Workplace {
            site,
            wire: seat.wire.as_mut(),
            console: seat.console.as_mut(),
            lot,
            ledger,
            clock: clock.as_ref(),
            tell: &mut |event| (say.borrow_mut())(Report::Tell(event)),
            ask: &mut |what| {
                let what = what.to_owned();
                (say.borrow_mut())(Report::Tell(Event::Ask { site, what }));
                answer(orders)
            },
        },
        order,
    )
}

/// A site that is dismissed while it asks has nobody left to act.
fn answer(orders: &Receiver<SiteOrder>) -> Answer {
    loop {
        match orders.recv() {
            Ok(SiteOrder::Answer(answer)) => return answer,
            Ok(SiteOrder::Run(_)) => {}
            Err(_) => return Answer::Cannot,
        }
    }
}

fn counted(place: &Place) -> Tally {
    // A display only: if the records cannot be read, the next keep says so loudly.
    let counts = open(&place.ledger).tally(&place.lot.product.code);
    counts.map(|counts| tally(&counts)).unwrap_or_default()
}
