//! Keys that must never go on a board: those whose private half is public, and those the company gave up.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::Path,
    sync::{Arc, LazyLock},
};

use serde::Deserialize;

pub use super::forms::Form;
use super::{
    AnyKey, Hash, NsibHash, PublicKey, forms, given,
    needles::{Found, Needles},
    readings,
};
use crate::{
    fault::Problem,
    file::{self, Read},
    ident::{Digest, bytes_from_hex},
    page::{self, Place, Table, Words},
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
    /// In which forms it can be recognised.
    pub known: Known,
}

/// How much is known about a refused key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Known {
    /// The key itself: it is recognised in every form.
    Whole,
    /// Only the SHA-256 of its SubjectPublicKeyInfo: it is recognised where the whole key can be read in any container,
    /// and where that SHA-256 stands itself (KEYHASH of other than RSA keys). Not in the hashes of the immutable
    /// bootloader, in KEYHASHes of other lengths, or as raw bytes inside an image.
    Fingerprint,
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

/// What a key is called to whose entry nobody gave a name.
const UNNAMED: &str = "company refuse list";

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::PrivateHalfPublished(category) => {
                write!(f, "published development key \"{}\" ({category}; its private half is public)", self.name)
            }
            Why::DevelopmentKey(category) => write!(f, "published development key \"{}\" ({category})", self.name),
            Why::Company { reason, since } => {
                let name = if self.name == UNNAMED { String::new() } else { format!(" \"{}\"", self.name) };
                write!(f, "key{name} on the refuse list since {since}: {reason}")
            }
        }
    }
}

/// A refused key that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'l> {
    /// Which key.
    pub refused: &'l Refused,
    /// In which form it was asked for.
    pub form: Form,
}

impl fmt::Display for Hit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.refused, self.form)
    }
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

/// How often one form of one key is told: a file that is made of it would else make many times its size of messages.
pub const REPEATS: usize = 64;

/// All refused keys, in every form. Copies share what is inside until one of them gets a company's list.
#[derive(Clone, Default)]
pub struct RefuseList {
    keys: Arc<Keys>,
}

/// What is inside.
#[derive(Clone, Default)]
struct Keys {
    all: Vec<Refused>,
    /// By a form as a whole.
    exact: HashMap<Vec<u8>, (usize, Form)>,
    needles: Needles,
    /// For each needle its form and the number of its key.
    meant: Vec<(Form, usize)>,
    /// The first of those with this fingerprint, which stands for all of them in a search.
    first: HashMap<Digest, usize>,
}

impl RefuseList {
    /// The published keys, and the company's list that was built in: read once, however often it is asked for.
    ///
    /// # Errors
    /// If the lists inside this program cannot be read: then nothing may be trusted.
    pub fn built_in() -> Result<Self, Vec<Problem>> {
        static BUILT_IN: LazyLock<Result<RefuseList, Vec<Problem>>> = LazyLock::new(RefuseList::from_program);
        BUILT_IN.clone()
    }

    fn from_program() -> Result<Self, Vec<Problem>> {
        let unreadable = |what: String| vec![Problem::new(PUBLISHED_NAME, format!("cannot be read: {what}"))];
        let published: Published = serde_json::from_str(PUBLISHED).map_err(|error| unreadable(error.to_string()))?;
        let mut keys = Keys::default();
        published.keys.iter().try_for_each(|key| keys.publish(key)).map_err(unreadable)?;
        let no_files = |path: &Path| {
            Err(Problem::new(path.display().to_string(), "the list inside the program cannot name files"))
        };
        let list = Self { keys: Arc::new(keys) };
        list.with_company_from(&Read::from_memory("keys-public/refused-keys.toml", COMPANY.into()), no_files)
    }

    /// With the company's own list, a TOML file; see `keys-public/refused-keys.toml`. Key files that it names are read
    /// from its own folder.
    ///
    /// # Errors
    /// Every mistake in that file.
    pub fn with_company(self, file: &Read) -> Result<Self, Vec<Problem>> {
        self.with_company_from(file, |path| file::read(path, super::FILE_LIMIT))
    }

