//! Wires arguments to the library, and turns what comes back into an exit code.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use rootstamp::{cli::Arguments, fault::Exit};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let exit = match arguments.run(&mut std::io::stdout().lock()) {
        Ok(exit) => exit,
        Err(fault) => {
            // Nothing is left to tell if even standard error is gone; the exit code still says it.
            let _ = writeln!(std::io::stderr(), "rootstamp: {fault}");
            fault.exit
        }
    };
    ExitCode::from(if exit == Exit::Pass { 0 } else { exit.code() })
}
