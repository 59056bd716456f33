//! ZIP, as far as a DFU package needs it, and strictly: what two readers could read differently is refused.
//!
//! Readers of the trade look entries up by name and drop the first of two; here both are seen. Nothing is unpacked
//! before all claims of the directory were added up, and never more than an entry claimed. [APPNOTE 6.3.10, 4.3]

use std::{collections::BTreeSet, ops::Range};

use miniz_oxide::inflate::{
    TINFLStatus,
    core::{DecompressorOxide, decompress, inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF},
};

use super::{crc32, le16, le32};

/// Unpacked, all entries together, in bytes: sixteen times the flash of the largest nRF52.
pub const UNPACKED_MAX: u64 = 16 << 20;

/// How many times its own size a package may unpack to; firmware with wide gaps of 0xFF stays far below.
pub const RATIO_MAX: u64 = 200;

/// nrfutil writes three files per firmware, and there are at most four.
const ENTRIES_MAX: usize = 64;

const LOCAL: u32 = 0x0403_4B50;
const DIRECTORY: u32 = 0x0201_4B50;
const END: u32 = 0x0605_4B50;
const END_LEN: usize = 22;
const DIRECTORY_LEN: usize = 46;
const LOCAL_LEN: usize = 30;

const ENCRYPTED: u16 = 1;
const SIZES_FOLLOW: u16 = 1 << 3;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// One unpacked file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// Whether these bytes begin as a ZIP archive does.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// Every file of the archive, in the order of its directory, or what is wrong with it and at which offset.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let end = End::find(bytes)?;
    let claims = end.claims(bytes)?;
    no_name_twice(&claims)?;
    no_bomb(&claims, bytes.len())?;
    let places = claims.iter().map(|claim| claim.place(bytes, end.directory)).collect::<Result<Vec<_>, _>>()?;
    no_overlap(&claims, &places)?;
    claims.into_iter().zip(places).map(|(claim, place)| claim.unpack(bytes, place)).collect()
}

/// Every run of bytes that is no data of an entry: headers, names, extra fields, comments, gaps. They are cut where fields
/// meet, since text is read from its begin. Of an archive that [`read`] refuses, where they are cut means nothing.
pub(super) fn beside(bytes: &[u8]) -> Vec<Range<usize>> {
    let Ok(end) = End::find(bytes) else { return Vec::new() };
    let claims = end.claims(bytes).unwrap_or_default();
    let places: Vec<_> = claims.iter().filter_map(|claim| claim.place(bytes, end.directory).ok()).collect();
    let mut cuts = BTreeSet::from([0, end.directory, end.at, end.at + END_LEN, bytes.len()]);
    for (claim, (from, to)) in claims.iter().zip(&places) {
        let name = claim.local + LOCAL_LEN;
        cuts.extend([claim.local, name, name + claim.name.len(), *from, *to]);
    }
    let mut at = end.directory;
    for claim in &claims {
        let half = |from| le16(bytes, at + from).map(usize::from).unwrap_or_default();
        let name = at + DIRECTORY_LEN;
        let extra = name + claim.name.len();
        let comment = extra + half(30);
        at = comment + half(32);
        cuts.extend([name, extra, comment, at]);
    }
    let runs = cuts.iter().zip(cuts.iter().skip(1)).map(|(from, to)| *from..*to);
    runs.filter(|run| !places.contains(&(run.start, run.end))).collect()
}

/// The record a ZIP ends with.
struct End {
    at: usize,
    directory: usize,
    entries: usize,
}

impl End {
    fn find(bytes: &[u8]) -> Result<Self, String> {
        let first = bytes.len().saturating_sub(END_LEN + usize::from(u16::MAX));
        let last = bytes.len().checked_sub(END_LEN).ok_or("is too short to be a ZIP archive")?;
        // The comment is the last field: it must reach exactly to the end of the file.
        let ends = |at: &usize| le32(bytes, *at) == Some(END) && comment_end(bytes, *at) == Some(bytes.len());
        let at =
            (first..=last).rev().find(ends).ok_or("has no ZIP directory at its end: it was cut off or extended")?;
        Self::read(bytes, at).ok_or_else(|| format!("its end record at offset {at:#x} is cut off"))?
    }

