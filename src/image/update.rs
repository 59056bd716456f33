//! Update packages of the nRF Connect SDK, `dfu_application.zip`: images for MCUboot, and a manifest that says which of
//! them is for what. [sdk-nrf scripts/bootloader/generate_zip.py]
//!
//! Nobody signs the manifest: whoever installs the package goes by it, and MCUboot by the images alone.

use serde::{Deserialize, Serialize};

use super::{MEMORY_MAX, Map, dfu, mcuboot, too_much, tree::Branch};
use crate::{
    fault::Problem,
    file::{Read, json_mistake},
    ident::Digest,
};

const MANIFEST: &str = "manifest.json";

/// The largest manifest that is looked at, in bytes; the SDK writes some 500 for each image.
const MANIFEST_MAX: usize = 64 << 10;

/// More than any build makes: both slots of four images.
const PARTS: usize = 8;

/// More characters of what a manifest says are not shown.
const LONGEST: usize = 120;

/// A package, unpacked.
#[derive(Clone, Debug, Serialize)]
pub struct Package {
    /// As the user named the file.
    #[serde(skip)]
    pub file: String,
    /// Version of the manifest's format; 0 and 1 are known.
    pub format_version: u64,
    /// What the update is called, for people.
    pub name: Option<String>,
    /// The images, in the order of the manifest.
    pub parts: Vec<Part>,
    /// Files in it that the manifest does not name.
    pub unlisted: Vec<String>,
}

/// One image of a package: what the manifest says of it.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// Its file in the package.
    pub file: String,
    /// SHA-256 of that file, computed here.
    pub sha256: Digest,
    /// Length that the manifest names, in bytes.
    pub size: u64,
    /// The board it was built for.
    pub board: Option<String>,
    /// The chip it was built for.
    pub soc: Option<String>,
    /// Number of the image, as MCUboot counts them; `Some(None)` where what the manifest says is no number.
    pub image_index: Option<Option<u64>>,
    /// Its version, as MCUboot compares it.
    pub version: Option<String>,
    /// The file itself.
    #[serde(skip)]
    pub contents: Read,
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "format-version")]
    format_version: u64,
    name: Option<String>,
    files: Vec<WrittenPart>,
}

#[derive(Deserialize)]
struct WrittenPart {
    file: String,
    size: u64,
    board: Option<String>,
    soc: Option<String>,
    #[serde(default)]
    image_index: Option<Number>,
    #[serde(rename = "version_MCUBOOT")]
    version: Option<String>,
}

/// The SDK's script writes numbers that do not begin with 0x as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Text(String),
}

impl Number {
    fn value(&self) -> Option<u64> {
        match self {
            Self::Plain(number) => Some(*number),
            Self::Text(digits) => digits.parse().ok(),
        }
    }
}

/// Reads a package; `None` if this is no archive, or one whose manifest is of another kind.
#[must_use]
pub fn read(file: &Read) -> Option<Result<Package, Vec<Problem>>> {
    let mut entries = if dfu::begins(file) { dfu::unpacked(file) } else { Vec::new() };
    let manifest = entries.iter().position(|entry| entry.name() == MANIFEST)?;
    let manifest = entries.swap_remove(manifest);
    let kind: serde_json::Value = Some(&manifest.bytes)
        .filter(|bytes| bytes.len() <= MANIFEST_MAX)
        .and_then(|bytes| serde_json::from_slice(bytes).ok())?;
    kind.get("format-version")?;
    let told = |what: String| Problem::new(file.name(), format!("no update package of the nRF Connect SDK: {what}"));
    Some(match serde_json::from_slice(&manifest.bytes) {
        Ok(written) => package(file, written, entries).map_err(|all| all.into_iter().map(told).collect()),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            Err(vec![told(format!("its {MANIFEST}, line {line}, column {column}: {}", json_mistake(&error)))])
        }
    })
}

