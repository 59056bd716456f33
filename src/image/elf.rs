//! ELF as compilers leave it: what it puts into flash. [System V ABI 4, ELF for the Arm Architecture]

use object::{Endianness, elf, read::elf::FileHeader as _};

use super::{MEMORY_MAX, Map, Segment, too_much};
use crate::{fault::Problem, file::Read};

mod beside;
mod packed;
mod pieces;

pub use beside::{Beside, beside};
use pieces::Piece;

/// What these chips are.
const LITTLE: Endianness = Endianness::Little;

/// Whether this file says that it is ELF.
#[must_use]
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG)
}

pub(super) fn read(file: &Read) -> Result<Map, Vec<Problem>> {
    let told = |what: Vec<String>| what.into_iter().map(|what| Problem::new(file.name(), what)).collect::<Vec<_>>();
    let header = header(&file.bytes).map_err(|what| told(vec![what]))?;
    let segments = pieces::of(header, &file.bytes).and_then(|pieces| joined(pieces, &file.bytes)).map_err(told)?;
    let (segments, written) = (segments.into(), [].into());
    Ok(Map { name: file.name(), segments, written, entry: Some(header.e_entry(LITTLE)) })
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
    match (header.e_machine(LITTLE), header.e_type(LITTLE)) {
        (elf::EM_ARM, elf::ET_EXEC) => Ok(header),
        (elf::EM_ARM, elf::ET_REL) => Err("is an object file; link it first".to_owned()),
        (elf::EM_ARM, kind) => Err(format!("is ELF of type {kind}; a linked program has type {}", elf::ET_EXEC)),
        (machine, _) => Err(format!("is ELF for machine {machine}, not for Arm ({})", elf::EM_ARM)),
    }
}

/// In order of address, those that touch as one.
fn joined(mut pieces: Vec<Piece>, file: &[u8]) -> Result<Vec<Segment>, Vec<String>> {
    let total = pieces.iter().fold(0usize, |total, piece| total.saturating_add(piece.file.len()));
    // Pieces that claim the same bytes over and over would otherwise multiply the file.
    if total > file.len() {
        return Err(vec!["its pieces hold more bytes than the file".to_owned()]);
    }
    if total > MEMORY_MAX {
        return Err(vec![too_much()]);
    }
    pieces.sort_by_key(|piece| piece.at);
    let (mut segments, mut twice): (Vec<Segment>, Vec<String>) = (Vec::new(), Vec::new());
    for Piece { what, file: range, at } in pieces {
        let bytes = file.get(range).unwrap_or_default();
        match segments.last_mut().filter(|last| last.end() >= u64::from(at)) {
            Some(last) if last.end() == u64::from(at) => last.bytes.extend_from_slice(bytes),
            Some(_) => twice.push(format!("{what} writes 0x{at:08X} a second time")),
            None => segments.push(Segment { at, bytes: bytes.to_vec() }),
        }
    }
    if segments.is_empty() {
        return Err(vec!["holds nothing to load".to_owned()]);
    }
    if twice.is_empty() { Ok(segments) } else { Err(twice) }
}
