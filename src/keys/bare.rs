//! Private halves without any wrapping: a scalar or seed whose public half stands in the same bytes.
//!
//! A number says nothing about itself, so each candidate is multiplied out and compared with the public keys that were
//! found. That costs some twenty-five microseconds each: candidates are taken from around the public keys, none is tried
//! twice with one key, and their number is bounded, so that a hostile file cannot make this last.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    ops::Range,
};

use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair as _,
    },
};

use super::{
    Algorithm, AnyKey, curve,
    points::{self, Point, Trials},
};

/// How far from its public half a private one is looked for, in bytes before and behind.
pub const REACH: usize = 512;

/// [`REACH`] for P-384, whose candidates cost fifteen times as much.
pub const REACH_P384: usize = 256;

/// How many candidates of one input are multiplied out at most; those of P-384 count [`P384_COST`] times.
const BUDGET: usize = 10_000 / SHARE;

/// The fuzz targets get a hundredth of all arithmetic: it is the same for every input, and hides how inputs are read.
/// [docs/fuzzing.md]
pub(super) const SHARE: usize = if cfg!(fuzzing) { 100 } else { 1 };

const P384_COST: usize = 15;

/// Up to this many bytes even numbers with few different digits are candidates, as test keys have them.
const SMALL: usize = 4096;

/// A private half: where it stands. What it is, is not kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bare {
    /// Offset of its first byte.
    pub at: usize,
    /// How many bytes it takes.
    pub len: usize,
    /// What it is, in words.
    pub form: &'static str,
}

/// Every bare private half of these public keys, which stand in these bytes at these offsets, in whatever form.
#[must_use]
pub fn beside<'k>(bytes: &[u8], keys: impl IntoIterator<Item = (&'k AnyKey, Range<usize>)>) -> Vec<Bare> {
    beside_within(bytes, keys, &mut Budget::default())
}

/// How many candidates may still be tried, and what was: one budget for all searches of one input.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    /// As `left`, for bytes that may be a pair and nothing else.
    halves: usize,
    /// Places for [`seeds`].
    pairs: usize,
    /// Places for points that nothing wraps.
    trials: Trials,
    /// By a hash of key and candidate that is another in every process: what a candidate holds is not kept.
    tried: HashMap<u64, bool>,
    hasher: RandomState,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: BUDGET,
            halves: BUDGET,
            pairs: PAIRS,
            trials: Trials::default(),
            tried: HashMap::new(),
            hasher: RandomState::new(),
        }
    }
}

impl Budget {
    /// Whether this candidate is the private half; `None` if it would have to be tried and nothing is left.
    fn spend(&mut self, sought: &Sought, candidate: &[u8]) -> Option<bool> {
        let hash = self.hasher.hash_one((&sought.public, candidate));
        if let Some(tried) = self.tried.get(&hash) {
            return Some(*tried);
        }
        self.left = self.left.checked_sub(sought.cost)?;
        let private = sought.is_private_half(candidate);
        self.tried.insert(hash, private);
        Some(private)
    }
}

/// As [`beside`], for one of several parts of an input: no part is searched once the budget is spent.
#[must_use]
pub fn beside_within<'k>(
    bytes: &[u8],
    keys: impl IntoIterator<Item = (&'k AnyKey, Range<usize>)>,
    budget: &mut Budget,
) -> Vec<Bare> {
    let mut found = Vec::new();
    for (key, public) in keys {
        let Some(sought) = Sought::of(key) else { continue };
        let (start, end) = (public.start.min(bytes.len()), public.end.min(bytes.len()));
        let before = start.saturating_sub(sought.reach)..start;
        for near in [before, end..end.saturating_add(sought.reach).min(bytes.len())] {
            let windows = bytes.get(near.clone()).unwrap_or_default().windows(sought.len);
            for (at, window) in windows.enumerate().map(|(offset, window)| (near.start + offset, window)) {
                if bytes.len() > SMALL && !looks_random(window) {
                    continue;
                }
                let Some(private) = budget.spend(&sought, window) else { return found };
                if private {
                    found.push(Bare { at, len: sought.len, form: sought.form });
                }
            }
        }
    }
    found
}

