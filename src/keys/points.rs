//! Points of P-256 and P-384 among other bytes, where nothing says that they are any.
//!
//! No other bytes satisfy a curve's equation by chance. A key is as good as random; what holds few different values is
//! none, and most of a program is spared the arithmetic. What is left is bounded, for files that are random throughout.

use std::ops::Range;

pub use super::curve::Order;
use super::{Algorithm, AnyKey, curve};

/// How much arithmetic one input gets, all its parts together.
#[derive(Debug)]
pub(super) struct Trials {
    /// Places tried for P-256, in both orders of bytes: an eighth of a second.
    p256: usize,
    /// Places tried for P-384, whose arithmetic takes twice as long.
    p384: usize,
    /// Points that are told: more than any program holds.
    points: usize,
}

impl Default for Trials {
    fn default() -> Self {
        Self { p256: 512 << 10, p384: 256 << 10, points: 1000 }
    }
}

/// 64 random bytes hold 57 different values, give or take two.
pub(super) const DIFFERENT_P256: usize = 44;

/// 96 random bytes hold 80 different values, give or take three.
const DIFFERENT_P384: usize = 62;

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
    let p384 = places(bytes, 96, DIFFERENT_P384, &mut trials.p384).into_iter().filter_map(|at| p384_at(bytes, at));
    let p256 = places(bytes, 64, DIFFERENT_P256, &mut trials.p256).into_iter().filter_map(|at| p256_at(bytes, at));
    let points: Vec<Point> = p256.chain(p384).take(trials.points).collect();
    trials.points -= points.len();
    points
}

/// Every point of P-256 at any offset whose 64 bytes are as varied as those of a key, as far as this many trials go.
pub fn of_p256(bytes: &[u8], trials: &mut usize) -> Vec<Point> {
    places(bytes, 64, DIFFERENT_P256, trials).into_iter().filter_map(|at| p256_at(bytes, at)).collect()
}

/// The key whose X and Y these bytes are, in either order.
pub(super) fn whole(xy: &[u8]) -> Option<AnyKey> {
    let point = if xy.len() == 64 { p256_at(xy, 0) } else { p384_at(xy, 0).filter(|_| xy.len() == 96) };
    point.map(|point| point.key)
}

/// The point of P-256 that stands at this offset, in either order.
#[must_use]
pub fn p256_at(bytes: &[u8], at: usize) -> Option<Point> {
    let xy: &[u8; 64] = bytes.get(at..)?.first_chunk()?;
    let order = [Order::Big, Order::Little].into_iter().find(|order| curve::is_p256_point(xy, *order))?;
    let key = match order {
        Order::Big => AnyKey::from_raw(Algorithm::P256, xy),
        Order::Little => AnyKey::from_nrf5_sdk(xy),
    };
    Some(Point { range: at..at + 64, order, key: key.ok()? })
}

fn p384_at(bytes: &[u8], at: usize) -> Option<Point> {
    let xy: &[u8; 96] = bytes.get(at..)?.first_chunk()?;
    let order = [Order::Big, Order::Little].into_iter().find(|order| curve::is_p384_point(xy, *order))?;
    let mut big = *xy;
    if order == Order::Little {
        big.chunks_exact_mut(48).for_each(<[u8]>::reverse);
    }
    Some(Point { range: at..at + 96, order, key: AnyKey::from_raw(Algorithm::P384, &big).ok()? })
}

/// Offsets of windows of this length that hold so many different values, as far as these trials go: if there are more,
/// those at every fourth offset, where compilers put numbers, before the others.
pub(super) fn places(bytes: &[u8], len: usize, different: usize, trials: &mut usize) -> Vec<usize> {
    let most = *trials;
    let mut first: Vec<usize> = varied(bytes, len, different).filter(|at| at % 4 == 0).take(most).collect();
    let others = varied(bytes, len, different).filter(|at| at % 4 != 0).take(most - first.len());
    first.extend(others);
    *trials -= first.len();
    first
}

/// Offsets of windows of this length that hold so many different values.
fn varied(bytes: &[u8], len: usize, least: usize) -> impl Iterator<Item = usize> {
    let mut window = Window { counts: [0; 256], different: 0 };
    bytes.iter().enumerate().filter_map(move |(at, byte)| {
        window.take(*byte);
        if let Some(left) = at.checked_sub(len).and_then(|left| bytes.get(left)) {
            window.leave(*left);
        }
        let whole = at + 1 >= len && window.different >= least;
        whole.then(|| at + 1 - len)
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
        let little = key.nrf5_sdk().unwrap();
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
    fn a_key_of_p384_is_found_in_either_order() {
        let key = AnyKey::from_spki(include_bytes!("../../tests/vectors/keys/p384-a.spki.der")).unwrap();
        let mut little = key.raw().to_vec();
        little.chunks_exact_mut(48).for_each(<[u8]>::reverse);
        for (xy, order) in [(key.raw(), Order::Big), (&little, Order::Little)] {
            let found = all(&[&[0; 7], xy, &[0xFF; 9]].concat(), &mut Trials::default());
            assert_eq!(found, [Point { range: 7..103, order, key: key.clone() }]);
        }
    }

    #[test]
    fn a_search_ends_with_its_trials_and_begins_with_every_fourth_offset() {
        let bytes = noise(4000);
        let places = |most: usize| places(&bytes, 64, DIFFERENT_P256, &mut most.clone());
        assert_eq!(places(900), (0..900).map(|index| 4 * index).collect::<Vec<_>>());
        assert_eq!(places(5000).len(), 4000 - 63);
        assert!(super::places(&b"MOVS BX ".repeat(500), 64, DIFFERENT_P256, &mut 10).is_empty());
    }
}
