//! ELF: what its segments put into flash, and every way in which its lengths can lie.

use proptest::prelude::*;
use rootstamp::{
    fault::Problem,
    file,
    image::{Map, elf},
    keys::refuse::RefuseList,
};

fn read(bytes: &[u8]) -> Result<Map, Vec<Problem>> {
    Map::from_elf(&file::Read::from_memory("a.elf", bytes.to_vec()))
}

/// One program header: kind, file offset, physical address, length in the file and in memory.
pub(crate) type Header = (u32, u32, u32, u32, u32);

pub(crate) const LOAD: u32 = 1;

/// A linked Arm program with these program headers; its contents begin at 0x100.
pub(crate) fn elf(headers: &[Header], contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x7F, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([2, 0, 40, 0]);
    bytes.extend([1u32, 0x0101, 52, 0, 0x0500_0200].iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend(
        [52u16, 32, u16::try_from(headers.len()).unwrap(), 40, 0, 0].iter().flat_map(|half| half.to_le_bytes()),
    );
    for (kind, offset, physical, in_file, in_memory) in headers {
        let words = [*kind, *offset, 0x2000_0000, *physical, *in_file, *in_memory, 5, 4];
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    bytes.resize(0x100.max(bytes.len()), 0);
    bytes.extend(contents);
    bytes
}

#[test]
fn a_program_lies_at_its_physical_addresses_joined_and_in_order() {
    let headers = [
        (LOAD, 0x104, 0xC004, 4, 4),
        (LOAD, 0x100, 0xC000, 4, 4),
        (LOAD, 0x108, 0x1000_1080, 2, 8),
        (4, 0x100, 0, 4, 4),
        (LOAD, 0x100, 0xD000, 0, 64),
    ];
    let map = read(&elf(&headers, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).unwrap();
    let segments: Vec<_> = map.segments().iter().map(|segment| (segment.at, &segment.bytes[..])).collect();
    assert_eq!(segments, [(0xC000, &[1, 2, 3, 4, 5, 6, 7, 8][..]), (0x1000_1080, &[9, 10][..])]);
    assert_eq!((map.entry(), map.name(), map.line_of(0xC000)), (Some(0x101), "a.elf", None));
}

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/elf").join(name)).unwrap()
}

/// In the segments of two of them stand the headers of the file itself, as a loader of pages would have it.
#[test]
fn a_linked_program_is_what_objcopy_makes_of_it() {
    for name in ["paged", "packed", "lld"] {
        let map = read(&vector(&format!("{name}.elf"))).unwrap();
        let hex = file::Read::from_memory("a.hex", vector(&format!("{name}.hex")));
        let hex = Map::from_hex(&hex).unwrap();
        assert_eq!(map.segments(), hex.segments(), "{name}");
        assert_eq!((map.entry(), hex.entry()), (Some(0xC241), Some(0xC241)), "{name}");
    }
}

/// Where no physical addresses are, tools differ, and to take either reading would be a guess.
#[test]
fn a_program_without_physical_addresses_is_refused_since_two_tools_put_it_in_two_places() {
    let made = |by: &str| {
        let hex = file::Read::from_memory("a.hex", vector(&format!("unplaced.{by}.hex")));
        Map::from_hex(&hex).map(|map| map.segments()[0].at)
    };
    assert_eq!((made("gnu").unwrap(), made("llvm").unwrap()), (0xC200, 0));
    let problems = read(&vector("unplaced.elf")).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].what.contains("no physical addresses, all of them are 0"), "{problems:?}");
    // One of them is none that a linker left out.
    let mut placed = vector("unplaced.elf");
    put(&mut placed, 52 + 12, 0xC200);
    assert!(!read(&placed).is_err_and(|problems| problems[0].what.contains("no physical addresses")));
    // A single segment at 0 is one there, for both of them.
    let single = elf(&[(LOAD, 0x100, 0, 4, 4)], &[1, 2, 3, 4]);
    assert_eq!(read(&single).unwrap().segments()[0].at, 0);
}

/// Offset of the entry of this section in the table of sections, and of its fields. [System V ABI 4, figure 4-8]
fn section(file: &[u8], index: usize, field: usize) -> usize {
    let table = u32::from_le_bytes(file[32..36].try_into().unwrap()) as usize;
    table + 40 * index + field
}

const KIND: usize = 4;
const FLAGS: usize = 8;
const ADDRESS: usize = 12;
const OFFSET: usize = 16;
const SIZE: usize = 20;

