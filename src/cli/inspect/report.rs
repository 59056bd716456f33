//! What `inspect` tells, as JSON and in words. `docs/inspect.md` documents the JSON.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    path::Path,
};

use serde::Serialize;

use super::{
    look::{self, Asked, CONTENTS, Looked},
    memory::ImageReport,
};
use crate::{
    cli::paper::{answer, limbs, row},
    fault::{Exit, Problem},
    file::Read,
    ident::{Digest, hex},
    image::{
        Map,
        dfu::{Firmware, Init, Package},
        kmu::{KeyFile, Metadata, Policy, Source},
        scan,
        tree::Branch,
        update,
    },
    keys::{
        AnyKey, Container, Given, PublicKey,
        refuse::{Hit, RefuseList, Refused, Sighting, Why},
    },
    manifest::{self, Release},
};

/// Version of the shape of [`Report`] as JSON.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
pub(super) struct Report {
    schema_version: u32,
    files: Vec<FileReport>,
}

#[derive(Serialize)]
pub(super) struct FileReport {
    file: String,
    sha256: Option<Digest>,
    bytes: Option<usize>,
    /// The answer in one sentence.
    is: String,
    told_by: &'static str,
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(super) enum Content {
    Image(Box<ImageReport>),
    PublicKey(Box<KeyReport>),
    KmuKeyFile(Told<KeyFile>),
    KmuSlot(Told<Slot>),
    DfuPackage(Box<Told<Package>>),
    DfuInit(Told<Init>),
    UpdatePackage(Box<Told<update::Package>>),
    ReleaseManifest(Told<Release>),
    Unknown(Told<Facts>),
    /// A private key, or what could not be read: the problems say which.
    Refused {
        problems: Vec<Problem>,
    },
}

#[derive(Serialize)]
pub(super) struct KeyReport {
    algorithm: &'static str,
    form: String,
    mcuboot_key_hash: String,
    nsib_hashes: Vec<NsibHashReport>,
    spki_sha256: Digest,
    short: String,
    refused: Option<RefusedReport>,
    #[serde(skip)]
    is: String,
}

#[derive(Serialize)]
struct NsibHashReport {
    hash: String,
    rule: &'static str,
    /// Offset of a halfword 0xFFFF, with which the bootloader starts nothing.
    unusable_at: Option<usize>,
}

#[derive(Clone, Serialize)]
pub(super) struct RefusedReport {
    pub(super) name: String,
    pub(super) why: String,
    /// Whether the world refuses it, and not the company alone.
    #[serde(skip)]
    pub(super) published: bool,
    /// Which key it is: keys of one list may share its name.
    #[serde(skip)]
    spki_sha256: Digest,
}

/// What a format's own reader makes of a file.
#[derive(Serialize)]
pub(super) struct Told<T> {
    pub(super) facts: T,
    refused: Vec<RefusedReport>,
    /// Why it would not do what it is for: reasons to stop.
    pub(super) problems: Vec<Problem>,
    /// With the keys of the command line: names of the files of those that signed it. `null` if none was given, or if
    /// nothing in it can be signed.
    signed_by: Option<Vec<String>>,
    #[serde(skip)]
    is: String,
    #[serde(skip)]
    tree: Branch,
}

/// A slot without its value, which may be a secret.
#[derive(Serialize)]
pub(super) struct Slot {
    policy: Policy,
    destination: String,
    metadata: String,
}

/// What can be said of any bytes without showing one: they may be a secret.
#[derive(Serialize)]
pub(super) struct Facts {
    text: bool,
    lines: Option<usize>,
    /// The one byte that it is made of, if there is only one.
    all: Option<String>,
}

impl Report {
    pub(super) fn new(files: Vec<FileReport>) -> Self {
        Self { schema_version: SCHEMA_VERSION, files }
    }

    /// What could not be understood, is a private key, or would not do what it is for.
    pub(super) fn problems(&self) -> Vec<Problem> {
        self.files.iter().flat_map(|file| file.content.problems()).collect()
    }

    /// Why what was signed is not what a key of `--key` signed.
    pub(super) fn unauthentic(&self) -> Vec<Problem> {
        self.files.iter().flat_map(FileReport::unauthentic).collect()
    }

