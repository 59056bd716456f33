//! Boards behind sockets, and what can be done to them while they are served.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

use probe_rs::Permissions;
use rootstamp::{
    clock::{Clock, System},
    fault::Exit,
    virtual_board::{Bench, Deed, Faults, Latch, Order, Pace, Setup, Silicon, Span},
};
use serde_json::Value;
use tempfile::TempDir;

use super::{chain, stock};

fn clock() -> Arc<dyn Clock> {
    Arc::new(System::new())
}

fn setup(folder: &TempDir, silicon: Silicon, latch: Latch) -> Setup {
    Setup {
        folder: folder.path().to_owned(),
        count: None,
        sites: 2,
        silicon,
        latch,
        seed: 1,
        tcp: Some(0),
        pace: Pace::Fast,
        round_trip_ns: 0,
    }
}

fn bench(silicon: Silicon, latch: Latch) -> (Bench, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::serve(&setup(&folder, silicon, latch), &clock()).unwrap();
    bench.order(&Order::new("left", Deed::Insert)).unwrap();
    (bench, folder)
}

#[test]
fn stock_probe_rs_programs_and_verifies_over_both_kinds_of_socket() {
    let permitted = || Permissions::new().allow_erase_all();
    for (silicon, latch) in [(Silicon::Old, Latch::Strict), (Silicon::Hardened, Latch::Lenient)] {
        let (bench, _folder) = bench(silicon, latch);
        for selector in [bench.selector("left"), bench.tcp_selector("left")] {
            let mut session = stock::attach(&selector.unwrap(), permitted()).unwrap();
            stock::flash(&mut session, &stock::image()).unwrap();
            drop(session);
            assert!(stock::holds(&bench.slot("left").unwrap(), &stock::image()), "{silicon:?}");
            bench.order(&Order::new("left", Deed::Swap)).unwrap();
        }
    }
}

#[test]
fn stock_probe_rs_is_refused_over_a_socket_under_the_strict_rule() {
    let (bench, _folder) = bench(Silicon::Hardened, Latch::Strict);
    let selector = bench.selector("left").unwrap();
    let session = stock::attach(&selector, Permissions::new().allow_erase_all());
    assert!(session.is_err() || stock::flash(&mut session.unwrap(), &stock::image()).is_err());
    assert!(!stock::holds(&bench.slot("left").unwrap(), &stock::image()));
}

#[test]
fn a_finished_board_refuses_stock_probe_rs_and_keeps_what_it_holds() {
    for silicon in [Silicon::Old, Silicon::Hardened] {
        let (bench, _folder) = bench(silicon, Latch::Lenient);
        let finished = chain::whole(silicon).holding(0x1000_1208, &[0; 4]);
        bench.place("left", finished.clone());
        assert!(stock::attach(&bench.selector("left").unwrap(), Permissions::default()).is_err());
        let slot = bench.slot("left").unwrap();
        let after = rootstamp::virtual_board::lock(&slot).remove().unwrap();
        assert_eq!((after.flash(), after.uicr()), (finished.flash(), finished.uicr()));
    }
}

#[test]
fn the_counters_are_the_same_with_and_without_a_socket() {
    let count = |selector: &str, slot: &rootstamp::virtual_board::Shared| {
        let mut session = stock::attach(selector, Permissions::default()).unwrap();
        stock::flash(&mut session, &stock::image()).unwrap();
        drop(session);
        rootstamp::virtual_board::lock(slot).counters()
    };
    let (bench, _folder) = bench(Silicon::Old, Latch::Strict);
    let served = count(&bench.selector("left").unwrap(), &bench.slot("left").unwrap());
    let (slot, mounted) = stock::in_process(Silicon::Old, Latch::Strict);
    assert_eq!(served, count(&mounted.selector(), &slot));
    assert_eq!(served.word_writes, 1024);
    assert!(served.round_trips > 100 && served.transactions > served.round_trips);
}

#[test]
fn a_client_that_dies_or_talks_nonsense_leaves_the_board_to_the_next() {
    let (bench, folder) = bench(Silicon::Old, Latch::Strict);
    let socket = folder.path().join("left.sock");
    for bytes in [&b"\xff\x01"[..], b"\x00\x00\x05\x01\x02", &[7; 5000], b"", b"\x03\x01\x02\x00"] {
        let mut client = UnixStream::connect(&socket).unwrap();
        client.write_all(bytes).unwrap();
    }
    let hangs = UnixStream::connect(&socket).unwrap();
    let session = stock::attach(&bench.selector("left").unwrap(), Permissions::default());
    assert!(session.is_ok(), "even while another client holds its connection");
    drop(hangs);
}

#[test]
fn an_empty_site_and_a_pulled_cable_are_clean_errors() {
    let (bench, _folder) = bench(Silicon::Old, Latch::Strict);
    assert!(stock::attach(&bench.selector("right").unwrap(), Permissions::default()).is_err());
    let no_ack = Some(Span::from(400));
    let faults = Some(Faults { no_ack, ..Faults::default() });
    bench.order(&Order { faults, ..Order::new("left", Deed::Fault) }).unwrap();
    let session = stock::attach(&bench.selector("left").unwrap(), Permissions::default());
    assert!(session.is_err() || stock::flash(&mut session.unwrap(), &stock::image()).is_err());
}

