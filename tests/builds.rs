//! Files that are whole each by itself and of no one build of a bootloader: hashes, counters, slots that do not go together.

use rootstamp::{ident::Digest, plan};

use crate::{
    boots::{UICR, sdk},
    crosscheck::{among, firmware, nsib, provision, read, rooted, told, vector},
    recipe::{APPLICATION, Application, Lot, as_hex, vectors},
    stamps::{NRF52840, image},
};

/// What imgtool signed with ed25519-a and SHA-512, or without any hash.
fn otherwise(name: &str, at: u32) -> Vec<u8> {
    as_hex(at, &vector(&format!("mcuboot/{name}.bin")))
}

#[test]
fn a_stamped_hash_names_no_key_for_a_bootloader_that_hashes_otherwise() {
    for (name, how) in [("ed25519-sha512", "with SHA-512"), ("more/ed25519-pure", "not at all (--pure)")] {
        let lot = rooted(Lot::good(), "ed25519-a").with_file(APPLICATION, otherwise(name, 0x1000));
        among(&lot, &["lot.toml", APPLICATION, &format!("is hashed {how}"), "never fits"]);
    }
    let usual = rooted(Lot::good(), "ed25519-a");
    let usual = usual.with_file(APPLICATION, as_hex(0x1000, &Application::by("ed25519-a").signed()));
    assert!(usual.read_as(None).is_ok());
}

#[test]
fn two_images_that_no_one_build_of_mcuboot_hashes_name_both_files() {
    let bytes = otherwise("more/ed25519-pure", 0x4000);
    let image = format!(
        "[[image]]\nname = \"second\"\nfile = \"second.hex\"\nsha256 = \"{}\"\nis = \"mcuboot-image\"\nsigned = \"root\"\n\
         number = 1\n\n[uicr]",
        Digest::of(&bytes)
    );
    let mut lot = crate::crosscheck::chain("ed25519-a").with("[uicr]", &image);
    lot.files.insert("second.hex".to_owned(), bytes);
    among(&lot, &["lot.toml", "second.hex", "not at all (--pure)", APPLICATION, "no build of MCUboot starts both"]);
}

#[test]
fn an_image_that_was_padded_and_never_confirmed_is_remarked() {
    let mut slot = Application::good().signed();
    slot.resize(0x800, 0xFF);
    let magic = rootstamp::ident::bytes_from_hex("77c295f360d2ef7f3552500f2cb67980").unwrap();
    let end = slot.len() - magic.len();
    slot[end..].copy_from_slice(&magic);
    let remarks = |slot: &[u8]| read(&Lot::good().with_file(APPLICATION, as_hex(0x1000, slot))).open;
    let unconfirmed = |remark: &String| remark.contains("not confirmed") && remark.contains(APPLICATION);
    assert!(remarks(&slot).iter().any(unconfirmed), "{:#?}", remarks(&slot));
    slot[0x800 - 24] = 1;
    assert!(!remarks(&slot).iter().any(unconfirmed), "{:#?}", remarks(&slot));
}

#[test]
fn an_image_without_a_counter_is_not_started_where_the_storage_counts_for_mcuboot() {
    let lot = |counter| {
        let application = Application {
            at: 0x20000,
            program: vectors(0x20020),
            counter,
            counter_protected: true,
            ..Application::good()
        };
        let bytes = as_hex(0x20000, &application.signed());
        let image = format!(
            "[[image]]\nname = \"app\"\nfile = \"a.hex\"\nsha256 = \"{}\"\nis = \"mcuboot-image\"\nsigned = \"root\"\n\n[uicr]",
            Digest::of(&bytes)
        );
        let mut lot = nsib(provision("nrf52840-1key-ver20-mcuboot30"))
            .with("keys = [\"root\"]", "keys = [\"root\"]\ncounters = { nsib = 20, mcuboot = 30 }")
            .with("[uicr]", &image);
        lot.files.insert("a.hex".to_owned(), bytes);
        lot
    };
    told(&lot(None), &["a.hex", "provision.hex", "a counter for MCUboot"]);
    assert!(lot(Some(1)).read_as(None).is_ok());
}

#[test]
fn a_program_that_runs_over_the_other_slot_names_both_files() {
    let mut program = firmware(0xA000, 1, "p256-a");
    program.resize(0xE001, 0xFF);
    let lot = |program: &[u8]| nsib(provision("nrf52840-1key")).with_file("app.hex", as_hex(0xA000, program));
    told(&lot(&program), &["app.hex", "over the slot at 0x00018000", "provision.hex"]);
    assert!(lot(&program[..0xE000]).read_as(None).is_ok());
}

#[test]
fn a_bootloader_that_counts_needs_a_counter_in_the_recipe() {
    let good = Lot::good();
    let (from, to) = (good.recipe.find("[stamp.counter]").unwrap(), good.recipe.find("[stamp.serial]").unwrap());
    let uncounted = Lot { recipe: good.recipe[..from].to_owned() + &good.recipe[to..], files: good.files };
    let problems = plan::lot(read(&uncounted)).err().unwrap();
    let expected = ["lot.toml", "reads a counter of", "add [stamp.counter]"];
    assert!(problems.iter().any(|one| expected.iter().all(|part| one.to_string().contains(part))), "{problems:#?}");
}

#[test]
fn the_page_that_the_master_boot_record_erases_holds_nothing_but_the_backup_of_the_settings() {
    assert!(sdk(UICR).read_as(None).is_ok(), "the backup shares it");
    for page in ["0xF8000", "0xFF000"] {
        let lot = sdk(&UICR.replace("0xFE000", page));
        among(&lot, &["lot.toml", "the master boot record erases its page", &page.replace("0x", "0x000")]);
    }
    let page = planned_page();
    let both = |behind: &[u8]| {
        let text = |at: u32, bytes: &[u8]| String::from_utf8(as_hex(at, bytes)).unwrap();
        let end = ":00000001FF\n";
        let backup = text(0xFE000, &page) + &text(0xFEF00, behind) + &text(0xFF000, &page);
        backup.replace(end, "") + end
    };
    let lot = |behind: &[u8]| {
        let file = both(behind).into_bytes();
        let mut lot = sdk(UICR);
        let (from, to) = (lot.recipe.find("[stamp.dfu_settings]").unwrap(), lot.recipe.find("[lock]").unwrap());
        lot.recipe.replace_range(from..to, "");
        lot.with("[uicr]", &format!("{}[uicr]", image("page", "page.hex", &file, "is = \"raw\"")))
            .with_file("page.hex", file)
    };
    assert!(lot(&[]).read_as(None).is_ok(), "a backup in a file");
    among(&lot(&[1; 16]), &["lot.toml", "page.hex", "the master boot record erases its page", "0x000FEF00"]);
}

/// The settings page as it is made, without the one below.
fn planned_page() -> Vec<u8> {
    let golden = plan::lot(read(&sdk(UICR))).unwrap().golden;
    golden.regions.iter().find(|region| region.at == 0xFF000).unwrap().bytes.clone()
}

#[test]
fn a_storage_over_a_slot_would_go_with_the_first_update() {
    among(&NRF52840.lot().with("s1 = 0x18000", "s1 = 0x9000"), &["lot.toml", "over the slot at 0x00009000"]);
}
