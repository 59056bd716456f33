//! Where the bootloader's storage may begin, chip by chip. [nordic-facts B1]

use super::{MAX_AREA, OTP_NRF54L, Width};

/// A place where the storage may begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Home {
    pub(super) base: u32,
    /// How long it is in Nordic's own layouts, in bytes.
    pub(super) size: u32,
    /// More than this is not there, in bytes.
    most: u32,
    pub(super) width: Width,
    /// How the names of its chips begin.
    chips: &'static str,
    pub(super) what: &'static str,
}

/// OTP of an nRF5340 and of an nRF91 in bytes; of an nRF54L, OTP[0..319].
pub(super) const HOMES: [Home; 4] = [
    Home {
        base: 0x00FF_8100,
        size: 0x280,
        most: 764,
        width: Width::Two,
        chips: "nRF5340",
        what: "the OTP of an nRF5340's application core",
    },
    Home { base: 0x00FF_8108, size: 0x280, most: 756, width: Width::Two, chips: "nRF91", what: "the OTP of an nRF91" },
    Home {
        base: 0x0100_8580,
        size: 0x280,
        most: 0x280,
        width: Width::Two,
        chips: "nRF5340",
        what: "the flash of an nRF5340's network core",
    },
    Home {
        base: OTP_NRF54L,
        size: 0x460,
        most: 0x500,
        width: Width::Four,
        chips: "nRF54L",
        what: "the OTP of an nRF54L",
    },
];

/// The chips whose storage is a page of flash, wherever the build puts it.
const PAGED: &str = "nRF52";

/// The home at this address, if storage can begin there. Flash pages are build dependent: any page below 2 MiB.
pub(super) fn home(base: u32) -> Option<Home> {
    let what = "a page of flash";
    let page = Home { base, size: MAX_AREA, most: MAX_AREA, width: Width::Two, chips: PAGED, what };
    let fixed = HOMES.into_iter().find(|home| home.base == base);
    fixed.or((base > 0 && base < 0x20_0000 && base.is_multiple_of(0x1000)).then_some(page))
}

/// The memory that a bootloader's storage takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Area {
    /// How long it is, in bytes: as asked, or as Nordic's own layouts have it.
    pub size: u32,
    /// How much of it takes one write.
    pub width: Width,
}

/// The storage of this chip that begins here and is so long, if that is said.
///
/// # Errors
/// Why this chip has none there, or none so long.
pub fn area(chip: &str, base: u32, size: Option<u32>) -> Result<Area, String> {
    let of = |chips: &str| chip.get(..chips.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(chips));
    let Some(home) = home(base).filter(|home| of(home.chips)) else { return Err(elsewhere(chip, base, of)) };
    match size {
        Some(size) if size == 0 || size > home.most => {
            Err(format!("{size} bytes of storage; {} has at most {}", home.what, home.most))
        }
        Some(_) | None => Ok(Area { size: size.unwrap_or(home.size), width: home.width }),
    }
}

fn elsewhere(chip: &str, base: u32, of: impl Fn(&str) -> bool) -> String {
    let places: Vec<String> =
        HOMES.iter().filter(|home| of(home.chips)).map(|home| format!("0x{:08X} ({})", home.base, home.what)).collect();
    let known = match &places[..] {
        [] if of(PAGED) => "begins at a page of flash, a multiple of 0x1000 above 0".to_owned(),
        [] => return format!("nothing is known of NSIB's storage on {chip}"),
        places => format!("begins at {}", places.join(" or ")),
    };
    format!("NSIB's storage does not begin at 0x{base:08X} on {chip}: there it {known}")
}
