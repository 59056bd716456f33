//! Station files, good and bad.

use std::path::{Path, PathBuf};

use rootstamp::{
    fault::Exit,
    file::Read,
    ident::Mode,
    station::{self, Probe, Scanner, Socket, Station},
};

const GOOD: &str = r#"
schema = 1
station = "line-a-3"
mode = "engineering"
data = "../data/line-a-3"
bin = "BIN-RED"

[[site]]
name = "left"
probe = "1366:1051:000760208498"
usb = "1-2.3"
speed_khz = 8000
uart = "/dev/serial/by-id/console"

[[site]]
name = "right"
probe = "20b7:9db1:unix:board.sock"

[scanner]
kind = "serial"
port = "/dev/serial/by-id/scanner"
baud = 9600
"#;

fn read(text: &str) -> Result<Station, Vec<String>> {
    station::read_file(&Read::from_memory("stations/a.toml", text.into()))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn spoilt(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    let problems = read(&GOOD.replacen(from, to, 1)).unwrap_err();
    assert_eq!(problems.len(), 1, "{expected}: {problems:#?}");
    assert!(problems[0].contains(expected), "{expected}: {problems:#?}");
    assert!(problems[0].starts_with("stations/a.toml:"), "{problems:#?}");
}

#[test]
fn a_bench_is_read_as_it_stands() {
    let station = read(GOOD).unwrap();
    assert_eq!((station.name.as_str(), station.mode.value), ("line-a-3", Mode::Engineering));
    assert_eq!(station.data, Path::new("stations/../data/line-a-3"));
    assert_eq!(station.bin.as_deref(), Some("BIN-RED"));
    assert_eq!(station.scanner, Scanner::Serial { port: "/dev/serial/by-id/scanner".into(), baud: 9600 });
    let [left, right] = &station.sites[..] else { panic!("{:?}", station.sites) };
    assert_eq!(left.probe.value.selector().as_deref(), Some("1366:1051:000760208498"));
    assert_eq!((left.speed_khz, right.speed_khz), (8000, station::SPEED_KHZ));
    assert_eq!(left.uart, Some(PathBuf::from("/dev/serial/by-id/console")));
    assert_eq!(right.probe.value.selector().as_deref(), Some("20b7:9db1:unix:stations/board.sock"));
    assert_eq!(right.probe.place.line, 17);
}

#[test]
fn the_bench_of_the_demo_has_two_virtual_boards() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("stations/demo.toml");
    let station = station::read(&path).unwrap();
    assert_eq!(station.mode.value, Mode::Training);
    let names: Vec<&str> = station.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(names, ["left", "right"]);
    assert!(station.sites.iter().all(|site| site.probe.value == Probe::Virtual("nRF52840".to_owned())));
    assert!(station::allowed(&station).is_ok());
}

#[test]
fn every_way_to_name_a_probe_is_understood_or_refused() {
    let probe = |text: &str| {
        let file =
            format!("schema=1\nstation=\"s\"\nmode=\"training\"\ndata=\"d\"\n[[site]]\nname=\"a\"\nprobe=\"{text}\"\n");
        station::read_file(&Read::from_memory("a.toml", file.into()))
            .map(|station| station.sites[0].probe.value.clone())
    };
    let tcp = Probe::Served { vendor: 0x20b7, product: 0x9db1, at: Socket::Tcp("127.0.0.1:9910".to_owned()) };
    assert_eq!(probe("20b7:9db1:tcp:127.0.0.1:9910").unwrap().selector(), tcp.selector());
    assert_eq!(probe("virtual:nRF52840").unwrap(), Probe::Virtual("nRF52840".to_owned()));
    for wrong in ["virtual:", "nRF52840", "1366:1051", "1366:1051:", "136:1051:1", "xyzw:1051:1", "20b7:9db1:unix:"] {
        let problems = probe(wrong).unwrap_err();
        assert!(problems[0].what.contains("`probe` must be as"), "{wrong}: {problems:?}");
    }
}

#[test]
fn a_bench_with_a_mistake_is_told_where_it_stands() {
    spoilt("schema = 1", "schema = 3", "must be 1");
    spoilt("\"engineering\"", "\"engeneering\"", "did you mean `engineering`?");
    spoilt("name = \"right\"", "name = \"left\"", "a second [[site]] has `name` = \"left\"");
    spoilt("20b7:9db1:unix:board.sock", "1366:1051:000760208498", "a second [[site]] has `probe`");
    spoilt("speed_khz = 8000", "speed_khz = 99", "from 100 to 50000");
    spoilt("speed_khz = 8000", "speed = 8000", "did you mean `speed_khz`?");
    spoilt("baud = 9600", "", "needs `port` and `baud`");
    spoilt(
        "kind = \"serial\"\nport = \"/dev/serial/by-id/scanner\"",
        "kind = \"keyboard\"",
        "said of kind = \"serial\"",
    );
    spoilt("station = \"line-a-3\"\n", "", "a station needs `station`");
    spoilt("bin = \"BIN-RED\"", "product = \"GW3\"", "belongs into the product's file");
    spoilt("name = \"right\"\nprobe = \"20b7:9db1:unix:board.sock\"", "name = \"right\"", "needs `probe`");
}

#[test]
fn two_virtual_boards_are_two_boards() {
    let two = GOOD
        .replace("1366:1051:000760208498", "virtual:nRF52840")
        .replace("20b7:9db1:unix:board.sock", "virtual:nRF52840");
    assert_eq!(read(&two).unwrap().sites.len(), 2);
}

#[test]
fn all_mistakes_of_a_bench_come_at_once() {
    let problems = read("schema = 1\nmode = \"x\"\nstaton = \"s\"\nsite = []\n").unwrap_err();
    assert!(problems.len() >= 4, "{problems:#?}");
    assert!(read("schema = 1\nstation = \"s\"\nmode = \"training\"\ndata = \"d\"\nsite = []\n").is_err());
}

#[test]
fn production_is_understood_and_refused_until_orders_are_signed() {
    let station = read(&GOOD.replace("\"engineering\"", "\"production\"")).unwrap();
    let problem = station::allowed(&station).unwrap_err();
    assert_eq!(problem.exit, Exit::Usage);
    assert!(problem.what.contains("signed orders"), "{problem}");
    assert!(problem.to_string().starts_with("stations/a.toml:4:8"), "{problem}");
}

#[test]
fn of_a_value_that_no_bench_has_no_more_is_shown_than_tells_it_apart() {
    let secret = "d80be1c7".repeat(8);
    for word in ["\"engineering\"", "\"1366:1051:000760208498\"", "\"serial\""] {
        let problems = read(&GOOD.replace(word, &format!("\"{secret}\""))).unwrap_err();
        let told: String = problems.iter().map(ToString::to_string).collect();
        assert!(told.contains(&secret[..40]) && !told.contains(&secret[..41]), "{word}: {told}");
    }
}
