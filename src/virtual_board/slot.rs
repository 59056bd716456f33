//! One place of a fixture: perhaps a board in it, and a cable that may be bad.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    board::{Board, Counters},
    chance::Chance,
    faults::{Faults, When},
    port::{Answer, Request},
};

/// Clocks of one transfer, as in `board`, for when there is no board to count them.
const CLOCKS: u64 = 46;
/// The clock the speed is divided from, in hertz: divides evenly to 4, 8 and 1 MHz.
pub const REFERENCE_HZ: u32 = 24_000_000;
const DEFAULT_DIVISOR: u16 = 5;
/// ABORT: all four sticky flags. [ADIv5.2, B2.2.1]
const CLEAR_STICKY: u32 = 0x1E;

/// A slot that a server and a test hold together.
pub type Shared = Arc<Mutex<Slot>>;

/// Locks a shared slot; a thread that died while holding it does not matter, because every call leaves it whole.
pub fn lock(slot: &Shared) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds at most one board.
pub struct Slot {
    board: Option<Board>,
    faults: Faults,
    swap: Option<(u64, Box<Board>)>,
    chance: Chance,
    transactions: u64,
    round_trips: u64,
    round_trip_ns: u64,
    divisor: u16,
    /// Of boards that were here before: what they add to the sums.
    before: Counters,
    arrived: Counters,
    absent_ns: u64,
}

