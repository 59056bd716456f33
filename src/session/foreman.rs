//! Decides which scan goes where: a function of what was heard, without threads, clocks or probes.
//!
//! After a verdict a site takes no scan until its board was seen gone; a scan belongs to the one site whose board newly
//! appeared. Both rules exist because a swapped pair makes two perfect records with crossed serial numbers.

use crate::{
    fault::{Exit, Fault},
    ident::Serial,
    session::news::{Answer, Bench, Command, Event, Outcome, Presence, Site, Tally, Verdict},
};

/// The longest scan that is looked at, in bytes.
pub const SCAN_MAX: usize = 4096;

/// What a site's worker is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Order {
    /// Provision this unit.
    Run(Site, Serial),
    /// The operator answered.
    Answer(Site, Answer),
    /// There will be no more orders.
    Dismiss,
}

/// What a site reports.
#[derive(Clone, Debug)]
pub enum Report {
    /// Something answers on the debug port, or nothing does.
    Presence(Site, bool),
    /// Passed on as it is.
    Tell(Event),
    /// The run is over.
    Ended(Site, Box<Outcome>, Tally),
}

/// What came of hearing something.
#[derive(Debug, Default)]
pub struct Reaction {
    /// For the front ends.
    pub events: Vec<Event>,
    /// For the sites.
    pub orders: Vec<Order>,
}

/// Judges a label: a serial number of this product, or why not and what was expected.
pub type Judge = Box<dyn Fn(&str) -> Result<Serial, String> + Send>;

#[derive(Clone, Debug, Eq, PartialEq)]
enum Phase {
    /// Takes a scan as soon as a board appears.
    Idle,
    /// This unit is on its way.
    Running(Serial),
    /// Contact was lost or the like: the same label may be scanned again with the board in place.
    Retry(Serial),
    /// The verdict of this unit stands until its board is gone, and a FAIL until it is binned as well.
    Verdict { serial: Option<Serial>, gone: bool, binned: bool },
}

#[derive(Clone, Debug)]
struct Place {
    phase: Phase,
    present: bool,
}

/// The one who hands out work.
pub struct Foreman {
    bench: Bench,
    judge: Judge,
    places: Vec<Place>,
    /// A scan that waits for the operator to say which site it belongs to.
    pending: Option<Serial>,
    holds: bool,
    leaving: bool,
    dismissed: bool,
    tally: Tally,
    exit: Exit,
}

impl Foreman {
    /// A foreman for this bench.
    #[must_use]
    pub fn new(bench: Bench, judge: Judge, tally: Tally) -> Self {
        let places = vec![Place { phase: Phase::Idle, present: false }; bench.sites.len()];
        Self {
            bench,
            judge,
            places,
            pending: None,
            holds: false,
            leaving: false,
            dismissed: false,
            tally,
            exit: Exit::Pass,
        }
    }

    /// The first events of a session.
    #[must_use]
    pub fn opened(&self) -> Vec<Event> {
        vec![Event::Opened(self.bench.clone()), Event::Tally(self.tally)]
    }

