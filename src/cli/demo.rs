//! `rootstamp demo`: virtual boards and a whole shift.

use std::{
    io::{IsTerminal as _, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    cli::{
        headless::{self, Label},
        line::{self, LatchName, Line, Make, SiliconName, VirtualHands},
        say, station,
    },
    fault::{self, Exit, Fault, Party},
    file::Read,
    ident::Mode,
    ledger::{Ledger, Records, Standing},
    plan::{self, Lot},
    recipe::{self, STAND_INS},
    session,
    station::Station,
    ui::{keys::KeyName, screen},
    virtual_board::Pace,
};

/// The bench of the demo travels inside the program, like its products.
const BENCH: &str = include_str!("../../stations/demo.toml");

/// Virtual boards and a whole shift, to see the line without hardware.
///
/// Tests this program against stand-ins for silicon: nothing it shows says anything about a real board.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    rootstamp demo\n  \
    rootstamp demo --headless --units 3\n  \
    rootstamp demo --headless --units 3 --silicon old --latch lenient --json --data ./demo-data")]
pub(super) struct Arguments {
    /// How many units a headless shift has.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    units: u16,
    /// Which chip.
    #[arg(long, default_value = "nRF52840")]
    chip: String,
    /// What a virgin board does with its debug port; decides the product, too.
    #[arg(long, value_enum, default_value = "hardened")]
    silicon: SiliconName,
    /// Which resets heed the lock: all, or only pin, power, brown-out and watchdog. Sources disagree about silicon.
    #[arg(long, value_enum, default_value = "strict")]
    latch: LatchName,
    /// Folder of the records; a second shift continues its labels and device ids.
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    data: PathBuf,
    /// No screen: events as lines. By itself where there is no terminal.
    #[arg(long)]
    headless: bool,
    /// Events as JSON, one a line; no screen.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        self.known_chip()?;
        let bench = self.bench()?;
        let lot = self.lot()?;
        let headless = self.headless || self.json || !std::io::stdout().is_terminal();
        let line = line::lay(&bench, lot, self.make(headless))?;
        let labels = free_labels(line.setup.ledger.records(), &line.setup.lot, usize::from(self.units))?;
        if headless { self.shift(line, labels, out) } else { on_screen(&bench, line, labels) }
    }

    fn known_chip(&self) -> Result<(), Fault> {
        if crate::chip::family(&self.chip).is_some() {
            return Ok(());
        }
        let known: Vec<_> = crate::chip::FAMILIES.iter().map(|family| family.name()).collect();
        let what = format!("there is no demo for {}", self.chip);
        Err(Fault::new(Party::Operator, what, format!("Choose one of: {}.", known.join(", ")))
            .exit(Exit::Usage)
            .code("C-106"))
    }

    fn bench(&self) -> Result<Station, Fault> {
        let file = Read::from_memory("stations/demo.toml", BENCH.as_bytes().to_vec());
        let bench = crate::station::read_file(&file).map_err(|problems| fault::all_at_once(&problems))?;
        Ok(Station { data: self.data.clone(), ..bench })
    }

    fn lot(&self) -> Result<Lot, Fault> {
        let product = match self.silicon {
            SiliconName::Old => "templates/products/gw3-old.toml",
            SiliconName::Hardened => "templates/products/gw3.toml",
        };
        recipe::read_from(&STAND_INS, Path::new(product), Some(Mode::Training))
            .and_then(plan::lot)
            .map_err(|problems| fault::all_at_once(&problems))
    }

    fn make(&self, headless: bool) -> Make {
        Make {
            silicon: self.silicon.into(),
            latch: self.latch.into(),
            pace: if headless { Pace::Fast } else { Pace::Silicon },
        }
    }

    fn shift(&self, line: Line, labels: Vec<String>, out: &mut dyn Write) -> Result<Exit, Fault> {
        let Line { setup, boards, .. } = line;
        let Some(mut hands) = boards else { return Err(no_boards()) };
        if !self.json {
            say(out, "stand-ins: virtual boards, stand-in firmware, a throw-away key; nothing here is production")?;
        }
        let session = session::open(setup)?;
        let labels = headless::list(labels.into_iter().map(|text| Label { text, site: None }));
        let exit = headless::run(session, &labels, &mut hands, out, self.json)?;
        if !self.json {
            let data = self.data.display();
            say(out, &format!("records: rootstamp records list --data {data}"))?;
        }
        Ok(exit)
    }
}

fn no_boards() -> Fault {
    let next = "Report this: the demo's bench names no virtual board.";
    Fault::new(Party::Maintainers, "the demo has no boards", next).code("X-006")
}

/// The next labels of this product that no unit has yet.
fn free_labels(records: &Records, lot: &Lot, count: usize) -> Result<Vec<String>, Fault> {
    let mut labels = Vec::new();
    for serial in (1..).map_while(|number| lot.product.serial.nth(number)) {
        if labels.len() == count {
            break;
        }
        if matches!(records.unit(&serial)?, Standing::Free) {
            labels.push(serial.to_string());
        }
    }
    Ok(labels)
}

fn on_screen(bench: &Station, mut line: Line, labels: Vec<String>) -> Result<Exit, Fault> {
    let Some(boards) = line.boards.take() else { return Err(no_boards()) };
    let (lot, data) = (Arc::clone(&line.setup.lot), bench.data.clone());
    let mut hands = DemoHands { boards, labels, lot, data, told: String::new() };
    station::on_screen(bench, line, Some(&mut hands))
}

/// What the newcomer's hands can do: put boards in and take them out with two keys.
struct DemoHands {
    boards: VirtualHands,
    labels: Vec<String>,
    lot: Arc<Lot>,
    data: PathBuf,
    told: String,
}

impl DemoHands {
    /// Labels that are used by now are told no more. The records are at work, so this only looks.
    fn look_up_labels(&mut self) {
        let records = Ledger::read_only(&self.data);
        let free = records.and_then(|records| free_labels(&records, &self.lot, self.labels.len()));
        self.labels = free.unwrap_or_else(|_| std::mem::take(&mut self.labels));
    }
}

impl screen::Hands for DemoHands {
    fn hint(&self) -> Vec<String> {
        if !self.told.is_empty() {
            return vec![self.told.clone()];
        }
        let labels = self.labels.join("  ");
        vec![
            "Demo: F5 puts a virtual board into the left site or takes it out, F6 right.".to_owned(),
            format!("Then type a label and Enter: {labels}"),
        ]
    }

    fn keys(&self) -> &[(KeyName, &str)] {
        &[(KeyName::F(5), "board left"), (KeyName::F(6), "board right")]
    }

    fn press(&mut self, key: KeyName) {
        let index = usize::from(key == KeyName::F(6));
        self.told = self.boards.swap(index).err().map(|fault| fault.what).unwrap_or_default();
        self.look_up_labels();
    }
}