fn put(file: &mut [u8], at: usize, word: u32) {
    file[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

#[test]
fn sections_that_lie_are_refused_each_for_its_own_reason() {
    let good = vector("packed.elf");
    let sections = u16::from_le_bytes(good[48..50].try_into().unwrap());
    for (field, word, expected) in [
        (ADDRESS, 0xC204, "section 1 is for address 0x0000C204, its segment puts it at 0x0000C200"),
        (OFFSET, 0x20, "section 1 is to be loaded, and no segment holds its 64 bytes at offset 32"),
        (SIZE, 0xFFFF_FFFF, "section 1 is to be loaded, and no segment holds its 4294967295 bytes at offset 192"),
        (SIZE, 0x84, "section 2 writes 0x0000C240 a second time"),
    ] {
        let mut bytes = good.clone();
        put(&mut bytes, section(&good, 1, field), word);
        let problems = read(&bytes).unwrap_err();
        assert!(problems[0].what.contains(expected), "{problems:?}, expected {expected}");
    }
    let mut bytes = good.clone();
    put(&mut bytes, 32, 0xFFFF_0000);
    assert!(read(&bytes).unwrap_err()[0].what.contains("its section headers cannot be read"));
    let mut empty = good.clone();
    (1..usize::from(sections)).for_each(|index| put(&mut empty, section(&good, index, FLAGS), 0));
    assert!(read(&empty).unwrap_err()[0].what.contains("holds nothing to load"));
    let mut bare = good.clone();
    (1..usize::from(sections)).for_each(|index| put(&mut bare, section(&good, index, KIND), 8));
    assert!(read(&bare).unwrap_err()[0].what.contains("holds nothing to load"), "nothing but what has no bytes");
}

/// Its variables, in section 4 and segment 1, as if each thread had a copy of them.
#[test]
fn what_each_thread_gets_a_copy_of_is_taken_only_where_a_segment_of_its_own_puts_it_too() {
    const TLS: u32 = 7;
    let good = vector("packed.elf");
    let mut threads = good.clone();
    put(&mut threads, section(&good, 4, FLAGS), 0x403);
    let problems = read(&threads).unwrap_err();
    assert!(problems[0].what.contains("section 4 is copied for each thread, and no PT_TLS segment"), "{problems:?}");
    // Segment 2 holds nothing.
    let (ram, other) = (52 + 32, 52 + 64);
    threads.copy_within(ram..ram + 32, other);
    put(&mut threads, other, TLS);
    assert_eq!(read(&threads).unwrap().segments(), read(&good).unwrap().segments());
    put(&mut threads, other + 12, 0xD000);
    assert!(read(&threads).unwrap_err()[0].what.contains("no PT_TLS segment puts it at 0x0000C284"));
}

#[test]
fn a_file_without_its_section_table_is_taken_by_its_segments() {
    let mut stripped = vector("packed.elf");
    put(&mut stripped, 32, 0);
    stripped[48..52].fill(0);
    let map = read(&stripped).unwrap();
    let ends: Vec<_> = map.segments().iter().map(|segment| (segment.at, segment.end())).collect();
    assert_eq!(ends, [(0xC200, 0xC28C), (0x1000_1080, 0x1000_1084)], "with what aligns its sections");
}

#[test]
fn a_file_of_more_segments_than_any_linker_writes_is_not_taken_apart() {
    let headers: Vec<Header> = (0..5000).map(|_| (LOAD, 0xFFFF, 0xC000, 4, 4)).collect();
    assert!(read(&elf(&headers, &[])).unwrap_err()[0].what.contains("has 5000 segments"));
}

/// Between two sections, where a segment has it and nothing is loaded.
#[test]
fn a_private_key_between_two_sections_is_found() {
    let mut file = vector("paged.elf");
    let der = crate::crosscheck::private("ed25519-a");
    file[0x100..0x100 + der.len()].copy_from_slice(&der);
    let list = RefuseList::built_in().unwrap();
    let found = elf::beside(&file::Read::from_memory("a.elf", file), &list).keys;
    assert_eq!(found.iter().map(|found| found.at as usize).collect::<Vec<_>>(), [0x100]);
}

#[test]
fn a_file_that_is_no_program_for_these_chips_is_told_why() {
    let good = elf(&[(LOAD, 0x100, 0xC000, 4, 4)], &[1, 2, 3, 4]);
    assert!(read(&good).is_ok() && elf::begins(&good));
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, expected) in [
        (b"\x7fEL".to_vec(), "is not ELF"),
        (good[..5].to_vec(), "cut off in its header"),
        (good[..40].to_vec(), "cannot be read"),
        (with(4, 2), "64-bit"),
        (with(5, 2), "big-endian"),
        (with(4, 9), "unknown class"),
        (with(18, 62), "for machine 62"),
        (with(18, 243), "for machine 243"),
        (with(16, 1), "link it first"),
        (with(16, 3), "of type 3"),
        (with(42, 56), "program headers cannot be read"),
        (with(28, 0xFF), "program headers cannot be read"),
    ] {
        let problems = read(&bytes).unwrap_err();
        assert!(problems[0].what.contains(expected), "{problems:?}, expected {expected}");
    }
}

#[test]
fn segments_that_lie_are_refused_each_for_its_own_reason() {
    let four = [1, 2, 3, 4];
    for (headers, expected) in [
        (vec![(LOAD, 0x101, 0xC000, 4, 4)], "segment 0 claims 4 bytes at offset 257 of a file of 260 bytes"),
        (vec![(LOAD, 0x100, 0xC000, 0xFFFF_FFFF, 0xFFFF_FFFF)], "segment 0 claims 4294967295 bytes"),
        (vec![(LOAD, 0xFFFF_FFFF, 0xC000, 4, 4)], "segment 0 claims 4 bytes at offset 4294967295"),
        (vec![(LOAD, 0x100, 0xFFFF_FFFE, 4, 4)], "runs past the end of memory"),
        (vec![(LOAD, 0x100, 0xC000, 4, 2)], "holds 4 bytes for 2 bytes of memory"),
        (vec![(LOAD, 0x100, 0xC000, 4, 4), (LOAD, 0x100, 0xC003, 4, 4)], "segment 1 writes 0x0000C003 a second time"),
        (vec![(4, 0x100, 0xC000, 4, 4)], "holds nothing to load"),
        (vec![], "holds nothing to load"),
        (vec![(LOAD, 0, 0xC000, 200, 200), (LOAD, 0, 0xD000, 200, 200)], "hold more bytes than the file"),
    ] {
        let problems = read(&elf(&headers, &four)).unwrap_err();
        assert!(problems[0].what.contains(expected), "{problems:?}, expected {expected}");
    }
}

#[test]
fn of_many_segments_that_lie_the_first_fifty_are_told_and_that_there_are_more() {
    let lie = (LOAD, 0x8000, 0xC000, 4, 4);
    let told = |count: usize| read(&elf(&vec![lie; count], &[1, 2, 3, 4])).unwrap_err();
    assert_eq!(told(49).len(), 49);
    let many = told(60);
    assert_eq!(many.len(), 51);
    assert!(many[49].what.starts_with("segment 49 claims"), "{}", many[49]);
    assert_eq!(many[50].what, "and more; only the first 50 are told");
}

#[test]
fn a_private_key_that_nothing_loads_is_found_once_however_far_behind_it_stands() {
    let (pem, searched) = (include_bytes!("../vectors/keys/p256-a.priv.pem"), 16 << 20);
    let list = RefuseList::built_in().unwrap();
    let loaded =
        elf(&[(LOAD, 0x100, 0xC000, 4, 4), (LOAD, 0x108, 0xD000, 4, 4)], &[pem.len().to_le_bytes(); 2].concat());
    // What is searched in every form leaves out eight bytes that are loaded.
    for at in [loaded.len(), searched + 8 - 12, searched + 100_000] {
        let mut file = loaded.clone();
        file.resize(at, 0);
        file.extend(pem);
        let found = elf::beside(&file::Read::from_memory("a.elf", file), &list).keys;
        let told: Vec<_> = found.iter().map(|found| (found.at as usize, found.what())).collect();
        assert_eq!(told, [(at, "a private key (PEM)".to_owned())]);
    }
}

fn beside(file: Vec<u8>) -> (Vec<(usize, String)>, Vec<String>) {
    let beside = elf::beside(&file::Read::from_memory("a.elf", file), &RefuseList::built_in().unwrap());
    (beside.keys.iter().map(|found| (found.at as usize, found.what())).collect(), beside.unsearched)
}

/// Its section 14 is debug information with a private key.
#[test]
fn a_private_key_in_packed_debug_information_is_found_or_said_to_be_not_searched() {
    let told = vec![(0x228, "a private key (PEM)".to_owned())];
    for name in ["debug-zlib.elf", "debug-zlib-gnu.elf"] {
        assert_eq!(beside(vector(name)), (told.clone(), Vec::new()), "{name}");
    }
    let unsearched = |why: &str| vec![format!("section 14, which nothing loads, {why}")];
    assert_eq!(beside(vector("debug-zstd.elf")), (Vec::new(), unsearched("is packed by a method other than zlib")));
    // As far as it can be unpacked it is searched.
    let damaged = "is packed, and damaged or not as long as it says";
    for (at, word, why) in
        [(0x228 + 4, 0xFFFF_FFFF_u32, damaged), (0x228 + 4, 4000, damaged), (0x228 + 0xE8, 0x1234_5678, damaged)]
    {
        let mut file = vector("debug-zlib.elf");
        put(&mut file, at, word);
        assert_eq!(beside(file), (told.clone(), unsearched(why)), "{at:#x}");
    }
    let mut file = vector("debug-zlib.elf");
    put(&mut file, 0x228 + 12, 0xFFFF_FFFF);
    assert_eq!(beside(file), (Vec::new(), unsearched(damaged)));
}

/// Zeros pack well: what unpacks to more than is searched is searched as far, and that is said.
#[test]
fn debug_information_that_unpacks_to_more_than_is_searched_is_searched_as_far() {
    let packed = |before: usize| {
        let mut text = vec![0; before];
        text.extend(include_bytes!("../vectors/keys/p256-a.priv.pem"));
        text.resize((16 << 20) + 1000, 0);
        let stream = miniz_oxide::deflate::compress_to_vec_zlib(&text, 6);
        let mut file = vector("debug-zlib.elf");
        let at = file.len();
        file.extend([1, u32::try_from(text.len()).unwrap(), 1].iter().flat_map(|word| word.to_le_bytes()));
        file.extend(&stream);
        put(&mut file, section(&vector("debug-zlib.elf"), 14, OFFSET), u32::try_from(at).unwrap());
        let size = u32::try_from(file.len() - at).unwrap();
        put(&mut file, section(&vector("debug-zlib.elf"), 14, SIZE), size);
        (at, beside(file))
    };
    let unsearched = vec!["section 14, which nothing loads, unpacks to more than is searched".to_owned()];
    let (at, told) = packed(1000);
    assert_eq!(told, (vec![(at, "a private key (PEM)".to_owned())], unsearched.clone()));
    assert_eq!(packed(16 << 20).1, (Vec::new(), unsearched));
}

/// As somebody's build script adds it, or behind the end.
#[test]
fn a_private_key_in_text_that_nothing_loads_is_found_as_in_a_file_of_its_own() {
    let pem = String::from_utf8(include_bytes!("../vectors/keys/p256-a.priv.pem").to_vec()).unwrap();
    let der = crate::crosscheck::private("p256-a");
    let array: Vec<String> = der.iter().map(|byte| format!("0x{byte:02x}")).collect();
    let jwk = String::from_utf8(include_bytes!("../vectors/keys/p256-a.jwk").to_vec()).unwrap();
    let putty = "PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\nEncryption: none\n".to_owned();
    let form = "a private key (PKCS#8, elliptic curve)";
    for (text, form) in [
        (format!("const uint8_t key[] = {{ {} }};\n", array.join(", ")), form),
        (pem.lines().filter(|line| !line.starts_with('-')).collect(), form),
        (jwk, "a private key (JSON Web Key)"),
        (putty, "a private key (PuTTY)"),
    ] {
        let mut behind = vector("packed.elf");
        let end = behind.len();
        behind.extend(text.as_bytes());
        assert_eq!(beside(behind), (vec![(end, form.to_owned())], Vec::new()), "{text}");
        let mut added = vector("debug-zstd.elf");
        let at = added.len() + 5;
        added.resize(at, 0);
        added.extend(text.as_bytes());
        for (field, word) in [(FLAGS, 0), (OFFSET, at), (SIZE, text.len())] {
            let place = section(&vector("debug-zstd.elf"), 14, field);
            put(&mut added, place, u32::try_from(word).unwrap());
        }
        added.extend([0; 100]);
        assert_eq!(beside(added), (vec![(at, form.to_owned())], Vec::new()), "{text}");
    }
    assert_eq!(beside(vector("paged.elf")), (Vec::new(), Vec::new()));
    // Words of a program that prints keys, as debug information has them.
    let mut words = vector("packed.elf");
    words.extend(b"%s Private-Key: (%d bit)\0priv:\0pub:\0");
    assert_eq!(beside(words), (Vec::new(), Vec::new()));
}

proptest! {
    #[test]
    fn no_bytes_make_the_elf_reader_panic_or_grow(
        edits in proptest::collection::vec((0usize..0x110, any::<u8>()), 0..12),
        length in 0usize..0x110,
    ) {
        let mut bytes = elf(&[(LOAD, 0x100, 0xC000, 8, 8), (LOAD, 0x108, 0xD000, 8, 8)], &[7; 16]);
        for (at, value) in edits {
            bytes[at] = value;
        }
        bytes.truncate(length.max(1));
        if let Ok(map) = read(&bytes) {
            prop_assert!(map.len() <= bytes.len());
        }
    }
}