    /// Whether everything is over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.dismissed
    }

    /// The last event.
    #[must_use]
    pub fn closed(&self) -> Event {
        Event::Closed { tally: self.tally, exit: self.exit }
    }

    /// Hears the front end.
    pub fn command(&mut self, command: Command) -> Reaction {
        match command {
            Command::Scan(text) => self.scan(&text, None),
            Command::ScanAt(text, site) => self.scan(&text, Some(site)),
            Command::Choose(site) => self.choose(site),
            Command::Answered(site, answer) => {
                Reaction { orders: vec![Order::Answer(site, answer)], events: Vec::new() }
            }
            Command::Leave => {
                self.leaving = true;
                self.dismiss_when_idle()
            }
        }
    }

    /// Hears a site.
    pub fn report(&mut self, report: Report) -> Reaction {
        match report {
            Report::Presence(site, present) => self.presence(site, present),
            Report::Tell(event) => Reaction { events: vec![event], orders: Vec::new() },
            Report::Ended(site, outcome, tally) => self.ended(site, *outcome, tally),
        }
    }

    fn scan(&mut self, text: &str, named: Option<Site>) -> Reaction {
        let label = text.trim_matches(|end: char| end.is_ascii_whitespace());
        if label.is_empty() {
            return Reaction::default();
        }
        if self.bench.bin.as_deref() == Some(label) {
            return self.bin();
        }
        match self.take(label) {
            Ok(serial) => self.hand_out(serial, named),
            Err(why) => refused(label, why),
        }
    }

    fn take(&self, label: &str) -> Result<Serial, String> {
        if label.len() > SCAN_MAX {
            return Err("too long for any label; scan the label on the board".to_owned());
        }
        if self.leaving {
            return Err("the station is closing; no new unit is begun".to_owned());
        }
        if self.holds {
            return Err("the line holds; call the person named on the screen".to_owned());
        }
        (self.judge)(label)
    }

    fn hand_out(&mut self, serial: Serial, named: Option<Site>) -> Reaction {
        let meant = |site: &Site| named.is_none_or(|named| named == *site);
        let retrying = |place: &Place| place.phase == Phase::Retry(serial.clone());
        if let Some(site) = self.places.iter().position(retrying).map(Site).filter(meant) {
            return self.run(site, serial);
        }
        if let Some(why) = self.in_hand(&serial) {
            return refused(serial.as_str(), why);
        }
        let fresh: Vec<Site> = self.fresh().into_iter().filter(meant).collect();
        match fresh.as_slice() {
            [] => {
                let why = self.why_none();
                refused(serial.as_str(), why)
            }
            [site] => self.run(*site, serial),
            _ => {
                self.pending = Some(serial.clone());
                Reaction { events: vec![Event::WhichSite { serial, sites: fresh }], orders: Vec::new() }
            }
        }
    }

    /// Why a label cannot be given to another site: a second board would be made into the same unit, and erased for it.
    fn in_hand(&self, serial: &Serial) -> Option<String> {
        self.places.iter().zip(&self.bench.sites).find_map(|(place, name)| match &place.phase {
            Phase::Running(unit) if unit == serial => {
                Some(format!("this label is being worked on at {name}: scan the other board's label"))
            }
            Phase::Retry(unit) if unit == serial && place.present => {
                Some(format!("this label is in hand at {name}: take that board out first"))
            }
            Phase::Verdict { serial: Some(unit), gone: false, .. } if unit == serial => {
                Some(format!("this label has its verdict at {name}: take that board out first"))
            }
            Phase::Idle | Phase::Running(_) | Phase::Retry(_) | Phase::Verdict { .. } => None,
        })
    }

    fn fresh(&self) -> Vec<Site> {
        let free = |place: &Place| place.phase == Phase::Idle && place.present;
        let sites = self.places.iter().enumerate();
        sites.filter(|(_, place)| free(place)).map(|(site, _)| Site(site)).collect()
    }

    fn why_none(&self) -> String {
        let any = |wanted: fn(&Phase) -> bool| self.places.iter().any(|place| wanted(&place.phase));
        if any(|phase| matches!(phase, Phase::Verdict { gone: true, binned: false, .. })) {
            "the failed board first: put it into the red bin and scan the bin".to_owned()
        } else if any(|phase| matches!(phase, Phase::Verdict { .. } | Phase::Retry(_))) {
            "no new board is in: take the finished board out, put the next one in, then scan".to_owned()
        } else if any(|phase| matches!(phase, Phase::Running(_))) {
            "busy: wait for the verdict, or put another board into a free site".to_owned()
        } else {
            "no board is in: put it into the fixture first, then scan its label".to_owned()
        }
    }

    fn choose(&mut self, site: Site) -> Reaction {
        let chosen = self.fresh().contains(&site);
        match self.pending.take() {
            Some(serial) if chosen => self.run(site, serial),
            Some(serial) => {
                let sites = self.fresh();
                self.pending = Some(serial.clone());
                Reaction { events: vec![Event::WhichSite { serial, sites }], orders: Vec::new() }
            }
            None => Reaction::default(),
        }
    }

    fn run(&mut self, site: Site, serial: Serial) -> Reaction {
        self.pending = None;
        if let Some(place) = self.places.get_mut(site.0) {
            place.phase = Phase::Running(serial.clone());
        }
        Reaction { events: Vec::new(), orders: vec![Order::Run(site, serial)] }
    }

    fn bin(&mut self) -> Reaction {
        let waiting = |place: &Place| matches!(place.phase, Phase::Verdict { binned: false, .. });
        let Some(site) = self.places.iter().position(waiting) else {
            return refused("red bin", "no failed board is waiting for the bin".to_owned());
        };
        if let Some(Place { phase: Phase::Verdict { binned, .. }, .. }) = self.places.get_mut(site) {
            *binned = true;
        }
        let mut reaction = Reaction { events: vec![Event::Binned { site: Site(site) }], orders: Vec::new() };
        reaction.events.extend(self.cleared(Site(site)));
        reaction
    }

    fn presence(&mut self, site: Site, present: bool) -> Reaction {
        let Some(place) = self.places.get_mut(site.0) else { return Reaction::default() };
        place.present = present;
        match &mut place.phase {
            Phase::Verdict { gone, .. } if !present => *gone = true,
            Phase::Retry(_) if !present => place.phase = Phase::Idle,
            Phase::Idle | Phase::Running(_) | Phase::Retry(_) | Phase::Verdict { .. } => {}
        }
        let mut events = self.cleared(site);
        if events.is_empty() {
            events.push(Event::Board { site, presence: self.seen(site) });
        }
        Reaction { events, orders: Vec::new() }
    }

    /// Ends a verdict that has nothing left to wait for, and tells what stands in the fixture now.
    fn cleared(&mut self, site: Site) -> Vec<Event> {
        let done = |phase: &Phase| matches!(phase, Phase::Verdict { gone: true, binned: true, .. });
        match self.places.get_mut(site.0) {
            Some(place) if done(&place.phase) => place.phase = Phase::Idle,
            Some(_) | None => return Vec::new(),
        }
        let mut events = vec![Event::Board { site, presence: Presence::Absent }];
        if self.seen(site) == Presence::Fresh {
            events.push(Event::Board { site, presence: Presence::Fresh });
        }
        events
    }

    fn seen(&self, site: Site) -> Presence {
        match self.places.get(site.0) {
            Some(Place { present: true, phase: Phase::Idle | Phase::Retry(_) }) => Presence::Fresh,
            Some(Place { present: true, phase: Phase::Running(_) | Phase::Verdict { .. } }) => Presence::Served,
            Some(Place { present: false, .. }) | None => Presence::Absent,
        }
    }

    fn ended(&mut self, site: Site, outcome: Outcome, tally: Tally) -> Reaction {
        let binned = self.bench.bin.is_none() || outcome.verdict != Verdict::Fail;
        let phase = match (&outcome.verdict, &outcome.serial) {
            (Verdict::Retry, Some(serial)) => Phase::Retry(serial.clone()),
            (Verdict::Retry, None) | (Verdict::Pass | Verdict::Fail | Verdict::Hold | Verdict::DoneAlready, _) => {
                Phase::Verdict { serial: outcome.serial.clone(), gone: false, binned }
            }
        };
        if let Some(place) = self.places.get_mut(site.0) {
            *place = Place { phase, present: !ended_without_contact(&outcome) };
        }
        self.tally = tally;
        self.exit = self.exit.worst(outcome.exit);
        let fault = outcome.fault.clone().filter(holds_the_line);
        let mut events = vec![Event::Verdict { site, outcome }, Event::Tally(tally)];
        if let Some(fault) = fault {
            self.holds = true;
            events.push(Event::LineHolds { fault });
        }
        let mut reaction = Reaction { events, orders: Vec::new() };
        reaction.orders.extend(self.dismiss_when_idle().orders);
        reaction
    }

    fn dismiss_when_idle(&mut self) -> Reaction {
        let busy = self.places.iter().any(|place| matches!(place.phase, Phase::Running(_)));
        if busy || !self.leaving || self.dismissed {
            return Reaction::default();
        }
        self.dismissed = true;
        Reaction { events: Vec::new(), orders: vec![Order::Dismiss] }
    }
}

