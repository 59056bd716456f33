//! ELF as compilers leave it: what its loadable segments put into flash. [System V ABI 4, ELF for the Arm Architecture]

use object::{
    Endianness, elf,
    read::elf::{FileHeader as _, ProgramHeader as _},
};

use super::{MEMORY_MAX, Map, PIECES, Segment, too_much};
use crate::{fault::Problem, file::Read};

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
        if total > file.bytes.len() || problems.len() >= PROBLEMS {
            problems.push(problem("its segments hold more bytes than the file".to_owned()));
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
    Ok(Map { name: file.name(), segments, written: Vec::new(), entry: Some(header.e_entry(little)) })
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
