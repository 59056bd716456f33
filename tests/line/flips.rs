//! Every bit of what `gate` looks at, turned over in the cells just before it looks, or on the way to the station.

use std::{cell::Cell, collections::BTreeSet, rc::Rc, sync::Arc};

use rootstamp::{
    clock::Millis,
    gate,
    ident::{DeviceId, Serial},
    link::{Op, Place},
    plan::Lot,
    session::news::{Outcome, Verdict},
    virtual_board::{Latch, Silicon, Slot, lock},
};

use super::{FIRST, Line, cuts::actions_to_pass, guard::KINDS, label, machine::Unit, smallest, virgin};

/// A word and a bit of it.
type Bit = (u32, u32);

fn bits(words: Vec<u32>) -> Vec<Bit> {
    words.into_iter().flat_map(|at| (0..32).map(move |bit| (at, 1 << bit))).collect()
}

fn flash_words(lot: &Lot) -> Vec<u32> {
    let regions = lot.golden.regions.iter();
    regions.flat_map(|region| (region.at..).step_by(4).take(region.bytes.len() / 4)).collect()
}

fn stamped_words(lot: &Lot, serial: &Serial) -> Vec<u32> {
    lot.golden.words_for(serial).iter().map(|word| word.at).collect()
}

fn lock_words(lot: &Lot) -> Vec<u32> {
    lot.golden.lock.iter().map(|word| word.at).collect()
}

/// A unit whose board has this bit turned over when the step begins, and the scans after it.
fn flipped_at(lot: &Arc<Lot>, (silicon, latch): (Silicon, Latch), step: &'static str, (at, mask): Bit) -> Outcome {
    let label = label(lot, 1);
    let mut line = Line::new(Arc::clone(lot), Slot::with(virgin(silicon, latch, FIRST)).shared());
    let done = Rc::new(Cell::new(false));
    let flipped = Rc::clone(&done);
    line.at_step = Some((
        step,
        Box::new(move |slot| {
            if !flipped.replace(true) {
                lock(slot).board_mut().unwrap().flip(at, mask);
            }
        }),
    ));
    let outcome = line.scan(&label);
    assert!(done.get(), "nothing was flipped");
    outcome
}

fn one_bit_of_each(words: Vec<u32>) -> Vec<Bit> {
    words.into_iter().map(|at| (at, 1 << (at / 4 % 32))).collect()
}

/// Which words are meant.
type Of = fn(&Lot, &Serial) -> Vec<u32>;

/// Tries bits, each on one of the kinds of board in turn; the ones that ended in PASS.
fn passes(step: &'static str, bits: fn(Vec<u32>) -> Vec<Bit>, of: Of, codes: &[&str]) -> (usize, BTreeSet<Bit>) {
    let tried = std::thread::scope(|scope| {
        let tried = [0, 1, 2, 3]
            .map(|kind| scope.spawn(move || try_bits(kind, step, bits(of(&lot(kind), &first_serial(kind))), codes)));
        tried.map(|tried| tried.join().unwrap())
    });
    let sum = tried.iter().map(|(count, _)| count).sum();
    println!("{sum} bits turned over before {step:?}");
    (sum, tried.into_iter().flat_map(|(_, passed)| passed).collect())
}

fn lot(kind: usize) -> Lot {
    smallest(KINDS[kind].0)
}

fn first_serial(kind: usize) -> Serial {
    label(&lot(kind), 1).parse().unwrap()
}

fn try_bits(kind: usize, step: &'static str, bits: Vec<Bit>, codes: &[&str]) -> (usize, BTreeSet<Bit>) {
    let lot = Arc::new(lot(kind));
    let mut passed = BTreeSet::new();
    let bits: Vec<Bit> = bits.into_iter().skip(kind).step_by(KINDS.len()).collect();
    for &bit in &bits {
        let outcome = flipped_at(&lot, KINDS[kind], step, bit);
        match outcome.fault {
            Some(fault) => assert!(codes.contains(&fault.code.as_str()), "{bit:#x?} before {step}: {fault:#?}"),
            None => drop(passed.insert(bit)),
        }
    }
    (bits.len(), passed)
}

#[test]
fn no_bit_of_flash_may_differ_when_it_is_read_back() {
    let lot = Arc::new(smallest(Silicon::Hardened));
    let mut unit = Unit::walked(&lot, 1, FIRST, PROGRAMMED);
    let device = DeviceId::from_words(0x3333_4444, 0x1111_2222).unwrap();
    let compare =
        |line: &mut Line| gate::compare(&mut line.wire, lot.family, &lot.golden, device, &mut |_| Millis(0)).map(drop);
    let bits = bits(flash_words(&lot));
    for &(at, mask) in &bits {
        lock(&unit.line.slot).board_mut().unwrap().flip(at, mask);
        let stop = compare(&mut unit.line).unwrap_err();
        assert_eq!(stop.fault.code, "E-220", "{mask:#x} at {at:#x}");
        lock(&unit.line.slot).board_mut().unwrap().flip(at, mask);
    }
    compare(&mut unit.line).unwrap();
    println!("{} bits of flash turned over one by one", bits.len());
}

/// After so many turns of a run flash is programmed, and is read back next.
const PROGRAMMED: usize = 4;

#[test]
fn a_bit_of_flash_that_differs_fails_the_unit() {
    // One bit of each word; all of them are tried on `gate` alone.
    let (count, passed) = passes("read back", one_bit_of_each, |lot, _| flash_words(lot), &["E-220"]);
    assert!(count > 300 && passed.is_empty(), "{count} {passed:x?}");
}

