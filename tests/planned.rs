//! `check` says what every unit becomes: held against the board that was built of it, and against its own page.

use std::{collections::BTreeSet, fs, sync::Arc};

use rootstamp::{
    ident::Digest,
    plan,
    session::news::Verdict,
    virtual_board::{Latch, Silicon, Slot, lock},
};
use serde_json::Value;

use crate::{
    boots::{UICR, sdk, three_stages},
    check::run,
    crosscheck::{chain, declared, encrypted, key, nsib, private, provision, read, released},
    device_keys,
    inspect::page::{documented, fields},
    line::{Line, project, virgin},
    recipe::{APPLICATION, Lot, bootloader_with},
    several::{NUMBERED, two},
    stamps::NRF52840,
};

const SERIAL: &str = "T1-00001D";

fn planned(lot: &Lot) -> Value {
    let output = run(lot, &["check", "--recipe", "lot.toml", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    told["planned"].clone()
}

fn words(lot: &Lot) -> String {
    let output = run(lot, &["check", "--recipe", "lot.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn number(text: &Value) -> u32 {
    u32::from_str_radix(text.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
}

/// The board's own cells, not what the station read of them.
struct Cells {
    flash: Vec<u8>,
    uicr: Vec<u8>,
}

impl Cells {
    /// UICR begins at 0x10001000. [SVD UICR]
    fn word(&self, at: u32) -> u32 {
        let from = (at - 0x1000_1000) as usize;
        u32::from_le_bytes(self.uicr[from..from + 4].try_into().unwrap())
    }

    /// Everything that is not said to be programmed is as an erase leaves it.
    fn hold(&self, planned: &Value) {
        let mut rest = self.flash.clone();
        for region in planned["regions"].as_array().unwrap() {
            let range = number(&region["at"]) as usize..number(&region["end"]) as usize;
            assert_eq!(region["sha256"], Digest::of(&self.flash[range.clone()]).to_string(), "{region}");
            rest[range].fill(0xFF);
        }
        assert!(rest.iter().all(|byte| *byte == 0xFF));
        let mut untold: BTreeSet<u32> =
            (0x1000_1000..0x1000_1000 + u32::try_from(self.uicr.len()).unwrap()).step_by(4).collect();
        let both = [&planned["words"], &planned["lock"]];
        for word in both.into_iter().flat_map(|words| words.as_array().unwrap()) {
            let (at, mask) = (number(&word["at"]), number(&word["mask"]));
            assert_eq!(self.word(at) & mask, number(&word["value"]) & mask, "{word}");
            untold.remove(&at);
        }
        let serial = &planned["serial"];
        let length = 4 * usize::try_from(serial["words"].as_u64().unwrap()).unwrap();
        let first = number(&serial["at"]);
        let stamped = (first..first + u32::try_from(length).unwrap()).step_by(4);
        let text: Vec<u8> = stamped.clone().flat_map(|at| self.word(at).to_le_bytes()).collect();
        assert_eq!(String::from_utf8_lossy(&text).trim_end_matches('\u{FFFD}'), SERIAL);
        stamped.for_each(|at| assert!(untold.remove(&at)));
        assert!(untold.iter().all(|at| self.word(*at) == u32::MAX), "more was written than was told");
    }
}

fn built(lot: &Lot) -> Cells {
    let lot = plan::lot(read(lot)).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut line = Line::new(Arc::new(lot), Slot::with(virgin(Silicon::Hardened, Latch::Strict, 0x51)).shared());
    assert_eq!(line.scan(SERIAL).verdict, Verdict::Pass);
    let slot = lock(&line.slot);
    let board = slot.board().unwrap();
    Cells { flash: board.flash(), uicr: board.uicr() }
}

#[test]
fn a_finished_board_holds_what_check_said_and_nothing_else() {
    let lot = Lot::good();
    built(&lot).hold(&planned(&lot));
}

#[test]
#[should_panic(expected = "more was written than was told")]
fn a_word_that_check_kept_to_itself_is_found_on_the_board() {
    let lot = Lot::good();
    let mut told = planned(&lot);
    told["words"].as_array_mut().unwrap().pop();
    // The last slot of the counter is empty, the one that goes with the first is not.
    told["words"].as_array_mut().unwrap().remove(0);
    built(&lot).hold(&told);
}

#[test]
fn people_are_told_keys_versions_places_and_words() {
    let root = key("p256-a").spki_sha256().to_string();
    let told = words(&Lot::good()).split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "T1 is Smallest recipe",
        "chip nRF52840, build code Fxx or later; boards arrive closed",
        "labels T1-[0-9]{5}[0-9A-Z]",
        &format!("key root: P-256, spki_sha256 {root}"),
        "flash 0x00000000..0x00000110 bootloader: mcuboot, keys hw-key, trusts root; images/stand-in-smallest-bootloader.hex",
        "application: mcuboot-image version 1.0.0+0, security counter 1, signed by root; images/",
        "UICR 0x10001304 uicr.regout0 = 0xFFFFFFFD",
        "key hash 0x10001080, 8 words, read by mcuboot-hw-key: SHA-256 of the SubjectPublicKeyInfo of root",
        "counter 0x100010A0, 16 words, read by mcuboot-hw-key: begins at 1",
        "serial 0x100010E0, 3 words: each unit's own",
        "lock 0x10001208 uicr.approtect = 0x00000000",
        "would boot yes, as far as files tell",
        "boot seen the console must say \"T1 boot 1.0.0\" within 500 ms",
        "golden state what a finished unit is compared with: sha256",
        "whole: no problem was found",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let silent = Lot::good();
    let silent = Lot { recipe: silent.recipe.split("[boot]").next().unwrap().to_owned(), ..silent };
    assert!(words(&silent).contains("boot seen     no: the recipe names nothing to see"));
    let wide: Vec<String> =
        words(&Lot::good()).lines().filter(|line| line.chars().count() > 80).map(str::to_owned).collect();
    assert!(wide.is_empty(), "{wide:?}");
}

#[test]
fn what_is_special_about_a_lot_is_told_in_its_own_line() {
    let keyed = device_keys::on_disk();
    let decrypting = declared(bootloader_with(&private("p256-d")), "p256-d");
    let fingerprint = key("p256-d").spki_sha256();
    let needed = declared(bootloader_with(&private("p256-d")), "p256-d").with_file(APPLICATION, encrypted(0x32, 113));
    assert!(!words(&needed).contains("nothing needs it"));
    for (lot, lines) in [
        (keyed, vec!["own keys one for each of 2 units, from table.csv", "each unit's own key at 0x00000200"]),
        (
            decrypting,
            vec![&*format!("decryption a key inside the bootloader, spki_sha256 {fingerprint}"), "nothing needs it"],
        ),
        (needed, vec!["security counter 1, its updates encrypted, signed by root"]),
        (released(|_| ()), vec!["release ", "release.json signed by"]),
        (
            NRF52840.lot(),
            vec!["nsib-provision", "would boot nothing speaks against it", "where it looks for its storage"],
        ),
    ] {
        let told = words(&lot).split_whitespace().collect::<Vec<_>>().join(" ");
        for line in lines {
            assert!(told.contains(line), "{line}\n{told}");
        }
    }
}

#[test]
fn what_files_cannot_tell_of_the_boot_is_open_and_never_a_yes() {
    let lot = device_keys::on_disk();
    let told = planned(&lot);
    let open = told["would_boot"]["undecided"].as_array().unwrap();
    assert!(
        !open.is_empty() && words(&lot).contains("nothing speaks against it; the notes say what is open"),
        "{told}"
    );
    assert_eq!(planned(&Lot::good())["would_boot"], "yes");
}

#[test]
fn every_field_that_check_tells_is_in_the_page_about_it() {
    let lots = [Lot::good(), device_keys::on_disk(), released(|_| ()), sdk(UICR), three_stages(), two(NUMBERED)];
    let more = [NRF52840.lot(), nsib(provision("nrf52840-1key")), chain("ed25519-a")];
    let told: Vec<Value> = lots.iter().chain(&more).map(planned).collect();
    let refused =
        run(&Lot::good().with("approtect = true", "approtect = false"), &["check", "--recipe", "lot.toml", "--json"]);
    let refused: Value = serde_json::from_slice(&refused.stdout).unwrap();
    let mut all = BTreeSet::new();
    told.iter().chain([&refused]).for_each(|report| fields(report, &mut all));
    assert!(all.len() > 40, "{all:?}");
    let page = fs::read_to_string(project("docs/check.md")).unwrap();
    let known = documented(&page);
    let missing: Vec<&&str> = all.iter().filter(|field| !known.contains(*field)).collect();
    assert!(missing.is_empty(), "docs/check.md does not say what these are: {missing:?}");
}