/// Whether raw bytes are a public key with its private half before or behind it.
#[must_use]
pub(super) fn is_pair(bytes: &[u8], budget: &mut Budget) -> Option<&'static str> {
    let splits = match bytes.len() {
        64 => [32, 32],
        96 | 97 => [32, bytes.len() - 32],
        144 | 145 => [48, bytes.len() - 48],
        _ => return None,
    };
    // Apart from everything else: a table of points has many bytes that could be a pair.
    let mut own = Budget { left: budget.halves, ..Budget::default() };
    let found = splits.into_iter().find_map(|at| {
        let (first, second) = bytes.split_at_checked(at)?;
        among(&[first, second], &mut own).map(|(_, form)| form)
    });
    budget.halves = own.left;
    found
}

/// What a seed or scalar of 32 bytes costs if it is multiplied out on both forms of Curve25519.
const SEED_COST: usize = 6;

/// Whether one of these values, each whole and without wrapping, is the private half of another: its number, and what it
/// is. Every value is held against every other, as long as the budget lasts.
#[must_use]
pub fn among(values: &[&[u8]], budget: &mut Budget) -> Option<(usize, &'static str)> {
    seeds_among(values, budget).or_else(|| scalars_among(values, budget))
}

fn seeds_among(values: &[&[u8]], budget: &mut Budget) -> Option<(usize, &'static str)> {
    let all: HashSet<&[u8; 32]> = values.iter().filter_map(|value| (*value).try_into().ok()).collect();
    let mut tried = HashSet::new();
    for (number, value) in values.iter().enumerate() {
        let Ok(seed) = <&[u8; 32]>::try_from(*value) else { continue };
        if all.len() < 2 || !tried.insert(seed) {
            continue;
        }
        budget.left = budget.left.checked_sub(SEED_COST)?;
        if ed25519_public(seed).is_some_and(|public| all.contains(&public)) {
            return Some((number, SEED));
        }
        if all.contains(&curve::x25519_public(seed)) {
            return Some((number, "a bare X25519 scalar beside its public key"));
        }
    }
    None
}

fn scalars_among(values: &[&[u8]], budget: &mut Budget) -> Option<(usize, &'static str)> {
    let points = values.iter().filter(|value| (64..=97).contains(&value.len())).filter_map(|value| {
        let xy = if value.len() % 2 == 1 { value.strip_prefix(&[4])? } else { value };
        points::whole(xy)
    });
    for sought in points.filter_map(|key| Sought::of(&key)) {
        for (number, value) in values.iter().enumerate().filter(|(_, value)| value.len() == sought.len) {
            if budget.spend(&sought, value)? {
                return Some((number, sought.form));
            }
        }
    }
    None
}

/// Every public key among these bytes that nothing wraps: X and Y of P-256 or P-384, in either order of bytes.
#[must_use]
pub fn points(bytes: &[u8], budget: &mut Budget) -> Vec<Point> {
    points::all(bytes, &mut budget.trials)
}

/// How many places of one input are tried for a seed beside its public key: each takes two multiplications.
const PAIRS: usize = 4000 / SHARE;

/// Seeds of Ed25519 whose public key follows or comes before at once. Nothing tells those 64 bytes from noise but that
/// most of a program is none: tried is what is as good as random, at every fourth offset first, up to four thousand
/// places, and of a stretch of more than a kilobyte its two ends.
#[must_use]
pub fn seeds(bytes: &[u8], budget: &mut Budget) -> Vec<Bare> {
    let places = points::islands(bytes, &mut budget.pairs);
    let seed = |at: usize| {
        let (first, second) = bytes.get(at..)?.first_chunk::<64>()?.split_at(32);
        let made = |seed: &[u8]| ed25519_public(seed.try_into().ok()?);
        let found = if made(first)? == second { Some(at) } else { (made(second)? == first).then_some(at + 32) };
        found.map(|at| Bare { at, len: 32, form: SEED })
    };
    places.into_iter().filter_map(seed).collect()
}

const SEED: &str = "a bare Ed25519 seed beside its public key";

