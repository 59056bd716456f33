//! The real binary, as people and scripts run it: boards in one process, the line in another, records on the disk.
//!
//! No test measures time; every wait has a guard that only a hang can reach. Random moments come from seeds that are
//! printed, and `ROOTSTAMP_SEED` sets them.

#![expect(clippy::disallowed_methods, reason = "files are written and damaged here, not read for what they say")]

mod bench;
mod boards;
mod chance;
mod cuts;
mod killed;
mod line;
mod pipes;
mod refused;
mod screen;
mod shift;
mod terminal;
mod two_sites;
mod workers;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use rootstamp::{
    clock::{Clock as _, System},
    ident::Mode,
    recipe,
};
use serde_json::Value;

/// Longer than anything here takes on a machine that is busy with everything else; reached by a hang only.
pub(crate) const GUARD: Duration = Duration::from_secs(120);

pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The program, with nothing of this machine's settings about colours and records.
pub(crate) fn rootstamp() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rootstamp"));
    for name in ["NO_COLOR", "ROOTSTAMP_DATA", "COLUMNS", "LINES"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    rootstamp().args(arguments).output().unwrap()
}

pub(crate) fn exit(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard output as a JSON object per line, each with its version.
pub(crate) fn objects(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(object).collect()
}

pub(crate) fn object(line: &str) -> Value {
    let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(object["schema_version"].is_u64(), "no version: {line}");
    object
}

/// The label of this unit of the demo's product.
pub(crate) fn label(number: u64) -> String {
    let product = recipe::read(&project("templates/products/gw3.toml"), Some(Mode::Training)).unwrap();
    product.serial.nth(number).unwrap().to_string()
}

pub(crate) fn pause(milliseconds: u64) {
    System::new().sleep(Duration::from_millis(milliseconds));
}

/// Side by side, for most of a run is waiting; the first that fails fails them all.
pub(crate) fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    std::thread::scope(|scope| cases.into_iter().for_each(|case| drop(scope.spawn(|| test(case)))));
}

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let clock = System::new();
    while u128::from(clock.since_start().0) < GUARD.as_millis() {
        if let Some(answer) = ask() {
            return answer;
        }
        clock.sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

/// A child that does not outlive its test.
pub(crate) struct Kept(pub(crate) Child);

impl Kept {
    pub(crate) fn exit(&mut self) -> i32 {
        let status = until("the program ends", || self.0.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal to one process.
pub(crate) fn signal(name: &str, process: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap();
    assert!(status.success(), "kill -{name} {process}");
}