    fn read(bytes: &[u8], at: usize) -> Option<Result<Self, String>> {
        let half = |from| le16(bytes, at + from).map(usize::from);
        let (disk, directory_disk, here, entries) = (half(4)?, half(6)?, half(8)?, half(10)?);
        let (size, directory) = (le32(bytes, at + 12)? as usize, le32(bytes, at + 16)? as usize);
        let wrong = if disk != 0 || directory_disk != 0 || here != entries {
            Some("it is one part of an archive on several disks".to_owned())
        } else if entries > ENTRIES_MAX {
            Some(format!("it claims {entries} files; a DFU package has a handful, at most {ENTRIES_MAX} are read"))
        } else if directory.checked_add(size) != Some(at) {
            Some(format!("its directory is said to be {size} bytes at {directory:#x}, which does not end at {at:#x}"))
        } else {
            None
        };
        Some(wrong.map_or(Ok(Self { at, directory, entries }), Err))
    }

    fn claims(&self, bytes: &[u8]) -> Result<Vec<Claim>, String> {
        let mut at = self.directory;
        let mut claims = Vec::new();
        for _ in 0..self.entries {
            let (claim, next) = Claim::read(bytes, at)
                .filter(|(_, next)| *next <= self.at)
                .ok_or_else(|| format!("its directory is damaged at offset {at:#x}"))?;
            claims.push(claim?);
            at = next;
        }
        let rest = self.at - at;
        if rest == 0 { Ok(claims) } else { Err(format!("its directory has {rest} bytes more than its files need")) }
    }
}

fn comment_end(bytes: &[u8], at: usize) -> Option<usize> {
    Some(at + END_LEN + usize::from(le16(bytes, at + 20)?))
}

/// What the directory says of one file.
#[derive(Debug)]
struct Claim {
    name: String,
    flags: u16,
    method: u16,
    crc: u32,
    packed: usize,
    unpacked: usize,
    local: usize,
}

impl Claim {
    /// With the offset of the next; `None` if the record is cut off.
    fn read(bytes: &[u8], at: usize) -> Option<(Result<Self, String>, usize)> {
        if le32(bytes, at)? != DIRECTORY {
            return None;
        }
        let half = |from| le16(bytes, at + from);
        let word = |from| le32(bytes, at + from);
        let lengths = [half(28)?, half(30)?, half(32)?].map(usize::from);
        let [name_len, extra, comment] = lengths;
        let name = bytes.get(at + DIRECTORY_LEN..at + DIRECTORY_LEN + name_len)?;
        let next = at + DIRECTORY_LEN + name_len + extra + comment;
        let claim = Self {
            name: String::new(),
            flags: half(8)?,
            method: half(10)?,
            crc: word(16)?,
            packed: word(20)? as usize,
            unpacked: word(24)? as usize,
            local: word(42)? as usize,
        };
        let named = flat_name(name).map(|name| Self { name, ..claim });
        Some((named.and_then(Self::plain), next))
    }

    fn plain(self) -> Result<Self, String> {
        let wrong = if self.flags & ENCRYPTED != 0 {
            "is encrypted"
        } else if ![STORED, DEFLATED].contains(&self.method) {
            "is packed by a method other than stored and deflated"
        } else if [self.packed, self.unpacked, self.local].contains(&(u32::MAX as usize)) {
            "needs ZIP64, which no DFU package does"
        } else if self.method == STORED && self.packed != self.unpacked {
            "is stored, but its two sizes differ"
        } else {
            return Ok(self);
        };
        Err(format!("`{}` in it {wrong}", self.name))
    }

