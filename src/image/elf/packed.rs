//! Sections that a compiler or linker packed: debug information as `--compress-debug-sections` leaves it.

use std::ops::Range;

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{
        DecompressorOxide, decompress,
        inflate_flags::{TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF},
    },
};
use object::{
    Endianness, elf,
    read::elf::{FileHeader as _, SectionHeader as _},
};

use super::LITTLE;

/// A section that is packed.
pub(super) struct Packed {
    /// As `section 3`.
    pub(super) what: String,
    /// Offset of the section in the file.
    pub(super) at: usize,
    /// As far as it was unpacked.
    pub(super) bytes: Vec<u8>,
    /// Why that is not all of it.
    pub(super) missing: Option<&'static str>,
}

/// Each of them, together no longer than this. What they claim to be is never believed beyond it.
pub(super) fn of(header: &elf::FileHeader32<Endianness>, file: &[u8], mut room: usize) -> Vec<Packed> {
    let sections = header.section_headers(LITTLE, file).unwrap_or_default();
    let beside = sections.iter().enumerate().filter(|(_, section)| section.sh_flags(LITTLE) & elf::SHF_ALLOC == 0);
    let packed = beside.filter_map(|(index, section)| {
        let range = range(section)?;
        let stream = Stream::of(section, file.get(range.clone())?)?;
        let (bytes, missing) = stream.unpacked(room);
        room = room.saturating_sub(bytes.len());
        Some(Packed { what: format!("section {index}"), at: range.start, bytes, missing })
    });
    packed.collect()
}

/// Where a section stands in the file, if it has bytes there.
pub(super) fn range(section: &elf::SectionHeader32<Endianness>) -> Option<Range<usize>> {
    let (offset, size) = section.file_range(LITTLE)?;
    let offset = usize::try_from(offset).ok()?;
    Some(offset..offset.checked_add(usize::try_from(size).ok()?)?)
}

enum Stream<'f> {
    /// With the length that it claims to have unpacked.
    Zlib(&'f [u8], usize),
    Other,
}

impl<'f> Stream<'f> {
    /// By its flag, or as older tools write `.zdebug`. [System V ABI 4, Compressed Sections; binutils 2.40, bfd/compress.c]
    fn of(section: &elf::SectionHeader32<Endianness>, bytes: &'f [u8]) -> Option<Self> {
        const HEAD: usize = 12;
        let (head, stream) = bytes.split_at_checked(HEAD)?;
        if section.sh_flags(LITTLE) & elf::SHF_COMPRESSED == 0 {
            let claimed = head.strip_prefix(b"ZLIB")?.first_chunk().map(|claimed| u64::from_be_bytes(*claimed))?;
            return Some(Self::Zlib(stream, usize::try_from(claimed).unwrap_or(usize::MAX)));
        }
        let word = |at: usize| head.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word));
        let zlib = word(0) == Some(elf::ELFCOMPRESS_ZLIB);
        Some(if zlib { Self::Zlib(stream, usize::try_from(word(4)?).unwrap_or(usize::MAX)) } else { Self::Other })
    }

    fn unpacked(&self, room: usize) -> (Vec<u8>, Option<&'static str>) {
        let Self::Zlib(stream, claimed) = self else {
            return (Vec::new(), Some("is packed by a method other than zlib"));
        };
        let mut bytes = vec![0; (*claimed).min(room)];
        let mut state = Box::<DecompressorOxide>::default();
        let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, _, written) = decompress(&mut state, stream, &mut bytes, 0, flags);
        bytes.truncate(written);
        let missing = if status == TINFLStatus::Done && written == *claimed {
            None
        } else if status == TINFLStatus::HasMoreOutput && *claimed > room {
            Some("unpacks to more than is searched")
        } else {
            Some("is packed, and damaged or not as long as it says")
        };
        (bytes, missing)
    }
}
