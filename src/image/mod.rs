//! What a file of program text says about memory, and what can be said about it: keys, vectors, bootloaders, MCUboot's
//! formats.
//!
//! A [`Map`] is read once and strictly; what is flashed is what was checked here.

use std::{fmt, ops::Range, sync::Arc};

use crate::{fault::Problem, file::Read, ident::Digest};

pub mod bootconf;
pub mod bootloader;
pub mod dfu;
pub mod elf;
pub mod flash_map;
mod hex;
pub mod kmu;
pub mod mcuboot;
pub mod nsib;
pub mod scan;
pub mod softdevice;
pub mod tree;
pub mod update;
pub mod vectors;

/// The largest image file that is looked at, in bytes: the text of a full nRF52840 hex forty times over.
pub const FILE_LIMIT: u64 = crate::file::LIMIT;

/// The most memory that one file may describe, in bytes: twice the largest chip, or all of the external flash on Nordic's
/// kits. What is larger is no firmware of these boards, and to look for keys in it would take seconds.
pub const MEMORY_MAX: usize = 8 << 20;

/// More pieces than any linker writes.
const PIECES: usize = 4096;

/// Bytes without a gap, at an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Segment {
    /// Address of the first byte.
    pub at: u32,
    /// Never empty; never reaches past 0xFFFFFFFF.
    pub bytes: Vec<u8>,
}

impl Segment {
    /// One past the last byte; 2^32 for a segment that ends with the address space.
    #[must_use]
    pub fn end(&self) -> u64 {
        u64::from(self.at) + self.bytes.len() as u64
    }
}

/// Where a run of bytes was written in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Written {
    at: u32,
    len: u32,
    line: u32,
}

/// Memory as an image file describes it: sorted, without overlap. A copy shares its bytes: the units of a lot differ in one
/// image at most.
#[derive(Clone, Debug)]
pub struct Map {
    name: String,
    segments: Arc<[Segment]>,
    /// Sorted by address; empty for files without lines.
    written: Arc<[Written]>,
    entry: Option<u32>,
}

impl Map {
    /// Reads Intel HEX strictly.
    ///
    /// # Errors
    /// Everything that is wrong with the file, with line and address, the first fifty at most.
    pub fn from_hex(file: &Read) -> Result<Self, Vec<Problem>> {
        hex::read(file)
    }

    /// Reads ELF: what its loadable segments put at their physical addresses.
    ///
    /// # Errors
    /// Everything that is wrong with the file: another machine, 64 bits, lengths that lie, memory written twice.
    pub fn from_elf(file: &Read) -> Result<Self, Vec<Problem>> {
        elf::read(file)
    }

    /// Takes the bytes of the file as they are, to stand at `at`.
    ///
    /// # Errors
    /// If the file is empty or does not fit below the end of the address space.
    pub fn from_raw(file: &Read, at: u32) -> Result<Self, Vec<Problem>> {
        let problem = |what: &str| Err(vec![Problem::new(file.name(), what)]);
        if file.bytes.is_empty() {
            return problem("is empty");
        }
        if file.bytes.len() > MEMORY_MAX {
            return problem(&too_much());
        }
        let segment = Segment { at, bytes: file.bytes.clone() };
        if segment.end() > 1 << 32 {
            return problem("does not fit between its address and the end of memory");
        }
        Ok(Self { name: file.name(), segments: Arc::new([segment]), written: Arc::default(), entry: None })
    }

    /// Memory made of these pieces, under this name; `None` if there are none, or two of them share an address.
    #[must_use]
    pub fn of_segments(name: impl Into<String>, mut segments: Vec<Segment>) -> Option<Self> {
        segments.retain(|segment| !segment.bytes.is_empty());
        segments.sort_by_key(|segment| segment.at);
        let mut joined: Vec<Segment> = Vec::with_capacity(segments.len());
        for segment in segments {
            match joined.last_mut() {
                Some(last) if last.end() > u64::from(segment.at) => return None,
                Some(last) if last.end() == u64::from(segment.at) => last.bytes.extend(segment.bytes),
                Some(_) | None => joined.push(segment),
            }
        }
        let whole = joined.last().is_some_and(|last| last.end() <= 1 << 32);
        whole.then(|| Self { name: name.into(), segments: joined.into(), written: Arc::default(), entry: None })
    }

    /// The file it came from, as the user named it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sorted by address, never touching each other.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The start address that the file names, if it does. Nothing on a Cortex-M reads it.
    #[must_use]
    pub fn entry(&self) -> Option<u32> {
        self.entry
    }

