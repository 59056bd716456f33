//! What an ELF file holds beside the memory that it describes. It goes on no board, but with the file to whoever gets it.

use std::{collections::BTreeSet, ops::Range};

use object::read::elf::FileHeader as _;

use super::{LITTLE, Map, Segment, header, packed, packed::Packed, pieces};
use crate::{
    file::Read,
    image::scan::{self, Found, Kind},
    keys::{self, bare::Budget, private, refuse::RefuseList},
};

/// So many bytes that nothing loads are searched for keys in every form, in order of the file, and as many of what is
/// packed. Debug information of a large Zephyr program is some 8 MiB.
const SEARCHED_MAX: usize = 16 << 20;

/// So many of them are asked what they may be read as: a note, a section that somebody added.
const READ_MAX: usize = 1 << 20;

/// More than the first words of a private key in PEM take, in bytes.
const PEM_HEAD: usize = 256;

/// What was found there.
#[derive(Debug, Default)]
pub struct Beside {
    /// Private halves and refused keys. `at` is an offset in the file, for what is packed that of its section.
    pub keys: Vec<Found>,
    /// What could not be searched, and why.
    pub unsearched: Vec<String>,
}

/// What is in debug information, sections that are not loaded, and bytes behind the end.
#[must_use]
pub fn beside(file: &Read, list: &RefuseList) -> Beside {
    let (near, far) = at_most(SEARCHED_MAX, not_loaded(&file.bytes));
    let mut found = refused_in(file, near.iter().filter_map(|range| segment(file, range.clone())).collect(), list);
    let texts = texts(&near, &file.bytes, &found);
    found.extend(texts);
    for range in far {
        let wrapped = private::wrapped(file.bytes.get(range.clone()).unwrap_or_default()).next();
        let far = wrapped.and_then(|wrapped| private_at(range.start + wrapped.at, wrapped.len, wrapped.form));
        found.extend(far.filter(|far| !found.iter().any(|found| found.at == far.at)));
    }
    let mut beside = Beside { keys: found, unsearched: Vec::new() };
    let packed = header(&file.bytes).map(|header| packed::of(header, &file.bytes, SEARCHED_MAX));
    packed.into_iter().flatten().for_each(|packed| beside.unpacked(file, packed, list));
    beside
}

impl Beside {
    /// Where in its section a key stands is nothing that anybody could look up in the file.
    fn unpacked(&mut self, file: &Read, Packed { what, at, bytes, missing }: Packed, list: &RefuseList) {
        self.unsearched.extend(missing.map(|missing| format!("{what}, which nothing loads, {missing}")));
        let Ok(at) = u32::try_from(at) else { return };
        let found = refused_in(file, vec![Segment { at: 0, bytes }], list);
        self.keys.extend(found.into_iter().map(|found| Found { at, key: None, ..found }));
    }
}

fn refused_in(file: &Read, segments: Vec<Segment>, list: &RefuseList) -> Vec<Found> {
    let map = Map::of_segments(file.name(), segments);
    let mut found = map.map(|map| scan::keys(&map, list)).unwrap_or_default();
    found.retain(|found| found.refused.is_some() || matches!(found.kind, Kind::Private(_)));
    found
}

fn segment(file: &Read, range: Range<usize>) -> Option<Segment> {
    Some(Segment { at: u32::try_from(range.start).ok()?, bytes: file.bytes.get(range)?.to_vec() })
}

fn private_at(at: usize, len: usize, form: &'static str) -> Option<Found> {
    Some(Found { at: u32::try_from(at).ok()?, len, kind: Kind::Private(form), refused: None, key: None })
}

/// Private halves in what is as small as a file that holds one may be, as in such a file; where none was found yet.
fn texts(near: &[Range<usize>], file: &[u8], found: &[Found]) -> Vec<Found> {
    let (mut budget, mut room) = (Budget::default(), READ_MAX);
    let mut texts = Vec::new();
    for range in near.iter().flat_map(|range| cut(range, file)) {
        let told = |found: &Found| usize::try_from(found.at).is_ok_and(|at| range.contains(&at));
        let left = room.checked_sub(range.len()).filter(|_| range.len() as u64 <= keys::FILE_LIMIT);
        let bytes = file.get(range.clone()).unwrap_or_default();
        let Some(left) = left.filter(|_| is_file(bytes) && !found.iter().any(told)) else { continue };
        room = left;
        let form = private::form_within(bytes, &mut budget);
        texts.extend(form.and_then(|form| private_at(range.start, range.len(), form)));
    }
    texts
}

/// Whether it may be a file that somebody put there, as text or in DER: names and words of debug information, with a zero
/// behind each, are what any program for keys speaks of.
fn is_file(bytes: &[u8]) -> bool {
    let padding = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(..bytes.len() - padding).unwrap_or_default();
    bytes.first() == Some(&0x30) || memchr::memchr(0, bytes).is_none()
}

/// Into its sections, their table, and what lies between them.
fn cut(range: &Range<usize>, file: &[u8]) -> Vec<Range<usize>> {
    let Ok(header) = header(file) else { return vec![range.clone()] };
    let sections = header.section_headers(LITTLE, file).unwrap_or_default();
    let table = usize::try_from(header.e_shoff(LITTLE)).unwrap_or(usize::MAX);
    let behind = table.saturating_add(size_of_val(sections));
    let ends = sections.iter().filter_map(packed::range).flat_map(|section| [section.start, section.end]);
    let mut cuts: BTreeSet<usize> = ends.chain([table, behind]).filter(|end| range.contains(end)).collect();
    cuts.extend([range.start, range.end]);
    cuts.iter().zip(cuts.iter().skip(1)).map(|(from, to)| *from..*to).collect()
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

/// What is not loaded, in order: debug information, what lies between sections, what is behind the end. Nothing of a file
/// that cannot be read.
fn not_loaded(file: &[u8]) -> Vec<Range<usize>> {
    let Some(pieces) = header(file).ok().and_then(|header| pieces::of(header, file).ok()) else { return Vec::new() };
    let mut loaded: Vec<Range<usize>> = pieces.into_iter().map(|piece| piece.file).collect();
    loaded.sort_by_key(|range| range.start);
    loaded.push(file.len()..file.len());
    let (mut left, mut from) = (Vec::new(), 0);
    for range in loaded {
        if range.start > from {
            left.push(from..range.start);
        }
        from = from.max(range.end);
    }
    left
}
