//! Runs the screen: the only part that touches a terminal. Whatever ends it, the terminal is as it was before.

use std::{
    io,
    panic::{self, PanicHookInfo},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, TryRecvError},
    },
    thread,
    time::Duration,
};

use ratatui::{
    DefaultTerminal, Terminal,
    backend::{Backend, CrosstermBackend},
    crossterm::{
        cursor::Show,
        event::{DisableBracketedPaste, EnableBracketedPaste},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
    layout::{Position, Rect},
};
use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag, low_level,
};

use crate::{
    clock::{Clock, Millis},
    fault::{Exit, Fault, Party},
    session::news::{Command, Event},
};

use super::{
    keyboard::{self, Stroke},
    keys::KeyName,
    model::Model,
    update::{Message, What, update},
    view::view,
};

/// How long a key or an event may wait to be seen.
const WAIT: Duration = Duration::from_millis(40);

/// The most that is taken in before the screen is drawn again: twice the longest scan.
const AT_ONCE: usize = 8 * 1_024;

/// How often something moves, in milliseconds.
const TICK: u64 = 100;

/// The demo's hands: its keys put virtual boards into the fixture, and its words tell a newcomer what to do.
pub trait Hands {
    /// Lines that say what to do now and which label to scan; asked for again after everything that happens.
    fn hint(&self) -> Vec<String>;
    /// Keys beside the screen's own, with the words for the help line. Function keys, for letters are scans.
    fn keys(&self) -> &[(KeyName, &str)];
    /// One of the keys was pressed.
    fn press(&mut self, key: KeyName);
}

/// Where keys come from.
trait Keyboard {
    /// What was typed or pasted within this time.
    fn next(&mut self, wait: Duration) -> Option<Stroke>;
}

impl Keyboard for keyboard::Terminal {
    fn next(&mut self, wait: Duration) -> Option<Stroke> {
        self.next(wait)
    }
}

/// Shows the session until its last event. The terminal is restored on every way out, a panic and a signal included;
/// a signal is [`Command::Leave`].
///
/// # Errors
/// The terminal cannot be used, or the session ended without its last event. The session was told to leave.
pub fn run<'a>(
    model: Model,
    events: Receiver<Event>,
    commands: Sender<Command>,
    extra: Option<&'a mut dyn Hands>,
    clock: &'a dyn Clock,
) -> Result<(), Fault> {
    let signals = Signals::caught().map_err(|error| unusable(&error.to_string()))?;
    let mut held = Held::taken().map_err(|error| unusable(&error.to_string()))?;
    let typed = keyboard::Terminal::open(Arc::clone(&signals.came));
    let mut typed = typed.map_err(|error| unusable(&error.to_string()))?;
    let mut screen = Screen { model, events, commands, extra, clock, ticked: clock.since_start() };
    let repaint = Arc::clone(&held.scrambled);
    screen.conduct(&mut held.terminal, &mut typed, &|| signals.came(), &|| repaint.swap(false, Ordering::Relaxed))
}

struct Screen<'a> {
    model: Model,
    events: Receiver<Event>,
    commands: Sender<Command>,
    extra: Option<&'a mut dyn Hands>,
    clock: &'a dyn Clock,
    ticked: Millis,
}

