//! `rootstamp boards`: serves virtual boards to any probe tool until a signal comes.

use std::{
    io::Write,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::{
    cli::line::{LatchName, SiliconName},
    clock::{Clock, System},
    fault::{Exit, Fault, Party},
    virtual_board::{Bench, Deed, Order, Pace, Setup},
};

/// How soon a signal is noticed.
const PATIENCE: Duration = Duration::from_millis(50);

/// Serve virtual boards to any probe tool. (Tests nothing: this is the stand-in for silicon.)
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which chip.
    #[arg(long, value_enum, default_value = "nRF52840")]
    chip: ChipName,
    /// How many sites: two are left and right, others site-1 and so on.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    sites: u8,
    /// Where sockets and serial lines appear; made if absent.
    #[arg(long)]
    dir: PathBuf,
    /// What an erased board does with its debug port: open (old) or close it (hardened).
    #[arg(long, value_enum, default_value = "hardened")]
    silicon: SiliconName,
    /// Which resets look at the protection word again: all, or only pin, power, brown-out and watchdog.
    #[arg(long, value_enum, default_value = "strict")]
    latch: LatchName,
    /// Decides the device ids of fresh boards.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Serve over TCP too, on the loopback from this port on.
    #[arg(long)]
    tcp: Option<u16>,
    /// As fast as possible, or no faster than silicon.
    #[arg(long, value_enum, default_value = "fast")]
    pace: PaceName,
    /// Start with a fresh board at every site.
    #[arg(long)]
    insert: bool,
    /// One line of JSON per site.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ChipName {
    #[value(name = "nRF52840")]
    Nrf52840,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PaceName {
    Fast,
    Silicon,
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        let ended = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&ended)).map_err(|error| no_signals(&error))?;
        }
        let clock: Arc<dyn Clock> = Arc::new(System::new());
        let bench = Bench::serve(&self.setup(), &clock)?;
        for site in bench.sites() {
            let deed = if self.insert { Deed::Insert } else { Deed::Status };
            let report = bench.order(&Order::new(&site, deed)).map_err(|error| no_board(&error))?;
            super::say(out, &self.line(&bench, &site, report.device.map(|device| device.to_string())))?;
        }
        while !ended.load(Ordering::Relaxed) {
            clock.sleep(PATIENCE);
        }
        Ok(Exit::Pass)
    }

    fn setup(&self) -> Setup {
        let ChipName::Nrf52840 = self.chip;
        Setup {
            folder: self.dir.clone(),
            count: None,
            sites: self.sites.into(),
            silicon: self.silicon.into(),
            latch: self.latch.into(),
            seed: self.seed,
            tcp: self.tcp,
            pace: match self.pace {
                PaceName::Fast => Pace::Fast,
                PaceName::Silicon => Pace::Silicon,
            },
            round_trip_ns: 0,
        }
    }

    fn line(&self, bench: &Bench, site: &str, device: Option<String>) -> String {
        let probe = bench.selector(site).unwrap_or_default();
        let tcp = bench.tcp_selector(site);
        let uart = bench.uart(site).unwrap_or_default();
        if self.json {
            let uart = uart.display().to_string();
            return serde_json::json!({ "site": site, "probe": probe, "tcp": tcp, "uart": uart, "device": device })
                .to_string();
        }
        let tcp = tcp.map(|tcp| format!("  {tcp}")).unwrap_or_default();
        let board = device.map_or("no board".to_owned(), |device| format!("board {device}"));
        format!("{site}: {probe}{tcp}  uart {}  {board}", uart.display())
    }
}

fn no_signals(error: &std::io::Error) -> Fault {
    Fault::new(Party::Technician, "the boards could not be told when to stop", "Run the command from a shell.")
        .code("X-010")
        .because(error)
}

fn no_board(error: &str) -> Fault {
    Fault::new(Party::Maintainers, "a fresh board could not be put in", "Report this.").code("X-005").detail(error)
}
