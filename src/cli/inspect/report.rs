//! What `inspect` tells, as JSON and in words. `docs/inspect.md` documents the JSON.

use std::{
    fmt::{self, Display},
    path::Path,
};

use serde::Serialize;

use crate::{
    fault::Problem,
    file::Read,
    ident::Digest,
    image::{
        Map,
        mcuboot::{self, Carrier, Signs},
        scan::{self, Kind},
        vectors,
    },
    keys::{
        PublicKey,
        refuse::{RefuseList, Refused},
    },
};

/// Version of the shape of [`Report`] as JSON.
const SCHEMA_VERSION: u32 = 1;

/// MCUboot's slots begin on flash pages; no page is smaller. [nordic-facts A1]
const SLOT_ALIGNMENT: u32 = 0x1000;

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
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(super) enum Content {
    Image(ImageReport),
    PublicKey(KeyReport),
    /// A private key, or no image and no key at all: the problems say which.
    Refused {
        problems: Vec<Problem>,
    },
}

#[derive(Serialize)]
pub(super) struct KeyReport {
    algorithm: &'static str,
    spki_sha256: Digest,
    short: String,
    refused: Option<RefusedReport>,
}

#[derive(Serialize)]
struct RefusedReport {
    name: String,
    why: String,
}

#[derive(Serialize)]
pub(super) struct ImageReport {
    digest: Digest,
    length: usize,
    entry: Option<String>,
    segments: Vec<SegmentReport>,
    vector_tables: Vec<VectorReport>,
    mcuboot_images: Vec<McubootReport>,
    mcuboot: SignsReport,
    keys: Vec<FoundReport>,
    looked_for: &'static str,
}

#[derive(Serialize)]
struct SegmentReport {
    at: String,
    end: String,
    length: usize,
}

#[derive(Serialize)]
struct VectorReport {
    at: String,
    stack: String,
    reset: String,
}

#[derive(Serialize)]
struct McubootReport {
    at: String,
    version: String,
    header_size: u16,
    image_size: u32,
    flags: String,
    security_counter: Option<u32>,
    hash_fits: bool,
    signature: &'static str,
    signed_with: Option<Digest>,
    refused: Option<RefusedReport>,
    tlvs: Vec<TlvReport>,
}

#[derive(Serialize)]
struct TlvReport {
    kind: String,
    name: &'static str,
    protected: bool,
    length: usize,
}

#[derive(Serialize)]
struct SignsReport {
    likely: bool,
    rests_on: String,
    image_magic_at: Option<String>,
    image_magic_as: Option<&'static str>,
    trailer_magic_at: Option<String>,
}

#[derive(Serialize)]
struct FoundReport {
    at: String,
    what: String,
    spki_sha256: Option<Digest>,
    private: bool,
    refused: Option<RefusedReport>,
}

impl Report {
    pub(super) fn new(files: Vec<FileReport>) -> Self {
        Self { schema_version: SCHEMA_VERSION, files }
    }

    /// What could not be understood, or is a private key.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let of = |file: &FileReport| match &file.content {
            Content::Refused { problems } => problems.clone(),
            Content::Image(_) | Content::PublicKey(_) => Vec::new(),
        };
        self.files.iter().flat_map(of).collect()
    }

    /// Keys that may not be used, one sentence each. Engineering mode lets all but private ones pass.
    pub(super) fn refused(&self, engineering: bool) -> Vec<String> {
        self.files.iter().flat_map(|file| file.refused(engineering)).collect()
    }
}

impl FileReport {
    pub(super) fn new(file: &Read, content: Content) -> Self {
        Self { file: file.name(), sha256: Some(file.digest), bytes: Some(file.bytes.len()), content }
    }

    pub(super) fn unread(path: &Path, problem: Problem) -> Self {
        let content = Content::Refused { problems: vec![problem] };
        Self { file: path.display().to_string(), sha256: None, bytes: None, content }
    }

