//! A bench: boards, a station file that names them, and a folder of records.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{boards::Boards, exit, objects, project, rootstamp, run, stderr, stdout};

pub(crate) const BOOT: &str = "GW3 boot 1.4.2";

pub(crate) struct Bench {
    pub(crate) boards: Boards,
    folder: TempDir,
}

impl Bench {
    /// Two sites, left and right, with a fresh board in each.
    pub(crate) fn two() -> Self {
        Self::of(Boards::serve(2, &[]))
    }

    /// One site with a fresh board.
    pub(crate) fn one() -> Self {
        Self::of(Boards::serve(1, &[]))
    }

    pub(crate) fn of(boards: Boards) -> Self {
        let bench = Self { boards, folder: tempfile::tempdir().unwrap() };
        bench.write_station(|_, text| text);
        bench
    }

    /// Writes the station file anew, each site's part changed on the way.
    pub(crate) fn write_station(&self, change: impl Fn(&str, String) -> String) {
        let mut text = "schema = 1\nstation = \"bench\"\nmode = \"training\"\ndata = \"records\"\n".to_owned();
        text = change("", text);
        for site in &self.boards.sites {
            let (socket, uart) = (self.boards.socket(site), self.boards.uart(site));
            let part = format!(
                "[[site]]\nname = \"{site}\"\nprobe = \"20b7:9db1:unix:{}\"\nuart = \"{}\"\n",
                socket.display(),
                uart.display()
            );
            text += &change(site, part);
        }
        text += "[scanner]\nkind = \"keyboard\"\n";
        fs::write(self.station(), text).unwrap();
    }

    pub(crate) fn station(&self) -> PathBuf {
        self.folder.path().join("station.toml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("records")
    }

    /// The command that runs the line, without labels.
    pub(crate) fn line(&self) -> Command {
        let mut command = rootstamp();
        command.arg("station").arg("--station").arg(self.station());
        command.arg("--recipe").arg(project("templates/products/gw3.toml"));
        command.args(["--headless", "--json"]);
        command
    }

    /// Scans these labels one after the other, each once its board is in.
    pub(crate) fn scan(&self, labels: &[&str]) -> Output {
        let mut line = self.line();
        for label in labels {
            line.args(["--scan", label]);
        }
        line.output().unwrap()
    }

    pub(crate) fn verify(&self, label: &str, site: &str) -> Output {
        let station = self.station();
        rootstamp().args(["verify", label, "--site", site, "--json", "--station"]).arg(station).output().unwrap()
    }

    pub(crate) fn release(&self, label: &str) -> Output {
        let data = self.data();
        rootstamp().args(["dispose", "release", label, "--reason", "tried again", "--data"]).arg(data).output().unwrap()
    }

    /// The records are whole.
    pub(crate) fn is_whole(&self) {
        let checked = records(&self.data(), &["verify"]);
        assert_eq!(exit(&checked), 0, "{}{}", stdout(&checked), stderr(&checked));
    }

    /// What is recorded of a unit, entries and all.
    pub(crate) fn unit(&self, label: &str) -> Option<Value> {
        let shown = records(&self.data(), &["show", label, "--json"]);
        (exit(&shown) == 0).then(|| objects(&shown).remove(0))
    }

    pub(crate) fn units(&self) -> Vec<Value> {
        let listed = records(&self.data(), &["list", "--json"]);
        assert_eq!(exit(&listed), 0, "{}", stderr(&listed));
        objects(&listed)
    }

    /// Names of the entries of a unit, in their order.
    pub(crate) fn entries(&self, label: &str) -> Vec<String> {
        let Some(unit) = self.unit(label) else { return Vec::new() };
        let entries = unit["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// Scans a label, releases it where a person must, and scans again, until the unit has passed; three actions at most.
    pub(crate) fn passes_within_three(&self, label: &str) -> Vec<String> {
        self.passes(label, label)
    }

    /// The same at a site of two.
    pub(crate) fn passes_at(&self, label: &str, site: &str) -> Vec<String> {
        self.passes(label, &format!("{label}@{site}"))
    }

    fn passes(&self, label: &str, scan: &str) -> Vec<String> {
        let mut did = Vec::new();
        while did.len() < 3 {
            let scanned = self.scan(&[scan]);
            let word = verdict(&scanned);
            did.push(format!("{word} {}", exit(&scanned)));
            match word.as_str() {
                "PASS" | "DONE_ALREADY" => return did,
                "HOLD" if did.len() < 3 => {
                    let released = self.release(label);
                    assert_eq!(exit(&released), 0, "{did:?}: {}", stderr(&released));
                    did.push("released".to_owned());
                }
                _ => {}
            }
        }
        panic!("{label} did not pass: {did:?}\n{:#}", self.unit(label).unwrap_or_default());
    }

    /// What may never be: a lock word of ours without a record of its device, a PASS that the board belies.
    pub(crate) fn truth(&self, site: &str, label: &str) {
        let board = self.boards.order(site, "status");
        let device = board["device"].as_str().unwrap();
        let word = board["approtect"].as_u64().unwrap();
        let unit = self.unit(label);
        let entries = unit.iter().flat_map(|unit| unit["entries"].as_array().unwrap());
        let told = |kind: &str| entries.clone().any(|entry| entry["kind"] == kind && entry["device"] == device);
        assert!(word & 0xFF == 0xFF || told("verified"), "{label}: locked without a record: {board}\n{unit:?}");
        assert_eq!(board["violations"].as_array().unwrap().len(), 0, "{board}");
        if unit.as_ref().is_some_and(|unit| unit["standing"] == "passed") {
            assert!(told("passed"), "{label}: passed as another device: {board}\n{unit:?}");
            assert_eq!(word, 0xFFFF_FF00 & word, "{label}: {board}");
            assert_eq!((&board["boots"], &board["open"]), (&BOOT.into(), &false.into()), "{label}: {board}");
        }
    }
}

pub(crate) fn records(data: &Path, question: &[&str]) -> Output {
    let data = data.as_os_str().to_owned();
    let mut arguments: Vec<std::ffi::OsString> = vec!["records".into()];
    arguments.extend(question.iter().map(Into::into));
    arguments.extend(["--data".into(), data]);
    run(arguments)
}

/// The word of the last verdict that a line told, or nothing.
pub(crate) fn verdict(output: &Output) -> String {
    let told = verdicts(&objects(output));
    told.last().map(|outcome| outcome["verdict"].as_str().unwrap().to_owned()).unwrap_or_default()
}

/// What every unit came to.
pub(crate) fn verdicts(events: &[Value]) -> Vec<Value> {
    events.iter().filter(|event| event["event"] == "verdict").map(|event| event["outcome"].clone()).collect()
}
