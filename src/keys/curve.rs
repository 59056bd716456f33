//! Whether bytes are a point, on the curves that no crate of ours answers for.
//!
//! None of this runs where its timing could be watched: it reads files on the desk of the person who brought them.

use std::collections::VecDeque;

use p256::elliptic_curve::bigint::{U256, U384, modular::ConstMontyForm};

mod fields {
    #![allow(missing_docs, reason = "the names are made by the macro")]
    use p256::elliptic_curve::bigint::{U256, U384, const_monty_params};

    // [RFC 7748 4.1]
    const_monty_params!(
        P25519,
        U256,
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
        "2^255 - 19."
    );
    // [SP 800-186 3.2.1.3]
    const_monty_params!(
        P256,
        U256,
        "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        "The field of P-256."
    );
    // [SP 800-186 3.2.1.4]
    const_monty_params!(
        P384,
        U384,
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
        "The field of P-384."
    );
}

type Fe = ConstMontyForm<fields::P25519, { U256::LIMBS }>;
type Fe256 = ConstMontyForm<fields::P256, { U256::LIMBS }>;
type Fe384 = ConstMontyForm<fields::P384, { U384::LIMBS }>;

const P25519: U256 = U256::from_be_hex("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed");
/// Half of the group order of the field: the exponent of Euler's criterion.
const EULER: U256 = U256::from_be_hex("3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff6");
/// d = -121665/121666. [RFC 8032 5.1]
const D: U256 = U256::from_be_hex("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3");
const P256: U256 = U256::from_be_hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
/// [SP 800-186 3.2.1.3]
const B256: U256 = U256::from_be_hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
const P384: U384 = U384::from_be_hex(
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
);
/// [SP 800-186 3.2.1.4]
const B384: U384 = U384::from_be_hex(
    "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
);

/// y of the points of order 4 and 8; those of order 1 and 2 are 1 and -1.
const SMALL_Y: [U256; 3] = [
    U256::ZERO,
    U256::from_be_hex("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7"),
    U256::from_be_hex("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826"),
];
/// u of every point of the curve and of its twist whose order divides 8. [RFC 7748 6.1]
const SMALL_U: [U256; 5] = [
    U256::ZERO,
    U256::ONE,
    U256::from_be_hex("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec"),
    U256::from_be_hex("00b8495f16056286fdb1329ceb8d09da6ac49ff1fae35616aeb8413b7c7aebe0"),
    U256::from_be_hex("57119fd0dd4e22d8868e1c58c45c44045bef839c55b1d0b1248c50a3bc959c5f"),
];

/// In which order the bytes of a coordinate stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// First byte first, as standards write numbers.
    Big,
    /// Last byte first, as the nRF5 SDK holds them. [nordic-facts C6]
    Little,
}

/// At which offsets, `step` apart, 64 bytes stand, X then Y, that are a point of P-256: y² = x³ − 3x + b.
///
/// What is Y of one place is X of another: both sides of the equation are made once for each number.
pub fn p256_points(bytes: &[u8], order: Order, step: usize) -> impl Iterator<Item = usize> + '_ {
    let mut right_sides: VecDeque<Option<Fe256>> = VecDeque::new();
    let mut last: Option<(&[u8], Sides)> = None;
    let numbers = (0_usize..).step_by(step).zip(bytes.windows(32).step_by(step));
    numbers.filter_map(move |(at, number)| {
        // Erased flash, zeros and tables of one word are the same number over and over.
        let known = last.filter(|(known, _)| *known == number).map(|(_, sides)| sides);
        let sides = known.unwrap_or_else(|| p256_sides(number, order));
        last = Some((number, sides));
        let right = if right_sides.len() == 32 / step { right_sides.pop_front().flatten() } else { None };
        right_sides.push_back(sides.map(|(_, right)| right));
        let on_curve = sides.is_some_and(|(left, _)| right == Some(left));
        on_curve.then(|| at.checked_sub(32)).flatten()
    })
}

