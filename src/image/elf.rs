//! ELF as compilers leave it: what its loadable segments put into flash. [System V ABI 4, ELF for the Arm Architecture]

use std::{ops::Range, sync::Arc};

use object::{
    Endianness, elf,
    read::elf::{FileHeader as _, ProgramHeader as _},
};

use super::{MEMORY_MAX, Map, PIECES, Segment, scan, too_much};
use crate::{
    fault::Problem,
    file::Read,
    keys::{private, refuse::RefuseList},
};

/// More problems than a person reads.
const PROBLEMS: usize = 50;

/// Whether this file says that it is ELF.
#[must_use]
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG)
}

/// One loadable segment, as written.
struct Load {
    index: usize,
    at: u32,
    bytes: Vec<u8>,
}

pub(super) fn read(file: &Read) -> Result<Map, Vec<Problem>> {
    let problem = |what: String| Problem::new(file.name(), what);
    let header = header(&file.bytes).map_err(|what| vec![problem(what)])?;
    let little = Endianness::Little;
    let segments = header
        .program_headers(little, &*file.bytes)
        .map_err(|error| vec![problem(format!("its program headers cannot be read: {error}"))])?;
    if segments.len() > PIECES {
        return Err(vec![problem(format!("has {} segments; no linker writes such a file", segments.len()))]);
    }
    let (mut loads, mut problems) = (Vec::new(), Vec::new());
    let mut total = 0usize;
    for (index, segment) in segments.iter().enumerate() {
        if segment.p_type(little) != elf::PT_LOAD || segment.p_filesz(little) == 0 {
            continue;
        }
        match load(index, segment, &file.bytes) {
            Ok(load) => {
                total = total.saturating_add(load.bytes.len());
                loads.push(load);
            }
            Err(what) => problems.push(problem(what)),
        }
        if total > MEMORY_MAX {
            problems.push(problem(too_much()));
            return Err(problems);
        }
        // Segments that claim the same bytes over and over would otherwise multiply the file.
        if total > file.bytes.len() {
            problems.push(problem("its segments hold more bytes than the file".to_owned()));
            return Err(problems);
        }
        if problems.len() >= PROBLEMS {
            problems.push(problem(format!("and more; only the first {PROBLEMS} are told")));
            return Err(problems);
        }
    }
    let segments = join(loads, &mut |what| problems.push(problem(what)));
    if segments.is_empty() && problems.is_empty() {
        problems.push(problem("holds nothing to load".to_owned()));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Map {
        name: file.name(),
        segments: segments.into(),
        written: Arc::default(),
        entry: Some(header.e_entry(little)),
    })
}

/// So many bytes that nothing loads are searched for keys in every form, in order of the file. Debug information of a
/// large Zephyr program is some 8 MiB.
const SEARCHED_MAX: usize = 16 << 20;

/// More than the first words of a private key in PEM take, in bytes.
const PEM_HEAD: usize = 256;

/// Private halves and refused keys in what this file holds beside the memory that it describes: debug information,
/// sections that are not loaded, bytes behind the end. `at` is an offset in the file.
#[must_use]
pub fn keys_not_loaded(file: &Read, list: &RefuseList) -> Vec<scan::Found> {
    let (near, far) = at_most(SEARCHED_MAX, not_loaded(&file.bytes));
    let segment = |range: Range<usize>| {
        Some(Segment { at: u32::try_from(range.start).ok()?, bytes: file.bytes.get(range)?.to_vec() })
    };
    let near = Map::of_segments(file.name(), near.into_iter().filter_map(segment).collect());
    let mut found = near.map(|map| scan::keys(&map, list)).unwrap_or_default();
    found.retain(|found| found.refused.is_some() || matches!(found.kind, scan::Kind::Private(_)));
    for range in far {
        let wrapped = private::wrapped(file.bytes.get(range.clone()).unwrap_or_default()).next();
        let far = wrapped.and_then(|wrapped| {
            let at = u32::try_from(range.start + wrapped.at).ok()?;
            let kind = scan::Kind::Private(wrapped.form);
            Some(scan::Found { at, len: wrapped.len, kind, refused: None, key: None })
        });
        found.extend(far.filter(|far| !found.iter().any(|found| found.at == far.at)));
    }
    found
}