    /// Keys that may not be used, one sentence each. Engineering mode lets all but private ones pass.
    pub(super) fn refused(&self, engineering: bool) -> Vec<String> {
        let of = |file: &FileReport| {
            let refused = file.content.refused_in(engineering);
            refused.into_iter().map(|what| format!("{}: {what}", file.file)).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of).collect()
    }
}

impl FileReport {
    pub(super) fn new(file: &Read, looked: Looked) -> Self {
        let Looked { content, told_by } = looked;
        let (sha256, bytes) = (Some(file.digest), Some(file.bytes.len()));
        let is = content.is() + &content.troubles();
        Self { file: file.name(), sha256, bytes, is, told_by, content }
    }

    /// With the images of an update package, each as a file of its own.
    pub(super) fn all(file: &Read, looked: Looked, asked: &Asked) -> Vec<Self> {
        let parts =
            if let Content::UpdatePackage(told) = &looked.content { images(&told.facts, asked) } else { Vec::new() };
        [Self::new(file, looked)].into_iter().chain(parts).collect()
    }

    pub(super) fn unread(path: &Path, problem: Problem) -> Self {
        let content = Content::refused(problem);
        let file = path.display().to_string();
        Self { file, sha256: None, bytes: None, is: content.is(), told_by: "nothing: it was not read", content }
    }

    fn unauthentic(&self) -> Vec<Problem> {
        let problems = match &self.content {
            Content::Image(image) => image.unauthentic(),
            Content::DfuPackage(told) => told.unsigned(),
            Content::DfuInit(told) => told.unsigned(),
            Content::ReleaseManifest(told) => told.unsigned(),
            Content::PublicKey(_) | Content::KmuKeyFile(_) | Content::KmuSlot(_) | Content::Unknown(_) => {
                vec!["holds no image that a key could have signed".to_owned()]
            }
            // Nobody signs such a package, and its images are told one by one.
            Content::UpdatePackage(_) | Content::Refused { .. } => Vec::new(),
        };
        problems.into_iter().map(|what| Problem::new(&*self.file, what)).collect()
    }
}

impl Content {
    pub(super) fn refused_all(problems: Vec<Problem>) -> Self {
        Self::Refused { problems }
    }

    pub(super) fn refused(problem: Problem) -> Self {
        Self::refused_all(vec![problem])
    }

    /// In one sentence.
    fn is(&self) -> String {
        let kind = self.kind();
        let known = RefusedReport::worst(self.refused_keys());
        match self {
            Self::Image(_) | Self::Unknown(_) | Self::Refused { .. } => kind,
            Self::PublicKey(_) => known.map_or(kind.clone(), |known| format!("{kind}, a {known}")),
            Self::KmuKeyFile(_)
            | Self::KmuSlot(_)
            | Self::DfuPackage(_)
            | Self::DfuInit(_)
            | Self::UpdatePackage(_)
            | Self::ReleaseManifest(_) => {
                let private = self.problems().iter().any(|problem| problem.exit == Exit::KeyRefused);
                let private = if private { ", private key inside" } else { "" };
                let known = known.map_or_else(String::new, |known| format!(", with a {known}"));
                format!("{kind}{private}{known}")
            }
        }
    }

    /// That something is wrong, for the first line, where that does not say so yet.
    fn troubles(&self) -> String {
        let said = ["damaged", "wrongly signed", "malformed", "broken", "private key"];
        let (count, is) = (self.problems().len(), self.is());
        if matches!(self, Self::Unknown(_) | Self::Refused { .. }) || said.iter().any(|word| is.contains(word)) {
            return String::new();
        }
        match count {
            0 => String::new(),
            1 => ", with a problem".to_owned(),
            more => format!(", with {more} problems"),
        }
    }

    fn kind(&self) -> String {
        match self {
            Self::Image(image) => image.is(),
            Self::PublicKey(key) => key.is.clone(),
            Self::KmuKeyFile(told) => told.is.clone(),
            Self::KmuSlot(told) => told.is.clone(),
            Self::DfuPackage(told) => told.is.clone(),
            Self::DfuInit(told) => told.is.clone(),
            Self::UpdatePackage(told) => told.is.clone(),
            Self::ReleaseManifest(told) => told.is.clone(),
            Self::Unknown(told) => told.is.clone(),
            Self::Refused { problems } if problems.iter().any(|problem| problem.exit == Exit::KeyRefused) => {
                "a private key".to_owned()
            }
            Self::Refused { .. } => "not understood".to_owned(),
        }
    }

    fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Image(image) => image.problems(),
            Self::PublicKey(_) => Vec::new(),
            Self::KmuKeyFile(told) => told.problems.clone(),
            Self::KmuSlot(told) => told.problems.clone(),
            Self::DfuPackage(told) => told.problems.clone(),
            Self::DfuInit(told) => told.problems.clone(),
            Self::UpdatePackage(told) => told.problems.clone(),
            Self::ReleaseManifest(told) => told.problems.clone(),
            Self::Unknown(told) => told.problems.clone(),
            Self::Refused { problems } => problems.clone(),
        }
    }

    fn refused_keys(&self) -> &[RefusedReport] {
        match self {
            Self::PublicKey(key) => key.refused.as_slice(),
            Self::KmuKeyFile(told) => &told.refused,
            Self::KmuSlot(told) => &told.refused,
            Self::DfuPackage(told) => &told.refused,
            Self::DfuInit(told) => &told.refused,
            Self::UpdatePackage(told) => &told.refused,
            Self::ReleaseManifest(told) => &told.refused,
            Self::Unknown(told) => &told.refused,
            Self::Image(_) | Self::Refused { .. } => &[],
        }
    }

    fn refused_in(&self, engineering: bool) -> Vec<String> {
        if let Self::Image(image) = self {
            return image.refused(engineering);
        }
        let refused = self.refused_keys().iter().filter(|_| !engineering);
        refused.map(|refused| refused.why.clone()).collect()
    }
}

impl RefusedReport {
    pub(super) fn new(refused: &Refused) -> Self {
        Self::because(refused, refused.to_string())
    }

    fn because(refused: &Refused, why: String) -> Self {
        let published = !matches!(refused.why, Why::Company { .. });
        Self { name: refused.name.clone(), why, published, spki_sha256: refused.spki_sha256 }
    }

    /// What the worst of them is called, if there are any.
    pub(super) fn worst<'r>(all: impl IntoIterator<Item = &'r Self>) -> Option<&'static str> {
        let published = all.into_iter().map(|one| one.published).max()?;
        Some(if published { "published development key" } else { "refused key" })
    }

    pub(super) fn hit(place: &str, hit: &Hit<'_>) -> Self {
        Self::because(hit.refused, format!("{hit} {place}"))
    }
}

impl KeyReport {
    pub(super) fn new(given: &Given, form: &str, list: &RefuseList) -> Self {
        let key = &given.key;
        let around =
            if given.container == Container::Certificate { "a certificate, not a bare key: around " } else { "" };
        let hash = |(rule, hash): (crate::keys::NsibRule, crate::keys::NsibHash)| NsibHashReport {
            hash: hash.to_string(),
            rule: match rule {
                crate::keys::NsibRule::Sha256 => "sha256",
                crate::keys::NsibRule::Sha512 => "sha512",
            },
            unusable_at: hash.unusable(),
        };
        Self {
            algorithm: key.algorithm().code(),
            form: form.to_owned(),
            mcuboot_key_hash: hex(&key.key_hash(key.usual_hash())),
            nsib_hashes: key.nsib_hashes().into_iter().map(hash).collect(),
            spki_sha256: key.spki_sha256(),
            short: key.spki_sha256().short(),
            refused: list.refuses_key(key).map(RefusedReport::new),
            is: format!("{around}a public key, {}", key.algorithm()),
        }
    }
}

impl<T> Told<T> {
    fn new(is: impl Into<String>, facts: T, tree: Branch) -> Self {
        Self { facts, refused: Vec::new(), problems: Vec::new(), signed_by: None, is: is.into(), tree }
    }

