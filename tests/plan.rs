//! What a recipe asks of a chip, and the chip does not have.

use rootstamp::plan;

use crate::{crosscheck::read, recipe::Lot};

/// What is told of a lot whose files are whole, where the recipe says it.
fn told(lot: &Lot, at: &str, expected: &str) {
    let problems = plan::lot(read(lot)).map(|lot| lot.golden.digest).unwrap_err();
    let told = problems.iter().find(|problem| problem.what.contains(expected));
    let told = told.unwrap_or_else(|| panic!("{expected}: {problems:#?}"));
    let column = lot.recipe.lines().nth(lot.line_of(at) - 1).and_then(|line| line.find('"')).unwrap() + 1;
    assert_eq!((told.line, told.column), (Some(lot.line_of(at)), Some(column)), "{told}");
}

#[test]
fn stamps_for_which_the_chip_has_no_room_are_told_before_memory_is_taken_for_them() {
    let slots = |slots: &str| Lot::good().with("slots   = 16", slots).with("uicr.customer[24]", "uicr.other[0]");
    for (count, expected) in [("25", "needs 25 words"), ("4294967295", "needs 4294967295 words from uicr.customer[8]")]
    {
        told(&slots(&format!("slots   = {count}")), "uicr.customer[8]", &format!("counter {expected}"));
    }
    let last = Lot::good().with("uicr.customer[8]", "uicr.customer[4294967295]");
    told(&last, "uicr.customer[4294967295]", "counter needs 16 words from uicr.customer[4294967295]");
    let hash = Lot::good().with("uicr.customer[0]", "uicr.otp[0]");
    told(&hash, "uicr.otp[0]", "key_hash needs 8 words from uicr.otp[0]; nRF52840 has uicr.customer[0] to");
    let serial = Lot::good().with("uicr.customer[24]", "uicr.customer[31]");
    told(&serial, "uicr.customer[31]", "serial needs 3 words from uicr.customer[31]");
}