    fn refused(&self, engineering: bool) -> Vec<String> {
        match &self.content {
            Content::Image(image) => {
                let refused = |found: &&FoundReport| found.private || found.refused.is_some() && !engineering;
                let inside = image.keys.iter().filter(refused).map(|found| (&found.what, &found.at));
                let signed = image.mcuboot_images.iter().filter(|_| !engineering);
                let signed = signed.filter_map(|image| Some((&image.refused.as_ref()?.why, &image.at)));
                inside.chain(signed).map(|(what, at)| format!("{}: {what} at {at}", self.file)).collect()
            }
            Content::PublicKey(key) => {
                let refused = key.refused.iter().filter(|_| !engineering);
                refused.map(|refused| format!("{}: {}", self.file, refused.why)).collect()
            }
            Content::Refused { .. } => Vec::new(),
        }
    }
}

impl Content {
    pub(super) fn of_key(key: Result<PublicKey, Problem>, list: &RefuseList) -> Self {
        match key {
            Ok(key) => Self::PublicKey(KeyReport {
                algorithm: "ecdsa-p256",
                spki_sha256: key.spki_sha256(),
                short: key.short(),
                refused: list.refuses(&key).map(RefusedReport::new),
            }),
            Err(problem) => Self::Refused { problems: vec![problem] },
        }
    }

    pub(super) fn of_image(map: Result<Map, Vec<Problem>>, list: &RefuseList) -> Self {
        match map {
            Ok(map) => Self::Image(ImageReport::new(&map, list)),
            Err(problems) => Self::Refused { problems },
        }
    }
}

impl RefusedReport {
    fn new(refused: &Refused) -> Self {
        Self { name: refused.name.clone(), why: refused.to_string() }
    }
}

impl ImageReport {
    fn new(map: &Map, list: &RefuseList) -> Self {
        let images: Vec<mcuboot::Image> = slots(map).filter_map(|at| mcuboot::read(map, at).ok()).collect();
        let segment = |segment: &crate::image::Segment| SegmentReport {
            at: address(segment.at),
            end: format!("0x{:08X}", segment.end()),
            length: segment.bytes.len(),
        };
        let starts = map.segments().iter().map(|segment| segment.at).chain(images.iter().map(mcuboot::Image::program));
        let tables = starts.filter_map(|at| vectors::read(map, at, &vectors::SRAM).ok());
        Self {
            digest: map.digest(),
            length: map.len(),
            entry: map.entry().map(address),
            segments: map.segments().iter().map(segment).collect(),
            vector_tables: tables.map(VectorReport::new).collect(),
            mcuboot_images: images.iter().map(|image| McubootReport::new(image, list)).collect(),
            mcuboot: SignsReport::new(map),
            keys: scan::keys(map, list).iter().map(FoundReport::new).collect(),
            looked_for: scan::FORMS,
        }
    }
}

/// Addresses where an image for MCUboot may begin: the first of each segment, and every page.
fn slots(map: &Map) -> impl Iterator<Item = u32> {
    let pages = map.segments().iter().flat_map(|segment| {
        let next = u64::from(segment.at).next_multiple_of(u64::from(SLOT_ALIGNMENT));
        let pages = (next..segment.end()).step_by(SLOT_ALIGNMENT as usize);
        let first = (next != u64::from(segment.at)).then_some(segment.at);
        first.into_iter().chain(pages.filter_map(|at| u32::try_from(at).ok()))
    });
    pages.filter(|at| mcuboot::begins(map, *at))
}

impl VectorReport {
    fn new(vectors: vectors::Vectors) -> Self {
        Self { at: address(vectors.at), stack: address(vectors.stack), reset: address(vectors.reset) }
    }
}

impl McubootReport {
    fn new(image: &mcuboot::Image, list: &RefuseList) -> Self {
        let signed_with = image.signer();
        let refused = signed_with.and_then(|signer| list.refuses_digest(&signer));
        let tlv = |tlv: &mcuboot::Tlv| TlvReport {
            kind: format!("0x{:04X}", tlv.kind),
            name: tlv.name(),
            protected: tlv.protected,
            length: tlv.data.len(),
        };
        Self {
            at: address(image.at),
            version: image.header.version.to_string(),
            header_size: image.header.header_size,
            image_size: image.header.image_size,
            flags: format!("0x{:08X}", image.header.flags),
            security_counter: image.security_counter(),
            hash_fits: image.is_intact(),
            signature: signature(image),
            signed_with,
            refused: refused.map(RefusedReport::new),
            tlvs: image.tlvs.iter().map(tlv).collect(),
        }
    }
}