    /// Refused keys that were found in the file beside what its format's reader told.
    pub(super) fn add(&mut self, found: &[Sighting<'_>], place: &str) {
        let told = |new: &RefusedReport| self.refused.iter().any(|known| known.spki_sha256 == new.spki_sha256);
        let mut new = sighted(found);
        new.retain(|new| !told(new));
        new.iter_mut().for_each(|refused| refused.why.push_str(place));
        self.refused.extend(new);
    }

    fn unsigned(&self) -> Vec<String> {
        let none = self.signed_by.as_ref().is_some_and(Vec::is_empty);
        none.then(|| "was signed by none of the keys of --key".to_owned()).into_iter().collect()
    }
}

/// Names of the files of those keys that fit.
fn signers(asked: &Asked, fits: impl Fn(&PublicKey) -> bool) -> Option<Vec<String>> {
    let signed = |(name, key): &(String, AnyKey)| key.p256().filter(&fits).map(|_| name.clone());
    (!asked.keys.is_empty()).then(|| asked.keys.iter().filter_map(signed).collect())
}

/// Whose it is, as far as the answer needs it.
fn signer(unsigned: bool, signed_by: Option<&[String]>) -> String {
    match signed_by {
        _ if unsigned => ", unsigned".to_owned(),
        None => String::new(),
        Some([]) => ", signed with no key of --key".to_owned(),
        Some(names) => format!(", signed with {}", names.join(", ")),
    }
}

impl Told<Package> {
    pub(super) fn package(package: Package, asked: &Asked) -> Self {
        let all = |key: &PublicKey| package.firmwares.iter().all(|firmware| firmware.signed_by(key));
        let signed_by = signers(asked, all);
        let fits = asked.keys.iter().filter_map(|(_, key)| key.p256());
        let mut fits: Vec<PublicKey> = fits.collect();
        fits.sort_by_key(|key| !all(key));
        let tree = package.explain(fits.first(), &asked.list);
        let signers = package.firmwares.iter().filter_map(|firmware| {
            let refused = firmware.init.signature.as_ref()?.refused(&firmware.init.command, &asked.list)?;
            let why = format!("`{}` is signed by a {refused}", firmware.dat);
            Some(RefusedReport::because(refused, why))
        });
        let mut refused: Vec<RefusedReport> = signers.collect();
        let mut problems = Vec::new();
        for firmware in &package.firmwares {
            let named = |what| Problem::new(&*package.name, format!("`{}`: {what}", firmware.dat));
            problems.extend(firmware.contradictions().into_iter().map(named));
            problems.extend(damaged_signature(&firmware.init).map(named));
            inside(&package, firmware, &asked.list, &mut refused, &mut problems);
        }
        let unsigned = package.firmwares.iter().any(|firmware| firmware.init.signature.is_none());
        let is = format!("a package for the nRF5 SDK's secure DFU{}", signer(unsigned, signed_by.as_deref()));
        Self { refused, problems, signed_by, ..Self::new(is, package, tree) }
    }
}

/// Keys in a firmware of a package: refused ones, and private halves, which no mode allows.
fn inside(
    package: &Package,
    firmware: &Firmware,
    list: &RefuseList,
    refused: &mut Vec<RefusedReport>,
    problems: &mut Vec<Problem>,
) {
    let file = Read::from_memory(&*firmware.bin, firmware.contents.clone());
    let Ok(map) = Map::from_raw(&file, 0) else { return };
    for found in scan::keys(&map, list) {
        let why = format!("{} at byte {} of `{}`", found.what(), found.at, firmware.bin);
        match &found.refused {
            _ if matches!(found.kind, scan::Kind::Private(_)) => {
                problems.push(Problem::new(&*package.name, format!("holds {why}")).exit(Exit::KeyRefused));
            }
            Some(known) => refused.push(RefusedReport::because(known, why)),
            None => {}
        }
    }
}

/// A P-256 signature fits two keys as a rule; one that fits none is not the one that was made.
fn damaged_signature(init: &Init) -> Option<String> {
    let damaged = init.signature.as_ref().is_some_and(|signature| signature.makers(&init.command).is_empty());
    damaged.then(|| "no key makes its signature: it was damaged".to_owned())
}

impl Told<update::Package> {
    pub(super) fn update(package: update::Package) -> Self {
        let count = package.parts.len();
        let images = if count == 1 { "image, which follows" } else { "images, which follow" };
        let is = format!("an update package of the nRF Connect SDK with {count} {images}");
        let (problems, tree) = (package.contradictions(), package.explain());
        Self { problems, ..Self::new(is, package, tree) }
    }
}

/// Every image of a package. All of them together are searched for as long as one file is.
fn images(package: &update::Package, asked: &Asked) -> Vec<FileReport> {
    let mut room = scan::Room::default();
    let image = |part: &update::Part| {
        let name = format!("{}: {}", package.file, part.file);
        let file = Read::from_memory(name, part.contents.bytes.clone());
        FileReport::new(&file, Looked { content: look::part(&file, asked, &mut room), told_by: MANIFEST })
    };
    package.parts.iter().map(image).collect()
}

const MANIFEST: &str = "the manifest of its package";

impl Told<Init> {
    pub(super) fn init(file: &Read, init: Init, asked: &Asked) -> Self {
        let signature = init.signature.as_ref();
        let signed_by = signers(asked, |key| signature.is_some_and(|signature| signature.is_by(key, &init.command)));
        let refused = signature.and_then(|signature| signature.refused(&init.command, &asked.list));
        let refused: Vec<RefusedReport> = refused.map(RefusedReport::new).into_iter().collect();
        let told = match (signature, &signed_by) {
            (None, _) => "none: only a bootloader without signature check takes it".to_owned(),
            (Some(_), None) => "ECDSA P-256; not verified: no key given".to_owned(),
            (Some(_), Some(names)) if names.is_empty() => "ECDSA P-256, by none of the keys given".to_owned(),
            (Some(_), Some(names)) => format!("ECDSA P-256, by {}", names.join(", ")),
        };
        let version = init.fw_version.map_or_else(|| "not said".to_owned(), |version| version.to_string());
        let tree = Branch::new("init packet", init.kind.words())
            .with(Branch::new("version", version))
            .with(Branch::new("size", format!("{} bytes", init.size())))
            .with(Branch::new("sha256", init.sha256.to_string()))
            .with(Branch::new("signature", told));
        let wrong = init.contradictions().into_iter().chain(damaged_signature(&init));
        let problems = wrong.map(|what| Problem::new(file.name(), what)).collect();
        let told = signer(signature.is_none(), signed_by.as_deref());
        let is = format!("the init packet of an update by the nRF5 SDK's secure DFU, without the firmware{told}");
        Self { refused, problems, signed_by, ..Self::new(is, init, tree) }
    }
}

impl Told<KeyFile> {
    pub(super) fn key_file(file: &Read, read: KeyFile, list: &RefuseList) -> Self {
        let refused = read.refused(list).into_iter();
        let refused = refused.map(|(slot, hit)| RefusedReport::hit(&format!("in slot {slot}"), &hit)).collect();
        let problems = read.wrong().into_iter().map(|what| Problem::new(file.name(), what)).collect();
        let tree = read.explain(list);
        Self { refused, problems, ..Self::new("a key file for the KMU of an nRF54L", read, tree) }
    }
}

impl Told<Slot> {
    pub(super) fn slot(file: &Read, source: &Source, list: &RefuseList) -> Self {
        let (destination, metadata) = (format!("0x{:08X}", source.destination), format!("0x{:08X}", source.metadata));
        let kept = match Metadata::decode(source.metadata) {
            Some(_) => format!("{metadata}: the first slot of a key"),
            None => format!("{metadata}: a later slot of the same key"),
        };
        let slot = Slot { policy: source.policy, destination, metadata };
        let tree = Branch::new("KMU slot", format!("{} bytes as KMU.SRC takes them", Source::LENGTH))
            .with(Branch::new("value", "16 bytes of a key; whether of a public one, they do not say"))
            .with(Branch::new("policy", format!("{:?}", source.policy).to_lowercase()))
            .with(Branch::new("pushed to", &slot.destination))
            .with(Branch::new("metadata", kept));
        let found = list.search(&file.bytes);
        Self { refused: sighted(&found), ..Self::new("one slot for the KMU of an nRF54L", slot, tree) }
    }
}

impl Told<Release> {
    /// Opens it with the keys of the command line.
    pub(super) fn manifest(file: &Read, asked: &Asked) -> Result<Self, Problem> {
        let envelope = manifest::read(file)?;
        let signed = envelope.vouched(&asked.keys, 1).ok();
        let release = signed.map_or_else(|| envelope.unverified(), Ok)?;
        let refused = release.keys.iter().filter_map(|key| {
            let refused = asked.list.refuses_digest(&key.spki_sha256)?;
            Some(RefusedReport::because(refused, format!("allows a {refused}, under the name {}", key.name)))
        });
        let refused = refused.collect();
        let signed_by = (!asked.keys.is_empty()).then(|| release.signed_by.clone());
        let signer = signer(false, signed_by.as_deref());
        let tree = release.explain(signed_by.is_some());
        Ok(Self { refused, signed_by, ..Self::new(format!("a release manifest{signer}"), release, tree) })
    }
}

impl Told<Facts> {
    pub(super) fn unknown(facts: Facts, found: &[Sighting<'_>], problems: Vec<Problem>) -> Self {
        let is = match problems.first().and_then(|problem| claimed(&problem.what)) {
            _ if !found.is_empty() => "nothing known, with a refused key inside",
            Some(claimed) => claimed,
            None => "nothing that is known here",
        };
        let is = is.to_owned();
        let lines = facts.lines.map_or_else(|| "no text".to_owned(), |lines| format!("text of {lines} lines"));
        let mut tree = Branch::new("holds", lines);
        if let Some(all) = &facts.all {
            tree = tree.with(Branch::new("all bytes are", all));
        }
        Self { refused: sighted(found), problems, ..Self::new(is, facts, tree) }
    }
}

/// What a file is that its reader knows and has no use for, as the reader begins to say.
fn claimed(what: &str) -> Option<&str> {
    let what = what.strip_prefix("is ").filter(|what| what.starts_with("a ") || what.starts_with("the "))?;
    what.split([';', '.', '\n']).next()
}

fn sighted(found: &[Sighting<'_>]) -> Vec<RefusedReport> {
    let named = |found: &Sighting<'_>| {
        let why = format!("{} ({}) at byte {}", found.refused, found.form, found.at);
        RefusedReport::because(found.refused, why)
    };
    found.iter().map(named).collect()
}

impl Facts {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        // Each byte is the one before it.
        let one = bytes.split_first().filter(|(_, rest)| bytes.starts_with(rest)).map(|(first, _)| first);
        Self { text: text.is_some(), lines: text.map(lines), all: one.map(|byte| format!("0x{byte:02X}")) }
    }
}

/// As `str::lines` counts them, which looks at each.
fn lines(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() + usize::from(!text.is_empty() && !text.ends_with('\n'))
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|file| writeln!(f, "{file}"))
    }
}