/// Whether the board was out of contact when its run ended: then its going is no news, and RETRY stays on the screen.
pub(super) fn ended_without_contact(outcome: &Outcome) -> bool {
    outcome.verdict == Verdict::Retry && outcome.exit == Exit::NoAnswer
}

/// Without records no unit may be begun; that is not one unit's problem.
fn holds_the_line(fault: &Fault) -> bool {
    matches!(fault.exit, Exit::NotRecorded | Exit::Tampered)
}

fn refused(read: &str, why: String) -> Reaction {
    let read = read.chars().take(40).map(|letter| if letter.is_control() { '·' } else { letter }).collect();
    Reaction { events: vec![Event::ScanRefused { read, why }], orders: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Millis,
        ident::{Digest, Mode},
    };

    fn bench(bin: Option<&str>) -> Bench {
        Bench {
            station: "line-a".to_owned(),
            mode: Mode::Training,
            product: "GW3".to_owned(),
            title: "Gateway".to_owned(),
            symbols: String::new(),
            recipe: Digest([0; 32]),
            sites: vec!["left".to_owned(), "right".to_owned()],
            steps: Vec::new(),
            bin: bin.map(ToOwned::to_owned),
            serial_pattern: "A[0-9]".to_owned(),
        }
    }

    fn foreman(bin: Option<&str>) -> Foreman {
        let judge = |text: &str| text.parse().map_err(|error: crate::ident::BadSerial| error.to_string());
        Foreman::new(bench(bin), Box::new(judge), Tally::default())
    }

    fn scan(foreman: &mut Foreman, text: &str) -> Reaction {
        foreman.command(Command::Scan(text.to_owned()))
    }

    fn end(foreman: &mut Foreman, site: usize, verdict: Verdict, serial: &str) -> Reaction {
        let outcome = Outcome {
            verdict,
            serial: serial.parse().ok(),
            run: None,
            device: None,
            key: None,
            beside: String::new(),
            fault: None,
            next: String::new(),
            exit: Exit::Pass,
            entry: None,
            took: Millis(0),
        };
        foreman.report(Report::Ended(Site(site), Box::new(outcome), Tally::default()))
    }

    fn put_in(foreman: &mut Foreman, site: usize) {
        foreman.report(Report::Presence(Site(site), true));
    }

    fn take_out(foreman: &mut Foreman, site: usize) {
        foreman.report(Report::Presence(Site(site), false));
    }

    fn why(reaction: &Reaction) -> &str {
        match reaction.events.as_slice() {
            [Event::ScanRefused { why, .. }] => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_scan_belongs_to_the_one_site_whose_board_newly_appeared() {
        let mut foreman = foreman(None);
        assert!(why(&scan(&mut foreman, "A1\r\n")).contains("no board is in"));
        put_in(&mut foreman, 1);
        assert_eq!(scan(&mut foreman, "A1\r\n").orders, [Order::Run(Site(1), "A1".parse().unwrap())]);
        put_in(&mut foreman, 0);
        assert_eq!(scan(&mut foreman, "A2\t").orders, [Order::Run(Site(0), "A2".parse().unwrap())]);
    }

    #[test]
    fn two_new_boards_make_the_screen_ask_and_a_wrong_answer_asks_again() {
        let mut foreman = foreman(None);
        put_in(&mut foreman, 0);
        put_in(&mut foreman, 1);
        let asked = scan(&mut foreman, "A1");
        assert!(asked.orders.is_empty() && matches!(asked.events[..], [Event::WhichSite { .. }]));
        assert!(foreman.command(Command::Choose(Site(7))).orders.is_empty());
        let chosen = foreman.command(Command::Choose(Site(1)));
        assert_eq!(chosen.orders, [Order::Run(Site(1), "A1".parse().unwrap())]);
    }

    #[test]
    fn a_scan_that_names_its_site_goes_nowhere_else() {
        let mut foreman = foreman(None);
        let at = |foreman: &mut Foreman, site| foreman.command(Command::ScanAt("A1".to_owned(), Site(site)));
        put_in(&mut foreman, 1);
        assert!(at(&mut foreman, 0).orders.is_empty(), "though the other site has the only new board");
        put_in(&mut foreman, 0);
        assert_eq!(at(&mut foreman, 0).orders, [Order::Run(Site(0), "A1".parse().unwrap())]);
    }

    #[test]
    fn a_label_in_hand_at_one_site_is_given_to_no_other() {
        let mut foreman = foreman(None);
        let at = |foreman: &mut Foreman, site| foreman.command(Command::ScanAt("A1".to_owned(), Site(site)));
        put_in(&mut foreman, 0);
        assert_eq!(scan(&mut foreman, "A1").orders.len(), 1);
        put_in(&mut foreman, 1);
        assert!(why(&scan(&mut foreman, "A1")).contains("being worked on at left"));
        assert!(why(&at(&mut foreman, 1)).contains("being worked on at left"));
        end(&mut foreman, 0, Verdict::Retry, "A1");
        assert!(why(&at(&mut foreman, 1)).contains("in hand at left"));
        assert_eq!(scan(&mut foreman, "A1").orders, [Order::Run(Site(0), "A1".parse().unwrap())]);
        end(&mut foreman, 0, Verdict::Pass, "A1");
        assert!(why(&scan(&mut foreman, "A1")).contains("its verdict at left"));
        assert_eq!(scan(&mut foreman, "A2").orders, [Order::Run(Site(1), "A2".parse().unwrap())]);
        end(&mut foreman, 1, Verdict::Pass, "A2");
        for site in [0, 1] {
            take_out(&mut foreman, site);
            put_in(&mut foreman, site);
        }
        assert_eq!(at(&mut foreman, 1).orders.len(), 1, "the records judge a board that was put in anew");
    }

    #[test]
    fn a_label_that_waits_for_its_site_to_be_named_is_begun_once() {
        let mut foreman = foreman(None);
        put_in(&mut foreman, 0);
        put_in(&mut foreman, 1);
        scan(&mut foreman, "A1");
        assert_eq!(foreman.command(Command::Choose(Site(0))).orders.len(), 1);
        assert!(foreman.command(Command::Choose(Site(1))).orders.is_empty());
        assert!(why(&scan(&mut foreman, "A1")).contains("being worked on at left"));
    }

    #[test]
    fn a_board_that_was_not_swapped_takes_no_second_scan() {
        let mut foreman = foreman(None);
        put_in(&mut foreman, 0);
        scan(&mut foreman, "A1");
        end(&mut foreman, 0, Verdict::Pass, "A1");
        assert!(why(&scan(&mut foreman, "A2")).contains("take the finished board out"));
        put_in(&mut foreman, 0);
        assert!(why(&scan(&mut foreman, "A2")).contains("take the finished board out"));
        take_out(&mut foreman, 0);
        put_in(&mut foreman, 0);
        assert_eq!(scan(&mut foreman, "A2").orders.len(), 1);
    }

    #[test]
    fn a_retry_is_scanned_again_with_the_board_in_place_but_only_under_the_same_label() {
        let mut foreman = foreman(None);
        put_in(&mut foreman, 0);
        scan(&mut foreman, "A1");
        end(&mut foreman, 0, Verdict::Retry, "A1");
        assert!(scan(&mut foreman, "A2").orders.is_empty());
        assert_eq!(scan(&mut foreman, "A1").orders.len(), 1);
    }

    #[test]
    fn a_board_that_lost_contact_keeps_its_retry_until_it_is_scanned_again() {
        let mut foreman = foreman(None);
        put_in(&mut foreman, 0);
        scan(&mut foreman, "A1");
        let ended = end(&mut foreman, 0, Verdict::Retry, "A1").events.remove(0);
        let Event::Verdict { mut outcome, .. } = ended else { panic!("{ended:?}") };
        outcome.exit = Exit::NoAnswer;
        foreman.report(Report::Ended(Site(0), Box::new(outcome), Tally::default()));
        let back = foreman.report(Report::Presence(Site(0), true)).events;
        assert!(
            matches!(back[..], [Event::Board { presence: Presence::Fresh, .. }]),
            "nothing was told to go: {back:?}"
        );
        assert_eq!(scan(&mut foreman, "A1").orders.len(), 1);
    }

    #[test]
    fn a_failed_board_is_taken_out_and_binned_in_either_order_before_the_site_goes_on() {
        for bin_first in [true, false] {
            let mut foreman = foreman(Some("BIN-RED"));
            put_in(&mut foreman, 0);
            scan(&mut foreman, "A1");
            end(&mut foreman, 0, Verdict::Fail, "A1");
            if bin_first {
                scan(&mut foreman, "BIN-RED");
                assert!(scan(&mut foreman, "A2").orders.is_empty());
                take_out(&mut foreman, 0);
                put_in(&mut foreman, 0);
            } else {
                take_out(&mut foreman, 0);
                put_in(&mut foreman, 0);
                assert!(why(&scan(&mut foreman, "A2")).contains("red bin"));
                scan(&mut foreman, "BIN-RED");
            }
            assert_eq!(scan(&mut foreman, "A2").orders.len(), 1, "bin first: {bin_first}");
        }
    }

    #[test]
    fn leaving_waits_for_the_units_in_hand_and_takes_no_new_ones() {
        let mut foreman = foreman(None);
        put_in(&mut foreman, 0);
        put_in(&mut foreman, 1);
        scan(&mut foreman, "A1");
        foreman.command(Command::Choose(Site(0)));
        assert!(foreman.command(Command::Leave).orders.is_empty() && !foreman.is_done());
        assert!(why(&scan(&mut foreman, "A2")).contains("closing"));
        assert_eq!(end(&mut foreman, 0, Verdict::Pass, "A1").orders, [Order::Dismiss]);
        assert!(foreman.is_done());
    }

    #[test]
    fn a_record_that_could_not_be_written_holds_the_whole_line() {
        let mut foreman = foreman(None);
        put_in(&mut foreman, 0);
        scan(&mut foreman, "A1");
        let fault = Fault::new(crate::fault::Party::Technician, "full", "Free the disk.").exit(Exit::NotRecorded);
        let ended = end(&mut foreman, 0, Verdict::Retry, "A1").events.remove(0);
        let Event::Verdict { mut outcome, .. } = ended else { panic!("{ended:?}") };
        outcome.fault = Some(fault);
        let reaction = foreman.report(Report::Ended(Site(0), Box::new(outcome), Tally::default()));
        assert!(reaction.events.iter().any(|event| matches!(event, Event::LineHolds { .. })));
        put_in(&mut foreman, 1);
        assert!(why(&scan(&mut foreman, "A2")).contains("holds"));
    }

    #[test]
    fn hostile_scans_are_refused_in_short_printable_words() {
        let mut foreman = foreman(None);
        put_in(&mut foreman, 0);
        for text in ["A".repeat(5000), "\u{1b}[2J\u{7}".to_owned(), "A1'; DROP TABLE entries;--".to_owned()] {
            let reaction = scan(&mut foreman, &text);
            let [Event::ScanRefused { read, why }] = &reaction.events[..] else { panic!("{reaction:?}") };
            assert!(read.chars().count() <= 40 && !read.chars().any(char::is_control), "{read:?}");
            assert!(!why.is_empty() && reaction.orders.is_empty());
        }
    }
}
