//! A release manifest: what CI or the signing server vouches for, as a DSSE envelope around an in-toto statement.
//!
//! What is signed is read only after it was verified, and everything signed has a meaning here: a field that this
//! release does not know could take back what the others say. `docs/release-manifest.md` checks one with `openssl`.

use std::collections::BTreeSet;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    fault::{Exit, Problem, is_unseen},
    file::{Read, json_mistake},
    ident::Digest,
    image::tree::Branch,
    keys::{AnyKey, Signature},
};

/// What the envelope says is inside.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Which kind of statement is read. [in-toto Attestation Framework, Statement v1]
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What the statement is about.
pub const PREDICATE_TYPE: &str = "rootstamp/release/v1";

/// The largest manifest that is looked at, in bytes.
pub const FILE_LIMIT: u64 = 1 << 20;

/// More signatures than any release team has members.
const SIGNATURES_MAX: usize = 16;

/// Longest name, version or build, in characters: they stand on screens and in records.
const TEXT_MAX: usize = 120;

/// What goes over the wire: unknown fields beside these mean nothing, because nobody signed them.
#[derive(Deserialize)]
struct WrittenEnvelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<WrittenSignature>,
}

/// A key id is a hint from whoever holds the file, and every pinned key is tried anyway: it is not read.
#[derive(Deserialize)]
struct WrittenSignature {
    sig: String,
}

/// What is signed.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(title = "rootstamp release manifest: the signed statement", rename = "Statement")]
struct Statement {
    /// "https://in-toto.io/Statement/v1".
    #[serde(rename = "_type")]
    kind: String,
    /// The files released, each named and hashed once.
    subject: Vec<Subject>,
    /// "rootstamp/release/v1".
    #[serde(rename = "predicateType")]
    predicate_type: String,
    /// The release.
    predicate: Predicate,
}

/// A file.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    /// File name, for people: the hash decides.
    name: String,
    /// Its hashes.
    digest: Hashes,
}

/// Hashes of a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Hashes {
    /// SHA-256 in 64 hexadecimal digits.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$"))]
    sha256: Digest,
}

/// A release.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    /// Its name, as "1.4.2".
    release: String,
    /// What built it, as a run of CI and a commit.
    build: String,
    /// Which boards it is for.
    board: Board,
    /// What the files are; one entry per subject.
    images: Vec<Claim>,
    /// The only keys that may go on such a board, or sign for it.
    keys: Vec<AllowedKey>,
}

/// Which boards a release is for.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Product code, as in the recipe.
    pub product: String,
    /// The chip, as in the recipe.
    pub chip: String,
}

/// What a file is.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// Name of the subject.
    subject: String,
    /// What it proves to be, in the words of a recipe: mcuboot, mcuboot-image, raw.
    is: String,
    /// Version as in its header, "1.4.2+0"; of an image that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Security counter as in its protected TLVs; of an image that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    security_counter: Option<u32>,
    /// SHA-256 of the SubjectPublicKeyInfo of the key that signed it.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<Digest>,
}

/// A key that a release allows.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedKey {
    /// For people.
    pub name: String,
    /// SHA-256 of its SubjectPublicKeyInfo.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$"))]
    pub spki_sha256: Digest,
}

/// JSON Schema of the signed statement, for those who write one.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Statement).to_value()
}

/// An envelope, opened. What is inside is not yet believed: [`Envelope::vouched`].
#[derive(Clone, Debug)]
pub struct Envelope {
    /// As the user named the file.
    pub name: String,
    /// SHA-256 of the file.
    pub digest: Digest,
    payload: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

/// One file of a release.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Vouched {
    /// File name, for people.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// What it proves to be, in the words of a recipe.
    pub is: String,
    /// Version as in its header.
    pub version: Option<String>,
    /// Security counter as in its protected TLVs.
    pub security_counter: Option<u32>,
    /// The key that signed it.
    pub signed: Option<Digest>,
}

/// A release that enough release keys vouch for, or, in what [`Envelope::unverified`] returns, one that says so.
#[derive(Clone, Debug, Serialize)]
pub struct Release {
    /// As the user named the manifest.
    pub file: String,
    /// SHA-256 of the manifest.
    pub digest: Digest,
    /// Its name.
    pub release: String,
    /// What built it.
    pub build: String,
    /// Which boards it is for.
    pub board: Board,
    /// Its files.
    pub images: Vec<Vouched>,
    /// The only keys that may go on such a board.
    pub keys: Vec<AllowedKey>,
    /// Names of the release keys that signed it.
    pub signed_by: Vec<String>,
}