#[test]
fn no_bit_of_a_stamp_or_lock_word_may_differ_when_everything_is_verified() {
    let of = |lot: &Lot, serial: &Serial| [stamped_words(lot, serial), lock_words(lot)].concat();
    let (count, passed) = passes("verify", bits, of, &["E-221"]);
    assert!(count > 900 && passed.is_empty(), "{count} {passed:x?}");
}

#[test]
fn no_bit_that_changes_after_the_record_is_overlooked_by_the_last_look() {
    let of = |lot: &Lot, serial: &Serial| {
        let boot = &lot.golden.regions[0];
        let boot = (boot.at..).step_by(4).take(boot.bytes.len() / 4);
        boot.chain(stamped_words(lot, serial)).chain(lock_words(lot)).collect()
    };
    let (count, passed) = passes("lock", bits, of, &["H-301", "E-212"]);
    assert!(count > 1000 && passed.is_empty(), "{count} {passed:x?}");
}

/// FICR.DEVICEID[0], [1], INFO.PART, .VARIANT, family, revision. [SVD FICR]
const FICR: [u32; 6] = [0x1000_0060, 0x1000_0064, 0x1000_0100, 0x1000_0104, 0x1000_0130, 0x1000_0134];

#[test]
fn a_board_that_becomes_another_one_before_it_is_verified_does_not_pass() {
    let codes = ["E-221", "H-302", "B-401", "B-402"];
    let (count, passed) = passes("verify", bits, |_, _| FICR.to_vec(), &codes);
    assert_eq!(count, 6 * 32);
    // Which variant of the same silicon it is, is recorded at C2 and is no part of what a unit must become; nor are the
    // bits of a revision word that leave it as hardened as its build code says.
    assert!(passed.iter().all(|(at, _)| matches!(at, 0x1000_0104 | 0x1000_0134)), "{passed:x?}");
}

/// One bit of what comes back from a place, in this batch and all that follow or in this one alone.
#[derive(Clone, Copy, Debug)]
struct Lie {
    place: Option<Place>,
    mask: u32,
    from: u64,
    once: bool,
}

fn lied_to(lot: &Arc<Lot>, (silicon, latch): (Silicon, Latch), lie: Lie) -> (Line, Outcome, u64) {
    let label = label(lot, 1);
    let mut line = Line::new(Arc::clone(lot), Slot::with(virgin(silicon, latch, FIRST)).shared());
    let told = Rc::new(Cell::new(0));
    let (seen, count) = (Rc::new(Cell::new(0)), Rc::clone(&told));
    line.wire.tamper = Some(Box::new(move |_, batch, carried| {
        let Some(carried) = carried else { return };
        for (op, reply) in batch.ops.iter().zip(&mut carried.replies) {
            let there = match op {
                Op::Connect => lie.place.is_none(),
                Op::Read { from, .. } | Op::Poll { at: from, .. } => lie.place == Some(*from),
                Op::Write { .. } | Op::Disconnect | Op::PinReset | Op::Rest { .. } => false,
            };
            if !there {
                continue;
            }
            seen.set(seen.get() + 1);
            if seen.get() >= lie.from && !(lie.once && count.get() > 0) {
                reply.iter_mut().take(1).for_each(|word| *word ^= lie.mask);
                count.set(count.get() + 1);
            }
        }
    }));
    let outcome = line.scan(&label);
    line.wire.tamper = None;
    (line, outcome, told.get())
}

/// DPIDR, CTRL-AP.IDR, CTRL-AP.APPROTECTSTATUS, and the word that proves memory open. [PS-52840, CTRL-AP]
const STATUS: [Option<Place>; 4] = [
    None,
    Some(Place::Ap { ap: 1, register: 0xFC }),
    Some(Place::Ap { ap: 1, register: 0x0C }),
    Some(Place::Memory { ap: 0, at: 0x1000_0100 }),
];

/// The version of the control access port, which [`STATUS`] does not depend on.
fn does_not_count(lie: &Lie) -> bool {
    lie.place == STATUS[1] && lie.mask >= 1 << 28 && !lie.once
}

fn try_status(silicon: Silicon, latch: Latch) -> u64 {
    let lot = Arc::new(smallest(silicon));
    let label = label(&lot, 1);
    let mut lies = 0;
    for place in STATUS {
        for bit in 0..32 {
            // The first look has three, the confirmation after the reset has three more.
            for (from, once) in [(1, true), (1, false), (3, true), (4, false), (5, false), (6, true)] {
                let lie = Lie { place, mask: 1 << bit, from, once };
                let (mut line, outcome, told) = lied_to(&lot, (silicon, latch), lie);
                lies += u64::from(told > 0);
                let passed = outcome.verdict == Verdict::Pass;
                let looked = told == 0 || does_not_count(&lie);
                assert!(!passed || looked, "{silicon:?} {latch:?} {lie:?} {outcome:#?}");
                let actions = actions_to_pass(&mut line, &label);
                assert!(actions <= 3, "{silicon:?} {latch:?} {lie:?} {actions}");
            }
        }
    }
    lies
}

#[test]
fn no_bit_of_what_a_port_says_of_itself_may_differ() {
    let lies = std::thread::scope(|scope| {
        let tried = KINDS.map(|(silicon, latch)| scope.spawn(move || try_status(silicon, latch)));
        tried.map(|tried| tried.join().unwrap())
    });
    println!("{lies:?} lies about the port");
}
