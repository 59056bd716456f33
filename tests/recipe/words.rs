//! What a person writes into a recipe, and what is told of each word that is wrong.

use std::fs;

use rootstamp::{
    fault::{Exit, all_at_once},
    ident::Mode,
    recipe,
};

use super::{BOOTLOADER, Lot, bytes, project, spoilt, told};

#[test]
fn a_recipe_with_five_mistakes_gets_five_messages_with_positions() {
    let lot = Lot::good()
        .with("title   =", "titel   =")
        .with("arrives = \"blank\"", "arrives = \"blnak\"")
        .with("slots   = 16", "slots   = \"16\"")
        .with("approtect = true", "aprotect = true")
        .with("P0.18", "P2.18");
    let problems = lot.problems();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "did you mean `title`?",
        "did you mean `blank`?",
        "`pselreset` must be a pin",
        "`slots` must be a whole number",
        "did you mean `approtect`?",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for expected in expected {
        assert!(told.iter().any(|told| told.contains(expected)), "{expected}: {told:#?}");
    }
    assert!(problems.iter().all(|problem| problem.line.is_some() && problem.column.is_some()));
    let fault = all_at_once(&problems);
    assert_eq!((fault.exit, fault.causes.len()), (Exit::Usage, 5));
}

#[test]
fn toml_that_is_torn_is_told_with_what_else_is_wrong() {
    let lot = Lot::good().with("schema  = 1", "schema  = ").with("\"blank\"", "\"blnak\"");
    let told: Vec<String> = lot.problems().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("lot.toml:3:") && told[0].contains("not TOML"), "{told:#?}");
    assert!(told[1].contains("did you mean `blank`?"), "{told:#?}");
}

#[test]
fn a_word_that_is_wrong_in_itself_is_told_where_it_stands() {
    for (from, to, expected) in [
        ("schema  = 1", "schema  = 2", "must be 1"),
        ("ships = \"closed\"", "ships = \"shut\"", "one of: open, closed"),
        ("T1-[0-9]{5}[0-9A-Z]", "T1-[0-9]{5}[0-9A-Y]", "check character"),
        ("iso7064-mod37-36", "iso7064-mod37-2", "did you mean `iso7064-mod37-36`?"),
        ("is     = \"mcuboot\"", "is     = \"mcubot\"", "did you mean `mcuboot`?"),
        ("keys   = \"hw-key\"", "keys   = \"hwkey\"", "did you mean `hw-key`?"),
        ("\"3.3V\"", "\"3.2V\"", "`regout0` = \"3.2V\" is not known"),
        ("\"gpio\"", "\"gipo\"", "did you mean `gpio`?"),
        ("\"spki-sha256\"", "\"raw-sha256\"", "did you mean `spki-sha256`?"),
        ("\"uicr.customer[0]\"", "\"uicr.customer\"", "must be a word as in"),
        ("\"uicr.customer[24]\"", "\"UICR.customer[24]\"", "must be a word as in"),
        ("slots   = 16", "slots   = 0", "at least 1"),
        ("within_ms = 500", "within_ms = 0", "from 1 to 60000"),
        ("within_ms = 500", "within_ms = 60001", "from 1 to 60000"),
        ("product = \"T1\"", "product = \"T1-IS-MUCH-TOO-LONG\"", "longer than 16"),
        ("approtect = true", "approtect = \"yes\"", "true or false"),
    ] {
        spoilt(from, to, expected);
    }
}

#[test]
fn a_counter_that_no_slot_can_hold_is_refused() {
    let problems = Lot::good().with("initial = 1", "initial = 17").problems();
    assert!(problems.iter().any(|problem| problem.what.contains("above the 16 `slots`")), "{problems:#?}");
}

#[test]
fn a_title_or_console_text_with_characters_that_nobody_can_see_is_refused() {
    for hidden in ["\\u001b[31m", "\\u202e", "\\u200b", "\\u0007"] {
        let lot = Lot::good().with("title   = \"", &format!("title   = \"{hidden}"));
        told(&lot, "characters that nobody can see");
    }
}