impl Screen<'_> {
    /// Until the session's last event; on the way out for any other reason, the session is told to leave.
    fn conduct<B: Backend>(
        &mut self,
        terminal: &mut Terminal<B>,
        keyboard: &mut dyn Keyboard,
        interrupted: &dyn Fn() -> bool,
        scrambled: &dyn Fn() -> bool,
    ) -> Result<(), Fault> {
        let ending = loop {
            let turned = if scrambled() { repaint(terminal) } else { Ok(()) };
            match turned.and_then(|()| self.turn(terminal, keyboard, interrupted())) {
                Ok(true) if self.model.is_over() => return Ok(()),
                Ok(true) => {}
                Ok(false) => break Err(silent()),
                Err(error) => break Err(unusable(&error)),
            }
        };
        self.take(What::Interrupted);
        ending
    }

    /// One turn of everything; false once the session is gone without a last event.
    fn turn<B: Backend>(
        &mut self,
        terminal: &mut Terminal<B>,
        keyboard: &mut dyn Keyboard,
        interrupted: bool,
    ) -> Result<bool, String> {
        let alive = self.hear();
        if interrupted {
            self.take(What::Interrupted);
        }
        self.ask_hands();
        if self.model.is_over() {
            return Ok(true);
        }
        terminal.draw(|frame| view(&self.model, frame)).map_err(|error| error.to_string())?;
        self.listen(keyboard);
        self.tick();
        Ok(alive)
    }

    /// Everything the session told since the last turn.
    fn hear(&mut self) -> bool {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.take(What::News(Box::new(event))),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return self.model.closed,
            }
        }
    }

    /// A reader types dozens of characters at once; all of them are taken before anything is drawn.
    fn listen(&mut self, keyboard: &mut dyn Keyboard) {
        let mut wait = WAIT;
        for _ in 0..AT_ONCE {
            match keyboard.next(wait) {
                Some(Stroke::Key(key)) => self.press(key),
                Some(Stroke::Paste(text)) => self.take(What::Paste(text)),
                None => break,
            }
            wait = Duration::ZERO;
        }
    }

    fn press(&mut self, key: KeyName) {
        match &mut self.extra {
            Some(hands) if hands.keys().iter().any(|(known, _)| *known == key) => hands.press(key),
            Some(_) | None => self.take(What::Key(key)),
        }
    }

    fn tick(&mut self) {
        let now = self.clock.since_start();
        if now.0.saturating_sub(self.ticked.0) >= TICK {
            self.ticked = now;
            self.take(What::Tick);
        }
    }

    fn ask_hands(&mut self) {
        let Some(hands) = &self.extra else { return };
        let keys = hands.keys().iter().map(|(key, word)| (*key, (*word).to_owned())).collect();
        let hints = hands.hint();
        self.take(What::Hands { hints, keys });
    }

    fn take(&mut self, what: What) {
        if let Some(command) = update(&mut self.model, Message { at: self.clock.since_start(), what }) {
            // A session that is gone is noticed where its events are heard.
            let _ = self.commands.send(command);
        }
    }
}

/// Draws every cell again, whatever another wrote there. `Terminal::clear` would ask the terminal where its cursor is,
/// and wait for an answer that some never give.
fn repaint<B: Backend>(terminal: &mut Terminal<B>) -> Result<(), String> {
    let size = terminal.size().map_err(|error| error.to_string())?;
    terminal.resize(Rect::from((Position::ORIGIN, size))).map_err(|error| error.to_string())
}

fn unusable(error: &str) -> Fault {
    Fault::new(
        Party::Technician,
        "the terminal cannot be used",
        "Start rootstamp in a terminal window, or use --headless.",
    )
    .exit(Exit::Usage)
    .code("C-104")
    .detail(error)
}

fn silent() -> Fault {
    Fault::new(
        Party::Maintainers,
        "the session ended without its last event",
        "Put the boards in hand on the blue rack, send the ledger and the log to rootstamp's maintainers, and start again.",
    )
    .code("X-009")
}

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// The terminal while it is ours.
struct Held {
    terminal: DefaultTerminal,
    /// Another thread's panic wrote across the screen.
    scrambled: Arc<AtomicBool>,
    /// After `terminal`, which shows the cursor again when it is dropped.
    _restored: Restored,
}

impl Held {
    fn taken() -> io::Result<Self> {
        let scrambled = Arc::new(AtomicBool::new(false));
        let restored = Restored::later(Arc::clone(&scrambled));
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(Self { terminal, scrambled, _restored: restored })
    }
}

/// Puts the terminal and the panic hook back.
struct Restored {
    before: Arc<Hook>,
}

