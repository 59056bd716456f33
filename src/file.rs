//! A file is read once, whole, bounded and hashed; what is used later is what was checked now.
//!
//! The only module that opens input files (`clippy.toml`), so that no second read can differ from the first.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::error::Category;

use crate::{
    fault::{Exit, Problem},
    ident::{BadDigest, Digest},
};

/// The largest file any part of rootstamp looks at, in bytes: 64 MiB, forty times the text of a full nRF52840 hex.
pub const LIMIT: u64 = 64 << 20;

/// A file as it was when it was read.
#[derive(Clone, Debug)]
pub struct Read {
    /// As the user named it.
    pub path: PathBuf,
    /// All of it.
    pub bytes: Vec<u8>,
    /// SHA-256 of `bytes`.
    pub digest: Digest,
}

impl Read {
    /// Bytes that never were a file on this machine, as those of the demo that travel inside the program.
    #[must_use]
    pub fn from_memory(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self { path: name.into(), bytes, digest }
    }

    /// How messages name it.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// As text.
    ///
    /// # Errors
    /// A [`Problem`] with line and column of the first byte that is not UTF-8.
    pub fn text(&self) -> Result<&str, Problem> {
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let before = self.bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.split(|&byte| byte == b'\n').count();
            let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
            Problem::new(self.name(), "not UTF-8 text").at(line, column)
        })
    }
}

/// What is wrong with JSON, without any value that stands in it: `serde` quotes them, and each could be a secret.
#[must_use]
pub fn json_mistake(error: &serde_json::Error) -> String {
    const KINDS: [&str; 5] =
        ["invalid type: ", "invalid value: ", "invalid length ", "unknown field ", "unknown variant "];
    let said = error.to_string();
    // What is no JSON at all, serde_json says in words of its own.
    if error.classify() != Category::Data {
        return said;
    }
    let said = said.rsplit_once(" at line ").map_or(&*said, |(what, _)| what);
    // These name fields of ours, and that sentence is ours.
    let ours = BadDigest.to_string();
    if ["missing field `", "duplicate field `"].iter().any(|begin| said.starts_with(begin)) || said == ours {
        return said.to_owned();
    }
    if !KINDS.iter().any(|kind| said.starts_with(kind)) {
        return "a value has not the form that is expected".to_owned();
    }
    let kind = said.split(['"', '`', ',']).next().unwrap_or_default().trim_end();
    let name = said.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    let name = name.filter(|name| is_field(name)).map_or_else(String::new, |name| format!(" `{name}`"));
    // What is expected stands last, and is ours too.
    let expected = said.rsplit_once(", expected ").map_or("another", |(_, expected)| expected);
    format!("{kind}{name}, expected {expected}")
}

/// As somebody would name a field, and too short to be a key.
fn is_field(name: &str) -> bool {
    const LONGEST: usize = 24;
    name.len() <= LONGEST && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Reads the whole file once.
///
/// # Errors
/// A [`Problem`] naming the file: absent, a directory, unreadable, or larger than `limit` bytes.
#[expect(clippy::disallowed_methods, reason = "this module is where files are opened")]
pub fn read(path: &Path, limit: u64) -> Result<Read, Problem> {
    let named = |what: String| Problem::new(path.display().to_string(), what).exit(Exit::Usage);
    // Asked before it is opened: a pipe that nobody writes to would be waited for without end.
    let about = std::fs::metadata(path).map_err(|error| named(format!("cannot be opened: {error}")))?;
    if about.is_dir() {
        return Err(named("is a directory, not a file".to_owned()));
    }
    if !about.is_file() {
        return Err(named(
            "is a pipe, a socket or a device, not a file; write what it gives into a file first".to_owned(),
        ));
    }
    let file = File::open(path).map_err(|error| named(format!("cannot be opened: {error}")))?;
    let about = file.metadata().map_err(|error| named(format!("cannot be looked at: {error}")))?;
    let too_large = || named(format!("is larger than {limit} bytes"));
    if about.len() > limit {
        return Err(too_large());
    }
    // It may grow while it is read: the length is room, not a promise. One byte more shows the end without asking for twice the room.
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default() + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| named(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(Read { digest: Digest::of(&bytes), path: path.to_owned(), bytes })
}
