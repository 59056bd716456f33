//! `rootstamp schema`: what an editor needs to know about our files.

use std::io::Write;

use clap::ValueEnum;

use crate::{
    cli::say,
    fault::{Exit, Fault, Party},
    manifest, recipe, station,
};

/// JSON Schema of a product or station file, or of the statement of a release, for editors.
///
/// Tests nothing: it is what an editor tests a file by. The same as in `templates/schemas/`. Name it in the first line of a file: `#:schema ../schemas/product.schema.json`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  rootstamp schema product > templates/schemas/product.schema.json")]
pub(super) struct Arguments {
    /// Which file.
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// A product: what the finished unit must be.
    Product,
    /// A station: what stands on the bench.
    Station,
    /// A release: the statement that a manifest holds signed.
    Release,
    /// A signed order; comes with a later release.
    Order,
}

impl Arguments {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        let schema = match self.of {
            Of::Product => recipe::schema(),
            Of::Station => station::schema(),
            Of::Release => manifest::schema(),
            Of::Order => return Err(no_orders()),
        };
        say(out, &format!("{schema:#}"))?;
        Ok(Exit::Pass)
    }
}

fn no_orders() -> Fault {
    Fault::new(
        Party::Maintainers,
        "this release knows no orders yet",
        "Use `schema product`, `schema station` or `schema release`; orders come with the release in which the security team signs them.",
    )
    .exit(Exit::Usage)
    .code("C-105")
}
