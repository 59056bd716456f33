//! Points of P-256 and P-384 among other bytes, where nothing says that they are any.
//!
//! No other bytes satisfy a curve's equation by chance. A key is as good as random; what holds few different values is
//! none, and most of a program is spared the arithmetic. What is left is bounded, for files that are random throughout.

use std::{collections::VecDeque, ops::Range};

pub use super::curve::Order;
use super::{Algorithm, AnyKey, bare::SHARE, curve};

/// How much arithmetic one input gets, all its parts together.
#[derive(Debug)]
pub(super) struct Trials {
    /// Places tried for P-256, in both orders of bytes: an eighth of a second.
    p256: usize,
    /// Places tried for P-384, first byte first.
    p384: usize,
    /// Points that are told: more than any program holds.
    points: usize,
}

impl Default for Trials {
    fn default() -> Self {
        Self { p256: (512 << 10) / SHARE, p384: (256 << 10) / SHARE, points: 1000 }
    }
}

/// 64 random bytes hold 57 different values, give or take two.
const DIFFERENT_P256: usize = 44;

/// 96 random bytes hold 80 different values, give or take three.
const DIFFERENT_P384: usize = 66;

/// Where each place costs more than one for P-256, it has to be more varied. One key in six hundred is not.
const DIFFERENT_PAIR: usize = 50;

/// A point that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Point {
    /// Where its X and Y stand.
    pub range: Range<usize>,
    /// In which order the bytes of each of them stand.
    pub order: Order,
    /// As a key.
    pub key: AnyKey,
}

/// Every point of either curve at any offset of these bytes, as far as there are trials: every fourth offset comes first.
pub(super) fn all(bytes: &[u8], trials: &mut Trials) -> Vec<Point> {
    // No program known holds P-384 with its last byte first.
    let p384 = places(bytes, 96, DIFFERENT_P384, &mut trials.p384).into_iter();
    let p384 = p384.filter_map(|at| p384_at(bytes, at, Order::Big));
    let p256 = places(bytes, 64, DIFFERENT_P256, &mut trials.p256).into_iter().filter_map(|at| p256_at(bytes, at));
    let points: Vec<Point> = p256.chain(p384).take(trials.points).collect();
    trials.points -= points.len();
    points
}

/// The key whose X and Y these bytes are, in either order.
pub(super) fn whole(xy: &[u8]) -> Option<AnyKey> {
    let p384 = || [Order::Big, Order::Little].into_iter().find_map(|order| p384_at(xy, 0, order));
    let point = match xy.len() {
        64 => p256_at(xy, 0),
        96 => p384(),
        _ => None,
    };
    point.map(|point| point.key)
}

/// The point of P-256 that stands at this offset, in either order.
#[must_use]
fn p256_at(bytes: &[u8], at: usize) -> Option<Point> {
    let xy: &[u8; 64] = bytes.get(at..)?.first_chunk()?;
    let order = [Order::Big, Order::Little].into_iter().find(|order| curve::is_p256_point(xy, *order))?;
    let key = match order {
        Order::Big => AnyKey::from_raw(Algorithm::P256, xy),
        Order::Little => AnyKey::from_nrf5_sdk(xy),
    };
    Some(Point { range: at..at + 64, order, key: key.ok()? })
}

fn p384_at(bytes: &[u8], at: usize, order: Order) -> Option<Point> {
    let xy: &[u8; 96] = bytes.get(at..)?.first_chunk()?;
    if !curve::is_p384_point(xy, order) {
        return None;
    }
    let mut big = *xy;
    if order == Order::Little {
        big.chunks_exact_mut(48).for_each(<[u8]>::reverse);
    }
    Some(Point { range: at..at + 96, order, key: AnyKey::from_raw(Algorithm::P384, &big).ok()? })
}

/// Offsets of windows of this length that hold so many different values, as far as these trials go: if there are more,
/// those at every fourth offset, where compilers put numbers, before the others.
fn places(bytes: &[u8], len: usize, different: usize, trials: &mut usize) -> Vec<usize> {
    let most = *trials;
    let places = || varied(bytes, len, different).map(|(at, _)| at);
    let mut first: Vec<usize> = places().filter(|at| at % 4 == 0).take(most).collect();
    first.extend(places().filter(|at| at % 4 != 0).take(most - first.len()));
    *trials -= first.len();
    first
}

/// A longer stretch of bytes as good as random is compressed or encrypted, and no list of keys.
pub(super) const STRETCH: usize = 1024;

/// How far into such a stretch is looked from either end.
pub(super) const EDGE: usize = 64;

/// As [`places`], for a seed and its public key: not inside long stretches of random bytes.
pub(super) fn islands(bytes: &[u8], trials: &mut usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    let mut stretch = Stretch::default();
    for (at, different) in varied(bytes, 64, DIFFERENT_P256).chain([(usize::MAX, 0)]) {
        if stretch.next != at {
            found.extend(std::mem::take(&mut stretch).places());
        }
        stretch.take(at, different >= DIFFERENT_PAIR);
        // So many that those at every fourth offset alone are enough.
        if found.len() >= 4 * *trials + STRETCH {
            break;
        }
    }
    found.sort_by_key(|at| (at % 4 != 0, *at));
    found.truncate(*trials);
    *trials -= found.len();
    found
}