/// The square of a number, and its x³ − 3x + b; `None` for what is no coordinate.
type Sides = Option<(Fe256, Fe256)>;

fn p256_sides(number: &[u8], order: Order) -> Sides {
    let number = match order {
        Order::Big => U256::from_be_slice(number),
        Order::Little => U256::from_le_slice(number),
    };
    let x = (number < P256).then(|| Fe256::new(&number))?;
    let square = x.square();
    Some((square, square.mul(&x).sub(&x.double()).sub(&x).add(&Fe256::new(&B256))))
}

/// The generator of P-256, X and Y. Every program that signs or verifies holds it, and it is nobody's key:
/// its private half is the number one. [SEC 2, 2.4.2]
pub const P256_GENERATOR: [u8; 64] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d,
    0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a,
    0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb,
    0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

/// The same of P-384. [SEC 2, 2.5.1]
pub(super) const P384_GENERATOR: [u8; 96] = [
    0xaa, 0x87, 0xca, 0x22, 0xbe, 0x8b, 0x05, 0x37, 0x8e, 0xb1, 0xc7, 0x1e, 0xf3, 0x20, 0xad, 0x74, 0x6e, 0x1d, 0x3b,
    0x62, 0x8b, 0xa7, 0x9b, 0x98, 0x59, 0xf7, 0x41, 0xe0, 0x82, 0x54, 0x2a, 0x38, 0x55, 0x02, 0xf2, 0x5d, 0xbf, 0x55,
    0x29, 0x6c, 0x3a, 0x54, 0x5e, 0x38, 0x72, 0x76, 0x0a, 0xb7, 0x36, 0x17, 0xde, 0x4a, 0x96, 0x26, 0x2c, 0x6f, 0x5d,
    0x9e, 0x98, 0xbf, 0x92, 0x92, 0xdc, 0x29, 0xf8, 0xf4, 0x1d, 0xbd, 0x28, 0x9a, 0x14, 0x7c, 0xe9, 0xda, 0x31, 0x13,
    0xb5, 0xf0, 0xb8, 0xc0, 0x0a, 0x60, 0xb1, 0xce, 0x1d, 0x7e, 0x81, 0x9d, 0x7a, 0x43, 0x1d, 0x7c, 0x90, 0xea, 0x0e,
    0x5f,
];

/// Whether these 96 bytes, X then Y, are a point of P-384.
pub(super) fn is_p384_point(xy: &[u8; 96], order: Order) -> bool {
    let (x, y) = xy.split_at(48);
    let number = |half: &[u8]| match order {
        Order::Big => U384::from_be_slice(half),
        Order::Little => U384::from_le_slice(half),
    };
    let (x, y) = (number(x), number(y));
    x < P384 && y < P384 && satisfies_p384(x, y)
}

/// Whether these 64 bytes, X then Y, are a point of P-256.
pub(super) fn is_p256_point(xy: &[u8; 64], order: Order) -> bool {
    let (x, y) = xy.split_at(32);
    let number = |half: &[u8]| match order {
        Order::Big => U256::from_be_slice(half),
        Order::Little => U256::from_le_slice(half),
    };
    let (x, y) = (number(x), number(y));
    x < P256 && y < P256 && satisfies_p256(x, y)
}

/// y² = x³ − 3x + b, made for searching: x and y are taken for what Montgomery's form would make of x/R and y/R, which
/// spares both conversions. With x′ = x/R and y′ = y/R the equation reads y′² = (R·x′² − 3/R)·x′ + b/R².
macro_rules! satisfies {
    ($name:ident, $field:ty, $number:ty, $b:expr) => {
        fn $name(x: $number, y: $number) -> bool {
            const R: $field = <$field>::new(&<$field>::ONE.to_montgomery());
            const THREE: $field = <$field>::from_montgomery(<$number>::from_u8(3));
            const B: $field = <$field>::from_montgomery($b).mul(&<$field>::from_montgomery(<$number>::ONE));
            let (x, y) = (<$field>::from_montgomery(x), <$field>::from_montgomery(y));
            y.square() == x.square().mul(&R).sub(&THREE).mul(&x).add(&B)
        }
    };
}

