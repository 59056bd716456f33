//! Keys that must never go on a board: those whose private half is public, and those the company gave up.

use std::{collections::HashMap, fmt};

use serde::Deserialize;

use super::PublicKey;
use crate::{
    fault::Problem,
    file::Read,
    ident::{Digest, bytes_from_hex},
    page::{self, Table, Words},
};

const PUBLISHED: &str = include_str!("../../keys-public/known-development-keys.json");
const PUBLISHED_NAME: &str = "keys-public/known-development-keys.json";
const COMPANY: &str = include_str!("../../keys-public/refused-keys.toml");

/// File name of a company's own list, looked for beside the keys that a recipe names.
pub const COMPANY_FILE: &str = "refused-keys.toml";

/// One key that is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// By which the world knows it: where it was first published, or the company's own words.
    pub name: String,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki_sha256: Digest,
    /// Algorithm, as `ecdsa-p256`.
    pub kind: String,
    /// Why.
    pub why: Why,
}

/// Why a key is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Why {
    /// Its private half is published; the list's category.
    PrivateHalfPublished(String),
    /// It ships as a development or test key; its private half was not found published. The list's category.
    DevelopmentKey(String),
    /// The company refuses it since this date.
    Company {
        /// In the company's words.
        reason: String,
        /// As written.
        since: String,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::PrivateHalfPublished(category) => {
                write!(f, "published development key \"{}\" ({category}; its private half is public)", self.name)
            }
            Why::DevelopmentKey(category) => write!(f, "published development key \"{}\" ({category})", self.name),
            Why::Company { reason, since } => write!(f, "key on the refuse list since {since}: {reason}"),
        }
    }
}

/// In which form a refused key was found among other bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// X and Y or the raw key, big-endian as its standard writes it.
    Raw,
    /// X and Y, each with its last byte first, as the nRF5 SDK holds a key.
    LittleEndian,
    /// The modulus of an RSA key.
    Modulus,
}

struct Needle {
    bytes: Vec<u8>,
    form: Form,
    refused: usize,
}

/// A refused key among other bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'l> {
    /// Offset of its first byte.
    pub at: usize,
    /// How many bytes it takes.
    pub len: usize,
    /// In which form.
    pub form: Form,
    /// Which key.
    pub refused: &'l Refused,
}

/// All refused keys, by fingerprint and by their bytes.
pub struct RefuseList {
    all: Vec<Refused>,
    by_digest: HashMap<Digest, usize>,
    needles: Vec<Needle>,
    by_head: HashMap<[u8; 8], Vec<usize>>,
    /// Whether any needle begins with this pair of bytes: most offsets of an image end here.
    by_pair: Vec<bool>,
}

impl RefuseList {
    /// The published keys, and the company's list that was built in.
    ///
    /// # Errors
    /// If the lists inside this program cannot be read: then nothing may be trusted.
    pub fn built_in() -> Result<Self, Vec<Problem>> {
        let keys: Published = serde_json::from_str(PUBLISHED)
            .map_err(|error| vec![Problem::new(PUBLISHED_NAME, format!("cannot be read: {error}"))])?;
        let mut list = Self {
            all: Vec::new(),
            by_digest: HashMap::new(),
            needles: Vec::new(),
            by_head: HashMap::new(),
            by_pair: vec![false; 1 << 16],
        };
        keys.keys.iter().for_each(|key| list.publish(key));
        list.with_company(&Read::from_memory("keys-public/refused-keys.toml", COMPANY.into()))
    }

    /// With the company's own list, a TOML file; see `keys-public/refused-keys.toml`.
    ///
    /// # Errors
    /// Every mistake in that file.
    pub fn with_company(mut self, file: &Read) -> Result<Self, Vec<Problem>> {
        let (refused, problems) = page::read(file, FILE_WORDS, read_company);
        if !problems.is_empty() {
            return Err(problems);
        }
        refused.into_iter().flatten().for_each(|refused| self.add(refused));
        Ok(self)
    }

    /// How many keys are refused.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether no key is refused, which is never right.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether this key is refused, and why.
    #[must_use]
    pub fn refuses(&self, key: &PublicKey) -> Option<&Refused> {
        self.refuses_digest(&key.spki_sha256())
    }

    /// Whether the key with this SHA-256 of its SubjectPublicKeyInfo, or of the encoding that MCUboot hashes, is
    /// refused, and why.
    #[must_use]
    pub fn refuses_digest(&self, spki_sha256: &Digest) -> Option<&Refused> {
        self.by_digest.get(spki_sha256).and_then(|&index| self.all.get(index))
    }