/// Opens the envelope.
///
/// # Errors
/// The first thing that makes it none.
pub fn read(file: &Read) -> Result<Envelope, Problem> {
    // `inspect` comes here with files of any kind; a list of empty signatures takes many times its length.
    if file.bytes.len() as u64 > FILE_LIMIT {
        return Err(Problem::new(file.name(), format!("is larger than a release manifest can be, {FILE_LIMIT} bytes")));
    }
    let written: WrittenEnvelope =
        serde_json::from_slice(&file.bytes).map_err(|error| at(file.name(), &error, "no DSSE envelope"))?;
    let stop = |what: String| Err(Problem::new(file.name(), format!("no release manifest: {what}")));
    if written.payload_type != PAYLOAD_TYPE {
        let found = crate::page::printable(&written.payload_type);
        return stop(format!("its payloadType is \"{found}\"; \"{PAYLOAD_TYPE}\" is expected"));
    }
    if written.signatures.is_empty() || written.signatures.len() > SIGNATURES_MAX {
        return stop(format!("it has {} signatures; 1 to {SIGNATURES_MAX} are expected", written.signatures.len()));
    }
    let Some(payload) = decoded(&written.payload) else { return stop("its payload is no base64".to_owned()) };
    let signatures: Option<Vec<_>> = written.signatures.iter().map(|signature| decoded(&signature.sig)).collect();
    let Some(signatures) = signatures else { return stop("a signature in it is no base64".to_owned()) };
    Ok(Envelope { name: file.name(), digest: file.digest, payload, signatures })
}

/// Whether this file looks like an envelope, so that `read` can say what is wrong with it.
#[must_use]
pub fn begins(file: &Read) -> bool {
    let opens = file.bytes.trim_ascii_start().starts_with(b"{");
    opens && memchr::memmem::find(&file.bytes, PAYLOAD_FIELD).is_some()
}

const PAYLOAD_FIELD: &[u8] = b"\"payloadType\"";

/// Both alphabets are allowed, padding is not optional. [DSSE v1, envelope]
fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

fn at(name: String, error: &serde_json::Error, what: &str) -> Problem {
    let (line, column) = (error.line(), error.column());
    let problem = Problem::new(name, format!("{what}: {}", json_mistake(error)));
    if line > 0 { problem.at(line, column.max(1)) } else { problem }
}

/// What is signed: type and payload, each with its length, so that neither can run into the other. [DSSE v1, PAE]
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// The bytes that are signed.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        pae(PAYLOAD_TYPE, &self.payload)
    }

    /// The release, if at least `threshold` of these keys signed it. A key counts once, under whatever names it comes.
    ///
    /// # Errors
    /// Too few signatures, or a statement that is none.
    pub fn vouched(&self, keys: &[(String, AnyKey)], threshold: usize) -> Result<Release, Problem> {
        let signed = self.signed_bytes();
        let mut known = BTreeSet::new();
        let mut signed_by = Vec::new();
        for (name, key) in keys {
            let made = |sig: &Vec<u8>| key.verifies(&signed, Signature::Standard(sig));
            if self.signatures.iter().any(made) && known.insert(key.spki_sha256()) {
                signed_by.push(name.clone());
            }
        }
        if known.len() < threshold.max(1) {
            let names: Vec<_> = keys.iter().map(|(name, _)| name.as_str()).collect();
            let what = format!(
                "is signed by {} of the release keys {}, and {} must have signed it",
                known.len(),
                names.join(", "),
                threshold.max(1)
            );
            return Err(Problem::new(&*self.name, what).exit(Exit::KeyRefused));
        }
        Ok(Release { signed_by, ..self.unverified()? })
    }

    /// What the statement says, whoever wrote it: to look at, never to act on.
    ///
    /// # Errors
    /// What makes it no statement of a release.
    pub fn unverified(&self) -> Result<Release, Problem> {
        let statement: Statement = serde_json::from_slice(&self.payload).map_err(|error| {
            let place = format!("line {} of its payload", error.line());
            Problem::new(&*self.name, format!("no release manifest: {place}: {}", json_mistake(&error)))
        })?;
        self.as_written(&statement)?;
        statement.meant(self).map_err(|what| Problem::new(&*self.name, format!("no release manifest: {what}")))
    }
}

