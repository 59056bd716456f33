//! `rootstamp worker`: the far end of the link, started by the station and by nobody else.

use std::{io::Write, sync::Arc};

use crate::{
    clock,
    fault::{Exit, Fault, Party},
    fixture::worker,
};

/// The far end of the link, one process per site. Started by the station; reads batches, writes answers.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

impl Arguments {
    #[expect(clippy::unused_self, reason = "every command runs on its arguments")]
    pub(super) fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        let clock: Arc<dyn clock::Clock> = Arc::new(clock::System::new());
        worker::serve(std::io::stdin(), out, &clock).map_or_else(
            |error| {
                let next = "Nothing to do: the station starts another worker and says what became of the unit.";
                Err(Fault::new(Party::Technician, "the station stopped talking to its worker", next)
                    .code("R-190")
                    .because(&error))
            },
            |()| Ok(Exit::Pass),
        )
    }
}
