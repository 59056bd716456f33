//! `rootstamp worker`

use std::io::Write;

use crate::fault::{Exit, Fault, Party};

/// The far end of the link, one process per site; started by the station.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

impl Arguments {
    pub(super) fn run(self, _out: &mut dyn Write) -> Result<Exit, Fault> {
        Err(Fault::new(Party::Maintainers, "not built yet", "Wait for it."))
    }
}