fn ed25519_public(seed: &[u8; 32]) -> Option<[u8; 32]> {
    Ed25519KeyPair::from_seed_unchecked(seed).ok()?.public_key().as_ref().try_into().ok()
}

/// 32 random bytes hold 30 different values, 48 hold 44, give or take two; program text and tables hold fewer.
fn looks_random(window: &[u8]) -> bool {
    let mut seen = [false; 256];
    let new = |byte: &&u8| seen.get_mut(usize::from(**byte)).is_some_and(|seen| !std::mem::replace(seen, true));
    window.iter().filter(new).count() * 8 >= window.len() * 5
}

/// A public key whose private half is sought.
struct Sought {
    kind: Kind,
    /// As the private half makes it.
    public: Vec<u8>,
    len: usize,
    reach: usize,
    cost: usize,
    form: &'static str,
    random: SystemRandom,
}

enum Kind {
    Scalar(&'static EcdsaSigningAlgorithm),
    Seed,
}

impl Sought {
    /// RSA's private halves have no bare form, and X25519 signs nothing.
    fn of(key: &AnyKey) -> Option<Self> {
        // One is no secret, and beside the numbers of a curve it stands as such.
        if key.raw() == curve::P256_GENERATOR || key.raw() == curve::P384_GENERATOR {
            return None;
        }
        let point = || [&[4], key.raw()].concat();
        let (kind, public, len, reach, cost, form) = match key.algorithm() {
            Algorithm::P256 => {
                let kind = Kind::Scalar(&ECDSA_P256_SHA256_ASN1_SIGNING);
                (kind, point(), 32, REACH, 1, "a bare P-256 scalar beside its public key")
            }
            Algorithm::P384 => {
                let kind = Kind::Scalar(&ECDSA_P384_SHA384_ASN1_SIGNING);
                (kind, point(), 48, REACH_P384, P384_COST, "a bare P-384 scalar beside its public key")
            }
            Algorithm::Ed25519 => (Kind::Seed, key.raw().to_vec(), 32, REACH, 1, SEED),
            Algorithm::X25519 | Algorithm::Rsa2048 | Algorithm::Rsa3072 => return None,
        };
        Some(Self { kind, public, len, reach, cost, form, random: SystemRandom::new() })
    }

    fn is_private_half(&self, candidate: &[u8]) -> bool {
        match self.kind {
            Kind::Scalar(algorithm) => {
                let made = |scalar: &[u8]| {
                    EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, &self.public, &self.random).is_ok()
                };
                if made(candidate) {
                    return true;
                }
                // The nRF5 SDK holds numbers with their last byte first. [nordic-facts C6]
                let mut little = candidate.to_vec();
                little.reverse();
                let private = made(&little);
                little.fill(0);
                private
            }
            Kind::Seed => Ed25519KeyPair::from_seed_unchecked(candidate)
                .is_ok_and(|pair| pair.public_key().as_ref() == self.public),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed and its public key, as their bytes stand in a file.
    fn pair(number: u32) -> Vec<u8> {
        let mut seed = [0x5A; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        [seed, ed25519_public(&seed).unwrap()].concat()
    }

    /// Two numbers that are no pair.
    fn strangers(number: u32) -> Vec<u8> {
        [&pair(number)[..32], &pair(number + 1)[32..]].concat()
    }

    #[test]
    fn what_may_be_a_pair_is_multiplied_out_as_long_as_the_budget_of_the_input_lasts() {
        let mut budget = Budget::default();
        assert_eq!(is_pair(&pair(0), &mut budget), Some(SEED));
        let (each, enough) = (2 * SEED_COST, BUDGET / (2 * SEED_COST));
        for number in 1..=u32::try_from(enough).unwrap() {
            assert_eq!(is_pair(&strangers(number), &mut budget), None);
        }
        assert!(budget.halves < each, "{} are left", budget.halves);
        assert_eq!(is_pair(&pair(0), &mut budget), None, "nothing is tried any more");
        assert_eq!(budget.left, BUDGET, "what stands beside public keys is tried all the same");
        assert_eq!(is_pair(&pair(0), &mut Budget::default()), Some(SEED), "in the next input it is");
    }
}
