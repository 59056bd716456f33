//! Virtual boards in a process of their own, moved and troubled through their control socket.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Stdio,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{GUARD, Kept, rootstamp, signal};

pub(crate) struct Boards {
    child: Kept,
    folder: TempDir,
    more: Vec<String>,
    pub(crate) sites: Vec<String>,
}

impl Boards {
    /// Serves so many sites, each with a fresh board.
    pub(crate) fn serve(sites: u8, more: &[&str]) -> Self {
        let folder = TempDir::with_prefix("rs-").unwrap();
        let more: Vec<String> = more.iter().map(|&more| more.to_owned()).collect();
        let (child, sites) = Self::start(&folder, sites, &more);
        Self { child, folder, more, sites }
    }

    /// Every probe goes away.
    pub(crate) fn stop(&mut self) {
        signal("TERM", self.child.0.id());
        self.child.exit();
    }

    /// The probes are back, with a fresh board each.
    pub(crate) fn start_again(&mut self) {
        let sites = u8::try_from(self.sites.len()).unwrap();
        (self.child, self.sites) = Self::start(&self.folder, sites, &self.more);
    }

    fn start(folder: &TempDir, sites: u8, more: &[String]) -> (Kept, Vec<String>) {
        let mut child = rootstamp()
            .args(["boards", "--json", "--insert", "--sites", &sites.to_string(), "--dir"])
            .arg(folder.path())
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let child = Kept(child);
        let names = (0..sites).map(|_| {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            line["site"].as_str().unwrap().to_owned()
        });
        let sites = names.collect();
        (child, sites)
    }

    pub(crate) fn socket(&self, site: &str) -> PathBuf {
        self.folder.path().join(format!("{site}.sock"))
    }

    pub(crate) fn uart(&self, site: &str) -> PathBuf {
        self.folder.path().join(format!("{site}.uart"))
    }

    /// Does something at a site; the board's own truth after it.
    pub(crate) fn order(&self, site: &str, deed: &str) -> Value {
        self.send(&json!({ "site": site, "do": deed }))
    }

    /// Puts this board from the shelf in.
    pub(crate) fn insert(&self, site: &str, device: &str) -> Value {
        self.send(&json!({ "site": site, "do": "insert", "device": device }))
    }

    /// What goes wrong from now on; `{}` ends it.
    pub(crate) fn fault(&self, site: &str, faults: &Value) -> Value {
        self.send(&json!({ "site": site, "do": "fault", "faults": faults }))
    }

    /// Which board is in.
    pub(crate) fn device(&self, site: &str) -> String {
        self.order(site, "status")["device"].as_str().unwrap().to_owned()
    }

    /// Transfers on the wire so far.
    pub(crate) fn transactions(&self, site: &str) -> u64 {
        self.order(site, "counters")["counters"]["transactions"].as_u64().unwrap()
    }

    fn send(&self, order: &Value) -> Value {
        let mut socket = UnixStream::connect(self.folder.path().join("control.sock")).unwrap();
        socket.set_read_timeout(Some(GUARD)).unwrap();
        writeln!(socket, "{order}").unwrap();
        let mut reply = String::new();
        BufReader::new(socket).read_line(&mut reply).unwrap();
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["ok"], true, "{order}: {reply}");
        reply["report"].clone()
    }
}