fn ask(stream: &mut UnixStream, line: &str) -> Value {
    writeln!(stream, "{line}").unwrap();
    let mut reply = String::new();
    BufReader::new(stream.try_clone().unwrap()).read_line(&mut reply).unwrap();
    serde_json::from_str(&reply).unwrap()
}

#[test]
fn boards_are_put_in_taken_out_and_crossed_by_lines_of_json() {
    let (_bench, folder) = bench(Silicon::Old, Latch::Strict);
    let mut control = UnixStream::connect(folder.path().join("control.sock")).unwrap();
    let mut ask = |line: &str| ask(&mut control, line);
    let device = |reply: &Value| reply["report"]["device"].as_str().map(str::to_owned);

    let first = device(&ask(r#"{"site":"left","do":"status"}"#)).unwrap();
    assert_eq!(ask(r#"{"site":"left","do":"insert"}"#)["ok"], false, "there is one");
    let second = device(&ask(r#"{"site":"right","do":"insert"}"#)).unwrap();
    assert_ne!(first, second);
    for site in ["left", "right"] {
        assert_eq!(device(&ask(&format!(r#"{{"site":"{site}","do":"remove"}}"#))), None);
    }
    assert_eq!(ask(r#"{"site":"left","do":"remove"}"#)["ok"], false, "there is none");
    let crossed = ask(&format!(r#"{{"site":"left","do":"insert","device":"{second}"}}"#));
    assert_eq!(device(&crossed), Some(second.clone()));
    let gone = ask(&format!(r#"{{"site":"right","do":"insert","device":"{second}"}}"#));
    assert_eq!(gone["ok"], false, "one board is in one place");
    let third = device(&ask(r#"{"site":"left","do":"swap"}"#)).unwrap();
    assert!(third != first && third != second);
    for deed in ["power_cycle", "pin_reset", "counters", "fault"] {
        assert_eq!(ask(&format!(r#"{{"site":"left","do":"{deed}"}}"#))["ok"], true, "{deed}");
    }
    let fault = r#"{"site":"left","do":"fault","faults":{"cut_power":{"at":5,"when":"before"},"seed":7}}"#;
    assert_eq!(ask(fault)["ok"], true);
}

#[test]
fn an_order_nobody_can_make_sense_of_gets_an_answer() {
    let (_bench, folder) = bench(Silicon::Old, Latch::Strict);
    let mut control = UnixStream::connect(folder.path().join("control.sock")).unwrap();
    let lines =
        ["", "{", "[]", r#"{"site":"top","do":"status"}"#, r#"{"site":"left","do":"explode"}"#, "\u{1}\u{ffff}"];
    for line in lines.into_iter().chain([r#"{"site":"left","do":"insert","device":"xyz"}"#]) {
        let reply = ask(&mut control, line);
        assert_eq!(reply["ok"], false, "{line}");
        assert!(reply["error"].as_str().is_some_and(|text| !text.is_empty()));
    }
    assert_eq!(ask(&mut control, r#"{"site":"left","do":"status"}"#)["ok"], true);
}

#[test]
fn a_board_that_boots_is_heard_on_its_serial_line_and_only_by_who_listens() {
    let (bench, _folder) = bench(Silicon::Old, Latch::Strict);
    bench.place("left", chain::whole(Silicon::Old));
    clock().sleep(Duration::from_millis(100));
    let mut line = serialport::new(bench.uart("left").unwrap().to_string_lossy(), 115_200)
        .timeout(Duration::from_secs(5))
        .open()
        .unwrap();
    bench.order(&Order::new("left", Deed::PowerCycle)).unwrap();
    let mut heard = [0; 16];
    line.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"GW3 boot 1.4.2\r\n");
    line.set_timeout(Duration::from_millis(60)).unwrap();
    assert!(line.read_exact(&mut heard).is_err(), "what was said before anyone listened is gone");
}

#[test]
fn a_folder_in_use_and_a_path_too_long_for_a_socket_are_said_plainly() {
    let (bench, folder) = bench(Silicon::Old, Latch::Strict);
    let setup = setup(&folder, Silicon::Old, Latch::Strict);
    let fault = Bench::serve(&setup, &clock()).err().unwrap();
    assert_eq!(fault.exit, Exit::InUse);
    drop(bench);
    drop(Bench::serve(&setup, &clock()).unwrap());
    let long = Setup { folder: folder.path().join("x".repeat(120)), ..setup };
    let fault = Bench::serve(&long, &clock()).err().unwrap();
    assert_eq!(fault.exit, Exit::Usage);
    assert!(fault.what.contains("107"), "{fault}");
}

#[test]
fn at_the_pace_of_silicon_an_erase_takes_its_time_on_the_wall() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup { pace: Pace::Silicon, ..setup(&folder, Silicon::Hardened, Latch::Lenient) };
    let wall = clock();
    let bench = Bench::serve(&setup, &wall).unwrap();
    bench.order(&Order::new("left", Deed::Insert)).unwrap();
    let start = wall.since_start().0;
    stock::attach(&bench.selector("left").unwrap(), Permissions::new().allow_erase_all()).unwrap();
    assert!(wall.since_start().0 - start >= 169, "never ahead of silicon");
}
