//! Intel HEX, strictly: the `ihex` crate reads records, all that makes records a file is here.
//!
//! `ihex` takes a file without end record, overlapping records and data after the end as they come, and says nothing
//! of a record that runs past 0xFFFF. [dependencies 1.6]

use ihex::{ReaderError, Record};

use super::{Map, Segment, Written};
use crate::{fault::Problem, file::Read};

/// More than this is noise: a file of another kind gives one per line.
const PROBLEMS: usize = 50;

/// No linker writes an image in more pieces; a file of single scattered bytes would cost more memory than it holds.
const SEGMENTS: usize = 4096;

/// The longest text that is read, in bytes: a whole chip of 4 MiB takes 12 MB at 16 bytes a record. A longer one costs
/// seconds, and as records of a few bytes several times its length in memory.
const TEXT_MAX: usize = 16 << 20;

pub(super) fn read(file: &Read) -> Result<Map, Vec<Problem>> {
    let text = readable(file).map_err(|problem| vec![problem])?;
    let mut reader = Reader::new(file.name());
    for (index, line) in text.lines().enumerate() {
        reader.line(index + 1, line);
        if reader.problems.len() > PROBLEMS {
            break;
        }
    }
    reader.finish()
}

/// Text that may hold records, or why it cannot.
fn readable(file: &Read) -> Result<&str, Problem> {
    if file.bytes.is_empty() {
        return Err(Problem::new(file.name(), "is empty"));
    }
    if file.bytes.len() > TEXT_MAX {
        let what =
            format!("is Intel HEX of more than {} MiB; no chip of these boards has so much flash", TEXT_MAX >> 20);
        return Err(Problem::new(file.name(), what));
    }
    if file.bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        return Err(Problem::new(file.name(), "begins with a byte-order mark; save it as plain ASCII").at(1, 1));
    }
    if !file.bytes.contains(&b':') {
        return Err(Problem::new(file.name(), "is not Intel HEX: no line begins with `:`"));
    }
    file.text()
}

/// Which address rule the last extended-address record set.
#[derive(Clone, Copy)]
enum Base {
    /// None yet: 16-bit addresses.
    None,
    Segment(u32),
    Linear(u32),
}

impl Base {
    fn address(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Segment(base) | Self::Linear(base) => base,
        }
    }
}

struct Reader {
    name: String,
    base: Base,
    /// The bytes of all data records, one after the other.
    pool: Vec<u8>,
    /// In the order of the file; the bytes of record n begin where those of all before it end.
    records: Vec<Written>,
    entry: Option<u32>,
    start_line: Option<usize>,
    end_line: Option<usize>,
    told_after_end: bool,
    problems: Vec<Problem>,
}

impl Reader {
    fn new(name: String) -> Self {
        Self {
            name,
            base: Base::None,
            pool: Vec::new(),
            records: Vec::new(),
            entry: None,
            start_line: None,
            end_line: None,
            told_after_end: false,
            problems: Vec::new(),
        }
    }

    fn note(&mut self, line: usize, what: impl Into<String>) {
        self.problems.push(Problem::new(&*self.name, what).at(line, 1));
    }

    fn line(&mut self, line: usize, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(end) = self.end_line {
            if !self.told_after_end {
                self.note(line, format!("text after the end record of line {end}"));
            }
            self.told_after_end = true;
            return;
        }
        match Record::from_record_string(text) {
            Ok(record) => self.record(line, record),
            Err(error) => self.note(line, describe(error)),
        }
    }

    fn record(&mut self, line: usize, record: Record) {
        match record {
            Record::Data { offset, value } => self.data(line, offset, &value),
            Record::EndOfFile => self.end_line = Some(line),
            Record::ExtendedSegmentAddress(segment) => self.base = Base::Segment(u32::from(segment) << 4),
            Record::ExtendedLinearAddress(high) => self.base = Base::Linear(u32::from(high) << 16),
            Record::StartSegmentAddress { cs, ip } => self.start(line, (u32::from(cs) << 4) + u32::from(ip)),
            Record::StartLinearAddress(entry) => self.start(line, entry),
        }
    }

    fn start(&mut self, line: usize, entry: u32) {
        if let Some(first) = self.start_line {
            self.note(line, format!("a second start address; line {first} has one"));
        }
        self.start_line = Some(line);
        self.entry = Some(entry);
    }

