//! Many strings of bytes, looked for all at once wherever they stand.
//!
//! Keys of one kind begin alike. Each needle is therefore known by bytes out of its middle, where a key is as good as
//! random: a file made of nothing but beginnings costs no more than any other. It is known by four runs of eight bytes,
//! one after the other, so that only every fourth offset has to be looked at.

use std::{cmp::Reverse, collections::HashMap};

/// How many bytes a needle is known by.
const ANCHOR: usize = 8;

/// Offsets that are looked at are so far apart; as many anchors has each needle.
const STEP: usize = 4;

/// What all anchors of a needle take; shorter ones are not looked for.
const MIDDLE: usize = ANCHOR + STEP - 1;

/// So many different bytes in it, and it does not stand in every table of zeros.
const VARIED: usize = 8;

/// Strings of bytes, numbered in the order in which they were added.
#[derive(Clone, Default)]
pub(super) struct Needles {
    all: Vec<Vec<u8>>,
    /// Which needles have such an anchor, and how far behind their beginning.
    by_anchor: HashMap<[u8; ANCHOR], Vec<(usize, usize)>>,
    /// Whether any anchor has this pair of bytes as its first or as its second: most offsets end here.
    pairs: [Pairs; 2],
}

/// For each pair of bytes whether it is one of these; empty for none.
type Pairs = Vec<bool>;

/// A needle among other bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Found {
    /// Offset of its first byte.
    pub(super) at: usize,
    /// How many bytes it has.
    pub(super) len: usize,
    /// Its number.
    pub(super) needle: usize,
}

impl Needles {
    /// Adds one, if it is long enough to be looked for.
    pub(super) fn add(&mut self, bytes: &[u8]) -> bool {
        let Some(middle) = middle(bytes) else { return false };
        let windows = bytes.windows(ANCHOR).enumerate().skip(middle).take(STEP);
        for (at, anchor) in windows.filter_map(|(at, window)| Some((at, *window.first_chunk()?))) {
            for (pairs, pair) in self.pairs.iter_mut().zip(pairs_of(anchor)) {
                pairs.resize(1 << 16, false);
                pairs.get_mut(pair).into_iter().for_each(|known| *known = true);
            }
            self.by_anchor.entry(anchor).or_default().push((self.all.len(), at));
        }
        self.all.push(bytes.to_vec());
        true
    }

    /// Each of them, wherever it stands: in order of offset, the longest first.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Vec<Found> {
        let windows = (0..).step_by(STEP).zip(bytes.windows(ANCHOR).step_by(STEP));
        let windows = windows.filter_map(|(at, window)| Some((at, *window.first_chunk()?)));
        let likely = windows.filter(|(_, window)| self.may_be(*window));
        let mut found: Vec<Found> = likely.flat_map(|(at, window)| self.around(bytes, at, window)).collect();
        found.sort_unstable_by_key(|found| (found.at, Reverse(found.len), found.needle));
        found
    }

    fn may_be(&self, window: [u8; ANCHOR]) -> bool {
        let mut pairs = self.pairs.iter().zip(pairs_of(window));
        pairs.all(|(known, pair)| known.get(pair) == Some(&true))
    }

    /// The needles that have this anchor, if the rest of them stands here too.
    fn around(&self, bytes: &[u8], at: usize, window: [u8; ANCHOR]) -> impl Iterator<Item = Found> {
        let needles = self.by_anchor.get(&window).map(Vec::as_slice).unwrap_or_default();
        needles.iter().filter_map(move |&(number, behind)| {
            let needle = self.all.get(number)?;
            let from = at.checked_sub(behind)?;
            let whole = bytes.get(from..)?.starts_with(needle);
            whole.then_some(Found { at: from, len: needle.len(), needle: number })
        })
    }
}

fn pairs_of([a, b, c, d, ..]: [u8; ANCHOR]) -> [usize; 2] {
    [usize::from(u16::from_be_bytes([a, b])), usize::from(u16::from_be_bytes([c, d]))]
}

/// Where the first varied bytes begin from the middle on, or else those in the middle.
fn middle(bytes: &[u8]) -> Option<usize> {
    let middle = bytes.len().checked_sub(MIDDLE)? / 2;
    let varied = |window: &[u8]| {
        let new = |(index, byte): (usize, &u8)| !window.iter().take(index).any(|before| before == byte);
        window.iter().enumerate().filter(|(index, byte)| new((*index, byte))).count() >= VARIED
    };
    bytes.windows(MIDDLE).skip(middle).position(varied).map_or(Some(middle), |behind| Some(middle + behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles(all: &[&[u8]]) -> Needles {
        let mut needles = Needles::default();
        assert!(all.iter().all(|bytes| needles.add(bytes)));
        needles
    }

    fn found(needles: &Needles, bytes: &[u8]) -> Vec<(usize, usize)> {
        needles.found_in(bytes).iter().map(|found| (found.at, found.needle)).collect()
    }

    #[test]
    fn needles_are_found_at_every_offset_and_inside_each_other_the_longest_first() {
        let needles = needles(&[b"23456789abc", b"0123456789abcdef", b"0123456789abc"]);
        for offset in 0..9 {
            let text = |text: &str| [&b".".repeat(offset), text.as_bytes(), b"..."].concat();
            assert_eq!(found(&needles, &text("0123456789abcdef")), [(offset, 1), (offset, 2), (offset + 2, 0)]);
            assert_eq!(found(&needles, &text("0123456789abc")), [(offset, 2), (offset + 2, 0)]);
            assert_eq!(found(&needles, &text("0123456 789abcdef")), []);
        }
    }

    #[test]
    fn a_needle_cut_off_on_either_side_is_none() {
        let whole: Vec<u8> = (0..40).collect();
        let needles = needles(&[&whole]);
        assert_eq!(found(&needles, &whole[1..]), []);
        assert_eq!(found(&needles, &whole[..39]), []);
        assert_eq!(found(&needles, &[&whole[1..], &whole[..]].concat()), [(39, 0)]);
    }

    #[test]
    fn a_needle_that_is_mostly_zeros_is_known_by_the_rest_of_it_and_one_of_zeros_is_found_once_at_each_offset() {
        let bytes = [&[0; 30][..], b"anything", &[0; 6]].concat();
        assert_eq!(middle(&bytes), Some(27));
        assert_eq!(found(&needles(&[&bytes]), &[&[0; 9][..], &bytes].concat()), [(9, 0)]);
        assert_eq!(found(&needles(&[&[0; 16]]), &[0; 20]), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]);
    }

    #[test]
    fn what_is_shorter_than_its_anchors_is_not_looked_for() {
        assert!(!Needles::default().add(b"ten bytes."));
        assert_eq!(Needles::default().found_in(b"anything at all"), []);
    }
}
