//! Files of images, in each form in which memory travels: told by what they hold, held against their names.

use rootstamp::{
    fault::{Exit, Problem},
    ident::Mode,
    image::mcuboot,
    plan,
    recipe::Product,
};

use crate::{
    crosscheck::{declared, private, published, read, told},
    image::elf::{LOAD, elf},
    recipe::{APPLICATION, Application, BOOTLOADER, Lot, as_hex, vectors},
};

/// MCUboot, as far as these tests go: vectors, its magic, and initialised data behind.
fn program() -> Vec<u8> {
    [vectors(0), mcuboot::MAGIC.to_le_bytes().to_vec(), vec![0x11; 12], vec![0x22; 16]].concat()
}

/// The same as a linker leaves it: code, initialised data that runs in RAM, and RAM that is only reserved.
fn linked() -> Vec<u8> {
    let headers = [(LOAD, 0x100, 0, 32, 32), (LOAD, 0x120, 32, 16, 64), (LOAD, 0x130, 0x2000_1000, 0, 0x400)];
    elf(&headers, &program())
}

/// The smallest product with its bootloader in a file of this name, and these words beside it.
fn named(name: &str, bytes: Vec<u8>, words: &str) -> Lot {
    let lot = Lot::good().with_file(BOOTLOADER, bytes.clone());
    let mut lot = lot.with(&format!("images/{BOOTLOADER}\""), &format!("images/{name}\"{words}"));
    lot.files.insert(name.to_owned(), bytes);
    lot
}

#[test]
fn one_program_as_hex_as_bytes_and_as_elf_is_one_memory_and_one_plan() {
    let hex: Product = read(&named("loader.hex", as_hex(0, &program()), ""));
    let golden = |product: Product| plan::lot(product).unwrap_or_else(|problems| panic!("{problems:#?}")).golden;
    for (name, bytes, words) in
        [("loader.bin", program(), "\nat = 0"), ("loader.elf", linked(), ""), ("loader.axf", linked(), "")]
    {
        let other = read(&named(name, bytes, words));
        assert_eq!(other.images[0].map.segments(), hex.images[0].map.segments(), "{name}");
        assert_eq!(other.images[0].map.digest(), hex.images[0].map.digest(), "{name}");
        let (other, hex) = (golden(other), golden(hex.clone()));
        assert_eq!((other.regions, other.words), (hex.regions, hex.words), "{name}");
    }
}

#[test]
fn letters_of_any_case_and_no_extension_at_all_are_the_same_file() {
    for (name, bytes, words) in [
        ("LOADER.HEX", as_hex(0, &program()), ""),
        ("Loader.Ihex", as_hex(0, &program()), ""),
        ("Loader.Bin", program(), "\nat = 0"),
        ("loader.ELF", linked(), ""),
        ("loader", linked(), ""),
        ("loader.img", as_hex(0, &program()), ""),
    ] {
        assert_eq!(read(&named(name, bytes, words)).images[0].map.len(), 48, "{name}");
    }
}

#[test]
fn a_name_that_contradicts_what_the_file_holds_is_told_so() {
    for (name, bytes, words, expected) in [
        ("loader.hex", linked(), "", "is called .hex, but holds ELF: name it .elf"),
        ("loader.HEX", linked(), "\nat = 0", "is called .hex, but holds ELF: name it .elf"),
        ("loader.bin", linked(), "\nat = 0", "is called .bin, but holds ELF: name it .elf"),
        ("loader.bin", as_hex(0, &program()), "\nat = 0", "is called .bin, but holds Intel HEX: name it .hex"),
        ("loader.elf", as_hex(0, &program()), "", "is called .elf, but holds Intel HEX: name it .hex"),
        ("loader.elf", linked(), "\nat = 0", "an ELF file says itself where its bytes go; `at` is for .bin files"),
        ("loader", linked(), "\nat = 0", "an ELF file says itself"),
        ("loader.img", as_hex(0, &program()), "\nat = 0", "a hex file says itself"),
        ("loader.Bin", program(), "", "a .bin file needs `at`"),
    ] {
        let problem = told(&named(name, bytes, words), &["lot.toml", expected]);
        assert!(problem.line.is_some(), "{problem}");
    }
    // A colon alone makes no hex file of raw bytes.
    let colon = [b":".to_vec(), program()].concat();
    let problems = named("loader.bin", colon, "\nat = 0").problems();
    assert!(problems.iter().all(|problem| !problem.what.contains("Intel HEX")), "{problems:#?}");
}