#[test]
fn what_other_chips_and_later_releases_have_is_named_as_such() {
    for (from, to, expected) in [
        ("approtect = true", "approtect = true\nsecure = true", "does not exist on this chip"),
        ("approtect = true", "approtect = true\nnetwork = true", "one core"),
        ("approtect = true", "approtect = true\nerase = false", "ERASEPROTECT"),
        ("[stamp.serial]", "[stamp.bootconf]\nprotect_kib = 30\n[stamp.serial]", "only nRF54L"),
        ("[stamp.serial]", "[[stamp.blob]]\nname = \"x\"\n[stamp.serial]", "later release"),
        ("schema  = 1", "schema  = 1\nkeep = []", "keeps nothing"),
        ("schema  = 1", "schema  = 1\nmode = \"training\"", "station's file"),
    ] {
        let problem = told(&Lot::good().with(from, to), expected);
        assert!(problem.line.is_some(), "{problem}");
    }
    let lot = Lot::good().with("read_by = \"mcuboot-hw-key\"                  # …", "read_by = \"nsib\" # …");
    told(&lot, "comes with a later release; this one knows mcuboot-hw-key, app, nobody");
    let lot = Lot::good().with("[uicr]", "[key.decrypt]\npurpose = \"device-decryption\"\n[uicr]");
    assert!(lot.problems().iter().any(|problem| problem.what.contains("needs `spki_sha256`")));
    let lot = Lot::good().with("[uicr]", "[key.device]\nselect = { by = \"serial\" }\n[uicr]");
    assert!(lot.problems().iter().any(|problem| problem.what.contains("`select` needs `table`")));
}

#[test]
fn a_build_code_that_would_let_old_silicon_through_is_refused_at_its_place() {
    let said = "at_least = \"Fxx\"";
    for code in ["AAF0", "FOO", "Z", "f0", "AAZ9", "F", "F0A"] {
        let lot = Lot::good().with(said, &format!("at_least = \"{code}\""));
        let problem = told(&lot, "must be a build code as `Fxx` or `F0`");
        assert_eq!(problem.line, Some(lot.line_of("silicon =")), "{code}: {problem}");
        assert!(problem.column.is_some() && problem.what.contains(&format!("this is `{code}`")), "{problem}");
    }
    told(&Lot::good().with(said, "at_least = \"AAF0\""), "only `F0` stands here");
    for code in ["Fxx", "F0", "Fx", "D1x"] {
        assert!(Lot::good().with(said, &format!("at_least = \"{code}\"")).read_as(None).is_ok(), "{code}");
    }
}

#[test]
fn a_missing_word_is_asked_for() {
    for (gone, expected) in [
        ("arrives = \"blank\"\n", "a product needs `arrives`"),
        ("approtect = true\n", "[lock] needs `approtect`"),
        ("silicon = { at_least = \"Fxx\", ships = \"closed\" }", "a product needs `silicon`"),
        ("slots   = 16 ", "[stamp.counter] needs `slots`"),
        ("keys   = \"hw-key\" ", "needs `keys`"),
        ("trusts = [\"root\"]\n", "needs `trusts`"),
        ("signed = \"root\"\n", "needs `signed`"),
    ] {
        let replacement = if gone.ends_with('\n') { "" } else { "# " };
        let problems = Lot::good().with(gone, replacement).problems();
        assert!(problems[0].what.contains(expected), "{expected}: {problems:#?}");
    }
}

#[test]
fn words_that_do_not_fit_the_kind_of_image_are_refused() {
    spoilt("signed = \"root\"", "signed = \"root\"\nkeys = \"embedded\"", "said of a bootloader");
    spoilt("signed = \"root\"", "signed = \"root\"\ntrusts = [\"root\"]", "said of a bootloader");
    spoilt("trusts = [\"root\"]", "trusts = [\"root\"]\nsigned = \"root\"", "said of an image that MCUboot starts");
    spoilt("trusts = [\"root\"]", "trusts = [\"root\"]\nat = 0", "a hex file says itself");
    spoilt("name   = \"application\"", "name   = \"bootloader\" ", "a second image is called");
}

#[test]
fn a_bootloader_that_says_it_holds_no_key_has_no_place_for_one() {
    let patch = "trusts = [\"root\"]\npatch = { at = 0x14, form = \"spki\" }";
    let lot = Lot::good().with("trusts = [\"root\"]", patch);
    let problems = lot.problems();
    let told = problems.iter().find(|problem| problem.what.contains("but `patch` puts one there"));
    assert_eq!(told.and_then(|told| told.line), Some(lot.line_of("keys   = \"hw-key\"")), "{problems:#?}");
}

