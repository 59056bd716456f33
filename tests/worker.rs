//! The worker process and its watchdog: a driver that hangs, dies or talks nonsense is one site's trouble.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use rootstamp::{
    fixture::worker::{Assignment, WorkerWire},
    link::{Batch, Op, Why, Wire as _},
};
use tempfile::TempDir;

/// A worker that is this shell script.
fn worker(script: &str) -> (WorkerWire, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let program: PathBuf = folder.path().join("worker");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let assignment = Assignment { probe: "nothing".to_owned(), speed_khz: 1000 };
    (WorkerWire::new(program, assignment, Duration::ZERO), folder)
}

fn rest() -> Batch {
    Batch { ops: vec![Op::Rest { ms: 0 }] }
}

#[test]
fn a_worker_that_hangs_is_lost_and_ended() {
    let (mut wire, _folder) = worker("exec sleep 600");
    let broke = wire.carry(&rest()).broke.unwrap();
    assert_eq!(broke.why, Why::Lost);
    assert!(broke.detail.contains("no answer within"), "{broke}");
    assert_eq!(wire.process(), None, "the hung process was left running");
}

#[test]
fn a_worker_that_dies_is_lost_and_another_one_is_started_for_the_next_batch() {
    let (mut wire, folder) = worker("exit 7");
    assert_eq!(wire.carry(&rest()).broke.unwrap().why, Why::Lost);
    let second = "#!/bin/sh\nread assignment\nread batch\necho '{\"replies\":[[]],\"broke\":null}'\ncat\n";
    std::fs::write(folder.path().join("worker"), second).unwrap();
    assert_eq!(wire.carry(&rest()).broke, None);
}

#[test]
fn a_worker_that_talks_nonsense_is_not_believed() {
    for said in ["hello", "{\"replies\":7}", "{\"replies\":[[1]],\"broke\":null", ""] {
        let (mut wire, _folder) = worker(&format!("read assignment\nread batch\nprintf '%s\\n' '{said}'\nsleep 1"));
        assert_eq!(wire.carry(&rest()).broke.unwrap().why, Why::Lost, "{said:?}");
    }
}

#[test]
fn a_program_that_cannot_be_started_is_a_lost_worker_and_no_panic() {
    let (mut wire, folder) = worker("true");
    std::fs::remove_file(folder.path().join("worker")).unwrap();
    assert_eq!(wire.carry(&rest()).broke.unwrap().why, Why::Lost);
}