    /// As [`Self::with_company`], with the files that the list names opened by the caller.
    ///
    /// # Errors
    /// Every mistake in that file.
    pub fn with_company_from(
        mut self,
        file: &Read,
        mut open: impl FnMut(&Path) -> Result<Read, Problem>,
    ) -> Result<Self, Vec<Problem>> {
        let folder = file.path.parent().unwrap_or(Path::new("")).to_owned();
        let (entries, mut problems) =
            page::read(file, FILE_WORDS, |table| read_company(table, &mut |name| open(&folder.join(name))));
        for (refused, spki, place) in entries.into_iter().flatten() {
            if let Err(what) = Arc::make_mut(&mut self.keys).add(refused, spki.as_deref()) {
                problems.push(place.problem(what));
            }
        }
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }

    /// How many keys are refused.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.all.len()
    }

    /// Whether no key is refused, which is never right.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.all.is_empty()
    }

    /// Every refused key.
    #[must_use]
    pub fn all(&self) -> &[Refused] {
        &self.keys.all
    }

    /// Whether this key is refused, and why.
    #[must_use]
    pub fn refuses(&self, key: &PublicKey) -> Option<&Refused> {
        self.refuses_digest(&key.spki_sha256())
    }

    /// Whether this key is refused, and why.
    #[must_use]
    pub fn refuses_key(&self, key: &AnyKey) -> Option<&Refused> {
        self.refuses_digest(&key.spki_sha256())
    }

    /// Whether the key with this SHA-256 of its SubjectPublicKeyInfo, or of the encoding that MCUboot hashes, is
    /// refused, and why.
    #[must_use]
    pub fn refuses_digest(&self, spki_sha256: &Digest) -> Option<&Refused> {
        self.refuses_bytes(&spki_sha256.0).map(|hit| hit.refused)
    }

    /// Whether an image with this KEYHASH, of any length, is signed with a refused key.
    #[must_use]
    pub fn refuses_key_hash(&self, hash: &[u8]) -> Option<Hit<'_>> {
        let names_it = |hit: &Hit<'_>| matches!(hit.form, Form::KeyHash(_) | Form::SpkiHash);
        self.refuses_bytes(hash).filter(names_it)
    }

    /// Whether provision data with this hash trust a refused key.
    #[must_use]
    pub fn refuses_nsib(&self, hash: NsibHash) -> Option<Hit<'_>> {
        self.refuses_bytes(&hash.0).filter(|hit| matches!(hit.form, Form::NsibHash(_)))
    }

    /// Whether these bytes are a refused key: SubjectPublicKeyInfo, PKCS#1, raw with or without the 04 before it,
    /// compressed, little-endian, or an RSA modulus.
    #[must_use]
    pub fn refuses_raw(&self, key: &[u8]) -> Option<Hit<'_>> {
        let is_key = |hit: &Hit<'_>| !hit.form.is_hash() && !matches!(hit.form, Form::Half(_));
        let whole = |bytes: &[u8]| self.refuses_bytes(bytes).filter(is_key);
        let point = || match key.split_first() {
            Some((4, xy)) => whole(xy).filter(|hit| hit.form == Form::Raw),
            Some((0, modulus)) => whole(modulus).filter(|hit| hit.form == Form::Modulus),
            Some(_) | None => None,
        };
        let by_fingerprint = || self.refuses_bytes(&Digest::of(key).0).filter(|_| key.len() > 32);
        let fingerprint_only = || by_fingerprint().map(|hit| Hit { form: Form::Spki, ..hit });
        whole(key).or_else(point).or_else(fingerprint_only)
    }

    /// Whether these bytes as a whole are a refused key or its hash, in any form.
    #[must_use]
    pub fn refuses_bytes(&self, bytes: &[u8]) -> Option<Hit<'_>> {
        let (index, form) = *self.keys.exact.get(bytes)?;
        self.keys.all.get(index).map(|refused| Hit { refused, form })
    }

    /// Every refused key whose bytes or hashes stand among these, at any offset and in any form, in order of offset. A
    /// form that lies inside a larger one of the same key is not told again, and none more than [`REPEATS`] times.
    /// Halves are told where both are: another key may share one.
    #[must_use]
    pub fn search(&self, bytes: &[u8]) -> Vec<Sighting<'_>> {
        let mut upto = vec![0; self.keys.all.len()];
        let mut repeats: HashMap<(usize, Form), usize> = HashMap::new();
        let mut told = |number: usize, sighting: &Sighting<'_>| {
            let end = sighting.at + sighting.len;
            let Some(upto) = upto.get_mut(number).filter(|upto| end > **upto) else { return false };
            *upto = end;
            let times = repeats.entry((number, sighting.form)).or_default();
            *times += 1;
            *times <= REPEATS
        };
        let found = self.keys.needles.found_in(bytes).into_iter().filter_map(|found| self.keys.sighting(found));
        let new = found.filter(|(number, sighting)| told(*number, sighting));
        only_whole(new.map(|(_, sighting)| sighting).collect())
    }

    /// As [`Self::search`], and in everything that these bytes may be read as: what is written in digits or base64, dumped,
    /// or in UTF-16. Offsets there are those within what was read; a key that was told is not told again from there.
    #[must_use]
    pub fn search_file(&self, bytes: &[u8]) -> Vec<Sighting<'_>> {
        let mut found = self.search(bytes);
        let mut told: HashSet<Digest> = found.iter().map(|sighting| sighting.refused.spki_sha256).collect();
        for reading in readings::of(bytes) {
            let mut new = self.search(&reading);
            new.retain(|sighting| !told.contains(&sighting.refused.spki_sha256));
            told.extend(new.iter().map(|sighting| sighting.refused.spki_sha256));
            found.extend(new);
        }
        found
    }
}

