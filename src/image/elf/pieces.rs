//! Which runs of bytes of an ELF file go into memory, and where.
//!
//! Segments are made for loaders that map whole pages: GNU ld lets them begin with the headers of the file itself, and
//! with whatever aligns the sections. `objcopy` takes the sections alone, each where its segment puts it, and so is done
//! here. Only a file that was stripped of its section table is taken by its segments.

use std::ops::Range;

use object::{
    Endianness, elf,
    read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _},
};

use super::LITTLE;
use crate::image::PIECES;

/// More problems than a person reads.
const PROBLEMS: usize = 50;

/// A run of bytes that goes into memory.
pub(super) struct Piece {
    /// As `section 3`.
    pub(super) what: String,
    /// Where it stands in the file: inside of it, and not empty.
    pub(super) file: Range<usize>,
    /// Where it goes.
    pub(super) at: u32,
}

/// Every piece, in order of its table, or everything that is wrong.
pub(super) fn of(header: &elf::FileHeader32<Endianness>, file: &[u8]) -> Result<Vec<Piece>, Vec<String>> {
    let unread =
        |what: &str, error: &dyn std::fmt::Display| vec![format!("its {what} headers cannot be read: {error}")];
    let segments = header.program_headers(LITTLE, file).map_err(|error| unread("program", &error))?;
    let sections = header.section_headers(LITTLE, file).map_err(|error| unread("section", &error))?;
    for (length, what) in [(segments.len(), "segments"), (sections.len(), "sections")] {
        if length > PIECES {
            return Err(vec![format!("has {length} {what}; no linker writes such a file")]);
        }
    }
    let loaded = segments.iter().enumerate().filter(|(_, segment)| is_loaded(segment));
    let loaded = whole(loaded.map(|(index, segment)| Load::of(index, segment, file.len())))?;
    if has_no_addresses(segments) && loaded.iter().any(|load| load.piece.at != load.seen_at) {
        return Err(vec![NO_ADDRESSES.to_owned()]);
    }
    if sections.is_empty() {
        return Ok(loaded.into_iter().map(|load| load.piece).collect());
    }
    let threads = segments.iter().enumerate().filter(|(_, segment)| segment.p_type(LITTLE) == elf::PT_TLS);
    let threads = whole(threads.map(|(index, segment)| Load::of(index, segment, file.len())))?;
    let held = sections.iter().enumerate().filter(|(_, section)| is_held(section));
    whole(held.map(|(index, section)| piece(index, section, &loaded, &threads)))
}

/// All of them, or what is wrong with each that is not.
fn whole<T>(each: impl Iterator<Item = Result<T, String>>) -> Result<Vec<T>, Vec<String>> {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for one in each {
        match one {
            Ok(one) => good.push(one),
            Err(what) => wrong.push(what),
        }
        if wrong.len() >= PROBLEMS {
            wrong.push(format!("and more; only the first {PROBLEMS} are told"));
            break;
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(wrong) }
}

fn is_loaded(segment: &elf::ProgramHeader32<Endianness>) -> bool {
    segment.p_type(LITTLE) == elf::PT_LOAD && segment.p_filesz(LITTLE) > 0
}

const NO_ADDRESSES: &str = "its segments have no physical addresses, all of them are 0: GNU objcopy then takes the addresses at \
    which the program finds itself, LLVM's takes 0; let the linker write them, or name the .hex or .bin that was made of it";

/// Some linkers write none. GNU objcopy then makes an exception where more than one segment takes memory. [binutils 2.40,
/// bfd/elf.c, _bfd_elf_make_section_from_shdr; LLVM, llvm/test/tools/llvm-objcopy/ELF/binary-paddr.test]
fn has_no_addresses(segments: &[elf::ProgramHeader32<Endianness>]) -> bool {
    let takes = |segment: &&elf::ProgramHeader32<Endianness>| {
        segment.p_type(LITTLE) == elf::PT_LOAD && segment.p_memsz(LITTLE) > 0
    };
    segments.iter().all(|segment| segment.p_paddr(LITTLE) == 0) && segments.iter().filter(takes).count() > 1
}

/// Whether a section has bytes that the running program finds in memory.
fn is_held(section: &elf::SectionHeader32<Endianness>) -> bool {
    let allocated = section.sh_flags(LITTLE) & elf::SHF_ALLOC != 0;
    let empty = section.sh_size(LITTLE) == 0 || matches!(section.sh_type(LITTLE), elf::SHT_NULL | elf::SHT_NOBITS);
    allocated && !empty
}

/// A loadable segment.
struct Load {
    piece: Piece,
    /// The address at which the program finds it, which for its variables is not where it lies in flash.
    seen_at: u32,
}

impl Load {
    fn of(index: usize, segment: &elf::ProgramHeader32<Endianness>, file: usize) -> Result<Self, String> {
        let (at, from, length) = (segment.p_paddr(LITTLE), segment.p_offset(LITTLE), segment.p_filesz(LITTLE));
        let range = from as usize..(from as usize).saturating_add(length as usize);
        if range.end > file {
            return Err(format!("segment {index} claims {length} bytes at offset {from} of a file of {file} bytes"));
        }
        if u64::from(at) + u64::from(length) > 1 << 32 {
            return Err(format!("segment {index} at 0x{at:08X} runs past the end of memory"));
        }
        let room = segment.p_memsz(LITTLE);
        if room < length {
            return Err(format!("segment {index} holds {length} bytes for {room} bytes of memory"));
        }
        let piece = Piece { what: format!("segment {index}"), file: range, at };
        Ok(Self { piece, seen_at: segment.p_vaddr(LITTLE) })
    }

    /// Where this segment puts these bytes of the file: in flash, and for the program. `None` if it does not hold them.
    fn places(&self, range: &Range<usize>) -> Option<(u32, u32)> {
        let file = &self.piece.file;
        let skipped = range.start.checked_sub(file.start).filter(|_| range.end <= file.end)?;
        let skipped = u32::try_from(skipped).ok()?;
        Some((self.piece.at.wrapping_add(skipped), self.seen_at.wrapping_add(skipped)))
    }
}

/// What each thread gets a copy of goes where its own segment says, and that has to be where the program's puts it.
/// [binutils 2.40, bfd/elf.c, _bfd_elf_make_section_from_shdr]
fn piece(
    index: usize,
    section: &elf::SectionHeader32<Endianness>,
    loads: &[Load],
    threads: &[Load],
) -> Result<Piece, String> {
    let (seen_at, from, length) = (section.sh_addr(LITTLE), section.sh_offset(LITTLE), section.sh_size(LITTLE));
    let range = from as usize..(from as usize).saturating_add(length as usize);
    let mut places = loads.iter().filter_map(|load| load.places(&range)).peekable();
    let Some((_, elsewhere)) = places.peek().copied() else {
        return Err(format!(
            "section {index} is to be loaded, and no segment holds its {length} bytes at offset {from}"
        ));
    };
    let Some((at, _)) = places.find(|(_, seen)| *seen == seen_at) else {
        let what = format!("section {index} is for address 0x{seen_at:08X}, its segment puts it at 0x{elsewhere:08X}");
        return Err(what);
    };
    let of_threads = section.sh_flags(LITTLE) & elf::SHF_TLS != 0;
    if of_threads && !threads.iter().any(|load| load.places(&range) == Some((at, seen_at))) {
        return Err(format!("section {index} is copied for each thread, and no PT_TLS segment puts it at 0x{at:08X}"));
    }
    Ok(Piece { what: format!("section {index}"), file: range, at })
}