impl Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        answer(f, &self.file, &self.is)?;
        if self.told_by != CONTENTS {
            row(f, "told by", self.told_by)?;
        }
        if let Some((digest, bytes)) = self.sha256.zip(self.bytes) {
            row(f, "file", format!("{bytes} bytes, SHA-256 {digest}"))?;
        }
        match &self.content {
            Content::Image(image) => image.fmt(f)?,
            Content::PublicKey(key) => key.fmt(f)?,
            Content::KmuKeyFile(told) => limbs(f, &told.tree)?,
            Content::KmuSlot(told) => limbs(f, &told.tree)?,
            Content::DfuPackage(told) => limbs(f, &told.tree)?,
            Content::DfuInit(told) => limbs(f, &told.tree)?,
            Content::UpdatePackage(told) => limbs(f, &told.tree)?,
            Content::ReleaseManifest(told) => limbs(f, &told.tree)?,
            Content::Unknown(told) => limbs(f, &told.tree)?,
            Content::Refused { .. } => {}
        }
        if !matches!(self.content, Content::PublicKey(_)) {
            refused_rows(f, self.content.refused_keys())?;
        }
        self.content.problems().iter().try_for_each(|problem| row(f, "problem", &problem.what))
    }
}

/// One row for each key, however often and in however many forms it is there.
fn refused_rows(f: &mut fmt::Formatter<'_>, refused: &[RefusedReport]) -> fmt::Result {
    let mut times: HashMap<Digest, usize> = HashMap::new();
    for one in refused {
        *times.entry(one.spki_sha256).or_default() += 1;
    }
    for first in refused {
        match times.remove(&first.spki_sha256) {
            Some(1) => row(f, "refused", &first.why)?,
            Some(times) => row(f, "refused", format!("{}; found {times} times in all", first.why))?,
            None => {}
        }
    }
    Ok(())
}

impl Display for KeyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "public key", format!("{}, short form {}; {}", self.algorithm, self.short, self.form))?;
        row(f, "fingerprint", format!("spki_sha256 = \"{}\"", self.spki_sha256))?;
        row(f, "KEYHASH", format!("{} in images for MCUboot", self.mcuboot_key_hash))?;
        for known in &self.nsib_hashes {
            row(f, "NSIB hash", format!("{} ({})", known.hash, known.rule))?;
            if let Some(at) = known.unusable_at {
                row(f, "", format!("! holds 0xFFFF at offset {at}: NSIB starts nothing with this key"))?;
            }
        }
        match &self.refused {
            Some(refused) => row(f, "refused", &refused.why),
            None => row(f, "published", "no, as far as the lists at hand go"),
        }
    }
}