impl Keys {
    /// What a needle that was found means, behind the number that its key has in a search.
    fn sighting(&self, found: Found) -> Option<(usize, Sighting<'_>)> {
        let (form, number) = *self.meant.get(found.needle)?;
        let refused = self.all.get(number)?;
        let number = *self.first.get(&refused.spki_sha256)?;
        Some((number, Sighting { at: found.at, len: found.len, form, refused }))
    }

    /// Adds a key: in every form if its SubjectPublicKeyInfo is known, by its fingerprint otherwise.
    fn add(&mut self, refused: Refused, spki: Option<&[u8]>) -> Result<(), String> {
        let fingerprint = || vec![(Form::KeyHash(Hash::Sha256), refused.spki_sha256.0.to_vec())];
        let damaged = |bad: super::der::BadDer| format!("at byte {} of a SubjectPublicKeyInfo, {}", bad.at, bad.what);
        let forms = spki.map_or_else(|| Ok(fingerprint()), forms::of_spki).map_err(damaged)?;
        let number = self.all.len();
        for (form, bytes) in forms {
            if self.needles.add(&bytes) {
                self.meant.push((form, number));
            }
            // The published name wins: it is the one that can be looked up.
            self.exact.entry(bytes).or_insert((number, form));
        }
        self.first.entry(refused.spki_sha256).or_insert(number);
        self.all.push(refused);
        Ok(())
    }

    fn publish(&mut self, key: &PublishedKey) -> Result<(), String> {
        let spki = bytes_from_hex(&key.spki_der_hex).ok_or("a key is not written in hexadecimal digits")?;
        if Digest::of(&spki) != key.spki_sha256 {
            return Err(format!("the key {} has another fingerprint", key.spki_sha256));
        }
        let why = if key.private_key_published { Why::PrivateHalfPublished } else { Why::DevelopmentKey };
        let refused = Refused {
            name: key.sources.first().map_or_else(|| "no source".to_owned(), |source| short_name(source)),
            spki_sha256: key.spki_sha256,
            kind: key.r#type.clone(),
            why: why(key.category.clone()),
            known: Known::Whole,
        };
        self.add(refused, Some(&spki))
    }
}

/// Without the halves whose other half was not found.
fn only_whole(mut found: Vec<Sighting<'_>>) -> Vec<Sighting<'_>> {
    let mut halves: HashMap<Digest, [bool; 2]> = HashMap::new();
    for sighting in &found {
        if let Form::Half(index) = sighting.form {
            let seen = halves.entry(sighting.refused.spki_sha256).or_default();
            seen.iter_mut().skip(index.into()).take(1).for_each(|seen| *seen = true);
        }
    }
    let both = |sighting: &Sighting<'_>| halves.get(&sighting.refused.spki_sha256) == Some(&[true, true]);
    found.retain(|sighting| !matches!(sighting.form, Form::Half(_)) || both(sighting));
    found
}

impl fmt::Debug for RefuseList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused keys", self.len())
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
    spki_der_hex: String,
    r#type: String,
    sources: Vec<String>,
    private_key_published: bool,
    category: String,
}

