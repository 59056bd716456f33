//! A key file as it was handed over: PEM or DER, key or certificate.

use p256::pkcs8::Document;

use super::{AnyKey, BadKey, Container, private};
use crate::{
    fault::{Exit, Problem},
    file::Read,
    ident::bytes_from_hex,
};

/// A key, and in what it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Given {
    /// The key.
    pub key: AnyKey,
    /// What held it.
    pub container: Container,
    /// Whether that was written as PEM.
    pub pem: bool,
}

impl Given {
    /// In what it came, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{}, {}", self.container, if self.pem { "PEM" } else { "DER" })
    }
}

/// The one public key of any kind in this file: PEM or DER of SubjectPublicKeyInfo, PKCS#1 or a certificate. Raw bytes
/// say too little about themselves: [`AnyKey::from_raw`].
///
/// # Errors
/// What the file is instead, with the offset in its DER; [`Exit::KeyRefused`] if a private half is inside.
pub fn read_any(file: &Read) -> Result<Given, Problem> {
    // Whoever looks at a file of any kind comes here too; what is larger would only cost time and memory.
    if file.bytes.len() as u64 > super::FILE_LIMIT {
        let what = format!("is no image known here, and larger than a key file can be, {} bytes", super::FILE_LIMIT);
        return Err(Problem::new(file.name(), what).exit(Exit::Usage));
    }
    if let Some(form) = private::form_of_file(&file.bytes) {
        return Err(BadKey::other(super::NotOurs::Private(form)).problem(file.name()));
    }
    if !super::looks_like_pem(&file.bytes) {
        let (key, container) = AnyKey::from_der(&file.bytes).map_err(|bad| bad.problem(file.name()))?;
        return Ok(Given { key, container, pem: false });
    }
    let (label, der) = only_block(&file.bytes).map_err(|what| Problem::new(file.name(), what).exit(Exit::Usage))?;
    let (key, container) = AnyKey::from_der(&der).map_err(|bad| bad.problem(file.name()))?;
    if label != label_of(container) {
        let what = format!("holds a {container} under the PEM label {}", crate::page::printable(&label));
        return Err(Problem::new(file.name(), what).exit(Exit::Usage));
    }
    Ok(Given { key, container, pem: true })
}

const fn label_of(container: Container) -> &'static str {
    match container {
        Container::Spki | Container::Raw | Container::LittleEndian => "PUBLIC KEY",
        Container::Pkcs1 => "RSA PUBLIC KEY",
        Container::Certificate => "CERTIFICATE",
    }
}

/// Label and contents of the only PEM block.
fn only_block(bytes: &[u8]) -> Result<(String, Vec<u8>), String> {
    let text = String::from_utf8_lossy(bytes);
    let count = super::labels(&text).len();
    if count != 1 {
        return Err(format!("holds {count} PEM blocks; exactly one public key or certificate is expected"));
    }
    blocks(&text).into_iter().next().ok_or_else(|| super::TORN_PEM.to_owned())
}

/// Label and contents of one PEM block. Lines break after 64 characters [RFC 7468], or after 76, as nrfutil writes them.
pub(super) fn decoded(block: &str) -> Option<(String, Vec<u8>)> {
    let whole =
        |text: &str| Document::from_pem(text).ok().map(|(label, der)| (label.to_owned(), der.as_bytes().to_vec()));
    whole(block).or_else(|| whole(&narrower(block)?))
}

fn narrower(block: &str) -> Option<String> {
    let mut lines: Vec<&str> = block.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let (end, begin) = (lines.pop()?, lines.first().copied()?);
    let body = lines.get(1..).filter(|body| body.len() > 1)?;
    let (last, full) = body.split_last()?;
    if last.len() > 76 || full.iter().any(|line| line.len() != 76 || !line.is_ascii()) {
        return None;
    }
    let digits = body.concat();
    let lines: Vec<_> = digits.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Some(format!("{begin}\n{}\n{end}\n", lines.join("\n")))
}

/// Label and contents of every PEM block that is whole.
pub(super) fn blocks(text: &str) -> Vec<(String, Vec<u8>)> {
    // Each is looked at up to the next one only, so that a file of beginnings does not make this last.
    let starts: Vec<usize> = text.match_indices("-----BEGIN ").map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let block = |(from, to): (&usize, usize)| decoded(upto_end(text.get(*from..to)?));
    starts.iter().zip(ends).filter_map(block).collect()
}

/// Bytes that are written out in hexadecimal digits, together or in pairs, with or without 0x and separators: as in
/// key files of JSON and YAML, in C source and in what tools print. Fewer than sixteen in a row are none.
#[must_use]
pub fn hex_runs(text: &str) -> Vec<Vec<u8>> {
    runs(text).into_iter().map(|run| run.bytes).collect()
}

/// Bytes that are written out one behind the other.
pub(super) struct Run {
    pub(super) bytes: Vec<u8>,
    /// How many bytes each word of it has; 0 if not all have as many.
    pub(super) width: usize,
}

pub(super) fn runs(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut run = Run { bytes: Vec::new(), width: 0 };
    let mut end = |run: &mut Run| {
        let ended = std::mem::replace(run, Run { bytes: Vec::new(), width: 0 });
        if ended.bytes.len() >= RUN {
            runs.push(ended);
        }
    };
    let between = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | ':');
    for (index, piece) in text.split(|c: char| !c.is_ascii_alphanumeric() && !between(c)).enumerate() {
        if index > 0 {
            end(&mut run);
        }
        for word in piece.split(between).filter(|word| !word.is_empty()) {
            match self::word(word) {
                Some(bytes) => {
                    run.width = if run.bytes.is_empty() || run.width == bytes.len() { bytes.len() } else { 0 };
                    run.bytes.extend(bytes);
                }
                None => end(&mut run),
            }
        }
    }
    end(&mut run);
    runs
}

/// The bytes of one word: an even number of digits, or a number of C.
pub(super) fn word(word: &str) -> Option<Vec<u8>> {
    let Some(number) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) else {
        return bytes_from_hex(word);
    };
    let digits = number.trim_end_matches(['u', 'U', 'l', 'L']);
    if digits.len() == 1 { bytes_from_hex(&format!("0{digits}")) } else { bytes_from_hex(digits) }
}

/// The least number of bytes written in digits that is looked at.
const RUN: usize = 16;

/// Without what follows the line that ends the block.
fn upto_end(block: &str) -> &str {
    let Some(end) = block.find("-----END ") else { return block };
    let line = block.get(end..).unwrap_or_default();
    let length = line.find('\n').map_or(line.len(), |newline| newline + 1);
    block.get(..end + length).unwrap_or(block)
}
