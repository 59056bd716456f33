//! What can be done to a bench while it runs: one order, one report, as lines of JSON or as values.

use serde::{Deserialize, Serialize};

use super::{board::Counters, faults::Faults};
use crate::ident::DeviceId;

/// Something to be done at one site.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Which site.
    pub site: String,
    /// What to do there.
    #[serde(rename = "do")]
    pub deed: Deed,
    /// For insert and swap: this board from the shelf, and not a fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// For fault: what goes wrong from now on; nothing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<Faults>,
}

/// What can be done at a site.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Put a board in; refused if there is one.
    Insert,
    /// Take the board out and put it on the shelf.
    Remove,
    /// Take the board out, if there is one, and put another in.
    Swap,
    /// Take the supply away and give it back.
    PowerCycle,
    /// Pull nRESET low and let go.
    PinReset,
    /// Set what goes wrong.
    Fault,
    /// Only look.
    Status,
    /// Only look; the sums are in every report.
    Counters,
}

impl Order {
    /// This deed at this site, with nothing special.
    #[must_use]
    pub fn new(site: &str, deed: Deed) -> Self {
        Self { site: site.to_owned(), deed, device: None, faults: None }
    }

    /// With this board from the shelf.
    #[must_use]
    pub fn device(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }
}

/// How a site stands after an order: the board's own truth, which no probe could tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Which site.
    pub site: String,
    /// The board in it; absent if there is none.
    pub device: Option<DeviceId>,
    /// The board has power.
    pub powered: bool,
    /// The debug port gives access to memory.
    pub open: bool,
    /// UICR.APPROTECT as it stands in the cells.
    pub approtect: Option<u32>,
    /// What the board would print if it were reset now; absent if it would not boot.
    pub boots: Option<String>,
    /// Misuses of the cells so far, in words.
    pub violations: Vec<String>,
    /// Sums over all boards that were at this site.
    pub counters: Counters,
}