/// Windows one behind the other, each of which is varied.
#[derive(Default)]
struct Stretch {
    next: usize,
    length: usize,
    /// All of them while there are few, then those at the beginning.
    first: Vec<usize>,
    last: VecDeque<usize>,
}

impl Stretch {
    fn take(&mut self, at: usize, worth: bool) {
        self.next = at.saturating_add(1);
        self.length += 1;
        if worth && self.length <= STRETCH {
            self.first.push(at);
        }
        self.last.extend(worth.then_some(at));
        if self.last.len() > EDGE {
            self.last.pop_front();
        }
    }

    fn places(self) -> Vec<usize> {
        if self.length <= STRETCH {
            return self.first;
        }
        let begin = self.next - self.length;
        let edge = self.first.into_iter().filter(|at| *at < begin + EDGE);
        edge.chain(self.last).collect()
    }
}

/// Offsets of windows of this length that hold so many different values, and how many each holds.
fn varied(bytes: &[u8], len: usize, least: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut window = Window { counts: [0; 256], different: 0 };
    bytes.iter().enumerate().filter_map(move |(at, byte)| {
        window.take(*byte);
        if let Some(left) = at.checked_sub(len).and_then(|left| bytes.get(left)) {
            window.leave(*left);
        }
        let whole = at + 1 >= len && window.different >= least;
        whole.then(|| (at + 1 - len, window.different))
    })
}

/// How often each value stands in a window that slides.
struct Window {
    counts: [u16; 256],
    different: usize,
}

impl Window {
    fn take(&mut self, byte: u8) {
        if let Some(count) = self.counts.get_mut(usize::from(byte)) {
            *count += 1;
            self.different += usize::from(*count == 1);
        }
    }

    fn leave(&mut self, byte: u8) {
        if let Some(count) = self.counts.get_mut(usize::from(byte)) {
            *count -= 1;
            self.different -= usize::from(*count == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 88_172_645_463_325_252_u64;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..len).map(next).collect()
    }

    #[test]
    fn a_key_is_found_at_any_offset_in_either_order_and_nothing_else_is() {
        let spki = include_bytes!("../../tests/vectors/keys/p256-a.spki.der");
        let key = AnyKey::from_spki(spki).unwrap();
        let mut little = key.raw().to_vec();
        little.chunks_exact_mut(32).for_each(<[u8]>::reverse);
        for gap in 300..304 {
            let bytes = [&noise(gap)[..], key.raw(), &noise(77), &little, &noise(50)].concat();
            let found: Vec<(usize, Order)> =
                all(&bytes, &mut Trials::default()).iter().map(|one| (one.range.start, one.order)).collect();
            let mut expected = vec![(gap, Order::Big), (gap + 141, Order::Little)];
            expected.sort_by_key(|(at, _)| at % 4 != 0);
            assert_eq!(found, expected);
            assert!(all(&bytes, &mut Trials::default()).iter().all(|one| one.key == key));
        }
    }

    #[test]
    fn a_key_of_p384_is_found_first_byte_first_and_alone_in_either_order() {
        let key = AnyKey::from_spki(include_bytes!("../../tests/vectors/keys/p384-a.spki.der")).unwrap();
        let mut little = key.raw().to_vec();
        little.chunks_exact_mut(48).for_each(<[u8]>::reverse);
        assert_eq!([whole(key.raw()), whole(&little)], [Some(key.clone()), Some(key.clone())]);
        let found = all(&[&[0; 7], key.raw(), &[0xFF; 9]].concat(), &mut Trials::default());
        assert_eq!(found, [Point { range: 7..103, order: Order::Big, key }]);
    }

    #[test]
    fn a_search_ends_with_its_trials_and_begins_with_every_fourth_offset() {
        let bytes = noise(4000);
        let places = |most: usize| places(&bytes, 64, DIFFERENT_P256, &mut most.clone());
        assert_eq!(places(900), (0..900).map(|index| 4 * index).collect::<Vec<_>>());
        assert_eq!(places(5000).len(), 4000 - 63);
        assert!(super::places(&b"MOVS BX ".repeat(500), 64, DIFFERENT_P256, &mut 10).is_empty());
    }

    #[test]
    fn the_edges_of_a_long_stretch_of_noise_are_looked_at_and_all_of_a_short_one() {
        let places = |bytes: &[u8]| {
            let mut found = islands(bytes, &mut 10_000);
            found.sort_unstable();
            found
        };
        let short = places(&[&[0; 100][..], &noise(500), &[0; 100]].concat());
        assert!(short.iter().filter(|at| (100..=536).contains(*at)).count() > 420, "{short:?}");
        let long = places(&[&[0; 100][..], &noise(5000), &[0; 100]].concat());
        assert!(long.contains(&100) && long.contains(&(5100 - 64)) && !long.contains(&2000), "{long:?}");
        assert_eq!(islands(&noise(500), &mut 5), [0, 4, 8, 12, 16]);
    }
}