    /// First and one past the last byte of its packed data; the local header must repeat what the directory says.
    fn place(&self, bytes: &[u8], directory: usize) -> Result<(usize, usize), String> {
        let wrong = |what: &str| format!("`{}` in it: the header at offset {:#x} {what}", self.name, self.local);
        let half = |from| le16(bytes, self.local.checked_add(from)?);
        let word = |from| le32(bytes, self.local.checked_add(from)?);
        if word(0) != Some(LOCAL) {
            return Err(wrong("is none"));
        }
        let name_len = half(26).map(usize::from).unwrap_or_default();
        let extra = half(28).map(usize::from).unwrap_or_default();
        let start = self.local + LOCAL_LEN + name_len;
        let name = bytes.get(self.local + LOCAL_LEN..start).unwrap_or_default();
        let sizes = (word(14), word(18), word(22));
        let claimed = (Some(self.crc), u32::try_from(self.packed).ok(), u32::try_from(self.unpacked).ok());
        let follow = self.flags & SIZES_FOLLOW != 0 && sizes == (Some(0), Some(0), Some(0));
        if name != self.name.as_bytes() || half(6) != Some(self.flags) || half(8) != Some(self.method) {
            return Err(wrong("contradicts the directory"));
        }
        if sizes != claimed && !follow {
            return Err(wrong("claims another size or checksum than the directory"));
        }
        let data = start + extra;
        let end = data.checked_add(self.packed).filter(|end| *end <= directory);
        end.map(|end| (data, end)).ok_or_else(|| wrong(&format!("claims {} bytes, which are not there", self.packed)))
    }

    fn unpack(self, bytes: &[u8], (from, to): (usize, usize)) -> Result<Entry, String> {
        let packed = bytes.get(from..to).unwrap_or_default();
        let unpacked = if self.method == STORED { Some(packed.to_vec()) } else { inflate(packed, self.unpacked) };
        let Some(bytes) = unpacked else {
            let what = "its packed data are damaged or are not of the size the directory says";
            return Err(format!("`{}` in it: {what} ({} bytes)", self.name, self.unpacked));
        };
        let crc = crc32(&bytes);
        if crc != self.crc {
            return Err(format!("`{}` in it: CRC32 is {crc:08x}, the directory says {:08x}", self.name, self.crc));
        }
        Ok(Entry { name: self.name, bytes })
    }
}

/// The data, if they are exactly this long and nothing packed is left over.
fn inflate(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut unpacked = vec![0; size];
    let mut state = Box::<DecompressorOxide>::default();
    let (status, consumed, written) =
        decompress(&mut state, packed, &mut unpacked, 0, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
    (status == TINFLStatus::Done && consumed == packed.len() && written == size).then_some(unpacked)
}

/// A plain file name: nothing that leads into or out of a folder, and nothing a terminal would act on.
fn flat_name(bytes: &[u8]) -> Result<String, String> {
    let name = String::from_utf8_lossy(bytes);
    let plain = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') && !name.contains(['/', '\\', ':']);
    if plain && !name.trim_matches(['.', ' ']).is_empty() && bytes.len() <= 128 {
        return Ok(name.into_owned());
    }
    let shown = crate::page::printable(&name);
    Err(format!("`{shown}` in it is no plain file name; a DFU package has no folders and no paths"))
}

fn no_name_twice(claims: &[Claim]) -> Result<(), String> {
    for (index, claim) in claims.iter().enumerate() {
        if claims.iter().skip(index + 1).any(|other| other.name.eq_ignore_ascii_case(&claim.name)) {
            return Err(format!("`{}` is in it twice: readers would not agree which one counts", claim.name));
        }
    }
    Ok(())
}

fn no_bomb(claims: &[Claim], size: usize) -> Result<(), String> {
    let total: u64 = claims.iter().map(|claim| claim.unpacked as u64).sum();
    let most = UNPACKED_MAX.min(RATIO_MAX * size as u64);
    if total <= most {
        return Ok(());
    }
    Err(format!("claims to unpack to {total} bytes; from {size} bytes at most {most} are believed"))
}

fn no_overlap(claims: &[Claim], places: &[(usize, usize)]) -> Result<(), String> {
    let mut sorted: Vec<(usize, usize, &str)> =
        claims.iter().zip(places).map(|(claim, (_, end))| (claim.local, *end, claim.name.as_str())).collect();
    sorted.sort_unstable();
    for (left, right) in sorted.iter().zip(sorted.iter().skip(1)) {
        if left.1 > right.0 {
            return Err(format!("`{}` and `{}` in it share bytes", left.2, right.2));
        }
    }
    Ok(())
}