impl Slot {
    /// Nobody here.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            board: None,
            faults: Faults::default(),
            swap: None,
            chance: Chance::new(0),
            transactions: 0,
            round_trips: 0,
            round_trip_ns: 0,
            divisor: DEFAULT_DIVISOR,
            before: Counters::default(),
            arrived: Counters::default(),
            absent_ns: 0,
        }
    }

    /// With this board in it.
    #[must_use]
    pub fn with(board: Board) -> Self {
        let mut slot = Self::empty();
        slot.insert(board);
        slot
    }

    /// As something several owners hold.
    #[must_use]
    pub fn shared(self) -> Shared {
        Arc::new(Mutex::new(self))
    }

    /// How long a frame takes there and back, in nanoseconds of simulated time; 0 unless set.
    pub fn set_round_trip(&mut self, ns: u64) {
        self.round_trip_ns = ns;
    }

    /// Puts a board in, which powers it; hands back the one that was there.
    pub fn insert(&mut self, mut board: Board) -> Option<Board> {
        let old = self.remove();
        board.power_on();
        self.arrived = board.counters();
        self.board = Some(board);
        self.arm_board();
        old
    }

    /// Takes the board out, in the middle of whatever is going on. It keeps its cells.
    pub fn remove(&mut self) -> Option<Board> {
        self.before = self.sums();
        self.absent_ns = 0;
        self.arrived = Counters::default();
        let mut board = self.board.take()?;
        board.power_off();
        Some(board)
    }

    /// At this transfer the board is found to be another one.
    pub fn swap_at(&mut self, transaction: u64, board: Board) {
        self.swap = Some((transaction, Box::new(board)));
    }

    /// Takes the supply away and gives it back.
    pub fn power_cycle(&mut self) {
        if let Some(board) = &mut self.board {
            board.power_off();
            board.power_on();
        }
    }

    /// Pulls the reset pin low and lets go.
    pub fn pin_reset(&mut self) {
        self.hold_reset(true);
        self.hold_reset(false);
    }

    /// `true` pulls the reset pin low, `false` lets go.
    pub fn hold_reset(&mut self, low: bool) {
        if let Some(board) = &mut self.board {
            board.reset_pin(low);
        }
    }

    /// The board, if there is one.
    #[must_use]
    pub fn board(&self) -> Option<&Board> {
        self.board.as_ref()
    }

    /// The board, to do something to it by hand.
    pub fn board_mut(&mut self) -> Option<&mut Board> {
        self.board.as_mut()
    }

    /// What goes wrong from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.chance = Chance::new(faults.seed);
        self.faults = faults;
        self.arm_board();
    }

    /// What is set to go wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Transfers, round trips and what all boards did that were ever here, while they were here.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.sums()
    }

    /// What came out of the UART since it was last taken, as simulated time has it.
    pub fn take_printed(&mut self) -> Vec<u8> {
        self.board.as_mut().map(Board::take_printed).unwrap_or_default()
    }

    /// The same for a host that does nothing but wait for it: what only waits for its milliseconds comes at once.
    pub fn take_uart(&mut self) -> Vec<u8> {
        self.board.as_mut().map(Board::take_uart).unwrap_or_default()
    }

    /// Lets simulated time pass without anything on the wire.
    pub fn rest(&mut self, ns: u64) {
        match &mut self.board {
            Some(board) => board.rest(ns),
            None => self.absent_ns += ns,
        }
    }

    /// The wire's clock is [`REFERENCE_HZ`] divided by one more than this.
    pub fn set_divisor(&mut self, divisor: u16) {
        self.divisor = divisor;
        self.arm_board();
    }

    /// As last set.
    #[must_use]
    pub fn divisor(&self) -> u16 {
        self.divisor
    }

    /// Bits on the wire that are no transfer, lowest first.
    pub fn sequence(&mut self, count: u32, bits: u64) {
        let cable = self.faults.no_ack.is_some_and(|span| span.covers(self.transactions + 1));
        if let Some(board) = self.board.as_mut().filter(|_| !cable) {
            board.sequence(count, bits);
        }
    }

    /// One frame: transfers until one is not taken, and an answer for each up to that one. Like the drivers of other
    /// probes, this clears the sticky error after a fault: the Glasgow driver of probe-rs 0.32 relies on it.
    pub fn frame(&mut self, requests: &[Request]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let answer = self.transfer(*request);
            answers.push(answer);
            if !matches!(answer, Answer::Ok(_)) {
                break;
            }
        }
        if answers.last() == Some(&Answer::Fault) {
            self.transfer(Request { access_port: false, address: 0, data: Some(CLEAR_STICKY) });
        }
        if !answers.is_empty() {
            self.round_trips += 1;
            self.rest(self.round_trip_ns);
        }
        answers
    }

    /// One transfer, with whatever is wrong with the cable and the board.
    pub fn transfer(&mut self, request: Request) -> Answer {
        self.transactions += 1;
        let number = self.transactions;
        self.exchange(number);
        if self.cuts(number, When::Before) {
            return Answer::Silence;
        }
        let answer = self.carry(number, request);
        if self.cuts(number, When::After) {
            return Answer::Silence;
        }
        let reads = request.data.is_none();
        match answer {
            Answer::Ok(value) if reads => Answer::Ok(self.distort(number, value)),
            Answer::Ok(_) | Answer::Wait | Answer::Fault | Answer::Silence | Answer::Nonsense => answer,
        }
    }

    fn carry(&mut self, number: u64, request: Request) -> Answer {
        let covers = |span: Option<super::faults::Span>| span.is_some_and(|span| span.covers(number));
        if covers(self.faults.no_ack) {
            self.rest(self.transfer_ns());
            return Answer::Silence;
        }
        if covers(self.faults.nonsense) {
            self.rest(self.transfer_ns());
            return self.invent();
        }
        if covers(self.faults.wait) {
            self.rest(self.transfer_ns());
            if let Some(board) = &mut self.board {
                board.waited();
            }
            return Answer::Wait;
        }
        let Some(board) = &mut self.board else {
            self.absent_ns += self.transfer_ns();
            return Answer::Silence;
        };
        board.transfer(request)
    }

    fn exchange(&mut self, number: u64) {
        if let Some((_, board)) = self.swap.take_if(|(at, _)| *at <= number) {
            self.insert(*board);
        }
    }

    fn cuts(&mut self, number: u64, when: When) -> bool {
        let due = self.faults.cut_power.is_some_and(|cut| cut.at == number && cut.when == when);
        if let Some(board) = self.board.as_mut().filter(|_| due) {
            board.power_off();
        }
        due
    }

    fn distort(&self, number: u64, value: u32) -> u32 {
        let mut value = value;
        if let Some(flip) = self.faults.flip.filter(|flip| flip.span.covers(number)) {
            value ^= flip.mask;
        }
        if let Some(stuck) = self.faults.stuck.filter(|stuck| stuck.span.covers(number)) {
            value = if stuck.high { value | stuck.mask } else { value & !stuck.mask };
        }
        value
    }

    fn invent(&mut self) -> Answer {
        let bits = self.chance.bits();
        match bits >> 32 & 7 {
            0 => Answer::Wait,
            1 => Answer::Fault,
            2 => Answer::Silence,
            3 => Answer::Nonsense,
            _ => Answer::Ok(u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(0)),
        }
    }

    fn arm_board(&mut self) {
        let clock_ns = self.clock_ns();
        let Some(board) = &mut self.board else { return };
        board.set_clock(clock_ns);
        let nvmc = &mut board.bus.nvmc;
        nvmc.cut_inside = self.faults.cut_inside;
        nvmc.chance = Chance::new(self.faults.seed);
        // Words have even addresses: an odd one stands for its whole page.
        let pages = self.faults.dead_pages.iter().map(|page| page & !0xFFF | 1);
        nvmc.dead = self.faults.dead_words.iter().copied().chain(pages).collect();
    }

    fn transfer_ns(&self) -> u64 {
        CLOCKS * self.clock_ns()
    }

    fn clock_ns(&self) -> u64 {
        1_000_000_000 * (u64::from(self.divisor) + 1) / u64::from(REFERENCE_HZ)
    }

    fn sums(&self) -> Counters {
        let now = self.board.as_ref().map(Board::counters).unwrap_or_default();
        let (old, new) = (self.before, self.arrived);
        Counters {
            transactions: self.transactions,
            round_trips: self.round_trips,
            simulated_ns: old.simulated_ns + (now.simulated_ns - new.simulated_ns) + self.absent_ns,
            flash_busy_ns: old.flash_busy_ns + (now.flash_busy_ns - new.flash_busy_ns),
            word_writes: old.word_writes + (now.word_writes - new.word_writes),
            erases: old.erases + (now.erases - new.erases),
        }
    }
}
