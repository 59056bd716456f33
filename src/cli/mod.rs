//! Arguments, one file per command; every command returns the exit code it stands for.

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::fault::{Exit, Fault};

mod boards;
mod check;
mod demo;
mod dispose;
mod export;
mod headless;
pub mod inspect;
mod line;
mod paper;
mod records;
mod schema;
mod station;
mod verify;
mod worker;

/// Factory provisioning station for Nordic boards.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Station(station::Arguments),
    Verify(verify::Arguments),
    Inspect(inspect::Arguments),
    Check(check::Arguments),
    Schema(schema::Arguments),
    Boards(boards::Arguments),
    Records(records::Arguments),
    Dispose(dispose::Arguments),
    Export(export::Arguments),
    #[command(hide = true)]
    Worker(worker::Arguments),
}

impl Arguments {
    /// Does what was asked. Data goes to `out`, everything else to standard error.
    ///
    /// # Errors
    /// A [`Fault`] that says what stopped and whose move it is.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit, Fault> {
        match self.command {
            Command::Demo(arguments) => arguments.run(out),
            Command::Station(arguments) => arguments.run(out),
            Command::Verify(arguments) => arguments.run(out),
            Command::Inspect(arguments) => arguments.run(out),
            Command::Check(arguments) => arguments.run(out),
            Command::Schema(arguments) => arguments.run(out),
            Command::Boards(arguments) => arguments.run(out),
            Command::Records(arguments) => arguments.run(out),
            Command::Dispose(arguments) => arguments.run(out),
            Command::Export(arguments) => arguments.run(out),
            Command::Worker(arguments) => arguments.run(out),
        }
    }
}

fn commands(character: char) -> bool {
    character.is_control() && character != '\n'
}

/// Writes one line of data; a reader that went away (`| head`) is not an error.
pub(crate) fn say(out: &mut dyn Write, line: &str) -> Result<(), Fault> {
    use crate::fault::Party;
    // Whoever made the line showed what a stranger's file holds in escapes; nothing is left to take a terminal over.
    let line = line.replace(commands, "\u{FFFD}");
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Fault::new(
            Party::Technician,
            "the output could not be written",
            "Check the disk or pipe that standard output goes to, then run the command again.",
        )
        .code("C-170")
        .because(&error)),
    }
}