    /// Every refused key whose raw bytes stand among these, at any offset.
    #[must_use]
    pub fn search(&self, bytes: &[u8]) -> Vec<Sighting<'_>> {
        let likely = |head: &&[u8]| head.first_chunk::<2>().is_some_and(|pair| self.begins(*pair));
        let windows = bytes.windows(8).enumerate().filter(|(_, head)| likely(head));
        windows.flat_map(|(at, head)| self.sightings(bytes, at, head)).collect()
    }

    fn begins(&self, pair: [u8; 2]) -> bool {
        self.by_pair.get(usize::from(u16::from_be_bytes(pair))).copied().unwrap_or(true)
    }

    fn sightings(&self, bytes: &[u8], at: usize, head: &[u8]) -> Vec<Sighting<'_>> {
        let candidates = head.first_chunk::<8>().and_then(|head| self.by_head.get(head));
        let here = |needle: &&Needle| bytes.get(at..).is_some_and(|rest| rest.starts_with(&needle.bytes));
        let needles = candidates.into_iter().flatten().filter_map(|&index| self.needles.get(index));
        let sighting = |needle: &Needle| {
            let refused = self.all.get(needle.refused)?;
            Some(Sighting { at, len: needle.bytes.len(), form: needle.form, refused })
        };
        needles.filter(here).filter_map(sighting).collect()
    }

    fn add(&mut self, refused: Refused) {
        // The published name wins: it is the one that can be looked up.
        self.by_digest.entry(refused.spki_sha256).or_insert(self.all.len());
        self.all.push(refused);
    }

    fn publish(&mut self, key: &PublishedKey) {
        let index = self.all.len();
        let forms = [
            (&key.raw_hex, Form::Raw),
            (&key.nrf5sdk_pk_le_hex, Form::LittleEndian),
            (&key.modulus_hex, Form::Modulus),
        ];
        for (hex, form) in forms {
            if let Some(bytes) = hex.as_deref().and_then(bytes_from_hex) {
                self.look_for(Needle { bytes, form, refused: index });
            }
        }
        // RSA keys are named in an image by the hash of another encoding.
        if let Some(hash) = key.mcuboot_keyhash.as_ref().and_then(|hashes| hashes.sha256) {
            self.by_digest.entry(hash).or_insert(index);
        }
        let why = if key.private_key_published { Why::PrivateHalfPublished } else { Why::DevelopmentKey };
        self.add(Refused {
            name: key.sources.first().map_or_else(|| "no source".to_owned(), |source| short_name(source)),
            spki_sha256: key.spki_sha256,
            kind: key.r#type.clone(),
            why: why(key.category.clone()),
        });
    }

    fn look_for(&mut self, needle: Needle) {
        let Some(head) = needle.bytes.first_chunk::<8>() else { return };
        let [first, second, ..] = *head;
        if let Some(pair) = self.by_pair.get_mut(usize::from(u16::from_be_bytes([first, second]))) {
            *pair = true;
        }
        self.by_head.entry(*head).or_default().push(self.needles.len());
        self.needles.push(needle);
    }
}

impl fmt::Debug for RefuseList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused keys", self.all.len())
    }
}

/// `owner/repository (…)@commit:path (…)` as `repository:path`: the form people search for.
fn short_name(source: &str) -> String {
    let before_bracket = |text: &str| text.split(" (").next().unwrap_or(text).to_owned();
    let Some((origin, path)) =
        source.split_once('@').and_then(|(origin, rest)| Some((origin, rest.split_once(':')?.1)))
    else {
        return before_bracket(source);
    };
    let origin = before_bracket(origin);
    let repository = origin.rsplit('/').next().unwrap_or(&origin);
    format!("{repository}:{}", before_bracket(path))
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    spki_sha256: Digest,
    r#type: String,
    raw_hex: Option<String>,
    nrf5sdk_pk_le_hex: Option<String>,
    modulus_hex: Option<String>,
    mcuboot_keyhash: Option<KeyHashes>,
    sources: Vec<String>,
    private_key_published: bool,
    category: String,
}

/// Other hashes are of images that this release does not take.
#[derive(Deserialize)]
struct KeyHashes {
    sha256: Option<Digest>,
}

const FILE_WORDS: Words =
    Words { table: "a refuse list", required: &["schema"], optional: &["refused"], elsewhere: &[] };

const ENTRY_WORDS: Words =
    Words { table: "[[refused]]", required: &["spki_sha256", "reason", "date"], optional: &["name"], elsewhere: &[] };

fn read_company(table: &Table<'_>) -> Vec<Refused> {
    if let Some(schema) = table.number("schema").filter(|schema| schema.value != 1) {
        table.note(schema.problem("`schema` must be 1"));
    }
    table.tables("refused", ENTRY_WORDS).iter().filter_map(read_entry).collect()
}

fn read_entry(table: &Table<'_>) -> Option<Refused> {
    let (digest, reason, date) = (table.digest("spki_sha256"), table.text("reason"), table.text("date"));
    let name = table.text("name").map_or_else(|| "company refuse list".to_owned(), |name| name.value);
    if let Some(date) = date.as_ref().filter(|date| date.value.parse::<jiff::civil::Date>().is_err()) {
        table.note(date.problem("`date` must be a day as in \"2026-11-20\""));
    }
    let why = Why::Company { reason: reason?.value, since: date?.value };
    Some(Refused { name, spki_sha256: digest?.value, kind: "unknown".to_owned(), why })
}
