//! A line at work, with a scanner on its standard input and its events as they come.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

use serde_json::Value;

use super::{GUARD, Kept, object, pause};

pub(crate) struct Line {
    pub(crate) child: Kept,
    scanner: Option<ChildStdin>,
    events: Receiver<Value>,
    pub(crate) told: Vec<Value>,
}

impl Line {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let scanner = child.stdin.take();
        let (tell, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        let (parsed, objects) = channel();
        std::thread::spawn(move || {
            for line in events {
                // A line that was cut off by a kill is no event.
                if serde_json::from_str::<Value>(&line).is_ok() && parsed.send(object(&line)).is_err() {
                    break;
                }
            }
        });
        Self { child: Kept(child), scanner, events: objects, told: Vec::new() }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) fn scan(&mut self, label: &str) {
        self.type_in(format!("{label}\r\n").as_bytes());
    }

    pub(crate) fn type_in(&mut self, bytes: &[u8]) {
        self.scanner.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// The next event; `None` after the last.
    pub(crate) fn next(&mut self) -> Option<Value> {
        match self.events.recv_timeout(GUARD) {
            Ok(event) => {
                self.told.push(event.clone());
                Some(event)
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("no event: {:?}", self.told.last()),
        }
    }

    /// Waits for an event of which this is true.
    pub(crate) fn wait(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        while let Some(event) = self.next() {
            if is(&event) {
                return event;
            }
        }
        panic!("never: {what}; the last events: {:#?}", self.told.iter().rev().take(3).collect::<Vec<_>>());
    }

    /// A new board, or none, or the one that was served stands at this site.
    pub(crate) fn sees(&mut self, site: usize, presence: &str) {
        let told = |event: &Value| event["event"] == "board" && event["site"] == site && event["presence"] == presence;
        self.wait(&format!("{presence} at {site}"), told);
    }

    /// Scans a label until its unit is begun: a board that is back is seen a moment later.
    pub(crate) fn scan_until_taken(&mut self, site: usize, label: &str) {
        loop {
            self.scan(label);
            let event = self.wait("a start or a refusal", |event| {
                event["event"] == "scan_refused" || (event["event"] == "started" && event["site"] == site)
            });
            if event["event"] == "started" {
                return;
            }
            pause(50);
        }
    }

    /// The outcome of this site's unit.
    pub(crate) fn verdict(&mut self, site: usize) -> Value {
        let event = self.wait("a verdict", |event| event["event"] == "verdict" && event["site"] == site);
        event["outcome"].clone()
    }

    /// The outcome of this site's unit, though it may have been told already.
    pub(crate) fn verdict_of(&mut self, site: usize) -> Value {
        let is = |event: &Value| event["event"] == "verdict" && event["site"] == site;
        let told = self.told.iter().find(|event| is(event)).cloned();
        told.unwrap_or_else(|| self.wait("a verdict", is))["outcome"].clone()
    }

    /// Why the last scan was not taken.
    pub(crate) fn refused(&mut self) -> String {
        let event = self.wait("a refusal", |event| event["event"] == "scan_refused");
        event["why"].as_str().unwrap().to_owned()
    }

    /// This step begins at this site.
    pub(crate) fn begins(&mut self, site: usize, step: &str) {
        self.wait(step, |event| {
            event["event"] == "step"
                && event["site"] == site
                && event["step"] == step
                && event["progress"]["state"] == "begun"
        });
    }

    /// The scanner is put away: the units in hand are finished, and the line is closed.
    pub(crate) fn leave(mut self) -> (i32, Vec<Value>) {
        drop(self.scanner.take());
        while self.next().is_some() {}
        (self.child.exit(), std::mem::take(&mut self.told))
    }
}