    /// The standard lets a record run on past 0xFFFF after a linear base and wrap to 0 after a segment base; tools
    /// disagree on both, so no meaning is safe.
    fn data(&mut self, line: usize, offset: u16, value: &[u8]) {
        let room = 0x1_0000 - usize::from(offset);
        let address = self.base.address().checked_add(u32::from(offset));
        match (address, u32::try_from(value.len()), u32::try_from(line)) {
            (Some(at), Ok(len), Ok(line)) if value.len() <= room => {
                if len > 0 {
                    self.pool.extend_from_slice(value);
                    self.records.push(Written { at, len, line });
                }
            }
            (Some(at), ..) => self.note(
                line,
                format!("the record at 0x{at:08X} runs past the end of its 64 KiB; split it there: readers disagree"),
            ),
            (None, ..) => self.note(line, "the record runs past the end of memory"),
        }
    }

    fn finish(mut self) -> Result<Map, Vec<Problem>> {
        if self.end_line.is_none() && self.problems.len() <= PROBLEMS {
            self.problems.push(Problem::new(&*self.name, "has no end record (:00000001FF); the file was cut off"));
        }
        let segments = self.join();
        if self.problems.is_empty() && segments.is_empty() {
            self.problems.push(Problem::new(&*self.name, "holds no data"));
        }
        if self.problems.len() > PROBLEMS {
            self.problems.truncate(PROBLEMS);
            self.problems.push(Problem::new(&*self.name, format!("and more; only the first {PROBLEMS} are told")));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        self.records.sort_by_key(|record| record.at);
        Ok(Map { name: self.name, segments: segments.into(), written: self.records.into(), entry: self.entry })
    }

    /// Puts the records in order of address and joins those that touch.
    fn join(&mut self) -> Vec<Segment> {
        let mut from = 0;
        let mut sorted: Vec<(Written, usize)> = Vec::with_capacity(self.records.len());
        for record in &self.records {
            sorted.push((*record, from));
            from += record.len as usize;
        }
        sorted.sort_by_key(|(record, _)| (record.at, record.line));
        let mut segments: Vec<Segment> = Vec::new();
        let mut last_line = 0;
        for (record, from) in sorted {
            let bytes = self.pool.get(from..from + record.len as usize).unwrap_or_default();
            match segments.last_mut().filter(|segment| segment.end() >= u64::from(record.at)) {
                Some(segment) if segment.end() == u64::from(record.at) => segment.bytes.extend_from_slice(bytes),
                Some(_) => self.problems.push(overlap(&self.name, record, last_line)),
                None => segments.push(Segment { at: record.at, bytes: bytes.to_vec() }),
            }
            last_line = record.line;
            if segments.len() > SEGMENTS || self.problems.len() > PROBLEMS {
                break;
            }
        }
        if segments.len() > SEGMENTS {
            let what = format!("lies in more than {SEGMENTS} pieces; no linker writes such a file");
            self.problems.push(Problem::new(&*self.name, what));
        }
        segments
    }
}

fn overlap(name: &str, record: Written, earlier: u32) -> Problem {
    let (first, second) = (record.line.min(earlier), record.line.max(earlier));
    let what = format!("0x{:08X} is written twice, here and in line {first}", record.at);
    Problem::new(name, what).at(second as usize, 1)
}

fn describe(error: ReaderError) -> String {
    match error {
        ReaderError::MissingStartCode => "a record begins with `:`; this line does not".to_owned(),
        ReaderError::RecordTooShort => "the record is too short".to_owned(),
        ReaderError::RecordTooLong => "the record is too long".to_owned(),
        ReaderError::RecordNotEvenLength => "the record ends in half a byte".to_owned(),
        ReaderError::ContainsInvalidCharacters => "the record holds something else than hexadecimal digits".to_owned(),
        ReaderError::ChecksumMismatch(right, found) => {
            format!("the checksum is 0x{found:02X}, the record adds up to 0x{right:02X}")
        }
        ReaderError::PayloadLengthMismatch => "the record is not as long as it says".to_owned(),
        ReaderError::UnsupportedRecordType(kind) => format!("record type 0x{kind:02X} is not known"),
        ReaderError::InvalidLengthForType => "the record has a wrong length for its type".to_owned(),
    }
}
