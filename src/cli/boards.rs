//! `rootstamp boards`

use std::io::Write;

use crate::fault::{Exit, Fault, Party};

/// Serve virtual boards to any probe tool. (Tests nothing: this is the stand-in for silicon.)
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

impl Arguments {
    pub(super) fn run(self, _out: &mut dyn Write) -> Result<Exit, Fault> {
        Err(Fault::new(Party::Maintainers, "not built yet", "Wait for it."))
    }
}