    /// Address of the first byte.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.segments.first().map_or(0, |segment| segment.at)
    }

    /// One past the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.segments.last().map_or(0, Segment::end)
    }

    /// How many bytes there are, gaps not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.bytes.len()).sum()
    }

    /// Whether there is nothing in it; no reader returns such a map.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Line of the file, counted from 1, that wrote this address.
    #[must_use]
    pub fn line_of(&self, address: u32) -> Option<usize> {
        let index = self.written.partition_point(|written| written.at <= address).checked_sub(1)?;
        let written = self.written.get(index)?;
        (address - written.at < written.len).then_some(written.line as usize)
    }

    /// The bytes of this range, if the file has every one of them.
    #[must_use]
    pub fn bytes(&self, range: Range<u32>) -> Option<&[u8]> {
        let index = self.segments.partition_point(|segment| segment.at <= range.start).checked_sub(1)?;
        let segment = self.segments.get(index)?;
        let from = (range.start - segment.at) as usize;
        segment.bytes.get(from..from.checked_add(range.len())?)
    }

    /// The little-endian word at this address, if the file has all of it.
    #[must_use]
    pub fn word(&self, address: u32) -> Option<u32> {
        let bytes = self.bytes(address..address.checked_add(4)?)?;
        bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
    }

    /// Every aligned word the file touches, with its address, in order; bytes of such a word that the file does not
    /// have are 0xFF, as in erased flash.
    #[must_use]
    pub fn words(&self) -> Vec<(u32, u32)> {
        let mut words: Vec<(u32, u32)> = Vec::with_capacity(self.len() / 4 + self.segments.len() * 2);
        for segment in &*self.segments {
            for (address, byte) in (segment.at..=u32::MAX).zip(&segment.bytes) {
                let (aligned, shift) = (address & !3, (address & 3) * 8);
                if words.last().is_none_or(|(last, _)| *last != aligned) {
                    words.push((aligned, u32::MAX));
                }
                if let Some((_, word)) = words.last_mut() {
                    *word = *word & !(0xFF << shift) | u32::from(*byte) << shift;
                }
            }
        }
        words
    }

    /// SHA-256 over every segment's address and length (32 and 64 bits, little-endian) and bytes, in order of address:
    /// the same for every file that describes the same memory.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let lengths: Vec<_> = self.segments.iter().map(|segment| (segment.bytes.len() as u64).to_le_bytes()).collect();
        let starts: Vec<_> = self.segments.iter().map(|segment| segment.at.to_le_bytes()).collect();
        let segments = starts.iter().zip(&lengths).zip(&*self.segments);
        Digest::of_all(segments.flat_map(|((at, length), segment)| [&at[..], length, &segment.bytes]))
    }

    /// One problem for each run of bytes that lies in none of these ranges.
    #[must_use]
    pub fn outside(&self, memory: &[Range<u32>]) -> Vec<Problem> {
        let runs = self.segments.iter().flat_map(|segment| outside(segment, memory));
        runs.map(|(from, to)| {
            self.problem_at(from, format!("0x{from:08X}..0x{to:08X} lies outside the memory it may fill"))
        })
        .collect()
    }

    /// The same without the bytes of these ranges.
    #[must_use]
    pub fn without(&self, ranges: &[Range<u32>]) -> Self {
        let left = |segment: &Segment| {
            let runs = outside(segment, ranges).into_iter();
            runs.filter_map(|(from, to)| {
                let bytes =
                    segment.bytes.get((from - segment.at) as usize..usize::try_from(to).ok()? - segment.at as usize)?;
                Some(Segment { at: from, bytes: bytes.to_vec() })
            })
            .collect::<Vec<_>>()
        };
        let segments = self.segments.iter().flat_map(left).collect();
        Self { name: self.name.clone(), segments, written: self.written.clone(), entry: self.entry }
    }

    /// Every run of bytes that lies in none of these ranges, from its first to its last that is not as erased flash is.
    #[must_use]
    pub fn written_outside(&self, ranges: &[Range<u32>]) -> Vec<Range<u64>> {
        let written = |byte: &u8| *byte != 0xFF;
        let run = |segment: &Segment| {
            let (at, bytes) = (u64::from(segment.at), &segment.bytes);
            let (first, last) = (bytes.iter().position(written)?, bytes.iter().rposition(written)?);
            Some(at + first as u64..at + last as u64 + 1)
        };
        self.without(ranges).segments.iter().filter_map(run).collect()
    }

    /// A problem with what stands at this address, with the line that wrote it.
    #[must_use]
    pub fn problem_at(&self, address: u32, what: impl Into<String>) -> Problem {
        let problem = Problem::new(&*self.name, what);
        match self.line_of(address) {
            Some(line) => problem.at(line, 1),
            None => problem,
        }
    }
}

fn too_much() -> String {
    format!("holds more than {} MiB; no chip of these boards, and no flash beside one, has so much", MEMORY_MAX >> 20)
}

/// The parts of a segment that no range covers, first and one past the last address of each.
fn outside(segment: &Segment, memory: &[Range<u32>]) -> Vec<(u32, u64)> {
    let mut sorted: Vec<&Range<u32>> = memory.iter().filter(|range| !range.is_empty()).collect();
    sorted.sort_by_key(|range| range.start);
    let mut runs = Vec::new();
    let mut from = u64::from(segment.at);
    for range in sorted {
        let (start, end) = (u64::from(range.start), u64::from(range.end));
        if start > from && from < segment.end() {
            runs.push((from, start.min(segment.end())));
        }
        from = from.max(end);
    }
    if from < segment.end() {
        runs.push((from, segment.end()));
    }
    runs.into_iter().filter_map(|(from, to)| Some((u32::try_from(from).ok()?, to))).collect()
}

fn as_perhaps_address<S: serde::Serializer>(at: &(impl Copy + Into<Option<u32>>), to: S) -> Result<S::Ok, S::Error> {
    match (*at).into() {
        Some(at) => as_address(&at, to),
        None => to.serialize_none(),
    }
}

/// Addresses are texts in what machines read, as people write them.
fn as_address<S: serde::Serializer>(at: &impl fmt::UpperHex, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("0x{at:08X}"))
}