#[test]
fn a_name_of_no_key_is_told_with_the_nearest() {
    for (from, to) in [
        ("trusts = [\"root\"]", "trusts = [\"roots\"]"),
        ("signed = \"root\"", "signed = \"roto\""),
        ("key     = \"root\"", "key     = \"rot\""),
    ] {
        told(&Lot::good().with(from, to), "did you mean `root`?");
    }
}

#[test]
fn a_swapped_file_does_not_pass_its_pin() {
    let mut lot = Lot::good();
    lot.files.insert("gw3-root.pem".to_owned(), bytes("tests/vectors/keys/p256-b.pub.pem"));
    let problems = lot.problems();
    assert!(problems[0].what.contains("not the pinned one"), "{problems:#?}");
    let mut lot = Lot::good();
    lot.files.get_mut(BOOTLOADER).unwrap().extend_from_slice(b"\n");
    let problem = told(&lot, "not the pinned one");
    assert_eq!(problem.line, Some(lot.line_of(BOOTLOADER) + 1));
}

#[test]
fn a_file_that_is_not_there_is_told_at_the_line_that_names_it() {
    for name in [BOOTLOADER, "gw3-root.pem"] {
        let mut lot = Lot::good();
        lot.files.remove(name);
        let problems = lot.problems();
        assert!(problems[0].what.contains("cannot be opened"), "{problems:#?}");
        assert_eq!(problems[0].line, Some(lot.line_of(name)));
    }
    assert!(recipe::read(&project("tests/no-such.toml"), None).unwrap_err()[0].what.contains("cannot be opened"));
}

#[test]
fn a_private_key_in_a_recipe_is_refused_even_in_engineering_mode() {
    let mut lot = Lot::good();
    lot.files.insert("gw3-root.pem".to_owned(), bytes("tests/vectors/keys/p256-a.priv.pem"));
    for mode in [None, Some(Mode::Training), Some(Mode::Engineering)] {
        let problems = lot.read_as(mode).unwrap_err();
        assert!(problems[0].what.contains("private key"), "{problems:#?}");
        assert_eq!(all_at_once(&problems).exit, Exit::KeyRefused);
    }
}

/// Every text that a schema lets a word have.
fn choices<'s>(schema: &'s serde_json::Value, into: &mut Vec<&'s str>) {
    match schema {
        serde_json::Value::Object(map) => {
            let all = map.get("enum").and_then(serde_json::Value::as_array).into_iter().flatten();
            into.extend(all.chain(map.get("const")).filter_map(serde_json::Value::as_str));
            map.values().for_each(|inner| choices(inner, into));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|inner| choices(inner, into)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

#[test]
fn every_value_that_a_word_takes_stands_in_the_page_for_people() {
    let page = fs::read_to_string(project("docs/recipes.md")).unwrap();
    let schema = recipe::schema();
    let mut all = Vec::new();
    choices(&schema, &mut all);
    assert!(all.len() > 40, "{all:?}");
    let told = |value: &&&str| page.contains(&format!("`{value}`")) || page.contains(&format!("\"{value}\""));
    let missing: Vec<&&str> = all.iter().filter(|value| !told(value)).collect();
    assert!(missing.is_empty(), "docs/recipes.md does not name {missing:?}");
}

#[test]
fn of_a_value_that_is_wrong_no_more_is_shown_than_tells_it_apart() {
    let secret = "d80be1c7".repeat(8);
    for (from, to) in [
        ("is     = \"mcuboot-image\"", "is     = \"*\""),
        ("signed = \"root\"", "signed = \"root\"\nversion = \"*\""),
        ("signed = \"root\"", "signed = \"*\""),
        ("\"3.3V\"", "\"*\""),
        ("P0.18", "*"),
        ("iso7064-mod37-36", "*"),
        ("uicr.customer[24]", "*"),
        ("\"Fxx\"", "\"*\""),
        ("key     = \"root\"", "key     = \"*\""),
    ] {
        let lot = Lot::good().with(from, &to.replace('*', &secret));
        let told: String = lot.problems().iter().map(ToString::to_string).collect();
        assert!(!told.is_empty() && !told.contains(&secret[..41]), "{from}: {told}");
    }
    let chip = Lot::good().with("\"nRF52840\"", &format!("\"{secret}\""));
    let told = format!("{:?}", rootstamp::plan::lot(chip.read_as(None).unwrap()).map(|_| ()).unwrap_err());
    assert!(told.contains("does not provision") && !told.contains(&secret[..41]), "{told}");
}