fn package(file: &Read, written: Written, mut entries: Vec<Read>) -> Result<Package, Vec<String>> {
    if !(1..=PARTS).contains(&written.files.len()) {
        return Err(vec![format!("its manifest lists {} images; a build makes 1 to {PARTS}", written.files.len())]);
    }
    if entries.iter().map(|entry| entry.bytes.len()).sum::<usize>() > MEMORY_MAX {
        return Err(vec![too_much()]);
    }
    let (mut parts, mut problems) = (Vec::new(), Vec::new());
    for listed in written.files {
        match entries.iter().position(|entry| entry.name() == listed.file) {
            Some(index) => parts.push(Part::of(listed, entries.swap_remove(index))),
            None => {
                let name = crate::page::printable(&listed.file);
                problems.push(format!("its manifest lists `{name}`, which is not in it or was listed before"));
            }
        }
    }
    let unlisted = entries.iter().map(Read::name).collect();
    let package =
        Package { file: file.name(), format_version: written.format_version, name: written.name, parts, unlisted };
    if problems.is_empty() { Ok(package) } else { Err(problems) }
}

impl Part {
    fn of(listed: WrittenPart, contents: Read) -> Self {
        let WrittenPart { file, size, board, soc, image_index, version } = listed;
        let image_index = image_index.map(|number| number.value());
        Self { file, sha256: contents.digest, size, board, soc, image_index, version, contents }
    }

    /// What the manifest says of it and the file does not bear out.
    fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let length = self.contents.bytes.len() as u64;
        if self.size != length {
            found.push(format!("the manifest says {} bytes, the file has {length}", self.size));
        }
        if dfu::begins(&self.contents) {
            found.push("is an archive and no image".to_owned());
        }
        if self.image_index == Some(None) {
            found.push("the number that the manifest gives it is none".to_owned());
        }
        found.extend(self.version.as_deref().and_then(|said| self.version_contradicted(said)));
        found
    }

    fn version_contradicted(&self, said: &str) -> Option<String> {
        let image = Map::from_raw(&self.contents, 0).ok().and_then(|map| mcuboot::read(&map, 0).ok());
        let shown = crate::page::printable(said);
        let Some(image) = image else {
            return Some(format!("the manifest says version {shown}, and it is no image for MCUboot"));
        };
        let built = image.header.version;
        match said.parse::<mcuboot::Version>() {
            Ok(said) if said == built => None,
            Ok(_) => Some(format!("the manifest says version {shown}, the image is version {built}")),
            Err(_) => Some(format!("the version that the manifest says is none: {shown}")),
        }
    }

    fn explain(&self) -> Branch {
        let said = |value: &Option<String>| {
            value.as_deref().map_or_else(|| "not said".to_owned(), |said| said.chars().take(LONGEST).collect())
        };
        let index = self.image_index.flatten().map_or_else(|| "not said".to_owned(), |index| index.to_string());
        Branch::new("image", format!("{}, {} bytes", self.file, self.contents.bytes.len()))
            .with(Branch::new("built for", format!("board {}, chip {}", said(&self.board), said(&self.soc))))
            .with(Branch::new("image number", index))
            .with(Branch::new("version", said(&self.version)))
    }
}

impl Package {
    /// What the manifest says and a file does not bear out, one problem each.
    #[must_use]
    pub fn contradictions(&self) -> Vec<Problem> {
        let of = |part: &Part| {
            let name = crate::page::printable(&part.file);
            let told = |what: String| Problem::new(&*self.file, format!("`{name}` in it: {what}"));
            part.contradictions().into_iter().map(told).collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(of).collect()
    }

    /// As people read it.
    #[must_use]
    pub fn explain(&self) -> Branch {
        let name = self.name.clone().unwrap_or_else(|| "without a name".to_owned());
        let mut branch = Branch::new("update", format!("{name}; format {}", self.format_version));
        if self.format_version > 1 {
            branch = branch.warn("this version of the format is not known here: it may say more than is told");
        }
        branch = self.parts.iter().map(Part::explain).fold(branch, Branch::with);
        if !self.unlisted.is_empty() {
            let why = "the manifest does not name it, and no device gets it";
            branch = branch.with(Branch::new("also inside", self.unlisted.join(", ")).warn(why));
        }
        branch
    }
}
