//! What the ledger refuses, in words for the person whose move it is.

use crate::{
    fault::{Exit, Fault, Party},
    ident::Serial,
};

pub(super) fn ours(what: &str) -> Fault {
    Fault::new(
        Party::Maintainers,
        format!("the ledger was handed {what}"),
        "Set the unit aside and report this with the code: it is a mistake in rootstamp.",
    )
    .code("X-110")
}

pub(super) fn no_ledger(dir: &str) -> Fault {
    usage(
        "L-102",
        Party::Operator,
        format!("there are no records in {dir}"),
        "Name the directory that the station keeps its records in, with --data or ROOTSTAMP_DATA.",
    )
}

pub(super) fn other_lot(field: &str, stored: &str, asked: &str) -> Fault {
    usage(
        "L-103",
        Party::Technician,
        format!("these records were begun with {field} {stored}, not {asked}"),
        "Give this station its own directory with --data; one ledger never mixes modes or stations.",
    )
}

pub(super) fn newer(stored: i64, known: i64) -> Fault {
    usage(
        "L-104",
        Party::Technician,
        format!("the records are of version {stored}, this rootstamp knows {known} and older"),
        "Install the rootstamp that wrote them, or a newer one. Nothing was changed.",
    )
}

pub(super) fn foreign(path: &str) -> Fault {
    usage(
        "L-105",
        Party::Technician,
        format!("{path} is a database, but not one of rootstamp"),
        "Give the station a directory of its own with --data. Nothing was changed.",
    )
}

pub(super) fn bad_station(name: &str) -> Fault {
    usage(
        "L-106",
        Party::Technician,
        format!("{name:?} cannot be the name of a station"),
        "Use 1 to 64 printable characters.",
    )
}

pub(super) fn bad_reason(what: &str) -> Fault {
    usage(
        "L-107",
        Party::Supervisor,
        what.to_owned(),
        "Say in one line of at most 500 printable characters why, and who decided.",
    )
}

pub(super) fn senseless(serial: &Serial, wish: &str, standing: &str) -> Fault {
    usage(
        "L-108",
        Party::Supervisor,
        format!("{serial} cannot be {wish}: {standing}"),
        "Look at the unit with `rootstamp records show`, then decide again. Nothing was recorded.",
    )
}

pub(super) fn settings(name: &str, wanted: &str, found: &str) -> Fault {
    Fault::new(
        Party::Technician,
        format!("the record store would not take the setting {name}={wanted}; it says {found}"),
        "Put the data directory on a local disk of this computer, then start again. Nothing was recorded.",
    )
    .exit(Exit::NotRecorded)
    .code("L-109")
}

pub(super) fn duplicate(what: String, next: &str) -> Fault {
    Fault::new(Party::Supervisor, what, next).exit(Exit::Duplicate).code("L-111")
}

pub(super) fn at_work(serial: &Serial, site: &str) -> Fault {
    Fault::new(
        Party::Operator,
        format!("{serial} is being worked on at {site}"),
        "Wait for the verdict there. This board was not touched: scan the label that is on it.",
    )
    .exit(Exit::Duplicate)
    .code("L-112")
}

pub(super) fn held(serial: &Serial, why: &str) -> Fault {
    Fault::new(
        Party::Supervisor,
        format!("{serial} is on hold: {why}"),
        "Decide with `rootstamp dispose release`, `void` or `scrap`, then scan again.",
    )
    .exit(Exit::Quarantined)
    .code("L-113")
}

pub(super) fn not_recorded() -> Fault {
    Fault::new(
        Party::Technician,
        "the record was not written",
        "Put the unit aside: it must not ship. Make room on the disk and check it, then start again and scan the unit.",
    )
    .exit(Exit::NotRecorded)
    .code("L-130")
}

pub(super) fn tampered(what: impl Into<String>) -> Fault {
    Fault::new(
        Party::Security,
        what,
        "Stop the line and keep the data directory as it is. Compare it with the last export before anything ships.",
    )
    .exit(Exit::Tampered)
    .code("L-131")
}

pub(super) fn in_use(what: impl Into<String>, next: &str) -> Fault {
    Fault::new(Party::Operator, what, next).exit(Exit::InUse).code("L-132")
}

pub(super) fn unreadable(error: &rusqlite::Error) -> Fault {
    let broken = matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    );
    if broken {
        return tampered("the records cannot be read: the file is damaged").because(error);
    }
    Fault::new(
        Party::Technician,
        "the records could not be read",
        "Check the disk and the rights of the data directory, then run the command again.",
    )
    .exit(Exit::NotRecorded)
    .code("L-133")
    .because(error)
}

fn usage(code: &str, party: Party, what: String, next: &str) -> Fault {
    Fault::new(party, what, next).exit(Exit::Usage).code(code)
}
