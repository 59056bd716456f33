//! Random walks of keys and news: nothing panics, and PASS is never on the screen unless the session said so.

use proptest::prelude::*;
use rootstamp::{
    clock::Stamp,
    ident::Mode,
    session::news::{Event, Outcome, Presence, Progress, Site, Tally},
    ui::{keys::KeyName, look::Look, update::What},
};

use super::bench::*;

/// What may happen next; PASS and the help page, which explains the word, are walked apart.
fn happening() -> impl Strategy<Value = What> {
    let news = event().prop_map(|event| What::News(Box::new(event)));
    let text = "[A-OQ-Z0-9 \u{1b}\u{202e}日-]{0,80}";
    prop_oneof![6 => news, 4 => key().prop_map(What::Key), 1 => text.prop_map(What::Paste), 2 => Just(What::Tick)]
}

fn key() -> impl Strategy<Value = KeyName> {
    let named = [
        KeyName::Enter,
        KeyName::Feed,
        KeyName::Tab,
        KeyName::Backspace,
        KeyName::Escape,
        KeyName::Up,
        KeyName::Down,
        KeyName::Left,
        KeyName::Right,
        KeyName::PageUp,
        KeyName::PageDown,
        KeyName::Interrupt,
    ];
    let text = prop_oneof![Just('1'), Just('2'), Just('K'), Just('\u{9b}'), Just('語')];
    prop_oneof![text.prop_map(KeyName::Char), proptest::sample::select(named.to_vec()), (2u8..=12).prop_map(KeyName::F),]
}

fn event() -> impl Strategy<Value = Event> {
    let site = || (0usize..4).prop_map(Site);
    let label = || proptest::sample::select(&["GW3-0000001A", "GW3-0000002B"][..]).prop_map(serial);
    let presence = prop_oneof![Just(Presence::Absent), Just(Presence::Fresh), Just(Presence::Served)];
    let progress = prop_oneof![
        Just(Progress::Begun),
        Just(Progress::Done),
        Just(Progress::Stopped),
        (any::<u64>(), any::<u64>()).prop_map(|(done, total)| Progress::Going { done, total }),
    ];
    let step = proptest::sample::select(&STEPS[..]);
    let at = Stamp("2026-01-01T00:00:00.000Z".into());
    prop_oneof![
        4 => (site(), presence).prop_map(|(site, presence)| Event::Board { site, presence }),
        4 => (site(), label()).prop_map(move |(site, serial)| Event::Started { site, serial, at: at.clone() }),
        4 => (site(), step, progress, any::<u32>()).prop_map(|(site, step, progress, at)| Event::Step {
            site,
            step: step.to_owned(),
            progress,
            at: rootstamp::clock::Millis(at.into()),
        }),
        4 => (site(), other_than_pass()).prop_map(|(site, outcome)| Event::Verdict { site, outcome }),
        2 => site().prop_map(|site| Event::Binned { site }),
        2 => site().prop_map(|site| Event::Ask { site, what: "Switch the power off and on.".into() }),
        2 => (label(), proptest::collection::vec(site(), 0..4)).prop_map(|(serial, sites)| Event::WhichSite { serial, sites }),
        1 => any::<[u64; 3]>().prop_map(|[passed, first_passed, first_ended]| {
            Event::Tally(Tally { passed, first_passed, first_ended, ..Tally::default() })
        }),
        1 => Just(line_holds()),
        1 => Just(Event::ScanRefused { read: "x".into(), why: "too short".into() }),
        1 => (1usize..4).prop_map(|sites| Event::Opened(bench(sites, Mode::Engineering))),
    ]
}

fn other_than_pass() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(fail()), Just(retry()), Just(hold()), Just(done_already())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_walk_panics_or_shows_a_pass_that_nobody_gave(
        walk in proptest::collection::vec((happening(), 0u64..400), 1..60),
        size in prop_oneof![Just(SMALL), Just(LARGE), (1u16..200, 1u16..60)],
        look in prop_oneof![Just(Look::RICH), Just(POOR)],
    ) {
        let mut screen = Screen::closed(look);
        for (what, later) in walk {
            screen.at += later;
            screen.take(what);
            let text = screen.draw(size).backend().to_string();
            prop_assert!(!text.contains("PASS"), "{text}");
        }
    }

    #[test]
    fn after_any_walk_a_pass_is_shown_at_once_and_a_removed_board_clears_it(
        walk in proptest::collection::vec((happening(), 0u64..400), 1..40),
    ) {
        let mut screen = Screen::closed(Look::RICH);
        for (what, later) in walk {
            screen.at += later;
            screen.take(what);
        }
        screen.hear(Event::Opened(bench(1, Mode::Engineering)));
        screen.verdict(0, pass("boot seen"));
        prop_assert!(screen.row(3).contains("PASS"), "{}", screen.text());
        screen.board(0, Presence::Absent);
        prop_assert!(!screen.text().contains("PASS"));
    }
}