/// A file that carries its own key proves that it is whole, not whom it is from.
fn signature(image: &mcuboot::Image) -> &'static str {
    let Some(carried) = image.public_key() else { return "not checked: the key is not in the file" };
    match PublicKey::from_spki(carried).map(|key| image.verify(&key)) {
        Ok(Ok(())) => "fits the key that the file carries; whose that is, a recipe says",
        Ok(Err(_)) => "does not fit the key that the file carries",
        Err(_) => "not checked: the key in the file is not P-256",
    }
}

impl SignsReport {
    fn new(map: &Map) -> Self {
        let signs = Signs::of(map);
        let carrier = |carrier: Carrier| match carrier {
            Carrier::Literal => "literal",
            Carrier::Instructions => "instructions",
        };
        Self {
            likely: signs.suffice(),
            rests_on: signs.to_string(),
            image_magic_at: signs.image_magic.map(|(at, _)| address(at)),
            image_magic_as: signs.image_magic.map(|(_, how)| carrier(how)),
            trailer_magic_at: signs.trailer_magic.map(address),
        }
    }
}

impl FoundReport {
    fn new(found: &scan::Found) -> Self {
        let key = if let Kind::P256(key) = &found.kind { Some(key.spki_sha256()) } else { None };
        Self {
            at: address(found.at),
            what: found.what(),
            spki_sha256: key.or_else(|| found.refused.as_ref().map(|refused| refused.spki_sha256)),
            private: matches!(found.kind, Kind::Private(_)),
            refused: found.refused.as_ref().map(RefusedReport::new),
        }
    }
}

fn address(at: u32) -> String {
    format!("0x{at:08X}")
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "  {name:<14} {value}")
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|file| writeln!(f, "{file}"))
    }
}

impl Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.file)?;
        if let Some((digest, bytes)) = self.sha256.zip(self.bytes) {
            row(f, "file", format!("{bytes} bytes, SHA-256 {digest}"))?;
        }
        match &self.content {
            Content::Image(image) => image.fmt(f),
            Content::PublicKey(key) => key.fmt(f),
            Content::Refused { problems } => problems.iter().try_for_each(|problem| row(f, "problem", &problem.what)),
        }
    }
}

impl Display for KeyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "public key", format!("P-256, short form {}", self.short))?;
        row(f, "fingerprint", format!("spki_sha256 = \"{}\"", self.spki_sha256))?;
        match &self.refused {
            Some(refused) => row(f, "refused", &refused.why),
            None => row(f, "published", "no, as far as the lists in this program go"),
        }
    }
}

impl Display for ImageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "image", format!("{} bytes, digest of the memory {}", self.length, self.digest))?;
        for segment in &self.segments {
            row(f, "segment", format!("{}..{} {} bytes", segment.at, segment.end, segment.length))?;
        }
        for table in &self.vector_tables {
            row(f, "vector table", format!("{}: stack {}, reset {}", table.at, table.stack, table.reset))?;
        }
        self.mcuboot_images.iter().try_for_each(|image| image.fmt(f))?;
        let likely = if self.mcuboot.likely { "likely a bootloader or an updater" } else { "no sign of it" };
        row(f, "MCUboot", format!("{likely}: {}", self.mcuboot.rests_on))?;
        for key in &self.keys {
            row(f, "key", format!("{}: {}", key.at, key.what))?;
        }
        if self.keys.is_empty() {
            row(f, "keys", format!("none found; looked for {}", self.looked_for))?;
        }
        Ok(())
    }
}

impl Display for McubootReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counter = self.security_counter.map_or_else(|| "none".to_owned(), |counter| counter.to_string());
        row(f, "signed image", format!("{}: version {}, security counter {counter}", self.at, self.version))?;
        let hash = if self.hash_fits { "fits" } else { "does not fit, or is of another kind" };
        row(f, "", format!("SHA-256 {hash}; signature {}", self.signature))?;
        if let Some(refused) = &self.refused {
            row(f, "refused", format!("signed with a {}", refused.why))?;
        }
        for tlv in &self.tlvs {
            let protected = if tlv.protected { ", protected" } else { "" };
            row(f, "", format!("{} {} ({} bytes{protected})", tlv.kind, tlv.name, tlv.length))?;
        }
        Ok(())
    }
}
