//! Peek, poke and burn: places on a device, bounded batches of operations, and what can break under them.
//!
//! A [`Wire`] carries batches to wherever the probe is: a worker process on the line, the same process in exhaustive
//! tests. It knows no chip and no proof. The three capabilities are views of a wire: [`Peek`] reads, [`Poke`] changes
//! what can be changed back, [`Burn`] changes what cannot. A `Poke` refuses the places a chip family has listed as
//! irreversible, so that a mistake above cannot burn by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a word is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A word in the memory behind a memory access port; `at` is a multiple of 4.
    Memory {
        /// Number of the access port.
        ap: u8,
        /// Byte address.
        at: u32,
    },
    /// A register of an access port itself.
    Ap {
        /// Number of the access port.
        ap: u8,
        /// Register offset, a multiple of 4.
        register: u8,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { ap, at } => write!(f, "AP{ap}:{at:#010x}"),
            Self::Ap { ap, register } => write!(f, "AP{ap}.{register:#04x}"),
        }
    }
}

/// One thing a wire does.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Drops any connection and makes a new one from a line reset; replies with DPIDR.
    Connect,
    /// Lets go of the debug port.
    Disconnect,
    /// Reads consecutive words (the same register again, at an access port).
    Read {
        /// The first word.
        from: Place,
        /// How many words.
        words: u32,
    },
    /// Writes consecutive words (the same register again, at an access port).
    Write {
        /// The first word.
        to: Place,
        /// What to write.
        words: Vec<u32>,
    },
    /// Reads one word until it is as wanted; replies with the last word read.
    Poll {
        /// The word.
        at: Place,
        /// The bits that count.
        mask: u32,
        /// What they must be.
        value: u32,
        /// Deadline in milliseconds.
        within_ms: u32,
    },
    /// Pulls the reset pin for a moment; the connection is gone afterwards.
    PinReset,
    /// Lets so many milliseconds pass.
    Rest {
        /// Milliseconds.
        ms: u32,
    },
}

/// Operations that go across together; the first that breaks ends the batch.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Batch {
    /// In their order.
    pub ops: Vec<Op>,
}

impl Batch {
    /// The longest time this batch may take, in milliseconds, before the far end counts as hung: its polls and rests,
    /// and a bound for the transfers of a slow probe (25 kB/s, `CMSIS-DAP` v1 over HID) with room to spare.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        self.ops.iter().fold(2_000, |sum, op| {
            sum + match op {
                Op::Connect | Op::Disconnect | Op::PinReset => 3_000,
                Op::Read { words, .. } => 100 + u64::from(*words),
                Op::Write { words, .. } => 100 + words.len() as u64,
                Op::Poll { within_ms, .. } => u64::from(*within_ms) + 1_000,
                Op::Rest { ms } => u64::from(*ms),
            }
        })
    }
}

/// Why a batch broke. The difference between the first four decides what may be believed about a board.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Nothing acknowledged: no board, no power, no contact.
    NoAnswer,
    /// The chip refused the access with FAULT.
    Refused,
    /// The chip asked to wait until the retries ran out.
    Busy,
    /// Bits came back that no rule allows: parity, protocol.
    Garbled,
    /// A poll's deadline passed.
    Late,
    /// The probe cannot be opened or driven.
    NoProbe,
    /// The worker hung or died.
    Lost,
    /// A mistake of ours: a place or width no wire carries, or a guarded place without a [`Burn`].
    Misuse,
}

/// Where and why a batch broke.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Broke {
    /// The class.
    pub why: Why,
    /// What was being done.
    pub doing: String,
    /// The driver's own words, for the technician.
    pub detail: String,
}

impl fmt::Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::NoAnswer => "nothing answers",
            Why::Refused => "the chip refused the access",
            Why::Busy => "the chip stayed busy",
            Why::Garbled => "the answer was garbled",
            Why::Late => "the deadline passed",
            Why::NoProbe => "the probe cannot be used",
            Why::Lost => "the worker process was lost",
            Why::Misuse => "the access is not allowed here",
        };
        write!(f, "{why} while doing {}: {}", self.doing, self.detail)
    }
}

impl std::error::Error for Broke {}

/// What came back from a batch: one list of words per operation that succeeded (empty where an operation has none).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Carried {
    /// Replies up to the first operation that broke.
    pub replies: Vec<Vec<u32>>,
    /// The operation that broke, unless all went through.
    pub broke: Option<Broke>,
}

/// Carries batches to a probe and brings the answers back. A failure is an answer too.
pub trait Wire {
    /// Runs the batch up to the first operation that breaks.
    fn carry(&mut self, batch: &Batch) -> Carried;
}

/// Looks without touching.
pub trait Peek {
    /// Connects anew from a line reset and tells DPIDR.
    ///
    /// # Errors
    /// [`Broke`] if nothing answers.
    fn connect(&mut self) -> Result<u32, Broke>;

