//! Every chip family against a virtual board of it, over stock probe-rs in one process.

use std::sync::Arc;

use rootstamp::{
    chip::{self, FAMILIES, Family, Port, Reset},
    clock::Frozen,
    fixture::{in_process::Mounted, probe::ProbeWire},
    link::{Brand, Burn as _, Hand, Op, Place, Poke as _, Why, Wire},
    virtual_board::{Board, Latch, Shared, Silicon, Slot, lock, register},
};

pub(crate) struct Bench {
    pub(crate) slot: Shared,
    _mounted: Mounted,
    pub(crate) wire: ProbeWire,
}

pub(crate) fn bench(silicon: Silicon, latch: Latch) -> Bench {
    let slot = Slot::with(Board::new(silicon, latch, 0x1234_5678_9ABC_DEF0)).shared();
    let mounted = Mounted::new(Arc::clone(&slot));
    let wire = ProbeWire::new(&mounted.selector(), 4000, Arc::new(Frozen::default()));
    Bench { slot, _mounted: mounted, wire }
}

fn every_silicon(mut check: impl FnMut(&'static dyn Family, Silicon, Latch)) {
    for family in FAMILIES {
        for silicon in [Silicon::Old, Silicon::Hardened] {
            for latch in [Latch::Strict, Latch::Lenient] {
                check(*family, silicon, latch);
            }
        }
    }
}

fn port(wire: &mut dyn Wire, family: &dyn Family) -> Port {
    chip::classify(family, &mut Hand::new(wire, family.guarded())).unwrap().0
}

#[test]
fn a_virgin_board_is_erased_programmed_stamped_locked_and_closes() {
    every_silicon(|family, silicon, latch| {
        let mut bench = bench(silicon, latch);
        let wire: &mut dyn Wire = &mut bench.wire;
        let virgin = if silicon == Silicon::Old { Port::Open } else { Port::Closed };
        assert_eq!(port(wire, family), virgin, "{silicon:?} {latch:?}");

        family.erase(&mut Brand::new(wire, family.guarded())).unwrap();
        let image: Vec<u32> = (0..5000_u32).map(|word| word.wrapping_mul(0x9E37_79B9)).collect();
        let mut told = Vec::new();
        let at = family.flash().start + 0x1000;
        family
            .program(&mut Hand::new(wire, family.guarded()), at, &image, &mut |done, all| told.push((done, all)))
            .unwrap();
        assert_eq!(told.last(), Some(&(20_000, 20_000)));
        let read = family.read(&mut Hand::new(wire, family.guarded()), at, 5000, &mut |_, _| ()).unwrap();
        assert!(read == image, "{silicon:?} {latch:?}");

        let words = family.lock_words();
        family.burn_words(&mut Brand::new(wire, family.guarded()), &words).unwrap();
        family.park(&mut Hand::new(wire, family.guarded())).unwrap();
        family.reset(&mut Hand::new(wire, family.guarded()), Reset::Soft).unwrap();
        let after_soft = port(wire, family);
        let expected = if latch == Latch::Strict { Port::Closed } else { Port::Open };
        assert_eq!(after_soft, expected, "{silicon:?} {latch:?}");
        family.reset(&mut Hand::new(wire, family.guarded()), Reset::Pin).unwrap();
        assert_eq!(port(wire, family), Port::Closed, "{silicon:?} {latch:?}");
        assert!(lock(&bench.slot).board().unwrap().violations().is_empty());
    });
}

#[test]
fn no_reset_cuts_into_an_erase_that_lost_its_cable() {
    // CTRL-AP, ERASEALL. [nordic-facts A0.2]
    let erase = Op::Write { to: Place::Ap { ap: 1, register: 0x04 }, words: vec![1] };
    every_silicon(|family, silicon, latch| {
        let mut bench = bench(silicon, latch);
        let wire: &mut dyn Wire = &mut bench.wire;
        port(wire, family);
        Brand::new(wire, family.guarded()).burn(vec![erase.clone()]).unwrap();
        family.reset(&mut Hand::new(wire, family.guarded()), Reset::Soft).unwrap();
        assert_eq!(lock(&bench.slot).board().unwrap().violations(), [], "{silicon:?} {latch:?}");
    });
}

#[test]
fn chip_and_board_agree_with_the_vendors_dump_on_every_register() {
    for family in FAMILIES {
        for (name, place) in family.registers() {
            let Place::Memory { at, .. } = place else { panic!("{name} is no memory") };
            assert_eq!(register(name), Some(*at), "{} {name}", family.name());
        }
        let spots = family.areas().iter().flat_map(|&(area, words)| (0..words).map(move |index| (area, index)));
        for (area, index) in spots {
            let dumped = register(&format!("{}[{index}]", area.to_uppercase()));
            assert_eq!(family.spot(area, index), dumped, "{area}[{index}]");
        }
        for &(area, words) in family.areas() {
            assert_eq!(family.spot(area, words), None);
        }
    }
}

#[test]
fn every_family_closes_with_a_word_that_the_vendor_calls_enabled_and_guards_it() {
    for family in FAMILIES {
        for word in family.lock_words() {
            assert_eq!(register(&word.name.to_uppercase()), Some(word.at));
            let mut wire = bench(Silicon::Hardened, Latch::Strict).wire;
            let write = Op::Write { to: chip::memory(word.at), words: vec![word.value] };
            let refused = Hand::new(&mut wire, family.guarded()).poke(vec![write]).unwrap_err();
            assert_eq!(refused.why, Why::Misuse);
        }
    }
}