const FILE_WORDS: Words =
    Words { table: "a refuse list", required: &["schema"], optional: &["refused"], elsewhere: &[] };

const ENTRY_WORDS: Words = Words {
    table: "[[refused]]",
    required: &["reason", "date"],
    optional: &["name", "spki_sha256", "spki", "file"],
    elsewhere: &[("key", "is not known here; name the key with `file`, `spki` or `spki_sha256`")],
};

type Entry = (Refused, Option<Vec<u8>>, Place);
type Open<'o> = &'o mut dyn FnMut(&str) -> Result<Read, Problem>;

fn read_company(table: &Table<'_>, open: Open<'_>) -> Vec<Entry> {
    if let Some(schema) = table.number("schema").filter(|schema| schema.value != 1) {
        table.note(schema.problem("`schema` must be 1"));
    }
    table.tables("refused", ENTRY_WORDS).iter().filter_map(|table| read_entry(table, open)).collect()
}

fn read_entry(table: &Table<'_>, open: Open<'_>) -> Option<Entry> {
    let (reason, date) = (table.text("reason"), table.text("date"));
    let name = table.text("name").map_or_else(|| UNNAMED.to_owned(), |name| name.value);
    if let Some(date) = date.as_ref().filter(|date| date.value.parse::<jiff::civil::Date>().is_err()) {
        table.note(date.problem("`date` must be a day as in \"2026-11-20\""));
    }
    let (spki_sha256, spki) = read_key(table, open)?;
    let why = Why::Company { reason: reason?.value, since: date?.value };
    let kind = spki.as_deref().and_then(|spki| AnyKey::from_spki(spki).ok());
    let kind = kind.map_or("unknown", |key| key.algorithm().code()).to_owned();
    let known = if spki.is_some() { Known::Whole } else { Known::Fingerprint };
    Some((Refused { name, spki_sha256, kind, why, known }, spki, table.place.clone()))
}

/// The key that an entry names in one or several ways, which must agree.
fn read_key(table: &Table<'_>, open: Open<'_>) -> Option<(Digest, Option<Vec<u8>>)> {
    let digest = table.digest("spki_sha256");
    let (written, named) = (table.text("spki"), table.text("file"));
    let wrong = |place: &Place, what: String| table.note(place.problem(what));
    let bytes = written.as_ref().and_then(|text| {
        let spki = bytes_from_hex(&text.value).filter(|der| forms::of_spki(der).is_ok());
        if spki.is_none() {
            wrong(&text.place, "`spki` must be a SubjectPublicKeyInfo, in hexadecimal digits".to_owned());
        }
        spki
    });
    let file = named.as_ref().and_then(|name| match open(&name.value).and_then(|file| given::read_any(&file)) {
        Ok(given) => Some(given.key.spki().to_vec()),
        Err(problem) => {
            table.note(name.problem(format!("`{}` {}", name.value, problem.what)).exit(problem.exit));
            None
        }
    });
    if digest.is_none() && written.is_none() && named.is_none() {
        table.needs("spki_sha256");
        return None;
    }
    let known = file.or(bytes.clone());
    let own = known.as_deref().map(Digest::of);
    let all = [digest.as_ref().map(|digest| digest.value), bytes.as_deref().map(Digest::of), own];
    let mut all = all.into_iter().flatten();
    let first = all.next()?;
    if all.any(|other| other != first) {
        wrong(&table.place, "`spki_sha256`, `spki` and `file` name different keys".to_owned());
        return None;
    }
    Some((first, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_list_is_read_once_and_a_company_list_added_to_one_copy_leaves_the_others_as_they_were() {
        let [list, other] = [RefuseList::built_in().unwrap(), RefuseList::built_in().unwrap()];
        assert!(Arc::ptr_eq(&list.keys, &other.keys));
        let spki = "spki_sha256 = \"0101010101010101010101010101010101010101010101010101010101010101\"";
        let text = format!("schema = 1\n[[refused]]\nreason = \"lost\"\ndate = \"2026-11-20\"\n{spki}\n");
        let more = list.with_company(&Read::from_memory("refused-keys.toml", text.into())).unwrap();
        assert_eq!(more.len(), other.len() + 1);
        let key = Digest([1; 32]);
        assert!(more.refuses_digest(&key).is_some() && other.refuses_digest(&key).is_none());
    }
}
