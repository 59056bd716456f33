//! `rootstamp check`: every problem at once, nothing touched.

use std::{io::Write, path::PathBuf};

use serde::Serialize;

use crate::{
    cli::say,
    fault::{self, Exit, Fault, Party, Problem, seen},
    ident::Mode,
    plan::{self, Lot},
    recipe::{self, Product},
    station::{self, Station},
};

mod planned;

use planned::Planned;

/// Every problem of a recipe and a station at once; nothing is opened, touched or changed.
///
/// Tests what the files say, never what a device is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    rootstamp check --recipe templates/products/gw3.toml\n  \
    rootstamp check --station stations/demo.toml --recipe templates/products/gw3.toml --json\n\n\
    Exit codes: 0 whole, 2 problems, 40 a key was refused.")]
pub(super) struct Arguments {
    /// The bench.
    #[arg(long, value_name = "FILE")]
    station: Option<PathBuf>,
    /// The product.
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Work orders; they come with a later release.
    #[arg(long, value_name = "FILE")]
    order: Vec<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    whole: bool,
    problems: Vec<Problem>,
    remarks: Vec<String>,
    recipe: Option<String>,
    golden: Option<String>,
    planned: Option<Planned>,
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        if self.station.is_none() && self.recipe.is_none() && self.order.is_empty() {
            let next = "Name at least one file: --station FILE, --recipe FILE.";
            return Err(Fault::new(Party::Engineering, "there is nothing to check", next)
                .exit(Exit::Usage)
                .code("C-101"));
        }
        let checked = both(self.station.as_deref(), self.recipe.as_deref(), &self.order);
        if self.json {
            report(&checked, out)?;
        }
        match checked {
            Ok(lot) if !self.json => words(lot.1.as_ref(), out),
            Ok(_) => Ok(Exit::Pass),
            Err(wrong) => {
                let mut notes = wrong.remarks.iter().filter(|_| !self.json);
                notes.try_for_each(|remark| say(out, &format!("note: {}", seen(remark))))?;
                Err(fault::all_at_once(&wrong.problems))
            }
        }
    }
}

type Checked = (Option<Station>, Option<Lot>);

/// Why nothing may be built, with what is to be known of the recipe nevertheless.
pub(super) struct Wrong {
    pub(super) problems: Vec<Problem>,
    remarks: Vec<String>,
}

/// Reads a station and a recipe together, so that one run tells everything that is wrong with both.
pub(super) fn both(
    station: Option<&std::path::Path>,
    recipe: Option<&std::path::Path>,
    orders: &[PathBuf],
) -> Result<Checked, Wrong> {
    let mut problems: Vec<Problem> = orders.iter().map(|order| no_orders(order)).collect();
    let bench = station.map(station::read).transpose().map_err(|more| problems.extend(more)).unwrap_or_default();
    if let Some(bench) = &bench {
        problems.extend(station::allowed(bench).err());
    }
    let mode = bench.as_ref().map(|bench| bench.mode.value);
    let mut remarks = Vec::new();
    let planned = |product: Product| {
        remarks.clone_from(&product.remarks);
        plan::lot(product)
    };
    let lot = recipe.map(|path| product(path, mode).and_then(planned)).transpose();
    let lot = lot.map_err(|more| problems.extend(more)).unwrap_or_default();
    if let (Some(bench), Some(lot)) = (&bench, &lot) {
        problems.extend(fit(bench, lot));
    }
    if problems.is_empty() { Ok((bench, lot)) } else { Err(Wrong { problems, remarks }) }
}

/// Whether this release knows the chip does not wait until everything else is mended.
fn product(path: &std::path::Path, mode: Option<Mode>) -> Result<Product, Vec<Problem>> {
    let unknown = || recipe::chip(path).and_then(|chip| plan::family(&chip).err());
    recipe::read(path, mode).map_err(|problems| unknown().into_iter().chain(problems).collect())
}

fn no_orders(order: &std::path::Path) -> Problem {
    let what = "work orders come with a later release; leave --order out, and use mode training or engineering";
    Problem::new(order.display().to_string(), what)
}

/// What the recipe asks of the bench.
fn fit(bench: &Station, lot: &Lot) -> Vec<Problem> {
    let mut problems = Vec::new();
    if bench.journal.is_some() {
        let what = "this release keeps no second journal; remove `journal`, so that nobody relies on it";
        problems.push(Problem::new(bench.mode.place.file.to_string(), what));
    }
    for site in &bench.sites {
        let made_here = matches!(site.probe.value, station::Probe::Virtual(_));
        if lot.golden.boot.is_some() && site.uart.is_none() && !made_here {
            let what = format!(
                "site {}: {} asks for a boot seen on the console, and this site has none; add uart = \"…\"",
                site.name, lot.product.code
            );
            problems.push(site.probe.problem(what));
        }
        if let station::Probe::Virtual(chip) = &site.probe.value
            && chip != lot.family.name()
        {
            let what =
                format!("site {}: the recipe builds on {}, this board is a {chip}", site.name, lot.family.name());
            problems.push(site.probe.problem(what));
        }
        if made_here && bench.mode.value != Mode::Training {
            let what = format!("site {}: a virtual board may only be used in mode training", site.name);
            problems.push(site.probe.problem(what));
        }
    }
    problems
}

fn report(checked: &Result<Checked, Wrong>, out: &mut dyn Write) -> Result<(), Fault> {
    let lot = checked.as_ref().ok().and_then(|(_, lot)| lot.as_ref());
    let report = Report {
        schema_version: 1,
        whole: checked.is_ok(),
        problems: checked.as_ref().err().map(|wrong| wrong.problems.clone()).unwrap_or_default(),
        remarks: match checked {
            Ok((_, lot)) => lot.as_ref().map(|lot| lot.product.remarks.clone()).unwrap_or_default(),
            Err(wrong) => wrong.remarks.clone(),
        },
        recipe: lot.map(|lot| lot.product.digest.to_string()),
        golden: lot.map(|lot| lot.golden.digest.to_string()),
        planned: lot.map(Planned::of),
    };
    say(out, &serde_json::to_string(&report).unwrap_or_default())
}

fn words(lot: Option<&Lot>, out: &mut dyn Write) -> Result<Exit, Fault> {
    if let Some(lot) = lot {
        say(out, Planned::of(lot).to_string().trim_end())?;
        for remark in &lot.product.remarks {
            say(out, &format!("note: {}", seen(remark)))?;
        }
    }
    say(out, "whole: no problem was found")?;
    Ok(Exit::Pass)
}