impl Restored {
    fn later(scrambled: Arc<AtomicBool>) -> Self {
        let before: Arc<Hook> = Arc::from(panic::take_hook());
        let (then, screen) = (Arc::clone(&before), thread::current().id());
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == screen {
                restore();
            } else {
                scrambled.store(true, Ordering::Relaxed);
            }
            then(info);
        }));
        Self { before }
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        restore();
        // A hook cannot be changed while a panic is under way, and then need not be.
        if !thread::panicking() {
            let before = Arc::clone(&self.before);
            panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

/// As far as it goes: a terminal that is gone needs nothing.
fn restore() {
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
}

/// The system's wish that the process ends, as a flag; given up again when dropped.
struct Signals {
    came: Arc<AtomicBool>,
    ids: Vec<SigId>,
}

impl Signals {
    fn caught() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let mut caught = Self { came, ids: Vec::new() };
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            caught.ids.push(flag::register(signal, Arc::clone(&caught.came))?);
        }
        Ok(caught)
    }

    fn came(&self) -> bool {
        self.came.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.ids.drain(..).for_each(|id| {
            low_level::unregister(id);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use ratatui::backend::TestBackend;

    use super::*;
    use crate::{clock::Frozen, session::news::Tally, ui::look::Look};

    /// Types what it was given, one input a turn.
    struct Script(Vec<KeyName>);

    impl Keyboard for Script {
        fn next(&mut self, wait: Duration) -> Option<Stroke> {
            if wait.is_zero() || self.0.is_empty() { None } else { Some(Stroke::Key(self.0.remove(0))) }
        }
    }

    fn conduct(typed: Vec<KeyName>, told: Vec<Event>, interrupted: bool) -> (Result<(), Fault>, Vec<Command>) {
        let (events, commands, clock) = (channel(), channel(), Frozen::default());
        for event in told {
            events.0.send(event).unwrap();
        }
        drop(events.0);
        let mut screen = Screen {
            model: Model::new(Look::RICH),
            events: events.1,
            commands: commands.0,
            extra: None,
            clock: &clock,
            ticked: Millis(0),
        };
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let ending = screen.conduct(&mut terminal, &mut Script(typed), &|| interrupted, &|| false);
        drop(screen);
        (ending, commands.1.iter().collect())
    }

    fn closed() -> Event {
        Event::Closed { tally: Tally::default(), exit: Exit::Pass }
    }

    #[test]
    fn the_last_event_ends_the_screen_and_asks_nothing() {
        assert_eq!(conduct(vec![], vec![closed()], false), (Ok(()), vec![]));
    }

    #[test]
    fn a_session_that_vanishes_is_a_fault_and_is_told_to_leave() {
        let (ending, commands) = conduct(vec![], vec![], false);
        assert_eq!(ending.map_err(|fault| fault.party), Err(Party::Maintainers));
        assert_eq!(commands, [Command::Leave]);
    }

    #[test]
    fn a_signal_leaves_as_a_person_would() {
        assert_eq!(conduct(vec![], vec![], true).1, [Command::Leave], "once, though the session then vanishes");
    }

    #[test]
    fn what_another_thread_wrote_across_the_screen_is_painted_over() {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let model = Model::new(Look::RICH);
        terminal.draw(|frame| view(&model, frame)).unwrap();
        let clean = terminal.backend().buffer().clone();
        let mut cell = ratatui::buffer::Cell::default();
        cell.set_char('!');
        terminal.backend_mut().draw([(3, 3, &cell)].into_iter()).unwrap();
        terminal.draw(|frame| view(&model, frame)).unwrap();
        assert_ne!(terminal.backend().buffer(), &clean, "drawing alone does not notice");
        repaint(&mut terminal).unwrap();
        terminal.draw(|frame| view(&model, frame)).unwrap();
        assert_eq!(terminal.backend().buffer(), &clean);
    }

    #[test]
    fn the_demos_keys_go_to_its_hands_and_not_to_the_bench() {
        struct Two(Vec<KeyName>);
        impl Hands for Two {
            fn hint(&self) -> Vec<String> {
                vec![format!("{} boards in", self.0.len())]
            }
            fn keys(&self) -> &[(KeyName, &str)] {
                &[(KeyName::F(5), "left board")]
            }
            fn press(&mut self, key: KeyName) {
                self.0.push(key);
            }
        }
        let (events, commands, clock, mut hands) = (channel(), channel(), Frozen::default(), Two(vec![]));
        let mut screen = Screen {
            model: Model::new(Look::RICH),
            events: events.1,
            commands: commands.0,
            extra: Some(&mut hands),
            clock: &clock,
            ticked: Millis(0),
        };
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let mut typed = Script(vec![KeyName::F(5)]);
        for _ in 0..2 {
            assert_eq!(screen.turn(&mut terminal, &mut typed, false), Ok(true));
        }
        drop(events.0);
        drop(screen);
        let shown = terminal.backend().to_string();
        assert!(shown.contains("F5  left board") && shown.contains("1 boards in"), "{shown}");
        assert_eq!(hands.0, [KeyName::F(5)]);
        assert_eq!(commands.1.iter().next(), None);
    }
}