impl Envelope {
    /// `serde` takes a list for a table, field by field. What is signed must come back as it was written.
    fn as_written(&self, statement: &Statement) -> Result<(), Problem> {
        let written: Option<serde_json::Value> = serde_json::from_slice(&self.payload).ok();
        if written == serde_json::to_value(statement).ok() {
            return Ok(());
        }
        let what = "no release manifest: a list where a table belongs, a null, or a hash in capitals";
        Err(Problem::new(&*self.name, what))
    }
}

impl Statement {
    fn meant(self, envelope: &Envelope) -> Result<Release, String> {
        expected("_type", &self.kind, STATEMENT_TYPE)?;
        expected("predicateType", &self.predicate_type, PREDICATE_TYPE)?;
        let Predicate { release, build, board, images, keys } = self.predicate;
        let texts = [("release", &release), ("build", &build), ("product", &board.product), ("chip", &board.chip)];
        texts.into_iter().try_for_each(|(name, text)| short(name, text))?;
        keys.iter().try_for_each(|key| short("a key's name", &key.name))?;
        once("key", keys.iter().map(|key| key.spki_sha256.to_string()))?;
        once("subject", self.subject.iter().map(|subject| subject.name.clone()))?;
        once("subject's SHA-256", self.subject.iter().map(|subject| subject.digest.sha256.to_string()))?;
        once("image", images.iter().map(|claim| claim.subject.clone()))?;
        if images.len() != self.subject.len() || images.is_empty() {
            return Err(format!("it has {} subjects and {} images", self.subject.len(), images.len()));
        }
        let images = images.into_iter().map(|claim| claim.meant(&self.subject)).collect::<Result<_, _>>()?;
        let (file, digest) = (envelope.name.clone(), envelope.digest);
        Ok(Release { file, digest, release, build, board, images, keys, signed_by: Vec::new() })
    }
}

impl Claim {
    fn meant(self, subjects: &[Subject]) -> Result<Vouched, String> {
        short("a subject's name", &self.subject)?;
        short("is", &self.is)?;
        self.version.iter().try_for_each(|version| short("version", version))?;
        let subject = subjects.iter().find(|subject| subject.name == self.subject);
        let Some(subject) = subject else { return Err(format!("no subject is called `{}`", self.subject)) };
        Ok(Vouched {
            name: self.subject,
            sha256: subject.digest.sha256,
            is: self.is,
            version: self.version,
            security_counter: self.security_counter,
            signed: self.signed,
        })
    }
}

fn expected(field: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("its {field} is \"{}\"; \"{expected}\" is expected", crate::page::printable(found)))
}

fn short(field: &str, text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if length > 0 && length <= TEXT_MAX && !text.chars().any(is_unseen) {
        return Ok(());
    }
    Err(format!("{field} is empty, longer than {TEXT_MAX} characters or holds characters that cannot be seen"))
}

fn once(what: &str, names: impl Iterator<Item = String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if let Some(name) = seen.replace(name) {
            return Err(format!("the {what} {} is in it twice", crate::page::printable(&name)));
        }
    }
    Ok(())
}

impl Release {
    /// The entry of a file with this hash, if the release has one.
    #[must_use]
    pub fn image(&self, sha256: &Digest) -> Option<&Vouched> {
        self.images.iter().find(|image| image.sha256 == *sha256)
    }

    /// Whether a key may go on such a board, or sign for it.
    #[must_use]
    pub fn allows(&self, spki_sha256: &Digest) -> bool {
        self.keys.iter().any(|key| key.spki_sha256 == *spki_sha256)
    }

    /// For people.
    #[must_use]
    pub fn explain(&self, checked: bool) -> Branch {
        let mut branch = Branch::new("release", format!("{} of {}", self.release, self.board.product))
            .with(Branch::new("chip", self.board.chip.clone()))
            .with(Branch::new("build", self.build.clone()))
            .with(self.signers(checked));
        for image in &self.images {
            let version = image.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
            let line = Branch::new("image", format!("{} ({}{version})", image.name, image.is));
            branch = branch.with(line.with(Branch::new("sha256", image.sha256.to_string())));
        }
        for key in &self.keys {
            branch = branch.with(Branch::new("allows key", format!("{} {}", key.name, key.spki_sha256)));
        }
        branch
    }

    fn signers(&self, checked: bool) -> Branch {
        if self.signed_by.is_empty() {
            let why = "nobody's word yet: check it with the release keys that the recipe pins";
            let said = if checked { "with none of the keys that were given" } else { "not checked" };
            return Branch::new("signed", said).warn(why);
        }
        Branch::new("signed", format!("by {}", self.signed_by.join(", ")))
    }
}