    /// Lets go of the debug port.
    ///
    /// # Errors
    /// [`Broke`] if the wire is gone.
    fn let_go(&mut self) -> Result<(), Broke>;

    /// Reads runs of words, all in one batch.
    ///
    /// # Errors
    /// [`Broke`] at the first run that could not be read.
    fn read_all(&mut self, runs: &[(Place, u32)]) -> Result<Vec<Vec<u32>>, Broke>;

    /// Reads one run of consecutive words.
    ///
    /// # Errors
    /// [`Broke`] if they could not be read.
    fn read(&mut self, from: Place, words: u32) -> Result<Vec<u32>, Broke> {
        Ok(self.read_all(&[(from, words)])?.pop().unwrap_or_default())
    }

    /// Reads one word.
    ///
    /// # Errors
    /// [`Broke`] if it could not be read.
    fn word(&mut self, at: Place) -> Result<u32, Broke> {
        let words = self.read(at, 1)?;
        words.first().copied().ok_or_else(|| Broke {
            why: Why::Garbled,
            doing: format!("read {at}"),
            detail: "no word came back".to_owned(),
        })
    }
}

/// Changes what can be changed back.
pub trait Poke: Peek {
    /// Runs operations that touch no guarded place.
    ///
    /// # Errors
    /// [`Broke`] at the first that broke; [`Why::Misuse`], with nothing done, if one would write a guarded place.
    fn poke(&mut self, ops: Vec<Op>) -> Result<Vec<Vec<u32>>, Broke>;
}

/// Changes what can never be changed back.
pub trait Burn: Poke {
    /// Runs operations anywhere.
    ///
    /// # Errors
    /// [`Broke`] at the first that broke.
    fn burn(&mut self, ops: Vec<Op>) -> Result<Vec<Vec<u32>>, Broke>;
}

/// Places only a [`Burn`] may write: first and last, both included.
#[derive(Clone, Copy, Debug)]
pub enum Guarded {
    /// Byte addresses behind any memory access port.
    Memory {
        /// The first byte.
        first: u32,
        /// The last byte.
        last: u32,
    },
    /// One register of an access port.
    Ap {
        /// Number of the access port.
        ap: u8,
        /// Register offset.
        register: u8,
    },
}

impl Guarded {
    fn covers(self, op: &Op) -> bool {
        let Op::Write { to, words } = op else { return false };
        match (self, *to) {
            (Self::Memory { first, last }, Place::Memory { at, .. }) => {
                let end = u64::from(at) + 4 * words.len() as u64;
                u64::from(first) < end && at <= last
            }
            (Self::Ap { ap, register }, Place::Ap { ap: written, register: there }) => {
                ap == written && register == there
            }
            (Self::Memory { .. }, Place::Ap { .. }) | (Self::Ap { .. }, Place::Memory { .. }) => false,
        }
    }
}

/// A wire seen with the capability to read and to write what can be written back.
pub struct Hand<'wire> {
    wire: &'wire mut dyn Wire,
    guarded: &'static [Guarded],
}

impl<'wire> Hand<'wire> {
    /// A hand that keeps away from the guarded places.
    pub fn new(wire: &'wire mut dyn Wire, guarded: &'static [Guarded]) -> Self {
        Self { wire, guarded }
    }

    fn carry(&mut self, ops: Vec<Op>) -> Result<Vec<Vec<u32>>, Broke> {
        let batch = Batch { ops };
        let carried = self.wire.carry(&batch);
        if let Some(broke) = carried.broke {
            return Err(broke);
        }
        if carried.replies.len() == batch.ops.len() {
            return Ok(carried.replies);
        }
        let detail = format!("{} of {} operations were answered", carried.replies.len(), batch.ops.len());
        Err(Broke { why: Why::Garbled, doing: "a batch".to_owned(), detail })
    }
}

impl Peek for Hand<'_> {
    fn connect(&mut self) -> Result<u32, Broke> {
        let replies = self.carry(vec![Op::Connect])?;
        replies.first().and_then(|words| words.first()).copied().ok_or_else(|| Broke {
            why: Why::Garbled,
            doing: "connect".to_owned(),
            detail: "no DPIDR came back".to_owned(),
        })
    }

    fn let_go(&mut self) -> Result<(), Broke> {
        self.carry(vec![Op::Disconnect]).map(drop)
    }

    fn read_all(&mut self, runs: &[(Place, u32)]) -> Result<Vec<Vec<u32>>, Broke> {
        let ops = runs.iter().map(|&(from, words)| Op::Read { from, words }).collect();
        let replies = self.carry(ops)?;
        let whole = replies.len() == runs.len()
            && replies.iter().zip(runs).all(|(reply, &(_, words))| reply.len() == words as usize);
        if whole {
            return Ok(replies);
        }
        let detail = "fewer words came back than were asked for".to_owned();
        Err(Broke { why: Why::Garbled, doing: "read".to_owned(), detail })
    }
}

