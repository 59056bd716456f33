//! Many strings of bytes, looked for all at once wherever they stand.
//!
//! Keys of one kind begin alike. Each needle is therefore known by eight bytes out of its middle, where a key is as
//! good as random: a file made of nothing but beginnings costs no more than any other.

use std::{cmp::Reverse, collections::HashMap};

/// How many bytes a needle is known by; shorter ones are not looked for.
const ANCHOR: usize = 8;

/// So many different bytes make an anchor that does not stand in every table of zeros.
const VARIED: usize = 6;

/// Strings of bytes, numbered in the order in which they were added.
#[derive(Clone, Default)]
pub(super) struct Needles {
    all: Vec<Needle>,
    by_anchor: HashMap<[u8; ANCHOR], Vec<usize>>,
    /// Whether any anchor begins with this pair of bytes: most offsets of an image end here.
    by_pair: Vec<bool>,
}

#[derive(Clone)]
struct Needle {
    bytes: Vec<u8>,
    anchor: usize,
}

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
        let Some((at, anchor)) = anchor(bytes) else { return false };
        if self.by_pair.is_empty() {
            self.by_pair = vec![false; 1 << 16];
        }
        if let Some(known) = self.by_pair.get_mut(pair(anchor)) {
            *known = true;
        }
        self.by_anchor.entry(anchor).or_default().push(self.all.len());
        self.all.push(Needle { bytes: bytes.to_vec(), anchor: at });
        true
    }

    /// Each of them, wherever it stands: in order of offset, the longest first.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Vec<Found> {
        let windows = bytes.windows(ANCHOR).enumerate().filter_map(|(at, window)| Some((at, window.first_chunk()?)));
        let likely = windows.filter(|(_, window)| self.by_pair.get(pair(**window)).copied().unwrap_or_default());
        let mut found: Vec<Found> = likely.flat_map(|(at, window)| self.around(bytes, at, window)).collect();
        found.sort_unstable_by_key(|found| (found.at, Reverse(found.len), found.needle));
        found
    }

    /// The needles whose anchor stands here, if the rest of them does too.
    fn around(&self, bytes: &[u8], at: usize, window: &[u8; ANCHOR]) -> impl Iterator<Item = Found> {
        let numbers = self.by_anchor.get(window).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().filter_map(move |&number| {
            let needle = self.all.get(number)?;
            let from = at.checked_sub(needle.anchor)?;
            let whole = bytes.get(from..)?.starts_with(&needle.bytes);
            whole.then_some(Found { at: from, len: needle.bytes.len(), needle: number })
        })
    }
}

fn pair([first, second, ..]: [u8; ANCHOR]) -> usize {
    usize::from(u16::from_be_bytes([first, second]))
}

/// The first eight bytes from the middle on that are varied, or else those in the middle.
fn anchor(bytes: &[u8]) -> Option<(usize, [u8; ANCHOR])> {
    let middle = bytes.len().checked_sub(ANCHOR)? / 2;
    let windows = bytes.windows(ANCHOR).enumerate().skip(middle);
    let mut anchors = windows.filter_map(|(at, window)| Some((at, *window.first_chunk()?)));
    let first = anchors.next()?;
    let varied = |anchor: &[u8; ANCHOR]| {
        let new = |(index, byte): (usize, &u8)| !anchor.iter().take(index).any(|before| before == byte);
        anchor.iter().enumerate().filter(|(index, byte)| new((*index, byte))).count() >= VARIED
    };
    if varied(&first.1) { Some(first) } else { anchors.find(|(_, anchor)| varied(anchor)).or(Some(first)) }
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
        let needles = needles(&[b"23456789", b"0123456789abcdef", b"0123456789"]);
        assert_eq!(found(&needles, b"0123456789abcdef"), [(0, 1), (0, 2), (2, 0)]);
        assert_eq!(found(&needles, b"..0123456789"), [(2, 2), (4, 0)]);
        assert_eq!(found(&needles, b"0123456 789abcdef"), []);
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
    fn a_needle_that_is_mostly_zeros_is_known_by_the_rest_of_it() {
        let bytes = [&[0; 30][..], b"anything", &[0; 6]].concat();
        assert_eq!(anchor(&bytes).unwrap().0, 27);
        assert_eq!(found(&needles(&[&bytes]), &[&[0; 9][..], &bytes].concat()), [(9, 0)]);
        assert_eq!(found(&needles(&[&[0; 9]]), &[0; 10]), [(0, 0), (1, 0)]);
    }

    #[test]
    fn what_is_shorter_than_an_anchor_is_not_looked_for() {
        assert!(!Needles::default().add(b"seven b"));
        assert_eq!(Needles::default().found_in(b"anything at all"), []);
    }
}
