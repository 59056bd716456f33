//! A terminal that a program is started in, as a person sees it and types on it.

use std::{
    io::{Read as _, Write as _},
    num::NonZero,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use pty_process::{
    Size,
    blocking::{Command, Pty, open},
};
use vt100::Parser;

use super::{Kept, pause, signal, until};

pub(crate) const SMALL: (u16, u16) = (80, 24);
pub(crate) const LARGE: (u16, u16) = (132, 43);

pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Kept,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    parser: Parser,
    raw: Vec<u8>,
}

impl Terminal {
    /// Starts `rootstamp` with these arguments in a terminal of this size.
    pub(crate) fn start(size: (u16, u16), arguments: &[&str], colour: bool) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(size.1, size.0)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rootstamp"))
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .env_remove("ROOTSTAMP_DATA");
        command = if colour { command.env_remove("NO_COLOR") } else { command.env("NO_COLOR", "1") };
        let child = Kept(command.spawn(pts).unwrap());
        let seen = Seen { parser: Parser::new(rows(size), columns(size), 0), raw: Vec::new() };
        let (pty, seen) = (Arc::new(pty), Arc::new(Mutex::new(seen)));
        let (from, into) = (Arc::clone(&pty), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading a terminal that nobody has open any more is an error.
            while let Ok(count @ 1..) = (&*from).read(&mut bytes) {
                let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
                seen.parser.process(&bytes[..count]);
                seen.raw.extend(&bytes[..count]);
            }
        });
        Self { pty, child, seen }
    }

    /// The demo in a folder of its own.
    pub(crate) fn demo(size: (u16, u16), data: &Path, colour: bool) -> Self {
        let terminal = Self::start(size, &["demo", "--data", data.to_str().unwrap()], colour);
        terminal.shows("put a board in");
        terminal
    }

    pub(crate) fn type_in(&self, bytes: &[u8]) {
        (&*self.pty).write_all(bytes).unwrap();
    }

    /// A key that is no text; not within the moment after a scan, in which a reader may still be typing.
    pub(crate) fn press(&self, key: Key) {
        pause(150);
        self.type_in(key.bytes());
    }

    pub(crate) fn resize(&self, size: (u16, u16)) {
        self.pty.resize(Size::new(size.1, size.0)).unwrap();
        self.seen.lock().unwrap().parser.screen_mut().set_size(rows(size), columns(size));
    }

    /// What stands on the screen.
    pub(crate) fn text(&self) -> String {
        self.with(vt100::Screen::contents)
    }

    pub(crate) fn line(&self, row: usize) -> String {
        self.text().lines().nth(row).unwrap_or_default().trim_end().to_owned()
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().unwrap().parser.screen())
    }

    /// Every byte the program wrote.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.seen.lock().unwrap().raw.clone()
    }

    /// Waits until this stands on the screen.
    pub(crate) fn shows(&self, text: &str) -> String {
        self.wait(&format!("“{text}” on the screen"), |screen| screen.contains(text))
    }

    /// The same, with what it is about.
    pub(crate) fn shows_after(&self, text: &str, about: &str) -> String {
        self.wait(&format!("“{text}” on the screen after {}", &about[..about.len().min(80)]), |screen| {
            screen.contains(text)
        })
    }

    pub(crate) fn shows_no(&self, text: &str) -> String {
        self.wait(&format!("no “{text}” on the screen"), |screen| !screen.contains(text))
    }

    fn wait(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let patience = std::panic::AssertUnwindSafe(|| {
            until(what, || {
                let text = self.text();
                is(&text).then_some(text)
            })
        });
        std::panic::catch_unwind(patience).unwrap_or_else(|_| panic!("never: {what}\n{}", self.text()))
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.child.0.id());
    }

    /// Waits for the end of the program; its exit code.
    pub(crate) fn exit(&mut self) -> i32 {
        self.child.exit()
    }

    /// The exit code, if the program has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.0.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    /// The terminal is as it was before the program.
    pub(crate) fn is_restored(&self) {
        until("the other screen is gone", || self.with(|screen| (!screen.alternate_screen()).then_some(())));
        self.with(|screen| {
            assert!(!screen.hide_cursor(), "the cursor is hidden");
            assert!(!screen.bracketed_paste(), "pasting is still bracketed");
        });
    }
}

fn columns(size: (u16, u16)) -> NonZero<u16> {
    NonZero::new(size.0).unwrap()
}

fn rows(size: (u16, u16)) -> NonZero<u16> {
    NonZero::new(size.1).unwrap()
}

#[derive(Clone, Copy)]
pub(crate) enum Key {
    F1,
    F2,
    F5,
    F6,
    F10,
    Interrupt,
    Escape,
}

impl Key {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::F1 => b"\x1bOP",
            Self::F2 => b"\x1bOQ",
            Self::F5 => b"\x1b[15~",
            Self::F6 => b"\x1b[17~",
            Self::F10 => b"\x1b[21~",
            Self::Interrupt => b"\x03",
            Self::Escape => b"\x1b",
        }
    }
}