impl Poke for Hand<'_> {
    fn poke(&mut self, ops: Vec<Op>) -> Result<Vec<Vec<u32>>, Broke> {
        if let Some(op) = ops.iter().find(|op| self.guarded.iter().any(|guarded| guarded.covers(op))) {
            let detail = "this place cannot be changed back and needs a durable record first".to_owned();
            return Err(Broke { why: Why::Misuse, doing: doing(op), detail });
        }
        self.carry(ops)
    }
}

/// A wire seen with every capability. Named only in `gate`, where each burn spends a durable fact (`tests/tidy.rs`).
pub struct Brand<'wire>(Hand<'wire>);

impl<'wire> Brand<'wire> {
    /// A hand for which nothing is guarded.
    pub fn new(wire: &'wire mut dyn Wire, guarded: &'static [Guarded]) -> Self {
        Self(Hand::new(wire, guarded))
    }
}

impl Peek for Brand<'_> {
    fn connect(&mut self) -> Result<u32, Broke> {
        self.0.connect()
    }

    fn let_go(&mut self) -> Result<(), Broke> {
        self.0.let_go()
    }

    fn read_all(&mut self, runs: &[(Place, u32)]) -> Result<Vec<Vec<u32>>, Broke> {
        self.0.read_all(runs)
    }
}

impl Poke for Brand<'_> {
    fn poke(&mut self, ops: Vec<Op>) -> Result<Vec<Vec<u32>>, Broke> {
        self.0.poke(ops)
    }
}

impl Burn for Brand<'_> {
    fn burn(&mut self, ops: Vec<Op>) -> Result<Vec<Vec<u32>>, Broke> {
        self.0.carry(ops)
    }
}

/// An operation in words, for messages.
#[must_use]
pub fn doing(op: &Op) -> String {
    match op {
        Op::Connect => "connect".to_owned(),
        Op::Disconnect => "disconnect".to_owned(),
        Op::Read { from, words } => format!("read {words} words at {from}"),
        Op::Write { to, words } => format!("write {} words at {to}", words.len()),
        Op::Poll { at, mask, value, .. } => format!("wait for {value:#x} under mask {mask:#x} at {at}"),
        Op::PinReset => "pull the reset pin".to_owned(),
        Op::Rest { ms } => format!("rest {ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo(Vec<Batch>);

    impl Wire for Echo {
        fn carry(&mut self, batch: &Batch) -> Carried {
            self.0.push(batch.clone());
            Carried { replies: vec![vec![]; batch.ops.len()], broke: None }
        }
    }

    const GUARDED: &[Guarded] = &[Guarded::Memory { first: 0x1000, last: 0x1FFF }, Guarded::Ap { ap: 1, register: 4 }];

    fn write(to: Place, words: usize) -> Vec<Op> {
        vec![Op::Write { to, words: vec![0; words] }]
    }

    #[test]
    fn a_hand_never_writes_a_guarded_place_not_even_with_the_tail_of_a_run() {
        for ops in [
            write(Place::Memory { ap: 0, at: 0x1000 }, 1),
            write(Place::Memory { ap: 0, at: 0x1FFC }, 1),
            write(Place::Memory { ap: 0, at: 0x0FF8 }, 3),
            write(Place::Ap { ap: 1, register: 4 }, 1),
        ] {
            let mut wire = Echo(Vec::new());
            let broke = Hand::new(&mut wire, GUARDED).poke(ops.clone()).unwrap_err();
            assert_eq!(broke.why, Why::Misuse, "{ops:?}");
            assert!(wire.0.is_empty(), "something went across: {ops:?}");
        }
        let mut wire = Echo(Vec::new());
        let mut hand = Hand::new(&mut wire, GUARDED);
        assert!(hand.poke(write(Place::Memory { ap: 0, at: 0x0FF8 }, 2)).is_ok());
        assert!(hand.poke(write(Place::Memory { ap: 0, at: 0x2000 }, 2)).is_ok());
        assert!(hand.poke(write(Place::Ap { ap: 1, register: 0 }, 1)).is_ok());
    }

    #[test]
    fn a_batch_whose_last_operations_were_not_answered_did_not_succeed() {
        struct Mute;
        impl Wire for Mute {
            fn carry(&mut self, _batch: &Batch) -> Carried {
                Carried::default()
            }
        }
        let broke = Hand::new(&mut Mute, GUARDED).poke(vec![Op::Connect]).unwrap_err();
        assert_eq!(broke.why, Why::Garbled);
    }

    #[test]
    fn a_reply_with_too_few_words_is_garbled_and_never_read_as_zero() {
        let mut wire = Echo(Vec::new());
        let broke = Hand::new(&mut wire, GUARDED).word(Place::Ap { ap: 1, register: 12 }).unwrap_err();
        assert_eq!(broke.why, Why::Garbled);
    }
}