satisfies!(satisfies_p256, Fe256, U256, B256);
satisfies!(satisfies_p384, Fe384, U384, B384);

/// Whether these 32 bytes are a point of Ed25519 that can be a key: in its one encoding, on the curve, and not one of
/// the few points under which anybody can make signatures. [RFC 8032 5.1.3]
pub(super) fn is_ed25519_key(raw: &[u8; 32]) -> bool {
    let mut y = *raw;
    if let Some(last) = y.last_mut() {
        *last &= 0x7F;
    }
    let y = U256::from_le_slice(&y);
    if y >= P25519 {
        return false;
    }
    let y = Fe::new(&y);
    let (numerator, denominator) = (y.square().sub(&Fe::ONE), y.square().mul(&Fe::new(&D)).add(&Fe::ONE));
    // Nonzero, and the quotient a square: then so is the product. y = 1 and y = -1 make zero.
    let on_curve = numerator.mul(&denominator).pow_vartime(&EULER) == Fe::ONE;
    on_curve && !SMALL_Y.iter().any(|small| y == Fe::new(small))
}

/// Whether these 32 bytes can be an X25519 key: in their one encoding, and not of the few points that make every
/// shared secret zero. [RFC 7748 5, 6.1]
pub(super) fn is_x25519_key(raw: &[u8; 32]) -> bool {
    let u = U256::from_le_slice(raw);
    u < P25519 && !SMALL_U.contains(&u)
}

/// The X25519 public half of these 32 bytes. [RFC 7748 5]
pub(super) fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    let mut scalar = *secret;
    let [first, .., last] = &mut scalar;
    *first &= 0xF8;
    *last = *last & 0x7F | 0x40;
    let public = ladder(&scalar, Fe::new(&U256::from_u8(9)));
    scalar.fill(0);
    let mut raw = [0; 32];
    let words = public.retrieve();
    let little = words.to_le_bytes();
    raw.iter_mut().zip(little.as_ref() as &[u8]).for_each(|(to, from)| *to = *from);
    raw
}

