//! What can go wrong between a probe and a board, and inside the board, at a moment of one's choosing.

use serde::{Deserialize, Serialize};

/// Transfers counted from 1 over the life of a slot.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first transfer it happens to.
    pub from: u64,
    /// How many; for ever if absent.
    pub count: Option<u64>,
}

impl Span {
    /// From this transfer on, for ever.
    #[must_use]
    pub const fn from(from: u64) -> Self {
        Self { from, count: None }
    }

    pub(super) fn covers(self, number: u64) -> bool {
        number >= self.from && self.count.is_none_or(|count| number - self.from < count)
    }
}

/// On which side of a transfer the power goes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The board never sees the transfer.
    Before,
    /// The board acts on it; the host may hear so or not, but nothing after.
    After,
}

/// The power goes at a transfer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Which transfer.
    pub at: u64,
    /// On which side of it.
    pub when: When,
}

/// Bits of what is read come out inverted, with a parity that fits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Flip {
    /// Which transfers.
    pub span: Span,
    /// Which bits.
    pub mask: u32,
}

/// A data line reads the same whatever is on it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Stuck {
    /// Which transfers.
    pub span: Span,
    /// Which bits.
    pub mask: u32,
    /// Stuck at 1, not at 0.
    pub high: bool,
}

/// Everything that is set to go wrong; by default nothing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The power goes at a transfer.
    pub cut_power: Option<Cut>,
    /// The power goes inside this write or erase of cells, counted from 1 over the life of the board.
    pub cut_inside: Option<u64>,
    /// Nobody answers, as with the cable out.
    pub no_ack: Option<Span>,
    /// The board is never ready.
    pub wait: Option<Span>,
    /// Reads come out with bits inverted.
    pub flip: Option<Flip>,
    /// Reads come out with bits stuck.
    pub stuck: Option<Stuck>,
    /// Acknowledges and data that mean nothing.
    pub nonsense: Option<Span>,
    /// Words of flash or UICR, by address, that do not take what is written.
    pub dead_words: Vec<u32>,
    /// Pages, by address, that neither take writes nor erases.
    pub dead_pages: Vec<u32>,
    /// Decides everything random above.
    pub seed: u64,
}