/// The first so many bytes of these ranges, and the rest, which begins a little before.
fn at_most(most: usize, ranges: Vec<Range<usize>>) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut near, mut far, mut room) = (Vec::new(), Vec::new(), most);
    for range in ranges {
        let cut = range.end.min(range.start.saturating_add(room));
        room -= cut - range.start;
        if cut < range.end {
            far.push(range.start.max(cut.saturating_sub(PEM_HEAD))..range.end);
        }
        near.push(range.start..cut);
    }
    (near, far)
}

/// What no loadable segment covers, in order; nothing of a file whose program headers cannot be read.
fn not_loaded(file: &[u8]) -> Vec<Range<usize>> {
    let little = Endianness::Little;
    let Ok(segments) =
        header(file).and_then(|header| header.program_headers(little, file).map_err(|error| error.to_string()))
    else {
        return Vec::new();
    };
    let loaded = segments.iter().filter(|segment| segment.p_type(little) == elf::PT_LOAD).map(|segment| {
        let (from, length) = (segment.p_offset(little) as usize, segment.p_filesz(little) as usize);
        from..from.saturating_add(length)
    });
    let mut loaded: Vec<Range<usize>> = loaded.filter(|range| !range.is_empty()).collect();
    loaded.sort_by_key(|range| range.start);
    loaded.push(file.len()..file.len());
    let (mut left, mut from) = (Vec::new(), 0);
    for range in loaded {
        if range.start > from {
            left.push(from..range.start.min(file.len()));
        }
        from = from.max(range.end);
    }
    left
}

/// The header, if it is of a program for a Cortex-M.
fn header(bytes: &[u8]) -> Result<&elf::FileHeader32<Endianness>, String> {
    if !begins(bytes) {
        return Err("is not ELF: it does not begin with 7F 45 4C 46".to_owned());
    }
    match (bytes.get(4), bytes.get(5)) {
        (Some(&elf::ELFCLASS32), Some(&elf::ELFDATA2LSB)) => {}
        (Some(&elf::ELFCLASS64), _) => return Err("is 64-bit ELF; a Cortex-M program is 32-bit".to_owned()),
        (Some(&elf::ELFCLASS32), Some(&elf::ELFDATA2MSB)) => {
            return Err("is big-endian ELF; these chips are little-endian".to_owned());
        }
        (Some(_), Some(_)) => return Err("is ELF of an unknown class".to_owned()),
        (_, _) => return Err("is ELF, but cut off in its header".to_owned()),
    }
    let header = elf::FileHeader32::<Endianness>::parse(bytes).map_err(|error| format!("cannot be read: {error}"))?;
    let little = Endianness::Little;
    match (header.e_machine(little), header.e_type(little)) {
        (elf::EM_ARM, elf::ET_EXEC) => Ok(header),
        (elf::EM_ARM, elf::ET_REL) => Err("is an object file; link it first".to_owned()),
        (elf::EM_ARM, kind) => Err(format!("is ELF of type {kind}; a linked program has type {}", elf::ET_EXEC)),
        (machine, _) => Err(format!("is ELF for machine {machine}, not for Arm ({})", elf::EM_ARM)),
    }
}

fn load(index: usize, segment: &elf::ProgramHeader32<Endianness>, file: &[u8]) -> Result<Load, String> {
    let little = Endianness::Little;
    let (at, from, length) = (segment.p_paddr(little), segment.p_offset(little), segment.p_filesz(little));
    let bytes = segment.data(little, file).map_err(|()| {
        format!("segment {index} claims {length} bytes at offset {from} of a file of {} bytes", file.len())
    })?;
    if u64::from(at) + u64::from(length) > 1 << 32 {
        return Err(format!("segment {index} at 0x{at:08X} runs past the end of memory"));
    }
    if segment.p_memsz(little) < length {
        return Err(format!("segment {index} holds {length} bytes for {} bytes of memory", segment.p_memsz(little)));
    }
    Ok(Load { index, at, bytes: bytes.to_vec() })
}

/// In order of address, those that touch as one.
fn join(mut loads: Vec<Load>, problem: &mut dyn FnMut(String)) -> Vec<Segment> {
    loads.sort_by_key(|load| (load.at, load.index));
    let mut segments: Vec<Segment> = Vec::new();
    for load in loads {
        match segments.last_mut().filter(|last| last.end() >= u64::from(load.at)) {
            Some(last) if last.end() == u64::from(load.at) => last.bytes.extend_from_slice(&load.bytes),
            Some(_) => problem(format!("segment {} writes 0x{:08X} a second time", load.index, load.at)),
            None => segments.push(Segment { at: load.at, bytes: load.bytes }),
        }
    }
    segments
}
