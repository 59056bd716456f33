//! Runs the screen: the only part that touches a terminal. Whatever ends it, the terminal is as it was before.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
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
        event::{
            DisableBracketedPaste, EnableBracketedPaste, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
            poll, read,
        },
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
    layout::{Position, Rect},
};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
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
    /// What was typed, pasted or resized within this time.
    fn next(&mut self, wait: Duration) -> io::Result<Option<Input>>;
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
    let mut screen = Screen { model, events, commands, extra, clock, ticked: clock.since_start() };
    let repaint = Arc::clone(&held.scrambled);
    screen.conduct(&mut held.terminal, &mut Typed, &|| signals.came(), &|| repaint.swap(false, Ordering::Relaxed))
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
        self.listen(keyboard).map_err(|error| error.to_string())?;
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
    fn listen(&mut self, keyboard: &mut dyn Keyboard) -> io::Result<()> {
        let mut wait = WAIT;
        for _ in 0..AT_ONCE {
            let Some(input) = keyboard.next(wait)? else { break };
            match input {
                Input::Key(key) => keys(key).into_iter().flatten().for_each(|key| self.press(key)),
                Input::Paste(text) => self.take(What::Paste(text)),
                // The next drawing asks the terminal for its size.
                Input::Resize(..) | Input::FocusGained | Input::FocusLost | Input::Mouse(_) => {}
            }
            wait = Duration::ZERO;
        }
        Ok(())
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

/// What a terminal's key is here; text with Alt is what a terminal makes of an escape before it.
fn keys(event: KeyEvent) -> [Option<KeyName>; 2] {
    if event.kind == KeyEventKind::Release {
        return [None, None];
    }
    let escape = event.modifiers.contains(KeyModifiers::ALT).then_some(KeyName::Char('\u{1b}'));
    let controlled = event.modifiers.contains(KeyModifiers::CONTROL);
    let key = match event.code.as_char() {
        Some(character) if controlled => Some(control(character)),
        Some(character) => Some(KeyName::Char(character)),
        None => plain(event.code),
    };
    [escape, key]
}

/// Undoes what the terminal made of a control character: Ctrl-J was a line feed, Ctrl-5 a group separator.
fn control(letter: char) -> KeyName {
    let byte = match letter {
        '4'..='7' => u32::from(letter) - u32::from('4') + 0x1c,
        'a'..='z' | 'A'..='Z' => u32::from(letter) & 0x1f,
        ' ' | '@' => 0,
        _ => u32::from(letter),
    };
    match char::from_u32(byte).unwrap_or('\0') {
        '\n' => KeyName::Feed,
        '\r' => KeyName::Enter,
        '\t' => KeyName::Tab,
        '\u{8}' => KeyName::Backspace,
        '\u{3}' => KeyName::Interrupt,
        other => KeyName::Char(other),
    }
}

fn plain(code: KeyCode) -> Option<KeyName> {
    const KNOWN: [(KeyCode, KeyName); 11] = [
        (KeyCode::Enter, KeyName::Enter),
        (KeyCode::Tab, KeyName::Tab),
        (KeyCode::Backspace, KeyName::Backspace),
        (KeyCode::Esc, KeyName::Escape),
        (KeyCode::Up, KeyName::Up),
        (KeyCode::Down, KeyName::Down),
        (KeyCode::Left, KeyName::Left),
        (KeyCode::Right, KeyName::Right),
        (KeyCode::PageUp, KeyName::PageUp),
        (KeyCode::PageDown, KeyName::PageDown),
        (KeyCode::Null, KeyName::Char('\0')),
    ];
    if let KeyCode::F(number) = code {
        return Some(KeyName::F(number));
    }
    KNOWN.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// The terminal's own keyboard.
struct Typed;

impl Keyboard for Typed {
    fn next(&mut self, wait: Duration) -> io::Result<Option<Input>> {
        if poll(wait)? || (stir(io::stdin().as_fd()) && poll(Duration::ZERO)?) { read().map(Some) } else { Ok(None) }
    }
}

/// Whether the terminal still holds what was typed, after saying so once more to whoever waits for it. crossterm reads
/// a kilobyte at a time and then waits for news of more, but the system told of all of it at once: the rest of a long
/// scan would lie there until the next key, and spoil the next scan. Setting a terminal's attributes, as they are,
/// wakes its readers.
fn stir(terminal: BorrowedFd<'_>) -> bool {
    let left = rustix::io::ioctl_fionread(terminal).is_ok_and(|left| left > 0);
    left && tcgetattr(terminal).and_then(|as_it_is| tcsetattr(terminal, OptionalActions::Now, &as_it_is)).is_ok()
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
    struct Script(Vec<Input>);

    impl Keyboard for Script {
        fn next(&mut self, wait: Duration) -> io::Result<Option<Input>> {
            if wait.is_zero() || self.0.is_empty() { Ok(None) } else { Ok(Some(self.0.remove(0))) }
        }
    }

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
        Input::Key(KeyEvent::new(code, modifiers))
    }

    fn conduct(typed: Vec<Input>, told: Vec<Event>, interrupted: bool) -> (Result<(), Fault>, Vec<Command>) {
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
    fn what_a_terminal_makes_of_control_characters_is_undone() {
        let cases = [
            ('j', KeyName::Feed),
            ('c', KeyName::Interrupt),
            ('5', KeyName::Char('\u{1d}')),
            ('a', KeyName::Char('\u{1}')),
            ('h', KeyName::Backspace),
        ];
        for (letter, name) in cases {
            assert_eq!(keys(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)), [None, Some(name)]);
        }
        let alt = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::ALT);
        assert_eq!(keys(alt), [Some(KeyName::Char('\u{1b}')), Some(KeyName::Char('G'))]);
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
        let mut typed = Script(vec![key(KeyCode::F(5), KeyModifiers::NONE)]);
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
