//! Whether a recipe builds what a release manifest vouches for: every contradiction names both files.

use super::{Image, Placed};
use crate::{
    fault::{Exit, Problem},
    ident::Digest,
    image::mcuboot,
    keys::AnyKey,
    manifest::{Release, Vouched},
    page::Place,
};

/// What a recipe says of itself.
pub(super) struct Told<'r> {
    pub(super) product: Option<&'r Placed<String>>,
    pub(super) chip: Option<&'r Placed<String>>,
    pub(super) images: &'r [Image],
    /// Every key that goes on a board or signed for it: its name, and where the recipe speaks of it.
    pub(super) keys: Vec<(&'r str, &'r Place, &'r AnyKey)>,
}

pub(super) fn contradictions(told: &Told<'_>, release: &Release) -> Vec<Problem> {
    let manifest = &release.file;
    let mut found = Vec::new();
    let pairs = [(told.product, &release.board.product), (told.chip, &release.board.chip)];
    for (said, released) in pairs {
        if let Some(said) = said.filter(|said| said.value != *released) {
            found.push(said.problem(format!("`{manifest}` is a release for {released}, not for {}", said.shown())));
        }
    }
    for image in told.images {
        match release.image(&image.digest) {
            Some(vouched) => found.extend(differences(image, vouched, manifest)),
            None => found.push(image.place.problem(format!(
                "image `{}`: `{}` (SHA-256 {}) is not among the files that `{manifest}` vouches for",
                image.name, image.file, image.digest
            ))),
        }
    }
    for (name, place, key) in &told.keys {
        if !release.allows(&key.spki_sha256()) {
            let what = format!("key `{name}` ({}) is not among those that `{manifest}` allows", key.spki_sha256());
            found.push(place.problem(what).exit(Exit::KeyRefused));
        }
    }
    found
}

fn differences(image: &Image, vouched: &Vouched, manifest: &str) -> Vec<Problem> {
    let about = image.about.as_ref();
    let version = about.map(|about| about.header.version.to_string());
    let counter = about.and_then(mcuboot::Image::security_counter);
    let signer = about.and_then(mcuboot::Image::signer);
    let word = image.is.word();
    let said = |what: &str, is: Option<String>, says: &str| {
        let is = is.unwrap_or_else(|| "none".to_owned());
        image
            .place
            .problem(format!("image `{}`: `{}` has {what} {is}, `{manifest}` says {says}", image.name, image.file))
    };
    let mut found = Vec::new();
    if vouched.is != word {
        found.push(said("the kind", Some(word.to_owned()), &vouched.is));
    }
    if let Some(says) = vouched.version.as_ref().filter(|says| Some(*says) != version.as_ref()) {
        found.push(said("version", version, says));
    }
    if let Some(says) = vouched.security_counter.filter(|says| Some(*says) != counter) {
        found.push(said("security counter", counter.map(|counter| counter.to_string()), &says.to_string()));
    }
    if let Some(says) = vouched.signed.filter(|says| Some(*says) != signer) {
        found.push(said("signer", signer.as_ref().map(Digest::to_string), &says.to_string()));
    }
    found
}
