//! What the front ends call a verdict, and what the operator does next: the screen and the headless line say the same.

use crate::session::news::{Outcome, Verdict};

/// Every verdict, best first, as the help page lists them.
pub const VERDICTS: [Verdict; 5] = [Verdict::Pass, Verdict::DoneAlready, Verdict::Fail, Verdict::Retry, Verdict::Hold];

/// The word in block letters.
#[must_use]
pub const fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Retry => "RETRY",
        Verdict::Hold => "HOLD",
        Verdict::DoneAlready => "DONE ALREADY",
    }
}

/// What the word means, for the help page.
#[must_use]
pub const fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "the board is finished, proven and recorded",
        Verdict::Fail => "the board is not what was ordered",
        Verdict::Retry => "the bench's fault, not the board's",
        Verdict::Hold => "nobody can prove the board's state",
        Verdict::DoneAlready => "finished before; it boots, nothing changed",
    }
}

/// Where the board goes.
#[must_use]
pub const fn place(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass | Verdict::DoneAlready => "good ones",
        Verdict::Fail => "red bin",
        Verdict::Retry => "stays in, scan again",
        Verdict::Hold => "blue rack",
    }
}

/// The one next action, where the session names none.
#[must_use]
pub const fn next(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Take the board out.",
        Verdict::Fail => "Put the board into the red bin and scan the bin.",
        Verdict::Retry => "Press the lid until it clicks, then scan the label again.",
        Verdict::Hold => "Put the board on the blue rack and call the supervisor.",
        Verdict::DoneAlready => "Put the board with the good ones.",
    }
}

/// The next action of this outcome: the session's own words before the general ones.
#[must_use]
pub fn next_after(outcome: &Outcome) -> &str {
    if outcome.next.is_empty() { next(outcome.verdict) } else { &outcome.next }
}