/// u of the scalar's multiple of the point with this u; 0 for the neutral point. [RFC 7748 5]
fn ladder(scalar: &[u8; 32], u: Fe) -> Fe {
    let a24 = Fe::new(&U256::from_u32(121_665));
    let (mut x2, mut z2, mut x3, mut z3) = (Fe::ONE, Fe::ZERO, u, Fe::ONE);
    for bit in (0..255_usize).rev() {
        let set = scalar.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        if set {
            (x2, z2, x3, z3) = (x3, z3, x2, z2);
        }
        let (sum, difference) = (x2.add(&z2), x2.sub(&z2));
        let (da, cb) = (x3.sub(&z3).mul(&sum), x3.add(&z3).mul(&difference));
        let (aa, bb) = (sum.square(), difference.square());
        let e = aa.sub(&bb);
        (x3, z3) = (da.add(&cb).square(), u.mul(&da.sub(&cb).square()));
        (x2, z2) = (aa.mul(&bb), e.mul(&aa.add(&a24.mul(&e))));
        if set {
            (x2, z2, x3, z3) = (x3, z3, x2, z2);
        }
    }
    Option::<Fe>::from(z2.invert_vartime()).map_or(Fe::ZERO, |inverse| x2.mul(&inverse))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{bytes_from_hex, hex};

    fn raw(text: &str) -> [u8; 32] {
        bytes_from_hex(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn an_x25519_public_half_is_that_of_rfc_7748() {
        // Bob's. [RFC 7748 6.1]
        let secret = raw("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
        assert_eq!(hex(&x25519_public(&secret)), public);
    }

    #[test]
    fn a_point_of_p256_is_one_in_its_own_order_of_bytes_and_its_neighbours_are_none() {
        let generator = bytes_from_hex(
            "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
             4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        );
        let point: [u8; 64] = generator.unwrap().try_into().unwrap();
        let mut little = point;
        little.chunks_exact_mut(32).for_each(<[u8]>::reverse);
        assert!(is_p256_point(&point, Order::Big) && is_p256_point(&little, Order::Little));
        assert!(!is_p256_point(&point, Order::Little) && !is_p256_point(&little, Order::Big));
        for at in 0..64 {
            let mut other = point;
            other[at] ^= 1;
            assert!(!is_p256_point(&other, Order::Big), "byte {at}");
        }
        assert!(!is_p256_point(&[0; 64], Order::Big) && !is_p256_point(&[0xFF; 64], Order::Big));
    }

    #[test]
    fn an_ed25519_key_is_a_point_of_large_order_in_its_one_encoding() {
        assert!(is_ed25519_key(&raw("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")));
        for bad in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "0200000000000000000000000000000000000000000000000000000000000000",
        ] {
            assert!(!is_ed25519_key(&raw(bad)), "{bad}");
        }
    }

    /// One by one, by the crate that answers for this curve.
    fn points_one_by_one(bytes: &[u8], order: Order) -> Vec<usize> {
        let point = |window: &[u8]| {
            let mut xy = window.to_vec();
            if order == Order::Little {
                xy.chunks_mut(32).for_each(<[u8]>::reverse);
            }
            p256::PublicKey::from_sec1_bytes(&[&[4], &xy[..]].concat()).is_ok()
        };
        (0..)
            .step_by(4)
            .zip(bytes.windows(64).step_by(4))
            .filter(|(_, window)| point(window))
            .map(|(at, _)| at)
            .collect()
    }

    #[test]
    fn points_of_p_256_are_found_at_every_fourth_offset_in_either_order_as_one_by_one() {
        // The base point. [SP 800-186 3.2.1.3]
        let base = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                    4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let big = bytes_from_hex(base).unwrap();
        let little: Vec<u8> = big.chunks(32).flat_map(|half| half.iter().rev()).copied().collect();
        let noise: Vec<u8> = (0..200_u32).flat_map(|word| word.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
        let bytes = [
            &big[..],
            &big,
            &noise,
            &[0; 96],
            &little,
            &[0xFF; 96],
            &noise[..6],
            &big,
            &noise[..2],
            &little[32..],
            &little,
            &noise,
            &big[..63],
        ]
        .concat();
        for (order, count) in [(Order::Big, 2), (Order::Little, 2)] {
            let found: Vec<usize> = p256_points(&bytes, order, 4).collect();
            assert_eq!((&found, found.len()), (&points_one_by_one(&bytes, order), count), "{order:?}");
            // One byte farther in, every place has to be looked at.
            let odd = [&[7][..], &bytes].concat();
            let shifted: Vec<usize> = found.iter().map(|from| from + 1).collect();
            let everywhere: Vec<usize> = p256_points(&odd, order, 1).collect();
            assert!(shifted.iter().all(|from| everywhere.contains(from)), "{order:?}: {everywhere:?}");
        }
    }

    fn times_eight(u: Fe) -> Fe {
        let mut eight = [0; 32];
        eight[0] = 8;
        ladder(&eight, u)
    }

    #[test]
    fn an_x25519_key_is_in_its_one_encoding_and_of_large_order() {
        assert!(is_x25519_key(&raw("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")));
        for small in SMALL_U {
            assert_eq!(times_eight(Fe::new(&small)), Fe::ZERO);
            let little = small.to_le_bytes();
            assert!(!is_x25519_key((little.as_ref() as &[u8]).try_into().unwrap()));
        }
        assert!(!is_x25519_key(&[0xFF; 32]));
    }

    #[test]
    fn a_weak_ed25519_key_is_weak_on_the_other_form_of_the_curve_too() {
        for small in SMALL_Y {
            let y = Fe::new(&small);
            let u = Fe::ONE.add(&y).mul(&Option::<Fe>::from(Fe::ONE.sub(&y).invert_vartime()).unwrap());
            assert!(SMALL_U.contains(&u.retrieve()));
        }
    }
}