#[test]
fn an_elf_that_no_chip_of_these_boards_can_hold_is_one_line_each() {
    let with = |at: usize, byte: u8| {
        let mut bytes = linked();
        bytes[at] = byte;
        bytes
    };
    let twice = elf(&[(LOAD, 0x100, 0, 48, 48), (LOAD, 0x100, 40, 8, 8)], &program());
    for (bytes, expected) in [
        (with(4, 2), "64-bit"),
        (with(5, 2), "big-endian"),
        (with(18, 62), "not for Arm"),
        (with(16, 1), "link it first"),
        (with(16, 3), "of type 3"),
        (linked()[..40].to_vec(), "cannot be read"),
        (twice, "segment 1 writes 0x00000028 a second time"),
        (elf(&[(4, 0x100, 0, 4, 4)], &program()), "holds nothing to load"),
    ] {
        told(&named("loader.elf", bytes, ""), &["loader.elf", expected]);
    }
    // Linked for another place: its reset vector is not in it.
    let moved = elf(&[(LOAD, 0x100, 0x8000, 48, 48)], &program());
    told(&named("loader.elf", moved, ""), &["loader.elf", "points outside the image"]);
}

#[test]
fn a_key_in_an_elf_where_nothing_loads_it_is_refused_as_in_memory() {
    let beside = |bytes: &[u8]| named("loader.elf", [linked(), bytes.to_vec()].concat(), "");
    assert!(beside(&[0xFF; 100]).read_as(None).is_ok());
    let at = format!("at byte {} of the file of image `bootloader`, which nothing loads", linked().len());
    let pem = include_bytes!("vectors/keys/p256-a.priv.pem");
    for secret in [pem.to_vec(), private("p256-a")] {
        let problem = told(&beside(&secret), &["loader.elf", "a private key (", &at]);
        assert_eq!(problem.exit, Exit::KeyRefused);
        assert!(beside(&secret).read_as(Some(Mode::Engineering)).is_err());
    }
    let known = beside(published("ecdsa-p256").spki());
    assert_eq!(told(&known, &["loader.elf", "published development key", &at]).exit, Exit::KeyRefused);
    assert!(known.read_as(Some(Mode::Engineering)).is_ok());
}

#[test]
fn debug_information_that_cannot_be_searched_for_keys_is_remarked() {
    let mut packed = linked();
    let at = packed.len();
    packed.extend([2_u32, 4096, 1, 0].iter().flat_map(|word| word.to_le_bytes()));
    let table = u32::try_from(packed.len()).unwrap();
    let at = u32::try_from(at).unwrap();
    // None, the two of the program, and one that is packed by zstd. [System V ABI 4, figure 4-8]
    let code = [0, 1, 2, 0x2000_0000, 0x100, 32, 0, 0, 4, 0];
    let data = [0, 1, 3, 0x2000_0000, 0x120, 16, 0, 0, 4, 0];
    let beside = [0, 1, 1 << 11, 0, at, 16, 0, 0, 1, 0];
    packed.extend([[0; 10], code, data, beside].concat().iter().flat_map(|word: &u32| word.to_le_bytes()));
    packed[32..36].copy_from_slice(&table.to_le_bytes());
    packed[46..50].copy_from_slice(&[40, 0, 4, 0]);
    let product = named("loader.elf", packed, "").read_as(None).unwrap();
    let expected = "section 3, which nothing loads, is packed by a method other than zlib: not searched for keys";
    assert!(product.remarks.iter().any(|remark| remark.ends_with(expected)), "{:?}", product.remarks);
}

#[test]
fn a_declared_decryption_key_that_an_elf_loads_is_told_as_such_alone() {
    let contents = [program(), private("p256-b")].concat();
    let length = u32::try_from(contents.len()).unwrap();
    let loaded = elf(&[(LOAD, 0x100, 0, length, length)], &contents);
    read(&declared(named("loader.elf", loaded, ""), "p256-b"));
}

#[test]
fn an_application_as_elf_is_told_to_be_the_file_before_it_was_signed() {
    let bytes = elf(&[(LOAD, 0x100, 0x1200, 16, 16)], &vectors(0x1200));
    for name in ["app.elf", "app.hex", "zephyr"] {
        let lot = Lot::good().with_file(APPLICATION, bytes.clone());
        let mut lot = lot.with(&format!("images/{APPLICATION}"), &format!("images/{name}"));
        lot.files.insert(name.to_owned(), bytes.clone());
        told(&lot, &["lot.toml", name, "is ELF, which is never signed for MCUboot", "imgtool"]);
    }
}

#[test]
fn an_application_that_reaches_into_the_end_of_its_slot_is_told_where() {
    let padded = |gap: usize| {
        let image = Application::good().signed();
        let magic = [0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80];
        Lot::good().with_file(APPLICATION, as_hex(0x1000, &[image, vec![0xFF; gap], magic.to_vec()].concat()))
    };
    let problem: Problem = told(&padded(7), &[APPLICATION, "behind 0x", "end of the slot"]);
    assert!(problem.line.is_some(), "{problem}");
    assert!(padded(8).read_as(None).is_ok());
}
